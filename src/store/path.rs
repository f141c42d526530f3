//! From a path to the store that it leads to: a directory, or a zip file, or what lies in one.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::fs::{Reads, size_of, transfer};
use super::zip::{READ_ONLY, is_zip};
use super::{DOCUMENT, EntryKind, FilesystemStore, Key, Store, ZipStore};
use crate::error::{Error, Result};

/// The store whose root is what `path` leads to: a directory, a zip file, or a prefix in a zip file as in `maps.zip/group`. Links may lead
/// there, but none is followed below (FMT-ZIP-1).
///
/// # Errors
/// As [`FilesystemStore::open`] and [`ZipStore::open`].
pub(crate) fn open_path(path: &Path, reads: Reads) -> Result<Arc<dyn Store>> {
    let error = match FilesystemStore::open(path) {
        Ok(store) => return Ok(Arc::new(store.with_read_mode(reads.mode).with_drop_behind(reads.drop_behind))),
        Err(error @ (Error::NotFound { .. } | Error::Unsupported { .. })) => error,
        Err(error) => return Err(error),
    };
    let Some((file, below)) = file_on(path) else { return Err(error) };
    let Some((handle, size)) = open_zip(&file)? else { return Err(error) };
    let store = ZipStore::from_file(handle, size, &file, reads)?.below(key_of(path, &below)?);
    match store.kind(&Key::root())? {
        Some(EntryKind::Prefix) => {
            folder_in(&store)?.map_or(Ok(()), |folder| {
                let what = format!("an array or group (no {DOCUMENT}; the zip file holds {folder})");
                Err(Error::NotFound { path: path.display().to_string(), what })
            })?;
            Ok(Arc::new(store))
        }
        None => Err(Error::NotFound { path: path.display().to_string(), what: String::from("a directory in the zip file") }),
        Some(_) => {
            let what = "a file of the zip file stands here; a Zarr array or group is a directory";
            Err(Error::unsupported(what).at(&path.display().to_string()))
        }
    }
}

/// The directory at `path`, in which something is to be made.
///
/// # Errors
/// As [`FilesystemStore::open`]; [`Error::Unsupported`] where a zip file is on the way.
pub(crate) fn open_directory(path: &Path) -> Result<FilesystemStore> {
    let error = match FilesystemStore::open(path) {
        Err(error @ (Error::NotFound { .. } | Error::Unsupported { .. })) => error,
        opened => return opened,
    };
    match file_on(path) {
        Some((file, _)) if open_zip(&file)?.is_some() => Err(Error::unsupported(READ_ONLY).at(&file.display().to_string())),
        _ => Err(error),
    }
}

/// Where the node is that a file manager packed together with its folder; none if there is a node at the root, or more than one folder.
fn folder_in(store: &ZipStore) -> Result<Option<String>> {
    let mut folders = Vec::new();
    let mut other = false;
    store.list(&Key::root(), &mut |entry| {
        match entry.kind {
            EntryKind::Prefix if folders.len() < 2 => folders.push(entry.name),
            kind => other |= kind != EntryKind::Prefix,
        }
        Ok(())
    })?;
    let [folder] = folders.as_slice() else { return Ok(None) };
    let folder = Key::new(folder.as_str())?;
    for document in [DOCUMENT, ".zgroup", ".zarray"] {
        if !other && store.kind(&folder.join(document)?)? == Some(EntryKind::Value) {
            return Ok(Some(store.locate(&folder)));
        }
    }
    Ok(None)
}

/// The file that `path` leads to or through, and what of the path comes behind it; none where there is no file on the way.
fn file_on(path: &Path) -> Option<(PathBuf, PathBuf)> {
    // Without a slash at the end, which says that a directory is meant.
    let path: PathBuf = path.components().collect();
    let (file, metadata) = path.ancestors().find_map(|above| Some((above, std::fs::metadata(above).ok()?)))?;
    Some((file.to_owned(), path.strip_prefix(file).ok()?.to_owned())).filter(|_| metadata.is_file())
}

/// Opens the file at `path` if it is a zip file by its name or by its first bytes; with its size.
fn open_zip(path: &Path) -> Result<Option<(OwnedFd, u64)>> {
    let (file, size) = open_file(path)?;
    let named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"));
    let begin = transfer::read_at(&file, 0, 4).map_err(|errno| Error::io("read", path.display().to_string(), errno.into()))?;
    Ok((named || is_zip(&begin)).then_some((file, size)))
}

/// Opens the regular file at `path`; with its size.
pub(super) fn open_file(path: &Path) -> Result<(OwnedFd, u64)> {
    let shown = || path.display().to_string();
    let fault = |op, errno: Errno| match errno {
        Errno::NOENT => Error::NotFound { path: shown(), what: String::from("a zip file") },
        errno => Error::io(op, shown(), errno.into()),
    };
    let regular = |stat: &Stat| match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        _ => Err(Error::unsupported("no regular file; a zip file is expected").at(&shown())),
    };
    regular(&rustix::fs::stat(path).map_err(|errno| fault("stat", errno))?)?;
    // Without blocking: something else may have taken the name since it was looked at.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty())).map_err(|errno| fault("open", errno))?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| fault("stat", errno))?;
    regular(&stat)?;
    Ok((file, size_of(&stat)))
}

/// The key that the part of a path behind its zip file stands for.
fn key_of(path: &Path, below: &Path) -> Result<Key> {
    let mut key = Key::root();
    for component in below.components() {
        key = match component {
            Component::Normal(name) => match name.to_str() {
                Some(name) => key.join(name)?,
                None => return Err(Error::invalid(format!("{}: names in a zip file are UTF-8", path.display()))),
            },
            Component::CurDir => key,
            _ => return Err(Error::invalid(format!("{}: leads out of the zip file; accepted are names below it", path.display()))),
        };
    }
    Ok(key)
}

/// The absolute path that `path` stands for, without links; of what lies in a file, that of the file.
///
/// # Errors
/// [`Error::NotFound`] if there is nothing, and what the system says.
pub(crate) fn resolved(path: &Path) -> Result<PathBuf> {
    let error = match path.canonicalize() {
        Ok(resolved) => return Ok(resolved),
        Err(error) => error,
    };
    match (error.kind(), file_on(path)) {
        (std::io::ErrorKind::NotFound, _) => Err(Error::NotFound { path: path.display().to_string(), what: String::from("a directory") }),
        (std::io::ErrorKind::NotADirectory, Some((file, _))) => {
            file.canonicalize().map_err(|error| Error::io("resolve", file.display().to_string(), error))
        }
        _ => Err(Error::io("resolve", path.display().to_string(), error)),
    }
}

/// As [`resolved`], also where the last name of `path` is missing: as it is between the two renames of a publication.
///
/// # Errors
/// As [`resolved`].
pub(crate) fn resolved_above(path: &Path) -> Result<PathBuf> {
    match (resolved(path), path.parent(), path.file_name()) {
        (Err(error @ Error::NotFound { .. }), Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(resolved(parent).map_err(|_| error)?.join(name))
        }
        (whole, ..) => whole,
    }
}

/// Whether a regular file is at `path`, which is resolved.
pub(crate) fn is_file(path: &Path) -> bool {
    path.is_file()
}
