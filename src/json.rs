//! Strict JSON: what a metadata document may be before its members are looked at.
//!
//! Zarr metadata comes from anywhere, so a document is refused when it repeats a member where that could change its meaning, nests too
//! deeply, has bytes before or after its object, or is too large (`spec/format.md`, FMT-1 to FMT-9). What is not interpreted here
//! (attributes, unknown members) is kept as the text it came as, never reprinted.

use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Result};

mod scan;
mod tokens;

pub(crate) use scan::{check_unique, member};
pub(crate) use tokens::{Bare, quoted};

/// The largest metadata document that is read, in bytes. Consolidated metadata is what makes documents large.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 16 << 20;

/// The largest member that is interpreted, in bytes. Parsed JSON takes up to forty times its text in memory; this bounds it.
const MAX_MEMBER_BYTES: usize = 1 << 20;

/// The most lists and objects in such a member: one of them takes up to a KiB in memory, however short it is.
const MAX_CONTAINERS: usize = 1 << 16;

/// The deepest nesting, that of `serde_json`.
const MAX_DEPTH: usize = 127;

/// The most members that the object of a document has itself, known or not.
const MAX_DOCUMENT_MEMBERS: usize = 1024;

/// The most of them that are unknown. The room between the two is for known ones that are written though they were not read.
pub(crate) const MAX_UNKNOWN_MEMBERS: usize = 1000;

/// Text that is valid JSON. A clone is the same text in memory.
#[derive(Clone, Debug)]
pub(crate) struct Text(Arc<Box<RawValue>>);

impl Text {
    /// Checks that `text` is JSON.
    pub(crate) fn new(text: String) -> Result<Self> {
        RawValue::from_string(text).map(Self::from).map_err(|fault| Error::invalid(format!("metadata that cannot be printed: {fault}")))
    }
}

impl From<Box<RawValue>> for Text {
    fn from(raw: Box<RawValue>) -> Self {
        Self(Arc::new(raw))
    }
}

impl Deref for Text {
    type Target = RawValue;

    fn deref(&self) -> &RawValue {
        &self.0
    }
}

/// The members of an object in their order, their values as text. No name occurs twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct Members(Vec<(String, Text)>);

impl Members {
    /// The members of a whole document.
    pub(crate) fn from_document(document: &[u8]) -> Result<Self> {
        Self::from_node(document_text(document)?)
    }

    /// The members of the document `text`. Those that are objects repeat no member of their own (FMT-5).
    pub(crate) fn from_node(text: &str) -> Result<Self> {
        Self::read(text, MAX_DOCUMENT_MEMBERS, |name, value| {
            if value.starts_with('{') { check_unique(value).map_err(|error| error.within(&pointer(name))) } else { Ok(()) }
        })
    }

    /// The members of the object `text`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Self::read(text, usize::MAX, |_, _| Ok(()))
    }

    fn read(text: &str, most: usize, mut check: impl FnMut(&str, &str) -> Result<()>) -> Result<Self> {
        let mut failure = None;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let seed = MembersSeed { most, check: &mut check, failure: &mut failure };
        match deserializer.deserialize_map(seed).and_then(|members| deserializer.end().map(|()| members)) {
            Ok(members) => Ok(Self(members)),
            Err(fault) => Err(failure.unwrap_or_else(|| syntax_error("", text, &fault))),
        }
    }

    /// Takes a member out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Text> {
        let position = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.remove(position).1)
    }

    /// Takes a member out and interprets it.
    pub(crate) fn take_value(&mut self, name: &str) -> Result<Option<Value>> {
        self.take(name).map(|raw| strict_value(&raw).map_err(|error| error.within(&pointer(name)))).transpose()
    }

    /// Takes out a member that has to be there, and interprets it.
    pub(crate) fn require(&mut self, name: &str) -> Result<Value> {
        self.take_value(name)?.ok_or_else(|| Error::metadata(pointer(name), "missing; this member is mandatory"))
    }

    /// Bytes of their text.
    pub(crate) fn text_bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.get().len()).sum()
    }

    /// The members in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }
}

/// Refuses what [`Members::from_document`] would refuse, and keeps nothing.
pub(crate) fn check_document(document: &[u8]) -> Result<()> {
    let text = document_text(document)?;
    check_unique(text)
}

/// The text of a document (FMT-1, FMT-2, FMT-4).
fn document_text(document: &[u8]) -> Result<&str> {
    if document.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(Error::metadata("", format!("a document of {} bytes; at most {MAX_DOCUMENT_BYTES} are accepted", document.len())));
    }
    if document.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::metadata("", "a byte order mark before the document; JSON starts with its object"));
    }
    let text =
        std::str::from_utf8(document).map_err(|fault| Error::metadata("", format!("not UTF-8 after byte {}", fault.valid_up_to())))?;
    check_depth(text)?;
    Ok(text)
}

impl IntoIterator for Members {
    type Item = (String, Text);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        self.iter().map(|(name, raw)| (name, raw.get())).eq(other.iter().map(|(name, raw)| (name, raw.get())))
    }
}

/// Reads an object without looking into its values; leaves the failure that is not one of syntax.
struct MembersSeed<'a, F> {
    most: usize,
    check: &'a mut F,
    failure: &'a mut Option<Error>,
}

impl<'de, F: FnMut(&str, &str) -> Result<()>> Visitor<'de> for MembersSeed<'_, F> {
    type Value = Vec<(String, Text)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = if seen.insert(name.clone()) {
                map.next_value()?
            } else {
                *self.failure = Some(scan::duplicate(&name));
                return Err(A::Error::custom("duplicate member"));
            };
            let checked = if members.len() < self.most {
                (self.check)(&name, value.get())
            } else {
                Err(Error::metadata("", format!("more than {} members", self.most)))
            };
            if let Err(error) = checked {
                *self.failure = Some(error);
                return Err(A::Error::custom("refused"));
            }
            members.push((name, Text::from(value.to_owned())));
        }
        Ok(members)
    }
}

/// Interprets a value in which no object, at any depth, may repeat a member.
pub(crate) fn strict_value(raw: &RawValue) -> Result<Value> {
    let text = raw.get();
    if text.len() > MAX_MEMBER_BYTES {
        return Err(Error::metadata("", format!("a value of {} bytes; at most {MAX_MEMBER_BYTES} are accepted here", text.len())));
    }
    let (mut path, mut duplicate, mut containers) = (String::new(), false, 0);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = ValueSeed { path: &mut path, duplicate: &mut duplicate, containers: &mut containers };
    match seed.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value)) {
        Ok(value) => Ok(value),
        Err(_) if duplicate => Err(Error::metadata(path, "the member occurs twice; names must be unique")),
        Err(_) if containers > MAX_CONTAINERS => {
            Err(Error::metadata("", format!("more than {MAX_CONTAINERS} lists and objects; so many are accepted in one member")))
        }
        Err(fault) => Err(syntax_error(&path, text, &fault)),
    }
}

/// Reads a value; after an error, `path` is the pointer to where it occurred.
struct ValueSeed<'a> {
    path: &'a mut String,
    duplicate: &'a mut bool,
    containers: &'a mut usize,
}

impl ValueSeed<'_> {
    /// The seed of what is in this value.
    fn below(&mut self) -> ValueSeed<'_> {
        ValueSeed { path: &mut *self.path, duplicate: &mut *self.duplicate, containers: &mut *self.containers }
    }

    /// Counts a list or an object.
    fn count<E: serde::de::Error>(&mut self) -> Result<(), E> {
        *self.containers += 1;
        if *self.containers > MAX_CONTAINERS { Err(E::custom("too many lists and objects")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        self.count()?;
        let (mut items, outer) = (Vec::new(), self.path.len());
        loop {
            self.path.push_str(&format!("/{}", items.len()));
            match seq.next_element_seed(self.below())? {
                Some(item) => items.push(item),
                None => break,
            }
            self.path.truncate(outer);
        }
        self.path.truncate(outer);
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        self.count()?;
        let (mut members, outer) = (Map::new(), self.path.len());
        while let Some(name) = map.next_key::<String>()? {
            self.path.push_str(&pointer(&name));
            if members.contains_key(&name) {
                *self.duplicate = true;
                return Err(A::Error::custom("duplicate member"));
            }
            members.insert(name, map.next_value_seed(self.below())?);
            self.path.truncate(outer);
        }
        Ok(Value::Object(members))
    }
}

/// Refuses text that nests deeper than [`MAX_DEPTH`], also where its values are skipped rather than parsed.
fn check_depth(text: &str) -> Result<()> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Error::metadata("", format!("nested deeper than {MAX_DEPTH} levels")));
        }
    }
    Ok(())
}

/// A metadata error for text that is no JSON, with advice for the tokens that Python's `json` module writes.
fn syntax_error(path: &str, text: &str, fault: &serde_json::Error) -> Error {
    let line = text.lines().nth(fault.line().saturating_sub(1)).unwrap_or_default().as_bytes();
    let bare = ["NaN", "Infinity"].into_iter().find(|token| {
        (fault.column().saturating_sub(2)..=fault.column()).any(|at| line.get(at..).is_some_and(|rest| rest.starts_with(token.as_bytes())))
    });
    let advice = bare.map_or(String::new(), |token| format!("; JSON has no bare {token}, a string is what Zarr uses"));
    Error::metadata(path, format!("{fault}{advice}"))
}

/// The JSON pointer (RFC 6901) from an object to its member `name`.
pub(crate) fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A value as it is shown in messages: not longer than a line.
pub(crate) fn brief(value: &Value) -> String {
    const LIMIT: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// A list of non-negative integers below 2^64.
pub(crate) fn u64_list(value: &Value) -> Result<Vec<u64>> {
    let items = value.as_array().ok_or_else(|| Error::metadata("", format!("{}; expected a list of integers", brief(value))))?;
    let item = |(position, item): (usize, &Value)| {
        item.as_u64()
            .ok_or_else(|| Error::metadata(format!("/{position}"), format!("{}; expected an integer from 0 to 2^64 - 1", brief(item))))
    };
    items.iter().enumerate().map(item).collect()
}

/// An extension point of the format: `{"name": ..., "configuration": {...}}` or the short-hand `"name"`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NamedConfig {
    pub(crate) name: String,
    pub(crate) configuration: Map<String, Value>,
}

impl NamedConfig {
    /// A name with its configuration.
    pub(crate) fn new(name: &str, configuration: Map<String, Value>) -> Self {
        Self { name: name.to_owned(), configuration }
    }

    /// Reads an extension point at which `must_understand` may be true or false (a codec). Unknown codecs are refused either way, since
    /// bytes cannot be understood without them. Pointers of errors are relative to `value`.
    pub(crate) fn from_json(value: &Value) -> Result<Self> {
        Self::read(value, true)
    }

    /// Reads an extension point that can never be ignored: a data type, chunk grid or chunk key encoding.
    pub(crate) fn from_json_mandatory(value: &Value) -> Result<Self> {
        Self::read(value, false)
    }

    fn read(value: &Value, may_be_ignored: bool) -> Result<Self> {
        let members = match value {
            Value::String(name) if !name.is_empty() => return Ok(Self::new(name, Map::new())),
            Value::Object(members) => members,
            _ => return Err(Error::metadata("", format!("{}; expected a name or an object with a name", brief(value)))),
        };
        let mut out = Self::new("", Map::new());
        for (member, value) in members {
            match (member.as_str(), value) {
                ("name", Value::String(name)) if !name.is_empty() => name.clone_into(&mut out.name),
                ("name", _) => return Err(Error::metadata("/name", format!("{}; expected a non-empty string", brief(value)))),
                ("configuration", Value::Object(configuration)) => configuration.clone_into(&mut out.configuration),
                ("configuration", _) => {
                    return Err(Error::metadata("/configuration", format!("{}; expected an object", brief(value))));
                }
                ("must_understand", Value::Bool(true)) => {}
                ("must_understand", Value::Bool(false)) if may_be_ignored => {}
                ("must_understand", Value::Bool(false)) => {
                    return Err(Error::metadata("/must_understand", "false; this extension point can never be ignored"));
                }
                ("must_understand", _) => {
                    return Err(Error::metadata("/must_understand", format!("{}; expected true or false", brief(value))));
                }
                _ => {
                    return Err(Error::metadata(
                        pointer(member),
                        "an unknown member; accepted are name, configuration and must_understand",
                    ));
                }
            }
        }
        if out.name.is_empty() {
            return Err(Error::metadata("/name", "missing; this member is mandatory"));
        }
        Ok(out)
    }

    /// The object form, which every reader accepts. An empty configuration is left out, as zarr-python does, except with codecs of
    /// numcodecs, where zarr-python insists on it.
    pub(crate) fn to_json(&self) -> Value {
        let mut members = Map::new();
        members.insert("name".to_owned(), Value::from(self.name.as_str()));
        if !self.configuration.is_empty() || self.name.starts_with("numcodecs.") {
            members.insert("configuration".to_owned(), Value::Object(self.configuration.clone()));
        }
        Value::Object(members)
    }

    /// Refuses members of the configuration other than `known`.
    pub(crate) fn only(&self, known: &[&str]) -> Result<()> {
        match self.configuration.keys().find(|member| !known.contains(&member.as_str())) {
            None => Ok(()),
            Some(member) => Err(Error::metadata(
                format!("/configuration{}", pointer(member)),
                format!("an unknown member of {:?}; accepted are {known:?}", self.name),
            )),
        }
    }
}

#[cfg(test)]
mod tests;
