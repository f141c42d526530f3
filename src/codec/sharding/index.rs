//! The index of a shard: where each inner chunk lies, and how that is stored.

use std::ops::Range;

use serde_json::Map;

use crate::buffer::{filled, make_room};
use crate::codec::bytes::Bytes;
use crate::codec::chain::BytesToBytes;
use crate::codec::checksum::{CHECKSUM_BYTES, Checksum};
use crate::codec::transpose::Transpose;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::json::NamedConfig;
use crate::region::to_usize;

/// Offset and length of an inner chunk.
pub(super) type Entry = [u64; 2];

/// Size of an entry in bytes.
pub(super) const ENTRY_BYTES: u64 = 16;

/// The marker of an inner chunk that is not there, in both numbers.
pub(super) const MISSING: Entry = [u64::MAX, u64::MAX];

/// The most inner chunks of one shard: its index takes 1 GiB.
pub(super) const MAX_INDEX_ENTRIES: u64 = 1 << 26;

/// Where the inner chunks of one shard lie: offset and length of each, in C order of the (transposed) inner grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardIndex {
    pub(super) entries: Vec<Entry>,
}

impl ShardIndex {
    /// An index of `count` missing inner chunks.
    pub(crate) fn empty(count: usize) -> Result<Self> {
        Ok(Self { entries: filled(count, MISSING)? })
    }

    /// Offset and length of the inner chunk at `position`; none if it is missing.
    pub(crate) fn get(&self, position: usize) -> Option<(u64, u64)> {
        let [offset, len] = self.entries[position];
        ([offset, len] != MISSING).then_some((offset, len))
    }

    /// Records where an inner chunk was written.
    pub(crate) fn set(&mut self, position: usize, offset: u64, len: u64) {
        self.entries[position] = [offset, len];
    }

    /// Whether all inner chunks are missing.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| *entry == MISSING)
    }

    /// Whether any inner chunk is missing.
    pub(super) fn has_missing(&self) -> bool {
        self.entries.contains(&MISSING)
    }

    /// The sum of the sizes of all inner chunks that are there.
    pub(super) fn inner_bytes(&self) -> u128 {
        self.entries.iter().filter(|entry| **entry != MISSING).map(|&[_, len]| u128::from(len)).sum()
    }

    /// Checks that every inner chunk lies within `bodies`, the part of the shard that is not the index.
    fn check(&self, bodies: &Range<u64>) -> Result<()> {
        self.entries.iter().enumerate().try_for_each(|(position, entry)| check_entry(position, *entry, bodies))
    }
}

/// Checks that an inner chunk lies within `bodies`, the part of the shard that is not the index.
pub(super) fn check_entry(position: usize, [offset, len]: Entry, bodies: &Range<u64>) -> Result<()> {
    let fault = if [offset, len] == MISSING {
        return Ok(());
    } else if offset == u64::MAX || len == u64::MAX {
        "only one of offset and length says that it is missing"
    } else {
        match offset.checked_add(len) {
            None => "offset and length pass 2^64",
            Some(end) if offset < bodies.start || end > bodies.end => "it is not within the part of the shard that holds inner chunks",
            Some(_) => return Ok(()),
        }
    };
    Err(Error::corrupt(format!(
        "shard index entry {position}: offset {offset}, length {len}: {fault} (bytes {} to {})",
        bodies.start, bodies.end
    )))
}

/// The codecs of the index: a byte order, and any number of checksums. All others have no fixed size, or gain nothing.
#[derive(Clone, Debug)]
pub(super) struct IndexCodecs {
    pub(super) bytes: Bytes,
    pub(super) checksums: Vec<Checksum>,
    count: usize,
}

impl IndexCodecs {
    /// Reads the `index_codecs` member for `count` inner chunks.
    pub(super) fn from_metadata(codecs: &[NamedConfig], count: usize) -> Result<Self> {
        let accepted = format!("accepted are {}, then any number of {}", Bytes::NAME, Checksum::CRC32C);
        let Some((first, rest)) = codecs.split_first() else { return Err(Error::metadata("", format!("no codecs; {accepted}"))) };
        match first.name.as_str() {
            Bytes::NAME => {}
            Transpose::NAME => return Err(Error::unsupported("a shard index that is transposed")),
            name => return Err(Error::metadata("/0", format!("{name:?}; {accepted}"))),
        }
        let bytes = Bytes::from_metadata(first, &DataType::UInt64).map_err(|error| error.within("/0"))?;
        let mut checksums = Vec::new();
        for (i, config) in rest.iter().enumerate() {
            match BytesToBytes::from_metadata(config, size_of::<u64>()).map_err(|error| error.within(&format!("/{}", i + 1)))? {
                Some(BytesToBytes::Checksum(codec)) => checksums.push(codec),
                _ => {
                    let what = format!("{:?} has no fixed size, or does not follow {}; {accepted}", config.name, Bytes::NAME);
                    return Err(Error::metadata(format!("/{}", i + 1), what));
                }
            }
        }
        Ok(Self { bytes, checksums, count })
    }

    pub(super) fn to_metadata(&self) -> Vec<NamedConfig> {
        std::iter::once(self.bytes.to_metadata()).chain(self.checksums.iter().map(|codec| codec.to_metadata())).collect()
    }

    /// The codec objects that every reader accepts: little endian and a checksum.
    pub(super) fn conservative() -> Vec<NamedConfig> {
        let little = Map::from_iter([("endian".to_owned(), "little".into())]);
        vec![NamedConfig::new(Bytes::NAME, little), NamedConfig::new(Checksum::CRC32C, Map::new())]
    }

    /// Number of inner chunks.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Size of the encoded index in bytes. No overflow: counts are at most [`MAX_INDEX_ENTRIES`].
    pub(super) fn encoded_bytes(&self) -> u64 {
        self.count as u64 * ENTRY_BYTES + self.checksums.len() as u64 * CHECKSUM_BYTES
    }

    /// Decodes an index; `bodies` is the part of the shard in which inner chunks may lie.
    pub(super) fn decode(&self, encoded: &[u8], bodies: &Range<u64>) -> Result<ShardIndex> {
        if encoded.len() as u64 != self.encoded_bytes() {
            return Err(self.wrong_size(encoded.len() as u64));
        }
        let mut content = encoded;
        for checksum in self.checksums.iter().rev() {
            content = checksum.decode(content)?;
        }
        let mut index = ShardIndex::empty(self.count)?;
        // The content has the size of all entries, since the encoded index has the right size.
        let entries: &mut [u8] = bytemuck::cast_slice_mut(&mut index.entries);
        entries.copy_from_slice(content);
        self.bytes.decode(entries);
        index.check(bodies)?;
        Ok(index)
    }

    /// The error for an index of `len` bytes.
    pub(super) fn wrong_size(&self, len: u64) -> Error {
        Error::corrupt(format!("a shard index of {len} bytes, expected {}", self.encoded_bytes()))
    }

    /// Encodes an index.
    pub(super) fn encode(&self, index: &ShardIndex) -> Result<Vec<u8>> {
        assert_eq!(index.entries.len(), self.count, "number of entries of a shard index");
        let mut encoded = Vec::new();
        make_room(&mut encoded, to_usize(self.encoded_bytes()))?;
        encoded.extend_from_slice(bytemuck::cast_slice(&index.entries));
        self.bytes.encode(&mut encoded);
        for checksum in &self.checksums {
            checksum.encode_in_place(&mut encoded);
        }
        Ok(encoded)
    }
}
