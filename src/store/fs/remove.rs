//! Deletion of directory trees of any width and depth, with bounded memory, and without ever following a link.
//!
//! Every step names an entry relative to the handle of the directory that it is in, so that nobody can lead the deletion elsewhere by
//! putting a link in place of a directory. At most [`LEVELS`] directories are open: one that lies deeper is first moved up to the top of
//! the tree, under a name of its own.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result as SysResult, retry_on_intr};

use crate::store::NODE_DOCUMENTS;

/// How many directories are open at a time.
const LEVELS: usize = 32;

/// A directory that is being emptied.
struct Level {
    entries: Dir,
    /// Its name in the level above.
    name: CString,
    /// Whether this reading of the entries has removed any, so that another reading makes sense if some are left.
    progress: bool,
}

/// Removes the directory `name` in `parent` with everything below it.
pub(super) fn remove_tree(parent: &OwnedFd, name: &CStr) -> SysResult<()> {
    let top = open(parent.as_fd(), name)?;
    remove_contents(&top)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

/// Removes everything below `top`, but not `top` itself; returns whether there was anything.
pub(super) fn remove_contents(top: &OwnedFd) -> SysResult<bool> {
    let mut levels = vec![enter(open(top.as_fd(), c".")?, CString::default())?];
    let mut found = levels.iter().any(|level| level.progress);
    let mut hoisted = 0_u64;
    loop {
        let depth = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(found) };
        match next(&mut level.entries)? {
            Some((name, kind)) => {
                found = true;
                level.progress = true;
                let at = level.entries.fd()?;
                if kind != FileType::Directory && unlink(at, &name)? {
                    continue;
                }
                if depth == LEVELS {
                    hoist(at, &name, top, &mut hoisted)?;
                    continue;
                }
                match open(at, &name) {
                    Ok(directory) => levels.push(enter(directory, name)?),
                    Err(Errno::NOENT) => {}
                    // No directory any more: somebody has just put something else there. The next reading finds it.
                    Err(Errno::NOTDIR | Errno::LOOP) => {}
                    Err(errno) => return Err(errno),
                }
            }
            None => leave(&mut levels)?,
        }
    }
}

/// Ends a reading of the last level: it is removed from the level above, or read again if entries were left or moved into it.
fn leave(levels: &mut Vec<Level>) -> SysResult<()> {
    let Some(mut level) = levels.pop() else { return Ok(()) };
    let left = match levels.last() {
        // The top level is not removed here, so whether it is empty shows in a reading that finds nothing.
        None if level.progress => Err(Errno::NOTEMPTY),
        None => Ok(()),
        Some(above) => rustix::fs::unlinkat(above.entries.fd()?, &*level.name, AtFlags::REMOVEDIR),
    };
    match left {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) if level.progress => {
            level.progress = false;
            level.entries.rewind();
            levels.push(level);
            Ok(())
        }
        Err(errno) => Err(errno),
    }
}

/// The next entry that is not the directory itself or its parent.
fn next(entries: &mut Dir) -> SysResult<Option<(CString, FileType)>> {
    loop {
        let Some(entry) = entries.read() else { return Ok(None) };
        let entry = match entry {
            Err(Errno::INTR) => continue,
            entry => entry?,
        };
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(Some((entry.file_name().to_owned(), entry.file_type())));
        }
    }
}

/// Removes what is not a directory; returns false if it is one.
fn unlink(at: BorrowedFd<'_>, name: &CStr) -> SysResult<bool> {
    match rustix::fs::unlinkat(at, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        // What POSIX says for a directory, and Linux for an entry that may not be removed.
        Err(Errno::PERM) => match rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => Ok(false),
            _ => Err(Errno::PERM),
        },
        Err(errno) => Err(errno),
    }
}

/// Moves the directory `name` in `at` up to `top`, under a name that nothing has there.
fn hoist(at: BorrowedFd<'_>, name: &CStr, top: &OwnedFd, count: &mut u64) -> SysResult<()> {
    loop {
        *count += 1;
        let to = format!(".removing.{}.{count}", std::process::id());
        match rustix::fs::renameat_with(at, name, top, &to, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            // Where the flag is not known, a plain rename replaces at most an empty directory, which is to go anyway.
            Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::renameat(at, name, top, &to) {
                Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                moved => return moved,
            },
            Err(Errno::NOENT) => return Ok(()),
            moved => return moved,
        }
    }
}

fn open(at: BorrowedFd<'_>, name: &CStr) -> SysResult<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::openat(at, name, flags, Mode::empty()))
}

/// Starts on a directory: its metadata documents go before everything else in it.
fn enter(directory: OwnedFd, name: CString) -> SysResult<Level> {
    let mut progress = false;
    for document in NODE_DOCUMENTS {
        progress |= match rustix::fs::unlinkat(&directory, document, AtFlags::empty()) {
            Ok(()) => true,
            Err(Errno::NOENT | Errno::ISDIR | Errno::PERM) => false,
            Err(errno) => return Err(errno),
        };
    }
    Ok(Level { entries: Dir::new(directory)?, name, progress })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PUB-5: whatever the listing shows first.
    #[test]
    fn the_documents_of_a_node_go_before_all_that_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        for name in [".zattrs", ".zgroup", "0", ".zarray", "zarr.json", "zz"] {
            std::fs::write(directory.path().join(name), "").unwrap();
        }
        let top = std::fs::File::open(directory.path()).unwrap().into();
        assert!(enter(top, CString::default()).unwrap().progress);
        let mut left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort_unstable();
        assert_eq!(left, [".zattrs", "0", "zz"]);
    }
}
