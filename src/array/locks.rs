//! What whoever writes to a node locks: the node, and the groups around it, shared, so that nobody takes one of them away meanwhile.

use std::sync::Arc;

use crate::array::Array;
use crate::array::copies::{MAX_DEPTH, step_up};
use crate::error::{Error, Result};
use crate::metadata::{DOCUMENT, v2};
use crate::store::{Key, Lock, Store};

/// Locks that are held together.
pub(crate) type Locks = Vec<Box<dyn Lock>>;

/// A prefix in a store.
pub(super) type Place = (Arc<dyn Store>, Key);

impl Array {
    /// The locks that a writer of regions holds (LCK-2): those of the array and of the groups around it, shared.
    ///
    /// # Errors
    /// [`Error::Busy`] when somebody has one of them alone; [`Error::Stale`] when another tree has the name of this one.
    pub(super) fn lock_for_writing(&self) -> Result<Locks> {
        let around = match self.inner.around.get() {
            Some(around) => around,
            None => {
                let found = around(self.store(), self.prefix())?;
                self.inner.around.get_or_init(|| found)
            }
        };
        let mut locks = shared(around)?;
        locks.push(self.store().lock_shared(self.prefix())?);
        Ok(locks)
    }
}

/// The shared locks of the groups around the node at `prefix`, for whoever locks that alone (LCK-3).
///
/// # Errors
/// [`Error::Busy`] when somebody has one of them alone.
pub(crate) fn lock_around(store: &Arc<dyn Store>, prefix: &Key) -> Result<Locks> {
    shared(&around(store, prefix)?)
}

/// The same for whoever makes something new, which is done without locks where there are none (LCK-8).
pub(crate) fn lock_around_new(store: &Arc<dyn Store>, prefix: &Key) -> Result<Locks> {
    match lock_around(store, prefix) {
        Err(Error::Unsupported { .. }) => Ok(Vec::new()),
        locked => locked,
    }
}

/// The locks that whoever changes the document of the group at `prefix` shares; none where there are no locks.
///
/// # Errors
/// As [`lock_around`].
pub(crate) fn lock_document(store: &Arc<dyn Store>, prefix: &Key) -> Result<Locks> {
    let mut locks = lock_around_new(store, prefix)?;
    match store.lock_shared(prefix) {
        Err(Error::Unsupported { .. }) => {}
        locked => locks.push(locked?),
    }
    Ok(locks)
}

/// The groups around the node at `prefix`: upwards through the store, and beyond its root where it is a directory, until a prefix is no node.
fn around(store: &Arc<dyn Store>, prefix: &Key) -> Result<Vec<Place>> {
    let (mut store, mut prefix, mut found) = (Arc::clone(store), prefix.clone(), Vec::new());
    for _ in 0..MAX_DEPTH {
        if step_up(&mut store, &mut prefix)?.is_none() || !is_node(&*store, &prefix)? {
            break;
        }
        found.push((Arc::clone(&store), prefix.clone()));
    }
    Ok(found)
}

/// Whether there is a document, whatever is in it.
fn is_node(store: &dyn Store, prefix: &Key) -> Result<bool> {
    for name in [DOCUMENT].iter().chain(v2::DOCUMENTS.iter()) {
        match store.size(&prefix.join(name)?) {
            Ok(Some(_)) => return Ok(true),
            // Something else has the name.
            Ok(None) | Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// From the outermost inwards.
fn shared(places: &[Place]) -> Result<Locks> {
    places.iter().rev().map(|(store, prefix)| store.lock_shared(prefix)).collect()
}
