//! Locks of prefixes, and changes of single values that notice each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

use super::image::{Link, Node, NodeId};
use super::{MemoryStore, MemoryValue};
use crate::error::{Error, Result};
use crate::store::{Change, EntryKind, Key, Lock, Store, Value};

/// The prefixes that are locked. Locks end with the process, so a store after a crash has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks {
    held: Arc<Mutex<HashMap<NodeId, Held>>>,
}

/// How a prefix is locked.
#[derive(Debug)]
enum Held {
    Alone,
    /// By so many.
    Together(usize),
}

#[derive(Debug)]
struct MemoryLock {
    id: NodeId,
    locks: Locks,
}

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut held = self.locks.held.lock();
        match held.get_mut(&self.id) {
            Some(Held::Together(count)) if *count > 1 => *count -= 1,
            _ => {
                held.remove(&self.id);
            }
        }
    }
}

impl MemoryStore {
    pub(super) fn lock_prefix(&self, prefix: &Key, shared: bool) -> Result<Box<dyn Lock>> {
        let state = self.state.lock();
        let id = self.find(&state, prefix)?.ok_or_else(|| self.not_found(prefix))?;
        if matches!(state.live.nodes.get(&id), Some(Node::Value(_))) {
            return Err(self.obstructed(prefix.as_str(), EntryKind::Value));
        }
        let mut held = self.locks.held.lock();
        match held.entry(id) {
            Entry::Vacant(free) => {
                free.insert(if shared { Held::Together(1) } else { Held::Alone });
            }
            Entry::Occupied(mut taken) => match taken.get_mut() {
                Held::Together(count) if shared => *count += 1,
                _ => return Err(Error::Busy { path: self.locate(prefix) }),
            },
        }
        Ok(Box::new(MemoryLock { id, locks: self.locks.clone() }))
    }

    pub(super) fn begin_change(&self, key: &Key) -> Result<MemoryChange<'_>> {
        let found = self.find_value(&self.state.lock(), key)?;
        let (id, bytes) = found.unzip();
        let value = bytes.map(|bytes| MemoryValue { bytes, path: self.locate(key) });
        Ok(MemoryChange { store: self, key: key.clone(), id, value })
    }
}

/// A change that nobody waits for: it takes place if the value is still the one that was looked at.
#[derive(Debug)]
pub(super) struct MemoryChange<'s> {
    store: &'s MemoryStore,
    key: Key,
    id: Option<NodeId>,
    value: Option<MemoryValue>,
}

impl MemoryChange<'_> {
    /// Puts `node` in the place of the value; returns whether that was still the same.
    fn end(self, node: Option<Node>) -> Result<bool> {
        let state = &mut *self.store.state.lock();
        let now = self.store.find_value(state, &self.key)?.map(|(id, _)| id);
        if now != self.id {
            return Ok(false);
        }
        if now.is_none() && node.is_none() {
            return Ok(true);
        }
        let parent = self.store.make_parent(state, &self.key)?;
        let new = node.map(|node| state.add(node));
        state.commit(vec![Link { parent, name: self.key.name().to_owned(), old: now, new }]);
        Ok(true)
    }
}

impl Change for MemoryChange<'_> {
    fn value(&self) -> Option<&dyn Value> {
        self.value.as_ref().map(|value| value as &dyn Value)
    }

    fn set(self: Box<Self>, bytes: &[u8]) -> Result<bool> {
        self.end(Some(Node::Value(Arc::new(bytes.to_vec()))))
    }

    fn erase(self: Box<Self>) -> Result<bool> {
        self.end(None)
    }
}
