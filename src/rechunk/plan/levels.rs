//! The levels of a shuffle: cells that grow from a partition to the block, and the fewest of them that a slab can sort through (RCK-20).

use super::partition::cost_per_byte;
use super::{Problem, Side};
use crate::rechunk::cells::Cells;

/// Edges of cells from those of a partition up to those of the block, each about twice as large along one axis as those before: along the
/// axis that makes cutting cheapest. The same in every budget. Slabs of a unit whose axes lie in memory in `order` stay slabs until they are the unit.
pub(super) fn chain(problem: &Problem, block: &[u64], partition: &[u64], order: Option<&[usize]>) -> Vec<Vec<u64>> {
    let mut chain = vec![partition.to_vec()];
    let mut edges = partition.to_vec();
    loop {
        let (unit, chunk) = (&problem.target.unit, &problem.target.chunk);
        let partial = |axis: &&usize| edges[**axis] < unit[**axis].min(block[**axis]);
        let only = order.and_then(|order| order.iter().rev().find(partial));
        let axes = (0..block.len()).rev().filter(|axis| only.is_none_or(|only| only == axis));
        let grown = axes.filter_map(|axis| {
            let edge = grow(edges[axis], unit[axis], chunk[axis], block[axis])?;
            let mut candidate = edges.clone();
            candidate[axis] = edge;
            Some((cost_per_byte(problem, &problem.source.unit, block, &candidate), candidate))
        });
        match grown.min_by(|a, b| a.0.total_cmp(&b.0)) {
            Some((_, candidate)) => {
                edges = candidate;
                chain.push(edges.clone());
            }
            None => return chain,
        }
    }
}

/// The next larger edge along an axis: within a unit, then within a shard, then multiples of it; none if the cells reach across the block.
fn grow(edge: u64, unit: u64, chunk: u64, block: u64) -> Option<u64> {
    let most = if edge < unit {
        unit
    } else if edge < chunk {
        chunk
    } else {
        block.div_ceil(chunk).saturating_mul(chunk)
    };
    (edge < block).then(|| edge.saturating_mul(2).min(most))
}

/// The edges of each level, the last those of the partition: as few levels as cells of at most `widest` parts allow, and with the least
/// `widest` that allows so few. None where even a single step of the chain is wider.
pub(super) fn levels(chain: &[Vec<u64>], block: &[u64], target: &Side, widest: u64) -> Option<Vec<Vec<u64>>> {
    let cells: Vec<Cells> = chain.iter().map(|edges| Cells::new(block, edges, &target.unit, &target.chunk)).collect();
    let within = |widest: u64| descend(&cells, chain, block, widest);
    let mut found = within(widest)?;
    let (mut too_narrow, mut enough) = (0, widest.min(cells.first()?.most_within(block)));
    while enough - too_narrow > 1 {
        let middle = too_narrow + (enough - too_narrow) / 2;
        match within(middle) {
            Some(levels) if levels.len() == found.len() => (found, enough) = (levels, middle),
            _ => too_narrow = middle,
        }
    }
    Some(found.into_iter().map(|step| chain[step].clone()).collect())
}

/// Steps of the chain, from the block downwards, each as far as `widest` reaches.
fn descend(cells: &[Cells], chain: &[Vec<u64>], block: &[u64], widest: u64) -> Option<Vec<usize>> {
    let (mut levels, mut above, mut at) = (Vec::new(), block, cells.len());
    while at > 0 {
        // The lower the step, the more parts.
        let next = cells[..at].partition_point(|cells| cells.most_within(above) > widest);
        if next == at {
            return None;
        }
        levels.push(next);
        (above, at) = (&chain[next], next);
    }
    Some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(unit: &[u64], chunk: &[u64]) -> Side {
        Side { unit: unit.to_vec(), chunk: chunk.to_vec(), unit_bytes: 1, order: (0..unit.len()).collect(), plain: false }
    }

    /// RCK-20.
    #[test]
    fn as_few_levels_as_possible_and_these_even() {
        let chain: Vec<Vec<u64>> = (0..=12).map(|log| vec![1 << log]).collect();
        let target = side(&[1], &[1]);
        let of = |widest| levels(&chain, &[4096], &target, widest).map(|levels| levels.concat());
        assert_eq!(of(4096), Some(vec![1]));
        assert_eq!(of(4095), Some(vec![64, 1]), "two levels of 64, and not one of 2048 and one of 2");
        assert_eq!(of(64), Some(vec![64, 1]));
        assert_eq!(of(63), Some(vec![256, 16, 1]));
        assert_eq!(of(2).map(|levels| levels.len()), Some(12));
        assert_eq!(of(1), None);
    }

    #[test]
    fn edges_grow_to_units_shards_and_blocks() {
        let steps = |edge, unit, chunk, block| {
            let next = |&edge: &u64| grow(edge, unit, chunk, block);
            std::iter::successors(Some(edge), next).collect::<Vec<_>>()
        };
        assert_eq!(steps(3, 10, 30, 100), [3, 6, 10, 20, 30, 60, 120]);
        assert_eq!(steps(5, 5, 5, 5), [5]);
        assert_eq!(steps(1, 97, 97, 50), [1, 2, 4, 8, 16, 32, 64]);
    }
}
