//! rezarr: an embedded storage engine for chunked arrays whose on-disk format is Zarr v3, and an out-of-core rechunker that keeps its
//! memory budget.

mod error;
mod grid;
mod region;

pub use error::{Error, Result};
pub use grid::{ChunkGrid, ChunkKeyEncoding};
pub use region::{MAX_RANK, Region};
