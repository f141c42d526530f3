//! Arrays of strings and byte strings: read, written, rechunked and compared (RCK-17).

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::path::Path;

use proptest::prelude::*;
use rezarr::{
    Array, ArrayMetadata, ChunkGrid, ChunkSpec, Codecs, DataType, EdgeRuns, Edges, Error, FillValue, Layout, RechunkOptions, Region,
    Strategy as How, VerifyOptions, plan_rechunk, rechunk, verify,
};

fn create(at: &Path, data_type: DataType, shape: &[u64], chunk: &[u64], shard: Option<&[u64]>, fill: &[u8]) -> Array {
    let layout = Layout { chunk_shape: chunk.to_vec(), shard_shape: shard.map(<[u64]>::to_vec), codecs: Codecs::zstd(1).unwrap() };
    let fill = FillValue::from_bytes(&data_type, fill).unwrap();
    Array::create(at, ArrayMetadata::new(shape, data_type, Some(fill), &layout).unwrap()).unwrap()
}

fn words(count: u64) -> Vec<String> {
    (0..count).map(|i| if i % 5 == 0 { String::new() } else { format!("wörd {i} ").repeat(usize::try_from(i % 7).unwrap()) }).collect()
}

#[test]
fn strings_are_read_and_written_in_chunks_and_shards() {
    let temp = tempfile::tempdir().unwrap();
    let whole = Region::whole(&[9, 7]);
    let all = words(63);
    for (number, shard) in [None, Some(&[4_u64, 6][..])].into_iter().enumerate() {
        let at = temp.path().join(number.to_string());
        let array = create(&at, DataType::String, &[9, 7], &[2, 3], shard, b"?");
        assert!(array.read_strings(&whole).unwrap().iter().all(|text| text == "?"));
        array.write_strings(&whole, &all).unwrap();
        let again = Array::open(&at).unwrap();
        assert_eq!(again.read_strings(&whole).unwrap(), all);
        let part = Region::new([3, 2], [4, 4]).unwrap();
        let expected: Vec<&String> = (3..7).flat_map(|row| (2..6).map(move |column| (row, column))).map(|(r, c)| &all[r * 7 + c]).collect();
        assert_eq!(again.read_strings(&part).unwrap().iter().collect::<Vec<_>>(), expected);
        again.write_strings(&part, &vec!["new"; 16]).unwrap();
        let changed = again.read_strings(&whole).unwrap();
        for (i, (before, after)) in all.iter().zip(&changed).enumerate() {
            let inside = (3..7).contains(&(i / 7)) && (2..6).contains(&(i % 7));
            assert_eq!(after, if inside { "new" } else { before }, "element {i}");
        }
        assert_eq!(again.read_byte_strings(&Region::new([8, 6], [1, 1]).unwrap()).unwrap(), [all[62].as_bytes()]);
        // What is fill again is not stored.
        again.write_strings(&whole, &vec!["?"; 63]).unwrap();
        assert_eq!(again.stored_chunk_bytes(&[0, 0]).unwrap(), None);
    }
}

#[test]
fn the_wrong_call_says_which_is_right() {
    let temp = tempfile::tempdir().unwrap();
    let whole = Region::whole(&[3]);
    let text = create(&temp.path().join("s"), DataType::String, &[3], &[2], None, b"");
    let bytes = create(&temp.path().join("b"), DataType::Bytes, &[3], &[2], None, &[0xFF]);
    bytes.write_byte_strings(&whole, &[&[0_u8, 0xFE][..], b"", b"x"]).unwrap();
    assert_eq!(bytes.read_byte_strings(&whole).unwrap(), [&[0_u8, 0xFE][..], b"", b"x"]);
    let invalid = |result: Result<(), Error>| match result {
        Err(Error::InvalidArgument { what }) => what,
        other => panic!("{other:?}"),
    };
    assert!(invalid(text.read_bytes(&whole).map(drop)).contains("variable length"));
    assert!(invalid(text.read::<u8>(&whole).map(drop)).contains("string"));
    assert!(invalid(text.write_bytes(&whole, &[0; 48])).contains("variable length"));
    assert!(invalid(bytes.read_strings(&whole).map(drop)).contains("bytes"));
    assert!(invalid(text.write_byte_strings(&whole, &[b"", b"", b""])).contains("string"));
    assert!(invalid(text.write_strings(&whole, &["one"])).contains("3 elements"));
    assert!(invalid(text.read_strings(&Region::whole(&[4])).map(drop)).contains("3 elements"));
}

#[test]
fn damaged_strings_are_errors_that_name_the_chunk() {
    let temp = tempfile::tempdir().unwrap();
    let array = create(&temp.path().join("s"), DataType::String, &[4], &[2], None, b"");
    array.write_strings(&Region::whole(&[4]), &words(4)).unwrap();
    let chunk = temp.path().join("s/c/1");
    let good = std::fs::read(&chunk).unwrap();
    for len in 0..good.len() {
        std::fs::write(&chunk, &good[..len]).unwrap();
        match array.read_strings(&Region::whole(&[4])) {
            Err(Error::Corrupt { key, .. }) => assert!(key.ends_with("c/1"), "{key}"),
            other => panic!("{len} bytes: {other:?}"),
        }
    }
}

#[test]
fn strings_of_zarr_v2_are_only_read() {
    let temp = tempfile::tempdir().unwrap();
    let document = r#"{"zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "fill_value": "", "order": "C", "compressor": null,
        "filters": [{"id": "vlen-utf8"}]}"#;
    std::fs::write(temp.path().join(".zarray"), document).unwrap();
    let array = Array::open(temp.path()).unwrap();
    let error = array.write_strings(&Region::whole(&[2]), &["a", "b"]).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("Zarr v2")), "{error}");
    assert_eq!(array.stored_chunk_bytes(&[0]).unwrap(), None);
}

/// RCK-4, RCK-17: no budget is refused while a smaller one would do, and shards that are cut by boxes are in the making one a thread.
#[test]
fn a_larger_budget_is_never_refused_where_a_smaller_one_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let at = temp.path().join("s");
    create(&at, DataType::String, &[10_000, 10_000], &[10, 10], Some(&[1000, 1000]), b"");
    let plan = |kib: u64| plan_rechunk(&at, &RechunkOptions::new().chunks([20, 20]).memory(kib << 10).threads(2));
    let mut fits = false;
    for kib in (1024..32_768).step_by(61) {
        match plan(kib) {
            Ok(report) => {
                let shards = report[0].plan.memory.iter().find(|share| share.what.contains("in the making")).unwrap();
                assert!(shards.count <= 2 && report[0].plan.memory_bytes <= kib << 10, "{:?}", report[0].plan);
                fits = true;
            }
            Err(error) => assert!(!fits, "{kib} KiB: {error}"),
        }
    }
    assert!(fits);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    /// Any chunks, shards, rectilinear edges, and a budget so small that boxes are halved.
    #[test]
    fn rechunk_there_and_back_is_the_identity(
        (shape, a, b) in prop::collection::vec(1_u64..12, 1..4).prop_flat_map(|shape| {
            let chunks = |shape: &[u64]| shape.iter().map(|&len| 1..=len).collect::<Vec<_>>();
            (Just(shape.clone()), chunks(&shape), chunks(&shape))
        }),
        shard in prop::option::of(1_u64..4), long in 0_usize..20_000, list in any::<bool>(),
    ) {
        let temp = tempfile::tempdir().unwrap();
        let (from, to, back) = (temp.path().join("a"), temp.path().join("b"), temp.path().join("c"));
        let shard: Option<Vec<u64>> = shard.map(|factor| a.iter().map(|edge| edge * factor).collect());
        let array = create(&from, DataType::String, &shape, &a, shard.as_deref(), b"fill");
        let whole = Region::whole(&shape);
        let mut all = words(shape.iter().product());
        all[0] = "x".repeat(long);
        array.write_strings(&whole, &all).unwrap();
        let edges: Vec<_> = b.iter().zip(&shape).map(|(&edge, &len)| {
            if list { rezarr::Edge::List(EdgeRuns::new([(edge, 1), (1, len)]).unwrap()) } else { rezarr::Edge::Elements(edge) }
        }).collect();
        let grid: Vec<_> = b.iter().zip(&shape).map(|(&edge, &len)| {
            if list { Edges::List(EdgeRuns::new([(edge, 1), (1, len)]).unwrap()) } else { Edges::Repeat(edge) }
        }).collect();
        let options = |chunks: ChunkSpec| RechunkOptions::new().chunks(chunks).shards(rezarr::Shards::Remove).memory(8 << 20).threads(2);
        let report = rechunk(&from, Some(&to), options(ChunkSpec::Positions(edges))).unwrap();
        prop_assert!(matches!(report.arrays[0].plan.strategy, How::Gather | How::PassThrough));
        let target = Array::open(&to).unwrap();
        prop_assert_eq!(target.grid(), &ChunkGrid::rectilinear(shape.clone(), grid).unwrap());
        prop_assert_eq!(target.read_strings(&whole).unwrap(), all.clone());
        rechunk(&to, Some(&back), options(a.clone().into())).unwrap();
        prop_assert_eq!(Array::open(&back).unwrap().read_strings(&whole).unwrap(), all);
        prop_assert!(verify(&from, &back, VerifyOptions::new()).unwrap().equal);
        let last: Vec<u64> = shape.iter().map(|len| len - 1).collect();
        Array::open(&back).unwrap().write_strings(&Region::new(last.clone(), vec![1; shape.len()]).unwrap(), &["other"]).unwrap();
        let verdict = verify(&from, &back, VerifyOptions::new()).unwrap();
        prop_assert!(!verdict.equal && verdict.differences[0].contains(&format!("{last:?}")), "{:?}", verdict);
    }
}
