//! Spill files with other bytes than were written, for tests of what becomes of them.

use std::path::Path;

use super::partitions::{Chain, Partitions};
use super::share::FileShare;
use super::spill::{Link, SpillFile};
use super::{SEGMENT_BYTES, Saved, Sizes, SpillPlace};
use crate::error::Result;

impl Partitions {
    /// Partitions whose spill file holds `content`, each with the offset and the payload length of its last segment.
    pub(crate) fn from_content(content: &[u8], last: &[(u64, usize)], directory: &Path) -> Result<Self> {
        let spill = SpillFile::create(SpillPlace { directory, behind: false })?;
        spill.write_bytes(0, content)?;
        let chain = |&(offset, payload_bytes)| Chain { last: Some(Link::new(offset, payload_bytes)), record_count: 0, record_bytes: 0 };
        Ok(Self::new(FileShare::unnamed(spill), last.iter().map(chain).collect(), Sizes::new(SEGMENT_BYTES)))
    }

    /// Partitions as a table in `content` says, whose checksum is right: segments begin at the first of the three numbers, the table at the second, and
    /// what counts ends at the third.
    pub(crate) fn from_saved(content: &[u8], (start, offset, end): (u64, u64, u64), count: usize, directory: &Path) -> Result<Self> {
        let spill = SpillFile::create(SpillPlace { directory, behind: false })?;
        spill.write_bytes(0, content)?;
        let table = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        let table = &table[..table.len().min(count * super::table::ENTRY_BYTES)];
        let saved = Saved { start, offset, checksum: crc32fast::hash(table), end };
        Self::resume(FileShare::unnamed(spill), &saved, count, Sizes::new(SEGMENT_BYTES))
    }

    /// Writes `bytes` over those of the spill file.
    pub(crate) fn overwrite(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.share.file.write_bytes(offset, bytes)
    }

    /// One byte of the spill file.
    pub(crate) fn byte(&self, offset: u64) -> Result<u8> {
        self.share.file.byte(offset)
    }
}
