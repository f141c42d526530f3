//! A store whose operations fail where a test says: once, from some operation on, or as if the process were killed there.

#![allow(dead_code, reason = "each test uses a part of this")]

use std::any::Any;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rezarr::{ByteRange, Change, Entry, EntryKind, Error, Key, Lock, Result, Stamp, Store, Value, ValueWriter};

/// Which operations fail. They are counted from 0, over all threads, whatever they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None.
    Never,
    /// This one, without having done anything.
    Once(u64),
    /// This one, after having done its work: the answer is lost.
    Lost(u64),
    /// This one and all after it, without having done anything, as when a disk is full or gone.
    From(u64),
    /// This one and all after it; this one has done its work, or half of it where it has parts, as when the process is killed there.
    Stop(u64),
}

/// A store that passes everything on to another one, but fails.
#[derive(Debug)]
pub(crate) struct FaultyStore {
    inner: Arc<dyn Store>,
    injector: Arc<Injector>,
    no_exchange: AtomicBool,
    whole_syncs: AtomicU64,
    single_syncs: AtomicU64,
    watcher: OnceLock<Watcher>,
}

/// Who is told of operations that are about to be done: of syncs, and of what is done through writers.
struct Watcher(Box<Watch>);

type Watch = dyn Fn(&str, &Key) + Send + Sync;

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

/// Counts the operations of a store and of the values that it has opened, and decides what becomes of each.
#[derive(Debug)]
struct Injector {
    fault: Fault,
    count: AtomicU64,
}

/// What becomes of one operation.
#[derive(PartialEq, Eq)]
enum Fate {
    Done,
    Refused,
    Unanswered,
    Halved,
}

impl FaultyStore {
    pub(crate) fn new(inner: Arc<dyn Store>, fault: Fault) -> Self {
        Self {
            inner,
            injector: Arc::new(Injector { fault, count: AtomicU64::new(0) }),
            no_exchange: AtomicBool::new(false),
            whole_syncs: AtomicU64::new(0),
            single_syncs: AtomicU64::new(0),
            watcher: OnceLock::new(),
        }
    }

    /// The same, which tells `watcher` of each sync ("sync"; of everything, with the root), and of each write through a writer ("write"), before
    /// it is done.
    pub(crate) fn watched(self, watcher: impl Fn(&str, &Key) + Send + Sync + 'static) -> Self {
        let _ = self.watcher.set(Watcher(Box::new(watcher)));
        self
    }

    fn tell(&self, op: &str, key: &Key) {
        if let Some(Watcher(watcher)) = self.watcher.get() {
            watcher(op, key);
        }
    }

    /// The same, where trees cannot be exchanged.
    pub(crate) fn without_exchange(self) -> Self {
        self.no_exchange.store(true, Ordering::Relaxed);
        self
    }

    /// The store that it passes everything on to.
    pub(crate) fn inner(&self) -> Arc<dyn Store> {
        Arc::clone(&self.inner)
    }

    /// How many operations there have been.
    pub(crate) fn operation_count(&self) -> u64 {
        self.injector.count.load(Ordering::Relaxed)
    }

    /// How often everything was synced, and how many files and directories on their own.
    pub(crate) fn sync_counts(&self) -> (u64, u64) {
        (self.whole_syncs.load(Ordering::Relaxed), self.single_syncs.load(Ordering::Relaxed))
    }

    /// An operation that is done whole or not at all.
    fn whole<T>(&self, op: &'static str, key: &Key, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.halved(op, key, run, |run| run().map(drop))
    }

    /// An operation of which `half` does a part.
    fn halved<T, F: FnOnce() -> Result<T>>(&self, op: &'static str, key: &Key, run: F, half: impl FnOnce(F) -> Result<()>) -> Result<T> {
        self.injector.halved(op, &self.inner.locate(key), run, half)
    }

    /// Erases every second value below `prefix`, as a deletion does that is killed.
    fn erase_half(&self, prefix: &Key, count: &mut u64) -> Result<()> {
        let inner = &self.inner;
        inner.list(prefix, &mut |entry| {
            let key = prefix.join(&entry.name)?;
            match entry.kind {
                EntryKind::Prefix => self.erase_half(&key, count),
                _ => {
                    *count += 1;
                    if *count % 2 == 1 { inner.erase(&key).map(drop) } else { Ok(()) }
                }
            }
        })
    }
}

impl Injector {
    fn fate(&self) -> Fate {
        let index = self.count.fetch_add(1, Ordering::Relaxed);
        match self.fault {
            Fault::Once(at) if index == at => Fate::Refused,
            Fault::From(from) if index >= from => Fate::Refused,
            Fault::Lost(at) if index == at => Fate::Unanswered,
            Fault::Stop(at) if index == at => Fate::Halved,
            Fault::Stop(at) if index > at => Fate::Refused,
            _ => Fate::Done,
        }
    }

    fn error<T>(&self, op: &'static str, path: &str) -> Result<T> {
        Err(Error::Io { op, path: path.to_owned(), source: io::Error::other("injected fault") })
    }

    /// An operation of which `half` does a part.
    fn halved<T, F: FnOnce() -> Result<T>>(&self, op: &'static str, path: &str, run: F, half: impl FnOnce(F) -> Result<()>) -> Result<T> {
        match self.fate() {
            Fate::Done => run(),
            Fate::Refused => self.error(op, path),
            Fate::Unanswered => {
                let _ = run();
                self.error(op, path)
            }
            Fate::Halved => {
                // Whether it succeeded is what a killed process never learns.
                let _ = half(run);
                self.error(op, path)
            }
        }
    }
}

/// A value whose reads fail as the operations of its store do.
#[derive(Debug)]
struct FaultyValue {
    inner: Box<dyn Value>,
    path: String,
    injector: Arc<Injector>,
}

impl Value for FaultyValue {
    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read(&self, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.injector.halved("read", &self.path, || self.inner.read(range, visit), |run| run())
    }
}

/// A change that fails as the operations of its store do. What it shows of the old value does not.
#[derive(Debug)]
struct FaultyChange<'s> {
    inner: Box<dyn Change + 's>,
    path: String,
    injector: &'s Injector,
}

impl Change for FaultyChange<'_> {
    fn value(&self) -> Option<&dyn Value> {
        self.inner.value()
    }

    fn set(self: Box<Self>, bytes: &[u8]) -> Result<bool> {
        let Self { inner, path, injector } = *self;
        injector.halved("write", &path, || inner.set(bytes), |run| run().map(|_| ()))
    }

    fn erase(self: Box<Self>) -> Result<bool> {
        let Self { inner, path, injector } = *self;
        injector.halved("remove", &path, || inner.erase(), |run| run().map(|_| ()))
    }
}

/// A writer that fails as the operations of its store do.
#[derive(Debug)]
struct FaultyWriter<'s> {
    store: &'s FaultyStore,
    inner: Box<dyn ValueWriter + 's>,
    key: Key,
}

impl ValueWriter for FaultyWriter<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        let write = |bytes: &[u8]| {
            self.store.tell("write", &self.key);
            self.inner.write_at(offset, bytes)
        };
        self.store.halved("write", &self.key, || write(bytes), |_| write(half))
    }

    fn sync(&self) -> Result<()> {
        self.store.single_syncs.fetch_add(1, Ordering::Relaxed);
        self.store.whole("sync", &self.key, || {
            self.store.tell("sync", &self.key);
            self.inner.sync()
        })
    }
}

impl Store for FaultyStore {
    fn kind(&self, key: &Key) -> Result<Option<EntryKind>> {
        self.whole("stat", key, || self.inner.kind(key))
    }

    fn open(&self, key: &Key) -> Result<Option<Box<dyn Value>>> {
        let opened = self.whole("open", key, || self.inner.open(key))?;
        let wrap = |inner| FaultyValue { inner, path: self.inner.locate(key), injector: Arc::clone(&self.injector) };
        Ok(opened.map(|inner| Box::new(wrap(inner)) as Box<dyn Value>))
    }

    fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.whole("stat", key, || self.inner.size(key))
    }

    fn set(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.whole("write", key, || self.inner.set(key, value))
    }

    fn write_at(&self, key: &Key, offset: u64, bytes: &[u8]) -> Result<()> {
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        self.halved("write", key, || self.inner.write_at(key, offset, bytes), |_| self.inner.write_at(key, offset, half))
    }

    fn writer<'s>(&'s self, key: &Key) -> Result<Box<dyn ValueWriter + 's>> {
        Ok(Box::new(FaultyWriter { store: self, inner: self.inner.writer(key)?, key: key.clone() }))
    }

    fn copy_from(&self, source: &dyn Store, from: &Key, to: &Key) -> Result<Option<u64>> {
        self.whole("copy", to, || self.inner.copy_from(source, from, to))
    }

    fn erase(&self, key: &Key) -> Result<bool> {
        self.whole("remove", key, || self.inner.erase(key))
    }

    fn erase_prefix(&self, prefix: &Key) -> Result<bool> {
        self.halved("remove", prefix, || self.inner.erase_prefix(prefix), |_| self.erase_half(prefix, &mut 0))
    }

    fn erase_empty(&self, prefix: &Key) -> Result<bool> {
        self.whole("remove", prefix, || self.inner.erase_empty(prefix))
    }

    fn list(&self, prefix: &Key, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        self.whole("list", prefix, || self.inner.list(prefix, visit))
    }

    fn create_prefix(&self, prefix: &Key) -> Result<()> {
        self.whole("create", prefix, || self.inner.create_prefix(prefix))
    }

    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        self.whole("rename", from, || self.inner.rename(from, to))
    }

    fn exchange(&self, a: &Key, b: &Key) -> Result<()> {
        if self.no_exchange.load(Ordering::Relaxed) {
            return Err(Error::Unsupported { key: self.inner.locate(a), what: "exchange".to_owned() });
        }
        self.whole("exchange", a, || self.inner.exchange(a, b))
    }

    fn sync(&self) -> Result<()> {
        self.whole_syncs.fetch_add(1, Ordering::Relaxed);
        self.whole("sync", &Key::root(), || {
            self.tell("sync", &Key::root());
            self.inner.sync()
        })
    }

    fn sync_prefix(&self, prefix: &Key) -> Result<()> {
        self.single_syncs.fetch_add(1, Ordering::Relaxed);
        self.whole("sync", prefix, || self.inner.sync_prefix(prefix))
    }

    fn set_durable(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.single_syncs.fetch_add(2, Ordering::Relaxed);
        // Killed between the write and the sync, it has written what is not durable.
        self.halved("write", key, || self.inner.set_durable(key, value), |_| self.inner.set(key, value))
    }

    fn stamp(&self, key: &Key) -> Result<Option<Stamp>> {
        self.whole("stat", key, || self.inner.stamp(key))
    }

    fn lock(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        // A lock that is taken and not told of goes at once, as that of a killed process does.
        self.whole("lock", prefix, || self.inner.lock(prefix))
    }

    fn lock_shared(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.whole("lock", prefix, || self.inner.lock_shared(prefix))
    }

    fn change<'s>(&'s self, key: &Key) -> Result<Box<dyn Change + 's>> {
        let inner = self.whole("open", key, || self.inner.change(key))?;
        Ok(Box::new(FaultyChange { inner, path: self.inner.locate(key), injector: &self.injector }))
    }

    fn locate(&self, key: &Key) -> String {
        self.inner.locate(key)
    }

    fn as_any(&self) -> &dyn Any {
        // Itself: a store that saw the inner one would copy from it past the faults.
        self
    }
}
