//! What a transfer takes its elements from: the units of an array, or of a region of it that begins at one.

use crate::array::{Array, UnitReader};
use crate::dtype::FillValue;
use crate::error::{Error, Result};
use crate::grid::ChunkGrid;
use crate::region::Region;

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

    /// Whether a region of an array begins with a unit.
    pub(crate) fn is_part(array: &Array, region: &Region) -> bool {
        let edges = array.unit_grid().chunk_shape();
        region.start().iter().all(|start| *start == 0)
            || (array.grid().is_regular() && region.start().iter().zip(edges).all(|(start, edge)| start.is_multiple_of(*edge)))
    }

    /// A region of an array that begins with a unit.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where it does not.
    pub(crate) fn part(array: &'a Array, region: &Region) -> Result<Self> {
        let edges = array.unit_grid().chunk_shape();
        if !Self::is_part(array, region) {
            return Err(Error::invalid(format!("region {region} does not begin with a chunk of {edges:?}")));
        }
        let first_unit = region.start().iter().zip(edges).map(|(start, edge)| start / edge).collect();
        Ok(Self { array, grid: array.unit_grid().with_array_shape(region.shape())?, first_unit })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::Codecs;
    use crate::dtype::DataType;
    use crate::metadata::{ArrayMetadata, Layout};
    use crate::store::{Key, MemoryStore};

    #[test]
    fn units_of_a_part_are_those_of_the_array() {
        let layout = Layout { chunk_shape: vec![4, 3], shard_shape: None, codecs: Codecs::none() };
        let metadata = ArrayMetadata::new([10, 10], DataType::UInt8, None, &layout).unwrap();
        let array = Array::create_in(Arc::new(MemoryStore::new()), Key::root(), metadata).unwrap();
        let part = Source::part(&array, &Region::new([4, 3], [5, 7]).unwrap()).unwrap();
        assert_eq!((part.grid().counts(), part.in_array(&[1, 2])), (vec![2, 3], vec![2, 3]));
        assert_eq!(part.grid().region(&[1, 2]), Region::new([4, 6], [1, 1]).unwrap());
        assert!(Source::part(&array, &Region::new([4, 2], [5, 7]).unwrap()).is_err());
    }
}
