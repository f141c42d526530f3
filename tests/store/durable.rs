//! Syncs of single prefixes and values: what they do in every store, and what a crash leaves of them in the memory store, and no more.

use rezarr::{MemoryStore, Store};

use super::{all, key, names, refused};

pub(super) fn single_syncs_change_nothing_that_is_seen(store: &dyn Store) {
    store.set_durable(&key("a/v"), b"1").unwrap();
    store.set_durable(&key("a/v"), b"two").unwrap();
    assert_eq!(all(store, "a/v"), b"two");
    for prefix in ["", "a"] {
        store.sync_prefix(&key(prefix)).unwrap();
    }
    assert_eq!(names(store, "a").len(), 1);
    refused(store.sync_prefix(&key("missing")), "NotFound", &["missing"]);
    refused(store.sync_prefix(&key("a/v")), "Corrupt", &["a/v"]);
    refused(store.set_durable(&key("a"), b""), "Corrupt", &["a"]);
}

pub(super) fn stamps_tell_values_apart(store: &dyn Store) {
    assert_eq!(store.stamp(&key("v")).unwrap(), None);
    store.set(&key("v"), b"12").unwrap();
    let first = store.stamp(&key("v")).unwrap().unwrap();
    assert_eq!(store.stamp(&key("v")).unwrap(), Some(first));
    assert_eq!(first.size, 2);
    store.set(&key("w"), b"34").unwrap();
    store.rename(&key("v"), &key("x")).unwrap();
    assert_eq!(store.stamp(&key("x")).unwrap(), Some(first), "a name is no part of it");
    store.rename(&key("w"), &key("v")).unwrap();
    let second = store.stamp(&key("v")).unwrap().unwrap();
    assert_ne!(second.file, first.file);
    store.write_at(&key("v"), 2, b"5").unwrap();
    let third = store.stamp(&key("v")).unwrap().unwrap();
    assert_eq!((third.file, third.size), (second.file, 3));
    store.create_prefix(&key("p")).unwrap();
    refused(store.stamp(&key("p")), "Corrupt", &["p"]);
}

/// That `holds` is true of every store that a crash may leave.
fn always(store: &MemoryStore, holds: impl Fn(&MemoryStore) -> bool) {
    assert!(holds(&store.crash()));
    for seed in 0..300 {
        assert!(holds(&store.crash_with(seed)), "seed {seed}");
    }
}

/// That `holds` is true of some store that a crash may leave.
fn sometimes(store: &MemoryStore, holds: impl Fn(&MemoryStore) -> bool) {
    assert!((0..300).any(|seed| holds(&store.crash_with(seed))));
}

fn has(store: &MemoryStore, name: &str) -> bool {
    store.kind(&key(name)).unwrap().is_some()
}

#[test]
fn a_durable_value_stays_if_its_prefix_does() {
    let store = MemoryStore::new();
    store.create_prefix(&key("a")).unwrap();
    store.set(&key("a/before"), &[1; 600]).unwrap();
    store.set_durable(&key("a/v"), b"kept").unwrap();
    store.set(&key("a/after"), b"").unwrap();
    sometimes(&store, |store| !has(store, "a"));
    always(&store, |store| !has(store, "a") || all(store, "a/v") == b"kept");
    // The names beside it were synced with its own, and their bytes were not.
    always(&store, |store| !has(store, "a") || has(store, "a/before"));
    sometimes(&store, |store| has(store, "a") && all(store, "a/before").is_empty());
    sometimes(&store, |store| has(store, "a") && !has(store, "a/after"));
    store.sync_prefix(&key("")).unwrap();
    always(&store, |store| all(store, "a/v") == b"kept");
    store.set_durable(&key("a/v"), b"replaced").unwrap();
    always(&store, |store| all(store, "a/v") == b"replaced");
}

#[test]
fn a_synced_writer_keeps_its_own_bytes_alone() {
    let store = MemoryStore::new();
    store.set(&key("a/old"), b"1").unwrap();
    store.sync().unwrap();
    store.set(&key("a/new"), b"2").unwrap();
    let writer = store.writer(&key("a/v")).unwrap();
    writer.write_at(0, b"kept").unwrap();
    writer.sync().unwrap();
    sometimes(&store, |store| !has(store, "a/v"));
    sometimes(&store, |store| has(store, "a/v") && !has(store, "a/new"));
    always(&store, |store| !has(store, "a/v") || all(store, "a/v") == b"kept");
    store.sync_prefix(&key("a")).unwrap();
    always(&store, |store| all(store, "a/v") == b"kept");
    writer.write_at(0, b"lost").unwrap();
    sometimes(&store, |store| all(store, "a/v") != b"lost");
}

#[test]
fn a_synced_prefix_keeps_its_names_and_not_those_below() {
    let store = MemoryStore::new();
    store.set(&key("p/a/1"), b"1").unwrap();
    store.sync().unwrap();
    store.set(&key("p/a/2"), b"2").unwrap();
    store.set(&key("p/b/1"), b"3").unwrap();
    store.sync_prefix(&key("p")).unwrap();
    always(&store, |store| has(store, "p/b") && has(store, "p/a/1"));
    sometimes(&store, |store| !has(store, "p/b/1"));
    sometimes(&store, |store| !has(store, "p/a/2"));
    assert!(store.erase_prefix(&key("p/a")).unwrap());
    sometimes(&store, |store| has(store, "p/a/1"));
    store.sync_prefix(&key("p")).unwrap();
    always(&store, |store| !has(store, "p/a"));
}

#[test]
fn moves_are_durable_with_the_prefix_that_they_happen_in() {
    let store = MemoryStore::new();
    store.set(&key("p/one/x"), b"1").unwrap();
    store.set(&key("p/two/x"), b"2").unwrap();
    store.sync().unwrap();
    store.exchange(&key("p/one"), &key("p/two")).unwrap();
    sometimes(&store, |store| all(store, "p/one/x") == b"1");
    store.sync_prefix(&key("p")).unwrap();
    always(&store, |store| all(store, "p/one/x") == b"2" && all(store, "p/two/x") == b"1");
    store.rename(&key("p/one"), &key("p/three")).unwrap();
    store.rename(&key("p/three"), &key("p/four")).unwrap();
    sometimes(&store, |store| has(store, "p/three"));
    store.sync_prefix(&key("p")).unwrap();
    always(&store, |store| names(store, "p").len() == 2 && all(store, "p/four/x") == b"2");
    // What has moved to another prefix does not come back to the first, whichever of the two is synced.
    store.create_prefix(&key("q")).unwrap();
    store.sync().unwrap();
    store.set(&key("p/v"), b"3").unwrap();
    store.rename(&key("p/v"), &key("q/v")).unwrap();
    store.sync_prefix(&key("q")).unwrap();
    always(&store, |store| has(store, "q/v") && !has(store, "p/v"));
}
