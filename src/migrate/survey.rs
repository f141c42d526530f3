//! What is there: every node below the root, what it says as Zarr v3, and what stands in the way of that.

use crate::array::{check_node_name, child_names, read_v3_node, unsupported_document};
use crate::error::{Error, Result};
use crate::group::MAX_GROUP_DEPTH;
use crate::metadata::{Consolidated, GroupMetadata, NodeMetadata, v2};
use crate::publish::published;
use crate::store::{EntryKind, Key, Store};

/// What stands at the name `zarr.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// Nothing.
    Nothing,
    /// What a migration would write; of a group, apart from its copies of other documents.
    Ours,
    /// Something else, or something that there are no documents of Zarr v2 for.
    Other,
}

/// A node.
pub(super) struct Member {
    pub(super) path: String,
    pub(super) key: Key,
    pub(super) node_type: &'static str,
    /// The document of Zarr v3 that counts: the stored one, or else the one to be written, without copies of others.
    document: Document,
    pub(super) present: Present,
    /// Whether a group carries consolidated metadata in Zarr v2.
    consolidated: bool,
    /// The documents of Zarr v2.
    pub(super) v2_names: Vec<&'static str>,
    /// Why it cannot be Zarr v3.
    pub(super) obstacle: Option<String>,
}

enum Document {
    Node(NodeMetadata),
    /// The text of one that this build does not understand.
    Text(String),
    None,
}

/// All nodes, parents first.
pub(super) struct Survey {
    pub(super) members: Vec<Member>,
}

impl Survey {
    /// Looks at all nodes of a store; none where there is no node at the root.
    pub(super) fn new(store: &dyn Store) -> Result<Option<Self>> {
        let mut survey = Self { members: Vec::new() };
        survey.add(store, Key::root(), 0)?;
        Ok(if survey.members.is_empty() { None } else { Some(survey) })
    }

    fn add(&mut self, store: &dyn Store, key: Key, depth: usize) -> Result<()> {
        let Some(member) = Member::read(store, key.clone())? else { return Ok(()) };
        let is_group = member.is_group();
        self.members.push(member);
        if !is_group {
            return Ok(());
        }
        let names = child_names(store, &key)?;
        if depth >= MAX_GROUP_DEPTH && !names.is_empty() {
            let what = format!("groups nested more than {MAX_GROUP_DEPTH} deep");
            return Err(Error::unsupported(what).at(&store.locate(&key)));
        }
        names.iter().try_for_each(|name| {
            let below = key.join(name)?;
            if published(store, &below)?.is_some() {
                let what = "a migration of what an interrupted rechunk has left without its name; `rezarr recover` gives it that";
                return Err(Error::unsupported(what).at(&store.locate(&below)));
            }
            self.add(store, below, depth + 1)
        })
    }

    /// The `zarr.json` of a member, and what should be known about it.
    pub(super) fn document(&self, member: &Member) -> Result<(Vec<u8>, Option<String>)> {
        let Document::Node(node) = &member.document else {
            return Err(Error::invalid(format!("{}: has no document", member.path)));
        };
        let NodeMetadata::Group(group) = node else { return Ok((node.to_bytes()?, None)) };
        if !member.consolidated {
            return Ok((node.to_bytes()?, None));
        }
        let copies = self.copies(member)?;
        let with_copies = (**group).clone().with_consolidated(Some(&copies)).map(|group| NodeMetadata::Group(Box::new(group)));
        match with_copies.and_then(|node| node.to_bytes()) {
            Ok(bytes) => Ok((bytes, None)),
            Err(error) => {
                let shown = if member.path.is_empty() { "/" } else { &member.path };
                Ok((node.to_bytes()?, Some(format!("{shown}: its consolidated metadata are left out: {error}"))))
            }
        }
    }

    /// Copies of all documents below a group.
    fn copies(&self, group: &Member) -> Result<Consolidated> {
        let mut copies = Consolidated::default();
        for member in &self.members {
            let below = if group.path.is_empty() { Some(&*member.path) } else { member.path.strip_prefix(&format!("{}/", group.path)) };
            match (below.filter(|path| !path.is_empty()), &member.document) {
                (None, _) | (_, Document::None) => {}
                (Some(path), Document::Node(node)) => copies.insert(path, node)?,
                (Some(path), Document::Text(text)) => copies.insert_text(path, text.clone())?,
            }
        }
        Ok(copies)
    }
}

impl Member {
    /// The node at `key`; none where none is.
    fn read(store: &dyn Store, key: Key) -> Result<Option<Self>> {
        let path = key.as_str().to_owned();
        let mut member = Self {
            path,
            key: key.clone(),
            node_type: "",
            document: Document::None,
            present: Present::Nothing,
            consolidated: false,
            v2_names: Vec::new(),
            obstacle: None,
        };
        if store.kind(&key)? == Some(EntryKind::Other) {
            member.obstacle = Some(String::from("a link or special file, which is never followed; put the node itself there"));
            return Ok(Some(member));
        }
        for name in v2::DOCUMENTS {
            if store.size(&key.join(name)?)?.is_some() {
                member.v2_names.push(name);
            }
        }
        let (v2, v3) = (found(v2::read_node(store, &key))?.map(|found| found.map(|(node, _)| node)), found(read_v3_node(store, &key))?);
        if matches!((&v2, &v3), (Ok(None), Ok(None))) {
            return Ok(None);
        }
        match v3 {
            Ok(Some((node, text))) => member.set_present(node, &text, v2.ok().flatten())?,
            Ok(None) => member.set_missing(v2),
            Err(error) => member.set_unread(store, v2, error)?,
        }
        Ok(Some(member))
    }

    /// A node with a `zarr.json`.
    fn set_present(&mut self, stored: NodeMetadata, text: &[u8], v2: Option<NodeMetadata>) -> Result<()> {
        self.node_type = node_type(&stored);
        let same = match (&stored, &v2) {
            (_, None) => false,
            (NodeMetadata::Group(stored), Some(NodeMetadata::Group(wanted))) => bare(stored)?.to_bytes()? == bare(wanted)?.to_bytes()?,
            (_, Some(wanted)) => text == wanted.to_bytes()?,
        };
        self.present = if same { Present::Ours } else { Present::Other };
        self.consolidated = matches!(&v2, Some(NodeMetadata::Group(group)) if group.is_consolidated());
        self.document = Document::Node(match stored {
            NodeMetadata::Group(group) => bare(&group)?,
            array @ NodeMetadata::Array(_) => array,
        });
        Ok(())
    }

    /// A node without `zarr.json`.
    fn set_missing(&mut self, v2: Result<Option<NodeMetadata>>) {
        let wanted = v2.and_then(|node| {
            let Some(node) = node else { return Ok(None) };
            self.node_type = node_type(&node);
            if !self.key.is_root() {
                check_node_name(self.key.name())?;
            }
            match node {
                NodeMetadata::Group(group) => {
                    self.consolidated = group.is_consolidated();
                    bare(&group).map(Some)
                }
                NodeMetadata::Array(array) => {
                    if let Some(obstacle) = array.v3_obstacle() {
                        return Err(Error::unsupported(obstacle));
                    }
                    let node = NodeMetadata::Array(array);
                    node.to_bytes().map(|_| Some(node))
                }
            }
        });
        match wanted {
            Ok(node) => self.document = node.map_or(Document::None, Document::Node),
            Err(error) => {
                if self.node_type.is_empty() && self.v2_names.contains(&v2::ARRAY) {
                    self.node_type = "array";
                }
                // What would be supported follows behind the semicolon.
                self.obstacle = Some(match error {
                    Error::Unsupported { what, .. } => what.split("; supported").next().unwrap_or_default().to_owned(),
                    Error::InvalidArgument { what } => what,
                    other => other.to_string(),
                });
            }
        }
    }

    /// A node with a `zarr.json` that cannot be read. One that needs what this build does not have is a node of Zarr v3 like others.
    fn set_unread(&mut self, store: &dyn Store, v2: Result<Option<NodeMetadata>>, error: Error) -> Result<()> {
        self.present = Present::Other;
        let is_v2 = !matches!(v2, Ok(None));
        let told = error.to_string();
        match unsupported_document(store, &self.key, error) {
            Ok(Some(text)) => self.document = Document::Text(text),
            _ if is_v2 => self.obstacle = Some(format!("its zarr.json cannot be read: {told}")),
            _ => {}
        }
        Ok(())
    }

    fn is_group(&self) -> bool {
        matches!(self.document, Document::Node(NodeMetadata::Group(_))) || self.present == Present::Nothing && self.node_type == "group"
    }

    /// Whether there are documents of Zarr v2 that make it a node.
    pub(super) fn is_v2(&self) -> bool {
        self.v2_names.iter().any(|name| [v2::ARRAY, v2::GROUP].contains(name))
    }
}

/// What says that a document cannot be used is an answer, every other failure is none.
fn found<T>(read: Result<T>) -> Result<Result<T>> {
    match read {
        Ok(found) => Ok(Ok(found)),
        Err(error @ (Error::Metadata { .. } | Error::Unsupported { .. } | Error::Corrupt { .. })) => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

fn node_type(node: &NodeMetadata) -> &'static str {
    match node {
        NodeMetadata::Array(_) => "array",
        NodeMetadata::Group(_) => "group",
    }
}

/// The document of a group without copies of others.
fn bare(group: &GroupMetadata) -> Result<NodeMetadata> {
    Ok(NodeMetadata::Group(Box::new(group.clone().with_consolidated(None)?)))
}
