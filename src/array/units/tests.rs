//! Units written by several threads and read back, missing and damaged units, and what is refused before it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::array::{Array, UnitReader, UnitWriter, WriteScratch, Written};
use crate::error::{Error, Result};
use crate::metadata::{ArrayMetadata, NodeMetadata};
use crate::region::{BoxLayout, Region, c_strides, copy_box};
use crate::store::faulty::{Fault, FaultyStore};
use crate::store::{Key, MemoryStore};

mod indexes;
mod streams;

const FILL: u16 = 7;

fn metadata(shape: &[u64], chunk: &[u64], codecs: &str) -> ArrayMetadata {
    let document = format!(
        r#"{{"zarr_format": 3, "node_type": "array", "shape": {shape:?}, "data_type": "uint16",
            "chunk_grid": {{"name": "regular", "configuration": {{"chunk_shape": {chunk:?}}}}},
            "chunk_key_encoding": {{"name": "default"}}, "fill_value": {FILL}, "codecs": {codecs}}}"#
    );
    match NodeMetadata::from_bytes(document.as_bytes()).unwrap() {
        NodeMetadata::Array(metadata) => *metadata,
        NodeMetadata::Group(_) => unreachable!("an array document"),
    }
}

const BYTES: &str = r#"{"name": "bytes", "configuration": {"endian": "little"}}"#;
const ZSTD: &str = r#"{"name": "zstd", "configuration": {"level": 1, "checksum": false}}"#;

fn plain() -> String {
    format!("[{BYTES}]")
}

fn compressed() -> String {
    format!(r#"[{{"name": "transpose", "configuration": {{"order": [1, 0]}}}}, {BYTES}, {ZSTD}]"#)
}

fn sharded(inner: &[u64], location: &str) -> String {
    format!(
        r#"[{{"name": "sharding_indexed", "configuration": {{"chunk_shape": {inner:?}, "codecs": [{BYTES}, {ZSTD}],
            "index_codecs": [{BYTES}, {{"name": "crc32c"}}], "index_location": "{location}"}}}}]"#
    )
}

fn array(shape: &[u64], chunk: &[u64], codecs: &str) -> Array {
    Array::create_in(Arc::new(MemoryStore::new()), Key::new("a").unwrap(), metadata(shape, chunk, codecs)).unwrap()
}

/// The value of an element: fill in the third of the array with the smallest first index.
fn value(index: &[u64], shape: &[u64]) -> u16 {
    if index[0] < shape[0] / 3 { FILL } else { u16::try_from((index[0] * 31 + index[1] * 17) % 65_000).unwrap() + 8 }
}

/// The decoded bytes of a unit, with fill beyond the edge.
fn unit_data(array: &Array, unit: &[u64]) -> Vec<u8> {
    let pipeline = array.unit_pipeline();
    let mut data = vec![0; pipeline.chunk_bytes()];
    array.metadata().fill.fill(&mut data);
    let strides = pipeline.strides();
    for index in array.unit_grid().region(unit).indices() {
        let at = BoxLayout::at(Region::new(index.clone(), [1, 1]).unwrap().relative_to(&array.unit_grid().origin(unit)).start(), &strides);
        data[at.offset..at.offset + 2].copy_from_slice(&value(&index, array.shape()).to_ne_bytes());
    }
    data
}

/// Writes all units, every n-th by one of four threads; gives the sum of what was written.
fn write_all(array: &Array) -> Written {
    let writer = UnitWriter::new(array);
    let (bytes, files) = (AtomicU64::new(0), AtomicU64::new(0));
    let units: Vec<_> = Region::whole(&array.unit_grid().counts()).indices().collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (writer, units, bytes, files) = (&writer, &units, &bytes, &files);
            scope.spawn(move || {
                let mut scratch = WriteScratch::default();
                for unit in units.iter().skip(thread).step_by(4) {
                    let mut data = unit_data(array, unit);
                    let known_fill = array.metadata().fill.is_all_fill(&data) && unit[1] % 2 == 0;
                    let written =
                        if known_fill { writer.skip(unit).unwrap() } else { writer.write(unit, &mut data, &mut scratch).unwrap() };
                    bytes.fetch_add(written.stored_bytes, Ordering::Relaxed);
                    files.fetch_add(written.files, Ordering::Relaxed);
                }
            });
        }
    });
    writer.finish().unwrap();
    Written { stored_bytes: bytes.into_inner(), files: files.into_inner() }
}

#[test]
fn units_written_by_four_threads_are_read_back() {
    for (shape, chunk, codecs) in [
        ([31, 17], [4, 5], plain()),
        ([31, 17], [4, 5], compressed()),
        ([31, 17], [8, 6], sharded(&[2, 3], "end")),
        ([31, 17], [8, 6], sharded(&[2, 3], "start")),
        ([9, 1], [100, 100], sharded(&[1, 1], "end")),
    ] {
        let array = array(&shape, &chunk, &codecs);
        let written = write_all(&array);
        let (mut reader, mut unit_bytes) = (UnitReader::new(&array), 0);
        for unit in Region::whole(&array.unit_grid().counts()).indices() {
            let expected = unit_data(&array, &unit);
            let mut seen = false;
            unit_bytes += reader
                .read(&unit, &mut |data| {
                    seen = true;
                    assert_eq!(data.is_none(), array.metadata().fill.is_all_fill(&expected), "{unit:?}");
                    assert!(data.is_none_or(|data| data == expected), "{unit:?}");
                    Ok(())
                })
                .unwrap();
            assert!(seen);
        }
        let (mut stored, mut files) = (0, 0);
        for chunk in Region::whole(&array.grid().counts()).indices() {
            let size = array.stored_chunk_bytes(&chunk).unwrap();
            stored += size.unwrap_or(0);
            files += u64::from(size.is_some());
        }
        assert_eq!(written, Written { stored_bytes: stored, files }, "{codecs}");
        let indexes = array.sharding().map_or(0, |sharding| sharding.index_bytes() * files);
        assert_eq!(unit_bytes, stored - indexes, "{codecs}");
        let whole = array.read::<u16>(&Region::whole(&shape)).unwrap();
        let expected: Vec<u16> = Region::whole(&shape).indices().map(|index| value(&index, &shape)).collect();
        assert_eq!(whole, expected, "{codecs}");
    }
}

#[test]
fn what_is_all_fill_makes_no_value() {
    for codecs in [plain(), sharded(&[2, 2], "start")] {
        let array = array(&[8, 8], &[4, 4], &codecs);
        let writer = UnitWriter::new(&array);
        let mut data = vec![0; array.unit_pipeline().chunk_bytes()];
        for unit in Region::whole(&array.unit_grid().counts()).indices() {
            array.metadata().fill.fill(&mut data);
            assert_eq!(writer.write(&unit, &mut data, &mut WriteScratch::default()).unwrap(), Written::default());
        }
        writer.finish().unwrap();
        for chunk in Region::whole(&array.grid().counts()).indices() {
            assert_eq!(array.stored_chunk_bytes(&chunk).unwrap(), None);
        }
    }
}

#[test]
fn a_shard_that_lacks_a_unit_is_not_finished() {
    let array = array(&[8, 8], &[4, 4], &sharded(&[2, 2], "end"));
    let writer = UnitWriter::new(&array);
    writer.skip(&[0, 0]).unwrap();
    assert!(matches!(writer.finish(), Err(Error::InvalidArgument { .. })));
}

#[test]
fn a_large_chunk_is_written_in_pieces() {
    let codecs = format!(r#"[{BYTES}, {{"name": "gzip", "configuration": {{"level": 1}}}}]"#);
    let array = array(&[700, 1000], &[700, 1000], &codecs);
    let mut state = 1_u64;
    let mut data: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(array.unit_pipeline().chunk_bytes())
    .collect();
    let expected = data.clone();
    let writer = UnitWriter::new(&array);
    let mut scratch = WriteScratch::default();
    let written = writer.write(&[0, 0], &mut data, &mut scratch).unwrap();
    assert!(written.stored_bytes > 1 << 20, "{written:?}");
    assert!(scratch.output.capacity() <= 256 << 10, "the output was collected: {}", scratch.output.capacity());
    assert_eq!(array.read_chunk(&[0, 0]).unwrap(), expected);
}

/// Sets the bytes of a chunk, and reads the unit (0, 0).
fn read_damaged(array: &Array, bytes: &[u8]) -> Result<u64> {
    array.store().set(&array.chunk_key(&[0, 0]).unwrap(), bytes).unwrap();
    UnitReader::new(array).read(&[0, 0], &mut |_| Ok(()))
}

#[test]
fn truncated_and_overlong_units_are_corrupt_and_named() {
    for codecs in [plain(), compressed(), sharded(&[3, 3], "end"), sharded(&[3, 3], "start")] {
        let array = array(&[6, 6], &[6, 6], &codecs);
        let data: Vec<u16> = (0..36).map(|i| i * 1000).collect();
        array.write(&Region::whole(&[6, 6]), &data).unwrap();
        let good = array.encoded_chunk(&[0, 0]).unwrap().unwrap();
        assert!(read_damaged(&array, &good).unwrap() > 0);
        for len in 0..good.len() {
            let error = match read_damaged(&array, &good[..len]) {
                Err(error) => error.to_string(),
                // With the index first, what is cut off may belong to other inner chunks.
                Ok(_) => {
                    assert!(codecs.contains("start") && len > 0, "{len} of {} bytes of {codecs}", good.len());
                    continue;
                }
            };
            assert!(error.contains("c/0/0"), "{error}");
        }
        if array.sharding().is_none() {
            let mut long = good.clone();
            long.resize(good.len() + (64 << 10), 0);
            let error = read_damaged(&array, &long).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }) && error.to_string().contains("takes"), "{error}");
        }
    }
}

#[test]
fn an_error_of_the_visitor_comes_back_as_it_is() {
    let array = array(&[6, 6], &[6, 6], &plain());
    array.write(&Region::whole(&[6, 6]), &[1_u16; 36]).unwrap();
    let error = UnitReader::new(&array).read(&[0, 0], &mut |_| Err(Error::corrupt("mine"))).unwrap_err();
    assert!(matches!(error, Error::Corrupt { key, .. } if key.is_empty()));
}

#[test]
fn memory_bounds_count_what_is_held() {
    let raw = array(&[100, 100], &[100, 100], &plain());
    assert_eq!(UnitReader::memory_bytes(&raw), 20_000 + raw.unit_pipeline().decode_memory());
    let packed = array(&[100, 100], &[100, 100], &compressed());
    assert!(UnitReader::memory_bytes(&packed) >= 40_000);
    let shards = array(&[90, 90], &[90, 90], &sharded(&[1, 1], "end"));
    assert!(UnitReader::memory_bytes(&shards) >= 8100 * 16);
    assert!(UnitWriter::memory_bytes_per_open_shard(&shards) >= 8100 * 16);
    assert_eq!(UnitWriter::memory_bytes_per_open_shard(&raw), 0);
    assert!(UnitWriter::memory_bytes_per_thread(&raw) >= 128 << 10);
}

#[test]
fn decoded_units_are_laid_out_by_the_strides() {
    let array = array(&[4, 6], &[4, 6], &compressed());
    let data: Vec<u16> = (100..124).collect();
    array.write(&Region::whole(&[4, 6]), &data).unwrap();
    let strides = array.unit_pipeline().strides();
    let mut got = vec![0_u8; 48];
    UnitReader::new(&array)
        .read(&[0, 0], &mut |unit| {
            let to = c_strides(&[4, 6], 2);
            let from = BoxLayout { offset: 0, strides: &strides };
            copy_box(&[4, 6], 2, unit.unwrap(), from, &mut got, BoxLayout { offset: 0, strides: &to });
            Ok(())
        })
        .unwrap();
    assert_eq!(bytemuck::cast_slice::<u16, u8>(&data), got);
    assert_eq!(strides, [2, 8]);
}

#[test]
fn a_reader_comes_back_to_the_shards_that_it_holds() {
    let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()), Fault::Never));
    let array = Array::create_in(store.clone(), Key::new("a").unwrap(), metadata(&[8, 64], &[8, 16], &sharded(&[1, 8], "end"))).unwrap();
    // Of four shards side by side, the first and the third are there.
    for column in [0, 32] {
        array.write(&Region::new([0, column], [8, 16]).unwrap(), &[1_u16; 128]).unwrap();
    }
    let mut operations = Vec::new();
    for most_held in [1, 4] {
        let (mut reader, before) = (UnitReader::holding(&array, most_held), store.operation_count());
        let mut missing = 0;
        for unit in Region::whole(&[8, 8]).indices() {
            reader
                .read(&unit, &mut |data| {
                    missing += u32::from(data.is_none());
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(missing, 32);
        operations.push(store.operation_count() - before);
    }
    // A reader that holds all: four opens, two indexes, 32 units. One that holds the last: opens and indexes again in each of eight rows.
    assert_eq!(operations, [8 * 4 + 8 * 2 + 32, 4 + 2 + 32]);
}
