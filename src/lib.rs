//! An embedded storage engine for chunked arrays whose on-disk format is Zarr v3, and an out-of-core rechunker that keeps its memory budget.
//!
//! * [`Array`] and [`Group`] create, open, read and write; [`ArrayMetadata`] and [`Layout`] say what an array is and how it is cut.
//! * [`rechunk`] rewrites an array, or the arrays of a group, under another chunk grid, beside or in place; [`plan_rechunk`] says beforehand how, and
//!   what it costs; [`recover`] completes or removes what an interrupted one has left; [`verify`] compares two trees bit by bit, [`check`] finds what is wrong with one, [`migrate`] makes Zarr v2 into Zarr v3 in place. What they
//!   may use and how they act is in [`RechunkOptions`], [`RecoverOptions`], [`VerifyOptions`], [`CheckOptions`] and [`MigrateOptions`].
//! * [`Store`] is the small trait underneath, with [`FilesystemStore`], [`ZipStore`] (read; [`pack`] makes one) and [`MemoryStore`].
//!
//! ```
//! use rezarr::{Array, ArrayMetadata, ChunkSpec, Codecs, DataType, Layout, RechunkOptions, Region};
//!
//! # let directory = tempfile::tempdir().unwrap();
//! # let (maps, series) = (directory.path().join("maps.zarr"), directory.path().join("series.zarr"));
//! // Twelve maps of 100 x 200, one map a chunk ...
//! let layout = Layout { chunk_shape: vec![1, 100, 200], shard_shape: None, codecs: Codecs::zstd(3)? };
//! let metadata = ArrayMetadata::new([12, 100, 200], DataType::Float32, None, &layout)?;
//! let array = Array::create(&maps, metadata)?;
//! for month in 0..12_u8 {
//!     array.write(&Region::new([month.into(), 0, 0], [1, 100, 200])?, &vec![f32::from(month); 20_000])?;
//! }
//!
//! // ... become time series of 10 x 10 places, within 32 MiB.
//! let chunks: ChunkSpec = "all,10,10".parse()?;
//! rezarr::rechunk(&maps, Some(&series), RechunkOptions::new().chunks(chunks).memory(32 << 20))?;
//! let place: Vec<f32> = Array::open(&series)?.read(&Region::new([0, 41, 7], [12, 1, 1])?)?;
//! assert_eq!(place[11], 11.0);
//! # Ok::<(), rezarr::Error>(())
//! ```
//!
//! Every fallible call gives [`Error`], sorted by what the caller can do about it. Nothing is global: no thread pool, no registry, no configuration.

#![cfg_attr(test, allow(clippy::cast_possible_truncation))]

// The store that fails (`store/faulty.rs`) is built into unit tests and integration tests, and names the crate as the latter do.
#[cfg(test)]
extern crate self as rezarr;

mod array;
mod buffer;
mod check;
mod codec;
mod dtype;
mod error;
// The fuzz targets in `fuzz/` are built with this; unit tests run the same bodies.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod grid;
mod group;
mod json;
#[doc(hidden)]
pub mod measuring;
mod metadata;
mod migrate;
mod process;
mod publish;
mod ragged;
mod rechunk;
mod recover;
mod region;
mod shuffle;
mod store;
mod verify;

pub use array::{Array, Element, Selection};
pub use check::{CheckOptions, CheckReport, Finding, FindingCode, Severity, check};
pub use codec::Codecs;
pub use dtype::{DataType, Field, FillValue, MiniFloat, TimeUnit};
pub use error::{Error, Result};
pub use grid::{ChunkGrid, ChunkKeyEncoding, EdgeRuns, Edges};
pub use group::{Group, MAX_GROUP_DEPTH, Node};
pub use metadata::{ArrayMetadata, Attributes, Consolidated, GroupMetadata, Layout, NodeMetadata};
pub use migrate::{MigrateOptions, MigrateOutcome, MigrateReport, MigratedNode, migrate};
pub use publish::RecoverStep;
pub use rechunk::{
    Alternative, ArrayReport, ChunkSpec, Costs, DEFAULT_MEMORY_BYTES, Edge, GrownCost, Growth, HumanBytes, Measured, Plan, Progress,
    Ranges, RechunkOptions, Report, Shards, Share, Strategy, plan_rechunk, rechunk,
};
pub use recover::{RecoverOptions, Recovered, RecoveredNode, recover};
pub use region::{MAX_RANK, Region};
pub use store::{
    ByteRange, Change, Entry, EntryKind, FilesystemStore, Key, Lock, MappedValue, MemoryStore, PackOptions, PackReport, ReadMode, Stamp,
    Store, Value, ValueWriter, ZipStore, pack,
};
pub use verify::{Verdict, VerifyOptions, verify};

// The program of README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
