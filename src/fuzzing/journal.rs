//! The journal of a run.

use crate::rechunk::{read_journal, written_journal};

/// Any bytes are a journal, or refused, or the begin of one; what is read can be added to, and what was added comes back.
pub(super) fn check(data: &[u8]) -> bool {
    read_journal(data)
}

/// Journals of no checkpoint, of one, and of some.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    [0, 1, 5].map(written_journal).to_vec()
}
