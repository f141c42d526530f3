//! Chunks that other programs cut while the array is open: a typed error that names the chunk, however files are read.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/trees.rs"]
mod trees;

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use rezarr::{Array, Error, FilesystemStore, Key, ReadMode, RechunkOptions, Region, VerifyOptions, rechunk, verify};

use arrays::{create, elements, layout, metadata};
use trees::{directory, names};

const SHAPE: [u64; 2] = [512, 1024];

/// A chunk of 512 KiB, larger than what is read without a map.
const CHUNK: [u64; 2] = [128, 1024];

fn open(path: &Path, mode: ReadMode) -> Array {
    let store = FilesystemStore::open(path).unwrap().with_read_mode(mode);
    Array::open_in(Arc::new(store), Key::root()).unwrap()
}

fn cut(path: &Path, to: impl FnOnce(u64) -> u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_len(to(file.metadata().unwrap().len())).unwrap();
}

/// Whether an error says of the chunk at `path` that it is damaged.
fn is_corrupt(error: &Error, path: &Path) -> bool {
    matches!(error, Error::Corrupt { key, .. } | Error::ChecksumMismatch { key, .. } if key.starts_with(&path.display().to_string()))
}

#[test]
fn a_chunk_that_is_cut_while_the_array_is_open_is_an_error_that_names_it() {
    let shard = Some(&[256, 1024][..]);
    for (shard, codecs) in [(None, "none"), (None, "zstd:1"), (None, "gzip:1,crc32c"), (shard, "none"), (shard, "zstd:1")] {
        for mode in [ReadMode::Mapped, ReadMode::Positioned] {
            for remaining in [|len| len / 2, |len: u64| len - 1, |_| 0] {
                let root = directory();
                let path = root.path().join("a");
                let metadata = metadata(&SHAPE, "float32", "nan", &layout(&CHUNK, shard, codecs));
                let data = elements(&metadata, 1);
                create(&path, metadata, &data);
                let array = open(&path, mode);
                assert!(array.read_bytes(&Region::whole(&SHAPE)).unwrap() == data);
                let chunk = path.join("c/1/0");
                cut(&chunk, remaining);

                let says = format!("{codecs} {shard:?} {mode:?}");
                let error = array.read_bytes(&Region::whole(&SHAPE)).expect_err(&says);
                assert!(is_corrupt(&error, &chunk), "{says}: {error}");
                let options = || RechunkOptions::new().chunks([512, 32]).shards(rezarr::Shards::Remove).read_mode(mode).sync(false);
                let error = rechunk(&path, Some(&root.path().join("b")), options()).expect_err(&says);
                assert!(is_corrupt(&error, &chunk), "{says}: {error}");
                let options = VerifyOptions::new().read_mode(mode).spill_dir(root.path());
                let error = verify(&path, &path, options).expect_err(&says);
                assert!(is_corrupt(&error, &chunk), "{says}: {error}");
                assert_eq!(names(root.path()), ["a"], "{says}");
            }
        }
    }
}

#[test]
fn a_chunk_that_is_cut_during_a_rechunk_ends_it_and_leaves_nothing() {
    for mode in [ReadMode::Mapped, ReadMode::Positioned] {
        let root = directory();
        let path = root.path().join("a");
        let shape = [4096, 1024];
        let metadata = metadata(&shape, "float32", "nan", &layout(&CHUNK, None, "none"));
        let data = elements(&metadata, 1);
        create(&path, metadata, &data);
        // The encoding of what comes before keeps the last chunk waiting until long after the first report.
        let last = path.join("c/31/0");
        let mut done = false;
        let mut progress = |_: &rezarr::Progress| {
            if !std::mem::replace(&mut done, true) {
                cut(&last, |len| len - 4);
            }
        };
        let options = RechunkOptions::new().chunks([128, 512]).codecs("gzip:9".parse().unwrap()).threads(1).memory(8 << 20);
        let result = rechunk(&path, Some(&root.path().join("b")), options.read_mode(mode).progress(&mut progress).sync(false));
        let error = result.expect_err("the last chunk was cut");
        assert!(is_corrupt(&error, &last), "{error}");
        assert_eq!(names(root.path()), ["a"]);
    }
}
