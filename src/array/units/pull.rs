//! A unit read slab after slab, for units larger than memory.

use crate::array::Array;
use crate::array::units::UnitReader;
use crate::array::units::reader::place;
use crate::codec::{HEAD_BYTES, Source, StreamDecoder, WINDOW_BYTES};
use crate::error::{Error, Result};
use crate::store::{ByteRange, Value};

/// The decoded bytes of one unit, in the order of its decoded memory (the strides of the unit pipeline). It has a handle of its own, so that it
/// goes on whatever its reader does, and reads one value whatever writers do to the key.
pub(crate) struct UnitStream {
    decoder: StreamDecoder<'static>,
    /// The unit, for messages.
    name: String,
    stored_bytes: u64,
}

/// The encoded bytes of a unit, within an open value.
struct UnitSource {
    value: Box<dyn Value>,
    offset: u64,
    len: u64,
}

/// A unit that has been found.
struct Found {
    source: UnitSource,
    name: String,
}

impl UnitReader {
    /// Begins to read a unit slab after slab with at most `memory` bytes, as a rule [`UnitReader::stream_memory`]; none if the unit is missing.
    ///
    /// # Errors
    /// Those of [`UnitReader::read`]. [`Error::Unsupported`] for codecs that must have all of a unit at once. [`Error::BudgetTooSmall`], in numbers of
    /// this stream alone, for a unit that asks for more memory: [`UnitReader::stream_needs`].
    pub(crate) fn stream(&self, unit: &[u64], memory: u64) -> Result<Option<UnitStream>> {
        let array = self.array();
        let Some(Found { source, name }) = find(array, unit)? else { return Ok(None) };
        let (around, stored_bytes) = (around(array), source.len);
        let decoder = StreamDecoder::new(array.unit_pipeline(), source, memory.saturating_sub(around)).map_err(|error| match error {
            Error::BudgetTooSmall { required_bytes, what, .. } => Error::BudgetTooSmall {
                required_bytes: required_bytes.saturating_add(around),
                budget_bytes: memory,
                what: format!("{name}: {what}"),
            },
            other => other.at(&name),
        })?;
        Ok(Some(UnitStream { decoder, name, stored_bytes }))
    }

    /// The `memory` that [`UnitReader::stream`] takes for this very unit, by what it begins with; 0 if it is missing.
    ///
    /// # Errors
    /// Those of the store and of shard indexes.
    pub(crate) fn stream_needs(&self, unit: &[u64]) -> Result<u64> {
        let array = self.array();
        let Some(Found { mut source, .. }) = find(array, unit)? else { return Ok(0) };
        let mut head = [0; HEAD_BYTES];
        let head = &mut head[..usize::try_from(source.len).unwrap_or(HEAD_BYTES).min(HEAD_BYTES)];
        source.read(0, head)?;
        Ok(array.unit_pipeline().frame_memory(head).saturating_add(around(array)))
    }

    /// Upper bound in bytes of what one stream of units of this array takes beside the slabs, for units as encoders make them at the level that
    /// the codecs say.
    pub(crate) fn stream_memory(array: &Array) -> u64 {
        array.unit_pipeline().stream_decode_memory().saturating_add(around(array))
    }
}

/// What a stream takes beside its codecs: the indexes that lead to the unit, and its own state.
fn around(array: &Array) -> u64 {
    const STATE_BYTES: u64 = 4096;
    UnitReader::held_bytes(array).saturating_add(STATE_BYTES)
}

/// Opens the chunk of a unit anew, and finds the unit in it.
fn find(array: &Array, unit: &[u64]) -> Result<Option<Found>> {
    let mut held = Vec::new();
    let Some(place) = place(array, &mut held, (1, false), unit)? else { return Ok(None) };
    let (name, (offset, len)) = (place.describe(unit), place.extent());
    let value = held.pop().and_then(|held| held.value);
    Ok(value.map(|value| Found { source: UnitSource { value, offset, len }, name }))
}

impl Source for UnitSource {
    fn size(&self) -> u64 {
        self.len
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut offset = self.offset.saturating_add(offset);
        // A store may have a copy of what it shows, which is to be small.
        for out in out.chunks_mut(WINDOW_BYTES) {
            let len = out.len() as u64;
            self.value.read(ByteRange::From { offset, len }, &mut |bytes| {
                out.copy_from_slice(bytes);
                Ok(())
            })?;
            offset = offset.saturating_add(len);
        }
        Ok(())
    }
}

impl UnitStream {
    /// Fills `out` with the next decoded bytes; slabs have any size.
    ///
    /// # Errors
    /// Those of [`UnitReader::read`]; [`Error::InvalidArgument`] for more than is left of the unit. What was given before is not certain until
    /// [`UnitStream::finish`] has seen the end.
    pub(crate) fn next(&mut self, out: &mut [u8]) -> Result<()> {
        self.decoder.next(out).map_err(|error| error.at(&self.name))
    }

    /// Passes over the next `bytes` decoded bytes: for nothing where there are no codecs, and over whole blocks of blosc.
    ///
    /// # Errors
    /// As [`UnitStream::next`].
    pub(crate) fn skip(&mut self, bytes: u64) -> Result<()> {
        self.decoder.skip(bytes).map_err(|error| error.at(&self.name))
    }

    /// Checks what stands behind the last byte, all checksums among it; returns the stored bytes of the unit.
    ///
    /// # Errors
    /// As [`UnitStream::next`]; [`Error::InvalidArgument`] if any of the unit is left.
    pub(crate) fn finish(self) -> Result<u64> {
        self.decoder.finish().map_err(|error| error.at(&self.name))?;
        Ok(self.stored_bytes)
    }
}
