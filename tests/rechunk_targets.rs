//! Where a target may be made, and what a run checks before it writes anything.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rezarr::{Array, Error, RechunkOptions, Region, Report, Result};

use arrays::{elements, layout, metadata};
use trees::{directory, tree};

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/trees.rs"]
mod trees;

/// An array of 12 x 10 int16 in chunks of 4 x 10.
fn source(path: &Path) -> Array {
    let array = Array::create(path, metadata(&[12, 10], "int16", "7", &layout(&[4, 10], None, "zstd"))).unwrap();
    array.write_bytes(&Region::whole(&[12, 10]), &elements(array.metadata(), 1)).unwrap();
    array
}

fn to(root: &Path, target: &Path, options: RechunkOptions<'_>) -> Result<Report> {
    rezarr::rechunk(root.join("source"), Some(target), options.chunks([12, 5]).memory(32 << 20).sync(false))
}

/// Whatever is refused leaves everything as it was.
fn refused(root: &Path, target: &Path, options: RechunkOptions<'_>) -> String {
    let before = tree(root);
    let error = to(root, target, options).unwrap_err();
    assert_eq!(tree(root), before);
    error.to_string()
}

#[test]
fn a_target_inside_an_array_is_refused() {
    let directory = directory();
    let root = directory.path();
    source(&root.join("source"));
    source(&root.join("other"));
    fs::create_dir_all(root.join("other/d/e")).unwrap();
    for target in ["other/c/7", "other/c", "other/x", "other/d/e/f"] {
        let message = refused(root, &root.join(target), RechunkOptions::new());
        assert!(message.contains("lies inside the array"), "{message}");
    }
}

#[test]
fn a_target_needs_a_name_that_a_node_may_have() {
    let directory = directory();
    let root = directory.path();
    source(&root.join("source"));
    for name in ["zarr.json", "__x", "..."] {
        assert!(refused(root, &root.join(name), RechunkOptions::new()).contains(name));
    }
    for name in [".", ".."] {
        refused(root, &root.join(name), RechunkOptions::new());
    }
}

#[test]
fn a_link_is_not_overwritten_and_neither_is_the_source_in_a_name_that_is_needed() {
    let directory = directory();
    let root = directory.path();
    source(&root.join("source"));
    source(&root.join("other"));
    symlink("other", root.join("link")).unwrap();
    let message = refused(root, &root.join("link"), RechunkOptions::new().overwrite(true));
    assert!(message.contains("a link is not overwritten"), "{message}");
    fs::rename(root.join("source"), root.join("x.rechunked")).unwrap();
    let before = tree(root);
    let options = RechunkOptions::new().chunks([12, 5]).memory(32 << 20);
    let error = rezarr::rechunk(root.join("x.rechunked"), Some(&root.join("x")), options).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    assert_eq!(tree(root), before);
}

#[test]
fn a_spill_directory_that_cannot_be_used_is_noticed_first() {
    let directory = directory();
    let root = directory.path();
    source(&root.join("source"));
    let message = refused(root, &root.join("target"), RechunkOptions::new().spill_dir(root.join("missing")));
    assert!(message.contains("missing"), "{message}");
}

/// Tiny target chunks and few slots: every source chunk meets as many target chunks as there is memory for, and threads wait for each other.
#[test]
fn source_chunks_wait_for_slots() {
    let directory = directory();
    let root = directory.path();
    let array = Array::create(root.join("source"), metadata(&[400_000], "uint8", "0", &layout(&[50_000], None, "zstd:1"))).unwrap();
    array.write_bytes(&Region::whole(&[400_000]), &elements(array.metadata(), 5)).unwrap();
    for (memory, threads) in [(3 << 20, 1), (3 << 20, 2), (5 << 20, 3), (64 << 20, 3)] {
        let shards = rezarr::Shards::Of([50_000_u64].into());
        let codecs: rezarr::Codecs = "none".parse().unwrap();
        let options =
            RechunkOptions::new().codecs(codecs).chunks([16]).shards(shards).memory(memory).threads(threads).overwrite(true).sync(false);
        let report = rezarr::rechunk(root.join("source"), Some(&root.join("target")), options).unwrap();
        assert_eq!(report.arrays[0].plan.spilled_bytes, 0);
        let target = Array::open(root.join("target")).unwrap();
        assert!(target.read_bytes(&Region::whole(&[400_000])).unwrap() == elements(array.metadata(), 5));
    }
}

/// Most shards of a row are missing, and none of them drives the others out of what a reader holds.
#[test]
fn missing_shards_do_not_drive_out_the_others() {
    let directory = directory();
    let root = directory.path();
    let metadata = metadata(&[64, 64], "uint8", "9", &layout(&[1, 8], Some(&[64, 16]), "none"));
    let array = Array::create(root.join("source"), metadata).unwrap();
    for column in [0, 32] {
        array.write(&Region::new([0, column], [64, 16]).unwrap(), &(0..=255).cycle().take(1024).collect::<Vec<u8>>()).unwrap();
    }
    let options = RechunkOptions::new().chunks([1, 64]).shards(rezarr::Shards::Remove).memory(64 << 20).threads(1).sync(false);
    let report = rezarr::rechunk(root.join("source"), Some(&root.join("target")), options).unwrap();
    let measured = report.arrays[0].measured.clone().unwrap();
    assert_eq!((measured.decoded_chunks, measured.decoded_bytes), (256, 2048));
    let verdict = rezarr::verify(root.join("source"), root.join("target"), rezarr::VerifyOptions::new().spill_dir(root)).unwrap();
    assert!(verdict.equal);
}
