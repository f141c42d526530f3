//! Chunks that move as they are stored: into shards, out of shards, into other shards, and under another fill value.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;

use std::path::Path;

use proptest::prelude::*;
use rezarr::{
    Array, ArrayMetadata, Codecs, DataType, Error, FillValue, Layout, RechunkOptions, Region, Shards, Strategy as Way, VerifyOptions,
    plan_rechunk, rechunk, verify,
};

use arrays::{create, elements, set_region};

/// A layout of chunks of `chunk`, in shards of `times` chunks along each axis; none where they are stored singly.
fn layout(chunk: &[u64], times: Option<&Vec<u64>>, codecs: &Codecs) -> Layout {
    let shard_shape = times.map(|times| chunk.iter().zip(times).map(|(edge, times)| edge * times).collect());
    Layout { chunk_shape: chunk.to_vec(), shard_shape, codecs: codecs.clone() }
}

fn shards(layout: &Layout) -> Shards {
    layout.shard_shape.as_ref().map_or(Shards::Remove, |shape| Shards::Of(shape.clone().into()))
}

fn whole(array: &Array) -> Vec<u8> {
    array.read_bytes(&Region::whole(array.shape())).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 40 } else { 150 }))]

    /// RCK-10, RCK-2.
    #[test]
    fn units_move_between_any_shards(
        axes in prop::collection::vec((0_u64..40, 1_u64..9, 1_u64..5, 1_u64..5), 1..4),
        sharded in any::<[bool; 2]>(),
        words in prop::sample::select(vec!["none", "zstd:1", "gzip:1", "blosc", "zstd:1,crc32c", "transpose"]),
        (missing, fill, other_fill) in (0_u8..=255, any::<u16>(), prop::option::of(any::<u16>())),
        (seed, threads) in (any::<u64>(), 1_usize..4),
    ) {
        let root = tempfile::tempdir().unwrap();
        let column = |pick: fn(&(u64, u64, u64, u64)) -> u64| axes.iter().map(pick).collect::<Vec<_>>();
        let (shape, chunk) = (column(|a| a.0), column(|a| a.1));
        let codecs: Codecs = if words == "transpose" {
            let order: Vec<usize> = (0..shape.len()).rev().collect();
            Codecs::default().with_transpose(&order).unwrap()
        } else {
            words.parse().unwrap()
        };
        let times = [column(|a| a.2), column(|a| a.3)];
        let [from, to] = [0, 1].map(|side: usize| layout(&chunk, sharded[side].then(|| &times[side]), &codecs));
        let value = FillValue::parse(&DataType::UInt16, &fill.to_string()).unwrap();
        let metadata = ArrayMetadata::new(shape.clone(), DataType::UInt16, Some(value.clone()), &from).unwrap();
        let mut data = elements(&metadata, seed);
        let chunks = Region::whole(&shape);
        // Chunks that are all fill are not stored.
        for (position, start) in (0..shape[0]).step_by(usize::try_from(chunk[0]).unwrap()).enumerate() {
            if (seed >> (position % 8 * 8)).to_le_bytes()[0] < missing {
                let mut slab = chunks.shape().to_vec();
                slab[0] = chunk[0].min(shape[0] - start);
                let mut origin = vec![0; shape.len()];
                origin[0] = start;
                set_region(&mut data, &shape, &Region::new(origin, slab).unwrap(), value.as_bytes());
            }
        }
        let source = create(&root.path().join("a"), metadata, &data);
        let options = || {
            let options = RechunkOptions::new().shards(shards(&to)).memory(16 << 20).threads(threads).sync(false);
            match other_fill {
                Some(fill) => options.fill(fill.to_string()),
                None => options,
            }
        };
        let target = root.path().join("b");
        let report = rechunk(root.path().join("a"), Some(&target), options()).unwrap();
        let (plan, measured) = (&report.arrays[0].plan, report.arrays[0].measured.as_ref().unwrap());
        prop_assert_eq!(plan.strategy, Way::PassThrough);
        prop_assert_eq!((measured.decoded_bytes, measured.encoded_bytes, measured.spilled_bytes), (0, 0, 0));
        prop_assert!(measured.files <= plan.files);
        let moved = Array::open(&target).unwrap();
        prop_assert_eq!(whole(&moved), whole(&source));
        prop_assert_eq!(moved.metadata().layout().shard_shape, to.shard_shape);
        let verdict = verify(root.path().join("a"), &target, VerifyOptions::new()).unwrap();
        prop_assert!(verdict.differences.is_empty(), "{:?}", verdict.differences);
        // And back, which gives the same chunks as there were.
        let back = root.path().join("c");
        let options = RechunkOptions::new().shards(shards(&from)).fill(fill.to_string()).sync(false);
        let report = rechunk(&target, Some(&back), options).unwrap();
        prop_assert_eq!(report.arrays[0].plan.strategy, Way::PassThrough);
        prop_assert_eq!(whole(&Array::open(&back).unwrap()), whole(&source));
    }
}

fn plain(root: &Path, shape: &[u64], chunk: &[u64]) -> Array {
    let layout = layout(chunk, None, &Codecs::default());
    let metadata = ArrayMetadata::new(shape.to_vec(), DataType::UInt16, None, &layout).unwrap();
    let data = elements(&metadata, 1);
    create(&root.join("a"), metadata, &data)
}

#[test]
fn other_codecs_or_chunks_do_not_move() {
    let root = tempfile::tempdir().unwrap();
    plain(root.path(), &[40, 40], &[10, 10]);
    let way = |options: RechunkOptions<'_>| plan_rechunk(root.path().join("a"), &options).unwrap()[0].plan.strategy;
    let packed = || RechunkOptions::new().shards("20,20".parse().unwrap());
    assert_eq!(way(packed()), Way::PassThrough);
    assert_eq!(way(RechunkOptions::new().fill("7")), Way::PassThrough);
    assert_ne!(way(packed().codecs("zstd:1".parse().unwrap())), Way::PassThrough);
    assert_ne!(way(packed().chunks([10, 20])), Way::PassThrough);
}

/// RCK-4: what moving takes is in the plan.
#[test]
fn little_memory_moves_with_fewer_threads_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    plain(root.path(), &[400, 400], &[10, 10]);
    let plan = |memory| {
        let options = RechunkOptions::new().shards("400,400".parse().unwrap()).memory(memory).threads(4);
        plan_rechunk(root.path().join("a"), &options).map(|reports| reports[0].plan.clone())
    };
    let roomy = plan(64 << 20).unwrap();
    assert_eq!((roomy.strategy, roomy.threads), (Way::PassThrough, 4));
    let tight = plan(3 << 20).unwrap();
    assert_eq!((tight.strategy, tight.threads), (Way::PassThrough, 1));
    assert!(matches!(plan(10_000), Err(Error::BudgetTooSmall { .. })));
}

/// A damaged shard is found before its parts go into another.
#[test]
fn an_index_that_lies_is_not_copied() {
    let root = tempfile::tempdir().unwrap();
    plain(root.path(), &[40, 40], &[10, 10]);
    let (packed, unpacked) = (root.path().join("b"), root.path().join("c"));
    let options = RechunkOptions::new().shards("40,40".parse().unwrap()).sync(false);
    rechunk(root.path().join("a"), Some(&packed), options).unwrap();
    let shard = packed.join("c/0/0");
    let mut bytes = std::fs::read(&shard).unwrap();
    let end = bytes.len();
    bytes[end - 10] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let error = rechunk(&packed, Some(&unpacked), RechunkOptions::new().shards(Shards::Remove).sync(false)).unwrap_err();
    assert!(error.to_string().contains("c/0/0"), "{error}");
    assert!(!unpacked.exists());
}
