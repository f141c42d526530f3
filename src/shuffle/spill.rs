//! The spill file: segments appended at reserved places, each with a header that says what it is and where its partition's previous one lies.
//!
//! A segment is a header of 32 bytes and its payload (all numbers little-endian; `spec/rechunk.md`, rule SPL-1):
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `RZSG` |
//! | 4..8 | partition |
//! | 8..12 | payload length |
//! | 12..16 | CRC-32 of the header with zeros here, then of the payload |
//! | 16..24 | offset of the previous segment of the partition; 2^64-1 for none |
//! | 24..28 | its payload length |
//! | 28..32 | 0 |

use std::fs::File;
use std::io::{self, IoSlice};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::Advice;

use crate::error::{Error, Result};
use crate::shuffle::SpillPlace;

const HEADER_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"RZSG";
const NO_PREVIOUS: u64 = u64::MAX;

/// Segments whose payload has this size or more begin at a multiple of [`BLOCK_BYTES`] and give their disk space back one by one (SPL-7); smaller
/// ones give it back with the file.
const ALIGNED_BYTES: usize = 16 << 10;

/// Blocks of file systems, and pages of the cache: what shares none with others is written and given back without touching them.
pub(super) const BLOCK_BYTES: u64 = 4096;

/// How far behind the last segment written the page cache is emptied, in bytes: what the disk takes in the meantime.
const BEHIND_BYTES: u64 = 16 << 20;

/// Where a segment lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) offset: u64,
    pub(super) payload_bytes: usize,
}

/// The file of one shuffle, or of several one after another. One that has no name is removed by the kernel when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: File,
    name: String,
    end: AtomicU64,
    behind: bool,
}

impl SpillFile {
    pub(super) fn create(SpillPlace { directory, behind }: SpillPlace<'_>) -> Result<Self> {
        let name = format!("{} (spill file)", directory.display());
        let file = tempfile::tempfile_in(directory).map_err(|source| Error::io("create a spill file", &name, source))?;
        Ok(Self::from_file(file, name, behind, 0))
    }

    /// A file of which the first `end` bytes are in use.
    pub(super) fn from_file(file: File, name: String, behind: bool, end: u64) -> Self {
        Self { file, name, end: AtomicU64::new(end), behind }
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Reserves room for something else than a segment, which shares no block with others.
    pub(super) fn reserve(&self, bytes: u64) -> u64 {
        let align = |offset: u64| offset.next_multiple_of(BLOCK_BYTES);
        let end = self.end.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |end| Some(align(align(end) + bytes)));
        let (Ok(end) | Err(end)) = end;
        align(end)
    }

    /// Gives up all from `end` on.
    pub(super) fn cut(&self, end: u64) -> Result<()> {
        self.file.set_len(end).map_err(|source| Error::io("truncate", &self.name, source))?;
        self.end.store(end, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn write_bytes(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, offset).map_err(|source| Error::io("write", &self.name, source))
    }

    pub(super) fn read_bytes(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(out, offset).map_err(|source| Error::io("read", &self.name, source))
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|source| Error::io("sync", &self.name, source))
    }

    /// Reserves the place of a segment.
    pub(super) fn allocate(&self, payload_bytes: usize) -> Link {
        let bytes = (HEADER_BYTES + payload_bytes) as u64;
        let align = |offset: u64| if payload_bytes >= ALIGNED_BYTES { offset.next_multiple_of(BLOCK_BYTES) } else { offset };
        let end = self.end.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |end| Some(align(align(end) + bytes)));
        let (Ok(end) | Err(end)) = end;
        Link { offset: align(end), payload_bytes }
    }

    /// Writes a segment whose payload is the slices one after another.
    pub(super) fn write(&self, partition: usize, link: Link, previous: Option<Link>, payload: &[&[u8]]) -> Result<()> {
        let mut header = encode_header(partition, link, previous);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&header);
        payload.iter().for_each(|slice| crc.update(slice));
        header[12..16].copy_from_slice(&crc.finalize().to_le_bytes());
        let mut slices = Vec::with_capacity(1 + payload.len());
        slices.push(IoSlice::new(&header));
        slices.extend(payload.iter().map(|slice| IoSlice::new(slice)));
        self.write_all(&mut slices, link.offset).map_err(|source| Error::io("write", &self.name, source))?;
        if self.behind {
            // SPL-9: the kernel begins to write what is dirty in the range, and drops what it has written.
            let from = link.offset.saturating_sub(BEHIND_BYTES);
            self.advise(from, link.offset - from + link.total_bytes(), Advice::DontNeed);
        }
        Ok(())
    }

    fn advise(&self, offset: u64, bytes: u64, advice: Advice) {
        let _ = rustix::fs::fadvise(&self.file, offset, NonZeroU64::new(bytes), advice);
    }

    /// Says that a segment will be read next.
    pub(super) fn expect(&self, link: Link) {
        if link.payload_bytes >= ALIGNED_BYTES {
            self.advise(link.offset, link.total_bytes(), Advice::WillNeed);
        }
    }

    fn write_all(&self, mut slices: &mut [IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        while !slices.is_empty() {
            // The kernel takes at most 1024 slices a call.
            let batch = slices.len().min(1024);
            match rustix::io::pwritev(&self.file, &slices[..batch], offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    IoSlice::advance_slices(&mut slices, written);
                    offset += written as u64;
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            // Slices of no bytes would never be consumed by a write.
            while slices.first().is_some_and(|slice| slice.is_empty()) {
                slices = &mut slices[1..];
            }
        }
        Ok(())
    }

    /// The previous segment of the partition, as the header of this one says it: what else is in it is checked when it is read. Segments have at
    /// most `largest` bytes of payload.
    pub(super) fn previous(&self, partition: usize, link: Link, largest: usize) -> Result<Option<Link>> {
        let mut header = [0; HEADER_BYTES];
        self.read_exact(&mut header, link)?;
        let previous = previous_link(&header);
        header[12..16].fill(0);
        let mut result = Ok(previous);
        if header != encode_header(partition, link, previous) {
            result =
                Err(link.corrupt(format!("the segment here is not the one of partition {partition} with {} bytes", link.payload_bytes)));
        }
        if previous.is_some_and(|previous| previous.offset >= link.offset || previous.payload_bytes > largest) {
            result = Err(link.corrupt(String::from("the previous segment is not before this one")));
        }
        result.map_err(|error| error.at(&self.name))
    }

    /// Reads a segment into `buffer` and checks it (SPL-5); returns its payload.
    pub(super) fn read<'b>(&self, partition: usize, link: Link, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
        let total = HEADER_BYTES + link.payload_bytes;
        if buffer.len() < total {
            buffer.reserve_exact(total - buffer.len());
            buffer.resize(total, 0);
        }
        let segment = &mut buffer[..total];
        self.read_exact(segment, link)?;
        decode(partition, link, segment).map_err(|error| error.at(&self.name))
    }

    fn read_exact(&self, out: &mut [u8], link: Link) -> Result<()> {
        self.file.read_exact_at(out, link.offset).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => {
                Error::corrupt(format!("a segment of {} bytes passes its end", link.total_bytes())).at(&self.name)
            }
            _ => Error::io("read", &self.name, source),
        })
    }

    /// Gives the disk space of a segment back, where the file system can; it is only a courtesy.
    pub(super) fn discard(&self, link: Link) {
        if link.payload_bytes >= ALIGNED_BYTES {
            // With the rest of its last block, which is nobody's.
            self.punch(link.offset, link.total_bytes().next_multiple_of(BLOCK_BYTES));
        }
    }
}

impl Link {
    /// Header and payload.
    fn total_bytes(self) -> u64 {
        (HEADER_BYTES + self.payload_bytes) as u64
    }

    fn corrupt(self, what: String) -> Error {
        Error::Corrupt { key: String::new(), offset: Some(self.offset), what }
    }
}

/// For [`super::damage`].
#[cfg(any(test, fuzzing))]
impl SpillFile {
    pub(super) fn byte(&self, offset: u64) -> Result<u8> {
        let mut byte = [0];
        self.read_bytes(offset, &mut byte)?;
        Ok(byte[0])
    }
}

#[cfg(any(test, fuzzing))]
impl Link {
    pub(super) fn new(offset: u64, payload_bytes: usize) -> Self {
        Self { offset, payload_bytes }
    }
}

fn encode_header(partition: usize, link: Link, previous: Option<Link>) -> [u8; HEADER_BYTES] {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&small(partition));
    header[8..12].copy_from_slice(&small(link.payload_bytes));
    header[16..24].copy_from_slice(&previous.map_or(NO_PREVIOUS, |link| link.offset).to_le_bytes());
    header[24..28].copy_from_slice(&small(previous.map_or(0, |link| link.payload_bytes)));
    header
}

/// Checks a segment against what its link says (SPL-2, SPL-5); returns its payload. `segment` is not changed but for the checksum field.
fn decode(partition: usize, link: Link, segment: &mut [u8]) -> Result<&[u8]> {
    let found = segment.len();
    let Some((header, payload)) = segment.split_first_chunk_mut::<HEADER_BYTES>() else {
        return Err(link.corrupt(format!("a segment of {found} bytes has no room for its header")));
    };
    let expected = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    header[12..16].fill(0);
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(payload);
    let got = crc.finalize();
    if expected != got {
        return Err(Error::ChecksumMismatch { key: String::new(), expected, got });
    }
    if *header != encode_header(partition, link, previous_link(header)) {
        return Err(link.corrupt(format!("the segment here is not the one of partition {partition} with {} bytes", link.payload_bytes)));
    }
    Ok(payload)
}

fn previous_link(header: &[u8; HEADER_BYTES]) -> Option<Link> {
    let [.., o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3, _, _, _, _] = *header;
    let offset = u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
    let payload_bytes = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    (offset != NO_PREVIOUS).then_some(Link { offset, payload_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_segments() -> (tempfile::TempDir, SpillFile, Link, Link) {
        let directory = tempfile::tempdir().unwrap();
        let spill = SpillFile::create(SpillPlace { directory: directory.path(), behind: true }).unwrap();
        let first = spill.allocate(5);
        spill.write(3, first, None, &[&b"ab"[..], b"", b"cde"]).unwrap();
        let second = spill.allocate(2000);
        spill.write(3, second, Some(first), &[&b"x"[..]; 2000]).unwrap();
        (directory, spill, first, second)
    }

    /// SPL-1: every byte of a segment, put together here from the rule alone.
    #[test]
    fn segments_are_laid_out_as_specified() {
        let (_directory, spill, first, second) = two_segments();
        for (link, previous, payload) in [(first, (u64::MAX, 0), &b"abcde"[..]), (second, (first.offset, 5_u32), &[b'x'; 2000][..])] {
            let mut header = b"RZSG".to_vec();
            header.extend([3_u32, u32::try_from(payload.len()).unwrap(), 0].iter().flat_map(|number| number.to_le_bytes()));
            header.extend(previous.0.to_le_bytes());
            header.extend(previous.1.to_le_bytes());
            header.extend([0; 4]);
            let mut expected = [&header[..], payload].concat();
            let checksum = crc32fast::hash(&expected);
            expected[12..16].copy_from_slice(&checksum.to_le_bytes());
            let mut stored = vec![0; 32 + payload.len()];
            spill.file.read_exact_at(&mut stored, link.offset).unwrap();
            assert!(stored == expected, "{:?} instead of {:?}", &stored[..32], &expected[..32]);
        }
    }

    /// SPL-2, and SPL-9: what left the cache comes back.
    #[test]
    fn segments_are_chained() {
        let (_directory, spill, first, second) = two_segments();
        let mut buffer = Vec::new();
        assert_eq!(spill.previous(3, second, 5).unwrap(), Some(first));
        assert_eq!(spill.read(3, second, &mut buffer).unwrap(), [b'x'; 2000]);
        assert_eq!(spill.previous(3, first, 5).unwrap(), None);
        assert_eq!(spill.read(3, first, &mut buffer).unwrap(), b"abcde");
        assert!(spill.previous(3, second, 4).is_err(), "the previous one is too large");
        let _third = spill.allocate(3);
        let ahead = spill.allocate(1);
        spill.write(3, ahead, Some(ahead), &[b"y"]).unwrap();
        assert!(spill.previous(3, ahead, 5).is_err(), "a segment is not before itself");
    }

    /// SPL-5.
    #[test]
    fn every_changed_byte_is_noticed() {
        let (_directory, spill, first, _) = two_segments();
        let mut whole = vec![0; HEADER_BYTES + 5];
        spill.file.read_exact_at(&mut whole, first.offset).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut changed = whole.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(3, first, &mut changed).is_err(), "bit {bit}");
        }
        assert!(decode(3, first, &mut whole.clone()).is_ok());
        assert!(decode(4, first, &mut whole.clone()).is_err(), "another partition");
        assert!(decode(3, Link { payload_bytes: 4, ..first }, &mut whole).is_err(), "another length");
    }

    #[test]
    fn a_truncated_file_is_an_error() {
        let (_directory, spill, _, second) = two_segments();
        spill.file.set_len(second.offset + 10).unwrap();
        assert!(matches!(spill.read(3, second, &mut Vec::new()), Err(Error::Corrupt { .. })));
        assert!(matches!(spill.previous(3, second, 5), Err(Error::Corrupt { .. })));
    }

    /// SPL-7: small segments between large ones stay whole when the large ones are given back.
    #[test]
    fn large_segments_share_no_block_with_others() {
        let directory = tempfile::tempdir().unwrap();
        let spill = SpillFile::create(SpillPlace { directory: directory.path(), behind: false }).unwrap();
        let sizes = [100, ALIGNED_BYTES, 7, 3, ALIGNED_BYTES + 1, ALIGNED_BYTES - 1, 1 << 20];
        let links = sizes.map(|bytes| {
            let link = spill.allocate(bytes);
            spill.write(9, link, None, &[&vec![7; bytes]]).unwrap();
            link
        });
        let large = |link: &&Link| link.payload_bytes >= ALIGNED_BYTES;
        assert!(links.iter().filter(large).all(|link| link.offset.is_multiple_of(BLOCK_BYTES)));
        links.iter().filter(large).for_each(|link| spill.discard(*link));
        for link in links {
            let read = spill.read(9, link, &mut Vec::new()).map(<[u8]>::len);
            assert_eq!(read.is_ok(), !large(&&link), "{link:?}");
        }
    }
}
