//! The memory promise where it is the documents that are large: measured on the command line.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by panicking")]

#[path = "support/memory.rs"]
mod memory;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const REZARR: &str = env!("CARGO_BIN_EXE_rezarr");
const MIB: u64 = 1 << 20;

/// Puts `attributes`, the text of an object, into the document of an array.
fn set_attributes(array: &Path, attributes: &str) {
    let document = fs::read_to_string(array.join("zarr.json")).unwrap();
    let changed = document.replace("\"attributes\":{}", &format!("\"attributes\":{attributes}"));
    assert_ne!(changed, document);
    fs::write(array.join("zarr.json"), changed).unwrap();
}

/// An object of `bytes` or a little less, of many small members.
fn many_members(bytes: usize) -> String {
    let mut text = String::from("{");
    let mut number = 0;
    while text.len() + 20 < bytes {
        write!(text, "{}\"k{number}\":{number}", if number == 0 { "" } else { "," }).unwrap();
        number += 1;
    }
    text + "}"
}

fn rechunk(from: &Path, to: &Path, memory: &str) -> memory::Run {
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    memory::measure(REZARR, ["rechunk", from, to, "--chunks", "512,32", "--memory", memory, "--threads", "2", "--no-sync", "-q"])
}

/// RCK-3, FMT-1: the largest document that is read, of as many members as go into it, held beside a full budget.
#[test]
fn documents_count_in_the_budget() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    memory::write_large(&from, &[512, 32768], &[1, 32768]);
    for attributes in [many_members((16 << 20) - 2000), format!("{{\"a\":\"{}\"}}", "x".repeat((16 << 20) - 2000))] {
        set_attributes(&from, &attributes);
        let run = rechunk(&from, &to, "32MiB");
        assert_eq!(run.exit_code, 0, "{}", run.stderr);
        assert!(run.peak_rss_bytes <= 48 * MIB, "{} MiB", run.peak_rss_bytes / MIB);
        assert!(fs::read_to_string(to.join("zarr.json")).unwrap().contains(&attributes));
        // A budget that the documents alone exceed is refused, with the one that would do.
        let run = rechunk(&from, &directory.path().join("other"), "16MiB");
        assert_eq!(run.exit_code, 5, "{}", run.stderr);
        assert!(run.stderr.contains("beside documents of"), "{}", run.stderr);
        fs::remove_dir_all(&to).unwrap();
        let document = fs::read_to_string(from.join("zarr.json")).unwrap().replace(&attributes, "{}");
        fs::write(from.join("zarr.json"), document).unwrap();
    }
    set_attributes(&from, &many_members(17 << 20));
    let run = rechunk(&from, &to, "32MiB");
    assert!(run.exit_code == 4 && run.stderr.contains("at most 16777216"), "{}", run.stderr);
    assert!(run.peak_rss_bytes < 16 * MIB, "a document that is too large is not read: {} MiB", run.peak_rss_bytes / MIB);
}
