//! The container of xz streams: blocks of LZMA2, each with a checksum, an index of them, and what stands around.
//!
//! After the xz file format 1.2.1. Streams with a checksum or with filters that nearly nobody uses are left to the crate that also decodes
//! LZMA2; its checksums are slow, so that it is not asked where that can be helped.
//!
//! Invariants
//! 1. What is decoded goes to `out` alone, which never gets room for more than a byte beyond the limit.
//! 2. No number of a stream says how much memory is taken: a dictionary is no larger than the limit, and grows with what is decoded.

use std::io::Read as _;

use lzma_rust2::Lzma2Reader;

use super::{FIRST_ROOM, MAX_DICTIONARY, crc64, decode_fault, dictionary_fault};
use crate::buffer::resize;
use crate::codec::PIECE_BYTES;
use crate::error::{Error, Result};

const MAGIC: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];
const FOOTER_MAGIC: &[u8] = b"YZ";

/// The filter that is the compressor.
const LZMA2: u64 = 0x21;

/// Flags of a block header.
const MORE_FILTERS: u8 = 3;
const RESERVED: u8 = 0x3c;
const COMPRESSED_SIZE: u8 = 0x40;
const SIZE: u8 = 0x80;

/// Headers, blocks and padding are multiples of this.
const ALIGNMENT: usize = 4;

/// Decodes streams to `out`, whose contents are replaced, refusing to produce more than `limit` bytes. False where they are left to others,
/// after some of it.
pub(super) fn decode(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<bool> {
    let mut input = Input(input);
    out.clear();
    let mut output = Output { out, filled: 0, limit };
    loop {
        if !stream(&mut input, &mut output)? {
            return Ok(false);
        }
        let padding = input.0.iter().take_while(|byte| **byte == 0).count();
        if !padding.is_multiple_of(ALIGNMENT) {
            return Err(corrupt(format!("{padding} bytes of padding follow a stream, which is no multiple of {ALIGNMENT}")));
        }
        input.take(padding)?;
        if input.0.is_empty() {
            break;
        }
    }
    let filled = output.filled;
    out.truncate(filled);
    Ok(true)
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::corrupt(format!("lzma: {what}"))
}

/// What is left of the streams.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(|| corrupt("the stream is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    fn number<const LEN: usize>(&mut self) -> Result<[u8; LEN]> {
        Ok(self.take(LEN)?.first_chunk().copied().unwrap_or([0; LEN]))
    }

    /// A number of up to nine bytes with seven bits each, the lowest first.
    fn integer(&mut self) -> Result<u64> {
        let mut number = 0;
        for shift in (0..63).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                // There is one way to write a number.
                return if byte == 0 && shift > 0 { Err(corrupt("a number with zeros before it")) } else { Ok(number) };
            }
        }
        Err(corrupt("a number of more than 63 bits"))
    }

    /// Zeros up to the next multiple of the alignment, after `len` bytes.
    fn padding(&mut self, len: usize) -> Result<()> {
        let padding = self.take(len.next_multiple_of(ALIGNMENT) - len)?;
        if padding.iter().all(|byte| *byte == 0) { Ok(()) } else { Err(corrupt("padding that is not zero")) }
    }

    /// The CRC-32 of `bytes`.
    fn checked(&mut self, bytes: &[u8], what: &str) -> Result<()> {
        if self.number()? == crc32fast::hash(bytes).to_le_bytes() {
            Ok(())
        } else {
            Err(corrupt(format!("the checksum of {what} is wrong")))
        }
    }
}

/// Where decoded bytes go.
struct Output<'a> {
    out: &'a mut Vec<u8>,
    filled: usize,
    limit: usize,
}

/// A checksum of what a block holds, as far as it is known.
#[derive(Clone, Copy, Debug)]
enum Check {
    None,
    Crc32(u32),
    Crc64(u64),
}

impl Check {
    /// By the number in a stream's flags; none where others know better.
    fn from_flags(flags: [u8; 2]) -> Option<Self> {
        match flags {
            [0, 0] => Some(Self::None),
            [0, 1] => Some(Self::Crc32(0)),
            [0, 4] => Some(Self::Crc64(0)),
            _ => None,
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Crc32(sum) => {
                let mut hasher = crc32fast::Hasher::new_with_initial(*sum);
                hasher.update(bytes);
                *sum = hasher.finalize();
            }
            Self::Crc64(sum) => *sum = crc64::append(*sum, bytes),
        }
    }

    /// Reads what is stored behind a block; gives the number of bytes that it takes.
    fn verify(self, input: &mut Input<'_>) -> Result<usize> {
        let (right, len) = match self {
            Self::None => (true, 0),
            Self::Crc32(sum) => (input.number()? == sum.to_le_bytes(), 4),
            Self::Crc64(sum) => (input.number()? == sum.to_le_bytes(), 8),
        };
        if right { Ok(len) } else { Err(corrupt("the checksum of a block is wrong")) }
    }
}

/// What the index repeats of each block: how many there were, and a checksum of their sizes.
#[derive(Default)]
struct Records {
    count: u64,
    sizes: crc32fast::Hasher,
}

impl Records {
    fn add(&mut self, stored: u64, held: u64) {
        self.count += 1;
        self.sizes.update(&stored.to_le_bytes());
        self.sizes.update(&held.to_le_bytes());
    }
}

/// Decodes one stream; false where it is left to others.
fn stream(input: &mut Input<'_>, output: &mut Output<'_>) -> Result<bool> {
    if input.take(MAGIC.len())? != MAGIC {
        return Err(corrupt("bytes that are no xz stream"));
    }
    let flags: [u8; 2] = input.number()?;
    input.checked(&flags, "a stream header")?;
    let Some(check) = Check::from_flags(flags) else { return Ok(false) };
    let mut records = Records::default();
    let index = loop {
        let start = input.0;
        match input.byte()? {
            0 => break start,
            size => match block(start, input, (usize::from(size) + 1) * ALIGNMENT, check, output)? {
                None => return Ok(false),
                Some((stored, held)) => records.add(stored, held),
            },
        }
    };
    let index_len = read_index(index, input, records)?;
    let footer_sum = input.number()?;
    let footer = input.0;
    let backward = u64::from(u32::from_le_bytes(input.number()?));
    let footer_flags: [u8; 2] = input.number()?;
    if footer_sum != crc32fast::hash(&footer[..footer.len() - input.0.len()]).to_le_bytes() {
        return Err(corrupt("the checksum of a stream footer is wrong"));
    }
    if footer_flags != flags || (backward + 1) * ALIGNMENT as u64 != index_len as u64 || input.take(FOOTER_MAGIC.len())? != FOOTER_MAGIC {
        return Err(corrupt("a stream footer that is not that of the stream"));
    }
    Ok(true)
}

/// Reads the index, of which the first byte is read, up to its checksum; gives its length.
fn read_index(start: &[u8], input: &mut Input<'_>, expected: Records) -> Result<usize> {
    let mut found = Records::default();
    let count = input.integer()?;
    // Each record takes bytes, so that this ends where the stream does.
    while found.count < count {
        let stored = input.integer()?;
        found.add(stored, input.integer()?);
    }
    if (found.count, found.sizes.finalize()) != (expected.count, expected.sizes.finalize()) {
        return Err(corrupt("the index lists other blocks than there are"));
    }
    input.padding(start.len() - input.0.len())?;
    let len = start.len() - input.0.len();
    input.checked(&start[..len], "an index")?;
    Ok(len + size_of::<u32>())
}

/// What a block header says.
struct BlockHeader {
    compressed: Option<u64>,
    held: Option<u64>,
    dictionary: u32,
}

/// Decodes a block, of whose header, of `header_len` bytes from `start`, the first byte is read. Gives its size without padding, and how much it
/// holds; none where it is left to others.
fn block(start: &[u8], input: &mut Input<'_>, header_len: usize, check: Check, output: &mut Output<'_>) -> Result<Option<(u64, u64)>> {
    let content = input.take(header_len - 1 - size_of::<u32>())?;
    input.checked(&start[..=content.len()], "a block header")?;
    let Some(header) = block_header(content)? else { return Ok(None) };
    let (before, filled) = (input.0.len(), output.filled);
    let check = output.decode(input, header.dictionary, check)?;
    let (compressed, held) = (before - input.0.len(), (output.filled - filled) as u64);
    if header.compressed.is_some_and(|said| said != compressed as u64) || header.held.is_some_and(|said| said != held) {
        return Err(corrupt(format!("a block of {compressed} bytes that holds {held} says otherwise")));
    }
    input.padding(compressed)?;
    let check_len = check.verify(input)?;
    Ok(Some(((header_len + compressed + check_len) as u64, held)))
}

/// Reads a block header without its length and checksum; none where the block has filters before the compressor.
fn block_header(content: &[u8]) -> Result<Option<BlockHeader>> {
    let mut content = Input(content);
    let flags = content.byte()?;
    if flags & RESERVED != 0 {
        return Err(Error::unsupported(format!("lzma: block flags {flags:#04x}, of which some are not known")));
    }
    let compressed = if flags & COMPRESSED_SIZE != 0 { Some(content.integer()?) } else { None };
    let held = if flags & SIZE != 0 { Some(content.integer()?) } else { None };
    let filter = content.integer()?;
    if flags & MORE_FILTERS != 0 || filter != LZMA2 {
        return Ok(None);
    }
    let (len, code) = (content.integer()?, content.byte()?);
    if len != 1 || code > 40 || content.0.iter().any(|byte| *byte != 0) {
        return Err(corrupt("a block header with wrong properties of its filter"));
    }
    let dictionary = if code == 40 { u32::MAX } else { (2 | u32::from(code & 1)) << (code / 2 + 11) };
    if dictionary > MAX_DICTIONARY {
        return Err(dictionary_fault(dictionary));
    }
    Ok(Some(BlockHeader { compressed, held, dictionary }))
}

impl Output<'_> {
    /// Decodes what a block holds, and gives its checksum.
    fn decode(&mut self, input: &mut Input<'_>, dictionary: u32, mut check: Check) -> Result<Check> {
        // One byte more than the limit: streams that fill it have too much.
        let most = self.limit.saturating_add(1);
        // A dictionary that is larger than all that may come is of no use.
        let dictionary = dictionary.min(u32::try_from(most).unwrap_or(u32::MAX));
        let mut reader = Lzma2Reader::new(input.0, dictionary.max(4096), None);
        loop {
            if self.filled == self.out.len() {
                resize(self.out, most.min((self.filled * 2).max(FIRST_ROOM)))?;
            }
            // The checksum is taken while the bytes are in the cache.
            let end = self.out.len().min(self.filled.saturating_add(PIECE_BYTES));
            let count = reader.read(&mut self.out[self.filled..end]).map_err(|error| decode_fault(&error))?;
            if count == 0 {
                break;
            }
            check.add(&self.out[self.filled..self.filled + count]);
            self.filled += count;
            if self.filled > self.limit {
                return Err(corrupt(format!("the streams hold more than the {} bytes that are expected", self.limit)));
            }
        }
        input.0 = reader.into_inner();
        Ok(check)
    }
}

#[cfg(test)]
mod tests;
