//! Frames that are damaged or lie: an error, or a content of the right length that depends on nothing but the frame.

use proptest::prelude::*;

use super::*;
use crate::codec::lz4::block;

/// Frames of every compressor and filter, small enough to break at every bit: of one block, of several with a shorter last one, split, stored.
fn frames() -> Vec<(Vec<u8>, usize)> {
    let mut scratch = Scratch::default();
    let mut frames = Vec::new();
    for compressor in [Compressor::BloscLz, Compressor::Lz4, Compressor::Zlib, Compressor::Zstd] {
        for (filter, typesize, len, block_size) in [
            (Filter::None, 1, 300, 0),
            (Filter::Shuffle, 2, 600, 256),
            (Filter::BitShuffle, 4, 700, 256),
            (Filter::BitShuffle, 3, 391, 128),
        ] {
            frames.push((encode(codec(compressor, 5, filter, typesize, block_size), &ramp(len), &mut scratch), len));
        }
    }
    frames.push((encode(codec(Compressor::Lz4, 0, Filter::Shuffle, 4, 0), &ramp(150), &mut scratch), 150));
    let snappy = golden().into_iter().find(|(codec, ..)| codec.compressor == Compressor::Snappy && codec.typesize == 4).unwrap();
    frames.push((snappy.2, snappy.1.len()));
    frames
}

/// Decodes twice, to buffers that hold different things; both must come to the same.
fn decode_twice(frame: &[u8], len: usize) -> Result<Vec<u8>> {
    let filled = |byte: u8| {
        let (mut scratch, mut out) = (Scratch::default(), vec![byte; len + 9]);
        scratch.give(vec![byte; len + 9]);
        Blosc::decode(frame, len, &mut scratch, &mut out).map(|()| out)
    };
    let results = [filled(0x00), filled(0xff)];
    match results {
        [Ok(first), Ok(second)] => {
            assert_eq!(first, second, "what was in the buffers before shows");
            Ok(first)
        }
        [Err(first), Err(_)] => {
            assert!(matches!(first, Error::Corrupt { .. } | Error::Unsupported { .. }), "{first}");
            Err(first)
        }
        [first, second] => panic!("{first:?} and {second:?}"),
    }
}

#[test]
fn every_truncation_is_noticed() {
    for (frame, len) in frames() {
        for end in 0..frame.len() {
            assert!(decode_twice(&frame[..end], len).is_err(), "{end} of {} bytes", frame.len());
            // Also where the header agrees with the truncation.
            let mut shorter = frame[..end].to_vec();
            if let Some(size) = shorter.get_mut(12..16) {
                size.copy_from_slice(&frame::word(end));
                assert!(decode_twice(&shorter, len).is_err(), "{end} of {} bytes", frame.len());
            }
        }
        let longer = [&frame[..], &[0]].concat();
        assert!(decode_twice(&longer, len).is_err());
    }
}

#[test]
fn every_flipped_bit_is_an_error_or_content_of_the_right_length() {
    for (frame, len) in frames() {
        let mut refused = 0;
        for bit in 0..frame.len() * 8 {
            let mut bad = frame.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match decode_twice(&bad, len) {
                Ok(content) => assert!(content.len() <= len && (bit / 32 == 1 || content.len() == len), "bit {bit}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 40, "{refused} of {} bits", frame.len() * 8);
    }
}

/// A header, and what follows it.
fn frame(version: u8, format_version: u8, flags: u8, typesize: u8, sizes: [u32; 3], body: &[u8]) -> Vec<u8> {
    let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
    [&[version, format_version, flags, typesize][..], &sizes, body].concat()
}

#[test]
fn headers_that_lie_are_refused() {
    // FMT-BL-4: with a frame that is right, and all that can be wrong with it.
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    // Two blocks of four bytes, each one stream that is as long as what it holds.
    let body = [words(&[24, 32, 4]), b"abcd".to_vec(), words(&[4]), b"efgh".to_vec()].concat();
    let good = frame(2, 1, 0x30, 1, [8, 4, 40], &body);
    assert_eq!(decode(&good, 8).unwrap(), b"abcdefgh");
    let starts = |first: u32, second: u32| frame(2, 1, 0x30, 1, [8, 4, 40], &[words(&[first, second]), body[8..].to_vec()].concat());
    // FMT-BL-5: in any order, and shared.
    assert_eq!(decode(&starts(32, 24), 8).unwrap(), b"efghabcd");
    assert_eq!(decode(&starts(32, 32), 8).unwrap(), b"efghefgh");
    let stream = |size: u32| frame(2, 1, 0x30, 1, [8, 4, 40], &[words(&[24, 32, size]), body[12..].to_vec()].concat());
    for (bad, hint) in [
        (Vec::new(), "0 bytes where a header of 16"),
        (good[..15].to_vec(), "15 bytes where a header of 16"),
        (frame(1, 1, 0x30, 1, [8, 4, 40], &body), "version 1"),
        (frame(5, 1, 0x30, 1, [8, 4, 40], &body), "version 5"),
        (frame(2, 2, 0x30, 1, [8, 4, 40], &body), "lz4 of version 2"),
        (frame(2, 1, 0x38, 1, [8, 4, 40], &body), "flags 0x38"),
        (frame(2, 1, 0x35, 1, [8, 4, 40], &body), "flags 0x35"),
        (frame(2, 1, 0xb0, 1, [8, 4, 40], &body), "compressor number 5"),
        (frame(2, 1, 0xf0, 1, [8, 4, 40], &body), "compressor number 7"),
        (frame(2, 1, 0x30, 0, [8, 4, 40], &body), "element size is 0"),
        (frame(2, 1, 0x30, 1, [9, 4, 40], &body), "holds 9 bytes, more than the 8"),
        (frame(2, 1, 0x30, 1, [u32::MAX, 4, 40], &body), "content of 4294967295 bytes"),
        (frame(2, 1, 0x30, 1, [0x8000_0000, 4, 40], &body), "content of 2147483648 bytes"),
        (frame(2, 1, 0x30, 1, [8, 0, 40], &body), "blocks of 0 bytes"),
        (frame(2, 1, 0x30, 1, [8, 9, 40], &body), "blocks of 9 bytes in a frame that holds 8"),
        (frame(2, 1, 0x30, 1, [8, u32::MAX, 40], &body), "a block of 4294967295 bytes"),
        (frame(2, 1, 0x30, 1, [8, 4, 39], &body), "says that it has 39"),
        (frame(2, 1, 0x30, 1, [8, 4, 41], &body), "says that it has 41"),
        (frame(2, 1, 0x30, 1, [8, 1, 40], &body), "40 bytes with 8 blocks"),
        (frame(2, 1, 0x32, 1, [8, 4, 40], &body), "stored frame of 40 bytes that holds 8"),
        (frame(2, 1, 0x32, 1, [8, 8, 20], b"abcd"), "stored frame of 20 bytes that holds 8"),
        (starts(23, 32), "block 0 starts at byte 23; accepted are 24 to 40"),
        (starts(24, 0), "block 1 starts at byte 0"),
        (starts(24, 41), "block 1 starts at byte 41"),
        (starts(u32::MAX, 32), "block 0 starts at byte 4294967295"),
        (starts(24, 40), "block 1: a stream is not within the frame"),
        (starts(24, 37), "block 1: a stream is not within the frame"),
        (stream(13), "block 0: a stream is not within the frame"),
        (stream(u32::MAX), "block 0: a stream is not within the frame"),
        (stream(0x8000_0000), "block 0: a stream is not within the frame"),
        (stream(0), "lz4"),
        (stream(3), "lz4"),
        (stream(5), "lz4"),
    ] {
        let error = decode_twice(&bad, 8).unwrap_err().to_string();
        assert!(error.contains(hint), "{hint}: {error}");
        let error = Blosc::decode_parts(&bad, 8, &[0..8], &mut Scratch::default(), &mut Vec::new()).unwrap_err().to_string();
        assert!(error.contains(hint), "{hint}: {error}");
    }
    // Blocks of 257 bytes cannot be split in two.
    let body = [words(&[20, 257]), noise(257)].concat();
    assert_eq!(decode(&frame(2, 1, 0x30, 2, [257, 257, 281], &body), 257).unwrap(), noise(257));
    let error = decode_twice(&frame(2, 1, 0x20, 2, [257, 257, 281], &body), 257).unwrap_err();
    assert!(error.to_string().contains("split into 2"), "{error}");
    // Nothing at all is a content too; the chunk says that it is too short.
    assert_eq!(decode(&frame(2, 1, 0x32, 1, [0, 1, 16], &[]), 8).unwrap(), b"");
}

#[test]
fn blocks_cannot_share_a_stream_that_takes_long() {
    // FMT-BL-5: nothing in ever so many bytes, and then one byte of content: as zlib has it, and zstd.
    let empty = 1000;
    let zlib = [&[0x78, 1][..], &[0, 0, 0, 0xff, 0xff].repeat(empty), &[1, 1, 0, 0xfe, 0xff, b'a', 0, 0x62, 0, 0x62]].concat();
    let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0][..], &[0, 0, 0].repeat(empty), &[9, 0, 0, b'a']].concat();
    for (code, stream) in [(3, zlib), (4, zstd)] {
        let shared = |len: u32| {
            let start = (16 + 4 * len).to_le_bytes();
            let body = [start.repeat(usize::try_from(len).unwrap()), frame::word(stream.len()).to_vec(), stream.clone()].concat();
            frame(2, 1, code << 5 | 0x10, 1, [len, 1, u32::try_from(16 + body.len()).unwrap()], &body)
        };
        assert_eq!(decode(&shared(1), 1).unwrap(), b"a");
        let error = decode_twice(&shared(1000), 1000).unwrap_err().to_string();
        assert!(error.contains("share their bytes"), "{error}");
        let error = Blosc::decode_parts(&shared(1000), 1000, &[0..1000], &mut Scratch::default(), &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("share their bytes"), "{error}");
    }
}

#[test]
fn a_bomb_costs_nothing() {
    // FMT-BL-4: 64 KiB that say that they hold over 1 GiB.
    for code in 0..5 {
        let content = 1_100_000_000;
        let body = vec![0; (64 << 10) - 16];
        let bomb = frame(2, 1, code << 5 | 0x10, 4, [content, 1 << 20, 64 << 10], &body);
        let mut out = Vec::new();
        let error = Blosc::decode(&bomb, 1 << 20, &mut Scratch::default(), &mut out).unwrap_err();
        assert!(error.to_string().contains("more than the 1048576 bytes"), "{error}");
        assert_eq!(out.capacity(), 0);
        // Also where the chunk may be as large as that: what the frame's length cannot hold is not made room for.
        if code != 4 {
            let error = Blosc::decode(&bomb, 2 << 30, &mut Scratch::default(), &mut out).unwrap_err();
            assert!(error.to_string().contains("cannot hold 1100000000"), "{error}");
            assert_eq!(out.capacity(), 0);
        }
    }
    // A stream that holds more than its place is not decoded beyond it.
    let mut scratch = Scratch::default();
    for compressor in [Compressor::BloscLz, Compressor::Lz4, Compressor::Zlib, Compressor::Zstd] {
        let mut bomb = encode(codec(compressor, 5, Filter::None, 1, 1 << 20), &vec![0; 1 << 20], &mut scratch);
        bomb[4..8].copy_from_slice(&1000_u32.to_le_bytes());
        bomb[8..12].copy_from_slice(&1000_u32.to_le_bytes());
        let mut out = Vec::new();
        let error = Blosc::decode(&bomb, 1000, &mut scratch, &mut out).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }) && out.capacity() <= 1000, "{compressor:?}: {error}");
    }
}

/// A run of instructions with matches of all lengths and distances, at random.
fn instructions() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(255), Just(32), 0_u8..8], 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_frame_is_refused_or_decoded(flags in any::<u8>(), typesize in 0_u8..20, len in 0_u32..2000, blocks in 1_u32..5, body in instructions()) {
        let block_len = len.div_ceil(blocks);
        let starts = (0..len.div_ceil(block_len.max(1))).flat_map(|block| (16 + 4 * blocks + block).to_le_bytes());
        let body: Vec<u8> = starts.chain(body).collect();
        let bytes = frame(2, 1, flags, typesize, [len, block_len, u32::try_from(16 + body.len()).unwrap()], &body);
        if let Ok(content) = decode_twice(&bytes, 2000) {
            prop_assert_eq!(content.len(), usize::try_from(len).unwrap());
        }
    }

    #[test]
    fn lz4_is_decoded_as_by_others(input in instructions(), len in 0_usize..1200) {
        let mut expected = vec![1; len];
        let mut got = vec![2; len];
        match lz4_flex::block::decompress_into(&input, &mut expected) {
            Ok(size) => {
                prop_assert_eq!(block::decode(&input, &mut got), Ok(size));
                prop_assert_eq!(&got[..size], &expected[..size]);
            }
            Err(_) => prop_assert!(block::decode(&input, &mut got).is_err()),
        }
    }

    #[test]
    fn lz4_comes_back(pieces in prop::collection::vec((0_usize..30, 0_usize..300, any::<u8>()), 0..20)) {
        let mut input = noise(50);
        for (from, len, byte) in pieces {
            input.push(byte);
            let from = input.len() - from.min(input.len() - 1) - 1;
            for i in from..from + len {
                input.push(input[i]);
            }
        }
        let encoded = lz4_flex::block::compress(&input);
        let mut out = vec![0; input.len()];
        prop_assert_eq!(block::decode(&encoded, &mut out), Ok(input.len()));
        prop_assert_eq!(&out, &input);
        let mut encoded = vec![0; input.len() + 100];
        let size = blosclz::compress(5, &input, &mut encoded).unwrap();
        out.fill(0);
        prop_assert_eq!(blosclz::decompress(&encoded[..size], &mut out), Some(input.len()));
        prop_assert_eq!(&out, &input);
        prop_assert_eq!(blosclz::compress(5, &input, &mut encoded[..size - 1]), None);
    }
}
