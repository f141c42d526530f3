//! The `blosc` codec: frames of c-blosc 1, read and written in Rust.
//!
//! What a frame's own header says decides how it is decoded; the codec object says how chunks are encoded. The limit on the output is that of
//! the chunk, so that neither header nor block starts can ask for memory.

use std::fmt;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::codec::deflate;
use crate::codec::scratch::Scratch;
use crate::codec::zstd::Zstd;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

mod bitshuffle;
mod blosclz;
mod decode;
mod encode;
mod frame;
mod read;
mod shuffle;
mod stream;
#[cfg(test)]
mod tests;
mod write;

pub(in crate::codec) use read::{BlockReader, block_bytes, pull_memory};
pub(in crate::codec) use stream::Contexts;
use stream::Format;
pub(in crate::codec) use write::BlockWriter;

/// Size of a frame's header, which is all that a frame adds to content that does not compress.
const HEADER_BYTES: usize = 16;

/// Size of the number that says where a block starts, and of that before each stream.
const START_BYTES: usize = 4;

/// The most content of a frame.
const MAX_BYTES: usize = i32::MAX as usize - HEADER_BYTES;

/// How bytes are reordered before they are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    None,
    Shuffle,
    BitShuffle,
}

/// The names under which compressors are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compressor {
    BloscLz,
    Lz4,
    Lz4Hc,
    Snappy,
    Zlib,
    Zstd,
}

/// Blosc compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blosc {
    compressor: Compressor,
    /// From 0 to 9.
    level: u8,
    filter: Filter,
    /// Size of an element; above 255, blosc knows single bytes only.
    typesize: u32,
    /// Size of a block that is asked for, 0 if none is.
    block_size: u32,
}

const FILTERS: [(Filter, &str); 3] = [(Filter::None, "noshuffle"), (Filter::Shuffle, "shuffle"), (Filter::BitShuffle, "bitshuffle")];

const COMPRESSORS: [(Compressor, &str); 6] = [
    (Compressor::BloscLz, "blosclz"),
    (Compressor::Lz4, "lz4"),
    (Compressor::Lz4Hc, "lz4hc"),
    (Compressor::Snappy, "snappy"),
    (Compressor::Zlib, "zlib"),
    (Compressor::Zstd, "zstd"),
];

impl Compressor {
    fn format(self) -> Format {
        match self {
            Self::BloscLz => Format::BloscLz,
            Self::Lz4 | Self::Lz4Hc => Format::Lz4,
            Self::Snappy => Format::Snappy,
            Self::Zlib => Format::Zlib,
            Self::Zstd => Format::Zstd,
        }
    }
}

impl Blosc {
    pub(crate) const NAME: &'static str = "blosc";
    /// What zarr-python calls the codec in metadata that it migrated.
    pub(crate) const NUMCODECS_NAME: &'static str = "numcodecs.blosc";
    /// The highest level; the lowest is 0.
    const MAX_LEVEL: i32 = 9;
    /// What the word `blosc` alone stands for, and what zarr-python takes for what is missing.
    const DEFAULT_LEVEL: i32 = 5;
    const DEFAULT_COMPRESSOR: Compressor = Compressor::Zstd;

    /// Reads the codec object for elements of `item_size` bytes, which says what `typesize` and `shuffle` are where they are missing.
    pub(super) fn from_metadata(config: &NamedConfig, item_size: usize) -> Result<Self> {
        config.only(&["cname", "clevel", "shuffle", "typesize", "blocksize"])?;
        let filter = read_filter(config)?.unwrap_or(if item_size == 1 { Filter::BitShuffle } else { Filter::Shuffle });
        let fewest = if filter == Filter::None { 0 } else { 1 };
        let typesize = configuration::integer(config, "typesize", fewest..=i32::MAX, 0)?.unsigned_abs();
        let level = configuration::integer(config, "clevel", 0..=Self::MAX_LEVEL, Self::DEFAULT_LEVEL)?;
        Ok(Self {
            compressor: read_word(config, "cname", &COMPRESSORS)?.unwrap_or(Self::DEFAULT_COMPRESSOR),
            level: u8::try_from(level).unwrap_or(0),
            filter,
            typesize: if typesize == 0 { u32::try_from(item_size).unwrap_or(u32::MAX) } else { typesize },
            block_size: configuration::integer(config, "blocksize", 0..=i32::MAX, 0)?.unsigned_abs(),
        })
    }

    /// The codec object with all of its members.
    pub(super) fn to_metadata(self) -> NamedConfig {
        let members = [
            ("cname", Value::from(word(self.compressor, &COMPRESSORS))),
            ("clevel", Value::from(self.level)),
            ("shuffle", Value::from(word(self.filter, &FILTERS))),
            ("typesize", Value::from(self.typesize)),
            ("blocksize", Value::from(self.block_size)),
        ];
        NamedConfig::new(Self::NAME, members.map(|(name, value)| (name.to_owned(), value)).into_iter().collect())
    }

    /// The codec object for `CNAME:LEVEL:SHUFFLE`, of which the last, and the last two, and all may be missing; for elements of any size.
    pub(super) fn from_words(words: Option<&str>) -> Result<NamedConfig> {
        let wrong = |what: String| Err(Error::invalid(format!("codec blosc:{}: {what}", words.unwrap_or_default())));
        let mut parts = words.into_iter().flat_map(|words| words.split(':'));
        let name = parts.next().unwrap_or_else(|| word(Self::DEFAULT_COMPRESSOR, &COMPRESSORS));
        let level = parts.next().map_or(Ok(Self::DEFAULT_LEVEL), str::parse);
        let filter = parts.next().unwrap_or_else(|| word(Filter::Shuffle, &FILTERS));
        match level {
            _ if name.is_empty() => wrong("accepted is blosc:CNAME:LEVEL:SHUFFLE".to_owned()),
            _ if !COMPRESSORS.iter().any(|known| known.1 == name) => wrong(format!("{name:?}; accepted are {}", names(&COMPRESSORS))),
            Ok(level)
                if (0..=Self::MAX_LEVEL).contains(&level) && parts.next().is_none() && FILTERS.iter().any(|known| known.1 == filter) =>
            {
                let members = [("cname", name.into()), ("clevel", level.into()), ("shuffle", filter.into()), ("blocksize", 0.into())];
                Ok(NamedConfig::new(Self::NAME, members.map(|(name, value): (_, Value)| (name.to_owned(), value)).into_iter().collect()))
            }
            _ => wrong(format!("accepted is blosc:CNAME:LEVEL:SHUFFLE with a level from 0 to 9 and one of {}", names(&FILTERS))),
        }
    }

    /// The words for a codec object; none where it says more.
    pub(super) fn to_words(configuration: &Map<String, Value>) -> Option<String> {
        let text = |name| configuration.get(name).and_then(Value::as_str);
        let level = configuration.get("clevel")?.as_i64()?;
        let plain = configuration.get("blocksize").is_none_or(|size| size.as_u64() == Some(0)) && !configuration.contains_key("typesize");
        plain.then_some(format!("{}:{}:{level}:{}", Self::NAME, text("cname")?, text("shuffle")?))
    }

    /// What is done in another way than the codec object asks for.
    pub(super) fn note(configuration: &Map<String, Value>) -> Option<String> {
        (configuration.get("cname").and_then(Value::as_str) == Some("lz4hc")).then(|| {
            "blosc with lz4hc is encoded by the lz4 encoder: all readers decode it alike, but it compresses less than lz4hc does".to_owned()
        })
    }

    /// Refuses what is read but not written.
    pub(super) fn check_encodable(self) -> Result<()> {
        if self.compressor == Compressor::Snappy {
            return Err(Error::unsupported("blosc with snappy is read but not written; use lz4 or zstd, which more programs read"));
        }
        Ok(())
    }

    /// Refuses content of more bytes than a frame holds.
    pub(super) fn check_len(len: u64) -> Result<()> {
        if len > MAX_BYTES as u64 {
            return Err(Error::unsupported(format!("{len} bytes for the codec blosc, whose frames hold at most {MAX_BYTES}")));
        }
        Ok(())
    }

    /// The largest encoded size of `len` bytes; saturates.
    pub(super) fn encoded_bound(len: u64) -> u64 {
        len.saturating_add(HEADER_BYTES as u64)
    }

    /// Upper bound of the memory in bytes while `len` bytes are encoded: the frame, a shuffled block, and what the compressor needs.
    pub(super) fn encode_memory(self, len: u64) -> u64 {
        let header = encode::plan(&self, usize::try_from(len).unwrap_or(MAX_BYTES).clamp(1, MAX_BYTES));
        let shuffled = if header.stored { 0 } else { header.block_len as u64 };
        Self::encoded_bound(len).saturating_add(shuffled).saturating_add(self.compressor_memory(&header))
    }

    /// What the compressor takes for the streams of a frame.
    fn compressor_memory(self, header: &frame::Header) -> u64 {
        match header.format {
            _ if header.stored => 0,
            Format::BloscLz => blosclz::TABLE_BYTES,
            // The encoder's table.
            Format::Lz4 => header.format.spare_bytes(header.block_len) as u64 + (32 << 10),
            Format::Snappy => 0,
            Format::Zlib => deflate::ENCODE_MEMORY,
            Format::Zstd => Zstd::context_memory(stream::zstd_level(self.level), header.block_len as u64),
        }
    }

    /// Upper bound of the memory in bytes while at most `len` bytes are decoded: contexts, and a block, which other writers may make of any
    /// size.
    pub(super) fn decode_memory(len: u64) -> u64 {
        Zstd::DECODE_MEMORY.saturating_add(deflate::DECODE_MEMORY).saturating_add(len.min(MAX_BYTES as u64))
    }

    /// Encodes `input` to one frame.
    pub(super) fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        self.check_encodable()?;
        Self::check_len(input.len() as u64)?;
        let mut frame = scratch.take_len(input.len() + HEADER_BYTES)?;
        let len = encode::frame(&self, input, scratch, &mut frame)?;
        frame[..len].chunks(PIECE_BYTES).try_for_each(sink)?;
        scratch.give(frame);
        Ok(())
    }

    /// Decodes a frame to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
    pub(super) fn decode(input: &[u8], limit: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
        decode::all(input, limit, scratch, out)
    }

    /// Decodes of a frame that holds `len` bytes those blocks that meet one of `parts`, each to its place in `out`, which then has `len` bytes; all
    /// others are left over from earlier uses of the buffer. Returns the number of blocks decoded.
    pub(super) fn decode_parts(
        input: &[u8],
        len: usize,
        parts: &[Range<usize>],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<usize> {
        decode::parts(input, len, parts, scratch, out)
    }
}

fn word<T: PartialEq>(value: T, words: &[(T, &'static str)]) -> &'static str {
    words.iter().find(|known| known.0 == value).map_or("", |known| known.1)
}

fn names<T>(words: &[(T, &str)]) -> String {
    words.iter().map(|known| known.1).collect::<Vec<_>>().join(", ")
}

fn read_word<T: Copy>(config: &NamedConfig, name: &str, words: &[(T, &str)]) -> Result<Option<T>> {
    let Some(value) = config.configuration.get(name) else { return Ok(None) };
    match words.iter().find(|known| value == known.1) {
        Some(known) => Ok(Some(known.0)),
        None => Err(Error::metadata(format!("/configuration/{name}"), format!("{value}; accepted are {}", names(words)))),
    }
}

/// The member `shuffle`, which numcodecs writes as a number; none if the data type is to decide.
fn read_filter(config: &NamedConfig) -> Result<Option<Filter>> {
    match config.configuration.get("shuffle").and_then(Value::as_i64) {
        Some(-1) => Ok(None),
        Some(0) => Ok(Some(Filter::None)),
        Some(1) => Ok(Some(Filter::Shuffle)),
        Some(2) => Ok(Some(Filter::BitShuffle)),
        _ => read_word(config, "shuffle", &FILTERS),
    }
}

/// A frame that is not as it should be.
fn fault(what: impl fmt::Display) -> Error {
    Error::corrupt(format!("blosc: {what}"))
}
