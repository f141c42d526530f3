//! Indexes of shards in the store: how they are read from an open value, and where one in the making goes that is too large to be held.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::array::Array;
use crate::codec::{IndexReader, Sharding, Source, Spill};
use crate::error::{Error, Result};
use crate::store::{ByteRange, Key, Store, Value};

/// The bytes of an index within an open value.
pub(super) struct IndexBytes<'v> {
    value: &'v dyn Value,
    offset: u64,
    len: u64,
}

impl<'v> IndexBytes<'v> {
    /// Of the shard that is `len` bytes from `offset` of the value.
    pub(super) fn new(value: &'v dyn Value, sharding: &Sharding, offset: u64, len: u64) -> Result<Self> {
        let (from, len) = sharding.index_place(len)?;
        Ok(Self { value, offset: offset.saturating_add(from), len })
    }

    /// All of it at once.
    fn show<T>(&self, visit: impl Fn(&[u8]) -> Result<T>) -> Result<T> {
        let mut shown = None;
        self.value.read(ByteRange::From { offset: self.offset, len: self.len }, &mut |bytes| {
            shown = Some(visit(bytes)?);
            Ok(())
        })?;
        shown.ok_or_else(|| Error::corrupt("a value that shows nothing"))
    }
}

impl Source for IndexBytes<'_> {
    fn size(&self) -> u64 {
        self.len
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        let range = ByteRange::From { offset: self.offset.saturating_add(offset), len: out.len() as u64 };
        self.value.read(range, &mut |bytes| {
            out.copy_from_slice(bytes);
            Ok(())
        })
    }
}

/// Reads and checks the index of the shard that is `len` bytes from `offset` of a value.
pub(super) fn open_index(value: &dyn Value, sharding: &Sharding, offset: u64, len: u64) -> Result<IndexReader> {
    let mut bytes = IndexBytes::new(value, sharding, offset, len)?;
    if sharding.streams_index() {
        return sharding.read_index(&mut bytes, len);
    }
    bytes.show(|encoded| sharding.decode_index(encoded, len).map(IndexReader::Whole))
}

/// The key of a value for an index in the making, which no chunk has and no other index: several writers may be at work on one array, each on
/// some of its chunks. It is the name of a temporary file, as which it is removed if the process dies.
pub(super) fn spill_key(array: &Array) -> Result<Key> {
    static SPILLED: AtomicU64 = AtomicU64::new(0);
    array.prefix().join(&format!(".index.{}.{}.tmp", std::process::id(), SPILLED.fetch_add(1, Ordering::Relaxed)))
}

/// A value of its own beside the chunks, in a tree that nobody reads yet, for what there is no room for of an index in the making.
pub(super) struct SpilledIndex<'a> {
    pub(super) store: &'a dyn Store,
    /// None where there is room for all of the index.
    pub(super) key: Option<&'a Key>,
}

impl Spill for SpilledIndex<'_> {
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        out.fill(0);
        let Some(value) = self.key.map_or(Ok(None), |key| self.store.open(key))? else { return Ok(()) };
        let there = usize::try_from(value.size().saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        if there == 0 {
            return Ok(());
        }
        value.read(ByteRange::From { offset, len: there as u64 }, &mut |bytes| {
            out[..there].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let Some(key) = self.key else { return Err(Error::invalid("a place for an index that there is room for")) };
        self.store.write_at(key, offset, bytes)
    }
}
