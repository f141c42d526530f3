//! Plans in which the target is filled box by box.

use super::arithmetic::{array_bytes, counts, seconds, target_chunks, total};
use super::{Plan, Problem, Share, Steps, Strategy, assemble};
use crate::rechunk::gather::{Boxes, Gathered, box_shape, decoded_along};
use crate::region::element_count;

/// RCK-17. The sizes of boxes that are tried are, but for the largest, the same in every budget, so that what fits in one fits in a larger one.
pub(super) fn gather(problem: &Problem, gathered: &Gathered, budget: u64, n: usize) -> Option<Plan> {
    let target = &problem.target;
    let base = [
        Share { what: "decoding source chunks", count: n as u64, each_bytes: problem.reader_bytes },
        Share { what: "encoding target chunks", count: n as u64, each_bytes: problem.writer_bytes.saturating_add(target.unit_bytes) },
    ];
    let room = budget.checked_sub(total(&base))? / n as u64;
    let unit_bytes = element_count(&target.unit)?.checked_mul(gathered.bytes_each())?;
    let doublings = (room / unit_bytes).checked_ilog2()?;
    let within = |limit| gather_within(problem, gathered, (budget, n), &base, limit);
    within(room).or_else(|| (0..=doublings).rev().find_map(|doubling| within(unit_bytes << doubling)))
}

/// A gather by boxes of at most `limit` bytes.
pub(super) fn gather_within(problem: &Problem, gathered: &Gathered, (budget, n): (u64, usize), base: &[Share], limit: u64) -> Option<Plan> {
    let (source, target) = (&problem.source, &problem.target);
    let whole = if problem.open_shard_bytes > 0 { &target.chunk } else { &target.unit };
    let across = if gathered.even_target { box_shape(gathered, &source.unit, whole, &problem.shape, limit) } else { None };
    let within_chunks = across.is_none();
    let shape = across.or_else(|| box_shape(gathered, &source.unit, &target.unit, &target.chunk, limit))?;
    let each_bytes = element_count(&shape)?.checked_mul(gathered.bytes_each())?;
    let mut shares = base.to_vec();
    shares.push(Share { what: "boxes of target chunks", count: n as u64, each_bytes });
    if problem.open_shard_bytes > 0 {
        let each_box = if within_chunks { 1 } else { counts(&shape, &target.chunk) };
        let count = each_box.saturating_mul(n as u64).min(target_chunks(problem));
        shares.push(Share { what: "indexes of shards in the making", count, each_bytes: problem.open_shard_bytes });
    }
    let boxes = Boxes { shape, within_chunks, share_bytes: each_bytes / gathered.copies.max(1) };
    let mut plan = assemble(problem, Strategy::Gather, budget, (n, n), shares, Steps::Gather(boxes.clone()))?;
    let along = |axis: usize| decoded_along(gathered, &boxes, axis, problem.shape[axis], target.chunk[axis], source.unit[axis]);
    let decoded = (0..problem.shape.len()).map(along).fold(problem.item_size as u64, u64::saturating_mul);
    plan.decoded_bytes = if problem.shape.contains(&0) { 0 } else { decoded };
    (plan.encoded_bytes, plan.work_bytes) = (gathered.encoded_bytes, array_bytes(problem));
    plan.block = boxes.shape;
    plan.estimated_seconds = seconds(plan.decoded_bytes, problem.decode_ns + 2.0 * problem.costs.copy(64.0), n)
        + seconds(plan.encoded_bytes, problem.encode_ns + problem.costs.write_ns, n);
    Some(plan)
}
