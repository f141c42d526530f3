//! NumPy's spellings of data types, the data types of Zarr v2, and the fill values that its documents carry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use super::limits::{MAX_FIELDS, MAX_ITEM_BYTES, MAX_RAW_BITS, MAX_STRUCT_DEPTH};
use super::{ByteUnits, DataType, Field, FillValue, TimeUnit, calendar, text};
use crate::error::{Error, Result};
use crate::json::brief;

/// The `dtype` of a Zarr v2 array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum V2Dtype {
    /// Elements of fixed size.
    Fixed(V2Type),
    /// `|O`: Python objects. A filter (`vlen-utf8`, `vlen-bytes`) says what they are.
    Object,
}

/// A data type of fixed size, with the byte order that Zarr v2 has as a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct V2Type {
    pub(crate) data_type: DataType,
    pub(crate) order: ByteOrder,
}

/// The byte order of the numbers of an element in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ByteOrder {
    /// Nothing in the element has one.
    None,
    Little,
    Big,
    /// Fields of a struct differ: all numbers of an element in order, and whether they are big-endian. A `bytes` codec cannot say this.
    Mixed(Vec<(ByteUnits, bool)>),
}

impl ByteOrder {
    /// Turns elements between this order and the machine's, where they lie. `bytes` are whole elements.
    pub(crate) fn reorder(&self, data_type: &DataType, bytes: &mut [u8]) {
        match self {
            Self::None => {}
            Self::Little => data_type.reorder(bytes, false),
            Self::Big => data_type.reorder(bytes, true),
            Self::Mixed(units) => {
                let foreign: Vec<_> = units.iter().filter(|(_, big)| *big != cfg!(target_endian = "big")).map(|(unit, _)| *unit).collect();
                for element in bytes.chunks_exact_mut(data_type.item_size()) {
                    for unit in &foreign {
                        element[unit.offset..unit.offset + unit.width * unit.count].chunks_exact_mut(unit.width).for_each(<[u8]>::reverse);
                    }
                }
            }
        }
    }
}

/// NumPy's letter and size: `f4`, `M8[ns]`, `S4` (bytes), `U4` (code points).
pub(super) fn from_code(code: &str) -> Option<DataType> {
    Some(match code {
        "b1" | "?" => DataType::Bool,
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
        _ => {
            let (letter, rest) = code.split_at_checked(1)?;
            match letter {
                "M" | "m" => {
                    let rest = rest.strip_prefix('8')?;
                    let inner = if rest.is_empty() { None } else { Some(rest.strip_prefix('[')?.strip_suffix(']')?) };
                    let (unit, scale) = time(inner)?;
                    if letter == "M" { DataType::DateTime64 { unit, scale } } else { DataType::TimeDelta64 { unit, scale } }
                }
                "V" => DataType::Raw { size_bytes: size(rest, MAX_RAW_BITS / 8)? },
                "S" => DataType::NullTerminated { size_bytes: size(rest, MAX_ITEM_BYTES)? },
                "U" => DataType::Utf32 { size_bytes: 4 * size(rest, MAX_ITEM_BYTES / 4)? },
                _ => return None,
            }
        }
    })
}

fn size(digits: &str, most: usize) -> Option<usize> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten().filter(|size| (1..=most).contains(size))
}

/// Unit and scale of what stands in brackets: `ns`, `25us`; nothing is the generic unit.
pub(super) fn time(inner: Option<&str>) -> Option<(TimeUnit, u32)> {
    let Some(inner) = inner else { return Some((TimeUnit::Generic, 1)) };
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let (scale, unit) = inner.split_at(digits);
    let scale = if scale.is_empty() { 1 } else { scale.parse().ok()? };
    let scale = u32::try_from(scale).ok().filter(|scale| (1..=i32::MAX.cast_unsigned()).contains(scale))?;
    Some((TimeUnit::from_name(unit)?, scale))
}

/// A type under construction.
struct Built {
    data_type: DataType,
    /// Whether each of its leaves is big-endian.
    big: Vec<bool>,
    /// Fields at all depths.
    fields: usize,
}

/// Reads the `dtype` member of a Zarr v2 array; pointers of errors are relative to it.
///
/// A field that is an array becomes a struct of its elements, called `0`, `1` and so on, one struct within the other for each axis: the bytes stay as
/// they are, and both what Zarr v3 can express and the byte order of each number are kept.
pub(crate) fn from_v2(dtype: &Value) -> Result<V2Dtype> {
    if let Value::String(text) = dtype
        && matches!(text.as_str(), "|O" | "O" | "<O" | ">O" | "|O8" | "|O4")
    {
        return Ok(V2Dtype::Object);
    }
    let built = build(dtype, 0)?;
    // What is wrong is said in words: the pointer is that of a document of Zarr v3.
    built.data_type.check().map_err(|error| match error {
        Error::Metadata { what, .. } => Error::metadata("", what),
        other => other,
    })?;
    let (mut units, mut leaves): (Vec<(ByteUnits, bool)>, _) = (Vec::new(), built.big.iter());
    built.data_type.each_leaf(0, &mut |leaf, offset| {
        let (width, big) = (leaf.swap_size(), leaves.next().copied().unwrap_or(false));
        let count = leaf.item_size() / width.max(1);
        match units.last_mut() {
            _ if width < 2 => {}
            Some((last, same)) if *same == big && last.width == width && last.offset + width * last.count == offset => last.count += count,
            _ => units.push((ByteUnits { offset, width, count }, big)),
        }
    });
    let order = match units.first() {
        None => ByteOrder::None,
        Some((_, first)) if units.iter().all(|(_, big)| big == first) => {
            if *first {
                ByteOrder::Big
            } else {
                ByteOrder::Little
            }
        }
        Some(_) => ByteOrder::Mixed(units),
    };
    Ok(V2Dtype::Fixed(V2Type { data_type: built.data_type, order }))
}

fn build(dtype: &Value, depth: usize) -> Result<Built> {
    match dtype {
        Value::String(text) => simple(text),
        Value::Array(fields) if depth < MAX_STRUCT_DEPTH => structured(fields, depth),
        Value::Array(_) => Err(Error::metadata("", format!("structs nested deeper than {MAX_STRUCT_DEPTH}"))),
        _ => Err(Error::metadata("", format!("{}; expected a NumPy data type or a list of fields", brief(dtype)))),
    }
}

/// A type in NumPy's spelling, or a name under which TensorStore writes what NumPy does not have.
fn simple(text: &str) -> Result<Built> {
    let known = match text.strip_prefix(['<', '>', '|']) {
        Some(code) => from_code(code),
        None => DataType::from_name(text)
            .ok()
            .filter(|data_type| matches!(data_type, DataType::BFloat16 | DataType::Mini(_) | DataType::Int2 | DataType::Int4)),
    };
    let data_type = known.ok_or_else(|| {
        Error::unsupported(format!(
            "Zarr v2 data type {text:?}; supported are |b1, |i1 to <i8, |u1 to <u8, <f2 to <f8, <c8, <c16, <M8[ns], <m8[ns], |S1 .., <U1 .., |V1 .., \
             their big-endian forms, lists of fields, and |O with a filter vlen-utf8 or vlen-bytes"
        ))
    })?;
    Ok(Built { data_type, big: vec![text.starts_with('>')], fields: 0 })
}

/// A list of fields: name, type, and for an array of them its shape.
fn structured(list: &[Value], depth: usize) -> Result<Built> {
    let (mut fields, mut big, mut total) = (Vec::new(), Vec::new(), 0_usize);
    for (position, value) in list.iter().enumerate() {
        let at = |error: Error| error.within(&format!("/{position}"));
        let (name, data_type, shape) = match value.as_array().map(Vec::as_slice) {
            Some([Value::String(name), data_type]) => (name, data_type, None),
            Some([Value::String(name), data_type, shape]) => (name, data_type, Some(shape)),
            _ => {
                let what = format!("{}; expected a field as a list of name, type, and for an array of them its shape", brief(value));
                return Err(at(Error::metadata("", what)));
            }
        };
        let mut built = build(data_type, depth + 1).map_err(|error| at(error.within("/1")))?;
        if let Some(shape) = shape {
            built = repeated(built, shape).map_err(|error| at(error.within("/2")))?;
        }
        total = total.saturating_add(built.fields).saturating_add(1);
        if total > MAX_FIELDS {
            return Err(Error::unsupported(format!("a Zarr v2 data type of more than {MAX_FIELDS} fields and elements of fields")));
        }
        // NumPy names a field that has no name, such as the padding of an aligned struct, by its position.
        let name = if name.is_empty() { format!("f{position}") } else { name.clone() };
        fields.push(Field { name, data_type: built.data_type });
        big.extend(built.big);
    }
    Ok(Built { data_type: DataType::Struct(fields.into()), big, fields: total })
}

/// An array of a type as nested structs.
fn repeated(mut built: Built, shape: &Value) -> Result<Built> {
    let wrong = || Error::metadata("", format!("{}; expected the shape of an array, without zeros", brief(shape)));
    let edge = |value: &Value| value.as_u64().and_then(|edge| usize::try_from(edge).ok()).filter(|edge| *edge > 0).ok_or_else(wrong);
    let edges = match shape {
        Value::Array(edges) if edges.len() <= MAX_STRUCT_DEPTH => edges.iter().map(edge).collect::<Result<Vec<_>>>()?,
        Value::Number(_) => vec![edge(shape)?],
        _ => return Err(wrong()),
    };
    for &edge in edges.iter().rev() {
        let fields = edge.saturating_mul(built.fields.saturating_add(1));
        if fields > MAX_FIELDS {
            let what =
                format!("a field of Zarr v2 that is an array of shape {}; at most {MAX_FIELDS} elements are supported", brief(shape));
            return Err(Error::unsupported(what));
        }
        let field = |position: usize| Field { name: position.to_string(), data_type: built.data_type.clone() };
        built = Built { data_type: DataType::Struct((0..edge).map(field).collect()), big: built.big.repeat(edge), fields };
    }
    Ok(built)
}

/// Reads the `fill_value` member of a Zarr v2 array, in any form that has been seen; pointers of errors are relative to it.
///
/// Without one it is the zero of the type, and "not a time" for what counts time, as zarr-python has it. `order` is that of the array's data
/// type, in which packed bytes of a struct are.
pub(crate) fn fill_from_v2(data_type: &DataType, order: &ByteOrder, value: Option<&Value>) -> Result<FillValue> {
    let value = match (value.filter(|value| !value.is_null()), data_type) {
        (Some(value), _) => value,
        (None, DataType::DateTime64 { .. } | DataType::TimeDelta64 { .. }) => &Value::from("NaT"),
        (None, _) => return Ok(FillValue::zero(data_type)),
    };
    if let (DataType::Struct(_), Value::String(text)) = (data_type, value)
        && !text.is_empty()
    {
        let size = data_type.item_size();
        let packed = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == size);
        let mut packed =
            packed.ok_or_else(|| Error::metadata("", format!("{} for {data_type}; expected {size} bytes in base64", brief(value))))?;
        order.reorder(data_type, &mut packed);
        return FillValue::from_bytes(data_type, &packed).map_err(|error| Error::metadata("", error.to_string()));
    }
    let empty = value.as_str() == Some("") || value.as_f64() == Some(0.0);
    match data_type {
        DataType::Raw { .. } | DataType::NullTerminated { .. } | DataType::Utf32 { .. } | DataType::Struct(_) | DataType::Bytes
            if empty =>
        {
            Ok(FillValue::zero(data_type))
        }
        // A shorter value is filled up with zeros, as NumPy does.
        DataType::Raw { size_bytes } => {
            let padded = DataType::NullTerminated { size_bytes: *size_bytes };
            FillValue::from_bytes(data_type, FillValue::from_json(&padded, value)?.as_bytes())
        }
        _ => FillValue::from_json(data_type, &v3_form(data_type, value)),
    }
}

/// The form that Zarr v3 has for a value, or the value itself.
fn v3_form(data_type: &DataType, value: &Value) -> Value {
    if let Some((_, parts)) = data_type.floats() {
        let part = |value: &Value| value.as_str().map_or_else(|| value.clone(), text::real);
        return match value {
            Value::Array(items) => items.iter().map(part).collect(),
            _ if parts == 2 => Value::from(vec![part(value), Value::from(0)]),
            _ => part(value),
        };
    }
    match (data_type, value) {
        (DataType::Bool, Value::Number(number)) => match number.as_f64() {
            Some(0.0) => Value::from(false),
            Some(1.0) => Value::from(true),
            _ => value.clone(),
        },
        (DataType::String, Value::Number(number)) => Value::from(number.to_string()),
        (_, Value::Number(number)) if data_type.integer().is_some() => whole(number),
        (DataType::DateTime64 { .. } | DataType::TimeDelta64 { .. }, Value::String(text)) if text == "NaT" => {
            Value::from(calendar::NOT_A_TIME)
        }
        (_, Value::String(text)) if data_type.integer().is_some() => text::integer(text.trim()),
        _ => value.clone(),
    }
}

/// A number without fraction as an integer, however it is written.
fn whole(number: &Number) -> Value {
    match number.as_f64() {
        Some(0.0) => Value::from(0),
        Some(float) if number.is_f64() && float.fract() == 0.0 => text::integer(&format!("{float:.0}")),
        _ => Value::Number(number.clone()),
    }
}

#[cfg(test)]
mod tests;
