//! Data types and fill values as people type them on a command line.

use serde_json::Value;

use super::names::SUPPORTED;
use super::{DataType, FillValue, TimeUnit, calendar, numpy};
use crate::error::{Error, Result};

impl DataType {
    /// Parses what a person would type: a name as in metadata (`float32`, `r16`) or as [`DataType::name`] gives it
    /// (`numpy.datetime64[25us]`), JSON as in metadata, or NumPy's spelling (`f4`, `<f4`, `|u1`, `c8`, `V2`, `S4`, `U4`, `M8[ns]`).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else. A big-endian spelling is refused, since in Zarr v3 byte order belongs to the codec.
    pub fn parse(text: &str) -> Result<Self> {
        let (order, code) = match text.strip_prefix(['<', '=', '|', '>']) {
            Some(code) => (text.chars().next(), code),
            None => (None, text),
        };
        let Some(data_type) = numpy::from_code(code) else {
            let named = if order.is_none() { Self::from_typed(text) } else { Err(Error::Cancelled) };
            return named.map_err(|error| match error {
                Error::Metadata { pointer, what, .. } if pointer.is_empty() => Error::invalid(what),
                Error::Metadata { pointer, what, .. } => Error::invalid(format!("data type: {pointer}: {what}")),
                _ => Error::invalid(format!(
                    "data type {text:?}; accepted are {SUPPORTED}, the JSON that metadata have, and NumPy's b1, i1 to i8, u1 to u8, f2 to f8, c8, \
                     c16, M8[ns], m8[ns], and V1, S1, U1, ..."
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

    /// A name, with the configuration in brackets where there is one, or JSON.
    fn from_typed(text: &str) -> Result<Self> {
        if text.starts_with(['{', '"']) {
            let value =
                serde_json::from_str(text).map_err(|fault| Error::metadata("", format!("data type {text:?} is no JSON: {fault}")))?;
            return Self::from_json(&value).map(|(data_type, _)| data_type);
        }
        let (name, inner) = match text.strip_suffix(']').and_then(|text| text.split_once('[')) {
            Some((name, inner)) => (name, Some(inner)),
            None => (text, None),
        };
        let bare = name.strip_prefix("numpy.").unwrap_or(name);
        let data_type = match (bare, inner) {
            ("datetime64", inner) => numpy::time(inner).map(|(unit, scale)| Self::DateTime64 { unit, scale }),
            ("timedelta64", inner) => numpy::time(inner).map(|(unit, scale)| Self::TimeDelta64 { unit, scale }),
            ("null_terminated_bytes", Some(size)) => size.parse().ok().map(|size_bytes| Self::NullTerminated { size_bytes }),
            ("fixed_length_utf32", Some(size)) => size.parse().ok().map(|size_bytes| Self::Utf32 { size_bytes }),
            ("raw_bytes", Some(size)) => size.parse().ok().map(|size_bytes| Self::Raw { size_bytes }),
            (_, None) => return Self::from_name(text),
            _ => None,
        };
        let data_type = data_type.ok_or_else(|| Error::unsupported(text))?;
        data_type.check()?;
        Ok(data_type)
    }
}

impl FillValue {
    /// Parses what a person would type: `-1`, `nan`, `-inf`, `1e20`, `0x7fc00001` (the bits of a float), `true`, `[1,nan]` (a complex
    /// number), `[1,2]` (the bytes of an opaque element), `2000-01-01T12` (a point in time), text with or without quotes, a struct as JSON, or any form that
    /// metadata have; but what is typed for a byte string is the text itself, not base64, and a bare number for a date in years is the year.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] saying what the data type would accept.
    pub fn parse(data_type: &DataType, text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let json = match data_type {
            DataType::Bool => json_or_string(&trimmed.to_ascii_lowercase()),
            DataType::DateTime64 { unit, scale } => match trimmed.parse::<i64>() {
                Ok(count) if *unit != TimeUnit::Year => Value::from(count),
                _ => calendar::from_text(trimmed.trim_matches('"'), *unit, *scale).map_or_else(|| Value::from(trimmed), Value::from),
            },
            DataType::TimeDelta64 { .. } if trimmed.trim_matches('"').eq_ignore_ascii_case("nat") => Value::from("NaT"),
            DataType::String | DataType::Utf32 { .. } => quoted(trimmed).unwrap_or_else(|| Value::from(text)),
            DataType::Bytes | DataType::NullTerminated { .. } => bytes(text),
            DataType::Raw { .. } | DataType::Struct(_) => json_or_string(trimmed),
            _ => match (data_type.floats(), trimmed.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'))) {
                (None, _) => integer(trimmed),
                (Some((_, 2)), Some(parts)) => parts.split(',').map(real).collect(),
                (Some((_, 2)), None) => Value::from(vec![real(trimmed), Value::from(0)]),
                (Some(_), _) => real(trimmed),
            },
        };
        Self::from_json(data_type, &json).map_err(|error| match error {
            Error::Metadata { what, .. } if matches!(data_type, DataType::DateTime64 { .. }) => {
                Error::invalid(format!("fill value {text:?}: {what}, or a date such as 2000-01-31T12:30 that is a whole count of the unit"))
            }
            Error::Metadata { pointer, what, .. } if pointer.is_empty() || data_type.floats().is_some() => {
                Error::invalid(format!("fill value {text:?}: {what}"))
            }
            Error::Metadata { pointer, what, .. } => Error::invalid(format!("fill value {text:?}: {pointer}: {what}")),
            other => other,
        })
    }

    /// The value as a person would read it, which [`FillValue::parse`] takes back: as [`DataType::element_text`], a struct as in metadata.
    pub fn to_text(&self, data_type: &DataType) -> String {
        match data_type {
            DataType::Struct(_) => self.to_json(data_type).to_string(),
            _ => data_type.element_text(self.as_bytes()),
        }
    }
}

/// The JSON value that the text is, or else the text as a string.
fn json_or_string(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// The JSON string that the text is.
fn quoted(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().filter(Value::is_string)
}

/// The bytes of a byte string: a list of them, or text with or without quotes.
fn bytes(text: &str) -> Value {
    match serde_json::from_str(text.trim()) {
        Ok(list @ Value::Array(_)) => list,
        Ok(Value::String(text)) => Value::from(text.as_bytes()),
        _ => Value::from(text.as_bytes()),
    }
}

/// An integer, also as `+1`.
pub(super) fn integer(text: &str) -> Value {
    text.parse::<i64>().map(Value::from).or_else(|_| text.parse::<u64>().map(Value::from)).unwrap_or_else(|_| Value::from(text))
}

/// A real number, also as `+1`, `.5`, `nan` or `-inf`, with or without quotes.
pub(super) fn real(text: &str) -> Value {
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
