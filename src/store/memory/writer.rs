//! A value of a [`MemoryStore`] that is open for writing: a sync of it makes its bytes durable, and neither its name nor anything else.

use super::{MemoryStore, Node};
use crate::error::Result;
use crate::store::{Key, Store, ValueWriter};

/// A value that is found by its key for every write.
#[derive(Debug)]
pub(super) struct Writer<'s> {
    pub(super) store: &'s MemoryStore,
    pub(super) key: Key,
}

impl ValueWriter for Writer<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.store.write_at(&self.key, offset, bytes)
    }

    fn sync(&self) -> Result<()> {
        let state = &mut *self.store.state.lock();
        let (id, bytes) = self.store.find_value(state, &self.key)?.ok_or_else(|| self.store.not_found(&self.key))?;
        state.durable.nodes.insert(id, Node::Value(bytes));
        Ok(())
    }
}
