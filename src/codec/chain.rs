//! The bytes->bytes codecs of a pipeline, run one after the other.

use std::ops::Range;

use crate::buffer::make_room;
use crate::codec::Sink;
use crate::codec::blosc::Blosc;
use crate::codec::crc32c::{CHECKSUM_BYTES, Crc32c};
use crate::codec::gzip::Gzip;
use crate::codec::scratch::Scratch;
use crate::codec::zstd::Zstd;
use crate::dtype::DataType;
use crate::error::Result;
use crate::json::NamedConfig;
use crate::region::to_usize;

/// A codec from bytes to bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BytesToBytes {
    /// Its decoder fills a buffer.
    Compressor(Compressor),
    /// Its decoder only cuts something off the encoded bytes, and its encoder only adds it to bytes that pass.
    Checksum(Crc32c),
}

/// A codec from bytes to fewer bytes, one hopes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compressor {
    Blosc(Blosc),
    Gzip(Gzip),
    Zstd(Zstd),
}

impl BytesToBytes {
    /// Reads a codec object of an array of `data_type`; none if no bytes->bytes codec has its name.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType) -> Result<Option<Self>> {
        Ok(Some(match config.name.as_str() {
            Blosc::NAME | Blosc::NUMCODECS_NAME => Self::Compressor(Compressor::Blosc(Blosc::from_metadata(config, data_type)?)),
            Gzip::NAME => Self::Compressor(Compressor::Gzip(Gzip::from_metadata(config)?)),
            Zstd::NAME => Self::Compressor(Compressor::Zstd(Zstd::from_metadata(config)?)),
            Crc32c::NAME => Self::Checksum(Crc32c::from_metadata(config)?),
            _ => return Ok(None),
        }))
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        match self {
            Self::Compressor(Compressor::Blosc(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Gzip(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Zstd(codec)) => codec.to_metadata(),
            Self::Checksum(codec) => codec.to_metadata(),
        }
    }

    fn encoded_bound(self, len: u64) -> u64 {
        match self {
            Self::Compressor(Compressor::Blosc(_)) => Blosc::encoded_bound(len),
            Self::Compressor(Compressor::Gzip(_)) => Gzip::encoded_bound(len),
            Self::Compressor(Compressor::Zstd(_)) => Zstd::encoded_bound(len),
            Self::Checksum(_) => len.saturating_add(CHECKSUM_BYTES),
        }
    }
}

impl Compressor {
    fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        match self {
            Self::Blosc(codec) => codec.encode(input, scratch, sink),
            Self::Gzip(codec) => codec.encode(input, scratch, sink),
            Self::Zstd(codec) => codec.encode(input, scratch, sink),
        }
    }

    /// Replaces the contents of `out`, which never gets room for more than about `limit` bytes.
    fn decode(self, input: &[u8], limit: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Blosc(_) => Blosc::decode(input, limit, scratch, out),
            Self::Gzip(_) => Gzip::decode(input, limit, scratch, out),
            Self::Zstd(_) => Zstd::decode(input, limit, scratch, out),
        }
    }
}

/// An upper bound of the encoded size of `len` bytes; saturates.
pub(super) fn encoded_bound(stages: &[BytesToBytes], len: u64) -> u64 {
    stages.iter().fold(len, |len, stage| stage.encoded_bound(len))
}

/// Whether decoding only cuts something off the encoded bytes.
pub(super) fn only_checksums(stages: &[BytesToBytes]) -> bool {
    stages.iter().all(|stage| matches!(stage, BytesToBytes::Checksum(_)))
}

/// Refuses stages that cannot take what comes to them of `len` bytes.
pub(super) fn check_len(stages: &[BytesToBytes], mut len: u64) -> Result<()> {
    for stage in stages {
        if let BytesToBytes::Compressor(Compressor::Blosc(_)) = stage {
            Blosc::check_len(len)?;
        }
        len = stage.encoded_bound(len);
    }
    Ok(())
}

/// Refuses stages that are read but not written.
pub(super) fn check_encodable(stages: &[BytesToBytes]) -> Result<()> {
    stages.iter().try_for_each(|stage| match stage {
        BytesToBytes::Compressor(Compressor::Blosc(codec)) => codec.check_encodable(),
        _ => Ok(()),
    })
}

/// Whether [`decode_parts`] can decode a part for less than the whole: one blosc codec, whatever checksums follow it.
pub(super) fn decodes_parts(stages: &[BytesToBytes]) -> bool {
    matches!(stages, [BytesToBytes::Compressor(Compressor::Blosc(_)), after @ ..] if only_checksums(after))
}

/// Decodes of `len` bytes those blocks that meet one of `parts`, each to its place in `out`, which then has `len` bytes; all others are left over
/// from earlier uses of the buffer. Checksums are checked over everything. Returns the number of blocks decoded.
pub(super) fn decode_parts(
    stages: &[BytesToBytes],
    len: usize,
    mut encoded: &[u8],
    parts: &[Range<usize>],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<usize> {
    for stage in stages.iter().rev() {
        if let BytesToBytes::Checksum(codec) = stage {
            encoded = codec.decode(encoded)?;
        }
    }
    Blosc::decode_parts(encoded, len, parts, scratch, out)
}

/// Upper bound of the memory in bytes that contexts and intermediate buffers take while `len` bytes are encoded.
pub(super) fn encode_memory(stages: &[BytesToBytes], mut len: u64) -> u64 {
    let mut total = 0_u64;
    for (position, stage) in stages.iter().enumerate() {
        if let BytesToBytes::Compressor(compressor) = stage {
            let context = match compressor {
                Compressor::Blosc(codec) => codec.encode_memory(len),
                Compressor::Gzip(_) => Gzip::ENCODE_MEMORY,
                Compressor::Zstd(codec) => codec.encode_memory(len),
            };
            total = total.saturating_add(context).saturating_add(if position > 0 { len } else { 0 });
        }
        len = stage.encoded_bound(len);
    }
    total
}

/// Upper bound of the memory in bytes that contexts and intermediate buffers take while at most `len` bytes are decoded.
pub(super) fn decode_memory(stages: &[BytesToBytes], mut len: u64) -> u64 {
    let mut total = 0_u64;
    for (position, stage) in stages.iter().enumerate() {
        if let BytesToBytes::Compressor(compressor) = stage {
            let context = match compressor {
                Compressor::Blosc(_) => Blosc::decode_memory(len),
                Compressor::Gzip(_) => Gzip::DECODE_MEMORY,
                Compressor::Zstd(_) => Zstd::DECODE_MEMORY,
            };
            let output = if only_checksums(&stages[..position]) { 0 } else { len };
            total = total.saturating_add(context).saturating_add(output);
        }
        len = stage.encoded_bound(len);
    }
    total
}

/// Encodes `input` through all stages. A checksum is taken of what passes; only a compressor after another codec needs its input whole.
pub(super) fn encode(stages: &[BytesToBytes], input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
    let Some((last, before)) = stages.split_last() else { return sink(input) };
    match last {
        BytesToBytes::Checksum(codec) => codec.encode(|sink| encode(before, input, scratch, sink), sink),
        BytesToBytes::Compressor(compressor) if before.is_empty() => compressor.encode(input, scratch, sink),
        BytesToBytes::Compressor(compressor) => {
            let mut buffer = scratch.take();
            make_room(&mut buffer, to_usize(encoded_bound(before, input.len() as u64)))?;
            encode(before, input, scratch, &mut |piece| {
                buffer.extend_from_slice(piece);
                Ok(())
            })?;
            let result = compressor.encode(&buffer, scratch, sink);
            scratch.give(buffer);
            result
        }
    }
}

/// Where decoded bytes are.
pub(super) enum Decoded<'a> {
    /// They are a part of the encoded bytes.
    Input(&'a [u8]),
    /// They are the whole of the output buffer.
    Output,
}

/// Decodes `encoded` through all stages, from the last to the first, to at most `limit` bytes.
pub(super) fn decode<'a>(
    stages: &[BytesToBytes],
    limit: u64,
    encoded: &'a [u8],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<Decoded<'a>> {
    let (last, before) = match stages.split_last() {
        None => return Ok(Decoded::Input(encoded)),
        Some((BytesToBytes::Checksum(codec), before)) => return decode(before, limit, codec.decode(encoded)?, scratch, out),
        Some((BytesToBytes::Compressor(compressor), before)) => (compressor, before),
    };
    let most = to_usize(encoded_bound(before, limit));
    if only_checksums(before) {
        last.decode(encoded, most, scratch, out)?;
        let kept = match decode(before, limit, out, scratch, &mut Vec::new())? {
            Decoded::Input(kept) => kept.len(),
            Decoded::Output => out.len(),
        };
        out.truncate(kept);
    } else {
        let mut buffer = scratch.take();
        last.decode(encoded, most, scratch, &mut buffer)?;
        decode(before, limit, &buffer, scratch, out)?;
        scratch.give(buffer);
    }
    Ok(Decoded::Output)
}
