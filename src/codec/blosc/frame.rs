//! The frame around blocks: what its header says, checked against what is there, and where its blocks are.
//!
//! Invariants of a [`Frame`]
//! 1. It holds at most the bytes that were expected, and no more than its compressor can make of its length.
//! 2. A block has at least one byte, and the first of several is split into whole streams or not at all.
//! 3. All block starts are within `bytes`; what they hold is checked when a block is read.

use std::ops::Range;

use super::stream::Format;
use super::{Filter, HEADER_BYTES, MAX_BYTES, START_BYTES, fault};
use crate::error::{Error, Result};

/// Bits of the flags.
const SHUFFLED: u8 = 1;
const STORED: u8 = 2;
const BIT_SHUFFLED: u8 = 4;
const RESERVED: u8 = 8;
const NOT_SPLIT: u8 = 16;

/// The frame version and the compressors' versions that are known; there never was another of the latter.
const FRAME_VERSION: u8 = 2;
const FORMAT_VERSION: u8 = 1;

/// The most streams of a block, and the fewest bytes of one. Blocks beyond these are one stream whatever the flags say, since frames from
/// before there was a flag are read by this rule.
const MAX_STREAMS: usize = 16;
const MIN_STREAM_BYTES: usize = 128;

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) format: Format,
    pub(super) filter: Filter,
    /// Whether the content follows as it is.
    pub(super) stored: bool,
    /// Whether blocks are split into a stream for each byte of an element.
    pub(super) split: bool,
    /// From 1 to 255.
    pub(super) typesize: u8,
    /// Size of the content.
    pub(super) len: usize,
    pub(super) block_len: usize,
}

/// A frame whose header has been found right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) header: Header,
    /// The whole frame.
    bytes: &'a [u8],
}

impl Header {
    /// Reads a header, and what it says of the size of the frame.
    pub(super) fn read(header: [u8; HEADER_BYTES]) -> Result<(Self, usize)> {
        let [version, format_version, flags, typesize, len @ .., b0, b1, b2, b3, c0, c1, c2, c3] = header;
        if version != FRAME_VERSION {
            return Err(Error::unsupported(format!("blosc frames of version {version}; supported is {FRAME_VERSION}")));
        }
        if flags & RESERVED != 0 || flags & (SHUFFLED | BIT_SHUFFLED) == SHUFFLED | BIT_SHUFFLED {
            return Err(Error::unsupported(format!("blosc flags {flags:#04x}; supported are none of bit 3, and one of bits 0 and 2")));
        }
        let format = Format::from_code(flags >> 5)?;
        if format_version != FORMAT_VERSION {
            return Err(Error::unsupported(format!("blosc: {format} of version {format_version}; supported is {FORMAT_VERSION}")));
        }
        if typesize == 0 {
            return Err(fault("the element size is 0; accepted are 1 to 255"));
        }
        let filter = match (flags & SHUFFLED != 0, flags & BIT_SHUFFLED != 0) {
            (true, _) => Filter::Shuffle,
            (_, true) => Filter::BitShuffle,
            _ => Filter::None,
        };
        let len = number(len, "content")?;
        let block_len = number([b0, b1, b2, b3], "a block")?;
        let said = number([c0, c1, c2, c3], "the frame")?;
        Ok((Self { format, filter, stored: flags & STORED != 0, split: flags & NOT_SPLIT == 0, typesize, len, block_len }, said))
    }

    /// Reads the header of a frame that has `frame_len` bytes in all and holds at most `limit` bytes, of which it begins with `head`.
    pub(super) fn checked(head: &[u8], frame_len: usize, limit: usize) -> Result<Self> {
        let Some(head) = head.first_chunk() else {
            return Err(fault(format!("{frame_len} bytes where a header of {HEADER_BYTES} is needed")));
        };
        let (header, said) = Self::read(*head)?;
        if said != frame_len {
            return Err(fault(format!("the frame has {frame_len} bytes, and says that it has {said}")));
        }
        let Self { len, block_len, .. } = header;
        if len > limit {
            return Err(fault(format!("the frame holds {len} bytes, more than the {limit} bytes that are expected")));
        }
        // Also what follows is only true of frames that hold something.
        if block_len == 0 || block_len > len.max(1) {
            return Err(fault(format!("blocks of {block_len} bytes in a frame that holds {len}")));
        }
        if header.stored && len + HEADER_BYTES != frame_len {
            return Err(fault(format!("a stored frame of {frame_len} bytes that holds {len}")));
        }
        if !header.stored && header.starts_end() > frame_len {
            return Err(fault(format!("a frame of {frame_len} bytes with {} blocks", header.blocks())));
        }
        if !header.stored && len > frame_len.saturating_mul(header.format.max_ratio()) {
            return Err(fault(format!("{frame_len} bytes of {} cannot hold {len}", header.format)));
        }
        if header.streams(block_len) > 1 && !block_len.is_multiple_of(usize::from(header.typesize)) {
            return Err(fault(format!("blocks of {block_len} bytes are split into {} streams", header.typesize)));
        }
        Ok(header)
    }

    /// The bytes of a header of a frame of `frame_len` bytes.
    pub(super) fn to_bytes(self, frame_len: usize) -> [u8; HEADER_BYTES] {
        let filter = match self.filter {
            Filter::None => 0,
            Filter::Shuffle => SHUFFLED,
            Filter::BitShuffle => BIT_SHUFFLED,
        };
        let flags = filter | if self.stored { STORED } else { 0 } | if self.split { 0 } else { NOT_SPLIT } | self.format.code() << 5;
        let mut out = [0; HEADER_BYTES];
        out[..4].copy_from_slice(&[FRAME_VERSION, FORMAT_VERSION, flags, self.typesize]);
        for (to, number) in out[4..].chunks_exact_mut(4).zip([self.len, self.block_len, frame_len]) {
            to.copy_from_slice(&word(number));
        }
        out
    }

    /// How many blocks there are.
    pub(super) fn blocks(&self) -> usize {
        self.len.div_ceil(self.block_len)
    }

    /// The bytes of the content that a block holds.
    pub(super) fn block(&self, block: usize) -> Range<usize> {
        let start = block * self.block_len;
        start..(start + self.block_len).min(self.len)
    }

    /// The number of streams of a block of `len` bytes: a last block that is shorter than the others is not split.
    pub(super) fn streams(&self, len: usize) -> usize {
        if self.split && len == self.block_len && may_split(self.typesize, len) { usize::from(self.typesize) } else { 1 }
    }

    /// How many bytes of streams may be decompressed for the whole content of a frame of `frame_len` bytes. Blocks share bytes beyond the size
    /// of the frame only where they are no longer than what they hold.
    pub(super) fn budget(&self, frame_len: usize) -> usize {
        frame_len.saturating_add(self.len)
    }

    /// Checks where a block of a frame of `frame_len` bytes starts.
    pub(super) fn check_start(&self, block: usize, start: usize, frame_len: usize) -> Result<()> {
        if (self.starts_end()..=frame_len).contains(&start) {
            return Ok(());
        }
        Err(fault(format!("block {block} starts at byte {start}; accepted are {} to {frame_len}", self.starts_end())))
    }

    /// Bytes from the start of the frame to behind the block starts.
    pub(super) fn starts_end(&self) -> usize {
        self.blocks().saturating_mul(START_BYTES).saturating_add(HEADER_BYTES)
    }

    /// The filter that has something to do in a block of `len` bytes.
    pub(super) fn filter_of(&self, len: usize) -> Filter {
        let typesize = usize::from(self.typesize);
        match self.filter {
            Filter::Shuffle if typesize > 1 => Filter::Shuffle,
            Filter::BitShuffle if len >= typesize => Filter::BitShuffle,
            _ => Filter::None,
        }
    }
}

/// Whether blocks of `len` bytes with elements of `typesize` may be split.
pub(super) fn may_split(typesize: u8, len: usize) -> bool {
    let typesize = usize::from(typesize);
    typesize <= MAX_STREAMS && len / typesize >= MIN_STREAM_BYTES
}

impl<'a> Frame<'a> {
    /// Reads the header of a frame that is all of `bytes` and holds at most `limit` bytes.
    pub(super) fn read(bytes: &'a [u8], limit: usize) -> Result<Self> {
        let header = Header::checked(bytes, bytes.len(), limit)?;
        Ok(Self { header, bytes })
    }

    /// The content of a stored frame.
    pub(super) fn stored(&self) -> Option<&'a [u8]> {
        self.header.stored.then(|| self.bytes.get(HEADER_BYTES..)).flatten()
    }

    /// As [`Header::budget`].
    pub(super) fn budget(&self) -> usize {
        self.header.budget(self.bytes.len())
    }

    /// What follows the start of a block, to the end of the frame.
    pub(super) fn block_bytes(&self, block: usize) -> Result<&'a [u8]> {
        let at = HEADER_BYTES + START_BYTES * block;
        let start = self.bytes.get(at..).and_then(<[u8]>::first_chunk).map(|bytes| u32::from_le_bytes(*bytes));
        let start = start.and_then(|start| usize::try_from(start).ok()).unwrap_or(usize::MAX);
        self.header.check_start(block, start, self.bytes.len())?;
        Ok(self.bytes.get(start..).unwrap_or_default())
    }
}

/// A size in a header, which is a signed number for other readers.
fn number(bytes: [u8; 4], what: &str) -> Result<usize> {
    let number = u32::from_le_bytes(bytes);
    match usize::try_from(number) {
        Ok(size) if size <= MAX_BYTES + HEADER_BYTES => Ok(size),
        _ => Err(fault(format!("{what} of {number} bytes; accepted are at most {}", MAX_BYTES + HEADER_BYTES))),
    }
}

/// A size as it is written; frames are of sizes for which it is enough.
pub(super) fn word(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}
