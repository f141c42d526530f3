//! Units one by one: the boxes of an array that are decoded on their own, and where each is stored.
//!
//! Where shards lie within shards, the units are the innermost chunks. These are read one by one; what is written one by one are the
//! *parts*, the inner chunks of the outermost shard. In all other arrays the two are the same.

use crate::array::Array;
use crate::codec::{CodecPipeline, Sharding};

mod index;
mod placed;
mod pull;
mod push;
mod reader;
mod stored;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use placed::{Piece, PlacedWriter};
pub(crate) use pull::UnitStream;
pub(crate) use push::StreamedUnit;
pub(crate) use reader::UnitReader;
pub(super) use reader::{check_stored_len, read_index};
pub(crate) use stored::{ChunkPacker, Given, WINDOW_BYTES};
pub(crate) use writer::{UnitWriter, WriteScratch, Written};

/// The most bytes that a stored value of this pipeline may have: what encoding gives at most, and some room for the framing of other writers.
pub(super) fn stored_limit(pipeline: &CodecPipeline) -> u64 {
    if pipeline.is_identity() {
        return pipeline.chunk_bytes() as u64;
    }
    let bound = pipeline.encoded_bound();
    bound.saturating_add(bound / 16).saturating_add(4096)
}

/// The chunk that holds a unit, and the unit's index vector within that chunk.
fn chunk_of(unit: &[u64], units_per_chunk: &[u64]) -> (Vec<u64>, Vec<u64>) {
    unit.iter().zip(units_per_chunk).map(|(unit, count)| (unit / count, unit % count)).unzip()
}

/// The shards that a unit lies in, outermost first.
fn levels(array: &Array) -> impl Iterator<Item = &Sharding> {
    std::iter::successors(array.sharding(), |sharding| sharding.unit_pipeline().sharding())
}

/// The indices, each among all of its level in the array, of the chunk that holds a unit, of the inner chunks that do, and of the unit.
fn boxes_around(array: &Array, unit: &[u64]) -> Vec<Vec<u64>> {
    let mut boxes = vec![unit.to_vec()];
    for sharding in levels(array).collect::<Vec<_>>().into_iter().rev() {
        let outer = boxes.last().map(|inner| chunk_of(inner, sharding.units_per_chunk()).0);
        boxes.extend(outer);
    }
    boxes.reverse();
    boxes
}
