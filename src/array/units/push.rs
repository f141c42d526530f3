//! A unit written slab after slab, for units larger than memory.

use crate::array::Array;
use crate::array::units::chunk_of;
use crate::array::units::writer::{Pieces, UnitWriter, Written};
use crate::buffer::make_room;
use crate::codec::{PIECE_BYTES, Patch, StreamEncoder};
use crate::error::{Error, Result};
use crate::store::Key;

/// Room for fill that is written later than it was given.
const FILL_BYTES: usize = 64 << 10;

/// One unit in the making: its decoded bytes in the order of its decoded memory (the strides of the unit pipeline), all of them, with fill beyond
/// the edge of the array.
///
/// Invariants
/// 1. Nothing is written, and no shard is taken, as long as all that was given is fill: that is only counted.
/// 2. While `begun` is there, the end of its shard belongs to this unit: nothing else is written to that shard.
pub(crate) struct StreamedUnit<'w> {
    writer: &'w UnitWriter,
    unit: Vec<u64>,
    /// Bytes of fill that were given before anything else.
    fill_bytes: u64,
    begun: Option<Begun>,
}

/// A unit of which something is stored.
struct Begun {
    encoder: StreamEncoder,
    key: Key,
    /// Where the unit begins in its value, and where its next bytes go.
    start: u64,
    offset: u64,
    pending: Vec<u8>,
    /// Elements that are fill.
    fill: Vec<u8>,
}

impl UnitWriter {
    /// Begins a unit that is given slab after slab. Of a shard one unit at a time can be in the making, and no other of its units be written
    /// meanwhile (left out they may be).
    ///
    /// # Errors
    /// [`Error::Unsupported`] for codecs that must have all of a unit at once.
    pub(crate) fn stream(&self, unit: &[u64]) -> Result<StreamedUnit<'_>> {
        self.array().unit_pipeline().check_encodes_stream()?;
        Ok(StreamedUnit { writer: self, unit: unit.to_vec(), fill_bytes: 0, begun: None })
    }

    /// Upper bound in bytes of what one streamed unit takes beside the slabs, and beside [`UnitWriter::memory_bytes_per_open_shard`].
    pub(crate) fn stream_memory(array: &Array) -> u64 {
        const STATE_BYTES: u64 = 4096;
        let buffers = PIECE_BYTES + FILL_BYTES.max(array.metadata().fill.as_bytes().len());
        array.unit_pipeline().stream_encode_memory().saturating_add(buffers as u64 + STATE_BYTES)
    }
}

impl StreamedUnit<'_> {
    /// Takes the next bytes of the unit: whole elements, any number of them.
    ///
    /// # Errors
    /// Those of the store; [`Error::InvalidArgument`] for more bytes than a unit has. The unit can then only be dropped.
    ///
    /// # Panics
    /// For parts of elements, and for the first slab that is not fill, if another unit of the same shard is in the making.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        assert!(bytes.len().is_multiple_of(self.writer.array().data_type().item_size()), "whole elements");
        if self.begun.is_none() {
            if self.writer.array().metadata().fill.is_all_fill(bytes) {
                return self.push_fill(bytes.len() as u64);
            }
            let held_back = self.fill_bytes;
            let begun = self.begun.insert(Begun::new(self.writer, &self.unit)?);
            begun.push_fill(self.writer, held_back)?;
        }
        self.begun.as_mut().map_or(Ok(()), |begun| begun.push(self.writer, bytes))
    }

    /// Takes so many bytes of fill, whole elements, as the next ones.
    ///
    /// # Errors
    /// As [`StreamedUnit::push`].
    pub(crate) fn push_fill(&mut self, bytes: u64) -> Result<()> {
        match &mut self.begun {
            Some(begun) => begun.push_fill(self.writer, bytes),
            None => {
                self.fill_bytes = self.fill_bytes.saturating_add(bytes);
                Ok(())
            }
        }
    }

    /// Completes the unit. One that is all fill is not stored.
    ///
    /// # Errors
    /// As [`StreamedUnit::push`]; [`Error::InvalidArgument`] if not all of the unit was given.
    pub(crate) fn finish(mut self) -> Result<Written> {
        let Some(mut begun) = self.begun.take() else {
            let expected = self.writer.array().unit_pipeline().chunk_bytes();
            if self.fill_bytes != expected as u64 {
                return Err(Error::invalid(format!("{} bytes for a chunk of {expected}", self.fill_bytes)));
            }
            return self.writer.skip(&self.unit);
        };
        let encoder = begun.encoder;
        let mut pieces =
            Pieces { store: &**self.writer.array().store(), key: &begun.key, offset: begun.offset, pending: &mut begun.pending };
        let patch = encoder.finish(&mut |bytes| pieces.push(bytes));
        let end = patch.and_then(|patch| Ok((patch, pieces.finish()?)));
        let (patch, end) = end.inspect_err(|_| self.release(begun.offset))?;
        if let Some(Patch { offset, bytes }) = patch {
            let written = self.writer.array().store().write_at(&begun.key, begun.start.saturating_add(offset), &bytes);
            written.inspect_err(|_| self.release(end))?;
        }
        self.release(end);
        self.writer.complete_streamed(&self.unit, begun.start, end)
    }

    /// Lets the shard go on at `end`.
    fn release(&self, end: u64) {
        if let Some(sharding) = self.writer.array().sharding() {
            self.writer.release_end(&chunk_of(&self.unit, sharding.units_per_chunk()).0, end);
        }
    }
}

impl Drop for StreamedUnit<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun.take() {
            self.release(begun.offset);
        }
    }
}

impl Begun {
    fn new(writer: &UnitWriter, unit: &[u64]) -> Result<Self> {
        let array = writer.array();
        let encoder = StreamEncoder::new(array.unit_pipeline())?;
        let element = array.metadata().fill.as_bytes();
        let (mut pending, mut fill) = (Vec::new(), Vec::new());
        make_room(&mut pending, PIECE_BYTES)?;
        make_room(&mut fill, (FILL_BYTES - FILL_BYTES % element.len().max(1)).max(element.len()))?;
        fill.extend(element.iter().cycle().take((FILL_BYTES / element.len().max(1)).max(1) * element.len()));
        let chunk = array.sharding().map_or_else(|| unit.to_vec(), |sharding| chunk_of(unit, sharding.units_per_chunk()).0);
        let key = array.key_of(&chunk)?;
        let start = match array.sharding() {
            Some(sharding) => writer.take_end(sharding, &chunk)?,
            None => writer.clear(&chunk).map(|()| 0)?,
        };
        Ok(Self { encoder, key, start, offset: start, pending, fill })
    }

    fn push(&mut self, writer: &UnitWriter, bytes: &[u8]) -> Result<()> {
        let Self { encoder, key, offset, pending, .. } = self;
        let mut pieces = Pieces { store: &**writer.array().store(), key, offset: *offset, pending };
        let pushed = encoder.push(bytes, &mut |bytes| pieces.push(bytes));
        *offset = pieces.offset;
        pushed
    }

    fn push_fill(&mut self, writer: &UnitWriter, mut bytes: u64) -> Result<()> {
        let fill = std::mem::take(&mut self.fill);
        let mut pushed = Ok(());
        while bytes > 0 && pushed.is_ok() {
            let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(fill.len());
            pushed = self.push(writer, &fill[..len]);
            bytes -= len as u64;
        }
        self.fill = fill;
        pushed
    }
}
