//! The shuffle strategy: pieces of source units are sorted by target through the shuffle buffer, block by block.
//!
//! In the first phase every source unit of a block is decoded once and cut into records by partition; in the second each partition is read
//! back, assembled in whole target units, and given to the sink. Both phases work in the same slab, one after the other.
//!
//! A record (SPL-4) says which source unit it was cut from and which part of the piece it is; its box follows from the geometry of the two grids. Its
//! elements are in the order of the target's memory, so that putting them in place copies runs.

use parking_lot::Mutex;

use crate::array::UnitReader;
use crate::error::{Error, Result};
use crate::grid::ChunkGrid;
use crate::rechunk::execute::{TileSink, Transfer, add, in_units, spans};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::pieces::{for_each_piece, part_shape};
use crate::rechunk::plan::Plan;
use crate::region::{BoxLayout, MAX_RANK, Region, copy_box, element_count, ravel, to_usize, unravel};
use crate::shuffle::{Partitions, RECORD_BYTES, ShuffleBuffer};

/// In front of a record's elements: position of the source unit in its block (u64), and of the part in its piece (u32), little-endian.
const RECORD_HEADER_BYTES: usize = 12;

/// Runs a shuffle plan in `slab`.
pub(super) fn run<S: TileSink>(transfer: &Transfer<'_, S>, plan: &Plan, slot_bytes: usize, slab: &mut [u8]) -> Result<()> {
    let mut readers: Vec<_> = (0..plan.threads).map(|_| transfer.source.reader(1)).collect();
    let mut scratches: Vec<_> = (0..plan.encode_threads).map(|_| (transfer.sink.scratch(), Vec::new())).collect();
    let mut records: Vec<_> = (0..plan.threads).map(|_| Vec::with_capacity(RECORD_BYTES)).collect();
    let blocks = ChunkGrid::regular(transfer.grid.array_shape(), plan.block.clone())?;
    for index in Region::whole(&blocks.counts()).indices() {
        let block = Block::new(transfer, plan, blocks.region(&index))?;
        let buffer = ShuffleBuffer::new(slab, to_usize(plan.partition_count), plan.threads, transfer.spill_dir)?;
        let units = Mutex::new(block.source_units(transfer));
        transfer.on_threads(readers.iter_mut().zip(&mut records), |(reader, record)| {
            loop {
                transfer.control.check()?;
                let Some(unit) = next(&units) else { return Ok(()) };
                block.cut(&unit, reader, record, &buffer)?;
            }
        })?;
        let partitions = buffer.seal()?;
        add(&transfer.control.spilled_bytes, block.spilled_bytes(&partitions));
        add(&transfer.control.spill_file_bytes, partitions.file_bytes());
        let order = Mutex::new(block.partitions(transfer));
        let slots = slab.chunks_exact_mut(slot_bytes).zip(&mut scratches);
        transfer.on_threads(slots, |(slot, (scratch, buffer))| {
            loop {
                transfer.control.check()?;
                let Some(partition) = next(&order) else { return Ok(()) };
                block.assemble(&partition, &partitions, slot, buffer, scratch)?;
            }
        })?;
    }
    Ok(())
}

/// Bytes of elements among a partition's records.
fn data_bytes(partitions: &Partitions, partition: usize) -> u64 {
    partitions.record_bytes(partition) - partitions.record_count(partition) * RECORD_HEADER_BYTES as u64
}

fn next(order: &Mutex<TiledIndices>) -> Option<Vec<u64>> {
    order.lock().next()
}

/// One block of the array and the geometry that both phases agree on.
struct Block<'t, S> {
    transfer: &'t Transfer<'t, S>,
    region: Region,
    /// Source units of the block, in the index space of all source units.
    units: Region,
    /// Partitions of the block; indices and extents are relative to it.
    partitions: ChunkGrid,
    /// Number of partitions along each axis.
    counts: Vec<u64>,
    source_strides: Vec<usize>,
    /// Axes from the slowest to the fastest in the memory of a target unit.
    memory_order: Vec<usize>,
    item: usize,
}

impl<'t, S: TileSink> Block<'t, S> {
    fn new(transfer: &'t Transfer<'t, S>, plan: &Plan, region: Region) -> Result<Self> {
        let source = transfer.source.grid();
        let partitions = ChunkGrid::regular(region.shape(), plan.partition.clone())?;
        let mut memory_order: Vec<usize> = (0..region.rank()).collect();
        memory_order.sort_by_key(|&axis| std::cmp::Reverse(transfer.strides[axis]));
        Ok(Self {
            transfer,
            units: in_units(&region, source.chunk_shape()),
            counts: partitions.counts(),
            partitions,
            region,
            source_strides: transfer.source.strides(),
            memory_order,
            item: transfer.item_size(),
        })
    }

    /// The source units of the block, shard by shard, so that a reader needs each shard's index once.
    fn source_units(&self, transfer: &Transfer<'_, S>) -> TiledIndices {
        let source = transfer.source;
        let shard = spans(source.array().metadata().chunk_shape(), source.grid().chunk_shape());
        let axes: Vec<usize> = (0..self.region.rank()).collect();
        TiledIndices::new(&self.units, &[shard], &axes)
    }

    /// The partitions of the block, those of one target shard together, so that few shards are in the making.
    fn partitions(&self, transfer: &Transfer<'_, S>) -> TiledIndices {
        let shard = spans(transfer.chunks.chunk_shape(), self.partitions.chunk_shape());
        let axes: Vec<usize> = (0..self.region.rank()).collect();
        TiledIndices::new(&Region::whole(&self.counts), &[shard], &axes)
    }

    /// Data among what was spilled: without the headers of records.
    fn spilled_bytes(&self, partitions: &Partitions) -> u64 {
        (0..partitions.len()).map(|partition| data_bytes(partitions, partition)).sum()
    }

    /// The box of a source unit, relative to the block.
    fn unit_box(&self, unit: &[u64]) -> Region {
        self.transfer.source.grid().region(unit).relative_to(self.region.start())
    }

    /// Byte strides of a record's elements: those of a box of `shape` in the order of the target's memory.
    fn record_strides(&self, shape: &[u64]) -> [usize; MAX_RANK] {
        let mut strides = [0; MAX_RANK];
        let mut step = self.item;
        for &axis in self.memory_order.iter().rev() {
            strides[axis] = step;
            step *= to_usize(shape[axis]);
        }
        strides
    }

    /// Shape of the parts that a piece is cut into so that each fits a record.
    fn parts(&self, shape: &[u64]) -> [u64; MAX_RANK] {
        let limit = (RECORD_BYTES - RECORD_HEADER_BYTES) / self.item;
        let mut ordered = [1; MAX_RANK];
        for (position, &axis) in self.memory_order.iter().enumerate() {
            ordered[position] = shape[axis];
        }
        let ordered = part_shape(&ordered[..shape.len()], limit as u64);
        let mut part = [1; MAX_RANK];
        for (position, &axis) in self.memory_order.iter().enumerate() {
            part[axis] = ordered[position];
        }
        part
    }

    /// Decodes a source unit and pushes its pieces.
    fn cut(&self, unit: &[u64], reader: &mut UnitReader, record: &mut Vec<u8>, buffer: &ShuffleBuffer<'_>) -> Result<()> {
        let inside = self.unit_box(unit);
        let within: Vec<u64> = unit.iter().zip(self.units.start()).map(|(unit, first)| unit - first).collect();
        let position = ravel(&within, self.units.shape());
        self.transfer.read(reader, unit, &mut |bytes| {
            let Some(bytes) = bytes else { return Ok(()) };
            for_each_piece(inside.start(), inside.shape(), self.partitions.chunk_shape(), |cell, start, shape| {
                let partition = to_usize(ravel(cell, &self.counts));
                self.cut_piece(position, &inside, (start, shape), bytes, record, |record| buffer.push(partition, record))
            })
        })
    }

    fn cut_piece(
        &self,
        position: u64,
        unit: &Region,
        (start, shape): (&[u64], &[u64]),
        bytes: &[u8],
        record: &mut Vec<u8>,
        mut push: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let rank = shape.len();
        let parts = self.parts(shape);
        let mut part_index = 0_u32;
        for_each_piece(&[0; MAX_RANK][..rank], shape, &parts[..rank], |_, part_start, part_shape| {
            let len = to_usize(element_count(part_shape).unwrap_or(u64::MAX)).saturating_mul(self.item);
            record.resize(RECORD_HEADER_BYTES + len, 0);
            record[..8].copy_from_slice(&position.to_le_bytes());
            record[8..12].copy_from_slice(&part_index.to_le_bytes());
            part_index += 1;
            let mut offset = 0;
            for axis in 0..rank {
                offset += to_usize(start[axis] + part_start[axis] - unit.start()[axis]) * self.source_strides[axis];
            }
            let to = self.record_strides(part_shape);
            let from = BoxLayout { offset, strides: &self.source_strides };
            copy_box(part_shape, self.item, bytes, from, &mut record[RECORD_HEADER_BYTES..], BoxLayout { offset: 0, strides: &to[..rank] });
            push(record)
        })
    }

    /// Puts a partition together in `slot`, and gives its units to the sink.
    fn assemble(
        &self,
        partition: &[u64],
        partitions: &Partitions,
        slot: &mut [u8],
        buffer: &mut Vec<u8>,
        scratch: &mut S::Scratch,
    ) -> Result<()> {
        let transfer = self.transfer;
        let inside = self.partitions.region(partition);
        let tiles = spans(inside.shape(), transfer.grid.chunk_shape());
        let tile_bytes = transfer.tile_bytes;
        let index = to_usize(ravel(partition, &self.counts));
        let touched = partitions.record_count(index) > 0;
        let first: Vec<u64> =
            (0..inside.rank()).map(|axis| (self.region.start()[axis] + inside.start()[axis]) / transfer.grid.chunk_shape()[axis]).collect();
        let unit_of = |within: &[u64]| first.iter().zip(within).map(|(a, b)| a + b).collect::<Vec<u64>>();
        if touched {
            let tile_count = to_usize(tiles.iter().product());
            let used = &mut slot[..tile_count * tile_bytes];
            if data_bytes(partitions, index) < used.len() as u64 {
                for (tile, within) in used.chunks_exact_mut(tile_bytes).zip(Region::whole(&tiles).indices()) {
                    transfer.preset(&unit_of(&within), tile);
                }
            }
            partitions.take(index, buffer, &mut |record| self.replay(&inside, &tiles, record, used))?;
        }
        for (tile, within) in slot.chunks_exact_mut(tile_bytes).zip(Region::whole(&tiles).indices()) {
            transfer.control.check()?;
            transfer.deliver(&unit_of(&within), tile, touched, scratch)?;
        }
        Ok(())
    }

    /// Copies a record to its place in the partition whose box is `inside` and whose units lie one after another in `slot`.
    fn replay(&self, inside: &Region, tiles: &[u64], record: &[u8], slot: &mut [u8]) -> Result<()> {
        let (piece, data) = self.locate(inside, record)?;
        let rank = inside.rank();
        let strides = self.record_strides(piece.shape());
        let edges = self.transfer.grid.chunk_shape();
        let tile_bytes = self.transfer.tile_bytes;
        for_each_piece(piece.start(), piece.shape(), edges, |tile, start, shape| {
            let (mut from, mut to) = (0, to_usize(ravel(tile, tiles)) * tile_bytes);
            for axis in 0..rank {
                from += to_usize(start[axis] - piece.start()[axis]) * strides[axis];
                to += to_usize(start[axis] - tile[axis] * edges[axis]) * self.transfer.strides[axis];
            }
            let from = BoxLayout { offset: from, strides: &strides[..rank] };
            copy_box(shape, self.item, data, from, slot, BoxLayout { offset: to, strides: &self.transfer.strides });
            Ok(())
        })
    }

    /// The box of a record relative to the partition, and its elements.
    fn locate<'r>(&self, inside: &Region, record: &'r [u8]) -> Result<(Region, &'r [u8])> {
        let corrupt = || Error::corrupt("a record of the spill file does not fit its partition");
        let (header, data) = record.split_first_chunk::<RECORD_HEADER_BYTES>().ok_or_else(corrupt)?;
        let [p0, p1, p2, p3, p4, p5, p6, p7, i0, i1, i2, i3] = *header;
        let position = u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]);
        let part_index = u64::from(u32::from_le_bytes([i0, i1, i2, i3]));
        if self.units.element_count().is_none_or(|count| position >= count) {
            return Err(corrupt());
        }
        let unit: Vec<u64> = unravel(position, self.units.shape()).iter().zip(self.units.start()).map(|(a, b)| a + b).collect();
        let piece = self.unit_box(&unit).intersect(inside).ok_or_else(corrupt)?.relative_to(inside.start());
        let parts = ChunkGrid::regular(piece.shape(), &self.parts(piece.shape())[..piece.rank()])?;
        if u128::from(part_index) >= parts.chunk_count() {
            return Err(corrupt());
        }
        let part = parts.region(&unravel(part_index, &parts.counts()));
        let start: Vec<u64> = part.start().iter().zip(piece.start()).map(|(a, b)| a + b).collect();
        let part = Region::new(start, part.shape())?;
        let expected = part.element_count().and_then(|count| count.checked_mul(self.item as u64));
        if expected != Some(data.len() as u64) {
            return Err(corrupt());
        }
        Ok((part, data))
    }
}
