//! Codecs of numcodecs: bytes that it made, damage, bombs, and chains of all bytes->bytes codecs.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::codec::Scratch;
use crate::codec::chain::{self, BytesToBytes, Decoded};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

const GOLDEN: &[u8] = b"golden golden golden bytes 0123456789";

fn stage(codec: &Value) -> Result<BytesToBytes> {
    Ok(BytesToBytes::from_metadata(&NamedConfig::from_json(codec).unwrap(), 2)?.unwrap())
}

fn stages(codecs: &[Value]) -> Vec<BytesToBytes> {
    codecs.iter().map(|codec| stage(codec).unwrap()).collect()
}

fn encode(stages: &[BytesToBytes], input: &[u8], scratch: &mut Scratch) -> Vec<u8> {
    let mut out = Vec::new();
    let sink = &mut |piece: &[u8]| {
        out.extend_from_slice(piece);
        Ok(())
    };
    chain::encode(stages, input, scratch, sink).unwrap();
    out
}

fn decode_with(stages: &[BytesToBytes], limit: usize, encoded: &[u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<Vec<u8>> {
    match chain::decode(stages, limit as u64, encoded, scratch, out)? {
        Decoded::Input(part) => Ok(part.to_vec()),
        Decoded::Output => Ok(out.clone()),
    }
}

fn decode(stages: &[BytesToBytes], limit: usize, encoded: &[u8]) -> Result<Vec<u8>> {
    decode_with(stages, limit, encoded, &mut Scratch::default(), &mut Vec::new())
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn typed(error: &Error) -> bool {
    matches!(error, Error::Corrupt { .. } | Error::ChecksumMismatch { .. } | Error::Unsupported { .. })
}

fn numcodecs(name: &str, configuration: Value) -> Value {
    json!({"name": format!("numcodecs.{name}"), "configuration": configuration})
}

/// Codecs, and what numcodecs 0.16.6 makes with it of [`GOLDEN`], of "x" and of nothing.
fn golden() -> Vec<(Value, [&'static str; 3])> {
    let codec = numcodecs;
    vec![
        (
            codec("zlib", json!({"level": 1})),
            ["78014bcfcf4949cd534847a1922a4b528b150c0c8d8c4d4ccdcc2d2c01ff910c20", "7801ab000000790079", "7801030000000001"],
        ),
        (
            codec("zlib", json!({"level": 0})),
            [
                "7801012500daff676f6c64656e20676f6c64656e20676f6c64656e2062797465732030313233343536373839ff910c20",
                "7801010100feff7800790079",
                "7801010000ffff00000001",
            ],
        ),
        (
            codec("gzip", json!({"level": 5})),
            [
                "1f8b08002f38006b00ff4bcfcf4949cd534847a1922a4b528b150c0c8d8c4d4ccdcc2d2c01af89230b25000000",
                "1f8b08002f38006b00ffab00008316dc8c01000000",
                "1f8b08002f38006b00ff03000000000000000000",
            ],
        ),
        (
            codec("zstd", json!({"level": 3})),
            ["28b52ffd2025ed0000b8676f6c64656e20627974657320303132333435363738390100928b11", "28b52ffd200109000078", "28b52ffd2000010000"],
        ),
        (
            codec("bz2", json!({"level": 9})),
            [
                "425a683931415926535984ccb9d900000c198040007fe016858c20200022bd4681a0184281a686464c4541229d2b6b9e32683a18a1d60a1845dfe2ee48a7\
             0a121099973b20",
                "425a6839314159265359774bb01400000000800040200021184682ee48a70a120ee9760280",
                "425a683917724538509000000000",
            ],
        ),
        (
            codec("lz4", json!({"acceleration": 1})),
            ["250000007a676f6c64656e200700f00162797465732030313233343536373839", "010000001078", "0000000000"],
        ),
    ]
}

/// The same of `numcodecs.lzma`.
fn golden_lzma() -> Vec<(Value, [&'static str; 3])> {
    let codec = numcodecs;
    vec![
        (
            codec("lzma", json!({"format": 1, "check": -1, "preset": null, "filters": null})),
            [
                "fd377a585a000004e6d6b4460200210116000000742fe5a3e00024001e5d00339bc9cd8aa92fbf30e1bf15ebd979192366a636e249d35638bfb98ef90000\
             00009e210f8866ef39a100013a2515bf2b4e1fb6f37d010000000004595a",
                "fd377a585a000004e6d6b4460200210116000000742fe5a3010000780000000045aeef83f8ee160a00011901a52c81cc1fb6f37d010000000004595a",
                "fd377a585a000004e6d6b446000000001cdf44211fb6f37d010000000004595a",
            ],
        ),
        (
            codec("lzma", json!({"preset": 9, "check": 10})),
            [
                "fd377a585a00000ae1fb0ca1020021011c00000010cf58cce00024001e5d00339bc9cd8aa92fbf30e1bf15ebd979192366a636e249d35638bfb98ef90000\
             0000ff24c3f630e42b9e264aa0a4e74032c80aa2fe440b3bd3b9aa10e9f7b2d6459700015225ba5e0fe3189b4b9a01000000000a595a",
                "fd377a585a00000ae1fb0ca1020021011c00000010cf58cc01000078000000002d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a\
             4881000131010f82dc91189b4b9a01000000000a595a",
                "fd377a585a00000ae1fb0ca1000000001cdf4421189b4b9a01000000000a595a",
            ],
        ),
        (
            codec("lzma", json!({"preset": 1, "check": 0})),
            [
                "fd377a585a000000ff12d9410200210110000000a8708e86e00024001e5d00339bc9cd8aa92fbf30e1bf15ebd979192366a636e249d35638bfb98ef90000\
             0000000132251d35f28606729e7a010000000000595a",
                "fd377a585a000000ff12d9410200210110000000a8708e86010000780000000000011101ada6580406729e7a010000000000595a",
                "fd377a585a000000ff12d941000000001cdf442106729e7a010000000000595a",
            ],
        ),
    ]
}

// FMT-BB-1, FMT-BB-3, FMT-BB-4
#[test]
fn what_numcodecs_made_is_read_and_damage_to_it_is_told() {
    let lzma = if cfg!(feature = "lzma") { golden_lzma() } else { Vec::new() };
    for (codec, encoded) in golden().into_iter().chain(lzma) {
        let chain = [stage(&codec).unwrap()];
        // Only these have a checksum of the content.
        let checked =
            !["numcodecs.lz4", "numcodecs.zstd"].contains(&codec["name"].as_str().unwrap()) && codec["configuration"]["check"] != 0;
        for (input, encoded) in [GOLDEN, b"x", b""].iter().zip(encoded.map(hex)) {
            assert_eq!(&decode(&chain, input.len(), &encoded).unwrap(), input, "{codec}");
            assert_eq!(&decode(&chain, 1000, &encoded).unwrap(), input, "{codec}");
            if !input.is_empty() {
                let error = decode(&chain, input.len() - 1, &encoded).unwrap_err();
                assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains("more than the")), "{codec}: {error}");
            }
            let own = encode(&chain, input, &mut Scratch::default());
            assert_eq!(&decode(&chain, input.len(), &own).unwrap(), input, "{codec}");
            for len in 0..encoded.len() {
                let error =
                    decode(&chain, 1000, &encoded[..len]).map(|decoded| panic!("{codec}: {len} bytes give {decoded:?}")).unwrap_err();
                assert!(typed(&error), "{codec}: {error}");
            }
            for bit in 0..encoded.len() * 8 {
                let mut bad = encoded.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                match decode(&chain, 1000, &bad) {
                    Ok(decoded) => assert!(!checked || decoded == *input, "{codec}: bit {bit} gives {decoded:?}"),
                    Err(error) => assert!(typed(&error), "{codec}: {error}"),
                }
            }
        }
    }
}

// FMT-BB-5
#[test]
fn bytes_are_shuffled_as_numcodecs_does_it() {
    let input: Vec<u8> = (0..24).collect();
    for (size, expected) in [
        (2, "00020406080a0c0e1012141601030507090b0d0f11131517"),
        (3, "000306090c0f12150104070a0d1013160205080b0e111417"),
        (4, "0004080c10140105090d111502060a0e121603070b0f1317"),
        (8, "000810010911020a12030b13040c14050d15060e16070f17"),
        (12, "000c010d020e030f0410051106120713081409150a160b17"),
        (24, "000102030405060708090a0b0c0d0e0f1011121314151617"),
        (1, "000102030405060708090a0b0c0d0e0f1011121314151617"),
        (0, "000102030405060708090a0b0c0d0e0f1011121314151617"),
    ] {
        let chain = [stage(&json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": size}})).unwrap()];
        assert_eq!(encode(&chain, &input, &mut Scratch::default()), hex(expected), "{size}");
        assert_eq!(decode(&chain, 24, &hex(expected)).unwrap(), input, "{size}");
        assert_eq!(encode(&chain, b"", &mut Scratch::default()), b"");
        assert!(matches!(decode(&chain, 23, &input), Err(Error::Corrupt { .. })));
        if size > 1 {
            assert!(matches!(decode(&chain, 24, &input[..23]), Err(Error::Corrupt { what, .. }) if what.contains("whole elements")));
        }
    }
    // Without a size it is that of the items.
    for codec in [json!("numcodecs.shuffle"), json!({"name": "shuffle", "configuration": {"elementsize": null}})] {
        let written = stage(&codec).unwrap().to_metadata().to_json();
        assert_eq!(written, json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": 2}}));
    }
}

#[test]
fn large_chunks_are_shuffled_in_pieces() {
    let input: Vec<u8> = (0..600_000_u32).map(|i| (i / 7).to_le_bytes()[0] ^ (i / 1801).to_le_bytes()[0]).collect();
    for size in [2, 3, 4, 5, 8, 16, 1000, 200_000, 600_000] {
        let chain = [stage(&json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": size}})).unwrap()];
        let encoded = encode(&chain, &input, &mut Scratch::default());
        let count = input.len() / size;
        assert!(encoded.iter().enumerate().all(|(i, &byte)| byte == input[i % count * size + i / count]), "{size}");
        assert_eq!(decode(&chain, input.len(), &encoded).unwrap(), input, "{size}");
    }
}

// FMT-BB-3
#[test]
fn several_streams_and_bytes_after_the_last() {
    let mut scratch = Scratch::default();
    let names: &[&str] = if cfg!(feature = "lzma") { &["bz2", "lzma"] } else { &["bz2"] };
    for name in names {
        let chain = [stage(&json!(format!("numcodecs.{name}"))).unwrap()];
        let (one, none) = (encode(&chain, b"one ", &mut scratch), encode(&chain, b"", &mut scratch));
        let all = [&none[..], &one, &none, &none, &one, &none].concat();
        assert_eq!(decode(&chain, 8, &all).unwrap(), b"one one ");
        assert!(decode(&chain, 7, &all).is_err());
        for garbage in [&b"x"[..], b"BZh9", b"more than twelve bytes", &[0; 3]] {
            assert!(matches!(decode(&chain, 8, &[&all, garbage].concat()), Err(Error::Corrupt { .. })), "{name}");
        }
    }
    for name in ["zlib", "lz4"] {
        let chain = [stage(&json!(format!("numcodecs.{name}"))).unwrap()];
        let one = encode(&chain, b"one ", &mut scratch);
        for more in [&one[..], b"x", &[0; 4]] {
            let error = decode(&chain, 100, &[&one, more].concat()).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{name}: {error}");
        }
    }
    let dictionary = hex("78bb00000001010000ffff00000001");
    let error = decode(&[stage(&json!("numcodecs.zlib")).unwrap()], 8, &dictionary).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("dictionary")), "{error}");
}

// FMT-BB-4
#[test]
fn blocks_of_lz4_that_lie_are_refused() {
    let chain = [stage(&json!("numcodecs.lz4")).unwrap()];
    let block = |size: u32, block: &[u8]| [&size.to_le_bytes()[..], block].concat();
    // Four literals, a match of four bytes, five literals.
    let tail = [0x50, 1, 2, 3, 4, 5];
    let matching = |offset: u16| [&[0x40, 1, 2, 3, 4][..], &offset.to_le_bytes(), &tail].concat();
    assert_eq!(decode(&chain, 13, &block(13, &matching(4))).unwrap(), [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 5]);
    assert_eq!(decode(&chain, 13, &block(13, &matching(1))).unwrap(), [1, 2, 3, 4, 4, 4, 4, 4, 1, 2, 3, 4, 5]);
    let run = [&[0x1f, 7, 1, 0][..], &[0xff; 60], &[0], &tail].concat();
    assert!(decode(&chain, 1 << 20, &block(1 + 19 + 60 * 255 + 5, &run)).is_ok());
    for (bad, what) in [
        (block(1 << 31, &matching(4)), "more than the"),
        (block(u32::MAX, &matching(4)), "more than the"),
        (block(1 << 20, &matching(4)), "cut off"),
        (block(14, &matching(4)), "where it says 14"),
        (block(12, &matching(4)), "more than the 12"),
        (block(13, &matching(0)), "outside"),
        (block(13, &matching(5)), "outside"),
        (block(13, &matching(u16::MAX)), "outside"),
        (block(100, &run), "more than the 100"),
        (block(13, &[&[0xf0][..], &[0xff; 20]].concat()), "lz4"),
        (block(13, &[0xf0, 0xff]), "lz4"),
    ] {
        let mut out = vec![0xaa; 3000];
        let error = decode_with(&chain, 1 << 20, &bad, &mut Scratch::default(), &mut out).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { what: found, .. } if found.contains(what)), "{what}: {error}");
        assert!(out.capacity() <= 3000, "{what}");
    }
}

/// What decodes to far more than its size.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = |codec: Value, len: usize| encode(&[stage(&codec).unwrap()], &vec![0; len], &mut Scratch::default());
    let mut bombs = vec![
        ("gzip", zeros(json!("gzip"), 16 << 20)),
        ("numcodecs.zlib", zeros(json!({"name": "zlib", "configuration": {"level": 9}}), 16 << 20)),
        ("numcodecs.zstd", zeros(json!("zstd"), 64 << 20)),
        ("numcodecs.bz2", zeros(json!({"name": "bz2", "configuration": {"level": 9}}), 16 << 20)),
        ("numcodecs.bz2", hex("425a683917724538509000000000").repeat(50_000)),
        ("numcodecs.lz4", zeros(json!("lz4"), 16 << 20)),
    ];
    if cfg!(feature = "lzma") {
        bombs.push(("numcodecs.lzma", zeros(json!({"name": "lzma", "configuration": {"preset": 0}}), 16 << 20)));
    }
    bombs
}

// FMT-BB-2
#[test]
fn bombs_cost_no_more_than_the_limit() {
    for (name, bomb) in bombs() {
        let chain = [stage(&json!(name)).unwrap()];
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        match decode_with(&chain, 1024, &bomb, &mut scratch, &mut out) {
            Ok(decoded) => assert!(decoded.is_empty() && bomb.starts_with(b"BZh"), "{name}"),
            Err(error) => assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains("more than the")), "{name}: {error}"),
        }
        assert!(out.capacity() <= 2048 && scratch.held_bytes() == 0, "{name}: {} bytes", out.capacity());
        // Nor does a large limit make room for more than is there.
        let mut out = Vec::new();
        let small = encode(&chain, b"small", &mut scratch);
        assert_eq!(decode_with(&chain, 1 << 50, &small, &mut scratch, &mut out).unwrap(), b"small");
        assert!(out.capacity() <= 1 << 20, "{name}: {} bytes", out.capacity());
    }
}

#[cfg(feature = "lzma")]
#[test]
fn dictionaries_that_no_preset_asks_for_are_refused() {
    let chain = [stage(&json!("numcodecs.lzma")).unwrap()];
    let mut file = encode(&chain, GOLDEN, &mut Scratch::default());
    let header = 12;
    for (property, accepted) in [(0, true), (28, true), (29, false), (40, false), (41, false)] {
        file[header + 4] = property;
        let crc = crc32fast::hash(&file[header..header + 8]);
        file[header + 8..header + 12].copy_from_slice(&crc.to_le_bytes());
        match decode(&chain, 100, &file) {
            Ok(decoded) => assert!(accepted && decoded == GOLDEN, "{property}"),
            Err(Error::Unsupported { what, .. }) => assert!(!accepted && property <= 40 && what.contains("67108864"), "{property}: {what}"),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }) && property > 40, "{property}: {error}"),
        }
    }
}

// FMT-BB-1
#[test]
fn every_name_is_read_and_one_is_written() {
    for (read, configuration, written) in [
        ("numcodecs.gzip", json!({}), json!({"name": "gzip", "configuration": {"level": 1}})),
        ("numcodecs.gzip", json!({"level": -1}), json!({"name": "gzip", "configuration": {"level": 6}})),
        ("gzip", json!({}), json!({"name": "gzip", "configuration": {"level": 6}})),
        ("numcodecs.zstd", json!({"level": 5}), json!({"name": "zstd", "configuration": {"level": 5, "checksum": false}})),
        ("zlib", json!({}), json!({"name": "numcodecs.zlib", "configuration": {"level": 1}})),
        ("numcodecs.zlib", json!({"level": -1}), json!({"name": "numcodecs.zlib", "configuration": {"level": 6}})),
        ("https://zarr.dev/numcodecs/zlib", json!({"level": 9}), json!({"name": "numcodecs.zlib", "configuration": {"level": 9}})),
        ("bz2", json!({}), json!({"name": "numcodecs.bz2", "configuration": {"level": 1}})),
        (
            "https://codec.zarrs.dev/bytes_to_bytes/bz2",
            json!({"level": 5}),
            json!({"name": "numcodecs.bz2", "configuration": {"level": 5}}),
        ),
        ("lz4", json!({}), json!({"name": "numcodecs.lz4", "configuration": {"acceleration": 1}})),
        ("numcodecs.lz4", json!({"acceleration": -5}), json!({"name": "numcodecs.lz4", "configuration": {"acceleration": -5}})),
        ("shuffle", json!({"elementsize": 4}), json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": 4}})),
        ("fletcher32", json!({}), json!({"name": "numcodecs.fletcher32", "configuration": {}})),
        ("https://codec.zarrs.dev/bytes_to_bytes/fletcher32", json!({}), json!({"name": "numcodecs.fletcher32", "configuration": {}})),
        ("adler32", json!({"location": "end"}), json!({"name": "numcodecs.adler32", "configuration": {"location": "end"}})),
        ("crc32", json!({}), json!({"name": "numcodecs.crc32", "configuration": {}})),
        ("numcodecs.crc32c", json!({}), json!({"name": "crc32c"})),
    ] {
        let codec = stage(&json!({"name": read, "configuration": configuration})).unwrap();
        assert_eq!(codec.to_metadata().to_json(), written);
        assert_eq!(stage(&written).unwrap().to_metadata().to_json(), written);
    }
    for (codec, pointer) in [
        (json!({"name": "zlib", "configuration": {"level": 10}}), "/configuration/level"),
        (json!({"name": "numcodecs.zlib", "configuration": {"level": "6"}}), "/configuration/level"),
        (json!({"name": "numcodecs.gzip", "configuration": {"level": -2}}), "/configuration/level"),
        (json!({"name": "numcodecs.bz2", "configuration": {"level": 0}}), "/configuration/level"),
        (json!({"name": "numcodecs.bz2", "configuration": {"id": "bz2"}}), "/configuration/id"),
        (json!({"name": "numcodecs.lz4", "configuration": {"acceleration": 1.5}}), "/configuration/acceleration"),
        (json!({"name": "numcodecs.lz4", "configuration": {"level": 1}}), "/configuration/level"),
        (json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": -1}}), "/configuration/elementsize"),
        (json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": "4"}}), "/configuration/elementsize"),
    ] {
        match stage(&codec) {
            Err(Error::Metadata { pointer: found, .. }) => assert_eq!(found, pointer, "{codec}"),
            other => panic!("{codec}: {other:?}"),
        }
    }
}

// FMT-BB-7
#[test]
fn lzma_is_what_it_is_and_no_more() {
    let lzma = |configuration: Value| stage(&json!({"name": "numcodecs.lzma", "configuration": configuration}));
    if !cfg!(feature = "lzma") {
        let error = lzma(json!({})).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("cargo feature \"lzma\"")), "{error}");
        return;
    }
    let all = json!({"format": 1, "check": -1, "preset": null, "filters": null});
    for (read, written) in [
        (json!({}), all.clone()),
        (all.clone(), all.clone()),
        (json!({"check": 4}), all),
        (json!({"preset": 9, "check": 0}), json!({"format": 1, "check": 0, "preset": 9, "filters": null})),
        (json!({"preset": 2_147_483_654_u32}), json!({"format": 1, "check": -1, "preset": 2_147_483_654_u32, "filters": null})),
    ] {
        let codec = lzma(read).unwrap();
        assert_eq!(codec.to_metadata().to_json(), json!({"name": "numcodecs.lzma", "configuration": written}));
        let encoded = encode(&[codec], GOLDEN, &mut Scratch::default());
        assert_eq!(decode(&[codec], GOLDEN.len(), &encoded).unwrap(), GOLDEN);
    }
    for (configuration, hint) in [
        (json!({"format": 2}), ".lzma files"),
        (json!({"format": 3}), "raw streams"),
        (json!({"format": 0}), "format 0"),
        (json!({"filters": [{"id": 33, "preset": 1}]}), "filters [{"),
    ] {
        let error = lzma(configuration).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains(hint)), "{error}");
    }
    for (configuration, pointer) in [
        (json!({"preset": 10}), "/configuration/preset"),
        (json!({"preset": "6"}), "/configuration/preset"),
        (json!({"check": 2}), "/configuration/check"),
        (json!({"check": 11}), "/configuration/check"),
        (json!({"level": 1}), "/configuration/level"),
    ] {
        assert!(matches!(lzma(configuration), Err(Error::Metadata { pointer: found, .. }) if found == pointer), "{pointer}");
    }
}

/// Codecs for any chain; shuffles are of one byte where the size of what reaches them is not known.
fn any_codec(element_bytes: u64) -> impl Strategy<Value = Value> {
    let codec = numcodecs;
    let mut codecs = vec![
        json!({"name": "zstd", "configuration": {"level": 1, "checksum": true}}),
        json!({"name": "gzip", "configuration": {"level": 1}}),
        codec("zlib", json!({"level": 6})),
        codec("bz2", json!({"level": 1})),
        codec("bz2", json!({"level": 9})),
        codec("lz4", json!({})),
        codec("shuffle", json!({"elementsize": element_bytes})),
        codec("crc32", json!({})),
        codec("crc32", json!({"location": "end"})),
        codec("crc32c", json!({"location": "start"})),
        codec("adler32", json!({"location": "end"})),
        codec("fletcher32", json!({})),
        codec("jenkins_lookup3", json!({"initval": 5})),
    ];
    if cfg!(feature = "lzma") {
        codecs.push(codec("lzma", json!({"preset": 0})));
        codecs.push(codec("lzma", json!({"preset": 6, "check": 10})));
    }
    prop::sample::select(codecs)
}

fn any_chain() -> impl Strategy<Value = Vec<Value>> {
    (any_codec(4), prop::collection::vec(any_codec(1), 0..4)).prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect())
}

/// Some of it repeats, some does not.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let part = (prop::collection::vec(any::<u8>(), 0..200), 1..30_usize).prop_map(|(part, times)| part.repeat(times));
    prop::collection::vec(part, 0..4).prop_map(|parts| {
        let mut all = parts.concat();
        all.resize(all.len().next_multiple_of(4), 7);
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    // FMT-BB-2
    #[test]
    fn chains_come_back_within_their_bounds(codecs in any_chain(), inputs in prop::collection::vec(any_input(), 1..3)) {
        let chain = stages(&codecs);
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        for input in &inputs {
            let len = input.len() as u64;
            let encoded = encode(&chain, input, &mut scratch);
            prop_assert!(encoded.len() as u64 <= chain::encoded_bound(&chain, len));
            prop_assert_eq!(&decode_with(&chain, input.len(), &encoded, &mut scratch, &mut out).unwrap(), input);
            // Fresh buffers tell what one chunk takes.
            let mut fresh = Scratch::default();
            prop_assert_eq!(&encode(&chain, input, &mut fresh), &encoded);
            prop_assert!(fresh.held_bytes() as u64 <= chain::encode_memory(&chain, len));
            let (mut fresh, mut out) = (Scratch::default(), Vec::new());
            decode_with(&chain, input.len(), &encoded, &mut fresh, &mut out).unwrap();
            prop_assert!(fresh.held_bytes() as u64 <= chain::decode_memory(&chain, len) + chain.len() as u64);
            if !input.is_empty() {
                let less = decode_with(&chain, input.len() - 1, &encoded, &mut scratch, &mut out);
                prop_assert!(less.map_or_else(|error| typed(&error), |decoded| chain::only_checksums(&chain) && decoded == *input));
            }
        }
    }

    #[test]
    fn damaged_chains_never_panic(codecs in any_chain(), input in any_input(), at in any::<prop::sample::Index>(), bit in 0..8_u32, cut in any::<bool>()) {
        let chain = stages(&codecs);
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        let good = encode(&chain, &input, &mut scratch);
        prop_assume!(!good.is_empty());
        let mut bad = good.clone();
        if cut {
            bad.truncate(at.index(good.len()));
        } else {
            bad[at.index(good.len())] ^= 1 << bit;
        }
        match decode_with(&chain, input.len(), &bad, &mut scratch, &mut out) {
            Ok(decoded) => prop_assert!(decoded.len() <= input.len() || chain::only_checksums(&chain)),
            Err(error) => prop_assert!(typed(&error), "{}", error),
        }
        prop_assert_eq!(decode_with(&chain, input.len(), &good, &mut scratch, &mut out).unwrap(), input);
    }

    #[test]
    fn any_bytes_are_refused_or_decoded(codec in any_codec(2), bytes in prop::collection::vec(any::<u8>(), 0..200), begin in any::<bool>()) {
        let chain = stages(std::slice::from_ref(&codec));
        // The beginning of what the codec itself makes leads further in.
        let mut input = if begin { encode(&chain, GOLDEN.split_at(36).0, &mut Scratch::default()) } else { Vec::new() };
        input.truncate(14);
        input.extend(bytes);
        match decode(&chain, 300, &input) {
            Ok(decoded) => prop_assert!(decoded.len() <= 300 || chain::only_checksums(&chain)),
            Err(error) => prop_assert!(typed(&error), "{}", error),
        }
    }
}

// FMT-BB-8
#[test]
fn codecs_that_cannot_be_had_are_named() {
    let mut seen = String::new();
    for (name, hint) in [
        ("numcodecs.zfpy", "the C library zfp"),
        ("zfp", "the C library zfp"),
        ("numcodecs.pcodec", "pcodec"),
        ("numcodecs.pickle", "never will be"),
        ("numcodecs.msgpack2", "MessagePack"),
        ("numcodecs.json2", "JSON"),
        ("numcodecs.categorize", "labels"),
    ] {
        let error = super::uint16(&json!([super::little(), name]), &[2]).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { .. }), "{error}");
        write!(seen, "{error}").unwrap();
        assert!(seen.contains(&format!("codec {name:?}: ")) && seen.contains(hint) && seen.contains("zarr-python"), "{error}");
        seen.clear();
    }
}

// FMT-BB-5
#[test]
fn what_could_never_be_encoded_is_refused_at_once() {
    let shuffle = |size| json!({"name": "numcodecs.shuffle", "configuration": {"elementsize": size}});
    let with = |codecs: &[Value], len| {
        let all = std::iter::once(super::little()).chain(codecs.iter().cloned()).collect();
        super::uint16(&Value::Array(all), &[len])
    };
    for (codecs, len, pointer) in [
        (vec![shuffle(4)], 3, "/1"),
        (vec![json!("crc32c"), shuffle(8)], 4, "/2"),
        (vec![shuffle(2), json!("fletcher32"), shuffle(5)], 2, "/3"),
    ] {
        match with(&codecs, len) {
            Err(Error::Metadata { pointer: found, what, .. }) => {
                assert!(found == pointer && what.contains("whole elements"), "{found}: {what}");
            }
            other => panic!("{codecs:?}: {other:?}"),
        }
    }
    assert!(with(&[json!("crc32c"), shuffle(8)], 2).is_ok());
    assert!(with(&[json!("gzip"), shuffle(8)], 3).is_ok());
    assert!(with(&[json!("lz4")], 0x3f00_0000).is_ok());
    let error = with(&[json!("lz4")], 0x3f00_0001).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("2113929216")), "{error}");
}
