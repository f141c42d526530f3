//! Plans in which boxes of source units are read once, and their pieces written to their final places in the target.

use super::arithmetic::{array_bytes, blocks, counts, meetings, seconds, total};
use super::boxed::{PAGE_BYTES, parts_bytes, scatter};
use super::direct::{frontier, held_shards};
use super::partition::next_count;
use super::{Placing, Plan, Problem, Ranges, Share, Steps, Strategy, Walk, assemble};

/// What is kept of a target unit that is begun and not complete: its state, that of its chunk, an open file.
const STATE_BYTES: u64 = 1 << 10;

/// RCK-33. Sizes of boxes are those met while a single source unit is grown; of these, the one that takes the least time.
pub(super) fn partial_writes(problem: &Problem, budget: u64, n: usize) -> Option<Plan> {
    if !problem.in_place {
        return None;
    }
    let rank = problem.shape.len();
    let mut units = vec![1_u64; rank];
    let mut best: Option<Plan> = None;
    let shape_of =
        |units: &[u64]| -> Vec<u64> { units.iter().zip(&problem.source.unit).map(|(n, unit)| n.saturating_mul(*unit)).collect() };
    loop {
        let shape = shape_of(&units);
        if let Some(plan) = plan_of(problem, (budget, n), &shape)
            && best.as_ref().is_none_or(|known| plan.estimated_seconds < known.estimated_seconds)
        {
            best = Some(plan);
        }
        let grown = |axis: usize| {
            let across = problem.shape[axis].div_ceil(problem.source.unit[axis]);
            let count = next_count(units[axis], across, problem.source.chunk[axis] / problem.source.unit[axis]);
            let mut grown = units.clone();
            grown[axis] = count;
            let bytes = slot_bytes(problem, &shape_of(&grown))?.saturating_mul(n as u64);
            (count > units[axis] && bytes <= budget).then_some(grown)
        };
        let cost = |units: &[u64]| estimate(problem, (budget, 1), &shape_of(units)).1;
        let next = (0..rank).rev().filter_map(grown).map(|units| (cost(&units), units)).min_by(|a, b| a.0.total_cmp(&b.0));
        match next {
            Some((_, next)) => units = next,
            None => return best,
        }
    }
}

/// Room for the pieces of a box: as many as one can have, each as large as one can be.
fn slot_bytes(problem: &Problem, shape: &[u64]) -> Option<u64> {
    let mut bytes = problem.item_size as u64;
    for (axis, &edge) in shape.iter().enumerate() {
        let target = problem.target.unit[axis];
        let across = problem.shape[axis].div_ceil(target).max(1);
        bytes = bytes.checked_mul(frontier(edge, target).min(across))?.checked_mul(edge.min(target))?;
    }
    Some(bytes)
}

fn plan_of(problem: &Problem, (budget, n): (u64, usize), shape: &[u64]) -> Option<Plan> {
    let rank = shape.len();
    let target = &problem.target;
    let block = blocks(&problem.shape, shape, &target.unit);
    let super_block = blocks(&problem.shape, &block, &target.chunk);
    let across: Vec<u64> = (0..rank).map(|axis| block[axis].div_ceil(target.unit[axis])).collect();
    let near: Vec<u64> = (0..rank).map(|axis| across[axis].min(frontier(shape[axis], target.unit[axis]))).collect();
    let live_along = |slow: usize| (0..rank).map(|axis| if axis == slow { near[axis] } else { across[axis] }).fold(1, u64::saturating_mul);
    let slow = (0..rank).min_by_key(|&axis| live_along(axis));
    // Every box that is in work keeps what it touches.
    let touched = near.iter().copied().fold(1, u64::saturating_mul).saturating_mul(n as u64);
    let live = slow.map_or(1, live_along).saturating_add(touched).min(counts(&problem.shape, &target.unit).max(1));
    let slot_bytes = slot_bytes(problem, shape)?;
    let reader_bytes = if problem.source.plain { parts_bytes(problem, 1) } else { problem.reader_bytes };
    let mut shares = vec![
        Share { what: "decoding source chunks", count: n as u64, each_bytes: reader_bytes },
        Share { what: "pieces of target chunks", count: n as u64, each_bytes: slot_bytes },
        Share { what: "state of target chunks in the making", count: live, each_bytes: STATE_BYTES },
    ];
    if problem.open_shard_bytes > 0 {
        let together = counts(&super_block, &target.chunk).saturating_mul(n as u64 + 1);
        let count = together.min(counts(&problem.shape, &target.chunk));
        shares.push(Share { what: "indexes of shards in the making", count, each_bytes: problem.open_shard_bytes });
    }
    let (shards_held, index_seconds) = held_shards(problem, budget, n, &block, slow);
    if shards_held > 1 {
        let count = (shards_held as u64 - 1).saturating_mul(n as u64);
        shares.push(Share { what: "indexes of source shards", count, each_bytes: problem.held_shard_bytes });
    }
    let (ranges, seconds) = estimate(problem, (budget, n), shape);
    if total(&shares) > budget {
        return None;
    }
    let mut axes: Vec<usize> = slow.into_iter().collect();
    axes.extend((0..rank).filter(|axis| Some(*axis) != slow));
    let walk = Walk { super_block, axes, shards_held };
    let steps = Steps::Place(Placing { shape: shape.to_vec(), slot_bytes, in_parts: problem.source.plain, walk });
    let mut plan = assemble(problem, Strategy::PartialWrites, budget, (n, n), shares, steps)?;
    (plan.block, plan.partition, plan.partition_count) = (block, shape.to_vec(), counts(&problem.shape, shape));
    plan.ranges = Some(ranges);
    plan.work_bytes = plan.decoded_bytes.saturating_add(array_bytes(problem));
    plan.estimated_seconds = seconds + index_seconds;
    Some(plan)
}

/// The ranges that are written, and the time in seconds.
fn estimate(problem: &Problem, (budget, n): (u64, usize), shape: &[u64]) -> (Ranges, f64) {
    let (costs, bytes) = (&problem.costs, array_bytes(problem));
    let (mut run_bytes, mut whole) = (problem.item_size as u64, true);
    for &axis in problem.target.order.iter().rev() {
        let met = meetings(problem.shape[axis], shape[axis], problem.target.unit[axis]).max(1);
        if whole {
            let extent = problem.shape[axis].div_ceil(met).max(1);
            run_bytes = run_bytes.saturating_mul(extent);
            whole = extent >= problem.target.unit[axis];
        }
    }
    let found = Ranges { count: (bytes / run_bytes).max(1), mean_bytes: run_bytes };
    let ranges = found.count as f64;
    // Pages that are written in parts may have left the cache in between.
    let cold = if problem.is_cold(budget) { ranges * PAGE_BYTES as f64 * costs.disk_ns * n as f64 } else { 0.0 };
    let page_bytes = ranges * run_bytes.max(PAGE_BYTES) as f64;
    let units = counts(&problem.shape, &problem.source.unit) as f64;
    let written = counts(&problem.shape, &problem.target.chunk) as f64 * costs.open_ns + ranges * 2.0 * costs.call_ns + cold;
    let read = units * (costs.open_ns + problem.source.unit_bytes as f64 * problem.decode_ns);
    let moved = bytes as f64 * scatter(problem, None) + page_bytes * costs.write_ns;
    let boxes = counts(&problem.shape, shape).max(1);
    let idle = boxes.div_ceil(n as u64).saturating_mul(n as u64) as f64 / boxes as f64;
    (found, seconds(1, (read + moved + written) * idle, n))
}

#[cfg(test)]
mod tests {
    use super::super::tests::problem;
    use super::*;

    fn in_place(shape: &[u64], source: &[u64], target: &[u64]) -> Problem {
        Problem { in_place: true, ..problem(shape, source, target) }
    }

    /// RCK-33.
    #[test]
    fn pieces_are_pages_and_more() {
        let transposed = in_place(&[16384, 16384], &[64, 16384], &[16384, 64]);
        let plan = partial_writes(&transposed, 64 << 20, 2).unwrap();
        assert!(plan.ranges.is_some_and(|ranges| ranges.mean_bytes >= 16 << 10), "{:?}", plan.ranges);
        assert_eq!((plan.spilled_bytes, plan.decoded_bytes), (0, 1 << 30));
        // Maps that follow one another are neighbours in the target.
        let maps = in_place(&[3650, 180, 360], &[1, 180, 360], &[3650, 10, 10]);
        let plan = partial_writes(&maps, 64 << 20, 2).unwrap();
        assert!(plan.ranges.is_some_and(|ranges| ranges.mean_bytes >= 4096), "{:?}", plan.ranges);
        // Of light curves only all epochs together make longer pieces.
        let curves = in_place(&[140_000, 256, 4], &[140_000, 1, 4], &[1000, 256, 4]);
        assert_ne!(super::super::plan(&curves, 64 << 20, 2).unwrap().strategy, Strategy::PartialWrites);
        assert!(partial_writes(&Problem { in_place: false, ..maps }, 64 << 20, 2).is_none());
    }
}
