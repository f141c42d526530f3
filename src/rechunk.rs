//! Rechunking: an array, or all arrays of a group, under another chunk grid, within a memory budget.
//!
//! This file only orchestrates: it prepares a job (`job`), stages the target beside its final place, runs each array's plan (`plan`, `run`), and
//! publishes the whole in one step.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::array::{Array, check_node_name, lock_around, read_only, read_optional_node, refresh_copies};
use crate::error::{Error, Result};
use crate::group::Group;
use crate::metadata::{DOCUMENT, NodeMetadata, v2};
use crate::process;
use crate::publish::{Durability, Existing, Stage};
use crate::shuffle::check_spill_directory;
use crate::store::{EntryKind, FilesystemStore, Key, Store, open_directory};

mod becoming;
mod boxed;
mod budget;
mod calibrate;
pub(crate) mod carry;
mod cells;
mod direct;
pub(crate) mod execute;
pub(crate) mod gather;
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

/// Rechunks the array or group at `source` into a new one at `target`, which becomes visible complete or not at all.
///
/// Neither the budget nor the number of threads changes what is written (RCK-6), and what the options do not name stays as it is (RCK-7).
/// In a group (RCK-8), arrays that have all dimensions named in the options are rechunked; the others, and coordinate variables, travel along
/// unchanged. So do nodes that need what this build does not have (RCK-15), each with a warning.
///
/// # Errors
/// As [`plan_rechunk`], before anything is written; [`Error::AlreadyExists`] when something is at the target;
/// [`Error::InvalidArgument`] without a target (in place is not there yet); later [`Error::Corrupt`] and the like for what the
/// source turns out to hold, [`Error::DiskFull`], [`Error::Cancelled`]. After an error nothing is left at or beside the target.
pub fn rechunk(source: impl AsRef<Path>, target: Option<&Path>, mut options: RechunkOptions<'_>) -> Result<Report> {
    let (begun, cpu_begun) = (Instant::now(), process::cpu_seconds());
    let source = source.as_ref();
    let Some(target) = target else {
        return Err(Error::invalid(format!("{}: rechunking in place is not there yet; give a target", source.display())));
    };
    let mut warnings = Vec::new();
    let budget = within_limit(options.memory_bytes, &mut warnings);
    let job = Job::prepare(source, &options, budget)?;
    warnings.extend(job.warnings());
    let (parent, name) = place(source, target)?;
    let limited = process::memory_limit_bytes().is_some();
    let store = FilesystemStore::open(&parent)?.with_drop_behind(true).with_write_behind(limited).with_locks(options.locks);
    let (store, name): (Arc<dyn Store>, _) = (Arc::new(store), Key::new(name)?);
    if options.overwrite {
        check_replaceable(&*store, &name)?;
    }
    let spill_dir = options.spill_dir_for(&parent);
    check_spill_directory(&spill_dir)?;
    let mut space = Space::of(&job, source, &parent, &spill_dir);
    space.check(&job, budget, options.space_check, &mut warnings)?;
    let around = lock_around(&store, &name)?;
    let existing = match (options.overwrite, options.keep_backup) {
        (false, _) => Existing::Refuse,
        (true, false) => Existing::Replace,
        (true, true) => Existing::ReplaceAndKeep,
    };
    let durability = if options.sync { Durability::Sync } else { Durability::NoSync };
    let stage = Stage::begin(store.clone(), name.clone(), existing, durability)?;
    let measured = fill_stage(&job, &store, stage.prefix(), &spill_dir, &mut options).map_err(|error| space.explain(error))?;
    warnings.extend(stage.publish().map_err(|error| space.explain(error))?.warning);
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

/// The directory that the target goes into, and its name there.
fn place(source: &Path, target: &Path) -> Result<(PathBuf, String)> {
    let Some(name) = target.file_name() else {
        return Err(Error::invalid(format!("{}: the target must end in a name for what is made", target.display())));
    };
    let Some(name) = name.to_str() else {
        return Err(Error::invalid(format!("{}: the name of a node must be UTF-8", target.display())));
    };
    check_node_name(name)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let resolved = crate::store::resolved(parent).map_err(|error| match error {
        Error::NotFound { path, .. } => Error::NotFound { path, what: String::from("the directory of the target; make it first") },
        error => error,
    })?;
    let from = crate::store::resolved(source)?;
    let to = resolved.join(name);
    if [".rechunked", ".backup"].iter().any(|suffix| from.starts_with(resolved.join(format!("{name}{suffix}")))) {
        return Err(Error::invalid(format!(
            "{}: this name is used while {} is made; move the source away first",
            source.display(),
            target.display()
        )));
    }
    if to.starts_with(&from) || from.starts_with(&to) {
        return Err(Error::invalid(format!(
            "{}: the target is, or lies inside or around, the source {}; rechunking in place is not there yet",
            target.display(),
            source.display()
        )));
    }
    refuse_inside_array(target, &resolved)?;
    Ok((resolved, name.to_owned()))
}

/// What lies below an array are its chunks: no node may be made there.
fn refuse_inside_array(target: &Path, parent: &Path) -> Result<()> {
    for above in parent.ancestors() {
        let store = open_directory(above)?;
        match read_optional_node(&store, &Key::root()) {
            Ok(Some((NodeMetadata::Array(_), _))) => {
                let what = format!("{}: lies inside the array {}; a target must be outside of arrays", target.display(), above.display());
                return Err(Error::invalid(what));
            }
            Ok(Some((NodeMetadata::Group(group), _))) if group.zarr_format() == 2 => {
                return Err(read_only(&above.display().to_string()));
            }
            Ok(None) => {}
            // A group, or a document that is not understood, is the end of what concerns this target.
            Ok(Some(_)) | Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Only a Zarr node is overwritten, so that a mistyped path costs nobody a directory.
fn check_replaceable(store: &dyn Store, target: &Key) -> Result<()> {
    match store.kind(target)? {
        None => return Ok(()),
        Some(EntryKind::Other) => {
            let what = format!("{}: is no directory; a link is not overwritten: name what it points to", store.locate(target));
            return Err(Error::invalid(what));
        }
        Some(_) if matches!(store.kind(&target.join(DOCUMENT)?), Ok(Some(EntryKind::Value))) => return Ok(()),
        Some(_) if matches!(v2::is_node(store, target), Ok(true)) => return Ok(()),
        Some(_) => {}
    }
    Err(Error::AlreadyExists {
        path: store.locate(target),
        advice: format!("it holds no {DOCUMENT}, and only Zarr arrays and groups are overwritten"),
    })
}

/// Builds the whole target below `prefix`.
fn fill_stage(
    job: &Job,
    store: &Arc<dyn Store>,
    prefix: &Key,
    spill_dir: &Path,
    options: &mut RechunkOptions<'_>,
) -> Result<Vec<Measured>> {
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
        let work = || run::run(&task.taken, &target, &task.plan, spill_dir, &control).map_err(|error| task.taken.explain(error));
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
    // Documents of groups come last and children first, so that a group that can be opened is complete.
    for group in job.groups.iter().rev() {
        let document = NodeMetadata::Group(Box::new(group.metadata.clone()));
        document.stage(&**store, &below(prefix, &group.path)?.join(DOCUMENT)?)?;
    }
    for group in job.groups.iter().rev().filter(|group| group.consolidate) {
        Group::open_in(store.clone(), below(prefix, &group.path)?)?.consolidate_staged()?;
    }
    Ok(measured)
}

/// Brings consolidated metadata of the groups above the target up to date (RCK-16); returns what should be known about it.
fn refresh_above(store: &Arc<dyn Store>, name: &Key, sync: bool) -> Vec<String> {
    let refreshed = refresh_copies(store, name);
    let mut warnings = refreshed.removed;
    let stale = |error| format!("a group above the target may hold consolidated metadata that are out of date: {error}");
    warnings.extend(refreshed.stale.into_iter().map(stale));
    if sync && refreshed.written > 0 {
        let failed = store.sync().err();
        warnings.extend(failed.map(|error| format!("consolidated metadata above the target are up to date, but: {error}")));
    }
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
