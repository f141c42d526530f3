//! What durability costs, counted in system calls: a few syncs a rechunk, whatever the number of chunks.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/python.rs"]
mod python;
#[path = "support/swap.rs"]
mod swap;
#[path = "support/sweep.rs"]
mod sweep;
#[path = "support/tracer.rs"]
mod tracer;
#[path = "support/trees.rs"]
mod trees;

use std::collections::BTreeMap;

use swap::{Bench, CHECKPOINT_BYTES, Case};
use sweep::tracing;
use tracer::{Traced, skipped};

/// From one checkpoint to the next, unless something else is asked for.
const USUAL_BYTES: u64 = 256 << 20;
/// What a swap may take of fsyncs beside those of checkpoints.
const SWAP_FSYNCS: u64 = 12;

/// Calls that wait for the disk, by name, once they are within what is promised.
fn within(what: &str, traced: &Traced, checkpoint_bytes: u64) -> BTreeMap<&'static str, u64> {
    assert_eq!(traced.code, Some(0), "{what}: {}", traced.stderr);
    let count = |name: &str| traced.counts.get(name).copied().unwrap_or(0);
    let bytes: u64 = traced.calls.iter().map(|call| call.bytes).sum();
    let checkpoints = 1 + bytes.div_ceil(checkpoint_bytes);
    let [syncfs, fdatasync, fsync] = ["syncfs", "fdatasync", "fsync"].map(count);
    println!("{what}: {bytes} bytes written, {syncfs} syncfs, {fdatasync} fdatasync, {fsync} fsync, {} calls", traced.points);
    assert!(syncfs <= checkpoints, "{what}: {syncfs} syncfs, at most {checkpoints}");
    assert!(fdatasync <= checkpoints, "{what}: {fdatasync} fdatasync, at most {checkpoints}");
    assert!(fsync <= SWAP_FSYNCS, "{what}: {fsync} fsync, at most {SWAP_FSYNCS}");
    assert_eq!(["sync", "sync_file_range", "msync"].map(count), [0; 3], "{what}");
    assert!(syncfs + fsync > 0, "{what}: nothing is synced");
    BTreeMap::from([("syncfs", syncfs), ("fdatasync", fdatasync), ("fsync", fsync)])
}

#[test]
fn a_swap_syncs_as_often_for_a_thousand_chunks_as_for_one() {
    if skipped("a_swap_syncs_as_often_for_a_thousand_chunks_as_for_one") {
        return;
    }
    for sharded in [false, true] {
        for exchange in [true, false] {
            let counted = [1, 16, 1000].map(|chunks| {
                let case = if exchange { Case::of(chunks, sharded) } else { Case::of(chunks, sharded).without_exchange() };
                let bench = Bench::new(case);
                let at = bench.fresh();
                within(&case.to_string(), &tracing(&bench, None).run(&bench.rechunk(at.path())), USUAL_BYTES)
            });
            assert!(counted.windows(2).all(|pair| pair[0] == pair[1]), "it depends on the number of chunks: {counted:?}");
        }
    }
}

#[test]
fn checkpoints_are_synced_once_each() {
    if skipped("checkpoints_are_synced_once_each") {
        return;
    }
    for (case, checkpoint_bytes) in [(Case::spilling(), USUAL_BYTES), (Case::resumable(), CHECKPOINT_BYTES)] {
        let bench = Bench::new(case);
        let at = bench.fresh();
        let counted = within(&case.to_string(), &tracing(&bench, None).run(&bench.rechunk(at.path())), checkpoint_bytes);
        assert_eq!(counted["fdatasync"] > 0, case.checkpoints, "{case}: {counted:?}");
    }
}

#[test]
fn who_does_not_want_to_wait_does_not() {
    if skipped("who_does_not_want_to_wait_does_not") {
        return;
    }
    let bench = Bench::new(Case::of(16, false));
    let at = bench.fresh();
    let mut command = bench.rechunk(at.path());
    command.arg("--no-sync");
    let traced = tracing(&bench, None).run(&command);
    let syncs: Vec<_> = traced.counts.keys().filter(|name| name.contains("sync")).collect();
    assert_eq!((traced.code, syncs), (Some(0), vec![]), "{traced:?}");
}
