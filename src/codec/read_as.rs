//! A pipeline whose stored chunks are read as elements of another type of numbers.

use serde_json::{Map, Value};

use crate::codec::filter::{Filter, Form};
use crate::codec::sharding::Sharding;
use crate::codec::transpose::Transpose;
use crate::codec::{ArrayToBytes, CodecPipeline};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// The codec that casts by value, to the nearest value that the other type has, and not at all beyond its range.
fn cast_to(data_type: &DataType) -> NamedConfig {
    NamedConfig::new("cast_value", Map::from_iter([("data_type".to_owned(), data_type.to_json())]))
}

impl CodecPipeline {
    /// The same stored chunks, decoded to elements of type `to` by value, and the fill value in that type. What has no place there is refused
    /// as [`Error::InvalidArgument`] when it is decoded.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for types other than integers of 8 to 64 bits and floats of 16 to 64, and for what a Zarr v2 document alone can say;
    /// [`Error::InvalidArgument`] where the fill value has no place in the other type.
    pub(crate) fn read_as(&self, from: &DataType, to: &DataType) -> Result<(Self, FillValue)> {
        if !self.is_in_metadata() {
            return Err(Error::unsupported(format!(
                "reading {from} of this Zarr v2 array, in its byte order, as {to}; rechunk it in its own type first"
            )));
        }
        let form = Form { shape: Vec::new(), data_type: from.clone(), fill: self.fill.clone(), stands_in: false };
        let fill = Filter::from_metadata(&cast_to(to), &form).map_err(|error| refused(error, from, to))?.form.fill;
        let codecs = with_cast(self.to_metadata(), &cast_to(from))?;
        let pipeline = Self::from_metadata(&codecs, self.chunk_shape(), to, &fill).map_err(|error| refused(error, from, to))?;
        Ok((pipeline.asked(), fill))
    }

    /// The same where values without a place are not what is wrong with a chunk, but with what was asked for.
    fn asked(mut self) -> Self {
        self.steps.iter_mut().for_each(super::filter::Step::ask);
        if let ArrayToBytes::Sharding(sharding) = self.array_to_bytes {
            self.array_to_bytes = ArrayToBytes::Sharding(Box::new(sharding.map_unit(Self::asked)));
        }
        self
    }
}

/// The codecs with one put before those of a chunk (of the innermost, where there are shards), behind the transpositions that come first.
fn with_cast(mut codecs: Vec<NamedConfig>, cast: &NamedConfig) -> Result<Vec<NamedConfig>> {
    if let Some(sharding) = codecs.iter_mut().find(|codec| codec.name == Sharding::NAME) {
        let inner = sharding.configuration.get("codecs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let inner = inner.iter().map(NamedConfig::from_json).collect::<Result<Vec<_>>>()?;
        let inner = with_cast(inner, cast)?.iter().map(NamedConfig::to_json).collect();
        sharding.configuration.insert("codecs".to_owned(), Value::Array(inner));
        return Ok(codecs);
    }
    let first = codecs.iter().position(|codec| codec.name != Transpose::NAME).unwrap_or(codecs.len());
    codecs.insert(first, cast.clone());
    Ok(codecs)
}

fn refused(error: Error, from: &DataType, to: &DataType) -> Error {
    match error {
        Error::Metadata { what, .. } | Error::InvalidArgument { what } => Error::invalid(format!("{from} as {to}: {what}")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::Scratch;

    /// Chunks of 4 x 3 through a transposition and the codec objects `list`, in shards of 8 x 3 if they are sharded.
    fn pipeline(data_type: DataType, fill: &str, sharded: bool, list: &str) -> CodecPipeline {
        let fill = FillValue::parse(&data_type, fill).unwrap();
        let codecs = format!(r#"{{"name": "transpose", "configuration": {{"order": [1, 0]}}}}, {list}"#);
        let codecs = if sharded {
            let index = format!(r#"{BYTES}, {{"name": "crc32c"}}"#);
            format!(
                r#"[{{"name": "sharding_indexed", "configuration": {{"chunk_shape": [4, 3], "codecs": [{codecs}], "index_codecs": [{index}]}}}}]"#
            )
        } else {
            format!("[{codecs}]")
        };
        let codecs: Vec<Value> = serde_json::from_str(&codecs).unwrap();
        let codecs: Vec<_> = codecs.iter().map(|codec| NamedConfig::from_json(codec).unwrap()).collect();
        CodecPipeline::from_metadata(&codecs, &[if sharded { 8 } else { 4 }, 3], &data_type, &fill).unwrap()
    }

    const BYTES: &str = r#"{"name": "bytes", "configuration": {"endian": "little"}}"#;
    const BIG: &str = r#"{"name": "bytes", "configuration": {"endian": "big"}}"#;
    const ZSTD: &str = r#"{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "zstd", "configuration": {"level": 1}}"#;
    const DELTA: &str =
        r#"{"name": "numcodecs.delta", "configuration": {"dtype": "<i2"}}, {"name": "bytes", "configuration": {"endian": "little"}}"#;

    fn encoded(codecs: &CodecPipeline, values: &[u8]) -> Vec<u8> {
        let (mut out, mut values) = (Vec::new(), values.to_vec());
        codecs
            .encode(&mut values, &mut Scratch::default(), &mut |piece| {
                out.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        out
    }

    fn decoded(codecs: &CodecPipeline, stored: &[u8]) -> Result<Vec<u8>> {
        let (mut scratch, mut out) = (Scratch::default(), Vec::new());
        codecs.decode(stored, &mut scratch, &mut out).map(|found| found.unwrap_or_default().to_vec())
    }

    proptest! {
        #[test]
        fn stored_chunks_are_read_by_value(
            values in prop::collection::vec(-2000_i16..2000, 24),
            sharded in any::<bool>(),
            list in prop::sample::select(vec![BYTES, BIG, ZSTD, DELTA]),
        ) {
            let own = pipeline(DataType::Int16, "-7", sharded, list);
            let count = own.chunk_bytes() / 2;
            let stored = encoded(&own, bytemuck::cast_slice(&values[..count]));
            let (other, fill) = own.read_as(&DataType::Int16, &DataType::Float32).unwrap();
            prop_assert_eq!(fill.to_text(&DataType::Float32), "-7.0");
            let read = decoded(&other, &stored).unwrap();
            let read: Vec<f32> = bytemuck::pod_collect_to_vec(&read);
            prop_assert_eq!(read, values[..count].iter().map(|&value| f32::from(value)).collect::<Vec<_>>());
            prop_assert_eq!(other.strides().iter().map(|stride| stride / 2).collect::<Vec<_>>(), own.strides());
        }
    }

    #[test]
    fn what_has_no_place_is_the_fault_of_who_asks() {
        for sharded in [false, true] {
            let own = pipeline(DataType::Float64, "0", sharded, ZSTD);
            let mut values = vec![1.0_f64; own.chunk_bytes() / 8];
            let as_bytes = |values: &[f64]| encoded(&own, bytemuck::cast_slice(values));
            let (other, _) = own.read_as(&DataType::Float64, &DataType::UInt8).unwrap();
            assert_eq!(decoded(&other, &as_bytes(&values)).unwrap(), vec![1; values.len()]);
            for wrong in [256.0, -1.0, f64::NAN, f64::INFINITY] {
                values[5] = wrong;
                let error = decoded(&other, &as_bytes(&values)).unwrap_err();
                assert!(matches!(&error, Error::InvalidArgument { what } if what.contains("has no place in")), "{error:?}");
            }
            let stored = as_bytes(&values);
            let damaged = decoded(&other, &stored[..stored.len() / 2]);
            assert!(matches!(damaged, Err(Error::Corrupt { .. } | Error::ChecksumMismatch { .. })), "{damaged:?}");
        }
        let not_a_number = pipeline(DataType::Float32, "nan", false, BYTES);
        let error = not_a_number.read_as(&DataType::Float32, &DataType::Int16).unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument { what } if what.contains("float32 as int16")), "{error:?}");
        let complex = pipeline(DataType::Complex64, "0", false, BYTES);
        assert!(matches!(complex.read_as(&DataType::Complex64, &DataType::Float32), Err(Error::Unsupported { .. })));
    }
}
