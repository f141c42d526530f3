//! Checkpoints of a run: when one is due, and what happens then, so that another run can go on from it (rules JRN-2 to JRN-7 of
//! `spec/rechunk.md`).
//!
//! Invariants
//! 1. A checkpoint is written when no thread works, and after a sync of all that it vouches for.
//! 2. What the last checkpoint needs of the spill file stays there until the next one is durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::journal::{Checkpoint, Found, Header, InBlock, Journal, Position};
use crate::error::{Error, Result};
use crate::shuffle::{FileShare, NamedSpill, Saved, SpillName};
use crate::store::{Key, Store};

/// How much is written from one checkpoint to the next, in bytes.
pub(crate) const CHECKPOINT_BYTES: u64 = 256 << 20;

/// Where a run keeps what another needs.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    store: Arc<dyn Store>,
    /// The tree that is being built, and where it is in the file system.
    prefix: Key,
    tree: PathBuf,
    header: Header,
    /// Whether checkpoints wait until they would survive a power cut.
    synced: bool,
    every: u64,
    /// None where spill files have no names.
    spill_name: Option<SpillName>,
    /// Where an earlier run has come to, in the tree that it has left.
    resumed: Option<Checkpoint>,
    /// Bytes written since the last checkpoint.
    bytes: AtomicU64,
    /// Whether this run has written anything.
    touched: AtomicBool,
    /// The same since the begin of the run.
    #[cfg(test)]
    pub(crate) all_bytes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    journal: Journal,
    last: Option<Checkpoint>,
    /// Nodes that are complete.
    nodes: u64,
    spill: Option<NamedSpill>,
}

impl Checkpoints {
    /// Checkpoints of a run that begins in the tree `prefix`, which is the directory `tree`.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        prefix: Key,
        tree: PathBuf,
        header: Header,
        every: u64,
        spill_name: Option<SpillName>,
    ) -> Result<Self> {
        let state = State { journal: Journal::new(&prefix)?, last: None, nodes: 0, spill: None };
        let (bytes, state) = (AtomicU64::new(0), Mutex::new(state));
        Ok(Self {
            store,
            prefix,
            tree,
            synced: header.synced,
            header,
            every: every.max(1),
            spill_name,
            resumed: None,
            bytes,
            touched: AtomicBool::new(false),
            #[cfg(test)]
            all_bytes: AtomicU64::new(0),
            state,
        })
    }

    /// The same for one that goes on with what was `found`. What has waited for the disk once does so from then on, since what a later checkpoint
    /// gives up may be gone although that checkpoint is lost, and the earlier one would be trusted.
    pub(crate) fn resuming(mut self, found: Found) -> Self {
        let state = self.state.get_mut();
        (state.journal, state.last) = (found.journal, found.last);
        (self.header, self.resumed) = (found.header, found.last);
        self.synced |= self.header.synced || found.last.is_some_and(|last| last.synced);
        self
    }

    /// The same without what is done of a block, the spill file of which is lost: the block is begun anew. That is a checkpoint of its own,
    /// so that nobody takes the file that is made now for the other.
    ///
    /// # Errors
    /// Those of a checkpoint.
    pub(crate) fn without_block(mut self) -> Result<Self> {
        let Some((last, block)) = self.resumed.and_then(|last| Some((last, last.position.block?))) else { return Ok(self) };
        let position = Position { block: None, ..last.position };
        self.complete(last.nodes);
        self.checkpoint(position, block.before_bytes)?;
        self.resumed = self.state.get_mut().last;
        Ok(self)
    }

    /// Where the run begins: nodes that are complete already, and how far the next one is.
    pub(crate) fn begin(&self) -> Option<Checkpoint> {
        self.resumed
    }

    /// The fingerprint that the source had when the run began.
    pub(crate) fn source(&self) -> &str {
        &self.header.source
    }

    /// Whether there is anything to go on from.
    pub(crate) fn any(&self) -> bool {
        self.state.lock().last.is_some()
    }

    /// Whether the last checkpoint needs what is in the spill file.
    pub(crate) fn is_in_block(&self) -> bool {
        self.state.lock().last.is_some_and(|last| last.position.block.is_some())
    }

    /// Whether all that an earlier run has left is still as it was.
    pub(crate) fn is_untouched(&self) -> bool {
        self.resumed.is_some() && !self.touched.load(Ordering::Relaxed)
    }

    /// Whether values that are about to be written may be there already.
    pub(crate) fn continued(&self) -> bool {
        self.resumed.is_some()
    }

    /// Says that so many nodes are complete.
    pub(crate) fn complete(&self, nodes: u64) {
        self.state.lock().nodes = nodes;
    }

    /// Counts what was written.
    pub(crate) fn wrote(&self, bytes: u64) {
        self.touched.store(true, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        #[cfg(test)]
        self.all_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_due(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.every
    }

    /// Waits with a checkpoint that was due, since it is not possible yet.
    pub(crate) fn defer(&self) {
        self.bytes.store(self.every - (self.every / 8).max(1), Ordering::Relaxed);
    }

    /// Whether so many bytes are worth checkpoints among them.
    pub(crate) fn are_for(&self, bytes: u64) -> bool {
        self.spill_name.is_some() && bytes >= self.every / 4
    }

    /// The share of a shuffle that begins in the named spill file.
    pub(crate) fn share(&self, behind: bool) -> Result<FileShare> {
        let mut state = self.state.lock();
        let needed = state.last.is_some_and(|last| last.position.block.is_some());
        match &mut state.spill {
            Some(spill) if needed => Ok(spill.share()),
            Some(spill) => {
                spill.empty()?;
                Ok(spill.share())
            }
            none => {
                let Some(name) = &self.spill_name else { return Err(Error::invalid("a spill file without a name")) };
                name.note(&*self.store, &self.prefix, self.synced)?;
                Ok(none.insert(NamedSpill::create(name, behind)?).share())
            }
        }
    }

    /// The share of a shuffle that goes on with what was saved.
    pub(crate) fn resumed_share(&self, saved: &Saved, behind: bool) -> Result<FileShare> {
        let Some(name) = &self.spill_name else { return Err(Error::invalid("a spill file without a name")) };
        let mut state = self.state.lock();
        Ok(state.spill.insert(NamedSpill::reopen(name, saved.end, behind)?).resumed(saved))
    }

    /// Says that all before `position` of the node in work is complete. No thread may be at work.
    pub(crate) fn checkpoint(&self, position: Position, done_bytes: u64) -> Result<()> {
        let mut state = self.state.lock();
        let State { journal, last, nodes, spill } = &mut *state;
        let checkpoint = Checkpoint { nodes: *nodes, position, done_bytes, synced: self.synced };
        if self.synced {
            self.store.sync()?;
            if let Some(spill) = spill.as_ref().filter(|spill| position.block.is_some() && !spill.is_on_device_of(&self.tree)) {
                spill.sync()?;
            }
        }
        journal.append(&*self.store, &self.header, &checkpoint, self.synced)?;
        let before = last.replace(checkpoint).and_then(|before| before.position.block);
        self.bytes.store(0, Ordering::Relaxed);
        if let Some(spill) = spill {
            match position.block {
                Some(InBlock { saved, .. }) => {
                    spill.forget_before(saved.start);
                    if let Some(before) = before.filter(|before| before.saved != saved && before.saved.start == saved.start) {
                        spill.forget_table(&before.saved);
                    }
                }
                None => spill.empty()?,
            }
        }
        Ok(())
    }
}
