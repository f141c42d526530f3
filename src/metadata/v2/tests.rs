//! Documents of Zarr v2: what they mean, what is refused and where.

use serde_json::{Value, json};

use super::*;
use crate::dtype::DataType;
use crate::grid::ChunkKeyEncoding;

mod chains;
mod hostile;

/// A valid `.zarray`.
fn zarray() -> Value {
    json!({
        "zarr_format": 2, "shape": [10, 7], "chunks": [4, 7], "dtype": "<f4", "compressor": null, "fill_value": 0, "order": "C",
        "filters": null, "dimension_separator": ".",
    })
}

fn read(document: &Value) -> Result<ArrayMetadata> {
    ArrayMetadata::from_v2(document.to_string().as_bytes(), None)
}

/// A valid document with one member set, or removed where the value is none.
fn with(member: &str, value: Option<Value>) -> Result<ArrayMetadata> {
    let mut document = zarray();
    let members = document.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.shift_remove(member),
    };
    read(&document)
}

/// The document of Zarr v3 that says the same.
fn v3(metadata: &ArrayMetadata) -> Value {
    serde_json::from_slice(&metadata.to_bytes().unwrap()).unwrap()
}

fn codecs(metadata: &Result<ArrayMetadata>) -> Value {
    v3(metadata.as_ref().unwrap())["codecs"].clone()
}

/// What is wrong, and where.
fn fault<T: std::fmt::Debug>(result: Result<T>) -> (String, String) {
    match result {
        Err(Error::Metadata { pointer, what, .. }) => (pointer, what),
        Err(Error::Unsupported { what, .. }) => (String::from("unsupported"), what),
        other => panic!("{other:?}"),
    }
}

/// FMT-V2-3, FMT-V2-5.
#[test]
fn a_plain_array() {
    let metadata = read(&zarray()).unwrap();
    assert_eq!(metadata.zarr_format(), 2);
    assert_eq!((metadata.shape(), metadata.chunk_shape()), (&[10, 7][..], &[4, 7][..]));
    assert_eq!(metadata.data_type(), &DataType::Float32);
    assert_eq!(metadata.key_encoding(), ChunkKeyEncoding::V2 { separator: '.' });
    assert_eq!(
        v3(&metadata),
        json!({
            "shape": [10, 7], "data_type": "float32",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 7]}},
            "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}},
            "fill_value": 0.0, "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "attributes": {}, "zarr_format": 3, "node_type": "array",
        })
    );
    assert_eq!(metadata.into_v3().unwrap().zarr_format(), 3);
}

/// FMT-V2-3: members that are wanting, null, or unknown.
#[test]
fn wild_forms() {
    let plain = v3(&read(&zarray()).unwrap());
    for member in ["compressor", "order", "filters", "dimension_separator", "fill_value"] {
        assert_eq!(v3(&with(member, None).unwrap()), plain, "{member}");
        assert_eq!(v3(&with(member, Some(Value::Null)).unwrap()), plain, "{member}");
    }
    assert_eq!(v3(&with("filters", Some(json!([]))).unwrap()), plain);
    assert_eq!(v3(&with("unknown", Some(json!([1]))).unwrap()), plain);
    let slash = with("dimension_separator", Some(json!("/"))).unwrap();
    assert_eq!(slash.key_encoding(), ChunkKeyEncoding::V2 { separator: '/' });
    let bare = zarray().to_string().replace("\"fill_value\":0", "\"fill_value\":NaN");
    let bare = ArrayMetadata::from_v2(bare.as_bytes(), Some(b" {\"valid_max\": Infinity, \"x\": [NaN]}\n")).unwrap();
    assert_eq!((&v3(&bare)["fill_value"], &v3(&bare)["attributes"]), (&json!("NaN"), &json!({"valid_max": "Infinity", "x": ["NaN"]})));
}

/// FMT-V2-4.
#[test]
fn chunks_without_elements() {
    let document = |shape: Value, chunks: Value| read(&json!({"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": "|u1"}));
    assert_eq!(document(json!([0, 3]), json!([0, 3])).unwrap().chunk_shape(), [1, 3]);
    assert_eq!(document(json!([]), json!([])).unwrap().key_encoding().key(&[]), "0");
    assert_eq!(fault(document(json!([2, 3]), json!([2, 0]))).0, "/chunks/1");
    assert_eq!(fault(document(json!([2, 3]), json!([2]))).0, "/chunks");
    assert_eq!(fault(document(json!([2]), json!([-2]))).0, "/chunks/0");
    assert_eq!(fault(document(json!([1, 1]), json!([1_u64 << 40, 1_u64 << 40]))).0, "/chunks");
    assert_eq!(fault(document(json!(vec![1; 33]), json!(vec![1; 33]))).0, "unsupported");
}

/// FMT-V2-5, FMT-V2-6: byte order and axes become codecs; transposition comes before filters, which work on stored elements.
#[test]
fn orders() {
    let bytes = |endian: &str| json!({"name": "bytes", "configuration": {"endian": endian}});
    assert_eq!(codecs(&with("dtype", Some(json!(">f8")))), json!([bytes("big")]));
    assert_eq!(codecs(&with("dtype", Some(json!("|u1")))), json!([{"name": "bytes"}]));
    let transpose = json!({"name": "transpose", "configuration": {"order": [1, 0]}});
    assert_eq!(codecs(&with("order", Some(json!("F")))), json!([transpose, bytes("little")]));
    let mut one = zarray();
    one["order"] = json!("F");
    (one["shape"], one["chunks"]) = (json!([5]), json!([2]));
    assert_eq!(codecs(&read(&one)), json!([bytes("little")]));
    assert_eq!(fault(with("order", Some(json!("A")))).0, "/order");
    assert_eq!(fault(with("dimension_separator", Some(json!("-")))).0, "/dimension_separator");
}

/// FMT-V2-9: codecs that make objects, and unknown ones, are refused by name wherever they stand, before anything else is looked at.
#[test]
fn object_codecs_are_refused_by_name() {
    for id in ["pickle", "json2", "msgpack", "msgpack2", "categorize", "vlen-array", "zfpy", "made-up"] {
        let codec = json!({"id": id, "dtype": "<i4"});
        for (filters, compressor) in [
            (json!([codec]), Value::Null),
            (json!([{"id": "vlen-utf8"}, codec]), Value::Null),
            (json!([codec, {"id": "vlen-utf8"}]), json!({"id": "zlib"})),
            (Value::Null, codec.clone()),
        ] {
            for dtype in ["|O", "<f4"] {
                let mut document = zarray();
                (document["filters"], document["compressor"], document["dtype"]) = (filters.clone(), compressor.clone(), json!(dtype));
                let (at, what) = fault(read(&document));
                assert!(at == "unsupported" && what.contains(&format!("{id:?}")), "{at}: {what}");
            }
        }
    }
    let (at, what) = fault(with("dtype", Some(json!("|O"))));
    assert!(at == "unsupported" && what.contains("without a codec"), "{what}");
}

#[test]
fn faults_point_to_their_place() {
    let cases = [
        ("zarr_format", None, "/zarr_format"),
        ("zarr_format", Some(json!("2")), "/zarr_format"),
        ("zarr_format", Some(json!(3)), "unsupported"),
        ("zarr_format", Some(json!(1)), "unsupported"),
        ("shape", None, "/shape"),
        ("shape", Some(json!([10, "7"])), "/shape/1"),
        ("chunks", None, "/chunks"),
        ("dtype", None, "/dtype"),
        ("filters", Some(json!({})), "/filters"),
        ("filters", Some(json!([null])), "/filters/0"),
        ("filters", Some(json!([{"id": 3}])), "/filters/0/id"),
        ("filters", Some(json!([{}])), "/filters/0"),
        ("filters", Some(json!(vec![json!({"id": "shuffle"}); 31])), "unsupported"),
        ("compressor", Some(json!("zlib")), "/compressor"),
        ("compressor", Some(json!({"id": ""})), "/compressor/id"),
        ("compressor", Some(json!({"id": "zstd", "level": 23})), "/compressor/level"),
        ("compressor", Some(json!({"id": "zstd", "checksum": 1})), "/compressor/checksum"),
        ("compressor", Some(json!({"id": "crc32c", "location": "start"})), "/compressor/location"),
        ("compressor", Some(json!({"id": "blosc", "shuffle": 3})), "/compressor/shuffle"),
        ("filters", Some(json!([{"id": "shuffle"}, {"id": "delta", "dtype": "<f4"}])), "/filters/1"),
        ("compressor", Some(json!({"id": "vlen-utf8"})), "/compressor"),
    ];
    for (member, value, at) in cases {
        let shown = format!("{member}: {value:?}");
        assert_eq!(fault(with(member, value)).0, at, "{shown}");
    }
    let attributes = |text: &str| fault(ArrayMetadata::from_v2(zarray().to_string().as_bytes(), Some(text.as_bytes()))).0;
    assert_eq!((attributes("[]"), attributes("{\"a\":1,\"a\":2}")), (String::new(), String::from("/a")));
    assert_eq!(attributes(""), "");
    assert_eq!(fault(GroupMetadata::from_v2(b"{\"zarr_format\": 3}", None, None)).0, "unsupported");
    assert_eq!(fault(GroupMetadata::from_v2(b"{}", None, None)).0, "/zarr_format");
}

/// FMT-V2-7: compressors that are codecs of Zarr v3, with the members that it wants.
#[test]
fn compressors_of_the_core() {
    let compressor = |config: Value| codecs(&with("compressor", Some(config)))[1].clone();
    let zstd = |level: i32, checksum: bool| json!({"name": "zstd", "configuration": {"level": level, "checksum": checksum}});
    assert_eq!(compressor(json!({"id": "zstd", "level": 7})), zstd(7, false));
    assert_eq!(compressor(json!({"id": "zstd", "level": -3, "checksum": true})), zstd(-3, true));
    assert_eq!(compressor(json!({"id": "zstd"})), zstd(0, false));
    assert_eq!(compressor(json!({"id": "gzip", "level": 9})), json!({"name": "gzip", "configuration": {"level": 9}}));
    assert_eq!(compressor(json!({"id": "gzip", "level": -1})), json!({"name": "gzip", "configuration": {"level": 6}}));
    assert_eq!(compressor(json!({"id": "crc32c"})), json!({"name": "crc32c"}));
}

/// FMT-V2-11.
#[test]
fn dimension_names() {
    let read = |member: Option<(&str, Value)>, attributes: Value| {
        let mut document = zarray();
        document["fill_value"] = json!(null);
        if let Some((name, value)) = member {
            document[name] = value;
        }
        let metadata = ArrayMetadata::from_v2(document.to_string().as_bytes(), Some(attributes.to_string().as_bytes())).unwrap();
        let names = metadata.dimension_names().map(|names| names.iter().map(|name| name.clone().unwrap()).collect::<Vec<_>>());
        assert_eq!(metadata.attributes().to_map().unwrap(), *attributes.as_object().unwrap());
        (names, v3(&metadata)["attributes"].clone())
    };
    let names = |a: &str, b: &str| Some(vec![a.to_owned(), b.to_owned()]);
    let xarray = json!({"units": "K", "_ARRAY_DIMENSIONS": ["y", "x"], "a": {"b": 1.50}});
    assert_eq!(read(None, xarray.clone()), (names("y", "x"), json!({"units": "K", "a": {"b": 1.50}})));
    let dimrefs = json!({"dimrefs": ["/group/lat", "/lon"], "storage": "chunked"});
    assert_eq!(read(Some(("_NCZARR_ARRAY", dimrefs.clone())), json!({})), (names("lat", "lon"), json!({})));
    assert_eq!(read(Some(("_NCZARR_ARRAY", dimrefs.clone())), xarray).0, names("y", "x"));
    let attribute = json!({"_nczarr_array": {"dimension_references": ["/lat", "/lon"]}});
    assert_eq!(read(None, attribute.clone()), (names("lat", "lon"), attribute));
    for other in [json!(["y"]), json!("y"), json!([1, 2]), json!(null), json!({"a": 1})] {
        let attributes = json!({"_ARRAY_DIMENSIONS": other});
        assert_eq!(read(Some(("_NCZARR_ARRAY", json!({"dimrefs": []}))), attributes.clone()), (None, attributes));
    }
    let document = zarray().to_string().replace("\"fill_value\":0", "\"fill_value\":null");
    let only = ArrayMetadata::from_v2(document.as_bytes(), Some(b"{\"_ARRAY_DIMENSIONS\": [\"y\", \"x\"]}")).unwrap();
    assert!(only.into_v3().unwrap().attributes().is_empty());
}

/// FMT-V2-12: copies may be ignored, so that nothing in them keeps a group from being opened; asked for, they are in the form of Zarr v3.
#[test]
fn consolidated_metadata() {
    let group = |copies: Option<&str>| {
        GroupMetadata::from_v2(b"{\"zarr_format\": 2}", Some(b"{\"title\": NaN}"), copies.map(str::as_bytes)).unwrap()
    };
    assert!(!group(None).is_consolidated() && group(None).consolidated().unwrap().is_none());
    assert_eq!(group(None).attributes().as_json(), "{\"title\": \"NaN\"}");
    let copies = json!({
        "zarr_consolidated_format": 1,
        "metadata": {
            ".zgroup": {"zarr_format": 2}, ".zattrs": {"title": "t"}, "g/.zgroup": {"zarr_format": 2}, "g/a/.zarray": zarray(),
            "g/a/.zattrs": {"_ARRAY_DIMENSIONS": ["y", "x"], "nan": "BARE"}, "object/.zarray": {"zarr_format": 2, "shape": [], "chunks": [],
            "dtype": "|O", "filters": [{"id": "pickle"}]}, "lost/.zattrs": {},
        },
    });
    let copies = copies.to_string().replace("\"BARE\"", "NaN");
    let found = group(Some(&copies));
    assert!(found.is_consolidated() && found.zarr_format() == 2);
    let found = found.consolidated().unwrap().unwrap();
    assert_eq!(found.paths().collect::<Vec<_>>(), ["g", "g/a"]);
    let Some(NodeMetadata::Array(array)) = found.node("g/a").unwrap() else { panic!("an array") };
    assert_eq!(array.attributes().to_map().unwrap(), *json!({"nan": "NaN", "_FillValue": "AAAAAAAAAAA="}).as_object().unwrap());
    assert!(array.dimension_names().is_some());
    for (copies, at) in [
        ("", ""),
        ("{}", "/zarr_consolidated_format"),
        ("{\"zarr_consolidated_format\": 2}", "unsupported"),
        ("{\"zarr_consolidated_format\": 1}", "/metadata"),
        ("{\"zarr_consolidated_format\": 1, \"metadata\": []}", "/metadata"),
        ("{\"zarr_consolidated_format\": 1, \"metadata\": {\"a/.zgroup\": 1}}", "/metadata/a~1.zgroup"),
        ("{\"zarr_consolidated_format\": 1, \"metadata\": {\"../a/.zgroup\": {\"zarr_format\": 2}}}", "/metadata/..~1a~1.zgroup"),
        ("{\"zarr_consolidated_format\": 1, \"metadata\": {\"a/.zarray\": {\"zarr_format\": 2}}}", "/metadata/a~1.zarray/shape"),
    ] {
        let group = group(Some(copies));
        assert!(group.is_consolidated());
        assert_eq!(fault(group.consolidated()).0, at, "{copies}");
    }
}

/// FMT-V2-15: as `xarray.backends.zarr.FillValueCoder` has it.
#[test]
fn what_is_missing_is_said_as_xarray_does() {
    let nan = json!("AAAAAAAA+H8=");
    let names = json!({"_ARRAY_DIMENSIONS": ["x"], "units": "K"});
    let both = json!({"_ARRAY_DIMENSIONS": ["x"], "_FillValue": 5, "units": "K"});
    let attribute = |value: Value| json!({"_FillValue": value});
    for (dtype, fill, attributes, expected) in [
        ("<i2", json!(-1), &names, Some(json!(-1))),
        ("<i2", json!(-1), &both, Some(json!(-1))),
        ("<i2", json!(null), &both, Some(json!(5))),
        ("<i2", json!(null), &names, None),
        ("<i2", json!(-1), &json!({}), None),
        ("<i2", json!(null), &attribute(json!([7])), Some(json!(7))),
        ("<i2", json!(null), &attribute(json!("x")), Some(json!("x"))),
        ("<i2", json!(null), &attribute(json!(null)), Some(json!(null))),
        (">f4", json!("NaN"), &names, Some(nan.clone())),
        ("<f8", json!("-Infinity"), &names, Some(json!("AAAAAAAA8P8="))),
        // Python: base64.b64encode(struct.pack("<d", -9999))
        ("<f8", json!(null), &attribute(json!(-9999.0)), Some(json!("AAAAAICHw8A="))),
        ("<f8", json!(null), &attribute(json!("NaN")), Some(nan.clone())),
        ("<c8", json!(["NaN", 0]), &names, Some(json!([nan, "AAAAAAAAAAA="]))),
        ("|b1", json!(true), &names, Some(json!(true))),
        ("<M8[s]", json!(0), &names, None),
        ("|S2", json!("YQ=="), &names, None),
    ] {
        let document = json!({"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": dtype, "fill_value": fill});
        let metadata = ArrayMetadata::from_v2(document.to_string().as_bytes(), Some(attributes.to_string().as_bytes())).unwrap();
        assert_eq!(metadata.attributes().as_json(), attributes.to_string());
        let written = v3(&metadata)["attributes"].clone();
        assert_eq!(written.get("_FillValue"), expected.as_ref(), "{dtype} {fill} {attributes}");
        assert_eq!((written.get("units"), written.get("_ARRAY_DIMENSIONS")), (attributes.get("units"), None));
    }
}
