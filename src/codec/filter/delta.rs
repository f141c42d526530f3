//! The `numcodecs.delta` codec: each number becomes its difference to the one before it.

use super::cells::Cells;
use super::dtype::Numpy;
use super::number::{Number, NumberType, with_number};
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
        with_number!(self.decoded, A => self.differences::<A>(cells));
    }

    fn differences<A: Number>(&self, cells: Cells<'_>) {
        // The first numbers stay as they are.
        let (first, rest) = cells.split_at(self.components, self.sizes());
        let mut before = [A::ZERO; 2];
        first.map(self.encoded, |number: A| {
            before = [before[1], number];
            number
        });
        let [mut older, mut last] = before;
        if self.components == 1 {
            rest.map(self.encoded, |number: A| number.sub(std::mem::replace(&mut last, number)));
        } else {
            rest.map(self.encoded, |number: A| number.sub(std::mem::replace(&mut older, std::mem::replace(&mut last, number))));
        }
    }

    /// Sums are made in a type that both fit in, and then cast.
    pub(super) fn decode(&self, cells: Cells<'_>) {
        let sum = self.encoded.promote(self.decoded);
        with_number!(self.encoded, A => match sum {
            NumberType::F16 => self.sum::<A, half::f16>(cells),
            NumberType::F32 => self.sum::<A, f32>(cells),
            NumberType::F64 => self.sum::<A, f64>(cells),
            // Integers wrap around, so that it does not matter how wide their sum is.
            _ => self.sum::<A, u64>(cells),
        });
    }

    fn sum<A: Number, W: Number>(&self, cells: Cells<'_>) {
        let sizes = (self.encoded.size(), self.decoded.size());
        let (first, rest) = cells.split_at(self.components, sizes);
        let mut before = [W::ZERO; 2];
        first.map(self.decoded, |number: A| {
            before = [before[1], W::narrow(number.widen())];
            before[1]
        });
        let [mut older, mut last] = before;
        if self.components == 1 {
            rest.map(self.decoded, |number: A| {
                last = last.add(W::narrow(number.widen()));
                last
            });
        } else {
            rest.map(self.decoded, |number: A| {
                let sum = older.add(W::narrow(number.widen()));
                older = std::mem::replace(&mut last, sum);
                sum
            });
        }
    }
}
