//! Boxes of array indices, strides, and the one strided copy that moves all data.

use std::fmt;

use crate::error::{Error, Result};

mod copy;

pub(crate) use copy::{BoxLayout, copy_box};

/// The largest number of dimensions of an array (that of NumPy 2 is 64, that of TensorStore 32).
pub const MAX_RANK: usize = 32;

/// An axis-aligned box of array indices: where it starts and how long it is along each axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region {
    start: Vec<u64>,
    shape: Vec<u64>,
}

impl Region {
    /// A box from its start and its shape.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the two differ in rank, the rank is over [`MAX_RANK`], or an end passes `u64::MAX`.
    pub fn new(start: impl Into<Vec<u64>>, shape: impl Into<Vec<u64>>) -> Result<Self> {
        let (start, shape) = (start.into(), shape.into());
        if start.len() != shape.len() {
            return Err(Error::invalid(format!("region start {start:?} and shape {shape:?} differ in rank")));
        }
        if start.len() > MAX_RANK {
            return Err(Error::invalid(format!("rank {} is over the limit of {MAX_RANK}", start.len())));
        }
        for (axis, (from, len)) in start.iter().zip(&shape).enumerate() {
            if from.checked_add(*len).is_none() {
                return Err(Error::invalid(format!("region axis {axis}: start {from} and length {len} pass 2^64")));
            }
        }
        Ok(Self { start, shape })
    }

    /// The box from the origin over `shape`.
    ///
    /// # Panics
    /// If the rank is over [`MAX_RANK`].
    pub fn whole(shape: &[u64]) -> Self {
        assert!(shape.len() <= MAX_RANK, "rank {} is over the limit of {MAX_RANK}", shape.len());
        Self { start: vec![0; shape.len()], shape: shape.to_vec() }
    }

    /// First index along each axis.
    pub fn start(&self) -> &[u64] {
        &self.start
    }

    /// Length along each axis.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// One past the last index of `axis`.
    pub fn end(&self, axis: usize) -> u64 {
        self.start[axis] + self.shape[axis]
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Whether it holds no element (a box of rank 0 holds one).
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Number of elements; none where it passes `u64::MAX`.
    pub fn element_count(&self) -> Option<u64> {
        element_count(&self.shape)
    }

    /// What both boxes hold; none if that is nothing or the ranks differ.
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.rank() != other.rank() {
            return None;
        }
        let mut out = Self { start: Vec::with_capacity(self.rank()), shape: Vec::with_capacity(self.rank()) };
        for axis in 0..self.rank() {
            let start = self.start[axis].max(other.start[axis]);
            let end = self.end(axis).min(other.end(axis));
            if start >= end {
                return None;
            }
            out.start.push(start);
            out.shape.push(end - start);
        }
        Some(out)
    }

    /// Whether every element of `other` is in this box.
    pub fn contains(&self, other: &Self) -> bool {
        self.rank() == other.rank()
            && (0..self.rank()).all(|axis| self.start[axis] <= other.start[axis] && other.end(axis) <= self.end(axis))
    }

    /// The box as seen from `origin`, which must not lie behind its start.
    pub(crate) fn relative_to(&self, origin: &[u64]) -> Self {
        let start = self.start.iter().zip(origin).map(|(start, origin)| start - origin).collect();
        Self { start, shape: self.shape.clone() }
    }

    /// All index vectors of the box in C order (last axis fastest).
    pub(crate) fn indices(&self) -> Indices {
        let next = if self.is_empty() { None } else { Some(self.start.clone()) };
        Indices { region: self.clone(), next }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for axis in 0..self.rank() {
            write!(f, "{}{}:{}", if axis == 0 { "" } else { ", " }, self.start[axis], self.end(axis))?;
        }
        f.write_str("]")
    }
}

/// Iterator over the index vectors of a [`Region`].
pub(crate) struct Indices {
    region: Region,
    next: Option<Vec<u64>>,
}

impl Iterator for Indices {
    type Item = Vec<u64>;

    fn next(&mut self) -> Option<Vec<u64>> {
        let current = self.next.take()?;
        let mut following = current.clone();
        for axis in (0..self.region.rank()).rev() {
            following[axis] += 1;
            if following[axis] < self.region.end(axis) {
                self.next = Some(following);
                break;
            }
            following[axis] = self.region.start[axis];
        }
        Some(current)
    }
}

/// Product of a shape; none where it passes `u64::MAX`.
pub(crate) fn element_count(shape: &[u64]) -> Option<u64> {
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1_u64, |product, &len| product.checked_mul(len))
}

/// Strides in bytes of a C-order array of `shape` with elements of `item_size` bytes.
///
/// The product of shape and item size must have been checked to fit in memory.
pub(crate) fn c_strides(shape: &[u64], item_size: usize) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut step = item_size;
    for axis in (0..shape.len()).rev() {
        strides[axis] = step;
        step = step.saturating_mul(to_usize(shape[axis]));
    }
    strides
}

/// A length that is known to be in memory, as `usize`; saturates, so that a wrong one fails its bounds check instead of wrapping.
pub(crate) fn to_usize(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}

/// The position of `index` in a C-order list of a grid of `shape`.
pub(crate) fn ravel(index: &[u64], shape: &[u64]) -> u64 {
    index.iter().zip(shape).fold(0_u64, |position, (&i, &len)| position.wrapping_mul(len).wrapping_add(i))
}

/// The index vector at `position` in a C-order list of a grid of `shape` (the inverse of [`ravel`]).
pub(crate) fn unravel(mut position: u64, shape: &[u64]) -> Vec<u64> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = position % shape[axis];
        position /= shape[axis];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_run_in_c_order() {
        let region = Region::new([1, 5], [2, 2]).unwrap();
        let all: Vec<_> = region.indices().collect();
        assert_eq!(all, [vec![1, 5], vec![1, 6], vec![2, 5], vec![2, 6]]);
        assert_eq!(Region::whole(&[]).indices().collect::<Vec<_>>(), [Vec::<u64>::new()]);
        assert_eq!(Region::whole(&[3, 0]).indices().count(), 0);
    }

    #[test]
    fn ravel_and_unravel_are_inverse() {
        let shape = [3, 4, 5];
        for (position, index) in Region::whole(&shape).indices().enumerate() {
            assert_eq!(ravel(&index, &shape), position as u64);
            assert_eq!(unravel(position as u64, &shape), index);
        }
    }

    #[test]
    fn an_end_past_the_integers_is_refused() {
        assert!(Region::new([u64::MAX], [1]).is_err());
        assert!(Region::new([0; 33], [1; 33]).is_err());
        assert!(Region::new([0], [1, 2]).is_err());
    }

    #[test]
    fn intersections() {
        let a = Region::new([0, 10], [5, 5]).unwrap();
        let b = Region::new([3, 0], [5, 11]).unwrap();
        assert_eq!(a.intersect(&b), Some(Region::new([3, 10], [2, 1]).unwrap()));
        assert_eq!(a.intersect(&Region::new([5, 10], [1, 1]).unwrap()), None);
        assert!(a.contains(&a.intersect(&b).unwrap()));
    }
}
