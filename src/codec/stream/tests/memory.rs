//! What streams take, against what was said before.

use ::zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use ::zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer};

use super::*;
use crate::codec::PIECE_BYTES;
use crate::codec::stream::zstd::{ZstdPush, window};

fn codec(level: i32) -> Zstd {
    Zstd::from_metadata(&NamedConfig::from_json(&self::zstd(level)).unwrap()).unwrap()
}

/// The beginning of the frame that an encoder makes of `len` bytes.
fn head(level: i32, len: u64) -> Vec<u8> {
    let mut encoder = CCtx::create();
    encoder.set_parameter(CParameter::CompressionLevel(level)).unwrap();
    encoder.set_pledged_src_size(Some(len)).unwrap();
    let mut out = vec![0; 1 << 10];
    let mut target = OutBuffer::around(&mut out[..]);
    encoder.compress_stream2(&mut target, &mut InBuffer::around(&[1]), ZSTD_EndDirective::ZSTD_e_flush).unwrap();
    target.as_slice().to_vec()
}

/// FMT-STR-5
#[test]
fn windows_of_encoders_are_those_of_the_table() {
    for level in [Zstd::MIN_LEVEL, -7, -1].into_iter().chain(0..=19) {
        for log in [9, 14, 18, 19, 21, 22, 31, 34] {
            for len in [(1_u64 << log) - 1, 1 << log, (1 << log) + 1] {
                let (got, expected) = (window(&head(level, len)).unwrap(), codec(level).expected_window(len));
                assert!(got <= expected, "level {level}, {len} bytes: {got} > {expected}");
                assert!(log < 31 || got == expected, "level {level}, {len} bytes: {got} < {expected}");
            }
        }
    }
    // What the last levels take is too much for a test.
    assert_eq!([20, 21, 22].map(|level| codec(level).expected_window(1 << 40)), [1 << 25, 1 << 26, 1 << 27]);
}

/// FMT-STR-5
#[test]
fn windows_are_read_from_frame_headers() {
    for (header, expected) in [
        (&[0_u8, 0][..], Some(1 << 10)),
        (&[0, (31 - 10) << 3 | 7], Some((1 << 31) + 7 * (1 << 28))),
        (&[0x20, 9], Some(9)),
        (&[0x60, 1, 1], Some(513)),
        (&[0xa0, 0, 0, 0, 0x80], Some(1 << 31)),
        (&[0xe0, 0, 0, 0, 0, 1, 0, 0, 0], Some(1 << 32)),
        (&[0x61, 99, 1, 1], Some(513)),
        (&[0x63, 99, 99, 99, 99, 1, 1], Some(513)),
        (&[0x60, 1], None),
        (&[0], None),
        (&[], None),
    ] {
        assert_eq!(window(&[&0xfd2f_b528_u32.to_le_bytes()[..], header].concat()), expected, "{header:?}");
    }
    assert_eq!(window(&0x184d_2a53_u32.to_le_bytes()), None);
}

/// A frame of zeros with this header, as far as its content reaches.
fn zeros(header: &[u8], blocks: u32) -> Vec<u8> {
    let mut frame = [&0xfd2f_b528_u32.to_le_bytes()[..], header].concat();
    for block in 0..blocks {
        frame.extend_from_slice(&((128 << 10 << 3) | (1 << 1) | u32::from(block + 1 == blocks)).to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// FMT-STR-5
#[test]
fn memory_of_decoders_is_within_the_bound() {
    for log in 10_u8..=24 {
        for header in [vec![0, (log - 10) << 3], [&[0x80, (log - 10) << 3][..], &(1_u32 << 30).to_le_bytes()].concat()] {
            let mut decoder = DCtx::create();
            decoder.set_parameter(DParameter::WindowLogMax(log.into())).unwrap();
            let frame = zeros(&header, 1);
            let mut out = [0; 100];
            let mut source = InBuffer::around(&frame);
            // Blocks of small windows are too large, which is found after everything is allocated.
            let _ = decoder.decompress_stream(&mut OutBuffer::around(&mut out[..]), &mut source);
            let (got, bound) = (decoder.sizeof() as u64, Zstd::pull_memory(1 << log));
            assert!(got <= bound && got > 1 << log, "window of 2^{log}: {got}, {bound}");
        }
    }
}

/// FMT-STR-5
#[test]
fn memory_of_encoders_is_within_the_bound() {
    for level in [-7, -1, 0, 1, 3, 5, 9, 12] {
        for len in [1_u64 << 10, 1 << 17, 1 << 21, 1 << 31, 1 << 40] {
            let mut encoder = ZstdPush::new(codec(level), len).unwrap();
            let data = some_data(usize::try_from(len.min(3 << 20)).unwrap(), 3);
            for piece in data.chunks(100_000) {
                encoder.push(piece, false, &mut |_| Ok(())).unwrap();
            }
            let (got, bound) = (encoder.held_bytes() as u64, codec(level).push_memory(len));
            assert!(got <= bound, "level {level}, {len} bytes: {got} > {bound}");
        }
    }
    for stages in [vec![gzip()], vec![json!({"name": "blosc", "configuration": {"cname": "lz4", "clevel": 5}})], vec![zstd(1), gzip()]] {
        let pipeline = bytes(3 << 20, &stages);
        let mut encoder = StreamEncoder::new(&pipeline).unwrap();
        encoder.push(&some_data(3 << 20, 5), &mut |_| Ok(())).unwrap();
        assert!(encoder.held_bytes() as u64 <= pipeline.stream_encode_memory(), "{stages:?}: {}", encoder.held_bytes());
        assert!(pipeline.stream_encode_memory() < 3 << 20, "{stages:?}: {}", pipeline.stream_encode_memory());
    }
}

/// FMT-STR-5: what issue is made of it: giants of the usual codecs go through little memory.
#[test]
fn the_usual_codecs_take_little() {
    for (stages, most) in
        [(vec![], 1 << 20), (vec![zstd(3)], 3 << 20), (vec![gzip()], 1 << 20), (vec![zstd(1), json!({"name": "crc32c"})], 2 << 20)]
    {
        let pipeline = bytes(1 << 40, &stages);
        assert!(pipeline.stream_decode_memory() <= most, "{stages:?}: {}", pipeline.stream_decode_memory());
        assert!(pipeline.stream_encode_memory() <= 4 << 20, "{stages:?}: {}", pipeline.stream_encode_memory());
    }
}

/// FMT-STR-5
#[test]
fn what_needs_more_is_refused_with_codec_and_number() {
    // All of a giant in one segment, a large window, one block.
    let giant = 1_u32 << 30;
    let size = |len: u32| len.to_le_bytes();
    let blosc = [&[2, 1, 16 | 4 << 5, 1][..], &size(giant), &size(giant), &size(1000), &size(20), &[0; 1000 - 20]].concat();
    for (stages, encoded, number, name) in [
        (vec![zstd(3)], zeros(&[&[0xa0][..], &size(giant)].concat(), 1), u64::from(giant), "zstd"),
        (vec![zstd(3), json!({"name": "numcodecs.crc32"})], [vec![0; 4], zeros(&[0, (25 - 10) << 3], 1)].concat(), 1 << 25, "zstd"),
        (vec![json!({"name": "blosc"})], blosc, u64::from(giant), "blosc"),
    ] {
        let pipeline = bytes(1 << 30, &stages);
        let memory = pipeline.stream_decode_memory();
        let Err(Error::BudgetTooSmall { required_bytes, budget_bytes, what }) = StreamDecoder::new(&pipeline, Slice(&encoded), memory)
        else {
            panic!("{stages:?}")
        };
        assert!(what.contains(name) && what.contains(&number.to_string()), "{what}");
        assert!(budget_bytes == memory && required_bytes > number && required_bytes < 4 * number, "{required_bytes}");
        assert_eq!(required_bytes, pipeline.frame_memory(&encoded[..HEAD_BYTES.min(encoded.len())]));
    }
}

/// FMT-STR-5: a window that a later frame asks for is not taken.
#[test]
fn later_frames_take_no_more_than_the_first() {
    let small = zeros(&[0, 7 << 3], 1);
    let large = zeros(&[0, 12 << 3], 1);
    let pipeline = bytes(2 << 17, &[zstd(-1)]);
    let memory = pipeline.frame_memory(&small);
    assert!(memory < Zstd::pull_memory(1 << 22));
    let two = [small.clone(), small.clone()].concat();
    assert_eq!(decode_slabs(&pipeline, &two, &[1000], memory).unwrap(), vec![0; 2 << 17]);
    let error = decode_slabs(&pipeline, &[small, large.clone()].concat(), &[1000], memory).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("131072 bytes") && what.contains("zstd")), "{error}");
    // With room for it, it is decoded.
    let memory = pipeline.frame_memory(&large);
    let two = [large.clone(), large].concat();
    assert_eq!(decode_slabs(&pipeline, &two, &[1000], memory).unwrap(), vec![0; 2 << 17]);
}

/// FMT-STR-4
#[test]
fn frames_of_streams_say_their_size() {
    let data = some_data(3 << 20, 3);
    let pipeline = bytes(data.len(), &[zstd(3)]);
    let streamed = encode_slabs(&pipeline, &data, &[PIECE_BYTES, 77, 1 << 20]).unwrap();
    assert_eq!(::zstd::zstd_safe::get_frame_content_size(&streamed).unwrap(), Some(data.len() as u64));
    assert!(streamed.len() as u64 <= pipeline.encoded_bound());
    assert!(streamed.len() < encode_whole(&pipeline, &data).len() * 21 / 20);
    assert_eq!(decode_slabs(&pipeline, &streamed, &[300_001], pipeline.stream_decode_memory()).unwrap(), data);
}
