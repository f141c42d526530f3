//! Zip files as stores.

use std::io::Write as _;
use std::sync::Arc;

use crate::fuzzing::input::Input;
use crate::fuzzing::store;
use crate::store::{ByteRange, EntryKind, Key, Store, ZipStore, read_to_vec};

/// What zip files are made of.
pub const WORDS: &[&str] = &[
    "PK\u{1}\u{2}",
    "PK\u{3}\u{4}",
    "PK\u{5}\u{6}",
    "PK\u{6}\u{6}",
    "PK\u{6}\u{7}",
    "PK\u{7}\u{8}",
    "zarr.json",
    "../",
    "c/0",
    "\0\0\0\0",
    "\u{1}\0\0\0",
];

/// The most values that are looked at.
const MOST_VALUES: usize = 40;

/// A file that is taken has values under keys. Each is an error, or has its size, the same in whole and in parts; a value never stands where
/// others lie below it. What is in it is then met as any other store.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let flags = input.byte();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(input.rest()).unwrap();
    let Ok(zip) = ZipStore::open(file.path()) else { return false };
    let mut values = Vec::new();
    list(&zip, &Key::root(), &mut values, 0);
    for key in values.iter().take(MOST_VALUES) {
        check_value(&zip, key);
    }
    store::check_store(Arc::new(zip), flags & !store::CHANGES);
    true
}

fn list(zip: &ZipStore, prefix: &Key, values: &mut Vec<Key>, depth: usize) {
    let mut entries = Vec::new();
    zip.list(prefix, &mut |entry| {
        entries.push(entry);
        Ok(())
    })
    .expect("what was opened is listed");
    for entry in entries {
        let key = prefix.join(&entry.name).expect("a name of a key");
        assert_eq!(zip.kind(&key).unwrap(), Some(entry.kind), "{key}");
        match entry.kind {
            EntryKind::Value => values.push(key),
            EntryKind::Prefix if depth < 8 && values.len() < MOST_VALUES => list(zip, &key, values, depth + 1),
            EntryKind::Prefix => {}
            EntryKind::Other => assert!(zip.open(&key).is_err(), "{key} is both a value and a prefix"),
        }
    }
}

fn check_value(zip: &ZipStore, key: &Key) {
    let Ok(value) = zip.open(key) else { return };
    let value = value.expect("a value that is listed");
    let Ok(whole) = read_to_vec(zip, key, 1 << 20) else { return };
    let whole = whole.expect("a value that is listed");
    assert_eq!((whole.len() as u64, Some(value.size())), (value.size(), zip.size(key).unwrap()), "{key}");
    let half = whole.len() / 2;
    for (range, expected) in [
        (ByteRange::From { offset: half as u64, len: (whole.len() - half) as u64 }, &whole[half..]),
        (ByteRange::Last { len: half as u64 }, &whole[whole.len() - half..]),
        (ByteRange::From { offset: 0, len: half as u64 }, &whole[..half]),
    ] {
        value
            .read(range, &mut |part| {
                assert!(part == expected, "{key}: {range:?} differs");
                Ok(())
            })
            .expect("a part of a value that was read whole");
    }
    assert!(value.read(ByteRange::Last { len: value.size() + 1 }, &mut |_| Ok(())).is_err(), "{key}: more than there is");
}

/// Values as they are stored in a zip file: key, value, and whether it is deflated.
fn file(entries: &[(&str, &[u8], bool)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let short = |len: usize| u16::try_from(len).unwrap().to_le_bytes();
    let long = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    for (name, value, deflated) in entries {
        let stored = if *deflated {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(value).unwrap();
            encoder.finish().unwrap()
        } else {
            value.to_vec()
        };
        // Version, flags, method, time, date, checksum, sizes, lengths of the name and of the extra field.
        let method = if *deflated { 8_u16 } else { 0 };
        let head = [&[20, 0, 0, 8], &method.to_le_bytes()[..], &[0, 0, 33, 0], &crc32fast::hash(value).to_le_bytes()].concat();
        let head = [&head[..], &long(stored.len()), &long(value.len()), &short(name.len()), &[0, 0]].concat();
        let offset = long(file.len());
        file.extend([b"PK\x03\x04", &head[..], name.as_bytes(), &stored].concat());
        directory.extend([b"PK\x01\x02\x14\0", &head[..], &[0; 10], &offset, name.as_bytes()].concat());
    }
    let count = short(entries.len());
    let end = [b"PK\x05\x06", &[0; 4][..], &count, &count, &long(directory.len()), &long(file.len()), &[0, 0]].concat();
    [file, directory, end].concat()
}

/// Empty, an array stored and deflated, and a group.
pub fn seeds() -> Vec<Vec<u8>> {
    let array: &[u8] =
        br#"{"zarr_format":3,"node_type":"array","shape":[6],"data_type":"uint8","fill_value":7,"chunk_key_encoding":"default",
        "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[4]}},"codecs":["bytes"]}"#;
    let group: &[u8] = br#"{"zarr_format":3,"node_type":"group"}"#;
    let files = [
        file(&[]),
        file(&[("zarr.json", array, false), ("c/0", &[1, 2, 3, 4], false), ("c/1", &[5, 6, 7, 7], true)]),
        file(&[("zarr.json", group, true), ("a/zarr.json", array, true), ("a/c/1", &[9; 4], true), ("note", b"", false)]),
    ];
    files.iter().map(|file| [&[2], &file[..]].concat()).collect()
}
