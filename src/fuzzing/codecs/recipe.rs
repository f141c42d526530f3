//! Arrays by choice: a few bytes choose a data type, a chunk shape and codecs from tables.
//!
//! A new codec or data type takes a line in one of the tables; seeds, and the bodies on codecs, documents and stores, follow.

use std::rc::Rc;

use serde_json::Value;

use crate::fuzzing::input::Input;
use crate::fuzzing::known;
use crate::metadata::ArrayMetadata;

/// A data type.
struct Type {
    /// The members `data_type` and `fill_value`.
    json: &'static str,
    fill: &'static str,
}

/// The shape of a chunk, and of the inner chunks where it is a shard.
pub(super) struct Shape {
    pub(super) chunk: &'static [u64],
    inner: &'static [u64],
}

/// A codec object, or several joined by commas; empty for none. In it, `$order` stands for the axes in reverse, `$inner` for the shape of
/// inner chunks, and `$ones` for that of inner chunks of one element.
struct Codec {
    json: &'static str,
    /// Whether each element comes back as it was.
    lossless: bool,
}

const fn lossless(json: &'static str) -> Codec {
    Codec { json, lossless: true }
}

const TYPES: &[Type] = &[
    Type { json: r#""uint16""#, fill: "7" },
    Type { json: r#""bool""#, fill: "true" },
    Type { json: r#""int8""#, fill: "-1" },
    Type { json: r#""uint64""#, fill: "18446744073709551615" },
    Type { json: r#""float16""#, fill: r#""0x7e01""# },
    Type { json: r#""float32""#, fill: r#""NaN""# },
    Type { json: r#""float64""#, fill: "-0.0" },
    Type { json: r#""complex64""#, fill: r#"[1,"Infinity"]"# },
    Type { json: r#""complex128""#, fill: r"[0,0]" },
    Type { json: r#""r24""#, fill: r#""AAEC""# },
    Type { json: r#"{"name":"raw_bytes","configuration":{"length_bytes":5}}"#, fill: "[1,2,3,4,5]" },
];

const SHAPES: &[Shape] = &[
    Shape { chunk: &[4, 6], inner: &[2, 3] },
    Shape { chunk: &[12], inner: &[4] },
    Shape { chunk: &[], inner: &[] },
    Shape { chunk: &[1], inner: &[1] },
    Shape { chunk: &[2, 3, 4], inner: &[1, 3, 2] },
    Shape { chunk: &[600], inner: &[60] },
    Shape { chunk: &[128, 64], inner: &[128, 32] },
];

const ARRAY_TO_ARRAY: &[Codec] = &[lossless(""), lossless(r#"{"name":"transpose","configuration":{"order":$order}}"#)];

const ARRAY_TO_BYTES: &[Codec] = &[
    lossless(r#"{"name":"bytes","configuration":{"endian":"little"}}"#),
    lossless(r#"{"name":"bytes","configuration":{"endian":"big"}}"#),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"codecs":[{"name":"bytes","configuration":{"endian":"little"}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}},"crc32c"]}}"#,
    ),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"index_location":"start",
        "codecs":[{"name":"bytes","configuration":{"endian":"big"}},{"name":"zstd","configuration":{"level":1,"checksum":false}},"crc32c"],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"big"}}]}}"#,
    ),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"codecs":[{"name":"sharding_indexed","configuration":{
        "chunk_shape":$ones,"codecs":[{"name":"bytes","configuration":{"endian":"little"}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}}]}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}},"crc32c","crc32c"]}}"#,
    ),
];

const BYTES_TO_BYTES: &[Codec] = &[
    lossless(""),
    lossless(r#"{"name":"crc32c"}"#),
    lossless(r#"{"name":"zstd","configuration":{"level":1,"checksum":true}}"#),
    lossless(r#"{"name":"zstd","configuration":{"level":-5}}"#),
    lossless(r#"{"name":"gzip","configuration":{"level":1}}"#),
];

/// Number of bytes that choose a recipe.
pub(in crate::fuzzing) const CHOICES: usize = 8;

/// An array that was chosen.
pub(in crate::fuzzing) struct Recipe {
    data_type: &'static Type,
    pub(super) shape: &'static Shape,
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
        self.codecs.iter().all(|codec| codec.lossless)
    }

    /// Whether the stored bytes end in the checksum of all others.
    pub(super) fn ends_in_checksum(&self) -> bool {
        self.codecs.last().is_some_and(|codec| codec.json == BYTES_TO_BYTES[1].json)
    }

    /// Rank of the array.
    pub(in crate::fuzzing) fn chunk_shape(&self) -> &'static [u64] {
        self.shape.chunk
    }

    /// The document of an array of this shape.
    pub(in crate::fuzzing) fn document(&self, shape: &[u64]) -> String {
        let list = |numbers: &[u64]| Value::from(numbers).to_string();
        let mut inner = self.shape.inner.to_vec();
        if self.transposed {
            inner.reverse();
        }
        let order = Value::from((0..inner.len()).rev().collect::<Vec<_>>()).to_string();
        let codecs: Vec<_> = self.codecs.iter().map(|codec| codec.json).collect();
        let ones = list(&vec![1; inner.len()]);
        let codecs = codecs.join(",").replace("$order", &order).replace("$inner", &list(&inner)).replace("$ones", &ones);
        format!(
            r#"{{"zarr_format":3,"node_type":"array","shape":{},"data_type":{},"chunk_grid":{{"name":"regular","configuration":{{"chunk_shape":{}}}}},
            "chunk_key_encoding":"default","fill_value":{},"codecs":[{codecs}]}}"#,
            list(shape),
            self.data_type.json,
            list(self.shape.chunk),
            self.data_type.fill,
        )
    }

    /// An array of one chunk; none where the parts do not fit each other.
    pub(super) fn build(&self) -> Option<Rc<ArrayMetadata>> {
        known::array(self.document(self.shape.chunk))
    }
}

/// Choices with which each line of each table occurs, beside the first of all others, and some of everything; only those that fit.
pub(in crate::fuzzing) fn choices() -> Vec<[u8; CHOICES]> {
    let tables: [usize; CHOICES] = [
        TYPES.len(),
        SHAPES.len(),
        ARRAY_TO_ARRAY.len(),
        ARRAY_TO_ARRAY.len(),
        ARRAY_TO_BYTES.len(),
        BYTES_TO_BYTES.len(),
        BYTES_TO_BYTES.len(),
        BYTES_TO_BYTES.len(),
    ];
    let mut all = vec![[0; CHOICES]];
    for (place, &len) in tables.iter().enumerate().filter(|(place, _)| ![3, 6, 7].contains(place)) {
        for choice in 1..u8::try_from(len).unwrap() {
            let mut one = [0; CHOICES];
            one[place] = choice;
            all.push(one);
        }
    }
    for mixed in 0..24_usize {
        let mut one = [0; CHOICES];
        for (place, &len) in tables.iter().enumerate() {
            one[place] = u8::try_from((mixed * (place + 3) + mixed / 3 + place) % len).unwrap();
        }
        all.push(one);
    }
    all.retain(|one| Recipe::choose(&mut Input::new(one)).build().is_some());
    all
}
