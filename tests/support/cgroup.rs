//! A control group with a hard memory limit, where the system lets one be made.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A group of its own, removed with the value.
#[derive(Debug)]
pub(crate) struct MemoryGroup {
    directory: PathBuf,
}

impl MemoryGroup {
    /// A group below the root of version 1 or 2; none where that is not possible.
    pub(crate) fn new(limit_bytes: u64) -> Option<Self> {
        let places = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        places.into_iter().find_map(|(parent, limit)| {
            let directory = Path::new(parent).join(format!("rezarr-test-{}", std::process::id()));
            fs::create_dir(&directory).ok()?;
            let group = Self { directory };
            // Only a file that the system has put there is a limit.
            let path = group.directory.join(limit);
            let set = path.exists() && fs::write(&path, limit_bytes.to_string()).is_ok();
            set.then_some(group)
        })
    }

    /// A command that joins the group before it becomes `program`.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.directory.join("cgroup.procs")).arg(program);
        command
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}

/// Says on stderr that `test` is skipped; not by eprintln, whose output the test runner keeps to itself when a test passes.
pub(crate) fn say_skipped(test: &str) {
    writeln!(io::stderr(), "SKIPPED {test}: no control group with a memory limit can be made here").expect("stderr is open");
}

/// Takes the files below a directory out of the page cache, so that whoever reads them next is charged for them.
pub(crate) fn forget_pages(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            forget_pages(&path);
        } else {
            let file = File::open(&path).unwrap();
            file.sync_all().unwrap();
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}
