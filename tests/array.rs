//! Arrays through the public interface: any region of any layout against a plain array in memory, and how the store is used meanwhile.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/faulty.rs"]
mod faulty;

use std::any::Any;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use faulty::{Fault, FaultyStore};
use proptest::prelude::*;
use rezarr::{
    Array, ArrayMetadata, Attributes, ByteRange, Entry, Error, Group, Key, Lock, MemoryStore, NodeMetadata, Region, Result, Store,
    Value as ValueHandle,
};
use serde_json::{Value, json};

fn metadata(shape: &[u64], chunk: &[u64], data_type: &str, fill: &Value, codecs: &Value) -> ArrayMetadata {
    let document = json!({
        "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": data_type, "fill_value": fill, "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    });
    match NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap() {
        NodeMetadata::Array(metadata) => *metadata,
        NodeMetadata::Group(_) => unreachable!("an array document"),
    }
}

fn in_memory(metadata: ArrayMetadata) -> Array {
    Array::create_in(Arc::new(MemoryStore::new()), Key::new("a").unwrap(), metadata).unwrap()
}

fn bytes_codec(endian: &str) -> Value {
    json!({"name": "bytes", "configuration": {"endian": endian}})
}

fn sharding(inner: &[u64], codecs: &[Value], location: &str) -> Value {
    json!({"name": "sharding_indexed", "configuration": {
        "chunk_shape": inner, "codecs": codecs, "index_codecs": [bytes_codec("little")], "index_location": location,
    }})
}

/// All index vectors of a box, in C order.
fn indices(region: &Region) -> Vec<Vec<u64>> {
    let mut out = vec![vec![]];
    for axis in 0..region.rank() {
        out = out
            .into_iter()
            .flat_map(|index: Vec<u64>| (region.start()[axis]..region.end(axis)).map(move |i| [index.as_slice(), &[i]].concat()))
            .collect();
    }
    out
}

/// What an array should hold: element by element, by definition.
struct Plain {
    shape: Vec<u64>,
    elements: Vec<i32>,
}

impl Plain {
    fn new(shape: &[u64], fill: i32) -> Self {
        let count: u64 = shape.iter().product();
        Self { shape: shape.to_vec(), elements: vec![fill; usize::try_from(count).unwrap()] }
    }

    fn position(&self, index: &[u64]) -> usize {
        let position = index.iter().zip(&self.shape).fold(0, |position, (i, len)| position * len + i);
        usize::try_from(position).unwrap()
    }

    fn read(&self, region: &Region) -> Vec<i32> {
        indices(region).iter().map(|index| self.elements[self.position(index)]).collect()
    }

    fn write(&mut self, region: &Region, data: &[i32]) {
        for (index, value) in indices(region).iter().zip(data) {
            let position = self.position(index);
            self.elements[position] = *value;
        }
    }
}

const FILL: i32 = -3;

/// A layout: shape, chunk shape, codecs.
fn layouts() -> impl Strategy<Value = (Vec<u64>, Vec<u64>, Value)> {
    (0_usize..=4).prop_flat_map(|rank| {
        (
            prop::collection::vec(prop_oneof![9 => 1_u64..8, 1 => Just(0)], rank),
            prop::collection::vec((1_u64..4, 1_u64..3, 1_u64..3), rank),
            Just((0..rank).collect::<Vec<_>>()).prop_shuffle(),
            0_usize..10,
        )
            .prop_map(|(shape, edges, order, kind)| {
                let inner: Vec<u64> = edges.iter().map(|(inner, ..)| *inner).collect();
                let middle: Vec<u64> = edges.iter().map(|(inner, times, _)| inner * times).collect();
                let outer: Vec<u64> = edges.iter().map(|(inner, times, more)| inner * times * more).collect();
                let transposed: Vec<u64> = order.iter().map(|&axis| inner[axis]).collect();
                let transpose = json!({"name": "transpose", "configuration": {"order": order}});
                let zstd = json!({"name": "zstd", "configuration": {"level": 1, "checksum": true}});
                let gzip = json!({"name": "gzip", "configuration": {"level": 1}});
                let crc = json!({"name": "crc32c"});
                let (little, big) = (bytes_codec("little"), bytes_codec("big"));
                let (chunk, codecs) = match kind {
                    0 => (middle, vec![little]),
                    1 => (middle, vec![big, crc]),
                    2 => (middle, vec![transpose, little]),
                    3 => (middle, vec![transpose, big, zstd]),
                    4 => (middle, vec![little, gzip, crc]),
                    5 => (middle, vec![sharding(&inner, &[little], "start")]),
                    6 => (middle, vec![transpose.clone(), sharding(&transposed, &[transpose, little, zstd], "end")]),
                    7 => (middle, vec![sharding(&inner, &[big, crc], "end"), zstd]),
                    8 => (outer, vec![sharding(&middle, &[sharding(&inner, &[little], "end")], "start")]),
                    _ => (middle, vec![sharding(&inner, &[transpose, little], "end")]),
                };
                (shape, chunk, Value::Array(codecs))
            })
    })
}

fn regions(shape: &[u64]) -> impl Strategy<Value = Region> + use<> {
    let axes: Vec<_> = shape
        .iter()
        .map(|&len| (0..=len).prop_flat_map(move |start| (Just(start), prop_oneof![0..=(len - start), Just(len - start)])))
        .collect();
    axes.prop_map(|axes| {
        let (start, shape): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
        Region::new(start, shape).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_region_of_any_layout_is_that_of_a_plain_array(
        ((shape, chunk, codecs), steps) in layouts().prop_flat_map(|layout| {
            let step = (regions(&layout.0), regions(&layout.0), prop_oneof![Just(None), any::<i32>().prop_map(Some)]);
            (Just(layout), prop::collection::vec(step, 1..5))
        }),
    ) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let array = Array::create_in(store.clone(), Key::root(), metadata(&shape, &chunk, "int32", &json!(FILL), &codecs)).unwrap();
        let mut plain = Plain::new(&shape, FILL);
        for (target, wanted, seed) in steps {
            let count = i32::try_from(indices(&target).len()).unwrap();
            let data: Vec<i32> = (0..count).map(|i| seed.map_or(FILL, |seed| seed.wrapping_add(i * 77))).collect();
            array.write(&target, &data).unwrap();
            plain.write(&target, &data);
            prop_assert_eq!(array.read::<i32>(&wanted).unwrap(), plain.read(&wanted));
            prop_assert_eq!(array.read::<i32>(&Region::whole(&shape)).unwrap(), &plain.elements[..]);
        }
        let again = Array::open_in(store, Key::root()).unwrap();
        for index in indices(&Region::whole(&again.grid().counts())) {
            let expected = plain.read(&again.grid().region(&index));
            prop_assert_eq!(again.read_chunk(&index).unwrap(), bytemuck::cast_slice::<i32, u8>(&expected));
            let all_fill = expected.iter().all(|&value| value == FILL);
            prop_assert_eq!(again.stored_chunk_bytes(&index).unwrap().is_none(), all_fill, "chunk {:?}", index);
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    opens: AtomicU64,
    reads: AtomicU64,
    bytes: AtomicU64,
}

/// A store in memory that counts what is asked of chunks.
#[derive(Debug, Default)]
struct CountingStore {
    inner: MemoryStore,
    counts: Arc<Counts>,
    listed: Mutex<Vec<String>>,
}

impl CountingStore {
    /// How many values were opened, and ranges and bytes read, since the last call.
    fn take(&self) -> [u64; 3] {
        [&self.counts.opens, &self.counts.reads, &self.counts.bytes].map(|count| count.swap(0, Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct CountedValue {
    inner: Box<dyn ValueHandle>,
    counts: Arc<Counts>,
}

impl ValueHandle for CountedValue {
    fn size(&self) -> u64 {
        self.inner.size()
    }
    fn read(&self, range: ByteRange, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.inner.read(range, &mut |bytes| {
            self.counts.reads.fetch_add(1, Ordering::Relaxed);
            self.counts.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            visit(bytes)
        })
    }
}

impl Store for CountingStore {
    fn open(&self, key: &Key) -> Result<Option<Box<dyn ValueHandle>>> {
        let opened = self.inner.open(key)?;
        if key.name() == "zarr.json" {
            return Ok(opened);
        }
        self.counts.opens.fetch_add(1, Ordering::Relaxed);
        Ok(opened.map(|inner| Box::new(CountedValue { inner, counts: self.counts.clone() }) as Box<dyn ValueHandle>))
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
        self.listed.lock().unwrap().push(prefix.to_string());
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
fn only_what_is_needed_is_read() {
    let store = Arc::new(CountingStore::default());
    let little = bytes_codec("little");
    let shards = json!([sharding(&[2, 2], std::slice::from_ref(&little), "end")]);
    let array = Array::create_in(store.clone(), Key::new("s").unwrap(), metadata(&[8, 8], &[8, 8], "uint16", &json!(0), &shards)).unwrap();
    array.write(&Region::whole(&[8, 8]), &(1..=64).collect::<Vec<u16>>()).unwrap();
    store.take();
    array.read::<u16>(&Region::new([2, 2], [2, 2]).unwrap()).unwrap();
    assert_eq!(store.take(), [1, 2, 16 * 16 + 8], "one inner chunk: the index and one range");
    array.read::<u16>(&Region::new([3, 3], [2, 2]).unwrap()).unwrap();
    assert_eq!(store.take()[..2], [1, 5], "four inner chunks: the index once, through one handle");

    let compressed = json!([little, {"name": "zstd", "configuration": {"level": 1, "checksum": false}}]);
    let array =
        Array::create_in(store.clone(), Key::new("z").unwrap(), metadata(&[8, 8], &[4, 4], "uint16", &json!(0), &compressed)).unwrap();
    array.write(&Region::whole(&[8, 8]), &(1..=64).collect::<Vec<u16>>()).unwrap();
    store.take();
    array.read::<u16>(&Region::whole(&[8, 8])).unwrap();
    assert_eq!(store.take()[..2], [4, 4], "each chunk once");

    let plain = metadata(&[1000, 1000], &[1000, 1000], "uint64", &json!(0), &json!([little]));
    let array = Array::create_in(store.clone(), Key::new("p").unwrap(), plain).unwrap();
    let data: Vec<u64> = (1..=1_000_000).collect();
    array.write(&Region::whole(&[1000, 1000]), &data).unwrap();
    store.take();
    assert_eq!(array.read::<u64>(&Region::new([17, 0], [2, 1000]).unwrap()).unwrap(), data[17_000..19_000]);
    assert_eq!(store.take(), [1, 1, 16_000], "rows of an uncompressed chunk");
    assert_eq!(array.read::<u64>(&Region::whole(&[1000, 1000])).unwrap(), data);
    let [_, reads, bytes] = store.take();
    assert_eq!((reads, bytes), (2, 8_000_000), "windows of a few MiB");
}

#[test]
fn the_walk_lists_groups_and_no_arrays() {
    let store = Arc::new(CountingStore::default());
    let root = Group::create_in(store.clone(), Key::root(), Attributes::default()).unwrap();
    root.create_group("g", Attributes::default()).unwrap();
    for path in ["a", "g/b"] {
        let array = root.create_array(path, metadata(&[1], &[1], "uint8", &json!(0), &json!([{"name": "bytes"}]))).unwrap();
        array.write(&Region::whole(&[1]), &[1_u8]).unwrap();
    }
    store.listed.lock().unwrap().clear();
    root.walk(&mut |_, _| Ok(())).unwrap();
    assert_eq!(*store.listed.lock().unwrap(), ["/", "g"]);
}

#[test]
fn untouched_inner_chunks_stay_as_they_are_stored() {
    for location in ["start", "end"] {
        let inner = [bytes_codec("little"), json!({"name": "zstd", "configuration": {"level": 19, "checksum": true}})];
        let slow = metadata(&[6, 6], &[6, 6], "uint32", &json!(0), &json!([sharding(&[3, 3], &inner, location)]));
        let array = in_memory(slow);
        let data: Vec<u32> = (0..36).map(|i| i * i).collect();
        array.write(&Region::whole(&[6, 6]), &data).unwrap();
        let before = inner_chunks(&array, location);
        array.write(&Region::new([4, 1], [1, 1]).unwrap(), &[99_u32]).unwrap();
        let after = inner_chunks(&array, location);
        assert_eq!([0, 1, 3].map(|i| &before[i]), [0, 1, 3].map(|i| &after[i]));
        assert_ne!(before[2], after[2]);
        array.write(&Region::new([0, 3], [3, 3]).unwrap(), &[0_u32; 9]).unwrap();
        assert_eq!(inner_chunks(&array, location)[1], None, "all fill");
        array.write(&Region::whole(&[6, 6]), &[0_u32; 36]).unwrap();
        assert_eq!(array.stored_chunk_bytes(&[0, 0]).unwrap(), None, "a shard of fill alone is removed");
    }
}

/// The encoded inner chunks of a shard of four, found by an index that is read here by hand.
fn inner_chunks(array: &Array, location: &str) -> Vec<Option<Vec<u8>>> {
    let shard = array.encoded_chunk(&[0, 0]).unwrap().unwrap();
    let index = if location == "start" { &shard[..64] } else { &shard[shard.len() - 64..] };
    let entries = index.chunks(16).map(|entry| {
        let number = |at: usize| u64::from_le_bytes(entry[at..at + 8].try_into().unwrap());
        (number(0), number(8))
    });
    entries
        .map(|(offset, len)| {
            let at = |n: u64| usize::try_from(n).unwrap();
            (offset != u64::MAX).then(|| shard[at(offset)..at(offset + len)].to_vec())
        })
        .collect()
}

#[test]
fn threads_that_share_chunks_lose_nothing() {
    let codecs = json!([sharding(&[1, 8], &[bytes_codec("little")], "end")]);
    let array = in_memory(metadata(&[4, 1000], &[4, 1000], "uint8", &json!(0), &codecs));
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            let (array, start) = (array.clone(), &start);
            scope.spawn(move || {
                start.wait();
                for column in (u64::from(thread)..1000).step_by(4) {
                    array.write(&Region::new([0, column], [4, 1]).unwrap(), &[thread + 1; 4]).unwrap();
                }
            });
        }
    });
    let expected: Vec<u8> = (0..4000_u32).map(|i| u8::try_from(i % 4 + 1).unwrap()).collect();
    assert_eq!(array.read::<u8>(&Region::whole(&[4, 1000])).unwrap(), expected);
}

/// An array of 8 x 8 numbers from 1 that may fail, and the store below it.
fn faulty(codecs: &Value, fault: Fault) -> (Arc<dyn Store>, Arc<FaultyStore>, Result<Array>) {
    let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let array = Array::create_in(inner.clone(), Key::root(), metadata(&[8, 8], &[4, 4], "uint16", &json!(0), codecs)).unwrap();
    array.write(&Region::whole(&[8, 8]), &(1..=64).collect::<Vec<u16>>()).unwrap();
    let store = Arc::new(FaultyStore::new(inner.clone(), fault));
    (inner, store.clone(), Array::open_in(store, Key::root()))
}

#[test]
fn a_failing_store_gives_errors_and_never_wrong_elements() {
    let old: Vec<u16> = (1..=64).collect();
    let (whole, part) = (Region::whole(&[8, 8]), Region::new([1, 2], [6, 5]).unwrap());
    for codecs in [json!([bytes_codec("little")]), json!([sharding(&[2, 2], &[bytes_codec("big")], "end")])] {
        let (_, store, array) = faulty(&codecs, Fault::Never);
        let array = array.unwrap();
        array.read::<u16>(&whole).unwrap();
        let reading = store.operation_count();
        array.write(&part, &[999_u16; 30]).unwrap();
        let all = store.operation_count();
        for fault in (0..all).flat_map(|n| [Fault::Once(n), Fault::From(n), Fault::Stop(n)]) {
            let (inner, _, array) = faulty(&codecs, fault);
            let Ok(array) = array else { continue };
            let read = array.read::<u16>(&whole);
            assert!(read.is_err() || read.is_ok_and(|read| read == old), "{fault:?}");
            let written = array.write(&part, &[999_u16; 30]);
            let touched = matches!(fault, Fault::Once(n) | Fault::From(n) | Fault::Stop(n) if n >= reading);
            assert_eq!(written.is_err(), touched || !matches!(fault, Fault::Once(_)), "{fault:?}");
            let now = Array::open_in(inner, Key::root()).unwrap();
            for chunk in indices(&Region::whole(&[2, 2])) {
                let found = now.read::<u16>(&now.grid().region(&chunk)).unwrap();
                let expected = |new: bool| -> Vec<u16> {
                    let at = |index: &Vec<u64>| u16::try_from(index[0] * 8 + index[1] + 1).unwrap();
                    let inside = |index: &[u64]| part.contains(&Region::new(index, [1, 1]).unwrap());
                    indices(&now.grid().region(&chunk)).iter().map(|i| if new && inside(i) { 999 } else { at(i) }).collect()
                };
                let (before, after) = (found == expected(false), found == expected(true));
                assert!(if written.is_ok() { after } else { before || after }, "{fault:?}: chunk {chunk:?} holds {found:?}");
            }
        }
    }
}

#[test]
fn wrong_regions_types_and_sizes_are_refused() {
    let array = in_memory(metadata(&[4, 5], &[2, 2], "float32", &json!(0.0), &json!([bytes_codec("little")])));
    let text = |error: Error| {
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error:?}");
        error.to_string()
    };
    let outside = text(array.read::<f32>(&Region::new([0, 3], [4, 3]).unwrap()).unwrap_err());
    assert!(outside.contains("axis 1") && outside.contains("3:6") && outside.contains("5 elements"), "{outside}");
    text(array.write(&Region::new([5, 0], [0, 0]).unwrap(), &[0_f32; 0]).unwrap_err());
    text(array.read::<f32>(&Region::whole(&[4])).unwrap_err());
    let wrong = text(array.read::<f64>(&Region::whole(&[4, 5])).unwrap_err());
    assert!(wrong.contains("float32") && wrong.contains("float64"), "{wrong}");
    text(array.write(&Region::whole(&[4, 5]), &[0_i32; 20]).unwrap_err());
    text(array.write(&Region::whole(&[4, 5]), &[0_f32; 19]).unwrap_err());
    text(array.read_into(&Region::whole(&[4, 5]), &mut [0_f32; 21]).unwrap_err());
    for chunk in [&[2, 0][..], &[0, 3], &[0], &[0, 0, 0]] {
        text(array.read_chunk(chunk).unwrap_err());
        text(array.chunk_key(chunk).unwrap_err());
    }
    assert_eq!(array.chunk_key(&[1, 2]).unwrap().as_str(), "a/c/1/2");
}

#[test]
fn a_result_that_no_machine_holds_is_an_error_and_no_abort() {
    let shape = [1 << 40, 1 << 20];
    let array = in_memory(metadata(&shape, &[1 << 10, 1 << 10], "float64", &json!(1.5), &json!([bytes_codec("little")])));
    assert!(matches!(array.read::<f64>(&Region::whole(&shape)), Err(Error::InvalidArgument { .. })));
    let wanted = array.read::<f64>(&Region::new([0, 0], [1 << 39, 1 << 17]).unwrap()).unwrap_err();
    assert!(matches!(&wanted, Error::Io { op: "allocate", source, .. } if source.kind() == ErrorKind::OutOfMemory), "{wanted:?}");
    assert_eq!(array.read::<f64>(&Region::new([(1 << 40) - 2, 5], [2, 1]).unwrap()).unwrap(), [1.5, 1.5]);
}

#[test]
fn bools_are_0_or_1_both_ways() {
    let array = in_memory(metadata(&[4], &[4], "bool", &json!(true), &json!([{"name": "bytes"}])));
    assert_eq!(array.read::<bool>(&Region::whole(&[4])).unwrap(), [true; 4]);
    array.write(&Region::whole(&[3]), &[false, true, false]).unwrap();
    assert_eq!(array.read::<bool>(&Region::whole(&[4])).unwrap(), [false, true, false, true]);
    assert!(matches!(array.write_bytes(&Region::whole(&[1]), &[2]), Err(Error::InvalidArgument { .. })));
    let foreign = metadata(&[4], &[4], "uint8", &json!(0), &json!([{"name": "bytes"}]));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    Array::create_in(store.clone(), Key::new("b").unwrap(), foreign).unwrap();
    let bools = metadata(&[4], &[4], "bool", &json!(true), &json!([{"name": "bytes"}]));
    let array = Array::create_in(store.clone(), Key::new("x").unwrap(), bools).unwrap();
    store.set(&array.chunk_key(&[0]).unwrap(), &[0, 1, 7, 0]).unwrap();
    let error = array.read::<bool>(&Region::whole(&[4])).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { .. }) && error.to_string().contains('7'), "{error}");
}

#[test]
fn a_replaced_array_is_stale_and_never_fill() {
    let little = json!([bytes_codec("little")]);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let (old, new) = (Key::new("old").unwrap(), Key::new("new").unwrap());
    let array = Array::create_in(store.clone(), old.clone(), metadata(&[4, 4], &[1, 4], "uint8", &json!(0), &little)).unwrap();
    array.write(&Region::whole(&[4, 4]), &[1_u8; 16]).unwrap();
    let other = Array::create_in(store.clone(), new.clone(), metadata(&[4, 4], &[4, 1], "uint8", &json!(0), &little)).unwrap();
    other.write(&Region::whole(&[4, 4]), &[1_u8; 16]).unwrap();
    store.exchange(&old, &new).unwrap();
    assert!(matches!(array.read::<u8>(&Region::whole(&[4, 4])), Err(Error::Stale { .. })));
    assert!(matches!(array.write(&Region::whole(&[4, 4]), &[2_u8; 16]), Err(Error::Stale { .. })));
    store.erase_prefix(&new).unwrap();
    assert!(matches!(other.read::<u8>(&Region::whole(&[1, 1])), Err(Error::Stale { .. })));
    let grown = Array::create_in(store.clone(), new.clone(), metadata(&[9, 4], &[4, 1], "uint8", &json!(0), &little)).unwrap();
    assert!(grown.read::<u8>(&Region::whole(&[9, 4])).is_ok());
    assert!(other.read::<u8>(&Region::whole(&[1, 1])).is_ok(), "an array that has grown is still the same");
}

#[test]
fn nodes_on_disk_are_made_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/er/a.zarr");
    let layout = || metadata(&[3], &[2], "int16", &json!(-1), &json!([bytes_codec("big")]));
    let array = Array::create(&path, layout()).unwrap();
    array.write(&Region::whole(&[3]), &[1_i16, 2, 3]).unwrap();
    assert_eq!(Array::open(&path).unwrap().read::<i16>(&Region::whole(&[3])).unwrap(), [1, 2, 3]);
    assert!(matches!(Array::create(&path, layout()), Err(Error::AlreadyExists { .. })));
    assert!(matches!(Array::create(dir.path().join("__a"), layout()), Err(Error::InvalidArgument { .. })));
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    Array::create(dir.path().join("empty"), layout()).unwrap();

    std::fs::remove_file(path.join("c/0")).unwrap();
    assert_eq!(array.read::<i16>(&Region::whole(&[3])).unwrap(), [-1, -1, 3], "a missing chunk is fill");
    std::fs::create_dir(path.join("c/0")).unwrap();
    let error = array.read::<i16>(&Region::whole(&[3])).unwrap_err();
    assert!(error.to_string().contains("c/0"), "{error}");
    assert!(array.write(&Region::whole(&[1]), &[5_i16]).is_err());
}

#[test]
fn what_is_not_an_array_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Array::open(dir.path().join("nowhere")).unwrap_err();
    assert!(matches!(&missing, Error::NotFound { path, .. } if path.contains("nowhere")), "{missing}");
    std::fs::write(dir.path().join("file"), "x").unwrap();
    let file = Array::open(dir.path().join("file")).unwrap_err();
    assert!(file.to_string().contains("file") && !matches!(file, Error::NotFound { .. }), "{file}");
    let bare = Array::open(dir.path()).unwrap_err();
    assert!(matches!(&bare, Error::NotFound { what, .. } if what.contains("zarr.json")), "{bare}");
    std::fs::write(dir.path().join(".zgroup"), "{}").unwrap();
    let old = Array::open(dir.path()).unwrap_err();
    assert!(matches!(&old, Error::Metadata { key, pointer, .. } if key.contains(".zgroup") && pointer == "/zarr_format"), "{old}");
    std::fs::write(dir.path().join("zarr.json"), "{").unwrap();
    let broken = Array::open(dir.path()).unwrap_err();
    assert!(matches!(&broken, Error::Metadata { key, .. } if key.contains("zarr.json")), "{broken:?}");
}
