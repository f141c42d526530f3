//! A chunk encoded slab after slab.

use flate2::{Compress, FlushCompress};

use super::SWAP_BYTES;
use super::zstd::ZstdPush;
use crate::buffer::make_room;
use crate::codec::blosc::BlockWriter;
use crate::codec::bytes::Bytes;
use crate::codec::chain::{self, BytesToBytes, Compressor};
use crate::codec::checksum::{Checksum, Running};
use crate::codec::gzip::Gzip;
use crate::codec::{ArrayToBytes, CodecPipeline, PIECE_BYTES, Sink, deflate};
use crate::error::{Error, Result};

/// Bytes that take the place of others, of which only the number was known when they were passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    /// Where they begin in the encoded chunk.
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Encodes one chunk slab after slab, in the order of its decoded memory. After an error, what the sink got is a useless beginning.
pub(crate) struct StreamEncoder {
    /// Elements whose bytes are put in another order; none where decoded bytes are stored as they are.
    elements: Option<Elements>,
    stages: Vec<Stage>,
    chunk_bytes: u64,
    pushed: u64,
}

/// Elements that wait until there is enough of them.
struct Elements {
    bytes: Bytes,
    waiting: Vec<u8>,
    /// How many bytes are encoded at once: whole elements.
    most: usize,
}

/// A bytes->bytes codec in the middle of a chunk.
enum Stage {
    Zstd(Box<ZstdPush>),
    Deflate(Box<Deflate>),
    Blosc(Box<BlockWriter>),
    /// Behind the bytes.
    Checksum(Running),
    /// Before them, to be put there at the end.
    ChecksumBefore(Running, bool),
}

/// A deflate stream in the making.
struct Deflate {
    name: &'static str,
    encoder: Compress,
    piece: Vec<u8>,
    /// Checksum and length of the content, for gzip.
    trailer: Option<(crc32fast::Hasher, u64)>,
}

impl StreamEncoder {
    /// Begins a chunk, of exactly [`CodecPipeline::chunk_bytes`] bytes.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is a [`CodecPipeline::encode_obstacle`]; [`Error::Io`] where memory is wanting.
    pub(crate) fn new(pipeline: &CodecPipeline) -> Result<Self> {
        pipeline.check_encodes_stream()?;
        let elements = match &pipeline.array_to_bytes {
            ArrayToBytes::Bytes(bytes) if !bytes.is_native() => Some(Elements::new(bytes, pipeline.item_size())?),
            _ => None,
        };
        let chunk_bytes = pipeline.chunk_bytes as u64;
        let stage =
            |(i, stage): (usize, &BytesToBytes)| Stage::new(*stage, chain::encoded_bound(&pipeline.bytes_to_bytes[..i], chunk_bytes));
        let stages = pipeline.bytes_to_bytes.iter().enumerate().map(stage).collect::<Result<_>>()?;
        Ok(Self { elements, stages, chunk_bytes, pushed: 0 })
    }

    /// Encodes the next bytes of the chunk, any number of them, and lets `sink` have what is ready.
    ///
    /// # Errors
    /// Those of the sink; [`Error::InvalidArgument`] for more bytes than a chunk has.
    pub(crate) fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        self.pushed = self.pushed.saturating_add(bytes.len() as u64);
        if self.pushed > self.chunk_bytes {
            return Err(Error::invalid(format!("{} bytes for a chunk of {}", self.pushed, self.chunk_bytes)));
        }
        match &mut self.elements {
            None => push(&mut self.stages, bytes, sink),
            Some(elements) => elements.push(bytes, &mut |bytes| push(&mut self.stages, bytes, sink)),
        }
    }

    /// Encodes what is left. What is returned takes the place of bytes that the sink got at the beginning.
    ///
    /// # Errors
    /// Those of the sink; [`Error::InvalidArgument`] if not all of the chunk was given.
    pub(crate) fn finish(mut self, sink: &mut Sink<'_>) -> Result<Option<Patch>> {
        if self.pushed != self.chunk_bytes {
            return Err(Error::invalid(format!("{} bytes for a chunk of {}", self.pushed, self.chunk_bytes)));
        }
        if let Some(elements) = &mut self.elements {
            elements.flush(&mut |bytes| push(&mut self.stages, bytes, sink))?;
        }
        finish(&mut self.stages, sink)
    }

    /// What the contexts take, in bytes.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let of = |stage: &Stage| match stage {
            Stage::Zstd(codec) => codec.held_bytes(),
            Stage::Deflate(codec) => codec.piece.capacity(),
            Stage::Blosc(codec) => codec.held_bytes(),
            Stage::Checksum(_) | Stage::ChecksumBefore(..) => 0,
        };
        self.stages.iter().map(of).sum::<usize>() + self.elements.as_ref().map_or(0, |elements| elements.waiting.capacity())
    }
}

/// Lets bytes pass through all stages.
fn push(stages: &mut [Stage], bytes: &[u8], sink: &mut Sink<'_>) -> Result<()> {
    match stages.split_first_mut() {
        _ if bytes.is_empty() => Ok(()),
        None => sink(bytes),
        Some((stage, behind)) => stage.push(bytes, &mut |bytes| push(behind, bytes, sink)),
    }
}

/// Ends all stages, one after the other. Only the last may have a patch (see [`CodecPipeline::encode_obstacle`]).
fn finish(stages: &mut [Stage], sink: &mut Sink<'_>) -> Result<Option<Patch>> {
    let Some((stage, behind)) = stages.split_first_mut() else { return Ok(None) };
    let patch = stage.finish(&mut |bytes| push(behind, bytes, sink))?;
    Ok(finish(behind, sink)?.or(patch))
}

impl Elements {
    fn new(bytes: &Bytes, item_size: usize) -> Result<Self> {
        let most = (SWAP_BYTES - SWAP_BYTES % item_size).max(item_size);
        let mut waiting = Vec::new();
        make_room(&mut waiting, most)?;
        Ok(Self { bytes: bytes.clone(), waiting, most })
    }

    fn push(&mut self, mut bytes: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(self.most - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            bytes = later;
            if self.waiting.len() == self.most {
                self.flush(sink)?;
            }
        }
        Ok(())
    }

    /// Passes on what waits: whole elements.
    fn flush(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        self.bytes.encode(&mut self.waiting);
        sink(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

impl Stage {
    /// The encoder for `len` bytes.
    fn new(stage: BytesToBytes, len: u64) -> Result<Self> {
        Ok(match stage {
            BytesToBytes::Checksum(codec) if codec.can_pass() => Self::Checksum(codec.running()),
            BytesToBytes::Checksum(codec) => Self::ChecksumBefore(codec.running(), false),
            BytesToBytes::Compressor(Compressor::Zstd(codec)) => Self::Zstd(Box::new(ZstdPush::new(codec, len)?)),
            BytesToBytes::Compressor(Compressor::Gzip(codec)) => Self::Deflate(Box::new(Deflate::gzip(codec.level())?)),
            BytesToBytes::Compressor(Compressor::Zlib(codec)) => Self::Deflate(Box::new(Deflate::zlib(codec.level())?)),
            BytesToBytes::Compressor(Compressor::Blosc(codec)) => Self::Blosc(Box::new(BlockWriter::new(codec, len)?)),
            BytesToBytes::Compressor(_) => return Err(Error::unsupported(format!("{} as a stream", stage.to_metadata().name))),
        })
    }

    fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        match self {
            Self::Zstd(codec) => codec.push(bytes, false, sink),
            Self::Deflate(codec) => codec.push(bytes, sink),
            Self::Blosc(codec) => codec.push(bytes, sink),
            Self::Checksum(sum) => {
                sum.update(bytes);
                sink(bytes)
            }
            Self::ChecksumBefore(sum, begun) => {
                sum.update(bytes);
                if !std::mem::replace(begun, true) {
                    sink(&Checksum::NOTHING)?;
                }
                sink(bytes)
            }
        }
    }

    fn finish(&mut self, sink: &mut Sink<'_>) -> Result<Option<Patch>> {
        match self {
            Self::Zstd(codec) => codec.push(&[], true, sink)?,
            Self::Deflate(codec) => codec.finish(sink)?,
            Self::Blosc(codec) => return Ok(codec.finish(sink)?.map(|bytes| Patch { offset: 0, bytes })),
            Self::Checksum(sum) => sink(&sum.stored())?,
            Self::ChecksumBefore(sum, begun) => {
                if !*begun {
                    sink(&Checksum::NOTHING)?;
                }
                return Ok(Some(Patch { offset: 0, bytes: sum.stored().to_vec() }));
            }
        }
        Ok(None)
    }
}

impl Deflate {
    fn gzip(level: u32) -> Result<Self> {
        let mut new = Self::new(Gzip::NAME, level, false)?;
        new.piece.extend_from_slice(&Gzip::HEADER);
        new.trailer = Some((crc32fast::Hasher::new(), 0));
        Ok(new)
    }

    fn zlib(level: u32) -> Result<Self> {
        Self::new("zlib", level, true)
    }

    fn new(name: &'static str, level: u32, zlib: bool) -> Result<Self> {
        let mut piece = Vec::new();
        make_room(&mut piece, PIECE_BYTES)?;
        Ok(Self { name, encoder: deflate::compressor(level, zlib), piece, trailer: None })
    }

    fn push(&mut self, bytes: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        if let Some((hasher, len)) = &mut self.trailer {
            hasher.update(bytes);
            *len += bytes.len() as u64;
        }
        deflate::deflate_some(self.name, &mut self.encoder, bytes, FlushCompress::None, &mut self.piece, sink)
    }

    fn finish(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        deflate::deflate(self.name, &mut self.encoder, &[], &mut self.piece, sink)?;
        if let Some((hasher, len)) = &self.trailer {
            self.piece.extend_from_slice(&Gzip::trailer(hasher.clone().finalize(), *len));
        }
        sink(&self.piece)
    }
}
