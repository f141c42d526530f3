//! rezarr: an embedded storage engine for chunked arrays whose on-disk format is Zarr v3, and an out-of-core rechunker that keeps its
//! memory budget.

#![cfg_attr(test, allow(clippy::cast_possible_truncation))]

// The store that fails (`store/faulty.rs`) is built into unit tests and integration tests, and names the crate as the latter do.
#[cfg(test)]
extern crate self as rezarr;

mod array;
mod buffer;
mod codec;
mod dtype;
mod error;
mod grid;
mod group;
mod json;
mod metadata;
mod process;
mod publish;
mod rechunk;
mod region;
mod shuffle;
mod store;
mod verify;

pub use array::{Array, Element};
pub use codec::Codecs;
pub use dtype::{DataType, FillValue};
pub use error::{Error, Result};
pub use grid::{ChunkGrid, ChunkKeyEncoding};
pub use group::{Group, MAX_GROUP_DEPTH, Node};
pub use metadata::{ArrayMetadata, Attributes, Consolidated, GroupMetadata, Layout, NodeMetadata};
pub use rechunk::{
    ArrayReport, ChunkSpec, DEFAULT_MEMORY_BYTES, Edge, HumanBytes, Measured, Plan, Progress, RechunkOptions, Report, Shards, Share,
    Strategy, plan_rechunk, rechunk,
};
pub use region::{MAX_RANK, Region};
pub use store::{ByteRange, Entry, EntryKind, FilesystemStore, Key, Lock, MappedValue, MemoryStore, ReadMode, Store, Value};
pub use verify::{Verdict, VerifyOptions, verify};
