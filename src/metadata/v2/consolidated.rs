//! `.zmetadata`: copies of the documents below a group, by their keys.

use std::collections::BTreeMap;

use super::{attributes_from, from_text, quoted, text_of};
use crate::error::{Error, Result};
use crate::json::{self, Members, Text};
use crate::metadata::Consolidated;

/// The documents of one node.
#[derive(Default)]
struct Copies {
    array: Option<Text>,
    group: Option<Text>,
    attributes: Option<Text>,
}

/// The nodes of a `.zmetadata` with documents in the form of Zarr v3. Those that need what this build does not have are left out.
pub(in crate::metadata) fn read(document: &[u8]) -> Result<Consolidated> {
    let mut members = Members::from_document(&quoted(document)?)?;
    let format = members.require("zarr_consolidated_format")?;
    if format.as_u64() != Some(1) {
        return Err(Error::unsupported(format!("zarr_consolidated_format {}; supported is 1", json::brief(&format))));
    }
    let listed = members.take("metadata").ok_or_else(|| Error::metadata("/metadata", "missing; this member is mandatory"))?;
    let mut nodes: BTreeMap<String, Copies> = BTreeMap::new();
    for (key, text) in Members::parse(listed.get()).map_err(|error| error.within("/metadata"))? {
        let (path, name) = key.rsplit_once('/').unwrap_or(("", &key));
        let copies = nodes.entry(path.to_owned()).or_default();
        match name {
            super::ARRAY => copies.array = Some(text),
            super::GROUP => copies.group = Some(text),
            super::ATTRIBUTES => copies.attributes = Some(text),
            _ => {}
        }
    }
    let mut consolidated = Consolidated::default();
    // The group itself is not below it.
    for (path, copies) in nodes.into_iter().filter(|(path, _)| !path.is_empty()) {
        add(&mut consolidated, &path, copies).map_err(|error| error.within("/metadata"))?;
    }
    Ok(consolidated)
}

fn add(consolidated: &mut Consolidated, path: &str, copies: Copies) -> Result<()> {
    let at = |name: &str| json::pointer(&format!("{path}/{name}"));
    let (document, name) = match (&copies.array, &copies.group) {
        (Some(array), _) => (array, super::ARRAY),
        (None, Some(group)) => (group, super::GROUP),
        (None, None) => return Ok(()),
    };
    let attributes = copies.attributes.as_ref().map(|text| text_of(text.get().as_bytes()).and_then(attributes_from)).transpose();
    let attributes = attributes.map_err(|error| error.within(&at(super::ATTRIBUTES)))?.unwrap_or_default();
    match from_text(name, document.get().as_bytes(), attributes) {
        Ok(node) => consolidated.insert(path, &node).map_err(|error| Error::metadata(at(name), error.to_string())),
        Err(Error::Unsupported { .. }) => Ok(()),
        Err(error) => Err(error.within(&at(name))),
    }
}
