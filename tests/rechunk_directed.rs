//! Rechunks of some tens of MiB under small budgets: each strategy, blocks, records in parts, partitions across shards, threads and budgets.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/trees.rs"]
mod trees;

use std::path::Path;

use rezarr::{
    Array, ChunkSpec, Edge, Error, Measured, Plan, RechunkOptions, Region, Report, Shards, Strategy, VerifyOptions, plan_rechunk, rechunk,
    verify,
};

use arrays::{create, elements, layout, metadata, read};
use trees::{directory, files, names};

const MIB: u64 = 1 << 20;

/// A rechunk with what it should be like.
struct Case<'a> {
    data_type: &'a str,
    shape: &'a [u64],
    source: &'a [u64],
    target: &'a [u64],
    shard: Option<&'a [u64]>,
    /// Codecs of the source, and of the target.
    stored: &'a str,
    codecs: &'a str,
    budget: u64,
    threads: usize,
}

fn options<'a>(case: &Case<'_>) -> RechunkOptions<'a> {
    let shards =
        case.shard.map_or(Shards::Remove, |shard| Shards::Of(ChunkSpec::Positions(shard.iter().map(|&n| Edge::Elements(n)).collect())));
    RechunkOptions::new()
        .chunks(case.target.to_vec())
        .shards(shards)
        .codecs(case.codecs.parse().unwrap())
        .memory(case.budget)
        .threads(case.threads)
        .sync(false)
}

fn only(report: &Report) -> (&Plan, &Measured) {
    let [array] = &report.arrays[..] else { panic!("one array: {report:?}") };
    (&array.plan, array.measured.as_ref().unwrap())
}

/// Rechunks, compares all elements, and checks figures that hold for any array without missing chunks; the report is for the caller.
fn run(case: &Case<'_>) -> Report {
    let root = directory();
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    let metadata = metadata(case.shape, case.data_type, "0", &layout(case.source, None, case.stored));
    let data = elements(&metadata, 7);
    create(&from, metadata, &data);
    let report = rechunk(&from, Some(&to), options(case)).unwrap();
    assert!(read(&to) == data, "elements differ");
    let (plan, measured) = only(&report);
    assert!(plan.memory_bytes <= case.budget);
    assert_eq!((measured.decoded_bytes, measured.encoded_bytes), (plan.decoded_bytes, plan.encoded_bytes));
    assert_eq!((measured.files, measured.spilled_bytes), (plan.files, plan.spilled_bytes));
    assert!(measured.spill_file_bytes >= measured.spilled_bytes);
    let verdict =
        verify(&from, &to, VerifyOptions::new().memory(2 * case.budget + 8 * MIB).threads(case.threads).spill_dir(root.path())).unwrap();
    assert!(verdict.equal, "{verdict:?}");
    assert_eq!(names(root.path()), ["a", "b"]);
    report
}

const CURVES: Case<'static> = Case {
    data_type: "float32",
    shape: &[6000, 256, 2, 2],
    source: &[6000, 1, 2, 2],
    target: &[100, 256, 2, 2],
    shard: None,
    stored: "none",
    codecs: "zstd:1",
    budget: 8 * MIB,
    threads: 2,
};

#[test]
fn light_curves_are_shuffled() {
    let report = run(&CURVES);
    let (plan, measured) = only(&report);
    assert_eq!(plan.strategy, Strategy::Shuffle);
    assert_eq!(measured.spilled_bytes, 6000 * 256 * 16);
}

#[test]
fn nested_chunks_go_straight() {
    for (source, target) in [([32, 32, 32], [64, 64, 64]), ([64, 64, 64], [32, 16, 64])] {
        let case = Case { shape: &[128, 192, 160], source: &source, target: &target, data_type: "int16", budget: 24 * MIB, ..CURVES };
        assert_eq!(only(&run(&case)).0.strategy, Strategy::Direct);
    }
}

#[test]
fn coprime_edges_go_straight_along_one_axis() {
    let case = Case {
        shape: &[1_000_000],
        source: &[10_007],
        target: &[9973],
        shard: Some(&[9973 * 7]),
        data_type: "complex128",
        budget: 8 * MIB,
        threads: 3,
        ..CURVES
    };
    assert_eq!(only(&run(&case)).0.strategy, Strategy::Direct);
}

#[test]
fn blocks_are_shuffled_one_after_another() {
    let case = Case { shape: &[1024, 8192], source: &[1, 4096], target: &[512, 32], budget: 6 * MIB, stored: "zstd:1", ..CURVES };
    let report = run(&case);
    let plan = only(&report).0;
    assert_eq!((plan.strategy, &plan.block[..]), (Strategy::Shuffle, &[512, 4096][..]));
}

#[test]
fn blocks_at_the_edge_are_smaller() {
    let case = Case {
        data_type: "float64",
        shape: &[901, 5003],
        source: &[3, 2048],
        target: &[600, 32],
        budget: 6 * MIB,
        stored: "crc32c",
        codecs: "big",
        ..CURVES
    };
    let report = run(&case);
    let plan = only(&report).0;
    assert_eq!((plan.strategy, &plan.block[..]), (Strategy::Shuffle, &[600, 2048][..]));
}

#[test]
fn large_pieces_travel_in_parts() {
    // A piece is at least 2^17 elements of 2 bytes, and a record holds less than 2^18 bytes.
    let case = Case {
        shape: &[16, 1 << 20],
        source: &[1, 1 << 20],
        target: &[16, 1 << 18],
        data_type: "uint16",
        budget: 20 * MIB,
        stored: "crc32c",
        codecs: "big",
        ..CURVES
    };
    let report = run(&case);
    let (plan, measured) = only(&report);
    assert_eq!(plan.strategy, Strategy::Shuffle);
    // Each record adds 16 bytes to the spill file: more of them than there are pieces.
    let pieces = 16 * plan.partition_count;
    assert!(measured.spill_file_bytes - measured.spilled_bytes >= 16 * 2 * pieces, "{measured:?}");
}

#[test]
fn transposed_pieces_travel_in_parts() {
    let case = Case {
        shape: &[5, 1200, 1100],
        source: &[1, 1200, 1100],
        target: &[5, 601, 1100],
        data_type: "float32",
        budget: 22 * MIB,
        codecs: "transpose:2-0-1,big",
        ..CURVES
    };
    assert_eq!(only(&run(&case)).0.strategy, Strategy::Shuffle);
}

#[test]
fn partitions_span_shards_and_shards_span_partitions() {
    let shape = [64, 65536];
    let spanning =
        Case { shape: &shape, source: &[1, 65536], target: &[64, 16], shard: Some(&[64, 32]), budget: 6 * MIB, stored: "crc32c", ..CURVES };
    let report = run(&spanning);
    let plan = only(&report).0;
    assert_eq!(plan.strategy, Strategy::Shuffle);
    assert!(plan.partition[1] > 32, "{plan:?}");
    let spanned = Case { shard: Some(&[64, 65536]), ..spanning };
    let report = run(&spanned);
    let plan = only(&report).0;
    assert_eq!((plan.strategy, plan.files), (Strategy::Shuffle, 2));
    assert!(plan.partition_count > 1);
}

#[test]
fn the_smallest_budget_works_and_the_one_below_is_refused() {
    let root = directory();
    let from = root.path().join("a");
    let metadata = metadata(CURVES.shape, "float32", "nan", &layout(CURVES.source, None, "zstd:1"));
    let mut data = elements(&metadata, 3);
    // Half of the epochs are missing.
    for object in data.chunks_exact_mut(256 * 16) {
        object.chunks_exact_mut(4).take(128 * 4).for_each(|value| value.copy_from_slice(&f32::NAN.to_le_bytes()));
    }
    create(&from, metadata, &data);
    let Err(Error::BudgetTooSmall { required_bytes, .. }) = plan_rechunk(&from, &options(&CURVES).memory(1)) else { panic!("one byte") };
    assert!(required_bytes < 24 * MIB, "far less than the array: {required_bytes}");
    let target = |name: &str| root.path().join(name);
    let below = rechunk(&from, Some(&target("b")), options(&CURVES).memory(required_bytes - 8192));
    assert!(matches!(below, Err(Error::BudgetTooSmall { required_bytes: again, .. }) if again == required_bytes), "{below:?}");
    assert_eq!(names(root.path()), ["a"]);
    let report = rechunk(&from, Some(&target("b")), options(&CURVES).memory(required_bytes)).unwrap();
    let (plan, measured) = only(&report);
    assert_eq!((measured.decoded_bytes, measured.decoded_chunks), (plan.decoded_bytes / 2, plan.visits / 2));
    assert!(read(&target("b")) == data);
    rechunk(target("b"), Some(&target("c")), options(&CURVES).chunks(CURVES.source.to_vec())).unwrap();
    assert_eq!(files(&target("c")), files(&from), "there and back, file by file");
}

/// RCK-6.
#[test]
fn threads_and_budgets_change_nothing_in_the_result() {
    let root = directory();
    let from = root.path().join("a");
    let metadata = metadata(&[500, 128, 70], "int32", "-7", &layout(&[500, 1, 70], None, "gzip:1"));
    let mut data = elements(&metadata, 5);
    data[..4_000_000].chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&(-7_i32).to_le_bytes()));
    create(&from, metadata, &data);
    for (name, shard) in [("plain", None), ("sharded", Some(&[400, 128, 35][..]))] {
        let mut first = None;
        let mut strategies = Vec::new();
        for (budget, threads) in [(5, 1), (5, 2), (9, 1), (9, 2), (64, 1), (64, 2), (64, 3)] {
            let to = root.path().join(format!("{name}-{budget}-{threads}"));
            let case = Case { target: &[50, 128, 7], shard, budget: budget * MIB, threads, ..CURVES };
            strategies.push(only(&rechunk(&from, Some(&to), options(&case).fill("3")).unwrap()).0.strategy);
            assert!(read(&to) == data, "{to:?}");
            let mut stored = files(&to);
            if shard.is_some() {
                // The order of inner chunks in a shard is that of their completion.
                stored.retain(|key, _| key == "zarr.json");
            }
            let first = first.get_or_insert_with(|| stored.clone());
            assert!(*first == stored, "{to:?} differs from the first");
        }
        assert!(strategies.contains(&Strategy::Shuffle) && strategies.contains(&Strategy::Direct), "{strategies:?}");
    }
}

#[test]
fn scalars_and_empty_arrays_are_rechunked() {
    for shape in [&[][..], &[0][..], &[3, 0, 2][..]] {
        let root = directory();
        let (from, to) = (root.path().join("a"), root.path().join("b"));
        let ones = vec![1; shape.len()];
        let metadata = metadata(shape, "float64", "nan", &layout(&ones, None, "none"));
        let data = elements(&metadata, 1);
        create(&from, metadata, &data);
        let twos = vec![2; shape.len()];
        rechunk(&from, Some(&to), RechunkOptions::new().chunks(twos.clone()).codecs("zstd".parse().unwrap()).sync(false)).unwrap();
        assert_eq!(read(&to), data);
        assert_eq!(Array::open(&to).unwrap().metadata().chunk_shape(), twos);
        assert!(verify(&from, &to, VerifyOptions::new().spill_dir(root.path())).unwrap().equal);
    }
}

#[test]
fn what_is_compared_is_bits() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    let make = |name: &str, values: [f32; 4]| {
        let array = Array::create(path(name), metadata(&[4], "float32", "nan", &layout(&[3], None, "none"))).unwrap();
        array.write(&Region::whole(&[4]), &values).unwrap();
    };
    make("a", [f32::NAN, 0.0, 1.0, -0.0]);
    make("same", [f32::NAN, 0.0, 1.0, -0.0]);
    make("zero", [f32::NAN, 0.0, 1.0, 0.0]);
    make("nan", [f32::from_bits(0x7fc0_0001), 0.0, 1.0, -0.0]);
    let compare = |a: &str, b: &str| verify(path(a), path(b), VerifyOptions::new().spill_dir(root.path())).unwrap();
    assert!(compare("a", "same").equal);
    assert_eq!(compare("a", "zero").differences, ["/: elements differ, the first found at [3]"]);
    assert_eq!(compare("a", "nan").differences, ["/: elements differ, the first found at [0]"], "another NaN");
    rechunk(path("a"), Some(Path::new(&path("b"))), RechunkOptions::new().chunks([2]).fill("0.0").sync(false)).unwrap();
    assert!(compare("a", "b").equal, "another fill value");
}
