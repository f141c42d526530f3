//! What an expert writes with the zarrs crate: region by region, each read (in parts where nothing is encoded) and stored on all threads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zarrs::array::{Array, ArrayBytes, ArrayMetadata, ArraySubset};
use zarrs::filesystem::{FilesystemStore, FilesystemStoreOptions};
use zarrs::storage::byte_range::ByteRangeIterator;
use zarrs::storage::{
    Bytes, MaybeBytes, MaybeBytesIterator, OffsetBytesIterator, ReadableStorageTraits, StorageError, StoreKey, StorePrefix,
    WritableStorageTraits, store_set_partial_many,
};

use crate::job::Job;
use crate::{Result, store};

/// Below what a process may have open.
const OPEN_FILES: usize = 512;

/// The store of zarrs waits for the disk after each file; this one does not, like the others that it is measured with.
struct Unsynced {
    inner: FilesystemStore,
    root: PathBuf,
}

impl Unsynced {
    fn new(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root)?;
        Ok(Self { inner: FilesystemStore::new(root)?, root: root.to_owned() })
    }
}

impl ReadableStorageTraits for Unsynced {
    fn get(&self, key: &StoreKey) -> std::result::Result<MaybeBytes, StorageError> {
        self.inner.get(key)
    }

    fn get_partial_many<'a>(
        &'a self,
        key: &StoreKey,
        ranges: ByteRangeIterator<'a>,
    ) -> std::result::Result<MaybeBytesIterator<'a>, StorageError> {
        self.inner.get_partial_many(key, ranges)
    }

    fn size_key(&self, key: &StoreKey) -> std::result::Result<Option<u64>, StorageError> {
        self.inner.size_key(key)
    }

    fn supports_get_partial(&self) -> bool {
        true
    }
}

impl WritableStorageTraits for Unsynced {
    fn set(&self, key: &StoreKey, value: Bytes) -> std::result::Result<(), StorageError> {
        store::write(&self.root, key.as_str(), &value).map_err(|error| StorageError::Other(error.to_string()))
    }

    fn set_partial_many(&self, key: &StoreKey, values: OffsetBytesIterator<'_>) -> std::result::Result<(), StorageError> {
        store_set_partial_many(self, key, values)
    }

    fn erase(&self, key: &StoreKey) -> std::result::Result<(), StorageError> {
        self.inner.erase(key)
    }

    fn erase_prefix(&self, prefix: &StorePrefix) -> std::result::Result<(), StorageError> {
        self.inner.erase_prefix(prefix)
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

pub(crate) fn run(job: &Job) -> Result<()> {
    let mut options = FilesystemStoreOptions::default();
    options.file_handle_cache_size(OPEN_FILES);
    let source = Array::open(Arc::new(FilesystemStore::new_with_options(&job.source, options)?), "/")?;
    let metadata: ArrayMetadata = serde_json::from_value(job.metadata.clone())?;
    let target = Array::new_with_metadata(Arc::new(Unsynced::new(&job.target)?), "/", metadata)?;
    target.store_metadata()?;
    let rank = job.shape.len();
    let mut start = vec![0; rank];
    loop {
        let ranges: Vec<_> = (0..rank)
            .map(|axis| {
                let end = (start[axis] + job.region[axis]).min(job.shape[axis]);
                Ok(u64::try_from(start[axis])?..u64::try_from(end)?)
            })
            .collect::<Result<_>>()?;
        let region = ArraySubset::new_with_ranges(&ranges);
        let elements: ArrayBytes<'_> = source.retrieve_array_subset(&region)?;
        target.store_array_subset(&region, elements)?;
        let Some(axis) = (0..rank).rev().find(|&axis| start[axis] + job.region[axis] < job.shape[axis]) else {
            return Ok(());
        };
        start[axis] += job.region[axis];
        start[axis + 1..].fill(0);
    }
}
