//! rezarr against zarr-python, TensorStore, zarrs and xarray: each reads what another wrote, bit for bit.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "interop/corpus.rs"]
mod corpus;
#[path = "interop/forms.rs"]
mod forms;
#[path = "support/python.rs"]
mod python;
// What needs the binary.
#[cfg(feature = "cli")]
#[path = "interop/rechunked.rs"]
mod rechunked;
#[path = "interop/roundtrips.rs"]
mod roundtrips;
#[cfg(feature = "cli")]
#[path = "interop/v2.rs"]
mod v2;
#[path = "support/zarrs.rs"]
mod zarrs;
#[path = "interop/zips.rs"]
mod zips;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use rezarr::{Array, Group, NodeMetadata, Region};
use serde_json::{Value, json};
use tempfile::TempDir;

use corpus::{Elements, Entry, Judgement, corpus, cut, judge, judge_manifest, quarters};

/// A directory of its own for one test, on the disk of the build.
fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Fails with all `lines`, if there are any.
fn none(lines: &[String]) {
    assert!(lines.is_empty(), "{} differences\n{}", lines.len(), lines.join("\n"));
}

/// What the corpus does not hold, since neither of its writers writes it: types of raw bits, and one name for two dimensions.
#[test]
fn others_read_what_only_rezarr_writes() {
    if python::skipped("others_read_what_only_rezarr_writes") {
        return;
    }
    let directory = scratch();
    let raw: Vec<u8> = (0..5 * 4 * 6).collect();
    let cases = [
        ("r8", json!([7]), [5, 24], json!(["y", "x"])),
        ("r24", json!([1, 2, 3]), [5, 8], json!(["y", "x"])),
        ("r64", json!([0, 0, 0, 0, 0, 0, 0, 255]), [5, 3], json!(["y", "x"])),
        ("uint16", json!(3), [5, 12], json!(["x", "x"])),
        ("uint32", json!(3), [5, 6], json!([null, null])),
    ];
    let mut entries = Vec::new();
    for (dtype, fill, shape, names) in cases {
        let document = json!({
            "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": dtype, "fill_value": fill, "dimension_names": names,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 1, "checksum": true}}],
        });
        let NodeMetadata::Array(metadata) = NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap() else { panic!("an array") };
        let array = Array::create(directory.path().join(dtype), *metadata).unwrap();
        // Only the upper rows are written: the last chunks along the first axis are missing.
        let upper = Region::new([0, 0], [4, shape[1]]).unwrap();
        let mut elements = cut(&raw, &shape, &upper);
        array.write_bytes(&upper, &elements).unwrap();
        let last = array.read_bytes(&Region::new([4, 0], [1, shape[1]]).unwrap()).unwrap();
        elements.extend_from_slice(&last);
        fs::write(directory.path().join(format!("{dtype}.raw")), elements).unwrap();
        entries.push(json!({"path": dtype, "raw": format!("{dtype}.raw"), "shape": shape, "dtype": dtype, "dimension_names": names}));
    }
    judge(directory.path(), &entries).expect();
}

#[test]
fn a_hierarchy_is_walked_and_consolidated() {
    if python::skipped("a_hierarchy_is_walked_and_consolidated") {
        return;
    }
    let directory = scratch();
    let inside: Vec<&Entry> = corpus().iter().filter(|entry| entry.path.starts_with("zarr-python/hierarchy/")).collect();
    let root = directory.path().join("hierarchy");
    let mut copy = Command::new("cp");
    python::run(copy.arg("-r").args([&inside[0].corpus.join("zarr-python/hierarchy"), &root]), "the copy failed");
    let path_of = |entry: &Entry| entry.path.trim_start_matches("zarr-python/hierarchy/").to_owned();
    let mut expected: Vec<String> = inside.iter().map(|entry| path_of(entry)).collect();
    expected.extend(["a", "a/b", "with space", "c", "empty group"].map(str::to_owned));
    expected.sort();
    let mut group = Group::open(&root).unwrap();
    let mut found = Vec::new();
    group
        .walk(&mut |path, _| {
            found.push(path.to_owned());
            Ok(())
        })
        .unwrap();
    found.sort();
    assert_eq!(found, expected);
    let consolidated = |path: &Path| {
        let document: Value = serde_json::from_slice(&fs::read(path.join("zarr.json")).unwrap()).unwrap();
        document["consolidated_metadata"]["metadata"].as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    let theirs = consolidated(&root);
    group.consolidate().unwrap();
    assert_eq!(consolidated(&root), theirs);
    let entries: Vec<Value> = inside.iter().map(|entry| entry.copied_to(&format!("hierarchy/{}", path_of(entry)))).collect();
    judge(directory.path(), &entries).expect();
}
