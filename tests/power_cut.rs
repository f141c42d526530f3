//! Power cuts: a rechunk on a file system in an image, which is copied at every system call that changes files, while it is mounted. What is
//! found in each copy, once it is mounted, is what a power cut would have left.
//!
//! Needs root. With `REZARR_SWEEP=all`, no point of small stores is left out, and ten times as many of large ones are looked at. What was done is printed.
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
#[path = "support/sweep.rs"]
mod sweep;
#[path = "support/tracer.rs"]
mod tracer;
#[path = "support/trees.rs"]
mod trees;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use loop_device::{Mounted, in_own_mounts};
use swap::{Bench, Case, State};
use sweep::{Settle, every};
use tempfile::TempDir;
use tracer::{Tracing, skipped};
use trees::directory;

const IMAGE_BYTES: u64 = 24 << 20;

/// A file system to run on, and copies of it.
struct Cuts {
    root: TempDir,
    at: PathBuf,
}

/// What was found in the copies.
#[derive(Debug, Default)]
struct Tally {
    points: u64,
    images: u64,
    old: u64,
    new: u64,
    violations: Vec<String>,
}

/// The copies that were made during a run.
struct Copies {
    points: u64,
    /// During the run, with the number of the call that was about to be made.
    during: Vec<(u64, PathBuf)>,
    /// When it had ended.
    after: PathBuf,
    said: String,
    code: Option<i32>,
}

impl Cuts {
    fn new() -> Self {
        let root = directory();
        let at = root.path().join("mounted");
        Self { root, at }
    }

    /// An image that holds the store, and nothing of it in memory alone.
    fn laid(&self, bench: &Bench) -> PathBuf {
        let image = self.root.path().join("laid");
        let mounted = Mounted::make(&image, &self.at, IMAGE_BYTES);
        bench.lay(&self.at);
        mounted.sync();
        image
    }

    /// Runs a command on a file system, which is copied to `copies` before each `stride`-th call and at the end.
    fn run(&self, image: &Path, copies: &str, stride: u64, no_exchange: bool, command: &Command) -> Copies {
        let copies = self.root.path().join(copies);
        fs::create_dir(&copies).unwrap();
        let (used, hook) = (copies.join("used"), copies.join("hook"));
        copy(image, &used);
        let mounted = Mounted::mount(&used, &self.at);
        let script = format!(
            "#!/bin/sh\n[ $(($1 % {stride})) = 0 ] || exit 0\nexec cp --sparse=always '{}' \"{}/$1\"\n",
            used.display(),
            copies.display()
        );
        fs::write(&hook, script).unwrap();
        fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
        let tracing = Tracing { real_syncs: true, hook: Some(hook), no_exchange, limit: 600, ..Tracing::default() };
        let traced = tracing.run(command);
        let after = copies.join("after");
        copy(&used, &after);
        drop(mounted);
        fs::remove_file(&used).unwrap();
        let during =
            (1..=traced.points).map(|number| (number, copies.join(number.to_string()))).filter(|(_, path)| path.exists()).collect();
        Copies { points: traced.points, during, after, said: traced.stderr, code: traced.code }
    }

    /// What is in a copy, before and after it is settled.
    fn look(&self, bench: &Bench, image: &Path) -> Result<State, String> {
        let _mounted = Mounted::mount(image, &self.at);
        let before = bench.state(&self.at)?;
        let outcome = cli::Outcome::from(Settle::Recover.command(bench, &self.at).output().unwrap());
        if outcome.code != Some(0) {
            return Err(format!("recover ended with {:?}: {}", outcome.code, outcome.stderr));
        }
        match bench.settled(&self.at) {
            Ok(State::Old) if before == State::New => Err(String::from("recover has taken the new array away")),
            found => found.map_err(|what| format!("after recover: {what}; it said: {}{}", outcome.stdout, outcome.stderr)),
        }
    }
}

impl Tally {
    fn count(&mut self, found: Result<State, String>) {
        self.images += 1;
        match found {
            Ok(State::Old) => self.old += 1,
            Ok(State::New) => self.new += 1,
            Err(violation) => self.violations.push(violation),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("--sparse=always").args([from, to]).status().unwrap();
    assert!(status.success(), "{} was not copied", from.display());
}

/// Cuts the power of a run at every `stride`-th point, and at the end; and of every `nested`-th recovery in the same way.
fn cut(case: Case, stride: u64, nested: u64) -> Vec<String> {
    let (bench, cuts, mut tally) = (Bench::new(case), Cuts::new(), Tally::default());
    let laid = cuts.laid(&bench);
    let run = cuts.run(&laid, "run", stride, !case.exchange, &bench.rechunk(&cuts.at));
    assert_eq!(run.code, Some(0), "{case}: {}", run.said);
    tally.points = run.points;
    // Looking at an image changes it, so the recovery from it is run first, on a copy.
    for (turn, (number, image)) in (0..).zip(&run.during) {
        if turn % nested == 0 {
            let again =
                cuts.run(image, &format!("recover-{number}"), stride.min(3), !case.exchange, &Settle::Recover.command(&bench, &cuts.at));
            if again.code != Some(0) {
                tally.count(Err(format!("cut before {number}: recover ended with {:?}: {}", again.code, again.said)));
            }
            let whens = again.during.iter().map(|(second, image)| (format!("before {second}"), image));
            for (when, image) in whens.chain([(String::from("behind the end"), &again.after)]) {
                let found = cuts.look(&bench, image);
                tally.count(found.map_err(|what| format!("cut before {number}, and {when} of recover: {what}")));
            }
        }
        let found = cuts.look(&bench, image);
        tally.count(found.map_err(|what| format!("cut before {number}: {what}")));
    }
    let found = match cuts.look(&bench, &run.after) {
        Ok(State::Old) => Err(String::from("it succeeded, and its result is lost")),
        found => found,
    };
    tally.count(found.map_err(|what| format!("cut behind the end: {what}")));
    let Tally { points, images, old, new, violations } = tally;
    println!("{case}: {points} points, {images} images, {old} old, {new} new, {} violations", violations.len());
    violations
}

fn cut_all(test: &str, cases: &[Case], stride: u64, nested: u64) {
    if skipped(test) || !in_own_mounts(test) {
        return;
    }
    let violations: Vec<_> = cases.iter().flat_map(|&case| cut(case, every(case, stride), every(case, nested))).collect();
    assert!(violations.is_empty(), "{} violations\n{}", violations.len(), violations.join("\n"));
}

#[test]
fn one_chunk() {
    cut_all("one_chunk", &[Case::of(1, false)], 3, 7);
}

#[test]
fn one_chunk_by_two_renames() {
    cut_all("one_chunk_by_two_renames", &[Case::of(1, false).without_exchange()], 3, 7);
}

#[test]
fn sixteen_chunks() {
    cut_all("sixteen_chunks", &[Case::of(16, false), Case::of(16, true)], 11, 19);
}

#[test]
fn a_thousand_chunks() {
    cut_all("a_thousand_chunks", &[Case::of(1000, false)], 509, 29);
}

/// Without syncs, a power cut behind the end finds the old array: copies are no better than what a disk holds.
#[test]
fn a_cut_loses_what_was_not_synced() {
    let test = "a_cut_loses_what_was_not_synced";
    if skipped(test) || !in_own_mounts(test) {
        return;
    }
    let (bench, cuts) = (Bench::new(Case::of(16, false)), Cuts::new());
    let laid = cuts.laid(&bench);
    let mut command = bench.rechunk(&cuts.at);
    command.arg("--no-sync");
    let run = cuts.run(&laid, "run", 1000, false, &command);
    assert_eq!(run.code, Some(0), "{}", run.said);
    assert_ne!(cuts.look(&bench, &run.after), Ok(State::New));
}
