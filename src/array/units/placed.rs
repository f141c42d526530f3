//! Writes pieces of units straight to their final places, in an array that nobody reads yet and whose units are stored as they are.
//!
//! Invariants
//! 1. Nothing is stored of a unit before a piece of it comes that is not fill. From then on its place is known, and what came before is there as
//!    fill: as a hole where that is zeros, written otherwise.
//! 2. A chunk is in the table from its first piece to its last; the index of a shard is written with the last one.
//! 3. No two pieces share a byte; they are written outside of all locks, once their unit has its place.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::array::Array;
use crate::array::units::{Written, chunk_of};
use crate::codec::{ShardIndex, Sharding};
use crate::error::{Error, Result};
use crate::process::open_file_limit;
use crate::region::{BoxLayout, element_count, to_usize};
use crate::store::ValueWriter;

/// Files that are kept open between pieces at most.
const OPEN_FILES: usize = 512;

/// How much fill is written at once.
const FILL_BYTES: usize = 64 << 10;

/// Writes units piece by piece from several threads. The shards of the array hold no shards.
pub(crate) struct PlacedWriter<'a> {
    array: &'a Array,
    unit_bytes: u64,
    /// The fill value is zeros, as what was never written of a file is.
    zeros: bool,
    most_open: usize,
    /// Whether an earlier writer may have left chunks that are not complete.
    leftovers: bool,
    table: Mutex<Table<'a>>,
}

#[derive(Default)]
struct Table<'a> {
    chunks: HashMap<Vec<u64>, Arc<Mutex<Chunk<'a>>>>,
    open: usize,
}

type Writer<'a> = Arc<Box<dyn ValueWriter + 'a>>;

/// A chunk of which some pieces are still to come.
struct Chunk<'a> {
    units: HashMap<Vec<u64>, Unit>,
    /// Units that are not complete yet.
    missing: u64,
    /// Where the next unit of a shard goes, and where those that are stored are.
    next_offset: u64,
    index: Option<ShardIndex>,
    stored: bool,
    /// None as long as nothing is stored, and where too many files are open.
    writer: Option<Writer<'a>>,
}

/// A unit of which some pieces are still to come.
#[derive(Clone, Copy)]
struct Unit {
    /// Where it begins in the file; none while it is all fill.
    offset: Option<u64>,
    /// Whether a piece was left out.
    skipped: bool,
    /// Whether something was written at its end.
    ends: bool,
    /// Elements inside the array that are still to come.
    remaining: u64,
}

/// What a piece added to the store.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Placed {
    pub(crate) written: Written,
    /// Size of the unit, if the piece completed it and it is stored.
    pub(crate) unit_bytes: u64,
}

/// A piece of a unit: its elements in a buffer, and where in the unit they belong.
#[derive(Clone, Copy)]
pub(crate) struct Piece<'p> {
    pub(crate) shape: &'p [u64],
    pub(crate) data: &'p [u8],
    pub(crate) from: BoxLayout<'p>,
    pub(crate) to: BoxLayout<'p>,
}

impl<'a> PlacedWriter<'a> {
    /// Whether the units of an array can be written piece by piece: they are stored as they are, in no shards within shards, and in none whose index
    /// is too large to be held.
    pub(crate) fn fits(array: &Array) -> bool {
        let held = array.sharding().is_none_or(Sharding::index_is_small);
        array.unit_pipeline().is_identity() && array.unit_grid() == array.part_grid() && held
    }

    /// A writer of chunks that may be there already where there are `leftovers`: each is removed before anything of it is written.
    pub(crate) fn new(array: &'a Array, leftovers: bool) -> Self {
        assert!(Self::fits(array), "units that are stored as they are");
        let limit = open_file_limit().map_or(OPEN_FILES, |limit| to_usize(limit / 2));
        Self {
            array,
            unit_bytes: array.unit_pipeline().chunk_bytes() as u64,
            zeros: array.metadata().fill.as_bytes().iter().all(|byte| *byte == 0),
            most_open: OPEN_FILES.min(limit),
            leftovers,
            table: Mutex::default(),
        }
    }

    /// Takes the next piece of a unit; `fill` says that it is known to be all fill. Each element inside the array comes once.
    pub(crate) fn write(&self, unit: &[u64], piece: &Piece<'_>, fill: bool) -> Result<Placed> {
        let (chunk_index, _) = self.chunk_of(unit);
        let chunk = self.chunk(&chunk_index);
        let item = self.array.data_type().item_size();
        let place = chunk.lock().unit(self.array, unit).offset;
        let fill = fill || (place.is_none() && all_runs(piece, item, &mut |_, bytes| Ok(self.array.metadata().fill.is_all_fill(bytes)))?);
        let found = {
            let mut chunk = chunk.lock();
            let unit_state = chunk.unit(self.array, unit);
            if fill && (self.zeros || unit_state.offset.is_none()) {
                unit_state.skipped = true;
                None
            } else {
                Some(self.place(&chunk_index, &mut chunk, unit)?)
            }
        };
        let mut ends = false;
        if let Some((writer, offset)) = found {
            all_runs(piece, item, &mut |at, bytes| {
                ends |= (at + bytes.len()) as u64 == self.unit_bytes;
                writer.write_at(offset.saturating_add(at as u64), bytes).map(|()| true)
            })?;
        }
        self.complete(&chunk_index, &chunk, unit, element_count(piece.shape).unwrap_or(u64::MAX), ends)
    }

    /// Whether no chunk is begun and not complete.
    pub(crate) fn is_whole(&self) -> bool {
        self.table.lock().chunks.is_empty()
    }

    /// Checks that nothing is left incomplete.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when pieces were never given.
    pub(crate) fn finish(self) -> Result<()> {
        match self.table.into_inner().chunks.keys().next() {
            None => Ok(()),
            Some(chunk) => Err(Error::invalid(format!("{}: pieces of chunk {chunk:?} were never written", self.array.path()))),
        }
    }

    fn chunk_of(&self, unit: &[u64]) -> (Vec<u64>, Vec<u64>) {
        match self.array.sharding() {
            None => (unit.to_vec(), vec![0; unit.len()]),
            Some(sharding) => chunk_of(unit, sharding.units_per_chunk()),
        }
    }

    /// The state of a chunk, made if this is the first that comes of it.
    fn chunk(&self, index: &[u64]) -> Arc<Mutex<Chunk<'a>>> {
        let mut table = self.table.lock();
        if let Some(chunk) = table.chunks.get(index) {
            return chunk.clone();
        }
        let (missing, next_offset) = match self.array.sharding() {
            None => (1, 0),
            Some(sharding) => {
                let units = element_count(self.array.parts_of_chunk(index).shape()).unwrap_or(u64::MAX);
                (units, if sharding.index_at_start() { sharding.index_bytes() } else { 0 })
            }
        };
        let chunk = Chunk { units: HashMap::new(), missing, next_offset, index: None, stored: false, writer: None };
        let chunk = Arc::new(Mutex::new(chunk));
        table.chunks.insert(index.to_vec(), chunk.clone());
        chunk
    }

    /// The file of a chunk, and where a unit begins in it, which is given its place if it has none.
    fn place(&self, index: &[u64], chunk: &mut Chunk<'a>, unit: &[u64]) -> Result<(Writer<'a>, u64)> {
        if self.leftovers && !chunk.stored {
            self.array.store().erase(&self.array.key_of(index)?)?;
        }
        let writer = self.open(index, chunk)?;
        let next_offset = chunk.next_offset;
        let state = chunk.unit(self.array, unit);
        if let Some(offset) = state.offset {
            return Ok((writer, offset));
        }
        state.offset = Some(next_offset);
        let clipped = self.array.unit_grid().region(unit).shape() != self.array.unit_grid().chunk_shape();
        if !self.zeros && (clipped || state.skipped) {
            state.ends = true;
            self.write_fill(&writer, next_offset)?;
        }
        chunk.stored = true;
        chunk.next_offset = next_offset.saturating_add(self.unit_bytes);
        if let Some(sharding) = self.array.sharding() {
            if chunk.index.is_none() {
                chunk.index = Some(ShardIndex::empty(sharding.unit_count())?);
            }
            let position = sharding.position(&chunk_of(unit, sharding.units_per_chunk()).1);
            if let Some(index) = &mut chunk.index {
                index.set(position, next_offset, self.unit_bytes);
            }
        }
        Ok((writer, next_offset))
    }

    fn open(&self, index: &[u64], chunk: &mut Chunk<'a>) -> Result<Writer<'a>> {
        if let Some(writer) = &chunk.writer {
            return Ok(writer.clone());
        }
        let writer = Arc::new(self.array.store().writer(&self.array.key_of(index)?)?);
        let mut table = self.table.lock();
        if table.open < self.most_open {
            table.open += 1;
            chunk.writer = Some(writer.clone());
        }
        Ok(writer)
    }

    fn write_fill(&self, writer: &Writer<'a>, offset: u64) -> Result<()> {
        let fill = self.array.metadata().fill.as_bytes();
        let block = fill.repeat((FILL_BYTES / fill.len().max(1)).max(1));
        let mut at = 0;
        while at < self.unit_bytes {
            let len = to_usize(self.unit_bytes - at).min(block.len());
            writer.write_at(offset.saturating_add(at), &block[..len])?;
            at += len as u64;
        }
        Ok(())
    }

    /// Counts elements of a unit as given; completes the unit with the last of them, and the chunk with its last unit.
    fn complete(&self, index: &[u64], chunk: &Mutex<Chunk<'a>>, unit: &[u64], elements: u64, ends: bool) -> Result<Placed> {
        let mut chunk = chunk.lock();
        let state = chunk.unit(self.array, unit);
        state.ends |= ends;
        state.remaining = state.remaining.saturating_sub(elements);
        if state.remaining > 0 {
            return Ok(Placed::default());
        }
        let state = *state;
        chunk.units.remove(unit);
        let mut placed = Placed::default();
        if let Some(offset) = state.offset {
            (placed.written.stored_bytes, placed.unit_bytes) = (self.unit_bytes, self.unit_bytes);
            if !state.ends {
                // A file ends with the last of its bytes that was written.
                self.open(index, &mut chunk)?.write_at(offset.saturating_add(self.unit_bytes - 1), &[0])?;
            }
        }
        chunk.missing = chunk.missing.saturating_sub(1);
        if chunk.missing > 0 {
            return Ok(placed);
        }
        if let (Some(sharding), Some(entries)) = (self.array.sharding(), chunk.index.take()) {
            let bytes = sharding.encode_index(&entries)?;
            let offset = if sharding.index_at_start() { 0 } else { chunk.next_offset };
            self.open(index, &mut chunk)?.write_at(offset, &bytes)?;
            placed.written.stored_bytes += bytes.len() as u64;
        }
        placed.written.files = u64::from(chunk.stored);
        let kept = chunk.writer.take().is_some();
        drop(chunk);
        let mut table = self.table.lock();
        table.chunks.remove(index);
        table.open -= usize::from(kept);
        Ok(placed)
    }
}

impl Chunk<'_> {
    fn unit(&mut self, array: &Array, unit: &[u64]) -> &mut Unit {
        if !self.units.contains_key(unit) {
            let remaining = array.unit_grid().region(unit).element_count().unwrap_or(u64::MAX);
            self.units.insert(unit.to_vec(), Unit { offset: None, skipped: false, ends: false, remaining });
        }
        let Some(unit) = self.units.get_mut(unit) else { unreachable!("it was just put there") };
        unit
    }
}

/// Shows `visit` the runs of a piece that lie together on both sides, each with its place in the unit, until it returns false; returns whether it
/// never did.
fn all_runs(piece: &Piece<'_>, item: usize, visit: &mut dyn FnMut(usize, &[u8]) -> Result<bool>) -> Result<bool> {
    let mut order: Vec<usize> = (0..piece.shape.len()).filter(|&axis| piece.shape[axis] != 1).collect();
    order.sort_by_key(|&axis| std::cmp::Reverse(piece.to.strides[axis]));
    let mut run = item;
    while let Some(&axis) = order.last().filter(|&&axis| piece.from.strides[axis] == run && piece.to.strides[axis] == run) {
        run *= to_usize(piece.shape[axis]);
        order.pop();
    }
    let mut at = vec![0_u64; order.len()];
    loop {
        let (mut from, mut to) = (piece.from.offset, piece.to.offset);
        for (index, &axis) in at.iter().zip(&order) {
            from += to_usize(*index) * piece.from.strides[axis];
            to += to_usize(*index) * piece.to.strides[axis];
        }
        if !visit(to, &piece.data[from..from + run])? {
            return Ok(false);
        }
        let mut level = order.len();
        loop {
            if level == 0 {
                return Ok(true);
            }
            level -= 1;
            at[level] += 1;
            if at[level] < piece.shape[order[level]] {
                break;
            }
            at[level] = 0;
        }
    }
}
