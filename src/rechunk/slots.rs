//! A box of the array in memory, cut along the target's grid: every cell has a place of its own, one after the other.

use crate::error::Result;
use crate::rechunk::pieces::for_each_piece;
use crate::region::{BoxLayout, MAX_RANK, Region, copy_box, ravel, to_usize};

/// Where the elements of a box are, whose cells lie one after another in C order.
pub(crate) struct Slots<'a> {
    /// First element of the box; cells at its lower faces begin there, and not where the grid's do.
    start: &'a [u64],
    /// Edges of the grid.
    edges: &'a [u64],
    /// Index of the first cell.
    first: Vec<u64>,
    /// Number of cells along each axis.
    counts: Vec<u64>,
    /// Byte strides in a cell.
    strides: &'a [usize],
    /// Bytes from one cell to its neighbour along each axis.
    steps: Vec<usize>,
    cell_bytes: usize,
    item: usize,
}

/// Part of an axis: `cells` whole cells, or a part of one.
#[derive(Clone, Copy, Default)]
struct Segment {
    start: u64,
    cells: u64,
    len: u64,
}

impl<'a> Slots<'a> {
    /// The cells of the grid of `edges` that meet `region`, each of `cell_bytes` laid out by `strides`.
    pub(crate) fn new(region: &'a Region, edges: &'a [u64], (strides, cell_bytes): (&'a [usize], usize), item: usize) -> Self {
        let (mut first, mut counts) = (Vec::with_capacity(edges.len()), Vec::with_capacity(edges.len()));
        for (axis, edge) in edges.iter().enumerate() {
            first.push(region.start()[axis] / edge);
            counts.push(if region.shape()[axis] == 0 { 0 } else { (region.end(axis) - 1) / edge - first[axis] + 1 });
        }
        let mut steps = vec![cell_bytes; edges.len()];
        for axis in (1..edges.len()).rev() {
            steps[axis - 1] = steps[axis].saturating_mul(to_usize(counts[axis]));
        }
        Self { start: region.start(), edges, first, counts, strides, steps, cell_bytes, item }
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        to_usize(self.counts.iter().product())
    }

    /// The index of each cell in the whole grid, in the order in which they lie.
    pub(crate) fn indices(&self) -> impl Iterator<Item = Vec<u64>> + use<> {
        let first = self.first.clone();
        Region::whole(&self.counts).indices().map(move |index| index.iter().zip(&first).map(|(index, first)| index + first).collect())
    }

    /// The position of a cell of the grid.
    pub(crate) fn position(&self, cell: &[u64]) -> usize {
        let mut within = [0; MAX_RANK];
        for axis in 0..cell.len() {
            within[axis] = cell[axis] - self.first[axis];
        }
        to_usize(ravel(&within[..cell.len()], &self.counts))
    }

    /// Calls `visit` with the position of each cell that meets a box within the box.
    pub(crate) fn touched(&self, start: &[u64], shape: &[u64], mut visit: impl FnMut(usize)) -> Result<()> {
        for_each_piece(start, shape, self.edges, |cell, _, _| {
            visit(self.position(cell));
            Ok(())
        })
    }

    /// Copies the elements of `shape` from `start` on, which lie in `source` as `from` says, to their places in `slot`.
    pub(crate) fn copy(&self, start: &[u64], shape: &[u64], source: &[u8], from: BoxLayout<'_>, slot: &mut [u8]) {
        let rank = shape.len();
        if shape.contains(&0) {
            return;
        }
        let mut segments = [[Segment::default(); 3]; MAX_RANK];
        let mut counts = [0; MAX_RANK];
        for axis in 0..rank {
            // Two axes for each of the array's have to do for one copy.
            counts[axis] =
                if 2 * rank <= MAX_RANK { segments_of(start[axis], shape[axis], self.edges[axis], &mut segments[axis]) } else { 0 };
        }
        if 2 * rank > MAX_RANK {
            return self.copy_cell_by_cell(start, shape, source, from, slot);
        }
        let mut at = [0; MAX_RANK];
        loop {
            let mut chosen = [Segment::default(); MAX_RANK];
            for axis in 0..rank {
                chosen[axis] = segments[axis][at[axis]];
            }
            self.copy_segments(start, &chosen[..rank], source, from, slot);
            let mut axis = rank;
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                at[axis] += 1;
                if at[axis] < counts[axis] {
                    break;
                }
                at[axis] = 0;
            }
        }
    }

    /// Copies a box that is made of one segment an axis.
    fn copy_segments(&self, start: &[u64], chosen: &[Segment], source: &[u8], from: BoxLayout<'_>, slot: &mut [u8]) {
        let rank = chosen.len();
        let (mut lens, mut source_strides, mut slot_strides) = ([1; MAX_RANK], [0; MAX_RANK], [0; MAX_RANK]);
        let (mut source_offset, mut slot_offset) = (from.offset, 0);
        for (axis, segment) in chosen.iter().enumerate() {
            let cell = segment.start / self.edges[axis];
            let base = (cell * self.edges[axis]).max(self.start[axis]);
            source_offset += to_usize(segment.start - start[axis]) * from.strides[axis];
            slot_offset += to_usize(cell - self.first[axis]) * self.steps[axis] + to_usize(segment.start - base) * self.strides[axis];
            (lens[axis], lens[rank + axis]) = (segment.cells, segment.len);
            (source_strides[axis], slot_strides[axis]) = (to_usize(self.edges[axis]).saturating_mul(from.strides[axis]), self.steps[axis]);
            (source_strides[rank + axis], slot_strides[rank + axis]) = (from.strides[axis], self.strides[axis]);
        }
        let from = BoxLayout { offset: source_offset, strides: &source_strides[..2 * rank] };
        copy_box(&lens[..2 * rank], self.item, source, from, slot, BoxLayout { offset: slot_offset, strides: &slot_strides[..2 * rank] });
    }

    fn copy_cell_by_cell(&self, start: &[u64], shape: &[u64], source: &[u8], from: BoxLayout<'_>, slot: &mut [u8]) {
        let copied = for_each_piece(start, shape, self.edges, |cell, piece, shape| {
            let (mut source_offset, mut slot_offset) = (from.offset, self.position(cell) * self.cell_bytes);
            for axis in 0..shape.len() {
                let base = (cell[axis] * self.edges[axis]).max(self.start[axis]);
                source_offset += to_usize(piece[axis] - start[axis]) * from.strides[axis];
                slot_offset += to_usize(piece[axis] - base) * self.strides[axis];
            }
            let from = BoxLayout { offset: source_offset, strides: from.strides };
            copy_box(shape, self.item, source, from, slot, BoxLayout { offset: slot_offset, strides: self.strides });
            Ok(())
        });
        debug_assert!(copied.is_ok(), "copying does not fail");
    }
}

/// Cuts `len` elements from `start` on into at most a part of a cell, whole cells, and a part of a cell; returns how many of these there are.
fn segments_of(start: u64, len: u64, edge: u64, out: &mut [Segment; 3]) -> usize {
    let mut count = 0;
    let mut push = |segment: Segment| {
        out[count] = segment;
        count += 1;
    };
    let before = start % edge;
    let head = if before == 0 { 0 } else { (edge - before).min(len) };
    if head > 0 {
        push(Segment { start, cells: 1, len: head });
    }
    let whole = (len - head) / edge;
    if whole > 0 {
        push(Segment { start: start + head, cells: whole, len: edge });
    }
    let tail = len - head - whole * edge;
    if tail > 0 {
        push(Segment { start: start + head + whole * edge, cells: 1, len: tail });
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::{c_strides, element_count};

    proptest! {
        /// Every element of a piece is found in its cell, and nothing else is written.
        #[test]
        fn elements_come_to_their_cells(
            axes in prop::collection::vec((0_u64..20, 1_u64..9, 1_u64..7, 0_u64..9, 0_u64..9), 0..4),
            ones in prop_oneof![Just(0_usize), Just(14)],
        ) {
            let list = |pick: fn(&(u64, u64, u64, u64, u64)) -> u64, other: u64| {
                axes.iter().map(pick).chain(std::iter::repeat_n(other, ones)).collect::<Vec<u64>>()
            };
            let whole = Region::new(list(|a| a.0, 0), list(|a| a.1, 1)).unwrap();
            let edges = list(|a| a.2, 1);
            let start: Vec<u64> = whole.start().iter().zip(whole.shape()).zip(list(|a| a.3, 0)).map(|((s, n), at)| s + at % n).collect();
            let shape: Vec<u64> = (0..start.len()).map(|axis| list(|a| a.4, 0)[axis] % (whole.end(axis) - start[axis]) + 1).collect();
            let strides = c_strides(&edges, 2);
            let cell_bytes = to_usize(element_count(&edges).unwrap()) * 2;
            let cells = Slots::new(&whole, &edges, (&strides, cell_bytes), 2);
            let count = to_usize(element_count(&shape).unwrap());
            let source: Vec<u8> = (1..=u16::try_from(count).unwrap()).flat_map(u16::to_le_bytes).collect();
            let mut slot = vec![0; cells.len() * cell_bytes];
            let from = c_strides(&shape, 2);
            cells.copy(&start, &shape, &source, BoxLayout { offset: 0, strides: &from }, &mut slot);
            let mut expected = vec![0; slot.len()];
            for (number, index) in Region::new(&*start, &*shape).unwrap().indices().enumerate() {
                let cell: Vec<u64> = index.iter().zip(&edges).map(|(i, edge)| i / edge).collect();
                let at: usize = (0..index.len())
                    .map(|axis| to_usize(index[axis] - (cell[axis] * edges[axis]).max(whole.start()[axis])) * strides[axis])
                    .sum();
                let at = cells.position(&cell) * cell_bytes + at;
                expected[at..at + 2].copy_from_slice(&source[2 * number..2 * number + 2]);
            }
            prop_assert_eq!(slot, expected);
            prop_assert_eq!(cells.indices().map(|cell| cells.position(&cell)).collect::<Vec<_>>(), (0..cells.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_axis_is_cut_into_three_at_most() {
        let mut out = [Segment::default(); 3];
        let cut = |start, len, out: &mut [Segment; 3]| {
            let count = segments_of(start, len, 10, out);
            out[..count].iter().map(|segment| (segment.start, segment.cells, segment.len)).collect::<Vec<_>>()
        };
        assert_eq!(cut(3, 40, &mut out), [(3, 1, 7), (10, 3, 10), (40, 1, 3)]);
        assert_eq!(cut(3, 4, &mut out), [(3, 1, 4)]);
        assert_eq!(cut(20, 10, &mut out), [(20, 1, 10)]);
        assert_eq!(cut(20, 3, &mut out), [(20, 1, 3)]);
    }
}
