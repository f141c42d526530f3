//! The strategy of targets that are stored as they are: source units are decoded once, and their pieces written to their final places.
//!
//! A box is whole source units. A worker brings them into its slot, cut by target unit, so that what lies together in the target lies together there,
//! and then writes every piece: no target unit is ever in memory, and nothing passes through a spill file.
//!
//! Invariants
//! 1. Every source unit is in exactly one box, and a box belongs to one thread.
//! 2. Boxes are taken in the order of the plan, which has room for the state of all target units that are begun and not complete then.

use crate::array::{Piece, PlacedWriter, UnitReader, Written};
use crate::buffer::resize;
use crate::error::Result;
use crate::grid::ChunkGrid;
use crate::rechunk::execute::{TileSink, Transfer, add, in_units, slab, spans};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::pieces::for_each_piece;
use crate::rechunk::plan::{Placing, Plan, STAGE_BYTES};
use crate::rechunk::rounds::Rounds;
use crate::rechunk::slots::Slots;
use crate::rechunk::windows::{slowest_first, span, windows};
use crate::region::{BoxLayout, MAX_RANK, Region, element_count, to_usize};

/// Runs a plan; `count` is told what was written.
pub(super) fn run<S: TileSink>(
    transfer: &Transfer<'_, S>,
    plan: &Plan,
    placing: &Placing,
    writer: &PlacedWriter<'_>,
    count: &(dyn Fn(Written) + Sync),
) -> Result<()> {
    if transfer.grid.chunk_count() == 0 {
        return Ok(());
    }
    let _leases = plan.lease()?;
    let boxes = ChunkGrid::regular(transfer.grid.array_shape(), &*placing.shape)?;
    let tiles = [spans(&placing.walk.super_block, &placing.shape), spans(&plan.block, &placing.shape)];
    let order = TiledIndices::new(&Region::whole(&boxes.counts()), &tiles, &placing.walk.axes);
    let block_of = |index: &[u64]| in_units(&boxes.region(index), &placing.walk.super_block).start().to_vec();
    let order = Rounds::new(transfer.control, order, transfer.control.begin.items, block_of)?;
    let slot_bytes = to_usize(placing.slot_bytes);
    let mut slab = slab(slot_bytes.saturating_mul(plan.threads))?;
    let cell = Cell::new(transfer, placing);
    let job = Job { transfer, cell: &cell, writer, count };
    let work = |slot: &mut [u8]| {
        let mut reader = transfer.source.reader(placing.walk.shards_held);
        let mut stage = Vec::new();
        loop {
            transfer.control.check()?;
            let Some(index) = order.next() else { return Ok(()) };
            job.place(&boxes.region(&index), &mut reader, placing.in_parts.then_some(&mut stage), slot)?;
        }
    };
    let round = || transfer.on_threads(slab.chunks_exact_mut(slot_bytes).take(plan.threads), work);
    order.with_checkpoints(round, || writer.is_whole())
}

/// The place of a piece in a slot: as much of a target unit as a box can hold, in the order of the target's memory.
struct Cell {
    strides: Vec<usize>,
    bytes: usize,
}

impl Cell {
    fn new<S: TileSink>(transfer: &Transfer<'_, S>, placing: &Placing) -> Self {
        let edges = transfer.grid.chunk_shape();
        let mut strides = vec![0; edges.len()];
        let mut step = transfer.item_size();
        for &axis in slowest_first(&transfer.strides).iter().rev() {
            strides[axis] = step;
            step = step.saturating_mul(to_usize(edges[axis].min(placing.shape[axis])));
        }
        Self { strides, bytes: step }
    }
}

struct Job<'t, 'w, S> {
    transfer: &'t Transfer<'t, S>,
    cell: &'t Cell,
    writer: &'t PlacedWriter<'w>,
    count: &'t (dyn Fn(Written) + Sync),
}

impl<S: TileSink> Job<'_, '_, S> {
    /// Reads the source units of the box `region` and writes their pieces.
    fn place(&self, region: &Region, reader: &mut UnitReader, mut stage: Option<&mut Vec<u8>>, slot: &mut [u8]) -> Result<()> {
        let transfer = self.transfer;
        let source = transfer.source;
        let cells = Slots::new(region, transfer.grid.chunk_shape(), (&self.cell.strides, self.cell.bytes), transfer.item_size());
        let mut touched = vec![false; cells.len()];
        let strides = source.strides();
        let shard = spans(source.array().metadata().chunk_shape(), source.grid().chunk_shape());
        let axes: Vec<usize> = (0..region.rank()).collect();
        for unit in TiledIndices::new(&source.grid().chunks_over(region), &[shard], &axes) {
            transfer.control.check()?;
            let inside = source.grid().region(&unit);
            let mut take = |inside: &Region, bytes: Option<(&[u8], BoxLayout<'_>)>| {
                let still = [0; MAX_RANK];
                let missing = (transfer.source_fill().as_bytes(), BoxLayout { offset: 0, strides: &still[..inside.rank()] });
                if bytes.is_some() {
                    cells.touched(inside.start(), inside.shape(), |position| touched[position] = true)?;
                }
                let (bytes, from) = bytes.unwrap_or(missing);
                cells.copy(inside.start(), inside.shape(), bytes, from, slot);
                Ok(())
            };
            if let Some(stage) = stage.as_mut() {
                read_in_parts(transfer, reader, &unit, stage, &mut take)?;
            } else {
                transfer.read(reader, &unit, &mut |bytes| {
                    take(&inside, bytes.map(|bytes| (bytes, BoxLayout { offset: 0, strides: &strides })))
                })?;
            }
        }
        let same_fill = transfer.source_fill() == transfer.sink.padding();
        for ((unit, touched), data) in cells.indices().zip(touched).zip(slot.chunks_exact(self.cell.bytes)) {
            transfer.control.check()?;
            let within = transfer.grid.region(&unit);
            let Some(piece) = within.intersect(region) else { continue };
            let to = piece.relative_to(&transfer.grid.origin(&unit));
            let to = BoxLayout::at(to.start(), &transfer.strides);
            let from = BoxLayout { offset: 0, strides: &self.cell.strides };
            let piece = Piece { shape: piece.shape(), data, from, to };
            let placed = self.writer.write(&unit, &piece, !touched && same_fill)?;
            (self.count)(placed.written);
            add(&transfer.control.delivered_bytes, placed.unit_bytes);
            let elements = element_count(piece.shape).unwrap_or(u64::MAX);
            add(&transfer.control.done_bytes, elements.saturating_mul(transfer.item_size() as u64));
        }
        Ok(())
    }
}

/// What is shown of a unit: a part of it, in the coordinates of the target, with its elements and where they lie; none if it is missing.
type Taken<'v> = dyn FnMut(&Region, Option<(&[u8], BoxLayout<'_>)>) -> Result<()> + 'v;

/// Reads a unit that is stored as it is through a small buffer, which stays in the processor's caches.
fn read_in_parts<S: TileSink>(
    transfer: &Transfer<'_, S>,
    reader: &mut UnitReader,
    unit: &[u64],
    stage: &mut Vec<u8>,
    take: &mut Taken<'_>,
) -> Result<()> {
    let (source, control) = (transfer.source, transfer.control);
    let (inside, strides, item) = (source.grid().region(unit), source.strides(), transfer.item_size());
    if let Some(place) = reader.place(&source.in_array(unit))? {
        let parts = windows(inside.shape(), &strides, &slowest_first(&strides), item, to_usize(STAGE_BYTES));
        resize(stage, parts.span)?;
        for_each_piece(&[0; MAX_RANK][..inside.rank()], inside.shape(), &parts.shape[..inside.rank()], |_, start, shape| {
            let len = span(shape, &strides, item);
            place.read_into(BoxLayout::at(start, &strides).offset, &mut stage[..len])?;
            add(&control.read_bytes, len as u64);
            let start: Vec<u64> = start.iter().zip(inside.start()).map(|(start, first)| start + first).collect();
            take(&Region::new(start, shape)?, Some((stage, BoxLayout { offset: 0, strides: &strides })))
        })?;
        add(&control.decoded_units, 1);
        add(&control.decoded_bytes, source.unit_bytes());
    } else {
        take(&inside, None)?;
    }
    add(&control.done_bytes, source.unit_bytes());
    Ok(())
}
