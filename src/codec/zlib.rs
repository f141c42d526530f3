//! The `numcodecs.zlib` codec: one RFC 1950 stream.

use serde_json::{Map, Value};

use crate::buffer::make_room;
use crate::codec::deflate::{MAX_RATIO, deflate, inflate};
use crate::codec::scratch::Scratch;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// Zlib compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zlib {
    level: u32,
}

impl Zlib {
    pub(crate) const NAME: &'static str = "numcodecs.zlib";
    /// The highest level; the lowest is 0.
    pub(crate) const MAX_LEVEL: i32 = 9;
    /// The level of a codec object without one.
    pub(crate) const DEFAULT_LEVEL: i32 = 1;

    /// Reads the codec object. Level -1 is zlib's own choice, which is 6.
    pub(super) fn from_metadata(config: &NamedConfig) -> Result<Self> {
        config.only(&["level"])?;
        let level = configuration::integer(config, "level", -1..=Self::MAX_LEVEL, Self::DEFAULT_LEVEL)?;
        Ok(Self { level: u32::try_from(level).unwrap_or(6) })
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        NamedConfig::new(Self::NAME, Map::from_iter([("level".to_owned(), Value::from(self.level))]))
    }

    pub(super) fn level(self) -> u32 {
        self.level
    }

    /// Encodes `input` to one stream.
    pub(super) fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        let mut piece = scratch.take();
        make_room(&mut piece, PIECE_BYTES)?;
        deflate("zlib", scratch.deflater(self.level, true), input, &mut piece, sink)?;
        sink(&piece)?;
        scratch.give(piece);
        Ok(())
    }

    /// Decodes one stream to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
    pub(super) fn decode(input: &[u8], limit: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
        check_dictionary(input)?;
        // One byte more than the limit: a stream that fills it has too much.
        make_room(out, limit.min(input.len().saturating_mul(MAX_RATIO)).saturating_add(1))?;
        let rest = inflate("zlib", scratch.inflater(true), input, limit, out)?;
        if rest.is_empty() { Ok(()) } else { Err(Error::corrupt(format!("zlib: {} bytes follow the stream", rest.len()))) }
    }
}

/// Refuses streams that begin by asking for a dictionary.
pub(super) fn check_dictionary(input: &[u8]) -> Result<()> {
    match input {
        [_, flags, ..] if flags & PRESET_DICTIONARY != 0 => {
            Err(Error::unsupported("zlib streams that need a dictionary; only those without one can be decoded"))
        }
        _ => Ok(()),
    }
}

/// Flag in the second byte of a stream.
const PRESET_DICTIONARY: u8 = 0x20;
