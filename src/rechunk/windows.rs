//! Which parts of a source unit that is stored as it is are read at once.

use std::cmp::Reverse;

use crate::region::{MAX_RANK, to_usize};

/// The most unwanted bytes that are read rather than skipped: about what a call costs, and no more than a page, which comes with its neighbours.
const GAP_BYTES: usize = 4 << 10;

/// How a box of a unit is cut into windows: boxes of this shape, one behind the other in C order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// Shape of a window, in elements; those at the upper faces are smaller.
    pub(crate) shape: [u64; MAX_RANK],
    /// Bytes from the first to behind the last element of a window.
    pub(crate) span: usize,
    /// Windows that follow one another without a long gap.
    pub(crate) together: u64,
}

/// Cuts a box of `shape` of a unit laid out by `strides`, whose axes are `order` from the slowest to the fastest, into windows of at most
/// `limit` bytes (or one element).
pub(crate) fn windows(shape: &[u64], strides: &[usize], order: &[usize], item: usize, limit: usize) -> Windows {
    let mut out = Windows { shape: [1; MAX_RANK], span: item, together: 1 };
    let mut full = true;
    for &axis in order.iter().rev().filter(|&&axis| shape[axis] > 1) {
        let stride = strides[axis];
        if stride.saturating_sub(out.span) > GAP_BYTES {
            break;
        }
        if !full {
            out.together = out.together.saturating_mul(shape[axis]);
            continue;
        }
        let step = if out.span >= limit { 1 } else { ((limit - out.span) / stride + 1).min(to_usize(shape[axis])) };
        out.shape[axis] = step as u64;
        out.span += (step - 1) * stride;
        if (step as u64) < shape[axis] {
            full = false;
            out.together = shape[axis].div_ceil(step as u64);
        }
    }
    out
}

/// The axes of a layout from the slowest to the fastest.
pub(crate) fn slowest_first(strides: &[usize]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..strides.len()).collect();
    order.sort_by_key(|&axis| Reverse(strides[axis]));
    order
}

/// The bytes from the first to behind the last element of a box of `shape`.
pub(crate) fn span(shape: &[u64], strides: &[usize], item: usize) -> usize {
    shape.iter().zip(strides).fold(item, |span, (&len, &stride)| span + to_usize(len).saturating_sub(1) * stride)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::c_strides;

    fn cut(shape: &[u64], unit: &[u64], limit: usize) -> (Vec<u64>, usize, u64) {
        let order: Vec<usize> = (0..shape.len()).collect();
        let found = windows(shape, &c_strides(unit, 4), &order, 4, limit);
        assert_eq!(span(&found.shape[..shape.len()], &c_strides(unit, 4), 4), found.span);
        (found.shape[..shape.len()].to_vec(), found.span, found.together)
    }

    #[test]
    fn windows_are_as_long_as_they_may_be() {
        assert_eq!(cut(&[1, 10, 360], &[1, 180, 360], 1 << 20), (vec![1, 10, 360], 14_400, 1));
        assert_eq!(cut(&[1, 10, 360], &[1, 180, 360], 6000), (vec![1, 4, 360], 5760, 3));
        // Gaps of less than a page are read.
        assert_eq!(cut(&[1, 10, 40], &[1, 180, 360], 1 << 20), (vec![1, 10, 40], 9 * 1440 + 160, 1));
        // Longer ones are not.
        assert_eq!(cut(&[64, 224], &[64, 8192], 1 << 20), (vec![1, 224], 896, 1));
        assert_eq!(cut(&[64, 8192], &[64, 8192], 1 << 20), (vec![32, 8192], 1 << 20, 2));
        assert_eq!(cut(&[7], &[7], 1), (vec![1], 4, 7));
        assert_eq!(cut(&[], &[], 1), (vec![], 4, 1));
    }
}
