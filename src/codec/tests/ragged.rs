//! Elements of variable length: what zarr-python stored, round trips of every combination, and damage.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{build, chain, sharded};
use crate::codec::{CodecPipeline, Scratch, vlen};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::ragged::{ENTRY_BYTES, Ragged};
use crate::region::{BoxLayout, c_strides, element_count, to_usize};

fn pipeline(codecs: &Value, shape: &[u64], fill: &str) -> Result<CodecPipeline> {
    build(codecs, shape, &DataType::String, &FillValue::from_bytes(&DataType::String, fill.as_bytes()).unwrap())
}

fn table(elements: &[&[u8]]) -> Ragged {
    let mut ragged = Ragged::default();
    elements.iter().for_each(|element| ragged.push(element).unwrap());
    ragged
}

fn encode(pipeline: &CodecPipeline, elements: &Ragged) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    pipeline.encode_ragged(elements, &mut Scratch::default(), &mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(out)
}

/// The elements of a decoded chunk in C order of the array.
fn in_order(pipeline: &CodecPipeline, elements: &Ragged) -> Ragged {
    let mut out = Ragged::filled(elements.len(), b"").unwrap();
    let (strides, shape) = (pipeline.strides(), pipeline.chunk_shape());
    let to = c_strides(shape, ENTRY_BYTES);
    let (from, to) = (BoxLayout { offset: 0, strides: &strides }, BoxLayout { offset: 0, strides: &to });
    Ragged::copy_box(shape, (elements, from), (&mut out, to)).unwrap();
    out
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

const PLAIN: &str = "06000000010000006100000000040000007a617272070000006772c3bcc39f6506000000e697a5e69cac0100000065";

/// FMT-AA-10: bytes that zarr-python 3.1.6 stored.
#[test]
fn golden_chunks_are_read_and_made_again() {
    let words = ["a", "", "zarr", "grüße", "日本", "e"].map(str::as_bytes);
    let turned = json!([{"name": "transpose", "configuration": {"order": [1, 0, 2]}}, "vlen-utf8"]);
    let cube = "0800000001000000610100000062010000006500000000010000006302000000646401000000670100000068";
    let cube_words = ["a", "b", "c", "dd", "e", "", "g", "h"].map(str::as_bytes);
    for (codecs, shape, words, golden) in [(json!(["vlen-utf8"]), &[2, 3][..], &words[..], PLAIN), (turned, &[2, 2, 2], &cube_words, cube)]
    {
        let pipeline = pipeline(&codecs, shape, "").unwrap();
        let decoded = pipeline.decode_ragged(&hex(golden), &mut Scratch::default()).unwrap().unwrap();
        assert_eq!(in_order(&pipeline, &decoded), table(words));
        assert_eq!(encode(&pipeline, &decoded).unwrap(), hex(golden));
    }
    let bytes = build(&json!(["vlen-bytes"]), &[3], &DataType::Bytes, &FillValue::zero(&DataType::Bytes)).unwrap();
    let golden = hex("030000000100000061000000000200000000ff");
    let decoded = bytes.decode_ragged(&golden, &mut Scratch::default()).unwrap().unwrap();
    assert_eq!(decoded, table(&[b"a", b"", b"\0\xff"]));
    assert_eq!(encode(&bytes, &decoded).unwrap(), golden);
}

/// FMT-AA-11: shards that zarr-python 3.1.6 stored, the second with an inner chunk that is all fill.
#[test]
fn golden_shards_are_read_and_made_again() {
    let codecs = json!([sharded(&[1, 3], &json!(["vlen-utf8"]), "end")]);
    let pipeline = pipeline(&codecs, &[2, 3], "f").unwrap();
    let full = "03000000010000006100000000040000007a61727203000000070000006772c3bcc39f6506000000e697a5e69cac0100000065\
                0000000000000000150000000000000015000000000000001e0000000000000062eb9400";
    let half = "03000000070000006772c3bcc39f6506000000e697a5e69cac0100000066\
                ffffffffffffffffffffffffffffffff00000000000000001e00000000000000f408dfba";
    for (golden, words) in [(full, ["a", "", "zarr", "grüße", "日本", "e"]), (half, ["f", "f", "f", "grüße", "日本", "f"])] {
        let decoded = pipeline.decode_ragged(&hex(golden), &mut Scratch::default()).unwrap().unwrap();
        assert_eq!(decoded, table(&words.map(str::as_bytes)));
        assert_eq!(encode(&pipeline, &decoded).unwrap(), hex(golden));
        let sharding = pipeline.sharding().unwrap();
        let unit = sharding.unit_pipeline().decode_ragged(&hex(golden)[..if golden == full { 21 } else { 30 }], &mut Scratch::default());
        assert_eq!(
            unit.unwrap().unwrap(),
            table(&words[if golden == full { 0..3 } else { 3..6 }].iter().map(|w| w.as_bytes()).collect::<Vec<_>>())
        );
    }
    let empty = encode(&pipeline, &Ragged::filled(6, b"f").unwrap()).unwrap();
    assert_eq!(pipeline.decode_ragged(&empty, &mut Scratch::default()).unwrap(), None);
}

/// FMT-AA-12
#[test]
fn damaged_chunks_are_refused() {
    let pipeline = pipeline(&json!(["vlen-utf8"]), &[2, 3], "").unwrap();
    let good = hex(PLAIN);
    let refused = |bytes: &[u8], hint: &str| {
        let error = pipeline.decode_ragged(bytes, &mut Scratch::default()).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains(hint)), "{hint}: {error}");
    };
    for len in 0..good.len() {
        refused(&good[..len], "");
    }
    refused(&good[..3], "no room for their number");
    refused(&[&good[..], &[0]].concat(), "follow the last");
    for count in [0_u32, 5, 7, u32::MAX] {
        refused(&[&count.to_le_bytes(), &good[4..]].concat(), "expected 6");
    }
    let with = |at: usize, bytes: &[u8]| [&good[..at], bytes, &good[at + bytes.len()..]].concat();
    refused(&with(4, &u32::MAX.to_le_bytes()), "element 0 of 6 goes beyond");
    refused(&with(8, &[0xff]), "element 0 of 6 is not UTF-8");
    refused(&with(4, &[0, 0, 0, 0, 0x61, 0, 0, 0]), "goes beyond");
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let text = pipeline(&json!(["vlen-utf8"]), &[1], "").unwrap();
    assert!(matches!(encode(&text, &table(&[b"\xff"])), Err(Error::InvalidArgument { .. })));
    // Elements of one size and of their own are not mixed up.
    let mut data = vec![0; text.chunk_bytes()];
    assert!(matches!(text.encode(&mut data, &mut Scratch::default(), &mut |_| Ok(())), Err(Error::Unsupported { .. })));
    assert!(matches!(text.decode(&[0; 16], &mut Scratch::default(), &mut Vec::new()), Err(Error::Unsupported { .. })));
    let raw =
        build(&json!(["bytes"]), &[1], &DataType::Raw { size_bytes: 16 }, &FillValue::zero(&DataType::Raw { size_bytes: 16 })).unwrap();
    assert!(matches!(raw.decode_ragged(&[0; 16], &mut Scratch::default()), Err(Error::Unsupported { .. })));
    assert!(matches!(encode(&raw, &table(&[b"x"])), Err(Error::Unsupported { .. })));
    assert!(!text.decodes_in_place() && !text.is_identity() && text.encoded_bound() == u64::MAX);
}

/// FMT-AA-10
#[test]
fn each_codec_takes_its_own_data_type() {
    let utf8 = |data_type: &DataType, name: &str| build(&json!([name]), &[2], data_type, &FillValue::zero(data_type));
    for (data_type, name) in [
        (DataType::Bytes, "vlen-utf8"),
        (DataType::String, "vlen-bytes"),
        (DataType::Raw { size_bytes: 16 }, "vlen-bytes"),
        (DataType::String, "bytes"),
        (DataType::UInt8, "numcodecs.vlen-utf8"),
    ] {
        assert!(matches!(utf8(&data_type, name), Err(Error::Metadata { .. })), "{data_type:?} {name}");
    }
    for (data_type, name, written) in
        [(DataType::String, "numcodecs.vlen-utf8", "vlen-utf8"), (DataType::Bytes, "numcodecs.vlen-bytes", "vlen-bytes")]
    {
        assert_eq!(utf8(&data_type, name).unwrap().to_metadata()[0].name, written);
    }
    let configured = json!([{"name": "vlen-utf8", "configuration": {"x": 1}}]);
    assert!(matches!(pipeline(&configured, &[1], ""), Err(Error::Metadata { pointer, .. }) if pointer == "/0/configuration/x"));
    assert!(matches!(pipeline(&json!(["vlen-utf8"]), &[1 << 32], ""), Err(Error::Unsupported { .. })));
    assert!(matches!(pipeline(&json!(["vlen-utf8", "vlen-utf8"]), &[1], ""), Err(Error::Metadata { .. })));
}

/// FMT-AA-13
#[test]
fn bombs_are_refused() {
    assert_eq!(vlen::most_bytes(10, 100), 4 + 10 * 68 + (16 << 20) + 256 * 100);
    assert_eq!(vlen::most_bytes(u64::MAX, 1), u64::MAX);
    let compressed = pipeline(&json!(["vlen-utf8", {"name": "zstd", "configuration": {"level": 3}}]), &[1], "").unwrap();
    // 64 MiB of text in a few KiB: over 256 bytes for each that is stored.
    let long = table(&[&vec![b'a'; 64 << 20]]);
    let error = compressed.decode_ragged(&encode(&compressed, &long).unwrap(), &mut Scratch::default()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    let short = table(&[&vec![b'a'; 16 << 20]]);
    assert_eq!(compressed.decode_ragged(&encode(&compressed, &short).unwrap(), &mut Scratch::default()).unwrap(), Some(short));
    // Many inner chunks that share the bytes of one.
    let zstd = json!({"name": "zstd", "configuration": {"level": 1}});
    let shard = pipeline(&json!([sharded(&[1], &json!(["vlen-utf8", zstd]), "end")]), &[4096], "").unwrap();
    let mut elements = Ragged::filled(4096, b"").unwrap();
    let one = table(&[&vec![b'a'; 100_000]]);
    let layout = BoxLayout { offset: 0, strides: &[ENTRY_BYTES] };
    Ragged::copy_box(&[1], (&one, layout), (&mut elements, layout)).unwrap();
    let mut bytes = encode(&shard, &elements).unwrap();
    assert!(shard.decode_ragged(&bytes, &mut Scratch::default()).is_ok());
    let end = bytes.len() - 4;
    let index = end - 4096 * 16;
    let entry = bytes[index..index + 16].to_vec();
    bytes[index..end].as_chunks_mut::<16>().0.iter_mut().for_each(|other| other.copy_from_slice(&entry));
    let sum = crc32c::crc32c(&bytes[index..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    let error = shard.decode_ragged(&bytes, &mut Scratch::default()).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains("take more than")), "{error}");
}

/// The codecs of other tests, with strings in the innermost chunks.
fn with_strings(codecs: &Value) -> Value {
    match codecs {
        Value::Array(items) => items.iter().map(with_strings).collect(),
        Value::Object(codec) if codec["name"] == "bytes" => json!("vlen-utf8"),
        Value::Object(codec) if codec["name"] == "sharding_indexed" => {
            let mut codec = codec.clone();
            codec["configuration"]["codecs"] = with_strings(&codec["configuration"]["codecs"]);
            Value::Object(codec)
        }
        other => other.clone(),
    }
}

fn cases() -> impl Strategy<Value = (Vec<u64>, Value, Vec<String>)> {
    prop::collection::vec(prop::sample::select(vec![1_u64, 2, 3, 4]), 0..4).prop_flat_map(|shape| {
        let count = to_usize(element_count(&shape).unwrap());
        let element = prop_oneof![Just("f".to_owned()), Just("f".to_owned()), Just(String::new()), "[a-cß日]{0,6}"];
        (Just(shape.clone()), chain(shape, 2).prop_map(|codecs| with_strings(&codecs)), prop::collection::vec(element, count))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn strings_come_back((shape, codecs, words) in cases()) {
        let pipeline = pipeline(&codecs, &shape, "f").unwrap();
        let elements = table(&words.iter().map(String::as_bytes).collect::<Vec<_>>());
        let bytes = encode(&pipeline, &elements).unwrap();
        match pipeline.decode_ragged(&bytes, &mut Scratch::default()).unwrap() {
            Some(decoded) => prop_assert_eq!(&decoded, &elements),
            None => prop_assert!(words.iter().all(|word| word == "f")),
        }
        let again: Vec<_> = pipeline.to_metadata().iter().map(crate::json::NamedConfig::to_json).collect();
        let again = self::pipeline(&Value::Array(again), &shape, "f").unwrap();
        prop_assert_eq!(encode(&again, &elements).unwrap(), bytes);
    }

    #[test]
    fn damage_to_strings_is_refused_or_decoded((shape, codecs, words) in cases(), seed in any::<u64>()) {
        let pipeline = pipeline(&codecs, &shape, "f").unwrap();
        let elements = table(&words.iter().map(String::as_bytes).collect::<Vec<_>>());
        let bytes = encode(&pipeline, &elements).unwrap();
        let mut scratch = Scratch::default();
        let mut check = |bytes: &[u8]| match pipeline.decode_ragged(bytes, &mut scratch) {
            Ok(decoded) => decoded.is_none_or(|decoded| decoded.len() == elements.len() && decoded.iter().all(|word| std::str::from_utf8(word).is_ok())),
            Err(error) => matches!(error, Error::Corrupt { .. } | Error::ChecksumMismatch { .. } | Error::Unsupported { .. }),
        };
        for len in 0..bytes.len().min(60) {
            prop_assert!(check(&bytes[..len]));
        }
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (seed % 8);
            prop_assert!(check(&bad));
        }
    }
}
