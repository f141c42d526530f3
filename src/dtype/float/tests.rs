//! Tests of floating-point formats: exhaustive for those of up to 16 bits, against arithmetic of another kind and against what the Python
//! package `ml_dtypes` gives.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;
use crate::dtype::MiniFloat;

const WIDE: [Format; 4] = [Format::F16, Format::BF16, Format::F32, Format::F64];

fn small() -> Vec<Format> {
    MiniFloat::ALL.iter().map(|mini| mini.format()).chain([Format::F16, Format::BF16]).collect()
}

fn named(name: &str) -> Format {
    small().into_iter().find(|format| format.name == name).unwrap()
}

fn is_number(format: Format, bits: u64) -> bool {
    !format.is_nan(bits) && Some(bits & format.magnitude_mask()) != format.infinity()
}

/// CRC-32 of all numbers as little-endian float64 (12345 for what is none), and of what every binary16 rounds to (0xeeee for what is beyond),
/// computed with ml_dtypes 0.6.
const ML_DTYPES: [(&str, u32, u32); 12] = [
    ("float4_e2m1fn", 0xa4f2_f7e0, 0xc85c_032d),
    ("float6_e2m3fn", 0xf6a0_5dcb, 0x0099_10f0),
    ("float6_e3m2fn", 0x05e0_ba67, 0x1dfd_26fe),
    ("float8_e3m4", 0xd581_b581, 0xfe83_de6e),
    ("float8_e4m3", 0xdc7b_7a77, 0x9cf3_0827),
    ("float8_e4m3b11fnuz", 0x82d6_def9, 0xda3c_70ff),
    ("float8_e4m3fn", 0xad51_ae23, 0x3c6d_eab1),
    ("float8_e4m3fnuz", 0x9eb2_52ae, 0x9fc1_bd35),
    ("float8_e5m2", 0xe330_ab1b, 0xf141_41ad),
    ("float8_e5m2fnuz", 0xa42f_c536, 0x72a8_55b4),
    ("float8_e8m0fnu", 0xc624_5978, 0x3d27_251d),
    ("bfloat16", 0xbad4_82a4, 0x4929_4337),
];

/// FMT-DT-7.
#[test]
fn numbers_are_those_of_ml_dtypes() {
    for (name, numbers, _) in ML_DTYPES {
        let format = named(name);
        let value = |bits| if is_number(format, bits) { format.to_f64(bits) } else { 12345.0 };
        let all: Vec<u8> = (0..1_u64 << format.bits).flat_map(|bits| value(bits).to_le_bytes()).collect();
        assert_eq!(crc32fast::hash(&all), numbers, "{name}");
    }
    let four: Vec<f64> = (0..16).map(|bits| Format::F4_E2M1FN.to_f64(bits)).collect();
    assert_eq!(format!("{four:?}"), "[0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0]");
}

/// FMT-DT-7.
#[test]
fn rounding_is_that_of_ml_dtypes() {
    for (name, _, rounded) in ML_DTYPES {
        let format = named(name);
        let greatest = format.to_f64(format.max_finite());
        let mut all = Vec::new();
        for bits in 0..=u16::MAX {
            let number = f16::from_bits(bits).to_f64();
            let within = number.abs() <= greatest && (name != "float8_e8m0fnu" || number > 0.0);
            let bits = if within { u16::try_from(format.round(number).unwrap()).unwrap() } else { 0xeeee };
            all.extend(bits.to_le_bytes());
        }
        assert_eq!(crc32fast::hash(&all), rounded, "{name}");
    }
}

/// The number that bits stand for, by doubling and halving.
fn by_halving(format: Format, bits: u64) -> f64 {
    let magnitude = bits & format.magnitude_mask();
    let (mut exponent, mut fraction) = (magnitude, 0.0);
    for place in 0..format.fraction {
        fraction = (fraction + if bits >> place & 1 == 1 { 1.0 } else { 0.0 }) / 2.0;
        exponent /= 2;
    }
    let powers = format.special == Special::PowersOfTwo;
    let mut number = if exponent > 0 || powers { 1.0 + fraction } else { fraction };
    for _ in 0..exponent.max(u64::from(!powers)) {
        number *= 2.0;
    }
    for _ in 0..format.bias {
        number /= 2.0;
    }
    if bits & format.sign() == 0 { number } else { -number }
}

/// All numbers of a format: decoding is exact, each rounds to itself, and between two neighbours the tie goes to the even one and everything else
/// to the nearer one. As rounding is monotonous (see below), this is all there is to it.
#[test]
fn every_small_float_rounds_to_itself_and_ties_to_even() {
    for format in small() {
        let magnitudes: Vec<u64> = (0..=format.magnitude_mask()).filter(|&bits| is_number(format, bits)).collect();
        assert_eq!(magnitudes.last(), Some(&format.max_finite()), "{}", format.name);
        for &bits in &magnitudes {
            for bits in [bits, bits | format.sign()] {
                if is_number(format, bits) {
                    let number = format.to_f64(bits);
                    assert_eq!(number.to_bits(), by_halving(format, bits).to_bits(), "{} {bits:#x}", format.name);
                    assert_eq!(format.round(number), Some(bits), "{} {bits:#x}", format.name);
                }
            }
        }
        for pair in magnitudes.windows(2) {
            let (low, high) = (format.to_f64(pair[0]), format.to_f64(pair[1]));
            let middle = low + (high - low) / 2.0;
            let even = if format.special == Special::PowersOfTwo || pair[1] % 2 == 0 { pair[1] } else { pair[0] };
            assert_eq!(format.round(middle), Some(even), "{} {middle:e}", format.name);
            assert_eq!(format.round(middle.next_down()), Some(pair[0]), "{} {middle:e}", format.name);
            assert_eq!(format.round(middle.next_up()), Some(pair[1]), "{} {middle:e}", format.name);
        }
    }
}

/// The first number that is refused is the one from which on the next would be nearer, were there one.
#[test]
fn what_is_beyond_is_refused() {
    for format in small() {
        let greatest = format.to_f64(format.max_finite());
        let quantum = greatest - format.to_f64(format.max_finite() - 1);
        let quantum = if format.special == Special::PowersOfTwo { greatest } else { quantum };
        let half = greatest + quantum / 2.0;
        let tie = if format.max_finite() % 2 == 0 && format.special != Special::PowersOfTwo { Some(format.max_finite()) } else { None };
        assert_eq!(format.round(half), tie, "{}", format.name);
        assert_eq!(format.round(half.next_down()), Some(format.max_finite()), "{}", format.name);
        assert_eq!(format.round(half.next_up()), None, "{}", format.name);
        for number in [f64::MAX, f64::INFINITY, f64::NAN, f64::NEG_INFINITY, -f64::MAX] {
            assert_eq!(format.round(number), None, "{} {number}", format.name);
        }
    }
    assert_eq!([0.0, -0.0, -1.0, -f64::MIN_POSITIVE].map(|number| Format::F8_E8M0FNU.round(number)), [None; 4]);
    assert_eq!(Format::F8_E8M0FNU.round(f64::from_bits(1)), Some(0));
}

#[test]
fn binary16_rounds_once() {
    for (number, bits) in [
        (65_519.999_999, 0x7bff_u64),
        (5.960_464_477_539_063e-8, 0x0001),
        (2.980_232_238_769_532e-8, 0x0001),
        (2.980_232_238_769_531_2e-8, 0x0000),
        (0.1, 0x2e66),
        (5e-324, 0x0000),
        (1.000_488_281_25, 0x3c00),        // a tie, to even
        (1.000_488_281_250_000_2, 0x3c01), // over the tie by one unit of f64, lost on the way through f32
        (1.001_464_843_749_999_8, 0x3c01), // under the next tie
        (-1.000_488_281_250_000_2, 0xbc01),
    ] {
        assert_eq!(Format::F16.round(number), Some(bits), "{number:e}");
    }
    assert_eq!(Format::F16.round(65520.0), None);
}

/// FMT-37, FMT-DT-7. All bit patterns, NaNs included.
#[test]
fn every_small_float_survives_json_and_text() {
    for format in small() {
        for bits in 0..1_u64 << format.bits {
            let json = format.to_json(bits);
            assert_eq!(format.read_json(&json).unwrap(), bits, "{} {bits:#x}", format.name);
            let text = format.to_text(bits);
            let back = crate::dtype::text::real(&text);
            assert_eq!(format.read_json(&back).unwrap(), bits, "{} {text}", format.name);
        }
    }
}

#[test]
fn the_shortest_text() {
    for (format, bits, text) in [
        (Format::F16, 0x2e66, "0.1"),
        (Format::F16, 0x7bff, "65500.0"),
        (Format::BF16, 0x3dcd, "0.1"),
        (Format::BF16, 0x7f7f, "3.39e38"),
        (Format::F32, 0x3dcc_cccd, "0.1"),
        (Format::F32, 0x8000_0000, "-0.0"),
        (Format::F64, 0x3fb9_9999_9999_999a, "0.1"),
        (Format::F8_E4M3FN, 0x7e, "450.0"),
        (Format::F8_E8M0FNU, 0x00, "6e-39"),
    ] {
        assert_eq!(format.to_text(bits), text, "{}", format.name);
    }
}

proptest! {
    #[test]
    fn rounding_is_monotonous(one in any::<f64>(), shift in -1e-3..1e-3_f64, scale in -160_i32..130) {
        let one = one.clamp(-2.0, 2.0) * 2_f64.powi(scale);
        let other = one * (1.0 + shift);
        prop_assume!(one.is_finite() && other.is_finite());
        let (low, high) = (one.min(other), one.max(other));
        for format in small() {
            if let (Some(below), Some(above)) = (format.round(low), format.round(high)) {
                prop_assert!(format.to_f64(below) <= format.to_f64(above), "{} {low:e} {high:e}", format.name);
            }
        }
    }

    /// The processor rounds binary32 as we do; the crate `half` rounds bfloat16 from binary32 as we do.
    #[test]
    fn binary32_and_bfloat16_round_as_others_do(bits in any::<u64>(), exponent in 0_u64..300) {
        for number in [f64::from_bits(bits), f64::from_bits(bits >> 12 | (exponent + 1023 - 160) << 52)] {
            if number.is_finite() {
                #[expect(clippy::cast_possible_truncation, reason = "rounding is what is compared")]
                let single = number as f32;
                prop_assert_eq!(Format::F32.round(number), single.is_finite().then(|| u64::from(single.to_bits())));
                if single.is_finite() {
                    let half = bf16::from_f32(single);
                    prop_assert_eq!(Format::BF16.round(f64::from(single)), half.is_finite().then(|| u64::from(half.to_bits())));
                }
                prop_assert_eq!(Format::F64.round(number), Some(number.to_bits()));
            }
        }
    }

    #[test]
    fn bits_survive_json(bits in any::<u64>()) {
        for format in WIDE {
            let bits = bits >> (64 - format.bits);
            prop_assert_eq!(format.read_json(&format.to_json(bits)).unwrap(), bits);
            let text = format.to_json(bits).to_string();
            prop_assert_eq!(format.read_json(&serde_json::from_str(&text).unwrap()).unwrap(), bits);
            let text = format.to_text(bits);
            prop_assert_eq!(format.read_json(&crate::dtype::text::real(&text)).unwrap(), bits, "{}", text);
        }
    }
}
