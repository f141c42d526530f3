//! `zarrs-judge read DIR`: reads the arrays of `DIR/manifest.json` with zarrs and compares them bit for bit.
//!
//! The manifest is that of `tests/interop/write_corpus.py`. One line for each difference, and exit code 1. What zarrs is known not to read
//! is listed in [`LIMITATIONS`] with the reason; such an array is left out, said so, and counted.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::Value;
use zarrs::array::{Array, ArrayBytes};
use zarrs::filesystem::FilesystemStore;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A predicate over `zarr.json`, and why zarrs does not read what it holds for.
type Limitation = (fn(&Value) -> bool, &'static str);

const LIMITATIONS: &[Limitation] = &[(empty_transpose, "refuses to transpose an array of no dimensions")];

fn empty_transpose(document: &Value) -> bool {
    let empty = |codec: &Value| codec["name"] == "transpose" && codec["configuration"]["order"].as_array().is_some_and(Vec::is_empty);
    document["codecs"].as_array().is_some_and(|codecs| codecs.iter().any(empty))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, directory] = arguments.as_slice() else {
        eprintln!("usage: zarrs-judge read DIR");
        return ExitCode::from(2);
    };
    if command != "read" {
        eprintln!("unknown command {command}; there is `read`");
        return ExitCode::from(2);
    }
    match read_all(Path::new(directory)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{directory}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read_all(directory: &Path) -> Result<bool> {
    let manifest: Vec<Value> = serde_json::from_slice(&fs::read(directory.join("manifest.json"))?)?;
    let (mut compared, mut failed, mut left_out) = (0, 0, 0);
    for entry in &manifest {
        let path = entry["path"].as_str().ok_or("an entry has no path")?;
        let document: Value = serde_json::from_slice(&fs::read(directory.join(path).join("zarr.json"))?)?;
        if let Some((_, reason)) = LIMITATIONS.iter().find(|(applies, _)| applies(&document)) {
            eprintln!("left out: {path}: zarrs {reason}");
            left_out += 1;
            continue;
        }
        compared += 1;
        for line in differences(directory, path, entry).unwrap_or_else(|error| vec![format!("does not read it: {error}")]) {
            println!("{path}: zarrs: {line}");
            failed += 1;
        }
    }
    println!("{compared} readings compared, {failed} differences, {left_out} left out");
    Ok(compared > 0 && failed == 0)
}

fn differences(directory: &Path, path: &str, entry: &Value) -> Result<Vec<String>> {
    let array = Array::open(Arc::new(FilesystemStore::new(directory.join(path))?), "/")?;
    let mut lines = Vec::new();
    let shape: Vec<u64> = entry["shape"].as_array().ok_or("an entry has no shape")?.iter().filter_map(Value::as_u64).collect();
    if array.shape() != shape {
        return Ok(vec![format!("shape {:?}, expected {shape:?}", array.shape())]);
    }
    let read: ArrayBytes<'_> = array.retrieve_array_subset(&array.subset_all())?;
    let got = read.into_fixed()?;
    let expected = fs::read(directory.join(entry["raw"].as_str().ok_or("an entry has no raw dump")?))?;
    if got.len() != expected.len() {
        return Ok(vec![format!("{} bytes, expected {}", got.len(), expected.len())]);
    }
    // Compared at once first: bytes one by one are slow in a build without optimization.
    if *got != *expected
        && let Some(at) = got.iter().zip(&expected).position(|(a, b)| a != b)
    {
        let item = got.len() as u64 / shape.iter().product::<u64>();
        lines.push(format!("differs first at element {} in C order", at as u64 / item));
    }
    if let Some(attributes) = entry["attributes"].as_object()
        && array.attributes() != attributes
    {
        lines.push(format!("attributes {:?}, expected {attributes:?}", array.attributes()));
    }
    if let Some(names) = entry["dimension_names"].as_array() {
        let expected: Vec<Option<&str>> = names.iter().map(Value::as_str).collect();
        let got: Vec<Option<&str>> = array.dimension_names().iter().flatten().map(Option::as_deref).collect();
        if got != expected {
            lines.push(format!("dimension names {got:?}, expected {expected:?}"));
        }
    }
    Ok(lines)
}
