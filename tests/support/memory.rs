//! Measuring the peak memory of a run of the binary, and large arrays to measure it on.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// What a measured run did.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; below zero, the signal that ended it.
    pub(crate) exit_code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The most memory that was resident at a time, mapped file pages included. Never below about 10 MiB: see `peak_rss.py`.
    pub(crate) peak_rss_bytes: u64,
}

/// Runs `program` to its end and measures it. Needs `python3`, with its standard library alone.
///
/// # Panics
/// If the measuring itself fails; whatever the program does is for the caller to judge.
pub(crate) fn measure<I, S>(program: impl AsRef<OsStr>, args: I) -> Run
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let report = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("make a file for the report");
    let wrapper = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/peak_rss.py");
    let mut command = Command::new("python3");
    command.args(["-I", "-S", "-B"]).arg(wrapper).arg(report.path()).arg(program).args(args).stdin(Stdio::null());
    let output = command.output().unwrap_or_else(|error| panic!("measuring memory needs python3: {error}"));
    let text = fs::read_to_string(report.path()).expect("read the report");
    let numbers = text.split_once(' ').and_then(|(code, bytes)| Some((code.parse().ok()?, bytes.parse().ok()?)));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    let Some((exit_code, peak_rss_bytes)) = numbers else {
        panic!("{command:?} was not measured ({}): {stderr}", output.status);
    };
    Run { exit_code, stdout, stderr, peak_rss_bytes }
}

/// Writes an uncompressed little-endian `float32` array of Zarr v3, without the library under test: the element at position `n` in C
/// order is [`element`]`(n)`. No array of this size is ever in memory here; edges must be multiples of chunk edges.
///
/// # Panics
/// If a file cannot be written or the shapes do not fit each other.
pub(crate) fn write_large(directory: &Path, shape: &[u64], chunk_shape: &[u64]) {
    assert!(shape.len() == chunk_shape.len() && shape.iter().zip(chunk_shape).all(|(len, edge)| len % edge == 0), "whole chunks only");
    fs::create_dir_all(directory).expect("make the directory of the array");
    let document = serde_json::json!({
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk_shape}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0.0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "attributes": {},
    });
    fs::write(directory.join("zarr.json"), document.to_string()).expect("write zarr.json");
    let grid: Vec<u64> = shape.iter().zip(chunk_shape).map(|(len, edge)| len / edge).collect();
    for position in 0..grid.iter().product() {
        let chunk = unravel(position, &grid);
        let name = chunk.iter().fold(String::from("c"), |name, index| format!("{name}/{index}"));
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("a chunk lies in a directory")).expect("make the directory of a chunk");
        write_chunk(&path, shape, chunk_shape, &chunk);
    }
}

/// The element at position `n` in C order of an array of [`write_large`]: 24 bits that neighbours do not share, exact as a float.
pub(crate) fn element(n: u64) -> f32 {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    mixed as f32
}

fn write_chunk(path: &Path, shape: &[u64], chunk_shape: &[u64], chunk: &[u64]) {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path).expect("create a chunk"));
    let row = chunk_shape.last().copied().unwrap_or(1);
    let rows = chunk_shape.iter().product::<u64>() / row;
    let mut bytes = vec![0; usize::try_from(row * 4).expect("a row fits in memory")];
    for number in 0..rows {
        let inner = unravel(number * row, chunk_shape);
        let index = inner.iter().zip(chunk).zip(chunk_shape).map(|((inner, chunk), edge)| chunk * edge + inner);
        let first = index.zip(shape).fold(0, |position, (index, len)| position * len + index);
        for (n, item) in (first..).zip(bytes.chunks_exact_mut(4)) {
            item.copy_from_slice(&element(n).to_le_bytes());
        }
        file.write_all(&bytes).expect("write a chunk");
    }
    file.flush().expect("write a chunk");
}

fn unravel(mut position: u64, shape: &[u64]) -> Vec<u64> {
    let mut index = vec![0; shape.len()];
    for axis in (0..shape.len()).rev() {
        index[axis] = position % shape[axis];
        position /= shape[axis];
    }
    index
}
