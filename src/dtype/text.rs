//! Data types and fill values as people type them on a command line.

use serde_json::Value;

use super::{DataType, FillValue, Kind, SUPPORTED};
use crate::error::{Error, Result};

impl DataType {
    /// Parses what a person would type: a name as in metadata (`float32`, `r16`), or NumPy's spelling (`f4`, `<f4`, `|u1`, `c8`, `V2`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else. A big-endian spelling is refused, since in Zarr v3 byte order belongs to the codec.
    pub fn parse(text: &str) -> Result<Self> {
        let (order, code) = match text.strip_prefix(['<', '=', '|', '>']) {
            Some(code) => (text.chars().next(), code),
            None => (None, text),
        };
        let Some(data_type) = Self::from_numpy(code) else {
            let named = if order.is_none() { Self::from_name(text) } else { Err(Error::Cancelled) };
            return named.map_err(|error| match error {
                Error::Metadata { what, .. } => Error::invalid(what),
                _ => Error::invalid(format!(
                    "data type {text:?}; accepted are {SUPPORTED}, and NumPy's b1, i1 to i8, u1 to u8, f2 to f8, c8, c16 and V1, V2, ..."
                )),
            });
        };
        if order == Some('>') && data_type.swap_size() > 1 {
            return Err(Error::invalid(format!(
                "data type {text:?} is big-endian; give the type as {data_type}, and the byte order in the bytes codec (endian=big)"
            )));
        }
        Ok(data_type)
    }

    /// NumPy's letter and size in bytes.
    fn from_numpy(code: &str) -> Option<Self> {
        Some(match code {
            "b1" | "?" => Self::Bool,
            "i1" => Self::Int8,
            "i2" => Self::Int16,
            "i4" => Self::Int32,
            "i8" => Self::Int64,
            "u1" => Self::UInt8,
            "u2" => Self::UInt16,
            "u4" => Self::UInt32,
            "u8" => Self::UInt64,
            "f2" => Self::Float16,
            "f4" => Self::Float32,
            "f8" => Self::Float64,
            "c8" => Self::Complex64,
            "c16" => Self::Complex128,
            _ => {
                let size = code.strip_prefix('V')?.parse::<u32>().ok()?;
                return Self::from_name(&format!("r{}", u64::from(size) * 8)).ok();
            }
        })
    }
}

impl FillValue {
    /// Parses what a person would type: `-1`, `nan`, `-inf`, `1e20`, `0x7fc00001` (the bits of a float), `true`, `[1,nan]` (a complex
    /// number), `[1,2]` (the bytes of a raw element), or any form that metadata have.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] saying what the data type would accept.
    pub fn parse(data_type: &DataType, text: &str) -> Result<Self> {
        let text = text.trim();
        let json = match data_type.kind() {
            Kind::Bool => json_or_string(&text.to_ascii_lowercase()),
            Kind::Int(_) | Kind::UInt(_) => integer(text),
            Kind::Float(_) => real(text),
            Kind::Complex(_) => match text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
                Some(parts) => parts.split(',').map(real).collect(),
                None => Value::from(vec![real(text), Value::from(0)]),
            },
            Kind::Raw(_) => json_or_string(text),
        };
        Self::from_json(data_type, &json).map_err(|error| match error {
            Error::Metadata { what, .. } => Error::invalid(format!("fill value {text:?}: {what}")),
            other => other,
        })
    }
}

impl FillValue {
    /// The value as a person would read it, which [`FillValue::parse`] takes back: numbers in the fewest digits that give the same bits.
    pub fn to_text(&self, data_type: &DataType) -> String {
        if let (DataType::Float32, Ok(bytes)) = (data_type, <[u8; 4]>::try_from(self.as_bytes())) {
            let number = f32::from_ne_bytes(bytes);
            if number.is_finite() {
                return format!("{number:?}");
            }
        }
        if let Kind::Raw(_) = data_type.kind() {
            return Value::from(self.as_bytes()).to_string();
        }
        match self.to_json(data_type) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }
}

/// The JSON value that the text is, or else the text as a string.
fn json_or_string(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// An integer, also as `+1`.
fn integer(text: &str) -> Value {
    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).unwrap_or_else(|_| Value::from(text))
}

/// A real number, also as `+1`, `.5`, `nan` or `-inf`, with or without quotes.
fn real(text: &str) -> Value {
    let text = text.trim().trim_matches('"');
    match text.to_ascii_lowercase().as_str() {
        "nan" => Value::from("NaN"),
        "inf" | "+inf" | "infinity" | "+infinity" => Value::from("Infinity"),
        "-inf" | "-infinity" => Value::from("-Infinity"),
        // What is too large for f64 becomes infinite here, has no JSON form, and is refused as the string that it stays.
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::from(number),
            _ => Value::from(text),
        },
    }
}
