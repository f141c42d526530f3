//! Spill files that have a name, so that another process can go on with what is in them (SPL-10 to SPL-12).
//!
//! Such a file begins with a block that says whose it is. It lies in the tree that is being built, or, under a name that holds the tree's id, in
//! another directory; then a link in the tree says where, for whoever discards the tree.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::share::FileShare;
use super::spill::{BLOCK_BYTES, SpillFile};
use super::table::Saved;
use crate::error::{Error, Result};
use crate::store::{Key, Store, read_to_vec};

/// The name of a spill file inside a tree that is being built.
const SPILL_NAME: &str = ".rechunk.spill";

/// The name of the value that says where else the spill file of a tree is.
const SPILL_LINK_NAME: &str = ".rechunk.spill-link";

const MAGIC: &[u8; 8] = b"RZSPILL1";
const LINK_FORMAT: &str = "rezarr spill link";
const LINK_LIMIT_BYTES: u64 = 1 << 16;

/// Where a spill file is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpillName {
    path: PathBuf,
    /// The id of the tree that is being built.
    id: String,
    /// Whether it lies in that tree.
    inside: bool,
}

#[derive(Serialize, Deserialize)]
struct Link {
    format: String,
    path: String,
    id: String,
}

impl SpillName {
    /// In the tree `tree`, whose id is `id`.
    pub(crate) fn inside(tree: &Path, id: &str) -> Self {
        Self { path: tree.join(SPILL_NAME), id: id.to_owned(), inside: true }
    }

    /// In another directory, for the tree that is to become `target`; none where its path is not UTF-8.
    pub(crate) fn outside(directory: &Path, target: &str, id: &str) -> Option<Self> {
        let directory = directory.canonicalize().ok()?;
        directory.to_str()?;
        let tail = format!(".{id}.rechunk-spill");
        let kept = target.floor_char_boundary(target.len().min(254 - tail.len().min(254)));
        Some(Self { path: directory.join(format!(".{}{tail}", &target[..kept])), id: id.to_owned(), inside: false })
    }

    /// Where the link in the tree `prefix`, which is to become `target` and has this id, says that the file is; none where there is no such link, or
    /// one that leads to another name than such a file has.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn linked(store: &dyn Store, prefix: &Key, target: &str, id: &str) -> Result<Option<Self>> {
        let Some(found) = link(store, prefix)?.filter(|found| found.id == id) else { return Ok(None) };
        Ok(found.path.parent().and_then(|parent| Self::outside(parent, target, id)).filter(|own| *own == found).or_else(|| {
            // The directory is not there now.
            let is_away = found.path.parent().is_some_and(|parent| !parent.exists());
            (is_away && found.has_own_name()).then_some(found)
        }))
    }

    /// Whether the directory of the file is there.
    pub(crate) fn has_directory(&self) -> bool {
        self.path.parent().is_some_and(Path::is_dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the name of the file is one that [`SpillName::outside`] gives.
    fn has_own_name(&self) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        !self.id.is_empty() && name.is_some_and(|name| name.ends_with(&format!(".{}.rechunk-spill", self.id)))
    }

    /// Why another process cannot go on with the file, of which `end` bytes must be there; none if it can.
    ///
    /// # Errors
    /// [`Error::Io`] where nobody can say.
    pub(crate) fn fault(&self, end: u64) -> Result<Option<String>> {
        let file = match self.open(OFlags::empty()) {
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(Some("it is not there".to_owned())),
            Err(Error::Corrupt { what, .. }) => return Ok(Some(what)),
            file => file?,
        };
        Ok(self.check(&file, end)?.err())
    }

    /// Whether `file` is the one of this tree, with at least `end` bytes; otherwise what it is.
    fn check(&self, file: &File, end: u64) -> Result<std::result::Result<(), String>> {
        if !self.is_head(file) {
            return Ok(Err("this is not the spill file of the run that is to be resumed".to_owned()));
        }
        let length = file.metadata().map_err(|error| Error::io("stat", self.path.display().to_string(), error))?.len();
        let enough = length >= end && end >= HEAD_BYTES as u64;
        Ok(if enough { Ok(()) } else { Err(format!("a spill file of {length} bytes, of which {end} are to count")) })
    }

    /// Says in the tree `prefix` where the file is, if it is elsewhere. To be called before there is one.
    /// With `sync`, returns when that would survive a power cut.
    pub(crate) fn note(&self, store: &dyn Store, prefix: &Key, sync: bool) -> Result<()> {
        let (false, Some(path)) = (self.inside, self.path.to_str()) else { return Ok(()) };
        let link = Link { format: LINK_FORMAT.to_owned(), path: path.to_owned(), id: self.id.clone() };
        let bytes = serde_json::to_vec(&link).map_err(|error| Error::invalid(format!("a link that cannot be written: {error}")))?;
        let key = prefix.join(SPILL_LINK_NAME)?;
        if sync { store.set_durable(&key, &bytes) } else { store.set(&key, &bytes) }
    }

    fn open(&self, flags: OFlags) -> Result<File> {
        let shown = || self.path.display().to_string();
        let flags = flags | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(&self.path, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(file.map_err(|errno| Error::io("open a spill file", shown(), errno.into()))?);
        let regular = file.metadata().map_err(|error| Error::io("stat", shown(), error))?.is_file();
        if regular { Ok(file) } else { Err(Error::corrupt("no regular file; a spill file is expected").at(&shown())) }
    }

    /// The first block of the file.
    fn head(&self) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        let id = self.id.as_bytes();
        head.extend_from_slice(&(u32::try_from(id.len()).unwrap_or(u32::MAX)).to_le_bytes());
        head.extend_from_slice(id);
        let checksum = crc32fast::hash(&head);
        head.extend_from_slice(&checksum.to_le_bytes());
        head.resize(head.len().max(HEAD_BYTES), 0);
        head
    }

    fn is_head(&self, file: &File) -> bool {
        let expected = self.head();
        let mut found = vec![0; expected.len()];
        std::os::unix::fs::FileExt::read_exact_at(file, &mut found, 0).is_ok() && found == expected
    }

    /// Whether the file has the name of one of this tree, and its first block never reached the disk.
    fn is_blank(&self, file: &File) -> bool {
        let mut head = Vec::new();
        let read = file.take(HEAD_BYTES as u64).read_to_end(&mut head);
        self.has_own_name() && read.is_ok() && head.iter().all(|byte| *byte == 0)
    }

    /// Removes the file, if it is one of this tree.
    fn remove(&self) {
        if self.open(OFlags::empty()).is_ok_and(|file| self.is_head(&file) || self.is_blank(&file)) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// What is kept in front of the first segment.
const HEAD_BYTES: usize = 4096;

/// A named spill file that is open. Several shuffles use it, one after another.
#[derive(Debug)]
pub(crate) struct NamedSpill {
    pub(super) file: Arc<SpillFile>,
    name: SpillName,
    /// What lies in front of this, but for the head, has been given back.
    forgotten: u64,
}

impl NamedSpill {
    /// Makes the file, or empties the one that is there.
    pub(crate) fn create(name: &SpillName, behind: bool) -> Result<Self> {
        let file = name.open(OFlags::CREATE | OFlags::TRUNC)?;
        let file = SpillFile::from_file(file, name.path.display().to_string(), behind, HEAD_BYTES as u64);
        file.write_bytes(0, &name.head())?;
        Ok(Self { file: Arc::new(file), name: name.clone(), forgotten: HEAD_BYTES as u64 })
    }

    /// Opens the file that another process has left, of which the first `end` bytes count.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where it is not the one of this tree, or shorter.
    pub(crate) fn reopen(name: &SpillName, end: u64, behind: bool) -> Result<Self> {
        let shown = name.path.display().to_string();
        let file = name.open(OFlags::empty())?;
        name.check(&file, end)?.map_err(|what| Error::corrupt(what).at(&shown))?;
        file.set_len(end).map_err(|error| Error::io("truncate", &*shown, error))?;
        let file = SpillFile::from_file(file, shown, behind, end.next_multiple_of(BLOCK_BYTES));
        Ok(Self { file: Arc::new(file), name: name.clone(), forgotten: HEAD_BYTES as u64 })
    }

    /// How far the file is in use, in bytes.
    pub(crate) fn end(&self) -> u64 {
        self.file.file_bytes()
    }

    /// The share of a shuffle that begins.
    pub(crate) fn share(&self) -> FileShare {
        let start = self.file.reserve(0);
        FileShare { file: Arc::clone(&self.file), start, begun: start, keep: true }
    }

    /// The share of a shuffle that goes on.
    pub(crate) fn resumed(&self, saved: &Saved) -> FileShare {
        FileShare { file: Arc::clone(&self.file), start: saved.start, begun: self.end(), keep: true }
    }

    /// Gives up all that is in the file.
    pub(crate) fn empty(&mut self) -> Result<()> {
        self.file.cut(HEAD_BYTES as u64)?;
        self.forgotten = HEAD_BYTES as u64;
        Ok(())
    }

    /// Gives back the disk space of all that lies in front of `offset`; it is only a courtesy.
    pub(crate) fn forget_before(&mut self, offset: u64) {
        let offset = offset / BLOCK_BYTES * BLOCK_BYTES;
        if offset > self.forgotten {
            self.file.punch(self.forgotten, offset - self.forgotten);
            self.forgotten = offset;
        }
    }

    /// Gives back the disk space of a table that another one has taken the place of.
    pub(crate) fn forget_table(&self, saved: &Saved) {
        self.file.punch(saved.offset, saved.end.saturating_sub(saved.offset).next_multiple_of(BLOCK_BYTES));
    }

    /// Whether the file is on the device of `tree`, so that a sync of that is one of this too.
    pub(crate) fn is_on_device_of(&self, tree: &Path) -> bool {
        let device = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.dev());
        self.name.inside || device(&self.name.path).is_some_and(|own| Some(own) == device(tree))
    }

    /// Returns when the file, with its name, would survive a power cut.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync()?;
        let shown = || self.name.path.display().to_string();
        let directory = self.name.path.parent().unwrap_or(Path::new("/"));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| Error::io("sync", shown(), error))
    }
}

/// Removes the spill file that a run has left outside of the tree `prefix`, which is about to be discarded. What the link there leads to is removed
/// only if it says itself that it is a spill file of that tree.
pub(crate) fn discard_spill(store: &dyn Store, prefix: &Key) -> Result<()> {
    if let Some(name) = link(store, prefix)? {
        name.remove();
    }
    Ok(())
}

/// Where the link in the tree `prefix` leads; none where there is none, or what is none.
fn link(store: &dyn Store, prefix: &Key) -> Result<Option<SpillName>> {
    let bytes = match read_to_vec(store, &prefix.join(SPILL_LINK_NAME)?, LINK_LIMIT_BYTES) {
        Err(Error::Corrupt { .. }) => return Ok(None),
        bytes => bytes?,
    };
    let link = bytes.and_then(|bytes| serde_json::from_slice::<Link>(&bytes).ok());
    let link = link.filter(|link| link.format == LINK_FORMAT && link.id.len() <= 64);
    Ok(link.map(|Link { path, id, .. }| SpillName { path: PathBuf::from(path), id, inside: false }))
}

impl SpillFile {
    pub(super) fn punch(&self, offset: u64, bytes: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = rustix::fs::fallocate(self.file(), flags, offset, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::MemoryStore;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn key(text: &str) -> Key {
        Key::new(text).unwrap()
    }

    /// SPL-10, SPL-12: a discarded tree takes its spill file along, wherever that is, and nothing else.
    #[test]
    fn a_discarded_tree_takes_its_spill_file_along() {
        let directory = tempfile::tempdir().unwrap();
        let (store, prefix) = (MemoryStore::new(), key("a.rechunked"));
        let name = SpillName::outside(directory.path(), "a", ID).unwrap();
        discard_spill(&store, &prefix).unwrap();
        name.note(&store, &prefix, true).unwrap();
        discard_spill(&store, &prefix).unwrap();
        let spill = NamedSpill::create(&name, false).unwrap();
        spill.sync().unwrap();
        let path = directory.path().join(format!(".a.{ID}.rechunk-spill"));
        assert_eq!(fs::read(&path).unwrap()[..8], *MAGIC);
        discard_spill(&store, &prefix).unwrap();
        assert!(!path.exists());
        for foreign in [b"somebody's file".to_vec(), SpillName::outside(directory.path(), "a", "another id").unwrap().head()] {
            fs::write(&path, &foreign).unwrap();
            discard_spill(&store, &prefix).unwrap();
            assert_eq!(fs::read(&path).unwrap(), foreign);
        }
        // A power cut has left the name, and nothing of the first block.
        for blank in [&[][..], &[0; 100], &[0; 8192]] {
            fs::write(&path, blank).unwrap();
            discard_spill(&store, &prefix).unwrap();
            assert!(!path.exists(), "{} zeros", blank.len());
        }
        fs::create_dir(&path).unwrap();
        discard_spill(&store, &prefix).unwrap();
        for link in ["", "{}", "[1]", r#"{"format":"another","path":"/etc/passwd","id":"x"}"#] {
            store.set(&prefix.join(SPILL_LINK_NAME).unwrap(), link.as_bytes()).unwrap();
            discard_spill(&store, &prefix).unwrap();
        }
    }

    /// SPL-10: the place is in the tree, and only a name that such a file has is taken from there.
    #[test]
    fn a_link_leads_to_a_spill_file_or_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let away = directory.path().join("away");
        fs::create_dir(&away).unwrap();
        let (store, prefix) = (MemoryStore::new(), key("a.rechunked"));
        let linked = |id: &str| SpillName::linked(&store, &prefix, "a", id).unwrap();
        assert_eq!(linked(ID), None);
        let name = SpillName::outside(&away, "a", ID).unwrap();
        name.note(&store, &prefix, false).unwrap();
        assert_eq!((linked(ID), linked("another")), (Some(name.clone()), None));
        assert!(name.has_directory() && name.fault(4096).unwrap().is_some_and(|what| what.contains("not there")));
        drop(NamedSpill::create(&name, false).unwrap());
        assert_eq!(name.fault(4096).unwrap(), None);
        assert!(name.fault(4097).unwrap().is_some_and(|what| what.contains("4096 bytes")));
        fs::remove_dir_all(&away).unwrap();
        assert!(linked(ID).is_some_and(|name| !name.has_directory()));
        for path in [directory.path().join("precious"), directory.path().join(format!("none/{ID}.rechunk-spill"))] {
            SpillName { path, ..name.clone() }.note(&store, &prefix, false).unwrap();
            assert_eq!(linked(ID), None);
        }
    }

    /// SPL-11: what is gone on with is the file of the same tree, and as long as it was.
    #[test]
    fn another_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let name = SpillName::inside(directory.path(), ID);
        assert!(matches!(NamedSpill::reopen(&name, 4096, false), Err(Error::Io { .. })));
        let spill = NamedSpill::create(&name, false).unwrap();
        spill.file.write_bytes(4096, &[7; 100]).unwrap();
        drop(spill);
        assert_eq!(NamedSpill::reopen(&name, 4190, false).unwrap().end(), 8192, "blocks are not shared");
        assert_eq!(fs::metadata(directory.path().join(SPILL_NAME)).unwrap().len(), 4190, "what came later is cut off");
        for end in [0, 4191, u64::MAX] {
            assert!(matches!(NamedSpill::reopen(&name, end, false), Err(Error::Corrupt { .. })), "{end}");
        }
        let other = SpillName::inside(directory.path(), "other");
        assert!(matches!(NamedSpill::reopen(&other, 4096, false), Err(Error::Corrupt { .. })));
        fs::remove_file(directory.path().join(SPILL_NAME)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.path().join(SPILL_NAME)).unwrap();
        assert!(NamedSpill::create(&name, false).is_err(), "links are not followed");
    }
}
