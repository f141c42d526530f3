//! What one thread reuses from chunk to chunk: codec contexts and intermediate buffers.

use flate2::{Compress, Decompress};
use lz4_flex::block::CompressTable;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, ErrorCode, get_error_name};

use crate::buffer::resize;
use crate::codec::{blosc, deflate};
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
    /// By level and whether there is a zlib wrapper.
    deflaters: Vec<(u32, bool, Compress)>,
    inflater: Option<Decompress>,
    lz4_table: Option<CompressTable>,
    pub(super) blosc: blosc::Contexts,
}

impl Scratch {
    /// An empty buffer, with whatever capacity an earlier use left.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// A buffer with whatever an earlier use left in it.
    pub(super) fn take_used(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
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

    /// The room in bytes of all buffers.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.buffers.iter().map(Vec::capacity).sum()
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

    /// The compressor for deflate streams of this level, bare or in a zlib wrapper, ready for a new one.
    pub(super) fn deflater(&mut self, level: u32, zlib: bool) -> &mut Compress {
        let found = self.deflaters.iter().position(|entry| (entry.0, entry.1) == (level, zlib));
        let position = found.unwrap_or_else(|| {
            self.deflaters.push((level, zlib, deflate::compressor(level, zlib)));
            self.deflaters.len() - 1
        });
        let encoder = &mut self.deflaters[position].2;
        encoder.reset();
        encoder
    }

    /// The decompressor of deflate streams, bare or in a zlib wrapper, ready for a new one.
    pub(super) fn inflater(&mut self, zlib: bool) -> &mut Decompress {
        let decoder = self.inflater.get_or_insert_with(|| Decompress::new(zlib));
        decoder.reset(zlib);
        decoder
    }

    /// The table of the LZ4 compressor; clearing it is left to its user.
    pub(super) fn lz4_table(&mut self) -> &mut CompressTable {
        // Always the large one, so that what is made of a chunk does not depend on the chunks before it.
        self.lz4_table.get_or_insert_with(CompressTable::large)
    }
}
