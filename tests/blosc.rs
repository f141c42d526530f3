//! Arrays of blosc chunks through the public interface: which blocks a read decodes, what documents say, what is refused and noted.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use rezarr::{Array, ArrayMetadata, Codecs, DataType, Error, Layout, NodeMetadata, RechunkOptions, Region, rechunk};
use serde_json::{Value, json};

/// A chunk of 256 x 1024 uint16, in which a block is 32 rows: the least that blocks of two streams have.
const ROWS: u64 = 256;
const COLUMNS: u64 = 1024;
const BLOCK_ROWS: u64 = 32;

fn blosc(cname: &str) -> Value {
    // What is asked for is the size of a stream where blocks are split.
    let size = BLOCK_ROWS * COLUMNS * if cname == "zstd" { 2 } else { 1 };
    json!({"name": "blosc", "configuration": {"cname": cname, "clevel": 5, "shuffle": "bitshuffle", "typesize": 2, "blocksize": size}})
}

fn create(path: &Path, chunk: &[u64], codecs: &Value) -> Array {
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": [2 * ROWS, COLUMNS], "data_type": "uint16", "fill_value": 0, "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    });
    match NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap() {
        NodeMetadata::Array(metadata) => Array::create(path, *metadata).unwrap(),
        NodeMetadata::Group(_) => unreachable!("an array document"),
    }
}

fn values() -> Vec<u16> {
    (0..2 * ROWS * COLUMNS).map(|i| u16::try_from(i * i % 61 + i / 500).unwrap()).collect()
}

fn region(rows: (u64, u64), columns: (u64, u64)) -> Region {
    Region::new([rows.0, columns.0], [rows.1 - rows.0, columns.1 - columns.0]).unwrap()
}

fn expected(region: &Region) -> Vec<u16> {
    let (values, start, shape) = (values(), region.start(), region.shape());
    let place = |row, column| usize::try_from((start[0] + row) * COLUMNS + start[1] + column).unwrap();
    (0..shape[0]).flat_map(|row| (0..shape[1]).map(move |column| place(row, column))).map(|at| values[at]).collect()
}

/// Makes the size of the first stream of a block one that cannot be, in the frame that begins at byte `at` of a file.
fn break_block(path: &Path, at: usize, block: usize) {
    let mut bytes = fs::read(path).unwrap();
    let number = |bytes: &[u8], at: usize| usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap();
    let blocks = number(&bytes, at + 4).div_ceil(number(&bytes, at + 8));
    assert_eq!((blocks, bytes[at + 2] & 2), (usize::try_from(ROWS / BLOCK_ROWS).unwrap(), 0), "blocks, and that they are compressed");
    let stream = at + number(&bytes, at + 16 + 4 * block);
    bytes[stream..stream + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

/// Regions of the first chunk, all but the whole of it, and the blocks that hold them.
fn regions() -> Vec<(Region, std::ops::Range<u64>)> {
    vec![
        (region((0, 1), (0, 1)), 0..1),
        (region((31, 33), (0, COLUMNS)), 0..2),
        (region((64, 96), (0, COLUMNS)), 2..3),
        (region((255, 256), (1023, 1024)), 7..8),
        (region((33, 190), (5, 6)), 1..6),
        (region((0, ROWS), (1, 2)), 0..8),
    ]
}

#[test]
fn a_read_decodes_the_blocks_that_hold_its_region_and_no_other() {
    // FMT-BL-9: whichever block is broken, exactly those regions cannot be read which it holds a part of.
    let little = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let sharding = json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [ROWS, COLUMNS], "index_location": "start",
        "codecs": [little, blosc("zstd")], "index_codecs": [little]}});
    let root = tempfile::tempdir().unwrap();
    // The frame of a shard begins behind an index of two inner chunks.
    for (name, chunk, codecs, at) in
        [("plain", [ROWS, COLUMNS], json!([little, blosc("lz4")]), 0), ("shards", [2 * ROWS, COLUMNS], json!([sharding]), 32)]
    {
        for broken in 0..ROWS / BLOCK_ROWS {
            let path = root.path().join(format!("{name}{broken}"));
            let array = create(&path, &chunk, &codecs);
            array.write(&Region::whole(&[2 * ROWS, COLUMNS]), &values()).unwrap();
            break_block(&path.join("c/0/0"), at, usize::try_from(broken).unwrap());
            for (region, blocks) in regions() {
                match array.read::<u16>(&region) {
                    Ok(read) => assert!(!blocks.contains(&broken) && read == expected(&region), "{name}: block {broken}, {region}"),
                    Err(error) => {
                        let said = matches!(&error, Error::Corrupt { .. }) && error.to_string().contains("c/0/0");
                        assert!(blocks.contains(&broken) && said, "{name}: block {broken}, {region}: {error}");
                    }
                }
            }
            assert!(array.read::<u16>(&region((0, ROWS), (0, COLUMNS))).is_err());
            let next = region((ROWS, ROWS + 3), (0, 7));
            assert_eq!(array.read::<u16>(&next).unwrap(), expected(&next));
        }
    }
}

#[test]
fn a_checksum_is_checked_over_everything() {
    // FMT-BL-9: also where only a part is decoded.
    let little = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let root = tempfile::tempdir().unwrap();
    let array = create(root.path(), &[ROWS, COLUMNS], &json!([little, blosc("zlib"), {"name": "crc32c"}]));
    array.write(&Region::whole(&[2 * ROWS, COLUMNS]), &values()).unwrap();
    let first = region((0, 1), (0, 3));
    assert_eq!(array.read::<u16>(&first).unwrap(), expected(&first));
    break_block(&root.path().join("c/0/0"), 0, 7);
    assert!(matches!(array.read::<u16>(&first), Err(Error::ChecksumMismatch { .. })));
}

#[test]
fn other_byte_orders_and_transpositions_are_read_in_part_too() {
    let root = tempfile::tempdir().unwrap();
    let big = json!({"name": "bytes", "configuration": {"endian": "big"}});
    let transposed = json!([{"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "bytes", "configuration": {"endian": "little"}}, blosc("blosclz")]);
    for (name, codecs) in [("big", json!([big, blosc("lz4")])), ("transposed", transposed)] {
        let array = create(&root.path().join(name), &[ROWS, COLUMNS], &codecs);
        array.write(&Region::whole(&[2 * ROWS, COLUMNS]), &values()).unwrap();
        for (region, _) in regions() {
            assert_eq!(array.read::<u16>(&region).unwrap(), expected(&region), "{name} {region}");
        }
    }
}

fn layout(codecs: &str) -> Layout {
    Layout { chunk_shape: vec![ROWS, COLUMNS], shard_shape: None, codecs: codecs.parse().unwrap() }
}

fn new(data_type: DataType, codecs: &str) -> ArrayMetadata {
    ArrayMetadata::new([2 * ROWS, COLUMNS], data_type, None, &layout(codecs)).unwrap()
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path.join("zarr.json")).unwrap()).unwrap()
}

#[test]
fn the_size_of_an_element_comes_from_the_data_type() {
    // FMT-BL-2.
    let root = tempfile::tempdir().unwrap();
    for (data_type, size) in [(DataType::Float64, 8), (DataType::Int16, 2), (DataType::Bool, 1), (DataType::Raw { size_bytes: 300 }, 300)] {
        let path = root.path().join(data_type.name());
        let metadata = new(data_type, "blosc:lz4:5:shuffle");
        if size > 1 && size < 300 {
            assert_eq!(metadata.layout(), layout("blosc:lz4:5:shuffle"));
        }
        Array::create(&path, metadata).unwrap();
        let expected = json!({"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": size, "blocksize": 0});
        assert_eq!(document(&path)["codecs"][1], json!({"name": "blosc", "configuration": expected}));
    }
}

/// An array of `codecs` and the path of what it is rechunked to.
fn source(root: &Path, codecs: &str) -> (PathBuf, PathBuf) {
    let array = Array::create(root.join("source"), new(DataType::UInt16, codecs)).unwrap();
    array.write(&Region::whole(&[2 * ROWS, COLUMNS]), &values()).unwrap();
    (root.join("source"), root.join("target"))
}

#[test]
fn a_rechunk_says_what_it_encodes_otherwise() {
    // FMT-BL-8.
    let root = tempfile::tempdir().unwrap();
    let (from, to) = source(root.path(), "blosc:zstd");
    let codecs: Codecs = "blosc:lz4hc:9".parse().unwrap();
    let report = rechunk(&from, Some(&to), RechunkOptions::new().chunks([10, 500]).codecs(codecs)).unwrap();
    assert!(report.warnings.iter().any(|warning| warning.contains("lz4hc is encoded by the lz4 encoder")), "{:?}", report.warnings);
    let all = Region::whole(&[2 * ROWS, COLUMNS]);
    assert_eq!(Array::open(&to).unwrap().read::<u16>(&all).unwrap(), values());
    assert_eq!(document(&to)["codecs"][1]["configuration"]["cname"], "lz4hc");
}

#[test]
fn snappy_is_read_but_no_target() {
    // FMT-BL-8: the array keeps its codec unless it is asked for another.
    let root = tempfile::tempdir().unwrap();
    let (from, to) = source(root.path(), "blosc:lz4");
    let text = fs::read_to_string(from.join("zarr.json")).unwrap();
    fs::write(from.join("zarr.json"), text.replace("\"lz4\"", "\"snappy\"")).unwrap();
    let array = Array::open(&from).unwrap();
    let all = Region::whole(&[2 * ROWS, COLUMNS]);
    assert_eq!(array.read::<u16>(&all).unwrap(), values(), "what frames say counts");
    assert!(array.write(&all, &values()).unwrap_err().to_string().contains("lz4 or zstd"));
    let error = rechunk(&from, Some(&to), RechunkOptions::new().chunks([10, 500])).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { .. }) && error.to_string().contains("lz4 or zstd"), "{error:?}");
    rechunk(&from, Some(&to), RechunkOptions::new().chunks([10, 500]).codecs("blosc:lz4".parse().unwrap())).unwrap();
    assert_eq!(Array::open(&to).unwrap().read::<u16>(&all).unwrap(), values());
}
