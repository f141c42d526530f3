//! The value that stands for what is missing, which xarray takes from `fill_value` in Zarr v2, and in Zarr v3 from the attribute `_FillValue`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::dtype::{ByteOrder, DataType, FillValue, fill_from_v2};
use crate::error::Result;
use crate::json::{self, Members};
use crate::metadata::Attributes;

const FILL_VALUE: &str = "_FillValue";

/// The attributes with `_FillValue` as xarray reads it from Zarr v3 (FMT-V2-15). `fill` is that of the document, if it has one, and `is_xarray`
/// whether xarray named the dimensions.
pub(super) fn said(
    attributes: &Attributes,
    data_type: &DataType,
    order: &ByteOrder,
    fill: Option<&FillValue>,
    is_xarray: bool,
) -> Result<Option<Attributes>> {
    let members = Members::parse(attributes.as_json())?;
    let attribute = members.iter().find(|(name, _)| *name == FILL_VALUE).map(|(_, text)| text);
    let missing = match (fill, attribute) {
        (Some(fill), attribute) if is_xarray || attribute.is_some() => Some(fill.clone()),
        (None, Some(text)) => json::strict_value(text).ok().and_then(|value| stated(data_type, order, &value)),
        _ => None,
    };
    match missing.and_then(|missing| encoded(data_type, &missing)) {
        None => Ok(None),
        Some(value) => attributes.with_member(FILL_VALUE, Some(&value)).map(Some),
    }
}

/// What the attribute says in Zarr v2: the value, or a list of it alone.
fn stated(data_type: &DataType, order: &ByteOrder, value: &Value) -> Option<FillValue> {
    let value = match value.as_array().map(Vec::as_slice) {
        Some([one]) => one,
        _ => value,
    };
    fill_from_v2(data_type, order, Some(value).filter(|value| !value.is_null())).ok().filter(|_| !value.is_null())
}

/// The form that xarray gives it in Zarr v3; none for types of which it knows no such value.
fn encoded(data_type: &DataType, missing: &FillValue) -> Option<Value> {
    let value = missing.to_json(data_type);
    Some(match data_type {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => double(&value),
        DataType::Complex64 | DataType::Complex128 => value.as_array()?.iter().map(double).collect(),
        DataType::DateTime64 { .. } | DataType::TimeDelta64 { .. } => return None,
        DataType::Bool => value,
        _ if data_type.integer().is_some() => value,
        _ => return None,
    })
}

/// The bytes of a float64, little endian, in base64.
fn double(value: &Value) -> Value {
    let number = match value.as_str() {
        None => value.as_f64().unwrap_or_default(),
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(_) => f64::NAN,
    };
    Value::from(STANDARD.encode(number.to_le_bytes()))
}
