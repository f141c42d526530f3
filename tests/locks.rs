//! Writers beside writers, in one process and in several: nothing is lost, and whoever wants a tree for itself is told at once (LCK-1 to LCK-8).
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/trees.rs"]
mod trees;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rezarr::{
    Array, Attributes, Error, FilesystemStore, Group, Key, MemoryStore, MigrateOptions, RechunkOptions, Region, Result, Store, migrate,
    rechunk,
};

use arrays::{create, layout, metadata, mixed};
use processes::{child, words};
use trees::{directory, files, names, tree};

fn busy<T: std::fmt::Debug>(result: Result<T>, path: &str) {
    match result {
        Err(Error::Busy { path: found }) => assert!(found.ends_with(path), "{found}"),
        other => panic!("Busy was expected: {other:?}"),
    }
}

fn stale<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(Error::Stale { .. })), "{result:?}");
}

fn open(path: &Path) -> FilesystemStore {
    FilesystemStore::open(path).unwrap()
}

/// Chunks of 8 elements, in shards of two chunks or none; `side` 0 writes the first half of each, 1 the second.
const CHUNKS: u64 = 4;

/// Writes one half of every chunk (of every shard) again and again, and looks after each whether what this side wrote last is there.
fn write_halves(array: &Array, side: u64, rounds: u64, seed: u64) {
    let edge = array.grid().chunk_shape()[0];
    let half = edge / 2;
    for round in 0..rounds {
        let chunk = mixed(seed ^ round) % CHUNKS;
        let region = Region::new([chunk * edge + side * half], [half]).unwrap();
        // Every third time all fill, so that chunks go and come.
        let value = if round % 3 == 2 { 0 } else { i32::try_from(round * 2 + side + 1).unwrap() };
        let data = vec![value; usize::try_from(half).unwrap()];
        array.write(&region, &data).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(array.read::<i32>(&region).unwrap(), data, "round {round}: what was written is lost");
    }
}

fn shared_arrays(at: &Path) -> Vec<String> {
    let forms = [("plain", &[8][..], None, "none"), ("packed", &[8], None, "zstd:1"), ("shards", &[4], Some(&[16][..]), "none")];
    for (name, chunk, shard, codecs) in forms {
        let length = shard.unwrap_or(chunk)[0] * CHUNKS;
        Array::create(at.join(name), metadata(&[length], "int32", "0", &layout(chunk, shard, codecs))).unwrap();
    }
    forms.map(|(name, ..)| name.to_owned()).to_vec()
}

/// LCK-4, LCK-5, LCK-6: the other process of the tests below.
#[test]
fn a_writing_process() {
    let Some(told) = words("a_writing_process") else { return };
    let array = Array::open(&told[0]).unwrap();
    write_halves(&array, told[1].parse().unwrap(), told[2].parse().unwrap(), told[3].parse().unwrap());
}

/// LCK-1, LCK-4, LCK-5.
#[test]
fn processes_that_share_chunks_lose_nothing() {
    let root = directory();
    for name in shared_arrays(root.path()) {
        let path = root.path().join(&name);
        let mut writers: Vec<_> = (0..2)
            .map(|side| {
                child("a_writing_process", &[path.to_str().unwrap(), &side.to_string(), "1000", &(7 + side).to_string()]).spawn().unwrap()
            })
            .collect();
        for writer in &mut writers {
            assert!(writer.wait().unwrap().success(), "{name}");
        }
        assert!(
            files(&path).keys().all(|key| key == "zarr.json" || key.starts_with("c/")),
            "no lock is left behind: {:?}",
            files(&path).keys()
        );
    }
}

/// LCK-4: handles that know nothing of each other, as in two parts of one program.
#[test]
fn threads_with_handles_of_their_own_lose_nothing() {
    let root = directory();
    for name in shared_arrays(root.path()) {
        let path = root.path().join(&name);
        std::thread::scope(|scope| {
            for side in 0..2 {
                let path = &path;
                scope.spawn(move || write_halves(&Array::open(path).unwrap(), side, 300, side));
            }
        });
    }
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let made = Array::create_in(store.clone(), Key::root(), metadata(&[32], "int32", "0", &layout(&[8], None, "none"))).unwrap();
    drop(made);
    std::thread::scope(|scope| {
        for side in 0..2 {
            let store = store.clone();
            scope.spawn(move || write_halves(&Array::open_in(store, Key::root()).unwrap(), side, 300, side));
        }
    });
}

/// LCK-4: a whole chunk, and a part of it.
#[test]
fn whoever_overwrites_a_chunk_does_not_undo_a_part() {
    let root = directory();
    let path = root.path().join("a");
    Array::create(&path, metadata(&[8], "int32", "0", &layout(&[8], None, "none"))).unwrap();
    let latest = AtomicI32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let array = Array::open(&path).unwrap();
            for round in 1..400 {
                array.write(&Region::whole(&[8]), &[round; 8]).unwrap();
                latest.store(round, Ordering::Release);
            }
        });
        scope.spawn(|| {
            let array = Array::open(&path).unwrap();
            for _ in 0..400 {
                array.write(&Region::new([0], [1]).unwrap(), &[-1]).unwrap();
                let latest = latest.load(Ordering::Acquire);
                let seen = array.read::<i32>(&Region::whole(&[8])).unwrap();
                // A part that was put into an older chunk would bring that back.
                assert!(seen[1..].iter().all(|&element| element == seen[1] && element >= latest), "{seen:?} after {latest}");
            }
        });
    });
    // Whoever was last, its elements are there.
    let last = Array::open(&path).unwrap().read::<i32>(&Region::whole(&[8])).unwrap();
    assert_eq!(last[1..], [399; 7]);
}

/// LCK-2, LCK-3, LCK-6: on both sides of the lock of a tree.
#[test]
fn writers_of_regions_and_those_who_want_the_tree_alone_exclude_each_other() {
    let root = directory();
    let at = root.path();
    Group::create(at.join("g"), Attributes::default()).unwrap();
    let array = create(&at.join("g/a"), metadata(&[8], "uint8", "0", &layout(&[4], None, "none")), &[1; 8]);
    let write = || array.write(&Region::new([1], [2]).unwrap(), &[5_u8, 6]);
    let (own, group) = (open(&at.join("g/a")), open(&at.join("g")));
    for (store, key, path) in [(&own, "", "g/a"), (&group, "a", "g/a"), (&group, "", "g")] {
        let alone = store.lock(&Key::new(key).unwrap()).unwrap();
        busy(write(), path);
        busy(store.lock_shared(&Key::new(key).unwrap()), path);
        drop(alone);
        write().unwrap();
    }
    let other = Array::open(at.join("g/a")).unwrap();
    for (store, path) in [(&own, "g/a"), (&group, "g")] {
        let shared = store.lock_shared(&Key::root()).unwrap();
        write().unwrap();
        other.write(&Region::whole(&[8]), &[1_u8; 8]).unwrap();
        let second = store.lock_shared(&Key::root()).unwrap();
        busy(store.lock(&Key::root()), path);
        drop(shared);
        busy(store.lock(&Key::root()), path);
        drop(second);
        drop(store.lock(&Key::root()).unwrap());
    }
    // Whoever replaces or migrates an array shares the groups around it, and has it alone.
    create(&at.join("s"), metadata(&[8], "uint8", "0", &layout(&[8], None, "none")), &[9; 8]);
    let over = || rechunk(at.join("s"), Some(&at.join("g/a")), RechunkOptions::new().chunks([2]).overwrite(true));
    for (store, path) in [(&own, "g/a"), (&group, "g")] {
        let lock = if path == "g" { store.lock(&Key::root()) } else { store.lock_shared(&Key::root()) };
        let before = tree(at);
        busy(over(), path);
        busy(migrate(at.join("g/a"), &MigrateOptions::new()), path);
        assert!(tree(at) == before);
        drop(lock);
    }
    let shared = group.lock_shared(&Key::root()).unwrap();
    over().unwrap();
    drop(shared);
    assert_eq!(names(&at.join("g")), ["a", "zarr.json"]);
}

/// LCK-2, LCK-9: a tree that is kept as the backup can be read on, and is no place to write to.
#[test]
fn what_is_written_through_an_old_handle_does_not_go_to_the_backup() {
    let root = directory();
    let at = root.path();
    Group::create(at.join("g"), Attributes::default()).unwrap();
    create(&at.join("g/a"), metadata(&[8], "uint8", "0", &layout(&[4], None, "none")), &[1; 8]);
    create(&at.join("s"), metadata(&[8], "uint8", "0", &layout(&[8], None, "none")), &[9; 8]);
    let whole = Region::whole(&[8]);
    let by_path = Array::open(at.join("g/a")).unwrap();
    let by_group = Group::open(at.join("g")).unwrap().array("a").unwrap();
    assert_eq!(by_group.chunk_key(&[1]).unwrap().as_str(), "a/c/1");
    rechunk(at.join("s"), Some(&at.join("g/a")), RechunkOptions::new().chunks([4]).overwrite(true).keep_backup(true)).unwrap();
    for old in [&by_path, &by_group] {
        assert_eq!(old.read::<u8>(&whole).unwrap(), [1; 8], "the tree that was opened");
        stale(old.write(&Region::new([0], [1]).unwrap(), &[7_u8]));
        stale(old.write(&whole, &[7_u8; 8]));
    }
    assert_eq!(arrays::read(&at.join("g/a")), [9; 8]);
    assert_eq!(arrays::read(&at.join("g/a.backup")), [1; 8]);
    std::fs::remove_file(at.join("g/a.backup/zarr.json")).unwrap();
    std::fs::remove_file(at.join("g/a.backup/c/0")).unwrap();
    for old in [&by_path, &by_group] {
        stale(old.read::<u8>(&whole));
        stale(old.read_chunk(&[0]));
        stale(old.encoded_chunk(&[0]));
        stale(old.stored_chunk_bytes(&[0]));
    }
}

/// The other process of the test below: holds what it is told until it is killed.
#[test]
fn a_holding_process() {
    let Some(told) = words("a_holding_process") else { return };
    let store = open(Path::new(&told[0]));
    let _lock = match told[1].as_str() {
        "alone" => Some(store.lock(&Key::root()).unwrap()),
        "shared" => Some(store.lock_shared(&Key::root()).unwrap()),
        _ => None,
    };
    let _change = (told[1] == "change").then(|| store.change(&Key::new("c/0").unwrap()).unwrap());
    println!("\nholds");
    std::thread::sleep(std::time::Duration::from_secs(600));
}

/// Ends with the test, whatever becomes of that.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// LCK-1: locks end with their process, however it ends; whoever waits goes on.
#[test]
fn the_locks_of_a_killed_process_are_free() {
    let root = directory();
    let path = root.path().join("a");
    let array = create(&path, metadata(&[8], "uint8", "0", &layout(&[8], None, "none")), &[1; 8]);
    for held in ["alone", "shared", "change"] {
        let mut holder =
            Holder(child("a_holding_process", &[path.to_str().unwrap(), held]).stdout(std::process::Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
        while lines.next().unwrap().unwrap() != "holds" {}
        let write = || array.write(&Region::new([0], [1]).unwrap(), &[3_u8]);
        match held {
            "alone" => busy(write(), "a"),
            "shared" => busy(open(&path).lock(&Key::root()), "a"),
            _ => {}
        }
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| if held == "change" { write() } else { Ok(()) });
            // Whether it waits by now or not, it must come through after the end of the other process.
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(held != "change" || !waiting.is_finished(), "it does not wait for whoever is changing the chunk");
            holder.0.kill().unwrap();
            holder.0.wait().unwrap();
            waiting.join().unwrap().unwrap();
        });
        write().unwrap();
        drop(open(&path).lock(&Key::root()).unwrap());
    }
    assert_eq!(array.read::<u8>(&Region::whole(&[8])).unwrap(), [3, 1, 1, 1, 1, 1, 1, 1]);
}

/// LCK-8.
#[test]
fn without_locks_nobody_is_kept_out() {
    let root = directory();
    let path = root.path().join("a");
    create(&path, metadata(&[8], "uint8", "0", &layout(&[4], None, "none")), &[1; 8]);
    let _alone = open(&path).lock(&Key::root()).unwrap();
    let store = open(&path);
    let _change = store.change(&Key::new("c/0").unwrap()).unwrap();
    let free = Array::open_in(Arc::new(open(&path).with_locks(false)), Key::root()).unwrap();
    free.write(&Region::new([1], [5]).unwrap(), &[2_u8; 5]).unwrap();
    assert_eq!(free.read::<u8>(&Region::whole(&[8])).unwrap(), [1, 2, 2, 2, 2, 2, 1, 1]);
    assert!(open(root.path()).with_locks(false).lock(&Key::new("none").unwrap()).is_err(), "what is not there cannot be had");
    let options = || RechunkOptions::new().chunks([2]).overwrite(true);
    create(&root.path().join("s"), metadata(&[8], "uint8", "0", &layout(&[8], None, "none")), &[9; 8]);
    busy(rechunk(root.path().join("s"), Some(&path), options()), "a");
    rechunk(root.path().join("s"), Some(&path), options().locks(false)).unwrap();
    assert_eq!(arrays::read(&path), [9; 8]);
}

/// LCK-7: documents of groups that several change at once.
#[test]
fn nodes_made_side_by_side_are_all_in_the_copies() {
    let root = directory();
    let at = root.path();
    let mut group = Group::create(at.join("g"), Attributes::default()).unwrap();
    group.consolidate().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for i in 0..5 {
                    let made = at.join(format!("g/a{thread}{i}"));
                    Array::create(made, metadata(&[1], "uint8", "0", &layout(&[1], None, "none"))).unwrap();
                }
            });
        }
    });
    let document: serde_json::Value = serde_json::from_slice(&std::fs::read(at.join("g/zarr.json")).unwrap()).unwrap();
    let copies = document["consolidated_metadata"]["metadata"].as_object().unwrap();
    assert_eq!(copies.len(), 20, "{:?}", copies.keys());
    // Whoever has the group alone keeps new nodes out of it.
    let alone = open(&at.join("g")).lock(&Key::root()).unwrap();
    busy(Array::create(at.join("g/b"), metadata(&[1], "uint8", "0", &layout(&[1], None, "none"))), "g");
    busy(group.consolidate(), "g");
    drop(alone);
    assert!(!at.join("g/b").exists());
    group.consolidate().unwrap();
}

/// LCK-7, RCK-16: whoever writes all copies anew does not bring back what others have changed meanwhile, nor do the first ones lack anything.
#[test]
fn copies_agree_with_documents_whoever_writes_them() {
    let root = directory();
    let at = root.path();
    let array = |length: u64| metadata(&[length], "uint8", "0", &layout(&[4], None, "none"));
    for round in 0..25 {
        let group = at.join(format!("g{round}"));
        Group::create(&group, Attributes::default()).unwrap();
        create(&group.join("live"), array(8), &[1; 8]);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..6).for_each(|_| Group::open(&group).unwrap().consolidate().unwrap()));
            scope.spawn(|| (0..6).for_each(|i| drop(Array::create(group.join(format!("a{i}")), array(1)).unwrap())));
            scope.spawn(|| {
                for chunk in [2, 8, 1] {
                    rechunk(group.join("live"), None, RechunkOptions::new().chunks([chunk]).sync(false).threads(1)).unwrap();
                }
            });
        });
        let read = |path: &Path| serde_json::from_slice::<serde_json::Value>(&std::fs::read(path.join("zarr.json")).unwrap()).unwrap();
        let document = read(&group);
        let copies = document["consolidated_metadata"]["metadata"].as_object().unwrap();
        assert_eq!(copies.len(), 7, "round {round}: {:?}", copies.keys());
        for (name, copy) in copies {
            assert_eq!(*copy, read(&group.join(name)), "round {round}: {name}");
        }
    }
}

/// LCK-5, LCK-7: of those who make one node at the same time, one has made it, and its document is the one that stays.
#[test]
fn one_of_several_makes_a_node() {
    let root = directory();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut refused = 0;
    for round in 0..60_u64 {
        let (at, start) = (root.path().join(format!("n{round}")), std::sync::Barrier::new(4));
        let make = |thread: u64| {
            start.wait();
            let array = metadata(&[1 + thread], "uint8", "0", &layout(&[1], None, "none"));
            let key = Key::new(format!("n{round}")).unwrap();
            match (round % 2, thread) {
                (0, 0) => Group::create(&at, Attributes::default()).map(|_| 0),
                (0, _) => Array::create(&at, array).map(|array| array.shape()[0]),
                (_, 0) => Group::create_in(store.clone(), key, Attributes::default()).map(|_| 0),
                (_, _) => Array::create_in(store.clone(), key, array).map(|array| array.shape()[0]),
            }
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let make = &make;
            let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || make(thread))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut made = Vec::new();
        for result in results {
            match result {
                Ok(length) => made.push(length),
                Err(Error::AlreadyExists { .. }) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(made.len(), 1, "round {round}");
        let length = match (round % 2, made[0]) {
            (0, 0) => Group::open(&at).map(|_| 0),
            (0, _) => Array::open(&at).map(|array| array.shape()[0]),
            (_, 0) => Group::open_in(store.clone(), Key::new(format!("n{round}")).unwrap()).map(|_| 0),
            _ => Array::open_in(store.clone(), Key::new(format!("n{round}")).unwrap()).map(|array| array.shape()[0]),
        };
        assert_eq!(length.unwrap(), made[0], "round {round}");
    }
    assert_eq!(refused, 60 * 3);
}
