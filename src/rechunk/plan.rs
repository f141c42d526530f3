//! The plan: a pure function of two layouts, a budget and a number of threads to what will be done, and what it will cost.
//!
//! Everything here is arithmetic on shapes. No table grows with the array, and nothing is read or written.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::rechunk::budget::{Lease, MemoryBudget};
use crate::rechunk::gather::{Boxes, Gathered};

mod arithmetic;
mod boxed;
mod costs;
mod direct;
mod gather;
mod growth;
mod levels;
mod moved;
mod partition;
mod placed;
mod shuffle;
mod streams;

use arithmetic::{counts, scaled, target_chunks, total};
pub(crate) use boxed::STAGE_BYTES;
use boxed::{partial_reads, re_decode};
pub use costs::Costs;
use direct::direct;
use gather::gather;
pub(crate) use growth::growth;
pub use growth::{GrownCost, Growth};
use moved::{MOVE_WINDOW_BYTES, moved};
use placed::partial_writes;
use shuffle::shuffle;
pub(crate) use shuffle::{RECORD_HEADER_BYTES, Sort};
pub(crate) use streams::{Side as StreamedSide, Streaming};

/// What a process takes beside the budget: code, stacks, the allocator's own.
const PROCESS_BYTES: u64 = 10 << 20;

/// The smallest segments of a spill file that are worth the calls that write and read them, in bytes (RCK-20).
pub(crate) const LEAST_SEGMENT_BYTES: usize = 64 << 10;

/// One side of a rechunk, as far as planning goes.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// Shape of what is decoded or encoded at once: an inner chunk, or a chunk where the array is not sharded.
    pub(crate) unit: Vec<u64>,
    /// Shape of a chunk (of a shard, where the array is sharded).
    pub(crate) chunk: Vec<u64>,
    /// Size of a decoded unit in bytes.
    pub(crate) unit_bytes: u64,
    /// Axes from the slowest to the fastest in the memory of a decoded unit.
    pub(crate) order: Vec<usize>,
    /// Units are stored as they are, where parts of them can be read.
    pub(crate) plain: bool,
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
    /// Target units can be written piece by piece.
    pub(crate) in_place: bool,
    /// What can be moved without being decoded.
    pub(crate) moves: Moves,
    /// For what only the gather strategy can do.
    pub(crate) gathered: Option<Gathered>,
    /// The memory limit of the control group, which counts page cache too.
    pub(crate) memory_limit_bytes: Option<u64>,
    /// What work takes.
    pub(crate) costs: Costs,
    /// Nanoseconds a byte for decoding a source unit, and for encoding a target unit: no more than a copy where nothing is compressed.
    pub(crate) decode_ns: f64,
    pub(crate) encode_ns: f64,
    /// Stored bytes, and the decoded bytes that they stand for, by what little is known of them.
    pub(crate) source_ratio: (u64, u64),
    pub(crate) target_ratio: (u64, u64),
    /// The smallest segments of a shuffle, and slabs of target units, in bytes: a power of two.
    pub(crate) least_segment_bytes: usize,
    /// What it takes to read or write units slab after slab; none where that is not possible.
    pub(crate) streaming: Option<Streaming>,
}

/// What is stored alike on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moves {
    Nothing,
    /// Whole stored chunks.
    Chunks,
    /// Units: chunks or inner chunks. So many bytes are taken by each thread to move them, and so many by all together.
    Units {
        thread_bytes: u64,
        shared_bytes: u64,
    },
}

/// How the data travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Strategy {
    /// Stored chunks, or the inner chunks of shards, are the same in both layouts and are moved as they are.
    PassThrough,
    /// Source chunks are decoded once and copied straight into target chunks, of which a frontier is in memory.
    Direct,
    /// The target is filled box by box; of source chunks that are stored as they are, each box reads the bytes that it holds.
    PartialReads,
    /// The target is filled box by box; a source chunk that several boxes meet is decoded for each of them.
    ReDecode,
    /// Source chunks are decoded once, and their pieces written to their final places in target chunks that are stored as they are.
    PartialWrites,
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
            Self::PartialReads => "partial-reads",
            Self::ReDecode => "re-decode",
            Self::PartialWrites => "partial-writes",
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

/// What another strategy would cost.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Alternative {
    /// How the data would travel.
    pub strategy: Strategy,
    /// Estimated time in seconds.
    pub estimated_seconds: f64,
    /// Bytes that would be decoded.
    pub decoded_bytes: u64,
    /// Bytes of data that would pass through the spill file.
    pub spilled_bytes: u64,
    /// Upper bound of the data held in memory, in bytes.
    pub memory_bytes: u64,
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
    /// Decoded size of all source chunks that will be decoded, each as often as that will be (missing chunks are not decoded); of chunks that
    /// are read in parts, all parts that are wanted. In bytes. An upper bound where the target is gathered, and an estimate for elements of
    /// variable length.
    pub decoded_bytes: u64,
    /// How often a source chunk (inner chunk of a shard) will be read, wholly or in part, added up over all of them.
    pub visits: u64,
    /// The same for one of them, on average.
    pub visits_each: f64,
    /// The ranges of bytes that are read of source chunks or written of target chunks, where these are not taken whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranges: Option<Ranges>,
    /// Size before encoding of all target chunks, in bytes (chunks that are all fill are not encoded).
    pub encoded_bytes: u64,
    /// Bytes of data that pass through the spill file.
    pub spilled_bytes: u64,
    /// Estimated stored size of what will be read, in bytes, by the sizes of a few source chunks.
    pub read_bytes_estimate: u64,
    /// Estimated stored size of what will be written, in bytes, as if the target compressed as the source does.
    pub written_bytes_estimate: u64,
    /// Files that will be made at most.
    pub files: u64,
    /// Shape of the blocks at whose faces chunk boundaries of both layouts meet, in elements.
    pub block: Vec<u64>,
    /// Shape of the partitions of the shuffle, or of the boxes that are filled one by one, in elements; empty for other strategies.
    pub partition: Vec<u64>,
    /// Partitions a block, or boxes.
    pub partition_count: u64,
    /// How many times the shuffle sorts the data, through a spill file each time; 0 for other strategies.
    pub levels: u64,
    /// Estimated time in seconds, by a rough cost model.
    pub estimated_seconds: f64,
    /// The cheapest plan of another strategy that fits the budget too.
    pub second: Option<Alternative>,
    /// Bytes of work as progress counts them: decoded sizes of all chunks of both sides.
    #[serde(skip)]
    pub(crate) work_bytes: u64,
    #[serde(skip)]
    pub(crate) steps: Steps,
}

/// Ranges of bytes that are read or written one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ranges {
    /// About how many there are.
    pub count: u64,
    /// Their mean length in bytes, unwanted bytes between wanted ones included.
    pub mean_bytes: u64,
}

/// What the executor needs beside the public figures.
#[derive(Clone, Debug)]
pub(crate) enum Steps {
    Move(Moves),
    Direct {
        walk: Walk,
        /// Target units in memory at most.
        slots: u64,
    },
    Shuffle(Sort),
    Gather(Boxes),
    Fill(Filling),
    Place(Placing),
}

/// The boxes of source units whose pieces are written to their places.
#[derive(Clone, Debug)]
pub(crate) struct Placing {
    /// Shape of each, in elements: whole source units.
    pub(crate) shape: Vec<u64>,
    /// Room for the pieces of one.
    pub(crate) slot_bytes: u64,
    /// Source units are read part by part.
    pub(crate) in_parts: bool,
    pub(crate) walk: Walk,
}

/// The boxes that a target is filled by.
#[derive(Clone, Debug)]
pub(crate) struct Filling {
    /// Shape of each, in elements: whole target units.
    pub(crate) shape: Vec<u64>,
    /// Size of one.
    pub(crate) slot_bytes: u64,
    pub(crate) reads: Reads,
}

/// What is read of a source unit that a box meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// The bytes that the box holds, of one unit or of several neighbours at a time.
    Windows(Option<Staging>),
    /// All of it.
    Whole,
}

/// Source units that are neighbours along an axis, where their edge is 1, and are read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Staging {
    pub(crate) axis: usize,
    pub(crate) units: u64,
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
    /// Takes the shares of the memory equation, for as long as the leases live.
    pub(crate) fn lease(&self) -> Result<Vec<Lease>> {
        let budget = MemoryBudget::new(self.budget_bytes);
        self.memory.iter().map(|share| budget.lease(share.what, share.bytes())).collect()
    }

    /// The plan of a node that travels along unread: `files` stored values are copied (RCK-15).
    pub(crate) fn carried(files: u64, bytes: u64, budget_bytes: u64) -> Result<Self> {
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
            visits: 0,
            visits_each: 0.0,
            ranges: None,
            encoded_bytes: 0,
            spilled_bytes: 0,
            read_bytes_estimate: bytes,
            written_bytes_estimate: bytes,
            files,
            block: Vec::new(),
            partition: Vec::new(),
            partition_count: 0,
            levels: 0,
            estimated_seconds: 0.0,
            second: None,
            work_bytes: 0,
            steps: Steps::Move(Moves::Chunks),
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
        return Err(Error::unsupported(format!("{}, which no memory holds", problem.needs())));
    };
    Err(Error::BudgetTooSmall { required_bytes, budget_bytes, what: format!("{} have to fit with their codecs", problem.needs()) })
}

/// RCK-13.
fn cheapest(problem: &Problem, budget: u64, threads: usize) -> Option<Plan> {
    let mut candidates = candidates(problem, budget, threads).into_iter();
    let mut best = candidates.next()?;
    best.second = candidates.next().map(|second| Alternative {
        strategy: second.strategy,
        estimated_seconds: second.estimated_seconds,
        decoded_bytes: second.decoded_bytes,
        spilled_bytes: second.spilled_bytes,
        memory_bytes: second.memory_bytes,
    });
    Some(best)
}

/// The cheapest plan of each strategy that fits the budget, best first.
fn candidates(problem: &Problem, budget: u64, threads: usize) -> Vec<Plan> {
    let mut found: Vec<Plan> = Vec::new();
    let mut add = |candidate: Option<Plan>| {
        let Some(candidate) = candidate else { return };
        match found.iter_mut().find(|plan| plan.strategy == candidate.strategy) {
            Some(known) if known.estimated_seconds <= candidate.estimated_seconds => {}
            Some(known) => *known = candidate,
            None => found.push(candidate),
        }
    };
    add(halves(threads).find_map(|n| moved(problem, budget, n)));
    if let Some(gathered) = &problem.gathered {
        add(halves(threads).find_map(|n| gather(problem, gathered, budget, n)));
    } else {
        for n in halves(threads) {
            add(direct(problem, budget, n));
            add(partial_reads(problem, budget, n));
            add(re_decode(problem, budget, n));
            add(partial_writes(problem, budget, n));
            halves(n).for_each(|m| add(shuffle(problem, budget, n, m)));
        }
    }
    // What moves as it is does no work that another plan would not do as well.
    let rank = |plan: &Plan| plan.strategy != Strategy::PassThrough;
    found.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.estimated_seconds.total_cmp(&b.estimated_seconds)));
    found
}

/// The plan of a shuffle, where one is possible, though another strategy may be cheaper.
#[cfg(any(test, fuzzing))]
pub(crate) fn by_shuffle(problem: &Problem, budget_bytes: u64, threads: usize) -> Option<Plan> {
    if problem.moves != Moves::Nothing || problem.gathered.is_some() { None } else { shuffle(problem, budget_bytes, threads, threads) }
}

/// The cheapest plan of one strategy, where one is possible, though another may be cheaper.
#[cfg(test)]
pub(crate) fn by_strategy(problem: &Problem, budget_bytes: u64, threads: usize, strategy: Strategy) -> Option<Plan> {
    candidates(problem, budget_bytes, threads).into_iter().find(|plan| plan.strategy == strategy)
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
        visits: counts(&problem.shape, &problem.source.unit),
        visits_each: 1.0,
        ranges: None,
        encoded_bytes: units(&problem.target),
        spilled_bytes: 0,
        read_bytes_estimate: scaled(units(&problem.source), problem.source_ratio),
        written_bytes_estimate: scaled(units(&problem.target), problem.target_ratio),
        files: target_chunks(problem).saturating_add(1),
        block: problem.shape.clone(),
        partition: Vec::new(),
        partition_count: 0,
        levels: 0,
        estimated_seconds: 0.0,
        second: None,
        work_bytes: units(&problem.source).saturating_add(units(&problem.target)),
        steps,
    })
}

#[cfg(test)]
mod tests;
