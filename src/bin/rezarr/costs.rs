//! What work takes on this machine: measured by `rezarr plan --calibrate`, and kept in the user's cache directory.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use rezarr::{Costs, Error};

use crate::output::complain;

/// Where measured costs are kept; none without a home.
fn place() -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("rezarr").join("costs.json"))
}

/// The costs that were measured here, or those that are built in. A file that is not understood is a warning.
pub(crate) fn known() -> Costs {
    let Some((path, text)) = place().and_then(|path| fs::read_to_string(&path).ok().map(|text| (path, text))) else {
        return Costs::default();
    };
    let usable = |costs: &Costs| costs.is_sound();
    serde_json::from_str(&text).ok().filter(usable).unwrap_or_else(|| {
        complain(&format!("warning: {} is not understood and not used; measure again with `rezarr plan --calibrate`", path.display()));
        Costs::default()
    })
}

/// Measures, and keeps what was found. Returns it, and where it is kept.
pub(crate) fn calibrate(directory: &Path) -> Result<(Costs, Option<PathBuf>), Error> {
    let costs = Costs::measure(directory)?;
    let Some(path) = place() else { return Ok((costs, None)) };
    let fault = |source| Error::Io { op: "write", path: path.display().to_string(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(fault)?;
    }
    let text = serde_json::to_string_pretty(&costs).map_err(|error| fault(error.into()))?;
    fs::write(&path, text).map_err(fault)?;
    Ok((costs, Some(path)))
}
