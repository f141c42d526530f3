//! The document of an array as the rest of the crate uses it: checked, with its codecs built.

use super::document::ArrayDocument;
use super::grid::check_chunk_bytes;
use super::v2::Origin;
use super::{Attributes, Layout, as_argument};
use crate::codec::{ByteOrder, CodecPipeline};
use crate::dtype::{DataType, FillValue};
use crate::error::{Error, Result};
use crate::grid::{ChunkGrid, ChunkKeyEncoding, Edges};
use crate::json::Members;

/// The document of an array (Zarr v3 core specification, "Array metadata").
#[derive(Clone, Debug)]
pub struct ArrayMetadata {
    pub(crate) data_type: DataType,
    /// Whether the document has the type under a name of zarr-python: `raw_bytes`, `structured`.
    pub(crate) raw_bytes: bool,
    pub(crate) grid: ChunkGrid,
    pub(crate) key_encoding: ChunkKeyEncoding,
    pub(crate) fill: FillValue,
    pub(crate) codecs: CodecPipeline,
    pub(crate) attributes: Attributes,
    pub(crate) dimension_names: Option<Vec<Option<String>>>,
    /// Members that we do not know and that may be ignored (`must_understand: false`), kept as they came.
    pub(crate) extra: Members,
    /// Set where the array was read from Zarr v2.
    v2: Option<Origin>,
}

impl ArrayMetadata {
    /// The document of a new array; without a fill value it gets the zero of its type.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the parts do not fit together (the message names the axis), [`Error::Unsupported`] for a codec that this
    /// build does not have.
    pub fn new(shape: impl Into<Vec<u64>>, data_type: DataType, fill: Option<FillValue>, layout: &Layout) -> Result<Self> {
        let document = new_document(shape.into(), data_type, fill, layout)?;
        let metadata = Self::from_document(document).map_err(|error| as_argument("codecs that do not fit", error))?;
        metadata.codecs.check_encodable()?;
        Ok(metadata)
    }

    /// The same array (shape, type, attributes, names, key encoding) under another layout, and with another fill value if one is given.
    ///
    /// # Errors
    /// As [`ArrayMetadata::new`].
    pub fn relaid(&self, layout: &Layout, fill: Option<FillValue>) -> Result<Self> {
        let fill = fill.unwrap_or_else(|| self.fill.clone());
        let laid = Self::new(self.shape(), self.data_type.clone(), Some(fill), layout)?;
        Ok(Self { grid: laid.grid, fill: laid.fill, codecs: laid.codecs, ..self.clone().into_v3()? })
    }

    /// How the array is cut and encoded: the inverse of [`ArrayMetadata::new`], so that a part of it can be changed and the rest kept.
    ///
    /// Shards within shards come out as one level, from the outermost shard to the innermost chunk.
    pub fn layout(&self) -> Layout {
        let layout = Layout::from_codecs(self.chunk_shape(), &self.codecs.to_metadata());
        Layout { codecs: layout.codecs.without_item_size(self.data_type.item_size()), ..layout }
    }

    /// The same array with these names of dimensions, or with none.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there are not as many as dimensions, or one occurs twice (which some readers refuse).
    pub fn with_dimension_names(mut self, names: Option<Vec<Option<String>>>) -> Result<Self> {
        if let Some(names) = &names {
            check_names(names, self.shape().len())?;
        }
        self.dimension_names = names;
        Ok(self)
    }

    /// The same array with other attributes.
    #[must_use]
    pub fn with_attributes(mut self, attributes: Attributes) -> Self {
        self.attributes = attributes;
        self.v2 = self.v2.map(|origin| Origin { v3_attributes: None, ..origin });
        self
    }

    /// The version of the format that the array was read from: 2 or 3. What is written is Zarr v3.
    pub fn zarr_format(&self) -> u8 {
        if self.v2.is_some() { 2 } else { 3 }
    }

    pub(super) fn with_origin(mut self, origin: Origin) -> Self {
        self.v2 = Some(origin);
        self
    }

    /// The attributes as Zarr v3 has them: without those that are members of its document.
    pub(crate) fn v3_attributes(&self) -> &Attributes {
        self.v2.as_ref().and_then(|origin| origin.v3_attributes.as_ref()).unwrap_or(&self.attributes)
    }

    /// Why chunks as they are stored cannot be those of an array of Zarr v3; none where they can.
    pub(crate) fn v3_obstacle(&self) -> Option<&str> {
        self.v2.as_ref()?.obstacle.as_deref()
    }

    /// The same array as one of Zarr v3, whose chunks are stored in the same way, unless there is a [`ArrayMetadata::v3_obstacle`]; then they are
    /// as Zarr v3 can say it.
    pub(crate) fn into_v3(mut self) -> Result<Self> {
        if !self.codecs.is_in_metadata() {
            self.codecs = CodecPipeline::from_metadata(&self.codecs.to_metadata(), self.chunk_shape(), &self.data_type, &self.fill)?;
        }
        self.attributes = self.v3_attributes().clone();
        self.v2 = None;
        Ok(self)
    }

    /// The same stored chunks, read as elements of another type of numbers, by value: for reading alone.
    ///
    /// # Errors
    /// Those of [`CodecPipeline::read_as`].
    pub(crate) fn read_as(mut self, data_type: &DataType) -> Result<Self> {
        if *data_type != self.data_type {
            (self.codecs, self.fill) = self.codecs.read_as(&self.data_type, data_type)?;
            self.data_type = data_type.clone();
            self.raw_bytes = false;
        }
        Ok(self)
    }

    /// The same array with other chunk keys.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the separator is neither `/` nor `.`.
    pub fn with_key_encoding(mut self, key_encoding: ChunkKeyEncoding) -> Result<Self> {
        let (ChunkKeyEncoding::Default { separator } | ChunkKeyEncoding::V2 { separator }) = key_encoding;
        if !['/', '.'].contains(&separator) {
            return Err(Error::invalid(format!("chunk key separator {separator:?}; accepted are '/' and '.'")));
        }
        self.key_encoding = key_encoding;
        Ok(self)
    }

    /// The same array with its chunks (its shards, where it is sharded) cut by another grid of the same extent.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the grid is that of another shape, or a shard could not be cut into the array's inner chunks.
    pub fn with_chunk_grid(mut self, grid: ChunkGrid) -> Result<Self> {
        if grid.array_shape() != self.shape() {
            return Err(Error::invalid(format!("a grid for the shape {:?}; the array has {:?}", grid.array_shape(), self.shape())));
        }
        check_chunk_bytes(grid.chunk_shape(), self.data_type.item_size())
            .map_err(|fault| Error::invalid(format!("chunk shape {fault}")))?;
        if let (Some(sharding), false) = (self.codecs.sharding(), grid.is_regular()) {
            check_divides(&grid, sharding.unit_shape())?;
        }
        let rebuilt = CodecPipeline::from_metadata(&self.codecs.to_metadata(), grid.chunk_shape(), &self.data_type, &self.fill);
        self.codecs = rebuilt.map_err(|error| as_argument("codecs that do not fit", error))?;
        self.grid = grid;
        Ok(self)
    }

    /// What a chunk of a rectilinear grid is for itself: an array of one chunk, with nothing else that the document says.
    pub(crate) fn of_chunk(&self, chunk: &[u64]) -> Result<Self> {
        let shape = self.grid.stored_shape(chunk);
        let codecs = CodecPipeline::from_metadata(&self.codecs.to_metadata(), &shape, &self.data_type, &self.fill)
            .map_err(|error| error.within("/codecs"))?;
        let grid = ChunkGrid::regular(self.grid.region(chunk).shape(), shape)?;
        let (attributes, extra) = (Attributes::default(), Members::default());
        let (data_type, fill) = (self.data_type.clone(), self.fill.clone());
        let (raw_bytes, key_encoding) = (self.raw_bytes, self.key_encoding);
        Ok(Self { data_type, raw_bytes, grid, key_encoding, fill, codecs, attributes, dimension_names: None, extra, v2: None })
    }

    /// The same array with another extent, of the same rank.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the rank differs.
    pub fn with_shape(mut self, shape: impl Into<Vec<u64>>) -> Result<Self> {
        self.grid = self.grid.with_array_shape(shape)?;
        Ok(self)
    }

    /// Builds the codecs of a document.
    pub(super) fn from_document(document: ArrayDocument) -> Result<Self> {
        Self::from_document_in_order(document, None)
    }

    /// The same, where elements are stored in a byte order that codecs cannot say.
    pub(super) fn from_document_in_order(document: ArrayDocument, order: Option<&ByteOrder>) -> Result<Self> {
        let ArrayDocument { grid, data_type, raw_bytes, key_encoding, fill, codecs, attributes, dimension_names, extra } = document;
        let codecs = match order {
            None => CodecPipeline::from_metadata(&codecs, grid.chunk_shape(), &data_type, &fill),
            Some(order) => CodecPipeline::from_v2(&codecs, grid.chunk_shape(), &data_type, &fill, order),
        }
        .map_err(|error| error.within("/codecs"))?;
        if let (Some(sharding), false) = (codecs.sharding(), grid.is_regular()) {
            check_divides(&grid, sharding.unit_shape()).map_err(|error| match error {
                Error::InvalidArgument { what } => Error::metadata("/chunk_grid", what),
                other => other,
            })?;
        }
        Ok(Self { data_type, raw_bytes, grid, key_encoding, fill, codecs, attributes, dimension_names, extra, v2: None })
    }

    fn to_document(&self) -> ArrayDocument {
        ArrayDocument {
            grid: self.grid.clone(),
            data_type: self.data_type.clone(),
            raw_bytes: self.raw_bytes,
            key_encoding: self.key_encoding,
            fill: self.fill.clone(),
            codecs: self.codecs.to_metadata(),
            attributes: self.v3_attributes().clone(),
            dimension_names: self.dimension_names.clone(),
            extra: self.extra.clone(),
        }
    }

    /// Bytes of text that the document keeps.
    pub(crate) fn text_bytes(&self) -> usize {
        self.attributes.as_json().len() + self.extra.text_bytes()
    }

    /// The document as it is stored.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        self.to_document().to_object().to_document()
    }

    /// Refuses a document with a member that could not be read again.
    pub(super) fn check_members(&self) -> Result<()> {
        self.to_document().to_object().check_members()
    }

    /// Writes the text of the document.
    pub(super) fn write_to(&self, writer: &mut impl std::io::Write) -> std::io::Result<()> {
        self.to_document().to_object().write_to(writer)
    }

    /// The text of the document.
    pub(super) fn to_text(&self) -> Result<String> {
        self.to_document().to_object().to_text()
    }

    /// Shape of the array.
    pub fn shape(&self) -> &[u64] {
        self.grid.array_shape()
    }

    /// Shape of a chunk (of a shard, where the array is sharded).
    pub fn chunk_shape(&self) -> &[u64] {
        self.grid.chunk_shape()
    }

    /// Data type of the elements.
    pub fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// Value of elements that were never written.
    pub fn fill_value(&self) -> &FillValue {
        &self.fill
    }

    /// How the keys of chunks are made.
    pub fn key_encoding(&self) -> ChunkKeyEncoding {
        self.key_encoding
    }

    /// Names of the dimensions, if the document has any.
    pub fn dimension_names(&self) -> Option<&[Option<String>]> {
        self.dimension_names.as_deref()
    }

    /// Attributes.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }
}

/// The document of a new array, before its codecs are built.
pub(super) fn new_document(shape: Vec<u64>, data_type: DataType, fill: Option<FillValue>, layout: &Layout) -> Result<ArrayDocument> {
    data_type.check().map_err(|error| as_argument("a data type that no document may have", error))?;
    let (chunk_shape, codecs) = layout.to_codecs(shape.len(), &data_type)?;
    check_chunk_bytes(&chunk_shape, data_type.item_size()).map_err(|fault| Error::invalid(format!("chunk shape {fault}")))?;
    let grid = ChunkGrid::regular(shape, chunk_shape)?;
    let fill = match fill {
        Some(fill) => FillValue::from_bytes(&data_type, fill.as_bytes())?,
        None => FillValue::zero(&data_type),
    };
    Ok(ArrayDocument {
        grid,
        data_type,
        raw_bytes: false,
        key_encoding: ChunkKeyEncoding::default(),
        fill,
        codecs,
        attributes: Attributes::default(),
        dimension_names: None,
        extra: Members::default(),
    })
}

/// Every shard of a rectilinear grid is cut into whole inner chunks.
fn check_divides(grid: &ChunkGrid, inner: &[u64]) -> Result<()> {
    for (axis, (edges, &inner)) in grid.edges().iter().zip(inner).enumerate() {
        let odd = match edges {
            Edges::Repeat(edge) => Some(*edge).filter(|edge| !edge.is_multiple_of(inner)),
            Edges::List(list) => list.runs().map(|(edge, _)| edge).find(|edge| !edge.is_multiple_of(inner)),
        };
        if let Some(edge) = odd {
            return Err(Error::invalid(format!("axis {axis}: a chunk of {inner} does not divide a shard of {edge}")));
        }
    }
    Ok(())
}

/// Names to be written are as many as dimensions, and unique.
pub(super) fn check_names(names: &[Option<String>], rank: usize) -> Result<()> {
    if names.len() != rank {
        return Err(Error::invalid(format!("{} dimension names for {rank} dimensions", names.len())));
    }
    for (axis, name) in names.iter().enumerate() {
        if let Some(name) = name
            && let Some(earlier) = names[..axis].iter().position(|other| other.as_ref() == Some(name))
        {
            return Err(Error::invalid(format!("dimensions {earlier} and {axis} are both named {name:?}; names must be unique")));
        }
    }
    Ok(())
}
