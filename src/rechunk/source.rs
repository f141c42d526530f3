//! What a transfer takes its elements from: the units of an array, or of a region of it that begins at one.

use crate::array::{Array, UnitReader};
use crate::dtype::FillValue;
use crate::grid::ChunkGrid;

/// Source units, in the coordinates of the target.
pub(crate) struct Source<'a> {
    array: &'a Array,
    /// Grid of the units over what is taken.
    grid: ChunkGrid,
    /// Index in the array of the unit that the grid begins with.
    first_unit: Vec<u64>,
}

impl<'a> Source<'a> {
    /// All of an array.
    pub(crate) fn whole(array: &'a Array) -> Self {
        Self { array, grid: array.unit_grid().clone(), first_unit: vec![0; array.shape().len()] }
    }

    pub(crate) fn array(&self) -> &'a Array {
        self.array
    }

    /// Grid of the units.
    pub(crate) fn grid(&self) -> &ChunkGrid {
        &self.grid
    }

    /// The index in the array of a unit of the grid.
    pub(crate) fn in_array(&self, unit: &[u64]) -> Vec<u64> {
        unit.iter().zip(&self.first_unit).map(|(unit, first)| unit + first).collect()
    }

    /// Byte strides of a decoded unit.
    pub(crate) fn strides(&self) -> Vec<usize> {
        self.array.unit_pipeline().strides()
    }

    /// Size of a decoded unit in bytes.
    pub(crate) fn unit_bytes(&self) -> u64 {
        self.array.unit_pipeline().chunk_bytes() as u64
    }

    pub(crate) fn item_size(&self) -> usize {
        self.array.data_type().item_size()
    }

    /// The value of elements of which nothing is stored.
    pub(crate) fn fill(&self) -> &'a FillValue {
        self.array.metadata().fill_value()
    }

    /// A reader for one thread, which reads parts of up to `units` units in turn.
    pub(crate) fn alternating(&self, units: usize) -> UnitReader {
        UnitReader::alternating(self.array, units)
    }

    /// A reader for one thread, which keeps up to `shards` shards.
    pub(crate) fn reader(&self, shards: usize) -> UnitReader {
        UnitReader::holding(self.array, shards)
    }
}
