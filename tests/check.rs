//! `rezarr check`: what it finds, where it says it is, and how it ends.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/trees.rs"]
mod trees;
#[path = "support/zips.rs"]
mod zips;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rezarr::{Attributes, Group, Region};
use tempfile::TempDir;

use arrays::{create, elements, layout, metadata};
use cli::{prints_json, refuses, rezarr};
use trees::{directory, tree};
use zips::{ZipEntry, zip};

/// A group `g` with the arrays `plain` and `packed` (chunks) and `sharded` (20 x 30, inner chunks of 5 x 30 in shards of 10 x 30).
fn hierarchy() -> TempDir {
    let root = directory();
    let mut group = Group::create(root.path().join("g"), Attributes::default()).unwrap();
    for (name, shard, codecs) in [("plain", None, "none"), ("packed", None, "zstd:1,crc32c"), ("sharded", Some(&[10, 30][..]), "crc32c")] {
        let metadata = metadata(&[20, 30], "float32", "nan", &layout(&[5, 30], shard, codecs));
        let data = elements(&metadata, 1);
        create(&root.path().join("g").join(name), metadata, &data);
    }
    group.consolidate().unwrap();
    root
}

/// Checks `path`; returns the exit code and what is printed, which must not change the store.
fn check(at: &Path, path: &str) -> (i32, Vec<String>) {
    let before = tree(at);
    let outcome = rezarr(at, &format!("check {path}"));
    assert_eq!(outcome.stderr, "", "check {path}");
    assert!(tree(at) == before, "a check changes nothing");
    (outcome.code.unwrap(), outcome.stdout.lines().map(str::to_owned).collect())
}

/// The one finding of a check of `g` after `change`, and that it decides the exit code.
fn finds(change: impl FnOnce(&Path), expected: &str) {
    let root = hierarchy();
    change(&root.path().join("g"));
    let (code, mut lines) = check(root.path(), "g");
    let summary = lines.pop().unwrap();
    assert_eq!(lines, [expected]);
    let is_error = expected.contains(": error ");
    assert_eq!(
        (code, summary.starts_with(if is_error { "1 error, 0 warnings: " } else { "0 errors, 1 warning: " })),
        (is_error.into(), true)
    );
    // The codes and places are in JSON, too.
    let outcome = rezarr(root.path(), "check g --json --threads 3");
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let finding = &report["findings"][0];
    let (path, code) = (finding["path"].as_str().unwrap(), finding["code"].as_str().unwrap());
    assert!(expected.starts_with(&format!("{path}: ")) && expected.contains(&format!(" {code}: ")), "{finding}");
    assert_eq!((report["clean"] == true, path), (!is_error, format!("g/{}", finding["key"].as_str().unwrap()).trim_end_matches('/')));
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_hierarchy_without_faults_is_clean() {
    let root = hierarchy();
    let (code, lines) = check(root.path(), "g");
    let stored: u64 =
        tree(&root.path().join("g")).iter().filter(|(name, _)| name.contains("/c/")).map(|(_, bytes)| bytes.len() as u64).sum();
    assert_eq!(code, 0);
    let summary = &lines[0];
    assert!(lines.len() == 1 && summary.starts_with("0 errors, 0 warnings: 1 group, 3 arrays, 10 chunks with 12 decoded, "), "{lines:?}");
    let report = prints_json(root.path(), "check g --json --memory 1MiB --threads 2 --reads positioned");
    assert_eq!((report["clean"] == true, report["stored_bytes"].as_u64()), (true, Some(stored)));
    cli::prints(root.path(), "pack g g.zip -q");
    assert_eq!(check(root.path(), "g.zip").1[0], *summary);
    assert!(check(root.path(), "g.zip/sharded").1[0].starts_with("0 errors, 0 warnings: 0 groups, 1 array, 2 chunks with 4 decoded"));
    assert_eq!(rezarr(root.path(), "check g -q").stdout, "");
    refuses(root.path(), "check nowhere", 3, "nowhere: not found: a directory");
    refuses(root.path(), "check .", 3, ".: not found: an array or group (no zarr.json)");
}

/// FMT-CHK-3: chunks.
#[test]
fn damaged_chunks_are_found_where_they_are() {
    finds(
        |g| edit(&g.join("plain/c/1/0"), |bytes| bytes.truncate(599)),
        "g/plain/c/1/0: error chunk-size: 599 bytes are stored for a chunk of shape [5, 30], which takes exactly 600",
    );
    finds(
        |g| edit(&g.join("plain/c/1/0"), Vec::clear),
        "g/plain/c/1/0: error chunk-size: 0 bytes are stored for a chunk of shape [5, 30], which takes exactly 600",
    );
    finds(
        |g| edit(&g.join("packed/c/3/0"), |b| b.truncate(2)),
        "g/packed/c/3/0: error undecodable: 2 bytes where a crc32c checksum alone takes 4",
    );
    finds(
        |g| {
            edit(&g.join("packed/c/3/0"), |bytes| {
                bytes.truncate(20);
                let sum = crc32c::crc32c(bytes).to_le_bytes();
                bytes.extend(sum);
            });
        },
        "g/packed/c/3/0: error undecodable: zstd: a frame is cut off, or some bytes are no frame",
    );
    let root = hierarchy();
    edit(&root.path().join("g/packed/c/2/0"), |bytes| bytes[30] ^= 4);
    let (code, lines) = check(root.path(), "g");
    assert!(code == 1 && lines[0].starts_with("g/packed/c/2/0: error chunk-checksum: checksum mismatch: stored 0x"), "{lines:?}");
}

/// FMT-CHK-4: shards.
#[test]
fn damaged_shards_are_found_where_they_are() {
    let shard = |g: &Path| g.join("sharded/c/1/0");
    finds(
        |g| edit(&shard(g), |b| b.truncate(35)),
        "g/sharded/c/1/0: error torn-shard: a shard of 35 bytes is shorter than its index of 36 bytes",
    );
    let root = hierarchy();
    let at = root.path();
    edit(&at.join("g/sharded/c/1/0"), |bytes| bytes[604 + 77] ^= 1);
    edit(&at.join("g/sharded/c/0/0"), |bytes| *bytes.last_mut().unwrap() ^= 1);
    let (code, lines) = check(at, "g");
    assert_eq!(code, 1);
    assert!(
        lines[0].starts_with("g/sharded/c/0/0: error index-checksum: checksum mismatch") && lines[0].ends_with(" (at byte 1208)"),
        "{lines:?}"
    );
    assert!(
        lines[1].starts_with("g/sharded/c/1/0: error chunk-checksum: ") && lines[1].ends_with(" (inner chunk [3, 0], at byte 604)"),
        "{lines:?}"
    );
    let index = |entries: [u64; 4]| {
        let entries = entries.map(u64::to_le_bytes).concat();
        [&entries[..], &crc32c::crc32c(&entries).to_le_bytes()].concat()
    };
    let with_index = move |entries: [u64; 4]| move |g: &Path| edit(&shard(g), |bytes| drop(bytes.splice(1208.., index(entries))));
    finds(
        with_index([0, 604, 604, 605]),
        "g/sharded/c/1/0: error shard-index: shard index entry 1: offset 604, length 605: it is not within the part of the shard that holds inner chunks \
         (bytes 0 to 1208) (at byte 1208)",
    );
    finds(
        with_index([0, 604, 0, 604]),
        "g/sharded/c/1/0: warning overlap: 1 inner chunks share bytes with others and were not decoded for themselves; this is the first \
         (inner chunk [3, 0], at byte 0)",
    );
    finds(
        with_index([0, 604, 604, 0]),
        "g/sharded/c/1/0: error undecodable: 0 bytes where a crc32c checksum alone takes 4 (inner chunk [3, 0], at byte 604)",
    );
}

/// FMT-CHK-5: names.
#[test]
fn names_that_are_no_part_of_it_are_found() {
    let write = |name: &'static str| {
        move |g: &Path| {
            fs::create_dir_all(g.join(name).parent().unwrap()).unwrap();
            fs::write(g.join(name), "x").unwrap();
        }
    };
    let orphan = "warning orphan: a file in an array, which is no chunk of it";
    finds(write("plain/notes.txt"), &format!("g/plain/notes.txt: {orphan}"));
    finds(write("plain/c/0/00"), &format!("g/plain/c/0/00: {orphan}"));
    finds(write("notes.txt"), "g/notes.txt: warning orphan: a file in a group, which is no part of it");
    let in_the_way = |g: &Path| {
        fs::remove_file(g.join("plain/c/0/0")).unwrap();
        fs::create_dir(g.join("plain/c/0/0")).unwrap();
    };
    finds(in_the_way, "g/plain/c/0/0: error obstructed: a directory stands where a chunk is expected");
    finds(write("plain/d/0/0"), "g/plain/d: warning orphan: a directory in an array, which holds no chunks of it");
    finds(write("plain/c/4/0"), "g/plain/c/4/0: error outside-grid: chunk [4, 0] is outside the grid of [4, 1] chunks");
    finds(
        write("plain/c/18446744073709551615/0"),
        "g/plain/c/18446744073709551615/0: error outside-grid: chunk [18446744073709551615, 0] is outside the grid of [4, 1] chunks",
    );
    finds(write("plain/c/18446744073709551616"), &format!("g/plain/c/18446744073709551616: {orphan}"));
    finds(write("plain/c/7"), "g/plain/c/7: error obstructed: a file stands where chunks lie below a directory");
    let left = "warning leftover: left by a program that is at work here, or was interrupted";
    for name in ["plain/c/0/.0.12.3.tmp", "plain/.rechunk", "sharded/c/0/0.abc.partial", "plain/c/0/0.__lock"] {
        finds(write(name), &format!("g/{name}: {left}"));
    }
    finds(write("plain.rechunked/.rechunk"), &format!("g/plain.rechunked: {left}"));
    finds(write("__secret/x"), "g/__secret: warning reserved-name: \"__secret\" cannot name a node: names that begin with __ are reserved");
    finds(write("stray/x/y"), "g/stray: warning orphan: a directory without zarr.json in a group, which is no part of it");
    finds(
        write("plain/c/0/zarr.json"),
        "g/plain/c/0/zarr.json: error misplaced-node: a node inside an array, which holds chunks alone: no walk comes to it",
    );
    let special = "error special-file: a link, a special file, or a name that is not UTF-8: it is never followed or opened, and other readers may see something else";
    finds(|g| symlink("c", g.join("plain/d")).unwrap(), &format!("g/plain/d: {special}"));
    finds(|g| symlink("/etc", g.join("etc")).unwrap(), &format!("g/etc: {special}"));
}

#[test]
fn nodes_in_the_wrong_place_are_found_and_checked() {
    let root = hierarchy();
    let g = root.path().join("g");
    fs::create_dir_all(g.join("stray/deep")).unwrap();
    fs::rename(g.join("plain"), g.join("stray/deep/plain")).unwrap();
    edit(&g.join("stray/deep/plain/c/0/0"), |bytes| bytes.truncate(599));
    fs::create_dir(g.join("sharded/inside")).unwrap();
    fs::copy(g.join("packed/zarr.json"), g.join("sharded/inside/zarr.json")).unwrap();
    let (code, lines) = check(root.path(), "g");
    assert_eq!(code, 1);
    let starts = [
        "g/sharded/inside: error misplaced-node: ",
        "g/stray: warning orphan: ",
        "g/stray/deep/plain: error misplaced-node: ",
        "g/stray/deep/plain/c/0/0: error chunk-size: ",
        "g/zarr.json: error stale-consolidated: ",
        "4 errors, 1 warning: 1 group, 3 arrays, ",
    ];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{lines:?}");
}

/// FMT-CHK-2: documents.
#[test]
fn documents_that_are_wrong_are_findings() {
    let lines_of = |change: &dyn Fn(&Path)| {
        let root = hierarchy();
        change(&root.path().join("g"));
        check(root.path(), "g")
    };
    let (code, lines) = lines_of(&|g| edit(&g.join("plain/zarr.json"), |bytes| bytes.push(b'x')));
    assert!(
        code == 1 && lines[0].starts_with("g/plain/zarr.json: error metadata: invalid metadata at /: trailing characters"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("g/zarr.json: error stale-consolidated: the copy of \"plain\""), "{lines:?}");
    let (code, lines) = lines_of(&|g| fs::write(g.join("zarr.json"), "{").unwrap());
    assert!(code == 1 && lines[0].starts_with("g/zarr.json: error metadata: invalid metadata at /: "), "{lines:?}");
    let (code, lines) = lines_of(&|g| {
        fs::remove_file(g.join("plain/zarr.json")).unwrap();
        symlink("../packed/zarr.json", g.join("plain/zarr.json")).unwrap();
    });
    assert!(
        code == 1 && lines.iter().any(|line| line.starts_with("g/plain/zarr.json: error special-file: a symbolic link stands")),
        "{lines:?}"
    );
    let (code, lines) = lines_of(&|g| {
        let text = fs::read_to_string(g.join("plain/zarr.json")).unwrap();
        fs::write(g.join("plain/zarr.json"), text.replace("\"bytes\"", "\"zfp\"")).unwrap();
        let mut group = Group::open(g).unwrap();
        group.consolidate().unwrap();
    });
    assert!(code == 0 && lines[0].starts_with("g/plain/zarr.json: warning unsupported: codec \"zfp\""), "{lines:?}");
    assert_eq!(lines.len(), 2, "{lines:?}");
}

/// FMT-CHK-6: copies of documents.
#[test]
fn stale_consolidated_metadata_are_found() {
    let stale = "g/zarr.json: error stale-consolidated:";
    finds(
        |g| fs::remove_dir_all(g.join("plain")).unwrap(),
        &format!("{stale} the copy of \"plain\" in the consolidated metadata is of a node that is not there"),
    );
    finds(
        |g| {
            drop(
                fs::create_dir(g.join("new"))
                    .map(|()| fs::write(g.join("new/zarr.json"), "{\"zarr_format\": 3, \"node_type\": \"group\"}")),
            )
        },
        &format!("{stale} the consolidated metadata lack \"new\""),
    );
    finds(
        |g| edit(&g.join("plain/zarr.json"), |bytes| *bytes = String::from_utf8(bytes.clone()).unwrap().replace("NaN", "Infinity").into()),
        &format!("{stale} the copy of \"plain\" in the consolidated metadata differs from its document"),
    );
}

/// FMT-CHK-7: what does not fit is said, and nothing of it is in memory.
#[test]
fn chunks_that_do_not_fit_the_budget_are_not_decoded() {
    let root = directory();
    let metadata = metadata(&[1 << 40], "float32", "nan", &layout(&[1 << 30], None, "zstd:1"));
    let array = rezarr::Array::create(root.path().join("a"), metadata).unwrap();
    fs::create_dir(root.path().join("a/c")).unwrap();
    fs::write(root.path().join("a/c/7"), "no zstd").unwrap();
    let (code, lines) = check(root.path(), "a --memory 64MiB");
    assert!(
        code == 0
            && lines[0].starts_with("a: warning not-checked: stored chunks that were not decoded: 1; a chunk with its codecs takes up to "),
        "{lines:?}"
    );
    assert!(array.read::<f32>(&Region::new([7 << 30], [1]).unwrap()).is_err());
}

/// FMT-CHK-8: a zip file keeps a checksum of each value.
#[test]
fn stored_values_of_a_zip_file_are_checked_whole() {
    let root = hierarchy();
    let at = root.path();
    let entries = |crc: u32| {
        let files = trees::files(&at.join("g/sharded"));
        files
            .iter()
            .map(|(name, bytes)| {
                let entry = ZipEntry::stored(name, bytes);
                if name == "c/0/0" { ZipEntry { crc: entry.crc ^ crc, ..entry } } else { entry }
            })
            .collect::<Vec<_>>()
    };
    fs::write(at.join("good.zip"), zip(&entries(0))).unwrap();
    fs::write(at.join("bad.zip"), zip(&entries(1))).unwrap();
    assert_eq!(check(at, "good.zip").0, 0);
    let (code, lines) = check(at, "bad.zip");
    assert!(code == 1 && lines[0].starts_with("bad.zip/c/0/0: error chunk-checksum: checksum mismatch: stored 0x"), "{lines:?}");
}

#[test]
fn names_cannot_write_to_the_terminal() {
    let root = hierarchy();
    fs::write(root.path().join("g/plain/\u{1b}[31m\nevil"), "").unwrap();
    let (_, lines) = check(root.path(), "g");
    assert!(lines[0].starts_with("g/plain/\\u{1b}[31m\\nevil: warning orphan: "), "{lines:?}");
}

/// FMT-CHK-1: of very many findings, the first are listed, and all are counted.
#[test]
fn many_findings_are_counted() {
    let root = hierarchy();
    for number in 0..1500 {
        fs::write(root.path().join(format!("g/plain/x{number:04}")), "").unwrap();
    }
    let (code, lines) = check(root.path(), "g --threads 4");
    assert_eq!((code, lines.len()), (0, 1001));
    assert!(lines[999].contains("g/plain/x0999: "), "{}", lines[999]);
    assert!(lines[1000].starts_with("0 errors, 1500 warnings (500 of them not listed): "), "{}", lines[1000]);
}
