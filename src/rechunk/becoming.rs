//! What an array becomes: the part of it that is taken, the type that it is read as, and the layout that it gets.

use crate::array::Array;
use crate::dtype::FillValue;
use crate::error::{Error, Result};
use crate::grid::{ChunkGrid, Edges};
use crate::metadata::{ArrayMetadata, Layout};
use crate::rechunk::options::{RechunkOptions, Shards};
use crate::rechunk::spec::Edge;
use crate::region::Region;

/// What is taken of an array.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    /// The array as what its elements are read as.
    pub(crate) source: Array,
    /// The array as it was opened.
    pub(crate) opened: Array,
    pub(crate) region: Region,
}

impl Taken {
    /// The same in the tree that has the array's name now, which is then read whatever becomes of the name.
    ///
    /// # Errors
    /// [`Error::Stale`] when that is another array.
    pub(crate) fn pinned(&self) -> Result<Self> {
        let opened = self.opened.pinned()?;
        Ok(Self { source: self.source.beside(&opened)?, opened, region: self.region.clone() })
    }

    /// What explains that reading it has failed: that it is no longer there, or else the error.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match (&error, self.opened.check_current()) {
            (Error::Cancelled, _) => error,
            (_, Err(stale @ Error::Stale { .. })) => stale,
            _ => error,
        }
    }

    /// All of an array, as it is.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn whole(array: &Array) -> Self {
        Self { source: array.clone(), opened: array.clone(), region: Region::whole(array.shape()) }
    }
}

/// An array on its way.
pub(super) struct Becoming {
    pub(super) taken: Taken,
    pub(super) target: ArrayMetadata,
}

impl Becoming {
    /// What becomes of an array: all that the options say where it is meant, and otherwise what is needed for it to fit the others.
    pub(super) fn of(source: &Array, meant: bool, options: &RechunkOptions<'_>) -> Result<Self> {
        let metadata = source.metadata();
        let region = match options.selection.as_ref().and_then(|selection| selection.of_those_in(metadata)) {
            Some(selection) => selection.resolve(metadata)?,
            None => Region::whole(metadata.shape()),
        };
        let data_type = options.data_type.as_ref().filter(|_| meant);
        let read = data_type.map(|data_type| metadata.clone().read_as(data_type)).transpose()?;
        let shown = read.clone().unwrap_or_else(|| metadata.clone());
        let target = if meant {
            target_metadata(metadata, &shown, &region, options)?
        } else if region == Region::whole(metadata.shape()) {
            metadata.clone().into_v3()?
        } else {
            let part = cut(metadata, &region)?.into_v3()?;
            // Shards within shards are moved, and never written anew.
            let nested = part.codecs.sharding().is_some_and(|sharding| sharding.unit_pipeline().sharding().is_some());
            if nested { part.relaid(&part.layout(), None)? } else { part }
        };
        let opened = source.clone();
        let source = match read {
            Some(read) => Array::with_metadata(source.store().clone(), source.prefix().clone(), read)?,
            None => opened.clone(),
        };
        Ok(Self { taken: Taken { source, opened, region }, target })
    }
}

/// The document of a part of an array. Of a rectilinear grid there remains a regular one of the largest edges.
fn cut(metadata: &ArrayMetadata, region: &Region) -> Result<ArrayMetadata> {
    if region.shape() == metadata.shape() {
        return Ok(metadata.clone());
    }
    if metadata.grid.is_regular() {
        return metadata.clone().with_shape(region.shape());
    }
    // Chunks of a list of edges belong where they are; the largest of them is a chunk shape for any part.
    let regular = metadata.clone().with_chunk_grid(ChunkGrid::regular(metadata.shape(), metadata.grid.chunk_shape())?)?;
    regular.with_shape(region.shape())
}

/// The target of an array whose elements are read as those of `read`: what the options ask for, and what `source` has where they are silent.
fn target_metadata(source: &ArrayMetadata, read: &ArrayMetadata, region: &Region, options: &RechunkOptions<'_>) -> Result<ArrayMetadata> {
    let (source, read) = (&cut(source, region)?, &cut(read, region)?);
    let mut layout = source.layout();
    if let Some(spec) = &options.chunks {
        layout.chunk_shape = spec.resolve(source, &layout.chunk_shape, None)?;
    }
    match &options.shards {
        Shards::Keep => check_kept_shards(&layout)?,
        Shards::Remove => layout.shard_shape = None,
        Shards::Of(spec) => {
            let kept = layout.shard_shape.clone().unwrap_or_else(|| layout.chunk_shape.clone());
            layout.shard_shape = Some(spec.resolve(source, &kept, Some(&layout.chunk_shape))?);
        }
    }
    if let Some(codecs) = &options.codecs {
        layout.codecs = codecs.clone();
    }
    let fill = options.fill.as_deref().map(|text| FillValue::parse(read.data_type(), text)).transpose()?;
    let mut laid = read.relaid(&layout, fill)?;
    if let Some(grid) = rectilinear(source, options, &layout)? {
        laid = laid.with_chunk_grid(grid)?;
    }
    match options.key_encoding {
        Some(key_encoding) => laid.with_key_encoding(key_encoding),
        None => Ok(laid),
    }
}

/// The grid of the target's stored chunks (its shards, where it is sharded) where a list of edges is asked for, or kept.
fn rectilinear(source: &ArrayMetadata, options: &RechunkOptions<'_>, layout: &Layout) -> Result<Option<ChunkGrid>> {
    let stored = layout.shard_shape.as_ref().unwrap_or(&layout.chunk_shape);
    let spec = match (&options.shards, &layout.shard_shape, &options.chunks) {
        (_, Some(_), Some(chunks)) if chunks.has_lists() => {
            return Err(Error::invalid(format!("chunks {chunks}: inner chunks are all alike; give the list as edges of the shards")));
        }
        (Shards::Of(spec), ..) => Some(spec),
        (_, None, chunks) => chunks.as_ref(),
        _ => None,
    };
    let kept = if source.layout().shard_shape.is_some() == layout.shard_shape.is_some() { source.grid.edges() } else { Vec::new() };
    let edges = |(axis, &edge): (usize, &u64)| match (spec.and_then(|spec| spec.edge(source, axis)), kept.get(axis)) {
        (Some(Edge::List(list)), _) => Edges::List(list.clone()),
        (None, Some(kept @ Edges::List(_))) => kept.clone(),
        _ => Edges::Repeat(edge),
    };
    let grid = ChunkGrid::rectilinear(source.shape(), stored.iter().enumerate().map(edges).collect::<Vec<_>>())?;
    Ok((!grid.is_regular()).then_some(grid))
}

/// Shards that stay must hold the new chunks whole.
fn check_kept_shards(layout: &Layout) -> Result<()> {
    let Some(shard) = &layout.shard_shape else { return Ok(()) };
    // Of a rectilinear grid these are the largest shards; all are looked at when the grid is taken over.
    match (0..shard.len()).find(|&axis| !shard[axis].is_multiple_of(layout.chunk_shape[axis])) {
        Some(axis) => Err(Error::invalid(format!(
            "axis {axis}: chunks of {} do not divide the array's shards of {}; give shards, or `none` to store chunks singly",
            layout.chunk_shape[axis], shard[axis]
        ))),
        None => Ok(()),
    }
}
