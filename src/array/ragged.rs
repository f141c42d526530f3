//! Elements of variable length: text and byte strings, read and written as such.

use crate::array::read::ReadCounts;
use crate::array::write::{Old, Parts, Rewrite};
use crate::array::{Array, UnitReader};
use crate::buffer::reserve;
use crate::codec::{CodecPipeline, Scratch};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::ragged::{ENTRY_BYTES, Ragged};
use crate::region::{BoxLayout, Region, c_strides, element_count, to_usize};
use crate::store::ByteRange;

impl Array {
    /// The text of a region of a `string` array, in C order.
    ///
    /// # Errors
    /// As [`Array::read`], and [`Error::InvalidArgument`] where elements are not `string`.
    pub fn read_strings(&self, region: &Region) -> Result<Vec<String>> {
        self.check_kind(&DataType::String)?;
        let mut out = Vec::new();
        let elements = self.read_ragged(region)?;
        reserve(&mut out, elements.len())?;
        for element in elements.iter() {
            let text = str::from_utf8(element).map_err(|_| Error::corrupt("a string is not UTF-8").at(&self.path()))?;
            out.push(text.to_owned());
        }
        Ok(out)
    }

    /// The byte strings of a region of a `bytes` or `string` array, in C order.
    ///
    /// # Errors
    /// As [`Array::read`], and [`Error::InvalidArgument`] where elements are all of one size.
    pub fn read_byte_strings(&self, region: &Region) -> Result<Vec<Vec<u8>>> {
        let elements = self.read_ragged(region)?;
        let mut out = Vec::new();
        reserve(&mut out, elements.len())?;
        out.extend(elements.iter().map(<[u8]>::to_vec));
        Ok(out)
    }

    /// Writes text to a region of a `string` array, given in C order; otherwise as [`Array::write`].
    ///
    /// # Errors
    /// As [`Array::write`], and [`Error::InvalidArgument`] where elements are not `string`.
    pub fn write_strings(&self, region: &Region, data: &[impl AsRef<str>]) -> Result<()> {
        self.check_kind(&DataType::String)?;
        self.write_each(region, data.iter().map(|text| text.as_ref().as_bytes()))
    }

    /// Writes byte strings to a region of a `bytes` array, given in C order; otherwise as [`Array::write`].
    ///
    /// # Errors
    /// As [`Array::write`], and [`Error::InvalidArgument`] where elements are not `bytes`.
    pub fn write_byte_strings(&self, region: &Region, data: &[impl AsRef<[u8]>]) -> Result<()> {
        self.check_kind(&DataType::Bytes)?;
        self.write_each(region, data.iter().map(AsRef::as_ref))
    }

    /// The elements of a region.
    pub(crate) fn read_ragged(&self, region: &Region) -> Result<Ragged> {
        let read = self.read_ragged_within(region, u64::MAX, &mut ReadCounts::default());
        // A swap of the array explains a missing or an undecodable chunk better than the chunk does.
        match (self.check_current(), read) {
            (Err(stale @ Error::Stale { .. }), _) => Err(stale),
            (_, Err(error)) => Err(error),
            (current, Ok(elements)) => current.and_then(|()| elements.ok_or_else(|| Error::no_memory("strings"))),
        }
    }

    /// The elements of a region without looking whether the array is still there; none, early, if they take more than `limit_bytes`.
    pub(crate) fn read_ragged_within(&self, region: &Region, limit_bytes: u64, counts: &mut ReadCounts) -> Result<Option<Ragged>> {
        if !self.data_type().is_variable_length() {
            let what = format!("{}: elements are {}, all of one size; use the calls for those", self.path(), self.data_type());
            return Err(Error::invalid(what));
        }
        let mut out = Ragged::filled(self.check_region(region)? / ENTRY_BYTES, self.metadata().fill.as_bytes())?;
        let strides = c_strides(region.shape(), ENTRY_BYTES);
        let mut target = Target { region, strides: &strides, out: &mut out, limit_bytes };
        if region.is_empty() || self.read_into_table(&[], &mut target, counts)? { Ok(Some(out)) } else { Ok(None) }
    }

    /// Brings what a region has of this array, which begins at `origin` of the whole (an empty one stands for zeros), to a table; returns
    /// false as soon as that is larger than it may be.
    fn read_into_table(&self, origin: &[u64], target: &mut Target<'_>, counts: &mut ReadCounts) -> Result<bool> {
        let zeros = vec![0; self.shape().len()];
        let origin = if origin.is_empty() { &zeros } else { origin };
        let Some(wanted) = shifted(&Region::whole(self.shape()), origin)?.intersect(target.region) else { return Ok(true) };
        let wanted = wanted.relative_to(origin);
        let mut reader = self.grid().is_regular().then(|| UnitReader::new(self));
        for chunk in self.grid().chunks_over(&wanted).indices() {
            let Some(part) = self.grid().region(&chunk).intersect(&wanted) else { continue };
            let Some(reader) = &mut reader else {
                if !self.chunk_view(&chunk)?.read_into_table(&self.grid().origin(&chunk), target, counts)? {
                    return Ok(false);
                }
                continue;
            };
            for unit in self.unit_grid().chunks_over(&part).indices() {
                let Some(common) = self.unit_grid().region(&unit).intersect(&wanted) else { continue };
                let (elements, stored) = reader.read_ragged(&unit)?;
                let Some(elements) = elements else { continue };
                counts.decoded_units += 1;
                counts.decoded_bytes += (elements.heap_bytes() + elements.len() * ENTRY_BYTES) as u64;
                counts.read_bytes += stored;
                let unit_strides = self.unit_pipeline().strides();
                let from = BoxLayout::at(common.relative_to(&self.unit_grid().origin(&unit)).start(), &unit_strides);
                let at = shifted(&common, origin)?.relative_to(target.region.start());
                let to = BoxLayout::at(at.start(), target.strides);
                Ragged::copy_box(common.shape(), (&elements, from), (target.out, to))?;
                if target.out.heap_bytes() as u64 > target.limit_bytes {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn write_each<'d>(&self, region: &Region, data: impl ExactSizeIterator<Item = &'d [u8]>) -> Result<()> {
        self.check_writable()?;
        let count = self.check_region(region)? / ENTRY_BYTES;
        if data.len() != count {
            return Err(Error::invalid(format!("{}: region {region} has {count} elements, {} were given", self.path(), data.len())));
        }
        let mut elements = Ragged::default();
        for element in data {
            elements.push(element)?;
        }
        self.write_ragged(region, &elements)
    }

    /// Writes the elements of a region inside the array.
    fn write_ragged(&self, region: &Region, data: &Ragged) -> Result<()> {
        let _locks = self.lock_for_writing()?;
        self.check_unchanged()?;
        if region.is_empty() {
            return Ok(());
        }
        if self.grid().is_regular() {
            return self.rewrite_ragged(region, data);
        }
        let strides = c_strides(region.shape(), ENTRY_BYTES);
        for chunk in self.grid().chunks_over(region).indices() {
            let Some(common) = self.grid().region(&chunk).intersect(region) else { continue };
            let part = cut(data, (region, &strides), &common)?;
            self.chunk_view(&chunk)?.rewrite_ragged(&common.relative_to(&self.grid().origin(&chunk)), &part)?;
        }
        Ok(())
    }

    fn rewrite_ragged(&self, region: &Region, data: &Ragged) -> Result<()> {
        let parts = RaggedParts { array: self, region, strides: c_strides(region.shape(), ENTRY_BYTES), data, scratch: Scratch::default() };
        Rewrite::new(self, region, parts).run()
    }

    fn check_kind(&self, wanted: &DataType) -> Result<()> {
        if self.data_type() == wanted {
            return Ok(());
        }
        let (path, stored) = (self.path(), self.data_type());
        Err(Error::invalid(format!("{path}: elements are {stored}, not {wanted}; use the calls for {stored}")))
    }
}

/// The table that a region is read into.
struct Target<'a> {
    region: &'a Region,
    strides: &'a [usize],
    out: &'a mut Ragged,
    limit_bytes: u64,
}

/// A region of a part of an array that begins at `origin`, in the whole array.
fn shifted(region: &Region, origin: &[u64]) -> Result<Region> {
    let start: Vec<u64> = region.start().iter().zip(origin).map(|(start, origin)| start + origin).collect();
    Region::new(start, region.shape())
}

/// The box `common` of a table that holds `region`, as a table of its own.
pub(crate) fn cut(data: &Ragged, (region, strides): (&Region, &[usize]), common: &Region) -> Result<Ragged> {
    let mut part = Ragged::filled(to_usize(element_count(common.shape()).unwrap_or(u64::MAX)), &[])?;
    let own = c_strides(common.shape(), ENTRY_BYTES);
    let from = BoxLayout::at(common.relative_to(region.start()).start(), strides);
    Ragged::copy_box(common.shape(), (data, from), (&mut part, BoxLayout { offset: 0, strides: &own }))?;
    Ok(part)
}

/// Elements of variable length on their way into the parts of an array.
struct RaggedParts<'a> {
    array: &'a Array,
    region: &'a Region,
    strides: Vec<usize>,
    data: &'a Ragged,
    scratch: Scratch,
}

impl Parts for RaggedParts<'_> {
    fn rebuild(&mut self, part: &[u64], old: Option<Old<'_>>, value: &mut Vec<u8>) -> Result<bool> {
        let (array, pipeline): (_, &CodecPipeline) = (self.array, self.array.part_pipeline());
        let inside = array.part_grid().region(part);
        let Some(common) = inside.intersect(self.region) else { return Ok(false) };
        let (fill, layout) = (array.metadata().fill.as_bytes(), pipeline.strides());
        let layout = BoxLayout { offset: 0, strides: &layout };
        let mut unit = Ragged::filled(pipeline.chunk_bytes() / ENTRY_BYTES, fill)?;
        if let Some(old) = old.filter(|_| common != inside) {
            old.value.read(ByteRange::From { offset: old.offset, len: old.len }, &mut |encoded| {
                match pipeline.decode_ragged(encoded, &mut self.scratch)? {
                    // What lies beyond the edge of the array is not taken over.
                    Some(decoded) => Ragged::copy_box(inside.shape(), (&decoded, layout), (&mut unit, layout)),
                    None => Ok(()),
                }
            })?;
        }
        let from = BoxLayout::at(common.relative_to(self.region.start()).start(), &self.strides);
        let to = BoxLayout::at(common.relative_to(&array.part_grid().origin(part)).start(), layout.strides);
        Ragged::copy_box(common.shape(), (self.data, from), (&mut unit, to))?;
        if unit.iter().all(|element| element == fill) {
            return Ok(false);
        }
        pipeline.encode_ragged(&unit, &mut self.scratch, &mut |bytes| crate::buffer::append(value, bytes))?;
        Ok(true)
    }
}
