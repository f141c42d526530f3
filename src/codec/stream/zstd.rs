//! Zstd frames slab after slab. The decoder keeps a window of what it has made, whose size the frame says, within what was set apart for it.

use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer};

use super::input::{Input, Pull};
use crate::buffer::resize;
use crate::codec::zstd::{Zstd, decode_fault};
use crate::codec::{PIECE_BYTES, Sink};
use crate::error::{Error, Result};

/// The largest block.
const BLOCK_BYTES: u64 = 128 << 10;

/// Bounds of the logarithm of a window that a decoder can be told.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 10..=31;

/// Logarithms of the windows that encoders take for large inputs, by level: first all negative ones, then 0 to 22.
const ENCODER_WINDOW_LOG: [u32; 24] = [19, 21, 19, 20, 21, 21, 21, 21, 21, 21, 22, 22, 22, 22, 22, 22, 22, 22, 23, 23, 23, 25, 26, 27];

const MAGIC: u32 = 0xfd2f_b528;

impl Zstd {
    /// The window that encoders take at this level for `len` bytes.
    pub(super) fn expected_window(self, len: u64) -> u64 {
        let row = usize::try_from(self.level().saturating_add(1)).unwrap_or(0).min(ENCODER_WINDOW_LOG.len() - 1);
        (1 << ENCODER_WINDOW_LOG[row]).min(len.checked_next_power_of_two().unwrap_or(u64::MAX))
    }

    /// Upper bound of the memory in bytes of a decoder of frames with windows of up to `window` bytes, rounded up to a power of two.
    pub(super) fn pull_memory(window: u64) -> u64 {
        let window = window.checked_next_power_of_two().unwrap_or(u64::MAX).max(1 << WINDOW_LOG.start());
        // The window, the block that is read, and the two that may be written around the end of the window, with some room behind each.
        let block = window.min(BLOCK_BYTES);
        window.saturating_add(3 * block + 256).saturating_add(Self::DECODE_MEMORY)
    }

    /// Upper bound of the memory in bytes of an encoder of `len` bytes.
    pub(super) fn push_memory(self, len: u64) -> u64 {
        Self::context_memory(self.level(), len) + PIECE_BYTES as u64
    }
}

/// The window of the frame that begins with `head`; none if that does not tell.
pub(super) fn window(head: &[u8]) -> Option<u64> {
    let (magic, rest) = head.split_first_chunk()?;
    let (&descriptor, rest) = rest.split_first()?;
    if u32::from_le_bytes(*magic) != MAGIC {
        return None;
    }
    let single_segment = descriptor & 0x20 != 0;
    if !single_segment {
        let byte = u64::from(*rest.first()?);
        let base = 1_u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * (byte & 7));
    }
    let rest = rest.get([0, 1, 2, 4][usize::from(descriptor & 3)]..)?;
    Some(match descriptor >> 6 {
        0 => u64::from(*rest.first()?),
        1 => u64::from(u16::from_le_bytes(*rest.first_chunk()?)) + 256,
        2 => u64::from(u32::from_le_bytes(*rest.first_chunk()?)),
        _ => u64::from_le_bytes(*rest.first_chunk()?),
    })
}

/// The content of frames.
pub(super) struct ZstdPull<'a> {
    input: Input<'a>,
    decoder: DCtx<'static>,
    /// Whether a frame has ended, and the next one has not begun.
    between: bool,
    window_log: u32,
    /// What may still come.
    left: u64,
    limit: u64,
}

impl<'a> ZstdPull<'a> {
    /// `limit` is the most bytes that may come, `memory` what the decoder may take for windows: at least [`Zstd::pull_memory`] of the smallest.
    pub(super) fn new(limit: u64, memory: u64, input: Input<'a>) -> Result<Self> {
        let mut decoder = DCtx::try_create().ok_or_else(|| Error::no_memory("a zstd decompressor"))?;
        let window_log = WINDOW_LOG.rev().find(|log| Zstd::pull_memory(1 << log) <= memory).unwrap_or(*WINDOW_LOG.start());
        decoder.set_parameter(DParameter::WindowLogMax(window_log)).map_err(|code| decode_fault(code, limit))?;
        Ok(Self { input, decoder, between: false, window_log, left: limit, limit })
    }

    fn fault(&self, code: ErrorCode) -> Error {
        if code == 0_usize.wrapping_sub(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge as usize) {
            let most = 1_u64 << self.window_log;
            let what =
                format!("a zstd frame with a window of more than {most} bytes, for which there is room when it is decoded as a stream");
            return Error::unsupported(what);
        }
        decode_fault(code, self.limit)
    }
}

impl Pull for ZstdPull<'_> {
    fn pull(&mut self, out: &mut [u8]) -> Result<usize> {
        loop {
            let bytes = self.input.fill()?;
            let ended = bytes.is_empty();
            if ended && self.between {
                return Ok(0);
            }
            let (mut source, mut target) = (InBuffer::around(bytes), OutBuffer::around(&mut *out));
            let hint = self.decoder.decompress_stream(&mut target, &mut source);
            let (read, made) = (source.pos(), target.pos());
            let hint = hint.map_err(|code| self.fault(code))?;
            self.input.consume(read);
            self.between = hint == 0;
            self.left = self.left.checked_sub(made as u64).ok_or_else(|| decode_fault(too_small(), self.limit))?;
            if made > 0 {
                return Ok(made);
            }
            if ended && !self.between {
                return Err(Error::corrupt("zstd: the last frame is cut off, or bytes follow it that are no frame"));
            }
        }
    }
}

/// What libzstd says of output for which there is no room.
fn too_small() -> ErrorCode {
    0_usize.wrapping_sub(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize)
}

/// One frame in the making, which says its content size.
pub(super) struct ZstdPush {
    codec: Zstd,
    encoder: CCtx<'static>,
    piece: Vec<u8>,
}

impl ZstdPush {
    pub(super) fn new(codec: Zstd, len: u64) -> Result<Self> {
        let fault = |code| codec.encode_fault(code);
        let mut encoder = CCtx::try_create().ok_or_else(|| Error::no_memory("a zstd compressor"))?;
        encoder.set_parameter(CParameter::CompressionLevel(codec.level())).map_err(fault)?;
        encoder.set_parameter(CParameter::ChecksumFlag(codec.checksum())).map_err(fault)?;
        encoder.set_pledged_src_size(Some(len)).map_err(fault)?;
        let mut piece = Vec::new();
        resize(&mut piece, PIECE_BYTES)?;
        Ok(Self { codec, encoder, piece })
    }

    /// Encodes `input`; `last` if nothing follows it.
    pub(super) fn push(&mut self, input: &[u8], last: bool, sink: &mut Sink<'_>) -> Result<()> {
        self.codec.compress(&mut self.encoder, input, last, &mut self.piece, sink)
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.encoder.sizeof() + self.piece.capacity()
    }
}
