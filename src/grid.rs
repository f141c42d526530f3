//! Chunk grids, chunk keys, and the arithmetic between chunks and regions.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::region::{MAX_RANK, Region};

mod edges;
mod key;

pub use edges::{EdgeRuns, Edges};
pub use key::ChunkKeyEncoding;

/// How an array is cut into chunks: a regular grid from the origin (Zarr v3 core specification, "Regular grids"), or a rectilinear one, whose
/// axes are cut each for itself (the extension `rectilinear`).
///
/// Chunks at the upper edges may reach beyond the array; they are stored whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ChunkGrid {
    array_shape: Vec<u64>,
    /// In a rectilinear grid, the largest edges.
    chunk_shape: Vec<u64>,
    /// The axes of a rectilinear grid; at least one of them is a list.
    edges: Option<Arc<[Edges]>>,
}

impl ChunkGrid {
    /// A regular grid.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the ranks differ, the rank is over [`MAX_RANK`], or a chunk edge is 0.
    pub fn regular(array_shape: impl Into<Vec<u64>>, chunk_shape: impl Into<Vec<u64>>) -> Result<Self> {
        let (array_shape, chunk_shape) = (array_shape.into(), chunk_shape.into());
        check_rank(&array_shape, "chunk shape", &chunk_shape)?;
        if let Some(axis) = chunk_shape.iter().position(|&edge| edge == 0) {
            return Err(Error::invalid(format!("chunk shape {chunk_shape:?}: axis {axis} is 0; at least 1 is accepted")));
        }
        Ok(Self { array_shape, chunk_shape, edges: None })
    }

    /// A grid whose axes are cut each for itself; a regular one where no axis has a list of edges.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the ranks differ, the rank is over [`MAX_RANK`], an edge is 0, or a list is shorter than its axis.
    pub fn rectilinear(array_shape: impl Into<Vec<u64>>, edges: impl Into<Vec<Edges>>) -> Result<Self> {
        let (array_shape, edges) = (array_shape.into(), edges.into());
        let chunk_shape: Vec<u64> = edges.iter().map(Edges::largest).collect();
        check_rank(&array_shape, "chunk edges", &chunk_shape)?;
        for (axis, (edges, &len)) in edges.iter().zip(&array_shape).enumerate() {
            edges.check_covers(axis, len)?;
        }
        let lists = edges.iter().any(|edges| matches!(edges, Edges::List(_)));
        Ok(Self { array_shape, chunk_shape, edges: lists.then(|| edges.into()) })
    }

    /// The same cuts for an array of another extent.
    ///
    /// # Errors
    /// As [`ChunkGrid::rectilinear`].
    pub fn with_array_shape(&self, array_shape: impl Into<Vec<u64>>) -> Result<Self> {
        match &self.edges {
            None => Self::regular(array_shape, &*self.chunk_shape),
            Some(edges) => Self::rectilinear(array_shape, &**edges),
        }
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.array_shape.len()
    }

    /// Shape of the array.
    pub fn array_shape(&self) -> &[u64] {
        &self.array_shape
    }

    /// Whether all chunks have the same shape.
    pub fn is_regular(&self) -> bool {
        self.edges.is_none()
    }

    /// Shape of a chunk, in elements; in a rectilinear grid, the largest edge along each axis.
    pub fn chunk_shape(&self) -> &[u64] {
        &self.chunk_shape
    }

    /// How each axis is cut.
    pub fn edges(&self) -> Vec<Edges> {
        match &self.edges {
            None => self.chunk_shape.iter().map(|&edge| Edges::Repeat(edge)).collect(),
            Some(edges) => edges.to_vec(),
        }
    }

    /// Number of chunks along each axis.
    pub fn counts(&self) -> Vec<u64> {
        match &self.edges {
            None => self.array_shape.iter().zip(&self.chunk_shape).map(|(len, edge)| len.div_ceil(*edge)).collect(),
            Some(edges) => self.array_shape.iter().zip(&**edges).map(|(&len, edges)| edges.count(len)).collect(),
        }
    }

    /// Number of chunks; at most as many as elements, so it can pass 2^64.
    pub fn chunk_count(&self) -> u128 {
        self.counts().iter().fold(1_u128, |product, &count| product.saturating_mul(u128::from(count)))
    }

    /// First element and edge of the chunks with index `chunk` along `axis`.
    fn along(&self, axis: usize, chunk: u64) -> Option<(u64, u64)> {
        match &self.edges {
            None => chunk.checked_mul(self.chunk_shape[axis]).map(|first| (first, self.chunk_shape[axis])),
            Some(edges) => edges[axis].of_chunk(chunk),
        }
    }

    /// The elements of a chunk that lie inside the array.
    ///
    /// # Panics
    /// If the chunk is outside the grid.
    pub fn region(&self, chunk: &[u64]) -> Region {
        assert_eq!(chunk.len(), self.rank(), "rank of a chunk index");
        let (mut start, mut shape) = (Vec::with_capacity(self.rank()), Vec::with_capacity(self.rank()));
        for axis in 0..self.rank() {
            let found = self.along(axis, chunk[axis]).filter(|&(from, _)| from < self.array_shape[axis]);
            let Some((from, edge)) = found else { panic!("chunk {chunk:?} outside the grid of {:?} chunks", self.counts()) };
            start.push(from);
            shape.push(edge.min(self.array_shape[axis] - from));
        }
        Region::new(start, shape).unwrap_or_else(|_| unreachable!("a chunk inside its array"))
    }

    /// First element of a chunk of the grid.
    pub(crate) fn origin(&self, chunk: &[u64]) -> Vec<u64> {
        let first = |(axis, &chunk)| self.along(axis, chunk).map_or(u64::MAX, |(first, _)| first);
        chunk.iter().enumerate().map(first).collect()
    }

    /// Shape of a chunk of the grid as it is stored, also where it reaches beyond the array.
    pub(crate) fn stored_shape(&self, chunk: &[u64]) -> Vec<u64> {
        let edge = |(axis, &chunk)| self.along(axis, chunk).map_or(self.chunk_shape[axis], |(_, edge)| edge);
        chunk.iter().enumerate().map(edge).collect()
    }

    /// How far the stored chunks reach along each axis, in elements.
    pub(crate) fn stored_extent(&self) -> Vec<u64> {
        let reach = |(axis, &count): (usize, &u64)| {
            let last = count.checked_sub(1).map(|last| self.along(axis, last));
            last.map_or(0, |last| last.map_or(u64::MAX, |(first, edge)| first.saturating_add(edge)))
        };
        self.counts().iter().enumerate().map(reach).collect()
    }

    /// The box of chunk indices whose chunks meet `region`, as if a regular grid went on beyond the array.
    ///
    /// # Panics
    /// If the region has another rank.
    pub fn chunks_over(&self, region: &Region) -> Region {
        assert_eq!(region.rank(), self.rank(), "rank of a region");
        let (mut start, mut shape) = (Vec::with_capacity(self.rank()), Vec::with_capacity(self.rank()));
        for axis in 0..self.rank() {
            let chunk_of = |element: u64| match &self.edges {
                None => element / self.chunk_shape[axis],
                Some(edges) => edges[axis].chunk_of(element),
            };
            let first = chunk_of(region.start()[axis]);
            let behind = if region.shape()[axis] == 0 { first } else { chunk_of(region.end(axis) - 1) + 1 };
            start.push(first);
            shape.push(behind - first);
        }
        Region::new(start, shape).unwrap_or_else(|_| unreachable!("chunk indices are smaller than element indices"))
    }
}

fn check_rank(array_shape: &[u64], what: &str, chunk_shape: &[u64]) -> Result<()> {
    if array_shape.len() > MAX_RANK {
        return Err(Error::invalid(format!("an array of rank {}; at most {MAX_RANK} is accepted", array_shape.len())));
    }
    if chunk_shape.len() != array_shape.len() {
        return Err(Error::invalid(format!(
            "{what} {chunk_shape:?} has rank {}, the array {array_shape:?} has rank {}",
            chunk_shape.len(),
            array_shape.len()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn axes_are_cut_each_for_itself() {
        let months = Edges::List(EdgeRuns::new([(31, 1), (28, 1), (31, 1), (30, 2)]).unwrap());
        let grid = ChunkGrid::rectilinear([100, 7], [months, Edges::Repeat(4)]).unwrap();
        assert!(!grid.is_regular());
        assert_eq!((grid.counts(), grid.chunk_shape()), (vec![4, 2], &[31, 4][..]));
        assert_eq!(grid.region(&[1, 1]), Region::new([31, 4], [28, 3]).unwrap());
        assert_eq!(grid.region(&[3, 0]), Region::new([90, 0], [10, 4]).unwrap());
        assert_eq!((grid.origin(&[3, 1]), grid.stored_shape(&[3, 1])), (vec![90, 4], vec![30, 4]));
        assert_eq!(grid.chunks_over(&Region::new([30, 0], [30, 4]).unwrap()), Region::new([0, 0], [3, 1]).unwrap());
        assert_eq!(grid.chunks_over(&Region::new([40, 5], [0, 1]).unwrap()).shape(), [0, 1]);
        assert_eq!(grid.with_array_shape([121, 1]).unwrap().counts(), [5, 1]);
        assert_eq!((grid.stored_extent(), grid.with_array_shape([0, 4]).unwrap().stored_extent()), (vec![120, 8], vec![0, 4]));
        assert!(grid.with_array_shape([151, 1]).is_err());
        assert_eq!(ChunkGrid::rectilinear([3], [Edges::Repeat(2)]).unwrap(), ChunkGrid::regular([3], [2]).unwrap());
        assert!(ChunkGrid::rectilinear([3], [Edges::Repeat(0)]).is_err());
        assert!(ChunkGrid::rectilinear([3], []).is_err());
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
