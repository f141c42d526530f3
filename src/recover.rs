//! Recovery: what interrupted rechunks have left at a path, and everywhere below it, is completed or removed, and said.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::array::read_optional_node;
use crate::error::{Error, Result};
use crate::group::MAX_GROUP_DEPTH;
use crate::metadata::NodeMetadata;
use crate::publish::{Durability, RecoverStep, Unsealed, belongs_to, is_own_name, names_fit, recover as recover_place};
use crate::rechunk::refresh_above;
use crate::store::{EntryKind, FilesystemStore, Key, Store, is_file, resolved_above};

/// How a recovery acts.
#[derive(Clone, Debug)]
#[must_use]
pub struct RecoverOptions {
    sync: bool,
    exchange: bool,
    locks: bool,
}

impl Default for RecoverOptions {
    fn default() -> Self {
        Self { sync: true, exchange: true, locks: true }
    }
}

impl RecoverOptions {
    /// With syncs, and with exchanges in one step where the file system can do them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to wait until what is done would survive a power cut (the default).
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// Whether what is replaced and what replaces it are exchanged in one step, as in [`crate::RechunkOptions::exchange`].
    pub fn exchange(mut self, exchange: bool) -> Self {
        self.exchange = exchange;
        self
    }

    /// Whether locks are taken (the default): see [`FilesystemStore::with_locks`].
    pub fn locks(mut self, locks: bool) -> Self {
        self.locks = locks;
        self
    }
}

/// What was found of one target, and done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecoveredNode {
    /// The path of the target: what has, or was to get, the final name.
    pub path: String,
    /// What was done, in this order.
    pub steps: Vec<RecoverStep>,
}

/// What a recovery found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Recovered {
    /// Whether nothing of ours is left but what lies at final names. What is not ours does not count.
    pub complete: bool,
    /// The targets that something was found of.
    pub nodes: Vec<RecoveredNode>,
    /// What should be known beside.
    pub warnings: Vec<String>,
}

/// Completes or removes what interrupted rechunks have left at `path`, and in all groups below it: a new tree that is complete gets its place, one that is not
/// is deleted, and an old tree that has been replaced is deleted or kept as was asked for. `path` is that of the target (there need be nothing, as
/// between two renames), of a group, or of a directory of stores. It may itself be interrupted anywhere, and goes on when it is called
/// again. Nothing without our marker is ever deleted.
///
/// # Errors
/// [`Error::Busy`] when a live process is at work at `path`; [`Error::NotFound`] where there is nothing at all; those of the store.
pub fn recover(path: impl AsRef<Path>, options: &RecoverOptions) -> Result<Recovered> {
    let path = path.as_ref();
    let mut recovery = Recovery { options: options.clone(), recovered: Recovered { complete: true, ..Recovered::default() } };
    let whole = resolved_above(path)?;
    if is_file(&whole) {
        return Err(Error::invalid(format!("{}: is a file; a directory is recovered", path.display())));
    }
    if let (Some(parent), Some(name)) = (whole.parent(), whole.file_name()) {
        let name = name.to_str().ok_or_else(|| Error::invalid(format!("{}: the name is not UTF-8", whole.display())))?;
        let store = recovery.open(parent)?;
        let key = Key::new(name)?;
        let target = belongs_to(&*store, &key)?.unwrap_or(key);
        if let Some(error) = recovery.place(&store, &target)? {
            return Err(error);
        }
        if store.kind(&target)?.is_none() && recovery.recovered.nodes.is_empty() {
            return Err(Error::NotFound {
                path: path.display().to_string(),
                what: String::from("an array, a group, or what a rechunk of one has left"),
            });
        }
        if store.kind(&target)? != Some(EntryKind::Prefix) {
            return Ok(recovery.recovered);
        }
        let below = recovery.open(&parent.join(target.name()))?;
        recovery.below(&below, &Key::root(), 0)?;
    } else {
        let below = recovery.open(&whole)?;
        recovery.below(&below, &Key::root(), 0)?;
    }
    Ok(recovery.recovered)
}

/// A recovery under way.
struct Recovery {
    options: RecoverOptions,
    recovered: Recovered,
}

impl Recovery {
    fn open(&self, directory: &Path) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(FilesystemStore::open(directory)?.with_exchange(self.options.exchange).with_locks(self.options.locks)))
    }

    /// Recovers one target; returns the error where somebody is at work there.
    fn place(&mut self, store: &Arc<dyn Store>, target: &Key) -> Result<Option<Error>> {
        // A name that leaves no room for the others has none.
        if !names_fit(target) {
            return Ok(None);
        }
        let durability = if self.options.sync { Durability::Sync } else { Durability::NoSync };
        let (sync, warnings) = (self.options.sync, &mut self.recovered.warnings);
        let mut refresh = || warnings.extend(refresh_above(store, target, sync));
        let steps = match recover_place(store.clone(), target, (Unsealed::Discard, durability), &mut refresh) {
            Err(error @ Error::Busy { .. }) => return Ok(Some(error)),
            steps => steps?,
        };
        self.note(store, target, steps);
        Ok(None)
    }

    fn note(&mut self, store: &Arc<dyn Store>, target: &Key, steps: Vec<RecoverStep>) {
        self.recovered.complete &= !steps.iter().any(|step| matches!(step, RecoverStep::Left { .. }));
        if !steps.is_empty() {
            self.recovered.nodes.push(RecoveredNode { path: store.locate(target), steps });
        }
    }

    /// Recovers what lies directly in `prefix`, which is a group or, at the top, any directory but an array; then goes on in the groups there.
    fn below(&mut self, store: &Arc<dyn Store>, prefix: &Key, depth: usize) -> Result<()> {
        let is_group = match read_optional_node(&**store, prefix) {
            Ok(Some((NodeMetadata::Group(_), _))) => true,
            Ok(None) => false,
            // An array, or something that is for others to explain.
            Ok(Some(_)) | Err(_) => return Ok(()),
        };
        if depth > MAX_GROUP_DEPTH || depth > 0 && !is_group {
            return Ok(());
        }
        let mut names = BTreeSet::new();
        store.list(prefix, &mut |entry| {
            if entry.kind == EntryKind::Prefix && !is_own_name(&entry.name) {
                names.insert(entry.name);
            }
            Ok(())
        })?;
        let mut targets = BTreeSet::new();
        for name in names {
            let key = prefix.join(&name)?;
            targets.insert(belongs_to(&**store, &key)?.unwrap_or(key));
        }
        for target in targets {
            // One bad neighbour is no reason to leave the others as they are.
            let failed = match self.place(store, &target) {
                Ok(Some(busy)) => Some(format!("{busy}; recover it when that has ended")),
                Ok(None) => self.below(store, &target, depth + 1).err().map(|error| error.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = failed {
                self.note(store, &target, vec![RecoverStep::Left { path: store.locate(&target), why }]);
            }
        }
        Ok(())
    }
}
