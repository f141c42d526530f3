//! One array from one layout to another: the problem that the planner sees, and the sinks that write or move what the plan delivers.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::array::{Array, StreamedUnit, UnitReader, UnitWriter, WriteScratch, Written};
use crate::dtype::FillValue;
use crate::error::Result;
use crate::metadata::{DOCUMENT, NodeMetadata};
use crate::rechunk::execute::{Control, Missing, TileSink, TileStream, Transfer, add};
use crate::rechunk::gather::{self, Gathered};
use crate::rechunk::plan::{Costs, LEAST_SEGMENT_BYTES, Plan, Problem, Side, Steps, StreamedSide, Streaming};
use crate::rechunk::report::Measured;
use crate::rechunk::source::Source;
use crate::region::Region;

/// From what size on the first unit is looked at for what its stream takes, in bytes.
const STREAMED_BYTES: usize = 1 << 20;

/// What planning needs to know to bring `source` into the layout of `target`.
pub(crate) fn problem(source: &Array, target: &Array) -> Problem {
    let costs = Costs::default();
    Problem {
        reader_bytes: UnitReader::memory_bytes(source),
        writer_bytes: UnitWriter::memory_bytes_per_thread(target),
        held_shard_bytes: UnitReader::held_bytes(source),
        open_shard_bytes: UnitWriter::memory_bytes_per_open_shard(target),
        identical: can_move(source, target),
        gathered: Gathered::of(source, target),
        shape: source.shape().to_vec(),
        item_size: source.metadata().data_type().item_size(),
        source: side(source),
        target: side(target),
        decode_ns: if source.unit_pipeline().decodes_in_place() { costs.read_ns } else { costs.decode_ns },
        encode_ns: if target.unit_pipeline().decodes_in_place() { costs.copy_ns } else { costs.encode_ns },
        costs,
        least_segment_bytes: LEAST_SEGMENT_BYTES,
        streaming: streaming(source, target, UnitWriter::stream_memory(target), target.unit_pipeline().encode_obstacle()),
    }
}

/// What streams of units take, where those of the target take `target_bytes`, unless there is an `obstacle` to them.
pub(crate) fn streaming(source: &Array, target: &Array, target_bytes: u64, obstacle: Option<String>) -> Option<Streaming> {
    if Gathered::of(source, target).is_some() {
        return None;
    }
    let side = |array: &Array, bytes: u64, obstacle: Option<String>| {
        let strides = array.unit_pipeline().strides();
        let mut order: Vec<usize> = (0..strides.len()).collect();
        order.sort_by_key(|&axis| std::cmp::Reverse(strides[axis]));
        let codecs = array.metadata().layout().codecs.to_string();
        StreamedSide { stream_bytes: obstacle.is_none().then_some(bytes), order, codecs, obstacle }
    };
    // Units are as the first of them, as a rule; one that asks for more is refused when it comes.
    let first = || UnitReader::new(source).stream_needs(&vec![0; source.shape().len()]).unwrap_or(0);
    let looked_at = source.unit_pipeline().chunk_bytes() >= STREAMED_BYTES && source.unit_grid().chunk_count() > 0;
    let source_bytes = UnitReader::stream_memory(source).max(if looked_at { first() } else { 0 });
    let source = side(source, source_bytes, source.unit_pipeline().decode_obstacle());
    Some(Streaming { source, target: side(target, target_bytes, obstacle) })
}

pub(crate) fn side(array: &Array) -> Side {
    Side {
        unit: array.unit_grid().chunk_shape().to_vec(),
        chunk: array.grid().chunk_shape().to_vec(),
        unit_bytes: array.unit_pipeline().chunk_bytes() as u64,
    }
}

/// Whether a stored chunk of one array is, as it stands, a stored chunk of the other.
fn can_move(source: &Array, target: &Array) -> bool {
    let (a, b) = (source.metadata(), target.metadata());
    a.grid == b.grid
        && a.data_type() == b.data_type()
        && a.fill_value() == b.fill_value()
        && a.codecs.to_metadata() == b.codecs.to_metadata()
        && a.codecs.is_in_metadata() == b.codecs.is_in_metadata()
}

/// Runs a plan: every chunk of `target` is written below its prefix, then its document. Nobody may read there yet.
pub(crate) fn run(source: &Array, target: &Array, plan: &Plan, spill_dir: &Path, control: &Control<'_>) -> Result<Measured> {
    let begun = Instant::now();
    let sink = EncodeSink {
        // Stored chunks that are moved may be shards within shards, which are not written unit by unit; boxes have writers of their own.
        writer: if let Steps::Move | Steps::Gather(_) = plan.steps { None } else { Some(UnitWriter::new(target)) },
        target,
        same_fill: source.metadata().fill_value() == target.metadata().fill_value(),
        written_bytes: AtomicU64::new(0),
        files: AtomicU64::new(0),
    };
    if let Steps::Move = plan.steps {
        move_chunks(source, target, plan, &sink, control)?;
    } else if let Steps::Gather(boxes) = &plan.steps {
        let count = |written: Written| sink.count(written.stored_bytes, written.files);
        gather::run(source, target, boxes, plan.threads, control, &count)?;
    } else {
        let transfer = Transfer {
            source: &Source::whole(source),
            grid: target.unit_grid(),
            chunks: target.grid(),
            strides: target.unit_pipeline().strides(),
            tile_bytes: target.unit_pipeline().chunk_bytes(),
            sink: &sink,
            control,
            spill_dir,
        };
        transfer.run(plan)?;
    }
    // What was missing is fill only if the source is still the array that was opened.
    source.check_current()?;
    sink.writer.map_or(Ok(()), UnitWriter::finish)?;
    let document = NodeMetadata::Array(Box::new(target.metadata().clone()));
    let document_bytes = document.stage(&**target.store(), &target.prefix().join(DOCUMENT)?)?;
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
    /// None where stored chunks are moved, and where boxes are gathered.
    writer: Option<UnitWriter>,
    target: &'a Array,
    /// What is missing in the source may be missing in the target (RCK-2).
    same_fill: bool,
    written_bytes: AtomicU64,
    files: AtomicU64,
}

impl EncodeSink<'_> {
    fn writer(&self) -> &UnitWriter {
        let Some(writer) = &self.writer else { unreachable!("moved chunks are not units") };
        writer
    }

    fn count(&self, stored_bytes: u64, files: u64) {
        add(&self.written_bytes, stored_bytes);
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

/// The pass-through strategy: stored chunks are copied by the store, and nothing is decoded.
fn move_chunks(source: &Array, target: &Array, plan: &Plan, sink: &EncodeSink<'_>, control: &Control<'_>) -> Result<()> {
    let chunks = Mutex::new(Region::whole(&source.grid().counts()).indices());
    let chunk_bytes = target.metadata().codecs.chunk_bytes() as u64;
    let work = || -> Result<()> {
        loop {
            control.check()?;
            let Some(chunk) = chunks.lock().next() else { return Ok(()) };
            let (from, to) = (source.chunk_key(&chunk)?, target.chunk_key(&chunk)?);
            if let Some(bytes) = target.store().copy_from(&**source.store(), &from, &to)? {
                add(&control.read_bytes, bytes);
                sink.count(bytes, 1);
            }
            add(&control.done_bytes, 2 * chunk_bytes);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..plan.threads {
            scope.spawn(|| control.guarded(work));
        }
    });
    control.outcome()
}
