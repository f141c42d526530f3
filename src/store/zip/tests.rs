//! Packing: what is in the file, the Zip64 forms with small numbers, and what is refused.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::pack::pack_with;
use super::write::Thresholds;
use super::*;
use crate::store::{ByteRange, DOCUMENT, read_to_vec};

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A directory `a` of a node with chunks.
fn source() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, bytes) in VALUES {
        write(&root.path().join("a"), name, bytes);
    }
    fs::create_dir(root.path().join("a/empty")).unwrap();
    root
}

const VALUES: [(&str, &[u8]); 6] = [
    ("c/0/0", b"chunk"),
    ("c/0/1", &[9; 3_000_000]),
    ("c/1/0", b""),
    ("träume/zarr.json", b"{}"),
    ("zarr.json", b"{\"a\": 1}"),
    ("zarr.json.old", b"x"),
];

fn options() -> PackOptions<'static> {
    PackOptions::new().sync(false)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// FMT-ZIP-10, FMT-ZIP-11: what is packed comes out again, in every form of the numbers, and equal trees give equal files.
#[test]
fn what_is_packed_is_read_again() {
    let root = source();
    let at = |name: &str| root.path().join(name);
    let forms = [Thresholds::FORMAT, Thresholds { bytes: 6, entries: 3 }, Thresholds { bytes: 1, entries: 1 }];
    for (i, thresholds) in forms.into_iter().enumerate() {
        let path = at(&format!("{i}.zip"));
        let report = pack_with(&at("a"), &path, options(), thresholds).unwrap();
        let value_bytes = VALUES.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        assert_eq!((report.entries, report.value_bytes, report.zip_bytes), (6, value_bytes, fs::metadata(&path).unwrap().len()));
        let store = ZipStore::open(&path).unwrap();
        for (name, bytes) in VALUES {
            assert!(read_to_vec(&store, &Key::new(name).unwrap(), u64::MAX).unwrap().unwrap() == bytes, "{name}");
        }
        assert_eq!(store.kind(&Key::new("empty").unwrap()).unwrap(), None, "what holds no value is no part of a store");
        let again = at("again.zip");
        // Made in another order, at another time, and from the zip file itself.
        let copy = tempfile::tempdir().unwrap();
        VALUES.iter().rev().for_each(|(name, bytes)| write(copy.path(), name, bytes));
        for from in [copy.path(), &path] {
            pack_with(from, &again, options().overwrite(true), thresholds).unwrap();
            assert!(fs::read(&again).unwrap() == fs::read(&path).unwrap());
        }
        fs::remove_file(again).unwrap();
    }
    assert_eq!(names(root.path()), ["0.zip", "1.zip", "2.zip", "a"], "nothing temporary is left");
}

/// FMT-ZIP-10: readers that map the file need nothing but an offset.
#[test]
fn entries_are_stored_in_the_order_of_their_names() {
    let root = source();
    let path = root.path().join("x.zip");
    pack(root.path().join("a"), &path, options()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let found: Vec<usize> =
        VALUES.iter().map(|(name, _)| bytes.windows(name.len()).position(|window| window == name.as_bytes()).unwrap()).collect();
    assert!(found.is_sorted(), "{found:?}");
    assert!(bytes.windows(8).any(|window| window == b"{\"a\": 1}"), "not compressed");
    assert_eq!(bytes.len(), VALUES.iter().map(|(name, bytes)| bytes.len() + 2 * name.len() + 30 + 46).sum::<usize>() + 22);
}

/// FMT-ZIP-12: what is in the way stays as it is.
#[test]
fn what_is_in_the_way_stays() {
    let root = source();
    let at = |name: &str| root.path().join(name);
    let fails = |source: &str, zip: &str, options: PackOptions<'_>, says: &str| {
        let before = names(root.path());
        let error = pack(at(source), at(zip), options).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(names(root.path()), before);
    };
    pack(at("a"), at("x.zip"), options()).unwrap();
    let old = fs::read(at("x.zip")).unwrap();
    fails("a", "x.zip", options(), "x.zip: already exists; choose another name");
    write(root.path(), "text", b"precious");
    fails("a", "text", options().overwrite(true), "text: already exists; it is no zip file");
    fails("a", "a", options().overwrite(true), "the zip file is, or lies inside, the source");
    fails("a", "a/c/x.zip", options(), "the zip file is, or lies inside, the source");
    fails("x.zip", "x.zip", options().overwrite(true), "the zip file is, or lies inside, the source");
    fails("a", "none/x.zip", options(), "none: not found: the directory of the zip file; make it first");
    fails("a/c", "y.zip", options(), "a/c: not found: an array or group (no zarr.json)");
    fails("none", "y.zip", options(), "none: not found");
    symlink("x.zip", at("link.zip")).unwrap();
    fails("a", "link.zip", options().overwrite(true), "link.zip: already exists; it is no zip file");
    let stop = AtomicBool::new(true);
    fails("a", "y.zip", options().cancel(&stop), "cancelled");
    fails("a", "x.zip", options().overwrite(true).cancel(&stop), "cancelled");
    symlink("/etc/passwd", at("a/c/2")).unwrap();
    fails("a", "x.zip", options().overwrite(true), "a/c/2: unsupported: a link or special file");
    fs::remove_file(at("a/c/2")).unwrap();
    write(root.path(), "a/c\\3", b"");
    fails("a", "x.zip", options().overwrite(true), "a/c\\3: unsupported: a name with a backslash");
    assert!(fs::read(at("x.zip")).unwrap() == old);
    fs::remove_file(at("a/c\\3")).unwrap();
    write(root.path(), "a/zarr.json", b"other");
    pack(at("a"), at("x.zip"), PackOptions::new().overwrite(true)).unwrap();
    let store = ZipStore::open(at("x.zip")).unwrap();
    assert_eq!(read_to_vec(&store, &Key::new(DOCUMENT).unwrap(), 99).unwrap().unwrap(), b"other");
}

/// FMT-ZIP-1: what paths lead to.
#[test]
fn paths_lead_into_zip_files() {
    let root = source();
    let at = |name: &str| root.path().join(name);
    pack(at("a"), at("x.zip"), options()).unwrap();
    fs::copy(at("x.zip"), at("no extension")).unwrap();
    symlink("x.zip", at("link")).unwrap();
    let open = |path: &str| crate::store::open_path(&at(path), Reads::default());
    for (path, key, value) in [
        ("x.zip", "zarr.json", &b"{\"a\": 1}"[..]),
        ("x.zip/", "c/0/0", b"chunk"),
        ("x.zip/träume", "zarr.json", b"{}"),
        ("x.zip/c/./0/", "0", b"chunk"),
        ("no extension/c", "0/0", b"chunk"),
        ("link/c", "0/0", b"chunk"),
        ("a/c", "0/0", b"chunk"),
    ] {
        let store = open(path).unwrap();
        assert_eq!(read_to_vec(&*store, &Key::new(key).unwrap(), 99).unwrap().unwrap(), value, "{path}");
        assert!(store.locate(&Key::new(key).unwrap()).ends_with(key));
        assert_eq!(store.kind(&Key::new("none").unwrap()).unwrap(), None);
        assert!(store.open(&Key::root()).is_err());
    }
    write(root.path(), "text", b"text");
    write(root.path(), "text.ZIP", b"text");
    for (path, says) in [
        ("x.zip/none", "x.zip/none: not found: a directory in the zip file"),
        ("x.zip/zarr.json", "x.zip/zarr.json: unsupported: a file of the zip file stands here"),
        ("x.zip/zarr.json/x", "x.zip/zarr.json: corrupt: a value stands where a prefix is expected"),
        ("x.zip/../a", "leads out of the zip file"),
        ("text", "text: unsupported: a regular file stands here"),
        ("text/a", "text/a: not found: a directory (a part of the path is a file)"),
        ("text.ZIP/a", "text.ZIP: corrupt: zip: no end record"),
        ("none.zip/a", "not found"),
    ] {
        let error = open(path).unwrap_err().to_string();
        assert!(error.contains(says), "{path}: {error}");
    }
    let value = ZipStore::open(at("x.zip")).unwrap().open(&Key::new("c/0/1").unwrap()).unwrap().unwrap();
    let mut end = Vec::new();
    value.read(ByteRange::Last { len: 2 }, &mut |bytes| crate::buffer::append(&mut end, bytes)).unwrap();
    assert_eq!(end, [9, 9]);
}

/// PUB-19: a zip file that was written to, or replaced by one with other bytes of the same sizes, is not what it was.
#[test]
fn a_changed_zip_file_has_other_stamps() {
    let root = source();
    let at = |name: &str| root.path().join(name);
    let key = Key::new("c/0/0").unwrap();
    let stamp = |name: &str| ZipStore::open(at(name)).unwrap().stamp(&key).unwrap().unwrap();
    pack(at("a"), at("x.zip"), options()).unwrap();
    let first = stamp("x.zip");
    assert_eq!((stamp("x.zip"), first.size), (first, 5));
    assert!(ZipStore::open(at("x.zip")).unwrap().stamp(&Key::new("none").unwrap()).unwrap().is_none());
    let modified = |name: &str, time| fs::File::options().write(true).open(at(name)).unwrap().set_modified(time).unwrap();
    let time = fs::metadata(at("x.zip")).unwrap().modified().unwrap();
    modified("x.zip", time + std::time::Duration::from_nanos(1000));
    assert_ne!(stamp("x.zip"), first, "another time");
    modified("x.zip", time);
    assert_eq!(stamp("x.zip"), first);
    fs::copy(at("x.zip"), at("y.zip")).unwrap();
    modified("y.zip", time);
    assert_ne!(stamp("y.zip"), first, "another file");
    // The same file, written over with as many bytes, and its time put back.
    write(root.path(), "a/c/0/0", b"CHUNK");
    pack(at("a"), at("z.zip"), options()).unwrap();
    fs::write(at("x.zip"), fs::read(at("z.zip")).unwrap()).unwrap();
    modified("x.zip", time);
    assert_ne!(stamp("x.zip"), first, "other bytes");
}
