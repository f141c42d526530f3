//! Migration and its reverse, and what is left when they are stopped anywhere.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::array::Array;
use crate::group::{Group, Node};
use crate::metadata::NodeMetadata;
use crate::region::Region;
use crate::store::faulty::{Fault, FaultyStore};
use crate::store::{ByteRange, EntryKind, MemoryStore};

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn set(store: &dyn Store, at: &str, value: &Value) {
    store.set(&key(at), value.to_string().as_bytes()).unwrap();
}

fn zarray(shape: &[u64], chunks: &[u64], dtype: &str, order: &str) -> Value {
    json!({"zarr_format": 2, "shape": shape, "chunks": chunks, "dtype": dtype, "compressor": null, "fill_value": null, "order": order,
           "filters": null})
}

/// A root with consolidated metadata, the array `a` of reversed axes, and the group `g` with the array `g/b`.
fn hierarchy() -> MemoryStore {
    let store = MemoryStore::new();
    let group = json!({"zarr_format": 2});
    for at in [".zgroup", "g/.zgroup"] {
        set(&store, at, &group);
    }
    set(&store, ".zattrs", &json!({"title": "t"}));
    set(&store, "a/.zarray", &zarray(&[3, 2], &[2, 2], ">i2", "F"));
    set(&store, "a/.zattrs", &json!({"_ARRAY_DIMENSIONS": ["y", "x"], "units": "K"}));
    store.set(&key("a/0.0"), &[0, 1, 0, 2, 0, 3, 0, 4]).unwrap();
    set(&store, "g/b/.zarray", &zarray(&[2], &[2], "|u1", "C"));
    store.set(&key("g/b/0"), &[7, 8]).unwrap();
    set(&store, ".zmetadata", &json!({"zarr_consolidated_format": 1, "metadata": {".zgroup": group}}));
    store.sync().unwrap();
    store
}

/// All values below a key.
fn values(store: &dyn Store, prefix: &Key, out: &mut BTreeMap<String, Vec<u8>>) {
    let mut below = Vec::new();
    store
        .list(prefix, &mut |entry| {
            below.push((prefix.join(&entry.name)?, entry.kind));
            Ok(())
        })
        .unwrap();
    for (key, kind) in below {
        if kind == EntryKind::Prefix {
            values(store, &key, out);
        } else {
            let read = |bytes: &[u8]| {
                out.insert(key.to_string(), bytes.to_vec());
                Ok(())
            };
            let mut read = read;
            store.read(&key, ByteRange::All, &mut read).unwrap();
        }
    }
}

fn all(store: &dyn Store) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    values(store, &Key::root(), &mut out);
    out
}

/// Invariant 1: every node opens, with its elements.
fn everything_is_readable(store: &Arc<dyn Store>) {
    let group = Group::open_in(Arc::clone(store), Key::root()).unwrap();
    assert_eq!(group.child_names().unwrap(), ["a", "g"]);
    assert_eq!(group.attributes().to_map().unwrap(), *json!({"title": "t"}).as_object().unwrap());
    let a = group.array("a").unwrap();
    assert_eq!(a.read::<i16>(&Region::whole(a.shape())).unwrap(), [1, 3, 2, 4, 0, 0]);
    assert_eq!(a.metadata().dimension_names().unwrap()[0].as_deref(), Some("y"));
    assert_eq!(group.array("g/b").unwrap().read::<u8>(&Region::whole(&[2])).unwrap(), [7, 8]);
}

fn options(what: &str) -> MigrateOptions {
    let options = MigrateOptions::new();
    match what {
        "undo" => options.undo(true),
        "remove" => options.remove_v2(true),
        _ => options,
    }
}

fn outcomes(report: &MigrateReport) -> Vec<(&str, MigrateOutcome)> {
    report.nodes.iter().map(|node| (node.path.as_str(), node.outcome)).collect()
}

/// FMT-V2-20, FMT-V2-21, FMT-V2-23.
#[test]
fn there_and_back() {
    let store: Arc<dyn Store> = Arc::new(hierarchy());
    let before = all(&*store);
    let dry = migrate_in(Arc::clone(&store), &MigrateOptions::new().dry_run(true)).unwrap();
    assert_eq!(outcomes(&dry), ["", "a", "g", "g/b"].map(|path| (path, MigrateOutcome::Possible)));
    assert!(dry.complete && all(&*store) == before);

    let report = migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    assert_eq!(outcomes(&report), ["", "a", "g", "g/b"].map(|path| (path, MigrateOutcome::Migrated)));
    assert!(report.complete && report.warnings.is_empty());
    let mut after = all(&*store);
    let document = |after: &BTreeMap<String, Vec<u8>>, at: &str| serde_json::from_slice::<Value>(&after[at]).unwrap();
    let a = document(&after, "a/zarr.json");
    assert_eq!((&a["dimension_names"], &a["attributes"]), (&json!(["y", "x"]), &json!({"units": "K"})));
    assert_eq!(a["chunk_key_encoding"], json!({"name": "v2", "configuration": {"separator": "."}}));
    let copies = document(&after, "zarr.json")["consolidated_metadata"]["metadata"].as_object().unwrap().clone();
    assert_eq!(copies.keys().collect::<Vec<_>>(), ["a", "g", "g/b"]);
    assert_eq!(copies["a"], a);
    assert!(document(&after, "g/zarr.json").get("consolidated_metadata").is_none());
    everything_is_readable(&store);
    assert!(matches!(Node::open_in(Arc::clone(&store), Key::root()).unwrap(), Node::Group(group) if group.metadata().zarr_format() == 3));

    let again = migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    assert_eq!(outcomes(&again), ["", "a", "g", "g/b"].map(|path| (path, MigrateOutcome::Present)));
    assert_eq!(all(&*store), after);
    after.retain(|name, _| !name.ends_with("zarr.json"));
    assert_eq!(after, before, "nothing else was touched");
    let undone = migrate_in(Arc::clone(&store), &options("undo")).unwrap();
    assert_eq!(outcomes(&undone), ["", "a", "g", "g/b"].map(|path| (path, MigrateOutcome::Undone)));
    assert!(undone.complete && all(&*store) == before);
    let nothing = migrate_in(Arc::clone(&store), &options("undo")).unwrap();
    assert!(nothing.complete && nothing.nodes.is_empty());
}

/// FMT-V2-24.
#[test]
fn documents_of_v2_are_removed_last() {
    let store: Arc<dyn Store> = Arc::new(hierarchy());
    let dry = migrate_in(Arc::clone(&store), &options("remove").dry_run(true)).unwrap();
    assert_eq!(dry.removed_documents, 7);
    let report = migrate_in(Arc::clone(&store), &options("remove")).unwrap();
    assert_eq!((report.complete, report.removed_documents), (true, 7));
    let names: Vec<String> = all(&*store).into_keys().collect();
    assert_eq!(names, ["a/0.0", "a/zarr.json", "g/b/0", "g/b/zarr.json", "g/zarr.json", "zarr.json"]);
    everything_is_readable(&store);
    let again = migrate_in(Arc::clone(&store), &options("remove")).unwrap();
    assert!(again.complete && again.nodes.is_empty() && again.removed_documents == 0);
    let undone = migrate_in(Arc::clone(&store), &options("undo")).unwrap();
    assert!(!undone.complete && undone.nodes[0].reason.as_deref() == Some("it has no documents of Zarr v2"), "{undone:?}");
    assert!(migrate_in(Arc::clone(&store), &options("undo").remove_v2(true)).is_err());
}

/// FMT-V2-22: all or nothing, with all reasons.
#[test]
fn one_that_cannot_be_migrated_keeps_all() {
    let store: Arc<dyn Store> = Arc::new(hierarchy());
    let mut object = zarray(&[2], &[2], "|O", "C");
    object["filters"] = json!([{"id": "pickle", "protocol": 5}]);
    set(&*store, "g/pickled/.zarray", &object);
    set(&*store, "__hidden/.zarray", &zarray(&[2], &[2], "|u1", "C"));
    store.set(&key("broken/.zgroup"), b"{").unwrap();
    set(&*store, "g/unread/.zarray", &zarray(&[2], &[2], "|u1", "C"));
    store.set(&key("g/unread/zarr.json"), b"{").unwrap();
    let before = all(&*store);
    let report = migrate_in(Arc::clone(&store), &options("remove")).unwrap();
    assert!(!report.complete && report.removed_documents == 0 && all(&*store) == before);
    let reasons: Vec<(&str, &str)> = report.nodes.iter().filter_map(|node| Some((node.path.as_str(), node.reason.as_deref()?))).collect();
    let wanted = [("__hidden", "reserved"), ("broken", "EOF"), ("g/pickled", "\"pickle\""), ("g/unread", "its zarr.json cannot be read")];
    assert_eq!(reasons.len(), wanted.len(), "{reasons:?}");
    for ((path, reason), (at, part)) in reasons.into_iter().zip(wanted) {
        assert!(path == at && reason.contains(part), "{path}: {reason}");
    }
    assert_eq!(outcomes(&report)[2], ("a", MigrateOutcome::Possible));
}

/// FMT-V2-10: a struct of two byte orders is read, and can be copied, but not be Zarr v3 as it is stored.
#[test]
fn mixed_byte_orders_are_read_and_not_migrated() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut mixed = zarray(&[2], &[2], "", "C");
    mixed["dtype"] = json!([["a", ">i2"], ["b", "<i2"]]);
    set(&*store, ".zarray", &mixed);
    store.set(&key("0"), &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    let array = Array::open_in(Arc::clone(&store), Key::root()).unwrap();
    let native: Vec<u8> = [0x0102_u16, 0x0403, 0x0506, 0x0807].into_iter().flat_map(u16::to_ne_bytes).collect();
    assert_eq!(array.read_bytes(&Region::whole(&[2])).unwrap(), native);
    let copy = Array::create_in(Arc::new(MemoryStore::new()), Key::root(), array.metadata().clone()).unwrap();
    copy.write_bytes(&Region::whole(&[2]), &native).unwrap();
    assert_eq!(copy.encoded_chunk(&[0]).unwrap().unwrap(), [2, 1, 3, 4, 6, 5, 7, 8], "little endian throughout");
    let report = migrate_in(store, &options("migrate")).unwrap();
    assert!(!report.complete && report.nodes[0].reason.as_ref().unwrap().starts_with("some of its fields are little endian"));
}

/// FMT-V2-23: what was changed since is kept, and so is what lies below a group that stays.
#[test]
fn undo_keeps_what_was_changed() {
    let store: Arc<dyn Store> = Arc::new(hierarchy());
    migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    let mut changed: Value = serde_json::from_slice(&all(&*store)["a/zarr.json"]).unwrap();
    changed["attributes"]["units"] = json!("C");
    set(&*store, "a/zarr.json", &changed);
    let report = migrate_in(Arc::clone(&store), &options("undo")).unwrap();
    assert!(!report.complete);
    let kept = MigrateOutcome::Kept;
    let undone = MigrateOutcome::Undone;
    assert_eq!(outcomes(&report), [("", undone), ("a", kept), ("g", undone), ("g/b", undone)]);
    everything_is_readable(&store);

    let store: Arc<dyn Store> = Arc::new(hierarchy());
    migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    set(&*store, "g/zarr.json", &json!({"zarr_format": 3, "node_type": "group", "attributes": {"new": 1}}));
    let report = migrate_in(Arc::clone(&store), &options("undo")).unwrap();
    assert_eq!(outcomes(&report), [("", undone), ("a", undone), ("g", kept), ("g/b", kept)]);
    everything_is_readable(&store);
}

/// An array that is open while its document becomes one of Zarr v3, and back, is still this one; one whose document has gone is not.
#[test]
fn open_arrays_stay_open() {
    let store: Arc<dyn Store> = Arc::new(hierarchy());
    let old = Array::open_in(Arc::clone(&store), key("a")).unwrap();
    let read = |array: &Array| array.read::<i16>(&Region::whole(&[3, 2]));
    migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    let new = Array::open_in(Arc::clone(&store), key("a")).unwrap();
    assert_eq!(read(&old).unwrap(), read(&new).unwrap());
    migrate_in(Arc::clone(&store), &options("undo")).unwrap();
    assert_eq!(read(&old).unwrap(), read(&new).unwrap());
    migrate_in(Arc::clone(&store), &options("remove")).unwrap();
    assert_eq!(read(&old).unwrap(), read(&new).unwrap());
    store.erase(&key("a/zarr.json")).unwrap();
    assert!(matches!(read(&old), Err(Error::Stale { .. })));
    let changed = zarray(&[3, 2], &[3, 2], ">i2", "F");
    set(&*store, "a/.zarray", &changed);
    assert!(matches!(read(&new), Err(Error::Stale { .. })));
}

/// FMT-V2-27, FMT-V2-21.
#[test]
fn one_at_a_time() {
    let store: Arc<dyn Store> = Arc::new(hierarchy());
    let lock = store.lock(&Key::root()).unwrap();
    assert!(matches!(migrate_in(Arc::clone(&store), &options("migrate")), Err(Error::Busy { .. })));
    assert!(migrate_in(Arc::clone(&store), &MigrateOptions::new().dry_run(true)).unwrap().complete);
    drop(lock);
    let foreign = json!({"zarr_format": 3, "node_type": "group", "attributes": {"foreign": true}});
    set(&*store, "g/zarr.json", &foreign);
    let report = migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    assert_eq!(outcomes(&report)[2], ("g", MigrateOutcome::Present));
    assert_eq!(serde_json::from_slice::<Value>(&all(&*store)["g/zarr.json"]).unwrap(), foreign);
    let root: Value = serde_json::from_slice(&all(&*store)["zarr.json"]).unwrap();
    assert_eq!(root["consolidated_metadata"]["metadata"]["g"]["attributes"], foreign["attributes"]);
}

/// FMT-V2-20: copies that would be too large to be read again are left out.
#[test]
fn copies_that_are_too_large_are_left_out() {
    let store: Arc<dyn Store> = Arc::new(hierarchy());
    for at in ["a/.zattrs", "g/b/.zattrs"] {
        set(&*store, at, &json!({"long": "x".repeat(9 << 20)}));
    }
    let report = migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    assert!(report.complete && report.warnings.len() == 1 && report.warnings[0].contains("left out"), "{:?}", report.warnings);
    let group = Group::open_in(Arc::clone(&store), Key::root()).unwrap();
    assert!(group.metadata().zarr_format() == 3 && !group.metadata().is_consolidated());
    assert!(migrate_in(store, &options("undo")).unwrap().complete);
}

/// A member of a migrated group that lies in a group of Zarr v3 with copies of its documents is entered there.
#[test]
fn copies_above_are_brought_up_to_date() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut root = Group::create_in(Arc::clone(&store), Key::root(), crate::metadata::Attributes::default()).unwrap();
    set(&*store, "a/.zarray", &zarray(&[2], &[2], "|u1", "C"));
    root.consolidate().unwrap();
    assert_eq!(root.metadata().consolidated().unwrap().unwrap().paths().count(), 0);
    assert_eq!(root.child_names().unwrap(), ["a"]);
    let report = migrate_in(Arc::clone(&store), &options("migrate")).unwrap();
    assert_eq!(outcomes(&report), [("a", MigrateOutcome::Migrated)]);
    let mut found = Vec::new();
    root.walk(&mut |path, node| {
        found.push((path.to_owned(), node.zarr_format()));
        Ok(())
    })
    .unwrap();
    assert_eq!(found, [("a".to_owned(), 3)]);
}

/// The states that may be found after a run that was stopped: as it is, and after power cuts.
fn found_afterwards(store: &Arc<MemoryStore>, seeds: u64) -> Vec<Arc<MemoryStore>> {
    let mut found: Vec<_> = (0..seeds).map(|seed| Arc::new(store.crash_with(seed))).collect();
    found.push(Arc::new(store.crash()));
    found.push(Arc::clone(store));
    found
}

fn run(store: &Arc<MemoryStore>, fault: Fault, what: &str) -> (Result<MigrateReport>, u64) {
    let faulty = Arc::new(FaultyStore::new(Arc::clone(store) as Arc<dyn Store>, fault));
    (migrate_in(Arc::clone(&faulty) as Arc<dyn Store>, &options(what)), faulty.operation_count())
}

/// FMT-V2-25, FMT-V2-26: stopped by a kill, a power cut or a failing store at any operation, everything can be read, and the next run completes
/// what was begun, or goes back.
#[test]
fn stopped_anywhere_everything_is_readable_and_can_be_completed() {
    let start = |what: &str| {
        let store = Arc::new(hierarchy());
        if what == "undo" {
            migrate_in(Arc::clone(&store) as Arc<dyn Store>, &options("migrate")).unwrap();
        }
        store
    };
    let original = all(&hierarchy());
    for what in ["migrate", "undo", "remove"] {
        let whole = start(what);
        let (report, count) = run(&whole, Fault::Never, what);
        assert!(report.unwrap().complete && count > 30, "{count}");
        let wanted = all(&*whole);
        for fault in (0..count).flat_map(|at| [Fault::Stop(at), Fault::Lost(at)]) {
            let store = start(what);
            let (outcome, _) = run(&store, fault, what);
            assert!(outcome.is_err() || all(&*store) == wanted, "{what} {fault:?}");
            let lost = matches!(fault, Fault::Lost(_));
            for found in if lost { vec![store] } else { found_afterwards(&store, 3) } {
                let shown = format!("{what} {fault:?}: {:?}", all(&*found).keys());
                let found: Arc<dyn Store> = found;
                everything_is_readable(&found);
                let has_v2 = original.iter().all(|(name, bytes)| all(&*found).get(name) == Some(bytes));
                if has_v2 && what != "undo" {
                    let copy = Arc::new(MemoryStore::new());
                    all(&*found).iter().for_each(|(name, bytes)| copy.set(&key(name), bytes).unwrap());
                    assert!(migrate_in(Arc::clone(&copy) as Arc<dyn Store>, &options("undo")).unwrap().complete);
                    assert_eq!(all(&*copy), original, "{shown}");
                }
                assert!(migrate_in(Arc::clone(&found), &options(what)).unwrap().complete);
                assert_eq!(all(&*found), wanted, "{shown}");
                everything_is_readable(&found);
            }
        }
    }
}

/// FMT-V2-26: after a power cut, either the root is Zarr v2, or all that is below it is Zarr v3.
#[test]
fn the_root_comes_last() {
    let count = run(&Arc::new(hierarchy()), Fault::Never, "migrate").1;
    let mut found = [0, 0];
    for at in 0..count {
        let store = Arc::new(hierarchy());
        let _ = run(&store, Fault::Stop(at), "migrate");
        for store in found_afterwards(&store, 8) {
            let store: Arc<dyn Store> = store;
            let group = Group::open_in(Arc::clone(&store), Key::root()).unwrap();
            let is_v3 = group.metadata().zarr_format() == 3;
            found[usize::from(is_v3)] += 1;
            group
                .walk(&mut |path, node: &NodeMetadata| {
                    assert!(!is_v3 || node.zarr_format() == 3, "{path}");
                    Ok(())
                })
                .unwrap();
        }
    }
    assert!(found[0] > 20 && found[1] > 5, "{found:?}");
}
