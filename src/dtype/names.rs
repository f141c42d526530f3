//! Data types in metadata: names, configurations, the short-hand and the object form.

use serde_json::{Map, Value, json};

use super::limits::{MAX_ITEM_BYTES, MAX_RAW_BITS};
use super::{DataType, Field, MiniFloat, TimeUnit};
use crate::error::{Error, Result};
use crate::json::{self, NamedConfig};

/// What zarr-python calls raw types.
const RAW_BYTES: &str = "raw_bytes";
const NULL_TERMINATED: &str = "null_terminated_bytes";
const UTF32: &str = "fixed_length_utf32";
const DATETIME: &str = "numpy.datetime64";
const TIMEDELTA: &str = "numpy.timedelta64";
const STRUCT: &str = "struct";
/// What structs were called before they were specified; never written.
const STRUCTURED: &str = "structured";

/// What is accepted, for messages.
pub(super) const SUPPORTED: &str = "bool, int2 to int64, uint2 to uint64, float16, float32, float64, bfloat16, float8_*, float6_*, float4_e2m1fn, complex64, \
     complex128, complex_*, r8, r16, ... r1048576 (raw_bytes), string, bytes, fixed_length_utf32, null_terminated_bytes, \
     numpy.datetime64, numpy.timedelta64, struct";

/// The types whose name says everything; the first name of a type is the one that is written.
const NAMED: [(&str, DataType); 26] = [
    ("bool", DataType::Bool),
    ("int2", DataType::Int2),
    ("int4", DataType::Int4),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint2", DataType::UInt2),
    ("uint4", DataType::UInt4),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("bfloat16", DataType::BFloat16),
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("complex_bfloat16", DataType::ComplexBFloat16),
    ("complex_float16", DataType::ComplexFloat16),
    ("complex64", DataType::Complex64),
    ("complex_float32", DataType::Complex64),
    ("complex128", DataType::Complex128),
    ("complex_float64", DataType::Complex128),
    ("string", DataType::String),
    ("bytes", DataType::Bytes),
    ("variable_length_bytes", DataType::Bytes),
];

impl DataType {
    /// The name in metadata: `float32`, `r16`. Types that are configured say how: `numpy.datetime64[25us]`, and with their size in bytes
    /// `fixed_length_utf32[16]`, `null_terminated_bytes[4]`; a struct is its JSON. [`DataType::parse`] takes all of them back.
    pub fn name(&self) -> String {
        match self {
            Self::Mini(mini) => mini.format().name.to_owned(),
            Self::ComplexMini(mini) => format!("complex_{}", mini.format().name),
            Self::DateTime64 { unit, scale } => format!("{DATETIME}{}", bracketed(*unit, *scale)),
            Self::TimeDelta64 { unit, scale } => format!("{TIMEDELTA}{}", bracketed(*unit, *scale)),
            Self::Raw { size_bytes } => format!("r{}", size_bytes.saturating_mul(8)),
            Self::NullTerminated { size_bytes } => format!("{NULL_TERMINATED}[{size_bytes}]"),
            Self::Utf32 { size_bytes } => format!("{UTF32}[{size_bytes}]"),
            Self::Struct(_) => self.to_json().to_string(),
            _ => NAMED.iter().find(|(_, data_type)| data_type == self).map_or("", |(name, _)| name).to_owned(),
        }
    }

    /// Parses a name as it stands in metadata, of a type that needs no configuration.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a name that is not known, [`Error::Metadata`] for a raw type of an impossible width and for the name of
    /// a type that needs a configuration.
    pub fn from_name(name: &str) -> Result<Self> {
        Self::from_named(&NamedConfig::new(name, Map::new()))
    }

    /// The type of a name that says everything.
    fn from_bare_name(name: &str) -> Option<Self> {
        if let Some((_, data_type)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Some(data_type.clone());
        }
        match name.strip_prefix("complex_") {
            Some(part) => MiniFloat::from_name(part).map(Self::ComplexMini),
            None => MiniFloat::from_name(name).map(Self::Mini),
        }
    }

    fn from_named(named: &NamedConfig) -> Result<Self> {
        let data_type = match named.name.as_str() {
            RAW_BYTES => Self::Raw { size_bytes: length(named, MAX_RAW_BITS / 8, 1)? },
            NULL_TERMINATED => Self::NullTerminated { size_bytes: length(named, MAX_ITEM_BYTES, 1)? },
            UTF32 => Self::Utf32 { size_bytes: length(named, MAX_ITEM_BYTES, 4)? },
            DATETIME | TIMEDELTA => {
                let (unit, scale) = time(named)?;
                if named.name == DATETIME { Self::DateTime64 { unit, scale } } else { Self::TimeDelta64 { unit, scale } }
            }
            STRUCT | STRUCTURED => {
                named.only(&["fields"])?;
                let at = "/configuration/fields";
                let value = mandatory(named, "fields")?;
                let fields =
                    value.as_array().ok_or_else(|| Error::metadata(at, format!("{}; expected a list of fields", json::brief(value))))?;
                let field = |(position, value)| read_field(value).map_err(|error| error.within(&format!("{at}/{position}")));
                Self::Struct(fields.iter().enumerate().map(field).collect::<Result<_>>()?)
            }
            name => {
                let data_type = match (Self::from_bare_name(name), name.strip_prefix('r')) {
                    (Some(data_type), _) => data_type,
                    (None, Some(bits)) if !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => Self::raw(name, bits)?,
                    _ => return Err(Error::unsupported(format!("data type {name:?}; supported are {SUPPORTED}"))),
                };
                named.only(&[])?;
                data_type
            }
        };
        Ok(data_type)
    }

    /// The raw type `name` of `bits` bits, given in decimal digits.
    fn raw(name: &str, bits: &str) -> Result<Self> {
        let width = bits.parse::<usize>().ok().filter(|width| (8..=MAX_RAW_BITS).contains(width) && width.is_multiple_of(8));
        match width {
            Some(width) if !bits.starts_with('0') => Ok(Self::Raw { size_bytes: width / 8 }),
            _ => Err(Error::metadata(
                "",
                format!("raw data type {name:?}; its width is a multiple of 8 from 8 to {MAX_RAW_BITS} bits, without leading zeros"),
            )),
        }
    }

    /// Reads the `data_type` member of an array document; pointers of errors are relative to it. Also tells whether it is a raw type under
    /// zarr-python's name, `raw_bytes`, so that it can be written as it came.
    pub(crate) fn from_json(value: &Value) -> Result<(Self, bool)> {
        let named = NamedConfig::from_json_mandatory(value)?;
        let data_type = Self::from_named(&named)?;
        data_type.check()?;
        Ok((data_type, named.name == RAW_BYTES || named.name == STRUCTURED))
    }

    /// The `data_type` member of a raw type as zarr-python writes it.
    pub(crate) fn to_raw_bytes_json(&self) -> Value {
        sized(RAW_BYTES, self.item_size())
    }

    /// The `data_type` member of an array document: a plain string where no configuration is needed, which is the only form that every
    /// reader accepts.
    pub(crate) fn to_json(&self) -> Value {
        let time = |name, unit: TimeUnit, scale| json!({"name": name, "configuration": {"unit": unit.name(), "scale_factor": scale}});
        match self {
            Self::DateTime64 { unit, scale } => time(DATETIME, *unit, *scale),
            Self::TimeDelta64 { unit, scale } => time(TIMEDELTA, *unit, *scale),
            Self::NullTerminated { size_bytes } => sized(NULL_TERMINATED, *size_bytes),
            Self::Utf32 { size_bytes } => sized(UTF32, *size_bytes),
            Self::Struct(fields) => {
                // Readers of structs know opaque fields by zarr-python's name alone.
                let inner = |data_type: &Self| match data_type {
                    Self::Raw { .. } => data_type.to_raw_bytes_json(),
                    _ => data_type.to_json(),
                };
                let fields: Vec<_> = fields.iter().map(|field| json!({"name": field.name, "data_type": inner(&field.data_type)})).collect();
                json!({"name": STRUCT, "configuration": {"fields": fields}})
            }
            _ => Value::from(self.name()),
        }
    }
}

fn sized(name: &str, size_bytes: usize) -> Value {
    json!({"name": name, "configuration": {"length_bytes": size_bytes}})
}

/// A unit of time as NumPy writes it behind the name of a type.
fn bracketed(unit: TimeUnit, scale: u32) -> String {
    match (unit, scale) {
        (TimeUnit::Generic, 1) => String::new(),
        (_, 1) => format!("[{}]", unit.name()),
        _ => format!("[{scale}{}]", unit.name()),
    }
}

fn mandatory<'a>(named: &'a NamedConfig, member: &str) -> Result<&'a Value> {
    let missing = || Error::metadata(format!("/configuration/{member}"), format!("missing; this member of {:?} is mandatory", named.name));
    named.configuration.get(member).ok_or_else(missing)
}

/// The `length_bytes` of a type whose size is a multiple of `step`.
fn length(named: &NamedConfig, most: usize, step: usize) -> Result<usize> {
    named.only(&["length_bytes"])?;
    let value = mandatory(named, "length_bytes")?;
    let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
    size.filter(|size| (step..=most).contains(size) && size.is_multiple_of(step)).ok_or_else(|| {
        let multiple = if step > 1 { format!("a multiple of {step}") } else { "an integer".to_owned() };
        Error::metadata("/configuration/length_bytes", format!("{}; expected {multiple} from {step} to {most}", json::brief(value)))
    })
}

/// Unit and scale of a type that counts time.
fn time(named: &NamedConfig) -> Result<(TimeUnit, u32)> {
    named.only(&["unit", "scale_factor"])?;
    let value = mandatory(named, "unit")?;
    let unit = value.as_str().and_then(TimeUnit::from_name).ok_or_else(|| {
        let names: Vec<_> = TimeUnit::ALL.iter().map(|(_, name)| *name).collect();
        Error::metadata("/configuration/unit", format!("{}; expected one of {}", json::brief(value), names.join(", ")))
    })?;
    let value = mandatory(named, "scale_factor")?;
    let scale = value.as_u64().and_then(|scale| u32::try_from(scale).ok()).filter(|scale| (1..=i32::MAX.cast_unsigned()).contains(scale));
    let wrong =
        || Error::metadata("/configuration/scale_factor", format!("{}; expected an integer from 1 to {}", json::brief(value), i32::MAX));
    Ok((unit, scale.ok_or_else(wrong)?))
}

/// A field: an object, or as older documents have it a list of its name and type.
fn read_field(value: &Value) -> Result<Field> {
    let expected =
        || Error::metadata("", format!("{}; expected an object of name and data_type, or a list of the two", json::brief(value)));
    let (name, data_type, at) = match value {
        Value::Array(pair) => match pair.as_slice() {
            [name, data_type] => (name, data_type, "/1"),
            _ => return Err(expected()),
        },
        Value::Object(members) => {
            if let Some(unknown) = members.keys().find(|member| !["name", "data_type"].contains(&member.as_str())) {
                return Err(Error::metadata(json::pointer(unknown), "an unknown member of a field; accepted are name and data_type"));
            }
            let missing = |member: &str| Error::metadata(json::pointer(member), "missing; this member is mandatory");
            let (name, data_type) = (members.get("name"), members.get("data_type"));
            (name.ok_or_else(|| missing("name"))?, data_type.ok_or_else(|| missing("data_type"))?, "/data_type")
        }
        _ => return Err(expected()),
    };
    let Value::String(name) = name else { return Err(expected()) };
    let named = NamedConfig::from_json_mandatory(data_type).map_err(|error| error.within(at))?;
    Ok(Field { name: name.clone(), data_type: DataType::from_named(&named).map_err(|error| error.within(at))? })
}
