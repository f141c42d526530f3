//! Data types of Zarr v2: the array-interface type strings of NumPy.

use serde_json::Value;

use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::brief;

/// In which order the bytes of a number are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    None,
    Little,
    Big,
}

/// A data type of Zarr v2.
pub(crate) struct V2Type {
    pub(crate) data_type: DataType,
    pub(crate) order: ByteOrder,
}

pub(crate) fn from_v2(dtype: &Value) -> Result<V2Type> {
    let fault = || Error::unsupported(format!("data type {} of Zarr v2", brief(dtype)));
    let text = dtype.as_str().ok_or_else(fault)?;
    let (order, name) = match text.split_at_checked(1) {
        Some(("<", name)) => (ByteOrder::Little, name),
        Some((">", name)) => (ByteOrder::Big, name),
        Some(("|", name)) => (ByteOrder::None, name),
        _ => return Err(fault()),
    };
    let data_type = match name {
        "b1" => DataType::Bool,
        "i1" => DataType::Int8,
        "i2" => DataType::Int16,
        "i4" => DataType::Int32,
        "i8" => DataType::Int64,
        "u1" => DataType::UInt8,
        "u2" => DataType::UInt16,
        "u4" => DataType::UInt32,
        "u8" => DataType::UInt64,
        "f2" => DataType::Float16,
        "f4" => DataType::Float32,
        "f8" => DataType::Float64,
        "c8" => DataType::Complex64,
        "c16" => DataType::Complex128,
        _ => match name.strip_prefix('V').and_then(|size| size.parse().ok()) {
            Some(size_bytes @ 1..=131_072) => DataType::Raw { size_bytes },
            _ => return Err(fault()),
        },
    };
    let order = match (data_type.swap_size(), order) {
        (1, _) => ByteOrder::None,
        (_, ByteOrder::None) => ByteOrder::Little,
        (_, order) => order,
    };
    Ok(V2Type { data_type, order })
}

pub(crate) fn fill_from_v2(data_type: &DataType, value: Option<&Value>) -> Result<FillValue> {
    match value {
        None | Some(Value::Null) => Ok(FillValue::zero(data_type)),
        Some(value) => FillValue::from_json(data_type, value),
    }
}
