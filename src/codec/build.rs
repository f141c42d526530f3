//! From the `codecs` member of an array document to a pipeline, and back.

use crate::codec::bytes::Bytes;
use crate::codec::chain::{self, BytesToBytes};
use crate::codec::foreign;
use crate::codec::sharding::{Sharding, Surroundings};
use crate::codec::transpose::Transpose;
use crate::codec::vlen::Vlen;
use crate::codec::{ArrayToBytes, ByteOrder, CodecPipeline};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::{MAX_RANK, c_strides, element_count, to_usize};

/// The most codecs of one pipeline; with it, the depth of every recursion over them is bounded.
const MAX_CODECS: usize = 32;

/// The names of the codecs between arrays and bytes.
const ARRAY_TO_BYTES: &[&str] = &[Bytes::NAME, Sharding::NAME, Vlen::TEXT_NAME, Vlen::BYTES_NAME];

/// The names of all codecs, for messages.
fn supported() -> impl Iterator<Item = &'static str> {
    ARRAY_TO_BYTES.iter().chain(&[Transpose::NAME]).chain(BytesToBytes::names()).copied()
}

/// What the metadata of a pipeline says, sorted by kind.
#[derive(Default)]
struct Kinds {
    transposes: Vec<Transpose>,
    array_to_bytes: Option<(String, ArrayToBytes)>,
    bytes_to_bytes: Vec<BytesToBytes>,
}

/// Builds the pipeline of `codecs` with the transpositions that surround it put before them, for chunks in array axes.
pub(super) fn pipeline(codecs: &[NamedConfig], around: &Surroundings<'_>) -> Result<CodecPipeline> {
    let pipeline = of_any_size(codecs, around)?;
    let size = matches!(pipeline.array_to_bytes, ArrayToBytes::Bytes(_)).then_some(pipeline.chunk_bytes as u64);
    chain::check_sizes(&pipeline.bytes_to_bytes, codecs.len() - pipeline.bytes_to_bytes.len(), size)?;
    Ok(pipeline)
}

/// The same for chunks that stand for those of any size: whether all codecs can do with it is not looked at.
pub(super) fn of_any_size(codecs: &[NamedConfig], around: &Surroundings<'_>) -> Result<CodecPipeline> {
    if codecs.len() > MAX_CODECS {
        return Err(Error::unsupported(format!("a list of {} codecs; at most {MAX_CODECS} are supported", codecs.len())));
    }
    let shape = around.chunk_shape;
    let item_size = around.data_type.item_size();
    let chunk_bytes = element_count(shape).and_then(|count| count.checked_mul(item_size as u64)).map(to_usize);
    let Some(chunk_bytes) = chunk_bytes.filter(|&bytes| isize::try_from(bytes).is_ok() && bytes > 0 && shape.len() <= MAX_RANK) else {
        return Err(Error::unsupported(format!(
            "chunks of shape {shape:?} with elements of {item_size} bytes; a chunk needs at least one byte, at most 2^63, and rank {MAX_RANK}"
        )));
    };
    let mut kinds = Kinds { transposes: around.transposes.to_vec(), ..Kinds::default() };
    for (i, config) in codecs.iter().enumerate() {
        add(&mut kinds, config, around).map_err(|error| error.within(&format!("/{i}")))?;
    }
    let Some((_, array_to_bytes)) = kinds.array_to_bytes else {
        return Err(Error::metadata("", format!("no array->bytes codec; exactly one of {} is needed", ARRAY_TO_BYTES.join(", "))));
    };
    let order = Transpose::compose(&kinds.transposes, shape.len());
    let encoded_shape: Vec<u64> = order.iter().map(|&axis| shape[axis]).collect();
    let mut strides = vec![0; shape.len()];
    for (&axis, stride) in order.iter().zip(c_strides(&encoded_shape, item_size)) {
        strides[axis] = stride;
    }
    Ok(CodecPipeline {
        chunk_shape: shape.to_vec(),
        chunk_bytes,
        strides,
        fill: around.fill.clone(),
        array_to_array: kinds.transposes.iter().map(Transpose::to_metadata).collect(),
        array_to_bytes,
        bytes_to_bytes: kinds.bytes_to_bytes,
    })
}

/// Reads one codec object, and checks that its kind may stand where it stands.
fn add(kinds: &mut Kinds, config: &NamedConfig, around: &Surroundings<'_>) -> Result<()> {
    let name = config.name.as_str();
    let before = kinds.array_to_bytes.as_ref().map(|(name, _)| name.as_str());
    let misplaced = |what: String| Err(Error::metadata("", what));
    match (name, before) {
        (Transpose::NAME, None) => kinds.transposes.push(Transpose::from_metadata(config, around.chunk_shape.len())?),
        (Transpose::NAME, Some(before)) => return misplaced(format!("{name} works on arrays and must come before {before}")),
        (name, Some(before)) if ARRAY_TO_BYTES.contains(&name) || Vlen::is_named(name) => {
            return misplaced(format!("{name} after {before}; a pipeline has exactly one array->bytes codec"));
        }
        (Bytes::NAME, None) => {
            let codec = match around.order {
                None => Bytes::from_metadata(config, around.data_type)?,
                Some(ByteOrder::Little) => Bytes::new(false, around.data_type),
                Some(ByteOrder::Big) => Bytes::new(true, around.data_type),
                Some(ByteOrder::Mixed(big)) => Bytes::mixed(big, around.data_type)?,
            };
            kinds.array_to_bytes = Some((name.to_owned(), ArrayToBytes::Bytes(codec)));
        }
        (_, None) if Vlen::is_named(name) => {
            let count = element_count(around.chunk_shape).unwrap_or(u64::MAX);
            let codec = Vlen::from_metadata(config, around.data_type, count)?;
            kinds.array_to_bytes = Some((name.to_owned(), ArrayToBytes::Vlen(codec)));
        }
        (Sharding::NAME, None) => {
            let codec = Sharding::from_metadata(config, &Surroundings { transposes: &kinds.transposes, ..*around })?;
            kinds.array_to_bytes = Some((name.to_owned(), ArrayToBytes::Sharding(Box::new(codec))));
        }
        _ => match (BytesToBytes::from_metadata(config, around.data_type.item_size())?, before) {
            (Some(codec), Some(_)) => kinds.bytes_to_bytes.push(codec),
            (Some(_), None) => {
                let what = format!("{name} works on bytes and must come after the array->bytes codec ({})", ARRAY_TO_BYTES.join(", "));
                return misplaced(what);
            }
            (None, _) => return Err(unknown(name)),
        },
    }
    Ok(())
}

/// Lists what is supported.
fn unknown(name: &str) -> Error {
    let explanation = foreign::explain(name).map_or(String::new(), |explanation| format!(": {explanation}"));
    let names: Vec<&str> = supported().collect();
    Error::unsupported(format!("codec {name:?}{explanation}; supported are {}", names.join(", ")))
}

/// The codec objects of a pipeline.
pub(super) fn metadata(pipeline: &CodecPipeline) -> Vec<NamedConfig> {
    let mut codecs = pipeline.array_to_array.clone();
    codecs.push(match &pipeline.array_to_bytes {
        ArrayToBytes::Bytes(codec) => codec.to_metadata(),
        ArrayToBytes::Vlen(codec) => codec.to_metadata(),
        ArrayToBytes::Sharding(codec) => codec.to_metadata(),
    });
    codecs.extend(pipeline.bytes_to_bytes.iter().map(|codec| codec.to_metadata()));
    codecs
}
