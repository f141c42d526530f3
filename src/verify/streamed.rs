//! Comparing units larger than memory: slab after slab, against a stream of the stored unit.

use super::CompareSink;
use crate::array::{UnitReader, UnitStream};
use crate::error::Result;
use crate::rechunk::execute::TileStream;
use crate::region::{Region, to_usize};

/// How much of the stored unit is held at a time, in bytes: whole elements of any size.
const WINDOW_BYTES: usize = 64 << 10;

/// What comparing one unit slab after slab takes, beside the slabs.
pub(super) fn memory_bytes(other: &crate::array::Array) -> u64 {
    UnitReader::stream_memory(other).saturating_add(WINDOW_BYTES as u64)
}

pub(super) struct CompareStream<'s> {
    sink: &'s CompareSink<'s>,
    unit: Vec<u64>,
    /// The stored unit; none if it is missing.
    stored: Option<UnitStream>,
    window: Vec<u8>,
    /// Bytes of the unit that were compared or passed over.
    at: u64,
}

impl<'s> CompareStream<'s> {
    pub(super) fn new(sink: &'s CompareSink<'s>, unit: &[u64]) -> Result<Self> {
        let stored = UnitReader::new(sink.other).stream(unit, UnitReader::stream_memory(sink.other))?;
        Ok(Self { sink, unit: unit.to_vec(), stored, window: Vec::new(), at: 0 })
    }

    /// Compares `bytes` with those in the window, and keeps the first element inside the array that differs.
    fn compare(&self, bytes: &[u8]) {
        if self.window == bytes {
            return;
        }
        let array = self.sink.other;
        let (grid, strides) = (array.unit_grid(), array.unit_pipeline().strides());
        let item = array.metadata().data_type().item_size();
        let (origin, inside) = (grid.origin(&self.unit), grid.region(&self.unit));
        let mut order: Vec<usize> = (0..strides.len()).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
        let pairs = bytes.chunks_exact(item).zip(self.window.chunks_exact(item));
        let differing = pairs.enumerate().filter(|(_, (ours, stored))| ours != stored);
        let found = differing.filter_map(|(number, _)| {
            let mut rest = to_usize(self.at) + number * item;
            let mut index = vec![0; strides.len()];
            for &axis in &order {
                index[axis] = origin[axis] + (rest / strides[axis]) as u64;
                rest %= strides[axis];
            }
            let one = Region::new(index.clone(), vec![1; strides.len()]).ok()?;
            inside.contains(&one).then_some(index)
        });
        if let Some(index) = found.min() {
            self.sink.differs(index);
        }
    }
}

impl TileStream for CompareStream<'_> {
    fn push(&mut self, slab: &[u8]) -> Result<()> {
        let array = self.sink.other;
        let fill = array.metadata().fill_value();
        let step = WINDOW_BYTES.next_multiple_of(array.metadata().data_type().item_size());
        for bytes in slab.chunks(step) {
            self.window.resize(bytes.len(), 0);
            match &mut self.stored {
                Some(stored) => stored.next(&mut self.window)?,
                None => fill.fill(&mut self.window),
            }
            self.compare(bytes);
            self.at += bytes.len() as u64;
        }
        Ok(())
    }

    fn push_fill(&mut self, bytes: u64) -> Result<()> {
        self.at += bytes;
        self.stored.as_mut().map_or(Ok(()), |stored| stored.skip(bytes))
    }

    fn finish(self: Box<Self>) -> Result<()> {
        self.stored.map_or(Ok(()), |stored| stored.finish().map(drop))
    }
}
