//! Nodes that need what this build does not have, and travel along unread: every stored value below them is copied as it is, the document last.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::metadata::{DOCUMENT, v2};
use crate::rechunk::execute::{Control, add};
use crate::rechunk::plan::Plan;
use crate::rechunk::report::Measured;
use crate::store::{ByteRange, EntryKind, Key, Store, is_temporary_name};

/// How deep prefixes may be nested below a node that is not understood; each level is one open directory.
const MAX_PREFIX_DEPTH: usize = 128;

/// A node that travels along unread (RCK-15).
pub(crate) struct Carried {
    /// Where it is below the root.
    pub(crate) path: String,
    /// Where it is in the store.
    key: Key,
    /// What this build does not have.
    pub(crate) reason: String,
    pub(crate) plan: Plan,
    /// Digest of the document, to see at the end whether it is still the same node.
    digest: u64,
}

impl Carried {
    /// Looks at the tree at `key`, which is that of `path`: counts its values and their bytes, and refuses what cannot be copied.
    pub(crate) fn prepare(store: &dyn Store, (path, key): (String, Key), reason: String, budget_bytes: u64) -> Result<Self> {
        let (mut files, mut bytes) = (0, 0_u64);
        for_each_value(store, &key, &mut |key| {
            files += 1;
            bytes = bytes.saturating_add(store.size(key)?.unwrap_or_default());
            Ok(())
        })?;
        let digest = digest(store, &key)?;
        Ok(Self { plan: Plan::carried(files, bytes, budget_bytes)?, path, key, reason, digest })
    }

    /// Copies the tree from below the root of `source` to `target` in `store`.
    pub(crate) fn copy(&self, source: &dyn Store, store: &dyn Store, target: &Key, control: &Control<'_>) -> Result<Measured> {
        let begun = Instant::now();
        let from = self.key.clone();
        // The tree that has the name now is copied, whatever becomes of the name.
        let tree = source.tree(&from)?;
        let (source, from) = match &tree {
            Some(tree) => (&**tree, Key::root()),
            None => (source, from),
        };
        let document = document_key(source, &from)?;
        let mut measured = Measured::default();
        let mut copy = |key: &Key| {
            control.check()?;
            let to = target.join(key.as_str().strip_prefix(from.as_str()).unwrap_or_default().trim_start_matches('/'))?;
            let Some(bytes) = store.copy_from(source, key, &to)? else {
                // It was removed by itself, or with all the rest.
                return if source.size(&document)?.is_some() { Ok(()) } else { Err(self.stale(source, &from)) };
            };
            add(&control.read_bytes, bytes);
            control.wrote(bytes);
            measured.files += 1;
            Ok(())
        };
        for_each_value(source, &from, &mut |key| if *key == document { Ok(()) } else { copy(key) })?;
        copy(&document)?;
        if digest(source, &from)? != self.digest {
            return Err(self.stale(source, &from));
        }
        measured.read_bytes = control.read_bytes.load(Ordering::Relaxed);
        measured.written_bytes = measured.read_bytes;
        measured.seconds = begun.elapsed().as_secs_f64();
        Ok(measured)
    }

    fn stale(&self, source: &dyn Store, from: &Key) -> Error {
        Error::Stale { path: source.locate(from) }
    }
}

/// Calls `visit` with the key of every value below `prefix`, without collecting them. Files that somebody is writing are none yet.
///
/// # Errors
/// Those of `visit` and of the store; [`Error::Unsupported`] for what is neither a value nor a prefix, and for prefixes nested too deep.
pub(crate) fn for_each_value(store: &dyn Store, prefix: &Key, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()> {
    values_below(store, prefix, 0, visit)
}

fn values_below(store: &dyn Store, prefix: &Key, depth: usize, visit: &mut dyn FnMut(&Key) -> Result<()>) -> Result<()> {
    if depth > MAX_PREFIX_DEPTH {
        let what = format!("prefixes nested more than {MAX_PREFIX_DEPTH} deep in a node that travels along unread");
        return Err(Error::unsupported(what).at(&store.locate(prefix)));
    }
    store.list(prefix, &mut |entry| {
        let key = prefix.join(&entry.name)?;
        match entry.kind {
            EntryKind::Value if is_temporary_name(&entry.name) => Ok(()),
            EntryKind::Value => visit(&key),
            EntryKind::Prefix => values_below(store, &key, depth + 1, visit),
            EntryKind::Other => Err(Error::unsupported("a link or special file, which cannot travel along").at(&store.locate(&key))),
        }
    })
}

/// The key of the document that makes a node of `prefix`, in whatever version of the format.
fn document_key(store: &dyn Store, prefix: &Key) -> Result<Key> {
    for name in [DOCUMENT].into_iter().chain(v2::DOCUMENTS) {
        let key = prefix.join(name)?;
        if store.size(&key)?.is_some() {
            return Ok(key);
        }
    }
    prefix.join(DOCUMENT)
}

/// Digest of the document of a node; one for no document.
fn digest(store: &dyn Store, prefix: &Key) -> Result<u64> {
    let mut hasher = DefaultHasher::new();
    store.read(&document_key(store, prefix)?, ByteRange::All, &mut |bytes| {
        bytes.hash(&mut hasher);
        Ok(())
    })?;
    Ok(hasher.finish())
}

/// Whether all values below two keys are there on both sides with the same bytes; otherwise the first that was found to differ, as a name below both.
pub(crate) fn first_difference(a: (&dyn Store, &Key), b: (&dyn Store, &Key), control: &Control<'_>) -> Result<Option<String>> {
    let mut found = None;
    for ((store, prefix), (other, other_prefix), compare) in [(a, b, true), (b, a, false)] {
        for_each_value(store, prefix, &mut |key| {
            control.check()?;
            let name = &key.as_str()[prefix.as_str().len() + 1..];
            let there = other_prefix.join(name)?;
            let same = if compare { same_value((store, key), (other, &there))? } else { other.size(&there)?.is_some() };
            if found.is_none() && !same {
                found = Some(name.to_owned());
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// Whether both stores have a value of the same bytes at these keys.
fn same_value((a, key): (&dyn Store, &Key), (b, other): (&dyn Store, &Key)) -> Result<bool> {
    const WINDOW_BYTES: u64 = 1 << 20;
    let (Some(size), Some(other_size)) = (a.size(key)?, b.size(other)?) else { return Ok(false) };
    let (mut same, mut offset) = (size == other_size, 0);
    while same && offset < size {
        let range = ByteRange::From { offset, len: (size - offset).min(WINDOW_BYTES) };
        let mut both = false;
        a.read(key, range, &mut |ours| {
            b.read(other, range, &mut |theirs| {
                both = ours == theirs;
                Ok(())
            })
            .map(drop)
        })?;
        same = both;
        offset = offset.saturating_add(WINDOW_BYTES);
    }
    Ok(same)
}
