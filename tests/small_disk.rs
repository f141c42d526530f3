//! Disks that are too small: from the start, and because another program fills them meanwhile.
//!
//! Needs root.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/loop_device.rs"]
mod loop_device;
#[path = "support/python.rs"]
mod python;
#[path = "support/swap.rs"]
mod swap;
#[path = "support/tracer.rs"]
mod tracer;
#[path = "support/trees.rs"]
mod trees;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use loop_device::{Mounted, in_own_mounts};
use swap::{Bench, Case, NAME, State};
use tracer::{Fault, Tracing, skipped};
use trees::{directory, names, tree};

/// The store of the tests is 4 MiB; a rechunk of it spills as much, and writes as much.
const MIB: u64 = 1 << 20;
const ARRAY_BYTES: u64 = 4 * MIB;

#[test]
fn a_disk_that_is_too_small_is_refused_at_once() {
    let test = "a_disk_that_is_too_small_is_refused_at_once";
    if skipped(test) || !in_own_mounts(test) {
        return;
    }
    let (bench, root) = (Bench::new(Case::spilling()), directory());
    let at = root.path().join("mounted");
    let _mounted = Mounted::make(&root.path().join("image"), &at, 10 * MIB);
    bench.lay(&at);
    let before = tree(&at);
    let traced = Tracing::listed().run(&bench.rechunk(&at));
    assert!(matches!(traced.code, Some(2..=7)), "{traced:?}");
    let numbers = traced.stderr.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u64>().ok());
    assert!(numbers.clone().any(|number| number > ARRAY_BYTES), "what is needed is not said: {}", traced.stderr);
    assert!(tree(&at) == before, "something was left: {:?}", names(&at));
    // The marker of the staged tree may have been there already.
    let written: u64 = traced.calls.iter().map(|call| call.bytes).sum();
    assert!(written < 4096, "it was written before it was refused: {:?}", traced.calls);
}

#[test]
fn a_disk_that_is_filled_meanwhile_is_an_error_that_leaves_nothing() {
    let test = "a_disk_that_is_filled_meanwhile_is_an_error_that_leaves_nothing";
    if skipped(test) || !in_own_mounts(test) {
        return;
    }
    let (bench, root) = (Bench::new(Case::spilling()), directory());
    let (at, hook) = (root.path().join("mounted"), root.path().join("hook"));
    fs::write(&hook, format!("#!/bin/sh\ndd if=/dev/zero of='{}/filler' bs=65536 2>/dev/null\nexit 0\n", at.display())).unwrap();
    fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    let fresh = bench.fresh();
    let listed = Tracing::listed().run(&bench.rechunk(fresh.path()));
    let (points, writes) = (listed.points, listed.calls.iter().filter(|call| call.bytes > 0).collect::<Vec<_>>());
    let mut refused = 0;
    for eighth in 1..8 {
        let _mounted = Mounted::make(&root.path().join("image"), &at, 32 * MIB);
        bench.lay(&at);
        let number = writes[writes.len() * eighth / 8].number;
        let tracing = Tracing { hook: Some(hook.clone()), real_syncs: true, ..Tracing::at(number, Fault::Pass) };
        let traced = tracing.run(&bench.rechunk(&at));
        let said = format!("filled before {number} of {points}: {:?}: {}", traced.code, traced.stderr);
        if traced.code == Some(0) {
            // What was still to be written had its place already.
            assert_eq!(bench.state(&at), Ok(State::New), "{said}");
            continue;
        }
        refused += 1;
        assert_eq!(traced.code, Some(6), "{said}");
        assert!(traced.stderr.contains("disk full"), "{said}");
        let found: Vec<_> = names(&at).into_iter().filter(|name| name != "lost+found").collect();
        assert_eq!((bench.state(&at), found), (Ok(State::Old), vec![NAME.to_owned(), "filler".to_owned()]), "{said}");
        // With the room back, it is done.
        fs::remove_file(at.join("filler")).unwrap();
        cli::prints(&at, "recover a");
        assert_eq!(bench.rechunk(&at).status().unwrap().code(), Some(0), "{said}");
        assert_eq!(bench.settled(&at), Ok(State::New), "{said}");
    }
    println!("{points} points, filled before 7 of them: {refused} runs ended for lack of room");
    assert!(refused >= 3, "the disk was hardly ever full: {refused}");
}
