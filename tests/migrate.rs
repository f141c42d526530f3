//! Zarr v2 at the command line: read, rechunked to Zarr v3, refused for writing, and migrated in place and back.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/trees.rs"]
mod trees;

use std::fs;
use std::path::Path;

use cli::{prints, prints_json, refuses, rezarr};
use rezarr::{Array, Attributes, Error, Group, Node, NodeMetadata, Region};
use serde_json::{Value, json};
use tempfile::TempDir;

use processes::{child, words};
use trees::{directory, files, names};

fn write(path: &Path, value: &Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, value.to_string()).unwrap();
}

fn zarray(shape: &[u64], chunks: &[u64], dtype: &Value) -> Value {
    json!({"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": dtype, "compressor": null, "fill_value": null, "order": "C",
           "filters": null})
}

/// The group `old` of Zarr v2: `tas` in big endian and reversed axes behind a filter, `g/b` with separator `/`, and consolidated metadata.
fn with_group() -> TempDir {
    let root = directory();
    let at = |path: &str| root.path().join("old").join(path);
    let group = json!({"zarr_format": 2});
    write(&at(".zgroup"), &group);
    fs::write(at(".zattrs"), "{\"title\": \"old\", \"missing_value\": NaN}").unwrap();
    write(&at("g/.zgroup"), &group);
    let mut tas = zarray(&[3, 2], &[2, 2], &json!(">i2"));
    (tas["order"], tas["fill_value"]) = (json!("F"), json!("9"));
    tas["compressor"] = json!({"id": "zlib", "level": 1});
    write(&at("tas/.zarray"), &tas);
    write(&at("tas/.zattrs"), &json!({"_ARRAY_DIMENSIONS": ["time", "place"], "units": "K"}));
    // Python: zlib.compress(np.array([[1, 2], [3, 4]], ">i2").tobytes("F"), 0)
    fs::write(at("tas/0.0"), [120, 1, 1, 8, 0, 247, 255, 0, 1, 0, 3, 0, 2, 0, 4, 0, 40, 0, 11]).unwrap();
    let mut b = zarray(&[3], &[2], &json!("|u1"));
    b["dimension_separator"] = json!("/");
    write(&at("g/b/.zarray"), &b);
    fs::write(at("g/b/0"), [7, 8]).unwrap();
    fs::write(at("g/b/1"), [9, 0]).unwrap();
    write(&at(".zmetadata"), &json!({"zarr_consolidated_format": 1, "metadata": {".zgroup": group}}));
    root
}

fn elements(root: &Path) -> (Vec<i16>, Vec<u8>) {
    let group = Group::open(root).unwrap();
    let (tas, b) = (group.array("tas").unwrap(), group.array("g/b").unwrap());
    (tas.read(&Region::whole(tas.shape())).unwrap(), b.read(&Region::whole(b.shape())).unwrap())
}

fn expected() -> (Vec<i16>, Vec<u8>) {
    (vec![1, 2, 3, 4, 9, 9], vec![7, 8, 9])
}

/// FMT-V2-1, FMT-V2-2.
#[test]
fn a_group_of_v2_is_shown_and_read() {
    let root = with_group();
    let root = root.path();
    assert_eq!(elements(&root.join("old")), expected());
    assert_eq!(prints(root, "tree old"), "/\n├── g\n│   └── b (3,) uint8\n└── tas (3, 2) int16\n");
    let info = prints(root, "info old");
    for row in ["Zarr format  : 2", "Consolidated : yes", "Groups       : g", "Arrays       : tas", "\"missing_value\": \"NaN\""] {
        assert!(info.contains(row), "{row} in {info}");
    }
    let info = prints_json(root, "info old/tas --json");
    assert_eq!((&info["zarr_format"], &info["fill_value"]), (&json!(2), &json!("9")));
    assert_eq!((&info["dimension_names"], &info["chunks_initialized"]), (&json!(["time", "place"]), &json!(1)));
    assert_eq!(prints(root, "get old/tas[1,:]").trim(), "3 4");
    assert!(prints(root, "verify old old").starts_with("equal: 2 arrays, 9 elements"));
    // Both documents: that of Zarr v3 counts.
    let document = json!({"zarr_format": 3, "node_type": "group", "attributes": {"v": 3}});
    write(&root.join("old/zarr.json"), &document);
    assert!(prints(root, "info old").contains("Zarr format  : 3"));
}

#[test]
fn rechunk_reads_v2_and_writes_v3() {
    let root = with_group();
    let root = root.path();
    prints(root, "rechunk old new --chunks time=3,place=1");
    assert_eq!(elements(&root.join("new")), expected());
    assert!(prints(root, "verify old new").starts_with("equal: 2 arrays"));
    assert!(files(&root.join("new")).keys().all(|name| !name.contains("/.z") && !name.starts_with(".z")), "{:?}", names(&root.join("new")));
    let Node::Group(group) = Node::open(root.join("new")).unwrap() else { panic!("a group") };
    assert_eq!(group.metadata().zarr_format(), 3);
    assert_eq!(group.metadata().consolidated().unwrap().unwrap().paths().collect::<Vec<_>>(), ["g", "g/b", "tas"]);
    let tas = group.array("tas").unwrap();
    assert_eq!(tas.metadata().attributes().to_map().unwrap(), *json!({"units": "K", "_FillValue": 9}).as_object().unwrap());
    assert_eq!(tas.metadata().dimension_names().unwrap().len(), 2);
    // A tree of Zarr v2 is one that may be overwritten.
    prints(root, "rechunk new old --chunks time=1,place=2 --overwrite");
    assert_eq!(elements(&root.join("old")), expected());
    assert!(!root.join("old/.zgroup").exists());
}

/// FMT-V2-13.
#[test]
fn members_that_cannot_be_decoded_travel_along() {
    let root = with_group();
    let root = root.path();
    let mut object = zarray(&[2], &[2], &json!("|O"));
    object["filters"] = json!([{"id": "pickle", "protocol": 5}]);
    write(&root.join("old/objects/.zarray"), &object);
    fs::write(root.join("old/objects/0"), b"cos\nsystem\n").unwrap();
    assert!(prints(root, "tree old").contains("objects (unsupported: codec \"pickle\""));
    let outcome = rezarr(root, "rechunk old new --chunks time=3,place=1");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("objects is not rechunked, and travels along as it is"), "{outcome:?}");
    assert_eq!(fs::read(root.join("new/objects/0")).unwrap(), b"cos\nsystem\n");
    assert!(root.join("new/objects/.zarray").exists());
    let verdict = prints(root, "verify old new");
    assert!(verdict.contains("1 nodes that cannot be decoded"), "{verdict}");
    let outcome = rezarr(root, "migrate old");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stdout.contains("objects (array) cannot be Zarr v3: codec \"pickle\" of Zarr v2"), "{outcome:?}");
    assert!(
        outcome
            .stdout
            .ends_with("nothing was changed: 1 of 5 nodes cannot be Zarr v3 as they are stored; `rezarr rechunk` writes a copy\n")
    );
}

/// FMT-V2-14.
#[test]
fn v2_is_not_written() {
    let root = with_group();
    let root = root.path();
    let told = |error: Error| {
        let text = error.to_string();
        assert!(matches!(error, Error::Unsupported { .. }) && text.contains("rezarr migrate") && text.contains("rezarr rechunk"), "{text}");
    };
    let before = files(root);
    let tas = Array::open(root.join("old/tas")).unwrap();
    told(tas.write(&Region::whole(tas.shape()), &[0_i16; 6]).unwrap_err());
    told(tas.write_chunk(&[0, 0], &[0; 8]).unwrap_err());
    let mut group = Group::open(root.join("old")).unwrap();
    told(group.consolidate().unwrap_err());
    told(group.create_group("new", Attributes::default()).unwrap_err());
    told(group.create_array("new", tas.metadata().clone()).unwrap_err());
    told(Group::create(root.join("old/g/new"), Attributes::default()).unwrap_err());
    told(Group::create(root.join("old/g/new/below"), Attributes::default()).unwrap_err());
    let outcome = rezarr(root, "create old/new --shape 3 --dtype u1");
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let outcome = rezarr(root, "rechunk old/tas old/new --chunks 1,1");
    assert!(outcome.code == Some(4) && outcome.stderr.contains("rezarr migrate"), "{outcome:?}");
    assert_eq!(files(root), before);
    // What describes an array of Zarr v2 makes one of Zarr v3 elsewhere.
    let made = Array::create(root.join("made"), tas.metadata().clone()).unwrap();
    assert_eq!((made.metadata().zarr_format(), made.metadata().attributes().to_map().unwrap().len()), (3, 2));
    made.write(&Region::whole(&[3, 2]), &[1_i16, 2, 3, 4, 5, 6]).unwrap();
}

/// FMT-V2-20.
#[test]
fn migrated_and_back() {
    let root = with_group();
    let root = root.path();
    let before = files(root);
    let nodes = |told: &str| format!("/ (group) {told}\ng (group) {told}\ng/b (array) {told}\ntas (array) {told}\n");
    assert_eq!(prints(root, "migrate old --dry-run"), nodes("can be Zarr v3") + "4 nodes can be Zarr v3; nothing was changed\n");
    assert_eq!(files(root), before);
    let kept = "4 nodes are Zarr v3; their documents of Zarr v2 are there still (--undo goes back, --remove-v2 removes them)\n";
    assert_eq!(prints(root, "migrate old"), nodes("is Zarr v3 now") + kept);
    assert_eq!(elements(&root.join("old")), expected());
    let NodeMetadata::Group(group) = NodeMetadata::from_bytes(&fs::read(root.join("old/zarr.json")).unwrap()).unwrap() else { panic!() };
    assert_eq!(group.consolidated().unwrap().unwrap().paths().count(), 3);
    assert_eq!(prints(root, "migrate old"), nodes("is Zarr v3 already") + kept);
    assert_eq!(
        prints(root, "migrate old --undo --dry-run"),
        nodes("can be Zarr v2 again") + "4 nodes can be Zarr v2 again; nothing was changed\n"
    );
    assert_eq!(prints(root, "migrate old --undo"), nodes("is Zarr v2 again") + "4 nodes are Zarr v2 again\n");
    assert_eq!(files(root), before);
    assert_eq!(prints(root, "migrate old --undo"), "nothing to undo: there is no zarr.json\n");
    let told = "4 nodes can be Zarr v3, and 7 documents of Zarr v2 go then; nothing was changed\n";
    assert!(prints(root, "migrate old --remove-v2 --dry-run").ends_with(told));
    let told = "4 nodes are Zarr v3, and 7 documents of Zarr v2 are removed\n";
    assert_eq!(prints(root, "migrate old --remove-v2"), nodes("is Zarr v3 now") + told);
    assert_eq!(elements(&root.join("old")), expected());
    assert_eq!(names(&root.join("old")), ["g", "tas", "zarr.json"]);
    assert_eq!(prints(root, "migrate old"), "nothing to migrate: there is no Zarr v2\n");
    let outcome = rezarr(root, "migrate old --undo");
    assert_eq!((outcome.code, outcome.stdout.lines().last()), (Some(1), Some("4 of 4 nodes stay Zarr v3")));
}

#[test]
fn what_a_migration_says_to_programs() {
    let root = with_group();
    let root = root.path();
    let report = prints_json(root, "migrate old/tas --json");
    let node = json!({"path": "", "node_type": "array", "outcome": "migrated", "reason": null});
    assert_eq!(report, json!({"complete": true, "nodes": [node], "removed_documents": 0, "warnings": []}));
    assert_eq!(elements(&root.join("old")), expected());
    // A member of a group of Zarr v2 stays one for its readers.
    let outcome = rezarr(root, "migrate old/tas --remove-v2");
    assert!(outcome.code == Some(2) && outcome.stderr.contains("lies in a group of Zarr v2"), "{outcome:?}");
    assert!(root.join("old/tas/.zarray").exists());
    let mut changed: Value = serde_json::from_slice(&fs::read(root.join("old/tas/zarr.json")).unwrap()).unwrap();
    changed["attributes"]["units"] = json!("C");
    write(&root.join("old/tas/zarr.json"), &changed);
    let outcome = rezarr(root, "migrate old/tas --undo");
    let told = "/ (array) stays Zarr v3: its zarr.json is not what a migration would write now\n1 of 1 nodes stay Zarr v3\n";
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), told));
}

#[test]
fn paths_and_words_that_are_wrong() {
    let root = with_group();
    let root = root.path();
    refuses(root, "migrate nowhere", 3, "nowhere: not found: a directory");
    fs::create_dir(root.join("empty")).unwrap();
    refuses(root, "migrate empty", 3, "empty: not found: an array or group (no zarr.json)");
    let outcome = rezarr(root, "migrate old --undo --remove-v2");
    assert!(outcome.code == Some(2) && outcome.stderr.contains("cannot be used with"), "{outcome:?}");
    let broken = json!({"zarr_format": 2, "shape": [2], "chunks": [0], "dtype": "|u1"});
    write(&root.join("broken/.zarray"), &broken);
    let message = "broken/.zarray: invalid metadata at /chunks/0: 0; a chunk has at least one element along an axis that has any";
    for command in ["info", "get", "tree"] {
        refuses(root, &format!("{command} broken"), 4, message);
    }
}

/// The process of the test below.
#[test]
fn a_migrating_process() {
    let Some(told) = words("a_migrating_process") else { return };
    let _ = rezarr::migrate(&told[0], &rezarr::MigrateOptions::new());
}

/// FMT-V2-25: killed while it writes, it leaves nothing that undoing does not find.
#[test]
fn killed_while_writing_and_undone() {
    let root = with_group();
    let root = root.path();
    let before = files(root);
    // The program survives a limit of the file size; this process, as any that knows nothing of it, does not.
    let child = child("a_migrating_process", &[root.join("old").to_str().unwrap()]);
    let killed = "ulimit -c 0; ulimit -f 0; exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", killed]).arg(child.get_program()).args(child.get_args()).stdout(std::process::Stdio::null());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = command.status().unwrap();
    assert_eq!(status.code(), None, "{status}");
    assert_ne!(files(root), before);
    prints(root, "migrate old --undo");
    assert_eq!(files(root), before);
    // What another one left may be longer than what is written now.
    fs::write(root.join("old/g/zarr.json.migrating"), "x".repeat(10_000)).unwrap();
    prints(root, "migrate old");
    assert_eq!(elements(&root.join("old")), expected());
    prints(root, "migrate old --undo");
    assert_eq!(files(root), before);
}

/// FMT-19, FMT-V2-22: a `zarr.json` that could not be read would hide the array.
#[test]
fn a_type_that_is_too_large_for_v3_stays() {
    let root = directory();
    let fields: Vec<Value> = (0..4000).map(|position| json!([format!("f{position}"), "|i1"])).collect();
    let nested = (0..14).fold(json!(fields), |inner, _| json!([["a", inner]]));
    write(&root.path().join("a/.zarray"), &zarray(&[2], &[2], &nested));
    let outcome = rezarr(root.path(), "migrate a");
    assert!(outcome.code == Some(1) && outcome.stdout.contains("at /data_type: a value of 2028"), "{outcome:?}");
    assert!(prints(root.path(), "info a").contains("Zarr format        : 2"));
}

/// FMT-V2-11: names come from files, and terminals obey what is in them.
#[test]
fn descriptions_stay_on_their_lines() {
    let root = directory();
    let at = |path: &str| root.path().join(path);
    write(&at("g/.zgroup"), &json!({"zarr_format": 2}));
    write(&at("g/a\u{1b}[31m\nb/.zarray"), &zarray(&[2], &[2], &json!("|u1")));
    write(&at("g/a\u{1b}[31m\nb/.zattrs"), &json!({"_ARRAY_DIMENSIONS": ["x\u{1b}[31m\ny"]}));
    assert!(prints(root.path(), "tree g").ends_with("\n└── a\\u{1b}[31m\\nb (2,) uint8\n"));
    assert!(prints(root.path(), "info g").contains("Arrays       : a\\u{1b}[31m\\nb\n"));
    fs::rename(at("g/a\u{1b}[31m\nb"), at("g/a")).unwrap();
    assert!(prints(root.path(), "info g/a").contains("Dimensions         : x\\u{1b}[31m\\ny\n"));
}

/// A link is nothing that a migration can follow, and it keeps its group from being migrated.
#[test]
fn links_are_not_followed() {
    let root = with_group();
    let root = root.path();
    std::os::unix::fs::symlink(root.join("old/tas"), root.join("old/link")).unwrap();
    let before = files(root);
    let outcome = rezarr(root, "migrate old");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stdout.contains("link cannot be Zarr v3: a link or special file"), "{outcome:?}");
    assert_eq!(files(root), before);
}
