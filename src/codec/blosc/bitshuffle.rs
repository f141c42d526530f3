//! Bit shuffling: the lowest bits of the first bytes of all elements, then their next bits, and so on; and back.
//!
//! A block of a number of elements that is no multiple of eight stays as it is, and so does what is left over of the last element.

use super::shuffle::{TILE, even, odd, shuffle, unshuffle, zip};

/// Elements of a tile: those of which each bit fills a row.
const ELEMENTS: usize = 8 * TILE;

/// The widest elements whose planes are collected for the fast ways of [`unshuffle`].
const WIDE: usize = 16;

/// One row a bit, or one row an element out of eight.
type Rows = [[u64; TILE / 8]; 8];

/// Bytes of one tile on their way: rows that are read or written, and a second set between steps.
struct Work {
    first: Rows,
    second: Rows,
    /// One byte of each element, for all bytes of an element that is narrow enough.
    planes: [[u8; ELEMENTS]; WIDE],
}

/// Shuffles the bits of `input` to `output`, which is of the same length.
pub(super) fn bitshuffle(typesize: usize, input: &[u8], output: &mut [u8]) {
    let whole = whole_elements(typesize, input, output);
    let row_len = whole / typesize / 8;
    let mut work = Work::new();
    for (tile, from) in input[..whole].chunks(typesize * ELEMENTS).enumerate() {
        let collected = work.collects(typesize, from.len());
        if collected && typesize > 1 {
            shuffle(typesize, from, &mut work.planes.as_flattened_mut()[..from.len()]);
        } else if collected {
            work.planes[0].copy_from_slice(from);
        }
        for byte in 0..typesize {
            if !collected {
                for (to, element) in work.planes[0].iter_mut().zip(from.chunks_exact(typesize)) {
                    *to = element[byte];
                }
            }
            work.bits_of(if collected { byte } else { 0 });
            for (bit, row) in bytes(&work.second).iter().enumerate() {
                let to = &mut output[(8 * byte + bit) * row_len + tile * TILE..];
                match to.first_chunk_mut() {
                    Some(to) if from.len() == typesize * ELEMENTS => *to = *row,
                    _ => to[..from.len() / typesize / 8].copy_from_slice(&row[..from.len() / typesize / 8]),
                }
            }
        }
    }
}

/// Undoes [`bitshuffle`].
pub(super) fn bitunshuffle(typesize: usize, input: &[u8], output: &mut [u8]) {
    let whole = whole_elements(typesize, input, output);
    let row_len = whole / typesize / 8;
    let mut work = Work::new();
    for (tile, to) in output[..whole].chunks_mut(typesize * ELEMENTS).enumerate() {
        let collected = work.collects(typesize, to.len());
        for byte in 0..typesize {
            for (bit, row) in bytes_mut(&mut work.first).iter_mut().enumerate() {
                let from = &input[(8 * byte + bit) * row_len + tile * TILE..];
                match from.first_chunk() {
                    Some(from) if to.len() == typesize * ELEMENTS => *row = *from,
                    _ => row[..to.len() / typesize / 8].copy_from_slice(&from[..to.len() / typesize / 8]),
                }
            }
            work.plane_of(if collected { byte } else { 0 });
            if !collected {
                for (from, element) in work.planes[0].iter().zip(to.chunks_exact_mut(typesize)) {
                    element[byte] = *from;
                }
            }
        }
        if collected && typesize > 1 {
            unshuffle(typesize, &work.planes.as_flattened()[..to.len()], to);
        } else if collected {
            to.copy_from_slice(&work.planes[0]);
        }
    }
}

/// Copies what stays as it is; returns the length of what does not.
fn whole_elements(typesize: usize, input: &[u8], output: &mut [u8]) -> usize {
    let count = input.len() / typesize;
    let whole = if count.is_multiple_of(8) { count * typesize } else { 0 };
    output[whole..].copy_from_slice(&input[whole..]);
    whole
}

impl Work {
    fn new() -> Self {
        Self { first: [[0; TILE / 8]; 8], second: [[0; TILE / 8]; 8], planes: [[0; ELEMENTS]; WIDE] }
    }

    /// Whether a tile of `len` bytes is full, and of elements for which the fast ways of shuffling its bytes are.
    fn collects(&self, typesize: usize, len: usize) -> bool {
        len == typesize * ELEMENTS && typesize <= WIDE && typesize.is_power_of_two()
    }

    /// Makes rows of bits (`second`) of one byte of each element.
    fn bits_of(&mut self, plane: usize) {
        let plane = self.planes[plane].as_chunks().0.as_chunks::<2>().0;
        part(plane, bytes_mut(&mut self.second));
        part(bytes(&self.second).as_chunks().0, bytes_mut(&mut self.first));
        part(bytes(&self.first).as_chunks().0, bytes_mut(&mut self.second));
        transpose(&mut self.second);
    }

    /// Makes one byte of each element of its rows of bits (`first`).
    fn plane_of(&mut self, plane: usize) {
        transpose(&mut self.first);
        interleave(bytes(&self.first), bytes_mut(&mut self.second));
        interleave(bytes(&self.second), bytes_mut(&mut self.first));
        interleave(bytes(&self.first), self.planes[plane].as_chunks_mut().0);
    }
}

/// One of the three steps that interleave eight rows: see `unshuffle_by`.
fn interleave(from: &[[u8; TILE]; 8], to: &mut [[u8; TILE]]) {
    for (pair, to) in to.as_chunks_mut().0.iter_mut().enumerate() {
        zip(&from[pair], &from[pair + 4], to);
    }
}

/// Undoes [`interleave`].
fn part(from: &[[[u8; TILE]; 2]], to: &mut [[u8; TILE]; 8]) {
    for (pair, from) in from.iter().enumerate() {
        even(from, &mut to[pair]);
        odd(from, &mut to[pair + 4]);
    }
}

fn bytes(rows: &Rows) -> &[[u8; TILE]; 8] {
    bytemuck::cast_ref(rows)
}

fn bytes_mut(rows: &mut Rows) -> &mut [[u8; TILE]; 8] {
    bytemuck::cast_mut(rows)
}

/// Transposes the eight by eight bits which are in the bytes at one place of all rows, at every place.
#[inline(never)]
fn transpose(rows: &mut Rows) {
    const QUARTERS: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    const PAIRS: u64 = 0x3333_3333_3333_3333;
    const SINGLE: u64 = 0x5555_5555_5555_5555;
    let [a, b, c, d, e, f, g, h] = rows;
    for i in 0..TILE / 8 {
        let mut x = [a[i], b[i], c[i], d[i], e[i], f[i], g[i], h[i]];
        for (first, second) in [(0, 4), (1, 5), (2, 6), (3, 7)] {
            exchange::<4>(&mut x, first, second, QUARTERS);
        }
        for (first, second) in [(0, 2), (1, 3), (4, 6), (5, 7)] {
            exchange::<2>(&mut x, first, second, PAIRS);
        }
        for (first, second) in [(0, 1), (2, 3), (4, 5), (6, 7)] {
            exchange::<1>(&mut x, first, second, SINGLE);
        }
        [a[i], b[i], c[i], d[i], e[i], f[i], g[i], h[i]] = x;
    }
}

/// Exchanges the upper bits of the first with the lower bits (`mask`) of the second.
#[inline(always)]
fn exchange<const SHIFT: u32>(x: &mut [u64; 8], first: usize, second: usize, mask: u64) {
    let differ = (x[first] >> SHIFT ^ x[second]) & mask;
    x[second] ^= differ;
    x[first] ^= differ << SHIFT;
}
