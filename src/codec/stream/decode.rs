//! A chunk decoded slab after slab.

use std::ops::Range;

use super::checksum::Checked;
use super::inflate::{Framing, Inflate};
use super::input::{Input, Pull, Source, Window};
use super::zstd::ZstdPull;
use super::{HEAD_BYTES, WINDOW_BYTES};
use crate::buffer::{resize, zeroed};
use crate::codec::blosc::BlockReader;
use crate::codec::bytes::Bytes;
use crate::codec::chain::{self, BytesToBytes, Compressor};
use crate::codec::checksum::CHECKSUM_BYTES;
use crate::codec::zstd::Zstd;
use crate::codec::{ArrayToBytes, CodecPipeline};
use crate::error::{Error, Result};

/// Decodes one chunk slab after slab, in the order of its decoded memory.
///
/// Invariant: until an error, `left` and what was given or passed over are together the size of the chunk.
pub(crate) struct StreamDecoder<'a> {
    pull: Box<dyn Pull + Send + 'a>,
    /// Elements whose bytes are in another order; none where decoded bytes are as they come.
    elements: Option<Elements>,
    chunk_bytes: u64,
    left: u64,
}

/// Elements of which a slab may hold a part.
struct Elements {
    bytes: Bytes,
    /// One element, decoded, of which the bytes from `at` are still to be given; all have been if it is at the end.
    element: Vec<u8>,
    at: usize,
}

impl<'a> StreamDecoder<'a> {
    /// Begins to decode the chunk in `source` with at most `memory` bytes beside the slabs.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where there is a [`CodecPipeline::decode_obstacle`]; [`Error::BudgetTooSmall`], in numbers of this stream alone, where the head
    /// of the chunk asks for more than `memory`, and always where that is less than [`CodecPipeline::stream_decode_memory`] of the smallest frames;
    /// those of the source; [`Error::Corrupt`] and [`Error::ChecksumMismatch`] as far as they are seen at once.
    pub(crate) fn new(pipeline: &CodecPipeline, mut source: impl Source + Send + 'a, memory: u64) -> Result<Self> {
        CodecPipeline::check_streams(pipeline.decode_obstacle())?;
        let (mut head, size) = ([0; HEAD_BYTES], source.size());
        let head = &mut head[..usize::try_from(size).unwrap_or(HEAD_BYTES).min(HEAD_BYTES)];
        source.read(0, head)?;
        let required_bytes = pipeline.frame_memory(head);
        if required_bytes > memory {
            return Err(Error::BudgetTooSmall { required_bytes, budget_bytes: memory, what: pipeline.name_demand(head) });
        }
        let pull = stages(
            pipeline,
            source,
            pipeline.outer_memory(head).saturating_add(memory - required_bytes).saturating_sub(WINDOW_BYTES as u64),
        )?;
        let elements = match &pipeline.array_to_bytes {
            ArrayToBytes::Bytes(bytes) if !bytes.is_native() => Some(Elements::new(bytes, pipeline.item_size())?),
            _ => None,
        };
        let chunk_bytes = pipeline.chunk_bytes as u64;
        Ok(Self { pull, elements, chunk_bytes, left: chunk_bytes })
    }

    /// Fills `out` with the next decoded bytes. They are certain only once [`StreamDecoder::finish`] has seen the end.
    ///
    /// # Errors
    /// Those of [`CodecPipeline::decode`]; [`Error::InvalidArgument`] for more than is left of the chunk. The stream cannot be used after one.
    pub(crate) fn next(&mut self, out: &mut [u8]) -> Result<()> {
        self.take(out.len() as u64)?;
        match &mut self.elements {
            None => fill(&mut *self.pull, out, self.chunk_bytes),
            Some(elements) => elements.next(&mut *self.pull, out, self.chunk_bytes),
        }
    }

    /// Passes over the next `bytes` decoded bytes: where there are no codecs, without reading them, and over whole blocks of blosc without
    /// decoding them, so that damage in them goes unnoticed.
    ///
    /// # Errors
    /// As [`StreamDecoder::next`].
    pub(crate) fn skip(&mut self, mut bytes: u64) -> Result<()> {
        self.take(bytes)?;
        let mut discarded = Vec::new();
        let unit = self.elements.as_ref().map_or(1, |elements| elements.element.len() as u64);
        while bytes > 0 {
            let begun = self.elements.as_mut().map_or(0, |elements| elements.rest(bytes).len() as u64);
            let skipped = if begun > 0 { begun } else { self.pull.skip(bytes, unit)? };
            bytes -= skipped;
            if skipped == 0 {
                resize(&mut discarded, WINDOW_BYTES)?;
                let len = usize::try_from(bytes).unwrap_or(WINDOW_BYTES).min(WINDOW_BYTES);
                let out = &mut discarded[..len];
                match &mut self.elements {
                    None => fill(&mut *self.pull, out, self.chunk_bytes)?,
                    Some(elements) => elements.next(&mut *self.pull, out, self.chunk_bytes)?,
                }
                bytes -= len as u64;
            }
        }
        Ok(())
    }

    /// Checks that the encoded bytes end where the decoded ones do, and all checksums.
    ///
    /// # Errors
    /// Those of [`CodecPipeline::decode`]; [`Error::InvalidArgument`] if any of the chunk is left.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.left > 0 {
            return Err(Error::invalid(format!("the end of a stream of which {} bytes have not been asked for", self.left)));
        }
        match self.pull.pull(&mut [0])? {
            0 => Ok(()),
            _ => Err(Error::corrupt(format!("the chunk has more than {} decoded bytes, which are expected", self.chunk_bytes))),
        }
    }

    fn take(&mut self, bytes: u64) -> Result<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left
            .ok_or_else(|| Error::invalid(format!("{bytes} bytes of a stream of which {} are left: expected at most that", self.left)))?;
        Ok(())
    }
}

/// The stages of decoding, of which the one that encoded bytes reach first may take `memory` for its windows.
fn stages<'a>(pipeline: &CodecPipeline, mut source: impl Source + Send + 'a, memory: u64) -> Result<Box<dyn Pull + Send + 'a>> {
    let stages = &pipeline.bytes_to_bytes;
    let limit = |position: usize| chain::encoded_bound(&stages[..position], pipeline.chunk_bytes as u64);
    let outer = stages.iter().rposition(|stage| matches!(stage, BytesToBytes::Compressor(_)));
    let (mut pull, next): (Box<dyn Pull + Send + 'a>, usize) = match outer {
        Some(position) if matches!(stages[position], BytesToBytes::Compressor(Compressor::Blosc(_))) => {
            let frame = frame(&stages[position + 1..], &mut source)?;
            (Box::new(BlockReader::new(source, frame, limit(position), memory)?), position)
        }
        _ => (Box::new(Window::all(source)), stages.len()),
    };
    for (position, stage) in stages[..next].iter().enumerate().rev() {
        let (limit, most) = (limit(position), limit(position + 1));
        pull = match stage {
            BytesToBytes::Checksum(codec) => Box::new(Checked::new(*codec, pull)),
            BytesToBytes::Compressor(Compressor::Zstd(codec)) => {
                let memory = if Some(position) == outer { memory } else { Zstd::pull_memory(codec.expected_window(limit)) };
                Box::new(ZstdPull::new(limit, memory, Input::new(pull, most)?)?)
            }
            BytesToBytes::Compressor(Compressor::Gzip(_)) => Box::new(Inflate::new(Framing::Gzip, limit, Input::new(pull, most)?)),
            BytesToBytes::Compressor(Compressor::Zlib(_)) => Box::new(Inflate::new(Framing::Zlib, limit, Input::new(pull, most)?)),
            BytesToBytes::Compressor(_) => return Err(Error::unsupported(format!("{} as a stream", stage.to_metadata().name))),
        };
    }
    Ok(pull)
}

/// Where the frame lies within checksums, which are checked.
fn frame(checksums: &[BytesToBytes], source: &mut impl Source) -> Result<Range<u64>> {
    let (start, around) = (chain::bytes_before(checksums) as u64, checksums.len() as u64 * CHECKSUM_BYTES);
    let end = source.size().saturating_sub(around).saturating_add(start);
    if !checksums.is_empty() {
        let mut pull: Box<dyn Pull + '_> = Box::new(Window::all(source));
        for stage in checksums.iter().rev() {
            if let BytesToBytes::Checksum(codec) = stage {
                pull = Box::new(Checked::new(*codec, pull));
            }
        }
        let mut discarded = Vec::new();
        resize(&mut discarded, WINDOW_BYTES)?;
        while pull.pull(&mut discarded)? > 0 {}
    }
    Ok(start..end)
}

/// Fills `out`; `expected` is the size of the chunk, for the error where there is not so much.
fn fill(pull: &mut dyn Pull, out: &mut [u8], expected: u64) -> Result<()> {
    let mut rest = out;
    while !rest.is_empty() {
        match pull.pull(rest)? {
            0 => return Err(Error::corrupt(format!("the chunk has fewer than {expected} decoded bytes, which are expected"))),
            len => rest = rest.get_mut(len..).unwrap_or_default(),
        }
    }
    Ok(())
}

impl Elements {
    fn new(bytes: &Bytes, item_size: usize) -> Result<Self> {
        Ok(Self { bytes: bytes.clone(), element: zeroed(item_size)?, at: item_size })
    }

    /// What is left of the element that is begun, up to `bytes` of it, which are then given.
    fn rest(&mut self, bytes: u64) -> &[u8] {
        let start = self.at;
        let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.element.len() - start);
        self.at += len;
        &self.element[start..][..len]
    }

    fn next(&mut self, pull: &mut dyn Pull, out: &mut [u8], expected: u64) -> Result<()> {
        let rest = self.rest(out.len() as u64);
        let (begun, out) = out.split_at_mut(rest.len());
        begun.copy_from_slice(rest);
        let part = out.len() % self.element.len();
        let (elements, part) = out.split_at_mut(out.len() - part);
        fill(pull, elements, expected)?;
        self.bytes.decode(elements);
        if !part.is_empty() {
            fill(pull, &mut self.element, expected)?;
            self.bytes.decode(&mut self.element);
            part.copy_from_slice(&self.element[..part.len()]);
            self.at = part.len();
        }
        Ok(())
    }
}

impl<S: Source> Pull for BlockReader<S> {
    fn pull(&mut self, out: &mut [u8]) -> Result<usize> {
        self.read(out)
    }

    fn skip(&mut self, bytes: u64, unit: u64) -> Result<u64> {
        Ok(self.skip_blocks(bytes, unit))
    }
}
