//! Plans in which stored chunks are moved as they are.

use super::arithmetic::{array_bytes, chunk_bytes, counts, seconds, target_chunks};
use super::{Moves, Plan, Problem, Share, Steps, Strategy, assemble};

/// The window in which stored chunks are moved where the kernel cannot do it alone.
pub(super) const MOVE_WINDOW_BYTES: u64 = 1 << 20;

/// RCK-10.
pub(super) fn moved(problem: &Problem, budget: u64, n: usize) -> Option<Plan> {
    let mut shares = Vec::new();
    let (each_bytes, calls) = match problem.moves {
        Moves::Nothing => return None,
        Moves::Chunks => (MOVE_WINDOW_BYTES, target_chunks(problem)),
        Moves::Units { thread_bytes, shared_bytes } => {
            if shared_bytes > 0 {
                shares.push(Share { what: "a chunk of the source's fill value", count: 1, each_bytes: shared_bytes });
            }
            (thread_bytes, counts(&problem.shape, &problem.target.unit))
        }
    };
    shares.push(Share { what: "windows of stored chunks", count: n as u64, each_bytes });
    let mut plan = assemble(problem, Strategy::PassThrough, budget, (n, n), shares, Steps::Move(problem.moves))?;
    plan.work_bytes = match problem.moves {
        Moves::Units { .. } => calls.saturating_mul(2).saturating_mul(problem.target.unit_bytes),
        _ => calls.saturating_mul(2).saturating_mul(chunk_bytes(&problem.target)),
    };
    (plan.decoded_bytes, plan.encoded_bytes) = (0, 0);
    let costs = &problem.costs;
    let opened = counts(&problem.shape, &problem.source.chunk).saturating_add(target_chunks(problem));
    plan.estimated_seconds = seconds(array_bytes(problem), costs.read_ns + costs.write_ns, n)
        + seconds(calls, costs.call_ns, n)
        + seconds(opened, costs.file_ns, n);
    Some(plan)
}
