//! Pipelines as a whole: round trips of every combination, damage, what documents are refused, and bytes made by hand.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::Error;
use crate::region::{BoxLayout, Region, c_strides, copy_box, element_count};

mod foreign_bytes;
mod indexes;
mod ragged;

fn build(codecs: &Value, shape: &[u64], data_type: &DataType, fill: &FillValue) -> Result<CodecPipeline> {
    let list = codecs.as_array().unwrap();
    let codecs: Vec<_> = list.iter().map(|codec| NamedConfig::from_json(codec).unwrap()).collect();
    CodecPipeline::from_metadata(&codecs, shape, data_type, fill)
}

fn uint16(codecs: &Value, shape: &[u64]) -> Result<CodecPipeline> {
    build(codecs, shape, &DataType::UInt16, &FillValue::zero(&DataType::UInt16))
}

fn encode(pipeline: &CodecPipeline, data: &[u8], scratch: &mut Scratch) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    pipeline.encode(&mut data.to_vec(), scratch, &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(out)
}

impl CodecPipeline {
    /// Decodes a chunk, and makes fill of one that is missing.
    fn decode_filled<'a>(&self, encoded: &'a [u8], scratch: &mut Scratch, out: &'a mut Vec<u8>) -> Result<&'a [u8]> {
        if self.decode(encoded, scratch, &mut out.clone())?.is_none() {
            out.resize(self.chunk_bytes, 0);
            self.fill.fill(out);
            return Ok(out);
        }
        self.decode(encoded, scratch, out).map(Option::unwrap)
    }
}

fn sharded(chunk_shape: &[u64], codecs: &Value, location: &str) -> Value {
    json!({"name": "sharding_indexed", "configuration": {"chunk_shape": chunk_shape, "codecs": codecs, "index_location": location,
        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]}})
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

/// A random chain for chunks of `shape`, with up to `depth` levels of shards.
fn chain(shape: Vec<u64>, depth: usize) -> BoxedStrategy<Value> {
    let rank = shape.len();
    let orders = prop::collection::vec(Just((0..rank).collect::<Vec<_>>()).prop_shuffle(), 0..3);
    let stages = prop::collection::vec(
        prop::sample::select(vec![
            json!({"name": "zstd", "configuration": {"level": 1, "checksum": true}}),
            json!({"name": "zstd", "configuration": {"level": -3}}),
            json!({"name": "gzip", "configuration": {"level": 1}}),
            json!({"name": "numcodecs.zlib", "configuration": {"level": 1}}),
            json!({"name": "numcodecs.lz4", "configuration": {"acceleration": 1}}),
            json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": 1}}),
            json!({"name": "crc32c"}),
            json!({"name": "numcodecs.crc32"}),
            json!({"name": "numcodecs.fletcher32"}),
        ]),
        0..4,
    );
    let divisors: Vec<_> = shape.iter().map(|&len| prop::sample::select((1..=len).filter(|d| len % d == 0).collect::<Vec<_>>())).collect();
    (orders, stages, divisors, any::<bool>(), any::<bool>(), 0..=depth)
        .prop_flat_map(move |(orders, stages, inner, big, start, levels)| {
            let transposes: Vec<_> = orders.iter().map(|order| json!({"name": "transpose", "configuration": {"order": order}})).collect();
            let order = orders.iter().fold((0..rank).collect::<Vec<_>>(), |so_far, next| next.iter().map(|&axis| so_far[axis]).collect());
            let inner: Vec<u64> = order.iter().map(|&axis| inner[axis]).collect();
            let array_to_bytes = if levels == 0 {
                Just(json!({"name": "bytes", "configuration": {"endian": if big { "big" } else { "little" }}})).boxed()
            } else {
                let location = if start { "start" } else { "end" };
                chain(inner.clone(), levels - 1).prop_map(move |codecs| sharded(&inner, &codecs, location)).boxed()
            };
            array_to_bytes.prop_map(move |codec| {
                let all = transposes.iter().chain(std::iter::once(&codec)).chain(&stages);
                Value::Array(all.cloned().collect())
            })
        })
        .boxed()
}

fn data_types() -> impl Strategy<Value = DataType> {
    use DataType as T;
    prop::sample::select(vec![T::UInt8, T::Int16, T::Float32, T::Float64, T::Complex64, T::Complex128, T::Raw { size_bytes: 3 }])
}

fn cases() -> impl Strategy<Value = (Vec<u64>, Value, DataType)> {
    prop::collection::vec(prop::sample::select(vec![1_u64, 2, 3, 4, 6]), 0..5)
        .prop_flat_map(|shape| (Just(shape.clone()), chain(shape, 2), data_types()))
}

/// Elements of which about half, in whole inner chunks often, are fill.
fn some_data(pipeline: &CodecPipeline, item: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut data = Vec::new();
    let mut fill = false;
    for _ in 0..pipeline.chunk_bytes() / item {
        fill = if next() % 5 == 0 { !fill } else { fill };
        let value = if fill { 7 } else { next() };
        data.extend(value.to_le_bytes().iter().cycle().take(item));
    }
    data
}

/// The value whose bytes are 7, 0, 0, ..., as a document says it.
fn seven(data_type: &DataType) -> FillValue {
    let json = match data_type {
        DataType::Float32 => json!("0x00000007"),
        DataType::Float64 => json!("0x0000000000000007"),
        DataType::Complex64 => json!(["0x00000007", "0x00000000"]),
        DataType::Complex128 => json!(["0x0000000000000007", "0x0000000000000007"]),
        DataType::Raw { .. } => json!([7, 0, 0]),
        _ => json!(7),
    };
    FillValue::from_json(data_type, &json).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn chunks_come_back((shape, codecs, data_type) in cases(), seed in any::<u64>()) {
        let fill = seven(&data_type);
        let pipeline = build(&codecs, &shape, &data_type, &fill).unwrap();
        let mut scratch = Scratch::default();
        let mut out = vec![1; 5];
        for round in 0..2 {
            let data = some_data(&pipeline, data_type.item_size(), seed.wrapping_add(round));
            let encoded = encode(&pipeline, &data, &mut scratch).unwrap();
            prop_assert!(encoded.len() as u64 <= pipeline.encoded_bound());
            let decoded = pipeline.decode_filled(&encoded, &mut scratch, &mut out).unwrap();
            prop_assert_eq!(decoded, &data[..]);
            prop_assert_eq!(pipeline.decodes_in_place(), encoded.as_ptr_range().contains(&decoded.as_ptr()));
            if pipeline.is_identity() {
                prop_assert_eq!(&encoded, &data);
            }
        }
        // The same again by what is written into metadata.
        let again = build(&Value::Array(pipeline.to_metadata().iter().map(NamedConfig::to_json).collect()), &shape, &data_type, &fill).unwrap();
        prop_assert_eq!(again.to_metadata(), pipeline.to_metadata());
        prop_assert_eq!(again.strides(), pipeline.strides());
    }

    #[test]
    fn inner_chunks_can_be_reached_by_offset((shape, codecs, data_type) in cases(), seed in any::<u64>()) {
        let fill = seven(&data_type);
        let item = data_type.item_size();
        let pipeline = build(&codecs, &shape, &data_type, &fill).unwrap();
        let Some(sharding) = pipeline.sharding() else { return Ok(()) };
        let mut scratch = Scratch::default();
        let data = some_data(&pipeline, item, seed);
        let encoded = encode(&pipeline, &data, &mut scratch).unwrap();
        let size = crate::region::to_usize(sharding.index_bytes());
        let index = if sharding.index_at_start() { &encoded[..size] } else { &encoded[encoded.len() - size..] };
        let index = sharding.decode_index(index, encoded.len() as u64).unwrap();
        prop_assert_eq!(sharding.encode_index(&index).unwrap().len() as u64, sharding.index_bytes());
        let (unit, strides) = (sharding.unit_pipeline(), pipeline.strides());
        let mut positions = Vec::new();
        for unit_index in Region::whole(sharding.units_per_chunk()).indices() {
            let position = sharding.position(&unit_index);
            positions.push(position);
            let origin: Vec<u64> = unit_index.iter().zip(sharding.unit_shape()).map(|(i, edge)| i * edge).collect();
            let unit_strides = unit.strides();
            let mut expected = vec![0; unit.chunk_bytes()];
            copy_box(sharding.unit_shape(), item, &data, BoxLayout::at(&origin, &strides), &mut expected, BoxLayout::at(&vec![0; shape.len()], &unit_strides));
            match index.get(position) {
                None => prop_assert!(fill.is_all_fill(&expected)),
                Some((offset, len)) => {
                    let from = crate::region::to_usize(offset);
                    let mut out = Vec::new();
                    let part = &encoded[from..from + crate::region::to_usize(len)];
                    prop_assert_eq!(unit.decode_filled(part, &mut scratch, &mut out).unwrap(), &expected[..]);
                }
            }
        }
        positions.sort_unstable();
        prop_assert_eq!(positions, (0..sharding.unit_count()).collect::<Vec<_>>());
    }

    #[test]
    fn damage_never_panics_and_a_checksum_notices((shape, codecs, data_type) in cases(), seed in any::<u64>(), checked in any::<bool>()) {
        let mut codecs = codecs;
        if checked {
            codecs.as_array_mut().unwrap().push(json!({"name": "crc32c"}));
        }
        let fill = seven(&data_type);
        let pipeline = build(&codecs, &shape, &data_type, &fill).unwrap();
        let mut scratch = Scratch::default();
        let data = some_data(&pipeline, data_type.item_size(), seed);
        let encoded = encode(&pipeline, &data, &mut scratch).unwrap();
        let mut out = Vec::new();
        let step = (encoded.len() / 40).max(1);
        for len in (0..encoded.len()).step_by(step) {
            let result = pipeline.decode_filled(&encoded[..len], &mut scratch, &mut out);
            prop_assert!(!(checked || pipeline.is_identity()) || result.is_err());
        }
        for byte in (0..encoded.len()).step_by(step) {
            let mut bad = encoded.clone();
            bad[byte] ^= 1 << (seed % 8);
            match pipeline.decode_filled(&bad, &mut scratch, &mut out) {
                Ok(decoded) => {
                    prop_assert!(!checked);
                    prop_assert_eq!(decoded.len(), pipeline.chunk_bytes());
                }
                Err(error) => {
                    let typed = matches!(error, Error::Corrupt { .. } | Error::ChecksumMismatch { .. } | Error::Unsupported { .. });
                    prop_assert!(typed, "{}", error);
                }
            }
        }
        prop_assert_eq!(pipeline.decode_filled(&encoded, &mut scratch, &mut out).unwrap(), &data[..]);
    }

    #[test]
    fn any_bytes_are_refused_or_decoded((shape, codecs, data_type) in cases(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let pipeline = build(&codecs, &shape, &data_type, &seven(&data_type)).unwrap();
        let mut out = Vec::new();
        if let Ok(decoded) = pipeline.decode_filled(&bytes, &mut Scratch::default(), &mut out) {
            prop_assert_eq!(decoded.len(), pipeline.chunk_bytes());
        }
    }
}

#[test]
fn strides_follow_the_definition_of_transpose() {
    // Encoded axis i is decoded axis order[i]: the chunk (2, 3, 4) is stored as (4, 2, 3).
    let codecs = json!([{"name": "transpose", "configuration": {"order": [2, 0, 1]}}, little()]);
    let pipeline = uint16(&codecs, &[2, 3, 4]).unwrap();
    assert_eq!(pipeline.strides(), [3 * 2, 2, 2 * 3 * 2]);
    assert_eq!(uint16(&json!([little()]), &[2, 3, 4]).unwrap().strides(), c_strides(&[2, 3, 4], 2));
}

#[test]
fn a_shard_made_by_hand() {
    // Shape (2, 4), inner (1, 2) seen by the codec; big-endian elements; index at the start, big endian; a gap; inner chunk (1, 0) missing.
    let big = json!({"name": "bytes", "configuration": {"endian": "big"}});
    let codec = json!([{"name": "sharding_indexed", "configuration":
        {"chunk_shape": [1, 2], "codecs": [big], "index_codecs": [big], "index_location": "start"}}]);
    let pipeline = uint16(&codec, &[2, 4]).unwrap();
    let entries = [[70_u64, 4], [64, 4], [u64::MAX, u64::MAX], [70, 4]];
    let mut shard: Vec<u8> = entries.iter().flatten().flat_map(|number| number.to_be_bytes()).collect();
    shard.extend_from_slice(&[0, 3, 0, 4, 9, 9, 0, 1, 1, 2]);
    let mut out = Vec::new();
    let decoded = pipeline.decode_filled(&shard, &mut Scratch::default(), &mut out).unwrap();
    let numbers: Vec<_> = decoded.as_chunks().0.iter().map(|&bytes| u16::from_ne_bytes(bytes)).collect();
    assert_eq!(numbers, [1, 0x102, 3, 4, 0, 0, 1, 0x102]);

    // What the encoder makes of it: the same without gap and sharing.
    let encoded = encode(&pipeline, decoded, &mut Scratch::default()).unwrap();
    let entries = [[64_u64, 4], [68, 4], [u64::MAX, u64::MAX], [72, 4]];
    let mut expected: Vec<u8> = entries.iter().flatten().flat_map(|number| number.to_be_bytes()).collect();
    expected.extend_from_slice(&[0, 1, 1, 2, 0, 3, 0, 4, 0, 1, 1, 2]);
    assert_eq!(encoded, expected);
}

#[test]
fn an_empty_shard_is_all_index() {
    let pipeline = uint16(&json!([sharded(&[2], &json!([little()]), "end")]), &[4]).unwrap();
    let encoded = encode(&pipeline, &[0; 8], &mut Scratch::default()).unwrap();
    assert_eq!(encoded[..32], [0xff; 32]);
    assert_eq!(encoded.len(), 36);
    let mut out = vec![9; 8];
    assert_eq!(pipeline.decode_filled(&encoded, &mut Scratch::default(), &mut out).unwrap(), [0; 8]);
}

#[test]
fn hostile_indexes_are_refused() {
    let codecs = |location| {
        json!([{"name": "sharding_indexed", "configuration":
        {"chunk_shape": [1], "codecs": [little()], "index_codecs": [little()], "index_location": location}}])
    };
    // Two inner chunks of 2 bytes, then or before an index of 32 bytes; the last two entries are those that are right.
    for (location, entries) in [
        ("end", [[u64::MAX, 2], [2, u64::MAX], [3, 2], [33, 2], [u64::MAX - 1, 2], [u64::MAX - 2, 2], [0, 5], [0, 2], [2, 2]]),
        ("start", [[u64::MAX, 2], [32, u64::MAX], [35, 2], [31, 2], [u64::MAX - 1, 2], [0, 2], [32, 5], [32, 2], [34, 2]]),
    ] {
        let pipeline = uint16(&codecs(location), &[2]).unwrap();
        let sharding = pipeline.sharding().unwrap();
        for (i, entry) in entries.iter().enumerate() {
            let mut index = ShardIndex::empty(2).unwrap();
            index.set(1, entry[0], entry[1]);
            let encoded = sharding.encode_index(&index).unwrap();
            match sharding.decode_index(&encoded, 36) {
                Ok(decoded) => assert!(i >= 7 && decoded == index, "{location} {entry:?}"),
                Err(error) => assert!(i < 7 && error.to_string().contains("entry 1"), "{location} {entry:?}: {error}"),
            }
            assert!(sharding.decode_index(&encoded, 31).is_err() && sharding.decode_index(&encoded[1..], 36).is_err());
        }
    }
}

/// FMT-BB-6: a stream that takes long and holds little cannot stand for many inner chunks.
#[test]
fn inner_chunks_share_no_more_than_they_could_need() {
    let gzip = json!({"name": "gzip", "configuration": {"level": 1}});
    for (data_type, name) in [(DataType::UInt8, "bytes"), (DataType::String, "vlen-utf8")] {
        let codecs = json!([sharded(&[1], &json!([{"name": name}, gzip]), "end")]);
        let pipeline = build(&codecs, &[4000], &data_type, &FillValue::zero(&data_type)).unwrap();
        let sharding = pipeline.sharding().unwrap();
        let shard_bytes = (1 << 20) + sharding.index_bytes();
        let shared = |len: u64| {
            let mut index = ShardIndex::empty(4000).unwrap();
            (0..4000).for_each(|position| index.set(position, 0, len));
            sharding.decode_index(&sharding.encode_index(&index).unwrap(), shard_bytes)
        };
        assert!(shared(60).is_ok());
        let error = shared(1 << 20).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains("4194304000 bytes in all")), "{error}");
    }
}

#[test]
fn errors_name_the_inner_chunk() {
    let transposed = json!([{"name": "transpose", "configuration": {"order": [1, 0]}},
        sharded(&[1, 1], &json!([little(), {"name": "crc32c"}]), "end")]);
    let pipeline = uint16(&transposed, &[2, 3]).unwrap();
    let mut encoded = encode(&pipeline, &[1; 12], &mut Scratch::default()).unwrap();
    let position = pipeline.sharding().unwrap().position(&[1, 2]);
    assert_eq!(position, 2 * 2 + 1);
    encoded[position * 6] ^= 1;
    let error = pipeline.decode_filled(&encoded, &mut Scratch::default(), &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { what, .. } if what.starts_with("inner chunk [1, 2]: checksum")), "{error}");
}

#[test]
fn codecs_after_a_shard_hide_its_inner_chunks() {
    let pipeline =
        uint16(&json!([sharded(&[2], &json!([little()]), "start"), {"name": "gzip", "configuration": {"level": 6}}]), &[4]).unwrap();
    assert!(pipeline.sharding().is_none() && !pipeline.decodes_in_place());
    assert_eq!(pipeline.codecs().to_string(), "none");
}

#[test]
fn a_chunk_of_another_size_is_refused() {
    let pipeline = uint16(&json!([little(), {"name": "zstd", "configuration": {"level": 1}}]), &[4]).unwrap();
    let mut scratch = Scratch::default();
    for len in [2, 6] {
        let other = uint16(&json!([little(), {"name": "zstd", "configuration": {"level": 1}}]), &[len]).unwrap();
        let encoded = encode(&other, &vec![1; other.chunk_bytes()], &mut scratch).unwrap();
        let error = pipeline.decode_filled(&encoded, &mut scratch, &mut Vec::new()).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains('8')), "{error}");
    }
    let plain = uint16(&json!([little()]), &[4]).unwrap();
    for len in [0, 7, 9] {
        assert!(matches!(plain.decode_filled(&vec![0; len], &mut scratch, &mut Vec::new()), Err(Error::Corrupt { .. })));
    }
}

#[test]
fn wrong_documents_are_refused_at_the_right_place() {
    let (zstd, crc, transpose) = (json!("zstd"), json!("crc32c"), json!({"name": "transpose", "configuration": {"order": [1, 0]}}));
    let with = |member: &str, value: Value| {
        let mut codec = sharded(&[1, 2], &json!([little()]), "end");
        codec["configuration"][member] = value;
        json!([codec])
    };
    let bare = json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 1], "codecs": [little()]}}]);
    for (codecs, expected) in [
        (json!([]), ""),
        (json!([zstd, little()]), "/0"),
        (json!([little(), transpose]), "/1"),
        (json!([little(), little()]), "/1"),
        (json!([transpose, zstd]), "/1"),
        (json!(["bytes"]), "/0/configuration/endian"),
        (json!([{"name": "bytes", "configuration": {"endian": "native"}}]), "/0/configuration/endian"),
        (json!([{"name": "bytes", "configuration": {"endian": "big", "a/b": 1}}]), "/0/configuration/a~1b"),
        (json!([little(), {"name": "zstd", "configuration": {"level": 23}}]), "/1/configuration/level"),
        (json!([little(), {"name": "zstd", "configuration": {"level": 1.5}}]), "/1/configuration/level"),
        (json!([little(), {"name": "zstd", "configuration": {"level": 1, "checksum": 1}}]), "/1/configuration/checksum"),
        (json!([little(), {"name": "gzip", "configuration": {"level": -1}}]), "/1/configuration/level"),
        (json!([little(), {"name": "crc32c", "configuration": {"x": 1}}]), "/1/configuration/x"),
        (json!([{"name": "transpose", "configuration": {"order": [0]}}, little()]), "/0/configuration/order"),
        (with("chunk_shape", json!([1, 3])), "/0/configuration/chunk_shape"),
        (with("chunk_shape", json!([0, 1])), "/0/configuration/chunk_shape"),
        (with("chunk_shape", json!([1])), "/0/configuration/chunk_shape"),
        (with("chunk_shape", json!([1, -1])), "/0/configuration/chunk_shape/1"),
        (with("codecs", json!([little(), "bytes"])), "/0/configuration/codecs/1"),
        (with("codecs", json!("bytes")), "/0/configuration/codecs"),
        (with("index_codecs", json!([little(), zstd])), "/0/configuration/index_codecs/1"),
        (with("index_codecs", json!(["bytes"])), "/0/configuration/index_codecs/0/configuration/endian"),
        (with("index_codecs", json!([crc])), "/0/configuration/index_codecs/0"),
        (with("index_codecs", json!([])), "/0/configuration/index_codecs"),
        (with("index_location", json!("middle")), "/0/configuration/index_location"),
        (with("more", json!(1)), "/0/configuration/more"),
        (bare, "/0/configuration/index_codecs"),
    ] {
        match uint16(&codecs, &[2, 4]) {
            Err(Error::Metadata { pointer, what, .. }) => assert_eq!(pointer, expected, "{codecs}: {what}"),
            other => panic!("{codecs}: {other:?}"),
        }
    }
}

#[test]
fn what_is_beyond_the_limits_is_said_so() {
    let nested = |levels| {
        let inner = (0..levels).fold(json!([little()]), |inner, _| json!([sharded(&[1], &inner, "end")]));
        uint16(&inner, &[1])
    };
    assert!(nested(4).is_ok());
    let many = json!([sharded(&[1], &json!([little()]), "end")]);
    let long = Value::Array(std::iter::once(little()).chain(std::iter::repeat_n(json!("crc32c"), 100)).collect());
    for (result, hint) in [
        (nested(5), "4 deep"),
        (
            uint16(&json!([little(), "zfp"]), &[2]),
            "supported are bytes, sharding_indexed, packbits, vlen-utf8, vlen-bytes, transpose, reshape, bitround",
        ),
        (uint16(&many, &[1 << 40]), "67108864"),
        (uint16(&long, &[1]), "at most 32"),
        (uint16(&json!([little()]), &[1 << 40, 1 << 40]), "at most 2^63"),
        (uint16(&json!([little()]), &[1 << 62, 2]), "at most 2^63"),
        (uint16(&json!([little()]), &[0]), "at least one byte"),
        (uint16(&json!([little()]), &[1; 33]), "rank 32"),
    ] {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(hint), "{error}");
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    }
}

#[test]
fn single_bytes_have_no_endian_in_metadata() {
    let pipeline = build(&json!([little(), "crc32c"]), &[3], &DataType::UInt8, &FillValue::zero(&DataType::UInt8)).unwrap();
    let written: Vec<_> = pipeline.to_metadata().iter().map(NamedConfig::to_json).collect();
    assert_eq!(Value::Array(written), json!([{"name": "bytes"}, {"name": "crc32c"}]));
    assert_eq!(pipeline.codecs().to_string(), "crc32c");
    assert!(build(&json!(["bytes"]), &[3], &DataType::UInt8, &FillValue::zero(&DataType::UInt8)).is_ok());
}

#[test]
fn buffers_stay_within_the_bounds_chunk_after_chunk() {
    let cast = |to: &str| json!({"name": "cast_value", "configuration": {"data_type": to}});
    let shuffle = json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": 1}});
    for filters in [vec![cast("int64"), cast("int32")], vec![cast("int64"), cast("int32"), cast("int64")], vec![cast("int64")]] {
        let codecs: Vec<Value> = filters.into_iter().chain([little(), shuffle.clone(), json!({"name": "zstd"})]).collect();
        let pipeline = uint16(&json!(codecs), &[40]).unwrap();
        let (mut scratch, data) = (Scratch::default(), vec![0; pipeline.chunk_bytes()]);
        for _ in 0..5 {
            let encoded = encode(&pipeline, &data, &mut scratch).unwrap();
            assert!(scratch.held_bytes() as u64 <= pipeline.encode_memory(), "{codecs:?}: {}", scratch.held_bytes());
            let (mut scratch, mut out) = (Scratch::default(), Vec::new());
            (0..5).for_each(|_| assert!(pipeline.decode(&encoded, &mut scratch, &mut out).unwrap().is_some()));
            assert!(scratch.held_bytes() as u64 <= pipeline.decode_memory(), "{codecs:?}: {}", scratch.held_bytes());
        }
    }
}

#[test]
fn memory_bounds_grow_with_what_is_done() {
    let plain = uint16(&json!([little()]), &[1 << 20]).unwrap();
    assert_eq!((plain.encode_memory(), plain.decode_memory(), plain.encoded_bound()), (0, 0, 2 << 20));
    let zstd = json!({"name": "zstd", "configuration": {"level": 3}});
    let once = uint16(&json!([little(), zstd, "crc32c"]), &[1 << 20]).unwrap();
    assert!(once.encode_memory() > 1 << 20 && once.encode_memory() < 8 << 20 && once.decode_memory() < 1 << 20);
    let twice = uint16(&json!([little(), zstd, zstd]), &[1 << 20]).unwrap();
    assert!(twice.encode_memory() >= once.encode_memory() + (2 << 20) && twice.decode_memory() > 2 << 20);
    let shard = uint16(&json!([sharded(&[1 << 10], &json!([little(), zstd]), "end")]), &[1 << 20]).unwrap();
    assert!(shard.decode_memory() < 1 << 20 && shard.encode_memory() < 1 << 20);
    let start = uint16(&json!([sharded(&[1 << 10], &json!([little(), zstd]), "start")]), &[1 << 20]).unwrap();
    assert!(start.encode_memory() > 2 << 20);
    assert_eq!(element_count(shard.sharding().unwrap().units_per_chunk()), Some(1 << 10));
}
