//! Blosc through the C library: lz4 with byte shuffle, on the calling thread.

use std::ffi::c_void;

use crate::Result;

const SHUFFLE: i32 = 1;
const OVERHEAD: usize = 16;

pub(crate) fn encode(raw: &[u8], item: usize, level: i32, out: &mut Vec<u8>) -> Result<()> {
    out.resize(raw.len() + OVERHEAD, 0);
    // SAFETY: source and destination are as long as the call is told, and the name ends in zero.
    let written = unsafe {
        let (from, to) = (raw.as_ptr().cast::<c_void>(), out.as_mut_ptr().cast::<c_void>());
        blosc_src::blosc_compress_ctx(level, SHUFFLE, item, raw.len(), from, to, out.len(), c"lz4".as_ptr(), 0, 1)
    };
    out.truncate(usize::try_from(written).ok().filter(|&written| written > 0).ok_or("blosc does not encode")?);
    Ok(())
}

/// Fills `out`. The frame must be one of this machine's own: only its size is checked.
pub(crate) fn decode(encoded: &[u8], out: &mut [u8]) -> Result<()> {
    // SAFETY: the library writes no more than the length it is told.
    let read = unsafe { blosc_src::blosc_decompress_ctx(encoded.as_ptr().cast(), out.as_mut_ptr().cast(), out.len(), 1) };
    if usize::try_from(read) == Ok(out.len()) { Ok(()) } else { Err("blosc does not decode".into()) }
}
