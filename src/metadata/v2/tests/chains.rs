//! Filters and compressors as codecs of Zarr v3.

use super::super::codecs::Source;
use super::*;
use crate::dtype::ByteOrder;
use crate::json::NamedConfig;

/// The codecs behind the array->bytes codec, for elements of a type.
fn chain(filters: &Value, compressor: &Value, data_type: &DataType, order: ByteOrder, reversed: bool) -> Vec<Value> {
    let source = Source::new(Some(filters), Some(compressor)).unwrap();
    source.chain(data_type, order, 2, reversed).unwrap().codecs.iter().map(NamedConfig::to_json).collect()
}

fn bytes(endian: &str) -> Value {
    json!({"name": "bytes", "configuration": {"endian": endian}})
}

/// FMT-V2-7: Blosc gets the size of what is compressed, and its shuffle a word.
#[test]
fn blosc() {
    let blosc = |data_type: DataType, config: Value, filters: Value| {
        let codecs = chain(&filters, &config, &data_type, ByteOrder::Little, false);
        codecs.last().unwrap()["configuration"].clone()
    };
    let config = |shuffle: i64| json!({"id": "blosc", "cname": "zstd", "clevel": 7, "shuffle": shuffle, "blocksize": 512});
    for (data_type, shuffle, word, typesize) in [
        (DataType::Float64, 0, "noshuffle", 8),
        (DataType::Float64, 1, "shuffle", 8),
        (DataType::Int16, 2, "bitshuffle", 2),
        (DataType::Int16, -1, "shuffle", 2),
        (DataType::UInt8, -1, "bitshuffle", 1),
        (DataType::Raw { size_bytes: 255 }, 1, "shuffle", 255),
        (DataType::Raw { size_bytes: 256 }, 1, "shuffle", 1),
        (DataType::String, -1, "bitshuffle", 1),
    ] {
        let filters = if data_type == DataType::String { json!([{"id": "vlen-utf8"}]) } else { json!([]) };
        let wanted = json!({"typesize": typesize, "cname": "zstd", "clevel": 7, "shuffle": word, "blocksize": 512});
        assert_eq!(blosc(data_type.clone(), config(shuffle), filters), wanted, "{data_type}");
    }
    let bare = json!({"typesize": 4, "cname": "lz4", "clevel": 5, "shuffle": "shuffle", "blocksize": 0});
    assert_eq!(blosc(DataType::Int32, json!({"id": "blosc", "typesize": null}), json!(null)), bare);
    // What is compressed is what filters leave.
    let narrow = json!([{"id": "delta", "dtype": "<i4", "astype": "|i1"}]);
    assert_eq!(blosc(DataType::Int32, config(-1), narrow)["shuffle"], "bitshuffle");
    assert_eq!(blosc(DataType::Int32, config(-1), json!([{"id": "shuffle", "elementsize": 4}]))["typesize"], 1);
}

/// FMT-V2-6, FMT-V2-8: filters in their order, behind the transposition; byte order is that of what they leave.
#[test]
fn filters() {
    let delta = |astype: &str| json!({"id": "delta", "dtype": ">i4", "astype": astype});
    let named = |astype: &str| json!({"name": "numcodecs.delta", "configuration": {"dtype": ">i4", "astype": astype}});
    let transpose = json!({"name": "transpose", "configuration": {"order": [1, 0]}});
    let zlib = |level: i32| json!({"name": "numcodecs.zlib", "configuration": {"level": level}});
    let of = |filters: Value, compressor: Value| chain(&filters, &compressor, &DataType::Int32, ByteOrder::Big, true);
    assert_eq!(of(json!([delta(">i4")]), json!({"id": "zlib"})), [transpose.clone(), named(">i4"), bytes("big"), zlib(1)]);
    assert_eq!(of(json!([delta("<i2")]), json!(null)), [transpose.clone(), named("<i2"), bytes("little")]);
    let shuffle = json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": 4}});
    let both = json!([{"id": "shuffle", "elementsize": 4}, {"id": "crc32"}]);
    let crc32 = json!({"name": "numcodecs.crc32", "configuration": {}});
    assert_eq!(of(both, json!({"id": "zlib", "level": 9})), [transpose.clone(), bytes("big"), shuffle, crc32, zlib(9)]);
    let packed = json!([{"id": "packbits"}]);
    assert_eq!(
        chain(&packed, &json!(null), &DataType::Bool, ByteOrder::None, false),
        [json!({"name": "numcodecs.packbits", "configuration": {}}), json!({"name": "bytes"})]
    );
    let quantize = json!([{"id": "quantize", "digits": 1, "dtype": "<f8", "astype": "<f4"}]);
    assert_eq!(
        chain(&quantize, &json!(null), &DataType::Float64, ByteOrder::Little, false),
        [
            json!({"name": "numcodecs.quantize", "configuration": {"digits": 1, "dtype": "<f8"}}),
            json!({"name": "numcodecs.astype", "configuration": {"encode_dtype": "<f4", "decode_dtype": "<f8"}}),
            bytes("little")
        ]
    );
}

/// FMT-V2-9.
#[test]
fn objects_are_strings_or_bytes() {
    for (id, data_type) in [("vlen-utf8", DataType::String), ("vlen-bytes", DataType::Bytes)] {
        let document = json!({"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "filters": [{"id": id}], "fill_value": "",
                              "compressor": {"id": "zstd", "level": 1}});
        let metadata = read(&document).unwrap();
        assert_eq!(metadata.data_type(), &data_type);
        assert_eq!((&v3(&metadata)["codecs"][0]["name"], &v3(&metadata)["codecs"][1]["name"]), (&json!(id), &json!("zstd")));
    }
    let mut document = zarray();
    document["filters"] = json!([{"id": "vlen-utf8"}]);
    assert_eq!(fault(read(&document)).0, "/filters/0");
    document["dtype"] = json!("|O");
    document["filters"] = json!([{"id": "delta", "dtype": "<i4"}, {"id": "vlen-utf8"}]);
    assert_eq!(fault(read(&document)).0, "unsupported");
}

/// FMT-V2-10: structs of one byte order are read and can be Zarr v3, under zarr-python's name; of two they are read alone.
#[test]
fn structs() {
    let document = |dtype: Value| json!({"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": dtype});
    let little = read(&document(json!([["id", "<i2"], ["flag", "|b1"], ["raw", "|V2"]]))).unwrap();
    let fields = json!([["id", "int16"], ["flag", "bool"], ["raw", {"name": "raw_bytes", "configuration": {"length_bytes": 2}}]]);
    assert_eq!(v3(&little)["data_type"], json!({"name": "structured", "configuration": {"fields": fields}}));
    assert_eq!((&v3(&little)["fill_value"], little.v3_obstacle()), (&json!("AAAAAAA="), None));
    for (dtype, reason) in [
        (json!([["a", ">i2"]]), "big endian"),
        (json!([["a", ">i2"], ["b", "<i2"]]), "some of its fields"),
        (json!([["a", "<i2", [2]]]), "is an array"),
        (json!([["n", [["a", "<i2", [1]]]]]), "is an array"),
    ] {
        let metadata = read(&document(dtype.clone())).unwrap();
        assert!(metadata.v3_obstacle().is_some_and(|obstacle| obstacle.contains(reason)), "{dtype}: {:?}", metadata.v3_obstacle());
    }
}

/// FMT-V2-22: a filter that takes another byte order than that of the array; numcodecs reads such data in its way.
#[test]
fn orders_that_filters_do_not_share() {
    let mut document = zarray();
    (document["dtype"], document["filters"]) = (json!(">i4"), json!([{"id": "delta", "dtype": "<i4", "astype": "<i4"}]));
    assert!(read(&document).unwrap().v3_obstacle().is_some_and(|obstacle| obstacle.contains("byte order")));
    document["dtype"] = json!("<i4");
    assert_eq!(read(&document).unwrap().v3_obstacle(), None);
}
