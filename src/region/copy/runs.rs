//! Runs of bytes that are contiguous on both sides, moved one by one; short ones by loads and stores of a length that the compiler knows.

use super::{Axis, for_each};

/// Rows with fewer runs are not worth a division.
const LONG_ROW: usize = 16;

/// Bytes of the pattern from which a short value is repeated.
const PATTERN: usize = 512;

/// Copies runs of `run` bytes: `inner` is the axis along which neighbours are closest in the target, `outer` are the others.
pub(super) fn copy(outer: &[Axis], inner: Axis, run: usize, source: &[u8], target: &mut [u8]) {
    match run {
        1 => rows::<1>(outer, inner, source, target),
        2 => rows::<2>(outer, inner, source, target),
        3 => rows::<3>(outer, inner, source, target),
        4 => rows::<4>(outer, inner, source, target),
        6 => rows::<6>(outer, inner, source, target),
        8 => rows::<8>(outer, inner, source, target),
        12 => rows::<12>(outer, inner, source, target),
        16 => rows::<16>(outer, inner, source, target),
        24 => rows::<24>(outer, inner, source, target),
        32 => rows::<32>(outer, inner, source, target),
        40 => rows::<40>(outer, inner, source, target),
        48 => rows::<48>(outer, inner, source, target),
        64 => rows::<64>(outer, inner, source, target),
        80 => rows::<80>(outer, inner, source, target),
        96 => rows::<96>(outer, inner, source, target),
        128 => rows::<128>(outer, inner, source, target),
        5..64 => rows_of(outer, inner, (source, target), move_overlapping, run),
        _ => rows_of(outer, inner, (source, target), |from, to| to.copy_from_slice(from), run),
    }
}

fn rows_of(outer: &[Axis], inner: Axis, (source, target): (&[u8], &mut [u8]), copy: impl Fn(&[u8], &mut [u8]), run: usize) {
    for_each(outer, (0, 0), &mut |from, to| {
        let (source, target) = (&source[from..], &mut target[to..]);
        for i in 0..inner.len {
            copy(&source[i * inner.from..][..run], &mut target[i * inner.to..][..run]);
        }
    });
}

fn rows<const N: usize>(outer: &[Axis], inner: Axis, source: &[u8], target: &mut [u8]) {
    for_each(outer, (0, 0), &mut |from, to| row::<N>(inner, &source[from..], &mut target[to..]));
}

/// One row of runs of `N` bytes. Chunks as long as the strides leave a long row without bounds checks.
#[inline]
pub(super) fn row<const N: usize>(axis: Axis, source: &[u8], target: &mut [u8]) {
    let mut first = 0;
    if axis.len >= LONG_ROW && axis.from >= N && axis.to >= N {
        first = axis.len - 1;
        let sources = source[..first * axis.from].chunks_exact(axis.from);
        for (from, to) in sources.zip(target[..first * axis.to].chunks_exact_mut(axis.to)) {
            if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
                *to = *from;
            }
        }
    }
    for i in first..axis.len {
        if let (Some(from), Some(to)) = (source[i * axis.from..].first_chunk::<N>(), target[i * axis.to..].first_chunk_mut::<N>()) {
            *to = *from;
        }
    }
}

/// 5 to 63 bytes, as two moves that overlap: the longest of 4, 8, 16 or 32 bytes that is not longer than all of them.
#[inline(always)]
fn move_overlapping(source: &[u8], target: &mut [u8]) {
    fn twice<const N: usize>(source: &[u8], target: &mut [u8]) {
        if let (Some(from), Some(to)) = (source.first_chunk::<N>(), target.first_chunk_mut::<N>()) {
            *to = *from;
        }
        if let (Some(from), Some(to)) = (source.last_chunk::<N>(), target.last_chunk_mut::<N>()) {
            *to = *from;
        }
    }
    match source.len() {
        ..8 => twice::<4>(source, target),
        8..16 => twice::<8>(source, target),
        16..32 => twice::<16>(source, target),
        _ => twice::<32>(source, target),
    }
}

/// Sets rows of `len` neighbours in the target to the run that the source has for the row.
pub(super) fn repeat(outer: &[Axis], len: usize, run: usize, source: &[u8], target: &mut [u8]) {
    let mut pattern = [0; PATTERN];
    let mut repeated = None;
    for_each(outer, (0, 0), &mut |from, to| {
        let (value, row) = (&source[from..][..run], &mut target[to..][..len * run]);
        if run > PATTERN / 2 {
            return row.chunks_exact_mut(run).for_each(|to| to.copy_from_slice(value));
        }
        let pattern = &mut pattern[..PATTERN / run * run];
        if repeated != Some(from) {
            pattern.chunks_exact_mut(run).for_each(|to| to.copy_from_slice(value));
            repeated = Some(from);
        }
        let mut chunks = row.chunks_exact_mut(pattern.len());
        chunks.by_ref().for_each(|to| to.copy_from_slice(pattern));
        let rest = chunks.into_remainder();
        rest.copy_from_slice(&pattern[..rest.len()]);
    });
}
