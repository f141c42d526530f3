//! Fill values: one element, bit-exact, in JSON and in memory.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::calendar::NOT_A_TIME;
use super::{DataType, Field};
use crate::error::{Error, Result};
use crate::json::{brief, pointer};

/// Size of the block that is repeated when a buffer is filled: it stays in the first-level cache.
const BLOCK_BYTES: usize = 4096;

/// The value of every element that was never written: one element in the machine's byte order, bit-exact. Of types of variable length it is the
/// string itself, of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillValue {
    bytes: Box<[u8]>,
}

impl FillValue {
    /// The zero of a data type, Zarr's customary default: all bits 0, the empty string.
    pub fn zero(data_type: &DataType) -> Self {
        let size = if data_type.is_variable_length() { 0 } else { data_type.item_size() };
        Self { bytes: vec![0; size].into() }
    }

    /// A fill value from one element in the machine's byte order.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the length is not that of one element, or the bytes are no element of the type: a bool that is neither 0
    /// nor 1, unused bits that are set, text that is not Unicode.
    pub fn from_bytes(data_type: &DataType, bytes: &[u8]) -> Result<Self> {
        if !data_type.is_variable_length() {
            if bytes.len() != data_type.item_size() {
                return Err(Error::invalid(format!(
                    "a fill value of {} bytes; an element of {data_type} has {}",
                    bytes.len(),
                    data_type.item_size()
                )));
            }
            data_type.check_elements(bytes)?;
        }
        if *data_type == DataType::String && std::str::from_utf8(bytes).is_err() {
            return Err(Error::invalid("a fill value that is not UTF-8"));
        }
        let mut text_is_unicode = true;
        data_type.each_leaf(0, &mut |leaf, offset| {
            if let DataType::Utf32 { size_bytes } = leaf {
                text_is_unicode &= bytes.get(offset..offset + size_bytes).and_then(from_utf32).is_some();
            }
        });
        if !text_is_unicode {
            return Err(Error::invalid(format!("a fill value for {data_type} whose text is not Unicode")));
        }
        Ok(Self { bytes: bytes.into() })
    }

    /// One element in the machine's byte order; for a type of variable length the bytes of the string.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the `fill_value` member of an array document; pointers of errors are relative to it.
    pub(crate) fn from_json(data_type: &DataType, value: &Value) -> Result<Self> {
        Self::from_json_in_order(data_type, value, false)
    }

    /// As [`FillValue::from_json`]; packed bytes of a struct are in the byte order of the array's `bytes` codec.
    pub(crate) fn from_json_in_order(data_type: &DataType, value: &Value, big: bool) -> Result<Self> {
        let mut bytes = Vec::new();
        read(data_type, value, big, &mut bytes)?;
        Ok(Self { bytes: bytes.into() })
    }

    /// The `fill_value` member of an array document, in a form that gives the same bits to every reader.
    pub(crate) fn to_json(&self, data_type: &DataType) -> Value {
        debug_assert!(data_type.is_variable_length() || self.bytes.len() == data_type.item_size(), "a fill value of another data type");
        write(data_type, &self.bytes)
    }

    /// Writes the fill value to every element of `target`, whose length is a multiple of the element size.
    pub(crate) fn fill(&self, target: &mut [u8]) {
        let item = self.bytes.len();
        let Some(first) = self.bytes.first() else { return };
        debug_assert!(target.len().is_multiple_of(item), "whole elements");
        if self.bytes.iter().all(|byte| byte == first) {
            return target.fill(*first);
        }
        let block = (BLOCK_BYTES / item).max(1) * item;
        let (first, rest) = target.split_at_mut(block.min(target.len()));
        for element in first.chunks_exact_mut(item) {
            element.copy_from_slice(&self.bytes);
        }
        for chunk in rest.chunks_mut(block) {
            chunk.copy_from_slice(&first[..chunk.len()]);
        }
    }

    /// Whether every element of `bytes` equals the fill value bit by bit (so -0.0 is not 0.0).
    pub(crate) fn is_all_fill(&self, bytes: &[u8]) -> bool {
        let item = self.bytes.len();
        debug_assert!(item == 0 || bytes.len().is_multiple_of(item), "whole elements");
        // Where the first element is the fill value and each byte equals the one an element before it, every element is the fill value.
        bytes.is_empty() || (item > 0 && bytes.starts_with(&self.bytes) && bytes[item..] == bytes[..bytes.len() - item])
    }
}

/// A value that is not of the type.
fn wanted(data_type: &DataType, value: &Value, expected: &str) -> Error {
    Error::metadata("", format!("{} for {data_type}; expected {expected}", brief(value)))
}

/// Appends the element that `value` says.
fn read(data_type: &DataType, value: &Value, big: bool, out: &mut Vec<u8>) -> Result<()> {
    if value.is_null() {
        return Err(wanted(data_type, value, "a value of the type: Zarr v3 knows no undefined fill value"));
    }
    if let Some((format, parts)) = data_type.floats() {
        let size = format.size();
        if parts == 1 {
            out.extend(native(format.read_json(value)?, size));
            return Ok(());
        }
        let Some([re, im]) = value.as_array().map(Vec::as_slice) else {
            return Err(wanted(data_type, value, "a list of two numbers, the real and the imaginary part"));
        };
        out.extend(native(format.read_json(re).map_err(|error| error.within("/0"))?, size));
        out.extend(native(format.read_json(im).map_err(|error| error.within("/1"))?, size));
        return Ok(());
    }
    if let Some((bits, signed)) = data_type.integer() {
        let time = matches!(data_type, DataType::DateTime64 { .. } | DataType::TimeDelta64 { .. });
        let number = if time && value.as_str() == Some("NaT") { Some(NOT_A_TIME.cast_unsigned()) } else { integer(bits, signed, value) };
        let expected = || format!("{}{}", range(bits, signed), if time { ", or \"NaT\"" } else { "" });
        out.extend(native(number.ok_or_else(|| wanted(data_type, value, &expected()))?, data_type.item_size()));
        return Ok(());
    }
    match data_type {
        DataType::Bool => out.push(u8::from(value.as_bool().ok_or_else(|| wanted(data_type, value, "true or false"))?)),
        DataType::Struct(fields) => return read_struct(data_type, fields, value, big, out),
        DataType::String | DataType::Utf32 { .. } => return read_text(data_type, value, out),
        _ => return read_bytes(data_type, value, out),
    }
    Ok(())
}

/// An object with every field and no other, or as older documents have it the packed bytes in base64.
fn read_struct(data_type: &DataType, fields: &[Field], value: &Value, big: bool, out: &mut Vec<u8>) -> Result<()> {
    let size = data_type.item_size();
    let members = match value {
        Value::Object(members) => members,
        Value::String(text) => {
            let expected = format!("an object with every field, or {size} bytes in base64");
            let packed = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == size);
            let mut packed = packed.ok_or_else(|| wanted(data_type, value, &expected))?;
            data_type.reorder(&mut packed, big);
            let checked = FillValue::from_bytes(data_type, &packed);
            out.extend(checked.map_err(|error| Error::metadata("", error.to_string()))?.bytes);
            return Ok(());
        }
        _ => return Err(wanted(data_type, value, "an object with every field")),
    };
    for field in fields {
        let at = pointer(&field.name);
        let value = members.get(&field.name).ok_or_else(|| Error::metadata(at.as_str(), "missing; every field has a fill value"))?;
        read(&field.data_type, value, big, out).map_err(|error| error.within(&at))?;
    }
    // All fields are there and their names are unique, so more members are strangers.
    if members.len() > fields.len()
        && let Some(name) = members.keys().find(|name| fields.iter().all(|field| field.name != **name))
    {
        return Err(Error::metadata(pointer(name), "the data type has no field of this name"));
    }
    Ok(())
}

/// A string, of fixed or variable length.
fn read_text(data_type: &DataType, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    let text = value.as_str();
    let DataType::Utf32 { size_bytes } = data_type else {
        out.extend(text.ok_or_else(|| wanted(data_type, value, "a string"))?.as_bytes());
        return Ok(());
    };
    let expected = || wanted(data_type, value, &format!("a string of at most {} code points", size_bytes / 4));
    out.extend(to_utf32(text.ok_or_else(expected)?, *size_bytes).ok_or_else(expected)?);
    Ok(())
}

/// Bytes as a list of integers or in base64. Those of raw types have the length of the element; those that are filled up with zeros at most
/// that, and those of variable length any.
fn read_bytes(data_type: &DataType, value: &Value, out: &mut Vec<u8>) -> Result<()> {
    let (length, size) = match data_type {
        DataType::Bytes => (0..=usize::MAX, String::new()),
        DataType::NullTerminated { size_bytes } => (0..=*size_bytes, format!("at most {size_bytes} ")),
        _ => (data_type.item_size()..=data_type.item_size(), format!("{} ", data_type.item_size())),
    };
    let bytes = match value {
        Value::Array(items) => items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect(),
        Value::String(text) => STANDARD.decode(text).ok(),
        _ => None,
    };
    let bytes: Vec<u8> = bytes
        .filter(|bytes: &Vec<u8>| length.contains(&bytes.len()))
        .ok_or_else(|| wanted(data_type, value, &format!("a list of {size}integers from 0 to 255, or as many bytes in base64")))?;
    let padding = if data_type.is_variable_length() { 0 } else { data_type.item_size().saturating_sub(bytes.len()) };
    out.extend(bytes);
    out.extend(std::iter::repeat_n(0, padding));
    Ok(())
}

/// The JSON form of an element.
fn write(data_type: &DataType, bytes: &[u8]) -> Value {
    if let Some((format, parts)) = data_type.floats() {
        let part = |part| format.to_json(bits(part));
        return if parts == 1 { part(bytes) } else { bytes.chunks(format.size()).map(part).collect() };
    }
    if let Some((_, signed)) = data_type.integer() {
        let unused = 64 - 8 * bytes.len().clamp(1, 8);
        let number = bits(bytes);
        return if signed { Value::from((number << unused).cast_signed() >> unused) } else { Value::from(number) };
    }
    match data_type {
        DataType::Bool => Value::from(bytes.iter().any(|&byte| byte != 0)),
        DataType::String => Value::from(String::from_utf8_lossy(bytes)),
        DataType::Utf32 { .. } => Value::from(from_utf32(bytes).unwrap_or_default()),
        DataType::NullTerminated { .. } => Value::from(STANDARD.encode(unpadded(bytes))),
        DataType::Struct(fields) => {
            let (mut members, mut rest) = (Map::new(), bytes);
            for field in fields.iter() {
                let (own, after) = rest.split_at(field.data_type.item_size().min(rest.len()));
                members.insert(field.name.clone(), write(&field.data_type, own));
                rest = after;
            }
            Value::Object(members)
        }
        _ => Value::from(STANDARD.encode(bytes)),
    }
}

/// The two's complement of an integer in range, none for everything else (also for 1.0, which is not an integer in Zarr).
pub(super) fn integer(bits: u32, signed: bool, value: &Value) -> Option<u64> {
    let unused = 64 - bits;
    if signed {
        let number = value.as_i64()?;
        ((number << unused) >> unused == number).then_some(number.cast_unsigned())
    } else {
        value.as_u64().filter(|number| (number << unused) >> unused == *number)
    }
}

/// The range of an integer type, for messages.
fn range(bits: u32, signed: bool) -> String {
    let top = 1_i128 << bits;
    let (low, high) = if signed { (-top / 2, top / 2 - 1) } else { (0, top - 1) };
    format!("an integer from {low} to {high}, without fraction or exponent")
}

/// Text as code points of the machine's byte order, filled up with zeros; none where it is too long.
pub(super) fn to_utf32(text: &str, size_bytes: usize) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_ne_bytes()).take(size_bytes.saturating_add(1)).collect();
    (bytes.len() <= size_bytes).then(|| {
        bytes.resize(size_bytes, 0);
        bytes
    })
}

/// The inverse of [`to_utf32`]; none where there is anything but code points.
pub(super) fn from_utf32(bytes: &[u8]) -> Option<String> {
    let points = bytes.as_chunks::<4>().0.iter().map(|point| char::from_u32(u32::from_ne_bytes(*point)));
    let mut text: String = points.collect::<Option<_>>()?;
    text.truncate(text.trim_end_matches('\0').len());
    Some(text)
}

/// Bytes without the zeros at their end.
pub(super) fn unpadded(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &bytes[..len]
}

/// The low `size` bytes of `bits` in the machine's byte order.
pub(super) fn native(bits: u64, size: usize) -> Vec<u8> {
    let mut bytes = bits.to_le_bytes()[..size].to_vec();
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
    bytes
}

/// The inverse of [`native`].
pub(super) fn bits(native: &[u8]) -> u64 {
    let add = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
    if cfg!(target_endian = "big") { native.iter().fold(0, add) } else { native.iter().rev().fold(0, add) }
}
