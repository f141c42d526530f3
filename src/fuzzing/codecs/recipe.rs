//! Arrays by choice: a few bytes choose a data type, a chunk shape and codecs from tables.

use std::rc::Rc;

use serde_json::Value;

use super::tables::{ARRAY_TO_ARRAY, ARRAY_TO_BYTES, BYTES_TO_BYTES, CHECKSUMS, Codec, Loses, SHAPES, Shape, TYPES, Type};
use crate::fuzzing::input::Input;
use crate::fuzzing::known;
use crate::metadata::ArrayMetadata;

/// Number of bytes that choose a recipe.
pub(in crate::fuzzing) const CHOICES: usize = 8;

/// An array that was chosen.
pub(in crate::fuzzing) struct Recipe {
    data_type: &'static Type,
    shape: &'static Shape,
    codecs: Vec<&'static Codec>,
    transposed: bool,
}

impl Recipe {
    /// Takes [`CHOICES`] bytes.
    pub(in crate::fuzzing) fn choose(input: &mut Input<'_>) -> Self {
        let (data_type, shape) = (input.pick(TYPES), input.pick(SHAPES));
        let filters = [input.pick(ARRAY_TO_ARRAY), input.pick(ARRAY_TO_ARRAY)];
        let transposed = filters.iter().filter(|filter| filter.json.contains("$order")).count() == 1;
        let mut codecs = filters.to_vec();
        codecs.push(input.pick(ARRAY_TO_BYTES));
        codecs.extend([input.pick(BYTES_TO_BYTES), input.pick(BYTES_TO_BYTES), input.pick(BYTES_TO_BYTES)]);
        codecs.retain(|codec| !codec.json.is_empty());
        Self { data_type, shape, codecs, transposed }
    }

    /// Whether each element comes back as it was.
    pub(super) fn is_lossless(&self) -> bool {
        let fractions = ["float", "complex"].iter().any(|name| self.data_type.json.contains(name));
        self.codecs.iter().all(|codec| codec.loses == Loses::Nothing || (codec.loses == Loses::Fractions && !fractions))
    }

    /// Whether a codec behind one that casts takes something from elements.
    pub(super) fn loses_what_was_cast(&self) -> bool {
        let behind = self.codecs.iter().skip_while(|codec| !codec.json.contains("cast_value")).skip(1);
        behind.into_iter().any(|codec| codec.loses != Loses::Nothing)
    }

    /// Whether a codec takes whole elements alone, which do not come out of a compressor.
    pub(super) fn shuffles(&self) -> bool {
        self.codecs.iter().any(|codec| codec.json.contains("numcodecs.shuffle"))
    }

    /// The last codec, if all that it does is to add a checksum.
    pub(super) fn last_checksum(&self) -> Option<&'static str> {
        let last = self.codecs.last()?.json;
        CHECKSUMS.iter().any(|name| last.contains(name)).then_some(last).filter(|_| self.codecs.len() > 1)
    }

    /// Shape of the array, which is one chunk.
    pub(in crate::fuzzing) fn chunk_shape(&self) -> &'static [u64] {
        self.shape.chunk
    }

    /// The document of an array of this shape, in chunks that are all alike.
    pub(in crate::fuzzing) fn document(&self, shape: &[u64]) -> String {
        self.document_in(shape, &regular(self.shape.chunk))
    }

    /// The document of an array of this shape, along each axis of which chunks are as long as in a regular grid and three times that in turn.
    pub(in crate::fuzzing) fn rectilinear_document(&self, shape: &[u64]) -> String {
        let edges: Vec<String> = self.shape.chunk.iter().map(|edge| format!("[{edge},[{},1],[{edge},9]]", 3 * edge)).collect();
        let grid = format!(r#"{{"name":"rectilinear","configuration":{{"kind":"inline","chunk_shapes":[{}]}}}}"#, edges.join(","));
        self.document_in(shape, &grid)
    }

    fn document_in(&self, shape: &[u64], grid: &str) -> String {
        let list = |numbers: &[u64]| Value::from(numbers).to_string();
        let mut inner = self.shape.inner.to_vec();
        if self.transposed {
            inner.reverse();
        }
        let order = Value::from((0..inner.len()).rev().collect::<Vec<_>>()).to_string();
        let codecs: Vec<_> = self.codecs.iter().map(|codec| codec.json).collect();
        let codecs = codecs.join(",").replace("$order", &order).replace("$inner", &list(&inner)).replace("$numpy", self.data_type.numpy);
        let codecs = codecs.replace("$ones", &list(&vec![1; inner.len()]));
        document(self.data_type, (shape, grid), &codecs)
    }

    /// An array of one chunk; none where the parts do not fit each other.
    pub(super) fn build(&self) -> Option<Rc<ArrayMetadata>> {
        known::array(self.document(self.shape.chunk))
    }
}

fn regular(chunk: &[u64]) -> String {
    format!(r#"{{"name":"regular","configuration":{{"chunk_shape":{chunk:?}}}}}"#)
}

fn document(data_type: &Type, (shape, grid): (&[u64], &str), codecs: &str) -> String {
    format!(
        r#"{{"zarr_format":3,"node_type":"array","shape":{shape:?},"data_type":{},"chunk_grid":{grid},
        "chunk_key_encoding":"default","fill_value":{},"codecs":[{codecs}]}}"#,
        data_type.json, data_type.fill,
    )
}

/// An array of so many bytes that go through one codec alone.
pub(super) fn bytes_through(codec: &str, len: usize) -> Option<Rc<ArrayMetadata>> {
    let byte = TYPES.iter().find(|known| known.json.contains("int8"))?;
    known::array(document(byte, (&[len as u64], &regular(&[len as u64])), &format!("\"bytes\",{codec}")))
}

/// Choices with which each line of each table occurs, with the first data type and filter that it fits; and some of everything. Only
/// those that can be built.
pub(in crate::fuzzing) fn choices() -> Vec<[u8; CHOICES]> {
    let fits = |one: &[u8; CHOICES]| Recipe::choose(&mut Input::new(one)).build().is_some();
    let count = |len: usize| 0..u8::try_from(len).expect("tables of at most 255 lines");
    let mut all = Vec::new();
    let mut add = |mut lines: &mut dyn Iterator<Item = [u8; CHOICES]>| all.extend(Iterator::find(&mut lines, fits));
    for data_type in count(TYPES.len()) {
        add(&mut count(ARRAY_TO_BYTES.len()).map(|codec| [data_type, 0, 0, 0, codec, 2, 0, 0]));
    }
    count(SHAPES.len()).for_each(|shape| add(&mut [[0, shape, 0, 0, 2, 0, 0, 0]].into_iter()));
    count(ARRAY_TO_ARRAY.len()).for_each(|filter| add(&mut count(TYPES.len()).map(|data_type| [data_type, 1, filter, 0, 0, 0, 0, 0])));
    count(ARRAY_TO_BYTES.len()).for_each(|codec| add(&mut count(TYPES.len()).map(|data_type| [data_type, 4, 1, 0, codec, 0, 0, 0])));
    count(BYTES_TO_BYTES.len()).for_each(|codec| add(&mut [[0, 5, 0, 0, 0, codec, 0, 0]].into_iter()));
    for mixed in 0..40_u8 {
        let at = |factor: u8, len: usize| mixed.wrapping_mul(factor).wrapping_add(mixed / 5) % u8::try_from(len).unwrap_or(1);
        let filters = [at(5, ARRAY_TO_ARRAY.len()), at(3, 2)];
        let behind = [at(7, BYTES_TO_BYTES.len()), at(11, BYTES_TO_BYTES.len()), at(13, 3)];
        let choose = |codec| [at(1, 12), at(3, 5), filters[0], filters[1], codec, behind[0], behind[1], behind[2]];
        add(&mut count(ARRAY_TO_BYTES.len()).map(choose));
    }
    all
}

/// Whether there is a choice for each line of each table.
#[cfg(test)]
pub(in crate::fuzzing) fn lines_without_choice() -> Vec<&'static str> {
    let chosen: Vec<Recipe> = choices().iter().map(|one| Recipe::choose(&mut Input::new(one))).collect();
    let codecs = ARRAY_TO_ARRAY.iter().chain(ARRAY_TO_BYTES).chain(BYTES_TO_BYTES).map(|codec| codec.json);
    let named = |json: &&str| !chosen.iter().any(|recipe| recipe.codecs.iter().any(|codec| codec.json == *json));
    let types = TYPES.iter().map(|data_type| data_type.json);
    let typed = |json: &&str| !chosen.iter().any(|recipe| recipe.data_type.json == *json);
    codecs.filter(|json| !json.is_empty()).filter(named).chain(types.filter(typed)).collect()
}
