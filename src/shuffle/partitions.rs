//! What was pushed to a shuffle, read back partition by partition.

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::shuffle::share::FileShare;
use crate::shuffle::spill::Link;
use crate::shuffle::table::Saved;
use crate::shuffle::{LENGTH_BYTES, Sizes};

/// What was pushed, partition by partition, all of it in the spill file.
#[derive(Debug)]
pub(crate) struct Partitions {
    pub(super) share: FileShare,
    chains: Vec<Chain>,
    sizes: Sizes,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chain {
    pub(super) last: Option<Link>,
    pub(super) record_count: u64,
    pub(super) record_bytes: u64,
}

/// The way through the segments of a partition, from the last to the first. Threads may share it: each segment is shown to one of them.
#[derive(Debug)]
pub(crate) struct Segments<'p> {
    partitions: &'p Partitions,
    partition: usize,
    next: Mutex<Option<Link>>,
}

impl Partitions {
    pub(super) fn new(share: FileShare, chains: Vec<Chain>, sizes: Sizes) -> Self {
        Self { share, chains, sizes }
    }

    /// The `count` partitions that another process has saved.
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::ChecksumMismatch`] where the file does not hold them.
    pub(crate) fn resume(share: FileShare, saved: &Saved, count: usize, sizes: Sizes) -> Result<Self> {
        let chains = share.load(saved, count, sizes)?;
        Ok(Self::new(share, chains, sizes))
    }

    /// Writes down what [`Partitions::resume`] needs.
    pub(crate) fn save(&self) -> Result<Saved> {
        self.share.save(self.chains.len(), self.chains.iter().copied())
    }

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

    /// Bytes that this process has written to the spill file, framing included.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.share.written_bytes()
    }

    /// The segments of a partition. They can be read once, but for those in a file that has a name.
    pub(crate) fn segments(&self, partition: usize) -> Segments<'_> {
        let last = self.chains[partition].last;
        if let Some(last) = last {
            self.share.file.expect(last);
        }
        Segments { partitions: self, partition, next: Mutex::new(last) }
    }

    /// Gives up the disk space of a partition in a file that has a name.
    ///
    /// # Errors
    /// As [`Segments::next`].
    pub(crate) fn release(&self, partition: usize) -> Result<()> {
        let (spill, mut next) = (&self.share.file, self.chains[partition].last);
        while let Some(link) = next {
            next = spill.previous(partition, link, self.sizes.segment_bytes())?;
            spill.discard(link);
        }
        Ok(())
    }

    /// Shows `visit` every record of a partition, in no particular order, and gives up its disk space unless the file has a name. `buffer` is working space that grows to
    /// at most [`Sizes::read_bytes`].
    ///
    /// # Errors
    /// As [`Segments::next`].
    pub(crate) fn take(&self, partition: usize, buffer: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let segments = self.segments(partition);
        while segments.next(buffer, visit)? {}
        Ok(())
    }
}

impl Segments<'_> {
    /// Shows `visit` every record of the next segment, and gives up its disk space unless the file has a name; returns whether there was one. `buffer` is working space that
    /// grows to at most [`Sizes::read_bytes`].
    ///
    /// # Errors
    /// [`Error::Corrupt`] and [`Error::ChecksumMismatch`] when the file does not hold what was written.
    pub(crate) fn next(&self, buffer: &mut Vec<u8>, visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
        let spill = &*self.partitions.share.file;
        let (link, previous) = {
            let mut next = self.next.lock();
            let Some(link) = next.take() else { return Ok(false) };
            *next = spill.previous(self.partition, link, self.partitions.sizes.segment_bytes())?;
            (link, *next)
        };
        if let Some(previous) = previous {
            spill.expect(previous);
        }
        let mut rest = spill.read(self.partition, link, buffer)?;
        while let Some((length, tail)) = rest.split_first_chunk::<LENGTH_BYTES>() {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((record, tail)) = tail.split_at_checked(length) else {
                return Err(Error::corrupt(format!("a record of {length} bytes passes the end of its segment")).at(spill.name()));
            };
            visit(record)?;
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(Error::corrupt("a segment ends inside a record").at(spill.name()));
        }
        if !self.partitions.share.keep {
            spill.discard(link);
        }
        Ok(true)
    }
}
