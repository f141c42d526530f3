//! Attributes of a node: an object that belongs to the user, kept as the text it came as.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::json::{self, Members, Text};

/// Attributes of a node, kept as the text they came as, so that numbers of any size and the order of members survive.
#[derive(Clone, Debug, Default)]
pub struct Attributes(Option<Text>);

impl Attributes {
    /// Attributes from a JSON object.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the object cannot be printed.
    pub fn from_map(map: Map<String, Value>) -> Result<Self> {
        let text = serde_json::to_string_pretty(&Value::Object(map)).map(|text| super::indent(&text, 1));
        let raw = text.and_then(RawValue::from_string);
        raw.map(|raw| Self(Some(raw.into()))).map_err(|fault| Error::invalid(format!("attributes that cannot be printed: {fault}")))
    }

    /// Attributes as they stand in a document, which has been checked for repeated members; pointers of errors are relative to them.
    pub(super) fn from_raw(raw: Text) -> Result<Self> {
        if !raw.get().starts_with('{') {
            return Err(Error::metadata("", format!("{}; expected an object", raw.get().chars().take(60).collect::<String>())));
        }
        Ok(Self(Some(raw)))
    }

    /// The attributes as a JSON object. Integers beyond 64 bits become floating point here, not in storage.
    ///
    /// # Errors
    /// [`Error::Metadata`] for what no `Value` can hold: a number beyond float64, half of a surrogate pair.
    pub fn to_map(&self) -> Result<Map<String, Value>> {
        let Some(raw) = &self.0 else { return Ok(Map::new()) };
        let mut map = Map::new();
        for (name, value) in Members::parse(raw.get()).map_err(|error| error.within("/attributes"))? {
            let value = serde_json::from_str(value.get())
                .map_err(|fault| Error::metadata(format!("/attributes{}", json::pointer(&name)), fault.to_string()))?;
            map.insert(name, value);
        }
        Ok(map)
    }

    /// The same attributes with this value for one of them, or without it; all others are kept as they came.
    pub(super) fn with_member(&self, name: &str, value: Option<&Value>) -> Result<Self> {
        let mut members = Members::parse(self.as_json())?;
        if members.take(name).is_none() && value.is_none() {
            return Ok(self.clone());
        }
        let mut lines: Vec<String> = members.iter().map(|(name, value)| format!("\n    {}: {}", Value::from(name), value.get())).collect();
        lines.extend(value.map(|value| format!("\n    {}: {value}", Value::from(name))));
        let text = if lines.is_empty() { String::from("{}") } else { format!("{{{}\n  }}", lines.join(",")) };
        Text::new(text).map(|text| Self(Some(text)))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|raw| raw.get().trim_matches(['{', '}']).trim_ascii().is_empty())
    }

    /// The text of the object.
    pub fn as_json(&self) -> &str {
        self.0.as_ref().map_or("{}", |raw| raw.get())
    }

    /// As a member of a document.
    pub(super) fn to_member(&self) -> super::Member<'_> {
        match &self.0 {
            Some(raw) => super::Member::Raw(raw),
            None => super::Member::Json(Value::Object(Map::new())),
        }
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}
