//! Codecs: how the elements of a chunk become stored bytes, and back.
//!
//! A pipeline is any number of array->array codecs, exactly one array->bytes codec, and any number of bytes->bytes codecs, kept as three
//! separate things so that a wrong order cannot be built (Zarr v3 core specification, "Codecs").
//!
//! Transpositions move no bytes here. A decoded chunk is a buffer in C order *of the transposed shape*, and [`CodecPipeline::strides`] says
//! where each array axis runs in it; the strided copy that every caller does anyway does the transposition. Only behind a codec that takes
//! elements in order are they done for themselves (see the module `filter`).
//!
//! Invariants
//! 1. The decoded size of a chunk follows from the metadata. No decoder writes or allocates more than that, or less, without an error.
//! 2. `decode(encode(x)) == x`, bit for bit.
//! 3. Output leaves through a sink as it is made. Encoded bytes are only kept whole where the format demands it: before a second
//!    compressor, and for a whole shard whose index comes first or which is compressed as a whole.
//! 4. After an error a [`Scratch`] can be used again; the buffers that were lent out are then gone.

use crate::codec::filter::Step;
use crate::dtype::{ByteUnits, DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

mod bits;
mod blosc;
mod build;
mod bytes;
mod bz2;
mod chain;
mod checksum;
mod configuration;
mod copy;
mod deflate;
mod filter;
mod foreign;
mod gzip;
mod lz4;
#[cfg(feature = "lzma")]
mod lzma;
mod packbits;
mod read_as;
mod reshape;
mod run;
mod scratch;
mod sharding;
mod shuffle;
mod sizes;
mod spec;
mod stream;
#[cfg(test)]
mod tests;
mod transpose;
mod vlen;
mod zlib;
mod zstd;

pub(crate) use scratch::Scratch;
pub(crate) use sharding::{IndexReader, IndexWriter, ShardIndex, Sharding, Spill};
pub use spec::Codecs;
pub(crate) use stream::{HEAD_BYTES, Patch, Source, StreamDecoder, StreamEncoder, WINDOW_BYTES};

/// Takes encoded bytes as they are made.
pub(crate) type Sink<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// The size in bytes of the pieces in which compressors pass on their output, and in which output is collected for a store.
pub(crate) const PIECE_BYTES: usize = 128 << 10;

/// The codec between elements and bytes.
#[derive(Clone, Debug)]
pub(crate) enum ArrayToBytes {
    /// Elements in C order, in a stated byte order.
    Bytes(bytes::Bytes),
    /// Elements in C order, in as many bits as they have.
    PackBits(packbits::PackBits),
    /// Elements of variable length in C order, each with its length.
    Vlen(vlen::Vlen),
    /// Inner chunks with an index.
    Sharding(Box<Sharding>),
}

impl ArrayToBytes {
    /// Whether elements come back bit by bit.
    fn is_exact(&self) -> bool {
        match self {
            Self::Bytes(_) | Self::Vlen(_) => true,
            Self::PackBits(codec) => codec.is_exact(),
            Self::Sharding(sharding) => {
                let unit = sharding.unit_pipeline();
                unit.steps.iter().all(Step::is_exact) && unit.array_to_bytes.is_exact()
            }
        }
    }
}

/// The byte order that a Zarr v2 document states in its data type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// All numbers are little endian, or there are none.
    Little,
    /// All numbers are big endian.
    Big,
    /// These numbers within an element are big endian, all others little.
    Mixed(Vec<ByteUnits>),
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
    /// The codec objects of the array->array codecs, in the order of the metadata.
    array_to_array: Vec<NamedConfig>,
    /// What these do to a chunk, beyond the transpositions that `strides` is made of.
    steps: Vec<Step>,
    /// What they leave to the array->bytes codec; the chunk itself where there are no steps.
    stored: Stored,
    /// Whether [`CodecPipeline::to_metadata`] says all that is done.
    in_metadata: bool,
    array_to_bytes: ArrayToBytes,
    bytes_to_bytes: Vec<chain::BytesToBytes>,
}

/// A chunk as it reaches the array->bytes codec.
#[derive(Clone, Debug)]
struct Stored {
    /// Its size; at least 1, at most `isize::MAX`.
    bytes: usize,
    /// Byte strides of its axes: those of the array where there are no steps, otherwise those of the shape that the steps leave.
    strides: Vec<usize>,
    fill: FillValue,
}

impl CodecPipeline {
    /// Builds the pipeline from the `codecs` member of an array document. JSON pointers of errors are relative to that member.
    ///
    /// # Errors
    /// [`crate::Error::Metadata`] for codecs that are wrong or in a wrong order, [`crate::Error::Unsupported`] for unknown ones and for what is
    /// beyond a limit: chunks of `isize::MAX` bytes, shards nested four deep, 2^26 inner chunks a shard, 32 codecs.
    pub(crate) fn from_metadata(codecs: &[NamedConfig], chunk_shape: &[u64], data_type: &DataType, fill: &FillValue) -> Result<Self> {
        let around = sharding::Surroundings { transposes: &[], chunk_shape, data_type, fill, depth: 0, order: None };
        build::pipeline(codecs, &around)
    }

    /// Builds the pipeline of a Zarr v2 array from what its document says in the codec objects of Zarr v3. Byte order is that of `order`,
    /// whatever the `bytes` object among them says.
    ///
    /// # Errors
    /// As [`CodecPipeline::from_metadata`].
    pub(crate) fn from_v2(
        codecs: &[NamedConfig],
        chunk_shape: &[u64],
        data_type: &DataType,
        fill: &FillValue,
        order: &ByteOrder,
    ) -> Result<Self> {
        let around = sharding::Surroundings { transposes: &[], chunk_shape, data_type, fill, depth: 0, order: Some(order) };
        build::pipeline(codecs, &around)
    }

    /// The `codecs` member of an array document, in the conservative form that every reader accepts.
    pub(crate) fn to_metadata(&self) -> Vec<NamedConfig> {
        build::metadata(self)
    }

    /// Whether chunks of this pipeline are what [`CodecPipeline::to_metadata`] says. Otherwise they come from a Zarr v2 array, and what it says
    /// is how the same elements can be stored anew.
    pub(crate) fn is_in_metadata(&self) -> bool {
        self.in_metadata
    }

    /// The codecs of a chunk, or of the innermost chunks of a shard, for use with other chunk shapes of the same rank.
    #[cfg(test)]
    pub(crate) fn codecs(&self) -> Codecs {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) | ArrayToBytes::PackBits(_) | ArrayToBytes::Vlen(_) => Codecs::from_metadata(self.to_metadata()),
            ArrayToBytes::Sharding(sharding) => sharding.unit_pipeline().codecs(),
        }
    }

    /// Shape of a decoded chunk.
    pub(crate) fn chunk_shape(&self) -> &[u64] {
        &self.chunk_shape
    }

    /// Size of a decoded chunk in bytes; known to fit in memory arithmetic (at most `isize::MAX`). Of elements of variable length this is
    /// the size of the table alone.
    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }

    /// Byte strides of the array axes in a decoded chunk (of elements of variable length: in the table).
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
        let as_it_is = matches!(&self.array_to_bytes, ArrayToBytes::Bytes(bytes) if bytes.is_native());
        as_it_is && self.steps.is_empty() && chain::only_checksums(&self.bytes_to_bytes)
    }

    /// Whether [`CodecPipeline::decode_parts`] works, which decodes parts of a chunk for less than the whole.
    pub(crate) fn decodes_parts(&self) -> bool {
        let as_it_is = matches!(&self.array_to_bytes, ArrayToBytes::Bytes(bytes) if bytes.is_native());
        as_it_is && self.steps.is_empty() && chain::decodes_parts(&self.bytes_to_bytes)
    }

    /// Refuses codecs that are read but not written.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`], with what could be used instead.
    pub(crate) fn check_encodable(&self) -> Result<()> {
        if let ArrayToBytes::Sharding(sharding) = &self.array_to_bytes {
            sharding.unit_pipeline().check_encodable()?;
        }
        if let Some(position) = self.steps.iter().position(Step::counts)
            && !(self.steps[position..].iter().all(Step::is_exact) && self.array_to_bytes.is_exact())
        {
            return Err(Error::unsupported(
                "writing numcodecs.packbits before a codec that rounds, which would change the number of bits it stores",
            ));
        }
        chain::check_encodable(&self.bytes_to_bytes)
    }

    /// The sharding codec, if inner chunks can be read and written by offset: it is the array->bytes codec, and nothing stands before it but
    /// transpositions, and nothing after it.
    pub(crate) fn sharding(&self) -> Option<&Sharding> {
        match &self.array_to_bytes {
            ArrayToBytes::Sharding(sharding) if self.steps.is_empty() && self.bytes_to_bytes.is_empty() => Some(sharding),
            _ => None,
        }
    }

    /// The codecs of the innermost chunks that can be read by offset: those in its shards, in the shards within these, and so on; of the chunk
    /// itself where it is no shard.
    pub(crate) fn unit_pipeline(&self) -> &Self {
        self.sharding().map_or(self, |sharding| sharding.unit_pipeline().unit_pipeline())
    }
}
