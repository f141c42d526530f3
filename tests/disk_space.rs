//! Disks that are too small, that are filled by others, and limits of the process: nothing is left of what could not be written.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/trees.rs"]
mod trees;

use std::path::{Path, PathBuf};
use std::process::Command;

use rezarr::{Array, Error, Progress, RechunkOptions, Region, rechunk};
use tempfile::TempDir;

use arrays::{create, elements, layout, metadata, read};
use cli::{Outcome, command};
use trees::{directory, files, names};

/// A file system of its own, gone with the value.
struct SmallDisk {
    at: PathBuf,
    _directory: TempDir,
}

impl SmallDisk {
    /// One of about `mebibytes`, on a loop device; none without the right to mount, which is said.
    fn new(mebibytes: u64) -> Option<Self> {
        let directory = directory();
        let (image, at) = (directory.path().join("image"), directory.path().join("disk"));
        let run =
            |program: &str, arguments: &[&str]| Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
        std::fs::create_dir(&at).unwrap();
        std::fs::File::create(&image).unwrap().set_len(mebibytes << 20).unwrap();
        let (image, shown) = (image.to_str().unwrap(), at.to_str().unwrap());
        let made = rustix::process::geteuid().is_root()
            && run("mkfs.ext4", &["-q", "-F", "-m", "0", image])
            && run("mount", &["-o", "loop", image, shown]);
        if !made {
            eprintln!("skipped, needs root and loop devices");
            return None;
        }
        Some(Self { at, _directory: directory })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.at).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "{} is still mounted", self.at.display());
    }
}

/// An array of 16 MiB that does not compress.
fn source(at: &Path, codecs: &str) -> Vec<u8> {
    let metadata = metadata(&[2048, 2048], "float32", "0", &layout(&[256, 2048], None, codecs));
    let data = elements(&metadata, 5);
    create(&at.join("a"), metadata, &data);
    data
}

fn on_disk(disk: &Path) -> Vec<String> {
    names(disk).into_iter().filter(|name| name != "lost+found").collect()
}

/// RCK-40: refused before anything is written, with the bytes that are needed; and what is wanted in spite of that.
#[test]
fn a_disk_that_is_too_small_is_refused_before_the_start() {
    let Some(disk) = SmallDisk::new(12) else { return };
    let root = directory();
    let data = source(root.path(), "none");
    let arguments = format!("rechunk a {}/b --chunks 2048,256 --spill-dir .", disk.at.display());
    let outcome = cli::rezarr(root.path(), &arguments);
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    let needed: u64 = outcome.stderr.split("about ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!((16 << 20..17 << 20).contains(&needed), "{outcome:?}");
    assert!(outcome.stderr.contains("bytes are needed, and ") && outcome.stderr.contains("--no-space-check"), "{outcome:?}");
    assert_eq!(on_disk(&disk.at), [""; 0]);
    // The same in earnest: what was begun is cleaned up when the disk is full.
    let outcome = cli::rezarr(root.path(), &format!("{arguments} --no-space-check"));
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert!(outcome.stderr.contains("disk full: about ") && outcome.stderr.contains("for the whole"), "{outcome:?}");
    assert_eq!(on_disk(&disk.at), [""; 0]);
    assert_eq!(names(root.path()), ["a"]);
    assert!(read(&root.path().join("a")) == data);
    // An array of which nearly nothing is stored fits, whatever its shape.
    let sparse = metadata(&[4096, 2048], "float32", "0", &layout(&[256, 2048], None, "none"));
    let array = Array::create(root.path().join("sparse"), sparse).unwrap();
    array.write_bytes(&Region::new([0, 0], [256, 2048]).unwrap(), &data[..256 * 2048 * 4]).unwrap();
    cli::prints(root.path(), &format!("rechunk sparse {}/b --chunks 64,2048 -q", disk.at.display()));
    assert_eq!(on_disk(&disk.at), ["b"]);
    // What is replaced is there until the end, and stays when there is no room beside it.
    let before = files(&disk.at.join("b"));
    let outcome = cli::rezarr(root.path(), &format!("{arguments} --overwrite"));
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert!(files(&disk.at.join("b")) == before);
}

/// RCK-40: the spill file is on a disk of its own.
#[test]
fn a_spill_disk_that_is_too_small_is_refused_before_the_start() {
    let Some(disk) = SmallDisk::new(12) else { return };
    let root = directory();
    let data = source(root.path(), "zstd:1");
    let options =
        || RechunkOptions::new().chunks([2048, 16]).codecs("zstd:1".parse::<rezarr::Codecs>().unwrap()).memory(4 << 20).threads(1);
    match rechunk(root.path().join("a"), Some(&root.path().join("b")), options().spill_dir(&disk.at)) {
        Err(Error::DiskFull { path, needed_bytes: Some(needed), free_bytes: Some(free) }) => {
            assert!(path == disk.at.display().to_string() && needed >= 16 << 20 && free < needed, "{path}, {needed}, {free}");
        }
        other => panic!("DiskFull was expected: {other:?}"),
    }
    assert_eq!(names(root.path()), ["a"]);
    rechunk(root.path().join("a"), Some(&root.path().join("b")), options()).unwrap();
    assert!(read(&root.path().join("b")) == data);
}

/// RCK-40: the disk is filled by somebody else during the run.
#[test]
fn a_disk_that_is_filled_meanwhile_is_an_error_and_nothing_is_left() {
    let Some(disk) = SmallDisk::new(24) else { return };
    let root = directory();
    let data = source(root.path(), "none");
    let filler = disk.at.join("filler");
    let mut fill = |_: &Progress| {
        if !filler.exists() {
            let file = std::fs::File::create(&filler).unwrap();
            // At once, so that the run is not faster.
            let space = rustix::fs::statvfs(&disk.at).unwrap();
            let all = space.f_bavail * space.f_frsize;
            (0..all >> 16).find(|less| rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, all - (less << 16)).is_ok());
        }
    };
    let options = RechunkOptions::new().chunks([2048, 256]).threads(1).spill_dir(root.path()).progress(&mut fill);
    match rechunk(root.path().join("a"), Some(&disk.at.join("b")), options) {
        Err(Error::DiskFull { needed_bytes: Some(needed), free_bytes: None, .. }) => assert!(needed >= 16 << 20, "{needed}"),
        other => panic!("DiskFull was expected: {other:?}"),
    }
    assert_eq!(on_disk(&disk.at), ["filler"]);
    assert!(read(&root.path().join("a")) == data);
}

/// RCK-41: a spill file in memory is counted.
#[test]
fn a_spill_file_in_memory_is_refused_unless_it_fits_the_budget() {
    let kind = Command::new("stat").args(["-f", "-c", "%T", "/dev/shm"]).output();
    if !kind.is_ok_and(|output| output.stdout == b"tmpfs\n") {
        eprintln!("skipped, needs a tmpfs at /dev/shm");
        return;
    }
    let root = directory();
    let data = source(root.path(), "zstd:1");
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let spill = memory.path().display();
    let rechunk = |more: &str| cli::rezarr(root.path(), &format!("rechunk a b --chunks 2048,16 --codec zstd:1 --threads 1 -q {more}"));
    let outcome = rechunk(&format!("--memory 4MiB --spill-dir {spill}"));
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
    for said in ["is on tmpfs", "--spill-dir", "the smallest that would do is "] {
        assert!(outcome.stderr.contains(said), "{said:?} is not in {}", outcome.stderr);
    }
    assert_eq!(names(root.path()), ["a"]);
    let enough = outcome.stderr.split("would do is ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
    assert_eq!(rechunk(&format!("--memory {enough} --spill-dir {spill}")).code, Some(0));
    assert!(read(&root.path().join("b")) == data);
    let verify = |more: &str| cli::rezarr(root.path(), &format!("verify a b --threads 1 -q {more}"));
    let outcome = verify(&format!("--memory 4MiB --spill-dir {spill}"));
    assert!(outcome.code == Some(0) || outcome.stderr.contains("is on tmpfs"), "{outcome:?}");
    assert_eq!(verify("--memory 4MiB --spill-dir .").code, Some(0));
}

/// A file that may not grow further is an error, and not the end of the process (SIGXFSZ).
#[test]
fn a_limit_of_the_file_size_is_an_error_and_nothing_is_left() {
    let root = directory();
    let data = source(root.path(), "none");
    let program = command(root.path(), "rechunk a b --chunks 2048,2048 -q");
    let words: Vec<_> = program.get_args().map(|word| word.to_str().unwrap()).collect();
    let limited = format!("ulimit -f 2048; exec {} {}", program.get_program().to_str().unwrap(), words.join(" "));
    let output = Command::new("sh").args(["-c", &limited]).current_dir(root.path()).output().unwrap();
    let outcome = Outcome::from(output);
    assert_eq!(outcome.code, Some(6), "{outcome:?}");
    assert!(outcome.stderr.contains("write failed: File too large"), "{outcome:?}");
    assert_eq!(names(root.path()), ["a"]);
    assert!(read(&root.path().join("a")) == data);
}

/// RCK-40: what a killed run has left is cleared away before it is asked what is free.
#[test]
fn the_leftover_of_a_dead_run_takes_no_room_from_the_next() {
    let Some(disk) = SmallDisk::new(32) else { return };
    let root = directory();
    let data = source(root.path(), "none");
    let run = || cli::rezarr(root.path(), &format!("rechunk a {}/b --chunks 2048,256 --spill-dir . -q", disk.at.display()));
    let staged = disk.at.join("b.rechunked");
    std::fs::create_dir_all(staged.join("c")).unwrap();
    std::fs::write(staged.join("c/0"), vec![1; 13 << 20]).unwrap();
    let marker = serde_json::json!({"format": "rezarr stage", "version": 2, "target": "b", "role": "new", "keep": false, "synced": true, "boot": "",
                                    "id": "0123456789abcdef0123456789abcdef", "replaces": null, "pid": 1});
    std::fs::write(staged.join(".rechunk"), marker.to_string()).unwrap();
    let outcome = run();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
    assert_eq!(on_disk(&disk.at), ["b"]);
    assert!(read(&disk.at.join("b")) == data);
}
