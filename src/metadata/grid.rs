//! The `chunk_grid` member: `regular`, or the extension `rectilinear` with its edges inline.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::grid::{ChunkGrid, EdgeRuns, Edges};
use crate::json::{self, NamedConfig, brief};
use crate::region::element_count;

const REGULAR: &str = "regular";
const RECTILINEAR: &str = "rectilinear";

/// Reads the chunk grid of an array of `shape`; pointers of errors are relative to the member.
pub(super) fn read(value: &Value, shape: &[u64], item_size: usize) -> Result<ChunkGrid> {
    let named = NamedConfig::from_json_mandatory(value)?;
    match named.name.as_str() {
        REGULAR => read_regular(&named, shape, item_size),
        RECTILINEAR => read_rectilinear(&named, shape, item_size),
        other => Err(Error::unsupported(format!("chunk grid {other:?}; supported are {REGULAR:?} and {RECTILINEAR:?}"))),
    }
}

/// The member, in the form that every reader of its kind of grid accepts.
pub(super) fn to_json(grid: &ChunkGrid) -> Value {
    if grid.is_regular() {
        return json!({"name": REGULAR, "configuration": {"chunk_shape": grid.chunk_shape()}});
    }
    let shapes: Vec<Value> = grid.edges().iter().map(edges_to_json).collect();
    json!({"name": RECTILINEAR, "configuration": {"kind": "inline", "chunk_shapes": shapes}})
}

fn edges_to_json(edges: &Edges) -> Value {
    match edges {
        Edges::Repeat(edge) => Value::from(*edge),
        Edges::List(list) => list.runs().map(|(edge, count)| if count == 1 { Value::from(edge) } else { json!([edge, count]) }).collect(),
    }
}

fn read_regular(named: &NamedConfig, shape: &[u64], item_size: usize) -> Result<ChunkGrid> {
    named.only(&["chunk_shape"])?;
    let at = "/configuration/chunk_shape";
    let value = named.configuration.get("chunk_shape").ok_or_else(|| Error::metadata(at, "missing; this member is mandatory"))?;
    let chunk_shape = json::u64_list(value).map_err(|error| error.within(at))?;
    if chunk_shape.len() != shape.len() {
        return Err(Error::metadata(at, format!("{chunk_shape:?} has rank {}, but the array has rank {}", chunk_shape.len(), shape.len())));
    }
    if let Some(axis) = chunk_shape.iter().position(|&edge| edge == 0) {
        return Err(Error::metadata(format!("{at}/{axis}"), "0; a chunk has at least one element along each axis"));
    }
    check_chunk_bytes(&chunk_shape, item_size).map_err(|fault| Error::metadata(at, fault))?;
    ChunkGrid::regular(shape, chunk_shape)
}

fn read_rectilinear(named: &NamedConfig, shape: &[u64], item_size: usize) -> Result<ChunkGrid> {
    named.only(&["kind", "chunk_shapes"])?;
    match named.configuration.get("kind") {
        Some(Value::String(kind)) if kind == "inline" => {}
        other => {
            let found = other.map_or_else(|| "missing".to_owned(), brief);
            return Err(Error::metadata("/configuration/kind", format!("{found}; expected \"inline\"")));
        }
    }
    let at = "/configuration/chunk_shapes";
    let wrong = |what: String| Error::metadata(at, what);
    let axes = match named.configuration.get("chunk_shapes") {
        Some(Value::Array(axes)) if axes.len() == shape.len() => axes,
        Some(Value::Array(axes)) => return Err(wrong(format!("edges of {} axes, but the array has rank {}", axes.len(), shape.len()))),
        Some(other) => return Err(wrong(format!("{}; expected a list", brief(other)))),
        None => return Err(wrong("missing; this member is mandatory".to_owned())),
    };
    let edges: Result<Vec<Edges>> =
        axes.iter().enumerate().map(|(axis, value)| read_edges(value).map_err(|error| error.within(&format!("{at}/{axis}")))).collect();
    let grid = ChunkGrid::rectilinear(shape, edges?).map_err(|error| as_metadata(at, error))?;
    check_chunk_bytes(grid.chunk_shape(), item_size).map_err(|fault| Error::metadata(at, fault))?;
    Ok(grid)
}

/// One axis: an edge that repeats, or a list of edges and `[edge, count]` runs.
fn read_edges(value: &Value) -> Result<Edges> {
    let positive = |value: &Value| value.as_u64().filter(|&number| number > 0);
    match value {
        Value::Array(items) => {
            let runs: Result<Vec<(u64, u64)>> = items
                .iter()
                .enumerate()
                .map(|(position, item)| {
                    let run = match item.as_array().map(Vec::as_slice) {
                        None => positive(item).map(|edge| (edge, 1)),
                        Some([edge, count]) => positive(edge).zip(positive(count)),
                        Some(_) => None,
                    };
                    run.ok_or_else(|| {
                        let what = format!("{}; expected an edge of at least 1, or [edge, count]", brief(item));
                        Error::metadata(format!("/{position}"), what)
                    })
                })
                .collect();
            EdgeRuns::new(runs?).map(Edges::List).map_err(|error| as_metadata("", error))
        }
        other => positive(other)
            .map(Edges::Repeat)
            .ok_or_else(|| Error::metadata("", format!("{}; expected an edge of at least 1, or a list of edges", brief(other)))),
    }
}

fn as_metadata(pointer: &str, error: Error) -> Error {
    match error {
        Error::InvalidArgument { what } => Error::metadata(pointer, what),
        other => other,
    }
}

/// A chunk must be addressable; an array need not be, since chunks that were never written take no space.
pub(super) fn check_chunk_bytes(chunk_shape: &[u64], item_size: usize) -> Result<(), String> {
    let bytes = element_count(chunk_shape).and_then(|count| count.checked_mul(item_size as u64));
    match bytes {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(format!("{chunk_shape:?} elements of {item_size} bytes; a chunk has at most {} bytes", isize::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rectilinear(shapes: Value) -> Value {
        json!({"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": shapes}})
    }

    /// FMT-GR-1.
    #[test]
    fn runs_come_back_as_runs() {
        let value = rectilinear(json!([[31, [28, 2], 1], 4]));
        let grid = read(&value, &[60, 9], 8).unwrap();
        assert_eq!(grid.counts(), [3, 3]);
        assert_eq!(to_json(&grid), value);
        let far = read(&rectilinear(json!([[[1, 1_u64 << 40]]])), &[1 << 40], 1).unwrap();
        assert_eq!(far.chunk_count(), 1 << 40);
        let merged = read(&rectilinear(json!([[2, 2, [2, 3]]])), &[10], 1).unwrap();
        assert_eq!(to_json(&merged), rectilinear(json!([[[2, 5]]])));
        // Edges that all repeat make a regular grid.
        assert!(read(&rectilinear(json!([4, 3])), &[9, 9], 1).unwrap().is_regular());
        assert_eq!(read(&rectilinear(json!([])), &[], 1).unwrap().chunk_count(), 1);
    }

    /// FMT-GR-2.
    #[test]
    fn what_is_no_grid_is_refused_where_it_stands() {
        for (shapes, pointer) in [
            (json!([[31, 28]]), "/configuration/chunk_shapes"),
            (json!([]), "/configuration/chunk_shapes"),
            (json!(3), "/configuration/chunk_shapes"),
            (json!([0]), "/configuration/chunk_shapes/0"),
            (json!([-1]), "/configuration/chunk_shapes/0"),
            (json!([1.0]), "/configuration/chunk_shapes/0"),
            (json!(["1"]), "/configuration/chunk_shapes/0"),
            (json!([[]]), "/configuration/chunk_shapes/0"),
            (json!([[60, 0]]), "/configuration/chunk_shapes/0/1"),
            (json!([[60, [1, 0]]]), "/configuration/chunk_shapes/0/1"),
            (json!([[[60]]]), "/configuration/chunk_shapes/0/0"),
            (json!([[[60, 1, 1]]]), "/configuration/chunk_shapes/0/0"),
            (json!([[[1_u64 << 40, 1_u64 << 40]]]), "/configuration/chunk_shapes/0"),
            (json!([[[1_u64 << 62, 1]]]), "/configuration/chunk_shapes"),
        ] {
            match read(&rectilinear(shapes.clone()), &[60], 8) {
                Err(Error::Metadata { pointer: at, .. }) => assert_eq!(at, pointer, "{shapes}"),
                other => panic!("{shapes}: {other:?}"),
            }
        }
        let other_kind = json!({"name": "rectilinear", "configuration": {"kind": "file", "chunk_shapes": [4]}});
        assert!(matches!(read(&other_kind, &[60], 8), Err(Error::Metadata { pointer, .. }) if pointer == "/configuration/kind"));
        assert!(matches!(read(&json!("hexagonal"), &[60], 8), Err(Error::Unsupported { .. }) | Err(Error::Metadata { .. })));
    }
}
