//! Reading between the two renames of a publication, in which the target has no tree of its own (PUB-26), and telling the trees of a publication from
//! nodes.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::RACES;
use super::marker::{Found, Marker, Role};
use super::place::{is_sealed, names};
use crate::error::{Error, Result};
use crate::store::{self, DOCUMENT, EntryKind, FilesystemStore, Key, Reads, Store};

/// The store whose root is what `path` leads to, as [`store::open_path`] finds it; where a part of the path is missing since a publication was
/// interrupted between its two renames, that of the tree which is to have the name.
///
/// # Errors
/// As [`store::open_path`].
pub(crate) fn open_path(path: &Path, reads: Reads) -> Result<Arc<dyn Store>> {
    for _ in 0..RACES {
        let error = match store::open_path(path, reads) {
            Err(error @ Error::NotFound { .. }) => error,
            opened => return opened,
        };
        let Some(stand_in) = stand_in_for(path)? else {
            // It may have come between the two looks.
            return store::open_path(path, reads).map_err(|_| error);
        };
        match store::open_path(&stand_in, reads) {
            Err(Error::NotFound { .. }) => {}
            opened => return opened,
        }
    }
    store::open_path(path, reads)
}

/// The path that `path` stands for where its first part that is missing has a stand-in.
fn stand_in_for(path: &Path) -> Result<Option<PathBuf>> {
    let mut at = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else {
            at.push(component);
            continue;
        };
        let directory = if at.as_os_str().is_empty() { Path::new(".") } else { &at };
        if FilesystemStore::open(directory.join(name)).is_ok() {
            at.push(name);
            continue;
        }
        let (Some(name), Ok(store)) = (name.to_str(), FilesystemStore::open(directory)) else { return Ok(None) };
        let found = published(&store, &Key::new(name)?)?;
        return Ok(found.map(|stand_in| at.join(stand_in.name()).join(components.as_path())));
    }
    Ok(None)
}

/// Whether a part of `path` is missing since a publication was interrupted between its two renames.
///
/// # Errors
/// Those of the store.
pub(crate) fn is_between_names(path: &Path) -> Result<bool> {
    stand_in_for(path).map(|stand_in| stand_in.is_some())
}

/// The key that `key` stands for where its first part that is missing has a stand-in; none where there is none, or nothing is missing.
///
/// # Errors
/// Those of the store.
pub(crate) fn published(store: &dyn Store, key: &Key) -> Result<Option<Key>> {
    let mut at = Key::root();
    let mut rest = key.as_str().split('/').filter(|name| !name.is_empty());
    while let Some(name) = rest.next() {
        at = at.join(name)?;
        if store.kind(&at)?.is_some() {
            continue;
        }
        let Some(stand_in) = stand_in(store, &at)? else { return Ok(None) };
        return rest.try_fold(stand_in, |key, name| key.join(name)).map(Some);
    }
    Ok(None)
}

/// The tree that stands in for `target`, which has none.
fn stand_in(store: &dyn Store, target: &Key) -> Result<Option<Key>> {
    // A name that leaves no room for the others has none.
    let Ok((_, staged, backup)) = names(target) else { return Ok(None) };
    let Found::Marker(old @ Marker { role: Role::Old, .. }) = Marker::find(store, &backup, target)? else { return Ok(None) };
    let sealed = match Marker::find(store, &staged, target)? {
        Found::Marker(new) => new.role == Role::New && new.id == old.id && is_sealed(store, &staged, &new)?,
        _ => false,
    };
    // Both may have got another name since.
    Ok(if store.kind(target)?.is_some() { None } else { Some(if sealed { staged } else { backup }) })
}

/// The name of the target whose staged tree or backup the tree at `key` is, as its marker says; none for any other tree.
///
/// # Errors
/// Those of the store.
pub(crate) fn belongs_to(store: &dyn Store, key: &Key) -> Result<Option<Key>> {
    let base = [".rechunked", ".backup"].iter().find_map(|ending| key.name().strip_suffix(ending));
    let (Some(base), Some(parent)) = (base.filter(|base| !base.is_empty()), key.parent()) else { return Ok(None) };
    let target = parent.join(base)?;
    if store.kind(key)? != Some(EntryKind::Prefix) {
        return Ok(None);
    }
    Ok(matches!(Marker::find(store, key, &target)?, Found::Marker(_)).then_some(target))
}

/// Whether the tree at `key`, a staged tree or a backup of `target`, holds what may be the only copy of something: a tree that is complete, or
/// one that was replaced. Not so one that was being built.
///
/// # Errors
/// Those of the store.
pub(crate) fn is_precious(store: &dyn Store, key: &Key, target: &Key) -> Result<bool> {
    Ok(match Marker::find(store, key, target)? {
        Found::Marker(Marker { role: Role::New, .. }) => store.kind(&key.join(DOCUMENT)?)?.is_some(),
        _ => true,
    })
}
