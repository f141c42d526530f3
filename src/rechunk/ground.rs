//! Where the target of a rechunk goes: the directory, the name in it, and what may not be there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::array::{check_node_name, read_only, read_optional_node};
use crate::error::{Error, Result};
use crate::metadata::{DOCUMENT, NodeMetadata, v2};
use crate::process;
use crate::publish::{Existing, Held};
use crate::rechunk::RechunkOptions;
use crate::store::{EntryKind, FilesystemStore, Key, Lock, Store, is_file, open_directory};

/// The place of a target, ready for a stage.
#[derive(Debug)]
pub(super) struct Ground {
    /// The directory that the target goes into.
    pub(super) parent: PathBuf,
    /// The same as a store.
    pub(super) store: Arc<dyn Store>,
    /// The name of the target in it.
    pub(super) name: Key,
    pub(super) existing: Existing,
    /// The source, where it is the target as well.
    pub(super) held: Option<Held>,
    /// Locks of what lies below the source, until the end.
    pub(super) _node_locks: Vec<Box<dyn Lock>>,
}

impl Ground {
    /// For a target that is not the source.
    pub(super) fn beside(source: &Path, target: &Path, options: &RechunkOptions<'_>) -> Result<Self> {
        let (parent, name) = place(source, target)?;
        let store: Arc<dyn Store> = Arc::new(open_parent(&parent, options)?);
        let name = Key::new(name)?;
        if options.overwrite {
            check_replaceable(&*store, &name)?;
        }
        let existing = match (options.overwrite, options.keep_backup) {
            (false, _) => Existing::Refuse,
            (true, false) => Existing::Replace,
            (true, true) => Existing::ReplaceAndKeep,
        };
        Ok(Self { parent, store, name, existing, held: None, _node_locks: Vec::new() })
    }
}

/// The directory that a target goes into, as the store that it is written to.
pub(super) fn open_parent(parent: &Path, options: &RechunkOptions<'_>) -> Result<FilesystemStore> {
    let limited = process::memory_limit_bytes().is_some();
    let store = FilesystemStore::open(parent)?.with_read_mode(options.read_mode);
    Ok(store.with_drop_behind(true).with_write_behind(limited).with_exchange(options.exchange).with_locks(options.locks))
}

/// The directory that the target goes into, and its name there.
fn place(source: &Path, target: &Path) -> Result<(PathBuf, String)> {
    let Some(name) = target.file_name() else {
        return Err(Error::invalid(format!("{}: the target must end in a name for what is made", target.display())));
    };
    let Some(name) = name.to_str() else {
        return Err(Error::invalid(format!("{}: the name of a node must be UTF-8", target.display())));
    };
    check_node_name(name)?;
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let resolved = crate::store::resolved(parent).map_err(|error| match error {
        Error::NotFound { path, .. } => Error::NotFound { path, what: String::from("the directory of the target; make it first") },
        error => error,
    })?;
    let from = crate::store::resolved_above(source)?;
    let to = resolved.join(name);
    if [".rechunked", ".backup"].iter().any(|suffix| from.starts_with(resolved.join(format!("{name}{suffix}")))) {
        return Err(Error::invalid(format!(
            "{}: this name is used while {} is made; move the source away first",
            source.display(),
            target.display()
        )));
    }
    if to == from && !is_file(&from) {
        return Err(Error::invalid(format!("{}: the target is the source; leave the target out to rechunk in place", target.display())));
    }
    if to.starts_with(&from) || from.starts_with(&to) {
        return Err(Error::invalid(format!(
            "{}: the target lies inside or around the source {}; choose a place beside it",
            target.display(),
            source.display()
        )));
    }
    refuse_inside_array(target, &resolved)?;
    Ok((resolved, name.to_owned()))
}

/// What lies below an array are its chunks: no node may be made there.
pub(super) fn refuse_inside_array(target: &Path, parent: &Path) -> Result<()> {
    for above in parent.ancestors() {
        let store = open_directory(above)?;
        match read_optional_node(&store, &Key::root()) {
            Ok(Some((NodeMetadata::Array(_), _))) => {
                let what = format!("{}: lies inside the array {}; a target must be outside of arrays", target.display(), above.display());
                return Err(Error::invalid(what));
            }
            Ok(Some((NodeMetadata::Group(group), _))) if group.zarr_format() == 2 => {
                return Err(read_only(&above.display().to_string()));
            }
            Ok(None) => {}
            // A group, or a document that is not understood, is the end of what concerns this target.
            Ok(Some(_)) | Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// Only a Zarr node is overwritten, so that a mistyped path costs nobody a directory.
fn check_replaceable(store: &dyn Store, target: &Key) -> Result<()> {
    match store.kind(target)? {
        None => return Ok(()),
        Some(EntryKind::Other) => {
            let what = format!("{}: is no directory; a link is not overwritten: name what it points to", store.locate(target));
            return Err(Error::invalid(what));
        }
        Some(_) if matches!(store.kind(&target.join(DOCUMENT)?), Ok(Some(EntryKind::Value))) => return Ok(()),
        Some(_) if matches!(v2::is_node(store, target), Ok(true)) => return Ok(()),
        Some(_) => {}
    }
    Err(Error::AlreadyExists {
        path: store.locate(target),
        advice: format!("it holds no {DOCUMENT}, and only Zarr arrays and groups are overwritten"),
    })
}
