//! The `numcodecs.lz4` codec: the decoded size as a little-endian 32-bit integer, then one LZ4 block.

use lz4_flex::block::{compress_into_with_table, get_maximum_output_size};
use serde_json::{Map, Value};

use crate::buffer::resize;
use crate::codec::lz4::block::Fault;
use crate::codec::scratch::Scratch;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

pub(super) mod block;

/// LZ4 compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lz4 {
    /// How much haste the encoder was asked to make. It is kept for the codec object; there is only one speed here.
    acceleration: i32,
}

/// The most bytes of one LZ4 block.
pub(super) const MAX_BLOCK_BYTES: u64 = 0x7e00_0000;

/// The most that LZ4 makes of one byte: each byte of a match length adds at most 255.
const MAX_RATIO: usize = 255;

impl Lz4 {
    pub(crate) const NAME: &'static str = "numcodecs.lz4";

    /// Reads the codec object.
    pub(super) fn from_metadata(config: &NamedConfig) -> Result<Self> {
        config.only(&["acceleration"])?;
        Ok(Self { acceleration: configuration::integer(config, "acceleration", i32::MIN..=i32::MAX, 1)? })
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        NamedConfig::new(Self::NAME, Map::from_iter([("acceleration".to_owned(), Value::from(self.acceleration))]))
    }

    /// An upper bound of the encoded size of `len` bytes: that of the reference implementation, and the size before it.
    pub(super) fn encoded_bound(len: u64) -> u64 {
        len.saturating_add(len / 255).saturating_add(16 + 4)
    }

    /// Upper bound of the memory in bytes of the hash table, and of the output with the room that the compressor asks for.
    pub(super) fn encode_memory(len: u64) -> u64 {
        len.saturating_add(len / 10).saturating_add((20 << 10) + 64)
    }

    /// Encodes `input`.
    pub(super) fn encode(input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        let Some(size) = u32::try_from(input.len()).ok().filter(|&size| u64::from(size) <= MAX_BLOCK_BYTES) else {
            return Err(too_large(input.len() as u64));
        };
        let mut block = scratch.take_len(get_maximum_output_size(input.len()) + 4)?;
        block[..4].copy_from_slice(&size.to_le_bytes());
        let written = compress_into_with_table(input, &mut block[4..], scratch.lz4_table());
        let written = written.map_err(|error| Error::unsupported(format!("lz4: {error}")))?;
        block[..written + 4].chunks(PIECE_BYTES).try_for_each(sink)?;
        scratch.give(block);
        Ok(())
    }

    /// Decodes to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
    pub(super) fn decode(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<()> {
        let Some((size, block)) = input.split_first_chunk() else {
            return Err(Error::corrupt(format!("lz4: {} bytes where the decoded size alone takes 4", input.len())));
        };
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        if size > limit {
            return Err(Error::corrupt(format!("lz4: the block says that it holds {size} bytes, more than the {limit} that are expected")));
        }
        if size > block.len().saturating_mul(MAX_RATIO) {
            return Err(Error::corrupt(format!("lz4: {} bytes say that they hold {size}; the block is cut off", block.len())));
        }
        resize(out, size)?;
        let written = block::decode(block, out).map_err(|fault| {
            Error::corrupt(match fault {
                Fault::CutOff => "lz4: the block is cut off".to_owned(),
                Fault::Offset => "lz4: a match begins outside of what was decoded".to_owned(),
                Fault::TooLong => format!("lz4: the block holds more than the {size} bytes that it says"),
            })
        })?;
        if written == size {
            return Ok(());
        }
        Err(Error::corrupt(format!("lz4: the block holds {written} bytes where it says {size}")))
    }
}

/// The error for more than a block can take.
pub(super) fn too_large(len: u64) -> Error {
    Error::unsupported(format!("lz4 of {len} bytes at once; one block takes at most {MAX_BLOCK_BYTES}: use smaller chunks, or zstd"))
}
