//! The strided copy between two boxes: the hot loop of the project.
//!
//! The axes are first reduced to what matters (unit axes dropped, axes that are contiguous on both sides merged, the fastest axis of the
//! target innermost). What is left are runs that are contiguous on both sides. Long ones move as slices and short ones by loops specialised
//! on their length ([`runs`]); where source and target disagree on the fastest axis, those two axes are turned in blocks ([`turned`]), of
//! which the large ones bypass the cache on their way out ([`stream`]).

use super::{MAX_RANK, to_usize};

mod runs;
mod stream;
mod turned;

/// Where a box lies in a buffer: byte offset of its first element and bytes between neighbours along each axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BoxLayout<'a> {
    pub(crate) offset: usize,
    pub(crate) strides: &'a [usize],
}

impl<'a> BoxLayout<'a> {
    /// The layout of the box that starts at index `start` of a buffer with `strides`.
    pub(crate) fn at(start: &[u64], strides: &'a [usize]) -> Self {
        let offset = start.iter().zip(strides).map(|(&index, &stride)| to_usize(index) * stride).sum();
        Self { offset, strides }
    }
}

/// One axis of a reduced copy: length, and stride in bytes on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Axis {
    len: usize,
    from: usize,
    to: usize,
}

/// Most boxes have few axes; working space for all that there may be would cost the small ones among them more than their bytes do.
const USUAL_RANK: usize = 6;

/// Turning pays for runs that are shorter than a cache line.
const TURNED_RUN: usize = 64;

/// Copies the box of `shape` elements of `item_size` bytes from `source` to `target`. Strides of 0 repeat what the source has.
///
/// # Panics
/// If the box reaches outside one of the buffers.
pub(crate) fn copy_box(shape: &[u64], item_size: usize, source: &[u8], from: BoxLayout<'_>, target: &mut [u8], to: BoxLayout<'_>) {
    assert!(shape.len() <= MAX_RANK && shape.len() == from.strides.len() && shape.len() == to.strides.len(), "rank of a copied box");
    if shape.contains(&0) || item_size == 0 {
        return;
    }
    let source = &source[from.offset..];
    let target = &mut target[to.offset..];
    // From here on no offset passes the length of its buffer, so that none overflows.
    assert!(span(shape, item_size, from.strides) <= source.len(), "a copied box reaches outside its source");
    assert!(span(shape, item_size, to.strides) <= target.len(), "a copied box reaches outside its target");
    if shape.len() <= USUAL_RANK {
        let mut axes = [Axis::default(); USUAL_RANK];
        let (count, run) = reduce(shape, item_size, from.strides, to.strides, &mut axes);
        copy_axes(&mut axes[..count], run, source, target);
    } else {
        let mut axes = [Axis::default(); MAX_RANK];
        let (count, run) = reduce(shape, item_size, from.strides, to.strides, &mut axes);
        copy_axes(&mut axes[..count], run, source, target);
    }
}

/// Bytes from the first of a box to its last; saturates.
fn span(shape: &[u64], item_size: usize, strides: &[usize]) -> usize {
    let reach = |(&len, &stride): (&u64, &usize)| to_usize(len - 1).saturating_mul(stride);
    shape.iter().zip(strides).map(reach).fold(item_size, usize::saturating_add)
}

/// Drops unit axes, orders by target stride, merges; returns how many axes are left and the length in bytes of a contiguous run.
fn reduce(shape: &[u64], item_size: usize, from: &[usize], to: &[usize], axes: &mut [Axis]) -> (usize, usize) {
    let mut count = 0;
    for ((&len, &from), &to) in shape.iter().zip(from).zip(to) {
        if len != 1 {
            let mut place = count;
            while place > 0 && (axes[place - 1].to, axes[place - 1].from) < (to, from) {
                axes[place] = axes[place - 1];
                place -= 1;
            }
            axes[place] = Axis { len: to_usize(len), from, to };
            count += 1;
        }
    }
    let mut run = item_size;
    while count > 0 && axes[count - 1].from == run && axes[count - 1].to == run {
        run *= axes[count - 1].len;
        count -= 1;
    }
    let mut kept = 0;
    for next in 0..count {
        let axis = axes[next];
        if kept > 0 && axes[kept - 1].from == axis.from * axis.len && axes[kept - 1].to == axis.to * axis.len {
            axes[kept - 1] = Axis { len: axes[kept - 1].len * axis.len, ..axis };
        } else {
            axes[kept] = axis;
            kept += 1;
        }
    }
    (kept, run)
}

fn copy_axes(axes: &mut [Axis], run: usize, source: &[u8], target: &mut [u8]) {
    let Some((&mut inner, outer)) = axes.split_last_mut() else {
        return target[..run].copy_from_slice(&source[..run]);
    };
    if inner.from == 0 && inner.to == run {
        runs::repeat(outer, inner.len, run, source, target);
    } else if let Some(across) = fastest_in_source(outer, inner).filter(|_| run < TURNED_RUN) {
        // The order of the others stays.
        outer[across..].rotate_left(1);
        let Some((&mut across, others)) = outer.split_last_mut() else { return };
        turned::copy(others, across, inner, run, source, target);
    } else {
        runs::copy(outer, inner, run, source, target);
    }
}

/// The axis other than the last along which the source is faster than along the last, if there is one.
fn fastest_in_source(outer: &[Axis], inner: Axis) -> Option<usize> {
    let (position, fastest) = outer.iter().enumerate().min_by_key(|(_, axis)| axis.from)?;
    (fastest.from < inner.from).then_some(position)
}

/// Calls `visit` with the offsets on both sides of each combination of indices along `axes`, the last axis fastest.
fn for_each(axes: &[Axis], (from, to): (usize, usize), visit: &mut impl FnMut(usize, usize)) {
    match axes {
        [] => visit(from, to),
        [last] => (0..last.len).for_each(|i| visit(from + i * last.from, to + i * last.to)),
        [first, rest @ ..] => (0..first.len).for_each(|i| for_each(rest, (from + i * first.from, to + i * first.to), visit)),
    }
}

#[cfg(test)]
mod tests;
