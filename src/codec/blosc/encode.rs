//! From content to frames: how it is cut into blocks and streams, as c-blosc cuts it, and what is stored as it is.

use super::bitshuffle::bitshuffle;
use super::frame::{Header, may_split, word};
use super::shuffle::shuffle;
use super::stream::Format;
use super::{Blosc, Compressor, Filter, HEADER_BYTES, START_BYTES};
use crate::codec::scratch::Scratch;
use crate::error::Result;

/// Content of fewer bytes is stored as it is, and blocks that are asked for have at least as many.
pub(super) const MIN_BYTES: usize = 128;

/// The largest block; other readers need three times as much.
const MAX_BLOCK_BYTES: usize = (i32::MAX as usize - 255 * 4) / 3;

/// Bounds of a block that is split, and of a stream in it.
const MIN_SPLIT_BYTES: usize = 64 << 10;
const MAX_SPLIT_BYTES: usize = 1 << 20;
const MAX_STREAM_BYTES: usize = 256 << 10;

/// A first-level cache: the measure of blocks where none are asked for.
const CACHE_BYTES: usize = 32 << 10;

/// What the header of a frame of `len` bytes says.
pub(super) fn plan(codec: &Blosc, len: usize) -> Header {
    let typesize = u8::try_from(codec.typesize).unwrap_or(1);
    let format = codec.compressor.format();
    let block_len = block_len(codec, usize::from(typesize), len);
    Header {
        format,
        filter: codec.filter,
        stored: codec.level == 0 || len < MIN_BYTES,
        split: splits(format, typesize, block_len),
        typesize,
        len,
        block_len,
    }
}

/// Whether blocks are split: all but those of zstd, as all versions of c-blosc can read them.
fn splits(format: Format, typesize: u8, block_len: usize) -> bool {
    format != Format::Zstd && may_split(typesize, block_len)
}

fn block_len(codec: &Blosc, typesize: usize, len: usize) -> usize {
    if len < typesize {
        return 1;
    }
    // Codecs that compress much gain by larger blocks.
    let thorough = matches!(codec.compressor, Compressor::Lz4Hc | Compressor::Zlib | Compressor::Zstd);
    let asked = usize::try_from(codec.block_size).unwrap_or(usize::MAX);
    let mut size = match codec.level {
        _ if asked > 0 => asked.clamp(MIN_BYTES, MAX_BLOCK_BYTES),
        _ if len < CACHE_BYTES => len,
        level => {
            let quarters = [1, 2, 4, 8, 16, 16, 32, 32, 32, if thorough { 64 } else { 32 }];
            let base = if thorough { 2 * CACHE_BYTES } else { CACHE_BYTES };
            base / 4 * quarters[usize::from(level.min(9))]
        }
    };
    if codec.level > 0 && splits(codec.compressor.format(), u8::try_from(typesize).unwrap_or(1), size) {
        size = (size.min(MAX_STREAM_BYTES) * typesize).clamp(MIN_SPLIT_BYTES, MAX_SPLIT_BYTES);
    }
    size = size.min(len);
    if size > typesize { size - size % typesize } else { size }
}

/// Encodes `input` to the beginning of `frame`, which has room for [`Blosc::encoded_bound`]; returns the length of the frame.
pub(super) fn frame(codec: &Blosc, input: &[u8], scratch: &mut Scratch, frame: &mut [u8]) -> Result<usize> {
    let mut header = plan(codec, input.len());
    if !header.stored {
        let mut shuffled = scratch.take_len(header.block_len)?;
        let mut spare = scratch.take();
        let mut blocks = Blocks { header: &header, level: codec.level, frame, end: header.starts_end(), spare: &mut spare };
        let fits = blocks.write(input, scratch, &mut shuffled)?;
        let end = blocks.end;
        scratch.give(spare);
        scratch.give(shuffled);
        if fits {
            frame[..HEADER_BYTES].copy_from_slice(&header.to_bytes(end));
            return Ok(end);
        }
        header.stored = true;
    }
    let end = HEADER_BYTES + input.len();
    frame[..HEADER_BYTES].copy_from_slice(&header.to_bytes(end));
    frame[HEADER_BYTES..end].copy_from_slice(input);
    Ok(end)
}

/// A frame while its blocks are written.
pub(super) struct Blocks<'a> {
    pub(super) header: &'a Header,
    pub(super) level: u8,
    /// All the room there is.
    pub(super) frame: &'a mut [u8],
    /// End of what has been written.
    pub(super) end: usize,
    pub(super) spare: &'a mut Vec<u8>,
}

impl Blocks<'_> {
    /// Writes all blocks and where they start; false if there is no room for them, since they do not compress.
    fn write(&mut self, input: &[u8], scratch: &mut Scratch, shuffled: &mut [u8]) -> Result<bool> {
        if self.end > self.frame.len() {
            return Ok(false);
        }
        for (block, content) in input.chunks(self.header.block_len).enumerate() {
            let at = HEADER_BYTES + START_BYTES * block;
            self.frame[at..at + START_BYTES].copy_from_slice(&word(self.end));
            if !self.write_block(content, scratch, shuffled)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a block.
    pub(super) fn write_block(&mut self, content: &[u8], scratch: &mut Scratch, shuffled: &mut [u8]) -> Result<bool> {
        let (typesize, shuffled) = (usize::from(self.header.typesize), &mut shuffled[..content.len()]);
        let content = match self.header.filter_of(content.len()) {
            Filter::None => content,
            Filter::Shuffle => {
                shuffle(typesize, content, shuffled);
                shuffled
            }
            Filter::BitShuffle => {
                bitshuffle(typesize, content, shuffled);
                shuffled
            }
        };
        let stream_len = content.len() / self.header.streams(content.len());
        for stream in content.chunks_exact(stream_len) {
            if !self.write_stream(stream, scratch)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a stream: compressed if that makes it shorter, otherwise as it is.
    fn write_stream(&mut self, stream: &[u8], scratch: &mut Scratch) -> Result<bool> {
        let Some((size, room)) = self.frame.get_mut(self.end..).and_then(<[u8]>::split_first_chunk_mut) else { return Ok(false) };
        let written = match self.header.format.compress(self.level, stream, room, scratch, self.spare)? {
            Some(written) if written > 0 => written,
            _ => {
                let Some(room) = room.get_mut(..stream.len()) else { return Ok(false) };
                room.copy_from_slice(stream);
                stream.len()
            }
        };
        *size = word(written);
        self.end += START_BYTES + written;
        Ok(true)
    }
}
