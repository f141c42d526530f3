//! A zip file as a store that is read; it is written whole, by [`pack`] (`spec/format.md`, FMT-ZIP-1 to FMT-ZIP-12).
//!
//! Invariants
//! 1. The directory of the file is read once, when it is opened, and checked as a whole: every name is a key, no two entries share a byte,
//!    none reaches into the directory.
//! 2. Memory is bounded by the size of the directory, and by the size of a value that is inflated, which its caller knows.
//! 3. What is read whole is checked against its CRC-32.

use std::any::Any;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::directory::Directory;
use self::value::ZipValue;
use super::fs::Reads;
use super::{Entry, EntryKind, Key, Lock, ReadMode, Stamp, Store, Value, obstructed, path};
use crate::error::{Error, Result};

mod directory;
mod end;
mod pack;
mod record;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use pack::{PackOptions, PackReport, pack};
pub(super) use record::is_zip;

/// What is said where a zip file would have to change.
pub(super) const READ_ONLY: &str = "a zip file is not changed in place; work in a directory, and pack it last (rezarr pack)";

/// A zip file. Its entries are values; names with slashes lie below one another as files do.
///
/// It is only read: every call that would change it is [`Error::Unsupported`]. [`pack`] makes one of a directory.
#[derive(Clone, Debug)]
pub struct ZipStore {
    file: Arc<OwnedFd>,
    path: PathBuf,
    /// What keys are relative to.
    base: Key,
    directory: Arc<Directory>,
    reads: Reads,
}

impl ZipStore {
    /// Opens the zip file at `path`, which may itself be reached through links.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is nothing, [`Error::Unsupported`] if it is no regular file or needs what this build does not have,
    /// [`Error::Corrupt`] where the file breaks a rule of the format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (file, size) = path::open_file(path)?;
        Self::from_file(file, size, path, Reads::default())
    }

    /// The store of an open file of `size` bytes.
    pub(super) fn from_file(file: OwnedFd, size: u64, path: &Path, reads: Reads) -> Result<Self> {
        let directory = Directory::read(&file, size).map_err(|error| error.at(&path.display().to_string()))?;
        Ok(Self { file: Arc::new(file), path: path.to_owned(), base: Key::root(), directory: Arc::new(directory), reads })
    }

    /// The part of the store below `base`, which becomes its root.
    pub(super) fn below(mut self, base: Key) -> Self {
        self.base = base;
        self
    }

    /// Reads values in this way from now on; what is inflated is always copied.
    #[must_use]
    pub fn with_read_mode(mut self, mode: ReadMode) -> Self {
        self.reads.mode = mode;
        self
    }

    /// As [`FilesystemStore::with_drop_behind`](super::FilesystemStore::with_drop_behind).
    #[must_use]
    pub fn with_drop_behind(mut self, drop_behind: bool) -> Self {
        self.reads.drop_behind = drop_behind;
        self
    }

    /// The name in the file of a key.
    fn name(&self, key: &Key) -> Result<Key> {
        if key.is_root() { Ok(self.base.clone()) } else { self.base.join(key.as_str()) }
    }

    fn shown(&self, name: &Key) -> String {
        if name.is_root() { self.path.display().to_string() } else { self.path.join(name.as_str()).display().to_string() }
    }

    /// What stands at `name`, none of whose parents may be a value.
    fn kind_of(&self, name: &Key) -> Result<Option<EntryKind>> {
        let parents = name.as_str().match_indices('/').filter_map(|(at, _)| name.as_str().get(..at));
        for parent in parents {
            if self.directory.find(parent).is_some() {
                return Err(obstructed(self.path.join(parent).display().to_string(), "a value", "a prefix"));
            }
        }
        Ok(match (self.directory.find(name.as_str()).is_some(), name.is_root() || self.directory.holds(name.as_str())) {
            (true, true) => Some(EntryKind::Other),
            (true, false) => Some(EntryKind::Value),
            (false, true) => Some(EntryKind::Prefix),
            (false, false) => None,
        })
    }

    /// The entry of the value at `name`; none if there is nothing.
    fn entry(&self, name: &Key) -> Result<Option<directory::Record>> {
        let wanted = "a value";
        match self.kind_of(name)? {
            None => Ok(None),
            Some(EntryKind::Value) => Ok(self.directory.find(name.as_str()).copied()),
            Some(EntryKind::Prefix) => Err(obstructed(self.shown(name), "a prefix", wanted)),
            Some(EntryKind::Other) => Err(obstructed(self.shown(name), "both a value and a prefix", wanted)),
        }
    }

    fn read_only<T>(&self, key: &Key) -> Result<T> {
        Err(Error::unsupported(READ_ONLY).at(&self.locate(key)))
    }
}

impl Store for ZipStore {
    fn kind(&self, key: &Key) -> Result<Option<EntryKind>> {
        self.kind_of(&self.name(key)?)
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn Value>>> {
        let name = self.name(key)?;
        let Some(record) = self.entry(&name)? else { return Ok(None) };
        let value = ZipValue::open(Arc::clone(&self.file), name.as_str(), record, self.shown(&name), self.reads);
        Ok(Some(Box::new(value.map_err(|error| error.at(&self.shown(&name)))?)))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>> {
        Ok(self.entry(&self.name(key)?)?.map(|record| record.size))
    }

    fn set(&self, key: &Key, _: &[u8]) -> Result<()> {
        self.read_only(key)
    }

    fn write_at(&self, key: &Key, _: u64, _: &[u8]) -> Result<()> {
        self.read_only(key)
    }

    fn copy_from(&self, _: &dyn Store, _: &Key, to: &Key) -> Result<Option<u64>> {
        self.read_only(to)
    }

    fn erase(&self, key: &Key) -> Result<bool> {
        self.read_only(key)
    }

    fn erase_prefix(&self, prefix: &Key) -> Result<bool> {
        self.read_only(prefix)
    }

    fn list(&self, prefix: &Key, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let name = self.name(prefix)?;
        match self.kind_of(&name)? {
            None => Ok(()),
            Some(EntryKind::Prefix) => self.directory.list(name.as_str(), visit),
            Some(EntryKind::Value) => Err(obstructed(self.shown(&name), "a value", "a prefix")),
            Some(EntryKind::Other) => Err(obstructed(self.shown(&name), "both a value and a prefix", "a prefix")),
        }
    }

    fn create_prefix(&self, prefix: &Key) -> Result<()> {
        self.read_only(prefix)
    }

    fn rename(&self, _: &Key, to: &Key) -> Result<()> {
        self.read_only(to)
    }

    fn exchange(&self, a: &Key, _: &Key) -> Result<()> {
        self.read_only(a)
    }

    /// There is never anything to wait for.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    /// That of the file, and what its directory says of the value: another program may have changed either.
    fn stamp(&self, key: &Key) -> Result<Option<Stamp>> {
        let name = self.name(key)?;
        let Some(record) = self.entry(&name)? else { return Ok(None) };
        let stat = rustix::fs::fstat(&self.file).map_err(|errno| Error::io("stat", self.shown(&name), errno.into()))?;
        let file = super::fs::stamp_of(&stat);
        Ok(Some(Stamp {
            file: file.file ^ record.offset.rotate_left(32),
            size: record.size,
            modified_ns: file.modified_ns ^ (i128::from(record.crc) << 64),
        }))
    }

    fn lock(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.read_only(prefix)
    }

    fn locate(&self, key: &Key) -> String {
        self.name(key).map_or_else(|_| key.to_string(), |name| self.shown(&name))
    }

    fn held_bytes(&self) -> u64 {
        self.directory.held_bytes()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
