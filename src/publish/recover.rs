//! Recovery of one place: what an interrupted publication has left is completed, deleted or left alone, and said.

use std::sync::Arc;

use super::marker::{Found, Role};
use super::place::Place;
use super::settle::{RecoverStep, Rule, Settled, foreign};
use super::{Durability, RACES};
use crate::error::{Error, Result};
use crate::store::{EntryKind, Key, Store};

/// What becomes of a staged tree that a dead process has left, and that is not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsealed {
    /// It is deleted.
    Discard,
    /// It stays, for somebody to go on with it.
    Keep,
}

/// Settles what an interrupted publication has left at `target`: nothing is done, nor locked, where there is nothing of it. A tree that is sealed
/// is put in its place; what becomes of others is said by `unsealed`. Where a new tree has got its name, now or before, and has not lost its marker,
/// `arrived` is called as by [`super::Stage::publish`]. Returns what was done.
///
/// # Errors
/// [`Error::Busy`] when a live process is at work there; those of the store, after which another recovery goes on.
pub(crate) fn recover(
    store: Arc<dyn Store>,
    target: &Key,
    (unsealed, durability): (Unsealed, Durability),
    arrived: &mut dyn FnMut(),
) -> Result<Vec<RecoverStep>> {
    let place = Place::new(store, target.clone(), durability)?;
    for _ in 0..RACES {
        if place.is_clean(unsealed)? {
            return Ok(Vec::new());
        }
        if let Some(steps) = place.recover_locked(Rule::Finish(unsealed), arrived)? {
            return Ok(steps);
        }
    }
    Err(Error::Busy { path: place.store.locate(target) })
}

impl Place {
    /// Whether there is nothing of a publication here, or nothing that would be touched, so that nothing need be locked.
    fn is_clean(&self, unsealed: Unsealed) -> Result<bool> {
        let marked = |tree: &Key| Ok::<_, Error>(matches!(self.find_marker(tree)?, Found::Marker(_) | Found::Blank));
        if marked(&self.target)? {
            return Ok(false);
        }
        let backup = marked(&self.backup)?;
        Ok(match unsealed {
            Unsealed::Discard => !backup && !self.exists(&self.staged)?,
            // What is sealed, and what stands in for a target that is missing, is all that there is to do.
            Unsealed::Keep if backup && !self.exists(&self.target)? => false,
            Unsealed::Keep => match self.find_marker(&self.staged)? {
                Found::Marker(staged) => staged.role == Role::Old || !self.is_sealed(&staged)?,
                Found::Nothing | Found::Blank | Found::Foreign(_) => true,
            },
        })
    }

    /// Settles under the locks of what is there; none where a tree came or went before all was locked.
    fn recover_locked(&self, rule: Rule, arrived: &mut dyn FnMut()) -> Result<Option<Vec<RecoverStep>>> {
        if !matches!(self.store.kind(&self.target)?, None | Some(EntryKind::Prefix)) {
            let why = String::from("no directory, and so nothing of ours");
            return Ok(Some(vec![RecoverStep::Foreign { path: self.store.locate(&self.target), why }]));
        }
        let mut target_lock = self.lock_target()?;
        let staged_lock = match self.store.kind(&self.staged)? {
            Some(EntryKind::Prefix) => self.lock(&self.staged)?,
            _ => None,
        };
        // A live process may have moved the one to the other between the two looks.
        let mut came = false;
        if target_lock.is_none() {
            target_lock = self.lock_target()?;
            came = target_lock.is_some();
        }
        if came || staged_lock.is_none() && self.store.kind(&self.staged)? == Some(EntryKind::Prefix) {
            return Ok(None);
        }
        let (mut settled, mut steps) = (Settled::Bare, Vec::new());
        let result = self.settle(rule, &mut settled, &mut steps, arrived);
        if let Err(error) = result {
            if self.is_new_at_target() {
                arrived();
            }
            steps.push(foreign(error)?);
        } else if settled == Settled::Bare && rule == Rule::Finish(Unsealed::Discard) && self.remove_bare(&self.staged)? {
            steps.push(RecoverStep::Cleaned);
        }
        if steps.iter().any(RecoverStep::is_change) {
            self.sync_parent()?;
        }
        Ok(Some(steps))
    }
}
