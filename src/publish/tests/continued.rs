//! Stages that end without being published: kept, continued, changed under, or found after another boot.

use super::*;

fn continued(store: &Arc<dyn Store>, existing: Existing, durability: Durability) -> Stage {
    let options = StageOptions { leftover: Leftover::Continue, ..options(existing, durability) };
    begin_stage(Arc::clone(store), key("a"), options).unwrap()
}

fn marker_text(store: &dyn Store, name: &str) -> String {
    let text = crate::store::read_to_vec(store, &key(name).join(MARKER_NAME).unwrap(), 4096).unwrap().unwrap();
    String::from_utf8(text).unwrap()
}

/// Leaves a stage as a killed process does: sealed, or with a journal and without its document.
fn leave(store: &Arc<dyn Store>, existing: Existing, durability: Durability, sealed: bool) {
    let mut stage = begin(store, "a", existing, durability).unwrap();
    build(&**store, &stage, &tree("new")).unwrap();
    store.set(&stage.prefix().join(".rechunk.journal").unwrap(), b"all").unwrap();
    if sealed {
        stage.seal().unwrap();
    } else {
        store.erase(&stage.document().unwrap()).unwrap();
    }
    stage.keep();
}

/// As after a restart of the machine: whatever was not synced may be lost.
fn reboot(store: &dyn Store, name: &str) {
    let marker = marker_text(store, name).replace(&crate::process::boot_id().unwrap(), "an earlier one");
    store.set(&key(name).join(MARKER_NAME).unwrap(), marker.as_bytes()).unwrap();
}

fn recovered(store: &Arc<dyn Store>) -> Vec<RecoverStep> {
    recover(Arc::clone(store), &key("a"), Unsealed::Discard, Durability::Sync).unwrap()
}

/// PUB-18, PUB-23.
#[test]
fn a_stage_that_was_kept_is_continued() {
    let (_dir, stores) = stores();
    for store in &stores {
        leave(store, Existing::Refuse, Durability::Sync, false);
        let id = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap()["id"].clone();
        let before = id(&marker_text(&**store, "a.rechunked"));
        store.set(&key("a.rechunked/c/1/.0.17.3.tmp"), b"half").unwrap();
        let stage = continued(store, Existing::Refuse, Durability::NoSync);
        assert!(stage.continued() && !stage.is_sealed());
        assert_eq!(id(&marker_text(&**store, "a.rechunked")), before);
        assert_eq!(store.size(&key("a.rechunked/.rechunk.journal")).unwrap(), Some(3));
        assert_eq!(store.kind(&key("a.rechunked/c/1/.0.17.3.tmp")).unwrap(), None);
        assert_eq!(read_tree(&**store, stage.prefix()).unwrap().len(), 3);
        store.set(&stage.document().unwrap(), &tree("new")["zarr.json"]).unwrap();
        assert_eq!(stage.publish(&mut || Ok(()), &mut || ()).unwrap(), SILENT);
        let mut names = Vec::new();
        let mut collect = |entry: crate::store::Entry| {
            names.push(entry.name);
            Ok(())
        };
        store.list(&key("a"), &mut collect).unwrap();
        names.sort();
        assert_eq!(names, ["c", "zarr.json"], "neither journal nor marker");
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("new")));
        assert!(!continued(store, Existing::Replace, Durability::Sync).continued(), "there is nothing to go on with");
    }
}

/// PUB-23: a sealed one, too; and PUB-11: who does not ask for it begins anew.
#[test]
fn a_sealed_stage_is_continued_or_discarded() {
    let (_dir, stores) = stores();
    for store in &stores {
        leave(store, Existing::Refuse, Durability::Sync, true);
        let stage = continued(store, Existing::Refuse, Durability::Sync);
        assert!(stage.continued() && stage.is_sealed());
        assert_eq!(stage.publish(&mut || Ok(()), &mut || ()).unwrap(), SILENT);
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("new")));
        store.erase_prefix(&key("a")).unwrap();
        leave(store, Existing::Refuse, Durability::Sync, true);
        let stage = begin(store, "a", Existing::Refuse, Durability::Sync).unwrap();
        assert!(!stage.continued() && read_tree(&**store, stage.prefix()) == Some(Tree::new()));
    }
}

/// The last look is taken when all is sealed and nothing is in place, and what it says ends the matter.
#[test]
fn the_last_look_may_refuse() {
    let (_dir, stores) = stores();
    for store in &stores {
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        let stage = begin(store, "a", Existing::Replace, Durability::Sync).unwrap();
        build(&**store, &stage, &tree("new")).unwrap();
        let mut look = || {
            assert_eq!(read_tree(&**store, &key("a.rechunked")), Some(tree("new")));
            assert_eq!(read_tree(&**store, &key("a")), Some(tree("old")));
            Err(Error::Cancelled)
        };
        assert!(matches!(stage.publish(&mut look, &mut || ()), Err(Error::Cancelled)));
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("old")));
        assert_eq!(store.kind(&key("a.rechunked")).unwrap(), None);
        assert!(!has_marker(&**store, "a"));
    }
}

/// PUB-19: what somebody has written past the lock is not lost.
#[test]
fn a_held_target_that_changes_is_not_replaced() {
    let (_dir, stores) = stores();
    for store in &stores {
        let changes: [fn(&dyn Store); 4] = [
            |store| store.set(&key("a/c/0"), b"old c/0").unwrap(),
            |store| store.write_at(&key("a/c/1/0"), 3, b"X").unwrap(),
            |store| store.set(&key("a/c/9"), b"new").unwrap(),
            |store| assert!(store.erase(&key("a/c/1/1")).unwrap()),
        ];
        for change in changes {
            let _ = store.erase_prefix(&key("a"));
            write_tree(&**store, &key("a"), &tree("old")).unwrap();
            let held = || Held::new(&**store, &key("a"), store.lock(&key("a")).unwrap()).unwrap();
            let begun = || {
                let options =
                    StageOptions { held: Some(held()), leftover: Leftover::Continue, ..options(Existing::Replace, Durability::Sync) };
                begin_stage(Arc::clone(store), key("a"), options).unwrap()
            };
            let mut stage = begun();
            build(&**store, &stage, &tree("new")).unwrap();
            stage.seal().unwrap();
            stage.keep();
            let stage = begun();
            assert!(stage.continued() && stage.is_sealed());
            stage.keep();
            change(&**store);
            // What was made before the change may be gone on with after it, and replaces nothing then; what is begun anew does.
            let mut stage = begun();
            assert!(stage.continued() && stage.is_sealed());
            let id = stage.id().to_owned();
            stage.begin_anew().unwrap();
            assert!(!stage.continued() && stage.id() == id && read_tree(&**store, stage.prefix()) == Some(Tree::new()));
            build(&**store, &stage, &tree("new")).unwrap();
            stage.check_unchanged().unwrap();
            stage.seal().unwrap();
            stage.keep();
            store.set(&key("a/zarr.json"), b"changed again").unwrap();
            let stage = begun();
            assert!(stage.continued() && stage.is_sealed());
            let changed = read_tree(&**store, &key("a"));
            assert!(matches!(stage.publish(&mut || Ok(()), &mut || ()), Err(Error::Io { op: "replace", .. })));
            assert_eq!(read_tree(&**store, &key("a")), changed);
            assert_eq!(store.kind(&key("a.rechunked")).unwrap(), None);
        }
    }
}

/// PUB-11: what may be the only copy is not deleted to begin anew.
#[test]
fn a_sealed_stage_without_its_target_stays() {
    let (_dir, stores) = stores();
    for store in &stores {
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        leave(store, Existing::Replace, Durability::Sync, true);
        store.rename(&key("a"), &key("away")).unwrap();
        for existing in [Existing::Refuse, Existing::Replace] {
            taken(begin(store, "a", existing, Durability::Sync), "a.rechunked", "the only copy");
            assert_eq!(read_tree(&**store, &key("a.rechunked")), Some(tree("new")));
        }
        store.rename(&key("away"), &key("a")).unwrap();
        assert_eq!(publish(store, "a", &tree("newer"), Existing::Replace, Durability::Sync).unwrap(), SILENT);
    }
}

/// PUB-19: the last look at the target is behind everything else, and also where it was not handed over.
#[test]
fn a_target_that_changes_at_the_end_is_not_replaced() {
    let (_dir, stores) = stores();
    for store in &stores {
        for held in [false, true] {
            let _ = store.erase_prefix(&key("a"));
            write_tree(&**store, &key("a"), &tree("old")).unwrap();
            let held = held.then(|| Held::new(&**store, &key("a"), store.lock(&key("a")).unwrap()).unwrap());
            let stage = StageOptions { held, ..options(Existing::Replace, Durability::Sync) };
            let stage = begin_stage(Arc::clone(store), key("a"), stage).unwrap();
            build(&**store, &stage, &tree("new")).unwrap();
            let mut write_late = || store.set(&key("a/c/0"), b"precious");
            assert!(matches!(stage.publish(&mut write_late, &mut || ()), Err(Error::Io { op: "replace", .. })));
            assert_eq!(read_tree(&**store, &key("a")).unwrap()["c/0"], b"precious");
            assert!(!has_marker(&**store, "a") && store.kind(&key("a.rechunked")).unwrap().is_none());
        }
    }
}

/// PUB-22: a sealed tree is put in place only where what it was made to replace is still that.
#[test]
fn a_recovery_replaces_only_what_it_should() {
    let (_dir, stores) = stores();
    for store in &stores {
        let why = |steps: Vec<RecoverStep>| match steps.as_slice() {
            [RecoverStep::Left { path, why }] if path.ends_with("a.rechunked") => why.clone(),
            _ => panic!("{steps:?}"),
        };
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        leave(store, Existing::Replace, Durability::Sync, true);
        store.set(&key("a/c/0"), b"precious").unwrap();
        assert!(why(recovered(store)).contains("has changed since"));
        store.rename(&key("a"), &key("b")).unwrap();
        assert!(why(recovered(store)).contains("is gone"));
        store.rename(&key("b"), &key("a")).unwrap();
        assert!(why(recovered(store)).contains("has changed since"));
        assert_eq!(read_tree(&**store, &key("a.rechunked")), Some(tree("new")));
        assert_eq!(read_tree(&**store, &key("a")).unwrap()["c/0"], b"precious");
        store.erase_prefix(&key("a.rechunked")).unwrap();
        store.erase_prefix(&key("a")).unwrap();
        leave(store, Existing::Replace, Durability::Sync, true);
        write_tree(&**store, &key("a"), &tree("foreign")).unwrap();
        assert!(why(recovered(store)).contains("something else has its name"));
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("foreign")));
        store.erase_prefix(&key("a")).unwrap();
        assert_eq!(recovered(store), [RecoverStep::PutInPlace]);
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("new")));
        assert_eq!(recovered(store), []);
    }
}

/// PUB-15: what is not ours is left alone, and said.
#[test]
fn a_recovery_leaves_what_is_not_ours() {
    let (_dir, stores) = stores();
    for store in &stores {
        for target in [false, true] {
            let _ = target.then(|| write_tree(&**store, &key("a"), &tree("old")).unwrap());
            write_tree(&**store, &key("a.rechunked"), &tree("foreign")).unwrap();
            write_tree(&**store, &key("a.backup"), &tree("kept")).unwrap();
            assert!(matches!(&recovered(store)[..], [RecoverStep::Foreign { why, .. }] if why.contains("not made by rezarr")));
            assert_eq!(read_tree(&**store, &key("a.rechunked")), Some(tree("foreign")));
            assert_eq!(read_tree(&**store, &key("a.backup")), Some(tree("kept")));
            store.erase_prefix(&key("a.rechunked")).unwrap();
            store.create_prefix(&key("a.rechunked")).unwrap();
            assert_eq!(recovered(store), [RecoverStep::Cleaned], "PUB-4: a bare one is nobody's");
            assert_eq!(store.kind(&key("a.rechunked")).unwrap(), None);
        }
        // A live process is left alone as well.
        let stage = begin(store, "b", Existing::Replace, Durability::Sync).unwrap();
        assert!(matches!(recover(Arc::clone(store), &key("b"), Unsealed::Discard, Durability::Sync), Err(Error::Busy { .. })));
        drop(stage);
        assert_eq!(recover(Arc::clone(store), &key("b"), Unsealed::Discard, Durability::Sync).unwrap(), []);
    }
}

/// PUB-24, PUB-25: a tree that is not sealed is discarded by a recovery, and left by a writer.
#[test]
fn an_unsealed_stage_is_discarded_or_left() {
    let (_dir, stores) = stores();
    for store in &stores {
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        leave(store, Existing::Replace, Durability::Sync, false);
        let left = recover(Arc::clone(store), &key("a"), Unsealed::Keep, Durability::Sync).unwrap();
        assert_eq!(left, [], "there is nothing to do, and nothing was locked");
        assert!(store.kind(&key("a.rechunked/.rechunk.journal")).unwrap().is_some());
        assert_eq!(recovered(store), [RecoverStep::Discarded]);
        assert_eq!(store.kind(&key("a.rechunked")).unwrap(), None);
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("old")));
        leave(store, Existing::ReplaceAndKeep, Durability::Sync, true);
        let finished = recover(Arc::clone(store), &key("a"), Unsealed::Keep, Durability::Sync).unwrap();
        assert_eq!(finished, [RecoverStep::PutInPlace, RecoverStep::BackupKept]);
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("new")));
        assert_eq!(read_tree(&**store, &key("a.backup")), Some(tree("old")));
        assert!(store.erase_prefix(&key("a.backup")).unwrap());
    }
}

/// PUB-20: what was not synced counts as long as the machine runs.
#[test]
fn without_syncs_a_seal_lasts_as_long_as_the_machine_runs() {
    let (_dir, stores) = stores();
    for store in &stores {
        write_tree(&**store, &key("a"), &tree("old")).unwrap();
        leave(store, Existing::Replace, Durability::NoSync, true);
        assert_eq!(recovered(store), [RecoverStep::PutInPlace, RecoverStep::OldDeleted]);
        assert_eq!(read_tree(&**store, &key("a")), Some(tree("new")));
        for sealed in [false, true] {
            leave(store, Existing::Replace, Durability::NoSync, sealed);
            reboot(&**store, "a.rechunked");
            assert!(!continued(store, Existing::Replace, Durability::Sync).continued());
            leave(store, Existing::Replace, Durability::NoSync, sealed);
            reboot(&**store, "a.rechunked");
            assert_eq!(recovered(store), [RecoverStep::Discarded]);
            leave(store, Existing::Replace, Durability::Sync, sealed);
            reboot(&**store, "a.rechunked");
            assert!(continued(store, Existing::Replace, Durability::Sync).continued(), "what was synced is there");
        }
        // Died after the exchange, or between the two renames, before the power was cut.
        for window in [false, true] {
            leave(store, Existing::Replace, Durability::NoSync, true);
            let Found::Marker(new) = Marker::find(&**store, &key("a.rechunked"), &key("a")).unwrap() else { unreachable!() };
            let before = read_tree(&**store, &key("a")).unwrap();
            new.for_old().write(&**store, &key("a"), Durability::NoSync).unwrap();
            reboot(&**store, "a");
            reboot(&**store, "a.rechunked");
            if window {
                store.rename(&key("a"), &key("a.backup")).unwrap();
                assert_eq!(published(&**store, &key("a")).unwrap(), Some(key("a.backup")));
                assert_eq!(recovered(store), [RecoverStep::OldPutBack, RecoverStep::Discarded]);
                assert_eq!(read_tree(&**store, &key("a")), Some(before));
            } else {
                store.exchange(&key("a.rechunked"), &key("a")).unwrap();
                assert_eq!(recovered(store), [RecoverStep::BackupKept]);
                assert_eq!(read_tree(&**store, &key("a.backup")), Some(before));
                assert!(store.erase_prefix(&key("a.backup")).unwrap());
            }
        }
    }
}

/// PUB-29.
#[test]
fn trees_of_a_publication_are_told_by_their_markers() {
    let (_dir, stores) = stores();
    for store in &stores {
        leave(store, Existing::Refuse, Durability::Sync, true);
        write_tree(&**store, &key("b.backup"), &tree("kept")).unwrap();
        store.set(&key("c.rechunked/.rechunk"), marker_text(&**store, "a.rechunked").as_bytes()).unwrap();
        let expected = [("a.rechunked", Some("a")), ("b.backup", None), ("c.rechunked", None), (".rechunked", None), ("a", None)];
        for (name, target) in expected {
            assert_eq!(belongs_to(&**store, &key(name)).unwrap(), target.map(key), "{name}");
        }
    }
}
