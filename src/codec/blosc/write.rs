//! Frames written block after block; the header and the block starts, which come first, are known last.

use super::encode::{self, Blocks};
use super::frame::{Header, word};
use super::{Blosc, HEADER_BYTES, MAX_BYTES, START_BYTES};
use crate::buffer::{append, make_room, reserve, resize};
use crate::codec::scratch::Scratch;
use crate::codec::{PIECE_BYTES, Sink};
use crate::error::{Error, Result};

/// A frame in the making.
pub(in crate::codec) struct BlockWriter {
    level: u8,
    header: Header,
    /// Encoded starts of the blocks that have been written.
    starts: Vec<u8>,
    /// Size of what has been written.
    end: usize,
    /// The beginning of the next block.
    content: Vec<u8>,
    shuffled: Vec<u8>,
    encoded: Vec<u8>,
    spare: Vec<u8>,
    scratch: Scratch,
}

/// The largest encoded size of a block of `len` bytes: all of its streams as they are.
fn most_encoded(header: &Header, len: usize) -> usize {
    len + START_BYTES * header.streams(len)
}

impl Blosc {
    /// Whether `len` bytes can be encoded block after block. What does not get smaller is not found out in time to be stored as it is, so that
    /// the frame has to have room for the sizes of streams.
    pub(in crate::codec) fn streams(self, len: u64) -> bool {
        let Some(len) = usize::try_from(len).ok().filter(|len| (1..=MAX_BYTES).contains(len)) else { return false };
        let header = encode::plan(&self, len);
        let added =
            header.starts_end().saturating_add(header.blocks().saturating_mul(most_encoded(&header, header.block_len) - header.block_len));
        header.stored || (added <= len / 16 + 64 && len + added <= MAX_BYTES)
    }

    /// Upper bound of the memory in bytes while `len` bytes are encoded block after block.
    pub(in crate::codec) fn push_memory(self, len: u64) -> u64 {
        let header = encode::plan(&self, usize::try_from(len).unwrap_or(MAX_BYTES).clamp(1, MAX_BYTES));
        if header.stored {
            return 0;
        }
        let blocks = 2 * header.block_len as u64 + most_encoded(&header, header.block_len) as u64;
        // The starts are there twice at the end.
        blocks + 2 * header.starts_end() as u64 + self.compressor_memory(&header)
    }
}

impl BlockWriter {
    /// A frame of `len` bytes. Only where [`Blosc::streams`].
    pub(in crate::codec) fn new(codec: Blosc, len: u64) -> Result<Self> {
        codec.check_encodable()?;
        Blosc::check_len(len)?;
        let header = encode::plan(&codec, usize::try_from(len).unwrap_or(MAX_BYTES));
        let [mut starts, mut content, mut shuffled, mut encoded] = [const { Vec::new() }; 4];
        if !header.stored {
            make_room(&mut starts, header.blocks() * START_BYTES)?;
            make_room(&mut content, header.block_len)?;
            resize(&mut shuffled, header.block_len)?;
            resize(&mut encoded, most_encoded(&header, header.block_len))?;
        }
        let (spare, scratch) = (Vec::new(), Scratch::default());
        Ok(Self { level: codec.level, header, starts, end: 0, content, shuffled, encoded, spare, scratch })
    }

    /// Encodes the blocks that `bytes` complete.
    pub(in crate::codec) fn push(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        if self.end == 0 {
            self.begin(sink)?;
        }
        if self.header.stored {
            return sink(bytes);
        }
        while !bytes.is_empty() {
            let missing = self.header.block_len - self.content.len();
            let (now, later) = bytes.split_at(bytes.len().min(missing));
            bytes = later;
            if now.len() == self.header.block_len {
                self.write(now, sink)?;
                continue;
            }
            append(&mut self.content, now)?;
            if now.len() == missing {
                self.flush(sink)?;
            }
        }
        Ok(())
    }

    /// Encodes what is left; returns what takes the place of the first bytes, if it was not known.
    pub(in crate::codec) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<Option<Vec<u8>>> {
        if self.header.stored {
            return Ok(None);
        }
        if !self.content.is_empty() {
            self.flush(sink)?;
        }
        let mut first = Vec::new();
        reserve(&mut first, HEADER_BYTES + self.starts.len())?;
        first.extend_from_slice(&self.header.to_bytes(self.end));
        first.extend_from_slice(&self.starts);
        Ok(Some(first))
    }

    /// Passes on the header, or keeps the place of it and of the block starts.
    fn begin(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        if self.header.stored {
            self.end = HEADER_BYTES + self.header.len;
            return sink(&self.header.to_bytes(self.end));
        }
        self.end = self.header.starts_end();
        let zeros = [0; 4096];
        let mut left = self.end;
        while left > 0 {
            let len = left.min(zeros.len());
            sink(&zeros[..len])?;
            left -= len;
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        let content = std::mem::take(&mut self.content);
        let written = self.write(&content, sink);
        self.content = content;
        self.content.clear();
        written
    }

    fn write(&mut self, content: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        self.starts.extend_from_slice(&word(self.end));
        let Self { level, header, encoded, spare, shuffled, scratch, .. } = self;
        let mut blocks = Blocks { header, level: *level, frame: encoded, end: 0, spare };
        if !blocks.write_block(content, scratch, shuffled)? {
            return Err(Error::unsupported("blosc: a block that is larger than its content and the sizes of its streams"));
        }
        let len = blocks.end;
        self.end += len;
        self.encoded[..len].chunks(PIECE_BYTES).try_for_each(sink)
    }

    /// What the buffers take, in bytes.
    #[cfg(test)]
    pub(in crate::codec) fn held_bytes(&self) -> usize {
        let buffers = [&self.starts, &self.content, &self.shuffled, &self.encoded, &self.spare];
        buffers.iter().map(|buffer| buffer.capacity()).sum::<usize>() + self.scratch.held_bytes()
    }
}
