//! The geometry of a block that all phases of a shuffle agree on: which box a record is, and how its elements lie.
//!
//! A record (SPL-4) says which source unit of the block it was cut from and which part of the piece it is; its box follows from the grids. Its
//! elements are in the order of the target's memory, so that putting them in place copies runs. All boxes are relative to the block.

use crate::error::{Error, Result};
use crate::rechunk::cells::Cells;
use crate::rechunk::execute::{TileSink, Transfer, in_units};
use crate::rechunk::pieces::part_shape;
pub(super) use crate::rechunk::plan::RECORD_HEADER_BYTES;
use crate::rechunk::plan::Sort;
use crate::region::{MAX_RANK, Region, to_usize};

/// A box that lives on the stack, since there is one for each of millions of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    rank: usize,
    start: [u64; MAX_RANK],
    shape: [u64; MAX_RANK],
}

impl Cut {
    pub(super) fn start(&self) -> &[u64] {
        &self.start[..self.rank]
    }

    pub(super) fn shape(&self) -> &[u64] {
        &self.shape[..self.rank]
    }

    /// Clips it to `region`; none if nothing is left.
    fn within(mut self, region: &Region) -> Option<Self> {
        for axis in 0..self.rank {
            let start = self.start[axis].max(region.start()[axis]);
            let end = (self.start[axis] + self.shape[axis]).min(region.end(axis));
            self.shape[axis] = end.checked_sub(start).filter(|len| *len > 0)?;
            self.start[axis] = start;
        }
        Some(self)
    }
}

/// The slabs in which source units are read, or whole units: what records are cut from (RCK-22).
pub(super) struct Granules {
    /// Shape of a unit, and of a granule.
    pub(super) unit: Vec<u64>,
    pub(super) edges: Vec<u64>,
    /// Number of granules of a unit along each axis, and in all.
    pub(super) counts: Vec<u64>,
    pub(super) per_unit: u64,
    /// Axes from the slowest to the fastest in the memory of a source unit.
    pub(super) order: Vec<usize>,
}

impl Granules {
    fn new(unit: &[u64], edges: &[u64], strides: &[usize]) -> Self {
        let counts: Vec<u64> = unit.iter().zip(edges).map(|(unit, edge)| unit.div_ceil(*edge)).collect();
        let per_unit = counts.iter().copied().fold(1, u64::saturating_mul);
        Self { unit: unit.to_vec(), edges: edges.to_vec(), counts, per_unit, order: in_memory(strides) }
    }
}

/// Axes from the slowest to the fastest.
fn in_memory(strides: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..strides.len()).collect();
    order.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
    order
}

/// One block of the array and the geometry that all phases agree on.
pub(super) struct Block<'t, S> {
    pub(super) transfer: &'t Transfer<'t, S>,
    pub(super) region: Region,
    /// Source units of the block, in the index space of all source units.
    pub(super) units: Region,
    /// Cells of each level.
    pub(super) levels: Vec<Cells>,
    pub(super) granules: Granules,
    pub(super) source_strides: Vec<usize>,
    /// Axes from the slowest to the fastest in the memory of a target unit.
    pub(super) memory_order: Vec<usize>,
    pub(super) item: usize,
    /// Elements that a record holds at most.
    record_items: u64,
}

impl<'t, S: TileSink> Block<'t, S> {
    pub(super) fn new(transfer: &'t Transfer<'t, S>, sort: &Sort, region: Region) -> Self {
        let source_unit = transfer.source.grid().chunk_shape();
        let source_strides = transfer.source.strides();
        let granule = sort.granule.as_ref().map_or(source_unit, |(edges, _)| edges);
        let (unit, chunk) = (transfer.grid.chunk_shape(), transfer.chunks.chunk_shape());
        let item = transfer.item_size();
        Self {
            transfer,
            units: in_units(&region, source_unit),
            granules: Granules::new(source_unit, granule, &source_strides),
            levels: sort.levels.iter().map(|edges| Cells::new(region.shape(), edges, unit, chunk)).collect(),
            region,
            source_strides,
            memory_order: in_memory(&transfer.strides),
            item,
            record_items: ((sort.sizes.record_bytes() - RECORD_HEADER_BYTES) / item) as u64,
        }
    }

    /// Byte strides of a record's elements: those of a box of `shape` in the order of the target's memory.
    pub(super) fn record_strides(&self, shape: &[u64]) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = self.item;
        for &axis in self.memory_order.iter().rev() {
            strides[axis] = step;
            step *= to_usize(shape[axis]);
        }
        strides
    }

    /// Shape of the parts that a piece is cut into so that each fits a record.
    pub(super) fn parts(&self, shape: &[u64]) -> [u64; MAX_RANK] {
        let mut ordered = [1; MAX_RANK];
        for (position, &axis) in self.memory_order.iter().enumerate() {
            ordered[position] = shape[axis];
        }
        let ordered = part_shape(&ordered[..shape.len()], self.record_items);
        let mut part = [1; MAX_RANK];
        for (position, &axis) in self.memory_order.iter().enumerate() {
            part[axis] = ordered[position];
        }
        part
    }

    /// The box of a granule, by the position of its unit among those of the block times granules a unit, and its own in the unit; none beyond
    /// the edge of the array.
    pub(super) fn granule_box(&self, position: u64) -> Option<Cut> {
        let (rank, granules) = (self.region.rank(), &self.granules);
        let (mut unit, mut granule) = (position / granules.per_unit, position % granules.per_unit);
        let (mut start, mut shape) = ([0; MAX_RANK], [0; MAX_RANK]);
        for axis in (0..rank).rev() {
            let (edge, count) = (granules.unit[axis], self.units.shape()[axis]);
            let within = granule % granules.counts[axis] * granules.edges[axis];
            granule /= granules.counts[axis];
            // A block begins with a unit.
            start[axis] = unit.checked_rem(count)? * edge + within;
            let end = (start[axis] + granules.edges[axis].min(edge - within)).min(self.region.shape()[axis]);
            shape[axis] = end.checked_sub(start[axis]).filter(|len| *len > 0)?;
            unit /= count;
        }
        (unit == 0).then_some(Cut { rank, start, shape })
    }

    /// The box of a record of the cell `inside`, which lies in `top` of the first level, and its elements.
    pub(super) fn locate<'r>(&self, top: &Region, inside: &Region, record: &'r [u8]) -> Result<(Cut, &'r [u8])> {
        let located = self.located(top, inside, record);
        located.ok_or_else(|| Error::corrupt("a record of the spill file does not fit its partition"))
    }

    fn located<'r>(&self, top: &Region, inside: &Region, record: &'r [u8]) -> Option<(Cut, &'r [u8])> {
        let (header, data) = record.split_first_chunk::<RECORD_HEADER_BYTES>()?;
        let [p0, p1, p2, p3, p4, p5, p6, p7, i0, i1, i2, i3] = *header;
        let piece = self.granule_box(u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]))?.within(top)?;
        let mut index = u64::from(u32::from_le_bytes([i0, i1, i2, i3]));
        let parts = self.parts(piece.shape());
        let mut part = piece;
        for axis in (0..piece.rank).rev() {
            let count = piece.shape[axis].div_ceil(parts[axis]);
            let begin = index % count * parts[axis];
            part.start[axis] = piece.start[axis] + begin;
            part.shape[axis] = parts[axis].min(piece.shape[axis] - begin);
            index /= count;
        }
        let part = if index == 0 { part.within(inside)? } else { return None };
        let expected = part.shape().iter().try_fold(self.item as u64, |product, len| product.checked_mul(*len))?;
        (expected == data.len() as u64).then_some((part, data))
    }
}
