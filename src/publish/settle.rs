//! Settling what an interrupted publication has left, before a new stage begins (rules PUB-11 to PUB-15 of `spec/rechunk.md`).
//!
//! All of this happens under the lock of the staged tree and, where there is a target, of the target. Every step leads to a state in
//! which settling starts again and ends the same, so that it may itself be interrupted anywhere.

use super::Place;
use super::marker::{Found, Marker, Role};
use crate::error::{Error, Result};
use crate::store::Key;

/// Whether the staged name still names the tree that was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It does.
    StageBare,
    /// That tree is being, or has been, moved or removed, so that a new one must be made.
    StageMoved,
}

impl Place {
    /// Completes or undoes what an earlier process left. `settled` is bare at the beginning, and says at the end, after an error as well,
    /// whether the staged name may name another tree than the one that was locked; if it does not, that is bare after success.
    pub(super) fn settle(&self, settled: &mut Settled) -> Result<()> {
        let staged = self.find_marker(&self.staged)?;
        let bare = self.is_bare(&self.staged)?;
        match &staged {
            _ if bare => {}
            Found::Marker(Marker { role: Role::New, .. }) => {}
            Found::Marker(old) if self.replaced_by_target(old)? => {
                // PUB-12: died after the exchange.
                *settled = Settled::StageMoved;
                self.retire(&self.staged, old)?;
            }
            Found::Marker(_) => {
                return self.taken(&self.staged, "it is what the target was before, and the target is another now; move it away");
            }
            Found::Nothing | Found::Blank => return self.taken(&self.staged, "it was not made by rezarr; move it away"),
            Found::Foreign(why) => return self.taken(&self.staged, format!("it was not made by rezarr ({why}); move it away")),
        }
        if let Found::Marker(old @ Marker { role: Role::Old, .. }) = self.find_marker(&self.backup)? {
            if !self.exists(&self.target)? {
                self.close_window(&staged, &old, settled)?;
            }
            if self.replaced_by_target(&old)? {
                self.retire(&self.backup, &old)?;
            }
        }
        if *settled == Settled::StageBare && !bare {
            // PUB-11: died while building.
            *settled = Settled::StageMoved;
            self.remove(&self.staged)?;
        }
        // PUB-14: with all else settled, a marker in the target says nothing any more.
        if let Found::Marker(_) | Found::Blank = self.find_marker(&self.target)? {
            self.erase_marker(&self.target)?;
        }
        Ok(())
    }

    /// Whether the target is the tree that has taken the place of the one marked `old` (PUB-6).
    fn replaced_by_target(&self, old: &Marker) -> Result<bool> {
        Ok(matches!(self.find_marker(&self.target)?, Found::Marker(new) if new.role == Role::New && new.id == old.id))
    }

    /// Ends the time between the two renames, in which the target has no tree: forwards if the new tree is there, else backwards (PUB-13).
    fn close_window(&self, staged: &Found, old: &Marker, settled: &mut Settled) -> Result<()> {
        // The old tree leaves its name only when the new one is complete, so its being away is the proof of that.
        let forwards = matches!(staged, Found::Marker(new) if new.role == Role::New && new.id == old.id);
        if forwards {
            *settled = Settled::StageMoved;
        }
        self.store.rename(if forwards { &self.staged } else { &self.backup }, &self.target)?;
        self.sync()
    }

    /// Deletes the tree at `at` that has been replaced, or makes it a plain backup.
    pub(super) fn retire(&self, at: &Key, marker: &Marker) -> Result<()> {
        if !marker.keep {
            return self.remove(at).map_err(|error| self.left(at, "the old tree could not be deleted", error));
        }
        let left = |error| self.left(at, "the old tree could not be made the backup", error);
        if *at != self.backup {
            self.store.rename(at, &self.backup).map_err(left)?;
            self.sync()?;
        }
        self.erase_marker(&self.backup).map_err(left)
    }

    fn left(&self, at: &Key, what: &str, error: Error) -> Error {
        let source = std::io::Error::other(format!("{what}: {error}"));
        Error::Io { op: "clean up", path: self.store.locate(at), source }
    }
}
