//! A whole tiny store: opened, listed, read in parts and rechunked.

use std::sync::Arc;

use crate::array::Array;
use crate::dtype::FillValue;
use crate::error::{Error, Result};
use crate::fuzzing::codecs::{CHOICES, Recipe, choices, stored_chunk};
use crate::fuzzing::input::Input;
use crate::group::{Group, Node};
use crate::metadata::NodeMetadata;
use crate::rechunk::unstaged::{plan_array, rechunk_array};
use crate::rechunk::{ChunkSpec, RechunkOptions, Shards, Strategy};
use crate::region::Region;
use crate::store::{Key, MemoryStore, Store};

/// Keys that stores have, by number.
const KEYS: &[&str] = &[
    "zarr.json",
    "a/zarr.json",
    "a/b/zarr.json",
    "c/0",
    "c/0/0",
    "c/0/1",
    "c",
    "a/c/0",
    "a/c/1/0",
    "a/b/c/0/0",
    "0.0",
    "0",
    ".zarray",
    ".zgroup",
    ".zattrs",
    ".zmetadata",
    "a/.zarray",
    "a/0",
    "a/0.0",
    "a/zarr.json/c",
];

/// The most elements that are read of an array, and the largest units that are decoded, in bytes.
const MOST_ELEMENTS: u64 = 2048;
const MOST_UNIT_BYTES: usize = 1 << 20;

/// The first byte chooses what the rest describes: values by key, or an array by choice with stored chunks. Whatever there is to open, list
/// and read is an error or a value; a region gives the same elements whole and in parts, and after a rechunk.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let flags = input.byte();
    let store = Arc::new(MemoryStore::new());
    if flags & 1 == 0 {
        set_values(&store, &mut input);
    } else {
        set_array(&store, &mut input);
    }
    match Node::open_in(store, Key::root()) {
        Err(_) => false,
        Ok(Node::Array(array)) => check_array(&array, flags),
        Ok(Node::Group(group)) => check_group(&group, flags),
    }
}

/// Values one after the other: a key by number, or its length and then the key; the length of the value, and the value.
fn set_values(store: &MemoryStore, input: &mut Input<'_>) {
    while !input.is_empty() {
        let choice = usize::from(input.byte());
        let key = match KEYS.get(choice) {
            Some(key) => (*key).to_owned(),
            None => String::from_utf8_lossy(input.take(choice % 64)).into_owned(),
        };
        let len = input.number();
        let value = input.take(len);
        if let Ok(key) = Key::new(key) {
            // A value that stands in the way of another one is left where it is.
            let _ = store.set(&key, value);
        }
    }
}

/// An array by choice, somewhat larger than its chunks, and stored chunks: the position in the grid, the length, and the bytes.
fn set_array(store: &MemoryStore, input: &mut Input<'_>) {
    let recipe = Recipe::choose(input);
    let shape: Vec<u64> = recipe.chunk_shape().iter().map(|edge| edge + edge / 2).collect();
    store.set(&Key::new("zarr.json").unwrap(), recipe.document(&shape).as_bytes()).unwrap();
    while !input.is_empty() {
        let (position, len) = (input.byte(), input.number());
        let index: String = (0..shape.len()).map(|axis| if position >> axis & 1 == 0 { "/0" } else { "/1" }).collect();
        store.set(&Key::new(format!("c{index}")).unwrap(), input.take(len)).unwrap();
    }
}

fn check_group(group: &Group, flags: u8) -> bool {
    let names = group.child_names().expect("a store in memory is listed");
    let children = group.children().expect("a store in memory is listed");
    assert!(children.iter().map(|(name, _)| name).eq(&names), "children and their names");
    for (name, child) in &children {
        assert_eq!(child.is_ok(), group.child(name).is_ok(), "{name:?} is opened in one way only");
    }
    let mut arrays = Vec::new();
    let walked = group.walk_each(&mut |path, node| {
        if let Ok(NodeMetadata::Array(_)) = node {
            arrays.push(path.to_owned());
        }
        Ok(())
    });
    assert!(matches!(walked, Ok(()) | Err(Error::Unsupported { .. })), "{walked:?}");
    for path in arrays.iter().take(3) {
        // A name that a document may have and no node is refused here.
        if let Ok(array) = group.array(path) {
            check_array(&array, flags);
        }
    }
    let mut consolidated = group.clone();
    if consolidated.consolidate().is_ok() {
        assert_eq!(
            consolidated.metadata().consolidated().unwrap().unwrap().paths().filter(|path| !path.contains('/')).count(),
            names.len()
        );
    }
    true
}

fn check_array(array: &Array, flags: u8) -> bool {
    if array.unit_pipeline().chunk_bytes() > MOST_UNIT_BYTES || array.grid().rank() > 8 {
        return true;
    }
    let near = corner(array, false);
    check_region(array, &near);
    check_region(array, &corner(array, true));
    for chunk in array.grid().chunks_over(&near).indices().take(4) {
        let _ = array.stored_chunk_bytes(&chunk);
        let _ = array.encoded_chunk(&chunk);
    }
    if near.shape() == array.shape() && flags & 2 != 0 {
        check_rechunk(array, &near, flags);
    }
    true
}

/// A region of few elements in the first corner of the array, or in the last.
fn corner(array: &Array, last: bool) -> Region {
    let mut left = MOST_ELEMENTS;
    let mut shape = array.shape().to_vec();
    for len in shape.iter_mut().rev() {
        *len = (*len).min(left);
        left /= (*len).max(1);
    }
    let start: Vec<u64> = array.shape().iter().zip(&shape).map(|(extent, len)| if last { extent - len } else { 0 }).collect();
    Region::new(start, shape).unwrap()
}

/// Reads a region whole, and its halves; they agree, also on whether they can be read.
fn check_region(array: &Array, region: &Region) {
    let whole = array.read_bytes(region);
    let Some(axis) = region.shape().iter().position(|&len| len > 1) else { return };
    let half = region.shape()[axis] / 2;
    let part = |from: u64, len: u64| {
        let (mut start, mut shape) = (region.start().to_vec(), region.shape().to_vec());
        (start[axis], shape[axis]) = (start[axis] + from, len);
        array.read_bytes(&Region::new(start, shape).unwrap())
    };
    let parts: Result<Vec<_>> = [part(0, half), part(half, region.shape()[axis] - half)].into_iter().collect();
    match (whole, parts) {
        // All axes before have one element, so that the halves lie one behind the other.
        (Ok(whole), Ok(parts)) => assert!(whole == parts.concat(), "{region} differs from its halves along axis {axis}"),
        (Err(_), Err(_)) => {}
        (whole, parts) => panic!("{region} is read only whole or only in halves: {:?}, {:?}", whole.err(), parts.err()),
    }
}

/// Rechunks an array of few elements in one of several ways: what was read before is read after, and what could not be read is an error.
fn check_rechunk(array: &Array, whole: &Region, flags: u8) {
    let edges: Vec<u64> = array.shape().iter().zip(0..).map(|(len, axis)| 1 + (u64::from(flags >> 5) + axis) % len.clamp(&1, &7)).collect();
    let mut options = RechunkOptions::new().chunks(ChunkSpec::from(edges)).shards(Shards::Remove).threads(1 + usize::from(flags >> 4 & 1));
    if flags & 4 != 0 {
        options = options.memory(24 << 20);
    }
    if flags & 8 != 0 {
        options = options.fill(FillValue::zero(array.data_type()).to_text(array.data_type()));
    }
    let Ok((metadata, plan)) = plan_array(array, &options) else { return };
    let done = rechunk_array(array, (metadata, &plan), Arc::new(MemoryStore::new()), &std::env::temp_dir());
    match (array.read_bytes(whole), done) {
        (Ok(before), Ok(target)) => assert!(target.read_bytes(whole).unwrap() == before, "elements have changed: {plan:?}"),
        (Err(_), Err(_)) => {}
        // Chunks that are moved are not looked into.
        (Err(_), Ok(_)) if plan.strategy == Strategy::PassThrough => {}
        (before, done) => panic!("read before: {:?}, done: {:?}: {plan:?}", before.err(), done.err()),
    }
}

/// An array of each choice; and a group with an array and what is no node.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![hierarchy()];
    for (position, choices) in (0_u8..).zip(choices()) {
        let mut seed = vec![1 | position << 1];
        seed.extend(choices);
        for chunk in 0..2_u8 {
            let stored = stored_chunk(&choices, &[chunk, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
            let Ok(len) = u16::try_from(stored.len()) else { continue };
            seed.push(chunk);
            seed.extend(len.to_le_bytes());
            seed.extend(stored);
        }
        seeds.push(seed);
    }
    seeds
}

fn hierarchy() -> Vec<u8> {
    let group = r#"{"zarr_format":3,"node_type":"group","attributes":{}}"#;
    let array = Recipe::choose(&mut Input::new(&[0; CHOICES])).document(&[6, 6]);
    let mut seed = vec![2];
    for (key, value) in [("zarr.json", group.as_bytes()), ("a/zarr.json", array.as_bytes()), ("a/c/1/0", &[7; 48]), ("c", b"no node")] {
        let position = KEYS.iter().position(|known| *known == key).unwrap();
        seed.push(u8::try_from(position).unwrap());
        seed.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        seed.extend(value);
    }
    seed
}
