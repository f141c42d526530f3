//! Zip files in tests, byte by byte: right ones, and wrong ones in any field.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::io::Write as _;

/// An entry as it is to be written; what the headers say can be changed apart from what is there.
#[derive(Clone, Debug)]
pub(crate) struct ZipEntry {
    pub(crate) name: Vec<u8>,
    /// The name in the local header, if it is another.
    pub(crate) local_name: Option<Vec<u8>>,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    /// The stored bytes.
    pub(crate) data: Vec<u8>,
    pub(crate) crc: u32,
    pub(crate) size: u64,
    pub(crate) packed: u64,
    /// The offset that the directory says, if it is another than the entry's.
    pub(crate) offset: Option<u64>,
    /// Sizes and offset in a Zip64 field.
    pub(crate) wide: bool,
    /// Sizes only behind the data.
    pub(crate) sizes_follow: bool,
}

impl ZipEntry {
    pub(crate) fn stored(name: &str, value: &[u8]) -> Self {
        let (len, crc) = (value.len() as u64, crc32fast::hash(value));
        Self {
            name: name.as_bytes().to_vec(),
            local_name: None,
            method: 0,
            flags: 0,
            data: value.to_vec(),
            crc,
            size: len,
            packed: len,
            offset: None,
            wide: false,
            sizes_follow: false,
        }
    }

    pub(crate) fn deflated(name: &str, value: &[u8]) -> Self {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
        encoder.write_all(value).unwrap();
        let data = encoder.finish().unwrap();
        Self { method: 8, packed: data.len() as u64, data, ..Self::stored(name, value) }
    }

    fn numbers(&self, offset: Option<u64>) -> ([u32; 3], Vec<u8>) {
        let offset_64 = offset.unwrap_or(0);
        if !self.wide {
            let narrow = |number| u32::try_from(number).unwrap();
            return ([narrow(self.packed), narrow(self.size), narrow(offset_64)], Vec::new());
        }
        let mut field: Vec<u8> = [self.size, self.packed].iter().flat_map(|number| number.to_le_bytes()).collect();
        field.extend(offset.iter().flat_map(|number| number.to_le_bytes()));
        let head = [1_u16, u16::try_from(field.len()).unwrap()].map(u16::to_le_bytes).concat();
        ([u32::MAX; 3], [head, field].concat())
    }

    fn local(&self) -> Vec<u8> {
        let ([packed, size, _], extra) = self.numbers(None);
        let name = self.local_name.as_ref().unwrap_or(&self.name);
        let (flags, sizes) = if self.sizes_follow { (self.flags | 8, [0, 0, 0]) } else { (self.flags, [self.crc, packed, size]) };
        let mut out = Vec::new();
        out.extend(0x0403_4b50_u32.to_le_bytes());
        out.extend([20, flags, self.method, 0, 33].map(u16::to_le_bytes).concat());
        out.extend(sizes.map(u32::to_le_bytes).concat());
        out.extend([name.len(), extra.len()].map(|len| u16::try_from(len).unwrap().to_le_bytes()).concat());
        out.extend_from_slice(name);
        out.extend(extra);
        out.extend_from_slice(&self.data);
        if self.sizes_follow {
            out.extend(
                [0x0807_4b50, self.crc, u32::try_from(self.packed).unwrap(), u32::try_from(self.size).unwrap()]
                    .map(u32::to_le_bytes)
                    .concat(),
            );
        }
        out
    }

    fn central(&self, offset: u64) -> Vec<u8> {
        let ([packed, size, narrow], extra) = self.numbers(Some(self.offset.unwrap_or(offset)));
        let flags = if self.sizes_follow { self.flags | 8 } else { self.flags };
        let mut out = Vec::new();
        out.extend(0x0201_4b50_u32.to_le_bytes());
        out.extend([20, 20, flags, self.method, 0, 33].map(u16::to_le_bytes).concat());
        out.extend([self.crc, packed, size].map(u32::to_le_bytes).concat());
        out.extend([self.name.len(), extra.len(), 0, 0, 0].map(|len| u16::try_from(len).unwrap().to_le_bytes()).concat());
        out.extend([0, narrow].map(u32::to_le_bytes).concat());
        out.extend_from_slice(&self.name);
        out.extend(extra);
        out
    }
}

/// What the end record says.
#[derive(Clone, Debug)]
pub(crate) struct ZipEnd {
    pub(crate) count: u16,
    pub(crate) len: u32,
    pub(crate) start: u32,
    pub(crate) comment: Vec<u8>,
    /// Whether a Zip64 record says the same, and this one all ones.
    pub(crate) wide: bool,
}

/// A zip file of these entries; `edit` changes what the end record says.
pub(crate) fn zip_with(entries: &[ZipEntry], edit: impl FnOnce(&mut ZipEnd)) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        directory.extend(entry.central(out.len() as u64));
        out.extend(entry.local());
    }
    let start = u32::try_from(out.len()).unwrap();
    let (count, len) = (u16::try_from(entries.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    out.extend(directory);
    let mut end = ZipEnd { count, len, start, comment: Vec::new(), wide: false };
    edit(&mut end);
    if end.wide {
        let at = out.len() as u64;
        out.extend(0x0606_4b50_u32.to_le_bytes());
        out.extend(44_u64.to_le_bytes());
        out.extend([45, 45, 0, 0, 0, 0].map(u16::to_le_bytes).concat());
        out.extend([u64::from(end.count), end.count.into(), end.len.into(), end.start.into()].map(u64::to_le_bytes).concat());
        out.extend(0x0706_4b50_u32.to_le_bytes());
        out.extend(0_u32.to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
        (end.count, end.len, end.start) = (u16::MAX, u32::MAX, u32::MAX);
    }
    out.extend(0x0605_4b50_u32.to_le_bytes());
    out.extend([0, 0, end.count, end.count].map(u16::to_le_bytes).concat());
    out.extend([end.len, end.start].map(u32::to_le_bytes).concat());
    out.extend(u16::try_from(end.comment.len()).unwrap().to_le_bytes());
    out.extend(end.comment);
    out
}

/// A zip file of these entries.
pub(crate) fn zip(entries: &[ZipEntry]) -> Vec<u8> {
    zip_with(entries, |_| ())
}
