//! Documents through the public interface, codecs included.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rezarr::{ArrayMetadata, Attributes, ChunkKeyEncoding, Consolidated, DataType, Error, FillValue, GroupMetadata, Layout, NodeMetadata};

/// Name and text of documents as zarr-python 3.1.6 writes them.
const ARRAYS: [(&str, &str); 8] = [
    ("plain", include_str!("golden/plain.json")),
    ("bytes", include_str!("golden/bytes.json")),
    ("sharded", include_str!("golden/sharded.json")),
    ("complex", include_str!("golden/complex.json")),
    ("scalar", include_str!("golden/scalar.json")),
    ("transposed", include_str!("golden/transposed.json")),
    ("big", include_str!("golden/big.json")),
    ("leaf", include_str!("golden/leaf.json")),
];

fn array(name: &str) -> ArrayMetadata {
    let text = ARRAYS.iter().find(|(other, _)| *other == name).unwrap().1;
    match NodeMetadata::from_bytes(text.as_bytes()).unwrap() {
        NodeMetadata::Array(array) => *array,
        NodeMetadata::Group(_) => panic!("{name} is an array"),
    }
}

fn text(array: &ArrayMetadata) -> String {
    String::from_utf8(NodeMetadata::Array(Box::new(array.clone())).to_bytes().unwrap()).unwrap()
}

/// FMT-18.
#[test]
fn arrays_are_written_as_zarr_python_writes_them() {
    for (name, document) in ARRAYS {
        assert_eq!(text(&array(name)), document.replace(",\n  \"storage_transformers\": []", ""), "{name}");
    }
}

/// FMT-51.
#[test]
fn a_layout_makes_the_same_array_again() {
    for (name, _) in ARRAYS {
        let old = array(name);
        let new = ArrayMetadata::new(old.shape(), old.data_type().clone(), Some(old.fill_value().clone()), &old.layout()).unwrap();
        let new = new.with_attributes(old.attributes().clone()).with_key_encoding(old.key_encoding()).unwrap();
        let new = new.with_dimension_names(old.dimension_names().map(<[_]>::to_vec)).unwrap();
        assert_eq!(text(&new), text(&old), "{name}");
        assert_eq!(text(&old.relaid(&old.layout(), None).unwrap()), text(&old), "{name}");
    }
}

#[test]
fn relaid_arrays_keep_what_is_not_layout() {
    let old = array("sharded");
    assert_eq!(old.layout().chunk_shape, [10, 20]);
    let layout = Layout { chunk_shape: vec![7, 100], shard_shape: None, codecs: old.layout().codecs };
    let new = old.relaid(&layout, None).unwrap();
    assert_eq!(new.chunk_shape(), [7, 100]);
    assert_eq!((new.shape(), new.fill_value()), (old.shape(), old.fill_value()));
    assert_eq!((new.attributes(), new.dimension_names()), (old.attributes(), old.dimension_names()));
    assert_eq!(new.layout(), layout);

    let fill = FillValue::parse(&DataType::Int64, "5").unwrap();
    assert_eq!(old.relaid(&layout, Some(fill.clone())).unwrap().fill_value(), &fill);
    let odd = Layout { chunk_shape: vec![7, 100], shard_shape: Some(vec![15, 100]), codecs: layout.codecs };
    match old.relaid(&odd, None) {
        Err(Error::InvalidArgument { what }) => assert!(what.contains("axis 0"), "{what}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn setters_are_checked() {
    let plain = array("plain");
    assert!(plain.clone().with_dimension_names(Some(vec![None])).is_err());
    assert!(plain.clone().with_key_encoding(ChunkKeyEncoding::V2 { separator: '-' }).is_err());
    assert!(plain.clone().with_shape([3]).is_err());
    assert_eq!(plain.clone().with_shape([100, 0]).unwrap().shape(), [100, 0]);
    let encoded = plain.with_key_encoding(ChunkKeyEncoding::V2 { separator: '/' }).unwrap();
    assert!(text(&encoded).contains("\"name\": \"v2\",\n    \"configuration\": {\n      \"separator\": \"/\""));
}

#[test]
fn faults_in_codecs_are_pointed_at() {
    let plain = text(&array("plain"));
    let at = |document: &str| match NodeMetadata::from_bytes(document.as_bytes()) {
        Err(Error::Metadata { pointer, .. }) => pointer,
        other => panic!("{other:?}"),
    };
    assert!(at(&plain.replace("\"little\"", "\"middle\"")).starts_with("/codecs/0/configuration"));
    assert!(at(&plain.replace("\"level\": 0", "\"level\": \"high\"")).starts_with("/codecs/1/configuration"));
    let unknown = plain.replace("\"zstd\"", "\"zzz\"");
    assert!(matches!(NodeMetadata::from_bytes(unknown.as_bytes()), Err(Error::Unsupported { what, .. }) if what.contains("zzz")));
}

#[test]
fn consolidated_arrays() {
    let document = include_bytes!("golden/consolidated.json");
    let NodeMetadata::Group(group) = NodeMetadata::from_bytes(document).unwrap() else { panic!("a group") };
    let consolidated = group.consolidated().unwrap().unwrap();
    let mut nodes = Vec::new();
    for path in consolidated.paths() {
        let node = consolidated.node(path).unwrap().unwrap();
        if let NodeMetadata::Array(found) = &node {
            let own = array(path.rsplit('/').next().unwrap());
            let bare = |array: &ArrayMetadata| text(&array.clone().with_attributes(Attributes::default()));
            assert_eq!(bare(found), bare(&own));
            assert_eq!(found.attributes().to_map().unwrap(), own.attributes().to_map().unwrap());
        }
        nodes.push((path, node));
    }
    assert_eq!(nodes.len(), 9);

    let again = Consolidated::from_nodes(nodes.iter().map(|(path, node)| (*path, node))).unwrap();
    let group = GroupMetadata::new(group.attributes().clone()).with_consolidated(Some(&again)).unwrap();
    let NodeMetadata::Group(group) = NodeMetadata::from_bytes(&NodeMetadata::Group(Box::new(group)).to_bytes().unwrap()).unwrap() else {
        panic!("a group")
    };
    let again = group.consolidated().unwrap().unwrap();
    assert!(again.paths().eq(consolidated.paths()));
    assert!(matches!(again.node("child/leaf"), Ok(Some(NodeMetadata::Array(leaf))) if leaf.shape() == [0, 3]));
}
