//! The table of a shuffle's partitions in its spill file, from which another process can go on (SPL-13).
//!
//! It has 28 bytes a partition, in their order: offset of the last segment (2^64 - 1 for none), its payload length (4 bytes), number of records,
//! their bytes.

use serde::{Deserialize, Serialize};

use super::partitions::Chain;
use super::spill::{Link, SpillFile};
use super::{LENGTH_BYTES, Sizes};
use crate::error::{Error, Result};

pub(super) const ENTRY_BYTES: usize = 28;
/// Entries that are written, or read, at once.
const BATCH: usize = 1024;
const NONE: u64 = u64::MAX;

/// A state of a shuffle in a named spill file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Where the segments of this shuffle begin.
    pub(crate) start: u64,
    /// Where the table begins.
    pub(crate) offset: u64,
    /// CRC-32 of the table.
    pub(crate) checksum: u32,
    /// What lies behind this does not count.
    pub(crate) end: u64,
}

/// Writes the table of `chains` behind all that is in the file.
pub(super) fn write(spill: &SpillFile, start: u64, count: usize, chains: impl Iterator<Item = Chain>) -> Result<Saved> {
    let offset = spill.reserve((count * ENTRY_BYTES) as u64);
    let mut checksum = crc32fast::Hasher::new();
    let (mut batch, mut at) = (Vec::with_capacity(BATCH * ENTRY_BYTES), offset);
    let mut chains = chains.peekable();
    while let Some(chain) = chains.next() {
        let (last, payload) = chain.last.map_or((NONE, 0), |link| (link.offset, link.payload_bytes));
        batch.extend_from_slice(&last.to_le_bytes());
        batch.extend_from_slice(&u32::try_from(payload).unwrap_or(u32::MAX).to_le_bytes());
        batch.extend_from_slice(&chain.record_count.to_le_bytes());
        batch.extend_from_slice(&chain.record_bytes.to_le_bytes());
        if batch.len() == BATCH * ENTRY_BYTES || chains.peek().is_none() {
            checksum.update(&batch);
            spill.write_bytes(at, &batch)?;
            at += batch.len() as u64;
            batch.clear();
        }
    }
    Ok(Saved { start, offset, checksum: checksum.finalize(), end: at })
}

/// Reads a table of `count` partitions back, and checks it.
pub(super) fn read(spill: &SpillFile, saved: &Saved, count: usize, sizes: Sizes) -> Result<Vec<Chain>> {
    let corrupt = |what: String| Error::Corrupt { key: String::new(), offset: Some(saved.offset), what }.at(spill.name());
    let bytes = (count as u64).saturating_mul(ENTRY_BYTES as u64);
    if saved.start > saved.offset || saved.offset.checked_add(bytes).is_none_or(|end| end > saved.end) {
        return Err(corrupt(format!("a table of {count} partitions passes byte {}, where what counts ends", saved.end)));
    }
    let (mut chains, mut checksum) = (Vec::with_capacity(count), crc32fast::Hasher::new());
    let mut batch = vec![0; BATCH.min(count) * ENTRY_BYTES];
    while chains.len() < count {
        let entries = BATCH.min(count - chains.len());
        let batch = &mut batch[..entries * ENTRY_BYTES];
        spill.read_bytes(saved.offset + (chains.len() * ENTRY_BYTES) as u64, batch)?;
        checksum.update(batch);
        for entry in batch.chunks_exact(ENTRY_BYTES) {
            let chain = decode(entry, saved, sizes);
            chains.push(chain.ok_or_else(|| corrupt(format!("entry {} of the table is none of this file", chains.len())))?);
        }
    }
    let got = checksum.finalize();
    if got != saved.checksum {
        return Err(Error::ChecksumMismatch { key: spill.name().to_owned(), expected: saved.checksum, got });
    }
    Ok(chains)
}

fn decode(entry: &[u8], saved: &Saved, sizes: Sizes) -> Option<Chain> {
    let (offset, rest) = entry.split_first_chunk::<8>()?;
    let (payload, rest) = rest.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<8>()?;
    let bytes = rest.first_chunk::<8>()?;
    let (offset, payload_bytes) = (u64::from_le_bytes(*offset), u32::from_le_bytes(*payload) as usize);
    let (record_count, record_bytes) = (u64::from_le_bytes(*count), u64::from_le_bytes(*bytes));
    let last = if offset == NONE {
        if (payload_bytes, record_count, record_bytes) != (0, 0, 0) {
            return None;
        }
        None
    } else {
        let inside = offset >= saved.start && offset < saved.offset && payload_bytes <= sizes.segment_bytes();
        let framed = record_count.checked_mul(LENGTH_BYTES as u64)?.checked_add(record_bytes)?;
        if !inside || framed > saved.offset {
            return None;
        }
        Some(Link { offset, payload_bytes })
    };
    Some(Chain { last, record_count, record_bytes })
}
