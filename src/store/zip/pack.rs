//! Packs the tree of a store into a zip file: the last step of its making, since zip files are not changed in place.

use std::fs::{File, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::record::is_zip;
use super::write::{Thresholds, Writer};
use crate::error::{Error, Result};
use crate::store::fs::{Reads, transfer};
use crate::store::{DOCUMENT, EntryKind, FilesystemStore, Key, NODE_DOCUMENTS, ReadMode, Store, is_temporary_name, open_path, resolved};

/// What packing may do, and how it ends early.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct PackOptions<'a> {
    overwrite: bool,
    sync: bool,
    cancel: Option<&'a AtomicBool>,
}

impl Default for PackOptions<'_> {
    fn default() -> Self {
        Self { overwrite: false, sync: true, cancel: None }
    }
}

impl<'a> PackOptions<'a> {
    /// Nothing is overwritten, and the result is on the disk when the call returns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a zip file at the target is replaced, in one step and once the new one is complete.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Whether to wait until the result would survive a power cut.
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// A flag that stops the packing; nothing is left then.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    fn go_on(&self) -> Result<()> {
        if self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// What was packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PackReport {
    /// Values, each an entry of the zip file.
    pub entries: u64,
    /// Bytes of the values.
    pub value_bytes: u64,
    /// Size of the zip file in bytes.
    pub zip_bytes: u64,
}

/// Packs the array or group at `source` (a directory, or a part of a zip file) into the zip file `zip`, which becomes visible complete or not
/// at all (FMT-ZIP-10 to FMT-ZIP-12).
///
/// Entries are stored and not compressed, sorted by name, without times: equal trees give equal files. Memory is bounded by the names in one
/// directory.
///
/// # Errors
/// [`Error::NotFound`] if no node is at `source`; [`Error::AlreadyExists`] if something is at `zip`; [`Error::Unsupported`] for links and special
/// files, which are never followed; [`Error::Cancelled`]; those of reading and writing. After an error, what was at `zip` is as before.
pub fn pack(source: impl AsRef<Path>, zip: impl AsRef<Path>, options: PackOptions<'_>) -> Result<PackReport> {
    pack_with(source.as_ref(), zip.as_ref(), options, Thresholds::FORMAT)
}

pub(super) fn pack_with(source: &Path, zip: &Path, options: PackOptions<'_>, thresholds: Thresholds) -> Result<PackReport> {
    let store = open_path(source, Reads { mode: ReadMode::default(), drop_behind: true })?;
    check_node(&*store)?;
    let (parent, name) = place(source, zip)?;
    check_target(zip, options)?;
    let fault = |op: &'static str| {
        let shown = zip.display().to_string();
        move |error: std::io::Error| Error::io(op, shown.clone(), error)
    };
    let prefix = format!(".{}.", truncated(&name));
    let (mut builder, mode) = (tempfile::Builder::new(), Permissions::from_mode(0o666));
    let file = builder.prefix(&prefix).suffix(".tmp").permissions(mode).tempfile_in(&parent).map_err(fault("create"))?;
    let directory = tempfile::tempfile_in(&parent).map_err(fault("create"))?;
    let handle: OwnedFd = file.as_file().try_clone().map_err(fault("open"))?.into();
    let mut writer = Writer::new(handle, directory, thresholds);
    let written = add_all(&*store, &mut writer, options).and_then(|()| writer.finish());
    let zip_bytes = written.map_err(|error| error.at(&zip.display().to_string()))?;
    if options.sync {
        file.as_file().sync_all().map_err(fault("sync"))?;
    }
    publish(file, zip, &parent.join(&name), options)?;
    if options.sync {
        File::open(&parent).and_then(|parent| parent.sync_all()).map_err(fault("sync"))?;
    }
    Ok(PackReport { entries: writer.entries, value_bytes: writer.value_bytes, zip_bytes })
}

/// Only the tree of a node is packed, so that a mistyped path costs nobody a walk through a disk.
fn check_node(store: &dyn Store) -> Result<()> {
    for document in NODE_DOCUMENTS {
        if store.kind(&Key::new(document)?)?.is_some() {
            return Ok(());
        }
    }
    Err(Error::NotFound { path: store.locate(&Key::root()), what: format!("an array or group (no {DOCUMENT})") })
}

/// The directory that the zip file goes into, and its name there.
fn place(source: &Path, zip: &Path) -> Result<(PathBuf, String)> {
    let Some(name) = zip.file_name().and_then(|name| name.to_str()) else {
        return Err(Error::invalid(format!("{}: the target must end in a name, in UTF-8, for the zip file", zip.display())));
    };
    let parent = zip.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = resolved(parent).map_err(|error| match error {
        Error::NotFound { path, .. } => Error::NotFound { path, what: String::from("the directory of the zip file; make it first") },
        error => error,
    })?;
    let from = resolved(source)?;
    if parent.starts_with(&from) || parent.join(name) == from {
        let shown = (zip.display(), source.display());
        return Err(Error::invalid(format!("{}: the zip file is, or lies inside, the source {}", shown.0, shown.1)));
    }
    Ok((parent, name.to_owned()))
}

/// A name of bounded length.
fn truncated(name: &str) -> &str {
    let kept = (0..=name.len().min(200)).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
    name.get(..kept).unwrap_or_default()
}

/// Refuses what is at the target, unless it is a zip file that may be replaced.
fn check_target(zip: &Path, options: PackOptions<'_>) -> Result<()> {
    let taken = |advice: &str| Err(Error::AlreadyExists { path: zip.display().to_string(), advice: advice.to_owned() });
    let metadata = match std::fs::symlink_metadata(zip) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(|error| Error::io("stat", zip.display().to_string(), error))?,
    };
    if !options.overwrite {
        return taken("choose another name, or have it replaced (--overwrite)");
    }
    let begin = if metadata.is_file() {
        let fault = |error| Error::io("open", zip.display().to_string(), error);
        let file = File::open(zip).map_err(fault)?;
        transfer::read_at(&file.into(), 0, 4).map_err(|errno| fault(errno.into()))?
    } else {
        Vec::new()
    };
    if is_zip(&begin) { Ok(()) } else { taken("it is no zip file, and only zip files are overwritten") }
}

/// Gives the finished file its name.
fn publish(file: NamedTempFile, zip: &Path, target: &Path, options: PackOptions<'_>) -> Result<()> {
    let renamed = if options.overwrite { file.persist(target) } else { file.persist_noclobber(target) };
    renamed.map(drop).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::AlreadyExists {
            path: zip.display().to_string(),
            advice: String::from("it came while the zip file was being made, which is given up"),
        },
        _ => Error::io("rename", zip.display().to_string(), error.error),
    })
}

/// What a level of the walk is read from: each prefix is read as the tree that it was when the walk came to it, whatever becomes of its name.
enum Tree<'s> {
    Whole(&'s dyn Store),
    Own(Arc<dyn Store>),
}

impl Tree<'_> {
    fn store(&self) -> &dyn Store {
        match self {
            Self::Whole(store) => *store,
            Self::Own(store) => &**store,
        }
    }
}

/// A prefix that is being added.
struct Level<'s> {
    tree: Tree<'s>,
    /// Where it is in its tree.
    prefix: Key,
    /// Where it is in the zip file.
    path: Key,
    /// What is still to be added, the next one last.
    rest: Vec<(String, EntryKind)>,
    /// The document that makes it a node.
    document: Option<Key>,
}

impl<'s> Level<'s> {
    fn of(tree: Tree<'s>, prefix: Key, path: Key) -> Result<Self> {
        let rest = entries(tree.store(), &prefix)?;
        // The one that goes first when the tree is deleted.
        let is_value = |document: &&str| rest.iter().any(|(name, kind)| *kind == EntryKind::Value && name == document);
        let document = NODE_DOCUMENTS.into_iter().find(is_value).map(|name| prefix.join(name)).transpose()?;
        let store = tree.store();
        // Without a document it may be what is left of a tree that was replaced before it was listed.
        if document.is_none() && store.as_any().downcast_ref::<FilesystemStore>().is_some_and(FilesystemStore::is_replaced) {
            return Err(Error::Stale { path: store.locate(&prefix) });
        }
        Ok(Self { tree, prefix, path, rest, document })
    }

    /// Refuses a tree that has been removed meanwhile: its document goes first, and what has not been found since may have been there.
    fn check_there(&self) -> Result<()> {
        let Some(document) = &self.document else { return Ok(()) };
        match self.tree.store().size(document)? {
            Some(_) => Ok(()),
            None => Err(Error::Stale { path: self.tree.store().locate(&self.prefix) }),
        }
    }
}

/// Adds all values of a store in the order of their names, one directory's names in memory at each depth.
fn add_all(store: &dyn Store, writer: &mut Writer, options: PackOptions<'_>) -> Result<()> {
    let go_on = || options.go_on();
    let mut levels = vec![Level::of(Tree::Whole(store), Key::root(), Key::root())?];
    while let Some(level) = levels.last_mut() {
        go_on()?;
        let Some((name, kind)) = level.rest.pop() else {
            level.check_there()?;
            levels.pop();
            continue;
        };
        let (store, key, path) = (level.tree.store(), level.prefix.join(&name)?, level.path.join(&name)?);
        match kind {
            EntryKind::Value => {
                // One that has gone since was removed by itself, unless the document has gone as well, which is looked at in the end.
                if let Some(value) = store.open(&key)? {
                    writer.add(path.as_str(), &*value, &go_on)?;
                }
            }
            EntryKind::Prefix => {
                let below = match (store.tree(&key)?, &level.tree) {
                    (Some(tree), _) => Level::of(Tree::Own(tree), Key::root(), path)?,
                    (None, Tree::Own(tree)) => Level::of(Tree::Own(tree.clone()), key, path)?,
                    (None, Tree::Whole(store)) => Level::of(Tree::Whole(*store), key, path)?,
                };
                levels.push(below);
            }
            EntryKind::Other => {
                let what = "a link or special file, which is never followed, so that the zip file would lack it; put the file itself there";
                return Err(Error::unsupported(what).at(&store.locate(&key)));
            }
        }
    }
    Ok(())
}

/// What is directly below a prefix, the first name last, without files that somebody is writing.
fn entries(store: &dyn Store, prefix: &Key) -> Result<Vec<(String, EntryKind)>> {
    let mut entries = Vec::new();
    store.list(prefix, &mut |entry| {
        if entry.kind == EntryKind::Value && is_temporary_name(&entry.name) {
            return Ok(());
        }
        // A name with a backslash would not be read again.
        if entry.name.contains('\\') {
            let what = "a name with a backslash, which zip files cannot have";
            return Err(Error::unsupported(what).at(&store.locate(&prefix.join(&entry.name)?)));
        }
        entries.push((entry.name, entry.kind));
        Ok(())
    })?;
    entries.sort_unstable_by(|a, b| b.0.cmp(&a.0));
    Ok(entries)
}
