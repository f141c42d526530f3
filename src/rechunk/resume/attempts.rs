//! For tests: a plan that is run in several attempts, each of which ends in the middle of something.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::array::Array;
use crate::error::Result;
use crate::metadata::{ArrayMetadata, DOCUMENT};
use crate::publish::JOURNAL_NAME;
use crate::rechunk::becoming::Taken;
use crate::rechunk::checkpoints::Checkpoints;
use crate::rechunk::execute::Control;
use crate::rechunk::journal::{Header, Journal};
use crate::rechunk::plan::Plan;
use crate::rechunk::run::run;
use crate::shuffle::SpillName;
use crate::store::faulty::{Fault, FaultyStore};
use crate::store::{EntryKind, Key, MemoryStore, Store, is_temporary_name};

/// The spill file, and a copy of what was synced of it.
const SPILL_NAME: &str = ".rechunk.spill";
const DURABLE_NAME: &str = "durable";

/// How attempts end.
#[derive(Clone, Debug)]
pub(in crate::rechunk) struct Ends {
    /// Bytes from one checkpoint to the next.
    pub(in crate::rechunk) every: u64,
    /// Operations of the store after which each attempt but the last is killed.
    pub(in crate::rechunk) stops: Vec<u64>,
    /// Whether the power goes with it, and what of the unsynced is lost then.
    pub(in crate::rechunk) power_cut: Option<u64>,
}

/// What came of the attempts.
#[derive(Debug)]
pub(in crate::rechunk) struct Outcome {
    pub(in crate::rechunk) target: Array,
    /// Attempts that went on with what the one before had left.
    pub(in crate::rechunk) resumed: u64,
    /// Bytes written in all, spill files included.
    pub(in crate::rechunk) bytes: u64,
    /// Operations of the last attempt.
    pub(in crate::rechunk) operations: u64,
    /// Names of all values below the target, in order.
    pub(in crate::rechunk) keys: Vec<String>,
}

/// Runs `plan` until an attempt succeeds.
pub(in crate::rechunk) fn in_attempts(taken: &Taken, metadata: &ArrayMetadata, plan: &Plan, ends: &Ends) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let tree = Key::new("t").unwrap();
    let mut store = fresh(&tree);
    let (mut resumed, mut bytes) = (0, 0);
    for stop in ends.stops.iter().map(|&stop| Some(stop)).chain([None]) {
        let found = Journal::read(&*store, &tree).unwrap().filter(|found| found.last.is_some());
        match found {
            None => store = fresh(&tree),
            Some(_) => remove_temporary(&*store, &tree),
        }
        let faulty = FaultyStore::new(Arc::clone(&store) as Arc<dyn Store>, stop.map_or(Fault::Never, Fault::Stop));
        let faulty = Arc::new(faulty.watched(watcher(directory.path())));
        let spill = SpillName::inside(directory.path(), "id");
        let header = Header::new("id", true, String::new());
        let place = directory.path().to_owned();
        let mut checkpoints =
            Checkpoints::new(Arc::clone(&faulty) as Arc<dyn Store>, tree.clone(), place, header, ends.every, Some(spill)).unwrap();
        if let Some(found) = found {
            checkpoints = checkpoints.resuming(found);
            resumed += 1;
        }
        let outcome = attempt(taken, metadata, plan, directory.path(), (&faulty, &tree), &checkpoints);
        bytes += checkpoints.all_bytes.load(Ordering::Relaxed);
        match (outcome, stop) {
            (Ok(()), _) => {
                let target = Array::open_in(Arc::clone(&store) as Arc<dyn Store>, tree.clone()).unwrap();
                let mut keys = Vec::new();
                list(&*store, &tree, &mut keys);
                keys.retain(|key| *key != format!("t/{JOURNAL_NAME}"));
                keys.sort_unstable();
                return Outcome { target, resumed, bytes, operations: faulty.operation_count(), keys };
            }
            (Err(error), None) => panic!("the last attempt failed: {error}"),
            (Err(_), Some(_)) => {}
        }
        if let Some(seed) = ends.power_cut {
            store = Arc::new(store.crash_with(seed));
            crash_spill(directory.path(), seed);
        }
    }
    unreachable!("the last attempt ends one way or the other")
}

/// Looks on while the checkpoints of the tree in `directory` are made: everything is synced before the journal is written, and that is synced before
/// anything of the spill file is given up (JRN-2). What the sync of everything finds there is what a power cut leaves.
fn watcher(directory: &Path) -> impl Fn(&str, &Key) + Send + Sync + 'static {
    let (spill, durable) = (directory.join(SPILL_NAME), directory.join(DURABLE_NAME));
    let state = Mutex::new(Vec::<u32>::new());
    move |op, key| {
        let mut seen = state.lock();
        let held = || std::fs::read(&spill).map_or(0, |bytes| crc32fast::hash(&bytes));
        match (op, key.is_root(), key.name() == JOURNAL_NAME) {
            ("sync", true, _) => {
                let _ = std::fs::remove_file(&durable);
                let _ = std::fs::copy(&spill, &durable);
                *seen = vec![held()];
            }
            (_, _, true) => {
                assert_eq!(seen.len(), if op == "write" { 1 } else { 2 }, "{op} of the journal");
                let now = held();
                // What is behind was synced, and what is in front is still needed.
                assert!(seen.iter().all(|before| *before == now), "the spill file has changed since it was synced");
                seen.push(now);
            }
            _ => {}
        }
    }
}

/// Gives the spill file in `directory` what a power cut leaves: of each block, what it was when it was synced or what it has become.
fn crash_spill(directory: &Path, seed: u64) {
    const BLOCK: usize = 4096;
    let (spill, durable) = (directory.join(SPILL_NAME), directory.join(DURABLE_NAME));
    let (Ok(new), Ok(old)) = (std::fs::read(&spill), std::fs::read(&durable)) else { return };
    let chosen = |at: u64| {
        let mixed = (seed ^ at).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 63 == 0
    };
    let length = if chosen(u64::MAX) { old.len() } else { new.len() };
    let mut left = vec![0; length];
    for (number, block) in (0..).zip(left.chunks_mut(BLOCK)) {
        let from = if chosen(number) { &old } else { &new };
        let begin = BLOCK * usize::try_from(number).unwrap();
        let kept = from.get(begin..from.len().min(begin + block.len())).unwrap_or_default();
        block[..kept.len()].copy_from_slice(kept);
    }
    std::fs::write(&spill, left).unwrap();
}

fn attempt(
    taken: &Taken,
    metadata: &ArrayMetadata,
    plan: &Plan,
    spill_dir: &Path,
    (store, tree): (&Arc<FaultyStore>, &Key),
    checkpoints: &Checkpoints,
) -> Result<()> {
    let target = Array::with_metadata(Arc::clone(store) as Arc<dyn Store>, tree.clone(), metadata.clone())?;
    let control = Control::of_node(None, Some(checkpoints), 0);
    run(taken, (&target, &tree.join(DOCUMENT)?), plan, spill_dir, &control)?;
    assert_eq!(control.done_bytes.load(Ordering::Relaxed), plan.work_bytes, "progress ends at its end");
    Ok(())
}

fn fresh(tree: &Key) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    store.create_prefix(tree).unwrap();
    store.sync().unwrap();
    Arc::new(store)
}

fn list(store: &dyn Store, prefix: &Key, keys: &mut Vec<String>) {
    let mut visit = |entry: crate::store::Entry| {
        let key = prefix.join(&entry.name)?;
        match entry.kind {
            EntryKind::Prefix => list(store, &key, keys),
            _ => keys.push(key.to_string()),
        }
        Ok(())
    };
    store.list(prefix, &mut visit).unwrap();
}

/// As a stage does before it is gone on with.
fn remove_temporary(store: &dyn Store, prefix: &Key) {
    let mut keys = Vec::new();
    list(store, prefix, &mut keys);
    for key in keys.into_iter().map(|key| Key::new(key).unwrap()).filter(|key| is_temporary_name(key.name())) {
        store.erase(&key).unwrap();
    }
}
