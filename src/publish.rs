//! Stage beside, then publish in one step: a new tree becomes visible complete or not at all. Knows nothing about arrays.
//!
//! Invariants (the rules PUB-1 to PUB-30 of `spec/rechunk.md`)
//! 1. Nothing under the final name changes before [`Stage::publish`], and then, but for a marker inside it, in one step.
//! 2. A staged tree holds a marker from its creation until after its publication; nothing without our marker is ever deleted.
//! 3. A tree that was replaced is deleted only beside the new tree, both marked with the same id.
//! 4. A staged tree has a `zarr.json` only when all that is below it is complete and durable: then it is sealed.
//! 5. The syncs are inside [`Stage::begin`] and [`Stage::publish`], so that no caller can forget them. One that fails is an error for good.

use std::sync::Arc;

pub(crate) use self::fingerprint::fingerprint;
use self::marker::{DOCUMENT_NAME, Found, MARKER_NAME, Marker, is_marker_name};
pub(crate) use self::marker::{JOURNAL_NAME, is_own_name};
use self::place::Place;
pub(crate) use self::place::names_fit;
pub(crate) use self::recover::{Unsealed, recover};
pub use self::settle::RecoverStep;
use self::settle::{Rule, Settled};
pub(crate) use self::window::{belongs_to, is_between_names, is_precious, open_path, published};
use crate::error::{Error, Result};
use crate::store::{DOCUMENT, EntryKind, Key, Lock, Store};

mod fingerprint;
mod marker;
mod place;
mod recover;
mod settle;
#[cfg(test)]
mod tests;
mod window;

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

/// What to do with a staged tree that a dead process has left, sealed or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leftover {
    /// Delete it, and begin anew.
    Discard,
    /// Go on with it: all that it holds stays, the values whose names begin with `.rechunk.` too.
    Continue,
}

/// How a stage is begun.
#[derive(Debug)]
pub(crate) struct StageOptions {
    pub(crate) existing: Existing,
    pub(crate) durability: Durability,
    pub(crate) leftover: Leftover,
    /// The target, where the caller has locked it already since the new tree is made from it: it may not change until it is replaced.
    pub(crate) held: Option<Held>,
}

/// A tree that is locked and will be replaced, and what it was when it was locked.
#[derive(Debug)]
pub(crate) struct Held {
    lock: Box<dyn Lock>,
    fingerprint: String,
}

impl Held {
    /// What the tree at `target` is now, under `lock`, which is the lock of that tree.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn new(store: &dyn Store, target: &Key, lock: Box<dyn Lock>) -> Result<Self> {
        Ok(Self { lock, fingerprint: fingerprint(store, target)? })
    }
}

/// What a publication has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    /// What could not be done after the new tree had become visible, such as deleting the old one.
    pub(crate) warning: Option<String>,
}

/// A tree being built as `<name>.rechunked` beside its final place. Dropped without [`Stage::publish`] or [`Stage::keep`], it is deleted.
///
/// Whoever builds it may keep values whose names begin with `.rechunk.` directly in it. They go when the tree is sealed.
#[derive(Debug)]
pub(crate) struct Stage {
    place: Place,
    marker: Marker,
    continued: bool,
    sealed: bool,
    /// What the target was when it was locked, where the new tree is made from it.
    source: Option<String>,
    /// Whether the tree under the staged name is the one being built, which goes when the stage is dropped.
    discard: bool,
    target_lock: Option<Box<dyn Lock>>,
    _staged_lock: Box<dyn Lock>,
}

impl Stage {
    /// Makes the staged prefix with its marker, and locks it, as well as the target where that exists and is to be replaced (so that the
    /// caller must not lock it, unless it hands the lock over). What a dead process left (marker present, lock free) is settled first: a publication
    /// that was interrupted is completed, with `arrived` as in [`Stage::publish`], and a stage is deleted or gone on with, as is asked for.
    ///
    /// `store` is rooted at the parent directory of the target or above it.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when the target exists and may not be replaced, when the staged name is taken by something without our
    /// marker, or the name of the backup by anything while something may have to be replaced; [`Error::Busy`] when a live process is at
    /// work there.
    pub(crate) fn begin(store: Arc<dyn Store>, target: Key, options: StageOptions, arrived: &mut dyn FnMut()) -> Result<Self> {
        let StageOptions { existing, durability, leftover, held } = options;
        let place = Place::new(store, target, durability)?;
        place.check_target(existing)?;
        let (mut target_lock, source) = held.map_or((None, None), |held| (Some(held.lock), Some(held.fingerprint)));
        if target_lock.is_none() && existing != Existing::Refuse {
            target_lock = place.lock_target()?;
        }
        let rule = Rule::of_stage(leftover);
        for _ in 0..RACES {
            let staged_lock = place.lock_staged()?;
            match place.claim(existing, rule, &mut target_lock, arrived)? {
                // The name is free, and the lock of what had it must not be in the way of the next one.
                Settled::Moved => drop(staged_lock),
                settled => {
                    let stage = Self {
                        marker: Marker::new(&place.target, existing == Existing::ReplaceAndKeep, durability, None),
                        place,
                        continued: false,
                        sealed: false,
                        source,
                        discard: true,
                        target_lock,
                        _staged_lock: staged_lock,
                    };
                    return stage.marked(settled);
                }
            }
        }
        Err(Error::Busy { path: place.store.locate(&place.staged) })
    }

    /// Takes possession of the staged prefix by its marker.
    fn marked(mut self, settled: Settled) -> Result<Self> {
        let place = self.place.clone();
        self.marker.replaces = match (&self.source, &self.target_lock) {
            (Some(source), _) => Some(source.clone()),
            (None, Some(_)) => Some(fingerprint(&*place.store, &place.target)?),
            (None, None) => None,
        };
        if let Settled::Kept(left) = settled {
            // Whatever becomes of this attempt, what is there has been paid for.
            self.discard = false;
            self.sealed = place.is_sealed(&left)?;
            if left.is_unsynced() {
                place.sync()?;
            }
            place.remove_temporary(&place.staged)?;
            if self.source.is_some() {
                // What is there was made from the target as it was then, and may replace nothing else.
                self.marker.replaces = left.replaces.clone().or(self.marker.replaces.take());
            }
            self.marker = left.continued_as(self.marker.clone());
            self.continued = true;
        } else {
            place.clear(&place.staged)?;
        }
        self.marker.write(&*place.store, &place.staged, place.durability)?;
        self.discard = true;
        Ok(self)
    }

    /// Whether this goes on with what a dead process had begun.
    pub(crate) fn continued(&self) -> bool {
        self.continued
    }

    /// Whether the tree is complete, so that there is nothing left to do but to publish it.
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// What no other tree has, and this one keeps when somebody goes on with it.
    pub(crate) fn id(&self) -> &str {
        &self.marker.id
    }

    /// Gives up what a dead process had begun, and begins anew.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn begin_anew(&mut self) -> Result<()> {
        let place = &self.place;
        place.clear_stage()?;
        (self.continued, self.sealed) = (false, false);
        self.marker.replaces = self.source.clone().or(self.marker.replaces.take());
        self.marker.write(&*place.store, &place.staged, place.durability)
    }

    /// The final name of the tree.
    pub(crate) fn target(&self) -> &Key {
        &self.place.target
    }

    /// Where the tree is being built.
    pub(crate) fn prefix(&self) -> &Key {
        &self.place.staged
    }

    /// Where the document of the root of the tree is to be written, which gets its name with the seal.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a name that is too long.
    pub(crate) fn document(&self) -> Result<Key> {
        self.place.staged.join(DOCUMENT_NAME)
    }

    /// Ends the work without deleting what there is of the tree, for somebody to go on with it.
    pub(crate) fn keep(mut self) {
        self.discard = false;
    }

    /// Seals the tree, whose document must be at [`Stage::document`], and makes it visible under its final name. Between the two it asks `last_look`
    /// whether it still may; what that gives as an error ends the matter. When it is visible, `arrived` brings what other places say of it up to
    /// date: while the marker is there, so that a recovery does it where this process dies.
    ///
    /// # Errors
    /// Before the new tree is visible; what had the final name is then there as before, and the stage is deleted: so when the target
    /// has changed since the stage was begun ([`Error::Io`] of the operation "replace"), or has come since ([`Error::AlreadyExists`]). And where the new tree has its name, but a sync failed that should
    /// have made it keep it ([`Error::Io`] of the operation "publish"). Failures after that are [`Published::warning`].
    pub(crate) fn publish(mut self, last_look: &mut dyn FnMut() -> Result<()>, arrived: &mut dyn FnMut()) -> Result<Published> {
        self.seal()?;
        self.check_unchanged()?;
        last_look()?;
        self.place.remove_own(&self.place.staged)?;
        let old_at = self.place.put_in_place(&self.marker, &mut self.discard)?;
        self.discard = false;
        self.place.sync_parent().map_err(|error| self.unsynced(&error))?;
        arrived();
        let warning = self.place.finish(old_at, &self.marker).err();
        Ok(Published { warning: warning.map(|error| format!("the new tree is in place, but: {error}")) })
    }

    /// The error where the new tree has its name, and nobody can say whether it keeps that in a power cut (PUB-28).
    fn unsynced(&self, error: &Error) -> Error {
        let what = format!("the new tree is in place, but a power cut may bring the old one back: {error}");
        Error::Io { op: "publish", path: self.place.store.locate(&self.place.target), source: std::io::Error::other(what) }
    }

    /// Makes all that has been written durable, and then gives the document its name (PUB-17).
    fn seal(&mut self) -> Result<()> {
        if self.sealed {
            return Ok(());
        }
        let Place { store, staged, .. } = &self.place;
        self.place.sync()?;
        store.rename(&self.document()?, &staged.join(DOCUMENT)?)?;
        self.place.sync_names(staged)?;
        self.sealed = true;
        Ok(())
    }

    /// Refuses to replace a tree that has changed since the new one was begun (PUB-19). One that has gone need not be replaced, unless the new one
    /// was made from it.
    fn check_unchanged(&self) -> Result<()> {
        if self.source.is_none() && !self.place.exists(&self.place.target)? {
            return Ok(());
        }
        self.place.check_unchanged(&self.marker)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.discard {
            return;
        }
        // What cannot be deleted now is deleted by the next stage of this name.
        match self.place.find_marker(&self.place.staged) {
            Ok(found) if found == Found::Marker(self.marker.clone()) => drop(self.place.discard()),
            _ => drop(self.place.remove_bare(&self.place.staged)),
        }
    }
}
