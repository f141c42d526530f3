//! zarrs as a judge: `zarrs-judge read DIR` says of each array of `DIR/manifest.json` whether zarrs reads it as its dump has it, and
//! `zarrs-judge write DIR` writes the arrays of `DIR/zarrs-writes.json`. Dumps are those of `tests/interop/data_types.py`.
//!
//! `read` prints a line of JSON for each array, `{"path", "outcome", "detail"}` with the outcome `agrees`, `differs` or `refuses`: what is
//! expected of zarrs is known to `tests/interop/read_corpus.py`, which starts it.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::{Value, json};
use zarrs::array::{Array, ArrayBytes, ArrayBytesOffsets};
use zarrs::filesystem::FilesystemStore;

mod bench;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["read", directory] => read_all(Path::new(directory)),
        ["write", directory] => write_all(Path::new(directory)),
        ["bench"] => bench::serve(),
        _ => {
            eprintln!("usage: zarrs-judge read DIR | write DIR | bench");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn text<'a>(entry: &'a Value, member: &str) -> Result<&'a str> {
    entry[member].as_str().ok_or_else(|| format!("an entry has no {member}").into())
}

fn entries(path: &Path) -> Result<Vec<Value>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write_all(directory: &Path) -> Result<()> {
    for entry in entries(&directory.join("zarrs-writes.json"))? {
        let path = text(&entry, "path")?;
        write(directory, &entry).map_err(|error| format!("{path}: zarrs does not write this: {error}"))?;
    }
    Ok(())
}

/// Writes the document as it is given, and lets zarrs write the chunks.
fn write(directory: &Path, entry: &Value) -> Result<()> {
    let path = directory.join(text(entry, "path")?);
    fs::create_dir_all(&path)?;
    fs::write(path.join("zarr.json"), serde_json::to_vec(&entry["document"])?)?;
    let array = Array::open(Arc::new(FilesystemStore::new(path)?), "/")?;
    let raw = fs::read(directory.join(text(entry, "input")?))?;
    let count = usize::try_from(array.shape().iter().product::<u64>())?;
    if count == 0 {
        return Ok(());
    }
    let elements = if array.data_type().is_fixed() { ArrayBytes::new_flen(raw) } else { from_dump(&raw, count)? };
    Ok(array.store_array_subset(&array.subset_all(), elements)?)
}

/// Elements of variable length, each a count of bytes and these bytes.
fn from_dump(mut raw: &[u8], count: usize) -> Result<ArrayBytes<'static>> {
    let (mut bytes, mut offsets) = (Vec::new(), vec![0]);
    for _ in 0..count {
        let (size, rest) = raw.split_first_chunk::<4>().ok_or("a dump ends within a count")?;
        let size = usize::try_from(u32::from_le_bytes(*size))?;
        bytes.extend_from_slice(rest.get(..size).ok_or("a dump ends within an element")?);
        offsets.push(bytes.len());
        raw = &rest[size..];
    }
    Ok(ArrayBytes::new_vlen(bytes, ArrayBytesOffsets::new(offsets)?)?)
}

fn to_dump(elements: ArrayBytes<'_>) -> Result<Vec<u8>> {
    if elements.offsets().is_none() {
        return Ok(elements.into_fixed()?.into_owned());
    }
    let (bytes, offsets) = elements.into_variable()?.into_parts();
    let mut out = Vec::new();
    for pair in offsets.windows(2) {
        out.extend_from_slice(&u32::try_from(pair[1] - pair[0])?.to_le_bytes());
        out.extend_from_slice(&bytes[pair[0]..pair[1]]);
    }
    Ok(out)
}

fn read_all(directory: &Path) -> Result<()> {
    for entry in entries(&directory.join("manifest.json"))? {
        let path = text(&entry, "path")?;
        let (outcome, detail) = match differences(directory, path, &entry) {
            Ok(lines) if lines.is_empty() => ("agrees", String::new()),
            Ok(lines) => ("differs", lines.join("; ")),
            Err(error) => ("refuses", error.to_string()),
        };
        println!("{}", json!({"path": path, "outcome": outcome, "detail": detail}));
    }
    Ok(())
}

fn differences(directory: &Path, path: &str, entry: &Value) -> Result<Vec<String>> {
    let array = Array::open(Arc::new(FilesystemStore::new(directory.join(path))?), "/")?;
    let mut lines = Vec::new();
    let shape: Vec<u64> = entry["shape"].as_array().ok_or("an entry has no shape")?.iter().filter_map(Value::as_u64).collect();
    if array.shape() != shape {
        return Ok(vec![format!("shape {:?}, expected {shape:?}", array.shape())]);
    }
    let read: ArrayBytes<'_> = array.retrieve_array_subset(&array.subset_all())?;
    let got = to_dump(read)?;
    let expected = fs::read(directory.join(text(entry, "raw")?))?;
    // Compared at once first: bytes one by one are slow in a build without optimization.
    if got != expected {
        let at = got.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        lines.push(format!("{} bytes, expected {}; they differ first at {at}", got.len(), expected.len()));
    }
    // FMT-V2-15: what was an array of xarray in Zarr v2 says in Zarr v3 which value is missing.
    let mut found = array.attributes().clone();
    if !entry["attributes"].as_object().is_some_and(|attributes| attributes.contains_key("_FillValue")) {
        found.remove("_FillValue");
    }
    if let Some(attributes) = entry["attributes"].as_object()
        && found != *attributes
    {
        lines.push(format!("attributes {:?}, expected {attributes:?}", array.attributes()));
    }
    // Zarr v2 has no dimension names, only attributes that some read as such.
    if let Some(names) = entry["dimension_names"].as_array()
        && directory.join(path).join("zarr.json").exists()
    {
        let expected: Vec<Option<&str>> = names.iter().map(Value::as_str).collect();
        let got: Vec<Option<&str>> = array.dimension_names().iter().flatten().map(Option::as_deref).collect();
        if got != expected {
            lines.push(format!("dimension names {got:?}, expected {expected:?}"));
        }
    }
    Ok(lines)
}
