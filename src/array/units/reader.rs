//! Reads units one after another.

use crate::array::Array;
use crate::array::units::{chunk_of, stored_limit};
use crate::codec::{Scratch, ShardIndex, Sharding};
use crate::error::{Error, Result};
use crate::store::{ByteRange, Key};

/// Reads units one after another; one reader per thread. Keeps the index of the shard it read last.
pub(crate) struct UnitReader {
    array: Array,
    scratch: Scratch,
    decoded: Vec<u8>,
    shard: Option<CachedShard>,
}

/// The index of a shard; none if the shard is missing.
struct CachedShard {
    chunk: Vec<u64>,
    key: Key,
    index: Option<ShardIndex>,
}

/// Where the encoded bytes of a unit are.
pub(in crate::array) struct Place {
    pub(in crate::array) key: Key,
    pub(in crate::array) offset: u64,
    pub(in crate::array) len: u64,
}

impl UnitReader {
    pub(crate) fn new(array: &Array) -> Self {
        Self { array: array.clone(), scratch: Scratch::default(), decoded: Vec::new(), shard: None }
    }

    /// Shows `visit` the decoded bytes of a unit (`chunk_bytes()` bytes of the unit pipeline, laid out by its strides), or `None` if the unit
    /// is missing. Returns the stored bytes read: 0 if missing; those of a shard index are not counted.
    pub(crate) fn read(&mut self, unit: &[u64], visit: &mut dyn FnMut(Option<&[u8]>) -> Result<()>) -> Result<u64> {
        let Some(place) = self.place(unit)? else {
            visit(None)?;
            return Ok(0);
        };
        let Self { array, scratch, decoded, .. } = self;
        let pipeline = array.unit_pipeline();
        // An error of `visit` is the caller's own, and must not be given the name of this unit.
        let mut visited = Ok(());
        let found = array.store().read(&place.key, place.range(), &mut |encoded| {
            let data = pipeline.decode(encoded, scratch, decoded).map_err(|error| error.at(&place.describe(array, unit)))?;
            visited = visit(Some(data));
            Ok(())
        })?;
        visited?;
        if found { Ok(place.len) } else { Err(vanished(&place.describe(array, unit))) }
    }

    /// Shows `visit` the bytes from `offset` of a unit that is stored as it is.
    pub(in crate::array) fn read_part(
        &self,
        place: &Place,
        offset: usize,
        len: usize,
        visit: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let range = ByteRange::From { offset: place.offset.saturating_add(offset as u64), len: len as u64 };
        let found = self.array.store().read(&place.key, range, visit)?;
        if found { Ok(()) } else { Err(vanished(&self.array.store().locate(&place.key))) }
    }

    /// Where a unit is stored; none if it is missing. A unit of more bytes than its codecs can make is refused.
    pub(in crate::array) fn place(&mut self, unit: &[u64]) -> Result<Option<Place>> {
        let place = match self.array.sharding() {
            None => {
                let key = self.array.key_of(unit)?;
                self.array.store().size(&key)?.map(|len| Place { key, offset: 0, len })
            }
            Some(sharding) => {
                let (chunk, within) = chunk_of(unit, sharding.units_per_chunk());
                let position = sharding.position(&within);
                let shard = match self.shard.take() {
                    Some(shard) if shard.chunk == chunk => shard,
                    _ => load_index(&self.array, sharding, chunk)?,
                };
                let shard = self.shard.insert(shard);
                let entry = shard.index.as_ref().and_then(|index| index.get(position));
                entry.map(|(offset, len)| Place { key: shard.key.clone(), offset, len })
            }
        };
        if let Some(place) = &place {
            check_stored_len(&self.array, place.len).map_err(|error| error.at(&place.describe(&self.array, unit)))?;
        }
        Ok(place)
    }

    /// Upper bound in bytes of what one reader of this array holds at any time: the mapped encoded unit, the decoded unit unless it is a part
    /// of that, the codecs' contexts, and the shard index, decoded and encoded.
    pub(crate) fn memory_bytes(array: &Array) -> u64 {
        let pipeline = array.unit_pipeline();
        let decoded = if pipeline.decodes_in_place() { 0 } else { pipeline.chunk_bytes() as u64 };
        let index = array.sharding().map_or(0, index_memory);
        stored_limit(pipeline).saturating_add(decoded).saturating_add(pipeline.decode_memory()).saturating_add(index)
    }
}

impl Place {
    fn range(&self) -> ByteRange {
        ByteRange::From { offset: self.offset, len: self.len }
    }

    /// The name of the unit in messages.
    fn describe(&self, array: &Array, unit: &[u64]) -> String {
        let path = array.store().locate(&self.key);
        if array.sharding().is_none() { path } else { format!("{path} (inner chunk {unit:?} of the array, at byte {})", self.offset) }
    }
}

/// Memory of a shard's index while it is decoded or encoded: as numbers, and twice as bytes.
pub(super) fn index_memory(sharding: &Sharding) -> u64 {
    (sharding.unit_count() as u64).saturating_mul(16).saturating_add(sharding.index_bytes().saturating_mul(2))
}

/// Refuses a unit that takes more bytes than its codecs can make, before any of them is read.
pub(in crate::array) fn check_stored_len(array: &Array, len: u64) -> Result<()> {
    let pipeline = array.unit_pipeline();
    let limit = stored_limit(pipeline);
    if len > limit || (pipeline.is_identity() && len != limit) {
        let (shape, accepted) = (pipeline.chunk_shape(), if pipeline.is_identity() { "exactly" } else { "at most" });
        return Err(Error::corrupt(format!("{len} bytes are stored for a chunk of shape {shape:?}, which takes {accepted} {limit}")));
    }
    Ok(())
}

fn load_index(array: &Array, sharding: &Sharding, chunk: Vec<u64>) -> Result<CachedShard> {
    let key = array.key_of(&chunk)?;
    let store = array.store();
    let mut index = None;
    if let Some(size) = store.size(&key)? {
        let found = store.read(&key, sharding.index_range(), &mut |encoded| {
            index = Some(sharding.decode_index(encoded, size)?);
            Ok(())
        })?;
        if !found {
            return Err(vanished(&store.locate(&key)));
        }
    }
    Ok(CachedShard { chunk, key, index })
}

/// A value that was there a moment ago: never the fill value.
fn vanished(name: &str) -> Error {
    Error::Stale { path: name.to_owned() }
}
