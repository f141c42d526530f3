//! The `scale_offset` codec: an offset is subtracted and a factor multiplied, in the type of the elements.

use super::cells::Cells;
use super::number::{Number, NumberType, with_number};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// The codec for one type of numbers.
#[derive(Clone, Debug)]
pub(super) struct ScaleOffset {
    number: NumberType,
    /// Both as the bytes of one element; none means 0 and 1.
    offset: Option<FillValue>,
    scale: Option<FillValue>,
}

impl ScaleOffset {
    pub(super) const NAME: &'static str = "scale_offset";

    /// Reads the codec object. Both numbers are given as a fill value of the type would be.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType) -> Result<Self> {
        config.only(&["offset", "scale"])?;
        let number = NumberType::of(data_type).filter(|number| *number != NumberType::Bool).ok_or_else(|| {
            let supported = "supported are integers of 8 to 64 bits and float16 to float64";
            Error::unsupported(format!("{} for data type {data_type}; {supported}", Self::NAME))
        })?;
        let member = |name: &str| {
            let value = config.configuration.get(name).map(|value| FillValue::from_json(data_type, value));
            value.transpose().map_err(|error| error.within(&format!("/configuration/{name}")))
        };
        let codec = Self { number, offset: member("offset")?, scale: member("scale")? };
        let lost = codec.scale.as_ref().is_some_and(|scale| !number.is_float() && scale.as_bytes().iter().all(|byte| *byte == 0));
        if lost {
            return Err(Error::metadata("/configuration/scale", "0, from which no integer comes back; accepted are all others"));
        }
        Ok(codec)
    }

    pub(super) fn encode(&self, cells: Cells<'_>) {
        with_number!(self.number, T => {
            let (offset, scale) = self.read::<T>();
            cells.map(self.number, |number: T| scale.map_or(number.sub(offset), |scale| number.sub(offset).mul(scale)));
        });
    }

    pub(super) fn decode(&self, cells: Cells<'_>) {
        with_number!(self.number, T => {
            let (offset, scale) = self.read::<T>();
            cells.map(self.number, |number: T| scale.map_or(number, |scale| number.div(scale)).add(offset));
        });
    }

    fn read<T: Number>(&self) -> (T, Option<T>) {
        let number = |value: &FillValue| T::read(value.as_bytes());
        (self.offset.as_ref().map_or(T::narrow(super::number::Wide::Int(0)), number), self.scale.as_ref().map(number))
    }
}
