//! What is measured alone, without store and array: one chunk and its codecs, for `examples/codec_throughput.rs` and `benches/codecs.rs`, the strided
//! copy, for `benches/kernel.rs`, and the shuffle buffer, for `benches/shuffle.rs`. No part of the interface.

use std::path::Path;

use crate::codec::Scratch;
use crate::error::{Error, Result};
use crate::metadata::ArrayMetadata;
use crate::region::{self, BoxLayout};
use crate::shuffle::{FileShare, SEGMENT_BYTES, ShuffleBuffer, Sizes, SpillPlace};

/// A box in a buffer: byte offset of its first element, and bytes between neighbours along each axis.
pub type Placement<'a> = (usize, &'a [usize]);

/// Copies a box of `shape` elements of `item_size` bytes from one buffer to another.
///
/// # Panics
/// If the box reaches outside one of the buffers.
pub fn copy_box(shape: &[u64], item_size: usize, source: &[u8], from: Placement<'_>, target: &mut [u8], to: Placement<'_>) {
    let (from, to) = (BoxLayout { offset: from.0, strides: from.1 }, BoxLayout { offset: to.0, strides: to.1 });
    region::copy_box(shape, item_size, source, from, target, to);
}

/// What goes through a shuffle buffer: so many records of so many bytes, dealt to the partitions in turn.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    /// Bytes of a record, at most 256 KiB.
    pub bytes: usize,
    /// Number of records.
    pub count: usize,
    /// Number of partitions.
    pub partitions: usize,
}

impl Records {
    /// Pushes the records from one thread into a buffer that works in `slab`, spilling into `directory`, and takes all of them back; gives the bytes
    /// that came back.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a slab that is too small, and those of files.
    ///
    /// # Panics
    /// If a record is too large.
    pub fn shuffle(self, slab: &mut [u8], directory: &Path) -> Result<u64> {
        let share = FileShare::create(SpillPlace { directory, behind: false })?;
        let buffer = ShuffleBuffer::new(slab, self.partitions, 1, Sizes::new(SEGMENT_BYTES), share)?;
        let record = vec![1; self.bytes];
        (0..self.count).try_for_each(|at| buffer.push(at % self.partitions, &record))?;
        let (partitions, mut segment, mut back) = (buffer.seal()?, Vec::new(), 0);
        for partition in 0..partitions.len() {
            partitions.take(partition, &mut segment, &mut |record| {
                back += record.len() as u64;
                Ok(())
            })?;
        }
        Ok(back)
    }
}

/// The codecs of an array's chunks, with the buffers and contexts that a thread of a rechunk keeps from chunk to chunk.
pub struct ChunkCodecs {
    metadata: ArrayMetadata,
    scratch: Scratch,
    encoded: Vec<u8>,
    decoded: Vec<u8>,
}

impl ChunkCodecs {
    /// For the chunks of an array on a regular grid whose elements are of fixed size.
    pub fn new(metadata: ArrayMetadata) -> Self {
        Self { metadata, scratch: Scratch::default(), encoded: Vec::new(), decoded: Vec::new() }
    }

    /// Encodes a whole chunk, keeps the result, and gives its size. `elements` is working space: afterwards its bytes may be others.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] where these are not the elements of a chunk, and those of codecs.
    pub fn encode(&mut self, elements: &mut [u8]) -> Result<usize> {
        let expected = self.metadata.codecs.chunk_bytes();
        if elements.len() != expected {
            return Err(Error::invalid(format!("{} bytes of elements; a chunk has {expected}", elements.len())));
        }
        let encoded = &mut self.encoded;
        encoded.clear();
        self.metadata.codecs.encode(elements, &mut self.scratch, &mut |piece| {
            encoded.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(encoded.len())
    }

    /// Decodes the chunk that was encoded last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] where none was, and those of codecs.
    pub fn decode(&mut self) -> Result<&[u8]> {
        let found = self.metadata.codecs.decode(&self.encoded, &mut self.scratch, &mut self.decoded)?;
        found.ok_or_else(|| Error::corrupt("a chunk without elements"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codecs;
    use crate::dtype::DataType;
    use crate::metadata::Layout;

    #[test]
    fn all_records_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records { bytes: 300, count: 40_000, partitions: 7 };
        assert_eq!(records.shuffle(&mut vec![0; 4 << 20], directory.path()).unwrap(), 12_000_000, "three times the slab");
        assert!(records.shuffle(&mut [0; 100], directory.path()).is_err());
    }

    #[test]
    fn what_is_measured_is_what_codecs_do() {
        let codecs: Codecs = "big,zstd:1,crc32c".parse().unwrap();
        let layout = Layout { chunk_shape: vec![100], shard_shape: None, codecs };
        let mut chunk = ChunkCodecs::new(ArrayMetadata::new([100], DataType::Int16, None, &layout).unwrap());
        assert!(chunk.decode().is_err(), "nothing is encoded yet");
        let elements: Vec<u8> = (0..200).map(|byte| byte / 50).collect();
        let size = chunk.encode(&mut elements.clone()).unwrap();
        assert!(size < 100, "{size}");
        for _ in 0..2 {
            assert_eq!(chunk.decode().unwrap(), elements);
        }
        assert!(matches!(chunk.encode(&mut [0; 3]), Err(Error::InvalidArgument { .. })));
    }
}
