//! Filters one by one against what numcodecs makes, and pipelines of them against their parts.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::codec::{ByteOrder, CodecPipeline, Scratch};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::{BoxLayout, c_strides, copy_box, element_count, to_usize};

mod documents;
mod golden;
mod registered;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn numcodecs(name: &str, configuration: Value) -> Value {
    json!({"name": format!("numcodecs.{name}"), "configuration": configuration})
}

fn transpose(order: &[usize]) -> Value {
    json!({"name": "transpose", "configuration": {"order": order}})
}

fn objects(codecs: &Value) -> Vec<NamedConfig> {
    codecs.as_array().unwrap().iter().map(|codec| NamedConfig::from_json(codec).unwrap()).collect()
}

fn build(codecs: &Value, shape: &[u64], data_type: &DataType, fill: &FillValue) -> Result<CodecPipeline> {
    CodecPipeline::from_metadata(&objects(codecs), shape, data_type, fill)
}

fn zeroed(codecs: &Value, shape: &[u64], data_type: &DataType) -> Result<CodecPipeline> {
    build(codecs, shape, data_type, &FillValue::zero(data_type))
}

fn named(name: &str) -> DataType {
    DataType::from_name(name).unwrap()
}

fn encode(pipeline: &CodecPipeline, data: &[u8]) -> Result<Vec<u8>> {
    let (mut out, mut scratch) = (Vec::new(), Scratch::default());
    pipeline.encode(&mut data.to_vec(), &mut scratch, &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })?;
    assert!(out.len() as u64 <= pipeline.encoded_bound());
    assert!(scratch.held_bytes() as u64 <= pipeline.encode_memory(), "{} over {}", scratch.held_bytes(), pipeline.encode_memory());
    Ok(out)
}

/// A chunk as it is decoded; a buffer that is larger than it should be would not be noticed, since old ones are used again.
fn decode(pipeline: &CodecPipeline, encoded: &[u8]) -> Result<Vec<u8>> {
    let (mut out, mut scratch) = (Vec::new(), Scratch::default());
    let decoded = pipeline.decode(encoded, &mut scratch, &mut out)?.map(<[u8]>::to_vec);
    assert!(scratch.held_bytes() as u64 <= pipeline.decode_memory(), "{} over {}", scratch.held_bytes(), pipeline.decode_memory());
    assert!(out.capacity() <= pipeline.chunk_bytes(), "{} over {}", out.capacity(), pipeline.chunk_bytes());
    // Of a shard without steps before it nothing is decoded if all of it is missing.
    Ok(decoded.unwrap_or_else(|| pipeline.fill.as_bytes().iter().copied().cycle().take(pipeline.chunk_bytes()).collect()))
}

/// Little-endian elements in the byte order of the machine.
fn native(data_type: &DataType, bytes: &[u8]) -> Vec<u8> {
    let count = (bytes.len() / data_type.item_size()) as u64;
    decode(&zeroed(&json!([little()]), &[count], data_type).unwrap(), bytes).unwrap()
}

/// FMT-AA-20, FMT-AA-21, FMT-AA-22, FMT-AA-23, FMT-AA-24, FMT-AA-25 and FMT-AA-26
#[test]
fn numcodecs_makes_the_same_bytes() {
    for (codec, data_type, elements, encoded, decoded) in golden::GOLDEN {
        let (codec, data_type): (Value, _) = (serde_json::from_str(codec).unwrap(), named(data_type));
        let elements = native(&data_type, &hex(elements));
        let pipeline = zeroed(&json!([codec, little()]), &[(elements.len() / data_type.item_size()) as u64], &data_type).unwrap();
        assert!(!pipeline.is_identity() && !pipeline.decodes_in_place());
        assert_eq!(encode(&pipeline, &elements).unwrap(), hex(encoded), "{codec}");
        let expected = if decoded.is_empty() { elements } else { native(&data_type, &hex(decoded)) };
        assert_eq!(decode(&pipeline, &hex(encoded)).unwrap(), expected, "{codec}");
        assert_eq!(pipeline.to_metadata()[0], NamedConfig::from_json(&codec).unwrap());
    }
}

/// FMT-AA-25: what packed booleans say of their number must come back as it is.
#[test]
fn nothing_that_rounds_stands_behind_packed_booleans() {
    let pack = json!({"name": "numcodecs.packbits", "configuration": {}});
    let round =
        json!({"name": "numcodecs.fixedscaleoffset", "configuration": {"offset": 10, "scale": 0.5, "dtype": "|u1", "astype": "<i2"}});
    let shard = |inner: Value| json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [3], "codecs": inner, "index_codecs": [little()]}});
    let cut = json!({"name": "packbits", "configuration": {"last_bit": 3}});
    for (codecs, accepted) in [
        (json!([pack, little()]), true),
        (json!([pack, {"name": "transpose", "configuration": {"order": [0]}}, little()]), true),
        (json!([pack, round, little()]), false),
        (json!([pack, shard(json!([round, little()]))]), false),
        (json!([pack, cut]), false),
        (json!([pack, {"name": "packbits"}]), true),
    ] {
        let checked = zeroed(&codecs, &[16], &DataType::Bool).unwrap().check_encodable();
        assert_eq!(checked.is_ok(), accepted, "{codecs}: {checked:?}");
    }
}

/// FMT-AA-27: chunks that zarr-python 3.1.6 stored in Zarr v2, of [[1, 2, 300], [-4, 500, 6]].
#[test]
fn byte_orders_in_names_are_views_in_zarr_v2() {
    let delta = |dtype: &str, astype: &str| numcodecs("delta", json!({"dtype": dtype, "astype": astype}));
    let astype = numcodecs("astype", json!({"encode_dtype": ">i4", "decode_dtype": "<i2"}));
    let scaled = numcodecs("fixedscaleoffset", json!({"offset": 0, "scale": 10, "dtype": "<i2", "astype": ">f8"}));
    let numbers = [1_i16, 2, 300, -4, 500, 6];
    let elements: Vec<u8> = numbers.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let tens: String =
        numbers.iter().flat_map(|number| (f64::from(*number) * 10.0).to_be_bytes()).map(|byte| format!("{byte:02x}")).collect();
    for (order, filters, stored, in_metadata) in [
        (ByteOrder::Big, json!([delta(">i2", ">i2")]), "00010001012afed001f8fe12", true),
        (ByteOrder::Big, json!([delta("<i2", "<i2")]), "00010001012afed002f7ff11", false),
        (ByteOrder::Little, json!([delta("<i2", ">i4")]), "00000001000000010000012afffffed0000001f8fffffe12", true),
        (ByteOrder::Little, json!([delta("<i2", ">i4"), delta("<i4", "<i4")]), "000000010000000000000129fffffda601000227fffffd1a", true),
        (ByteOrder::Little, json!([delta("<i2", "<i2"), astype]), "00000001000000010000012afffffed0000001f8fffffe12", true),
        (ByteOrder::Little, json!([scaled]), tens.as_str(), true),
    ] {
        let mut codecs = filters.as_array().unwrap().clone();
        codecs.push(little());
        let codecs = objects(&Value::Array(codecs));
        let (data_type, shape) = (DataType::Int16, [2, 3]);
        let pipeline = CodecPipeline::from_v2(&codecs, &shape, &data_type, &FillValue::zero(&data_type), &order).unwrap();
        assert_eq!(decode(&pipeline, &hex(stored)).unwrap(), elements, "{codecs:?}");
        assert_eq!(encode(&pipeline, &elements).unwrap(), hex(stored));
        assert_eq!(pipeline.is_in_metadata(), in_metadata, "{codecs:?}");
        // Where a document of Zarr v3 can say it, it says the same.
        let written: Vec<_> = pipeline.to_metadata();
        let again = CodecPipeline::from_metadata(&written, &shape, &data_type, &FillValue::zero(&data_type)).unwrap();
        assert_eq!(decode(&again, &hex(stored)).unwrap() == elements, in_metadata);
        assert_eq!(decode(&again, &encode(&again, &elements).unwrap()).unwrap(), elements);
    }
}

/// FMT-AA-27: in order F, what zarr-python 3.1.6 stored.
#[test]
fn reversed_axes_come_before_filters() {
    let codecs = json!([transpose(&[1, 0]), numcodecs("delta", json!({"dtype": "<i2"})), little()]);
    let pipeline = zeroed(&codecs, &[2, 3], &DataType::Int16).unwrap();
    assert_eq!(pipeline.strides(), [2, 4]);
    let stored = [1_i16, -4, 2, 500, 300, 6].iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<_>>();
    assert_eq!(decode(&pipeline, &hex("0100fbff0600f20138ffdafe")).unwrap(), stored);
    // In Zarr v3, with an order that leaves neither C nor F behind.
    let codecs = json!([transpose(&[1, 0, 2]), numcodecs("delta", json!({"dtype": "<i2"})), little()]);
    let pipeline = zeroed(&codecs, &[2, 2, 2], &DataType::Int16).unwrap();
    let stored = [0_i16, 1, 16, 25, 4, 9, 36, 49].iter().flat_map(|number| number.to_ne_bytes()).collect::<Vec<_>>();
    assert_eq!(decode(&pipeline, &hex("000001000f000900ebff05001b000d00")).unwrap(), stored);
}

/// FMT-AA-28: shards of zarr-python 3.1.6 with filters in their inner chunks, some of which are all fill.
#[test]
fn filters_within_shards() {
    let shard = |inner: Value, codec: Value| {
        json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": inner, "codecs": [codec, little()],
            "index_codecs": [little(), {"name": "crc32c"}], "index_location": "end"}}])
    };
    let ones = |data_type: &DataType| FillValue::from_json(data_type, &json!(1)).unwrap();
    let codecs = shard(json!([2]), numcodecs("delta", json!({"dtype": "<i4"})));
    let pipeline = build(&codecs, &[8], &DataType::Int32, &ones(&DataType::Int32)).unwrap();
    let stored = "05000000010000000700000001000000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                  0000000000000000080000000000000008000000000000000800000000000000374109cc";
    let elements: Vec<u8> = [1_i32, 1, 1, 1, 5, 6, 7, 8].iter().flat_map(|number| number.to_ne_bytes()).collect();
    assert_eq!(decode(&pipeline, &hex(stored)).unwrap(), elements);
    assert_eq!(encode(&pipeline, &elements).unwrap(), hex(stored));
    assert!(pipeline.sharding().is_some());
}

/// FMT-AA-28: a shard behind filters is decoded whole, and its missing inner chunks are the encoded fill value.
#[test]
fn shards_behind_filters() {
    let inner = json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [2], "codecs": [little()],
            "index_codecs": [little(), {"name": "crc32c"}], "index_location": "end"}});
    let fill = FillValue::from_json(&DataType::Float64, &json!(2.5)).unwrap();
    let cast = json!({"name": "cast_value", "configuration": {"data_type": "int16"}});
    let scale = json!({"name": "scale_offset", "configuration": {"offset": 0.5, "scale": 10.0}});
    let pipeline = build(&json!([scale, cast, inner]), &[6], &DataType::Float64, &fill).unwrap();
    assert!(pipeline.sharding().is_none());
    let elements: Vec<u8> = [2.5, 2.5, 1.0, 2.0, 2.5, 2.5].iter().flat_map(|number: &f64| number.to_ne_bytes()).collect();
    let stored = encode(&pipeline, &elements).unwrap();
    // Two numbers of 16 bits, of three inner chunks.
    assert_eq!(stored.len(), 4 + 3 * 16 + 4);
    assert_eq!(stored[..4], [5, 0, 15, 0]);
    assert_eq!(decode(&pipeline, &stored).unwrap(), elements);
    // All missing: what differences make of the fill value is not the fill value.
    let delta = numcodecs("delta", json!({"dtype": "<i4"}));
    let one = FillValue::from_json(&DataType::Int32, &json!(1)).unwrap();
    let pipeline = build(&json!([delta, inner]), &[6], &DataType::Int32, &one).unwrap();
    let elements: Vec<u8> = (1..7_i32).flat_map(i32::to_ne_bytes).collect();
    let stored = encode(&pipeline, &elements).unwrap();
    assert_eq!(stored[..48], [0xff; 48]);
    assert_eq!(decode(&pipeline, &stored).unwrap(), elements);
}

/// Applies `codecs` one by one to elements in C order of `shape`, as the definition of each has it.
fn reference(codecs: &[Value], shape: &[u64], data_type: &DataType, mut elements: Vec<u8>) -> (Vec<u8>, DataType) {
    let (mut shape, mut data_type) = (shape.to_vec(), data_type.clone());
    for codec in codecs {
        if let Some(order) = codec["configuration"]["order"].as_array() {
            let order: Vec<usize> = order.iter().map(|axis| to_usize(axis.as_u64().unwrap())).collect();
            let (item, old) = (data_type.item_size(), shape.clone());
            let new: Vec<u64> = order.iter().map(|&axis| old[axis]).collect();
            let from = c_strides(&old, item);
            let from: Vec<usize> = order.iter().map(|&axis| from[axis]).collect();
            let mut out = vec![0; elements.len()];
            let to = c_strides(&new, item);
            copy_box(&new, item, &elements, BoxLayout { offset: 0, strides: &from }, &mut out, BoxLayout { offset: 0, strides: &to });
            (elements, shape) = (out, new);
        } else {
            let flat = [element_count(&shape).unwrap()];
            let form =
                super::Form { shape: shape.clone(), data_type: data_type.clone(), fill: FillValue::zero(&data_type), stands_in: false };
            let encoded = if codec["name"] == "reshape" {
                shape = codec["configuration"]["shape"].as_array().unwrap().iter().map(|len| len.as_u64().unwrap()).collect();
                continue;
            } else {
                super::Filter::from_metadata(&NamedConfig::from_json(codec).unwrap(), &form).unwrap().form
            };
            let single = zeroed(&json!([codec, little()]), &flat, &data_type).unwrap();
            elements = native(&encoded.data_type, &encode(&single, &elements).unwrap());
            (shape, data_type) = (encoded.shape, encoded.data_type);
        }
    }
    (elements, data_type)
}

/// A random codec for an array of this shape and type from which everything comes back.
fn lossless(shape: &[u64], data_type: &DataType, choice: usize) -> (Value, Vec<u64>, DataType) {
    let (shape, count) = (shape.to_vec(), element_count(shape).unwrap());
    let delta = |dtype: &str| numcodecs("delta", json!({"dtype": dtype}));
    match (data_type, choice % 5) {
        (DataType::Bool, 0) => (numcodecs("packbits", json!({})), vec![1 + count.div_ceil(8)], DataType::UInt8),
        (DataType::UInt8, 0) => (delta("u1"), shape, data_type.clone()),
        (DataType::UInt8, 1) => (json!({"name": "cast_value", "configuration": {"data_type": "int16"}}), shape, DataType::Int16),
        (DataType::Int16, 0) => (delta("<i2"), shape, data_type.clone()),
        (DataType::Int16, 1) => (numcodecs("astype", json!({"encode_dtype": "<f4", "decode_dtype": "<i2"})), shape, DataType::Float32),
        (DataType::Int16, 2) => (json!({"name": "scale_offset", "configuration": {"offset": 7}}), shape, data_type.clone()),
        (_, 3) => (json!({"name": "reshape", "configuration": {"shape": [count, 1]}}), vec![count, 1], data_type.clone()),
        _ => {
            let order: Vec<usize> = (0..shape.len()).rev().collect();
            (transpose(&order), shape.into_iter().rev().collect(), data_type.clone())
        }
    }
}

fn chains() -> impl Strategy<Value = (Vec<u64>, DataType, Vec<Value>, Vec<u64>)> {
    let shape = prop::collection::vec(1_u64..5, 0..4);
    let data_type = prop::sample::select(vec![DataType::Bool, DataType::UInt8, DataType::Int16]);
    (shape, data_type, prop::collection::vec(0_usize..5, 0..6)).prop_map(|(shape, data_type, choices)| {
        let (mut codecs, mut now) = (Vec::new(), (shape.clone(), data_type.clone()));
        for choice in choices {
            let (codec, new_shape, new_type) = lossless(&now.0, &now.1, choice);
            codecs.push(codec);
            now = (new_shape, new_type);
        }
        (shape, data_type, codecs, now.0)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chains_are_the_sum_of_their_parts(
        (shape, data_type, codecs, encoded_shape) in chains(),
        seed in prop::collection::vec(any::<u8>(), 128),
        ending in 0..4,
    ) {
        let mut all = codecs.clone();
        if ending == 0 {
            let inner: Vec<u64> = encoded_shape.iter().map(|&len| if len % 2 == 0 { len / 2 } else { 1 }).collect();
            all.push(json!({"name": "sharding_indexed", "configuration": {"chunk_shape": inner, "codecs": [little()],
                "index_codecs": [little()], "index_location": "start"}}));
        } else if ending == 1 {
            all.push(json!({"name": "packbits", "configuration": {"padding_encoding": "last_byte"}}));
            all.push(json!({"name": "zstd", "configuration": {"level": 1}}));
        } else {
            all.push(little());
        }
        let pipeline = zeroed(&Value::Array(all), &shape, &data_type).unwrap();
        let mut elements: Vec<u8> = seed.into_iter().cycle().take(pipeline.chunk_bytes()).collect();
        if data_type == DataType::Bool {
            elements.iter_mut().for_each(|byte| *byte &= 1);
        }
        let mut chunk = vec![0; elements.len()];
        let (item, from, to) = (data_type.item_size(), c_strides(&shape, data_type.item_size()), pipeline.strides());
        copy_box(&shape, item, &elements, BoxLayout { offset: 0, strides: &from }, &mut chunk, BoxLayout { offset: 0, strides: &to });
        let stored = encode(&pipeline, &chunk).unwrap();
        prop_assert_eq!(decode(&pipeline, &stored).unwrap(), chunk);
        if ending > 1 {
            let (expected, stored_type) = reference(&codecs, &shape, &data_type, elements);
            prop_assert_eq!(native(&stored_type, &stored), expected);
        }
        let again: Vec<_> = pipeline.to_metadata().iter().map(NamedConfig::to_json).collect();
        let again = zeroed(&Value::Array(again), &shape, &data_type).unwrap();
        prop_assert_eq!(again.to_metadata(), pipeline.to_metadata());
        prop_assert_eq!(encode(&again, &vec![0; again.chunk_bytes()]).unwrap(), encode(&pipeline, &vec![0; again.chunk_bytes()]).unwrap());
    }

    #[test]
    fn any_bytes_are_refused_or_decoded((shape, data_type, codecs, _) in chains(), bytes in prop::collection::vec(any::<u8>(), 0..150)) {
        let pipeline = zeroed(&codecs.into_iter().chain([little()]).collect(), &shape, &data_type).unwrap();
        match decode(&pipeline, &bytes) {
            Ok(decoded) => prop_assert_eq!(decoded.len(), pipeline.chunk_bytes()),
            Err(error) => prop_assert!(matches!(error, Error::Corrupt { .. }), "{}", error),
        }
    }
}
