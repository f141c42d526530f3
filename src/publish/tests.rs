//! Publication when nothing fails, and what it refuses. What it survives is in `tests/sweep.rs`.

use std::collections::BTreeMap;

use super::*;
use crate::store::{ByteRange, FilesystemStore, MemoryStore};

mod continued;
mod discarded;
mod recovery;
mod sweep;

/// A tree as its values by key below it; marker files are left out.
pub(super) type Tree = BTreeMap<String, Vec<u8>>;

pub(super) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// A tree that is told from others by `stamp`, of several values in several prefixes.
pub(super) fn tree(stamp: &str) -> Tree {
    ["zarr.json", "c/0", "c/1/0", "c/1/1"].iter().map(|name| ((*name).to_owned(), format!("{stamp} {name}").into_bytes())).collect()
}

pub(super) fn write_tree(store: &dyn Store, prefix: &Key, tree: &Tree) -> Result<()> {
    tree.iter().try_for_each(|(name, value)| store.write_at(&prefix.join(name)?, 0, value))
}

/// The tree at `prefix`; none if there is nothing.
pub(super) fn read_tree(store: &dyn Store, prefix: &Key) -> Option<Tree> {
    fn walk(store: &dyn Store, prefix: &Key, path: &str, tree: &mut Tree) {
        store
            .list(prefix, &mut |entry| {
                let (below, path) = (prefix.join(&entry.name)?, format!("{path}{}", entry.name));
                match entry.kind {
                    EntryKind::Prefix => walk(store, &below, &format!("{path}/"), tree),
                    _ if is_own_name(&path) => {}
                    _ => drop(store.read(&below, ByteRange::All, &mut |bytes| {
                        tree.insert(path.clone(), bytes.to_vec());
                        Ok(())
                    })?),
                }
                Ok(())
            })
            .unwrap();
    }
    store.kind(prefix).unwrap()?;
    let mut tree = Tree::new();
    walk(store, prefix, "", &mut tree);
    Some(tree)
}

pub(super) fn options(existing: Existing, durability: Durability) -> StageOptions {
    StageOptions { existing, durability, leftover: Leftover::Discard, held: None }
}

pub(super) fn begin_stage(store: Arc<dyn Store>, target: Key, options: StageOptions) -> Result<Stage> {
    Stage::begin(store, target, options, &mut || ())
}

pub(super) fn recover(store: Arc<dyn Store>, target: &Key, unsealed: Unsealed, durability: Durability) -> Result<Vec<RecoverStep>> {
    super::recover(store, target, (unsealed, durability), &mut || ())
}

fn begin(store: &Arc<dyn Store>, target: &str, existing: Existing, durability: Durability) -> Result<Stage> {
    begin_stage(Arc::clone(store), key(target), options(existing, durability))
}

/// Writes `tree` into the stage, its document where that waits for the seal.
pub(super) fn build(store: &dyn Store, stage: &Stage, tree: &Tree) -> Result<()> {
    tree.iter().try_for_each(|(name, value)| {
        let key = if name == "zarr.json" { stage.document()? } else { stage.prefix().join(name)? };
        store.write_at(&key, 0, value)
    })
}

/// Builds `tree` beside `target` and publishes it.
pub(super) fn publish(store: &Arc<dyn Store>, target: &str, tree: &Tree, existing: Existing, durability: Durability) -> Result<Published> {
    let stage = begin(store, target, existing, durability)?;
    build(&**store, &stage, tree)?;
    stage.publish(&mut || Ok(()), &mut || ())
}

pub(super) fn has_marker(store: &dyn Store, prefix: &str) -> bool {
    store.kind(&key(prefix).join(MARKER_NAME).unwrap()).unwrap().is_some()
}

/// Every kind of store, with the directory that the second one is on.
fn stores() -> (tempfile::TempDir, [Arc<dyn Store>; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let files = FilesystemStore::open(dir.path()).unwrap();
    (dir, [Arc::new(MemoryStore::new()), Arc::new(files)])
}

const SILENT: Published = Published { warning: None };

/// A marker that another process could have written.
fn marker(target: &str) -> Marker {
    Marker::new(&key(target), false, Durability::Sync, None)
}

fn taken<T: std::fmt::Debug>(result: Result<T>, name: &str, advice: &str) {
    match result {
        Err(Error::AlreadyExists { path, advice: said }) => {
            assert!(path.ends_with(name), "{path} is not {name}");
            assert!(said.contains(advice), "{advice:?} is not in {said:?}");
        }
        other => panic!("AlreadyExists was expected: {other:?}"),
    }
}

/// PUB-1, PUB-8, PUB-9 and PUB-10, without faults.
#[test]
fn a_tree_is_published_and_nothing_else_is_left() {
    let (_dir, stores) = stores();
    for store in &stores {
        for (existing, backup) in [(Existing::Refuse, None), (Existing::Replace, None), (Existing::ReplaceAndKeep, Some(tree("1")))] {
            for target in ["a", "g/b"] {
                let stamp = format!("{}", existing as u32);
                assert_eq!(publish(store, target, &tree(&stamp), existing, Durability::Sync).unwrap(), SILENT);
                assert_eq!(read_tree(&**store, &key(target)), Some(tree(&stamp)));
                assert!(!has_marker(&**store, target));
                assert_eq!(store.kind(&key(&format!("{target}.rechunked"))).unwrap(), None);
                assert_eq!(read_tree(&**store, &key(&format!("{target}.backup"))), backup);
                assert!(!has_marker(&**store, &format!("{target}.backup")));
            }
        }
        drop(store.lock(&key("a")).unwrap());
    }
}

/// PUB-2: the marker as it lies in the staged tree while that is being built.
#[test]
fn the_marker_is_as_specified() {
    let (_dir, stores) = stores();
    for store in &stores {
        let ids = [false, true].map(|keep| {
            let existing = if keep { Existing::ReplaceAndKeep } else { Existing::Replace };
            let stage = begin(store, "g/a", existing, Durability::NoSync).unwrap();
            let text = crate::store::read_to_vec(&**store, &key("g/a.rechunked/.rechunk"), 4096).unwrap().unwrap();
            drop(stage);
            let marker: serde_json::Value = serde_json::from_slice(&text).unwrap();
            assert_eq!((&marker["format"], &marker["version"]), (&"rezarr stage".into(), &2.into()));
            assert_eq!((&marker["target"], &marker["role"], &marker["keep"]), (&"a".into(), &"new".into(), &keep.into()));
            assert_eq!((&marker["synced"], &marker["replaces"]), (&false.into(), &serde_json::Value::Null));
            assert_eq!(marker["boot"].as_str(), crate::process::boot_id().as_deref());
            assert_eq!(marker["pid"], std::process::id());
            marker["id"].as_str().unwrap().to_owned()
        });
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit())), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
    }
}

#[test]
fn replacing_what_is_not_there_is_creating_it() {
    let (_dir, stores) = stores();
    for store in &stores {
        for existing in [Existing::Replace, Existing::ReplaceAndKeep] {
            assert_eq!(publish(store, "a", &tree("1"), existing, Durability::NoSync).unwrap(), SILENT);
            assert_eq!(read_tree(&**store, &key("a")), Some(tree("1")));
            assert!(store.erase_prefix(&key("a")).unwrap());
            let mut names = 0;
            let mut count = |_| {
                names += 1;
                Ok(())
            };
            store.list(&Key::root(), &mut count).unwrap();
            assert_eq!(names, 0);
        }
    }
}

#[test]
fn a_dropped_stage_leaves_nothing() {
    let (_dir, stores) = stores();
    for store in &stores {
        let stage = begin(store, "a", Existing::Refuse, Durability::Sync).unwrap();
        build(&**store, &stage, &tree("1")).unwrap();
        assert!(has_marker(&**store, "a.rechunked"));
        drop(stage);
        assert_eq!(store.kind(&key("a.rechunked")).unwrap(), None);
        assert_eq!(store.kind(&key("a")).unwrap(), None);
    }
}

/// PUB-3 and PUB-15: a live stage is left alone, whoever asks.
#[test]
fn one_stage_at_a_time() {
    let (dir, stores) = stores();
    let same_files: Arc<dyn Store> = Arc::new(FilesystemStore::open(dir.path()).unwrap());
    for (store, other) in [(&stores[0], &stores[0]), (&stores[1], &same_files)] {
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        let stage = begin(store, "a", Existing::Replace, Durability::Sync).unwrap();
        build(&**store, &stage, &tree("new")).unwrap();
        for existing in [Existing::Replace, Existing::ReplaceAndKeep] {
            assert!(matches!(begin(other, "a", existing, Durability::Sync), Err(Error::Busy { .. })));
        }
        taken(begin(other, "a", Existing::Refuse, Durability::Sync), "a", "choose another name");
        // While the target is away, nobody else may take the staged tree for a leftover.
        store.rename(&key("a"), &key("away")).unwrap();
        assert!(matches!(begin(other, "a", Existing::Refuse, Durability::Sync), Err(Error::Busy { .. })));
        store.rename(&key("away"), &key("a")).unwrap();
        assert_eq!(read_tree(&**store, stage.prefix()).unwrap().len(), 3);
        assert_eq!(stage.publish(&mut || Ok(()), &mut || ()).unwrap(), SILENT);
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("new")));
        assert_eq!(publish(other, "a", &tree("newer"), Existing::Replace, Durability::Sync).unwrap(), SILENT);
    }
}

#[test]
fn a_target_that_comes_meanwhile_is_not_replaced_unasked() {
    let (_dir, stores) = stores();
    for store in &stores {
        let stage = begin(store, "a", Existing::Refuse, Durability::Sync).unwrap();
        build(&**store, &stage, &tree("new")).unwrap();
        write_tree(&**store, &key("a"), &tree("foreign")).unwrap();
        taken(stage.publish(&mut || Ok(()), &mut || ()), "a", "while the new tree was being built");
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("foreign")));
        assert_eq!(store.kind(&key("a.rechunked")).unwrap(), None);
        // Nor where replacing is asked for: it was asked for what was there then.
        store.rename(&key("a"), &key("aside")).unwrap();
        let begun = |existing| {
            let stage = begin(store, "a", existing, Durability::Sync).unwrap();
            build(&**store, &stage, &tree("new")).unwrap();
            stage
        };
        let stage = begun(Existing::ReplaceAndKeep);
        store.rename(&key("aside"), &key("a")).unwrap();
        taken(stage.publish(&mut || Ok(()), &mut || ()), "a", "while the new tree was being built");
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("foreign")));
        let stage = begun(Existing::Replace);
        store.rename(&key("a"), &key("aside")).unwrap();
        write_tree(&**store, &key("a"), &tree("another")).unwrap();
        assert!(matches!(stage.publish(&mut || Ok(()), &mut || ()), Err(Error::Io { op: "replace", .. })));
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("another")));
        assert!(!has_marker(&**store, "a") && store.kind(&key("a.rechunked")).unwrap().is_none());
        // One that has gone need not be replaced.
        let stage = begun(Existing::Replace);
        assert!(store.erase_prefix(&key("a")).unwrap());
        assert_eq!(stage.publish(&mut || Ok(()), &mut || ()).unwrap(), SILENT);
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("new")));
    }
}

/// PUB-6, PUB-15: what has no marker of ours is refused and not touched.
#[test]
fn what_others_left_is_not_touched() {
    let (_dir, stores) = stores();
    let own = |target: &str| serde_json::to_vec(&marker(target)).unwrap();
    let version_3 = String::from_utf8(own("a")).unwrap().replace("\"version\":2", "\"version\":3").into_bytes();
    let old = serde_json::to_vec(&marker("a").for_old()).unwrap();
    let cases: [(Option<Vec<u8>>, &str); 8] = [
        (None, "not made by rezarr; move it away"),
        (Some(b"{".to_vec()), "not made by rezarr"),
        (Some(b"{}".to_vec()), "not made by rezarr"),
        (Some(vec![b'['; 70_000]), "70000 bytes"),
        (Some(vec![0; 100]), "not made by rezarr"),
        (Some(version_3), "version 3"),
        (Some(own("b")), "made for \"b\""),
        (Some(old), "the target is another now"),
    ];
    for store in &stores {
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        for (marker, advice) in &cases {
            write_tree(&**store, &key("a.rechunked"), &tree("foreign")).unwrap();
            if let Some(marker) = marker {
                store.set(&key("a.rechunked/.rechunk"), marker).unwrap();
            }
            taken(begin(store, "a", Existing::Replace, Durability::Sync), "a.rechunked", advice);
            assert_eq!(read_tree(&**store, &key("a.rechunked")), Some(tree("foreign")));
            assert_eq!(read_tree(&**store, &key("a")), Some(tree("old")));
            store.erase_prefix(&key("a.rechunked")).unwrap();
        }
        store.set(&key("a.rechunked/.rechunk"), b"garbage alone").unwrap();
        taken(begin(store, "a", Existing::Replace, Durability::Sync), "a.rechunked", "not made by rezarr");
        assert!(has_marker(&**store, "a.rechunked"));
        store.erase_prefix(&key("a.rechunked")).unwrap();
        store.set(&key("a.rechunked"), b"a value").unwrap();
        taken(begin(store, "a", Existing::Replace, Durability::Sync), "a.rechunked", "move it away");
        assert!(store.erase(&key("a.rechunked")).unwrap());
    }
}

/// PUB-7: a backup in the way is refused before any work.
#[test]
fn a_backup_that_exists_is_refused_at_the_beginning() {
    let (_dir, stores) = stores();
    for store in &stores {
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        for backup_is_tree in [false, true] {
            if backup_is_tree {
                write_tree(&**store, &key("a.backup"), &tree("older")).unwrap();
            } else {
                store.set(&key("a.backup"), b"a value").unwrap();
            }
            for existing in [Existing::Replace, Existing::ReplaceAndKeep] {
                taken(begin(store, "a", existing, Durability::Sync), "a.backup", "move it away");
                assert_eq!(store.kind(&key("a.rechunked")).unwrap(), None);
            }
            if !backup_is_tree {
                assert!(store.erase(&key("a.backup")).unwrap());
            }
        }
        assert_eq!(read_tree(&**store, &key("a.backup")), Some(tree("older")));
        assert_eq!(publish(store, "b", &tree("1"), Existing::Refuse, Durability::Sync).unwrap(), SILENT);
    }
}

/// PUB-4: what an interrupted beginning leaves is taken over.
#[test]
fn a_bare_stage_is_taken_over() {
    let (_dir, stores) = stores();
    for store in &stores {
        for left in [None, Some((".rechunk", &b""[..])), (Some((".rechunk", &[0; 70][..]))), Some(("..rechunk.17.3.tmp", &b"{\"for"[..]))] {
            store.create_prefix(&key("a.rechunked")).unwrap();
            if let Some((name, bytes)) = left {
                store.set(&key("a.rechunked").join(name).unwrap(), bytes).unwrap();
            }
            assert_eq!(publish(store, "a", &tree("1"), Existing::Refuse, Durability::Sync).unwrap(), SILENT);
            assert_eq!(read_tree(&**store, &key("a")), Some(tree("1")));
            let mut names = Vec::new();
            let mut collect = |entry: crate::store::Entry| {
                names.push(entry.name);
                Ok(())
            };
            store.list(&key("a"), &mut collect).unwrap();
            assert_eq!(names.len(), 2, "{names:?}");
            store.erase_prefix(&key("a")).unwrap();
        }
    }
}

#[test]
fn links_are_neither_followed_nor_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let marker = serde_json::to_vec(&marker("a")).unwrap();
    std::fs::write(outside.path().join(MARKER_NAME), marker).unwrap();
    std::fs::write(outside.path().join("precious"), b"kept").unwrap();
    let store: Arc<dyn Store> = Arc::new(FilesystemStore::open(dir.path()).unwrap());
    for name in ["a.rechunked", "b"] {
        std::os::unix::fs::symlink(outside.path(), dir.path().join(name)).unwrap();
    }
    taken(begin(&store, "a", Existing::Replace, Durability::Sync), "a.rechunked", "a symbolic link");
    taken(begin(&store, "b", Existing::Refuse, Durability::Sync), "b", "");
    assert!(matches!(begin(&store, "b", Existing::Replace, Durability::Sync), Err(Error::Corrupt { .. })));
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 2);
    // An old tree may hold anything, and none of it may stop its deletion or be followed by it.
    write_tree(&*store, &key("c"), &tree("old")).unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("c/out")).unwrap();
    std::os::unix::net::UnixListener::bind(dir.path().join("c/socket")).unwrap();
    std::fs::create_dir(dir.path().join("c").join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff"))).unwrap();
    assert_eq!(publish(&store, "c", &tree("new"), Existing::Replace, Durability::Sync).unwrap(), SILENT);
    assert!(!dir.path().join("c.rechunked").exists() && outside.path().join("precious").exists());
}

#[test]
fn targets_that_cannot_be_staged_are_refused() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for bad in [Key::root(), key(&"n".repeat(250))] {
        let begun = begin_stage(Arc::clone(&store), bad, options(Existing::Replace, Durability::Sync));
        assert!(matches!(begun, Err(Error::InvalidArgument { .. })));
    }
}
