//! The crash model of the memory store: what it may lose, and what it may not.

use std::collections::HashSet;

use rezarr::{ByteRange, Key, MemoryStore, Store};

use super::{all, get, key, names};

#[test]
fn a_crash_keeps_what_was_synced_and_nothing_else() {
    let store = MemoryStore::new();
    store.set(&key("a/synced"), b"old").unwrap();
    store.sync().unwrap();
    store.set(&key("a/synced"), b"new").unwrap();
    store.set(&key("a/lost"), b"lost").unwrap();
    let after = store.crash();
    assert_eq!(all(&after, "a/synced"), b"old");
    assert_eq!(get(&after, "a/lost", ByteRange::All).unwrap(), None);
    assert_eq!(all(&store, "a/lost"), b"lost", "the store itself goes on");
    let _lock = store.lock(&key("a")).unwrap();
    drop(store.crash().lock(&key("a")).unwrap());
}

/// All outcomes of `run` after a synced beginning, as the descriptions that `tell` gives, over many seeds.
fn outcomes(begin: impl Fn(&MemoryStore), run: impl Fn(&MemoryStore), tell: impl Fn(&MemoryStore) -> String) -> HashSet<String> {
    let store = MemoryStore::new();
    begin(&store);
    store.sync().unwrap();
    run(&store);
    let told = (0..500).map(|seed| tell(&store.crash_with(seed))).collect();
    for seed in 0..20 {
        assert_eq!(tell(&store.crash_with(seed)), tell(&store.crash_with(seed)));
    }
    told
}

fn set_of(outcomes: &[&str]) -> HashSet<String> {
    outcomes.iter().map(|&outcome| outcome.to_owned()).collect()
}

#[test]
fn unsynced_values_are_independently_old_or_new_in_any_order() {
    let tell = |store: &MemoryStore| {
        let value =
            |name| get(store, name, ByteRange::All).unwrap().map_or("-".into(), |v| String::from_utf8(v).unwrap().replace('\0', ""));
        format!("{}{}", value("a"), value("b"))
    };
    let begin = |store: &MemoryStore| store.set(&key("a"), b"1").unwrap();
    let run = |store: &MemoryStore| {
        store.set(&key("a"), b"2").unwrap();
        store.set(&key("b"), b"3").unwrap();
    };
    // A name may be there before its bytes, which are then missing or zeros.
    assert_eq!(outcomes(begin, run, tell), set_of(&["1-", "2-", "13", "23", "-", "3", "1", "2", ""]));
}

#[test]
fn renames_and_exchanges_are_never_halved() {
    let tell = |store: &MemoryStore| names(store, "").iter().map(|(name, _)| format!("{name}{} ", names(store, name).len())).collect();
    let begin = |store: &MemoryStore| {
        store.set(&key("one/x"), b"").unwrap();
        store.set(&key("two/x"), b"").unwrap();
        store.set(&key("two/y"), b"").unwrap();
    };
    let exchange = |store: &MemoryStore| store.exchange(&key("one"), &key("two")).unwrap();
    assert_eq!(outcomes(begin, exchange, tell), set_of(&["one1 two2 ", "one2 two1 "]));
    let rename = |store: &MemoryStore| store.rename(&key("one"), &key("three")).unwrap();
    assert_eq!(outcomes(begin, rename, tell), set_of(&["one1 two2 ", "three1 two2 "]));
}

#[test]
fn bytes_written_in_place_are_torn_by_sectors() {
    let begin = |store: &MemoryStore| store.set(&key("v"), &[0; 1024]).unwrap();
    let run = |store: &MemoryStore| store.write_at(&key("v"), 0, &[1; 1024]).unwrap();
    let tell = |store: &MemoryStore| {
        let bytes = all(store, "v");
        assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        format!("{}{}", bytes[0], bytes[512])
    };
    assert_eq!(outcomes(begin, run, tell), set_of(&["00", "01", "10", "11"]));
}

#[test]
fn a_deletion_may_survive_in_part() {
    let begin = |store: &MemoryStore| {
        store.set(&key("t/a"), b"").unwrap();
        store.set(&key("t/b"), b"").unwrap();
    };
    let run = |store: &MemoryStore| assert!(store.erase_prefix(&key("t")).unwrap());
    let tell = |store: &MemoryStore| {
        assert!(store.kind(&Key::root()).unwrap().is_some());
        names(store, "t").iter().map(|(name, _)| name.as_str()).collect()
    };
    assert_eq!(outcomes(begin, run, tell), set_of(&["ab", "a", "b", ""]));
}

#[test]
fn a_store_without_syncs_does_not_keep_all_its_past() {
    let store = MemoryStore::new();
    for i in 0..20_000_u32 {
        store.set(&key("v"), &i.to_le_bytes()).unwrap();
    }
    assert!(format!("{store:?}").len() < 2_000_000, "the journal keeps steps that no longer matter");
    store.sync().unwrap();
    assert_eq!(all(&store.crash(), "v"), 19_999_u32.to_le_bytes());
}
