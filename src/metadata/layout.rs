//! How an array is cut into chunks and shards and encoded, apart from what it holds.

use serde_json::{Map, Value};

use crate::codec::{Codecs, Sharding};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// How an array is cut and encoded: what a rechunk changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Shape of the smallest unit that is read, in elements: the chunk, or in a sharded array the inner chunk.
    pub chunk_shape: Vec<u64>,
    /// Shape of a shard, in elements: a multiple of the chunk along each axis; none where chunks are stored singly.
    pub shard_shape: Option<Vec<u64>>,
    /// The codecs of a chunk, without sharding.
    pub codecs: Codecs,
}

impl Layout {
    /// The chunk shape of the grid, and the `codecs` member, for an array of `rank` dimensions.
    pub(super) fn to_codecs(&self, rank: usize, data_type: &DataType) -> Result<(Vec<u64>, Vec<NamedConfig>)> {
        check_edges("chunk", &self.chunk_shape, rank)?;
        if self.codecs.0.is_empty() {
            return Err(Error::invalid("an empty list of codecs; at least an array-to-bytes codec is needed"));
        }
        if self.codecs.0.iter().any(|codec| codec.name == Sharding::NAME) {
            return Err(Error::invalid("sharding_indexed in a list of codecs; give the shape of a shard instead"));
        }
        let codecs = self.codecs.for_type(data_type);
        let Some(shard_shape) = &self.shard_shape else { return Ok((self.chunk_shape.clone(), codecs)) };
        check_edges("shard", shard_shape, rank)?;
        for (axis, (shard, chunk)) in shard_shape.iter().zip(&self.chunk_shape).enumerate() {
            if !shard.is_multiple_of(*chunk) {
                return Err(Error::invalid(format!(
                    "axis {axis}: a chunk of {chunk} does not divide a shard of {shard}; the shard's edge must be a multiple"
                )));
            }
        }
        Ok((shard_shape.clone(), vec![Sharding::conservative(&self.chunk_shape, &codecs)]))
    }

    /// The layout of chunks of `chunk_shape` under valid `codecs`.
    ///
    /// Shards within shards come out as one level, from the outermost shard to the innermost chunk. Transpositions before a shard come out as
    /// the chunk's own, and so do codecs behind a shard: all that was done to the elements is kept.
    pub(super) fn from_codecs(chunk_shape: &[u64], codecs: &[NamedConfig]) -> Self {
        let Some(position) = codecs.iter().position(|codec| codec.name == Sharding::NAME) else {
            return Self { chunk_shape: chunk_shape.to_vec(), shard_shape: None, codecs: Codecs::of_any_type(codecs) };
        };
        let (before, sharding, after) = (&codecs[..position], &codecs[position].configuration, &codecs[position + 1..]);
        let unit = list(sharding, "chunk_shape", Value::as_u64);
        let unit = before.iter().rev().fold(unit, |shape, transpose| decoded_shape(&shape, &transpose.configuration));
        let mut flat = before.to_vec();
        flat.extend(list(sharding, "codecs", |codec| NamedConfig::from_json(codec).ok()));
        for codec in after {
            if !flat.contains(codec) {
                flat.push(codec.clone());
            }
        }
        Self { shard_shape: Some(chunk_shape.to_vec()), ..Self::from_codecs(&unit, &flat) }
    }
}

/// The shape before a transposition of the shape after it.
fn decoded_shape(encoded: &[u64], transpose: &Map<String, Value>) -> Vec<u64> {
    let order = list(transpose, "order", |axis| axis.as_u64().and_then(|axis| usize::try_from(axis).ok()));
    let mut decoded = encoded.to_vec();
    for (&edge, axis) in encoded.iter().zip(order) {
        if let Some(slot) = decoded.get_mut(axis) {
            *slot = edge;
        }
    }
    decoded
}

/// The entries of a list in a configuration that has been found valid.
fn list<T>(configuration: &Map<String, Value>, name: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    configuration.get(name).and_then(Value::as_array).map(|items| items.iter().filter_map(read).collect()).unwrap_or_default()
}

/// Chunks and shards have an edge of at least one element along each axis.
fn check_edges(what: &str, shape: &[u64], rank: usize) -> Result<()> {
    if shape.len() != rank {
        return Err(Error::invalid(format!("{what} shape {shape:?} has rank {}, the array has rank {rank}", shape.len())));
    }
    match shape.iter().position(|&edge| edge == 0) {
        Some(axis) => Err(Error::invalid(format!("{what} shape {shape:?}: axis {axis} is 0; at least 1 is accepted"))),
        None => Ok(()),
    }
}
