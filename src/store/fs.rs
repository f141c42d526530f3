//! A directory tree as a store.
//!
//! Invariants
//! 1. Every key is resolved beneath the handle of the root directory, through no link (`fs/root.rs`).
//! 2. Only regular files are values; whatever else stands at a key is an error that names it, and never "missing".
//! 3. A value that readers may have open is replaced by renaming a complete new file over it, and is never written to in place.
//! 4. Locks are on directories and files that are there anyway, and nothing is made for them (`fs/locks.rs`).

use std::any::Any;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, RenameFlags, Stat};
use rustix::io::{Errno, Result as SysResult};

use self::root::{Root, kind_of, kind_of_type, name_of, stat_in};
use self::value::FileValue;
pub(crate) use self::value::Reads;
use super::{ByteRange, Change, Entry, EntryKind, Key, Lock, Stamp, Store, Value, ValueWriter, check_move, obstructed};
use crate::error::{Error, Result};

mod locks;
mod remove;
mod root;
#[cfg(test)]
mod tests;
pub(super) mod transfer;
mod value;

/// How [`FilesystemStore`] reads values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// Through memory maps of the wanted range, all of whose pages are read before use; ranges of less than 256 KiB as by
    /// [`ReadMode::Positioned`], which is faster for them. A file that is shorter than its directory entry
    /// said when it was opened, or a device that fails, is an error; a file that another program cuts *during* the visit of its bytes ends
    /// the process (SIGBUS). No program that replaces files by renaming does this; for directories that others may write to in place, there
    /// is [`ReadMode::Positioned`].
    #[default]
    Mapped,
    /// Through positioned reads into memory.
    Positioned,
}

/// How far behind the end of what is written the page cache is emptied, in bytes.
const WRITE_BEHIND_BYTES: usize = 8 << 20;

/// A directory tree. Values are its regular files; symbolic links below its root are never followed.
#[derive(Debug)]
pub struct FilesystemStore {
    root: Root,
    /// Where the root was when it was opened, whatever becomes of the working directory; none where the system does not say.
    place: Option<PathBuf>,
    reads: Reads,
    write_behind: bool,
    exchanges: bool,
    locks: bool,
    /// Whether a sync has failed: the system reports a failure once, and may have given up the data.
    sync_failed: Arc<AtomicBool>,
}

impl FilesystemStore {
    /// Opens the directory at `path`, which may itself be reached through links.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is nothing, [`Error::Unsupported`] if it is no directory.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let root = Root::open(path.as_ref())?;
        let place = path.as_ref().canonicalize().ok();
        Ok(Self::at(root, place))
    }

    fn at(root: Root, place: Option<PathBuf>) -> Self {
        Self { root, place, reads: Reads::default(), write_behind: false, exchanges: true, locks: true, sync_failed: Arc::default() }
    }

    /// The directory at `key` as a store of its own, which stays that tree whatever name it gets; none if there is nothing.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is no directory, and what the system says.
    pub(crate) fn enter(&self, key: &Key) -> Result<Option<Self>> {
        let place = self.place.as_ref().map(|place| place.join(key.as_str()));
        let Some(root) = self.root.enter(key)? else { return Ok(None) };
        let (reads, write_behind, exchanges, locks) = (self.reads, self.write_behind, self.exchanges, self.locks);
        Ok(Some(Self { root, place, reads, write_behind, exchanges, locks, sync_failed: Arc::clone(&self.sync_failed) }))
    }

    /// Whether the tree at `key` is the root of `other`.
    pub(crate) fn is_root_of(&self, key: &Key, other: &Self) -> Result<bool> {
        let identity = |stat: Stat| (stat.st_dev, stat.st_ino);
        Ok(self.root.stat(key)?.map(identity) == other.root.stat(&Key::root())?.map(identity))
    }

    /// Gives the directory at `to` the permissions of the one at `from`.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn copy_permissions(&self, from: &Key, to: &Key) -> Result<()> {
        let permissions = |key| Ok::<_, Error>(self.root.stat(key)?.map(|stat| Mode::from_raw_mode(stat.st_mode & 0o7777)));
        let (Some(wanted), Some(directory)) = (permissions(from)?, self.root.open_directory(to)?) else { return Ok(()) };
        if permissions(to)? == Some(wanted) {
            return Ok(());
        }
        rustix::fs::fchmod(&directory, wanted).map_err(|errno| self.root.fault("set permissions", to, "a directory", errno))
    }

    /// Opens the directory at `path`, making it and its parents if there is nothing.
    ///
    /// # Errors
    /// As [`FilesystemStore::open`], and what the system says about making directories.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match Self::open(path) {
            Err(Error::NotFound { .. }) => {}
            opened => return opened,
        }
        std::fs::create_dir_all(path).map_err(|e| Error::io("create directory", path.display().to_string(), e))?;
        Self::open(path)
    }

    /// The directory that holds the root, as a store, and the name of the root in it; none at the top of the file system, where the name is not
    /// UTF-8, or where the directory may not be read.
    pub(crate) fn enclosing(&self) -> Result<Option<(Self, String)>> {
        let Some(path) = &self.place else { return Ok(None) };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else { return Ok(None) };
        match Self::open(parent) {
            Ok(store) => Ok(Some((store.with_locks(self.locks), name.to_owned()))),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
            // That a directory could not be opened for some other reason says nothing of what is in it.
            Err(error) => Err(error),
        }
    }

    /// Whether `other` is on the same file system, so that trees of either can take a name in the other.
    pub(crate) fn is_beside(&self, other: &Self) -> Result<bool> {
        let device = |store: &Self| Ok::<_, Error>(store.root.stat(&Key::root())?.map(|stat| stat.st_dev));
        Ok(device(self)? == device(other)?)
    }

    /// Reads values in this way from now on.
    #[must_use]
    pub fn with_read_mode(mut self, mode: ReadMode) -> Self {
        self.reads.mode = mode;
        self
    }

    /// Whether ranges of 1 MiB and more are dropped from the page cache after they have been visited. For programs that read much
    /// data once under a limit that counts the page cache, as a memory cgroup does; reading the same bytes again is then slow.
    #[must_use]
    pub fn with_drop_behind(mut self, drop_behind: bool) -> Self {
        self.reads.drop_behind = drop_behind;
        self
    }

    /// Whether locks are taken (the default). Without them nothing keeps two programs, or two stores in one program, from writing to the same tree at
    /// the same time, and one then undoes what the other did: for file systems that have no locks, and programs that see to it themselves.
    #[must_use]
    pub fn with_locks(mut self, locks: bool) -> Self {
        self.locks = locks;
        self
    }

    /// Whether what is written in place is sent to the disk at once, and leaves the page cache: for programs under a limit that counts it.
    pub(crate) fn with_write_behind(mut self, write_behind: bool) -> Self {
        self.write_behind = write_behind;
        self
    }

    /// Whether trees are exchanged in one step: without, as on file systems that cannot do it.
    pub(crate) fn with_exchange(mut self, exchanges: bool) -> Self {
        self.exchanges = exchanges;
        self
    }

    /// Syncs by `run`, unless an earlier sync has failed: the system tells of a failure once, and may have given up the data.
    fn synced(&self, key: &Key, run: impl FnOnce() -> rustix::io::Result<()>) -> Result<()> {
        let fault = |source| Error::io("sync", self.root.locate(key), source);
        if self.sync_failed.load(Ordering::Acquire) {
            return Err(fault(std::io::Error::other("an earlier sync failed, so that data written before it may be lost")));
        }
        run().map_err(|errno| {
            self.sync_failed.store(true, Ordering::Release);
            fault(errno.into())
        })
    }

    /// Makes the value at `key` from `value`; with the file synced before it takes its name, where that is asked for.
    fn set_synced(&self, key: &Key, value: &[u8], durable: bool) -> Result<()> {
        self.replace(key, |file| {
            transfer::write_at(file, 0, value).map_err(|errno| self.root.fault("write", key, "a value", errno))?;
            if durable { self.synced(key, || rustix::fs::fsync(file)) } else { Ok(()) }
        })
    }

    /// The file at `key` and its size in bytes.
    pub(super) fn open_value(&self, key: &Key) -> Result<Option<(OwnedFd, u64)>> {
        Ok(self.root.open_value(key)?.map(|(file, stat)| (file, size_of(&stat))))
    }

    pub(super) fn locate_key(&self, key: &Key) -> String {
        self.root.locate(key)
    }

    /// Makes the value at `key` from what `fill` writes into a new file, which then takes its name.
    fn replace<T>(&self, key: &Key, fill: impl FnOnce(&OwnedFd) -> Result<T>) -> Result<T> {
        let (parent, name) = self.root.make_parent(key)?;
        self.check_value_or_nothing(&parent, key)?;
        self.fill_temporary(&parent, key, fill, |temporary| rustix::fs::renameat(&parent, temporary, &parent, name))
            .map(|(filled, ())| filled)
    }

    /// Writes a new file beside `key` by `fill`, and gives it to `name_it`, after whose failure it is removed.
    fn fill_temporary<T, N>(
        &self,
        parent: &OwnedFd,
        key: &Key,
        fill: impl FnOnce(&OwnedFd) -> Result<T>,
        name_it: impl FnOnce(&str) -> SysResult<N>,
    ) -> Result<(T, N)> {
        let (file, temporary) = self.create_temporary(parent, key)?;
        let filled = fill(&file).and_then(|filled| {
            drop(file);
            let named = name_it(&temporary).map_err(|errno| self.root.fault("rename", key, "a value", errno))?;
            Ok((filled, named))
        });
        if filled.is_err() {
            let _ = rustix::fs::unlinkat(parent, &temporary, AtFlags::empty());
        }
        filled
    }

    /// The file at `key`, made if there is none, to be written to in place.
    fn open_in_place(&self, key: &Key) -> Result<OwnedFd> {
        let (file, stat) = self.root.create_value(key)?;
        if stat.st_nlink > 1 {
            let what = format!("the file has {} names (hard links), and writing to it in place would change it under all", stat.st_nlink);
            return Err(Error::corrupt(what).at(&self.root.locate(key)));
        }
        Ok(file)
    }

    fn check_value_or_nothing(&self, parent: &OwnedFd, key: &Key) -> Result<bool> {
        match stat_in(parent, key.name()) {
            Ok(stat) if kind_of(&stat) == EntryKind::Value => Ok(true),
            Ok(stat) => Err(obstructed(self.root.locate(key), name_of(&stat), "a value")),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.root.fault("stat", key, "a value", errno)),
        }
    }

    fn create_temporary(&self, parent: &OwnedFd, key: &Key) -> Result<(OwnedFd, String)> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let name = temporary_name(key.name(), std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            match root::create_new(parent, &name) {
                Ok(file) => return Ok((file, name)),
                // Left by a process that had the same number; the counter never gives the same name again.
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.root.fault("create", key, "a value", errno)),
            }
        }
    }

    fn parents(&self, from: &Key, to: &Key) -> Result<(OwnedFd, OwnedFd)> {
        check_move(from, to)?;
        let open = |key: &Key| {
            let missing = || Error::NotFound { path: self.root.locate(key), what: "a directory to hold it".to_owned() };
            Ok(self.root.open_parent(key)?.ok_or_else(missing)?.0)
        };
        Ok((open(from)?, open(to)?))
    }

    /// The error of a rename or exchange of the entries `from` and `to`.
    fn move_fault(&self, op: &'static str, from: &Key, to: &Key, errno: Errno) -> Error {
        match errno {
            Errno::EXIST | Errno::NOTEMPTY => self.root.fault(op, to, "nothing", Errno::EXIST),
            Errno::NOENT if self.kind(from).is_ok_and(|kind| kind.is_some()) => self.root.fault(op, to, "a tree", errno),
            _ => self.root.fault(op, from, "a tree", errno),
        }
    }
}

impl Store for FilesystemStore {
    fn kind(&self, key: &Key) -> Result<Option<EntryKind>> {
        Ok(self.root.stat(key)?.as_ref().map(kind_of))
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn Value>>> {
        let Some((file, size)) = self.open_value(key)? else { return Ok(None) };
        let path = self.root.locate(key);
        Ok(Some(Box::new(FileValue { file, size, path, reads: self.reads })))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>> {
        match self.root.stat(key)? {
            None => Ok(None),
            Some(stat) if kind_of(&stat) == EntryKind::Value => Ok(Some(size_of(&stat))),
            Some(stat) => Err(obstructed(self.root.locate(key), name_of(&stat), "a value")),
        }
    }

    fn set(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.set_synced(key, value, false)
    }

    fn write_at(&self, key: &Key, offset: u64, bytes: &[u8]) -> Result<()> {
        let file = self.open_in_place(key)?;
        transfer::write_at(&file, offset, bytes).map_err(|errno| self.root.fault("write", key, "a value", errno))?;
        if self.write_behind {
            // Of what was written just now, the writing begins; what was written before has reached the disk, as a rule, and is dropped.
            let from = offset.saturating_sub(WRITE_BEHIND_BYTES as u64);
            transfer::drop_behind(&file, from, bytes.len().saturating_add(WRITE_BEHIND_BYTES));
        }
        Ok(())
    }

    fn writer<'s>(&'s self, key: &Key) -> Result<Box<dyn ValueWriter + 's>> {
        let file = self.open_in_place(key)?;
        Ok(Box::new(FileWriter { store: self, file, key: key.clone(), write_behind: self.write_behind }))
    }

    fn copy_from(&self, source: &dyn Store, from: &Key, to: &Key) -> Result<Option<u64>> {
        if let Some(store) = source.as_any().downcast_ref::<Self>() {
            let Some((input, size)) = store.open_value(from)? else { return Ok(None) };
            return self.replace(to, |output| {
                let fault = |errno| self.root.fault("copy", to, "a value", errno);
                match transfer::copy(&input, output, size).map_err(fault)? {
                    copied if copied == size => Ok(Some(size)),
                    copied => {
                        Err(Error::corrupt(format!("truncated while it was copied: {copied} of {size} bytes")).at(&store.locate(from)))
                    }
                }
            });
        }
        let Some(value) = source.open(from)? else { return Ok(None) };
        let size = value.size();
        self.replace(to, |output| {
            let mut offset = 0;
            while offset < size {
                let len = (size - offset).min(transfer::WINDOW_BYTES as u64);
                value.read(ByteRange::From { offset, len }, &mut |bytes| {
                    transfer::write_at(output, offset, bytes).map_err(|errno| self.root.fault("write", to, "a value", errno))
                })?;
                offset += len;
            }
            Ok(Some(size))
        })
    }

    fn erase(&self, key: &Key) -> Result<bool> {
        let Some((parent, name)) = self.root.open_parent(key)? else { return Ok(false) };
        if !self.check_value_or_nothing(&parent, key)? {
            return Ok(false);
        }
        match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.root.fault("remove", key, "a value", errno)),
        }
    }

    fn erase_prefix(&self, prefix: &Key) -> Result<bool> {
        let fault = |errno| self.root.fault("remove", prefix, "a directory", errno);
        if prefix.is_root() {
            return remove::remove_contents(self.root.handle()).map_err(fault);
        }
        let Some((parent, name)) = self.root.open_parent(prefix)? else { return Ok(false) };
        let stat = match stat_in(&parent, name) {
            Err(Errno::NOENT) => return Ok(false),
            stat => stat.map_err(fault)?,
        };
        match kind_of(&stat) {
            EntryKind::Value => Err(obstructed(self.root.locate(prefix), name_of(&stat), "a directory")),
            EntryKind::Other => rustix::fs::unlinkat(&parent, name, AtFlags::empty()).map(|()| true).map_err(fault),
            EntryKind::Prefix => {
                let name = std::ffi::CString::new(name).map_err(|_| Error::invalid("a name holds a NUL"))?;
                remove::remove_tree(&parent, &name).map(|()| true).map_err(fault)
            }
        }
    }

    fn erase_empty(&self, prefix: &Key) -> Result<bool> {
        let Some((parent, name)) = self.root.open_parent(prefix)? else { return Ok(false) };
        match rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(self.root.fault("remove", prefix, "a directory", errno)),
        }
    }

    fn list(&self, prefix: &Key, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let Some(directory) = self.root.open_directory(prefix)? else { return Ok(()) };
        let fault = |errno: Errno| Error::io("list", self.root.locate(prefix), errno.into());
        let mut entries = Dir::new(directory).map_err(fault)?;
        while let Some(entry) = entries.read() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                entry => entry.map_err(fault)?,
            };
            if matches!(entry.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let mut kind = kind_of_type(entry.file_type());
            if entry.file_type() == rustix::fs::FileType::Unknown {
                // The file system does not keep the type with the name.
                match rustix::fs::statat(entries.fd().map_err(fault)?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => kind = kind_of(&stat),
                    Err(Errno::NOENT) => continue,
                    Err(errno) => return Err(fault(errno)),
                }
            }
            visit(match entry.file_name().to_str() {
                Ok(name) => Entry { name: name.to_owned(), kind },
                Err(_) => Entry { name: entry.file_name().to_string_lossy().into_owned(), kind: EntryKind::Other },
            })?;
        }
        Ok(())
    }

    fn create_prefix(&self, prefix: &Key) -> Result<()> {
        if prefix.is_root() {
            return Err(self.root.fault("create directory", prefix, "nothing", Errno::EXIST));
        }
        self.root.make_directory(prefix)
    }

    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        let (source, target) = self.parents(from, to)?;
        let renamed = match rustix::fs::renameat_with(&source, from.name(), &target, to.name(), RenameFlags::NOREPLACE) {
            // Not known to the file system or the kernel: look first, which leaves a moment for others to make something there.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match stat_in(&target, to.name()) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => rustix::fs::renameat(&source, from.name(), &target, to.name()),
                Err(errno) => Err(errno),
            },
            renamed => renamed,
        };
        renamed.map_err(|errno| self.move_fault("rename", from, to, errno))
    }

    fn exchange(&self, a: &Key, b: &Key) -> Result<()> {
        let (first, second) = self.parents(a, b)?;
        let exchanged = if self.exchanges {
            rustix::fs::renameat_with(&first, a.name(), &second, b.name(), RenameFlags::EXCHANGE)
        } else {
            Err(Errno::OPNOTSUPP)
        };
        match exchanged {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                Err(Error::unsupported("the file system cannot exchange two directories in one step").at(&self.root.locate(a)))
            }
            Err(errno) => Err(self.move_fault("exchange", a, b, errno)),
        }
    }

    fn sync(&self) -> Result<()> {
        self.synced(&Key::root(), || rustix::fs::syncfs(self.root.handle()))
    }

    fn sync_prefix(&self, prefix: &Key) -> Result<()> {
        let missing = || self.root.fault("sync", prefix, "a directory", Errno::NOENT);
        let directory = self.root.open_directory(prefix)?.ok_or_else(missing)?;
        self.synced(prefix, || rustix::fs::fsync(&directory))
    }

    fn set_durable(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.set_synced(key, value, true)?;
        key.parent().map_or(Ok(()), |parent| self.sync_prefix(&parent))
    }

    fn stamp(&self, key: &Key) -> Result<Option<Stamp>> {
        match self.root.stat(key)? {
            None => Ok(None),
            Some(stat) if kind_of(&stat) == EntryKind::Value => Ok(Some(stamp_of(&stat))),
            Some(stat) => Err(obstructed(self.root.locate(key), name_of(&stat), "a value")),
        }
    }

    fn lock(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.lock_directory(prefix, FlockOperation::NonBlockingLockExclusive)
    }

    fn lock_shared(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.lock_directory(prefix, FlockOperation::NonBlockingLockShared)
    }

    fn change<'s>(&'s self, key: &Key) -> Result<Box<dyn Change + 's>> {
        Ok(Box::new(self.begin_change(key)?))
    }

    fn tree(&self, prefix: &Key) -> Result<Option<Arc<dyn Store>>> {
        if prefix.is_root() {
            return Ok(None);
        }
        match self.enter(prefix) {
            // What stands there instead is for the reading of the node to say; and a directory that may be searched, but not read, has only its name.
            Err(Error::Corrupt { .. }) => Ok(None),
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => Ok(None),
            entered => Ok(entered?.map(|tree| Arc::new(tree) as Arc<dyn Store>)),
        }
    }

    fn locate(&self, key: &Key) -> String {
        self.root.locate(key)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A file that is open for writing in place.
#[derive(Debug)]
struct FileWriter<'s> {
    store: &'s FilesystemStore,
    file: OwnedFd,
    key: Key,
    write_behind: bool,
}

impl Drop for FileWriter<'_> {
    /// What was written here and there is on its way to the disk once all of it is.
    fn drop(&mut self) {
        if self.write_behind {
            transfer::drop_behind(&self.file, 0, 0);
        }
    }
}

impl ValueWriter for FileWriter<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        transfer::write_at(&self.file, offset, bytes).map_err(|errno| self.store.root.fault("write", &self.key, "a value", errno))
    }

    fn sync(&self) -> Result<()> {
        self.store.synced(&self.key, || rustix::fs::fdatasync(&self.file))
    }
}

pub(super) fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

pub(super) fn stamp_of(stat: &Stat) -> Stamp {
    let modified_ns = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
    Stamp { file: stat.st_ino, size: size_of(stat), modified_ns }
}

/// Whether `name` is one that [`temporary_name`] gives.
pub(crate) fn is_temporary_name(name: &str) -> bool {
    let number = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(inner) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")) else { return false };
    let mut parts = inner.rsplitn(3, '.');
    number(parts.next()) && number(parts.next()) && parts.next().is_some()
}

/// A name of at most 255 bytes for the file that will become `name`.
fn temporary_name(name: &str, process: u32, count: u64) -> String {
    let tail = format!(".{process}.{count}.tmp");
    let mut kept = name.len().min(254 - tail.len());
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    format!(".{}{tail}", &name[..kept])
}
