//! Every single flipped bit in a chunk of 4 KiB with crc32c, and in the index of its shard, is noticed.

use std::sync::Arc;

use rezarr::{Array, Error, Key, MemoryStore, NodeMetadata, Region, Store};
use serde_json::{Value, json};

/// The array with chunks of 4 KiB of `uint8`.
fn array(codecs: &Value) -> (Arc<MemoryStore>, Array) {
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": [8192], "data_type": "uint8", "fill_value": 0, "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [8192]}}, "chunk_key_encoding": {"name": "default"},
    });
    let NodeMetadata::Array(metadata) = NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap() else { panic!("an array") };
    let store = Arc::new(MemoryStore::new());
    let array = Array::create_in(store.clone(), Key::root(), *metadata).unwrap();
    let data: Vec<u8> = (0..8192_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
    array.write(&Region::whole(&[8192]), &data).unwrap();
    (store, array)
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (bytes, crc) = (json!({"name": "bytes", "configuration": {"endian": "little"}}), json!({"name": "crc32c"}));
    let sharding = |location: &str| {
        json!([{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [4096], "codecs": [bytes, crc], "index_codecs": [bytes, crc], "index_location": location,
        }}])
    };
    for codecs in [json!([bytes, crc]), sharding("end"), sharding("start")] {
        let (store, array) = array(&codecs);
        let key = Key::new("c/0").unwrap();
        let good = array.encoded_chunk(&[0]).unwrap().unwrap();
        assert!(good.len() >= 8192 + 4);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            store.set(&key, &bad).unwrap();
            let error = array.read_chunk(&[0]).expect_err("a flipped bit");
            let noticed = matches!(&error, Error::ChecksumMismatch { key, .. } if key.contains("c/0"));
            assert!(noticed, "bit {bit} of {codecs}: {error}");
        }
        store.set(&key, &good).unwrap();
        array.read_chunk(&[0]).unwrap();
    }
}
