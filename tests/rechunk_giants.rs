//! Rechunks of chunks that are larger than the budget, in and out: elements, fill values, comparison, and what is refused.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/trees.rs"]
mod trees;

use std::path::Path;

use rezarr::{Array, ChunkSpec, Edge, Error, RechunkOptions, Region, Shards, Strategy, VerifyOptions, plan_rechunk, rechunk, verify};

use arrays::{create, elements, layout, metadata, read};
use trees::{directory, files};

const MIB: u64 = 1 << 20;

/// 24 MiB in one chunk, which is larger than the array.
const SHAPE: [u64; 2] = [3000, 2100];
const GIANT: [u64; 2] = [3001, 2113];
const SMALL: [u64; 2] = [64, 700];

fn options<'a>(chunk: &[u64], budget: u64) -> RechunkOptions<'a> {
    RechunkOptions::new().chunks(chunk.to_vec()).codecs("zstd:1".parse().unwrap()).memory(budget).threads(2).sync(false)
}

/// A giant at `a`, of which the middle is fill.
fn giant(root: &Path, codecs: &str) -> Vec<u8> {
    let document = metadata(&SHAPE, "float32", "-2.5", &layout(&GIANT, None, codecs));
    let mut data = elements(&document, 11);
    let middle = 1000 * 2100 * 4..2500 * 2100 * 4;
    data[middle].chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&(-2.5_f32).to_le_bytes()));
    create(&root.join("a"), document, &data);
    data
}

/// RCK-22: out of one chunk and back into one, within 8 MiB.
#[test]
fn one_giant_becomes_many_chunks_and_one_again() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    let data = giant(root.path(), "zstd:3");
    let forth = rechunk(path("a"), Some(&path("b")), options(&SMALL, 8 * MIB)).unwrap();
    let (plan, measured) = (&forth.arrays[0].plan, forth.arrays[0].measured.as_ref().unwrap());
    assert_eq!(plan.strategy, Strategy::Shuffle);
    assert_eq!((measured.decoded_chunks, measured.decoded_bytes), (1, plan.decoded_bytes));
    assert_eq!(measured.spilled_bytes, plan.spilled_bytes);
    assert!(read(&path("b")) == data);
    // Chunks that are all fill are missing, and are left out of a giant as a slab after slab of fill.
    assert!(measured.files < plan.files);
    let back = rechunk(path("b"), Some(&path("c")), options(&GIANT, 8 * MIB).codecs("zstd:3".parse().unwrap())).unwrap();
    assert!(read(&path("c")) == data);
    assert_eq!(back.arrays[0].measured.as_ref().unwrap().encoded_bytes, 3001 * 2113 * 4);
    assert_eq!(files(&path("c")).len(), 2);
    // Another fill value: what was missing is stored.
    rechunk(path("b"), Some(&path("d")), options(&GIANT, 8 * MIB).fill("7")).unwrap();
    assert!(read(&path("d")) == data);
    for (a, b) in [("a", "b"), ("b", "a"), ("b", "d"), ("a", "c")] {
        let verdict = verify(path(a), path(b), VerifyOptions::new().memory(8 * MIB).spill_dir(root.path())).unwrap();
        assert!(verdict.equal, "{a} {b}: {verdict:?}");
    }
    for (index, position) in [([0, 0], "first"), ([1700, 3], "middle"), ([2999, 2099], "last")] {
        let array = Array::open(path("b")).unwrap();
        let one = Region::new(index, [1, 1]).unwrap();
        let before = array.read::<f32>(&one).unwrap();
        array.write(&one, &[77.0_f32]).unwrap();
        let verdict = verify(path("b"), path("c"), VerifyOptions::new().memory(8 * MIB).spill_dir(root.path())).unwrap();
        assert_eq!(verdict.differences, [format!("/: elements differ, the first found at {index:?}")], "{position}");
        array.write(&one, &before).unwrap();
    }
}

/// Inner chunks of shards, larger than the budget and in another order of axes, beside each other and across.
#[test]
fn giants_are_inner_chunks_and_transposed() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    let data = giant(root.path(), "transpose:1-0,gzip:1");
    let shards = Shards::Of(ChunkSpec::Positions(vec![Edge::Elements(3200), Edge::Elements(2200)]));
    let sharded = options(&[1600, 2200], 8 * MIB).shards(shards).codecs("transpose:1-0,zstd:3".parse().unwrap());
    let report = rechunk(path("a"), Some(&path("b")), sharded).unwrap();
    assert_eq!(report.arrays[0].plan.strategy, Strategy::Shuffle);
    assert!(read(&path("b")) == data);
    assert_eq!(files(&path("b")).len(), 2);
    rechunk(path("b"), Some(&path("c")), options(&[3000, 70], 8 * MIB).shards(Shards::Remove)).unwrap();
    assert!(read(&path("c")) == data);
}

/// RCK-4: the refusal names the codec, and what it needs; the budget that it names is enough.
#[test]
fn what_cannot_be_streamed_is_named() {
    let root = directory();
    let path = |name: &str| root.path().join(name);
    let data = giant(root.path(), "bz2:1");
    let refused = plan_rechunk(path("a"), &options(&SMALL, 8 * MIB)).unwrap_err();
    assert!(refused.to_string().contains("`numcodecs.bz2` must have all of a chunk at once"), "{refused}");
    let Error::BudgetTooSmall { required_bytes, .. } = refused else { panic!("{refused}") };
    assert!(required_bytes > 24 * MIB);
    rechunk(path("a"), Some(&path("b")), options(&SMALL, required_bytes)).unwrap();
    assert!(read(&path("b")) == data);
    let refused = plan_rechunk(path("b"), &options(&GIANT, 8 * MIB).codecs("zstd:19".parse().unwrap())).unwrap_err();
    let Error::BudgetTooSmall { required_bytes, .. } = &refused else { panic!("{refused}") };
    assert!(refused.to_string().contains("zstd:19") && *required_bytes > 8 * MIB, "{refused}");
}

/// Nothing of a giant is trusted before its end was seen, and a stream that fails is an error that names it.
#[test]
fn a_damaged_giant_is_an_error() {
    let root = directory();
    giant(root.path(), "zstd:1,crc32c");
    let (from, to) = (root.path().join("a"), root.path().join("b"));
    let chunk = from.join("c/0/0");
    let mut stored = std::fs::read(&chunk).unwrap();
    let middle = stored.len() / 2;
    stored[middle] ^= 1;
    std::fs::write(&chunk, stored).unwrap();
    let error = rechunk(&from, Some(&to), options(&SMALL, 8 * MIB)).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. } | Error::ChecksumMismatch { .. }) && error.to_string().contains("c/0/0"), "{error}");
    assert!(!to.exists());
}
