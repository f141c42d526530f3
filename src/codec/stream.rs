//! Chunks larger than memory: decoded and encoded slab after slab, in the order of their decoded memory.
//!
//! What a stream accepts and refuses is what [`CodecPipeline::decode`] does, once [`StreamDecoder::finish`] has seen the end, with three
//! exceptions that come of its bounded memory: zstd frames and blosc blocks that need more than was set apart are refused by name and number; so
//! is a stream within a blosc block that is longer than what it holds; and zstd frames whose blocks or matches are larger than their own window
//! says, which RFC 8878 forbids, need not decode as they do at once.

use crate::codec::chain::{BytesToBytes, Compressor};
use crate::codec::zstd::Zstd;
use crate::codec::{ArrayToBytes, CodecPipeline, blosc, chain, deflate};
use crate::error::{Error, Result};

mod checksum;
mod decode;
mod encode;
mod inflate;
mod input;
#[cfg(test)]
mod tests;
mod zstd;

pub(in crate::codec) use checksum::Checked;
pub(crate) use decode::StreamDecoder;
pub(crate) use encode::{Patch, StreamEncoder};
pub(in crate::codec) use input::{Pull, Window};
pub(crate) use input::{Source, WINDOW_BYTES};

/// So many of the first bytes of an encoded chunk tell what decoding it takes.
pub(crate) const HEAD_BYTES: usize = 64;

/// Room for elements whose bytes are put in another order on the way.
const SWAP_BYTES: usize = 64 << 10;

impl CodecPipeline {
    /// Why chunks cannot be decoded as streams: the codec that must have all of a chunk at once. None if they can.
    pub(crate) fn decode_obstacle(&self) -> Option<String> {
        self.array_obstacle().or_else(|| {
            let stages = &self.bytes_to_bytes;
            let obstacle = |(i, stage): (usize, &BytesToBytes)| match stage {
                BytesToBytes::Checksum(codec) => codec.runs(),
                BytesToBytes::Compressor(Compressor::Zstd(_) | Compressor::Gzip(_) | Compressor::Zlib(_)) => true,
                // Its blocks are read wherever they are.
                BytesToBytes::Compressor(Compressor::Blosc(_)) => chain::only_checksums(&stages[i + 1..]),
                BytesToBytes::Compressor(_) => false,
            };
            stages.iter().enumerate().find(|stage| !obstacle(*stage)).map(|(_, stage)| stage.to_metadata().name)
        })
    }

    /// Why chunks cannot be encoded as streams: the codec that must have all of a chunk at once. None if they can.
    pub(crate) fn encode_obstacle(&self) -> Option<String> {
        if self.check_encodable().is_err() {
            return self.bytes_to_bytes.first().map(|stage| stage.to_metadata().name);
        }
        self.array_obstacle().or_else(|| {
            let stages = &self.bytes_to_bytes;
            let streams = |(i, stage): (usize, &BytesToBytes)| {
                let last = i + 1 == stages.len();
                let size = chain::only_checksums(&stages[..i]).then(|| chain::encoded_bound(&stages[..i], self.chunk_bytes as u64));
                match (stage, size) {
                    // What stands before the bytes is written when they are known, where nothing else is made of it.
                    (BytesToBytes::Checksum(codec), _) => codec.runs() && (codec.can_pass() || last),
                    (BytesToBytes::Compressor(Compressor::Gzip(_) | Compressor::Zlib(_)), _) => true,
                    // Frames say what they hold.
                    (BytesToBytes::Compressor(Compressor::Zstd(_)), size) => size.is_some(),
                    (BytesToBytes::Compressor(Compressor::Blosc(codec)), Some(size)) => last && codec.streams(size),
                    (BytesToBytes::Compressor(_), _) => false,
                }
            };
            stages.iter().enumerate().find(|stage| !streams(*stage)).map(|(_, stage)| stage.to_metadata().name)
        })
    }

    fn array_obstacle(&self) -> Option<String> {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) if self.steps.is_empty() => None,
            _ => {
                let codecs = self.to_metadata();
                let after = codecs.len() - self.bytes_to_bytes.len();
                let first = codecs[..after].iter().find(|codec| !["transpose", "bytes"].contains(&codec.name.as_str()));
                Some(first.map_or_else(|| "transpose".to_owned(), |codec| codec.name.clone()))
            }
        }
    }

    /// Upper bound in bytes of what decoding a stream takes beside the slabs, for chunks as encoders make them at the level that the codecs say.
    /// One that takes more says so in its head: see [`CodecPipeline::frame_memory`].
    pub(crate) fn stream_decode_memory(&self) -> u64 {
        self.decode_memory_with(self.outer_memory(&[]))
    }

    /// Upper bound in bytes of what decoding takes of a chunk that begins with `head` ([`HEAD_BYTES`], or all of it), as far as that tells.
    pub(crate) fn frame_memory(&self, head: &[u8]) -> u64 {
        self.decode_memory_with(self.outer_memory(head))
    }

    /// Upper bound in bytes of what encoding a stream takes beside the slabs.
    pub(crate) fn stream_encode_memory(&self) -> u64 {
        let swap = self.swap_memory();
        let (mut total, mut len) = (swap, self.chunk_bytes as u64);
        for (i, stage) in self.bytes_to_bytes.iter().enumerate() {
            total = total.saturating_add(match stage {
                BytesToBytes::Checksum(_) => 0,
                BytesToBytes::Compressor(Compressor::Zstd(codec)) => codec.push_memory(len),
                BytesToBytes::Compressor(Compressor::Blosc(codec)) => codec.push_memory(len),
                BytesToBytes::Compressor(Compressor::Gzip(_) | Compressor::Zlib(_)) => deflate::ENCODE_MEMORY,
                BytesToBytes::Compressor(_) => u64::MAX,
            });
            len = chain::encoded_bound(&self.bytes_to_bytes[i..=i], len);
        }
        total
    }

    /// Memory with `outer` for the last compressor, which is the first one that encoded bytes reach.
    fn decode_memory_with(&self, outer: u64) -> u64 {
        let mut total = self.swap_memory().saturating_add(SOURCE_MEMORY).saturating_add(outer);
        let last = self.outer().map_or(0, |(position, _)| position);
        for (i, stage) in self.bytes_to_bytes[..last].iter().enumerate() {
            if let BytesToBytes::Compressor(compressor) = stage {
                total = total
                    .saturating_add(expected_memory(*compressor, chain::encoded_bound(&self.bytes_to_bytes[..i], self.chunk_bytes as u64)));
            }
        }
        total
    }

    /// The last compressor and its position.
    fn outer(&self) -> Option<(usize, Compressor)> {
        self.bytes_to_bytes.iter().enumerate().rev().find_map(|(position, stage)| match stage {
            BytesToBytes::Compressor(compressor) => Some((position, *compressor)),
            BytesToBytes::Checksum(_) => None,
        })
    }

    /// What the last compressor takes for a chunk that begins with `head`: by the level of the codec where that does not tell; 0 without one.
    fn outer_memory(&self, head: &[u8]) -> u64 {
        let Some((position, compressor)) = self.outer() else { return 0 };
        let head = head.get(chain::bytes_before(&self.bytes_to_bytes[position + 1..])..).unwrap_or_default();
        let known = match compressor {
            Compressor::Zstd(_) => zstd::window(head).map(Zstd::pull_memory),
            Compressor::Blosc(_) => blosc::pull_memory(head),
            _ => None,
        };
        known.map_or_else(
            || expected_memory(compressor, chain::encoded_bound(&self.bytes_to_bytes[..position], self.chunk_bytes as u64)),
            |known| known.saturating_add(WINDOW_BYTES as u64),
        )
    }

    /// What needs the memory, for an error about a chunk that begins with `head`.
    fn name_demand(&self, head: &[u8]) -> String {
        let Some((position, compressor)) = self.outer() else { return "the buffers of a stream".to_owned() };
        let name = self.bytes_to_bytes[position].to_metadata().name;
        let head = head.get(chain::bytes_before(&self.bytes_to_bytes[position + 1..])..).unwrap_or_default();
        match compressor {
            Compressor::Zstd(_) => match zstd::window(head) {
                Some(window) => format!("{name}: a frame that is decoded as a stream has a window of {window} bytes"),
                None => format!("{name}: the windows of frames that are decoded as a stream"),
            },
            Compressor::Blosc(_) => match blosc::block_bytes(head) {
                Some(block) => format!("{name}: a frame that is decoded as a stream has blocks of {block} bytes"),
                None => format!("{name}: the blocks of a frame that is decoded as a stream"),
            },
            _ => format!("{name}: the context of a stream"),
        }
    }

    /// Size of an element in bytes.
    fn item_size(&self) -> usize {
        self.fill.as_bytes().len().max(1)
    }

    /// Room for elements whose bytes are put in another order.
    fn swap_memory(&self) -> u64 {
        if self.decodes_natively() { 0 } else { (SWAP_BYTES + 2 * self.item_size()) as u64 }
    }

    fn decodes_natively(&self) -> bool {
        matches!(&self.array_to_bytes, ArrayToBytes::Bytes(bytes) if bytes.is_native())
    }

    /// Refuses codecs whose chunks cannot be encoded slab after slab.
    ///
    /// # Errors
    /// [`Error::Unsupported`], with the codec that must have all of a chunk at once.
    pub(crate) fn check_encodes_stream(&self) -> Result<()> {
        self.check_encodable()?;
        Self::check_streams(self.encode_obstacle())
    }

    /// The error for codecs that cannot be streamed.
    fn check_streams(obstacle: Option<String>) -> Result<()> {
        match obstacle {
            None => Ok(()),
            Some(name) => Err(Error::unsupported(format!("a chunk as a stream, of which the codec {name} must have all at once"))),
        }
    }
}

/// What the store takes while a window is read.
const SOURCE_MEMORY: u64 = WINDOW_BYTES as u64;

/// Memory of a decoder of `len` bytes as encoders make them, with the buffer that it reads from.
fn expected_memory(compressor: Compressor, len: u64) -> u64 {
    let context = match compressor {
        Compressor::Zstd(codec) => Zstd::pull_memory(codec.expected_window(len)),
        Compressor::Blosc(codec) => codec.expected_pull_memory(len),
        Compressor::Gzip(_) | Compressor::Zlib(_) => deflate::DECODE_MEMORY,
        _ => u64::MAX,
    };
    context.saturating_add(WINDOW_BYTES as u64)
}
