//! Finding and founding nodes: documents, names, and what to say when something else is there.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::array::locks::Locks;
use crate::array::{Array, digest, lock_around_new, refresh_copies};
use crate::error::{Error, Result};
use crate::json::MAX_DOCUMENT_BYTES;
use crate::metadata::{ArrayMetadata, DOCUMENT, GroupMetadata, NodeMetadata, v2};
use crate::publish::{belongs_to, is_between_names, open_path, published};
use crate::store::{
    ByteRange, EntryKind, FilesystemStore, Key, Reads, Store, V2_ARRAY, Value, change_document, open_directory, read_to_vec,
};

/// How many children an error message names.
const NAMED_CHILDREN: usize = 5;

impl Array {
    /// Opens the array at `path`: a directory, a zip file, or what lies in one, as in `maps.zip/temperature`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing is there or it has neither a `zarr.json` nor a document of Zarr v2; [`Error::InvalidArgument`] when it is a group;
    /// [`Error::Metadata`] or [`Error::Unsupported`] when its document is wrong or needs what this build does not have, or it is a file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        open_at(path.as_ref(), |store| Self::open_in(store, Key::root()))
    }

    /// Opens the array at `prefix` in `store`.
    ///
    /// # Errors
    /// As [`Array::open`].
    pub fn open_in(store: Arc<dyn Store>, prefix: Key) -> Result<Self> {
        match open_node(&store, &prefix)? {
            Opened::Array(array) => Ok(array),
            Opened::Group(prefix, _) => Err(group_not_array(&*store, &prefix)?),
        }
    }

    /// Creates an array in the directory `path`, which must be missing or empty; its parents are made as needed.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when something is there; [`Error::InvalidArgument`] when the name is no legal node name, and directly below
    /// another array, whose chunks have their keys there.
    pub fn create(path: impl AsRef<Path>, metadata: ArrayMetadata) -> Result<Self> {
        Self::found(|| create_directory(path.as_ref()), Key::root(), metadata)
    }

    /// Creates an array at `prefix` in `store`, where nothing may be yet. The document is written last; then consolidated metadata of the groups
    /// above, which other readers trust, are brought up to date.
    ///
    /// # Errors
    /// As [`Array::create`]; and what stands in the way of bringing consolidated metadata up to date, with the array in place then.
    pub fn create_in(store: Arc<dyn Store>, prefix: Key, metadata: ArrayMetadata) -> Result<Self> {
        let locks = |store: Arc<dyn Store>| lock_around_new(&store, &prefix).map(|locks| (store, locks));
        Self::found(|| locks(store), prefix.clone(), metadata)
    }

    /// Creates an array in the store that `make_store` gives with locks, which is asked for only when the metadata have been found good.
    fn found(make_store: impl FnOnce() -> Result<(Arc<dyn Store>, Locks)>, prefix: Key, metadata: ArrayMetadata) -> Result<Self> {
        let node = NodeMetadata::Array(Box::new(metadata.into_v3()?));
        let document = node.to_bytes()?;
        let NodeMetadata::Array(metadata) = node else { unreachable!("made as an array") };
        let (store, locks) = make_store()?;
        let array = Self::with_document(store, prefix, *metadata, &document)?;
        reserve_prefix(&**array.store(), array.prefix())?;
        set_new_document(&**array.store(), array.prefix(), &document)?;
        drop(locks);
        refresh_copies(array.store(), array.prefix(), false).stale.pop().map_or(Ok(()), Err)?;
        array.pinned()
    }

    /// Checks that the document still describes this array: a missing chunk means the fill value only then.
    ///
    /// An array that has grown since, or whose attributes have changed, is still this one.
    ///
    /// # Errors
    /// [`Error::Stale`] when it has gone, or its chunks are others now.
    pub(crate) fn check_current(&self) -> Result<()> {
        self.check_document(true)
    }

    /// The same for writes, where an array that has grown is another one: chunks at the old edge hold elements that this handle does not know.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        self.check_document(false)
    }

    fn check_document(&self, may_have_grown: bool) -> Result<()> {
        if let Some((whole, _)) = &self.inner.whole {
            return whole.check_document(may_have_grown);
        }
        let inner = &*self.inner;
        let mut current = false;
        // Nothing larger is a document, and so no larger file is looked at.
        if let Some((value, name)) = self.open_document()?.filter(|(value, _)| value.size() <= MAX_DOCUMENT_BYTES) {
            value.read(ByteRange::All, &mut |document| {
                let found = digest(document);
                let known = |digest: &AtomicU64| digest.load(Ordering::Relaxed) == found;
                current = known(&inner.digest) || (may_have_grown && known(&inner.grown_digest));
                if !current && let Some(same_shape) = self.is_described_by(name, document) {
                    current = same_shape || may_have_grown;
                    let digest = if same_shape { &inner.digest } else { &inner.grown_digest };
                    digest.store(found, Ordering::Relaxed);
                }
                Ok(())
            })?;
        }
        if current { Ok(()) } else { Err(Error::Stale { path: self.path() }) }
    }

    /// The document that counts, and its name: an array of Zarr v2 may have become one of Zarr v3 since it was opened, with the same chunks, or
    /// gone back.
    fn open_document(&self) -> Result<Option<(Box<dyn Value>, &'static str)>> {
        for name in [DOCUMENT, V2_ARRAY, DOCUMENT] {
            if let Some(value) = self.inner.store.open(&self.inner.prefix.join(name)?)? {
                return Ok(Some((value, name)));
            }
        }
        Ok(None)
    }

    /// Whether chunks that are stored as `document` says are those of this array: with the same shape, or with a larger one (false).
    fn is_described_by(&self, name: &str, document: &[u8]) -> Option<bool> {
        let ours = self.metadata();
        let theirs = if name == V2_ARRAY {
            ArrayMetadata::from_v2(document, None).ok()?
        } else {
            let Ok(NodeMetadata::Array(theirs)) = NodeMetadata::from_bytes(document) else { return None };
            *theirs
        };
        let same = ours.data_type == theirs.data_type
            && ours.fill == theirs.fill
            && ours.key_encoding == theirs.key_encoding
            && ours.grid.edges() == theirs.grid.edges()
            && ours.shape().len() == theirs.shape().len()
            && ours.shape().iter().zip(theirs.shape()).all(|(before, now)| before <= now)
            && ours.codecs.to_metadata() == theirs.codecs.to_metadata()
            && ours.codecs.is_in_metadata() == theirs.codecs.is_in_metadata();
        same.then(|| ours.shape() == theirs.shape())
    }
}

/// A node that has been opened: an array, or the document of a group and where that is.
pub(crate) enum Opened {
    Array(Array),
    Group(Key, Box<GroupMetadata>),
}

/// How often a node is looked for again while others put new trees in its place.
const RACES: usize = 16;

/// Opens what `path` leads to, anew where another tree has taken its name meanwhile.
pub(crate) fn open_at<T>(path: &Path, open: impl Fn(Arc<dyn Store>) -> Result<T>) -> Result<T> {
    for _ in 1..RACES {
        match open(open_path(path, Reads::default())?) {
            Err(Error::Stale { .. }) => {}
            opened => return opened,
        }
    }
    open(open_path(path, Reads::default())?)
}

/// Opens the node at `prefix`, or what stands in for it (PUB-26). An array is opened in its tree, where the store can tell that from its name, and
/// its document is read there.
///
/// # Errors
/// As [`Array::open`]; [`Error::Stale`] where `prefix` is the root, and what it was has been replaced.
pub(crate) fn open_node(store: &Arc<dyn Store>, prefix: &Key) -> Result<Opened> {
    for _ in 0..RACES {
        let tree = store.tree(prefix)?;
        match open_in_tree(store, prefix, tree.as_ref()) {
            // A tree that has been replaced loses its document first.
            Err(Error::NotFound { .. }) if is_replaced(tree.as_ref().unwrap_or(store)) => {
                if tree.is_none() {
                    break;
                }
            }
            Err(error @ Error::NotFound { .. }) => {
                let Some(stand_in) = published(&**store, prefix)? else { return Err(error) };
                let tree = store.tree(&stand_in)?;
                return open_in_tree(store, &stand_in, tree.as_ref());
            }
            opened => return opened,
        }
    }
    Err(Error::Stale { path: store.locate(prefix) })
}

fn open_in_tree(store: &Arc<dyn Store>, prefix: &Key, tree: Option<&Arc<dyn Store>>) -> Result<Opened> {
    let (node, document) = match tree {
        Some(tree) => read_node(&**tree, &Key::root())?,
        None => read_node(&**store, prefix)?,
    };
    match (node, tree) {
        (NodeMetadata::Group(metadata), _) => Ok(Opened::Group(prefix.clone(), metadata)),
        (NodeMetadata::Array(metadata), Some(tree)) => {
            Array::in_tree(Arc::clone(tree), prefix, Arc::new(*metadata), &document).map(Opened::Array)
        }
        (NodeMetadata::Array(metadata), None) => {
            Array::with_document(Arc::clone(store), prefix.clone(), *metadata, &document).map(Opened::Array)
        }
    }
}

/// Whether another tree has taken the name that the root of a store had when it was opened.
fn is_replaced(store: &Arc<dyn Store>) -> bool {
    store.as_any().downcast_ref::<FilesystemStore>().is_some_and(FilesystemStore::is_replaced)
}

/// Makes the directory of a new node, or takes an empty one, as a store, with the locks of the groups around it.
///
/// # Errors
/// [`Error::InvalidArgument`] when the name is no legal node name, or the parent is an array, whose chunks have their keys there.
pub(crate) fn create_directory(path: &Path) -> Result<(Arc<dyn Store>, Locks)> {
    let mut locks = Vec::new();
    if let Some(name) = path.file_name() {
        match name.to_str() {
            Some(name) => check_node_name(name)?,
            None => return Err(Error::invalid(format!("{}: the name of a node must be UTF-8", path.display()))),
        }
        let absolute = std::path::absolute(path).map_err(|error| Error::io("resolve", path.display().to_string(), error))?;
        check_parents(path, &absolute)?;
        if is_between_names(path)? {
            return Err(between_names(path.display().to_string()));
        }
        if let (Some(parent), Some(name)) = (absolute.parent(), name.to_str()) {
            match FilesystemStore::open(parent) {
                Ok(parent) => locks = lock_around_new(&(Arc::new(parent) as Arc<dyn Store>), &Key::new(name)?)?,
                // It is made, and so is in no group.
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok((Arc::new(FilesystemStore::create(path)?), locks))
}

/// The error where a new node would get the name of one that has none just now.
fn between_names(path: String) -> Error {
    let advice = "an interrupted rechunk has left what is here without its name; `rezarr recover` gives it that";
    Error::AlreadyExists { path, advice: advice.to_owned() }
}

/// Refuses a new node at `path` if the nearest directory above it is an array, or a group of Zarr v2.
fn check_parents(path: &Path, absolute: &Path) -> Result<()> {
    for parent in absolute.ancestors().skip(1) {
        let store = match open_directory(parent) {
            Err(Error::NotFound { .. }) => continue,
            opened => opened?,
        };
        let node = read_optional_node(&store, &Key::root())?;
        return check_parent(node, &path.display().to_string(), &parent.display().to_string());
    }
    Ok(())
}

/// Refuses a new node at `path` below the node `above` at `parent`.
fn check_parent(above: Option<(NodeMetadata, Vec<u8>)>, path: &str, parent: &str) -> Result<()> {
    match above {
        Some((NodeMetadata::Array(_), _)) => Err(inside_array(path, parent)),
        Some((NodeMetadata::Group(group), _)) if group.zarr_format() == 2 => Err(read_only(parent)),
        _ => Ok(()),
    }
}

/// The error for a change of something that is stored as Zarr v2.
pub(crate) fn read_only(path: &str) -> Error {
    let what = "a change of Zarr v2, which is only read; `rezarr migrate` makes it Zarr v3 in place, without touching its chunks, \
                and `rezarr rechunk` writes a copy in Zarr v3";
    Error::unsupported(what).at(path)
}

fn inside_array(path: &str, parent: &str) -> Error {
    Error::invalid(format!("{path}: {parent} is an array, which holds no nodes; create it in a group"))
}

/// As [`read_node`], with where the node is: while the name has no tree of its own, between two renames, that is the tree that stands in for it
/// (PUB-26).
///
/// # Errors
/// As [`read_node`].
pub(crate) fn find_node(store: &dyn Store, prefix: Key) -> Result<(Key, NodeMetadata, Vec<u8>)> {
    let error = match read_node(store, &prefix) {
        Ok((node, document)) => return Ok((prefix, node, document)),
        Err(error @ Error::NotFound { .. }) => error,
        Err(error) => return Err(error),
    };
    let Some(stand_in) = published(store, &prefix)? else { return Err(error) };
    let (node, document) = read_node(store, &stand_in)?;
    Ok((stand_in, node, document))
}

/// The document of the node at `prefix`, and its bytes.
///
/// # Errors
/// As [`Array::open`]; what is there instead of a node is said in the error.
pub(crate) fn read_node(store: &dyn Store, prefix: &Key) -> Result<(NodeMetadata, Vec<u8>)> {
    match read_optional_node(store, prefix) {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(no_node(store, prefix)?),
        Err(error @ (Error::Metadata { .. } | Error::Unsupported { .. })) => Err(error),
        // A file in the place of the directory is the better explanation.
        Err(error) => match store.kind(prefix) {
            Ok(Some(EntryKind::Value | EntryKind::Other)) => Err(no_node(store, prefix)?),
            _ => Err(error),
        },
    }
}

/// The document of the node at `prefix` and its bytes; none where there is no document. A `zarr.json` counts before documents of Zarr v2
/// (FMT-V2-1).
pub(crate) fn read_optional_node(store: &dyn Store, prefix: &Key) -> Result<Option<(NodeMetadata, Vec<u8>)>> {
    if let Some(found) = read_v3_node(store, prefix)? {
        return Ok(Some(found));
    }
    match v2::read_node(store, prefix)? {
        // It may have become Zarr v3 between the two looks.
        None => read_v3_node(store, prefix),
        found => Ok(found),
    }
}

/// The `zarr.json` at `prefix` and its bytes; none where there is none.
pub(crate) fn read_v3_node(store: &dyn Store, prefix: &Key) -> Result<Option<(NodeMetadata, Vec<u8>)>> {
    let key = prefix.join(DOCUMENT)?;
    let Some(document) = read_to_vec(store, &key, MAX_DOCUMENT_BYTES)? else { return Ok(None) };
    let node = NodeMetadata::from_bytes(&document).map_err(|error| error.at(&store.locate(&key)))?;
    Ok(Some((node, document)))
}

/// The error for a place without `zarr.json`: what is there instead, if anything.
fn no_node(store: &dyn Store, prefix: &Key) -> Result<Error> {
    let path = store.locate(prefix);
    match store.kind(prefix)? {
        None => return Ok(Error::NotFound { path, what: format!("an array or group (there is nothing, so no {DOCUMENT})") }),
        Some(EntryKind::Prefix) => {}
        Some(EntryKind::Value | EntryKind::Other) => {
            let what = format!("no directory; a Zarr v3 array or group is a directory that holds {DOCUMENT}");
            return Ok(Error::unsupported(what).at(&path));
        }
    }
    Ok(Error::NotFound { path, what: format!("an array or group (no {DOCUMENT})") })
}

/// The error for a group where an array is wanted; names some of what the group holds.
fn group_not_array(store: &dyn Store, prefix: &Key) -> Result<Error> {
    let names = child_names(store, prefix)?;
    let path = store.locate(prefix);
    if names.is_empty() {
        return Ok(Error::invalid(format!("{path}: is an empty group, not an array")));
    }
    let more = names.len().saturating_sub(NAMED_CHILDREN);
    let listed = names.iter().take(NAMED_CHILDREN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if more == 0 { String::new() } else { format!(", and {more} more") };
    Ok(Error::invalid(format!("{path}: is a group, not an array; it holds {listed}{more}")))
}

/// Names of the nodes directly below `prefix`, sorted: prefixes with a legal name and a document, and links and the like, behind which
/// another reader may see a node ([`read_child`] says what they are). Anything else is passed over. Names that only Zarr v3 forbids are legal
/// for nodes of Zarr v2.
pub(crate) fn child_names(store: &dyn Store, prefix: &Key) -> Result<Vec<String>> {
    let mut candidates = Vec::new();
    store.list(prefix, &mut |entry| {
        let legal = name_fault(&entry.name).is_none();
        if entry.kind == EntryKind::Prefix || entry.kind == EntryKind::Other && legal {
            candidates.push((entry.name, entry.kind, legal));
        }
        Ok(())
    })?;
    let mut names = Vec::new();
    for (name, kind, legal) in candidates {
        let key = prefix.join(&name)?;
        if kind == EntryKind::Prefix
            && let Some(target) = belongs_to(store, &key)?
        {
            // What a rechunk is making, or has replaced, is no node but that of the target, while it stands in for that.
            let stands_in = published(store, &target)?.as_ref() == Some(&key);
            names.extend(stands_in.then(|| target.name().to_owned()));
            continue;
        }
        // Whatever stands in the place of the document is for the reading of this child to say.
        let found = match (kind, legal) {
            (EntryKind::Other, _) => true,
            (_, true) => !matches!(store.size(&key.join(DOCUMENT)?), Ok(None)) || !matches!(v2::is_node(store, &key), Ok(false)),
            (_, false) => is_v2_node(store, &key)?,
        };
        if found {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The document of a node that was found by [`child_names`].
///
/// # Errors
/// As [`read_node`]; [`Error::Unsupported`] for what is no directory of our own: a link, a special file, a name that is not UTF-8.
pub(crate) fn read_child(store: &dyn Store, key: &Key) -> Result<NodeMetadata> {
    find_child(store, key).1
}

/// As [`read_child`], with where the node is: elsewhere than at `key` while another tree stands in for it (PUB-26).
pub(crate) fn find_child(store: &dyn Store, key: &Key) -> (Key, Result<NodeMetadata>) {
    let error = match find_node(store, key.clone()) {
        Ok((at, node, _)) => return (at, Ok(node)),
        Err(error) => error,
    };
    let what = match store.kind(key) {
        Ok(Some(EntryKind::Other)) => "a link or special file, which is never followed; put the node itself there",
        Ok(None) if key.name().contains(char::REPLACEMENT_CHARACTER) => "a name that is not UTF-8, which no node can have",
        _ => {
            let stand_in = published(store, key).ok().flatten();
            return (stand_in.unwrap_or_else(|| key.clone()), Err(error));
        }
    };
    (key.clone(), Err(Error::unsupported(what).at(&store.locate(key))))
}

/// Checks the names of a new node, that nothing is there, and that it is not inside an array; makes its prefix.
pub(crate) fn reserve_prefix(store: &dyn Store, prefix: &Key) -> Result<()> {
    if !prefix.is_root() {
        prefix.as_str().split('/').try_for_each(check_node_name)?;
    }
    let mut above = prefix.parent();
    while let Some(parent) = above {
        if store.kind(&parent)?.is_some() {
            check_parent(read_optional_node(store, &parent)?, &store.locate(prefix), &store.locate(&parent))?;
            break;
        }
        above = parent.parent();
    }
    if published(store, prefix)?.is_some() {
        return Err(between_names(store.locate(prefix)));
    }
    match store.kind(prefix)? {
        None => {
            return match store.create_prefix(prefix) {
                Err(Error::AlreadyExists { .. }) => Err(taken(store, prefix)),
                done => done,
            };
        }
        Some(EntryKind::Prefix) => {}
        Some(EntryKind::Value | EntryKind::Other) => return Err(taken(store, prefix)),
    }
    let mut empty = true;
    store.list(prefix, &mut |_| {
        empty = false;
        Ok(())
    })?;
    if empty { Ok(()) } else { Err(taken(store, prefix)) }
}

/// Gives a new node at `prefix` its document, unless somebody else has made one there since [`reserve_prefix`].
pub(crate) fn set_new_document(store: &dyn Store, prefix: &Key, document: &[u8]) -> Result<()> {
    let key = prefix.join(DOCUMENT)?;
    let change = change_document(store, &key)?;
    if change.value().is_some() {
        return Err(taken(store, prefix));
    }
    match change.set(document) {
        Ok(true) => Ok(()),
        Ok(false) => Err(taken(store, prefix)),
        // Where nobody can be kept out, a new node is made nevertheless (LCK-8).
        Err(Error::Unsupported { .. }) => store.set(&key, document),
        Err(error) => Err(error),
    }
}

fn taken(store: &dyn Store, prefix: &Key) -> Error {
    Error::AlreadyExists { path: store.locate(prefix), advice: "choose another name, or remove it first".to_owned() }
}

/// Checks the name of a node (Zarr v3 core specification, "Node names").
///
/// # Errors
/// [`Error::InvalidArgument`] that says what is wrong with the name.
pub(crate) fn check_node_name(name: &str) -> Result<()> {
    match name_fault(name) {
        None => Ok(()),
        Some(fault) => Err(Error::invalid(format!("{name:?} cannot name a node: {fault}"))),
    }
}

/// Checks the name of a node that may be there: one that only Zarr v3 forbids is legal where a node of Zarr v2 has it.
///
/// # Errors
/// As [`check_node_name`].
pub(crate) fn check_member_name(store: &dyn Store, parent: &Key, name: &str) -> Result<()> {
    match check_node_name(name) {
        Err(error) if name.contains('/') || !parent.join(name).is_ok_and(|key| is_v2_node(store, &key).unwrap_or(false)) => Err(error),
        _ => Ok(()),
    }
}

/// Whether `key` holds documents of Zarr v2 and no `zarr.json`.
fn is_v2_node(store: &dyn Store, key: &Key) -> Result<bool> {
    Ok(store.kind(&key.join(DOCUMENT)?)?.is_none() && v2::is_node(store, key)?)
}

fn name_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.contains(['/', '\0']) {
        Some("it holds a slash or a NUL")
    } else if name.bytes().all(|byte| byte == b'.') {
        Some("it is made of dots alone")
    } else if name.starts_with("__") {
        Some("names that begin with __ are reserved")
    } else if name == DOCUMENT {
        Some("that is the name of the metadata document")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        for good in ["a", "c", " ", ".hidden", "a.b", "_x", "zarr.json.old", "träume", "0"] {
            assert!(check_node_name(good).is_ok(), "{good:?}");
        }
        for bad in ["", ".", "..", "...", "__x", "__", "zarr.json", "a/b", "a\0b"] {
            assert!(matches!(check_node_name(bad), Err(Error::InvalidArgument { .. })), "{bad:?}");
        }
    }
}
