//! A box of an array in brackets: `[0:10,:,5]`, `[-1]`, `[...,0]`.

use rezarr::{Error, Region};

/// Splits `path[selection]`; without brackets everything is selected.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
    match text.strip_suffix(']').and_then(|rest| rest.rfind('[').map(|at| (&rest[..at], &rest[at + 1..]))) {
        Some((path, selection)) if !path.is_empty() => (path, Some(selection)),
        _ => (text, None),
    }
}

/// The region that a selection means in an array of `shape`, and which axes it reduces to a single index.
pub(crate) fn resolve(selection: &str, shape: &[u64]) -> Result<Region, Error> {
    let fault = |what: String| Error::InvalidArgument { what: format!("selection [{selection}]: {what}") };
    let mut parts: Vec<&str> = if selection.trim().is_empty() { Vec::new() } else { selection.split(',').map(str::trim).collect() };
    match parts.iter().filter(|part| **part == "...").count() {
        0 => {}
        1 => {
            let missing = (shape.len() + 1).checked_sub(parts.len()).ok_or_else(|| fault(too_many(shape)))?;
            let at = parts.iter().position(|part| *part == "...").unwrap_or(0);
            parts.splice(at..=at, std::iter::repeat_n(":", missing));
        }
        _ => return Err(fault(String::from("`...` may stand once"))),
    }
    if parts.len() > shape.len() {
        return Err(fault(too_many(shape)));
    }
    parts.resize(shape.len(), ":");
    let mut bounds = Vec::with_capacity(shape.len());
    for (axis, part) in parts.iter().enumerate() {
        bounds.push(one(part, shape[axis]).map_err(|what| fault(format!("axis {axis}: {what}")))?);
    }
    let (start, len): (Vec<u64>, Vec<u64>) = bounds.into_iter().unzip();
    Region::new(start, len)
}

fn too_many(shape: &[u64]) -> String {
    format!("more parts than the {} axes of {shape:?}", shape.len())
}

/// Start and length of one part on an axis of `extent`.
fn one(part: &str, extent: u64) -> Result<(u64, u64), String> {
    let index = |text: &str| -> Result<i128, String> {
        let number: i128 = text.trim().parse().map_err(|_| format!("{part:?}: accepted are 5, -1, 0:10, 3:, :7 and `:`"))?;
        Ok(if number < 0 { number + i128::from(extent) } else { number })
    };
    let Some((from, to)) = part.split_once(':') else {
        let at = index(part)?;
        return match u64::try_from(at) {
            Ok(at) if at < extent => Ok((at, 1)),
            _ => Err(format!("index {part} is outside an axis of {extent}")),
        };
    };
    if to.contains(':') {
        return Err(format!("{part:?} has a step; boxes without steps are accepted"));
    }
    let clamp = |at: i128| u64::try_from(at.clamp(0, i128::from(extent))).unwrap_or(extent);
    let from = if from.trim().is_empty() { 0 } else { clamp(index(from)?) };
    let to = if to.trim().is_empty() { extent } else { clamp(index(to)?) };
    Ok((from, to.saturating_sub(from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: &[u64], shape: &[u64]) -> Region {
        Region::new(start, shape).unwrap()
    }

    #[test]
    fn selections_mean_what_numpy_means() {
        assert_eq!(resolve("0:10,:,5", &[20, 3, 6]).unwrap(), region(&[0, 0, 5], &[10, 3, 1]));
        assert_eq!(resolve("-1", &[20, 3]).unwrap(), region(&[19, 0], &[1, 3]));
        assert_eq!(resolve("...,0", &[4, 5, 6]).unwrap(), region(&[0, 0, 0], &[4, 5, 1]));
        assert_eq!(resolve("-3:,:100", &[4, 5]).unwrap(), region(&[1, 0], &[3, 5]));
        assert_eq!(resolve("3:2", &[4]).unwrap(), region(&[3], &[0]));
        assert_eq!(resolve("", &[]).unwrap(), region(&[], &[]));
    }

    #[test]
    fn what_cannot_be_selected_is_refused() {
        for text in ["4", "-5", "0:3:2", "a", "0,0", "...,...", "1.5"] {
            assert!(resolve(text, &[4]).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_may_hold_brackets() {
        assert_eq!(split("a/b[0:2]"), ("a/b", Some("0:2")));
        assert_eq!(split("a/b"), ("a/b", None));
        assert_eq!(split("a[1]/b[2]"), ("a[1]/b", Some("2")));
    }
}
