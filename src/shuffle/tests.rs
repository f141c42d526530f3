//! Tests of the shuffle buffer: what goes in comes out, whatever the sizes, the slab and the number of threads.

use proptest::prelude::*;

use super::*;
use crate::error::Error;

const LARGEST: Sizes = Sizes { segment_bytes: SEGMENT_BYTES };

fn place(directory: &Path) -> FileShare {
    FileShare::create(SpillPlace { directory, behind: false }).unwrap()
}

fn records_of(partitions: &Partitions, partition: usize) -> Vec<Vec<u8>> {
    let (mut out, mut buffer) = (Vec::new(), Vec::new());
    partitions
        .take(partition, &mut buffer, &mut |record| {
            out.push(record.to_vec());
            Ok(())
        })
        .unwrap();
    assert!(buffer.capacity() <= 2 * SEGMENT_BYTES);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_goes_in_comes_out(
        partition_count in 1_usize..40,
        lengths in prop::collection::vec(prop_oneof![0_usize..40, 0_usize..3000, 200_000_usize..1 << 18], 0..120),
        log in 11_u32..21,
        extra in 0_usize..1_000_000,
        threads in 1_usize..4,
    ) {
        let sizes = Sizes::new(1 << log);
        let smallest = usize::try_from(sizes.smallest_slab_bytes(partition_count as u64, threads)).unwrap();
        let mut slab = vec![0xAA; smallest + extra];
        let directory = tempfile::tempdir().unwrap();
        let buffer = ShuffleBuffer::new(&mut slab, partition_count, threads, sizes, place(directory.path())).unwrap();
        let records: Vec<(usize, Vec<u8>)> = lengths
            .iter()
            .enumerate()
            .map(|(i, &len)| (i, len.min(sizes.record_bytes())))
            .map(|(i, size)| (i * 7 % partition_count, (0..size).map(|b| (b ^ i) as u8).collect()))
            .collect();
        std::thread::scope(|scope| {
            for thread in 0..threads {
                let (records, buffer) = (&records, &buffer);
                scope.spawn(move || {
                    for (partition, record) in records.iter().skip(thread).step_by(threads) {
                        buffer.push(*partition, record).unwrap();
                    }
                });
            }
        });
        let partitions = buffer.seal().unwrap();
        for partition in 0..partition_count {
            let mut expected: Vec<Vec<u8>> =
                records.iter().filter(|(p, _)| *p == partition).map(|(_, record)| record.clone()).collect();
            let mut got = records_of(&partitions, partition);
            expected.sort();
            got.sort();
            prop_assert_eq!(partitions.record_bytes(partition), expected.iter().map(|r| r.len() as u64).sum::<u64>());
            prop_assert_eq!(got, expected);
        }
    }
}

#[test]
fn a_slab_that_is_too_small_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut slab = vec![0; 100];
    assert!(ShuffleBuffer::new(&mut slab, 1, 1, LARGEST, place(directory.path())).is_err());
}

/// SPL-3: records of the largest size.
#[test]
fn all_records_of_one_partition_pass_through_a_small_slab() {
    let directory = tempfile::tempdir().unwrap();
    let mut slab = vec![0; usize::try_from(LARGEST.smallest_slab_bytes(1000, 1)).unwrap()];
    let buffer = ShuffleBuffer::new(&mut slab, 1000, 1, LARGEST, place(directory.path())).unwrap();
    for i in 0..100_u8 {
        buffer.push(17, &vec![i; 1 << 18]).unwrap();
    }
    let partitions = buffer.seal().unwrap();
    let mut got = records_of(&partitions, 17);
    got.sort();
    assert_eq!(got.len(), 100);
    assert!(got.iter().enumerate().all(|(i, record)| record.iter().all(|&b| usize::from(b) == i)));
    assert_eq!(partitions.record_bytes(17), 100 * (1 << 18) as u64);
    assert_eq!(partitions.record_count(17), 100);
    assert!(partitions.file_bytes() > 100 * (1 << 18) as u64);
}

/// The way through the segments of a partition, shared by threads: every record is shown once. Several flush at once.
#[test]
fn threads_share_the_segments_of_a_partition() {
    let sizes = Sizes::new(4096);
    let mut slab = vec![0; 200_000];
    let directory = tempfile::tempdir().unwrap();
    let buffer = ShuffleBuffer::new(&mut slab, 3, 2, sizes, place(directory.path())).unwrap();
    for i in 0..3000_u32 {
        buffer.push(i as usize % 3, &i.to_le_bytes().repeat(40)).unwrap();
    }
    std::thread::scope(|scope| [0; 3].map(|_| scope.spawn(|| buffer.flush().unwrap())).map(|thread| thread.join().unwrap()));
    let partitions = buffer.seal().unwrap();
    let segments = partitions.segments(1);
    let read = || {
        let (mut seen, mut buffer) = (Vec::new(), Vec::new());
        let visit = &mut |record: &[u8]| {
            seen.push(u32::from_le_bytes(record[..4].try_into().unwrap()));
            Ok(())
        };
        while segments.next(&mut buffer, visit).unwrap() {}
        seen
    };
    let mut seen: Vec<u32> =
        std::thread::scope(|scope| [0; 3].map(|_| scope.spawn(read)).into_iter().flat_map(|thread| thread.join().unwrap()).collect());
    seen.sort_unstable();
    assert_eq!(seen, (0..3000).filter(|i| i % 3 == 1).collect::<Vec<_>>());
}

/// SPL-6.
#[test]
fn all_sizes_follow_from_that_of_a_segment() {
    for log in 11..=20 {
        let sizes = Sizes::new(1 << log);
        assert_eq!((sizes.segment_bytes(), sizes.record_bytes()), (1 << log, 1 << (log - 2)));
        for slab_bytes in [1 << 12, 1 << 16, 1 << 20, 1 << 26] {
            let page = sizes.page_bytes(slab_bytes, 100);
            assert!(page.is_power_of_two() && (16..=1 << (log - 4)).contains(&page), "pages of {page} bytes");
        }
    }
}

/// Records of some lengths for each partition.
fn some_records(partitions: usize, from: usize, count: usize) -> Vec<(usize, Vec<u8>)> {
    (from..from + count).map(|i| (i * 7 % partitions, vec![(i % 251) as u8; i * 37 % 500])).collect()
}

fn sorted(partitions: &Partitions, partition: usize) -> Vec<Vec<u8>> {
    let mut records = records_of(partitions, partition);
    records.sort();
    records
}

/// SPL-13: what was saved is gone on with, in the middle of pushing and after it; what was pushed after the state was saved does not come back.
#[test]
fn a_saved_state_is_gone_on_with() {
    const COUNT: usize = 5;
    let directory = tempfile::tempdir().unwrap();
    let name = SpillName::inside(directory.path(), "id");
    let sizes = Sizes::new(2048);
    let mut slab = vec![0; usize::try_from(sizes.smallest_slab_bytes(COUNT as u64, 1)).unwrap()];
    let spill = NamedSpill::create(&name, false).unwrap();
    let buffer = ShuffleBuffer::new(&mut slab, COUNT, 1, sizes, spill.share()).unwrap();
    let push = |buffer: &ShuffleBuffer<'_>, records: &[(usize, Vec<u8>)]| {
        records.iter().for_each(|(partition, record)| buffer.push(*partition, record).unwrap());
    };
    push(&buffer, &some_records(COUNT, 0, 300));
    let saved = buffer.save().unwrap();
    push(&buffer, &some_records(COUNT, 5000, 200));
    drop((buffer, spill));

    let spill = NamedSpill::reopen(&name, saved.end, false).unwrap();
    let buffer = ShuffleBuffer::new(&mut slab, COUNT, 1, sizes, spill.resumed(&saved)).unwrap().resume(&saved).unwrap();
    assert_eq!(buffer.record_count(), 300);
    push(&buffer, &some_records(COUNT, 300, 300));
    let partitions = buffer.seal().unwrap();
    let after = partitions.save().unwrap();
    drop((partitions, spill));

    let mut spill = NamedSpill::reopen(&name, after.end, false).unwrap();
    spill.forget_table(&saved);
    let partitions = Partitions::resume(spill.resumed(&after), &after, COUNT, sizes).unwrap();
    for again in [false, true] {
        for partition in 0..COUNT {
            let expected = some_records(COUNT, 0, 600).into_iter().filter(|(p, _)| *p == partition).map(|(_, record)| record);
            let mut expected: Vec<_> = expected.collect();
            expected.sort();
            assert!(sorted(&partitions, partition) == expected, "partition {partition}, {again}");
        }
    }
    partitions.release(3).unwrap();
    // Another block comes behind, and gives back what lies before it.
    let share = spill.share();
    let start = spill.end();
    let buffer = ShuffleBuffer::new(&mut slab, COUNT, 1, sizes, share).unwrap();
    push(&buffer, &some_records(COUNT, 0, 100));
    let third = buffer.save().unwrap();
    assert_eq!(third.start, start);
    spill.forget_before(third.start);
    let partitions = Partitions::resume(spill.resumed(&third), &third, COUNT, sizes).unwrap();
    assert_eq!((0..COUNT).map(|partition| sorted(&partitions, partition).len()).sum::<usize>(), 100);
    assert!(Partitions::resume(spill.resumed(&after), &after, COUNT, sizes).is_err(), "what was given back is gone");
}

/// SPL-13: a table that is not the one that was saved is refused, and nothing in it is followed.
#[test]
fn a_damaged_table_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let name = SpillName::inside(directory.path(), "id");
    let sizes = Sizes::new(2048);
    let mut slab = vec![0; usize::try_from(sizes.smallest_slab_bytes(3, 1)).unwrap()];
    let spill = NamedSpill::create(&name, false).unwrap();
    let buffer = ShuffleBuffer::new(&mut slab, 3, 1, sizes, spill.share()).unwrap();
    some_records(2, 0, 50).iter().for_each(|(partition, record)| buffer.push(*partition, record).unwrap());
    let saved = buffer.save().unwrap();
    let resume = |saved: &Saved, count| Partitions::resume(spill.resumed(saved), saved, count, sizes);
    assert_eq!(resume(&saved, 3).unwrap().record_count(2), 0);
    let path = directory.path().join(".rechunk.spill");
    let whole = std::fs::read(&path).unwrap();
    let table = usize::try_from(saved.offset).unwrap();
    for at in table..usize::try_from(saved.end).unwrap() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&path, &bytes).unwrap();
        assert!(resume(&saved, 3).is_err(), "byte {at}");
        // The same with the checksum that fits: a count alone may be wrong then, and nothing leads out of the segments.
        let fitting = Saved { checksum: crc32fast::hash(&bytes[table..]), ..saved };
        let Ok(partitions) = resume(&fitting, 3) else { continue };
        for partition in 0..3 {
            let shown = partitions.take(partition, &mut Vec::new(), &mut |_| Ok(()));
            assert!(shown.is_ok() || matches!(shown, Err(Error::Corrupt { .. } | Error::ChecksumMismatch { .. })), "{shown:?}");
        }
    }
    std::fs::write(&path, &whole).unwrap();
    for (changed, count) in [
        (saved, 2),
        (saved, 4),
        (saved, usize::MAX >> 8),
        (Saved { offset: u64::MAX, ..saved }, 3),
        (Saved { offset: saved.offset - 4096, ..saved }, 3),
        (Saved { start: u64::MAX, ..saved }, 3),
        (Saved { end: saved.end - 1, ..saved }, 3),
    ] {
        assert!(resume(&changed, count).is_err(), "{changed:?}, {count}");
    }
}
