//! The strategies that fill the target box by box: every box reads from each source unit that it meets what it holds.
//!
//! A box is whole target units, which lie one after another in a slot, each in the order of its memory; what is read goes straight to its place
//! there, or through a small staging buffer.
//!
//! Invariants
//! 1. Every target unit is in exactly one box, and a box belongs to one thread.
//! 2. Every element of a box that is given to the sink was read from the source, or set to what it is without a source chunk.

use crate::array::UnitReader;
use crate::buffer::resize;
use crate::error::Result;
use crate::grid::ChunkGrid;
use crate::rechunk::execute::{TileSink, Transfer, add, in_units, spans};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::pieces::for_each_piece;
use crate::rechunk::plan::{Filling, Plan, Reads, STAGE_BYTES, Staging};
use crate::rechunk::rounds::Rounds;
use crate::rechunk::slots::Slots;
use crate::rechunk::windows::{Windows, slowest_first, span, windows};
use crate::region::{BoxLayout, MAX_RANK, Region, to_usize};

/// Runs a plan of boxes in `slab`, a slot a thread.
pub(super) fn run<S: TileSink>(transfer: &Transfer<'_, S>, plan: &Plan, filling: &Filling, slab: &mut [u8]) -> Result<()> {
    let boxes = ChunkGrid::regular(transfer.grid.array_shape(), &*filling.shape)?;
    let axes: Vec<usize> = (0..boxes.rank()).collect();
    // Those of one target shard together, so that few shards are in the making.
    let shard = spans(transfer.chunks.chunk_shape(), &filling.shape);
    let order = TiledIndices::new(&Region::whole(&boxes.counts()), &[shard], &axes);
    let chunk_of = |index: &[u64]| in_units(&boxes.region(index), transfer.chunks.chunk_shape()).start().to_vec();
    let order = Rounds::new(transfer.control, order, transfer.control.begin.items, chunk_of)?;
    let geometry = Geometry::new(transfer, filling);
    let work = |slot: &mut [u8]| {
        let mut worker = Worker::new(transfer, &geometry, slot);
        let mut scratch = transfer.sink.scratch();
        loop {
            transfer.control.check()?;
            let Some(index) = order.next() else { return Ok(()) };
            worker.fill(&boxes.region(&index), &mut scratch)?;
        }
    };
    let round = || transfer.on_threads(slab.chunks_exact_mut(to_usize(filling.slot_bytes)).take(plan.threads), work);
    order.with_checkpoints(round, || transfer.sink.is_whole())
}

/// What all threads know of the source.
struct Geometry {
    reads: Reads,
    /// Byte strides of a source unit, and its axes from the slowest to the fastest.
    strides: Vec<usize>,
    order: Vec<usize>,
    /// Source units of a shard.
    shard: Vec<u64>,
}

impl Geometry {
    fn new<S: TileSink>(transfer: &Transfer<'_, S>, filling: &Filling) -> Self {
        let (source, strides) = (transfer.source, transfer.source.strides());
        let order = slowest_first(&strides);
        let shard = spans(source.array().metadata().chunk_shape(), source.grid().chunk_shape());
        Self { reads: filling.reads, strides, order, shard }
    }

    fn staging(&self) -> Option<Staging> {
        match self.reads {
            Reads::Windows(staging) => staging,
            Reads::Whole => None,
        }
    }
}

/// What became of a box so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// Nothing was looked at.
    Fresh,
    /// All that was looked at is missing, and nothing is in the slot.
    Missing,
    /// All of the slot is set to what it is without source chunks, but for what was copied.
    Preset,
    /// Padding beyond the array is set, and what was looked at.
    Begun,
}

struct Worker<'t, 's, S> {
    transfer: &'t Transfer<'t, S>,
    geometry: &'t Geometry,
    reader: UnitReader,
    stage: Vec<u8>,
    slot: &'s mut [u8],
    /// Which units of the box hold something that was read.
    touched: Vec<bool>,
    state: Fill,
}

/// A box in work: where its cells are.
struct Box<'b> {
    region: &'b Region,
    cells: Slots<'b>,
}

impl<'t, 's, S: TileSink> Worker<'t, 's, S> {
    fn new(transfer: &'t Transfer<'t, S>, geometry: &'t Geometry, slot: &'s mut [u8]) -> Self {
        let units = geometry.staging().map_or(1, |staging| to_usize(staging.units));
        let reader = if matches!(geometry.reads, Reads::Whole) { transfer.source.reader(1) } else { transfer.source.alternating(units) };
        Self { transfer, geometry, reader, stage: Vec::new(), slot, touched: Vec::new(), state: Fill::Fresh }
    }

    /// Fills the box `region` and gives its units to the sink.
    fn fill(&mut self, region: &Region, scratch: &mut S::Scratch) -> Result<()> {
        let transfer = self.transfer;
        let layout = (transfer.strides.as_slice(), transfer.tile_bytes);
        let cells = Slots::new(region, transfer.grid.chunk_shape(), layout, transfer.item_size());
        let filled = Box { region, cells };
        self.touched.clear();
        self.touched.resize(filled.cells.len(), false);
        self.state = Fill::Fresh;
        let source = transfer.source.grid();
        let units = source.chunks_over(region);
        match self.geometry.reads {
            Reads::Whole => {
                for unit in self.units(&units) {
                    transfer.control.check()?;
                    self.whole(&filled, &unit)?;
                }
            }
            Reads::Windows(None) => {
                for unit in self.units(&units) {
                    transfer.control.check()?;
                    self.group(&filled, &unit, None)?;
                }
            }
            Reads::Windows(Some(Staging { axis, units: together })) => {
                let mut firsts = units.shape().to_vec();
                firsts[axis] = firsts[axis].div_ceil(together);
                for index in Region::whole(&firsts).indices() {
                    transfer.control.check()?;
                    let mut unit: Vec<u64> = index.iter().zip(units.start()).map(|(index, first)| index + first).collect();
                    unit[axis] = units.start()[axis] + index[axis] * together;
                    let count = together.min(units.end(axis) - unit[axis]);
                    self.group(&filled, &unit, Some((axis, count)))?;
                }
            }
        }
        let tiles = self.slot.chunks_exact_mut(transfer.tile_bytes);
        for ((tile, unit), touched) in tiles.zip(filled.cells.indices()).zip(&self.touched) {
            transfer.control.check()?;
            transfer.deliver(&unit, tile, *touched, scratch)?;
        }
        Ok(())
    }

    /// The source units of a box, shard by shard, so that a reader needs each shard's index once.
    fn units(&self, units: &Region) -> TiledIndices {
        let axes: Vec<usize> = (0..units.rank()).collect();
        TiledIndices::new(units, std::slice::from_ref(&self.geometry.shard), &axes)
    }

    /// Takes what the box has of a unit from the whole of it.
    fn whole(&mut self, filled: &Box<'_>, unit: &[u64]) -> Result<()> {
        let (transfer, geometry) = (self.transfer, self.geometry);
        let source = transfer.source;
        let Some(piece) = source.grid().region(unit).intersect(filled.region) else { return Ok(()) };
        let within = piece.relative_to(&source.grid().origin(unit));
        let mut decoded = 0;
        let Self { reader, slot, touched, state, .. } = self;
        let read = reader.read_box(&source.in_array(unit), &within, &mut |bytes| {
            let mut target = Target { transfer, filled, slot, touched, state };
            match bytes {
                None => target.missing(piece.start(), piece.shape()),
                Some(bytes) => {
                    decoded = bytes.len() as u64;
                    target.data(piece.start(), piece.shape(), bytes, BoxLayout::at(within.start(), &geometry.strides))
                }
            }
        })?;
        let control = transfer.control;
        add(&control.decoded_units, u64::from(decoded > 0));
        add(&control.decoded_bytes, decoded);
        add(&control.read_bytes, read);
        self.done(&piece);
        Ok(())
    }

    fn done(&self, piece: &Region) {
        let elements = piece.element_count().unwrap_or(u64::MAX);
        add(&self.transfer.control.done_bytes, elements.saturating_mul(self.transfer.item_size() as u64));
    }

    /// Takes what the box has of `count` units from `unit` on along an axis along which they have one element each, or of one unit.
    fn group(&mut self, filled: &Box<'_>, unit: &[u64], group: Option<(usize, u64)>) -> Result<()> {
        let (transfer, source) = (self.transfer, self.transfer.source);
        let Some(piece) = source.grid().region(unit).intersect(filled.region) else { return Ok(()) };
        let within = piece.relative_to(&source.grid().origin(unit));
        let count = group.map_or(1, |(_, count)| to_usize(count));
        let mut units = vec![source.in_array(unit); count];
        if let Some((axis, _)) = group {
            units.iter_mut().enumerate().for_each(|(i, unit)| unit[axis] += i as u64);
        }
        let (strides, item) = (&self.geometry.strides, transfer.item_size());
        let limit = to_usize(STAGE_BYTES) / self.geometry.staging().map_or(1, |staging| to_usize(staging.units));
        let parts = windows(within.shape(), strides, &self.geometry.order, item, limit.saturating_sub(128));
        let present = self.begin(&units, &within, &parts)?;
        // Windows of neighbours lie an odd number of cache lines apart, so that they do not fall on the same places of the cache.
        let pitch = (parts.span.div_ceil(64) | 1) * 64;
        resize(&mut self.stage, pitch * count)?;
        for_each_piece(&[0; MAX_RANK][..within.rank()], within.shape(), &parts.shape[..within.rank()], |_, start, shape| {
            self.part(filled, (&units, &present), (&piece, &within), (start, shape), pitch, group.map(|(axis, _)| axis))
        })?;
        let element_bytes = within.element_count().unwrap_or(u64::MAX).saturating_mul(item as u64);
        let stored = present.iter().filter(|present| **present).count() as u64;
        add(&transfer.control.decoded_units, stored);
        add(&transfer.control.decoded_bytes, stored * element_bytes);
        add(&transfer.control.done_bytes, count as u64 * element_bytes);
        Ok(())
    }

    /// Opens units, and says what of them is wanted; returns which are there.
    fn begin(&mut self, units: &[Vec<u64>], within: &Region, parts: &Windows) -> Result<Vec<bool>> {
        let strides = &self.geometry.strides;
        let (offset, len) = (BoxLayout::at(within.start(), strides).offset, span(within.shape(), strides, self.transfer.item_size()));
        let counts = within.shape().iter().zip(&parts.shape).map(|(len, part)| len.div_ceil(*part)).product::<u64>();
        let mut present = Vec::with_capacity(units.len());
        for unit in units {
            let place = self.reader.place(unit)?;
            if let Some(place) = place.as_ref().filter(|_| counts == parts.together && (units.len() > 1 || counts > 1)) {
                place.expect(offset, len);
            }
            present.push(place.is_some());
        }
        Ok(present)
    }

    /// Reads one window of each unit, and copies them.
    fn part(
        &mut self,
        filled: &Box<'_>,
        (units, present): (&[Vec<u64>], &[bool]),
        (piece, within): (&Region, &Region),
        (start, shape): (&[u64], &[u64]),
        pitch: usize,
        axis: Option<usize>,
    ) -> Result<()> {
        let (transfer, rank) = (self.transfer, shape.len());
        let (mut place, mut first) = ([0; MAX_RANK], [0; MAX_RANK]);
        for axis in 0..rank {
            (first[axis], place[axis]) = (within.start()[axis] + start[axis], piece.start()[axis] + start[axis]);
        }
        let offset = BoxLayout::at(&first[..rank], &self.geometry.strides).offset;
        let len = span(shape, &self.geometry.strides, transfer.item_size());
        let Self { reader, stage, slot, touched, state, geometry, .. } = self;
        for ((unit, present), bytes) in units.iter().zip(present).zip(stage.chunks_exact_mut(pitch)) {
            if let (true, Some(stored)) = (*present, reader.place(unit)?) {
                stored.read_into(offset, &mut bytes[..len])?;
                add(&transfer.control.read_bytes, len as u64);
            }
        }
        let mut target = Target { transfer, filled, slot, touched, state };
        let mut strides = geometry.strides.clone();
        let mut whole = [0; MAX_RANK];
        whole[..rank].copy_from_slice(shape);
        if let Some(axis) = axis {
            (strides[axis], whole[axis]) = (pitch, units.len() as u64);
        }
        if present.iter().all(|present| *present) {
            return target.data(&place[..rank], &whole[..rank], stage, BoxLayout { offset: 0, strides: &strides });
        }
        for (i, present) in present.iter().enumerate() {
            if *present {
                target.data(&place[..rank], shape, stage, BoxLayout { offset: i * pitch, strides: &strides })?;
            } else {
                target.missing(&place[..rank], shape)?;
            }
            if let Some(axis) = axis {
                place[axis] += 1;
            }
        }
        Ok(())
    }
}

/// The units of a box, and what is known of them.
struct Target<'w, S> {
    transfer: &'w Transfer<'w, S>,
    filled: &'w Box<'w>,
    slot: &'w mut [u8],
    touched: &'w mut [bool],
    state: &'w mut Fill,
}

impl<S: TileSink> Target<'_, S> {
    /// Brings elements of the source to their places.
    fn data(&mut self, start: &[u64], shape: &[u64], bytes: &[u8], from: BoxLayout<'_>) -> Result<()> {
        if let Fill::Fresh | Fill::Missing = *self.state {
            self.preset(*self.state == Fill::Missing);
        }
        let Box { cells, .. } = self.filled;
        let touched = &mut *self.touched;
        cells.touched(start, shape, |position| touched[position] = true)?;
        cells.copy(start, shape, bytes, from, self.slot);
        Ok(())
    }

    /// Sets the units to what they are without source chunks: all of them, or those that reach beyond the array.
    fn preset(&mut self, all: bool) {
        let grid = self.transfer.grid;
        for (tile, unit) in self.slot.chunks_exact_mut(self.transfer.tile_bytes).zip(self.filled.cells.indices()) {
            if all || grid.region(&unit).shape() != grid.chunk_shape() {
                self.transfer.preset(&unit, tile);
            }
        }
        *self.state = if all { Fill::Preset } else { Fill::Begun };
    }

    /// Notes that nothing is stored of elements.
    fn missing(&mut self, start: &[u64], shape: &[u64]) -> Result<()> {
        match *self.state {
            Fill::Fresh => *self.state = Fill::Missing,
            Fill::Missing | Fill::Preset => {}
            Fill::Begun => {
                let still = [0; MAX_RANK];
                let from = BoxLayout { offset: 0, strides: &still[..shape.len()] };
                self.filled.cells.copy(start, shape, self.transfer.source_fill().as_bytes(), from, self.slot);
            }
        }
        Ok(())
    }
}
