//! Indexes that are read in windows: checked once from end to end, and then looked up page by page.
//!
//! Invariants of a [`PagedIndex`]
//! 1. Checksums and all entries of the index have been checked as [`Sharding::decode_index`] checks them, in one pass.
//! 2. It holds at most [`PAGES`] pages; the entries of a page that is read again are checked again.

use std::ops::Range;

use super::index::{ENTRY_BYTES, Entry, IndexCodecs, MISSING, check_entry};
use super::{ShardIndex, Sharding};
use crate::buffer::filled;
use crate::codec::checksum::Running;
use crate::codec::stream::{Checked, Pull, Source, Window};
use crate::error::{Error, Result};
use crate::region::to_usize;

/// The most entries that are held at once.
pub(super) const WHOLE_ENTRIES: usize = 8192;

/// Entries of a page, and how many pages are held at most: the one used longest ago makes room for another.
pub(super) const PAGE_ENTRIES: usize = 512;
pub(super) const PAGES: usize = WHOLE_ENTRIES / PAGE_ENTRIES;

/// How many bytes of an index are read at once while it is checked.
const PASS_BYTES: usize = 64 << 10;

/// An index that is looked up.
#[derive(Debug)]
pub(crate) enum IndexReader {
    /// It is small, or its checksums want all of it.
    Whole(ShardIndex),
    Paged(PagedIndex),
}

/// An index of which some pages are held.
#[derive(Debug)]
pub(crate) struct PagedIndex {
    /// The one used last comes last.
    pages: Vec<Page>,
    /// Where inner chunks may lie in the shard.
    bodies: Range<u64>,
}

/// Entries that follow one another, from a multiple of [`PAGE_ENTRIES`] on.
#[derive(Debug)]
pub(crate) struct Page {
    pub(super) number: usize,
    pub(super) entries: Vec<Entry>,
}

/// What a pass over the entries counts.
#[derive(Default)]
struct Pass {
    position: usize,
    inner_bytes: u128,
}

impl Sharding {
    /// Whether indexes are checked and made piece by piece, so that no more than a part of them is held.
    pub(crate) fn streams_index(&self) -> bool {
        self.index.streams()
    }

    /// Upper bound in bytes of what an index takes while it is read and looked up.
    pub(crate) fn index_memory(&self) -> u64 {
        if self.streams_index() {
            return self.held_index_bytes() + 2 * self.index_bytes().min(PASS_BYTES as u64);
        }
        // As numbers, and twice as bytes.
        (self.unit_count() as u64).saturating_mul(ENTRY_BYTES).saturating_add(self.index_bytes().saturating_mul(2))
    }

    /// What is held of an index that is streamed, in bytes.
    pub(super) fn held_index_bytes(&self) -> u64 {
        self.unit_count().min(WHOLE_ENTRIES) as u64 * ENTRY_BYTES
    }

    /// Reads and checks the index of a shard of `shard_bytes` bytes, as [`Sharding::decode_index`] does. `source` has the bytes of the index alone.
    /// Only where [`Sharding::streams_index`].
    pub(crate) fn read_index(&self, source: &mut dyn Source, shard_bytes: u64) -> Result<IndexReader> {
        let bodies = self.bodies(shard_bytes)?;
        let whole = self.unit_count() <= WHOLE_ENTRIES;
        let mut index = ShardIndex::empty(if whole { self.unit_count() } else { 0 })?;
        let mut pass = Pass::default();
        self.index.each_piece(source, &mut |entries| {
            if let Some(held) = index.entries.get_mut(pass.position..pass.position + entries.len()) {
                held.copy_from_slice(entries);
            }
            pass.count(entries, &bodies)
        })?;
        self.check_inner_bytes(pass.inner_bytes, shard_bytes)?;
        if whole {
            return Ok(IndexReader::Whole(index));
        }
        Ok(IndexReader::Paged(PagedIndex { pages: Vec::new(), bodies }))
    }
}

impl Pass {
    fn count(&mut self, entries: &[Entry], bodies: &Range<u64>) -> Result<()> {
        for entry in entries {
            check_entry(self.position, *entry, bodies)?;
            self.position += 1;
            if *entry != MISSING {
                self.inner_bytes += u128::from(entry[1]);
            }
        }
        Ok(())
    }
}

impl IndexCodecs {
    /// Whether checksums can be taken of what passes, and stand behind the entries.
    pub(super) fn streams(&self) -> bool {
        self.checksums.iter().all(|codec| codec.can_pass())
    }

    /// Shows `visit` all entries, piece by piece. They are certain once it has returned.
    fn each_piece(&self, source: &mut dyn Source, visit: &mut dyn FnMut(&[Entry]) -> Result<()>) -> Result<()> {
        if source.size() != self.encoded_bytes() {
            return Err(self.wrong_size(source.size()));
        }
        let mut pull: Box<dyn Pull + '_> = Box::new(Window::all(source));
        for codec in self.checksums.iter().rev() {
            pull = Box::new(Checked::new(*codec, pull));
        }
        // With room for the checksums, so that a small index is read at once.
        let room = self.encoded_bytes().div_ceil(ENTRY_BYTES).min(PASS_BYTES as u64 / ENTRY_BYTES);
        let mut piece = filled(to_usize(room), MISSING)?;
        loop {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut piece);
            let mut len = 0;
            while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
                match pull.pull(rest)? {
                    0 => break,
                    got => len += got,
                }
            }
            self.bytes.decode(&mut bytes[..len]);
            let entries = len / to_usize(ENTRY_BYTES);
            if entries == 0 {
                return Ok(());
            }
            visit(&piece[..entries])?;
        }
    }

    /// Reads the entries of one page, to a buffer that has served for another.
    fn read_page(&self, number: usize, source: &mut dyn Source, mut entries: Vec<Entry>) -> Result<Vec<Entry>> {
        let first = number * PAGE_ENTRIES;
        entries.resize(PAGE_ENTRIES.min(self.count().saturating_sub(first)), MISSING);
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut entries);
        source.read(first as u64 * ENTRY_BYTES, bytes)?;
        self.bytes.decode(bytes);
        Ok(entries)
    }

    /// Encodes entries where they lie.
    pub(super) fn encode_entries(&self, entries: &mut [Entry]) {
        self.bytes.encode(bytemuck::cast_slice_mut(entries));
    }

    /// The checksums of no entries yet, in the order in which they are taken.
    pub(super) fn running(&self) -> Vec<Running> {
        self.checksums.iter().map(|codec| codec.running()).collect()
    }
}

impl IndexReader {
    /// Offset and length of the inner chunk at `position`; none if it is missing. `source` has the bytes of the index that was read.
    ///
    /// # Errors
    /// Those of the source, and [`Error::Corrupt`] if what is read is not what was checked.
    pub(crate) fn get(&mut self, sharding: &Sharding, position: usize, source: &mut dyn Source) -> Result<Option<(u64, u64)>> {
        match self {
            Self::Whole(index) => Ok(index.get(position)),
            Self::Paged(index) => index.get(&sharding.index, position, source),
        }
    }
}

impl PagedIndex {
    fn get(&mut self, codecs: &IndexCodecs, position: usize, source: &mut dyn Source) -> Result<Option<(u64, u64)>> {
        let number = position / PAGE_ENTRIES;
        let page = if let Some(found) = self.pages.iter().rposition(|page| page.number == number) {
            self.pages.remove(found)
        } else {
            let oldest = if self.pages.len() >= PAGES { self.pages.remove(0).entries } else { Vec::new() };
            let entries = codecs.read_page(number, source, oldest)?;
            Pass { position: number * PAGE_ENTRIES, inner_bytes: 0 }.count(&entries, &self.bodies)?;
            Page { number, entries }
        };
        let entry = page.entries.get(position % PAGE_ENTRIES).copied();
        self.pages.push(page);
        let [offset, len] = entry.ok_or_else(|| Error::invalid(format!("inner chunk {position} of {}", codecs.count())))?;
        Ok(([offset, len] != MISSING).then_some((offset, len)))
    }
}
