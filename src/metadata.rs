//! `zarr.json`: the documents of arrays and groups, read strictly and written conservatively.
//!
//! Reading goes in two steps: a document becomes its members with everything checked that the format says (`spec/format.md`), and only
//! then are the codecs of an array built. Writing goes the other way, and ends with the checks of reading, so that whatever is written can be
//! read again.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::Serializer;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::json::{self, Bare, Members};

mod array;
mod attributes;
mod dialect;
mod document;
mod grid;
mod group;
mod layout;
mod staged;
pub(crate) mod v2;

pub use array::ArrayMetadata;
pub use attributes::Attributes;
use document::ArrayDocument;
pub use group::{Consolidated, GroupMetadata};
pub use layout::Layout;

pub(crate) use crate::store::DOCUMENT;

/// The document of a node.
#[derive(Clone, Debug)]
pub enum NodeMetadata {
    /// An array.
    Array(Box<ArrayMetadata>),
    /// A group.
    Group(Box<GroupMetadata>),
}

impl NodeMetadata {
    /// The version of the format that the document was read from: 2 or 3. It is written as Zarr v3.
    pub fn zarr_format(&self) -> u8 {
        match self {
            Self::Array(array) => array.zarr_format(),
            Self::Group(group) => group.zarr_format(),
        }
    }

    /// Parses a document. Errors carry a JSON pointer and no key. Bare `NaN`, `Infinity` and `-Infinity` in attributes become strings.
    ///
    /// # Errors
    /// [`Error::Metadata`] where the document breaks a rule of the format, [`Error::Unsupported`] where it is valid but needs something that
    /// this build does not have.
    pub fn from_bytes(document: &[u8]) -> Result<Self> {
        NodeDocument::from_members(Members::from_document(&quoted(document)?)?)?.build()
    }

    /// The document as it is stored: indented by two spaces.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the document would be too large or too deep to be read again.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Array(array) => array.to_bytes(),
            Self::Group(group) => group.to_bytes(),
        }
    }
}

/// The document with bare tokens in attributes, which Python's `json` module writes, as strings (FMT-3).
pub(crate) fn quoted(document: &[u8]) -> Result<Cow<'_, [u8]>> {
    json::quoted(document, Bare::InAttributes)
}

/// The document of a node with its members checked, but without codecs built.
#[derive(Clone, Debug, PartialEq)]
enum NodeDocument {
    Array(Box<ArrayDocument>),
    Group(Box<GroupMetadata>),
}

impl NodeDocument {
    /// Reads the members of a document.
    fn from_members(mut members: Members) -> Result<Self> {
        check_format(&members.require("zarr_format")?)?;
        match members.require("node_type")? {
            Value::String(kind) if kind == "array" => Ok(Self::Array(Box::new(ArrayDocument::from_members(members)?))),
            Value::String(kind) if kind == "group" => Ok(Self::Group(Box::new(GroupMetadata::from_members(members)?))),
            other => Err(Error::metadata("/node_type", format!("{}; expected \"array\" or \"group\"", json::brief(&other)))),
        }
    }

    /// Builds the codecs.
    fn build(self) -> Result<NodeMetadata> {
        Ok(match self {
            Self::Array(document) => NodeMetadata::Array(Box::new(ArrayMetadata::from_document(*document)?)),
            Self::Group(group) => NodeMetadata::Group(group),
        })
    }
}

/// `zarr_format` is the integer 3.
fn check_format(format: &Value) -> Result<()> {
    match format.as_u64() {
        Some(3) => Ok(()),
        Some(other) => Err(Error::unsupported(format!("zarr_format {other}; supported is 3"))),
        None => Err(Error::metadata("/zarr_format", format!("{}; expected the integer 3", json::brief(format)))),
    }
}

/// Members that no rule knows may stand only where a reader is told that it may ignore them.
fn check_extra(extra: &Members) -> Result<()> {
    let count = extra.iter().count();
    if count > json::MAX_UNKNOWN_MEMBERS {
        return Err(Error::metadata("", format!("{count} unknown members; at most {} are accepted", json::MAX_UNKNOWN_MEMBERS)));
    }
    for (name, value) in extra.iter() {
        let understood = json::member(value.get(), "must_understand");
        if !understood.is_ok_and(|value| value.is_some_and(|value| value.get() == "false")) {
            return Err(Error::metadata(
                json::pointer(name),
                "an unknown member; it would be ignored only if it were an object with \"must_understand\": false",
            ));
        }
    }
    Ok(())
}

/// A member that is about to be written.
enum Member<'a> {
    /// To be printed.
    Json(Value),
    /// Kept as it came.
    Raw(&'a RawValue),
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(value) => value.serialize(serializer),
            Self::Raw(raw) => raw.serialize(serializer),
        }
    }
}

/// An object of members in this order.
struct Object<'a>(Vec<(&'a str, Member<'a>)>);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, member)| (name, member)))
    }
}

impl Object<'_> {
    /// The text of the object, indented by two spaces.
    fn to_text(&self) -> Result<String> {
        let kept = |(_, member): &(&str, Member<'_>)| if let Member::Raw(raw) = member { raw.get().len() } else { 0 };
        // In one piece, since a large text that grows is there twice for a while.
        let mut text = Vec::with_capacity(self.0.iter().map(kept).sum::<usize>() + 2048);
        let printed = self.write_to(&mut text).map_err(|fault| Error::invalid(format!("metadata that cannot be printed: {fault}")));
        printed.and_then(|()| String::from_utf8(text).map_err(|_| Error::invalid("metadata that are not UTF-8")))
    }

    /// Writes the text of the object.
    fn write_to(&self, writer: &mut impl std::io::Write) -> std::io::Result<()> {
        Ok(serde_json::to_writer_pretty(writer, self)?)
    }

    /// Refuses a member that would be too large to be interpreted again: indented, it has more text than it was read from (FMT-19).
    fn check_members(&self) -> Result<()> {
        for (name, member) in &self.0 {
            let Member::Json(value) = member else { continue };
            let text = serde_json::to_string_pretty(value).map(|text| indent(&text, 1)).and_then(RawValue::from_string);
            let text = text.map_err(|fault| Error::invalid(format!("metadata that cannot be printed: {fault}")))?;
            json::strict_value(&text).map_err(|error| as_argument("metadata cannot be stored", error.within(&json::pointer(name))))?;
        }
        Ok(())
    }

    /// The object as a document, checked to be one that is read again.
    fn to_document(&self) -> Result<Vec<u8>> {
        self.check_members()?;
        let text = self.to_text()?;
        json::check_document(text.as_bytes()).map_err(|error| as_argument("metadata cannot be stored", error))?;
        Ok(text.into_bytes())
    }
}

/// Shifts JSON text to the right by so many levels. Line breaks of JSON are always between tokens, so no string changes.
fn indent(text: &str, levels: usize) -> String {
    text.replace('\n', &format!("\n{}", "  ".repeat(levels)))
}

/// An error in what a caller asked for, found by a rule about documents.
fn as_argument(what: &str, error: Error) -> Error {
    match error {
        Error::Metadata { pointer, what: fault, .. } if pointer.is_empty() => Error::invalid(format!("{what}: {fault}")),
        Error::Metadata { pointer, what: fault, .. } => Error::invalid(format!("{what}: at {pointer}: {fault}")),
        other => other,
    }
}

#[cfg(test)]
mod tests;
