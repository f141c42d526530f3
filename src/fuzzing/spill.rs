//! The shuffle buffer and its spill file; and the journal, which leads to it.

use std::cell::RefCell;

use crate::fuzzing::input::Input;
use crate::fuzzing::journal;
use crate::shuffle::{FileShare, Partitions, SEGMENT_BYTES, ShuffleBuffer, Sizes, SpillPlace};

/// The most bytes of records of one input.
const MOST_BYTES: usize = 3 << 19;

/// The first byte chooses one of four inputs: records that are pushed, and bytes of the spill file to be changed; a spill file whose segments are
/// whole, and say anything; a table of partitions that says anything; or a journal.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    match input.byte() {
        255 => journal::check(data.get(1..).unwrap_or_default()),
        254 => check_table(&mut input),
        choice if choice.is_multiple_of(2) => check_records(&mut input),
        _ => check_segments(&mut input),
    }
}

/// A state of a shuffle in a file that says anything is refused, or what is shown of it lies in the file.
fn check_table(input: &mut Input<'_>) -> bool {
    let directory = std::env::temp_dir();
    let count = 1 + usize::from(input.byte()) % 8;
    let [start, offset, end] = [0; 3].map(|_| u64::from(input.byte()) * 16);
    let content = input.take(1 << 16);
    let Ok(partitions) = Partitions::from_saved(content, (start, offset, end), count, &directory) else { return false };
    for partition in 0..count {
        let shown: usize = taken(&partitions, partition).unwrap_or_default().iter().map(|record| record.len() + 4).sum();
        assert!(shown <= content.len(), "{shown} bytes of records from a file of {}", content.len());
    }
    true
}

/// Records come back, each once, in the partitions that they were pushed to; from a file that was changed too, or there is an error.
fn check_records(input: &mut Input<'_>) -> bool {
    let partition_count = 1 + usize::from(input.byte()) % 40;
    let changes: Vec<(usize, u8)> = (0..input.byte() % 4).map(|_| (input.number() * 37, input.byte())).collect();
    let mut records: Vec<Vec<Vec<u8>>> = vec![Vec::new(); partition_count];
    thread_local! {
        // What an earlier input left in it shows nowhere.
        static SLAB: RefCell<Vec<u8>> = RefCell::default();
    }
    let mut slab = SLAB.take();
    let sizes = Sizes::new(SEGMENT_BYTES);
    slab.resize(usize::try_from(sizes.smallest_slab_bytes(partition_count as u64, 1)).unwrap(), 0);
    let place = SpillPlace { directory: &std::env::temp_dir(), behind: false };
    let buffer = ShuffleBuffer::new(&mut slab, partition_count, 1, sizes, FileShare::create(place).unwrap()).unwrap();
    let mut total = 0;
    while !input.is_empty() && total < MOST_BYTES {
        let (partition, len) = (usize::from(input.byte()) % partition_count, input.number() * 5 % (sizes.record_bytes() + 1));
        let mut record = vec![input.byte(); len];
        record.iter_mut().zip(input.take(2)).for_each(|(byte, first)| *byte = *first);
        buffer.push(partition, &record).unwrap();
        records[partition].push(record);
        total += len;
    }
    let partitions = buffer.seal().unwrap();
    SLAB.set(slab);
    let mut changed = false;
    for (offset, mask) in changes {
        let Ok(byte) = partitions.byte(offset as u64) else { continue };
        partitions.overwrite(offset as u64, &[byte ^ mask]).unwrap();
        changed |= mask != 0;
    }
    for (partition, mut expected) in records.into_iter().enumerate() {
        let bytes: usize = expected.iter().map(Vec::len).sum();
        assert_eq!((partitions.record_count(partition), partitions.record_bytes(partition)), (expected.len() as u64, bytes as u64));
        match taken(&partitions, partition) {
            Some(mut found) => {
                expected.sort_unstable();
                found.sort_unstable();
                assert!(found == expected, "the records of partition {partition} have changed");
            }
            None => assert!(changed, "records of partition {partition} are refused"),
        }
    }
    true
}

/// All records of a partition; none after an error.
fn taken(partitions: &Partitions, partition: usize) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let visit = &mut |record: &[u8]| {
        found.push(record.to_vec());
        Ok(())
    };
    partitions.take(partition, &mut Vec::new(), visit).is_ok().then_some(found)
}

/// Segments whose checksums are right (SPL-1), while links and records are what the input says: what is shown lies in the file, and there
/// is an end to it.
fn check_segments(input: &mut Input<'_>) -> bool {
    let (mut content, mut segments) = (Vec::new(), Vec::new());
    while !input.is_empty() && segments.len() < 50 {
        let (partition, previous, len) = (u32::from(input.byte() % 3), input.byte(), input.number() % 5000);
        let payload = input.take(len);
        let nowhere = (u64::MAX, 0);
        let (offset, bytes) = match previous {
            0..128 => segments.iter().rev().nth(usize::from(previous)).map_or(nowhere, |&(_, offset, bytes)| (offset, bytes)),
            128..192 => nowhere,
            _ => (content.len() as u64 + u64::from(previous - 192) * 16, usize::from(previous)),
        };
        segments.push((partition, content.len() as u64, payload.len()));
        content.extend(segment(partition, (offset, bytes), payload));
    }
    let Some(&(_, offset, bytes)) = segments.last() else { return false };
    let partitions = Partitions::from_content(&content, &[(offset, bytes); 3], &std::env::temp_dir()).unwrap();
    let mut any = false;
    for partition in 0..3 {
        let Some(found) = taken(&partitions, partition) else { continue };
        let shown: usize = found.iter().map(|record| record.len() + 4).sum();
        assert!(shown <= content.len(), "{shown} bytes of records from a file of {}", content.len());
        any = true;
    }
    any
}

fn segment(partition: u32, (offset, bytes): (u64, usize), payload: &[u8]) -> Vec<u8> {
    let mut segment = b"RZSG".to_vec();
    segment.extend(partition.to_le_bytes());
    segment.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
    segment.extend([0; 4]);
    segment.extend(offset.to_le_bytes());
    segment.extend(u32::try_from(bytes).unwrap().to_le_bytes());
    segment.extend([0; 4]);
    segment.extend(payload);
    let checksum = crc32fast::hash(&segment);
    segment[12..16].copy_from_slice(&checksum.to_le_bytes());
    segment
}

/// Few records and many; two segments of one partition.
pub fn seeds() -> Vec<Vec<u8>> {
    let record = |partition: u8, len: u16| [&[partition][..], &len.to_le_bytes(), &[1, 2, partition]].concat();
    let few = [&[0, 2, 0][..], &record(0, 100), &record(2, 0), &record(1, 3000), &record(0, 7)].concat();
    let changed = [&[0, 2, 1, 3, 0, 8][..], &record(0, 100), &record(1, 5)].concat();
    let many = [&[0, 39, 0][..], &(0..60).flat_map(|n| record(n % 7, 30_000 + u16::from(n))).collect::<Vec<_>>()].concat();
    let first = [&[2, 255, 7, 0][..], &3_u32.to_le_bytes(), b"abc"].concat();
    let second = [&[2, 0, 14, 0][..], &0_u32.to_le_bytes(), &6_u32.to_le_bytes(), b"defghi"].concat();
    let chained = [&[1][..], &[2, 128], &first[2..], &second].concat();
    // Two partitions of nothing, behind no segments.
    let empty = [&u64::MAX.to_le_bytes()[..], &[0; 20]].concat().repeat(2);
    let table = [&[254, 1, 0, 0, 4][..], &empty, &[0; 8]].concat();
    let mut seeds = vec![few, changed, many, chained, table];
    seeds.extend(journal::seeds().into_iter().map(|seed| [&[255][..], &seed].concat()));
    seeds
}
