//! Rectilinear grids (FMT-GR-1, FMT-GR-2, RCK-17): chunks of different edges are read, written, and rechunked from and to.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::path::Path;

use proptest::prelude::*;
use rezarr::{
    Array, ArrayMetadata, CheckOptions, ChunkGrid, ChunkSpec, Codecs, DataType, EdgeRuns, Edges, Error, Layout, Progress, RechunkOptions,
    Region, Shards, Strategy as How, VerifyOptions, check, plan_rechunk, rechunk, verify,
};

fn list(runs: &[(u64, u64)]) -> Edges {
    Edges::List(EdgeRuns::new(runs.iter().copied()).unwrap())
}

/// An array of 100 x 7 whose first axis is cut like months, sharded or not.
fn months(at: &Path, shard: Option<[u64; 2]>, codecs: &str) -> Array {
    let layout = Layout { chunk_shape: vec![3, 4], shard_shape: shard.map(Vec::from), codecs: codecs.parse::<Codecs>().unwrap() };
    let edges = if shard.is_some() {
        [list(&[(33, 1), (27, 1), (33, 2)]), list(&[(4, 1), (8, 1)])]
    } else {
        [list(&[(31, 1), (28, 1), (31, 1), (30, 2)]), Edges::Repeat(4)]
    };
    let metadata = ArrayMetadata::new([100, 7], DataType::Int32, None, &layout).unwrap();
    let grid = ChunkGrid::rectilinear([100, 7], edges).unwrap();
    Array::create(at, metadata.with_chunk_grid(grid).unwrap()).unwrap()
}

fn values(region: &Region) -> Vec<i32> {
    let mut out = Vec::new();
    for i in region.start()[0]..region.end(0) {
        for j in region.start()[1]..region.end(1) {
            out.push(i32::try_from(i * 1000 + j + 1).unwrap());
        }
    }
    out
}

#[test]
fn regions_across_uneven_chunks_are_read_and_written() {
    let temp = tempfile::tempdir().unwrap();
    for (number, (shard, codecs)) in
        [(None, "zstd:3"), (None, "none"), (None, "big,transpose:1-0,gzip:1,crc32c"), (Some([33, 8]), "zstd:1")].into_iter().enumerate()
    {
        let at = temp.path().join(number.to_string());
        let array = months(&at, shard, codecs);
        assert!(array.read::<i32>(&Region::whole(&[100, 7])).unwrap().iter().all(|&value| value == 0));
        // In pieces that lie across chunk edges, one of them twice.
        for (start, shape) in [([0, 0], [40, 7]), ([40, 0], [60, 3]), ([40, 3], [60, 4]), ([29, 2], [35, 4])] {
            let region = Region::new(start, shape).unwrap();
            array.write(&region, &values(&region)).unwrap();
        }
        let again = Array::open(&at).unwrap();
        assert!(!again.grid().is_regular());
        for (start, shape) in [([0, 0], [100, 7]), ([30, 3], [2, 2]), ([58, 0], [33, 1]), ([99, 6], [1, 1]), ([5, 5], [0, 1])] {
            let region = Region::new(start, shape).unwrap();
            assert_eq!(again.read::<i32>(&region).unwrap(), values(&region), "{region}");
        }
        let last = again.grid().region(&[3, 1]);
        let chunk: Vec<i32> = again.read_chunk(&[3, 1]).unwrap().chunks(4).map(|b| i32::from_ne_bytes(b.try_into().unwrap())).collect();
        assert_eq!(chunk, values(&last));
        assert!(again.stored_chunk_bytes(&[3, 1]).unwrap().is_some());
        assert!(again.encoded_chunk(&[3, 1]).unwrap().is_some());
        // A chunk that becomes fill goes.
        again.write(&last, &vec![0_i32; chunk.len()]).unwrap();
        assert_eq!(again.stored_chunk_bytes(&[3, 1]).unwrap(), None);
    }
}

#[test]
fn a_list_is_asked_for_by_dimension_or_position_and_kept_where_nothing_is_said() {
    let temp = tempfile::tempdir().unwrap();
    let (from, to, back, same) = (temp.path().join("a"), temp.path().join("b"), temp.path().join("c"), temp.path().join("d"));
    let array = months(&from, None, "zstd:3");
    let whole = Region::whole(&[100, 7]);
    array.write(&whole, &values(&whole)).unwrap();
    let chunks = |text: &str| text.parse::<ChunkSpec>().unwrap();
    rechunk(&from, Some(&to), RechunkOptions::new().chunks(chunks("10,all"))).unwrap();
    assert!(Array::open(&to).unwrap().grid().is_regular());
    rechunk(&to, Some(&back), RechunkOptions::new().chunks(chunks("31+28+31+30x2,4"))).unwrap();
    assert_eq!(Array::open(&back).unwrap().grid(), array.grid());
    // Nothing said: the same grid, and stored chunks are moved.
    let plan = plan_rechunk(&from, &RechunkOptions::new()).unwrap();
    assert_eq!(plan[0].plan.strategy, How::PassThrough);
    rechunk(&from, Some(&same), RechunkOptions::new().codecs(Codecs::gzip(1).unwrap())).unwrap();
    assert_eq!(Array::open(&same).unwrap().grid(), array.grid());
    for other in [&to, &back, &same] {
        let verdict = verify(&from, other, VerifyOptions::new()).unwrap();
        assert!(verdict.equal && verdict.elements == 700, "{verdict:?}");
        assert_eq!(Array::open(other).unwrap().read::<i32>(&whole).unwrap(), values(&whole));
    }
    Array::open(&back).unwrap().write(&Region::new([77, 3], [1, 1]).unwrap(), &[-1_i32]).unwrap();
    let verdict = verify(&from, &back, VerifyOptions::new()).unwrap();
    assert!(!verdict.equal && verdict.differences[0].contains("[77, 3]"), "{verdict:?}");
}

#[test]
fn chunks_that_are_moved_are_counted_one_by_one() {
    let temp = tempfile::tempdir().unwrap();
    let (from, to) = (temp.path().join("a"), temp.path().join("b"));
    let array = months(&from, None, "zstd:1");
    let whole = Region::whole(&[100, 7]);
    array.write(&whole, &values(&whole)).unwrap();
    let mut seen = (0, 1);
    let mut show = |progress: &Progress| seen = (progress.done_bytes, progress.total_bytes);
    let report = rechunk(&from, Some(&to), RechunkOptions::new().progress(&mut show)).unwrap();
    assert_eq!(seen.0, seen.1, "progress ends at its total");
    let (plan, measured) = (&report.arrays[0].plan, report.arrays[0].measured.as_ref().unwrap());
    assert_eq!((plan.strategy, plan.files, measured.files), (How::PassThrough, 9, 9));
}

#[test]
fn damage_in_a_shard_is_named_by_the_place_in_the_array() {
    let temp = tempfile::tempdir().unwrap();
    let array = months(&temp.path().join("a"), Some([33, 8]), "crc32c");
    let whole = Region::whole(&[100, 7]);
    array.write(&whole, &values(&whole)).unwrap();
    assert!(check(temp.path().join("a"), CheckOptions::new()).unwrap().findings.is_empty());
    // The first inner chunk of the shard that begins at 60, 4: behind 20 rows of inner chunks, and one column.
    let chunk = temp.path().join("a/c/2/1");
    let mut bytes = std::fs::read(&chunk).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&chunk, bytes).unwrap();
    let report = check(temp.path().join("a"), CheckOptions::new()).unwrap();
    assert_eq!((report.errors, report.findings[0].inner_chunk.as_deref()), (1, Some(&[20, 1][..])), "{:?}", report.findings);
    match array.read::<i32>(&whole) {
        Err(Error::ChecksumMismatch { key, .. }) => assert!(key.ends_with("c/2/1 (inner chunk [20, 1] of the array, at byte 0)"), "{key}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let from = temp.path().join("a");
    months(&from, None, "zstd:3");
    let refused = |options: RechunkOptions<'_>| match plan_rechunk(&from, &options) {
        Err(Error::InvalidArgument { what }) => what,
        other => panic!("{other:?}"),
    };
    let options = |text: &str| RechunkOptions::new().chunks(text.parse::<ChunkSpec>().unwrap());
    assert!(refused(options("31+28,4")).contains("sum to 59"));
    assert!(refused(options("30x4,4").shards(Shards::Of("60,4".parse().unwrap()))).contains("inner chunks are all alike"));
    let shards = Shards::Of("50+70,4".parse().unwrap());
    assert!(plan_rechunk(&from, &options("10,4").shards(shards.clone())).is_ok());
    assert!(refused(options("20,4").shards(shards)).contains("does not divide"));
    let mut grown = std::fs::read_to_string(from.join("zarr.json")).unwrap();
    grown = grown.replacen("100", "151", 1);
    std::fs::write(from.join("zarr.json"), grown).unwrap();
    assert!(matches!(Array::open(&from), Err(Error::Metadata { pointer, .. }) if pointer.starts_with("/chunk_grid")));
}

#[test]
fn a_run_of_2_to_the_40_costs_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let layout = Layout { chunk_shape: vec![1], shard_shape: None, codecs: Codecs::none() };
    let metadata = ArrayMetadata::new([1 << 40], DataType::UInt8, None, &layout).unwrap();
    let grid = ChunkGrid::rectilinear([1 << 40], [list(&[(2, 1), (1, 1 << 40)])]).unwrap();
    let array = Array::create(temp.path().join("a"), metadata.with_chunk_grid(grid).unwrap()).unwrap();
    let far = Region::new([(1 << 40) - 2], [2]).unwrap();
    array.write(&far, &[7_u8, 8]).unwrap();
    assert_eq!(array.read::<u8>(&Region::new([(1 << 40) - 3], [3]).unwrap()).unwrap(), [0, 7, 8]);
    let plan = plan_rechunk(temp.path().join("a"), &RechunkOptions::new().chunks([1 << 20])).unwrap();
    assert_eq!(plan[0].plan.strategy, How::Gather);
}

fn cuts(len: u64) -> impl Strategy<Value = Edges> {
    prop_oneof![
        (1..=len + 2).prop_map(Edges::Repeat),
        prop::collection::vec((1_u64..6, 1_u64..3), 1..5).prop_map(move |mut runs| {
            runs.push((3, len));
            Edges::List(EdgeRuns::new(runs).unwrap())
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    /// Any two grids, any budget that the plan accepts: there and back is the identity.
    #[test]
    fn rechunk_between_any_grids((shape, a, b, seed) in prop::collection::vec(1_u64..20, 1..4).prop_flat_map(|shape| {
        let axes = |shape: &[u64]| shape.iter().map(|&len| cuts(len)).collect::<Vec<_>>();
        (Just(shape.clone()), axes(&shape), axes(&shape), any::<u32>())
    })) {
        let temp = tempfile::tempdir().unwrap();
        let (from, to) = (temp.path().join("a"), temp.path().join("b"));
        let layout = Layout { chunk_shape: shape.clone(), shard_shape: None, codecs: Codecs::zstd(1).unwrap() };
        let metadata = ArrayMetadata::new(shape.clone(), DataType::UInt32, None, &layout).unwrap();
        let grid = ChunkGrid::rectilinear(shape.clone(), a).unwrap();
        let array = Array::create(&from, metadata.with_chunk_grid(grid).unwrap()).unwrap();
        let count: u64 = shape.iter().product();
        let data: Vec<u32> = (0..u32::try_from(count).unwrap()).map(|i| (i / 7).wrapping_mul(seed | 1)).collect();
        array.write(&Region::whole(&shape), &data).unwrap();
        let edge = |edges: &Edges| match edges { Edges::Repeat(edge) => rezarr::Edge::Elements(*edge), Edges::List(list) => rezarr::Edge::List(list.clone()) };
        let spec = ChunkSpec::Positions(b.iter().map(edge).collect());
        let (mut seen, mut compared) = ((0, 1), (0, 1));
        let mut show = |progress: &Progress| seen = (progress.done_bytes, progress.total_bytes);
        let report = rechunk(&from, Some(&to), RechunkOptions::new().chunks(spec).memory(4 << 20).threads(2).progress(&mut show)).unwrap();
        prop_assert_eq!(seen.0, seen.1, "progress ends at its total");
        let (plan, measured) = (&report.arrays[0].plan, report.arrays[0].measured.as_ref().unwrap());
        if plan.strategy == How::Gather {
            prop_assert!(measured.files <= plan.files && measured.encoded_bytes <= plan.encoded_bytes);
            prop_assert!(measured.decoded_bytes <= plan.decoded_bytes, "{} decoded, {} planned", measured.decoded_bytes, plan.decoded_bytes);
        }
        let target = Array::open(&to).unwrap();
        prop_assert_eq!(target.grid(), &ChunkGrid::rectilinear(shape.clone(), b).unwrap());
        prop_assert_eq!(target.read::<u32>(&Region::whole(&shape)).unwrap(), data);
        let mut show = |progress: &Progress| compared = (progress.done_bytes, progress.total_bytes);
        prop_assert!(verify(&from, &to, VerifyOptions::new().progress(&mut show)).unwrap().equal);
        prop_assert_eq!(compared.0, compared.1);
    }
}
