//! Rechunking: an array, or all arrays of a group, under another chunk grid, within a memory budget.
//!
//! This file only orchestrates: it prepares a job (`job`) and the ground that the target goes to (`ground`, `in_place`), stages the target beside its final place, runs each array's plan (`plan`, `run`), and
//! publishes the whole in one step.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::array::{lock_around, refresh_copies};
use crate::error::{Error, Result};
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
mod checkpoints;
mod digest;
mod direct;
pub(crate) mod execute;
mod fill;
pub(crate) mod gather;
mod ground;
mod in_place;
mod job;
mod journal;
mod moved;
mod options;
mod order;
mod pieces;
mod placed;
pub(crate) mod plan;
mod report;
mod resume;
mod rounds;
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

use fill::Filled;
use ground::Ground;
use job::Job;
use space::Space;

pub(crate) use job::{named, open_store};
#[cfg(any(test, fuzzing))]
pub(crate) use journal::{read_journal, written_journal};
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
/// source that was to be replaced is as it was; but a run that was cancelled after a checkpoint leaves what another can go on with
/// ([`RechunkOptions::resume`]), and so does one that was refused to go on with it ([`Error::Changed`]), or failed before it wrote anything.
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
    let leftover = if options.resume { Leftover::Continue } else { Leftover::Discard };
    let around = lock_around(&store, &name)?;
    let mut refreshed = Vec::new();
    let mut refresh = || refreshed.extend(refresh_above(&store, &name, options.sync));
    let stage = StageOptions { existing, durability, leftover, held };
    let stage = Stage::begin(store.clone(), name.clone(), stage, &mut refresh)?;
    if target.is_none() {
        in_place::keep_permissions(&*store, &stage)?;
    }
    // What a dead run had left there is gone by now, and its room is free; or it is gone on with, and needs only the rest.
    let mut space = Space::of(&job, source.as_ref(), &parent, &spill_dir);
    space.check(&job, options.space_check && !stage.continued(), &mut warnings)?;
    let built = build(&job, stage, (&store, &parent, &spill_dir), &mut options, &mut warnings);
    let (stage, filled) = built.map_err(|error| space.explain(error))?;
    if let (Some(_), Some(source)) = (target, &filled.source) {
        warnings.extend(resume::source_warning(&job, source)?);
    }
    let mut refresh = || refreshed.extend(refresh_above(&store, &name, options.sync));
    let published = stage.publish(&mut || Ok(()), &mut refresh).map_err(|error| space.explain(error))?;
    drop(around);
    warnings.extend(published.warning);
    warnings.extend(refreshed);
    let mut arrays = job.reports();
    arrays.iter_mut().zip(filled.measured).for_each(|(report, measured)| report.measured = Some(measured));
    Ok(Report {
        arrays,
        resumed_bytes: filled.resumed_bytes,
        seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: process::cpu_seconds().zip(cpu_begun).map(|(now, begun)| now - begun),
        peak_rss_bytes: process::peak_rss_bytes(),
        warnings,
    })
}

/// Builds the target in its stage, which is given back: all of it, or what an earlier run has left to do. A run that is asked to stop leaves the
/// stage where another can go on with it (JRN-7).
fn build(
    job: &Job,
    mut stage: Stage,
    (store, parent, spill_dir): (&Arc<dyn Store>, &Path, &Path),
    options: &mut RechunkOptions<'_>,
    warnings: &mut Vec<String>,
) -> Result<(Stage, Filled)> {
    let begun = match resume::begin(job, &resume::Site { store, parent }, &mut stage, options) {
        Ok(begun) => begun,
        Err(error) => {
            // What it was refused to go on with has been paid for.
            stage.keep();
            return Err(error);
        }
    };
    warnings.extend(begun.warning);
    if begun.complete {
        let measured = job.reports().iter().map(|_| Measured::default()).collect();
        return Ok((stage, Filled { measured, resumed_bytes: job.total_bytes(), source: None }));
    }
    let checkpoints = begun.checkpoints.as_ref();
    let filled = fill::Site { job, store, stage: &stage, spill_dir, checkpoints }.fill(options);
    match (filled, checkpoints) {
        (Ok(filled), _) => Ok((stage, filled)),
        (Err(error @ Error::Cancelled), Some(checkpoints)) if checkpoints.any() => {
            stage.keep();
            Err(error)
        }
        // What was left is as it was: it may still be gone on with, when what was in the way is not.
        (Err(error), Some(checkpoints)) if checkpoints.is_untouched() => {
            stage.keep();
            Err(error)
        }
        (Err(error), _) => Err(error),
    }
}

/// Brings consolidated metadata of the groups above the target up to date (RCK-16); returns what should be known about it.
pub(crate) fn refresh_above(store: &Arc<dyn Store>, name: &Key, sync: bool) -> Vec<String> {
    let refreshed = refresh_copies(store, name, sync);
    let mut warnings = refreshed.removed;
    let stale = |error| format!("a group above the target may hold consolidated metadata that are out of date: {error}");
    warnings.extend(refreshed.stale.into_iter().map(stale));
    warnings
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
