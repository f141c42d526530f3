//! Units one by one: the boxes of an array that are decoded and encoded on their own, and where each is stored.

use crate::array::Array;
use crate::codec::CodecPipeline;
use crate::region::{Region, element_count};

mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::UnitReader;
pub(super) use reader::{Place, check_stored_len};
#[cfg(test)]
pub(crate) use writer::Written;
pub(crate) use writer::{UnitWriter, WriteScratch};

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

/// The box of the units of a chunk that hold elements of the array.
pub(super) fn units_of_chunk(array: &Array, chunk: &[u64]) -> Region {
    array.unit_grid().chunks_over(&array.grid().region(chunk))
}

/// How many units of a chunk hold elements of the array.
fn unit_count_of_chunk(array: &Array, chunk: &[u64]) -> u64 {
    element_count(units_of_chunk(array, chunk).shape()).unwrap_or(u64::MAX)
}
