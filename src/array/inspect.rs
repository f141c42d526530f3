//! Looks at all that one stored chunk holds, and says what is wrong with it where, rather than stopping at the first fault.
//!
//! Invariants
//! 1. The work is bounded by what is stored: bytes that several inner chunks share are decoded once.
//! 2. In memory is one unit at a time, with the indexes of the shards around it.

use crate::array::units::{check_stored_len, read_index};
use crate::array::{Array, UnitReader};
use crate::codec::{CodecPipeline, Scratch, ShardIndex, Sharding};
use crate::error::{Error, Result};
use crate::store::{ByteRange, Value};

/// What is wrong with a stored chunk, or with an inner chunk in it.
#[derive(Debug)]
pub(crate) struct ChunkFault {
    pub(crate) kind: ChunkFaultKind,
    /// Index of the inner chunk among all of its level in the array; none for the chunk as a whole.
    pub(crate) inner: Option<Vec<u64>>,
    /// Where in the stored value it lies, in bytes.
    pub(crate) offset: u64,
    pub(crate) error: Error,
}

/// Kinds of faults, by what a reader would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChunkFaultKind {
    /// A shard is too short for its index.
    TornShard,
    /// An index says what cannot be.
    Index,
    /// The checksum of an index differs.
    IndexChecksum,
    /// More or fewer bytes are stored than its codecs can make.
    Size,
    /// A checksum of the codecs differs.
    Checksum,
    /// The codecs cannot decode it.
    Undecodable,
    /// It needs what this build does not have, or more memory than there is.
    Unsupported,
    /// The store cannot read it.
    Unreadable,
    /// Several inner chunks share bytes.
    Overlap,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inspected {
    /// Units that were decoded.
    pub(crate) units: u64,
    /// Size of the stored value in bytes.
    pub(crate) stored_bytes: u64,
}

/// Decodes chunks one after the other; one a thread.
#[derive(Default)]
pub(crate) struct ChunkInspector {
    scratch: Scratch,
    decoded: Vec<u8>,
}

/// A range of a value that is a chunk of some level, its index there, and its first element.
struct Stored<'a> {
    value: &'a dyn Value,
    index: Vec<u64>,
    origin: Vec<u64>,
    offset: u64,
    len: u64,
    /// Whether it is the stored value itself, and no inner chunk.
    outermost: bool,
}

impl Stored<'_> {
    fn fault(&self, kind: ChunkFaultKind, error: Error) -> ChunkFault {
        ChunkFault { kind, inner: (!self.outermost).then(|| self.index.clone()), offset: self.offset, error }
    }
}

type Report<'a> = &'a mut dyn FnMut(ChunkFault) -> Result<()>;

impl ChunkInspector {
    /// Upper bound in bytes of what looking at one chunk of this array takes at any time.
    pub(crate) fn memory_bytes(array: &Array) -> u64 {
        // The positions of inner chunks in the order of their places, at each level.
        let order = |sharding: &Sharding| sharding.unit_count() as u64 * 4;
        let levels = std::iter::successors(array.sharding(), |sharding| sharding.unit_pipeline().sharding());
        UnitReader::memory_bytes(array).saturating_add(levels.map(order).fold(0, u64::saturating_add))
    }

    /// Looks at the chunk of the grid at `chunk`, and calls `report` for each fault; returns what was looked at, or none if it is missing.
    ///
    /// # Errors
    /// Those of `report`. Whatever the store gives is a fault.
    pub(crate) fn inspect(&mut self, array: &Array, chunk: &[u64], report: Report<'_>) -> Result<Option<Inspected>> {
        let mut whole = |error| {
            report(ChunkFault { kind: ChunkFaultKind::Unreadable, inner: None, offset: 0, error }).map(|()| Some(Inspected::default()))
        };
        let value = match array.tree_key(chunk).and_then(|key| array.store().open(&key)) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(None),
            Err(error) => return whole(error),
        };
        if let Err(error) = value.verify() {
            whole(error)?;
        }
        // In a rectilinear grid each chunk has a shape, and so codecs, of its own.
        let own = if array.grid().is_regular() { None } else { Some(array.metadata().of_chunk(chunk)) };
        let own = match own.transpose() {
            Ok(own) => own,
            Err(error) => return whole(error),
        };
        let pipeline = own.as_ref().map_or(&array.metadata().codecs, |metadata| &metadata.codecs);
        let mut seen = Inspected { units: 0, stored_bytes: value.size() };
        let origin = array.grid().origin(chunk);
        let stored = Stored { value: &*value, index: chunk.to_vec(), origin, offset: 0, len: value.size(), outermost: true };
        self.look(pipeline, &stored, array.data_type().is_variable_length(), &mut seen, report)?;
        Ok(Some(seen))
    }

    fn look(
        &mut self,
        pipeline: &CodecPipeline,
        stored: &Stored<'_>,
        ragged: bool,
        seen: &mut Inspected,
        report: Report<'_>,
    ) -> Result<()> {
        let Some(sharding) = pipeline.sharding() else {
            seen.units += 1;
            return self.decode(pipeline, stored, ragged).map_or(Ok(()), &mut *report);
        };
        let index = match index_of(sharding, stored) {
            Ok(index) => index,
            Err(fault) => return report(fault),
        };
        let order = in_order(&index, sharding.unit_count())?;
        let inner = |position: u32, (offset, len): (u64, u64)| {
            let within = sharding.unit_at(u64::from(position));
            // Shards may differ in size, but inner chunks do not. Inside the grid of the array this does not overflow; what reaches beyond it
            // is only named.
            let first = |((first, unit), edge): ((&u64, &u64), &u64)| first.saturating_add(unit.saturating_mul(*edge));
            let origin: Vec<u64> = stored.origin.iter().zip(&within).zip(sharding.unit_shape()).map(first).collect();
            let index = origin.iter().zip(sharding.unit_shape()).map(|(first, edge)| first / edge).collect();
            Stored { value: stored.value, index, origin, offset: stored.offset.saturating_add(offset), len, outermost: false }
        };
        let (mut reached, mut shared) = (0, None);
        for &position in &order {
            let Some((offset, len)) = index.get(position as usize) else { continue };
            if offset < reached {
                let (count, first) = shared.get_or_insert((0_u64, inner(position, (offset, len))));
                (*count, _) = (*count + 1, first);
                continue;
            }
            reached = offset.saturating_add(len);
            self.look(sharding.unit_pipeline(), &inner(position, (offset, len)), ragged, seen, report)?;
        }
        let Some((count, first)) = shared else { return Ok(()) };
        let what = format!("{count} inner chunks share bytes with others and were not decoded for themselves; this is the first");
        report(first.fault(ChunkFaultKind::Overlap, Error::corrupt(what)))
    }

    /// What is wrong with a unit.
    fn decode(&mut self, pipeline: &CodecPipeline, stored: &Stored<'_>, ragged: bool) -> Option<ChunkFault> {
        if let Err(error) = check_stored_len(pipeline, stored.len) {
            return Some(stored.fault(ChunkFaultKind::Size, error));
        }
        let mut fault = None;
        let read = stored.value.read(ByteRange::From { offset: stored.offset, len: stored.len }, &mut |encoded| {
            let decoded = if ragged {
                pipeline.decode_ragged(encoded, &mut self.scratch).map(drop)
            } else {
                pipeline.decode(encoded, &mut self.scratch, &mut self.decoded).map(drop)
            };
            fault = decoded.err();
            Ok(())
        });
        match (read, fault) {
            (Err(error), _) => Some(stored.fault(ChunkFaultKind::Unreadable, error)),
            (Ok(()), Some(error)) => {
                let kind = match &error {
                    Error::ChecksumMismatch { .. } => ChunkFaultKind::Checksum,
                    Error::Unsupported { .. } | Error::Io { .. } => ChunkFaultKind::Unsupported,
                    _ => ChunkFaultKind::Undecodable,
                };
                Some(stored.fault(kind, error))
            }
            (Ok(()), None) => None,
        }
    }
}

/// The index of a shard, or what is wrong with it.
fn index_of(sharding: &Sharding, stored: &Stored<'_>) -> Result<ShardIndex, ChunkFault> {
    let at = match sharding.index_place(stored.len) {
        Ok((at, _)) => stored.offset.saturating_add(at),
        Err(error) => return Err(stored.fault(ChunkFaultKind::TornShard, error)),
    };
    read_index(stored.value, sharding, stored.offset, stored.len).map_err(|error| {
        let kind = match &error {
            Error::ChecksumMismatch { .. } => ChunkFaultKind::IndexChecksum,
            Error::Io { .. } => ChunkFaultKind::Unreadable,
            _ => ChunkFaultKind::Index,
        };
        ChunkFault { offset: at, ..stored.fault(kind, error) }
    })
}

/// The positions of the inner chunks that are there, in the order of their places in the shard.
fn in_order(index: &ShardIndex, count: usize) -> Result<Vec<u32>> {
    let mut order: Vec<u32> = Vec::new();
    for position in 0..count {
        if index.get(position).is_some() {
            crate::buffer::reserve(&mut order, 1)?;
            order.push(u32::try_from(position).unwrap_or(u32::MAX));
        }
    }
    order.sort_unstable_by_key(|&position| (index.get(position as usize), position));
    Ok(order)
}
