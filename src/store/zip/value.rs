//! An entry of a zip file as a value: ranges of the file where it is stored, inflated where it is deflated.

use std::cell::OnceCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};

use super::directory::Record;
use super::end::read_exact;
use super::record::{DEFLATED, ENCRYPTED, LOCAL, LOCAL_BYTES, PATCHED, SIZES_FOLLOW, STORED, STRONGLY_ENCRYPTED, fault, u16_at, u32_at};
use crate::buffer::reserve;
use crate::error::{Error, Result};
use crate::store::fs::Reads;
use crate::store::fs::transfer::WINDOW_BYTES;
use crate::store::{ByteRange, Value, resolve};

/// The most that deflate makes of one byte: a match of 258 bytes takes two bits.
const MAX_RATIO: u64 = 1032;

/// The largest deflated entry of which parts are read: it is inflated whole, and kept for as long as its handle (FMT-ZIP-9).
const MAX_KEPT_BYTES: u64 = 64 << 20;

/// How much of a deflated entry is in memory at once, in bytes.
const INPUT_BYTES: u64 = 64 << 10;

/// The smallest step in which the room for what is inflated grows, in bytes.
const ROOM_BYTES: usize = 64 << 10;

/// An entry that is open for reading.
#[derive(Debug)]
pub(super) struct ZipValue {
    file: Arc<OwnedFd>,
    record: Record,
    /// Where its data begin in the file.
    data_at: u64,
    /// Where it was found; for messages.
    path: String,
    reads: Reads,
    inflated: OnceCell<Vec<u8>>,
}

impl ZipValue {
    /// Opens the entry `name`: its local header must say what the directory says (FMT-ZIP-7).
    pub(super) fn open(file: Arc<OwnedFd>, name: &str, record: Record, path: String, reads: Reads) -> Result<Self> {
        if record.flags & (ENCRYPTED | STRONGLY_ENCRYPTED) != 0 {
            return Err(Error::unsupported("an encrypted entry of a zip file; only plain ones are read"));
        }
        if record.flags & PATCHED != 0 || !matches!(record.method, STORED | DEFLATED) {
            let what = format!("a zip entry of compression method {}; accepted are 0 (stored) and 8 (deflated)", record.method);
            return Err(Error::unsupported(what));
        }
        let most = if record.method == STORED { record.packed } else { record.packed.saturating_mul(MAX_RATIO) };
        if record.size > most || (record.method == STORED && record.size < most) {
            let what = format!("{} stored bytes cannot be the {} bytes of the value", record.packed, record.size);
            return Err(fault(record.offset, what));
        }
        let data_at = check_header(&file, name, &record)?;
        Ok(Self { file, record, data_at, path, reads, inflated: OnceCell::new() })
    }

    fn show(&self, offset: u64, len: usize, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let whole = len as u64 == self.record.size;
        if self.record.method == STORED {
            let at = self.data_at.saturating_add(offset);
            return self.reads.show(&self.file, at, len, &mut |bytes| {
                if whole {
                    self.check_crc(bytes)?;
                }
                visit(bytes)
            });
        }
        if let Some(kept) = self.inflated.get() {
            return visit(part(kept, offset, len)?);
        }
        if whole {
            return visit(&self.inflate()?);
        }
        if self.record.size > MAX_KEPT_BYTES {
            let what = format!(
                "a part of a deflated zip entry of {} bytes; at most {MAX_KEPT_BYTES} are inflated for a part: pack it stored",
                self.record.size
            );
            return Err(Error::unsupported(what));
        }
        let inflated = self.inflate()?;
        visit(part(self.inflated.get_or_init(|| inflated), offset, len)?)
    }

    /// The whole value, which has exactly the size and the checksum that the directory says.
    fn inflate(&self) -> Result<Vec<u8>> {
        let size = usize::try_from(self.record.size).map_err(|_| Error::corrupt("a value that does not fit the address space"))?;
        let (mut decoder, mut out) = (Decompress::new(false), Vec::new());
        let mut at = 0;
        while at < self.record.packed {
            let len = (self.record.packed - at).min(INPUT_BYTES);
            let input = read_exact(&self.file, self.data_at.saturating_add(at), usize::try_from(len).unwrap_or(0))?;
            at += len;
            if inflate_piece(&mut decoder, &input, size, &mut out)? {
                break;
            }
        }
        if decoder.total_in() != self.record.packed || out.len() != size {
            let (read, made) = (decoder.total_in(), out.len());
            return Err(Error::corrupt(format!(
                "zip: {read} of {} stored bytes inflate to {made} bytes, where {size} are expected",
                self.record.packed
            )));
        }
        self.check_crc(&out)?;
        Ok(out)
    }

    fn check_crc(&self, bytes: &[u8]) -> Result<()> {
        let (expected, got) = (self.record.crc, crc32fast::hash(bytes));
        if expected == got { Ok(()) } else { Err(Error::ChecksumMismatch { key: String::new(), expected, got }) }
    }
}

impl Value for ZipValue {
    fn size(&self) -> u64 {
        self.record.size
    }

    fn read(&self, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let shown = resolve(range, self.record.size).and_then(|(offset, len)| self.show(offset, len, visit));
        shown.map_err(|error| error.at(&self.path))
    }

    /// Against its CRC-32. What is deflated is checked whenever it is read.
    fn verify(&self) -> Result<()> {
        let (mut hasher, mut offset) = (crc32fast::Hasher::new(), 0);
        while self.record.method == STORED && offset < self.record.size {
            let len = (self.record.size - offset).min(WINDOW_BYTES as u64);
            let at = self.data_at.saturating_add(offset);
            let shown = self.reads.show(&self.file, at, usize::try_from(len).unwrap_or(0), &mut |bytes| {
                hasher.update(bytes);
                Ok(())
            });
            shown.map_err(|error| error.at(&self.path))?;
            offset += len;
        }
        match (self.record.method, hasher.finalize()) {
            (STORED, got) if got != self.record.crc => {
                Err(Error::ChecksumMismatch { key: self.path.clone(), expected: self.record.crc, got })
            }
            _ => Ok(()),
        }
    }
}

fn part(bytes: &[u8], offset: u64, len: usize) -> Result<&[u8]> {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    bytes.get(from..).and_then(|rest| rest.get(..len)).ok_or_else(|| Error::corrupt("a range outside the value"))
}

/// Inflates a piece of the stored bytes to the end of `out`, up to `size` bytes; returns whether that was the last.
fn inflate_piece(decoder: &mut Decompress, input: &[u8], size: usize, out: &mut Vec<u8>) -> Result<bool> {
    let mut rest = input;
    loop {
        if out.len() == out.capacity() {
            // One byte more than expected: what fills it has too much.
            let room = size.saturating_add(1).saturating_sub(out.len());
            reserve(out, room.min(out.len().max(ROOM_BYTES)))?;
        }
        let (read, written) = (decoder.total_in(), out.len());
        let status = decoder.decompress_vec(rest, out, FlushDecompress::None);
        let consumed = usize::try_from(decoder.total_in() - read).unwrap_or(usize::MAX);
        rest = rest.get(consumed..).unwrap_or_default();
        if out.len() > size {
            return Err(Error::corrupt(format!("zip: the entry inflates to more than the {size} bytes that the directory says")));
        }
        match status {
            Ok(Status::StreamEnd) => return Ok(true),
            // All that the input gives is out if there is room left.
            Ok(_) if rest.is_empty() && out.len() < out.capacity() => return Ok(false),
            Ok(_) if consumed > 0 || out.len() > written => {}
            Ok(_) => return Err(Error::corrupt("zip: the deflated data make no progress")),
            Err(error) => return Err(Error::corrupt(format!("zip: {error}"))),
        }
    }
}

/// Checks the local header of an entry against the directory; returns where its data begin.
fn check_header(file: &OwnedFd, name: &str, record: &Record) -> Result<u64> {
    let at = record.offset;
    let header = read_exact(file, at, LOCAL_BYTES + name.len())?;
    let (name_len, extra_len) = (usize::from(u16_at(&header, 26)?), u16_at(&header, 28)?);
    if u32_at(&header, 0)? != LOCAL || name_len != name.len() || header.get(LOCAL_BYTES..) != Some(name.as_bytes()) {
        return Err(fault(at, format!("no local header of the entry {name:?}")));
    }
    let (flags, method) = (u16_at(&header, 6)?, u16_at(&header, 8)?);
    let sizes = [(u32_at(&header, 18)?, record.packed), (u32_at(&header, 22)?, record.size)];
    let agrees = |&(short, wide): &(u32, u64)| short == u32::MAX || u64::from(short) == wide;
    let sized = flags & SIZES_FOLLOW != 0 || (sizes.iter().all(agrees) && u32_at(&header, 14)? == record.crc);
    if method != record.method || flags & ENCRYPTED != 0 || !sized {
        return Err(fault(at, format!("the local header of the entry {name:?} contradicts the directory")));
    }
    let data_at = at.saturating_add((LOCAL_BYTES + name_len) as u64).saturating_add(u64::from(extra_len));
    if data_at.checked_add(record.packed).is_none_or(|end| end > record.end) {
        return Err(fault(at, format!("the entry {name:?} overlaps what begins at byte {}", record.end)));
    }
    Ok(data_at)
}
