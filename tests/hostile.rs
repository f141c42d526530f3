//! Malformed stores, each met by the program in a process of its own under a limit of 512 MiB of address space: a typed error that names what is
//! wrong, or the right value; never a signal, a panic, a hang, or much memory.
//!
//! The stores are made in a few lines each (`tests/hostile/`), by theme.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "hostile/bombs.rs"]
mod bombs;
#[path = "hostile/chunks.rs"]
mod chunks;
#[path = "hostile/documents.rs"]
mod documents;
#[path = "hostile/files.rs"]
mod files;
#[path = "hostile/flips.rs"]
mod flips;
#[path = "hostile/names.rs"]
mod names;
#[path = "hostile/shapes.rs"]
mod shapes;
#[path = "hostile/shards.rs"]
mod shards;
#[path = "hostile/stores.rs"]
mod stores;
#[path = "support/trees.rs"]
mod trees;
#[path = "hostile/v2.rs"]
mod v2;
#[path = "hostile/zipped.rs"]
mod zipped;
#[path = "support/zips.rs"]
mod zips;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use stores::{Case, Want};

/// The address space of a process, and how long it may take before it counts as hanging.
const ADDRESS_SPACE_BYTES: u64 = 512 << 20;
const SECONDS: u32 = 20;

/// The documented exit codes.
const CODES: std::ops::RangeInclusive<i32> = 0..=7;

/// How a run ended.
#[derive(Debug, Deserialize)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
    peak_rss_bytes: u64,
    seconds: f64,
}

/// Runs the program with each list of arguments in its directory.
fn confined(runs: &[(Vec<String>, &Path)]) -> Vec<Ran> {
    let program = |(args, cwd): &(Vec<String>, &Path)| {
        let args = [&[env!("CARGO_BIN_EXE_rezarr").to_owned()], args.as_slice()].concat();
        serde_json::json!({"args": args, "cwd": cwd})
    };
    let list: Vec<_> = runs.iter().map(program).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/confined.py");
    let mut command = Command::new("python3");
    command.args(["-I", "-S", "-B"]).arg(script).args([ADDRESS_SPACE_BYTES.to_string(), SECONDS.to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("confining programs needs python3");
    let mut stdin = child.stdin.take().unwrap();
    let text = serde_json::to_vec(&list).unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the confining itself failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is wrong with how a run ended.
fn faults(want: &Want, ran: &Ran) -> Vec<String> {
    let mut out = Vec::new();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let mut check = |good: bool, what: String| {
        if !good {
            out.push(what);
        }
    };
    check(CODES.contains(&ran.code), format!("ended with {}", ran.code));
    check(want.codes.contains(&ran.code), format!("ended with {}, expected one of {:?}", ran.code, want.codes));
    check(!said.contains("panicked at"), String::from("panicked"));
    check(ran.seconds < f64::from(SECONDS), format!("took {} s", ran.seconds));
    check(ran.peak_rss_bytes <= want.peak_mib << 20, format!("took {} MiB of memory", ran.peak_rss_bytes >> 20));
    for text in want.says.iter().filter(|_| ran.code != 0 || !want.codes.contains(&4)) {
        check(said.contains(text.as_str()), format!("does not say {text:?}"));
    }
    if let Some(stdout) = &want.prints
        && ran.code == 0
    {
        check(ran.stdout == *stdout, format!("prints another value than {stdout:?}"));
    }
    if ran.code > 1 {
        let one_line = ran.stderr.starts_with("rezarr: ") && ran.stderr.trim_end_matches('\n').lines().count() == 1;
        check(one_line, String::from("is not refused in one line"));
    }
    out
}

/// Makes all stores of a theme, runs what is to be run on each, and fails with all that is wrong.
fn survive(cases: &[Case]) {
    let root = trees::directory();
    let mut runs = Vec::new();
    let places: Vec<_> = (0..cases.len()).map(|number| root.path().join(number.to_string())).collect();
    for (case, place) in cases.iter().zip(&places) {
        std::fs::create_dir(place).unwrap();
        (case.make)(place);
        runs.extend(case.wants.iter().map(|want| (want.args.clone(), place.as_path())));
    }
    let ran = confined(&runs);
    let (peak, slowest) = (ran.iter().map(|ran| ran.peak_rss_bytes).max(), ran.iter().map(|ran| ran.seconds).fold(0.0, f64::max));
    eprintln!("{} stores, {} runs, {} MiB at most, {slowest:.1} s at most", cases.len(), ran.len(), peak.unwrap_or(0) >> 20);
    let mut ran = ran.into_iter();
    let mut wrong = Vec::new();
    for case in cases {
        for want in &case.wants {
            let ran = ran.next().unwrap();
            for fault in faults(want, &ran) {
                let (out, err): (String, String) = (ran.stdout.chars().take(300).collect(), ran.stderr.chars().take(500).collect());
                wrong.push(format!("{}: {:?} {fault}\n    out: {out:?}\n    err: {err:?}", case.name, want.args));
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults\n{}", wrong.len(), wrong.join("\n"));
}

type Theme = fn() -> Vec<Case>;

const THEMES: &[Theme] = &[
    documents::cases,
    shapes::cases,
    shapes::codec_lists,
    chunks::cases,
    shards::cases,
    names::cases,
    files::cases,
    zipped::cases,
    v2::cases,
    bombs::cases,
];

#[test]
fn there_are_many_cases_and_no_two_of_one_name() {
    let cases: Vec<Case> = THEMES.iter().flat_map(|theme| theme()).collect();
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len());
    eprintln!("{} malformed stores, {} runs", cases.len(), cases.iter().map(|case| case.wants.len()).sum::<usize>());
    assert!(cases.len() >= 150, "{} cases", cases.len());
}

#[test]
fn documents() {
    survive(&documents::cases());
}

#[test]
fn shapes_grids_types_and_fill_values() {
    survive(&shapes::cases());
}

#[test]
fn lists_of_codecs() {
    survive(&shapes::codec_lists());
}

#[test]
fn encoded_chunks() {
    survive(&chunks::cases());
}

#[test]
fn shards_and_their_indexes() {
    survive(&shards::cases());
}

#[test]
fn names_and_paths() {
    survive(&names::cases());
}

#[test]
fn file_types() {
    survive(&files::cases());
}

#[test]
fn zarr_v2() {
    survive(&v2::cases());
}

#[test]
fn zip_files() {
    survive(&zipped::cases());
}

/// What would decode to more than 1 GiB is refused in 32 MiB.
#[test]
fn bombs() {
    survive(&bombs::cases());
}

/// The harness notices what it is there for.
#[test]
fn a_hang_a_signal_and_a_wrong_answer_are_noticed() {
    let ran = |code, stdout: &str, stderr: &str| Ran {
        code,
        stdout: stdout.to_owned(),
        stderr: stderr.to_owned(),
        peak_rss_bytes: 11 << 20,
        seconds: 0.1,
    };
    let want = Want::refused("get s", 4, &["s/zarr.json", "odd"]);
    assert!(faults(&want, &ran(4, "", "rezarr: s/zarr.json: odd\n")).is_empty());
    for bad in [
        ran(4, "", "rezarr: s/zarr.json: even\n"),
        ran(4, "", "rezarr: s/zarr.json: odd\nthread panicked at\n"),
        ran(0, "", ""),
        ran(101, "", "rezarr: s/zarr.json: odd\n"),
        ran(-11, "", "rezarr: s/zarr.json: odd\n"),
        Ran { peak_rss_bytes: 101 << 20, ..ran(4, "", "rezarr: s/zarr.json: odd\n") },
        Ran { seconds: 21.0, ..ran(4, "", "rezarr: s/zarr.json: odd\n") },
    ] {
        assert!(!faults(&want, &bad).is_empty(), "{bad:?}");
    }
    let want = Want::prints("get s", "1 2\n");
    assert!(faults(&want, &ran(0, "1 2\n", "")).is_empty() && !faults(&want, &ran(0, "1 3\n", "")).is_empty());
    let root = trees::directory();
    std::fs::write(root.path().join("pipe"), "").unwrap();
    let list = [(vec!["--version".to_owned()], root.path()), (vec!["get".to_owned(), "/dev/zero".to_owned()], root.path())];
    let ended: Vec<i32> = confined(&list).iter().map(|ran| ran.code).collect();
    assert_eq!(ended, [0, 4]);
}
