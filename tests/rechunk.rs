//! Rechunking as a property: any array from any layout to any other and back, within any budget that is accepted.
//!
//! Each case holds RCK-1 (every unit once, by the counts of the report) and RCK-3 (nothing is taken that was not leased).
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/trees.rs"]
mod trees;

use std::cell::RefCell;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rezarr::{
    Array, ArrayMetadata, ArrayReport, ChunkSpec, Codecs, DataType, Edge, Error, FillValue, Layout, RechunkOptions, Region, Report, Shards,
    Strategy as Way, VerifyOptions, plan_rechunk, rechunk, verify,
};
use serde_json::{Value, json};

use arrays::{create, edited, elements, indices, mixed, read, set_region};
use trees::{directory, files, names};

/// Files that an array of these tests may have.
const MOST_CHUNKS: u64 = 80;

/// One side of a rechunk: the layout, and a form that other programs may have given it.
#[derive(Clone, Debug)]
struct Side {
    layout: Layout,
    form: u8,
}

#[derive(Clone, Debug)]
struct Case {
    shape: Vec<u64>,
    data_type: DataType,
    fill: Vec<u8>,
    source: Side,
    target: Side,
    /// Of 256 source chunks, how many are missing.
    missing: u8,
    seed: u64,
    threads: usize,
    /// Budget beyond the smallest.
    spare: u64,
}

fn data_types() -> impl Strategy<Value = DataType> {
    let names =
        ["bool", "int8", "uint16", "float16", "int32", "float32", "uint64", "float64", "complex64", "complex128", "r8", "r24", "r56"];
    prop::sample::select(names.to_vec()).prop_map(|name| DataType::from_name(name).unwrap())
}

fn shapes() -> impl Strategy<Value = Vec<u64>> {
    (0_usize..=5).prop_flat_map(|rank| {
        let longest = [1_u64, 1500, 40, 12, 7, 5][rank];
        prop::collection::vec(prop_oneof![12 => 1..=longest, 1 => Just(0)], rank)
    })
}

/// Which side of a rechunk a layout is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Source,
    Target,
}

/// Any layout of an array of `shape`.
fn sides(shape: &[u64], _: End) -> BoxedStrategy<Side> {
    let edges: Vec<_> = shape.iter().map(|&len| prop_oneof![3 => 1..=len.max(1), 1 => 1..=len + 3]).collect();
    sides_of(shape, edges.boxed())
}

/// A layout of slabs, fine along one axis and coarse along the others: an early axis of the source, a late one of the target.
fn slabs(shape: &[u64], end: End) -> BoxedStrategy<Side> {
    let middle = shape.len() / 2;
    let fine = if end == End::Source { 0..middle } else { middle..shape.len() };
    let shape = shape.to_vec();
    let coarse: Vec<_> = shape.iter().map(|&len| prop_oneof![2 => Just(len), 1 => len / 2..len + 9]).collect();
    let lengths = shape.clone();
    let edges = (fine, 15_u64..45, coarse).prop_map(move |(fine, count, mut edges)| {
        edges[fine] = lengths[fine].div_ceil(count);
        edges
    });
    sides_of(&shape, edges.boxed())
}

fn sides_of(shape: &[u64], edges: BoxedStrategy<Vec<u64>>) -> BoxedStrategy<Side> {
    let rank = shape.len();
    let edges = (edges, prop::collection::vec(1_u64..4, rank));
    let shape = shape.to_vec();
    let order = Just((0..rank).collect::<Vec<_>>()).prop_shuffle();
    let compression = prop::sample::select(vec!["", "zstd:1", "gzip:1", "crc32c", "zstd:3,crc32c", "gzip:1,zstd:1,crc32c"]);
    let sides = (edges, order, any::<[bool; 3]>(), compression, 0_u8..6);
    let sides = sides.prop_map(move |((mut chunk_shape, times), order, [sharded, transposed, big], words, form)| {
        while chunk_shape.iter().zip(&shape).map(|(edge, len)| len.div_ceil(*edge)).product::<u64>() > MOST_CHUNKS {
            chunk_shape.iter_mut().for_each(|edge| *edge *= 2);
        }
        let shard_shape = sharded.then(|| chunk_shape.iter().zip(&times).map(|(edge, times)| edge * times).collect());
        let mut codecs: Codecs = if words.is_empty() { Codecs::none() } else { words.parse().unwrap() };
        if big {
            codecs = codecs.with_big_endian();
        }
        if transposed && rank > 0 {
            codecs = codecs.with_transpose(&order).unwrap();
        }
        Side { layout: Layout { chunk_shape, shard_shape, codecs }, form }
    });
    sides.boxed()
}

/// Arrays of a few KiB, which go straight.
fn small_cases() -> impl Strategy<Value = Case> {
    cases(shapes().boxed(), data_types().boxed(), sides)
}

/// Arrays of some MiB whose two layouts cut across each other, so that small budgets shuffle.
fn large_cases() -> impl Strategy<Value = Case> {
    let shapes =
        (2_usize..=4).prop_flat_map(|rank| prop::collection::vec([0, 0, 900_u64, 95, 29][rank]..[0, 0, 1200_u64, 115, 36][rank], rank));
    let data_types = data_types().prop_filter("large elements", |data_type| data_type.item_size() >= 4);
    cases(shapes.boxed(), data_types.boxed(), slabs)
}

fn cases(
    shapes: BoxedStrategy<Vec<u64>>,
    data_types: BoxedStrategy<DataType>,
    sides: fn(&[u64], End) -> BoxedStrategy<Side>,
) -> impl Strategy<Value = Case> {
    (shapes, data_types).prop_flat_map(move |(shape, data_type)| {
        let fill = if data_type == DataType::Bool {
            prop::collection::vec(0_u8..2, 1).boxed()
        } else {
            let size = data_type.item_size();
            prop_oneof![Just(vec![0; size]), prop::collection::vec(any::<u8>(), size)].boxed()
        };
        let missing = prop_oneof![2 => Just(0), 2 => 1_u8..200, 1 => Just(255)];
        let spare = prop_oneof![Just(0), 1_u64..4_000_000, Just(1 << 30)];
        let (source, target) = (sides(&shape, End::Source), sides(&shape, End::Target));
        (Just(shape), Just(data_type), fill, source, target, missing, any::<u64>(), 1_usize..4, spare).prop_map(
            |(shape, data_type, fill, source, target, missing, seed, threads, spare)| Case {
                shape,
                data_type,
                fill,
                source,
                target,
                missing,
                seed,
                threads,
                spare,
            },
        )
    })
}

/// The document of the source: for some forms as other programs write it, sharded in ways that rezarr reads and does not make.
fn source_metadata(case: &Case) -> ArrayMetadata {
    let fill = FillValue::from_bytes(&case.data_type, &case.fill).unwrap();
    let layout = &case.source.layout;
    let metadata = ArrayMetadata::new(case.shape.clone(), case.data_type.clone(), Some(fill), layout).unwrap();
    let Some(shard) = &layout.shard_shape else { return metadata };
    let sharding = |inner: &[u64], codecs: &Value, location: &str| {
        json!({"name": "sharding_indexed", "configuration": {"chunk_shape": inner, "codecs": codecs, "index_location": location,
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}})
    };
    edited(&metadata, |document| {
        let inner = document["codecs"][0]["configuration"]["codecs"].clone();
        match case.source.form {
            0 => document["codecs"] = json!([sharding(&layout.chunk_shape, &inner, "start")]),
            1 => {
                let outer: Vec<u64> = shard.iter().map(|edge| edge * 2).collect();
                document["chunk_grid"]["configuration"]["chunk_shape"] = json!(outer);
                let within = json!([sharding(&layout.chunk_shape, &inner, "start")]);
                document["codecs"] = json!([sharding(shard, &within, "end")]);
            }
            2 => {
                let axes: Vec<usize> = (0..shard.len()).rev().collect();
                let reversed: Vec<u64> = layout.chunk_shape.iter().rev().copied().collect();
                let transpose = json!({"name": "transpose", "configuration": {"order": axes}});
                document["codecs"] = json!([transpose, sharding(&reversed, &inner, "end"), {"name": "crc32c"}]);
            }
            _ => {}
        }
    })
}

/// Options that give the layout.
fn options<'a>(layout: &Layout) -> RechunkOptions<'a> {
    let spec = |edges: &[u64]| ChunkSpec::Positions(edges.iter().map(|&edge| Edge::Elements(edge)).collect());
    let shards = layout.shard_shape.as_ref().map_or(Shards::Remove, |shard| Shards::Of(spec(shard)));
    RechunkOptions::new().chunks(spec(&layout.chunk_shape)).shards(shards).codecs(layout.codecs.clone()).sync(false)
}

fn smallest_budget(source: &Path, layout: &Layout) -> u64 {
    match plan_rechunk(source, &options(layout).memory(1)) {
        Err(Error::BudgetTooSmall { required_bytes, budget_bytes: 1, .. }) => required_bytes,
        other => panic!("a budget of one byte: {other:?}"),
    }
}

/// The smallest budget; for arrays of some MiB one in which chunks are not decoded again and again.
fn budget_for(source: &Path, layout: &Layout, seed: u64) -> u64 {
    let strategy = |budget: u64| plan_rechunk(source, &options(layout).memory(budget)).unwrap()[0].plan.strategy;
    let smallest = smallest_budget(source, layout);
    let large = Array::open(source).unwrap().shape().iter().product::<u64>() > 100_000;
    if !large && seed.is_multiple_of(2) {
        return smallest;
    }
    let budgets = std::iter::successors(Some(smallest), |budget| Some(budget + budget / 2));
    budgets.take(12).find(|&budget| strategy(budget) != Way::ReDecode).unwrap_or(smallest)
}

/// What a rechunk should report, found element by element.
struct Expected {
    decoded_bytes: u64,
    /// Bytes of the elements in stored source units.
    element_bytes: u64,
    /// Whether no element is fill in source units that are stored, and no unit is missing.
    whole: bool,
}

fn expected(source: &Array, data: &[u8]) -> Expected {
    let metadata = source.metadata();
    let (item, fill) = (metadata.data_type().item_size(), metadata.fill_value().as_bytes());
    let grid = source.unit_grid();
    let unit_bytes = grid.chunk_shape().iter().product::<u64>() * item as u64;
    let mut out = Expected { decoded_bytes: 0, element_bytes: 0, whole: !data.chunks(item).any(|element| element == fill) };
    for unit in indices(&grid.counts()) {
        let region = grid.region(&unit);
        let mut any = false;
        for index in indices(region.shape()) {
            let position = (0..index.len()).fold(0, |position, axis| position * source.shape()[axis] + region.start()[axis] + index[axis]);
            let at = usize::try_from(position).unwrap() * item;
            any |= data[at..at + item] != *fill;
        }
        if any {
            out.decoded_bytes += unit_bytes;
            out.element_bytes += region.element_count().unwrap() * item as u64;
        } else {
            out.whole = false;
        }
    }
    out
}

fn check_report(report: &Report, expected: &Expected, source: &Array, target: &Path) {
    let [ArrayReport { plan, measured: Some(measured), .. }] = &report.arrays[..] else { panic!("one array: {report:?}") };
    let stored = files(target);
    assert_eq!(measured.files, stored.len() as u64);
    assert_eq!(measured.written_bytes, stored.values().map(|file| file.len() as u64).sum::<u64>());
    assert!(measured.files <= plan.files && plan.memory_bytes <= plan.budget_bytes && measured.encoded_bytes <= plan.encoded_bytes);
    assert!(measured.decoded_bytes <= plan.decoded_bytes && measured.spilled_bytes <= plan.spilled_bytes);
    if plan.strategy == Way::PassThrough {
        assert_eq!((measured.decoded_bytes, measured.encoded_bytes, plan.decoded_bytes), (0, 0, 0));
        return;
    }
    let unit_bytes = source.unit_grid().chunk_shape().iter().product::<u64>() * source.data_type().item_size() as u64;
    match plan.strategy {
        Way::PartialReads => assert_eq!(measured.decoded_bytes, expected.element_bytes, "every stored element once"),
        Way::ReDecode => assert!(measured.decoded_bytes >= expected.decoded_bytes, "every stored unit at least once"),
        _ => assert_eq!(measured.decoded_bytes, expected.decoded_bytes, "every stored unit once"),
    }
    if plan.strategy != Way::PartialReads {
        assert_eq!(measured.decoded_chunks * unit_bytes, measured.decoded_bytes);
    }
    assert_eq!(measured.spilled_bytes, expected.element_bytes * plan.levels);
    if expected.whole {
        assert_eq!((measured.decoded_bytes, measured.encoded_bytes), (plan.decoded_bytes, plan.encoded_bytes));
        assert_eq!(measured.files, plan.files);
    }
}

/// Rechunks a case there and back in an empty directory; returns how it went there.
fn run(case: &Case, root: &Path) -> Way {
    let path = |name: &str| root.join(name);
    let metadata = source_metadata(case);
    let mut data = elements(&metadata, case.seed);
    let grid = metadata_grid(&metadata);
    for (position, unit) in indices(&grid.counts()).iter().enumerate() {
        if mixed(case.seed ^ !(position as u64)).to_le_bytes()[0] < case.missing {
            set_region(&mut data, &case.shape, &grid.region(unit), &case.fill);
        }
    }
    let source = create(&path("a"), metadata.with_dimension_names(Some(vec![None; case.shape.len()])).unwrap(), &data);
    let expected = expected(&source, &data);

    let budget = budget_for(&path("a"), &case.target.layout, case.seed);
    let forth = options(&case.target.layout).threads(case.threads).memory(budget.saturating_add(case.spare));
    let report = rechunk(path("a"), Some(&path("b")), forth).unwrap();
    check_report(&report, &expected, &source, &path("b"));
    assert_eq!(read(&path("b")), data);
    let target = Array::open(path("b")).unwrap();
    let (got, wanted) = (target.metadata().layout(), &case.target.layout);
    assert_eq!((&got.chunk_shape, &got.shard_shape), (&wanted.chunk_shape, &wanted.shard_shape));
    // Elements of one byte have no byte order.
    assert!(got.codecs == wanted.codecs || case.data_type.swap_size() == 1, "{} for {}", got.codecs, wanted.codecs);
    assert_eq!(target.metadata().fill_value(), source.metadata().fill_value());

    let back = options(&case.source.layout).threads(case.threads).memory(budget_for(&path("b"), &case.source.layout, case.seed));
    rechunk(path("b"), Some(&path("c")), back).unwrap();
    assert_eq!(read(&path("c")), data);
    if case.source.layout.shard_shape.is_none() || case.source.form > 2 {
        assert_eq!(files(&path("c"))["zarr.json"], files(&path("a"))["zarr.json"]);
    }
    let options = || VerifyOptions::new().threads(case.threads).spill_dir(root);
    let Err(Error::BudgetTooSmall { required_bytes, .. }) = verify(path("a"), path("b"), options().memory(1)) else { panic!("one byte") };
    let verdict = verify(path("a"), path("b"), options().memory(required_bytes.max(budget + (4 << 20)))).unwrap();
    assert!(verdict.equal, "{verdict:?}");
    assert!(verdict.decoded_bytes >= expected.element_bytes);
    assert_eq!(names(root), ["a", "b", "c"]);
    report.arrays[0].plan.strategy
}

fn metadata_grid(metadata: &ArrayMetadata) -> rezarr::ChunkGrid {
    rezarr::ChunkGrid::regular(metadata.shape(), metadata.layout().chunk_shape).unwrap()
}

/// Runs a property on so many cases, or as many as the environment says. Trees are removed at the end of all cases, since some file
/// systems make new files slowly right after old ones were removed.
fn hunt(count: u32, cases: impl Strategy<Value = Case>) -> Vec<Way> {
    let root = directory();
    let strategies = RefCell::new(Vec::new());
    let mut config = ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = count;
    }
    let outcome = TestRunner::new(config).run(&cases, |case| {
        let directory = tempfile::tempdir_in(&root).unwrap().keep();
        let strategy = run(&case, &directory);
        strategies.borrow_mut().push(strategy);
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    strategies.into_inner()
}

#[test]
fn there_and_back_is_the_identity() {
    hunt(if cfg!(debug_assertions) { 60 } else { 200 }, small_cases());
}

#[test]
fn there_and_back_through_the_spill_file_is_the_identity() {
    let strategies = hunt(if cfg!(debug_assertions) { 4 } else { 16 }, large_cases());
    assert!(strategies.contains(&Way::Shuffle), "{strategies:?}");
}

/// The first element that differs, as `verify` says it.
#[test]
fn verify_names_the_first_element_that_differs() {
    let root = directory();
    let layout = arrays::layout(&[3, 4], None, "zstd:1");
    let metadata = arrays::metadata(&[10, 9], "int32", "-1", &layout);
    let data = elements(&metadata, 1);
    create(&root.path().join("a"), metadata.clone(), &data);
    for (index, position) in [([0, 0], 0), ([4, 7], 43), ([9, 8], 89)] {
        let other = root.path().join(format!("b{position}"));
        rechunk(root.path().join("a"), Some(&other), RechunkOptions::new().chunks([4, 2]).sync(false)).unwrap();
        let array = Array::open(&other).unwrap();
        array.write(&Region::new(index, [1, 1]).unwrap(), &[7_i32]).unwrap();
        for (a, b) in [("a", format!("b{position}")), (&*format!("b{position}"), String::from("a"))] {
            let verdict = verify(root.path().join(a), root.path().join(b), VerifyOptions::new().spill_dir(root.path())).unwrap();
            assert_eq!(verdict.differences, [format!("/: elements differ, the first found at {index:?}")]);
        }
    }
}
