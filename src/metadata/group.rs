//! The document of a group, and the documents of its descendants that it may carry along.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::v2::Copies;
use super::{Attributes, Member, NodeDocument, NodeMetadata, Object, check_extra};
use crate::error::{Error, Result};
use crate::json::{self, Members, Text};
use crate::store::Key;

/// The document of a group (Zarr v3 core specification, "Group metadata").
#[derive(Clone, Debug, Default)]
pub struct GroupMetadata {
    pub(crate) attributes: Attributes,
    /// Consolidated metadata as they came. They may be ignored, so they are looked into only when they are asked for.
    consolidated: Option<Text>,
    /// Members that we do not know and that may be ignored (`must_understand: false`), kept as they came.
    pub(crate) extra: Members,
    /// Whether the group was read from Zarr v2, and what it carries along there.
    v2: bool,
    v2_copies: Option<Copies>,
}

impl GroupMetadata {
    /// The document of a new group.
    pub fn new(attributes: Attributes) -> Self {
        Self { attributes, ..Self::default() }
    }

    /// Attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// The same group with other attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self
    }

    /// Bytes of text that the group keeps.
    pub(crate) fn text_bytes(&self) -> usize {
        self.attributes.as_json().len()
            + self.extra.text_bytes()
            + self.consolidated.as_ref().map_or(0, |raw| raw.get().len())
            + self.v2_copies.as_ref().map_or(0, Copies::len)
    }

    /// The version of the format that the group was read from: 2 or 3. What is written is Zarr v3.
    pub fn zarr_format(&self) -> u8 {
        if self.v2 { 2 } else { 3 }
    }

    pub(super) fn marked_v2(mut self) -> Self {
        self.v2 = true;
        self
    }

    pub(super) fn with_v2_copies(mut self, copies: Option<Copies>) -> Self {
        self.v2_copies = copies;
        self
    }

    /// Whether the group carries consolidated metadata.
    pub fn is_consolidated(&self) -> bool {
        self.consolidated.is_some() || self.v2_copies.is_some()
    }

    /// The documents of descendants that the group carries along; none if it carries none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when they are of another kind than `inline`, [`Error::Metadata`] when their list or one of its paths is
    /// malformed. The documents themselves are read one by one, by [`Consolidated::node`]; those of Zarr v2 (`.zmetadata`) are read here, and
    /// what this build does not have is left out of them.
    pub fn consolidated(&self) -> Result<Option<Consolidated>> {
        let Some(raw) = &self.consolidated else { return self.v2_copies.as_ref().map(Copies::read).transpose() };
        Consolidated::from_raw(raw).map(Some).map_err(|error| error.within("/consolidated_metadata"))
    }

    /// The same group with these consolidated metadata, or with none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when they cannot be printed.
    pub fn with_consolidated(mut self, consolidated: Option<&Consolidated>) -> Result<Self> {
        self.consolidated = consolidated.map(Consolidated::to_text).transpose()?;
        self.v2_copies = None;
        Ok(self)
    }

    /// Reads the members that are left after `zarr_format` and `node_type`.
    pub(super) fn from_members(mut members: Members) -> Result<Self> {
        let attributes = match members.take("attributes") {
            Some(raw) => Attributes::from_raw(raw).map_err(|error| error.within("/attributes"))?,
            None => Attributes::default(),
        };
        let consolidated = members.take("consolidated_metadata").filter(|raw| raw.get() != "null");
        if let Some(raw) = &consolidated {
            check_consolidated(raw).map_err(|error| error.within("/consolidated_metadata"))?;
        }
        check_extra(&members)?;
        Ok(Self { attributes, consolidated, extra: members, ..Self::default() })
    }

    /// The document as it is stored.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        self.to_object(self.consolidated.as_deref()).to_document()
    }

    /// Writes the text of the document.
    pub(super) fn write_to(&self, writer: &mut impl std::io::Write) -> std::io::Result<()> {
        self.to_object(self.consolidated.as_deref()).write_to(writer)
    }

    fn to_object<'a>(&'a self, consolidated: Option<&'a RawValue>) -> Object<'a> {
        let mut members = vec![("attributes", self.attributes.to_member()), ("zarr_format", Member::Json(json!(3)))];
        if let Some(raw) = consolidated {
            members.push(("consolidated_metadata", Member::Raw(raw)));
        }
        members.push(("node_type", Member::Json(json!("group"))));
        members.extend(self.extra.iter().map(|(name, raw)| (name, Member::Raw(raw))));
        Object(members)
    }
}

impl PartialEq for GroupMetadata {
    fn eq(&self, other: &Self) -> bool {
        let text = |group: &Self| group.consolidated.as_ref().map(|raw| raw.get().to_owned());
        self.attributes == other.attributes && self.extra == other.extra && text(self) == text(other)
    }
}

/// Consolidated metadata may be ignored, and a group opens only if they say so.
fn check_consolidated(raw: &RawValue) -> Result<()> {
    match json::member(raw.get(), "must_understand")? {
        Some(value) if value.get() == "false" => Ok(()),
        Some(other) => {
            Err(Error::metadata("/must_understand", format!("{}; expected false", other.get().chars().take(60).collect::<String>())))
        }
        None => Err(Error::metadata("/must_understand", "missing; expected false")),
    }
}

/// Documents of descendants, by path relative to the group that carries them (`consolidated_metadata` of kind `inline`).
///
/// They are a copy that was true when it was made; the documents in the descendants are what counts.
#[derive(Clone, Debug, Default)]
pub struct Consolidated {
    documents: BTreeMap<String, Text>,
}

impl Consolidated {
    /// Consolidated metadata of these nodes. What a group among them carries along itself is left out.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a path that is no relative key.
    pub fn from_nodes<'a>(nodes: impl IntoIterator<Item = (&'a str, &'a NodeMetadata)>) -> Result<Self> {
        let mut consolidated = Self::default();
        nodes.into_iter().try_for_each(|(path, node)| consolidated.insert(path, node))?;
        Ok(consolidated)
    }

    /// Sets the document of the node at `path`, without what a group carries along itself.
    pub(crate) fn insert(&mut self, path: &str, node: &NodeMetadata) -> Result<()> {
        let text = match node {
            NodeMetadata::Array(array) => array.to_text()?,
            NodeMetadata::Group(group) => group.to_object(None).to_text()?,
        };
        self.insert_text(path, text)
    }

    /// Sets the document of the node at `path` to text that is JSON, but means nothing to this build.
    pub(crate) fn insert_text(&mut self, path: &str, text: String) -> Result<()> {
        check_path(path).map_err(Error::invalid)?;
        self.documents.insert(path.to_owned(), Text::new(text)?);
        Ok(())
    }

    /// Removes the document of the node at `path` and of all nodes below it.
    pub(crate) fn remove_tree(&mut self, path: &str) {
        self.documents.retain(|known, _| known.strip_prefix(path).is_none_or(|rest| !(rest.is_empty() || rest.starts_with('/'))));
    }

    /// The paths, in the order of their bytes.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.documents.keys().map(String::as_str)
    }

    /// Whether the document of the node at `path` is among them.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.documents.contains_key(path)
    }

    /// The document of the node at `path`; none if it is not among them.
    ///
    /// # Errors
    /// As [`NodeMetadata::from_bytes`].
    pub fn node(&self, path: &str) -> Result<Option<NodeMetadata>> {
        let Some(raw) = self.documents.get(path) else { return Ok(None) };
        let node = Members::from_node(raw.get()).and_then(NodeDocument::from_members).and_then(NodeDocument::build);
        node.map(Some).map_err(|error| error.within(&format!("/consolidated_metadata/metadata{}", json::pointer(path))))
    }

    /// Reads the member of a group; pointers of errors are relative to it.
    fn from_raw(raw: &RawValue) -> Result<Self> {
        let missing = |pointer: &str| Error::metadata(pointer, "missing; this member is mandatory");
        match json::strict_value(json::member(raw.get(), "kind")?.ok_or_else(|| missing("/kind"))?)? {
            Value::String(kind) if kind == "inline" => {}
            other => return Err(Error::unsupported(format!("consolidated metadata of kind {}; supported is inline", json::brief(&other)))),
        }
        let listed = json::member(raw.get(), "metadata")?.ok_or_else(|| missing("/metadata"))?;
        let mut documents = BTreeMap::new();
        for (path, document) in Members::parse(listed.get()).map_err(|error| error.within("/metadata"))? {
            check_path(&path).map_err(|fault| Error::metadata(format!("/metadata{}", json::pointer(&path)), fault))?;
            documents.insert(path, document);
        }
        Ok(Self { documents })
    }

    /// The member of a group, indented as it stands there.
    fn to_text(&self) -> Result<Text> {
        let mut documents: Vec<_> = self.documents.iter().collect();
        // By depth, then by name, as other writers do.
        documents.sort_by_key(|(path, _)| path.matches('/').count());
        let mut text = String::from("{\n    \"kind\": \"inline\",\n    \"must_understand\": false,\n    \"metadata\": {");
        for (position, (path, document)) in documents.iter().enumerate() {
            text.push_str(if position == 0 { "\n      " } else { ",\n      " });
            text.push_str(&Value::from(path.as_str()).to_string());
            text.push_str(": ");
            // Line breaks of JSON are always between tokens, so no string changes.
            for (number, line) in document.get().split('\n').enumerate() {
                text.push_str(if number == 0 { "" } else { "\n      " });
                text.push_str(line);
            }
        }
        text.push_str(if documents.is_empty() { "}\n  }" } else { "\n    }\n  }" });
        Text::new(text)
    }
}

/// A path of consolidated metadata is a key below the group, so that it cannot leave it.
fn check_path(path: &str) -> Result<(), String> {
    match Key::new(path) {
        Ok(key) if key.is_root() => Err("an empty path; expected a path below the group".to_owned()),
        Ok(_) => Ok(()),
        Err(fault) => Err(fault.to_string()),
    }
}
