//! Decoding of LZ4 blocks (lz4_Block_format.md of the reference implementation), by themselves and in frames of blosc.
//!
//! A block is a list of sequences: some literals, then a match, which repeats earlier output; the last one has literals alone. Sequences are
//! short, so what counts is that a short copy is of a fixed size: more is copied than is meant, and the next sequence writes over the rest.
//!
//! Invariants
//! 1. The source of a match begins within what was decoded. What is decoded is a function of the block, whatever `out` held before: bytes that
//!    a copy of fixed size takes from behind the output end up behind the output.
//! 2. Where a copy of fixed size would leave `input` or `out`, one of the exact size is made.

use crate::codec::copy::repeat;

/// What is wrong with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It ends within a sequence.
    CutOff,
    /// A match begins before the output, or at its end.
    Offset,
    /// It holds more than there is room for.
    TooLong,
}

/// The literals of a token that says no more, and the two bytes after them.
const SHORT_INPUT: usize = 18;

/// The largest copies of fixed size.
const MEDIUM: usize = 32;

/// How far the end of the output must be for copies of fixed size: literals, and a match after them.
const OUTPUT_MARGIN: usize = 3 * MEDIUM;

/// Decodes the block `input` to the beginning of `out`; returns how many bytes it holds. After an error `out` holds anything.
pub(crate) fn decode(input: &[u8], out: &mut [u8]) -> Result<usize, Fault> {
    let (mut at, mut to) = (0, 0);
    let (safe_at, safe_to) = (input.len().saturating_sub(SHORT_INPUT), out.len().saturating_sub(OUTPUT_MARGIN));
    loop {
        let &token = input.get(at).ok_or(Fault::CutOff)?;
        at += 1;
        let (mut literals, mut matched) = (usize::from(token >> 4), usize::from(token & 15) + 4);
        if literals != 15 && matched != 19 && at <= safe_at && to < safe_to {
            let window = input[at..].first_chunk::<SHORT_INPUT>().ok_or(Fault::CutOff)?;
            out[to..to + 16].copy_from_slice(&window[..16]);
            to += literals;
            let offset = usize::from(u16::from_le_bytes([window[literals], window[literals + 1]]));
            at += literals + 2;
            let from = to.checked_sub(offset).ok_or(Fault::Offset)?;
            if offset >= matched {
                out.copy_within(from..from + SHORT_INPUT, to);
            } else {
                repeat_short(&mut out[from..], offset)?;
            }
            to += matched;
            continue;
        }
        if literals == 15 {
            literals += length(input, &mut at)?;
        }
        copy_literals(&input[at..], literals, out, to, to < safe_to)?;
        (at, to) = (at + literals, to + literals);
        if at == input.len() {
            return Ok(to);
        }
        let offset = input[at..].first_chunk().ok_or(Fault::CutOff)?;
        let offset = usize::from(u16::from_le_bytes(*offset));
        at += 2;
        if matched == 19 {
            matched += length(input, &mut at)?;
        }
        copy_match(out, to, offset, matched, to < safe_to)?;
        to += matched;
    }
}

/// The rest of a length, whose bytes add up until one is not 255.
#[inline(always)]
fn length(input: &[u8], at: &mut usize) -> Result<usize, Fault> {
    let mut length = 0_usize;
    loop {
        let &byte = input.get(*at).ok_or(Fault::CutOff)?;
        *at += 1;
        length += usize::from(byte);
        if byte != u8::MAX {
            return Ok(length);
        }
    }
}

#[inline(always)]
fn copy_literals(input: &[u8], count: usize, out: &mut [u8], to: usize, room: bool) -> Result<(), Fault> {
    if let Some(window) = input.first_chunk::<MEDIUM>()
        && count <= MEDIUM
        && room
    {
        out[to..to + MEDIUM].copy_from_slice(window);
        return Ok(());
    }
    let literals = input.get(..count).ok_or(Fault::CutOff)?;
    out.get_mut(to..).and_then(|rest| rest.get_mut(..count)).ok_or(Fault::TooLong)?.copy_from_slice(literals);
    Ok(())
}

#[inline(always)]
fn copy_match(out: &mut [u8], to: usize, offset: usize, count: usize, room: bool) -> Result<(), Fault> {
    let from = to.checked_sub(offset).ok_or(Fault::Offset)?;
    if count <= MEDIUM && offset >= count && room {
        out.copy_within(from..from + MEDIUM, to);
        return Ok(());
    }
    if offset == 0 {
        return Err(Fault::Offset);
    }
    repeat(out, to, offset, count).ok_or(Fault::TooLong)
}

/// Repeats the first `offset` bytes of `out` for at least as many bytes as a token can say, where `offset` is less than that.
#[inline(always)]
fn repeat_short(out: &mut [u8], offset: usize) -> Result<(), Fault> {
    let window = out.first_chunk_mut::<{ SHORT_INPUT + 26 }>().ok_or(Fault::TooLong)?;
    if offset == 0 {
        return Err(Fault::Offset);
    }
    if offset >= 8 {
        for from in [0, 8, 16] {
            window.copy_within(from..from + 8, from + offset);
        }
    } else {
        for from in 0..SHORT_INPUT {
            window[from + offset] = window[from];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, byte by byte.
    fn slowly(input: &[u8], room: usize) -> Result<Vec<u8>, Fault> {
        let (mut rest, mut out) = (input.iter().copied(), Vec::new());
        let length = |start: u8, rest: &mut std::iter::Copied<std::slice::Iter<'_, u8>>| {
            let mut total = usize::from(start);
            let mut last = if start == 15 { 255 } else { 0 };
            while last == 255 {
                last = rest.next().ok_or(Fault::CutOff)?;
                total += usize::from(last);
            }
            Ok(total)
        };
        loop {
            let token = rest.next().ok_or(Fault::CutOff)?;
            for _ in 0..length(token >> 4, &mut rest)? {
                out.push(rest.next().ok_or(Fault::CutOff)?);
            }
            if out.len() > room {
                return Err(Fault::TooLong);
            }
            let Some(low) = rest.next() else { return Ok(out) };
            let offset = usize::from(u16::from_le_bytes([low, rest.next().ok_or(Fault::CutOff)?]));
            for _ in 0..length(token & 15, &mut rest)? + 4 {
                let from = out.len().checked_sub(offset).filter(|_| offset > 0).ok_or(Fault::Offset)?;
                out.push(out[from]);
            }
            if out.len() > room {
                return Err(Fault::TooLong);
            }
        }
    }

    fn check(input: &[u8], room: usize) -> Result<(), TestCaseError> {
        let (mut zeros, mut ones) = (vec![0; room], vec![0xff; room]);
        let (first, second) = (decode(input, &mut zeros), decode(input, &mut ones));
        prop_assert_eq!(first, second);
        let expected = slowly(input, room);
        prop_assert_eq!(first.is_ok(), expected.is_ok(), "{:?}, {:?}", first, expected);
        if let (Ok(len), Ok(expected)) = (first, expected) {
            prop_assert_eq!(&zeros[..len], &expected);
            prop_assert_eq!(&ones[..len], &expected);
        }
        Ok(())
    }

    /// The bytes of a sequence: literals, and a match where there is one.
    fn sequence((literals, matched): &(Vec<u8>, Option<(u16, usize)>)) -> Vec<u8> {
        let nibble = |length: usize| u8::try_from(length.min(15)).unwrap();
        let more = |length: usize| {
            let rest = length.checked_sub(15);
            rest.into_iter().flat_map(|rest| std::iter::repeat_n(255, rest / 255).chain(u8::try_from(rest % 255)))
        };
        let low = matched.map_or(0, |(_, length)| nibble(length));
        let mut bytes = vec![nibble(literals.len()) << 4 | low];
        bytes.extend(more(literals.len()));
        bytes.extend(literals);
        if let Some((offset, length)) = matched {
            bytes.extend(offset.to_le_bytes());
            bytes.extend(more(*length));
        }
        bytes
    }

    fn blocks() -> impl Strategy<Value = Vec<u8>> {
        let literals = prop_oneof![prop::collection::vec(any::<u8>(), 0..15), prop::collection::vec(any::<u8>(), 0..300)];
        let offset = prop_oneof![8 => 1..40_u16, 2 => 1..600_u16, 1 => Just(0_u16)];
        let length = prop_oneof![4 => 0..15_usize, 2 => 0..40_usize, 1 => 0..700_usize];
        let sequences = prop::collection::vec((literals.clone(), (offset, length).prop_map(Some)), 0..40);
        (sequences, literals).prop_map(|(sequences, last)| sequences.iter().flat_map(sequence).chain(sequence(&(last, None))).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        // FMT-BB-4
        #[test]
        fn blocks_mean_what_the_definition_says(block in blocks(), room in 0..200_usize, exact in any::<bool>()) {
            let len = slowly(&block, usize::MAX).map_or(5000, |decoded| decoded.len());
            check(&block, if exact { len } else { (len + room).saturating_sub(100) })?;
        }

        #[test]
        fn damaged_blocks_too(block in blocks(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut bad = block.clone();
            if cut {
                bad.truncate(at.index(block.len()));
            } else {
                bad[at.index(block.len())] = byte;
            }
            check(&bad, slowly(&block, usize::MAX).map_or(5000, |decoded| decoded.len()))?;
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), room in 0..3000_usize) {
            check(&bytes, room)?;
        }

        #[test]
        fn what_the_encoder_makes(parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..40), 1..20_usize), 0..30)) {
            let input: Vec<u8> = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect();
            let block = lz4_flex::block::compress(&input);
            let mut out = vec![0; input.len()];
            prop_assert_eq!(decode(&block, &mut out), Ok(input.len()));
            prop_assert_eq!(out, input);
        }
    }

    #[test]
    fn the_smallest_blocks() {
        assert_eq!(decode(&[], &mut [0; 9]), Err(Fault::CutOff));
        assert_eq!(decode(&[0], &mut []), Ok(0));
        assert_eq!(decode(&[0x10, 7], &mut []), Err(Fault::TooLong));
        let mut out = [0; 1];
        assert_eq!(decode(&[0x10, 7], &mut out), Ok(1));
        assert_eq!(out, [7]);
    }
}
