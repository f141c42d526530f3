//! The three names that belong to one target, and the steps from one state of them to the next.
//!
//! Every step is done under the locks of the target and of the staged tree, and each leads to a state that [`super::settle`] knows.

use std::sync::Arc;

use super::marker::{JOURNAL_NAME, Role, is_own_name};
use super::settle::{Rule, Settled};
use super::{DOCUMENT, Durability, EntryKind, Existing, Found, Key, Lock, MARKER_NAME, Marker, RACES, Store, fingerprint, is_marker_name};
use crate::error::{Error, Result};
use crate::shuffle::discard_spill;
use crate::store::{NODE_DOCUMENTS, is_temporary_name};

/// The names that belong to one target.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) store: Arc<dyn Store>,
    pub(super) durability: Durability,
    parent: Key,
    pub(super) target: Key,
    pub(super) staged: Key,
    pub(super) backup: Key,
}

/// The parent of a target, and the keys of its staged tree and of its backup.
pub(super) fn names(target: &Key) -> Result<(Key, Key, Key)> {
    let parent = target.parent().ok_or_else(|| Error::invalid("the root of a store cannot be replaced; open its parent directory"))?;
    let staged = parent.join(&format!("{}.rechunked", target.name()))?;
    let backup = parent.join(&format!("{}.backup", target.name()))?;
    Ok((parent, staged, backup))
}

/// Whether a name at `target` leaves room for those of its staged tree and its backup.
pub(crate) fn names_fit(target: &Key) -> bool {
    names(target).is_ok()
}

/// Whether the tree at `staged`, whose marker is `marker`, is complete (PUB-17, PUB-20).
pub(super) fn is_sealed(store: &dyn Store, staged: &Key, marker: &Marker) -> Result<bool> {
    Ok(marker.is_trusted() && store.kind(&staged.join(DOCUMENT)?)? == Some(EntryKind::Value))
}

impl Place {
    pub(super) fn new(store: Arc<dyn Store>, target: Key, durability: Durability) -> Result<Self> {
        let (parent, staged, backup) = names(&target)?;
        Ok(Self { store, durability, parent, target, staged, backup })
    }

    /// Makes all that has been written durable.
    pub(super) fn sync(&self) -> Result<()> {
        if self.durability == Durability::Sync { self.store.sync() } else { Ok(()) }
    }

    /// Makes the names directly in `prefix` durable.
    pub(super) fn sync_names(&self, prefix: &Key) -> Result<()> {
        if self.durability == Durability::Sync { self.store.sync_prefix(prefix) } else { Ok(()) }
    }

    /// Makes the names of the target, the staged tree and the backup durable.
    pub(super) fn sync_parent(&self) -> Result<()> {
        self.sync_names(&self.parent)
    }

    pub(super) fn exists(&self, key: &Key) -> Result<bool> {
        Ok(self.store.kind(key)?.is_some())
    }

    pub(super) fn find_marker(&self, prefix: &Key) -> Result<Found> {
        if self.store.kind(prefix)? == Some(EntryKind::Prefix) {
            Marker::find(&*self.store, prefix, &self.target)
        } else {
            Ok(Found::Nothing)
        }
    }

    pub(super) fn erase_marker(&self, prefix: &Key) -> Result<()> {
        self.store.erase(&prefix.join(MARKER_NAME)?).map(drop)
    }

    pub(super) fn taken<T>(&self, key: &Key, advice: impl Into<String>) -> Result<T> {
        Err(Error::AlreadyExists { path: self.store.locate(key), advice: advice.into() })
    }

    /// Whether the staged tree, whose marker is `marker`, is complete (PUB-17, PUB-20).
    pub(super) fn is_sealed(&self, marker: &Marker) -> Result<bool> {
        is_sealed(&*self.store, &self.staged, marker)
    }

    /// Removes everything in the tree `prefix` but its marker, metadata first; returns whether something is left that no key reaches, since its name
    /// is not UTF-8.
    pub(super) fn clear(&self, prefix: &Key) -> Result<bool> {
        discard_spill(&*self.store, prefix)?;
        for document in NODE_DOCUMENTS {
            if self.store.kind(&prefix.join(document)?)? == Some(EntryKind::Value) {
                self.store.erase(&prefix.join(document)?)?;
            }
        }
        loop {
            let (mut found, mut left) = (false, false);
            self.store.list(prefix, &mut |entry| {
                if entry.name == MARKER_NAME {
                    return Ok(());
                }
                left = true;
                let key = prefix.join(&entry.name)?;
                found |= match entry.kind {
                    EntryKind::Value => self.store.erase(&key)?,
                    EntryKind::Prefix | EntryKind::Other => self.store.erase_prefix(&key)?,
                };
                Ok(())
            })?;
            if !found {
                return Ok(left);
            }
        }
    }

    /// Empties the staged tree but for its marker. A part of one that was sealed, or that has a journal, must not pass for what it was after a kill or a
    /// power cut: the seal and the journal go first.
    pub(super) fn clear_stage(&self) -> Result<()> {
        for name in [DOCUMENT, JOURNAL_NAME] {
            if self.store.kind(&self.staged.join(name)?)? == Some(EntryKind::Value) {
                self.store.erase(&self.staged.join(name)?)?;
            }
        }
        // Also where another process may have removed it, and died.
        self.sync_names(&self.staged)?;
        self.clear(&self.staged).map(drop)
    }

    /// Deletes the staged tree.
    pub(super) fn discard(&self) -> Result<()> {
        self.clear_stage()?;
        self.remove(&self.staged)
    }

    /// Removes the tree `prefix`, its marker last and only when nothing but the marker can come back (PUB-5).
    pub(super) fn remove(&self, prefix: &Key) -> Result<()> {
        let left = self.clear(prefix)?;
        self.sync_names(prefix)?;
        self.erase_marker(prefix)?;
        // What has come into it since is not ours, and stays.
        let removed = if left { self.store.erase_prefix(prefix) } else { self.store.erase_empty(prefix) };
        removed.map(drop)
    }

    /// Removes what the builder of the tree `prefix` has kept directly in it, but not the marker (PUB-18); returns whether there was anything.
    pub(super) fn remove_own(&self, prefix: &Key) -> Result<bool> {
        discard_spill(&*self.store, prefix)?;
        let mut removed = false;
        self.store.list(prefix, &mut |entry| {
            if entry.kind == EntryKind::Value && entry.name != MARKER_NAME && is_own_name(&entry.name) {
                removed |= self.store.erase(&prefix.join(&entry.name)?)?;
            }
            Ok(())
        })?;
        Ok(removed)
    }

    /// Removes what was to become values of the tree `prefix` when its builder was killed.
    pub(super) fn remove_temporary(&self, prefix: &Key) -> Result<()> {
        self.store.list(prefix, &mut |entry| match entry.kind {
            EntryKind::Prefix => self.remove_temporary(&prefix.join(&entry.name)?),
            EntryKind::Value if is_temporary_name(&entry.name) => self.store.erase(&prefix.join(&entry.name)?).map(drop),
            _ => Ok(()),
        })
    }

    /// Whether there is nothing in `prefix` but what an interrupted creation or deletion of a stage leaves (PUB-4).
    pub(super) fn is_bare(&self, prefix: &Key) -> Result<bool> {
        let mut bare = !matches!(self.find_marker(prefix)?, Found::Foreign(_));
        self.store.list(prefix, &mut |entry| {
            bare &= entry.kind == EntryKind::Value && is_marker_name(&entry.name);
            Ok(())
        })?;
        Ok(bare)
    }

    /// Removes a bare prefix; returns whether it was one. Nothing goes but the names that make it one: what has come since makes it an error.
    pub(super) fn remove_bare(&self, prefix: &Key) -> Result<bool> {
        if self.store.kind(prefix)? != Some(EntryKind::Prefix) || !self.confirm_bare(prefix)? {
            return Ok(false);
        }
        self.store.list(prefix, &mut |entry| match entry.kind {
            EntryKind::Value if is_marker_name(&entry.name) => self.store.erase(&prefix.join(&entry.name)?).map(drop),
            _ => Ok(()),
        })?;
        self.store.erase_empty(prefix)
    }

    /// As [`Place::is_bare`], and where it is, makes that durable: what has been deleted there must not come back without its marker.
    pub(super) fn confirm_bare(&self, prefix: &Key) -> Result<bool> {
        let bare = self.is_bare(prefix)?;
        if bare && self.exists(prefix)? {
            self.sync_names(prefix)?;
        }
        Ok(bare)
    }

    /// Locks a tree, if it is there.
    pub(super) fn lock(&self, tree: &Key) -> Result<Option<Box<dyn Lock>>> {
        match self.store.lock(tree) {
            Ok(lock) => Ok(Some(lock)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Locks the target, if it is there.
    pub(super) fn lock_target(&self) -> Result<Option<Box<dyn Lock>>> {
        self.lock(&self.target)
    }

    /// With the staged prefix locked: locks a target that has come meanwhile, settles what was left there, and refuses what is in the way.
    pub(super) fn claim(
        &self,
        existing: Existing,
        rule: Rule,
        target_lock: &mut Option<Box<dyn Lock>>,
        arrived: &mut dyn FnMut(),
    ) -> Result<Settled> {
        let mut settled = Settled::Bare;
        let claimed = self.check_target(existing).and_then(|()| {
            if target_lock.is_none() && existing != Existing::Refuse {
                *target_lock = self.lock_target()?;
            }
            self.settle(rule, &mut settled, &mut Vec::new(), arrived)?;
            if settled != Settled::Moved {
                self.check_target(existing)?;
                // One that has just been put back.
                if target_lock.is_none() && existing != Existing::Refuse {
                    *target_lock = self.lock_target()?;
                }
                self.check_backup(existing)?;
            }
            Ok(())
        });
        if claimed.is_err() && settled == Settled::Bare {
            // It may just have been made. Only while it is the one that is locked may it be removed.
            let _ = self.remove_bare(&self.staged);
        }
        claimed.map(|()| settled)
    }

    /// Refuses a target that exists, where it may not be replaced.
    pub(super) fn check_target(&self, existing: Existing) -> Result<()> {
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
    pub(super) fn lock_staged(&self) -> Result<Box<dyn Lock>> {
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

    /// Gives the staged tree, which is sealed, the name of the target; returns where what had it is then, if anything had. `whole` becomes false
    /// when an error leaves the staged tree as the only one that is complete.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the target has come since the staged tree was begun, and [`Error::Io`] where it has changed; nothing has
    /// been changed then.
    pub(super) fn put_in_place(&self, marker: &Marker, whole: &mut bool) -> Result<Option<Key>> {
        if marker.replaces.is_some() && self.exists(&self.target)? {
            return self.replace(marker, whole).map(Some);
        }
        match self.store.rename(&self.staged, &self.target) {
            Err(_) if self.has_arrived(marker) => Ok(None),
            Err(Error::AlreadyExists { .. }) => self.came_meanwhile(),
            renamed => renamed.map(|()| None),
        }
    }

    /// Refuses to replace a tree that is not what the one marked with `marker` was made to replace (PUB-19).
    pub(super) fn check_unchanged(&self, marker: &Marker) -> Result<()> {
        let Self { store, target, .. } = self;
        if Some(fingerprint(&**store, target)?) == marker.replaces {
            return Ok(());
        }
        if marker.replaces.is_none() {
            return if self.exists(target)? { self.came_meanwhile() } else { Ok(()) };
        }
        let what = "another program has changed it since the new tree was begun; it stays as it is, and the new tree is given up";
        Err(Error::Io { op: "replace", path: store.locate(target), source: std::io::Error::other(what) })
    }

    fn came_meanwhile<T>(&self) -> Result<T> {
        self.taken(&self.target, "it came while the new tree was being built, which is given up")
    }

    /// Puts the staged tree in the place of the target; returns where the latter is then (PUB-9).
    fn replace(&self, marker: &Marker, whole: &mut bool) -> Result<Key> {
        let marked = marker.for_old().write(&*self.store, &self.target, self.durability);
        // As late as can be: what is written to the target from here on is not seen.
        let unchanged = marked.and_then(|()| self.check_unchanged(marker));
        let replaced = unchanged.and_then(|()| match self.store.exchange(&self.staged, &self.target) {
            Ok(()) => Ok(self.staged.clone()),
            Err(_) if self.has_arrived(marker) => Ok(self.staged.clone()),
            Err(Error::Unsupported { .. }) => self.replace_in_two_steps(marker, whole).map(|()| self.backup.clone()),
            Err(error) => Err(error),
        });
        if replaced.is_err() && *whole && self.find_marker(&self.target).is_ok_and(|found| found == Found::Marker(marker.for_old())) {
            // Nothing has been replaced, and so the marker says nothing any more. The next stage would remove it as well.
            let _ = self.erase_marker(&self.target);
        }
        replaced
    }

    fn replace_in_two_steps(&self, marker: &Marker, whole: &mut bool) -> Result<()> {
        let Self { store, target, staged, backup, .. } = self;
        match store.rename(target, backup) {
            // PUB-16, for the old tree: it is away, and at the name of the backup.
            Err(_) if !self.exists(target)? && self.find_marker(backup)? == Found::Marker(marker.for_old()) => {}
            renamed => renamed?,
        }
        let moved = self.sync_parent().and_then(|()| store.rename(staged, target));
        let Err(error) = moved else { return Ok(()) };
        if self.has_arrived(marker) {
            return Ok(());
        }
        if let Err(second) = store.rename(backup, target) {
            // The next stage completes this.
            *whole = false;
            let (at, staged) = (store.locate(backup), store.locate(staged));
            let what = format!("{error}; then {second}. The old tree is at {at}, and the new one, complete, at {staged}");
            return Err(Error::Io { op: "replace", path: store.locate(target), source: std::io::Error::other(what) });
        }
        Err(error)
    }

    /// Whether the new tree has its final name, whatever was said of the attempt: over a network, the answer to a success can be lost
    /// (PUB-16).
    fn has_arrived(&self, marker: &Marker) -> bool {
        self.find_marker(&self.target).is_ok_and(|found| found == Found::Marker(marker.clone()))
    }

    /// What is left to do once the new tree has its name on the disk as well (PUB-10).
    pub(super) fn finish(&self, old_at: Option<Key>, marker: &Marker) -> Result<()> {
        let Some(old_at) = old_at else { return self.unmark_target() };
        let kept = self.retire(&old_at, marker)?;
        if !kept {
            self.sync_parent()?;
        }
        self.unmark_target()
    }

    /// Removes the marker from the target, last of all; of a new tree, what its builder kept there as well.
    pub(super) fn unmark_target(&self) -> Result<()> {
        if let Found::Marker(Marker { role: Role::New, .. }) = self.find_marker(&self.target)? {
            // What is removed here must not come back when the marker is gone.
            if self.remove_own(&self.target)? {
                self.sync_names(&self.target)?;
            }
        }
        self.erase_marker(&self.target)?;
        self.sync_names(&self.target)
    }

    /// Deletes the tree at `at` that has been replaced, or makes it a plain backup; returns whether it was kept.
    pub(super) fn retire(&self, at: &Key, marker: &Marker) -> Result<bool> {
        // A new tree of which a power cut may have taken a part is no reason to delete the old one (PUB-20).
        let keep = marker.keep || !marker.is_trusted();
        let retired = if keep { self.make_backup(at) } else { self.remove(at) };
        let what = if keep { "the old tree could not be made the backup" } else { "the old tree could not be deleted" };
        retired.map(|()| keep).map_err(|error| self.left(at, what, error))
    }

    /// Gives the tree at `at` the name of the backup, and then takes its marker away.
    fn make_backup(&self, at: &Key) -> Result<()> {
        if *at != self.backup {
            self.store.rename(at, &self.backup)?;
            self.sync_parent()?;
        }
        self.erase_marker(&self.backup)?;
        self.sync_names(&self.backup)
    }

    fn left(&self, at: &Key, what: &str, error: Error) -> Error {
        let source = std::io::Error::other(format!("{what}: {error}"));
        Error::Io { op: "clean up", path: self.store.locate(at), source }
    }
}
