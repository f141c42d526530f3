//! The plan: a pure function of two layouts, a budget and a number of threads to what will be done, and what it will cost.
//!
//! Everything here is arithmetic on shapes. No table grows with the array, and nothing is read or written.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::grid::ChunkGrid;
use crate::rechunk::gather::{Boxes, Gathered, box_shape, decoded_along};
use crate::rechunk::partition::{partition_bytes, partition_shape};
use crate::region::element_count;
use crate::shuffle::{PARTITION_OVERHEAD_BYTES, RECORD_BYTES, SEGMENT_BYTES, smallest_slab_bytes};

/// Bookkeeping of a live target unit beside its bytes.
const TILE_OVERHEAD_BYTES: u64 = 512;

/// The least memory a partition has on average in the shuffle buffer: below, segments get so short that the spill file is read at random.
const LEAST_PARTITION_SHARE_BYTES: u64 = 2 << 10;

/// What a process takes beside the budget: code, stacks, the allocator's own.
const PROCESS_BYTES: u64 = 10 << 20;

/// The window in which stored chunks are moved where the kernel cannot do it alone.
const MOVE_WINDOW_BYTES: u64 = 1 << 20;

/// Shards that all readers together hold open at most: each is a file.
const HELD_SHARDS: u64 = 256;

/// Room for headers beside a segment's payload.
const SEGMENT_READ_BYTES: u64 = SEGMENT_BYTES as u64 + 4096;

// Cost model, in nanoseconds a byte on one core, from measurements on one server of 2025; only ratios matter, they choose between strategies.
const CUT_NS: f64 = 0.6;
const SPILL_NS: f64 = 0.6;
const WRITE_NS: f64 = 0.4;
const INDEX_NS: f64 = 0.5;

/// One side of a rechunk, as far as planning goes.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// Shape of what is decoded or encoded at once: an inner chunk, or a chunk where the array is not sharded.
    pub(crate) unit: Vec<u64>,
    /// Shape of a chunk (of a shard, where the array is sharded).
    pub(crate) chunk: Vec<u64>,
    /// Size of a decoded unit in bytes.
    pub(crate) unit_bytes: u64,
}

/// Everything that a plan follows from.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) shape: Vec<u64>,
    pub(crate) item_size: usize,
    pub(crate) source: Side,
    pub(crate) target: Side,
    /// What one reader of source units holds at most, in bytes.
    pub(crate) reader_bytes: u64,
    /// What one writer of target units holds at most, in bytes, beside the unit.
    pub(crate) writer_bytes: u64,
    /// What a reader holds for each further source shard whose index it keeps; 0 where the source is not sharded.
    pub(crate) held_shard_bytes: u64,
    /// What a shard that is being written holds, in bytes; 0 where the target is not sharded.
    pub(crate) open_shard_bytes: u64,
    /// Stored chunks are the same on both sides, and can be moved without being decoded.
    pub(crate) identical: bool,
    /// For what only the gather strategy can do.
    pub(crate) gathered: Option<Gathered>,
    /// Nanoseconds a byte for decoding, and for encoding.
    pub(crate) decode_ns: f64,
    pub(crate) encode_ns: f64,
}

/// How the data travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Strategy {
    /// Stored chunks are the same in both layouts and are moved as they are.
    PassThrough,
    /// Source chunks are decoded once and copied straight into target chunks, of which a frontier is in memory.
    Direct,
    /// Source chunks are decoded once and their pieces sorted by target through the spill file.
    Shuffle,
    /// The target is filled box by box, each read from the source on its own: for rectilinear grids and elements of variable length. Source
    /// chunks that several boxes meet are decoded for each.
    Gather,
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PassThrough => "pass-through",
            Self::Direct => "direct",
            Self::Shuffle => "shuffle",
            Self::Gather => "gather",
        })
    }
}

/// One named share of the budget: `count` times `each_bytes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// What it is for.
    pub what: &'static str,
    /// How many there are.
    pub count: u64,
    /// Size of each in bytes.
    pub each_bytes: u64,
}

impl Share {
    /// Size of all of them in bytes.
    pub fn bytes(&self) -> u64 {
        self.count.saturating_mul(self.each_bytes)
    }
}

/// What a rechunk of one array will do, and what it will cost.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// How the data travel.
    pub strategy: Strategy,
    /// Threads that read and decode.
    pub threads: usize,
    /// Threads that assemble and encode.
    pub encode_threads: usize,
    /// The budget that was given, in bytes.
    pub budget_bytes: u64,
    /// The memory equation: the shares that the budget is divided into.
    pub memory: Vec<Share>,
    /// Sum of the shares: upper bound of the data held in memory, in bytes.
    pub memory_bytes: u64,
    /// Predicted peak resident set size of a process that does nothing else, in bytes: the shares, and what code and stacks take.
    pub peak_rss_bytes: u64,
    /// Decoded size of all source chunks that will be decoded, each once, in bytes (missing chunks are not decoded). An upper bound where
    /// the target is gathered, and an estimate for elements of variable length.
    pub decoded_bytes: u64,
    /// Size before encoding of all target chunks, in bytes (chunks that are all fill are not encoded).
    pub encoded_bytes: u64,
    /// Bytes of data that pass through the spill file.
    pub spilled_bytes: u64,
    /// Files that will be made at most.
    pub files: u64,
    /// Shape of the blocks at whose faces chunk boundaries of both layouts meet, in elements.
    pub block: Vec<u64>,
    /// Shape of the partitions of the shuffle, in elements; empty for other strategies.
    pub partition: Vec<u64>,
    /// Partitions a block.
    pub partition_count: u64,
    /// Estimated time in seconds, by a rough cost model.
    pub estimated_seconds: f64,
    /// Bytes of work as progress counts them: decoded sizes of all chunks of both sides.
    #[serde(skip)]
    pub(crate) work_bytes: u64,
    #[serde(skip)]
    pub(crate) steps: Steps,
}

/// What the executor needs beside the public figures.
#[derive(Clone, Debug)]
pub(crate) enum Steps {
    Move,
    Direct {
        walk: Walk,
        /// Target units in memory at most.
        slots: u64,
    },
    Shuffle {
        /// Size of the slab that both phases work in.
        slab_bytes: u64,
        /// Size of a partition with whole units.
        slot_bytes: u64,
    },
    Gather(Boxes),
}

/// What documents may take without being counted: it is within the constant of the process.
const UNCOUNTED_DOCUMENT_BYTES: u64 = 1 << 20;

/// As [`plan`], beside documents that are held in `document_bytes` of memory for the whole run.
///
/// # Errors
/// As [`plan`].
pub(crate) fn plan_beside(problem: &Problem, budget_bytes: u64, document_bytes: u64, threads: usize) -> Result<Plan> {
    if document_bytes <= UNCOUNTED_DOCUMENT_BYTES {
        return plan(problem, budget_bytes, threads);
    }
    let mut plan = plan(problem, budget_bytes.saturating_sub(document_bytes), threads).map_err(|error| match error {
        Error::BudgetTooSmall { required_bytes, what, .. } => {
            let what = format!("{what}, beside documents of {document_bytes} bytes, with the directory of a zip file");
            Error::BudgetTooSmall { required_bytes: required_bytes.saturating_add(document_bytes), budget_bytes, what }
        }
        error => error,
    })?;
    plan.memory.push(Share { what: "metadata documents, zip directories", count: 1, each_bytes: document_bytes });
    plan.budget_bytes = budget_bytes;
    plan.memory_bytes = plan.memory_bytes.saturating_add(document_bytes);
    plan.peak_rss_bytes = plan.peak_rss_bytes.saturating_add(document_bytes);
    Ok(plan)
}

impl Plan {
    /// The plan of a node that travels along unread: `files` stored values are copied (RCK-15).
    pub(crate) fn carried(files: u64, budget_bytes: u64) -> Result<Self> {
        if budget_bytes < MOVE_WINDOW_BYTES {
            let what = String::from("stored values that travel along are copied through a window");
            return Err(Error::BudgetTooSmall { required_bytes: MOVE_WINDOW_BYTES, budget_bytes, what });
        }
        Ok(Self {
            strategy: Strategy::PassThrough,
            threads: 1,
            encode_threads: 1,
            budget_bytes,
            memory: vec![Share { what: "windows of stored chunks", count: 1, each_bytes: MOVE_WINDOW_BYTES }],
            memory_bytes: MOVE_WINDOW_BYTES,
            peak_rss_bytes: MOVE_WINDOW_BYTES + PROCESS_BYTES,
            decoded_bytes: 0,
            encoded_bytes: 0,
            spilled_bytes: 0,
            files,
            block: Vec::new(),
            partition: Vec::new(),
            partition_count: 0,
            estimated_seconds: 0.0,
            work_bytes: 0,
            steps: Steps::Move,
        })
    }
}

/// The order in which the direct strategy takes source units.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// Blocks whose shards are completed together, in elements.
    pub(crate) super_block: Vec<u64>,
    /// Axes from the slowest to the fastest in the walk of a block.
    pub(crate) axes: Vec<usize>,
    /// Source shards that each reader holds open, since the walk comes back to them.
    pub(crate) shards_held: usize,
}

/// Plans a rechunk.
///
/// # Errors
/// [`Error::BudgetTooSmall`] naming the smallest budget that would do (RCK-4).
pub(crate) fn plan(problem: &Problem, budget_bytes: u64, threads: usize) -> Result<Plan> {
    let threads = threads.max(1);
    if let Some(best) = cheapest(problem, budget_bytes, threads) {
        return Ok(best);
    }
    let Some(required_bytes) = smallest_budget(problem) else {
        return Err(Error::unsupported(format!(
            "source chunks of {} bytes and target chunks of {} bytes, which no memory holds; chunks have to fit into memory in this version",
            problem.source.unit_bytes, problem.target.unit_bytes
        )));
    };
    Err(Error::BudgetTooSmall {
        required_bytes,
        budget_bytes,
        what: format!(
            "source chunks of {} bytes and target chunks of {} bytes have to fit with their codecs",
            problem.source.unit_bytes, problem.target.unit_bytes
        ),
    })
}

/// RCK-13.
fn cheapest(problem: &Problem, budget: u64, threads: usize) -> Option<Plan> {
    if let Some(plan) = moved(problem, budget, threads) {
        return Some(plan);
    }
    if let Some(gathered) = &problem.gathered {
        return halves(threads).find_map(|n| gather(problem, gathered, budget, n));
    }
    let mut best: Option<Plan> = None;
    for n in halves(threads) {
        let shuffles = halves(n).map(|m| shuffle(problem, budget, n, m));
        for candidate in std::iter::once(direct(problem, budget, n)).chain(shuffles).flatten() {
            if best.as_ref().is_none_or(|best| candidate.estimated_seconds < best.estimated_seconds) {
                best = Some(candidate);
            }
        }
    }
    best
}

/// The plan of a shuffle, where one is possible, though another strategy may be cheaper.
#[cfg(any(test, fuzzing))]
pub(crate) fn by_shuffle(problem: &Problem, budget_bytes: u64, threads: usize) -> Option<Plan> {
    if problem.identical || problem.gathered.is_some() { None } else { shuffle(problem, budget_bytes, threads, threads) }
}

/// Numbers of threads that are tried: all, half of them, and so on to one.
fn halves(threads: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(threads), |&n| (n > 1).then_some(n / 2))
}

/// The smallest budget that one thread could work in, by bisection: what fits in a budget fits in a larger one. None where no budget would do.
fn smallest_budget(problem: &Problem) -> Option<u64> {
    let (mut too_small, mut enough) = (0, 1_u64 << 20);
    while cheapest(problem, enough, 1).is_none() {
        too_small = enough;
        enough = enough.checked_mul(2)?;
    }
    while enough - too_small > 4096 {
        let middle = too_small + (enough - too_small) / 2;
        if cheapest(problem, middle, 1).is_some() {
            enough = middle;
        } else {
            too_small = middle;
        }
    }
    enough.checked_next_multiple_of(4096)
}

/// RCK-10.
fn moved(problem: &Problem, budget: u64, threads: usize) -> Option<Plan> {
    if !problem.identical {
        return None;
    }
    let affordable = usize::try_from(budget / MOVE_WINDOW_BYTES).unwrap_or(usize::MAX);
    let threads = threads.min(affordable);
    let shares = vec![Share { what: "windows of stored chunks", count: threads as u64, each_bytes: MOVE_WINDOW_BYTES }];
    let mut plan = assemble(problem, Strategy::PassThrough, budget, (threads, threads), shares, Steps::Move)?;
    plan.work_bytes = target_chunks(problem).saturating_mul(2).saturating_mul(chunk_bytes(&problem.target));
    (plan.decoded_bytes, plan.encoded_bytes) = (0, 0);
    plan.estimated_seconds = array_bytes(problem) as f64 * WRITE_NS * 1e-9;
    (threads > 0).then_some(plan)
}

/// Target units that source units along one axis can have in the making at one time: the frontier.
fn frontier(source: u64, target: u64) -> u64 {
    let common = gcd(source, target);
    u64::try_from((u128::from(source) + u128::from(target - common)).div_ceil(u128::from(target))).unwrap_or(u64::MAX)
}

/// RCK-11.
fn direct(problem: &Problem, budget: u64, n: usize) -> Option<Plan> {
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
    plan.estimated_seconds = seconds(plan.decoded_bytes, problem.decode_ns + CUT_NS, n)
        + seconds(plan.encoded_bytes, problem.encode_ns + WRITE_NS, n)
        + index_seconds;
    Some(plan)
}

/// How many source shards a reader should hold in the walk of a block, and the time in seconds that reading indexes again takes. A walk that
/// crosses shards comes back to each of them once for every step along the slow axis; fewer than all of them are of no use.
fn held_shards(problem: &Problem, budget: u64, n: usize, block: &[u64], slow: Option<usize>) -> (usize, f64) {
    let shard = &problem.source.chunk;
    // A block that does not begin with a shard meets one more.
    let across = |axis: usize| block[axis].div_ceil(shard[axis]) + u64::from(!block[axis].is_multiple_of(shard[axis]) && block[axis] > 1);
    let crossed = (0..block.len()).filter(|axis| Some(*axis) != slow).map(across).fold(1, u64::saturating_mul);
    let cost = problem.held_shard_bytes.saturating_mul(n as u64);
    let affordable = (budget / 4).checked_div(cost).unwrap_or(0).min(HELD_SHARDS / n as u64);
    match usize::try_from(crossed) {
        Ok(crossed) if problem.held_shard_bytes > 0 && crossed as u64 <= affordable => (crossed, 0.0),
        _ if problem.held_shard_bytes == 0 || crossed == 1 => (1, 0.0),
        _ => (1, seconds(counts(&problem.shape, &problem.source.unit).saturating_mul(problem.held_shard_bytes), INDEX_NS, n)),
    }
}

/// RCK-12.
/// The largest partitions that the budget feeds, of those limited to the size of a target unit times a power of two: so few candidates, the
/// same in every budget, make sure that what fits in a budget fits in a larger one. What fits is then made as large as the budget allows.
fn shuffle(problem: &Problem, budget: u64, n: usize, m: usize) -> Option<Plan> {
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
fn shuffle_within(
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
    plan.estimated_seconds = seconds(plan.decoded_bytes, problem.decode_ns + CUT_NS + SPILL_NS, n)
        + seconds(plan.encoded_bytes, problem.encode_ns + CUT_NS + WRITE_NS, m);
    Some(plan)
}

/// RCK-17. The sizes of boxes that are tried are, but for the largest, the same in every budget, so that what fits in one fits in a larger one.
fn gather(problem: &Problem, gathered: &Gathered, budget: u64, n: usize) -> Option<Plan> {
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
fn gather_within(problem: &Problem, gathered: &Gathered, (budget, n): (u64, usize), base: &[Share], limit: u64) -> Option<Plan> {
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
    plan.estimated_seconds =
        seconds(plan.decoded_bytes, problem.decode_ns + CUT_NS, n) + seconds(plan.encoded_bytes, problem.encode_ns + WRITE_NS, n);
    Some(plan)
}

fn assemble(problem: &Problem, strategy: Strategy, budget: u64, threads: (usize, usize), memory: Vec<Share>, steps: Steps) -> Option<Plan> {
    let units = |side: &Side| counts(&problem.shape, &side.unit).saturating_mul(side.unit_bytes);
    let memory_bytes = total(&memory);
    (memory_bytes <= budget).then(|| Plan {
        strategy,
        threads: threads.0,
        encode_threads: threads.1,
        budget_bytes: budget,
        memory,
        memory_bytes,
        peak_rss_bytes: memory_bytes.saturating_add(PROCESS_BYTES),
        decoded_bytes: units(&problem.source),
        encoded_bytes: units(&problem.target),
        spilled_bytes: 0,
        files: target_chunks(problem).saturating_add(1),
        block: problem.shape.clone(),
        partition: Vec::new(),
        partition_count: 0,
        estimated_seconds: 0.0,
        work_bytes: units(&problem.source).saturating_add(units(&problem.target)),
        steps,
    })
}

fn seconds(bytes: u64, ns: f64, threads: usize) -> f64 {
    bytes as f64 * ns * 1e-9 / threads as f64
}

fn total(shares: &[Share]) -> u64 {
    shares.iter().map(Share::bytes).fold(0, u64::saturating_add)
}

/// Number of chunks of the target.
fn target_chunks(problem: &Problem) -> u64 {
    problem.gathered.as_ref().map_or_else(|| counts(&problem.shape, &problem.target.chunk), Gathered::chunks)
}

/// Decoded size of a chunk (of a shard): so many units.
fn chunk_bytes(side: &Side) -> u64 {
    counts(&side.chunk, &side.unit).saturating_mul(side.unit_bytes)
}

fn array_bytes(problem: &Problem) -> u64 {
    element_count(&problem.shape).unwrap_or(u64::MAX).saturating_mul(problem.item_size as u64)
}

/// Number of boxes of `edges` that cover `shape`.
fn counts(shape: &[u64], edges: &[u64]) -> u64 {
    let Ok(grid) = ChunkGrid::regular(shape, edges) else { unreachable!("shapes of one problem have one rank and no zero edges") };
    u64::try_from(grid.chunk_count()).unwrap_or(u64::MAX)
}

/// The smallest boxes whose faces are boundaries of both grids, clipped to the array.
fn blocks(shape: &[u64], a: &[u64], b: &[u64]) -> Vec<u64> {
    (0..shape.len())
        .map(|axis| {
            let lcm = u128::from(a[axis] / gcd(a[axis], b[axis])) * u128::from(b[axis]);
            u64::try_from(lcm).unwrap_or(u64::MAX).min(shape[axis].max(1))
        })
        .collect()
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests;
