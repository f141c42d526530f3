//! The codecs that a user asks for, in words short enough for a command line.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::codec::CodecPipeline;
use crate::codec::blosc::Blosc;
use crate::codec::bytes::Bytes;
use crate::codec::crc32c::Crc32c;
use crate::codec::gzip::Gzip;
use crate::codec::sharding::Sharding;
use crate::codec::transpose::Transpose;
use crate::codec::zstd::Zstd;
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::MAX_RANK;

/// The codecs of a chunk, without sharding: array->array codecs, `bytes`, bytes->bytes codecs, for any data type and chunk shape.
///
/// As text (`parse`, `Display`): words joined by commas, or a list of codec objects as in a `zarr.json`.
///
/// | word | codec |
/// |---|---|
/// | `none` | only `bytes`, little endian (alone) |
/// | `zstd`, `zstd:LEVEL` | `zstd`, level -131072 to 22, 3 if none is given |
/// | `gzip`, `gzip:LEVEL` | `gzip`, level 0 to 9, 6 if none is given |
/// | `blosc`, `blosc:CNAME:LEVEL:SHUFFLE` | `blosc`: `lz4`, `lz4hc`, `blosclz`, `zstd` or `zlib`, level 0 to 9, `shuffle`, `bitshuffle` or `noshuffle`; `zstd`, 5, `shuffle` where they are left out |
/// | `crc32c` | `crc32c` |
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

const ACCEPTED: &str = "accepted are none, zstd[:LEVEL], gzip[:LEVEL], blosc[:CNAME:LEVEL:SHUFFLE], crc32c, big, transpose:A-B-C, joined by commas, or a JSON list of codec objects";

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
        self.with(NamedConfig::new(Crc32c::NAME, Map::new()))
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

    /// The codecs of shards of these chunks: the `codecs` member for chunks that are shards, with inner chunks of `inner_shape`.
    pub(crate) fn in_shards(&self, inner_shape: &[u64]) -> Vec<NamedConfig> {
        vec![Sharding::conservative(inner_shape, &self.0)]
    }

    /// Codec objects as they stand in metadata, where single-byte elements have no byte order: here they have one, for use with any type.
    pub(super) fn from_metadata(mut codecs: Vec<NamedConfig>) -> Self {
        for codec in codecs.iter_mut().filter(|codec| codec.name == Bytes::NAME && codec.configuration.is_empty()) {
            *codec = endian("little");
        }
        Self(codecs)
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

    fn with_zstd(self, level: i32) -> Self {
        let configuration = Map::from_iter([("level".to_owned(), Value::from(level)), ("checksum".to_owned(), Value::from(false))]);
        self.with(NamedConfig::new(Zstd::NAME, configuration))
    }

    fn with(mut self, codec: NamedConfig) -> Self {
        self.0.push(codec);
        self
    }

    /// Builds a pipeline for a stand-in chunk, so that what is wrong is said here rather than when an array is made.
    fn checked(self) -> Result<Self> {
        let explain = |what: String| Error::invalid(format!("codecs {self}: {what}"));
        if self.0.iter().any(|codec| codec.name == Sharding::NAME) {
            return Err(explain(format!("{} is not asked for here, but by the shape of shards", Sharding::NAME)));
        }
        let rank = self.0.iter().find_map(|codec| codec.configuration.get("order")?.as_array().map(Vec::len)).unwrap_or(0);
        let (data_type, shape) = (DataType::Int16, vec![1; rank.min(MAX_RANK)]);
        match CodecPipeline::from_metadata(&self.0, &shape, &data_type, &FillValue::zero(&data_type)) {
            Ok(pipeline) => pipeline.check_encodable().map_err(|error| explain(error.to_string())).map(|()| self),
            Err(Error::Metadata { pointer, what, .. }) => Err(explain(format!("at {pointer}: {what}"))),
            Err(error) => Err(explain(error.to_string())),
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
                Crc32c::NAME => words.push("crc32c".to_owned()),
                _ => return None,
            }
        }
        Some(if words.is_empty() { "none".to_owned() } else { words.join(",") })
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
mod tests {
    use super::*;

    #[test]
    fn words_come_back_as_they_were() {
        for text in [
            "none",
            "zstd:3",
            "blosc:lz4:9:bitshuffle",
            "big,blosc:zlib:0:noshuffle,crc32c",
            "zstd:-7",
            "gzip:0",
            "zstd:3,crc32c",
            "big,zstd:1",
            "transpose:2-0-1,zstd:5",
            "big",
            "crc32c",
        ] {
            assert_eq!(text.parse::<Codecs>().unwrap().to_string(), text);
        }
        assert_eq!("zstd".parse::<Codecs>().unwrap(), Codecs::default());
        assert_eq!("zstd, big".parse::<Codecs>().unwrap(), Codecs::zstd(3).unwrap().with_big_endian());
        for text in ["blosc", "blosc:zstd", "blosc:zstd:5", "blosc:zstd:5:shuffle"] {
            assert_eq!(text.parse::<Codecs>().unwrap().to_string(), "blosc:zstd:5:shuffle");
        }
        assert_eq!("gzip".parse::<Codecs>().unwrap(), Codecs::gzip(6).unwrap());
    }

    #[test]
    fn json_is_taken_as_it_stands() {
        let text = r#"[{"name":"bytes","configuration":{"endian":"little"}},{"name":"zstd","configuration":{"level":1,"checksum":true}}]"#;
        assert_eq!(text.parse::<Codecs>().unwrap().to_string(), text);
        assert_eq!(r#"["bytes"]"#.parse::<Codecs>().unwrap(), Codecs::none());
    }

    #[test]
    fn what_is_wrong_is_refused_with_what_is_accepted() {
        for (text, hint) in [
            ("", "accepted are none"),
            ("lzma", "accepted are none"),
            ("none,zstd", "accepted are none"),
            ("zstd:23", "-131072 to 22"),
            ("zstd:x", "not a number"),
            ("gzip:10", "0 to 9"),
            ("blosc:", "accepted is blosc:CNAME:LEVEL:SHUFFLE"),
            ("blosc:gzip", "blosclz, lz4, lz4hc"),
            ("blosc:lz4:10", "0 to 9"),
            ("blosc:lz4:x", "0 to 9"),
            ("blosc:lz4:5:auto", "bitshuffle"),
            ("blosc:lz4:5:shuffle:4", "accepted is blosc:CNAME:LEVEL:SHUFFLE"),
            ("blosc:snappy:5", "lz4 or zstd"),
            (r#"["bytes",{"name":"blosc","configuration":{"cname":"snappy"}}]"#, "lz4 or zstd"),
            ("crc32c:1", "accepted are none"),
            ("transpose:0-0", "permutation"),
            ("transpose:1-0,transpose:0", "permutation"),
            ("transpose:", "accepted are none"),
            ("[", "JSON"),
            ("[1]", "accepted are none"),
            (r#"[{"name":"zstd","configuration":{"level":1}}]"#, "at /0"),
            (r#"[{"name":"zfp"}]"#, "supported are"),
            (r#"[{"name":"sharding_indexed","configuration":{}}]"#, "shards"),
        ] {
            let error = text.parse::<Codecs>().unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { .. }), "{text}: {error:?}");
            assert!(error.to_string().contains(hint), "{text}: {error}");
        }
        assert!(Codecs::none().with_transpose(&[1, 2]).is_err());
    }

    #[test]
    fn what_blosc_needs_of_the_elements_is_filled_in() {
        // FMT-BL-2: what an array's document says is more than what was asked for, and the same when it is asked for again.
        let codecs = "blosc:lz4:5:shuffle,crc32c".parse::<Codecs>().unwrap();
        for data_type in [DataType::Float64, DataType::UInt8] {
            let pipeline = CodecPipeline::from_metadata(&codecs.0, &[4], &data_type, &FillValue::zero(&data_type)).unwrap();
            let written = Codecs::from_metadata(pipeline.to_metadata());
            assert_eq!(written.0[1].configuration["typesize"], data_type.item_size());
            assert!(written.to_string().starts_with('['), "{written}");
            assert_eq!(written.without_item_size(data_type.item_size()), codecs);
        }
        let other = r#"[{"name":"bytes","configuration":{"endian":"little"}},{"name":"blosc","configuration":{"typesize":1}}]"#;
        assert_eq!(other.parse::<Codecs>().unwrap().without_item_size(4).to_string(), other);
    }

    #[test]
    fn what_is_done_otherwise_is_noted() {
        // FMT-BL-8.
        let notes = |text: &str| text.parse::<Codecs>().unwrap().notes();
        assert!(notes("blosc:lz4").is_empty() && notes("zstd,crc32c").is_empty());
        assert!(notes("blosc:lz4hc:9")[0].contains("encoded by the lz4 encoder"));
    }

    #[test]
    fn shards_hold_the_same_codecs() {
        let codecs = "transpose:1-0,big,zstd:7,crc32c".parse::<Codecs>().unwrap();
        let data_type = DataType::Float32;
        let sharded = CodecPipeline::from_metadata(&codecs.in_shards(&[2, 3]), &[4, 6], &data_type, &FillValue::zero(&data_type)).unwrap();
        assert_eq!(sharded.sharding().unwrap().unit_shape(), [2, 3]);
        assert_eq!(sharded.codecs(), codecs);
    }
}
