//! The end of a zip file: the record that says where the directory lies, in its short and its Zip64 form.

use std::os::fd::OwnedFd;

use super::record::{END, END_64, END_64_BYTES, END_BYTES, LOCATOR_64, LOCATOR_64_BYTES, fault, u16_at, u32_at, u64_at};
use crate::error::{Error, Result};
use crate::store::fs::transfer::read_at;

/// Where the directory lies, and how many entries it is said to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) start: u64,
    pub(super) len: u64,
    pub(super) count: u64,
}

/// The longest comment that can follow the end record.
const MAX_COMMENT: u64 = 0xffff;

/// `len` bytes of a file, all of which must be there.
pub(super) fn read_exact(file: &OwnedFd, at: u64, len: usize) -> Result<Vec<u8>> {
    let bytes = read_at(file, at, len).map_err(|errno| Error::io("read", "", errno.into()))?;
    if bytes.len() < len { Err(fault(at, "the file ends within a record")) } else { Ok(bytes) }
}

/// Finds the end record of a file of `size` bytes (FMT-ZIP-2).
pub(super) fn find(file: &OwnedFd, size: u64) -> Result<End> {
    let tail_bytes = size.min(END_BYTES as u64 + MAX_COMMENT);
    let tail_at = size - tail_bytes;
    let tail = read_exact(file, tail_at, usize::try_from(tail_bytes).unwrap_or(0))?;
    let Some(within) = find_in(&tail) else {
        return Err(Error::corrupt("zip: no end record, with which every zip file ends: this is none, or it is cut off"));
    };
    let at = tail_at + within as u64;
    let record = tail.get(within..).unwrap_or_default();
    let short = [u16_at(record, 4)?, u16_at(record, 6)?, u16_at(record, 8)?, u16_at(record, 10)?];
    let (len, start) = (u32_at(record, 12)?, u32_at(record, 16)?);
    if let Some(wide) = find_wide(file, at)? {
        let agree = |short: u16, wide: u64| short == u16::MAX || u64::from(short) == wide;
        let agree_32 = |short: u32, wide: u64| short == u32::MAX || u64::from(short) == wide;
        if !agree(short[3], wide.count) || !agree_32(len, wide.len) || !agree_32(start, wide.start) {
            return Err(fault(at, "the end record and its Zip64 form contradict each other"));
        }
        return Ok(wide);
    }
    one_part(&short.map(u32::from), at)?;
    check_place(End { start: start.into(), len: len.into(), count: short[3].into() }, at)
}

/// The last end record whose comment ends with the file.
fn find_in(tail: &[u8]) -> Option<usize> {
    let fits = |at: &usize| {
        let Some(record) = tail.get(*at..) else { return false };
        let comment = u16_at(record, 20).map(usize::from);
        u32_at(record, 0).is_ok_and(|signature| signature == END) && comment.is_ok_and(|comment| record.len() == END_BYTES + comment)
    };
    (0..(tail.len() + 1).saturating_sub(END_BYTES)).rev().find(fits)
}

/// The Zip64 end record, if its locator stands before the end record at `end`.
fn find_wide(file: &OwnedFd, end: u64) -> Result<Option<End>> {
    let Some(locator_at) = end.checked_sub(LOCATOR_64_BYTES as u64) else { return Ok(None) };
    let locator = read_exact(file, locator_at, LOCATOR_64_BYTES)?;
    if u32_at(&locator, 0)? != LOCATOR_64 {
        return Ok(None);
    }
    let at = u64_at(&locator, 8)?;
    if at.checked_add(END_64_BYTES as u64).is_none_or(|end| end > locator_at) {
        return Err(fault(locator_at, format!("the Zip64 end record is said to be at byte {at}, where it has no room")));
    }
    let record = read_exact(file, at, END_64_BYTES)?;
    let len = u64_at(&record, 4)?;
    if u32_at(&record, 0)? != END_64 || len.checked_add(12).and_then(|len| at.checked_add(len)) != Some(locator_at) {
        return Err(fault(at, "no Zip64 end record that reaches to its locator"));
    }
    let (here, all) = (u64_at(&record, 24)?, u64_at(&record, 32)?);
    one_part(&[u32_at(&record, 16)?, u32_at(&record, 20)?, 0, u32::from(here != all)], at)?;
    one_part(&[u32_at(&locator, 4)?, u32_at(&locator, 16)?.saturating_sub(1), 0, 0], locator_at)?;
    check_place(End { start: u64_at(&record, 48)?, len: u64_at(&record, 40)?, count: all }, at).map(Some)
}

/// Refuses files in several parts: their numbers of this part, of that of the directory, and of entries here and in all.
fn one_part(&[part, first, here, all]: &[u32; 4], at: u64) -> Result<()> {
    if part != 0 || first != 0 || here != all {
        return Err(Error::unsupported(format!("a zip file in several parts (end record at byte {at}); only those in one are read")));
    }
    Ok(())
}

/// The directory ends where its end record begins: nothing stands before the file or between the two.
fn check_place(end: End, record_at: u64) -> Result<End> {
    if end.start.checked_add(end.len) != Some(record_at) {
        let what = format!("the directory is said to be {} bytes from byte {}, and must end at byte {record_at}", end.len, end.start);
        return Err(fault(record_at, what));
    }
    Ok(end)
}
