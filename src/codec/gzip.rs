//! The `gzip` codec: RFC 1952 members around raw deflate streams (RFC 1951).

use serde_json::{Map, Value};

use crate::buffer::make_room;
use crate::codec::deflate::{self, MAX_RATIO, deflate, inflate};
use crate::codec::scratch::Scratch;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// Gzip compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gzip {
    level: u32,
}

/// Flags of a member's header: CRC-16 of the header, extra field, file name, comment; the others are reserved.
const FHCRC: u8 = 2;
const FEXTRA: u8 = 4;
const FNAME: u8 = 8;
const FCOMMENT: u8 = 16;
const RESERVED: u8 = 0xe0;

impl Gzip {
    pub(crate) const NAME: &'static str = "gzip";
    /// The highest level; the lowest is 0.
    pub(crate) const MAX_LEVEL: i32 = 9;
    /// The customary level.
    pub(crate) const DEFAULT_LEVEL: i32 = 6;
    /// Magic number, deflate, no flags, no time (so that equal chunks give equal bytes), no extra flags, unknown system.
    pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

    /// Reads the codec object.
    pub(super) fn from_metadata(config: &NamedConfig) -> Result<Self> {
        config.only(&["level"])?;
        let level = configuration::integer(config, "level", 0..=Self::MAX_LEVEL, Self::DEFAULT_LEVEL)?;
        Ok(Self { level: level.unsigned_abs() })
    }

    /// Reads the codec object `numcodecs.gzip`, whose bytes are the same: level 1 is customary there, and -1 means level 6.
    pub(super) fn from_numcodecs(config: &NamedConfig) -> Result<Self> {
        config.only(&["level"])?;
        let level = configuration::integer(config, "level", -1..=Self::MAX_LEVEL, 1)?;
        Ok(Self { level: u32::try_from(level).unwrap_or(Self::DEFAULT_LEVEL.unsigned_abs()) })
    }

    pub(super) fn to_metadata(self) -> NamedConfig {
        NamedConfig::new(Self::NAME, Map::from_iter([("level".to_owned(), Value::from(self.level))]))
    }

    /// Encodes `input` to one member.
    pub(super) fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        let mut piece = scratch.take();
        make_room(&mut piece, PIECE_BYTES)?;
        piece.extend_from_slice(&Self::HEADER);
        deflate(Self::NAME, scratch.deflater(self.level, false), input, &mut piece, sink)?;
        piece.extend_from_slice(&Self::trailer(crc32fast::hash(input), input.len() as u64));
        sink(&piece)?;
        scratch.give(piece);
        Ok(())
    }

    /// What stands behind a member, whose content has checksum `crc` and `len` bytes.
    pub(super) fn trailer(crc: u32, len: u64) -> [u8; 8] {
        let ([a, b, c, d], [e, f, g, h, ..]) = (crc.to_le_bytes(), len.to_le_bytes());
        // RFC 1952 stores the length modulo 2^32.
        [a, b, c, d, e, f, g, h]
    }

    pub(super) fn level(self) -> u32 {
        self.level
    }

    /// Decodes one or more members to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
    /// Zeros after the last member are padding.
    pub(super) fn decode(input: &[u8], limit: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
        // One byte more than the limit: a stream that fills it has too much.
        make_room(out, limit.min(input.len().saturating_mul(MAX_RATIO)).saturating_add(1))?;
        let mut rest = input;
        loop {
            let mut body = rest.iter();
            read_header(&mut || Ok(body.next().copied()))?;
            let start = out.len();
            let behind = inflate(Self::NAME, scratch.inflater(false), body.as_slice(), limit, out)?;
            let (trailer, after) = behind.split_first_chunk().ok_or_else(cut_off)?;
            check_trailer(*trailer, crc32fast::hash(&out[start..]), (out.len() - start) as u64)?;
            rest = after;
            if rest.iter().all(|&byte| byte == 0) {
                return Ok(());
            }
        }
    }
}

fn cut_off() -> Error {
    deflate::cut_off(Gzip::NAME)
}

/// Checks CRC and length of a member, whose content has checksum `got` and `len` bytes.
pub(super) fn check_trailer(trailer: [u8; 8], got: u32, len: u64) -> Result<()> {
    let [a, b, c, d, e, f, g, h] = trailer;
    let expected = u32::from_le_bytes([a, b, c, d]);
    if expected != got {
        return Err(Error::ChecksumMismatch { key: String::new(), expected, got });
    }
    let (expected, got) = (u32::from_le_bytes([e, f, g, h]), len & u64::from(u32::MAX));
    if u64::from(expected) != got {
        return Err(Error::corrupt(format!("gzip: a member says that it holds {expected} bytes modulo 2^32, and holds {got}")));
    }
    Ok(())
}

/// Reads the header of a member, byte after byte: `next` gives none where there are no more.
pub(super) fn read_header(next: &mut dyn FnMut() -> Result<Option<u8>>) -> Result<()> {
    let mut hasher = crc32fast::Hasher::new();
    let mut byte = || {
        let byte = next()?.ok_or_else(cut_off)?;
        hasher.update(&[byte]);
        Ok::<_, Error>(byte)
    };
    let mut header = [0; Gzip::HEADER.len()];
    for to in &mut header {
        *to = byte()?;
    }
    let [0x1f, 0x8b, 8, flags, ..] = header else {
        return Err(Error::corrupt(format!("gzip: a member begins with {:02x?}, not with the bytes 1f, 8b, 08", &header[..3])));
    };
    if flags & RESERVED != 0 {
        return Err(Error::corrupt(format!("gzip: reserved header flags are set: {flags:#04x}")));
    }
    if flags & FEXTRA != 0 {
        for _ in 0..u16::from_le_bytes([byte()?, byte()?]) {
            byte()?;
        }
    }
    for text in [FNAME, FCOMMENT] {
        while flags & text != 0 && byte()? != 0 {}
    }
    if flags & FHCRC != 0 {
        let got = hasher.finalize() & 0xffff;
        let stored = [next()?.ok_or_else(cut_off)?, next()?.ok_or_else(cut_off)?];
        let expected = u32::from(u16::from_le_bytes(stored));
        if expected != got {
            return Err(Error::ChecksumMismatch { key: String::new(), expected, got });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(level: u32, input: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let sink = &mut |piece: &[u8]| {
            assert!(piece.len() <= PIECE_BYTES);
            out.extend_from_slice(piece);
            Ok(())
        };
        Gzip { level }.encode(input, &mut Scratch::default(), sink).unwrap();
        out
    }

    fn decode(input: &[u8], limit: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Gzip::decode(input, limit, &mut Scratch::default(), &mut out).map(|()| out)
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 7_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    #[test]
    fn round_trips_stay_within_the_bound() {
        for level in 0..=9 {
            for len in [0, 1, 5, 1000, PIECE_BYTES - 18, PIECE_BYTES, 400_000] {
                for input in [noise(len), vec![3; len]] {
                    let encoded = encode(level, &input);
                    assert!(encoded.len() as u64 <= deflate::encoded_bound(len as u64), "level {level}: {len} to {}", encoded.len());
                    assert_eq!(decode(&encoded, len).unwrap(), input, "level {level}, {len} bytes");
                    assert_eq!(encoded[4..8], [0; 4], "no time");
                    assert!(len == 0 || decode(&encoded, len - 1).is_err());
                }
            }
        }
    }

    #[test]
    fn members_headers_and_padding() {
        let plain = encode(6, b"one ");
        let mut fancy = encode(1, b"two");
        let mut header = [&fancy[..3], &[FHCRC | FEXTRA | FNAME | FCOMMENT], &[1, 2, 3, 4, 0, 3], &[2, 0, 9, 9], b"name\0", b"\0"].concat();
        header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes()[..2]);
        fancy.splice(..10, header.iter().copied());
        let all = [&plain[..], &fancy, &plain].concat();
        assert_eq!(decode(&all, 11).unwrap(), b"one twoone ");
        assert_eq!(decode(&[&all, &[0; 512][..]].concat(), 11).unwrap(), b"one twoone ");
        assert!(matches!(decode(&[&all, &b"x"[..]].concat(), 11), Err(Error::Corrupt { .. })));
        assert!(matches!(decode(&[&all, &b"more than ten bytes"[..]].concat(), 11), Err(Error::Corrupt { .. })));
        for bit in 0..header.len() * 8 {
            let mut bad = fancy.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad, 3).is_err(), "bit {bit} of a header with a checksum");
        }
    }

    #[test]
    fn damage_is_noticed() {
        let input = noise(200);
        let good = encode(9, &input);
        for len in 0..good.len() {
            assert!(matches!(decode(&good[..len], 200), Err(Error::Corrupt { .. })), "{len} bytes");
        }
        for bit in Gzip::HEADER.len() * 8..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Ok(decoded) = decode(&bad, 200) {
                // Padding bits between stored blocks, and after the last.
                assert_eq!(decoded, input, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = encode(9, &vec![0; 8 << 20]);
        let mut out = Vec::new();
        let error = Gzip::decode(&bomb, 1024, &mut Scratch::default(), &mut out).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains("more than the 1024 bytes")), "{error}");
        assert!(out.capacity() <= 2048);
        // Nor does a large limit make room for more than the input can hold.
        let mut out = Vec::new();
        Gzip::decode(&encode(6, b"small"), 1 << 40, &mut Scratch::default(), &mut out).unwrap();
        assert!(out.capacity() < 1 << 16);
    }

    #[test]
    fn a_broken_off_stream_leaves_the_context_usable() {
        let mut scratch = Scratch::default();
        let input = noise(1 << 20);
        let stop = Gzip { level: 6 }.encode(&input, &mut scratch, &mut |_| Err(Error::Cancelled));
        assert!(matches!(stop, Err(Error::Cancelled)));
        let (mut encoded, mut out) = (Vec::new(), Vec::new());
        Gzip { level: 6 }
            .encode(b"again", &mut scratch, &mut |piece| {
                encoded.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        assert!(Gzip::decode(&encoded[..20], 5, &mut scratch, &mut out).is_err());
        Gzip::decode(&encoded, 5, &mut scratch, &mut out).unwrap();
        assert_eq!(out, b"again");
    }
}
