//! The bodies of the fuzz targets: what must hold whatever bytes come from outside.
//!
//! A body takes any bytes and panics where a property fails. It says whether the bytes were taken, so that tests can tell a body that checks
//! something from one that refuses everything. `fuzz/` runs the bodies under libFuzzer; the tests here run them on stable Rust.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a body says what is wrong by panicking")]

use std::sync::OnceLock;

pub mod codecs;
mod input;
mod journal;
pub mod json;
mod known;
pub mod metadata;
pub mod shard_index;
pub mod specs;
pub mod spill;
pub mod store;
#[cfg(test)]
mod tests;
pub mod zip;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Name of the binary.
    pub name: &'static str,
    /// Checks some bytes; says whether they were taken, or refused with an error.
    pub check: fn(&[u8]) -> bool,
    /// Inputs to begin with, each of which is taken.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Words that inputs are made of.
    pub words: &'static [&'static str],
}

/// Numbers of four and eight bytes at the edges of what they can be.
const NUMBERS: &[&str] = &["\0\0\0\0", "\u{1}\0\0\0", "\0\0\0\u{10}", "\0\0\0\0\0\0\0\0", "\u{10}\0\0\0\0\0\0\0", "\0\0\0\0\u{1}\0\0\0"];

/// All targets; `fuzz/fuzz_targets` has a file for each.
pub const TARGETS: &[Target] = &[
    Target { name: "metadata", check: metadata::check, seeds: metadata::seeds, words: metadata::WORDS },
    Target { name: "codecs", check: codecs::check, seeds: codecs::seeds, words: NUMBERS },
    Target { name: "shard_index", check: shard_index::check, seeds: shard_index::seeds, words: NUMBERS },
    Target { name: "store", check: store::check, seeds: store::seeds, words: metadata::WORDS },
    Target { name: "spill", check: spill::check, seeds: spill::seeds, words: NUMBERS },
    Target { name: "specs", check: specs::check, seeds: specs::seeds, words: specs::WORDS },
    Target { name: "json", check: json::check, seeds: json::seeds, words: json::WORDS },
    Target { name: "zip", check: zip::check, seeds: zip::seeds, words: zip::WORDS },
];

/// How a program with a counting allocator is asked.
#[derive(Clone, Copy, Debug)]
pub struct MemoryProbe {
    /// Begins to count.
    pub start: fn(),
    /// The most bytes that this thread held at a time since then, beyond what it held before.
    pub peak_bytes: fn() -> usize,
}

static PROBE: OnceLock<MemoryProbe> = OnceLock::new();

/// Sets the probe for the rest of the process; without one, no memory is measured.
pub fn set_memory_probe(probe: MemoryProbe) {
    PROBE.set(probe).expect("the probe is set once");
}

/// Runs `work`; also gives its peak memory in bytes, where there is a probe.
fn measured<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    let Some(probe) = PROBE.get() else { return (work(), None) };
    (probe.start)();
    let result = work();
    (result, Some((probe.peak_bytes)() as u64))
}
