//! Reads boxes of elements.

use std::ops::Range;

use crate::array::window::{part_ranges, windows};
use crate::array::{Array, Element, UnitReader};
use crate::buffer::zeroed;
use crate::codec::{CodecPipeline, Scratch};
use crate::dtype::FillValue;
use crate::error::{Error, Result};
use crate::region::{BoxLayout, Region, c_strides, copy_box, to_usize};

impl Array {
    /// The elements of a region, in C order. Elements that were never written are the fill value.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when `T` does not stand for the array's data type, or the region reaches outside the array; [`Error::Io`] of the
    /// operation "allocate" when there is no memory for the result; [`Error::Stale`] when the array is no longer the one that was opened; those of reading and decoding chunks.
    pub fn read<T: Element>(&self, region: &Region) -> Result<Vec<T>> {
        self.check_element::<T>()?;
        let bytes = self.check_region(region)?;
        let mut out = zeroed::<T>(bytes / size_of::<T>())?;
        self.receive(region, &mut out)?;
        Ok(out)
    }

    /// Reads a region into `out`, which has as many elements, in C order.
    ///
    /// # Errors
    /// As [`Array::read`]. After an error, what `out` holds is unspecified.
    pub fn read_into<T: Element>(&self, region: &Region, out: &mut [T]) -> Result<()> {
        self.check_element::<T>()?;
        self.check_region(region)?;
        self.receive(region, out)
    }

    /// The elements of a region as bytes: C order, the machine's byte order.
    ///
    /// # Errors
    /// As [`Array::read`].
    pub fn read_bytes(&self, region: &Region) -> Result<Vec<u8>> {
        self.check_fixed_length()?;
        let mut out = zeroed(self.check_region(region)?)?;
        self.read_bytes_into(region, &mut out)?;
        Ok(out)
    }

    /// Reads a region as [`Array::read_bytes`] returns it into `out`, which has exactly as many bytes.
    ///
    /// Each chunk that meets the region is decoded once, each inner chunk of a shard on its own; of uncompressed chunks only the bytes that are
    /// needed are read, and of chunks compressed by blosc alone only the blocks that hold them are decoded. Beyond `out`, one decoded chunk (inner
    /// chunk) is in memory.
    ///
    /// # Errors
    /// As [`Array::read_into`].
    pub fn read_bytes_into(&self, region: &Region, out: &mut [u8]) -> Result<()> {
        self.check_fixed_length()?;
        let bytes = self.check_region(region)?;
        if out.len() != bytes {
            return Err(Error::invalid(format!("{}: region {region} takes {bytes} bytes, the buffer has {}", self.path(), out.len())));
        }
        if bytes == 0 {
            return Ok(());
        }
        let read = self.read_chunks(region, out, &mut ReadCounts::default());
        // A swap of the array explains a missing or an undecodable chunk better than the chunk does.
        match (self.check_current(), read) {
            (Err(stale @ Error::Stale { .. }), _) => Err(stale),
            (_, Err(error)) => Err(error),
            (current, Ok(())) => current,
        }
    }

    fn receive<T: Element>(&self, region: &Region, out: &mut [T]) -> Result<()> {
        T::receive(out, &mut |bytes| self.read_bytes_into(region, bytes)).map_err(|error| error.at(&self.path()))
    }

    /// As [`Array::read_bytes_into`] for a region inside the array and a buffer of its size, without looking whether the array is still there.
    pub(crate) fn read_chunks(&self, region: &Region, out: &mut [u8], counts: &mut ReadCounts) -> Result<()> {
        let strides = c_strides(region.shape(), self.data_type().item_size());
        let whole = BoxLayout { offset: 0, strides: &strides };
        let mut scratch = Scratch::default();
        if self.grid().is_regular() {
            return self.read_units(region, (out, whole), &mut scratch, counts);
        }
        for chunk in self.grid().chunks_over(region).indices() {
            let Some(common) = self.grid().region(&chunk).intersect(region) else { continue };
            let to = BoxLayout::at(common.relative_to(region.start()).start(), &strides);
            let within = common.relative_to(&self.grid().origin(&chunk));
            self.chunk_view(&chunk)?.read_units(&within, (&mut *out, to), &mut scratch, counts)?;
        }
        Ok(())
    }

    /// Goes chunk by chunk, and unit by unit within a chunk, so that each shard index is read once.
    fn read_units(
        &self,
        region: &Region,
        (out, to): (&mut [u8], BoxLayout<'_>),
        scratch: &mut Scratch,
        counts: &mut ReadCounts,
    ) -> Result<()> {
        let pipeline = self.unit_pipeline();
        let mut target = Target {
            array: self,
            pipeline,
            unit_strides: pipeline.strides(),
            item_size: self.data_type().item_size(),
            region,
            to,
            reader: UnitReader::new(self).with_scratch(std::mem::take(scratch)),
            out,
            counts,
        };
        for chunk in self.grid().chunks_over(region).indices() {
            if let Some(part) = self.grid().region(&chunk).intersect(region) {
                for unit in self.unit_grid().chunks_over(&part).indices() {
                    target.take_unit(&unit)?;
                }
            }
        }
        *scratch = target.reader.into_scratch();
        Ok(())
    }
}

/// The buffer that a region is read into.
struct Target<'a> {
    array: &'a Array,
    pipeline: &'a CodecPipeline,
    unit_strides: Vec<usize>,
    item_size: usize,
    region: &'a Region,
    /// Where the region lies in the buffer.
    to: BoxLayout<'a>,
    reader: UnitReader,
    out: &'a mut [u8],
    counts: &'a mut ReadCounts,
}

/// What reading took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadCounts {
    /// Units decoded, and their size in bytes; of units that are stored as they are, the bytes that were read.
    pub(crate) decoded_units: u64,
    pub(crate) decoded_bytes: u64,
    /// Stored bytes read.
    pub(crate) read_bytes: u64,
}

impl Target<'_> {
    /// Brings what the region has of a unit to its place.
    fn take_unit(&mut self, unit: &[u64]) -> Result<()> {
        let Some(common) = self.array.unit_grid().region(unit).intersect(self.region) else { return Ok(()) };
        let origin = self.array.unit_grid().origin(unit);
        let within = common.relative_to(&origin);
        let offset = self.to.offset + BoxLayout::at(common.relative_to(self.region.start()).start(), self.to.strides).offset;
        if self.pipeline.is_identity() {
            return self.take_windows(unit, &within, offset);
        }
        let parts = self.parts(&within)?;
        let (unit_strides, item_size, strides) = (&self.unit_strides, self.item_size, self.to.strides);
        let (fill, out, counts) = (&self.array.metadata().fill, &mut *self.out, &mut *self.counts);
        counts.read_bytes += self.reader.read_parts(unit, parts.as_deref(), &mut |data| {
            match data {
                None => fill_box(within.shape(), item_size, fill, out, BoxLayout { offset, strides }),
                Some(data) => {
                    counts.decoded_units += 1;
                    counts.decoded_bytes += data.len() as u64;
                    let from = BoxLayout::at(within.start(), unit_strides);
                    copy_box(within.shape(), item_size, data, from, out, BoxLayout { offset, strides });
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    /// The byte ranges that hold the box `within` of a decoded unit, if they can be decoded for less than the whole.
    fn parts(&self, within: &Region) -> Result<Option<Vec<Range<usize>>>> {
        if !self.pipeline.decodes_parts() || within.shape() == self.pipeline.chunk_shape() {
            return Ok(None);
        }
        let parts = part_ranges(within, &self.unit_strides, self.item_size)?;
        Ok(Some(parts))
    }

    /// Reads the byte ranges that hold the box `within` of a unit that is stored as it is; the box begins at `offset` of the buffer.
    fn take_windows(&mut self, unit: &[u64], within: &Region, offset: usize) -> Result<()> {
        let (unit_strides, item_size, strides) = (&self.unit_strides, self.item_size, self.to.strides);
        let (fill, out) = (&self.array.metadata().fill, &mut *self.out);
        let Some(place) = self.reader.place(unit)? else {
            fill_box(within.shape(), item_size, fill, out, BoxLayout { offset, strides });
            return Ok(());
        };
        self.counts.decoded_units += 1;
        let counts = &mut *self.counts;
        windows(within, unit_strides, item_size, &mut |window| {
            counts.decoded_bytes += window.len as u64;
            counts.read_bytes += window.len as u64;
            let offset = offset + BoxLayout::at(window.region.relative_to(within.start()).start(), strides).offset;
            place.read_part(window.offset, window.len, &mut |bytes| {
                let from = BoxLayout { offset: 0, strides: unit_strides };
                copy_box(window.region.shape(), item_size, bytes, from, out, BoxLayout { offset, strides });
                Ok(())
            })
        })
    }
}

/// Sets a box of a buffer to the fill value. Runs that are contiguous in the buffer are set as one.
fn fill_box(shape: &[u64], item_size: usize, fill: &FillValue, out: &mut [u8], to: BoxLayout<'_>) {
    let (mut run, mut outer) = (item_size, shape.len());
    while outer > 0 && (to.strides[outer - 1] == run || shape[outer - 1] == 1) {
        outer -= 1;
        run *= to_usize(shape[outer]);
    }
    for index in Region::whole(&shape[..outer]).indices() {
        let start = to.offset + BoxLayout::at(&index, &to.strides[..outer]).offset;
        fill.fill(&mut out[start..start + run]);
    }
}
