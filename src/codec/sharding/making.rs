//! Indexes in the making, of any size in little memory: what there is no room for goes to a place of the caller's.
//!
//! Invariants of an [`IndexWriter`]
//! 1. An entry is in its page if that is held, otherwise in the spill, as the complement of its numbers: what was never written there, and
//!    reads as zeros, is an inner chunk that is missing.
//! 2. It holds at most [`PAGES`] pages.

use super::index::{ENTRY_BYTES, Entry, MISSING};
use super::pages::{PAGE_ENTRIES, PAGES, Page, WHOLE_ENTRIES};
use super::{ShardIndex, Sharding};
use crate::buffer::filled;
use crate::codec::Sink;
use crate::error::{Error, Result};

/// Bytes that are kept elsewhere. Where nothing was written, zeros are read.
pub(crate) trait Spill {
    /// Fills `out` with the bytes from `offset`.
    ///
    /// # Errors
    /// Those of the store.
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()>;

    /// Writes `bytes` at `offset`.
    ///
    /// # Errors
    /// Those of the store.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;
}

/// The index of a shard that is being written.
#[derive(Debug)]
pub(crate) enum IndexWriter {
    Whole(ShardIndex),
    /// All that differs from the spill is in these pages; the one used last comes last.
    Paged {
        pages: Vec<Page>,
        /// How many entries are there.
        set: u64,
    },
}

impl IndexWriter {
    /// An index in which all inner chunks are missing.
    pub(crate) fn empty(sharding: &Sharding) -> Result<Self> {
        if sharding.streams_index() && sharding.unit_count() > WHOLE_ENTRIES {
            return Ok(Self::Paged { pages: Vec::new(), set: 0 });
        }
        Ok(Self::Whole(ShardIndex::empty(sharding.unit_count())?))
    }

    /// Whether [`IndexWriter::set`] and [`IndexWriter::finish`] may use the spill.
    pub(crate) fn spills(&self) -> bool {
        matches!(self, Self::Paged { .. })
    }

    /// Records where an inner chunk was written.
    ///
    /// # Errors
    /// Those of the spill; [`Error::InvalidArgument`] if it is there already, and [`Error::Corrupt`] where that may be the spill's fault.
    pub(crate) fn set(&mut self, position: usize, (offset, len): (u64, u64), spill: &mut dyn Spill) -> Result<()> {
        let entry = match self {
            Self::Whole(index) => &mut index.entries[position],
            Self::Paged { pages, .. } => &mut page(pages, position / PAGE_ENTRIES, spill)?.entries[position % PAGE_ENTRIES],
        };
        if *entry != MISSING {
            return Err(match self {
                Self::Whole(_) => Error::invalid(format!("inner chunk {position} of a shard, written twice")),
                Self::Paged { .. } => set_aside(),
            });
        }
        *entry = [offset, len];
        if let Self::Paged { set, .. } = self {
            *set += 1;
        }
        Ok(())
    }

    /// Encodes the index, to exactly [`Sharding::index_bytes`] bytes.
    ///
    /// # Errors
    /// Those of the spill and of the sink.
    pub(crate) fn finish(&self, sharding: &Sharding, spill: &mut dyn Spill, sink: &mut Sink<'_>) -> Result<()> {
        if !sharding.streams_index() {
            return match self {
                Self::Whole(index) => sink(&sharding.encode_index(index)?),
                Self::Paged { .. } => Ok(()),
            };
        }
        let (mut checksums, mut entries, mut found) = (sharding.index.running(), Vec::new(), 0);
        for number in 0..sharding.unit_count().div_ceil(PAGE_ENTRIES) {
            let count = PAGE_ENTRIES.min(sharding.unit_count() - number * PAGE_ENTRIES);
            entries.clear();
            match self {
                Self::Whole(index) => entries.extend_from_slice(&index.entries[number * PAGE_ENTRIES..][..count]),
                Self::Paged { pages, .. } => match pages.iter().find(|page| page.number == number) {
                    Some(page) => entries.extend_from_slice(&page.entries[..count]),
                    _ => entries.extend_from_slice(&read(number, spill)?[..count]),
                },
            }
            found += entries.iter().filter(|entry| **entry != MISSING).count() as u64;
            sharding.index.encode_entries(&mut entries);
            let bytes: &[u8] = bytemuck::cast_slice(&entries);
            checksums.iter_mut().for_each(|checksum| checksum.update(bytes));
            sink(bytes)?;
        }
        // What was set aside has no checksum of its own.
        if matches!(self, Self::Paged { set, .. } if *set != found) {
            return Err(set_aside());
        }
        // Each is taken of all that stands before it.
        for i in 0..checksums.len() {
            let stored = checksums[i].stored();
            checksums[i + 1..].iter_mut().for_each(|checksum| checksum.update(&stored));
            sink(&stored)?;
        }
        Ok(())
    }
}

impl Sharding {
    /// Whether an index is held whole by all who read or write it.
    pub(crate) fn index_is_small(&self) -> bool {
        self.unit_count() <= WHOLE_ENTRIES
    }

    /// Upper bound in bytes of what an index in the making takes, beside the buffer of the sink.
    pub(crate) fn index_writer_memory(&self) -> u64 {
        if self.streams_index() { self.held_index_bytes() + PAGE_ENTRIES as u64 * ENTRY_BYTES } else { self.index_memory() }
    }
}

fn set_aside() -> Error {
    Error::corrupt("what was set aside of a shard's index in the making is not what was written")
}

/// The page of this number, for which the one used longest ago makes room.
fn page<'p>(pages: &'p mut Vec<Page>, number: usize, spill: &mut dyn Spill) -> Result<&'p mut Page> {
    let full = pages.len() >= PAGES;
    let page = if let Some(found) = pages.iter().rposition(|page| page.number == number) {
        pages.remove(found)
    } else {
        let page = Page { number, entries: read(number, spill)? };
        if let Some(oldest) = pages.first_mut().filter(|_| full) {
            oldest.write(spill)?;
            pages.remove(0);
        }
        page
    };
    pages.push(page);
    pages.last_mut().ok_or_else(|| Error::invalid("a page that is not held"))
}

impl Page {
    fn write(&mut self, spill: &mut dyn Spill) -> Result<()> {
        complement(&mut self.entries);
        let written = spill.write(place(self.number), bytemuck::cast_slice(&self.entries));
        complement(&mut self.entries);
        written
    }
}

fn read(number: usize, spill: &mut dyn Spill) -> Result<Vec<Entry>> {
    let mut entries = filled(PAGE_ENTRIES, MISSING)?;
    spill.read(place(number), bytemuck::cast_slice_mut(&mut entries))?;
    complement(&mut entries);
    Ok(entries)
}

fn place(number: usize) -> u64 {
    (number * PAGE_ENTRIES) as u64 * ENTRY_BYTES
}

fn complement(entries: &mut [Entry]) {
    entries.iter_mut().flatten().for_each(|number| *number = !*number);
}
