//! Where bytes live: keys, values, and the few operations that a Zarr hierarchy needs of its storage.
//!
//! The trait is small and synchronous so that one definition serves as the interface, as the place where faults are injected, and
//! as the simulator of crashes. All implementations pass the conformance suite in `tests/store.rs`.

use std::fmt;
use std::sync::Arc;

use crate::buffer::append;
use crate::error::{Error, Result};

#[cfg(test)]
pub(crate) mod faulty;
mod fs;
mod memory;
mod mmap;
mod path;
mod zip;

pub use fs::{FilesystemStore, ReadMode};
pub(crate) use fs::{Reads, is_temporary_name};
pub use memory::MemoryStore;
pub use mmap::MappedValue;
pub(crate) use path::{is_file, open_directory, open_path, resolved, resolved_above};
pub use zip::{PackOptions, PackReport, ZipStore, pack};

/// The name of the metadata document of a node: the value that [`Store::erase_prefix`] removes first in every prefix.
pub(crate) const DOCUMENT: &str = "zarr.json";

/// The name of the document of an array of Zarr v2, which [`Store::erase_prefix`] removes next.
pub(crate) const V2_ARRAY: &str = ".zarray";

/// The name of the document of a group of Zarr v2.
pub(crate) const V2_GROUP: &str = ".zgroup";

/// The names of all values that make a node of a prefix, in the order in which they count, and in which [`Store::erase_prefix`] removes them before
/// anything else: what has lost a chunk or a member is no node.
pub(crate) const NODE_DOCUMENTS: [&str; 3] = [DOCUMENT, V2_ARRAY, V2_GROUP];

/// A validated key: non-empty names joined by `/`; the empty key is the root.
///
/// No name is `.` or `..`, none holds a NUL, and each has at most 255 bytes, so that a key cannot leave the store that it is used on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

impl Key {
    /// The root of the store.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// Checks a key.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming the part that is not a legal name.
    pub fn new(key: impl Into<String>) -> Result<Self> {
        let key = key.into();
        if !key.is_empty() {
            for name in key.split('/') {
                let fault = match name {
                    "" => "an empty name",
                    "." | ".." => "a relative name",
                    _ if name.contains('\0') => "a NUL",
                    _ if name.len() > 255 => "a name of more than 255 bytes",
                    _ => continue,
                };
                return Err(Error::invalid(format!("key {key:?} holds {fault}; accepted are names joined by single slashes")));
            }
        }
        Ok(Self(key))
    }

    /// The key `self/name`; `name` may itself hold slashes.
    ///
    /// # Errors
    /// As [`Key::new`].
    pub fn join(&self, name: &str) -> Result<Self> {
        if self.0.is_empty() { Self::new(name) } else { Self::new(format!("{}/{name}", self.0)) }
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last name; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The key without its last name; the root for a single name, none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.0.is_empty() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

/// Which bytes of a value are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// All of them.
    All,
    /// `len` bytes from `offset`.
    From {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// The last `len` bytes.
    Last {
        /// Number of bytes.
        len: u64,
    },
}

/// What tells a value from what it was: a value that was set or changed meanwhile has another stamp, as far as the storage can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// The identity of the file, its inode: another one where the value was replaced.
    pub file: u64,
    /// Size in bytes.
    pub size: u64,
    /// When the bytes were last changed, in nanoseconds since 1970; where there is no clock, another number for other bytes.
    pub modified_ns: i128,
}

/// What stands directly below a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last name of its key.
    pub name: String,
    /// Whether it holds further keys (a directory) or a value (a regular file).
    pub kind: EntryKind,
}

/// The kind of an [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A value.
    Value,
    /// A prefix of further keys.
    Prefix,
    /// Neither, so that no value can be read here and no key leads further: a symbolic link (never followed, wherever it points), a socket, FIFO
    /// or device (never opened), or something whose name is not UTF-8.
    Other,
}

/// A lock on a prefix, held until it is dropped or its process ends.
pub trait Lock: Send + fmt::Debug {}

/// A value that has been opened: what is read through it is one value, however often its key is set or erased meanwhile.
///
/// (Only [`Store::write_at`], which is for trees that nobody reads yet, may change it.)
pub trait Value: Send + fmt::Debug {
    /// Size in bytes, as it was when the value was opened.
    fn size(&self) -> u64;

    /// Shows `visit` the bytes of `range`, in one slice that lives as long as the call. The range must lie inside the value
    /// ([`Error::Corrupt`] otherwise; `Last` of more than there is, too).
    ///
    /// The slice may be a memory map of the file. Errors of `visit` come back with the key added.
    fn read(&self, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>;

    /// Fills `out` with the bytes from `offset`, all of which must lie inside the value ([`Error::Corrupt`] otherwise).
    ///
    /// This implementation copies what [`Value::read`] shows; a value that can be read into memory directly should do that.
    fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.read(ByteRange::From { offset, len: out.len() as u64 }, &mut |bytes| {
            if bytes.len() != out.len() {
                return Err(Error::corrupt(format!("{} bytes are shown where {} are wanted", bytes.len(), out.len())));
            }
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    /// Says that `len` bytes from `offset` will be read soon, and that what lies around them will not: advice for a value that can fetch them
    /// meanwhile.
    fn expect(&self, _offset: u64, _len: u64) {}

    /// Checks the value against what its store itself keeps to find damage by, where it keeps anything: reads all of it then, in pieces.
    fn verify(&self) -> Result<()> {
        Ok(())
    }
}

/// A value that is open for writing in place, in a tree that nobody reads yet.
pub trait ValueWriter: Send + Sync + fmt::Debug {
    /// As [`Store::write_at`], for this value.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()>;

    /// Returns when what was written to this value would survive a power cut; its name is left to [`Store::sync`]. Fails as that does.
    fn sync(&self) -> Result<()>;
}

/// The change of one value, begun by [`Store::change`]: it ends with [`Change::set`], with [`Change::erase`], or, without effect, when it is dropped.
pub trait Change: fmt::Debug {
    /// The value as it is; none if there is none.
    fn value(&self) -> Option<&dyn Value>;

    /// Makes `bytes` the value, as [`Store::set`]. False if somebody else has made a value where there was none: then nothing has been done, and
    /// the change begins anew.
    fn set(self: Box<Self>, bytes: &[u8]) -> Result<bool>;

    /// Removes the value, if there is one; otherwise as [`Change::set`].
    fn erase(self: Box<Self>) -> Result<bool>;
}

/// A change that keeps nobody else out.
#[derive(Debug)]
struct Unguarded<'s, S: ?Sized> {
    at: AtKey<'s, S>,
    value: Option<Box<dyn Value>>,
}

impl<S: Store + ?Sized> Change for Unguarded<'_, S> {
    fn value(&self) -> Option<&dyn Value> {
        self.value.as_deref()
    }

    fn set(self: Box<Self>, bytes: &[u8]) -> Result<bool> {
        self.at.store.set(&self.at.key, bytes).map(|()| true)
    }

    fn erase(self: Box<Self>) -> Result<bool> {
        self.at.store.erase(&self.at.key).map(|_| true)
    }
}

/// A value that is found by its key for every write.
#[derive(Debug)]
struct AtKey<'s, S: ?Sized> {
    store: &'s S,
    key: Key,
}

impl<S: Store + ?Sized> ValueWriter for AtKey<'_, S> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.store.write_at(&self.key, offset, bytes)
    }

    fn sync(&self) -> Result<()> {
        self.store.sync()
    }
}

/// Storage for a hierarchy: values under keys.
///
/// A missing value is `None` or `false`, and only that: whatever else stands in the way (a directory at the key of a value, a
/// dangling link, a permission) is an error, since in Zarr a missing chunk *means* the fill value.
pub trait Store: Send + Sync + fmt::Debug {
    /// What stands at `key`, without opening it; none if nothing does. The root is a prefix.
    ///
    /// This implementation searches the listing of the parent; a store that can ask directly should.
    fn kind(&self, key: &Key) -> Result<Option<EntryKind>> {
        let Some(parent) = key.parent() else { return Ok(Some(EntryKind::Prefix)) };
        let mut found = None;
        self.list(&parent, &mut |entry| {
            if entry.name == key.name() {
                found = Some(entry.kind);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Opens the value at `key`; none if there is no value. Whoever looks at a value more than once must do so through this: a key that is
    /// asked twice may answer with two values.
    fn open(&self, key: &Key) -> Result<Option<Box<dyn Value>>>;

    /// Size in bytes of the value at `key`; none if there is no value.
    ///
    /// This implementation opens the value; a store that can tell without should.
    fn size(&self, key: &Key) -> Result<Option<u64>> {
        Ok(self.open(key)?.map(|value| value.size()))
    }

    /// Shows `visit` the bytes of `range` of the value at `key`, as [`Value::read`] does; returns whether there is a value.
    fn read(&self, key: &Key, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        match self.open(key)? {
            None => Ok(false),
            Some(value) => value.read(range, visit).map(|()| true),
        }
    }

    /// Sets the value at `key` to `value` atomically: readers see all of the old value or all of the new.
    fn set(&self, key: &Key, value: &[u8]) -> Result<()>;

    /// Writes `bytes` at `offset` of the value at `key`, creating or extending it; what lies between the old end and `offset` reads as
    /// zeros. Not atomic: for trees that nobody reads yet. Writing no bytes makes the value exist, and does not extend it.
    fn write_at(&self, key: &Key, offset: u64, bytes: &[u8]) -> Result<()>;

    /// The value at `key`, to be written to many times. It exists, with its parents, when something is written at the latest.
    ///
    /// This implementation looks for the key at every write; a store that can keep it open should.
    fn writer<'s>(&'s self, key: &Key) -> Result<Box<dyn ValueWriter + 's>> {
        Ok(Box::new(AtKey { store: self, key: key.clone() }))
    }

    /// Copies the value at `from` in the store `source` to `to` here, without it passing through the caller's memory; returns its size,
    /// or none if there is no value. What stood at `to` is replaced whole.
    fn copy_from(&self, source: &dyn Store, from: &Key, to: &Key) -> Result<Option<u64>>;

    /// Removes the value at `key`; returns whether there was one.
    fn erase(&self, key: &Key) -> Result<bool>;

    /// Removes everything below `prefix`, and `prefix` itself (but never the root itself); returns whether there was anything. Links are
    /// removed, never followed. A value at `prefix` is an error, as it is no prefix.
    ///
    /// In every prefix `zarr.json` goes first, then `.zarray`, and then `.zgroup`, so that a reader of a node that is being deleted finds its metadata
    /// gone, rather than chunks missing, which would mean the fill value, or members. It is not atomic: what an error or a crash leaves can be removed by another call.
    fn erase_prefix(&self, prefix: &Key) -> Result<bool>;

    /// Removes `prefix`, which must be empty; returns whether it was there. Where it is not empty, that is an error, and nothing is removed.
    ///
    /// This implementation looks first; a store that can do both in one step should.
    fn erase_empty(&self, prefix: &Key) -> Result<bool> {
        let mut empty = true;
        self.list(prefix, &mut |_| {
            empty = false;
            Ok(())
        })?;
        if empty {
            return self.erase_prefix(prefix);
        }
        Err(Error::io("remove", self.locate(prefix), std::io::ErrorKind::DirectoryNotEmpty.into()))
    }

    /// Calls `visit` for each entry directly below `prefix`, in no particular order, one after the other, without collecting them. A
    /// prefix that is not there has no entries. `visit` may erase the entry that it is shown. A name that is not UTF-8 is shown with
    /// replacement characters, as [`EntryKind::Other`], since no key can reach it.
    fn list(&self, prefix: &Key, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()>;

    /// Makes `prefix` exist as an empty prefix ([`Error::AlreadyExists`] if anything is there), with its parents.
    fn create_prefix(&self, prefix: &Key) -> Result<()>;

    /// Renames the tree or value `from` to `to`, which must not exist ([`Error::AlreadyExists`]), in one atomic step. The parent of `to` must
    /// exist, and so must `from` ([`Error::NotFound`]).
    fn rename(&self, from: &Key, to: &Key) -> Result<()>;

    /// Exchanges two trees in one atomic step. [`Error::Unsupported`] where the storage cannot do this, [`Error::NotFound`] if one of them
    /// is not there.
    fn exchange(&self, a: &Key, b: &Key) -> Result<()>;

    /// Returns when everything written so far would survive a power cut. After a failure, what was written since the last success may be
    /// lost, and every later call fails as well, and so do [`Store::sync_prefix`] and [`Store::set_durable`].
    fn sync(&self) -> Result<()>;

    /// Returns when the names directly in `prefix` would survive a power cut as they are: what was made, renamed, exchanged or removed there. It
    /// says nothing of the bytes of values, of what lies in prefixes below, and of the name of `prefix` itself. Fails as [`Store::sync`] does.
    ///
    /// This implementation syncs everything; a store that can do less should.
    fn sync_prefix(&self, _prefix: &Key) -> Result<()> {
        self.sync()
    }

    /// As [`Store::set`], and returns when the value, and its name in its prefix, would survive a power cut. It says nothing of the name of that
    /// prefix. Fails as [`Store::sync`] does.
    ///
    /// This implementation syncs everything; a store that can do less should.
    fn set_durable(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.set(key, value)?;
        self.sync()
    }

    /// What tells the value at `key` from what it was or will be, without reading it; none if there is no value.
    ///
    /// This implementation knows the size alone; a store that knows more should say it.
    fn stamp(&self, key: &Key) -> Result<Option<Stamp>> {
        Ok(self.size(key)?.map(|size| Stamp { file: 0, size, modified_ns: 0 }))
    }

    /// Takes an exclusive lock on the prefix, or says [`Error::Busy`] at once; [`Error::NotFound`] if there is no such prefix, [`Error::Stale`] if
    /// the root of this store no longer has the name that it was opened by. The lock belongs to the tree, not to its name: it travels with it
    /// through [`Store::rename`] and [`Store::exchange`].
    fn lock(&self, prefix: &Key) -> Result<Box<dyn Lock>>;

    /// Takes a lock that others may share, and which keeps out those who want the prefix for themselves; otherwise as [`Store::lock`].
    ///
    /// This implementation takes an exclusive lock; a store that several may write to should share it.
    fn lock_shared(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.lock(prefix)
    }

    /// Begins the change of the value at `key`. Whoever else changes it through this, in this process or another, waits until this change has
    /// ended, or is told to begin anew ([`Change::set`]), so that of two changes neither is lost. A thread must end one change before it
    /// begins the next. Readers are not in the way, and neither are those who write without this.
    ///
    /// This implementation keeps nobody out; a store that several may write to must.
    fn change<'s>(&'s self, key: &Key) -> Result<Box<dyn Change + 's>> {
        Ok(Box::new(Unguarded { at: AtKey { store: self, key: key.clone() }, value: self.open(key)? }))
    }

    /// The tree at `prefix` as a store of its own, which stays that tree whatever becomes of its name. None where this store cannot tell a tree
    /// from its name, where it is the root, and where no prefix is.
    fn tree(&self, _prefix: &Key) -> Result<Option<Arc<dyn Store>>> {
        Ok(None)
    }

    /// A path or name for messages: where `key` is, as a person would say it.
    fn locate(&self, key: &Key) -> String;

    /// What the store itself holds in memory as long as it is open, in bytes: the directory of a zip file.
    fn held_bytes(&self) -> u64 {
        0
    }

    /// This store as [`std::any::Any`], so that [`Store::copy_from`] can find out that both sides are file systems.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// As [`Store::change`], but keeps nobody out where there are no locks: for documents, of which a lost change costs copies at most.
pub(crate) fn change_document<'s>(store: &'s dyn Store, key: &Key) -> Result<Box<dyn Change + 's>> {
    match store.change(key) {
        Err(Error::Unsupported { .. }) => Ok(Box::new(Unguarded { at: AtKey { store, key: key.clone() }, value: store.open(key)? })),
        begun => begun,
    }
}

/// The whole value at `key` as a vector, refused when it is larger than `limit_bytes`.
pub(crate) fn read_to_vec(store: &dyn Store, key: &Key, limit_bytes: u64) -> Result<Option<Vec<u8>>> {
    match store.open(key)? {
        None => Ok(None),
        Some(value) => whole(&*value, limit_bytes).map_err(|error| error.at(&store.locate(key))).map(Some),
    }
}

/// A value as a vector, refused when it is larger than `limit_bytes`.
pub(crate) fn whole(value: &dyn Value, limit_bytes: u64) -> Result<Vec<u8>> {
    if value.size() > limit_bytes {
        return Err(Error::corrupt(format!("{} bytes, but at most {limit_bytes} are accepted here", value.size())));
    }
    let mut out = Vec::new();
    value.read(ByteRange::All, &mut |bytes| append(&mut out, bytes))?;
    Ok(out)
}

/// Where in a value of `size` bytes `range` lies, as offset and length.
fn resolve(range: ByteRange, size: u64) -> Result<(u64, usize)> {
    let outside = |wanted: String| Error::corrupt(format!("{wanted} are wanted, but the value has {size} bytes"));
    let (offset, len) = match range {
        ByteRange::All => (0, size),
        ByteRange::From { offset, len } => match offset.checked_add(len) {
            Some(end) if end <= size => (offset, len),
            _ => return Err(outside(format!("{len} bytes from offset {offset}"))),
        },
        ByteRange::Last { len } => match size.checked_sub(len) {
            Some(offset) => (offset, len),
            None => return Err(outside(format!("the last {len} bytes"))),
        },
    };
    let len = usize::try_from(len).map_err(|_| Error::corrupt(format!("a range of {len} bytes does not fit the address space")))?;
    Ok((offset, len))
}

/// Whether one of two keys lies below the other, or is the other.
fn nested(a: &Key, b: &Key) -> bool {
    let below = |a: &str, b: &str| a.is_empty() || b.strip_prefix(a).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below(&a.0, &b.0) || below(&b.0, &a.0)
}

/// Refuses to move a tree into itself, and the root anywhere.
fn check_move(from: &Key, to: &Key) -> Result<()> {
    if nested(from, to) {
        return Err(Error::invalid(format!("key {from} and key {to} lie within one another; two separate trees are wanted")));
    }
    Ok(())
}

/// The error for something at `path` that is not what is wanted there.
fn obstructed(path: impl Into<String>, found: &str, wanted: &str) -> Error {
    Error::Corrupt { key: path.into(), offset: None, what: format!("{found} stands where {wanted} is expected") }
}
