//! Groups: the inner nodes of a hierarchy, found by listing the store.

use std::path::Path;
use std::sync::Arc;

use crate::array::{
    Array, check_member_name, child_names, create_directory, find_child, find_node, finish_interrupted, read_child, read_only,
    refresh_copies, reserve_prefix, unsupported_document,
};
use crate::error::{Error, Result};
use crate::metadata::{ArrayMetadata, Attributes, Consolidated, DOCUMENT, GroupMetadata, NodeMetadata};
use crate::publish::open_path;
use crate::store::{Key, Reads, Store};

/// Is shown the path, the key and the document of a node.
type VisitFound<'a> = dyn FnMut(&str, &Key, Result<NodeMetadata>) -> Result<()> + 'a;

/// How deep groups may be nested below the one that is walked.
pub const MAX_GROUP_DEPTH: usize = 64;

/// An open group. Cheap to clone, and usable from several threads.
///
/// What it holds is found in the store at each call; consolidated metadata are written on request, and never trusted in its place.
#[derive(Clone, Debug)]
pub struct Group {
    store: Arc<dyn Store>,
    prefix: Key,
    metadata: Arc<GroupMetadata>,
}

/// An open array or group.
#[derive(Clone, Debug)]
pub enum Node {
    /// An array.
    Array(Array),
    /// A group.
    Group(Group),
}

impl Node {
    /// Opens the array or group at `path`: a directory, a zip file, or what lies in one.
    ///
    /// # Errors
    /// As [`Array::open`], but for the wrong kind of node.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(open_path(path.as_ref(), Reads::default())?, Key::root())
    }

    /// Opens the array or group at `prefix` in `store`.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn open_in(store: Arc<dyn Store>, prefix: Key) -> Result<Self> {
        match find_node(&*store, prefix)? {
            (prefix, NodeMetadata::Array(metadata), document) => Array::with_document(store, prefix, *metadata, &document).map(Self::Array),
            (prefix, NodeMetadata::Group(metadata), _) => Ok(Self::Group(Group { store, prefix, metadata: Arc::new(*metadata) })),
        }
    }

    /// Where the node is, as a person would say it; for messages.
    pub fn path(&self) -> String {
        match self {
            Self::Array(array) => array.path(),
            Self::Group(group) => group.path(),
        }
    }
}

impl Group {
    /// Opens the group at `path`: a directory, a zip file, or what lies in one.
    ///
    /// # Errors
    /// As [`Array::open`]; [`Error::InvalidArgument`] when an array is there.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_in(open_path(path.as_ref(), Reads::default())?, Key::root())
    }

    /// Opens the group at `prefix` in `store`.
    ///
    /// # Errors
    /// As [`Group::open`].
    pub fn open_in(store: Arc<dyn Store>, prefix: Key) -> Result<Self> {
        match Node::open_in(store, prefix)? {
            Node::Group(group) => Ok(group),
            Node::Array(array) => Err(array_not_group(&array)),
        }
    }

    /// Creates a group in the directory `path`, which must be missing or empty; its parents are made as needed.
    ///
    /// # Errors
    /// As [`Array::create`].
    pub fn create(path: impl AsRef<Path>, attributes: Attributes) -> Result<Self> {
        Self::create_in(create_directory(path.as_ref())?, Key::root(), attributes)
    }

    /// Creates a group at `prefix` in `store`, where nothing may be yet. Consolidated metadata above it are brought up to date.
    ///
    /// # Errors
    /// As [`Array::create_in`].
    pub fn create_in(store: Arc<dyn Store>, prefix: Key, attributes: Attributes) -> Result<Self> {
        reserve_prefix(&*store, &prefix)?;
        let metadata = GroupMetadata::new(attributes);
        let group = Self { store, prefix, metadata: Arc::new(metadata) };
        group.write_document((*group.metadata).clone())?;
        refresh_copies(&group.store, &group.prefix, false).stale.pop().map_or(Ok(group), Err)
    }

    /// The group's document.
    pub fn metadata(&self) -> &GroupMetadata {
        &self.metadata
    }

    /// The group's attributes.
    pub fn attributes(&self) -> &Attributes {
        self.metadata.attributes()
    }

    /// Where the group is, as a person would say it; for messages.
    pub fn path(&self) -> String {
        self.store.locate(&self.prefix)
    }

    /// Names of the arrays and groups directly in this group, sorted. Their documents are not read.
    ///
    /// Whatever is no node is passed over: other files, and directories without a document or with a name that the format reserves. Links are
    /// named, since other readers follow them; opening one is an error.
    ///
    /// # Errors
    /// Those of the store.
    pub fn child_names(&self) -> Result<Vec<String>> {
        child_names(&*self.store, &self.prefix)
    }

    /// The arrays and groups directly in this group, by name. A child whose document cannot be read, or needs what this build does not have,
    /// is shown as the error that it gives.
    ///
    /// # Errors
    /// Those of the store.
    pub fn children(&self) -> Result<Vec<(String, Result<NodeMetadata>)>> {
        let read = |name: String| {
            let node = read_child(&*self.store, &self.prefix.join(&name)?);
            Ok((name, node))
        };
        self.child_names()?.into_iter().map(read).collect()
    }

    /// Opens the array or group `name` directly in this group.
    ///
    /// # Errors
    /// As [`Node::open`]; [`Error::InvalidArgument`] when no node can have the name.
    pub fn child(&self, name: &str) -> Result<Node> {
        check_member_name(&*self.store, &self.prefix, name)?;
        Node::open_in(Arc::clone(&self.store), self.prefix.join(name)?)
    }

    /// Opens the array at `path` below this group (names joined by slashes).
    ///
    /// # Errors
    /// As [`Array::open`].
    pub fn array(&self, path: &str) -> Result<Array> {
        Array::open_in(Arc::clone(&self.store), self.key_of(path)?)
    }

    /// Opens the group at `path` below this group (names joined by slashes).
    ///
    /// # Errors
    /// As [`Group::open`].
    pub fn group(&self, path: &str) -> Result<Self> {
        Self::open_in(Arc::clone(&self.store), self.key_of(path)?)
    }

    /// Creates an array at `path` below this group, directly in an existing group.
    ///
    /// # Errors
    /// As [`Array::create_in`]; [`Error::NotFound`] when the array would not be in a group.
    pub fn create_array(&self, path: &str, metadata: ArrayMetadata) -> Result<Array> {
        Array::create_in(Arc::clone(&self.store), self.key_of_new(path)?, metadata)
    }

    /// Creates a group at `path` below this group, directly in an existing group.
    ///
    /// # Errors
    /// As [`Group::create_in`]; [`Error::NotFound`] when the new group would not be in a group.
    pub fn create_group(&self, path: &str, attributes: Attributes) -> Result<Self> {
        Self::create_in(Arc::clone(&self.store), self.key_of_new(path)?, attributes)
    }

    /// Calls `visit` with the path (relative to this group) and the document of every node below this group: depth first, a group before what
    /// it holds, siblings in the order of their names.
    ///
    /// # Errors
    /// Those of `visit`, of the store, and of any document; [`Error::Unsupported`] below [`MAX_GROUP_DEPTH`] nested groups.
    pub fn walk(&self, visit: &mut dyn FnMut(&str, &NodeMetadata) -> Result<()>) -> Result<()> {
        self.walk_each(&mut |path, node| visit(path, &node?))
    }

    /// As [`Group::walk`], but shows a document that cannot be read, or needs what this build does not have, as the error that it gives. Whatever
    /// lies below such a node is not visited.
    ///
    /// # Errors
    /// Those of `visit` and of the store; [`Error::Unsupported`] below [`MAX_GROUP_DEPTH`] nested groups.
    pub fn walk_each(&self, visit: &mut dyn FnMut(&str, Result<NodeMetadata>) -> Result<()>) -> Result<()> {
        self.walk_found(&mut |path, _, node| visit(path, node))
    }

    /// As [`Group::walk_each`], with the key of each node, which need not be that of its path (PUB-26).
    pub(crate) fn walk_found(&self, visit: &mut VisitFound<'_>) -> Result<()> {
        self.walk_below(&self.prefix, "", 0, visit)
    }

    fn walk_below(&self, prefix: &Key, path: &str, depth: usize, visit: &mut VisitFound<'_>) -> Result<()> {
        let names = child_names(&*self.store, prefix)?;
        if depth >= MAX_GROUP_DEPTH && !names.is_empty() {
            let what = format!("groups nested more than {MAX_GROUP_DEPTH} deep");
            return Err(Error::unsupported(what).at(&self.store.locate(prefix)));
        }
        for name in names {
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let (at, node) = find_child(&*self.store, &prefix.join(&name)?);
            let is_group = matches!(node, Ok(NodeMetadata::Group(_)));
            visit(&below, &at, node)?;
            if is_group {
                self.walk_below(&at, &below, depth + 1, visit)?;
            }
        }
        Ok(())
    }

    /// Writes the documents of all nodes below this group into its own document as inline consolidated metadata, which spares remote readers the
    /// listing. It does not follow later changes: write it again after them. The document of a node that needs what this build does not have is
    /// carried as it is, and nodes of Zarr v2 are left out, as readers of Zarr v3 do not find them in the store either.
    ///
    /// # Errors
    /// As [`Group::walk`], but for documents that are whole; [`Error::Unsupported`] for a group of Zarr v2.
    pub fn consolidate(&mut self) -> Result<()> {
        if self.metadata.zarr_format() == 2 {
            return Err(read_only(&self.path()));
        }
        finish_interrupted(&self.store, &self.prefix)?;
        let consolidated = self.copies()?;
        let Node::Group(now) = Node::open_in(Arc::clone(&self.store), self.prefix.clone())? else {
            return Err(Error::Stale { path: self.path() });
        };
        let metadata = (*now.metadata).clone().with_consolidated(Some(&consolidated))?;
        drop(consolidated);
        self.metadata = Arc::new(self.write_document(metadata)?);
        Ok(())
    }

    /// The document of a group that is being built at `prefix`, where it has none yet: `metadata` with copies of the documents below it.
    pub(crate) fn consolidated(store: Arc<dyn Store>, prefix: Key, metadata: GroupMetadata) -> Result<GroupMetadata> {
        let group = Self { store, prefix, metadata: Arc::new(metadata.clone()) };
        metadata.with_consolidated(Some(&group.copies()?))
    }

    /// Copies of the documents of all nodes below this group.
    fn copies(&self) -> Result<Consolidated> {
        let mut consolidated = Consolidated::default();
        self.walk_found(&mut |path, key, node| match node {
            Ok(node) if node.zarr_format() == 2 => Ok(()),
            Ok(node) => consolidated.insert(path, &node),
            Err(error) => match unsupported_document(&*self.store, key, error)? {
                Some(text) => consolidated.insert_text(path, text),
                None => Ok(()),
            },
        })?;
        Ok(consolidated)
    }

    /// Sets the group's document; gives it back.
    fn write_document(&self, metadata: GroupMetadata) -> Result<GroupMetadata> {
        let node = NodeMetadata::Group(Box::new(metadata));
        self.store.set(&self.prefix.join(DOCUMENT)?, &node.to_bytes()?)?;
        match node {
            NodeMetadata::Group(metadata) => Ok(*metadata),
            NodeMetadata::Array(_) => unreachable!("made as a group"),
        }
    }

    fn key_of(&self, path: &str) -> Result<Key> {
        let mut key = self.prefix.clone();
        for name in path.split('/') {
            check_member_name(&*self.store, &key, name)?;
            key = key.join(name)?;
        }
        Ok(key)
    }

    /// The key of a node to be created, whose parent must be a group.
    fn key_of_new(&self, path: &str) -> Result<Key> {
        finish_interrupted(&self.store, &self.prefix)?;
        let key = self.key_of(path)?;
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.group(parent)?;
        }
        Ok(key)
    }
}

fn array_not_group(array: &Array) -> Error {
    Error::invalid(format!("{}: is an array of shape {:?}, not a group", array.path(), array.shape()))
}
