//! Whole shards of elements of variable length.

use super::{ShardIndex, Sharding, part};
use crate::buffer::append;
use crate::codec::scratch::Scratch;
use crate::codec::vlen::most_bytes;
use crate::dtype::FillValue;
use crate::error::{Error, Result};
use crate::ragged::{ENTRY_BYTES, Ragged};
use crate::region::{BoxLayout, element_count, to_usize};

impl Sharding {
    /// Decodes a whole shard into a table laid out by `strides`; missing inner chunks become `fill`. None if all are missing.
    pub(in crate::codec) fn decode_ragged(
        &self,
        encoded: &[u8],
        (fill, strides): (&FillValue, &[usize]),
        scratch: &mut Scratch,
    ) -> Result<Option<Ragged>> {
        let index = self.index_of(encoded)?;
        if index.is_empty() {
            return Ok(None);
        }
        let stored = encoded.len() as u64;
        let most = most_bytes(self.element_count() as u64, stored).saturating_add(fill.as_bytes().len() as u64);
        let mut shard = None;
        self.each_unit(strides, |unit, position, offset| {
            let Some((from, len)) = index.get(position) else { return Ok(()) };
            let encoded = part(encoded, from, len).ok_or_else(|| Error::corrupt("an inner chunk outside its shard"))?;
            let decoded = self.unit.decode_ragged(encoded, scratch).map_err(|error| Self::name_unit(unit, error))?;
            let Some(decoded) = decoded else { return Ok(()) };
            let shard = match &mut shard {
                Some(shard) => shard,
                None => shard.insert(Ragged::filled(self.element_count(), fill.as_bytes())?),
            };
            let (from, to) = (BoxLayout { offset: 0, strides: &self.unit.strides }, BoxLayout { offset, strides });
            Ragged::copy_box(self.unit_shape(), (&decoded, from), (&mut *shard, to))?;
            // Inner chunks may share bytes of the shard, so that a few of these could stand for any number of elements.
            if shard.heap_bytes() as u64 > most {
                return Err(Error::corrupt(format!("strings: the elements of a shard of {stored} bytes take more than {most} bytes")));
            }
            Ok(())
        })?;
        Ok(shard)
    }

    /// Encodes the whole shard in a table laid out by `strides` to `out`, whose old contents go. Inner chunks that are all `fill` are left out.
    pub(in crate::codec) fn encode_ragged(
        &self,
        elements: &Ragged,
        (fill, strides): (&FillValue, &[usize]),
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let mut index = ShardIndex::empty(self.unit_count())?;
        let mut bodies = Vec::new();
        let start = if self.index_at_start { self.index_bytes() } else { 0 };
        self.each_unit(strides, |unit, position, offset| {
            let mut inner = Ragged::filled(self.unit.chunk_bytes() / ENTRY_BYTES, b"")?;
            let (from, to) = (BoxLayout { offset, strides }, BoxLayout { offset: 0, strides: &self.unit.strides });
            Ragged::copy_box(self.unit_shape(), (elements, from), (&mut inner, to))?;
            if inner.iter().all(|element| element == fill.as_bytes()) {
                return Ok(());
            }
            let begin = bodies.len();
            let encoded = self.unit.encode_ragged(&inner, scratch, &mut |piece| append(&mut bodies, piece));
            encoded.map_err(|error| Self::name_unit(unit, error))?;
            index.set(position, start + begin as u64, (bodies.len() - begin) as u64);
            Ok(())
        })?;
        let index = self.encode_index(&index)?;
        let (first, second) = if self.index_at_start { (index, bodies) } else { (bodies, index) };
        out.clear();
        append(out, &first)?;
        append(out, &second)
    }

    /// Number of elements of a shard.
    pub(super) fn element_count(&self) -> usize {
        let units = element_count(&self.units_per_chunk);
        to_usize(units.and_then(|units| units.checked_mul(element_count(self.unit_shape())?)).unwrap_or(u64::MAX))
    }
}
