//! From the `codecs` member of an array document to a pipeline, and back.

use crate::codec::bytes::Bytes;
use crate::codec::chain::{self, BytesToBytes};
use crate::codec::filter::{Filter, Form, Step};
use crate::codec::foreign;
use crate::codec::packbits::PackBits;
use crate::codec::sharding::{Sharding, Surroundings};
use crate::codec::transpose::Transpose;
use crate::codec::vlen::Vlen;
use crate::codec::{ArrayToBytes, ByteOrder, CodecPipeline, Stored, filter, reshape};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::{MAX_RANK, c_strides, element_count};

/// The most codecs of one pipeline; with it, the depth of every recursion over them is bounded.
const MAX_CODECS: usize = 32;

/// The names of the codecs between arrays and bytes.
const ARRAY_TO_BYTES: &[&str] = &[Bytes::NAME, Sharding::NAME, PackBits::NAME, Vlen::TEXT_NAME, Vlen::BYTES_NAME];

/// The names of all codecs, for messages.
fn supported() -> impl Iterator<Item = &'static str> {
    ARRAY_TO_BYTES.iter().chain(&[Transpose::NAME, reshape::NAME]).chain(filter::NAMES).chain(BytesToBytes::names()).copied()
}

/// What the metadata of a pipeline says, sorted by kind.
struct Kinds {
    /// The transpositions that strides are made of: all before the first codec that takes elements in order.
    transposes: Vec<Transpose>,
    /// The codec objects of array->array codecs, as they are written again.
    array_to_array: Vec<NamedConfig>,
    steps: Vec<Step>,
    /// Whether a codec has been met that takes elements in order.
    in_order: bool,
    /// What the next codec sees.
    form: Form,
    /// Whether its numbers are big endian by their NumPy name; none where nothing says so.
    big: Option<bool>,
    in_metadata: bool,
    array_to_bytes: Option<(String, ArrayToBytes)>,
    bytes_to_bytes: Vec<BytesToBytes>,
}

/// Builds the pipeline of `codecs` with the transpositions that surround it put before them, for chunks in array axes.
pub(super) fn pipeline(codecs: &[NamedConfig], around: &Surroundings<'_>) -> Result<CodecPipeline> {
    let shape = around.chunk_shape;
    if shape.len() > MAX_RANK {
        return Err(Error::unsupported(format!("chunks of shape {shape:?}; at most rank {MAX_RANK} is supported")));
    }
    let mut form = Form { shape: shape.to_vec(), data_type: around.data_type.clone(), fill: around.fill.clone(), stands_in: false };
    let chunk_bytes = form.bytes()?;
    form.shape = Transpose::compose(around.transposes, shape.len()).iter().map(|&axis| shape[axis]).collect();
    let (kinds, array_to_bytes) = Kinds::read(codecs, form, around).map_err(|(_, error)| error)?;
    let size = matches!(array_to_bytes, ArrayToBytes::Bytes(_)).then_some(kinds.form.bytes()? as u64);
    chain::check_sizes(&kinds.bytes_to_bytes, codecs.len() - kinds.bytes_to_bytes.len(), size)?;
    let item_size = around.data_type.item_size();
    let order = Transpose::compose(&kinds.transposes, shape.len());
    let encoded_shape: Vec<u64> = order.iter().map(|&axis| shape[axis]).collect();
    let mut strides = vec![0; shape.len()];
    for (&axis, stride) in order.iter().zip(c_strides(&encoded_shape, item_size)) {
        strides[axis] = stride;
    }
    let stored = Stored {
        bytes: kinds.form.bytes()?,
        strides: if kinds.steps.is_empty() { strides.clone() } else { c_strides(&kinds.form.shape, kinds.form.data_type.item_size()) },
        fill: kinds.form.fill,
    };
    Ok(CodecPipeline {
        chunk_shape: shape.to_vec(),
        chunk_bytes,
        strides,
        fill: around.fill.clone(),
        array_to_array: kinds.array_to_array,
        steps: kinds.steps,
        stored,
        in_metadata: kinds.in_metadata,
        array_to_bytes,
        bytes_to_bytes: kinds.bytes_to_bytes,
    })
}

/// Checks what can be said of `codecs` without an array of `rank`, with a data type that stands for others: neither the fill value nor any size
/// is looked at. With the error comes the position of the codec that it is about.
pub(super) fn check(codecs: &[NamedConfig], rank: usize, data_type: &DataType) -> std::result::Result<(), (usize, Error)> {
    let (shape, fill) = (vec![1; rank.min(MAX_RANK)], FillValue::zero(data_type));
    let around = Surroundings { transposes: &[], chunk_shape: &shape, data_type, fill: &fill, depth: 0, order: None };
    let form = Form { shape: shape.clone(), data_type: data_type.clone(), fill: fill.clone(), stands_in: true };
    let (kinds, _) = Kinds::read(codecs, form, &around)?;
    chain::check_encodable(&kinds.bytes_to_bytes).map_err(|error| (codecs.len(), error))
}

impl Kinds {
    /// Reads a list of codecs for the array `form`. With an error comes the position of the codec that it is about.
    fn read(codecs: &[NamedConfig], form: Form, around: &Surroundings<'_>) -> std::result::Result<(Self, ArrayToBytes), (usize, Error)> {
        if codecs.len() > MAX_CODECS {
            return Err((0, Error::unsupported(format!("a list of {} codecs; at most {MAX_CODECS} are supported", codecs.len()))));
        }
        let mut kinds = Self::new(form, around);
        for (i, config) in codecs.iter().enumerate() {
            kinds.add(config, around).map_err(|error| (i, error.within(&format!("/{i}"))))?;
        }
        match kinds.array_to_bytes.take() {
            Some((_, array_to_bytes)) => Ok((kinds, array_to_bytes)),
            None => {
                let what = format!("no array->bytes codec; exactly one of {} is needed", ARRAY_TO_BYTES.join(", "));
                Err((codecs.len(), Error::metadata("", what)))
            }
        }
    }

    fn new(form: Form, around: &Surroundings<'_>) -> Self {
        Self {
            transposes: around.transposes.to_vec(),
            array_to_array: around.transposes.iter().map(Transpose::to_metadata).collect(),
            steps: Vec::new(),
            in_order: false,
            form,
            big: match around.order {
                Some(ByteOrder::Little) => Some(false),
                Some(ByteOrder::Big) => Some(true),
                Some(ByteOrder::Mixed(_)) | None => None,
            },
            in_metadata: true,
            array_to_bytes: None,
            bytes_to_bytes: Vec::new(),
        }
    }

    /// Reads one codec object, and checks that its kind may stand where it stands.
    fn add(&mut self, config: &NamedConfig, around: &Surroundings<'_>) -> Result<()> {
        let name = config.name.as_str();
        let before = self.array_to_bytes.as_ref().map(|(name, _)| name.as_str());
        let on_arrays = [Transpose::NAME, reshape::NAME].contains(&name) || filter::NAMES.contains(&name);
        let to_bytes = ARRAY_TO_BYTES.contains(&name) || Vlen::is_named(name);
        let misplaced = |what: String| Err(Error::metadata("", what));
        match before {
            Some(before) if on_arrays => return misplaced(format!("{name} works on arrays and must come before {before}")),
            Some(before) if to_bytes => {
                return misplaced(format!("{name} after {before}; a pipeline has exactly one array->bytes codec"));
            }
            None if on_arrays => return self.add_array_to_array(config),
            None if to_bytes => {
                let codec = self.array_to_bytes(config, around)?;
                self.array_to_bytes = Some((name.to_owned(), codec));
                return Ok(());
            }
            _ => {}
        }
        match (BytesToBytes::from_metadata(config, self.item_bytes())?, before) {
            (Some(codec), Some(_)) => self.bytes_to_bytes.push(codec),
            (Some(_), None) => {
                return misplaced(format!(
                    "{name} works on bytes and must come after the array->bytes codec ({})",
                    ARRAY_TO_BYTES.join(", ")
                ));
            }
            (None, _) => return Err(unknown(name)),
        }
        Ok(())
    }

    /// What the size of an element is where codecs of bytes ask for it; elements of variable length have none.
    fn item_bytes(&self) -> usize {
        if self.form.data_type.is_variable_length() { 1 } else { self.form.data_type.item_size() }
    }

    fn add_array_to_array(&mut self, config: &NamedConfig) -> Result<()> {
        match config.name.as_str() {
            Transpose::NAME => {
                let transpose = Transpose::from_metadata(config, self.form.shape.len())?;
                self.array_to_array.push(transpose.to_metadata());
                if self.in_order {
                    self.steps.push(Step::permute(&self.form, &transpose.order)?);
                }
                self.form.shape = transpose.order.iter().map(|&axis| self.form.shape[axis]).collect();
                if !self.in_order {
                    self.transposes.push(transpose);
                }
                return Ok(());
            }
            _ if self.form.data_type.is_variable_length() => {
                let what = format!("{} for data type {}; it takes elements of one size", config.name, self.form.data_type);
                return Err(Error::unsupported(what));
            }
            reshape::NAME => {
                let shape = reshape::encoded_shape(config, &self.form.shape, self.form.stands_in)?;
                self.steps.push(Step::reshape(&self.form)?);
                self.form.shape = shape;
                self.in_order = true;
            }
            _ => {
                let filter = Filter::from_metadata(config, &self.form)?;
                self.add_swap(config, &filter)?;
                self.steps.push(filter.step);
                self.in_order |= filter.in_order;
                self.form = filter.form;
            }
        }
        self.array_to_array.push(config.clone());
        Ok(())
    }

    /// Where NumPy's names say different byte orders of what one codec gives and the next takes, numcodecs reads numbers in the wrong order, on
    /// the way out as on the way in.
    fn add_swap(&mut self, config: &NamedConfig, filter: &Filter) -> Result<()> {
        if let (Some(big), Some((taken, width))) = (self.big, filter.decoded_order)
            && big != taken
        {
            // A document of Zarr v3 says nothing of the byte order of the array itself.
            self.in_metadata &= !self.steps.is_empty();
            self.steps.push(Step::swap(&self.form, width)?);
        }
        let of_numcodecs = config.name.starts_with("numcodecs.");
        if !of_numcodecs || filter.encoded_order.is_some() || filter.form.data_type.item_size() == 1 {
            self.big = filter.encoded_order;
        }
        Ok(())
    }

    fn array_to_bytes(&mut self, config: &NamedConfig, around: &Surroundings<'_>) -> Result<ArrayToBytes> {
        let Form { shape, data_type, fill, .. } = &self.form;
        Ok(match config.name.as_str() {
            Bytes::NAME => {
                let codec = match (around.order, self.big) {
                    (None, _) => Bytes::from_metadata(config, data_type)?,
                    (Some(ByteOrder::Mixed(big)), _) if self.steps.is_empty() => Bytes::mixed(big, data_type)?,
                    (Some(ByteOrder::Mixed(_)), _) => {
                        return Err(Error::unsupported(format!("filters of elements of {data_type} in several byte orders")));
                    }
                    (Some(_), big) => Bytes::new(big.unwrap_or(false), data_type),
                };
                self.in_metadata &= codec.is_in_metadata();
                ArrayToBytes::Bytes(codec)
            }
            Sharding::NAME => {
                // Only where elements are as the array has them can inner chunks be seen in array axes.
                let (transposes, chunk_shape) =
                    if self.steps.is_empty() { (self.transposes.as_slice(), around.chunk_shape) } else { (&[][..], shape.as_slice()) };
                let inner = Surroundings { transposes, chunk_shape, data_type, fill, ..*around };
                ArrayToBytes::Sharding(Box::new(Sharding::from_metadata(config, &inner)?))
            }
            PackBits::NAME => ArrayToBytes::PackBits(PackBits::from_metadata(config, data_type, self.form.bytes()?)?),
            _ => {
                let count = element_count(shape).unwrap_or(u64::MAX);
                ArrayToBytes::Vlen(Vlen::from_metadata(config, data_type, count)?)
            }
        })
    }
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
        ArrayToBytes::PackBits(codec) => codec.to_metadata(),
        ArrayToBytes::Vlen(codec) => codec.to_metadata(),
        ArrayToBytes::Sharding(codec) => codec.to_metadata(),
    });
    codecs.extend(pipeline.bytes_to_bytes.iter().map(|codec| codec.to_metadata()));
    codecs
}
