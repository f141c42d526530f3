//! Zarr v2 as zarr-python writes it: rezarr reads it, and zarr-python reads what rezarr makes of it as it read the original.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rezarr::{Array, Group, Region};
use serde_json::{Value, json};

use super::{none, python, scratch};

/// Runs the program on one path.
fn rezarr(arguments: &[&str], path: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rezarr"));
    python::run(command.args(arguments).arg(path), "the program failed");
}

/// What is wrong with how rezarr reads an array of fixed-size elements.
fn reading(store: &Path, entry: &Value) -> rezarr::Result<Vec<String>> {
    let array = Array::open(store.join(entry["path"].as_str().unwrap()))?;
    let mut lines = Vec::new();
    if json!(array.shape()) != entry["shape"] {
        lines.push(format!("shape {:?}", array.shape()));
    }
    if json!(array.metadata().dimension_names()) != entry["dimension_names"] {
        lines.push(format!("dimension names {:?}", array.metadata().dimension_names()));
    }
    if let Some(raw) = entry["raw"].as_str() {
        let raw = fs::read(store.parent().unwrap().join(raw)).unwrap();
        if array.read_bytes(&Region::whole(array.shape()))? != raw {
            lines.push(String::from("the elements differ"));
        }
    }
    Ok(lines)
}

#[test]
fn v2_is_read_and_migrated() {
    if python::skipped("v2_is_read_and_migrated") {
        return;
    }
    let directory = scratch();
    let corpus = directory.path().join("corpus");
    python::python("write_v2.py", [&corpus]);
    let (store, migrated): (PathBuf, PathBuf) = (corpus.join("store"), directory.path().join("migrated"));
    let manifest: Vec<Value> = serde_json::from_slice(&fs::read(corpus.join("manifest.json")).unwrap()).unwrap();
    assert!(manifest.len() > 150, "the corpus has {} arrays", manifest.len());
    let mut wrong = Vec::new();
    for entry in &manifest {
        let lines = reading(&store, entry).unwrap_or_else(|error| vec![format!("does not read it: {error}")]);
        wrong.extend(lines.into_iter().map(|line| format!("{}: {line}", entry["path"])));
    }
    none(&wrong);
    let group = Group::open(&store).unwrap();
    let copies = group.metadata().consolidated().unwrap().unwrap();
    let mut count = 0;
    group
        .walk(&mut |path, node| {
            count += 1;
            assert_eq!(node.zarr_format(), 2, "{path}");
            assert!(copies.paths().any(|known| known == path), "{path} is no copy");
            Ok(())
        })
        .unwrap();
    assert!(count > manifest.len());

    let copy = |from: &Path, to: &Path| python::run(Command::new("cp").arg("-r").args([from, to]), "the copy failed");
    copy(&store, &migrated);
    rezarr(&["migrate"], &migrated);
    python::python("compare_v2.py", [&store, &migrated]);
    // The original is still there for readers of Zarr v2, then alone again, and then gone.
    rezarr(&["migrate", "--undo"], &migrated);
    assert!(!migrated.join("zarr.json").exists());
    rezarr(&["migrate", "--remove-v2"], &migrated);
    assert!(!migrated.join(".zgroup").exists());
    python::python("compare_v2.py", [&store, &migrated]);
    for entry in &manifest {
        let path = entry["path"].as_str().unwrap();
        let stored = |root: &Path| {
            let names = fs::read_dir(root.join(path)).unwrap().map(|entry| entry.unwrap().file_name());
            names.filter(|name| !["zarr.json", ".zarray", ".zattrs"].iter().any(|document| name == document)).count()
        };
        assert_eq!(stored(&store), stored(&migrated), "{path}");
    }
}
