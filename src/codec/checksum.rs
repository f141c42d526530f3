//! Codecs that put a checksum of 32 bits, little endian, before or after the bytes: `crc32c`, and those of numcodecs.

use serde_json::Value;

use crate::codec::{Sink, configuration};
use crate::error::{Error, Result};
use crate::json::NamedConfig;

mod sums;

/// Size of the checksum in bytes.
pub(super) const CHECKSUM_BYTES: u64 = 4;

/// So many bytes are passed on while they are in the cache nearest to the processor.
const PASSING_BYTES: usize = 8 << 10;

/// A checksum before or after the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum {
    algorithm: Algorithm,
    at_start: bool,
}

/// A checksum of bytes as they pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    algorithm: Algorithm,
    sum: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    /// Castagnoli.
    Crc32c,
    /// That of gzip.
    Crc32,
    /// That of zlib.
    Adler32,
    /// That of HDF5.
    Fletcher32,
    /// Bob Jenkins' lookup3, the metadata checksum of HDF5.
    Lookup3 { initial: u32 },
}

impl Checksum {
    /// The name of the registered codec.
    pub(crate) const CRC32C: &'static str = "crc32c";
    pub(super) const NUMCODECS_CRC32C: &'static str = "numcodecs.crc32c";
    pub(crate) const CRC32: &'static str = "numcodecs.crc32";
    pub(crate) const ADLER32: &'static str = "numcodecs.adler32";
    pub(crate) const FLETCHER32: &'static str = "numcodecs.fletcher32";
    pub(crate) const LOOKUP3: &'static str = "numcodecs.jenkins_lookup3";
    /// What keeps its place until it is known.
    pub(super) const NOTHING: [u8; 4] = [0; 4];

    /// Reads the codec object, which has one of the names above once its name is `name`; none if it has another.
    pub(super) fn from_metadata(name: &str, config: &NamedConfig) -> Result<Option<Self>> {
        let located = |algorithm, at_start| Ok(Some(Self { algorithm, at_start: location(config, at_start)? }));
        match name {
            Self::CRC32C => config.only(&[])?,
            Self::NUMCODECS_CRC32C => return located(Algorithm::Crc32c, false),
            Self::CRC32 => return located(Algorithm::Crc32, true),
            Self::ADLER32 => return located(Algorithm::Adler32, true),
            Self::FLETCHER32 => config.only(&[])?,
            Self::LOOKUP3 => config.only(&["initval", "prefix"])?,
            _ => return Ok(None),
        }
        let algorithm = match name {
            Self::CRC32C => Algorithm::Crc32c,
            Self::FLETCHER32 => Algorithm::Fletcher32,
            _ => Algorithm::Lookup3 { initial: lookup3_initial(config)? },
        };
        Ok(Some(Self { algorithm, at_start: false }))
    }

    /// The codec object, under the registered name where there is one for these bytes.
    pub(super) fn to_metadata(self) -> NamedConfig {
        // What is not the default of its codec; older readers know no `location`.
        let (name, member) = match (self.algorithm, self.at_start) {
            (Algorithm::Crc32c, false) => (Self::CRC32C, None),
            (Algorithm::Crc32c, true) => (Self::NUMCODECS_CRC32C, Some(("location", Value::from("start")))),
            (Algorithm::Crc32, true) => (Self::CRC32, None),
            (Algorithm::Crc32, false) => (Self::CRC32, Some(("location", Value::from("end")))),
            (Algorithm::Adler32, true) => (Self::ADLER32, None),
            (Algorithm::Adler32, false) => (Self::ADLER32, Some(("location", Value::from("end")))),
            (Algorithm::Fletcher32, _) => (Self::FLETCHER32, None),
            (Algorithm::Lookup3 { initial }, _) => (Self::LOOKUP3, Some(("initval", Value::from(initial)))),
        };
        NamedConfig::new(name, member.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// How many bytes lie before the content.
    pub(super) fn bytes_before(self) -> usize {
        if self.at_start { size_of::<u32>() } else { 0 }
    }

    /// Whether it can be taken of bytes as they pass, without knowing how many there will be.
    pub(super) fn runs(self) -> bool {
        matches!(self.algorithm, Algorithm::Crc32c | Algorithm::Crc32 | Algorithm::Adler32)
    }

    /// The checksum of no bytes yet. Only where [`Checksum::runs`].
    pub(super) fn running(self) -> Running {
        Running { algorithm: self.algorithm, sum: self.algorithm.sum(&[]) }
    }

    /// Whether the checksum can be taken of bytes that pass, so that [`Checksum::encode_passing`] may be used.
    pub(super) fn can_pass(self) -> bool {
        !self.at_start && self.runs()
    }

    /// Lets `produce` write to the sink, and the checksum after it. Only where [`Checksum::can_pass`].
    pub(super) fn encode_passing(self, produce: impl FnOnce(&mut Sink<'_>) -> Result<()>, sink: &mut Sink<'_>) -> Result<()> {
        let mut checksum = self.running();
        produce(&mut |piece| {
            // A part that was just read is passed on at less cost.
            piece.chunks(PASSING_BYTES).try_for_each(|piece| {
                checksum.update(piece);
                sink(piece)
            })
        })?;
        sink(&checksum.stored())
    }

    /// Passes on `input` with its checksum.
    pub(super) fn encode(self, input: &[u8], sink: &mut Sink<'_>) -> Result<()> {
        let checksum = self.algorithm.sum(input).to_le_bytes();
        let (first, second) = if self.at_start { (&checksum[..], input) } else { (input, &checksum[..]) };
        sink(first)?;
        sink(second)
    }

    /// Puts the checksum of `bytes` before or after them.
    pub(super) fn encode_in_place(self, bytes: &mut Vec<u8>) {
        let checksum = self.algorithm.sum(bytes).to_le_bytes();
        let at = if self.at_start { 0 } else { bytes.len() };
        bytes.splice(at..at, checksum);
    }

    /// The bytes without the checksum, which is verified.
    pub(super) fn decode(self, input: &[u8]) -> Result<&[u8]> {
        let parts = if self.at_start { input.split_first_chunk().map(|(stored, rest)| (rest, stored)) } else { input.split_last_chunk() };
        let Some((rest, stored)) = parts else {
            return Err(self.too_short(input.len()));
        };
        Running { algorithm: self.algorithm, sum: self.algorithm.sum(rest) }.check(*stored)?;
        Ok(rest)
    }

    /// The error for `len` bytes, in which there is no room for the checksum.
    pub(super) fn too_short(self, len: usize) -> Error {
        let name = self.to_metadata().name;
        Error::corrupt(format!("{len} bytes where a {name} checksum alone takes {CHECKSUM_BYTES}"))
    }
}

impl Running {
    pub(super) fn update(&mut self, piece: &[u8]) {
        self.sum = self.algorithm.extend(self.sum, piece);
    }

    /// The checksum as it is stored.
    pub(super) fn stored(&self) -> [u8; 4] {
        self.sum.to_le_bytes()
    }

    /// Compares with what is stored.
    pub(super) fn check(&self, stored: [u8; 4]) -> Result<()> {
        let (expected, got) = (u32::from_le_bytes(stored), self.sum);
        if expected == got { Ok(()) } else { Err(Error::ChecksumMismatch { key: String::new(), expected, got }) }
    }
}

impl Algorithm {
    fn sum(self, input: &[u8]) -> u32 {
        match self {
            Self::Crc32c => crc32c::crc32c(input),
            Self::Crc32 => crc32fast::hash(input),
            Self::Adler32 => simd_adler32::adler32(&input),
            Self::Fletcher32 => sums::fletcher32(input),
            Self::Lookup3 { initial } => sums::lookup3(initial, input),
        }
    }

    /// The checksum of some bytes with checksum `sum`, and `piece` after them.
    fn extend(self, sum: u32, piece: &[u8]) -> u32 {
        match self {
            Self::Crc32c => crc32c::crc32c_append(sum, piece),
            Self::Crc32 => {
                let mut hasher = crc32fast::Hasher::new_with_initial(sum);
                hasher.update(piece);
                hasher.finalize()
            }
            Self::Adler32 => {
                let mut hasher = simd_adler32::Adler32::from_checksum(sum);
                hasher.write(piece);
                hasher.finish()
            }
            // These depend on lengths that are not known yet; see `can_pass`.
            Self::Fletcher32 | Self::Lookup3 { .. } => self.sum(piece),
        }
    }
}

/// Whether the `location` is `start`.
fn location(config: &NamedConfig, default_start: bool) -> Result<bool> {
    config.only(&["location"])?;
    match config.configuration.get("location") {
        None | Some(Value::Null) => Ok(default_start),
        Some(Value::String(word)) if word == "start" => Ok(true),
        Some(Value::String(word)) if word == "end" => Ok(false),
        Some(other) => Err(Error::metadata("/configuration/location", format!(r#"{other}; accepted are "start" and "end""#))),
    }
}

/// The first value of lookup3. A `prefix` is made of Python bytes, which JSON cannot say.
fn lookup3_initial(config: &NamedConfig) -> Result<u32> {
    if let Some(prefix) = config.configuration.get("prefix").filter(|prefix| !prefix.is_null()) {
        return Err(Error::unsupported(format!("{} with the prefix {prefix}; only without one, or null, is supported", config.name)));
    }
    configuration::unsigned(config, "initval", 0)
}

#[cfg(test)]
mod tests;
