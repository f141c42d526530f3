//! The last phase of a shuffle: partitions are read back, put together in whole target units, and given to the sink.

use super::{Behind, Shuffle, Sorted, data_bytes};
use crate::error::Result;
use crate::rechunk::cells::position_in;
use crate::rechunk::execute::{TileSink, spans};
use crate::rechunk::pieces::for_each_piece;
use crate::rechunk::rounds::Rounds;
use crate::region::{BoxLayout, Region, copy_box, to_usize};
use crate::shuffle::Partitions;

impl<S: TileSink> Shuffle<'_, S> {
    /// Assembles the partitions of the last level, and gives them to the sink.
    pub(super) fn assemble_all(&self, sorted: &Sorted<'_>, slab: &mut [u8]) -> Result<()> {
        let (transfer, level) = (self.block.transfer, self.block.levels.len() - 1);
        let Sorted { indices, top, partitions, done } = *sorted;
        let order = Rounds::new(transfer.control, self.in_order(level, indices), done, |cell| self.group_of(level, sorted, cell))?;
        let work = |slot: &mut [u8]| {
            let (mut scratch, mut segment) = (transfer.sink.scratch(), Vec::with_capacity(self.sort.sizes.read_bytes()));
            loop {
                transfer.control.check()?;
                let Some(cell) = order.next() else { return Ok(()) };
                let inside = self.block.levels[level].region(&cell);
                let partition = position_in(indices, &cell);
                self.assemble((&inside, top.unwrap_or(&inside)), partition, partitions, (&mut *slot, &mut segment), &mut scratch)?;
            }
        };
        let slot_bytes = to_usize(self.sort.slot_bytes);
        let round = || transfer.on_threads(slab.chunks_exact_mut(slot_bytes).take(self.plan.encode_threads), work);
        let mut behind = Behind::new(self.in_order(level, indices), done)?;
        order.each(round, |done| self.pause(sorted, done, &mut behind, |cell| vec![position_in(indices, cell)]))
    }

    /// Puts a partition together in `slot`, and gives its units to the sink.
    fn assemble(
        &self,
        (inside, top): (&Region, &Region),
        partition: usize,
        partitions: &Partitions,
        (slot, segment): (&mut [u8], &mut Vec<u8>),
        scratch: &mut S::Scratch,
    ) -> Result<()> {
        let transfer = self.block.transfer;
        let edges = transfer.grid.chunk_shape();
        let tiles = spans(inside.shape(), edges);
        let tile_bytes = transfer.tile_bytes;
        let touched = partitions.record_count(partition) > 0;
        let block = self.block.region.start();
        let first: Vec<u64> = (0..inside.rank()).map(|axis| (block[axis] + inside.start()[axis]) / edges[axis]).collect();
        let unit_of = |within: &[u64]| first.iter().zip(within).map(|(a, b)| a + b).collect::<Vec<u64>>();
        if touched {
            let tile_count = to_usize(tiles.iter().product());
            let used = &mut slot[..tile_count * tile_bytes];
            if data_bytes(partitions, partition) < used.len() as u64 {
                for (tile, within) in used.chunks_exact_mut(tile_bytes).zip(Region::whole(&tiles).indices()) {
                    transfer.preset(&unit_of(&within), tile);
                }
            }
            partitions.take(partition, segment, &mut |record| self.replay((inside, top), &tiles, record, used))?;
        }
        for (tile, within) in slot.chunks_exact_mut(tile_bytes).zip(Region::whole(&tiles).indices()) {
            transfer.control.check()?;
            transfer.deliver(&unit_of(&within), tile, touched, scratch)?;
        }
        Ok(())
    }

    /// Copies a record to its place in the partition whose box is `inside` and whose units lie one after another in `slot`.
    fn replay(&self, (inside, top): (&Region, &Region), tiles: &[u64], record: &[u8], slot: &mut [u8]) -> Result<()> {
        let (cut, data) = self.block.locate(top, inside, record)?;
        let (rank, transfer) = (inside.rank(), self.block.transfer);
        let strides = self.block.record_strides(cut.shape());
        let edges = transfer.grid.chunk_shape();
        // A partition begins with a unit of the grid, and so does the block.
        for_each_piece(cut.start(), cut.shape(), edges, |unit, start, shape| {
            let (mut tile, mut from, mut to) = (0, 0, 0);
            for axis in 0..rank {
                tile = tile * tiles[axis] + (unit[axis] - inside.start()[axis] / edges[axis]);
                from += to_usize(start[axis] - cut.start()[axis]) * strides[axis];
                to += to_usize(start[axis] - unit[axis] * edges[axis]) * transfer.strides[axis];
            }
            let to = to_usize(tile) * transfer.tile_bytes + to;
            let from = BoxLayout { offset: from, strides: &strides[..rank] };
            copy_box(shape, self.block.item, data, from, slot, BoxLayout { offset: to, strides: &transfer.strides });
            Ok(())
        })
    }
}
