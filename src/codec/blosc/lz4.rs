//! Decoder of LZ4 blocks, which is that much faster than the one of the crate on the short matches of shuffled data that frames of blosc
//! would otherwise be read at half the speed.

use super::copy::{literals, repeat, short};

/// The shortest match.
const MIN_MATCH: usize = 4;

/// A short sequence has fewer literals than this, fewer bytes of a match beyond the shortest, and no bytes that say more of its lengths.
const SHORT: usize = 15;

/// Bytes of input from which a short sequence can be read, and of output to which it can be written, without looking for the ends.
const INPUT_ROOM: usize = 18;
const OUTPUT_ROOM: usize = 48;

/// Decompresses `input` to the beginning of `out`; returns how much it holds, or none if it is damaged or holds more.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Option<usize> {
    let (mut at, mut end) = (0, 0);
    loop {
        // Most sequences are short, and far from both ends.
        while let Some(sequence) = input.get(at..).and_then(<[u8]>::first_chunk::<INPUT_ROOM>)
            && out.len() - end >= OUTPUT_ROOM
        {
            let (before, more) = (usize::from(sequence[0] >> 4), usize::from(sequence[0] & 15));
            if before >= SHORT || more >= SHORT {
                break;
            }
            *out[end..].first_chunk_mut()? = *sequence[1..].first_chunk::<16>()?;
            end += before;
            at += before + 3;
            let distance = u16::from_le_bytes([sequence[before + 1], sequence[before + 2]]);
            short(out, end, usize::from(distance), more + MIN_MATCH)?;
            end += more + MIN_MATCH;
        }
        let token = *input.get(at)?;
        at += 1;
        let len = length(token >> 4, input, &mut at)?;
        literals(input.get(at..)?, out, end, len)?;
        at += len;
        end += len;
        // The last sequence has literals alone.
        if at == input.len() {
            return (end <= out.len()).then_some(end);
        }
        let distance = u16::from_le_bytes(*input.get(at..)?.first_chunk()?);
        at += 2;
        let len = length(token & 15, input, &mut at)? + MIN_MATCH;
        repeat(out, end, usize::from(distance), len)?;
        end += len;
    }
}

/// A length of which a token says up to 15, and bytes that follow the rest.
#[inline(always)]
fn length(short: u8, input: &[u8], at: &mut usize) -> Option<usize> {
    let mut len = usize::from(short);
    if short == 15 {
        loop {
            let more = *input.get(*at)?;
            *at += 1;
            len += usize::from(more);
            if more != 255 {
                break;
            }
        }
    }
    Some(len)
}
