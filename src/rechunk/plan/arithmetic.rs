//! The arithmetic of shapes that plans are made of.

use super::{Problem, Share, Side};
use crate::grid::ChunkGrid;
use crate::rechunk::gather::Gathered;
use crate::region::element_count;

/// An estimate: so many bytes, of which `part` of `whole` are left.
pub(super) fn scaled(bytes: u64, (part, whole): (u64, u64)) -> u64 {
    u64::try_from(u128::from(bytes) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

pub(super) fn seconds(bytes: u64, ns: f64, threads: usize) -> f64 {
    bytes as f64 * ns * 1e-9 / threads as f64
}

pub(super) fn total(shares: &[Share]) -> u64 {
    shares.iter().map(Share::bytes).fold(0, u64::saturating_add)
}

/// Number of chunks of the target.
pub(super) fn target_chunks(problem: &Problem) -> u64 {
    problem.gathered.as_ref().map_or_else(|| counts(&problem.shape, &problem.target.chunk), Gathered::chunks)
}

/// Decoded size of a chunk (of a shard): so many units.
pub(super) fn chunk_bytes(side: &Side) -> u64 {
    counts(&side.chunk, &side.unit).saturating_mul(side.unit_bytes)
}

pub(super) fn array_bytes(problem: &Problem) -> u64 {
    element_count(&problem.shape).unwrap_or(u64::MAX).saturating_mul(problem.item_size as u64)
}

/// Number of boxes of `edges` that cover `shape`.
pub(super) fn counts(shape: &[u64], edges: &[u64]) -> u64 {
    let Ok(grid) = ChunkGrid::regular(shape, edges) else { unreachable!("shapes of one problem have one rank and no zero edges") };
    u64::try_from(grid.chunk_count()).unwrap_or(u64::MAX)
}

/// The smallest boxes whose faces are boundaries of both grids, clipped to the array.
pub(super) fn blocks(shape: &[u64], a: &[u64], b: &[u64]) -> Vec<u64> {
    (0..shape.len())
        .map(|axis| {
            let lcm = u128::from(a[axis] / gcd(a[axis], b[axis])) * u128::from(b[axis]);
            u64::try_from(lcm).unwrap_or(u64::MAX).min(shape[axis].max(1))
        })
        .collect()
}

/// Number of pairs of a box of edge `a` and one of edge `b` that meet along an axis of `len`.
pub(super) fn meetings(len: u64, a: u64, b: u64) -> u64 {
    if len == 0 {
        return 0;
    }
    let lcm = u128::from(a / gcd(a, b)) * u128::from(b);
    let common = u64::try_from(u128::from(len - 1) / lcm).unwrap_or(u64::MAX);
    (len.div_ceil(a) - 1).saturating_add(len.div_ceil(b)) - common
}

pub(super) fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_meet_are_counted() {
        for (len, a, b) in [(10, 3, 4), (12, 3, 4), (12, 4, 4), (1, 7, 9), (13, 4, 2), (100, 7, 100), (0, 3, 3), (24, 6, 4)] {
            let mut pairs: Vec<_> = (0..len).map(|i| (i / a, i / b)).collect();
            pairs.dedup();
            assert_eq!(meetings(len, a, b), pairs.len() as u64, "{len} {a} {b}");
        }
        assert_eq!(meetings(u64::MAX, u64::MAX, 1 << 63), 2);
    }
}
