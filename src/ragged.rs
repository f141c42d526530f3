//! Elements of variable length: a table of where each is, and the bytes of all.
//!
//! The table is an ordinary array of 16-byte entries, so that boxes of it are cut and put together by the same strided copy as any other
//! elements; the bytes stay where they are meanwhile.
//!
//! Invariants
//! 1. Each entry is an offset and a length that lie inside the heap.
//! 2. Several entries may share bytes of the heap, and bytes that no entry names are waste, not an error.

use crate::error::{Error, Result};

/// Size in bytes of one entry of the table: the `item_size` of data types of variable length.
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();

/// Where an element is in the heap: offset and length in bytes.
pub(crate) type Entry = [u64; 2];

/// So many elements of variable length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ragged {
    entries: Vec<Entry>,
    heap: Vec<u8>,
}

impl Ragged {
    /// `count` elements, all of them `value`, which is kept once.
    pub(crate) fn filled(count: usize, value: &[u8]) -> Result<Self> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(count).map_err(|_| Error::no_memory("a table of strings"))?;
        entries.resize(count, [0, value.len() as u64]);
        Ok(Self { entries, heap: value.to_vec() })
    }

    /// Appends an element.
    pub(crate) fn push(&mut self, value: &[u8]) -> Result<()> {
        if self.entries.try_reserve(1).is_err() || self.heap.try_reserve(value.len()).is_err() {
            return Err(Error::no_memory("strings"));
        }
        self.entries.push([self.heap.len() as u64, value.len() as u64]);
        self.heap.extend_from_slice(value);
        Ok(())
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The element at `position`.
    ///
    /// # Panics
    /// If there are not so many.
    pub(crate) fn get(&self, position: usize) -> &[u8] {
        let [offset, len] = self.entries[position];
        // Invariant 1: both lie inside a slice in memory, so they fit.
        #[expect(clippy::cast_possible_truncation, reason = "inside the heap")]
        let (offset, len) = (offset as usize, len as usize);
        &self.heap[offset..offset + len]
    }

    /// All elements in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|position| self.get(position))
    }
}
