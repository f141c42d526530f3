//! The `bytes` codec: elements in C order, in a stated byte order.

use serde_json::{Map, Value};

use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// Elements in C order, little or big endian.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    big: bool,
    /// Width of the units whose bytes are reversed between byte orders; 1 where byte order does not matter.
    swap_size: usize,
}

impl Bytes {
    pub(crate) const NAME: &'static str = "bytes";

    /// Reads the codec object. `endian` may be missing only where byte order does not matter.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType) -> Result<Self> {
        config.only(&["endian"])?;
        let swap_size = data_type.swap_size();
        let accepted = r#"accepted are "little" and "big""#;
        let big = match config.configuration.get("endian") {
            Some(Value::String(order)) if order == "little" => false,
            Some(Value::String(order)) if order == "big" => true,
            None if swap_size == 1 => false,
            None => {
                let what = format!("missing, but the elements of data type {} have a byte order; {accepted}", data_type.name());
                return Err(Error::metadata("/configuration/endian", what));
            }
            Some(other) => return Err(Error::metadata("/configuration/endian", format!("{other}; {accepted}"))),
        };
        Ok(Self { big, swap_size })
    }

    /// The codec object; without configuration where byte order does not matter.
    pub(super) fn to_metadata(&self) -> NamedConfig {
        let mut configuration = Map::new();
        if self.swap_size > 1 {
            configuration.insert("endian".to_owned(), Value::from(if self.big { "big" } else { "little" }));
        }
        NamedConfig::new(Self::NAME, configuration)
    }

    /// Whether encoded and decoded bytes are the same.
    pub(super) fn is_native(&self) -> bool {
        self.swap_size <= 1 || self.big == cfg!(target_endian = "big")
    }

    /// Turns decoded into encoded bytes, or back, where they lie.
    pub(super) fn convert(&self, bytes: &mut [u8]) {
        if !self.is_native() {
            swap(bytes, self.swap_size);
        }
    }
}

/// Reverses the bytes of every unit of `size` bytes. The common sizes are written so that the compiler makes vector shuffles of them.
fn swap(bytes: &mut [u8], size: usize) {
    match size {
        0 | 1 => {}
        2 => bytes.as_chunks_mut().0.iter_mut().for_each(|unit| *unit = u16::from_ne_bytes(*unit).swap_bytes().to_ne_bytes()),
        4 => bytes.as_chunks_mut().0.iter_mut().for_each(|unit| *unit = u32::from_ne_bytes(*unit).swap_bytes().to_ne_bytes()),
        8 => bytes.as_chunks_mut().0.iter_mut().for_each(|unit| *unit = u64::from_ne_bytes(*unit).swap_bytes().to_ne_bytes()),
        _ => bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_of_every_size_are_reversed() {
        for size in [1, 2, 3, 4, 8, 16] {
            let original: Vec<u8> = (0..48).collect();
            let mut bytes = original.clone();
            swap(&mut bytes, size);
            for (unit, expected) in bytes.chunks(size).zip(original.chunks(size)) {
                assert!(unit.iter().eq(expected.iter().rev()), "size {size}");
            }
        }
    }

    #[test]
    fn endian_may_be_missing_only_for_single_bytes() {
        let bare = NamedConfig::new("bytes", Map::new());
        assert_eq!(Bytes::from_metadata(&bare, &DataType::UInt8).unwrap().to_metadata(), bare);
        assert!(Bytes::from_metadata(&bare, &DataType::Raw { size_bytes: 3 }).unwrap().is_native());
        let Err(Error::Metadata { pointer, .. }) = Bytes::from_metadata(&bare, &DataType::Int16) else { panic!("accepted") };
        assert_eq!(pointer, "/configuration/endian");
    }

    #[test]
    fn complex_numbers_swap_by_component() {
        let config = NamedConfig::new("bytes", Map::from_iter([("endian".to_owned(), Value::from("big"))]));
        let codec = Bytes::from_metadata(&config, &DataType::Complex64).unwrap();
        let mut bytes = [1.0_f32.to_le_bytes(), 2.0_f32.to_le_bytes()].concat();
        swap(&mut bytes, codec.swap_size);
        assert_eq!(bytes, [1.0_f32.to_be_bytes(), 2.0_f32.to_be_bytes()].concat());
        assert_eq!(codec.to_metadata(), config);
    }
}
