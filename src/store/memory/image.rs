//! The tree of a [`super::MemoryStore`] at one moment, and the steps that change it.
//!
//! Invariants
//! 1. Nodes have identities of their own, as files and directories have: a name is a link in the node that holds it, and to rename a
//!    tree is to move one link.
//! 2. A node has at most one link; the root has none and always exists.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::store::EntryKind;

/// The identity of a node.
pub(super) type NodeId = u64;

/// The node that the empty key names.
pub(super) const ROOT: NodeId = 0;

/// A value or a prefix.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// Bytes, shared between images until one of them changes.
    Value(Arc<Vec<u8>>),
    /// Links to other nodes by name.
    Prefix(BTreeMap<String, NodeId>),
}

impl Node {
    pub(super) fn kind(&self) -> EntryKind {
        match self {
            Self::Value(_) => EntryKind::Value,
            Self::Prefix(_) => EntryKind::Prefix,
        }
    }
}

/// The setting of one name in a prefix.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub(super) parent: NodeId,
    pub(super) name: String,
    /// The node that had this name when the step was taken.
    pub(super) old: Option<NodeId>,
    /// The node that gets the name; none if the name is removed.
    pub(super) new: Option<NodeId>,
}

/// A step that happens whole or not at all.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) links: Vec<Link>,
}

impl Change {
    /// Whether the step could make a difference to `image`, now or after other steps.
    pub(super) fn matters(&self, image: &Image) -> bool {
        self.links.iter().any(|link| [link.old, link.new].iter().flatten().any(|id| image.nodes.contains_key(id)))
    }
}

/// All nodes at one moment.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) nodes: HashMap<NodeId, Node>,
}

impl Default for Image {
    fn default() -> Self {
        Self { nodes: HashMap::from([(ROOT, Node::Prefix(BTreeMap::new()))]) }
    }
}

impl Image {
    /// Takes a step of the `live` image that may come without those before it: nodes that are not known here begin empty, and none keeps another
    /// name.
    pub(super) fn take(&mut self, change: &Change, live: &Self) {
        for id in change.links.iter().flat_map(|link| [Some(link.parent), link.new]).flatten() {
            self.nodes.entry(id).or_insert_with(|| match live.nodes.get(&id) {
                Some(Node::Value(_)) => Node::Value(Arc::default()),
                _ => Node::Prefix(BTreeMap::new()),
            });
        }
        let moved: HashSet<NodeId> = change.links.iter().filter_map(|link| link.new).collect();
        for node in self.nodes.values_mut() {
            if let Node::Prefix(entries) = node {
                entries.retain(|_, id| !moved.contains(id));
            }
        }
        self.apply(change);
    }

    /// Takes a step. Values and empty prefixes that lose their name cease to exist.
    pub(super) fn apply(&mut self, change: &Change) {
        let placed: Vec<NodeId> = change.links.iter().filter_map(|link| link.new).collect();
        for link in &change.links {
            // As a file system does, a name is removed only from the node that had it when the step was taken.
            if let (Some(Node::Prefix(entries)), None) = (self.nodes.get_mut(&link.parent), link.new)
                && entries.get(&link.name).copied() == link.old
            {
                entries.remove(&link.name);
            }
        }
        for link in change.links.iter().filter(|link| link.new.is_some()) {
            let replaced = match (self.nodes.get_mut(&link.parent), link.new) {
                (Some(Node::Prefix(entries)), Some(new)) => entries.insert(link.name.clone(), new),
                _ => None,
            };
            self.forget(replaced.filter(|id| !placed.contains(id)));
        }
        for old in change.links.iter().filter(|link| link.new.is_none()).filter_map(|link| link.old) {
            self.forget((!placed.contains(&old)).then_some(old));
        }
    }

    fn forget(&mut self, id: Option<NodeId>) {
        if let Some(id) = id
            && !matches!(self.nodes.get(&id), Some(Node::Prefix(entries)) if !entries.is_empty())
        {
            self.nodes.remove(&id);
        }
    }

    /// Removes the nodes that no name leads to.
    pub(super) fn drop_unreachable(&mut self) {
        let mut reached = HashSet::from([ROOT]);
        let mut ahead = vec![ROOT];
        while let Some(id) = ahead.pop() {
            if let Some(Node::Prefix(entries)) = self.nodes.get_mut(&id) {
                ahead.extend(entries.values().copied().filter(|id| reached.insert(*id)));
            }
        }
        self.nodes.retain(|id, _| reached.contains(id));
        let known: HashSet<NodeId> = self.nodes.keys().copied().collect();
        for node in self.nodes.values_mut() {
            if let Node::Prefix(entries) = node {
                entries.retain(|_, id| known.contains(id));
            }
        }
    }
}
