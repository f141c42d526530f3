//! The spill-to-disk shuffle buffer: records of bytes go in by partition in any order, and come out partition by partition.
//!
//! It knows nothing of arrays. Records are collected in pages of a memory slab that the caller lends; when the slab is full, the fullest
//! partitions go to the spill file, each as one framed and checksummed segment, appended sequentially. After [`ShuffleBuffer::seal`] everything
//! is on file and the slab is free for other use; [`Partitions::take`] then reads one partition back, and its disk space is given up.
//!
//! Invariants
//! 1. Memory: pages in partitions + free pages + pages reserved by a running `push` = the slab. Beside it there is a fixed number of bytes a
//!    partition, and nothing that grows with the number of bytes pushed: segments of a partition are chained through their headers.
//! 2. A record never straddles two segments (SPL-3), and no segment's payload is larger than [`SEGMENT_BYTES`].
//! 3. No lock is held while another is taken, and none during input or output.
//! 4. What `take` shows has the checksum that it was written with, or the call fails.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::error::{Error, Result};

#[cfg(any(test, fuzzing))]
mod damage;
mod spill;

use spill::{Link, SpillFile};

/// The largest payload of a segment, in bytes.
pub(crate) const SEGMENT_BYTES: usize = 1 << 20;

/// The largest record, in bytes: small enough that a segment holds several.
pub(crate) const RECORD_BYTES: usize = 256 << 10;

/// The smallest page, in bytes.
const SMALLEST_PAGE_BYTES: usize = 512;

/// The largest page, in bytes.
const LARGEST_PAGE_BYTES: usize = 64 << 10;

/// Bytes in front of each record: its length.
const LENGTH_BYTES: usize = 4;

/// The smallest slab, in bytes, with which `threads` threads can push to `partition_count` partitions.
pub(crate) fn smallest_slab_bytes(partition_count: u64, threads: usize) -> u64 {
    let reserved = (threads as u64 + 2) * (RECORD_BYTES + 2 * LARGEST_PAGE_BYTES) as u64;
    partition_count.saturating_mul(2 * SMALLEST_PAGE_BYTES as u64).saturating_add(reserved)
}

/// Checks that a spill file can be made in `directory`, so that a run does not find out in its middle.
pub(crate) fn check_spill_directory(directory: &Path) -> Result<()> {
    SpillFile::create(directory).map(drop)
}

/// Bytes of bookkeeping a partition, beside the slab.
pub(crate) const PARTITION_OVERHEAD_BYTES: u64 = 320;

/// Collects records by partition; see the module.
#[derive(Debug)]
pub(crate) struct ShuffleBuffer<'a> {
    page_bytes: usize,
    free: Mutex<Vec<&'a mut [u8]>>,
    partitions: Vec<Partition<'a>>,
    spill: SpillFile,
}

#[derive(Debug)]
struct Partition<'a> {
    /// Bytes in pages, readable without the lock: it only guides the choice of what to spill.
    held_bytes: AtomicU32,
    state: Mutex<PartitionState<'a>>,
}

#[derive(Debug, Default)]
struct PartitionState<'a> {
    /// Full pages, then one that is filled up to where `held_bytes` ends.
    pages: Vec<&'a mut [u8]>,
    held_bytes: usize,
    /// The last segment written; earlier ones hang on its header.
    last: Option<Link>,
    /// Records pushed, and their bytes, framing excluded.
    record_count: u64,
    record_bytes: u64,
}

impl<'a> ShuffleBuffer<'a> {
    /// A buffer that works in `slab` and spills to an unnamed file in the directory `spill_dir`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the slab is smaller than [`smallest_slab_bytes`].
    pub(crate) fn new(slab: &'a mut [u8], partition_count: usize, threads: usize, spill_dir: &Path) -> Result<Self> {
        if (slab.len() as u64) < smallest_slab_bytes(partition_count as u64, threads) {
            return Err(Error::invalid(format!("a shuffle slab of {} bytes for {partition_count} partitions", slab.len())));
        }
        let page_bytes = page_bytes(slab.len(), partition_count);
        let free = slab.chunks_exact_mut(page_bytes).collect();
        let partitions = (0..partition_count).map(|_| Partition { held_bytes: AtomicU32::new(0), state: Mutex::default() }).collect();
        Ok(Self { page_bytes, free: Mutex::new(free), partitions, spill: SpillFile::create(spill_dir)? })
    }

    /// Adds a record of at most [`RECORD_BYTES`] bytes to a partition. May be called from several threads.
    pub(crate) fn push(&self, partition: usize, record: &[u8]) -> Result<()> {
        assert!(record.len() <= RECORD_BYTES, "a record of {} bytes", record.len());
        let Ok(length) = u32::try_from(record.len()) else { unreachable!("records are small") };
        let framed = LENGTH_BYTES + record.len();
        let mut reserved = self.reserve(framed.div_ceil(self.page_bytes))?;
        let full = {
            let owner = &self.partitions[partition];
            let mut state = owner.state.lock();
            let full = if state.held_bytes + framed > SEGMENT_BYTES { Some(self.detach(owner, &mut state)) } else { None };
            append(&mut state, self.page_bytes, &length.to_le_bytes(), &mut reserved);
            append(&mut state, self.page_bytes, record, &mut reserved);
            state.record_bytes += record.len() as u64;
            state.record_count += 1;
            owner.publish_held(state.held_bytes);
            full
        };
        self.free.lock().append(&mut reserved);
        match full {
            Some(segment) => self.write(partition, segment),
            None => Ok(()),
        }
    }

    /// Takes `count` free pages, spilling the fullest partitions until there are so many.
    fn reserve(&self, count: usize) -> Result<Vec<&'a mut [u8]>> {
        loop {
            {
                let mut free = self.free.lock();
                if free.len() >= count {
                    let at = free.len() - count;
                    return Ok(free.split_off(at));
                }
            }
            self.spill_fullest()?;
        }
    }

    fn spill_fullest(&self) -> Result<()> {
        let fullest = self.partitions.iter().enumerate().max_by_key(|(_, partition)| partition.held_bytes.load(Ordering::Relaxed));
        let Some((index, partition)) = fullest else { return Ok(()) };
        let segment = {
            let mut state = partition.state.lock();
            if state.held_bytes == 0 {
                // Another thread was faster; its pages are free by now or soon.
                std::thread::yield_now();
                return Ok(());
            }
            self.detach(partition, &mut state)
        };
        self.write(index, segment)
    }

    /// Takes the pages out of a partition and gives them a place in the file, so that the lock can go before they are written.
    fn detach(&self, partition: &Partition<'a>, state: &mut PartitionState<'a>) -> Detached<'a> {
        let pages = std::mem::take(&mut state.pages);
        let payload_bytes = std::mem::take(&mut state.held_bytes);
        partition.publish_held(0);
        let previous = state.last;
        let link = self.spill.allocate(payload_bytes);
        state.last = Some(link);
        Detached { pages, link, previous }
    }

    fn write(&self, partition: usize, mut segment: Detached<'a>) -> Result<()> {
        let mut rest = segment.link.payload_bytes;
        let filled = |page: &&'a mut [u8]| {
            let len = rest.min(page.len());
            rest -= len;
            len
        };
        let lengths: Vec<usize> = segment.pages.iter().map(filled).collect();
        let slices: Vec<&[u8]> = segment.pages.iter().zip(lengths).map(|(page, len)| &page[..len]).collect();
        let written = self.spill.write(partition, segment.link, segment.previous, &slices);
        self.free.lock().append(&mut segment.pages);
        written
    }

    /// Spills what is still in memory; the slab is free again when this returns. No push may be under way.
    pub(crate) fn seal(self) -> Result<Partitions> {
        let mut chains = Vec::with_capacity(self.partitions.len());
        for (index, partition) in self.partitions.iter().enumerate() {
            let segment = {
                let mut state = partition.state.lock();
                (state.held_bytes > 0).then(|| self.detach(partition, &mut state))
            };
            if let Some(segment) = segment {
                self.write(index, segment)?;
            }
            let state = partition.state.lock();
            chains.push(Chain { last: state.last, record_count: state.record_count, record_bytes: state.record_bytes });
        }
        Ok(Partitions { spill: self.spill, chains })
    }
}

impl Partition<'_> {
    fn publish_held(&self, bytes: usize) {
        self.held_bytes.store(u32::try_from(bytes).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

/// Pages on their way to the file.
struct Detached<'a> {
    pages: Vec<&'a mut [u8]>,
    link: Link,
    previous: Option<Link>,
}

/// Half a page is lost a partition on average, so pages are a fraction of what each partition has.
fn page_bytes(slab_bytes: usize, partition_count: usize) -> usize {
    let share = slab_bytes / partition_count.max(1) / 4;
    let power = if share == 0 { 0 } else { 1 << share.ilog2() };
    power.clamp(SMALLEST_PAGE_BYTES, LARGEST_PAGE_BYTES)
}

/// Copies `bytes` behind what the partition holds, taking pages from `reserved` as needed.
fn append<'a>(state: &mut PartitionState<'a>, page_bytes: usize, mut bytes: &[u8], reserved: &mut Vec<&'a mut [u8]>) {
    while !bytes.is_empty() {
        let used = state.held_bytes % page_bytes;
        if state.held_bytes == state.pages.len() * page_bytes {
            let Some(page) = reserved.pop() else { unreachable!("enough pages were reserved") };
            state.pages.push(page);
        }
        let Some(page) = state.pages.last_mut() else { unreachable!("a page was just added") };
        let len = bytes.len().min(page_bytes - used);
        page[used..used + len].copy_from_slice(&bytes[..len]);
        state.held_bytes += len;
        bytes = &bytes[len..];
    }
}

/// What was pushed, partition by partition, all of it in the spill file.
#[derive(Debug)]
pub(crate) struct Partitions {
    spill: SpillFile,
    chains: Vec<Chain>,
}

#[derive(Clone, Copy, Debug)]
struct Chain {
    last: Option<Link>,
    record_count: u64,
    record_bytes: u64,
}

impl Partitions {
    /// Bytes of records pushed to a partition, framing excluded.
    pub(crate) fn record_bytes(&self, partition: usize) -> u64 {
        self.chains[partition].record_bytes
    }

    /// Number of records pushed to a partition.
    pub(crate) fn record_count(&self, partition: usize) -> u64 {
        self.chains[partition].record_count
    }

    /// Number of partitions.
    pub(crate) fn len(&self) -> usize {
        self.chains.len()
    }

    /// Bytes written to the spill file, framing included.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.spill.file_bytes()
    }

    /// Shows `visit` every record of a partition, in no particular order, and gives up its disk space. `buffer` is working space that grows to
    /// at most [`SEGMENT_BYTES`] and a header.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::ChecksumMismatch`] when the file does not hold what was written.
    pub(crate) fn take(&self, partition: usize, buffer: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut next = self.chains[partition].last;
        while let Some(link) = next {
            let (payload, previous) = self.spill.read(partition, link, buffer)?;
            let mut rest = payload;
            while let Some((length, tail)) = rest.split_first_chunk::<LENGTH_BYTES>() {
                let length = u32::from_le_bytes(*length) as usize;
                let Some((record, tail)) = tail.split_at_checked(length) else {
                    return Err(Error::corrupt(format!("a record of {length} bytes passes the end of its segment")).at(self.spill.name()));
                };
                visit(record)?;
                rest = tail;
            }
            if !rest.is_empty() {
                return Err(Error::corrupt("a segment ends inside a record").at(self.spill.name()));
            }
            self.spill.discard(link);
            next = previous;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
            sizes in prop::collection::vec(prop_oneof![0_usize..40, 0_usize..3000, 200_000_usize..RECORD_BYTES], 0..120),
            extra in 0_usize..1_000_000,
            threads in 1_usize..4,
        ) {
            let smallest = usize::try_from(smallest_slab_bytes(partition_count as u64, threads)).unwrap();
            let mut slab = vec![0xAA; smallest + extra];
            let directory = tempfile::tempdir().unwrap();
            let buffer = ShuffleBuffer::new(&mut slab, partition_count, threads, directory.path()).unwrap();
            let records: Vec<(usize, Vec<u8>)> = sizes
                .iter()
                .enumerate()
                .map(|(i, &size)| (i * 7 % partition_count, (0..size).map(|b| (b ^ i) as u8).collect()))
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
        assert!(ShuffleBuffer::new(&mut slab, 1, 1, directory.path()).is_err());
    }

    /// SPL-3: records of the largest size.
    #[test]
    fn all_records_of_one_partition_pass_through_a_small_slab() {
        let directory = tempfile::tempdir().unwrap();
        let mut slab = vec![0; usize::try_from(smallest_slab_bytes(1000, 1)).unwrap()];
        let buffer = ShuffleBuffer::new(&mut slab, 1000, 1, directory.path()).unwrap();
        for i in 0..100_u8 {
            buffer.push(17, &vec![i; RECORD_BYTES]).unwrap();
        }
        let partitions = buffer.seal().unwrap();
        let mut got = records_of(&partitions, 17);
        got.sort();
        assert_eq!(got.len(), 100);
        assert!(got.iter().enumerate().all(|(i, record)| record.iter().all(|&b| usize::from(b) == i)));
        assert_eq!(partitions.record_bytes(17), 100 * RECORD_BYTES as u64);
        assert_eq!(partitions.record_count(17), 100);
        assert!(partitions.file_bytes() > 100 * RECORD_BYTES as u64);
    }
}
