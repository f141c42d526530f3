//! Plans in which the pieces of source units are sorted by target through the spill file.

use super::arithmetic::{array_bytes, blocks, counts, seconds, total};
use super::partition::{cost_per_byte, partition_bytes, partition_shape};
use super::{Plan, Problem, Share, Steps, Strategy, assemble};
use crate::region::element_count;
use crate::shuffle::{PARTITION_OVERHEAD_BYTES, RECORD_BYTES, SEGMENT_BYTES, smallest_slab_bytes};

/// The least memory a partition has on average in the shuffle buffer: below, segments get so short that the spill file is read at random.
const LEAST_PARTITION_SHARE_BYTES: u64 = 2 << 10;

/// Room for headers beside a segment's payload.
const SEGMENT_READ_BYTES: u64 = SEGMENT_BYTES as u64 + 4096;

/// RCK-12.
/// The largest partitions that the budget feeds, of those limited to the size of a target unit times a power of two: so few candidates, the
/// same in every budget, make sure that what fits in a budget fits in a larger one. What fits is then made as large as the budget allows.
pub(super) fn shuffle(problem: &Problem, budget: u64, n: usize, m: usize) -> Option<Plan> {
    let block = blocks(&problem.shape, &problem.source.unit, &problem.target.chunk);
    let base = [
        Share { what: "decoding source chunks", count: n as u64, each_bytes: problem.reader_bytes },
        Share { what: "pieces being cut", count: n as u64, each_bytes: RECORD_BYTES as u64 },
        Share { what: "reading the spill file", count: m as u64, each_bytes: SEGMENT_READ_BYTES },
        Share { what: "encoding target chunks", count: m as u64, each_bytes: problem.writer_bytes },
    ];
    let room = budget.checked_sub(total(&base))?;
    let block_bytes = element_count(&block)?.checked_mul(problem.item_size as u64)?;
    let unit_bytes = problem.target.unit_bytes;
    let most = (room / m as u64).min((block_bytes / (8 * n as u64)).max(unit_bytes));
    let doublings = (most / unit_bytes).checked_ilog2()?;
    let within = |limit| shuffle_within(problem, budget, (n, m), &base, (&block, block_bytes), limit);
    let found = (0..=doublings).rev().find_map(|doubling| within(unit_bytes << doubling))?;
    Some(within(most).unwrap_or(found))
}

/// A shuffle with partitions of at most `limit` bytes.
pub(super) fn shuffle_within(
    problem: &Problem,
    budget: u64,
    (n, m): (usize, usize),
    base: &[Share],
    (block, block_bytes): (&[u64], u64),
    limit: u64,
) -> Option<Plan> {
    let target = &problem.target;
    let partition = partition_shape(problem, block, limit);
    let units: Vec<u64> = partition.iter().zip(&target.unit).map(|(edge, unit)| edge / unit).collect();
    let slot_bytes = partition_bytes(problem, &units)?;
    let partition_count = counts(block, &partition);
    let mut shares = base.to_vec();
    shares.push(Share { what: "partitions of the shuffle", count: partition_count, each_bytes: PARTITION_OVERHEAD_BYTES });
    if problem.open_shard_bytes > 0 {
        let count = counts(&partition, &target.chunk).saturating_mul(m as u64 + 1).min(counts(&problem.shape, &target.chunk));
        shares.push(Share { what: "indexes of shards in the making", count, each_bytes: problem.open_shard_bytes });
    }
    let slab_bytes = budget.saturating_sub(total(&shares)).min(block_bytes.saturating_mul(2).saturating_add(64 << 20));
    let least = smallest_slab_bytes(partition_count, n)
        .max(partition_count.saturating_mul(LEAST_PARTITION_SHARE_BYTES))
        .max(slot_bytes.saturating_mul(m as u64));
    if slab_bytes < least {
        return None;
    }
    shares.push(Share { what: "shuffle buffer, then target chunks", count: 1, each_bytes: slab_bytes });
    let mut plan = assemble(problem, Strategy::Shuffle, budget, (n, m), shares, Steps::Shuffle { slab_bytes, slot_bytes })?;
    plan.spilled_bytes = array_bytes(problem);
    (plan.block, plan.partition, plan.partition_count) = (block.to_vec(), partition, partition_count);
    let (costs, cut) = (&problem.costs, cost_per_byte(problem, block, &units));
    plan.estimated_seconds = seconds(plan.decoded_bytes, problem.decode_ns + cut + costs.copy_ns + costs.write_ns, n)
        + seconds(plan.encoded_bytes, problem.encode_ns + cut + costs.read_ns + costs.write_ns, m);
    Some(plan)
}
