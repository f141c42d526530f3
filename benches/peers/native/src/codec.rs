//! The C codecs, one context a thread.

use zstd::bulk::{Compressor, Decompressor};

use crate::job::Codec;
use crate::{Result, blosc};

pub(crate) enum Coder {
    None,
    Zstd(Box<(Compressor<'static>, Decompressor<'static>)>),
    Blosc { item: usize, level: i32 },
}

impl Coder {
    pub(crate) fn new(codec: &Codec, item: usize) -> Result<Self> {
        match codec.name.as_str() {
            "none" => Ok(Self::None),
            "zstd" => Ok(Self::Zstd(Box::new((Compressor::new(codec.level)?, Decompressor::new()?)))),
            "blosc" => Ok(Self::Blosc { item, level: codec.level }),
            other => Err(format!("{other}: not one of none, zstd, blosc").into()),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Fills `out` with the elements of a chunk.
    pub(crate) fn decode(&mut self, encoded: &[u8], out: &mut [u8]) -> Result<()> {
        match self {
            Self::None if encoded.len() == out.len() => out.copy_from_slice(encoded),
            Self::None => return Err("a chunk of the wrong size".into()),
            Self::Zstd(both) => {
                if both.1.decompress_to_buffer(encoded, out)? != out.len() {
                    return Err("a chunk of the wrong size".into());
                }
            }
            Self::Blosc { .. } => blosc::decode(encoded, out)?,
        }
        Ok(())
    }

    /// Replaces what is in `out`.
    pub(crate) fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::None => {
                out.clear();
                out.extend_from_slice(raw);
            }
            Self::Zstd(both) => {
                out.clear();
                out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                both.0.compress_to_buffer(raw, out)?;
            }
            Self::Blosc { item, level } => blosc::encode(raw, *item, *level, out)?,
        }
        Ok(())
    }
}
