//! Groups with members that cannot be read: what travels along unread, what is refused, what is shown; and the copies that groups above a
//! changed node carry along of it.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::Path;

use rezarr::{
    Array, ArrayMetadata, Attributes, Codecs, DataType, Error, Group, Layout, NodeMetadata, RechunkOptions, Region, VerifyOptions,
};
use serde_json::{Value, json};

fn metadata(shape: &[u64], chunks: &[u64], names: &[&str]) -> ArrayMetadata {
    let layout = Layout { chunk_shape: chunks.to_vec(), shard_shape: None, codecs: Codecs::none() };
    let names = names.iter().map(|name| Some((*name).to_owned())).collect();
    ArrayMetadata::new(shape, DataType::Int32, None, &layout).unwrap().with_dimension_names(Some(names)).unwrap()
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A group as xarray writes it: one array, and a coordinate of a type that this build does not read.
fn dataset(root: &Path) -> Group {
    let group = Group::create(root, Attributes::default()).unwrap();
    let array = group.create_array("t", metadata(&[4, 6], &[1, 6], &["time", "x"])).unwrap();
    array.write(&Region::whole(&[4, 6]), &(1..=24).collect::<Vec<i32>>()).unwrap();
    let document = json!({
        "shape": [6], "data_type": {"name": "example.text", "configuration": {"length_bytes": 4}}, "fill_value": "", "node_type": "array",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [6]}}, "codecs": [{"name": "bytes"}], "zarr_format": 3,
        "chunk_key_encoding": {"name": "default"}, "dimension_names": ["x"], "attributes": {"order": null},
    });
    fs::create_dir_all(root.join("name/c")).unwrap();
    fs::write(root.join("name/c/0"), "a\0\0\0b\0\0\0c\0\0\0d\0\0\0e\0\0\0f\0\0\0").unwrap();
    // Text that nobody would print like this, to see that it is kept.
    fs::write(root.join("name/zarr.json"), format!(" {document}\n").replace("null", "1.50e1")).unwrap();
    group
}

fn by_time<'a>() -> RechunkOptions<'a> {
    RechunkOptions::new().chunks("time=4,x=2".parse::<rezarr::ChunkSpec>().unwrap()).memory(32 << 20).threads(1).sync(false)
}

/// RCK-15.
#[test]
fn members_that_need_more_travel_along_unread() {
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    dataset(&from).consolidate().unwrap();
    fs::create_dir_all(from.join("old/deep")).unwrap();
    fs::write(from.join("old/zarr.json"), r#"{"zarr_format": 2}"#).unwrap();
    fs::write(from.join("old/deep/value"), vec![7; 3 << 20]).unwrap();

    let plan = rezarr::plan_rechunk(&from, &by_time()).unwrap();
    let unread: Vec<_> =
        plan.iter().filter_map(|array| Some((array.path.as_str(), array.unsupported.as_deref()?, array.plan.files))).collect();
    assert_eq!(unread, [("name", "data type \"example.text\"", 2), ("old", "zarr_format 2", 2)]);

    let report = rezarr::rechunk(&from, Some(&to), by_time()).unwrap();
    assert_eq!(report.warnings.iter().filter(|warning| warning.contains("travels along")).count(), 2, "{:?}", report.warnings);
    let measured: Vec<_> = report.arrays.iter().map(|array| (array.path.as_str(), array.measured.as_ref().unwrap().files)).collect();
    assert_eq!(measured, [("t", 4), ("name", 2), ("old", 2)]);
    for path in ["name/zarr.json", "name/c/0", "old/zarr.json", "old/deep/value"] {
        assert!(fs::read(from.join(path)).unwrap() == fs::read(to.join(path)).unwrap(), "{path}");
    }
    assert_eq!(Array::open(to.join("t")).unwrap().metadata().chunk_shape(), [4, 2]);
    let copies = read_json(&to.join("zarr.json"))["consolidated_metadata"]["metadata"].clone();
    assert_eq!(copies["name"]["data_type"]["configuration"]["length_bytes"], 4);
    assert_eq!(copies["t"]["chunk_grid"]["configuration"]["chunk_shape"], json!([4, 2]));

    let verdict = rezarr::verify(&from, &to, VerifyOptions::new().threads(1)).unwrap();
    assert!(verdict.equal, "{:?}", verdict.differences);
    assert_eq!((verdict.arrays, verdict.undecoded), (1, 2));
}

/// RCK-15: every way in which the stored bytes of such a member may differ.
#[test]
fn unread_members_are_compared_byte_by_byte() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (directory.path().join("a"), directory.path().join("b"));
    dataset(&a);
    dataset(&b);
    let differences = || rezarr::verify(&a, &b, VerifyOptions::new().threads(1)).unwrap().differences;
    assert_eq!(differences(), [""; 0]);
    let large = vec![1; (2 << 20) + 5];
    let changed = {
        let mut changed = large.clone();
        changed[(2 << 20) + 4] = 2;
        changed
    };
    let shorter = large[1..].to_vec();
    for (ours, theirs) in [(Some(&large), Some(&changed)), (Some(&large), Some(&shorter)), (Some(&large), None), (None, Some(&large))] {
        for (root, bytes) in [(&a, ours), (&b, theirs)] {
            let _ = fs::remove_file(root.join("name/c/9"));
            if let Some(bytes) = bytes {
                fs::write(root.join("name/c/9"), bytes).unwrap();
            }
        }
        assert_eq!(differences(), ["name/c/9: stored bytes differ"]);
    }
    fs::remove_file(b.join("name/c/9")).unwrap();
    fs::copy(a.join("t/zarr.json"), a.join("name/zarr.json")).unwrap();
    let found = differences();
    assert!(found.len() == 1 && found[0].starts_with("name: cannot be read on one side"), "{found:?}");
}

/// RCK-15: nothing else fits, a broken document, links at any depth, a name that is not UTF-8.
#[test]
fn what_cannot_travel_along_is_refused_before_anything_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("g");
    let refused = |options: RechunkOptions<'_>| {
        let error = rezarr::rechunk(&root, Some(&directory.path().join("out")), options).unwrap_err();
        assert!(!directory.path().join("out").exists() && !directory.path().join("out.rechunked").exists());
        error
    };
    dataset(&root);
    let error = refused(RechunkOptions::new().chunks("nowhere=1".parse::<rezarr::ChunkSpec>().unwrap()));
    assert!(matches!(&error, Error::InvalidArgument { what } if what.contains("name (unsupported: data type")), "{error}");

    std::os::unix::fs::symlink("t", root.join("link")).unwrap();
    let error = refused(by_time());
    assert!(matches!(&error, Error::Unsupported { key, what } if key.ends_with("g/link") && what.contains("a link")), "{error}");
    let group = Group::open(&root).unwrap();
    assert_eq!(group.child_names().unwrap(), ["link", "name", "t"]);
    let readable: Vec<bool> = group.children().unwrap().iter().map(|(_, node)| node.is_ok()).collect();
    assert_eq!(readable, [false, false, true]);
    fs::remove_file(root.join("link")).unwrap();

    std::os::unix::fs::symlink("0", root.join("name/c/1")).unwrap();
    let error = refused(by_time());
    assert!(matches!(&error, Error::Unsupported { key, .. } if key.ends_with("name/c/1")), "{error}");
    fs::remove_file(root.join("name/c/1")).unwrap();

    let odd = root.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    assert!(refused(by_time()).to_string().contains("not UTF-8"));
    fs::remove_dir(odd).unwrap();

    fs::write(root.join("name/zarr.json"), "{}").unwrap();
    assert!(matches!(refused(by_time()), Error::Metadata { .. }));
    fs::remove_file(root.join("name/zarr.json")).unwrap();
    std::os::unix::fs::symlink("../t/zarr.json", root.join("name/zarr.json")).unwrap();
    assert!(matches!(refused(by_time()), Error::Corrupt { .. }));
}

/// RCK-16: a rechunk in a consolidated hierarchy, seen from every group above.
#[test]
fn copies_in_all_groups_above_follow_a_rechunk() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let mut top = Group::create(&root, Attributes::default()).unwrap();
    // Between the two consolidated groups is one that is not.
    top.create_group("plain", Attributes::default()).unwrap();
    let mut inner = dataset(&root.join("plain/inner"));
    inner.create_array("tt", metadata(&[2], &[1], &["time"])).unwrap();
    inner.consolidate().unwrap();
    top.consolidate().unwrap();
    // What is not concerned is not read, let alone written anew: a broken sibling is in nobody's way.
    fs::write(root.join("plain/inner/tt/zarr.json"), "broken").unwrap();
    let sibling = read_json(&root.join("zarr.json"))["consolidated_metadata"]["metadata"]["plain/inner/tt"].clone();

    let tmp = directory.path().join("tmp");
    rezarr::rechunk(root.join("plain/inner/t"), Some(&tmp), by_time()).unwrap();
    let report = rezarr::rechunk(&tmp, Some(&root.join("plain/inner/t")), by_time().chunks([3, 3]).overwrite(true)).unwrap();
    assert_eq!(report.warnings, [""; 0]);
    for (group, path) in [("", "plain/inner/t"), ("plain/inner", "t")] {
        let copies = read_json(&root.join(group).join("zarr.json"))["consolidated_metadata"]["metadata"].clone();
        assert_eq!(copies[path], read_json(&root.join("plain/inner/t/zarr.json")), "{group}");
        assert_eq!(copies[path]["chunk_grid"]["configuration"]["chunk_shape"], json!([3, 3]));
        assert_eq!(copies[format!("{path}t")], sibling);
    }
    assert!(!Group::open(root.join("plain")).unwrap().metadata().is_consolidated());
}

/// RCK-16: copies that cannot be brought up to date are removed, and what stands above a group without a document is left alone.
#[test]
fn copies_that_cannot_follow_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let group = dataset(&root);
    let strange = |kind: &str| {
        let document = json!({
            "zarr_format": 3, "node_type": "group", "attributes": {"kept": [1, 2]},
            "consolidated_metadata": {"kind": kind, "must_understand": false, "metadata": {}},
        });
        fs::write(root.join("zarr.json"), document.to_string()).unwrap();
    };
    strange("elsewhere");
    let options = || RechunkOptions::new().chunks([2, 2]).overwrite(true).threads(1);
    rezarr::rechunk(group.path() + "/t", Some(&directory.path().join("tmp")), options()).unwrap();
    let report = rezarr::rechunk(directory.path().join("tmp"), Some(&root.join("t")), options()).unwrap();
    assert!(report.warnings.len() == 1 && report.warnings[0].contains("were removed"), "{:?}", report.warnings);
    let document = read_json(&root.join("zarr.json"));
    assert_eq!((&document["consolidated_metadata"], &document["attributes"]["kept"]), (&Value::Null, &json!([1, 2])));

    strange("inline");
    fs::create_dir(root.join("no group")).unwrap();
    rezarr::rechunk(directory.path().join("tmp"), Some(&root.join("no group/t")), options()).unwrap();
    assert_eq!(read_json(&root.join("zarr.json"))["consolidated_metadata"]["metadata"], json!({}));
    // Other readers read this document, and it cannot be brought up to date.
    fs::write(root.join("zarr.json"), r#"{"zarr_format": 3, "node_type": "group", "x": {"must_understand": false, "y": NaN}}"#).unwrap();
    let report = rezarr::rechunk(directory.path().join("tmp"), Some(&root.join("t")), options()).unwrap();
    assert!(report.warnings.len() == 1 && report.warnings[0].contains("out of date"), "{:?}", report.warnings);
}

/// RCK-16: new nodes, through a store of the group and through paths.
#[test]
fn copies_follow_the_creation_of_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    let mut top = Group::create(&root, Attributes::default()).unwrap();
    top.consolidate().unwrap();
    top.create_group("a", Attributes::default()).unwrap().create_array("b", metadata(&[2], &[1], &["time"])).unwrap();
    Group::open(root.join("a")).unwrap().create_array("c", metadata(&[2], &[1], &["time"])).unwrap();
    Array::create(root.join("a/d"), metadata(&[2], &[1], &["time"])).unwrap();
    Group::create(root.join("e"), Attributes::default()).unwrap();
    let group = Group::open(&root).unwrap();
    let copies = group.metadata().consolidated().unwrap().unwrap();
    assert_eq!(copies.paths().collect::<Vec<_>>(), ["a", "a/b", "a/c", "a/d", "e"]);
    assert!(matches!(copies.node("a/d").unwrap(), Some(NodeMetadata::Array(array)) if array.chunk_shape() == [1]));
}

/// RCK-16: writers that change different members of one group do not lose each other's copies.
#[test]
fn copies_follow_from_several_threads() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    Group::create(&root, Attributes::default()).unwrap().consolidate().unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let root = &root;
            scope.spawn(move || {
                for number in 0..5 {
                    Array::create(root.join(format!("{writer}-{number}")), metadata(&[2], &[1], &["time"])).unwrap();
                }
            });
        }
    });
    let group = Group::open(&root).unwrap();
    assert_eq!(group.metadata().consolidated().unwrap().unwrap().paths().count(), 20);
}
