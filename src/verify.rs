//! Comparing two arrays or groups bit by bit, within a memory budget, whatever their two chunkings: each side is decoded once where the budget allows it.
//!
//! A comparison is a rechunk whose sink compares instead of writing: the first side is brought into the chunks of the second.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use crate::array::{Array, UnitReader, unsupported_document};
use crate::dtype::FillValue;
use crate::error::Result;
use crate::group::Node;
use crate::metadata::{ArrayMetadata, NodeMetadata};
use crate::process::memory_limit_bytes;
use crate::rechunk::carry::first_difference;
use crate::rechunk::execute::{Control, Missing, TileSink, TileStream, Transfer};
use crate::rechunk::gather::Gathered;
use crate::rechunk::plan::{Costs, LEAST_SEGMENT_BYTES, Moves, Plan, Problem, Steps, plan_beside};
use crate::rechunk::source::Source;
use crate::rechunk::space::check_spill_in_memory;
use crate::rechunk::speeds::{codec_ns, ratio};
use crate::rechunk::{DEFAULT_MEMORY_BYTES, Progress, default_threads, named, open_store, side, streaming, watched, within_limit};
use crate::region::{Region, to_usize};
use crate::store::{Key, ReadMode, Store};

mod boxes;
mod streamed;

/// What a comparison may use, and how it talks.
#[must_use]
pub struct VerifyOptions<'a> {
    memory_bytes: u64,
    threads: usize,
    spill_dir: PathBuf,
    read_mode: ReadMode,
    progress: Option<&'a mut dyn FnMut(&Progress)>,
    cancel: Option<&'a AtomicBool>,
}

impl Default for VerifyOptions<'_> {
    fn default() -> Self {
        Self {
            memory_bytes: DEFAULT_MEMORY_BYTES,
            threads: default_threads(),
            spill_dir: std::env::temp_dir(),
            read_mode: ReadMode::Mapped,
            progress: None,
            cancel: None,
        }
    }
}

impl<'a> VerifyOptions<'a> {
    /// A budget of [`DEFAULT_MEMORY_BYTES`], one thread a core, and the system's directory for temporary files.
    pub fn new() -> Self {
        Self::default()
    }

    /// The memory budget in bytes.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Number of threads at most.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Directory of the spill file.
    pub fn spill_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spill_dir = directory.into();
        self
    }

    /// How files are read; see [`ReadMode`].
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.read_mode = mode;
        self
    }

    /// Called some times a second from the calling thread.
    pub fn progress(mut self, progress: &'a mut dyn FnMut(&Progress)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// A flag that stops the comparison between chunks.
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Whether both sides hold the same arrays with the same elements, bit by bit, dimension names and attributes.
    pub equal: bool,
    /// What differs, a sentence each.
    pub differences: Vec<String>,
    /// Arrays whose elements were compared.
    pub arrays: u64,
    /// Nodes that need what this build does not have on both sides: their stored values were compared as bytes.
    pub undecoded: u64,
    /// Elements that were compared.
    pub elements: u64,
    /// Decoded bytes of the chunks of the first side: each chunk once, where the budget is not so small that some are decoded again.
    pub decoded_bytes: u64,
}

/// Compares the arrays or groups at `a` and `b`.
///
/// Elements are compared by their bits, so that a NaN equals itself, and 0.0 differs from -0.0. Chunks, shards, codecs and fill values may differ.
/// Members of a group that need what this build does not have, on both sides, are equal if their stored values are, byte by byte.
///
/// # Errors
/// Those of opening and decoding; [`crate::Error::BudgetTooSmall`]; [`crate::Error::Cancelled`]. A difference is not an error.
pub fn verify(a: impl AsRef<Path>, b: impl AsRef<Path>, mut options: VerifyOptions<'_>) -> Result<Verdict> {
    options.memory_bytes = within_limit(options.memory_bytes, &mut Vec::new());
    let (first, second) = (Tree::open(a.as_ref(), options.read_mode)?, Tree::open(b.as_ref(), options.read_mode)?);
    let document_bytes = first.document_bytes() + second.document_bytes();
    let mut verdict = Verdict::default();
    for path in first.nodes.keys().filter(|path| !second.nodes.contains_key(*path)) {
        verdict.differences.push(format!("{} is only in {}", shown(path), a.as_ref().display()));
    }
    for path in second.nodes.keys().filter(|path| !first.nodes.contains_key(*path)) {
        verdict.differences.push(format!("{} is only in {}", shown(path), b.as_ref().display()));
    }
    for (path, (x, y)) in first.nodes.iter().filter_map(|(path, x)| Some((path, (x, second.nodes.get(path)?)))) {
        let ((x_key, x), (y_key, y)) = match (x, y) {
            ((x_key, Found::Known(x)), (y_key, Found::Known(y))) => ((x_key, x), (y_key, y)),
            ((x, Found::Unsupported(_)), (y, Found::Unsupported(_))) => {
                verdict.undecoded += 1;
                let found = first_difference((&*first.store, x), (&*second.store, y), &Control::new(options.cancel))?;
                verdict.differences.extend(found.map(|name| format!("{path}/{name}: stored bytes differ")));
                continue;
            }
            ((_, Found::Unsupported(reason)), _) | (_, (_, Found::Unsupported(reason))) => {
                verdict.differences.push(format!("{}: cannot be read on one side: {reason}", shown(path)));
                continue;
            }
        };
        let found = documents_differ(x, y)?;
        if let (NodeMetadata::Array(x), NodeMetadata::Array(y), true) = (x, y, found.is_none()) {
            let (x, y) = (first.array(x_key, x)?, second.array(y_key, y)?);
            compare(path, (&x, &y), document_bytes, &mut options, &mut verdict)?;
        }
        verdict.differences.extend(found.map(|what| format!("{}: {what}", shown(path))));
    }
    verdict.equal = verdict.differences.is_empty();
    Ok(verdict)
}

fn shown(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// A store with all its nodes by path, and where they are.
struct Tree {
    store: Arc<dyn Store>,
    nodes: BTreeMap<String, (Key, Found)>,
}

/// A node, or what it needs that this build does not have.
enum Found {
    Known(NodeMetadata),
    Unsupported(String),
}

impl Tree {
    fn open(path: &Path, read_mode: ReadMode) -> Result<Self> {
        let store = open_store(path, read_mode)?;
        let mut nodes = BTreeMap::new();
        match Node::open_in(store.clone(), Key::root())? {
            Node::Array(array) => {
                let found = Found::Known(NodeMetadata::Array(Box::new(array.metadata().clone())));
                nodes.insert(String::new(), (Key::root(), found));
            }
            Node::Group(group) => {
                let found = Found::Known(NodeMetadata::Group(Box::new(group.metadata().clone())));
                nodes.insert(String::new(), (Key::root(), found));
                group.walk_found(&mut |path, key, node| {
                    let found = match node {
                        Ok(node) => Found::Known(node),
                        Err(error) => {
                            let reason = error.to_string();
                            unsupported_document(&*store, key, error)?;
                            Found::Unsupported(reason)
                        }
                    };
                    nodes.insert(path.to_owned(), (key.clone(), found));
                    Ok(())
                })?;
            }
        }
        Ok(Self { store, nodes })
    }

    /// Bytes of text, and of the directory of a zip file, that are held for the whole comparison.
    fn document_bytes(&self) -> u64 {
        let text = |found: &Found| match found {
            Found::Known(NodeMetadata::Array(array)) => array.text_bytes(),
            Found::Known(NodeMetadata::Group(group)) => group.text_bytes(),
            Found::Unsupported(_) => 0,
        };
        self.nodes.values().map(|(_, found)| text(found) as u64).fold(self.store.held_bytes(), u64::saturating_add)
    }

    fn array(&self, key: &Key, metadata: &ArrayMetadata) -> Result<Array> {
        Array::with_metadata(self.store.clone(), key.clone(), metadata.clone())
    }
}

/// The first thing that differs in two documents, layout and fill values apart.
fn documents_differ(x: &NodeMetadata, y: &NodeMetadata) -> Result<Option<String>> {
    let (attributes, names) = match (x, y) {
        (NodeMetadata::Group(x), NodeMetadata::Group(y)) => ((x.attributes(), y.attributes()), true),
        (NodeMetadata::Array(x), NodeMetadata::Array(y)) => {
            if x.data_type() != y.data_type() {
                return Ok(Some(format!("data type {} against {}", x.data_type().name(), y.data_type().name())));
            }
            if x.shape() != y.shape() {
                return Ok(Some(format!("shape {:?} against {:?}", x.shape(), y.shape())));
            }
            ((x.v3_attributes(), y.v3_attributes()), x.dimension_names() == y.dimension_names())
        }
        _ => return Ok(Some(String::from("an array on one side, a group on the other"))),
    };
    if !names {
        return Ok(Some(String::from("dimension names differ")));
    }
    let same = attributes.0.as_json() == attributes.1.as_json() || attributes.0.to_map()? == attributes.1.to_map()?;
    Ok((!same).then(|| String::from("attributes differ")))
}

fn compare(
    path: &str,
    (a, b): (&Array, &Array),
    document_bytes: u64,
    options: &mut VerifyOptions<'_>,
    verdict: &mut Verdict,
) -> Result<()> {
    let (a, b) = (&a.pinned()?, &b.pinned()?);
    let plan_within = |bytes: u64| comparison_plan((a, b), document_bytes, bytes, options.threads);
    let plan = plan_within(options.memory_bytes).map_err(|error| named(error, b))?;
    check_spill_in_memory(&options.spill_dir, &[&plan], options.memory_bytes, |bytes| plan_within(bytes).ok().map(|plan| vec![plan]))?;
    let control = Control::new(options.cancel);
    let boxes = if let Steps::Gather(boxes) = &plan.steps { Some(boxes.clone()) } else { None };
    let sink = CompareSink { other: b, first: Mutex::new(None) };
    let spill_dir = options.spill_dir.clone();
    let source = Source::whole(a);
    let transfer = Transfer {
        source: &source,
        grid: b.unit_grid(),
        chunks: b.grid(),
        strides: b.unit_pipeline().strides(),
        tile_bytes: b.unit_pipeline().chunk_bytes(),
        sink: &sink,
        control: &control,
        spill_dir: &spill_dir,
    };
    let total_bytes = plan.work_bytes;
    watched(
        || match boxes {
            Some(boxes) => boxes::compare(a, b, &boxes, plan.threads, &control).map(|found| *sink.first.lock() = found),
            None => transfer.run(&plan),
        },
        || {
            if let Some(progress) = options.progress.as_mut() {
                progress(&Progress { array: path.to_owned(), done_bytes: control.done_bytes.load(Ordering::Relaxed), total_bytes });
            }
        },
    )?;
    // What was missing is fill only if both are still the arrays that were opened.
    a.check_current()?;
    b.check_current()?;
    verdict.arrays += 1;
    verdict.elements = verdict.elements.saturating_add(Region::whole(a.shape()).element_count().unwrap_or(u64::MAX));
    verdict.decoded_bytes += control.decoded_bytes.load(Ordering::Relaxed);
    if let Some(index) = sink.first.into_inner() {
        verdict.differences.push(format!("{}: elements differ, the first found at {index:?}", shown(path)));
    }
    Ok(())
}

fn comparison_plan((a, b): (&Array, &Array), document_bytes: u64, memory_bytes: u64, threads: usize) -> Result<Plan> {
    let costs = Costs::default();
    let gathered = Gathered::of_both(a, b);
    let problem = Problem {
        shape: a.shape().to_vec(),
        item_size: a.metadata().data_type().item_size(),
        source: side(a),
        target: side(b),
        reader_bytes: UnitReader::memory_bytes(a),
        writer_bytes: UnitReader::memory_bytes(b),
        held_shard_bytes: UnitReader::held_bytes(a),
        open_shard_bytes: 0,
        in_place: false,
        moves: Moves::Nothing,
        memory_limit_bytes: memory_limit_bytes(),
        decode_ns: codec_ns(a.unit_pipeline(), &costs).0,
        encode_ns: codec_ns(b.unit_pipeline(), &costs).0,
        source_ratio: ratio(a.unit_pipeline(), None),
        target_ratio: ratio(b.unit_pipeline(), None),
        costs,
        least_segment_bytes: LEAST_SEGMENT_BYTES,
        streaming: if gathered.is_some() {
            None
        } else {
            Some(streaming(a, b, streamed::memory_bytes(b), b.unit_pipeline().decode_obstacle()))
        },
        gathered,
    };
    plan_beside(&problem, memory_bytes, document_bytes, threads)
}

/// Compares assembled units of one array with the stored ones of another.
struct CompareSink<'a> {
    other: &'a Array,
    /// The first element, in C order, among those found to differ.
    first: Mutex<Option<Vec<u64>>>,
}

impl TileSink for CompareSink<'_> {
    type Scratch = UnitReader;

    fn scratch(&self) -> UnitReader {
        UnitReader::new(self.other)
    }

    fn padding(&self) -> &FillValue {
        self.other.metadata().fill_value()
    }

    fn tile(&self, unit: &[u64], tile: &mut [u8], reader: &mut UnitReader) -> Result<()> {
        let mut different = None;
        let fill = self.other.metadata().fill_value();
        reader.read(unit, &mut |stored| {
            different = match stored {
                Some(stored) if stored == tile => None,
                None if fill.is_all_fill(tile) => None,
                stored => self.first_difference(unit, tile, stored),
            };
            Ok(())
        })?;
        if let Some(index) = different {
            self.differs(index);
        }
        Ok(())
    }

    fn stream<'s>(&'s self, unit: &[u64]) -> Result<Box<dyn TileStream + 's>> {
        Ok(Box::new(streamed::CompareStream::new(self, unit)?))
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn leaves_missing(&self) -> bool {
        false
    }

    fn missing(&self, _: &[u64], _: &mut UnitReader) -> Result<Missing> {
        Ok(Missing::Wanted)
    }
}

impl CompareSink<'_> {
    /// Notes an element that differs.
    fn differs(&self, index: Vec<u64>) {
        let mut first = self.first.lock();
        if first.as_ref().is_none_or(|known| index < *known) {
            *first = Some(index);
        }
    }

    /// The first element inside the array that differs: padding at the edges may be anything.
    fn first_difference(&self, unit: &[u64], tile: &[u8], stored: Option<&[u8]>) -> Option<Vec<u64>> {
        let (grid, strides) = (self.other.unit_grid(), self.other.unit_pipeline().strides());
        let item = self.other.metadata().data_type().item_size();
        let fill = self.other.metadata().fill_value().as_bytes();
        let origin = grid.origin(unit);
        let inside = Region::whole(grid.region(unit).shape());
        inside
            .indices()
            .find(|index| {
                let at: usize = index.iter().zip(&strides).map(|(&i, stride)| to_usize(i) * stride).sum();
                let there = stored.map_or(fill, |stored| &stored[at..at + item]);
                tile[at..at + item] != *there
            })
            .map(|index| index.iter().zip(&origin).map(|(i, first)| i + first).collect())
    }
}
