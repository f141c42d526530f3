//! The pass-through strategy: what is stored moves as it is, and nothing is decoded.
//!
//! Where the stored chunks of both layouts are the same, the store copies them. Where only their units are (chunks that go into shards,
//! or come out of them, or change shards), the target's chunks are packed from the source's units.

use crate::array::{Array, ChunkPacker, Given, UnitReader, WINDOW_BYTES, Written};
use crate::buffer::{make_room, resize};
use crate::codec::Scratch;
use crate::error::{Error, Result};
use crate::rechunk::execute::{Control, add, spans};
use crate::rechunk::order::TiledIndices;
use crate::rechunk::rounds::Rounds;
use crate::rechunk::source::Source;
use crate::region::{Region, to_usize};

/// Whether a stored chunk of one array is, as it stands, a stored chunk of the other.
pub(super) fn chunks_are_alike(source: &Array, target: &Array) -> bool {
    let (a, b) = (source.metadata(), target.metadata());
    a.grid == b.grid
        && a.data_type() == b.data_type()
        && a.fill_value() == b.fill_value()
        && a.codecs.to_metadata() == b.codecs.to_metadata()
        && a.codecs.is_in_metadata() == b.codecs.is_in_metadata()
}

/// Whether a stored unit of one array is, as it stands, a stored unit of the other.
pub(super) fn units_are_alike(source: &Array, target: &Array) -> bool {
    let (a, b) = (source.unit_pipeline(), target.unit_pipeline());
    source.grid().is_regular()
        && target.grid().is_regular()
        && source.data_type() == target.data_type()
        && (!source.data_type().is_variable_length() || source.metadata().fill_value() == target.metadata().fill_value())
        && a.chunk_shape() == b.chunk_shape()
        && a.to_metadata() == b.to_metadata()
        && a.is_in_metadata()
        && b.is_in_metadata()
        && ChunkPacker::packs(target)
}

/// Moves stored chunks; `count` is told what was written.
pub(super) fn chunks(
    source: &Array,
    target: &Array,
    threads: usize,
    control: &Control<'_>,
    count: &(dyn Fn(Written) + Sync),
) -> Result<()> {
    let chunks = Rounds::new(control, Region::whole(&source.grid().counts()).indices(), control.begin.items, <[u64]>::to_vec)?;
    let chunk_bytes = target.metadata().codecs.chunk_bytes() as u64;
    let work = |_: usize| {
        loop {
            control.check()?;
            let Some(chunk) = chunks.next() else { return Ok(()) };
            let (from, to) = (source.tree_key(&chunk)?, target.tree_key(&chunk)?);
            if let Some(bytes) = target.store().copy_from(&**source.store(), &from, &to)? {
                add(&control.read_bytes, bytes);
                count(Written { stored_bytes: bytes, files: 1 });
            }
            add(&control.done_bytes, 2 * chunk_bytes);
        }
    };
    chunks.with_checkpoints(|| control.on_threads(0..threads, work), || true)
}

/// Packs stored units into the target's chunks; `count` is told what was written.
pub(super) fn units(
    source: &Source<'_>,
    target: &Array,
    threads: usize,
    control: &Control<'_>,
    count: &(dyn Fn(Written) + Sync),
) -> Result<()> {
    let moving = Moving { source, target, control, count, filler: filler(source.array(), target)? };
    let whole = target.grid();
    // What one thread takes at a time: a target chunk, or, where that is one unit, as many of these as lie in a source chunk.
    let together: Vec<u64> = spans(source.array().grid().chunk_shape(), whole.chunk_shape());
    let counts = whole.counts();
    let tasks = Region::whole(&spans(&counts, &together)).indices();
    let tasks = Rounds::new(control, tasks, control.begin.items, <[u64]>::to_vec)?;
    let worker = |_| Worker::new(source.array(), target, control.continued());
    let mut workers = (0..threads).map(worker).collect::<Result<Vec<_>>>()?;
    let work = |worker: &mut Worker| {
        loop {
            control.check()?;
            let Some(task) = tasks.next() else { return Ok(()) };
            let start: Vec<u64> = task.iter().zip(&together).map(|(index, edge)| index * edge).collect();
            let len = |axis: usize| together[axis].min(counts[axis] - start[axis]);
            let chunks = Region::new(start.clone(), (0..start.len()).map(len).collect::<Vec<_>>())?;
            chunks.indices().try_for_each(|chunk| moving.chunk(&chunk, worker))?;
        }
    };
    tasks.with_checkpoints(|| control.on_threads(&mut workers, work), || true)
}

/// What a thread keeps from chunk to chunk.
struct Worker {
    reader: UnitReader,
    packer: ChunkPacker,
}

impl Worker {
    fn new(source: &Array, target: &Array, leftovers: bool) -> Result<Self> {
        Ok(Self { reader: UnitReader::new(source), packer: ChunkPacker::new(target, leftovers)? })
    }
}

struct Moving<'a> {
    source: &'a Source<'a>,
    target: &'a Array,
    control: &'a Control<'a>,
    count: &'a (dyn Fn(Written) + Sync),
    /// What a missing unit of the source is in the target; none where it is missing there too.
    filler: Option<Vec<u8>>,
}

impl Moving<'_> {
    fn chunk(&self, chunk: &[u64], Worker { reader, packer }: &mut Worker) -> Result<()> {
        packer.begin(chunk)?;
        let units = ChunkPacker::units(self.target, chunk);
        // Source chunk by source chunk, so that each index is read once.
        let shard = spans(self.source.array().grid().chunk_shape(), self.source.grid().chunk_shape());
        let axes: Vec<usize> = (0..units.rank()).collect();
        for unit in TiledIndices::new(&units, &[shard], &axes) {
            self.control.check()?;
            let given = packer.unit(&unit, |push| match (reader.read_stored(&self.source.in_array(&unit), push)?, &self.filler) {
                (Some(len), _) => Ok(Given::Stored(len)),
                (None, Some(filler)) => filler.chunks(WINDOW_BYTES).try_for_each(push).map(|()| Given::Filler),
                (None, None) => Ok(Given::Nothing),
            })?;
            if let Given::Stored(len) = given {
                add(&self.control.read_bytes, len);
            }
            add(&self.control.done_bytes, 2 * self.target.unit_pipeline().chunk_bytes() as u64);
        }
        (self.count)(packer.finish()?);
        Ok(())
    }
}

/// A unit of the source's fill value, encoded, where the target has another fill value (RCK-2).
fn filler(source: &Array, target: &Array) -> Result<Option<Vec<u8>>> {
    let (fill, pipeline) = (source.metadata().fill_value(), target.unit_pipeline());
    if fill == target.metadata().fill_value() {
        return Ok(None);
    }
    if target.data_type().is_variable_length() {
        return Err(Error::invalid("units of variable length under another fill value"));
    }
    let (mut unit, mut encoded) = (Vec::new(), Vec::new());
    resize(&mut unit, pipeline.chunk_bytes())?;
    make_room(&mut encoded, to_usize(pipeline.encoded_bound()))?;
    fill.fill(&mut unit);
    pipeline.encode(&mut unit, &mut Scratch::default(), &mut |piece| {
        encoded.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(Some(encoded))
}

/// Upper bound in bytes of what each thread holds to move units, and of what all hold together.
pub(super) fn units_memory(source: &Array, target: &Array) -> (u64, u64) {
    let pipeline = target.unit_pipeline();
    let filler = if source.metadata().fill_value() == target.metadata().fill_value() {
        0
    } else {
        (pipeline.chunk_bytes() as u64).saturating_add(pipeline.encode_memory()).saturating_add(pipeline.encoded_bound())
    };
    let window = WINDOW_BYTES as u64;
    (ChunkPacker::memory_bytes(target).saturating_add(window).saturating_add(UnitReader::held_bytes(source)), filler)
}
