//! rezarr against zarr-python, TensorStore, zarrs and xarray: each reads what another wrote, bit for bit.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/python.rs"]
mod python;
// What needs the binary.
#[cfg(feature = "cli")]
#[path = "interop/rechunked.rs"]
mod rechunked;
#[path = "support/zarrs.rs"]
mod zarrs;
#[path = "interop/zips.rs"]
mod zips;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rezarr::{Array, Group, NodeMetadata, Region};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A directory of its own for one test, on the disk of the build.
fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// An array of the corpus.
struct Entry {
    /// The corpus, and the path of the array in it.
    corpus: PathBuf,
    path: String,
    json: Value,
}

impl Entry {
    fn raw(&self) -> Vec<u8> {
        fs::read(self.corpus.join(self.json["raw"].as_str().unwrap())).unwrap()
    }

    fn directory(&self) -> PathBuf {
        self.corpus.join(&self.path)
    }

    /// The entry of a manifest for a copy of this array at `path`.
    fn copied_to(&self, path: &str) -> Value {
        let mut json = self.json.clone();
        json["path"] = path.into();
        json["raw"] = self.corpus.join(json["raw"].as_str().unwrap()).to_str().unwrap().into();
        json
    }
}

/// The corpus that zarr-python and TensorStore write, to be read only: made anew by each run of this program, which keeps others from it.
fn corpus() -> &'static [Entry] {
    static CORPUS: OnceLock<(File, Vec<Entry>)> = OnceLock::new();
    let make = || {
        let corpus = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-corpus");
        let lock = File::create(corpus.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if corpus.exists() {
            fs::remove_dir_all(&corpus).unwrap();
        }
        python::python("write_corpus.py", [&corpus]);
        let manifest: Vec<Value> = serde_json::from_slice(&fs::read(corpus.join("manifest.json")).unwrap()).unwrap();
        assert!(manifest.len() > 300, "the corpus has {} arrays", manifest.len());
        let entry = |json: Value| Entry { corpus: corpus.clone(), path: json["path"].as_str().unwrap().to_owned(), json };
        (lock, manifest.into_iter().map(entry).collect())
    };
    &CORPUS.get_or_init(make).1
}

/// Lets all other readers compare the arrays of `entries`, whose paths lie below `directory`.
fn judge(directory: &Path, entries: &[Value]) {
    fs::write(directory.join("manifest.json"), serde_json::to_vec(entries).unwrap()).unwrap();
    python::python("read_corpus.py", [directory]);
    zarrs::read(directory);
}

/// Fails with all `lines`, if there are any.
fn none(lines: &[String]) {
    assert!(lines.is_empty(), "{} differences\n{}", lines.len(), lines.join("\n"));
}

/// Boxes that together cover `shape`, each axis cut in two at a place that seldom is a chunk boundary.
fn quarters(shape: &[u64]) -> Vec<Region> {
    let mut boxes = vec![(Vec::new(), Vec::new())];
    for &len in shape {
        let cut = len / 2 + u64::from(len > 4);
        let halves = [(0, cut), (cut, len - cut)];
        let grown = boxes.iter().flat_map(|(start, size): &(Vec<u64>, Vec<u64>)| {
            halves.map(|(from, count)| ([start.as_slice(), &[from]].concat(), [size.as_slice(), &[count]].concat()))
        });
        boxes = grown.collect();
    }
    boxes.into_iter().map(|(start, size)| Region::new(start, size).unwrap()).collect()
}

/// The bytes of a box, cut from those of the whole array element by element, by definition.
fn cut(raw: &[u8], shape: &[u64], region: &Region) -> Vec<u8> {
    let count: u64 = shape.iter().product();
    if count == 0 || region.is_empty() {
        return Vec::new();
    }
    let item = raw.len() / usize::try_from(count).unwrap();
    let mut out = Vec::new();
    for number in 0..region.element_count().unwrap() {
        let (mut rest, mut position, mut step) = (number, 0, 1);
        for axis in (0..shape.len()).rev() {
            position += (region.start()[axis] + rest % region.shape()[axis]) * step;
            rest /= region.shape()[axis];
            step *= shape[axis];
        }
        out.extend_from_slice(&raw[usize::try_from(position).unwrap() * item..][..item]);
    }
    out
}

#[test]
fn the_boxes_of_a_test_cover_its_array() {
    let (shape, raw) = ([3, 5, 1], (0..15).collect::<Vec<u8>>());
    assert_eq!(cut(&raw, &shape, &Region::whole(&shape)), raw);
    assert_eq!(cut(&raw, &shape, &Region::new([1, 3, 0], [2, 2, 1]).unwrap()), [8, 9, 13, 14]);
    let mut bytes: Vec<u8> = quarters(&shape).iter().flat_map(|region| cut(&raw, &shape, region)).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, raw);
    assert_eq!(cut(&[7], &[], &quarters(&[])[0]), [7]);
}

/// What is wrong with how rezarr reads an array.
fn reading(entry: &Entry) -> rezarr::Result<Vec<String>> {
    let array = Array::open(entry.directory())?;
    let metadata = array.metadata();
    let mut lines = Vec::new();
    let shape = metadata.shape().to_vec();
    if json!(shape) != entry.json["shape"] {
        return Ok(vec![format!("shape {shape:?}, expected {}", entry.json["shape"])]);
    }
    let raw = entry.raw();
    if array.read_bytes(&Region::whole(&shape))? != raw {
        lines.push("the elements differ".to_owned());
    }
    for region in quarters(&shape) {
        if array.read_bytes(&region)? != cut(&raw, &shape, &region) {
            lines.push(format!("the elements of {region} differ"));
        }
    }
    let attributes = Value::Object(metadata.attributes().to_map()?);
    if attributes != entry.json["attributes"] {
        lines.push(format!("attributes {attributes}, expected {}", entry.json["attributes"]));
    }
    let names = metadata.dimension_names().filter(|names| names.iter().any(Option::is_some));
    if json!(names) != entry.json["dimension_names"] {
        lines.push(format!("dimension names {names:?}, expected {}", entry.json["dimension_names"]));
    }
    Ok(lines)
}

#[test]
fn rezarr_reads_what_others_wrote() {
    if python::skipped("rezarr_reads_what_others_wrote") {
        return;
    }
    let mut wrong = Vec::new();
    for entry in corpus() {
        let lines = reading(entry).unwrap_or_else(|error| vec![format!("does not read it: {error}")]);
        wrong.extend(lines.into_iter().map(|line| format!("{}: {line}", entry.path)));
    }
    none(&wrong);
}

/// The boxes in which an array of a shape is written.
type Boxes = fn(&[u64]) -> Vec<Region>;

/// Writes the elements of `entry` with rezarr under the same document, in the boxes that `boxes` gives for its shape.
fn rewrite(entry: &Entry, target: &Path, boxes: Boxes) -> rezarr::Result<()> {
    let document = fs::read(entry.directory().join("zarr.json")).unwrap();
    let NodeMetadata::Array(metadata) = NodeMetadata::from_bytes(&document)? else { panic!("{} is no array", entry.path) };
    let (shape, raw) = (metadata.shape().to_vec(), entry.raw());
    let array = Array::create(target, *metadata)?;
    boxes(&shape).iter().try_for_each(|region| array.write_bytes(region, &cut(&raw, &shape, region)))
}

#[test]
fn others_read_what_rezarr_wrote() {
    if python::skipped("others_read_what_rezarr_wrote") {
        return;
    }
    let directory = scratch();
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    let ways: [(&str, Boxes); 2] = [("whole", |shape| vec![Region::whole(shape)]), ("in_quarters", quarters)];
    for entry in corpus() {
        for (way, boxes) in ways {
            let path = format!("{way}/{}", entry.path);
            match rewrite(entry, &directory.path().join(&path), boxes) {
                Ok(()) => entries.push(entry.copied_to(&path)),
                Err(error) => wrong.push(format!("{path}: rezarr does not write it: {error}")),
            }
        }
    }
    none(&wrong);
    judge(directory.path(), &entries);
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
    judge(directory.path(), &entries);
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
    judge(directory.path(), &entries);
}
