//! One element as text.

use serde_json::Value;

use super::DataType;
use super::calendar;
use super::fill::{bits, from_utf32, unpadded};

impl DataType {
    /// An element as a person reads it, on one line: numbers in the fewest digits that give the same bits, points in time in ISO 8601 as far as
    /// the unit goes, time spans as counts, text as a JSON string, opaque bytes as a list, structs as JSON.
    ///
    /// `bytes` are the element in the machine's byte order; of a type of variable length they are the string itself.
    pub fn element_text(&self, bytes: &[u8]) -> String {
        if let Some((format, parts)) = self.floats() {
            let part = |part: &[u8]| format.to_text(bits(part));
            let parts: Vec<_> = bytes.chunks(format.size()).take(parts).map(part).collect();
            return match &parts[..] {
                [number] => number.clone(),
                _ => format!("[{}]", parts.iter().map(|text| quoted_name(text)).collect::<Vec<_>>().join(",")),
            };
        }
        match self {
            Self::DateTime64 { unit, scale } => calendar::to_text(bits(bytes).cast_signed(), *unit, *scale),
            Self::TimeDelta64 { .. } if bits(bytes).cast_signed() == calendar::NOT_A_TIME => "NaT".to_owned(),
            Self::Bool => if bytes.iter().any(|&byte| byte != 0) { "true" } else { "false" }.to_owned(),
            Self::String => quoted(&String::from_utf8_lossy(bytes)),
            Self::Utf32 { .. } => match from_utf32(bytes) {
                Some(text) => quoted(&text),
                None => Value::from(bytes).to_string(),
            },
            Self::NullTerminated { .. } => text_or_list(unpadded(bytes)),
            Self::Bytes => text_or_list(bytes),
            Self::Struct(fields) => {
                let (mut parts, mut rest) = (Vec::new(), bytes);
                for field in fields.iter() {
                    let (own, after) = rest.split_at(field.data_type.item_size().min(rest.len()));
                    parts.push(format!("{}:{}", quoted(&field.name), field.data_type.member_text(own)));
                    rest = after;
                }
                format!("{{{}}}", parts.join(","))
            }
            _ => match self.integer() {
                Some((_, signed)) => integer_text(bytes, signed),
                None => Value::from(bytes).to_string(),
            },
        }
    }

    /// An element within the JSON of a struct.
    fn member_text(&self, bytes: &[u8]) -> String {
        let text = self.element_text(bytes);
        match self {
            Self::DateTime64 { .. } | Self::TimeDelta64 { .. } => {
                if text.parse::<i64>().is_ok() && matches!(self, Self::TimeDelta64 { .. }) { text } else { quoted(&text) }
            }
            _ if self.floats().is_some_and(|(_, parts)| parts == 1) => quoted_name(&text),
            _ => text,
        }
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A number as it is, a name of what is none as a JSON string.
fn quoted_name(text: &str) -> String {
    if text.ends_with(|c: char| c.is_ascii_digit()) && !text.starts_with("0x") { text.to_owned() } else { quoted(text) }
}

fn integer_text(bytes: &[u8], signed: bool) -> String {
    let unused = 64 - 8 * bytes.len().clamp(1, 8);
    let number = bits(bytes) << unused;
    if signed { (number.cast_signed() >> unused).to_string() } else { (number >> unused).to_string() }
}

/// Bytes as a JSON string where they are text, otherwise as a list.
fn text_or_list(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => quoted(text),
        Err(_) => Value::from(bytes).to_string(),
    }
}
