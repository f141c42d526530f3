//! Shards whose indexes lie.

use std::fs::File;
use std::os::unix::fs::FileExt;

use serde_json::{Value, json};

use super::stores::{Case, ELEMENTS, Want, array, with, write};

const NO: u64 = u64::MAX;

fn little() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn codecs(inner: u64, index: Value, location: &str) -> Value {
    json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": [inner], "codecs": [{"name": "bytes"}], "index_codecs": index, "index_location": location,
    }}])
}

fn checked() -> Value {
    json!([little(), {"name": "crc32c"}])
}

/// The array with inner chunks of two bytes.
fn at_end() -> Value {
    codecs(2, checked(), "end")
}

fn index(entries: &[u64]) -> Vec<u8> {
    entries.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn crc(data: &[u8]) -> Vec<u8> {
    [data, &crc32c::crc32c(data).to_le_bytes()].concat()
}

/// The four bytes, and this index behind them.
fn shard(entries: [u64; 4]) -> Vec<u8> {
    [&[1, 2, 3, 4][..], &crc(&index(&entries))].concat()
}

pub(crate) fn cases() -> Vec<Case> {
    [indexes(), legal(), vast()].into_iter().flatten().collect()
}

fn indexes() -> Vec<Case> {
    let bad = |name: &str, chunk: Vec<u8>, says: &str| Case::chunk(name, at_end(), chunk, says);
    let entries = |name: &str, entries: [u64; 4]| bad(name, shard(entries), "shard index entry");
    let good = shard([0, 2, 2, 2]);
    let mut flipped = good.clone();
    flipped[5] ^= 1;
    vec![
        entries("an inner chunk past the end", [0, 2, 3, 2]),
        entries("an inner chunk far past the end", [0, 2, 1 << 60, 2]),
        entries("an inner chunk that passes 2^64", [0, 2, NO - 1, 2]),
        entries("an inner chunk of 2^64 - 2 bytes", [0, 2, 2, NO - 1]),
        entries("an inner chunk in the index", [0, 2, 4, 2]),
        entries("an inner chunk half in the index", [0, 2, 3, 2]).but("rechunk"),
        entries("an offset alone that says missing", [0, 2, NO, 2]),
        entries("a length alone that says missing", [0, 2, 2, NO]),
        bad("an inner chunk of no bytes", shard([0, 0, 2, 2]), "0 bytes are stored"),
        bad("an inner chunk of one byte", shard([0, 1, 2, 2]), "1 bytes are stored"),
        bad("an inner chunk of three bytes", shard([0, 3, 2, 2]), "3 bytes are stored"),
        bad("an index with a wrong checksum", flipped, "checksum mismatch"),
        bad("an index without checksum", good[..36].to_vec(), "checksum mismatch").but("verify"),
        bad("a shard of no bytes", vec![], "shorter than its index"),
        bad("a shard shorter than its index", good[..35].to_vec(), "shorter than its index"),
        bad("a shard torn in the index", good[..good.len() - 1].to_vec(), "shorter than its index")
            .but("rechunk")
            .but("get")
            .but("verify")
            .but("check"),
        Case::chunk("an index at the start that is at the end", codecs(2, checked(), "start"), good, "checksum mismatch"),
        Case::chunk(
            "an index in the other byte order",
            codecs(2, json!([{"name": "bytes", "configuration": {"endian": "big"}}]), "end"),
            [&[1, 2, 3, 4][..], &index(&[0, 2, 2, 2])].concat(),
            "shard index entry",
        ),
        Case::chunk("an inner shard that is torn", nested(), crc_shard(&[1, 2, 3]), "shorter than its index"),
        Case::chunk(
            "an inner shard whose index lies",
            nested(),
            crc_shard(&[&[1, 2, 3, 4][..], &crc(&index(&[0, 2, 9, 9]))].concat()),
            "shard index entry",
        ),
        Case::chunk(
            "a shard that is compressed and torn",
            json!([at_end()[0], {"name": "crc32c"}]),
            crc(&[1, 2, 3]),
            "shorter than its index",
        ),
    ]
}

/// Shards of one inner shard of two inner chunks.
fn nested() -> Value {
    json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": [4], "codecs": at_end(), "index_codecs": checked()}}])
}

fn crc_shard(inner: &[u8]) -> Vec<u8> {
    [inner, &crc(&index(&[0, inner.len() as u64]))].concat()
}

fn legal() -> Vec<Case> {
    let ok = |name: &str, codecs: Value, chunk: Vec<u8>| Case::legal_chunk(name, codecs, chunk);
    let big = json!([{"name": "bytes", "configuration": {"endian": "big"}}, {"name": "crc32c"}, {"name": "crc32c"}]);
    let big_index: Vec<u8> = [0_u64, 2, 2, 2].iter().flat_map(|number| number.to_be_bytes()).collect();
    let overlapping = |name: &str, entries: [u64; 4], elements: &str| {
        let document = with(json!({"codecs": at_end()})).to_string();
        let wants = vec![
            Want::prints("get s", elements),
            Want::works("check s", &["s/c/0: warning overlap"]),
            Want::works("rechunk s t --chunks 2 --shards none --no-sync", &[]),
            Want::prints("get t", elements),
        ];
        Case::new(name, move |root| array(root, &document, &shard(entries)), wants)
    };
    vec![
        ok("inner chunks in the other order", at_end(), [&[3, 4, 1, 2][..], &crc(&index(&[2, 2, 0, 2]))].concat()),
        ok("a gap in a shard", at_end(), [&[1, 2, 9, 9, 9, 3, 4][..], &crc(&index(&[0, 2, 5, 2]))].concat()),
        ok("an index at the start", codecs(2, checked(), "start"), [&crc(&index(&[36, 2, 38, 2]))[..], &[1, 2, 3, 4]].concat()),
        ok("an index that is big endian and checked twice", codecs(2, big, "end"), [&[1, 2, 3, 4][..], &crc(&crc(&big_index))].concat()),
        ok("shards in shards", nested(), crc_shard(&shard([0, 2, 2, 2]))),
        overlapping("inner chunks that are one", [0, 2, 0, 2], "1 2 1 2 7 7 7 7\n"),
        overlapping("inner chunks that overlap by half", [0, 2, 1, 2], "1 2 2 3 7 7 7 7\n"),
    ]
}

/// Indexes of very many entries: the work follows what is asked for, and what is stored.
fn vast() -> Vec<Case> {
    const COUNT: u64 = 1 << 18;
    const INNER: u64 = 1 << 16;
    let document = |zstd: bool| {
        let codec = |name: &str| json!({"name": name, "configuration": {"level": 1, "checksum": false}});
        let inner = if zstd { json!([{"name": "bytes"}, codec("zstd")]) } else { json!([{"name": "bytes"}]) };
        let sharding =
            json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [INNER], "codecs": inner, "index_codecs": [little()]}});
        let grid = json!({"name": "regular", "configuration": {"chunk_shape": [COUNT * INNER]}});
        with(json!({"shape": [COUNT * INNER], "chunk_grid": grid, "codecs": [sharding]})).to_string()
    };
    let one = zstd::bulk::compress(&vec![5; usize::try_from(INNER).unwrap()], 1).unwrap();
    let len = one.len() as u64;
    let aliased: Vec<u8> = one.iter().copied().chain((0..COUNT).flat_map(|_| index(&[0, len]))).collect();
    let sliding: Vec<u8> =
        vec![6; usize::try_from(2 * INNER).unwrap()].into_iter().chain((0..COUNT).flat_map(|i| index(&[i % INNER, INNER]))).collect();
    let sparse = |size: u64, end: &'static [u8]| {
        move |root: &std::path::Path| {
            write(root, "s/zarr.json", document(false));
            write(root, "s/c/0", "");
            let file = File::options().write(true).open(root.join("s/c/0")).unwrap();
            file.set_len(size).unwrap();
            file.write_all_at(end, size - end.len() as u64).unwrap();
        }
    };
    let missing: &[u8] = &[0xff; 16];
    vec![
        Case::new(
            "a slice as 262,144 inner chunks",
            move |root| array(root, document(true), &aliased),
            vec![Want::prints("get s[0:3]", "5 5 5\n"), Want::works("check s", &["s/c/0: warning overlap: 262143 inner chunks"])],
        ),
        Case::new(
            "262,144 inner chunks that slide over one another",
            move |root| array(root, document(false), &sliding),
            vec![Want::prints("get s[0:3]", "6 6 6\n"), Want::works("check s", &["s/c/0: warning overlap: "])],
        ),
        Case::new(
            "4 TiB of nothing as a shard",
            sparse(1 << 42, missing),
            vec![Want::refused("get s[-1]", 0, &[]), Want::refused("check s", 1, &["s/c/0: error "])],
        ),
        Case::new(
            "a shard of a hundred bytes for an index of 4 MiB",
            move |root| array(root, document(false), &[0; 100]),
            vec![
                Want::refused("get s[0]", 4, &["s/c/0", "shorter than its index"]),
                Want::refused("check s", 1, &["s/c/0: error torn-shard"]),
            ],
        ),
    ]
}

/// What an intact shard holds, so that the cases above are about what they say.
#[test]
fn the_shard_that_is_damaged_is_a_good_one() {
    super::survive(&[Case::legal_chunk("a good shard", at_end(), shard([0, 2, 2, 2]))]);
    assert_eq!(ELEMENTS, "1 2 3 4 7 7 7 7\n");
}
