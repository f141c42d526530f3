//! Whether a run goes on with what an earlier one has left, and what it keeps for a later one (rules JRN-3 to JRN-8 of `spec/rechunk.md`).

use std::path::Path;
use std::sync::Arc;

use super::checkpoints::Checkpoints;
use super::digest::{Digest, hex};
use super::job::{Job, Task};
use super::journal::{Checkpoint, Found, Header, Journal};
use super::plan::{Moves, Plan, Steps};
use crate::error::{Error, Result};
use crate::metadata::NodeMetadata;
use crate::process::{boot_id, memory_limit_bytes};
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
    let found = found.filter(|found| found.header.tree == stage.id() && is_trusted(found));
    if found.is_none() && stage.is_sealed() {
        let advice = "it is complete, but does not say what it was made from: `rezarr recover` puts it in its place; \
                      leave --resume out to delete it and begin anew";
        return Err(Error::AlreadyExists { path: site.store.locate(stage.prefix()), advice: advice.to_owned() });
    }
    // Where there is nothing to lose, nothing has to be as it was.
    let found = found.filter(|found| stage.is_sealed() || found.last.is_some());
    if found.is_none() && job.most_bytes() < options.checkpoint_bytes {
        return Ok(Beginning { checkpoints: None, complete: false, warning: begin_anew(stage, options)? });
    }
    let header = header(job, stage, options)?;
    let checkpoints = |header: Header, stage: &Stage, spill_name: Option<SpillName>| {
        let (prefix, tree) = (stage.prefix().clone(), site.parent.join(stage.prefix().as_str()));
        Checkpoints::new(Arc::clone(site.store), prefix, tree, header, options.checkpoint_bytes, spill_name)
    };
    let Some(found) = found else {
        let checkpoints = checkpoints(header, stage, spill_name(site, stage, options))?;
        return Ok(Beginning { checkpoints: Some(checkpoints), complete: false, warning: begin_anew(stage, options)? });
    };
    check(job, site, stage, (&found.header, &header))?;
    if stage.is_sealed() {
        return Ok(Beginning { checkpoints: None, complete: true, warning: None });
    }
    let (spill_name, lost) = left_spill(site, stage, options, found.last.as_ref())?;
    let mut checkpoints = checkpoints(header, stage, spill_name)?.resuming(found);
    if lost.is_some() {
        checkpoints = checkpoints.without_block()?;
    }
    Ok(Beginning { checkpoints: Some(checkpoints), complete: false, warning: lost })
}

fn begin_anew(stage: &mut Stage, options: &RechunkOptions<'_>) -> Result<Option<String>> {
    if stage.continued() {
        stage.begin_anew()?;
    }
    Ok(options.resume.then(|| String::from("there was nothing to resume: the run has begun anew")))
}

/// Whether what was written before the last checkpoint is there: it was synced, or the machine has run ever since the journal was begun.
fn is_trusted(Found { header, last, .. }: &Found) -> bool {
    header.synced || last.is_some_and(|last| last.synced) || boot_id().is_some_and(|boot| boot == header.boot)
}

/// Where the spill file is that was left, whatever the options say now; and a warning where it is lost, so that its block is begun anew.
///
/// # Errors
/// [`Error::Changed`] where it may come back, and where there is nothing else to go on with.
fn left_spill(
    site: &Site<'_>,
    stage: &Stage,
    options: &RechunkOptions<'_>,
    last: Option<&Checkpoint>,
) -> Result<(Option<SpillName>, Option<String>)> {
    let linked = SpillName::linked(&**site.store, stage.prefix(), stage.target().name(), stage.id())?;
    let Some((last, block)) = last.and_then(|last| Some((last, last.position.block?))) else {
        let linked = linked.filter(SpillName::has_directory);
        return Ok((linked.or_else(|| spill_name(site, stage, options)), None));
    };
    let name = linked.unwrap_or_else(|| SpillName::inside(&site.parent.join(stage.prefix().as_str()), stage.id()));
    let path = name.path().display().to_string();
    let fault = match name.fault(block.saved.end)? {
        None => return Ok((Some(name), None)),
        Some(fault) => fault,
    };
    if !name.has_directory() || (last.nodes == 0 && last.position.items == 0) {
        let what = format!("since the run that is to be resumed began: {fault}, and holds what is done; leave --resume out to begin anew");
        return Err(Error::Changed { path, what });
    }
    Ok((Some(name), Some(format!("{path}: {fault}; the block that was in it is begun anew, and all before that stays"))))
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
    header.limit_bytes = memory_limit_bytes();
    let mut costs = Digest::default();
    costs.shown(&options.costs);
    header.costs = hex(costs.finish());
    Ok(header)
}

/// Refuses to go on with the work of a run that depended on something else.
fn check(job: &Job, site: &Site<'_>, stage: &Stage, (then, now): (&Header, &Header)) -> Result<()> {
    let anew = "leave --resume out to begin anew";
    let changed = |path: String, what: String| {
        Err(Error::Changed { path, what: format!("since the run that is to be resumed began: {what}; {anew}") })
    };
    let tree = || site.store.locate(stage.prefix());
    if (&then.program, then.orders) != (&now.program, now.orders) {
        let version = |header: &Header| format!("rezarr {} (order {})", header.program, header.orders);
        return changed(tree(), format!("{} had begun it, and this is {}, which may go another way", version(then), version(now)));
    }
    if then.source != now.source {
        return changed(job.source.locate(&Key::root()), source_change(&then.source, &now.source));
    }
    if then.target != now.target {
        return changed(tree(), String::from("it was to become another array or group than is asked for now"));
    }
    if then.steps != now.steps {
        let what =
            format!("it was built by another plan, and what is done would be cut otherwise; it differs in: {}", differences(then, now));
        return changed(tree(), what);
    }
    Ok(())
}

/// What of all that a plan follows from is not what it was.
fn differences(then: &Header, now: &Header) -> String {
    let limit = |header: &Header| header.limit_bytes.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes"));
    let known = [
        ("memory budget", format!("{} bytes", then.memory_bytes), format!("{} bytes", now.memory_bytes)),
        ("threads", then.threads.to_string(), now.threads.to_string()),
        ("memory limit of the control group", limit(then), limit(now)),
    ];
    let differing = known.into_iter().filter(|(_, then, now)| then != now);
    let mut list: Vec<String> = differing.map(|(what, then, now)| format!("{what} ({then} then, {now} now)")).collect();
    if then.costs != now.costs {
        list.push(String::from("the costs of work that it was planned with"));
    }
    if list.is_empty() {
        list.push(String::from("what the codecs and the stored chunks take"));
    }
    list.join(", ")
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
