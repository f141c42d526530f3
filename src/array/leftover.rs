//! What an interrupted publication has left of an array or group, or of a group above it, is completed before somebody writes there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::array::Array;
use crate::array::copies::{refresh_copies, step_up};
use crate::error::{Error, Result};
use crate::publish::{Durability, Unsealed, belongs_to, recover};
use crate::store::{FilesystemStore, Key, Store};

/// How far up is looked.
const MAX_DEPTH: usize = 64;

impl Array {
    /// Completes what was left, once for each open array. Whoever else writes through it waits for that.
    ///
    /// # Errors
    /// As [`finish_interrupted`]; then the next write looks again.
    pub(super) fn finish_interrupted(&self) -> Result<()> {
        if let Some((whole, _)) = &self.inner.whole {
            return whole.finish_interrupted();
        }
        if self.inner.looked_at.load(Ordering::Acquire) {
            return Ok(());
        }
        let _looking = self.inner.looking.lock();
        if !self.inner.looked_at.load(Ordering::Acquire) {
            finish_interrupted(&self.inner.store, &self.inner.prefix)?;
            self.inner.looked_at.store(true, Ordering::Release);
        }
        Ok(())
    }
}

/// Puts trees in place that interrupted rechunks of the node at `key`, and of what it lies in, have left complete (PUB-25). What cannot be done
/// stays for the next, and loses nothing: what is written now is a change of the old tree, which a new one made before does not replace any more.
///
/// # Errors
/// [`Error::Busy`] where a live process is at work; [`Error::Stale`] where the node, or what it lies in, has another tree under its name
/// than that of `store` and `key`.
pub(crate) fn finish_interrupted(store: &Arc<dyn Store>, key: &Key) -> Result<()> {
    let stale = || Error::Stale { path: store.locate(key) };
    let (mut at, mut above) = (store.clone(), key.clone());
    for _ in 0..MAX_DEPTH {
        let below = above.is_root().then(|| at.clone());
        let Ok(Some(name)) = step_up(&mut at, &mut above) else { break };
        let Ok(named) = above.join(&name) else { break };
        let Ok(belongs) = belongs_to(&*at, &named) else { break };
        let stands_in = belongs.is_some();
        let target = belongs.unwrap_or(named);
        let mut refresh = || drop(refresh_copies(&at, &target, true));
        let is_clean = match recover(at.clone(), &target, (Unsealed::Keep, Durability::Sync), &mut refresh) {
            Err(error @ Error::Busy { .. }) => return Err(error),
            Ok(steps) => steps.is_empty(),
            // There may be no locks, or no right to change anything.
            Err(_) => false,
        };
        let is_same = match below {
            // A tree that somebody has moved away is still that tree.
            Some(below) => is_named(&*at, &target, &*below) || is_clean && at.kind(&target).is_ok_and(|kind| kind.is_none()),
            // The key of what stands in for the target leads to something else now, or to nothing.
            None => !stands_in,
        };
        if !is_same {
            return Err(stale());
        }
        if !above.join(crate::store::DOCUMENT).is_ok_and(|document| at.kind(&document).is_ok_and(|kind| kind.is_some())) {
            break;
        }
    }
    Ok(())
}

/// Whether the name `target` leads to the root of `tree`, as far as anybody can say.
fn is_named(above: &dyn Store, target: &Key, tree: &dyn Store) -> bool {
    match (above.as_any().downcast_ref::<FilesystemStore>(), tree.as_any().downcast_ref::<FilesystemStore>()) {
        (Some(above), Some(tree)) => above.is_root_of(target, tree).unwrap_or(true),
        _ => true,
    }
}
