//! An open file as a value: ranges of it through maps or positioned reads, and what is said when it is cut meanwhile.

use std::os::fd::OwnedFd;

use super::{ReadMode, size_of, transfer};
use crate::error::{Error, Result};
use crate::store::{ByteRange, Value, mmap, resolve};

/// The smallest range that is dropped from the page cache after use, where that is asked for.
const DROP_BEHIND_BYTES: usize = 1 << 20;

/// The smallest range that is mapped: making, populating and removing a map costs more than copying fewer bytes, and with several threads
/// they wait for one another at it.
const MAP_BYTES: usize = 1 << 18;

/// How ranges of files are read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reads {
    pub(crate) mode: ReadMode,
    /// Whether large ranges leave the page cache after use.
    pub(crate) drop_behind: bool,
}

/// A file that is open for reading. It stays the same file when another one takes its name.
#[derive(Debug)]
pub(super) struct FileValue {
    pub(super) file: OwnedFd,
    pub(super) size: u64,
    /// Where it was found; for messages.
    pub(super) path: String,
    pub(super) reads: Reads,
}

impl Value for FileValue {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (offset, len) = resolve(range, self.size).map_err(|error| error.at(&self.path))?;
        self.reads.show(&self.file, offset, len, visit).map_err(|error| error.at(&self.path))
    }

    fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let len = out.len();
        resolve(ByteRange::From { offset, len: len as u64 }, self.size).map_err(|error| error.at(&self.path))?;
        let got = transfer::read_into(&self.file, offset, out).map_err(|errno| Error::io("read", &*self.path, errno.into()))?;
        if got < len {
            return Err(truncated(offset, len, offset.saturating_add(got as u64)).at(&self.path));
        }
        Ok(())
    }

    fn expect(&self, offset: u64, len: u64) {
        transfer::expect(&self.file, offset, len);
    }
}

impl Reads {
    /// Shows `visit` the `len` bytes of `file` from `offset`.
    pub(in crate::store) fn show(self, file: &OwnedFd, offset: u64, len: usize, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let visited = self.visit(file, offset, len, visit);
        if self.drop_behind && len >= DROP_BEHIND_BYTES {
            transfer::drop_behind(file, offset, len);
        }
        visited
    }

    fn visit(self, file: &OwnedFd, offset: u64, len: usize, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if len == 0 {
            return visit(&[]);
        }
        let check = || match rustix::fs::fstat(file) {
            // The last page of a map is filled up with zeros beyond the end of the file, so the reading of pages does not notice this.
            Ok(stat) if size_of(&stat) < offset.saturating_add(len as u64) => Err(truncated(offset, len, size_of(&stat))),
            Ok(_) => Ok(()),
            Err(errno) => Err(Error::io("stat", "", errno.into())),
        };
        let map = self.mode == ReadMode::Mapped && len >= MAP_BYTES;
        if map && mmap::with_populated(file, offset, len, check, &mut *visit)?.is_some() {
            return Ok(());
        }
        let bytes = transfer::read_at(file, offset, len).map_err(|errno| Error::io("read", "", errno.into()))?;
        if bytes.len() < len {
            return Err(truncated(offset, len, offset.saturating_add(bytes.len() as u64)));
        }
        visit(&bytes)
    }
}

fn truncated(offset: u64, len: usize, size: u64) -> Error {
    Error::corrupt(format!("truncated while open: {len} bytes from offset {offset} are wanted, but the file now has {size} bytes"))
}
