//! Settling what an interrupted publication has left (rules PUB-11 to PUB-16 and PUB-21 to PUB-25 of `spec/rechunk.md`).
//!
//! All of this happens under the lock of the staged tree and, where there is a target, of the target. Every step leads to a state in
//! which settling starts again and ends the same, so that it may itself be interrupted anywhere.

use serde::Serialize;

use super::fingerprint::fingerprint;
use super::marker::{Found, Marker, Role};
use super::place::Place;
use super::{Leftover, Unsealed};
use crate::error::{Error, Result};
use crate::store::{DOCUMENT, EntryKind, Key};

/// What becomes of a staged tree that a dead process has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is deleted.
    Discard,
    /// It stays, to be gone on with, if it can be trusted.
    Continue,
    /// If it is sealed, it is put in its place.
    Finish(Unsealed),
}

impl Rule {
    /// What a new stage does.
    pub(super) fn of_stage(leftover: Leftover) -> Self {
        match leftover {
            Leftover::Discard => Self::Discard,
            Leftover::Continue => Self::Continue,
        }
    }
}

/// Whether the staged name still names the tree that was locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// It does, and the tree is bare (or missing).
    Bare,
    /// It does, and the tree with this marker stays.
    Kept(Marker),
    /// That tree is being, or has been, moved or removed, so that a new one must be made.
    Moved,
}

/// Something that was done to settle what an interrupted publication has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RecoverStep {
    /// The new tree was complete, and has got its final name.
    PutInPlace,
    /// The old tree was deleted.
    OldDeleted,
    /// The old tree was made the backup: as asked for, or since nobody can vouch for the new one after a power cut (`--no-sync`).
    BackupKept,
    /// The new tree was not there, and the old one has got its name back.
    OldPutBack,
    /// A new tree that was not complete was deleted.
    Discarded,
    /// A new tree that is not complete stays, for somebody to go on with it.
    Unfinished,
    /// A marker, or an empty directory, was all that was left, and was removed.
    Cleaned,
    /// Something stays as it is since it is not ours.
    Foreign {
        /// Where it is.
        path: String,
        /// What says so.
        why: String,
    },
    /// Something of ours stays as it is, since nobody can say whose state counts.
    Left {
        /// Where it is.
        path: String,
        /// Why it stays, and what to do.
        why: String,
    },
}

impl RecoverStep {
    /// Whether something was done.
    pub(crate) fn is_change(&self) -> bool {
        !matches!(self, Self::Unfinished | Self::Foreign { .. } | Self::Left { .. })
    }
}

impl Place {
    /// Completes or undoes what an earlier process left. `settled` is bare at the beginning, and says at the end, after an error as well,
    /// whether the staged name may name another tree than the one that was locked. `steps` says what was done. `arrived` is called before a new tree
    /// under the final name loses its marker.
    pub(super) fn settle(&self, rule: Rule, settled: &mut Settled, steps: &mut Vec<RecoverStep>, arrived: &mut dyn FnMut()) -> Result<()> {
        let staged = self.find_marker(&self.staged)?;
        let mut stage = None;
        let mut foreign = None;
        match staged {
            _ if !matches!(self.store.kind(&self.staged)?, None | Some(EntryKind::Prefix)) => {
                foreign = Some("it is no directory; move it away".to_owned());
            }
            _ if self.is_bare(&self.staged)? => {}
            Found::Marker(new @ Marker { role: Role::New, .. }) => stage = Some(new),
            Found::Marker(old) if self.replaced_by_target(&old)? => {
                // PUB-12: died after the exchange.
                *settled = Settled::Moved;
                self.retire_as(&self.staged, &old, steps)?;
            }
            Found::Marker(_) => foreign = Some("it is what the target was before, and the target is another now; move it away".to_owned()),
            Found::Nothing | Found::Blank => foreign = Some("it was not made by rezarr; move it away".to_owned()),
            Found::Foreign(why) => foreign = Some(format!("it was not made by rezarr ({why}); move it away")),
        }
        if let Found::Marker(old @ Marker { role: Role::Old, .. }) = self.find_marker(&self.backup)? {
            if !self.exists(&self.target)? {
                self.close_window(&mut stage, &old, settled, steps)?;
            }
            if self.replaced_by_target(&old)? {
                self.retire_as(&self.backup, &old, steps)?;
            } else if rule == Rule::Finish(Unsealed::Discard) && self.find_marker(&self.backup)? == Found::Marker(old) {
                steps.push(self.settle_backup()?);
            }
        }
        if let Some(marker) = stage {
            self.settle_stage(rule, marker, settled, steps)?;
        }
        self.unmark_settled(steps, arrived)?;
        foreign.map_or(Ok(()), |advice| self.taken(&self.staged, advice))
    }

    /// PUB-14: with all else settled, a marker in the target says nothing any more.
    fn unmark_settled(&self, steps: &mut Vec<RecoverStep>, arrived: &mut dyn FnMut()) -> Result<()> {
        let marked = self.find_marker(&self.target)?;
        if !matches!(marked, Found::Marker(_) | Found::Blank) {
            return Ok(());
        }
        self.confirm_bare(&self.staged)?;
        let is_new = matches!(marked, Found::Marker(Marker { role: Role::New, .. }));
        if is_new && self.store.kind(&self.backup)? == Some(EntryKind::Prefix) && !self.remove_bare(&self.backup)? {
            // It may just have lost its marker, which must not come back without that of the target.
            self.sync_names(&self.backup)?;
        }
        self.sync_parent()?;
        if is_new {
            arrived();
        }
        self.unmark_target()?;
        if steps.is_empty() {
            steps.push(RecoverStep::Cleaned);
        }
        Ok(())
    }

    /// Whether what has the final name is a new tree that has not lost its marker.
    pub(super) fn is_new_at_target(&self) -> bool {
        matches!(self.find_marker(&self.target), Ok(Found::Marker(Marker { role: Role::New, .. })))
    }

    /// What becomes of an old tree that the target has not taken the place of.
    fn settle_backup(&self) -> Result<RecoverStep> {
        if self.remove_bare(&self.backup)? {
            return Ok(RecoverStep::Cleaned);
        }
        let why = "it was to be replaced, and the target is another now; delete it, or move it to another name";
        Ok(RecoverStep::Left { path: self.store.locate(&self.backup), why: why.to_owned() })
    }

    /// What becomes of a staged tree that belongs to nothing else.
    fn settle_stage(&self, rule: Rule, marker: Marker, settled: &mut Settled, steps: &mut Vec<RecoverStep>) -> Result<()> {
        let keep = match rule {
            Rule::Finish(_) if self.is_sealed(&marker)? => return self.finish_sealed(&marker, settled, steps),
            Rule::Finish(unsealed) => unsealed == Unsealed::Keep,
            Rule::Continue => marker.is_trusted(),
            Rule::Discard => false,
        };
        if keep {
            *settled = Settled::Kept(marker);
            steps.push(RecoverStep::Unfinished);
            return Ok(());
        }
        if marker.replaces.is_some() && !self.exists(&self.target)? && self.exists(&self.staged.join(DOCUMENT)?)? {
            let advice = "it is complete, and what it was made to replace is gone, so that it may be the only copy; \
                          put that back, or move this one to another name";
            return self.taken(&self.staged, advice);
        }
        // PUB-11: died while building.
        *settled = Settled::Moved;
        self.discard()?;
        steps.push(RecoverStep::Discarded);
        Ok(())
    }

    /// Puts a sealed tree in its place if what has that place is what it was made to replace (PUB-21, PUB-22).
    fn finish_sealed(&self, marker: &Marker, settled: &mut Settled, steps: &mut Vec<RecoverStep>) -> Result<()> {
        let target = if self.exists(&self.target)? { Some(fingerprint(&*self.store, &self.target)?) } else { None };
        let why = match (&marker.replaces, &target) {
            (replaces, target) if replaces == target => None,
            (Some(_), None) => Some("it is complete, but what it was made to replace is gone; put that back, or rename this one"),
            (None, _) => Some("it is complete, but something else has its name now; move either away"),
            (Some(_), Some(_)) => Some(
                "it is complete, but what it was made to replace has changed since, which would be lost; delete it, or move it to another name",
            ),
        };
        if let Some(why) = why {
            *settled = Settled::Kept(marker.clone());
            steps.push(RecoverStep::Left { path: self.store.locate(&self.staged), why: why.to_owned() });
            return Ok(());
        }
        self.confirm(marker)?;
        self.sync_names(&self.staged)?;
        self.remove_own(&self.staged)?;
        *settled = Settled::Moved;
        let old_at = self.put_in_place(marker, &mut true)?;
        steps.push(RecoverStep::PutInPlace);
        old_at.map_or(Ok(()), |old_at| self.retire_as(&old_at, marker, steps))
    }

    /// Whether the target is the tree that has taken the place of the one marked `old` (PUB-6).
    fn replaced_by_target(&self, old: &Marker) -> Result<bool> {
        Ok(matches!(self.find_marker(&self.target)?, Found::Marker(new) if new.role == Role::New && new.id == old.id))
    }

    /// Ends the time between the two renames, in which the target has no tree: forwards if the new tree is there, else backwards (PUB-13).
    fn close_window(&self, stage: &mut Option<Marker>, old: &Marker, settled: &mut Settled, steps: &mut Vec<RecoverStep>) -> Result<()> {
        let forwards = match &*stage {
            Some(new) => new.id == old.id && self.is_sealed(new)?,
            None => false,
        };
        if forwards {
            self.confirm(old)?;
            self.sync_names(&self.staged)?;
            self.remove_own(&self.staged)?;
            *settled = Settled::Moved;
            *stage = None;
        }
        self.store.rename(if forwards { &self.staged } else { &self.backup }, &self.target)?;
        steps.push(if forwards { RecoverStep::PutInPlace } else { RecoverStep::OldPutBack });
        self.sync_parent()
    }

    /// Makes durable what a process that died has done without knowing whether it was, before anything else relies on it.
    fn confirm(&self, marker: &Marker) -> Result<()> {
        if marker.is_unsynced() { self.sync() } else { self.sync_parent() }
    }

    fn retire_as(&self, at: &Key, marker: &Marker, steps: &mut Vec<RecoverStep>) -> Result<()> {
        self.confirm(marker)?;
        let kept = self.retire(at, marker)?;
        steps.push(if kept { RecoverStep::BackupKept } else { RecoverStep::OldDeleted });
        Ok(())
    }
}

/// A refusal of what is not ours as the step that it is for a recovery; any other error stays one.
pub(super) fn foreign(error: Error) -> Result<RecoverStep> {
    match error {
        Error::AlreadyExists { path, advice } => Ok(RecoverStep::Foreign { path, why: advice }),
        error => Err(error),
    }
}
