//! The conformance suite: what every store must do, one function a behaviour, run on each; and what only a file system can get wrong.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::fmt::Debug;
use std::sync::Arc;

use rezarr::{ByteRange, EntryKind, Error, FilesystemStore, Key, MemoryStore, ReadMode, Result, Store};

use faulty::{Fault, FaultyStore};

#[path = "store/crash.rs"]
mod crash;
#[path = "store/durable.rs"]
mod durable;
#[path = "support/faulty.rs"]
mod faulty;
#[path = "store/filesystem.rs"]
mod filesystem;
#[path = "store/locks.rs"]
mod locks;
#[path = "store/zip.rs"]
mod zip;
#[path = "support/zips.rs"]
mod zips;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn get(store: &dyn Store, text: &str, range: ByteRange) -> Result<Option<Vec<u8>>> {
    let mut bytes = None;
    let found = store.read(&key(text), range, &mut |got| {
        assert!(bytes.replace(got.to_vec()).is_none(), "visited twice");
        Ok(())
    })?;
    assert_eq!(found, bytes.is_some());
    Ok(bytes)
}

fn all(store: &dyn Store, text: &str) -> Vec<u8> {
    get(store, text, ByteRange::All).unwrap().unwrap_or_else(|| panic!("{text} is missing"))
}

fn names(store: &dyn Store, prefix: &str) -> Vec<(String, EntryKind)> {
    let mut names = Vec::new();
    store
        .list(&key(prefix), &mut |entry| {
            names.push((entry.name, entry.kind));
            Ok(())
        })
        .unwrap();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    names
}

/// The error must be of the named variant, and name what the user needs.
fn refused<T: Debug>(result: Result<T>, variant: &str, mentions: &[&str]) {
    let error = result.expect_err("an error");
    assert!(format!("{error:?}").starts_with(variant), "{variant} was expected: {error:?}");
    for text in mentions {
        assert!(error.to_string().contains(text), "{text:?} is not in {error}");
    }
}

fn values_are_found_or_missing(store: &dyn Store) {
    assert_eq!(get(store, "a", ByteRange::All).unwrap(), None);
    assert_eq!(get(store, "a/b/c", ByteRange::Last { len: 3 }).unwrap(), None);
    assert_eq!(store.size(&key("a/b")).unwrap(), None);
    assert_eq!(store.kind(&key("a/b")).unwrap(), None);
    store.set(&key("a/b/c"), b"value").unwrap();
    assert_eq!(all(store, "a/b/c"), b"value");
    assert_eq!(store.size(&key("a/b/c")).unwrap(), Some(5));
    assert_eq!(store.kind(&key("a/b/c")).unwrap(), Some(EntryKind::Value));
    assert_eq!(store.kind(&key("a/b")).unwrap(), Some(EntryKind::Prefix));
    assert_eq!(store.kind(&Key::root()).unwrap(), Some(EntryKind::Prefix));
    assert_eq!(store.size(&key("a/b/other")).unwrap(), None);
    store.set(&key("empty"), b"").unwrap();
    assert_eq!(get(store, "empty", ByteRange::All).unwrap(), Some(vec![]));
    assert_eq!(get(store, "empty", ByteRange::Last { len: 0 }).unwrap(), Some(vec![]));
}

fn ranges_are_exact(store: &dyn Store) {
    let bytes: Vec<u8> = (0..900_000_u32).map(|i| ((i * 7) >> 2).to_le_bytes()[0]).collect();
    store.set(&key("v"), &bytes).unwrap();
    let size = bytes.len();
    for offset in [0, 1, 4095, 4096, 4097, 8191, size - 1, size] {
        for len in [0, 1, 2, 4095, 4096, 4097, 40_000, 300_001] {
            let range = ByteRange::From { offset: offset as u64, len: len as u64 };
            if offset + len <= size {
                assert!(get(store, "v", range).unwrap().unwrap() == bytes[offset..offset + len], "{range:?}");
            } else {
                refused(get(store, "v", range), "Corrupt", &["/v", &format!("{len} bytes from offset {offset}"), "900000 bytes"]);
            }
        }
    }
    for len in [0, 1, 4096, 4097, 262_143, 262_144, size] {
        assert!(get(store, "v", ByteRange::Last { len: len as u64 }).unwrap().unwrap() == bytes[size - len..]);
    }
    refused(get(store, "v", ByteRange::Last { len: size as u64 + 1 }), "Corrupt", &["the last 900001 bytes", "900000 bytes"]);
    for (offset, len) in [(u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX), (0, u64::MAX), (1 << 63, 1 << 63)] {
        refused(get(store, "v", ByteRange::From { offset, len }), "Corrupt", &["/v", "900000 bytes"]);
    }
    refused(get(store, "v", ByteRange::Last { len: u64::MAX }), "Corrupt", &["/v"]);
}

fn an_error_of_the_visitor_comes_back_with_the_key(store: &dyn Store) {
    store.set(&key("dir/v"), b"x").unwrap();
    let fail = |error: Error| {
        let mut error = Some(error);
        store.read(&key("dir/v"), ByteRange::All, &mut |_| Err(error.take().expect("visited once")))
    };
    refused(fail(Error::Corrupt { key: String::new(), offset: Some(3), what: "odd".into() }), "Corrupt", &["dir/v", "byte 3: odd"]);
    refused(fail(Error::Cancelled), "Cancelled", &[]);
    let named = Error::Corrupt { key: "inner".into(), offset: None, what: "odd".into() };
    refused(fail(named), "Corrupt", &["inner: corrupt"]);
}

fn an_open_value_stays_what_it_was(store: &dyn Store) {
    assert!(store.open(&key("a/v")).unwrap().is_none());
    let old: Vec<u8> = (0..600_000_u32).map(|i| (i % 251).to_le_bytes()[0]).collect();
    store.set(&key("a/v"), &old).unwrap();
    let value = store.open(&key("a/v")).unwrap().unwrap();
    let holds_the_old = || {
        assert_eq!(value.size(), 600_000);
        let mut seen = Vec::new();
        for range in
            [ByteRange::From { offset: 0, len: 10 }, ByteRange::From { offset: 10, len: 299_990 }, ByteRange::Last { len: 300_000 }]
        {
            value
                .read(range, &mut |bytes| {
                    seen.extend_from_slice(bytes);
                    Ok(())
                })
                .unwrap();
        }
        assert!(seen == old);
    };
    holds_the_old();
    store.set(&key("a/v"), b"new").unwrap();
    holds_the_old();
    store.erase(&key("a/v")).unwrap();
    holds_the_old();
    store.erase_prefix(&key("a")).unwrap();
    holds_the_old();
    let mut visit = |_: &[u8]| Ok(());
    refused(value.read(ByteRange::Last { len: 600_001 }, &mut visit), "Corrupt", &["a/v", "600000 bytes"]);
    refused(value.read(ByteRange::All, &mut |_| Err(Error::Busy { path: "mine".into() })), "Busy", &["mine"]);
    store.create_prefix(&key("p")).unwrap();
    refused(store.open(&key("p")).map(drop), "Corrupt", &["p"]);
}

fn set_replaces_whole_values(store: &dyn Store) {
    store.set(&key("v"), &[1; 300_000]).unwrap();
    // A visitor that replaces what it looks at sees the old bytes to the end.
    store
        .read(&key("v"), ByteRange::All, &mut |old| {
            store.set(&key("v"), &[2; 5]).unwrap();
            assert!(old.len() == 300_000 && old.iter().all(|&byte| byte == 1));
            Ok(())
        })
        .unwrap();
    assert_eq!(all(store, "v"), [2; 5]);
    store.set(&key("v"), &[]).unwrap();
    assert!(all(store, "v").is_empty());
    assert_eq!(names(store, ""), [("v".to_owned(), EntryKind::Value)], "nothing temporary is left");
}

fn write_at_extends_with_zeros(store: &dyn Store) {
    store.write_at(&key("p/v"), 5, b"abc").unwrap();
    assert_eq!(all(store, "p/v"), b"\0\0\0\0\0abc");
    store.write_at(&key("p/v"), 1, b"xy").unwrap();
    assert_eq!(all(store, "p/v"), b"\0xy\0\0abc");
    store.write_at(&key("p/v"), 7, b"tail").unwrap();
    assert_eq!(all(store, "p/v"), b"\0xy\0\0abtail");
    store.write_at(&key("p/v"), 100, b"").unwrap();
    assert_eq!(store.size(&key("p/v")).unwrap(), Some(11), "writing nothing does not extend");
    store.write_at(&key("p/empty"), 0, b"").unwrap();
    assert_eq!(all(store, "p/empty"), b"");
    store.set(&key("p/v"), b"new").unwrap();
    store.write_at(&key("p/v"), 3, b"er").unwrap();
    assert_eq!(all(store, "p/v"), b"newer");
}

fn a_writer_writes_as_the_store_does(store: &dyn Store) {
    let writer = store.writer(&key("p/q/v")).unwrap();
    writer.write_at(5, b"abc").unwrap();
    assert_eq!(all(store, "p/q/v"), b"\0\0\0\0\0abc");
    let other = store.writer(&key("p/q/v")).unwrap();
    other.write_at(1, b"xy").unwrap();
    writer.write_at(7, b"tail").unwrap();
    drop(writer);
    assert_eq!(all(store, "p/q/v"), b"\0xy\0\0abtail");
    store.set(&key("file"), b"1").unwrap();
    assert!(store.writer(&key("file/v")).and_then(|writer| writer.write_at(0, b"x")).is_err());
    assert!(store.writer(&key("p/q")).and_then(|writer| writer.write_at(0, b"x")).is_err());
}

fn values_are_read_into_memory(store: &dyn Store) {
    store.set(&key("v"), b"0123456789").unwrap();
    let value = store.open(&key("v")).unwrap().unwrap();
    let mut out = [0; 4];
    value.expect(3, 4);
    value.read_into(3, &mut out).unwrap();
    assert_eq!(&out, b"3456");
    value.read_into(10, &mut []).unwrap();
    for offset in [7, 11, u64::MAX] {
        refused(value.read_into(offset, &mut out), "Corrupt", &["v"]);
    }
}

fn erase_says_whether_there_was_a_value(store: &dyn Store) {
    assert!(!store.erase(&key("v")).unwrap());
    assert!(!store.erase(&key("no/such/v")).unwrap());
    store.set(&key("p/v"), b"1").unwrap();
    assert!(store.erase(&key("p/v")).unwrap());
    assert!(!store.erase(&key("p/v")).unwrap());
    assert_eq!(get(store, "p/v", ByteRange::All).unwrap(), None);
    assert_eq!(names(store, "p"), []);
}

fn list_shows_what_is_directly_below(store: &dyn Store) {
    assert_eq!(names(store, "nothing/here"), []);
    for name in ["z", "a b/ü", "a b/漢字/x", ".hidden", "c/0/0"] {
        store.set(&key(name), b"").unwrap();
    }
    let own = |names: &[(&str, EntryKind)]| names.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect::<Vec<_>>();
    use EntryKind::{Prefix, Value};
    assert_eq!(names(store, ""), own(&[(".hidden", Value), ("a b", Prefix), ("c", Prefix), ("z", Value)]));
    assert_eq!(names(store, "a b"), own(&[("ü", Value), ("漢字", Prefix)]));
    refused(store.list(&Key::root(), &mut |_| Err(Error::Cancelled)), "Cancelled", &[]);
}

fn list_lets_the_visitor_erase(store: &dyn Store) {
    for i in 0..3000 {
        store.set(&key(&format!("p/{i:0100}")), b"").unwrap();
    }
    let mut seen = 0;
    store
        .list(&key("p"), &mut |entry| {
            seen += 1;
            store.erase(&key("p").join(&entry.name)?).map(|there| assert!(there))
        })
        .unwrap();
    assert_eq!((seen, names(store, "p").len()), (3000, 0));
}

fn erase_prefix_removes_the_tree_alone(store: &dyn Store) {
    assert!(!store.erase_prefix(&key("a")).unwrap());
    for name in ["a/zarr.json", "a/c/0", "a/c/1/zarr.json", "a/c/1/2/3", "ab/v", "b"] {
        store.set(&key(name), b"1").unwrap();
    }
    store.create_prefix(&key("a/empty/er")).unwrap();
    assert!(store.erase_prefix(&key("a")).unwrap());
    assert_eq!(store.kind(&key("a")).unwrap(), None);
    assert!(!store.erase_prefix(&key("a")).unwrap());
    assert_eq!(names(store, "").len(), 2, "a name that begins alike is another name");
    assert!(store.erase_prefix(&Key::root()).unwrap());
    assert_eq!(names(store, ""), []);
    assert!(!store.erase_prefix(&Key::root()).unwrap());
    store.set(&key("again"), b"1").unwrap();
    // And an empty one only where it is empty.
    assert!(!store.erase_empty(&key("e")).unwrap());
    store.set(&key("e/.precious"), b"kept").unwrap();
    assert!(store.erase_empty(&key("e")).is_err());
    assert_eq!(store.size(&key("e/.precious")).unwrap(), Some(4));
    store.erase(&key("e/.precious")).unwrap();
    assert!(store.erase_empty(&key("e")).unwrap());
    assert_eq!(store.kind(&key("e")).unwrap(), None);
}

fn create_prefix_makes_an_empty_prefix(store: &dyn Store) {
    store.create_prefix(&key("a/b/c")).unwrap();
    assert_eq!(names(store, "a/b"), [("c".to_owned(), EntryKind::Prefix)]);
    assert_eq!(names(store, "a/b/c"), []);
    refused(store.create_prefix(&key("a/b/c")), "AlreadyExists", &["a/b/c"]);
    refused(store.create_prefix(&key("a")), "AlreadyExists", &[]);
    store.set(&key("v"), b"").unwrap();
    refused(store.create_prefix(&key("v")), "AlreadyExists", &[]);
    refused(store.create_prefix(&Key::root()), "AlreadyExists", &[]);
}

fn rename_never_replaces(store: &dyn Store) {
    store.set(&key("a/x/y"), b"1").unwrap();
    store.set(&key("b/v"), b"2").unwrap();
    refused(store.rename(&key("a"), &key("b")), "AlreadyExists", &["b"]);
    refused(store.rename(&key("a/x/y"), &key("b/v")), "AlreadyExists", &["b/v"]);
    store.create_prefix(&key("empty")).unwrap();
    refused(store.rename(&key("a"), &key("empty")), "AlreadyExists", &["empty"]);
    refused(store.rename(&key("none"), &key("c")), "NotFound", &["none"]);
    refused(store.rename(&key("a"), &key("no/parent")), "NotFound", &["no/parent"]);
    refused(store.rename(&key("a"), &key("a/x/z")), "InvalidArgument", &[]);
    refused(store.rename(&key("a"), &key("a")), "InvalidArgument", &[]);
    refused(store.rename(&Key::root(), &key("c")), "InvalidArgument", &[]);
    store.rename(&key("a"), &key("b/moved")).unwrap();
    assert_eq!(all(store, "b/moved/x/y"), b"1");
    assert_eq!(store.kind(&key("a")).unwrap(), None);
    store.rename(&key("b/v"), &key("v")).unwrap();
    assert_eq!(all(store, "v"), b"2");
}

fn exchange_swaps_two_trees(store: &dyn Store) {
    store.set(&key("a/x"), b"1").unwrap();
    store.set(&key("p/b/y/z"), b"2").unwrap();
    store.exchange(&key("a"), &key("p/b")).unwrap();
    assert_eq!(all(store, "p/b/x"), b"1");
    assert_eq!(all(store, "a/y/z"), b"2");
    assert_eq!(names(store, "a").len() + names(store, "p/b").len(), 2);
    refused(store.exchange(&key("a"), &key("none")), "NotFound", &["none"]);
    refused(store.exchange(&key("none"), &key("a")), "NotFound", &["none"]);
    refused(store.exchange(&key("p"), &key("p/b")), "InvalidArgument", &[]);
    refused(store.exchange(&key("a"), &Key::root()), "InvalidArgument", &[]);
}

fn locks_exclude_and_end(store: &dyn Store) {
    refused(store.lock(&key("a")), "NotFound", &["a"]);
    store.set(&key("a/v"), b"").unwrap();
    store.create_prefix(&key("b")).unwrap();
    let lock = store.lock(&key("a")).unwrap();
    refused(store.lock(&key("a")), "Busy", &["a"]);
    let other = store.lock(&key("b")).unwrap();
    // The lock travels with the tree.
    store.exchange(&key("a"), &key("b")).unwrap();
    drop(other);
    refused(store.lock(&key("b")), "Busy", &[]);
    drop(store.lock(&key("a")).unwrap());
    store.rename(&key("b"), &key("c")).unwrap();
    refused(store.lock(&key("c")), "Busy", &[]);
    drop(lock);
    drop(store.lock(&key("c")).unwrap());
    let root = store.lock(&Key::root()).unwrap();
    refused(store.lock(&Key::root()), "Busy", &[]);
    drop(root);
    refused(store.lock(&key("c/v")), "Corrupt", &["c/v"]);
}

fn a_value_is_no_prefix_and_a_prefix_no_value(store: &dyn Store) {
    store.set(&key("p/v"), b"1").unwrap();
    for below in ["p/v/x", "p/v/x/y"] {
        refused(get(store, below, ByteRange::All), "Corrupt", &["p/v:"]);
        refused(store.size(&key(below)), "Corrupt", &["p/v:"]);
        refused(store.kind(&key(below)), "Corrupt", &["p/v:"]);
        refused(store.set(&key(below), b""), "Corrupt", &["p/v:"]);
        refused(store.write_at(&key(below), 0, b"x"), "Corrupt", &["p/v:"]);
        refused(store.erase(&key(below)), "Corrupt", &["p/v:"]);
        refused(store.erase_prefix(&key(below)), "Corrupt", &["p/v:"]);
        refused(store.create_prefix(&key(below)), "Corrupt", &["p/v:"]);
        refused(store.list(&key(below), &mut |_| Ok(())), "Corrupt", &["p/v:"]);
    }
    refused(store.list(&key("p/v"), &mut |_| Ok(())), "Corrupt", &["p/v:"]);
    refused(store.erase_prefix(&key("p/v")), "Corrupt", &["p/v:"]);
    for prefix in [key("p"), Key::root()] {
        refused(store.read(&prefix, ByteRange::All, &mut |_| Ok(())), "Corrupt", &[&store.locate(&prefix)]);
        refused(store.size(&prefix), "Corrupt", &[]);
    }
    refused(store.set(&key("p"), b""), "Corrupt", &["p:"]);
    refused(store.write_at(&key("p"), 0, b"x"), "Corrupt", &["p:"]);
    refused(store.erase(&key("p")), "Corrupt", &["p:"]);
    refused(store.set(&Key::root(), b""), "InvalidArgument", &[]);
    assert_eq!(all(store, "p/v"), b"1");
    assert_eq!(names(store, "p").len(), 1, "nothing temporary is left");
}

/// Copies between `store` and others of every kind, and within it.
fn copies_are_whole(store: &dyn Store) {
    let dir = tempfile::tempdir().unwrap();
    let files = FilesystemStore::open(dir.path()).unwrap();
    let memory = MemoryStore::new();
    let bytes: Vec<u8> = (0..2_500_000_u32).map(|i| ((i * 11) >> 3).to_le_bytes()[0]).collect();
    for other in [&files as &dyn Store, &memory] {
        other.set(&key("deep/source"), &bytes).unwrap();
        other.set(&key("empty"), b"").unwrap();
        store.set(&key("to"), &[9; 3_000_000]).unwrap();
        assert_eq!(store.copy_from(other, &key("deep/source"), &key("to")).unwrap(), Some(2_500_000));
        assert!(all(store, "to") == bytes, "what was there before is replaced whole");
        assert_eq!(store.copy_from(other, &key("empty"), &key("e/m/pty")).unwrap(), Some(0));
        assert_eq!(all(store, "e/m/pty"), b"");
        assert_eq!(store.copy_from(other, &key("none"), &key("none/made")).unwrap(), None);
        assert_eq!(store.kind(&key("none")).unwrap(), None);
        refused(store.copy_from(other, &key("deep"), &key("x")), "Corrupt", &["deep"]);
        assert_eq!(other.copy_from(store, &key("to"), &key("back")).unwrap(), Some(2_500_000));
        assert!(all(other, "back") == bytes);
    }
    assert_eq!(store.copy_from(store, &key("to"), &key("to")).unwrap(), Some(2_500_000));
    assert!(all(store, "to") == bytes);
    store.write_at(&key("to"), 0, b"changed").unwrap();
    assert!(all(&memory, "back") == bytes, "a copy is no alias");
    refused(store.copy_from(store, &key("to"), &key("e")), "Corrupt", &["e:"]);
}

fn threads_write_side_by_side(store: &dyn Store) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for i in 0..50 {
                    store.set(&key(&format!("new/{i}/{thread}")), &[thread; 100]).unwrap();
                    store.set(&key("shared"), &[thread; 1000]).unwrap();
                    let shared = all(store, "shared");
                    assert!(shared.len() == 1000 && shared.iter().all(|&byte| byte == shared[0]), "a mixed value");
                }
            });
        }
    });
    for i in 0..50 {
        assert_eq!(names(store, &format!("new/{i}")).len(), 4);
    }
    store.sync().unwrap();
}

type Behaviour = fn(&dyn Store);

const BEHAVIOURS: &[(&str, Behaviour)] = &[
    ("values_are_found_or_missing", values_are_found_or_missing),
    ("ranges_are_exact", ranges_are_exact),
    ("an_error_of_the_visitor_comes_back_with_the_key", an_error_of_the_visitor_comes_back_with_the_key),
    ("an_open_value_stays_what_it_was", an_open_value_stays_what_it_was),
    ("set_replaces_whole_values", set_replaces_whole_values),
    ("write_at_extends_with_zeros", write_at_extends_with_zeros),
    ("a_writer_writes_as_the_store_does", a_writer_writes_as_the_store_does),
    ("values_are_read_into_memory", values_are_read_into_memory),
    ("erase_says_whether_there_was_a_value", erase_says_whether_there_was_a_value),
    ("list_shows_what_is_directly_below", list_shows_what_is_directly_below),
    ("list_lets_the_visitor_erase", list_lets_the_visitor_erase),
    ("erase_prefix_removes_the_tree_alone", erase_prefix_removes_the_tree_alone),
    ("create_prefix_makes_an_empty_prefix", create_prefix_makes_an_empty_prefix),
    ("rename_never_replaces", rename_never_replaces),
    ("exchange_swaps_two_trees", exchange_swaps_two_trees),
    ("locks_exclude_and_end", locks_exclude_and_end),
    ("locks_are_shared_or_not", locks::locks_are_shared_or_not),
    ("changes_of_a_value_follow_each_other", locks::changes_of_a_value_follow_each_other),
    ("a_tree_stays_what_it_is", locks::a_tree_stays_what_it_is),
    ("a_value_is_no_prefix_and_a_prefix_no_value", a_value_is_no_prefix_and_a_prefix_no_value),
    ("copies_are_whole", copies_are_whole),
    ("single_syncs_change_nothing_that_is_seen", durable::single_syncs_change_nothing_that_is_seen),
    ("stamps_tell_values_apart", durable::stamps_tell_values_apart),
    ("threads_write_side_by_side", threads_write_side_by_side),
];

/// Runs every behaviour on a fresh store.
fn conforms(make: impl Fn() -> Box<dyn Store>) {
    for (name, behaviour) in BEHAVIOURS {
        eprintln!("{name}");
        behaviour(&*make());
    }
}

fn on_files(make: impl Fn(FilesystemStore) -> FilesystemStore) {
    let dir = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    conforms(|| {
        count.set(count.get() + 1);
        Box::new(make(FilesystemStore::create(dir.path().join(format!("stores/{}", count.get()))).unwrap()))
    });
}

#[test]
fn a_filesystem_store_with_maps_conforms() {
    on_files(|store| store);
}

#[test]
fn a_filesystem_store_with_reads_conforms() {
    on_files(|store| store.with_read_mode(ReadMode::Positioned));
}

#[test]
fn a_filesystem_store_that_drops_behind_conforms() {
    on_files(|store| store.with_drop_behind(true));
}

#[test]
fn a_memory_store_conforms() {
    conforms(|| Box::new(MemoryStore::new()));
}

#[test]
fn a_faulty_store_without_faults_conforms() {
    conforms(|| Box::new(FaultyStore::new(Arc::new(MemoryStore::new()), Fault::Never)));
}

#[test]
fn a_faulty_store_fails_where_it_is_told() {
    let run = |fault| {
        let store = FaultyStore::new(Arc::new(MemoryStore::new()), fault);
        let outcomes: Vec<bool> = (0..4).map(|i| store.set(&key(&format!("{i}")), b"").is_ok()).collect();
        (outcomes, names(&*store.inner(), "").into_iter().map(|(name, _)| name).collect::<String>())
    };
    assert_eq!(run(Fault::Never), (vec![true, true, true, true], "0123".to_owned()));
    assert_eq!(run(Fault::Once(1)), (vec![true, false, true, true], "023".to_owned()));
    assert_eq!(run(Fault::Lost(1)), (vec![true, false, true, true], "0123".to_owned()));
    assert_eq!(run(Fault::From(1)), (vec![true, false, false, false], "0".to_owned()));
    assert_eq!(run(Fault::Stop(1)), (vec![true, false, false, false], "01".to_owned()));
}

#[test]
fn the_faults_of_a_source_are_met_by_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let files = || Arc::new(FilesystemStore::create(dir.path()).unwrap());
    let pairs: [(Arc<dyn Store>, Arc<dyn Store>); 2] = [(Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new())), (files(), files())];
    for (source, target) in pairs {
        source.set(&key("v"), b"value").unwrap();
        for (at, op) in [(0, "open"), (1, "read")] {
            let faulty = FaultyStore::new(source.clone(), Fault::Once(at));
            refused(target.copy_from(&faulty, &key("v"), &key("to")), "Io", &[op, "injected fault"]);
            assert_eq!(target.kind(&key("to")).unwrap(), None);
            assert_eq!(target.copy_from(&faulty, &key("v"), &key("to")).unwrap(), Some(5));
            assert!(target.erase(&key("to")).unwrap());
        }
    }
}

#[test]
fn keys_that_could_leave_the_store_are_no_keys() {
    let long = "n".repeat(256);
    for bad in ["..", "a/..", "../a", "a/../b", ".", "/etc/passwd", "a//b", "a/", "/", "a\0b", &long] {
        refused(Key::new(bad), "InvalidArgument", &["key"]);
    }
    for good in ["", "...", "a/..b", ".zarray", "a b", "ü", &long[1..]] {
        assert_eq!(Key::new(good).unwrap().as_str(), good);
    }
    refused(key("a").join("../b"), "InvalidArgument", &[]);
}
