//! Chunks of some kilobytes that decode to more than a GiB: refused with little memory, whatever the codec.

use std::io::Write as _;

use serde_json::{Value, json};

use super::chunks::gzipped;
use super::stores::{Case, Want, array, document, with, write};
use super::zips::{ZipEntry, zip};

/// How much a bomb decodes to, in bytes.
const GIB: usize = 1 << 30;
/// The piece that is repeated.
const PIECE: usize = 16 << 20;
/// The most memory that refusing a bomb takes, in MiB.
const PEAK_MIB: u64 = 32;

/// A bomb: the codec behind `bytes`, and what decodes to 1 GiB of zeros through it. A new codec gets a row.
type Bomb = (&'static str, fn() -> Value, fn() -> Vec<u8>);

const BOMBS: &[Bomb] = &[
    ("zstd without content size", || codec("zstd", json!({"level": 1, "checksum": false})), || zstd_zeros(&[0, (17 - 10) << 3])),
    ("zstd with a window of 2 GiB", || codec("zstd", json!({"level": 1, "checksum": false})), || zstd_zeros(&[0, (31 - 10) << 3])),
    (
        "zstd that says 1 GiB",
        || codec("zstd", json!({"level": 1, "checksum": false})),
        || zstd_zeros(&[&[0xa0][..], &(1_u32 << 30).to_le_bytes()].concat()),
    ),
    (
        "zstd that says 4 bytes",
        || codec("zstd", json!({"level": 1, "checksum": false})),
        || zstd_zeros(&[&[0xa0][..], &4_u32.to_le_bytes()].concat()),
    ),
    ("gzip", || codec("gzip", json!({"level": 1})), gzip_zeros),
    ("gzip in members", || codec("gzip", json!({"level": 1})), || gzipped(&vec![0; PIECE]).repeat(GIB / PIECE)),
    ("zlib", || codec("numcodecs.zlib", json!({"level": 1})), || [&[0x78, 0x01][..], &deflated_zeros(), &[0; 4]].concat()),
    ("blosc", || codec("blosc", blosc()), || blosc_zeros(1 << 30)),
    ("blosc that says 4 bytes", || codec("blosc", blosc()), || blosc_zeros(4)),
    ("bz2", || codec("numcodecs.bz2", json!({"level": 9})), bz2_zeros),
    #[cfg(feature = "lzma")]
    ("lzma", || codec("numcodecs.lzma", json!({"format": 1, "check": -1, "preset": null, "filters": null})), lzma_zeros),
    ("lz4", || codec("numcodecs.lz4", json!({"acceleration": 1})), lz4_zeros),
];

fn codec(name: &str, configuration: Value) -> Value {
    json!({"name": name, "configuration": configuration})
}

/// A frame of blocks of 128 KiB of zeros, each stored in four bytes: 32 KiB for 1 GiB.
fn zstd_zeros(header: &[u8]) -> Vec<u8> {
    let mut frame = [&0xfd2f_b528_u32.to_le_bytes()[..], header].concat();
    let blocks = GIB >> 17;
    for block in 0..blocks {
        let (run, last) = (1 << 1, u32::from(block + 1 == blocks));
        frame.extend_from_slice(&((128 << 10 << 3) | run | last).to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// A deflate stream of 1 GiB of zeros: one piece that ends with a byte and looks at nothing before it, again and again, and an empty last block.
fn deflated_zeros() -> Vec<u8> {
    let mut encoder = flate2::Compress::new(flate2::Compression::new(6), false);
    let mut piece = Vec::with_capacity(1 << 20);
    encoder.compress_vec(&vec![0; PIECE], &mut piece, flate2::FlushCompress::Full).unwrap();
    let mut stream = piece.repeat(GIB / PIECE);
    stream.extend_from_slice(&[3, 0]);
    stream
}

fn gzip_zeros() -> Vec<u8> {
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255][..], &deflated_zeros(), &[0; 8]].concat()
}

fn blosc() -> Value {
    json!({"cname": "zstd", "clevel": 1, "shuffle": "noshuffle", "blocksize": 0})
}

/// A frame that says so many bytes, of 64 blocks that are all the same one: 16 MiB of zeros by zstd.
fn blosc_zeros(content: u32) -> Vec<u8> {
    let blocks = GIB / PIECE;
    let stream = zstd::bulk::compress(&vec![0; PIECE], 1).unwrap();
    let size = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    let start = 16 + 4 * blocks;
    let head = [&[2, 1, 0x90, 1][..], &content.to_le_bytes(), &size(PIECE), &size(start + 4 + stream.len())].concat();
    [head, size(start).repeat(blocks), size(stream.len()).to_vec(), stream].concat()
}

fn bz2_zeros() -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(9));
    encoder.write_all(&vec![0; PIECE]).unwrap();
    encoder.finish().unwrap().repeat(GIB / PIECE)
}

/// Streams of xz, one behind the other.
#[cfg(feature = "lzma")]
fn lzma_zeros() -> Vec<u8> {
    let options = lzma_rust2::XzOptions::with_preset(1);
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(&vec![0; PIECE]).unwrap();
    encoder.finish().unwrap().repeat(GIB / PIECE)
}

/// One match after a literal: a length of 1 GiB takes 4 MiB of bytes.
fn lz4_zeros() -> Vec<u8> {
    let size = u32::try_from(GIB).unwrap().to_le_bytes();
    [&size[..], &[0x1f, 0, 1, 0], &vec![0xff; (GIB - 24) / 255], &[7, 0x50, 0, 0, 0, 0, 0]].concat()
}

/// The bomb as a chunk of four bytes, as an inner chunk, and as a shard that is compressed as a whole.
fn of((name, codec, bomb): &'static Bomb) -> Vec<Case> {
    let codecs = move || json!([{"name": "bytes"}, codec()]);
    let index = json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
    let sharding = move |codecs: Value| json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [2], "codecs": codecs, "index_codecs": index}});
    let (inner, whole) = (sharding(codecs()), sharding(json!([{"name": "bytes"}])));
    let refused = || {
        let of = |args| Want::refused(args, 4, &["s/c/0"]);
        let commands = ["get s", "get s[0]", "rechunk s t --chunks 2 --shards none --codec none --memory 16MiB --threads 1"].map(of);
        [&commands[..], &[Want::refused("check s --threads 1", 1, &["s/c/0: error "])]].concat()
    };
    let case = |what: &str, codecs: Value, chunk: fn(Vec<u8>) -> Vec<u8>| {
        let document = with(json!({"codecs": codecs})).to_string();
        Case::new(&format!("{name} {what}"), move |root| array(root, &document, &chunk(bomb())), refused()).within(PEAK_MIB)
    };
    let as_shard = |bomb: Vec<u8>| {
        let entries = [0, bomb.len() as u64, u64::MAX, u64::MAX].map(u64::to_le_bytes).concat();
        [bomb, entries].concat()
    };
    vec![
        case("as a chunk", codecs(), |bomb| bomb),
        case("as an inner chunk", json!([inner]), as_shard),
        case("as a shard", json!([whole, codec()]), |bomb| bomb),
    ]
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = BOMBS.iter().flat_map(of).collect();
    let zipped = |name: &str, entries: fn() -> Vec<ZipEntry>, says: &'static str| {
        let wants = vec![Want::refused("get s.zip", 4, &[says])];
        Case::new(name, move |root| write(root, "s.zip", zip(&entries())), wants).within(PEAK_MIB)
    };
    cases.push(zipped("a document of 1 GiB in a zip file", || vec![deflated_entry("zarr.json", GIB as u64)], "s.zip/zarr.json"));
    cases.push(zipped("a document that says 100 bytes in a zip file", || vec![deflated_entry("zarr.json", 100)], "s.zip/zarr.json"));
    cases.push(zipped("a chunk of 1 GiB in a zip file", || vec![good(), deflated_entry("c/0", GIB as u64)], "s.zip/c/0"));
    cases.push(zipped("a chunk that says 4 bytes in a zip file", || vec![good(), deflated_entry("c/0", 4)], "s.zip/c/0"));
    cases
}

fn good() -> ZipEntry {
    ZipEntry::stored("zarr.json", document().to_string().as_bytes())
}

fn deflated_entry(name: &str, size: u64) -> ZipEntry {
    let data = deflated_zeros();
    ZipEntry { method: 8, packed: data.len() as u64, data, size, ..ZipEntry::stored(name, b"") }
}

/// What decodes to 1 GiB really does, where that is not plain from the bytes.
#[test]
fn bombs_are_bombs() {
    let mut reader = flate2::read::DeflateDecoder::new(std::io::Cursor::new(deflated_zeros()));
    let mut first = vec![1; PIECE + 1];
    std::io::Read::read_exact(&mut reader, &mut first).unwrap();
    assert!(first.iter().all(|&byte| byte == 0), "more than one piece is inflated");
    assert!(gzip_zeros().len() < 1_153_434, "1.1 MiB");
    assert!(zstd_zeros(&[0, 56]).len() < 64 << 10);
    for (name, _, bomb) in BOMBS {
        assert!(bomb().len() < 5 << 20, "{name}");
    }
}
