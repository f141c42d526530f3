//! Documents of arrays and groups.

use crate::error::Error;
use crate::fuzzing::codecs;
use crate::fuzzing::input::Input;
use crate::metadata::{ArrayMetadata, GroupMetadata, NodeMetadata};

/// What documents are made of.
pub const WORDS: &[&str] = &[
    "\"zarr_format\":3",
    "\"node_type\":\"array\"",
    "\"node_type\":\"group\"",
    "\"shape\":[",
    "\"chunk_grid\":",
    "{\"name\":\"regular\",\"configuration\":{\"chunk_shape\":[",
    "{\"name\":\"rectilinear\",\"configuration\":{\"kind\":\"inline\",\"chunk_shapes\":[",
    "[[1,2],3]",
    "\"chunk_key_encoding\":",
    "\"separator\":\"/\"",
    "\"default\"",
    "\"v2\"",
    "\"fill_value\":",
    "\"NaN\"",
    "NaN",
    "\"-Infinity\"",
    "\"0x7fc00000\"",
    "\"AAAA\"",
    "\"data_type\":",
    "\"codecs\":[",
    "\"name\":",
    "\"configuration\":{",
    "\"must_understand\":false",
    "\"sharding_indexed\"",
    "\"index_codecs\":[",
    "\"index_location\":\"start\"",
    "\"bytes\"",
    "\"endian\":\"big\"",
    "\"transpose\"",
    "\"order\":[1,0]",
    "\"gzip\"",
    "\"zstd\"",
    "\"level\":",
    "\"checksum\":true",
    "\"crc32c\"",
    "\"attributes\":{",
    "\"dimension_names\":[",
    "\"consolidated_metadata\":{\"kind\":\"inline\",\"metadata\":{",
    "\"storage_transformers\":[]",
    "18446744073709551615",
    "9223372036854775807",
    "\"zarr_format\":2",
    "\"chunks\":[",
    "\"dtype\":",
    "\"<f4\"",
    "\">M8[ns]\"",
    "[[\"a\",\"<i2\"]]",
    "\"filters\":[{\"id\":",
    "\"compressor\":{\"id\":",
    "\"delta\"",
    "\"blosc\"",
    "\"_ARRAY_DIMENSIONS\":[",
    "\"zarr_consolidated_format\":1",
    "\"string\"",
    "{\"name\":\"struct\",\"configuration\":{\"fields\":[",
    "\"cast_value\"",
    "\"scalar_map\":{\"encode\":[[",
];

/// The kinds of documents; the first byte of an input chooses one.
const KINDS: &[fn(&[u8]) -> bool] = &[node, consolidated, v2_array, v2_group];

/// What is read is written, and reads again as the same.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let kind = input.pick(KINDS);
    kind(input.rest())
}

/// The document of a node of Zarr v3.
fn node(document: &[u8]) -> bool {
    let Ok(node) = NodeMetadata::from_bytes(document) else { return false };
    let written = node.to_bytes().expect("a document that was read is written");
    let again = NodeMetadata::from_bytes(&written).expect("a document that was written is read");
    match (&node, &again) {
        (NodeMetadata::Array(node), NodeMetadata::Array(again)) => check_array(node, again),
        (NodeMetadata::Group(node), NodeMetadata::Group(again)) => check_group(node, again),
        _ => panic!("the kind of the node has changed"),
    }
    assert!(again.to_bytes().unwrap() == written, "written differently the second time");
    true
}

/// The documents below a group, of which the input is the list.
fn consolidated(list: &[u8]) -> bool {
    let before = br#"{"zarr_format":3,"node_type":"group","consolidated_metadata":{"kind":"inline","must_understand":false,"metadata":"#;
    node(&[before, list, b"}}"].concat())
}

/// `.zarray` and `.zattrs`, with a zero between them: what Zarr v3 says of the same.
fn v2_array(documents: &[u8]) -> bool {
    let mut documents = documents.split(|byte| *byte == 0);
    let Ok(array) = ArrayMetadata::from_v2(documents.next().unwrap_or_default(), documents.next()) else { return false };
    let written = NodeMetadata::Array(Box::new(array.clone())).to_bytes();
    let Ok(written) = written else {
        // Attributes may be nested too deep for a document of Zarr v3, in which they are one level further down.
        assert!(matches!(written, Err(Error::InvalidArgument { .. })), "{written:?}");
        return true;
    };
    let Ok(v3) = array.into_v3() else { return true };
    match NodeMetadata::from_bytes(&written).expect("a document that was written is read") {
        NodeMetadata::Array(again) => check_array(&v3, &again),
        NodeMetadata::Group(_) => panic!("the kind of the node has changed"),
    }
    true
}

/// `.zgroup`, `.zattrs` and `.zmetadata`, with zeros between them.
fn v2_group(documents: &[u8]) -> bool {
    let mut documents = documents.split(|byte| *byte == 0);
    let first = documents.next().unwrap_or_default();
    let Ok(group) = GroupMetadata::from_v2(first, documents.next(), documents.next()) else { return false };
    if let Ok(Some(copies)) = group.consolidated() {
        for path in copies.paths().take(8) {
            let node = copies.node(path);
            assert!(!matches!(node, Ok(None)), "{path:?} is listed");
        }
    }
    true
}

fn check_array(node: &ArrayMetadata, again: &ArrayMetadata) {
    assert_eq!(node.data_type, again.data_type);
    assert_eq!(node.raw_bytes, again.raw_bytes);
    assert_eq!(node.grid, again.grid);
    assert_eq!(node.key_encoding, again.key_encoding);
    assert_eq!(node.fill, again.fill, "the fill value");
    assert_eq!(node.codecs.to_metadata(), again.codecs.to_metadata(), "codecs");
    assert_eq!(node.codecs.strides(), again.codecs.strides());
    assert_eq!(node.attributes, again.attributes);
    assert_eq!(node.dimension_names, again.dimension_names);
    assert!(node.extra == again.extra, "unknown members");
    // FMT-51 and FMT-52: a layout of a document is one that makes documents with that layout.
    let layout = node.layout();
    if let Ok(relaid) = node.relaid(&layout, None) {
        assert_eq!(relaid.layout(), layout);
        assert_eq!((relaid.data_type(), relaid.shape()), (node.data_type(), node.shape()));
    }
}

fn check_group(node: &GroupMetadata, again: &GroupMetadata) {
    assert!(node == again, "the group has changed");
    let (Ok(Some(copies)), Ok(Some(same))) = (node.consolidated(), again.consolidated()) else { return };
    assert!(copies.paths().eq(same.paths()), "paths have changed");
    for path in copies.paths().take(8) {
        match (copies.node(path), same.node(path)) {
            (Ok(a), Ok(b)) => {
                let bytes = |node: Option<NodeMetadata>| node.expect("a path that is listed").to_bytes().expect("written");
                assert!(bytes(a) == bytes(b), "the copy of {path:?} has changed");
            }
            (Err(_), Err(_)) => {}
            (a, b) => panic!("the copy of {path:?} is read only once: {a:?}, then {b:?}"),
        }
    }
    let rewritten = node.clone().with_consolidated(Some(&copies)).expect("copies that were read are written");
    let listed = rewritten.consolidated().unwrap().unwrap();
    assert!(listed.paths().eq(copies.paths()), "paths have changed in writing");
}

/// An array with every member that there is, and each recipe for codecs; groups with copies, and without.
pub fn seeds() -> Vec<Vec<u8>> {
    let full = r#"{"zarr_format":3,"node_type":"array","shape":[10,0,4],"data_type":{"name":"float32"},
        "chunk_grid":{"name":"rectilinear","configuration":{"kind":"inline","chunk_shapes":[[[2,3],4],1,[1,3]]}},
        "chunk_key_encoding":{"name":"v2","configuration":{"separator":"."}},"fill_value":"0x7fc00001",
        "codecs":[{"name":"transpose","configuration":{"order":[2,0,1]}},{"name":"bytes","configuration":{"endian":"big"}},{"name":"gzip","configuration":{"level":9}},"crc32c"],
        "attributes":{"a":[1, {"b":null}]},"dimension_names":["x",null,""],"storage_transformers":[],"more":{"must_understand":false}}"#;
    let group = r#"{"node_type":"group","zarr_format":3,"attributes":{"title":"\u00e4"},"x":{"must_understand":false,"y":[0.1]}}"#;
    let list = r#"{"a":{"zarr_format":3,"node_type":"group"},"a/b":{"zarr_format":3,"node_type":"array","shape":[],"data_type":"r16",
        "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[]}},"chunk_key_encoding":"default","fill_value":"AAE=","codecs":["bytes"]}}"#;
    let of_kind = |kind: u8, text: &str| [&[kind], text.as_bytes()].concat();
    let mut seeds = vec![of_kind(0, full), of_kind(0, group), of_kind(1, "{}"), of_kind(1, list)];
    let array = r#"{"zarr_format":2,"shape":[10,20],"chunks":[5,20],"dtype":"<f4","fill_value":NaN,"order":"F","dimension_separator":"/",
        "filters":[{"id":"delta","dtype":"<f4"}],"compressor":{"id":"blosc","cname":"lz4","clevel":5,"shuffle":1,"blocksize":0}}"#;
    let fields = r#"{"zarr_format":2,"shape":[3],"chunks":[2],"dtype":[["a","<i2"],["b",">f8",[2]]],"fill_value":0,"filters":null,"compressor":null}"#;
    let strings = r#"{"zarr_format":2,"shape":[],"chunks":[],"dtype":"|O","fill_value":"","filters":[{"id":"vlen-utf8"}],"compressor":{"id":"zlib","level":1}}"#;
    let times = r#"{"zarr_format":2,"shape":[0],"chunks":[1],"dtype":">M8[25us]","fill_value":null,"filters":[],"compressor":{"id":"gzip","level":-1}}"#;
    seeds.push(of_kind(2, &format!("{array}\0{{\"_ARRAY_DIMENSIONS\":[\"x\",\"y\"],\"a\":Infinity}}")));
    seeds.extend([fields, strings, times].map(|text| of_kind(2, text)));
    let copies =
        format!(r#"{{"zarr_consolidated_format":1,"metadata":{{".zgroup":{{"zarr_format":2}},"a/.zarray":{array},"a/.zattrs":{{}}}}}}"#);
    seeds.push(of_kind(3, &format!("{{\"zarr_format\":2}}\0{{}}\0{copies}")));
    seeds.extend(codecs::documents().iter().map(|document| of_kind(0, document)));
    seeds
}
