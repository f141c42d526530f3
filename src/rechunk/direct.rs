//! The direct strategy: source units are decoded and copied straight into target units, of which a frontier is in memory.
//!
//! Invariants
//! 1. A source unit is handed out only when every target unit that it touches has a slot, so whoever has one never waits for memory, and every
//!    target unit that is begun gets finished.
//! 2. Units are handed out in the order of the plan. When all that were handed out are done, the live target units are the frontier
//!    of that order, which the plan has slots for; so waiting for a slot always ends.
//! 3. A slot belongs to whoever holds its lock; threads share no bytes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::array::UnitReader;
use crate::error::{Error, Result};
use crate::rechunk::execute::{TileSink, Transfer, in_units, spans};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::pieces::for_each_piece;
use crate::rechunk::plan::{Plan, Walk};
use crate::rechunk::rounds::Rounds;
use crate::region::{BoxLayout, Region, copy_box, element_count, ravel};

/// A target unit in the making.
struct Tile<'s> {
    unit: Vec<u64>,
    position: u64,
    /// Elements inside the array that no source unit has delivered yet.
    remaining: AtomicU64,
    state: Mutex<TileState<'s>>,
}

struct TileState<'s> {
    slot: Option<&'s mut [u8]>,
    touched: bool,
}

/// A source unit and the target units that it touches, in the order in which it is cut.
type Handed<'s> = (Vec<u64>, Vec<Arc<Tile<'s>>>);

/// A source unit and the cells of the target grid that it meets. What it needs does not change while it waits: a live tile that it touches
/// stays live until it has delivered to it.
struct Next {
    unit: Vec<u64>,
    cells: Vec<(u64, Vec<u64>)>,
    /// Slots that it needs: cells without a live tile.
    needed: usize,
}

/// Hands out source units with slots for the target units that they touch.
struct Dispatcher<'s> {
    /// The next unit; it may have found too few slots so far.
    next: Option<Next>,
    free: Vec<&'s mut [u8]>,
    live: HashMap<u64, Arc<Tile<'s>>>,
    handed_out: usize,
}

struct Work<'t, 's, S, G> {
    transfer: &'t Transfer<'t, S>,
    counts: Vec<u64>,
    units: Rounds<'t, TiledIndices, G>,
    dispatcher: Mutex<Dispatcher<'s>>,
    freed: Condvar,
}

/// Runs a direct plan in `slab`.
pub(super) fn run<S: TileSink>(transfer: &Transfer<'_, S>, plan: &Plan, walk: &Walk, slab: &mut [u8]) -> Result<()> {
    let Walk { super_block, axes, shards_held } = walk;
    let source = transfer.source.grid();
    let (edges, shape) = (source.chunk_shape(), source.counts());
    let tiles = [spans(super_block, edges), spans(&plan.block, edges)];
    let units = TiledIndices::new(&Region::whole(&shape), &tiles, axes);
    let block_of = |unit: &[u64]| in_units(&source.region(unit), super_block).start().to_vec();
    let work = Work {
        transfer,
        counts: transfer.grid.counts(),
        units: Rounds::new(transfer.control, units, transfer.control.begin.items, block_of)?,
        dispatcher: Mutex::new(Dispatcher {
            next: None,
            free: slab.chunks_exact_mut(transfer.tile_bytes).collect(),
            live: HashMap::new(),
            handed_out: 0,
        }),
        freed: Condvar::new(),
    };
    let mut readers: Vec<_> = (0..plan.threads).map(|_| transfer.source.reader(*shards_held)).collect();
    let whole = || work.dispatcher.lock().live.is_empty() && transfer.sink.is_whole();
    work.units.with_checkpoints(|| transfer.on_threads(&mut readers, |reader| work.worker(reader)), whole)
}

impl<'s, S: TileSink, G: Fn(&[u64]) -> Vec<u64> + Sync> Work<'_, 's, S, G> {
    fn worker(&self, reader: &mut UnitReader) -> Result<()> {
        let mut scratch = self.transfer.sink.scratch();
        while let Some((unit, tiles)) = self.take()? {
            let result = self.unit(reader, &unit, &tiles, &mut scratch);
            self.dispatcher.lock().handed_out -= 1;
            result?;
        }
        Ok(())
    }

    /// The next source unit, with the target units that it touches; waits until all of them have slots.
    fn take(&self) -> Result<Option<Handed<'s>>> {
        let mut dispatcher = self.dispatcher.lock();
        loop {
            self.transfer.control.check()?;
            let next = match dispatcher.next.take() {
                Some(next) => next,
                None => match self.units.next() {
                    Some(unit) => self.survey(&dispatcher, unit)?,
                    None => return Ok(None),
                },
            };
            if next.needed <= dispatcher.free.len() {
                dispatcher.handed_out += 1;
                let tiles = next.cells.into_iter().map(|(position, cell)| self.tile(&mut dispatcher, position, cell)).collect();
                return Ok(Some((next.unit, tiles)));
            }
            if dispatcher.handed_out == 0 {
                return Err(Error::invalid("a plan with too few slots for its frontier"));
            }
            dispatcher.next = Some(next);
            self.freed.wait_for(&mut dispatcher, Duration::from_millis(50));
        }
    }

    /// The cells that a source unit meets, in the order in which it is cut.
    fn survey(&self, dispatcher: &Dispatcher<'s>, unit: Vec<u64>) -> Result<Next> {
        let region = self.transfer.source.grid().region(&unit);
        let (mut cells, mut needed) = (Vec::new(), 0);
        for_each_piece(region.start(), region.shape(), self.transfer.grid.chunk_shape(), |cell, _, _| {
            let position = ravel(cell, &self.counts);
            needed += usize::from(!dispatcher.live.contains_key(&position));
            cells.push((position, cell.to_vec()));
            Ok(())
        })?;
        Ok(Next { unit, cells, needed })
    }

    /// The live tile of a cell, or a new one in a free slot.
    fn tile(&self, dispatcher: &mut Dispatcher<'s>, position: u64, unit: Vec<u64>) -> Arc<Tile<'s>> {
        if let Some(tile) = dispatcher.live.get(&position) {
            return tile.clone();
        }
        let inside = self.transfer.grid.region(&unit).element_count().unwrap_or(u64::MAX);
        let state = Mutex::new(TileState { slot: dispatcher.free.pop(), touched: false });
        let tile = Arc::new(Tile { unit, position, remaining: AtomicU64::new(inside), state });
        dispatcher.live.insert(position, tile.clone());
        tile
    }

    /// Decodes a source unit, delivers its pieces, and finishes the tiles that this completes.
    fn unit(&self, reader: &mut UnitReader, unit: &[u64], tiles: &[Arc<Tile<'s>>], scratch: &mut S::Scratch) -> Result<()> {
        let transfer = self.transfer;
        let region = transfer.source.grid().region(unit);
        let origin = transfer.source.grid().origin(unit);
        let strides = transfer.source.strides();
        let edges = transfer.grid.chunk_shape();
        let mut complete = Vec::new();
        transfer.read(reader, unit, &mut |bytes| {
            let mut next = tiles.iter();
            for_each_piece(region.start(), region.shape(), edges, |_, start, shape| {
                let Some(tile) = next.next() else { unreachable!("one tile a piece") };
                let elements = element_count(shape).unwrap_or(u64::MAX);
                if let Some(bytes) = bytes {
                    let layout = BoxLayout::at(&relative(start, &origin), &strides);
                    self.copy(tile, elements, start, shape, bytes, layout);
                }
                if tile.remaining.fetch_sub(elements, Ordering::AcqRel) == elements {
                    complete.push(tile.clone());
                }
                Ok(())
            })
        })?;
        complete.iter().try_for_each(|tile| self.finish(tile, scratch))
    }

    fn copy(&self, tile: &Tile<'s>, elements: u64, start: &[u64], shape: &[u64], bytes: &[u8], from: BoxLayout<'_>) {
        let transfer = self.transfer;
        let item = transfer.item_size();
        let mut state = tile.state.lock();
        let TileState { slot: Some(slot), touched } = &mut *state else { unreachable!("a tile in the making has its slot") };
        if !*touched {
            // A piece that is the whole tile leaves nothing to be filled.
            if elements.saturating_mul(item as u64) < slot.len() as u64 {
                transfer.preset(&tile.unit, slot);
            }
            *touched = true;
        }
        let to = BoxLayout::at(&relative(start, &transfer.grid.origin(&tile.unit)), &transfer.strides);
        copy_box(shape, item, bytes, from, slot, to);
    }

    fn finish(&self, tile: &Arc<Tile<'s>>, scratch: &mut S::Scratch) -> Result<()> {
        let (slot, touched) = {
            let mut state = tile.state.lock();
            (state.slot.take(), state.touched)
        };
        let Some(slot) = slot else { unreachable!("a tile is finished once") };
        self.transfer.deliver(&tile.unit, slot, touched, scratch)?;
        let mut dispatcher = self.dispatcher.lock();
        dispatcher.live.remove(&tile.position);
        dispatcher.free.push(slot);
        if dispatcher.next.as_ref().is_some_and(|next| next.needed <= dispatcher.free.len()) {
            self.freed.notify_all();
        }
        Ok(())
    }
}

fn relative(start: &[u64], origin: &[u64]) -> Vec<u64> {
    start.iter().zip(origin).map(|(start, origin)| start - origin).collect()
}
