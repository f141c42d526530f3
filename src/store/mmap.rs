//! Memory maps of files: with `array/map.rs`, which passes its condition on, the only file that may say `unsafe`.
#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::os::fd::OwnedFd;

use memmap2::{Advice, Mmap, MmapOptions};

use super::{ByteRange, FilesystemStore, Key, resolve};
use crate::error::{Error, Result};

/// Bytes of a value as a map of its file; see [`FilesystemStore::map`].
pub struct MappedValue {
    /// None for no bytes, which need no map.
    map: Option<Mmap>,
}

impl Deref for MappedValue {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for MappedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedValue").field("len", &self.len()).finish()
    }
}

impl FilesystemStore {
    /// The bytes of `range` of the value at `key` as a map that outlives the call; none if there is no value. The range must lie inside the
    /// value ([`Error::Corrupt`] otherwise).
    ///
    /// # Safety
    /// For as long as the returned value lives, nobody, in this process or in any other, may write to the file or shorten it: the bytes
    /// would change under a shared reference, and touching what is no longer in the file kills the process with SIGBUS, as does an error
    /// of the device. Replacing the value by [`Store::set`](super::Store::set), renaming it and removing it are allowed, since the map keeps
    /// the old file.
    pub unsafe fn map(&self, key: &Key, range: ByteRange) -> Result<Option<MappedValue>> {
        let Some((file, size)) = self.open_value(key)? else { return Ok(None) };
        let path = || self.locate_key(key);
        let (offset, len) = resolve(range, size).map_err(|e| e.at(&path()))?;
        if len == 0 {
            return Ok(Some(MappedValue { map: None }));
        }
        // SAFETY: the caller of this function has promised that nobody writes to the file or shortens it while the map lives.
        let map = unsafe { map_file(&file, offset, len) }.map_err(|e| Error::io("map", path(), e))?;
        Ok(Some(MappedValue { map: Some(map) }))
    }
}

/// Shows `visit` the `len` bytes of `file` from `offset` in a map whose pages have all been read before; none, without a call of `visit`, if
/// they cannot be (a file that is shorter, an error of the device, a kernel or a file system that does not know this), so that ordinary
/// reads must give the bytes or the reason. `check` runs between the reading of the pages and `visit`.
pub(super) fn with_populated<T>(
    file: &OwnedFd,
    offset: u64,
    len: usize,
    check: impl FnOnce() -> Result<()>,
    visit: impl FnOnce(&[u8]) -> Result<T>,
) -> Result<Option<T>> {
    // SAFETY: the map lives no longer than this call. All its pages are read in below before the first is touched, and an error there
    // ends the use of the map. Stores replace values by renaming new files over them, which leaves a mapped file as it is; a foreign
    // program that cuts or rewrites a file in place during the call is outside what can be guarded against, and the documentation of
    // `ReadMode` says so.
    let Ok(map) = (unsafe { map_file(file, offset, len) }) else { return Ok(None) };
    if map.advise(Advice::PopulateRead).is_err() {
        return Ok(None);
    }
    check()?;
    visit(&map).map(Some)
}

/// Maps `len` bytes of `file` from `offset`, which need not be a multiple of the page size.
///
/// # Safety
/// The file must not be written to or shortened while bytes of the map are in use.
unsafe fn map_file(file: &OwnedFd, offset: u64, len: usize) -> std::io::Result<Mmap> {
    // SAFETY: the condition is passed on to the caller.
    unsafe { MmapOptions::new().offset(offset).len(len).map(file) }
}
