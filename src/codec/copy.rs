//! Copies within the output of the decompressors of LZ4 and blosclz: short pieces in steps of fixed size, which may write beyond the piece what is overwritten later.

/// Bytes copied in one step, by which also the end of the output must be away.
const STEP: usize = 16;

/// From this length on, copies of any size are faster.
const LONG: usize = 64;

/// How far the pattern of a distance below eight is advanced by writing eight bytes of it.
const PATTERN: [usize; 8] = [0, 8, 8, 6, 8, 5, 6, 7];

/// Copies `len` bytes from the beginning of `input` to `end` of `out`; none if there are not as many, or there is no room.
#[inline(always)]
pub(super) fn literals(input: &[u8], out: &mut [u8], end: usize, len: usize) -> Option<()> {
    let out = out.get_mut(end..)?;
    if len <= STEP
        && let (Some(from), Some(to)) = (input.first_chunk::<STEP>(), out.first_chunk_mut::<STEP>())
    {
        *to = *from;
    } else {
        out.get_mut(..len)?.copy_from_slice(input.get(..len)?);
    }
    Some(())
}

/// Copies to `end` the `len` bytes that are `distance` before it, byte after byte, so that they may repeat themselves; none where they are
/// not within `out`.
#[inline(always)]
pub(super) fn repeat(out: &mut [u8], end: usize, distance: usize, len: usize) -> Option<()> {
    let out = out.get_mut(end.checked_sub(distance)?..)?;
    let room = out.len().checked_sub(distance)?.checked_sub(len)?;
    if distance == 0 {
        return None;
    }
    if len > LONG || room < STEP {
        long_or_last(out, distance, len);
    } else if distance >= STEP {
        steps::<STEP>(out, distance, len)?;
    } else if distance >= 8 {
        steps::<8>(out, distance, len)?;
    } else {
        let mut pattern = u64::from_le_bytes(*out.first_chunk()?) & (u64::MAX >> (64 - 8 * distance));
        let mut known = distance;
        while known < 8 {
            pattern |= pattern << (8 * known);
            known *= 2;
        }
        let mut done = 0;
        while done < len {
            *out.get_mut(distance + done..)?.first_chunk_mut()? = pattern.to_le_bytes();
            done += PATTERN[distance];
        }
    }
    Some(())
}

/// Copies in steps of `SIZE` bytes, which is at most the distance.
#[inline(always)]
fn steps<const SIZE: usize>(out: &mut [u8], distance: usize, len: usize) -> Option<()> {
    let mut done = 0;
    while done < len {
        let piece = *out.get(done..)?.first_chunk::<SIZE>()?;
        *out.get_mut(distance + done..)?.first_chunk_mut()? = piece;
        done += SIZE;
    }
    Some(())
}

/// Copies exactly `len` bytes from the beginning of `out` to `distance`.
#[inline(never)]
fn long_or_last(out: &mut [u8], distance: usize, len: usize) {
    if distance == 1 {
        let byte = out[0];
        out[1..=len].fill(byte);
        return;
    }
    // What has been copied repeats itself with the same distance, so that each step can copy twice as much.
    let mut done = 0;
    while done < len {
        let step = (distance + done).min(len - done);
        out.copy_within(..step, distance + done);
        done += step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_repeat_themselves_byte_after_byte() {
        for room in [0, 1, 7, 15, 16, 17, 40] {
            for distance in 1..40 {
                for len in 0..150 {
                    let mut out: Vec<u8> = (0..=255).cycle().take(40 + len + room).collect();
                    let mut expected = out.clone();
                    for i in 40..40 + len {
                        expected[i] = expected[i - distance];
                    }
                    repeat(&mut out, 40, distance, len).unwrap();
                    assert_eq!(out[..40 + len], expected[..40 + len], "distance {distance}, {len} bytes, {room} after them");
                }
            }
        }
    }

    #[test]
    fn what_is_not_within_the_output_is_refused() {
        let mut out = [0; 20];
        assert!(repeat(&mut out, 10, 0, 1).is_none());
        assert!(repeat(&mut out, 10, 11, 1).is_none());
        assert!(repeat(&mut out, 10, 10, 11).is_none());
        assert!(repeat(&mut out, 21, 1, 0).is_none());
        assert!(repeat(&mut out, 10, 10, usize::MAX).is_none());
        assert!(literals(&[1; 5], &mut out, 0, 6).is_none());
        assert!(literals(&[1; 50], &mut out, 15, 6).is_none());
        assert!(literals(&[1; 50], &mut out, 21, 0).is_none());
        assert_eq!(out, [0; 20]);
    }
}
