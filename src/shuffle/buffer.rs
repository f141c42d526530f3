//! Memory of a shuffle: pages by partition, and the choice of what goes to the spill file.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::shuffle::partitions::{Chain, Partitions};
use crate::shuffle::share::FileShare;
use crate::shuffle::spill::Link;
use crate::shuffle::table::Saved;
use crate::shuffle::{LENGTH_BYTES, Sizes};

/// Collects records by partition; see the module.
#[derive(Debug)]
pub(crate) struct ShuffleBuffer<'a> {
    sizes: Sizes,
    page_bytes: usize,
    free: Mutex<Vec<&'a mut [u8]>>,
    partitions: Vec<Partition<'a>>,
    share: FileShare,
    /// How many partitions have been taken by [`ShuffleBuffer::flush`].
    flushed: AtomicUsize,
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
    /// A buffer that works in `slab` and spills to its share of a file.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the slab is smaller than [`Sizes::smallest_slab_bytes`].
    pub(crate) fn new(slab: &'a mut [u8], partition_count: usize, threads: usize, sizes: Sizes, share: FileShare) -> Result<Self> {
        if (slab.len() as u64) < sizes.smallest_slab_bytes(partition_count as u64, threads) {
            return Err(Error::invalid(format!("a shuffle slab of {} bytes for {partition_count} partitions", slab.len())));
        }
        let page_bytes = sizes.page_bytes(slab.len(), partition_count);
        let mut free: Vec<_> = slab.chunks_exact_mut(page_bytes).collect();
        // Those in front are used first, since later work touches them in any case.
        free.reverse();
        let partitions = (0..partition_count).map(|_| Partition { held_bytes: AtomicU32::new(0), state: Mutex::default() }).collect();
        Ok(Self { sizes, page_bytes, free: Mutex::new(free), partitions, share, flushed: AtomicUsize::new(0) })
    }

    /// Goes on with what another process has saved.
    ///
    /// # Errors
    /// As [`Partitions::resume`].
    pub(crate) fn resume(mut self, saved: &Saved) -> Result<Self> {
        let chains = self.share.load(saved, self.partitions.len(), self.sizes)?;
        for (partition, chain) in self.partitions.iter_mut().zip(chains) {
            let state = partition.state.get_mut();
            (state.last, state.record_count, state.record_bytes) = (chain.last, chain.record_count, chain.record_bytes);
        }
        Ok(self)
    }

    /// Writes down what [`ShuffleBuffer::resume`] needs, after a [`ShuffleBuffer::flush`] by all threads; after this, records can be pushed again.
    pub(crate) fn save(&self) -> Result<Saved> {
        self.flush()?;
        let chains = self.partitions.iter().map(|partition| {
            let state = partition.state.lock();
            assert!(state.held_bytes == 0, "a push while a state is saved");
            Chain { last: state.last, record_count: state.record_count, record_bytes: state.record_bytes }
        });
        let saved = self.share.save(self.partitions.len(), chains)?;
        self.flushed.store(0, Ordering::Relaxed);
        Ok(saved)
    }

    /// Bytes of records that were pushed, by this process and those before it.
    pub(crate) fn record_bytes(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.state.lock().record_bytes).sum()
    }

    /// Their number.
    pub(crate) fn record_count(&self) -> u64 {
        self.partitions.iter().map(|partition| partition.state.lock().record_count).sum()
    }

    /// Adds a record of at most [`Sizes::record_bytes`] bytes to a partition. May be called from several threads.
    pub(crate) fn push(&self, partition: usize, record: &[u8]) -> Result<()> {
        assert!(record.len() <= self.sizes.record_bytes(), "a record of {} bytes", record.len());
        let Ok(length) = u32::try_from(record.len()) else { unreachable!("records are small") };
        let framed = LENGTH_BYTES + record.len();
        let mut reserved = self.reserve(framed.div_ceil(self.page_bytes))?;
        let full = {
            let owner = &self.partitions[partition];
            let mut state = owner.state.lock();
            let full = if state.held_bytes + framed > self.sizes.segment_bytes() { Some(self.detach(owner, &mut state)) } else { None };
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
        let link = self.share.file.allocate(payload_bytes);
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
        let written = self.share.file.write(partition, segment.link, segment.previous, &slices);
        self.free.lock().append(&mut segment.pages);
        written
    }

    /// Spills what is still in memory of partitions that no other call has taken, until there are none: to be called by all threads when none
    /// of them pushes any more, and before [`ShuffleBuffer::seal`], which does the same on one thread.
    pub(crate) fn flush(&self) -> Result<()> {
        loop {
            let index = self.flushed.fetch_add(1, Ordering::Relaxed);
            let Some(partition) = self.partitions.get(index) else { return Ok(()) };
            let segment = {
                let mut state = partition.state.lock();
                (state.held_bytes > 0).then(|| self.detach(partition, &mut state))
            };
            if let Some(segment) = segment {
                self.write(index, segment)?;
            }
        }
    }

    /// Spills what is still in memory; the slab is free again when this returns. No push may be under way.
    pub(crate) fn seal(self) -> Result<Partitions> {
        self.flush()?;
        let chain = |partition: Partition<'_>| {
            let state = partition.state.into_inner();
            assert!(state.held_bytes == 0, "a push during a seal");
            Chain { last: state.last, record_count: state.record_count, record_bytes: state.record_bytes }
        };
        Ok(Partitions::new(self.share, self.partitions.into_iter().map(chain).collect(), self.sizes))
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
