//! The filters of the registry, by their definitions.

use super::*;

fn codec(name: &str, configuration: Value) -> Value {
    json!({"name": name, "configuration": configuration})
}

/// The numbers of a chunk, each written as JSON would have it.
fn elements(data_type: &DataType, numbers: &[Value]) -> Vec<u8> {
    numbers.iter().flat_map(|number| FillValue::from_json(data_type, number).unwrap().as_bytes().to_vec()).collect()
}

/// Encodes and decodes numbers; errors stay.
fn through(codec: &Value, (decoded, numbers): (&str, &[Value]), encoded: &str) -> (Result<Vec<Value>>, Result<Vec<Value>>) {
    let (decoded, encoded) = (named(decoded), named(encoded));
    let codecs = if encoded.item_size() == 1 { json!([codec, "bytes"]) } else { json!([codec, little()]) };
    let pipeline = zeroed(&codecs, &[numbers.len() as u64], &decoded).unwrap();
    let list = |data_type: &DataType, bytes: &[u8]| {
        let one = |bytes: &[u8]| FillValue::from_bytes(data_type, bytes).unwrap().to_json(data_type);
        bytes.chunks(data_type.item_size()).map(one).collect::<Vec<_>>()
    };
    let stored = match encode(&pipeline, &elements(&decoded, numbers)) {
        Ok(stored) => stored,
        Err(error) => return (Err(error), Ok(Vec::new())),
    };
    let back = decode(&pipeline, &stored).map(|bytes| list(&decoded, &bytes));
    (Ok(list(&encoded, &native(&encoded, &stored))), back)
}

fn check(codec: &Value, decoded: (&str, Value), encoded: (&str, Value), back: Value) {
    let (stored, again) = through(codec, (decoded.0, decoded.1.as_array().unwrap()), encoded.0);
    assert_eq!(Value::Array(stored.unwrap()), encoded.1, "{codec}");
    assert_eq!(Value::Array(again.unwrap()), back, "{codec}");
}

/// FMT-AA-30
#[test]
fn scale_and_offset_are_applied_in_the_type_itself() {
    let float = codec("scale_offset", json!({"offset": 5.0, "scale": 0.1}));
    check(&float, ("float64", json!([5.0, 15.0, -5.0])), ("float64", json!([0.0, 1.0, -1.0])), json!([5.0, 15.0, -5.0]));
    let int = codec("scale_offset", json!({"offset": -3, "scale": 2}));
    check(&int, ("int8", json!([4, -3, 100, -128])), ("int8", json!([14, 0, -50, 6])), json!([4, -3, -28, 0]));
    // Quotients are rounded down, as zarr-python has it.
    let thirds = codec("scale_offset", json!({"scale": -3}));
    check(&thirds, ("int16", json!([1, 10923])), ("int16", json!([-3, -32769 + 65536])), json!([1, -10923]));
    check(&codec("scale_offset", json!({})), ("uint64", json!([u64::MAX])), ("uint64", json!([u64::MAX])), json!([u64::MAX]));
    let offset = codec("scale_offset", json!({"offset": 1}));
    check(&offset, ("uint64", json!([0, 1])), ("uint64", json!([u64::MAX, 0])), json!([0, 1]));
}

/// FMT-AA-31
#[test]
fn casts_round_as_they_are_told() {
    let cast = |rounding: &str| codec("cast_value", json!({"data_type": "int8", "rounding": rounding}));
    let numbers = json!([0.5, 1.5, -0.5, -1.5, 1.2, -1.2, 1.7]);
    for (rounding, expected) in [
        ("nearest-even", json!([0, 2, 0, -2, 1, -1, 2])),
        ("towards-zero", json!([0, 1, 0, -1, 1, -1, 1])),
        ("towards-positive", json!([1, 2, 0, -1, 2, -1, 2])),
        ("towards-negative", json!([0, 1, -1, -2, 1, -2, 1])),
        ("nearest-away", json!([1, 2, -1, -2, 1, -1, 2])),
    ] {
        let back = Value::Array(expected.as_array().unwrap().iter().map(|number| json!(number.as_f64().unwrap())).collect());
        check(&cast(rounding), ("float32", numbers.clone()), ("int8", expected), back);
    }
    // To floats: 2^24 + 1 and 2^24 + 3 lie between two of them, the first exactly.
    let cast = |rounding: &str| codec("cast_value", json!({"data_type": "float32", "rounding": rounding}));
    for (rounding, expected) in [
        ("nearest-even", [16_777_216.0, 16_777_220.0, -16_777_216.0, 1.0]),
        ("towards-zero", [16_777_216.0, 16_777_218.0, -16_777_216.0, 1.0]),
        ("towards-positive", [16_777_218.0, 16_777_220.0, -16_777_216.0, 1.0]),
        ("towards-negative", [16_777_216.0, 16_777_218.0, -16_777_218.0, 1.0]),
        ("nearest-away", [16_777_218.0, 16_777_220.0, -16_777_218.0, 1.0]),
    ] {
        for data_type in ["int32", "float64"] {
            let number = |number: i32| if data_type == "int32" { json!(number) } else { json!(f64::from(number)) };
            let numbers = [16_777_217, 16_777_219, -16_777_217, 1].map(number);
            let (stored, _) = through(&cast(rounding), (data_type, &numbers), "float32");
            assert_eq!(Value::Array(stored.unwrap()), json!(expected), "{rounding} of {data_type}");
        }
    }
    // The largest integers have no float; the smallest floats have neighbours on the other side of 0.
    let (stored, back) = through(&cast("towards-negative"), ("uint64", &[json!(u64::MAX)]), "float32");
    assert_eq!(stored.unwrap(), [json!(18_446_742_974_197_923_840.0)]);
    assert_eq!(back.unwrap(), [json!(18_446_742_974_197_923_840_u64)]);
    let (stored, _) = through(&cast("towards-negative"), ("float64", &[json!(-1e-300), json!(1e-300)]), "float32");
    assert_eq!(stored.unwrap(), [json!(f64::from(-f32::from_bits(1))), json!(0.0)]);
}

/// FMT-AA-32
#[test]
fn casts_beyond_a_range() {
    let cast = |data_type: &str, out_of_range: &str| codec("cast_value", json!({"data_type": data_type, "out_of_range": out_of_range}));
    check(&cast("uint8", "clamp"), ("int32", json!([-5, 300, 7])), ("uint8", json!([0, 255, 7])), json!([0, 255, 7]));
    check(&cast("int8", "wrap"), ("int32", json!([200, -129, 65536])), ("int8", json!([-56, 127, 0])), json!([-56, 127, 0]));
    check(&cast("uint64", "wrap"), ("int64", json!([-1])), ("uint64", json!([u64::MAX])), json!([-1]));
    check(
        &cast("int64", "clamp"),
        ("float64", json!(["Infinity", "-Infinity", 1e300, 9_223_372_036_854_775_808.0])),
        ("int64", json!([i64::MAX, i64::MIN, i64::MAX, i64::MAX])),
        json!([9_223_372_036_854_775_808.0, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0, 9_223_372_036_854_775_808.0]),
    );
    check(
        &cast("int16", "wrap"),
        ("float64", json!([40000.0, -65537.0, 1e300, 18_446_744_073_709_555_712.0])),
        ("int16", json!([-25536, -1, 0, 4096])),
        json!([-25536.0, -1.0, 0.0, 4096.0]),
    );
    check(
        &cast("float32", "clamp"),
        ("float64", json!([1e300, -1e300, "Infinity", "NaN"])),
        ("float32", json!([f64::from(f32::MAX), f64::from(f32::MIN), "Infinity", "NaN"])),
        json!([f64::from(f32::MAX), f64::from(f32::MIN), "Infinity", "NaN"]),
    );
    for (data_type, out_of_range, from, number) in [
        ("uint8", "error", "int32", json!(256)),
        ("uint8", "error", "int32", json!(-1)),
        ("uint8", "error", "float32", json!(255.5)),
        ("uint8", "clamp", "float32", json!("NaN")),
        ("uint8", "wrap", "float32", json!("NaN")),
        ("uint8", "wrap", "float32", json!("Infinity")),
        ("float16", "error", "float32", json!(65520.0)),
        ("float16", "error", "int32", json!(70000)),
        // Found by fuzzing: these become floats that are no integers of the type any more, and would be written to be refused when they are read.
        ("float32", "error", "uint64", json!(u64::MAX)),
        ("float64", "error", "int64", json!(i64::MAX)),
    ] {
        let (stored, _) = through(&cast(data_type, out_of_range), (from, &[number]), data_type);
        assert!(matches!(stored, Err(Error::InvalidArgument { .. })), "{data_type} {out_of_range} {from}: {stored:?}");
    }
    // What is stored may have no place in the array, either.
    let narrow = zeroed(&json!([codec("cast_value", json!({"data_type": "int16"})), little()]), &[1], &DataType::UInt8).unwrap();
    assert!(matches!(decode(&narrow, &(-1_i16).to_le_bytes()), Err(Error::Corrupt { .. })));
    assert_eq!(decode(&narrow, &7_i16.to_le_bytes()).unwrap(), [7]);
}

/// FMT-AA-33
#[test]
fn single_values_are_mapped_first() {
    let map = json!({"encode": [["NaN", -1], [7.5, 100]], "decode": [[-1, "NaN"]]});
    let cast = codec("cast_value", json!({"data_type": "int8", "scalar_map": map}));
    check(&cast, ("float32", json!(["NaN", 7.5, 7.0, "0x7fc00001"])), ("int8", json!([-1, 100, 7, -1])), json!(["NaN", 100.0, 7.0, "NaN"]));
    let codecs = json!([cast, little()]);
    let nan = FillValue::from_json(&DataType::Float32, &json!("NaN")).unwrap();
    let pipeline = build(&codecs, &[2], &DataType::Float32, &nan).unwrap();
    assert_eq!(pipeline.stored.fill.as_bytes(), [255]);
    // The first of equal values counts; all zeros are equal.
    let map = json!({"encode": [[3, 30], [-0.0, 50], [0.0, 60], [-2, 20], [3, 31], ["NaN", 1], ["0xffc00000", 2], ["Infinity", 9]]});
    let cast = codec("cast_value", json!({"data_type": "uint8", "scalar_map": map}));
    let (numbers, cast_numbers) = (json!([3, 0.0, -0.0, -2, "NaN", "Infinity", 4]), json!([30, 50, 50, 20, 1, 9, 4]));
    check(&cast, ("float32", numbers), ("uint8", cast_numbers), json!([30.0, 50.0, 50.0, 20.0, 1.0, 9.0, 4.0]));
    let map = json!({"encode": [[-1, 5], [9_223_372_036_854_775_807_i64, 6]], "decode": [[5, -1]]});
    let cast = codec("cast_value", json!({"data_type": "int8", "scalar_map": map}));
    check(&cast, ("int64", json!([-1, 9_223_372_036_854_775_807_i64, 7])), ("int8", json!([5, 6, 7])), json!([-1, 6, 7]));
}

/// FMT-AA-34
#[test]
fn bits_are_rounded_away() {
    let keep = |bits: u32| codec("bitround", json!({"keepbits": bits}));
    for (codec, data_type, numbers, expected) in [
        (keep(2), "uint8", json!([0, 1, 13, 14, 255, 7]), json!([0, 1, 12, 16, 192, 8])),
        (keep(1), "int16", json!([3, 5, 1000]), json!([4, 4, 1024])),
        (keep(8), "uint8", json!([255, 127]), json!([255, 127])),
        (keep(3), "float32", json!([1.40625, "Infinity"]), json!([1.375, "Infinity"])),
        (keep(3), "bfloat16", json!([1.40625]), json!([1.375])),
        (keep(3), "complex64", json!([[1.40625, -3.3]]), json!([[1.375, -3.25]])),
    ] {
        check(&codec, (data_type, numbers), (data_type, expected.clone()), expected);
    }
    let fill = FillValue::from_json(&DataType::Float32, &json!(1.40625)).unwrap();
    for (name, expected) in [("bitround", 1.375_f32), ("numcodecs.bitround", 1.40625)] {
        let pipeline = build(&json!([codec(name, json!({"keepbits": 3})), little()]), &[2], &DataType::Float32, &fill).unwrap();
        assert_eq!(pipeline.stored.fill.as_bytes(), expected.to_ne_bytes(), "{name}");
    }
}
