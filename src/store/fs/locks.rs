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

/// How often a lock is sought anew when what has been locked is not what has the name then, though nobody seems to have removed it.
const RACES: usize = 1000;

impl FilesystemStore {
    /// Locks a directory, or says at once that somebody else has it.
    pub(super) fn lock_directory(&self, prefix: &Key, operation: FlockOperation) -> Result<Box<dyn Lock>> {
        let missing = || self.root.fault("lock", prefix, "a directory", Errno::NOENT);
        self.try_until_named(prefix, || {
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
            Ok((!self.locks || is_same(&locked, &named)).then(|| Box::new(DirectoryLock { directory }) as Box<dyn Lock>))
        })
    }

    /// Tries again as long as what has been locked at `key` is not what has the name then.
    fn try_until_named<T>(&self, key: &Key, mut lock: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        for _ in 0..RACES {
            if let Some(locked) = lock()? {
                return Ok(locked);
            }
        }
        Err(self.no_locks(key, "what is locked here is never what has the name, as where the file system numbers files anew each time"))
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
        let change = |value| FileChange { store: self, key: key.clone(), value };
        self.try_until_named(key, || {
            loop {
                let Some((file, mut stat)) = self.root.open_value(key)? else { return Ok(Some(change(None))) };
                if self.locks {
                    self.flock(&file, FlockOperation::LockExclusive).map_err(|errno| self.lock_fault(key, "a value", errno))?;
                    stat = retry_on_intr(|| rustix::fs::fstat(&file)).map_err(|errno| self.root.fault("stat", key, "a value", errno))?;
                    // Whoever had the lock has replaced the file, or removed it. That may happen to one who waits among many again and again.
                    if stat.st_nlink == 0 {
                        continue;
                    }
                    if !self.root.stat(key)?.is_some_and(|named| is_same(&stat, &named)) {
                        return Ok(None);
                    }
                }
                let value = FileValue { file, size: size_of(&stat), path: self.root.locate(key), reads: self.reads };
                return Ok(Some(change(Some(value))));
            }
        })
    }

    fn flock(&self, file: &OwnedFd, operation: FlockOperation) -> SysResult<()> {
        if self.locks { retry_on_intr(|| rustix::fs::flock(file, operation)) } else { Ok(()) }
    }

    fn lock_fault(&self, key: &Key, wanted: &str, errno: Errno) -> Error {
        match errno {
            Errno::OPNOTSUPP | Errno::NOSYS | Errno::NOLCK | Errno::INVAL | Errno::BADF => {
                self.no_locks(key, "the file system has no locks")
            }
            errno => self.root.fault("lock", key, wanted, errno),
        }
    }

    /// The refusal where nobody can be kept out (LCK-8).
    fn no_locks(&self, key: &Key, why: &str) -> Error {
        let advice = "`--no-lock` (`FilesystemStore::with_locks`) does without, where nobody else writes here";
        Error::unsupported(format!("{why}; {advice}")).at(&self.root.locate(key))
    }

    /// Makes `bytes` the value at `key`, unless there is one, giving it the name by `rename`; returns whether that was done.
    fn set_new(&self, key: &Key, bytes: &[u8], rename: impl Fn(&OwnedFd, &str, &str) -> SysResult<()>) -> Result<bool> {
        let (parent, name) = self.root.make_parent(key)?;
        if self.check_value_or_nothing(&parent, key)? {
            return Ok(false);
        }
        let fill = |file: &OwnedFd| transfer::write_at(file, 0, bytes).map_err(|errno| self.root.fault("write", key, "a value", errno));
        let mut refused = None;
        let named = self.fill_temporary(&parent, key, fill, |temporary| {
            let named = rename(&parent, temporary, name);
            refused = named.err();
            named
        });
        match refused {
            Some(Errno::EXIST) => Ok(false),
            Some(Errno::OPNOTSUPP) => Err(self.no_locks(key, "the file system can neither rename without replacing, nor link files")),
            _ => named.map(|_| true),
        }
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

/// The same by a hard link; [`Errno::OPNOTSUPP`] where there are none.
fn link_new(parent: &OwnedFd, from: &str, to: &str) -> SysResult<()> {
    match rustix::fs::linkat(parent, from, parent, to, AtFlags::empty()) {
        Err(Errno::PERM | Errno::NOSYS | Errno::INVAL | Errno::MLINK) => return Err(Errno::OPNOTSUPP),
        linked => linked?,
    }
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
        self.store.set_new(&self.key, bytes, rename_new)
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

    fn advised<T: std::fmt::Debug>(result: Result<T>) {
        assert!(matches!(&result, Err(Error::Unsupported { what, .. }) if what.contains("--no-lock")), "{result:?}");
    }

    /// LCK-1, LCK-8: on a file system where a file never looks like the one that was opened.
    #[test]
    fn a_lock_is_not_sought_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let store = FilesystemStore::open(directory.path()).unwrap();
        let mut left = 5;
        let mut countdown = || {
            left -= 1;
            Ok((left == 0).then_some("had"))
        };
        assert_eq!(store.try_until_named(&Key::root(), &mut countdown).unwrap(), "had");
        advised(store.try_until_named(&Key::root(), || Ok(None::<()>)));
    }

    /// LCK-5, LCK-8: on a file system that has no way to give a name that nothing has.
    #[test]
    fn a_new_value_without_links_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let store = FilesystemStore::open(directory.path()).unwrap();
        let key = Key::new("v").unwrap();
        advised(store.set_new(&key, b"new", |_, _, _| Err(Errno::OPNOTSUPP)));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
        assert!(store.set_new(&key, b"new", rename_new).unwrap());
        assert!(!store.set_new(&key, b"newer", rename_new).unwrap());
    }
}
