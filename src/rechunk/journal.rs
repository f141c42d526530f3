//! The journal of a run: a value in the tree that is being built, which says how far the run has come (rules JRN-1 to JRN-3 of
//! `spec/rechunk.md`).
//!
//! It is a row of frames: the length of a body (4 bytes, little-endian), a CRC-32 (that of gzip) of the checksum of the frame before (zeros for the
//! first) followed by length and body, and the body, which is JSON. What follows the last frame that is whole does not count.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::publish::JOURNAL_NAME;
use crate::shuffle::Saved;
use crate::store::{ByteRange, Key, Store, Value};

const FORMAT: &str = "rezarr journal";
const VERSION: u32 = 2;
/// What positions and records mean: to be raised when the order of any strategy's items, or what is in a spill file, becomes another one.
const ORDERS: u32 = 1;
const HEAD_BYTES: usize = 8;
/// The largest body.
const BODY_BYTES: usize = 1 << 16;

/// What the run is, and what it depends on: the first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    format: String,
    version: u32,
    /// The id of the tree.
    pub(crate) tree: String,
    /// The version of the program, and what its positions mean.
    pub(crate) program: String,
    pub(crate) orders: u32,
    /// Whether all checkpoints wait until they would survive a power cut.
    pub(crate) synced: bool,
    /// The time since the machine was started; empty where it has no name.
    pub(crate) boot: String,
    /// What the source was when the run began.
    pub(crate) source: String,
    /// Digest of all that the target will be.
    pub(crate) target: String,
    /// Digest of the way there: in which order what is read and written.
    pub(crate) steps: String,
    /// What the run may use, for messages: bytes and threads.
    pub(crate) memory_bytes: u64,
    pub(crate) threads: u64,
    /// The memory limit of the control group, in bytes, and a digest of the costs that were planned with.
    pub(crate) limit_bytes: Option<u64>,
    pub(crate) costs: String,
}

/// How far a run is within one node: everything before is complete and durable, and nothing behind is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Items that are complete, in the order of the strategy; of a shuffle, blocks.
    pub(crate) items: u64,
    /// How far the next block of a shuffle is.
    pub(crate) block: Option<InBlock>,
}

/// How far a block of a shuffle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InBlock {
    pub(crate) phase: Phase,
    /// Items of the phase that are complete.
    pub(crate) done: u64,
    /// The first level in the spill file.
    pub(crate) saved: Saved,
    /// Bytes of work that were done when the block began, for whoever has to begin it anew.
    pub(crate) before_bytes: u64,
}

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// Source units are cut by cells of the first level.
    Cut,
    /// These cells are read back.
    Deliver,
}

/// A state of the run that another can go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// Nodes that are complete: arrays, and then what travels along unread.
    pub(crate) nodes: u64,
    /// How far the next one is.
    pub(crate) position: Position,
    /// Bytes of work done of that one, as progress counts them.
    pub(crate) done_bytes: u64,
    /// Whether it waited until it would survive a power cut, with all before it.
    pub(crate) synced: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Frame {
    Header(Header),
    Checkpoint(Checkpoint),
}

/// A journal that can be added to.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    key: Key,
    /// Where the next frame goes.
    end: u64,
    /// Checksum of the last one.
    chain: u32,
}

/// What was found of a journal.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) header: Header,
    /// None where the run has not come to one.
    pub(crate) last: Option<Checkpoint>,
    pub(crate) journal: Journal,
}

impl Header {
    pub(crate) fn new(tree: &str, synced: bool, boot: String) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            tree: tree.to_owned(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            orders: ORDERS,
            synced,
            boot,
            source: String::new(),
            target: String::new(),
            steps: String::new(),
            memory_bytes: 0,
            threads: 0,
            limit_bytes: None,
            costs: String::new(),
        }
    }
}

impl Journal {
    /// A journal that has no frame yet in the tree `prefix`.
    pub(crate) fn new(prefix: &Key) -> Result<Self> {
        Ok(Self { key: prefix.join(JOURNAL_NAME)?, end: 0, chain: 0 })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Reads the journal in the tree `prefix`; none where there is none, or not even its first frame.
    ///
    /// # Errors
    /// Those of the store; [`Error::Corrupt`] and [`Error::Unsupported`] for frames that are whole, and that no journal of this version has.
    pub(crate) fn read(store: &dyn Store, prefix: &Key) -> Result<Option<Found>> {
        let mut journal = Self::new(prefix)?;
        let Some(value) = store.open(&journal.key)? else { return Ok(None) };
        let place = store.locate(&journal.key);
        let mut found: Option<Found> = None;
        while let Some(frame) = journal.next(&*value).map_err(|error| error.at(&place))? {
            match (frame, &mut found) {
                (Frame::Header(header), None) => {
                    if (header.format.as_str(), header.version) != (FORMAT, VERSION) {
                        let what =
                            format!("a journal of format {:?}, version {}; known is {FORMAT:?}, {VERSION}", header.format, header.version);
                        return Err(Error::unsupported(what).at(&place));
                    }
                    found = Some(Found { header, last: None, journal: journal.clone() });
                }
                (Frame::Checkpoint(checkpoint), Some(found)) => {
                    let earlier = found.last.is_some_and(|last| last.nodes > checkpoint.nodes);
                    if earlier {
                        return Err(Error::corrupt("a checkpoint that lies before the one before it").at(&place));
                    }
                    (found.last, found.journal) = (Some(checkpoint), journal.clone());
                }
                _ => return Err(Error::corrupt("a journal has its header first, and once").at(&place)),
            }
        }
        Ok(found)
    }

    /// The next frame, if it is whole.
    fn next(&mut self, value: &dyn Value) -> Result<Option<Frame>> {
        let left = value.size().saturating_sub(self.end);
        let mut head = [0; HEAD_BYTES];
        if left < HEAD_BYTES as u64 {
            return Ok(None);
        }
        value.read_into(self.end, &mut head)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let (length, checksum) = (u32::from_le_bytes([l0, l1, l2, l3]) as usize, u32::from_le_bytes([c0, c1, c2, c3]));
        if length > BODY_BYTES || (length as u64) > left - HEAD_BYTES as u64 {
            return Ok(None);
        }
        let mut body = vec![0; length];
        value.read(ByteRange::From { offset: self.end + HEAD_BYTES as u64, len: length as u64 }, &mut |bytes| {
            body.copy_from_slice(bytes);
            Ok(())
        })?;
        if self.checksum(&body) != checksum {
            return Ok(None);
        }
        let offset = self.end;
        (self.end, self.chain) = (offset + (HEAD_BYTES + length) as u64, checksum);
        let corrupt = |error| Error::Corrupt { key: String::new(), offset: Some(offset), what: format!("no frame of a journal: {error}") };
        serde_json::from_slice(&body).map(Some).map_err(corrupt)
    }

    fn checksum(&self, body: &[u8]) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.chain.to_le_bytes());
        crc.update(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
        crc.update(body);
        crc.finalize()
    }

    /// Adds a checkpoint, and the header before the first of them; waits for them to be durable where `sync` says so.
    pub(crate) fn append(&mut self, store: &dyn Store, header: &Header, checkpoint: &Checkpoint, sync: bool) -> Result<()> {
        let (mut grown, mut bytes) = (self.clone(), Vec::new());
        if self.is_empty() {
            grown.push(&Frame::Header(header.clone()), &mut bytes)?;
        }
        grown.push(&Frame::Checkpoint(*checkpoint), &mut bytes)?;
        let writer = store.writer(&self.key)?;
        writer.write_at(self.end, &bytes)?;
        if sync {
            writer.sync()?;
        }
        drop(writer);
        if let (true, true, Some(tree)) = (sync, self.is_empty(), self.key.parent()) {
            // The name of a new file is no part of it.
            store.sync_prefix(&tree)?;
        }
        *self = grown;
        Ok(())
    }

    fn push(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<()> {
        let body = serde_json::to_vec(frame).map_err(|error| Error::invalid(format!("a frame that cannot be written: {error}")))?;
        let Some(length) = u32::try_from(body.len()).ok().filter(|_| body.len() <= BODY_BYTES) else {
            return Err(Error::invalid(format!("a frame of {} bytes for a journal", body.len())));
        };
        self.chain = self.checksum(&body);
        self.end += (HEAD_BYTES + body.len()) as u64;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.extend_from_slice(&body);
        Ok(())
    }
}

/// For fuzzing: whether bytes are a journal; then a checkpoint is added, and must come back.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_journal(bytes: &[u8]) -> bool {
    let (store, tree) = (crate::store::MemoryStore::new(), Key::root());
    let Ok(key) = tree.join(JOURNAL_NAME) else { return false };
    if store.set(&key, bytes).is_err() {
        return false;
    }
    let Ok(Some(Found { header, last, mut journal })) = Journal::read(&store, &tree) else { return false };
    let next =
        Checkpoint { nodes: last.map_or(0, |last| last.nodes), position: Position { items: 77, block: None }, done_bytes: 1, synced: true };
    assert!(journal.append(&store, &header, &next, true).is_ok(), "a journal that was read takes no checkpoint");
    assert!(
        matches!(Journal::read(&store, &tree), Ok(Some(found)) if found.last == Some(next) && found.header == header),
        "a checkpoint that was added does not come back"
    );
    true
}

/// For fuzzing: a journal of so many checkpoints.
#[cfg(any(test, fuzzing))]
pub(crate) fn written_journal(count: u64) -> Vec<u8> {
    let (mut journal, mut out) = (Journal { key: Key::root(), end: 0, chain: 0 }, Vec::new());
    let saved = Saved { start: 4096, offset: 8192, checksum: 1, end: 9000 };
    let block = Some(InBlock { phase: Phase::Cut, done: 3, saved, before_bytes: 0 });
    let checkpoint = |at: u64| Checkpoint {
        nodes: at / 2,
        position: Position { items: at, block: block.filter(|_| at.is_multiple_of(2)) },
        done_bytes: at,
        synced: true,
    };
    let frames = std::iter::once(Frame::Header(Header::new("id", true, String::new())))
        .chain((0..count).map(|at| Frame::Checkpoint(checkpoint(at))));
    for frame in frames {
        let pushed = journal.push(&frame, &mut out);
        assert!(pushed.is_ok(), "a frame is small");
    }
    out
}

#[cfg(test)]
mod tests;
