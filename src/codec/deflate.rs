//! Deflate streams (RFC 1951), bare or in a zlib wrapper (RFC 1950): what the codecs `gzip` and `numcodecs.zlib` share.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::codec::{PIECE_BYTES, Sink};
use crate::error::{Error, Result};

/// The most that deflate makes of one byte: a match of 258 bytes takes two bits.
pub(super) const MAX_RATIO: usize = 1032;

/// Upper bound of the memory in bytes of a compressor (measured: 372 KiB) and the output buffer.
pub(super) const ENCODE_MEMORY: u64 = (400 << 10) + PIECE_BYTES as u64;

/// Upper bound of the memory in bytes of a decompressor (measured: 47 KiB).
pub(super) const DECODE_MEMORY: u64 = 64 << 10;

/// An upper bound of the encoded size of `len` bytes, header and trailer of either codec included: all literals in a fixed code take 9 bits
/// each, and stored blocks a header each.
pub(super) fn encoded_bound(len: u64) -> u64 {
    len.saturating_add(len / 8).saturating_add(len / 64).saturating_add(64)
}

/// A compressor at `level`, bare or in a zlib wrapper.
pub(super) fn compressor(level: u32, zlib: bool) -> Compress {
    // Level 1 of zlib-rs is one of its own, with output half as large again as that of zlib; level 2 is what level 1 is elsewhere.
    Compress::new(Compression::new(if level == 1 { 2 } else { level }), zlib)
}

/// Deflates `input` behind what `piece` holds, passing it on whenever it is full, and ends the stream. What is left over at the end stays in
/// `piece`, with room for a trailer of 8 bytes. `codec` is the name for messages.
pub(super) fn deflate(codec: &str, encoder: &mut Compress, input: &[u8], piece: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<()> {
    deflate_some(codec, encoder, input, FlushCompress::Finish, piece, sink)
}

/// As [`deflate`], but the stream goes on if `flush` is [`FlushCompress::None`].
pub(super) fn deflate_some(
    codec: &str,
    encoder: &mut Compress,
    input: &[u8],
    flush: FlushCompress,
    piece: &mut Vec<u8>,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let goes_on = matches!(flush, FlushCompress::None);
    let mut rest = input;
    loop {
        if goes_on && rest.is_empty() {
            return Ok(());
        }
        let before = encoder.total_in();
        let status = encoder.compress_vec(rest, piece, flush);
        let consumed = encoder.total_in() - before;
        rest = remaining(rest, consumed);
        match status {
            Ok(Status::Ok | Status::BufError) if goes_on && consumed > 0 && piece.len() < piece.capacity() => {}
            Ok(Status::StreamEnd) if piece.len() + 8 <= PIECE_BYTES => return Ok(()),
            Ok(Status::StreamEnd) => return pass_on(piece, sink),
            Ok(_) if !piece.is_empty() => pass_on(piece, sink)?,
            Ok(_) => return Err(Error::unsupported(format!("{codec}: the compressor stopped short"))),
            Err(error) => return Err(Error::unsupported(format!("{codec}: {error}"))),
        }
    }
}

fn pass_on(piece: &mut Vec<u8>, sink: &mut Sink<'_>) -> Result<()> {
    piece.chunks(PIECE_BYTES).try_for_each(sink)?;
    piece.clear();
    Ok(())
}

/// Inflates one stream to the end of `out`, within its capacity, which is more than `limit`; returns what follows it in `input`.
pub(super) fn inflate<'a>(codec: &str, decoder: &mut Decompress, input: &'a [u8], limit: usize, out: &mut Vec<u8>) -> Result<&'a [u8]> {
    let mut rest = input;
    loop {
        let (read, written) = (decoder.total_in(), out.len());
        let status = decoder.decompress_vec(rest, out, FlushDecompress::None);
        let consumed = decoder.total_in() - read;
        rest = remaining(rest, consumed);
        if out.len() > limit {
            return Err(too_long(codec, limit as u64));
        }
        match status {
            Ok(Status::StreamEnd) => return Ok(rest),
            Ok(_) if consumed > 0 || out.len() > written => {}
            Ok(_) => return Err(cut_off(codec)),
            Err(error) => return Err(Error::corrupt(format!("{codec}: {error}"))),
        }
    }
}

fn remaining(input: &[u8], consumed: u64) -> &[u8] {
    usize::try_from(consumed).ok().and_then(|consumed| input.get(consumed..)).unwrap_or_default()
}

pub(super) fn too_long(codec: &str, limit: u64) -> Error {
    Error::corrupt(format!("{codec}: the stream holds more than the {limit} bytes that are expected"))
}

pub(super) fn cut_off(codec: &str) -> Error {
    Error::corrupt(format!("{codec}: the stream is cut off"))
}
