//! Floating-point formats and their JSON forms, kept bit-exact: as bits in a `u64`, never through arithmetic that could change a NaN.
//!
//! All formats are of one scheme: a sign, an exponent, a fraction; subnormal numbers where the exponent is 0. They differ in what the last
//! bit patterns mean.

use serde_json::{Number, Value};

use crate::error::{Error, Result};
use crate::json::brief;

/// What the highest bit patterns of a format mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Special {
    /// The highest exponent is that of infinities and NaNs, as in IEEE 754.
    Ieee,
    /// The highest bit pattern of either sign is a NaN; there are no infinities (`fn`).
    HighestIsNan,
    /// Every bit pattern is a number (`fn` below 8 bits).
    Numbers,
    /// The bit pattern of -0 is the NaN, there is no other and no infinity (`fnuz`).
    MinusZeroIsNan,
    /// No sign, no fraction, no zero; all bits set is the NaN (`fnu`).
    PowersOfTwo,
}

/// A floating-point format of up to 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Name of the data type of one such number.
    pub(crate) name: &'static str,
    /// Width in bits; stored in the low bits of as many bytes as are needed.
    pub(crate) bits: u32,
    fraction: u32,
    bias: i32,
    special: Special,
}

const fn format(name: &'static str, bits: u32, fraction: u32, bias: i32, special: Special) -> Format {
    Format { name, bits, fraction, bias, special }
}

impl Format {
    pub(crate) const F16: Self = format("float16", 16, 10, 15, Special::Ieee);
    pub(crate) const F32: Self = format("float32", 32, 23, 127, Special::Ieee);
    pub(crate) const F64: Self = format("float64", 64, 52, 1023, Special::Ieee);
    pub(crate) const BF16: Self = format("bfloat16", 16, 7, 127, Special::Ieee);
    pub(crate) const F8_E3M4: Self = format("float8_e3m4", 8, 4, 3, Special::Ieee);
    pub(crate) const F8_E4M3: Self = format("float8_e4m3", 8, 3, 7, Special::Ieee);
    pub(crate) const F8_E4M3FN: Self = format("float8_e4m3fn", 8, 3, 7, Special::HighestIsNan);
    pub(crate) const F8_E4M3B11FNUZ: Self = format("float8_e4m3b11fnuz", 8, 3, 11, Special::MinusZeroIsNan);
    pub(crate) const F8_E4M3FNUZ: Self = format("float8_e4m3fnuz", 8, 3, 8, Special::MinusZeroIsNan);
    pub(crate) const F8_E5M2: Self = format("float8_e5m2", 8, 2, 15, Special::Ieee);
    pub(crate) const F8_E5M2FNUZ: Self = format("float8_e5m2fnuz", 8, 2, 16, Special::MinusZeroIsNan);
    pub(crate) const F8_E8M0FNU: Self = format("float8_e8m0fnu", 8, 0, 127, Special::PowersOfTwo);
    pub(crate) const F6_E2M3FN: Self = format("float6_e2m3fn", 6, 3, 1, Special::Numbers);
    pub(crate) const F6_E3M2FN: Self = format("float6_e3m2fn", 6, 2, 3, Special::Numbers);
    pub(crate) const F4_E2M1FN: Self = format("float4_e2m1fn", 4, 1, 1, Special::Numbers);

    /// Size in bytes.
    pub(crate) fn size(self) -> usize {
        match self.bits {
            64 => 8,
            32 => 4,
            16 => 2,
            _ => 1,
        }
    }

    fn sign(self) -> u64 {
        if self.special == Special::PowersOfTwo { 0 } else { 1 << (self.bits - 1) }
    }

    /// All bits but that of the sign.
    fn magnitude_mask(self) -> u64 {
        (u64::MAX >> (64 - self.bits)) & !self.sign()
    }

    /// The positive infinity.
    fn infinity(self) -> Option<u64> {
        (self.special == Special::Ieee).then(|| (self.magnitude_mask() >> self.fraction) << self.fraction)
    }

    /// The NaN that `"NaN"` stands for: positive and quiet, nothing else set, where there are several.
    pub(super) fn nan(self) -> Option<u64> {
        match self.special {
            Special::Ieee => self.infinity().map(|infinity| infinity | 1 << (self.fraction - 1)),
            Special::HighestIsNan | Special::PowersOfTwo => Some(self.magnitude_mask()),
            Special::MinusZeroIsNan => Some(self.sign()),
            Special::Numbers => None,
        }
    }

    pub(super) fn is_nan(self, bits: u64) -> bool {
        match self.special {
            Special::Ieee => self.infinity().is_some_and(|infinity| bits & self.magnitude_mask() > infinity),
            Special::HighestIsNan => bits & self.magnitude_mask() == self.magnitude_mask(),
            Special::PowersOfTwo | Special::MinusZeroIsNan => Some(bits) == self.nan(),
            Special::Numbers => false,
        }
    }

    /// The bits of the greatest finite number.
    fn max_finite(self) -> u64 {
        match self.special {
            Special::Ieee => self.infinity().unwrap_or_default() - 1,
            Special::HighestIsNan | Special::PowersOfTwo => self.magnitude_mask() - 1,
            Special::MinusZeroIsNan | Special::Numbers => self.magnitude_mask(),
        }
    }

    /// Rounds a finite number to the nearest of the format, ties to even; none where it is beyond the greatest one, or where the format has
    /// neither zero nor negative numbers to express it.
    pub(crate) fn round(self, number: f64) -> Option<u64> {
        if !number.is_finite() {
            return None;
        }
        if self.special == Special::PowersOfTwo {
            return self.round_to_power(number);
        }
        let negative = number.is_sign_negative();
        let magnitude = self.round_magnitude(number.abs().to_bits());
        match magnitude {
            _ if magnitude > self.max_finite() => None,
            0 if self.special == Special::MinusZeroIsNan => Some(0),
            _ => Some(if negative { magnitude | self.sign() } else { magnitude }),
        }
    }

    /// The nearest bit pattern to a non-negative number, given as a binary64; past the greatest one they are counted on.
    fn round_magnitude(self, number: u64) -> u64 {
        if self.bits == 64 {
            return number;
        }
        let (field, fraction) = (number >> 52, number & ((1 << 52) - 1));
        // The number is significand * 2^(exponent - 52); subnormal ones of binary64 are far below all others' smallest.
        let (exponent, significand) = if field == 0 { (-1022, fraction) } else { (signed(field) - 1023, fraction | 1 << 52) };
        // In units in the last place of the result, of which the significand has `excess` bits too many.
        let least = 1 - i64::from(self.bias);
        let excess = 52 - i64::from(self.fraction) + (least - exponent).max(0);
        let Ok(excess @ 1..=62) = u32::try_from(excess) else { return 0 };
        let (units, rest, half) = (significand >> excess, significand & ((1 << excess) - 1), 1_u64 << (excess - 1));
        let up = rest > half || (rest == half && units & 1 == 1);
        // A normal number carries its leading bit in the units, which makes its exponent field one greater.
        let below = u64::try_from((exponent - least).max(0)).unwrap_or_default();
        (below << self.fraction) + units + u64::from(up)
    }

    /// The nearest power of two. Of two equally near ones it is the greater, since neither is even.
    fn round_to_power(self, number: f64) -> Option<u64> {
        if number <= 0.0 {
            return None;
        }
        let bits = number.to_bits();
        let up = bits & ((1 << 52) - 1) >= 1 << 51;
        let exponent = signed(bits >> 52) - 1023 + i64::from(up) + i64::from(self.bias);
        u64::try_from(exponent.max(0)).ok().filter(|field| *field <= self.max_finite())
    }

    /// The number that finite bits are, exactly.
    pub(crate) fn to_f64(self, bits: u64) -> f64 {
        if self.bits == 64 {
            return f64::from_bits(bits);
        }
        let magnitude = bits & self.magnitude_mask();
        let (field, fraction) = (magnitude >> self.fraction, magnitude & ((1 << self.fraction) - 1));
        let implicit = field != 0 || self.special == Special::PowersOfTwo;
        let significand = if implicit { fraction | 1 << self.fraction } else { fraction };
        let lowest = if self.special == Special::PowersOfTwo { 0 } else { 1 };
        let exponent = signed(field).max(lowest) - i64::from(self.bias) - i64::from(self.fraction);
        // At most 24 bits times a power of two from 2^-149 on: both factors and their product are exact.
        let scale = f64::from_bits(u64::try_from(exponent + 1023).unwrap_or_default() << 52);
        let number = significand as f64 * scale;
        if bits & self.sign() == 0 { number } else { -number }
    }

    /// The bits from their JSON form: a number, a name, or the bits in hexadecimal.
    pub(super) fn read_json(self, value: &Value) -> Result<u64> {
        let refused = |why: &str| Error::metadata("", format!("{}: {why}", brief(value)));
        match value {
            Value::Number(number) => {
                let number = number.as_f64().ok_or_else(|| refused("not a number of 64 bits"))?;
                self.round(number).ok_or_else(|| refused(&self.beyond()))
            }
            Value::String(text) => {
                let bits = match text.as_str() {
                    "NaN" => self.nan(),
                    "Infinity" => self.infinity(),
                    "-Infinity" => self.infinity().map(|infinity| infinity | self.sign()),
                    _ => self.read_hex(text),
                };
                bits.ok_or_else(|| refused(&self.expected()))
            }
            _ => Err(refused(&self.expected())),
        }
    }

    /// Why a number is refused.
    fn beyond(self) -> String {
        let greatest = self.to_f64(self.max_finite());
        match self.special {
            Special::Ieee => format!("beyond {}; \"Infinity\" is the name of infinity", self.name),
            Special::PowersOfTwo => format!("beyond {}, whose numbers are positive and at most {greatest:e}", self.name),
            _ => format!("beyond {}, whose greatest number is {greatest}", self.name),
        }
    }

    /// What is accepted, for messages.
    fn expected(self) -> String {
        let mut names = String::new();
        if self.nan().is_some() {
            names.push_str("\"NaN\", ");
        }
        if self.infinity().is_some() {
            names.push_str("\"Infinity\", \"-Infinity\", ");
        }
        let digits = 2 * self.size();
        let low = if self.bits < 8 { format!(", of which the {} high bits are 0", 8 - self.bits) } else { String::new() };
        format!("expected a number, {names}or its bits as \"0x\" and exactly {digits} hexadecimal digits{low}")
    }

    /// `0x` and exactly two digits a byte: readers disagree about what fewer would mean.
    fn read_hex(self, text: &str) -> Option<u64> {
        let digits = text.strip_prefix("0x")?;
        let all_hex = digits.len() == 2 * self.size() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        if all_hex { u64::from_str_radix(digits, 16).ok().filter(|bits| bits & !(self.magnitude_mask() | self.sign()) == 0) } else { None }
    }

    /// The JSON form that gives the same bits to every reader.
    pub(super) fn to_json(self, bits: u64) -> Value {
        let magnitude = bits & self.magnitude_mask();
        if Some(bits) == self.nan() {
            Value::from("NaN")
        } else if self.is_nan(bits) {
            Value::from(format!("{bits:#0width$x}", width = 2 + 2 * self.size()))
        } else if Some(magnitude) == self.infinity() {
            Value::from(if bits == magnitude { "Infinity" } else { "-Infinity" })
        } else {
            Number::from_f64(self.to_f64(bits)).map_or(Value::Null, Value::Number)
        }
    }

    /// The number in the fewest decimal digits that give the same bits, or the name or bits of what is no number.
    pub(super) fn to_text(self, bits: u64) -> String {
        let json = self.to_json(bits);
        let number = match &json {
            Value::String(text) => return text.clone(),
            other => other.as_f64().unwrap_or_default(),
        };
        let shorter = |digits: usize| format!("{number:.digits$e}").parse::<f64>().ok().filter(|short| self.round(*short) == Some(bits));
        let shortest = if self.bits == 64 { None } else { (0..17).find_map(shorter) };
        format!("{:?}", shortest.unwrap_or(number))
    }
}

/// A field of bits as a number; it has at most 63.
fn signed(field: u64) -> i64 {
    i64::try_from(field).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
