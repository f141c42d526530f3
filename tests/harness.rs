//! The test harness itself: that its measurements measure, and that its judges agree with each other and notice a difference.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/memory.rs"]
mod memory;
#[path = "support/python.rs"]
mod python;
#[path = "support/zarrs.rs"]
mod zarrs;

use std::fs;
use std::path::Path;

#[test]
fn peak_memory_is_that_of_the_program() {
    let allocate = |mib: u32| {
        let run =
            memory::measure("python3", ["-c", &format!("x = bytearray({mib} << 20); x[::4096] = b'x' * len(x[::4096]); print('ran')")]);
        assert_eq!((run.exit_code, run.stdout.as_str()), (0, "ran\n"), "{}", run.stderr);
        run.peak_rss_bytes
    };
    let (small, large) = (allocate(1), allocate(200));
    assert!(small < 50 << 20, "a program that allocates next to nothing took {small} bytes");
    assert!((200 << 20..250 << 20).contains(&large), "a program that allocates 200 MiB took {large} bytes");
}

#[test]
fn the_end_of_the_program_is_reported() {
    let run = memory::measure("sh", ["-c", "echo out; echo err >&2; exit 5"]);
    assert_eq!((run.exit_code, run.stdout.as_str(), run.stderr.as_str()), (5, "out\n", "err\n"));
    assert_eq!(memory::measure("sh", ["-c", "kill -9 $$"]).exit_code, -9);
}

#[test]
fn a_large_array_is_what_it_says() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    memory::write_large(&directory.path().join("large"), &[4, 6, 10], &[2, 3, 5]);
    let chunk = fs::read(directory.path().join("large/c/1/0/1")).unwrap();
    // The second row of the chunk begins at index (2, 1, 5).
    assert_eq!(chunk.len(), 2 * 3 * 5 * 4);
    assert_eq!(chunk[5 * 4..][..4], memory::element(2 * 60 + 10 + 5).to_le_bytes());
    if python::skipped("a_large_array_is_what_it_says") {
        return;
    }
    let raw: Vec<u8> = (0..240).flat_map(|n| memory::element(n).to_le_bytes()).collect();
    fs::write(directory.path().join("large.raw"), raw).unwrap();
    let manifest = r#"[{"path": "large", "raw": "large.raw", "shape": [4, 6, 10], "dtype": "float32"}]"#;
    fs::write(directory.path().join("manifest.json"), manifest).unwrap();
    python::python("read_corpus.py", [directory.path()]);
}

/// The judges read what they wrote among themselves, and each notices a wrong byte; so a difference that they find later is rezarr's.
#[test]
fn judges_agree_about_the_corpus() {
    if python::skipped("judges_agree_about_the_corpus") {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let corpus = directory.path().join("corpus");
    let arguments = [corpus.as_os_str(), zarrs::judge().as_os_str()];
    python::python("write_corpus.py", [arguments[0], arguments[1], "cases".as_ref()]);
    python::python("read_corpus.py", arguments);
    damage(&corpus.join("raw/type_int32_little.raw"));
    let found = python::command("read_corpus.py", arguments).output().unwrap();
    let said = String::from_utf8_lossy(&found.stdout);
    assert!(!found.status.success(), "{said}");
    for reader in ["zarr-python", "tensorstore", "zarrs"] {
        let line = format!("zarr-python/type_int32_little: {reader} differs");
        assert!(said.contains(&line), "no judge may accept a dump with a wrong byte\n{said}");
    }
}

#[test]
fn data_sets_are_made_and_compared() {
    if python::skipped("data_sets_are_made_and_compared") {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = |name: &str| directory.path().join(name);
    python::python("write_survey.py", [path("survey").as_os_str(), "50".as_ref(), "8".as_ref()]);
    python::python("make_iris.py", [path("iris")]);
    python::python("assert_identical.py", [path("iris"), path("iris")]);
    let failed = std::panic::catch_unwind(|| python::python("assert_identical.py", [path("iris"), path("survey")]));
    assert!(failed.is_err(), "two different data sets are called identical");
}

fn damage(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
}
