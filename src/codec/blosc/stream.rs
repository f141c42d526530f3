//! The compressors within a frame: one stream at a time, to a place of known size.

use std::fmt;

use flate2::{Compress, Compression, FlushCompress, FlushDecompress, Status};
use lz4_flex::block::{compress_into_with_table, get_maximum_output_size};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{ErrorCode, get_error_name};

use super::{blosclz, fault};
use crate::buffer::resize;
use crate::codec::lz4::block;
use crate::codec::scratch::Scratch;
use crate::error::{Error, Result};

/// The format of streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    BloscLz,
    Lz4,
    Snappy,
    Zlib,
    Zstd,
}

/// Compressors that one thread reuses.
#[derive(Default)]
pub(in crate::codec) struct Contexts {
    /// By level, each for streams with the header and the checksum of zlib.
    zlib_encoders: Vec<(u32, Compress)>,
}

impl Format {
    /// By the number in a frame's flags.
    pub(super) fn from_code(code: u8) -> Result<Self> {
        Ok(match code {
            0 => Self::BloscLz,
            1 => Self::Lz4,
            2 => Self::Snappy,
            3 => Self::Zlib,
            4 => Self::Zstd,
            _ => return Err(Error::unsupported(format!("blosc compressor number {code}; supported are 0 to 4"))),
        })
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::BloscLz => 0,
            Self::Lz4 => 1,
            Self::Snappy => 2,
            Self::Zlib => 3,
            Self::Zstd => 4,
        }
    }

    /// More than this many bytes never come of one.
    pub(super) fn max_ratio(self) -> usize {
        match self {
            // A byte of a match's length.
            Self::BloscLz | Self::Lz4 => 255,
            // Three bytes for a match of 64.
            Self::Snappy => 22,
            // Two bits for a match of 258.
            Self::Zlib => 1032,
            // Four bytes for a block of 128 KiB.
            Self::Zstd => 32 << 10,
        }
    }

    /// Decompresses `input` to exactly `out`.
    pub(super) fn decompress(self, input: &[u8], out: &mut [u8], scratch: &mut Scratch) -> Result<()> {
        let written = match self {
            Self::BloscLz => blosclz::decompress(input, out).ok_or_else(|| self.broken("it is damaged"))?,
            Self::Lz4 => block::decode(input, out).map_err(|_| self.broken("it is damaged"))?,
            Self::Snappy => snap::raw::Decoder::new().decompress(input, out).map_err(|error| self.broken(error))?,
            Self::Zlib => self.inflate(input, out, scratch)?,
            Self::Zstd => scratch.zstd_decoder()?.decompress(out, input).map_err(|code| self.broken(get_error_name(code)))?,
        };
        if written != out.len() {
            return Err(self.broken(format!("it holds {written} bytes, not {}", out.len())));
        }
        Ok(())
    }

    fn inflate(self, input: &[u8], out: &mut [u8], scratch: &mut Scratch) -> Result<usize> {
        let decoder = scratch.inflater(true);
        match decoder.decompress(input, out, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => Ok(usize::try_from(decoder.total_out()).unwrap_or(usize::MAX)),
            Ok(_) => Err(self.broken("it is cut off, or holds too much")),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(self, what: impl fmt::Display) -> Error {
        fault(format!("a stream of {self}: {what}"))
    }

    /// Compresses `input` to fewer bytes at the beginning of `room`; returns the size, or none if they are not fewer, or do not fit. What is behind
    /// them may change as well. `level` is that of blosc, from 1 to 9.
    pub(super) fn compress(
        self,
        level: u8,
        input: &[u8],
        room: &mut [u8],
        scratch: &mut Scratch,
        spare: &mut Vec<u8>,
    ) -> Result<Option<usize>> {
        let most = room.len().min(input.len().saturating_sub(1));
        if self == Self::Lz4 {
            return lz4(input, room, most, scratch, spare);
        }
        let out = &mut room[..most];
        match self {
            Self::BloscLz => Ok(blosclz::compress(level, input, out)),
            Self::Lz4 | Self::Snappy => Err(Error::unsupported("writing blosc with snappy; lz4 and zstd are read by more programs")),
            Self::Zlib => scratch.blosc.deflate(level.into(), input, out),
            Self::Zstd => match scratch.zstd_encoder(zstd_level(level), false)?.compress2(out, input) {
                Ok(size) => Ok(Some(size)),
                Err(code) if is_too_small(code) => Ok(None),
                Err(code) => Err(Error::unsupported(format!("zstd at level {}: {}", zstd_level(level), get_error_name(code)))),
            },
        }
    }

    /// Bytes of working space for a stream of `len` bytes: the encoder of lz4 wants room for more than its input.
    pub(super) fn spare_bytes(self, len: usize) -> usize {
        if self == Self::Lz4 { get_maximum_output_size(len) } else { 0 }
    }
}

/// Compresses `input` to at most `most` bytes of `room`, by way of `spare` where there is less room than the encoder asks for.
fn lz4(input: &[u8], room: &mut [u8], most: usize, scratch: &mut Scratch, spare: &mut Vec<u8>) -> Result<Option<usize>> {
    let asked = Format::Lz4.spare_bytes(input.len());
    let direct = room.len() >= asked;
    let out = if direct {
        &mut *room
    } else {
        resize(spare, asked.max(spare.len()))?;
        spare.as_mut_slice()
    };
    let size = compress_into_with_table(input, out, scratch.lz4_table()).map_err(|error| Error::unsupported(format!("lz4: {error}")))?;
    if size > most {
        return Ok(None);
    }
    if !direct {
        room[..size].copy_from_slice(&spare[..size]);
    }
    Ok(Some(size))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BloscLz => "blosclz",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        })
    }
}

impl Contexts {
    /// Deflates `input` to the beginning of `out`; none if there is no room.
    ///
    /// An encoder whose stream was broken off is not used again: resetting one of level 1 leaves a block open, and the next stream is damaged.
    fn deflate(&mut self, level: u32, input: &[u8], out: &mut [u8]) -> Result<Option<usize>> {
        let found = self.zlib_encoders.iter().position(|entry| entry.0 == level);
        let found = found.map(|position| self.zlib_encoders.swap_remove(position).1);
        let mut encoder = found.unwrap_or_else(|| Compress::new(Compression::new(level), true));
        encoder.reset();
        match encoder.compress(input, out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => {}
            Ok(_) => return Ok(None),
            Err(error) => return Err(Error::unsupported(format!("zlib: {error}"))),
        }
        let size = usize::try_from(encoder.total_out()).ok();
        self.zlib_encoders.push((level, encoder));
        Ok(size)
    }
}

/// The level of zstd for one of blosc, as c-blosc translates it.
pub(super) fn zstd_level(level: u8) -> i32 {
    if level < 9 { 2 * i32::from(level) - 1 } else { 22 }
}

fn is_too_small(code: ErrorCode) -> bool {
    code == 0_usize.wrapping_sub(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize)
}
