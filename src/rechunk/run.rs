//! One array from one layout to another: the problem that the planner sees, and the sinks that write or move what the plan delivers.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::array::{Array, PlacedWriter, StreamedUnit, UnitReader, UnitWriter, WriteScratch, Written};
use crate::dtype::FillValue;
use crate::error::Result;
use crate::metadata::NodeMetadata;
use crate::process::memory_limit_bytes;
use crate::rechunk::becoming::Taken;
use crate::rechunk::execute::{Control, Missing, TileSink, TileStream, Transfer, add};
use crate::rechunk::gather::{self, Gathered};
use crate::rechunk::plan::{Costs, LEAST_SEGMENT_BYTES, Moves, Plan, Problem, Side, Steps, StreamedSide, Streaming};
use crate::rechunk::report::Measured;
use crate::rechunk::source::Source;
use crate::rechunk::speeds::{codec_ns, compresses, ratio};
use crate::rechunk::windows::slowest_first;
use crate::rechunk::{moved, placed};
use crate::region::{Region, element_count, unravel};
use crate::store::Key;

/// From what size on the first unit is looked at for what its stream takes, in bytes.
const STREAMED_BYTES: usize = 1 << 20;

/// What planning needs to know to bring a region of `source` into the layout of `target`.
pub(crate) fn problem(source: &Array, target: &Array, region: &Region, costs: &Costs) -> Problem {
    let (from, to) = (source.unit_pipeline(), target.unit_pipeline());
    let known = stored_ratio(source);
    let gathered = Gathered::of(source, target, region);
    Problem {
        reader_bytes: UnitReader::memory_bytes(source),
        writer_bytes: UnitWriter::memory_bytes_per_thread(target),
        held_shard_bytes: UnitReader::held_bytes(source),
        open_shard_bytes: UnitWriter::memory_bytes_per_open_shard(target),
        in_place: PlacedWriter::fits(target),
        moves: Moves::of(source, target, region),
        memory_limit_bytes: memory_limit_bytes(),
        shape: region.shape().to_vec(),
        item_size: source.metadata().data_type().item_size(),
        source: side(source),
        target: side(target),
        decode_ns: codec_ns(from, costs).0,
        encode_ns: codec_ns(to, costs).1,
        source_ratio: known.unwrap_or_else(|| ratio(from, None)),
        target_ratio: ratio(to, known.filter(|_| compresses(from))),
        costs: *costs,
        least_segment_bytes: LEAST_SEGMENT_BYTES,
        streaming: if gathered.is_some() {
            None
        } else {
            Some(streaming(source, target, UnitWriter::stream_memory(target), target.unit_pipeline().encode_obstacle()))
        },
        gathered,
    }
}

impl Moves {
    fn of(source: &Array, target: &Array, region: &Region) -> Self {
        // A unit that the region cuts has elements behind its edge, which belong to nobody in the target.
        let edges = source.unit_grid().chunk_shape();
        let cut = |axis: usize| region.end(axis) < source.shape()[axis] && !region.end(axis).is_multiple_of(edges[axis]);
        if !Source::is_part(source, region) || (0..region.rank()).any(cut) {
            Self::Nothing
        } else if moved::chunks_are_alike(source, target) {
            Self::Chunks
        } else if moved::units_are_alike(source, target) {
            let (thread_bytes, shared_bytes) = moved::units_memory(source, target);
            Self::Units { thread_bytes, shared_bytes }
        } else {
            Self::Nothing
        }
    }
}

/// What streams of units take, where those of the target take `target_bytes`, unless there is an `obstacle` to them.
pub(crate) fn streaming(source: &Array, target: &Array, target_bytes: u64, obstacle: Option<String>) -> Streaming {
    let side = |array: &Array, bytes: u64, obstacle: Option<String>| {
        let order = slowest_first(&array.unit_pipeline().strides());
        let codecs = array.metadata().layout().codecs.to_string();
        StreamedSide { stream_bytes: obstacle.is_none().then_some(bytes), order, codecs, obstacle }
    };
    // Units are as the first of them, as a rule; one that asks for more is refused when it comes.
    let first = || UnitReader::new(source).stream_needs(&vec![0; source.shape().len()]).unwrap_or(0);
    let looked_at = source.unit_pipeline().chunk_bytes() >= STREAMED_BYTES && source.unit_grid().chunk_count() > 0;
    let source_bytes = UnitReader::stream_memory(source).max(if looked_at { first() } else { 0 });
    let source = side(source, source_bytes, source.unit_pipeline().decode_obstacle());
    Streaming { source, target: side(target, target_bytes, obstacle) }
}

/// Stored bytes of a few chunks here and there, and their decoded bytes; none where none of these is stored.
fn stored_ratio(array: &Array) -> Option<(u64, u64)> {
    const SAMPLES: u64 = 8;
    let counts = array.grid().counts();
    let all = element_count(&counts)?;
    let (mut stored, mut decoded) = (0_u64, 0_u64);
    for sample in 0..SAMPLES.min(all) {
        let chunk = unravel(all / SAMPLES.min(all) * sample, &counts);
        // What cannot be read will say so when it is.
        let Ok(Some(bytes)) = array.stored_chunk_bytes(&chunk) else { continue };
        let elements = element_count(&array.grid().stored_shape(&chunk))?;
        stored = stored.saturating_add(bytes);
        decoded = decoded.saturating_add(elements.saturating_mul(array.data_type().item_size() as u64));
    }
    (decoded > 0).then_some((stored, decoded))
}

pub(crate) fn side(array: &Array) -> Side {
    let (pipeline, strides) = (array.unit_pipeline(), array.unit_pipeline().strides());
    Side {
        order: slowest_first(&strides),
        // Parts of what a zip file has deflated cost as much as the whole.
        plain: pipeline.is_identity() && array.store().held_bytes() == 0,
        unit: array.unit_grid().chunk_shape().to_vec(),
        chunk: array.grid().chunk_shape().to_vec(),
        unit_bytes: pipeline.chunk_bytes() as u64,
    }
}

/// Runs a plan: every chunk of `target` is written below its prefix, then its document, at `document`. Nobody may read there yet.
pub(crate) fn run(
    taken: &Taken,
    (target, document): (&Array, &Key),
    plan: &Plan,
    spill_dir: &Path,
    control: &Control<'_>,
) -> Result<Measured> {
    let Taken { source, opened, region } = &taken.pinned()?;
    let begun = Instant::now();
    let sink = EncodeSink::new(taken, target, plan, control);
    let count = |written: Written| sink.count(written.stored_bytes, written.files);
    if let Steps::Move(Moves::Units { .. }) = plan.steps {
        moved::units(&Source::part(source, region)?, target, plan.threads, control, &count)?;
    } else if let Steps::Move(_) = plan.steps {
        moved::chunks(source, target, plan.threads, control, &count)?;
    } else if let Steps::Gather(boxes) = &plan.steps {
        gather::run((source, region.start()), target, boxes, plan.threads, control, &count)?;
    } else {
        let transfer = Transfer {
            source: &Source::part(source, region)?,
            grid: target.unit_grid(),
            chunks: target.grid(),
            strides: target.unit_pipeline().strides(),
            tile_bytes: target.unit_pipeline().chunk_bytes(),
            sink: &sink,
            control,
            spill_dir,
        };
        if let Steps::Place(placing) = &plan.steps {
            let writer = PlacedWriter::new(target, control.continued());
            placed::run(&transfer, plan, placing, &writer, &count)?;
            writer.finish()?;
        } else {
            transfer.run(plan)?;
        }
    }
    // What was missing is fill only if the source is still the array that was opened.
    opened.check_current()?;
    sink.writer.map_or(Ok(()), UnitWriter::finish)?;
    let document_bytes = NodeMetadata::Array(Box::new(target.metadata().clone())).stage(&**target.store(), document)?;
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    Ok(Measured {
        seconds: begun.elapsed().as_secs_f64(),
        decoded_chunks: load(&control.decoded_units),
        decoded_bytes: load(&control.decoded_bytes),
        read_bytes: load(&control.read_bytes),
        encoded_bytes: load(&control.delivered_bytes),
        written_bytes: sink.written_bytes.into_inner() + document_bytes,
        files: sink.files.into_inner() + 1,
        spilled_bytes: load(&control.spilled_bytes),
        spill_file_bytes: load(&control.spill_file_bytes),
    })
}

/// Encodes and writes target units.
struct EncodeSink<'a> {
    /// None where stored chunks are moved, where boxes are gathered, and where pieces are placed.
    writer: Option<UnitWriter>,
    target: &'a Array,
    control: &'a Control<'a>,
    /// What is missing in the source may be missing in the target (RCK-2).
    same_fill: bool,
    written_bytes: AtomicU64,
    files: AtomicU64,
}

impl<'a> EncodeSink<'a> {
    fn new(taken: &Taken, target: &'a Array, plan: &Plan, control: &'a Control<'a>) -> Self {
        // Stored chunks that are moved may be shards within shards, which are not written unit by unit; others have writers of their own.
        let others = matches!(plan.steps, Steps::Move(_) | Steps::Gather(_) | Steps::Place(_));
        Self {
            writer: (!others).then(|| UnitWriter::over(target, control.continued())),
            target,
            control,
            same_fill: taken.source.metadata().fill_value() == target.metadata().fill_value(),
            written_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
        }
    }

    fn writer(&self) -> &UnitWriter {
        let Some(writer) = &self.writer else { unreachable!("moved chunks are not units") };
        writer
    }

    fn count(&self, stored_bytes: u64, files: u64) {
        add(&self.written_bytes, stored_bytes);
        self.control.wrote(stored_bytes);
        add(&self.files, files);
    }
}

/// A target unit that is written slab after slab.
struct EncodeStream<'s> {
    sink: &'s EncodeSink<'s>,
    unit: StreamedUnit<'s>,
}

impl TileStream for EncodeStream<'_> {
    fn push(&mut self, slab: &[u8]) -> Result<()> {
        self.unit.push(slab)
    }

    fn push_fill(&mut self, bytes: u64) -> Result<()> {
        self.unit.push_fill(bytes)
    }

    fn finish(self: Box<Self>) -> Result<()> {
        let written = self.unit.finish()?;
        self.sink.count(written.stored_bytes, written.files);
        Ok(())
    }
}

impl TileSink for EncodeSink<'_> {
    type Scratch = WriteScratch;

    fn stream<'s>(&'s self, unit: &[u64]) -> Result<Box<dyn TileStream + 's>> {
        Ok(Box::new(EncodeStream { sink: self, unit: self.writer().stream(unit)? }))
    }

    fn leaves_missing(&self) -> bool {
        self.same_fill
    }

    fn is_whole(&self) -> bool {
        self.writer.as_ref().is_none_or(UnitWriter::is_whole)
    }

    fn scratch(&self) -> WriteScratch {
        WriteScratch::default()
    }

    fn padding(&self) -> &FillValue {
        self.target.metadata().fill_value()
    }

    fn tile(&self, unit: &[u64], tile: &mut [u8], scratch: &mut WriteScratch) -> Result<()> {
        let written = self.writer().write(unit, tile, scratch)?;
        self.count(written.stored_bytes, written.files);
        Ok(())
    }

    fn missing(&self, unit: &[u64], _: &mut WriteScratch) -> Result<Missing> {
        if !self.same_fill {
            return Ok(Missing::Wanted);
        }
        let written = self.writer().skip(unit)?;
        self.count(written.stored_bytes, written.files);
        Ok(Missing::Done)
    }
}
