//! How much a pipeline may store, and how much memory it may take.

use crate::codec::{ArrayToBytes, CodecPipeline, chain, filter};

impl CodecPipeline {
    /// Upper bound of the size that the array->bytes codec makes of a chunk.
    pub(super) fn array_bound(&self) -> u64 {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) => self.stored.bytes as u64,
            ArrayToBytes::PackBits(codec) => codec.encoded_bytes() as u64,
            ArrayToBytes::Vlen(_) => u64::MAX,
            ArrayToBytes::Sharding(sharding) => sharding.encoded_bound(),
        }
    }

    /// Upper bound of the stored size of a chunk in bytes; `u64::MAX` where elements are of variable length.
    pub(crate) fn encoded_bound(&self) -> u64 {
        chain::encoded_bound(&self.bytes_to_bytes, self.array_bound())
    }

    /// Upper bound of the memory in bytes that one thread takes to decode a chunk, beyond its encoded and its decoded bytes. There is none
    /// for elements of variable length.
    pub(crate) fn decode_memory(&self) -> u64 {
        let stages = chain::decode_memory(&self.bytes_to_bytes, self.array_bound()).saturating_add(filter::memory(&self.steps));
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) => stages,
            ArrayToBytes::PackBits(_) if chain::only_checksums(&self.bytes_to_bytes) => stages,
            ArrayToBytes::PackBits(codec) => stages.saturating_add(codec.encoded_bytes() as u64),
            ArrayToBytes::Vlen(_) => u64::MAX,
            ArrayToBytes::Sharding(sharding) => {
                let shard = if chain::only_checksums(&self.bytes_to_bytes) { 0 } else { sharding.encoded_bound() };
                stages.saturating_add(shard).saturating_add(sharding.decode_memory())
            }
        }
    }

    /// Upper bound of the memory in bytes that one thread takes to encode a chunk, beyond its decoded bytes and what the sink keeps. There is
    /// none for elements of variable length.
    pub(crate) fn encode_memory(&self) -> u64 {
        let stages = chain::encode_memory(&self.bytes_to_bytes, self.array_bound()).saturating_add(filter::memory(&self.steps));
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) => stages,
            ArrayToBytes::PackBits(codec) => stages.saturating_add(codec.encoded_bytes() as u64),
            ArrayToBytes::Vlen(_) => u64::MAX,
            ArrayToBytes::Sharding(sharding) => {
                let shard = if self.bytes_to_bytes.is_empty() { 0 } else { sharding.encoded_bound() };
                stages.saturating_add(shard).saturating_add(sharding.encode_memory())
            }
        }
    }
}
