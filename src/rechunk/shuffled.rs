//! The shuffle strategy: pieces of source units are sorted by target through the shuffle buffer, block by block.
//!
//! First every source unit of a block is decoded once and cut into records by the cells of the first level. Where there are more levels, each of
//! these cells is read back and its records are cut by the cells of the next level, and so on. The cells of the last level are the partitions:
//! each is read back, assembled in whole target units, and given to the sink. All phases work in the same slab, one after the other.

use parking_lot::Mutex;

use crate::error::Result;
use crate::grid::ChunkGrid;
use crate::process::memory_limit_bytes;
use crate::rechunk::cells::position_in;
use crate::rechunk::execute::{TileSink, Transfer, add};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::plan::{Plan, Sort};
use crate::region::{Region, to_usize};
use crate::shuffle::{Partitions, ShuffleBuffer, SpillPlace};

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
    let blocks = ChunkGrid::regular(transfer.grid.array_shape(), plan.block.clone())?;
    // What the page cache cannot hold beside the budget is better on its way to the disk at once.
    let cache = memory_limit_bytes().map(|limit| limit.saturating_sub(plan.budget_bytes));
    let behind = cache.is_some_and(|cache| plan.spilled_bytes > cache / 2);
    for index in Region::whole(&blocks.counts()).indices() {
        let block = Block::new(transfer, sort, blocks.region(&index));
        let place = SpillPlace { directory: transfer.spill_dir, behind };
        let shuffle = Shuffle { plan, sort, place, block, open: Mutex::new(None) };
        let whole = Region::whole(shuffle.block.region.shape());
        shuffle.sort(0, &Above { region: whole, top: None, records: None }, slab)?;
    }
    Ok(())
}

/// The shuffle of one block.
struct Shuffle<'t, S> {
    plan: &'t Plan,
    sort: &'t Sort,
    place: SpillPlace<'t>,
    block: Block<'t, S>,
    /// The target unit of which a cell of a level above the last held a part.
    open: Mutex<Option<Open<'t>>>,
}

/// What is sorted by the cells of a level: the block, or a cell of the level above.
struct Above<'p> {
    region: Region,
    /// The cell of the first level that it lies in.
    top: Option<&'p Region>,
    /// Its records; none for the block, whose source units are cut.
    records: Option<(&'p Partitions, usize)>,
}

impl<S: TileSink> Shuffle<'_, S> {
    /// Sorts what is `above` by the cells of a level, then what is in each of these.
    fn sort(&self, level: usize, above: &Above<'_>, slab: &mut [u8]) -> Result<()> {
        let cells = &self.block.levels[level];
        let indices = cells.over(&above.region);
        let count = to_usize(indices.element_count().unwrap_or(u64::MAX));
        let buffer = ShuffleBuffer::new(slab, count, self.plan.threads, self.sort.sizes, self.place)?;
        match (above.top, above.records) {
            (Some(top), Some((partitions, partition))) => {
                self.sort_further((level, &indices), (&above.region, top), &partitions.segments(partition), &buffer)?;
            }
            _ => self.cut_units(&indices, &buffer)?,
        }
        self.block.transfer.on_threads(0..self.plan.threads, |_| buffer.flush())?;
        let partitions = buffer.seal()?;
        add(&self.block.transfer.control.spilled_bytes, (0..partitions.len()).map(|cell| data_bytes(&partitions, cell)).sum());
        add(&self.block.transfer.control.spill_file_bytes, partitions.file_bytes());
        if level + 1 == self.block.levels.len() {
            let top = above.top;
            return if self.sort.streamed {
                self.stream_all(&indices, top, &partitions, slab)
            } else {
                self.assemble_all(&indices, top, &partitions, slab)
            };
        }
        for cell in self.in_order(level, &indices) {
            let region = cells.region(&cell);
            let records = Some((&partitions, position_in(&indices, &cell)));
            let below = Above { top: Some(above.top.unwrap_or(&region)), records, region: region.clone() };
            self.sort(level + 1, &below, slab)?;
        }
        Ok(())
    }

    /// Cells of a level, those of one target shard together, so that few shards are in the making; and those of one unit in the order of its memory.
    fn in_order(&self, level: usize, indices: &Region) -> TiledIndices {
        let (cells, transfer) = (&self.block.levels[level], self.block.transfer);
        let tiles = [cells.per(transfer.chunks.chunk_shape()), cells.per(transfer.grid.chunk_shape())];
        TiledIndices::new(indices, &tiles, &self.block.memory_order)
    }
}

/// Bytes of elements among a partition's records.
fn data_bytes(partitions: &Partitions, partition: usize) -> u64 {
    partitions.record_bytes(partition) - partitions.record_count(partition) * RECORD_HEADER_BYTES as u64
}

fn next(order: &Mutex<TiledIndices>) -> Option<Vec<u64>> {
    order.lock().next()
}
