//! The `numcodecs.fixedscaleoffset` codec: an offset is subtracted, a factor multiplied, and the result rounded and cast.

use serde_json::Value;

use super::cells::Cells;
use super::dtype::Numpy;
use super::number::{Bool, Number, NumberType, Wide, with_number};
use crate::error::{Error, Result};
use crate::json::{NamedConfig, brief};

/// A number as JSON gives it to Python, where integers and floats are different things.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scalar {
    Int(i128),
    Float(f64),
}

/// The codec between two types of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct FixedScaleOffset {
    decoded: NumberType,
    encoded: NumberType,
    offset: Scalar,
    scale: Scalar,
}

impl FixedScaleOffset {
    pub(super) const NAME: &'static str = "numcodecs.fixedscaleoffset";

    /// Reads what is not a data type.
    pub(super) fn from_metadata(config: &NamedConfig, decoded: Numpy, encoded: Numpy) -> Result<Self> {
        if decoded.complex || encoded.complex {
            return Err(Error::unsupported(format!("{} for complex numbers", Self::NAME)));
        }
        let (decoded, encoded) = (decoded.number, encoded.number);
        Ok(Self { decoded, encoded, offset: Scalar::from_member(config, "offset")?, scale: Scalar::from_member(config, "scale")? })
    }

    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.decoded.size(), self.encoded.size())
    }

    pub(super) fn encode(&self, cells: Cells<'_>) -> Result<()> {
        with_number!(self.decoded, A => self.encode_as::<A>(cells))
    }

    fn encode_as<A: Number>(&self, cells: Cells<'_>) -> Result<()> {
        if self.decoded.is_float() {
            let (offset, scale) = (A::narrow(self.offset.wide()), A::narrow(self.scale.wide()));
            cells.map_rounded(self.encoded, |number: A| number.sub(offset).mul(scale));
            return Ok(());
        }
        match (self.offset, self.scale) {
            (Scalar::Float(offset), scale) => {
                let scale = scale.float();
                cells.map_rounded(self.encoded, |number: A| (f64::narrow(number.widen()) - offset) * scale);
            }
            // Booleans are computed with as integers of 64 bits.
            _ if self.decoded == NumberType::Bool => self.encode_integers::<Bool, i64>(cells)?,
            _ => self.encode_integers::<A, A>(cells)?,
        }
        Ok(())
    }

    /// Integers `A`, computed with as `W`, at least as far as the offset.
    fn encode_integers<A: Number, W: Number>(&self, cells: Cells<'_>) -> Result<()> {
        let offset = self.offset.within::<W>("offset")?;
        let shifted = |number: A| W::narrow(number.widen()).sub(offset);
        match self.scale {
            Scalar::Float(scale) => {
                cells.map_rounded(self.encoded, |number: A| f64::narrow(shifted(number).widen()) * scale);
            }
            Scalar::Int(_) => {
                let scale = self.scale.within::<W>("scale")?;
                cells.map(self.encoded, |number: A| shifted(number).mul(scale));
            }
        }
        Ok(())
    }

    pub(super) fn decode(&self, cells: Cells<'_>) {
        with_number!(self.encoded, A => {
            if self.encoded.is_float() {
                let (offset, scale) = (A::narrow(self.offset.wide()), A::narrow(self.scale.wide()));
                cells.map(self.decoded, |number: A| number.div(scale).add(offset));
            } else {
                let (offset, scale) = (self.offset.float(), self.scale.float());
                cells.map(self.decoded, |number: A| f64::narrow(number.widen()) / scale + offset);
            }
        });
    }
}

impl Scalar {
    fn from_member(config: &NamedConfig, name: &str) -> Result<Self> {
        let at = format!("/configuration/{name}");
        match config.configuration.get(name) {
            None => Err(Error::metadata(at, "missing; this member is mandatory")),
            Some(Value::Number(number)) => {
                let integer = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
                integer.map(Self::Int).or_else(|| number.as_f64().map(Self::Float)).ok_or_else(|| Error::metadata(at, "not a number"))
            }
            Some(other) => Err(Error::metadata(at, format!("{}; expected a number", brief(other)))),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as Python does it")]
    fn float(self) -> f64 {
        match self {
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    /// As NumPy takes it into computations with floats.
    fn wide(self) -> Wide {
        Wide::F64(self.float())
    }

    /// As NumPy takes it into computations with integers, which it refuses where it does not fit.
    fn within<W: Number>(self, name: &str) -> Result<W> {
        let fault =
            || Error::unsupported(format!("{}: the {name} {self:?} is beyond the type that it is computed with", FixedScaleOffset::NAME));
        let Self::Int(number) = self else { return Err(fault()) };
        let wide = if number < 0 { i64::try_from(number).map(Wide::Int) } else { u64::try_from(number).map(Wide::UInt) };
        let narrow = W::narrow(wide.map_err(|_| fault())?);
        let back = match narrow.widen() {
            Wide::Int(back) => i128::from(back),
            Wide::UInt(back) => i128::from(back),
            Wide::F32(_) | Wide::F64(_) => return Err(fault()),
        };
        if back == number { Ok(narrow) } else { Err(fault()) }
    }
}
