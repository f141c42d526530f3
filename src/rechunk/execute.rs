//! Running a plan: what the strategies share.
//!
//! A transfer takes every unit of a source array, and gives every unit of the target's grid once, assembled, to a [`TileSink`]: one that
//! encodes and writes for a rechunk, one that compares for `verify`. All memory for data is one slab and what readers and sinks hold,
//! leased from the budget before the first byte moves.
//!
//! Invariants
//! 1. A source unit is decoded exactly once where the plan does not say otherwise; a target unit is given to the sink exactly once (RCK-1).
//! 2. The first error stops all threads, and is the one that is returned.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memmap2::MmapMut;
use parking_lot::Mutex;

use crate::array::UnitReader;
use crate::dtype::FillValue;
use crate::error::{Error, Result};
use crate::grid::ChunkGrid;
use crate::rechunk::checkpoints::Checkpoints;
use crate::rechunk::journal::Position;
use crate::rechunk::plan::{Plan, Steps};
use crate::rechunk::source::Source;
use crate::rechunk::{boxed, direct, shuffled};
use crate::region::{BoxLayout, Region, copy_box, to_usize};

/// Takes assembled target units, from several threads.
pub(crate) trait TileSink: Sync {
    /// What one thread reuses from unit to unit.
    type Scratch: Send;

    /// Working space for one thread.
    fn scratch(&self) -> Self::Scratch;

    /// What elements beyond the edge of the array are set to.
    fn padding(&self) -> &FillValue;

    /// Takes a unit: its bytes laid out by the target's strides. They may be changed.
    fn tile(&self, unit: &[u64], tile: &mut [u8], scratch: &mut Self::Scratch) -> Result<()>;

    /// Begins to take a unit slab after slab.
    fn stream<'s>(&'s self, unit: &[u64]) -> Result<Box<dyn TileStream + 's>>;

    /// Whether elements of which no source chunk exists are what [`TileStream::push_fill`] stands for.
    fn leaves_missing(&self) -> bool;

    /// Takes a unit of which no source chunk exists: all of it is the source's fill value.
    fn missing(&self, unit: &[u64], scratch: &mut Self::Scratch) -> Result<Missing>;

    /// Whether all that was begun is complete, so that another run could go on from here.
    fn is_whole(&self) -> bool;
}

/// Takes a target unit slab after slab, in the order of its memory.
pub(crate) trait TileStream: Send {
    /// Takes the next bytes.
    fn push(&mut self, slab: &[u8]) -> Result<()>;

    /// Takes so many bytes beyond the edge of the array; and where [`TileSink::leaves_missing`], of which no source chunk exists.
    fn push_fill(&mut self, bytes: u64) -> Result<()>;

    /// Called when all of the unit was pushed.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// What a sink says of a unit that no source chunk touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is dealt with.
    Done,
    /// The sink needs its bytes: give it to [`TileSink::tile`].
    Wanted,
}

/// What all threads of a run share: counters, and the wish to stop.
#[derive(Debug, Default)]
pub(crate) struct Control<'a> {
    pub(crate) cancel: Option<&'a AtomicBool>,
    /// Where the run says how far it is; none where nobody could go on with it.
    pub(crate) checkpoints: Option<&'a Checkpoints>,
    /// Where it begins.
    pub(crate) begin: Position,
    stop: AtomicBool,
    failure: Mutex<Option<Error>>,
    /// Decoded bytes of source units.
    pub(crate) decoded_bytes: AtomicU64,
    /// Stored bytes of source units.
    pub(crate) read_bytes: AtomicU64,
    /// Source units decoded.
    pub(crate) decoded_units: AtomicU64,
    /// Bytes of target units given to the sink.
    pub(crate) delivered_bytes: AtomicU64,
    /// Bytes of data through the spill file.
    pub(crate) spilled_bytes: AtomicU64,
    /// Bytes of the spill files, framing included.
    pub(crate) spill_file_bytes: AtomicU64,
    /// Bytes of work done: each source unit taken and each target unit given counts its decoded size, missing or not.
    pub(crate) done_bytes: AtomicU64,
}

impl<'a> Control<'a> {
    pub(crate) fn new(cancel: Option<&'a AtomicBool>) -> Self {
        Self { cancel, ..Self::default() }
    }

    /// For the node of this number of a run with checkpoints: it begins where an earlier run has come to.
    pub(crate) fn of_node(cancel: Option<&'a AtomicBool>, checkpoints: Option<&'a Checkpoints>, number: u64) -> Self {
        let begin = checkpoints.and_then(Checkpoints::begin).filter(|begin| begin.nodes == number);
        let (begin, done_bytes) = begin.map_or_else(Default::default, |begin| (begin.position, begin.done_bytes));
        Self { cancel, checkpoints, begin, done_bytes: AtomicU64::new(done_bytes), ..Self::default() }
    }

    /// Whether the run should go on; asked between units.
    pub(crate) fn check(&self) -> Result<()> {
        let cancelled = self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed));
        if cancelled || self.stop.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Runs the work of one thread. If it fails, or panics, the others stop too.
    fn guarded(&self, work: impl FnOnce() -> Result<()>) {
        struct StopOnPanic<'c>(&'c AtomicBool);
        impl Drop for StopOnPanic<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
        }
        let guard = StopOnPanic(&self.stop);
        self.record(work());
        drop(guard);
    }

    /// Keeps the first failure and stops the others.
    fn record(&self, result: Result<()>) {
        if let Err(error) = result {
            let mut failure = self.failure.lock();
            // Threads that were stopped say Cancelled; that is not why they were.
            if failure.is_none() {
                *failure = Some(error);
            }
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    /// Runs `work` on as many threads as there are workers, and returns the first error of any.
    pub(crate) fn on_threads<W: Send>(&self, workers: impl IntoIterator<Item = W>, work: impl Fn(W) -> Result<()> + Sync) -> Result<()> {
        std::thread::scope(|scope| {
            let work = &work;
            let spawn = |worker| scope.spawn(move || self.guarded(|| work(worker)));
            let threads: Vec<_> = workers.into_iter().map(spawn).collect();
            // The scope would not wait until a thread has gone, and what its allocator keeps is there for the next one only then.
            threads.into_iter().for_each(|thread| {
                if let Err(panic) = thread.join() {
                    std::panic::resume_unwind(panic);
                }
            });
        });
        self.outcome()
    }

    /// The first failure.
    fn outcome(&self) -> Result<()> {
        match self.failure.lock().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, bytes: u64) {
    counter.fetch_add(bytes, Ordering::Relaxed);
}

/// One source array on its way to one target grid.
pub(crate) struct Transfer<'a, S> {
    pub(crate) source: &'a Source<'a>,
    /// Grid of the target's units.
    pub(crate) grid: &'a ChunkGrid,
    /// Grid of the target's chunks (shards).
    pub(crate) chunks: &'a ChunkGrid,
    /// Byte strides of a target unit, and its size.
    pub(crate) strides: Vec<usize>,
    pub(crate) tile_bytes: usize,
    pub(crate) sink: &'a S,
    pub(crate) control: &'a Control<'a>,
    pub(crate) spill_dir: &'a Path,
}

impl<S: TileSink> Transfer<'_, S> {
    /// Runs `plan`, within its budget.
    pub(crate) fn run(&self, plan: &Plan) -> Result<()> {
        if self.grid.chunk_count() == 0 {
            return Ok(());
        }
        let _leases = plan.lease()?;
        match &plan.steps {
            Steps::Direct { walk, slots } => {
                let slab_bytes =
                    to_usize(*slots).checked_mul(self.tile_bytes).ok_or_else(|| Error::invalid("a slab over the address space"))?;
                let mut slab = slab(slab_bytes)?;
                direct::run(self, plan, walk, &mut slab[..slab_bytes])
            }
            Steps::Shuffle(sort) => {
                let mut slab = slab(to_usize(sort.slab_bytes))?;
                shuffled::run(self, plan, sort, &mut slab[..to_usize(sort.slab_bytes)])
            }
            Steps::Fill(filling) => {
                let slab_bytes = to_usize(filling.slot_bytes.saturating_mul(plan.threads as u64));
                boxed::run(self, plan, filling, &mut slab(slab_bytes)?[..slab_bytes])
            }
            Steps::Move(_) | Steps::Gather { .. } | Steps::Place(_) => unreachable!("not what a transfer does"),
        }
    }

    pub(crate) fn item_size(&self) -> usize {
        self.source.item_size()
    }

    pub(crate) fn source_fill(&self) -> &FillValue {
        self.source.fill()
    }

    /// Reads a source unit, counted.
    pub(crate) fn read(&self, reader: &mut UnitReader, unit: &[u64], visit: &mut dyn FnMut(Option<&[u8]>) -> Result<()>) -> Result<()> {
        let mut decoded = 0;
        let read = reader.read(&self.source.in_array(unit), &mut |bytes| {
            decoded = bytes.map_or(0, <[u8]>::len) as u64;
            visit(bytes)
        })?;
        if decoded > 0 {
            add(&self.control.decoded_units, 1);
        }
        add(&self.control.decoded_bytes, decoded);
        add(&self.control.read_bytes, read);
        add(&self.control.done_bytes, self.source.unit_bytes());
        Ok(())
    }

    /// Gives a unit to the sink. `touched` says whether any source chunk put something into `tile`; if not, its bytes are undefined.
    pub(crate) fn deliver(&self, unit: &[u64], tile: &mut [u8], touched: bool, scratch: &mut S::Scratch) -> Result<()> {
        if touched || self.sink.missing(unit, scratch)? == Missing::Wanted {
            if !touched {
                self.preset(unit, tile);
            }
            self.sink.tile(unit, tile, scratch)?;
            add(&self.control.delivered_bytes, tile.len() as u64);
        }
        add(&self.control.done_bytes, tile.len() as u64);
        Ok(())
    }

    /// Sets a unit to what it is without any source chunk: the source's fill value inside the array, padding beyond.
    pub(crate) fn preset(&self, unit: &[u64], tile: &mut [u8]) {
        self.preset_box(self.grid.region(unit).shape(), tile);
    }

    /// The same for a part of a unit that begins with `tile`, of which a box of `shape` is inside the array.
    pub(crate) fn preset_box(&self, shape: &[u64], tile: &mut [u8]) {
        let (fill, padding) = (self.source_fill(), self.sink.padding());
        padding.fill(tile);
        if fill != padding {
            let still = vec![0; shape.len()];
            let (from, to) = (BoxLayout { offset: 0, strides: &still }, BoxLayout { offset: 0, strides: &self.strides });
            copy_box(shape, self.item_size(), fill.as_bytes(), from, tile, to);
        }
    }

    /// Runs `work` on as many threads as there are workers, and returns the first error of any.
    pub(crate) fn on_threads<W: Send>(&self, workers: impl IntoIterator<Item = W>, work: impl Fn(W) -> Result<()> + Sync) -> Result<()> {
        self.control.on_threads(workers, work)
    }
}

/// Zeroed memory, or a typed error where the system has none. Pages, huge ones where the system has them, are only taken when they are touched, and all are given back when it is
/// dropped, which an allocator need not do.
pub(super) fn slab(bytes: usize) -> Result<MmapMut> {
    let slab = MmapMut::map_anon(bytes.max(1)).map_err(|_| Error::BudgetTooSmall {
        required_bytes: bytes as u64,
        budget_bytes: 0,
        what: String::from("the system has not so much memory"),
    })?;
    #[cfg(target_os = "linux")]
    let _ = slab.advise(memmap2::Advice::HugePage);
    Ok(slab)
}

/// A region in the index space of a grid of boxes of `edges`, which begins at a box.
pub(crate) fn in_units(region: &Region, edges: &[u64]) -> Region {
    let start: Vec<u64> = region.start().iter().zip(edges).map(|(start, edge)| start / edge).collect();
    let shape: Vec<u64> = region.shape().iter().zip(edges).map(|(len, edge)| len.div_ceil(*edge)).collect();
    let Ok(units) = Region::new(start, shape) else { unreachable!("unit indices are smaller than element indices") };
    units
}

/// How many boxes of `edges` a box of `shape` spans along each axis.
pub(crate) fn spans(shape: &[u64], edges: &[u64]) -> Vec<u64> {
    shape.iter().zip(edges).map(|(len, edge)| len.div_ceil(*edge)).collect()
}
