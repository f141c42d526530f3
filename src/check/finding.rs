//! What a check finds: a stable code, a place, and a sentence.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::CheckReport;
use crate::error::Error;
use crate::store::Key;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Data that cannot be read, or are not what somebody meant.
    Error,
    /// What readers pass over or put up with, and what could not be checked.
    Warning,
}

/// What kind of thing was found. Codes are stable; others may be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingCode {
    /// A document breaks a rule of the format.
    Metadata,
    /// A document or a chunk needs what this build does not have; it was not checked.
    Unsupported,
    /// Chunks do not fit the memory budget; they were not checked.
    NotChecked,
    /// The system cannot read it.
    Unreadable,
    /// Consolidated metadata say something else than the documents.
    StaleConsolidated,
    /// A node where no walk comes to it: inside an array, or in a directory that is no group.
    MisplacedNode,
    /// A directory whose name no node can have.
    ReservedName,
    /// A link or special file.
    SpecialFile,
    /// A file or directory that is no part of the hierarchy.
    Orphan,
    /// What an interrupted program left.
    Leftover,
    /// Something stands in the way of chunks.
    Obstructed,
    /// A chunk outside the grid of its array.
    OutsideGrid,
    /// A shard that is too short for its index.
    TornShard,
    /// A shard index that says what cannot be.
    ShardIndex,
    /// A shard index whose checksum differs.
    IndexChecksum,
    /// A chunk of more or fewer bytes than its codecs can make.
    ChunkSize,
    /// A chunk whose checksum differs.
    ChunkChecksum,
    /// A chunk that its codecs cannot decode.
    Undecodable,
    /// Inner chunks that share bytes.
    Overlap,
}

impl FindingCode {
    /// How bad findings of this code are.
    pub fn severity(self) -> Severity {
        match self {
            Self::Unsupported | Self::NotChecked | Self::ReservedName | Self::Orphan | Self::Leftover | Self::Overlap => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The code as it is printed, for example `chunk-checksum`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Unsupported => "unsupported",
            Self::NotChecked => "not-checked",
            Self::Unreadable => "unreadable",
            Self::StaleConsolidated => "stale-consolidated",
            Self::MisplacedNode => "misplaced-node",
            Self::ReservedName => "reserved-name",
            Self::SpecialFile => "special-file",
            Self::Orphan => "orphan",
            Self::Leftover => "leftover",
            Self::Obstructed => "obstructed",
            Self::OutsideGrid => "outside-grid",
            Self::TornShard => "torn-shard",
            Self::ShardIndex => "shard-index",
            Self::IndexChecksum => "index-checksum",
            Self::ChunkSize => "chunk-size",
            Self::ChunkChecksum => "chunk-checksum",
            Self::Undecodable => "undecodable",
            Self::Overlap => "overlap",
        }
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that a check found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The key below the path that was checked; empty for the path itself.
    pub key: String,
    /// The byte offset in the value, where it lies in a part of one.
    pub offset: Option<u64>,
    /// The index of the inner chunk among all of its level in the array, where it lies in one.
    pub inner_chunk: Option<Vec<u64>>,
    /// What kind of thing it is.
    pub code: FindingCode,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is, as a person would say it.
    pub path: String,
    /// A sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{}: {severity} {}: {}", self.path, self.code, self.what)?;
        match (&self.inner_chunk, self.offset) {
            (Some(inner), Some(offset)) => write!(f, " (inner chunk {inner:?}, at byte {offset})"),
            (Some(inner), None) => write!(f, " (inner chunk {inner:?})"),
            (None, Some(offset)) => write!(f, " (at byte {offset})"),
            (None, None) => Ok(()),
        }
    }
}

/// Where a finding is.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) key: &'a Key,
    pub(super) inner_chunk: Option<Vec<u64>>,
    pub(super) offset: Option<u64>,
}

impl<'a> Place<'a> {
    pub(super) fn of(key: &'a Key) -> Self {
        Self { key, inner_chunk: None, offset: None }
    }
}

impl Finding {
    pub(super) fn new(code: FindingCode, path: String, place: Place<'_>, what: String) -> Self {
        let Place { key, inner_chunk, offset } = place;
        Self { key: key.as_str().to_owned(), offset, inner_chunk, code, severity: code.severity(), path, what }
    }
}

/// Findings, of which the first in their order are kept.
#[derive(Debug, Default)]
pub(super) struct Findings {
    errors: u64,
    warnings: u64,
    first: BTreeSet<Finding>,
}

impl Findings {
    pub(super) fn add(&mut self, finding: Finding) {
        match finding.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        self.first.insert(finding);
        if self.first.len() > CheckReport::MAX_FINDINGS {
            self.first.pop_last();
        }
    }

    /// Adds what was found in a part of the hierarchy.
    pub(super) fn take(&mut self, part: Self) {
        self.errors += part.errors;
        self.warnings += part.warnings;
        self.first.extend(part.first);
        while self.first.len() > CheckReport::MAX_FINDINGS {
            self.first.pop_last();
        }
    }

    /// Errors, warnings, and the findings.
    pub(super) fn finish(self) -> (u64, u64, Vec<Finding>) {
        (self.errors, self.warnings, self.first.into_iter().collect())
    }
}

/// What an error says, without the place, which the finding names.
pub(super) fn sentence(error: &Error) -> String {
    match error {
        Error::Corrupt { what, .. } | Error::Unsupported { what, .. } | Error::InvalidArgument { what } => what.clone(),
        Error::ChecksumMismatch { expected, got, .. } => format!("checksum mismatch: stored {expected:#010x}, computed {got:#010x}"),
        Error::Metadata { pointer, what, .. } => format!("invalid metadata at {}: {what}", if pointer.is_empty() { "/" } else { pointer }),
        Error::Io { op, source, .. } => format!("{op} failed: {source}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(key: &str, offset: u64) -> Finding {
        let key = Key::new(key).unwrap();
        let place = Place { offset: Some(offset), ..Place::of(&key) };
        Finding::new(FindingCode::Undecodable, format!("root/{key}"), place, "it is".to_owned())
    }

    #[test]
    fn the_first_findings_are_kept_in_whatever_order_they_come() {
        let most = CheckReport::MAX_FINDINGS as u64;
        let mut findings = Findings::default();
        for offset in (0..most + 10).rev() {
            findings.add(finding("b", offset));
        }
        let mut part = Findings::default();
        part.add(finding("a", 7));
        findings.take(part);
        let (errors, warnings, kept) = findings.finish();
        assert_eq!((errors, warnings, kept.len() as u64), (most + 11, 0, most));
        assert_eq!(kept[0].key, "a");
        assert!(kept.is_sorted() && kept.last().unwrap().offset == Some(most - 2));
    }

    /// FMT-CHK-1: the code in JSON is the one that is printed.
    #[test]
    fn codes_are_printed_as_they_are_serialised() {
        for code in [FindingCode::Metadata, FindingCode::IndexChecksum, FindingCode::StaleConsolidated, FindingCode::NotChecked] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
        let printed = "root/c/0: error undecodable: it is (at byte 3)";
        assert_eq!(finding("c/0", 3).to_string(), printed);
    }
}
