//! The `numcodecs.packbits` codec: eight booleans a byte, the first in the highest bit, behind a byte with the number of bits that are left over.

use crate::codec::bits::{self, First};
use crate::error::{Error, Result};

/// The codec for so many booleans.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackBits {
    count: usize,
}

impl PackBits {
    pub(super) const NAME: &'static str = "numcodecs.packbits";

    pub(super) fn new(count: usize) -> Self {
        Self { count }
    }

    /// Number of bytes of an encoded chunk.
    pub(super) fn encoded_bytes(self) -> usize {
        1 + self.count.div_ceil(8)
    }

    fn padding(self) -> u8 {
        [0, 7, 6, 5, 4, 3, 2, 1][self.count % 8]
    }

    /// Packs `from` to `to`, which has room for exactly the result.
    pub(super) fn encode(self, from: &[u8], to: &mut [u8]) {
        let Some((first, packed)) = to.split_first_mut() else { return };
        *first = self.padding();
        // Whatever is not 0 is true.
        let mut bools = [0; 1024];
        for (from, packed) in from.chunks(bools.len()).zip(packed.chunks_mut(bools.len() / 8)) {
            let bools = &mut bools[..from.len()];
            for (bool, &value) in bools.iter_mut().zip(from) {
                *bool = u8::from(value != 0);
            }
            bits::pack(First::Highest, bools, packed);
        }
    }

    pub(super) fn decode(self, from: &[u8], to: &mut [u8]) -> Result<()> {
        let Some((&first, packed)) = from.split_first() else { return Err(Error::corrupt("packed booleans: no bytes")) };
        if first != self.padding() {
            return Err(Error::corrupt(format!("packed booleans: {first} bits are left over, expected {}", self.padding())));
        }
        bits::unpack(First::Highest, packed, to);
        Ok(())
    }
}
