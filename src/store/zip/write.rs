//! Writes the bytes of a zip file: stored entries one after the other, the directory behind them, Zip64 forms where numbers need them.
//!
//! Invariants
//! 1. The directory is collected in a file of its own, so that memory does not grow with the number of entries.
//! 2. Equal entries give equal bytes: no times, no modes, no names of systems.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::record::{
    CENTRAL, CENTRAL_BYTES, END, END_64, END_64_BYTES, END_BYTES, EXTRA_64, LOCAL, LOCAL_BYTES, LOCATOR_64, LOCATOR_64_BYTES, STORED, UTF8,
};
use crate::error::{Error, Result};
use crate::store::fs::transfer::{WINDOW_BYTES, read_at, write_at};
use crate::store::{ByteRange, Value};

/// The first of January 1980, in the form of DOS: the smallest time that there is.
const DATE: u16 = 1 << 5 | 1;
/// Version needed for an entry: 2.0, and 4.5 for Zip64. Version and system of the writer: 4.5, Unix.
const VERSION: u16 = 20;
const VERSION_64: u16 = 45;
const MADE_BY: u16 = 3 << 8 | 45;
/// A regular file that all may read.
const MODE: u32 = 0o100_644 << 16;

/// From which numbers on the Zip64 forms are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    /// Sizes and offsets.
    pub(super) bytes: u64,
    /// Entries.
    pub(super) entries: u64,
}

impl Thresholds {
    pub(super) const FORMAT: Self = Self { bytes: u32::MAX as u64, entries: u16::MAX as u64 };

    fn narrow(self, number: u64) -> u32 {
        u32::try_from(number).ok().filter(|_| number < self.bytes).unwrap_or(u32::MAX)
    }
}

/// A zip file in the making.
pub(super) struct Writer {
    file: OwnedFd,
    at: u64,
    /// The directory, until the last entry is written.
    directory: OwnedFd,
    /// What of it is not written yet.
    pending: Vec<u8>,
    directory_bytes: u64,
    pub(super) entries: u64,
    pub(super) value_bytes: u64,
    thresholds: Thresholds,
}

impl Writer {
    /// A zip file in the empty file `file`; `directory` is an empty file, too.
    pub(super) fn new(file: OwnedFd, directory: File, thresholds: Thresholds) -> Self {
        let pending = Vec::with_capacity(2 * WINDOW_BYTES);
        Self { file, at: 0, directory: directory.into(), pending, directory_bytes: 0, entries: 0, value_bytes: 0, thresholds }
    }

    /// Adds `value` under `name`, in windows; `go_on` is asked before each.
    pub(super) fn add(&mut self, name: &str, value: &dyn Value, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let Ok(name_len) = u16::try_from(name.len()) else {
            return Err(Error::unsupported(format!("a key of {} bytes; names in a zip file have at most 65535", name.len())));
        };
        let size = value.size();
        let wide_size = size >= self.thresholds.bytes;
        let local_extra: u16 = if wide_size { 20 } else { 0 };
        let data_at = self.at + LOCAL_BYTES as u64 + u64::from(name_len) + u64::from(local_extra);
        let crc = self.copy(value, data_at, go_on)?;
        let (narrow, flags) = (self.thresholds.narrow(size), if name.is_ascii() { 0 } else { UTF8 });
        let version = if wide_size { VERSION_64 } else { VERSION };
        let mut local = Record::with_capacity(LOCAL_BYTES + name.len() + usize::from(local_extra));
        local.u32(LOCAL).u16(version).u16(flags).u16(STORED).u16(0).u16(DATE).u32(crc).u32(narrow).u32(narrow);
        local.u16(name_len).u16(local_extra).bytes(name.as_bytes());
        if wide_size {
            local.u16(EXTRA_64).u16(16).u64(size).u64(size);
        }
        put(&self.file, self.at, &local.0)?;
        let offset = self.thresholds.narrow(self.at);
        let wide: Vec<u64> = [(wide_size, size), (wide_size, size), (offset == u32::MAX, self.at)]
            .into_iter()
            .filter_map(|(wide, number)| wide.then_some(number))
            .collect();
        let wide_bytes = u16::try_from(8 * wide.len()).unwrap_or_default();
        let extra = if wide.is_empty() { 0 } else { 4 + wide_bytes };
        let mut central = Record::with_capacity(CENTRAL_BYTES + name.len() + usize::from(extra));
        central.u32(CENTRAL).u16(MADE_BY).u16(if wide.is_empty() { VERSION } else { VERSION_64 }).u16(flags).u16(STORED).u16(0).u16(DATE);
        central.u32(crc).u32(narrow).u32(narrow).u16(name_len).u16(extra).u16(0).u16(0).u16(0).u32(MODE).u32(offset).bytes(name.as_bytes());
        if !wide.is_empty() {
            central.u16(EXTRA_64).u16(wide_bytes);
            for &number in &wide {
                central.u64(number);
            }
        }
        self.at = data_at + size;
        self.entries += 1;
        self.value_bytes += size;
        self.pending.extend_from_slice(&central.0);
        if self.pending.len() >= WINDOW_BYTES { self.flush() } else { Ok(()) }
    }

    /// Copies a value to `to`; returns its checksum.
    fn copy(&self, value: &dyn Value, to: u64, go_on: &dyn Fn() -> Result<()>) -> Result<u32> {
        let (size, mut offset, mut hasher) = (value.size(), 0, crc32fast::Hasher::new());
        while offset < size {
            go_on()?;
            let len = (size - offset).min(WINDOW_BYTES as u64);
            value.read(ByteRange::From { offset, len }, &mut |bytes| {
                hasher.update(bytes);
                put(&self.file, to + offset, bytes)
            })?;
            offset += len;
        }
        Ok(hasher.finalize())
    }

    fn flush(&mut self) -> Result<()> {
        put(&self.directory, self.directory_bytes, &self.pending)?;
        self.directory_bytes += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes the directory and the end record; returns the size of the file.
    pub(super) fn finish(&mut self) -> Result<u64> {
        self.flush()?;
        let (start, len) = (self.at, self.directory_bytes);
        let mut done = 0;
        while done < len {
            let window = usize::try_from(len - done).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            let bytes = read_at(&self.directory, done, window).map_err(|errno| Error::io("read", "", errno.into()))?;
            if bytes.is_empty() {
                return Err(Error::corrupt("the directory of the zip file in the making was cut"));
            }
            put(&self.file, start + done, &bytes)?;
            done += bytes.len() as u64;
        }
        let end = self.end_records(start, len);
        put(&self.file, start + len, &end)?;
        Ok(start + len + end.len() as u64)
    }

    fn end_records(&self, start: u64, len: u64) -> Vec<u8> {
        let mut end = Record::with_capacity(END_64_BYTES + LOCATOR_64_BYTES + END_BYTES);
        let count = u16::try_from(self.entries).ok().filter(|_| self.entries < self.thresholds.entries).unwrap_or(u16::MAX);
        let (narrow_len, narrow_start) = (self.thresholds.narrow(len), self.thresholds.narrow(start));
        if count == u16::MAX || narrow_len == u32::MAX || narrow_start == u32::MAX {
            end.u32(END_64).u64(END_64_BYTES as u64 - 12).u16(MADE_BY).u16(VERSION_64).u32(0).u32(0);
            end.u64(self.entries).u64(self.entries).u64(len).u64(start);
            end.u32(LOCATOR_64).u32(0).u64(start + len).u32(1);
        }
        end.u32(END).u16(0).u16(0).u16(count).u16(count).u32(narrow_len).u32(narrow_start).u16(0);
        end.0
    }
}

fn put(file: &OwnedFd, at: u64, bytes: &[u8]) -> Result<()> {
    write_at(file, at, bytes).map_err(|errno| Error::io("write", "", errno.into()))
}

/// A record in the making, number by number.
struct Record(Vec<u8>);

impl Record {
    fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(&mut self, number: u16) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u32(&mut self, number: u32) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }

    fn u64(&mut self, number: u64) -> &mut Self {
        self.bytes(&number.to_le_bytes())
    }
}
