//! `.zarray`: the document of an array, as that of Zarr v3 which says the same.

use serde_json::Value;

use super::codecs::Source;
use super::dtype::{ByteOrder, V2Type, fill_from_v2, from_v2};
use super::{Origin, check_format, names};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::grid::ChunkKeyEncoding;
use crate::json::{self, Members, brief};
use crate::metadata::document::{ArrayDocument, check_chunk_bytes, read, read_shape};
use crate::metadata::{ArrayMetadata, Attributes};

/// Reads the members of a `.zarray`.
pub(super) fn from_members(mut members: Members, attributes: Attributes) -> Result<ArrayMetadata> {
    check_format(&members.require("zarr_format")?)?;
    let shape = read(&mut members, "shape", read_shape)?;
    let chunk_shape = read(&mut members, "chunks", |value| read_chunks(value, &shape))?;
    let dtype = members.require("dtype")?;
    let (filters, compressor) = (members.take_value("filters")?, members.take_value("compressor")?);
    let source = Source::new(filters.as_ref(), compressor.as_ref())?;
    let V2Type { data_type, order } = element_type(&dtype, &source).map_err(|error| error.within("/dtype"))?;
    check_chunk_bytes(&chunk_shape, data_type.item_size()).map_err(|fault| Error::metadata("/chunks", fault))?;
    let reversed = is_reversed(members.take_value("order")?.as_ref())?;
    let chain = source.chain(&data_type, order, shape.len(), reversed)?;
    let fill = members.take_value("fill_value")?;
    let fill = fill_from_v2(&data_type, fill.as_ref()).map_err(|error| error.within("/fill_value"))?;
    let separator = read_separator(members.take_value("dimension_separator")?.as_ref())?;
    let (dimension_names, named_by_attribute) = names::find(&mut members, &attributes, shape.len())?;
    let v3_attributes = if named_by_attribute { Some(attributes.without(names::ARRAY_DIMENSIONS)?) } else { None };
    let document = ArrayDocument {
        shape,
        // The name that zarr-python knows.
        raw_bytes: matches!(data_type, DataType::Raw { .. }),
        data_type,
        chunk_shape,
        key_encoding: ChunkKeyEncoding::V2 { separator },
        fill,
        codecs: chain.codecs.clone(),
        attributes,
        dimension_names,
        extra: Members::default(),
    };
    let metadata = ArrayMetadata::from_document(document).map_err(|error| chain.locate(error))?;
    Ok(metadata.with_origin(Origin { v3_attributes }))
}

fn element_type(dtype: &Value, source: &Source<'_>) -> Result<V2Type> {
    if matches!(dtype.as_str(), Some("|O" | "O" | "<O" | ">O" | "=O" | "object")) {
        return Ok(V2Type { data_type: source.object_type()?, order: ByteOrder::None });
    }
    from_v2(dtype)
}

/// The shape of a chunk. Along an axis without elements, 0 stands for any (FMT-V2-4).
fn read_chunks(value: &Value, shape: &[u64]) -> Result<Vec<u64>> {
    let mut chunks = json::u64_list(value)?;
    if chunks.len() != shape.len() {
        return Err(Error::metadata("", format!("{chunks:?} has rank {}, but the array has rank {}", chunks.len(), shape.len())));
    }
    for (axis, (edge, &extent)) in chunks.iter_mut().zip(shape).enumerate() {
        if *edge == 0 && extent > 0 {
            return Err(Error::metadata(format!("/{axis}"), "0; a chunk has at least one element along an axis that has any"));
        }
        *edge = (*edge).max(1);
    }
    Ok(chunks)
}

fn is_reversed(value: Option<&Value>) -> Result<bool> {
    match value {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(order)) if order == "C" => Ok(false),
        Some(Value::String(order)) if order == "F" => Ok(true),
        Some(other) => Err(Error::metadata("/order", format!("{}; expected \"C\" or \"F\"", brief(other)))),
    }
}

fn read_separator(value: Option<&Value>) -> Result<char> {
    match value {
        None | Some(Value::Null) => Ok('.'),
        Some(Value::String(separator)) if separator == "." => Ok('.'),
        Some(Value::String(separator)) if separator == "/" => Ok('/'),
        Some(other) => Err(Error::metadata("/dimension_separator", format!("{}; expected \".\" or \"/\"", brief(other)))),
    }
}
