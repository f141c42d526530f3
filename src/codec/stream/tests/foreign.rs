//! Encoded chunks that other writers make, and some that nobody does.

use super::*;

fn agree(pipeline: &CodecPipeline, encoded: &[u8], accepted: bool) {
    for slabs in [&[1_usize][..], &[7, 1000], &[1 << 20]] {
        verdicts_agree(pipeline, encoded, slabs).unwrap();
    }
    assert_eq!(decode_whole(pipeline, encoded).is_ok(), accepted);
}

/// FMT-STR-3
#[test]
fn several_frames_and_members() {
    let data = some_data(5000, 3);
    let parts: Vec<&[u8]> = data.chunks(1800).collect();
    let joined = |stage: &Value, between: &[u8]| {
        let encoded: Vec<_> = parts.iter().map(|part| encode_whole(&bytes(part.len(), std::slice::from_ref(stage)), part)).collect();
        [between, &encoded[0], between, &encoded[1], &encoded[2], between].concat()
    };
    let skippable = [&0x184d_2a53_u32.to_le_bytes()[..], &300_000_u32.to_le_bytes(), &vec![7; 300_000]].concat();
    let whole = bytes(data.len(), &[zstd(1)]);
    agree(&whole, &joined(&zstd(1), &[]), true);
    agree(&whole, &joined(&zstd(1), &skippable), true);
    agree(&whole, &[joined(&zstd(1), &[]), skippable[..200].to_vec()].concat(), false);
    for behind in [&b"abc"[..], b"abcdefgh", &[0; 3], &[0; 4], &[0; 9]] {
        agree(&whole, &[&joined(&zstd(1), &[]), behind].concat(), false);
    }
    agree(&whole, &skippable, false);
    agree(&whole, &[], false);
    let whole = bytes(data.len(), &[gzip()]);
    agree(&whole, &joined(&gzip(), &[]), true);
    agree(&whole, &[joined(&gzip(), &[]), vec![0; 600_000]].concat(), true);
    agree(&whole, &[joined(&gzip(), &[]), vec![0; 600_000], vec![1]].concat(), false);
    agree(&whole, &joined(&gzip(), &[0; 5]), false);
    let fancy = [&[0x1f, 0x8b, 8, 4 | 8 | 16, 1, 2, 3, 4, 0, 3, 2, 0, 9, 9][..], b"name\0", b"comment\0"].concat();
    let plain = encode_whole(&whole, &data);
    agree(&whole, &[&fancy, &plain[10..]].concat(), true);
    for len in 0..fancy.len() {
        agree(&whole, &fancy[..len], false);
    }
    let whole = bytes(data.len(), &[json!({"name": "numcodecs.zlib"})]);
    agree(&whole, &joined(&json!({"name": "numcodecs.zlib"}), &[]), false);
    agree(&whole, &[0x78, 0x20 | 0x1d, 1, 2, 3, 4], false);
}

/// FMT-STR-3
#[test]
fn frames_without_content_size_and_with_less_or_more_than_the_chunk() {
    // Blocks of 128 KiB of zeros.
    let zeros = |header: &[u8], blocks: u32| {
        let mut frame = [&0xfd2f_b528_u32.to_le_bytes()[..], header].concat();
        for block in 0..blocks {
            frame.extend_from_slice(&((128 << 10 << 3) | (1 << 1) | u32::from(block + 1 == blocks)).to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    };
    let frame = zeros(&[0, 7 << 3], 3);
    for (len, accepted) in [(3 << 17, true), ((3 << 17) + 1, false), ((3 << 17) - 1, false), (1 << 17, false)] {
        agree(&bytes(len, &[zstd(1)]), &frame, accepted);
    }
    // A dictionary, a reserved bit, a reserved block type.
    for header in [&[1, 0, 7][..], &[8, 0]] {
        agree(&bytes(1 << 17, &[zstd(1)]), &zeros(header, 1), false);
    }
    let mut frame = zeros(&[0, 7 << 3], 1);
    frame[6] |= 3 << 1;
    agree(&bytes(1 << 17, &[zstd(1)]), &frame, false);
}

/// FMT-STR-3: an intermediate size has its limit as well.
#[test]
fn padding_between_two_compressors_has_an_end() {
    let data = some_data(300, 9);
    let inner = encode_whole(&bytes(300, &[gzip()]), &data);
    for (zeros, accepted) in [(10, true), (4000, false)] {
        let padded = [inner.clone(), vec![0; zeros]].concat();
        let outer = encode_whole(&bytes(padded.len(), &[zstd(1)]), &padded);
        agree(&bytes(300, &[gzip(), zstd(1)]), &outer, accepted);
    }
}

/// FMT-BL-5: blocks in any order, and blocks that share bytes.
#[test]
fn blocks_of_blosc_lie_anywhere() {
    let data: Vec<u8> = some_data(4096, 7).chunks(256).flat_map(|chunk| [chunk, chunk].concat()).collect();
    let stage = [blosc("zstd", 5, "noshuffle", 1, 256)];
    let pipeline = bytes(data.len(), &stage);
    let whole = encode_whole(&pipeline, &data);
    let blocks = data.len() / 256;
    let start = |frame: &[u8], block: usize| u32::from_le_bytes(frame[16 + 4 * block..][..4].try_into().unwrap()) as usize;
    let end = |block| if block + 1 < blocks { start(&whole, block + 1) } else { whole.len() };
    let mut reversed = whole[..16 + 4 * blocks].to_vec();
    for block in (0..blocks).rev() {
        let at = u32::try_from(reversed.len()).unwrap();
        reversed[16 + 4 * block..][..4].copy_from_slice(&at.to_le_bytes());
        reversed.extend_from_slice(&whole[start(&whole, block)..end(block)]);
    }
    assert_eq!(reversed.len(), whole.len());
    agree(&pipeline, &reversed, true);
    // Every second block is like the one before it.
    let mut shared = whole.clone();
    for block in (1..blocks).step_by(2) {
        shared.copy_within(16 + 4 * (block - 1)..20 + 4 * (block - 1), 16 + 4 * block);
    }
    agree(&pipeline, &shared, true);
    // All blocks are the longest one.
    let longest = (0..blocks).max_by_key(|&block| end(block) - start(&whole, block)).unwrap();
    let mut same = whole.clone();
    for block in 0..blocks {
        same.copy_within(16 + 4 * longest..20 + 4 * longest, 16 + 4 * block);
    }
    agree(&pipeline, &same, decode_whole(&pipeline, &same).is_ok());
    for wrong in [0_u32, 15, u32::try_from(16 + 4 * blocks - 1).unwrap(), u32::try_from(whole.len()).unwrap(), u32::MAX] {
        let mut frame = whole.clone();
        frame[16..20].copy_from_slice(&wrong.to_le_bytes());
        agree(&pipeline, &frame, false);
    }
}

/// FMT-STR-5: a stream that is longer than what it holds is decoded at once, and not slab after slab.
#[test]
fn long_streams_of_blosc_are_refused_by_number() {
    let data = vec![5; 256];
    let pipeline = bytes(256, &[blosc("zstd", 5, "noshuffle", 1, 256)]);
    let skippable = [&0x184d_2a53_u32.to_le_bytes()[..], &2000_u32.to_le_bytes(), &vec![7; 2000]].concat();
    let stream = [skippable, encode_whole(&bytes(256, &[zstd(1)]), &data)].concat();
    let size = |len: usize| u32::try_from(len).unwrap().to_le_bytes();
    let frame =
        [&[2, 1, 16 | 4 << 5, 1][..], &size(256), &size(256), &size(24 + stream.len()), &size(20), &size(stream.len()), &stream].concat();
    assert_eq!(decode_whole(&pipeline, &frame).unwrap(), data);
    let error = decode_slabs(&pipeline, &frame, &[256], PLENTY).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains(&(4 + stream.len()).to_string())), "{error}");
}

/// FMT-BL-10
#[test]
fn content_that_does_not_get_smaller_has_room_for_sizes() {
    let mut state = 1_u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    let noise: Vec<u8> = noise.take(300_000).collect();
    for (stage, least) in [(blosc("zstd", 5, "noshuffle", 1, 128), 300_000 / 128 * 8), (blosc("lz4", 5, "shuffle", 16, 0), 16 + 4 + 16 * 4)]
    {
        let pipeline = bytes(noise.len(), &[stage]);
        let streamed = encode_slabs(&pipeline, &noise, &[100_000]).unwrap();
        let added = streamed.len() - noise.len();
        assert!((least..=noise.len() / 16 + 64).contains(&added), "{added}");
        agree(&pipeline, &streamed, true);
        assert_eq!(decode_whole(&pipeline, &streamed).unwrap(), noise);
        assert_eq!(encode_whole(&pipeline, &noise).len(), noise.len() + 16);
    }
}
