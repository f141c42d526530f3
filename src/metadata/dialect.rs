//! Data types under the names that every zarr-python from 3.0 on knows, where it has other names than the specification.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::dtype::{DataType, FillValue};

/// Whether zarr-python has a name of its own for a type.
pub(super) fn has(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Raw { .. } | DataType::Struct(_))
}

/// The `data_type` member: `raw_bytes`, and `structured` with fields as lists of name and type.
pub(super) fn data_type(data_type: &DataType) -> Value {
    match data_type {
        DataType::Raw { .. } => data_type.to_raw_bytes_json(),
        DataType::Struct(fields) => {
            let fields: Vec<Value> = fields.iter().map(|field| json!([field.name, self::data_type(&field.data_type)])).collect();
            json!({"name": "structured", "configuration": {"fields": fields}})
        }
        _ => data_type.to_json(),
    }
}

/// The `fill_value` member: of a struct the packed bytes of its fields, little endian.
pub(super) fn fill_value(data_type: &DataType, fill: &FillValue) -> Value {
    match data_type {
        DataType::Struct(_) => {
            let mut packed = fill.as_bytes().to_vec();
            data_type.reorder(&mut packed, false);
            Value::from(STANDARD.encode(packed))
        }
        _ => fill.to_json(data_type),
    }
}
