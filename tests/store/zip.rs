//! Zip files as stores: the reading part of the conformance suite, and files that are wrong in every field.

use std::any::Any;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rezarr::{ByteRange, Entry, EntryKind, Error, Key, Lock, MemoryStore, ReadMode, Result, Store, Value, ZipStore};

use super::zips::{ZipEntry, zip, zip_with};
use super::{Behaviour, all, get, key, names, refused};

/// How a [`Packed`] store stores its values.
type Form = fn(&str, &[u8]) -> ZipEntry;

/// A store that is written to in memory, and read from a zip file that is made anew after each change.
#[derive(Debug)]
struct Packed {
    directory: tempfile::TempDir,
    written: MemoryStore,
    form: Form,
    mode: ReadMode,
    /// The zip file of what has been written so far.
    zip: Mutex<(u64, Option<ZipStore>)>,
}

impl Packed {
    fn new(form: Form, mode: ReadMode) -> Self {
        Self { directory: tempfile::tempdir().unwrap(), written: MemoryStore::new(), form, mode, zip: Mutex::new((0, None)) }
    }

    fn zip(&self) -> ZipStore {
        let made = &mut *self.zip.lock().unwrap();
        made.1.get_or_insert_with(|| {
            made.0 += 1;
            self.make(made.0)
        });
        made.1.clone().unwrap()
    }

    /// What is written to; the next that is read is a new zip file.
    fn changed(&self) -> &MemoryStore {
        self.zip.lock().unwrap().1 = None;
        &self.written
    }

    fn make(&self, number: u64) -> ZipStore {
        let mut entries = Vec::new();
        let mut pending = vec![Key::root()];
        while let Some(prefix) = pending.pop() {
            for (name, kind) in names(&self.written, prefix.as_str()) {
                let below = prefix.join(&name).unwrap();
                match kind {
                    EntryKind::Prefix => {
                        entries.push(ZipEntry::stored(&format!("{}/", below.as_str()), b""));
                        pending.push(below);
                    }
                    _ => entries.push((self.form)(below.as_str(), &all(&self.written, below.as_str()))),
                }
            }
        }
        let path = self.directory.path().join(format!("{number}.zip"));
        fs::write(&path, zip(&entries)).unwrap();
        ZipStore::open(path).unwrap().with_read_mode(self.mode)
    }
}

impl Store for Packed {
    fn kind(&self, key: &Key) -> Result<Option<EntryKind>> {
        self.zip().kind(key)
    }
    fn open(&self, key: &Key) -> Result<Option<Box<dyn Value>>> {
        self.zip().open(key)
    }
    fn size(&self, key: &Key) -> Result<Option<u64>> {
        self.zip().size(key)
    }
    fn set(&self, key: &Key, value: &[u8]) -> Result<()> {
        self.changed().set(key, value)
    }
    fn write_at(&self, key: &Key, offset: u64, bytes: &[u8]) -> Result<()> {
        self.changed().write_at(key, offset, bytes)
    }
    fn copy_from(&self, source: &dyn Store, from: &Key, to: &Key) -> Result<Option<u64>> {
        self.changed().copy_from(source, from, to)
    }
    fn erase(&self, key: &Key) -> Result<bool> {
        self.changed().erase(key)
    }
    fn erase_prefix(&self, prefix: &Key) -> Result<bool> {
        self.changed().erase_prefix(prefix)
    }
    fn list(&self, prefix: &Key, visit: &mut dyn FnMut(Entry) -> Result<()>) -> Result<()> {
        self.zip().list(prefix, visit)
    }
    fn create_prefix(&self, prefix: &Key) -> Result<()> {
        self.changed().create_prefix(prefix)
    }
    fn rename(&self, from: &Key, to: &Key) -> Result<()> {
        self.changed().rename(from, to)
    }
    fn exchange(&self, a: &Key, b: &Key) -> Result<()> {
        self.changed().exchange(a, b)
    }
    fn sync(&self) -> Result<()> {
        self.written.sync()
    }
    fn lock(&self, prefix: &Key) -> Result<Box<dyn Lock>> {
        self.written.lock(prefix)
    }
    fn locate(&self, key: &Key) -> String {
        self.zip().locate(key)
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What of the suite is about reading; the rest would test the store in memory.
const READING: &[(&str, Behaviour)] = &[
    ("values_are_found_or_missing", super::values_are_found_or_missing),
    ("ranges_are_exact", super::ranges_are_exact),
    ("an_error_of_the_visitor_comes_back_with_the_key", super::an_error_of_the_visitor_comes_back_with_the_key),
    ("an_open_value_stays_what_it_was", super::an_open_value_stays_what_it_was),
    ("list_shows_what_is_directly_below", super::list_shows_what_is_directly_below),
    ("create_prefix_makes_an_empty_prefix", super::create_prefix_makes_an_empty_prefix),
];

fn conforms(form: Form, mode: ReadMode) {
    for (name, behaviour) in READING {
        eprintln!("{name}");
        behaviour(&Packed::new(form, mode));
    }
}

#[test]
fn a_zip_store_of_stored_entries_conforms() {
    conforms(ZipEntry::stored, ReadMode::Mapped);
    conforms(ZipEntry::stored, ReadMode::Positioned);
}

#[test]
fn a_zip_store_of_deflated_entries_conforms() {
    conforms(ZipEntry::deflated, ReadMode::Mapped);
}

/// A zip file in a directory of its own.
fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.zip");
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn open(bytes: &[u8]) -> Result<ZipStore> {
    ZipStore::open(file(bytes).1)
}

fn stored(name: &str) -> ZipEntry {
    ZipEntry::stored(name, b"value")
}

#[test]
fn a_value_is_no_prefix_and_a_prefix_no_value() {
    let store = open(&zip(&[stored("p/v"), stored("both"), stored("both!"), stored("both/v")])).unwrap();
    for below in ["p/v/x", "p/v/x/y"] {
        refused(get(&store, below, ByteRange::All), "Corrupt", &["p/v:"]);
        refused(store.size(&key(below)), "Corrupt", &["p/v:"]);
        refused(store.kind(&key(below)), "Corrupt", &["p/v:"]);
        refused(store.list(&key(below), &mut |_| Ok(())), "Corrupt", &["p/v:"]);
    }
    refused(store.list(&key("p/v"), &mut |_| Ok(())), "Corrupt", &["p/v:"]);
    for prefix in [key("p"), Key::root()] {
        refused(get(&store, prefix.as_str(), ByteRange::All), "Corrupt", &[&store.locate(&prefix)]);
    }
    // One name for a value and for a prefix is neither.
    let both = [("both".to_owned(), EntryKind::Other), ("both!".to_owned(), EntryKind::Value), ("p".to_owned(), EntryKind::Prefix)];
    assert_eq!(names(&store, ""), both);
    assert_eq!(store.kind(&key("both")).unwrap(), Some(EntryKind::Other));
    refused(get(&store, "both", ByteRange::All), "Corrupt", &["both", "both a value and a prefix"]);
    refused(get(&store, "both/v", ByteRange::All), "Corrupt", &["both: "]);
    refused(store.list(&key("both"), &mut |_| Ok(())), "Corrupt", &["both: "]);
}

#[test]
fn nothing_changes_a_zip_file() {
    let (_directory, path) = file(&zip(&[stored("a/v")]));
    let (before, store) = (fs::read(&path).unwrap(), ZipStore::open(&path).unwrap());
    let says = ["x.zip/", "pack it last (rezarr pack)"];
    refused(store.set(&key("a/v"), b"x"), "Unsupported", &says);
    refused(store.write_at(&key("a/v"), 0, b"x"), "Unsupported", &says);
    refused(store.copy_from(&store, &key("a/v"), &key("b")), "Unsupported", &says);
    refused(store.erase(&key("a/v")), "Unsupported", &says);
    refused(store.erase_prefix(&key("a")), "Unsupported", &says);
    refused(store.create_prefix(&key("b")), "Unsupported", &says);
    refused(store.rename(&key("a"), &key("b")), "Unsupported", &says);
    refused(store.exchange(&key("a"), &key("b")), "Unsupported", &says);
    refused(store.lock(&key("a")), "Unsupported", &says);
    store.sync().unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

/// FMT-ZIP-6: of one name the last entry counts.
#[test]
fn what_was_appended_replaces() {
    let entries = [ZipEntry::stored("v", b"old"), stored("w"), ZipEntry::deflated("v", b"newer")];
    let store = open(&zip(&entries)).unwrap();
    assert_eq!(all(&store, "v"), b"newer");
    assert_eq!(names(&store, "").len(), 2);
}

/// FMT-ZIP-2, FMT-ZIP-7: forms that writers use.
#[test]
fn every_form_of_writers_is_read() {
    let value = vec![7; 100_000];
    for entry in [ZipEntry::stored("d/v", &value), ZipEntry::deflated("d/v", &value)] {
        for (wide, sizes_follow) in [(false, false), (true, false), (false, true)] {
            let entry = ZipEntry { wide, sizes_follow, ..entry.clone() };
            for comment in [&b""[..], b"a comment", &[0; 0xffff]] {
                for wide_end in [false, true] {
                    let bytes = zip_with(&[stored("w"), entry.clone()], |end| (end.comment, end.wide) = (comment.to_vec(), wide_end));
                    let store = open(&bytes).unwrap();
                    assert_eq!(all(&store, "d/v"), value);
                    let middle = ByteRange::From { offset: 99_990, len: 5 };
                    assert_eq!(get(&store, "d/v", middle).unwrap().unwrap(), [7; 5]);
                    assert_eq!(names(&store, "d"), [("v".to_owned(), EntryKind::Value)]);
                }
            }
        }
    }
    assert_eq!(names(&open(&zip(&[])).unwrap(), ""), []);
}

/// FMT-ZIP-3: what no key reaches.
#[test]
fn names_that_are_no_keys_refuse_the_file() {
    let long = "n".repeat(256);
    for name in ["../v", "a/../../v", "/etc/passwd", "a//b", "./a", ".", "..", "", "/", "a//", "c\\0\\0", "a\0b", &long] {
        refused(open(&zip(&[stored("v"), stored(name)])), "Corrupt", &["x.zip: corrupt at byte", "name"]);
    }
    let bad = ZipEntry { name: b"\xff\xfe".to_vec(), ..stored("v") };
    refused(open(&zip(&[bad])), "Corrupt", &["is not UTF-8"]);
    assert_eq!(all(&open(&zip(&[stored("träume/漢字"), stored("...")])).unwrap(), "träume/漢字"), b"value");
}

type Edit = fn(&mut ZipEntry);

/// FMT-ZIP-5, FMT-ZIP-7, FMT-ZIP-8: entries that are not what the directory says.
#[test]
fn entries_that_contradict_themselves_are_refused() {
    let opening: &[(Edit, &str, &str)] = &[
        (|entry| entry.offset = Some(0), "Corrupt", "overlaps"),
        (|entry| entry.offset = Some(u64::from(u32::MAX) - 1), "Corrupt", "overlaps"),
        (|entry| (entry.wide, entry.offset) = (true, Some(u64::MAX)), "Corrupt", "overlaps"),
        (|entry| (entry.wide, entry.packed) = (true, u64::MAX), "Corrupt", "overlaps"),
        (|entry| entry.packed += 1000, "Corrupt", "overlaps"),
        (|entry| entry.flags = 1 << 13, "Unsupported", "encrypted directory"),
    ];
    let reading: &[(Edit, &str, &str)] = &[
        (|entry| entry.flags = 1, "Unsupported", "encrypted"),
        (|entry| entry.method = 12, "Unsupported", "compression method 12; accepted are 0 (stored) and 8 (deflated)"),
        (|entry| entry.local_name = Some(b"w".to_vec()), "Corrupt", "no local header"),
        (|entry| entry.local_name = Some(b"other".to_vec()), "Corrupt", "no local header"),
        (|entry| entry.crc ^= 1, "ChecksumMismatch", "checksum mismatch"),
        (|entry| entry.size += 1, "Corrupt", "cannot be"),
        (|entry| entry.size -= 1, "Corrupt", "cannot be"),
    ];
    for deflated in [false, true] {
        let entry = if deflated { ZipEntry::deflated("v", &[1; 90]) } else { ZipEntry::stored("v", &[1; 90]) };
        for (edit, variant, says) in opening {
            let mut entry = entry.clone();
            edit(&mut entry);
            refused(open(&zip(&[stored("first"), entry])), variant, &["x.zip: ", says]);
        }
        for (edit, variant, says) in reading {
            let mut entry = entry.clone();
            edit(&mut entry);
            let says = if deflated && *says == "cannot be" { "zip: " } else { says };
            let store = open(&zip(&[stored("first"), entry])).unwrap();
            refused(get(&store, "v", ByteRange::All), variant, &["x.zip/v: ", says]);
            assert_eq!(all(&store, "first"), b"value", "the others are there");
        }
    }
}

#[test]
fn end_records_that_lie_are_refused() {
    let good = zip(&[stored("v"), stored("w")]);
    for len in 0..good.len() {
        assert!(matches!(open(&good[..len]), Err(Error::Corrupt { .. })), "{len} bytes");
    }
    let lies = |edit: fn(&mut super::zips::ZipEnd)| zip_with(&[stored("v"), stored("w")], edit);
    let all = [
        lies(|end| end.count = 1),
        lies(|end| end.count = 3),
        lies(|end| end.count = 0xfffe),
        lies(|end| end.start -= 1),
        lies(|end| end.start = 0),
        lies(|end| end.len -= 1),
        lies(|end| end.len += 1),
        lies(|end| end.len = u32::MAX - 1),
        lies(|end| (end.count, end.len) = (0, 0)),
        lies(|end| (end.wide, end.count) = (true, 9)),
        lies(|end| (end.wide, end.start) = (true, 3)),
    ];
    for bytes in &all {
        refused(open(bytes), "Corrupt", &["x.zip: corrupt at byte"]);
    }
    refused(open(&[b"before", &good[..]].concat()), "Corrupt", &["must end at byte"]);
    refused(open(&[&good[..], b"behind"].concat()), "Corrupt", &["no end record"]);
    refused(open(b""), "Corrupt", &["no end record"]);
}

/// FMT-ZIP-4: nothing is read of a directory that is too large, and little of one that is not there.
#[test]
fn directories_are_bounded() {
    let end = |len: u32| zip_with(&[], |end| end.len = len);
    for (len, variant, says) in [((1 << 30) + 1, "Unsupported", "at most 1073741824"), (1 << 30, "Corrupt", "other bytes than PK")] {
        let (_directory, path) = file(b"");
        let file = fs::File::create(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &end(len), len.into()).unwrap();
        refused(ZipStore::open(&path), variant, &["x.zip: ", says]);
    }
}

/// Whatever bit is flipped: the right value, or an error; never another value, and never a panic.
#[test]
fn no_flipped_bit_gives_another_value() {
    let entries = [ZipEntry::stored("d/v", b"some value"), ZipEntry::deflated("d/w", &[5; 40]), stored("zarr.json")];
    for wide in [false, true] {
        let entries = entries.clone().map(|entry| ZipEntry { wide, ..entry });
        let good = zip_with(&entries, |end| end.wide = wide);
        let (_directory, path) = file(&good);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            let Ok(store) = ZipStore::open(&path) else { continue };
            for (name, value) in [("d/v", &b"some value"[..]), ("d/w", &[5; 40]), ("zarr.json", b"value")] {
                // It is missing where the bit was one of its name.
                if let Ok(Some(got)) = get(&store, name, ByteRange::All) {
                    assert_eq!(got, value, "bit {bit}");
                }
            }
            let _ = names(&store, "");
        }
    }
}

/// FMT-ZIP-9: what is inflated is bounded by what the directory says, and that by what deflate can do.
#[test]
fn bombs_cost_no_more_than_they_say() {
    let bomb = ZipEntry::deflated("v", &vec![0; 8 << 20]);
    let store = open(&zip(&[ZipEntry { size: 1000, ..bomb.clone() }])).unwrap();
    refused(get(&store, "v", ByteRange::All), "Corrupt", &["more than the 1000 bytes"]);
    let store = open(&zip(&[ZipEntry { size: 9 << 20, wide: true, ..bomb.clone() }])).unwrap();
    refused(get(&store, "v", ByteRange::All), "Corrupt", &["cannot be the"]);
    let store = open(&zip(&[ZipEntry { size: (8 << 20) + 1, ..bomb }])).unwrap();
    refused(get(&store, "v", ByteRange::All), "Corrupt", &["inflate to 8388608 bytes, where 8388609"]);
    let large = ZipEntry::deflated("v", &vec![0; (64 << 20) + 1]);
    let store = open(&zip(&[large])).unwrap();
    refused(get(&store, "v", ByteRange::Last { len: 1 }), "Unsupported", &["x.zip/v: ", "pack it stored"]);
    assert_eq!(all(&store, "v").len(), (64 << 20) + 1);
}

#[test]
fn a_zip_store_needs_a_regular_file() {
    let directory = tempfile::tempdir().unwrap();
    refused(ZipStore::open(directory.path().join("none")), "NotFound", &["none", "a zip file"]);
    refused(ZipStore::open(directory.path()), "Unsupported", &["a zip file is expected"]);
    let fifo = directory.path().join("fifo.zip");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    refused(ZipStore::open(&fifo), "Unsupported", &["fifo.zip"]);
}

/// A zip file that other threads read.
#[test]
fn threads_read_side_by_side() {
    let entries: Vec<ZipEntry> = (0..200).map(|i| ZipEntry::deflated(&format!("{i}"), &[1; 5000])).collect();
    let store = Arc::new(open(&zip(&entries)).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..200).for_each(|i| assert_eq!(all(&*store, &format!("{i}")), [1; 5000])));
        }
    });
}
