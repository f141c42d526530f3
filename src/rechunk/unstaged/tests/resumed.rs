//! Every strategy, killed anywhere and gone on with.

use super::*;
use crate::grid::{ChunkGrid, EdgeRuns, Edges};
use crate::rechunk::plan::{Costs, plan};
use crate::rechunk::resume::attempts::{Ends, Outcome, in_attempts};
use crate::rechunk::run::problem;

const WAYS: [Way; 5] = [Way::Direct, Way::Shuffle, Way::PartialReads, Way::ReDecode, Way::PartialWrites];

/// Where attempts end, as parts of 2^16 of what there is.
#[derive(Clone, Debug)]
struct Cuts {
    every: u64,
    stops: Vec<u64>,
    power_cut: Option<u64>,
}

fn cuts() -> impl Strategy<Value = Cuts> {
    (1_u64..20_000, prop::collection::vec(0_u64..1 << 16, 1..4), prop::option::of(any::<u64>()))
        .prop_map(|(every, stops, power_cut)| Cuts { every, stops, power_cut })
}

/// Runs a plan at once, and in attempts, and compares the two; returns what came of both.
fn compare(array: &Array, data: &[u8], metadata: &ArrayMetadata, plan: &Plan, cuts: &Cuts) -> (Outcome, Outcome) {
    let taken = Taken::whole(array);
    let whole = in_attempts(&taken, metadata, plan, &Ends { every: cuts.every, stops: Vec::new(), power_cut: None });
    let stops = cuts.stops.iter().map(|part| (part * whole.operations) >> 16).collect();
    let parts = in_attempts(&taken, metadata, plan, &Ends { every: cuts.every, stops, power_cut: cuts.power_cut });
    assert!(whole.target.read_bytes(&Region::whole(array.shape())).unwrap() == data, "elements differ without a stop");
    assert!(parts.target.read_bytes(&Region::whole(array.shape())).unwrap() == data, "elements differ");
    assert_eq!(parts.keys, whole.keys, "something is left, or missing");
    (whole, parts)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(debug_assertions) { 80 } else { 1000 }) })]

    /// JRN-2, JRN-5, JRN-6, JRN-9: whatever an attempt was doing when it was killed, the next one ends with the same array; power cuts as well.
    #[test]
    fn an_array_comes_out_whole(
        case in cases(&["none", "zstd:1", "crc32c"], &["none", "zstd:1", "crc32c"]),
        way in prop::sample::select(&WAYS[..]),
        cuts in cuts(),
    ) {
        let (array, data, _) = source(&case, Arc::new(MemoryStore::new()));
        let planned = |budget: u64| plan_array_by(&array, &options(&case).memory(budget), way).unwrap();
        let Some(smallest) = (10..40).map(|power| 1 << power).find(|&budget| planned(budget).is_some()) else { return Ok(()) };
        let (metadata, plan) = planned(smallest + case.spare).unwrap();
        compare(&array, &data, &metadata, &plan, &cuts);
    }
}

/// JRN-2: what is done again is at most what lies between two checkpoints, and what was in work.
#[test]
fn little_is_done_again() {
    let layout = |chunk: &[u64]| Layout { chunk_shape: chunk.to_vec(), shard_shape: None, codecs: Codecs::none() };
    let metadata = |chunk: &[u64]| ArrayMetadata::new([512, 1024], DataType::UInt16, None, &layout(chunk)).unwrap();
    let array = Array::create_in(Arc::new(MemoryStore::new()), Key::root(), metadata(&[2, 1024])).unwrap();
    let data: Vec<u8> = (0..2 * 512 * 1024).map(|i| mixed(i).to_le_bytes()[0] | 1).collect();
    array.write_bytes(&Region::whole(array.shape()), &data).unwrap();
    let spec = ChunkSpec::Positions(vec![Edge::Elements(512), Edge::Elements(4)]);
    for way in [Way::Shuffle, Way::PartialReads, Way::ReDecode] {
        let options = |budget: u64| RechunkOptions::new().chunks(spec.clone()).threads(2).memory(budget);
        let planned = |budget: u64| plan_array_by(&array, &options(budget), way).unwrap();
        let smallest = (10..40).map(|power| 1 << power).find(|&budget| planned(budget).is_some()).unwrap();
        let (target, plan) = planned(smallest).unwrap();
        let every = 100_000;
        let mut most_resumed = 0;
        for part in 1..10 {
            let cuts = Cuts { every, stops: vec![(part << 16) / 10], power_cut: None };
            let (whole, parts) = compare(&array, &data, &target, &plan, &cuts);
            most_resumed += parts.resumed;
            // Two units in work, each with its records, and what is in the largest box.
            let in_work = 2 * 2 * 4096 + 4 * 256 * 16 + 4 * plan.partition.iter().product::<u64>();
            let bound = whole.bytes + every + in_work;
            assert!(parts.bytes <= bound, "{way}: {} bytes, where {} are written at once; {} would do", parts.bytes, whole.bytes, bound);
        }
        assert!(most_resumed >= 7, "{way}: of 9 stops {most_resumed} were gone on from; {plan}");
    }
}

/// JRN-5: boxes of rectilinear grids, and chunks that move as they are stored.
#[test]
fn gathered_and_moved_chunks_are_gone_on_with() {
    let layout = |chunk: &[u64], shard: Option<&[u64]>| Layout {
        chunk_shape: chunk.to_vec(),
        shard_shape: shard.map(<[u64]>::to_vec),
        codecs: "gzip:1".parse().unwrap(),
    };
    let metadata = |layout: &Layout| ArrayMetadata::new([40, 30], DataType::UInt8, None, layout).unwrap();
    let array = Array::create_in(Arc::new(MemoryStore::new()), Key::root(), metadata(&layout(&[4, 5], None))).unwrap();
    let data: Vec<u8> = (0..40 * 30).map(|i| mixed(i).to_le_bytes()[0] | 1).collect();
    array.write_bytes(&Region::whole(array.shape()), &data).unwrap();
    let edges = vec![Edges::List(EdgeRuns::new([3, 7, 1, 9, 20].map(|edge| (edge, 1))).unwrap()), Edges::Repeat(7)];
    let rectilinear = metadata(&layout(&[20, 7], None)).with_chunk_grid(ChunkGrid::rectilinear([40, 30], edges).unwrap()).unwrap();
    let targets = [
        (rectilinear, Way::Gather),
        (metadata(&layout(&[4, 5], None)), Way::PassThrough),
        (metadata(&layout(&[4, 5], Some(&[8, 10]))), Way::PassThrough),
    ];
    for (target, way) in targets {
        let shown = Array::with_metadata(Arc::new(MemoryStore::new()), Key::root(), target.clone()).unwrap();
        let problem = problem(&array, &shown, &Region::whole(array.shape()), &Costs::default());
        let plan = plan(&problem, 8 << 20, 2).unwrap();
        assert_eq!(plan.strategy, way);
        let mut resumed = 0;
        for part in 1..20 {
            for power_cut in [None, Some(part)] {
                let cuts = Cuts { every: 100, stops: vec![(part << 16) / 20, (part << 16) / 25], power_cut };
                resumed += compare(&array, &data, &target, &plan, &cuts).1.resumed;
            }
        }
        assert!(resumed > 20, "{way}: {resumed}");
    }
}

/// JRN-5: a gather into shards that are larger than its boxes comes to its end, however often a checkpoint would be due.
#[test]
fn a_gather_into_shards_makes_checkpoints_where_it_can() {
    let layout = Layout { chunk_shape: vec![2, 3], shard_shape: Some(vec![20, 15]), codecs: "crc32c".parse().unwrap() };
    let target = ArrayMetadata::new([40, 30], DataType::UInt8, None, &layout).unwrap();
    let edges = vec![Edges::List(EdgeRuns::new([3, 7, 1, 9, 20].map(|edge| (edge, 1))).unwrap()), Edges::Repeat(7)];
    let plain = Layout { chunk_shape: vec![20, 7], shard_shape: None, codecs: Codecs::none() };
    let metadata = ArrayMetadata::new([40, 30], DataType::UInt8, None, &plain).unwrap();
    let metadata = metadata.with_chunk_grid(ChunkGrid::rectilinear([40, 30], edges).unwrap()).unwrap();
    let array = Array::create_in(Arc::new(MemoryStore::new()), Key::root(), metadata).unwrap();
    let data: Vec<u8> = (0..40 * 30).map(|i| mixed(i).to_le_bytes()[0] | 1).collect();
    array.write_bytes(&Region::whole(array.shape()), &data).unwrap();
    let shown = Array::with_metadata(Arc::new(MemoryStore::new()), Key::root(), target.clone()).unwrap();
    let problem = problem(&array, &shown, &Region::whole(array.shape()), &Costs::default());
    let plan = (0..1000).find_map(|step| plan(&problem, 512 * step, 2).ok()).unwrap();
    assert_eq!(plan.strategy, Way::Gather);
    let mut resumed = 0;
    for part in 1..10 {
        for every in [1, 7, 100] {
            resumed += compare(&array, &data, &target, &plan, &Cuts { every, stops: vec![(part << 16) / 10], power_cut: None }).1.resumed;
        }
    }
    assert!(resumed > 9, "{resumed} of 27");
}
