//! Zip stores: rezarr reads those of zarr-python, stored and deflated, and zarr-python those that rezarr packs.

use std::ffi::OsStr;

use rezarr::{NodeMetadata, PackOptions, RechunkOptions, VerifyOptions, pack, rechunk, verify};

use super::*;

/// The zip files of zarr-python, each with where its arrays are and their elements.
fn zips(directory: &Path) -> Vec<Value> {
    python::python("zips.py", [OsStr::new("write"), directory.as_os_str()]);
    serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap()
}

fn text<'a>(entry: &'a Value, member: &str) -> &'a str {
    entry[member].as_str().unwrap()
}

#[test]
fn rezarr_reads_zip_files_that_others_wrote() {
    if python::skipped("rezarr_reads_zip_files_that_others_wrote") {
        return;
    }
    let directory = scratch();
    let entries = zips(directory.path());
    assert_eq!(entries.len(), 16);
    for entry in &entries {
        let path = directory.path().join(text(entry, "zip")).join(text(entry, "path"));
        let array = Array::open(&path).unwrap();
        let raw = fs::read(directory.path().join(text(entry, "raw"))).unwrap();
        assert!(array.read_bytes(&Region::whole(&[17, 20])).unwrap() == raw, "{entry}");
        for region in quarters(&[17, 20]) {
            assert!(array.read_bytes(&region).unwrap() == cut(&raw, &[17, 20], &region), "{entry} {region}");
        }
        assert_eq!(array.metadata().attributes().to_map().unwrap()["changed"], true, "the later of two documents");
    }
    let group = Group::open(directory.path().join("deflated.zip")).unwrap();
    let mut found = Vec::new();
    group
        .walk(&mut |path, node| {
            found.push((path.to_owned(), matches!(node, NodeMetadata::Array(_))));
            Ok(())
        })
        .unwrap();
    assert_eq!(found.len(), 10);
    assert!(found.contains(&("träume/deep/sharded plain".to_owned(), true)), "{found:?}");
}

/// A rechunk of a zip file, packed again.
#[test]
fn others_read_what_rezarr_packed() {
    if python::skipped("others_read_what_rezarr_packed") {
        return;
    }
    let directory = scratch();
    let at = |name: &str| directory.path().join(name);
    let mut entries = zips(directory.path());
    for name in ["stored", "deflated"] {
        let source = at(&format!("{name}.zip"));
        let options = RechunkOptions::new().chunks([17, 3]).shards(rezarr::Shards::Remove).memory(8 << 20).sync(false);
        rechunk(&source, Some(&at(name)), options).unwrap();
        pack(at(name), at("packed.zip"), PackOptions::new().sync(false)).unwrap();
        let verdict = verify(&source, at("packed.zip"), VerifyOptions::new().memory(8 << 20).spill_dir(directory.path())).unwrap();
        assert!(verdict.equal && verdict.arrays == 8, "{verdict:?}");
        // Under the name that the manifest says.
        fs::rename(at("packed.zip"), &source).unwrap();
    }
    python::python("zips.py", [OsStr::new("read"), directory.path().as_os_str()]);
    // The judge notices a difference.
    let raw = at(text(&entries.remove(3), "raw"));
    let mut bytes = fs::read(&raw).unwrap();
    bytes[0] ^= 1;
    fs::write(&raw, bytes).unwrap();
    let failed = std::panic::catch_unwind(|| python::python("zips.py", [OsStr::new("read"), directory.path().as_os_str()]));
    assert!(failed.is_err(), "a wrong byte is accepted");
}
