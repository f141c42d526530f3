//! Boxes copied from one chunk into another, and all chunks of an array into those of another grid.

use crate::grid::{Box, Grid};

/// Of the target, what is filled at a time: it stays in the second-level cache.
const TILE: usize = 256 << 10;

/// Copies what `part` has of both boxes. Both slices hold their box in C order.
pub(crate) fn copy(part: &Box, from: (&Box, &[u8]), to: (&Box, &mut [u8]), item: usize) {
    let (mut loops, mut run) = (Vec::new(), item);
    let (mut step_from, mut step_to) = (item, item);
    let (mut at_from, mut at_to) = (0, 0);
    for axis in (0..part.shape.len()).rev() {
        at_from += (part.start[axis] - from.0.start[axis]) * step_from;
        at_to += (part.start[axis] - to.0.start[axis]) * step_to;
        if loops.is_empty() && step_from == run && step_to == run {
            run *= part.shape[axis];
        } else if part.shape[axis] > 1 {
            loops.push((part.shape[axis], step_from, step_to));
        }
        step_from *= from.0.shape[axis];
        step_to *= to.0.shape[axis];
    }
    loops.reverse();
    let last = |at: usize, step: fn(&(usize, usize, usize)) -> usize| at + loops.iter().map(|l| (l.0 - 1) * step(l)).sum::<usize>() + run;
    assert!(last(at_from, |l| l.1) <= from.1.len() && last(at_to, |l| l.2) <= to.1.len(), "the box lies within both chunks");
    // SAFETY: the last byte of either side lies within its slice, as was just seen, and the slices are distinct.
    unsafe { nested(&loops, from.1.as_ptr().add(at_from), to.1.as_mut_ptr().add(at_to), run) }
}

/// # Safety
///
/// All runs that the loops come to lie within what the pointers may read and write.
unsafe fn nested(loops: &[(usize, usize, usize)], from: *const u8, to: *mut u8, run: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        match loops {
            [] => std::ptr::copy_nonoverlapping(from, to, run),
            [only] => runs(*only, from, to, run),
            [first, rest @ ..] => {
                for at in 0..first.0 {
                    nested(rest, from.add(at * first.1), to.add(at * first.2), run);
                }
            }
        }
    }
}

/// # Safety
///
/// As for [`nested`].
unsafe fn runs(row: (usize, usize, usize), from: *const u8, to: *mut u8, run: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        match run {
            2 => sized::<2>(row, from, to),
            4 => sized::<4>(row, from, to),
            8 => sized::<8>(row, from, to),
            16 => sized::<16>(row, from, to),
            32 => sized::<32>(row, from, to),
            40 => sized::<40>(row, from, to),
            64 => sized::<64>(row, from, to),
            128 => sized::<128>(row, from, to),
            256 => sized::<256>(row, from, to),
            _ => {
                for at in 0..row.0 {
                    std::ptr::copy_nonoverlapping(from.add(at * row.1), to.add(at * row.2), run);
                }
            }
        }
    }
}

/// # Safety
///
/// As for [`nested`].
unsafe fn sized<const RUN: usize>(row: (usize, usize, usize), from: *const u8, to: *mut u8) {
    for at in 0..row.0 {
        // SAFETY: as the caller promises.
        unsafe { std::ptr::copy_nonoverlapping(from.add(at * row.1), to.add(at * row.2), RUN) }
    }
}

/// The parts of a chunk that fill the cache one after the other: halved along the first axis that can be.
fn tiles(chunk: &Box, item: usize) -> Vec<Box> {
    let mut shape = chunk.shape.clone();
    while shape.iter().product::<usize>() * item > TILE {
        let Some(axis) = shape.iter().position(|&edge| edge > 1) else { break };
        shape[axis] = shape[axis].div_ceil(2);
    }
    let mut out = vec![chunk.clone()];
    for axis in 0..shape.len() {
        let cut = |part: Box| {
            let end = part.start[axis] + part.shape[axis];
            let edge = shape[axis];
            (part.start[axis]..end).step_by(edge).map(move |start| {
                let mut piece = part.clone();
                (piece.start[axis], piece.shape[axis]) = (start, edge.min(end - start));
                piece
            })
        };
        out = out.into_iter().flat_map(cut).collect();
    }
    out
}

/// Fills one target chunk, tile by tile, from the decoded chunks of the source.
pub(crate) fn gather(source: &Grid, decoded: &[u8], target: &Box, out: &mut [u8], item: usize) {
    let size = source.chunk_bytes();
    for tile in tiles(target, item) {
        for number in source.meeting(&tile) {
            let chunk = source.chunk(number);
            if let Some(part) = chunk.intersection(&tile) {
                copy(&part, (&chunk, &decoded[number * size..][..size]), (target, out), item);
            }
        }
    }
}

/// Spreads one decoded source chunk over all target chunks.
pub(crate) fn spread(chunk: &Box, decoded: &[u8], target: &Grid, out: &mut [u8], item: usize) {
    let size = target.chunk_bytes();
    for number in target.meeting(chunk) {
        let unit = target.chunk(number);
        if let Some(part) = unit.intersection(chunk) {
            copy(&part, (chunk, decoded), (&unit, &mut out[number * size..][..size]), item);
        }
    }
}
