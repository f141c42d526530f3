//! Tests of the journal: what was written is read, and of what was damaged nothing that was not written.

use proptest::prelude::*;

use super::*;
use crate::store::{MemoryStore, read_to_vec};

fn header() -> Header {
    Header { source: "s".into(), target: "t".into(), steps: "p".into(), ..Header::new("an id", true, "a boot".into()) }
}

fn checkpoint(nodes: u64, items: u64) -> Checkpoint {
    let saved = Saved { start: 4096, offset: 8192, checksum: 7, end: u64::MAX };
    let block = (items % 2 == 1).then_some(InBlock { phase: Phase::Deliver, done: items, saved, before_bytes: 50 });
    Checkpoint { nodes, position: Position { items, block }, done_bytes: 100 * items, synced: true }
}

fn tree() -> Key {
    Key::new("a.rechunked").unwrap()
}

/// A journal of so many checkpoints, and its bytes.
fn journal(count: u64) -> (MemoryStore, Vec<u8>) {
    let store = MemoryStore::new();
    let mut journal = Journal::new(&tree()).unwrap();
    for at in 0..count {
        journal.append(&store, &header(), &checkpoint(at / 3, at), true).unwrap();
    }
    let bytes = read_to_vec(&store, &tree().join(JOURNAL_NAME).unwrap(), 1 << 20).unwrap().unwrap();
    (store, bytes)
}

fn read(bytes: &[u8]) -> Result<Option<Found>> {
    let store = MemoryStore::new();
    store.set(&tree().join(JOURNAL_NAME).unwrap(), bytes).unwrap();
    Journal::read(&store, &tree())
}

/// JRN-1: the last checkpoint that is whole counts, wherever the journal was torn, and what comes next follows it.
#[test]
fn a_torn_tail_is_cut_off() {
    let (_, bytes) = journal(5);
    let mut seen = Vec::new();
    for end in 0..=bytes.len() {
        let found = read(&bytes[..end]).unwrap();
        let last = found.as_ref().and_then(|found| found.last);
        if seen.last() != Some(&last.map(|last| last.position.items)) {
            seen.push(last.map(|last| last.position.items));
        }
        let Some(found) = found else { continue };
        assert_eq!(found.header, header());
        // What is left of the torn frame lies behind the new one.
        let store = MemoryStore::new();
        store.set(&tree().join(JOURNAL_NAME).unwrap(), &bytes[..end]).unwrap();
        found.journal.clone().append(&store, &header(), &checkpoint(9, 1234), true).unwrap();
        let again = Journal::read(&store, &tree()).unwrap().unwrap();
        assert_eq!(again.last, Some(checkpoint(9, 1234)));
    }
    assert_eq!(seen, [None, Some(0), Some(1), Some(2), Some(3), Some(4)]);
    assert!(Journal::read(&MemoryStore::new(), &tree()).unwrap().is_none());
}

/// JRN-1: a frame follows the one that it was written behind, and no other.
#[test]
fn frames_of_an_earlier_attempt_do_not_come_back() {
    let (store, bytes) = journal(6);
    let key = tree().join(JOURNAL_NAME).unwrap();
    let cut = (0..bytes.len()).find(|&end| read(&bytes[..end]).unwrap().is_some_and(|found| found.last == Some(checkpoint(0, 2)))).unwrap();
    let mut journal = read(&bytes[..cut]).unwrap().unwrap().journal;
    // As long as the frame that it lies on, behind which the frames of the earlier attempt begin.
    journal.append(&store, &header(), &Checkpoint { done_bytes: 301, ..checkpoint(1, 3) }, true).unwrap();
    assert_eq!(read_to_vec(&store, &key, 1 << 20).unwrap().unwrap().len(), bytes.len());
    let last = Journal::read(&store, &tree()).unwrap().unwrap().last.unwrap();
    assert_eq!((last.position.items, last.done_bytes), (3, 301));
}

#[test]
fn other_journals_are_refused() {
    let framed = |bodies: &[&str]| {
        let (mut out, mut chain) = (Vec::new(), 0_u32);
        for body in bodies {
            let length = u32::try_from(body.len()).unwrap().to_le_bytes();
            chain = crc32fast::hash(&[&chain.to_le_bytes()[..], &length, body.as_bytes()].concat());
            out.extend([&length[..], &chain.to_le_bytes(), body.as_bytes()].concat());
        }
        out
    };
    let head = serde_json::to_string(&Frame::Header(header())).unwrap();
    let step = serde_json::to_string(&Frame::Checkpoint(checkpoint(1, 1))).unwrap();
    let back = serde_json::to_string(&Frame::Checkpoint(checkpoint(0, 1))).unwrap();
    assert_eq!(read(&framed(&[&head, &step])).unwrap().unwrap().last, Some(checkpoint(1, 1)));
    for bodies in [&[&*step][..], &[&head, &head], &[""], &["{}"], &["[]"], &[&head, "{\"checkpoint\":{}}"], &[&head, &step, &back]] {
        assert!(matches!(read(&framed(bodies)), Err(Error::Corrupt { .. })), "{bodies:?}");
    }
    for other in [head.replace("rezarr journal", "other journal"), head.replace("\"version\":2", "\"version\":1")] {
        assert!(matches!(read(&framed(&[&other])), Err(Error::Unsupported { .. })), "{other}");
    }
    assert!(read(&[0xff; 100]).unwrap().is_none(), "no frame at all");
    assert!(read(&[0; 100]).is_ok_and(|found| found.is_none()), "zeros are what a power cut leaves");
}

proptest! {
    /// JRN-1: of a journal with a changed byte, only what was written before that byte counts.
    #[test]
    fn damage_takes_nothing_but_what_follows(at in 0_usize..1000, mask in 1_u8..) {
        let (_, mut bytes) = journal(4);
        let at = at % bytes.len();
        bytes[at] ^= mask;
        let Ok(Some(found)) = read(&bytes) else { return Ok(()) };
        prop_assert_eq!(&found.header, &header());
        if let Some(last) = found.last {
            prop_assert_eq!(last, checkpoint(last.position.items / 3, last.position.items));
            prop_assert!(found.journal.end <= at as u64);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }
}
