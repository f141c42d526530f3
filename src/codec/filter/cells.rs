//! Loops over elements that are numbers: where they lie, or from one buffer to another.
//!
//! They go by tiles: first all numbers of a tile are changed, then all are cast. Either loop has nothing in it but what is done to a number, so
//! that the compiler makes vector code of it, and is there once for all types that the other one has.

use super::number::{Kind, Number, NumberType, Wide, with_number};
use crate::error::Result;

/// Elements to be changed.
pub(in crate::codec) enum Cells<'a> {
    InPlace(&'a mut [u8]),
    Apart(&'a [u8], &'a mut [u8]),
}

/// Numbers of a tile: they stay in the cache nearest to the processor.
const TILE: usize = 256;

impl Cells<'_> {
    /// The first numbers up to `count`, and all others; `sizes` are those of a number before and after.
    pub(super) fn split_at(self, count: usize, sizes: (usize, usize)) -> (Self, Self) {
        match self {
            Self::InPlace(bytes) => {
                let (first, rest) = bytes.split_at_mut((count * sizes.0).min(bytes.len()));
                (Self::InPlace(first), Self::InPlace(rest))
            }
            Self::Apart(from, to) => {
                let (first_from, from) = from.split_at((count * sizes.0).min(from.len()));
                let (first_to, to) = to.split_at_mut((count * sizes.1).min(to.len()));
                (Self::Apart(first_from, first_to), Self::Apart(from, to))
            }
        }
    }

    /// Puts the result of `change` in the place of each number. In place both types must be of one size.
    pub(super) fn try_map<A: Number, B: Number>(self, mut change: impl FnMut(A) -> Result<B>) -> Result<()> {
        match self {
            Self::InPlace(bytes) => {
                debug_assert_eq!(A::SIZE, B::SIZE, "elements that are changed where they lie");
                for cell in bytes.chunks_exact_mut(A::SIZE) {
                    change(A::read(cell))?.write(cell);
                }
            }
            Self::Apart(from, to) => {
                for (from, to) in from.chunks_exact(A::SIZE).zip(to.chunks_exact_mut(B::SIZE)) {
                    change(A::read(from))?.write(to);
                }
            }
        }
        Ok(())
    }

    /// Puts the result of `change`, cast to the type `to` as NumPy does it, in the place of each number, in order. In place the types of both
    /// must be of one size.
    pub(super) fn map<A: Number, M: Number>(self, to: NumberType, change: impl FnMut(A) -> M) {
        self.map_to::<false, A, M>(to, change);
    }

    /// As [`Cells::map`], of floats that are rounded to integers before they are cast.
    pub(super) fn map_rounded<A: Number, M: Number>(self, to: NumberType, change: impl FnMut(A) -> M) {
        self.map_to::<true, A, M>(to, change);
    }

    fn map_to<const ROUND: bool, A: Number, M: Number>(self, to: NumberType, mut change: impl FnMut(A) -> M) {
        let mut tile = [M::ZERO; TILE];
        match self {
            Self::InPlace(bytes) => {
                debug_assert_eq!(A::SIZE, to.size(), "elements that are changed where they lie");
                for bytes in bytes.chunks_mut(TILE * A::SIZE) {
                    let tile = fill(&mut tile, bytes, &mut change);
                    with_number!(to, B => store::<ROUND, M, B>(tile, bytes));
                }
            }
            Self::Apart(from, into) => {
                for (from, into) in from.chunks(TILE * A::SIZE).zip(into.chunks_mut(TILE * to.size())) {
                    let tile = fill(&mut tile, from, &mut change);
                    with_number!(to, B => store::<ROUND, M, B>(tile, into));
                }
            }
        }
    }

    /// NumPy's cast of each number.
    pub(super) fn cast(self, from: NumberType, to: NumberType) {
        with_number!(from, A => self.map(to, |number: A| number));
    }
}

/// Fills a tile with what numbers become, as many as there are; gives that part of it.
#[inline(never)]
fn fill<'a, A: Number, M: Number>(tile: &'a mut [M; TILE], from: &[u8], change: &mut impl FnMut(A) -> M) -> &'a [M] {
    let from: &[A::Bytes] = bytemuck::try_cast_slice(&from[..from.len() / A::SIZE * A::SIZE]).unwrap_or(&[]);
    let len = from.len().min(TILE);
    for (to, from) in tile[..len].iter_mut().zip(from) {
        *to = change(A::load(*from));
    }
    &tile[..len]
}

/// Casts a tile to the beginning of `to`, rounded before it or not.
#[inline(never)]
fn store<const ROUND: bool, M: Number, B: Number>(tile: &[M], to: &mut [u8]) {
    let len = to.len() / B::SIZE * B::SIZE;
    let to: &mut [B::Bytes] = bytemuck::try_cast_slice_mut(&mut to[..len]).unwrap_or(&mut []);
    // For floats that are not too large there is a cast to integers that the compiler has vectors for. All are asked, since an early end would
    // make it one after the other.
    let near = M::KIND == Kind::Float && B::KIND == Kind::Integer && tile.iter().fold(true, |all, number| all & number.is_near());
    if near {
        for (number, to) in tile.iter().zip(to) {
            let integer = if ROUND { number.rint_near() } else { number.trunc_near() };
            *to = B::narrow(Wide::Int(integer)).store();
        }
    } else {
        for (number, to) in tile.iter().zip(to) {
            let number = if ROUND { number.rint() } else { *number };
            *to = B::narrow(number.widen()).store();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cast of floats to integers by vectors, beside the cast one by one.
    #[test]
    fn near_floats_are_cast_as_all_are() {
        let floats: Vec<f64> = (-40..40)
            .flat_map(|i| [f64::from(i) / 8.0, f64::from(i) * 52_428.8, f64::from(i) * 5e7])
            .chain([0.0, -0.0, 4_194_303.5, -4_194_303.5, 4_194_304.0, 2_147_483_647.999, -2_147_483_647.999, 0.499_999_999_999_999_94])
            .collect();
        for number in floats {
            with_each_integer(number, 1.0_f64.to_ne_bytes().len());
        }
        for number in [f64::NAN, f64::INFINITY, -2_147_483_648.0, 2_147_483_648.0, 1e300] {
            assert!(!number.is_near() && !f64::narrow(Wide::F64(number)).is_near());
        }
    }

    fn with_each_integer(number: f64, room: usize) {
        use NumberType::{I8, I16, I32, I64, U8, U16, U32, U64};
        #[expect(clippy::cast_possible_truncation, reason = "any float will do")]
        let single = number as f32;
        for to in [I8, I16, I32, I64, U8, U16, U32, U64] {
            let (mut by_tile, mut alone) = (vec![0; room], vec![0; room]);
            with_number!(to, B => {
                store::<false, f64, B>(&[number], &mut by_tile);
                B::narrow(Wide::F64(number)).write(&mut alone[..B::SIZE]);
                assert_eq!(by_tile, alone, "{number} to {to:?}");
                store::<true, f64, B>(&[number], &mut by_tile);
                B::narrow(Wide::F64(number.round_ties_even())).write(&mut alone[..B::SIZE]);
                assert_eq!(by_tile, alone, "{number} rounded to {to:?}");
                store::<false, f32, B>(&[single], &mut by_tile);
                B::narrow(Wide::F32(single)).write(&mut alone[..B::SIZE]);
                assert_eq!(by_tile, alone, "{single} to {to:?}");
                store::<true, f32, B>(&[single], &mut by_tile);
                B::narrow(Wide::F32(single.round_ties_even())).write(&mut alone[..B::SIZE]);
                assert_eq!(by_tile, alone, "{single} rounded to {to:?}");
            });
        }
    }

    #[test]
    fn floats_are_rounded_as_the_processor_does_it() {
        for quarter in -100_i16..100 {
            for factor in [0.25, 0.125, 20_971.52, 1e15, 3e6 + 0.5] {
                let number = f64::from(quarter) * factor;
                #[expect(clippy::cast_possible_truncation, reason = "any float will do")]
                let single = number as f32;
                assert_eq!(number.rint().to_bits(), number.round_ties_even().to_bits(), "{number}");
                assert_eq!(single.rint().to_bits(), single.round_ties_even().to_bits(), "{single}");
            }
        }
        assert!(f64::NAN.rint().is_nan() && f32::INFINITY.rint() == f32::INFINITY);
    }

    #[test]
    fn tiles_end_anywhere() {
        for count in [0, 1, TILE - 1, TILE, TILE + 1, 3 * TILE + 7] {
            let numbers: Vec<i32> = (0..count).map(|i| i32::try_from(i).unwrap() * 1_000_003).collect();
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
            let mut apart = vec![0; 2 * count];
            Cells::Apart(&bytes, &mut apart).map(NumberType::I16, |number: i32| number.wrapping_add(1));
            #[expect(clippy::cast_possible_truncation, reason = "casts wrap around")]
            let expected: Vec<u8> = numbers.iter().flat_map(|number| (number.wrapping_add(1) as i16).to_ne_bytes()).collect();
            assert_eq!(apart, expected);
            let mut in_place = bytes.clone();
            Cells::InPlace(&mut in_place).map(NumberType::U32, |number: i32| number.wrapping_add(1));
            assert_eq!(in_place, numbers.iter().flat_map(|number| number.wrapping_add(1).to_ne_bytes()).collect::<Vec<u8>>());
        }
    }
}
