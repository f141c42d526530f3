//! Frames read block after block, from wherever their blocks are.
//!
//! Invariants of a [`BlockReader`]
//! 1. Blocks are decoded in order, each once; `budget` is what is left for those that follow.
//! 2. Of a frame there are in memory its header, some block starts, and one block: encoded, shuffled, and decoded.

use std::ops::Range;

use super::frame::Header;
use super::{Blosc, Filter, HEADER_BYTES, MAX_BYTES, START_BYTES, decode, encode, fault};
use crate::buffer::resize;
use crate::codec::deflate;
use crate::codec::scratch::Scratch;
use crate::codec::stream::Source;
use crate::codec::zstd::Zstd;
use crate::error::{Error, Result};

/// How many block starts are read at once.
const STARTS: usize = 1024;

/// The content of a frame, block after block.
pub(in crate::codec) struct BlockReader<S> {
    source: S,
    /// Where the frame begins in the source, and its size.
    offset: u64,
    frame_len: usize,
    header: Header,
    budget: usize,
    /// The block after the one in `decoded`; of a stored frame unused.
    next: usize,
    /// The last block, of which the bytes from `at` to `end` are still to be given; of a stored frame those positions are in its content.
    decoded: Vec<u8>,
    at: usize,
    end: usize,
    shuffled: Vec<u8>,
    encoded: Vec<u8>,
    /// Encoded starts of the blocks from `first_start`.
    starts: Vec<u8>,
    first_start: usize,
    scratch: Scratch,
}

/// Upper bound of the memory in bytes for reading a frame that begins with `head`; none if that does not tell.
pub(in crate::codec) fn pull_memory(head: &[u8]) -> Option<u64> {
    head.first_chunk().and_then(|head| Header::read(*head).ok()).map(|(header, _)| memory(&header))
}

/// Size of the blocks of the frame that begins with `head`.
pub(in crate::codec) fn block_bytes(head: &[u8]) -> Option<usize> {
    head.first_chunk().and_then(|head| Header::read(*head).ok()).map(|(header, _)| header.block_len)
}

fn memory(header: &Header) -> u64 {
    if header.stored {
        return 0;
    }
    let shuffled = if header.filter_of(header.block_len) == Filter::None { 0 } else { header.block_len };
    let blocks = header.block_len.saturating_add(shuffled).saturating_add(most_encoded(header));
    (blocks as u64 + (STARTS * START_BYTES) as u64).saturating_add(Zstd::DECODE_MEMORY + deflate::DECODE_MEMORY)
}

/// The most bytes of an encoded block: what encoders make, who store a stream that does not get smaller, and something more.
fn most_encoded(header: &Header) -> usize {
    header.block_len.saturating_add(header.block_len / 8).saturating_add(START_BYTES * header.streams(header.block_len) + 64)
}

impl Blosc {
    /// Upper bound of the memory in bytes for reading a frame of `len` bytes block after block, as encoders make it.
    pub(in crate::codec) fn expected_pull_memory(self, len: u64) -> u64 {
        memory(&encode::plan(&self, usize::try_from(len).unwrap_or(MAX_BYTES).clamp(1, MAX_BYTES)))
    }
}

impl<S: Source> BlockReader<S> {
    /// Reads the header of the frame in the part `frame` of a source, which may hold at most `limit` bytes, for at most `most` bytes of memory.
    pub(in crate::codec) fn new(mut source: S, frame: Range<u64>, limit: u64, most: u64) -> Result<Self> {
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let frame_len = size(frame.end.saturating_sub(frame.start));
        let mut head = [0; HEADER_BYTES];
        let head = &mut head[..frame_len.min(HEADER_BYTES)];
        source.read(frame.start, head)?;
        let header = Header::checked(head, frame_len, size(limit))?;
        if memory(&header) > most {
            let (block, needed) = (header.block_len, memory(&header));
            return Err(Error::unsupported(format!(
                "blosc: blocks of {block} bytes take {needed} bytes as a stream; {most} are set apart"
            )));
        }
        let (mut decoded, mut shuffled) = (Vec::new(), Vec::new());
        if !header.stored {
            resize(&mut decoded, header.block_len)?;
            if header.filter_of(header.block_len) != Filter::None {
                resize(&mut shuffled, header.block_len)?;
            }
        }
        Ok(Self {
            source,
            offset: frame.start,
            frame_len,
            header,
            budget: header.budget(frame_len),
            next: 0,
            decoded,
            at: 0,
            end: if header.stored { header.len } else { 0 },
            shuffled,
            encoded: Vec::new(),
            starts: Vec::new(),
            first_start: 0,
            scratch: Scratch::default(),
        })
    }

    /// Puts the next bytes of the content to the beginning of `out`, and returns how many: 0 if there are no more.
    pub(in crate::codec) fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.at == self.end && !self.header.stored && self.next < self.header.blocks() {
            let len = self.header.block(self.next).len();
            if let Some(out) = out.get_mut(..len) {
                self.decode(out)?;
                return Ok(len);
            }
            self.decode_held()?;
        }
        let len = out.len().min(self.end - self.at);
        if self.header.stored {
            self.source.read(self.offset + (HEADER_BYTES + self.at) as u64, &mut out[..len])?;
        } else {
            out[..len].copy_from_slice(&self.decoded[self.at..][..len]);
        }
        self.at += len;
        Ok(len)
    }

    /// Decodes the next block to where it is given from.
    fn decode_held(&mut self) -> Result<()> {
        let len = self.header.block(self.next).len();
        let mut decoded = std::mem::take(&mut self.decoded);
        let result = self.decode(&mut decoded[..len]);
        self.decoded = decoded;
        (self.at, self.end) = (0, len);
        result
    }

    /// Passes over up to `bytes` bytes that are decoded, or stored, or of whole blocks; returns over how many, a multiple of `unit`.
    pub(in crate::codec) fn skip_blocks(&mut self, bytes: u64, unit: u64) -> u64 {
        let (bytes, unit) = (usize::try_from(bytes).unwrap_or(usize::MAX), usize::try_from(unit).unwrap_or(usize::MAX).max(1));
        if self.at < self.end {
            let len = bytes.min(self.end - self.at);
            let len = len - len % unit;
            self.at += len;
            return len as u64;
        }
        if self.header.stored || !self.header.block_len.is_multiple_of(unit) {
            return 0;
        }
        let whole = (bytes / self.header.block_len).min((self.header.len / self.header.block_len).saturating_sub(self.next));
        self.next += whole;
        (whole * self.header.block_len) as u64
    }

    /// Decodes the next block to all of `out`.
    fn decode(&mut self, out: &mut [u8]) -> Result<()> {
        let block = self.next;
        self.load(block, out.len())?;
        let Self { header, budget, shuffled, encoded, scratch, .. } = self;
        decode::block(header, (block, encoded), budget, scratch, (shuffled, out))?;
        self.next += 1;
        Ok(())
    }

    /// Reads a block of `len` bytes to `encoded`.
    fn load(&mut self, block: usize, len: usize) -> Result<()> {
        let start = self.start(block)?;
        self.header.check_start(block, start, self.frame_len)?;
        let most = most_encoded(&self.header).min(self.frame_len - start);
        // Where blocks are in order, the next one begins where this one ends.
        let end = if block + 1 < self.header.blocks() { self.start(block + 1)? } else { self.frame_len };
        let expected = end.checked_sub(start).filter(|&expected| expected > 0).unwrap_or(most).min(most);
        self.read_encoded(start, expected)?;
        if self.extent(len) > expected && expected < most {
            self.read_encoded(start, most)?;
        }
        let extent = self.extent(len);
        if extent > most && most < self.frame_len - start {
            return Err(Error::unsupported(format!(
                "blosc: block {block}, which holds {len} bytes, has streams of {extent} bytes or more, of which a stream takes at most {most}"
            )));
        }
        Ok(())
    }

    fn read_encoded(&mut self, start: usize, len: usize) -> Result<()> {
        resize(&mut self.encoded, len)?;
        self.source.read(self.offset + start as u64, &mut self.encoded)
    }

    /// How many bytes the streams of a block of `len` bytes have, as far as `encoded` tells.
    fn extent(&self, len: usize) -> usize {
        let mut at = 0_usize;
        for _ in 0..self.header.streams(len) {
            let size = self.encoded.get(at..).and_then(<[u8]>::first_chunk).map(|size| i32::from_le_bytes(*size));
            at = at.saturating_add(START_BYTES);
            match size.map(usize::try_from) {
                Some(Ok(size)) => at = at.saturating_add(size),
                // A negative size is found when the block is decoded.
                Some(Err(_)) => return 0,
                None => return at,
            }
        }
        at
    }

    /// Where a block starts in the frame.
    fn start(&mut self, block: usize) -> Result<usize> {
        let known = self.first_start..self.first_start + self.starts.len() / START_BYTES;
        if !known.contains(&block) {
            let count = STARTS.min(self.header.blocks() - block);
            resize(&mut self.starts, count * START_BYTES)?;
            self.source.read(self.offset + (HEADER_BYTES + block * START_BYTES) as u64, &mut self.starts)?;
            self.first_start = block;
        }
        let start = self.starts.get((block - self.first_start) * START_BYTES..).and_then(<[u8]>::first_chunk);
        start.and_then(|start| usize::try_from(u32::from_le_bytes(*start)).ok()).ok_or_else(|| fault(format!("block {block} has no start")))
    }
}
