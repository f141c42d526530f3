//! `rezarr pack`, and zip files in the place of directories in every command that reads.
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

use rezarr::{Attributes, Group};
use tempfile::TempDir;

use arrays::{create, elements, layout, metadata};
use cli::{prints, prints_json, refuses, rezarr};
use trees::{directory, names};
use zips::{ZipEntry, zip};

/// A group `g` with a plain and a sharded array of 20 times and 30 places, and `g.zip`, packed.
fn packed() -> TempDir {
    let root = directory();
    Group::create(root.path().join("g"), Attributes::default()).unwrap();
    for (name, shard, codecs) in [("plain", None, "none"), ("sharded", Some(&[10, 30][..]), "zstd:1,crc32c")] {
        let names = ["time", "place"].map(|name| Some(name.to_owned())).to_vec();
        let metadata = metadata(&[20, 30], "float32", "nan", &layout(&[5, 30], shard, codecs)).with_dimension_names(Some(names)).unwrap();
        let data = elements(&metadata, 1);
        create(&root.path().join("g").join(name), metadata, &data);
    }
    let said = prints(root.path(), "pack g g.zip");
    assert!(said.starts_with("9 entries, ") && said.contains(" KiB in a zip file of "), "{said}");
    root
}

#[test]
fn packing_says_what_it_did() {
    let root = packed();
    let at = root.path();
    let report = prints_json(at, "pack g h.zip --json --no-sync");
    assert_eq!(report["entries"], 9);
    assert_eq!(report["zip_bytes"], fs::metadata(at.join("h.zip")).unwrap().len());
    assert!(fs::read(at.join("h.zip")).unwrap() == fs::read(at.join("g.zip")).unwrap());
    assert_eq!(prints(at, "pack g/plain h.zip --overwrite -q"), "");
    assert_eq!(prints_json(at, "info h.zip --json")["shape"], serde_json::json!([20, 30]));
    refuses(at, "pack g g.zip", 2, "g.zip: already exists; choose another name, or have it replaced (--overwrite)");
    fs::write(at.join("file"), "precious").unwrap();
    refuses(at, "pack g file --overwrite", 2, "file: already exists; it is no zip file, and only zip files are overwritten");
    refuses(at, "pack g g/x.zip", 2, "g/x.zip: the zip file is, or lies inside, the source g");
    refuses(at, "pack nowhere x.zip", 3, "nowhere: not found: a directory");
    refuses(at, "pack . x.zip", 3, ".: not found: an array or group (no zarr.json)");
    assert_eq!(names(at), ["file", "g", "g.zip", "h.zip"]);
}

#[test]
fn every_command_reads_zip_files_like_directories() {
    let root = packed();
    let at = root.path();
    for path in ["", "/plain", "/sharded"] {
        for command in ["tree", "info"] {
            let of = |store: &str| prints(at, &format!("{command} {store}{path}")).replace("g.zip", "g");
            assert_eq!(of("g.zip"), of("g"));
        }
        assert!(prints(at, &format!("verify g{path} g.zip{path}")).starts_with("equal"), "{path}");
        if !path.is_empty() {
            let of = |store: &str| prints(at, &format!("get {store}{path}[3:17,-2:]"));
            assert_eq!(of("g.zip"), of("g"));
        }
    }
    let plan = |store: &str| prints(at, &format!("plan {store} --chunks time=all --shards none --memory 8MiB"));
    assert_eq!(plan("g.zip"), plan("g"));
    for (arguments, target) in [("g.zip --chunks time=all,place=7 --shards none", "h"), ("g.zip/sharded --chunks 1,all --shards none", "a")]
    {
        let (source, options) = arguments.split_once(' ').unwrap();
        prints(at, &format!("rechunk {source} {target} {options} --memory 8MiB --no-sync -q"));
        assert!(prints(at, &format!("verify {source} {target}")).starts_with("equal"));
    }
    // What is moved as it is passes from zip file to directory.
    prints(at, "rechunk g.zip/plain p --chunks 5,30 --shards 10,30 --no-sync -q");
    assert!(prints(at, "verify g/plain p").starts_with("equal"));
}

#[test]
fn zip_files_are_refused_where_something_is_written() {
    let root = packed();
    let at = root.path();
    let inside = "the target lies inside or around the source g.zip/plain; choose a place beside it";
    refuses(at, "rechunk g.zip/plain g.zip --chunks 1,1 --overwrite", 2, &format!("g.zip: {inside}"));
    let shown = at.canonicalize().unwrap().display().to_string();
    let message = "g.zip: unsupported: a zip file is not changed in place; work in a directory, and pack it last (rezarr pack)";
    for arguments in
        ["create g.zip/x --shape 3 --dtype int8", "create g.zip/x/y --shape 3 --dtype int8", "rechunk g/plain g.zip/x --chunks 1,1"]
    {
        refuses(at, arguments, 4, &format!("{shown}/{message}"));
    }
}

#[test]
fn what_is_wrong_with_a_zip_file_names_the_entry() {
    let root = packed();
    let at = root.path();
    refuses(at, "info g.zip/none", 3, "g.zip/none: not found: a directory in the zip file");
    refuses(
        at,
        "get g.zip/plain/zarr.json",
        4,
        "g.zip/plain/zarr.json: unsupported: a file of the zip file stands here; a Zarr array or group is a directory",
    );
    refuses(at, "get g.zip", 2, "g.zip: is a group, not an array; it holds plain, sharded");
    refuses(at, "get g.zip/../g/plain", 2, "g.zip/../g/plain: leads out of the zip file; accepted are names below it");
    let document = fs::read(at.join("g/plain/zarr.json")).unwrap();
    let array = ZipEntry::stored("zarr.json", &document);
    let chunk = ZipEntry::deflated("c/0/0", &[1; 600]);
    fs::write(at.join("bad.zip"), zip(&[array.clone(), ZipEntry { crc: 7, ..chunk.clone() }])).unwrap();
    refuses(at, "get bad.zip[0]", 4, "bad.zip/c/0/0: checksum mismatch: stored 0x00000007, computed 0xabd2fd93");
    fs::write(at.join("bad.zip"), zip(&[array.clone(), ZipEntry { method: 93, ..chunk.clone() }])).unwrap();
    let message = "bad.zip/c/0/0: unsupported: a zip entry of compression method 93; accepted are 0 (stored) and 8 (deflated)";
    refuses(at, "get bad.zip[0]", 4, message);
    // One folder around the store, as file managers pack it.
    fs::write(at.join("folder.zip"), zip(&[ZipEntry::stored("store.zarr/zarr.json", &document)])).unwrap();
    refuses(at, "info folder.zip", 3, "folder.zip: not found: an array or group (no zarr.json; the zip file holds folder.zip/store.zarr)");
    assert_eq!(prints_json(at, "info folder.zip/store.zarr --json")["chunks_initialized"], 0);
}

/// RCK-3: the directory of a zip file is held for the whole run.
#[test]
fn many_entries_are_a_share_of_the_budget() {
    let root = directory();
    let document = r#"{"zarr_format": 3, "node_type": "array", "shape": [40000], "data_type": "uint8", "fill_value": 0, "codecs": [{"name": "bytes"}],
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1]}}, "chunk_key_encoding": {"name": "default"}}"#;
    let mut entries = vec![ZipEntry::stored("zarr.json", document.as_bytes())];
    entries.extend((0..40_000).map(|i| ZipEntry::stored(&format!("c/{i}"), &[1])));
    fs::write(root.path().join("many.zip"), zip(&entries)).unwrap();
    let plan = prints_json(root.path(), "plan many.zip --chunks 40000 --json");
    let shares = plan[0]["plan"]["memory"].as_array().unwrap();
    let held = shares.iter().find(|share| share["what"] == "metadata documents, zip directories").unwrap();
    assert!(held["each_bytes"].as_u64().unwrap() > 40_000 * 40, "{held}");
    let refused = rezarr(root.path(), "plan many.zip --chunks 40000 --memory 1MiB");
    assert!(refused.code == Some(5) && refused.stderr.contains("directory of a zip file"), "{}", refused.stderr);
}
