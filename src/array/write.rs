//! Writes boxes of elements.

use crate::array::units::{check_stored_len, read_index};
use crate::array::{Array, Element, Frame, read_only};
use crate::buffer::{append, resize, zeroed};
use crate::codec::{CodecPipeline, Scratch, ShardIndex, Sharding};
use crate::error::{Error, Result};
use crate::region::{BoxLayout, Region, copy_box, to_usize};
use crate::store::{ByteRange, Value};

impl Array {
    /// Writes the elements of a region, given in C order.
    ///
    /// Chunks that the region covers are encoded anew; of others the old elements are kept. A chunk that becomes all fill is removed. Each chunk
    /// changes in one step, the whole region does not: after an error, some of its chunks may have been written.
    ///
    /// Threads may write through clones of one `Array`, whatever the regions. Other processes must not write the same chunks at the same time.
    /// In a shard only the inner chunks that the region meets are encoded; its new encoded bytes are in memory meanwhile.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `T` does not stand for the array's data type, the region reaches outside the array, or the number of elements
    /// is not that of the region; [`Error::Unsupported`] for an array of Zarr v2; [`Error::Stale`] when the array is no longer the one that was opened, or has another shape; [`Error::Io`] of the
    /// operation "allocate" when there is no memory; those of the store and, where old elements are kept, of decoding.
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
        if self.metadata().zarr_format() == 2 {
            return Err(read_only(&self.path()));
        }
        let bytes = self.check_region(region)?;
        if data.len() != bytes {
            return Err(Error::invalid(format!("{}: region {region} takes {bytes} bytes, {} were given", self.path(), data.len())));
        }
        self.data_type().check_elements(data).map_err(|error| Error::invalid(format!("{}: {error}", self.path())))?;
        if bytes == 0 {
            return Ok(());
        }
        self.check_unchanged()?;
        let pipeline = self.part_pipeline();
        let mut rewrite = Rewrite {
            array: self,
            pipeline,
            strides: pipeline.strides(),
            item_size: self.data_type().item_size(),
            frame: Frame::new(region, self.data_type().item_size()),
            data,
            scratch: Scratch::default(),
            unit: zeroed(pipeline.chunk_bytes())?,
            decoded: Vec::new(),
            value: Vec::new(),
        };
        self.grid().chunks_over(region).indices().try_for_each(|chunk| rewrite.chunk(&chunk))
    }
}

/// A region being written: its source, and the buffers that go from chunk to chunk.
struct Rewrite<'a> {
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
    /// The new stored bytes of a chunk.
    value: Vec<u8>,
}

impl Rewrite<'_> {
    /// Replaces a chunk. Its old bytes are read through one handle, so that they belong together.
    fn chunk(&mut self, chunk: &[u64]) -> Result<()> {
        let store = self.array.store();
        let key = self.array.key_of(chunk)?;
        let _lock = self.array.lock_chunk(chunk);
        let covered = self.frame.region.contains(&self.array.grid().region(chunk));
        let old = if covered { None } else { store.open(&key)? };
        let stored = self.rebuild(chunk, old.as_deref()).map_err(|error| error.at(&store.locate(&key)))?;
        drop(old);
        if stored { store.set(&key, &self.value) } else { store.erase(&key).map(|_| ()) }
    }

    /// Makes the new bytes of a chunk in `self.value`; returns whether there is anything to store.
    fn rebuild(&mut self, chunk: &[u64], old: Option<&dyn Value>) -> Result<bool> {
        self.value.clear();
        match self.array.sharding() {
            None => self.rebuild_part(chunk, old.map(|old| (old, 0, old.size()))),
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
            let encoded = old.as_ref().and_then(|(value, index)| index.get(position).map(|(offset, len)| (*value, offset, len)));
            let start = self.value.len();
            if self.array.part_grid().region(&part).intersect(self.frame.region).is_some() {
                if !self.rebuild_part(&part, encoded)? {
                    continue;
                }
            } else if let Some((value, offset, len)) = encoded {
                check_stored_len(self.pipeline, len)?;
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

    /// Appends the new bytes of a part that the region meets to `self.value`; returns false, and appends nothing, if it is all fill. The old
    /// bytes are those of a range, offset and length, of a value.
    fn rebuild_part(&mut self, part: &[u64], old: Option<(&dyn Value, u64, u64)>) -> Result<bool> {
        let array = self.array;
        let inside = array.part_grid().region(part);
        let Some(common) = inside.intersect(self.frame.region) else { return Ok(false) };
        let origin = array.part_grid().origin(part);
        let (covered, clipped) = (common == inside, inside.shape() != self.pipeline.chunk_shape());
        let fill = &array.metadata().fill;
        if clipped || (!covered && old.is_none()) {
            fill.fill(&mut self.unit);
        }
        if let Some((value, offset, len)) = old.filter(|_| !covered) {
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
        let value = &mut self.value;
        self.pipeline.encode(&mut self.unit, &mut self.scratch, &mut |bytes| append(value, bytes))?;
        Ok(true)
    }
}
