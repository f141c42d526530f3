//! The document of an array with every member checked, before its codecs are built.

use serde_json::{Map, Value, json};

use super::{Attributes, Member, Object, check_extra, dialect, grid};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::grid::{ChunkGrid, ChunkKeyEncoding};
use crate::json::{self, Members, NamedConfig, brief};
use crate::region::MAX_RANK;

/// What the document of an array says.
///
/// Invariants
/// 1. The rank is at most [`MAX_RANK`]; a chunk has at most `isize::MAX` bytes.
/// 2. `fill` is one element of `data_type`.
/// 3. `codecs` is not empty; what is in it has not been looked at.
/// 4. There are as many `dimension_names` as dimensions, if there are any.
/// 5. Each of `extra` is an object with `must_understand: false`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ArrayDocument {
    pub(super) grid: ChunkGrid,
    pub(super) data_type: DataType,
    /// Whether the document has the type under a name of zarr-python: `raw_bytes`, `structured`.
    pub(super) raw_bytes: bool,
    pub(super) key_encoding: ChunkKeyEncoding,
    pub(super) fill: FillValue,
    pub(super) codecs: Vec<NamedConfig>,
    pub(super) attributes: Attributes,
    pub(super) dimension_names: Option<Vec<Option<String>>>,
    pub(super) extra: Members,
}

impl ArrayDocument {
    /// Reads the members that are left after `zarr_format` and `node_type`.
    pub(super) fn from_members(mut members: Members) -> Result<Self> {
        let shape = read(&mut members, "shape", read_shape)?;
        let (data_type, raw_bytes) = read(&mut members, "data_type", DataType::from_json)?;
        let grid = read(&mut members, "chunk_grid", |grid| grid::read(grid, &shape, data_type.item_size()))?;
        let key_encoding = read(&mut members, "chunk_key_encoding", read_key_encoding)?;
        let codecs = read(&mut members, "codecs", read_codecs)?;
        let big = packs_big_endian(&codecs);
        let fill = read(&mut members, "fill_value", |value| FillValue::from_json_in_order(&data_type, value, big))?;
        let attributes = match members.take("attributes") {
            Some(raw) => Attributes::from_raw(raw).map_err(|error| error.within("/attributes"))?,
            None => Attributes::default(),
        };
        let dimension_names = match members.take_value("dimension_names")? {
            None | Some(Value::Null) => None,
            Some(names) => Some(read_names(&names, shape.len()).map_err(|error| error.within("/dimension_names"))?),
        };
        if let Some(transformers) = members.take_value("storage_transformers")? {
            check_transformers(&transformers)?;
        }
        check_extra(&members)?;
        Ok(Self { grid, data_type, raw_bytes, key_encoding, fill, codecs, attributes, dimension_names, extra: members })
    }

    /// The document in the order in which zarr-python writes it.
    pub(super) fn to_object(&self) -> Object<'_> {
        let (data_type, fill) = if self.raw_bytes {
            (dialect::data_type(&self.data_type), dialect::fill_value(&self.data_type, &self.fill))
        } else {
            (self.data_type.to_json(), self.fill.to_json(&self.data_type))
        };
        let mut members = vec![
            ("shape", Member::Json(json!(self.grid.array_shape()))),
            ("data_type", Member::Json(data_type)),
            ("chunk_grid", Member::Json(grid::to_json(&self.grid))),
            ("chunk_key_encoding", Member::Json(write_key_encoding(self.key_encoding))),
            ("fill_value", Member::Json(fill)),
            ("codecs", Member::Json(self.codecs.iter().map(NamedConfig::to_json).collect())),
            ("attributes", self.attributes.to_member()),
        ];
        if let Some(names) = &self.dimension_names {
            members.push(("dimension_names", Member::Json(json!(names))));
        }
        members.push(("zarr_format", Member::Json(json!(3))));
        members.push(("node_type", Member::Json(json!("array"))));
        members.extend(self.extra.iter().map(|(name, raw)| (name, Member::Raw(raw))));
        Object(members)
    }
}

/// Reads a mandatory member; the pointers of errors become those of the document.
pub(super) fn read<T>(members: &mut Members, name: &str, parse: impl FnOnce(&Value) -> Result<T>) -> Result<T> {
    parse(&members.require(name)?).map_err(|error| error.within(&json::pointer(name)))
}

pub(super) fn read_shape(value: &Value) -> Result<Vec<u64>> {
    let shape = json::u64_list(value)?;
    if shape.len() > MAX_RANK {
        return Err(Error::unsupported(format!("an array of rank {}; at most {MAX_RANK} is supported", shape.len())));
    }
    Ok(shape)
}

fn read_key_encoding(value: &Value) -> Result<ChunkKeyEncoding> {
    let encoding = NamedConfig::from_json_mandatory(value)?;
    if !["default", "v2"].contains(&encoding.name.as_str()) {
        return Err(Error::unsupported(format!("chunk key encoding {:?}; supported are \"default\" and \"v2\"", encoding.name)));
    }
    encoding.only(&["separator"])?;
    let separator = match encoding.configuration.get("separator") {
        None if encoding.name == "v2" => '.',
        None => '/',
        Some(Value::String(text)) if text == "/" => '/',
        Some(Value::String(text)) if text == "." => '.',
        Some(other) => {
            return Err(Error::metadata("/configuration/separator", format!("{}; expected \"/\" or \".\"", brief(other))));
        }
    };
    Ok(if encoding.name == "v2" { ChunkKeyEncoding::V2 { separator } } else { ChunkKeyEncoding::Default { separator } })
}

fn write_key_encoding(encoding: ChunkKeyEncoding) -> Value {
    let (name, separator) = match encoding {
        ChunkKeyEncoding::Default { separator } => ("default", separator),
        ChunkKeyEncoding::V2 { separator } => ("v2", separator),
    };
    let configuration = Map::from_iter([("separator".to_owned(), Value::from(separator.to_string()))]);
    NamedConfig::new(name, configuration).to_json()
}

fn read_codecs(value: &Value) -> Result<Vec<NamedConfig>> {
    match value.as_array() {
        Some(items) if !items.is_empty() => {
            let codec = |(position, item)| NamedConfig::from_json(item).map_err(|error| error.within(&format!("/{position}")));
            items.iter().enumerate().map(codec).collect()
        }
        _ => Err(Error::metadata("", format!("{}; expected a list of at least one codec", brief(value)))),
    }
}

/// Whether elements are stored big-endian, and packed fill values of structs with them.
fn packs_big_endian(codecs: &[NamedConfig]) -> bool {
    codecs.iter().any(|codec| match codec.name.as_str() {
        "bytes" => codec.configuration.get("endian").and_then(Value::as_str) == Some("big"),
        "sharding_indexed" => {
            let inner = codec.configuration.get("codecs").and_then(Value::as_array);
            inner.is_some_and(|inner| {
                packs_big_endian(&inner.iter().filter_map(|codec| NamedConfig::from_json(codec).ok()).collect::<Vec<_>>())
            })
        }
        _ => false,
    })
}

fn read_names(value: &Value, rank: usize) -> Result<Vec<Option<String>>> {
    let items = value.as_array().ok_or_else(|| Error::metadata("", format!("{}; expected a list of strings or nulls", brief(value))))?;
    if items.len() != rank {
        return Err(Error::metadata("", format!("{} names for {rank} dimensions", items.len())));
    }
    let name = |(position, item): (usize, &Value)| match item {
        Value::Null => Ok(None),
        Value::String(name) => Ok(Some(name.clone())),
        other => Err(Error::metadata(format!("/{position}"), format!("{}; expected a string or null", brief(other)))),
    };
    items.iter().enumerate().map(name).collect()
}

/// No storage transformer is registered anywhere, so only the empty list is understood.
fn check_transformers(value: &Value) -> Result<()> {
    match value.as_array().map(Vec::as_slice) {
        Some([]) => Ok(()),
        Some([first, ..]) => {
            let named = NamedConfig::from_json(first).map_err(|error| error.within("/storage_transformers/0"))?;
            Err(Error::unsupported(format!("storage transformer {:?}; none is supported", named.name)))
        }
        None => Err(Error::metadata("/storage_transformers", format!("{}; expected a list", brief(value)))),
    }
}
