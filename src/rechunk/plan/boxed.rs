//! Plans in which the target is filled by boxes of whole units, each of which takes what it holds from every source unit that it meets.

use super::arithmetic::{array_bytes, counts, meetings, seconds, total};
use super::partition::next_count;
use super::{Filling, Plan, Problem, Ranges, Reads, Share, Side, Staging, Steps, Strategy, assemble};
use crate::rechunk::windows::windows;
use crate::region::{element_count, to_usize};

/// Memory of a thread for what it has read of source units and not yet copied to its place.
pub(crate) const STAGE_BYTES: u64 = 512 << 10;

/// What is brought together of neighbouring source units before it is copied, in bytes of the target: some cache lines.
const STAGED_RUN_BYTES: u64 = 256;

/// Source units that are read together at most; each is a file that is open.
const STAGED_UNITS: u64 = 32;

/// The most files that all threads together have open for that.
const STAGED_FILES: u64 = 256;

/// The least that is written to one place without staging: a cache line.
const LINE_BYTES: u64 = 64;

/// Pages of files are read whole.
pub(super) const PAGE_BYTES: u64 = 4096;

/// What a reader holds of a source unit beside the staging buffer: names, handles, what the allocator adds.
const HANDLE_BYTES: u64 = 2 << 10;

/// RCK-30.
pub(super) fn partial_reads(problem: &Problem, budget: u64, n: usize) -> Option<Plan> {
    if !problem.source.plain {
        return None;
    }
    let staging = staging(problem, n);
    let reader = parts_bytes(problem, staging.map_or(1, |staging| staging.units));
    let read = Read { windows: true, staging, share: ("reading parts of source chunks", reader) };
    let (mut plan, figures) = filled(problem, &read, Strategy::PartialReads, budget, n)?;
    plan.decoded_bytes = array_bytes(problem);
    plan.ranges = Some(Ranges { count: figures.windows, mean_bytes: figures.read_bytes / figures.windows.max(1) });
    Some(plan)
}

/// RCK-31.
pub(super) fn re_decode(problem: &Problem, budget: u64, n: usize) -> Option<Plan> {
    let read = Read { windows: false, staging: None, share: ("decoding source chunks", problem.reader_bytes) };
    let (mut plan, figures) = filled(problem, &read, Strategy::ReDecode, budget, n)?;
    plan.decoded_bytes = figures.visits.saturating_mul(problem.source.unit_bytes);
    Some(plan)
}

/// What a thread needs that reads parts of up to so many source units in turn.
pub(super) fn parts_bytes(problem: &Problem, units: u64) -> u64 {
    STAGE_BYTES.saturating_add(units.saturating_mul(problem.held_shard_bytes.saturating_add(HANDLE_BYTES)))
}

/// How source units are read.
struct Read {
    windows: bool,
    staging: Option<Staging>,
    /// What a thread needs for it.
    share: (&'static str, u64),
}

/// What boxes of one shape come to.
struct Figures {
    /// Pairs of a box and a source unit that meet.
    visits: u64,
    /// Reads, and the bytes that they read, gaps included.
    windows: u64,
    read_bytes: u64,
    seconds: f64,
}

/// The plan with the boxes that take the least time, of those that are met while a single unit is grown axis by axis. A single unit is always
/// among them, so that what fits in a budget fits in a larger one.
fn filled(problem: &Problem, read: &Read, strategy: Strategy, budget: u64, n: usize) -> Option<(Plan, Figures)> {
    let rank = problem.shape.len();
    let mut units = vec![1_u64; rank];
    let mut best: Option<(Plan, Figures)> = None;
    loop {
        let shape: Vec<u64> = units.iter().zip(&problem.target.unit).map(|(count, unit)| count.saturating_mul(*unit)).collect();
        let found = figures(problem, read, (budget, n), &shape);
        if best.as_ref().is_none_or(|(_, known)| found.seconds < known.seconds)
            && let Some(plan) = plan_of(problem, read, strategy, (budget, n), &shape, &found)
        {
            best = Some((plan, found));
        }
        let grown = |axis: usize| {
            let across = problem.shape[axis].div_ceil(problem.target.unit[axis]);
            let count = next_count(units[axis], across, problem.target.chunk[axis] / problem.target.unit[axis]);
            let mut grown = units.clone();
            grown[axis] = count;
            (count > units[axis] && slot_bytes(problem, &grown)?.saturating_mul(n as u64) <= budget).then_some(grown)
        };
        let cost = |units: &Vec<u64>| {
            let shape: Vec<u64> = units.iter().zip(&problem.target.unit).map(|(count, unit)| count.saturating_mul(*unit)).collect();
            figures(problem, read, (budget, 1), &shape).seconds
        };
        let next = (0..rank).rev().filter_map(grown).map(|units| (cost(&units), units)).min_by(|a, b| a.0.total_cmp(&b.0));
        match next {
            Some((_, next)) => units = next,
            None => return best,
        }
    }
}

/// Size of so many whole target units.
fn slot_bytes(problem: &Problem, units: &[u64]) -> Option<u64> {
    element_count(units)?.checked_mul(problem.target.unit_bytes)
}

fn plan_of(
    problem: &Problem,
    read: &Read,
    strategy: Strategy,
    (budget, n): (u64, usize),
    shape: &[u64],
    figures: &Figures,
) -> Option<Plan> {
    let units: Vec<u64> = shape.iter().zip(&problem.target.unit).map(|(edge, unit)| edge / unit).collect();
    let slot_bytes = slot_bytes(problem, &units)?;
    let mut shares = vec![
        Share { what: read.share.0, count: n as u64, each_bytes: read.share.1 },
        Share { what: "encoding target chunks", count: n as u64, each_bytes: problem.writer_bytes },
        Share { what: "boxes of target chunks", count: n as u64, each_bytes: slot_bytes },
    ];
    if problem.open_shard_bytes > 0 {
        let count = counts(shape, &problem.target.chunk).saturating_mul(n as u64 + 1).min(counts(&problem.shape, &problem.target.chunk));
        shares.push(Share { what: "indexes of shards in the making", count, each_bytes: problem.open_shard_bytes });
    }
    if total(&shares) > budget {
        return None;
    }
    let reads = if read.windows { Reads::Windows(read.staging) } else { Reads::Whole };
    let steps = Steps::Fill(Filling { shape: shape.to_vec(), slot_bytes, reads });
    let mut plan = assemble(problem, strategy, budget, (n, n), shares, steps)?;
    plan.partition = shape.to_vec();
    plan.partition_count = counts(&problem.shape, shape);
    plan.visits_each = figures.visits as f64 / plan.visits.max(1) as f64;
    plan.visits = figures.visits;
    plan.work_bytes = array_bytes(problem).saturating_add(plan.encoded_bytes);
    plan.estimated_seconds = figures.seconds;
    Some(plan)
}

fn figures(problem: &Problem, read: &Read, (budget, n): (u64, usize), shape: &[u64]) -> Figures {
    let (costs, source, bytes) = (&problem.costs, &problem.source, array_bytes(problem));
    let mut visits = 1_u64;
    let mut piece = Vec::with_capacity(shape.len());
    for (axis, &edge) in shape.iter().enumerate() {
        let met = meetings(problem.shape[axis], edge, source.unit[axis]).max(1);
        visits = visits.saturating_mul(met);
        // About what a box and a unit that meet have in common.
        piece.push(problem.shape[axis].div_ceil(met).max(1));
    }
    let mut figures = Figures { visits, windows: visits, read_bytes: 0, seconds: 0.0 };
    let opened = visits as f64 * costs.open_ns;
    let reading = if read.windows {
        let strides = strides(source, problem.item_size);
        let limit = to_usize(STAGE_BYTES / read.staging.map_or(1, |staging| staging.units));
        let found = windows(&piece, &strides, &source.order, problem.item_size, limit);
        let per_visit = piece.iter().zip(&found.shape).map(|(len, part)| len.div_ceil(*part)).fold(1, u64::saturating_mul);
        figures.windows = visits.saturating_mul(per_visit);
        figures.read_bytes = figures.windows.saturating_mul(found.span as u64).max(bytes);
        let (read, ranges) = (figures.read_bytes as f64, figures.windows as f64 / found.together as f64);
        let unwanted = read + ranges * PAGE_BYTES as f64 - bytes as f64;
        let cold = if problem.is_cold(budget) { unwanted * costs.disk_ns * n as f64 + ranges * costs.seek_ns } else { 0.0 };
        figures.windows as f64 * costs.call_ns + read * costs.read_ns + cold
    } else {
        figures.read_bytes = visits.saturating_mul(source.unit_bytes);
        let read = figures.read_bytes as f64;
        // Compressed bytes are taken to be half of what they hold.
        let again = read - source.unit_bytes as f64 * counts(&problem.shape, &source.unit) as f64;
        let cold = if problem.is_cold(budget) { again / 2.0 * costs.disk_ns * n as f64 } else { 0.0 };
        read * (problem.decode_ns + costs.read_ns) + cold
    };
    let encoded = counts(&problem.shape, &problem.target.unit) as f64 * problem.target.unit_bytes as f64;
    let ns = opened + reading + bytes as f64 * scatter(problem, read.staging) + encoded * (problem.encode_ns + costs.write_ns);
    // The last round of boxes may leave threads idle.
    let boxes = counts(&problem.shape, shape).max(1);
    let idle = boxes.div_ceil(n as u64).saturating_mul(n as u64) as f64 / boxes as f64;
    figures.seconds = seconds(1, ns * idle, n);
    figures
}

/// Nanoseconds a byte for copying pieces of source units to their places.
pub(super) fn scatter(problem: &Problem, staging: Option<Staging>) -> f64 {
    let (costs, run) = (&problem.costs, run_bytes(problem, true) as f64);
    if staging.is_some() || run_bytes(problem, false) >= LINE_BYTES {
        return costs.copy(run);
    }
    // Each run brings a cache line into memory and out again.
    costs.copy(run) + costs.run_ns / run
}

/// Elements that a source unit and a target unit that meet have in common along an axis: about the mean.
fn common(problem: &Problem, axis: usize) -> u64 {
    let met = meetings(problem.shape[axis], problem.source.unit[axis], problem.target.unit[axis]).max(1);
    problem.shape[axis].div_ceil(met).max(1)
}

/// Bytes that a source unit gives to one place of a target unit; if `from_one` those that lie together in the source, too.
fn run_bytes(problem: &Problem, from_one: bool) -> u64 {
    let mut run = problem.item_size as u64;
    for (&axis, &other) in problem.target.order.iter().rev().zip(problem.source.order.iter().rev()) {
        let (extent, len) = (common(problem, axis), problem.shape[axis]);
        if from_one && axis != other {
            break;
        }
        run = run.saturating_mul(extent);
        if extent < problem.target.unit[axis].min(len) || (from_one && extent < problem.source.unit[axis].min(len)) {
            break;
        }
    }
    run
}

/// Whether several source units are read before any of them is copied: where what one gives to a place is less than a cache line, and its neighbours
/// give what follows.
fn staging(problem: &Problem, n: usize) -> Option<Staging> {
    let run = run_bytes(problem, false);
    if run >= LINE_BYTES {
        return None;
    }
    let broken = |&&axis: &&usize| common(problem, axis) < problem.target.unit[axis].min(problem.shape[axis]);
    let axis = *problem.target.order.iter().rev().find(broken)?;
    let most = STAGED_UNITS.min(STAGED_FILES / n.max(1) as u64).max(2);
    let units = (STAGED_RUN_BYTES / run.max(1)).clamp(2, most).min(problem.target.unit[axis].min(problem.shape[axis]));
    (problem.source.unit[axis] == 1 && units > 1).then_some(Staging { axis, units })
}

/// Byte strides of a unit.
fn strides(side: &Side, item: usize) -> Vec<usize> {
    let mut strides = vec![0; side.unit.len()];
    let mut step = item;
    for &axis in side.order.iter().rev() {
        strides[axis] = step;
        step = step.saturating_mul(to_usize(side.unit[axis]));
    }
    strides
}

impl Problem {
    /// Whether what was read of the source will have left the page cache when it is wanted again.
    pub(super) fn is_cold(&self, budget: u64) -> bool {
        self.memory_limit_bytes.is_some_and(|limit| limit.saturating_sub(budget) < array_bytes(self))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Costs;
    use super::super::tests::problem;
    use super::*;

    fn plain(shape: &[u64], source: &[u64], target: &[u64]) -> Problem {
        let mut problem = problem(shape, source, target);
        (problem.source.plain, problem.decode_ns, problem.encode_ns) = (true, Costs::default().read_ns, Costs::default().copy_ns);
        problem
    }

    /// RCK-30.
    #[test]
    fn windows_of_light_curves_are_staged_and_those_of_maps_are_bands() {
        let curves = plain(&[140_000, 256, 4], &[140_000, 1, 4], &[1000, 256, 4]);
        assert_eq!(staging(&curves, 2), Some(Staging { axis: 1, units: 16 }));
        let plan = partial_reads(&curves, 64 << 20, 2).unwrap();
        assert_eq!((plan.decoded_bytes, plan.spilled_bytes), (140_000 * 256 * 16, 0));
        let maps = plain(&[3650, 180, 360], &[1, 180, 360], &[3650, 10, 10]);
        assert_eq!(staging(&maps, 2), None);
        let plan = partial_reads(&maps, 256 << 20, 2).unwrap();
        assert_eq!(plan.partition[2], 360, "{:?}", plan.partition);
        assert!(plan.ranges.is_some_and(|ranges| ranges.mean_bytes >= 14_400), "{:?}", plan.ranges);
    }

    /// RCK-32.
    #[test]
    fn what_the_page_cache_cannot_hold_is_read_from_the_disk() {
        let warm = plain(&[16384, 16384], &[64, 16384], &[16384, 64]);
        let limited = |bytes| Problem { memory_limit_bytes: Some(bytes), ..warm.clone() };
        let seconds = |problem: &Problem| partial_reads(problem, 64 << 20, 2).unwrap().estimated_seconds;
        assert!(seconds(&limited(256 << 20)) > 2.0 * seconds(&warm));
        assert!(seconds(&limited(4 << 30)) <= seconds(&warm));
        let nested = problem(&[4000, 4000], &[4000, 40], &[40, 4000]);
        let again = |limit| re_decode(&Problem { memory_limit_bytes: limit, ..nested.clone() }, 16 << 20, 1).unwrap().estimated_seconds;
        assert!(again(Some(32 << 20)) > again(None));
    }

    /// RCK-31.
    #[test]
    fn what_is_decoded_again_is_counted_exactly() {
        let nested = problem(&[100, 100], &[100, 10], &[10, 100]);
        let plan = re_decode(&nested, 64 << 20, 1).unwrap();
        assert_eq!(plan.visits * nested.source.unit_bytes, plan.decoded_bytes);
        let tight = re_decode(&nested, 5 << 20 | 20_000, 1).unwrap();
        let boxes = 100_u64.div_ceil(tight.partition[0]);
        assert_eq!(tight.decoded_bytes, boxes * 40_000);
    }
}
