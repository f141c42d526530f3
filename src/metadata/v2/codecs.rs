//! `filters` and `compressor` of a `.zarray` as the codecs of Zarr v3 that read the same stored bytes.

use serde_json::{Map, Value, json};

use crate::dtype::{ByteOrder, DataType, V2Dtype, from_v2};
use crate::error::{Error, Result};
use crate::json::{NamedConfig, brief};

/// The most filters of an array.
const MAX_FILTERS: usize = 30;

/// The widest element that Blosc knows; wider ones are bytes to it.
const MAX_BLOSC_TYPESIZE: usize = 255;

/// Codecs that turn objects of Python into bytes, and run code or guess types when they are decoded.
const OBJECT_CODECS: [&str; 9] = ["pickle", "json", "json2", "msgpack", "msgpack2", "categorize", "vlen-array", "vlen-ndarray", "vlen-any"];

/// Codecs from elements to elements.
const ARRAY_CODECS: [&str; 6] = ["delta", "fixedscaleoffset", "quantize", "astype", "packbits", "bitround"];

/// Codecs from bytes to bytes that Zarr v3 knows under the name `numcodecs.<id>`.
const BYTES_CODECS: [&str; 9] = ["zlib", "bz2", "lzma", "lz4", "shuffle", "crc32", "adler32", "fletcher32", "jenkins_lookup3"];

/// The codecs of an array.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) codecs: Vec<NamedConfig>,
    /// For each codec the pointer to what it comes from.
    pub(super) origins: Vec<String>,
}

/// A codec of Zarr v2.
struct Codec<'a> {
    id: &'a str,
    config: &'a Map<String, Value>,
    at: String,
}

/// What stored elements are, once the codecs before have worked on them.
struct Stored {
    item_size: usize,
    order: ByteOrder,
}

/// The codecs of `filters` (a list, if there are any) and `compressor`.
pub(super) struct Source<'a> {
    codecs: Vec<Codec<'a>>,
}

impl<'a> Source<'a> {
    /// Reads the two members; codecs that this build will never run are refused here, wherever they stand (FMT-V2-9).
    pub(super) fn new(filters: Option<&'a Value>, compressor: Option<&'a Value>) -> Result<Self> {
        let mut codecs = Vec::new();
        match filters {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) if list.len() > MAX_FILTERS => {
                return Err(Error::unsupported(format!("a list of {} filters; at most {MAX_FILTERS} are supported", list.len())));
            }
            Some(Value::Array(list)) => {
                for (position, value) in list.iter().enumerate() {
                    codecs.push(Codec::new(value, format!("/filters/{position}"))?);
                }
            }
            Some(other) => return Err(Error::metadata("/filters", format!("{}; expected a list of codecs or null", brief(other)))),
        }
        match compressor {
            None | Some(Value::Null) => {}
            Some(value) => codecs.push(Codec::new(value, "/compressor".to_owned())?),
        }
        codecs.iter().try_for_each(Codec::check_known)?;
        Ok(Self { codecs })
    }

    /// The type of elements that are objects, by the codec that makes bytes of them: the first one.
    pub(super) fn object_type(&self) -> Result<DataType> {
        match self.codecs.first().map(|codec| codec.id) {
            Some("vlen-utf8") => Ok(DataType::String),
            Some("vlen-bytes") => Ok(DataType::Bytes),
            Some(other) => Err(Error::unsupported(format!(
                "objects of Python under codec {other:?}; supported are objects whose first filter is vlen-utf8 or vlen-bytes"
            ))),
            None => Err(Error::unsupported(
                "objects of Python without a codec for them; supported are objects whose first filter is vlen-utf8 or vlen-bytes",
            )),
        }
    }

    /// The codecs for elements of a type in this byte order, in chunks of `rank` axes, the last of which runs slowest if `reversed`.
    pub(super) fn chain(&self, data_type: &DataType, order: ByteOrder, rank: usize, reversed: bool) -> Result<Chain> {
        let mut chain = Chain::default();
        if reversed && rank > 1 {
            let axes: Vec<usize> = (0..rank).rev().collect();
            chain.push(named("transpose", json!({"order": axes})), "/order");
        }
        let mut stored = Stored { item_size: data_type.item_size(), order };
        let mut codecs = self.codecs.iter().peekable();
        while let Some(codec) = codecs.next_if(|codec| ARRAY_CODECS.contains(&codec.id)) {
            stored = codec.encoded(stored)?;
            for named in codec.array_to_array() {
                chain.push(named, &codec.at);
            }
        }
        if data_type.is_variable_length() {
            if let Some(codec) = codecs.next() {
                chain.push(NamedConfig::new(codec.id, Map::new()), &codec.at);
            }
            stored.item_size = 1;
        } else {
            chain.push(stored.bytes_codec(), "/dtype");
        }
        for codec in codecs {
            chain.push(codec.bytes_to_bytes(&stored)?, &codec.at);
            stored.item_size = 1;
        }
        Ok(chain)
    }
}

impl Chain {
    fn push(&mut self, codec: NamedConfig, origin: &str) {
        self.codecs.push(codec);
        self.origins.push(origin.to_owned());
    }

    /// The error of a pipeline, which points to a codec, with a pointer to what the codec comes from.
    pub(super) fn locate(&self, error: Error) -> Error {
        let Error::Metadata { key, pointer, what } = error else { return error };
        let mut parts = pointer.splitn(4, '/').skip(1);
        let found = match (parts.next(), parts.next().and_then(|number| number.parse::<usize>().ok())) {
            (Some("codecs"), Some(number)) => self.origins.get(number),
            _ => None,
        };
        let Some(origin) = found else { return Error::Metadata { key, pointer, what } };
        let rest = parts.next().unwrap_or_default();
        let rest = rest.strip_prefix("configuration/").unwrap_or(rest);
        let pointer = if rest.is_empty() { origin.clone() } else { format!("{origin}/{rest}") };
        Error::Metadata { key, pointer, what }
    }
}

impl Stored {
    fn bytes_codec(&self) -> NamedConfig {
        match self.order {
            ByteOrder::None => NamedConfig::new("bytes", Map::new()),
            // The byte order of a struct with more than one is no matter of this codec.
            ByteOrder::Little | ByteOrder::Mixed(_) => named("bytes", json!({"endian": "little"})),
            ByteOrder::Big => named("bytes", json!({"endian": "big"})),
        }
    }
}

impl<'a> Codec<'a> {
    fn new(value: &'a Value, at: String) -> Result<Self> {
        let fault = |pointer: String, value: &Value| Error::metadata(pointer, format!("{}; expected an object with an id", brief(value)));
        let config = value.as_object().ok_or_else(|| fault(at.clone(), value))?;
        match config.get("id") {
            Some(Value::String(id)) if !id.is_empty() => Ok(Self { id, config, at }),
            Some(other) => Err(fault(format!("{at}/id"), other)),
            None => Err(fault(at, value)),
        }
    }

    fn check_known(&self) -> Result<()> {
        let id = self.id;
        if OBJECT_CODECS.contains(&id) {
            let what = format!("codec {id:?} of Zarr v2, which makes objects of Python; it is never decoded");
            return Err(Error::unsupported(what));
        }
        let known = ARRAY_CODECS.contains(&id)
            || BYTES_CODECS.contains(&id)
            || ["blosc", "gzip", "zstd", "crc32c", "vlen-utf8", "vlen-bytes"].contains(&id);
        if known {
            return Ok(());
        }
        Err(Error::unsupported(format!(
            "codec {id:?} of Zarr v2; supported are blosc, zlib, gzip, zstd, bz2, lzma, lz4, vlen-utf8, vlen-bytes, {}, {}",
            ARRAY_CODECS.join(", "),
            BYTES_CODECS[4..].join(", ")
        )))
    }

    /// The same codec of Zarr v3, with `prefix` before its name and the configuration as it is.
    fn named(&self, prefix: &str) -> NamedConfig {
        let mut configuration = self.config.clone();
        configuration.shift_remove("id");
        NamedConfig::new(&format!("{prefix}{}", self.id), configuration)
    }

    /// This codec as one from elements to elements, or as two: zarr-python does not read a `quantize` that changes the type from Zarr v3.
    fn array_to_array(&self) -> Vec<NamedConfig> {
        let mut named = self.named("numcodecs.");
        let dtype = |name: &str| self.config.get(name).filter(|value| !value.is_null());
        match (self.id, dtype("dtype"), dtype("astype")) {
            ("quantize", Some(decoded), Some(encoded)) if decoded != encoded => {
                named.configuration.shift_remove("astype");
                let cast = json!({"encode_dtype": encoded, "decode_dtype": decoded});
                vec![named, self::named("numcodecs.astype", cast)]
            }
            _ => vec![named],
        }
    }

    /// What this codec makes of elements: the type that its configuration says, or the one that comes in.
    fn encoded(&self, stored: Stored) -> Result<Stored> {
        let member = match self.id {
            "packbits" => return Ok(Stored { item_size: 1, order: ByteOrder::None }),
            "delta" | "fixedscaleoffset" | "quantize" => ["astype", "dtype"],
            "astype" => ["encode_dtype"; 2],
            _ => return Ok(stored),
        };
        let Some((name, dtype)) = member.iter().find_map(|name| Some((name, self.config.get(*name).filter(|value| !value.is_null())?)))
        else {
            return Ok(stored);
        };
        match from_v2(dtype).map_err(|error| error.within(&format!("{}/{name}", self.at)))? {
            V2Dtype::Fixed(encoded) => Ok(Stored { item_size: encoded.data_type.item_size(), order: encoded.order }),
            V2Dtype::Object => Err(Error::unsupported(format!("codec {:?} with objects of Python", self.id))),
        }
    }

    /// This codec as one from bytes to bytes.
    fn bytes_to_bytes(&self, stored: &Stored) -> Result<NamedConfig> {
        let default = |name: &str, default: Value| self.config.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default);
        let level = |default_level: i64| default("level", json!(default_level));
        Ok(match self.id {
            "blosc" => self.blosc(stored)?,
            "gzip" => named("gzip", json!({"level": level(1).as_i64().filter(|level| (0..=9).contains(level)).unwrap_or(6)})),
            "zstd" => named("zstd", json!({"level": level(0), "checksum": default("checksum", json!(false))})),
            "zlib" | "bz2" => named(&format!("numcodecs.{}", self.id), json!({"level": level(1)})),
            "crc32c" => match self.config.get("location").and_then(Value::as_str) {
                None | Some("end") => NamedConfig::new("crc32c", Map::new()),
                Some(other) => {
                    let what = format!("{other:?}; expected \"end\"");
                    return Err(Error::metadata(format!("{}/location", self.at), what));
                }
            },
            id if BYTES_CODECS.contains(&id) => self.named("numcodecs."),
            id => {
                let what = format!("codec {id:?} works on elements, and stands behind one that makes bytes of them");
                return Err(Error::metadata(&self.at, what));
            }
        })
    }

    /// Blosc: the number of the shuffle as a word, and the size of an element, which Zarr v3 wants to know.
    fn blosc(&self, stored: &Stored) -> Result<NamedConfig> {
        let typesize = if stored.item_size > MAX_BLOSC_TYPESIZE { 1 } else { stored.item_size };
        let shuffle = match self.config.get("shuffle") {
            None | Some(Value::Null) => "shuffle",
            Some(value) => match value.as_i64() {
                Some(0) => "noshuffle",
                Some(1) => "shuffle",
                Some(2) => "bitshuffle",
                Some(-1) if typesize == 1 => "bitshuffle",
                Some(-1) => "shuffle",
                _ => {
                    let what = format!("{}; expected 0 (none), 1 (shuffle), 2 (bitshuffle) or -1 (as the element)", brief(value));
                    return Err(Error::metadata(format!("{}/shuffle", self.at), what));
                }
            },
        };
        let default = |name: &str, default: Value| self.config.get(name).filter(|value| !value.is_null()).cloned().unwrap_or(default);
        let configuration = json!({
            "typesize": typesize,
            "cname": default("cname", json!("lz4")),
            "clevel": default("clevel", json!(5)),
            "shuffle": shuffle,
            "blocksize": default("blocksize", json!(0)),
        });
        Ok(named("blosc", configuration))
    }
}

fn named(name: &str, configuration: Value) -> NamedConfig {
    let Value::Object(configuration) = configuration else { unreachable!("made as an object") };
    NamedConfig::new(name, configuration)
}
