//! Tests of data types and fill values.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Error;

mod extensions;
mod golden;

/// Every data type that a name alone says, and some that are configured.
pub(crate) fn all_types() -> Vec<DataType> {
    let mut types: Vec<_> =
        "bool int2 int4 int8 int16 int32 int64 uint2 uint4 uint8 uint16 uint32 uint64 bfloat16 float16 float32 float64 \
                             complex_bfloat16 complex_float16 complex64 complex128"
            .split_whitespace()
            .map(|name| DataType::from_name(name).unwrap())
            .collect();
    types.extend(MiniFloat::ALL.iter().flat_map(|&mini| [DataType::Mini(mini), DataType::ComplexMini(mini)]));
    types.extend([1, 2, 5, 131_072].map(|size_bytes| DataType::Raw { size_bytes }));
    types.extend([1, 7].map(|size_bytes| DataType::NullTerminated { size_bytes }));
    types.extend([4, 12].map(|size_bytes| DataType::Utf32 { size_bytes }));
    for (unit, _) in TimeUnit::ALL {
        types.push(DataType::DateTime64 { unit, scale: 1 });
        types.push(DataType::TimeDelta64 { unit, scale: 25 });
    }
    types
}

fn field(name: &str, data_type: DataType) -> Field {
    Field { name: name.to_owned(), data_type }
}

/// The pointer and message of the metadata error that reading must give.
fn refused(name: &str, value: &Value) -> (String, String) {
    match FillValue::from_json(&DataType::from_name(name).unwrap(), value) {
        Err(Error::Metadata { pointer, what, .. }) => (pointer, what),
        other => panic!("{value} for {name}: {other:?}"),
    }
}

fn read(name: &str, value: &Value) -> Vec<u8> {
    FillValue::from_json(&DataType::from_name(name).unwrap(), value).unwrap().as_bytes().to_vec()
}

/// Types of fixed size, structs of structs among them.
fn data_types() -> impl Strategy<Value = DataType> {
    let simple = prop::sample::select(all_types().into_iter().filter(|data_type| data_type.item_size() < 100).collect::<Vec<_>>());
    simple.prop_recursive(3, 12, 4, |inner| {
        prop::collection::btree_map("[a-z/~\\\\\"é ]{1,3}", inner, 1..4)
            .prop_map(|fields| DataType::Struct(fields.into_iter().map(|(name, data_type)| Field { name, data_type }).collect()))
    })
}

/// Makes any bytes those of an element: unused bits as they must be, text Unicode.
fn made_valid(data_type: &DataType, bytes: &mut [u8]) {
    data_type.normalise(bytes);
    data_type.each_leaf(0, &mut |leaf, offset| {
        let own = &mut bytes[offset..offset + leaf.item_size()];
        match leaf {
            DataType::Bool => own[0] &= 1,
            DataType::Utf32 { .. } => {
                for point in own.as_chunks_mut::<4>().0 {
                    *point = char::from_u32(u32::from_ne_bytes(*point) % 0x11_0000).map_or(0, u32::from).to_ne_bytes();
                }
            }
            _ => {}
        }
    });
}

/// A data type with the bytes of one element, any bits that it can have.
pub(crate) fn elements() -> impl Strategy<Value = (DataType, Vec<u8>)> {
    let fixed = data_types().prop_flat_map(|data_type| {
        let byte = prop_oneof![any::<u8>(), Just(0), Just(0xff), Just(0x7f)];
        let size = data_type.item_size();
        (Just(data_type), prop::collection::vec(byte, size))
    });
    let fixed = fixed.prop_map(|(data_type, mut bytes)| {
        made_valid(&data_type, &mut bytes);
        (data_type, bytes)
    });
    prop_oneof![
        8 => fixed,
        1 => any::<String>().prop_map(|text| (DataType::String, text.into_bytes())),
        1 => prop::collection::vec(any::<u8>(), 0..9).prop_map(|bytes| (DataType::Bytes, bytes)),
    ]
}

#[test]
fn names_and_sizes() {
    for data_type in all_types() {
        assert_eq!(DataType::parse(&data_type.name()).unwrap(), data_type);
        assert_eq!(DataType::from_json(&data_type.to_json()).unwrap(), (data_type.clone(), false));
        assert_eq!(DataType::parse(&data_type.to_json().to_string()).unwrap(), data_type);
        if data_type.to_json().is_string() {
            assert_eq!(DataType::from_name(&data_type.name()).unwrap(), data_type);
            assert_eq!(DataType::from_json(&json!({"name": data_type.name(), "configuration": {}})).unwrap(), (data_type.clone(), false));
        }
        assert!(data_type.item_size().is_multiple_of(data_type.swap_size()));
    }
    let sizes = |name: &str| DataType::from_name(name).map(|data_type| (data_type.item_size(), data_type.swap_size())).unwrap();
    assert_eq!(sizes("bool"), (1, 1));
    assert_eq!(sizes("uint16"), (2, 2));
    assert_eq!(sizes("complex64"), (8, 4));
    assert_eq!(sizes("complex128"), (16, 8));
    assert_eq!(sizes("r40"), (5, 1));
}

/// FMT-20, FMT-21.
#[test]
fn types_that_are_refused() {
    for name in
        ["", "r", "structs", "Float32", "float128", "float8", "int3", "complex_float8", "complex_int8", "r-8", "r+8", "int", "<f4", "r8 "]
    {
        match DataType::from_name(name) {
            Err(Error::Unsupported { what, .. }) => assert!(what.contains("complex128") && what.contains(&format!("{name:?}")), "{what}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    for name in ["r0", "r7", "r12", "r08", "r1048584", "r99999999999999999999999"] {
        match DataType::from_name(name) {
            Err(Error::Metadata { what, .. }) => assert!(what.contains("multiple of 8 from 8 to 1048576 bits"), "{what}"),
            other => panic!("{name}: {other:?}"),
        }
    }
    for (value, at) in [
        (json!({"name": "int8", "must_understand": false}), "/must_understand"),
        (json!({"name": "int8", "configuration": {"a": 1}}), "/configuration/a"),
        (json!({"configuration": {}}), "/name"),
        (json!(null), ""),
    ] {
        match DataType::from_json(&value) {
            Err(Error::Metadata { pointer, .. }) => assert_eq!(pointer, at),
            other => panic!("{value}: {other:?}"),
        }
    }
}

#[test]
fn numpy_spellings() {
    for (text, name) in [
        ("f4", "float32"),
        ("<f4", "float32"),
        ("=f8", "float64"),
        ("<f2", "float16"),
        ("i2", "int16"),
        ("|u1", "uint8"),
        (">i1", "int8"),
        ("u8", "uint64"),
        ("b1", "bool"),
        ("|b1", "bool"),
        ("?", "bool"),
        ("c8", "complex64"),
        ("<c16", "complex128"),
        ("V5", "r40"),
        ("|V1", "r8"),
        ("<M8[ns]", "numpy.datetime64[ns]"),
        ("M8[25us]", "numpy.datetime64[25us]"),
        ("M8", "numpy.datetime64"),
        ("m8[D]", "numpy.timedelta64[D]"),
        ("datetime64[ms]", "numpy.datetime64[ms]"),
        ("|S4", "null_terminated_bytes[4]"),
        ("<U4", "fixed_length_utf32[16]"),
        ("raw_bytes[3]", "r24"),
    ] {
        assert_eq!(DataType::parse(text).unwrap().name(), name, "{text}");
    }
    let said = |text: &str| match DataType::parse(text) {
        Err(Error::InvalidArgument { what }) => what,
        other => panic!("{text}: {other:?}"),
    };
    for text in [">f4", ">i2", ">c16", ">U2", ">M8[s]"] {
        assert!(said(text).contains("endian=big"), "{}", said(text));
    }
    for text in ["", "<", "f3", "i16", "<float32", "<M9[ns]", "S0", "U", "V0", "V", "V131073", "O", "M8[", "M8[x]", "M8[0s]", "S+4"] {
        assert!(said(text).contains("accepted are"), "{}", said(text));
    }
    assert!(said("r12").contains("multiple of 8"));
}

/// FMT-31, FMT-32, FMT-33, FMT-34, FMT-35, FMT-36.
#[test]
fn fill_values_that_are_read() {
    assert_eq!(read("bool", &json!(true)), [1]);
    assert_eq!(read("int8", &json!(-128)), (-128_i8).to_ne_bytes());
    assert_eq!(read("int64", &json!(i64::MIN)), i64::MIN.to_ne_bytes());
    assert_eq!(read("uint64", &json!(u64::MAX)), u64::MAX.to_ne_bytes());
    assert_eq!(read("uint16", &json!(65535)), [255, 255]);
    assert_eq!(read("float32", &json!(3)), 3_f32.to_ne_bytes());
    assert_eq!(read("float32", &json!(0.1)), 0.1_f32.to_ne_bytes());
    assert_eq!(read("float32", &json!(-0.0)), (-0.0_f32).to_ne_bytes());
    assert_eq!(read("float32", &json!(1e-46)), 0_f32.to_ne_bytes());
    assert_eq!(read("float32", &json!(3.402_823_466_385_288_6e38)), f32::MAX.to_ne_bytes());
    assert_eq!(read("float16", &json!(0.1)), 0x2e66_u16.to_ne_bytes());
    assert_eq!(read("float32", &json!("NaN")), 0x7fc0_0000_u32.to_ne_bytes());
    assert_eq!(read("float64", &json!("NaN")), 0x7ff8_0000_0000_0000_u64.to_ne_bytes());
    assert_eq!(read("float16", &json!("-Infinity")), 0xfc00_u16.to_ne_bytes());
    assert_eq!(read("float32", &json!("0x7F800001")), 0x7f80_0001_u32.to_ne_bytes());
    assert_eq!(read("float64", &json!("0x3ff0000000000000")), 1_f64.to_ne_bytes());
    let pair = [0xffc0_0001_u32.to_ne_bytes(), (-0.0_f32).to_ne_bytes()].concat();
    assert_eq!(read("complex64", &json!(["0xffc00001", -0.0])), pair);
    assert_eq!(read("complex128", &json!([1, "Infinity"])), [1_f64.to_ne_bytes(), f64::INFINITY.to_ne_bytes()].concat());
    assert_eq!(read("r24", &json!([1, 0, 255])), [1, 0, 255]);
    assert_eq!(read("r24", &json!("AQD/")), [1, 0, 255]);
    assert_eq!(read("r16", &json!("AQI=")), [1, 2]);
    assert_eq!(read("r8", &json!("/w==")), [255]);
}

/// FMT-30 to FMT-36.
#[test]
fn fill_values_that_are_refused() {
    for name in ["bool", "int8", "uint64", "float16", "complex64", "r8"] {
        assert!(refused(name, &json!(null)).1.contains("no undefined fill value"));
    }
    for (name, value) in [
        ("bool", json!(0)),
        ("bool", json!("true")),
        ("int8", json!(128)),
        ("int8", json!(-129)),
        ("int8", json!(1.0)),
        ("int8", json!("1")),
        ("int8", json!(true)),
        ("uint8", json!(256)),
        ("uint8", json!(-1)),
        ("int64", json!(9_223_372_036_854_775_808_u64)),
        ("uint64", json!(1.8446744073709552e19)),
        ("uint32", json!([0])),
        ("float32", json!(1e39)),
        ("float32", json!(3.402_823_567_797_336_6e38)),
        ("float16", json!(65520)),
        ("float16", json!("0x7fc00000")),
        ("float32", json!("0x7fc0")),
        ("float32", json!("0x7fc000000")),
        ("float32", json!("0X7fc00000")),
        ("float32", json!("0x+fc00000")),
        ("float32", json!("7fc00000")),
        ("float32", json!("nan")),
        ("float32", json!("+Infinity")),
        ("float32", json!("1")),
        ("float64", json!(true)),
        ("float64", json!([1])),
        ("complex64", json!(1)),
        ("complex64", json!([1])),
        ("complex64", json!([1, 2, 3])),
        ("r16", json!([1])),
        ("r16", json!([1, 256])),
        ("r16", json!([1, -1])),
        ("r16", json!([1, 2, 3])),
        ("r16", json!("AQ==")),
        ("r16", json!("AQI")),
        ("r16", json!("AQJ=")),
        ("r16", json!("AQI==")),
        ("r16", json!("A_I=")),
        ("r16", json!("====")),
        ("r16", json!(0)),
    ] {
        assert_eq!(refused(name, &value).0, "", "{value} for {name}");
    }
    assert_eq!(refused("complex64", &json!(["x", 0])).0, "/0");
    assert_eq!(refused("complex64", &json!([0, "0x00"])).0, "/1");
    assert!(refused("int16", &json!(1e5)).1.contains("from -32768 to 32767"));
    assert!(refused("uint64", &json!(-1)).1.contains("from 0 to 18446744073709551615"));
}

/// FMT-37.
#[test]
fn written_forms() {
    for (name, value) in [
        ("bool", json!(true)),
        ("int64", json!(i64::MIN)),
        ("uint64", json!(u64::MAX)),
        ("int8", json!(-1)),
        ("float64", json!(5e-324)),
        ("float32", json!(0.100_000_001_490_116_12)),
        ("float16", json!(0.099_975_585_937_5)),
        ("float32", json!(-0.0)),
        ("float32", json!("NaN")),
        ("float16", json!("0xfe00")),
        ("float64", json!("0x7ff0000000000001")),
        ("float16", json!("0x7e01")),
        ("complex64", json!(["NaN", "-Infinity"])),
        ("complex128", json!(["0xfff8000000000000", 1.0])),
        ("r8", json!("/w==")),
        ("r16", json!("AQI=")),
        ("r24", json!("AAH/")),
        ("r32", json!("AAECAw==")),
    ] {
        let data_type = DataType::from_name(name).unwrap();
        let written = FillValue::from_json(&data_type, &value).unwrap().to_json(&data_type);
        assert_eq!(written.to_string(), value.to_string(), "{name}");
    }
}

#[test]
fn typed_fill_values() {
    for (name, text, value) in [
        ("float32", "nan", json!("NaN")),
        ("float32", "NaN", json!("NaN")),
        ("float32", "\"NaN\"", json!("NaN")),
        ("float32", "-inf", json!("-Infinity")),
        ("float64", " +Infinity ", json!("Infinity")),
        ("float32", "0x7fc00001", json!("0x7fc00001")),
        ("float32", "1e20", json!(1e20)),
        ("float64", ".5", json!(0.5)),
        ("float64", "-0", json!(-0.0)),
        ("int8", "-1", json!(-1)),
        ("int8", "+7", json!(7)),
        ("uint64", "18446744073709551615", json!(u64::MAX)),
        ("bool", "True", json!(true)),
        ("bool", "false", json!(false)),
        ("complex64", "[1, nan]", json!([1, "NaN"])),
        ("complex64", "[\"-Infinity\",2]", json!(["-Infinity", 2])),
        ("complex64", "3", json!([3, 0])),
        ("r16", "[1,2]", json!([1, 2])),
        ("r16", "AQI=", json!([1, 2])),
    ] {
        let data_type = DataType::from_name(name).unwrap();
        assert_eq!(FillValue::parse(&data_type, text).unwrap(), FillValue::from_json(&data_type, &value).unwrap(), "{text} for {name}");
    }
    for (name, text) in [
        ("float32", ""),
        ("float32", "1e39"),
        ("float64", "1e309"),
        ("float64", "-1e309"),
        ("float32", "-nan"),
        ("float32", "null"),
        ("int8", "300"),
        ("int8", "1.0"),
        ("int8", "nan"),
        ("int8", "0x01"),
        ("uint8", "-1"),
        ("bool", "1"),
        ("complex64", "[1]"),
        ("complex64", "[]"),
        ("complex64", "[1,2,3]"),
        ("r16", "[1]"),
        ("r16", "0"),
    ] {
        let result = FillValue::parse(&DataType::from_name(name).unwrap(), text);
        assert!(matches!(result, Err(Error::InvalidArgument { .. })), "{text:?} for {name}: {result:?}");
    }
}

#[test]
fn bytes_are_checked() {
    assert!(FillValue::from_bytes(&DataType::Int16, &[1]).is_err());
    assert!(FillValue::from_bytes(&DataType::Int16, &[1, 2, 3]).is_err());
    assert!(FillValue::from_bytes(&DataType::Bool, &[2]).is_err());
    assert_eq!(FillValue::from_bytes(&DataType::Bool, &[1]).unwrap().as_bytes(), [1]);
    assert_eq!(FillValue::zero(&DataType::Complex128).as_bytes(), [0; 16]);
}

#[test]
fn minus_zero_is_not_zero() {
    let zero = FillValue::zero(&DataType::Float32);
    assert!(zero.is_all_fill(&[0; 8]));
    assert!(!zero.is_all_fill(&[0_f32.to_ne_bytes(), (-0_f32).to_ne_bytes()].concat()));
    assert!(zero.is_all_fill(&[]));
}

proptest! {
    /// FMT-37. Bit-exact, NaN payloads included, in JSON values and in JSON text.
    #[test]
    fn bits_survive_json((data_type, bytes) in elements()) {
        let fill = FillValue::from_bytes(&data_type, &bytes).unwrap();
        let json = fill.to_json(&data_type);
        prop_assert!(json != Value::Null);
        prop_assert_eq!(&FillValue::from_json(&data_type, &json).unwrap(), &fill);
        prop_assert_eq!(&FillValue::from_json(&data_type, &serde_json::from_str(&json.to_string()).unwrap()).unwrap(), &fill);
        let text = fill.to_text(&data_type);
        prop_assert_eq!(&FillValue::parse(&data_type, &text).unwrap(), &fill, "{}", text);
        let line = data_type.element_text(&bytes);
        prop_assert!(!line.is_empty() && !line.contains('\n'));
    }

    #[test]
    fn types_survive_json(data_type in data_types()) {
        prop_assert!(data_type.check().is_ok());
        let json = data_type.to_json();
        prop_assert_eq!(&DataType::from_json(&json).unwrap().0, &data_type);
        prop_assert_eq!(&DataType::parse(&data_type.name()).unwrap(), &data_type);
        prop_assert!(data_type.to_string().chars().count() <= 70);
    }

    #[test]
    fn filled_is_all_fill((data_type, bytes) in elements().prop_filter("fixed size", |(data_type, _)| !data_type.is_variable_length()), count in 0_usize..3000, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let fill = FillValue::from_bytes(&data_type, &bytes).unwrap();
        let mut target = vec![0x5a; count * data_type.item_size()];
        fill.fill(&mut target);
        prop_assert!(target.chunks(data_type.item_size()).all(|element| element == fill.as_bytes()));
        prop_assert!(fill.is_all_fill(&target));
        if !target.is_empty() {
            let at = at.index(target.len());
            target[at] ^= 1_u8 << bit;
            prop_assert!(!fill.is_all_fill(&target));
        }
    }

    #[test]
    fn any_text_gives_an_answer(text in ".{0,12}", data_type in data_types()) {
        let _ = DataType::parse(&text);
        let _ = DataType::from_name(&text);
        let _ = FillValue::parse(&data_type, &text);
    }
}
