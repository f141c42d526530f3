//! `rezarr info`: an array as `zarr.Array.info` describes it, or a group.

use rezarr::{Array, Edge, Edges, Error, Group, Node, Region};
use serde_json::{Map, Value, json};

use crate::Answer;
use crate::args::InfoArgs;
use crate::output::{escaped, fault, human, json as print_json, line};

/// Stored chunks are looked up one by one only in grids of up to so many.
const COUNTED_CHUNKS: u128 = 1_000_000;

/// Prints the description.
pub(crate) fn run(args: &InfoArgs) -> Answer {
    let rows = match Node::open(&args.path)? {
        Node::Array(array) => array_rows(&array)?,
        Node::Group(group) => group_rows(&group)?,
    };
    if args.json {
        print_json(&rows.into_iter().map(|row| (row.member.to_owned(), row.value)).collect::<Map<_, _>>())?;
        return Ok(true);
    }
    let width = rows.iter().map(|row| row.label.len()).max().unwrap_or(0);
    for row in rows {
        // JSON has line breaks between its tokens; names and the like are to stay on their line.
        let text =
            if row.member == "attributes" { row.text.lines().map(escaped).collect::<Vec<_>>().join("\n") } else { escaped(&row.text) };
        line(&format!("{:<width$} : {text}", row.label))?;
    }
    Ok(true)
}

/// One line for people, one member for programs.
struct Row {
    label: &'static str,
    text: String,
    member: &'static str,
    value: Value,
}

fn row(label: &'static str, text: impl Into<String>, member: &'static str, value: impl Into<Value>) -> Row {
    Row { label, text: text.into(), member, value: value.into() }
}

fn tuple(shape: &[u64]) -> String {
    let parts: Vec<String> = shape.iter().map(u64::to_string).collect();
    if shape.len() == 1 { format!("({},)", parts[0]) } else { format!("({})", parts.join(", ")) }
}

fn array_rows(array: &Array) -> Result<Vec<Row>, Error> {
    let metadata = array.metadata();
    let layout = metadata.layout();
    let fill = metadata.fill_value().to_text(metadata.data_type());
    let mut rows = vec![
        row("Type", "Array", "node_type", "array"),
        row("Zarr format", metadata.zarr_format().to_string(), "zarr_format", metadata.zarr_format()),
        row("Data type", metadata.data_type().name(), "data_type", metadata.data_type().name()),
        row("Fill value", fill.clone(), "fill_value", fill),
        row("Shape", tuple(array.shape()), "shape", array.shape()),
    ];
    if let Some(shard) = &layout.shard_shape {
        rows.push(row("Shard shape", tuple(shard), "shard_shape", shard.clone()));
    }
    rows.push(row("Chunk shape", tuple(&layout.chunk_shape), "chunk_shape", layout.chunk_shape.clone()));
    if !array.grid().is_regular() {
        let edges: Vec<String> = array.grid().edges().into_iter().map(|edges| edges_text(edges).to_string()).collect();
        rows.push(row("Chunk edges", edges.join(", "), "chunk_edges", edges.clone()));
    }
    if let Some(names) = metadata.dimension_names() {
        let text: Vec<&str> = names.iter().map(|name| name.as_deref().unwrap_or("-")).collect();
        rows.push(row("Dimensions", text.join(", "), "dimension_names", json!(names)));
    }
    rows.push(row("Codecs", layout.codecs.to_string(), "codecs", layout.codecs.to_string()));
    rows.push(row("Store", array.path(), "path", array.path()));
    let raw = Region::whole(array.shape()).element_count().unwrap_or(u64::MAX).saturating_mul(metadata.data_type().item_size() as u64);
    // How long strings are is known only to who reads them.
    let raw = (!metadata.data_type().is_variable_length()).then_some(raw);
    rows.extend(raw.map(|raw| row("No. bytes", format!("{raw} ({})", human(raw)), "bytes", raw)));
    rows.extend(stored_rows(array, raw)?);
    Ok(rows)
}

/// The edges of an axis as `--chunks` takes them.
fn edges_text(edges: Edges) -> Edge {
    match edges {
        Edges::Repeat(edge) => Edge::Elements(edge),
        Edges::List(list) => Edge::List(list),
    }
}

fn stored_rows(array: &Array, raw: Option<u64>) -> Result<Vec<Row>, Error> {
    let count = array.grid().chunk_count();
    if count > COUNTED_CHUNKS {
        return Ok(vec![row("No. bytes stored", format!("not counted: {count} chunks"), "chunks", count.to_string())]);
    }
    let (mut stored, mut present) = (0_u64, 0_u64);
    let counts = array.grid().counts();
    let mut index = vec![0; counts.len()];
    for _ in 0..count {
        if let Some(bytes) = array.stored_chunk_bytes(&index)? {
            stored += bytes;
            present += 1;
        }
        for axis in (0..counts.len()).rev() {
            index[axis] += 1;
            if index[axis] < counts[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    let total = u64::try_from(count).unwrap_or(u64::MAX);
    let ratio = raw.map(|raw| if stored == 0 { 0.0 } else { raw as f64 / stored as f64 });
    let mut rows = vec![row("No. bytes stored", format!("{stored} ({})", human(stored)), "stored_bytes", stored)];
    rows.extend(ratio.map(|ratio| row("Storage ratio", format!("{ratio:.1}"), "storage_ratio", ratio)));
    rows.extend([
        row("Chunks initialized", format!("{present}/{total} ({} missing)", total - present), "chunks_initialized", present),
        row("Chunks", total.to_string(), "chunks", total),
    ]);
    Ok(rows)
}

fn group_rows(group: &Group) -> Result<Vec<Row>, Error> {
    let (mut arrays, mut groups, mut unread) = (Vec::new(), Vec::new(), Map::new());
    for (name, node) in group.children()? {
        match node {
            Ok(rezarr::NodeMetadata::Array(_)) => arrays.push(name),
            Ok(rezarr::NodeMetadata::Group(_)) => groups.push(name),
            Err(error) => {
                unread.insert(name, Value::from(fault(&error)));
            }
        }
    }
    let consolidated = group.metadata().is_consolidated();
    let mut rows = vec![
        row("Type", "Group", "node_type", "group"),
        row("Zarr format", group.metadata().zarr_format().to_string(), "zarr_format", group.metadata().zarr_format()),
        row("Store", group.path(), "path", group.path()),
        row("Consolidated", if consolidated { "yes" } else { "no" }, "consolidated", consolidated),
        row("Groups", groups.join(", "), "groups", groups),
        row("Arrays", arrays.join(", "), "arrays", arrays),
    ];
    if !unread.is_empty() {
        let text: Vec<String> = unread.iter().map(|(name, fault)| format!("{name} ({})", fault.as_str().unwrap_or_default())).collect();
        rows.push(row("Not readable", text.join(", "), "not_readable", unread));
    }
    rows.push(row("Attributes", group.attributes().as_json(), "attributes", Value::Object(group.attributes().to_map()?)));
    Ok(rows)
}
