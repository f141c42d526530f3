//! The bytes->bytes codecs of a pipeline, run one after the other.

use std::ops::Range;

use crate::buffer::make_room;
use crate::codec::blosc::Blosc;
use crate::codec::bz2::Bz2;
use crate::codec::checksum::{CHECKSUM_BYTES, Checksum};
use crate::codec::deflate;
use crate::codec::gzip::Gzip;
use crate::codec::lz4::{self, Lz4};
#[cfg(feature = "lzma")]
use crate::codec::lzma::Lzma;
use crate::codec::scratch::Scratch;
use crate::codec::shuffle::Shuffle;
use crate::codec::zlib::Zlib;
use crate::codec::zstd::Zstd;
use crate::codec::{PIECE_BYTES, Sink};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::to_usize;

/// The codecs of numcodecs are known by this before their short names, by an older form of it, by one that zarrs used, or bare.
const NUMCODECS: [&str; 3] = ["numcodecs.", "https://zarr.dev/numcodecs/", "https://codec.zarrs.dev/bytes_to_bytes/"];

/// The codec that takes a cargo feature.
pub(super) const LZMA: &str = "numcodecs.lzma";

/// A codec from bytes to bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BytesToBytes {
    /// Its decoder fills a buffer.
    Compressor(Compressor),
    /// Its decoder only cuts something off the encoded bytes, and its encoder only adds it.
    Checksum(Checksum),
}

/// A codec from bytes to other bytes: fewer, one hopes, or as many in another order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compressor {
    Gzip(Gzip),
    Blosc(Blosc),
    Zlib(Zlib),
    Zstd(Zstd),
    Bz2(Bz2),
    Lz4(Lz4),
    #[cfg(feature = "lzma")]
    Lzma(Lzma),
    Shuffle(Shuffle),
}

impl BytesToBytes {
    /// The names of all codecs, as they are written.
    const NAMES: [&str; 14] = [
        Gzip::NAME,
        Zstd::NAME,
        Blosc::NAME,
        Checksum::CRC32C,
        Zlib::NAME,
        Bz2::NAME,
        Lz4::NAME,
        LZMA,
        Shuffle::NAME,
        Checksum::CRC32,
        Checksum::NUMCODECS_CRC32C,
        Checksum::ADLER32,
        Checksum::FLETCHER32,
        Checksum::LOOKUP3,
    ];

    /// The names of the codecs of this build.
    pub(super) fn names() -> impl Iterator<Item = &'static &'static str> {
        Self::NAMES.iter().filter(|name| cfg!(feature = "lzma") || **name != LZMA)
    }

    /// Reads a codec object of a pipeline for items of `item_bytes`; none if no bytes->bytes codec has its name.
    pub(super) fn from_metadata(config: &NamedConfig, item_bytes: usize) -> Result<Option<Self>> {
        let name = canonical(&config.name);
        Ok(Some(Self::Compressor(match name.as_str() {
            Gzip::NAME => Compressor::Gzip(Gzip::from_metadata(config)?),
            "numcodecs.gzip" => Compressor::Gzip(Gzip::from_numcodecs(config)?),
            Blosc::NAME | Blosc::NUMCODECS_NAME => Compressor::Blosc(Blosc::from_metadata(config, item_bytes)?),
            Zlib::NAME => Compressor::Zlib(Zlib::from_metadata(config)?),
            Zstd::NAME | "numcodecs.zstd" => Compressor::Zstd(Zstd::from_metadata(config)?),
            Bz2::NAME => Compressor::Bz2(Bz2::from_metadata(config)?),
            Lz4::NAME => Compressor::Lz4(Lz4::from_metadata(config)?),
            #[cfg(feature = "lzma")]
            LZMA => Compressor::Lzma(Lzma::from_metadata(config)?),
            #[cfg(not(feature = "lzma"))]
            LZMA => {
                let what = format!("codec {:?}: this build is without it; build rezarr with the cargo feature \"lzma\"", config.name);
                return Err(Error::unsupported(what));
            }
            Shuffle::NAME => Compressor::Shuffle(Shuffle::from_metadata(config, item_bytes)?),
            _ => return Ok(Checksum::from_metadata(&name, config)?.map(Self::Checksum)),
        })))
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        match self {
            Self::Compressor(Compressor::Gzip(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Blosc(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Zlib(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Zstd(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Bz2(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Lz4(codec)) => codec.to_metadata(),
            #[cfg(feature = "lzma")]
            Self::Compressor(Compressor::Lzma(codec)) => codec.to_metadata(),
            Self::Compressor(Compressor::Shuffle(codec)) => codec.to_metadata(),
            Self::Checksum(codec) => codec.to_metadata(),
        }
    }

    fn encoded_bound(self, len: u64) -> u64 {
        match self {
            Self::Compressor(Compressor::Gzip(_) | Compressor::Zlib(_)) => deflate::encoded_bound(len),
            Self::Compressor(Compressor::Blosc(_)) => Blosc::encoded_bound(len),
            Self::Compressor(Compressor::Zstd(_)) => Zstd::encoded_bound(len),
            Self::Compressor(Compressor::Bz2(_)) => Bz2::encoded_bound(len),
            Self::Compressor(Compressor::Lz4(_)) => Lz4::encoded_bound(len),
            #[cfg(feature = "lzma")]
            Self::Compressor(Compressor::Lzma(_)) => Lzma::encoded_bound(len),
            Self::Compressor(Compressor::Shuffle(_)) => len,
            Self::Checksum(_) => len.saturating_add(CHECKSUM_BYTES),
        }
    }

    /// Whether its encoder must have all of its input at once.
    fn needs_whole(self) -> bool {
        match self {
            Self::Compressor(_) => true,
            Self::Checksum(codec) => !codec.can_pass(),
        }
    }
}

/// The name under which a codec is known here: that with `numcodecs.` for one of numcodecs.
fn canonical(name: &str) -> String {
    let prefixed = |short: &str| format!("{}{short}", NUMCODECS[0]);
    match NUMCODECS.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        Some(short) => prefixed(short),
        None if BytesToBytes::NAMES.contains(&prefixed(name).as_str()) && !BytesToBytes::NAMES.contains(&name) => prefixed(name),
        None => name.to_owned(),
    }
}

impl Compressor {
    fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        match self {
            Self::Gzip(codec) => codec.encode(input, scratch, sink),
            Self::Blosc(codec) => codec.encode(input, scratch, sink),
            Self::Zlib(codec) => codec.encode(input, scratch, sink),
            Self::Zstd(codec) => codec.encode(input, scratch, sink),
            Self::Bz2(codec) => codec.encode(input, scratch, sink),
            Self::Lz4(_) => Lz4::encode(input, scratch, sink),
            #[cfg(feature = "lzma")]
            Self::Lzma(codec) => codec.encode(input, sink),
            Self::Shuffle(codec) => codec.encode(input, scratch, sink),
        }
    }

    /// Replaces the contents of `out`, which never gets room for more than about `limit` bytes.
    fn decode(self, input: &[u8], limit: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Gzip(_) => Gzip::decode(input, limit, scratch, out),
            Self::Blosc(_) => Blosc::decode(input, limit, scratch, out),
            Self::Zlib(_) => Zlib::decode(input, limit, scratch, out),
            Self::Zstd(_) => Zstd::decode(input, limit, scratch, out),
            Self::Bz2(_) => Bz2::decode(input, limit, out),
            Self::Lz4(_) => Lz4::decode(input, limit, out),
            #[cfg(feature = "lzma")]
            Self::Lzma(_) => Lzma::decode(input, limit, out),
            Self::Shuffle(codec) => codec.decode(input, limit, out),
        }
    }

    /// Upper bound of the memory in bytes of contexts and output buffers while `len` bytes are encoded.
    fn encode_memory(self, len: u64) -> u64 {
        match self {
            Self::Gzip(_) | Self::Zlib(_) => deflate::ENCODE_MEMORY,
            Self::Blosc(codec) => codec.encode_memory(len),
            Self::Zstd(codec) => codec.encode_memory(len),
            Self::Bz2(codec) => codec.encode_memory(),
            Self::Lz4(_) => Lz4::encode_memory(len),
            #[cfg(feature = "lzma")]
            Self::Lzma(codec) => codec.encode_memory(len),
            Self::Shuffle(_) => PIECE_BYTES as u64,
        }
    }

    /// Upper bound of the memory in bytes of contexts while at most `len` bytes are decoded.
    fn decode_memory(self, len: u64) -> u64 {
        match self {
            Self::Gzip(_) | Self::Zlib(_) => deflate::DECODE_MEMORY,
            Self::Blosc(_) => Blosc::decode_memory(len),
            Self::Zstd(_) => Zstd::DECODE_MEMORY,
            Self::Bz2(_) => Bz2::DECODE_MEMORY,
            #[cfg(feature = "lzma")]
            Self::Lzma(_) => Lzma::decode_memory(len),
            Self::Lz4(_) | Self::Shuffle(_) => 0,
        }
    }
}

/// Refuses stages that could never encode a chunk, of which the first one gets `len` bytes; none where that depends on the chunk. `first` is the
/// position of the first stage in the list of codecs.
pub(super) fn check_sizes(stages: &[BytesToBytes], first: usize, mut len: Option<u64>) -> Result<()> {
    for (i, stage) in (first..).zip(stages) {
        len = match (stage, len) {
            (_, None) => return Ok(()),
            (BytesToBytes::Compressor(Compressor::Shuffle(codec)), Some(len)) if !codec.divides(len) => {
                return Err(Error::metadata(format!("/{i}"), codec.misfit(len)));
            }
            (BytesToBytes::Compressor(Compressor::Blosc(_)), Some(len)) => {
                Blosc::check_len(len)?;
                None
            }
            (BytesToBytes::Compressor(Compressor::Lz4(_)), Some(len)) if len > lz4::MAX_BLOCK_BYTES => return Err(lz4::too_large(len)),
            (BytesToBytes::Compressor(Compressor::Shuffle(_)) | BytesToBytes::Checksum(_), Some(len)) => Some(stage.encoded_bound(len)),
            (BytesToBytes::Compressor(_), _) => None,
        };
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

/// An upper bound of the encoded size of `len` bytes; saturates.
pub(super) fn encoded_bound(stages: &[BytesToBytes], len: u64) -> u64 {
    stages.iter().fold(len, |len, stage| stage.encoded_bound(len))
}

/// Whether decoding only cuts something off the encoded bytes.
pub(super) fn only_checksums(stages: &[BytesToBytes]) -> bool {
    stages.iter().all(|stage| matches!(stage, BytesToBytes::Checksum(_)))
}

/// How many bytes decoding cuts off the beginning of stages that are only checksums.
pub(super) fn bytes_before(stages: &[BytesToBytes]) -> usize {
    stages.iter().map(|stage| if let BytesToBytes::Checksum(codec) = stage { codec.bytes_before() } else { 0 }).sum()
}

/// Upper bound of the memory in bytes that contexts and intermediate buffers take while `len` bytes are encoded.
pub(super) fn encode_memory(stages: &[BytesToBytes], mut len: u64) -> u64 {
    let mut total = 0_u64;
    for (position, stage) in stages.iter().enumerate() {
        if let BytesToBytes::Compressor(compressor) = stage {
            total = total.saturating_add(compressor.encode_memory(len));
        }
        if position > 0 && stage.needs_whole() {
            total = total.saturating_add(len);
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
            let output = if only_checksums(&stages[..position]) { 0 } else { len };
            total = total.saturating_add(compressor.decode_memory(len)).saturating_add(output);
        }
        len = stage.encoded_bound(len);
    }
    total
}

/// Encodes `input` through all stages. Most checksums are taken of what passes; what needs its input whole after another codec gets it
/// from a buffer.
pub(super) fn encode(stages: &[BytesToBytes], input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
    let Some((last, before)) = stages.split_last() else { return sink(input) };
    match last {
        BytesToBytes::Checksum(codec) if codec.can_pass() => codec.encode_passing(|sink| encode(before, input, scratch, sink), sink),
        _ if before.is_empty() => encode_whole(*last, input, scratch, sink),
        _ => {
            let mut buffer = scratch.take();
            make_room(&mut buffer, to_usize(encoded_bound(before, input.len() as u64)))?;
            encode(before, input, scratch, &mut |piece| {
                buffer.extend_from_slice(piece);
                Ok(())
            })?;
            let result = encode_whole(*last, &buffer, scratch, sink);
            scratch.give(buffer);
            result
        }
    }
}

fn encode_whole(stage: BytesToBytes, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
    match stage {
        BytesToBytes::Compressor(compressor) => compressor.encode(input, scratch, sink),
        BytesToBytes::Checksum(codec) => codec.encode(input, sink),
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
        let start = bytes_before(before);
        out.truncate(start + kept);
        out.drain(..start);
    } else {
        let mut buffer = scratch.take();
        last.decode(encoded, most, scratch, &mut buffer)?;
        decode(before, limit, &buffer, scratch, out)?;
        scratch.give(buffer);
    }
    Ok(Decoded::Output)
}
