//! Tests of the data types and fill values of Zarr v2.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dtype::tests::elements;

fn fixed(dtype: &Value) -> V2Type {
    match from_v2(dtype) {
        Ok(V2Dtype::Fixed(fixed)) => fixed,
        other => panic!("{dtype}: {other:?}"),
    }
}

fn fill(dtype: &Value, value: &Value) -> Vec<u8> {
    let V2Type { data_type, order } = fixed(dtype);
    let fill = fill_from_v2(&data_type, &order, Some(value)).unwrap_or_else(|error| panic!("{value} for {dtype}: {error}"));
    fill.as_bytes().to_vec()
}

/// FMT-DT-13.
#[test]
fn types_in_numpys_spelling() {
    for (dtype, name, order) in [
        ("<i4", "int32", ByteOrder::Little),
        (">i4", "int32", ByteOrder::Big),
        ("|b1", "bool", ByteOrder::None),
        ("<b1", "bool", ByteOrder::None),
        ("|u1", "uint8", ByteOrder::None),
        ("<u1", "uint8", ByteOrder::None),
        (">i1", "int8", ByteOrder::None),
        ("|i2", "int16", ByteOrder::Little),
        ("<f2", "float16", ByteOrder::Little),
        (">f8", "float64", ByteOrder::Big),
        ("<c16", "complex128", ByteOrder::Little),
        (">c8", "complex64", ByteOrder::Big),
        ("<M8[ns]", "numpy.datetime64[ns]", ByteOrder::Little),
        (">M8[25us]", "numpy.datetime64[25us]", ByteOrder::Big),
        ("<M8[μs]", "numpy.datetime64[us]", ByteOrder::Little),
        ("<m8", "numpy.timedelta64", ByteOrder::Little),
        ("<m8[D]", "numpy.timedelta64[D]", ByteOrder::Little),
        ("|S4", "null_terminated_bytes[4]", ByteOrder::None),
        ("<U4", "fixed_length_utf32[16]", ByteOrder::Little),
        (">U1", "fixed_length_utf32[4]", ByteOrder::Big),
        ("|V5", "r40", ByteOrder::None),
        ("bfloat16", "bfloat16", ByteOrder::Little),
        ("float8_e4m3fn", "float8_e4m3fn", ByteOrder::None),
        ("int4", "int4", ByteOrder::None),
    ] {
        let read = fixed(&json!(dtype));
        assert_eq!((read.data_type.name().as_str(), read.order), (name, order), "{dtype}");
    }
    for object in ["|O", "<O", "O"] {
        assert_eq!(from_v2(&json!(object)).unwrap(), V2Dtype::Object);
    }
}

/// FMT-DT-13.
#[test]
fn spellings_that_are_refused() {
    for dtype in [
        "",
        "<",
        "i4",
        "=i4",
        "<i3",
        "<f16",
        "<c32",
        "|S0",
        "|U0",
        "|V0",
        "|S",
        "|S1048577",
        "<U262145",
        "|V131073",
        "<M8[",
        "<M8[]",
        "<M8[0s]",
        "<M8[us/3]",
        "<M8[2147483648s]",
        "<M4[s]",
        "|t4",
        "<O4",
        "int32",
        "string",
        "<bfloat16",
        "|S-1",
        "<é",
    ] {
        let result = from_v2(&json!(dtype));
        assert!(matches!(&result, Err(Error::Unsupported { what, .. }) if what.contains(&format!("{dtype:?}"))), "{dtype}: {result:?}");
    }
    for dtype in [json!(null), json!(4), json!({"a": 1})] {
        assert!(matches!(from_v2(&dtype), Err(Error::Metadata { .. })), "{dtype}");
    }
}

/// FMT-DT-14.
#[test]
fn structs_of_numpy() {
    let read = fixed(&json!([["a", "<i4"], ["n", [["x", "<f4"], ["y", "|S3"]]], ["", "|V1"], ["b", "<f8"]]));
    assert_eq!(read.order, ByteOrder::Little);
    assert_eq!(read.data_type.item_size(), 20);
    let DataType::Struct(fields) = &read.data_type else { panic!("{read:?}") };
    let names: Vec<_> = fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["a", "n", "f2", "b"]);
    assert_eq!(fixed(&json!([["a", "|u1"], ["b", "|S2"]])).order, ByteOrder::None);
    assert_eq!(fixed(&json!([["a", "|u1"], ["b", ">i2"], ["c", ">U1"]])).order, ByteOrder::Big);
    let unit = |offset, width, count, big| (ByteUnits { offset, width, count }, big);
    let mixed = fixed(&json!([["id", "<i4"], ["u", "<i4"], ["v", ">f8", [2]], ["w", ">f8"], ["x", "|i1"], ["y", "<i4"]]));
    assert_eq!(mixed.order, ByteOrder::Mixed(vec![unit(0, 4, 2, false), unit(8, 8, 3, true), unit(33, 4, 1, false)]));
    let mut element: Vec<u8> = (0..37).collect();
    mixed.order.reorder(&mixed.data_type, &mut element);
    let big = |range: std::ops::Range<u8>| if cfg!(target_endian = "little") { range.rev().collect::<Vec<_>>() } else { range.collect() };
    assert_eq!(element[8..32], [big(8..16), big(16..24), big(24..32)].concat());
    assert_eq!(element[32], 32);
    mixed.order.reorder(&mixed.data_type, &mut element);
    assert_eq!(element, (0..37).collect::<Vec<u8>>());
}

/// FMT-DT-14.
#[test]
fn fields_that_are_arrays() {
    let read = fixed(&json!([["v", ">f4", [2, 3]], ["s", [["a", "<i2"]], 2]]));
    assert_eq!(read.data_type.item_size(), 28);
    let float = |name: &str| json!({"name": name, "data_type": "float32"});
    let of = |fields: Value| json!({"name": "struct", "configuration": {"fields": fields}});
    let row = of(json!([float("0"), float("1"), float("2")]));
    let inner = of(json!([{"name": "a", "data_type": "int16"}]));
    let expected = of(json!([
        {"name": "v", "data_type": of(json!([{"name": "0", "data_type": row}, {"name": "1", "data_type": row}]))},
        {"name": "s", "data_type": of(json!([{"name": "0", "data_type": inner}, {"name": "1", "data_type": inner}]))},
    ]));
    assert_eq!(read.data_type.to_json(), expected);
    let unit = |offset, width, count, big| (ByteUnits { offset, width, count }, big);
    assert_eq!(read.order, ByteOrder::Mixed(vec![unit(0, 4, 6, true), unit(24, 2, 2, false)]));
}

/// FMT-DT-14.
#[test]
fn structs_that_are_refused() {
    for (dtype, pointer) in [
        (json!([]), ""),
        (json!([["a", "<i4"], ["a", "<i4"]]), ""),
        // 400 KB of text that would be 800 MB.
        (json!([["a", [["n".repeat(400_000), "|i1"]], [2000]]]), ""),
        (json!([["a"]]), "/0"),
        (json!(["a", "<i4"]), "/0"),
        (json!([["a", "<i4", [2], 1]]), "/0"),
        (json!([[["title", "a"], "<i4"]]), "/0"),
        (json!([["a", "<i4", [0]]]), "/0/2"),
        (json!([["a", "<i4", [-1]]]), "/0/2"),
        (json!([["a", "<i4", "2"]]), "/0/2"),
        (json!([["a", "<i4", vec![1; 17]]]), "/0/2"),
        (json!([["a", 4]]), "/0/1"),
        (json!([["a", [["b", {}]]]]), "/0/1/0/1"),
    ] {
        match from_v2(&dtype) {
            Err(Error::Metadata { pointer: at, .. }) => assert_eq!(at, pointer, "{dtype}"),
            other => panic!("{dtype}: {other:?}"),
        }
    }
    let many: Vec<_> = (0..4097).map(|position| json!([position.to_string(), "<i4"])).collect();
    let wide = json!([["a", "<i4", [4095]], ["b", "<i4", [2]]]);
    let product = json!([["a", [["b", [["c", "|u1", [64]]], [64]]], [64]]]);
    for dtype in [json!(many), json!([["a", "<i4", [4096, 4096]]]), json!([["a", "<i4", [u64::MAX]]]), wide, product, json!([["a", "|O"]])]
    {
        assert!(matches!(from_v2(&dtype), Err(Error::Unsupported { .. })), "{:.60}", dtype.to_string());
    }
    let deep = (0..20).fold(json!("<i4"), |inner, _| json!([["a", inner]]));
    assert!(matches!(from_v2(&deep), Err(Error::Metadata { .. })));
    let ones = (0..3).fold(json!("<i4"), |inner, _| json!([["a", inner, vec![1; 10]]]));
    assert!(matches!(from_v2(&ones), Err(Error::Metadata { .. })));
}

/// FMT-DT-15.
#[test]
fn fill_values_as_they_are_found() {
    let int = |number: i32| number.to_ne_bytes().to_vec();
    let float = |number: f32| number.to_ne_bytes().to_vec();
    let count = |number: i64| number.to_ne_bytes().to_vec();
    for (dtype, value, bytes) in [
        ("<i4", json!("0"), int(0)),
        ("<i4", json!("-7"), int(-7)),
        ("<i4", json!(0.0), int(0)),
        ("<i4", json!(-0.0), int(0)),
        (">i4", json!(3), int(3)),
        ("<i4", json!(-3e2), int(-300)),
        ("|u1", json!(0.0), vec![0]),
        ("<u8", json!(1.8e19), 18_000_000_000_000_000_000_u64.to_ne_bytes().to_vec()),
        ("|b1", json!(false), vec![0]),
        ("|b1", json!(1), vec![1]),
        ("|b1", json!(0.0), vec![0]),
        ("<f4", json!("0"), float(0.0)),
        ("<f4", json!("1.5"), float(1.5)),
        ("<f4", json!("NaN"), 0x7fc0_0000_u32.to_ne_bytes().to_vec()),
        ("<f4", json!("nan"), 0x7fc0_0000_u32.to_ne_bytes().to_vec()),
        (">f4", json!("-Infinity"), float(f32::NEG_INFINITY)),
        ("<f4", json!(9.969_209_968_386_869e36), float(9.969_21e36)),
        ("<c8", json!([1, "NaN"]), [float(1.0), 0x7fc0_0000_u32.to_ne_bytes().to_vec()].concat()),
        ("<c8", json!(2), [float(2.0), float(0.0)].concat()),
        ("<c8", json!("NaN"), [0x7fc0_0000_u32.to_ne_bytes().to_vec(), float(0.0)].concat()),
        ("<M8[ns]", json!("NaT"), count(i64::MIN)),
        ("<M8[ns]", json!(5), count(5)),
        ("<m8[s]", json!(-3.0), count(-3)),
        ("<M8[s]", json!(null), count(i64::MIN)),
        ("|S4", json!(0), vec![0; 4]),
        ("|S4", json!(""), vec![0; 4]),
        ("|S4", json!("YWI="), b"ab\0\0".to_vec()),
        ("|S4", json!("AAAAAA=="), vec![0; 4]),
        ("|V5", json!("AQI="), vec![1, 2, 0, 0, 0]),
        ("|V5", json!("AQIDBAU="), vec![1, 2, 3, 4, 5]),
        ("|V5", json!(0), vec![0; 5]),
        ("|V5", json!(""), vec![0; 5]),
        ("<U2", json!(0), vec![0; 8]),
        (">U2", json!("a"), [u32::from('a').to_ne_bytes(), [0; 4]].concat()),
        ("<i4", json!(null), int(0)),
        ("|S4", json!(null), vec![0; 4]),
    ] {
        assert_eq!(fill(&json!(dtype), &value), bytes, "{value} for {dtype}");
    }
    let zero = fill_from_v2(&DataType::Float64, &ByteOrder::Little, None).unwrap();
    assert_eq!(zero, FillValue::zero(&DataType::Float64));
    for (data_type, value, text) in [
        (DataType::String, json!("abc"), "abc"),
        (DataType::String, json!(0), "0"),
        (DataType::String, json!(1.5), "1.5"),
        (DataType::String, json!(null), ""),
        (DataType::Bytes, json!("YWI="), "ab"),
        (DataType::Bytes, json!(0), ""),
    ] {
        assert_eq!(fill_from_v2(&data_type, &ByteOrder::None, Some(&value)).unwrap().as_bytes(), text.as_bytes());
    }
}

/// FMT-DT-15.
#[test]
fn fill_values_of_structs_are_packed() {
    let dtype = json!([["a", "<i4"], ["b", ">f8"]]);
    let one = [&1_i32.to_ne_bytes()[..], &1_f64.to_ne_bytes()].concat();
    assert_eq!(fill(&dtype, &json!("AQAAAD/wAAAAAAAA")), one);
    for value in [json!(null), json!(0), json!("")] {
        assert_eq!(fill(&dtype, &value), [0; 12], "{value}");
    }
    assert_eq!(fill(&json!([["a", ">i4"], ["b", ">f8"]]), &json!("AAAAAT/wAAAAAAAA")), one);
}

/// FMT-DT-15.
#[test]
fn fill_values_that_are_refused() {
    for (dtype, value) in [
        (json!("<i4"), json!(1.5)),
        (json!("<i4"), json!("x")),
        (json!("<i4"), json!("1.0")),
        (json!("<i4"), json!("NaN")),
        (json!("<i4"), json!(1e300)),
        (json!("|u1"), json!(256)),
        (json!("|u1"), json!(-1.0)),
        (json!("|b1"), json!(2)),
        (json!("|b1"), json!("0")),
        (json!("<f4"), json!("x")),
        (json!("<f4"), json!([1])),
        (json!("<c8"), json!([1, 2, 3])),
        (json!("<M8[ns]"), json!("2000-01-01")),
        (json!("|S4"), json!("abc")),
        (json!("|S4"), json!("AQIDBAU=")),
        (json!("|S4"), json!(1)),
        (json!("|V2"), json!("AQID")),
        (json!("<U2"), json!("abc")),
        (json!("<U2"), json!(1)),
        (json!([["a", "<i4"]]), json!("AQ==")),
        (json!([["a", "<i4"]]), json!(1)),
        (json!([["a", "|b1"]]), json!("Ag==")),
    ] {
        let V2Type { data_type, order } = fixed(&dtype);
        let result = fill_from_v2(&data_type, &order, Some(&value));
        assert!(matches!(result, Err(Error::Metadata { .. })), "{value} for {dtype}: {result:?}");
    }
}

proptest! {
    /// What Zarr v3 writes is read, and no value makes a panic.
    #[test]
    fn forms_of_zarr_v3_are_read((data_type, bytes) in elements(), other in "\\PC{0,8}") {
        let fill = FillValue::from_bytes(&data_type, &bytes).unwrap();
        if !matches!(data_type, DataType::Struct(_)) {
            prop_assert_eq!(&fill_from_v2(&data_type, &ByteOrder::None, Some(&fill.to_json(&data_type))).unwrap(), &fill);
        }
        let _ = fill_from_v2(&data_type, &ByteOrder::None, Some(&json!(other)));
        let _ = from_v2(&json!(other));
        let _ = from_v2(&json!([[other, "<i4"]]));
    }
}
