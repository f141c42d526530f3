//! Consolidated metadata are copies of the documents below a group, which other readers trust: whoever changes a node brings the copies in all
//! groups above it up to date with [`refresh_copies`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::array::{child_names, find_child};
use crate::error::{Error, Result};
use crate::json::MAX_DOCUMENT_BYTES;
use crate::metadata::{self, Consolidated, DOCUMENT, GroupMetadata, NodeMetadata, v2};
use crate::store::{EntryKind, FilesystemStore, Key, Lock, Store, Value, change_document, read_to_vec, whole};

/// How far up is looked, and how far down a tree is copied.
pub(super) const MAX_DEPTH: usize = 64;

/// How often, and after which pause, a document is tried again that another process is changing.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What became of the copies.
#[derive(Debug, Default)]
pub(crate) struct Refreshed {
    durable: bool,
    /// Documents that were written.
    pub(crate) written: usize,
    /// Copies that could not be brought up to date, and were removed, so that readers list the store instead: a sentence each.
    pub(crate) removed: Vec<String>,
    /// Documents that may hold copies that are out of date, and why.
    pub(crate) stale: Vec<Error>,
}

/// Brings what the groups above the node at `key` carry along of it up to date (RCK-16): upwards through the store, and beyond its root where
/// it is a directory, until a prefix is no group. What is written is `durable` at once where that is asked for.
pub(crate) fn refresh_copies(store: &Arc<dyn Store>, key: &Key, durable: bool) -> Refreshed {
    let mut refreshed = Refreshed { durable, ..Refreshed::default() };
    let (mut store, mut key, mut below) = (store.clone(), key.clone(), String::new());
    for _ in 0..MAX_DEPTH {
        let name = match step_up(&mut store, &mut key) {
            Ok(Some(name)) => name,
            Ok(None) => break,
            Err(error) => {
                refreshed.stale.push(error);
                break;
            }
        };
        below = if below.is_empty() { name } else { format!("{name}/{below}") };
        match refresh_group(&*store, &key, &below, &mut refreshed) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => refreshed.stale.push(error),
        }
    }
    refreshed
}

/// From a prefix to the one that holds it, if need be in another store; returns the name that was left, none at the very top.
pub(super) fn step_up(store: &mut Arc<dyn Store>, key: &mut Key) -> Result<Option<String>> {
    if let Some(parent) = key.parent() {
        let name = key.name().to_owned();
        *key = parent;
        return Ok(Some(name));
    }
    let Some(directory) = store.as_any().downcast_ref::<FilesystemStore>() else { return Ok(None) };
    let Some((enclosing, name)) = directory.enclosing()? else { return Ok(None) };
    *store = Arc::new(enclosing);
    Ok(Some(name))
}

/// Brings the copies in one group up to date, if it has any; returns whether it is a group.
fn refresh_group(store: &dyn Store, prefix: &Key, below: &str, refreshed: &mut Refreshed) -> Result<bool> {
    if read_group(store, prefix)?.is_none() {
        return Ok(false);
    }
    // Whoever has the group alone is at work on no first copies, and so there are none to wait for.
    let alone = matches!(store.lock_shared(prefix), Err(Error::Busy { .. }));
    if alone && !read_group(store, prefix)?.is_some_and(|group| group.is_consolidated()) {
        return Ok(true);
    }
    // Whether it has any is seen in the change alone: before it, somebody may be at work on the first ones, without this node.
    let _lock = lock(store, prefix)?;
    // Whoever changes the document meanwhile is waited for, and then it is another one.
    while !refresh_document(store, prefix, below, refreshed)? {}
    Ok(read_group(store, prefix)?.is_some())
}

/// Brings the copies in the document of a group up to date; false if somebody else came between.
fn refresh_document(store: &dyn Store, prefix: &Key, below: &str, refreshed: &mut Refreshed) -> Result<bool> {
    let key = prefix.join(DOCUMENT)?;
    let change = change_document(store, &key)?;
    let Some(group) = change.value().map(|value| group_of(store, &key, value)).transpose()?.flatten() else { return Ok(true) };
    if !group.is_consolidated() {
        return Ok(true);
    }
    let durable = refreshed.durable;
    let bytes = |group: GroupMetadata| NodeMetadata::Group(Box::new(group)).to_bytes();
    let copies = updated_copies(store, prefix, below, &group);
    // Copies can be most of a large document: from here on only the new ones are held.
    let bare = group.with_consolidated(None)?;
    let mut removed = None;
    let updated = copies.and_then(|copies| bare.clone().with_consolidated(Some(&copies))).and_then(bytes);
    let document = match updated {
        Ok(document) => document,
        Err(error) => {
            let path = store.locate(prefix);
            removed = Some(format!("{path}: its consolidated metadata were removed, as they could not be brought up to date: {error}"));
            bytes(bare)?
        }
    };
    // What is changed here is changed by nobody else.
    if durable {
        store.set_durable(&key, &document)?;
    } else if !change.set(&document)? {
        return Ok(false);
    }
    refreshed.removed.extend(removed);
    refreshed.written += 1;
    Ok(true)
}

/// The group at `prefix`; none where something else or nothing is.
fn read_group(store: &dyn Store, prefix: &Key) -> Result<Option<GroupMetadata>> {
    let key = prefix.join(DOCUMENT)?;
    store.open(&key)?.map_or(Ok(None), |value| group_of(store, &key, &*value))
}

fn group_of(store: &dyn Store, key: &Key, value: &dyn Value) -> Result<Option<GroupMetadata>> {
    let node = whole(value, MAX_DOCUMENT_BYTES).and_then(|document| NodeMetadata::from_bytes(&document));
    match node.map_err(|error| error.at(&store.locate(key)))? {
        NodeMetadata::Group(group) => Ok(Some(*group)),
        NodeMetadata::Array(_) => Ok(None),
    }
}

/// The lock of a group, so that nobody puts another tree in its place meanwhile; none where there are no locks.
fn lock(store: &dyn Store, prefix: &Key) -> Result<Option<Box<dyn Lock>>> {
    for _ in 1..LOCK_TRIES {
        match store.lock_shared(prefix) {
            Err(Error::Busy { .. }) => std::thread::sleep(LOCK_PAUSE),
            Err(Error::Unsupported { .. }) => return Ok(None),
            locked => return locked.map(Some),
        }
    }
    store.lock_shared(prefix).map(Some)
}

/// The copies of a group with those of the node `below` it made anew, and of all that lies between the two and below the node.
fn updated_copies(store: &dyn Store, prefix: &Key, below: &str, group: &GroupMetadata) -> Result<Consolidated> {
    let mut copies = group.consolidated()?.unwrap_or_default();
    copies.remove_tree(below);
    for (end, _) in below.match_indices('/') {
        copy_document(store, &prefix.join(&below[..end])?, &below[..end], &mut copies)?;
    }
    copy_tree(store, &prefix.join(below)?, below, 0, &mut copies)?;
    Ok(copies)
}

fn copy_tree(store: &dyn Store, key: &Key, path: &str, depth: usize, copies: &mut Consolidated) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(Error::unsupported(format!("groups nested more than {MAX_DEPTH} deep")).at(&store.locate(key)));
    }
    if let Some(group) = copy_document(store, key, path, copies)? {
        for name in child_names(store, &group)? {
            copy_tree(store, &group.join(&name)?, &format!("{path}/{name}"), depth + 1, copies)?;
        }
    }
    Ok(())
}

/// Copies the document of the node at `key` as that of `path`; returns where it is if it is that of a group.
fn copy_document(store: &dyn Store, key: &Key, path: &str, copies: &mut Consolidated) -> Result<Option<Key>> {
    match find_child(store, key) {
        // Readers of Zarr v3 would not find it in the store.
        (_, Ok(node)) if node.zarr_format() == 2 => Ok(None),
        (at, Ok(node)) => copies.insert(path, &node).map(|()| matches!(node, NodeMetadata::Group(_)).then_some(at)),
        (at, Err(error)) => {
            let text = unsupported_document(store, &at, error)?;
            text.map_or(Ok(()), |text| copies.insert_text(path, text)).map(|()| None)
        }
    }
}

/// The document of a node that gave `error`, where it is whole and only needs what this build does not have; otherwise the error. None where it
/// is one of Zarr v2, which Zarr v3 has no copies of.
pub(crate) fn unsupported_document(store: &dyn Store, prefix: &Key, error: Error) -> Result<Option<String>> {
    if matches!(error, Error::Unsupported { .. }) && store.kind(prefix)? == Some(EntryKind::Prefix) {
        let document = read_to_vec(store, &prefix.join(DOCUMENT)?, MAX_DOCUMENT_BYTES)?;
        let document = document.map(|document| metadata::quoted(&document).map(Cow::into_owned)).transpose()?;
        match document.map(String::from_utf8) {
            Some(Ok(text)) => return Ok(Some(text)),
            Some(Err(_)) => {}
            None if v2::is_node(store, prefix)? => return Ok(None),
            None => {}
        }
    }
    Err(error)
}
