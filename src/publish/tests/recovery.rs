//! Recovery of what is left when a publication is stopped anywhere, and when the recovery is stopped as well.

use super::sweep::{Scenario, State, Step, found_afterwards, nothing_is_lost, scenarios, state};
use super::*;
use crate::store::faulty::Fault;

/// Recovers with `fault`; returns what was said, and how many operations there were.
fn recover_with(store: &Arc<MemoryStore>, scenario: Scenario, fault: Fault) -> (Result<Vec<RecoverStep>>, u64) {
    let faulty = scenario.faulty(store, fault);
    let steps = recover(Arc::clone(&faulty) as Arc<dyn Store>, &key("g/a"), Unsealed::Discard, scenario.durability);
    (steps, faulty.operation_count())
}

/// That a recovery leaves the old tree or the new one, whole, and nothing of ours beside it.
fn recovers(store: &Arc<MemoryStore>, scenario: Scenario, new: &Tree) {
    let before = state(&**store);
    let sealed = before.staged.as_ref() == Some(new) && has_marker(&**store, "g/a.rechunked");
    let steps = recover_with(store, scenario, Fault::Never).0.unwrap_or_else(|error| panic!("{error} from {before:?}"));
    let after = state(&**store);
    let _step = Step(format!("{before:?} -> {steps:?} -> {after:?}"));
    assert!(!steps.iter().any(|step| matches!(step, RecoverStep::Foreign { .. } | RecoverStep::Left { .. } | RecoverStep::Unfinished)));
    assert_eq!(after.staged, None);
    let is_new = after.target.as_ref() == Some(new);
    assert!(is_new || !sealed, "what was sealed is in place");
    let kept = scenario.existing == Existing::ReplaceAndKeep && is_new;
    assert_eq!(after.backup, kept.then(|| tree("old")));
    assert!(is_new || after.target == scenario.old.then(|| tree("old")));
    assert!(["g/a", "g/a.backup"].iter().all(|name| store.kind(&key(name)).unwrap().is_none() || !has_marker(&**store, name)));
    assert_eq!(recover_with(store, scenario, Fault::Never).0.unwrap(), [], "there is nothing left to do");
}

/// PUB-27: one sync of everything, and few others, whatever the number of values.
#[test]
fn syncs_are_few() {
    for scenario in scenarios() {
        let store = Arc::new(scenario.begin());
        let faulty = scenario.faulty(&store, Fault::Never);
        let synced = scenario.publish(&(Arc::clone(&faulty) as Arc<dyn Store>), "new").map(|_| faulty.sync_counts());
        let (whole, single) = synced.unwrap();
        match scenario.durability {
            Durability::Sync => assert!(whole == 1 && single <= 10, "{scenario:?}: {whole} and {single}"),
            Durability::NoSync => assert_eq!((whole, single), (0, 0)),
        }
    }
}

/// PUB-10, PUB-17 and PUB-27: who ends without an error has it on the disk.
#[test]
fn success_survives_a_power_cut() {
    for scenario in scenarios().into_iter().filter(|scenario| scenario.durability == Durability::Sync) {
        let store = Arc::new(scenario.begin());
        assert_eq!(scenario.run(&store, Fault::Never, "new").0.unwrap(), SILENT);
        for seed in 0..100 {
            let _step = Step(format!("{scenario:?}, seed {seed}"));
            let found = Arc::new(if seed == 0 { store.crash() } else { store.crash_with(seed) });
            assert_eq!(state(&*found).target, Some(tree("new")));
            recovers(&found, scenario, &tree("new"));
        }
    }
}

/// PUB-21, PUB-24: the process is killed at, or the power is cut after, each operation; then there is a recovery.
#[test]
fn stopped_anywhere_a_recovery_leaves_old_or_new() {
    for scenario in scenarios() {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for at in 0..count {
            let store = Arc::new(scenario.begin());
            let _ = scenario.run(&store, Fault::Stop(at), "new");
            for found in found_afterwards(&store, scenario, 6) {
                let _step = Step(format!("{scenario:?} stopped at {at}"));
                nothing_is_lost(&*found, scenario, &tree("new"));
                recovers(&found, scenario, &tree("new"));
            }
        }
    }
}

/// PUB-24: the recovery is stopped as well, anywhere, and so is the one after it.
#[test]
fn a_recovery_that_is_stopped_is_gone_on_with() {
    for scenario in scenarios() {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for at in 0..count {
            // Each third point of the one with each of the other, so that all come in turn.
            for again in (at % 3..).step_by(3) {
                let store = Arc::new(scenario.begin());
                let _ = scenario.run(&store, Fault::Stop(at), "new");
                let cut = scenario.durability == Durability::Sync && (at + again) % 2 == 0;
                let store = if cut { Arc::new(store.crash_with(at * 1000 + again)) } else { store };
                let (outcome, count) = recover_with(&store, scenario, Fault::Stop(again));
                for (seed, found) in found_afterwards(&store, scenario, 1).into_iter().enumerate() {
                    let _step = Step(format!("{scenario:?} stopped at {at}, recovery at {again}, {seed}"));
                    nothing_is_lost(&*found, scenario, &tree("new"));
                    let _ = recover_with(&found, scenario, Fault::Stop(at % 7 + again));
                    nothing_is_lost(&*found, scenario, &tree("new"));
                    recovers(&found, scenario, &tree("new"));
                }
                if outcome.is_ok() || again >= count {
                    break;
                }
            }
        }
    }
}

/// An operation of the recovery fails, or its answer is lost: it says so or has done it, and the next one ends it.
#[test]
fn a_recovery_that_fails_is_gone_on_with() {
    for scenario in scenarios() {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for at in 0..count {
            let left = || {
                let store = Arc::new(scenario.begin());
                let _ = scenario.run(&store, Fault::Stop(at), "new");
                store
            };
            let (_, count) = recover_with(&left(), scenario, Fault::Never);
            for fault in (at % 4..count).step_by(4).flat_map(|at| [Fault::Once(at), Fault::Lost(at), Fault::From(at)]) {
                let store = left();
                let _step = Step(format!("{scenario:?} stopped at {at}, recovery with {fault:?}"));
                let _ = recover_with(&store, scenario, fault);
                nothing_is_lost(&*store, scenario, &tree("new"));
                recovers(&store, scenario, &tree("new"));
            }
        }
    }
}

/// PUB-26: at every point something can be read, and it is the old tree or the new one, also before a recovery.
#[test]
fn a_reader_always_finds_old_or_new() {
    for scenario in scenarios().into_iter().filter(|scenario| scenario.old) {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for at in 0..count {
            let store = Arc::new(scenario.begin());
            let _ = scenario.run(&store, Fault::Stop(at), "new");
            for found in found_afterwards(&store, scenario, 8) {
                let _step = Step(format!("{scenario:?} stopped at {at}: {:?}", state(&*found)));
                let at = match found.kind(&key("g/a")).unwrap() {
                    Some(_) => key("g/a"),
                    None => published(&*found, &key("g/a")).unwrap().unwrap(),
                };
                let read = read_tree(&*found, &at).unwrap();
                assert!(read == tree("old") || read == tree("new"));
                assert_eq!(published(&*found, &key("g/a/c")).unwrap(), (at != key("g/a")).then(|| at.join("c").unwrap()));
            }
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Publications, recoveries, kills and power cuts in any order: what is found is always a tree that was published, or was about to be.
#[test]
fn random_schedules_lose_nothing() {
    for seed in 0..2000 {
        let _step = Step(format!("seed {seed}"));
        let mut random = Random(seed);
        let exchange = random.below(3) > 0;
        let scenario = Scenario { existing: Existing::Replace, old: true, in_place: false, exchange, durability: Durability::Sync };
        let mut store = Arc::new(scenario.begin());
        let mut possible = vec![tree("old")];
        let mut log = Vec::new();
        for round in 0..2 + random.below(5) {
            let fault = if random.below(4) == 0 { Fault::Never } else { Fault::Stop(random.below(45)) };
            if random.below(3) > 0 {
                let stamp = format!("new {round}");
                let in_place = random.below(2) == 0 && store.kind(&key("g/a")).unwrap().is_some();
                let (outcome, _) = Scenario { in_place, ..scenario }.run(&store, fault, &stamp);
                log.push(format!("{stamp} {in_place} {fault:?}: {outcome:?}"));
                if outcome.is_ok() {
                    possible.clear();
                }
                possible.push(tree(&stamp));
            } else {
                log.push(format!("recover {fault:?}: {:?}", recover_with(&store, scenario, fault)));
            }
            log.push(format!("{:?}", state(&*store)));
            if random.below(2) == 0 {
                store = Arc::new(store.crash_with(random.below(u64::MAX)));
            }
            let State { target, staged, backup } = state(&*store);
            let found = target.or_else(|| [staged, backup].into_iter().flatten().find(|tree| possible.contains(tree)));
            assert!(
                found.as_ref().is_some_and(|tree| possible.contains(tree)),
                "in round {round}: {found:?} of {possible:?} after {log:#?}"
            );
        }
        recover_with(&store, scenario, Fault::Never).0.unwrap();
        let State { target, staged, backup } = state(&*store);
        assert!(target.as_ref().is_some_and(|target| possible.contains(target)), "{target:?} of {possible:?} after {log:#?}");
        assert_eq!((staged, backup, has_marker(&*store, "g/a")), (None, None, false));
    }
}
