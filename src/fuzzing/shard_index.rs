//! The index of a shard.

use std::rc::Rc;

use crate::fuzzing::input::Input;
use crate::fuzzing::known;
use crate::metadata::ArrayMetadata;

/// Shapes of shards in inner chunks of one element.
const COUNTS: &[&[u64]] = &[&[4], &[2, 3], &[1], &[], &[5, 1, 2], &[100]];

/// The codecs behind the byte order, and how many checksums they are.
const CHECKSUMS: &[(&str, usize)] = &[("", 0), (",\"crc32c\"", 1), (",\"crc32c\",\"crc32c\"", 2)];

/// What the bytes of an index are worth, and where it lies.
struct Choice {
    metadata: Rc<ArrayMetadata>,
    checksums: usize,
    at_start: bool,
    shard_bytes: u64,
}

/// The first bytes choose the codecs of an index and the size of its shard; the rest is the index, whose checksums are made right first.
///
/// An index that is taken names only bytes of the shard that are not its own, and is written as it was.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let Choice { metadata, checksums, at_start, shard_bytes } = choose(&mut input);
    let sharding = metadata.codecs.sharding().expect("a sharded array");
    let mut encoded = input.rest().to_vec();
    for _ in 0..checksums {
        let checksum = crc32c::crc32c(&encoded);
        encoded.extend(checksum.to_le_bytes());
    }
    let place = sharding.index_place(shard_bytes);
    let Ok(index) = sharding.decode_index(&encoded, shard_bytes) else { return false };
    let (from, len) = place.expect("a shard that has room for the index that was read");
    assert_eq!((len, from), (encoded.len() as u64, if at_start { 0 } else { shard_bytes - len }));
    for position in 0..sharding.unit_count() {
        let Some((offset, len)) = index.get(position) else { continue };
        let end = offset.checked_add(len).expect("an inner chunk that wraps around");
        let bodies = if at_start { encoded.len() as u64..=shard_bytes } else { 0..=from };
        assert!(bodies.contains(&offset) && bodies.contains(&end), "inner chunk {position} at {offset}..{end}, not in {bodies:?}");
    }
    assert!(sharding.encode_index(&index).unwrap() == encoded, "the index is written differently");
    true
}

fn choose(input: &mut Input<'_>) -> Choice {
    let counts = input.pick(COUNTS);
    let &(codecs, checksums) = input.pick(CHECKSUMS);
    let flags = input.byte();
    let (at_start, endian) = (flags & 1 != 0, if flags & 2 != 0 { "big" } else { "little" });
    let shard_bytes = if flags & 4 != 0 { u64::MAX - input.number() as u64 } else { input.number() as u64 };
    let location = if at_start { "start" } else { "end" };
    let document = format!(
        r#"{{"zarr_format":3,"node_type":"array","shape":{counts:?},"data_type":"uint8","fill_value":0,"chunk_key_encoding":"default",
        "chunk_grid":{{"name":"regular","configuration":{{"chunk_shape":{counts:?}}}}},"codecs":[{{"name":"sharding_indexed","configuration":{{
        "chunk_shape":{:?},"codecs":["bytes"],"index_location":"{location}",
        "index_codecs":[{{"name":"bytes","configuration":{{"endian":"{endian}"}}}}{codecs}]}}}}]}}"#,
        vec![1; counts.len()]
    );
    let metadata = known::array(document).expect("the document of an array");
    Choice { metadata, checksums, at_start, shard_bytes }
}

/// Indexes of every shape and codec, some inner chunks missing.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (position, counts) in (0_u8..).zip(COUNTS) {
        for flags in 0..4_u8 {
            let mut seed = vec![position, (position + flags) % 3, flags];
            seed.extend(60_000_u16.to_le_bytes());
            for chunk in 0..counts.iter().product::<u64>() {
                let entry = if chunk % 3 == 2 { [u64::MAX; 2] } else { [10_000 + chunk * 7, 7] };
                seed.extend(entry.iter().flat_map(|number| if flags & 2 != 0 { number.to_be_bytes() } else { number.to_le_bytes() }));
            }
            seeds.push(seed);
        }
    }
    seeds
}
