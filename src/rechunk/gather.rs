//! The gather strategy, for what the others have no arithmetic for: rectilinear grids, and elements of variable length.
//!
//! The target is filled box by box. Each box is read from the source on its own, so a source chunk that several boxes meet is decoded for each
//! of them; boxes are as large as the budget allows, and grown along the axes where that saves most.
//!
//! Invariants
//! 1. A box is made of whole target units. It lies in one chunk where the target's grid is rectilinear, and is made of whole shards or lies in one
//!    where the target is sharded: a shard is in the making only while a thread fills it.
//! 2. Every target unit is in exactly one box.

use std::sync::atomic::Ordering;

use crate::array::{Array, ReadCounts, UnitWriter, WriteScratch, Written};
use crate::buffer::resize;
use crate::error::{Error, Result};
use crate::grid::ChunkGrid;
use crate::ragged::{ENTRY_BYTES, Ragged};
use crate::rechunk::execute::{Control, add};
use crate::rechunk::rounds::Rounds;
use crate::rechunk::source::Source;
use crate::region::{BoxLayout, Region, c_strides, copy_box, element_count, to_usize};

/// What the planner knows of a rechunk that is gathered.
#[derive(Clone, Debug)]
pub(crate) struct Gathered {
    /// Number of chunks of the target along each axis.
    pub(crate) chunk_counts: Vec<u64>,
    /// The chunks are all alike: of the source, of the target.
    pub(crate) even_source: bool,
    pub(crate) even_target: bool,
    /// Size of all target units in bytes.
    pub(crate) encoded_bytes: u64,
    /// How often the elements of a box are in memory at one time.
    pub(crate) copies: u64,
    /// What an element of a box takes; an estimate where elements are of variable length.
    pub(crate) element_bytes: u64,
}

/// The boxes that a target is filled by.
#[derive(Clone, Debug)]
pub(crate) struct Boxes {
    /// Shape of each, in elements.
    pub(crate) shape: Vec<u64>,
    /// Whether each lies in one chunk of the target.
    pub(crate) within_chunks: bool,
    /// What the elements of one may take, in bytes.
    pub(crate) share_bytes: u64,
}

/// What an element of variable length is taken to have in bytes, when nothing of it is known yet.
const ASSUMED_TEXT_BYTES: u64 = 64;

/// Boxes that are so many source chunks long gain little from being longer.
const ENOUGH_SOURCE_CHUNKS: u64 = 16;

impl Gathered {
    /// None where the other strategies do.
    pub(crate) fn of(source: &Array, target: &Array, region: &Region) -> Option<Self> {
        let data_type = source.data_type();
        let whole_units = Source::is_part(source, region);
        let regular = source.grid().is_regular() && target.grid().is_regular() && whole_units;
        if regular && !data_type.is_variable_length() {
            return None;
        }
        let text = if data_type.is_variable_length() { ASSUMED_TEXT_BYTES } else { 0 };
        let item_bytes = data_type.item_size() as u64;
        let encoded = element_count(&target.unit_grid().stored_extent()).and_then(|count| count.checked_mul(item_bytes));
        Some(Self {
            chunk_counts: target.grid().counts(),
            even_source: source.grid().is_regular() && whole_units,
            even_target: target.grid().is_regular(),
            encoded_bytes: encoded.unwrap_or(u64::MAX),
            copies: if text > 0 { 2 } else { 1 },
            element_bytes: item_bytes.saturating_add(text),
        })
    }

    /// The same where both sides are read, and compared.
    pub(crate) fn of_both(source: &Array, target: &Array) -> Option<Self> {
        Self::of(source, target, &Region::whole(source.shape())).map(|gathered| Self { copies: 2, ..gathered })
    }

    /// What an element of a box takes in all.
    pub(super) fn bytes_each(&self) -> u64 {
        self.element_bytes.saturating_mul(self.copies)
    }

    /// Number of chunks of the target.
    pub(super) fn chunks(&self) -> u64 {
        self.chunk_counts.iter().copied().fold(1, u64::saturating_mul)
    }
}

/// The largest box of whole `unit`s that `limit_bytes` hold, grown where source chunks of `source` are cut most often; within `bounds`.
/// None if not even one unit fits.
pub(super) fn box_shape(gathered: &Gathered, source: &[u64], unit: &[u64], bounds: &[u64], limit_bytes: u64) -> Option<Vec<u64>> {
    let bytes = |shape: &[u64]| element_count(shape).and_then(|count| count.checked_mul(gathered.bytes_each()));
    let fits = |shape: &[u64]| bytes(shape).is_some_and(|bytes| bytes <= limit_bytes);
    let mut shape = unit.to_vec();
    if !fits(&shape) {
        return None;
    }
    let mut open: Vec<usize> = (0..unit.len()).collect();
    loop {
        // How often the chunks of an axis are decoded again is about the source edge over the box edge.
        let gain = |&axis: &usize| source[axis] as f64 / shape[axis] as f64;
        let Some(axis) = open.iter().copied().max_by(|a, b| gain(a).total_cmp(&gain(b))) else { return Some(shape) };
        let mut longer = shape.clone();
        longer[axis] = shape[axis].saturating_mul(2).min(bounds[axis].checked_next_multiple_of(unit[axis]).unwrap_or(u64::MAX));
        let enough = shape[axis] / ENOUGH_SOURCE_CHUNKS >= source[axis];
        if enough || longer[axis] <= shape[axis] || !fits(&longer) {
            open.retain(|&other| other != axis);
        } else {
            shape = longer;
        }
    }
}

/// Elements that are decoded along one axis of `len`, at most, by boxes of `edge` over source chunks of at most `source`.
pub(super) fn decoded_along(gathered: &Gathered, boxes: &Boxes, axis: usize, len: u64, chunk: u64, source: u64) -> u64 {
    let (edge, even) = (boxes.shape[axis], gathered.even_source && !boxes.within_chunks);
    let boxes = if boxes.within_chunks { gathered.chunk_counts[axis].saturating_mul(chunk.div_ceil(edge)) } else { len.div_ceil(edge) };
    if even && edge.is_multiple_of(source) {
        len.div_ceil(source).saturating_mul(source)
    } else if even && source.is_multiple_of(edge) {
        boxes.saturating_mul(source)
    } else {
        // Source chunks inside of the box, and one at either end.
        boxes.saturating_mul(edge.saturating_add(2 * (source - 1)))
    }
}

/// What belongs to one array or to the view of a chunk, for as long as it is filled or compared.
pub(crate) trait Opened: Sync + Sized {
    /// Makes it; parts of the array may be there already where there are `leftovers`.
    fn open(array: &Array, leftovers: bool) -> Self;

    /// Whether all that was begun is complete.
    fn is_whole(&self) -> bool;

    /// Takes it back.
    fn close(self) -> Result<()>;
}

impl Opened for UnitWriter {
    fn open(array: &Array, leftovers: bool) -> Self {
        Self::over(array, leftovers)
    }

    fn is_whole(&self) -> bool {
        Self::is_whole(self)
    }

    fn close(self) -> Result<()> {
        self.finish()
    }
}

/// Calls `work` for every box of `target`, on as many threads as there are states: the target or the view of the chunk that the box lies in,
/// the box in it, and the same box in the source, from where `start` is the beginning of what is taken.
pub(crate) fn each_box<S: Send, V: Opened>(
    (target, start): (&Array, &[u64]),
    boxes: &Boxes,
    mut states: Vec<S>,
    control: &Control<'_>,
    work: impl Fn(&mut S, &V, &Task<'_>) -> Result<()> + Sync,
) -> Result<()> {
    let boxes_of = |array: &Array| {
        let grid = ChunkGrid::regular(array.shape(), &*boxes.shape)?;
        Ok::<_, Error>((Region::whole(&grid.counts()).indices(), grid))
    };
    if !boxes.within_chunks {
        let ((indices, grid), shared) = (boxes_of(target)?, V::open(target, control.continued()));
        let chunk_of = |index: &[u64]| target.grid().chunks_over(&grid.region(index)).start().to_vec();
        let queue = Rounds::new(control, indices, control.begin.items, chunk_of)?;
        let one = |state: &mut S| {
            loop {
                control.check()?;
                let Some(index) = queue.next() else { return Ok(()) };
                work(state, &shared, &Task { array: target, origin: start, inside: grid.region(&index) })?;
            }
        };
        queue.with_checkpoints(|| control.on_threads(&mut states, one), || shared.is_whole())?;
        return shared.close();
    }
    let chunks = Region::whole(&target.grid().counts()).indices();
    let chunks = Rounds::new(control, chunks, control.begin.items, <[u64]>::to_vec)?;
    let one = |state: &mut S| {
        loop {
            control.check()?;
            let Some(chunk) = chunks.next() else { return Ok(()) };
            let (view, mut origin) = (target.chunk_view(&chunk)?, target.grid().origin(&chunk));
            origin.iter_mut().zip(start).for_each(|(origin, start)| *origin += start);
            let own = V::open(&view, control.continued());
            let (indices, grid) = boxes_of(&view)?;
            for index in indices {
                control.check()?;
                work(state, &own, &Task { array: &view, origin: &origin, inside: grid.region(&index) })?;
            }
            own.close()?;
        }
    };
    chunks.with_checkpoints(|| control.on_threads(&mut states, one), || true)
}

/// A box to be filled or compared.
pub(crate) struct Task<'a> {
    /// The target, or the view of one of its chunks.
    pub(crate) array: &'a Array,
    /// Where that begins in the source.
    origin: &'a [u64],
    /// The box, relative to that.
    pub(crate) inside: Region,
}

impl Task<'_> {
    /// The box in the source.
    pub(crate) fn region(&self) -> Result<Region> {
        self.shifted(&self.inside)
    }

    /// A part of the box in the source.
    fn shifted(&self, inside: &Region) -> Result<Region> {
        let start: Vec<u64> = inside.start().iter().zip(self.origin).map(|(start, origin)| start + origin).collect();
        Region::new(start, inside.shape())
    }
}

/// What one thread reuses from box to box.
#[derive(Default)]
struct Worker {
    data: Vec<u8>,
    tile: Vec<u8>,
    scratch: WriteScratch,
}

/// Fills `target` from what of `source` begins at `start`; `count` is told what was written.
pub(super) fn run(
    (source, start): (&Array, &[u64]),
    target: &Array,
    boxes: &Boxes,
    threads: usize,
    control: &Control<'_>,
    count: &(dyn Fn(Written) + Sync),
) -> Result<()> {
    let workers = std::iter::repeat_with(Worker::default).take(threads).collect();
    each_box((target, start), boxes, workers, control, |worker: &mut Worker, writer: &UnitWriter, task| {
        if !source.data_type().is_variable_length() {
            return worker.fill(source, writer, task, control, count);
        }
        each_table(source, task, boxes.share_bytes, control, &mut |inside, elements| {
            write_table(writer, task.array, inside, elements, &mut worker.scratch, &mut |written| {
                control.check()?;
                count(written);
                Ok(())
            })
        })
    })
}

/// Shows `visit` the elements of a box, which are of variable length, at once if they take at most `share_bytes`, and otherwise in halves, down
/// to single units of the target.
pub(crate) fn each_table(
    source: &Array,
    task: &Task<'_>,
    share_bytes: u64,
    control: &Control<'_>,
    visit: &mut dyn FnMut(&Region, &Ragged) -> Result<()>,
) -> Result<()> {
    let mut boxes = vec![task.inside.clone()];
    while let Some(inside) = boxes.pop() {
        control.check()?;
        let halves = halves(&inside, task.array.unit_grid().chunk_shape());
        let limit_bytes = if halves.is_some() { share_bytes } else { u64::MAX };
        let mut counts = ReadCounts::default();
        let elements = source.read_ragged_within(&task.shifted(&inside)?, limit_bytes, &mut counts)?;
        count_reads(control, counts);
        match (elements, halves) {
            (Some(elements), _) => {
                visit(&inside, &elements)?;
                let bytes = element_count(inside.shape()).unwrap_or(u64::MAX).saturating_mul(ENTRY_BYTES as u64);
                deliver(control, bytes, bytes);
            }
            (None, Some((first, second))) => boxes.extend([second, first]),
            (None, None) => return Err(Error::no_memory("strings")),
        }
    }
    Ok(())
}

/// The two halves of a box of units, cut across its longest axis; none for a single unit.
fn halves(inside: &Region, unit: &[u64]) -> Option<(Region, Region)> {
    let (axis, units) = (0..unit.len()).map(|axis| (axis, inside.shape()[axis].div_ceil(unit[axis]))).max_by_key(|&(_, units)| units)?;
    let len = (units / 2).checked_mul(unit[axis]).filter(|&len| len > 0)?;
    let (mut first, mut rest) = (inside.shape().to_vec(), inside.shape().to_vec());
    (first[axis], rest[axis]) = (len, inside.shape()[axis] - len);
    let mut start = inside.start().to_vec();
    start[axis] += len;
    Region::new(inside.start(), first).ok().zip(Region::new(start, rest).ok())
}

/// Writes the units of a box.
fn write_table(
    writer: &UnitWriter,
    array: &Array,
    inside: &Region,
    elements: &Ragged,
    scratch: &mut WriteScratch,
    count: &mut dyn FnMut(Written) -> Result<()>,
) -> Result<()> {
    let (pipeline, fill) = (array.unit_pipeline(), array.metadata().fill_value().as_bytes());
    let (strides, own) = (c_strides(inside.shape(), ENTRY_BYTES), pipeline.strides());
    for unit in array.unit_grid().chunks_over(inside).indices() {
        let within = array.unit_grid().region(&unit);
        let mut tile = Ragged::filled(pipeline.chunk_bytes() / ENTRY_BYTES, fill)?;
        let from = BoxLayout::at(within.relative_to(inside.start()).start(), &strides);
        Ragged::copy_box(within.shape(), (elements, from), (&mut tile, BoxLayout { offset: 0, strides: &own }))?;
        count(writer.write_ragged(&unit, &tile, scratch)?)?;
    }
    Ok(())
}

impl Worker {
    fn fill(
        &mut self,
        source: &Array,
        writer: &UnitWriter,
        task: &Task<'_>,
        control: &Control<'_>,
        count: &(dyn Fn(Written) + Sync),
    ) -> Result<()> {
        let (array, item_size) = (task.array, source.data_type().item_size());
        let (pipeline, fill) = (array.unit_pipeline(), array.metadata().fill_value());
        let box_strides = c_strides(task.inside.shape(), item_size);
        resize(&mut self.data, to_usize(element_count(task.inside.shape()).unwrap_or(u64::MAX)).saturating_mul(item_size))?;
        let mut counts = ReadCounts::default();
        source.read_chunks(&task.region()?, &mut self.data, &mut counts)?;
        count_reads(control, counts);
        for unit in array.unit_grid().chunks_over(&task.inside).indices() {
            control.check()?;
            let within = array.unit_grid().region(&unit);
            resize(&mut self.tile, pipeline.chunk_bytes())?;
            if within.shape() != pipeline.chunk_shape() {
                fill.fill(&mut self.tile);
            }
            let from = BoxLayout::at(within.relative_to(task.inside.start()).start(), &box_strides);
            let to = BoxLayout { offset: 0, strides: &pipeline.strides() };
            copy_box(within.shape(), item_size, &self.data, from, &mut self.tile, to);
            count(writer.write(&unit, &mut self.tile, &mut self.scratch)?);
            let inside = element_count(within.shape()).unwrap_or(u64::MAX).saturating_mul(item_size as u64);
            deliver(control, self.tile.len() as u64, inside);
        }
        Ok(())
    }
}

pub(crate) fn count_reads(control: &Control<'_>, counts: ReadCounts) {
    add(&control.decoded_units, counts.decoded_units);
    add(&control.decoded_bytes, counts.decoded_bytes);
    add(&control.read_bytes, counts.read_bytes);
}

/// Counts units of so many bytes as given to the target, of which so many are inside of the array: those are what progress counts.
pub(crate) fn deliver(control: &Control<'_>, bytes: u64, inside: u64) {
    control.delivered_bytes.fetch_add(bytes, Ordering::Relaxed);
    control.done_bytes.fetch_add(inside, Ordering::Relaxed);
}
