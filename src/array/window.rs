//! Which byte ranges of an uncompressed unit hold the elements of a box.
//!
//! The box is cut along its slowest axes until each piece is one range that is short and has no long gaps: a range is one read of the
//! store, so bytes that are not wanted are read as well where that is cheaper than another read.

use std::cmp::Reverse;
use std::ops::Range;

use crate::error::Result;
use crate::region::{Region, to_usize};

/// The longest range that is read at once, in bytes (a single element may be longer).
pub(super) const WINDOW_BYTES: usize = 4 << 20;

/// The longest run of unwanted bytes that is read rather than skipped.
pub(super) const GAP_BYTES: usize = 64 << 10;

/// A piece of a box and the byte range that holds it.
#[derive(Debug)]
pub(super) struct Window {
    /// The elements, as indices within the unit.
    pub(super) region: Region,
    /// First byte within the unit.
    pub(super) offset: usize,
    /// Length in bytes.
    pub(super) len: usize,
}

/// Shows `visit` the windows that together hold the box `region` of a unit laid out by `strides`, which do not overlap as elements.
pub(super) fn windows(region: &Region, strides: &[usize], item_size: usize, visit: &mut dyn FnMut(&Window) -> Result<()>) -> Result<()> {
    if region.is_empty() {
        return Ok(());
    }
    let mut order: Vec<usize> = (0..region.rank()).filter(|&axis| region.shape()[axis] > 1).collect();
    order.sort_by_key(|&axis| Reverse(strides[axis]));
    let mut spans = vec![item_size; order.len() + 1];
    let mut sparse = 0;
    for level in (0..order.len()).rev() {
        let (stride, len) = (strides[order[level]], to_usize(region.shape()[order[level]]));
        if stride.saturating_sub(spans[level + 1]) > GAP_BYTES {
            sparse = sparse.max(level + 1);
        }
        spans[level] = (len - 1) * stride + spans[level + 1];
    }
    let cut = Cut { strides, order, spans, sparse };
    cut.split(0, region, visit)
}

/// The byte ranges that hold the box `region` of a unit laid out by `strides`.
pub(super) fn part_ranges(region: &Region, strides: &[usize], item_size: usize) -> Result<Vec<Range<usize>>> {
    let mut parts = Vec::new();
    windows(region, strides, item_size, &mut |window| {
        parts.push(window.offset..window.offset + window.len);
        Ok(())
    })?;
    Ok(parts)
}

/// A box being cut.
struct Cut<'a> {
    strides: &'a [usize],
    /// The axes longer than 1, slowest first.
    order: Vec<usize>,
    /// Bytes from the first to behind the last element of the box, by number of slowest axes that are fixed.
    spans: Vec<usize>,
    /// So many of the slowest axes are cut into single indices, since there are long gaps at or below them.
    sparse: usize,
}

impl Cut<'_> {
    /// Cuts along `order[level]` and faster axes.
    fn split(&self, level: usize, region: &Region, visit: &mut dyn FnMut(&Window) -> Result<()>) -> Result<()> {
        let whole = self.spans[level];
        if level == self.order.len() || (level >= self.sparse && whole <= WINDOW_BYTES) {
            let offset = region.start().iter().zip(self.strides).map(|(&index, &stride)| to_usize(index) * stride).sum();
            return visit(&Window { region: region.clone(), offset, len: whole });
        }
        let (axis, row) = (self.order[level], self.spans[level + 1]);
        let stride = self.strides[axis];
        let step = if level < self.sparse || row >= WINDOW_BYTES { 1 } else { (WINDOW_BYTES - row) / stride + 1 };
        let (mut start, mut shape) = (region.start().to_vec(), region.shape().to_vec());
        while start[axis] < region.end(axis) {
            shape[axis] = (region.end(axis) - start[axis]).min(step as u64);
            let piece = Region::new(start.as_slice(), shape.as_slice())?;
            if step == 1 {
                self.split(level + 1, &piece, visit)?;
            } else {
                let offset = start.iter().zip(self.strides).map(|(&index, &stride)| to_usize(index) * stride).sum();
                visit(&Window { region: piece, offset, len: (to_usize(shape[axis]) - 1) * stride + row })?;
            }
            start[axis] += shape[axis];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::region::c_strides;

    fn all(region: &Region, strides: &[usize], item_size: usize) -> Vec<Window> {
        let mut out = Vec::new();
        windows(region, strides, item_size, &mut |window| {
            out.push(Window { region: window.region.clone(), ..*window });
            Ok(())
        })
        .unwrap();
        out
    }

    #[test]
    fn a_dense_box_is_read_in_bounded_windows() {
        let shape = [10, 1 << 20];
        let found = all(&Region::whole(&shape), &c_strides(&shape, 8), 8);
        assert_eq!(found.iter().map(|window| window.len).sum::<usize>(), 80 << 20);
        assert!(found.iter().all(|window| window.len <= WINDOW_BYTES));
        assert_eq!(found.len(), 20);
    }

    #[test]
    fn a_column_is_read_element_by_element_only_across_long_gaps() {
        let near = [1000, 100];
        assert_eq!(all(&Region::new([0, 5], [1000, 1]).unwrap(), &c_strides(&near, 8), 8).len(), 1);
        let far = [1000, 100_000];
        let found = all(&Region::new([0, 5], [1000, 1]).unwrap(), &c_strides(&far, 8), 8);
        assert_eq!(found.len(), 1000);
        assert!(found.iter().all(|window| window.len == 8));
    }

    #[test]
    fn an_outer_axis_without_gaps_is_cut_when_an_inner_one_has_them() {
        let strides = [1 << 20, 80 << 10, 4];
        let found = all(&Region::whole(&[9, 13, 1]), &strides, 4);
        assert_eq!(found.len(), 9 * 13);
    }

    #[test]
    fn rank_0_is_one_element() {
        let found = all(&Region::whole(&[]), &[], 8);
        assert_eq!(found.iter().map(|window| (window.offset, window.len)).collect::<Vec<_>>(), [(0, 8)]);
    }

    proptest! {
        #[test]
        fn windows_hold_each_element_once_and_within_their_range(
            (unit, start, shape, order) in (1_usize..4).prop_flat_map(|rank| (
                prop::collection::vec(prop_oneof![1_u64..7, Just(70_000)], rank),
                Just((0..rank).collect::<Vec<_>>()).prop_shuffle(),
            )).prop_filter("small enough to count", |(unit, _)| unit.iter().product::<u64>() < 1 << 17)
            .prop_flat_map(|(unit, order)| {
                let starts: Vec<_> = unit.iter().map(|&len| 0..len).collect();
                (Just(unit), starts, Just(order))
            }).prop_flat_map(|(unit, start, order)| {
                let shapes: Vec<_> = unit.iter().zip(&start).map(|(&len, &from)| 1..=(len - from)).collect();
                (Just(unit), Just(start), shapes, Just(order))
            }),
        ) {
            let permuted: Vec<u64> = order.iter().map(|&axis| unit[axis]).collect();
            let steps = c_strides(&permuted, 2);
            let mut strides = vec![0; unit.len()];
            for (position, &axis) in order.iter().enumerate() {
                strides[axis] = steps[position];
            }
            let region = Region::new(start, shape).unwrap();
            let mut seen = HashSet::new();
            for window in all(&region, &strides, 2) {
                prop_assert!(window.len <= WINDOW_BYTES);
                for index in window.region.indices() {
                    let at: usize = index.iter().zip(&strides).map(|(&i, &stride)| to_usize(i) * stride).sum();
                    prop_assert!(window.offset <= at && at + 2 <= window.offset + window.len);
                    prop_assert!(seen.insert(index));
                }
            }
            prop_assert_eq!(seen.len(), region.indices().count());
        }
    }
}
