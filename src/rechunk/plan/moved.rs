//! Plans in which stored chunks are moved as they are.

use super::arithmetic::{array_bytes, chunk_bytes, target_chunks};
use super::{Plan, Problem, Share, Steps, Strategy, assemble};

/// The window in which stored chunks are moved where the kernel cannot do it alone.
pub(super) const MOVE_WINDOW_BYTES: u64 = 1 << 20;

/// RCK-10.
pub(super) fn moved(problem: &Problem, budget: u64, threads: usize) -> Option<Plan> {
    if !problem.identical {
        return None;
    }
    let affordable = usize::try_from(budget / MOVE_WINDOW_BYTES).unwrap_or(usize::MAX);
    let threads = threads.min(affordable);
    let shares = vec![Share { what: "windows of stored chunks", count: threads as u64, each_bytes: MOVE_WINDOW_BYTES }];
    let mut plan = assemble(problem, Strategy::PassThrough, budget, (threads, threads), shares, Steps::Move)?;
    plan.work_bytes = target_chunks(problem).saturating_mul(2).saturating_mul(chunk_bytes(&problem.target));
    (plan.decoded_bytes, plan.encoded_bytes) = (0, 0);
    plan.estimated_seconds =
        array_bytes(problem) as f64 * problem.costs.write_ns * 1e-9 + target_chunks(problem) as f64 * problem.costs.file_ns * 1e-9;
    (threads > 0).then_some(plan)
}
