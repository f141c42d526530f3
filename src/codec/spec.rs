//! The codecs that a user asks for, in words short enough for a command line.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::codec::blosc::Blosc;
use crate::codec::bytes::Bytes;
use crate::codec::bz2::Bz2;
use crate::codec::chain::LZMA;
use crate::codec::checksum::Checksum;
use crate::codec::gzip::Gzip;
use crate::codec::lz4::Lz4;
use crate::codec::sharding::Sharding;
use crate::codec::shuffle::Shuffle;
use crate::codec::transpose::Transpose;
use crate::codec::vlen::Vlen;
use crate::codec::zlib::Zlib;
use crate::codec::zstd::Zstd;
use crate::codec::{build, reshape};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// The codecs of a chunk, without sharding: array->array codecs, `bytes`, bytes->bytes codecs, for any chunk shape, and for any data type unless
/// a codec object says otherwise. Whether they suit an array is said when it is made.
///
/// As text (`parse`, `Display`): words joined by commas, or a list of codec objects as in a `zarr.json`.
///
/// | word | codec |
/// |---|---|
/// | `none` | only `bytes`, little endian (alone) |
/// | `zstd`, `zstd:LEVEL` | `zstd`, level -131072 to 22, 3 if none is given |
/// | `gzip`, `gzip:LEVEL` | `gzip`, level 0 to 9, 6 if none is given |
/// | `lz4` | `numcodecs.lz4` |
/// | `zlib`, `zlib:LEVEL` | `numcodecs.zlib`, level 0 to 9, 6 if none is given |
/// | `bz2`, `bz2:LEVEL` | `numcodecs.bz2`, level 1 to 9, 9 if none is given |
/// | `lzma`, `lzma:PRESET` | `numcodecs.lzma`, preset 0 to 9, 6 if none is given; with the cargo feature `lzma` |
/// | `shuffle`, `shuffle:SIZE` | `numcodecs.shuffle`, elements of SIZE bytes, those of the array if none is given |
/// | `blosc`, `blosc:CNAME:LEVEL:SHUFFLE` | `blosc`: `lz4`, `lz4hc`, `blosclz`, `zstd` or `zlib`, level 0 to 9, `shuffle`, `bitshuffle` or `noshuffle`; `zstd`, 5, `shuffle` where they are left out |
/// | `crc32c` | `crc32c` |
/// | `crc32`, `adler32`, `fletcher32` | `numcodecs.crc32` and so on |
/// | `big` | big endian instead of little |
/// | `transpose:2-0-1` | `transpose`, stored axis 0 is array axis 2, and so on |
///
/// ```
/// let codecs: rezarr::Codecs = "transpose:1-0,zstd:5,crc32c".parse()?;
/// assert_eq!(codecs.to_string(), "transpose:1-0,zstd:5,crc32c");
/// # Ok::<(), rezarr::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Codecs(pub(crate) Vec<NamedConfig>);

const ACCEPTED: &str = "accepted are none, zstd[:LEVEL], gzip[:LEVEL], blosc[:CNAME:LEVEL:SHUFFLE], lz4, zlib[:LEVEL], bz2[:LEVEL], lzma[:PRESET], shuffle[:SIZE], crc32c, \
                        crc32, adler32, fletcher32, big, transpose:A-B-C, joined by commas, or a JSON list of codec objects";

/// What an argument after a word sets: a member of the configuration, and its value where there is none after the word.
type Argument = Option<(&'static str, Option<u32>)>;

/// Words for codecs of numcodecs, and the codec of each.
const WORDS: [(&str, &str, Argument); 8] = [
    ("lz4", Lz4::NAME, None),
    ("zlib", Zlib::NAME, Some(("level", Some(6)))),
    ("bz2", Bz2::NAME, Some(("level", Some(9)))),
    ("lzma", LZMA, Some(("preset", Some(6)))),
    ("shuffle", Shuffle::NAME, Some(("elementsize", None))),
    ("crc32", Checksum::CRC32, None),
    ("adler32", Checksum::ADLER32, None),
    ("fletcher32", Checksum::FLETCHER32, None),
];

/// Data types that stand for all others: of each kind of numbers, and of each size. The first is the one that errors are about.
const STAND_INS: &[DataType] = &[
    DataType::Int16,
    DataType::Float32,
    DataType::Bool,
    DataType::Float64,
    DataType::Float16,
    DataType::Int8,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Complex64,
    DataType::Complex128,
    DataType::String,
    DataType::Bytes,
];

/// The level that the word `zstd` alone stands for.
const ZSTD_LEVEL: i32 = 3;

impl Default for Codecs {
    /// `zstd:3`.
    fn default() -> Self {
        Self::none().with_zstd(ZSTD_LEVEL)
    }
}

impl Codecs {
    /// Little-endian bytes as they are.
    pub fn none() -> Self {
        Self(vec![endian("little")])
    }

    /// Little-endian bytes, compressed by zstd.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a level outside -131072 to 22.
    pub fn zstd(level: i32) -> Result<Self> {
        if !(Zstd::MIN_LEVEL..=Zstd::MAX_LEVEL).contains(&level) {
            let what = format!("zstd level {level}; accepted are {} to {}", Zstd::MIN_LEVEL, Zstd::MAX_LEVEL);
            return Err(Error::invalid(what));
        }
        Ok(Self::none().with_zstd(level))
    }

    /// Little-endian bytes, compressed by gzip.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a level outside 0 to 9.
    pub fn gzip(level: i32) -> Result<Self> {
        if !(0..=Gzip::MAX_LEVEL).contains(&level) {
            return Err(Error::invalid(format!("gzip level {level}; accepted are 0 to {}", Gzip::MAX_LEVEL)));
        }
        Ok(Self::none().with(NamedConfig::new(Gzip::NAME, Map::from_iter([("level".to_owned(), Value::from(level))]))))
    }

    /// The same, and a checksum at the end.
    #[must_use]
    pub fn with_crc32c(self) -> Self {
        self.with(NamedConfig::new(Checksum::CRC32C, Map::new()))
    }

    /// The same in big-endian byte order.
    #[must_use]
    pub fn with_big_endian(mut self) -> Self {
        for codec in self.0.iter_mut().filter(|codec| codec.name == Bytes::NAME) {
            *codec = endian("big");
        }
        self
    }

    /// The same with one more transposition, the last before the bytes: stored axis `i` is axis `order[i]`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where `order` is not a permutation of all numbers from 0, or not of the rank of an earlier one.
    pub fn with_transpose(mut self, order: &[usize]) -> Result<Self> {
        let axes = order.iter().map(|&axis| Value::from(axis)).collect();
        let config = NamedConfig::new(Transpose::NAME, Map::from_iter([("order".to_owned(), Value::Array(axes))]));
        let position = self.0.iter().take_while(|codec| codec.name == Transpose::NAME).count();
        self.0.insert(position, config);
        self.checked()
    }

    /// The codecs for elements of a data type: `bytes` gives way to the codec of strings where they are of variable length.
    pub(crate) fn for_type(&self, data_type: &DataType) -> Vec<NamedConfig> {
        let strings = match data_type {
            DataType::String => Vlen::TEXT_NAME,
            DataType::Bytes => Vlen::BYTES_NAME,
            _ => return self.0.clone(),
        };
        let fitting = |codec: &NamedConfig| if codec.name == Bytes::NAME { NamedConfig::new(strings, Map::new()) } else { codec.clone() };
        self.0.iter().map(fitting).collect()
    }

    /// The inverse of [`Codecs::for_type`], for the codecs of a chunk as they stand in metadata.
    pub(crate) fn of_any_type(codecs: &[NamedConfig]) -> Self {
        let is_strings = |codec: &NamedConfig| [Vlen::TEXT_NAME, Vlen::BYTES_NAME].contains(&codec.name.as_str());
        Self(codecs.iter().map(|codec| if is_strings(codec) { endian("little") } else { codec.clone() }).collect())
    }

    /// What a user should know of these codecs, a sentence each: where chunks are encoded in another way than the codec objects ask for.
    pub fn notes(&self) -> Vec<String> {
        self.0.iter().filter(|codec| codec.name == Blosc::NAME).filter_map(|codec| Blosc::note(&codec.configuration)).collect()
    }

    /// The same without what follows from the size of an element, for use with any type.
    #[must_use]
    pub(crate) fn without_item_size(mut self, item_size: usize) -> Self {
        for codec in self.0.iter_mut().filter(|codec| codec.name == Blosc::NAME) {
            if codec.configuration.get("typesize").and_then(Value::as_u64) == Some(item_size as u64) {
                codec.configuration.shift_remove("typesize");
            }
        }
        self
    }

    /// Codec objects as they stand in metadata, where single-byte elements have no byte order: here they have one, for use with any type.
    pub(super) fn from_metadata(mut codecs: Vec<NamedConfig>) -> Self {
        for codec in codecs.iter_mut().filter(|codec| codec.name == Bytes::NAME && codec.configuration.is_empty()) {
            *codec = endian("little");
        }
        Self(codecs)
    }

    fn with_zstd(self, level: i32) -> Self {
        let configuration = Map::from_iter([("level".to_owned(), Value::from(level)), ("checksum".to_owned(), Value::from(false))]);
        self.with(NamedConfig::new(Zstd::NAME, configuration))
    }

    fn with(mut self, codec: NamedConfig) -> Self {
        self.0.push(codec);
        self
    }

    /// Looks for what is wrong whatever the array is, so that it is said here rather than when an array is made: there must be a data type for
    /// which the codecs are right.
    fn checked(self) -> Result<Self> {
        let explain = |what: String| Error::invalid(format!("codecs {self}: {what}"));
        if self.0.iter().any(|codec| codec.name == Sharding::NAME) {
            return Err(explain(format!("{} is not asked for here, but by the shape of shards", Sharding::NAME)));
        }
        let of_the_array = self.0.iter().take_while(|codec| codec.name != reshape::NAME);
        let rank = of_the_array.filter_map(|codec| codec.configuration.get("order")?.as_array().map(Vec::len)).next().unwrap_or(0);
        let mut farthest: Option<(usize, Error)> = None;
        for data_type in STAND_INS {
            match build::check(&self.0, rank, data_type) {
                Ok(()) => return Ok(self),
                // Where a type does not suit one codec, another gets to what is really wrong.
                Err((position, error)) if farthest.as_ref().is_none_or(|(before, _)| *before < position) => {
                    farthest = Some((position, error))
                }
                Err(_) => {}
            }
        }
        match farthest {
            Some((_, Error::Metadata { pointer, what, .. })) => Err(explain(format!("at {pointer}: {what}"))),
            Some((_, error)) => Err(explain(error.to_string())),
            None => Ok(self),
        }
    }

    fn from_json(text: &str) -> Result<Self> {
        let invalid = |what: String| Error::invalid(format!("codecs {text:?}: {what}; {ACCEPTED}"));
        let list: Vec<Value> = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let codecs: Result<Vec<_>> = list.iter().map(NamedConfig::from_json).collect();
        Self::from_metadata(codecs.map_err(|error| invalid(error.to_string()))?).checked()
    }

    /// Adds what one word stands for; none if it is no such word.
    fn add_word(self, word: &str) -> Result<Option<Self>> {
        let (name, argument) = word.split_once(':').map_or((word, None), |(name, argument)| (name, Some(argument)));
        let level = |default| match argument {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| Error::invalid(format!("codec {word:?}: the level {text:?} is not a number"))),
        };
        Ok(Some(match (name, argument) {
            ("zstd", _) => self.followed_by(Self::zstd(level(ZSTD_LEVEL)?)?),
            ("gzip", _) => self.followed_by(Self::gzip(level(Gzip::DEFAULT_LEVEL)?)?),
            ("blosc", words) => self.with(Blosc::from_words(words)?).checked()?,
            ("crc32c", None) => self.with_crc32c(),
            (word, argument) if let Some(&(_, name, accepted)) = WORDS.iter().find(|entry| entry.0 == word) => {
                let value = match (argument, accepted) {
                    (None, Some((_, default))) => default,
                    (None, None) => None,
                    (Some(_), None) => return Ok(None),
                    (Some(text), Some((member, _))) => Some(
                        text.parse()
                            .map_err(|_| Error::invalid(format!("codec {word:?}: the {member} {text:?} is not a number from 0")))?,
                    ),
                };
                self.with(numcodecs(name, accepted, value)).checked()?
            }
            ("big", None) => self.with_big_endian(),
            ("transpose", Some(order)) => {
                let order: Option<Vec<usize>> = order.split('-').map(|axis| axis.parse().ok()).collect();
                let Some(order) = order else { return Ok(None) };
                self.with_transpose(&order)?
            }
            _ => return Ok(None),
        }))
    }

    /// Adds the bytes->bytes codecs of `other`.
    fn followed_by(mut self, other: Self) -> Self {
        self.0.extend(other.0.into_iter().skip(1));
        self
    }

    /// The words for these codecs; none where there are no words for what they say.
    fn words(&self) -> Option<String> {
        let mut words = Vec::new();
        for codec in &self.0 {
            let level = codec.configuration.get("level").and_then(Value::as_i64);
            match codec.name.as_str() {
                Transpose::NAME => {
                    let order: Option<Vec<_>> =
                        codec.configuration.get("order")?.as_array()?.iter().map(|axis| Some(axis.as_u64()?.to_string())).collect();
                    words.push(format!("transpose:{}", order?.join("-")));
                }
                Bytes::NAME if *codec == endian("big") => words.push("big".to_owned()),
                Bytes::NAME => {}
                Zstd::NAME if codec.configuration.get("checksum") != Some(&Value::Bool(true)) => words.push(format!("zstd:{}", level?)),
                Gzip::NAME => words.push(format!("gzip:{}", level?)),
                Blosc::NAME => words.push(Blosc::to_words(&codec.configuration)?),
                Checksum::CRC32C => words.push("crc32c".to_owned()),
                _ => words.push(numcodecs_word(codec)?),
            }
        }
        Some(if words.is_empty() { "none".to_owned() } else { words.join(",") })
    }
}

/// The codec object of one of [`WORDS`], in the form in which pipelines write it.
fn numcodecs(name: &str, argument: Argument, value: Option<u32>) -> NamedConfig {
    let mut members: Vec<(&str, Value)> = match name {
        Lz4::NAME => vec![("acceleration", 1.into())],
        LZMA => vec![("format", 1.into()), ("check", (-1).into()), ("preset", Value::Null), ("filters", Value::Null)],
        _ => Vec::new(),
    };
    if let (Some((member, _)), Some(value)) = (argument, value) {
        members.retain(|(name, _)| *name != member);
        members.push((member, value.into()));
    }
    NamedConfig::new(name, members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The word for a codec object that [`numcodecs`] makes; none for any other.
fn numcodecs_word(codec: &NamedConfig) -> Option<String> {
    let &(word, name, argument) = WORDS.iter().find(|entry| entry.1 == codec.name)?;
    let value = match argument.and_then(|(member, _)| codec.configuration.get(member)) {
        None => None,
        Some(value) => Some(u32::try_from(value.as_u64()?).ok()?),
    };
    if *codec != numcodecs(name, argument, value) {
        return None;
    }
    match (value, argument) {
        (Some(value), _) => Some(format!("{word}:{value}")),
        // The word alone would stand for its default.
        (None, Some((_, Some(_)))) => None,
        (None, _) => Some(word.to_owned()),
    }
}

fn endian(order: &str) -> NamedConfig {
    NamedConfig::new(Bytes::NAME, Map::from_iter([("endian".to_owned(), Value::from(order))]))
}

impl FromStr for Codecs {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text == "none" {
            return Ok(Self::none());
        }
        if text.starts_with('[') {
            return Self::from_json(text);
        }
        text.split(',').try_fold(Self::none(), |codecs, word| {
            let word = word.trim();
            codecs.add_word(word)?.ok_or_else(|| Error::invalid(format!("codec {word:?} is not known; {ACCEPTED}")))
        })
    }
}

impl fmt::Display for Codecs {
    /// The short form, or JSON where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            Some(words) => f.write_str(&words),
            None => write!(f, "{}", Value::Array(self.0.iter().map(NamedConfig::to_json).collect())),
        }
    }
}

#[cfg(test)]
mod tests;
