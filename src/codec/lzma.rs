//! The `numcodecs.lzma` codec: xz streams, with the cargo feature `lzma`.

use std::io::{self, Read as _, Write};

use lzma_rust2::{CheckType, LzmaOptions, XzOptions, XzReader, XzWriter};
use serde_json::{Map, Value};

use crate::buffer::resize;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

mod crc64;
mod xz;

/// Xz compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lzma {
    /// 0 to 9, with [`EXTREME`] or without.
    preset: Option<u32>,
    check: CheckType,
}

/// The flag of a preset that takes longer for a little less output.
const EXTREME: u32 = 1 << 31;

/// The preset of a codec object without one, and the highest.
const DEFAULT_PRESET: u32 = 6;
const MAX_PRESET: u32 = 9;

/// The largest dictionary of a stream that is read, in bytes: that of preset 9. What a decoder really takes is no more than twice its output.
const MAX_DICTIONARY: u32 = 64 << 20;

/// What a decoder takes beyond its dictionary, in KiB: probabilities and an input buffer.
const DECODER_KIB: u32 = 40 + 64;

/// The room that output gets at first, and at least.
const FIRST_ROOM: usize = 1 << 16;

impl Lzma {
    pub(super) const NAME: &'static str = "numcodecs.lzma";

    /// Reads the codec object. Its numbers are those of Python's `lzma` module.
    pub(super) fn from_metadata(config: &NamedConfig) -> Result<Self> {
        config.only(&["format", "check", "preset", "filters"])?;
        let unsupported = |member: &str, value: &Value, what: &str| {
            Err(Error::unsupported(format!(
                "{} with the {member} {value}{what}; supported are xz files (format 1) without filters",
                config.name
            )))
        };
        match config.configuration.get("format") {
            None => {}
            Some(format) => match format.as_u64() {
                Some(1) => {}
                Some(2) => return unsupported("format", format, " (.lzma files)"),
                Some(3) => return unsupported("format", format, " (raw streams)"),
                _ => return unsupported("format", format, ""),
            },
        }
        if let Some(filters) = config.configuration.get("filters").filter(|filters| !filters.is_null()) {
            return unsupported("filters", filters, "");
        }
        let check = match configuration::integer(config, "check", -1..=10, -1)? {
            0 => CheckType::None,
            1 => CheckType::Crc32,
            -1 | 4 => CheckType::Crc64,
            10 => CheckType::Sha256,
            other => return Err(Error::metadata("/configuration/check", format!("{other}; accepted are -1, 0, 1, 4 and 10"))),
        };
        let preset = match config.configuration.get("preset") {
            None | Some(Value::Null) => None,
            Some(_) => Some(configuration::unsigned(config, "preset", DEFAULT_PRESET)?),
        };
        if preset.is_some_and(|preset| preset & !EXTREME > MAX_PRESET) {
            let what = "accepted are integers from 0 to 9, 2^31 more for the slower variants, and null".to_owned();
            return Err(Error::metadata("/configuration/preset", what));
        }
        Ok(Self { preset, check })
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        let check = match self.check {
            CheckType::None => 0,
            CheckType::Crc32 => 1,
            CheckType::Crc64 => -1,
            CheckType::Sha256 => 10,
        };
        let members = [("format", Value::from(1)), ("check", check.into()), ("preset", self.preset.into()), ("filters", Value::Null)];
        NamedConfig::new(Self::NAME, Map::from_iter(members.map(|(name, value)| (name.to_owned(), value))))
    }

    /// An upper bound of the encoded size of `len` bytes: chunks of up to 64 KiB that are stored as they are, with three bytes each.
    pub(super) fn encoded_bound(len: u64) -> u64 {
        len.saturating_add(len >> 12).saturating_add(1024)
    }

    /// The parameters for `len` bytes: a dictionary that is larger than the input would be of no use.
    fn options(self, len: u64) -> LzmaOptions {
        let preset = self.preset.unwrap_or(DEFAULT_PRESET);
        let mut options = LzmaOptions::with_preset(preset & !EXTREME);
        if preset & EXTREME != 0 {
            (options.nice_len, options.depth_limit) = (LzmaOptions::NICE_LEN_MAX, 512);
        }
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        options.dict_size = options.dict_size.min(len.max(4096));
        options
    }

    /// Upper bound of the memory in bytes of a compressor of `len` bytes.
    pub(super) fn encode_memory(self, len: u64) -> u64 {
        (u64::from(self.options(len).get_memory_usage()) << 10) + (64 << 10)
    }

    /// Upper bound of the memory in bytes of a decompressor that makes at most `len` bytes: its dictionary grows with the output, by doubling,
    /// and while it does the smaller one is still there.
    pub(super) fn decode_memory(len: u64) -> u64 {
        let dictionary = len.saturating_mul(2).clamp(FIRST_ROOM as u64, u64::from(MAX_DICTIONARY));
        dictionary + dictionary / 2 + (u64::from(DECODER_KIB + 32) << 10)
    }

    /// Encodes `input` to one stream of one block.
    pub(super) fn encode(self, input: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        let lzma_options = self.options(input.len() as u64);
        let options = XzOptions { lzma_options, check_type: self.check, ..XzOptions::default() };
        let mut output = Output { sink, fault: None };
        let result = XzWriter::new(&mut output, options).and_then(|mut writer| {
            writer.write_all(input)?;
            writer.finish().map(|_| ())
        });
        match (output.fault, result) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(encode_fault(&error)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// Decodes one or more streams to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
    pub(super) fn decode(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<()> {
        if xz::decode(input, limit, out)? { Ok(()) } else { Self::decode_any(input, limit, out) }
    }

    /// The same for all that an xz stream may be.
    fn decode_any(input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut reader = XzReader::new_mem_limit(input, true, (MAX_DICTIONARY >> 10) + DECODER_KIB);
        let mut filled = 0;
        // One byte more than the limit: streams that fill it have too much.
        let most = limit.saturating_add(1);
        out.clear();
        loop {
            if filled == out.len() {
                resize(out, most.min((filled * 2).max(FIRST_ROOM)))?;
            }
            match reader.read(&mut out[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => return Err(decode_fault(&error)),
            }
            if filled > limit {
                return Err(Error::corrupt(format!("lzma: the streams hold more than the {limit} bytes that are expected")));
            }
        }
        out.truncate(filled);
        Ok(())
    }
}

/// Passes on what a compressor writes, and keeps the error that this may end in.
struct Output<'a, 'b> {
    sink: &'a mut Sink<'b>,
    fault: Option<Error>,
}

impl Write for Output<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bytes.chunks(PIECE_BYTES).try_for_each(&mut *self.sink).map_err(|fault| {
            self.fault = Some(fault);
            io::Error::other("the sink failed")
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn encode_fault(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::OutOfMemory => Error::no_memory("an lzma compressor"),
        _ => Error::unsupported(format!("lzma: {error}")),
    }
}

fn decode_fault(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::corrupt("lzma: the stream is cut off"),
        io::ErrorKind::OutOfMemory => dictionary_fault(error),
        io::ErrorKind::Unsupported => Error::unsupported(format!("lzma: {error}")),
        _ => Error::corrupt(format!("lzma: {error}")),
    }
}

fn dictionary_fault(found: impl std::fmt::Display) -> Error {
    Error::unsupported(format!("lzma with a dictionary of more than {MAX_DICTIONARY} bytes, which no preset asks for ({found})"))
}
