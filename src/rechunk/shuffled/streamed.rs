//! The last phase of a shuffle whose target units are larger than memory: partitions are slabs of them, given to the sink one after another.
//!
//! Invariants
//! 1. All slabs of a chunk (of a shard) are given by one thread at a time, those of a unit in the order of its memory.
//! 2. A unit whose slabs are spread over several cells of the level above is open from one to the next: each of these lies in one unit, and they
//!    come in the order of its memory, too.

use super::{Behind, Shuffle, Sorted, data_bytes};
use crate::error::Result;
use crate::rechunk::cells::position_in;
use crate::rechunk::execute::{TileSink, TileStream, Transfer, add, in_units};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::rounds::Rounds;
use crate::region::{BoxLayout, Region, copy_box, to_usize};
use crate::shuffle::Partitions;

/// A target unit of which slabs are still to come.
pub(super) struct Open<'t> {
    unit: Vec<u64>,
    /// None as long as nothing was given that has to be.
    stream: Option<Box<dyn TileStream + 't>>,
    /// Bytes given.
    at: u64,
    /// Bytes counted as done.
    done: u64,
}

impl<'t> Open<'t> {
    /// Gives a slab that begins `offset` bytes from the begin of the unit; what was left out before it is fill.
    fn push<S: TileSink>(&mut self, transfer: &'t Transfer<'t, S>, offset: u64, slab: &[u8]) -> Result<()> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self.stream.insert(transfer.sink.stream(&self.unit)?),
        };
        if offset > self.at {
            stream.push_fill(offset - self.at)?;
        }
        stream.push(slab)?;
        self.at = offset + slab.len() as u64;
        Ok(())
    }

    fn finish<S: TileSink>(self, transfer: &Transfer<'_, S>, scratch: &mut S::Scratch) -> Result<()> {
        let unit_bytes = transfer.tile_bytes as u64;
        match self.stream {
            Some(mut stream) => {
                if unit_bytes > self.at {
                    stream.push_fill(unit_bytes - self.at)?;
                }
                stream.finish()?;
                add(&transfer.control.delivered_bytes, unit_bytes);
            }
            None => {
                transfer.sink.missing(&self.unit, scratch)?;
            }
        }
        // Slabs beyond the edge of the array.
        add(&transfer.control.done_bytes, unit_bytes - self.done);
        Ok(())
    }
}

impl<'t, S: TileSink> Shuffle<'t, S> {
    /// As [`Shuffle::assemble_all`], for partitions that are slabs of units.
    pub(super) fn stream_all(&self, sorted: &Sorted<'_>, slab: &mut [u8]) -> Result<()> {
        let transfer = self.block.transfer;
        let Sorted { indices, top, partitions, done } = *sorted;
        let cells = &self.block.levels[self.block.levels.len() - 1];
        let per_chunk = cells.per(transfer.chunks.chunk_shape());
        let in_order = || TiledIndices::new(&in_units(indices, &per_chunk), &[], &self.block.memory_order);
        let pauses = self.keeps && top.is_none();
        let chunks = Rounds::new(transfer.control, in_order(), done, |chunk| if pauses { chunk.to_vec() } else { Vec::new() })?;
        let cells_of = |chunk: &[u64]| {
            let start: Vec<u64> = chunk.iter().zip(&per_chunk).map(|(chunk, count)| chunk * count).collect();
            let of_chunk = Region::new(start, per_chunk.clone()).ok().and_then(|of_chunk| of_chunk.intersect(indices));
            let Some(of_chunk) = of_chunk else { unreachable!("a chunk that was found by its cells") };
            of_chunk
        };
        let work = |slot: &mut [u8]| {
            let (mut scratch, mut segment) = (transfer.sink.scratch(), Vec::with_capacity(self.sort.sizes.read_bytes()));
            loop {
                let Some(chunk) = chunks.next() else { return Ok(()) };
                let mut open = self.open.lock().take();
                for cell in self.slabs(&cells_of(&chunk)) {
                    transfer.control.check()?;
                    let partition = position_in(indices, &cell);
                    open = self.give((&cell, top), (partitions, partition), open, (&mut *slot, &mut segment), &mut scratch)?;
                }
                if open.is_some() {
                    *self.open.lock() = open;
                }
            }
        };
        let slot_bytes = to_usize(self.sort.slot_bytes);
        let round = || transfer.on_threads(slab.chunks_exact_mut(slot_bytes).take(self.plan.encode_threads), work);
        let mut behind = Behind::new(in_order(), done)?;
        let partitions_of = |chunk: &[u64]| cells_of(chunk).indices().map(|cell| position_in(indices, &cell)).collect();
        chunks.each(round, |done| self.pause(sorted, done, &mut behind, partitions_of))
    }

    /// Cells of the last level that are slabs, unit by unit, those of a unit in the order of its memory.
    fn slabs(&self, indices: &Region) -> TiledIndices {
        let per_unit = self.block.levels[self.block.levels.len() - 1].per(self.block.transfer.grid.chunk_shape());
        TiledIndices::new(indices, &[per_unit], &self.block.memory_order)
    }

    /// Assembles a slab and gives it to its unit, which is the open one if there is any; returns the unit if slabs of it are to come.
    fn give(
        &self,
        (cell, top): (&[u64], Option<&Region>),
        (partitions, partition): (&Partitions, usize),
        open: Option<Open<'t>>,
        (slot, segment): (&mut [u8], &mut Vec<u8>),
        scratch: &mut S::Scratch,
    ) -> Result<Option<Open<'t>>> {
        let (transfer, block) = (self.block.transfer, &self.block);
        let cells = &block.levels[block.levels.len() - 1];
        let inside = cells.region(cell);
        let edges = transfer.grid.chunk_shape();
        let rank = edges.len();
        // The block begins with a unit.
        let unit: Vec<u64> = (0..rank).map(|axis| (block.region.start()[axis] + inside.start()[axis]) / edges[axis]).collect();
        let mut open = open.unwrap_or_else(|| Open { unit: unit.clone(), stream: None, at: 0, done: 0 });
        assert!(open.unit == unit, "slabs of {unit:?} come while {:?} is open", open.unit);
        let from = |axis: usize| inside.start()[axis] % edges[axis];
        let offset: usize = (0..rank).map(|axis| to_usize(from(axis)) * transfer.strides[axis]).sum();
        let items = (0..rank).fold(1, |items, axis| items * self.plan.partition[axis].min(edges[axis] - from(axis)));
        let slab = &mut slot[..to_usize(items) * block.item];
        let touched = partitions.record_count(partition) > 0;
        if touched || !transfer.sink.leaves_missing() {
            if data_bytes(partitions, partition) < slab.len() as u64 {
                transfer.preset_box(inside.shape(), slab);
            }
            partitions.take(partition, segment, &mut |record| self.replay_slab((&inside, top.unwrap_or(&inside)), record, slab))?;
            open.push(transfer, offset as u64, slab)?;
        }
        add(&transfer.control.done_bytes, slab.len() as u64);
        open.done += slab.len() as u64;
        let last = (0..rank).all(|axis| {
            let unit_end = inside.start()[axis] - from(axis) + edges[axis];
            inside.end(axis) == unit_end.min(block.region.shape()[axis])
        });
        if last {
            open.finish(transfer, scratch)?;
            return Ok(None);
        }
        Ok(Some(open))
    }

    /// Copies a record to its place in a slab.
    fn replay_slab(&self, (inside, top): (&Region, &Region), record: &[u8], slab: &mut [u8]) -> Result<()> {
        let (cut, data) = self.block.locate(top, inside, record)?;
        let (rank, to_strides) = (inside.rank(), &self.block.transfer.strides);
        let strides = self.block.record_strides(cut.shape());
        let offset = (0..rank).map(|axis| to_usize(cut.start()[axis] - inside.start()[axis]) * to_strides[axis]).sum();
        let from = BoxLayout { offset: 0, strides: &strides[..rank] };
        copy_box(cut.shape(), self.block.item, data, from, slab, BoxLayout { offset, strides: to_strides });
        Ok(())
    }
}
