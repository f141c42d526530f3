//! Stores that go past the cache and prefetches, for which the language has no safe words.
//!
//! Why `unsafe`: a store to a line that is not in the cache first reads it from memory, so that turning a large box costs three passes over
//! memory where memcpy, which avoids this for copies of such a size, needs two; and a walk over distant rows is not foreseen by the hardware.
//! In safe code (the same panels with plain stores and no prefetch) the cases of `benches/kernel.rs` with 8192 rows, in CPU time, had with
//! items of 1, 2, 4 and 8 bytes
//! 0.14, 0.24, 0.28 and 0.32 of memcpy's rate, where 0.15, 0.25, 0.4 and 0.4 are wanted; with these 0.25, 0.43, 0.46 and 0.55.
//!
//! What is unsafe is confined to two intrinsics and a fence, behind functions that take references, so that bounds are checked before. They
//! belong to SSE2, which each x86-64 processor has. On others the same functions are plain copies and nothing;
//! miri, which knows no store past the cache, sees an ordinary one of the same size and alignment in its place, and no prefetch and no fence.
#![allow(unsafe_code)]

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the line at `offset`, which may lie outside.
#[inline(always)]
pub(super) fn prefetch(bytes: &[u8], offset: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint; it neither reads nor faults, wherever it points, and the address is made without arithmetic on pointers
        // that would have to stay in bounds.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(offset).cast()) }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (bytes, offset);
}

/// Copies the first `len` bytes of each row to the target, where rows begin `stride` bytes apart; if asked to, past the cache.
///
/// # Panics
/// If that reaches outside the target or a row.
pub(super) fn store_rows<const W: usize>(rows: &[[u8; W]], len: usize, target: &mut [u8], stride: usize, past_the_cache: bool) {
    // Stores past the cache are ordered with nothing: whatever way this ends, a fence follows before anyone else may look.
    let _fence = if past_the_cache { Some(Fence) } else { None };
    for (j, row) in rows.iter().enumerate() {
        let (row, target) = (&row[..len], &mut target[j * stride..][..len]);
        if past_the_cache { stream(row, target) } else { target.copy_from_slice(row) }
    }
}

/// Whole lines of the target go past the cache; what it has of others at its ends is copied.
#[inline(always)]
fn stream(source: &[u8], target: &mut [u8]) {
    let head = target.as_ptr().align_offset(LINE).min(target.len());
    let (source_head, source) = source.split_at(head);
    let (target_head, target) = target.split_at_mut(head);
    target_head.copy_from_slice(source_head);
    let (lines, tail) = target.as_chunks_mut::<LINE>();
    let (source_lines, source_tail) = source.as_chunks::<LINE>();
    for (from, to) in source_lines.iter().zip(lines) {
        stream_line(from, to);
    }
    tail.copy_from_slice(source_tail);
}

/// # Panics
/// If the target is not aligned to 16 bytes.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn stream_line(source: &[u8; LINE], target: &mut [u8; LINE]) {
    #[cfg(miri)]
    use std::arch::x86_64::_mm_store_si128 as _mm_stream_si128;
    #[cfg(not(miri))]
    use std::arch::x86_64::_mm_stream_si128;
    use std::arch::x86_64::{__m128i, _mm_loadu_si128};
    let (from, to): (*const __m128i, *mut __m128i) = (source.as_ptr().cast(), target.as_mut_ptr().cast());
    assert!(to.is_aligned());
    for k in 0..LINE / size_of::<__m128i>() {
        // SAFETY: both references are to 64 bytes, of which these are 16 that begin at 16 k, k < 4; the load needs no alignment, and that of
        // the store has just been checked. The bytes are plain, and the target is borrowed for this function alone; `Fence` orders the store
        // before whatever is done after the borrow.
        unsafe { _mm_stream_si128(to.add(k), _mm_loadu_si128(from.add(k))) }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn stream_line(source: &[u8; LINE], target: &mut [u8; LINE]) {
    *target = *source;
}

/// Makes stores past the cache visible in order when it is dropped.
struct Fence;

impl Drop for Fence {
    fn drop(&mut self) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a fence touches no memory.
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_arrive_at_any_alignment_and_length() {
        let mut row = [0; 320];
        for (i, byte) in row.iter_mut().enumerate() {
            *byte = u8::try_from(i % 251).unwrap() + 1;
        }
        let rows = [row, row.map(|byte| !byte), row.map(|byte| byte / 2)];
        let lengths = if cfg!(miri) { vec![0, 1, 63, 64, 130, 320] } else { (0..=320).step_by(5).chain([63, 64, 127, 128]).collect() };
        for len in lengths {
            for offset in (0..64).step_by(if cfg!(miri) { 13 } else { 3 }) {
                for (past_the_cache, stride) in [(false, len + 3), (true, len), (true, len + 17)] {
                    let mut target = vec![7; offset + 2 * stride + len + 9];
                    let mut expected = target.clone();
                    for (j, row) in rows.iter().enumerate() {
                        expected[offset + j * stride..][..len].copy_from_slice(&row[..len]);
                    }
                    store_rows(&rows, len, &mut target[offset..], stride, past_the_cache);
                    assert_eq!(target, expected, "{len} bytes at {offset}, {stride} apart");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn rows_outside_the_target_are_refused() {
        store_rows(&[[1; 64]; 2], 64, &mut [0; 127], 64, true);
    }

    #[test]
    fn prefetches_may_point_anywhere() {
        for offset in [0, 1, 1 << 20, usize::MAX / 2, usize::MAX] {
            prefetch(&[1], offset);
        }
    }
}
