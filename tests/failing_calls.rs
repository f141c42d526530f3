//! A rechunk of the real program, each of whose system calls that change files fails: once, and from there on, with a full disk, a used up
//! quota, or a broken one. A sync that fails is final (PUB-28).
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

use swap::{Bench, Case, NAME, State};
use sweep::{Settle, every, exhaustive, is_of_chunks, tracing};
use tracer::{Fault, Listed, Traced, skipped};

const ERRNOS: [&str; 3] = ["ENOSPC", "EIO", "EDQUOT"];

/// How often what was seen, over all points.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    succeeded: u64,
    old: u64,
    new: u64,
    violations: Vec<String>,
}

/// Calls of a run that is left alone, and which of them decide whether what is published is on the disk: all syncs up to the first behind
/// the step by which the new array gets its name.
fn calls(bench: &Bench) -> (Vec<Listed>, u64) {
    let fresh = bench.fresh();
    let listed = tracing(bench, None).run(&bench.rechunk(fresh.path()));
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    let target = fresh.path().join(NAME).canonicalize().unwrap();
    let swap =
        listed.calls.iter().find(|call| call.call.starts_with("rename") && call.paths.last() == Some(&target) && call.result == Some(0));
    let swap = swap.unwrap_or_else(|| panic!("nothing is renamed to {}", target.display())).number;
    let durable = listed.calls.iter().find(|call| call.number > swap && call.call.contains("sync")).map_or(0, |call| call.number);
    assert!(durable > 0, "the new array is not synced once it has its name");
    (listed.calls, durable)
}

/// What must hold of a run in which calls have failed, and of what it has left.
fn check(bench: &Bench, at: &Path, traced: &Traced, synced: bool) -> Result<State, String> {
    let said = traced.stderr.trim();
    if !matches!((traced.code, traced.signal), (Some(0 | 2..=7), None)) || said.contains("panicked") {
        return Err(format!("it ended with {:?}, signal {:?}: {said}", traced.code, traced.signal));
    }
    let left = bench.state(at).map_err(|what| format!("{what}; it said: {said}"))?;
    if traced.code == Some(0) && (left != State::New || !synced) {
        return Err(format!("it succeeded, and has left {left:?}, synced: {synced}; it said: {said}"));
    }
    if traced.code != Some(0) && said.is_empty() {
        return Err(String::from("it failed and said nothing"));
    }
    let outcome = Settle::Recover.run(bench, at);
    let told = format!("it said: {said}; recover said: {}{}", outcome.stdout, outcome.stderr);
    match bench.settled(at) {
        Err(what) => Err(format!("after recover: {what}; {told}")),
        Ok(_) if outcome.code != Some(0) => Err(format!("recover ended with {:?}; {told}", outcome.code)),
        Ok(State::Old) if left == State::New => Err(format!("recover has taken the new array away; {told}")),
        Ok(found) => Ok(found),
    }
}

/// Lets calls of a run fail, of those about chunks every `stride`-th; with each error, or with one after another.
fn fail(case: Case, stride: u64, errnos: bool) -> Vec<String> {
    let bench = Bench::new(case);
    let (calls, durable) = calls(&bench);
    let mut tally = Tally::default();
    let points = calls.len();
    for call in calls.into_iter().filter(|call| call.number.is_multiple_of(stride) || !is_of_chunks(call)) {
        let faults = (0..).zip(ERRNOS).flat_map(|(turn, errno)| [(turn, Fault::Fails(errno)), (turn, Fault::FailsOnwards(errno))]);
        for (_, fault) in faults.filter(|(turn, _)| errnos || call.number % 3 == *turn) {
            let at = bench.fresh();
            let traced = tracing(&bench, Some((call.number, fault))).run(&bench.rechunk(at.path()));
            let onwards = matches!(fault, Fault::FailsOnwards(_));
            let synced = if onwards { call.number > durable } else { !call.call.contains("sync") || call.number > durable };
            tally.runs += 1;
            tally.succeeded += u64::from(traced.code == Some(0));
            match check(&bench, at.path(), &traced, synced) {
                Ok(State::Old) => tally.old += 1,
                Ok(State::New) => tally.new += 1,
                Err(what) => {
                    tally.violations.push(format!("{case}: {fault:?} at {} ({} {:?}): {what}", call.number, call.call, call.paths))
                }
            }
        }
    }
    let Tally { runs, succeeded, old, new, violations } = tally;
    println!("{case}: {points} points, {runs} runs, {succeeded} succeeded, {old} old, {new} new, {} violations", violations.len());
    violations
}

/// Lets calls of a recovery fail, after the run was killed at every `stride`-th of its points.
fn fail_recovery(case: Case, stride: u64) -> Vec<String> {
    let bench = Bench::new(case);
    let (calls, _) = calls(&bench);
    let (mut points, mut runs, mut violations) = (0, 0, Vec::new());
    let killed = |number| {
        let at = bench.fresh();
        let traced = tracing(&bench, Some((number, Fault::Before))).run(&bench.rechunk(at.path()));
        assert_eq!(traced.signal, Some(9), "{case}: {number}: {}", traced.stderr);
        at
    };
    for first in calls.iter().map(|call| call.number).filter(|number| number.is_multiple_of(stride)) {
        let at = killed(first);
        let listed = tracing(&bench, None).run(&Settle::Recover.command(&bench, at.path()));
        points += listed.points;
        for call in listed.calls.iter().filter(|call| (call.number + first / stride).is_multiple_of(stride)) {
            let errno = ERRNOS[(call.number % 3) as usize];
            for fault in [Fault::Fails(errno), Fault::FailsOnwards(errno)] {
                let at = killed(first);
                let traced = tracing(&bench, Some((call.number, fault))).run(&Settle::Recover.command(&bench, at.path()));
                let found = match traced.code {
                    // There the answer is whether anything was left.
                    Some(0) => bench.settled(at.path()).map_err(|what| format!("it succeeded, and {what}")).map(drop),
                    Some(1) => bench.state(at.path()).map(drop),
                    _ => check(&bench, at.path(), &traced, true).map(drop),
                };
                let what =
                    |what| format!("{case}: killed at {first}, {fault:?} at {} ({} {:?}): {what}", call.number, call.call, call.paths);
                violations.extend(found.err().map(what));
                runs += 1;
            }
        }
    }
    println!("{case}, recovered: {points} points, {runs} runs, {} violations", violations.len());
    violations
}

#[test]
fn recoveries() {
    if skipped("recoveries") {
        return;
    }
    let cases = [Case::of(1, false), Case::of(1, true).without_exchange()];
    let violations: Vec<_> = cases.iter().flat_map(|&case| fail_recovery(case, every(case, 5))).collect();
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

fn fail_all(test: &str, cases: &[Case], stride: u64) {
    if skipped(test) {
        return;
    }
    let violations: Vec<_> = cases.iter().flat_map(|&case| fail(case, every(case, stride), exhaustive() || case.chunks == 1)).collect();
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn one_chunk() {
    fail_all("one_chunk", &[Case::of(1, false), Case::of(1, true).without_exchange()], 1);
}

#[test]
fn one_chunk_onto_a_target() {
    fail_all("one_chunk_onto_a_target", &[Case::of(1, false).onto().without_exchange()], 1);
}

#[test]
fn sixteen_chunks() {
    fail_all("sixteen_chunks", &[Case::of(16, false), Case::of(16, true)], 3);
}

#[test]
fn a_thousand_chunks() {
    fail_all("a_thousand_chunks", &[Case::of(1000, false), Case::of(1000, true)], 701);
}

#[test]
fn what_is_spilled() {
    fail_all("what_is_spilled", &[Case::spilling()], 211);
}

/// Writes that are cut short or interrupted are no failures.
#[test]
fn short_and_interrupted_writes_are_taken_up_again() {
    if skipped("short_and_interrupted_writes_are_taken_up_again") {
        return;
    }
    for case in [Case::of(16, false), Case::of(16, true), Case::spilling()] {
        let bench = Bench::new(case);
        let (calls, _) = calls(&bench);
        let mut runs = 0;
        let stride = every(case, if case.spills { 23 } else { 5 });
        for call in calls.into_iter().filter(|call| call.bytes > 1 && (call.number.is_multiple_of(stride) || !is_of_chunks(call))) {
            for fault in [Fault::Short, Fault::Fails("EINTR")] {
                let at = bench.fresh();
                let traced = tracing(&bench, Some((call.number, fault))).run(&bench.rechunk(at.path()));
                let what = format!("{case}: {fault:?} at {} ({} {:?}): {}", call.number, call.call, call.paths, traced.stderr);
                assert_eq!((traced.code, traced.hits), (Some(0), 1), "{what}");
                assert_eq!(bench.settled(at.path()), Ok(State::New), "{what}");
                runs += 1;
            }
        }
        println!("{case}: {runs} writes cut short or interrupted");
        assert!(runs > 0);
    }
}
