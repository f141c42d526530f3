//! Runs that are interrupted, asked to end, or killed: what is left of them, and that the next run is not in their way.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/trees.rs"]
mod trees;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use cli::{Outcome, prints, start};
use rezarr::ArrayMetadata;
use rustix::process::{Pid, Signal, kill_process};

use arrays::{create, elements, layout, metadata, read};
use trees::{directory, files, names};

/// Slow to be encoded, so that a run is still under way some time after its first report.
const SLOWLY: &str = "--chunks 200,50 --codec gzip:9 --threads 1 --memory 16MiB --progress json";

fn large() -> ArrayMetadata {
    metadata(&[2000, 2000], "float32", "0", &layout(&[20, 2000], None, "none"))
}

/// Starts a run, and sends it a signal once it is at work.
fn interrupted(at: &Path, arguments: &str, signal: Signal) -> Outcome {
    let mut child = start(at, arguments);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("\"event\":\"progress\""), "{line}");
    // The first report comes when the work begins.
    std::thread::sleep(Duration::from_millis(100));
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut rest = String::new();
    while stderr.read_line(&mut rest).unwrap() > 0 {}
    let mut outcome = Outcome::from(child.wait_with_output().unwrap());
    outcome.stderr = rest.lines().filter(|line| !line.contains("\"event\":\"progress\"")).collect();
    outcome
}

#[test]
fn an_interrupted_run_ends_with_7_and_leaves_nothing() {
    let root = directory();
    let at = root.path();
    let data = elements(&large(), 1);
    create(&at.join("a"), large(), &data);
    for signal in [Signal::INT, Signal::TERM] {
        let outcome = interrupted(at, &format!("rechunk a b {SLOWLY}"), signal);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(7), "", "rezarr: cancelled"));
        assert_eq!(names(at), ["a"]);
    }
    create(&at.join("b"), metadata(&[3], "int8", "0", &layout(&[1], None, "none")), &[1, 2, 3]);
    let before = files(&at.join("b"));
    let outcome = interrupted(at, &format!("rechunk a b {SLOWLY} --overwrite --keep-backup"), Signal::INT);
    assert_eq!(outcome.code, Some(7));
    assert_eq!(names(at), ["a", "b"]);
    assert_eq!(files(&at.join("b")), before);
}

#[test]
fn a_killed_run_leaves_what_the_next_one_clears_away() {
    let root = directory();
    let at = root.path();
    let data = elements(&large(), 1);
    create(&at.join("a"), large(), &data);
    let outcome = interrupted(at, &format!("rechunk a b {SLOWLY}"), Signal::KILL);
    assert_eq!(outcome.code, None);
    assert_eq!(names(at), ["a", "b.rechunked"]);
    prints(at, "rechunk a b --chunks 200,50 -q");
    assert_eq!(names(at), ["a", "b"]);
    assert!(read(&at.join("b")) == data);
    assert!(files(&at.join("b")).keys().all(|key| key == "zarr.json" || key.starts_with("c/")), "nothing but the array");
}

#[test]
fn two_runs_to_one_target_do_not_meet() {
    let root = directory();
    let at = root.path();
    let data = elements(&large(), 1);
    create(&at.join("a"), large(), &data);
    let mut first = start(at, &format!("rechunk a b {SLOWLY}"));
    let mut stderr = BufReader::new(first.stderr.take().unwrap());
    stderr.read_line(&mut String::new()).unwrap();
    let second = cli::rezarr(at, "rechunk a b --chunks 3,2000");
    assert_eq!(second.code, Some(6), "{second:?}");
    assert!(second.stderr.starts_with("rezarr: ") && second.stderr.ends_with("b.rechunked: in use by another process\n"), "{second:?}");
    while stderr.read_line(&mut String::new()).unwrap() > 0 {}
    assert!(first.wait().unwrap().success());
    assert!(read(&at.join("b")) == data);
    assert_eq!(names(at), ["a", "b"]);
}

/// Slow, of many checkpoints, and a shuffle.
const RESUMED: &str = "--chunks 2000,20 --codec gzip:9 --threads 2 --memory 3MiB --checkpoint 1MiB --progress json";

/// Starts a run, and sends it a signal once it has come to a checkpoint.
fn after_a_checkpoint(at: &Path, arguments: &str, signal: Signal) -> Option<i32> {
    let mut child = start(at, arguments);
    let journal = at.join("b.rechunked/.rechunk.journal");
    while std::fs::metadata(&journal).map_or(0, |metadata| metadata.len()) < 1000 {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait().unwrap().code()
}

/// JRN-7: whatever ends a run that has come to a checkpoint, the next one goes on from there.
#[test]
fn a_run_is_resumed() {
    for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
        let root = directory();
        let at = root.path();
        let data = elements(&large(), 1);
        create(&at.join("a"), large(), &data);
        let code = after_a_checkpoint(at, &format!("rechunk a b {RESUMED}"), signal);
        assert_eq!(code, if signal == Signal::KILL { None } else { Some(7) });
        assert_eq!(names(at), ["a", "b.rechunked"]);
        let report =
            cli::prints_json(at, &format!("rechunk a b {} --resume --json", RESUMED.replace("--progress json", "--progress none")));
        assert!(report["resumed_bytes"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(names(at), ["a", "b"]);
        assert!(read(&at.join("b")) == data);
        assert!(files(&at.join("b")).keys().all(|key| key == "zarr.json" || key.starts_with("c/")), "nothing but the array");
    }
}
