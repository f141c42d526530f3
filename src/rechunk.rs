//! Rechunking: an array, or all arrays of a group, under another chunk grid, within a memory budget.
//!
//! This file only orchestrates: it prepares a job (`job`) and the ground that the target goes to (`ground`, `in_place`), stages the target beside its final place, runs each array's plan (`plan`, `run`), and
//! publishes the whole in one step.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::array::{Array, lock_around, refresh_copies};
use crate::error::Result;
use crate::group::Group;
use crate::metadata::{DOCUMENT, NodeMetadata};
use crate::process;
use crate::publish::{Durability, Leftover, Stage, StageOptions};
use crate::shuffle::check_spill_directory;
use crate::store::{Key, Store};

mod becoming;
mod boxed;
mod budget;
mod calibrate;
pub(crate) mod carry;
mod cells;
mod direct;
pub(crate) mod execute;
pub(crate) mod gather;
mod ground;
mod in_place;
mod job;
mod moved;
mod options;
mod order;
mod pieces;
mod placed;
pub(crate) mod plan;
mod report;
mod run;
mod shuffled;
mod slots;
pub(crate) mod source;
pub(crate) mod space;
mod spec;
pub(crate) mod speeds;
#[cfg(any(test, fuzzing))]
pub(crate) mod unstaged;
mod windows;

use execute::Control;
use ground::Ground;
use job::Job;
use space::Space;

pub(crate) use job::{named, open_store};
pub use options::{DEFAULT_MEMORY_BYTES, RechunkOptions, Shards};
pub(crate) use options::{default_threads, within_limit};
pub use plan::{Alternative, Costs, GrownCost, Growth, Plan, Ranges, Share, Strategy};
pub use report::{ArrayReport, HumanBytes, Measured, Progress, Report};
pub(crate) use run::{side, streaming};
pub use spec::{ChunkSpec, Edge};

/// Plans a rechunk of the array or group at `source` without writing anything: one entry an array.
///
/// # Errors
/// Those of opening the source; [`Error::InvalidArgument`] where the options do not fit it; [`Error::BudgetTooSmall`].
pub fn plan_rechunk(source: impl AsRef<Path>, options: &RechunkOptions<'_>) -> Result<Vec<ArrayReport>> {
    let budget = within_limit(options.memory_bytes, &mut Vec::new());
    Job::prepare(source.as_ref(), options, budget)?.grown(options, budget)
}

/// Rechunks the array or group at `source` into a new one at `target`, which becomes visible complete or not at all. Without a target that is done
/// in place: the new tree takes the place of the source in one step, and the source is deleted, or kept as `<name>.backup` (PUB-30).
///
/// Neither the budget nor the number of threads changes what is written (RCK-6), and what the options do not name stays as it is (RCK-7).
/// In a group (RCK-8), arrays that have all dimensions named in the options are rechunked; the others, and coordinate variables, travel along
/// unchanged. So do nodes that need what this build does not have (RCK-15), each with a warning.
///
/// # Errors
/// As [`plan_rechunk`], before anything is written; [`Error::AlreadyExists`] when something is at the target; [`Error::Busy`] when somebody else is at
/// work at the target, or on the source of a rechunk in place, [`Error::Io`] of the operation "replace" when another program has changed such a source meanwhile; later [`Error::Corrupt`] and the
/// like for what the source turns out to hold, [`Error::DiskFull`], [`Error::Cancelled`]. After an error nothing is left at or beside the target, and a
/// source that was to be replaced is as it was.
pub fn rechunk(source: impl AsRef<Path>, target: Option<&Path>, mut options: RechunkOptions<'_>) -> Result<Report> {
    let (begun, cpu_begun) = (Instant::now(), process::cpu_seconds());
    let mut warnings = Vec::new();
    let budget = within_limit(options.memory_bytes, &mut warnings);
    let (job, ground) = match target {
        Some(target) => {
            let job = Job::prepare(source.as_ref(), &options, budget)?;
            let ground = Ground::beside(source.as_ref(), target, &options)?;
            (job, ground)
        }
        None => in_place::prepare(source.as_ref(), &options, budget, &mut warnings)?,
    };
    warnings.extend(job.warnings());
    let Ground { parent, store, name, existing, held, .. } = ground;
    let spill_dir = options.spill_dir_for(&parent);
    check_spill_directory(&spill_dir)?;
    space::check_spill(&job, &spill_dir, budget)?;
    let durability = if options.sync { Durability::Sync } else { Durability::NoSync };
    let begin = StageOptions { existing, durability, leftover: Leftover::Discard, held };
    let around = lock_around(&store, &name)?;
    let stage = Stage::begin(store.clone(), name.clone(), begin)?;
    // What a dead run had left there is gone by now, and its room is free.
    let mut space = Space::of(&job, source.as_ref(), &parent, &spill_dir);
    space.check(&job, options.space_check, &mut warnings)?;
    let measured = fill_stage(&job, &store, &stage, &spill_dir, &mut options).map_err(|error| space.explain(error))?;
    warnings.extend(stage.publish(&mut || Ok(())).map_err(|error| space.explain(error))?.warning);
    drop(around);
    warnings.extend(refresh_above(&store, &name, options.sync));
    let mut arrays = job.reports();
    arrays.iter_mut().zip(measured).for_each(|(report, measured)| report.measured = Some(measured));
    Ok(Report {
        arrays,
        seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: process::cpu_seconds().zip(cpu_begun).map(|(now, begun)| now - begun),
        peak_rss_bytes: process::peak_rss_bytes(),
        warnings,
    })
}

/// Builds the whole target in the stage.
fn fill_stage(
    job: &Job,
    store: &Arc<dyn Store>,
    stage: &Stage,
    spill_dir: &Path,
    options: &mut RechunkOptions<'_>,
) -> Result<Vec<Measured>> {
    let prefix = stage.prefix();
    let total_bytes = job.total_bytes();
    let (mut measured, mut before) = (Vec::new(), 0);
    for task in &job.tasks {
        let target = Array::with_metadata(store.clone(), below(prefix, &task.path)?, task.metadata.clone())?;
        let control = Control::new(options.cancel);
        let report = |control: &Control<'_>| Progress {
            array: task.path.clone(),
            done_bytes: control.done_bytes.load(Ordering::Relaxed).saturating_add(before),
            total_bytes,
        };
        let document = document(stage, &task.path)?;
        let work = || {
            let done = run::run(&task.taken, (&target, &document), &task.plan, spill_dir, &control);
            done.map_err(|error| task.taken.explain(error))
        };
        let result = watched(work, || {
            if let Some(progress) = options.progress.as_mut() {
                progress(&report(&control));
            }
        })?;
        before = task.plan.work_bytes.saturating_add(before);
        measured.push(result);
    }
    for node in &job.carried {
        let control = Control::new(options.cancel);
        let report = || Progress { array: node.path.clone(), done_bytes: before, total_bytes };
        let target = below(prefix, &node.path)?;
        let work = || node.copy(&*job.source, &**store, &target, &control);
        measured.push(watched(work, || {
            if let Some(progress) = options.progress.as_mut() {
                progress(&report());
            }
        })?);
    }
    write_groups(job, store, stage)?;
    Ok(measured)
}

/// Writes the documents of the groups: last, and children first, so that a group that can be opened is complete.
fn write_groups(job: &Job, store: &Arc<dyn Store>, stage: &Stage) -> Result<()> {
    for group in job.groups.iter().rev() {
        let prefix = below(stage.prefix(), &group.path)?;
        let metadata =
            if group.consolidate { Group::consolidated(store.clone(), prefix, group.metadata.clone())? } else { group.metadata.clone() };
        NodeMetadata::Group(Box::new(metadata)).stage(&**store, &document(stage, &group.path)?)?;
    }
    Ok(())
}

/// Where the document of the node `path` goes: that of the root gets its name last of all.
fn document(stage: &Stage, path: &str) -> Result<Key> {
    if path.is_empty() { stage.document() } else { stage.prefix().join(path)?.join(DOCUMENT) }
}

/// Brings consolidated metadata of the groups above the target up to date (RCK-16); returns what should be known about it.
pub(crate) fn refresh_above(store: &Arc<dyn Store>, name: &Key, sync: bool) -> Vec<String> {
    let refreshed = refresh_copies(store, name, sync);
    let mut warnings = refreshed.removed;
    let stale = |error| format!("a group above the target may hold consolidated metadata that are out of date: {error}");
    warnings.extend(refreshed.stale.into_iter().map(stale));
    warnings
}

fn below(prefix: &Key, path: &str) -> Result<Key> {
    if path.is_empty() { Ok(prefix.clone()) } else { prefix.join(path) }
}

/// Runs `work` on a thread of its own, and calls `look` some times a second until it is done, and once more then.
pub(crate) fn watched<T: Send>(work: impl FnOnce() -> Result<T> + Send, mut look: impl FnMut()) -> Result<T> {
    let (end, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            // Dropped when the work is done or panics, which wakes the watcher.
            let _end = end;
            work()
        });
        look();
        while ended.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout) {
            look();
        }
        let result = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        look();
        result
    })
}
