//! Tests of the types beyond the core specification: their documents, their fill values, their limits.

use super::*;

fn from(value: &Value) -> DataType {
    DataType::from_json(value).unwrap().0
}

fn date(unit: &str, scale: u32) -> DataType {
    DataType::DateTime64 { unit: TimeUnit::from_name(unit).unwrap(), scale }
}

/// The bytes of a fill value in metadata, and the form in which it is written.
fn fill(data_type: &DataType, value: &Value) -> (Vec<u8>, Value) {
    let fill = FillValue::from_json(data_type, value).unwrap_or_else(|error| panic!("{value} for {data_type}: {error}"));
    (fill.as_bytes().to_vec(), fill.to_json(data_type))
}

fn no_fill(data_type: &DataType, value: &Value) -> (String, String) {
    match FillValue::from_json(data_type, value) {
        Err(Error::Metadata { pointer, what, .. }) => (pointer, what),
        other => panic!("{value} for {data_type}: {other:?}"),
    }
}

fn no_type(value: &Value) -> (String, String) {
    match DataType::from_json(value) {
        Err(Error::Metadata { pointer, what, .. }) => (pointer, what),
        other => panic!("{value}: {other:?}"),
    }
}

/// A table of people as NumPy has it.
fn people() -> DataType {
    from(&json!({"name": "struct", "configuration": {"fields": [
        {"name": "id", "data_type": "int16"},
        {"name": "at", "data_type": {"name": "struct", "configuration": {"fields": [
            {"name": "x", "data_type": "float32"},
            {"name": "y", "data_type": {"name": "float32"}},
        ]}}},
        {"name": "raw", "data_type": "r16"},
    ]}}))
}

/// FMT-DT-1.
#[test]
fn names_with_two_spellings() {
    for (name, written) in [
        ("complex_float32", "complex64"),
        ("complex_float64", "complex128"),
        ("variable_length_bytes", "bytes"),
        ("bytes", "bytes"),
        ("string", "string"),
        ("complex_float8_e4m3fn", "complex_float8_e4m3fn"),
        ("float4_e2m1fn", "float4_e2m1fn"),
    ] {
        assert_eq!(from(&json!(name)).to_json(), json!(written));
        assert_eq!(from(&json!({"name": name})).to_json(), json!(written));
        assert_eq!(no_type(&json!({"name": name, "configuration": {"size": 1}})).0, "/configuration/size");
    }
    assert_eq!(MiniFloat::ALL.len(), 11);
}

/// FMT-DT-2.
#[test]
fn types_with_a_configuration() {
    for (value, name, size) in [
        (json!({"name": "numpy.datetime64", "configuration": {"unit": "us", "scale_factor": 25}}), "numpy.datetime64[25us]", 8),
        (json!({"name": "numpy.timedelta64", "configuration": {"unit": "generic", "scale_factor": 1}}), "numpy.timedelta64", 8),
        (json!({"name": "fixed_length_utf32", "configuration": {"length_bytes": 16}}), "fixed_length_utf32[16]", 16),
        (json!({"name": "null_terminated_bytes", "configuration": {"length_bytes": 3}}), "null_terminated_bytes[3]", 3),
    ] {
        let data_type = from(&value);
        assert_eq!((data_type.name().as_str(), data_type.item_size()), (name, size));
        assert_eq!(data_type.to_json().to_string(), value.to_string());
    }
    let greek = json!({"name": "numpy.datetime64", "configuration": {"unit": "μs", "scale_factor": 1}});
    assert_eq!(from(&greek), date("us", 1));
    let most = i32::MAX.cast_unsigned();
    assert_eq!(from(&json!({"name": "numpy.datetime64", "configuration": {"unit": "s", "scale_factor": most}})), date("s", most));
}

/// FMT-DT-2.
#[test]
fn configurations_that_are_refused() {
    for (name, configuration, member) in [
        ("numpy.datetime64", json!({}), "unit"),
        ("numpy.datetime64", json!({"unit": "ns"}), "scale_factor"),
        ("numpy.datetime64", json!({"unit": "NS", "scale_factor": 1}), "unit"),
        ("numpy.datetime64", json!({"unit": 1, "scale_factor": 1}), "unit"),
        ("numpy.timedelta64", json!({"unit": "ns", "scale_factor": 0}), "scale_factor"),
        ("numpy.timedelta64", json!({"unit": "ns", "scale_factor": 1.0}), "scale_factor"),
        ("numpy.timedelta64", json!({"unit": "ns", "scale_factor": 2_147_483_648_u32}), "scale_factor"),
        ("numpy.timedelta64", json!({"unit": "ns", "scale_factor": 1, "more": 1}), "more"),
        ("fixed_length_utf32", json!({}), "length_bytes"),
        ("fixed_length_utf32", json!({"length_bytes": 0}), "length_bytes"),
        ("fixed_length_utf32", json!({"length_bytes": 6}), "length_bytes"),
        ("fixed_length_utf32", json!({"length_bytes": 1_048_580}), "length_bytes"),
        ("null_terminated_bytes", json!({"length_bytes": 0}), "length_bytes"),
        ("null_terminated_bytes", json!({"length_bytes": -1}), "length_bytes"),
        ("null_terminated_bytes", json!({"length_bytes": u64::MAX}), "length_bytes"),
        ("null_terminated_bytes", json!({"length_bytes": 1_048_577}), "length_bytes"),
        ("raw_bytes", json!({"length_bytes": 131_073}), "length_bytes"),
        ("struct", json!({}), "fields"),
        ("struct", json!({"fields": {}}), "fields"),
        ("struct", json!({"fields": [], "align": true}), "align"),
    ] {
        let pointer = no_type(&json!({"name": name, "configuration": configuration})).0;
        assert_eq!(pointer, format!("/configuration/{member}"), "{name} {configuration}");
    }
    for name in ["numpy.datetime64", "fixed_length_utf32", "null_terminated_bytes", "raw_bytes", "struct", "structured"] {
        assert!(no_type(&json!(name)).0.starts_with("/configuration/"), "{name}");
    }
}

/// FMT-DT-3, FMT-DT-4.
#[test]
fn structs_in_both_spellings() {
    let people = people();
    assert_eq!(people.item_size(), 12);
    let units: Vec<_> = people.byte_units().iter().map(|unit| (unit.offset, unit.width, unit.count)).collect();
    assert_eq!(units, [(0, 2, 1), (2, 4, 2)]);
    let legacy = json!({"name": "structured", "configuration": {"fields": [
        ["id", "int16"],
        ["at", {"name": "structured", "configuration": {"fields": [["x", "float32"], ["y", "float32"]]}}],
        ["raw", {"name": "raw_bytes", "configuration": {"length_bytes": 2}}],
    ]}});
    assert_eq!(from(&legacy), people);
    let written = people.to_json();
    assert_eq!(written["name"], "struct");
    assert_eq!(written["configuration"]["fields"][1]["data_type"]["name"], "struct");
    assert_eq!(written["configuration"]["fields"][0], json!({"name": "id", "data_type": "int16"}));
    assert_eq!(written["configuration"]["fields"][2]["data_type"]["name"], "raw_bytes");
}

/// FMT-DT-3.
#[test]
fn structs_that_are_refused() {
    let of = |fields: Value| json!({"name": "struct", "configuration": {"fields": fields}});
    for (fields, pointer) in [
        (json!([]), ""),
        (json!([{"name": "", "data_type": "int8"}]), "/0"),
        (json!([["a", "int8"], ["a", "int8"]]), "/1"),
        (json!([["a", "string"]]), "/0"),
        (json!([["a", "bytes"]]), "/0"),
        (json!([["a", of(json!([["b", "int8"], ["b", "int8"]]))]]), "/0/data_type/configuration/fields/1"),
        (json!([["a"]]), "/0"),
        (json!([["a", "int8", [2]]]), "/0"),
        (json!([[1, "int8"]]), "/0"),
        (json!(["int8"]), "/0"),
        (json!([{"name": "a"}]), "/0/data_type"),
        (json!([{"data_type": "int8"}]), "/0/name"),
        (json!([{"name": "a", "data_type": "int8", "offset": 0}]), "/0/offset"),
        (json!([{"name": "a", "data_type": {"name": "raw_bytes"}}]), "/0/data_type/configuration/length_bytes"),
    ] {
        let pointer = if pointer.is_empty() { String::new() } else { format!("/configuration/fields{pointer}") };
        assert_eq!(no_type(&of(fields.clone())).0, pointer, "{fields}");
    }
    let unknown = DataType::from_json(&of(json!([["a", "int3"]])));
    assert!(matches!(unknown, Err(Error::Unsupported { .. })), "{unknown:?}");
}

/// FMT-DT-5.
#[test]
fn structs_have_limits() {
    let nested = |depth: usize| (1..depth).fold(DataType::Int8, |inner, _| DataType::Struct([field("a", inner)].into()));
    assert!(nested(17).check().is_ok());
    let deep = nested(18);
    assert!(deep.check().unwrap_err().to_string().contains("nested deeper than 16"));
    assert!(no_type(&deep.to_json()).1.contains("nested deeper than 16"));
    let wide = |count: usize| DataType::Struct((0..count).map(|position| field(&position.to_string(), DataType::Int8)).collect());
    assert!(wide(4096).check().is_ok());
    assert!(no_type(&wide(4097).to_json()).1.contains("more than 4096 fields"));
    let named = |bytes: usize| DataType::Struct([field("a", DataType::Int8), field(&"b".repeat(bytes - 1), DataType::Int8)].into());
    assert!(named(1 << 20).check().is_ok());
    assert!(named((1 << 20) + 1).check().unwrap_err().to_string().contains("more than 1048576 bytes together"));
    let half = |size_bytes| DataType::Struct(["a", "b"].map(|name| field(name, DataType::NullTerminated { size_bytes })).into());
    assert!(half(524_288).check().is_ok());
    assert!(no_type(&half(524_289).to_json()).1.contains("at most 1048576"));
    for wrong in
        [DataType::Raw { size_bytes: 0 }, DataType::Utf32 { size_bytes: 5 }, DataType::NullTerminated { size_bytes: 0 }, date("s", 0)]
    {
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
    // Each struct holds the one within it four times, which shares its memory: 4^40 fields, if they were all visited.
    let product =
        (0..40).fold(DataType::Int8, |inner, _| DataType::Struct(["a", "b", "c", "d"].map(|name| field(name, inner.clone())).into()));
    assert!(product.check().is_err());
}

/// FMT-DT-6.
#[test]
fn fill_values_of_narrow_integers() {
    let named = |name: &str| from(&json!(name));
    for (name, value, byte) in [("int2", -2, 0xfe), ("int2", 1, 1), ("int4", -8, 0xf8), ("int4", 7, 7), ("uint2", 3, 3), ("uint4", 15, 15)]
    {
        assert_eq!(fill(&named(name), &json!(value)), (vec![byte], json!(value)), "{name}");
        assert_eq!(named(name).element_text(&[byte]), value.to_string());
    }
    for (name, value) in [("int2", 2), ("int2", -3), ("int4", 8), ("int4", -9), ("uint2", 4), ("uint2", -1), ("uint4", 16)] {
        assert!(no_fill(&named(name), &json!(value)).1.contains("an integer from"), "{name} {value}");
    }
    for (name, byte) in [("int4", 0x0f_u8), ("int4", 8), ("int2", 2), ("uint4", 0x10), ("float6_e2m3fn", 0x40), ("float4_e2m1fn", 0xff)] {
        let result = FillValue::from_bytes(&named(name), &[byte]);
        assert!(matches!(result, Err(Error::InvalidArgument { .. })), "{name} {byte}: {result:?}");
    }
}

/// FMT-DT-7.
#[test]
fn fill_values_of_small_floats() {
    for (name, value, bits, written) in [
        ("bfloat16", json!("NaN"), vec![0x7fc0], json!("NaN")),
        ("bfloat16", json!("0xff81"), vec![0xff81], json!("0xff81")),
        ("bfloat16", json!("-Infinity"), vec![0xff80], json!("-Infinity")),
        ("bfloat16", json!(-0.0), vec![0x8000], json!(-0.0)),
        ("complex_bfloat16", json!([1, "0x7f81"]), vec![0x3f80, 0x7f81], json!([1.0, "0x7f81"])),
        ("complex_float16", json!(["NaN", 1]), vec![0x7e00, 0x3c00], json!(["NaN", 1.0])),
    ] {
        let bytes: Vec<u8> = bits.iter().flat_map(|part: &u16| part.to_ne_bytes()).collect();
        assert_eq!(fill(&from(&json!(name)), &value), (bytes, written), "{name}");
    }
    for (name, value, bytes, written) in [
        ("float8_e4m3", json!("NaN"), vec![0x7c], json!("NaN")),
        ("float8_e4m3", json!("Infinity"), vec![0x78], json!("Infinity")),
        ("float8_e3m4", json!("NaN"), vec![0x78], json!("NaN")),
        ("float8_e5m2", json!("NaN"), vec![0x7e], json!("NaN")),
        ("float8_e5m2", json!("0x7d"), vec![0x7d], json!("0x7d")),
        ("float8_e4m3fn", json!("NaN"), vec![0x7f], json!("NaN")),
        ("float8_e4m3fn", json!("0xff"), vec![0xff], json!("0xff")),
        ("float8_e4m3fn", json!(464), vec![0x7e], json!(448.0)),
        ("float8_e4m3b11fnuz", json!("NaN"), vec![0x80], json!("NaN")),
        ("float8_e4m3fnuz", json!(-0.0), vec![0], json!(0.0)),
        ("float8_e5m2fnuz", json!("NaN"), vec![0x80], json!("NaN")),
        ("float8_e8m0fnu", json!("NaN"), vec![0xff], json!("NaN")),
        ("float8_e8m0fnu", json!(1), vec![0x7f], json!(1.0)),
        ("float8_e8m0fnu", json!(3), vec![0x81], json!(4.0)),
        ("float4_e2m1fn", json!("0x0f"), vec![0x0f], json!(-6.0)),
        ("float6_e2m3fn", json!(7.5), vec![0x1f], json!(7.5)),
        ("complex_float8_e5m2", json!([1, "NaN"]), vec![0x3c, 0x7e], json!([1.0, "NaN"])),
        ("complex_float4_e2m1fn", json!([-0.0, 6]), vec![8, 7], json!([-0.0, 6.0])),
    ] {
        assert_eq!(fill(&from(&json!(name)), &value), (bytes, written), "{name} {value}");
    }
}

/// FMT-DT-7.
#[test]
fn fill_values_that_small_floats_do_not_have() {
    for (name, value) in [
        ("float8_e4m3fn", json!("Infinity")),
        ("float8_e4m3fn", json!(465)),
        ("float8_e4m3", json!(248)),
        ("float8_e8m0fnu", json!("Infinity")),
        ("float8_e8m0fnu", json!(0)),
        ("float8_e8m0fnu", json!(-1)),
        ("float8_e8m0fnu", json!(1e39)),
        ("float4_e2m1fn", json!("NaN")),
        ("float4_e2m1fn", json!(7)),
        ("float4_e2m1fn", json!("0x10")),
        ("float4_e2m1fn", json!("0x7")),
        ("float6_e3m2fn", json!("0x40")),
        ("float6_e3m2fn", json!(-30.1)),
        ("float8_e5m2", json!("0x007e")),
        ("bfloat16", json!("0x7f")),
        ("bfloat16", json!(3.4e38)),
        ("complex_float8_e5m2", json!(1)),
    ] {
        assert_eq!(no_fill(&from(&json!(name)), &value).0, "", "{name} {value}");
    }
}

/// FMT-DT-8.
#[test]
fn fill_values_of_times() {
    let date = date("ns", 1);
    for (value, count) in
        [(json!("NaT"), i64::MIN), (json!(i64::MIN), i64::MIN), (json!(i64::MAX), i64::MAX), (json!(0), 0), (json!(-5), -5)]
    {
        assert_eq!(fill(&date, &value), (count.to_ne_bytes().to_vec(), json!(count)));
    }
    for value in [json!("nat"), json!("2000-01-01"), json!(1.0), json!(u64::MAX), json!("0"), json!("NaN"), json!(["NaT"])] {
        assert!(no_fill(&date, &value).1.contains("or \"NaT\""), "{value}");
    }
    assert!(no_fill(&DataType::Int64, &json!("NaT")).1.contains("an integer"));
}

/// FMT-DT-9.
#[test]
fn fill_values_of_text() {
    let utf32 = DataType::Utf32 { size_bytes: 12 };
    let points = |text: [char; 3]| text.iter().flat_map(|&c| u32::from(c).to_ne_bytes()).collect::<Vec<_>>();
    assert_eq!(fill(&utf32, &json!("aé")), (points(['a', 'é', '\0']), json!("aé")));
    assert_eq!(fill(&utf32, &json!("😀\0b")), (points(['😀', '\0', 'b']), json!("😀\0b")));
    assert_eq!(fill(&utf32, &json!("a\0\0")), (points(['a', '\0', '\0']), json!("a")));
    assert_eq!(fill(&utf32, &json!("")), (vec![0; 12], json!("")));
    for value in [json!("abcd"), json!("a\0\0\0"), json!(0), json!(["a"]), json!(null)] {
        assert_eq!(no_fill(&utf32, &value).0, "", "{value}");
    }
    for point in [0xd800_u32, 0x11_0000, u32::MAX] {
        let bytes = [point.to_ne_bytes(), [0; 4], [0; 4]].concat();
        assert!(FillValue::from_bytes(&utf32, &bytes).is_err());
        assert!(utf32.element_text(&bytes).starts_with('['));
    }
    assert_eq!(fill(&DataType::String, &json!("a\u{1f600}\0")), ("a\u{1f600}\0".as_bytes().to_vec(), json!("a\u{1f600}\0")));
    assert!(no_fill(&DataType::String, &json!(0)).1.contains("expected a string"));
    assert!(FillValue::from_bytes(&DataType::String, &[0xff]).is_err());
    assert!(FillValue::zero(&DataType::String).as_bytes().is_empty());
}

/// FMT-DT-10.
#[test]
fn fill_values_of_byte_strings() {
    for (value, bytes) in [(json!("AQID"), vec![1, 2, 3]), (json!([1, 2, 3]), vec![1, 2, 3]), (json!(""), vec![]), (json!([]), vec![])] {
        assert_eq!(fill(&DataType::Bytes, &value).0, bytes);
    }
    assert_eq!(fill(&DataType::Bytes, &json!([0, 255])).1, json!("AP8="));
    for value in [json!("AQ"), json!("AR=="), json!([256]), json!(["a"]), json!(1), json!("A Q==")] {
        assert_eq!(no_fill(&DataType::Bytes, &value).0, "", "{value}");
    }
    let four = DataType::NullTerminated { size_bytes: 4 };
    assert_eq!(fill(&four, &json!("YWI=")), (b"ab\0\0".to_vec(), json!("YWI=")));
    assert_eq!(fill(&four, &json!("YWIAAA==")).0, b"ab\0\0".to_vec());
    assert_eq!(fill(&four, &json!("AGEA")), (b"\0a\0\0".to_vec(), json!("AGE=")));
    assert_eq!(fill(&four, &json!("")), (vec![0; 4], json!("")));
    assert_eq!(no_fill(&four, &json!("YWFhYWE=")).0, "");
    assert_eq!(no_fill(&DataType::Raw { size_bytes: 4 }, &json!("YWI=")).0, "");
}

/// FMT-DT-11.
#[test]
fn fill_values_of_structs() {
    let people = people();
    let value = json!({"id": -2, "at": {"x": "0x7f800001", "y": -0.0}, "raw": "AQI="});
    let parts: [&[u8]; 4] = [&(-2_i16).to_ne_bytes(), &0x7f80_0001_u32.to_ne_bytes(), &(-0.0_f32).to_ne_bytes(), &[1, 2]];
    let bytes = parts.concat();
    assert_eq!(fill(&people, &value), (bytes.clone(), value.clone()));
    let shuffled = json!({"raw": [1, 2], "at": {"y": -0.0, "x": "0x7f800001"}, "id": -2});
    let (same, written) = fill(&people, &shuffled);
    assert_eq!((same, written.to_string()), (bytes.clone(), value.to_string()));
    // Packed bytes, in the order of the `bytes` codec.
    assert_eq!(fill(&people, &json!("/v8BAIB/AAAAgAEC")).0, bytes);
    let big = FillValue::from_json_in_order(&people, &json!("//5/gAABgAAAAAEC"), true).unwrap();
    assert_eq!(big.as_bytes(), bytes);
    let flag = DataType::Struct([field("a", DataType::Bool), field("b", DataType::Int4)].into());
    assert_eq!(fill(&flag, &json!("Afg=")), (vec![1, 0xf8], json!({"a": true, "b": -8})));
    assert!(no_fill(&flag, &json!("AgA=")).1.contains("bool"));
    assert!(no_fill(&flag, &json!("AQg=")).1.contains("0x08"));
}

/// FMT-DT-11.
#[test]
fn fill_values_that_structs_do_not_have() {
    for (value, pointer) in [
        (json!({"id": 1, "at": {"x": 1, "y": 1}}), "/raw"),
        (json!({"id": 1, "at": {"x": 1}, "raw": "AQI="}), "/at/y"),
        (json!({"id": 1, "at": {"x": 1, "y": "x"}, "raw": "AQI="}), "/at/y"),
        (json!({"id": 1, "at": {"x": 1, "y": 1}, "raw": "AQI=", "more": 1}), "/more"),
        (json!({"id": 1, "at": {"x": 1, "y": 1, "a/b": 1}, "raw": "AQI="}), "/at/a~1b"),
        (json!({"id": 1, "at": {"x": 1, "y": 1}, "raw": null}), "/raw"),
        (json!([1, [1, 1], "AQI="]), ""),
        (json!("/v8BAIB/AAAAgAE="), ""),
        (json!(0), ""),
        (json!(null), ""),
    ] {
        assert_eq!(no_fill(&people(), &value).0, pointer, "{value}");
    }
}

#[test]
fn elements_as_text() {
    let text = |data_type: &DataType, bytes: &[u8]| data_type.element_text(bytes);
    let span = DataType::TimeDelta64 { unit: TimeUnit::Day, scale: 1 };
    assert_eq!(text(&DataType::Float32, &0.1_f32.to_ne_bytes()), "0.1");
    assert_eq!(text(&DataType::Float16, &0x2e66_u16.to_ne_bytes()), "0.1");
    assert_eq!(text(&DataType::BFloat16, &0x3dcd_u16.to_ne_bytes()), "0.1");
    assert_eq!(text(&DataType::Float64, &1e20_f64.to_ne_bytes()), "1e20");
    assert_eq!(text(&DataType::Float64, &f64::NAN.to_ne_bytes()), "NaN");
    assert_eq!(text(&DataType::Complex64, &[1.5_f32.to_ne_bytes(), f32::INFINITY.to_ne_bytes()].concat()), "[1.5,\"Infinity\"]");
    assert_eq!(text(&DataType::Bool, &[1]), "true");
    assert_eq!(text(&DataType::UInt64, &u64::MAX.to_ne_bytes()), u64::MAX.to_string());
    assert_eq!(text(&date("D", 1), &11_016_i64.to_ne_bytes()), "2000-02-29");
    assert_eq!(text(&date("us", 25), &2_i64.to_ne_bytes()), "1970-01-01T00:00:00.000050");
    assert_eq!(text(&span, &(-3_i64).to_ne_bytes()), "-3");
    assert_eq!(text(&span, &i64::MIN.to_ne_bytes()), "NaT");
    assert_eq!(text(&DataType::NullTerminated { size_bytes: 4 }, b"a\"\0\0"), r#""a\"""#);
    assert_eq!(text(&DataType::NullTerminated { size_bytes: 2 }, &[0xff, 0]), "[255]");
    assert_eq!(text(&DataType::String, b"a\nb"), r#""a\nb""#);
    assert_eq!(text(&DataType::Bytes, &[0xff, 0]), "[255,0]");
    assert_eq!(text(&DataType::Raw { size_bytes: 2 }, &[1, 2]), "[1,2]");
    let mini = DataType::Mini(MiniFloat::Float8E5M2);
    let fields = [field("t", date("s", 1)), field("n", mini), field("s", DataType::NullTerminated { size_bytes: 2 }), field("d", span)];
    let parts: [&[u8]; 4] = [&0_i64.to_ne_bytes(), &[0x7e], b"hi", &5_i64.to_ne_bytes()];
    let row = text(&DataType::Struct(fields.into()), &parts.concat());
    assert_eq!(row, r#"{"t":"1970-01-01T00:00:00","n":"NaN","s":"hi","d":5}"#);
}

#[test]
fn typed_fill_values_of_extensions() {
    let parsed = |data_type: &DataType, text: &str| FillValue::parse(data_type, text).map(|fill| fill.to_text(data_type));
    let span = DataType::TimeDelta64 { unit: TimeUnit::Second, scale: 2 };
    for (data_type, text, shown) in [
        (date("s", 1), "2000-02-29T12", "2000-02-29T12:00:00"),
        (date("s", 1), "951782400", "2000-02-29T00:00:00"),
        (date("s", 1), "nat", "NaT"),
        (date("Y", 1), "2000", "2000"),
        (date("Y", 10), "2000", "2000"),
        (date("M", 1), "1999-12", "1999-12"),
        (span.clone(), "-7", "-7"),
        (span, "NaT", "NaT"),
        (DataType::String, " a b ", "\" a b \""),
        (DataType::String, "\"a\\nb\"", "\"a\\nb\""),
        (DataType::Utf32 { size_bytes: 8 }, "ab", "\"ab\""),
        (DataType::NullTerminated { size_bytes: 4 }, "YWI=", "\"YWI=\""),
        (DataType::Bytes, "[255]", "[255]"),
        (DataType::Bytes, "", "\"\""),
        (DataType::Int4, "-8", "-8"),
        (DataType::BFloat16, "0.1", "0.1"),
        (DataType::ComplexMini(MiniFloat::Float8E5M2), "[1,nan]", "[1.0,\"NaN\"]"),
    ] {
        assert_eq!(parsed(&data_type, text).unwrap(), shown, "{text} for {data_type}");
    }
    for (data_type, text) in [
        (date("D", 1), "2001-02-29"),
        (date("D", 1), "2001-02-28T12"),
        (date("s", 10), "1970-01-01T00:00:05"),
        (date("ns", 1), "9999-01-01"),
        (DataType::Utf32 { size_bytes: 8 }, "abc"),
        (DataType::NullTerminated { size_bytes: 2 }, "abc"),
        (people(), "{}"),
        (people(), "0"),
    ] {
        let result = FillValue::parse(&data_type, text);
        assert!(matches!(result, Err(Error::InvalidArgument { .. })), "{text} for {data_type}: {result:?}");
    }
}
