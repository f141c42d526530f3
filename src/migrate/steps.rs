//! Writing and removing documents, in an order that nothing can hurt.

use super::survey::{Member, Present, Survey};
use super::{MigrateOptions, MigrateOutcome, MigrateReport, MigratedNode};
use crate::error::Result;
use crate::metadata::DOCUMENT;
use crate::store::Store;

/// The name of a document whose bytes are not durable yet.
const STAGED: &str = "zarr.json.migrating";

impl Member {
    fn node(&self, outcome: MigrateOutcome, reason: Option<String>) -> MigratedNode {
        MigratedNode { path: self.path.clone(), node_type: self.node_type, outcome, reason }
    }
}

/// Writes what is missing; returns what was done, and whether anything was changed.
pub(super) fn migrate(store: &dyn Store, survey: &Survey, options: &MigrateOptions) -> Result<(MigrateReport, bool)> {
    let complete = survey.members.iter().all(|member| member.obstacle.is_none());
    let mut report = MigrateReport { complete, ..MigrateReport::default() };
    let write = complete && !options.dry_run;
    let missing = |member: &&Member| member.is_v2() && member.present == Present::Nothing;
    let missing: Vec<&Member> = survey.members.iter().filter(missing).collect();
    if write && !missing.is_empty() {
        report.warnings = write_documents(store, survey, &missing)?;
    }
    for member in &survey.members {
        let outcome = match (&member.obstacle, member.present) {
            (Some(_), _) => MigrateOutcome::Impossible,
            (None, _) if !member.is_v2() => continue,
            (None, Present::Nothing) if write => MigrateOutcome::Migrated,
            (None, Present::Nothing) => MigrateOutcome::Possible,
            (None, _) => MigrateOutcome::Present,
        };
        report.nodes.push(member.node(outcome, member.obstacle.clone()));
    }
    if options.remove_v2 && complete {
        report.removed_documents = remove_v2(store, survey, options.dry_run)?;
    }
    let changed = !options.dry_run && (report.removed_documents > 0 || write && !missing.is_empty());
    Ok((report, changed))
}

/// Stages all documents, and gives them their names when they are durable: children before parents, and the root when those are durable too.
/// Returns what should be known about them.
fn write_documents(store: &dyn Store, survey: &Survey, missing: &[&Member]) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    for member in missing {
        let (document, warning) = survey.document(member)?;
        // In place, so that a kill leaves nothing under another name; what an earlier one left may be longer.
        let staged = member.key.join(STAGED)?;
        store.erase(&staged)?;
        store.write_at(&staged, 0, &document)?;
        warnings.extend(warning);
    }
    store.sync()?;
    let name = |member: &Member| store.rename(&member.key.join(STAGED)?, &member.key.join(DOCUMENT)?);
    let below = |member: &&&Member| !member.key.is_root();
    let (arrays, groups): (Vec<&Member>, Vec<&Member>) = missing.iter().filter(below).partition(|member| member.node_type == "array");
    arrays.into_iter().chain(groups.into_iter().rev()).try_for_each(name)?;
    if let Some(root) = missing.iter().find(|member| member.key.is_root()) {
        store.sync()?;
        name(root)?;
    }
    store.sync()?;
    Ok(warnings)
}

/// Removes the documents of Zarr v2, from the root downwards, where there is a `zarr.json`; returns how many.
fn remove_v2(store: &dyn Store, survey: &Survey, dry_run: bool) -> Result<u64> {
    let mut removed = 0;
    if !dry_run {
        // What is there may have been written by a run that was killed before it could do this.
        store.sync()?;
    }
    for member in &survey.members {
        for name in &member.v2_names {
            let gone = dry_run || store.erase(&member.key.join(name)?)?;
            removed += u64::from(gone);
        }
    }
    if removed > 0 && !dry_run {
        store.sync()?;
    }
    Ok(removed)
}

/// Removes what [`migrate`] would write now, from the root downwards; returns what was done, and whether anything was changed.
///
/// Below a group that stays Zarr v3 everything stays: its readers would not find nodes of Zarr v2.
pub(super) fn undo(store: &dyn Store, survey: &Survey, options: &MigrateOptions) -> Result<(MigrateReport, bool)> {
    let mut report = MigrateReport { complete: true, ..MigrateReport::default() };
    let mut kept: Vec<String> = Vec::new();
    let mut changed = false;
    for member in &survey.members {
        if !options.dry_run {
            changed |= store.erase(&member.key.join(STAGED)?)?;
        }
        if member.present == Present::Nothing {
            continue;
        }
        if let Some(reason) = why_kept(member, &kept) {
            kept.push(format!("{}/", member.path));
            report.nodes.push(member.node(MigrateOutcome::Kept, Some(reason)));
            continue;
        }
        report.nodes.push(member.node(MigrateOutcome::Undone, None));
        if !options.dry_run {
            changed |= store.erase(&member.key.join(DOCUMENT)?)?;
            if member.key.is_root() {
                store.sync()?;
            }
        }
    }
    if changed {
        store.sync()?;
    }
    report.complete = kept.is_empty();
    Ok((report, changed))
}

fn why_kept(member: &Member, kept: &[String]) -> Option<String> {
    if kept.iter().any(|above| above == "/" || member.path.starts_with(above.as_str())) {
        return Some(String::from("it lies in a group that stays Zarr v3"));
    }
    match member.present {
        Present::Other if member.is_v2() => Some(String::from("its zarr.json is not what a migration would write now")),
        Present::Other => Some(String::from("it has no documents of Zarr v2")),
        Present::Ours | Present::Nothing => None,
    }
}
