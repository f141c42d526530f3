//! The `sharding_indexed` codec: inner chunks in any order, and an index that says where each one lies.
//!
//! The codec sees the axes that the transpositions before it leave. Here everything is in array axes instead: those transpositions are
//! put before the inner codecs, which makes the same bytes of an inner chunk, and only the order of the index keeps the codec's axes.
//! The inner chunks of this level are its *units*. Where these are shards themselves, a reader goes on into them by their own indexes; what
//! is encoded or decoded here, is so whole.

use std::ops::Range;

use serde_json::{Map, Value};

use crate::buffer::{make_room, resize};
use crate::codec::scratch::Scratch;
use crate::codec::transpose::Transpose;
use crate::codec::vlen::most_bytes;
use crate::codec::{ArrayToBytes, ByteOrder, CodecPipeline, Sink, build, configuration};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::{BoxLayout, MAX_RANK, copy_box, to_usize};

mod index;
mod making;
mod pages;
mod ragged;

use index::{IndexCodecs, MAX_INDEX_ENTRIES};

pub(crate) use index::ShardIndex;
pub(crate) use making::{IndexWriter, Spill};
pub(crate) use pages::IndexReader;

/// The deepest that shards may lie within shards.
const MAX_DEPTH: usize = 4;

/// The codec for shards of one shape.
#[derive(Clone, Debug)]
pub(crate) struct Sharding {
    /// Transpositions before the shard, then the inner codecs, over one inner chunk in array axes.
    unit: CodecPipeline,
    /// How many of the transpositions of `unit` come before the shard.
    outer: usize,
    /// Number of inner chunks along each array axis.
    units_per_chunk: Vec<u64>,
    /// The codec's axis `i` is array axis `order[i]`.
    order: Vec<usize>,
    /// How far the position in the index moves along each array axis.
    position_strides: Vec<u64>,
    index: IndexCodecs,
    index_at_start: bool,
}

/// What the codec stands in.
pub(super) struct Surroundings<'a> {
    /// The transpositions before the shard.
    pub(super) transposes: &'a [Transpose],
    /// Shape of the shard in array axes.
    pub(super) chunk_shape: &'a [u64],
    pub(super) data_type: &'a DataType,
    pub(super) fill: &'a FillValue,
    /// How many shards this one lies in.
    pub(super) depth: usize,
    /// The byte order that a Zarr v2 document states; none in Zarr v3.
    pub(super) order: Option<&'a ByteOrder>,
}

impl Sharding {
    pub(crate) const NAME: &'static str = "sharding_indexed";

    /// Reads the codec object.
    pub(super) fn from_metadata(config: &NamedConfig, around: &Surroundings<'_>) -> Result<Self> {
        config.only(&["chunk_shape", "codecs", "index_codecs", "index_location"])?;
        if around.depth >= MAX_DEPTH {
            return Err(Error::unsupported(format!("shards nested more than {MAX_DEPTH} deep")));
        }
        let rank = around.chunk_shape.len();
        let order = Transpose::compose(around.transposes, rank);
        let outer_shape: Vec<u64> = order.iter().map(|&axis| around.chunk_shape[axis]).collect();
        let inner_shape = inner_shape(config, &outer_shape)?;
        let counts: Vec<u64> = outer_shape.iter().zip(&inner_shape).map(|(outer, inner)| outer / inner).collect();
        let unit_count = counts.iter().try_fold(1_u64, |product, &count| product.checked_mul(count));
        let Some(unit_count) = unit_count.filter(|&count| count <= MAX_INDEX_ENTRIES) else {
            let what = format!("shards of {counts:?} inner chunks; at most {MAX_INDEX_ENTRIES} inner chunks a shard are supported");
            return Err(Error::unsupported(what));
        };
        let (mut unit_shape, mut units_per_chunk, mut position_strides) = (vec![0; rank], vec![0; rank], vec![0; rank]);
        let mut step = 1;
        for (i, &axis) in order.iter().enumerate().rev() {
            (unit_shape[axis], units_per_chunk[axis], position_strides[axis]) = (inner_shape[i], counts[i], step);
            step *= counts[i];
        }
        let within = |member: &'static str| move |error: Error| error.within(&format!("/configuration/{member}"));
        let inner = configuration::codecs(config, "codecs")?;
        let around = Surroundings { chunk_shape: &unit_shape, depth: around.depth + 1, ..*around };
        let unit = build::pipeline(&inner, &around).map_err(within("codecs"))?;
        let index = configuration::codecs(config, "index_codecs")?;
        let index = IndexCodecs::from_metadata(&index, to_usize(unit_count)).map_err(within("index_codecs"))?;
        let index_at_start = index_at_start(config)?;
        let outer = around.transposes.len();
        Ok(Self { unit, outer, units_per_chunk, order, position_strides, index, index_at_start })
    }

    /// The codec object.
    pub(super) fn to_metadata(&self) -> NamedConfig {
        let list = |codecs: &[NamedConfig]| Value::Array(codecs.iter().map(NamedConfig::to_json).collect());
        let inner_shape = self.order.iter().map(|&axis| Value::from(self.unit_shape()[axis])).collect();
        let mut configuration = Map::new();
        configuration.insert("chunk_shape".to_owned(), Value::Array(inner_shape));
        configuration.insert("codecs".to_owned(), list(&self.unit.to_metadata()[self.outer..]));
        configuration.insert("index_codecs".to_owned(), list(&self.index.to_metadata()));
        configuration.insert("index_location".to_owned(), Value::from(if self.index_at_start { "start" } else { "end" }));
        NamedConfig::new(Self::NAME, configuration)
    }

    /// A codec object in the form that every reader accepts: inner chunks of `inner_shape` through `codecs`, checked index at the end.
    pub(crate) fn conservative(inner_shape: &[u64], codecs: &[NamedConfig]) -> NamedConfig {
        let list = |codecs: &[NamedConfig]| Value::Array(codecs.iter().map(NamedConfig::to_json).collect());
        let mut configuration = Map::new();
        configuration.insert("chunk_shape".to_owned(), Value::from(inner_shape));
        configuration.insert("codecs".to_owned(), list(codecs));
        configuration.insert("index_codecs".to_owned(), list(&IndexCodecs::conservative()));
        configuration.insert("index_location".to_owned(), Value::from("end"));
        NamedConfig::new(Self::NAME, configuration)
    }

    /// Shape of an inner chunk, in array axes.
    pub(crate) fn unit_shape(&self) -> &[u64] {
        self.unit.chunk_shape()
    }

    /// Number of inner chunks of a shard along each array axis.
    pub(crate) fn units_per_chunk(&self) -> &[u64] {
        &self.units_per_chunk
    }

    /// The pipeline of one inner chunk in array axes: transpositions before the shard, then the inner codecs.
    pub(crate) fn unit_pipeline(&self) -> &CodecPipeline {
        &self.unit
    }

    /// The same with other codecs of an inner chunk, for elements of the same size.
    pub(super) fn map_unit(self, change: impl FnOnce(CodecPipeline) -> CodecPipeline) -> Self {
        Self { unit: change(self.unit), ..self }
    }

    /// Position in the index of the inner chunk at `unit`, its index vector within the shard in array axes.
    pub(crate) fn position(&self, unit: &[u64]) -> usize {
        debug_assert!(unit.iter().zip(&self.units_per_chunk).all(|(index, count)| index < count), "inner chunk {unit:?}");
        to_usize(unit.iter().zip(&self.position_strides).map(|(index, stride)| index * stride).sum())
    }

    /// The inverse of [`Sharding::position`].
    pub(crate) fn unit_at(&self, position: u64) -> Vec<u64> {
        self.position_strides.iter().zip(&self.units_per_chunk).map(|(stride, count)| position / stride % count).collect()
    }

    /// Number of inner chunks of a shard.
    pub(crate) fn unit_count(&self) -> usize {
        self.index.count()
    }

    /// Size of the encoded index in bytes.
    pub(crate) fn index_bytes(&self) -> u64 {
        self.index.encoded_bytes()
    }

    /// Where the index lies in a shard of `shard_bytes` bytes: offset and length.
    pub(crate) fn index_place(&self, shard_bytes: u64) -> Result<(u64, u64)> {
        let len = self.index_bytes();
        let Some(behind) = shard_bytes.checked_sub(len) else { return Err(self.too_short(shard_bytes)) };
        Ok((if self.index_at_start { 0 } else { behind }, len))
    }

    /// Whether the index comes first, so that inner chunks begin after [`Sharding::index_bytes`].
    pub(crate) fn index_at_start(&self) -> bool {
        self.index_at_start
    }

    /// Decodes and checks an index read from a shard of `shard_bytes` bytes: every inner chunk inside the shard and outside the index, and all of
    /// them together no larger than that and what encoders may make of them. Otherwise many inner chunks could share a stream that takes long
    /// and holds little.
    pub(crate) fn decode_index(&self, encoded: &[u8], shard_bytes: u64) -> Result<ShardIndex> {
        let index = self.index.decode(encoded, &self.bodies(shard_bytes)?)?;
        self.check_inner_bytes(index.inner_bytes(), shard_bytes)?;
        Ok(index)
    }

    /// The part of a shard of `shard_bytes` bytes in which inner chunks may lie.
    fn bodies(&self, shard_bytes: u64) -> Result<Range<u64>> {
        let Some(bodies) = shard_bytes.checked_sub(self.index_bytes()) else { return Err(self.too_short(shard_bytes)) };
        Ok(if self.index_at_start { self.index_bytes()..shard_bytes } else { 0..bodies })
    }

    /// Refuses inner chunks that have `bytes` bytes in all.
    fn check_inner_bytes(&self, bytes: u128, shard_bytes: u64) -> Result<()> {
        let bound = match self.encoded_bound() {
            u64::MAX => most_bytes(self.element_count() as u64, shard_bytes),
            bound => bound,
        };
        let most = u128::from(shard_bytes) + u128::from(bound);
        if bytes > most {
            let what = format!(
                "a shard of {shard_bytes} bytes has inner chunks of {bytes} bytes in all, which share them; expected at most {most}"
            );
            return Err(Error::corrupt(what));
        }
        Ok(())
    }

    /// Encodes an index, to exactly [`Sharding::index_bytes`] bytes.
    pub(crate) fn encode_index(&self, index: &ShardIndex) -> Result<Vec<u8>> {
        self.index.encode(index)
    }

    /// Names the inner chunk at `unit` in an error of its decoder or encoder.
    pub(crate) fn name_unit(unit: &[u64], error: Error) -> Error {
        let name = |what: String| format!("inner chunk {unit:?}: {what}");
        match error {
            Error::Corrupt { key, offset, what } => Error::Corrupt { key, offset, what: name(what) },
            Error::Unsupported { key, what } => Error::Unsupported { key, what: name(what) },
            Error::ChecksumMismatch { key, expected, got } => {
                let what = format!("checksum mismatch: stored {expected:#010x}, computed {got:#010x}");
                Error::Corrupt { key, offset: None, what: name(what) }
            }
            other => other,
        }
    }

    fn too_short(&self, shard_bytes: u64) -> Error {
        Error::corrupt(format!("a shard of {shard_bytes} bytes is shorter than its index of {} bytes", self.index_bytes()))
    }

    /// Upper bound of the encoded size of a shard in bytes; saturates.
    pub(super) fn encoded_bound(&self) -> u64 {
        (self.unit_count() as u64).saturating_mul(self.unit.encoded_bound()).saturating_add(self.index_bytes())
    }

    /// What a shard has at most beyond the elements of its inner chunks: the index, and a header of some codec for each inner chunk.
    pub(super) fn framing_bytes(&self) -> u64 {
        (self.unit_count() as u64).saturating_mul(256).saturating_add(self.index_bytes())
    }

    /// Memory for decoding a whole shard, beyond its encoded and its decoded bytes: the index twice, and one inner chunk.
    pub(super) fn decode_memory(&self) -> u64 {
        (2 * self.index_bytes()).saturating_add(self.unit.chunk_bytes() as u64).saturating_add(self.unit.decode_memory())
    }

    /// Memory for encoding a whole shard, beyond its decoded bytes. With the index at the start nothing can leave before the end.
    pub(super) fn encode_memory(&self) -> u64 {
        let bodies = if self.index_at_start { self.encoded_bound() } else { 0 };
        (2 * self.index_bytes())
            .saturating_add(bodies)
            .saturating_add(self.unit.chunk_bytes() as u64)
            .saturating_add(self.unit.encode_memory())
    }

    /// The index of a whole shard.
    fn index_of(&self, encoded: &[u8]) -> Result<ShardIndex> {
        let bytes = encoded.len() as u64;
        let (from, len) = self.index_place(bytes)?;
        let index = part(encoded, from, len).ok_or_else(|| self.too_short(bytes))?;
        self.decode_index(index, bytes)
    }

    /// Decodes a whole shard of `shard_bytes` decoded bytes into `out`, laid out by `strides`; missing inner chunks become `fill`. Returns
    /// false if all are missing; `out` is then left as it is, since there may be no memory for so much fill.
    pub(super) fn decode_whole(
        &self,
        encoded: &[u8],
        (fill, strides): (&FillValue, &[usize]),
        scratch: &mut Scratch,
        (out, shard_bytes): (&mut Vec<u8>, usize),
    ) -> Result<bool> {
        let index = self.index_of(encoded)?;
        if index.is_empty() {
            return Ok(false);
        }
        // A shard in this one may turn out to hold nothing only when it is decoded.
        let gaps = index.has_missing() || matches!(self.unit.array_to_bytes, ArrayToBytes::Sharding(_));
        let (mut found, mut buffer) = (false, scratch.take());
        self.each_unit(strides, |unit, position, offset| {
            let Some((from, len)) = index.get(position) else { return Ok(()) };
            let encoded = part(encoded, from, len).ok_or_else(|| Error::corrupt("an inner chunk outside its shard"))?;
            let decoded = self.unit.decode(encoded, scratch, &mut buffer).map_err(|error| Self::name_unit(unit, error))?;
            let Some(decoded) = decoded else { return Ok(()) };
            if !found {
                found = true;
                resize(out, shard_bytes)?;
                if gaps {
                    fill.fill(out);
                }
            }
            let (from, to) = (BoxLayout { offset: 0, strides: &self.unit.strides }, BoxLayout { offset, strides });
            copy_box(self.unit_shape(), fill.as_bytes().len(), decoded, from, out, to);
            Ok(())
        })?;
        scratch.give(buffer);
        Ok(found)
    }

    /// Encodes the whole shard in `data`, laid out by `strides`. Inner chunks that are all `fill` are left out.
    pub(super) fn encode_whole(
        &self,
        data: &[u8],
        layout: (&FillValue, &[usize]),
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
    ) -> Result<()> {
        if !self.index_at_start {
            let index = self.encode_units(data, layout, 0, scratch, sink)?;
            return sink(&self.encode_index(&index)?);
        }
        let mut bodies = scratch.take();
        make_room(&mut bodies, to_usize(self.encoded_bound()))?;
        let index = self.encode_units(data, layout, self.index_bytes(), scratch, &mut |piece| {
            bodies.extend_from_slice(piece);
            Ok(())
        })?;
        sink(&self.encode_index(&index)?)?;
        sink(&bodies)?;
        scratch.give(bodies);
        Ok(())
    }

    /// Encodes the inner chunks one after the other, the first at `start` of the shard.
    fn encode_units(
        &self,
        data: &[u8],
        (fill, strides): (&FillValue, &[usize]),
        start: u64,
        scratch: &mut Scratch,
        sink: &mut Sink<'_>,
    ) -> Result<ShardIndex> {
        let mut index = ShardIndex::empty(self.unit_count())?;
        let mut next = start;
        let mut buffer = scratch.take_len(self.unit.chunk_bytes())?;
        self.each_unit(strides, |unit, position, offset| {
            let (from, to) = (BoxLayout { offset, strides }, BoxLayout { offset: 0, strides: &self.unit.strides });
            copy_box(self.unit_shape(), fill.as_bytes().len(), data, from, &mut buffer, to);
            if fill.is_all_fill(&buffer) {
                return Ok(());
            }
            let from = next;
            let encoded = self.unit.encode(&mut buffer, scratch, &mut |piece| {
                next += piece.len() as u64;
                sink(piece)
            });
            encoded.map_err(|error| Self::name_unit(unit, error))?;
            index.set(position, from, next - from);
            Ok(())
        })?;
        scratch.give(buffer);
        Ok(index)
    }

    /// Visits the inner chunks in the order of the index: index vector in array axes, position in the index, and byte offset of the first
    /// element in a shard laid out by `strides`.
    fn each_unit(&self, strides: &[usize], mut visit: impl FnMut(&[u64], usize, usize) -> Result<()>) -> Result<()> {
        let rank = self.units_per_chunk.len();
        let mut unit = [0_u64; MAX_RANK];
        let unit = &mut unit[..rank];
        for position in 0..self.unit_count() {
            let offset = (0..rank).map(|axis| to_usize(unit[axis] * self.unit_shape()[axis]) * strides[axis]).sum();
            visit(unit, position, offset)?;
            for &axis in self.order.iter().rev() {
                unit[axis] += 1;
                if unit[axis] < self.units_per_chunk[axis] {
                    break;
                }
                unit[axis] = 0;
            }
        }
        Ok(())
    }
}

/// A part of a shard; none if it is not inside.
fn part(encoded: &[u8], from: u64, len: u64) -> Option<&[u8]> {
    from.checked_add(len).and_then(|end| encoded.get(to_usize(from)..to_usize(end)))
}

/// The `chunk_shape` member, which must divide the shape that reaches the codec.
fn inner_shape(config: &NamedConfig, outer_shape: &[u64]) -> Result<Vec<u64>> {
    let accepted = format!("accepted are positive divisors of the shape that is to be sharded, {outer_shape:?}");
    let shape = configuration::list(config, "chunk_shape", &accepted, Value::as_u64)?;
    let divides = |(inner, outer): (&u64, &u64)| *inner > 0 && outer % inner == 0;
    if shape.len() != outer_shape.len() || !shape.iter().zip(outer_shape).all(divides) {
        return Err(Error::metadata("/configuration/chunk_shape", format!("{shape:?}; {accepted}")));
    }
    Ok(shape)
}

fn index_at_start(config: &NamedConfig) -> Result<bool> {
    match config.configuration.get("index_location") {
        None => Ok(false),
        Some(Value::String(location)) if location == "start" => Ok(true),
        Some(Value::String(location)) if location == "end" => Ok(false),
        Some(other) => Err(Error::metadata("/configuration/index_location", format!(r#"{other}; accepted are "start" and "end""#))),
    }
}
