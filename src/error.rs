//! The one error type of the crate, sorted by what the caller can do about it.
//!
//! Decoders do not know which file their bytes came from: they return errors without a key, and whoever holds the key adds it
//! with [`Error::at`]. In the same way a parser of an inner JSON value leaves its pointer relative, and the caller prefixes it
//! with [`Error::within`].

use std::fmt;
use std::io;

/// The result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what would have been accepted.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no node, store or file at this path.
    NotFound {
        /// The path or key that was asked for.
        path: String,
        /// What was looked for there, for example "an array (no zarr.json)".
        what: String,
    },
    /// Something is already there, and nothing existing is overwritten without being told to.
    AlreadyExists {
        /// The path or key that is taken.
        path: String,
        /// What to do about it.
        advice: String,
    },
    /// The operating system refused an operation; the operation "allocate", with [`io::ErrorKind::OutOfMemory`], where it has no memory.
    Io {
        /// The operation, for example "open" or "write".
        op: &'static str,
        /// The path it was tried on.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Stored bytes do not follow the format.
    Corrupt {
        /// The store key of the value.
        key: String,
        /// Byte offset within the value, where one is known.
        offset: Option<u64>,
        /// What was expected and what was found.
        what: String,
    },
    /// A stored checksum differs from that of the bytes.
    ChecksumMismatch {
        /// The store key of the value.
        key: String,
        /// The checksum that is stored.
        expected: u32,
        /// The checksum of the bytes that were read.
        got: u32,
    },
    /// A metadata document is not valid.
    Metadata {
        /// The store key of the document.
        key: String,
        /// JSON pointer (RFC 6901) to the offending member.
        pointer: String,
        /// What was found and what would be accepted.
        what: String,
    },
    /// The data are valid, but need something that this build does not have.
    Unsupported {
        /// The store key of the document or value; empty where none is involved.
        key: String,
        /// What is needed and what is supported.
        what: String,
    },
    /// The caller asked for something that makes no sense.
    InvalidArgument {
        /// Which argument, what was given, and what would be accepted.
        what: String,
    },
    /// The work cannot be done within the memory budget. Nothing was written.
    BudgetTooSmall {
        /// The smallest budget, in bytes, that would do.
        required_bytes: u64,
        /// The budget, in bytes, that was given.
        budget_bytes: u64,
        /// What needs the memory.
        what: String,
    },
    /// The disk is full.
    DiskFull {
        /// The path that was being written.
        path: String,
        /// How many bytes are needed, where that is known: for all that was to be written, where that was estimated before.
        needed_bytes: Option<u64>,
        /// How many bytes are free, where that was asked before anything was written.
        free_bytes: Option<u64>,
    },
    /// Another process or thread holds the lock.
    Busy {
        /// The locked path.
        path: String,
    },
    /// The array that was opened has been replaced; open it again.
    Stale {
        /// The path that was opened.
        path: String,
    },
    /// What a run depends on is not what it was when the run began.
    Changed {
        /// What has changed: the path of a source, or of the tree that a run was building.
        path: String,
        /// Since when, and how.
        what: String,
    },
    /// The caller asked for the work to stop, and it stopped cleanly.
    Cancelled,
}

impl Error {
    /// An [`Error::InvalidArgument`].
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::InvalidArgument { what: what.into() }
    }

    /// An [`Error::Corrupt`] without key; the caller that knows the key adds it with [`Error::at`].
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { key: String::new(), offset: None, what: bounded(what.into()) }
    }

    /// An [`Error::Metadata`] without key.
    pub(crate) fn metadata(pointer: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Metadata { key: String::new(), pointer: pointer.into(), what: bounded(what.into()) }
    }

    /// An [`Error::Unsupported`] without key.
    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { key: String::new(), what: bounded(what.into()) }
    }

    /// An [`Error::Io`], or [`Error::DiskFull`] where the system says that the disk or the quota is exhausted.
    pub(crate) fn io(op: &'static str, path: impl Into<String>, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { path: path.into(), needed_bytes: None, free_bytes: None }
            }
            _ => Self::Io { op, path: path.into(), source },
        }
    }

    /// An [`Error::Io`] of the operation "allocate": there is no memory for `what`.
    pub(crate) fn no_memory(what: impl fmt::Display) -> Self {
        let source = io::Error::new(io::ErrorKind::OutOfMemory, format!("the system has no memory for {what}"));
        Self::Io { op: "allocate", path: String::new(), source }
    }

    /// Names the key whose bytes caused the error, or the path of a refused operation, unless an inner call has already named one.
    #[must_use]
    pub(crate) fn at(mut self, name: &str) -> Self {
        match &mut self {
            Self::Corrupt { key, .. } | Self::ChecksumMismatch { key, .. } | Self::Metadata { key, .. } | Self::Unsupported { key, .. }
                if key.is_empty() =>
            {
                name.clone_into(key);
            }
            Self::Io { path, .. } if path.is_empty() => name.clone_into(path),
            _ => {}
        }
        self
    }

    /// Prefixes the JSON pointer of a metadata error, as the error leaves the member `prefix` (for example `/codecs/0`).
    #[must_use]
    pub(crate) fn within(mut self, prefix: &str) -> Self {
        if let Self::Metadata { pointer, .. } = &mut self {
            pointer.insert_str(0, prefix);
        }
        self
    }
}

/// What documents say is quoted in messages, whatever its length: a beginning of it is enough.
fn bounded(mut what: String) -> String {
    const MOST_BYTES: usize = 4096;
    if what.len() > MOST_BYTES {
        what.truncate(what.floor_char_boundary(MOST_BYTES));
        what.push_str("...");
    }
    what
}

/// A path or key before a message: nothing where none is known.
struct Place<'a>(&'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { path, what } => write!(f, "{}not found: {what}", Place(path)),
            Self::AlreadyExists { path, advice } => write!(f, "{}already exists; {advice}", Place(path)),
            Self::Io { op, path, source } => write!(f, "{}{op} failed: {source}", Place(path)),
            Self::Corrupt { key, offset: Some(offset), what } => write!(f, "{}corrupt at byte {offset}: {what}", Place(key)),
            Self::Corrupt { key, offset: None, what } => write!(f, "{}corrupt: {what}", Place(key)),
            Self::ChecksumMismatch { key, expected, got } => {
                write!(f, "{}checksum mismatch: stored {expected:#010x}, computed {got:#010x}", Place(key))
            }
            Self::Metadata { key, pointer, what } => {
                let pointer = if pointer.is_empty() { "/" } else { pointer };
                write!(f, "{}invalid metadata at {pointer}: {what}", Place(key))
            }
            Self::Unsupported { key, what } => write!(f, "{}unsupported: {what}", Place(key)),
            Self::InvalidArgument { what } => f.write_str(what),
            Self::BudgetTooSmall { required_bytes, budget_bytes, what } => write!(
                f,
                "a memory budget of {budget_bytes} bytes is too small: {what}; the smallest that would do is {required_bytes} bytes ({:.1} MiB)",
                (*required_bytes as f64 / 1_048_576.0 * 10.0).ceil() / 10.0
            ),
            Self::DiskFull { path, needed_bytes: Some(needed), free_bytes: Some(free) } => {
                write!(f, "{}disk full: about {needed} bytes are needed, and {free} are free", Place(path))
            }
            Self::DiskFull { path, needed_bytes: Some(needed), .. } => {
                write!(f, "{}disk full: about {needed} bytes are needed for the whole", Place(path))
            }
            Self::DiskFull { path, .. } => write!(f, "{}disk full", Place(path)),
            Self::Busy { path } => write!(f, "{}in use by another process", Place(path)),
            Self::Stale { path } => write!(f, "{}the array was replaced while it was open; open it again", Place(path)),
            Self::Changed { path, what } => write!(f, "{}has changed {what}", Place(path)),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every variant that names a place, at this one.
    fn all_at(place: &str) -> Vec<Error> {
        let at = || place.to_owned();
        let what = || "what".to_owned();
        vec![
            Error::NotFound { path: at(), what: what() },
            Error::AlreadyExists { path: at(), advice: what() },
            Error::Io { op: "open", path: at(), source: io::Error::other("why") },
            Error::Corrupt { key: at(), offset: None, what: what() },
            Error::Corrupt { key: at(), offset: Some(3), what: what() },
            Error::ChecksumMismatch { key: at(), expected: 1, got: 2 },
            Error::Metadata { key: at(), pointer: "/a".to_owned(), what: what() },
            Error::Unsupported { key: at(), what: what() },
            Error::DiskFull { path: at(), needed_bytes: None, free_bytes: None },
            Error::DiskFull { path: at(), needed_bytes: Some(5), free_bytes: None },
            Error::DiskFull { path: at(), needed_bytes: Some(5), free_bytes: Some(3) },
            Error::Busy { path: at() },
            Error::Stale { path: at() },
            Error::Changed { path: at(), what: what() },
        ]
    }

    #[test]
    fn a_message_begins_with_its_place_and_with_no_bare_colon() {
        for (known, unknown) in all_at("some/key").iter().zip(all_at("")) {
            let (known, unknown) = (known.to_string(), unknown.to_string());
            assert_eq!(known, format!("some/key: {unknown}"));
            assert!(unknown.starts_with(char::is_alphabetic), "{unknown:?}");
        }
    }

    #[test]
    fn what_is_quoted_has_an_end() {
        for error in [Error::metadata("/a", "ü".repeat(3000)), Error::unsupported("x".repeat(1 << 20)), Error::corrupt("x".repeat(5000))] {
            let text = error.to_string();
            assert!((4096..4200).contains(&text.len()) && text.ends_with("..."), "{}", text.len());
        }
        assert_eq!(Error::unsupported("short").to_string(), "unsupported: short");
    }

    #[test]
    fn a_full_disk_and_a_full_quota_are_told_from_other_faults() {
        let of = |errno: rustix::io::Errno| Error::io("write", "p", errno.into());
        for full in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT] {
            assert!(matches!(of(full), Error::DiskFull { needed_bytes: None, free_bytes: None, .. }), "{full}");
        }
        for other in [rustix::io::Errno::IO, rustix::io::Errno::FBIG, rustix::io::Errno::ROFS] {
            assert!(matches!(of(other), Error::Io { op: "write", .. }), "{other}");
        }
    }

    #[test]
    fn a_place_is_added_once() {
        let error = Error::no_memory("this").at("first").at("second").to_string();
        assert_eq!(error, "first: allocate failed: the system has no memory for this");
    }
}
