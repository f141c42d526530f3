//! Stages that are discarded: what is left of one whose discarding was interrupted is never taken for what it was.

use super::*;
use crate::store::faulty::{Fault, FaultyStore};

/// What a run has left that somebody can go on with, all of it on the disk.
fn left() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new());
    let shared: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
    let stage = begin(&shared, "a", Existing::Refuse, Durability::Sync).unwrap();
    build(&*store, &stage, &tree("left")).unwrap();
    store.set(&stage.prefix().join(JOURNAL_NAME).unwrap(), b"all of it").unwrap();
    store.sync().unwrap();
    stage.keep();
    store
}

/// JRN-10: whatever stops the discarding, and whatever of it a power cut takes back, a tree with a journal is whole.
#[test]
fn a_part_of_a_tree_has_no_journal() {
    let begins = |store: &Arc<MemoryStore>, fault: Fault| {
        let faulty = Arc::new(FaultyStore::new(Arc::clone(store) as Arc<dyn Store>, fault));
        let shared: Arc<dyn Store> = Arc::clone(&faulty) as Arc<dyn Store>;
        // A new stage that is not to go on, and that is given up.
        drop(begin(&shared, "a", Existing::Refuse, Durability::Sync));
        faulty.operation_count()
    };
    let count = begins(&left(), Fault::Never);
    let mut with_journal = 0;
    for at in 0..count {
        let store = left();
        begins(&store, Fault::Stop(at));
        let mut found: Vec<Arc<MemoryStore>> = (0..40).map(|seed| Arc::new(store.crash_with(seed))).collect();
        found.extend([Arc::new(store.crash()), store]);
        for store in found {
            if store.size(&key("a.rechunked").join(JOURNAL_NAME).unwrap()).unwrap().is_some() {
                with_journal += 1;
                let values = read_tree(&*store, &key("a.rechunked")).unwrap_or_default();
                let missing: Vec<_> = tree("left").into_keys().filter(|name| name != "zarr.json" && !values.contains_key(name)).collect();
                assert!(missing.is_empty(), "stopped at {at}: {missing:?} are gone, and the journal is not");
            }
        }
    }
    assert!(with_journal > 0, "nothing was looked at");
}

/// PUB-5, LCK-9: of a group of Zarr v2 as well, members are missing only where it is no node any more, whatever their names.
#[test]
fn a_tree_that_is_being_deleted_is_no_node_before_it_lacks_anything() {
    let documents = ["g/zarr.json", "g/.zarray", "g/.zgroup"];
    let remove = |store: &Arc<MemoryStore>, fault: Fault| {
        for name in documents.into_iter().chain(["g/-first/.zgroup", "g/last/.zgroup"]) {
            store.set(&key(name), b"{}").unwrap();
        }
        let faulty = Arc::new(FaultyStore::new(Arc::clone(store) as Arc<dyn Store>, fault));
        let place = Place::new(Arc::clone(&faulty) as Arc<dyn Store>, key("other"), Durability::Sync).unwrap();
        let removed = place.remove(&key("g"));
        (removed, faulty.operation_count())
    };
    let (removed, count) = remove(&Arc::default(), Fault::Never);
    removed.unwrap();
    let mut lacking = 0;
    for at in 0..count {
        for fault in [Fault::Stop(at), Fault::From(at)] {
            let store = Arc::default();
            remove(&store, fault).0.unwrap_err();
            let has = |name: &str| store.kind(&key(name)).unwrap().is_some();
            if !has("g/-first/.zgroup") || !has("g/last/.zgroup") {
                lacking += 1;
                assert!(!documents.into_iter().any(has), "stopped at {at}");
            }
        }
    }
    assert!(lacking > 0, "nothing was looked at");
}
