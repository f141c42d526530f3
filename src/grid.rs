//! Chunk grids, chunk keys, and the arithmetic between chunks and regions.

use crate::error::{Error, Result};
use crate::region::{MAX_RANK, Region};

/// How an array is cut into chunks: a regular grid from the origin (Zarr v3 core specification, "Regular grids").
///
/// Chunks at the upper edges may reach beyond the array; they are stored whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChunkGrid {
    array_shape: Vec<u64>,
    chunk_shape: Vec<u64>,
}

impl ChunkGrid {
    /// A regular grid.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the ranks differ, the rank is over [`MAX_RANK`], or a chunk edge is 0.
    pub fn regular(array_shape: impl Into<Vec<u64>>, chunk_shape: impl Into<Vec<u64>>) -> Result<Self> {
        let (array_shape, chunk_shape) = (array_shape.into(), chunk_shape.into());
        if array_shape.len() > MAX_RANK {
            return Err(Error::invalid(format!("an array of rank {}; at most {MAX_RANK} is accepted", array_shape.len())));
        }
        if chunk_shape.len() != array_shape.len() {
            return Err(Error::invalid(format!(
                "chunk shape {chunk_shape:?} has rank {}, the array {array_shape:?} has rank {}",
                chunk_shape.len(),
                array_shape.len()
            )));
        }
        if let Some(axis) = chunk_shape.iter().position(|&edge| edge == 0) {
            return Err(Error::invalid(format!("chunk shape {chunk_shape:?}: axis {axis} is 0; at least 1 is accepted")));
        }
        Ok(Self { array_shape, chunk_shape })
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.array_shape.len()
    }

    /// Shape of the array.
    pub fn array_shape(&self) -> &[u64] {
        &self.array_shape
    }

    /// Shape of a chunk, in elements.
    pub fn chunk_shape(&self) -> &[u64] {
        &self.chunk_shape
    }

    /// Number of chunks along each axis.
    pub fn counts(&self) -> Vec<u64> {
        self.array_shape.iter().zip(&self.chunk_shape).map(|(len, edge)| len.div_ceil(*edge)).collect()
    }

    /// Number of chunks; at most as many as elements, so it can pass 2^64.
    pub fn chunk_count(&self) -> u128 {
        self.counts().iter().fold(1_u128, |product, &count| product.saturating_mul(u128::from(count)))
    }

    /// The elements of a chunk that lie inside the array.
    ///
    /// # Panics
    /// If the chunk is outside the grid.
    pub fn region(&self, chunk: &[u64]) -> Region {
        assert_eq!(chunk.len(), self.rank(), "rank of a chunk index");
        let (mut start, mut shape) = (Vec::with_capacity(self.rank()), Vec::with_capacity(self.rank()));
        for axis in 0..self.rank() {
            let from = chunk[axis].checked_mul(self.chunk_shape[axis]).filter(|&from| from < self.array_shape[axis]);
            let Some(from) = from else { panic!("chunk {chunk:?} outside the grid of {:?} chunks", self.counts()) };
            start.push(from);
            shape.push(self.chunk_shape[axis].min(self.array_shape[axis] - from));
        }
        Region::new(start, shape).unwrap_or_else(|_| unreachable!("a chunk inside its array"))
    }

    /// First element of a chunk of the grid.
    pub(crate) fn origin(&self, chunk: &[u64]) -> Vec<u64> {
        chunk.iter().zip(&self.chunk_shape).map(|(index, edge)| index * edge).collect()
    }

    /// The box of chunk indices whose chunks meet `region`, as if the grid went on beyond the array.
    ///
    /// # Panics
    /// If the region has another rank.
    pub fn chunks_over(&self, region: &Region) -> Region {
        assert_eq!(region.rank(), self.rank(), "rank of a region");
        let (mut start, mut shape) = (Vec::with_capacity(self.rank()), Vec::with_capacity(self.rank()));
        for axis in 0..self.rank() {
            let first = region.start()[axis] / self.chunk_shape[axis];
            let last = if region.shape()[axis] == 0 { first } else { (region.end(axis) - 1) / self.chunk_shape[axis] + 1 };
            start.push(first);
            shape.push(last - first);
        }
        Region::new(start, shape).unwrap_or_else(|_| unreachable!("chunk indices are smaller than element indices"))
    }
}

/// How the key of a chunk is made from its grid index (Zarr v3 core specification, "Chunk key encoding").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChunkKeyEncoding {
    /// `c/1/2`, or `c.1.2`.
    Default {
        /// `/` or `.`.
        separator: char,
    },
    /// `1.2`, or `1/2`; `0` for rank 0.
    V2 {
        /// `.` or `/`.
        separator: char,
    },
}

impl Default for ChunkKeyEncoding {
    fn default() -> Self {
        Self::Default { separator: '/' }
    }
}

impl ChunkKeyEncoding {
    /// The key of a chunk below its array's prefix.
    pub fn key(&self, chunk: &[u64]) -> String {
        use std::fmt::Write;
        let (mut key, separator) = match self {
            Self::Default { separator } => (String::from("c"), *separator),
            Self::V2 { separator } => (String::new(), *separator),
        };
        for index in chunk {
            if !key.is_empty() {
                key.push(separator);
            }
            let _ = write!(key, "{index}");
        }
        if key.is_empty() { String::from("0") } else { key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_specification() {
        assert_eq!(ChunkKeyEncoding::default().key(&[1, 23, 45]), "c/1/23/45");
        assert_eq!(ChunkKeyEncoding::Default { separator: '.' }.key(&[1, 2]), "c.1.2");
        assert_eq!(ChunkKeyEncoding::default().key(&[]), "c");
        assert_eq!(ChunkKeyEncoding::V2 { separator: '.' }.key(&[1, 2]), "1.2");
        assert_eq!(ChunkKeyEncoding::V2 { separator: '/' }.key(&[]), "0");
    }

    #[test]
    fn edge_chunks_are_clipped() {
        let grid = ChunkGrid::regular([10, 7], [4, 7]).unwrap();
        assert_eq!(grid.counts(), [3, 1]);
        assert_eq!(grid.region(&[2, 0]), Region::new([8, 0], [2, 7]).unwrap());
        assert_eq!(grid.chunks_over(&Region::new([3, 0], [2, 7]).unwrap()), Region::new([0, 0], [2, 1]).unwrap());
        assert_eq!(ChunkGrid::regular([0, 3], [1, 3]).unwrap().chunk_count(), 0);
        assert_eq!(ChunkGrid::regular([], []).unwrap().chunk_count(), 1);
    }

    #[test]
    fn what_is_outside_of_a_grid_panics_and_does_not_wrap() {
        let grid = ChunkGrid::regular([10], [2]).unwrap();
        assert_eq!(grid.region(&[4]), Region::new([8], [2]).unwrap());
        for chunk in [&[5][..], &[1 << 63], &[(1 << 63) + 1], &[u64::MAX], &[0, 0], &[]] {
            assert!(std::panic::catch_unwind(|| grid.region(chunk)).is_err(), "{chunk:?}");
        }
        for rank in [0, 2] {
            let other = Region::whole(&vec![1; rank]);
            let message = std::panic::catch_unwind(|| grid.chunks_over(&other)).unwrap_err();
            assert!(message.downcast_ref::<String>().is_some_and(|text| text.contains("rank of a region")));
        }
        let far = Region::new([u64::MAX - 1], [1]).unwrap();
        assert_eq!(grid.chunks_over(&far), Region::new([(u64::MAX - 1) / 2], [1]).unwrap());
    }

    #[test]
    fn impossible_grids_are_refused() {
        assert!(ChunkGrid::regular([1], [0]).is_err());
        assert!(ChunkGrid::regular([1], [1, 1]).is_err());
    }
}
