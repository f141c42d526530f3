//! Reading the `configuration` of a codec object: every member is known, and of the type and in the range that the codec accepts.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// The integer member `name`, or `default` if it is missing.
pub(super) fn integer(config: &NamedConfig, name: &str, range: RangeInclusive<i32>, default: i32) -> Result<i32> {
    let Some(value) = config.configuration.get(name) else { return Ok(default) };
    match value.as_i64().and_then(|level| i32::try_from(level).ok()) {
        Some(level) if range.contains(&level) => Ok(level),
        _ => {
            let what = format!("{value}; accepted are integers from {} to {}", range.start(), range.end());
            Err(Error::metadata(format!("/configuration/{name}"), what))
        }
    }
}

/// The integer member `name` from 0 to 2^32 - 1, or `default` if it is missing.
pub(super) fn unsigned(config: &NamedConfig, name: &str, default: u32) -> Result<u32> {
    let Some(value) = config.configuration.get(name) else { return Ok(default) };
    value
        .as_u64()
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(|| Error::metadata(format!("/configuration/{name}"), format!("{value}; accepted are integers from 0 to {}", u32::MAX)))
}

/// The boolean member `name`, false if it is missing.
pub(super) fn boolean(config: &NamedConfig, name: &str) -> Result<bool> {
    match config.configuration.get(name) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(Error::metadata(format!("/configuration/{name}"), format!("{other}; accepted are true and false"))),
    }
}

/// The list member `name`, each entry read by `read`; `what` says what is accepted.
pub(super) fn list<T>(config: &NamedConfig, name: &str, what: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Vec<T>> {
    let pointer = format!("/configuration/{name}");
    match config.configuration.get(name) {
        None => Err(Error::metadata(pointer, format!("missing; {what}"))),
        Some(Value::Array(values)) => values
            .iter()
            .enumerate()
            .map(|(i, value)| read(value).ok_or_else(|| Error::metadata(format!("{pointer}/{i}"), format!("{value}; {what}"))))
            .collect(),
        Some(other) => Err(Error::metadata(pointer, format!("{other} is not a list; {what}"))),
    }
}

/// The list of codec objects in member `name`.
pub(super) fn codecs(config: &NamedConfig, name: &str) -> Result<Vec<NamedConfig>> {
    let pointer = format!("/configuration/{name}");
    match config.configuration.get(name) {
        None => Err(Error::metadata(pointer, "missing; a list of codecs is needed")),
        Some(Value::Array(values)) => values
            .iter()
            .enumerate()
            .map(|(i, value)| NamedConfig::from_json(value).map_err(|error| error.within(&format!("{pointer}/{i}"))))
            .collect(),
        Some(other) => Err(Error::metadata(pointer, format!("{other} is not a list of codecs"))),
    }
}
