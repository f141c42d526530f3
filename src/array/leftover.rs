//! What an interrupted publication has left of an array or group, or of a group above it, is completed before somebody writes there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::array::Array;
use crate::array::copies::{refresh_copies, step_up};
use crate::publish::{Durability, RecoverStep, Unsealed, recover};
use crate::store::{Key, Store};

/// How far up is looked.
const MAX_DEPTH: usize = 64;

impl Array {
    /// Completes what was left, once for each open array. This array is stale then, as the next look at its document tells.
    pub(super) fn finish_interrupted(&self) {
        if let Some((whole, _)) = &self.inner.whole {
            return whole.finish_interrupted();
        }
        if !self.inner.looked_at.swap(true, Ordering::AcqRel) {
            finish_interrupted(&self.inner.store, &self.inner.prefix);
        }
    }
}

/// Puts trees in place that interrupted rechunks of the node at `key`, and of what it lies in, have left complete (PUB-25); returns whether there was
/// one. What cannot be done stays for the next, and loses nothing: what is written now is a change of the old tree, which a new one made
/// before does not replace any more.
pub(crate) fn finish_interrupted(store: &Arc<dyn Store>, key: &Key) -> bool {
    let (mut store, mut key) = (store.clone(), key.clone());
    let mut finished = false;
    for _ in 0..MAX_DEPTH {
        let Ok(Some(name)) = step_up(&mut store, &mut key) else { break };
        let Ok(target) = key.join(&name) else { break };
        match recover(store.clone(), &target, Unsealed::Keep, Durability::Sync) {
            Ok(steps) if steps.contains(&RecoverStep::PutInPlace) => {
                finished = true;
                refresh_copies(&store, &target, true);
            }
            // Somebody may be at work there, or there may be no locks.
            Ok(_) | Err(_) => {}
        }
        if !key.join(crate::store::DOCUMENT).is_ok_and(|document| store.kind(&document).is_ok_and(|kind| kind.is_some())) {
            break;
        }
    }
    finished
}
