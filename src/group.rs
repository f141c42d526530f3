//! Groups: the inner nodes of a hierarchy, found by listing the store.

use std::path::Path;
use std::sync::Arc;

use crate::array::{
    Array, Opened, check_member_name, child_names, create_directory, find_child, finish_interrupted, lock_around_new, lock_document,
    open_at, open_node, read_child, read_only, refresh_copies, reserve_prefix, set_new_document, unsupported_document,
};
use crate::error::{Error, Result};
use crate::json::MAX_DOCUMENT_BYTES;
use crate::metadata::{ArrayMetadata, Attributes, Consolidated, DOCUMENT, GroupMetadata, NodeMetadata, v2};
use crate::store::{Key, Store, change_document, whole};

/// Is shown the path of each node, its key, and its document.
type Visit<'a> = &'a mut dyn FnMut(&str, &Key, Result<NodeMetadata>) -> Result<()>;

/// How often a group is listed again while others put new trees in its place.
const RACES: usize = 16;

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
        open_at(path.as_ref(), |store| Self::open_in(store, Key::root()))
    }

    /// Opens the array or group at `prefix` in `store`.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn open_in(store: Arc<dyn Store>, prefix: Key) -> Result<Self> {
        match open_node(&store, &prefix)? {
            Opened::Array(array) => Ok(Self::Array(array)),
            Opened::Group(prefix, metadata) => Ok(Self::Group(Group { store, prefix, metadata: Arc::new(*metadata) })),
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
        open_at(path.as_ref(), |store| Self::open_in(store, Key::root()))
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
        let (store, _locks) = create_directory(path.as_ref())?;
        Self::create_in(store, Key::root(), attributes)
    }

    /// Creates a group at `prefix` in `store`, where nothing may be yet. Consolidated metadata above it are brought up to date.
    ///
    /// # Errors
    /// As [`Array::create_in`].
    pub fn create_in(store: Arc<dyn Store>, prefix: Key, attributes: Attributes) -> Result<Self> {
        let metadata = GroupMetadata::new(attributes);
        let document = NodeMetadata::Group(Box::new(metadata.clone())).to_bytes()?;
        let locks = lock_around_new(&store, &prefix)?;
        reserve_prefix(&*store, &prefix)?;
        set_new_document(&*store, &prefix, &document)?;
        drop(locks);
        let group = Self { store, prefix, metadata: Arc::new(metadata) };
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
    /// Those of the store; [`Error::Stale`] when the group is no longer there.
    pub fn child_names(&self) -> Result<Vec<String>> {
        member_names(&self.store, &self.prefix)
    }

    /// The arrays and groups directly in this group, by name. A child whose document cannot be read, or needs what this build does not have,
    /// is shown as the error that it gives.
    ///
    /// # Errors
    /// As [`Group::child_names`].
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
    /// Those of `visit` and of the store; [`Error::Unsupported`] below [`MAX_GROUP_DEPTH`] nested groups; [`Error::Stale`] when the group has gone
    /// meanwhile.
    pub fn walk_each(&self, visit: &mut dyn FnMut(&str, Result<NodeMetadata>) -> Result<()>) -> Result<()> {
        self.walk_found(&mut |path, _, node| visit(path, node))
    }

    /// As [`Group::walk_each`], with the key of each node, which need not be that of its path (PUB-26).
    pub(crate) fn walk_found(&self, visit: Visit<'_>) -> Result<()> {
        self.walk_below((&self.prefix, ""), 0, true, visit)
    }

    fn walk_below(&self, (prefix, path): (&Key, &str), depth: usize, complete: bool, visit: Visit<'_>) -> Result<()> {
        let names = if complete { member_names(&self.store, prefix)? } else { child_names(&*self.store, prefix)? };
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
                self.walk_below((&at, &below), depth + 1, true, visit)?;
            }
        }
        Ok(())
    }

    /// Writes the documents of all nodes below this group into its own document as inline consolidated metadata, which spares remote readers the
    /// listing. It does not follow later changes: write it again after them. The document of a node that needs what this build does not have is
    /// carried as it is, and nodes of Zarr v2 are left out, as readers of Zarr v3 do not find them in the store either.
    ///
    /// # Errors
    /// As [`Group::walk`], but for documents that are whole; [`Error::Unsupported`] for a group of Zarr v2; [`Error::Busy`] while the group is being
    /// replaced.
    pub fn consolidate(&mut self) -> Result<()> {
        if self.metadata.zarr_format() == 2 {
            return Err(read_only(&self.path()));
        }
        finish_interrupted(&self.store, &self.prefix)?;
        let _locks = lock_document(&self.store, &self.prefix)?;
        while !self.write_copies()? {}
        Ok(())
    }

    /// Writes copies of all documents as they are now; false if somebody else has changed the group's own document meanwhile.
    fn write_copies(&mut self) -> Result<bool> {
        let key = self.prefix.join(DOCUMENT)?;
        // Whoever changes a node below from here on waits with its copies until these are written, so that they do not bring back what it was.
        let change = change_document(&*self.store, &key)?;
        let stale = || Error::Stale { path: self.path() };
        let document = change.value().ok_or_else(stale).and_then(|value| whole(value, MAX_DOCUMENT_BYTES))?;
        let node = NodeMetadata::from_bytes(&document).map_err(|error| error.at(&self.store.locate(&key)))?;
        let NodeMetadata::Group(now) = node else { return Err(stale()) };
        drop(document);
        let metadata = now.with_consolidated(Some(&self.copies(true)?))?;
        let node = NodeMetadata::Group(Box::new(metadata));
        let written = change.set(&node.to_bytes()?)?;
        if let (true, NodeMetadata::Group(metadata)) = (written, node) {
            self.metadata = Arc::new(*metadata);
        }
        Ok(written)
    }

    /// The document of a group that is being built at `prefix`, where it has none yet: `metadata` with copies of the documents below it.
    pub(crate) fn consolidated(store: Arc<dyn Store>, prefix: Key, metadata: GroupMetadata) -> Result<GroupMetadata> {
        let group = Self { store, prefix, metadata: Arc::new(metadata.clone()) };
        metadata.with_consolidated(Some(&group.copies(false)?))
    }

    /// Copies of the documents of all nodes below this group, which has a document itself if it is `complete`.
    fn copies(&self, complete: bool) -> Result<Consolidated> {
        let mut consolidated = Consolidated::default();
        self.walk_below((&self.prefix, ""), 0, complete, &mut |path, key, node| match node {
            Ok(node) if node.zarr_format() == 2 => Ok(()),
            Ok(node) => consolidated.insert(path, &node),
            Err(error) => match unsupported_document(&*self.store, key, error)? {
                Some(text) => consolidated.insert_text(path, text),
                None => Ok(()),
            },
        })?;
        Ok(consolidated)
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

/// The names of the nodes in the group at `prefix`, all of one tree.
fn member_names(store: &Arc<dyn Store>, prefix: &Key) -> Result<Vec<String>> {
    for _ in 0..RACES {
        let tree = store.tree(prefix)?;
        let names = match &tree {
            Some(tree) => child_names(&**tree, &Key::root()).and_then(|names| Ok(is_there(&**tree, &Key::root())?.then_some(names))),
            None => child_names(&**store, prefix).and_then(|names| Ok(is_there(&**store, prefix)?.then_some(names))),
        };
        match names? {
            Some(names) => return Ok(names),
            // Another one may have its name.
            None if tree.is_some() => {}
            None => break,
        }
    }
    Err(Error::Stale { path: store.locate(prefix) })
}

/// Whether a group has its document: of one that is being deleted, members are missing after that only.
fn is_there(store: &dyn Store, prefix: &Key) -> Result<bool> {
    let document = prefix.join(DOCUMENT)?;
    let found = || Ok::<_, Error>(store.size(&document)?.is_some());
    // It may have become Zarr v3, or gone back, between two looks.
    Ok(found()? || v2::is_node(store, prefix)? || found()?)
}

fn array_not_group(array: &Array) -> Error {
    Error::invalid(format!("{}: is an array of shape {:?}, not a group", array.path(), array.shape()))
}
