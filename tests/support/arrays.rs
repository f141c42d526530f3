//! Arrays in tests: documents of any form, and data by seed.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::path::Path;

use rezarr::{Array, ArrayMetadata, Codecs, DataType, FillValue, Layout, NodeMetadata, Region};
use serde_json::Value;

/// A layout from its shapes and the words for its codecs.
pub(crate) fn layout(chunk: &[u64], shard: Option<&[u64]>, codecs: &str) -> Layout {
    Layout { chunk_shape: chunk.to_vec(), shard_shape: shard.map(<[u64]>::to_vec), codecs: codecs.parse::<Codecs>().unwrap() }
}

/// The document of an array.
pub(crate) fn metadata(shape: &[u64], data_type: &str, fill: &str, layout: &Layout) -> ArrayMetadata {
    let data_type = DataType::parse(data_type).unwrap();
    let fill = FillValue::parse(&data_type, fill).unwrap();
    ArrayMetadata::new(shape, data_type, Some(fill), layout).unwrap()
}

/// A document changed as JSON.
pub(crate) fn edited(metadata: &ArrayMetadata, edit: impl FnOnce(&mut Value)) -> ArrayMetadata {
    let bytes = NodeMetadata::Array(Box::new(metadata.clone())).to_bytes().unwrap();
    let mut document = serde_json::from_slice(&bytes).unwrap();
    edit(&mut document);
    match NodeMetadata::from_bytes(document.to_string().as_bytes()).unwrap() {
        NodeMetadata::Array(metadata) => *metadata,
        NodeMetadata::Group(_) => unreachable!("an array document"),
    }
}

/// A well-mixed number (the finaliser of SplitMix64).
pub(crate) fn mixed(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Elements of a whole array by seed, valid for the type, and none of them the zero of the type.
pub(crate) fn elements(metadata: &ArrayMetadata, seed: u64) -> Vec<u8> {
    let count = Region::whole(metadata.shape()).element_count().unwrap();
    let bytes = usize::try_from(count).unwrap() * metadata.data_type().item_size();
    let byte = |position: usize| mixed(seed ^ position as u64).to_le_bytes()[0] | 1;
    (0..bytes).map(|position| if *metadata.data_type() == DataType::Bool { 1 } else { byte(position) }).collect()
}

/// All index vectors of a box from the origin, in C order.
pub(crate) fn indices(shape: &[u64]) -> Vec<Vec<u64>> {
    shape.iter().fold(vec![vec![]], |all, &len| {
        all.into_iter().flat_map(|index: Vec<u64>| (0..len).map(move |i| [index.as_slice(), &[i]].concat())).collect()
    })
}

/// Sets the elements of a region, in a buffer that holds a whole array, to `value`.
pub(crate) fn set_region(data: &mut [u8], shape: &[u64], region: &Region, value: &[u8]) {
    for index in indices(region.shape()) {
        let position = (0..shape.len()).fold(0, |position, axis| position * shape[axis] + region.start()[axis] + index[axis]);
        let at = usize::try_from(position).unwrap() * value.len();
        data[at..at + value.len()].copy_from_slice(value);
    }
}

/// Creates an array that holds `data`; chunks that are all fill are missing.
pub(crate) fn create(path: &Path, metadata: ArrayMetadata, data: &[u8]) -> Array {
    let array = Array::create(path, metadata).unwrap();
    array.write_bytes(&Region::whole(array.shape()), data).unwrap();
    array
}

/// All elements of the array at `path`.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    let array = Array::open(path).unwrap();
    array.read_bytes(&Region::whole(array.shape())).unwrap()
}
