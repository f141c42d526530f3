//! The `numcodecs.bz2` codec: bzip2 streams.

use bzip2::{Action, Compress, Compression, Decompress, Status};
use serde_json::{Map, Value};

use crate::buffer::make_room;
use crate::codec::scratch::Scratch;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// Bzip2 compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bz2 {
    /// Size of a block in units of 100 kB.
    level: u32,
}

/// A stream without blocks, after the four bytes that say the level: its end mark, and the checksum of nothing.
const EMPTY_BODY: [u8; 10] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90, 0, 0, 0, 0];

/// The room that output gets at first, and at least.
const FIRST_ROOM: usize = 1 << 20;

impl Bz2 {
    pub(crate) const NAME: &'static str = "numcodecs.bz2";
    /// The highest level; the lowest is 1.
    pub(crate) const MAX_LEVEL: i32 = 9;
    /// The level of a codec object without one.
    pub(crate) const DEFAULT_LEVEL: i32 = 1;
    /// Upper bound of the memory in bytes of a decompressor: four bytes for each of a block of the highest level, and tables.
    pub(super) const DECODE_MEMORY: u64 = 4 * 900_000 + (128 << 10);

    /// Reads the codec object.
    pub(super) fn from_metadata(config: &NamedConfig) -> Result<Self> {
        config.only(&["level"])?;
        let level = configuration::integer(config, "level", 1..=Self::MAX_LEVEL, Self::DEFAULT_LEVEL)?;
        Ok(Self { level: level.unsigned_abs() })
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        NamedConfig::new(Self::NAME, Map::from_iter([("level".to_owned(), Value::from(self.level))]))
    }

    /// An upper bound of the encoded size of `len` bytes: what the manual of bzip2 guarantees.
    pub(super) fn encoded_bound(len: u64) -> u64 {
        len.saturating_add(len / 100).saturating_add(601)
    }

    /// Upper bound of the memory in bytes of a compressor (eight bytes for each of a block, and tables) and the output buffer.
    pub(super) fn encode_memory(self) -> u64 {
        u64::from(self.level) * 800_000 + (400 << 10) + PIECE_BYTES as u64
    }

    /// Encodes `input` to one stream.
    pub(super) fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        let mut piece = scratch.take();
        make_room(&mut piece, PIECE_BYTES)?;
        let mut encoder = Compress::new(Compression::new(self.level), 0);
        let mut rest = input;
        loop {
            let (before, action) = (encoder.total_in(), if rest.is_empty() { Action::Finish } else { Action::Run });
            let status = encoder.compress_vec(rest, &mut piece, action).map_err(|error| Error::unsupported(error.to_string()))?;
            rest = remaining(rest, encoder.total_in() - before);
            if piece.len() == piece.capacity() || status == Status::StreamEnd {
                piece.chunks(PIECE_BYTES).try_for_each(&mut *sink)?;
                piece.clear();
            }
            if status == Status::StreamEnd {
                scratch.give(piece);
                return Ok(());
            }
        }
    }

    /// Decodes one or more streams to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
    pub(super) fn decode(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<()> {
        if input.is_empty() {
            return Err(Error::corrupt("bz2: no bytes where at least one stream is needed"));
        }
        // A few bytes can stand for any number of them, so room is made as output comes. One byte more than the limit: a stream that
        // fills it has too much.
        let most = limit.saturating_add(1);
        make_room(out, most.min(input.len().saturating_mul(4).max(FIRST_ROOM)))?;
        let mut rest = input;
        while !rest.is_empty() {
            rest = match skip_empty(rest) {
                Some(rest) => rest,
                None => decode_stream(rest, limit, out)?,
            };
        }
        Ok(())
    }
}

/// What follows a stream without content, if `input` begins with one. Such streams take 14 bytes, and a decompressor 4 MB: a file of them
/// would take for ever.
fn skip_empty(input: &[u8]) -> Option<&[u8]> {
    let ([b'B', b'Z', b'h', b'1'..=b'9'], rest) = input.split_first_chunk()? else { return None };
    rest.strip_prefix(&EMPTY_BODY)
}

/// Decodes one stream to the end of `out`; returns what follows it.
fn decode_stream<'a>(input: &'a [u8], limit: usize, out: &mut Vec<u8>) -> Result<&'a [u8]> {
    let mut decoder = Decompress::new(false);
    let mut rest = input;
    loop {
        let (read, written) = (decoder.total_in(), out.len());
        let status = decoder.decompress_vec(rest, out).map_err(|error| Error::corrupt(error.to_string()))?;
        let consumed = decoder.total_in() - read;
        rest = remaining(rest, consumed);
        if out.len() > limit {
            return Err(Error::corrupt(format!("bz2: the streams hold more than the {limit} bytes that are expected")));
        }
        match status {
            Status::StreamEnd => return Ok(rest),
            Status::MemNeeded => return Err(Error::no_memory("a bzip2 decompressor")),
            _ if out.len() == out.capacity() => {
                let more = (limit.saturating_add(1) - out.len()).min(out.len().max(FIRST_ROOM));
                out.try_reserve_exact(more).map_err(|_| Error::no_memory(format!("{more} bytes more")))?;
            }
            _ if consumed == 0 && out.len() == written => return Err(Error::corrupt("bz2: the stream is cut off")),
            _ => {}
        }
    }
}

fn remaining(input: &[u8], consumed: u64) -> &[u8] {
    usize::try_from(consumed).ok().and_then(|consumed| input.get(consumed..)).unwrap_or_default()
}
