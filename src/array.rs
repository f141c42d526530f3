//! Arrays: a document, the chunks below it, and reads and writes of boxes of elements.
//!
//! Reading and writing goes by boxes that can be decoded and encoded on their own: the inner chunks of a sharded array, and the chunks of any
//! other. Where shards lie within shards, reading goes by the innermost chunks, the *units*, and writing by the inner chunks of the outermost
//! shard, the *parts*.
//!
//! Invariants
//! 1. A missing chunk is the fill value only while the array is still the one that was opened; otherwise the read is [`Error::Stale`].
//! 2. Writers never lose each other's elements, be they threads or processes: a chunk is read, changed and set in one [`crate::Change`]. Threads with
//!    clones of one [`Array`] take turns before that.
//! 3. A stored chunk changes in one step: readers see all of the old value or all of the new.
//! 4. Where the store can tell a tree from its name, an open array is the tree that it was opened as, and stays so when another one gets its name.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};

use crate::codec::{CodecPipeline, Sharding};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::grid::ChunkGrid;
use crate::metadata::ArrayMetadata;
use crate::region::{Region, c_strides, element_count, to_usize};
use crate::store::{Key, Store, read_to_vec};

mod copies;
mod element;
mod inspect;
mod leftover;
mod locks;
mod map;
mod open;
mod ragged;
mod read;
mod selection;
mod units;
mod window;
mod write;

pub(crate) use copies::{refresh_copies, unsupported_document};
use locks::Place;

pub use element::Element;
pub(crate) use inspect::{ChunkFault, ChunkFaultKind, ChunkInspector};
pub(crate) use leftover::finish_interrupted;
pub(crate) use locks::{lock_around, lock_around_new, lock_document};
pub(crate) use open::{
    Opened, check_member_name, check_node_name, child_names, create_directory, find_child, open_at, open_node, read_child, read_node,
    read_only, read_optional_node, read_v3_node, reserve_prefix, set_new_document,
};
pub(crate) use read::ReadCounts;
pub use selection::Selection;
pub(crate) use units::{
    ChunkPacker, Given, Piece, PlacedWriter, StreamedUnit, UnitReader, UnitStream, UnitWriter, WINDOW_BYTES, WriteScratch, Written,
};

/// Number of locks that the chunks of one array share; more than threads that write one array.
const LOCK_COUNT: usize = 64;

/// An open array. Cheap to clone, and usable from several threads.
#[derive(Clone, Debug)]
pub struct Array {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    prefix: Key,
    /// The prefix in the store that the array was opened in, where `store` is its tree alone.
    opened_at: Key,
    /// The groups around it, whose locks its writers share.
    around: OnceLock<Vec<Place>>,
    metadata: Arc<ArrayMetadata>,
    unit_grid: ChunkGrid,
    part_grid: ChunkGrid,
    /// Digest of the document that was last found to describe this array.
    digest: AtomicU64,
    /// Digest of a document that describes this array grown: chunks at its old edge may hold more elements than this handle knows.
    grown_digest: AtomicU64,
    /// Whether it was looked for what interrupted publications have left, before the first write.
    looked_at: AtomicBool,
    /// Held by whoever is looking.
    looking: Mutex<()>,
    /// A chunk that is being changed holds the lock at the hash of its index.
    locks: Vec<Mutex<()>>,
    /// For a chunk of a rectilinear grid that is seen as an array of one chunk: the array, and its index there.
    whole: Option<(Array, Vec<u64>)>,
}

impl Array {
    /// A handle on the array that `metadata` describes, without looking at the store.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the metadata contradict themselves.
    pub(crate) fn with_metadata(store: Arc<dyn Store>, prefix: Key, metadata: ArrayMetadata) -> Result<Self> {
        // No document begins with this byte, so what is stored is compared by what it says.
        Self::with_document(store, prefix, metadata, &[0xFF])
    }

    /// As [`Array::with_metadata`], and remembers the stored document.
    pub(crate) fn with_document(store: Arc<dyn Store>, prefix: Key, metadata: ArrayMetadata, document: &[u8]) -> Result<Self> {
        Self::build(store, prefix, Arc::new(metadata), document, None)
    }

    fn build(
        store: Arc<dyn Store>,
        prefix: Key,
        metadata: Arc<ArrayMetadata>,
        document: &[u8],
        whole: Option<(Self, Vec<u64>)>,
    ) -> Result<Self> {
        let (opened_at, around) = (prefix.clone(), OnceLock::new());
        let (codecs, grid) = (&metadata.codecs, &metadata.grid);
        let cut = |shape: Option<&[u64]>| shape.map_or_else(|| Ok(grid.clone()), |shape| ChunkGrid::regular(grid.array_shape(), shape));
        let sharding = codecs.sharding();
        let part_grid = cut(sharding.map(Sharding::unit_shape))?;
        let unit_grid = cut(sharding.map(|_| codecs.unit_pipeline().chunk_shape()))?;
        let locks = (0..if whole.is_some() { 0 } else { LOCK_COUNT }).map(|_| Mutex::new(())).collect();
        let (digest, grown_digest) = (AtomicU64::new(digest(document)), AtomicU64::new(digest(document)));
        let (looked_at, looking) = (AtomicBool::new(false), Mutex::default());
        let inner = Inner {
            store,
            prefix,
            opened_at,
            around,
            metadata,
            unit_grid,
            part_grid,
            digest,
            grown_digest,
            looked_at,
            looking,
            locks,
            whole,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// As [`Array::with_document`], in the tree at `opened_at` of another store.
    fn in_tree(tree: Arc<dyn Store>, opened_at: &Key, metadata: Arc<ArrayMetadata>, document: &[u8]) -> Result<Self> {
        let mut array = Self::build(tree, Key::root(), metadata, document, None)?;
        if let Some(inner) = Arc::get_mut(&mut array.inner) {
            inner.opened_at.clone_from(opened_at);
        }
        Ok(array)
    }

    /// The same array in its tree, which it stays in whatever becomes of the name; itself where the store cannot tell the two apart.
    ///
    /// # Errors
    /// [`Error::Stale`] when what has the name now is another array.
    pub(crate) fn pinned(&self) -> Result<Self> {
        match self.store().tree(self.prefix())? {
            Some(tree) if self.inner.whole.is_none() => {
                let pinned = Self::in_tree(tree, &self.inner.opened_at, Arc::clone(&self.inner.metadata), &[0xFF])?;
                pinned.check_current().map(|()| pinned)
            }
            _ => Ok(self.clone()),
        }
    }

    /// This array where `other` is: both are one stored array, which the two of them read differently.
    pub(crate) fn beside(&self, other: &Self) -> Result<Self> {
        Self::build(Arc::clone(other.store()), other.prefix().clone(), Arc::clone(&self.inner.metadata), &[0xFF], None)
    }

    /// A chunk seen as an array of that one chunk: chunks of a rectilinear grid are read and written through this, since each has a shape, and
    /// so codecs, of its own.
    pub(crate) fn chunk_view(&self, chunk: &[u64]) -> Result<Self> {
        let metadata = self.metadata().of_chunk(chunk)?;
        let (store, prefix) = (self.inner.store.clone(), self.inner.prefix.clone());
        Self::build(store, prefix, Arc::new(metadata), &[0xFF], Some((self.clone(), chunk.to_vec())))
    }

    /// The array's document.
    pub fn metadata(&self) -> &ArrayMetadata {
        &self.inner.metadata
    }

    /// Number of elements along each axis.
    pub fn shape(&self) -> &[u64] {
        self.grid().array_shape()
    }

    /// Data type of the elements.
    pub fn data_type(&self) -> &DataType {
        self.inner.metadata.data_type()
    }

    /// Where the array is, as a person would say it; for messages.
    pub fn path(&self) -> String {
        self.inner.store.locate(&self.inner.prefix)
    }

    /// The grid of the stored chunks (of the shards, where the array is sharded).
    pub fn grid(&self) -> &ChunkGrid {
        &self.inner.metadata.grid
    }

    /// Grid of the boxes that can be decoded on their own: inner chunks where the array is sharded (the innermost, where shards lie within
    /// shards), chunks otherwise. Inner chunks are regular, also where shards are rectilinear.
    pub fn unit_grid(&self) -> &ChunkGrid {
        &self.inner.unit_grid
    }

    /// The key at which the chunk with this grid index is stored, in the store that the array was opened in.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the chunk is outside the grid, or its name is too long to be a key.
    pub fn chunk_key(&self, chunk: &[u64]) -> Result<Key> {
        self.check_chunk(chunk)?;
        self.inner.opened_at.join(&self.inner.metadata.key_encoding.key(chunk))
    }

    /// Stored size in bytes of a chunk (of a shard with its index); none if the chunk is missing.
    ///
    /// # Errors
    /// As [`Array::chunk_key`], those of the store, and [`Error::Stale`] when there is nothing since the array is no longer the one that was opened.
    pub fn stored_chunk_bytes(&self, chunk: &[u64]) -> Result<Option<u64>> {
        let bytes = self.inner.store.size(&self.tree_key(chunk)?)?;
        if bytes.is_none() {
            self.check_current()?;
        }
        Ok(bytes)
    }

    /// The stored bytes of a chunk as they are; none if the chunk is missing.
    ///
    /// # Errors
    /// As [`Array::stored_chunk_bytes`], and [`Error::Corrupt`] when more is stored than such a chunk can take.
    pub fn encoded_chunk(&self, chunk: &[u64]) -> Result<Option<Vec<u8>>> {
        self.check_chunk(chunk)?;
        let limit = if self.grid().is_regular() {
            units::stored_limit(&self.inner.metadata.codecs)
        } else {
            units::stored_limit(&self.chunk_view(chunk)?.inner.metadata.codecs)
        };
        let bytes = read_to_vec(&*self.inner.store, &self.key_of(chunk)?, limit)?;
        if bytes.is_none() {
            self.check_current()?;
        }
        Ok(bytes)
    }

    /// The elements of a chunk that lie inside the array, decoded, in C order and the machine's byte order.
    ///
    /// # Errors
    /// As [`Array::read_bytes`], and [`Error::InvalidArgument`] when the chunk is outside the grid.
    pub fn read_chunk(&self, chunk: &[u64]) -> Result<Vec<u8>> {
        self.check_chunk(chunk)?;
        self.read_bytes(&self.grid().region(chunk))
    }

    /// Writes the elements of a chunk that lie inside the array, given as [`Array::read_chunk`] returns them.
    ///
    /// # Errors
    /// As [`Array::write_bytes`], and [`Error::InvalidArgument`] when the chunk is outside the grid.
    pub fn write_chunk(&self, chunk: &[u64], data: &[u8]) -> Result<()> {
        self.check_chunk(chunk)?;
        self.write_bytes(&self.grid().region(chunk), data)
    }

    /// Returns when everything that has been written through this array would survive a power cut.
    ///
    /// # Errors
    /// As [`Store::sync`]: after a failure, what was written since the last success may be lost, and every later call fails as well.
    pub fn sync(&self) -> Result<()> {
        self.inner.store.sync()
    }

    /// The store that holds the array.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.inner.store
    }

    /// The key below which the array lies in its store.
    pub(crate) fn prefix(&self) -> &Key {
        &self.inner.prefix
    }

    /// The codecs of one unit: its `strides()` are the layout of a decoded unit, its `chunk_bytes()` the size.
    pub(crate) fn unit_pipeline(&self) -> &CodecPipeline {
        self.inner.metadata.codecs.unit_pipeline()
    }

    /// Grid of the boxes that can be encoded on their own: the inner chunks of a shard, be they shards themselves or not; chunks otherwise.
    fn part_grid(&self) -> &ChunkGrid {
        &self.inner.part_grid
    }

    /// The codecs of one part.
    fn part_pipeline(&self) -> &CodecPipeline {
        self.sharding().map_or(&self.inner.metadata.codecs, Sharding::unit_pipeline)
    }

    /// The box of the parts of a chunk that hold elements of the array.
    fn parts_of_chunk(&self, chunk: &[u64]) -> Region {
        self.part_grid().chunks_over(&self.grid().region(chunk))
    }

    fn sharding(&self) -> Option<&Sharding> {
        self.inner.metadata.codecs.sharding()
    }

    /// The key at which a chunk is stored, in the array's own store.
    ///
    /// # Errors
    /// As [`Array::chunk_key`].
    pub(crate) fn tree_key(&self, chunk: &[u64]) -> Result<Key> {
        self.check_chunk(chunk)?;
        self.key_of(chunk)
    }

    /// The key of a chunk inside the grid, in the array's own store.
    fn key_of(&self, chunk: &[u64]) -> Result<Key> {
        if let Some((whole, index)) = &self.inner.whole {
            return whole.key_of(index);
        }
        self.inner.prefix.join(&self.inner.metadata.key_encoding.key(chunk))
    }

    /// The index of a unit among all of the array: of the whole one, where this is a chunk of it.
    fn unit_in_whole(&self, unit: &[u64]) -> Vec<u64> {
        let Some((whole, index)) = &self.inner.whole else { return unit.to_vec() };
        let origin = whole.grid().origin(index);
        unit.iter().zip(origin).zip(self.unit_grid().chunk_shape()).map(|((unit, first), edge)| first / edge + unit).collect()
    }

    /// The lock of a chunk.
    fn lock_chunk(&self, chunk: &[u64]) -> MutexGuard<'_, ()> {
        if let Some((whole, index)) = &self.inner.whole {
            return whole.lock_chunk(index);
        }
        let mut hasher = DefaultHasher::new();
        chunk.hash(&mut hasher);
        let locks = &self.inner.locks;
        locks[to_usize(hasher.finish() % locks.len() as u64)].lock()
    }

    fn check_chunk(&self, chunk: &[u64]) -> Result<()> {
        let counts = self.grid().counts();
        if chunk.len() == counts.len() && chunk.iter().zip(&counts).all(|(index, count)| index < count) {
            return Ok(());
        }
        Err(Error::invalid(format!("{}: chunk {chunk:?} is not in the grid of {counts:?} chunks", self.path())))
    }

    /// Checks that a region lies inside the array; returns its size in bytes.
    fn check_region(&self, region: &Region) -> Result<usize> {
        let shape = self.shape();
        if region.rank() != shape.len() {
            return Err(Error::invalid(format!("{}: region {region} has rank {}, the array {}", self.path(), region.rank(), shape.len())));
        }
        for (axis, &extent) in shape.iter().enumerate() {
            let (start, end) = (region.start()[axis], region.end(axis));
            if end > extent {
                let asked = format!("region {region} asks for {start}:{end} of axis {axis}");
                return Err(Error::invalid(format!("{}: {asked}, which has {extent} elements", self.path())));
            }
        }
        let item_size = self.data_type().item_size() as u64;
        let bytes = element_count(region.shape()).and_then(|count| count.checked_mul(item_size));
        bytes.and_then(|bytes| isize::try_from(bytes).ok()).map(isize::unsigned_abs).ok_or_else(|| {
            Error::invalid(format!("{}: region {region} takes more bytes than this machine can address; read smaller regions", self.path()))
        })
    }

    /// Refuses elements of variable length where bytes of fixed size are wanted.
    fn check_fixed_length(&self) -> Result<()> {
        if !self.data_type().is_variable_length() {
            return Ok(());
        }
        let (path, stored) = (self.path(), self.data_type());
        Err(Error::invalid(format!("{path}: elements are {stored}, of variable length; use the calls on strings or byte strings")))
    }

    fn check_element<T: Element>(&self) -> Result<()> {
        if T::DATA_TYPE == *self.data_type() {
            return Ok(());
        }
        let (stored, asked) = (self.data_type().name(), T::DATA_TYPE.name());
        Err(Error::invalid(format!(
            "{}: elements are {stored}, not {asked}; use the Rust type for {stored}, or the calls on bytes",
            self.path()
        )))
    }
}

/// What is remembered of a document, to see later whether it is still the same.
fn digest(document: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    document.hash(&mut hasher);
    hasher.finish()
}

/// A buffer in C order that holds the elements of a region.
#[derive(Debug)]
struct Frame<'a> {
    region: &'a Region,
    strides: Vec<usize>,
}

impl<'a> Frame<'a> {
    fn new(region: &'a Region, item_size: usize) -> Self {
        Self { region, strides: c_strides(region.shape(), item_size) }
    }
}
