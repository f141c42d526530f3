//! Cutting a box along a regular grid: the loop that every stage of a rechunk shares.

use crate::error::Result;
use crate::region::MAX_RANK;

/// Cuts the box of `shape` at `start` along the grid of `edges` from the origin, and calls `visit(cell, start, shape)` for each piece in C
/// order. Nothing is allocated, since arrays have millions of pieces.
pub(crate) fn for_each_piece(
    start: &[u64],
    shape: &[u64],
    edges: &[u64],
    visit: impl FnMut(&[u64], &[u64], &[u64]) -> Result<()>,
) -> Result<()> {
    let cell_at = |axis: usize, at: u64| at / edges[axis];
    // The end of the last cell may lie beyond what a u64 holds; the end of the box does not.
    let span = |axis: usize, cell: u64| (cell * edges[axis], (cell * edges[axis]).saturating_add(edges[axis]));
    for_each_cell(start, shape, cell_at, span, visit)
}

/// The same for any cells: `cell_at` says in which cell of an axis a position lies, `span` from where to where a cell reaches.
pub(crate) fn for_each_cell(
    start: &[u64],
    shape: &[u64],
    cell_at: impl Fn(usize, u64) -> u64,
    span: impl Fn(usize, u64) -> (u64, u64),
    mut visit: impl FnMut(&[u64], &[u64], &[u64]) -> Result<()>,
) -> Result<()> {
    let rank = shape.len();
    if shape.contains(&0) {
        return Ok(());
    }
    let (mut first, mut last, mut cell) = ([0; MAX_RANK], [0; MAX_RANK], [0; MAX_RANK]);
    let (mut from, mut len) = ([0; MAX_RANK], [0; MAX_RANK]);
    let place = |axis: usize, cell: u64, from: &mut [u64; MAX_RANK], len: &mut [u64; MAX_RANK]| {
        let (begin, end) = span(axis, cell);
        from[axis] = begin.max(start[axis]);
        len[axis] = end.min(start[axis] + shape[axis]) - from[axis];
    };
    for axis in 0..rank {
        first[axis] = cell_at(axis, start[axis]);
        last[axis] = cell_at(axis, start[axis] + shape[axis] - 1);
        cell[axis] = first[axis];
        place(axis, cell[axis], &mut from, &mut len);
    }
    loop {
        visit(&cell[..rank], &from[..rank], &len[..rank])?;
        let mut axis = rank;
        loop {
            if axis == 0 {
                return Ok(());
            }
            axis -= 1;
            if cell[axis] < last[axis] {
                cell[axis] += 1;
                place(axis, cell[axis], &mut from, &mut len);
                break;
            }
            cell[axis] = first[axis];
            place(axis, cell[axis], &mut from, &mut len);
        }
    }
}

/// The largest sub-box shape of at most `limit_items` items that is made of whole trailing axes as far as possible: parts of a box of `shape`
/// in this shape are runs as long as they can be.
pub(crate) fn part_shape(shape: &[u64], limit_items: u64) -> [u64; MAX_RANK] {
    let mut part = [1; MAX_RANK];
    let mut room = limit_items.max(1);
    for axis in (0..shape.len()).rev() {
        part[axis] = shape[axis].clamp(1, room);
        room /= part[axis];
        if part[axis] < shape[axis] {
            break;
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::{Region, element_count};

    proptest! {
        #[test]
        fn pieces_tile_the_box(axes in prop::collection::vec((0_u64..20, 1_u64..12, 1_u64..9), 0..4)) {
            let start: Vec<u64> = axes.iter().map(|a| a.0).collect();
            let shape: Vec<u64> = axes.iter().map(|a| a.1).collect();
            let edges: Vec<u64> = axes.iter().map(|a| a.2).collect();
            let whole = Region::new(start.clone(), shape.clone()).unwrap();
            let mut seen = std::collections::HashSet::new();
            for_each_piece(&start, &shape, &edges, |cell, from, len| {
                let piece = Region::new(from, len).unwrap();
                assert!(whole.contains(&piece));
                for index in piece.indices() {
                    assert!(index.iter().zip(&edges).zip(cell).all(|((i, edge), cell)| i / edge == *cell));
                    assert!(seen.insert(index));
                }
                Ok(())
            })
            .unwrap();
            prop_assert_eq!(seen.len() as u64, element_count(&shape).unwrap());
        }

        #[test]
        fn parts_are_small_enough_and_not_smaller(shape in prop::collection::vec(1_u64..30, 0..5), limit in 1_u64..2000) {
            let part = part_shape(&shape, limit);
            let part = &part[..shape.len()];
            prop_assert!(element_count(part).unwrap() <= limit);
            if element_count(&shape).unwrap() <= limit {
                prop_assert_eq!(part, &shape[..]);
            }
        }
    }

    #[test]
    fn a_box_at_the_end_of_the_integers() {
        let mut count = 0;
        for_each_piece(&[u64::MAX - 3], &[3], &[u64::MAX / 2], |_, _, len| {
            count += len[0];
            Ok(())
        })
        .unwrap();
        assert_eq!(count, 3);
    }
}
