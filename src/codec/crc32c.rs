//! The `crc32c` codec: the bytes, then their Castagnoli CRC as a little-endian 32-bit integer.

use serde_json::Map;

use crate::codec::Sink;
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// Size of the checksum in bytes.
pub(super) const CHECKSUM_BYTES: u64 = 4;

/// A CRC-32C after the bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crc32c;

impl Crc32c {
    pub(crate) const NAME: &'static str = "crc32c";

    pub(super) fn from_metadata(config: &NamedConfig) -> Result<Self> {
        config.only(&[])?;
        Ok(Self)
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        NamedConfig::new(Self::NAME, Map::new())
    }

    /// Lets `produce` write to the sink, and the checksum after it.
    pub(super) fn encode(self, produce: impl FnOnce(&mut Sink<'_>) -> Result<()>, sink: &mut Sink<'_>) -> Result<()> {
        let mut checksum = 0;
        produce(&mut |piece| {
            checksum = crc32c::crc32c_append(checksum, piece);
            sink(piece)
        })?;
        sink(&checksum.to_le_bytes())
    }

    /// The bytes before the checksum, which is verified.
    pub(super) fn decode(self, input: &[u8]) -> Result<&[u8]> {
        let Some((rest, stored)) = input.split_last_chunk() else {
            return Err(Error::corrupt(format!("{} bytes where a crc32c checksum alone takes {CHECKSUM_BYTES}", input.len())));
        };
        let (expected, got) = (u32::from_le_bytes(*stored), crc32c::crc32c(rest));
        if expected == got { Ok(rest) } else { Err(Error::ChecksumMismatch { key: String::new(), expected, got }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let produce = |sink: &mut Sink<'_>| input.chunks(3).try_for_each(sink);
        Crc32c
            .encode(produce, &mut |piece| {
                out.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        out
    }

    #[test]
    fn the_check_value_of_the_castagnoli_polynomial() {
        assert_eq!(encoded(b"123456789"), [&b"123456789"[..], &0xe306_9283_u32.to_le_bytes()].concat());
        assert_eq!(encoded(b""), [0; 4]);
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let good = encoded(b"some bytes");
        assert_eq!(Crc32c.decode(&good).unwrap(), b"some bytes");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Crc32c.decode(&bad), Err(Error::ChecksumMismatch { .. })), "bit {bit}");
        }
        for len in 0..good.len() {
            match Crc32c.decode(&good[..len]) {
                Err(Error::ChecksumMismatch { .. }) if len >= 4 => {}
                Err(Error::Corrupt { .. }) if len < 4 => {}
                other => panic!("{len} bytes: {other:?}"),
            }
        }
    }
}
