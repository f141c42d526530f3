//! NumPy's names of data types, as they stand in the configurations of numcodecs: `<f4`, `>i2`, `float64`.

use serde_json::Value;

use super::number::NumberType;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::json::{NamedConfig, brief};

/// What a name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numpy {
    pub(super) number: NumberType,
    /// Whether an element is two of these numbers.
    pub(super) complex: bool,
    /// Whether the numbers are big endian; none where it does not say, or does not matter.
    pub(super) big: Option<bool>,
}

const ACCEPTED: &str =
    "accepted are bool, int8 to int64, uint8 to uint64, float16 to float64, complex64 and complex128, as NumPy writes them (<f4, |u1, ...)";

impl Numpy {
    /// Reads the member `name`; none where it is absent or null.
    pub(super) fn from_member(config: &NamedConfig, name: &str) -> Result<Option<Self>> {
        let fault = |value: &Value| Error::metadata(format!("/configuration/{name}"), format!("{}; {ACCEPTED}", brief(value)));
        match config.configuration.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_str().and_then(Self::parse).map(Some).ok_or_else(|| fault(value)),
        }
    }

    /// How NumPy would look at elements of a data type: as their numbers, or as unsigned integers of their size.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        let (number, complex) = match data_type {
            DataType::Complex64 => (NumberType::F32, true),
            DataType::Complex128 => (NumberType::F64, true),
            _ => (NumberType::of(data_type)?, false),
        };
        Some(Self { number, complex, big: None })
    }

    fn parse(text: &str) -> Option<Self> {
        let (order, code) = match text.split_at_checked(1) {
            Some((order @ ("<" | ">" | "|" | "="), code)) => (order, code),
            _ => ("", text),
        };
        let (number, complex) = match code {
            "b1" | "?" | "bool" => (NumberType::Bool, false),
            "i1" | "b" | "int8" => (NumberType::I8, false),
            "i2" | "h" | "int16" => (NumberType::I16, false),
            "i4" | "i" | "int32" => (NumberType::I32, false),
            "i8" | "q" | "int64" => (NumberType::I64, false),
            "u1" | "B" | "uint8" => (NumberType::U8, false),
            "u2" | "H" | "uint16" => (NumberType::U16, false),
            "u4" | "I" | "uint32" => (NumberType::U32, false),
            "u8" | "Q" | "uint64" => (NumberType::U64, false),
            "f2" | "e" | "float16" => (NumberType::F16, false),
            "f4" | "f" | "float32" => (NumberType::F32, false),
            "f8" | "d" | "float" | "float64" => (NumberType::F64, false),
            "c8" | "F" | "complex64" => (NumberType::F32, true),
            "c16" | "D" | "complex128" => (NumberType::F64, true),
            _ => return None,
        };
        let big = match order {
            "<" => Some(false),
            ">" => Some(true),
            _ => None,
        };
        Some(Self { number, complex, big: big.filter(|_| number.size() > 1) })
    }

    /// Size of an element in bytes.
    pub(super) fn item_size(self) -> usize {
        self.number.size() * if self.complex { 2 } else { 1 }
    }

    /// The data type of such elements.
    pub(super) fn data_type(self) -> DataType {
        match (self.number, self.complex) {
            (NumberType::F64, true) => DataType::Complex128,
            (_, true) => DataType::Complex64,
            (NumberType::Bool, _) => DataType::Bool,
            (NumberType::I8, _) => DataType::Int8,
            (NumberType::I16, _) => DataType::Int16,
            (NumberType::I32, _) => DataType::Int32,
            (NumberType::I64, _) => DataType::Int64,
            (NumberType::U8, _) => DataType::UInt8,
            (NumberType::U16, _) => DataType::UInt16,
            (NumberType::U32, _) => DataType::UInt32,
            (NumberType::U64, _) => DataType::UInt64,
            (NumberType::F16, _) => DataType::Float16,
            (NumberType::F32, _) => DataType::Float32,
            (NumberType::F64, _) => DataType::Float64,
        }
    }
}
