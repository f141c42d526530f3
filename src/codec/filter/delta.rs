//! The `numcodecs.delta` codec: each number becomes its difference to the one before it.

use super::dtype::Numpy;
use super::number::{Cells, Number, NumberType, with_number};
use crate::error::{Error, Result};

/// The codec between two types of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delta {
    decoded: NumberType,
    encoded: NumberType,
    /// Components of an element, each with differences of its own.
    components: usize,
}

impl Delta {
    pub(super) const NAME: &'static str = "numcodecs.delta";

    /// The codec between elements of these types.
    pub(super) fn new(decoded: Numpy, encoded: Numpy) -> Result<Self> {
        if decoded.complex != encoded.complex {
            return Err(Error::unsupported(format!("{} between complex numbers and others", Self::NAME)));
        }
        if [decoded.number, encoded.number].contains(&NumberType::Bool) {
            return Err(Error::unsupported(format!("{} for bool, from which no reader gets back what was written", Self::NAME)));
        }
        Ok(Self { decoded: decoded.number, encoded: encoded.number, components: if decoded.complex { 2 } else { 1 } })
    }

    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.decoded.size(), self.encoded.size())
    }

    /// Differences are made in the decoded type, and then cast.
    pub(super) fn encode(&self, cells: Cells<'_>) {
        with_number!(self.decoded, A => with_number!(self.encoded, B => {
            let mut before: [Option<A>; 2] = [None; 2];
            let mut component = 0;
            cells.map(|number: A| {
                let difference = before[component].map_or(number, |before| number.sub(before));
                before[component] = Some(number);
                component = (component + 1) % self.components;
                B::narrow(difference.widen())
            });
        }));
    }

    /// Sums are made in a type that both fit in, and then cast.
    pub(super) fn decode(&self, cells: Cells<'_>) {
        let sum = self.encoded.promote(self.decoded);
        with_number!(self.encoded, A => with_number!(self.decoded, B => {
            match sum {
                // Integers wrap around, so that their sum can be made in the decoded type.
                _ if !sum.is_float() => self.sum::<A, B, B>(cells),
                NumberType::F16 => self.sum::<A, half::f16, B>(cells),
                NumberType::F32 => self.sum::<A, f32, B>(cells),
                _ => self.sum::<A, f64, B>(cells),
            }
        }));
    }

    fn sum<A: Number, W: Number, B: Number>(&self, cells: Cells<'_>) {
        let mut sums: [Option<W>; 2] = [None; 2];
        let mut component = 0;
        cells.map(|number: A| {
            let number = W::narrow(number.widen());
            let sum = sums[component].map_or(number, |sum| sum.add(number));
            sums[component] = Some(sum);
            component = (component + 1) % self.components;
            B::narrow(sum.widen())
        });
    }
}
