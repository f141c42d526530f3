//! The shuffle strategy: pieces of source units are sorted by target through the shuffle buffer, block by block.
//!
//! First every source unit of a block is decoded once and cut into records by the cells of the first level. Where there are more levels, each of
//! these cells is read back and its records are cut by the cells of the next level, and so on. The cells of the last level are the partitions:
//! each is read back, assembled in whole target units, and given to the sink. All phases work in the same slab, one after the other.
//!
//! Where another run can go on with a block, its first level is in a spill file that has a name; a checkpoint says how many source units are cut, or
//! how many cells of the first level are done (JRN-6). Deeper levels are sorted again from there.

use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::grid::ChunkGrid;
use crate::process::memory_limit_bytes;
use crate::rechunk::cells::position_in;
use crate::rechunk::execute::{TileSink, Transfer, add, in_units};
use crate::rechunk::journal::{InBlock, Phase, Position};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::plan::{Plan, Sort};
use crate::rechunk::rounds::{Rounds, skip};
use crate::region::{Region, element_count, to_usize};
use crate::shuffle::{FileShare, Partitions, Saved, ShuffleBuffer, SpillPlace};

mod assemble;
mod block;
mod cut;
mod streamed;
#[cfg(test)]
mod tests;

use block::{Block, RECORD_HEADER_BYTES};
use streamed::Open;

/// Runs a shuffle plan in `slab`.
pub(super) fn run<S: TileSink>(transfer: &Transfer<'_, S>, plan: &Plan, sort: &Sort, slab: &mut [u8]) -> Result<()> {
    let (control, begin) = (transfer.control, transfer.control.begin);
    let blocks = ChunkGrid::regular(transfer.grid.array_shape(), plan.block.clone())?;
    // What the page cache cannot hold beside the budget is better on its way to the disk at once.
    let cache = memory_limit_bytes().map(|limit| limit.saturating_sub(plan.budget_bytes));
    let behind = cache.is_some_and(|cache| plan.spilled_bytes > cache / 2);
    let mut indices = Region::whole(&blocks.counts()).indices();
    skip(&mut indices, begin.items)?;
    let mut indices = indices.peekable();
    if begin.block.is_some() && indices.peek().is_none() {
        return Err(Error::corrupt(format!("a journal says that a block is begun behind the last one, of {}", begin.items)));
    }
    for (number, index) in (begin.items..).zip(indices) {
        // What comes from another block uses the file from its beginning, so that it is no longer than the longest needs.
        if number > begin.items && (control.is_due() || control.is_in_block()) {
            control.checkpoint(Position { items: number, block: None })?;
        }
        let block = Block::new(transfer, sort, blocks.region(&index));
        let place = SpillPlace { directory: transfer.spill_dir, behind };
        let found = begin.block.filter(|_| number == begin.items);
        let bytes = element_count(block.region.shape()).unwrap_or(u64::MAX).saturating_mul(2 * block.item as u64);
        let keeps = found.is_some() || control.checkpoints.is_some_and(|checkpoints| checkpoints.are_for(bytes));
        let saved = Mutex::new(found.filter(|found| found.phase == Phase::Deliver).map(|found| found.saved));
        let before_bytes = found.map_or_else(|| control.done_bytes.load(Ordering::Relaxed), |found| found.before_bytes);
        let shuffle = Shuffle { plan, sort, place, block, number, before_bytes, keeps, saved, open: Mutex::new(None) };
        shuffle.sort_block(found, slab)?;
    }
    Ok(())
}

/// The shuffle of one block.
struct Shuffle<'t, S> {
    plan: &'t Plan,
    sort: &'t Sort,
    place: SpillPlace<'t>,
    block: Block<'t, S>,
    /// Its place among all blocks.
    number: u64,
    /// Bytes of work that were done when it began.
    before_bytes: u64,
    /// Whether another run can go on with it.
    keeps: bool,
    /// The first level in its file, once all of it is there and that was said.
    saved: Mutex<Option<Saved>>,
    /// The target unit of which a cell of a level above the last held a part.
    open: Mutex<Option<Open<'t>>>,
}

/// What is sorted by the cells of a level: a cell of the level above.
struct Above<'p> {
    region: Region,
    /// The cell of the first level that it lies in.
    top: &'p Region,
    /// Its records.
    partitions: &'p Partitions,
    partition: usize,
}

/// Cells of a level that are sorted.
struct Sorted<'p> {
    indices: &'p Region,
    /// The cell of the first level that they lie in, if they are not of that level themselves.
    top: Option<&'p Region>,
    partitions: &'p Partitions,
    /// How many items of these cells were complete before.
    done: u64,
}

/// Items that are complete, and of which the spill file still holds what they were made of.
struct Behind {
    items: TiledIndices,
    done: u64,
}

impl<S: TileSink> Shuffle<'_, S> {
    /// Sorts the block by the cells of the first level, then what is in each of these; from where the journal says that it `begins`.
    fn sort_block(&self, begins: Option<InBlock>, slab: &mut [u8]) -> Result<()> {
        let indices = self.block.levels[0].over(&Region::whole(self.block.region.shape()));
        let count = to_usize(indices.element_count().unwrap_or(u64::MAX));
        let (partitions, done) = match begins {
            Some(InBlock { phase: Phase::Deliver, done, saved, .. }) => {
                (Partitions::resume(self.share(Some(&saved))?, &saved, count, self.sort.sizes)?, done)
            }
            begins => (self.cut_block(&indices, begins, slab)?, 0),
        };
        let sorted = Sorted { indices: &indices, top: None, partitions: &partitions, done };
        if self.block.levels.len() == 1 {
            return self.deliver(&sorted, slab);
        }
        let cells = &self.block.levels[0];
        let order = Rounds::new(self.block.transfer.control, self.in_order(0, &indices), done, |cell| self.group_of(0, &sorted, cell))?;
        let round = || {
            while let Some(cell) = order.next() {
                let region = cells.region(&cell);
                let partition = position_in(&indices, &cell);
                self.sort(1, &Above { top: &region, partitions: &partitions, partition, region: region.clone() }, slab)?;
            }
            Ok(())
        };
        let mut behind = Behind::new(self.in_order(0, &indices), done)?;
        order.each(round, |done| self.pause(&sorted, done, &mut behind, |cell| vec![position_in(&indices, cell)]))
    }

    /// Cuts the source units of the block by the cells of the first level.
    fn cut_block(&self, indices: &Region, begins: Option<InBlock>, slab: &mut [u8]) -> Result<Partitions> {
        let count = to_usize(indices.element_count().unwrap_or(u64::MAX));
        let saved = begins.map(|begins| begins.saved);
        let share = self.share(saved.as_ref())?;
        let mut buffer = ShuffleBuffer::new(slab, count, self.plan.threads, self.sort.sizes, share)?;
        let (mut done, mut before) = (0, 0);
        if let Some(InBlock { done: complete, saved, .. }) = begins {
            buffer = buffer.resume(&saved)?;
            (done, before) = (complete, buffer.record_bytes().saturating_sub(buffer.record_count() * RECORD_HEADER_BYTES as u64));
        }
        self.cut_units(indices, &buffer, done)?;
        self.seal(buffer, before)
    }

    /// Brings all of a level into its file; `before` of the bytes of data were there before this run.
    fn seal(&self, buffer: ShuffleBuffer<'_>, before: u64) -> Result<Partitions> {
        let control = self.block.transfer.control;
        control.on_threads(0..self.plan.threads, |_| buffer.flush())?;
        let partitions = buffer.seal()?;
        let bytes: u64 = (0..partitions.len()).map(|cell| data_bytes(&partitions, cell)).sum();
        add(&control.spilled_bytes, bytes.saturating_sub(before));
        add(&control.spill_file_bytes, partitions.file_bytes());
        Ok(partitions)
    }

    /// Where the first level goes, or where it is.
    fn share(&self, saved: Option<&Saved>) -> Result<FileShare> {
        let behind = self.place.behind;
        match (self.block.transfer.control.checkpoints.filter(|_| self.keeps), saved) {
            (Some(checkpoints), Some(saved)) => checkpoints.resumed_share(saved, behind),
            (Some(checkpoints), None) => checkpoints.share(behind),
            (None, _) => FileShare::create(self.place),
        }
    }

    /// Sorts a cell by the cells of a further level, then what is in each of these.
    fn sort(&self, level: usize, above: &Above<'_>, slab: &mut [u8]) -> Result<()> {
        let cells = &self.block.levels[level];
        let indices = cells.over(&above.region);
        let count = to_usize(indices.element_count().unwrap_or(u64::MAX));
        let buffer = ShuffleBuffer::new(slab, count, self.plan.threads, self.sort.sizes, FileShare::create(self.place)?)?;
        let segments = above.partitions.segments(above.partition);
        self.sort_further((level, &indices), (&above.region, above.top), &segments, &buffer)?;
        let partitions = self.seal(buffer, 0)?;
        if level + 1 == self.block.levels.len() {
            return self.deliver(&Sorted { indices: &indices, top: Some(above.top), partitions: &partitions, done: 0 }, slab);
        }
        for cell in self.in_order(level, &indices) {
            let below =
                Above { region: cells.region(&cell), top: above.top, partitions: &partitions, partition: position_in(&indices, &cell) };
            self.sort(level + 1, &below, slab)?;
        }
        Ok(())
    }

    /// Gives what the cells of the last level hold to the sink.
    fn deliver(&self, sorted: &Sorted<'_>, slab: &mut [u8]) -> Result<()> {
        if self.sort.streamed { self.stream_all(sorted, slab) } else { self.assemble_all(sorted, slab) }
    }

    /// Cells of a level, those of one target shard together, so that few shards are in the making; and those of one unit in the order of its memory.
    fn in_order(&self, level: usize, indices: &Region) -> TiledIndices {
        let (cells, transfer) = (&self.block.levels[level], self.block.transfer);
        let tiles = [cells.per(transfer.chunks.chunk_shape()), cells.per(transfer.grid.chunk_shape())];
        TiledIndices::new(indices, &tiles, &self.block.memory_order)
    }

    /// The target chunk that a cell lies in, or begins with: between two of these there can be a checkpoint. Where there can be none, all are alike.
    fn group_of(&self, level: usize, sorted: &Sorted<'_>, cell: &[u64]) -> Vec<u64> {
        if !self.keeps || sorted.top.is_some() {
            return Vec::new();
        }
        in_units(&self.block.levels[level].region(cell), self.block.transfer.chunks.chunk_shape()).start().to_vec()
    }

    /// Makes a checkpoint when so many items of the first level are complete, and then gives up what they were made of: `partitions_of` an item.
    fn pause(&self, sorted: &Sorted<'_>, done: u64, behind: &mut Behind, partitions_of: impl Fn(&[u64]) -> Vec<usize>) -> Result<()> {
        let control = self.block.transfer.control;
        if !self.block.transfer.sink.is_whole() || self.open.lock().is_some() {
            return control.defer();
        }
        let saved = {
            let mut saved = self.saved.lock();
            match *saved {
                Some(saved) => saved,
                None => *saved.insert(sorted.partitions.save()?),
            }
        };
        let block = Some(InBlock { phase: Phase::Deliver, done, saved, before_bytes: self.before_bytes });
        control.checkpoint(Position { items: self.number, block })?;
        while behind.done < done {
            let Some(item) = behind.items.next() else { return Err(Error::invalid("more items than there are")) };
            partitions_of(&item).into_iter().try_for_each(|partition| sorted.partitions.release(partition))?;
            behind.done += 1;
        }
        Ok(())
    }
}

impl Behind {
    fn new(mut items: TiledIndices, done: u64) -> Result<Self> {
        skip(&mut items, done)?;
        Ok(Self { items, done })
    }
}

/// Bytes of elements among a partition's records.
fn data_bytes(partitions: &Partitions, partition: usize) -> u64 {
    partitions.record_bytes(partition).saturating_sub(partitions.record_count(partition).saturating_mul(RECORD_HEADER_BYTES as u64))
}
