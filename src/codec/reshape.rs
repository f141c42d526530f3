//! The `reshape` codec: the same elements in the same order, in another shape.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::json::{NamedConfig, brief};
use crate::region::{MAX_RANK, element_count};

/// The name of the codec.
pub(super) const NAME: &str = "reshape";

/// What the codec object says of one axis of the new shape.
enum Axis {
    Size(u64),
    /// The product of these axes of the old shape.
    Of(Vec<usize>),
    /// Whatever is left over.
    Rest,
}

/// Reads the codec object, and makes the new shape of `old`; where that stands for any shape, one that does so too, of the right rank.
pub(super) fn encoded_shape(config: &NamedConfig, old: &[u64], stands_in: bool) -> Result<Vec<u64>> {
    config.only(&["shape"])?;
    let at = "/configuration/shape";
    let accepted = "accepted are positive numbers, lists of axes in increasing order, and -1 once";
    let axes = match config.configuration.get("shape") {
        Some(Value::Array(axes)) if axes.len() <= MAX_RANK => axes,
        Some(other) => return Err(Error::metadata(at, format!("{}; expected a list of at most {MAX_RANK} entries", brief(other)))),
        None => return Err(Error::metadata(at, "missing; this member is mandatory")),
    };
    let rank = if stands_in { MAX_RANK } else { old.len() };
    let mut new = Vec::with_capacity(axes.len());
    for (i, value) in axes.iter().enumerate() {
        let axis = read(value, rank).ok_or_else(|| Error::metadata(format!("{at}/{i}"), format!("{}; {accepted}", brief(value))))?;
        new.push(axis);
    }
    if stands_in {
        return Ok(vec![1; new.len()]);
    }
    let does_not_fit = || Error::metadata(at, format!("the elements of a chunk of shape {old:?} do not fit; {accepted}"));
    let shape = sizes(&new, old).ok_or_else(does_not_fit)?;
    if element_count(&shape).is_none_or(|count| Some(count) != element_count(old)) || !lists_are_in_place(&new, &shape, old) {
        return Err(does_not_fit());
    }
    Ok(shape)
}

fn read(value: &Value, rank: usize) -> Option<Axis> {
    match value {
        Value::Array(axes) => {
            let axes =
                axes.iter().map(|axis| usize::try_from(axis.as_u64()?).ok().filter(|axis| *axis < rank)).collect::<Option<Vec<_>>>()?;
            Some(Axis::Of(axes))
        }
        _ if value.as_i64() == Some(-1) => Some(Axis::Rest),
        _ => value.as_u64().filter(|size| *size > 0).map(Axis::Size),
    }
}

/// The new shape; none where a product is too large, or there is no size for what is left over.
fn sizes(new: &[Axis], old: &[u64]) -> Option<Vec<u64>> {
    let known = |axis: &Axis| match axis {
        Axis::Size(size) => Some(*size),
        Axis::Of(axes) => element_count(&axes.iter().map(|&axis| old[axis]).collect::<Vec<_>>()),
        Axis::Rest => Some(1),
    };
    let mut shape = new.iter().map(known).collect::<Option<Vec<_>>>()?;
    let mut rest = new.iter().enumerate().filter(|(_, axis)| matches!(axis, Axis::Rest));
    match (rest.next(), rest.next()) {
        (None, _) => {}
        (Some((position, _)), None) => {
            let (all, so_far) = (element_count(old)?, element_count(&shape)?);
            shape[position] = all.checked_div(so_far).filter(|size| *size > 0)?;
        }
        _ => return None,
    }
    Some(shape)
}

/// Whether axes that are named by the old ones that they are made of lie where these lie.
fn lists_are_in_place(new: &[Axis], shape: &[u64], old: &[u64]) -> bool {
    let mut next = 0;
    new.iter().enumerate().all(|(i, axis)| {
        let Axis::Of(axes) = axis else { return true };
        let increasing = axes.iter().all(|&axis| std::mem::replace(&mut next, axis + 1) <= axis);
        let (Some(first), Some(last)) = (axes.first(), axes.last()) else { return increasing };
        let before = element_count(&shape[..i]) == element_count(&old[..*first]);
        increasing && before && element_count(&shape[i + 1..]) == element_count(&old[last + 1..])
    })
}
