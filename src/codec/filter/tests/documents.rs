//! Codec objects of filters: what is read and what is refused where.

use super::*;

fn pointer_of(codec: &Value, data_type: &str) -> String {
    match zeroed(&json!([codec, little()]), &[4], &named(data_type)) {
        Err(Error::Metadata { pointer, .. }) => pointer,
        Err(Error::Unsupported { .. }) => "unsupported".to_owned(),
        other => panic!("{codec} for {data_type}: {other:?}"),
    }
}

/// FMT-AA-20
#[test]
fn names_of_data_types_are_those_of_numpy() {
    for (dtype, data_type) in [
        ("<i2", "int16"),
        ("i2", "int16"),
        ("=i2", "int16"),
        ("int16", "int16"),
        ("h", "int16"),
        ("|u1", "uint8"),
        ("<u1", "uint8"),
        (">f4", "float32"),
        ("float64", "float64"),
        ("<c16", "complex128"),
        // A view of other elements of the same size.
        ("<i8", "float64"),
        ("<i2", "r16"),
    ] {
        assert!(zeroed(&json!([numcodecs("delta", json!({"dtype": dtype})), little()]), &[4], &named(data_type)).is_ok(), "{dtype}");
    }
    for dtype in ["", "<", "i3", "<<i2", "<M8[ns]", "|S4", "O", "><i2", "int", "é2"] {
        let codec = numcodecs("delta", json!({"dtype": dtype}));
        assert_eq!(pointer_of(&codec, "int16"), "/0/configuration/dtype", "{dtype}");
    }
    assert_eq!(pointer_of(&numcodecs("delta", json!({"dtype": 2})), "int16"), "/0/configuration/dtype");
    // Without a name the type of the array is meant.
    assert!(zeroed(&json!([numcodecs("quantize", json!({"digits": 2})), little()]), &[4], &DataType::Float32).is_ok());
    assert_eq!(pointer_of(&numcodecs("quantize", json!({"digits": 2})), "int16"), "/0/configuration/dtype");
}

/// FMT-AA-20 to FMT-AA-26
#[test]
fn wrong_objects_are_refused_at_the_right_place() {
    for (codec, data_type, expected) in [
        (numcodecs("delta", json!({"dtype": "<i4"})), "int16", "/0/configuration/dtype"),
        (numcodecs("delta", json!({"dtype": "<i2", "order": 1})), "int16", "/0/configuration/order"),
        (numcodecs("delta", json!({"dtype": "|b1"})), "bool", "unsupported"),
        (numcodecs("delta", json!({"dtype": "<f4", "astype": "<c8"})), "float32", "unsupported"),
        (numcodecs("delta", json!({})), "r24", "unsupported"),
        (numcodecs("astype", json!({"decode_dtype": "<i2"})), "int16", "/0/configuration/encode_dtype"),
        (numcodecs("astype", json!({"decode_dtype": "<c8", "encode_dtype": "<f4"})), "complex64", "unsupported"),
        (numcodecs("fixedscaleoffset", json!({"dtype": "<i2", "scale": 1})), "int16", "/0/configuration/offset"),
        (numcodecs("fixedscaleoffset", json!({"dtype": "<i2", "scale": "1", "offset": 0})), "int16", "/0/configuration/scale"),
        (numcodecs("fixedscaleoffset", json!({"dtype": "<c8", "scale": 1, "offset": 0})), "complex64", "unsupported"),
        (numcodecs("quantize", json!({"dtype": "<f4"})), "float32", "/0/configuration/digits"),
        (numcodecs("quantize", json!({"dtype": "<f4", "digits": 301})), "float32", "/0/configuration/digits"),
        (numcodecs("quantize", json!({"dtype": "<f4", "digits": 1.5})), "float32", "/0/configuration/digits"),
        (numcodecs("quantize", json!({"dtype": "<f4", "digits": 1, "astype": "<i4"})), "float32", "/0/configuration/astype"),
        (numcodecs("packbits", json!({})), "uint8", "/0/name"),
        (numcodecs("packbits", json!({"x": 1})), "bool", "/0/configuration/x"),
        (numcodecs("bitround", json!({})), "float32", "/0/configuration/keepbits"),
        (numcodecs("bitround", json!({"keepbits": 24})), "float32", "/0/configuration/keepbits"),
        (numcodecs("bitround", json!({"keepbits": -1})), "float32", "/0/configuration/keepbits"),
        (numcodecs("bitround", json!({"keepbits": 1})), "int32", "unsupported"),
    ] {
        assert_eq!(pointer_of(&codec, data_type), expected, "{codec} for {data_type}");
    }
}

/// FMT-AA-30 to FMT-AA-34
#[test]
fn wrong_objects_of_the_registry_are_refused_at_the_right_place() {
    for (codec, data_type, expected) in [
        (json!({"name": "bitround", "configuration": {"keepbits": 0}}), "float32", "/0/configuration/keepbits"),
        (json!({"name": "bitround", "configuration": {"keepbits": 1}}), "bool", "unsupported"),
        (json!({"name": "scale_offset", "configuration": {"offset": 1.5}}), "int32", "/0/configuration/offset"),
        (json!({"name": "scale_offset", "configuration": {"scale": 0}}), "int32", "/0/configuration/scale"),
        (json!({"name": "scale_offset"}), "bool", "unsupported"),
        (json!({"name": "cast_value"}), "int32", "/0/configuration/data_type"),
        (json!({"name": "cast_value", "configuration": {"data_type": "int3"}}), "int32", "unsupported"),
        (json!({"name": "cast_value", "configuration": {"data_type": "complex64"}}), "int32", "unsupported"),
        (json!({"name": "cast_value", "configuration": {"data_type": "int8", "rounding": "up"}}), "int32", "/0/configuration/rounding"),
        (
            json!({"name": "cast_value", "configuration": {"data_type": "int8", "out_of_range": 1}}),
            "int32",
            "/0/configuration/out_of_range",
        ),
        (
            json!({"name": "cast_value", "configuration": {"data_type": "float32", "out_of_range": "wrap"}}),
            "int32",
            "/0/configuration/out_of_range",
        ),
        (json!({"name": "cast_value", "configuration": {"data_type": "int8", "scalar_map": []}}), "int32", "/0/configuration/scalar_map"),
        (
            json!({"name": "cast_value", "configuration": {"data_type": "int8", "scalar_map": {"x": []}}}),
            "int32",
            "/0/configuration/scalar_map",
        ),
        (
            json!({"name": "cast_value", "configuration": {"data_type": "int8", "scalar_map": {"encode": {}}}}),
            "int32",
            "/0/configuration/scalar_map/encode",
        ),
        (
            json!({"name": "cast_value", "configuration": {"data_type": "int8", "scalar_map": {"encode": [[1]]}}}),
            "int32",
            "/0/configuration/scalar_map/encode/0",
        ),
        (
            json!({"name": "cast_value", "configuration": {"data_type": "int8", "scalar_map": {"encode": [[1, 300]]}}}),
            "int32",
            "/0/configuration/scalar_map/encode/0/1",
        ),
        (
            json!({"name": "cast_value", "configuration": {"data_type": "int8", "scalar_map": {"decode": [[300, 1]]}}}),
            "int32",
            "/0/configuration/scalar_map/decode/0/0",
        ),
    ] {
        assert_eq!(pointer_of(&codec, data_type), expected, "{codec} for {data_type}");
    }
    // A fill value that cannot be encoded.
    let cast = json!({"name": "cast_value", "configuration": {"data_type": "int8"}});
    let fill = FillValue::from_json(&DataType::Float32, &json!("NaN")).unwrap();
    assert!(matches!(build(&json!([cast, little()]), &[4], &DataType::Float32, &fill), Err(Error::Metadata { .. })));
}

/// FMT-AA-28
#[test]
fn filters_stand_before_the_bytes() {
    let delta = numcodecs("delta", json!({"dtype": "<i2"}));
    for codecs in [json!([little(), delta]), json!([little(), {"name": "reshape", "configuration": {"shape": [4]}}])] {
        assert!(matches!(zeroed(&codecs, &[4], &DataType::Int16), Err(Error::Metadata { pointer, .. }) if pointer == "/1"));
    }
    let text = zeroed(&json!([numcodecs("delta", json!({"dtype": "<c16"})), "vlen-utf8"]), &[4], &DataType::String);
    assert!(matches!(text, Err(Error::Unsupported { .. })));
    // What a filter makes of a chunk must be countable too.
    let wider = numcodecs("astype", json!({"encode_dtype": "<f8", "decode_dtype": "|i1"}));
    assert!(zeroed(&json!([wider, little()]), &[1 << 59], &DataType::Int8).is_ok());
    assert!(matches!(zeroed(&json!([wider, little()]), &[1 << 61], &DataType::Int8), Err(Error::Unsupported { .. })));
}

/// FMT-AA-29
#[test]
fn shapes_that_fit() {
    let reshape = |shape: &Value, old: &[u64]| {
        let codec = NamedConfig::from_json(&json!({"name": "reshape", "configuration": {"shape": shape}})).unwrap();
        crate::codec::reshape::encoded_shape(&codec, old, false)
    };
    for (shape, old, new) in [
        (json!([[0, 1], [2], 3]), &[100, 50, 64, 3][..], &[5000, 64, 3][..]),
        (json!([-1]), &[2, 3], &[6]),
        (json!([]), &[1, 1], &[]),
        (json!([1, [0], 1, [1]]), &[2, 3], &[1, 2, 1, 3]),
        (json!([[0, 1], 10, [3, 4]]), &[2, 3, 10, 4, 5], &[6, 10, 20]),
        (json!([[], 6]), &[2, 3], &[1, 6]),
        (json!([2, -1, 2]), &[12], &[2, 3, 2]),
    ] {
        assert_eq!(reshape(&shape, old).unwrap(), new, "{shape} of {old:?}");
    }
    for (shape, old) in [
        (json!([7]), &[2, 3][..]),
        (json!([-1, -1]), &[2, 3]),
        (json!([-1, 4]), &[2, 3]),
        (json!([-1, 7]), &[2, 3]),
        (json!([[1], [0]]), &[2, 3]),
        (json!([[1, 0]]), &[2, 3]),
        (json!([[0, 0]]), &[2, 2]),
        (json!([[0], [0]]), &[2, 3]),
        (json!([[1], 2]), &[2, 3]),
        (json!([[2], 6]), &[2, 3]),
        (json!([3, [0]]), &[2, 3]),
        (json!([0]), &[2, 3]),
        (json!([-2]), &[2, 3]),
        (json!([6.0]), &[2, 3]),
        (json!([u64::MAX, u64::MAX]), &[2, 3]),
        (json!([u64::MAX, -1]), &[2, 3]),
        (json!("C"), &[2, 3]),
        (json!(vec![1; 33]), &[1]),
    ] {
        assert!(matches!(reshape(&shape, old), Err(Error::Metadata { .. })), "{shape} of {old:?}");
    }
}
