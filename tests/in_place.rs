//! Rechunking in place, and recovery, at the command line.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/trees.rs"]
mod trees;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use cli::{prints, prints_json, refuses, rezarr};
use rezarr::{Array, Attributes, Error, FilesystemStore, Group, Key, Region, Store};
use serde_json::json;

use arrays::{create, elements, layout, metadata, read};
use trees::{directory, files, names};

const SHAPE: [u64; 2] = [20, 30];

/// An array `a`; its elements.
fn array(root: &Path) -> Vec<u8> {
    let metadata = metadata(&SHAPE, "float32", "nan", &layout(&[5, 30], None, "zstd:1"));
    let data = elements(&metadata, 1);
    create(&root.join("a"), metadata, &data);
    data
}

/// A group `g` of two arrays and a group below, with consolidated metadata; the elements of `g/tas`.
fn group(root: &Path) -> Vec<u8> {
    let group = Group::create(root.join("g"), Attributes::default()).unwrap();
    let tas = metadata(&SHAPE, "float32", "nan", &layout(&[5, 30], None, "zstd:1"));
    let data = elements(&tas, 2);
    group.create_array("tas", tas).unwrap().write_bytes(&Region::whole(&SHAPE), &data).unwrap();
    group.create_group("more", Attributes::default()).unwrap();
    let u = group.create_array("more/u", metadata(&[7], "uint8", "0", &layout(&[2], None, "none"))).unwrap();
    u.write_bytes(&Region::whole(&[7]), &[1, 2, 3, 4, 5, 6, 7]).unwrap();
    Group::open(root.join("g")).unwrap().consolidate().unwrap();
    data
}

fn chunks(path: impl AsRef<Path>) -> Vec<u64> {
    Array::open(path).unwrap().metadata().layout().chunk_shape
}

/// PUB-30: nothing is left but the array, under its name, with other chunks.
#[test]
fn an_array_is_rechunked_in_place() {
    for flags in ["", "--no-exchange", "--no-sync", "--no-sync --no-exchange"] {
        let root = directory();
        let at = root.path();
        let data = array(at);
        assert_eq!(prints(at, &format!("rechunk a --chunks 20,3 --codec gzip:1 -q {flags}")), "");
        assert_eq!(names(at), ["a"]);
        assert_eq!(names(&at.join("a")), ["c", "zarr.json"]);
        assert_eq!((chunks(at.join("a")), read(&at.join("a"))), (vec![20, 3], data));
        assert_eq!(prints(at, "recover a"), "nothing to recover\n");
    }
}

#[test]
fn the_backup_is_kept_when_asked_for() {
    for flags in ["", "--no-exchange"] {
        let root = directory();
        let at = root.path();
        let data = array(at);
        let before = files(&at.join("a"));
        prints(at, &format!("rechunk a --chunks 20,3 -q --keep-backup {flags}"));
        assert_eq!(names(at), ["a", "a.backup"]);
        assert_eq!(files(&at.join("a.backup")), before);
        assert_eq!(read(&at.join("a")), data);
        let shown = at.canonicalize().unwrap().display().to_string();
        let message =
            format!("{shown}/a.backup: already exists; it would be in the way of the tree that is replaced; move it away, or delete it");
        refuses(at, "rechunk a --chunks 1,3 -q", 2, &message);
    }
}

/// The other options mean what they mean with a target: type, part, shards, fill.
#[test]
fn options_work_in_place() {
    let root = directory();
    let at = root.path();
    array(at);
    prints(at, "rechunk a b --chunks 4,3 --shards 8,30 --dtype float64 --select 0:10,: --fill 1 --threads 1 -q");
    prints(at, "rechunk a --chunks 4,3 --shards 8,30 --dtype float64 --select 0:10,: --fill 1 --threads 1 -q");
    assert!(prints(at, "verify a b").starts_with("equal"));
    assert_eq!(files(&at.join("a")), files(&at.join("b")));
    prints(at, "rechunk a --keys v2 -q");
    assert!(prints(at, "verify a b").starts_with("equal"));
}

/// A whole group is replaced in one step, and its consolidated metadata are those of the new one.
#[test]
fn a_group_is_rechunked_in_place() {
    for flags in ["", "--no-exchange"] {
        let root = directory();
        let at = root.path();
        let data = group(at);
        prints(at, "rechunk g h --chunks 20,3 -q");
        prints(at, &format!("rechunk g --chunks 20,3 -q {flags}"));
        assert_eq!(names(at), ["g", "h"]);
        assert_eq!(read(&at.join("g/tas")), data);
        assert_eq!(files(&at.join("g")), files(&at.join("h")));
        assert!(Group::open(at.join("g")).unwrap().metadata().is_consolidated());
    }
}

/// RCK-16: the group above carries what the member is now.
#[test]
fn a_member_of_a_group_is_rechunked_in_place() {
    let root = directory();
    let at = root.path();
    let data = group(at);
    prints(at, "rechunk g/tas --chunks 20,3 -q");
    assert_eq!((chunks(at.join("g/tas")), read(&at.join("g/tas"))), (vec![20, 3], data));
    let document = fs::read_to_string(at.join("g/zarr.json")).unwrap();
    let copies = &serde_json::from_str::<serde_json::Value>(&document).unwrap()["consolidated_metadata"]["metadata"];
    assert_eq!(copies["tas"]["chunk_grid"]["configuration"]["chunk_shape"], json!([20, 3]));
    assert_eq!(rezarr(at, "check g").code, Some(0));
}

/// PUB-30: whatever leads to the directory, it is the directory that is replaced, and links stay links.
#[test]
fn any_path_to_the_directory_will_do() {
    let root = directory();
    let at = root.path();
    let data = array(at);
    fs::create_dir(at.join("links")).unwrap();
    symlink("../a", at.join("links/to")).unwrap();
    for (number, path) in [".", "./", "../a/", "../links/to", "../links/to/"].iter().enumerate() {
        let chunk = number + 1;
        prints(&at.join("a"), &format!("rechunk {path} --chunks 20,{chunk} -q"));
        assert_eq!((chunks(at.join("a")), read(&at.join("a"))), (vec![20, chunk as u64], data.clone()), "{path}");
        assert_eq!((names(at), names(&at.join("links"))), (vec!["a".into(), "links".into()], vec!["to".into()]));
        assert!(at.join("links/to").is_symlink());
    }
}

#[test]
fn what_cannot_be_replaced_is_refused() {
    let root = directory();
    let at = root.path();
    array(at);
    let shown = at.canonicalize().unwrap().display().to_string();
    refuses(at, "rechunk / --chunks 1,1", 2, "/: the root of a file system has no place beside it for the new tree; give a target");
    refuses(
        at,
        "rechunk /proc --chunks 1,1",
        2,
        "/proc: a file system is mounted here, and cannot be exchanged with a directory; give a target",
    );
    prints(at, "pack a a.zip -q");
    refuses(at, "rechunk a.zip --chunks 1,1", 2, &format!("{shown}/a.zip: is a file; zip files are not changed in place: give a target"));
    refuses(at, "rechunk missing --chunks 1,1", 3, &format!("{shown}/missing: not found: an array or group"));
    refuses(at, "rechunk a a --chunks 1,1 --overwrite", 2, "a: the target is the source; leave the target out to rechunk in place");
    let before = files(at);
    let outcome = rezarr(at, "rechunk a --chunks 20,1 --codec zstd:5 --shards all,all --memory 1k");
    assert_eq!((outcome.code, files(at)), (Some(5), before));
}

/// PUB-30: what is no part of the hierarchy is not deleted unasked.
#[test]
fn files_of_others_are_not_deleted_with_the_old_tree() {
    let root = directory();
    let at = root.path();
    group(at);
    let shown = at.canonicalize().unwrap().display().to_string();
    let strays = [
        ("g/README.md", "g"),
        ("g/more/notes", "g"),
        ("g/tas/mine.txt", "g/tas"),
        ("g/tas/2024-notes.txt", "g/tas"),
        ("g/tas/c.0.0", "g/tas"),
    ];
    for (stray, chunks) in strays {
        fs::write(at.join(stray), "precious").unwrap();
        let before = files(at);
        let message = format!(
            "{shown}/{stray}: is no part of the array or group, and goes with the old tree; move it away, or keep the old tree (--keep-backup)"
        );
        refuses(at, &format!("rechunk {chunks} --chunks 20,3"), 2, &message);
        assert_eq!(files(at), before);
        let outcome = rezarr(at, &format!("rechunk {chunks} --chunks 20,3 --keep-backup -q"));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert!(outcome.stderr.contains("they are in the backup"), "{outcome:?}");
        let (top, below) = stray.split_once('/').unwrap();
        let (backup, kept) = match chunks {
            "g" => ("g.backup".to_owned(), format!("{top}.backup/{below}")),
            _ => ("g/tas.backup".to_owned(), stray.replace("g/tas/", "g/tas.backup/")),
        };
        assert_eq!(fs::read_to_string(at.join(kept)).unwrap(), "precious");
        assert!(!at.join(stray).exists());
        fs::remove_dir_all(at.join(backup)).unwrap();
    }
}

/// PUB-3, PUB-30: whoever holds the array, or a member of the group, is not disturbed.
#[test]
fn what_is_in_use_is_busy() {
    let root = directory();
    let at = root.path();
    group(at);
    let store = FilesystemStore::open(at).unwrap();
    let shown = at.canonicalize().unwrap().display().to_string();
    for held in ["g", "g/more/u"] {
        let before = files(at);
        let lock = store.lock(&Key::new(held).unwrap()).unwrap();
        refuses(at, "rechunk g --chunks 20,3", 6, &format!("{shown}/{held}: in use by another process"));
        assert_eq!(files(at), before);
        drop(lock);
    }
    prints(at, "rechunk g --chunks 20,3 -q");
}

/// Zarr v2 becomes Zarr v3 when it is rechunked in place.
#[test]
fn an_array_of_zarr_v2_is_rechunked_in_place() {
    let root = directory();
    let at = root.path();
    fs::create_dir(at.join("a")).unwrap();
    let document = json!({"zarr_format": 2, "shape": [4, 2], "chunks": [2, 2], "dtype": "<i2", "compressor": null, "fill_value": 0,
                          "order": "C", "filters": null});
    fs::write(at.join("a/.zarray"), document.to_string()).unwrap();
    fs::write(at.join("a/.zattrs"), "{\"units\": \"K\"}").unwrap();
    fs::write(at.join("a/0.0"), [1, 0, 2, 0, 3, 0, 4, 0]).unwrap();
    prints(at, "rechunk a --chunks 4,1 -q");
    assert_eq!(names(at), ["a"]);
    assert!(!names(&at.join("a")).iter().any(|name| name.starts_with(".z")));
    assert_eq!(read(&at.join("a")), [1, 0, 2, 0, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(Array::open(at.join("a")).unwrap().metadata().zarr_format(), 3);
}

/// The marker of a rechunk that died, as rule PUB-2 says it.
fn mark(tree: &Path, target: &str, role: &str, replaces: Option<&str>) {
    let marker = json!({"format": "rezarr stage", "version": 2, "target": target, "role": role, "id": "0123456789abcdef0123456789abcdef",
                        "keep": false, "synced": true, "boot": "", "replaces": replaces, "pid": 1});
    fs::write(tree.join(".rechunk"), marker.to_string()).unwrap();
}

/// PUB-13, PUB-26: while the name is missing, the new tree is read; and after a recovery it has the name.
#[test]
fn between_two_renames_the_new_tree_is_read() {
    for member in [false, true] {
        let root = directory();
        let at = root.path();
        let data = group(at);
        let (name, path) = if member { ("tas", "g/tas") } else { ("g", "g") };
        prints(at, &format!("rechunk {path} made --chunks 20,3 -q"));
        fs::rename(at.join("made"), at.join(format!("{path}.rechunked"))).unwrap();
        fs::rename(at.join(path), at.join(format!("{path}.backup"))).unwrap();
        mark(&at.join(format!("{path}.backup")), name, "old", None);
        mark(&at.join(format!("{path}.rechunked")), name, "new", None);
        let before = files(at);
        assert_eq!((chunks(at.join("g/tas")), read(&at.join("g/tas"))), (vec![20, 3], data.clone()));
        assert_eq!(Group::open(at.join("g")).unwrap().child_names().unwrap(), ["more", "tas"]);
        assert_eq!(Group::open(at.join("g")).unwrap().array("tas").unwrap().read_bytes(&Region::whole(&SHAPE)).unwrap(), data);
        assert_eq!(chunks(at.join("g/more/u")), [2]);
        // Without the document of its root, the new tree is not sealed, and the old one counts.
        let (document, away) = (at.join(format!("{path}.rechunked/zarr.json")), at.join("away"));
        fs::rename(&document, &away).unwrap();
        assert_eq!((chunks(at.join("g/tas")), read(&at.join("g/tas"))), (vec![5, 30], data.clone()));
        fs::rename(&away, &document).unwrap();
        assert_eq!(files(at), before, "readers change nothing");
        let shown = at.canonicalize().unwrap().join(path).display().to_string();
        let said = format!("{shown}: the new tree was complete, and is in place now\n{shown}: the old tree was deleted\n");
        assert_eq!(prints(at, &format!("recover {path}")), said);
        assert_eq!(names(at), ["g"]);
        assert_eq!(names(&at.join("g")), ["more", "tas", "zarr.json"]);
        assert_eq!((chunks(at.join("g/tas")), read(&at.join("g/tas"))), (vec![20, 3], data));
        assert_eq!(rezarr(at, "check g").code, Some(0), "copies in groups above are up to date");
    }
}

/// PUB-24: everything below a directory is recovered, and everything that is not ours is left.
#[test]
fn a_directory_of_many_is_recovered() {
    let root = directory();
    let at = root.path();
    group(at);
    array(at);
    // Not complete; complete and new; died while cleaning; not ours.
    prints(at, "rechunk a g/more/new.rechunked --chunks 20,3 -q");
    mark(&at.join("g/more/new.rechunked"), "new", "new", None);
    prints(at, "rechunk a a.rechunked --chunks 20,3 -q");
    mark(&at.join("a.rechunked"), "a", "new", None);
    fs::remove_file(at.join("a.rechunked/zarr.json")).unwrap();
    mark(&at.join("g/tas"), "tas", "new", None);
    fs::create_dir(at.join("g/tas.backup")).unwrap();
    fs::write(at.join("g/tas.backup/chunk"), "old").unwrap();
    mark(&at.join("g/tas.backup"), "tas", "old", None);
    fs::create_dir_all(at.join("g/mine.rechunked/notes")).unwrap();
    fs::write(at.join("stray.backup"), "mine").unwrap();
    assert_eq!(Group::open(at.join("g/more")).unwrap().child_names().unwrap(), ["u"], "PUB-29");
    let recovered = prints_json(at, "recover . --json");
    assert_eq!(recovered["complete"], json!(true));
    let shown = at.canonicalize().unwrap().display().to_string();
    let nodes: Vec<_> =
        recovered["nodes"].as_array().unwrap().iter().map(|node| (node["path"].as_str().unwrap(), &node["steps"])).collect();
    let not_ours = json!([{"foreign": {"path": format!("{shown}/g/mine.rechunked"), "why": "it was not made by rezarr; move it away"}}]);
    let expected = [
        (format!("{shown}/a"), json!(["discarded"])),
        (format!("{shown}/g/more/new"), json!(["put_in_place"])),
        (format!("{shown}/g/tas"), json!(["old_deleted"])),
    ];
    for (path, steps) in &expected {
        assert!(nodes.contains(&(path.as_str(), steps)), "{nodes:?}");
    }
    assert!(nodes.iter().all(|(path, steps)| expected.iter().any(|(known, _)| known == path) || **steps == not_ours), "{nodes:?}");
    assert_eq!(names(at), ["a", "g", "stray.backup"]);
    assert_eq!(names(&at.join("g")), ["mine.rechunked", "more", "tas", "zarr.json"]);
    assert_eq!(names(&at.join("g/more")), ["new", "u", "zarr.json"]);
    assert_eq!(chunks(at.join("g/more/new")), [20, 3]);
    assert_eq!(prints(at, "recover g/more"), "nothing to recover\n");
    refuses(at, "recover nothing", 3, "nothing: not found: an array, a group, or what a rechunk of one has left");
}

/// PUB-22: a complete tree that may not be put in place is left, and the answer is no.
#[test]
fn what_cannot_be_recovered_is_said() {
    let root = directory();
    let at = root.path();
    let data = array(at);
    prints(at, "rechunk a a.rechunked --chunks 20,3 -q");
    mark(&at.join("a.rechunked"), "a", "new", Some("what it was before"));
    let before = files(at);
    let outcome = rezarr(at, "recover a");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.stdout.contains("a.rechunked: left as it is: it is complete, but what it was made to replace has changed"),
        "{outcome:?}"
    );
    assert_eq!(files(at), before);
    // A rechunk in place begins anew.
    prints(at, "rechunk a --chunks 10,3 -q");
    assert_eq!((names(at), chunks(at.join("a")), read(&at.join("a"))), (vec!["a".into()], vec![10, 3], data));
}

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

/// A rechunk of `name` that died between its two renames, and was to keep the old tree.
fn leave_in_window(at: &Path, name: &str) {
    let (staged, backup) = (at.join(format!("{name}.rechunked")), at.join(format!("{name}.backup")));
    prints(at, &format!("rechunk {name} made --chunks 20,3 -q"));
    fs::rename(at.join("made"), &staged).unwrap();
    fs::rename(at.join(name), &backup).unwrap();
    for (tree, role) in [(&staged, "new"), (&backup, "old")] {
        mark(tree, name, role, None);
        let marker = fs::read_to_string(tree.join(".rechunk")).unwrap().replace("\"keep\":false", "\"keep\":true");
        fs::write(tree.join(".rechunk"), marker).unwrap();
    }
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
    // A handle on what stands in for the target: by path it is the target in the end, and by key it is not.
    for by_key in [false, true] {
        let root = directory();
        let at = root.path();
        let data = array(at);
        leave_in_window(at, "a");
        let store = std::sync::Arc::new(FilesystemStore::open(at).unwrap());
        let handle = if by_key { Array::open_in(store, Key::new("a").unwrap()) } else { Array::open(at.join("a")) }.unwrap();
        let written = handle.write_bytes(&first, &[0; 4]);
        assert_eq!(names(at), ["a", "a.backup"]);
        assert_eq!(read(&at.join("a.backup")), data);
        assert_eq!(matches!(written, Err(Error::Stale { .. })), by_key, "{written:?}");
        assert_eq!(read(&at.join("a"))[..4] == [0; 4], !by_key);
    }
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
    let _locks = ["a", "a.rechunked"].map(|name| store.lock(&Key::new(name).unwrap()).unwrap());
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
