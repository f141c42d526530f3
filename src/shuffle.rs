//! The spill-to-disk shuffle buffer: records of bytes go in by partition in any order, and come out partition by partition.
//!
//! It knows nothing of arrays. Records are collected in pages of a memory slab that the caller lends ([`ShuffleBuffer`]); when the slab is full,
//! the fullest partitions go to the spill file, each as one framed and checksummed segment, appended sequentially. After
//! [`ShuffleBuffer::seal`] everything is on file and the slab is free for other use; [`Partitions`] then reads one partition after another back,
//! and gives up the disk space of each segment that was read. Where the file has a name, its state can be written down between pushes and between
//! reads, and another process goes on from there; segments then stay until they are released.
//!
//! Invariants
//! 1. Memory: pages in partitions + free pages + pages reserved by a running `push` = the slab. Beside it there is a fixed number of bytes a
//!    partition, and nothing that grows with the number of bytes pushed: segments of a partition are chained through their headers.
//! 2. A record never straddles two segments (SPL-3), and no segment's payload is larger than its [`Sizes`] say.
//! 3. No lock is held while another is taken, and none during input or output, but for that of a [`Segments`] while the header of the next one
//!    is read.
//! 4. What is shown of a segment has the checksum that it was written with, or the call fails.

use std::path::Path;

use crate::error::Result;

mod buffer;
#[cfg(any(test, fuzzing))]
mod damage;
mod named;
mod partitions;
mod share;
mod spill;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use buffer::ShuffleBuffer;
pub(crate) use named::{NamedSpill, SpillName, discard_spill};
pub(crate) use partitions::{Partitions, Segments};
pub(crate) use share::FileShare;
use spill::SpillFile;
pub(crate) use table::Saved;

/// The largest payload of a segment, in bytes.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// Bytes in front of each record: its length.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Bytes of bookkeeping a partition, beside the slab.
pub(crate) const PARTITION_OVERHEAD_BYTES: u64 = 320;

/// What the sizes of records, pages and partitions follow from: the largest payload of a segment (SPL-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    segment_bytes: usize,
}

impl Sizes {
    /// Sizes for segments of at most `segment_bytes`: a power of two, 2 KiB to [`SEGMENT_BYTES`].
    pub(crate) fn new(segment_bytes: usize) -> Self {
        assert!(segment_bytes.is_power_of_two() && (2048..=SEGMENT_BYTES).contains(&segment_bytes), "segments of {segment_bytes} bytes");
        Self { segment_bytes }
    }

    /// The largest payload of a segment, in bytes.
    pub(crate) fn segment_bytes(self) -> usize {
        self.segment_bytes
    }

    /// The largest record, in bytes: small enough that a segment holds several.
    pub(crate) fn record_bytes(self) -> usize {
        self.segment_bytes / 4
    }

    /// What whoever reads segments back holds, in bytes: one, with its header.
    pub(crate) fn read_bytes(self) -> usize {
        self.segment_bytes + 4096
    }

    fn largest_page_bytes(self) -> usize {
        self.segment_bytes / 16
    }

    fn smallest_page_bytes(self) -> usize {
        (self.segment_bytes / 128).min(512)
    }

    /// What a partition should have of the slab, in bytes, so that segments are worth a call that reads them: since the fullest are spilled, they are
    /// up to twice as long.
    pub(crate) fn share_bytes(self) -> usize {
        self.segment_bytes / 8
    }

    /// What threads reserve of the slab while they push, in bytes.
    pub(crate) fn reserved_bytes(self, threads: usize) -> u64 {
        (threads as u64 + 2) * (self.record_bytes() + 2 * self.largest_page_bytes()) as u64
    }

    /// The smallest slab, in bytes, with which `threads` threads can push to `partition_count` partitions.
    pub(crate) fn smallest_slab_bytes(self, partition_count: u64, threads: usize) -> u64 {
        partition_count.saturating_mul(2 * self.smallest_page_bytes() as u64).saturating_add(self.reserved_bytes(threads))
    }

    /// Half a page is lost a partition on average, so pages are a fraction of what each partition has.
    fn page_bytes(self, slab_bytes: usize, partition_count: usize) -> usize {
        let share = slab_bytes / partition_count.max(1) / 4;
        let power = if share == 0 { 0 } else { 1 << share.ilog2() };
        power.clamp(self.smallest_page_bytes(), self.largest_page_bytes())
    }
}

/// Where segments go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpillPlace<'a> {
    /// The directory of the unnamed spill files.
    pub(crate) directory: &'a Path,
    /// Whether segments are sent to the disk as they are written and leave the page cache: where that is too small for them in any case.
    pub(crate) behind: bool,
}

/// Checks that a spill file can be made in `directory`, so that a run does not find out in its middle.
pub(crate) fn check_spill_directory(directory: &Path) -> Result<()> {
    SpillFile::create(SpillPlace { directory, behind: false }).map(drop)
}
