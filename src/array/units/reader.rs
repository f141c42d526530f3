//! Reads units one after another.
//!
//! Invariants
//! 1. All that is read of a chunk for a unit, its indexes and the unit itself, is read through one handle, so that it belongs together
//!    whatever writers do to the key meanwhile.
//! 2. An index is used again only with the handle that it was read through.
//! 3. A reader has at most as many handles as it was made to hold.

use std::ops::Range;

use crate::array::Array;
use crate::array::units::index::{IndexBytes, open_index};
use crate::array::units::{boxes_around, levels, stored_limit};
use crate::array::window::part_ranges;
use crate::codec::{CodecPipeline, IndexReader, Scratch, ShardIndex, Sharding};
use crate::error::{Error, Result};
use crate::ragged::{ENTRY_BYTES, Ragged};
use crate::region::Region;
use crate::store::{ByteRange, Key, Value};

/// Reads units one after another; one reader per thread. Keeps the shards that it read last open, with their indexes.
pub(crate) struct UnitReader {
    array: Array,
    scratch: Scratch,
    decoded: Vec<u8>,
    /// The one used last comes last.
    held: Vec<Held>,
    most_held: usize,
    /// Whether chunks are kept as shards are.
    keep_chunks: bool,
}

/// A chunk as it was when the reader came to it.
pub(super) struct Held {
    chunk: Vec<u64>,
    key: Key,
    /// None if the chunk is missing.
    pub(super) value: Option<Box<dyn Value>>,
    /// The indexes that lead to the last unit, outermost first: each that of a shard, with the shard's index among all of its level.
    indexes: Vec<(Vec<u64>, IndexReader)>,
}

/// Where the encoded bytes of a unit are, in a value that is open.
pub(crate) struct Place<'r> {
    array: &'r Array,
    key: &'r Key,
    value: &'r dyn Value,
    offset: u64,
    len: u64,
}

impl UnitReader {
    pub(crate) fn new(array: &Array) -> Self {
        Self::holding(array, 1)
    }

    /// A reader that keeps up to `most_held` shards, for walks that come back to them.
    pub(crate) fn holding(array: &Array, most_held: usize) -> Self {
        Self {
            array: array.clone(),
            scratch: Scratch::default(),
            decoded: Vec::new(),
            held: Vec::new(),
            most_held: most_held.max(1),
            keep_chunks: false,
        }
    }

    /// A reader that keeps up to `most_held` chunks open, sharded or not, for parts of them to be read in turn.
    pub(crate) fn alternating(array: &Array, most_held: usize) -> Self {
        Self { keep_chunks: true, ..Self::holding(array, most_held) }
    }

    pub(super) fn array(&self) -> &Array {
        &self.array
    }

    /// Decodes with what another reader has left: contexts of codecs, and buffers.
    pub(in crate::array) fn with_scratch(self, scratch: Scratch) -> Self {
        Self { scratch, ..self }
    }

    pub(in crate::array) fn into_scratch(self) -> Scratch {
        self.scratch
    }

    /// Shows `visit` the decoded bytes of a unit (`chunk_bytes()` bytes of the unit pipeline, laid out by its strides), or `None` if the unit
    /// is missing. Returns the stored bytes read: 0 if missing; those of a shard index are not counted.
    pub(crate) fn read(&mut self, unit: &[u64], visit: &mut dyn FnMut(Option<&[u8]>) -> Result<()>) -> Result<u64> {
        self.read_parts(unit, None, visit)
    }

    /// As [`UnitReader::read`], but of the bytes that `visit` is shown, only those of the elements in `within`, a box of the unit, need be right.
    pub(crate) fn read_box(&mut self, unit: &[u64], within: &Region, visit: &mut dyn FnMut(Option<&[u8]>) -> Result<()>) -> Result<u64> {
        let pipeline = self.array.unit_pipeline();
        if !pipeline.decodes_parts() || within.shape() == pipeline.chunk_shape() {
            return self.read(unit, visit);
        }
        let parts = part_ranges(within, &pipeline.strides(), self.array.data_type().item_size())?;
        self.read_parts(unit, Some(&parts), visit)
    }

    /// As [`UnitReader::read`], but of the bytes that `visit` is shown, only those in `parts` need be right, if any are given: for pipelines that
    /// [`CodecPipeline::decodes_parts`].
    pub(in crate::array) fn read_parts(
        &mut self,
        unit: &[u64],
        parts: Option<&[Range<usize>]>,
        visit: &mut dyn FnMut(Option<&[u8]>) -> Result<()>,
    ) -> Result<u64> {
        let Self { array, scratch, decoded, held, most_held, keep_chunks } = self;
        let Some(place) = place(array, held, (*most_held, *keep_chunks), unit)? else {
            visit(None)?;
            return Ok(0);
        };
        let pipeline = array.unit_pipeline();
        // An error of `visit` is the caller's own, and must not be given the name of this unit.
        let mut visited = Ok(());
        place.value.read(place.range(0, place.len), &mut |encoded| {
            let data = match parts {
                None => pipeline.decode(encoded, scratch, decoded),
                Some(parts) => pipeline.decode_parts(encoded, parts, scratch, decoded).map(|_| Some(decoded.as_slice())),
            };
            visited = visit(data.map_err(|error| error.at(&place.describe(unit)))?);
            Ok(())
        })?;
        visited?;
        Ok(place.len)
    }

    /// The elements of variable length of a unit, none if it is missing, and the stored bytes read.
    pub(crate) fn read_ragged(&mut self, unit: &[u64]) -> Result<(Option<Ragged>, u64)> {
        let Self { array, scratch, held, most_held, keep_chunks, .. } = self;
        let Some(place) = place(array, held, (*most_held, *keep_chunks), unit)? else { return Ok((None, 0)) };
        let mut elements = None;
        place.value.read(place.range(0, place.len), &mut |encoded| {
            elements = array.unit_pipeline().decode_ragged(encoded, scratch).map_err(|error| error.at(&place.describe(unit)))?;
            Ok(())
        })?;
        Ok((elements, place.len))
    }

    /// Where a unit is stored; none if it is missing. A unit of more bytes than its codecs can make is refused.
    pub(crate) fn place(&mut self, unit: &[u64]) -> Result<Option<Place<'_>>> {
        place(&self.array, &mut self.held, (self.most_held, self.keep_chunks), unit)
    }

    /// Upper bound in bytes of what one reader of this array holds at any time (an estimate where elements are of variable length): the mapped encoded unit, the decoded unit unless it is a part
    /// of that, the codecs' contexts, and what is held of the indexes of a shard and the shards in it.
    pub(crate) fn memory_bytes(array: &Array) -> u64 {
        let pipeline = array.unit_pipeline();
        if array.data_type().is_variable_length() {
            return ragged_bytes(pipeline).saturating_add(Self::held_bytes(array));
        }
        let decoded = if pipeline.decodes_in_place() { 0 } else { pipeline.chunk_bytes() as u64 };
        stored_limit(pipeline).saturating_add(decoded).saturating_add(pipeline.decode_memory()).saturating_add(Self::held_bytes(array))
    }

    /// Upper bound in bytes of what each further shard that a reader holds takes; 0 where the array is not sharded.
    pub(crate) fn held_bytes(array: &Array) -> u64 {
        levels(array).map(Sharding::index_memory).fold(0, u64::saturating_add)
    }
}

/// Where a unit is stored, found through its chunk among those in `held`, which takes the place of the one used longest ago if it is not there.
pub(super) fn place<'r>(
    array: &'r Array,
    held: &'r mut Vec<Held>,
    (most_held, keep_chunks): (usize, bool),
    unit: &[u64],
) -> Result<Option<Place<'r>>> {
    let boxes = boxes_around(array, unit);
    let Some(chunk) = boxes.first() else { return Ok(None) };
    let found = match held.iter().position(|held| held.chunk == *chunk) {
        Some(position) => Some(held.remove(position)),
        None if held.len() >= most_held => {
            held.remove(0);
            None
        }
        None => None,
    };
    // A chunk without index gains nothing from an older handle; that a shard is missing is worth knowing.
    let found = match found.filter(|_| keep_chunks || levels(array).next().is_some()) {
        Some(found) => found,
        None => Held::open(array, chunk)?,
    };
    held.push(found);
    let Some(Held { key, value, indexes, .. }) = held.last_mut() else { return Ok(None) };
    let Some(value) = value.as_deref() else { return Ok(None) };
    let (mut offset, mut len) = (0, value.size());
    for (level, (sharding, pair)) in levels(array).zip(boxes.windows(2)).enumerate() {
        let [shard, inner] = pair else { break };
        if indexes.get(level).is_none_or(|(of, _)| of != shard) {
            indexes.truncate(level);
            let index = open_index(value, sharding, offset, len).map_err(|error| error.at(&array.store().locate(key)))?;
            indexes.push((shard.clone(), index));
        }
        let within: Vec<u64> = inner.iter().zip(sharding.units_per_chunk()).map(|(inner, count)| inner % count).collect();
        let Some((_, index)) = indexes.get_mut(level) else { return Ok(None) };
        let entry = index.get(sharding, sharding.position(&within), &mut IndexBytes::new(value, sharding, offset, len)?);
        let Some(entry) = entry.map_err(|error| error.at(&array.store().locate(key)))? else { return Ok(None) };
        // The index has been checked against the range of its own shard.
        (offset, len) = (offset.saturating_add(entry.0), entry.1);
    }
    let place = Place { array, key, value, offset, len };
    check_stored_len(array.unit_pipeline(), len).map_err(|error| error.at(&place.describe(unit)))?;
    Ok(Some(place))
}

impl Held {
    fn open(array: &Array, chunk: &[u64]) -> Result<Self> {
        let key = array.key_of(chunk)?;
        let value = array.store().open(&key)?;
        Ok(Self { chunk: chunk.to_vec(), key, value, indexes: Vec::new() })
    }
}

impl Place<'_> {
    /// Number of its stored bytes.
    pub(in crate::array) fn len(&self) -> u64 {
        self.len
    }

    /// Shows `visit` `len` bytes from `offset` of a unit that is stored as it is.
    pub(in crate::array) fn read_part(&self, offset: usize, len: usize, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.value.read(self.range(offset as u64, len as u64), visit)
    }

    /// Fills `out` with the bytes from `offset` of a unit that is stored as it is.
    pub(crate) fn read_into(&self, offset: usize, out: &mut [u8]) -> Result<()> {
        self.value.read_into(self.offset.saturating_add(offset as u64), out)
    }

    /// Says that `len` bytes from `offset` of the stored unit will be read soon.
    pub(crate) fn expect(&self, offset: usize, len: usize) {
        self.value.expect(self.offset.saturating_add(offset as u64), len as u64);
    }

    fn range(&self, offset: u64, len: u64) -> ByteRange {
        ByteRange::From { offset: self.offset.saturating_add(offset), len }
    }

    /// Where it begins in the value, and its length.
    pub(super) fn extent(&self) -> (u64, u64) {
        (self.offset, self.len)
    }

    /// The name of the unit in messages.
    pub(super) fn describe(&self, unit: &[u64]) -> String {
        let path = self.array.store().locate(self.key);
        if self.array.sharding().is_none() {
            return path;
        }
        format!("{path} (inner chunk {:?} of the array, at byte {})", self.array.unit_in_whole(unit), self.offset)
    }
}

/// What a decoded unit of elements of variable length is taken to have, with the stored bytes and what codecs need for them.
pub(super) fn ragged_bytes(pipeline: &CodecPipeline) -> u64 {
    const ELEMENT_BYTES: u64 = 3 * 64;
    let count = (pipeline.chunk_bytes() / ENTRY_BYTES) as u64;
    count.saturating_mul(ELEMENT_BYTES).saturating_add(pipeline.chunk_bytes() as u64).saturating_add(1 << 20)
}

/// Refuses an encoded chunk of more bytes than its codecs can make, before any of them is read.
pub(in crate::array) fn check_stored_len(pipeline: &CodecPipeline, len: u64) -> Result<()> {
    let limit = stored_limit(pipeline);
    if len > limit || (pipeline.is_identity() && len != limit) {
        let (shape, accepted) = (pipeline.chunk_shape(), if pipeline.is_identity() { "exactly" } else { "at most" });
        return Err(Error::corrupt(format!("{len} bytes are stored for a chunk of shape {shape:?}, which takes {accepted} {limit}")));
    }
    Ok(())
}

/// Reads the index of the shard that is `len` bytes from `offset` of a value.
pub(in crate::array) fn read_index(value: &dyn Value, sharding: &Sharding, offset: u64, len: u64) -> Result<ShardIndex> {
    let (from, index_bytes) = sharding.index_place(len)?;
    let mut index = None;
    value.read(ByteRange::From { offset: offset.saturating_add(from), len: index_bytes }, &mut |encoded| {
        index = Some(sharding.decode_index(encoded, len)?);
        Ok(())
    })?;
    index.ok_or_else(|| Error::corrupt("a value that shows nothing"))
}
