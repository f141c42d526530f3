//! The `numcodecs.quantize` codec: floats rounded to a number of decimal digits, to the next power of two.

use super::cells::Cells;
use super::dtype::Numpy;
use super::number::{Number, NumberType, Wide, with_number};
use crate::codec::configuration;
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// The codec between two types of floats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantize {
    decoded: NumberType,
    encoded: NumberType,
    /// What numbers are multiplied with before they are rounded to integers.
    scale: f64,
}

impl Quantize {
    pub(super) const NAME: &'static str = "numcodecs.quantize";

    /// Reads what is not a data type.
    pub(super) fn from_metadata(config: &NamedConfig, decoded: Numpy, encoded: Numpy) -> Result<Self> {
        for (numpy, name) in [(decoded, "dtype"), (encoded, "astype")] {
            if numpy.complex || !numpy.number.is_float() {
                let what = format!("{:?}; {} takes float16, float32 and float64", numpy.number, Self::NAME);
                return Err(Error::metadata(format!("/configuration/{name}"), what));
            }
        }
        if !config.configuration.contains_key("digits") {
            return Err(Error::metadata("/configuration/digits", "missing; this member is mandatory"));
        }
        // Further digits would need more than float64 holds.
        let digits = configuration::integer(config, "digits", -300..=300, 0)?;
        let bits = (f64::from(digits) * std::f64::consts::LOG2_10).ceil();
        Ok(Self { decoded: decoded.number, encoded: encoded.number, scale: bits.exp2() })
    }

    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.decoded.size(), self.encoded.size())
    }

    /// Whether decoding changes nothing.
    pub(super) fn keeps_type(&self) -> bool {
        self.decoded == self.encoded
    }

    pub(super) fn encode(&self, cells: Cells<'_>) {
        with_number!(self.decoded, A => {
            let scale = A::narrow(Wide::F64(self.scale));
            cells.map(self.encoded, |number: A| scale.mul(number).rint().div(scale));
        });
    }

    pub(super) fn decode(&self, cells: Cells<'_>) {
        cells.cast(self.encoded, self.decoded);
    }
}
