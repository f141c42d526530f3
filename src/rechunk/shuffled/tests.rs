//! Tests of the executor of shuffles against their plans: any number of levels, over random shapes, grids and budgets.

use std::sync::Arc;

use proptest::prelude::*;

use crate::array::Array;
use crate::codec::Codecs;
use crate::dtype::DataType;
use crate::metadata::{ArrayMetadata, DOCUMENT, Layout};
use crate::rechunk::becoming::Taken;
use crate::rechunk::execute::Control;
use crate::rechunk::plan::{Costs, Moves, Plan, Problem, Steps, by_shuffle};
use crate::rechunk::report::Measured;
use crate::rechunk::resume::attempts::{Ends, in_attempts};
use crate::rechunk::run::{problem, run};
use crate::region::{Region, element_count};
use crate::store::{Key, MemoryStore};

/// The smallest segments that there are.
const SEGMENT_BYTES: usize = 2048;

fn document(shape: &[u64], unit: &[u64], shard: Option<Vec<u64>>, codecs: &str) -> ArrayMetadata {
    let layout = Layout { chunk_shape: unit.to_vec(), shard_shape: shard, codecs: codecs.parse::<Codecs>().unwrap() };
    ArrayMetadata::new(shape, DataType::parse("uint16").unwrap(), None, &layout).unwrap()
}

/// An array of numbers that are not its fill value.
fn source(metadata: ArrayMetadata) -> (Array, Vec<u16>) {
    let array = Array::create_in(Arc::new(MemoryStore::new()), Key::root(), metadata).unwrap();
    let data: Vec<u16> = (0..element_count(array.shape()).unwrap()).map(|n| (n % 65_521) as u16 + 1).collect();
    array.write(&Region::whole(array.shape()), &data).unwrap();
    (array, data)
}

/// The least budget in which a shuffle is possible.
fn smallest_budget(problem: &Problem, threads: usize) -> u64 {
    let (mut too_small, mut enough) = (0, 1 << 30);
    while enough - too_small > 1 {
        let middle = (too_small + enough) / 2;
        if by_shuffle(problem, middle, threads).is_some() { enough = middle } else { too_small = middle }
    }
    enough
}

/// Which sides must be streams, where their units are large enough.
#[derive(Clone, Copy, Debug, Default)]
struct Giants {
    source: bool,
    target: bool,
}

/// The plan of a shuffle within `spare` bytes more than the smallest budget.
fn plan(source: &Array, to: &ArrayMetadata, spare: u64, threads: usize, giants: Giants) -> Plan {
    let target = Array::with_metadata(Arc::new(MemoryStore::new()), Key::root(), to.clone()).unwrap();
    let problem = problem(source, &target, &Region::whole(source.shape()), &Costs::default());
    let mut problem = Problem { least_segment_bytes: SEGMENT_BYTES, moves: Moves::Nothing, ..problem };
    let giant = |bytes: u64| bytes > SEGMENT_BYTES as u64;
    let giants =
        Giants { source: giants.source && giant(problem.source.unit_bytes), target: giants.target && giant(problem.target.unit_bytes) };
    // Whole units take more than there is.
    problem.reader_bytes += if giants.source { 1 << 40 } else { 0 };
    problem.writer_bytes += if giants.target { 1 << 40 } else { 0 };
    let budget = smallest_budget(&problem, threads) + spare;
    let plan = by_shuffle(&problem, budget, threads).unwrap();
    assert!(plan.memory_bytes <= budget);
    let Steps::Shuffle(sort) = &plan.steps else { panic!("no shuffle") };
    assert!((sort.granule.is_some() || !giants.source) && (sort.streamed || !giants.target), "{giants:?}: {plan:?}");
    plan
}

/// Runs a shuffle within `spare` bytes more than the smallest budget, and compares plan and result, and the elements.
fn shuffle(from: ArrayMetadata, to: &ArrayMetadata, spare: u64, threads: usize, giants: Giants) -> (Plan, Measured) {
    let (source, data) = source(from);
    let plan = plan(&source, to, spare, threads, giants);
    let store = Arc::new(MemoryStore::new());
    let target = Array::with_metadata(store.clone(), Key::root(), to.clone()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let control = Control::new(None);
    let document = Key::new(DOCUMENT).unwrap();
    let measured = run(&Taken::whole(&source), (&target, &document), &plan, directory.path(), &control).unwrap();
    let written = Array::open_in(store, Key::root()).unwrap();
    assert!(written.read::<u16>(&Region::whole(written.shape())).unwrap() == data, "elements differ");
    assert_eq!((measured.decoded_bytes, measured.encoded_bytes), (plan.decoded_bytes, plan.encoded_bytes));
    assert_eq!(measured.spilled_bytes, plan.spilled_bytes, "{plan:?}");
    assert_eq!(plan.spilled_bytes, plan.levels * 2 * element_count(target.shape()).unwrap());
    assert!(measured.files <= plan.files);
    (plan, measured)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 96 } else { 1000 }))]

    /// RCK-20, RCK-21: what a plan says of levels and spilled bytes is what is done.
    #[test]
    fn plans_of_any_number_of_levels_are_exact(
        axes in prop::collection::vec((1_u64..60, 1_u64..20, 1_u64..8, 1_u64..8), 1..4),
        sharded in any::<bool>(),
        codecs in prop::sample::select(vec!["none", "transpose:reverse", "gzip:1"]),
        spare in prop_oneof![Just(0_u64), 0_u64..5000, 0_u64..100_000],
        threads in 1_usize..4,
    ) {
        let [shape, source_unit, unit, shard] =
            [0, 1, 2, 3].map(|i| axes.iter().map(|a| [a.0, a.1, a.2, a.2 * a.3][i]).collect::<Vec<u64>>());
        let reverse = (0..axes.len()).rev().map(|axis| axis.to_string()).collect::<Vec<_>>().join("-");
        let codecs = codecs.replace("reverse", &reverse);
        let from = document(&shape, &source_unit, None, "none");
        shuffle(from, &document(&shape, &unit, sharded.then_some(shard), &codecs), spare, threads, Giants::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 64 } else { 1000 }))]

    /// RCK-22: units larger than the budget come and go slab after slab, whatever their grids and the order of their axes.
    #[test]
    fn giants_are_streamed(
        axes in prop::collection::vec((1_u64..70, 1_u64..60, 1_u64..60, 1_u64..3), 1..4),
        sharded in any::<bool>(),
        codecs in prop::sample::select(vec![("none", "none"), ("zstd:1", "gzip:1"), ("transpose", "zstd:1"), ("none", "transpose"), ("gzip:1,crc32c", "none")]),
        spare in prop_oneof![Just(0_u64), 0_u64..5000, 0_u64..100_000],
        threads in 1_usize..4,
        giants in (any::<bool>(), any::<bool>()),
    ) {
        let [shape, source_unit, unit, shard] =
            [0, 1, 2, 3].map(|i| axes.iter().map(|a| [a.0, a.1, a.2, a.2 * a.3][i]).collect::<Vec<u64>>());
        let reverse = (0..axes.len()).rev().map(|axis| axis.to_string()).collect::<Vec<_>>().join("-");
        let named = |codecs: &str| codecs.replace("transpose", &format!("transpose:{reverse}"));
        let from = document(&shape, &source_unit, None, &named(codecs.0));
        let to = document(&shape, &unit, sharded.then_some(shard), &named(codecs.1));
        shuffle(from, &to, spare, threads, Giants { source: giants.0, target: giants.1 });
    }
}

/// RCK-20: a budget in which the fewest levels leave too small a slab, though more of them do not.
#[test]
fn a_little_more_memory_is_not_too_little() {
    let from = || document(&[15, 21, 4], &[2, 6, 4], None, "none");
    let to = document(&[15, 21, 4], &[7, 4, 2], Some(vec![21, 20, 2]), "none");
    for spare in (0..4096).step_by(128) {
        shuffle(from(), &to, spare, 3, Giants::default());
    }
}

/// SPL-8: three levels and more, with records that travel in parts and are cut again at each.
#[test]
fn many_levels_sort_what_one_does() {
    let shape = [256, 1024];
    let from = || document(&shape, &[1, 1024], None, "none");
    let (small, large) = (document(&shape, &[256, 2], None, "none"), document(&shape, &[256, 2], Some(vec![256, 14]), "none"));
    let mut seen = Vec::new();
    for target in [small, large] {
        for spare in [0, 4000, 20_000, 1 << 20] {
            let (plan, measured) = shuffle(from(), &target, spare, 1, Giants::default());
            let Steps::Shuffle(sort) = &plan.steps else { panic!("no shuffle") };
            assert_eq!((sort.levels.len() as u64, sort.levels.last()), (plan.levels, Some(&plan.partition)));
            // Records that are 4 bytes with 16 of framing.
            assert!(measured.spill_file_bytes < 8 * measured.spilled_bytes);
            seen.push(plan.levels);
        }
    }
    assert!(seen.contains(&1) && seen.iter().any(|&levels| levels >= 3), "{seen:?}");
}

/// JRN-6: a shuffle of any number of levels is killed anywhere and gone on with; the power may go with it.
fn in_parts(from: ArrayMetadata, to: &ArrayMetadata, spare: u64, threads: usize, giants: Giants, ends: &Ends) -> u64 {
    let (source, data) = source(from);
    let plan = plan(&source, to, spare, threads, giants);
    let taken = Taken::whole(&source);
    let whole = in_attempts(&taken, to, &plan, &Ends { stops: Vec::new(), ..ends.clone() });
    let stops = ends.stops.iter().map(|part| (part * whole.operations) >> 16).collect();
    let parts = in_attempts(&taken, to, &plan, &Ends { stops, ..ends.clone() });
    for outcome in [&whole, &parts] {
        assert!(outcome.target.read::<u16>(&Region::whole(to.shape())).unwrap() == data, "elements differ");
    }
    assert_eq!(parts.keys, whole.keys);
    parts.resumed
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(debug_assertions) { 24 } else { 600 }) })]

    #[test]
    fn levels_and_giants_are_gone_on_with(
        axes in prop::collection::vec((1_u64..70, 1_u64..60, 1_u64..60, 1_u64..3), 1..4),
        small in any::<bool>(),
        sharded in any::<bool>(),
        codecs in prop::sample::select(vec![("none", "none"), ("zstd:1", "gzip:1"), ("none", "transpose")]),
        spare in prop_oneof![Just(0_u64), 0_u64..5000, 0_u64..100_000],
        threads in 1_usize..4,
        giants in (any::<bool>(), any::<bool>()),
        every in 500_u64..20_000,
        stops in prop::collection::vec(0_u64..1 << 16, 1..4),
        power_cut in prop::option::of(any::<u64>()),
    ) {
        let cut = |edge: u64| if small { 1 + edge % 7 } else { edge };
        let [shape, source_unit, unit, shard] = [0, 1, 2, 3]
            .map(|i| axes.iter().map(|a| [a.0, cut(a.1), cut(a.2), cut(a.2) * a.3][i]).collect::<Vec<u64>>());
        let reverse = (0..axes.len()).rev().map(|axis| axis.to_string()).collect::<Vec<_>>().join("-");
        let named = |codecs: &str| codecs.replace("transpose", &format!("transpose:{reverse}"));
        let from = document(&shape, &source_unit, None, &named(codecs.0));
        let to = document(&shape, &unit, sharded.then_some(shard), &named(codecs.1));
        let ends = Ends { every, stops, power_cut };
        in_parts(from, &to, spare, threads, Giants { source: giants.0, target: giants.1 }, &ends);
    }
}

/// JRN-6: most stops of a large shuffle are gone on from, whichever phase they are in.
#[test]
fn every_phase_is_gone_on_from() {
    let shape = [256, 256];
    for (levels, spare) in [(1, 1 << 20), (2, 0)] {
        let from = || document(&shape, &[1, 256], None, "none");
        let to = document(&shape, &[256, 2], None, "none");
        let resumed: u64 = (1..20)
            .map(|part| {
                let ends = Ends { every: 10_000, stops: vec![(part << 16) / 20], power_cut: None };
                in_parts(from(), &to, spare, 2, Giants::default(), &ends)
            })
            .sum();
        assert!(resumed >= 15, "{levels} levels: {resumed} of 19");
    }
}
