//! Groups through the public interface: what is found in them, in which order, and what is passed over.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::sync::Arc;

use rezarr::{Array, ArrayMetadata, Attributes, Error, Group, Key, MemoryStore, Node, NodeMetadata, Region, Store};
use serde_json::{Value, json};

fn metadata() -> ArrayMetadata {
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": [4], "data_type": "uint8", "fill_value": 0, "codecs": [{"name": "bytes"}],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2]}}, "chunk_key_encoding": {"name": "default"},
    });
    match NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap() {
        NodeMetadata::Array(metadata) => *metadata,
        NodeMetadata::Group(_) => unreachable!("an array document"),
    }
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// A hierarchy with things in it that are no nodes.
fn tree() -> (Arc<MemoryStore>, Group) {
    let store = Arc::new(MemoryStore::new());
    let root = Group::create_in(store.clone(), Key::root(), Attributes::default()).unwrap();
    root.create_array("b", metadata()).unwrap().write(&Region::whole(&[4]), &[1_u8, 2, 3, 4]).unwrap();
    let sub = root.create_group("a", Attributes::default()).unwrap();
    sub.create_group("z", Attributes::default()).unwrap();
    sub.create_array("c", metadata()).unwrap();
    root.create_array("a/z/deep", metadata()).unwrap();
    root.create_array("a!", metadata()).unwrap();
    store.set(&key("README"), b"a file").unwrap();
    store.set(&key("plain/file"), b"a directory without a document").unwrap();
    store.set(&key("__hidden/zarr.json"), b"not looked at").unwrap();
    store.set(&key("b/x/zarr.json"), b"below an array nothing is a node").unwrap();
    (store, root)
}

#[test]
fn children_are_sorted_and_others_passed_over() {
    let (_, root) = tree();
    assert_eq!(root.child_names().unwrap(), ["a", "a!", "b"]);
    let children = root.children().unwrap();
    let kinds: Vec<_> = children.iter().map(|(name, node)| (name.as_str(), matches!(node, Ok(NodeMetadata::Array(_))))).collect();
    assert_eq!(kinds, [("a", false), ("a!", true), ("b", true)]);
    assert!(matches!(root.child("a").unwrap(), Node::Group(_)));
    assert!(matches!(root.child("b").unwrap(), Node::Array(_)));
    assert!(matches!(root.child("plain"), Err(Error::NotFound { .. })));
    assert!(matches!(root.child("__hidden"), Err(Error::InvalidArgument { .. })));
    assert!(matches!(root.child("a/z"), Err(Error::InvalidArgument { .. })));
    assert_eq!(root.array("a/z/deep").unwrap().shape(), [4]);
    assert_eq!(root.group("a").unwrap().child_names().unwrap(), ["c", "z"]);
}

#[test]
fn the_walk_goes_depth_first_in_order() {
    let (_, root) = tree();
    let mut paths = Vec::new();
    root.walk(&mut |path, _| {
        paths.push(path.to_owned());
        Ok(())
    })
    .unwrap();
    assert_eq!(paths, ["a", "a/c", "a/z", "a/z/deep", "a!", "b"]);
    let mut below = Vec::new();
    root.group("a")
        .unwrap()
        .walk(&mut |path, _| {
            below.push(path.to_owned());
            Ok(())
        })
        .unwrap();
    assert_eq!(below, ["c", "z", "z/deep"]);
}

#[test]
fn one_broken_document_does_not_hide_the_rest() {
    let (store, root) = tree();
    store.set(&key("a/c/zarr.json"), b"{\"zarr_format\": 2}").unwrap();
    assert!(root.walk(&mut |_, _| Ok(())).unwrap_err().to_string().contains("a/c/zarr.json"));
    let mut seen = Vec::new();
    root.walk_each(&mut |path, node| {
        seen.push((path.to_owned(), node.is_ok()));
        Ok(())
    })
    .unwrap();
    assert_eq!(seen.iter().filter(|(_, good)| !good).map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["a/c"]);
    assert_eq!(seen.len(), 6);
}

#[test]
fn groups_nested_without_end_are_refused() {
    let store = Arc::new(MemoryStore::new());
    let root = Group::create_in(store.clone(), Key::root(), Attributes::default()).unwrap();
    let mut path = String::from("g");
    for _ in 0..rezarr::MAX_GROUP_DEPTH + 1 {
        Group::create_in(store.clone(), key(&path), Attributes::default()).unwrap();
        path.push_str("/g");
    }
    let mut count = 0;
    let error = root.walk(&mut |_, _| {
        count += 1;
        Ok(())
    });
    assert!(matches!(error, Err(Error::Unsupported { .. })), "{error:?}");
    assert_eq!(count, rezarr::MAX_GROUP_DEPTH);
}

#[test]
fn nodes_are_made_in_groups_under_legal_names() {
    let (store, root) = tree();
    for name in ["__x", "...", "zarr.json", "", "a//b"] {
        assert!(matches!(root.create_group(name, Attributes::default()), Err(Error::InvalidArgument { .. })), "{name:?}");
    }
    assert!(matches!(root.create_group("a", Attributes::default()), Err(Error::AlreadyExists { .. })));
    assert!(matches!(root.create_array("plain", metadata()), Err(Error::AlreadyExists { .. })));
    assert!(matches!(root.create_array("README", metadata()), Err(Error::AlreadyExists { .. })));
    assert!(matches!(root.create_array("nowhere/x", metadata()), Err(Error::NotFound { .. })));
    assert!(matches!(root.create_array("b/y", metadata()), Err(Error::InvalidArgument { .. })));
    assert!(matches!(Array::create_in(store, key("b/y"), metadata()), Err(Error::InvalidArgument { .. })));
}

#[test]
fn the_wrong_kind_of_node_is_named() {
    let (store, root) = tree();
    for name in ["d", "e", "f", "g"] {
        root.create_array(name, metadata()).unwrap();
    }
    let error = Array::open_in(store.clone(), Key::root()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }));
    assert!(error.to_string().ends_with("it holds a, a!, b, d, e, and 2 more"), "{error}");
    let error = Group::open_in(store, key("b")).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }) && error.to_string().contains("is an array"), "{error}");
}

#[test]
fn consolidated_metadata_hold_every_document_below() {
    let (store, mut root) = tree();
    root.group("a").unwrap().consolidate().unwrap();
    root.consolidate().unwrap();
    let mut document = Value::Null;
    store
        .read(&key("zarr.json"), rezarr::ByteRange::All, &mut |bytes| {
            document = serde_json::from_slice(bytes).unwrap();
            Ok(())
        })
        .unwrap();
    let consolidated = &document["consolidated_metadata"];
    assert_eq!((&consolidated["kind"], &consolidated["must_understand"]), (&json!("inline"), &json!(false)));
    let paths: Vec<_> = consolidated["metadata"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(paths, ["a", "a!", "b", "a/c", "a/z", "a/z/deep"], "by depth, then by name");
    let again = Group::open_in(store.clone(), Key::root()).unwrap();
    again.create_group("new", Attributes::default()).unwrap();
    assert_eq!(again.child_names().unwrap(), ["a", "a!", "b", "new"], "the store is asked, not the consolidated metadata");
}

#[test]
fn attributes_are_kept() {
    let store = Arc::new(MemoryStore::new());
    let attributes = json!({"title": "survey", "n": 3}).as_object().unwrap().clone();
    Group::create_in(store.clone(), key("g"), Attributes::from_map(attributes.clone()).unwrap()).unwrap().consolidate().unwrap();
    assert_eq!(Group::open_in(store, key("g")).unwrap().attributes().to_map().unwrap(), attributes);
}
