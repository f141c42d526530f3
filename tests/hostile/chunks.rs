//! Encoded chunks that are not what their codecs make.

use std::io::Write as _;

use serde_json::{Value, json};

use super::stores::{Case, Want, document, with};

/// The elements of the chunk that is there.
const DATA: [u8; 4] = [1, 2, 3, 4];

fn codecs(names: &[&str]) -> Value {
    let codec = |name: &&str| match *name {
        "gzip" => json!({"name": "gzip", "configuration": {"level": 1}}),
        "zstd" => json!({"name": "zstd", "configuration": {"level": 1, "checksum": false}}),
        "numcodecs.shuffle" => json!({"name": name, "configuration": {"elementsize": 1}}),
        name => json!({"name": name}),
    };
    json!(std::iter::once(&"bytes").chain(names).map(codec).collect::<Vec<_>>())
}

pub(crate) fn gzipped(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zlibbed(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(data, 1).unwrap()
}

/// A zstd frame of one raw block behind these bytes of a header.
fn frame(header: &[u8], data: &[u8]) -> Vec<u8> {
    let block = (u32::try_from(data.len()).unwrap() << 3 | 1).to_le_bytes();
    [&0xfd2f_b528_u32.to_le_bytes()[..], header, &block[..3], data].concat()
}

fn crc(data: &[u8]) -> Vec<u8> {
    [data, &crc32c::crc32c(data).to_le_bytes()].concat()
}

pub(crate) fn cases() -> Vec<Case> {
    [plain(), zstds(), gzips(), checksums(), numcodecs(), texts()].into_iter().flatten().collect()
}

fn plain() -> Vec<Case> {
    let mut cases: Vec<Case> = [0, 1, 3, 5, 1_000_000]
        .map(|len| Case::chunk(&format!("{len} bytes stored as they are"), codecs(&[]), vec![1; len], &format!("{len} bytes are stored")))
        .into();
    // Every codec: no bytes, one byte, noise.
    for codec in [
        "gzip",
        "zstd",
        "crc32c",
        "numcodecs.zlib",
        "numcodecs.bz2",
        "numcodecs.lz4",
        "numcodecs.crc32",
        "numcodecs.adler32",
        "numcodecs.fletcher32",
    ] {
        for (what, chunk) in
            [("no bytes", vec![]), ("one byte", vec![0x1f]), ("noise", (0..200_u8).map(|i| i.wrapping_mul(151) ^ 0x5a).collect())]
        {
            cases.push(Case::chunk(&format!("{codec} of {what}"), codecs(&[codec]), chunk, "s/c/0"));
        }
    }
    cases
}

/// A chunk that is legal, but needs what nobody has here.
fn needy(name: &str, names: &[&str], chunk: Vec<u8>) -> Case {
    let case = Case::chunk(name, codecs(names), chunk, "need a dictionary").but("check");
    case.and(Want::works("check s", &["s/c/0: warning unsupported: ", "need a dictionary"]))
}

fn zstds() -> Vec<Case> {
    let good = zstd(&DATA);
    let bad = |name: &str, chunk: Vec<u8>, says: &str| Case::chunk(name, codecs(&["zstd"]), chunk, says);
    let sized = |size: u64| frame(&[&[0xe0][..], &size.to_le_bytes()].concat(), &DATA);
    let windowed = |log: u8| frame(&[0, (log - 10) << 3], &DATA);
    let skippable = [&0x184d_2a53_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
    let legal = |name: &str, chunk: Vec<u8>| Case::legal_chunk(name, codecs(&["zstd"]), chunk);
    vec![
        bad("a zstd frame of 2^60 bytes", sized(1 << 60), "zstd"),
        bad("a zstd frame that says 3 bytes", sized(3), "zstd"),
        bad("a zstd frame that says 5 bytes", sized(5), "zstd"),
        bad("a zstd frame of 5 bytes", zstd(&[1, 2, 3, 4, 5]), "more than the 4 bytes"),
        bad("a zstd frame of 3 bytes", zstd(&[1, 2, 3]), "3 decoded bytes, expected 4"),
        bad("a zstd frame of no bytes", zstd(&[]), "0 decoded bytes, expected 4"),
        needy("a zstd frame with a dictionary", &["zstd"], frame(&[0x23, 4, 7, 0, 0, 0], &DATA)),
        bad("a zstd frame cut off", good[..good.len() - 1].to_vec(), "zstd"),
        bad("a zstd frame and noise", [&good[..], b"noise"].concat(), "zstd"),
        bad("two zstd frames", [&good[..], &good].concat(), "more than the 4 bytes"),
        bad("a skippable zstd frame alone", skippable.clone(), "0 decoded bytes, expected 4"),
        bad("a skippable zstd frame of 4 GiB", [&0x184d_2a50_u32.to_le_bytes()[..], &[0xff; 4], &good].concat(), "zstd"),
        bad("a zstd block of a reserved kind", [&0xfd2f_b528_u32.to_le_bytes()[..], &[0, 0, 7, 0, 0]].concat(), "zstd"),
        // This is how a frame says that it does not know.
        legal("a zstd frame of 2^64 - 1 bytes", sized(u64::MAX)),
        legal("a zstd frame with a window of 2 GiB", windowed(31)),
        legal("a zstd frame in two", [zstd(&DATA[..1]), zstd(&DATA[1..])].concat()),
        legal("a zstd frame behind one to be skipped", [skippable, good].concat()),
    ]
}

fn gzips() -> Vec<Case> {
    let good = gzipped(&DATA);
    let bad = |name: &str, chunk: Vec<u8>| Case::chunk(name, codecs(&["gzip"]), chunk, "gzip");
    let differs = |name: &str, chunk: Vec<u8>| Case::chunk(name, codecs(&["gzip"]), chunk, "checksum mismatch");
    let edited = |at: usize, byte: u8| {
        let mut chunk = good.clone();
        chunk[at] = byte;
        chunk
    };
    let end = good.len();
    let flagged = |flag: u8, between: &[u8]| [&good[..3], &[flag], &good[4..10], between, &good[10..]].concat();
    vec![
        bad("gzip with another magic number", edited(0, 0x1e)),
        bad("gzip of another method", edited(2, 9)),
        bad("gzip with reserved flags", edited(3, 0xe0)),
        differs("gzip with a wrong checksum", edited(end - 8, good[end - 8] ^ 1)),
        bad("gzip with a wrong size", edited(end - 4, 5)),
        bad("gzip with a size of 4 GiB", [&good[..end - 4], &[0xff; 4]].concat()),
        bad("gzip without trailer", good[..end - 8].to_vec()),
        bad("gzip with half a trailer", good[..end - 3].to_vec()),
        bad("gzip with an extra field past the end", flagged(4, &[0xff, 0xff])),
        bad("gzip with a name without end", [&good[..3], &[8], &good[4..10], &[b'a'; 100]].concat()),
        differs("gzip with a header checksum that is wrong", flagged(2, &[1, 2])),
        bad("gzip of five bytes", gzipped(&[1, 2, 3, 4, 5])),
        bad("gzip and noise", [&good[..], b"noise"].concat()),
        Case::chunk("gzip of three bytes", codecs(&["gzip"]), gzipped(&DATA[..3]), "3 decoded bytes, expected 4"),
        bad("gzip twice", [&good[..], &good].concat()),
        Case::legal_chunk("gzip in two members", codecs(&["gzip"]), [gzipped(&DATA[..1]), gzipped(&DATA[1..])].concat()),
        Case::legal_chunk("gzip with a name and an extra field", codecs(&["gzip"]), flagged(4 | 8, b"\x03\0abcname\0")),
    ]
}

fn checksums() -> Vec<Case> {
    let bad = |name: &str, chunk: Vec<u8>, says: &str| Case::chunk(name, codecs(&["crc32c"]), chunk, says);
    let mut wrong = crc(&DATA);
    wrong[1] ^= 0x10;
    vec![
        bad("a checksum of three bytes", vec![1, 2, 3], "crc32c checksum alone takes 4"),
        bad("a checksum of no bytes", vec![], "crc32c checksum alone takes 4"),
        bad("a checksum and no data", crc(&[]), "0 decoded bytes, expected 4"),
        bad("a checksum of other data", wrong, "checksum mismatch"),
        bad("a checksum of more data", crc(&[1, 2, 3, 4, 5]), "decoded bytes, expected 4"),
        Case::chunk("a checksum of what is compressed wrongly", codecs(&["zstd", "crc32c"]), crc(b"no zstd"), "zstd"),
        Case::chunk(
            "compression of a checksum that is wrong",
            codecs(&["crc32c", "gzip"]),
            gzipped(&[1, 2, 3, 4, 0, 0, 0, 0]),
            "checksum mismatch",
        ),
        Case::legal_chunk("32 steps", codecs(&["crc32c"; 30]), (0..30).fold(DATA.to_vec(), |data, _| crc(&data))),
    ]
}

fn numcodecs() -> Vec<Case> {
    let lz4 = |name: &str, chunk: &[u8]| Case::chunk(name, codecs(&["numcodecs.lz4"]), chunk, "s/c/0");
    let zlib = zlibbed(&DATA);
    vec![
        lz4("lz4 that says 2^31 bytes", &[0, 0, 0, 0x80, 0x40, 1, 2, 3, 4]),
        lz4("lz4 that says 2^32 - 1 bytes", &[0xff, 0xff, 0xff, 0xff, 0x40, 1, 2, 3, 4]),
        lz4("lz4 that says 3 bytes", &[3, 0, 0, 0, 0x40, 1, 2, 3, 4]),
        lz4("lz4 that says 5 bytes", &[5, 0, 0, 0, 0x40, 1, 2, 3, 4]),
        lz4("lz4 with an offset of 0", &[4, 0, 0, 0, 0x10, 1, 0, 0]),
        lz4("lz4 with an offset before its start", &[4, 0, 0, 0, 0x10, 1, 9, 0]),
        lz4("lz4 with literals past the end", &[4, 0, 0, 0, 0xf0, 0xff, 0xff, 0xff, 1, 2, 3, 4]),
        Case::legal_chunk("lz4", codecs(&["numcodecs.lz4"]), [4, 0, 0, 0, 0x40, 1, 2, 3, 4]),
        Case::chunk("zlib with a wrong checksum", codecs(&["numcodecs.zlib"]), [&zlib[..zlib.len() - 1], &[0x77]].concat(), "zlib"),
        Case::chunk("zlib cut off", codecs(&["numcodecs.zlib"]), zlib[..zlib.len() - 5].to_vec(), "zlib"),
        needy("zlib with a dictionary", &["numcodecs.zlib"], [&[0x78, 0xbb][..], &zlib[2..]].concat()),
        Case::legal_chunk("zlib", codecs(&["numcodecs.zlib"]), zlib),
    ]
}

/// Elements of variable length.
fn texts() -> Vec<Case> {
    let document = with(json!({"data_type": "string", "fill_value": "", "codecs": [{"name": "vlen-utf8"}]}));
    let text = |name: &str, chunk: &[u8]| {
        let case = Case::chunk_of(name, document.clone(), chunk, "s/c/0").but("tree");
        case.and(Want::works("tree s", &["string"]))
    };
    let with_items = |count: u32, items: &[(u32, &[u8])]| {
        let items = items.iter().flat_map(|(len, bytes)| [&len.to_le_bytes()[..], bytes].concat());
        count.to_le_bytes().into_iter().chain(items).collect::<Vec<u8>>()
    };
    let one = (1, &b"a"[..]);
    vec![
        text("no count of strings", &[]),
        text("half a count of strings", &[4, 0]),
        text("2^32 - 1 strings", &with_items(u32::MAX, &[one; 4])),
        text("three strings", &with_items(3, &[one; 3])),
        text("five strings", &with_items(5, &[one; 5])),
        text("four strings of which one is missing", &with_items(4, &[one; 3])),
        text("a string past the end", &with_items(4, &[one, one, one, (9, b"a")])),
        text("a string of 2^32 - 1 bytes", &with_items(4, &[one, one, one, (u32::MAX, b"a")])),
        text("a string that is not UTF-8", &with_items(4, &[one, one, one, (1, b"\xff")])),
        text("strings and noise", &[&with_items(4, &[one; 4])[..], b"noise"].concat()),
        Case::chunk_of("numbers where strings are said", document_of_bytes(), vec![4, 0, 0, 0, 1], "s/c/0").but("tree"),
    ]
}

fn document_of_bytes() -> Value {
    let mut document = document();
    document["data_type"] = json!("bytes");
    document["fill_value"] = json!("");
    document["codecs"] = json!([{"name": "vlen-bytes"}]);
    document
}
