//! Writes units in any order from several threads, into an array that nobody reads yet.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::array::Array;
use crate::array::units::chunk_of;
use crate::array::units::index::{SpilledIndex, spill_key};
use crate::array::units::reader::ragged_bytes;
use crate::buffer::{append, make_room};
use crate::codec::{CodecPipeline, IndexWriter, PIECE_BYTES, Scratch, Sharding, Sink};
use crate::error::{Error, Result};
use crate::ragged::Ragged;
use crate::region::{element_count, to_usize};
use crate::store::{Key, Store};

/// What an open shard takes beside its index, in bytes: its place in the map, its chunk index, and slack of the allocator.
const OPEN_SHARD_BYTES: u64 = 1024;

/// Writes units in any order from several threads, each unit once.
///
/// The array's tree is not visible to anybody yet: values are extended in place, and no chunk that it is given units of is there when the writer
/// starts, unless it is told so. Its shards hold no shards.
///
/// Invariants
/// 1. A shard is in `shards` from its first unit to its last; its index is written, and its state dropped, with the last one.
/// 2. No two units of a shard share a byte: room is given out under the lock, and filled outside of it.
/// 3. A stored unit is in the index of its shard before it is counted as given.
pub(crate) struct UnitWriter {
    array: Array,
    /// Whether an earlier writer may have left chunks that are not complete.
    leftovers: bool,
    shards: Mutex<HashMap<Vec<u64>, OpenShard>>,
}

/// A shard of which some units are still to come.
struct OpenShard {
    index: Arc<Mutex<IndexWriter>>,
    /// Where what there is no room for of the index goes; none where there is room for all.
    spill: Option<Key>,
    /// Where the next unit goes.
    next_offset: u64,
    /// Units that are still to be given.
    missing: u64,
    /// Whether any unit is stored.
    stored: bool,
    /// Whether the end belongs to a unit whose length is not known yet.
    taken: bool,
}

/// What one thread reuses from unit to unit: codec contexts and the output buffer.
#[derive(Default)]
pub(crate) struct WriteScratch {
    codec: Scratch,
    pub(super) output: Vec<u8>,
}

/// What a call added to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Bytes written: of the unit, and of the shard's index where the call completed it.
    pub(crate) stored_bytes: u64,
    /// Values completed: a chunk, or a shard with its last unit.
    pub(crate) files: u64,
}

impl UnitWriter {
    #[cfg(test)]
    pub(crate) fn new(array: &Array) -> Self {
        Self::over(array, false)
    }

    /// A writer of chunks that may be there already where there are `leftovers`: each is removed before anything of it is written.
    pub(crate) fn over(array: &Array, leftovers: bool) -> Self {
        assert_eq!(array.unit_grid(), array.part_grid(), "shards within shards are not written unit by unit");
        Self { array: array.clone(), leftovers, shards: Mutex::default() }
    }

    /// Whether no shard is begun and not complete.
    pub(crate) fn is_whole(&self) -> bool {
        self.shards.lock().is_empty()
    }

    /// Makes room for a chunk of which nothing was written yet.
    pub(super) fn clear(&self, chunk: &[u64]) -> Result<()> {
        if self.leftovers {
            self.array.store().erase(&self.array.key_of(chunk)?)?;
        }
        Ok(())
    }

    pub(super) fn array(&self) -> &Array {
        &self.array
    }

    /// Encodes and writes one unit. `data` holds it laid out by the strides of the unit pipeline, with fill beyond the edge of the array; it may
    /// be changed. A unit that is all fill is not stored.
    pub(crate) fn write(&self, unit: &[u64], data: &mut [u8], scratch: &mut WriteScratch) -> Result<Written> {
        if self.array.metadata().fill.is_all_fill(data) {
            return self.skip(unit);
        }
        self.write_encoded(unit, scratch, |codecs, scratch, sink| codecs.encode(data, scratch, sink))
    }

    /// The same for elements of variable length.
    pub(crate) fn write_ragged(&self, unit: &[u64], elements: &Ragged, scratch: &mut WriteScratch) -> Result<Written> {
        let fill = self.array.metadata().fill.as_bytes();
        if elements.iter().all(|element| element == fill) {
            return self.skip(unit);
        }
        self.write_encoded(unit, scratch, |codecs, scratch, sink| codecs.encode_ragged(elements, scratch, sink))
    }

    fn write_encoded(
        &self,
        unit: &[u64],
        scratch: &mut WriteScratch,
        encode: impl FnOnce(&CodecPipeline, &mut Scratch, &mut Sink<'_>) -> Result<()>,
    ) -> Result<Written> {
        match self.array.sharding() {
            None => self.write_chunk(unit, scratch, encode),
            Some(sharding) => self.write_inner(sharding, unit, scratch, encode),
        }
    }

    /// The same for a unit that is known to be all fill.
    pub(crate) fn skip(&self, unit: &[u64]) -> Result<Written> {
        match self.array.sharding() {
            None => Ok(Written::default()),
            Some(sharding) => {
                let (chunk, _) = chunk_of(unit, sharding.units_per_chunk());
                self.complete_unit(sharding, &chunk, None)
            }
        }
    }

    /// Checks that no shard is left without its index.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when units of a shard were never given.
    pub(crate) fn finish(self) -> Result<()> {
        match self.shards.into_inner().iter().next() {
            None => Ok(()),
            Some((chunk, shard)) => {
                let path = self.array.path();
                Err(Error::invalid(format!("{path}: {} inner chunks of shard {chunk:?} were never written", shard.missing)))
            }
        }
    }

    /// Upper bound in bytes of what one writing thread holds beyond the decoded unit.
    pub(crate) fn memory_bytes_per_thread(array: &Array) -> u64 {
        let pipeline = array.unit_pipeline();
        if array.data_type().is_variable_length() {
            return ragged_bytes(pipeline);
        }
        let output = if array.sharding().is_some() { pipeline.encoded_bound() } else { PIECE_BYTES as u64 };
        pipeline.encode_memory().saturating_add(output)
    }

    /// Upper bound in bytes of what the writer keeps for each shard that has been begun and not completed.
    pub(crate) fn memory_bytes_per_open_shard(array: &Array) -> u64 {
        array.sharding().map_or(0, |sharding| {
            let buffer = sharding.index_bytes().min(PIECE_BYTES as u64);
            sharding.index_writer_memory().saturating_add(buffer + OPEN_SHARD_BYTES)
        })
    }

    /// An unsharded chunk: the encoder's output goes to the file piece by piece.
    fn write_chunk(
        &self,
        chunk: &[u64],
        scratch: &mut WriteScratch,
        encode: impl FnOnce(&CodecPipeline, &mut Scratch, &mut Sink<'_>) -> Result<()>,
    ) -> Result<Written> {
        let key = self.array.key_of(chunk)?;
        self.clear(chunk)?;
        make_room(&mut scratch.output, PIECE_BYTES)?;
        let mut pieces = Pieces { store: &**self.array.store(), key: &key, offset: 0, pending: &mut scratch.output };
        encode(self.array.unit_pipeline(), &mut scratch.codec, &mut |bytes| pieces.push(bytes))?;
        Ok(Written { stored_bytes: pieces.finish()?, files: 1 })
    }

    /// An inner chunk: collected, then written where the shard has room for it.
    fn write_inner(
        &self,
        sharding: &Sharding,
        unit: &[u64],
        scratch: &mut WriteScratch,
        encode: impl FnOnce(&CodecPipeline, &mut Scratch, &mut Sink<'_>) -> Result<()>,
    ) -> Result<Written> {
        let output = &mut scratch.output;
        match sharding.unit_pipeline().encoded_bound() {
            // Of elements of variable length there is no bound.
            u64::MAX => output.clear(),
            bound => make_room(output, to_usize(bound))?,
        }
        encode(sharding.unit_pipeline(), &mut scratch.codec, &mut |bytes| append(output, bytes))?;
        let (chunk, within) = chunk_of(unit, sharding.units_per_chunk());
        let len = output.len() as u64;
        let offset = self.take_room(sharding, &chunk, len)?;
        self.array.store().write_at(&self.array.key_of(&chunk)?, offset, output)?;
        let mut written = self.complete_unit(sharding, &chunk, Some((sharding.position(&within), offset, len)))?;
        written.stored_bytes += len;
        Ok(written)
    }

    /// Gives out `len` bytes of a shard, whose state is made if this is its first unit; returns where they begin.
    fn take_room(&self, sharding: &Sharding, chunk: &[u64], len: u64) -> Result<u64> {
        let mut shards = self.shards.lock();
        let shard = self.open_shard(&mut shards, sharding, chunk)?;
        assert!(!shard.taken, "an inner chunk of shard {chunk:?} is streamed, whose other inner chunks must wait");
        let offset = shard.next_offset;
        shard.next_offset = offset.saturating_add(len);
        Ok(offset)
    }

    /// Gives out all of a shard from its end on, until [`UnitWriter::release_end`]; returns where that begins.
    pub(super) fn take_end(&self, sharding: &Sharding, chunk: &[u64]) -> Result<u64> {
        let mut shards = self.shards.lock();
        let shard = self.open_shard(&mut shards, sharding, chunk)?;
        assert!(!std::mem::replace(&mut shard.taken, true), "two inner chunks of shard {chunk:?} are streamed at once");
        Ok(shard.next_offset)
    }

    /// Takes back what [`UnitWriter::take_end`] gave out: the shard goes on at `end`.
    pub(super) fn release_end(&self, chunk: &[u64], end: u64) {
        if let Some(shard) = self.shards.lock().get_mut(chunk) {
            (shard.taken, shard.next_offset) = (false, end);
        }
    }

    /// Counts a unit as given that was stored from `start` to `end` of its chunk.
    pub(super) fn complete_streamed(&self, unit: &[u64], start: u64, end: u64) -> Result<Written> {
        let Some(sharding) = self.array.sharding() else { return Ok(Written { stored_bytes: end, files: 1 }) };
        let (chunk, within) = chunk_of(unit, sharding.units_per_chunk());
        let len = end.saturating_sub(start);
        let mut written = self.complete_unit(sharding, &chunk, Some((sharding.position(&within), start, len)))?;
        written.stored_bytes += len;
        Ok(written)
    }

    /// The state of a shard, which is made if this is its first unit.
    fn open_shard<'s>(
        &self,
        shards: &'s mut HashMap<Vec<u64>, OpenShard>,
        sharding: &Sharding,
        chunk: &[u64],
    ) -> Result<&'s mut OpenShard> {
        Ok(match shards.entry(chunk.to_vec()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(OpenShard::new(self, sharding, chunk)?),
        })
    }

    /// Counts a unit as given, with its position, offset and length if it is stored; writes the index if it was the last.
    fn complete_unit(&self, sharding: &Sharding, chunk: &[u64], stored: Option<(usize, u64, u64)>) -> Result<Written> {
        if let Some((position, offset, len)) = stored {
            let (index, spill) = {
                let mut shards = self.shards.lock();
                let shard = self.open_shard(&mut shards, sharding, chunk)?;
                (Arc::clone(&shard.index), shard.spill.clone())
            };
            index.lock().set(position, (offset, len), &mut self.spilled_index(spill.as_ref()))?;
        }
        let complete = {
            let mut shards = self.shards.lock();
            let last = self.open_shard(&mut shards, sharding, chunk)?.count(stored.is_some());
            if last { shards.remove(chunk) } else { None }
        };
        match complete {
            Some(shard) if shard.stored => self.write_index(sharding, chunk, &shard),
            _ => Ok(Written::default()),
        }
    }

    /// Writes the index of a shard of which all units have been given.
    fn write_index(&self, sharding: &Sharding, chunk: &[u64], shard: &OpenShard) -> Result<Written> {
        let (store, key) = (&**self.array.store(), self.array.key_of(chunk)?);
        let mut pending = Vec::new();
        make_room(&mut pending, to_usize(sharding.index_bytes()).min(PIECE_BYTES))?;
        let offset = if sharding.index_at_start() { 0 } else { shard.next_offset };
        let mut pieces = Pieces { store, key: &key, offset, pending: &mut pending };
        shard.index.lock().finish(sharding, &mut self.spilled_index(shard.spill.as_ref()), &mut |bytes| pieces.push(bytes))?;
        let stored_bytes = pieces.finish()?.saturating_sub(offset);
        if let Some(spill) = &shard.spill {
            store.erase(spill)?;
        }
        Ok(Written { stored_bytes, files: 1 })
    }

    /// Where what there is no room for of an index goes.
    fn spilled_index<'a>(&'a self, spill: Option<&'a Key>) -> SpilledIndex<'a> {
        SpilledIndex { store: &**self.array.store(), key: spill }
    }
}

impl OpenShard {
    fn new(writer: &UnitWriter, sharding: &Sharding, chunk: &[u64]) -> Result<Self> {
        let (array, index) = (&writer.array, IndexWriter::empty(sharding)?);
        writer.clear(chunk)?;
        let spill = if index.spills() { Some(spill_key(array)?) } else { None };
        Ok(Self {
            index: Arc::new(Mutex::new(index)),
            spill,
            next_offset: if sharding.index_at_start() { sharding.index_bytes() } else { 0 },
            missing: element_count(array.parts_of_chunk(chunk).shape()).unwrap_or(u64::MAX),
            stored: false,
            taken: false,
        })
    }

    /// Counts a unit as given; returns whether it was the last.
    fn count(&mut self, stored: bool) -> bool {
        self.stored |= stored;
        self.missing = self.missing.saturating_sub(1);
        self.missing == 0
    }
}

/// A value that grows piece by piece.
pub(super) struct Pieces<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) key: &'a Key,
    pub(super) offset: u64,
    pub(super) pending: &'a mut Vec<u8>,
}

impl Pieces<'_> {
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if self.pending.len() + bytes.len() > PIECE_BYTES {
            self.flush()?;
        }
        if bytes.len() >= PIECE_BYTES {
            self.store.write_at(self.key, self.offset, bytes)?;
            self.offset += bytes.len() as u64;
        } else {
            self.pending.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.pending.is_empty() {
            self.store.write_at(self.key, self.offset, self.pending)?;
            self.offset += self.pending.len() as u64;
            self.pending.clear();
        }
        Ok(())
    }

    /// Writes what is left; returns the size of the value.
    pub(super) fn finish(mut self) -> Result<u64> {
        self.flush()?;
        Ok(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, read_to_vec};

    #[test]
    fn many_small_pieces_are_collected_to_a_bound() {
        let (store, key) = (MemoryStore::new(), Key::new("k").unwrap());
        let mut pending = Vec::with_capacity(PIECE_BYTES);
        let mut pieces = Pieces { store: &store, key: &key, offset: 0, pending: &mut pending };
        let expected: Vec<u8> = (0..1_000_000_u32).map(|i| i.to_le_bytes()[i as usize % 3]).collect();
        let mut rest = expected.as_slice();
        for len in [1000, 7, 131_072, 5, 131_071, 131_073].into_iter().cycle() {
            let (piece, after) = rest.split_at(len.min(rest.len()));
            pieces.push(piece).unwrap();
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(pieces.finish().unwrap(), 1_000_000);
        assert_eq!(pending.capacity(), PIECE_BYTES);
        assert_eq!(read_to_vec(&store, &key, 1 << 20).unwrap().unwrap(), expected);
    }
}
