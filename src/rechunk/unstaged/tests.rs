//! Every strategy by itself, whether or not a planner would take it: any layouts, missing chunks, other fill values, budgets and threads.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::plan_array_by;
use crate::array::{Array, UnitReader};
use crate::codec::Codecs;
use crate::dtype::{DataType, FillValue};
use crate::metadata::{ArrayMetadata, Layout};
use crate::rechunk::becoming::Taken;
use crate::rechunk::execute::Control;
use crate::rechunk::plan::Strategy as Way;
use crate::rechunk::run::run;
use crate::rechunk::{ChunkSpec, Edge, Measured, Plan, RechunkOptions, Shards};
use crate::region::{Region, element_count, ravel, to_usize};
use crate::store::{FilesystemStore, Key, MemoryStore, Store};

#[derive(Clone, Debug)]
struct Case {
    data_type: &'static str,
    shape: Vec<u64>,
    source: Layout,
    target: Layout,
    /// The fill value of the source, and that of the target.
    fills: (&'static str, &'static str),
    /// Of 256 source units, how many are missing.
    missing: u8,
    seed: u64,
    on_disk: bool,
    /// Budget beyond the smallest.
    spare: u64,
    threads: usize,
}

fn layouts(shape: &[u64], codecs: &'static [&'static str]) -> impl Strategy<Value = Layout> + use<> {
    let rank = shape.len();
    let edges: Vec<_> = shape.iter().map(|&len| prop_oneof![2 => 1..=len.max(1), 1 => 1..=len + 3, 1 => Just(1)]).collect();
    let order = Just((0..rank).collect::<Vec<_>>()).prop_shuffle();
    (edges, prop::collection::vec(1_u64..4, rank), order, any::<[bool; 2]>(), prop::sample::select(codecs)).prop_map(
        move |(chunk_shape, times, order, [sharded, transposed], words)| {
            let shard_shape = sharded.then(|| chunk_shape.iter().zip(&times).map(|(edge, times)| edge * times).collect());
            let mut codecs = words.parse::<Codecs>().unwrap();
            if transposed && rank > 0 {
                codecs = codecs.with_transpose(&order).unwrap();
            }
            Layout { chunk_shape, shard_shape, codecs }
        },
    )
}

fn cases(source: &'static [&'static str], target: &'static [&'static str]) -> impl Strategy<Value = Case> {
    let shapes = (0_usize..=4).prop_flat_map(|rank| prop::collection::vec(1..[1_u64, 600, 40, 14, 8][rank] + 1, rank));
    shapes.prop_flat_map(move |shape| {
        (
            prop::sample::select(vec!["uint8", "int16", "float32", "uint64", "complex128"]),
            (layouts(&shape, source), layouts(&shape, target)),
            prop::sample::select(vec![("0", "0"), ("0", "7"), ("7", "7"), ("7", "0")]),
            prop_oneof![2 => Just(0), 2 => 1_u8..200, 1 => Just(255)],
            any::<u64>(),
            any::<bool>(),
            (prop_oneof![Just(0), 1_u64..200_000, Just(1 << 30)], 1_usize..4),
            Just(shape),
        )
            .prop_map(|(data_type, (source, target), fills, missing, seed, on_disk, (spare, threads), shape)| {
                let fills = if data_type == "complex128" { ("[0, 0]", if fills.1 == "0" { "[0, 0]" } else { "[7, 0]" }) } else { fills };
                Case { data_type, shape, source, target, fills, missing, seed, on_disk, spare, threads }
            })
    })
}

fn mixed(value: u64) -> u64 {
    let mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 13
}

/// The source, its elements, and whether no element is one of the fill values.
fn source(case: &Case, store: Arc<dyn Store>) -> (Array, Vec<u8>, bool) {
    let data_type = DataType::parse(case.data_type).unwrap();
    let fill = FillValue::parse(&data_type, case.fills.0).unwrap();
    let metadata = ArrayMetadata::new(&*case.shape, data_type, Some(fill.clone()), &case.source).unwrap();
    let item = metadata.data_type().item_size();
    let array = Array::create_in(store, Key::root(), metadata).unwrap();
    let count = to_usize(element_count(&case.shape).unwrap());
    // No byte is that of a fill value.
    let mut data: Vec<u8> = (0..count * item).map(|i| mixed(case.seed ^ i as u64).to_le_bytes()[0] | 8).collect();
    array.write_bytes(&Region::whole(&case.shape), &data).unwrap();
    let mut whole = true;
    for (position, unit) in Region::whole(&array.unit_grid().counts()).indices().enumerate() {
        if mixed(case.seed ^ !(position as u64)).to_le_bytes()[0] < case.missing {
            whole = false;
            let region = array.unit_grid().region(&unit);
            let bytes = fill.as_bytes().repeat(to_usize(region.element_count().unwrap()));
            array.write_bytes(&region, &bytes).unwrap();
        }
    }
    data = if whole { data } else { array.read_bytes(&Region::whole(&case.shape)).unwrap() };
    (array, data, whole)
}

fn options<'a>(case: &Case) -> RechunkOptions<'a> {
    let spec = |edges: &[u64]| ChunkSpec::Positions(edges.iter().map(|&edge| Edge::Elements(edge)).collect());
    let shards = case.target.shard_shape.as_ref().map_or(Shards::Remove, |shard| Shards::Of(spec(shard)));
    RechunkOptions::new()
        .chunks(spec(&case.target.chunk_shape))
        .shards(shards)
        .codecs(case.target.codecs.clone())
        .fill(case.fills.1)
        .threads(case.threads)
}

/// Runs a case by one strategy in the smallest budget that it takes and some more; returns what was planned and measured, if it is possible.
fn run_by(case: &Case, strategy: Way) -> Option<(Plan, Measured)> {
    let root = tempfile::tempdir().unwrap();
    let store = |name: &str| -> Arc<dyn Store> {
        if case.on_disk { Arc::new(FilesystemStore::create(root.path().join(name)).unwrap()) } else { Arc::new(MemoryStore::new()) }
    };
    let (array, data, whole) = source(case, store("a"));
    let planned = |budget: u64| plan_array_by(&array, &options(case).memory(budget), strategy).unwrap();
    let smallest = (10..40).map(|power| 1 << power).find(|&budget| planned(budget).is_some())?;
    let (metadata, plan) = planned(smallest + case.spare).expect("what fits in a budget fits in a larger one");
    assert!(plan.memory_bytes <= smallest + case.spare);

    let stored = store("b");
    let target = Array::with_metadata(stored.clone(), Key::root(), metadata).unwrap();
    let control = Control::new(None);
    let measured = run(&Taken::whole(&array), (&target, &Key::new("zarr.json").unwrap()), &plan, root.path(), &control).unwrap();
    assert_eq!(control.done_bytes.load(Ordering::Relaxed), plan.work_bytes, "progress ends at its end");
    assert!(measured.decoded_bytes <= plan.decoded_bytes && measured.encoded_bytes <= plan.encoded_bytes && measured.files <= plan.files);
    let target = Array::open_in(stored, Key::root()).unwrap();
    assert!(target.read_bytes(&Region::whole(&case.shape)).unwrap() == data, "elements differ");
    check_stored(&target, &data, &measured);
    if whole {
        assert_eq!((measured.decoded_bytes, measured.encoded_bytes), (plan.decoded_bytes, plan.encoded_bytes));
        assert_eq!(measured.files, plan.files);
    }
    Some((plan, measured))
}

/// RCK-2: what is all fill is not stored, and everything else is; padding is fill.
fn check_stored(target: &Array, data: &[u8], measured: &Measured) {
    let fill = target.metadata().fill_value();
    let item = target.data_type().item_size();
    let mut files = 1;
    for chunk in Region::whole(&target.grid().counts()).indices() {
        let region = target.grid().region(&chunk);
        let empty = region.indices().all(|index| {
            let at = to_usize(ravel(&index, target.shape())) * item;
            data[at..at + item] == *fill.as_bytes()
        });
        let size = target.store().size(&target.chunk_key(&chunk).unwrap()).unwrap();
        assert_eq!(size.is_none(), empty, "chunk {chunk:?}");
        files += u64::from(!empty);
    }
    assert_eq!(measured.files, files);
    let mut reader = UnitReader::new(target);
    let strides = target.unit_pipeline().strides();
    for unit in Region::whole(&target.unit_grid().counts()).indices() {
        let inside = target.unit_grid().region(&unit);
        let read = reader.read(&unit, &mut |bytes| {
            let Some(bytes) = bytes else { return Ok(()) };
            assert!(!fill.is_all_fill(bytes), "an inner chunk of fill is stored");
            for index in Region::whole(target.unit_grid().chunk_shape()).indices() {
                if index.iter().zip(inside.shape()).any(|(i, len)| i >= len) {
                    let at: usize = index.iter().zip(&strides).map(|(&i, stride)| to_usize(i) * stride).sum();
                    assert_eq!(bytes[at..at + item], *fill.as_bytes(), "padding of {unit:?}");
                }
            }
            Ok(())
        });
        read.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(debug_assertions) { 150 } else { 600 }) })]

    /// RCK-30.
    #[test]
    fn partial_reads(case in cases(&["none"], &["none", "zstd:1", "crc32c"])) {
        let (plan, measured) = run_by(&case, Way::PartialReads).expect("what is stored as it is can be read in parts");
        let bytes = element_count(&case.shape).unwrap() * DataType::parse(case.data_type).unwrap().item_size() as u64;
        prop_assert_eq!((plan.decoded_bytes, plan.spilled_bytes), (bytes, 0));
        prop_assert!(measured.decoded_bytes <= bytes);
    }

    /// RCK-31.
    #[test]
    fn re_decode(case in cases(&["none", "zstd:1", "blosc:lz4", "crc32c", "gzip:1"], &["none", "zstd:1"])) {
        let (plan, measured) = run_by(&case, Way::ReDecode).expect("a unit at a time is always possible");
        prop_assert_eq!(plan.spilled_bytes, 0);
        prop_assert!(measured.decoded_chunks <= plan.visits);
        if case.missing == 0 {
            prop_assert_eq!(measured.decoded_chunks, plan.visits);
        }
    }

    /// RCK-33.
    #[test]
    fn partial_writes(case in cases(&["none", "zstd:1", "blosc:lz4", "crc32c"], &["none"])) {
        let (plan, measured) = run_by(&case, Way::PartialWrites).expect("any piece can be written");
        prop_assert_eq!(plan.spilled_bytes, 0);
        prop_assert!(measured.decoded_chunks <= plan.visits && plan.ranges.is_some());
    }
}
