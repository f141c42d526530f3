//! Writes boxes of elements.

use crate::array::units::{check_stored_len, units_of_chunk};
use crate::array::{Array, Element, Frame, append, reserve, zeroed};
use crate::codec::{CodecPipeline, Scratch, ShardIndex, Sharding};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::region::{BoxLayout, Region, copy_box, to_usize};
use crate::store::ByteRange;

impl Array {
    /// Writes the elements of a region, given in C order.
    ///
    /// Chunks that the region covers are encoded anew; of others the old elements are kept. A chunk that becomes all fill is removed. Each chunk
    /// changes in one step, the whole region does not: after an error, some of its chunks may have been written.
    ///
    /// Threads may write through clones of one `Array`, whatever the regions. Other processes must not write the same chunks at the same time.
    /// In a shard only the inner chunks that the region meets are encoded; its encoded bytes, old and new, are in memory meanwhile.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `T` does not stand for the array's data type, the region reaches outside the array, or the number of elements
    /// is not that of the region; [`Error::Stale`] when the array is no longer the one that was opened; those of the store and, where old elements
    /// are kept, of decoding.
    pub fn write<T: Element>(&self, region: &Region, data: &[T]) -> Result<()> {
        self.check_element::<T>()?;
        self.write_bytes(region, bytemuck::cast_slice(data))
    }

    /// Writes the elements of a region, given as bytes in C order and in the machine's byte order.
    ///
    /// # Errors
    /// As [`Array::write`]; and [`Error::InvalidArgument`] when a byte for a `bool` is neither 0 nor 1.
    pub fn write_bytes(&self, region: &Region, data: &[u8]) -> Result<()> {
        let bytes = self.check_region(region)?;
        if data.len() != bytes {
            return Err(Error::invalid(format!("{}: region {region} takes {bytes} bytes, {} were given", self.path(), data.len())));
        }
        if *self.data_type() == DataType::Bool
            && let Some(wrong) = data.iter().find(|&&byte| byte > 1)
        {
            return Err(Error::invalid(format!("{}: {wrong} was given for a bool; 0 and 1 are accepted", self.path())));
        }
        if bytes == 0 {
            return Ok(());
        }
        self.check_current()?;
        let pipeline = self.unit_pipeline();
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
    /// The layout of a decoded unit.
    strides: Vec<usize>,
    item_size: usize,
    frame: Frame<'a>,
    data: &'a [u8],
    scratch: Scratch,
    /// The new elements of a unit.
    unit: Vec<u8>,
    /// The old elements of a unit.
    decoded: Vec<u8>,
    /// The new stored bytes of a chunk.
    value: Vec<u8>,
}

impl Rewrite<'_> {
    /// Replaces a chunk. Its old bytes are seen in one read, so that they belong together.
    fn chunk(&mut self, chunk: &[u64]) -> Result<()> {
        let store = self.array.store();
        let key = self.array.key_of(chunk)?;
        let _lock = self.array.lock_chunk(chunk);
        let covered = self.frame.region.contains(&self.array.grid().region(chunk));
        let mut stored = None;
        if !covered {
            store.read(&key, ByteRange::All, &mut |old| {
                stored = Some(self.rebuild(chunk, Some(old))?);
                Ok(())
            })?;
        }
        let stored = match stored {
            Some(stored) => stored,
            None => self.rebuild(chunk, None).map_err(|error| error.at(&store.locate(&key)))?,
        };
        if stored { store.set(&key, &self.value) } else { store.erase(&key).map(|_| ()) }
    }

    /// Makes the new bytes of a chunk in `self.value`; returns whether there is anything to store.
    fn rebuild(&mut self, chunk: &[u64], old: Option<&[u8]>) -> Result<bool> {
        self.value.clear();
        match self.array.sharding() {
            None => self.rebuild_unit(chunk, old),
            Some(sharding) => self.rebuild_shard(sharding, chunk, old),
        }
    }

    /// Inner chunks that the region does not meet are copied as they are stored.
    fn rebuild_shard(&mut self, sharding: &Sharding, chunk: &[u64], old: Option<&[u8]>) -> Result<bool> {
        let old = match old {
            Some(bytes) => Some((bytes, sharding.decode_index(part(bytes, sharding.index_range())?, bytes.len() as u64)?)),
            None => None,
        };
        if sharding.index_at_start() {
            let index_bytes = to_usize(sharding.index_bytes());
            reserve(&mut self.value, index_bytes)?;
            self.value.resize(index_bytes, 0);
        }
        let mut index = ShardIndex::empty(sharding.unit_count());
        let mut stored = false;
        for unit in units_of_chunk(self.array, chunk).indices() {
            let within: Vec<u64> = unit.iter().zip(sharding.units_per_chunk()).map(|(unit, count)| unit % count).collect();
            let position = sharding.position(&within);
            let encoded = match &old {
                Some((bytes, index)) => {
                    index.get(position).map(|(offset, len)| part(bytes, ByteRange::From { offset, len })).transpose()?
                }
                None => None,
            };
            let start = self.value.len();
            if self.array.unit_grid().region(&unit).intersect(self.frame.region).is_some() {
                if !self.rebuild_unit(&unit, encoded)? {
                    continue;
                }
            } else if let Some(encoded) = encoded {
                check_stored_len(self.array, encoded.len() as u64)?;
                append(&mut self.value, encoded)?;
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

    /// Appends the new bytes of a unit that the region meets to `self.value`; returns false, and appends nothing, if it is all fill.
    fn rebuild_unit(&mut self, unit: &[u64], old: Option<&[u8]>) -> Result<bool> {
        let array = self.array;
        let inside = array.unit_grid().region(unit);
        let Some(common) = inside.intersect(self.frame.region) else { return Ok(false) };
        let origin = array.unit_grid().origin(unit);
        let (covered, clipped) = (common == inside, inside.shape() != self.pipeline.chunk_shape());
        let fill = &array.metadata().fill;
        if clipped || (!covered && old.is_none()) {
            fill.fill(&mut self.unit);
        }
        if let Some(old) = old.filter(|_| !covered) {
            check_stored_len(array, old.len() as u64)?;
            let decoded = self.pipeline.decode(old, &mut self.scratch, &mut self.decoded)?;
            // What lies beyond the edge of the array is not taken over.
            let layout = BoxLayout { offset: 0, strides: &self.strides };
            copy_box(inside.shape(), self.item_size, decoded, layout, &mut self.unit, layout);
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

/// A range of a value that is in memory.
fn part(bytes: &[u8], range: ByteRange) -> Result<&[u8]> {
    let found = match range {
        ByteRange::All => Some(bytes),
        ByteRange::From { offset, len } => offset.checked_add(len).and_then(|end| bytes.get(to_usize(offset)..to_usize(end))),
        ByteRange::Last { len } => bytes.len().checked_sub(to_usize(len)).and_then(|start| bytes.get(start..)),
    };
    found.ok_or_else(|| Error::corrupt(format!("{range:?} is asked for, but there are {} bytes", bytes.len())))
}
