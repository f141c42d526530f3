//! The `numcodecs.shuffle` codec: the first bytes of all elements, then all second ones, and so on.

use serde_json::{Map, Value};

use crate::buffer::{make_room, resize};
use crate::codec::scratch::Scratch;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// A byte shuffle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shuffle {
    /// Size of an element in bytes; at least 1, which leaves all bytes where they are.
    element_bytes: usize,
}

/// Elements that are put together at a time: few enough that they stay in the first cache.
const BLOCK_ELEMENTS: usize = 1024;

impl Shuffle {
    pub(crate) const NAME: &'static str = "numcodecs.shuffle";

    /// Reads the codec object of a pipeline for items of `item_bytes`, which is the size of elements where it is missing or null.
    pub(super) fn from_metadata(config: &NamedConfig, item_bytes: usize) -> Result<Self> {
        config.only(&["elementsize"])?;
        let element_bytes = match config.configuration.get("elementsize") {
            None | Some(Value::Null) => item_bytes,
            Some(_) => usize::try_from(configuration::integer(config, "elementsize", 0..=i32::MAX, 0)?).unwrap_or(0),
        };
        Ok(Self { element_bytes: element_bytes.max(1) })
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        NamedConfig::new(Self::NAME, Map::from_iter([("elementsize".to_owned(), Value::from(self.element_bytes))]))
    }

    /// Whether `len` bytes are whole elements. No others can be shuffled.
    pub(super) fn divides(self, len: u64) -> bool {
        len.is_multiple_of(self.element_bytes as u64)
    }

    pub(super) fn misfit(self, len: u64) -> String {
        format!("shuffle of {len} bytes in elements of {}; only whole elements can be shuffled", self.element_bytes)
    }

    /// Shuffles `input`.
    pub(super) fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        if !self.divides(input.len() as u64) {
            return Err(Error::unsupported(self.misfit(input.len() as u64)));
        }
        let mut piece = scratch.take_len(PIECE_BYTES)?;
        let count = input.len() / self.element_bytes;
        let mut filled = 0;
        for byte in 0..self.element_bytes.min(input.len()) {
            let mut from = 0;
            while from < count {
                let len = (PIECE_BYTES - filled).min(count - from);
                let elements = &input[from * self.element_bytes..(from + len) * self.element_bytes];
                self.gather(elements, byte, &mut piece[filled..filled + len]);
                (from, filled) = (from + len, filled + len);
                if filled == PIECE_BYTES {
                    sink(&piece)?;
                    filled = 0;
                }
            }
        }
        sink(&piece[..filled])?;
        scratch.give(piece);
        Ok(())
    }

    /// Byte `byte` of each element.
    fn gather(self, elements: &[u8], byte: usize, out: &mut [u8]) {
        match self.element_bytes {
            // By shifts of whole elements, which the compiler does to many at once.
            2 => gather(elements, out, |element| (u16::from_le_bytes(element) >> (8 * byte)).to_le_bytes()[0]),
            4 => gather(elements, out, |element| (u32::from_le_bytes(element) >> (8 * byte)).to_le_bytes()[0]),
            8 => gather(elements, out, |element| (u64::from_le_bytes(element) >> (8 * byte)).to_le_bytes()[0]),
            size => out.iter_mut().zip(elements.chunks_exact(size)).for_each(|(out, element)| *out = element[byte]),
        }
    }

    /// Puts the elements together in `out`, whose contents are replaced, refusing to make more than `limit` bytes.
    pub(super) fn decode(self, input: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<()> {
        if input.len() > limit {
            return Err(Error::corrupt(format!("shuffle: {} bytes, more than the {limit} that are expected", input.len())));
        }
        if !self.divides(input.len() as u64) {
            return Err(Error::corrupt(self.misfit(input.len() as u64)));
        }
        if self.element_bytes == 1 {
            make_room(out, input.len())?;
            out.extend_from_slice(input);
            return Ok(());
        }
        resize(out, input.len())?;
        match self.element_bytes {
            2 => spread::<2>(input, out),
            4 => spread::<4>(input, out),
            8 => spread::<8>(input, out),
            size => spread_any(input, size, out),
        }
        Ok(())
    }
}

fn gather<const SIZE: usize>(elements: &[u8], out: &mut [u8], byte: impl Fn([u8; SIZE]) -> u8) {
    for (out, element) in out.iter_mut().zip(elements.as_chunks().0) {
        *out = byte(*element);
    }
}

fn spread<const SIZE: usize>(input: &[u8], out: &mut [u8]) {
    let count = input.len() / SIZE;
    let planes: [&[u8]; SIZE] = std::array::from_fn(|byte| &input[byte * count..(byte + 1) * count]);
    for (i, element) in out.as_chunks_mut::<SIZE>().0.iter_mut().enumerate() {
        *element = std::array::from_fn(|byte| planes[byte][i]);
    }
}

fn spread_any(input: &[u8], size: usize, out: &mut [u8]) {
    let count = input.len() / size;
    for (block, elements) in out.chunks_mut(BLOCK_ELEMENTS * size).enumerate() {
        for byte in 0..size {
            let from = byte * count + block * BLOCK_ELEMENTS;
            let plane = &input[from..(byte + 1) * count];
            elements.chunks_exact_mut(size).zip(plane).for_each(|(element, &value)| element[byte] = value);
        }
    }
}
