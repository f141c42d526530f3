//! The JSON forms of IEEE 754 numbers, kept bit-exact: as bits in a `u64`, never through arithmetic that could change a NaN.

use half::f16;
use serde_json::{Number, Value};

use crate::error::{Error, Result};
use crate::json::brief;

/// The bits of a float of `size` bytes (2, 4 or 8) from its JSON form: a number, a name, or its bits in hexadecimal.
pub(super) fn from_json(size: usize, value: &Value) -> Result<u64> {
    let refused = |why: &str| Error::metadata("", format!("{}: {why}", brief(value)));
    match value {
        Value::Number(number) => {
            let number = number.as_f64().ok_or_else(|| refused("not a number of 64 bits"))?;
            from_f64(size, number).ok_or_else(|| refused(&format!("beyond float{}; \"Infinity\" is the name of infinity", 8 * size)))
        }
        Value::String(text) => match text.as_str() {
            "NaN" => Ok(nan(size)),
            "Infinity" => Ok(infinity(size)),
            "-Infinity" => Ok(infinity(size) | sign(size)),
            _ => from_hex(size, text).ok_or_else(|| refused(&expected(size))),
        },
        _ => Err(refused(&expected(size))),
    }
}

/// What is accepted for a float of `size` bytes, for messages.
fn expected(size: usize) -> String {
    format!("expected a number, \"NaN\", \"Infinity\", \"-Infinity\", or its bits as \"0x\" and exactly {} hexadecimal digits", 2 * size)
}

/// The JSON form that gives the same bits to every reader.
pub(super) fn to_json(size: usize, bits: u64) -> Value {
    let magnitude = bits & !sign(size);
    if bits == nan(size) {
        Value::from("NaN")
    } else if magnitude > infinity(size) {
        Value::from(format!("{bits:#0width$x}", width = 2 + 2 * size))
    } else if magnitude == infinity(size) {
        Value::from(if bits == magnitude { "Infinity" } else { "-Infinity" })
    } else {
        Number::from_f64(to_f64(size, bits)).map_or(Value::Null, Value::Number)
    }
}

/// Rounds to the nearest float of `size` bytes, ties to even; none where a finite number would become infinite.
pub(super) fn from_f64(size: usize, number: f64) -> Option<u64> {
    let bits = match size {
        2 => u64::from(round_to_f16(number).to_bits()),
        #[expect(clippy::cast_possible_truncation, reason = "rounding is what is asked for")]
        4 => u64::from((number as f32).to_bits()),
        _ => number.to_bits(),
    };
    (bits & !sign(size) < infinity(size)).then_some(bits)
}

/// Nearest binary16, ties to even, in one rounding: conversions by way of f32, as some processors do them, round twice.
fn round_to_f16(number: f64) -> f16 {
    /// The exponent of the smallest normal number, and the number of bits behind the point.
    const MIN_EXPONENT: i32 = -14;
    const FRACTION_BITS: i32 = 10;
    if !number.is_finite() || number.abs() >= 65520.0 {
        return f16::from_f64(if number.is_finite() { f64::INFINITY.copysign(number) } else { number });
    }
    let mut exponent = MIN_EXPONENT;
    while number.abs() >= 2_f64.powi(exponent + 1) {
        exponent += 1;
    }
    let quantum = 2_f64.powi(exponent - FRACTION_BITS);
    // Division and product by a power of two are exact here, and the result is a binary16.
    f16::from_f64((number / quantum).round_ties_even() * quantum)
}

/// The number of a float that is not NaN.
fn to_f64(size: usize, bits: u64) -> f64 {
    let low = bits.to_le_bytes();
    match size {
        2 => f16::from_le_bytes([low[0], low[1]]).to_f64(),
        4 => f64::from(f32::from_le_bytes([low[0], low[1], low[2], low[3]])),
        _ => f64::from_bits(bits),
    }
}

/// `0x` and exactly two digits a byte: readers disagree about what fewer would mean.
fn from_hex(size: usize, text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x")?;
    let all_hex = digits.len() == 2 * size && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if all_hex { u64::from_str_radix(digits, 16).ok() } else { None }
}

fn sign(size: usize) -> u64 {
    1 << (8 * size - 1)
}

fn infinity(size: usize) -> u64 {
    match size {
        2 => 0x7c00,
        4 => 0x7f80_0000,
        _ => 0x7ff0_0000_0000_0000,
    }
}

/// The NaN that `"NaN"` stands for: quiet, positive, nothing else set.
pub(super) fn nan(size: usize) -> u64 {
    match size {
        2 => 0x7e00,
        4 => 0x7fc0_0000,
        _ => 0x7ff8_0000_0000_0000,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn binary16_rounds_once() {
        for (number, bits) in [
            (0.0, 0x0000_u16),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (65504.0, 0x7bff),
            (65_519.999_999, 0x7bff),
            (65520.0, 0x7c00),
            (5.960_464_477_539_063e-8, 0x0001),
            (2.980_232_238_769_532e-8, 0x0001),   // just over half of the smallest
            (2.980_232_238_769_531_2e-8, 0x0000), // a tie, to even
            (8.940_696_716_308_594e-8, 0x0002),   // a tie, to even
            (6.103_515_625e-5, 0x0400),
            (0.1, 0x2e66),
            (5e-324, 0x0000),
            (1.000_488_281_25, 0x3c00),        // a tie, to even
            (1.000_488_281_250_000_2, 0x3c01), // over the tie by one unit of f64, lost on the way through f32
            (1.001_464_843_75, 0x3c02),        // a tie, to even
            (1.001_464_843_749_999_8, 0x3c01), // under it
            (-1.000_488_281_250_000_2, 0xbc01),
            (2047.5, 0x6800),
        ] {
            assert_eq!(round_to_f16(number).to_bits(), bits, "{number:e}");
        }
    }

    #[test]
    fn every_binary16_is_a_fixed_point() {
        for bits in 0..=u16::MAX {
            let half = f16::from_bits(bits);
            if half.is_finite() {
                assert_eq!(round_to_f16(half.to_f64()).to_bits(), bits);
            }
            assert_eq!(from_json(2, &to_json(2, u64::from(bits))).unwrap(), u64::from(bits));
        }
    }

    proptest! {
        /// No other binary16 is nearer than the one chosen.
        #[test]
        fn binary16_is_the_nearest(number in -65519.0..65519.0_f64, shift in 0_i32..45) {
            let number = number * 2_f64.powi(-shift);
            let rounded = round_to_f16(number);
            let distance = (rounded.to_f64() - number).abs();
            for neighbour in [rounded.to_bits().wrapping_add(1), rounded.to_bits().wrapping_sub(1)] {
                let other = f16::from_bits(neighbour);
                if other.is_finite() && other.is_sign_negative() == rounded.is_sign_negative() {
                    let away = (other.to_f64() - number).abs();
                    prop_assert!(distance < away || (distance == away && rounded.to_bits().is_multiple_of(2)));
                }
            }
        }

        #[test]
        fn bits_survive_json(bits in any::<u64>()) {
            for size in [2, 4, 8] {
                let bits = bits >> (64 - 8 * size);
                prop_assert_eq!(from_json(size, &to_json(size, bits)).unwrap(), bits);
                let text = to_json(size, bits).to_string();
                prop_assert_eq!(from_json(size, &serde_json::from_str(&text).unwrap()).unwrap(), bits);
            }
        }
    }
}
