//! A whole tiny store: opened, listed, read in parts and rechunked.

use std::sync::Arc;

use crate::array::Array;
use crate::check::{CheckOptions, check_in};
use crate::dtype::FillValue;
use crate::error::{Error, Result};
use crate::fuzzing::codecs::{CHOICES, Recipe, choices, stored_chunk};
use crate::fuzzing::input::Input;
use crate::group::{Group, Node};
use crate::metadata::{ArrayMetadata, NodeMetadata};
use crate::migrate::{MigrateOptions, migrate_in};
use crate::rechunk::unstaged::{plan_array, rechunk_array};
use crate::rechunk::{ChunkSpec, RechunkOptions, Shards, Strategy};
use crate::region::Region;
use crate::store::{Key, MemoryStore, Store, ZipStore};

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
const MOST_ELEMENTS: u64 = 1024;
const MOST_UNIT_BYTES: usize = 1 << 20;

/// What the first byte says: that an array is chosen and its chunks follow, rather than values by key; that it is rechunked, too; and that the store may be
/// changed.
const CHOSEN: u8 = 1;
const RECHUNK: u8 = 2;
pub(super) const CHANGES: u8 = 4;
/// Of an array that is chosen: that its grid is rectilinear.
const RECTILINEAR: u8 = 128;

/// The first byte chooses what the rest describes: values by key, or an array by choice with stored chunks. Whatever there is to open, list
/// and read is an error or a value; a region gives the same elements whole and in parts, after a rechunk, and after a migration from Zarr v2; and what a
/// check finds no fault with is read.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let flags = input.byte();
    let store = Arc::new(MemoryStore::new());
    if flags & CHOSEN == 0 {
        set_values(&store, &mut input);
    } else {
        set_array(&store, &mut input, flags & RECTILINEAR != 0);
    }
    check_store(store, flags)
}

/// Whatever the store holds; says whether that is a node.
pub(super) fn check_store(store: Arc<dyn Store>, flags: u8) -> bool {
    let checked = check_in(store.clone(), CheckOptions::new().threads(1));
    let spotless = checked.is_ok_and(|report| report.clean && report.warnings == 0);
    let meet = |array: &Array| check_array(array, flags, spotless);
    match Node::open_in(store.clone(), Key::root()) {
        Err(_) => return false,
        Ok(Node::Array(array)) => meet(&array),
        Ok(Node::Group(group)) => check_group(&group, flags, &meet),
    }
    // An array that is chosen is one of Zarr v3.
    if flags & CHANGES != 0 && flags & CHOSEN == 0 {
        check_migration(store);
    }
    true
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
fn set_array(store: &MemoryStore, input: &mut Input<'_>, rectilinear: bool) {
    let recipe = Recipe::choose(input);
    let shape: Vec<u64> = recipe.chunk_shape().iter().map(|edge| edge + edge / 2).collect();
    let document = if rectilinear { recipe.rectilinear_document(&shape) } else { recipe.document(&shape) };
    store.set(&Key::new("zarr.json").unwrap(), document.as_bytes()).unwrap();
    while !input.is_empty() {
        let (position, len) = (input.byte(), input.number());
        let index: String = (0..shape.len()).map(|axis| if position >> axis & 1 == 0 { "/0" } else { "/1" }).collect();
        store.set(&Key::new(format!("c{index}")).unwrap(), input.take(len)).unwrap();
    }
}

fn check_group(group: &Group, flags: u8, meet: &dyn Fn(&Array)) {
    let names = group.child_names().expect("a store in memory is listed");
    let children = group.children().expect("a store in memory is listed");
    assert!(children.iter().map(|(name, _)| name).eq(&names), "children and their names");
    for (name, child) in &children {
        assert_eq!(child.is_ok(), group.child(name).is_ok(), "{name:?} is opened in one way only");
    }
    arrays_below(group).iter().for_each(meet);
    let mut consolidated = group.clone();
    if flags & CHANGES != 0 && consolidated.consolidate().is_ok() {
        let copies = consolidated.metadata().consolidated().unwrap().unwrap();
        assert!(copies.paths().all(|path| names.iter().any(|name| path.split('/').next() == Some(name))), "copies of what is there");
    }
}

/// Some of the arrays that a walk finds.
fn arrays_below(group: &Group) -> Vec<Array> {
    let mut arrays = Vec::new();
    let walked = group.walk_each(&mut |path, node| {
        if let Ok(NodeMetadata::Array(_)) = node {
            arrays.push(path.to_owned());
        }
        Ok(())
    });
    assert!(matches!(walked, Ok(()) | Err(Error::Unsupported { .. })), "{walked:?}");
    arrays.iter().take(3).map(|path| group.array(path).expect("an array that was found")).collect()
}

/// Zarr v2 that is migrated in place has the elements that it had, each array that could be opened can be opened, and undone it is what it was.
fn check_migration(store: Arc<dyn Store>) {
    let elements = || -> Vec<Option<Vec<u8>>> {
        let arrays = match Node::open_in(store.clone(), Key::root()).expect("the root is still a node") {
            Node::Array(array) => vec![array],
            Node::Group(group) => arrays_below(&group),
        };
        arrays.iter().map(|array| is_small(array).then(|| read(array, &corner(array, false)).ok()).flatten()).collect()
    };
    let before = elements();
    let Ok(report) = migrate_in(store.clone(), &MigrateOptions::new()) else { return };
    assert!(elements() == before, "elements have changed in a migration: {report:?}");
    if report.complete {
        let again = migrate_in(store.clone(), &MigrateOptions::new()).expect("migrated twice");
        assert!(again.complete, "a migration is not complete the second time: {again:?}");
        let undone = migrate_in(store.clone(), &MigrateOptions::new().undo(true));
        assert!(undone.is_err() || elements() == before, "elements have changed when a migration was undone");
    }
}

fn is_small(array: &Array) -> bool {
    array.unit_pipeline().chunk_bytes() <= MOST_UNIT_BYTES && array.grid().rank() <= 8
}

fn check_array(array: &Array, flags: u8, spotless: bool) {
    if !is_small(array) {
        return;
    }
    let near = corner(array, false);
    check_region(array, &near, spotless);
    check_region(array, &corner(array, true), spotless);
    for chunk in array.grid().chunks_over(&near).indices().take(4) {
        let _ = array.stored_chunk_bytes(&chunk);
        let _ = array.encoded_chunk(&chunk);
    }
    if near.shape() == array.shape() && flags & RECHUNK != 0 {
        check_rechunk(array, &near, flags);
    }
    if flags & CHANGES != 0 {
        check_write(array, &near);
    }
}

/// What is written to a part of a region is read there, and the rest of it is what it was.
fn check_write(array: &Array, region: &Region) {
    let Ok(before) = read(array, region) else { return };
    let part = Region::new(region.start(), region.shape().iter().map(|len| len.div_ceil(2)).collect::<Vec<_>>()).unwrap();
    if array.data_type().is_variable_length() || part.is_empty() || is_lossy(array.metadata()) {
        return;
    }
    let mut elements = array.read_bytes(&part).expect("a part of what was read");
    elements.reverse();
    // Elements of several numbers may be none when they are reversed; and an encoder may be wanting.
    if array.write_bytes(&part, &elements).is_err() {
        assert!(read(array, region).is_ok_and(|after| after == before), "elements have changed in a write that failed");
        return;
    }
    assert!(array.read_bytes(&part).expect("what was written is read") == elements, "{part} is read as it was not written");
    let after = read(array, region).expect("what was read before is read after a write");
    let item_size = array.data_type().item_size();
    let outside = Region::whole(region.shape()).indices().zip(before.chunks(item_size).zip(after.chunks(item_size)));
    for (index, (before, after)) in outside {
        let inside = index.iter().zip(part.shape()).all(|(at, len)| at < len);
        assert!(inside || before == after, "the element at {index:?} of {region} has changed in a write to {part}");
    }
}

/// The elements of a region as bytes, those of variable length with their lengths.
fn read(array: &Array, region: &Region) -> Result<Vec<u8>> {
    if !array.data_type().is_variable_length() {
        return array.read_bytes(region);
    }
    let elements = array.read_ragged(region)?;
    Ok(elements.iter().flat_map(|element| [&(element.len() as u64).to_le_bytes(), element].concat()).collect())
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
fn check_region(array: &Array, region: &Region, spotless: bool) {
    let whole = read(array, region);
    assert!(whole.is_ok() || !spotless, "no fault was found: {whole:?}");
    let Some(axis) = region.shape().iter().position(|&len| len > 1) else { return };
    let half = region.shape()[axis] / 2;
    let part = |from: u64, len: u64| {
        let (mut start, mut shape) = (region.start().to_vec(), region.shape().to_vec());
        (start[axis], shape[axis]) = (start[axis] + from, len);
        read(array, &Region::new(start, shape).unwrap())
    };
    let parts: Result<Vec<_>> = [part(0, half), part(half, region.shape()[axis] - half)].into_iter().collect();
    match (whole, parts) {
        // All axes before have one element, so that the halves lie one behind the other.
        (Ok(whole), Ok(parts)) => assert!(whole == parts.concat(), "{region} differs from its halves along axis {axis}"),
        (Err(_), Err(_)) => {}
        // FMT-ZIP-8: of a zip file, only what is read whole is checked.
        (Err(Error::ChecksumMismatch { .. }), Ok(_)) if array.store().as_any().is::<ZipStore>() => {}
        (whole, parts) => panic!("{region} is read only whole or only in halves: {:?}, {:?}", whole.err(), parts.err()),
    }
}

/// Rechunks an array of few elements in one of several ways: what was read before is read after, and what could not be read is an error.
fn check_rechunk(array: &Array, whole: &Region, flags: u8) {
    // Few chunks along each axis, since each costs an encoder.
    let parts = |axis: u64| 1 + (u64::from(flags >> 4) + axis) % 4;
    let edges: Vec<u64> = array.shape().iter().zip(0..).map(|(len, axis)| len.div_ceil(parts(axis)).max(1)).collect();
    let options = RechunkOptions::new().chunks(ChunkSpec::from(edges)).shards(Shards::Remove).memory(24 << 20);
    let mut options = options.threads(1 + usize::from(flags >> 4 & 1));
    if flags & 64 != 0 {
        options = options.fill(FillValue::zero(array.data_type()).to_text(array.data_type()));
    }
    let Ok((metadata, plan)) = plan_array(array, &options, flags & 8 != 0) else { return };
    let exact = !is_lossy(&metadata);
    let done = rechunk_array(array, (metadata, &plan), Arc::new(MemoryStore::new()), &std::env::temp_dir());
    match (read(array, whole), done) {
        (Ok(before), Ok(target)) => {
            let after = read(&target, whole);
            assert!(!exact || after.is_ok_and(|after| after == before), "elements have changed: {plan:?}");
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(Error::InvalidArgument { .. } | Error::Unsupported { .. })) if !exact => {}
        // What is damaged may be a part of a chunk that lies beyond the edge of the array.
        (Ok(_), Err(_)) if array.unit_pipeline().decodes_parts() || array.unit_pipeline().is_identity() => {}
        // Chunks that are moved are not looked into.
        (Err(_), Ok(_)) if plan.strategy == Strategy::PassThrough => {}
        (before, done) => panic!("read before: {:?}, done: {:?}: {plan:?}", before.err(), done.err()),
    }
}

/// Whether an encoder of the array takes something from elements, or refuses some.
fn is_lossy(metadata: &ArrayMetadata) -> bool {
    let text = format!("{:?}", metadata.codecs.to_metadata());
    let names =
        ["bitround", "quantize", "scale_offset", "cast_value", "astype", "fixedscaleoffset", "delta", "_bit\"", "numcodecs.shuffle"];
    names.iter().any(|name| text.contains(name))
}

/// An array of each choice; and a group with an array and what is no node.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![hierarchy(), hierarchy_of_v2()];
    for (position, choices) in (0_u8..).zip(choices()) {
        let mut seed = vec![CHOSEN | position << 1];
        seed.extend(choices);
        let chunks = if seed[0] & RECTILINEAR == 0 { 2 } else { 1 };
        for chunk in 0..chunks {
            let Some(stored) = stored_chunk(&choices, &[chunk, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5]) else { continue };
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
    values(&[("zarr.json", group.as_bytes()), ("a/zarr.json", array.as_bytes()), ("a/c/1/0", &[7; 48]), ("c", b"no node")])
}

/// A group of Zarr v2 with an array, of which one chunk is stored.
fn hierarchy_of_v2() -> Vec<u8> {
    let array = r#"{"zarr_format":2,"shape":[3,4],"chunks":[2,4],"dtype":"<u2","fill_value":5,"order":"F","filters":[{"id":"delta","dtype":"<u2"}],
        "compressor":null}"#;
    let copies = format!(r#"{{"zarr_consolidated_format":1,"metadata":{{".zgroup":{{"zarr_format":2}},"a/.zarray":{array}}}}}"#);
    values(&[
        (".zgroup", br#"{"zarr_format":2}"#),
        (".zattrs", br#"{"a":NaN}"#),
        (".zmetadata", copies.as_bytes()),
        ("a/.zarray", array.as_bytes()),
        ("a/0.0", &[3; 16]),
    ])
}

fn values(values: &[(&str, &[u8])]) -> Vec<u8> {
    let mut seed = vec![RECHUNK | CHANGES];
    for (key, value) in values {
        let position = KEYS.iter().position(|known| known == key).unwrap();
        seed.push(u8::try_from(position).unwrap());
        seed.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        seed.extend(*value);
    }
    seed
}
