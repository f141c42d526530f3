//! Locks: `flock` on directories, and on the files of values that are being changed.
//!
//! Invariants (the rules LCK-1 to LCK-9 of `spec/rechunk.md`)
//! 1. A lock is on something that is there for its own sake, and goes with the handle, and so with the process: nothing is left behind.
//! 2. A lock counts only while what is locked has the name that it was found by, which is looked at when the lock is had.
//! 3. The name of a value is changed by whoever has the lock of the file that has it; and where no file has it, by giving it to a new one in a
//!    step that fails if another file has it by then.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FlockOperation, RenameFlags, Stat};
use rustix::io::{Errno, Result as SysResult, retry_on_intr};

use super::value::FileValue;
use super::{FilesystemStore, size_of, transfer};
use crate::error::{Error, Result};
use crate::store::{Change, Key, Lock, Store, Value};

impl FilesystemStore {
    /// Locks a directory, or says at once that somebody else has it.
    pub(super) fn lock_directory(&self, prefix: &Key, operation: FlockOperation) -> Result<Box<dyn Lock>> {
        let missing = || self.root.fault("lock", prefix, "a directory", Errno::NOENT);
        loop {
            let directory = self.root.open_directory(prefix)?.ok_or_else(missing)?;
            match self.flock(&directory, operation) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(Error::Busy { path: self.root.locate(prefix) }),
                Err(errno) => return Err(self.lock_fault(prefix, "a directory", errno)),
            }
            let fault = |errno| self.root.fault("stat", prefix, "a directory", errno);
            let locked = retry_on_intr(|| rustix::fs::fstat(&directory)).map_err(fault)?;
            self.check_place()?;
            let named = self.root.stat(prefix)?.ok_or_else(missing)?;
            // Another tree may have taken the name between the opening and the locking.
            if is_same(&locked, &named) {
                return Ok(Box::new(DirectoryLock { directory }));
            }
        }
    }

    /// Refuses a root whose name another tree has by now, or none: what is written into it would not be found by that name.
    fn check_place(&self) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        let stale = || Error::Stale { path: self.root.locate(&Key::root()) };
        let fault = |errno: Errno| Error::io("stat", place.display().to_string(), errno.into());
        let root = retry_on_intr(|| rustix::fs::fstat(self.root.handle())).map_err(fault)?;
        match retry_on_intr(|| rustix::fs::stat(place)) {
            Ok(named) if is_same(&root, &named) => Ok(()),
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Err(stale()),
            // Whoever may not look cannot know; the handle still is what was opened.
            Err(Errno::ACCESS) => Ok(()),
            Err(errno) => Err(fault(errno)),
        }
    }

    /// Whether another tree has the name of the root by now, or none.
    pub(crate) fn is_replaced(&self) -> bool {
        matches!(self.check_place(), Err(Error::Stale { .. }))
    }

    /// Opens the file at `key` and locks it, waiting for whoever has it.
    pub(super) fn begin_change(&self, key: &Key) -> Result<FileChange<'_>> {
        loop {
            let Some((file, mut stat)) = self.root.open_value(key)? else {
                return Ok(FileChange { store: self, key: key.clone(), value: None });
            };
            if self.locks {
                self.flock(&file, FlockOperation::LockExclusive).map_err(|errno| self.lock_fault(key, "a value", errno))?;
                stat = retry_on_intr(|| rustix::fs::fstat(&file)).map_err(|errno| self.root.fault("stat", key, "a value", errno))?;
                // Whoever had the lock has replaced the file, or removed it.
                if !self.root.stat(key)?.is_some_and(|named| is_same(&stat, &named)) {
                    continue;
                }
            }
            let value = FileValue { file, size: size_of(&stat), path: self.root.locate(key), reads: self.reads };
            return Ok(FileChange { store: self, key: key.clone(), value: Some(value) });
        }
    }

    fn flock(&self, file: &OwnedFd, operation: FlockOperation) -> SysResult<()> {
        if self.locks { retry_on_intr(|| rustix::fs::flock(file, operation)) } else { Ok(()) }
    }

    fn lock_fault(&self, key: &Key, wanted: &str, errno: Errno) -> Error {
        match errno {
            Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK | Errno::INVAL | Errno::BADF => Error::unsupported(
                "the file system has no locks; `--no-lock` (`FilesystemStore::with_locks`) does without, where nobody else writes here",
            )
            .at(&self.root.locate(key)),
            errno => self.root.fault("lock", key, wanted, errno),
        }
    }

    /// Makes `bytes` the value at `key`, unless there is one; returns whether that was done.
    fn set_new(&self, key: &Key, bytes: &[u8]) -> Result<bool> {
        let (parent, name) = self.root.make_parent(key)?;
        if self.check_value_or_nothing(&parent, key)? {
            return Ok(false);
        }
        let fill = |file: &OwnedFd| transfer::write_at(file, 0, bytes).map_err(|errno| self.root.fault("write", key, "a value", errno));
        let mut taken = false;
        let named = self.fill_temporary(&parent, key, fill, |temporary| {
            let named = rename_new(&parent, temporary, name);
            taken = matches!(named, Err(Errno::EXIST));
            named
        });
        if taken { Ok(false) } else { named.map(|_| true) }
    }
}

/// Renames a file to a name that nothing may have ([`Errno::EXIST`]).
fn rename_new(parent: &OwnedFd, from: &str, to: &str) -> SysResult<()> {
    match rustix::fs::renameat_with(parent, from, parent, to, RenameFlags::NOREPLACE) {
        // Not known to the file system or the kernel; a second name is given by the same rule everywhere.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => link_new(parent, from, to),
        renamed => renamed,
    }
}

/// The same by a hard link.
fn link_new(parent: &OwnedFd, from: &str, to: &str) -> SysResult<()> {
    rustix::fs::linkat(parent, from, parent, to, AtFlags::empty())?;
    rustix::fs::unlinkat(parent, from, AtFlags::empty())
}

fn is_same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}

/// The lock goes with the handle, and so with the process.
#[derive(Debug)]
struct DirectoryLock {
    directory: OwnedFd,
}

impl Lock for DirectoryLock {}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        unlock(&self.directory);
    }
}

/// Ends a lock at once. Closing the handle would do, but for a moment in which a child process that is being started has a copy of it.
fn unlock(file: &OwnedFd) {
    let _ = rustix::fs::flock(file, FlockOperation::Unlock);
}

/// A value that is being changed. The lock goes with the handle of the old file, which has lost its name then.
#[derive(Debug)]
pub(super) struct FileChange<'s> {
    store: &'s FilesystemStore,
    key: Key,
    value: Option<FileValue>,
}

impl Change for FileChange<'_> {
    fn value(&self) -> Option<&dyn Value> {
        self.value.as_ref().map(|value| value as &dyn Value)
    }

    fn set(self: Box<Self>, bytes: &[u8]) -> Result<bool> {
        if self.value.is_some() || !self.store.locks {
            return self.store.set(&self.key, bytes).map(|()| true);
        }
        self.store.set_new(&self.key, bytes)
    }

    fn erase(self: Box<Self>) -> Result<bool> {
        if self.value.is_some() {
            self.store.erase(&self.key)?;
        }
        Ok(true)
    }
}

impl Drop for FileChange<'_> {
    fn drop(&mut self) {
        if let Some(value) = &self.value {
            unlock(&value.file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LCK-5, on a file system that cannot rename without replacing.
    #[test]
    fn a_link_gives_a_name_that_nothing_has() {
        let directory = tempfile::tempdir().unwrap();
        let parent: OwnedFd = std::fs::File::open(directory.path()).unwrap().into();
        for rename in [rename_new, link_new] {
            std::fs::write(directory.path().join("from"), "new").unwrap();
            assert_eq!(rename(&parent, "from", "to"), Ok(()));
            assert!(!directory.path().join("from").exists());
            std::fs::write(directory.path().join("from"), "newer").unwrap();
            assert_eq!(rename(&parent, "from", "to"), Err(Errno::EXIST));
            assert_eq!(std::fs::read(directory.path().join("to")).unwrap(), b"new");
            std::fs::remove_file(directory.path().join("to")).unwrap();
        }
    }
}
