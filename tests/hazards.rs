//! Arrays beside writers that change them meanwhile, and over files that are not what they should be.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::any::Any;
use std::sync::{Arc, Mutex};

use rezarr::{
    Array, ArrayMetadata, Attributes, ByteRange, Entry, Error, Group, Key, Lock, MemoryStore, NodeMetadata, Region, Result, Store,
    Value as ValueHandle,
};
use serde_json::{Value, json};

fn metadata(shape: &[u64], chunk: &[u64], codecs: &Value) -> ArrayMetadata {
    match NodeMetadata::from_bytes(&document(shape, chunk, codecs)).unwrap() {
        NodeMetadata::Array(metadata) => *metadata,
        NodeMetadata::Group(_) => unreachable!("an array document"),
    }
}

fn document(shape: &[u64], chunk: &[u64], codecs: &Value) -> Vec<u8> {
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "int32", "fill_value": 0, "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}}, "chunk_key_encoding": {"name": "default"},
    });
    document.to_string().into_bytes()
}

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn crc() -> Value {
    json!({"name": "crc32c"})
}

fn sharding(inner: &[u64], codecs: &[Value], location: &str) -> Value {
    json!({"name": "sharding_indexed", "configuration": {
        "chunk_shape": inner, "codecs": codecs, "index_codecs": [little(), crc()], "index_location": location,
    }})
}

fn region(start: u64, len: u64) -> Region {
    Region::new([start], [len]).unwrap()
}

/// A store in memory in which another writer replaces the chunk `a/c/0` after everything that is done to it.
#[derive(Debug, Default)]
struct Restless {
    inner: MemoryStore,
    /// What it is replaced by, in turn; none stands for its removal.
    values: Arc<Mutex<Vec<Option<Vec<u8>>>>>,
    /// How many values are open, and how many were at once.
    open: Arc<Mutex<(usize, usize)>>,
}

impl Restless {
    fn change(&self, key: &Key) {
        let mut values = self.values.lock().unwrap();
        if key.as_str() != "a/c/0" || values.is_empty() {
            return;
        }
        values.rotate_left(1);
        match &values[0] {
            Some(value) => self.inner.set(key, value).unwrap(),
            None => drop(self.inner.erase(key).unwrap()),
        }
    }
}

#[derive(Debug)]
struct RestlessValue {
    inner: Box<dyn ValueHandle>,
    open: Arc<Mutex<(usize, usize)>>,
}

impl ValueHandle for RestlessValue {
    fn size(&self) -> u64 {
        self.inner.size()
    }
    fn read(&self, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.inner.read(range, visit)
    }
}

impl Drop for RestlessValue {
    fn drop(&mut self) {
        self.open.lock().unwrap().0 -= 1;
    }
}

impl Store for Restless {
    fn open(&self, key: &Key) -> Result<Option<Box<dyn ValueHandle>>> {
        let Some(inner) = self.inner.open(key)? else { return Ok(None) };
        self.change(key);
        let mut open = self.open.lock().unwrap();
        open.0 += 1;
        open.1 = open.1.max(open.0);
        Ok(Some(Box::new(RestlessValue { inner, open: Arc::clone(&self.open) })))
    }
    fn size(&self, key: &Key) -> Result<Option<u64>> {
        let size = self.inner.size(key);
        self.change(key);
        size
    }
    fn set(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.inner.set(key, value)
    }
    fn write_at(&self, key: &Key, offset: u64, bytes: &[u8]) -> Result<()> {
        self.inner.write_at(key, offset, bytes)
    }
    fn copy_from(&self, source: &dyn Store, from: &Key, to: &Key) -> Result<Option<u64>> {
        self.inner.copy_from(source, from, to)
    }
    fn erase(&self, key: &Key) -> Result<bool> {
        self.inner.erase(key)
    }
    fn erase_prefix(&self, prefix: &Key) -> Result<bool> {
        self.inner.erase_prefix(prefix)
    }
    fn list(&self, prefix: &Key, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        self.inner.list(prefix, visit)
    }
    fn create_prefix(&self, prefix: &Key) -> Result<()> {
        self.inner.create_prefix(prefix)
    }
    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        self.inner.rename(from, to)
    }
    fn exchange(&self, a: &Key, b: &Key) -> Result<()> {
        self.inner.exchange(a, b)
    }
    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
    fn lock(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.inner.lock(prefix)
    }
    fn locate(&self, key: &Key) -> String {
        self.inner.locate(key)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn a_read_beside_a_writer_sees_one_of_its_values() {
    let zstd = json!({"name": "zstd", "configuration": {"level": 1, "checksum": false}});
    let nested = sharding(&[4], &[sharding(&[2], &[little()], "start")], "end");
    for codecs in [
        json!([little()]),
        json!([little(), zstd]),
        json!([sharding(&[4], &[little()], "end")]),
        json!([sharding(&[2], &[little(), zstd], "start")]),
        json!([nested]),
        json!([nested, crc()]),
    ] {
        let store = Arc::new(Restless::default());
        let array = Array::create_in(store.clone(), Key::new("a").unwrap(), metadata(&[8], &[8], &codecs)).unwrap();
        // Inner chunks come and go before one that stays, so that it moves; and the whole chunk goes.
        let contents = [[0, 0, 0, 0, 7, 7, 7, 7], [0; 8], [1, 2, 3, 4, 7, 7, 7, 7], [1, 2, 0, 0, 7, 7, 7, 7], [5, 6, 7, 8, 9, 9, 9, 9]];
        let encoded: Vec<_> = contents
            .iter()
            .map(|content| {
                array.write(&region(0, 8), content).unwrap();
                array.encoded_chunk(&[0]).unwrap()
            })
            .collect();
        *store.values.lock().unwrap() = encoded;
        for _ in 0..contents.len() {
            let read = array.read::<i32>(&region(0, 8)).unwrap_or_else(|error| panic!("{codecs}: {error}"));
            assert!(contents.iter().any(|content| read == content), "{codecs}: {read:?} was never there");
            let read = array.read::<i32>(&region(4, 4)).unwrap_or_else(|error| panic!("{codecs}: {error}"));
            assert!(contents.iter().any(|content| read == content[4..]), "{codecs}: {read:?} was never there");
            assert!(array.encoded_chunk(&[0]).is_ok());
        }
        assert_eq!(*store.open.lock().unwrap(), (0, 1), "one handle at a time");
    }
}

#[test]
fn missing_inner_chunks_take_no_memory_however_large_they_are() {
    // No machine has room for such a chunk, and it need not: a few bytes say that nothing is in it.
    let huge = 1 << 60;
    let inner = sharding(&[huge], &[little()], "end");
    for codecs in [
        json!([inner]),
        json!([inner, crc()]),
        json!([sharding(&[huge], std::slice::from_ref(&inner), "start")]),
        json!([sharding(&[huge], &[inner, crc()], "end"), crc()]),
    ] {
        let store = Arc::new(MemoryStore::new());
        let array = Array::create_in(store.clone(), Key::root(), metadata(&[8], &[huge], &codecs)).unwrap();
        let checked = |bytes: &[u8]| [bytes, &crc32c::crc32c(bytes).to_le_bytes()].concat();
        let missing = checked(&[0xff; 16]);
        let entry = |offset: usize, len: usize| checked(&[offset.to_le_bytes(), len.to_le_bytes()].concat());
        let value = match codecs.to_string().matches("sharding").count() {
            1 if codecs.as_array().unwrap().len() == 1 => missing,
            1 => checked(&missing),
            _ if codecs.as_array().unwrap().len() == 1 => [entry(20, 20), missing].concat(),
            _ => checked(&[checked(&missing), entry(0, 24)].concat()),
        };
        store.set(&Key::new("c/0").unwrap(), &value).unwrap();
        let read = array.read::<i32>(&region(0, 1)).unwrap_or_else(|error| panic!("{codecs}: {error}"));
        assert_eq!(read, [0], "{codecs}");
    }
}

#[test]
fn a_chunk_that_no_machine_holds_is_an_error_and_no_abort() {
    let huge = 1 << 60;
    let store = Arc::new(MemoryStore::new());
    let codecs = json!([sharding(&[huge], &[sharding(&[1 << 59], &[little()], "end")], "end"), crc()]);
    let array = Array::create_in(store.clone(), Key::root(), metadata(&[8], &[huge], &codecs)).unwrap();
    let error = array.write(&region(0, 1), &[1]).unwrap_err();
    assert!(matches!(&error, Error::Io { op: "allocate", .. }), "{error:?}");
}

#[test]
fn shards_within_shards_are_read_by_their_innermost_chunks() {
    let nested = sharding(&[100], &[sharding(&[10], &[little()], "end")], "start");
    let dir = tempfile::tempdir().unwrap();
    let array = Array::create(dir.path().join("a"), metadata(&[1000], &[1000], &json!([nested]))).unwrap();
    assert_eq!(array.unit_grid().chunk_shape(), [10]);
    let data: Vec<i32> = (1..=1000).collect();
    array.write(&region(0, 1000), &data).unwrap();
    // Damage all inner chunks but one: only that one is looked at.
    let path = dir.path().join("a/c/0");
    let mut bytes = std::fs::read(&path).unwrap();
    let kept = bytes.windows(4).position(|window| window == 551_i32.to_le_bytes()).unwrap();
    let inner_shard = 564;
    let start = (kept - 164) / inner_shard * inner_shard + 164;
    for (at, byte) in bytes.iter_mut().enumerate() {
        if at >= 164 && !(start..start + inner_shard).contains(&at) {
            *byte = 0xaa;
        }
    }
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(array.read::<i32>(&region(550, 10)).unwrap(), data[550..560]);
    assert_eq!(array.read::<i32>(&region(500, 100)).unwrap(), data[500..600]);
    let error = array.read::<i32>(&region(0, 1)).unwrap_err();
    assert!(matches!(error, Error::ChecksumMismatch { .. }), "{error}");
}

#[test]
fn a_handle_from_before_the_array_grew_reads_and_does_not_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let codecs = json!([little()]);
    let old = Array::create(&path, metadata(&[5], &[4], &codecs)).unwrap();
    old.write(&region(0, 5), &[1, 2, 3, 4, 5]).unwrap();
    std::fs::write(path.join("zarr.json"), document(&[8], &[4], &codecs)).unwrap();
    let grown = Array::open(&path).unwrap();
    grown.write(&region(5, 3), &[6, 7, 8]).unwrap();
    assert_eq!(old.read::<i32>(&region(0, 5)).unwrap(), [1, 2, 3, 4, 5]);
    for _ in 0..2 {
        let error = old.write(&region(4, 1), &[9]).unwrap_err();
        assert!(matches!(error, Error::Stale { .. }), "{error}");
    }
    assert_eq!(grown.read::<i32>(&region(0, 8)).unwrap(), [1, 2, 3, 4, 5, 6, 7, 8]);
    // Attributes are no matter.
    let document = String::from_utf8(document(&[8], &[4], &codecs)).unwrap();
    std::fs::write(path.join("zarr.json"), document.replacen('{', r#"{"attributes": {"a": 1},"#, 1)).unwrap();
    grown.write(&region(4, 1), &[9]).unwrap();
}

#[test]
fn files_that_are_too_large_are_not_read() {
    let dir = tempfile::tempdir().unwrap();
    for (name, codecs) in [
        ("plain", json!([little()])),
        ("packed", json!([little(), {"name": "gzip", "configuration": {"level": 1}}])),
        ("hidden", json!([sharding(&[4], &[little()], "end"), crc()])),
    ] {
        let path = dir.path().join(name);
        let array = Array::create(&path, metadata(&[8], &[8], &codecs)).unwrap();
        std::fs::create_dir(path.join("c")).unwrap();
        // More than a machine has; without blocks on the disk.
        std::fs::File::create(path.join("c/0")).unwrap().set_len(1 << 42).unwrap();
        for result in [array.read::<i32>(&region(0, 1)).map(drop), array.write(&region(0, 1), &[1]), array.encoded_chunk(&[0]).map(drop)] {
            let error = result.unwrap_err();
            assert!(
                matches!(&error, Error::Corrupt { key, what, .. } if key.contains("c/0") && (what.contains("at most") || what.contains("exactly"))),
                "{error}"
            );
        }
        array.write(&region(0, 8), &[1; 8]).unwrap();
        assert_eq!(array.read::<i32>(&region(0, 1)).unwrap(), [1], "what is replaced whole is not looked at");
        std::fs::File::create(path.join("zarr.json")).unwrap().set_len(1 << 42).unwrap();
        for result in [array.read::<i32>(&region(0, 1)).map(drop), array.write(&region(0, 1), &[1])] {
            assert!(matches!(result, Err(Error::Stale { .. })), "{result:?}");
        }
    }
}

#[test]
fn only_the_parts_of_a_shard_that_are_needed_are_read_for_a_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let array = Array::create(&path, metadata(&[8], &[8], &json!([sharding(&[4], &[little()], "end")]))).unwrap();
    array.write(&region(0, 8), &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    // A shard may have gaps; this one is larger than memory.
    let bytes = std::fs::read(path.join("c/0")).unwrap();
    let file = std::fs::File::create(path.join("c/0")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[..32], 0).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[32..], 1 << 42).unwrap();
    array.write(&region(1, 1), &[9]).unwrap();
    assert_eq!(array.read::<i32>(&region(0, 8)).unwrap(), [1, 9, 3, 4, 5, 6, 7, 8]);
    assert_eq!(std::fs::metadata(path.join("c/0")).unwrap().len(), bytes.len() as u64);
}

#[test]
fn nothing_is_made_where_a_node_cannot_be() {
    let dir = tempfile::tempdir().unwrap();
    let array = dir.path().join("array");
    let codecs = json!([little()]);
    Array::create(&array, metadata(&[8], &[8], &codecs)).unwrap();
    for (made, kind) in [("c", "array"), ("sub", "array"), ("g", "group")] {
        let below = array.join(made);
        let error = match kind {
            "array" => Array::create(&below, metadata(&[8], &[8], &codecs)).unwrap_err(),
            _ => Group::create(&below, Attributes::default()).unwrap_err(),
        };
        assert!(matches!(error, Error::InvalidArgument { .. }) && error.to_string().contains("array is an array"), "{error}");
        assert!(!below.exists());
    }
    Group::create(dir.path().join("group"), Attributes::default()).unwrap();
    Array::create(dir.path().join("group/a"), metadata(&[8], &[8], &codecs)).unwrap();
}

#[test]
fn what_was_written_before_a_sync_survives_a_power_cut() {
    let store = Arc::new(MemoryStore::new());
    let array = Array::create_in(store.clone(), Key::new("a").unwrap(), metadata(&[8], &[4], &json!([little()]))).unwrap();
    array.write(&region(0, 4), &[1, 2, 3, 4]).unwrap();
    array.sync().unwrap();
    array.write(&region(4, 4), &[5, 6, 7, 8]).unwrap();
    let after = Array::open_in(Arc::new(store.crash()), Key::new("a").unwrap()).unwrap();
    assert_eq!(after.read::<i32>(&region(0, 8)).unwrap(), [1, 2, 3, 4, 0, 0, 0, 0]);
}
