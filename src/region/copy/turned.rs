//! Items whose neighbours in the source are not their neighbours in the target: two axes change places, in blocks.
//!
//! A panel of the target is put together on the stack: some lines wide in the source and some long in the target, so that on both sides
//! whole lines are touched, and once, whatever the strides. Powers of two among these would otherwise put all lines of a block into few sets
//! of the cache. Within a panel, squares of items that fit in words turn in registers. Panels of a strip, which is a page wide in the
//! source, follow one another along the source, so that few pages are in use at a time.

use super::stream::{prefetch, store_rows};
use super::{Axis, for_each, runs};

/// A line of the cache, in bytes. Rows of a panel are a line longer than what they hold: at powers of two they would share few sets.
const LINE: usize = 64;

/// How many source rows ahead of their use lines are asked for.
const AHEAD: usize = 8;

/// A block of so few bytes is in the cache as a whole.
const SMALL: usize = 1024;

/// Blocks of fewer bytes are worth no more than a small panel.
const MEDIUM: usize = 128 << 10;

/// Boxes of so many bytes leave the cache before anyone reads them, and are written past it.
const LARGE: usize = 4 << 20;

/// Rows with fewer bytes than these have too few whole lines to gain from going past the cache.
const LONG: usize = 256;

/// In a series of blocks, rows of fewer items take longer than the series does.
const SHORT_ROW: usize = 8;

/// Bytes of both sides that stay in the fastest cache.
const NEAR: usize = 8 << 10;

/// Bytes of a page; a strip is as wide in the source, so that pages are not left before they are used up.
const PAGE: usize = 4096;

/// The most rows of the target in a strip: about as many pages are addressed without a walk.
const STRIP_ROWS: usize = 1024;

/// Bytes of a word.
const WORD: usize = 8;

/// Copies items of `run` bytes, below 64: neighbours along `across` are closest in the source, those along `inner` in the target.
pub(super) fn copy(others: &[Axis], across: Axis, inner: Axis, run: usize, source: &[u8], target: &mut [u8]) {
    // Sizes of panels as measured, 60 to 140 KiB of stack; the last number is a power of two plus a line, or nearly.
    match run {
        _ if across.from != run || inner.to != run => loose(others, across, inner, run, source, target),
        1 => sized::<1, 64, 128, 576>(others, across, inner, source, target),
        2 => sized::<2, 32, 128, 1088>(others, across, inner, source, target),
        3 => sized::<3, 21, 128, 576>(others, across, inner, source, target),
        4 => sized::<4, 16, 128, 1088>(others, across, inner, source, target),
        6 => sized::<6, 16, 96, 640>(others, across, inner, source, target),
        8 => sized::<8, 16, 64, 2112>(others, across, inner, source, target),
        12 => sized::<12, 16, 64, 1088>(others, across, inner, source, target),
        16 => sized::<16, 16, 16, 4160>(others, across, inner, source, target),
        24 => sized::<24, 16, 64, 1088>(others, across, inner, source, target),
        32 => sized::<32, 16, 64, 1088>(others, across, inner, source, target),
        _ => loose(others, across, inner, run, source, target),
    }
}

/// Edge of the square of items in which other items are turned.
const BLOCK: usize = 16;

/// Items that have gaps between them on one side, or a size without a case of its own.
fn loose(others: &[Axis], across: Axis, inner: Axis, run: usize, source: &[u8], target: &mut [u8]) {
    for_each(others, (0, 0), &mut |from, to| {
        for row in (0..across.len).step_by(BLOCK) {
            let rows = Axis { len: BLOCK.min(across.len - row), ..across };
            for column in (0..inner.len).step_by(BLOCK) {
                let columns = Axis { len: BLOCK.min(inner.len - column), ..inner };
                let source = &source[from + row * across.from + column * inner.from..];
                runs::copy(&[rows], columns, run, source, &mut target[to + row * across.to + column * inner.to..]);
            }
        }
    });
}

/// Items of `N` bytes without gaps: one by one in small blocks, otherwise in panels of `FEW` or `MANY` rows, the latter of `W` bytes.
fn sized<const N: usize, const FEW: usize, const MANY: usize, const W: usize>(
    others: &[Axis],
    across: Axis,
    inner: Axis,
    source: &[u8],
    target: &mut [u8],
) {
    let bytes = across.len * inner.len * N;
    if bytes <= SMALL {
        one_by_one::<N>(others, across, inner, source, target);
    } else if bytes <= MEDIUM {
        in_panels::<N, FEW, 320>(others, across, inner, source, target);
    } else {
        in_panels::<N, MANY, W>(others, across, inner, source, target);
    }
}

/// Small blocks, each of which is in the cache as a whole; of a series of them, as many at once as stay there.
fn one_by_one<const N: usize>(others: &[Axis], across: Axis, inner: Axis, source: &[u8], target: &mut [u8]) {
    let (others, series) = match others {
        [others @ .., last] => (others, *last),
        [] => (others, Axis { len: 1, from: 0, to: 0 }),
    };
    let together = NEAR / (across.len * inner.len * N);
    for_each(others, (0, 0), &mut |from, to| {
        for first in (0..series.len).step_by(together) {
            let series = Axis { len: together.min(series.len - first), ..series };
            let (source, target) = (&source[from + first * series.from..], &mut target[to + first * series.to..]);
            if inner.len < SHORT_ROW {
                for j in 0..across.len {
                    for i in 0..inner.len {
                        runs::row::<N>(series, &source[j * N + i * inner.from..], &mut target[j * across.to + i * N..]);
                    }
                }
            } else {
                for k in 0..series.len {
                    for j in 0..across.len {
                        runs::row::<N>(inner, &source[k * series.from + j * N..], &mut target[k * series.to + j * across.to..]);
                    }
                }
            }
        }
    });
}

/// In panels of `C` rows of `W` bytes.
fn in_panels<const N: usize, const C: usize, const W: usize>(others: &[Axis], across: Axis, inner: Axis, source: &[u8], target: &mut [u8]) {
    let bytes = others.iter().fold(across.len * inner.len * N, |bytes, axis| bytes * axis.len);
    let mut panel = [[0; W]; C];
    let most = (W - LINE) / N;
    let strip = STRIP_ROWS.min(PAGE / N).next_multiple_of(C);
    for_each(others, (0, 0), &mut |from, to| {
        for left in (0..across.len).step_by(strip) {
            let right = across.len.min(left + strip);
            for row in (0..inner.len).step_by(most) {
                let rows = most.min(inner.len - row);
                for column in (left..right).step_by(C) {
                    let columns = C.min(right - column);
                    let source = &source[from + row * inner.from + column * N..];
                    fill::<N, C, W>(&mut panel, (rows, columns), source, inner.from);
                    let target = &mut target[to + column * across.to + row * N..];
                    store_rows(&panel[..columns], rows * N, target, across.to, bytes >= LARGE && rows * N >= LONG);
                }
            }
        }
    });
}

/// Fills `rows` columns of the first `columns` rows of a panel from as many rows of the source, which are `stride` bytes apart.
fn fill<const N: usize, const C: usize, const W: usize>(
    panel: &mut [[u8; W]; C],
    (rows, columns): (usize, usize),
    source: &[u8],
    stride: usize,
) {
    let height = WORD.div_ceil(N);
    let in_squares = if LINE.is_multiple_of(N) { (rows / height * height, columns / (LINE / N) * (LINE / N)) } else { (0, 0) };
    for i in (0..in_squares.0).step_by(height) {
        for k in i..i + height {
            for line in (0..columns * N).step_by(LINE) {
                prefetch(source, (k + AHEAD).wrapping_mul(stride).wrapping_add(line));
            }
            // The line that a row which is not aligned ends in.
            prefetch(source, (k + AHEAD).wrapping_mul(stride).wrapping_add(columns * N - 1));
        }
        for j in (0..in_squares.1).step_by(LINE / N) {
            let (source, panel) = (&source[i * stride + j * N..], &mut panel[j..j + LINE / N]);
            match N {
                1 => squares::<N, W, 8>(panel, i, source, stride, turn_bytes),
                2 => squares::<N, W, 4>(panel, i, source, stride, turn_pairs),
                4 => squares::<N, W, 2>(panel, i, source, stride, turn_halves),
                _ => squares::<N, W, 1>(panel, i, source, stride, |_| ()),
            }
        }
    }
    items::<N, W>(&mut panel[in_squares.1..columns], 0..in_squares.0, &source[in_squares.1 * N..], stride);
    items::<N, W>(&mut panel[..columns], in_squares.0..rows, source, stride);
}

/// Fills the columns `range` of the panel item by item.
fn items<const N: usize, const W: usize>(panel: &mut [[u8; W]], range: std::ops::Range<usize>, source: &[u8], stride: usize) {
    if panel.is_empty() {
        return;
    }
    for i in range {
        let (items, _) = source[i * stride..][..panel.len() * N].as_chunks::<N>();
        for (item, row) in items.iter().zip(panel.iter_mut()) {
            if let Some(to) = row[i * N..].first_chunk_mut::<N>() {
                *to = *item;
            }
        }
    }
}

/// A line of each of `K` rows, as columns of the panel: `K` items of `N` bytes are a word, or `K` is 1.
#[inline(always)]
fn squares<const N: usize, const W: usize, const K: usize>(
    panel: &mut [[u8; W]],
    first: usize,
    source: &[u8],
    stride: usize,
    turn: impl Fn(&mut [u64; K]),
) {
    let mut lines = [[0; WORD]; K];
    for (k, line) in lines.iter_mut().enumerate() {
        if let Some(bytes) = source[k * stride..].first_chunk::<64>() {
            let (words, _) = bytes.as_chunks::<WORD>();
            for (word, bytes) in line.iter_mut().zip(words) {
                *word = u64::from_le_bytes(*bytes);
            }
        }
    }
    (0..WORD).for_each(|b| {
        let mut square = std::array::from_fn(|k| lines[k][b]);
        turn(&mut square);
        for (k, word) in square.iter().enumerate() {
            // An item of two words goes to one row.
            let (row, at) = if N > WORD { (b * WORD / N, first * N + b * WORD % N) } else { (b * K + k, first * N) };
            if let Some(to) = panel[row][at..].first_chunk_mut::<WORD>() {
                *to = word.to_le_bytes();
            }
        }
    });
}

/// Exchanges the bytes of `a` that `mask` has after a shift by `shift` with those of `b` that it has as it is.
#[inline(always)]
fn exchange(words: &mut [u64], a: usize, b: usize, shift: u32, mask: u64) {
    let moved = ((words[a] >> shift) ^ words[b]) & mask;
    words[b] ^= moved;
    words[a] ^= moved << shift;
}

#[inline(always)]
fn turn_halves(words: &mut [u64; 2]) {
    exchange(words, 0, 1, 32, 0xffff_ffff);
}

#[inline(always)]
fn turn_pairs(words: &mut [u64; 4]) {
    for k in 0..2 {
        exchange(words, k, k + 2, 32, 0xffff_ffff);
    }
    for k in [0, 2] {
        exchange(words, k, k + 1, 16, 0x0000_ffff_0000_ffff);
    }
}

#[inline(always)]
fn turn_bytes(words: &mut [u64; 8]) {
    for k in 0..4 {
        exchange(words, k, k + 4, 32, 0xffff_ffff);
    }
    for k in [0, 1, 4, 5] {
        exchange(words, k, k + 2, 16, 0x0000_ffff_0000_ffff);
    }
    for k in [0, 2, 4, 6] {
        exchange(words, k, k + 1, 8, 0x00ff_00ff_00ff_00ff);
    }
}
