//! The directory of a zip file: every entry, sorted by name.
//!
//! Invariants
//! 1. Names are keys, or keys with one slash behind them, which are directories; each occurs once.
//! 2. Entries lie in the file one behind the other: each ends where the next begins at the latest, and the last before the directory.

use std::os::fd::OwnedFd;

use super::end::{self, End, read_exact};
use super::record::{CENTRAL, CENTRAL_BYTES, LOCAL_BYTES, MASKED, Wide, fault, u16_at, u32_at};
use crate::buffer::{append, reserve};
use crate::error::{Error, Result};
use crate::store::{Entry, EntryKind, Key};

/// The most entries, and the largest directory in bytes, that are read (FMT-ZIP-4).
const MAX_ENTRIES: usize = 1 << 24;
const MAX_DIRECTORY_BYTES: u64 = 1 << 30;

/// How much of the directory is read at once; a single record may be larger.
const WINDOW_BYTES: usize = 256 << 10;

/// What the directory says of an entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Where its name lies among the names.
    name_at: u32,
    name_len: u16,
    pub(super) method: u16,
    pub(super) flags: u16,
    pub(super) crc: u32,
    /// Offset of its local header.
    pub(super) offset: u64,
    /// Where what lies behind it in the file begins.
    pub(super) end: u64,
    /// Stored size in bytes.
    pub(super) packed: u64,
    /// Size in bytes of the value.
    pub(super) size: u64,
}

/// All entries of a zip file.
#[derive(Debug, Default)]
pub(super) struct Directory {
    names: Vec<u8>,
    /// Sorted by name.
    records: Vec<Record>,
}

impl Directory {
    /// Reads and checks the directory of a file of `size` bytes.
    pub(super) fn read(file: &OwnedFd, size: u64) -> Result<Self> {
        let end = end::find(file, size)?;
        if end.len > MAX_DIRECTORY_BYTES {
            let what = format!("a zip directory of {} bytes; at most {MAX_DIRECTORY_BYTES} are supported", end.len);
            return Err(Error::unsupported(what));
        }
        let mut directory = Self::default();
        directory.read_records(file, end)?;
        if directory.records.len() as u64 != end.count {
            let what = format!("the directory has {} entries, but the end record says {}", directory.records.len(), end.count);
            return Err(fault(end.start, what));
        }
        directory.check_places(end.start)?;
        directory.sort();
        // It is held for as long as the file is open.
        directory.names.shrink_to_fit();
        directory.records.shrink_to_fit();
        Ok(directory)
    }

    /// What it takes in memory, in bytes.
    pub(super) fn held_bytes(&self) -> u64 {
        (self.names.capacity() + self.records.capacity() * size_of::<Record>()) as u64
    }

    fn read_records(&mut self, file: &OwnedFd, end: End) -> Result<()> {
        let (mut window, mut from) = (Vec::new(), 0);
        let mut at = end.start;
        let stop = end.start + end.len;
        // Reads on until the window holds so many bytes of the record at `at`.
        let need = |window: &mut Vec<u8>, from: usize, at: u64, len: usize| {
            if window.len() - from >= len {
                return Ok(from);
            }
            if stop - at < len as u64 {
                return Err(fault(at, "the directory ends within an entry"));
            }
            window.drain(..from);
            let next = at + window.len() as u64;
            let more = usize::try_from(stop - next).unwrap_or(usize::MAX).min(WINDOW_BYTES.max(len - window.len()));
            append(window, &read_exact(file, next, more)?)?;
            Ok(0)
        };
        while at < stop {
            from = need(&mut window, from, at, CENTRAL_BYTES)?;
            let head = window.get(from..).unwrap_or_default();
            let lens = [u16_at(head, 28)?, u16_at(head, 30)?, u16_at(head, 32)?].map(usize::from);
            let len = CENTRAL_BYTES + lens.iter().sum::<usize>();
            from = need(&mut window, from, at, len)?;
            let record = window.get(from..from + len).unwrap_or_default();
            self.add(record, lens, at)?;
            from += len;
            at += len as u64;
        }
        Ok(())
    }

    /// Takes in the whole record at byte `at`, whose name, extra fields and comment are so long.
    fn add(&mut self, record: &[u8], [name_len, extra_len, _]: [usize; 3], at: u64) -> Result<()> {
        if u32_at(record, 0)? != CENTRAL {
            return Err(fault(at, "an entry of the directory begins with other bytes than PK\\x01\\x02"));
        }
        if self.records.len() == MAX_ENTRIES {
            return Err(Error::unsupported(format!("a zip file of more than {MAX_ENTRIES} entries")));
        }
        let (name, extra) = record.get(CENTRAL_BYTES..).unwrap_or_default().split_at(name_len);
        check_name(name, at)?;
        let flags = u16_at(record, 8)?;
        if flags & MASKED != 0 {
            return Err(Error::unsupported("a zip file with an encrypted directory"));
        }
        let located = |error: Error| match error {
            Error::Corrupt { key, what, .. } => Error::Corrupt { key, offset: Some(at), what },
            error => error,
        };
        let mut wide = Wide::find(extra.get(..extra_len).unwrap_or_default())?;
        let size = wide.take(u32_at(record, 24)?, "the size").map_err(located)?;
        let packed = wide.take(u32_at(record, 20)?, "the stored size").map_err(located)?;
        let offset = wide.take(u32_at(record, 42)?, "the offset").map_err(located)?;
        if !matches!(u16_at(record, 34)?, 0 | u16::MAX) {
            return Err(Error::unsupported("a zip file in several parts; only those in one are read"));
        }
        let too_long = || Error::unsupported("a zip file with more than 4 GiB of names");
        let found = Record {
            name_at: u32::try_from(self.names.len()).map_err(|_| too_long())?,
            name_len: u16::try_from(name_len).map_err(|_| too_long())?,
            method: u16_at(record, 10)?,
            flags,
            crc: u32_at(record, 16)?,
            offset,
            end: 0,
            packed,
            size,
        };
        append(&mut self.names, name)?;
        reserve(&mut self.records, 1)?;
        self.records.push(found);
        Ok(())
    }

    /// Finds out where each entry ends at the latest, and refuses entries that lie in one another (FMT-ZIP-5).
    fn check_places(&mut self, directory_at: u64) -> Result<()> {
        // By the place in the file; the order of the names is restored by the sort.
        self.records.sort_unstable_by_key(|record| record.offset);
        let mut next = directory_at;
        for i in (0..self.records.len()).rev() {
            let Some(record) = self.records.get(i).copied() else { break };
            let least = record.offset.checked_add(LOCAL_BYTES as u64 + u64::from(record.name_len));
            if least.and_then(|least| least.checked_add(record.packed)).is_none_or(|least| least > next) {
                let name = String::from_utf8_lossy(self.name(&record)).into_owned();
                let what = format!("the entry {name:?} of {} stored bytes overlaps what begins at byte {next}", record.packed);
                return Err(fault(record.offset, what));
            }
            if let Some(record) = self.records.get_mut(i) {
                record.end = next;
            }
            next = record.offset;
        }
        Ok(())
    }

    /// Sorts by name. Of several entries of one name the one that the directory has last stays: writers append what replaces (FMT-ZIP-6).
    fn sort(&mut self) {
        let Self { names, records } = self;
        records.sort_unstable_by(|a, b| name_in(names, a).cmp(name_in(names, b)).then(b.name_at.cmp(&a.name_at)));
        records.dedup_by(|later, kept| name_in(names, later) == name_in(names, kept));
    }

    fn name(&self, record: &Record) -> &[u8] {
        name_in(&self.names, record)
    }

    /// The entry called `name`.
    pub(super) fn find(&self, name: &str) -> Option<&Record> {
        let at = self.records.binary_search_by(|record| self.name(record).cmp(name.as_bytes())).ok()?;
        self.records.get(at)
    }

    /// Whether there are names below `prefix`, or an entry for the directory itself.
    pub(super) fn holds(&self, prefix: &str) -> bool {
        let begin = format!("{prefix}/");
        self.records.get(self.first_from(begin.as_bytes())).is_some_and(|record| self.name(record).starts_with(begin.as_bytes()))
    }

    /// The position of the first name that is not less than `name`.
    fn first_from(&self, name: &[u8]) -> usize {
        self.records.partition_point(|record| self.name(record) < name)
    }

    /// Shows what is directly below `prefix`, once each, without looking at what lies deeper.
    pub(super) fn list(&self, prefix: &str, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        let begin = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let mut at = self.first_from(begin.as_bytes());
        while let Some(rest) = self.records.get(at).and_then(|record| self.name(record).strip_prefix(begin.as_bytes())) {
            at += 1;
            let child = rest.split(|&byte| byte == b'/').next().unwrap_or_default();
            if child.is_empty() {
                continue;
            }
            let is_value = child.len() == rest.len();
            let child = String::from_utf8_lossy(child).into_owned();
            let full = format!("{begin}{child}");
            let kind = match (is_value, is_value && self.holds(&full)) {
                (true, false) => EntryKind::Value,
                (true, true) => EntryKind::Other,
                (false, _) => {
                    // Behind all that lies below: `0` is what follows the slash.
                    at = self.first_from(format!("{full}0").as_bytes());
                    EntryKind::Prefix
                }
            };
            // What is a value as well has been shown.
            if is_value || self.find(&full).is_none() {
                visit(Entry { name: child, kind })?;
            }
        }
        Ok(())
    }
}

fn name_in<'a>(names: &'a [u8], record: &Record) -> &'a [u8] {
    let from = usize::try_from(record.name_at).unwrap_or(usize::MAX);
    names.get(from..).and_then(|rest| rest.get(..usize::from(record.name_len))).unwrap_or_default()
}

/// Refuses names that no key reaches: whoever wrote them may have meant a chunk, which would then read as fill (FMT-ZIP-3).
fn check_name(name: &[u8], at: u64) -> Result<()> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let Ok(text) = std::str::from_utf8(name) else {
        return Err(fault(at, format!("the name {:?} is not UTF-8", shown())));
    };
    if text.contains('\\') {
        return Err(fault(at, format!("the name {text:?} holds a backslash; names are joined by slashes")));
    }
    let key = text.strip_suffix('/').unwrap_or(text);
    match Key::new(key) {
        Ok(key) if !key.is_root() => Ok(()),
        Ok(_) => Err(fault(at, format!("an entry with the name {text:?}, which is no key"))),
        Err(Error::InvalidArgument { what }) => Err(fault(at, format!("an entry with a name that is no key: {what}"))),
        Err(error) => Err(error),
    }
}
