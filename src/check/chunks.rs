//! The chunks of an array: all that is stored below it is listed once, and what is a chunk is decoded, by several threads.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use parking_lot::Mutex;

use super::finding::{FindingCode, Place, sentence};
use super::{Counts, Walk, count, is_document, is_leftover};
use crate::array::{Array, ChunkFault, ChunkFaultKind, ChunkInspector, read_node};
use crate::error::{Error, Result};
use crate::store::{Entry, EntryKind, Key};

/// How often an array is checked anew while others put new trees in its place.
const TREES: usize = 16;

/// A listing of what lies below an array.
struct Listing<'a> {
    walk: &'a Walk<'a>,
    array: &'a Array,
    counts: Vec<u64>,
    /// Takes the indices of chunks; none where they do not fit the budget.
    chunks: Option<SyncSender<Vec<u64>>>,
    /// How many chunks there were for nobody to take.
    passed_over: Cell<u64>,
}

impl Walk<'_> {
    /// Checks the array at `prefix`, anew where another tree is put in its place meanwhile: what is missing in one that is being deleted says nothing
    /// of the one that has the name.
    pub(super) fn array(&self, prefix: &Key) -> Result<()> {
        for turn in 0..TREES {
            let tree = Walk { store: self.store.clone(), options: self.options, findings: Mutex::default(), counts: Counts::default() };
            match tree.tree(prefix) {
                Err(Error::Stale { .. }) => {}
                // It has been removed while it was looked at.
                Err(Error::NotFound { .. }) if turn > 0 => return Ok(()),
                Err(error @ Error::Cancelled) => return Err(error),
                Err(error) => {
                    count(&self.counts.arrays, 1);
                    return self.document_fault(prefix, error);
                }
                Ok(()) => {
                    self.counts.take(tree.counts);
                    self.findings.lock().take(tree.findings.into_inner());
                    return Ok(());
                }
            }
        }
        self.found(FindingCode::NotChecked, prefix, format!("the array was replaced {TREES} times while it was checked"));
        Ok(())
    }

    /// Checks the array that has the name `prefix` now.
    ///
    /// # Errors
    /// Those of opening it; [`Error::Stale`] when it has gone meanwhile, so that nothing that was found counts; [`Error::Cancelled`].
    fn tree(&self, prefix: &Key) -> Result<()> {
        let array = Array::open_in(self.store.clone(), prefix.clone())?;
        count(&self.counts.arrays, 1);
        self.chunks(&array, prefix)?;
        match array.check_unchanged() {
            // A document that cannot be read any more was read before.
            Err(error @ Error::Stale { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    fn chunks(&self, array: &Array, prefix: &Key) -> Result<()> {
        let (each, budget) = (ChunkInspector::memory_bytes(array).max(1), self.options.memory_bytes);
        let threads = usize::try_from(budget / each).unwrap_or(usize::MAX).min(self.options.threads);
        let (send, receive) = sync_channel(2 * threads);
        let (chunks, counts) = ((threads > 0).then_some(send), array.grid().counts());
        let listing = Listing { walk: self, array, counts, chunks, passed_over: Cell::new(0) };
        let receive = Arc::new(Mutex::new(receive));
        std::thread::scope(|scope| {
            let worker = |receive: Arc<Mutex<Receiver<Vec<u64>>>>| scope.spawn(|| self.decode_chunks(array, receive));
            let workers: Vec<_> = (0..threads).map(|_| worker(receive.clone())).collect();
            // From here on the workers alone have it: when they are gone, the listing does not wait for them.
            drop(receive);
            let listed = listing.list(prefix, "");
            let passed_over = listing.passed_over.get();
            if passed_over > 0 {
                let needed = format!("a chunk with its codecs takes up to {each} bytes, more than the memory budget of {budget}");
                self.found(FindingCode::NotChecked, prefix, format!("stored chunks that were not decoded: {passed_over}; {needed}"));
            }
            // Without a sender, the workers end when the queue is empty.
            drop(listing);
            let decoded = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            decoded.chain([listed]).collect::<Result<Vec<()>>>().map(drop)
        })
    }

    /// Decodes chunks as long as there are any.
    fn decode_chunks(&self, array: &Array, receive: Arc<Mutex<Receiver<Vec<u64>>>>) -> Result<()> {
        let mut inspector = ChunkInspector::default();
        loop {
            let Ok(chunk) = receive.lock().recv() else { return Ok(()) };
            self.go_on()?;
            let key = array.chunk_key(&chunk)?;
            let seen = inspector.inspect(array, &chunk, &mut |fault| {
                self.chunk_fault(&key, fault);
                self.go_on()
            });
            // Removed since it was listed.
            let Some(seen) = seen? else { continue };
            count(&self.counts.chunks, 1);
            count(&self.counts.decoded, seen.units);
            count(&self.counts.stored_bytes, seen.stored_bytes);
        }
    }

    fn chunk_fault(&self, key: &Key, fault: ChunkFault) {
        let code = match fault.kind {
            ChunkFaultKind::TornShard => FindingCode::TornShard,
            ChunkFaultKind::Index => FindingCode::ShardIndex,
            ChunkFaultKind::IndexChecksum => FindingCode::IndexChecksum,
            ChunkFaultKind::Size => FindingCode::ChunkSize,
            ChunkFaultKind::Checksum => FindingCode::ChunkChecksum,
            ChunkFaultKind::Undecodable => FindingCode::Undecodable,
            ChunkFaultKind::Unsupported => FindingCode::Unsupported,
            // A zip file keeps a checksum of each value.
            ChunkFaultKind::Unreadable if matches!(fault.error, Error::ChecksumMismatch { .. }) => FindingCode::ChunkChecksum,
            ChunkFaultKind::Unreadable if matches!(fault.error, Error::Unsupported { .. }) => FindingCode::Unsupported,
            ChunkFaultKind::Unreadable => FindingCode::Unreadable,
            ChunkFaultKind::Overlap => FindingCode::Overlap,
        };
        let offset = (fault.offset > 0 || fault.inner.is_some()).then_some(fault.offset);
        self.found_at(code, Place { key, inner_chunk: fault.inner, offset }, sentence(&fault.error));
    }
}

impl Listing<'_> {
    /// Lists what is below `prefix`, which is `path` below the array. Keys of chunks are as deep as the array has axes, so that this ends.
    fn list(&self, prefix: &Key, path: &str) -> Result<()> {
        let mut stopped = Ok(());
        // Of the tree that was opened, whatever has its name by now.
        let listed = self.array.store().list(&self.in_tree(path)?, &mut |entry| {
            stopped = self.entry(prefix, path, entry);
            if stopped.is_err() { Err(Error::Cancelled) } else { Ok(()) }
        });
        stopped?;
        listed.or_else(|error| self.walk.fault(prefix, error))
    }

    fn entry(&self, prefix: &Key, path: &str, entry: Entry) -> Result<()> {
        self.walk.go_on()?;
        let Entry { name, kind } = entry;
        let key = match prefix.join(&name) {
            Ok(key) => key,
            // Something that no key reaches, as a name that is too long.
            Err(error) => {
                self.walk.found(FindingCode::Orphan, prefix, sentence(&error));
                return Ok(());
            }
        };
        let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
        let (encoding, rank) = (self.array.metadata().key_encoding(), self.counts.len());
        let chunk = encoding.parse(&below, rank);
        match kind {
            EntryKind::Other => self.walk.special_file(&key),
            EntryKind::Value => match chunk {
                Some(chunk) => return self.chunk(&key, chunk),
                None if path.is_empty() && is_document(&name) => {}
                None if is_document(&name) => self.misplaced(&key),
                None if is_leftover(&name) => self.walk.leftover(&key),
                None if encoding.leads_on(&below, rank) => {
                    self.walk.found(FindingCode::Obstructed, &key, "a file stands where chunks lie below a directory");
                }
                None => self.walk.found(FindingCode::Orphan, &key, "a file in an array, which is no chunk of it"),
            },
            EntryKind::Prefix if chunk.is_some() => {
                self.walk.found(FindingCode::Obstructed, &key, "a directory stands where a chunk is expected");
            }
            EntryKind::Prefix if encoding.leads_on(&below, rank) => return self.list(&key, &below),
            EntryKind::Prefix => match read_node(&**self.array.store(), &self.in_tree(&below)?) {
                Err(Error::NotFound { .. }) => {
                    self.walk.found(FindingCode::Orphan, &key, "a directory in an array, which holds no chunks of it");
                }
                _ => self.misplaced(&key),
            },
        }
        Ok(())
    }

    /// The key of what is `path` below the array, in the store of its tree.
    fn in_tree(&self, path: &str) -> Result<Key> {
        let prefix = self.array.prefix();
        if path.is_empty() { Ok(prefix.clone()) } else { prefix.join(path) }
    }

    fn misplaced(&self, key: &Key) {
        self.walk.found(FindingCode::MisplacedNode, key, "a node inside an array, which holds chunks alone: no walk comes to it");
    }

    fn chunk(&self, key: &Key, chunk: Vec<u64>) -> Result<()> {
        if chunk.iter().zip(&self.counts).any(|(index, count)| index >= count) {
            let what = format!("chunk {chunk:?} is outside the grid of {:?} chunks", self.counts);
            self.walk.found(FindingCode::OutsideGrid, key, what);
        } else if let Some(chunks) = &self.chunks {
            // The workers are gone only if they have failed, which is said there.
            let _ = chunks.send(chunk);
        } else {
            self.passed_over.set(self.passed_over.get() + 1);
        }
        Ok(())
    }
}
