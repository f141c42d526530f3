//! Data types of array elements, their fill values in JSON and in memory, and byte order.
//!
//! In memory an element is in the byte order of the machine; files say theirs in the `bytes` codec.

use std::sync::Arc;

use crate::ragged::ENTRY_BYTES;

mod calendar;
mod element;
mod fill;
mod float;
mod limits;
mod minifloat;
mod names;
mod numpy;
mod text;
mod units;

pub use fill::FillValue;
pub(crate) use float::Format;
pub use minifloat::MiniFloat;
pub(crate) use numpy::{ByteOrder, V2Dtype, V2Type, fill_from_v2, from_v2};
pub(crate) use units::ByteUnits;
pub use units::TimeUnit;

/// The data type of an array's elements (Zarr v3 core specification, section "Data types", and registered extensions).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataType {
    /// `bool`: one byte, 0 or 1.
    Bool,
    /// `int2`: one byte, sign-extended.
    Int2,
    /// `int4`: one byte, sign-extended.
    Int4,
    /// `int8`.
    Int8,
    /// `int16`.
    Int16,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint2`: one byte.
    UInt2,
    /// `uint4`: one byte.
    UInt4,
    /// `uint8`.
    UInt8,
    /// `uint16`.
    UInt16,
    /// `uint32`.
    UInt32,
    /// `uint64`.
    UInt64,
    /// `float4_e2m1fn`, `float6_*`, `float8_*`: one byte.
    Mini(MiniFloat),
    /// `bfloat16`: the upper half of a float32.
    BFloat16,
    /// `float16`, IEEE 754 binary16.
    Float16,
    /// `float32`.
    Float32,
    /// `float64`.
    Float64,
    /// `complex_float4_e2m1fn` and so on: two bytes, real part first.
    ComplexMini(MiniFloat),
    /// `complex_bfloat16`: two bfloat16, real part first.
    ComplexBFloat16,
    /// `complex_float16`: two float16, real part first.
    ComplexFloat16,
    /// `complex64` (`complex_float32`): two float32, real part first.
    Complex64,
    /// `complex128` (`complex_float64`): two float64, real part first.
    Complex128,
    /// `numpy.datetime64`: time since 1970-01-01T00:00 in units of `scale` times `unit`, 64 bits; the smallest is "not a time".
    DateTime64 {
        /// The unit.
        unit: TimeUnit,
        /// How many of them one step is, from 1 to 2^31 - 1.
        scale: u32,
    },
    /// `numpy.timedelta64`: a time span, counted likewise.
    TimeDelta64 {
        /// The unit.
        unit: TimeUnit,
        /// How many of them one step is, from 1 to 2^31 - 1.
        scale: u32,
    },
    /// `r8`, `r16`, ...: opaque bytes.
    Raw {
        /// Size of an element in bytes.
        size_bytes: usize,
    },
    /// `null_terminated_bytes`: byte strings of at most so many bytes, filled up with zeros.
    NullTerminated {
        /// Size of an element in bytes.
        size_bytes: usize,
    },
    /// `fixed_length_utf32`: text of at most so many code points of 4 bytes each, filled up with zeros.
    Utf32 {
        /// Size of an element in bytes, a multiple of 4.
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

/// How the bits of an element are to be understood; sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One byte, 0 or 1.
    Bool,
    /// Two's complement; also what counts time, and what is narrower than a byte, sign-extended.
    Int(usize),
    /// Unsigned; also what is narrower than a byte.
    UInt(usize),
    /// IEEE 754 binary16, binary32 or binary64.
    Float(usize),
    /// Two IEEE 754 numbers of this size each.
    Complex(usize),
    /// A number of another floating-point format.
    OtherFloat(Format),
    /// Two numbers of another floating-point format.
    OtherComplex(Format),
    /// Nothing that could be computed with: opaque bytes, text, structs, entries of a table.
    Raw(usize),
}

impl DataType {
    /// How the bits of an element are to be understood.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int2 | Self::Int4 | Self::Int8 => Kind::Int(1),
            Self::Int16 => Kind::Int(2),
            Self::Int32 => Kind::Int(4),
            Self::Int64 | Self::DateTime64 { .. } | Self::TimeDelta64 { .. } => Kind::Int(8),
            Self::UInt2 | Self::UInt4 | Self::UInt8 => Kind::UInt(1),
            Self::UInt16 => Kind::UInt(2),
            Self::UInt32 => Kind::UInt(4),
            Self::UInt64 => Kind::UInt(8),
            Self::Mini(mini) => Kind::OtherFloat(mini.format()),
            Self::BFloat16 => Kind::OtherFloat(Format::BF16),
            Self::Float16 => Kind::Float(2),
            Self::Float32 => Kind::Float(4),
            Self::Float64 => Kind::Float(8),
            Self::ComplexMini(mini) => Kind::OtherComplex(mini.format()),
            Self::ComplexBFloat16 => Kind::OtherComplex(Format::BF16),
            Self::ComplexFloat16 => Kind::Complex(2),
            Self::Complex64 => Kind::Complex(4),
            Self::Complex128 => Kind::Complex(8),
            Self::Raw { size_bytes } | Self::NullTerminated { size_bytes } | Self::Utf32 { size_bytes } => Kind::Raw(*size_bytes),
            Self::Struct(fields) => Kind::Raw(fields.iter().fold(0, |size: usize, field| size.saturating_add(field.data_type.item_size()))),
            Self::String | Self::Bytes => Kind::Raw(ENTRY_BYTES),
        }
    }

    /// Size of one element in bytes; at least 1. That of elements of variable length is 16: an entry in a table of them.
    pub fn item_size(&self) -> usize {
        match self.kind() {
            Kind::Bool => 1,
            Kind::Int(size) | Kind::UInt(size) | Kind::Float(size) | Kind::Raw(size) => size,
            Kind::Complex(size) => 2 * size,
            Kind::OtherFloat(format) => format.size(),
            Kind::OtherComplex(format) => 2 * format.size(),
        }
    }

    /// Width in bytes of the units whose bytes are reversed between byte orders: the component size of complex numbers, 4 for code points,
    /// 1 where byte order does not matter. Of a struct, whose fields may differ, it is the greatest.
    pub fn swap_size(&self) -> usize {
        match (self, self.kind()) {
            (Self::Utf32 { .. }, _) => 4,
            (Self::Struct(fields), _) => fields.iter().map(|field| field.data_type.swap_size()).max().unwrap_or(1),
            (_, Kind::Bool | Kind::Raw(_)) => 1,
            (_, Kind::Int(size) | Kind::UInt(size) | Kind::Float(size) | Kind::Complex(size)) => size,
            (_, Kind::OtherFloat(format) | Kind::OtherComplex(format)) => format.size(),
        }
    }

    /// Whether elements have a size of their own: [`DataType::item_size`] is then that of an entry in a table of them.
    pub fn is_variable_length(&self) -> bool {
        matches!(self, Self::String | Self::Bytes)
    }

    /// The floating-point format of the numbers of an element, and how many these are.
    pub(crate) fn floats(&self) -> Option<(Format, usize)> {
        let ieee = |size| match size {
            2 => Format::F16,
            4 => Format::F32,
            _ => Format::F64,
        };
        match self.kind() {
            Kind::Float(size) => Some((ieee(size), 1)),
            Kind::Complex(size) => Some((ieee(size), 2)),
            Kind::OtherFloat(format) => Some((format, 1)),
            Kind::OtherComplex(format) => Some((format, 2)),
            _ => None,
        }
    }

    /// Width in bits of an integer type, and whether it has a sign.
    pub(crate) fn integer(&self) -> Option<(u32, bool)> {
        Some(match self {
            Self::Int2 => (2, true),
            Self::Int4 => (4, true),
            Self::Int8 => (8, true),
            Self::Int16 => (16, true),
            Self::Int32 => (32, true),
            Self::Int64 | Self::DateTime64 { .. } | Self::TimeDelta64 { .. } => (64, true),
            Self::UInt2 => (2, false),
            Self::UInt4 => (4, false),
            Self::UInt8 => (8, false),
            Self::UInt16 => (16, false),
            Self::UInt32 => (32, false),
            Self::UInt64 => (64, false),
            _ => return None,
        })
    }
}

impl std::fmt::Display for DataType {
    /// The name; that of a struct is cut where it gets longer than a line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Struct(_) => f.write_str(&crate::json::brief(&self.to_json())),
            _ => f.write_str(&self.name()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
