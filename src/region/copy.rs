//! The strided copy between two boxes: the hot loop of the project.
//!
//! The axes are first reduced to what matters (unit axes dropped, axes that are contiguous on both sides merged, the fastest axis of the
//! target innermost). Then runs that are contiguous on both sides move as slices; what is left are single items at a stride, moved by a
//! loop specialised on the item size and blocked so that both sides stay within the cache lines that they have touched.

use super::{MAX_RANK, to_usize};

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

/// Edge of the square of items in which a transposition is done; 16 x 16 items of 8 bytes touch 16 lines of 128 bytes on either side.
const BLOCK: usize = 16;

/// Copies the box of `shape` elements of `item_size` bytes from `source` to `target`.
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
    let mut axes = [Axis::default(); MAX_RANK];
    let (count, run) = reduce(shape, item_size, from.strides, to.strides, &mut axes);
    copy_axes(&axes[..count], run, source, target);
}

/// Drops unit axes, orders by target stride, merges; returns how many axes are left and the length in bytes of a contiguous run.
fn reduce(shape: &[u64], item_size: usize, from: &[usize], to: &[usize], axes: &mut [Axis; MAX_RANK]) -> (usize, usize) {
    let mut count = 0;
    for axis in 0..shape.len() {
        if shape[axis] != 1 {
            axes[count] = Axis { len: to_usize(shape[axis]), from: from[axis], to: to[axis] };
            count += 1;
        }
    }
    axes[..count].sort_by_key(|axis| (std::cmp::Reverse(axis.to), std::cmp::Reverse(axis.from)));
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

fn copy_axes(axes: &[Axis], run: usize, source: &[u8], target: &mut [u8]) {
    match axes {
        [] => target[..run].copy_from_slice(&source[..run]),
        [inner] => copy_runs(*inner, run, source, target),
        [.., _, inner] => match fastest_in_source(axes) {
            Some(outer) if run <= 16 => copy_transposed(axes, outer, *inner, run, source, target),
            _ => {
                let (first, rest) = (axes[0], &axes[1..]);
                for i in 0..first.len {
                    copy_axes(rest, run, &source[i * first.from..], &mut target[i * first.to..]);
                }
            }
        },
    }
}

/// The axis other than the last along which the source is faster than along the last, if there is one.
fn fastest_in_source(axes: &[Axis]) -> Option<usize> {
    let (inner, outer) = axes.split_last()?;
    let (position, fastest) = outer.iter().enumerate().min_by_key(|(_, axis)| axis.from)?;
    (fastest.from < inner.from).then_some(position)
}

/// Source and target disagree on the fastest axis: loops over the other axes, and does the two in blocks.
fn copy_transposed(axes: &[Axis], outer: usize, inner: Axis, run: usize, source: &[u8], target: &mut [u8]) {
    if axes.len() > 2 {
        let first = usize::from(outer == 0);
        let mut rest = [Axis::default(); MAX_RANK];
        rest[0] = axes[first];
        let mut others = [Axis::default(); MAX_RANK];
        let mut count = 0;
        for (position, axis) in axes.iter().enumerate() {
            if position != first {
                others[count] = *axis;
                count += 1;
            }
        }
        let outer = if outer == 0 { 0 } else { outer - 1 };
        for i in 0..rest[0].len {
            copy_transposed(&others[..count], outer, inner, run, &source[i * rest[0].from..], &mut target[i * rest[0].to..]);
        }
        return;
    }
    let across = axes[0];
    let mut row = 0;
    while row < across.len {
        let rows = BLOCK.min(across.len - row);
        let mut column = 0;
        while column < inner.len {
            let columns = BLOCK.min(inner.len - column);
            let block_axis = Axis { len: columns, ..inner };
            for i in row..row + rows {
                copy_runs(
                    block_axis,
                    run,
                    &source[i * across.from + column * inner.from..],
                    &mut target[i * across.to + column * inner.to..],
                );
            }
            column += columns;
        }
        row += rows;
    }
}

fn copy_runs(axis: Axis, run: usize, source: &[u8], target: &mut [u8]) {
    match run {
        1 => copy_items::<1>(axis, source, target),
        2 => copy_items::<2>(axis, source, target),
        4 => copy_items::<4>(axis, source, target),
        8 => copy_items::<8>(axis, source, target),
        16 => copy_items::<16>(axis, source, target),
        _ => {
            for i in 0..axis.len {
                target[i * axis.to..][..run].copy_from_slice(&source[i * axis.from..][..run]);
            }
        }
    }
}

/// Items of a size that the compiler knows: each move is one load and one store. The three cases let it drop bounds checks.
fn copy_items<const N: usize>(axis: Axis, source: &[u8], target: &mut [u8]) {
    if axis.to == N && axis.from >= N {
        let (items, _) = target[..axis.len * N].as_chunks_mut::<N>();
        let span = (axis.len - 1) * axis.from + N;
        for (item, from) in items.iter_mut().zip(source[..span].chunks(axis.from)) {
            if let Some(value) = from.first_chunk::<N>() {
                *item = *value;
            }
        }
    } else if axis.from == N && axis.to >= N {
        let (items, _) = source[..axis.len * N].as_chunks::<N>();
        let span = (axis.len - 1) * axis.to + N;
        for (item, to) in items.iter().zip(target[..span].chunks_mut(axis.to)) {
            if let Some(value) = to.first_chunk_mut::<N>() {
                *value = *item;
            }
        }
    } else {
        for i in 0..axis.len {
            target[i * axis.to..][..N].copy_from_slice(&source[i * axis.from..][..N]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::{Region, c_strides, element_count};

    /// One element at a time, by definition.
    fn reference(shape: &[u64], item: usize, source: &[u8], from: BoxLayout<'_>, target: &mut [u8], to: BoxLayout<'_>) {
        for index in Region::whole(shape).indices() {
            let a = BoxLayout::at(&index, from.strides).offset + from.offset;
            let b = BoxLayout::at(&index, to.strides).offset + to.offset;
            target[b..b + item].copy_from_slice(&source[a..a + item]);
        }
    }

    /// A box of `shape` inside a larger buffer whose axes lie in memory in `order`.
    fn strides(larger: &[u64], order: &[usize], item: usize) -> Vec<usize> {
        let permuted: Vec<u64> = order.iter().map(|&axis| larger[axis]).collect();
        let steps = c_strides(&permuted, item);
        let mut out = vec![0; larger.len()];
        for (position, &axis) in order.iter().enumerate() {
            out[axis] = steps[position];
        }
        out
    }

    proptest! {
        #[test]
        fn equals_the_definition(
            (shape, pad, order_from, order_to) in (0_usize..5).prop_flat_map(|rank| (
                prop::collection::vec(prop_oneof![1_u64..6, Just(1_u64), 15_u64..20], rank),
                prop::collection::vec(0_u64..3, rank),
                Just((0..rank).collect::<Vec<_>>()).prop_shuffle(),
                Just((0..rank).collect::<Vec<_>>()).prop_shuffle(),
            )),
            item in prop::sample::select(vec![1_usize, 2, 3, 4, 8, 16, 24]),
        ) {
            let larger: Vec<u64> = shape.iter().zip(&pad).map(|(a, b)| a + b).collect();
            let size = to_usize(element_count(&larger).unwrap()) * item;
            let source: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            let (from, to) = (strides(&larger, &order_from, item), strides(&larger, &order_to, item));
            let start: Vec<u64> = pad.iter().map(|p| p / 2).collect();
            let (from, to) = (BoxLayout::at(&start, &from), BoxLayout::at(&pad, &to));
            let (mut got, mut expected) = (vec![0; size], vec![0; size]);
            reference(&shape, item, &source, from, &mut expected, to);
            copy_box(&shape, item, &source, from, &mut got, to);
            prop_assert_eq!(got, expected);
        }
    }
}
