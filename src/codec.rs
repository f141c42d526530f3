//! Codecs: how the elements of a chunk become stored bytes, and back.
//!
//! A pipeline is any number of array->array codecs, exactly one array->bytes codec, and any number of bytes->bytes codecs, kept as three
//! separate things so that a wrong order cannot be built (Zarr v3 core specification, "Codecs").
//!
//! Transpositions move no bytes here. A decoded chunk is a buffer in C order *of the transposed shape*, and [`CodecPipeline::strides`] says
//! where each array axis runs in it; the strided copy that every caller does anyway does the transposition.
//!
//! Invariants
//! 1. The decoded size of a chunk follows from the metadata. No decoder writes or allocates more than that, or less, without an error.
//! 2. `decode(encode(x)) == x`, bit for bit.
//! 3. Output leaves through a sink as it is made. Encoded bytes are only kept whole where the format demands it: before a second
//!    compressor, and for a whole shard whose index comes first or which is compressed as a whole.
//! 4. After an error a [`Scratch`] can be used again; the buffers that were lent out are then gone.

use std::ops::Range;

use crate::buffer::make_room;
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::to_usize;

mod blosc;
mod build;
mod bytes;
mod chain;
mod configuration;
mod crc32c;
mod gzip;
mod scratch;
mod sharding;
mod spec;
#[cfg(test)]
mod tests;
mod transpose;
mod zstd;

pub(crate) use scratch::Scratch;
pub(crate) use sharding::{ShardIndex, Sharding};
pub use spec::Codecs;

/// Takes encoded bytes as they are made.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// The size in bytes of the pieces in which compressors pass on their output, and in which output is collected for a store.
pub(crate) const PIECE_BYTES: usize = 128 << 10;

/// The codec between elements and bytes.
#[derive(Clone, Debug)]
pub(crate) enum ArrayToBytes {
    /// Elements in C order, in a stated byte order.
    Bytes(bytes::Bytes),
    /// Inner chunks with an index.
    Sharding(Box<Sharding>),
}

/// The codecs of an array, for chunks of one shape and data type.
#[derive(Clone, Debug)]
pub(crate) struct CodecPipeline {
    /// Shape of a decoded chunk, in array axes.
    chunk_shape: Vec<u64>,
    /// Size of a decoded chunk; at least 1, at most `isize::MAX`.
    chunk_bytes: usize,
    /// Byte strides of the array axes in a decoded chunk.
    strides: Vec<usize>,
    fill: FillValue,
    /// The array->array codecs: permutations, in the order of the metadata.
    transposes: Vec<transpose::Transpose>,
    array_to_bytes: ArrayToBytes,
    bytes_to_bytes: Vec<chain::BytesToBytes>,
}

impl CodecPipeline {
    /// Builds the pipeline from the `codecs` member of an array document. JSON pointers of errors are relative to that member.
    ///
    /// # Errors
    /// [`Error::Metadata`] for codecs that are wrong or in a wrong order, [`Error::Unsupported`] for unknown ones and for what is beyond a
    /// limit: chunks of `isize::MAX` bytes, shards nested four deep, 2^26 inner chunks a shard, 32 codecs.
    pub(crate) fn from_metadata(codecs: &[NamedConfig], chunk_shape: &[u64], data_type: &DataType, fill: &FillValue) -> Result<Self> {
        let around = sharding::Surroundings { transposes: &[], chunk_shape, data_type, fill, depth: 0 };
        build::pipeline(codecs, &around)
    }

    /// The `codecs` member of an array document, in the conservative form that every reader accepts.
    pub(crate) fn to_metadata(&self) -> Vec<NamedConfig> {
        build::metadata(self)
    }

    /// The codecs of a chunk, or of the innermost chunks of a shard, for use with other chunk shapes of the same rank.
    #[cfg(test)]
    pub(crate) fn codecs(&self) -> Codecs {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) => Codecs::from_metadata(self.to_metadata()),
            ArrayToBytes::Sharding(sharding) => sharding.unit_pipeline().codecs(),
        }
    }

    /// Shape of a decoded chunk.
    pub(crate) fn chunk_shape(&self) -> &[u64] {
        &self.chunk_shape
    }

    /// Size of a decoded chunk in bytes; known to fit in memory arithmetic (at most `isize::MAX`).
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Byte strides of the array axes in a decoded chunk.
    pub(crate) fn strides(&self) -> Vec<usize> {
        self.strides.clone()
    }

    /// Whether the stored bytes of a chunk *are* its decoded bytes (native byte order, no compression, no checksum), so that parts of it can
    /// be read by offset.
    pub(crate) fn is_identity(&self) -> bool {
        self.decodes_in_place() && self.bytes_to_bytes.is_empty()
    }

    /// Whether [`CodecPipeline::decode`] returns (a part of) its input rather than filling `out`: no compression, native byte order.
    pub(crate) fn decodes_in_place(&self) -> bool {
        matches!(&self.array_to_bytes, ArrayToBytes::Bytes(bytes) if bytes.is_native()) && chain::only_checksums(&self.bytes_to_bytes)
    }

    /// Whether [`CodecPipeline::decode_parts`] works, which decodes parts of a chunk for less than the whole.
    pub(crate) fn decodes_parts(&self) -> bool {
        matches!(&self.array_to_bytes, ArrayToBytes::Bytes(bytes) if bytes.is_native()) && chain::decodes_parts(&self.bytes_to_bytes)
    }

    /// The sharding codec, if inner chunks can be read and written by offset: it is the array->bytes codec and nothing follows it.
    pub(crate) fn sharding(&self) -> Option<&Sharding> {
        match &self.array_to_bytes {
            ArrayToBytes::Sharding(sharding) if self.bytes_to_bytes.is_empty() => Some(sharding),
            _ => None,
        }
    }

    /// The codecs of the innermost chunks that can be read by offset: those in its shards, in the shards within these, and so on; of the chunk
    /// itself where it is no shard.
    pub(crate) fn unit_pipeline(&self) -> &Self {
        self.sharding().map_or(self, |sharding| sharding.unit_pipeline().unit_pipeline())
    }

    /// Upper bound of the size that the array->bytes codec makes of a chunk.
    fn array_bound(&self) -> u64 {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) => self.chunk_bytes as u64,
            ArrayToBytes::Sharding(sharding) => sharding.encoded_bound(),
        }
    }

    /// Upper bound of the stored size of a chunk in bytes.
    pub(crate) fn encoded_bound(&self) -> u64 {
        chain::encoded_bound(&self.bytes_to_bytes, self.array_bound())
    }

    /// Upper bound of the memory in bytes that one thread takes to decode a chunk, beyond its encoded and its decoded bytes.
    pub(crate) fn decode_memory(&self) -> u64 {
        let stages = chain::decode_memory(&self.bytes_to_bytes, self.array_bound());
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) => stages,
            ArrayToBytes::Sharding(sharding) => {
                let shard = if chain::only_checksums(&self.bytes_to_bytes) { 0 } else { sharding.encoded_bound() };
                stages.saturating_add(shard).saturating_add(sharding.decode_memory())
            }
        }
    }

    /// Upper bound of the memory in bytes that one thread takes to encode a chunk, beyond its decoded bytes and what the sink keeps.
    pub(crate) fn encode_memory(&self) -> u64 {
        let stages = chain::encode_memory(&self.bytes_to_bytes, self.array_bound());
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) => stages,
            ArrayToBytes::Sharding(sharding) => {
                let shard = if self.bytes_to_bytes.is_empty() { 0 } else { sharding.encoded_bound() };
                stages.saturating_add(shard).saturating_add(sharding.encode_memory())
            }
        }
    }

    /// Decodes a whole chunk (a shard: all of its inner chunks, missing ones as fill; none if all of them are missing). The result has
    /// [`CodecPipeline::chunk_bytes`] bytes laid out by [`CodecPipeline::strides`]; it is a part of `encoded` where no byte changes, otherwise in
    /// `out`, whose old contents are overwritten (hand in the same buffer chunk after chunk: it is then not cleared each time).
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::ChecksumMismatch`], [`Error::Unsupported`] or, where memory is wanting, [`Error::Io`], without a key.
    pub(crate) fn decode<'a>(&self, encoded: &'a [u8], scratch: &mut Scratch, out: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>> {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(bytes) => match chain::decode(&self.bytes_to_bytes, self.array_bound(), encoded, scratch, out)? {
                chain::Decoded::Input(part) if bytes.is_native() => self.check_len(part).map(Some),
                chain::Decoded::Input(part) => {
                    self.check_len(part)?;
                    make_room(out, part.len())?;
                    out.extend_from_slice(part);
                    bytes.convert(out);
                    Ok(Some(out))
                }
                chain::Decoded::Output => {
                    self.check_len(out)?;
                    bytes.convert(out);
                    Ok(Some(out))
                }
            },
            ArrayToBytes::Sharding(sharding) => {
                let layout = (&self.fill, self.strides.as_slice());
                let mut buffer = scratch.take();
                let shard = match chain::decode(&self.bytes_to_bytes, self.array_bound(), encoded, scratch, &mut buffer)? {
                    chain::Decoded::Input(part) => part,
                    chain::Decoded::Output => &buffer,
                };
                let found = sharding.decode_whole(shard, layout, scratch, (&mut *out, self.chunk_bytes))?;
                scratch.give(buffer);
                Ok(found.then_some(out.as_slice()))
            }
        }
    }

    /// Decodes at least the byte ranges `parts` of a chunk, each to its place in `out`, which then has [`CodecPipeline::chunk_bytes`] bytes; what
    /// the other bytes are is unspecified. Returns the number of compressed blocks decoded.
    ///
    /// # Errors
    /// As [`CodecPipeline::decode`], for what is decoded; [`Error::InvalidArgument`] if not [`CodecPipeline::decodes_parts`].
    pub(crate) fn decode_parts(&self, encoded: &[u8], parts: &[Range<usize>], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<usize> {
        if !self.decodes_parts() {
            return Err(Error::invalid("parts of a chunk whose codecs decode only the whole"));
        }
        chain::decode_parts(&self.bytes_to_bytes, self.chunk_bytes, encoded, parts, scratch, out)
    }

    /// Refuses codecs that are read but not written.
    ///
    /// # Errors
    /// [`Error::Unsupported`], with what could be used instead.
    pub(crate) fn check_encodable(&self) -> Result<()> {
        if let ArrayToBytes::Sharding(sharding) = &self.array_to_bytes {
            sharding.unit_pipeline().check_encodable()?;
        }
        chain::check_encodable(&self.bytes_to_bytes)
    }

    fn check_len<'a>(&self, decoded: &'a [u8]) -> Result<&'a [u8]> {
        if decoded.len() == self.chunk_bytes {
            return Ok(decoded);
        }
        Err(Error::corrupt(format!("the chunk has {} decoded bytes, expected {}", decoded.len(), self.chunk_bytes)))
    }

    /// Encodes a whole chunk laid out by [`CodecPipeline::strides`]. `data` is working space: its bytes may be changed (byte order).
    /// Inner chunks of a shard that are all fill are left out. After an error, what the sink got is a useless beginning.
    ///
    /// # Errors
    /// Those of the sink, and [`Error::Io`] where memory is wanting.
    ///
    /// # Panics
    /// If `data` has not [`CodecPipeline::chunk_bytes`] bytes.
    pub(crate) fn encode(&self, data: &mut [u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        assert_eq!(data.len(), self.chunk_bytes, "size of a chunk");
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(bytes) => {
                bytes.convert(data);
                chain::encode(&self.bytes_to_bytes, data, scratch, sink)
            }
            ArrayToBytes::Sharding(sharding) => {
                let layout = (&self.fill, self.strides.as_slice());
                if self.bytes_to_bytes.is_empty() {
                    return sharding.encode_whole(data, layout, scratch, sink);
                }
                let mut shard = scratch.take();
                make_room(&mut shard, to_usize(sharding.encoded_bound()))?;
                sharding.encode_whole(data, layout, scratch, &mut |piece| {
                    shard.extend_from_slice(piece);
                    Ok(())
                })?;
                let result = chain::encode(&self.bytes_to_bytes, &shard, scratch, sink);
                scratch.give(shard);
                result
            }
        }
    }
}
