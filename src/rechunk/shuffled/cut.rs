//! The phases of a shuffle that cut: source units into records of the first level, and records into those of the next.

use super::Shuffle;
use super::block::{Cut, RECORD_HEADER_BYTES};
use crate::array::UnitReader;
use crate::error::{Error, Result};
use crate::rechunk::cells::position_in;
use crate::rechunk::execute::{TileSink, add, spans};
use crate::rechunk::journal::{InBlock, Phase, Position};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::pieces::for_each_piece;
use crate::rechunk::rounds::Rounds;
use crate::region::{BoxLayout, MAX_RANK, Region, copy_box, element_count, ravel, to_usize};
use crate::shuffle::{LENGTH_BYTES, Segments, ShuffleBuffer};

impl<S: TileSink> Shuffle<'_, S> {
    /// Decodes and cuts the source units of the block, shard by shard, so that a reader needs each shard's index once; the first `done` of them were
    /// cut before.
    pub(super) fn cut_units(&self, cells: &Region, buffer: &ShuffleBuffer<'_>, done: u64) -> Result<()> {
        let transfer = self.block.transfer;
        let (source, control) = (transfer.source, transfer.control);
        let shard = spans(source.array().metadata().chunk_shape(), source.grid().chunk_shape());
        let axes: Vec<usize> = (0..cells.rank()).collect();
        let units = TiledIndices::new(&self.block.units, &[shard], &axes);
        let units = Rounds::new(control, units, done, |unit| if self.keeps { unit.to_vec() } else { Vec::new() })?;
        let mut readers: Vec<_> = (0..self.plan.threads).map(|_| source.reader(1)).collect();
        let work = |reader: &mut UnitReader| {
            let (mut slab, mut record) = (Vec::new(), Vec::with_capacity(self.sort.sizes.record_bytes()));
            loop {
                control.check()?;
                let Some(unit) = units.next() else { return Ok(()) };
                let within: Vec<u64> = unit.iter().zip(self.block.units.start()).map(|(unit, first)| unit - first).collect();
                let position = ravel(&within, self.block.units.shape()).saturating_mul(self.block.granules.per_unit);
                let mut cut = |position, bytes: &[u8]| self.cut(position, bytes, cells, &mut record, buffer);
                match &self.sort.granule {
                    None => transfer.read(reader, &unit, &mut |bytes| bytes.map_or(Ok(()), |bytes| cut(position, bytes)))?,
                    Some((_, memory)) => self.read_slabs(&unit, (&*reader, *memory), position, &mut slab, &mut cut)?,
                }
            }
        };
        units.each(
            || control.on_threads(&mut readers, work),
            |done| {
                control.on_threads(0..self.plan.threads, |_| buffer.flush())?;
                let block = Some(InBlock { phase: Phase::Cut, done, saved: buffer.save()?, before_bytes: self.before_bytes });
                control.checkpoint(Position { items: self.number, block })
            },
        )
    }

    /// Reads a source unit slab after slab, the first of which has position `first`, and shows each to `cut` (RCK-22).
    fn read_slabs(
        &self,
        unit: &[u64],
        (reader, memory): (&UnitReader, u64),
        first: u64,
        slab: &mut Vec<u8>,
        cut: &mut dyn FnMut(u64, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let (transfer, granules) = (self.block.transfer, &self.block.granules);
        let unit_bytes = transfer.source.unit_bytes();
        let Some(mut stream) = reader.stream(&transfer.source.in_array(unit), memory).map_err(|error| self.beside(error, memory))? else {
            add(&transfer.control.done_bytes, unit_bytes);
            return Ok(());
        };
        for index in TiledIndices::new(&Region::whole(&granules.counts), &[], &granules.order) {
            transfer.control.check()?;
            let len = |axis: usize| granules.edges[axis].min(granules.unit[axis] - index[axis] * granules.edges[axis]);
            let bytes = (0..index.len()).fold(self.block.item as u64, |bytes, axis| bytes.saturating_mul(len(axis)));
            let position = first + ravel(&index, &granules.counts);
            if self.block.granule_box(position).is_some() {
                slab.resize(to_usize(bytes), 0);
                stream.next(slab)?;
                cut(position, slab)?;
            } else {
                stream.skip(bytes)?;
            }
            add(&transfer.control.done_bytes, bytes);
        }
        add(&transfer.control.read_bytes, stream.finish()?);
        add(&transfer.control.decoded_units, 1);
        add(&transfer.control.decoded_bytes, unit_bytes);
        Ok(())
    }

    /// What a stream that needs more memory than the plan gave it needs of the budget.
    fn beside(&self, error: Error, memory: u64) -> Error {
        match error {
            Error::BudgetTooSmall { required_bytes, what, .. } => {
                let more = required_bytes.saturating_sub(memory).saturating_mul(self.plan.threads as u64);
                Error::BudgetTooSmall {
                    required_bytes: self.plan.memory_bytes.saturating_add(more),
                    budget_bytes: self.plan.budget_bytes,
                    what: format!("{what}; it takes {required_bytes} bytes as a stream, beside what else is in memory"),
                }
            }
            error => error,
        }
    }

    /// Pushes the pieces of a granule.
    fn cut(&self, position: u64, bytes: &[u8], cells: &Region, record: &mut Vec<u8>, buffer: &ShuffleBuffer<'_>) -> Result<()> {
        let Some(inside) = self.block.granule_box(position) else { unreachable!("a part of the block") };
        let mut pushed = 0;
        self.block.levels[0].for_each_piece(inside.start(), inside.shape(), |cell, start, shape| {
            let partition = position_in(cells, cell);
            self.cut_piece(position, &inside, (start, shape), bytes, record, |record| {
                pushed += framed_bytes(record);
                buffer.push(partition, record)
            })
        })?;
        self.block.transfer.control.wrote(pushed);
        Ok(())
    }

    /// Cuts the piece of a unit that is in one cell into records.
    fn cut_piece(
        &self,
        position: u64,
        unit: &Cut,
        (start, shape): (&[u64], &[u64]),
        bytes: &[u8],
        record: &mut Vec<u8>,
        mut push: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let (rank, strides) = (shape.len(), &self.block.source_strides);
        let parts = self.block.parts(shape);
        let mut header = [0; RECORD_HEADER_BYTES];
        header[..8].copy_from_slice(&position.to_le_bytes());
        let mut part_index = 0_u32;
        for_each_piece(&[0; MAX_RANK][..rank], shape, &parts[..rank], |_, part_start, part_shape| {
            header[8..].copy_from_slice(&part_index.to_le_bytes());
            part_index += 1;
            let mut offset = 0;
            for axis in 0..rank {
                offset += to_usize(start[axis] + part_start[axis] - unit.start()[axis]) * strides[axis];
            }
            self.pack(&header, part_shape, bytes, BoxLayout { offset, strides }, record);
            push(record)
        })
    }

    /// Makes a record of a box that lies in `bytes`.
    fn pack(&self, header: &[u8; RECORD_HEADER_BYTES], shape: &[u64], bytes: &[u8], from: BoxLayout<'_>, record: &mut Vec<u8>) {
        let len = to_usize(element_count(shape).unwrap_or(u64::MAX)).saturating_mul(self.block.item);
        record.resize(RECORD_HEADER_BYTES + len, 0);
        record[..RECORD_HEADER_BYTES].copy_from_slice(header);
        let strides = self.block.record_strides(shape);
        let to = BoxLayout { offset: 0, strides: &strides[..shape.len()] };
        copy_box(shape, self.block.item, bytes, from, &mut record[RECORD_HEADER_BYTES..], to);
    }

    /// Cuts the records of the cell `above`, which lies in `top` of the first level, by the `cells` of the next level. A record keeps the header
    /// that the first level gave it (SPL-8).
    pub(super) fn sort_further(
        &self,
        (level, cells): (usize, &Region),
        (above, top): (&Region, &Region),
        segments: &Segments<'_>,
        buffer: &ShuffleBuffer<'_>,
    ) -> Result<()> {
        let (transfer, sizes) = (self.block.transfer, self.sort.sizes);
        transfer.on_threads(0..self.plan.threads, |_| {
            let (mut segment, mut record) = (Vec::with_capacity(sizes.read_bytes()), Vec::with_capacity(sizes.record_bytes()));
            loop {
                let mut pushed = 0;
                let mut visit = |whole: &[u8]| {
                    pushed += self.cut_record((level, cells), (above, top), whole, &mut record, buffer)?;
                    Ok(())
                };
                if !segments.next(&mut segment, &mut visit)? {
                    return Ok(());
                }
                transfer.control.wrote(pushed);
                transfer.control.check()?;
            }
        })
    }

    /// Returns how many bytes it has become.
    fn cut_record(
        &self,
        (level, cells): (usize, &Region),
        (above, top): (&Region, &Region),
        whole: &[u8],
        record: &mut Vec<u8>,
        buffer: &ShuffleBuffer<'_>,
    ) -> Result<u64> {
        let (cut, data) = self.block.locate(top, above, whole)?;
        let Some(header) = whole.first_chunk::<RECORD_HEADER_BYTES>() else { unreachable!("it was located") };
        let strides = self.block.record_strides(cut.shape());
        let (rank, mut pushed) = (cut.shape().len(), 0);
        self.block.levels[level].for_each_piece(cut.start(), cut.shape(), |cell, start, shape| {
            let partition = position_in(cells, cell);
            if shape == cut.shape() {
                pushed += framed_bytes(whole);
                return buffer.push(partition, whole);
            }
            let mut offset = 0;
            for axis in 0..rank {
                offset += to_usize(start[axis] - cut.start()[axis]) * strides[axis];
            }
            self.pack(header, shape, data, BoxLayout { offset, strides: &strides[..rank] }, record);
            pushed += framed_bytes(record);
            buffer.push(partition, record)
        })?;
        Ok(pushed)
    }
}

/// What a record takes in the spill file.
fn framed_bytes(record: &[u8]) -> u64 {
    (record.len() + LENGTH_BYTES) as u64
}
