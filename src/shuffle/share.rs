//! What one shuffle has of a spill file: all of one without a name, or a part of one that several use.

use std::sync::Arc;

use super::partitions::Chain;
use super::spill::SpillFile;
use super::table::{self, Saved};
use super::{Sizes, SpillPlace};
use crate::error::Result;

/// The share of a shuffle in a spill file.
#[derive(Debug)]
pub(crate) struct FileShare {
    pub(super) file: Arc<SpillFile>,
    /// Where its segments begin.
    pub(super) start: u64,
    /// Where this process began to write to it.
    pub(super) begun: u64,
    /// Whether segments stay where they are when they have been read.
    pub(super) keep: bool,
}

impl FileShare {
    /// All of a new file without a name.
    pub(crate) fn create(place: SpillPlace<'_>) -> Result<Self> {
        SpillFile::create(place).map(Self::unnamed)
    }

    pub(super) fn unnamed(file: SpillFile) -> Self {
        Self { file: Arc::new(file), start: 0, begun: 0, keep: false }
    }

    /// Bytes written by this process, framing included.
    pub(super) fn written_bytes(&self) -> u64 {
        self.file.file_bytes().saturating_sub(self.begun)
    }

    /// Writes the table of the partitions.
    pub(super) fn save(&self, count: usize, chains: impl Iterator<Item = Chain>) -> Result<Saved> {
        table::write(&self.file, self.start, count, chains)
    }

    /// The table of `count` partitions that another process has written.
    pub(super) fn load(&self, saved: &Saved, count: usize, sizes: Sizes) -> Result<Vec<Chain>> {
        table::read(&self.file, saved, count, sizes)
    }
}
