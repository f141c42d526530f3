//! What an expert writes with the zarrs crate: region by region, each read (in parts where nothing is encoded) and stored on all threads.

use std::sync::Arc;

use zarrs::array::{Array, ArrayBytes, ArrayMetadata, ArraySubset};
use zarrs::filesystem::FilesystemStore;

use crate::Result;
use crate::job::Job;

pub(crate) fn run(job: &Job) -> Result<()> {
    let source = Array::open(Arc::new(FilesystemStore::new(&job.source)?), "/")?;
    let metadata: ArrayMetadata = serde_json::from_value(job.metadata.clone())?;
    std::fs::create_dir_all(&job.target)?;
    let target = Array::new_with_metadata(Arc::new(FilesystemStore::new(&job.target)?), "/", metadata)?;
    target.store_metadata()?;
    let rank = job.shape.len();
    let mut start = vec![0; rank];
    loop {
        let ranges: Vec<_> = (0..rank)
            .map(|axis| {
                let end = (start[axis] + job.region[axis]).min(job.shape[axis]);
                Ok(u64::try_from(start[axis])?..u64::try_from(end)?)
            })
            .collect::<Result<_>>()?;
        let region = ArraySubset::new_with_ranges(&ranges);
        let elements: ArrayBytes<'_> = source.retrieve_array_subset(&region)?;
        target.store_array_subset(&region, elements)?;
        let Some(axis) = (0..rank).rev().find(|&axis| start[axis] + job.region[axis] < job.shape[axis]) else {
            return Ok(());
        };
        start[axis] += job.region[axis];
        start[axis + 1..].fill(0);
    }
}
