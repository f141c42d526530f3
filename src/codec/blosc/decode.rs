//! From frames to content: all of it, or the blocks that are wanted.

use std::ops::Range;

use super::bitshuffle::bitunshuffle;
use super::frame::{Frame, Header};
use super::shuffle::unshuffle;
use super::{Filter, START_BYTES, fault};
use crate::buffer::{filled, resize, zeroed};
use crate::codec::scratch::Scratch;
use crate::error::Result;

/// Decodes a frame to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
pub(super) fn all(input: &[u8], limit: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
    let frame = Frame::read(input, limit)?;
    set_len(out, frame.header.len)?;
    blocks(&frame, |_| true, scratch, out).map(|_| ())
}

/// Decodes of a frame that holds `len` bytes those blocks that meet one of `parts`, each to its place in `out`, which then has `len` bytes; all
/// others are left over from earlier uses of the buffer. Returns the number of blocks decoded.
pub(super) fn parts(input: &[u8], len: usize, parts: &[Range<usize>], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<usize> {
    let frame = Frame::read(input, len)?;
    if frame.header.len != len {
        return Err(fault(format!("the frame holds {} bytes, expected {len}", frame.header.len)));
    }
    set_len(out, len)?;
    let block_len = frame.header.block_len;
    let mut wanted = filled(frame.header.blocks(), false)?;
    for part in parts.iter().filter(|part| !part.is_empty()) {
        let last = wanted.len().min((part.end - 1) / block_len + 1);
        wanted.get_mut(part.start / block_len..last).unwrap_or_default().fill(true);
    }
    blocks(&frame, |block| wanted[block], scratch, out)
}

/// Sets the length of the output. Memory that is new is zero without being touched.
fn set_len(out: &mut Vec<u8>, len: usize) -> Result<()> {
    if out.capacity() < len {
        *out = Vec::new();
        *out = zeroed(len)?;
    }
    resize(out, len)
}

/// Decodes the blocks that are wanted; `out` has the length of the content.
fn blocks(frame: &Frame<'_>, wanted: impl Fn(usize) -> bool, scratch: &mut Scratch, out: &mut [u8]) -> Result<usize> {
    let header = &frame.header;
    let filtered = !header.stored && header.filter_of(header.block_len) != Filter::None;
    let mut shuffled = if filtered { scratch.take_len(header.block_len)? } else { Vec::new() };
    let (mut count, mut budget) = (0, frame.budget());
    for (block, out) in out.chunks_mut(header.block_len).enumerate() {
        if !wanted(block) {
            continue;
        }
        count += 1;
        if let Some(content) = frame.stored() {
            out.copy_from_slice(&content[header.block(block)]);
            continue;
        }
        self::block(header, (block, frame.block_bytes(block)?), &mut budget, scratch, (&mut shuffled, out))?;
    }
    if filtered {
        scratch.give(shuffled);
    }
    Ok(count)
}

/// Decodes a block, which begins with `bytes`, to all of `out`; `shuffled` is working space.
pub(super) fn block(
    header: &Header,
    (block, bytes): (usize, &[u8]),
    budget: &mut usize,
    scratch: &mut Scratch,
    (shuffled, out): (&mut [u8], &mut [u8]),
) -> Result<()> {
    let typesize = usize::from(header.typesize);
    match header.filter_of(out.len()) {
        Filter::None => streams(header, block, bytes, budget, scratch, out)?,
        filter => {
            let shuffled = &mut shuffled[..out.len()];
            streams(header, block, bytes, budget, scratch, shuffled)?;
            if filter == Filter::Shuffle { unshuffle(typesize, shuffled, out) } else { bitunshuffle(typesize, shuffled, out) }
        }
    }
    Ok(())
}

/// Decompresses the streams of a block, which begins with `bytes`, one behind the other to all of `out`. Their sizes are taken from `budget`.
fn streams(header: &Header, block: usize, mut bytes: &[u8], budget: &mut usize, scratch: &mut Scratch, out: &mut [u8]) -> Result<()> {
    let stream_len = out.len() / header.streams(out.len());
    for out in out.chunks_exact_mut(stream_len) {
        let size = bytes.first_chunk::<START_BYTES>().and_then(|size| usize::try_from(i32::from_le_bytes(*size)).ok());
        let Some((stream, rest)) = size.and_then(|size| bytes[START_BYTES..].split_at_checked(size)) else {
            return Err(fault(format!("block {block}: a stream is not within the frame")));
        };
        if stream.len() == stream_len {
            out.copy_from_slice(stream);
        } else {
            // Long streams of which little comes, shared by many blocks, would take for ever.
            *budget = budget.checked_sub(stream.len()).ok_or_else(|| fault(format!("block {block}: too many blocks share their bytes")))?;
            header.format.decompress(stream, out, scratch)?;
        }
        bytes = rest;
    }
    Ok(())
}
