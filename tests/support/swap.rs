//! Arrays that are about to get another layout, and what may be found of them afterwards: the old array or the new one, complete.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use rezarr::{Array, NodeMetadata, Region};
use tempfile::TempDir;

use super::arrays::{create, elements, layout, metadata};
use super::cli;
use super::trees::{directory, files, names};

/// The array, by its name in its directory.
pub(crate) const NAME: &str = "a";
/// From one checkpoint to the next.
pub(crate) const CHECKPOINT_BYTES: u64 = 512 << 10;
/// Another array, whose elements it gets where it is not rechunked in place.
const SOURCE: &str = "source";

/// A store, and how it is rechunked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// Chunks of the old array, and of the new one.
    pub(crate) chunks: u64,
    pub(crate) sharded: bool,
    /// Whether the system can exchange two directories.
    pub(crate) exchange: bool,
    /// Whether another array takes its place; otherwise it is its own source.
    pub(crate) onto: bool,
    pub(crate) threads: u16,
    /// Whether it is larger than what it may take of memory: 4 MiB.
    pub(crate) spills: bool,
    /// Whether it makes a checkpoint each [`CHECKPOINT_BYTES`]; it is too small for one otherwise.
    pub(crate) checkpoints: bool,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Old,
    New,
}

/// One of the two arrays.
struct Known {
    document: Vec<u8>,
    elements: Vec<u8>,
    /// All its files.
    keys: BTreeSet<String>,
}

/// A case, ready to be run again and again.
pub(crate) struct Bench {
    pub(crate) case: Case,
    template: TempDir,
    old: Known,
    new: Known,
}

impl Case {
    /// In place, by exchange, with one thread.
    pub(crate) const fn of(chunks: u64, sharded: bool) -> Self {
        Self { chunks, sharded, exchange: true, onto: false, threads: 1, spills: false, checkpoints: false }
    }

    /// 256 chunks become 16, by way of the spill file.
    pub(crate) const fn spilling() -> Self {
        Self { spills: true, ..Self::of(16, false) }
    }

    /// As [`Case::spilling`], with all that another run needs to go on with it.
    pub(crate) const fn resumable() -> Self {
        Self { checkpoints: true, ..Self::spilling() }
    }

    pub(crate) const fn without_exchange(self) -> Self {
        Self { exchange: false, ..self }
    }

    pub(crate) const fn onto(self) -> Self {
        Self { onto: true, ..self }
    }

    pub(crate) const fn threads(self, threads: u16) -> Self {
        Self { threads, ..self }
    }

    /// Edges of the array, of its chunks before and after, and of its shards.
    fn edges(self) -> ([u64; 2], [u64; 2], [u64; 2], [u64; 2]) {
        match self.chunks {
            _ if self.spills => ([256, 4096], [1, 4096], [256, 256], [256, 4096]),
            1 => ([8, 8], [8, 8], [8, 8], [8, 8]),
            16 => ([16, 16], [1, 16], [16, 1], [16, 16]),
            _ => ([100, 100], [10, 1], [1, 10], [10, 10]),
        }
    }

    fn arguments(self) -> String {
        let (_, _, chunk, shard) = self.edges();
        let paths = if self.onto { format!("{SOURCE} {NAME} --overwrite") } else { NAME.to_owned() };
        let shards = if self.sharded { format!("--shards {},{}", shard[0], shard[1]) } else { "--shards none".to_owned() };
        let memory = if self.spills { "3MiB" } else { "64MiB" };
        let checkpoint = if self.checkpoints { format!("--checkpoint {CHECKPOINT_BYTES}") } else { String::new() };
        let resources = format!("--memory {memory} --threads {} {checkpoint}", self.threads);
        format!("rechunk {paths} --chunks {},{} {shards} --codec zstd:1 {resources} -q", chunk[0], chunk[1])
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { chunks, sharded, exchange, onto, threads, spills, checkpoints } = self;
        let checkpoints = if *checkpoints { " with checkpoints" } else { "" };
        let sharded = if *sharded { " in shards" } else { "" };
        let spills = if *spills { ", spilling" } else { "" };
        let steps = if *exchange { "exchange" } else { "two renames" };
        let place = if *onto { "onto a target" } else { "in place" };
        write!(f, "{chunks} chunks{sharded}{spills}{checkpoints}, {place}, {steps}, {threads} threads")
    }
}

impl Bench {
    pub(crate) fn new(case: Case) -> Self {
        let template = place(case);
        let (shape, from, _, shard) = case.edges();
        let document = |chunk: &[u64]| metadata(&shape, "int32", "0", &layout(chunk, case.sharded.then_some(&shard), "gzip:1"));
        let old = elements(&document(&from), 1);
        create(&template.path().join(NAME), document(&from), &old);
        let mut new = old.clone();
        if case.onto {
            new = elements(&document(&from), 2);
            create(&template.path().join(SOURCE), document(&from), &new);
        }
        let old = Known::read(template.path(), old);
        let finished = place(case);
        copy(template.path(), finished.path());
        cli::prints(finished.path(), &case.arguments());
        let new = Known::read(finished.path(), new);
        assert_ne!(old.document, new.document, "a layout that cannot be told from the old one shows nothing");
        Self { case, template, old, new }
    }

    /// A directory in which the case has not been run yet.
    pub(crate) fn fresh(&self) -> TempDir {
        let at = place(self.case);
        copy(self.template.path(), at.path());
        at
    }

    /// Lays the store into a directory.
    pub(crate) fn lay(&self, at: &Path) {
        copy(self.template.path(), at);
    }

    pub(crate) fn rechunk(&self, at: &Path) -> Command {
        cli::command(at, &self.case.arguments())
    }

    /// What stands there now, whoever was killed: the old array or the new one, with all elements, or what is wrong.
    pub(crate) fn state(&self, at: &Path) -> Result<State, String> {
        let array = Array::open(at.join(NAME)).map_err(|error| format!("it does not open: {error}"))?;
        let document = document_of(&array);
        let (state, known) = if document == self.old.document {
            (State::Old, &self.old)
        } else if document == self.new.document {
            (State::New, &self.new)
        } else {
            return Err(format!("it is neither: {}", String::from_utf8_lossy(&document)));
        };
        let elements = array.read_bytes(&Region::whole(array.shape())).map_err(|error| format!("{state:?}, but not read: {error}"))?;
        if elements == known.elements { Ok(state) } else { Err(format!("{state:?}, but with other elements")) }
    }

    /// As [`Bench::state`]; and nothing is left beside it, or in it.
    pub(crate) fn settled(&self, at: &Path) -> Result<State, String> {
        let state = self.state(at)?;
        let expected = names(self.template.path());
        let found: Vec<_> = names(at).into_iter().filter(|name| name != "lost+found").collect();
        if found != expected {
            return Err(format!("{state:?}, but the directory holds {found:?}"));
        }
        let keys: BTreeSet<String> = files(&at.join(NAME)).into_keys().collect();
        let known = if state == State::Old { &self.old.keys } else { &self.new.keys };
        let strange: Vec<_> = keys.symmetric_difference(known).collect();
        if strange.is_empty() { Ok(state) } else { Err(format!("{state:?}, but these files are too many or missing: {strange:?}")) }
    }
}

impl Known {
    fn read(at: &Path, elements: Vec<u8>) -> Self {
        let array = Array::open(at.join(NAME)).unwrap();
        assert_eq!(array.read_bytes(&Region::whole(array.shape())).unwrap(), elements);
        Self { document: document_of(&array), elements, keys: files(&at.join(NAME)).into_keys().collect() }
    }
}

fn document_of(array: &Array) -> Vec<u8> {
    NodeMetadata::Array(Box::new(array.metadata().clone())).to_bytes().unwrap()
}

/// A directory of its own: in memory, where nothing waits for a disk, unless much is spilled.
fn place(case: Case) -> TempDir {
    let memory = Path::new("/dev/shm");
    if case.spills || !memory.is_dir() { directory() } else { tempfile::tempdir_in(memory).unwrap_or_else(|_| directory()) }
}

/// Copies all that is in one directory into another.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
