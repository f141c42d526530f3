//! What a rechunk may be told.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicBool;

use crate::array::Selection;
use crate::codec::Codecs;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::grid::ChunkKeyEncoding;
use crate::process::memory_limit_bytes;
use crate::rechunk::checkpoints::CHECKPOINT_BYTES;
use crate::rechunk::plan::Costs;
use crate::rechunk::report::Progress;
use crate::rechunk::spec::ChunkSpec;
use crate::store::ReadMode;

/// The memory budget where none is given, in bytes.
pub const DEFAULT_MEMORY_BYTES: u64 = 256 << 20;

/// What becomes of shards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Shards {
    /// As in the source.
    #[default]
    Keep,
    /// Chunks are stored singly.
    Remove,
    /// Shards of this shape; `all` is rounded up to whole chunks.
    Of(ChunkSpec),
}

impl FromStr for Shards {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "none" { Ok(Self::Remove) } else { text.parse().map(Self::Of) }
    }
}

/// What to do, what the run may use, how it acts, and how it talks. What is not given stays as it is in the source.
///
/// ```
/// let options = rezarr::RechunkOptions::new().chunks([1000, 256, 2, 2]).memory(64 << 20).threads(2);
/// ```
#[must_use]
pub struct RechunkOptions<'a> {
    pub(crate) chunks: Option<ChunkSpec>,
    pub(crate) shards: Shards,
    pub(crate) codecs: Option<Codecs>,
    pub(crate) fill: Option<String>,
    pub(crate) data_type: Option<DataType>,
    pub(crate) selection: Option<Selection>,
    pub(crate) key_encoding: Option<ChunkKeyEncoding>,
    pub(crate) memory_bytes: u64,
    pub(crate) threads: usize,
    pub(crate) spill_dir: Option<PathBuf>,
    pub(crate) overwrite: bool,
    pub(crate) keep_backup: bool,
    pub(crate) sync: bool,
    pub(crate) resume: bool,
    pub(crate) checkpoint_bytes: u64,
    pub(crate) locks: bool,
    pub(crate) space_check: bool,
    pub(crate) exchange: bool,
    pub(crate) read_mode: ReadMode,
    pub(crate) costs: Costs,
    pub(crate) progress: Option<&'a mut dyn FnMut(&Progress)>,
    pub(crate) cancel: Option<&'a AtomicBool>,
}

impl Default for RechunkOptions<'_> {
    fn default() -> Self {
        Self {
            chunks: None,
            shards: Shards::Keep,
            codecs: None,
            fill: None,
            data_type: None,
            selection: None,
            key_encoding: None,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            threads: default_threads(),
            spill_dir: None,
            overwrite: false,
            keep_backup: false,
            sync: true,
            resume: false,
            checkpoint_bytes: CHECKPOINT_BYTES,
            locks: true,
            space_check: true,
            exchange: true,
            read_mode: ReadMode::Mapped,
            costs: Costs::default(),
            progress: None,
            cancel: None,
        }
    }
}

/// One thread a core.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl<'a> RechunkOptions<'a> {
    /// Everything as in the source, with a budget of [`DEFAULT_MEMORY_BYTES`] and one thread a core.
    pub fn new() -> Self {
        Self::default()
    }

    /// Shape of the chunks (of the inner chunks, where the target is sharded), in elements.
    pub fn chunks(mut self, chunks: impl Into<ChunkSpec>) -> Self {
        self.chunks = Some(chunks.into());
        self
    }

    /// What becomes of shards.
    pub fn shards(mut self, shards: Shards) -> Self {
        self.shards = shards;
        self
    }

    /// The codecs of a chunk.
    pub fn codecs(mut self, codecs: Codecs) -> Self {
        self.codecs = Some(codecs);
        self
    }

    /// The fill value, as text for the data type: `nan`, `-1`, `0x7fc00000`. Elements of missing chunks keep the value that they had.
    pub fn fill(mut self, text: impl Into<String>) -> Self {
        self.fill = Some(text.into());
        self
    }

    /// The type of the elements: integers of 8 to 64 bits, or floats of 16 to 64. Each value becomes the nearest that the type has; one
    /// beyond its range, and what is no number where the type has only numbers, ends the rechunk with an error (RCK-19).
    pub fn data_type(mut self, data_type: DataType) -> Self {
        self.data_type = Some(data_type);
        self
    }

    /// The part that is taken; in a group, of every array that has one of the named dimensions (RCK-19).
    pub fn select(mut self, selection: Selection) -> Self {
        self.selection = Some(selection);
        self
    }

    /// How chunks are named.
    pub fn key_encoding(mut self, key_encoding: ChunkKeyEncoding) -> Self {
        self.key_encoding = Some(key_encoding);
        self
    }

    /// The memory budget in bytes: peak memory of the process stays within it and a small constant.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory_bytes = bytes;
        self
    }

    /// Number of threads at most; fewer are used where the budget does not feed them.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Directory of the spill file; where it is not given, that is beside the target: in the tree that is being built, where another run can go on with
    /// it, or without a name. In another directory a file that another run can go on with has a name that begins with a dot and the target's, and is gone
    /// when the run has ended, or what it has left was deleted.
    pub fn spill_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spill_dir = Some(directory.into());
        self
    }

    /// Replaces an existing array or group at the target, in one step and only once the new one is complete. Without a target the source is replaced
    /// whatever is said here.
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Keeps what was replaced as `<name>.backup`.
    pub fn keep_backup(mut self, keep: bool) -> Self {
        self.keep_backup = keep;
        self
    }

    /// Whether to wait, before and after publication, until everything would survive a power cut (the default).
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// Goes on where a run that died, or was asked to stop, has come to: with the same source, what is asked for and budget, whose state since then
    /// is checked ([`Error::Changed`]). Where there is nothing to go on with, the run begins anew, and says so as a warning. Without this, what
    /// such a run has left is deleted.
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// How much is written from one checkpoint to the next, in bytes: what is done again at most when a run is resumed. For tests.
    #[doc(hidden)]
    pub fn checkpoint_bytes(mut self, bytes: u64) -> Self {
        self.checkpoint_bytes = bytes.max(1);
        self
    }

    /// Whether locks are taken (the default): see [`crate::FilesystemStore::with_locks`].
    pub fn locks(mut self, locks: bool) -> Self {
        self.locks = locks;
        self
    }

    /// Whether a rechunk is refused that needs clearly more room than is free on a disk (the default), before anything is written (RCK-40).
    pub fn space_check(mut self, space_check: bool) -> Self {
        self.space_check = space_check;
        self
    }

    /// Whether what is replaced and what replaces it are exchanged in one step (the default). Otherwise, and on file systems that cannot do
    /// it, two renames do it; between them nothing has the name, and readers other than this library find nothing there.
    pub fn exchange(mut self, exchange: bool) -> Self {
        self.exchange = exchange;
        self
    }

    /// How source files are read; see [`ReadMode`].
    pub fn read_mode(mut self, mode: ReadMode) -> Self {
        self.read_mode = mode;
        self
    }

    /// What work takes on this machine, as [`Costs::measure`] finds it: the planner's estimates and choices follow from it.
    pub fn costs(mut self, costs: Costs) -> Self {
        self.costs = costs;
        self
    }

    /// Called some times a second from the calling thread.
    pub fn progress(mut self, progress: &'a mut dyn FnMut(&Progress)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// A flag that stops the run between chunks once it is set; the run then gives [`Error::Cancelled`]. Nothing is left of it, unless it has come to a
    /// checkpoint: then another can go on with it ([`RechunkOptions::resume`]).
    pub fn cancel(mut self, cancel: &'a AtomicBool) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// The directory of the spill file for a target.
    pub(crate) fn spill_dir_for(&self, parent: &Path) -> PathBuf {
        self.spill_dir.clone().unwrap_or_else(|| parent.to_owned())
    }
}

/// The budget under the memory limit of the process's control group, which counts page cache too: a quarter of it is left for that (RCK-5).
pub(crate) fn within_limit(memory_bytes: u64, warnings: &mut Vec<String>) -> u64 {
    match memory_limit_bytes() {
        Some(limit) if limit / 4 * 3 < memory_bytes => {
            let budget = limit / 4 * 3;
            warnings.push(format!("the control group of this process is limited to {limit} bytes: working within {budget}"));
            budget
        }
        _ => memory_bytes,
    }
}
