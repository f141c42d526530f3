//! Indexes read and made in pieces, beside indexes at once.

use super::*;
use crate::codec::{IndexReader, IndexWriter};

/// Bytes that lie in memory. No more than a piece of them is asked for at once, once there are many.
struct Slice<'a> {
    bytes: &'a [u8],
    reads: usize,
}

impl Source for Slice<'_> {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        self.reads += 1;
        assert!(out.len() <= 64 << 10);
        out.copy_from_slice(&self.bytes[usize::try_from(offset).unwrap()..][..out.len()]);
        Ok(())
    }
}

/// A place that grows, and is empty where nothing was written.
#[derive(Default)]
struct Place(Vec<u8>);

impl Spill for Place {
    fn read(&mut self, offset: u64, out: &mut [u8]) -> Result<()> {
        let offset = usize::try_from(offset).unwrap();
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.0.get(offset + i).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.0.resize(self.0.len().max(offset + bytes.len()), 0);
        self.0[offset..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fn pipeline(count: u64, endian: &str, checksums: &[&str], location: &str) -> CodecPipeline {
    let order = json!({"name": "bytes", "configuration": {"endian": endian}});
    let index_codecs: Vec<_> = std::iter::once(order).chain(checksums.iter().map(|name| json!({"name": name}))).collect();
    let sharding = json!({"name": "sharding_indexed", "configuration": {"chunk_shape": [1], "codecs": [little()], "index_codecs": index_codecs,
        "index_location": location}});
    uint16(&json!([sharding]), &[count]).unwrap()
}

/// Entries of which some are missing, in a shard of so many bytes.
fn random_index(sharding: &Sharding, seed: u64) -> (ShardIndex, u64) {
    let mut state = seed | 1;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut index = ShardIndex::empty(sharding.unit_count()).unwrap();
    let mut end = if sharding.index_at_start() { sharding.index_bytes() } else { 0 };
    for position in 0..sharding.unit_count() {
        if next() % 3 > 0 {
            index.set(position, end, 2);
            end += 2;
        }
    }
    (index, end + if sharding.index_at_start() { 0 } else { sharding.index_bytes() })
}

fn read(sharding: &Sharding, encoded: &[u8], shard_bytes: u64) -> Result<Vec<Option<(u64, u64)>>> {
    let mut source = Slice { bytes: encoded, reads: 0 };
    let mut reader = sharding.read_index(&mut source, shard_bytes)?;
    (0..sharding.unit_count()).map(|position| reader.get(sharding, position, &mut source)).collect()
}

fn verdicts_agree(sharding: &Sharding, encoded: &[u8], shard_bytes: u64) {
    let whole = sharding.decode_index(encoded, shard_bytes);
    let pieces = read(sharding, encoded, shard_bytes);
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert!((0..sharding.unit_count()).all(|position| whole.get(position) == pieces[position])),
        (Err(Error::Corrupt { what: whole, .. }), Err(Error::Corrupt { what: pieces, .. })) => assert_eq!(whole, pieces),
        (Err(Error::ChecksumMismatch { .. }), Err(Error::ChecksumMismatch { .. } | Error::Corrupt { .. })) => {}
        (whole, pieces) => panic!("{whole:?}, {pieces:?}"),
    }
}

/// FMT-STR-7
#[test]
fn indexes_in_pieces_get_the_verdict_of_whole_ones() {
    for (count, endian, checksums, location) in [
        (1, "little", vec!["crc32c"], "end"),
        (700, "big", vec!["crc32c", "crc32c"], "start"),
        (8192, "little", vec![], "end"),
        (20_000, "little", vec!["crc32c"], "start"),
        (9000, "big", vec!["crc32c"], "end"),
        (8193, "big", vec![], "start"),
    ] {
        let pipeline = pipeline(count, endian, &checksums, location);
        let sharding = pipeline.sharding().unwrap();
        assert!(sharding.streams_index());
        let (index, shard_bytes) = random_index(sharding, count);
        let encoded = sharding.encode_index(&index).unwrap();
        verdicts_agree(sharding, &encoded, shard_bytes);
        assert!(read(sharding, &encoded, shard_bytes).is_ok());
        for shard_bytes in [0, 1, shard_bytes - 1, shard_bytes - 2, sharding.index_bytes() - 1, u64::MAX] {
            verdicts_agree(sharding, &encoded, shard_bytes);
        }
        for len in [0, 1, encoded.len() - 1] {
            verdicts_agree(sharding, &encoded[..len], shard_bytes);
        }
        for bit in (0..encoded.len() * 8).step_by((encoded.len() * 8 / 40).max(1) | 1) {
            let mut flipped = encoded.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            verdicts_agree(sharding, &flipped, shard_bytes);
        }
        // Inner chunks that share all of a shard, more often than encoders could.
        let mut shared = ShardIndex::empty(sharding.unit_count()).unwrap();
        let start = if sharding.index_at_start() { sharding.index_bytes() } else { 0 };
        let bytes = shard_bytes - sharding.index_bytes();
        (0..sharding.unit_count()).for_each(|position| shared.set(position, start, bytes));
        verdicts_agree(sharding, &sharding.encode_index(&shared).unwrap(), shard_bytes);
    }
}

/// FMT-STR-7
#[test]
fn large_indexes_are_read_page_by_page() {
    let pipeline = pipeline(100_000, "little", &["crc32c"], "end");
    let sharding = pipeline.sharding().unwrap();
    let (index, shard_bytes) = random_index(sharding, 7);
    let encoded = sharding.encode_index(&index).unwrap();
    let mut source = Slice { bytes: &encoded, reads: 0 };
    let mut reader = sharding.read_index(&mut source, shard_bytes).unwrap();
    assert!(matches!(reader, IndexReader::Paged(_)));
    source.reads = 0;
    // In order, each page once; rows of eight columns that are far apart, too.
    for position in (0..100_000).chain((0..12_500).flat_map(|row| (0..8).map(move |column| column * 12_500 + row))) {
        assert_eq!(reader.get(sharding, position, &mut source).unwrap(), index.get(position));
    }
    assert!(source.reads <= 196 * 3, "{} reads", source.reads);
    // In any order.
    for i in 0..20_000_usize {
        let position = i * 61_813 % 100_000;
        assert_eq!(reader.get(sharding, position, &mut source).unwrap(), index.get(position));
    }
    // What is there now is not what was checked.
    let mut changed = encoded.clone();
    changed[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    for page in 0..16 {
        reader.get(sharding, 50_000 + 512 * page, &mut source).unwrap();
    }
    let error = reader.get(sharding, 0, &mut Slice { bytes: &changed, reads: 0 });
    assert_eq!(error.is_err(), index.get(0).is_some(), "{error:?}");
    assert_eq!(reader.get(sharding, 0, &mut source).unwrap(), index.get(0));
}

fn finished(writer: &IndexWriter, sharding: &Sharding, place: &mut Place) -> Vec<u8> {
    let mut out = Vec::new();
    let sink = &mut |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    writer.finish(sharding, place, sink).unwrap();
    out
}

/// FMT-STR-7
#[test]
fn indexes_made_in_pieces_are_those_made_at_once() {
    for (count, endian, checksums) in [
        (1, "little", vec!["crc32c"]),
        (513, "big", vec![]),
        (8192, "little", vec!["crc32c"]),
        (8193, "little", vec!["crc32c", "crc32c"]),
        (30_000, "big", vec!["crc32c"]),
        (100, "little", vec!["numcodecs.crc32"]),
        (10_000, "little", vec!["numcodecs.fletcher32"]),
    ] {
        let pipeline = pipeline(count, endian, &checksums, "end");
        let sharding = pipeline.sharding().unwrap();
        let (index, _) = random_index(sharding, count);
        let expected = sharding.encode_index(&index).unwrap();
        for step in [1, 7919] {
            let (mut writer, mut place) = (IndexWriter::empty(sharding).unwrap(), Place::default());
            assert_eq!(writer.spills(), count > 8192 && !checksums.contains(&"numcodecs.fletcher32"));
            for i in 0..sharding.unit_count() {
                let position = i * step % sharding.unit_count();
                if let Some(entry) = index.get(position) {
                    writer.set(position, entry, &mut place).unwrap();
                }
            }
            let got = finished(&writer, sharding, &mut place);
            assert!(got == expected, "{count} entries");
            assert_eq!(place.0.is_empty(), !writer.spills());
        }
        // None is there.
        let got = finished(&IndexWriter::empty(sharding).unwrap(), sharding, &mut Place::default());
        assert!(got == sharding.encode_index(&ShardIndex::empty(sharding.unit_count()).unwrap()).unwrap());
    }
}

/// FMT-STR-7
#[test]
fn what_was_set_aside_is_counted_when_it_comes_back() {
    let pipeline = pipeline(30_000, "little", &["crc32c"], "end");
    let sharding = pipeline.sharding().unwrap();
    let (mut writer, mut place) = (IndexWriter::empty(sharding).unwrap(), Place::default());
    for position in (0..17).map(|page| page * 512) {
        writer.set(position, (5, 5), &mut place).unwrap();
    }
    let spoiled = |result: crate::error::Result<()>| matches!(result, Err(crate::error::Error::Corrupt { .. }));
    assert!(spoiled(writer.set(0, (5, 5), &mut place)), "an entry is set once");
    assert!(spoiled(writer.finish(sharding, &mut Place::default(), &mut |_| Ok(()))), "what was set aside is gone");
    writer.finish(sharding, &mut place, &mut |_| Ok(())).unwrap();
}

/// FMT-STR-7: an index of the largest shard there is.
#[test]
fn memory_of_an_index_has_an_end() {
    for count in [1, 8192, 8193, 1 << 26] {
        let pipeline = pipeline(count, "little", &["crc32c"], "end");
        let sharding = pipeline.sharding().unwrap();
        assert!(sharding.index_memory() <= (256 << 10) + 64, "{count}: {}", sharding.index_memory());
        assert!(sharding.index_writer_memory() <= 160 << 10, "{count}: {}", sharding.index_writer_memory());
    }
    let pipeline = pipeline(10_000, "little", &["numcodecs.fletcher32"], "end");
    assert!(!pipeline.sharding().unwrap().streams_index());
    assert!(pipeline.sharding().unwrap().index_memory() > 480_000);
}
