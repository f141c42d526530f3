//! Bytes made by hand from the definition, round trips of all options, and damage.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn codec(data_type: &DataType, configuration: Value, count: usize) -> Result<PackBits> {
    let config = NamedConfig::from_json(&json!({"name": "packbits", "configuration": configuration})).unwrap();
    PackBits::from_metadata(&config, data_type, count * data_type.item_size())
}

fn encode(codec: &PackBits, decoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    codec.encode(decoded, &mut out);
    assert_eq!(out.len(), codec.encoded_bytes());
    out
}

fn decode(codec: &PackBits, encoded: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0x55; codec.count * codec.number_bytes];
    codec.decode(encoded, &mut out).map(|()| out)
}

/// FMT-AA-35
#[test]
fn bits_fill_bytes_from_the_lowest() {
    let bools = [1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0];
    for (configuration, expected) in [
        (json!({}), &[0b0001_1001, 0b011][..]),
        (json!({"padding_encoding": "none"}), &[0b0001_1001, 0b011]),
        (json!({"padding_encoding": "first_byte", "first_bit": null, "last_bit": null}), &[5, 0b0001_1001, 0b011]),
        (json!({"padding_encoding": "last_byte"}), &[0b0001_1001, 0b011, 5]),
    ] {
        let codec = codec(&DataType::Bool, configuration, 11).unwrap();
        assert_eq!(encode(&codec, &bools), expected);
        assert_eq!(decode(&codec, expected).unwrap(), bools);
    }
    // Three bits each of 5, 7, 1: 101, then 111, of which one bit is in the next byte.
    let codec = codec(&DataType::UInt8, json!({"last_bit": 2}), 3).unwrap();
    assert_eq!(encode(&codec, &[5, 7, 1]), [0b0111_1101, 0]);
    assert_eq!(decode(&codec, &[0b0111_1101, 0]).unwrap(), [5, 7, 1]);
}

/// FMT-AA-36
#[test]
fn signs_are_extended_and_low_bits_are_zero() {
    let numbers = |numbers: &[i16]| numbers.iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<_>>();
    let signed = codec(&DataType::Int16, json!({"first_bit": 2, "last_bit": 5}), 3).unwrap();
    // Bits 2 to 5 of -4 are 1111, of 20 0101, of -33 (…0111) 0111.
    let packed = encode(&signed, &numbers(&[-4, 20, -33]));
    assert_eq!(packed, [0b0101_1111, 0b0111]);
    assert_eq!(decode(&signed, &packed).unwrap(), numbers(&[-4, 20, 28]));
    assert_eq!(decode(&signed, &[0b1000, 0]).unwrap(), numbers(&[-32, 0, 0]));
    let unsigned = codec(&DataType::UInt16, json!({"first_bit": 2, "last_bit": 5}), 3).unwrap();
    assert_eq!(decode(&unsigned, &packed).unwrap(), numbers(&[60, 20, 28]));
    let whole = codec(&DataType::Int64, json!({}), 1).unwrap();
    assert_eq!(encode(&whole, &(-2_i64).to_ne_bytes()), (-2_i64).to_le_bytes());
    assert_eq!(decode(&whole, &(-2_i64).to_le_bytes()).unwrap(), (-2_i64).to_ne_bytes());
    // Types narrower than a byte: four, two of them and one and a third in a byte.
    for (data_type, elements, expected) in [
        (DataType::Int2, vec![1, 0xfe, 0xff, 0, 1], vec![0b0011_1001, 0b01]),
        (DataType::Int4, vec![7, 0xf8, 0xff], vec![0x87, 0x0f]),
        (DataType::UInt2, vec![1, 2, 3, 0, 1], vec![0b0011_1001, 0b01]),
        (DataType::UInt4, vec![7, 8, 15], vec![0x87, 0x0f]),
        (DataType::from_name("float6_e2m3fn").unwrap(), vec![0b10_0001, 0b01_1110], vec![0b1010_0001, 0b0111]),
        (DataType::from_name("float4_e2m1fn").unwrap(), vec![9, 3], vec![0x39]),
        (DataType::from_name("bfloat16").unwrap(), 0x3fc0_u16.to_ne_bytes().to_vec(), vec![0xc0, 0x3f]),
    ] {
        let codec = codec(&data_type, json!({}), elements.len() / data_type.item_size()).unwrap();
        assert_eq!(encode(&codec, &elements), expected, "{data_type}");
        assert_eq!(decode(&codec, &expected).unwrap(), elements, "{data_type}");
    }
    // Complex numbers: each part for itself.
    let halves = codec(&DataType::Complex64, json!({"first_bit": 16}), 1).unwrap();
    let parts = [1.5_f32.to_ne_bytes(), (-2.0_f32).to_ne_bytes()].concat();
    assert_eq!(encode(&halves, &parts), [0xc0, 0x3f, 0x00, 0xc0]);
    assert_eq!(decode(&halves, &[0xc0, 0x3f, 0x00, 0xc0]).unwrap(), parts);
}

/// FMT-AA-37
#[test]
fn damage_and_wrong_objects_are_refused() {
    for (padding, good, bad) in [("first_byte", [5, 1, 2], [4, 1, 2]), ("last_byte", [1, 2, 5], [1, 2, 13])] {
        let codec = codec(&DataType::Bool, json!({"padding_encoding": padding}), 11).unwrap();
        assert!(decode(&codec, &good).is_ok());
        for bytes in [&bad[..], &good[..2], &[good[0], good[1], good[2], 0], &[]] {
            assert!(matches!(decode(&codec, bytes), Err(Error::Corrupt { .. })), "{bytes:?}");
        }
    }
    for (data_type, configuration, expected) in [
        (DataType::Raw { size_bytes: 1 }, json!({}), "/name"),
        (DataType::String, json!({}), "/name"),
        (DataType::Bool, json!({"last_bit": 1}), "/configuration/last_bit"),
        (DataType::UInt8, json!({"first_bit": 8}), "/configuration/first_bit"),
        (DataType::UInt8, json!({"first_bit": -1}), "/configuration/first_bit"),
        (DataType::UInt8, json!({"first_bit": 5, "last_bit": 4}), "/configuration/last_bit"),
        (DataType::UInt8, json!({"padding_encoding": null}), "/configuration/padding_encoding"),
        (DataType::UInt8, json!({"padding": "none"}), "/configuration/padding"),
    ] {
        let Err(Error::Metadata { pointer, .. }) = codec(&data_type, configuration, 1) else { panic!("accepted: {expected}") };
        assert_eq!(pointer, expected);
    }
}

fn cases() -> impl Strategy<Value = (DataType, u32, u32, &'static str, Vec<u8>)> {
    use DataType as T;
    let types = vec![T::Bool, T::Int2, T::UInt4, T::Int8, T::UInt16, T::Int32, T::UInt64, T::Int64, T::Float32, T::Complex128];
    (prop::sample::select(types), 0_u32..64, 0_u32..64, prop::sample::select(vec!["none", "first_byte", "last_byte"]), 0_usize..20)
        .prop_flat_map(|(data_type, a, b, padding, count)| {
            let bits = numbers(&data_type).unwrap().0;
            let (a, b) = (a % bits, b % bits);
            let bytes = (count + 1) * data_type.item_size();
            (Just(data_type), Just(a.min(b)), Just(a.max(b)), Just(padding), prop::collection::vec(any::<u8>(), bytes))
        })
}

proptest! {
    #[test]
    fn bits_that_are_kept_come_back((data_type, first, last, padding, mut elements) in cases()) {
        if data_type == DataType::Bool {
            elements.iter_mut().for_each(|byte| *byte &= 1);
        }
        data_type.normalise(&mut elements);
        let count = elements.len() / data_type.item_size();
        let object = json!({"padding_encoding": padding, "first_bit": first, "last_bit": last});
        let codec = codec(&data_type, object, count).unwrap();
        let packed = encode(&codec, &elements);
        let decoded = decode(&codec, &packed).unwrap();
        for (number, before) in decoded.chunks(codec.number_bytes).zip(elements.chunks(codec.number_bytes)) {
            let kept = |number: &[u8]| read(number) >> first & (u64::MAX >> (63 - (last - first)));
            prop_assert_eq!(kept(number), kept(before));
            prop_assert_eq!(read(number) & ((1 << first) - 1), 0);
            let above = read(number).checked_shr(last + 1).unwrap_or(0);
            let width = 8 * u32::try_from(codec.number_bytes).unwrap() - (last + 1).min(8 * u32::try_from(codec.number_bytes).unwrap());
            let ones = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            let negative = codec.signed && read(number) >> last & 1 == 1;
            prop_assert_eq!(above, if negative { ones } else { 0 });
        }
        prop_assert_eq!(encode(&codec, &decoded), packed);
        let again = PackBits::from_metadata(&codec.to_metadata(), &data_type, elements.len()).unwrap();
        prop_assert_eq!(encode(&again, &elements), encode(&codec, &elements));
    }

    #[test]
    fn any_bits_are_refused_or_decoded((data_type, first, last, padding, bytes) in cases(), count in 1_usize..40) {
        let codec = codec(&data_type, json!({"padding_encoding": padding, "first_bit": first, "last_bit": last}), count).unwrap();
        if let Err(error) = decode(&codec, &bytes) {
            prop_assert!(matches!(error, Error::Corrupt { .. }), "{}", error);
        }
    }
}
