//! From Zarr v2 to Zarr v3 in place, and back: a `zarr.json` is put beside the documents of Zarr v2, and no chunk is touched.
//!
//! Invariants (the rules FMT-V2-20 to FMT-V2-27 of `spec/format.md`)
//! 1. At each moment, also after a kill or a power cut, every node opens as Zarr v2 or as Zarr v3, with the same elements.
//! 2. A document gets its name only when its bytes are durable, and the root gets its own only when all others are durable.
//! 3. Nothing is written unless all nodes can be Zarr v3. Nothing is removed that this could not write again.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::array::{finish_interrupted, lock_around, read_node, refresh_copies};
use crate::error::{Error, Result};
use crate::store::{FilesystemStore, Key, Store};

mod steps;
mod survey;
#[cfg(test)]
mod tests;

use survey::Survey;

/// What a migration is to do.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct MigrateOptions {
    dry_run: bool,
    undo: bool,
    remove_v2: bool,
    no_locks: bool,
}

impl MigrateOptions {
    /// Writes the documents of Zarr v3, and keeps those of Zarr v2.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to look only, and change nothing.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Whether to go back: to remove each `zarr.json` that a migration would write now. One that has been changed since is kept.
    pub fn undo(mut self, undo: bool) -> Self {
        self.undo = undo;
        self
    }

    /// Whether locks are taken (the default): see [`FilesystemStore::with_locks`].
    pub fn locks(mut self, locks: bool) -> Self {
        self.no_locks = !locks;
        self
    }

    /// Whether to delete the documents of Zarr v2 once the migration is complete and durable.
    pub fn remove_v2(mut self, remove_v2: bool) -> Self {
        self.remove_v2 = remove_v2;
        self
    }
}

/// What has become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MigrateOutcome {
    /// It can be Zarr v3, and nothing was written: in a dry run, or since another node cannot.
    Possible,
    /// Its `zarr.json` was written.
    Migrated,
    /// It has a `zarr.json` already.
    Present,
    /// It cannot be Zarr v3.
    Impossible,
    /// Its `zarr.json` was removed, or would be in a dry run.
    Undone,
    /// Its `zarr.json` was to be removed, and was kept.
    Kept,
}

/// A node, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MigratedNode {
    /// Names below the path that was given, joined by slashes; empty for that path itself.
    pub path: String,
    /// `array` or `group`; empty where nobody can say.
    pub node_type: &'static str,
    /// What has become of it.
    pub outcome: MigrateOutcome,
    /// Why, where it is not as was asked for.
    pub reason: Option<String>,
}

/// What a migration did.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct MigrateReport {
    /// Whether all nodes are, or can be, as was asked for.
    pub complete: bool,
    /// The nodes with documents of Zarr v2, and what else stands in the way, parents first.
    pub nodes: Vec<MigratedNode>,
    /// How many documents of Zarr v2 were removed, or would be.
    pub removed_documents: u64,
    /// What should be known beside.
    pub warnings: Vec<String>,
}

/// Makes the array or group of Zarr v2 at `path` one of Zarr v3, with all that is below it, without touching a chunk.
///
/// A `zarr.json` is written beside the documents of Zarr v2, those of arrays first and that of `path` last, each step durable before the next.
/// A migration that was killed leaves a store that can be read, and is completed by another one. Where one node cannot be Zarr v3, nothing is
/// written, and the report says why. Nobody else may change documents below `path` meanwhile; reading is safe.
///
/// # Errors
/// Those of the store; [`Error::NotFound`] where no node is; [`Error::Busy`] when somebody else is writing there; [`Error::InvalidArgument`] for
/// options that exclude each other.
pub fn migrate(path: impl AsRef<Path>, options: &MigrateOptions) -> Result<MigrateReport> {
    let open = || Ok::<_, Error>(Arc::new(FilesystemStore::open(path.as_ref())?.with_locks(!options.no_locks)));
    let mut store: Arc<dyn Store> = open()?;
    if !options.dry_run {
        match finish_interrupted(&store, &Key::root()) {
            Err(Error::Stale { .. }) => {
                store = open()?;
                finish_interrupted(&store, &Key::root())?;
            }
            finished => finished?,
        }
    }
    migrate_in(store, options)
}

/// As [`migrate`], for the root of a store.
pub(crate) fn migrate_in(store: Arc<dyn Store>, options: &MigrateOptions) -> Result<MigrateReport> {
    if options.undo && options.remove_v2 {
        return Err(Error::invalid("undo needs the documents of Zarr v2, which are to be removed; give one of the two"));
    }
    let root = Key::root();
    let locks = if options.dry_run { None } else { Some((lock_around(&store, &root)?, store.lock(&root)?)) };
    if options.remove_v2 {
        check_outermost(&*store)?;
    }
    let survey = match Survey::new(&*store)? {
        Some(survey) => survey,
        // Says what is there instead.
        None => return Err(read_node(&*store, &root).err().unwrap_or(Error::Stale { path: store.locate(&root) })),
    };
    let (mut report, changed) =
        if options.undo { steps::undo(&*store, &survey, options)? } else { steps::migrate(&*store, &survey, options)? };
    drop(locks);
    if changed {
        let refreshed = refresh_copies(&store, &root, false);
        report.warnings.extend(refreshed.removed);
        let stale = |error| format!("a group above may hold consolidated metadata that are out of date: {error}");
        report.warnings.extend(refreshed.stale.into_iter().map(stale));
        if refreshed.written > 0 {
            store.sync()?;
        }
    }
    Ok(report)
}

/// Refuses a node inside a group of Zarr v2, which would lose it.
fn check_outermost(store: &dyn Store) -> Result<()> {
    let Some((above, _)) = store.as_any().downcast_ref::<FilesystemStore>().map_or(Ok(None), FilesystemStore::enclosing)? else {
        return Ok(());
    };
    match read_node(&above, &Key::root()) {
        Ok((node, _)) if node.zarr_format() == 2 => Err(Error::invalid(format!(
            "{}: lies in a group of Zarr v2, which would lose it without its documents of Zarr v2; migrate {} as a whole",
            store.locate(&Key::root()),
            above.locate(&Key::root())
        ))),
        _ => Ok(()),
    }
}
