//! What every store does about those who want the same at the same time: locks, changes of single values, and trees that lose their names.

use rezarr::{ByteRange, Key, Store};

use super::{all, get, key, names, refused};

/// LCK-2, LCK-3.
pub(super) fn locks_are_shared_or_not(store: &dyn Store) {
    refused(store.lock_shared(&key("a")), "NotFound", &["a"]);
    store.set(&key("a/v"), b"").unwrap();
    refused(store.lock_shared(&key("a/v")), "Corrupt", &["a/v"]);
    for prefix in [key("a"), Key::root()] {
        let first = store.lock_shared(&prefix).unwrap();
        let second = store.lock_shared(&prefix).unwrap();
        refused(store.lock(&prefix), "Busy", &[]);
        drop(first);
        refused(store.lock(&prefix), "Busy", &[]);
        let third = store.lock_shared(&prefix).unwrap();
        drop(second);
        refused(store.lock(&prefix), "Busy", &[]);
        drop(third);
        let alone = store.lock(&prefix).unwrap();
        refused(store.lock_shared(&prefix), "Busy", &[]);
        drop(alone);
        drop(store.lock(&prefix).unwrap());
    }
    // It travels with the tree.
    store.create_prefix(&key("b")).unwrap();
    let shared = store.lock_shared(&key("a")).unwrap();
    store.exchange(&key("a"), &key("b")).unwrap();
    refused(store.lock(&key("b")), "Busy", &[]);
    drop(store.lock(&key("a")).unwrap());
    drop(shared);
}

/// LCK-4, LCK-5.
pub(super) fn changes_of_a_value_follow_each_other(store: &dyn Store) {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
    let value = key("p/v");
    assert!(store.change(&value).unwrap().value().is_none());
    // What is dropped changes nothing, and what does not exist can be erased.
    assert!(store.change(&value).unwrap().erase().unwrap());
    assert_eq!(store.kind(&value).unwrap(), None);
    let add_one = |wipe: bool| loop {
        let change = store.change(&value).unwrap();
        let mut now = 0;
        if let Some(old) = change.value() {
            old.read(ByteRange::All, &mut |bytes| {
                now = number(bytes);
                Ok(())
            })
            .unwrap();
        }
        // A value that is erased counts on from the number that the eraser takes along.
        let done = if wipe { change.erase().unwrap() } else { change.set(&(now + 1).to_le_bytes()).unwrap() };
        if done {
            return now;
        }
    };
    let erased: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                scope.spawn(move || (0..100).map(|i| if i % 7 == thread { add_one(true) } else { (add_one(false), 0).1 }).sum::<u64>())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let wipes: u64 = (0..4).map(|thread| (0..100).filter(|i| i % 7 == thread).count() as u64).sum();
    let left = get(store, "p/v", ByteRange::All).unwrap().map_or(0, |bytes| number(&bytes));
    assert_eq!(erased + left, 400 - wipes, "a change is lost");
    assert!(names(store, "p").len() <= 1, "nothing temporary is left");
    store.set(&value, b"old").unwrap();
    let change = store.change(&value).unwrap();
    assert_eq!(change.value().unwrap().size(), 3);
    assert!(change.set(b"newer").unwrap());
    assert_eq!(all(store, "p/v"), b"newer");
    // Of two that begin where there is nothing, the second is told.
    let (first, second) = (store.change(&key("w")).unwrap(), store.change(&key("w")).unwrap());
    assert!(first.set(b"first").unwrap());
    assert!(!second.set(b"second").unwrap());
    assert_eq!((all(store, "w"), names(store, "").len()), (b"first".to_vec(), 2));
    refused(store.change(&key("p")).map(drop), "Corrupt", &["p"]);
}

/// LCK-9.
pub(super) fn a_tree_stays_what_it_is(store: &dyn Store) {
    assert!(store.tree(&Key::root()).unwrap().is_none() && store.tree(&key("none")).unwrap().is_none());
    store.set(&key("a/x/v"), b"old").unwrap();
    assert!(store.tree(&key("a/x/v")).unwrap().is_none());
    let Some(tree) = store.tree(&key("a/x")).unwrap() else { return };
    assert_eq!(tree.locate(&key("v")), store.locate(&key("a/x/v")));
    assert_eq!(all(&*tree, "v"), b"old");
    drop(tree.lock(&Key::root()).unwrap());
    store.set(&key("b/v"), b"new").unwrap();
    store.exchange(&key("a/x"), &key("b")).unwrap();
    assert_eq!((all(&*tree, "v"), all(store, "a/x/v")), (b"old".to_vec(), b"new".to_vec()));
    refused(tree.lock(&Key::root()), "Stale", &["a/x"]);
    refused(tree.lock_shared(&Key::root()), "Stale", &["a/x"]);
    store.erase_prefix(&key("b")).unwrap();
    assert_eq!(get(&*tree, "v", ByteRange::All).unwrap(), None);
}
