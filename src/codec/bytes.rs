//! The `bytes` codec: elements in C order, in a stated byte order.

use serde_json::{Map, Value};

use crate::dtype::{ByteUnits, DataType};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// Elements in C order, little or big endian.
#[derive(Clone, Debug)]
pub(crate) struct Bytes {
    big: bool,
    /// Whether byte order matters to any part of an element.
    ordered: bool,
    /// Whether some numbers within an element are little endian and others big, which no document of Zarr v3 can say.
    mixed: bool,
    swap: Swap,
    /// The data type, where stored elements may have bits that mean nothing.
    dirty: Option<DataType>,
}

/// What is reversed between file and memory.
#[derive(Clone, Debug)]
enum Swap {
    Nothing,
    /// Elements are made of numbers of this width alone.
    Every(usize),
    /// These parts of elements of so many bytes.
    Within(usize, Vec<ByteUnits>),
}

impl Bytes {
    pub(crate) const NAME: &'static str = "bytes";

    /// Reads the codec object. `endian` may be missing only where byte order does not matter, and for structs, which then are little endian.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType) -> Result<Self> {
        config.only(&["endian"])?;
        if data_type.is_variable_length() {
            let what = format!("{} takes elements of one size, and those of data type {data_type} have a size of their own", Self::NAME);
            return Err(Error::metadata("", what));
        }
        let units = data_type.byte_units();
        let accepted = r#"accepted are "little" and "big""#;
        let big = match config.configuration.get("endian") {
            Some(Value::String(order)) if order == "little" => false,
            Some(Value::String(order)) if order == "big" => true,
            None if units.is_empty() => false,
            // As zarr-python writes structs.
            None if matches!(data_type, DataType::Struct(_)) => false,
            None => {
                let what = format!("missing, but the elements of data type {data_type} have a byte order; {accepted}");
                return Err(Error::metadata("/configuration/endian", what));
            }
            Some(other) => return Err(Error::metadata("/configuration/endian", format!("{other}; {accepted}"))),
        };
        Ok(Self::new(big, data_type))
    }

    /// The codec for elements of one byte order.
    pub(super) fn new(big: bool, data_type: &DataType) -> Self {
        let units = data_type.byte_units();
        let ordered = !units.is_empty();
        let swap = if big == cfg!(target_endian = "big") { Swap::Nothing } else { Swap::of(data_type.item_size(), units) };
        Self { big, ordered, mixed: false, swap, dirty: data_type.needs_normalising().then(|| data_type.clone()) }
    }

    /// The codec for elements of which some numbers are big endian and all others little: `big` lists the former, in order.
    ///
    /// # Errors
    /// [`Error::Metadata`] where one of them is not within an element.
    pub(super) fn mixed(big: &[ByteUnits], data_type: &DataType) -> Result<Self> {
        let item_size = data_type.item_size();
        let end = |unit: &ByteUnits| unit.width.checked_mul(unit.count)?.checked_add(unit.offset);
        if let Some(unit) = big.iter().find(|unit| unit.width < 2 || end(unit).is_none_or(|end| end > item_size)) {
            return Err(Error::metadata("", format!("{unit:?} is not within an element of {item_size} bytes")));
        }
        // On a machine that is big endian itself all are reversed, and then those that are big endian back.
        let units = if cfg!(target_endian = "big") { [data_type.byte_units(), big.to_vec()].concat() } else { big.to_vec() };
        Ok(Self { mixed: !big.is_empty(), swap: Swap::of(item_size, units), ..Self::new(false, data_type) })
    }

    /// The codec object; without configuration where byte order does not matter. Of mixed byte orders it is the one that would write the
    /// same elements in little endian throughout.
    pub(super) fn to_metadata(&self) -> NamedConfig {
        let mut configuration = Map::new();
        if self.ordered {
            configuration.insert("endian".to_owned(), Value::from(if self.big { "big" } else { "little" }));
        }
        NamedConfig::new(Self::NAME, configuration)
    }

    /// Whether [`Bytes::to_metadata`] says all.
    pub(super) fn is_in_metadata(&self) -> bool {
        !self.mixed
    }

    /// Whether encoded and decoded bytes are the same.
    pub(super) fn is_native(&self) -> bool {
        matches!(self.swap, Swap::Nothing) && self.dirty.is_none()
    }

    /// Turns decoded into encoded bytes where they lie.
    pub(super) fn encode(&self, bytes: &mut [u8]) {
        self.convert(bytes);
    }

    /// Turns encoded into decoded bytes where they lie.
    pub(super) fn decode(&self, bytes: &mut [u8]) {
        self.convert(bytes);
        if let Some(data_type) = &self.dirty {
            data_type.normalise(bytes);
        }
    }

    fn convert(&self, bytes: &mut [u8]) {
        match &self.swap {
            Swap::Nothing => {}
            Swap::Every(size) => swap(bytes, *size),
            Swap::Within(item_size, parts) => {
                for element in bytes.chunks_exact_mut(*item_size) {
                    for part in parts {
                        swap(&mut element[part.offset..][..part.width * part.count], part.width);
                    }
                }
            }
        }
    }
}

impl Swap {
    /// The cheapest way to reverse `units` in elements of `item_size` bytes.
    fn of(item_size: usize, units: Vec<ByteUnits>) -> Self {
        match units.as_slice() {
            [] => Self::Nothing,
            [all] if all.width * all.count == item_size => Self::Every(all.width),
            _ => Self::Within(item_size, units),
        }
    }
}

/// Reverses the bytes of every unit of `size` bytes. The common sizes are written so that the compiler makes vector shuffles of them.
pub(super) fn swap(bytes: &mut [u8], size: usize) {
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
    use crate::dtype::Field;

    fn endian(order: &str) -> NamedConfig {
        NamedConfig::new("bytes", Map::from_iter([("endian".to_owned(), Value::from(order))]))
    }

    fn structure(types: &[DataType]) -> DataType {
        let fields = types.iter().enumerate().map(|(i, data_type)| Field { name: i.to_string(), data_type: data_type.clone() });
        DataType::Struct(fields.collect())
    }

    /// FMT-DT-2: the high bits of numbers narrower than a byte may be anything in a file.
    #[test]
    fn bits_that_mean_nothing_are_set_when_they_are_read() {
        let codec = Bytes::new(false, &DataType::Int4);
        assert!(!codec.is_native() && Bytes::new(false, &DataType::UInt8).is_native());
        let mut bytes = [0x07, 0xA8, 0xFF, 0x50];
        codec.decode(&mut bytes);
        assert_eq!(bytes, [7, 0xF8, 0xFF, 0]);
        let mut bytes = [0x07, 0xA8];
        Bytes::new(false, &DataType::UInt4).decode(&mut bytes);
        assert_eq!(bytes, [7, 8]);
    }

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
    fn endian_may_be_missing_only_for_single_bytes_and_structs() {
        let bare = NamedConfig::new("bytes", Map::new());
        for data_type in [DataType::UInt8, DataType::Raw { size_bytes: 3 }, structure(&[DataType::Bool, DataType::Raw { size_bytes: 2 }])] {
            let codec = Bytes::from_metadata(&bare, &data_type).unwrap();
            assert!(codec.is_native() && codec.to_metadata() == bare && codec.is_in_metadata());
            assert!(Bytes::from_metadata(&endian("big"), &data_type).unwrap().is_native());
        }
        for data_type in [DataType::Int16, DataType::Complex64, DataType::Utf32 { size_bytes: 8 }] {
            let Err(Error::Metadata { pointer, .. }) = Bytes::from_metadata(&bare, &data_type) else { panic!("accepted") };
            assert_eq!(pointer, "/configuration/endian");
        }
        // FMT-AA-1: this is all that zarr-python 3.1 says of structs.
        let codec = Bytes::from_metadata(&bare, &structure(&[DataType::Bool, DataType::Int32])).unwrap();
        assert_eq!(codec.to_metadata(), endian("little"));
        let mut bytes = [1, 2, 0, 0, 0];
        codec.decode(&mut bytes);
        assert_eq!(bytes[1..], 2_i32.to_ne_bytes());
        for data_type in [DataType::String, DataType::Bytes] {
            assert!(matches!(Bytes::from_metadata(&endian("little"), &data_type), Err(Error::Metadata { .. })));
        }
    }

    #[test]
    fn complex_numbers_swap_by_component() {
        let codec = Bytes::from_metadata(&endian("big"), &DataType::Complex64).unwrap();
        let mut bytes = [1.0_f32.to_ne_bytes(), 2.0_f32.to_ne_bytes()].concat();
        codec.convert(&mut bytes);
        assert_eq!(bytes, [1.0_f32.to_be_bytes(), 2.0_f32.to_be_bytes()].concat());
        assert_eq!(codec.to_metadata(), endian("big"));
    }

    /// FMT-AA-1
    #[test]
    fn structs_swap_field_by_field() {
        let data_type =
            structure(&[DataType::UInt8, DataType::Int16, structure(&[DataType::Complex64, DataType::Bool]), DataType::Float64]);
        let codec = Bytes::from_metadata(&endian("big"), &data_type).unwrap();
        let element = |order: fn(&[u8]) -> Vec<u8>| {
            let (a, b, c, d) = (7_i16.to_ne_bytes(), 1.5_f32.to_ne_bytes(), 2.5_f32.to_ne_bytes(), 3.25_f64.to_ne_bytes());
            [vec![9], order(&a), order(&b), order(&c), vec![1], order(&d)].concat()
        };
        let big: fn(&[u8]) -> Vec<u8> =
            |native| if cfg!(target_endian = "big") { native.to_vec() } else { native.iter().rev().copied().collect() };
        let mut bytes = [element(<[u8]>::to_vec), element(<[u8]>::to_vec)].concat();
        codec.convert(&mut bytes);
        assert_eq!(bytes, [element(big), element(big)].concat());
        codec.convert(&mut bytes);
        assert_eq!(bytes, [element(<[u8]>::to_vec), element(<[u8]>::to_vec)].concat());
        // Fields of one width are as fast as plain numbers.
        let codec = Bytes::new(cfg!(target_endian = "little"), &structure(&[DataType::Int32, DataType::Float32]));
        assert!(matches!(codec.swap, Swap::Every(4)));
    }

    /// FMT-AA-2
    #[test]
    fn byte_orders_may_be_mixed_within_an_element() {
        let data_type = structure(&[DataType::Int16, DataType::Int16, DataType::UInt8, DataType::UInt32]);
        let big = [ByteUnits { offset: 2, width: 2, count: 1 }, ByteUnits { offset: 5, width: 4, count: 1 }];
        let codec = Bytes::mixed(&big, &data_type).unwrap();
        assert!(!codec.is_native() && !codec.is_in_metadata());
        assert_eq!(codec.to_metadata(), endian("little"));
        let stored = [0x34, 0x12, 0x56, 0x78, 9, 0x01, 0x02, 0x03, 0x04];
        let mut bytes = [stored, stored].concat();
        codec.convert(&mut bytes);
        let native = [&0x1234_i16.to_ne_bytes()[..], &0x5678_i16.to_ne_bytes(), &[9], &0x0102_0304_u32.to_ne_bytes()].concat();
        assert_eq!(bytes, [native.clone(), native].concat());
        codec.convert(&mut bytes);
        assert_eq!(bytes, [stored, stored].concat());
        for (offset, width, count) in [(6, 4, 1), (0, 2, 5), (0, 0, 1), (0, 1, 1), (usize::MAX, 2, 1), (0, 2, usize::MAX)] {
            assert!(Bytes::mixed(&[ByteUnits { offset, width, count }], &data_type).is_err(), "{offset} {width} {count}");
        }
    }
}
