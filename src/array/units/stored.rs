//! Units that travel as they are stored: read without being decoded, and packed into chunks without being encoded.

use crate::array::Array;
use crate::array::units::index::{SpilledIndex, spill_key};
use crate::array::units::{UnitReader, Written, chunk_of};
use crate::buffer::make_room;
use crate::codec::{IndexWriter, Sharding};
use crate::error::Result;
use crate::region::{Region, to_usize};
use crate::store::Key;

/// The most stored bytes that are read, or collected to be written, at once.
pub(crate) const WINDOW_BYTES: usize = 1 << 20;

impl UnitReader {
    /// Shows `visit` the stored bytes of a unit, window by window. Returns their number; none if the unit is missing.
    pub(crate) fn read_stored(&mut self, unit: &[u64], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Option<u64>> {
        let Some(place) = self.place(unit)? else { return Ok(None) };
        let mut offset = 0;
        while offset < place.len() {
            let len = to_usize((place.len() - offset).min(WINDOW_BYTES as u64));
            place.read_part(to_usize(offset), len, visit)?;
            offset += len as u64;
        }
        Ok(Some(place.len()))
    }
}

/// What a packer was given for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The unit is missing, and no byte was pushed.
    Nothing,
    /// So many bytes of the source.
    Stored(u64),
    /// What stands for a missing unit.
    Filler,
}

/// Makes chunks of stored units, one chunk after another; one packer per thread. Nobody may read there yet, and no chunk may be there unless it is told so.
///
/// Invariants
/// 1. `pending` holds what comes behind the `flushed` bytes of the chunk that is in the making, and never more than [`WINDOW_BYTES`].
pub(crate) struct ChunkPacker {
    array: Array,
    /// Whether an earlier packer may have left chunks that are not complete.
    leftovers: bool,
    pending: Vec<u8>,
    chunk: Vec<u64>,
    flushed: u64,
    /// Of a shard.
    index: Option<IndexWriter>,
    /// Where what there is no room for of an index goes.
    spill: Key,
    stored: bool,
}

impl ChunkPacker {
    /// A packer of chunks that may be there already where there are `leftovers`: each is removed before anything of it is written.
    pub(crate) fn new(array: &Array, leftovers: bool) -> Result<Self> {
        let spill = spill_key(array)?;
        let mut pending = Vec::new();
        make_room(&mut pending, WINDOW_BYTES)?;
        Ok(Self { array: array.clone(), leftovers, pending, chunk: Vec::new(), flushed: 0, index: None, spill, stored: false })
    }

    /// Whether chunks of an array can be packed: those that are one unit, or shards whose inner chunks are no shards.
    pub(crate) fn packs(array: &Array) -> bool {
        array.unit_grid() == array.part_grid()
    }

    /// Upper bound in bytes of what a packer holds.
    pub(crate) fn memory_bytes(array: &Array) -> u64 {
        (WINDOW_BYTES as u64).saturating_add(array.sharding().map_or(0, Sharding::index_writer_memory))
    }

    /// The units of a chunk that hold elements of the array.
    pub(crate) fn units(array: &Array, chunk: &[u64]) -> Region {
        array.parts_of_chunk(chunk)
    }

    /// Begins a chunk.
    pub(crate) fn begin(&mut self, chunk: &[u64]) -> Result<()> {
        self.chunk = chunk.to_vec();
        if self.leftovers {
            self.array.store().erase(&self.key()?)?;
        }
        self.pending.clear();
        (self.flushed, self.stored) = (0, false);
        if let Some(sharding) = self.array.sharding() {
            self.index = Some(IndexWriter::empty(sharding)?);
            if sharding.index_at_start() {
                self.flushed = sharding.index_bytes();
            }
        }
        Ok(())
    }

    /// Adds a unit of the chunk, whose bytes `give` pushes, unless it is missing.
    pub(crate) fn unit(&mut self, unit: &[u64], give: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Given>) -> Result<Given> {
        let offset = self.flushed + self.pending.len() as u64;
        let given = give(&mut |bytes| self.push(bytes))?;
        if given == Given::Nothing {
            return Ok(given);
        }
        let len = self.flushed + self.pending.len() as u64 - offset;
        self.stored = true;
        if let (Some(sharding), Some(index)) = (self.array.sharding(), &mut self.index) {
            let (_, within) = chunk_of(unit, sharding.units_per_chunk());
            let key = index.spills().then_some(&self.spill);
            index.set(sharding.position(&within), (offset, len), &mut SpilledIndex { store: &**self.array.store(), key })?;
        }
        Ok(given)
    }

    /// Completes the chunk; one without any unit is not stored.
    pub(crate) fn finish(&mut self) -> Result<Written> {
        if !self.stored {
            return Ok(Written::default());
        }
        self.flush()?;
        let end = self.flushed;
        let Some((index, sharding)) = self.index.take().zip(self.array.sharding().cloned()) else {
            return Ok(Written { stored_bytes: end, files: 1 });
        };
        if sharding.index_at_start() {
            self.flushed = 0;
        }
        let (store, spill) = (self.array.store().clone(), self.spill.clone());
        let mut spilled = SpilledIndex { store: &*store, key: index.spills().then_some(&spill) };
        index.finish(&sharding, &mut spilled, &mut |bytes| self.push(bytes))?;
        self.flush()?;
        if index.spills() {
            store.erase(&spill)?;
        }
        Ok(Written { stored_bytes: end.max(self.flushed), files: 1 })
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.pending.len() + bytes.len() > WINDOW_BYTES {
            self.flush()?;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        // A stored unit may have no bytes, and must still make a file where it is a chunk of its own.
        self.array.store().write_at(&self.key()?, self.flushed, &self.pending)?;
        self.flushed += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn key(&self) -> Result<Key> {
        self.array.key_of(&self.chunk)
    }
}
