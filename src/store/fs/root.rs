//! The root directory handle, and the resolution of keys beneath it without ever following a link or leaving it.
//!
//! Invariants
//! 1. Every access to a key starts at the handle: when the root directory is renamed, its store stays the same tree.
//! 2. No component of a key is resolved through a symbolic link.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::{Errno, Result as SysResult, retry_on_intr};

use crate::error::{Error, Result};
use crate::store::{EntryKind, Key, NODE_DOCUMENTS, obstructed};

/// Flags of a directory that others are opened beneath. Needs the permission to search it, not to read it.
const SEARCH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// What every open adds: links are not followed, children do not inherit.
const ALWAYS: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);
const NEW_FILE: Mode = Mode::from_raw_mode(0o666);
const NEW_DIRECTORY: Mode = Mode::from_raw_mode(0o777);

/// The handle of the root directory.
#[derive(Debug)]
pub(super) struct Root {
    handle: OwnedFd,
    path: PathBuf,
    /// Whether `openat2` is known to be missing, so that keys are resolved name by name.
    stepwise: AtomicBool,
}

impl Root {
    /// Opens the directory at `path`, which may be reached through links.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = || path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())) {
            Ok(handle) => Ok(Self { handle, path: path.to_owned(), stepwise: AtomicBool::new(false) }),
            Err(Errno::NOENT) => Err(Error::NotFound { path: shown(), what: "a directory".into() }),
            Err(Errno::NOTDIR) => Err(match rustix::fs::stat(path) {
                Ok(stat) => {
                    Error::unsupported(format!("{} stands here; a Zarr v3 array or group is a directory", name_of(&stat))).at(&shown())
                }
                Err(_) => Error::NotFound { path: shown(), what: "a directory (a part of the path is a file)".into() },
            }),
            Err(errno) => Err(Error::io("open", shown(), errno.into())),
        }
    }

    /// The directory at `key` as a root of its own; none if there is nothing.
    pub(super) fn enter(&self, key: &Key) -> Result<Option<Self>> {
        let Some(handle) = self.open_directory(key)? else { return Ok(None) };
        let stepwise = AtomicBool::new(self.stepwise.load(Ordering::Relaxed));
        Ok(Some(Self { handle, path: self.path.join(key.as_str()), stepwise }))
    }

    pub(super) fn handle(&self) -> &OwnedFd {
        &self.handle
    }

    pub(super) fn locate(&self, key: &Key) -> String {
        if key.is_root() { self.path.display().to_string() } else { self.path.join(key.as_str()).display().to_string() }
    }

    /// Resolves name by name from now on, as on a kernel without `openat2`.
    #[cfg(test)]
    pub(super) fn force_stepwise(&self) {
        self.stepwise.store(true, Ordering::Relaxed);
    }

    /// Opens what stands at `key`.
    fn open_key(&self, key: &Key, flags: OFlags, mode: Mode) -> SysResult<OwnedFd> {
        let flags = flags | ALWAYS;
        if !self.stepwise.load(Ordering::Relaxed) {
            let path = if key.is_root() { "." } else { key.as_str() };
            let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            match retry_on_intr(|| rustix::fs::openat2(&self.handle, path, flags, mode, how)) {
                Err(Errno::NOSYS) => self.stepwise.store(true, Ordering::Relaxed),
                // Refused by a sandbox, or by a race; or the key is longer than a path may be, which its single names are not.
                Err(Errno::PERM | Errno::AGAIN | Errno::NAMETOOLONG) => {}
                opened => return opened,
            }
        }
        let (parent, name) = match key.parent() {
            None => (None, "."),
            Some(parent) => (self.step_to(&parent)?, key.name()),
        };
        retry_on_intr(|| rustix::fs::openat(parent.as_ref().unwrap_or(&self.handle), name, flags, mode))
    }

    /// The directory `key`, reached name by name; none for the root.
    fn step_to(&self, key: &Key) -> SysResult<Option<OwnedFd>> {
        let mut at = None;
        for name in key.as_str().split('/').filter(|name| !name.is_empty()) {
            let from = at.as_ref().unwrap_or(&self.handle);
            at = Some(retry_on_intr(|| rustix::fs::openat(from, name, SEARCH | ALWAYS, Mode::empty()))?);
        }
        Ok(at)
    }

    /// The regular file at `key` opened for reading, with its state; none if there is nothing.
    pub(super) fn open_value(&self, key: &Key) -> Result<Option<(OwnedFd, Stat)>> {
        self.open_regular(key, OFlags::RDONLY)
    }

    /// The regular file at `key` opened for writing in place, created with its parents if there is none.
    pub(super) fn create_value(&self, key: &Key) -> Result<(OwnedFd, Stat)> {
        for _ in 0..RACES {
            if let Some(opened) = self.open_regular(key, OFlags::WRONLY | OFlags::CREATE)? {
                return Ok(opened);
            }
            self.make_parent(key)?;
        }
        Err(self.fault("create", key, "a value", Errno::NOENT))
    }

    /// Opens a regular file. Whatever else stands at `key` is not opened: for a device, that alone can have effects.
    fn open_regular(&self, key: &Key, flags: OFlags) -> Result<Option<(OwnedFd, Stat)>> {
        // A bound for file systems that number directories anew each time.
        for _ in 0..OTHER_TREES {
            match self.look_for(key, flags)? {
                Looked::Found(file, stat) => return Ok(Some((file, *stat))),
                Looked::Missing(parent) if self.is_other_tree(key, parent.as_ref())? => {}
                Looked::Missing(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Whether a document is missing since the directory that it was looked for in has been replaced, and its deletion begun, meanwhile: then
    /// that it is missing says nothing of what has the name now. Of values that are no documents, this is not asked.
    fn is_other_tree(&self, key: &Key, parent: Option<&OwnedFd>) -> Result<bool> {
        let (Some(above), Some(parent)) = (key.parent().filter(|above| !above.is_root()), parent) else { return Ok(false) };
        if !NODE_DOCUMENTS.contains(&key.name()) {
            return Ok(false);
        }
        let fault = |errno| self.fault("stat", key, "a directory", errno);
        let looked_in = rustix::fs::fstat(parent).map_err(fault)?;
        let named = self.stat(&above)?;
        Ok(named.is_some_and(|named| (named.st_dev, named.st_ino) != (looked_in.st_dev, looked_in.st_ino)))
    }

    fn look_for(&self, key: &Key, flags: OFlags) -> Result<Looked> {
        let fault = |op, errno| self.fault(op, key, "a value", errno);
        let Some(parent) = key.parent() else { return Err(obstructed(self.locate(key), "a directory", "a value")) };
        let parent = match self.open_key(&parent, SEARCH, Mode::empty()) {
            Ok(parent) => parent,
            Err(Errno::NOENT) => return Ok(Looked::Missing(None)),
            Err(errno) => return Err(fault("open", errno)),
        };
        let regular = |stat: &Stat| match kind_of(stat) {
            EntryKind::Value => Ok(()),
            _ => Err(obstructed(self.locate(key), name_of(stat), "a value")),
        };
        let mode = if flags.contains(OFlags::CREATE) { NEW_FILE } else { Mode::empty() };
        match stat_in(&parent, key.name()) {
            Ok(stat) => regular(&stat)?,
            Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => {}
            Err(Errno::NOENT) => return Ok(Looked::Missing(Some(parent))),
            Err(errno) => return Err(fault("stat", errno)),
        }
        // Without blocking: something else may have taken the name meanwhile, and the opening of a FIFO would wait for its other end.
        let file = match retry_on_intr(|| rustix::fs::openat(&parent, key.name(), flags | OFlags::NONBLOCK | ALWAYS, mode)) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Looked::Missing(Some(parent))),
            Err(errno) => return Err(fault("open", errno)),
        };
        let stat = rustix::fs::fstat(&file).map_err(|errno| fault("stat", errno))?;
        regular(&stat)?;
        Ok(Looked::Found(file, Box::new(stat)))
    }

    /// The directory at `key` opened for reading its entries, or for locking it.
    pub(super) fn open_directory(&self, key: &Key) -> Result<Option<OwnedFd>> {
        self.directory(key, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// The parent of `key` opened for operations on its entries, with the name of `key` in it; none if there is no such directory.
    pub(super) fn open_parent<'k>(&self, key: &'k Key) -> Result<Option<(OwnedFd, &'k str)>> {
        Ok(self.directory(&parent_of(key)?, SEARCH)?.map(|directory| (directory, key.name())))
    }

    fn directory(&self, key: &Key, flags: OFlags) -> Result<Option<OwnedFd>> {
        match self.open_key(key, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(directory)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.fault("open", key, "a directory", errno)),
        }
    }

    /// As [`Root::open_parent`], making all directories that are missing.
    pub(super) fn make_parent<'k>(&self, key: &'k Key) -> Result<(OwnedFd, &'k str)> {
        if let Some(found) = self.open_parent(key)? {
            return Ok(found);
        }
        let mut at = None;
        let mut path = Key::root();
        for name in parent_of(key)?.as_str().split('/').filter(|name| !name.is_empty()) {
            path = path.join(name)?;
            let from = at.as_ref().unwrap_or(&self.handle);
            at = Some(self.enter_or_make(from, name, &path)?);
        }
        // The key has a parent that was not there, so the loop has entered at least one directory.
        let directory = at.ok_or_else(|| self.fault("open", key, "a value", Errno::NOENT))?;
        Ok((directory, key.name()))
    }

    fn enter_or_make(&self, from: &OwnedFd, name: &str, path: &Key) -> Result<OwnedFd> {
        for _ in 0..RACES {
            match retry_on_intr(|| rustix::fs::openat(from, name, SEARCH | ALWAYS, Mode::empty())) {
                Ok(directory) => return Ok(directory),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.fault("open", path, "a directory", errno)),
            }
            match rustix::fs::mkdirat(from, name, NEW_DIRECTORY) {
                // Another thread or process may have made it meanwhile.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.fault("create directory", path, "a directory", errno)),
            }
        }
        Err(self.fault("create directory", path, "a directory", Errno::NOENT))
    }

    /// Makes the directory `key` itself, which must not exist.
    pub(super) fn make_directory(&self, key: &Key) -> Result<()> {
        let (parent, name) = self.make_parent(key)?;
        rustix::fs::mkdirat(&parent, name, NEW_DIRECTORY).map_err(|errno| self.fault("create directory", key, "a directory", errno))
    }

    /// What stands at `key`, and its state; none if nothing does. A link is itself, not what it leads to.
    pub(super) fn stat(&self, key: &Key) -> Result<Option<Stat>> {
        let fault = |errno| self.fault("stat", key, "an entry", errno);
        let Some(parent) = key.parent() else { return retry_on_intr(|| rustix::fs::fstat(&self.handle)).map(Some).map_err(fault) };
        for _ in 0..OTHER_TREES {
            let Some(directory) = self.directory(&parent, SEARCH)? else { return Ok(None) };
            match stat_in(&directory, key.name()) {
                Ok(stat) => return Ok(Some(stat)),
                Err(Errno::NOENT) if self.is_other_tree(key, Some(&directory))? => {}
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(fault(errno)),
            }
        }
        Ok(None)
    }

    /// The error for `errno`, which `op` on `key` gave, where `wanted` should have been: it names what is in the way, if something is.
    pub(super) fn fault(&self, op: &'static str, key: &Key, wanted: &str, errno: Errno) -> Error {
        match errno {
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::NODEV | Errno::MLINK => match self.obstacle(key) {
                Some((at, found)) if at == *key => obstructed(self.locate(&at), found, wanted),
                Some((at, found)) => obstructed(self.locate(&at), found, "a directory"),
                None => Error::io(op, self.locate(key), errno.into()),
            },
            Errno::NOENT => Error::NotFound { path: self.locate(key), what: wanted.to_owned() },
            Errno::EXIST => Error::AlreadyExists { path: self.locate(key), advice: "move it away, or choose another name".to_owned() },
            _ => Error::io(op, self.locate(key), errno.into()),
        }
    }

    /// The first part of `key` that is no directory, or else what stands at `key`.
    fn obstacle(&self, key: &Key) -> Option<(Key, &'static str)> {
        let mut at = None;
        let mut path = Key::root();
        for name in key.as_str().split('/').filter(|name| !name.is_empty()) {
            path = path.join(name).ok()?;
            let from = at.as_ref().unwrap_or(&self.handle);
            let stat = stat_in(from, name).ok()?;
            if path == *key || kind_of(&stat) != EntryKind::Prefix {
                return Some((path, name_of(&stat)));
            }
            at = Some(rustix::fs::openat(from, name, SEARCH | ALWAYS, Mode::empty()).ok()?);
        }
        None
    }
}

/// What became of the opening of a regular file.
enum Looked {
    Found(OwnedFd, Box<Stat>),
    /// There is nothing in this directory; none if there is no such directory.
    Missing(Option<OwnedFd>),
}

/// How often a lookup is tried again when others create and remove the same names.
const RACES: usize = 8;

/// How often a document is looked for again while others put new trees in the place of the one that it was missing in.
const OTHER_TREES: usize = 1000;

fn parent_of(key: &Key) -> Result<Key> {
    key.parent().ok_or_else(|| Error::invalid("the root of a store is a directory; a key below it is wanted"))
}

pub(super) fn stat_in(directory: &OwnedFd, name: &str) -> SysResult<Stat> {
    retry_on_intr(|| rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW))
}

/// Creates the file `name` in `directory`, which must not have anything of that name.
pub(super) fn create_new(directory: &OwnedFd, name: &str) -> SysResult<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | ALWAYS;
    retry_on_intr(|| rustix::fs::openat(directory, name, flags, NEW_FILE))
}

pub(super) fn kind_of(stat: &Stat) -> EntryKind {
    kind_of_type(FileType::from_raw_mode(stat.st_mode))
}

pub(super) fn kind_of_type(kind: FileType) -> EntryKind {
    match kind {
        FileType::RegularFile => EntryKind::Value,
        FileType::Directory => EntryKind::Prefix,
        _ => EntryKind::Other,
    }
}

/// What a person calls this kind of file.
pub(super) fn name_of(stat: &Stat) -> &'static str {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}
