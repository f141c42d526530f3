//! What else a rechunk changes: the type of the elements, the part that is taken, and the names of chunks.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;

use std::path::Path;

use proptest::prelude::*;
use rezarr::{
    Array, ArrayMetadata, ChunkKeyEncoding, Codecs, DataType, Error, FillValue, Group, Layout, RechunkOptions, Region, Selection, Shards,
    rechunk,
};

use arrays::{create, elements, layout, metadata};

fn options() -> RechunkOptions<'static> {
    RechunkOptions::new().memory(16 << 20).sync(false)
}

fn select(text: &str) -> Selection {
    text.parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 60 } else { 250 }))]

    /// RCK-19: whatever is taken, chunks begin with it or not.
    #[test]
    fn a_part_is_what_reading_it_gives(
        axes in prop::collection::vec((1_u64..30, 1_u64..8, 1_u64..8, 0_u64..30, 0_u64..30, 1_u64..4), 1..4),
        aligned in any::<bool>(),
        sharded in any::<[bool; 2]>(),
        words in prop::sample::select(vec!["none", "zstd:1", "blosc"]),
        (seed, threads) in (any::<u64>(), 1_usize..4),
    ) {
        let root = tempfile::tempdir().unwrap();
        let shape: Vec<u64> = axes.iter().map(|a| a.0).collect();
        let (from, to): (Vec<u64>, Vec<u64>) = axes.iter().map(|a| (a.1, a.2)).unzip();
        let times: Vec<u64> = axes.iter().map(|a| a.5).collect();
        let shard = |chunk: &[u64], on: bool| on.then(|| chunk.iter().zip(&times).map(|(c, t)| c * t).collect::<Vec<u64>>());
        let codecs: Codecs = words.parse().unwrap();
        let source = Layout { chunk_shape: from.clone(), shard_shape: shard(&from, sharded[0]), codecs };
        let document = ArrayMetadata::new(shape.clone(), DataType::Int16, None, &source).unwrap();
        let data = elements(&document, seed);
        let array = create(&root.path().join("a"), document, &data);
        let start: Vec<u64> = axes
            .iter()
            .map(|a| { let start = a.3 % a.0; if aligned { start / a.1 * a.1 } else { start } })
            .collect();
        let len: Vec<u64> = axes.iter().zip(&start).map(|(a, start)| a.4 % (a.0 - start + 1)).collect();
        let region = Region::new(start.clone(), len.clone()).unwrap();
        let text: Vec<String> = start.iter().zip(&len).map(|(s, l)| format!("{s}:{}", s + l)).collect();
        let shards = shard(&to, sharded[1]).map_or(Shards::Remove, |shape| Shards::Of(shape.into()));
        let target = root.path().join("b");
        let options = options().select(select(&text.join(","))).chunks(to.clone()).shards(shards).threads(threads);
        let report = rechunk(root.path().join("a"), Some(&target), options).unwrap();
        let taken = Array::open(&target).unwrap();
        prop_assert_eq!(taken.shape(), &len[..]);
        prop_assert_eq!(taken.read_bytes(&Region::whole(&len)).unwrap(), array.read_bytes(&region).unwrap());
        let (plan, measured) = (&report.arrays[0].plan, report.arrays[0].measured.as_ref().unwrap());
        prop_assert!(measured.decoded_bytes <= plan.decoded_bytes && measured.files <= plan.files);
    }
}

#[test]
fn a_part_of_a_group_is_taken_of_all_that_have_the_dimension() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    Group::create(at("g"), rezarr::Attributes::default()).unwrap();
    let array = |name: &str, shape: &[u64], names: &[&str]| {
        let document = metadata(shape, "int32", "0", &layout(&vec![3; shape.len()], None, "zstd:1"));
        let names = names.iter().map(|name| Some((*name).to_owned())).collect();
        let document = document.with_dimension_names(Some(names)).unwrap();
        let data = elements(&document, 7);
        create(&at("g").join(name), document, &data)
    };
    let tas = array("tas", &[20, 10], &["time", "lat"]);
    let time = array("time", &[20], &["time"]);
    let other = array("other", &[8], &["station"]);
    rechunk(at("g"), Some(&at("h")), options().select(select("time=4:-3"))).unwrap();
    let read = |array: &Array, region: &Region| array.read::<i32>(region).unwrap();
    let taken = |name: &str| {
        let array = Array::open(at("h").join(name)).unwrap();
        (array.shape().to_vec(), read(&array, &Region::whole(array.shape())))
    };
    assert_eq!(taken("tas"), (vec![13, 10], read(&tas, &Region::new([4, 0], [13, 10]).unwrap())));
    assert_eq!(taken("time"), (vec![13], read(&time, &Region::new([4], [13]).unwrap())));
    assert_eq!(taken("other"), (vec![8], read(&other, &Region::whole(&[8]))));
    for (text, what) in [("0:5", "give dimension names"), ("tim=0:5", "no array of this group has a dimension \"tim\"")] {
        let error = rechunk(at("g"), Some(&at("i")), options().select(select(text))).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument { what: found } if found.contains(what)), "{error}");
    }
}

fn written(root: &Path, data_type: &str, fill: &str, layout: &Layout, values: &[f64]) -> Array {
    let array = Array::create(root.join("a"), metadata(&[values.len() as u64], data_type, fill, layout)).unwrap();
    array.write(&Region::whole(array.shape()), values).unwrap();
    array
}

/// RCK-19: by value, in every layout and by every way through the data.
#[test]
fn elements_are_cast_by_value() {
    for (shard, budget) in [(None, 16 << 20), (Some(&[100_u64][..]), 16 << 20), (None, 3 << 20)] {
        let root = tempfile::tempdir().unwrap();
        let halves: Vec<i16> = (0..1000).map(|i| i - 200).collect();
        let values: Vec<f64> = halves.iter().map(|&half| f64::from(half) * 0.5).collect();
        written(root.path(), "float64", "-1", &layout(&[50], shard, "zstd:1"), &values[..]);
        let cast = |name: &str, data_type: DataType| {
            let target = root.path().join(name);
            let options = options().data_type(data_type).chunks([70]).shards(Shards::Remove).memory(budget);
            rechunk(root.path().join("a"), Some(&target), options).map(|_| Array::open(target).unwrap())
        };
        let whole = Region::whole(&[1000]);
        let single = cast("f4", DataType::Float32).unwrap();
        assert_eq!(single.read::<f32>(&whole).unwrap(), halves.iter().map(|&half| f32::from(half) * 0.5).collect::<Vec<_>>());
        assert_eq!(single.metadata().fill_value().to_text(&DataType::Float32), "-1.0");
        let rounded = cast("i2", DataType::Int16).unwrap();
        // Of two neighbours that are as near, the even one.
        let even = |half: i16| if half % 2 == 0 { half / 2 } else { ((half - 1).div_euclid(2) + 1).div_euclid(2) * 2 };
        assert_eq!(rounded.read::<i16>(&whole).unwrap(), halves.iter().map(|&half| even(half)).collect::<Vec<_>>());
        let error = cast("u1", DataType::UInt8).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument { what } if what.contains("has no place")), "{error}");
        assert!(!root.path().join("u1").exists());
    }
}

#[test]
fn what_was_never_written_is_cast_as_well() {
    let root = tempfile::tempdir().unwrap();
    let array = Array::create(root.path().join("a"), metadata(&[10], "int16", "-9", &layout(&[5], None, "none"))).unwrap();
    array.write(&Region::new([0], [5]).unwrap(), &[1_i16, 2, 3, 4, 5]).unwrap();
    let target = root.path().join("b");
    rechunk(root.path().join("a"), Some(&target), options().data_type(DataType::Float32).fill("nan")).unwrap();
    let cast = Array::open(&target).unwrap();
    assert_eq!(cast.read::<f32>(&Region::whole(&[10])).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, -9.0, -9.0, -9.0, -9.0, -9.0]);
    assert_eq!(cast.metadata().fill_value(), &FillValue::parse(&DataType::Float32, "nan").unwrap());
    for (data_type, what) in [(DataType::Complex64, "complex64"), (DataType::Bool, "bool")] {
        let error = rechunk(root.path().join("a"), Some(&root.path().join("c")), options().data_type(data_type)).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what: found, .. } if found.contains(what)), "{error}");
    }
}

/// The same chunks under other names move as they are.
#[test]
fn chunks_get_other_names() {
    let root = tempfile::tempdir().unwrap();
    let document = metadata(&[6, 4], "int32", "0", &layout(&[3, 4], None, "zstd:1"));
    let data = elements(&document, 3);
    create(&root.path().join("a"), document, &data);
    for (name, key_encoding, key) in [
        ("b", ChunkKeyEncoding::V2 { separator: '.' }, "1.0"),
        ("c", ChunkKeyEncoding::Default { separator: '.' }, "c.1.0"),
        ("d", ChunkKeyEncoding::V2 { separator: '/' }, "1/0"),
    ] {
        let target = root.path().join(name);
        let report = rechunk(root.path().join("a"), Some(&target), options().key_encoding(key_encoding)).unwrap();
        assert_eq!(report.arrays[0].plan.strategy, rezarr::Strategy::PassThrough);
        assert!(target.join(key).is_file());
        assert_eq!(Array::open(&target).unwrap().read_bytes(&Region::whole(&[6, 4])).unwrap(), data);
    }
}

#[test]
fn dimensions_that_an_array_does_not_have_are_not_selected() {
    let root = tempfile::tempdir().unwrap();
    let document = metadata(&[20, 10], "int32", "0", &layout(&[3, 3], None, "none"));
    let named = document.clone().with_dimension_names(Some(vec![Some("time".into()), Some("lat".into())])).unwrap();
    for (name, document, text) in [("a", named, "time=0:5,lta=1"), ("b", document, "time=0:5")] {
        let data = elements(&document, 1);
        create(&root.path().join(name), document, &data);
        let target = root.path().join("target");
        let error = rechunk(root.path().join(name), Some(&target), options().select(select(text))).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument { what } if what.contains("no dimension")), "{error}");
        assert!(!target.exists());
    }
}

/// Elements of a chunk that lie behind the end of the part are not in the result, where nobody would look for them until it grows.
#[test]
fn a_part_that_ends_inside_a_chunk_is_not_moved() {
    let root = tempfile::tempdir().unwrap();
    let array = Array::create(root.path().join("a"), metadata(&[12], "int32", "-1", &layout(&[4], None, "none"))).unwrap();
    array.write(&Region::whole(&[12]), &(0..12).collect::<Vec<i32>>()).unwrap();
    let strategy = |text: &str, name: &str| {
        let report = rechunk(root.path().join("a"), Some(&root.path().join(name)), options().select(select(text))).unwrap();
        report.arrays[0].plan.strategy
    };
    assert_eq!(strategy("4:8", "b"), rezarr::Strategy::PassThrough);
    assert_ne!(strategy("4:10", "c"), rezarr::Strategy::PassThrough);
    let stored = std::fs::read(root.path().join("c/c/1")).unwrap();
    assert_eq!(stored, [8_i32, 9, -1, -1].map(i32::to_le_bytes).concat());
}

/// Coordinates that travel along through a selection, in shards within shards as other programs write them.
#[test]
fn nested_shards_that_are_cut_become_plain_ones() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    Group::create(at("g"), rezarr::Attributes::default()).unwrap();
    let names = |name: &str| Some(vec![Some(name.to_owned())]);
    let plain = metadata(&[40], "int16", "0", &layout(&[8], Some(&[16]), "none"));
    let bytes = serde_json::json!({"name": "bytes", "configuration": {"endian": "little"}});
    let shards = |chunk: u64, codecs: serde_json::Value| {
        let index = serde_json::json!([bytes, {"name": "crc32c"}]);
        let configuration = serde_json::json!({"chunk_shape": [chunk], "codecs": codecs, "index_codecs": index});
        serde_json::json!([{"name": "sharding_indexed", "configuration": configuration}])
    };
    let nested = arrays::edited(&plain, |document| document["codecs"] = shards(8, shards(4, serde_json::json!([bytes]))));
    let data = elements(&plain, 5);
    create(&at("g/time"), nested.with_dimension_names(names("time")).unwrap(), &data);
    create(&at("g/tas"), plain.with_dimension_names(names("time")).unwrap(), &data);
    rechunk(at("g"), Some(&at("h")), options().select(select("time=4:30"))).unwrap();
    for name in ["time", "tas"] {
        let cut = Array::open(at("h").join(name)).unwrap();
        assert_eq!(cut.read_bytes(&Region::whole(&[26])).unwrap(), data[8..60], "{name}");
    }
}
