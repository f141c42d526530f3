//! One rechunk to be done: what the driver writes down for every tool alike.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Codec {
    /// `none`, `zstd` or `blosc` (lz4 with byte shuffle).
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) level: i32,
}

/// How an array is stored: chunks are what is encoded, and lie in shards if there are any.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) chunks: Vec<usize>,
    pub(crate) shards: Option<Vec<usize>>,
    pub(crate) codec: Codec,
}

impl Layout {
    /// The elements of one file.
    pub(crate) fn file(&self) -> &[usize] {
        self.shards.as_deref().unwrap_or(&self.chunks)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    /// `zarr.json` of the target.
    pub(crate) metadata: serde_json::Value,
    pub(crate) shape: Vec<usize>,
    /// Bytes of an element.
    pub(crate) item: usize,
    pub(crate) from: Layout,
    pub(crate) to: Layout,
    /// Elements that a loop over regions copies at a time.
    pub(crate) region: Vec<usize>,
    pub(crate) threads: usize,
}

impl Job {
    pub(crate) fn read(path: &str) -> Result<Self> {
        let job: Self = serde_json::from_slice(&std::fs::read(path)?)?;
        for layout in [&job.from, &job.to] {
            let (file, chunks) = (layout.file(), &layout.chunks);
            let whole = (0..job.shape.len()).all(|axis| job.shape[axis] % file[axis] == 0 && file[axis] % chunks[axis] == 0);
            if !whole {
                return Err(format!("{layout:?} does not divide {:?}: partial chunks are not provided for", job.shape).into());
            }
        }
        Ok(job)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.item
    }
}
