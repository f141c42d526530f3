//! Sweeps over the points of a run: each is run anew, killed there, looked at, and settled.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::fmt;
use std::path::Path;
use std::process::Command;

use super::cli;
use super::swap::{Bench, Case, NAME, State};
use super::tracer::{Fault, Listed, Traced, Tracing};

/// How what a killed run left is brought to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settle {
    /// `rezarr recover`: the old array or the new one.
    Recover,
    /// The same run once more: the new one.
    Rerun,
    /// The same run, which goes on where that has come to: the new one.
    Resume,
}

impl fmt::Display for Settle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Recover => "recover",
            Self::Rerun => "run again",
            Self::Resume => "resume",
        })
    }
}

impl Settle {
    pub(crate) fn command(self, bench: &Bench, at: &Path) -> Command {
        match self {
            Self::Recover => cli::command(at, &format!("recover {NAME}")),
            Self::Rerun => bench.rechunk(at),
            Self::Resume => {
                let mut command = bench.rechunk(at);
                command.arg("--resume");
                command
            }
        }
    }

    /// Runs it on a system like that of the run, without waiting for the disk.
    pub(crate) fn run(self, bench: &Bench, at: &Path) -> Traced {
        Tracing { list: false, ..tracing(bench, None) }.run(&self.command(bench, at))
    }
}

/// Whether no point is to be left out.
pub(crate) fn exhaustive() -> bool {
    std::env::var_os("REZARR_SWEEP").is_some_and(|value| value == "all")
}

/// The step between points that are looked at: as given; or 1 where all are wanted, and a tenth for stores that have thousands of them.
pub(crate) fn every(case: Case, stride: u64) -> u64 {
    match exhaustive() {
        false => stride,
        true if case.chunks > 16 || case.spills => (stride / 10).max(1),
        true => 1,
    }
}

/// What a sweep has seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) points: u64,
    runs: u64,
    /// How often the old array was found in the end, and how often the new one.
    old: u64,
    new: u64,
    violations: Vec<String>,
}

impl Tally {
    /// Prints what was seen, and gives back what should not have been.
    pub(crate) fn told(self, what: &str) -> Vec<String> {
        let Self { points, runs, old, new, violations } = self;
        println!("{what}: {points} points, {runs} runs, {old} old, {new} new, {} violations", violations.len());
        assert!(runs > 0 && old + new + violations.len() as u64 >= runs, "a sweep that sees nothing");
        violations.into_iter().map(|violation| format!("{what}: {violation}")).collect()
    }

    fn count(&mut self, found: Result<State, String>) {
        match found {
            Ok(State::Old) => self.old += 1,
            Ok(State::New) => self.new += 1,
            Err(violation) => self.violations.push(violation),
        }
        self.runs += 1;
    }
}

/// The tracing of a run of `bench`, with this fault at this point.
pub(crate) fn tracing(bench: &Bench, at: Option<(u64, Fault)>) -> Tracing {
    Tracing { at, no_exchange: !bench.case.exchange, list: at.is_none(), ..Tracing::default() }
}

/// The points of a sweep, and what is done at each. What is killed behind one call of one thread is where it would be killed before the next,
/// so that this is done where all is wanted, and at the last point.
fn points(tracing: &Tracing, command: &Command, all: bool, chosen: impl Fn(&Listed) -> bool) -> (u64, Vec<(u64, Fault)>) {
    let listed = tracing.run(command);
    assert_eq!(listed.code, Some(0), "{command:?}: {}", listed.stderr);
    let chosen = listed.calls.iter().filter(|call| call.number == listed.points || chosen(call));
    let faults = chosen.flat_map(|call| {
        let torn = (call.bytes > 1).then_some(Fault::Torn);
        let after = (all || call.number == listed.points).then_some(Fault::After);
        [Some(Fault::Before), torn, after].into_iter().flatten().map(|fault| (call.number, fault))
    });
    (listed.points, faults.collect())
}

/// Whether a call is about a chunk, what is spilled of them, or how far they are: there are many of these, and each is like the next.
pub(crate) fn is_of_chunks(call: &Listed) -> bool {
    call.paths.iter().any(|path| {
        let path = path.to_string_lossy();
        path.contains("/c/") || path.contains("spill") || path.contains("journal") || path.ends_with("(deleted)")
    })
}

/// Runs a command and kills it; it may also have come to its end, where threads share the points out in another way.
fn kill(bench: &Bench, command: &Command, at: (u64, Fault)) -> Result<(), String> {
    let traced = tracing(bench, Some(at)).run(command);
    match (traced.code, traced.signal) {
        (None, Some(9)) => Ok(()),
        (Some(0), None) if bench.case.threads > 1 && traced.hits == 0 => Ok(()),
        other => Err(format!("{at:?}: it ended with {other:?}: {}", traced.stderr)),
    }
}

/// What stands there after a kill, and after it was settled.
fn settled(bench: &Bench, settle: Settle, at: &Path) -> Result<State, String> {
    let before = bench.state(at)?;
    let outcome = settle.run(bench, at);
    if outcome.code != Some(0) {
        return Err(format!("{settle} ended with {:?}, signal {:?}: {}", outcome.code, outcome.signal, outcome.stderr));
    }
    let after = bench.settled(at).map_err(|what| format!("after {settle}: {what}; it said: {}{}", outcome.stdout, outcome.stderr))?;
    match (before, after, settle) {
        (State::New, State::Old, _) => Err(format!("{settle} has taken the new array away")),
        (_, State::Old, Settle::Rerun | Settle::Resume) => Err(String::from("the second run left the old array")),
        _ => Ok(after),
    }
}

/// Kills a run at every `stride`-th point that is about chunks, and at all others.
pub(crate) fn kills(bench: &Bench, settle: Settle, stride: u64) -> Tally {
    let fresh = bench.fresh();
    let all = exhaustive() || bench.case.threads > 1;
    let (points, faults) =
        points(&tracing(bench, None), &bench.rechunk(fresh.path()), all, |call| call.number.is_multiple_of(stride) || !is_of_chunks(call));
    let mut tally = Tally { points, ..Tally::default() };
    for fault in faults {
        let at = bench.fresh();
        let killed = kill(bench, &bench.rechunk(at.path()), fault);
        let found = killed.and_then(|()| settled(bench, settle, at.path()));
        tally.count(found.map_err(|what| format!("{fault:?}: {what}")));
    }
    tally
}

/// Kills a run at every `outer`-th point, and then what is to settle it at every `inner`-th of its own, from another one on each time.
pub(crate) fn kills_of_settling(bench: &Bench, settle: Settle, outer: u64, inner: u64) -> Tally {
    let fresh = bench.fresh();
    let (_, faults) = points(&tracing(bench, None), &bench.rechunk(fresh.path()), false, |call| call.number.is_multiple_of(outer));
    let mut tally = Tally::default();
    let killed = |fault| {
        let at = bench.fresh();
        kill(bench, &bench.rechunk(at.path()), fault).map(|()| at)
    };
    for (turn, first) in (0..).zip(faults) {
        let (count, seconds) = match killed(first) {
            Err(what) => {
                tally.count(Err(format!("{first:?}: {what}")));
                continue;
            }
            Ok(at) => {
                points(&tracing(bench, None), &settle.command(bench, at.path()), false, |call| (call.number + turn).is_multiple_of(inner))
            }
        };
        tally.points += count;
        for second in seconds {
            let found = killed(first).and_then(|at| {
                kill(bench, &settle.command(bench, at.path()), second)?;
                settled(bench, settle, at.path())
            });
            tally.count(found.map_err(|what| format!("{first:?}, then {second:?} of {settle}: {what}")));
        }
    }
    tally
}
