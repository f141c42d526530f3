//! Booleans of a byte each as bits, eight a byte: the innermost loops of codecs that pack them.

/// Which bit of a byte the first of eight booleans is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum First {
    Lowest,
    Highest,
}

/// The lowest bit of each of eight bytes.
const LOWEST: u64 = 0x0101_0101_0101_0101;

/// Moves the lowest bit of the first byte to bit 56, that of the second to bit 57, and so on: byte `i` times 2^(56 - 7 i) has it at 56 + i.
const GATHER: u64 = 0x0102_0408_1020_4080;

/// The eight bits of every byte, each as a byte.
static SPREAD: [[u8; 8]; 256] = spread();

const fn spread() -> [[u8; 8]; 256] {
    let mut table = [[0; 8]; 256];
    let (mut byte, mut bits) = (0, 0_u8);
    while byte < table.len() {
        let mut bit = 0;
        while bit < 8 {
            table[byte][bit] = bits >> bit & 1;
            bit += 1;
        }
        byte += 1;
        bits = bits.wrapping_add(1);
    }
    table
}

/// Packs the lowest bit of each byte of `from` to `to`; bits that are left over are 0.
pub(super) fn pack(first: First, from: &[u8], to: &mut [u8]) {
    let (words, rest) = from.as_chunks::<8>();
    let (squares, single) = words.as_chunks::<8>();
    let (square_bytes, single_bytes) = to.split_at_mut((8 * squares.len()).min(to.len()));
    for (square, to) in squares.iter().zip(square_bytes.as_chunks_mut().0) {
        *to = transpose(first, square);
    }
    for (group, to) in single.iter().zip(single_bytes) {
        *to = gather(first, *group);
    }
    if let Some(to) = to.get_mut(words.len())
        && !rest.is_empty()
    {
        let mut group = [0; 8];
        group[..rest.len()].copy_from_slice(rest);
        *to = gather(first, group);
    }
}

#[inline(always)]
fn gather(first: First, group: [u8; 8]) -> u8 {
    lowest(first, group).wrapping_mul(GATHER).to_be_bytes()[0]
}

/// The lowest bits of eight bytes, the first of them in the lowest byte or the highest.
#[inline(always)]
fn lowest(first: First, group: [u8; 8]) -> u64 {
    let bytes = if first == First::Lowest { u64::from_le_bytes(group) } else { u64::from_be_bytes(group) };
    bytes & LOWEST
}

/// Packs eight groups at once: bit `i` of byte `j` is first taken from byte `j` of group `i`, and then becomes bit `j` of byte `i`.
#[inline(always)]
fn transpose(first: First, groups: &[[u8; 8]; 8]) -> [u8; 8] {
    let mut bits = (0..).zip(groups).fold(0, |bits, (i, group)| bits | lowest(first, *group) << i);
    for (shift, mask) in [(7, 0x00aa_00aa_00aa_00aa), (14, 0x0000_cccc_0000_cccc), (28, 0x0000_0000_f0f0_f0f0)] {
        let differ: u64 = (bits >> shift ^ bits) & mask;
        bits ^= differ ^ differ << shift;
    }
    bits.to_le_bytes()
}

/// Undoes [`pack`] for as many booleans as `to` has room for.
pub(super) fn unpack(first: First, from: &[u8], to: &mut [u8]) {
    let group = |byte: u8| SPREAD[usize::from(if first == First::Lowest { byte } else { byte.reverse_bits() })];
    let (groups, rest) = to.as_chunks_mut::<8>();
    for (to, &byte) in groups.iter_mut().zip(from) {
        *to = group(byte);
    }
    if let Some(&byte) = from.get(groups.len()) {
        rest.copy_from_slice(&group(byte)[..rest.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_where_they_should_be() {
        for first in [First::Lowest, First::Highest] {
            for len in 0..200_usize {
                let bools: Vec<u8> = (0..len).map(|i| u8::from(i * i % 7 < 3)).collect();
                let mut packed = vec![0xff; len.div_ceil(8)];
                // Only the lowest bit of a byte counts.
                pack(first, &bools.iter().map(|bit| bit | 0xa4).collect::<Vec<_>>(), &mut packed);
                for bit in 0..packed.len() * 8 {
                    let at = if first == First::Lowest { bit % 8 } else { 7 - bit % 8 };
                    assert_eq!(packed[bit / 8] >> at & 1, bools.get(bit).copied().unwrap_or(0), "{first:?}, bit {bit} of {len}");
                }
                let mut unpacked = vec![0xff; len];
                unpack(first, &packed, &mut unpacked);
                assert_eq!(unpacked, bools, "{first:?}, {len} bits");
            }
        }
    }
}
