//! The files of an array: encoded chunks read and written, singly or in shards (index at the end, with its checksum).

use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::Range;
use std::path::Path;

use crate::Result;
use crate::grid::Grid;

const ENTRY: usize = 16;
const CHECKSUM: usize = 4;

/// Reads a file into a buffer that lives from file to file.
pub(crate) fn read(array: &Path, grid: &Grid, file: usize, out: &mut Vec<u8>) -> Result<()> {
    let mut opened = File::open(array.join(grid.key(file)))?;
    let size = usize::try_from(opened.metadata()?.len())?;
    if out.len() < size {
        out.resize(size, 0);
    }
    out.truncate(size);
    opened.read_exact(out)?;
    Ok(())
}

/// Where the chunks of a file lie in it.
pub(crate) fn chunks(bytes: &[u8], grid: &Grid, sharded: bool) -> Result<Vec<Range<usize>>> {
    if !sharded {
        return Ok(std::iter::once(0..bytes.len()).collect());
    }
    let index = bytes.len().checked_sub(grid.chunks_a_file() * ENTRY + CHECKSUM).ok_or("a shard shorter than its index")?;
    let number = |at: usize| -> Result<usize> { Ok(usize::from_le_bytes(bytes[at..at + 8].try_into()?)) };
    let entry = |chunk: usize| {
        let at = index + chunk * ENTRY;
        let (offset, size) = (number(at)?, number(at + 8)?);
        let end = offset.checked_add(size).filter(|&end| end <= index).ok_or("a chunk outside its shard, or one missing")?;
        Ok(offset..end)
    };
    (0..grid.chunks_a_file()).map(entry).collect()
}

/// What a shard of these chunks ends with.
pub(crate) fn shard_index(sizes: impl Iterator<Item = usize>) -> Vec<u8> {
    let (mut out, mut offset) = (Vec::new(), 0_usize);
    for size in sizes {
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&size.to_le_bytes());
        offset += size;
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

pub(crate) fn write(array: &Path, key: &str, bytes: &[u8]) -> Result<()> {
    let path = array.join(key);
    let mut file = match File::create(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(array))?;
            File::create(&path)?
        }
        other => other?,
    };
    file.write_all(bytes)?;
    Ok(())
}
