//! Plans in which source units are copied straight into target units.

use super::arithmetic::{blocks, counts, gcd, seconds, total};
use super::partition::cost_per_byte;
use super::{Plan, Problem, Share, Steps, Strategy, Walk, assemble};

/// Bookkeeping of a live target unit beside its bytes.
const TILE_OVERHEAD_BYTES: u64 = 512;

/// Shards that all readers together hold open at most: each is a file.
const HELD_SHARDS: u64 = 256;

/// Target units that source units along one axis can have in the making at one time: the frontier.
pub(super) fn frontier(source: u64, target: u64) -> u64 {
    let common = gcd(source, target);
    u64::try_from((u128::from(source) + u128::from(target - common)).div_ceil(u128::from(target))).unwrap_or(u64::MAX)
}

/// RCK-11.
pub(super) fn direct(problem: &Problem, budget: u64, n: usize) -> Option<Plan> {
    let rank = problem.shape.len();
    let (source, target) = (&problem.source, &problem.target);
    let block = blocks(&problem.shape, &source.unit, &target.unit);
    let super_block = blocks(&problem.shape, &block, &target.chunk);
    let across: Vec<u64> = (0..rank).map(|axis| block[axis].div_ceil(target.unit[axis])).collect();
    let near: Vec<u64> = (0..rank).map(|axis| across[axis].min(frontier(source.unit[axis], target.unit[axis]))).collect();
    let live_along = |slow: usize| (0..rank).map(|axis| if axis == slow { near[axis] } else { across[axis] }).fold(1, u64::saturating_mul);
    let slow = (0..rank).min_by_key(|&axis| live_along(axis));
    let live = slow.map_or(1, live_along);
    let touched = near.iter().copied().fold(1, u64::saturating_mul);

    let mut shares = vec![
        Share { what: "decoding source chunks", count: n as u64, each_bytes: problem.reader_bytes },
        Share { what: "encoding target chunks", count: n as u64, each_bytes: problem.writer_bytes },
    ];
    if problem.open_shard_bytes > 0 {
        let together = counts(&super_block, &target.chunk);
        let count = together.saturating_mul(n as u64 + 1).min(counts(&problem.shape, &target.chunk));
        shares.push(Share { what: "indexes of shards in the making", count, each_bytes: problem.open_shard_bytes });
    }
    let (shards_held, index_seconds) = held_shards(problem, budget, n, &block, slow);
    if shards_held > 1 {
        let count = (shards_held as u64 - 1).saturating_mul(n as u64);
        shares.push(Share { what: "indexes of source shards", count, each_bytes: problem.held_shard_bytes });
    }
    let room = budget.checked_sub(total(&shares))?;
    let each_bytes = target.unit_bytes.checked_add(TILE_OVERHEAD_BYTES)?;
    let useful =
        live.saturating_add(live).saturating_add(touched.saturating_mul(2 * n as u64)).min(counts(&problem.shape, &target.unit).max(1));
    let slots = (room / each_bytes).min(useful);
    if slots < live.min(counts(&problem.shape, &target.unit)) {
        return None;
    }
    shares.push(Share { what: "target chunks in the making", count: slots, each_bytes });
    let mut axes: Vec<usize> = slow.into_iter().collect();
    axes.extend((0..rank).filter(|axis| Some(*axis) != slow));
    let walk = Walk { super_block, axes, shards_held };
    let mut plan = assemble(problem, Strategy::Direct, budget, (n, n), shares, Steps::Direct { walk, slots })?;
    plan.block = block;
    let cut = cost_per_byte(problem, &source.unit, &problem.shape, &target.unit);
    plan.estimated_seconds = seconds(plan.decoded_bytes, problem.decode_ns + cut, n)
        + seconds(plan.encoded_bytes, problem.encode_ns + problem.costs.write_ns, n)
        + index_seconds;
    Some(plan)
}

/// How many source shards a reader should hold in the walk of a block, and the time in seconds that reading indexes again takes. A walk that
/// crosses shards comes back to each of them once for every step along the slow axis; fewer than all of them are of no use.
pub(super) fn held_shards(problem: &Problem, budget: u64, n: usize, block: &[u64], slow: Option<usize>) -> (usize, f64) {
    let shard = &problem.source.chunk;
    // A block that does not begin with a shard meets one more.
    let across = |axis: usize| block[axis].div_ceil(shard[axis]) + u64::from(!block[axis].is_multiple_of(shard[axis]) && block[axis] > 1);
    let crossed = (0..block.len()).filter(|axis| Some(*axis) != slow).map(across).fold(1, u64::saturating_mul);
    let cost = problem.held_shard_bytes.saturating_mul(n as u64);
    let affordable = (budget / 4).checked_div(cost).unwrap_or(0).min(HELD_SHARDS / n as u64);
    match usize::try_from(crossed) {
        Ok(crossed) if problem.held_shard_bytes > 0 && crossed as u64 <= affordable => (crossed, 0.0),
        _ if problem.held_shard_bytes == 0 || crossed == 1 => (1, 0.0),
        _ => (1, seconds(counts(&problem.shape, &problem.source.unit).saturating_mul(problem.held_shard_bytes), problem.costs.index_ns, n)),
    }
}
