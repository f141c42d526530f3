//! File systems in files, mounted where nobody but the test and its children sees them, so that they go with the test however it ends.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set for a test that runs where mounts are its own.
const INSIDE_VARIABLE: &str = "REZARR_OWN_MOUNTS";

/// Runs the calling test once more, by its name, in a mount namespace of its own; true in there. Where that is not permitted, it is said on
/// stderr that the test is skipped.
pub(crate) fn in_own_mounts(test: &str) -> bool {
    if std::env::var_os(INSIDE_VARIABLE).is_some() {
        return true;
    }
    let alone = || {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "--"]);
        command
    };
    let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    let loops = Path::new("/dev/loop-control").exists() && succeeds(Command::new("mkfs.ext4").arg("-V"));
    if !(loops && succeeds(alone().arg("true"))) {
        // Not eprintln, whose output the test runner keeps to itself when a test passes.
        writeln!(io::stderr(), "SKIPPED {test}: it needs root, loop devices and mkfs.ext4").expect("stderr is open");
        return false;
    }
    let again = alone().arg(std::env::current_exe().unwrap()).args([test, "--exact", "--nocapture"]).env(INSIDE_VARIABLE, "1").output();
    let again = again.unwrap();
    let told = [again.stdout, again.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(again.status.success() && told.contains("1 passed"), "{test}, with mounts of its own:\n{told}");
    told.lines().filter(|line| line.contains("points") || line.contains("images")).for_each(|line| println!("{line}"));
    false
}

/// A mounted file system; unmounted, and its loop device freed, with the value.
#[derive(Debug)]
pub(crate) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    /// Makes an ext4 of so many bytes in the file `image`, all of it for us, and mounts it.
    pub(crate) fn make(image: &Path, at: &Path, bytes: u64) -> Self {
        File::create(image).unwrap().set_len(bytes).unwrap();
        let now = "lazy_itable_init=0,lazy_journal_init=0";
        succeed(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0", "-b", "1024", "-N", "8192", "-E", now]).arg(image));
        Self::mount(image, at)
    }

    /// Mounts an ext4 that writes as late as it may, and flushes nothing of its own accord.
    pub(crate) fn mount(image: &Path, at: &Path) -> Self {
        fs::create_dir_all(at).unwrap();
        succeed(Command::new("mount").args(["-o", "loop,noauto_da_alloc,commit=600"]).args([image, at]));
        Self { at: at.to_owned() }
    }

    /// Brings all that was written to the image.
    pub(crate) fn sync(&self) {
        rustix::fs::syncfs(File::open(&self.at).unwrap()).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = |options: &[&str]| Command::new("umount").args(options).arg(&self.at).status().is_ok_and(|status| status.success());
        if !unmounted(&[]) {
            // Something is still in use: it goes when that does.
            assert!(unmounted(&["-l"]) && std::thread::panicking(), "{} was still in use", self.at.display());
        }
    }
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
