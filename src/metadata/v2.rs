//! Zarr v2: `.zarray`, `.zgroup`, `.zattrs` and `.zmetadata`, read as the documents of Zarr v3 that say the same, never written.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use super::{ArrayMetadata, Attributes, Consolidated, GroupMetadata, NodeMetadata};
use crate::error::{Error, Result};
use crate::json::{self, Bare, MAX_DOCUMENT_BYTES, Members, Text};
use crate::store::{Key, Store, read_to_vec};
pub(crate) use crate::store::{V2_ARRAY as ARRAY, V2_GROUP as GROUP};

mod array;
mod codecs;
mod consolidated;
mod mask;
mod names;
#[cfg(test)]
mod tests;

/// The attributes of a node.
pub(crate) const ATTRIBUTES: &str = ".zattrs";

/// Copies of the documents below a group.
pub(crate) const CONSOLIDATED: &str = ".zmetadata";

/// The documents of Zarr v2 that a node may have, those first that make it a node.
pub(crate) const DOCUMENTS: [&str; 4] = [ARRAY, GROUP, ATTRIBUTES, CONSOLIDATED];

/// That an array was read from Zarr v2, and what differs in Zarr v3.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The attributes without those that Zarr v3 has a member for.
    pub(super) v3_attributes: Option<Attributes>,
    /// What Zarr v3 cannot say of the stored chunks.
    pub(super) obstacle: Option<String>,
}

/// The copies that a group of Zarr v2 carries: a whole document, or one that is too large.
#[derive(Clone, Debug)]
pub(super) enum Copies {
    Document(Arc<[u8]>),
    TooLarge(u64),
}

impl Copies {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Document(document) => document.len(),
            Self::TooLarge(_) => 0,
        }
    }

    pub(super) fn read(&self) -> Result<Consolidated> {
        match self {
            Self::Document(document) => consolidated::read(document),
            Self::TooLarge(bytes) => {
                Err(Error::metadata("", format!("a document of {bytes} bytes; at most {MAX_DOCUMENT_BYTES} are accepted")))
            }
        }
        .map_err(|error| error.at(CONSOLIDATED))
    }
}

impl ArrayMetadata {
    /// An array of Zarr v2 from its `.zarray` and, if it has one, its `.zattrs`. Errors carry a JSON pointer and no key.
    ///
    /// # Errors
    /// As [`NodeMetadata::from_bytes`].
    pub fn from_v2(document: &[u8], attributes: Option<&[u8]>) -> Result<Self> {
        let attributes = attributes.map(text_of).transpose()?.map(attributes_from).transpose()?.unwrap_or_default();
        array::from_members(Members::from_document(&quoted(document)?)?, attributes)
    }
}

impl GroupMetadata {
    /// A group of Zarr v2 from its `.zgroup` and, if it has them, its `.zattrs` and `.zmetadata`. Errors carry a JSON pointer and no key.
    ///
    /// # Errors
    /// As [`NodeMetadata::from_bytes`]. The last document is not looked into before [`GroupMetadata::consolidated`] is asked.
    pub fn from_v2(document: &[u8], attributes: Option<&[u8]>, consolidated: Option<&[u8]>) -> Result<Self> {
        let attributes = attributes.map(text_of).transpose()?.map(attributes_from).transpose()?.unwrap_or_default();
        let group = group_from(&quoted(document)?, attributes)?;
        Ok(group.with_v2_copies(consolidated.map(|document| Copies::Document(document.into()))))
    }
}

/// The node of Zarr v2 at `prefix`, and its document: `.zarray`, or where there is none `.zgroup`. None if there is neither.
pub(crate) fn read_node(store: &dyn Store, prefix: &Key) -> Result<Option<(NodeMetadata, Vec<u8>)>> {
    for name in [ARRAY, GROUP] {
        let key = prefix.join(name)?;
        let Some(document) = read_to_vec(store, &key, MAX_DOCUMENT_BYTES)? else { continue };
        let attributes = read_attributes(store, prefix)?;
        let node = from_text(name, &document, attributes).map_err(|error| error.at(&store.locate(&key)))?;
        let node = match node {
            NodeMetadata::Group(group) => NodeMetadata::Group(Box::new(group.with_v2_copies(read_copies(store, prefix)?))),
            array @ NodeMetadata::Array(_) => array,
        };
        return Ok(Some((node, document)));
    }
    Ok(None)
}

/// Whether `prefix` holds the document of an array or group of Zarr v2; it is not looked into.
pub(crate) fn is_node(store: &dyn Store, prefix: &Key) -> Result<bool> {
    Ok(store.size(&prefix.join(ARRAY)?)?.is_some() || store.size(&prefix.join(GROUP)?)?.is_some())
}

fn read_attributes(store: &dyn Store, prefix: &Key) -> Result<Attributes> {
    let key = prefix.join(ATTRIBUTES)?;
    let Some(document) = read_to_vec(store, &key, MAX_DOCUMENT_BYTES)? else { return Ok(Attributes::default()) };
    text_of(&document).and_then(attributes_from).map_err(|error| error.at(&store.locate(&key)))
}

/// They may be ignored, and so a document that is too large does not keep the group from being opened.
fn read_copies(store: &dyn Store, prefix: &Key) -> Result<Option<Copies>> {
    let key = prefix.join(CONSOLIDATED)?;
    match store.size(&key)? {
        None => Ok(None),
        Some(bytes) if bytes > MAX_DOCUMENT_BYTES => Ok(Some(Copies::TooLarge(bytes))),
        Some(_) => Ok(read_to_vec(store, &key, MAX_DOCUMENT_BYTES)?.map(|document| Copies::Document(document.into()))),
    }
}

/// The node of a document with this name.
fn from_text(name: &str, document: &[u8], attributes: Attributes) -> Result<NodeMetadata> {
    let document = quoted(document)?;
    Ok(if name == ARRAY {
        NodeMetadata::Array(Box::new(array::from_members(Members::from_document(&document)?, attributes)?))
    } else {
        NodeMetadata::Group(Box::new(group_from(&document, attributes)?))
    })
}

/// The document with bare tokens as strings, wherever they stand (FMT-V2-2).
fn quoted(document: &[u8]) -> Result<Cow<'_, [u8]>> {
    json::quoted(document, Bare::Anywhere)
}

fn group_from(document: &[u8], attributes: Attributes) -> Result<GroupMetadata> {
    let mut members = Members::from_document(document)?;
    check_format(&members.require("zarr_format")?)?;
    Ok(GroupMetadata::new(attributes).marked_v2())
}

/// A document that may hold bare tokens as JSON text.
fn text_of(document: &[u8]) -> Result<String> {
    let document = quoted(document)?;
    json::check_document(&document)?;
    match document {
        Cow::Borrowed(bytes) => String::from_utf8(bytes.to_vec()),
        Cow::Owned(bytes) => String::from_utf8(bytes),
    }
    .map_err(|fault| Error::metadata("", format!("not UTF-8: {fault}")))
}

fn attributes_from(text: String) -> Result<Attributes> {
    Attributes::from_raw(Text::new(text.trim_ascii().to_owned())?)
}

/// `zarr_format` is the integer 2.
fn check_format(format: &Value) -> Result<()> {
    match format.as_u64() {
        Some(2) => Ok(()),
        Some(other) => Err(Error::unsupported(format!("zarr_format {other} in a document of Zarr v2; supported is 2"))),
        None => Err(Error::metadata("/zarr_format", format!("{}; expected the integer 2", json::brief(format)))),
    }
}
