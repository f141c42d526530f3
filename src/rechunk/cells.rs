//! The cells of a shuffle: boxes that tile a block, of which those of each level nest in those of the level above.

use crate::error::Result;
use crate::rechunk::pieces::for_each_cell;
use crate::region::{Region, to_usize};

/// Boxes that tile a block: along each axis of `edge` elements, beginning anew at every multiple of `restart`, so that a cell which is smaller than
/// a unit lies in one unit, and one that is smaller than a shard in one shard, whether or not the edges divide each other (RCK-21).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cells {
    axes: Vec<Axis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axis {
    /// Length of the block.
    len: u64,
    edge: u64,
    restart: u64,
    /// Cells between two restarts.
    per_restart: u64,
}

impl Axis {
    fn new(len: u64, edge: u64, unit: u64, chunk: u64) -> Self {
        let restart = if edge < unit {
            unit
        } else if edge < chunk {
            chunk
        } else {
            edge
        };
        Self { len, edge, restart, per_restart: restart.div_ceil(edge) }
    }

    fn cell_at(self, at: u64) -> u64 {
        let first = (at / self.restart).saturating_mul(self.per_restart);
        if self.per_restart == 1 { first } else { first.saturating_add(at % self.restart / self.edge) }
    }

    /// From where to where a cell reaches, whether or not the block ends before.
    fn whole(self, cell: u64) -> (u64, u64) {
        let begin = (cell / self.per_restart).saturating_mul(self.restart);
        let within = (cell % self.per_restart).saturating_mul(self.edge);
        let end = within.saturating_add(self.edge).min(self.restart);
        (begin.saturating_add(within), begin.saturating_add(end))
    }

    fn count(self, len: u64) -> u64 {
        if len == 0 { 0 } else { self.cell_at(len - 1).saturating_add(1) }
    }
}

impl Cells {
    /// Cells of `edges` in a block of `shape`, which begins at a chunk of a grid with chunks of `chunk` and units of `unit` elements.
    pub(crate) fn new(shape: &[u64], edges: &[u64], unit: &[u64], chunk: &[u64]) -> Self {
        Self { axes: (0..shape.len()).map(|axis| Axis::new(shape[axis], edges[axis], unit[axis], chunk[axis])).collect() }
    }

    /// Number of cells along each axis.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> Vec<u64> {
        self.axes.iter().map(|axis| axis.count(axis.len)).collect()
    }

    /// The greatest number of cells that a cell of `edges` of a level above holds.
    pub(crate) fn most_within(&self, edges: &[u64]) -> u64 {
        self.axes.iter().zip(edges).map(|(axis, edge)| axis.count(axis.len.min(*edge))).fold(1, u64::saturating_mul)
    }

    /// Number of cells along each axis that boxes of `edges`, each a multiple of the restarts or of the cells, hold.
    pub(crate) fn per(&self, edges: &[u64]) -> Vec<u64> {
        self.axes.iter().zip(edges).map(|(axis, edge)| axis.count(*edge)).collect()
    }

    /// The box of a cell, which ends with the block.
    pub(crate) fn region(&self, cell: &[u64]) -> Region {
        let span = |(axis, &cell): (&Axis, &u64)| {
            let (begin, end) = axis.whole(cell);
            (begin, end.min(axis.len) - begin)
        };
        let (start, shape): (Vec<u64>, Vec<u64>) = self.axes.iter().zip(cell).map(span).unzip();
        let Ok(region) = Region::new(start, shape) else { unreachable!("a part of the block") };
        region
    }

    /// The indices of the cells that a box meets.
    pub(crate) fn over(&self, region: &Region) -> Region {
        let indices = |(position, axis): (usize, &Axis)| {
            let first = axis.cell_at(region.start()[position]);
            let count = if region.shape()[position] == 0 { 0 } else { axis.cell_at(region.end(position) - 1) + 1 - first };
            (first, count)
        };
        let (start, shape): (Vec<u64>, Vec<u64>) = self.axes.iter().enumerate().map(indices).unzip();
        let Ok(cells) = Region::new(start, shape) else { unreachable!("indices are smaller than positions") };
        cells
    }

    /// Calls `visit(cell, start, shape)` for each part that the cells make of a box.
    pub(crate) fn for_each_piece(
        &self,
        start: &[u64],
        shape: &[u64],
        visit: impl FnMut(&[u64], &[u64], &[u64]) -> Result<()>,
    ) -> Result<()> {
        for_each_cell(start, shape, |axis, at| self.axes[axis].cell_at(at), |axis, cell| self.axes[axis].whole(cell), visit)
    }
}

/// The position of an index in a box of indices.
pub(crate) fn position_in(indices: &Region, index: &[u64]) -> usize {
    let axes = index.iter().zip(indices.start()).zip(indices.shape());
    to_usize(axes.fold(0, |position, ((index, start), len)| position * len + (index - start)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::region::element_count;

    #[test]
    fn small_cells_begin_anew_with_each_unit_and_each_shard() {
        let spans = |len, edge, unit, chunk| {
            let axis = Axis::new(len, edge, unit, chunk);
            (0..axis.count(len)).map(|cell| axis.whole(cell)).collect::<Vec<_>>()
        };
        assert_eq!(spans(12, 2, 5, 10), [(0, 2), (2, 4), (4, 5), (5, 7), (7, 9), (9, 10), (10, 12)]);
        assert_eq!(spans(20, 10, 5, 15), [(0, 10), (10, 15), (15, 25)]);
        assert_eq!(spans(31, 30, 5, 15), [(0, 30), (30, 60)]);
        assert_eq!(spans(0, 30, 5, 15), []);
        assert_eq!(Axis::new(u64::MAX, 1 << 40, 7, 7).count(u64::MAX), 1 << 24);
    }

    /// Length of the block, unit, units a chunk, and the steps from there to a smaller and to a larger edge.
    type Drawn = (u64, u64, u64, usize, usize);

    proptest! {
        /// RCK-21: cells tile the block, and those of one level nest in those above.
        #[test]
        fn cells_nest(axes in prop::collection::vec((1_u64..60, 1_u64..7, 1_u64..5, 0_usize..8, 0_usize..4), 1..4)) {
            let pick = |pick: &dyn Fn(&Drawn) -> u64| axes.iter().map(pick).collect::<Vec<u64>>();
            let edge = |axis: &Drawn, steps: usize| {
                let (unit, chunk) = (axis.1, axis.1 * axis.2);
                (0..steps).fold(1, |edge, _| match edge {
                    edge if edge < unit => unit.min(2 * edge),
                    edge if edge < chunk => chunk.min(2 * edge),
                    edge => 2 * edge,
                })
            };
            let (shape, unit, chunk) = (pick(&|a| a.0), pick(&|a| a.1), pick(&|a| a.1 * a.2));
            let (small, large) = (pick(&|a| edge(a, a.3)), pick(&|a| edge(a, a.3 + a.4)));
            let (below, above) = (Cells::new(&shape, &small, &unit, &chunk), Cells::new(&shape, &large, &unit, &chunk));
            let mut total = 0;
            for cell in Region::whole(&above.counts()).indices() {
                let whole = above.region(&cell);
                let parts = below.over(&whole);
                prop_assert!(parts.element_count().unwrap() <= below.most_within(&large));
                let mut pieces = Vec::new();
                below.for_each_piece(whole.start(), whole.shape(), |cell, start, shape| {
                    pieces.push((cell.to_vec(), Region::new(start, shape).unwrap()));
                    Ok(())
                }).unwrap();
                prop_assert_eq!(pieces.len() as u64, parts.element_count().unwrap());
                for (position, (cell, piece)) in pieces.into_iter().enumerate() {
                    prop_assert_eq!(position_in(&parts, &cell), position);
                    prop_assert_eq!(&below.region(&cell), &piece, "a cell of the lower level is cut");
                    total += piece.element_count().unwrap();
                }
            }
            prop_assert_eq!(total, element_count(&shape).unwrap());
        }
    }
}
