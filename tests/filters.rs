//! Arrays whose elements are changed before they become bytes, through the public interface.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::sync::Arc;

use rezarr::{Array, ArrayMetadata, Key, MemoryStore, NodeMetadata, Region};
use serde_json::{Value, json};

fn array(data_type: &str, fill: &Value, codecs: &Value) -> Array {
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": [10, 9], "data_type": data_type, "fill_value": fill, "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 4]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    });
    let NodeMetadata::Array(metadata) = NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap() else { unreachable!() };
    let metadata: ArrayMetadata = *metadata;
    Array::create_in(Arc::new(MemoryStore::new()), Key::new("a").unwrap(), metadata).unwrap()
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn sharded(inner: &[u64], codecs: &Value) -> Value {
    json!({"name": "sharding_indexed", "configuration": {
        "chunk_shape": inner, "codecs": codecs, "index_codecs": [little(), {"name": "crc32c"}], "index_location": "end",
    }})
}

#[test]
fn regions_come_back_through_filters() {
    let delta = json!({"name": "numcodecs.delta", "configuration": {"dtype": "<i4", "astype": "<i2"}});
    let cast = json!({"name": "cast_value", "configuration": {"data_type": "int16"}});
    let turn = json!({"name": "transpose", "configuration": {"order": [1, 0]}});
    let flat = json!({"name": "reshape", "configuration": {"shape": [-1]}});
    let zstd = json!({"name": "zstd", "configuration": {"level": 1, "checksum": false}});
    for codecs in [
        json!([delta, little()]),
        json!([turn, delta, turn, little(), zstd]),
        json!([cast, turn, little(), {"name": "crc32c"}]),
        json!([turn, flat, {"name": "packbits", "configuration": {"last_bit": 9}}]),
        json!([cast, turn, sharded(&[2, 4], &json!([little()]))]),
        json!([turn, sharded(&[2, 4], &json!([delta, turn, little(), zstd]))]),
        json!([turn, delta, flat, sharded(&[8], &json!([little(), zstd]))]),
    ] {
        let array = array("int32", &json!(7), &codecs);
        let mut expected = [[7_i32; 9]; 10];
        for (round, (start, shape)) in [([0, 0], [10, 9]), ([3, 2], [4, 5]), ([9, 8], [1, 1]), ([0, 0], [4, 4])].into_iter().enumerate() {
            let region = Region::new(start.map(|i| i as u64), shape.map(|len| len as u64)).unwrap();
            let data: Vec<i32> =
                (0..).map(|i| (i * 37 + 11 * i32::try_from(round).unwrap()) % 500 - 200).take(shape[0] * shape[1]).collect();
            let data = if round == 3 { vec![7; data.len()] } else { data };
            array.write(&region, &data).unwrap();
            for (i, value) in data.iter().enumerate() {
                expected[start[0] + i / shape[1]][start[1] + i % shape[1]] = *value;
            }
            let all = Region::new([0, 0], [10, 9]).unwrap();
            assert_eq!(array.read::<i32>(&all).unwrap(), expected.as_flattened(), "{codecs}");
            let column = Region::new([0, 3], [10, 1]).unwrap();
            assert_eq!(array.read::<i32>(&column).unwrap(), expected.map(|row| row[3]), "{codecs}");
        }
    }
}

/// FMT-AA-25: an array of another writer, whose codecs would spoil what is written to it, is read and not written.
#[test]
fn codecs_that_spoil_what_they_store_are_not_written_with() {
    let root = tempfile::tempdir().unwrap();
    let document = r#"{"zarr_format": 3, "node_type": "array", "shape": [12], "data_type": "bool", "fill_value": false,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [12]}}, "chunk_key_encoding": {"name": "default"},
        "codecs": [{"name": "numcodecs.packbits", "configuration": {}}, {"name": "packbits", "configuration": {"last_bit": 1}}]}"#;
    std::fs::write(root.path().join("zarr.json"), document).unwrap();
    let array = rezarr::Array::open(root.path()).unwrap();
    let whole = rezarr::Region::whole(&[12]);
    assert_eq!(array.read::<bool>(&whole).unwrap(), [false; 12]);
    let error = array.write(&whole, &[true; 12]).unwrap_err();
    assert!(matches!(&error, rezarr::Error::Unsupported { .. }) && error.to_string().contains("packbits"), "{error}");
    assert!(!root.path().join("c").exists());
}
