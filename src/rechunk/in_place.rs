//! Rechunking in place: the source is the target that is replaced, and is locked, with all nodes in it, before it is looked at (PUB-30).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::array::read_optional_node;
use crate::error::{Error, Result};
use crate::group::MAX_GROUP_DEPTH;
use crate::metadata::{DOCUMENT, NodeMetadata, v2};
use crate::process::open_file_limit;
use crate::publish::{Durability, Existing, Held, RecoverStep, Stage, Unsealed, belongs_to, is_own_name, is_precious, names_fit, recover};
use crate::rechunk::ground::{Ground, open_parent, refuse_inside_array};
use crate::rechunk::job::Job;
use crate::rechunk::{RechunkOptions, refresh_above};
use crate::store::{EntryKind, FilesystemStore, Key, Lock, Store, is_file, is_temporary_name, resolved_above};

/// How often the source is looked up again when others exchange it.
const RACES: usize = 8;

/// Locks the source, plans what is to become of it, and makes sure that nothing but Zarr is lost with it.
pub(super) fn prepare(source: &Path, options: &RechunkOptions<'_>, budget_bytes: u64, warnings: &mut Vec<String>) -> Result<(Job, Ground)> {
    let (parent, name) = split(source)?;
    refuse_inside_array(source, &parent)?;
    let parent_store = open_parent(&parent, options)?;
    let durability = if options.sync { Durability::Sync } else { Durability::NoSync };
    let (store, key): (Arc<dyn Store>, _) = (Arc::new(open_parent(&parent, options)?), Key::new(name)?);
    let mut refresh = || warnings.extend(refresh_above(&store, &key, options.sync));
    let steps = recover(store.clone(), &key, (Unsealed::Keep, durability), &mut refresh)?;
    if steps.contains(&RecoverStep::PutInPlace) {
        warnings.push(format!("an interrupted rechunk of {} was complete, and has been put in place first", store.locate(&key)));
    }
    settle_below(&store, &key, (durability, 0), warnings)?;
    let (tree, lock) = hold(&parent_store, &key)?;
    let tree: Arc<dyn Store> = Arc::new(tree);
    let held = Held::new(&*tree, &Key::root(), lock)?;
    let job = Job::prepare_in(tree.clone(), options, budget_bytes)?;
    let mut node_locks = lock_nodes(&*tree, &job, warnings)?;
    lock_staged(&*tree, &job, &mut node_locks)?;
    if let Some(stray) = first_stray(&*tree, &job)? {
        let what = format!("{}: is no part of the array or group, and goes with the old tree", tree.locate(&stray));
        if !options.keep_backup {
            return Err(Error::invalid(format!("{what}; move it away, or keep the old tree (--keep-backup)")));
        }
        warnings.push(format!("{what}, as other such entries; they are in the backup"));
    }
    let existing = if options.keep_backup { Existing::ReplaceAndKeep } else { Existing::Replace };
    Ok((job, Ground { parent, store, name: key, existing, held: Some(held), _node_locks: node_locks }))
}

/// Gives the new tree the permissions of the one that it replaces, so that nobody sees more than before.
pub(super) fn keep_permissions(store: &dyn Store, stage: &Stage) -> Result<()> {
    match store.as_any().downcast_ref::<FilesystemStore>() {
        Some(files) => files.copy_permissions(stage.target(), stage.prefix()),
        None => Ok(()),
    }
}

/// The directory that the source is in, and its name there, through links and whatever else leads to it.
fn split(source: &Path) -> Result<(PathBuf, String)> {
    let whole = resolved_above(source)?;
    if is_file(&whole) {
        let what = format!("{}: is a file; zip files are not changed in place: give a target", whole.display());
        return Err(Error::invalid(what));
    }
    let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) else {
        let what = "the root of a file system has no place beside it for the new tree; give a target";
        return Err(Error::invalid(format!("{}: {what}", whole.display())));
    };
    match name.to_str() {
        Some(name) => Ok((parent.to_owned(), name.to_owned())),
        None => Err(Error::invalid(format!("{}: the name of what is replaced must be UTF-8", whole.display()))),
    }
}

/// The tree at `key`, locked, as a store that stays that tree.
fn hold(parent: &FilesystemStore, key: &Key) -> Result<(FilesystemStore, Box<dyn Lock>)> {
    for _ in 0..RACES {
        let Some(tree) = parent.enter(key)? else {
            return Err(Error::NotFound { path: parent.locate(key), what: String::from("an array or group") });
        };
        if !parent.is_beside(&tree)? {
            let what =
                format!("{}: a file system is mounted here, and cannot be exchanged with a directory; give a target", parent.locate(key));
            return Err(Error::invalid(what));
        }
        let lock = match tree.lock(&Key::root()) {
            // It has just been replaced.
            Err(Error::Stale { .. }) => continue,
            lock => lock?,
        };
        if parent.is_root_of(key, &tree)? {
            return Ok((tree, lock));
        }
    }
    Err(Error::Busy { path: parent.locate(key) })
}

/// Locks all nodes below the root, so that nobody writes to what will be deleted. Each lock is an open file: of very many nodes some stay without.
fn lock_nodes(tree: &dyn Store, job: &Job, warnings: &mut Vec<String>) -> Result<Vec<Box<dyn Lock>>> {
    let most = open_file_limit().map_or(usize::MAX, |limit| usize::try_from(limit / 4).unwrap_or(usize::MAX));
    let mut locks = Vec::new();
    let mut left = 0_u64;
    for path in job.paths() {
        if locks.len() < most {
            locks.push(tree.lock(&Key::new(path)?)?);
        } else {
            left += 1;
        }
    }
    if left > 0 {
        warnings.push(format!(
            "{left} nodes could not be locked, since the process may not open more files: let nobody write to them until this has ended"
        ));
    }
    Ok(locks)
}

/// Completes what interrupted rechunks have left in the groups of a tree, since it goes with the old tree (PUB-25).
fn settle_below(store: &Arc<dyn Store>, prefix: &Key, (durability, depth): (Durability, usize), warnings: &mut Vec<String>) -> Result<()> {
    // What cannot be read is for others to explain.
    if depth > MAX_GROUP_DEPTH || !matches!(read_optional_node(&**store, prefix), Ok(Some((NodeMetadata::Group(_), _)))) {
        return Ok(());
    }
    let mut names = Vec::new();
    store.list(prefix, &mut |entry| {
        if entry.kind == EntryKind::Prefix {
            names.push(entry.name);
        }
        Ok(())
    })?;
    let mut targets = BTreeSet::new();
    for name in names {
        let key = prefix.join(&name)?;
        targets.insert(belongs_to(&**store, &key)?.unwrap_or(key));
    }
    for target in targets {
        // A name that leaves no room for the others has none.
        if names_fit(&target) {
            let mut refresh = || warnings.extend(refresh_above(store, &target, durability == Durability::Sync));
            if recover(store.clone(), &target, (Unsealed::Keep, durability), &mut refresh)?.iter().any(RecoverStep::is_change) {
                warnings.push(format!("an interrupted rechunk of {} has been completed first", store.locate(&target)));
            }
        }
        settle_below(store, &target, (durability, depth + 1), warnings)?;
    }
    Ok(())
}

/// Locks the trees that rechunks of nodes below the root have left, or are making, so that they are nobody's.
fn lock_staged(tree: &dyn Store, job: &Job, locks: &mut Vec<Box<dyn Lock>>) -> Result<()> {
    for group in &job.groups {
        let prefix = Key::new(group.path.as_str())?;
        let mut staged = Vec::new();
        tree.list(&prefix, &mut |entry| {
            let key = prefix.join(&entry.name)?;
            if entry.kind == EntryKind::Prefix && belongs_to(tree, &key)?.is_some() {
                staged.push(key);
            }
            Ok(())
        })?;
        for key in staged {
            locks.push(tree.lock(&key)?);
        }
    }
    Ok(())
}

/// The first entry that is neither a node, nor a document or chunk of one, nor what an interrupted program has left of no use to anybody.
fn first_stray(tree: &dyn Store, job: &Job) -> Result<Option<Key>> {
    let nodes: BTreeSet<&str> = job.paths().collect();
    let below = |path: &str, name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    for group in &job.groups {
        let prefix = Key::new(group.path.as_str())?;
        let stray = stray_in(tree, &prefix, &|name, kind| {
            let known = kind == EntryKind::Value && is_document(name) || nodes.contains(below(&group.path, name).as_str());
            Ok(known || kind == EntryKind::Prefix && is_unfinished(tree, &prefix.join(name)?)?)
        })?;
        if stray.is_some() {
            return Ok(stray);
        }
    }
    for task in &job.tasks {
        let (encoding, rank) = (task.taken.source.metadata().key_encoding(), task.taken.source.shape().len());
        let stray = stray_in(tree, &Key::new(task.path.as_str())?, &|name, kind| {
            Ok(match kind {
                EntryKind::Value => is_document(name) || encoding.parse(name, rank).is_some(),
                EntryKind::Prefix => encoding.leads_on(name, rank),
                EntryKind::Other => false,
            })
        })?;
        if stray.is_some() {
            return Ok(stray);
        }
    }
    Ok(None)
}

fn stray_in(tree: &dyn Store, prefix: &Key, is_known: &dyn Fn(&str, EntryKind) -> Result<bool>) -> Result<Option<Key>> {
    let mut stray = None;
    tree.list(prefix, &mut |entry| {
        let is_ours = entry.kind == EntryKind::Value && (is_own_name(&entry.name) || is_temporary_name(&entry.name));
        if stray.is_none() && !is_ours && !is_known(&entry.name, entry.kind)? {
            stray = Some(prefix.join(&entry.name)?);
        }
        Ok(())
    })?;
    Ok(stray)
}

fn is_document(name: &str) -> bool {
    name == DOCUMENT || v2::DOCUMENTS.contains(&name)
}

/// Whether the tree at `key` is one that a rechunk was making when it died.
fn is_unfinished(tree: &dyn Store, key: &Key) -> Result<bool> {
    belongs_to(tree, key)?.map_or(Ok(false), |target| is_precious(tree, key, &target).map(|precious| !precious))
}
