//! Streams against whole chunks: the same bytes out, the same verdict about what comes in, whatever the slabs. Memory is in `memory`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::codec::Scratch;
use crate::dtype::{DataType, FillValue};
use crate::json::NamedConfig;

mod foreign;
mod memory;

/// More than any test needs.
const PLENTY: u64 = 1 << 60;

pub(super) fn build(codecs: &Value, len: u64, data_type: &DataType) -> CodecPipeline {
    let codecs: Vec<_> = codecs.as_array().unwrap().iter().map(|codec| NamedConfig::from_json(codec).unwrap()).collect();
    CodecPipeline::from_metadata(&codecs, &[len], data_type, &FillValue::zero(data_type)).unwrap()
}

/// Single bytes through these codecs.
pub(super) fn bytes(len: usize, stages: &[Value]) -> CodecPipeline {
    let list = std::iter::once(json!({"name": "bytes"})).chain(stages.iter().cloned()).collect();
    build(&Value::Array(list), len as u64, &DataType::UInt8)
}

pub(super) fn zstd(level: i32) -> Value {
    json!({"name": "zstd", "configuration": {"level": level, "checksum": false}})
}

pub(super) fn gzip() -> Value {
    json!({"name": "gzip", "configuration": {"level": 6}})
}

fn blosc(cname: &str, level: u8, shuffle: &str, typesize: usize, block: usize) -> Value {
    json!({"name": "blosc", "configuration": {"cname": cname, "clevel": level, "shuffle": shuffle, "typesize": typesize, "blocksize": block}})
}

/// Bytes that lie in memory; it must not be read where there are none.
pub(super) struct Slice<'a>(pub(super) &'a [u8]);

impl Source for Slice<'_> {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        out.copy_from_slice(&self.0[usize::try_from(offset).unwrap()..][..out.len()]);
        Ok(())
    }
}

pub(super) fn encode_whole(pipeline: &CodecPipeline, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let sink = &mut |piece: &[u8]| {
        out.extend_from_slice(piece);
        Ok(())
    };
    pipeline.encode(&mut data.to_vec(), &mut Scratch::default(), sink).unwrap();
    out
}

pub(super) fn decode_whole(pipeline: &CodecPipeline, encoded: &[u8]) -> Result<Vec<u8>> {
    pipeline.decode(encoded, &mut Scratch::default(), &mut Vec::new()).map(|decoded| decoded.unwrap().to_vec())
}

/// Pushes slabs of these sizes, one after the other and again.
pub(super) fn encode_slabs(pipeline: &CodecPipeline, data: &[u8], slabs: &[usize]) -> Result<Vec<u8>> {
    let (mut encoder, mut out, mut rest) = (StreamEncoder::new(pipeline)?, Vec::new(), data);
    for &slab in slabs.iter().cycle() {
        let (now, later) = rest.split_at(slab.min(rest.len()));
        encoder.push(now, &mut |piece| {
            assert!(!piece.is_empty());
            out.extend_from_slice(piece);
            Ok(())
        })?;
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    let patch = encoder.finish(&mut |piece| {
        out.extend_from_slice(piece);
        Ok(())
    })?;
    if let Some(Patch { offset, bytes }) = patch {
        let offset = usize::try_from(offset).unwrap();
        assert!(out[offset..][..bytes.len()].iter().all(|&byte| byte == 0), "the place was kept");
        out[offset..][..bytes.len()].copy_from_slice(&bytes);
    }
    Ok(out)
}

/// Takes slabs of these sizes, one after the other and again.
pub(super) fn decode_slabs(pipeline: &CodecPipeline, encoded: &[u8], slabs: &[usize], memory: u64) -> Result<Vec<u8>> {
    let mut decoder = StreamDecoder::new(pipeline, Slice(encoded), memory)?;
    let mut out = vec![0xA5; pipeline.chunk_bytes()];
    let mut rest = out.as_mut_slice();
    for &slab in slabs.iter().cycle() {
        let (now, later) = rest.split_at_mut(slab.min(rest.len()));
        decoder.next(now)?;
        rest = later;
        if rest.is_empty() {
            break;
        }
    }
    decoder.finish()?;
    Ok(out)
}

/// Numbers of which some parts compress and others do not.
pub(super) fn some_data(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut out = Vec::with_capacity(len + 64);
    while out.len() < len {
        match next() % 3 {
            0 => out.extend(std::iter::repeat_n(next().to_le_bytes()[0], usize::try_from(next() % 400).unwrap())),
            1 => out.extend((0..next() % 200).flat_map(|i| u32::try_from(i * 3 + 1000).unwrap().to_le_bytes())),
            _ => out.extend((0..next() % 100).map(|_| next().to_le_bytes()[1])),
        }
    }
    out.truncate(len);
    out
}

/// Whether whole chunk and stream agree about `encoded`.
fn verdicts_agree(pipeline: &CodecPipeline, encoded: &[u8], slabs: &[usize]) -> std::result::Result<(), String> {
    let (whole, slabs) = (decode_whole(pipeline, encoded), decode_slabs(pipeline, encoded, slabs, PLENTY));
    match (&whole, &slabs) {
        (Ok(whole), Ok(slabs)) if whole == slabs => Ok(()),
        (Err(whole), Err(slabs)) if std::mem::discriminant(whole) == std::mem::discriminant(slabs) => Ok(()),
        // What is found first depends on where one looks first.
        (Err(whole), Err(slabs)) if ![whole, slabs].iter().any(|error| matches!(error, Error::InvalidArgument { .. })) => Ok(()),
        // FMT-STR-5: what would need more memory than one block.
        (Ok(_), Err(Error::Unsupported { what, .. })) if what.contains("streams of") => Ok(()),
        _ => Err(format!("{:?}: whole {whole:?}, stream {slabs:?}", pipeline.to_metadata())),
    }
}

/// Chains that are decoded as streams, most of which are encoded so as well.
fn stages() -> impl Strategy<Value = Vec<Value>> {
    let compressor = prop_oneof![
        Just(zstd(1)),
        Just(zstd(-5)),
        Just(json!({"name": "zstd", "configuration": {"level": 3, "checksum": true}})),
        Just(gzip()),
        Just(json!({"name": "gzip", "configuration": {"level": 1}})),
        Just(json!({"name": "numcodecs.zlib", "configuration": {"level": 1}})),
    ];
    let checksum = prop::sample::select(vec![
        json!({"name": "crc32c"}),
        json!({"name": "numcodecs.crc32"}),
        json!({"name": "numcodecs.crc32", "configuration": {"location": "end"}}),
        json!({"name": "numcodecs.adler32"}),
        json!({"name": "numcodecs.adler32", "configuration": {"location": "end"}}),
    ]);
    let blosc = (
        prop::sample::select(vec!["lz4", "zstd", "blosclz", "zlib"]),
        prop::sample::select(vec![0_u8, 1, 5]),
        prop::sample::select(vec!["noshuffle", "shuffle", "bitshuffle"]),
        prop::sample::select(vec![1_usize, 2, 4, 8]),
        prop::sample::select(vec![0_usize, 128, 256, 1024]),
    );
    let blosc = blosc.prop_map(|(cname, level, shuffle, typesize, block)| self::blosc(cname, level, shuffle, typesize, block));
    let checksums = || prop::collection::vec(checksum.clone(), 0..3);
    prop_oneof![
        3 => prop::collection::vec(prop_oneof![compressor, checksum.clone()], 0..4),
        2 => (checksums(), blosc, checksums()).prop_map(|(before, blosc, behind)| [before, vec![blosc], behind].concat()),
    ]
}

fn data_types() -> impl Strategy<Value = DataType> {
    use DataType as T;
    prop::sample::select(vec![T::UInt8, T::Int4, T::Int16, T::Float64, T::Complex128, T::Raw { size_bytes: 3 }])
}

fn pipelines() -> impl Strategy<Value = CodecPipeline> {
    (stages(), data_types(), any::<bool>(), 1_u64..3000).prop_map(|(stages, data_type, big, len)| {
        let order = json!({"name": "bytes", "configuration": {"endian": if big { "big" } else { "little" }}});
        build(&Value::Array(std::iter::once(order).chain(stages).collect()), len, &data_type)
    })
}

fn slabs() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        prop::collection::vec(1_usize..40, 1..5),
        prop::collection::vec(prop_oneof![1_usize..5, 100_usize..3000], 1..5),
        Just(vec![1 << 20]),
    ]
}

/// Data that come back bit by bit from elements of this type.
fn data(pipeline: &CodecPipeline, seed: u64) -> Vec<u8> {
    decode_whole(pipeline, &encode_whole(pipeline, &some_data(pipeline.chunk_bytes(), seed))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// FMT-STR-1, FMT-STR-4
    #[test]
    fn streams_are_what_whole_chunks_are(pipeline in pipelines(), slabs in slabs(), others in slabs(), seed in any::<u64>()) {
        prop_assert_eq!(pipeline.decode_obstacle(), None);
        let data = data(&pipeline, seed);
        let whole = encode_whole(&pipeline, &data);
        prop_assert_eq!(decode_slabs(&pipeline, &whole, &slabs, PLENTY).unwrap(), &data[..]);
        match pipeline.encode_obstacle() {
            None => {
                let streamed = encode_slabs(&pipeline, &data, &slabs).unwrap();
                prop_assert_eq!(decode_whole(&pipeline, &streamed).unwrap(), &data[..]);
                prop_assert_eq!(decode_slabs(&pipeline, &streamed, &others, PLENTY).unwrap(), &data[..]);
            }
            Some(_) => prop_assert!(StreamEncoder::new(&pipeline).is_err()),
        }
    }

    /// FMT-STR-2
    #[test]
    fn what_is_passed_over_is_left_out(
        pipeline in pipelines(), pieces in prop::collection::vec((any::<bool>(), 1_usize..5000), 1..12), seed in any::<u64>(),
    ) {
        let data = data(&pipeline, seed);
        let whole = encode_whole(&pipeline, &data);
        let mut decoder = StreamDecoder::new(&pipeline, Slice(&whole), PLENTY).unwrap();
        let mut at = 0;
        for &(skip, len) in pieces.iter().cycle() {
            let len = len.min(data.len() - at);
            if skip {
                decoder.skip(len as u64).unwrap();
            } else {
                let mut out = vec![0; len];
                decoder.next(&mut out).unwrap();
                prop_assert_eq!(&out, &data[at..at + len]);
            }
            at += len;
            if at == data.len() {
                break;
            }
        }
        decoder.finish().unwrap();
    }

    /// FMT-STR-3
    #[test]
    fn truncations_and_flipped_bits_get_the_same_verdict(
        pipeline in pipelines(), slabs in slabs(), seed in any::<u64>(), places in prop::collection::vec(any::<prop::sample::Index>(), 12),
        more in prop::collection::vec(any::<u8>(), 0..6),
    ) {
        let whole = encode_whole(&pipeline, &data(&pipeline, seed));
        for place in &places {
            let cut = &whole[..place.index(whole.len())];
            prop_assert_eq!(verdicts_agree(&pipeline, cut, &slabs), Ok(()));
            let mut flipped = whole.clone();
            let bit = place.index(whole.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(verdicts_agree(&pipeline, &flipped, &slabs), Ok(()), "bit {}", bit);
        }
        for behind in [&more[..], &[0; 4], &[0; 600]] {
            prop_assert_eq!(verdicts_agree(&pipeline, &[&whole, behind].concat(), &slabs), Ok(()));
        }
    }
}

/// FMT-STR-3
#[test]
fn every_bit_of_small_chunks_gets_the_same_verdict() {
    let crc = json!({"name": "crc32c"});
    let before = json!({"name": "numcodecs.adler32"});
    for stages in [
        vec![zstd(3)],
        vec![json!({"name": "zstd", "configuration": {"level": 1, "checksum": true}}), crc.clone()],
        vec![crc.clone(), zstd(1)],
        vec![gzip(), before.clone()],
        vec![before, gzip()],
        vec![json!({"name": "numcodecs.zlib"})],
        vec![gzip(), crc, zstd(1)],
        vec![blosc("lz4", 5, "shuffle", 4, 128)],
        vec![blosc("zstd", 5, "bitshuffle", 2, 256)],
        vec![blosc("blosclz", 1, "noshuffle", 1, 128)],
        vec![blosc("zlib", 0, "noshuffle", 1, 0)],
    ] {
        let pipeline = bytes(700, &stages);
        let whole = encode_whole(&pipeline, &some_data(700, 5));
        for len in 0..whole.len() {
            verdicts_agree(&pipeline, &whole[..len], &[64]).unwrap();
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            verdicts_agree(&pipeline, &flipped, &[100, 1]).unwrap();
        }
    }
}

/// FMT-STR-1
#[test]
fn what_cannot_be_streamed_is_named() {
    let bz2 = json!({"name": "numcodecs.bz2"});
    let fletcher = json!({"name": "numcodecs.fletcher32"});
    let before = json!({"name": "numcodecs.crc32"});
    let lz4 = blosc("lz4", 5, "noshuffle", 1, 0);
    for (stages, decode, encode) in [
        (vec![bz2.clone()], Some("numcodecs.bz2"), Some("numcodecs.bz2")),
        (vec![zstd(1), fletcher], Some("numcodecs.fletcher32"), Some("numcodecs.fletcher32")),
        (vec![json!({"name": "numcodecs.shuffle"}), zstd(1)], Some("numcodecs.shuffle"), Some("numcodecs.shuffle")),
        (vec![before.clone(), zstd(1)], None, Some("numcodecs.crc32")),
        (vec![zstd(1), before], None, None),
        (vec![gzip(), zstd(1)], None, Some("zstd")),
        (vec![zstd(1), gzip()], None, None),
        (vec![lz4.clone(), json!({"name": "crc32c"})], None, Some("blosc")),
        (vec![lz4.clone(), zstd(1)], Some("blosc"), Some("blosc")),
        (vec![json!({"name": "crc32c"}), lz4], None, None),
        (vec![blosc("lz4", 5, "noshuffle", 100, 130)], None, Some("blosc")),
        (vec![blosc("snappy", 5, "noshuffle", 1, 0)], None, Some("blosc")),
    ] {
        let pipeline = bytes(100_000, &stages);
        assert_eq!(pipeline.decode_obstacle().as_deref(), decode, "{stages:?}");
        assert_eq!(pipeline.encode_obstacle().as_deref(), encode, "{stages:?}");
        if let Some(name) = encode {
            let Err(Error::Unsupported { what, .. }) = StreamEncoder::new(&pipeline) else { panic!("{stages:?}") };
            assert!(what.contains(name) || name == "blosc", "{what}");
        }
        if let Some(name) = decode {
            let Err(Error::Unsupported { what, .. }) = StreamDecoder::new(&pipeline, Slice(&[]), PLENTY) else { panic!("{stages:?}") };
            assert!(what.contains(name), "{what}");
        }
    }
    for (codecs, data_type, name) in [
        (json!([{"name": "vlen-utf8"}]), DataType::String, "vlen-utf8"),
        (json!([{"name": "packbits"}]), DataType::Bool, "packbits"),
        (
            json!([{"name": "bitround", "configuration": {"keepbits": 3}}, {"name": "bytes", "configuration": {"endian": "little"}}]),
            DataType::Float32,
            "bitround",
        ),
    ] {
        assert_eq!(build(&codecs, 8, &data_type).decode_obstacle().as_deref(), Some(name));
    }
}

/// FMT-STR-2
#[test]
fn too_much_and_too_little_is_asked_for() {
    let pipeline = bytes(100, &[gzip()]);
    let whole = encode_whole(&pipeline, &some_data(100, 1));
    let begin = || StreamDecoder::new(&pipeline, Slice(&whole), PLENTY).unwrap();
    assert!(matches!(begin().next(&mut [0; 101]), Err(Error::InvalidArgument { .. })));
    assert!(matches!(begin().skip(101), Err(Error::InvalidArgument { .. })));
    let mut decoder = begin();
    decoder.next(&mut [0; 99]).unwrap();
    assert!(matches!(decoder.finish(), Err(Error::InvalidArgument { .. })));
    let mut encoder = StreamEncoder::new(&pipeline).unwrap();
    encoder.push(&[1; 99], &mut |_| Ok(())).unwrap();
    assert!(matches!(encoder.push(&[1; 2], &mut |_| Ok(())), Err(Error::InvalidArgument { .. })));
    let mut encoder = StreamEncoder::new(&pipeline).unwrap();
    encoder.push(&[1; 99], &mut |_| Ok(())).unwrap();
    assert!(matches!(encoder.finish(&mut |_| Ok(())), Err(Error::InvalidArgument { .. })));
    // An error of the sink is the caller's.
    let mut encoder = StreamEncoder::new(&bytes(10, &[])).unwrap();
    assert!(matches!(encoder.push(&[1; 10], &mut |_| Err(Error::Cancelled)), Err(Error::Cancelled)));
}
