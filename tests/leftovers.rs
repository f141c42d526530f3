//! What rechunks in place that died have left: who writes, recovers, walks or rechunks beside it.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/died.rs"]
mod died;
#[path = "support/trees.rs"]
mod trees;

use std::fs;

use cli::{prints, rezarr};
use rezarr::{Array, Attributes, Error, FilesystemStore, Group, Key, Region, Store};

use arrays::{create, elements, layout, metadata, read};
use died::{SHAPE, array, group, leave_in_window, mark};
use trees::{directory, files, names};

/// PUB-12, PUB-25: whoever writes completes what was left first, and then has to open again.
#[test]
fn a_writer_completes_what_was_left() {
    let root = directory();
    let at = root.path();
    let data = group(at);
    prints(at, "rechunk g/tas g/old --chunks 20,3 -q");
    fs::rename(at.join("g/tas"), at.join("g/tas.rechunked")).unwrap();
    fs::rename(at.join("g/old"), at.join("g/tas")).unwrap();
    mark(&at.join("g/tas"), "tas", "new", None);
    mark(&at.join("g/tas.rechunked"), "tas", "old", None);
    let array = Array::open(at.join("g/tas")).unwrap();
    array.write_bytes(&Region::new([0, 0], [1, 1]).unwrap(), &[0, 0, 0, 0]).unwrap();
    assert_eq!(names(&at.join("g")), ["more", "tas", "zarr.json"]);
    assert_eq!(names(&at.join("g/tas")), ["c", "zarr.json"]);
    assert_eq!(read(&at.join("g/tas"))[4..], data[4..]);
}

/// PUB-25: the tree of a handle that has become the backup is no place to write to.
#[test]
fn a_writer_is_told_that_its_tree_was_replaced() {
    let first = Region::new([0, 0], [1, 1]).unwrap();
    let root = directory();
    let at = root.path();
    let data = array(at);
    let opened = Array::open(at.join("a")).unwrap();
    leave_in_window(at, "a");
    for _ in 0..2 {
        assert!(matches!(opened.write_bytes(&first, &[0; 4]), Err(Error::Stale { .. })), "each time");
        assert_eq!(names(at), ["a", "a.backup"]);
        assert_eq!((read(&at.join("a")), read(&at.join("a.backup"))), (data.clone(), data.clone()));
        assert_eq!(opened.read_bytes(&Region::whole(&SHAPE)).unwrap(), data, "it can still be read");
    }
    // A handle on what stands in for the target is one on a tree whose name goes.
    let root = directory();
    let at = root.path();
    let data = array(at);
    leave_in_window(at, "a");
    let handle = Array::open_in(std::sync::Arc::new(FilesystemStore::open(at).unwrap()), Key::new("a").unwrap()).unwrap();
    assert!(matches!(handle.write_bytes(&first, &[0; 4]), Err(Error::Stale { .. })));
    assert_eq!((names(at), read(&at.join("a")), read(&at.join("a.backup"))), (vec!["a".into(), "a.backup".into()], data.clone(), data));
}

/// PUB-3, PUB-25: a writer does not go past somebody who is completing what was left, and one that is building is nobody's concern.
#[test]
fn a_writer_waits_for_who_is_at_work() {
    let root = directory();
    let at = root.path();
    array(at);
    prints(at, "rechunk a a.rechunked --chunks 20,3 -q");
    mark(&at.join("a.rechunked"), "a", "old", None);
    mark(&at.join("a"), "a", "new", None);
    let store = FilesystemStore::open(at).unwrap();
    let lock = store.lock(&Key::new("a.rechunked").unwrap()).unwrap();
    let array = Array::open(at.join("a")).unwrap();
    let write = || array.write_bytes(&Region::new([0, 0], [1, 1]).unwrap(), &[0; 4]);
    for _ in 0..2 {
        assert!(matches!(write(), Err(Error::Busy { .. })));
    }
    assert!(read(&at.join("a"))[..4] != [0; 4]);
    drop(lock);
    write().unwrap();
    assert_eq!(names(at), ["a"]);
    // Not sealed, and in work.
    prints(at, "rechunk a a.rechunked --chunks 20,3 -q");
    mark(&at.join("a.rechunked"), "a", "new", None);
    fs::remove_file(at.join("a.rechunked/zarr.json")).unwrap();
    let _lock = store.lock(&Key::new("a.rechunked").unwrap()).unwrap();
    Array::open(at.join("a")).unwrap().write_bytes(&Region::new([0, 0], [1, 1]).unwrap(), &[1; 4]).unwrap();
    assert_eq!(read(&at.join("a"))[..4], [1; 4]);
}

/// JRN-8: what is complete is not deleted because nobody can say what it was made from.
#[test]
fn what_is_complete_without_a_journal_is_not_resumed() {
    let root = directory();
    let at = root.path();
    let data = array(at);
    prints(at, "rechunk a b --chunks 20,3 -q");
    fs::rename(at.join("b"), at.join("b.rechunked")).unwrap();
    mark(&at.join("b.rechunked"), "b", "new", None);
    let outcome = rezarr(at, "rechunk a b --chunks 20,3 -q --resume");
    assert!(outcome.code == Some(2) && outcome.stderr.contains("`rezarr recover` puts it in its place"), "{outcome:?}");
    prints(at, "recover b");
    assert_eq!((names(at), read(&at.join("b"))), (vec!["a".into(), "b".into()], data));
}

/// PUB-26: what lies below a group that has no tree of its own is found as well.
#[test]
fn a_group_between_two_renames_is_walked() {
    let root = directory();
    let at = root.path();
    group(at);
    prints(at, "rechunk g whole --chunks 10,3 -q");
    let more = at.join("g/more");
    fs::create_dir(at.join("g/more.rechunked")).unwrap();
    mark(&at.join("g/more.rechunked"), "more", "new", None);
    fs::rename(&more, at.join("g/more.backup")).unwrap();
    mark(&at.join("g/more.backup"), "more", "old", None);
    assert!(prints(at, "verify g whole").contains("equal"));
    let walked = |group: Group| {
        let mut paths = Vec::new();
        let mut visit = |path: &str, _: &rezarr::NodeMetadata| {
            paths.push(path.to_owned());
            Ok(())
        };
        group.walk(&mut visit).unwrap();
        paths
    };
    assert_eq!(walked(Group::open(at.join("g")).unwrap()), ["more", "more/u", "tas"]);
    prints(at, "rechunk g made --chunks 20,3 -q");
    assert_eq!(read(&at.join("made/more/u")), [1, 2, 3, 4, 5, 6, 7]);
    assert!(prints(at, "verify g made").contains("equal"));
    Group::open(at.join("g")).unwrap().consolidate().unwrap();
    assert!(fs::read_to_string(at.join("g/zarr.json")).unwrap().contains("more/u"));
    prints(at, "recover g");
    assert_eq!(rezarr(at, "check g").code, Some(0));
}

/// PUB-30: what rechunks of nodes below have left is completed, and does not go with the old tree while it is somebody's, or of use.
#[test]
fn trees_of_other_rechunks_do_not_go_with_the_old_tree() {
    let root = directory();
    let at = root.path();
    group(at);
    prints(at, "rechunk g/more/u u --chunks 7 -q");
    let staged = at.join("g/more/new.rechunked");
    // Complete: it gets its name.
    fs::rename(at.join("u"), &staged).unwrap();
    mark(&staged, "new", "new", None);
    let outcome = rezarr(at, "rechunk g --chunks 20,3");
    assert!(outcome.code == Some(0) && outcome.stderr.contains("g/more/new has been completed first"), "{outcome:?}");
    assert_eq!(read(&at.join("g/more/new")), [1, 2, 3, 4, 5, 6, 7]);
    // In work.
    fs::rename(at.join("g/more/new"), &staged).unwrap();
    fs::remove_file(staged.join("zarr.json")).unwrap();
    mark(&staged, "new", "new", None);
    let store = FilesystemStore::open(at).unwrap();
    let lock = store.lock(&Key::new("g/more/new.rechunked").unwrap()).unwrap();
    let outcome = rezarr(at, "rechunk g --chunks 10,3 -q");
    assert!(outcome.code != Some(0) && outcome.stderr.contains("g/more/new.rechunked"), "{outcome:?}");
    drop(lock);
    // What nobody can say of whether it counts.
    for (role, replaces, sealed) in [("old", None, false), ("new", Some("what is gone"), true)] {
        if sealed {
            fs::write(staged.join("zarr.json"), "{}").unwrap();
        }
        mark(&staged, "new", role, replaces);
        let before = files(at);
        let outcome = rezarr(at, "rechunk g --chunks 10,3 -q");
        assert!(outcome.code == Some(2) && outcome.stderr.contains("move it away, or keep the old tree"), "{outcome:?}");
        assert_eq!(files(at), before);
    }
    // A dead one that was not complete is of no use.
    fs::remove_file(staged.join("zarr.json")).unwrap();
    prints(at, "rechunk g --chunks 10,3 -q");
    assert_eq!(names(&at.join("g/more")), ["u", "zarr.json"]);
}

/// PUB-24: one that cannot be recovered does not keep the others from it, and is said.
#[test]
fn a_bad_neighbour_is_passed_over() {
    let root = directory();
    let at = root.path();
    for name in ["a", "z"] {
        let metadata = metadata(&SHAPE, "float32", "nan", &layout(&[5, 30], None, "zstd:1"));
        create(&at.join(name), metadata.clone(), &elements(&metadata, 1));
        mark(&at.join(name), name, "new", None);
    }
    fs::create_dir(at.join("n".repeat(250))).unwrap();
    fs::create_dir(at.join("m")).unwrap();
    fs::write(at.join("m.rechunked"), "a file").unwrap();
    fs::create_dir(at.join("p")).unwrap();
    fs::create_dir(at.join("p.backup")).unwrap();
    fs::write(at.join("p.backup/precious"), "kept").unwrap();
    mark(&at.join("p.backup"), "p", "old", None);
    let outcome = rezarr(at, "recover .");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("p.backup: left as it is: it was to be replaced, and the target is another now"), "{outcome:?}");
    assert!(outcome.stdout.contains("m.rechunked") && outcome.stdout.contains("it is no directory; move it away"), "{outcome:?}");
    for name in ["a", "z"] {
        assert!(!at.join(name).join(".rechunk").exists(), "{outcome:?}");
    }
    assert!(at.join("p.backup/precious").exists() && at.join("m.rechunked").exists());
}

/// PUB-26: nothing new gets the name of a tree that has none just now.
#[test]
fn nothing_is_made_between_two_renames() {
    let root = directory();
    let at = root.path();
    let data = array(at);
    let create = |name: &str| Array::create(at.join(name), metadata(&SHAPE, "float32", "nan", &layout(&[5, 30], None, "zstd:1")));
    leave_in_window(at, "a");
    let before = files(at);
    for made in [create("a").map(drop), Group::create(at.join("a"), Attributes::default()).map(drop)] {
        assert!(matches!(made, Err(Error::AlreadyExists { advice, .. }) if advice.contains("`rezarr recover`")));
    }
    let store = std::sync::Arc::new(FilesystemStore::open(at).unwrap());
    let made = Group::create_in(store, Key::new("a").unwrap(), Attributes::default());
    assert!(matches!(made, Err(Error::AlreadyExists { .. })));
    assert_eq!(files(at), before);
    prints(at, "recover a");
    assert_eq!(read(&at.join("a")), data);
}

/// PUB-24, RCK-16: whatever a recovery finds of a publication that has happened, the copies in the groups above are those of the new tree.
#[test]
fn a_recovery_brings_copies_up_to_date() {
    for (old, keep) in [("tas.rechunked", false), ("tas.backup", false), ("tas.rechunked", true), ("", false)] {
        let root = directory();
        let at = root.path();
        group(at);
        prints(at, "rechunk g/tas new --chunks 20,3 -q");
        if old.is_empty() {
            fs::remove_dir_all(at.join("g/tas")).unwrap();
        } else {
            fs::rename(at.join("g/tas"), at.join("g").join(old)).unwrap();
            mark(&at.join("g").join(old), "tas", "old", None);
            let marker = at.join("g").join(old).join(".rechunk");
            let text = fs::read_to_string(&marker).unwrap().replace("\"keep\":false", &format!("\"keep\":{keep}"));
            fs::write(&marker, text).unwrap();
        }
        fs::rename(at.join("new"), at.join("g/tas")).unwrap();
        mark(&at.join("g/tas"), "tas", "new", None);
        prints(at, "recover g/tas");
        assert_eq!(names(&at.join("g")).contains(&"tas.backup".to_owned()), keep);
        if keep {
            fs::remove_dir_all(at.join("g/tas.backup")).unwrap();
        }
        let outcome = rezarr(at, "check g");
        assert_eq!(outcome.code, Some(0), "{old} {keep}: {outcome:?}");
    }
}
