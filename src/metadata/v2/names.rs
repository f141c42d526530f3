//! Names of dimensions, which Zarr v2 has no place for: those of xarray in an attribute, and those of NCZarr.

use serde_json::Value;

use crate::error::Result;
use crate::json::{self, Members};
use crate::metadata::Attributes;

/// The attribute of xarray.
pub(super) const ARRAY_DIMENSIONS: &str = "_ARRAY_DIMENSIONS";

/// The members of NCZarr, in `.zarray` or among the attributes, and those with the paths of dimensions in them.
const NCZARR: [&str; 2] = ["_NCZARR_ARRAY", "_nczarr_array"];
const REFERENCES: [&str; 2] = ["dimrefs", "dimension_references"];

/// The names of as many dimensions as `rank`, and whether the attribute of xarray says nothing else than them (FMT-V2-11).
pub(super) fn find(members: &mut Members, attributes: &Attributes, rank: usize) -> Result<(Option<Vec<Option<String>>>, bool)> {
    let attributes = Members::parse(attributes.as_json())?;
    let attribute = |name: &str| attributes.iter().find(|(known, _)| *known == name).and_then(|(_, raw)| json::strict_value(raw).ok());
    if let Some(names) = attribute(ARRAY_DIMENSIONS).and_then(|value| strings(&value, rank)) {
        return Ok((Some(names.into_iter().map(Some).collect()), true));
    }
    for name in NCZARR {
        let inside = members.take(name).and_then(|raw| json::strict_value(&raw).ok());
        for nczarr in [inside, attribute(name)].into_iter().flatten() {
            let paths = REFERENCES.into_iter().find_map(|member| strings(nczarr.get(member)?, rank));
            if let Some(paths) = paths {
                let last = |path: String| Some(path.rsplit('/').next().unwrap_or_default().to_owned());
                return Ok((Some(paths.into_iter().map(last).collect()), false));
            }
        }
    }
    Ok((None, false))
}

/// A list of so many strings; none for everything else, which then is an attribute like any other.
fn strings(value: &Value, count: usize) -> Option<Vec<String>> {
    let items = value.as_array().filter(|items| items.len() == count)?;
    items.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}
