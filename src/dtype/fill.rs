//! Fill values: one element, bit-exact, in JSON and in memory.

use serde_json::{Number, Value};

use super::{DataType, Kind, float};
use crate::error::{Error, Result};
use crate::json::brief;

/// Size of the block that is repeated when a buffer is filled: it stays in the first-level cache.
const BLOCK_BYTES: usize = 4096;

/// The value of every element that was never written: one element in the machine's byte order, bit-exact.
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
    /// [`Error::InvalidArgument`] when the length is not that of one element, or a bool is neither 0 nor 1.
    pub fn from_bytes(data_type: &DataType, bytes: &[u8]) -> Result<Self> {
        if bytes.len() != data_type.item_size() && !data_type.is_variable_length() {
            return Err(Error::invalid(format!(
                "a fill value of {} bytes; an element of {data_type} has {}",
                bytes.len(),
                data_type.item_size()
            )));
        }
        if data_type.kind() == Kind::Bool && bytes[0] > 1 {
            return Err(Error::invalid(format!("fill value {} of a bool; accepted are 0 and 1", bytes[0])));
        }
        Ok(Self { bytes: bytes.into() })
    }

    /// One element in the machine's byte order.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads the `fill_value` member of an array document; pointers of errors are relative to it.
    pub(crate) fn from_json(data_type: &DataType, value: &Value) -> Result<Self> {
        let wanted = |expected: &str| Error::metadata("", format!("{} for {data_type}; expected {expected}", brief(value)));
        if value.is_null() {
            return Err(wanted("a value of the type: Zarr v3 knows no undefined fill value"));
        }
        let bytes = match data_type.kind() {
            Kind::Bool => vec![u8::from(value.as_bool().ok_or_else(|| wanted("true or false"))?)],
            Kind::Int(size) => native(integer(size, true, value).ok_or_else(|| wanted(&range(size, true)))?, size),
            Kind::UInt(size) => native(integer(size, false, value).ok_or_else(|| wanted(&range(size, false)))?, size),
            Kind::Float(size) => native(float::from_json(size, value)?, size),
            Kind::Complex(size) => match value.as_array().map(Vec::as_slice) {
                Some([re, im]) => {
                    let mut bytes = native(float::from_json(size, re).map_err(|error| error.within("/0"))?, size);
                    bytes.extend(native(float::from_json(size, im).map_err(|error| error.within("/1"))?, size));
                    bytes
                }
                _ => return Err(wanted("a list of two numbers, the real and the imaginary part")),
            },
            Kind::Raw(size) => raw_bytes(value)
                .filter(|bytes| bytes.len() == size)
                .ok_or_else(|| wanted(&format!("a list of {size} integers from 0 to 255, or as many bytes in base64")))?,
        };
        Ok(Self { bytes: bytes.into() })
    }

    /// The `fill_value` member of an array document, in a form that gives the same bits to every reader.
    pub(crate) fn to_json(&self, data_type: &DataType) -> Value {
        debug_assert_eq!(self.bytes.len(), data_type.item_size(), "a fill value of another data type");
        match data_type.kind() {
            Kind::Bool => Value::from(self.bytes.iter().any(|&byte| byte != 0)),
            Kind::Int(size) => {
                let unused = 64 - 8 * size;
                Value::from((bits(&self.bytes) << unused).cast_signed() >> unused)
            }
            Kind::UInt(_) => Value::Number(Number::from(bits(&self.bytes))),
            Kind::Float(size) => float::to_json(size, bits(&self.bytes)),
            Kind::Complex(size) => self.bytes.chunks(size).map(|part| float::to_json(size, bits(part))).collect(),
            Kind::Raw(_) => Value::from(to_base64(&self.bytes)),
        }
    }

    /// Writes the fill value to every element of `target`, whose length is a multiple of the element size.
    pub(crate) fn fill(&self, target: &mut [u8]) {
        let item = self.bytes.len();
        debug_assert!(target.len().is_multiple_of(item), "whole elements");
        if self.bytes.iter().all(|byte| *byte == self.bytes[0]) {
            return target.fill(self.bytes[0]);
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
        debug_assert!(bytes.len().is_multiple_of(item), "whole elements");
        // Where the first element is the fill value and each byte equals the one an element before it, every element is the fill value.
        bytes.is_empty() || (bytes.starts_with(&self.bytes) && bytes[item..] == bytes[..bytes.len() - item])
    }
}

/// The two's complement of an integer in range, none for everything else (also for 1.0, which is not an integer in Zarr).
fn integer(size: usize, signed: bool, value: &Value) -> Option<u64> {
    let unused = 64 - 8 * size;
    if signed {
        let number = value.as_i64()?;
        ((number << unused) >> unused == number).then_some(number.cast_unsigned())
    } else {
        value.as_u64().filter(|number| (number << unused) >> unused == *number)
    }
}

/// The range of an integer type, for messages.
fn range(size: usize, signed: bool) -> String {
    let top = 1_i128 << (8 * size);
    let (low, high) = if signed { (-top / 2, top / 2 - 1) } else { (0, top - 1) };
    format!("an integer from {low} to {high}, without fraction or exponent")
}

/// The bytes of a raw element: a list as the specification has it, or base64 as zarr-python and TensorStore write it.
fn raw_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect(),
        Value::String(text) => from_base64(text),
        _ => None,
    }
}

/// Decodes padded base64 of the standard alphabet (RFC 4648, section 4); none for everything else, also for stray bits at the end.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let body = digits.strip_suffix(b"==").or_else(|| digits.strip_suffix(b"=")).unwrap_or(digits);
    if !digits.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3 + 2);
    let (mut pending, mut pending_bits) = (0_u32, 0_u32);
    for digit in body {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        pending = pending << 6 | u32::from(value);
        pending_bits += 6;
        if pending_bits >= 8 {
            pending_bits -= 8;
            bytes.push(u8::try_from(pending >> pending_bits).ok()?);
            pending &= (1 << pending_bits) - 1;
        }
    }
    (pending == 0).then_some(bytes)
}

/// The inverse of [`from_base64`].
fn to_base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            text.push(if digit <= group.len() { char::from(DIGITS[bits >> (18 - 6 * digit) & 63]) } else { '=' });
        }
    }
    text
}

/// The low `size` bytes of `bits` in the machine's byte order.
fn native(bits: u64, size: usize) -> Vec<u8> {
    let mut bytes = bits.to_le_bytes()[..size].to_vec();
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
    bytes
}

/// The inverse of [`native`].
fn bits(native: &[u8]) -> u64 {
    let add = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
    if cfg!(target_endian = "big") { native.iter().fold(0, add) } else { native.iter().rev().fold(0, add) }
}
