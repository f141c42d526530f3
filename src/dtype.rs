//! Data types of array elements, their fill values in JSON and in memory, and byte order.
//!
//! In memory an element is in the byte order of the machine; files say theirs in the `bytes` codec.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::json::{self, NamedConfig};
use crate::ragged::ENTRY_BYTES;

mod fill;
mod float;
mod text;

pub use fill::FillValue;

/// The widest raw type, in bits (one element of 128 KiB).
const MAX_RAW_BITS: usize = 1 << 20;

/// What zarr-python calls raw types.
const RAW_BYTES: &str = "raw_bytes";

/// What is accepted, for messages.
const SUPPORTED: &str = "bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, float32, float64, complex64, complex128, \
                         and r8, r16, ... r1048576 (raw_bytes)";

/// The data type of an array's elements (Zarr v3 core specification, section "Data types").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// `bool`: one byte, 0 or 1.
    Bool,
    /// `int8`.
    Int8,
    /// `int16`.
    Int16,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint8`.
    UInt8,
    /// `uint16`.
    UInt16,
    /// `uint32`.
    UInt32,
    /// `uint64`.
    UInt64,
    /// `float16`, IEEE 754 binary16.
    Float16,
    /// `float32`.
    Float32,
    /// `float64`.
    Float64,
    /// `complex64`: two float32, real part first.
    Complex64,
    /// `complex128`: two float64, real part first.
    Complex128,
    /// `r8`, `r16`, ...: opaque bytes.
    Raw {
        /// Size of an element in bytes.
        size_bytes: usize,
    },
    /// `struct`: named fields, packed in this order without padding.
    Struct(Arc<[Field]>),
    /// `string`: text of any length, UTF-8.
    String,
    /// `bytes` (`variable_length_bytes`): byte strings of any length.
    Bytes,
}

/// A field of a [`DataType::Struct`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its name; unique within the struct.
    pub name: String,
    /// Its data type, of fixed size.
    pub data_type: DataType,
}

/// Adjacent numbers of one width within an element, whose bytes are reversed between byte orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteUnits {
    /// First byte within the element.
    pub(crate) offset: usize,
    /// Width of a number in bytes; at least 2.
    pub(crate) width: usize,
    /// How many numbers.
    pub(crate) count: usize,
}

/// How the bits of an element are to be understood; sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// Two's complement.
    Int(usize),
    /// Unsigned.
    UInt(usize),
    /// IEEE 754.
    Float(usize),
    /// Two IEEE 754 numbers of this size each.
    Complex(usize),
    /// Nothing is known about them.
    Raw(usize),
}

impl DataType {
    /// How the bits of an element are to be understood.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int8 => Kind::Int(1),
            Self::Int16 => Kind::Int(2),
            Self::Int32 => Kind::Int(4),
            Self::Int64 => Kind::Int(8),
            Self::UInt8 => Kind::UInt(1),
            Self::UInt16 => Kind::UInt(2),
            Self::UInt32 => Kind::UInt(4),
            Self::UInt64 => Kind::UInt(8),
            Self::Float16 => Kind::Float(2),
            Self::Float32 => Kind::Float(4),
            Self::Float64 => Kind::Float(8),
            Self::Complex64 => Kind::Complex(4),
            Self::Complex128 => Kind::Complex(8),
            Self::Raw { size_bytes } => Kind::Raw(*size_bytes),
            Self::Struct(fields) => Kind::Raw(fields.iter().map(|field| field.data_type.item_size()).sum()),
            Self::String | Self::Bytes => Kind::Raw(ENTRY_BYTES),
        }
    }

    /// Size of one element in bytes; at least 1.
    pub fn item_size(&self) -> usize {
        match self.kind() {
            Kind::Bool => 1,
            Kind::Int(size) | Kind::UInt(size) | Kind::Float(size) | Kind::Raw(size) => size,
            Kind::Complex(size) => 2 * size,
        }
    }

    /// Width in bytes of the units whose bytes are reversed between byte orders: the component size of complex numbers, 1 where
    /// byte order does not matter.
    pub fn swap_size(&self) -> usize {
        match self.kind() {
            Kind::Bool | Kind::Raw(_) => 1,
            Kind::Int(size) | Kind::UInt(size) | Kind::Float(size) | Kind::Complex(size) => size,
        }
    }

    /// Whether elements have a size of their own: [`DataType::item_size`] is then that of an entry in a table of them.
    pub fn is_variable_length(&self) -> bool {
        matches!(self, Self::String | Self::Bytes)
    }

    /// The numbers within an element whose bytes are reversed between byte orders, in order, adjacent ones of one width as one.
    #[allow(dead_code)]
    pub(crate) fn byte_units(&self) -> Vec<ByteUnits> {
        let mut units: Vec<ByteUnits> = Vec::new();
        self.add_byte_units(0, &mut units);
        units
    }

    fn add_byte_units(&self, offset: usize, units: &mut Vec<ByteUnits>) {
        if let Self::Struct(fields) = self {
            let mut offset = offset;
            for field in fields.iter() {
                field.data_type.add_byte_units(offset, units);
                offset += field.data_type.item_size();
            }
            return;
        }
        let (width, count) = (self.swap_size(), self.item_size() / self.swap_size());
        match units.last_mut() {
            _ if width < 2 => {}
            Some(last) if last.width == width && last.offset + width * last.count == offset => last.count += count,
            _ => units.push(ByteUnits { offset, width, count }),
        }
    }

    /// The name in metadata: `float32`, `r16`.
    pub fn name(&self) -> String {
        match self.kind() {
            Kind::Bool => "bool".to_owned(),
            Kind::Int(size) => format!("int{}", 8 * size),
            Kind::UInt(size) => format!("uint{}", 8 * size),
            Kind::Float(size) => format!("float{}", 8 * size),
            Kind::Complex(size) => format!("complex{}", 16 * size),
            Kind::Raw(size) => format!("r{}", 8 * size),
        }
    }

    /// Parses a name as it stands in metadata.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a name that is not one of the core specification, [`Error::Metadata`] for a raw type of an impossible width.
    pub fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "bool" => Self::Bool,
            "int8" => Self::Int8,
            "int16" => Self::Int16,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "uint8" => Self::UInt8,
            "uint16" => Self::UInt16,
            "uint32" => Self::UInt32,
            "uint64" => Self::UInt64,
            "float16" => Self::Float16,
            "float32" => Self::Float32,
            "float64" => Self::Float64,
            "complex64" => Self::Complex64,
            "complex128" => Self::Complex128,
            _ => match name.strip_prefix('r') {
                Some(bits) if !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit()) => Self::raw(name, bits)?,
                _ => return Err(Error::unsupported(format!("data type {name:?}; supported are {SUPPORTED}"))),
            },
        })
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
        if named.name == RAW_BYTES {
            return Self::from_raw_bytes(&named).map(|data_type| (data_type, true));
        }
        let data_type = Self::from_name(&named.name)?;
        named.only(&[])?;
        Ok((data_type, false))
    }

    fn from_raw_bytes(named: &NamedConfig) -> Result<Self> {
        named.only(&["length_bytes"])?;
        let at = "/configuration/length_bytes";
        let value = named.configuration.get("length_bytes").ok_or_else(|| Error::metadata(at, "missing; this member is mandatory"))?;
        let size_bytes = value.as_u64().and_then(|size| usize::try_from(size).ok()).filter(|size| (1..=MAX_RAW_BITS / 8).contains(size));
        let size_bytes = size_bytes
            .ok_or_else(|| Error::metadata(at, format!("{}; expected an integer from 1 to {}", json::brief(value), MAX_RAW_BITS / 8)))?;
        Ok(Self::Raw { size_bytes })
    }

    /// The `data_type` member of a raw type as zarr-python writes it.
    pub(crate) fn to_raw_bytes_json(&self) -> Value {
        serde_json::json!({"name": RAW_BYTES, "configuration": {"length_bytes": self.item_size()}})
    }

    /// The `data_type` member of an array document: a plain string, the only form that every reader accepts.
    pub(crate) fn to_json(&self) -> Value {
        Value::from(self.name())
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
pub(crate) mod tests;
