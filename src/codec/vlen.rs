//! The `vlen-utf8` and `vlen-bytes` codecs: a count, then the length and the bytes of each element.
//!
//! Nothing says how many bytes a decoded chunk has. Its number of elements is known, so that hostile bytes can only make elements long;
//! [`most_bytes`] bounds what a compressor before them may make of the stored bytes.

use serde_json::Map;

use crate::buffer::make_room;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::ragged::Ragged;
use crate::region::to_usize;

/// Size of the count and of each length, unsigned and little endian.
const LEN_BYTES: usize = 4;

/// A chunk of these codecs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vlen {
    /// Whether elements are text.
    text: bool,
    /// Number of elements of a chunk.
    count: u32,
}

/// The names that are read, with whether elements are text. The first of each kind is written.
const NAMES: &[(&str, bool)] =
    &[(Vlen::TEXT_NAME, true), (Vlen::BYTES_NAME, false), ("numcodecs.vlen-utf8", true), ("numcodecs.vlen-bytes", false)];

/// The most bytes that `count` elements may take before the bytes->bytes codecs, where these made `stored` bytes of them; saturates.
pub(super) fn most_bytes(count: u64, stored: u64) -> u64 {
    let elements = count.saturating_mul(LEN_BYTES as u64 + 64).saturating_add(LEN_BYTES as u64);
    elements.saturating_add(16 << 20).saturating_add(stored.saturating_mul(256))
}

impl Vlen {
    pub(crate) const TEXT_NAME: &'static str = "vlen-utf8";
    pub(crate) const BYTES_NAME: &'static str = "vlen-bytes";

    /// Whether a codec of this name is one of these.
    pub(super) fn is_named(name: &str) -> bool {
        NAMES.iter().any(|(known, _)| *known == name)
    }

    /// Reads the codec object for chunks of `count` elements.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType, count: u64) -> Result<Self> {
        config.only(&[])?;
        let text = NAMES.iter().any(|(known, text)| *known == config.name && *text);
        match data_type {
            DataType::String if text => {}
            DataType::Bytes if !text => {}
            _ => {
                let wanted = if text { DataType::String } else { DataType::Bytes };
                return Err(Error::metadata("/name", format!("{:?} for data type {data_type}; it takes {wanted}", config.name)));
            }
        }
        let Ok(count) = u32::try_from(count) else {
            return Err(Error::unsupported(format!("{} for chunks of {count} elements; it counts them in 32 bits", config.name)));
        };
        Ok(Self { text, count })
    }

    /// The codec object.
    pub(super) fn to_metadata(self) -> NamedConfig {
        NamedConfig::new(if self.text { Self::TEXT_NAME } else { Self::BYTES_NAME }, Map::new())
    }

    /// Number of elements of a chunk.
    pub(super) fn count(self) -> u64 {
        u64::from(self.count)
    }

    /// Takes a chunk apart. Memory is only taken for what is there: 16 bytes for each element, and its bytes.
    pub(super) fn decode(self, encoded: &[u8]) -> Result<Ragged> {
        let (count, mut rest) = take_len(encoded).ok_or_else(|| Error::corrupt("strings: no room for their number"))?;
        if count != self.count {
            return Err(Error::corrupt(format!("strings: {count} elements, expected {}", self.count)));
        }
        let lengths = u64::from(count) * LEN_BYTES as u64;
        let heap_bytes = usize::try_from(lengths).ok().and_then(|lengths| rest.len().checked_sub(lengths));
        let Some(heap_bytes) = heap_bytes else {
            return Err(Error::corrupt(format!("strings: {} bytes cannot hold {count} elements", encoded.len())));
        };
        let mut elements = Ragged::with_room(to_usize(u64::from(count)), heap_bytes)?;
        for position in 0..count {
            let element = take_len(rest).and_then(|(len, behind)| behind.split_at_checked(to_usize(u64::from(len))));
            let Some((element, behind)) = element else {
                return Err(Error::corrupt(format!("strings: element {position} of {count} goes beyond the end of the chunk")));
            };
            if self.text && std::str::from_utf8(element).is_err() {
                return Err(Error::corrupt(format!("strings: element {position} of {count} is not UTF-8")));
            }
            elements.push(element)?;
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(Error::corrupt(format!("strings: {} bytes follow the last of {count} elements", rest.len())));
        }
        Ok(elements)
    }

    /// Puts a chunk together in `out`, whose old contents go.
    ///
    /// # Panics
    /// If there are not as many elements as a chunk has.
    pub(super) fn encode(self, elements: &Ragged, out: &mut Vec<u8>) -> Result<()> {
        assert_eq!(elements.len(), to_usize(self.count()), "elements of a chunk");
        // Elements may share bytes of the heap, so its size says little.
        let bytes = elements.iter().try_fold(0_usize, |sum, element| sum.checked_add(element.len() + LEN_BYTES));
        make_room(out, bytes.and_then(|bytes| bytes.checked_add(LEN_BYTES)).unwrap_or(usize::MAX))?;
        out.extend_from_slice(&self.count.to_le_bytes());
        for (position, element) in elements.iter().enumerate() {
            let Ok(len) = u32::try_from(element.len()) else {
                return Err(Error::invalid(format!("element {position} has {} bytes; at most 2^32 - 1 can be stored", element.len())));
            };
            if self.text && std::str::from_utf8(element).is_err() {
                return Err(Error::invalid(format!("element {position} of a chunk of strings is not UTF-8")));
            }
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(element);
        }
        Ok(())
    }
}

/// Splits a length off the beginning of `bytes`.
fn take_len(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<LEN_BYTES>()?;
    Some((u32::from_le_bytes(*len), rest))
}
