//! Whether a run goes on with what an earlier one has left, and what it keeps for a later one (rules JRN-3 to JRN-8 of `spec/rechunk.md`).

use std::path::Path;
use std::sync::Arc;

use super::checkpoints::Checkpoints;
use super::digest::{Digest, hex};
use super::job::{Job, Task};
use super::journal::{Header, Journal};
use super::plan::{Moves, Plan, Steps};
use crate::error::{Error, Result};
use crate::metadata::NodeMetadata;
use crate::process::boot_id;
use crate::publish::{Stage, fingerprint};
use crate::rechunk::RechunkOptions;
use crate::shuffle::SpillName;
use crate::store::{Key, Store};

/// What a run begins with.
pub(super) struct Beginning {
    /// None where the run is too small for any.
    pub(super) checkpoints: Option<Checkpoints>,
    /// Whether the tree is complete already.
    pub(super) complete: bool,
    pub(super) warning: Option<String>,
}

/// Where a run works.
pub(super) struct Site<'a> {
    pub(super) store: &'a Arc<dyn Store>,
    /// The directory that the target goes into.
    pub(super) parent: &'a Path,
}

/// Looks at what an earlier run has left in the stage, and says where this one begins.
///
/// # Errors
/// [`Error::Changed`] where what was left belongs to another source or to another job: it stays as it is then, if the caller keeps the stage.
pub(super) fn begin(job: &Job, site: &Site<'_>, stage: &mut Stage, options: &RechunkOptions<'_>) -> Result<Beginning> {
    let found = if stage.continued() { Journal::read(&**site.store, stage.prefix())? } else { None };
    let found = found.filter(|found| found.header.tree == stage.id() && is_trusted(&found.header));
    if found.is_none() && stage.is_sealed() {
        let advice = "it is complete, but does not say what it was made from: `rezarr recover` puts it in its place; \
                      leave --resume out to delete it and begin anew";
        return Err(Error::AlreadyExists { path: site.store.locate(stage.prefix()), advice: advice.to_owned() });
    }
    if found.is_none() && job.most_bytes() < options.checkpoint_bytes {
        return Ok(Beginning { checkpoints: None, complete: false, warning: begin_anew(stage, options)? });
    }
    let header = header(job, stage, options)?;
    let found = match found {
        Some(found) => {
            check(job, site, stage, (&found.header, &header))?;
            Some(found).filter(|found| stage.is_sealed() || found.last.is_some())
        }
        None => None,
    };
    let spill_name = spill_name(site, stage, options);
    let (store, prefix) = (Arc::clone(site.store), stage.prefix().clone());
    let tree = site.parent.join(stage.prefix().as_str());
    // What the journal begins with is what was found: memory and threads may differ.
    let kept = found.as_ref().map_or(header, |found| found.header.clone());
    let checkpoints = Checkpoints::new(store, prefix, tree, kept, options.checkpoint_bytes, spill_name)?;
    let Some(found) = found else {
        return Ok(Beginning { checkpoints: Some(checkpoints), complete: false, warning: begin_anew(stage, options)? });
    };
    Ok(Beginning { checkpoints: Some(checkpoints.resuming(found)), complete: stage.is_sealed(), warning: None })
}

fn begin_anew(stage: &mut Stage, options: &RechunkOptions<'_>) -> Result<Option<String>> {
    if stage.continued() {
        stage.begin_anew()?;
    }
    Ok(options.resume.then(|| String::from("there was nothing to resume: the run has begun anew")))
}

/// Whether what was written before a checkpoint is there: it was synced, or the machine has run ever since.
fn is_trusted(header: &Header) -> bool {
    header.synced || boot_id().is_some_and(|boot| boot == header.boot)
}

fn spill_name(site: &Site<'_>, stage: &Stage, options: &RechunkOptions<'_>) -> Option<SpillName> {
    match &options.spill_dir {
        Some(directory) => SpillName::outside(directory, stage.target().name(), stage.id()),
        None => Some(SpillName::inside(&site.parent.join(stage.prefix().as_str()), stage.id())),
    }
}

/// What the run depends on.
fn header(job: &Job, stage: &Stage, options: &RechunkOptions<'_>) -> Result<Header> {
    let mut header = Header::new(stage.id(), options.sync, boot_id().unwrap_or_default());
    header.source = fingerprint(&*job.source, &Key::root())?;
    header.target = target_digest(job)?;
    header.steps = steps_digest(job);
    (header.memory_bytes, header.threads) = (options.memory_bytes, options.threads as u64);
    Ok(header)
}

/// Refuses to go on with the work of a run that depended on something else.
fn check(job: &Job, site: &Site<'_>, stage: &Stage, (then, now): (&Header, &Header)) -> Result<()> {
    let anew = "leave --resume out to begin anew";
    let changed = |path: String, what: String| {
        Err(Error::Changed { path, what: format!("since the run that is to be resumed began: {what}; {anew}") })
    };
    let tree = || site.store.locate(stage.prefix());
    if then.source != now.source {
        return changed(job.source.locate(&Key::root()), source_change(&then.source, &now.source));
    }
    if then.target != now.target {
        return changed(tree(), String::from("it was to become another array or group than is asked for now"));
    }
    if then.steps != now.steps {
        let run = |header: &Header| format!("a memory budget of {} bytes and {} threads", header.memory_bytes, header.threads);
        let what = format!("it was built by another plan, with {}; with {} what is done would be cut otherwise", run(then), run(now));
        return changed(tree(), what);
    }
    Ok(())
}

/// What two fingerprints, which begin with the number of files in 16 hexadecimal digits, say of a source.
fn source_change(then: &str, now: &str) -> String {
    let files = |print: &str| print.get(..16).and_then(|count| u64::from_str_radix(count, 16).ok());
    match (files(then), files(now)) {
        (Some(then), Some(now)) if then != now => format!("it had {then} files, and has {now} now"),
        (_, Some(now)) => format!("some of its {now} files were written to or replaced"),
        _ => String::from("it is another source"),
    }
}

/// Whether the source is what it was when the run began; of one that is not, a warning.
pub(super) fn source_warning(job: &Job, then: &str) -> Result<Option<String>> {
    let now = fingerprint(&*job.source, &Key::root())?;
    Ok((then != now).then(|| {
        let what = source_change(then, &now);
        format!(
            "{} has changed while it was read: {what}; the result may hold some of the old and some of the new",
            job.source.locate(&Key::root())
        )
    }))
}

/// Digest of all documents that the target will have, of what is taken, and of where it is.
fn target_digest(job: &Job) -> Result<String> {
    let mut digest = Digest::default();
    let mut node = |path: &str, metadata: NodeMetadata| {
        digest.text(path);
        metadata.show_text(&mut |bytes| digest.update(bytes))?;
        digest.number(0);
        Ok::<_, Error>(())
    };
    for task in &job.tasks {
        node(&task.path, NodeMetadata::Array(Box::new(task.metadata.clone())))?;
    }
    for group in &job.groups {
        node(&group.path, NodeMetadata::Group(Box::new(group.metadata.clone())))?;
    }
    for Task { taken, .. } in &job.tasks {
        digest.shown(&taken.region);
        digest.shown(taken.source.data_type());
    }
    for group in &job.groups {
        digest.number(u64::from(group.consolidate));
    }
    job.carried.iter().for_each(|node| digest.text(&node.path));
    Ok(hex(digest.finish()))
}

/// Digest of what decides in which order the plans go, and what is in their spill files.
fn steps_digest(job: &Job) -> String {
    let mut digest = Digest::default();
    for task in &job.tasks {
        digest_plan(&task.plan, &mut digest);
    }
    hex(digest.finish())
}

fn digest_plan(plan: &Plan, digest: &mut Digest) {
    digest.shown(&plan.block);
    digest.shown(&plan.partition);
    match &plan.steps {
        Steps::Move(Moves::Chunks) => digest.text("chunks"),
        Steps::Move(_) => digest.text("units"),
        Steps::Direct { walk, .. } => digest.shown(&("direct", &walk.super_block, &walk.axes)),
        Steps::Shuffle(sort) => {
            let granule = sort.granule.as_ref().map(|(edges, _)| edges);
            digest.shown(&("shuffle", &sort.levels, sort.sizes, granule, sort.streamed));
        }
        Steps::Gather(boxes) => digest.shown(&("gather", &boxes.shape, boxes.within_chunks)),
        Steps::Fill(filling) => digest.shown(&("fill", &filling.shape)),
        Steps::Place(placing) => digest.shown(&("place", &placing.shape, &placing.walk.super_block, &placing.walk.axes)),
    }
}

#[cfg(test)]
pub(super) mod attempts;
