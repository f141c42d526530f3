//! The items of a strategy, handed out to its threads in rounds: where a checkpoint is due, a round ends before the next group of items begins.
//!
//! Invariants
//! 1. Items are handed out in their order. When the threads of a round have ended, all that were handed out are complete.
//! 2. A round ends between two groups only, such as the items of one shard, so that nothing of the target is begun and not complete then.

use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::rechunk::execute::Control;
use crate::rechunk::journal::Position;

/// The index of an item, and that of its group.
type Index = Vec<u64>;

/// Hands out items.
pub(crate) struct Rounds<'c, I, G> {
    control: &'c Control<'c>,
    group_of: G,
    items: Mutex<Items<I>>,
}

struct Items<I> {
    rest: I,
    /// An item that was to begin a group when the round ended.
    ahead: Option<Index>,
    group: Option<Index>,
    handed_out: u64,
    paused: bool,
}

impl<'c, I: Iterator<Item = Index>, G: Fn(&[u64]) -> Index> Rounds<'c, I, G> {
    /// Hands out `items`, of which the first `done` are complete already; `group_of` names the group of an item.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where there are not so many.
    pub(crate) fn new(control: &'c Control<'c>, mut items: I, done: u64, group_of: G) -> Result<Self> {
        skip(&mut items, done)?;
        let items = Items { rest: items, ahead: None, group: None, handed_out: done, paused: false };
        Ok(Self { control, group_of, items: Mutex::new(items) })
    }

    /// The next item; none at the end of the round. One that was kept back for a pause begins the next round in any case, so that each comes further.
    pub(crate) fn next(&self) -> Option<Index> {
        let mut items = self.items.lock();
        if items.paused {
            return None;
        }
        let kept = items.ahead.take();
        let is_kept = kept.is_some();
        let item = kept.or_else(|| items.rest.next())?;
        if self.control.has_checkpoints() {
            let group = Some((self.group_of)(&item));
            if !is_kept && items.group.is_some() && items.group != group && self.control.is_due() {
                (items.paused, items.ahead) = (true, Some(item));
                return None;
            }
            items.group = group;
        }
        items.handed_out += 1;
        Some(item)
    }

    /// Calls `round` until it has been given all items, and between two rounds `pause` with the number of items that are complete: it must make
    /// a checkpoint, or put it off.
    pub(crate) fn each(&self, mut round: impl FnMut() -> Result<()>, mut pause: impl FnMut(u64) -> Result<()>) -> Result<()> {
        loop {
            round()?;
            let done = {
                let mut items = self.items.lock();
                if !std::mem::take(&mut items.paused) {
                    return Ok(());
                }
                items.handed_out
            };
            pause(done)?;
        }
    }

    /// As [`Rounds::each`], with checkpoints that say how many items are complete, where `whole` says that nothing else is begun.
    pub(crate) fn with_checkpoints(&self, round: impl FnMut() -> Result<()>, whole: impl Fn() -> bool) -> Result<()> {
        self.each(round, |done| if whole() { self.control.checkpoint(Position { items: done, block: None }) } else { self.control.defer() })
    }
}

/// Passes over items that are complete.
///
/// # Errors
/// [`Error::Corrupt`] where there are not so many.
pub(crate) fn skip(items: &mut impl Iterator, done: u64) -> Result<()> {
    for at in 0..done {
        if items.next().is_none() {
            return Err(Error::corrupt(format!("a journal says that {done} items are complete, of {at} that there are")));
        }
    }
    Ok(())
}

impl Control<'_> {
    /// Counts what was written.
    pub(crate) fn wrote(&self, bytes: u64) {
        if let Some(checkpoints) = self.checkpoints {
            checkpoints.wrote(bytes);
        }
    }

    pub(crate) fn has_checkpoints(&self) -> bool {
        self.checkpoints.is_some()
    }

    /// Whether enough was written since the last checkpoint.
    pub(crate) fn is_due(&self) -> bool {
        self.checkpoints.is_some_and(super::checkpoints::Checkpoints::is_due)
    }

    /// Whether the last checkpoint lies within a block, and needs what is in the spill file.
    pub(crate) fn is_in_block(&self) -> bool {
        self.checkpoints.is_some_and(super::checkpoints::Checkpoints::is_in_block)
    }

    /// Whether values that are about to be written may be there already, from an earlier run.
    pub(crate) fn continued(&self) -> bool {
        self.checkpoints.is_some_and(super::checkpoints::Checkpoints::continued)
    }

    /// Says that all before `position` is complete. No thread may be at work.
    pub(crate) fn checkpoint(&self, position: Position) -> Result<()> {
        // A wish to stop is heard before, and not while the disk is being waited for.
        self.check()?;
        self.checkpoints.map_or(Ok(()), |checkpoints| checkpoints.checkpoint(position, self.done_bytes.load(Ordering::Relaxed)))
    }

    /// Waits with a checkpoint that was due.
    pub(crate) fn defer(&self) -> Result<()> {
        self.check()?;
        if let Some(checkpoints) = self.checkpoints {
            checkpoints.defer();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::rechunk::checkpoints::Checkpoints;
    use crate::rechunk::journal::{Header, Journal};
    use crate::store::{Key, MemoryStore};

    fn checkpoints(store: &Arc<MemoryStore>, every: u64) -> Checkpoints {
        let header = Header::new("id", true, String::new());
        Checkpoints::new(store.clone(), Key::new("t").unwrap(), "t".into(), header, every, None).unwrap()
    }

    fn indices(count: u64) -> impl Iterator<Item = Vec<u64>> {
        (0..count).map(|index| vec![index])
    }

    /// JRN-2, JRN-5: rounds end between groups, and only when enough was written.
    #[test]
    fn rounds_end_between_groups() {
        let store = Arc::new(MemoryStore::new());
        let checkpoints = checkpoints(&store, 10);
        let control = Control::of_node(None, Some(&checkpoints), 0);
        let rounds = Rounds::new(&control, indices(20), 1, |item| vec![item[0] / 4]).unwrap();
        let (mut given, mut ends) = (Vec::new(), Vec::new());
        let round = || {
            while let Some(item) = rounds.next() {
                given.push(item[0]);
                control.wrote(3);
            }
            Ok(())
        };
        let pause = |done| {
            ends.push(done);
            if done == 8 { control.defer() } else { control.checkpoint(Position { items: done, block: None }) }
        };
        rounds.each(round, pause).unwrap();
        assert_eq!(given, (1..20).collect::<Vec<_>>());
        // 3 items are too few, 7 enough; what was put off is due again after a little more.
        assert_eq!(ends, [8, 12, 16]);
        let found = Journal::read(&*store, &Key::new("t").unwrap()).unwrap().unwrap();
        assert_eq!(found.last.map(|last| last.position.items), Some(16));
    }

    /// JRN-5: where none is possible for long, however soon one is due again, the run comes to its end.
    #[test]
    fn every_round_comes_further() {
        for every in [1, 2, 7, 8] {
            let store = Arc::new(MemoryStore::new());
            let checkpoints = checkpoints(&store, every);
            let control = Control::of_node(None, Some(&checkpoints), 0);
            let rounds = Rounds::new(&control, indices(20), 0, <[u64]>::to_vec).unwrap();
            let (given, whole) = (std::cell::RefCell::new(Vec::new()), std::cell::Cell::new(0));
            let round = || {
                while let Some(item) = rounds.next() {
                    given.borrow_mut().push(item[0]);
                    control.wrote(8);
                }
                Ok(())
            };
            let is_whole = || {
                whole.set(whole.get() + 1);
                assert!(whole.get() <= 20, "no end with checkpoints every {every} bytes");
                given.borrow().len() % 5 == 0
            };
            rounds.with_checkpoints(round, is_whole).unwrap();
            assert_eq!(*given.borrow(), (0..20).collect::<Vec<_>>());
            let found = Journal::read(&*store, &Key::new("t").unwrap()).unwrap().unwrap();
            assert_eq!(found.last.map(|last| last.position.items), Some(15));
        }
    }

    #[test]
    fn without_checkpoints_there_is_one_round() {
        let control = Control::default();
        control.wrote(1 << 40);
        let rounds = Rounds::new(&control, indices(9), 0, |item| item.to_vec()).unwrap();
        let mut given = 0;
        let round = || {
            given += std::iter::from_fn(|| rounds.next()).count();
            Ok(())
        };
        rounds.each(round, |_| panic!("a pause")).unwrap();
        assert_eq!(given, 9);
    }

    /// JRN-3: a journal that says more than there is.
    #[test]
    fn items_that_are_not_there_cannot_be_complete() {
        let control = Control::default();
        assert!(Rounds::new(&control, indices(5), 5, |item| item.to_vec()).is_ok());
        for done in [6, u64::MAX] {
            assert!(matches!(Rounds::new(&control, indices(5), done, |item| item.to_vec()), Err(Error::Corrupt { .. })));
        }
    }
}
