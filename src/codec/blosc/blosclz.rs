//! The compressor `blosclz`: literals and matches of bytes that came before, after FastLZ.
//!
//! A stream is a sequence of instructions. A literal is a byte `n` below 32 and then `n + 1` bytes. A match begins with a byte whose upper
//! three bits are its length less 2, from 1 to 6, or 7 where bytes follow whose sum comes to it (a byte below 255 is the last); its lower
//! five bits and one byte more are its distance less 1. A distance field of all ones stands for two bytes more, of which it is the sum with
//! 8191. The first instruction is a literal, whatever its upper bits say.

use crate::codec::copy::{literals, repeat};

/// The distance field that says that the distance follows.
const FAR: usize = (1 << 13) - 1;

/// The longest distance, less one.
const MAX_DISTANCE: usize = FAR + 0xffff;

/// The most bytes of one literal.
const MAX_LITERAL: usize = 32;

/// Decompresses `input` to the beginning of `out`; returns how much it holds, or none if it is damaged or holds more.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Option<usize> {
    let (mut at, mut end) = (1, 0);
    let mut control = usize::from(*input.first()?) & 31;
    loop {
        if control < MAX_LITERAL {
            let len = control + 1;
            literals(input.get(at..)?, out, end, len)?;
            at += len;
            end += len;
        } else {
            let mut len = (control >> 5) + 2;
            if control >> 5 == 7 {
                loop {
                    let more = *input.get(at)?;
                    at += 1;
                    len += usize::from(more);
                    if more != 255 {
                        break;
                    }
                }
            }
            let mut distance = (control & 31) << 8 | usize::from(*input.get(at)?);
            at += 1;
            if distance == FAR {
                let far = input.get(at..)?.first_chunk()?;
                distance += usize::from(u16::from_be_bytes(*far));
                at += 2;
            }
            repeat(out, end, distance + 1, len)?;
            end += len;
        }
        let Some(next) = input.get(at) else { return (end <= out.len()).then_some(end) };
        control = usize::from(*next);
        at += 1;
    }
}

/// Logarithm of the number of places in which an earlier sequence is looked for, by level.
const HASH_LOG: [u32; 10] = [12, 12, 13, 14, 14, 14, 14, 14, 14, 14];

/// Bytes of the table of places.
pub(super) const TABLE_BYTES: u64 = 4 << 14;

/// The shortest match that is worth its bytes, and the shortest far one.
const MIN_MATCH: usize = 4;
const MIN_FAR_MATCH: usize = 8;

/// So many bytes at the end are never part of a match: readers want a literal last.
const TAIL: usize = 8;

/// What a sample must come to, in percent of what it takes compressed, for the rest to be compressed at all, by level: less haste, less gain.
const LEAST_GAIN: [usize; 10] = [200, 200, 150, 120, 120, 120, 120, 115, 110, 0];

/// Bytes of a sample, and logarithm of the number of its places. Input that is not much longer is compressed without one.
const SAMPLE: usize = 4096;
const SAMPLE_LOG: u32 = 12;

/// Compresses `input` to the beginning of `out`; returns the size, or none if there is no room, or if too little would be gained.
pub(super) fn compress(level: u8, input: &[u8], out: &mut [u8]) -> Option<usize> {
    if input.len() < 2 * TAIL || !is_worth_it(level, input) {
        return None;
    }
    let mut places = [0_u32; 1 << 14];
    let places = places.get_mut(..1 << HASH_LOG[usize::from(level.min(9))])?;
    let mut writer = Writer { out, end: 0 };
    let rest = matches(level, input, places, |literals, distance, len| {
        writer.literals(literals)?;
        writer.repeat(distance, len)
    })?;
    writer.literals(rest)?;
    // The mark of the format in its first byte.
    *writer.out.first_mut()? |= 1 << 5;
    Some(writer.end)
}

/// Whether a sample of the input compresses well enough.
fn is_worth_it(level: u8, input: &[u8]) -> bool {
    let least = LEAST_GAIN[usize::from(level.min(9))];
    let start = input.len() / 2;
    let Some(sample) = input.get(start..start + SAMPLE).filter(|_| least > 0) else { return true };
    let instructions = |literals: usize| literals + literals.div_ceil(MAX_LITERAL);
    let mut size = 0;
    let rest = matches(level, sample, &mut [0; 1 << SAMPLE_LOG], |literals, _, _| {
        size += instructions(literals.len()) + 2;
        Some(())
    });
    size += instructions(rest.unwrap_or_default().len());
    size * least < sample.len() * 100
}

/// Gives `found` each match, with the literals before it, and its distance less one and its length; ends where that gives none. `places` are as many
/// as a power of two, and zero. Returns the literals behind the last match.
#[inline(always)]
fn matches<'a>(
    level: u8,
    input: &'a [u8],
    places: &mut [u32],
    mut found: impl FnMut(&'a [u8], usize, usize) -> Option<()>,
) -> Option<&'a [u8]> {
    let limit = input.len().checked_sub(TAIL)?;
    let shift = u32::BITS - places.len().ilog2();
    // Where literals that are not written yet begin, and where a match is looked for; the first instruction has to be a literal.
    let (mut pending, mut at, mut misses) = (0, 1, 0_usize);
    while at + MIN_MATCH <= limit {
        let sequence = u32::from_le_bytes(*input[at..].first_chunk()?);
        let slot = places.get_mut(usize::try_from(sequence.wrapping_mul(2_654_435_761) >> shift).ok()?)?;
        let earlier = usize::try_from(std::mem::replace(slot, u32::try_from(at).ok()?)).ok()?;
        let distance = at - earlier - 1;
        let len = if distance < MAX_DISTANCE { common(&input[earlier..], &input[at..limit]) } else { 0 };
        if len < MIN_MATCH || distance >= FAR && len < MIN_FAR_MATCH {
            misses += 1;
            // Data in which little is found is looked at less closely.
            at += if level < 9 { 1 + (misses >> 6) } else { 1 };
            continue;
        }
        misses = 0;
        found(&input[pending..at], distance, len)?;
        at += len;
        pending = at;
    }
    Some(&input[pending..])
}

/// How many bytes two sequences have in common at their beginning.
fn common(first: &[u8], second: &[u8]) -> usize {
    let (first_words, second_words) = (first.as_chunks::<8>().0, second.as_chunks::<8>().0);
    let mut len = 0;
    for (first, second) in first_words.iter().zip(second_words) {
        let differ = u64::from_le_bytes(*first) ^ u64::from_le_bytes(*second);
        if differ != 0 {
            return len + differ.trailing_zeros() as usize / 8;
        }
        len += 8;
    }
    len + first[len..].iter().zip(&second[len..]).take_while(|(first, second)| first == second).count()
}

/// Instructions as they are written.
struct Writer<'a> {
    out: &'a mut [u8],
    end: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.end..self.end + bytes.len())?.copy_from_slice(bytes);
        self.end += bytes.len();
        Some(())
    }

    fn literals(&mut self, bytes: &[u8]) -> Option<()> {
        for run in bytes.chunks(MAX_LITERAL) {
            self.put(&[u8::try_from(run.len() - 1).ok()?])?;
            self.put(run)?;
        }
        Some(())
    }

    /// A match; the distance is less one.
    fn repeat(&mut self, distance: usize, len: usize) -> Option<()> {
        let near = distance.min(FAR);
        let [low, high] = u16::try_from(near).ok()?.to_le_bytes();
        let short = len - 2;
        if short < 7 {
            self.put(&[u8::try_from(short).ok()? << 5 | high])?;
        } else {
            self.put(&[7 << 5 | high])?;
            let mut more = short - 7;
            while more >= 255 {
                self.put(&[255])?;
                more -= 255;
            }
            self.put(&[u8::try_from(more).ok()?])?;
        }
        self.put(&[low])?;
        if near == FAR { self.put(&u16::try_from(distance - FAR).ok()?.to_be_bytes()) } else { Some(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes out of a hundred are noise, the others zeros.
    fn noisy(percent: usize, len: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let next = |i: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if i % 100 < percent { state.to_be_bytes()[0] } else { 0 }
        };
        (0..len).map(next).collect()
    }

    #[test]
    fn what_gains_little_is_left_as_it_is() {
        for level in 1..=9 {
            let mut last = 0;
            for percent in 0..=100 {
                let input = noisy(percent, 50_000);
                let mut out = vec![0; input.len() - 1];
                if let Some(size) = compress(level, &input, &mut out) {
                    // A sample says the same as the whole here, of which a little more is found at the end.
                    assert!(size * LEAST_GAIN[usize::from(level)] < 101 * input.len(), "level {level}, {percent} %: {size}");
                    let mut back = vec![0; input.len()];
                    assert_eq!(decompress(&out[..size], &mut back), Some(input.len()));
                    assert!(back == input);
                    last = percent;
                }
            }
            let expected = if level == 9 { 95 } else { 9500 / LEAST_GAIN[usize::from(level)] };
            assert!(last + 8 > expected, "level {level}: nothing beyond {last} % of noise, where {expected} could be");
        }
    }

    #[test]
    fn short_input_is_never_a_sample() {
        for len in 0..2 * TAIL {
            assert_eq!(compress(5, &vec![0; len], &mut vec![0; len]), None);
        }
        // Noise first, which is not looked at alone.
        let input = [noisy(100, 1000), vec![0; 6000]].concat();
        assert!(compress(1, &input, &mut vec![0; input.len()]).is_some_and(|size| size < 1200));
    }
}
