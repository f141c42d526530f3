//! The records of a zip file as bytes: signatures, numbers, and the lengths of the fixed parts.

use crate::error::{Error, Result};

pub(super) const LOCAL: u32 = 0x0403_4b50;
pub(super) const CENTRAL: u32 = 0x0201_4b50;
pub(super) const END: u32 = 0x0605_4b50;
pub(super) const END_64: u32 = 0x0606_4b50;
pub(super) const LOCATOR_64: u32 = 0x0706_4b50;

/// Lengths of the fixed parts of the records, in bytes.
pub(super) const LOCAL_BYTES: usize = 30;
pub(super) const CENTRAL_BYTES: usize = 46;
pub(super) const END_BYTES: usize = 22;
pub(super) const END_64_BYTES: usize = 56;
pub(super) const LOCATOR_64_BYTES: usize = 20;

/// The extra field that holds what does not fit 32 bits.
pub(super) const EXTRA_64: u16 = 1;

/// Compression methods.
pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

/// Flags: encrypted; sizes follow the data; patched data; strongly encrypted; the name is UTF-8; the directory is encrypted.
pub(super) const ENCRYPTED: u16 = 1;
pub(super) const SIZES_FOLLOW: u16 = 1 << 3;
pub(super) const PATCHED: u16 = 1 << 5;
pub(super) const STRONGLY_ENCRYPTED: u16 = 1 << 6;
pub(super) const UTF8: u16 = 1 << 11;
pub(super) const MASKED: u16 = 1 << 13;

/// Whether a file that begins like this is a zip file: with an entry, or with the end record of an empty one.
pub(in crate::store) fn is_zip(begin: &[u8]) -> bool {
    u32_at(begin, 0).is_ok_and(|signature| signature == LOCAL || signature == END)
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Result<u16> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u16::from_le_bytes(*bytes)).ok_or_else(cut_off)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(cut_off)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u64::from_le_bytes(*bytes)).ok_or_else(cut_off)
}

fn cut_off() -> Error {
    Error::corrupt("zip: a record is cut off")
}

/// A fault of the record at byte `at` of the file.
pub(super) fn fault(at: u64, what: impl std::fmt::Display) -> Error {
    Error::Corrupt { key: String::new(), offset: Some(at), what: format!("zip: {what}") }
}

/// The numbers that the Zip64 extra field in `extra` holds, in the place of those of 32 bits that are all ones: each is taken from it in turn.
pub(super) struct Wide<'a> {
    field: Option<&'a [u8]>,
}

impl<'a> Wide<'a> {
    /// Looks for the field among the extra fields. What follows the last whole field is padding of some writers.
    pub(super) fn find(mut extra: &'a [u8]) -> Result<Self> {
        while extra.len() >= 4 {
            let (id, len) = (u16_at(extra, 0)?, usize::from(u16_at(extra, 2)?));
            let Some(field) = extra.get(4..4 + len) else { break };
            if id == EXTRA_64 {
                return Ok(Self { field: Some(field) });
            }
            extra = extra.get(4 + len..).unwrap_or_default();
        }
        Ok(Self { field: None })
    }

    /// The number that `narrow` stands for.
    pub(super) fn take(&mut self, narrow: u32, what: &str) -> Result<u64> {
        match (narrow, &mut self.field) {
            (u32::MAX, Some(field)) => {
                let number = u64_at(field, 0).map_err(|_| Error::corrupt(format!("zip: no room for {what} in the Zip64 field")))?;
                *field = field.get(8..).unwrap_or_default();
                Ok(number)
            }
            (u32::MAX, None) => Err(Error::corrupt(format!("zip: {what} is said to be in a Zip64 field, which is missing"))),
            (number, _) => Ok(u64::from(number)),
        }
    }
}
