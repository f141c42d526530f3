//! Documents of arrays and groups.

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
];

/// The kinds of documents; the first byte of an input chooses one.
const KINDS: &[fn(&[u8]) -> bool] = &[node, consolidated];

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
    seeds.extend(codecs::documents().iter().map(|document| of_kind(0, document)));
    seeds
}
