//! A rechunk of the real program that is killed at every system call that changes files: before it, behind it, and with half of it written;
//! and the recovery from that, killed in the same way.
//!
//! With `REZARR_SWEEP=all`, no point of small stores is left out, and ten times as many of large ones are looked at. What was done is printed.
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

use std::path::Path;
use std::process::Command;

use swap::{Bench, Case};
use sweep::{Settle, every, exhaustive, kills, kills_of_settling};
use tracer::{Fault, Tracing, skipped};
use trees::directory;

/// Which points are looked at: every so many-th.
struct Strides {
    /// Of those that are about chunks; all others are.
    kills: u64,
    /// Of the run, before a recovery that is killed as well; and of that recovery.
    nested: [u64; 2],
}

/// Kills runs, and recoveries; what was killed is settled in each of these ways (in all, where no point is left out).
fn sweep(test: &str, cases: &[Case], settles: &[Settle], Strides { kills: stride, nested: [outer, inner] }: Strides) {
    if skipped(test) {
        return;
    }
    let mut violations = Vec::new();
    for &case in cases {
        let bench = Bench::new(case);
        let all = [Settle::Recover, Settle::Rerun, Settle::Resume];
        for settle in all.into_iter().filter(|settle| settles.contains(settle) || exhaustive()) {
            violations.extend(kills(&bench, settle, every(case, stride)).told(&format!("{case}, then {settle}")));
        }
        let nested = kills_of_settling(&bench, Settle::Recover, every(case, outer), every(case, inner));
        violations.extend(nested.told(&format!("{case}, recover killed, then recover")));
    }
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn one_chunk() {
    let cases = [Case::of(1, false), Case::of(1, true)];
    sweep("one_chunk", &cases, &[Settle::Recover, Settle::Rerun, Settle::Resume], Strides { kills: 1, nested: [5, 5] });
}

#[test]
fn one_chunk_by_two_renames() {
    let cases = [Case::of(1, false).without_exchange(), Case::of(1, true).without_exchange()];
    sweep("one_chunk_by_two_renames", &cases, &[Settle::Recover, Settle::Rerun], Strides { kills: 1, nested: [5, 5] });
}

#[test]
fn one_chunk_onto_a_target() {
    let case = Case::of(1, false).onto();
    sweep("one_chunk_onto_a_target", &[case, case.without_exchange()], &[Settle::Recover], Strides { kills: 1, nested: [7, 7] });
}

#[test]
fn sixteen_chunks() {
    let cases = [Case::of(16, false), Case::of(16, true)];
    sweep("sixteen_chunks", &cases, &[Settle::Recover, Settle::Rerun], Strides { kills: 1, nested: [13, 11] });
}

#[test]
fn sixteen_chunks_by_two_renames() {
    let cases = [Case::of(16, false).without_exchange(), Case::of(16, true).without_exchange()];
    sweep("sixteen_chunks_by_two_renames", &cases, &[Settle::Recover], Strides { kills: 5, nested: [13, 11] });
}

#[test]
fn sixteen_chunks_on_two_threads() {
    let cases = [Case::of(16, false).threads(2), Case::of(16, true).threads(2)];
    sweep("sixteen_chunks_on_two_threads", &cases, &[Settle::Recover], Strides { kills: 5, nested: [23, 23] });
}

#[test]
fn a_thousand_chunks() {
    let cases = [Case::of(1000, false), Case::of(1000, true), Case::of(1000, false).without_exchange()];
    sweep("a_thousand_chunks", &cases, &[Settle::Recover], Strides { kills: 701, nested: [977, 401] });
}

#[test]
fn a_rechunk_that_spills() {
    sweep("a_rechunk_that_spills", &[Case::spilling()], &[Settle::Recover], Strides { kills: 211, nested: [577, 97] });
}

#[test]
fn a_rechunk_that_is_gone_on_with() {
    let cases = [Case::resumable()];
    sweep("a_rechunk_that_is_gone_on_with", &cases, &[Settle::Resume], Strides { kills: 131, nested: [577, 97] });
}

/// What takes the target's place in a way that can be interrupted is found out.
#[test]
fn a_sweep_finds_what_is_not_atomic() {
    if skipped("a_sweep_finds_what_is_not_atomic") {
        return;
    }
    let bench = Bench::new(Case::of(1, false));
    let made = bench.fresh();
    assert_eq!(bench.rechunk(made.path()).status().unwrap().code(), Some(0));
    let new = made.path().join(swap::NAME);
    let scripts = [
        // Removed before the new one is there.
        "rm -r a && cp -r NEW a",
        // Copied file over file.
        "cp -r NEW/. a",
        // Renamed in two steps, with nobody to end them.
        "cp -r NEW b && mv a c && mv b a && rm -r c",
    ];
    for script in scripts {
        let script = script.replace("NEW", new.to_str().unwrap());
        let command = |at: &Path| {
            let mut command = Command::new("sh");
            command.args(["-c", &script]).current_dir(at);
            command
        };
        let mut unreadable = 0;
        let points = Tracing::listed().run(&command(bench.fresh().path())).points;
        for number in 1..=points {
            let at = bench.fresh();
            let traced = Tracing::at(number, Fault::Before).run(&command(at.path()));
            assert_eq!((traced.code, traced.signal), (None, Some(9)), "{script}: point {number}");
            unreadable += u64::from(bench.state(at.path()).is_err());
        }
        assert!(unreadable > 0, "{script}: no harm was found at {points} points");
    }
}

/// The tracer itself: what it counts, and what it does to a call.
#[test]
fn calls_are_counted_killed_torn_and_failed() {
    if skipped("calls_are_counted_killed_torn_and_failed") {
        return;
    }
    let run = |tracing: Tracing| {
        let at = directory();
        let mut command = Command::new("sh");
        command.args(["-c", "printf 12345678 > x; mv x y; mkdir d; echo to nobody"]).current_dir(at.path());
        let traced = tracing.run(&command);
        let found: Vec<_> = trees::tree(at.path()).into_iter().map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap())).collect();
        (traced, found)
    };
    let (listed, found) = run(Tracing::listed());
    let calls: Vec<_> = listed.calls.iter().map(|call| (call.call.as_str(), call.bytes, call.paths.len())).collect();
    assert_eq!((listed.code, listed.signal, listed.stdout.as_str()), (Some(0), None, "to nobody\n"));
    assert_eq!(calls.iter().map(|call| call.1).sum::<u64>(), 8, "{calls:?}");
    assert_eq!((calls.len(), calls[0].0, calls[1].0), (4, "openat", "write"), "{calls:?}");
    assert!(calls[2].0.starts_with("rename") && calls[2].2 == 2 && calls[3].0 == "mkdir", "{calls:?}");
    let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    assert_eq!(found, [pair("d/", ""), pair("y", "12345678")]);
    let left = |number, fault| {
        let (traced, found) = run(Tracing::at(number, fault));
        assert_eq!((traced.hits, traced.signal, traced.points), (1, Some(9), number), "{fault:?} {number}");
        found
    };
    assert_eq!(left(1, Fault::Before), []);
    assert_eq!(left(1, Fault::After), [pair("x", "")]);
    assert_eq!(left(2, Fault::Before), [pair("x", "")]);
    assert_eq!(left(2, Fault::Torn), [pair("x", "1234")]);
    assert_eq!(left(2, Fault::After), [pair("x", "12345678")]);
    assert_eq!(left(3, Fault::Torn), [pair("x", "12345678")]);
    assert_eq!(left(3, Fault::After), [pair("y", "12345678")]);
    let (short, found) = run(Tracing::at(2, Fault::Short));
    assert_eq!((short.points, found), (5, vec![pair("d/", ""), pair("y", "12345678")]), "the rest is written by a second call");
    let (failed, found) = run(Tracing::at(3, Fault::Fails("EIO")));
    assert!(failed.stderr.contains("Input/output error"), "{failed:?}");
    assert_eq!(found, [pair("d/", ""), pair("x", "12345678")]);
    let (failed, found) = run(Tracing::at(3, Fault::FailsOnwards("EDQUOT")));
    assert!(failed.hits == 2 && failed.stderr.matches("quota").count() == 2, "{failed:?}");
    assert_eq!(found, [pair("x", "12345678")]);
}
