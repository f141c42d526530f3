//! The shape of shuffle partitions: boxes of target units, grown along the axes that make the pieces cut from source units long.

use super::Problem;

/// The partition shape in elements: a box of target units inside a block of `block` elements, of at most `limit_bytes`; where the target is
/// sharded, each edge divides the shard's or is a multiple of it, so that a shard is completed by consecutive partitions.
pub(super) fn partition_shape(problem: &Problem, block: &[u64], limit_bytes: u64) -> Vec<u64> {
    let rank = block.len();
    let unit = &problem.target.unit;
    let mut units = vec![1_u64; rank];
    loop {
        let mut best: Option<(f64, usize, u64)> = None;
        for axis in (0..rank).rev() {
            let across = block[axis].div_ceil(unit[axis]);
            let shard = problem.target.chunk[axis] / unit[axis];
            let grown = next_count(units[axis], across, shard);
            if grown <= units[axis] {
                continue;
            }
            let mut candidate = units.clone();
            candidate[axis] = grown;
            if partition_bytes(problem, &candidate).is_none_or(|bytes| bytes > limit_bytes) {
                continue;
            }
            let edges: Vec<u64> = (0..rank).map(|axis| candidate[axis] * unit[axis]).collect();
            let cost = cost_per_byte(problem, &problem.source.unit, block, &edges);
            if best.is_none_or(|(least, _, _)| cost < least) {
                best = Some((cost, axis, grown));
            }
        }
        match best {
            Some((_, axis, grown)) => units[axis] = grown,
            None => return (0..rank).map(|axis| units[axis] * unit[axis]).collect(),
        }
    }
}

/// Bytes of a partition of so many whole units along each axis; none where that overflows.
pub(super) fn partition_bytes(problem: &Problem, units: &[u64]) -> Option<u64> {
    units.iter().try_fold(problem.target.unit_bytes, |product, &count| product.checked_mul(count))
}

/// The next larger number of units along an axis: a divisor of the shard, then multiples of it, about doubling, up to the block.
pub(super) fn next_count(current: u64, across: u64, shard: u64) -> u64 {
    if current < shard {
        if across <= current {
            return current;
        }
        // Shards of very many inner chunks along an axis are searched only so far: then a whole shard is the next step.
        return (current + 1..shard.min(current + 100_000)).find(|count| shard.is_multiple_of(*count)).unwrap_or(shard);
    }
    let most = across.div_ceil(shard).saturating_mul(shard);
    current.saturating_mul(2).min(most)
}

/// Estimated nanoseconds a byte for cutting source boxes of `unit` elements into cells of so many along each axis.
pub(super) fn cost_per_byte(problem: &Problem, unit: &[u64], block: &[u64], edges: &[u64]) -> f64 {
    let item = problem.item_size as f64;
    let (mut run_bytes, mut piece_bytes, mut contiguous) = (item, item, true);
    for axis in (0..block.len()).rev() {
        let source = unit[axis].min(block[axis]) as f64;
        let edge = edges[axis].min(block[axis]) as f64;
        let nested = source.max(edge) % source.min(edge) == 0.0;
        let pieces = if nested { (source / edge).max(1.0) } else { source / edge + 1.0 };
        let extent = (source / pieces).max(1.0);
        piece_bytes *= extent;
        if contiguous {
            run_bytes *= extent;
            contiguous = pieces <= 1.0;
        }
    }
    problem.costs.copy(run_bytes) + problem.costs.record_ns / piece_bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RCK-12.
    #[test]
    fn counts_divide_the_shard_or_are_multiples_of_it() {
        let mut counts = vec![1];
        while counts.len() < 20 {
            let next = next_count(counts[counts.len() - 1], 100, 12);
            if next == counts[counts.len() - 1] {
                break;
            }
            counts.push(next);
        }
        assert_eq!(counts, [1, 2, 3, 4, 6, 12, 24, 48, 96, 108]);
        assert_eq!(next_count(1, 1, 12), 1);
        assert_eq!(next_count(4, 5, 1), 5);
    }
}
