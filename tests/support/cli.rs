//! The program as its users run it: words in, exit code and text out.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::trees::tree;

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// The program with arguments separated by spaces, in the working directory `at`.
pub(crate) fn command(at: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rezarr"));
    command.args(arguments.split_whitespace()).current_dir(at).stdin(Stdio::null());
    // What was measured on this machine changes plans; relative paths are passed over.
    command.env("XDG_CACHE_HOME", "none").env("HOME", "none");
    command
}

/// Runs the program to its end.
pub(crate) fn rezarr(at: &Path, arguments: &str) -> Outcome {
    command(at, arguments).output().expect("the program starts").into()
}

/// Starts the program with its output in pipes.
pub(crate) fn start(at: &Path, arguments: &str) -> Child {
    command(at, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

/// Runs the program; it must succeed and say nothing on standard error. Returns what it prints.
pub(crate) fn prints(at: &Path, arguments: &str) -> String {
    let outcome = rezarr(at, arguments);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "rezarr {arguments}");
    outcome.stdout
}

/// As [`prints`], for one JSON document.
pub(crate) fn prints_json(at: &Path, arguments: &str) -> serde_json::Value {
    serde_json::from_str(&prints(at, arguments)).unwrap_or_else(|error| panic!("rezarr {arguments} prints no JSON: {error}"))
}

/// Runs the program; it must be refused with this code and this one line, print nothing else, and change nothing in the working directory.
pub(crate) fn refuses(at: &Path, arguments: &str, code: i32, message: &str) {
    let before = tree(at);
    let outcome = rezarr(at, arguments);
    assert_eq!((outcome.stderr.as_str(), outcome.code), (format!("rezarr: {message}\n").as_str(), Some(code)), "rezarr {arguments}");
    assert_eq!(outcome.stdout, "", "rezarr {arguments}");
    assert!(tree(at) == before, "rezarr {arguments} has changed something: {:?}", tree(at).keys());
}
