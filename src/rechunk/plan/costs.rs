//! The cost model: what each kind of work takes on one core. Its few constants are measured, by default on one server, or on this machine.

use serde::{Deserialize, Serialize};

/// What work takes on one core, in nanoseconds. Only ratios decide which strategy is taken; the estimate of time follows from all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Costs {
    /// Decoding what is compressed, a decoded byte.
    pub decode_ns: f64,
    /// Compressing, a byte before encoding.
    pub encode_ns: f64,
    /// Copying, a byte of a long run.
    pub copy_ns: f64,
    /// Each contiguous run of a copy, whatever its length.
    pub run_ns: f64,
    /// Each record of the shuffle: framing, locking, finding its place again.
    pub record_ns: f64,
    /// Reading from the page cache, a byte.
    pub read_ns: f64,
    /// Writing to the page cache, a byte.
    pub write_ns: f64,
    /// Each call that reads or writes a range of a file.
    pub call_ns: f64,
    /// Each file that is made.
    pub file_ns: f64,
    /// Each file that is opened for reading.
    pub open_ns: f64,
    /// Reading from the disk what was in the page cache before, a byte.
    pub disk_ns: f64,
    /// Each range of a file that is read from the disk by itself.
    pub seek_ns: f64,
    /// Reading a shard's index again, a byte.
    pub index_ns: f64,
}

impl Default for Costs {
    /// Measured in 2026 on a server (AMD EPYC, Zen 5), with zstd at level 3 and files on ext4.
    fn default() -> Self {
        Self {
            decode_ns: 0.7,
            encode_ns: 2.5,
            copy_ns: 0.1,
            run_ns: 4.0,
            record_ns: 120.0,
            read_ns: 0.1,
            write_ns: 0.3,
            call_ns: 400.0,
            file_ns: 20_000.0,
            open_ns: 5000.0,
            disk_ns: 1.0,
            seek_ns: 50_000.0,
            index_ns: 0.5,
        }
    }
}

impl Costs {
    /// Whether all are numbers that a machine can have.
    pub fn is_sound(&self) -> bool {
        let Self {
            decode_ns,
            encode_ns,
            copy_ns,
            run_ns,
            record_ns,
            read_ns,
            write_ns,
            call_ns,
            open_ns,
            file_ns,
            index_ns,
            disk_ns,
            seek_ns,
        } = *self;
        [decode_ns, encode_ns, copy_ns, run_ns, record_ns, read_ns, write_ns, call_ns, open_ns, file_ns, index_ns, disk_ns, seek_ns]
            .iter()
            .all(|ns| (0.0..1e9).contains(ns))
    }

    /// Copying a byte in contiguous runs of so many bytes.
    pub(super) fn copy(&self, run_bytes: f64) -> f64 {
        self.copy_ns + self.run_ns / run_bytes.max(1.0)
    }
}
