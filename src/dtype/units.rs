//! The numbers within an element: where byte order matters, and which bits of a byte are used. Units of time.

use super::{DataType, Kind};
use crate::error::{Error, Result};

/// Adjacent numbers of one width within an element, whose bytes are reversed between byte orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteUnits {
    /// First byte within the element.
    pub(crate) offset: usize,
    /// Width of a number in bytes; at least 2.
    pub(crate) width: usize,
    /// How many numbers.
    pub(crate) count: usize,
}

impl ByteUnits {
    /// Appends numbers, to the last ones where they continue them.
    pub(crate) fn append(units: &mut Vec<Self>, offset: usize, width: usize, count: usize) {
        match units.last_mut() {
            _ if width < 2 || count == 0 => {}
            Some(last) if last.width == width && last.offset + width * last.count == offset => last.count += count,
            _ => units.push(Self { offset, width, count }),
        }
    }
}

/// What the unused high bits of one byte must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HighBits {
    /// 0 above so many bits.
    Zero(u32),
    /// Copies of the highest of so many bits.
    Sign(u32),
    /// The byte is 0 or 1, and no other can be made one of them.
    Bool,
}

impl HighBits {
    fn normal(self, byte: u8) -> u8 {
        match self {
            Self::Zero(bits) => byte & (u8::MAX >> (8 - bits)),
            Self::Sign(bits) => ((byte << (8 - bits)).cast_signed() >> (8 - bits)).cast_unsigned(),
            Self::Bool => byte,
        }
    }

    fn accepts(self, byte: u8) -> bool {
        if self == Self::Bool { byte <= 1 } else { self.normal(byte) == byte }
    }
}

impl DataType {
    /// The numbers within an element whose bytes are reversed between byte orders, in order, adjacent ones of one width as one.
    pub(crate) fn byte_units(&self) -> Vec<ByteUnits> {
        let mut units = Vec::new();
        self.each_leaf(0, &mut |leaf, offset| {
            let width = leaf.swap_size();
            ByteUnits::append(&mut units, offset, width, leaf.item_size() / width.max(1));
        });
        units
    }

    /// Visits the types that an element is made of, with the offset of each.
    pub(super) fn each_leaf(&self, offset: usize, visit: &mut dyn FnMut(&Self, usize)) {
        if let Self::Struct(fields) = self {
            let mut offset = offset;
            for field in fields.iter() {
                field.data_type.each_leaf(offset, visit);
                offset += field.data_type.item_size();
            }
        } else {
            visit(self, offset);
        }
    }

    /// The bytes of an element of which not every bit is used.
    fn high_bits(&self) -> Vec<(usize, HighBits)> {
        let mut found = Vec::new();
        self.each_leaf(0, &mut |leaf, offset| {
            let high = match (leaf.kind(), leaf.integer(), leaf.floats()) {
                (Kind::Bool, ..) => HighBits::Bool,
                (_, Some((bits @ ..8, true)), _) => HighBits::Sign(bits),
                (_, Some((bits @ ..8, false)), _) => HighBits::Zero(bits),
                (.., Some((format, _))) if format.bits < 8 => HighBits::Zero(format.bits),
                _ => return,
            };
            found.extend((offset..offset + leaf.item_size()).map(|at| (at, high)));
        });
        found
    }

    /// Whether elements may be stored with bits that mean nothing, which [`DataType::normalise`] sets.
    pub(crate) fn needs_normalising(&self) -> bool {
        self.high_bits().iter().any(|(_, high)| *high != HighBits::Bool)
    }

    /// Sets the bits that mean nothing in elements narrower than a byte: to copies of the sign where there is one in two's complement,
    /// otherwise to 0. `bytes` are whole elements.
    pub(crate) fn normalise(&self, bytes: &mut [u8]) {
        let high = self.high_bits();
        match high[..] {
            [] => {}
            [(0, high)] if self.item_size() == 1 => bytes.iter_mut().for_each(|byte| *byte = high.normal(*byte)),
            _ => {
                for element in bytes.chunks_exact_mut(self.item_size()) {
                    for &(at, high) in &high {
                        element[at] = high.normal(element[at]);
                    }
                }
            }
        }
    }

    /// Refuses bytes that are no elements of the type: a `bool` other than 0 and 1, bits set above a number narrower than a byte.
    /// `bytes` are whole elements.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub(crate) fn check_elements(&self, bytes: &[u8]) -> Result<()> {
        let high = self.high_bits();
        let refused = match high[..] {
            [] => None,
            [(0, high)] if self.item_size() == 1 => bytes.iter().find(|byte| !high.accepts(**byte)).map(|byte| (high, *byte)),
            _ => bytes
                .chunks_exact(self.item_size())
                .find_map(|element| high.iter().map(|&(at, high)| (high, element[at])).find(|(high, byte)| !high.accepts(*byte))),
        };
        match refused {
            None => Ok(()),
            Some((HighBits::Bool, byte)) => Err(Error::invalid(format!("{byte} was given for a bool; 0 and 1 are accepted"))),
            Some((high, byte)) => Err(Error::invalid(format!(
                "the byte {byte:#04x} was given for {self}; with its unused bits set as they must be it is {:#04x}",
                high.normal(byte)
            ))),
        }
    }

    /// Turns elements between a stated byte order and the machine's, where they lie. `bytes` are whole elements.
    pub(crate) fn reorder(&self, bytes: &mut [u8], big: bool) {
        if big == cfg!(target_endian = "big") {
            return;
        }
        let units = self.byte_units();
        for element in bytes.chunks_exact_mut(self.item_size()) {
            for unit in &units {
                element[unit.offset..unit.offset + unit.width * unit.count].chunks_exact_mut(unit.width).for_each(<[u8]>::reverse);
            }
        }
    }

    /// Turns elements in memory into little-endian ones, where they lie: what other programs expect of raw bytes.
    ///
    /// # Panics
    /// If `bytes` are not whole elements.
    pub fn to_little_endian(&self, bytes: &mut [u8]) {
        assert!(bytes.len().is_multiple_of(self.item_size()), "whole elements");
        if !self.is_variable_length() {
            self.reorder(bytes, false);
        }
    }
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeUnit {
    /// `Y`.
    Year,
    /// `M`.
    Month,
    /// `W`.
    Week,
    /// `D`.
    Day,
    /// `h`.
    Hour,
    /// `m`.
    Minute,
    /// `s`.
    Second,
    /// `ms`.
    Millisecond,
    /// `us`.
    Microsecond,
    /// `ns`.
    Nanosecond,
    /// `ps`.
    Picosecond,
    /// `fs`.
    Femtosecond,
    /// `as`.
    Attosecond,
    /// `generic`: none is known.
    Generic,
}

impl TimeUnit {
    /// All of them, with the names that NumPy and Zarr give them.
    pub(crate) const ALL: [(Self, &'static str); 14] = [
        (Self::Year, "Y"),
        (Self::Month, "M"),
        (Self::Week, "W"),
        (Self::Day, "D"),
        (Self::Hour, "h"),
        (Self::Minute, "m"),
        (Self::Second, "s"),
        (Self::Millisecond, "ms"),
        (Self::Microsecond, "us"),
        (Self::Nanosecond, "ns"),
        (Self::Picosecond, "ps"),
        (Self::Femtosecond, "fs"),
        (Self::Attosecond, "as"),
        (Self::Generic, "generic"),
    ];

    /// The name in metadata: `ns`.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(unit, _)| *unit == self).map_or("generic", |(_, name)| name)
    }

    /// The unit of this name; microseconds have three, two of them with a Greek letter.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let name = if ["\u{3bc}s", "\u{b5}s"].contains(&name) { "us" } else { name };
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(unit, _)| *unit)
    }
}

#[cfg(test)]
mod tests;
