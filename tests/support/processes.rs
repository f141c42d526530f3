//! Tests of several processes: the test binary starts itself again, as one test that is told what to do.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::process::Command;

/// The variable that holds what a child is told.
const TOLD: &str = "REZARR_TEST_CHILD";

/// The test `name` of this binary in a process of its own, told `words`, none of which holds a line break.
pub(crate) fn child(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads", "1"]);
    command.env(TOLD, [&[name], words].concat().join("\n")).stdout(std::process::Stdio::null());
    command
}

/// What this process was told as the child `name`; none if it is no such child, and the test is to do nothing.
pub(crate) fn words(name: &str) -> Option<Vec<String>> {
    let told = std::env::var(TOLD).ok()?;
    let mut lines = told.lines();
    (lines.next() == Some(name)).then(|| lines.map(str::to_owned).collect())
}
