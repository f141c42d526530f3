//! Units read and written slab after slab, beside units at once.

use super::*;

const GZIP: &str = r#"{"name": "gzip", "configuration": {"level": 1}}"#;
const BIG: &str = r#"{"name": "bytes", "configuration": {"endian": "big"}}"#;
const BLOSC: &str =
    r#"{"name": "blosc", "configuration": {"cname": "zstd", "clevel": 1, "shuffle": "shuffle", "typesize": 2, "blocksize": 128}}"#;
const CRC: &str = r#"{"name": "crc32c"}"#;
const BEFORE: &str = r#"{"name": "numcodecs.crc32"}"#;

fn sharded_with(inner: &[u64], codecs: &str, location: &str) -> String {
    format!(
        r#"[{{"name": "sharding_indexed", "configuration": {{"chunk_shape": {inner:?}, "codecs": [{codecs}],
            "index_codecs": [{BYTES}, {CRC}], "index_location": "{location}"}}}}]"#
    )
}

fn forms() -> Vec<(Vec<u64>, String)> {
    vec![
        (vec![11, 7], plain()),
        (vec![11, 7], compressed()),
        (vec![11, 7], format!("[{BIG}, {GZIP}, {CRC}]")),
        (vec![11, 7], format!("[{BYTES}, {BLOSC}]")),
        (vec![11, 7], format!("[{BYTES}, {ZSTD}, {BEFORE}]")),
        (vec![22, 14], sharded(&[11, 7], "end")),
        (vec![22, 14], sharded(&[11, 7], "start")),
        (vec![22, 14], sharded_with(&[11, 7], &format!("{BYTES}, {BLOSC}"), "start")),
        (vec![22, 14], sharded_with(&[11, 7], &format!("{BIG}, {BEFORE}"), "end")),
    ]
}

fn units(array: &Array) -> Vec<Vec<u64>> {
    Region::whole(&array.unit_grid().counts()).indices().collect()
}

/// Writes a unit in slabs of so many elements.
fn push_all(writer: &UnitWriter, unit: &[u64], data: &[u8], elements: usize) -> Result<Written> {
    let mut streamed = writer.stream(unit)?;
    data.chunks(2 * elements).try_for_each(|slab| streamed.push(slab))?;
    streamed.finish()
}

fn pull_all(array: &Array, unit: &[u64], slab: usize) -> Result<Option<Vec<u8>>> {
    Ok(pull_counted(array, unit, slab)?.map(|(data, _)| data))
}

/// The decoded bytes of a unit, and the number of its stored bytes.
fn pull_counted(array: &Array, unit: &[u64], slab: usize) -> Result<Option<(Vec<u8>, u64)>> {
    let reader = UnitReader::new(array);
    let Some(mut stream) = reader.stream(unit, UnitReader::stream_memory(array))? else { return Ok(None) };
    let mut data = vec![0; array.unit_pipeline().chunk_bytes()];
    data.chunks_mut(slab).try_for_each(|slab| stream.next(slab))?;
    let stored = stream.finish()?;
    Ok(Some((data, stored)))
}

/// FMT-STR-6
#[test]
fn streamed_units_are_read_at_once_and_as_streams() {
    for (chunk, codecs) in forms() {
        let array = array(&[31, 17], &chunk, &codecs);
        let writer = UnitWriter::new(&array);
        let mut written = Written::default();
        for (i, unit) in units(&array).iter().enumerate() {
            let now = push_all(&writer, unit, &unit_data(&array, unit), [1, 5, 30, 1000][i % 4]).unwrap();
            written.stored_bytes += now.stored_bytes;
            written.files += now.files;
        }
        writer.finish().unwrap();
        let (mut stored, mut files) = (0, 0);
        for chunk in Region::whole(&array.grid().counts()).indices() {
            let size = array.stored_chunk_bytes(&chunk).unwrap();
            stored += size.unwrap_or(0);
            files += u64::from(size.is_some());
        }
        assert_eq!(written, Written { stored_bytes: stored, files }, "{codecs}");
        let mut reader = UnitReader::new(&array);
        for unit in units(&array) {
            let expected = unit_data(&array, &unit);
            let expected = (!array.metadata().fill.is_all_fill(&expected)).then_some(expected);
            let check = &mut |data: Option<&[u8]>| {
                assert_eq!(data, expected.as_deref(), "{codecs}");
                Ok(())
            };
            let stored = reader.read(&unit, check).unwrap();
            for slab in [1, 7, 64, 10_000] {
                assert_eq!(pull_all(&array, &unit, slab).unwrap(), expected, "{codecs}");
            }
            let memory = UnitReader::stream_memory(&array);
            assert_eq!(pull_counted(&array, &unit, 64).unwrap().map_or(0, |(_, stored)| stored), stored);
            assert!(reader.stream_needs(&unit).unwrap() <= memory);
            assert_eq!(reader.stream_needs(&unit).unwrap() == 0, expected.is_none());
        }
    }
}

/// FMT-STR-6: fill is held back until something else comes, and is then written before it.
#[test]
fn fill_is_counted_until_something_else_comes() {
    for codecs in [plain(), sharded(&[200, 300], "start")] {
        let store = Arc::new(FaultyStore::new(Arc::new(MemoryStore::new()), Fault::Never));
        let array = Array::create_in(store.clone(), Key::new("a").unwrap(), metadata(&[400, 300], &[200, 300], &codecs)).unwrap();
        let writer = UnitWriter::new(&array);
        let fill = FILL.to_ne_bytes().repeat(10_000);
        let before = store.operation_count();
        let mut streamed = writer.stream(&[0, 0]).unwrap();
        for _ in 0..5 {
            streamed.push(&fill).unwrap();
        }
        streamed.push_fill(20_000).unwrap();
        assert_eq!(store.operation_count(), before, "nothing is written");
        assert_eq!(streamed.finish().unwrap(), Written::default());
        assert_eq!(store.operation_count(), before);
        let mut streamed = writer.stream(&[1, 0]).unwrap();
        streamed.push_fill(2 * 40_000).unwrap();
        streamed.push(&[1, 0, FILL.to_ne_bytes()[0], FILL.to_ne_bytes()[1]]).unwrap();
        streamed.push(&fill[..2 * 9998]).unwrap();
        streamed.push_fill(2 * 10_000).unwrap();
        assert_eq!(streamed.finish().unwrap().files, 1);
        writer.finish().unwrap();
        let got = array.read::<u16>(&Region::whole(&[400, 300])).unwrap();
        let expected: Vec<u16> = (0..120_000).map(|i| if i == 100_000 { u16::from_ne_bytes([1, 0]) } else { FILL }).collect();
        assert_eq!(got, expected);
        assert_eq!(array.stored_chunk_bytes(&[0, 0]).unwrap(), None);
    }
}

/// FMT-STR-6
#[test]
fn a_unit_is_given_exactly() {
    for codecs in [plain(), compressed(), sharded(&[4, 4], "end")] {
        let array = array(&[4, 4], &[4, 4], &codecs);
        let writer = UnitWriter::new(&array);
        for data in [&[0; 30][..], &FILL.to_ne_bytes().repeat(15), &FILL.to_ne_bytes().repeat(17), &[0; 34]] {
            assert!(matches!(push_all(&writer, &[0, 0], data, 3), Err(Error::InvalidArgument { .. })), "{codecs}");
        }
        // None of them counts as given.
        push_all(&writer, &[0, 0], &[3; 32], 3).unwrap();
        writer.finish().unwrap();
        assert_eq!(pull_all(&array, &[0, 0], 5).unwrap().unwrap(), [3; 32]);
    }
}

/// FMT-STR-6
#[test]
fn an_abandoned_unit_can_be_given_again() {
    for (codecs, edge) in [(plain(), 2), (sharded(&[2, 2], "end"), 4), (sharded(&[2, 2], "start"), 4)] {
        let array = array(&[4, 4], &[edge, edge], &codecs);
        let writer = UnitWriter::new(&array);
        let mut scratch = WriteScratch::default();
        writer.write(&[0, 0], &mut [1; 8], &mut scratch).unwrap();
        let mut streamed = writer.stream(&[0, 1]).unwrap();
        streamed.push(&[9; 6]).unwrap();
        drop(streamed);
        writer.write(&[1, 0], &mut [2; 8], &mut scratch).unwrap();
        push_all(&writer, &[0, 1], &[3; 8], 1).unwrap();
        writer.write(&[1, 1], &mut [4; 8], &mut scratch).unwrap();
        writer.finish().unwrap();
        for (unit, value) in [([0, 0], 1), ([0, 1], 3), ([1, 0], 2), ([1, 1], 4)] {
            assert_eq!(pull_all(&array, &unit, 3).unwrap().unwrap(), [value; 8], "{codecs}");
        }
    }
}

/// FMT-STR-6
#[test]
fn one_unit_of_a_shard_at_a_time() {
    let array = array(&[4, 4], &[4, 4], &sharded(&[2, 2], "end"));
    let writer = UnitWriter::new(&array);
    let mut streamed = writer.stream(&[0, 0]).unwrap();
    streamed.push(&[1; 4]).unwrap();
    writer.skip(&[1, 1]).unwrap();
    let refused = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
    assert!(refused(&|| drop(writer.write(&[0, 1], &mut [2; 8], &mut WriteScratch::default()))));
    assert!(refused(&|| drop(writer.stream(&[0, 1]).unwrap().push(&[1; 2]))));
    // One that is fill so far does not want the shard yet.
    let mut waiting = writer.stream(&[0, 1]).unwrap();
    waiting.push_fill(6).unwrap();
    streamed.push(&[1; 4]).unwrap();
    streamed.finish().unwrap();
    waiting.push(&[5; 2]).unwrap();
    waiting.finish().unwrap();
    push_all(&writer, &[1, 0], &[2; 8], 4).unwrap();
    writer.finish().unwrap();
    let [fill, other] = [FILL, u16::from_ne_bytes([5, 5])];
    assert_eq!(array.read::<u16>(&Region::new([0, 2], [2, 2]).unwrap()).unwrap(), [fill, fill, fill, other]);
    assert_eq!(array.read::<u16>(&Region::new([2, 2], [2, 2]).unwrap()).unwrap(), [fill; 4]);
}

/// FMT-STR-2
#[test]
fn parts_of_a_unit_are_passed_over() {
    for (chunk, codecs) in forms() {
        let array = array(&chunk, &chunk, &codecs);
        assert_eq!((array.unit_pipeline().decode_obstacle(), array.unit_pipeline().encode_obstacle()), (None, None));
        let data: Vec<u16> = (0..chunk.iter().product()).map(|i| u16::try_from(i * 37).unwrap()).collect();
        array.write(&Region::whole(&chunk), &data).unwrap();
        let expected = pull_all(&array, &[0, 0], 1 << 20).unwrap().unwrap();
        for (first, len) in [(0, 3), (1, 40), (77, 2), (expected.len() - 1, 1)] {
            let mut stream = UnitReader::new(&array).stream(&[0, 0], UnitReader::stream_memory(&array)).unwrap().unwrap();
            let mut got = vec![0; len];
            stream.skip(first as u64).unwrap();
            stream.next(&mut got).unwrap();
            assert_eq!(got, expected[first..first + len], "{codecs}");
            assert!(matches!(stream.skip(expected.len() as u64), Err(Error::InvalidArgument { .. })));
            let mut stream = UnitReader::new(&array).stream(&[0, 0], UnitReader::stream_memory(&array)).unwrap().unwrap();
            stream.skip(expected.len() as u64).unwrap();
            stream.finish().unwrap();
        }
    }
}

#[test]
fn a_stream_goes_on_with_the_value_that_it_began() {
    for codecs in [compressed(), sharded(&[5, 5], "end")] {
        let array = array(&[10, 10], &[10, 10], &codecs);
        let data: Vec<u16> = (0..100).map(|i| i * 600).collect();
        array.write(&Region::whole(&[10, 10]), &data).unwrap();
        let (reader, memory) = (UnitReader::new(&array), UnitReader::stream_memory(&array));
        let mut streams = vec![reader.stream(&[0, 0], memory).unwrap().unwrap(), reader.stream(&[0, 0], memory).unwrap().unwrap()];
        let mut got = vec![vec![0; array.unit_pipeline().chunk_bytes()]; 2];
        streams[0].next(&mut got[0][..20]).unwrap();
        array.write(&Region::whole(&[10, 10]), &[1_u16; 100]).unwrap();
        streams[1].next(&mut got[1]).unwrap();
        streams[0].next(&mut got[0][20..]).unwrap();
        for stream in streams {
            stream.finish().unwrap();
        }
        assert_eq!(got[0], got[1]);
        let mut whole = 0;
        reader_bytes(&array, &mut |data| whole = data.iter().map(|&byte| usize::from(byte)).sum());
        assert_eq!(whole, array.unit_pipeline().chunk_bytes() / 2, "the other value is there now");
    }
}

fn reader_bytes(array: &Array, visit: &mut dyn FnMut(&[u8])) {
    let shown = &mut |data: Option<&[u8]>| {
        visit(data.unwrap());
        Ok(())
    };
    UnitReader::new(array).read(&[0, 0], shown).unwrap();
}

#[test]
fn damaged_units_are_named() {
    for (codecs, key) in [(compressed(), "c/0/0"), (sharded(&[6, 6], "end"), "c/0/0 (inner chunk [0, 0]"), (plain(), "c/0/0")] {
        let array = array(&[6, 6], &[6, 6], &codecs);
        array.write(&Region::whole(&[6, 6]), &(0..36).map(|i| i * 1000).collect::<Vec<u16>>()).unwrap();
        let mut bytes = array.encoded_chunk(&[0, 0]).unwrap().unwrap();
        if codecs == plain() {
            bytes.pop();
        } else {
            bytes[3] ^= 0x40;
        }
        array.store().set(&array.chunk_key(&[0, 0]).unwrap(), &bytes).unwrap();
        let error = pull_all(&array, &[0, 0], 7).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }) && error.to_string().contains(key), "{error}");
    }
    // A codec that must have all at once.
    let array = array(&[6, 6], &[6, 6], &format!(r#"[{BYTES}, {{"name": "numcodecs.bz2"}}]"#));
    array.write(&Region::whole(&[6, 6]), &[1_u16; 36]).unwrap();
    let error = pull_all(&array, &[0, 0], 7).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { key, what } if key.contains("c/0/0") && what.contains("numcodecs.bz2")), "{error}");
    assert!(matches!(UnitWriter::new(&array).stream(&[0, 0]), Err(Error::Unsupported { .. })));
}

/// FMT-STR-5: what the issue asks for, and what is said where more is needed.
#[test]
fn memory_of_streams_is_known_beforehand() {
    let level = |level: i32| format!(r#"[{BYTES}, {{"name": "zstd", "configuration": {{"level": {level}, "checksum": false}}}}]"#);
    for codecs in [plain(), level(1), level(2), level(3), format!("[{BYTES}, {GZIP}]"), sharded_with(&[1 << 16, 1 << 14], BYTES, "end")] {
        let array = array(&[1 << 20, 1 << 20], &[1 << 16, 1 << 14], &codecs);
        let (read, write) = (UnitReader::stream_memory(&array), UnitWriter::stream_memory(&array));
        assert!(read + write < 7 << 20, "{codecs}: {read} and {write}");
    }
    let array = array(&[1 << 15, 1 << 14], &[1 << 15, 1 << 14], &level(3));
    // All of it in one segment.
    let mut frame = [&0xfd2f_b528_u32.to_le_bytes()[..], &[0xa0], &(1_u32 << 30).to_le_bytes()].concat();
    frame.extend_from_slice(&[3 + 4, 0, 0]);
    array.store().set(&array.chunk_key(&[0, 0]).unwrap(), &frame).unwrap();
    let (reader, memory) = (UnitReader::new(&array), UnitReader::stream_memory(&array));
    let needs = reader.stream_needs(&[0, 0]).unwrap();
    let Err(Error::BudgetTooSmall { required_bytes, budget_bytes, what }) = reader.stream(&[0, 0], memory) else { panic!("accepted") };
    assert_eq!((required_bytes, budget_bytes), (needs, memory));
    assert!(needs > 1 << 30 && what.contains("c/0/0") && what.contains("zstd") && what.contains("1073741824"), "{what}");
    assert!(reader.stream(&[0, 0], needs).is_ok());
}

/// FMT-STR-7: indexes that do not fit are set aside each under a name of its own, whoever writes them at the same time.
#[test]
fn writers_of_one_array_do_not_mix_up_their_indexes() {
    let array = array(&[2, 20_000], &[1, 20_000], &sharded(&[1, 1], "end"));
    let writers = [UnitWriter::new(&array), UnitWriter::new(&array)];
    let mut scratch = WriteScratch::default();
    // So far apart that each asks for another page.
    for step in 0..20_000_u64 {
        let column = step * 517 % 20_000;
        for (row, writer) in (0..).zip(&writers) {
            let value = u16::try_from(column % 999).unwrap() + 1000 * (row + 1);
            writer.write(&[u64::from(row), column], &mut value.to_ne_bytes(), &mut scratch).unwrap();
        }
    }
    writers.into_iter().for_each(|writer| writer.finish().unwrap());
    let expected: Vec<u16> = (1..3).flat_map(|row| (0..20_000).map(move |column| column % 999 + 1000 * row)).collect();
    assert_eq!(array.read::<u16>(&Region::whole(&[2, 20_000])).unwrap(), expected);
}
