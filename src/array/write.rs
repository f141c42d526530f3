//! Writes boxes of elements.

use crate::array::units::{check_stored_len, read_index};
use crate::array::{Array, Element, Frame, read_only};
use crate::buffer::{append, resize, zeroed};
use crate::codec::{CodecPipeline, Scratch, ShardIndex, Sharding};
use crate::error::{Error, Result};
use crate::region::{BoxLayout, Region, c_strides, copy_box, to_usize};
use crate::store::{ByteRange, Value};

impl Array {
    /// Writes the elements of a region, given in C order.
    ///
    /// Chunks that the region covers are encoded anew; of others the old elements are kept. A chunk that becomes all fill is removed. Each chunk
    /// changes in one step, the whole region does not: after an error, some of its chunks may have been written.
    ///
    /// Threads and processes may write side by side, whatever the regions: whoever changes a chunk waits for whoever is changing it (LCK-4), and
    /// the array is locked against being replaced (LCK-2). In a shard only the inner chunks that the region meets are encoded; its new encoded bytes are in memory meanwhile.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `T` does not stand for the array's data type, the region reaches outside the array, or the number of elements
    /// is not that of the region; [`Error::Unsupported`] for an array of Zarr v2; [`Error::Stale`] when the array is no longer the one that was opened, or has another shape; [`Error::Busy`] while a rechunk,
    /// a migration or the like has the array; [`Error::Io`] of the operation "allocate" when there is no memory; those of the store and, where old elements are kept, of decoding.
    pub fn write<T: Element>(&self, region: &Region, data: &[T]) -> Result<()> {
        self.check_element::<T>()?;
        self.write_bytes(region, bytemuck::cast_slice(data))
    }

    /// Writes the elements of a region, given as bytes in C order and in the machine's byte order.
    ///
    /// # Errors
    /// As [`Array::write`]; and [`Error::InvalidArgument`] when a byte for a `bool` is neither 0 nor 1, or has bits set above those of an element
    /// narrower than a byte.
    pub fn write_bytes(&self, region: &Region, data: &[u8]) -> Result<()> {
        self.check_fixed_length()?;
        self.check_writable()?;
        let bytes = self.check_region(region)?;
        if data.len() != bytes {
            return Err(Error::invalid(format!("{}: region {region} takes {bytes} bytes, {} were given", self.path(), data.len())));
        }
        self.data_type().check_elements(data).map_err(|error| Error::invalid(format!("{}: {error}", self.path())))?;
        if bytes == 0 {
            return Ok(());
        }
        let _locks = self.lock_for_writing()?;
        self.check_unchanged()?;
        if self.grid().is_regular() {
            return self.rewrite(region, data);
        }
        let item_size = self.data_type().item_size();
        let frame = Frame::new(region, item_size);
        let mut part = Vec::new();
        for chunk in self.grid().chunks_over(region).indices() {
            let Some(common) = self.grid().region(&chunk).intersect(region) else { continue };
            resize(&mut part, self.check_region(&common)?)?;
            let (to, at) = (c_strides(common.shape(), item_size), common.relative_to(region.start()));
            let from = BoxLayout::at(at.start(), &frame.strides);
            copy_box(common.shape(), item_size, data, from, &mut part, BoxLayout { offset: 0, strides: &to });
            self.chunk_view(&chunk)?.rewrite(&common.relative_to(&self.grid().origin(&chunk)), &part)?;
        }
        Ok(())
    }

    /// Refuses a change of an array of Zarr v2, and of one whose codecs would store what they could not read again.
    pub(super) fn check_writable(&self) -> Result<()> {
        if self.metadata().zarr_format() == 2 {
            return Err(read_only(&self.path()));
        }
        self.metadata().codecs.check_encodable().map_err(|error| error.at(&self.path()))?;
        self.finish_interrupted()
    }

    /// Writes a region inside an array with a regular grid.
    fn rewrite(&self, region: &Region, data: &[u8]) -> Result<()> {
        let pipeline = self.part_pipeline();
        let item_size = self.data_type().item_size();
        let parts = FixedParts {
            array: self,
            pipeline,
            strides: pipeline.strides(),
            item_size,
            frame: Frame::new(region, item_size),
            data,
            scratch: Scratch::default(),
            unit: zeroed(pipeline.chunk_bytes())?,
            decoded: Vec::new(),
        };
        Rewrite::new(self, region, parts).run()
    }
}

/// The stored bytes of a part: a range of a value.
pub(super) struct Old<'a> {
    pub(super) value: &'a dyn Value,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// What is written, cut into parts.
pub(super) trait Parts {
    /// Appends the new bytes of a part that the region meets to `value`; returns false, and appends nothing, if it is all fill.
    fn rebuild(&mut self, part: &[u64], old: Option<Old<'_>>, value: &mut Vec<u8>) -> Result<bool>;
}

/// A region being written, chunk by chunk.
pub(super) struct Rewrite<'a, P> {
    array: &'a Array,
    region: &'a Region,
    parts: P,
    /// The new stored bytes of a chunk.
    value: Vec<u8>,
}

impl<'a, P: Parts> Rewrite<'a, P> {
    /// For a region inside an array with a regular grid.
    pub(super) fn new(array: &'a Array, region: &'a Region, parts: P) -> Self {
        Self { array, region, parts, value: Vec::new() }
    }

    pub(super) fn run(mut self) -> Result<()> {
        self.array.grid().chunks_over(self.region).indices().try_for_each(|chunk| self.chunk(&chunk))
    }

    /// Replaces a chunk. Its old bytes are read through one handle, so that they belong together.
    fn chunk(&mut self, chunk: &[u64]) -> Result<()> {
        let array = self.array;
        let store = array.store();
        let key = array.key_of(chunk)?;
        let _turn = array.lock_chunk(chunk);
        let covered = self.region.contains(&array.grid().region(chunk));
        loop {
            let change = store.change(&key)?;
            let old = if covered { None } else { change.value() };
            let stored = self.rebuild(chunk, old).map_err(|error| error.at(&store.locate(&key)))?;
            if if stored { change.set(&self.value)? } else { change.erase()? } {
                return Ok(());
            }
        }
    }

    /// Makes the new bytes of a chunk in `self.value`; returns whether there is anything to store.
    fn rebuild(&mut self, chunk: &[u64], old: Option<&dyn Value>) -> Result<bool> {
        self.value.clear();
        match self.array.sharding() {
            None => {
                let old = old.map(|value| Old { value, offset: 0, len: value.size() });
                self.parts.rebuild(chunk, old, &mut self.value)
            }
            Some(sharding) => self.rebuild_shard(sharding, chunk, old),
        }
    }

    /// Inner chunks that the region does not meet are copied as they are stored.
    fn rebuild_shard(&mut self, sharding: &Sharding, chunk: &[u64], old: Option<&dyn Value>) -> Result<bool> {
        let old = match old {
            Some(value) => Some((value, read_index(value, sharding, 0, value.size())?)),
            None => None,
        };
        if sharding.index_at_start() {
            resize(&mut self.value, to_usize(sharding.index_bytes()))?;
        }
        let mut index = ShardIndex::empty(sharding.unit_count())?;
        let mut stored = false;
        for part in self.array.parts_of_chunk(chunk).indices() {
            let within: Vec<u64> = part.iter().zip(sharding.units_per_chunk()).map(|(part, count)| part % count).collect();
            let position = sharding.position(&within);
            let range = old.as_ref().and_then(|(value, index)| index.get(position).map(|(offset, len)| Old { value: *value, offset, len }));
            let start = self.value.len();
            if self.array.part_grid().region(&part).intersect(self.region).is_some() {
                if !self.parts.rebuild(&part, range, &mut self.value)? {
                    continue;
                }
            } else if let Some(Old { value, offset, len }) = range {
                check_stored_len(self.array.part_pipeline(), len)?;
                value.read(ByteRange::From { offset, len }, &mut |bytes| append(&mut self.value, bytes))?;
            } else {
                continue;
            }
            index.set(position, start as u64, (self.value.len() - start) as u64);
            stored = true;
        }
        let index = sharding.encode_index(&index)?;
        if sharding.index_at_start() {
            self.value[..index.len()].copy_from_slice(&index);
        } else {
            append(&mut self.value, &index)?;
        }
        Ok(stored)
    }
}

/// Elements of one size on their way into the parts of an array, and the buffers that go from part to part.
struct FixedParts<'a> {
    array: &'a Array,
    pipeline: &'a CodecPipeline,
    /// The layout of a decoded part.
    strides: Vec<usize>,
    item_size: usize,
    frame: Frame<'a>,
    data: &'a [u8],
    scratch: Scratch,
    /// The new elements of a part.
    unit: Vec<u8>,
    /// The old elements of a part.
    decoded: Vec<u8>,
}

impl Parts for FixedParts<'_> {
    fn rebuild(&mut self, part: &[u64], old: Option<Old<'_>>, value: &mut Vec<u8>) -> Result<bool> {
        let array = self.array;
        let inside = array.part_grid().region(part);
        let Some(common) = inside.intersect(self.frame.region) else { return Ok(false) };
        let origin = array.part_grid().origin(part);
        let (covered, clipped) = (common == inside, inside.shape() != self.pipeline.chunk_shape());
        let fill = &array.metadata().fill;
        if clipped || (!covered && old.is_none()) {
            fill.fill(&mut self.unit);
        }
        if let Some(Old { value, offset, len }) = old.filter(|_| !covered) {
            check_stored_len(self.pipeline, len)?;
            let Self { pipeline, strides, item_size, scratch, decoded, unit, .. } = self;
            value.read(ByteRange::From { offset, len }, &mut |encoded| {
                let layout = BoxLayout { offset: 0, strides };
                match pipeline.decode(encoded, scratch, decoded)? {
                    // What lies beyond the edge of the array is not taken over.
                    Some(decoded) => copy_box(inside.shape(), *item_size, decoded, layout, unit, layout),
                    None => fill.fill(unit),
                }
                Ok(())
            })?;
        }
        let from = BoxLayout::at(common.relative_to(self.frame.region.start()).start(), &self.frame.strides);
        let within = common.relative_to(&origin);
        copy_box(common.shape(), self.item_size, self.data, from, &mut self.unit, BoxLayout::at(within.start(), &self.strides));
        if fill.is_all_fill(&self.unit) {
            return Ok(false);
        }
        self.pipeline.encode(&mut self.unit, &mut self.scratch, &mut |bytes| append(value, bytes))?;
        Ok(true)
    }
}
