//! What one thread reuses from chunk to chunk: codec contexts and intermediate buffers.

use flate2::{Compress, Compression, Decompress};
use zstd::zstd_safe::{CCtx, CParameter, DCtx, ErrorCode, get_error_name};

use crate::buffer::resize;
use crate::codec::blosc;
use crate::error::{Error, Result};

/// Contexts and buffers of one thread. Making one is cheap; they fill on first use.
///
/// Buffers are a stack: nested uses that give back in the reverse order of taking meet the same buffers, of about the right size, again.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Buffers lent out one at a time, so that nested pipelines each get their own.
    buffers: Vec<Vec<u8>>,
    /// By level and checksum.
    zstd_encoders: Vec<(i32, bool, CCtx<'static>)>,
    zstd_decoder: Option<DCtx<'static>>,
    /// By level.
    gzip_encoders: Vec<(u32, Compress)>,
    gzip_decoder: Option<Decompress>,
    pub(super) blosc: blosc::Contexts,
}

impl Scratch {
    /// An empty buffer, with whatever capacity an earlier use left.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// A buffer of `len` bytes whose contents are left over from earlier uses, so that it need not be cleared.
    pub(crate) fn take_len(&mut self, len: usize) -> Result<Vec<u8>> {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        resize(&mut buffer, len)?;
        Ok(buffer)
    }

    /// Gives a buffer back.
    pub(crate) fn give(&mut self, buffer: Vec<u8>) {
        self.buffers.push(buffer);
    }

    /// The zstd compressor for these parameters. It may be in the middle of a frame that an error broke off.
    pub(super) fn zstd_encoder(&mut self, level: i32, checksum: bool) -> Result<&mut CCtx<'static>> {
        let found = self.zstd_encoders.iter().position(|entry| (entry.0, entry.1) == (level, checksum));
        let position = if let Some(position) = found {
            position
        } else {
            let fault = |code: ErrorCode| Error::unsupported(format!("zstd at level {level}: {}", get_error_name(code)));
            let mut context = CCtx::try_create().ok_or_else(|| Error::no_memory("a zstd compressor"))?;
            context.set_parameter(CParameter::CompressionLevel(level)).map_err(fault)?;
            context.set_parameter(CParameter::ChecksumFlag(checksum)).map_err(fault)?;
            self.zstd_encoders.push((level, checksum, context));
            self.zstd_encoders.len() - 1
        };
        Ok(&mut self.zstd_encoders[position].2)
    }

    /// The zstd decompressor.
    pub(super) fn zstd_decoder(&mut self) -> Result<&mut DCtx<'static>> {
        if self.zstd_decoder.is_none() {
            self.zstd_decoder = DCtx::try_create();
        }
        self.zstd_decoder.as_mut().ok_or_else(|| Error::no_memory("a zstd decompressor"))
    }

    /// A compressor for raw deflate streams of this level, ready for a new one.
    pub(super) fn take_gzip_encoder(&mut self, level: u32) -> Compress {
        let found = self.gzip_encoders.iter().position(|entry| entry.0 == level);
        let found = found.map(|position| self.gzip_encoders.swap_remove(position).1);
        let mut encoder = found.unwrap_or_else(|| Compress::new(Compression::new(level), false));
        encoder.reset();
        encoder
    }

    /// Gives a compressor back whose stream has ended. One whose stream was broken off must not come back: resetting one of level 1 leaves a
    /// block open, and the next stream is damaged.
    pub(super) fn give_gzip_encoder(&mut self, level: u32, encoder: Compress) {
        self.gzip_encoders.push((level, encoder));
    }

    /// The decompressor of raw deflate streams, ready for a new one.
    pub(super) fn gzip_decoder(&mut self) -> &mut Decompress {
        let decoder = self.gzip_decoder.get_or_insert_with(|| Decompress::new(false));
        decoder.reset(false);
        decoder
    }
}
