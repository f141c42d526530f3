//! Zarr v2: documents that lie, and blosc frames, which carry most of its data.

use std::path::Path;

use serde_json::{Value, json};

use super::stores::{Case, ELEMENTS, Want, write};

/// The array of [`super::stores`] in Zarr v2.
fn document() -> Value {
    json!({
        "zarr_format": 2, "shape": [8], "chunks": [4], "dtype": "|u1", "fill_value": 7, "order": "C", "filters": null, "compressor": null,
    })
}

fn with(members: Value) -> Value {
    let mut document = document();
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

fn store(document: String, chunk: Vec<u8>) -> impl Fn(&Path) {
    move |root| {
        write(root, "s/.zarray", &document);
        write(root, "s/0", &chunk);
    }
}

/// An array whose document is refused.
fn bad_text(name: &str, document: String, says: &str) -> Case {
    let refused = |args| Want::refused(args, 4, &["s/.zarray", says]);
    let wants = ["get s", "tree s", "info s", "rechunk s t --chunks 2"].map(refused).to_vec();
    let check = Want { codes: vec![0, 1], ..Want::works("check s", &["s/.zarray: ", says]) };
    Case::new(&format!("v2: {name}"), store(document, vec![1, 2, 3, 4]), [wants, vec![check]].concat())
}

fn bad(name: &str, members: Value, says: &str) -> Case {
    bad_text(name, with(members).to_string(), says)
}

/// An array whose chunk is refused.
fn bad_chunk(name: &str, members: Value, chunk: Vec<u8>, says: &str) -> Case {
    let refused = |args| Want::refused(args, 4, &["s/0", says]);
    let wants = ["get s", "get s[0]", "rechunk s t --chunks 2", "verify s s"].map(refused).to_vec();
    let check = Want::refused("check s", 1, &["s/0: error ", says]);
    Case::new(&format!("v2: {name}"), store(with(members).to_string(), chunk), [wants, vec![check]].concat())
}

fn legal(name: &str, make: impl Fn(&Path) + 'static) -> Case {
    let wants = vec![
        Want::prints("get s", ELEMENTS),
        Want::works("check s", &["0 errors, 0 warnings"]),
        Want::works("rechunk s t --chunks 2 --no-sync", &[]),
        Want::prints("get t", ELEMENTS),
    ];
    Case::new(&format!("v2: {name}"), make, wants)
}

pub(crate) fn cases() -> Vec<Case> {
    [documents(), stores(), copies(), blosc()].into_iter().flatten().collect()
}

fn documents() -> Vec<Case> {
    let nested = (0..200).fold(json!("|u1"), |dtype, _| json!([["a", dtype]]));
    let mut cases = vec![
        bad_text("no document", String::new(), "invalid metadata"),
        bad_text("two documents", format!("{0}{0}", document()), "trailing"),
        bad_text("a repeated member", document().to_string().replacen('{', "{\"shape\": [4],", 1), "shape"),
        bad_text("17 MiB", format!("{}{}", document(), " ".repeat(17 << 20)), "16777216"),
        bad("zarr_format 1", json!({"zarr_format": 1}), "zarr_format"),
        bad("a negative length", json!({"shape": [-1]}), "/shape"),
        bad("chunks of 0", json!({"chunks": [0]}), "/chunks"),
        bad("chunks of another rank", json!({"chunks": [4, 4]}), "/chunks"),
        bad("rank 33", json!({"shape": vec![1; 33], "chunks": vec![1; 33]}), "rank 33"),
        bad("a chunk of 2^64 bytes", json!({"dtype": "<u8", "chunks": [1_u64 << 61]}), "chunk"),
        bad("order Z", json!({"order": "Z"}), "/order"),
        bad("a separator that leads out", json!({"dimension_separator": "/../"}), "/dimension_separator"),
        bad("a data type of 0 bytes", json!({"dtype": "|S0", "fill_value": null}), "data type"),
        bad("a data type of 2^63 bytes", json!({"dtype": "|V9223372036854775808", "fill_value": null}), "data type"),
        bad("a data type without end", json!({"dtype": "<u1x"}), "data type"),
        bad("objects without a codec", json!({"dtype": "|O", "fill_value": null}), "s/.zarray"),
        bad("structures 200 deep", json!({"dtype": nested, "fill_value": null}), "s/.zarray"),
        bad("a fill value of another type", json!({"fill_value": "x"}), "/fill_value"),
        bad("a fill value that is too large", json!({"fill_value": 256}), "/fill_value"),
        bad(
            "a filter that runs what it reads",
            json!({"dtype": "|O", "fill_value": null, "filters": [{"id": "pickle", "protocol": 5}]}),
            "pickle",
        ),
        bad(
            "a codec of objects listed first, and pickle",
            json!({"dtype": "|O", "fill_value": null, "filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]}),
            "s/.zarray",
        ),
        bad("filters that are an object", json!({"filters": {}}), "/filters"),
        bad("a thousand filters", json!({"filters": vec![json!({"id": "crc32"}); 1000]}), "s/.zarray"),
        bad("an unknown compressor", json!({"compressor": {"id": "zfpy"}}), "zfpy"),
        bad("a compressor without id", json!({"compressor": {"level": 1}}), "/compressor"),
    ];
    for name in ["zarr_format", "shape", "chunks", "dtype"] {
        let mut document = document();
        document.as_object_mut().unwrap().remove(name);
        cases.push(bad_text(&format!("without {name}"), document.to_string(), name));
    }
    cases
}

fn stores() -> Vec<Case> {
    let array = |root: &Path| store(document().to_string(), vec![1, 2, 3, 4])(root);
    vec![
        legal("an array", array),
        legal("both formats", move |root| {
            array(root);
            super::stores::array(root, super::stores::document().to_string(), &[1, 2, 3, 4]);
            write(root, "s/.zarray", "{}");
            std::fs::remove_file(root.join("s/0")).unwrap();
        }),
        Case::new(
            "v2: attributes that are no JSON",
            move |root| {
                array(root);
                write(root, "s/.zattrs", "{");
            },
            vec![Want::refused("get s", 4, &["s/.zattrs"]), Want::refused("check s", 1, &["s/.zattrs"])],
        ),
        Case::new(
            "v2: attributes that are a pipe",
            move |root| {
                array(root);
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    root.join("s/.zattrs"),
                    rustix::fs::FileType::Fifo,
                    rustix::fs::Mode::from_raw_mode(0o666),
                    0,
                )
                .unwrap();
            },
            vec![Want::refused("get s", 4, &["s/.zattrs", "a FIFO stands"]), Want::refused("check s", 1, &["a FIFO stands"])],
        ),
        Case::new(
            "v2: a chunk outside the grid",
            move |root| {
                array(root);
                write(root, "s/2", [9; 4]);
            },
            vec![Want::prints("get s", ELEMENTS), Want::refused("check s", 1, &["s/2: error outside-grid"])],
        ),
    ]
}

/// Consolidated metadata are ignored by readers: the elements are right, and the check says what is wrong with the copies.
fn copies() -> Vec<Case> {
    let of = |name: &str, copies: Value, code: i32, says: &str| {
        let make = move |root: &Path| {
            write(root, "s/.zgroup", r#"{"zarr_format": 2}"#);
            write(root, "s/a/.zarray", document().to_string());
            write(root, "s/a/0", [1, 2, 3, 4]);
            write(root, "s/.zmetadata", json!({"zarr_consolidated_format": 1, "metadata": copies}).to_string());
        };
        let check = Want { codes: vec![code], ..Want::works("check s", &[says]) };
        Case::new(&format!("v2: {name}"), make, vec![Want::prints("get s/a", ELEMENTS), Want::works("tree s", &["a (8,)"]), check])
    };
    let group = json!({"zarr_format": 2});
    vec![
        of("consolidated metadata that are right", json!({".zgroup": group, "a/.zarray": document()}), 0, "0 errors, 0 warnings"),
        of(
            "consolidated metadata that lead out",
            json!({".zgroup": group, "../../etc/.zarray": document(), "a/.zarray": document()}),
            1,
            "s/.zmetadata: error",
        ),
        of("consolidated metadata of nothing", json!({}), 1, "s/.zmetadata: error stale-consolidated"),
        of("consolidated metadata that are a list", json!([]), 1, "s/.zmetadata: error"),
        of(
            "consolidated metadata of another document",
            json!({".zgroup": group, "a/.zarray": with(json!({"shape": [9]}))}),
            1,
            "s/.zmetadata: error stale-consolidated",
        ),
    ]
}

/// A frame of one block of stored bytes with this header: version, flags, type size, and the three sizes.
fn frame(head: [u8; 4], [content, block, frame]: [u32; 3], rest: &[u8]) -> Vec<u8> {
    [&head[..], &content.to_le_bytes(), &block.to_le_bytes(), &frame.to_le_bytes(), rest].concat()
}

fn blosc() -> Vec<Case> {
    let compressor = json!({"compressor": {"id": "blosc", "cname": "zstd", "clevel": 1, "shuffle": 0, "blocksize": 0}});
    let case = |name: &str, chunk: Vec<u8>| bad_chunk(&format!("blosc {name}"), compressor.clone(), chunk, "s/0");
    // What may be good elsewhere is a warning.
    let odd = |name: &str, chunk: Vec<u8>| case(name, chunk).but("check").and(Want::works("check s", &["s/0: warning unsupported"]));
    let data = [1, 2, 3, 4];
    // Copied as it is; and one block behind its start.
    let copied = |sizes: [u32; 3]| frame([2, 1, 0x02, 1], sizes, &data);
    let zstd = zstd::bulk::compress(&data, 1).unwrap();
    let len = u32::try_from(zstd.len()).unwrap();
    let block = |start: u32, stream: u32, size: u32| {
        let rest = [&start.to_le_bytes()[..], &stream.to_le_bytes(), &zstd].concat();
        frame([2, 1, 0x90, 1], [4, 4, size], &rest)
    };
    let right = 24 + len;
    let good = Case::new(
        "v2: blosc",
        store(with(compressor.clone()).to_string(), block(20, len, right)),
        vec![Want::prints("get s", ELEMENTS), Want::works("check s", &["0 errors"])],
    );
    vec![
        good,
        case("of no bytes", vec![]),
        case("of half a header", copied([4, 4, 20])[..9].to_vec()),
        case("of a header alone", copied([4, 4, 20])[..16].to_vec()),
        case("that says 3 bytes", copied([3, 4, 20])),
        case("that says 5 bytes", copied([5, 4, 20])),
        case("that says 2^31 bytes", copied([1 << 31, 4, 20])),
        case("that says 2^32 - 1 bytes", copied([u32::MAX, u32::MAX, u32::MAX])),
        case("of a size past its end", copied([4, 4, 21])),
        case("of a size before its end", copied([4, 4, 19])),
        case("of a size of 0", copied([4, 4, 0])),
        case("with a type size of 0", frame([2, 1, 0x91, 0], [4, 4, right], &block(20, len, right)[16..])),
        case("of blocks of 0 bytes", frame([2, 1, 0x90, 1], [4, 0, right], &block(20, len, right)[16..])),
        case("of blocks of 2^32 - 1 bytes", frame([2, 1, 0x90, 1], [4, u32::MAX, right], &block(20, len, right)[16..])),
        case("of four blocks of 1 byte", frame([2, 1, 0x90, 1], [4, 1, right], &block(20, len, right)[16..])),
        case("with a block that starts past the end", block(1000, len, right)),
        case("with a block that starts in the header", block(3, len, right)),
        case("with a block that starts at -1", block(u32::MAX, len, right)),
        case("with a stream past the end", block(20, len + 1, right)),
        case("with a stream of -1 bytes", block(20, u32::MAX, right)),
        case("with a stream of 0 bytes", block(20, 0, right)),
        odd("of an unknown compressor", frame([2, 1, 0xf0, 1], [4, 4, right], &block(20, len, right)[16..])),
        case("of another compressor", frame([2, 1, 0x10, 1], [4, 4, right], &block(20, len, right)[16..])),
        odd("of version 9", frame([9, 1, 0x90, 1], [4, 4, right], &block(20, len, right)[16..])),
    ]
}
