//! The `packbits` codec: elements in C order, each in as many bits as it has, or fewer, without gaps between them.
//!
//! The bits of an element follow each other from the lowest to the highest, and fill bytes from the lowest bit to the highest.

use serde_json::{Map, Value};

use crate::codec::bits::{self, First};
use crate::codec::configuration;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::json::{NamedConfig, brief};

/// Where the number of bits that are left over in the last byte is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    Nowhere,
    FirstByte,
    LastByte,
}

/// The codec for chunks of one size.
#[derive(Clone, Debug)]
pub(crate) struct PackBits {
    padding: Padding,
    first_bit: u32,
    last_bit: u32,
    /// The bits of a number; what is not said is the first and the last of them.
    number_bits: u32,
    /// Size of a number in bytes.
    number_bytes: usize,
    /// Whether the highest bit that is kept is repeated above it.
    signed: bool,
    /// How many numbers a chunk has.
    count: usize,
}

const PADDINGS: &[(&str, Padding)] = &[("none", Padding::Nowhere), ("first_byte", Padding::FirstByte), ("last_byte", Padding::LastByte)];

impl PackBits {
    pub(crate) const NAME: &'static str = "packbits";

    /// Reads the codec object for chunks of `chunk_bytes` decoded bytes.
    pub(super) fn from_metadata(config: &NamedConfig, data_type: &DataType, chunk_bytes: usize) -> Result<Self> {
        config.only(&["padding_encoding", "first_bit", "last_bit"])?;
        let Some((number_bits, number_bytes, signed)) = numbers(data_type) else {
            return Err(Error::metadata("/name", format!("{} for data type {data_type}; it takes bool and numbers", Self::NAME)));
        };
        let padding = match config.configuration.get("padding_encoding") {
            None => Padding::Nowhere,
            Some(value) => match PADDINGS.iter().find(|(name, _)| value.as_str() == Some(name)) {
                Some((_, padding)) => *padding,
                None => {
                    let what = format!("{}; accepted are none, first_byte and last_byte", brief(value));
                    return Err(Error::metadata("/configuration/padding_encoding", what));
                }
            },
        };
        let highest = i32::try_from(number_bits - 1).unwrap_or(i32::MAX);
        let bit = |name: &str, least: i32, default: i32| match config.configuration.get(name) {
            Some(Value::Null) => Ok(default),
            _ => configuration::integer(config, name, least..=highest, default),
        };
        let first_bit = bit("first_bit", 0, 0)?;
        let last_bit = bit("last_bit", first_bit, highest)?;
        let (first_bit, last_bit) = (first_bit.unsigned_abs(), last_bit.unsigned_abs());
        Ok(Self { padding, first_bit, last_bit, number_bits, number_bytes, signed, count: chunk_bytes / number_bytes })
    }

    /// Whether all bits of a number are stored.
    pub(super) fn is_exact(&self) -> bool {
        self.first_bit == 0 && self.last_bit + 1 == self.number_bits
    }

    /// The codec object.
    pub(super) fn to_metadata(&self) -> NamedConfig {
        let mut configuration = Map::new();
        for (name, padding) in PADDINGS.iter().filter(|(_, padding)| *padding != Padding::Nowhere) {
            if *padding == self.padding {
                configuration.insert("padding_encoding".to_owned(), Value::from(*name));
            }
        }
        if self.first_bit > 0 {
            configuration.insert("first_bit".to_owned(), Value::from(self.first_bit));
        }
        if self.last_bit + 1 < self.number_bits {
            configuration.insert("last_bit".to_owned(), Value::from(self.last_bit));
        }
        NamedConfig::new(Self::NAME, configuration)
    }

    /// Bits that are stored of a number.
    fn width(&self) -> u32 {
        self.last_bit - self.first_bit + 1
    }

    /// Bytes of packed bits, and bits that are left over in the last of them. No overflow: decoded, each number takes whole bytes.
    fn packed_bytes(&self) -> (usize, u8) {
        let bits = self.count as u128 * u128::from(self.width());
        let left_over = u8::try_from(bits.next_multiple_of(8) - bits).unwrap_or_default();
        (usize::try_from(bits.div_ceil(8)).unwrap_or(usize::MAX), left_over)
    }

    /// Size of an encoded chunk in bytes.
    pub(super) fn encoded_bytes(&self) -> usize {
        self.packed_bytes().0.saturating_add(usize::from(self.padding != Padding::Nowhere))
    }

    /// Replaces the contents of `out`, which has room for [`PackBits::encoded_bytes`].
    pub(super) fn encode(&self, decoded: &[u8], out: &mut Vec<u8>) {
        out.clear();
        let (packed_bytes, left_over) = self.packed_bytes();
        if self.padding == Padding::FirstByte {
            out.push(left_over);
        }
        if self.is_single_bits() {
            let start = out.len();
            out.resize(start + packed_bytes, 0);
            bits::pack(First::Lowest, decoded, &mut out[start..]);
        } else {
            self.pack(decoded, out);
        }
        if self.padding == Padding::LastByte {
            out.push(left_over);
        }
    }

    /// Whether all that is stored is the lowest bit of each byte.
    fn is_single_bits(&self) -> bool {
        self.number_bytes == 1 && self.last_bit == 0 && !self.signed
    }

    /// Appends the bits of all numbers.
    fn pack(&self, decoded: &[u8], out: &mut Vec<u8>) {
        let (mut pending, mut pending_bits) = (0_u128, 0_u32);
        for number in decoded.chunks_exact(self.number_bytes) {
            pending |= u128::from(self.take(read(number))) << pending_bits;
            pending_bits += self.width();
            while pending_bits >= 8 {
                out.push(low_byte(pending));
                pending >>= 8;
                pending_bits -= 8;
            }
        }
        if pending_bits > 0 {
            out.push(low_byte(pending));
        }
    }

    /// Fills `out`, a decoded chunk.
    pub(super) fn decode(&self, encoded: &[u8], out: &mut [u8]) -> Result<()> {
        if encoded.len() != self.encoded_bytes() {
            let what = format!("packed bits: {} bytes, expected {}", encoded.len(), self.encoded_bytes());
            return Err(Error::corrupt(what));
        }
        let (_, expected) = self.packed_bytes();
        let (stored, packed) = match (self.padding, encoded) {
            (Padding::FirstByte, [first, packed @ ..]) | (Padding::LastByte, [packed @ .., first]) => (Some(*first), packed),
            _ => (None, encoded),
        };
        if let Some(stored) = stored.filter(|stored| *stored != expected) {
            return Err(Error::corrupt(format!("packed bits: {stored} bits are left over, expected {expected}")));
        }
        if self.is_single_bits() {
            bits::unpack(First::Lowest, packed, out);
        } else {
            self.unpack(packed, out);
        }
        Ok(())
    }

    /// Fills `out` with numbers of which `packed` has the bits.
    fn unpack(&self, packed: &[u8], out: &mut [u8]) {
        let mut bytes = packed.iter();
        let (mut pending, mut pending_bits) = (0_u128, 0_u32);
        for number in out.chunks_exact_mut(self.number_bytes) {
            while pending_bits < self.width() {
                // There are as many bytes as the numbers take.
                pending |= u128::from(bytes.next().copied().unwrap_or_default()) << pending_bits;
                pending_bits += 8;
            }
            write(self.put(low_bits(pending, self.width())), number);
            pending >>= self.width();
            pending_bits -= self.width();
        }
    }

    /// The bits of a number that are stored.
    fn take(&self, number: u64) -> u64 {
        low_bits(u128::from(number >> self.first_bit), self.width())
    }

    /// The number of which these bits are stored.
    fn put(&self, bits: u64) -> u64 {
        let number = bits << self.first_bit;
        let above = 63 - self.last_bit;
        if self.signed { ((number << above).cast_signed() >> above).cast_unsigned() } else { number }
    }
}

/// The numbers that elements are made of: their bits, their size in bytes, and whether they are in two's complement.
fn numbers(data_type: &DataType) -> Option<(u32, usize, bool)> {
    if *data_type == DataType::Bool {
        return Some((1, 1, false));
    }
    let float = data_type.floats().map(|(format, _)| (format.bits, format.size(), false));
    float.or_else(|| data_type.integer().map(|(bits, signed)| (bits, data_type.item_size(), signed)))
}

/// A number of up to 8 bytes in the byte order of the machine.
fn read(bytes: &[u8]) -> u64 {
    let add = |bits: u64, byte: &u8| bits << 8 | u64::from(*byte);
    if cfg!(target_endian = "big") { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
}

/// The inverse of [`read`]; bits that find no place go.
fn write(number: u64, bytes: &mut [u8]) {
    let len = bytes.len();
    if cfg!(target_endian = "big") {
        bytes.copy_from_slice(&number.to_be_bytes()[8 - len..]);
    } else {
        bytes.copy_from_slice(&number.to_le_bytes()[..len]);
    }
}

fn low_bits(bits: u128, count: u32) -> u64 {
    let mask = u128::from(u64::MAX >> (64 - count));
    u64::try_from(bits & mask).unwrap_or_default()
}

fn low_byte(bits: u128) -> u8 {
    bits.to_le_bytes()[0]
}

#[cfg(test)]
mod tests;
