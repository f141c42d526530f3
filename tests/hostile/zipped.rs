//! Zip files whose records lie (`tests/store/zip.rs` has more, in this process).

use std::path::Path;

use super::stores::{Case, ELEMENTS, Want, document, write};
use super::zips::{ZipEnd, ZipEntry, zip, zip_with};

fn entries() -> Vec<ZipEntry> {
    vec![ZipEntry::stored("zarr.json", document().to_string().as_bytes()), ZipEntry::stored("c/0", &[1, 2, 3, 4])]
}

fn file(bytes: Vec<u8>) -> impl Fn(&Path) {
    move |root| write(root, "s.zip", &bytes)
}

/// A zip file that is refused whole.
fn refused(name: &str, bytes: Vec<u8>, code: i32, says: &str) -> Case {
    let of = |args| Want::refused(args, code, &["s.zip", says]);
    let wants = ["get s.zip", "tree s.zip", "check s.zip", "rechunk s.zip t --chunks 2", "get s.zip/a"].map(of);
    Case::new(name, file(bytes), wants.to_vec())
}

/// A zip file of which one value is refused.
fn entry(name: &str, change: impl Fn(&mut ZipEntry), says: &str, found: &str) -> Case {
    let mut entries = entries();
    change(&mut entries[1]);
    let of = |args| Want::refused(args, 4, &["s.zip/c/0", says]);
    let wants = vec![
        of("get s.zip"),
        of("rechunk s.zip t --chunks 2"),
        Want::works("tree s.zip", &["uint8"]),
        Want { codes: vec![0, 1], ..Want::works("check s.zip", &["s.zip/c/0: ", found]) },
    ];
    Case::new(name, file(zip(&entries)), wants)
}

/// A zip file that is refused whole for what it says of one entry.
fn lying_entry(name: &str, change: impl Fn(&mut ZipEntry), says: &str) -> Case {
    let mut entries = entries();
    change(&mut entries[1]);
    refused(name, zip(&entries), 4, says)
}

fn lying(change: impl FnOnce(&mut ZipEnd)) -> Vec<u8> {
    zip_with(&entries(), change)
}

pub(crate) fn cases() -> Vec<Case> {
    let good = zip(&entries());
    let with_name = |name: &str| zip(&[entries(), vec![ZipEntry::stored(name, b"x")]].concat());
    let mut cases = vec![
        Case::new(
            "a good zip file",
            file(good.clone()),
            vec![Want::prints("get s.zip", ELEMENTS), Want::works("check s.zip", &["0 errors, 0 warnings"])],
        ),
        refused("a zip file of no bytes", vec![], 4, "no end record"),
        refused("a zip file cut off", good[..good.len() - 1].to_vec(), 4, "no end record"),
        refused("a zip file behind other bytes", [b"MZ", &good[..]].concat(), 4, "must end at byte"),
        refused("a zip file of 65,535 entries that are not there", lying(|end| end.count = u16::MAX), 4, "entries"),
        refused("a zip directory of 4 GiB", lying(|end| end.len = u32::MAX), 4, "s.zip"),
        refused("a zip directory at byte 4 GiB", lying(|end| end.start = u32::MAX), 4, "s.zip"),
        refused("a zip directory at the start", lying(|end| end.start = 0), 4, "must end at byte"),
        refused("a Zip64 record that disagrees", lying(|end| (end.wide, end.count) = (true, 7)), 4, "entries"),
        lying_entry("two zip entries in one place", |entry| entry.offset = Some(0), "overlaps"),
        lying_entry("a zip entry behind the end", |entry| entry.offset = Some(1 << 31), "overlaps"),
        lying_entry("a zip directory that is encrypted", |entry| entry.flags = 1 << 13, "encrypted"),
        entry("a zip entry that is encrypted", |entry| entry.flags = 1, "encrypted", "warning unsupported"),
        entry("a zip entry of method 14", |entry| entry.method = 14, "compression method 14", "warning unsupported"),
        entry("a zip entry with a wrong checksum", |entry| entry.crc ^= 1, "checksum mismatch", "chunk-checksum"),
        entry("a zip entry of another size", |entry| entry.size = 5, "cannot be", "unreadable"),
        entry("a zip entry under another name", |entry| entry.local_name = Some(b"c/1".to_vec()), "no local header", "unreadable"),
        entry("a zip entry of noise", |entry| (entry.method, entry.size) = (8, 4), "zip", "unreadable"),
    ];
    for name in ["../s/c/0", "/etc/passwd", "c\\1", "c//1", "./c/1", "c/..", "\0"] {
        cases.push(refused(&format!("a zip entry called {name:?}"), with_name(name), 4, "name"));
    }
    let folder = ZipEntry::stored("c/0/x", b"x");
    cases.push(Case::new(
        "a zip entry below a value",
        file(zip(&[entries(), vec![folder]].concat())),
        vec![
            Want::refused("get s.zip", 4, &["s.zip/c/0", "both a value and a prefix"]),
            Want::refused("check s.zip", 1, &["s.zip/c/0: error special-file"]),
        ],
    ));
    cases
}
