//! Checking a hierarchy: every document, every stored chunk decoded, and every name that is no part of it, within a memory budget.
//!
//! Invariants
//! 1. The work is bounded by what is stored, never by the size of a grid: names are listed, and turned back into indices.
//! 2. What is found does not end the walk; only what the caller asked for does, and a path where no node is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use crate::array::{check_member_name, read_node};
use crate::error::{Error, Result};
use crate::group::MAX_GROUP_DEPTH;
use crate::metadata::{DOCUMENT, GroupMetadata, NodeMetadata, v2};
use crate::publish::is_own_name;
use crate::rechunk::{DEFAULT_MEMORY_BYTES, default_threads, open_store, within_limit};
use crate::store::{EntryKind, Key, ReadMode, Store};

mod chunks;
mod copies;
mod finding;

pub use finding::{Finding, FindingCode, Severity};
use finding::{Findings, Place};

/// What a check may use.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct CheckOptions<'a> {
    memory_bytes: u64,
    threads: usize,
    read_mode: ReadMode,
    cancel: Option<&'a AtomicBool>,
}

impl Default for CheckOptions<'_> {
    fn default() -> Self {
        Self { memory_bytes: DEFAULT_MEMORY_BYTES, threads: default_threads(), read_mode: ReadMode::default(), cancel: None }
    }
}

impl<'a> CheckOptions<'a> {
    /// A budget of [`DEFAULT_MEMORY_BYTES`], and one thread a core.
    pub fn new() -> Self {
        Self::default()
    }

    /// The memory budget in bytes for chunks; an array with chunks that do not fit is a finding.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Number of threads at most; fewer are used where the budget does not feed them.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// How files are read; see [`ReadMode`].
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.read_mode = mode;
        self
    }

    /// A flag that stops the check between chunks.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// Whether nothing was found that is an error.
    pub clean: bool,
    /// Findings that are errors: data that cannot be read, or are not what somebody meant.
    pub errors: u64,
    /// Findings that are warnings: what readers pass over or put up with, and what could not be checked.
    pub warnings: u64,
    /// The findings in the order of their keys; of more than [`CheckReport::MAX_FINDINGS`], the first.
    pub findings: Vec<Finding>,
    /// Groups.
    pub groups: u64,
    /// Arrays.
    pub arrays: u64,
    /// Stored chunks (shards) that are in the grid of their array.
    pub chunks: u64,
    /// Chunks and inner chunks that were decoded.
    pub decoded: u64,
    /// Bytes of stored chunks.
    pub stored_bytes: u64,
}

impl CheckReport {
    /// The most findings that are listed; all are counted.
    pub const MAX_FINDINGS: usize = 1000;
}

/// Checks the array or group at `path`, and all that lies below it (FMT-CHK-1 to FMT-CHK-8).
///
/// # Errors
/// Those of opening the path, where there is no node at all; [`Error::Cancelled`]. What is wrong is a finding and not an error.
pub fn check(path: impl AsRef<Path>, options: CheckOptions<'_>) -> Result<CheckReport> {
    check_in(open_store(path.as_ref(), options.read_mode)?, options)
}

/// As [`check`], for the root of a store.
pub(crate) fn check_in(store: Arc<dyn Store>, options: CheckOptions<'_>) -> Result<CheckReport> {
    let memory_bytes = within_limit(options.memory_bytes, &mut Vec::new()).saturating_sub(store.held_bytes());
    let walk = Walk { store, options: CheckOptions { memory_bytes, ..options }, findings: Mutex::default(), counts: Counts::default() };
    match read_node(&*walk.store, &Key::root()) {
        Err(error @ Error::NotFound { .. }) => return Err(error),
        node => walk.node(&Key::root(), node.map(|(node, _)| node), 0)?,
    }
    // What was not found in a tree that is gone may have been there.
    if matches!(read_node(&*walk.store, &Key::root()), Err(Error::NotFound { .. })) {
        return Err(Error::Stale { path: walk.store.locate(&Key::root()) });
    }
    let Walk { findings, counts, .. } = walk;
    let (errors, warnings, findings) = findings.into_inner().finish();
    Ok(CheckReport {
        clean: errors == 0,
        errors,
        warnings,
        findings,
        groups: counts.groups.into_inner(),
        arrays: counts.arrays.into_inner(),
        chunks: counts.chunks.into_inner(),
        decoded: counts.decoded.into_inner(),
        stored_bytes: counts.stored_bytes.into_inner(),
    })
}

#[derive(Debug, Default)]
struct Counts {
    groups: AtomicU64,
    arrays: AtomicU64,
    chunks: AtomicU64,
    decoded: AtomicU64,
    stored_bytes: AtomicU64,
}

impl Counts {
    /// Adds what was counted in a part of the hierarchy.
    fn take(&self, part: Self) {
        let Self { groups, arrays, chunks, decoded, stored_bytes } = part;
        count(&self.groups, groups.into_inner());
        count(&self.arrays, arrays.into_inner());
        count(&self.chunks, chunks.into_inner());
        count(&self.decoded, decoded.into_inner());
        count(&self.stored_bytes, stored_bytes.into_inner());
    }
}

/// Adds to one of the counts.
fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// A walk through a hierarchy.
struct Walk<'a> {
    store: Arc<dyn Store>,
    options: CheckOptions<'a>,
    findings: Mutex<Findings>,
    counts: Counts,
}

impl Walk<'_> {
    fn go_on(&self) -> Result<()> {
        if self.options.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed)) { Err(Error::Cancelled) } else { Ok(()) }
    }

    fn found(&self, code: FindingCode, key: &Key, what: impl Into<String>) {
        self.found_at(code, Place::of(key), what);
    }

    fn found_at(&self, code: FindingCode, place: Place<'_>, what: impl Into<String>) {
        self.findings.lock().add(Finding::new(code, self.store.locate(place.key), place, what.into()));
    }

    /// An error of the store or of a document at `key`, whose kind says what it is; being cancelled is none.
    fn fault(&self, key: &Key, error: Error) -> Result<()> {
        let code = match &error {
            Error::Cancelled => return Err(error),
            Error::Unsupported { .. } => FindingCode::Unsupported,
            _ if matches!(self.store.kind(key), Ok(Some(EntryKind::Other))) => FindingCode::SpecialFile,
            Error::Metadata { .. } | Error::Corrupt { .. } => FindingCode::Metadata,
            _ => FindingCode::Unreadable,
        };
        self.found(code, key, finding::sentence(&error));
        Ok(())
    }

    /// What stands at `prefix`, which is `depth` groups below the root of the walk.
    fn node(&self, prefix: &Key, node: Result<NodeMetadata>, depth: usize) -> Result<()> {
        match node {
            Ok(NodeMetadata::Array(_)) => self.array(prefix),
            Ok(NodeMetadata::Group(group)) => self.group(prefix, &group, depth),
            // Listed, and removed since.
            Err(Error::NotFound { .. }) if matches!(self.store.kind(prefix), Ok(None)) => Ok(()),
            Err(Error::NotFound { .. }) => self.no_node(prefix, depth, true),
            Err(error) => self.document_fault(prefix, error),
        }
    }

    /// An error of the documents of the node at `prefix`: of the one that it names, or else of the first that is there.
    fn document_fault(&self, prefix: &Key, error: Error) -> Result<()> {
        let named = match &error {
            Error::Metadata { key, .. } | Error::Corrupt { key, .. } | Error::Unsupported { key, .. } => key.as_str(),
            _ => "",
        };
        let keys = document_names().map(|name| prefix.join(name)).collect::<Result<Vec<Key>>>()?;
        let found = keys.iter().find(|key| self.store.locate(key) == named);
        let found = found.or_else(|| keys.iter().find(|key| !matches!(self.store.kind(key), Ok(None))));
        self.fault(found.unwrap_or(&prefix.join(DOCUMENT)?), error)
    }

    fn read(&self, prefix: &Key) -> Result<NodeMetadata> {
        read_node(&*self.store, prefix).map(|(node, _)| node)
    }

    /// What is directly below a prefix, sorted; nothing where it cannot be listed, which is a finding.
    fn entries(&self, prefix: &Key) -> Result<Vec<(String, EntryKind)>> {
        let mut entries = Vec::new();
        let listed = self.store.list(prefix, &mut |entry| {
            crate::buffer::reserve(&mut entries, 1)?;
            entries.push((entry.name, entry.kind));
            Ok(())
        });
        if let Err(error) = listed {
            self.fault(prefix, error)?;
        }
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Ok(entries)
    }

    fn group(&self, prefix: &Key, group: &GroupMetadata, depth: usize) -> Result<()> {
        count(&self.counts.groups, 1);
        self.go_on()?;
        copies::check(self, prefix, group)?;
        let entries = self.entries(prefix)?;
        if depth >= MAX_GROUP_DEPTH && entries.iter().any(|(_, kind)| *kind == EntryKind::Prefix) {
            self.found(
                FindingCode::Unsupported,
                prefix,
                format!("groups nested more than {MAX_GROUP_DEPTH} deep; what is below was not checked"),
            );
            return Ok(());
        }
        for (name, kind) in entries {
            let key = prefix.join(&name)?;
            match kind {
                EntryKind::Value if is_document(&name) => {}
                EntryKind::Value if is_leftover(&name) => self.leftover(&key),
                EntryKind::Value => self.found(FindingCode::Orphan, &key, "a file in a group, which is no part of it"),
                EntryKind::Other => self.special_file(&key),
                EntryKind::Prefix if self.is_staged(&key)? => self.leftover(&key),
                EntryKind::Prefix => match check_member_name(&*self.store, prefix, &name) {
                    Ok(()) => self.node(&key, self.read(&key), depth + 1)?,
                    Err(error) => self.found(FindingCode::ReservedName, &key, finding::sentence(&error)),
                },
            }
        }
        Ok(())
    }

    /// A directory without a document, in a group or in another such directory: nodes below it are seen by no reader that walks.
    fn no_node(&self, prefix: &Key, depth: usize, first: bool) -> Result<()> {
        if first {
            self.found(FindingCode::Orphan, prefix, format!("a directory without {DOCUMENT} in a group, which is no part of it"));
        }
        if depth >= MAX_GROUP_DEPTH {
            return Ok(());
        }
        for (name, kind) in self.entries(prefix)? {
            if kind != EntryKind::Prefix {
                continue;
            }
            let key = prefix.join(&name)?;
            match self.read(&key) {
                Err(Error::NotFound { .. }) => self.no_node(&key, depth + 1, false)?,
                node => {
                    let what = format!("a node in a directory without {DOCUMENT}: walks from the groups above do not come to it");
                    self.found(FindingCode::MisplacedNode, &key, what);
                    self.node(&key, node, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a prefix is what a rechunk is making, or has left.
    fn is_staged(&self, prefix: &Key) -> Result<bool> {
        let name = prefix.name();
        let named = name.ends_with(".rechunked") || name.ends_with(".backup");
        if !named {
            return Ok(false);
        }
        // A marker comes first and goes last, so that there is a moment without any on either side.
        let entries = self.entries(prefix)?;
        Ok(entries.is_empty() || entries.iter().any(|(name, _)| is_own_name(name)))
    }

    fn leftover(&self, key: &Key) {
        self.found(FindingCode::Leftover, key, "left by a program that is at work here, or was interrupted");
    }

    fn special_file(&self, key: &Key) {
        let what =
            "a link, a special file, or a name that is not UTF-8: it is never followed or opened, and other readers may see something else";
        self.found(FindingCode::SpecialFile, key, what);
    }
}

/// The names of documents of nodes; where several stand beside one another, the first counts.
fn document_names() -> impl Iterator<Item = &'static str> {
    std::iter::once(DOCUMENT).chain(v2::DOCUMENTS)
}

fn is_document(name: &str) -> bool {
    document_names().any(|document| document == name)
}

/// Names that programs give to files which take another name when they are complete: ours, those of zarr-python, TensorStore and zarrs.
fn is_leftover(name: &str) -> bool {
    is_own_name(name) || [".tmp", ".partial", ".__lock"].iter().any(|ending| name.ends_with(ending))
}
