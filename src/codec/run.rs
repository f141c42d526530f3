//! A chunk through all codecs of its pipeline, and back.

use std::ops::Range;

use crate::buffer::{make_room, resize};
use crate::codec::{ArrayToBytes, CodecPipeline, PIECE_BYTES, Scratch, Sink, chain, filter, vlen};
use crate::error::{Error, Result};
use crate::ragged::Ragged;
use crate::region::to_usize;

impl CodecPipeline {
    /// Decodes a whole chunk (a shard: all of its inner chunks, missing ones as fill; none if all of them are missing). The result has
    /// [`CodecPipeline::chunk_bytes`] bytes laid out by [`CodecPipeline::strides`]; it is a part of `encoded` where no byte changes, otherwise in
    /// `out`, whose old contents are overwritten (hand in the same buffer chunk after chunk: it is then not cleared each time).
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::ChecksumMismatch`], [`Error::Unsupported`] or, where memory is wanting, [`Error::Io`], without a key.
    /// [`Error::Unsupported`] for elements of variable length: these come from [`CodecPipeline::decode_ragged`].
    pub(crate) fn decode<'a>(&self, encoded: &'a [u8], scratch: &mut Scratch, out: &'a mut Vec<u8>) -> Result<Option<&'a [u8]>> {
        if self.steps.is_empty() || self.decodes_unchanged() {
            return Ok(match self.decode_stored(encoded, scratch, out)? {
                None => None,
                Some(chain::Decoded::Input(part)) => Some(part),
                Some(chain::Decoded::Output) => Some(out),
            });
        }
        filter::decode(&self.steps, scratch, out, |scratch, stored| {
            match self.decode_stored(encoded, scratch, stored)? {
                Some(chain::Decoded::Output) => {}
                Some(chain::Decoded::Input(part)) => return Ok(Some(part)),
                // The fill value here need not become that of the array.
                None => {
                    resize(stored, self.stored.bytes)?;
                    self.stored.fill.fill(stored);
                }
            }
            Ok(None)
        })?;
        Ok(Some(out))
    }

    /// Whether the steps before the array->bytes codec have nothing to undo, and there always is something that they could.
    fn decodes_unchanged(&self) -> bool {
        matches!(self.array_to_bytes, ArrayToBytes::Bytes(_)) && self.steps.iter().all(filter::Step::decodes_to_itself)
    }

    /// Decodes to what the array->bytes codec was given; none for a shard of which all inner chunks are missing.
    fn decode_stored<'a>(&self, encoded: &'a [u8], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<Option<chain::Decoded<'a>>> {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(bytes) => match chain::decode(&self.bytes_to_bytes, self.array_bound(), encoded, scratch, out)? {
                chain::Decoded::Input(part) if bytes.is_native() => {
                    self.check_len(part)?;
                    return Ok(Some(chain::Decoded::Input(part)));
                }
                chain::Decoded::Input(part) => {
                    self.check_len(part)?;
                    make_room(out, part.len())?;
                    out.extend_from_slice(part);
                    bytes.decode(out);
                }
                chain::Decoded::Output => {
                    self.check_len(out)?;
                    bytes.decode(out);
                }
            },
            ArrayToBytes::PackBits(codec) => {
                let mut buffer = scratch.take();
                let packed = match chain::decode(&self.bytes_to_bytes, self.array_bound(), encoded, scratch, &mut buffer)? {
                    chain::Decoded::Input(part) => part,
                    chain::Decoded::Output => &buffer,
                };
                resize(out, self.stored.bytes)?;
                codec.decode(packed, out)?;
                scratch.give(buffer);
            }
            ArrayToBytes::Vlen(_) => return Err(variable_length()),
            ArrayToBytes::Sharding(sharding) => {
                let layout = (&self.stored.fill, self.stored.strides.as_slice());
                let mut buffer = scratch.take();
                let shard = match chain::decode(&self.bytes_to_bytes, self.array_bound(), encoded, scratch, &mut buffer)? {
                    chain::Decoded::Input(part) => part,
                    chain::Decoded::Output => &buffer,
                };
                let found = sharding.decode_whole(shard, layout, scratch, (&mut *out, self.stored.bytes))?;
                scratch.give(buffer);
                if !found {
                    return Ok(None);
                }
            }
        }
        Ok(Some(chain::Decoded::Output))
    }

    /// Decodes at least the byte ranges `parts` of a chunk, each to its place in `out`, which then has [`CodecPipeline::chunk_bytes`] bytes; what
    /// the other bytes are is unspecified. Returns the number of compressed blocks decoded.
    ///
    /// # Errors
    /// As [`CodecPipeline::decode`], for what is decoded; [`Error::InvalidArgument`] if not [`CodecPipeline::decodes_parts`].
    pub(crate) fn decode_parts(&self, encoded: &[u8], parts: &[Range<usize>], scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<usize> {
        if !self.decodes_parts() {
            return Err(Error::invalid("parts of a chunk whose codecs decode only the whole"));
        }
        chain::decode_parts(&self.bytes_to_bytes, self.chunk_bytes, encoded, parts, scratch, out)
    }

    fn check_len(&self, decoded: &[u8]) -> Result<()> {
        if decoded.len() == self.stored.bytes {
            return Ok(());
        }
        Err(Error::corrupt(format!("the chunk has {} decoded bytes, expected {}", decoded.len(), self.stored.bytes)))
    }

    /// Encodes a whole chunk laid out by [`CodecPipeline::strides`]. `data` is working space: its bytes may be changed (byte order).
    /// Inner chunks of a shard that are all fill are left out. After an error, what the sink got is a useless beginning.
    ///
    /// # Errors
    /// Those of the sink, and [`Error::Io`] where memory is wanting. [`Error::InvalidArgument`] for elements that a codec has no place for
    /// (`cast_value`). [`Error::Unsupported`] for elements of variable length: these go through
    /// [`CodecPipeline::encode_ragged`].
    ///
    /// # Panics
    /// If `data` has not [`CodecPipeline::chunk_bytes`] bytes.
    pub(crate) fn encode(&self, data: &mut [u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        assert_eq!(data.len(), self.chunk_bytes, "size of a chunk");
        if self.encodes_in_pieces() {
            // A piece goes through all steps while it is in the cache.
            let piece_bytes = data.len().min((PIECE_BYTES / 32).next_multiple_of(self.fill.as_bytes().len().max(1)));
            return data.chunks_mut(piece_bytes).try_for_each(|piece| {
                filter::encode(&self.steps, piece, scratch, |stored, scratch| self.encode_stored(stored, scratch, sink))
            });
        }
        filter::encode(&self.steps, data, scratch, |stored, scratch| self.encode_stored(stored, scratch, sink))
    }

    /// Whether encoded elements are what is stored, each by itself, so that a chunk can go through in pieces.
    fn encodes_in_pieces(&self) -> bool {
        let as_they_are = matches!(self.array_to_bytes, ArrayToBytes::Bytes(_)) && self.bytes_to_bytes.is_empty();
        as_they_are && !self.steps.is_empty() && self.steps.iter().all(filter::Step::is_elementwise)
    }

    /// Encodes what reaches the array->bytes codec.
    fn encode_stored(&self, data: &mut [u8], scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(bytes) => {
                bytes.encode(data);
                chain::encode(&self.bytes_to_bytes, data, scratch, sink)
            }
            ArrayToBytes::PackBits(codec) => {
                let mut packed = scratch.take();
                make_room(&mut packed, codec.encoded_bytes())?;
                codec.encode(data, &mut packed);
                let result = chain::encode(&self.bytes_to_bytes, &packed, scratch, sink);
                scratch.give(packed);
                result
            }
            ArrayToBytes::Vlen(_) => Err(variable_length()),
            ArrayToBytes::Sharding(sharding) => {
                let layout = (&self.stored.fill, self.stored.strides.as_slice());
                if self.bytes_to_bytes.is_empty() {
                    return sharding.encode_whole(data, layout, scratch, sink);
                }
                let mut shard = scratch.take();
                make_room(&mut shard, to_usize(sharding.encoded_bound()))?;
                sharding.encode_whole(data, layout, scratch, &mut |piece| {
                    shard.extend_from_slice(piece);
                    Ok(())
                })?;
                let result = chain::encode(&self.bytes_to_bytes, &shard, scratch, sink);
                scratch.give(shard);
                result
            }
        }
    }

    /// Decodes a whole chunk of elements of variable length (a shard: as [`CodecPipeline::decode`]). The elements are in C order of the
    /// transposed shape, where [`CodecPipeline::strides`] says, in bytes of the table.
    ///
    /// # Errors
    /// Those of [`CodecPipeline::decode`], and [`Error::Unsupported`] for elements of one size.
    pub(crate) fn decode_ragged(&self, encoded: &[u8], scratch: &mut Scratch) -> Result<Option<Ragged>> {
        let limit = self.most_ragged_bytes(encoded.len())?;
        let mut buffer = scratch.take();
        let bytes = match chain::decode(&self.bytes_to_bytes, limit, encoded, scratch, &mut buffer)? {
            chain::Decoded::Input(part) => part,
            chain::Decoded::Output => &buffer,
        };
        let elements = match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) | ArrayToBytes::PackBits(_) => return Err(fixed_length()),
            ArrayToBytes::Vlen(vlen) => Some(vlen.decode(bytes)?),
            ArrayToBytes::Sharding(sharding) => sharding.decode_ragged(bytes, (&self.fill, self.strides.as_slice()), scratch)?,
        };
        scratch.give(buffer);
        Ok(elements)
    }

    /// The most bytes that may come out of the bytes->bytes codecs of a chunk of which `stored` bytes are stored.
    fn most_ragged_bytes(&self, stored: usize) -> Result<u64> {
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) | ArrayToBytes::PackBits(_) => Err(fixed_length()),
            ArrayToBytes::Vlen(vlen) => Ok(vlen::most_bytes(vlen.count(), stored as u64)),
            ArrayToBytes::Sharding(sharding) => {
                let count = (self.chunk_bytes / crate::ragged::ENTRY_BYTES) as u64;
                Ok(vlen::most_bytes(count, stored as u64).saturating_add(sharding.framing_bytes()))
            }
        }
    }

    /// Encodes a whole chunk of elements of variable length, laid out as [`CodecPipeline::decode_ragged`] gives them.
    ///
    /// # Errors
    /// Those of [`CodecPipeline::encode`], [`Error::InvalidArgument`] for an element of 4 GiB or more and for text that is not UTF-8, and
    /// [`Error::Unsupported`] where elements are of one size.
    ///
    /// # Panics
    /// If there are not as many elements as a chunk has.
    pub(crate) fn encode_ragged(&self, elements: &Ragged, scratch: &mut Scratch, sink: &mut Sink<'_>) -> Result<()> {
        assert_eq!(elements.len(), self.chunk_bytes / crate::ragged::ENTRY_BYTES, "elements of a chunk");
        let mut buffer = scratch.take();
        match &self.array_to_bytes {
            ArrayToBytes::Bytes(_) | ArrayToBytes::PackBits(_) => return Err(fixed_length()),
            ArrayToBytes::Vlen(vlen) => vlen.encode(elements, &mut buffer)?,
            ArrayToBytes::Sharding(sharding) => {
                sharding.encode_ragged(elements, (&self.fill, self.strides.as_slice()), scratch, &mut buffer)?;
            }
        }
        chain::encode(&self.bytes_to_bytes, &buffer, scratch, sink)?;
        scratch.give(buffer);
        Ok(())
    }
}

fn variable_length() -> Error {
    Error::unsupported("elements of variable length where elements of one size are worked on")
}

fn fixed_length() -> Error {
    Error::unsupported("elements of one size where elements of variable length are worked on")
}
