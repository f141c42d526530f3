//! Bad input at the command line: one line that says what is wrong and what would be accepted, the right exit code, and nothing changed.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/trees.rs"]
mod trees;

use std::fs;
use std::path::Path;

use cli::{prints, refuses, rezarr};
use tempfile::TempDir;

use arrays::{create, elements, layout, metadata};
use trees::{directory, names};

/// A directory with the array `a`: 20 times, 30 places, stored uncompressed in chunks of 5 times.
fn with_array() -> TempDir {
    let root = directory();
    let names = ["time", "place"].map(|name| Some(name.to_owned())).to_vec();
    let metadata = metadata(&[20, 30], "float32", "nan", &layout(&[5, 30], None, "none")).with_dimension_names(Some(names)).unwrap();
    let data = elements(&metadata, 1);
    create(&root.path().join("a"), metadata, &data);
    root
}

/// Replaces text in the document of the array `a`.
fn edit(root: &Path, from: &str, to: &str) {
    let path = root.join("a/zarr.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn a_path_where_nothing_is() {
    let root = with_array();
    for arguments in ["rechunk nowhere b --chunks 1", "plan nowhere --chunks 1", "info nowhere", "tree nowhere", "verify nowhere a"] {
        refuses(root.path(), arguments, 3, "nowhere: not found: a directory");
    }
    refuses(root.path(), "verify a nowhere", 3, "nowhere: not found: a directory");
    refuses(root.path(), "get nowhere[0]", 3, "nowhere: not found: a directory");
    refuses(root.path(), "info a/zarr.json/x", 3, "a/zarr.json/x: not found: a directory (a part of the path is a file)");
    fs::create_dir(root.path().join("empty")).unwrap();
    for arguments in ["rechunk empty b --chunks 1", "info empty", "tree empty", "verify empty a", "get empty"] {
        refuses(root.path(), arguments, 3, "empty: not found: an array or group (no zarr.json)");
    }
}

#[test]
fn a_file_that_is_no_store() {
    let root = with_array();
    fs::write(root.path().join("file"), "PK").unwrap();
    for arguments in
        ["rechunk file b --chunks 1", "plan file --chunks 1", "info file", "tree file", "verify file a", "verify a file", "get file"]
    {
        refuses(root.path(), arguments, 4, "file: unsupported: a regular file stands here; a Zarr v3 array or group is a directory");
    }
    fs::create_dir(root.path().join("old")).unwrap();
    fs::write(root.path().join("old/.zarray"), "{}").unwrap();
    let message = "old/.zarray: invalid metadata at /zarr_format: missing; this member is mandatory";
    refuses(root.path(), "rechunk old b --chunks 1", 4, message);
}

#[test]
fn documents_that_are_broken() {
    let invalid = "a/zarr.json: invalid metadata at";
    let cases = [
        ("\"zarr_format\": 3", "\"zarr_format\": ", format!("{invalid} /: expected value at line 36 column 18")),
        ("\"zarr_format\": 3", "\"zarr_format\": 4", String::from("a/zarr.json: unsupported: zarr_format 4; supported is 3")),
        ("30\n", "-1\n", format!("{invalid} /shape/1: -1; expected an integer from 0 to 2^64 - 1")),
    ];
    for (from, to, message) in cases {
        let root = with_array();
        edit(root.path(), from, to);
        for arguments in ["rechunk a b --chunks 1,1", "info a", "tree a", "verify a a", "get a"] {
            refuses(root.path(), arguments, 4, &message);
        }
    }
}

#[test]
fn codecs_and_types_that_are_not_known() {
    let root = with_array();
    edit(root.path(), "\"bytes\"", "\"lzw\"");
    let lzma = if cfg!(feature = "lzma") { " numcodecs.lzma," } else { "" };
    let codecs = format!(
        "bytes, sharding_indexed, packbits, vlen-utf8, vlen-bytes, transpose, reshape, bitround, cast_value, scale_offset, numcodecs.astype, \
         numcodecs.bitround, numcodecs.delta, numcodecs.fixedscaleoffset, numcodecs.packbits, numcodecs.quantize, gzip, zstd, blosc, crc32c, \
         numcodecs.zlib, numcodecs.bz2, numcodecs.lz4,{lzma} numcodecs.shuffle, numcodecs.crc32, numcodecs.crc32c, numcodecs.adler32, numcodecs.fletcher32, numcodecs.jenkins_lookup3"
    );
    let message = format!("a/zarr.json: unsupported: codec \"lzw\"; supported are {codecs}");
    for arguments in ["rechunk a b --chunks 1,1", "info a", "verify a a", "get a"] {
        refuses(root.path(), arguments, 4, &message);
    }
    edit(root.path(), "float32", "float8");
    let types = "bool, int2 to int64, uint2 to uint64, float16, float32, float64, bfloat16, float8_*, float6_*, float4_e2m1fn, complex64, \
                 complex128, complex_*, r8, r16, ... r1048576 (raw_bytes), string, bytes, fixed_length_utf32, null_terminated_bytes, \
                 numpy.datetime64, numpy.timedelta64, struct";
    refuses(root.path(), "rechunk a b --chunks 1,1", 4, &format!("a/zarr.json: unsupported: data type \"float8\"; supported are {types}"));
}

#[test]
fn chunks_and_shards_that_do_not_fit() {
    let root = with_array();
    let root = root.path();
    let rank = "for an array of rank 2 and shape [20, 30]; accepted is one edge an axis, or names as in `time=100`";
    refuses(root, "rechunk a b --chunks 5", 2, &format!("a: chunks of rank 1 {rank}"));
    refuses(root, "rechunk a b --chunks 5,5,5", 2, &format!("a: chunks of rank 3 {rank}"));
    refuses(root, "rechunk a b --chunks lat=5", 2, "a: chunks name a dimension \"lat\"; this array has time, place");
    let message = "a: axis 0: a chunk of 5 does not divide a shard of 12; the shard's edge must be a multiple";
    refuses(root, "rechunk a b --shards 12,30", 2, message);
    create(&root.join("plain"), metadata(&[3], "int8", "0", &layout(&[1], None, "none")), &[1, 2, 3]);
    let message = "plain: chunks name a dimension \"time\"; this array has no dimension names; give one edge an axis";
    refuses(root, "rechunk plain b --chunks time=2", 2, message);
}

#[test]
fn words_that_are_not_understood() {
    let root = with_array();
    let edge = |text: &str| {
        format!("chunk edge {text:?}: accepted are whole numbers from 1 on, `all`, and lists such as 31+28+31 or 30x12; see --help")
    };
    let codecs = "accepted are none, zstd[:LEVEL], gzip[:LEVEL], blosc[:CNAME:LEVEL:SHUFFLE], lz4, zlib[:LEVEL], bz2[:LEVEL], lzma[:PRESET], shuffle[:SIZE], crc32c, crc32, adler32, fletcher32, big, transpose:A-B-C, joined by commas, or a JSON list of codec objects";
    let size = "accepted are sizes such as 67108864, 64MiB, 2GiB or 500MB; see --help";
    let cases = [
        ("--chunks 0,1", format!("invalid value '0,1' for '--chunks <SPEC>': {}", edge("0"))),
        ("--chunks 1,x", format!("invalid value '1,x' for '--chunks <SPEC>': {}", edge("x"))),
        ("--shards time=1.5", format!("invalid value 'time=1.5' for '--shards <SPEC>': {}", edge("1.5"))),
        ("--codec lzw", format!("invalid value 'lzw' for '--codec <CODECS>': codec \"lzw\" is not known; {codecs}; see --help")),
        ("--chunks 1,1 --memory lots", format!("invalid value 'lots' for '--memory <SIZE>': \"lots\": {size}")),
        ("--chunks 1,1 --threads 0", String::from("invalid value '0' for '--threads <N>': 0 is not in 1..=1024; see --help")),
        (
            "--chunks 1,1 --keep-backup",
            String::from("--keep-backup: nothing is replaced; give --overwrite, or leave the target out to rechunk in place"),
        ),
        ("--chunks 1,1 --nope", String::from("unexpected argument '--nope' found; see --help")),
    ];
    for (arguments, message) in cases {
        refuses(root.path(), &format!("rechunk a b {arguments}"), 2, &message);
    }
    let fill = "a: fill value \"x\": \"x\": expected a number, \"NaN\", \"Infinity\", \"-Infinity\", or its bits as \"0x\" and exactly 8 \
                hexadecimal digits";
    refuses(root.path(), "rechunk a b --fill x", 2, fill);
    refuses(root.path(), "rechunk", 2, "the following required arguments were not provided: <SOURCE>; see --help");
    refuses(root.path(), "reshape a b", 2, "unrecognized subcommand 'reshape'; see --help");
}

#[test]
fn targets_that_cannot_be() {
    let root = with_array();
    let (at, shown) = (root.path(), root.path().canonicalize().unwrap().display().to_string());
    refuses(
        at,
        "rechunk a",
        2,
        "a: nothing to change; give at least one of --chunks, --shards, --codec, --fill, --dtype, --select, --keys",
    );
    refuses(
        at,
        "rechunk a b",
        2,
        "a: nothing to change; give at least one of --chunks, --shards, --codec, --fill, --dtype, --select, --keys",
    );
    refuses(at, "rechunk a no/b --chunks 1,1", 3, "no: not found: the directory of the target; make it first");
    for target in ["a", "a/b", "./a/../a", ".."] {
        let shown = match target {
            ".." => "the target must end in a name for what is made",
            "a/b" => "the target lies inside or around the source a; choose a place beside it",
            _ => "the target is the source; leave the target out to rechunk in place",
        };
        refuses(at, &format!("rechunk a {target} --chunks 1,1"), 2, &format!("{target}: {shown}"));
        refuses(at, &format!("rechunk a {target} --chunks 1,1 --overwrite"), 2, &format!("{target}: {shown}"));
    }
    fs::write(at.join("file"), "precious").unwrap();
    fs::create_dir(at.join("directory")).unwrap();
    fs::write(at.join("directory/precious"), "precious").unwrap();
    create(&at.join("b"), metadata(&[3], "int8", "0", &layout(&[1], None, "none")), &[1, 2, 3]);
    for target in ["b", "file", "directory"] {
        let message = format!("{shown}/{target}: already exists; choose another name, or have it replaced (--overwrite)");
        refuses(at, &format!("rechunk a {target} --chunks 1,1"), 2, &message);
    }
    for target in ["file", "directory"] {
        let message = format!("{shown}/{target}: already exists; it holds no zarr.json, and only Zarr arrays and groups are overwritten");
        refuses(at, &format!("rechunk a {target} --chunks 1,1 --overwrite"), 2, &message);
    }
}

#[test]
fn a_target_around_the_source() {
    let root = directory();
    fs::create_dir(root.path().join("outer")).unwrap();
    let metadata = metadata(&[3], "int8", "0", &layout(&[1], None, "none"));
    create(&root.path().join("outer/a"), metadata, &[1, 2, 3]);
    let message = "outer: the target lies inside or around the source outer/a; choose a place beside it";
    refuses(root.path(), "rechunk outer/a outer --chunks 2 --overwrite", 2, message);
}

#[test]
fn a_budget_that_is_too_small_names_one_that_works() {
    let root = with_array();
    let outcome = rezarr(root.path(), "rechunk a b --chunks 20,1 --codec zstd:5,crc32c --shards all,all --memory 100k --threads 2");
    assert_eq!(outcome.code, Some(5));
    let start = "rezarr: a memory budget of 102400 bytes is too small: a: source chunks of 600 bytes and target chunks of 80 bytes have to fit \
                 with their codecs; the smallest that would do is ";
    let smallest = outcome.stderr.strip_prefix(start).and_then(|rest| rest.split(' ').next()).unwrap_or_else(|| panic!("{outcome:?}"));
    assert_eq!(outcome.stderr.lines().count(), 1);
    assert_eq!(names(root.path()), ["a"]);
    prints(root.path(), &format!("rechunk a b --chunks 20,1 --codec zstd:5,crc32c --shards all,all --memory {smallest}"));
    assert!(prints(root.path(), "verify a b").starts_with("equal"));
    let outcome = rezarr(root.path(), "verify a b --memory 10k");
    assert_eq!(outcome.code, Some(5), "{outcome:?}");
}

#[test]
fn selections_that_make_no_sense() {
    let root = with_array();
    let forms = "accepted are 5, -1, 0:10, 3:, :7 and `:`";
    let huge = "99999999999999999999999999999999999999999";
    let cases = [
        (huge, format!("axis 0: \"{huge}\": {forms}")),
        ("18446744073709551616", String::from("axis 0: index 18446744073709551616 is outside an axis of 20")),
        ("20", String::from("axis 0: index 20 is outside an axis of 20")),
        (":,-31", String::from("axis 1: index -31 is outside an axis of 30")),
        ("0:10:2", String::from("axis 0: \"0:10:2\" has a step; boxes without steps are accepted")),
        ("0,0,0", String::from("more parts than the 2 axes of [20, 30]")),
        ("...,0,0,0", String::from("more parts than the 2 axes of [20, 30]")),
        ("...,...", String::from("`...` may stand once")),
        ("x", format!("axis 0: \"x\": {forms}")),
        ("1e3", format!("axis 0: \"1e3\": {forms}")),
        ("0,", format!("axis 1: \"\": {forms}")),
    ];
    fs::write(root.path().join("out"), "precious").unwrap();
    for (selection, what) in cases {
        refuses(root.path(), &format!("get a[{selection}] --raw -o out"), 2, &format!("a: selection [{selection}]: {what}"));
    }
    refuses(root.path(), "get a[0] -o no/out", 3, "no/out: not found: the directory of the output; make it first");
}

#[test]
fn chunks_that_are_damaged() {
    let root = with_array();
    let at = root.path();
    fs::write(at.join("a/c/2/0"), [0; 599]).unwrap();
    fs::write(at.join("out"), "precious").unwrap();
    let message = "a/c/2/0: corrupt: 599 bytes are stored for a chunk of shape [5, 30], which takes exactly 600";
    refuses(at, "rechunk a b --chunks 20,1", 4, message);
    refuses(at, "rechunk a b --chunks 20,1 --reads positioned", 4, message);
    refuses(at, "verify a a", 4, message);
    refuses(at, "get a --raw -o out", 4, message);
    refuses(at, "get a[10] --raw -o new", 4, message);
    prints(at, "rechunk a b --chunks 7,30 --dry-run");
    fs::remove_file(at.join("a/c/2/0")).unwrap();
    fs::create_dir(at.join("a/c/2/0")).unwrap();
    refuses(at, "rechunk a b --chunks 20,1", 4, "a/c/2/0: corrupt: a directory stands where a value is expected");
}

#[test]
fn names_that_would_break_the_line() {
    let root = with_array();
    let outcome = cli::command(root.path(), "info").arg("no\nwhere\u{1b}[31m").output().unwrap();
    assert_eq!(String::from_utf8(outcome.stderr).unwrap(), "rezarr: no\\nwhere\\u{1b}[31m: not found: a directory\n");
}

#[test]
fn a_directory_for_the_spill_file_that_is_not_there() {
    let root = directory();
    let metadata = metadata(&[2000, 2000], "float32", "nan", &layout(&[20, 2000], None, "none"));
    let data = elements(&metadata, 1);
    create(&root.path().join("a"), metadata, &data);
    let arguments = "rechunk a b --chunks all,20 --memory 8MiB --spill-dir no";
    let outcome = rezarr(root.path(), arguments);
    assert_eq!(outcome.code, Some(6));
    assert!(outcome.stderr.starts_with("rezarr: no (spill file): create a spill file failed: No such file or directory"), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1);
    assert_eq!(names(root.path()), ["a"]);
}
