//! Tests of documents: what is read, what is refused and where, and that writing is the inverse of reading.

use serde_json::{Value, json};

use super::array::{check_names, new_document};
use super::*;
use crate::codec::Codecs;
use crate::dtype::{DataType, FillValue};
use crate::grid::ChunkKeyEncoding;
use crate::json::NamedConfig;

mod golden;
mod malformed;
mod roundtrip;

/// A valid array document.
fn array() -> Value {
    json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": [10, 7],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4, 7]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    })
}

/// A valid group document.
fn group() -> Value {
    json!({"zarr_format": 3, "node_type": "group"})
}

fn read(document: &[u8]) -> Result<NodeDocument> {
    NodeDocument::from_members(Members::from_document(document)?)
}

fn read_array(document: &Value) -> ArrayDocument {
    match read(document.to_string().as_bytes()) {
        Ok(NodeDocument::Array(array)) => *array,
        other => panic!("{document}: {other:?}"),
    }
}

fn read_group(text: &str) -> GroupMetadata {
    match read(text.as_bytes()) {
        Ok(NodeDocument::Group(group)) => *group,
        other => panic!("{text}: {other:?}"),
    }
}

/// `document` with one member set, or removed where the value is none.
fn changed(mut document: Value, member: &str, value: Option<Value>) -> Value {
    let members = document.as_object_mut().unwrap();
    match value {
        Some(value) => members.insert(member.to_owned(), value),
        None => members.shift_remove(member),
    };
    document
}

fn with(member: &str, value: Value) -> ArrayDocument {
    read_array(&changed(array(), member, Some(value)))
}

#[test]
fn optional_members_default() {
    let plain = read_array(&array());
    assert_eq!(plain.grid.array_shape(), [10, 7]);
    assert_eq!(plain.grid.chunk_shape(), [4, 7]);
    assert_eq!(plain.data_type, DataType::Float32);
    assert_eq!(plain.key_encoding, ChunkKeyEncoding::Default { separator: '/' });
    assert_eq!(plain.dimension_names, None);
    assert!(plain.attributes.is_empty());
    assert_eq!(plain, with("dimension_names", Value::Null));
    assert_eq!(plain, with("storage_transformers", json!([])));
    assert_eq!(plain, with("data_type", json!({"name": "float32"})));
    assert_eq!(plain, with("data_type", json!({"name": "float32", "configuration": {}, "must_understand": true})));
    assert_eq!(plain, with("chunk_key_encoding", json!("default")));
    assert_eq!(plain, with("chunk_key_encoding", json!({"name": "default"})));
    assert_eq!(plain, with("fill_value", json!("0x00000000")));
    assert_ne!(plain, with("fill_value", json!(-0.0)));
}

/// FMT-13.
#[test]
fn key_encodings() {
    let encoding = |value: Value| with("chunk_key_encoding", value).key_encoding;
    assert_eq!(encoding(json!("v2")), ChunkKeyEncoding::V2 { separator: '.' });
    assert_eq!(encoding(json!({"name": "v2", "configuration": {}})), ChunkKeyEncoding::V2 { separator: '.' });
    assert_eq!(encoding(json!({"name": "v2", "configuration": {"separator": "/"}})), ChunkKeyEncoding::V2 { separator: '/' });
    assert_eq!(encoding(json!({"name": "default", "configuration": {"separator": "."}})), ChunkKeyEncoding::Default { separator: '.' });
}

/// FMT-11, FMT-12.
#[test]
fn extreme_shapes() {
    let mut document = changed(array(), "shape", Some(json!([u64::MAX, u64::MAX])));
    assert_eq!(read_array(&document).grid.array_shape(), [u64::MAX; 2]);
    document["shape"] = json!([0, 7]);
    assert_eq!(read_array(&document).grid.array_shape(), [0, 7]);
    document["shape"] = json!([]);
    document["chunk_grid"]["configuration"]["chunk_shape"] = json!([]);
    assert_eq!(read_array(&document).grid.chunk_shape(), [0_u64; 0]);
    document["shape"] = json!(vec![1; 32]);
    document["chunk_grid"]["configuration"]["chunk_shape"] = json!(vec![1; 32]);
    assert_eq!(read_array(&document).grid.array_shape().len(), 32);
    document["shape"] = json!([1]);
    document["chunk_grid"]["configuration"]["chunk_shape"] = json!([isize::MAX / 4]);
    assert_eq!(read_array(&document).grid.chunk_shape(), [isize::MAX as u64 / 4]);
}

/// FMT-15, FMT-18.
#[test]
fn dimension_names_are_free() {
    let names = with("dimension_names", json!(["x", "x"])).dimension_names.unwrap();
    assert_eq!(names, [Some("x".to_owned()), Some("x".to_owned())]);
    assert_eq!(with("dimension_names", json!(["", null])).dimension_names.unwrap(), [Some(String::new()), None]);

    let named = |name: &str| Some(name.to_owned());
    assert!(check_names(&[named("x"), None, None, named("")], 4).is_ok());
    assert!(check_names(&[named("x")], 2).unwrap_err().to_string().contains("1 dimension names for 2"));
    let twice = check_names(&[named("x"), None, named("x")], 3).unwrap_err();
    assert!(twice.to_string().contains("dimensions 0 and 2"), "{twice}");
}

/// FMT-6, FMT-16: what is not interpreted comes out as it went in.
#[test]
fn what_is_not_interpreted_is_kept() {
    let attributes = "{\"big\": 123456789012345678901234567890, \"huge\":1e999,\n\"a\":{\"b\":1,\"b\":2}}";
    let extra = "{ \"must_understand\":false, \"x\":[1.50] }";
    let text = array().to_string();
    let text = format!(
        "{}, \"z.note\": {extra}, \"attributes\": {attributes}, \"a.note\": {{\"must_understand\" : false}}}}",
        &text[..text.len() - 1]
    );
    let Ok(NodeDocument::Array(document)) = read(text.as_bytes()) else { panic!("{text}") };
    assert_eq!(document.attributes.as_json(), attributes);
    let written = String::from_utf8(document.to_object().to_document().unwrap()).unwrap();
    assert!(written.contains(attributes));
    assert!(written.ends_with("\"node_type\": \"array\",\n  \"z.note\": { \"must_understand\":false, \"x\":[1.50] },\n  \"a.note\": {\"must_understand\" : false}\n}"), "{written}");
    assert_eq!(read(written.as_bytes()).unwrap(), NodeDocument::Array(document));
}

#[test]
fn attributes_as_maps() {
    let Value::Object(map) = json!({"b": [1, {"c": "line\nbreak"}], "a": u64::MAX}) else { unreachable!() };
    let attributes = Attributes::from_map(map.clone()).unwrap();
    assert_eq!(attributes.to_map().unwrap(), map);
    assert!(!attributes.is_empty());
    assert!(attributes.as_json().starts_with("{\n    \"b\": [\n      1"), "{}", attributes.as_json());
    assert!(Attributes::default().is_empty() && Attributes::default().to_map().unwrap().is_empty());
    assert!(Attributes::from_map(serde_json::Map::new()).unwrap().is_empty());

    for (text, at) in [("{\"a\": 1, \"b\": 1e999}", "/attributes/b"), ("{\"a/b\": [\"\\ud800\"]}", "/attributes/a~1b")] {
        let group = read_group(&format!("{{\"zarr_format\":3,\"node_type\":\"group\",\"attributes\":{text}}}"));
        match group.attributes().to_map() {
            Err(Error::Metadata { pointer, .. }) => assert_eq!(pointer, at),
            other => panic!("{other:?}"),
        }
    }
}

/// FMT-19.
#[test]
fn attributes_that_are_too_deep_are_not_written() {
    let mut value = json!(1);
    for _ in 0..126 {
        value = json!([value]);
    }
    let deep = |value: &Value| GroupMetadata::new(Attributes::from_map([("a".to_owned(), value.clone())].into_iter().collect()).unwrap());
    match NodeMetadata::Group(Box::new(deep(&value))).to_bytes() {
        Err(Error::InvalidArgument { what }) => assert!(what.contains("127 levels"), "{what}"),
        other => panic!("{other:?}"),
    }
    let group = deep(&value[0]);
    let bytes = NodeMetadata::Group(Box::new(group.clone())).to_bytes().unwrap();
    assert_eq!(read(&bytes).unwrap(), NodeDocument::Group(Box::new(group)));
}

/// FMT-3: as zarr-python and xarray write attributes, in copies as in documents.
#[test]
fn bare_tokens_in_attributes_are_strings() {
    let bare = |document: &Value| document.to_string().replace("\"BARE\"", "-Infinity").into_bytes();
    let inside = changed(array(), "attributes", Some(json!({"range": ["BARE", 1]})));
    let copies =
        json!({"kind": "inline", "must_understand": false, "metadata": {"a": inside, "b": changed(array(), "fill_value", Some(json!(1)))}});
    let outside = changed(changed(group(), "attributes", Some(json!({"x": "BARE"}))), "consolidated_metadata", Some(copies.clone()));
    let NodeMetadata::Group(group) = NodeMetadata::from_bytes(&bare(&outside)).unwrap() else { panic!("a group") };
    assert_eq!(group.attributes().as_json(), r#"{"x":"-Infinity"}"#);
    let Some(NodeMetadata::Array(array)) = group.consolidated().unwrap().unwrap().node("a").unwrap() else { panic!("an array") };
    assert_eq!(array.attributes().as_json(), r#"{"range":["-Infinity",1]}"#);
    let written: Value = serde_json::from_slice(&NodeMetadata::Group(group).to_bytes().unwrap()).unwrap();
    assert_eq!(written["consolidated_metadata"]["metadata"]["a"]["attributes"]["range"][0], "-Infinity");
    // Everywhere else they are no JSON.
    for (member, value) in
        [("fill_value", json!("BARE")), ("attributes", json!("BARE")), ("x", json!({"must_understand": false, "y": "BARE"}))]
    {
        check_refused(&bare(&changed(self::array(), member, Some(value))));
    }
    let fill = json!({"kind": "inline", "must_understand": false, "metadata": {"a": {"fill_value": "BARE"}}});
    check_refused(&bare(&changed(self::group(), "consolidated_metadata", Some(fill))));
}

fn check_refused(document: &[u8]) {
    match NodeMetadata::from_bytes(document) {
        Err(Error::Metadata { what, .. }) => assert!(what.contains("no bare Infinity"), "{what}"),
        other => panic!("{other:?}"),
    }
}

/// FMT-AA-1: as zarr-python writes `structured`, without saying the byte order.
#[test]
fn structured_elements_are_little_endian_where_nothing_is_said() {
    let named = |name: &str, codecs: Value| {
        let data_type = json!({"name": name, "configuration": {"fields": [["a", "int16"], ["b", "uint8"]]}});
        let document = changed(changed(array(), "data_type", Some(data_type)), "fill_value", Some(json!("AQID")));
        NodeMetadata::from_bytes(changed(document, "codecs", Some(codecs)).to_string().as_bytes())
    };
    let shard = |inner: Value| {
        json!([{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [2, 7], "codecs": inner, "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]}}])
    };
    for codecs in
        [json!(["bytes"]), json!([{"name": "bytes"}, "crc32c"]), shard(json!(["bytes"])), shard(json!([{"name": "bytes"}, "crc32c"]))]
    {
        let NodeMetadata::Array(metadata) = named("structured", codecs.clone()).unwrap() else { panic!("an array") };
        assert_eq!(metadata.fill_value().as_bytes(), [0x0201_u16.to_ne_bytes().as_slice(), &[3]].concat());
        let written = String::from_utf8(NodeMetadata::Array(metadata).to_bytes().unwrap()).unwrap();
        assert!(
            !written.contains("\"big\"") && written.contains("\"structured\"") && written.contains("\"endian\": \"little\""),
            "{written}"
        );
        assert!(named("struct", codecs).is_ok());
    }
    let NodeMetadata::Array(big) = named("structured", json!([{"name": "bytes", "configuration": {"endian": "big"}}])).unwrap() else {
        panic!("an array")
    };
    assert_eq!(big.fill_value().as_bytes()[..2], 0x0102_u16.to_ne_bytes());
    assert!(matches!(named("structured", shard(json!(["bytes", 1]))), Err(Error::Metadata { .. })));
}

/// FMT-7, FMT-19: what is read without white space can be too large when it is written with it.
#[test]
fn members_that_could_not_be_read_again_are_not_written() {
    let edges: Vec<u64> = (0..100_000).map(|position| 1 + position % 2).collect();
    let grid = json!({"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": [edges, 7]}});
    let document = changed(changed(array(), "shape", Some(json!([150_000, 7]))), "chunk_grid", Some(grid));
    let node = NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap();
    for refused in [node.to_bytes().map(drop), node.check_size()] {
        match refused {
            Err(Error::InvalidArgument { what }) => assert!(what.contains("at /chunk_grid: a value of"), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}

fn codecs(text: &Value) -> Codecs {
    Codecs(text.as_array().unwrap().iter().map(|codec| NamedConfig::from_json(codec).unwrap()).collect())
}

fn plain_codecs() -> Codecs {
    codecs(
        &json!([{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 3, "checksum": false}}]),
    )
}

/// FMT-50, FMT-51.
#[test]
fn layouts_become_codecs_and_come_back() {
    let mut layout = Layout { chunk_shape: vec![10, 7], shard_shape: None, codecs: plain_codecs() };
    let (chunk_shape, list) = layout.to_codecs(2, &DataType::Int16).unwrap();
    assert_eq!((&chunk_shape, &list), (&layout.chunk_shape, &layout.codecs.0));
    assert_eq!(Layout::from_codecs(&chunk_shape, &list), layout);

    layout.shard_shape = Some(vec![20, 7]);
    let (chunk_shape, list) = layout.to_codecs(2, &DataType::Int16).unwrap();
    assert_eq!(chunk_shape, [20, 7]);
    assert_eq!(
        list.iter().map(NamedConfig::to_json).collect::<Value>(),
        json!([{"name": "sharding_indexed", "configuration": {
            "chunk_shape": [10, 7],
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 3, "checksum": false}}],
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
            "index_location": "end",
        }}])
    );
    assert_eq!(Layout::from_codecs(&chunk_shape, &list), layout);
}

/// FMT-52. Encoded axis `i` of a transposition is decoded axis `order[i]`, so an inner chunk of [2, 3, 5] behind the order [2, 0, 1] has the array
/// shape [3, 5, 2].
#[test]
fn foreign_layouts_are_flattened() {
    let transpose = json!({"name": "transpose", "configuration": {"order": [2, 0, 1]}});
    let bytes = json!({"name": "bytes", "configuration": {"endian": "big"}});
    let gzip = json!({"name": "gzip", "configuration": {"level": 1}});
    let shard = |chunk: &[u64], inner: Value| json!({"name": "sharding_indexed", "configuration": {"chunk_shape": chunk, "codecs": inner, "index_codecs": []}});
    let flat = |list: Value| Layout::from_codecs(&[30, 50, 20], &codecs(&list).0);

    let layout = flat(json!([transpose, shard(&[2, 3, 5], json!([bytes]))]));
    assert_eq!(layout.chunk_shape, [3, 5, 2]);
    assert_eq!(layout.shard_shape, Some(vec![30, 50, 20]));
    assert_eq!(layout.codecs, codecs(&json!([transpose, bytes])));

    let nested = flat(json!([transpose, shard(&[20, 30, 10], json!([shard(&[2, 3, 5], json!([bytes, gzip]))])), gzip, "crc32c"]));
    assert_eq!(nested.chunk_shape, [3, 5, 2]);
    assert_eq!(nested.shard_shape, Some(vec![30, 50, 20]));
    assert_eq!(nested.codecs, codecs(&json!([transpose, bytes, gzip, "crc32c"])));

    let twice = flat(json!([transpose, shard(&[10, 30, 5], json!([transpose, shard(&[1, 2, 3], json!([bytes]))]))]));
    assert_eq!(twice.chunk_shape, [3, 1, 2]);
    assert_eq!(twice.codecs, codecs(&json!([transpose, transpose, bytes])));
}

/// FMT-50.
/// FMT-21, FMT-37: zarr-python's name of a raw type stays where it was, and is the same type.
#[test]
fn raw_types_keep_their_name() {
    let mut named = array();
    named["data_type"] = json!({"name": "raw_bytes", "configuration": {"length_bytes": 3}});
    named["fill_value"] = json!("AQID");
    named["codecs"] = json!(["bytes"]);
    let NodeMetadata::Array(read) = NodeMetadata::from_bytes(named.to_string().as_bytes()).unwrap() else { panic!("an array") };
    assert_eq!((read.data_type(), read.fill_value().as_bytes()), (&DataType::Raw { size_bytes: 3 }, &[1, 2, 3][..]));
    let relaid = read.relaid(&Layout { chunk_shape: vec![1, 1], ..read.layout() }, None).unwrap();
    let written: Value = serde_json::from_slice(&relaid.to_bytes().unwrap()).unwrap();
    assert_eq!((&written["data_type"], &written["fill_value"]), (&named["data_type"], &named["fill_value"]));
    let ours = ArrayMetadata::new([4], DataType::Raw { size_bytes: 3 }, None, &Layout { chunk_shape: vec![4], ..read.layout() }).unwrap();
    let written: Value = serde_json::from_slice(&ours.to_bytes().unwrap()).unwrap();
    assert_eq!((&written["data_type"], &written["fill_value"]), (&json!("r24"), &json!("AAAA")));
    for (configuration, at) in [
        (json!({}), "/data_type/configuration/length_bytes"),
        (json!({"length_bytes": 0}), "/data_type/configuration/length_bytes"),
        (json!({"length_bytes": 131_073}), "/data_type/configuration/length_bytes"),
        (json!({"length_bytes": 3, "x": 1}), "/data_type/configuration/x"),
    ] {
        named["data_type"]["configuration"] = configuration;
        let error = NodeMetadata::from_bytes(named.to_string().as_bytes());
        assert!(matches!(&error, Err(Error::Metadata { pointer, .. }) if pointer == at), "{error:?}");
    }
}

#[test]
fn new_arrays() {
    let layout = Layout { chunk_shape: vec![5, 7], shard_shape: Some(vec![10, 7]), codecs: plain_codecs() };
    let document = new_document(vec![100, 7], DataType::Int16, None, &layout).unwrap();
    assert_eq!(document.fill.as_bytes(), [0, 0]);
    assert_eq!(document.grid.chunk_shape(), [10, 7]);
    let fill = FillValue::parse(&DataType::Int16, "-7").unwrap();
    let filled = new_document(vec![100, 7], DataType::Int16, Some(fill.clone()), &layout).unwrap();
    assert_eq!(filled.fill, fill);

    let said = |layout: &Layout, fill: Option<FillValue>| match new_document(vec![100, 7], DataType::Int16, fill, layout) {
        Err(Error::InvalidArgument { what }) => what,
        other => panic!("{other:?}"),
    };
    let with = |chunk: &[u64], shard: Option<&[u64]>| Layout {
        chunk_shape: chunk.to_vec(),
        shard_shape: shard.map(<[u64]>::to_vec),
        codecs: plain_codecs(),
    };
    assert!(said(&with(&[5, 7], Some(&[10, 8])), None).contains("axis 1: a chunk of 7 does not divide a shard of 8"));
    assert!(said(&with(&[20, 7], Some(&[10, 7])), None).contains("axis 0"));
    assert!(said(&with(&[5, 0], None), None).contains("axis 1 is 0"));
    assert!(said(&with(&[5, 7], Some(&[0, 7])), None).contains("shard shape [0, 7]: axis 0 is 0"));
    assert!(said(&with(&[5], None), None).contains("rank 1, the array has rank 2"));
    assert!(said(&with(&[5, 7], Some(&[10])), None).contains("shard shape [10] has rank 1"));
    assert!(said(&with(&[1 << 40, 1 << 40], None), None).contains("at most"));
    assert!(said(&with(&[5, 7], None), Some(FillValue::zero(&DataType::Int8))).contains("1 bytes"));
    assert!(said(&Layout { codecs: Codecs(Vec::new()), ..layout.clone() }, None).contains("empty list"));
    assert!(said(&Layout { codecs: codecs(&json!(["sharding_indexed"])), ..layout }, None).contains("sharding_indexed"));
    assert!(new_document(vec![1; 33], DataType::Int8, None, &with(&[1; 33], None)).is_err());
}
