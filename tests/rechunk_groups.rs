//! Rechunks of groups, and of more than chunks at once: what changes, and that all else stays as it was.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/trees.rs"]
mod trees;

use std::fs;
use std::path::Path;

use rezarr::{
    Array, ArrayMetadata, Attributes, ChunkSpec, Codecs, Edge, Error, Group, RechunkOptions, Region, Shards, Strategy, VerifyOptions,
    plan_rechunk, rechunk, verify,
};
use serde_json::{Value, json};

use arrays::{edited, elements, layout, metadata, read};
use trees::{directory, files, names};

/// Attributes that a parser and a printer would change: names out of order, integers and floats that no binary type holds, escapes.
const ATTRIBUTES: &str = r#"{"ž": "träumé \u00e9 \ud83d\ude00 日本", "a": 123456789012345678901234567890, "Z": 1.0000000000000000001,
      "0": [1e300, -0.0, 1E2], "nested": {"b": null, "a": {}}}"#;

fn named(metadata: ArrayMetadata, names: &[&str]) -> ArrayMetadata {
    metadata.with_dimension_names(Some(names.iter().map(|name| Some((*name).to_owned())).collect())).unwrap()
}

fn write(array: &Array, seed: u64) {
    array.write_bytes(&Region::whole(array.shape()), &elements(array.metadata(), seed)).unwrap();
}

/// Replaces the attributes of a node on disk, text as it is, and adds a member that may be ignored.
fn decorate(node: &Path) {
    let path = node.join("zarr.json");
    let text = fs::read_to_string(&path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let mut members: Vec<String> = document
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "attributes")
        .map(|(name, value)| format!("{}: {value}", Value::from(name.as_str())))
        .collect();
    members.push(format!("\"attributes\": {ATTRIBUTES}"));
    members.push(String::from(r#""x_extra": {"must_understand": false, "big": 98765432109876543210, "ü": [1.50]}"#));
    fs::write(&path, format!("{{{}}}", members.join(", "))).unwrap();
}

/// A survey as xarray lays it out: two coordinates, two data variables, a scalar, a variable of another dimension, and a group below.
fn survey(root: &Path) -> Group {
    let group = Group::create(root, Attributes::default()).unwrap();
    let create = |path: &str, metadata: ArrayMetadata, seed: u64| write(&group.create_array(path, metadata).unwrap(), seed);
    create("time", named(metadata(&[30], "int64", "0", &layout(&[7], None, "zstd:1")), &["time"]), 1);
    create("lat", named(metadata(&[20], "float64", "nan", &layout(&[20], None, "gzip:1")), &["lat"]), 2);
    create("tas", named(metadata(&[30, 20], "float32", "nan", &layout(&[1, 20], None, "zstd:1")), &["time", "lat"]), 3);
    create("pr", named(metadata(&[30, 20], "int16", "-1", &layout(&[4, 20], Some(&[8, 20]), "zstd:1")), &["time", "lat"]), 4);
    create("crs", metadata(&[], "int32", "5", &layout(&[], None, "none")), 5);
    create("bounds", named(metadata(&[20, 2], "float32", "0", &layout(&[5, 2], None, "zstd:3,crc32c")), &["lat", "side"]), 6);
    group.create_group("more", Attributes::default()).unwrap();
    group.create_group("more/deep", Attributes::default()).unwrap();
    create("more/deep/u", named(metadata(&[30], "int16", "0", &layout(&[3], None, "none")), &["time"]), 7);
    create("more/deep/time", named(metadata(&[30], "int64", "0", &layout(&[7], None, "zstd:1")), &["time"]), 8);
    group
}

const ARRAYS: [&str; 8] = ["time", "lat", "tas", "pr", "crs", "bounds", "more/deep/u", "more/deep/time"];

fn options<'a>(chunks: &str) -> RechunkOptions<'a> {
    RechunkOptions::new().chunks(chunks.parse::<ChunkSpec>().unwrap()).sync(false)
}

fn chunk_shape(root: &Path, array: &str) -> Vec<u64> {
    Array::open(root.join(array)).unwrap().metadata().chunk_shape().to_vec()
}

fn is_consolidated(path: &Path) -> bool {
    Group::open(path).unwrap().metadata().is_consolidated()
}

/// RCK-8.
#[test]
fn arrays_with_the_named_dimensions_change_and_the_others_travel_along() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    survey(&from);
    let report = rechunk(&from, Some(&to), options("time=all,lat=5").shards(Shards::Remove)).unwrap();
    assert_eq!(chunk_shape(&to, "tas"), [30, 5]);
    assert_eq!(chunk_shape(&to, "pr"), [30, 5]);
    let (before, after) = (files(&from), files(&to));
    for array in ["time", "lat", "crs", "bounds", "more/deep/u", "more/deep/time"] {
        let below = |files: &std::collections::BTreeMap<String, Vec<u8>>| -> Vec<_> {
            files.iter().filter(|(key, _)| key.starts_with(&format!("{array}/"))).map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        assert_eq!(below(&before), below(&after), "{array}");
        assert!(below(&before).len() > 1);
    }
    for array in ARRAYS {
        assert_eq!(read(&from.join(array)), read(&to.join(array)), "{array}");
    }
    let moved: Vec<_> = report.arrays.iter().filter(|a| a.plan.strategy == Strategy::PassThrough).map(|a| a.path.as_str()).collect();
    assert_eq!(moved, ["bounds", "crs", "lat", "more/deep/time", "more/deep/u", "time"]);
    let verdict = verify(&from, &to, VerifyOptions::new().spill_dir(root.path())).unwrap();
    assert!(verdict.equal && verdict.arrays == 8, "{verdict:?}");
    assert_eq!(names(root.path()), ["a", "b"]);
}

#[test]
fn one_dimension_is_enough_and_coordinates_stay() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    survey(&from);
    rechunk(&from, Some(&to), options("time=10").shards(Shards::Remove)).unwrap();
    let shapes = ["tas", "pr", "more/deep/u", "time", "more/deep/time", "lat"].map(|array| chunk_shape(&to, array));
    assert_eq!(shapes, [vec![10, 20], vec![10, 20], vec![10], vec![7], vec![7], vec![20]]);
    assert!(verify(&from, &to, VerifyOptions::new().spill_dir(root.path())).unwrap().equal);
}

#[test]
fn positions_mean_all_arrays_of_the_rank() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    survey(&from);
    rechunk(&from, Some(&to), options("10,-1").shards(Shards::Remove)).unwrap();
    assert_eq!(["tas", "pr", "bounds"].map(|array| chunk_shape(&to, array)), [[10, 20], [10, 20], [10, 2]]);
    assert_eq!(chunk_shape(&to, "more/deep/u"), [3]);
}

#[test]
fn other_codecs_alone_are_for_all_but_coordinates_and_scalars() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    survey(&from);
    let codecs: Codecs = "gzip:2,crc32c".parse().unwrap();
    rechunk(&from, Some(&to), RechunkOptions::new().codecs(codecs.clone()).sync(false)).unwrap();
    for array in ARRAYS {
        let [before, after] = [&from, &to].map(|root| Array::open(root.join(array)).unwrap().metadata().layout());
        let changed = !["time", "lat", "crs", "more/deep/time"].contains(&array);
        assert_eq!(after.codecs == codecs, changed, "{array}");
        assert_eq!((before.chunk_shape, before.shard_shape), (after.chunk_shape, after.shard_shape), "{array}");
    }
    assert!(verify(&from, &to, VerifyOptions::new().spill_dir(root.path())).unwrap().equal);
}

/// RCK-7.
#[test]
fn attributes_names_and_members_to_be_ignored_are_kept_as_text() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    survey(&from);
    let nodes = ["", "tas", "pr", "time", "crs", "more", "more/deep", "more/deep/u"];
    nodes.iter().for_each(|node| decorate(&from.join(node)));
    rechunk(&from, Some(&to), options("time=11,lat=3").shards(Shards::Remove).codecs(Codecs::none())).unwrap();
    for node in nodes {
        let text = fs::read_to_string(to.join(node).join("zarr.json")).unwrap();
        assert!(text.contains(ATTRIBUTES), "{node}: {text}");
        assert!(text.contains(r#"{"must_understand": false, "big": 98765432109876543210, "ü": [1.50]}"#), "{node}: {text}");
    }
    let names = |root: &Path| Array::open(root.join("tas")).unwrap().metadata().dimension_names().map(<[_]>::to_vec);
    assert_eq!(names(&to), Some(vec![Some("time".into()), Some("lat".into())]));
    assert!(verify(&from, &to, VerifyOptions::new().spill_dir(root.path())).unwrap().equal);
    // A single array, too, keeps them.
    rechunk(from.join("tas"), Some(&root.path().join("c")), options("7,7")).unwrap();
    assert!(fs::read_to_string(root.path().join("c/zarr.json")).unwrap().contains(ATTRIBUTES));
}

#[test]
fn consolidated_metadata_are_written_anew_where_they_were() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    let mut group = survey(&from);
    Group::open(from.join("more/deep")).unwrap().consolidate().unwrap();
    group.consolidate().unwrap();
    // What is consolidated is stale by now.
    decorate(&from.join("tas"));
    rechunk(&from, Some(&to), options("time=10,lat=10")).unwrap_err();
    rechunk(&from, Some(&to), options("time=10,lat=10").shards(Shards::Remove)).unwrap();
    assert_eq!(["", "more", "more/deep"].map(|path| is_consolidated(&to.join(path))), [true, false, true]);
    let consolidated: Value = serde_json::from_str(&fs::read_to_string(to.join("zarr.json")).unwrap()).unwrap();
    let nodes = consolidated["consolidated_metadata"]["metadata"].as_object().unwrap();
    assert_eq!(nodes.len(), ARRAYS.len() + 2);
    for (path, document) in nodes {
        let text = fs::read_to_string(to.join(path).join("zarr.json")).unwrap();
        let mut stored: Value = serde_json::from_str(&text).unwrap();
        let mut carried = document.clone();
        for value in [&mut stored, &mut carried] {
            value.as_object_mut().unwrap().remove("consolidated_metadata");
        }
        assert_eq!(carried, stored, "{path}");
    }
    assert_eq!(nodes["tas"]["chunk_grid"]["configuration"]["chunk_shape"], serde_json::json!([10, 10]));
    assert!(fs::read_to_string(to.join("zarr.json")).unwrap().contains("123456789012345678901234567890"), "as text");
    let plain = root.path().join("plain");
    survey(&plain);
    rechunk(&plain, Some(&root.path().join("c")), options("lat=3").shards(Shards::Remove)).unwrap();
    assert_eq!(["", "more", "more/deep"].map(|path| is_consolidated(&root.path().join("c").join(path))), [false; 3]);
}

#[test]
fn a_group_without_an_array_that_fits_is_refused_and_says_what_it_holds() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    survey(&from);
    for (chunks, asked) in [("depth=3", "chunks depth=3"), ("time=3,side=1", "chunks time=3,side=1"), ("1,2,all", "chunks 1,2,all")] {
        let Err(Error::InvalidArgument { what }) = rechunk(&from, Some(&to), options(chunks)) else { panic!("{chunks} fits") };
        let expected = format!(
            "{}: no array of this group fits {asked}; it holds bounds [20, 2] (lat, side); crs [] (no dimension names; give one edge an axis); \
             lat [20] (lat); more/deep/time [30] (time); more/deep/u [30] (time); pr [30, 20] (time, lat); tas [30, 20] (time, lat); \
             time [30] (time)",
            from.display()
        );
        assert_eq!(what, expected);
        assert!(matches!(plan_rechunk(&from, &options(chunks)), Err(Error::InvalidArgument { .. })));
    }
    Group::create(root.path().join("empty"), Attributes::default()).unwrap();
    let Err(Error::InvalidArgument { what }) = rechunk(root.path().join("empty"), Some(&to), options("x=1")) else { panic!("empty") };
    assert!(what.ends_with("no array of this group fits chunks x=1; it holds no arrays"), "{what}");
    assert_eq!(names(root.path()), ["a", "empty"]);
}

#[test]
fn the_budget_that_a_group_asks_for_is_enough_for_all_its_arrays() {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    let group = Group::create(&from, Attributes::default()).unwrap();
    for (name, len) in [("a", 100), ("b", 900), ("c", 400)] {
        let metadata = named(metadata(&[len, 1000], "float32", "0", &layout(&[1, 1000], None, "none")), &["y", "x"]);
        write(&group.create_array(name, metadata).unwrap(), len);
    }
    let options = || options("y=all,x=500").threads(1);
    let Err(Error::BudgetTooSmall { required_bytes, what, .. }) = plan_rechunk(&from, &options().memory(128 << 10)) else {
        panic!("128 KiB")
    };
    assert!(what.starts_with(&from.join("b").display().to_string()), "{what}");
    assert!(rechunk(&from, Some(&to), options().memory(required_bytes - 8192)).is_err());
    assert_eq!(names(root.path()), ["a"]);
    rechunk(&from, Some(&to), options().memory(required_bytes)).unwrap();
    assert!(verify(&from, &to, VerifyOptions::new().spill_dir(root.path())).unwrap().equal);
}

#[test]
fn chunks_shards_codecs_and_fill_change_in_one_pass_and_back() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    let metadata = metadata(&[50, 40], "float64", "nan", &layout(&[5, 40], None, "zstd:1"));
    let data: Vec<f64> = (0..2000).map(|n| if n < 700 { f64::NAN } else { f64::from(n) }).collect();
    let array = Array::create(path("a"), metadata).unwrap();
    array.write(&Region::whole(&[50, 40]), &data).unwrap();
    assert_eq!(array.stored_chunk_bytes(&[2, 0]).unwrap(), None, "missing");
    let spec = |edges: [u64; 2]| Shards::Of(ChunkSpec::from(edges));
    let codecs = || "transpose:1-0,big,gzip:1,crc32c".parse::<Codecs>().unwrap();
    rechunk(path("a"), Some(&path("b")), options("10,8").shards(spec([20, 16])).codecs(codecs()).fill("-5").sync(false)).unwrap();
    let changed = Array::open(path("b")).unwrap();
    assert_eq!(changed.metadata().layout(), layout(&[10, 8], Some(&[20, 16]), "transpose:1-0,big,gzip:1,crc32c"));
    assert_eq!(changed.metadata().fill_value().as_bytes(), (-5.0_f64).to_ne_bytes());
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(changed.read(&Region::whole(&[50, 40])).unwrap()), bits(data), "missing elements keep their old value");
    let back = options("5,40").shards(Shards::Remove).codecs("zstd:1".parse().unwrap()).fill("nan");
    rechunk(path("b"), Some(&path("c")), back).unwrap();
    assert_eq!(files(&path("a")), files(&path("c")));
}

/// RCK-2.
#[test]
fn what_becomes_the_new_fill_value_is_not_stored() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    let array = Array::create(path("a"), metadata(&[10], "int32", "1", &layout(&[3], None, "none"))).unwrap();
    array.write(&Region::whole(&[10]), &[9_i32, 9, 9, 1, 1, 1, 2, 2, 2, 9]).unwrap();
    rechunk(path("a"), Some(&path("b")), options("3").codecs("crc32c".parse().unwrap()).fill("9").sync(false)).unwrap();
    assert_eq!(files(&path("b")).keys().collect::<Vec<_>>(), ["c/1", "c/2", "zarr.json"]);
    assert_eq!(Array::open(path("b")).unwrap().read::<i32>(&Region::whole(&[10])).unwrap(), [9, 9, 9, 1, 1, 1, 2, 2, 2, 9]);
}

#[test]
fn shards_are_kept_unless_told_otherwise() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    let array = Array::create(path("a"), metadata(&[64, 64], "uint16", "0", &layout(&[4, 4], Some(&[16, 32]), "zstd:1"))).unwrap();
    write(&array, 1);
    let layout_of = |name: &str| Array::open(path(name)).unwrap().metadata().layout();
    rechunk(path("a"), Some(&path("kept")), options("8,16")).unwrap();
    assert_eq!(layout_of("kept"), layout(&[8, 16], Some(&[16, 32]), "zstd:1"));
    let Err(Error::InvalidArgument { what }) = rechunk(path("a"), Some(&path("b")), options("5,16")) else { panic!("5 in 16") };
    assert_eq!(
        what,
        format!(
            "{}: axis 0: chunks of 5 do not divide the array's shards of 16; give shards, or `none` to store chunks singly",
            path("a").display()
        )
    );
    let whole = Shards::Of(ChunkSpec::Positions(vec![Edge::All, Edge::All]));
    rechunk(path("a"), Some(&path("whole")), options("5,7").shards(whole)).unwrap();
    assert_eq!(layout_of("whole"), layout(&[5, 7], Some(&[65, 70]), "zstd:1"));
    rechunk(path("whole"), Some(&path("single")), options("4,4").shards(Shards::Remove)).unwrap();
    assert_eq!(layout_of("single"), layout(&[4, 4], None, "zstd:1"));
    for name in ["kept", "whole", "single"] {
        assert_eq!(read(&path(name)), read(&path("a")), "{name}");
    }
}

/// RCK-10.
#[test]
fn chunks_that_stay_the_same_are_moved_byte_by_byte() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    for (name, shard) in [("plain", None), ("sharded", Some(&[8, 20][..]))] {
        let array = Array::create(path(name), metadata(&[30, 20], "float32", "0", &layout(&[4, 10], shard, "gzip:9"))).unwrap();
        array.write_bytes(&Region::new([0, 0], [9, 20]).unwrap(), &vec![7; 9 * 20 * 4]).unwrap();
        // A chunk as no encoder of ours makes it: only its bytes can be kept.
        let chunk = path(name).join("c/0/0");
        fs::write(&chunk, [&fs::read(&chunk).unwrap()[..], b"trailing"].concat()).unwrap();
        let copy = path(&format!("{name}-copy"));
        let report = rechunk(path(name), Some(&copy), RechunkOptions::new().codecs("gzip:9".parse().unwrap()).sync(false)).unwrap();
        assert_eq!(report.arrays[0].plan.strategy, Strategy::PassThrough);
        assert_eq!(files(&path(name)), files(&copy));
    }
}

/// RCK-8: what travels along may be stored in ways that we do not write.
#[test]
fn shards_within_shards_travel_along() {
    let root = directory();
    let group = Group::create(root.path().join("g"), Attributes::default()).unwrap();
    let plain = metadata(&[8, 8], "int32", "0", &layout(&[2, 8], None, "none"));
    let named = plain.with_dimension_names(Some(vec![Some("x".into()), Some("y".into())])).unwrap();
    group.create_array("a", named).unwrap().write(&Region::whole(&[8, 8]), &(1..=64).collect::<Vec<i32>>()).unwrap();
    let sharding = |chunk: [u64; 2], codecs: Value| {
        let index = json!([{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}]);
        json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": chunk, "codecs": codecs, "index_codecs": index}}])
    };
    let bytes = json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
    let nested = edited(&metadata(&[8, 8], "int32", "0", &layout(&[8, 8], None, "none")), |document| {
        document["codecs"] = sharding([4, 4], sharding([2, 2], bytes));
    });
    group.create_array("n", nested).unwrap().write(&Region::whole(&[8, 8]), &(1..=64).collect::<Vec<i32>>()).unwrap();
    let options = RechunkOptions::new().chunks("x=8,y=1".parse::<ChunkSpec>().unwrap()).memory(32 << 20).sync(false);
    let target = root.path().join("t");
    rezarr::rechunk(root.path().join("g"), Some(&target), options).unwrap();
    let stored = |tree: &str| fs::read(root.path().join(tree).join("n/c/0/0")).unwrap();
    assert_eq!(stored("g"), stored("t"));
    assert!(rezarr::verify(root.path().join("g"), &target, VerifyOptions::new().spill_dir(root.path())).unwrap().equal);
}
