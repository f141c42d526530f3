//! Reading between the two renames of a publication, in which the target has no tree of its own (PUB-26).

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::place::Place;
use super::{Durability, RACES};
use crate::error::{Error, Result};
use crate::store::{self, FilesystemStore, Key, Reads, Store};

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
        if directory.join(name).exists() {
            at.push(name);
            continue;
        }
        let (Some(name), Ok(store)) = (name.to_str(), FilesystemStore::open(directory)) else { return Ok(None) };
        let key = Key::new(name)?;
        let found = published(&(Arc::new(store) as Arc<dyn Store>), &key)?;
        return Ok(found.map(|stand_in| at.join(stand_in.name()).join(components.as_path())));
    }
    Ok(None)
}

/// The key that `key` stands for where its first part that is missing has a stand-in; none where there is none, or nothing is missing.
///
/// # Errors
/// Those of the store.
pub(crate) fn published(store: &Arc<dyn Store>, key: &Key) -> Result<Option<Key>> {
    let mut at = Key::root();
    let mut names = key.as_str().split('/').filter(|name| !name.is_empty());
    while let Some(name) = names.next() {
        at = at.join(name)?;
        if store.kind(&at)?.is_some() {
            continue;
        }
        // A name that leaves no room for the others has none.
        let Ok(place) = Place::new(Arc::clone(store), at, Durability::NoSync) else { return Ok(None) };
        let Some(stand_in) = place.stand_in()? else { return Ok(None) };
        return names.try_fold(stand_in, |key, name| key.join(name)).map(Some);
    }
    Ok(None)
}
