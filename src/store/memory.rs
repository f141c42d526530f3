//! A store in memory, with what is visible and what would survive a power cut kept apart.
//!
//! Invariants
//! 1. Operations change the live image alone; [`Store::sync`] makes the durable image equal to it, and [`Store::sync_prefix`],
//!    [`Store::set_durable`] and [`ValueWriter::sync`] make no more of it durable than they say.
//! 2. The journal holds every change of the live tree of names that is not durable, each as one indivisible step.
//! 3. The lock is never held while foreign code runs: not during `visit`, and not during operations on another store.

use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;

use self::image::{Change, Image, Link, Node, NodeId, ROOT};
use self::locks::Locks;
use self::writer::Writer;
use super::{
    ByteRange, Change as ValueChange, Entry, EntryKind, Key, Lock, NODE_DOCUMENTS, Stamp, Store, Value, ValueWriter, check_move,
    obstructed, read_to_vec, resolve,
};
use crate::buffer::reserve;
use crate::error::{Error, Result};

mod crash;
mod image;
mod locks;
mod writer;

/// A store in memory.
///
/// It keeps apart what is visible and what would survive a power cut, so that programs can be tested against crashes:
/// [`MemoryStore::crash`] and [`MemoryStore::crash_with`] give the store that would be found afterwards.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    locks: Locks,
}

#[derive(Debug, Default)]
struct State {
    live: Image,
    durable: Image,
    journal: Vec<Change>,
    /// The length of the journal at which steps are dropped that no longer matter.
    compact_at: usize,
    last_id: NodeId,
}

impl State {
    fn commit(&mut self, links: Vec<Link>) {
        let change = Change { links };
        self.live.apply(&change);
        self.journal.push(change);
        if self.journal.len() > self.compact_at.max(1024) {
            let (live, durable) = (&self.live, &self.durable);
            self.journal.retain(|change| change.matters(live) || change.matters(durable));
            self.compact_at = 2 * self.journal.len();
        }
    }

    /// Makes the names in the prefix `parent` durable, as an fsync of a directory does: with the nodes that they name, but neither with the
    /// bytes of those, nor with what they hold, nor with the name of `parent` itself.
    fn sync_names(&mut self, parent: NodeId) {
        self.durable.nodes.entry(parent).or_insert_with(|| Node::Prefix(BTreeMap::new()));
        // When each node got the name that is durable now.
        let mut named = HashMap::new();
        let mut rest = Vec::new();
        for (at, change) in std::mem::take(&mut self.journal).into_iter().enumerate() {
            if !change.links.iter().any(|link| link.parent == parent) {
                rest.push((at, change));
                continue;
            }
            self.durable.take(&change, &self.live);
            named.extend(change.links.iter().filter_map(|link| Some((link.new?, at))));
        }
        // What it was named before must not come back.
        let is_past = |at: usize, change: &Change| change.links.iter().any(|link| link.new.is_some_and(|id| named.get(&id) > Some(&at)));
        self.journal = rest.into_iter().filter(|(at, change)| !is_past(*at, change)).map(|(_, change)| change).collect();
    }

    fn add(&mut self, node: Node) -> NodeId {
        self.last_id += 1;
        self.live.nodes.insert(self.last_id, node);
        self.last_id
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn obstructed(&self, key: &str, kind: EntryKind) -> Error {
        let path = format!("memory:/{key}");
        match kind {
            EntryKind::Value => obstructed(path, "a value", "a prefix"),
            _ => obstructed(path, "a prefix", "a value"),
        }
    }

    /// The node at `key`; none if there is nothing.
    fn find(&self, state: &State, key: &Key) -> Result<Option<NodeId>> {
        let mut at = ROOT;
        let mut walked = 0;
        for name in key.as_str().split('/').filter(|name| !name.is_empty()) {
            match state.live.nodes.get(&at) {
                Some(Node::Prefix(entries)) => match entries.get(name) {
                    Some(&next) => at = next,
                    None => return Ok(None),
                },
                _ => return Err(self.obstructed(key.as_str().get(..walked).unwrap_or_default().trim_end_matches('/'), EntryKind::Value)),
            }
            walked += name.len() + 1;
        }
        Ok(Some(at))
    }

    fn find_value(&self, state: &State, key: &Key) -> Result<Option<(NodeId, Arc<Vec<u8>>)>> {
        let Some(id) = self.find(state, key)? else { return Ok(None) };
        match state.live.nodes.get(&id) {
            Some(Node::Value(bytes)) => Ok(Some((id, Arc::clone(bytes)))),
            _ => Err(self.obstructed(key.as_str(), EntryKind::Prefix)),
        }
    }

    /// The prefix that holds `key`, made with its parents if need be.
    fn make_parent(&self, state: &mut State, key: &Key) -> Result<NodeId> {
        let parent = key.parent().ok_or_else(|| Error::invalid("the root of a store is a prefix; a key below it is wanted"))?;
        let mut at = ROOT;
        let mut path = Key::root();
        for name in parent.as_str().split('/').filter(|name| !name.is_empty()) {
            path = path.join(name)?;
            at = match self.find(state, &path)? {
                Some(next) => next,
                None => {
                    let made = state.add(Node::Prefix(Default::default()));
                    state.commit(vec![Link { parent: at, name: name.to_owned(), old: None, new: Some(made) }]);
                    made
                }
            };
        }
        match state.live.nodes.get(&at) {
            Some(Node::Prefix(_)) => Ok(at),
            _ => Err(self.obstructed(parent.as_str(), EntryKind::Value)),
        }
    }

    /// Makes `bytes` the value at `key`, in a node of its own, as a renamed file would be; returns the parent and the node.
    fn replace(&self, state: &mut State, key: &Key, bytes: Arc<Vec<u8>>) -> Result<(NodeId, NodeId)> {
        let parent = self.make_parent(state, key)?;
        let old = self.find_value(state, key)?.map(|(id, _)| id);
        let new = state.add(Node::Value(bytes));
        state.commit(vec![Link { parent, name: key.name().to_owned(), old, new: Some(new) }]);
        Ok((parent, new))
    }

    /// The parents of two keys that are to be moved, and what stands at them.
    fn ends(&self, state: &State, a: &Key, b: &Key) -> Result<[(NodeId, Option<NodeId>); 2]> {
        check_move(a, b)?;
        let missing = |key: &Key| Error::NotFound { path: self.locate(key), what: "a prefix to hold it".to_owned() };
        let end = |key: &Key| {
            let parent = key.parent().map_or(Ok(None), |parent| self.find(state, &parent))?.ok_or_else(|| missing(key))?;
            Ok((parent, self.find(state, key)?))
        };
        Ok([end(a)?, end(b)?])
    }

    fn not_found(&self, key: &Key) -> Error {
        Error::NotFound { path: self.locate(key), what: "a tree".to_owned() }
    }
}

impl Store for MemoryStore {
    fn kind(&self, key: &Key) -> Result<Option<EntryKind>> {
        let state = self.state.lock();
        Ok(self.find(&state, key)?.and_then(|id| state.live.nodes.get(&id)).map(Node::kind))
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn Value>>> {
        let Some((_, bytes)) = self.find_value(&self.state.lock(), key)? else { return Ok(None) };
        Ok(Some(Box::new(MemoryValue { bytes, path: self.locate(key) })))
    }

    fn set(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.replace(&mut self.state.lock(), key, Arc::new(value.to_vec())).map(drop)
    }

    fn write_at(&self, key: &Key, offset: u64, bytes: &[u8]) -> Result<()> {
        let end = offset.checked_add(bytes.len() as u64).and_then(|end| usize::try_from(end).ok());
        let too_large = || Error::invalid(format!("{} bytes at offset {offset} do not fit in memory", bytes.len()));
        let end = end.ok_or_else(too_large)?;
        let state = &mut *self.state.lock();
        if self.find_value(state, key)?.is_none() {
            let parent = self.make_parent(state, key)?;
            let new = state.add(Node::Value(Arc::default()));
            state.commit(vec![Link { parent, name: key.name().to_owned(), old: None, new: Some(new) }]);
        }
        let Some(id) = self.find(state, key)? else { return Err(self.not_found(key)) };
        if let (Some(Node::Value(value)), false) = (state.live.nodes.get_mut(&id), bytes.is_empty()) {
            let value = Arc::make_mut(value);
            if value.len() < end {
                let missing = end - value.len();
                reserve(value, missing)?;
                value.resize(end, 0);
            }
            value[end - bytes.len()..end].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn writer<'s>(&'s self, key: &Key) -> Result<Box<dyn ValueWriter + 's>> {
        Ok(Box::new(Writer { store: self, key: key.clone() }))
    }

    fn copy_from(&self, source: &dyn Store, from: &Key, to: &Key) -> Result<Option<u64>> {
        let bytes = if let Some(store) = source.as_any().downcast_ref::<Self>() {
            store.find_value(&store.state.lock(), from)?.map(|(_, bytes)| bytes)
        } else {
            read_to_vec(source, from, u64::MAX)?.map(Arc::new)
        };
        let Some(bytes) = bytes else { return Ok(None) };
        let size = bytes.len() as u64;
        self.replace(&mut self.state.lock(), to, bytes)?;
        Ok(Some(size))
    }

    fn erase(&self, key: &Key) -> Result<bool> {
        let state = &mut *self.state.lock();
        let Some((id, _)) = self.find_value(state, key)? else { return Ok(false) };
        let parent = self.make_parent(state, key)?;
        state.commit(vec![Link { parent, name: key.name().to_owned(), old: Some(id), new: None }]);
        Ok(true)
    }

    fn erase_prefix(&self, prefix: &Key) -> Result<bool> {
        let state = &mut *self.state.lock();
        let Some(top) = self.find(state, prefix)? else { return Ok(false) };
        if matches!(state.live.nodes.get(&top), Some(Node::Value(_))) {
            return Err(self.obstructed(prefix.as_str(), EntryKind::Value));
        }
        // Prefixes in the order of their discovery, so that in reverse each comes after all that it holds.
        let mut prefixes = vec![top];
        let mut next = 0;
        let mut links = Vec::new();
        while let Some(&parent) = prefixes.get(next) {
            next += 1;
            let Some(Node::Prefix(entries)) = state.live.nodes.get(&parent) else { continue };
            let is_metadata = |name: &str| NODE_DOCUMENTS.contains(&name);
            let metadata_first = NODE_DOCUMENTS.into_iter().filter_map(|name| entries.get_key_value(name));
            for (name, &id) in metadata_first.chain(entries.iter().filter(|(name, _)| !is_metadata(name))) {
                if let Some(Node::Prefix(_)) = state.live.nodes.get(&id) {
                    prefixes.push(id);
                }
                links.push(Link { parent, name: name.clone(), old: Some(id), new: None });
            }
        }
        let found = !links.is_empty();
        let prefixes: HashSet<NodeId> = prefixes.into_iter().collect();
        let is_prefix = |link: &Link| link.old.is_some_and(|id| prefixes.contains(&id));
        let (mut emptied, values): (Vec<Link>, Vec<Link>) = links.into_iter().partition(is_prefix);
        emptied.reverse();
        values.into_iter().chain(emptied).for_each(|link| state.commit(vec![link]));
        if !prefix.is_root() {
            let parent = self.make_parent(state, prefix)?;
            state.commit(vec![Link { parent, name: prefix.name().to_owned(), old: Some(top), new: None }]);
        }
        Ok(found || !prefix.is_root())
    }

    fn list(&self, prefix: &Key, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut after: Option<String> = None;
        loop {
            let state = self.state.lock();
            let Some(id) = self.find(&state, prefix)? else { return Ok(()) };
            let Some(Node::Prefix(entries)) = state.live.nodes.get(&id) else {
                return Err(self.obstructed(prefix.as_str(), EntryKind::Value));
            };
            let start = after.as_ref().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
            let Some((name, id)) = entries.range::<String, _>((start, std::ops::Bound::Unbounded)).next() else { return Ok(()) };
            let entry = Entry { name: name.clone(), kind: state.live.nodes.get(id).map_or(EntryKind::Other, Node::kind) };
            drop(state);
            after = Some(entry.name.clone());
            visit(entry)?;
        }
    }

    fn create_prefix(&self, prefix: &Key) -> Result<()> {
        let state = &mut *self.state.lock();
        if self.find(state, prefix)?.is_some() {
            return Err(Error::AlreadyExists { path: self.locate(prefix), advice: "move it away, or choose another name".to_owned() });
        }
        let parent = self.make_parent(state, prefix)?;
        let new = state.add(Node::Prefix(Default::default()));
        state.commit(vec![Link { parent, name: prefix.name().to_owned(), old: None, new: Some(new) }]);
        Ok(())
    }

    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        let state = &mut *self.state.lock();
        let [(source, moved), (target, taken)] = self.ends(state, from, to)?;
        let moved = moved.ok_or_else(|| self.not_found(from))?;
        if taken.is_some() {
            return Err(Error::AlreadyExists { path: self.locate(to), advice: "move it away, or choose another name".to_owned() });
        }
        state.commit(vec![
            Link { parent: source, name: from.name().to_owned(), old: Some(moved), new: None },
            Link { parent: target, name: to.name().to_owned(), old: None, new: Some(moved) },
        ]);
        Ok(())
    }

    fn exchange(&self, a: &Key, b: &Key) -> Result<()> {
        let state = &mut *self.state.lock();
        let [(first, one), (second, other)] = self.ends(state, a, b)?;
        let (one, other) = (one.ok_or_else(|| self.not_found(a))?, other.ok_or_else(|| self.not_found(b))?);
        state.commit(vec![
            Link { parent: first, name: a.name().to_owned(), old: Some(one), new: Some(other) },
            Link { parent: second, name: b.name().to_owned(), old: Some(other), new: Some(one) },
        ]);
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        let state = &mut *self.state.lock();
        state.durable = state.live.clone();
        state.journal.clear();
        Ok(())
    }

    fn sync_prefix(&self, prefix: &Key) -> Result<()> {
        let state = &mut *self.state.lock();
        let id = self.find(state, prefix)?.ok_or_else(|| self.not_found(prefix))?;
        if matches!(state.live.nodes.get(&id), Some(Node::Value(_))) {
            return Err(self.obstructed(prefix.as_str(), EntryKind::Value));
        }
        state.sync_names(id);
        Ok(())
    }

    fn set_durable(&self, key: &Key, value: &[u8]) -> Result<()> {
        let state = &mut *self.state.lock();
        let bytes = Arc::new(value.to_vec());
        let (parent, new) = self.replace(state, key, Arc::clone(&bytes))?;
        state.durable.nodes.insert(new, Node::Value(bytes));
        state.sync_names(parent);
        Ok(())
    }

    fn stamp(&self, key: &Key) -> Result<Option<Stamp>> {
        let Some((file, bytes)) = self.find_value(&self.state.lock(), key)? else { return Ok(None) };
        // There is no clock here.
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        Ok(Some(Stamp { file, size: bytes.len() as u64, modified_ns: hasher.finish().into() }))
    }

    fn lock(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.lock_prefix(prefix, false)
    }

    fn lock_shared(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.lock_prefix(prefix, true)
    }

    fn change<'s>(&'s self, key: &Key) -> Result<Box<dyn ValueChange + 's>> {
        Ok(Box::new(self.begin_change(key)?))
    }

    fn locate(&self, key: &Key) -> String {
        format!("memory:/{}", key.as_str())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The bytes that a key had when it was opened.
#[derive(Debug)]
struct MemoryValue {
    bytes: Arc<Vec<u8>>,
    path: String,
}

impl Value for MemoryValue {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let visited = resolve(range, self.size()).and_then(|(offset, len)| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let wanted = self.bytes.get(from..).and_then(|rest| rest.get(..len));
            visit(wanted.ok_or_else(|| Error::corrupt("a range outside the value"))?)
        });
        visited.map_err(|error| error.at(&self.path))
    }
}
