//! `.zarray`: the document of an array, as that of Zarr v3 which says the same.

use serde_json::Value;

use super::codecs::Source;
use super::{Origin, check_format, mask, names};
use crate::codec;
use crate::dtype::{ByteOrder, DataType, V2Dtype, V2Type, fill_from_v2, from_v2};
use crate::error::{Error, Result};
use crate::grid::{ChunkGrid, ChunkKeyEncoding};
use crate::json::{self, Members, brief};
use crate::metadata::document::{ArrayDocument, read, read_shape};
use crate::metadata::grid::check_chunk_bytes;
use crate::metadata::{ArrayMetadata, Attributes, dialect};

/// Why filters can keep an array from being Zarr v3.
const UNSAID_ORDER: &str = "its byte order is another one than that which its first filter states, which Zarr v3 cannot say; `rezarr rechunk` \
                            writes a copy";

/// Reads the members of a `.zarray`.
pub(super) fn from_members(mut members: Members, attributes: Attributes) -> Result<ArrayMetadata> {
    check_format(&members.require("zarr_format")?)?;
    let shape = read(&mut members, "shape", read_shape)?;
    let chunk_shape = read(&mut members, "chunks", |value| read_chunks(value, &shape))?;
    let dtype = members.require("dtype")?;
    let (filters, compressor) = (members.take_value("filters")?, members.take_value("compressor")?);
    let source = Source::new(filters.as_ref(), compressor.as_ref())?;
    let V2Type { data_type, order } = match from_v2(&dtype).map_err(|error| error.within("/dtype"))? {
        V2Dtype::Fixed(fixed) => fixed,
        V2Dtype::Object => V2Type { data_type: source.object_type()?, order: ByteOrder::None },
    };
    check_chunk_bytes(&chunk_shape, data_type.item_size()).map_err(|fault| Error::metadata("/chunks", fault))?;
    let reversed = is_reversed(members.take_value("order")?.as_ref())?;
    let chain = source.chain(&data_type, order.clone(), shape.len(), reversed)?;
    let stated = members.take_value("fill_value")?.filter(|value| !value.is_null());
    let fill = fill_from_v2(&data_type, &order, stated.as_ref()).map_err(|error| error.within("/fill_value"))?;
    let separator = read_separator(members.take_value("dimension_separator")?.as_ref())?;
    let (dimension_names, named_by_attribute) = names::find(&mut members, &attributes, shape.len())?;
    let masked = mask::said(&attributes, &data_type, &order, stated.is_some().then_some(&fill), named_by_attribute)?;
    let v3_attributes =
        if named_by_attribute { Some(masked.as_ref().unwrap_or(&attributes).with_member(names::ARRAY_DIMENSIONS, None)?) } else { masked };
    let document = ArrayDocument {
        grid: ChunkGrid::regular(shape, chunk_shape)?,
        raw_bytes: dialect::has(&data_type),
        data_type,
        key_encoding: ChunkKeyEncoding::V2 { separator },
        fill,
        codecs: chain.codecs.clone(),
        attributes,
        dimension_names,
        extra: Members::default(),
    };
    let obstacle = obstacle(&dtype, &document.data_type, &order).map(str::to_owned);
    let order = match order {
        ByteOrder::None | ByteOrder::Little => codec::ByteOrder::Little,
        ByteOrder::Big => codec::ByteOrder::Big,
        ByteOrder::Mixed(units) => codec::ByteOrder::Mixed(units.into_iter().filter_map(|(unit, big)| big.then_some(unit)).collect()),
    };
    let metadata = ArrayMetadata::from_document_in_order(document, Some(&order)).map_err(|error| chain.locate(error))?;
    let unsaid = (!metadata.codecs.is_in_metadata()).then(|| String::from(UNSAID_ORDER));
    Ok(metadata.with_origin(Origin { v3_attributes, obstacle: obstacle.or(unsaid) }))
}

/// Why stored elements of this type are none of Zarr v3 (FMT-V2-22).
fn obstacle(dtype: &Value, data_type: &DataType, order: &ByteOrder) -> Option<&'static str> {
    match (data_type, order) {
        (DataType::Struct(_), ByteOrder::Mixed(_)) => {
            Some("some of its fields are little endian and others big, which Zarr v3 cannot say; `rezarr rechunk` writes a copy")
        }
        (DataType::Struct(_), ByteOrder::Big) => {
            Some("a struct in big endian, which zarr-python before 3.3 reads wrongly from Zarr v3; `rezarr rechunk` writes a copy")
        }
        (DataType::Struct(_), _) if has_array_fields(dtype) => {
            Some("a field of it is an array, which Zarr v3 has no type for; `rezarr rechunk` writes a copy with a field for each element")
        }
        _ => None,
    }
}

/// Whether a list of fields has one with a shape, at any depth. It has been read, so that its depth is limited.
fn has_array_fields(dtype: &Value) -> bool {
    let fields = dtype.as_array().map(Vec::as_slice).unwrap_or_default();
    fields.iter().filter_map(Value::as_array).any(|field| field.len() > 2 || field.get(1).is_some_and(has_array_fields))
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
