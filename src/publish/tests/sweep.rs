//! Faults and crashes at every operation of a publication, and at every operation of settling what they leave.

use super::*;
use crate::store::faulty::{Fault, FaultyStore};

/// Says where a sweep was when an assertion in it failed.
pub(super) struct Step(pub(super) String);

impl Drop for Step {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in {}", self.0);
        }
    }
}

/// How a run begins, and what it may use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    pub(super) existing: Existing,
    /// Whether there is a tree to replace.
    pub(super) old: bool,
    /// Whether the new tree is made from it, so that it is held.
    pub(super) in_place: bool,
    pub(super) exchange: bool,
    pub(super) durability: Durability,
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = Vec::new();
    for durability in [Durability::Sync, Durability::NoSync] {
        for (existing, old) in
            [(Existing::Refuse, false), (Existing::Replace, false), (Existing::Replace, true), (Existing::ReplaceAndKeep, true)]
        {
            for exchange in [true, false] {
                all.push(Scenario { existing, old, in_place: false, exchange, durability });
                if old {
                    all.push(Scenario { existing, old, in_place: true, exchange, durability });
                }
            }
        }
    }
    all
}

impl Scenario {
    pub(super) fn begin(self) -> MemoryStore {
        let store = MemoryStore::new();
        store.create_prefix(&key("g")).unwrap();
        if self.old {
            write_tree(&store, &key("g/a"), &tree("old")).unwrap();
        }
        store.sync().unwrap();
        store
    }

    pub(super) fn faulty(self, inner: &Arc<MemoryStore>, fault: Fault) -> Arc<FaultyStore> {
        let store = FaultyStore::new(Arc::clone(inner) as Arc<dyn Store>, fault);
        Arc::new(if self.exchange { store } else { store.without_exchange() })
    }

    /// Runs on `inner` with `fault`; returns the outcome, and how many operations there were.
    pub(super) fn run(self, inner: &Arc<MemoryStore>, fault: Fault, stamp: &str) -> (Result<Published>, u64) {
        let faulty = self.faulty(inner, fault);
        let store: Arc<dyn Store> = Arc::clone(&faulty) as Arc<dyn Store>;
        let outcome = self.publish(&store, stamp);
        (outcome, faulty.operation_count())
    }

    pub(super) fn publish(self, store: &Arc<dyn Store>, stamp: &str) -> Result<Published> {
        let target = key("g/a");
        let held = if self.in_place { Some(Held::new(&**store, &target, store.lock(&target)?)?) } else { None };
        let stage = begin_stage(Arc::clone(store), target, StageOptions { held, ..options(self.existing, self.durability) })?;
        build(&**store, &stage, &tree(stamp))?;
        stage.publish(&mut || Ok(()), &mut || ())
    }
}

/// The three trees.
#[derive(Debug, PartialEq)]
pub(super) struct State {
    pub(super) target: Option<Tree>,
    pub(super) staged: Option<Tree>,
    pub(super) backup: Option<Tree>,
}

pub(super) fn state(store: &dyn Store) -> State {
    let read = |name| read_tree(store, &key(name));
    State { target: read("g/a"), staged: read("g/a.rechunked"), backup: read("g/a.backup") }
}

/// What must hold at any moment, whatever has failed or been cut off, if `new` was to be published.
pub(super) fn nothing_is_lost(store: &dyn Store, scenario: Scenario, new: &Tree) {
    let (State { target, staged, backup }, old) = (state(store), tree("old"));
    let is_new = target.as_ref() == Some(new);
    if !scenario.old {
        assert!(target.is_none() || is_new, "{target:?}");
        assert_eq!(backup, None);
        return;
    }
    match &target {
        Some(target) => assert!(*target == old || is_new, "partial: {target:?}"),
        None => assert!(!scenario.exchange && backup.as_ref() == Some(&old) && staged.as_ref() == Some(new), "{staged:?} {backup:?}"),
    }
    if !is_new || scenario.existing == Existing::ReplaceAndKeep {
        assert!([&target, &staged, &backup].contains(&&Some(old)), "the old tree is lost: {target:?} {staged:?} {backup:?}");
    }
}

/// That a next run replaces what is there, and leaves nothing else behind.
fn a_next_run_succeeds(store: Arc<MemoryStore>, scenario: Scenario) {
    let before = state(&*store);
    let next = Scenario { existing: Existing::Replace, in_place: false, ..scenario };
    let (outcome, _) = next.run(&store, Fault::Never, "next");
    let after = state(&*store);
    if let Err(Error::AlreadyExists { path, .. }) = &outcome {
        // A backup that was kept as asked is in the way by design.
        assert!(path.ends_with("a.backup") && scenario.existing == Existing::ReplaceAndKeep, "{before:?} {outcome:?}");
        assert_eq!(after, State { target: after.target.clone(), staged: None, backup: Some(tree("old")) }, "before: {before:?}");
        assert!(after.target.is_some_and(|target| target == tree("new") || target == tree("next")));
        assert!(store.erase_prefix(&key("g/a.backup")).unwrap());
        return a_next_run_succeeds(store, Scenario { existing: Existing::Replace, ..scenario });
    }
    assert_eq!(outcome.unwrap_or_else(|error| panic!("{error} from {before:?}")), SILENT);
    assert_eq!(after, State { target: Some(tree("next")), staged: None, backup: None }, "before: {before:?}");
    assert!(!has_marker(&*store, "g/a"));
}

/// The stores that may be found after a run was stopped: as it was when the process was killed, and, where it syncs, after power cuts.
pub(super) fn found_afterwards(store: &Arc<MemoryStore>, scenario: Scenario, cuts: u64) -> Vec<Arc<MemoryStore>> {
    let mut found = vec![Arc::clone(store)];
    if scenario.durability == Durability::Sync {
        // The one that was killed comes last, since trying it out changes it.
        found.insert(0, Arc::new(store.crash()));
        (0..cuts).for_each(|seed| found.insert(0, Arc::new(store.crash_with(seed))));
    }
    found
}

#[test]
fn without_faults_every_scenario_succeeds() {
    for scenario in scenarios() {
        let store = Arc::new(scenario.begin());
        assert_eq!(scenario.run(&store, Fault::Never, "new").0.unwrap(), SILENT, "{scenario:?}");
        assert_eq!(state(&*store).target, Some(tree("new")));
        a_next_run_succeeds(store, scenario);
    }
}

/// PUB-5, PUB-9 and PUB-11, PUB-12, PUB-13, PUB-14: the process is killed at, or the power is cut after, each operation.
#[test]
fn stopped_anywhere_nothing_is_lost_and_the_next_run_succeeds() {
    for scenario in scenarios() {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for at in 0..count {
            let store = Arc::new(scenario.begin());
            let _ = scenario.run(&store, Fault::Stop(at), "new");
            for found in found_afterwards(&store, scenario, 12) {
                let _step = Step(format!("{scenario:?} stopped at {at}"));
                nothing_is_lost(&*found, scenario, &tree("new"));
                a_next_run_succeeds(found, scenario);
            }
        }
    }
}

/// The run that settles what a stopped one left is stopped as well, anywhere.
#[test]
fn stopped_again_while_settling_nothing_is_lost() {
    for scenario in scenarios().into_iter().filter(|scenario| scenario.durability == Durability::Sync) {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for at in 0..count {
            for again in (at % 5..).step_by(5) {
                let store = Arc::new(scenario.begin());
                let _ = scenario.run(&store, Fault::Stop(at), "new");
                // Killed, or cut off from its power.
                let store = if (at + again) % 2 == 0 { Arc::new(store.crash_with(at * 1000 + again)) } else { store };
                // The same new tree, so that the same must hold after it.
                // A target that is away between two renames cannot be held; another stage puts it back.
                let scenario = Scenario { in_place: false, ..scenario };
                let (_, count) = scenario.run(&store, Fault::Stop(again), "new");
                for found in found_afterwards(&store, scenario, 1) {
                    let _step = Step(format!("{scenario:?} stopped at {at}, then at {again}"));
                    nothing_is_lost_again(&*found, scenario);
                    a_next_run_succeeds(found, scenario);
                }
                if again >= count {
                    break;
                }
            }
        }
    }
}

/// As [`nothing_is_lost`], where a first run may have published: then its tree is the old one of the second.
fn nothing_is_lost_again(store: &dyn Store, scenario: Scenario) {
    let state = state(store);
    if scenario.old || state.backup.is_none() {
        let replaced_new = scenario.old && !scenario.exchange && state.target.is_none() && state.backup == Some(tree("new"));
        if !replaced_new {
            return nothing_is_lost(store, scenario, &tree("new"));
        }
    }
    // The first run has published, and the second is between the renames of what the first has made, or behind them.
    let new = Some(tree("new"));
    assert!(state.target == new || state.target.is_none() && state.backup == new && state.staged == new, "{state:?}");
}

/// An operation fails, or its answer is lost, but the process goes on: what is reported is what has happened.
#[test]
fn one_failure_is_reported_as_what_has_happened() {
    for scenario in scenarios() {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for fault in (0..count).flat_map(|at| [Fault::Once(at), Fault::Lost(at)]) {
            let store = Arc::new(scenario.begin());
            let (outcome, _) = scenario.run(&store, fault, "new");
            let _step = Step(format!("{scenario:?} {fault:?} {outcome:?}"));
            nothing_is_lost(&*store, scenario, &tree("new"));
            match outcome {
                Ok(Published { warning }) => {
                    assert_eq!(state(&*store).target, Some(tree("new")));
                    let at_rest = State { target: Some(tree("new")), staged: None, backup: None };
                    let kept = scenario.existing == Existing::ReplaceAndKeep;
                    assert!(warning.is_some() || kept || state(&*store) == at_rest, "something is left, and nobody was told");
                }
                // PUB-28: nobody can say what a power cut leaves.
                Err(Error::Io { op: "publish", .. }) => assert_eq!(state(&*store).target, Some(tree("new"))),
                Err(_) => {
                    let before = scenario.old.then(|| tree("old"));
                    let State { target, staged, backup } = state(&*store);
                    assert_eq!((target, backup), (before, None));
                    // Of a prefix that could not be locked, or was made without an answer, nobody can say whose it is.
                    assert!(staged.is_none_or(|tree| tree.is_empty() && !has_marker(&*store, "g/a.rechunked")));
                    assert!(!has_marker(&*store, "g/a"), "the target is as it was");
                }
            }
            a_next_run_succeeds(store, scenario);
        }
    }
}

/// The disk is gone from some operation on.
#[test]
fn lasting_failure_loses_nothing() {
    for scenario in scenarios() {
        let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
        for at in 0..count {
            let store = Arc::new(scenario.begin());
            let (outcome, _) = scenario.run(&store, Fault::From(at), "new");
            let published = state(&*store).target == Some(tree("new"));
            let unsynced = matches!(outcome, Err(Error::Io { op: "publish", .. }));
            assert_eq!(outcome.is_ok() || unsynced, published, "{scenario:?} from {at}: {outcome:?}");
            assert!(!unsynced || scenario.durability == Durability::Sync);
            nothing_is_lost(&*store, scenario, &tree("new"));
            a_next_run_succeeds(store, scenario);
        }
    }
}

/// PUB-16, and the point of no return: once the exchange has happened, no failure makes it one.
#[test]
fn failures_after_the_exchange_are_warnings() {
    let scenario = Scenario { existing: Existing::Replace, old: true, in_place: false, exchange: true, durability: Durability::Sync };
    let (_, count) = scenario.run(&Arc::new(scenario.begin()), Fault::Never, "new");
    let warned = (0..count).filter(|&at| {
        let store = Arc::new(scenario.begin());
        matches!(scenario.run(&store, Fault::From(at), "new").0, Ok(Published { warning: Some(text) }) if text.contains("in place"))
    });
    let warned: Vec<u64> = warned.collect();
    assert!(warned.len() > 5, "{warned:?}");
    assert_eq!(warned, (count - warned.len() as u64..count).collect::<Vec<_>>(), "all that follow the exchange, and no others");
}
