//! The `zstd` codec: RFC 8878 frames.
//!
//! Decoding is always done in one pass into the output buffer. The buffer is then the window, so a frame that asks for a large window
//! costs nothing, and the limit on the output is the limit on all memory that the input can ask for.

use serde_json::{Map, Value};
use zstd::zstd_safe::zstd_sys::{ZSTD_EndDirective, ZSTD_ErrorCode};
use zstd::zstd_safe::{CCtx, ErrorCode, InBuffer, OutBuffer, ResetDirective, compress_bound, decompress_bound, get_error_name};

use crate::buffer::{make_room, resize};
use crate::codec::scratch::Scratch;
use crate::codec::{PIECE_BYTES, Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// Zstandard compression.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zstd {
    level: i32,
    checksum: bool,
}

/// Inputs up to this size are compressed in one pass, which saves the copy into a window and is a quarter faster, at the price of memory for
/// all of the output.
const ONE_PASS_BYTES: usize = 4 << 20;

/// Logarithms of the input sizes for which [`ENCODER_KIB`] has a column.
const ENCODER_SIZE_LOG: [u32; 7] = [14, 16, 18, 20, 22, 24, 26];

/// Upper bounds in KiB of a compression context for inputs up to these sizes, and (last column) for all larger ones, by level: first all
/// negative ones, then 0 to 22. The safe interface of libzstd has no estimate, so these are measured; a test measures again.
const ENCODER_KIB: [[u32; 8]; 24] = [
    [173, 487, 1075, 1336, 1336, 1336, 1336, 1336],
    [336, 863, 1565, 2609, 3654, 3654, 3654, 3654],
    [271, 504, 1108, 1369, 1369, 1369, 1369, 1369],
    [271, 602, 1173, 2087, 2087, 2087, 2087, 2087],
    [336, 863, 1565, 2609, 3654, 3654, 3654, 3654],
    [271, 1254, 1956, 3915, 4959, 4959, 4959, 4959],
    [271, 1124, 2348, 4437, 5481, 5481, 5481, 5481],
    [271, 1124, 3654, 4437, 5481, 5481, 5481, 5481],
    [271, 1124, 3654, 7048, 8093, 8093, 8093, 8093],
    [271, 1124, 3654, 7048, 8093, 8093, 8093, 8093],
    [336, 1124, 3654, 12271, 15404, 15404, 15404, 15404],
    [336, 1124, 3654, 12271, 25849, 25849, 25849, 25849],
    [485, 1515, 4176, 12271, 25849, 25849, 25849, 25849],
    [565, 1515, 5220, 12271, 46738, 46738, 46738, 46738],
    [565, 1664, 4324, 18537, 38383, 38383, 38383, 38383],
    [630, 1985, 4966, 18537, 55094, 55094, 55094, 55094],
    [630, 1985, 4966, 18537, 71806, 71806, 71806, 71806],
    [630, 1985, 6011, 18686, 38531, 38531, 38531, 38531],
    [630, 1985, 6011, 18686, 55243, 59421, 59421, 59421],
    [630, 1985, 6011, 19328, 55885, 60063, 60063, 60063],
    [630, 1985, 6011, 19328, 55885, 93486, 93486, 93486],
    [630, 1985, 6011, 19328, 72597, 185_400, 202_112, 202_112],
    [630, 1985, 6011, 19328, 72597, 218_824, 402_652, 402_652],
    [630, 1985, 6011, 19328, 72597, 285_670, 736_886, 870_661],
];

impl Zstd {
    pub(crate) const NAME: &'static str = "zstd";
    /// The lowest (fastest) level.
    pub(crate) const MIN_LEVEL: i32 = -131_072;
    /// The highest level.
    pub(crate) const MAX_LEVEL: i32 = 22;
    /// Upper bound of the memory in bytes of a decompression context.
    pub(super) const DECODE_MEMORY: u64 = 96 << 10;

    /// Reads the codec object; `level` is 0 (the default of libzstd) if it is missing.
    pub(super) fn from_metadata(config: &NamedConfig) -> Result<Self> {
        config.only(&["level", "checksum"])?;
        let level = configuration::integer(config, "level", Self::MIN_LEVEL..=Self::MAX_LEVEL, 0)?;
        Ok(Self { level, checksum: configuration::boolean(config, "checksum")? })
    }

    /// The codec object, with `checksum` always there: some readers insist on it.
    pub(super) fn to_metadata(self) -> NamedConfig {
        let mut configuration = Map::new();
        configuration.insert("level".to_owned(), Value::from(self.level));
        configuration.insert("checksum".to_owned(), Value::from(self.checksum));
        NamedConfig::new(Self::NAME, configuration)
    }

    /// An upper bound of the encoded size of `len` bytes: that of libzstd, in arithmetic that saturates.
    pub(super) fn encoded_bound(len: u64) -> u64 {
        let small = (128_u64 << 10).saturating_sub(len) >> 11;
        len.saturating_add(len >> 8).saturating_add(small)
    }

    /// Upper bound of the memory in bytes of a compression context at `level` for inputs of at most `len` bytes.
    pub(super) fn context_memory(level: i32, len: u64) -> u64 {
        let row = usize::try_from(level.saturating_add(1)).unwrap_or(0).min(ENCODER_KIB.len() - 1);
        let column = ENCODER_SIZE_LOG.iter().position(|log| len <= 1 << log).unwrap_or(ENCODER_SIZE_LOG.len());
        u64::from(ENCODER_KIB[row][column]) << 10
    }

    /// Upper bound of the memory in bytes of the context and the output buffer while `len` bytes are encoded.
    pub(super) fn encode_memory(self, len: u64) -> u64 {
        let output = if len <= ONE_PASS_BYTES as u64 { Self::encoded_bound(len) } else { PIECE_BYTES as u64 };
        Self::context_memory(self.level, len) + output
    }

    /// Encodes `input` to one frame that says its content size.
    pub(super) fn encode(self, input: &[u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        let mut piece = scratch.take();
        if input.len() <= ONE_PASS_BYTES {
            make_room(&mut piece, compress_bound(input.len()))?;
            let encoder = scratch.zstd_encoder(self.level, self.checksum)?;
            encoder.compress2(&mut piece, input).map_err(|code| self.encode_fault(code))?;
            piece.chunks(PIECE_BYTES).try_for_each(&mut *sink)?;
        } else {
            resize(&mut piece, PIECE_BYTES)?;
            self.stream(input, scratch, &mut piece, sink)?;
        }
        scratch.give(piece);
        Ok(())
    }

    fn stream(self, input: &[u8], scratch: &mut Scratch, piece: &mut [u8], sink: &mut Sink<'_>) -> Result<()> {
        let encoder = scratch.zstd_encoder(self.level, self.checksum)?;
        encoder.reset(ResetDirective::SessionOnly).map_err(|code| self.encode_fault(code))?;
        encoder.set_pledged_src_size(Some(input.len() as u64)).map_err(|code| self.encode_fault(code))?;
        self.compress(encoder, input, true, piece, sink)
    }

    /// Compresses `input` with a frame that has been begun, and ends that if it is the `last` of it; `piece` is working space.
    pub(super) fn compress(self, encoder: &mut CCtx<'_>, input: &[u8], last: bool, piece: &mut [u8], sink: &mut Sink<'_>) -> Result<()> {
        let directive = if last { ZSTD_EndDirective::ZSTD_e_end } else { ZSTD_EndDirective::ZSTD_e_continue };
        let mut source = InBuffer::around(input);
        loop {
            let mut target = OutBuffer::around(&mut *piece);
            let left = encoder.compress_stream2(&mut target, &mut source, directive).map_err(|code| self.encode_fault(code))?;
            if target.pos() > 0 {
                sink(target.as_slice())?;
            }
            if left == 0 || (!last && source.pos() == input.len()) {
                return Ok(());
            }
        }
    }

    pub(super) fn level(self) -> i32 {
        self.level
    }

    pub(super) fn checksum(self) -> bool {
        self.checksum
    }

    /// The input is ours and the parameters were checked, so what is left to go wrong is memory.
    pub(super) fn encode_fault(self, code: ErrorCode) -> Error {
        Error::unsupported(format!("zstd at level {}: {}", self.level, get_error_name(code)))
    }

    /// Decodes one or more frames to `out`, whose contents are replaced, refusing to produce more than `limit` bytes.
    pub(super) fn decode(input: &[u8], limit: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<()> {
        if input.is_empty() {
            return Err(Error::corrupt("zstd: no bytes where at least one frame is needed"));
        }
        // What the frames say they hold, or for those that do not say, what their blocks can hold.
        let bound = decompress_bound(input).map_err(|_| Error::corrupt("zstd: a frame is cut off, or some bytes are no frame"))?;
        make_room(out, usize::try_from(bound).unwrap_or(limit).min(limit))?;
        scratch.zstd_decoder()?.decompress(out, input).map_err(|code| decode_fault(code, limit as u64))?;
        // A buffer from an earlier use may have had room for more than the limit.
        if out.len() > limit {
            return Err(too_long(limit as u64));
        }
        Ok(())
    }
}

fn too_long(limit: u64) -> Error {
    Error::corrupt(format!("zstd: the frames hold more than the {limit} bytes that are expected"))
}

pub(super) fn decode_fault(code: ErrorCode, limit: u64) -> Error {
    let is = |known: ZSTD_ErrorCode| code == 0_usize.wrapping_sub(known as usize);
    if is(ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall) {
        too_long(limit)
    } else if is(ZSTD_ErrorCode::ZSTD_error_dictionary_wrong) {
        Error::unsupported("zstd frames that need a dictionary; only those without one can be decoded")
    } else if is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        Error::unsupported("zstd frames with a window of more than 2 GiB")
    } else if is(ZSTD_ErrorCode::ZSTD_error_srcSize_wrong) {
        Error::corrupt("zstd: the last frame is cut off, or bytes follow it that are no frame")
    } else {
        Error::corrupt(format!("zstd: {}", get_error_name(code)))
    }
}

#[cfg(test)]
mod tests {
    use zstd::zstd_safe::{CParameter, DCtx};

    use super::*;

    fn encode(codec: Zstd, input: &[u8], scratch: &mut Scratch) -> Vec<u8> {
        let mut out = Vec::new();
        codec
            .encode(input, scratch, &mut |piece| {
                out.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        out
    }

    fn decode(input: &[u8], limit: usize) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Zstd::decode(input, limit, &mut Scratch::default(), &mut out).map(|()| out)
    }

    /// Bytes that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(len).collect()
    }

    /// A frame of `blocks` blocks of 128 KiB of zeros, each stored in four bytes; `header` is what follows the magic number.
    fn zeros(header: &[u8], blocks: u32) -> Vec<u8> {
        let mut frame = [&0xfd2f_b528_u32.to_le_bytes()[..], header].concat();
        for block in 0..blocks {
            let (run_length, last) = (1 << 1, u32::from(block + 1 == blocks));
            frame.extend_from_slice(&((128 << 10 << 3) | run_length | last).to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    }

    /// Frame header: no content size, window of 2^`log` bytes.
    fn window(log: u8) -> [u8; 2] {
        [0, (log - 10) << 3]
    }

    #[test]
    fn memory_of_compressors_is_within_the_table() {
        let data = [0; 1];
        let mut piece = vec![0; 1024];
        for level in [Zstd::MIN_LEVEL, -7, -1].into_iter().chain(0..=Zstd::MAX_LEVEL) {
            for log in [10, 13, 14, 15, 16, 17, 18, 19, 20, 22, 24, 34] {
                // The last levels take up to a GiB for large inputs, which is too much for a test.
                if level >= 20 && log > 20 {
                    continue;
                }
                for len in [(1_u64 << log) - 1, 1_u64 << log] {
                    let mut context = CCtx::create();
                    context.set_parameter(CParameter::CompressionLevel(level)).unwrap();
                    context.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
                    context.set_pledged_src_size(Some(len)).unwrap();
                    // Everything is allocated at the first call.
                    let (mut target, mut source) = (OutBuffer::around(&mut piece[..]), InBuffer::around(&data));
                    context.compress_stream2(&mut target, &mut source, ZSTD_EndDirective::ZSTD_e_continue).unwrap();
                    let (got, bound) = (context.sizeof() as u64, Zstd { level, checksum: true }.encode_memory(len));
                    assert!(got <= bound, "level {level}, {len} bytes: {got} > {bound}");
                }
            }
        }
    }

    #[test]
    fn memory_of_used_contexts_is_within_the_bounds() {
        let input = noise(5 << 20);
        for level in [-7, 1, 3, 9, 19] {
            for len in [0, 1000, 20_000, 1 << 17, ONE_PASS_BYTES, ONE_PASS_BYTES + 1, input.len()] {
                let (codec, mut scratch) = (Zstd { level, checksum: false }, Scratch::default());
                let encoded = encode(codec, &input[..len], &mut scratch);
                assert!(encoded.len() as u64 <= Zstd::encoded_bound(len as u64), "level {level}, {len} bytes");
                let got = scratch.zstd_encoder(level, false).unwrap().sizeof() as u64;
                assert!(got <= codec.encode_memory(len as u64), "level {level}, {len} bytes: {got}");
                let mut out = Vec::new();
                Zstd::decode(&encoded, len, &mut scratch, &mut out).unwrap();
                assert_eq!(out, input[..len]);
                assert!(scratch.zstd_decoder().unwrap().sizeof() as u64 <= Zstd::DECODE_MEMORY);
            }
        }
    }

    #[test]
    fn frames_say_their_size_and_pieces_are_small() {
        let input = noise(5 << 20);
        for (len, checksum) in [(100, false), (ONE_PASS_BYTES, true), (input.len(), true), (input.len(), false)] {
            let mut encoded = Vec::new();
            let codec = Zstd { level: 3, checksum };
            codec
                .encode(&input[..len], &mut Scratch::default(), &mut |piece| {
                    assert!(piece.len() <= PIECE_BYTES);
                    encoded.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
            assert_eq!(zstd::zstd_safe::get_frame_content_size(&encoded).unwrap(), Some(len as u64));
            assert_eq!(encoded[4] & 4 != 0, checksum, "checksum flag of the frame");
            assert_eq!(decode(&encoded, len).unwrap(), input[..len]);
        }
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        // 1 GiB of zeros; the third also says so.
        let sized = [&[0x80][..], &[8 << 3], &(1_u32 << 30).to_le_bytes()].concat();
        for header in [window(17).to_vec(), window(31).to_vec(), sized] {
            let bomb = zeros(&header, 8192);
            let (mut scratch, mut out) = (Scratch::default(), Vec::new());
            let error = Zstd::decode(&bomb, 1024, &mut scratch, &mut out).unwrap_err();
            assert!(matches!(&error, Error::Corrupt { what, .. } if what.contains("more than the 1024 bytes")), "{error}");
            assert!(out.capacity() <= 1024);
            // A buffer that has the room does not get it used either.
            let mut out = Vec::with_capacity(1 << 20);
            assert!(Zstd::decode(&zeros(&header[..2], 4), 1024, &mut scratch, &mut out).is_err());
            // The context is none the worse for it.
            Zstd::decode(&encode(Zstd { level: 1, checksum: true }, b"well", &mut scratch), 4, &mut scratch, &mut out).unwrap();
            assert_eq!(out, b"well");
        }
        // Sizes that no memory has, in frames with nothing in them.
        for size in [1_u64 << 60, u64::MAX, u64::MAX - 2] {
            let frame = zeros(&[&[0xc0][..], &[0], &size.to_le_bytes()].concat(), 1);
            assert!(decode(&frame, 1 << 20).is_err());
        }
    }

    #[test]
    fn large_windows_need_no_memory() {
        assert_eq!(decode(&zeros(&window(31), 1), 128 << 10).unwrap(), vec![0; 128 << 10]);
    }

    #[test]
    fn several_frames_skippable_frames_and_frames_without_size() {
        let mut scratch = Scratch::default();
        let skippable = [&0x184d_2a53_u32.to_le_bytes()[..], &3_u32.to_le_bytes(), b"abc"].concat();
        let first = encode(Zstd { level: 1, checksum: false }, b"first ", &mut scratch);
        let second = encode(Zstd { level: -5, checksum: true }, b"second", &mut scratch);
        let all = [&skippable[..], &first, &skippable, &second, &zeros(&window(17), 1), &skippable].concat();
        let expected = [b"first second", &vec![0; 128 << 10][..]].concat();
        assert_eq!(decode(&all, expected.len()).unwrap(), expected);
        assert!(decode(&all, expected.len() - 1).is_err());
    }

    #[test]
    fn damage_is_told_apart() {
        let good = encode(Zstd { level: 3, checksum: true }, &noise(300), &mut Scratch::default());
        for len in 0..good.len() {
            assert!(matches!(decode(&good[..len], 300), Err(Error::Corrupt { .. })), "{len} bytes");
        }
        for garbage in [&b"x"[..], b"garbage", &[0; 4]] {
            let error = decode(&[&good, garbage].concat(), 300).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Ok(decoded) = decode(&bad, 300) {
                // Only the bits of the frame header that mean nothing here can change unnoticed.
                assert_eq!(decoded, noise(300), "bit {bit}");
            }
        }
        let mut with_dictionary = zeros(&[&[1][..], &[0], &[7]].concat(), 1);
        let error = decode(&with_dictionary, 128 << 10).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("dictionary")), "{error}");
        with_dictionary[4] = 0;
        assert!(decode(&with_dictionary, 128 << 10).is_err());
        assert!(DCtx::create().sizeof() as u64 <= Zstd::DECODE_MEMORY);
    }
}
