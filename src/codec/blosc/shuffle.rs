//! Byte shuffling: the first bytes of all elements, then the second bytes, and so on; and back.
//!
//! What is left over of a block that is no whole number of elements stays at its end as it is.

/// Elements of one tile: a cache line of every plane, so that each line is fetched once although planes lie at strides which are powers of
/// two and compete for the same places in the cache.
pub(super) const TILE: usize = 64;

/// Shuffles `input` to `output`, which is of the same length.
pub(super) fn shuffle(typesize: usize, input: &[u8], output: &mut [u8]) {
    let whole = whole_elements(typesize, input, output);
    let (input, output) = (&input[..whole], &mut output[..whole]);
    match typesize {
        2 => shuffle_by::<2>(input, output),
        4 => shuffle_by::<4>(input, output),
        8 => shuffle_by::<8>(input, output),
        16 => shuffle_by::<16>(input, output),
        _ => scatter(typesize, 0, input, output),
    }
}

/// Undoes [`shuffle`].
pub(super) fn unshuffle(typesize: usize, input: &[u8], output: &mut [u8]) {
    let whole = whole_elements(typesize, input, output);
    let (input, output) = (&input[..whole], &mut output[..whole]);
    match typesize {
        2 => unshuffle_by::<2>(input, output),
        4 => unshuffle_by::<4>(input, output),
        8 => unshuffle_by::<8>(input, output),
        16 => unshuffle_by::<16>(input, output),
        _ => gather(typesize, 0, input, output),
    }
}

/// Copies what is no whole element; returns the length of what is.
fn whole_elements(typesize: usize, input: &[u8], output: &mut [u8]) -> usize {
    let whole = input.len() - input.len() % typesize;
    output[whole..].copy_from_slice(&input[whole..]);
    whole
}

/// Undoes [`unshuffle_by`].
fn shuffle_by<const SIZE: usize>(input: &[u8], output: &mut [u8]) {
    let (count, steps) = (input.len() / SIZE, SIZE.trailing_zeros());
    let (mut first, mut second) = ([[[0; TILE]; 2]; SIZE], [[[0; TILE]; 2]; SIZE]);
    for (tile, from) in input.chunks_exact(SIZE * TILE).enumerate() {
        let from = from.as_chunks::<TILE>().0.as_chunks::<2>().0;
        let (mut done, mut next) = (&mut first, &mut second);
        for step in 0..steps {
            for pair in 0..SIZE / 2 {
                let from = if step == 0 { &from[pair] } else { &done[pair] };
                if step + 1 == steps {
                    even(from, &mut output[pair * count + tile * TILE..].as_chunks_mut().0[0]);
                    odd(from, &mut output[(pair + SIZE / 2) * count + tile * TILE..].as_chunks_mut().0[0]);
                } else {
                    let rows = next.as_flattened_mut();
                    even(from, &mut rows[pair]);
                    odd(from, &mut rows[pair + SIZE / 2]);
                }
            }
            std::mem::swap(&mut done, &mut next);
        }
    }
    scatter(SIZE, count - count % TILE, input, output);
}

/// Brings bytes from planes to elements, tile by tile. In a tile, byte `i` of plane `s` is at `TILE s + i` and has to come to `SIZE i + s`: as
/// `SIZE` is a power of two, a rotation of the bits of its place, which is done bit by bit, each time by interleaving the two halves.
fn unshuffle_by<const SIZE: usize>(input: &[u8], output: &mut [u8]) {
    let (count, steps) = (input.len() / SIZE, SIZE.trailing_zeros());
    let (mut first, mut second) = ([[[0; TILE]; 2]; SIZE], [[[0; TILE]; 2]; SIZE]);
    for (tile, to) in output.chunks_exact_mut(SIZE * TILE).enumerate() {
        let to = to.as_chunks_mut::<TILE>().0.as_chunks_mut::<2>().0;
        let plane = |plane: usize| &input[plane * count + tile * TILE..].as_chunks().0[0];
        let (mut done, mut next) = (&mut first, &mut second);
        for step in 0..steps {
            for pair in 0..SIZE / 2 {
                let rows = done.as_flattened();
                let (low, high) = if step == 0 { (plane(pair), plane(pair + SIZE / 2)) } else { (&rows[pair], &rows[pair + SIZE / 2]) };
                zip(low, high, if step + 1 == steps { &mut to[pair] } else { &mut next[pair] });
            }
            std::mem::swap(&mut done, &mut next);
        }
    }
    gather(SIZE, count - count % TILE, input, output);
}

// Not inlined, for then each is a loop that compilers turn into vector instructions.

/// Interleaves two rows.
#[inline(never)]
pub(super) fn zip(first: &[u8; TILE], second: &[u8; TILE], to: &mut [[u8; TILE]; 2]) {
    for ((to, first), second) in to.as_flattened_mut().as_chunks_mut().0.iter_mut().zip(first).zip(second) {
        *to = [*first, *second];
    }
}

/// The first bytes of pairs.
#[inline(never)]
pub(super) fn even(from: &[[u8; TILE]; 2], to: &mut [u8; TILE]) {
    for (from, to) in from.as_flattened().as_chunks().0.iter().zip(to) {
        *to = (u16::from_le_bytes(*from) & 0xff) as u8;
    }
}

/// The second bytes of pairs.
#[inline(never)]
pub(super) fn odd(from: &[[u8; TILE]; 2], to: &mut [u8; TILE]) {
    for (from, to) in from.as_flattened().as_chunks().0.iter().zip(to) {
        *to = (u16::from_le_bytes(*from) >> 8) as u8;
    }
}

/// Shuffles the elements from `first` on, one byte at a time.
fn scatter(typesize: usize, first: usize, input: &[u8], output: &mut [u8]) {
    let count = input.len() / typesize;
    if count == first {
        return;
    }
    for (plane, to) in output.chunks_exact_mut(count).enumerate() {
        for (to, element) in to.iter_mut().zip(input.chunks_exact(typesize)).skip(first) {
            *to = element[plane];
        }
    }
}

/// Undoes [`scatter`].
fn gather(typesize: usize, first: usize, input: &[u8], output: &mut [u8]) {
    let count = input.len() / typesize;
    if count == first {
        return;
    }
    for (plane, from) in input.chunks_exact(count).enumerate() {
        for (from, element) in from.iter().zip(output.chunks_exact_mut(typesize)).skip(first) {
            element[plane] = *from;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::blosc::bitshuffle::{bitshuffle, bitunshuffle};

    /// Elements around the sizes of tiles, and what is left over of one.
    fn lens(typesize: usize) -> impl Iterator<Item = usize> {
        let counts = [0, 1, 7, 8, 9, 63, 64, 65, 128, 504, 512, 520, 1024, 1032];
        counts.into_iter().flat_map(move |count| [count * typesize, count * typesize + typesize - 1])
    }

    fn some(len: usize) -> Vec<u8> {
        (0..len).map(|i| u8::try_from((i * i / 3 + i) % 251).unwrap()).collect()
    }

    #[test]
    fn bytes_are_where_they_are_defined_to_be() {
        // FMT-BL-6.
        for typesize in [2, 3, 4, 5, 8, 12, 16, 17, 255] {
            for len in lens(typesize) {
                let (input, count) = (some(len), len / typesize);
                let (mut output, mut back) = (vec![0xaa; len], vec![0xaa; len]);
                shuffle(typesize, &input, &mut output);
                for (i, byte) in input.iter().enumerate() {
                    let to = if i < count * typesize { i % typesize * count + i / typesize } else { i };
                    assert_eq!(output[to], *byte, "byte {i} of {len}, elements of {typesize}");
                }
                unshuffle(typesize, &output, &mut back);
                assert_eq!(back, input, "{len} bytes, elements of {typesize}");
            }
        }
    }

    #[test]
    fn bits_are_where_they_are_defined_to_be() {
        // FMT-BL-6.
        for typesize in [1, 2, 3, 4, 5, 8, 12, 16, 17, 255] {
            for len in lens(typesize) {
                let (input, count) = (some(len), len / typesize);
                let (mut output, mut back) = (vec![0xaa; len], vec![0xaa; len]);
                bitshuffle(typesize, &input, &mut output);
                let whole = if count % 8 == 0 { count * typesize } else { 0 };
                for (i, byte) in input[..whole].iter().enumerate() {
                    for bit in 0..8 {
                        let (row, element) = (i % typesize * 8 + bit, i / typesize);
                        let got = output[row * count / 8 + element / 8] >> (element % 8) & 1;
                        assert_eq!(got, byte >> bit & 1, "bit {bit} of byte {i} of {len}, elements of {typesize}");
                    }
                }
                assert_eq!(output[whole..], input[whole..]);
                bitunshuffle(typesize, &output, &mut back);
                assert_eq!(back, input, "{len} bytes, elements of {typesize}");
            }
        }
    }
}
