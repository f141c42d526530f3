//! The `bitround` codec: the last bits of each number rounded away, so that it compresses better.

use crate::codec::configuration;
use crate::dtype::{DataType, Format};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// The codec for one type of numbers. Decoding changes nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitRound {
    keep_bits: u32,
    /// Bits of the mantissa of floats; none for integers, which keep bits from the highest that is set.
    mantissa: Option<u32>,
    /// Size of a number in bytes.
    size: usize,
}

impl BitRound {
    pub(super) const NAME: &'static str = "bitround";
    /// The name that numcodecs gives it, which knows floats alone.
    pub(super) const NUMCODECS_NAME: &'static str = "numcodecs.bitround";

    /// Reads the codec object.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType) -> Result<Self> {
        config.only(&["keepbits"])?;
        let at = "/configuration/keepbits";
        if !config.configuration.contains_key("keepbits") {
            return Err(Error::metadata(at, "missing; this member is mandatory"));
        }
        let numcodecs = config.name == Self::NUMCODECS_NAME;
        let (mantissa, size) = match data_type {
            DataType::Float16 => (Some(10), 2),
            DataType::Float32 => (Some(23), 4),
            DataType::Float64 => (Some(52), 8),
            DataType::Complex64 if !numcodecs => (Some(23), 4),
            DataType::Complex128 if !numcodecs => (Some(52), 8),
            _ if data_type.floats().is_some_and(|(format, _)| format == Format::BF16) && !numcodecs => (Some(7), 2),
            DataType::Int8 | DataType::UInt8 if !numcodecs => (None, 1),
            DataType::Int16 | DataType::UInt16 if !numcodecs => (None, 2),
            DataType::Int32 | DataType::UInt32 if !numcodecs => (None, 4),
            DataType::Int64 | DataType::UInt64 | DataType::DateTime64 { .. } | DataType::TimeDelta64 { .. } if !numcodecs => (None, 8),
            _ => return Err(Error::unsupported(format!("{} for data type {data_type}; supported are numbers", config.name))),
        };
        let most = mantissa.map_or(8 * size, |bits| bits as usize);
        let most = i32::try_from(most).unwrap_or(i32::MAX);
        let keep_bits = configuration::integer(config, "keepbits", i32::from(!numcodecs)..=most, 0)?;
        Ok(Self { keep_bits: keep_bits.unsigned_abs(), mantissa, size })
    }

    /// Rounds the numbers where they lie.
    pub(super) fn encode(&self, bytes: &mut [u8]) {
        macro_rules! round {
            ($U:ty) => {
                for number in bytes.as_chunks_mut::<{ size_of::<$U>() }>().0 {
                    let bits = <$U>::from_ne_bytes(*number);
                    let significant = self.mantissa.unwrap_or(<$U>::BITS - bits.leading_zeros());
                    let dropped = significant.saturating_sub(self.keep_bits);
                    if dropped == 0 {
                        continue;
                    }
                    let half = ((bits >> dropped) & 1) + ((1 << (dropped - 1)) - 1);
                    // Floats may carry into their exponent, as numcodecs lets them; integers stay below the largest.
                    let rounded = if self.mantissa.is_some() { bits.wrapping_add(half) } else { bits.saturating_add(half) };
                    *number = (rounded & (<$U>::MAX << dropped)).to_ne_bytes();
                }
            };
        }
        match self.size {
            1 => round!(u8),
            2 => round!(u16),
            4 => round!(u32),
            _ => round!(u64),
        }
    }
}
