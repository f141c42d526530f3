//! Whether the consolidated metadata of a group are still what its descendants say.

use serde_json::Value;

use super::finding::{FindingCode, sentence};
use super::{Walk, finding};
use crate::array::read_child;
use crate::error::{Error, Result};
use crate::group::Group;
use crate::metadata::{Consolidated, DOCUMENT, GroupMetadata, NodeMetadata};
use crate::store::Key;

/// Compares the copies in the document of the group at `prefix` with the documents, if it has any; the first difference is a finding.
pub(super) fn check(walk: &Walk<'_>, prefix: &Key, group: &GroupMetadata) -> Result<()> {
    let document = prefix.join(if group.zarr_format() == 2 { ".zmetadata" } else { DOCUMENT })?;
    let copies = match group.consolidated() {
        Ok(None) => return Ok(()),
        Ok(Some(copies)) => copies,
        Err(error) => return walk.fault(&document, error),
    };
    let stale = |what: String| walk.found(FindingCode::StaleConsolidated, &document, what);
    for path in copies.paths() {
        walk.go_on()?;
        if let Some(what) = difference(walk, prefix, &copies, path)? {
            stale(format!("the copy of {path:?} in the consolidated metadata {what}"));
            return Ok(());
        }
    }
    let mut missing = None;
    let walked = Group::open_in(walk.store.clone(), prefix.clone()).and_then(|group| {
        group.walk_each(&mut |path, node| {
            walk.go_on()?;
            // What cannot be read is found when the walk comes to it.
            if node.is_err() || copies.contains(path) { Ok(()) } else { Err(Error::invalid(missing.insert(path.to_owned()).as_str())) }
        })
    });
    match (missing, walked) {
        (Some(path), _) => stale(format!("the consolidated metadata lack {path:?}")),
        (None, Err(error)) => walk.fault(prefix, error)?,
        (None, Ok(())) => {}
    }
    Ok(())
}

/// How the copy of the document at `path` differs from it; none if it does not, or neither is understood.
fn difference(walk: &Walk<'_>, prefix: &Key, copies: &Consolidated, path: &str) -> Result<Option<String>> {
    let copy = copies.node(path);
    let Ok(key) = prefix.join(path) else { return Ok(Some(String::from("has a path that is no key"))) };
    Ok(match (copy, read_child(&*walk.store, &key)) {
        (Ok(Some(copy)), Ok(node)) => (meaning(copy)? != meaning(node)?).then(|| String::from("differs from its document")),
        (_, Err(Error::NotFound { .. })) => Some(String::from("is of a node that is not there")),
        (Err(Error::Unsupported { .. }), Err(Error::Unsupported { .. })) => None,
        (Err(error), Ok(_)) => Some(format!("cannot be read: {}", finding::sentence(&error))),
        // What is wrong with the document is found when the walk comes to it.
        (_, Err(error)) => Some(format!("is of a node that cannot be read: {}", sentence(&error))),
        (Ok(None), Ok(_)) => None,
    })
}

/// What a document says, without the copies that it carries itself.
fn meaning(node: NodeMetadata) -> Result<Value> {
    let node = match node {
        NodeMetadata::Group(group) => NodeMetadata::Group(Box::new(group.with_consolidated(None)?)),
        array => array,
    };
    serde_json::from_slice(&node.to_bytes()?).map_err(|fault| Error::corrupt(format!("a document that cannot be compared: {fault}")))
}
