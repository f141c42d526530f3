//! Blosc as a whole: frames of other writers, round trips, what is chosen, partial reads, and memory. Damage is in `hostile`.
#![allow(clippy::single_range_in_vec_init, reason = "ranges are what is wanted")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::encode::MIN_BYTES;
use super::*;

mod hostile;

pub(super) fn codec(compressor: Compressor, level: u8, filter: Filter, typesize: u32, block_size: u32) -> Blosc {
    Blosc { compressor, level, filter, typesize, block_size }
}

pub(super) fn encode(codec: Blosc, input: &[u8], scratch: &mut Scratch) -> Vec<u8> {
    let mut out = Vec::new();
    codec
        .encode(input, scratch, &mut |piece| {
            assert!(piece.len() <= PIECE_BYTES);
            out.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
    out
}

pub(super) fn decode(input: &[u8], limit: usize) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    Blosc::decode(input, limit, &mut Scratch::default(), &mut out).map(|()| out)
}

/// Bytes that do not compress.
pub(super) fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Numbers of two bytes that rise slowly, which is the content of the golden frames.
pub(super) fn ramp(len: usize) -> Vec<u8> {
    let numbers = (0..len.div_ceil(2)).map(|k| u16::try_from(k / 97 * 7 % 1000).unwrap());
    let mut bytes: Vec<u8> = numbers.flat_map(u16::to_le_bytes).collect();
    bytes.truncate(len);
    bytes
}

/// Every third byte is noise.
fn mixed(len: usize) -> Vec<u8> {
    ramp(len).into_iter().zip(noise(len)).enumerate().map(|(i, (ramp, noise))| if i % 3 == 0 { noise } else { ramp }).collect()
}

/// Frames that c-blosc wrote (those of snappy by TensorStore), with the codec that was asked for.
pub(super) fn golden() -> Vec<(Blosc, Vec<u8>, Vec<u8>)> {
    let rows: Vec<Value> = serde_json::from_str(include_str!("../../../tests/golden/blosc.json")).unwrap();
    let read = |row: &Value| {
        let mut members = row.as_object().unwrap().clone();
        let frame = STANDARD.decode(members.shift_remove("frame").unwrap().as_str().unwrap()).unwrap();
        let len = usize::try_from(members.shift_remove("len").unwrap().as_u64().unwrap()).unwrap();
        (Blosc::from_metadata(&NamedConfig::new("blosc", members), 1).unwrap(), ramp(len), frame)
    };
    rows.iter().map(read).collect()
}

#[test]
fn frames_of_other_writers_are_read() {
    // FMT-BL-3, FMT-BL-5 and FMT-BL-6: all compressors and filters, split and not, with whole and shorter last blocks, and leftovers.
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    for (codec, content, frame) in golden() {
        Blosc::decode(&frame, content.len(), &mut scratch, &mut out).unwrap();
        assert_eq!(out, content, "{codec:?}");
        assert!(Blosc::decode(&frame, content.len() - 1, &mut scratch, &mut out).is_err());
    }
}

#[test]
fn frames_are_cut_as_by_other_writers() {
    // FMT-BL-7, by the headers of others: all but the flag for stored content and the size, which follow from how well an encoder does.
    for (codec, content, frame) in golden() {
        let planned = encode::plan(&codec, content.len());
        let [ours, theirs] =
            [&planned.to_bytes(frame.len()), &frame[..16]].map(|header| [&header[..2], &[header[2] & !2], &header[3..]].concat());
        assert_eq!(ours, theirs, "{codec:?}");
        if codec.compressor != Compressor::Snappy {
            let ours = encode(codec, &content, &mut Scratch::default());
            // The encoder of lz4 stands in for lz4hc.
            let most = frame.len() * if codec.compressor == Compressor::Lz4Hc { 2 } else { 1 } * 5 / 4 + 64;
            assert!(ours.len() < most, "{codec:?}: {} and {} bytes", ours.len(), frame.len());
            assert_eq!(decode(&ours, content.len()).unwrap(), content, "{codec:?}");
        }
    }
}

#[test]
fn blocks_have_the_sizes_of_c_blosc() {
    // FMT-BL-7: compressor, level, element size, content, asked for; block size, whether blocks are split. From headers of c-blosc 1.21.
    for (name, level, typesize, len, asked, expected, split) in [
        ("lz4", 1, 4, 4 << 20, 0, 65536, true),
        ("lz4", 5, 4, 4 << 20, 0, 524_288, true),
        ("lz4", 5, 1, 4 << 20, 0, 131_072, true),
        ("lz4", 9, 8, 4 << 20, 0, 1_048_576, true),
        ("lz4", 5, 32, 4 << 20, 0, 131_072, false),
        ("lz4", 5, 17, 1_000_003, 0, 131_070, false),
        ("blosclz", 3, 2, 4 << 20, 0, 131_072, true),
        ("lz4hc", 9, 2, 4 << 20, 0, 524_288, true),
        ("zlib", 2, 2, 1 << 20, 0, 131_072, true),
        ("zlib", 9, 16, 4 << 20, 0, 1_048_576, true),
        ("zstd", 1, 4, 4 << 20, 0, 32768, false),
        ("zstd", 5, 4, 4 << 20, 0, 262_144, false),
        ("zstd", 6, 12, 1_000_003, 0, 524_280, false),
        ("zstd", 8, 3, 4 << 20, 0, 524_286, false),
        ("zstd", 5, 4, 30_000, 0, 30_000, false),
        ("lz4", 5, 4, 30_001, 0, 30_000, true),
        ("lz4", 5, 4, 100, 0, 100, false),
        ("lz4", 5, 8, 7, 0, 1, false),
        ("zstd", 0, 4, 4 << 20, 0, 16384, false),
        ("lz4", 5, 4, 4 << 20, 1000, 65536, true),
        ("lz4", 5, 300, 1 << 20, 0, 131_072, true),
        ("zstd", 5, 7, 1 << 20, 50, 126, false),
        ("zstd", 4, 255, 1 << 20, 700, 510, false),
        ("lz4", 5, 255, 200, 0, 1, false),
    ] {
        let compressor = COMPRESSORS.iter().find(|known| known.1 == name).unwrap().0;
        let header = encode::plan(&codec(compressor, level, Filter::Shuffle, typesize, asked), len);
        assert_eq!((header.block_len, header.split), (expected, split), "{name} {level} {typesize} {len} {asked}");
    }
}

#[test]
fn round_trips_stay_within_the_bounds() {
    let (mut scratch, mut out) = (Scratch::default(), vec![7; 5]);
    let writable = COMPRESSORS.iter().filter(|known| known.0 != Compressor::Snappy);
    for (number, &(compressor, name)) in writable.enumerate() {
        for (filter, _) in FILTERS {
            for (step, typesize) in [1_u32, 2, 3, 4, 7, 8, 12, 16, 17, 255, 300].into_iter().enumerate() {
                let lens = [1, 2, 15, 127, 128, 129, 1000, 4096, 65536, 70_001];
                for len in [lens[(step + number) % 10], lens[(3 * step + 5) % 10]] {
                    for (kind, input) in [ramp(len), noise(len), vec![3; len], mixed(len)].into_iter().enumerate() {
                        let level = u8::try_from((step + kind) % 9).unwrap();
                        let codec = codec(compressor, level, filter, typesize, [0, 500][step % 2]);
                        let encoded = encode(codec, &input, &mut scratch);
                        assert!(encoded.len() as u64 <= Blosc::encoded_bound(len as u64), "{name} {filter:?} {typesize} {len}");
                        assert_eq!(usize::try_from(u32::from_le_bytes(*encoded[12..].first_chunk().unwrap())).unwrap(), encoded.len());
                        Blosc::decode(&encoded, len, &mut scratch, &mut out).unwrap();
                        assert!(out == input, "{name} {level} {filter:?} {typesize} {len} {kind}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_does_not_compress_is_stored() {
    // FMT-BL-7: the last line, by all three ways.
    let stored = |codec, input: &[u8]| {
        let encoded = encode(codec, input, &mut Scratch::default());
        (encoded[2] & 2 != 0).then(|| assert_eq!(encoded[16..], *input)).is_some()
    };
    for compressor in [Compressor::BloscLz, Compressor::Lz4, Compressor::Zlib, Compressor::Zstd] {
        assert!(stored(codec(compressor, 0, Filter::Shuffle, 4, 0), &[0; 4096]));
        assert!(stored(codec(compressor, 5, Filter::Shuffle, 4, 0), &[0; 127]));
        assert!(stored(codec(compressor, 5, Filter::BitShuffle, 4, 0), &noise(100_000)));
        assert!(!stored(codec(compressor, 5, Filter::Shuffle, 4, 0), &[0; 4096]));
    }
}

#[test]
fn an_encoder_that_was_broken_off_does_no_harm() {
    let mut scratch = Scratch::default();
    for level in 1..=9 {
        for compressor in [Compressor::Zlib, Compressor::Zstd] {
            let codec = codec(compressor, level, Filter::None, 1, 0);
            for len in [200, 1000, 20_000] {
                assert_ne!(encode(codec, &noise(len), &mut scratch)[2] & 2, 0);
                let encoded = encode(codec, &ramp(len), &mut scratch);
                assert_eq!(decode(&encoded, len).unwrap(), ramp(len), "{compressor:?} {level} {len}");
                assert_eq!(encoded, encode(codec, &ramp(len), &mut Scratch::default()), "equal chunks give equal bytes");
            }
        }
    }
}

#[test]
fn only_the_blocks_that_are_wanted_are_decoded() {
    // FMT-BL-9.
    let (mut scratch, content) = (Scratch::default(), mixed(70_001));
    for (compressor, block_len) in [(Compressor::Zstd, 10_000), (Compressor::Lz4, 65_536)] {
        let frame = encode(codec(compressor, 5, Filter::Shuffle, 2, 10_000), &content, &mut scratch);
        for parts in [
            vec![],
            vec![0..0, 5..5],
            vec![0..1],
            vec![9_999..10_001],
            vec![70_000..70_001],
            vec![20_000..30_000],
            vec![60_000..61_000, 100..200, 150..12_000],
            vec![0..70_001],
        ] {
            let mut blocks: Vec<usize> =
                parts.iter().filter(|part| !part.is_empty()).flat_map(|part| part.clone().map(|i| i / block_len)).collect();
            blocks.sort_unstable();
            blocks.dedup();
            let mut out = vec![0xaa; 3];
            assert_eq!(Blosc::decode_parts(&frame, content.len(), &parts, &mut scratch, &mut out).unwrap(), blocks.len(), "{parts:?}");
            assert_eq!(out.len(), content.len());
            for block in blocks {
                let place = block * block_len..((block + 1) * block_len).min(content.len());
                assert_eq!(out[place.clone()], content[place], "{parts:?}");
            }
        }
        assert!(Blosc::decode_parts(&frame, content.len() + 1, &[], &mut scratch, &mut Vec::new()).is_err());
        assert!(Blosc::decode_parts(&frame, content.len() - 1, &[], &mut scratch, &mut Vec::new()).is_err());
    }
    let stored = encode(codec(Compressor::Lz4, 0, Filter::Shuffle, 1, 10_000), &content, &mut scratch);
    let mut out = Vec::new();
    assert_eq!(Blosc::decode_parts(&stored, content.len(), &[25_000..25_001], &mut scratch, &mut out).unwrap(), 1);
    assert_eq!(out[20_000..30_000], content[20_000..30_000]);
}

#[test]
fn memory_is_within_the_bounds() {
    let content = mixed(3 << 19);
    for &(compressor, name) in COMPRESSORS.iter().filter(|known| known.0 != Compressor::Snappy) {
        for (level, block_size) in [(1, 0), (5, 0), (9, 0), (2, 400_000)] {
            for len in [1, 1000, 100_000, 3 << 19] {
                // The last level of zstd takes long.
                if (name, level) == ("zstd", 9) && len > 100_000 {
                    continue;
                }
                let mut scratch = Scratch::default();
                let codec = codec(compressor, level, Filter::Shuffle, 4, block_size);
                let encoded = encode(codec, &content[..len], &mut scratch);
                let buffers = |scratch: &mut Scratch| (0..4).map(|_| scratch.take().capacity()).sum::<usize>() as u64;
                let context = if name == "zstd" && len > MIN_BYTES {
                    scratch.zstd_encoder(stream::zstd_level(level), false).unwrap().sizeof()
                } else {
                    0
                };
                let got = buffers(&mut scratch) + context as u64;
                assert!(got <= codec.encode_memory(len as u64), "{name} {level} {len}: {got} > {}", codec.encode_memory(len as u64));
                // Working space that only streams near the end of the frame need.
                let header = encode::plan(&codec, len);
                let most = got + header.format.spare_bytes(header.block_len) as u64 + (1 << 20);
                assert!(name == "zstd" || codec.encode_memory(len as u64) <= most, "{name} {level} {len}: not far from it");
                let mut out = Vec::new();
                Blosc::decode(&encoded, len, &mut scratch, &mut out).unwrap();
                assert!(out.capacity() == len && buffers(&mut scratch) <= len as u64);
            }
        }
    }
}

#[test]
fn what_is_missing_follows_from_the_size_of_an_element() {
    // FMT-BL-1 and FMT-BL-2.
    let read =
        |value: Value, item_size: usize| Blosc::from_metadata(&NamedConfig::new("blosc", value.as_object().unwrap().clone()), item_size);
    let full = |cname, clevel, shuffle, typesize, blocksize| {
        let members = json!({"cname": cname, "clevel": clevel, "shuffle": shuffle, "typesize": typesize, "blocksize": blocksize});
        NamedConfig::new("blosc", members.as_object().unwrap().clone())
    };
    for (value, item_size, expected) in [
        (json!({}), 4, full("zstd", 5, "shuffle", 4, 0)),
        (json!({}), 1, full("zstd", 5, "bitshuffle", 1, 0)),
        (json!({"cname": "lz4", "clevel": 0, "shuffle": "noshuffle"}), 16, full("lz4", 0, "noshuffle", 16, 0)),
        (json!({"shuffle": "noshuffle", "typesize": 0}), 2, full("zstd", 5, "noshuffle", 2, 0)),
        (json!({"shuffle": 0}), 2, full("zstd", 5, "noshuffle", 2, 0)),
        (json!({"shuffle": 1, "clevel": 9}), 1, full("zstd", 9, "shuffle", 1, 0)),
        (json!({"shuffle": 2, "blocksize": 4096}), 8, full("zstd", 5, "bitshuffle", 8, 4096)),
        (json!({"shuffle": -1}), 8, full("zstd", 5, "shuffle", 8, 0)),
        (json!({"typesize": 2}), 8, full("zstd", 5, "shuffle", 2, 0)),
        (json!({"cname": "snappy"}), 1000, full("snappy", 5, "shuffle", 1000, 0)),
        (json!({"typesize": 1}), 1, full("zstd", 5, "bitshuffle", 1, 0)),
    ] {
        let codec = read(value.clone(), item_size).unwrap();
        assert_eq!(codec.to_metadata(), expected, "{value}");
        assert_eq!(Blosc::from_metadata(&expected, 1).unwrap().to_metadata(), expected, "{value}");
    }
    for (value, place) in [
        (json!({"cname": "zlib-ng"}), "cname"),
        (json!({"cname": null}), "cname"),
        (json!({"clevel": 10}), "clevel"),
        (json!({"clevel": -1}), "clevel"),
        (json!({"shuffle": 3}), "shuffle"),
        (json!({"shuffle": "auto"}), "shuffle"),
        (json!({"typesize": 0}), "typesize"),
        (json!({"typesize": 2.0}), "typesize"),
        (json!({"blocksize": -1}), "blocksize"),
        (json!({"nthreads": 1}), "nthreads"),
    ] {
        match read(value.clone(), 2) {
            Err(Error::Metadata { pointer, .. }) => assert_eq!(pointer, format!("/configuration/{place}"), "{value}"),
            other => panic!("{value}: {other:?}"),
        }
    }
}

#[test]
fn snappy_is_not_written() {
    // FMT-BL-8.
    let codec = codec(Compressor::Snappy, 5, Filter::Shuffle, 4, 0);
    for result in [codec.check_encodable(), codec.encode(&ramp(1000), &mut Scratch::default(), &mut |_| Ok(()))] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Unsupported { .. }) && error.to_string().contains("lz4 or zstd"), "{error}");
    }
    assert!(Blosc::check_len(MAX_BYTES as u64).is_ok() && Blosc::check_len(MAX_BYTES as u64 + 1).is_err());
}
