//! Stage beside, then publish in one step: a new tree becomes visible complete or not at all. Knows nothing about arrays.
//!
//! Invariants (the rules PUB-1 to PUB-16 of `spec/rechunk.md`)
//! 1. Nothing under the final name changes before [`Stage::publish`], and then, but for a marker inside it, in one step.
//! 2. A staged tree holds a marker from its creation until after its publication; nothing without our marker is ever deleted.
//! 3. A tree that was replaced is deleted only beside the new tree, both marked with the same id.
//! 4. The sync of data and directories is inside [`Stage::publish`], before and after the rename, so that no caller can forget it.

use std::sync::Arc;

pub(crate) use self::marker::is_marker_name;
use self::marker::{Found, MARKER_NAME, Marker};
use self::settle::Settled;
use crate::error::{Error, Result};
use crate::store::{DOCUMENT, EntryKind, Key, Lock, Store, V2_ARRAY};

mod marker;
mod settle;
#[cfg(test)]
mod tests;

/// How often a step is tried again when other programs make and remove the same names.
const RACES: usize = 8;

/// Whether publication waits until everything would survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Sync before and after the rename.
    Sync,
    /// Leave it to the operating system.
    NoSync,
}

/// What to do with something that already has the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Refuse to start.
    Refuse,
    /// Exchange the new tree with it in one step, then delete it.
    Replace,
    /// Exchange the new tree with it in one step, then keep it as `<name>.backup`.
    ReplaceAndKeep,
}

/// What a publication has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// What could not be done after the new tree had become visible, such as deleting the old one.
    pub(crate) warning: Option<String>,
}

/// The names that belong to one target.
#[derive(Clone, Debug)]
struct Place {
    store: Arc<dyn Store>,
    durability: Durability,
    target: Key,
    staged: Key,
    backup: Key,
}

/// A tree being built as `<name>.rechunked` beside its final place. Dropped without [`Stage::publish`], it is deleted.
#[derive(Debug)]
pub(crate) struct Stage {
    place: Place,
    existing: Existing,
    marker: Marker,
    /// Whether the tree under the staged name is the one being built, which goes when the stage is dropped.
    discard: bool,
    target_lock: Option<Box<dyn Lock>>,
    _staged_lock: Box<dyn Lock>,
}

impl Place {
    fn new(store: Arc<dyn Store>, target: Key, durability: Durability) -> Result<Self> {
        let parent = target.parent().ok_or_else(|| Error::invalid("the root of a store cannot be replaced; open its parent directory"))?;
        let staged = parent.join(&format!("{}.rechunked", target.name()))?;
        let backup = parent.join(&format!("{}.backup", target.name()))?;
        Ok(Self { store, durability, target, staged, backup })
    }

    fn sync(&self) -> Result<()> {
        if self.durability == Durability::Sync { self.store.sync() } else { Ok(()) }
    }

    fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.store.kind(key)?.is_some())
    }

    fn find_marker(&self, prefix: &Key) -> Result<Found> {
        if self.store.kind(prefix)? == Some(EntryKind::Prefix) {
            Marker::find(&*self.store, prefix, &self.target)
        } else {
            Ok(Found::Nothing)
        }
    }

    fn erase_marker(&self, prefix: &Key) -> Result<()> {
        self.store.erase(&prefix.join(MARKER_NAME)?).map(drop)
    }

    fn taken<T>(&self, key: &Key, advice: impl Into<String>) -> Result<T> {
        Err(Error::AlreadyExists { path: self.store.locate(key), advice: advice.into() })
    }

    /// Removes everything in the tree `prefix` but its marker, metadata first.
    fn clear(&self, prefix: &Key) -> Result<()> {
        for document in [DOCUMENT, V2_ARRAY] {
            if self.store.kind(&prefix.join(document)?)? == Some(EntryKind::Value) {
                self.store.erase(&prefix.join(document)?)?;
            }
        }
        loop {
            let mut found = false;
            self.store.list(prefix, &mut |entry| {
                if entry.name == MARKER_NAME {
                    return Ok(());
                }
                let key = prefix.join(&entry.name)?;
                found |= match entry.kind {
                    EntryKind::Value => self.store.erase(&key)?,
                    EntryKind::Prefix | EntryKind::Other => self.store.erase_prefix(&key)?,
                };
                Ok(())
            })?;
            if !found {
                return Ok(());
            }
        }
    }

    /// Removes the tree `prefix`, its marker last (PUB-5).
    fn remove(&self, prefix: &Key) -> Result<()> {
        self.clear(prefix)?;
        self.sync()?;
        self.erase_marker(prefix)?;
        self.store.erase_prefix(prefix).map(drop)
    }

    /// Whether there is nothing in `prefix` but what an interrupted creation or deletion of a stage leaves (PUB-4).
    fn is_bare(&self, prefix: &Key) -> Result<bool> {
        let mut bare = !matches!(self.find_marker(prefix)?, Found::Foreign(_));
        self.store.list(prefix, &mut |entry| {
            bare &= entry.kind == EntryKind::Value && is_marker_name(&entry.name);
            Ok(())
        })?;
        Ok(bare)
    }

    /// Removes a bare prefix; returns whether it was one.
    fn remove_bare(&self, prefix: &Key) -> Result<bool> {
        Ok(self.store.kind(prefix)? == Some(EntryKind::Prefix) && self.is_bare(prefix)? && self.store.erase_prefix(prefix)?)
    }

    /// Locks the target, if it is there.
    fn lock_target(&self) -> Result<Option<Box<dyn Lock>>> {
        match self.store.lock(&self.target) {
            Ok(lock) => Ok(Some(lock)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// With the staged prefix locked: locks a target that has come meanwhile, settles what was left there, and refuses what is in the way.
    fn claim(&self, existing: Existing, target_lock: &mut Option<Box<dyn Lock>>) -> Result<Settled> {
        let mut settled = Settled::StageBare;
        let claimed = self.check_target(existing).and_then(|()| {
            if target_lock.is_none() && existing != Existing::Refuse {
                *target_lock = self.lock_target()?;
            }
            self.settle(&mut settled)?;
            if settled == Settled::StageBare {
                self.check_target(existing)?;
                self.check_backup(existing)?;
            }
            Ok(())
        });
        if claimed.is_err() && settled == Settled::StageBare {
            // It may just have been made. Only while it is the one that is locked may it be removed.
            let _ = self.remove_bare(&self.staged);
        }
        claimed.map(|()| settled)
    }

    /// Refuses a target that exists, where it may not be replaced.
    fn check_target(&self, existing: Existing) -> Result<()> {
        if existing == Existing::Refuse && self.exists(&self.target)? {
            return self.taken(&self.target, "choose another name, or have it replaced (--overwrite)");
        }
        Ok(())
    }

    /// Refuses a backup that exists, where one may have to be made.
    fn check_backup(&self, existing: Existing) -> Result<()> {
        if existing != Existing::Refuse && self.exists(&self.backup)? && !self.remove_bare(&self.backup)? {
            return self.taken(&self.backup, "it would be in the way of the tree that is replaced; move it away, or delete it");
        }
        Ok(())
    }

    /// Makes the staged prefix, or takes one that is there, and locks it.
    fn lock_staged(&self) -> Result<Box<dyn Lock>> {
        for _ in 0..RACES {
            let made = match self.store.create_prefix(&self.staged) {
                Ok(()) => true,
                Err(Error::AlreadyExists { .. }) => false,
                Err(error) => return Err(error),
            };
            match self.store.lock(&self.staged) {
                // Nobody can have a lock on it.
                Err(error @ Error::Unsupported { .. }) if made => return self.remove_bare(&self.staged).and(Err(error)),
                // Removed by its owner between the two.
                Err(Error::NotFound { .. }) => {}
                Err(Error::Corrupt { what, .. }) => return self.taken(&self.staged, format!("{what}; move it away")),
                locked => return locked,
            }
        }
        Err(Error::Busy { path: self.store.locate(&self.staged) })
    }
}

impl Stage {
    /// Makes the staged prefix with its marker, and locks it, as well as the target where that exists and is to be replaced (so that the
    /// caller must not lock it). What a dead process left (marker present, lock free) is settled first: a stage is deleted, and a
    /// publication that was interrupted is completed.
    ///
    /// `store` is rooted at the parent directory of the target or above it.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the target exists and may not be replaced, when the staged name is taken by something without our
    /// marker, or the name of the backup by anything while something may have to be replaced; [`Error::Busy`] when a live process is at
    /// work there.
    pub(crate) fn begin(store: Arc<dyn Store>, target: Key, existing: Existing, durability: Durability) -> Result<Self> {
        let place = Place::new(store, target, durability)?;
        place.check_target(existing)?;
        let mut target_lock = if existing == Existing::Refuse { None } else { place.lock_target()? };
        for _ in 0..RACES {
            let staged_lock = place.lock_staged()?;
            match place.claim(existing, &mut target_lock)? {
                // The name is free, and the lock of what had it must not be in the way of the next one.
                Settled::StageMoved => drop(staged_lock),
                Settled::StageBare => {
                    let marker = Marker::new(&place.target, existing == Existing::ReplaceAndKeep);
                    let stage = Self { place, existing, marker, discard: true, target_lock, _staged_lock: staged_lock };
                    stage.place.clear(&stage.place.staged)?;
                    stage.marker.write(&*stage.place.store, &stage.place.staged)?;
                    stage.place.sync()?;
                    return Ok(stage);
                }
            }
        }
        Err(Error::Busy { path: place.store.locate(&place.staged) })
    }

    /// Where the tree is being built.
    pub(crate) fn prefix(&self) -> &Key {
        &self.place.staged
    }

    /// Makes the tree visible under its final name.
    ///
    /// # Errors
    /// Before the new tree is visible; what had the final name is then there as before, and the stage is deleted. Failures after that are
    /// [`Published::warning`].
    pub(crate) fn publish(mut self) -> Result<Published> {
        for _ in 0..RACES {
            let old_at = if !self.place.exists(&self.place.target)? {
                self.place.sync()?;
                match self.place.store.rename(&self.place.staged, &self.place.target) {
                    Err(_) if self.has_arrived() => {}
                    Err(Error::AlreadyExists { .. }) => continue,
                    renamed => renamed?,
                }
                None
            } else if self.existing == Existing::Refuse {
                return self.place.taken(&self.place.target, "it came while the new tree was being built, which is given up");
            } else {
                match self.replace() {
                    Err(Error::NotFound { .. }) if !self.place.exists(&self.place.target)? => continue,
                    replaced => Some(replaced?),
                }
            };
            self.discard = false;
            let warning = self.finish(old_at).err();
            return Ok(Published { warning: warning.map(|error| format!("the new tree is in place, but: {error}")) });
        }
        Err(Error::Busy { path: self.place.store.locate(&self.place.target) })
    }

    /// Puts the staged tree in the place of the target; returns where the latter is then (PUB-8, PUB-9).
    fn replace(&mut self) -> Result<Key> {
        let place = self.place.clone();
        if self.target_lock.is_none() {
            self.target_lock = place.lock_target()?;
        }
        let marked = self.marker.for_old().write(&*place.store, &place.target).and_then(|()| place.sync());
        let replaced = marked.and_then(|()| match place.store.exchange(&place.staged, &place.target) {
            Ok(()) => Ok(place.staged.clone()),
            Err(_) if self.has_arrived() => Ok(place.staged.clone()),
            Err(Error::Unsupported { .. }) => self.replace_in_two_steps().map(|()| place.backup.clone()),
            Err(error) => Err(error),
        });
        if replaced.is_err() && self.discard {
            // Nothing has been replaced, and so the marker says nothing any more. The next stage would remove it as well.
            let _ = place.erase_marker(&place.target);
        }
        replaced
    }

    fn replace_in_two_steps(&mut self) -> Result<()> {
        let Place { store, target, staged, backup, .. } = &self.place;
        match store.rename(target, backup) {
            // PUB-16, for the old tree: it is away, and at the name of the backup.
            Err(_) if !self.place.exists(target)? && self.place.find_marker(backup)? == Found::Marker(self.marker.for_old()) => {}
            renamed => renamed?,
        }
        let moved = self.place.sync().and_then(|()| store.rename(staged, target));
        let Err(error) = moved else { return Ok(()) };
        if self.has_arrived() {
            return Ok(());
        }
        if let Err(second) = store.rename(backup, target) {
            // The next stage completes this.
            self.discard = false;
            let (at, staged) = (store.locate(backup), store.locate(staged));
            let what = format!("{error}; then {second}. The old tree is at {at}, and the new one, complete, at {staged}");
            return Err(Error::Io { op: "replace", path: store.locate(target), source: std::io::Error::other(what) });
        }
        Err(error)
    }

    /// Whether the new tree has its final name, whatever was said of the attempt: over a network, the answer to a success can be lost
    /// (PUB-16).
    fn has_arrived(&self) -> bool {
        self.place.find_marker(&self.place.target).is_ok_and(|found| found == Found::Marker(self.marker.clone()))
    }

    /// What is left to do once the new tree is visible (PUB-10).
    fn finish(&self, old_at: Option<Key>) -> Result<()> {
        self.place.sync()?;
        if let Some(old_at) = old_at {
            self.place.retire(&old_at, &self.marker)?;
        }
        self.place.erase_marker(&self.place.target)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.discard {
            return;
        }
        // What cannot be deleted now is deleted by the next stage of this name.
        match self.place.find_marker(&self.place.staged) {
            Ok(found) if found == Found::Marker(self.marker.clone()) => drop(self.place.remove(&self.place.staged)),
            _ => drop(self.place.remove_bare(&self.place.staged)),
        }
    }
}
