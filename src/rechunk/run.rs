//! One array from one layout to another: the problem that the planner sees, and the sinks that write or move what the plan delivers.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::array::{Array, PlacedWriter, UnitReader, UnitWriter, WriteScratch, Written};
use crate::dtype::FillValue;
use crate::error::Result;
use crate::metadata::{DOCUMENT, NodeMetadata};
use crate::process::memory_limit_bytes;
use crate::rechunk::execute::{Control, Missing, TileSink, Transfer, add};
use crate::rechunk::gather::{self, Gathered};
use crate::rechunk::placed;
use crate::rechunk::plan::{Costs, Plan, Problem, Side, Steps};
use crate::rechunk::report::Measured;
use crate::rechunk::source::Source;
use crate::rechunk::windows::slowest_first;
use crate::region::Region;

/// What planning needs to know to bring `source` into the layout of `target`.
pub(crate) fn problem(source: &Array, target: &Array) -> Problem {
    let costs = Costs::default();
    Problem {
        reader_bytes: UnitReader::memory_bytes(source),
        writer_bytes: UnitWriter::memory_bytes_per_thread(target),
        held_shard_bytes: UnitReader::held_bytes(source),
        open_shard_bytes: UnitWriter::memory_bytes_per_open_shard(target),
        in_place: PlacedWriter::fits(target),
        identical: can_move(source, target),
        gathered: Gathered::of(source, target),
        memory_limit_bytes: memory_limit_bytes(),
        shape: source.shape().to_vec(),
        item_size: source.metadata().data_type().item_size(),
        source: side(source),
        target: side(target),
        decode_ns: if source.unit_pipeline().decodes_in_place() { costs.read_ns } else { costs.decode_ns },
        encode_ns: if target.unit_pipeline().decodes_in_place() { costs.copy_ns } else { costs.encode_ns },
        costs,
    }
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
        // Stored chunks that are moved may be shards within shards, which are not written unit by unit; others have writers of their own.
        writer: if let Steps::Move | Steps::Gather(_) | Steps::Place(_) = plan.steps { None } else { Some(UnitWriter::new(target)) },
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
        if let Steps::Place(placing) = &plan.steps {
            let writer = PlacedWriter::new(target);
            placed::run(&transfer, plan, placing, &writer, &|written| sink.count(written.stored_bytes, written.files))?;
            writer.finish()?;
        } else {
            transfer.run(plan)?;
        }
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
    /// None where stored chunks are moved, where boxes are gathered, and where pieces are placed.
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

impl TileSink for EncodeSink<'_> {
    type Scratch = WriteScratch;

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
