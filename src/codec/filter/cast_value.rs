//! The `cast_value` codec: elements in another type of numbers, by value.

use serde_json::Value;

use super::cells::Cells;
use super::number::{Number, NumberType, Wide, with_number};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::{NamedConfig, brief};

/// How values that a type does not have are rounded to those that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    NearestEven,
    TowardsZero,
    TowardsPositive,
    TowardsNegative,
    NearestAway,
}

/// What happens to values beyond the range of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutOfRange {
    Error,
    Clamp,
    Wrap,
}

/// What one value becomes before anything else is asked: its [`key`], and the bytes of one element. In order of keys, no two of which are equal.
type ScalarMap = Vec<(u64, Vec<u8>)>;

/// The codec between two types of numbers.
#[derive(Clone, Debug)]
pub(super) struct CastValue {
    decoded: NumberType,
    encoded: NumberType,
    rounding: Rounding,
    out_of_range: OutOfRange,
    encode_map: ScalarMap,
    decode_map: ScalarMap,
    /// Whether the decoded type is not that of the array, but one that was asked for.
    asked: bool,
}

const ROUNDINGS: &[(&str, Rounding)] = &[
    ("nearest-even", Rounding::NearestEven),
    ("towards-zero", Rounding::TowardsZero),
    ("towards-positive", Rounding::TowardsPositive),
    ("towards-negative", Rounding::TowardsNegative),
    ("nearest-away", Rounding::NearestAway),
];

const RANGES: &[(&str, OutOfRange)] = &[("error", OutOfRange::Error), ("clamp", OutOfRange::Clamp), ("wrap", OutOfRange::Wrap)];

impl CastValue {
    pub(super) const NAME: &'static str = "cast_value";

    /// Reads the codec object; also gives the encoded data type.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType) -> Result<(Self, DataType)> {
        config.only(&["data_type", "rounding", "out_of_range", "scalar_map"])?;
        let at = "/configuration/data_type";
        let value = config.configuration.get("data_type").ok_or_else(|| Error::metadata(at, "missing; this member is mandatory"))?;
        let (encoded_type, _) = DataType::from_json(value).map_err(|error| error.within(at))?;
        let decoded = number(data_type)?;
        let encoded = number(&encoded_type).map_err(|error| error.within(at))?;
        let out_of_range = choice(config, "out_of_range", RANGES)?.unwrap_or(OutOfRange::Error);
        if out_of_range == OutOfRange::Wrap && encoded.is_float() {
            return Err(Error::metadata("/configuration/out_of_range", format!("\"wrap\" for {encoded_type}; only integers wrap around")));
        }
        let codec = Self {
            decoded,
            encoded,
            rounding: choice(config, "rounding", ROUNDINGS)?.unwrap_or(Rounding::NearestEven),
            out_of_range,
            encode_map: scalar_map(config, "encode", data_type, &encoded_type)?,
            decode_map: scalar_map(config, "decode", &encoded_type, data_type)?,
            asked: false,
        };
        Ok((codec, encoded_type))
    }

    pub(super) fn ask(&mut self) {
        self.asked = true;
    }

    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.decoded.size(), self.encoded.size())
    }

    /// Refuses also what could not be decoded again: the largest integers may become floats beyond all integers.
    pub(super) fn encode(&self, cells: Cells<'_>) -> Result<()> {
        let no_place =
            |number: Wide, data_type: NumberType| Error::invalid(format!("{}: {number:?} has no place in {data_type:?}", Self::NAME));
        with_number!(self.decoded, A => with_number!(self.encoded, B => cells.try_map(|number: A| {
            let encoded: B = self.cast(number, &self.encode_map).ok_or_else(|| no_place(number.widen(), self.encoded))?;
            self.cast::<B, A>(encoded, &self.decode_map).ok_or_else(|| no_place(encoded.widen(), self.decoded))?;
            Ok(encoded)
        })))
    }

    /// Encodes a fill value, which is known without being decoded.
    pub(super) fn encode_fill(&self, cells: Cells<'_>) -> Result<()> {
        let fault = |number: Wide| Error::invalid(format!("{}: {number:?} has no place in {:?}", Self::NAME, self.encoded));
        with_number!(self.decoded, A => with_number!(self.encoded, B => self.cast_all::<A, B>(cells, &self.encode_map, fault)))
    }

    pub(super) fn decode(&self, cells: Cells<'_>) -> Result<()> {
        let fault = |number: Wide| {
            let what = format!("{}: {number:?} has no place in {:?}", Self::NAME, self.decoded);
            if self.asked { Error::invalid(what) } else { Error::corrupt(what) }
        };
        with_number!(self.encoded, A => with_number!(self.decoded, B => self.cast_all::<A, B>(cells, &self.decode_map, fault)))
    }

    fn cast_all<A: Number, B: Number>(&self, cells: Cells<'_>, map: &ScalarMap, fault: impl Fn(Wide) -> Error) -> Result<()> {
        cells.try_map(|number: A| self.cast::<A, B>(number, map).ok_or_else(|| fault(number.widen())))
    }

    /// What becomes of a number; none where it has no place in the other type.
    fn cast<A: Number, B: Number>(&self, number: A, map: &ScalarMap) -> Option<B> {
        let mapped = match map.as_slice() {
            [] => None,
            map => map.binary_search_by_key(&key(number), |entry| entry.0).ok().map(|position| B::read(&map[position].1)),
        };
        mapped.or_else(|| self.value::<B>(number.widen()))
    }

    /// The value in another type; none where it has no place there.
    fn value<B: Number>(&self, value: Wide) -> Option<B> {
        let float = match value {
            Wide::Int(number) => return self.integer(i128::from(number)),
            Wide::UInt(number) => return self.integer(i128::from(number)),
            Wide::F32(number) => f64::from(number),
            Wide::F64(number) => number,
        };
        if let Some((low, high)) = range::<B>() {
            if float.is_nan() {
                return None;
            }
            // Beyond 2^126 there are only multiples of 2^64, which wrap around to 0, and can be clamped as well at that bound.
            let bound = 2_f64.powi(126);
            let rounded = self.rounding.to_integer(float).clamp(-bound, bound);
            #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 126 bits")]
            let rounded = rounded as i128;
            return match self.out_of_range {
                OutOfRange::Wrap if float.is_infinite() => None,
                _ => self.in_range(rounded, low, high),
            };
        }
        self.float(value, float.is_finite(), |candidate| candidate.partial_cmp(&float), |a, b| (float - a).abs() == (b - float).abs())
    }

    fn integer<B: Number>(&self, number: i128) -> Option<B> {
        if let Some((low, high)) = range::<B>() {
            return self.in_range(number, low, high);
        }
        #[expect(clippy::cast_possible_truncation, reason = "floats next to integers of 64 bits that they do not have are integers")]
        let exact = |candidate: f64| candidate as i128;
        #[expect(clippy::cast_possible_truncation, reason = "integers come from 64 bits")]
        let value = if number < 0 { Wide::Int(number as i64) } else { Wide::UInt(number.cast_unsigned() as u64) };
        let compare =
            |candidate: f64| if candidate.is_finite() { Some(exact(candidate).cmp(&number)) } else { candidate.partial_cmp(&0.0) };
        self.float(value, true, compare, |a, b| (number - exact(a)).abs() == (exact(b) - number).abs())
    }

    fn in_range<B: Number>(&self, number: i128, low: i128, high: i128) -> Option<B> {
        let number = match self.out_of_range {
            _ if (low..=high).contains(&number) => number,
            OutOfRange::Error => return None,
            OutOfRange::Clamp => number.clamp(low, high),
            OutOfRange::Wrap => (number - low).rem_euclid(high - low + 1) + low,
        };
        let wide = if number < 0 { i64::try_from(number).map(Wide::Int) } else { u64::try_from(number).map(Wide::UInt) };
        wide.ok().map(B::narrow)
    }

    /// A value in a type of floats. `compare` says where a float lies beside the value, `halfway` whether the value is in the middle of two.
    fn float<B: Number>(
        &self,
        value: Wide,
        finite: bool,
        compare: impl Fn(f64) -> Option<std::cmp::Ordering>,
        halfway: impl Fn(f64, f64) -> bool,
    ) -> Option<B> {
        let nearest = B::narrow(value);
        let as_f64 = |number: B| f64::narrow(number.widen());
        if !finite {
            return Some(nearest);
        }
        let ordering = compare(as_f64(nearest))?;
        let up = ordering.is_gt();
        let negative = as_f64(nearest).is_sign_negative();
        let other = if ordering.is_eq() { nearest } else { next_float(nearest, !up) };
        let other_is_away = up == negative;
        let take_other = !ordering.is_eq()
            && match self.rounding {
                Rounding::NearestEven => false,
                Rounding::TowardsZero => !other_is_away,
                Rounding::TowardsPositive => !up,
                Rounding::TowardsNegative => up,
                Rounding::NearestAway => other_is_away && halfway(as_f64(nearest), as_f64(other)),
            };
        let rounded = if take_other { other } else { nearest };
        if as_f64(rounded).is_finite() {
            return Some(rounded);
        }
        // What is infinite after rounding is beyond the range.
        match self.out_of_range {
            OutOfRange::Clamp => Some(next_float(rounded, negative)),
            OutOfRange::Error | OutOfRange::Wrap => None,
        }
    }
}

impl Rounding {
    fn to_integer(self, number: f64) -> f64 {
        match self {
            Self::NearestEven => number.round_ties_even(),
            Self::TowardsZero => number.trunc(),
            Self::TowardsPositive => number.ceil(),
            Self::TowardsNegative => number.floor(),
            Self::NearestAway => number.round(),
        }
    }
}

/// The next float of the type above `number`, or below it.
fn next_float<B: Number>(number: B, up: bool) -> B {
    let mut bytes = [0; 8];
    let bytes = &mut bytes[..B::SIZE];
    number.write(bytes);
    // Floats are in order of their bits, away from 0.
    let negative = f64::narrow(number.widen()).is_sign_negative();
    let away = up != negative;
    let zero = f64::narrow(number.widen()) == 0.0;
    macro_rules! step {
        ($U:ty) => {{
            let bits = <$U as Number>::read(bytes);
            let sign: $U = 1 << (<$U>::BITS - 1);
            match (zero, away) {
                (true, _) => (if up { 0 } else { sign }) | 1,
                (false, true) => bits.wrapping_add(1),
                (false, false) => bits.wrapping_sub(1),
            }
            .write(bytes)
        }};
    }
    match B::SIZE {
        2 => step!(u16),
        4 => step!(u32),
        _ => step!(u64),
    }
    B::read(bytes)
}

/// The smallest and the largest integer of the type; none for floats.
fn range<B: Number>() -> Option<(i128, i128)> {
    // One half is 0 in all integers, and below 0 there is nothing in those without sign.
    if f64::narrow(B::narrow(Wide::F64(0.5)).widen()) != 0.0 {
        return None;
    }
    let bits = 8 * B::SIZE;
    let signed = matches!(B::narrow(Wide::Int(-1)).widen(), Wide::Int(_));
    Some(if signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) })
}

/// What equal numbers of one type have in common, and what is no number; no others have the same.
fn key<T: Number>(number: T) -> u64 {
    let float = match number.widen() {
        Wide::Int(number) => return number.cast_unsigned(),
        Wide::UInt(number) => return number,
        Wide::F32(number) => f64::from(number),
        Wide::F64(number) => number,
    };
    // A sum with 0 has no sign where it is 0.
    if float.is_nan() { f64::NAN.to_bits() } else { (float + 0.0).to_bits() }
}

fn number(data_type: &DataType) -> Result<NumberType> {
    let number = NumberType::of(data_type).filter(|number| *number != NumberType::Bool);
    number.ok_or_else(|| {
        Error::unsupported(format!(
            "{} for data type {data_type}; supported are integers of 8 to 64 bits and float16 to float64",
            CastValue::NAME
        ))
    })
}

fn choice<T: Copy>(config: &NamedConfig, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
    let Some(value) = config.configuration.get(name) else { return Ok(None) };
    let found = choices.iter().find(|(word, _)| value.as_str() == Some(word));
    found.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        Error::metadata(format!("/configuration/{name}"), format!("{}; accepted are {words:?}", brief(value)))
    })
}

/// The part of `scalar_map` for one direction: a list of pairs, each value as a fill value of its type would be given.
fn scalar_map(config: &NamedConfig, direction: &str, from: &DataType, to: &DataType) -> Result<ScalarMap> {
    let at = "/configuration/scalar_map";
    let map = match config.configuration.get("scalar_map") {
        None => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(other) => return Err(Error::metadata(at, format!("{}; expected an object with encode and decode", brief(other)))),
    };
    if let Some(unknown) = map.keys().find(|key| !["encode", "decode"].contains(&key.as_str())) {
        return Err(Error::metadata(at, format!("an unknown member {unknown:?}; accepted are encode and decode")));
    }
    let at = format!("{at}/{direction}");
    let pairs = match map.get(direction) {
        None => return Ok(Vec::new()),
        Some(Value::Array(pairs)) => pairs,
        Some(other) => return Err(Error::metadata(at, format!("{}; expected a list of pairs", brief(other)))),
    };
    let read = |(i, pair): (usize, &Value)| {
        let at = format!("{at}/{i}");
        match pair.as_array().map(Vec::as_slice) {
            Some([key, value]) => {
                let key = FillValue::from_json(from, key).map_err(|error| error.within(&format!("{at}/0")))?;
                let value = FillValue::from_json(to, value).map_err(|error| error.within(&format!("{at}/1")))?;
                Ok((with_number!(number(from)?, T => self::key(T::read(key.as_bytes()))), value.as_bytes().to_vec()))
            }
            _ => Err(Error::metadata(at, format!("{}; expected a pair of values", brief(pair)))),
        }
    };
    let mut pairs = pairs.iter().enumerate().map(read).collect::<Result<ScalarMap>>()?;
    // The first of equal values is the one that counts.
    pairs.sort_by_key(|pair| pair.0);
    pairs.dedup_by_key(|pair| pair.0);
    Ok(pairs)
}
