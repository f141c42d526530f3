//! Rechunking in place, and recovery, at the command line.
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
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cli::{prints, prints_json, refuses, rezarr};
use rezarr::{Array, FilesystemStore, Group, Key, Region, Store};
use serde_json::json;

use arrays::read;
use died::{SHAPE, array, group, mark};
use trees::{directory, files, names};

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

/// PUB-30: who could not look into the old tree cannot look into the new one.
#[test]
fn permissions_stay() {
    for flags in ["", "--no-exchange"] {
        let root = directory();
        let at = root.path();
        array(at);
        for mode in [0o700, 0o750] {
            fs::set_permissions(at.join("a"), fs::Permissions::from_mode(mode)).unwrap();
            prints(at, &format!("rechunk a --chunks 20,3 -q {flags}"));
            assert_eq!(fs::metadata(at.join("a")).unwrap().permissions().mode() & 0o7777, mode);
        }
    }
}
