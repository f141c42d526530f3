//! Stored chunks as memory, without a copy. It says `unsafe` because it passes the condition of a map on to its caller.
#![allow(unsafe_code)]

use crate::array::Array;
use crate::array::units::check_stored_len;
use crate::error::{Error, Result};
use crate::region::c_strides;
use crate::store::{ByteRange, FilesystemStore, MappedValue};

impl Array {
    /// The elements of a chunk as a map of its file: all of them, also those beyond the edge of the array, in C order and the machine's byte
    /// order. None if the chunk is missing, which means that all are the fill value.
    ///
    /// This is for chunks whose stored bytes are their elements: neither compressed nor checked nor transposed, in no shard, in a
    /// [`FilesystemStore`]. [`Array::read_chunk`] reads any.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where stored bytes are not elements, or the store has no files; [`Error::Corrupt`] when the file has another size than
    /// the chunk; [`Error::Stale`] when the array is no longer the one that was opened; as [`Array::chunk_key`]; those of the store.
    ///
    /// # Safety
    /// For as long as the returned value lives, nobody, in this process or in any other, may write to the chunk's file in place or shorten it:
    /// the bytes would change under a shared reference, and touching what is no longer in the file kills the process with SIGBUS, as does an
    /// error of the device. Writes through [`Array`] are allowed, since they replace the file and leave the map as it is, and so is the
    /// removal of the array.
    pub unsafe fn map_chunk(&self, chunk: &[u64]) -> Result<Option<MappedValue>> {
        let key = self.tree_key(chunk)?;
        if !self.grid().is_regular() {
            // SAFETY: the promise is the caller's; a view names the same file.
            return unsafe { self.chunk_view(chunk)?.map_chunk(&vec![0; chunk.len()]) };
        }
        let pipeline = &self.metadata().codecs;
        let unsupported = |what: &str| Error::unsupported(what).at(&self.path());
        let in_order = c_strides(pipeline.chunk_shape(), self.data_type().item_size());
        if !pipeline.is_identity() || pipeline.strides() != in_order {
            return Err(unsupported("a map of chunks whose stored bytes are not their elements in C order"));
        }
        let Some(store) = self.store().as_any().downcast_ref::<FilesystemStore>() else {
            return Err(unsupported("a map of chunks in a store without files"));
        };
        // SAFETY: the caller has promised that nobody writes to the file or shortens it while the map lives.
        let map = unsafe { store.map(&key, ByteRange::All) }?;
        self.check_current()?;
        if let Some(map) = &map {
            check_stored_len(pipeline, map.len() as u64).map_err(|error| error.at(&self.store().locate(&key)))?;
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::metadata::{ArrayMetadata, NodeMetadata};
    use crate::region::Region;
    use crate::store::{Key, MemoryStore};

    fn metadata(codecs: &str) -> ArrayMetadata {
        let document = format!(
            r#"{{"zarr_format": 3, "node_type": "array", "shape": [3, 5], "data_type": "uint32", "fill_value": 7, "codecs": [{codecs}],
                "chunk_grid": {{"name": "regular", "configuration": {{"chunk_shape": [2, 4]}}}}, "chunk_key_encoding": {{"name": "default"}}}}"#
        );
        let NodeMetadata::Array(metadata) = NodeMetadata::from_bytes(document.as_bytes()).unwrap() else { panic!("an array") };
        *metadata
    }

    fn map(array: &Array, chunk: &[u64]) -> Result<Option<MappedValue>> {
        // SAFETY: nobody else knows the files of a test, which only replaces them, but for one that is cut while no map of it lives.
        unsafe { array.map_chunk(chunk) }
    }

    #[cfg(target_endian = "little")]
    const NATIVE: &str = r#"{"name": "bytes", "configuration": {"endian": "little"}}"#;
    #[cfg(target_endian = "big")]
    const NATIVE: &str = r#"{"name": "bytes", "configuration": {"endian": "big"}}"#;

    #[test]
    fn a_map_holds_the_elements_also_after_a_write() {
        let dir = tempfile::tempdir().unwrap();
        let array = Array::create(dir.path().join("a"), metadata(NATIVE)).unwrap();
        array.write(&Region::new([0, 0], [3, 4]).unwrap(), &(1..=12).collect::<Vec<u32>>()).unwrap();
        let chunk = map(&array, &[1, 0]).unwrap().unwrap();
        let elements = [9, 10, 11, 12, 7, 7, 7, 7_u32];
        assert_eq!(*chunk, *bytemuck::cast_slice::<u32, u8>(&elements), "with fill beyond the edge");
        array.write(&Region::new([2, 0], [1, 4]).unwrap(), &[0_u32; 4]).unwrap();
        array.store().erase_prefix(&Key::root()).unwrap();
        assert_eq!(*chunk, *bytemuck::cast_slice::<u32, u8>(&elements));
    }

    #[test]
    fn missing_chunks_are_none_only_in_an_array_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let array = Array::create(dir.path().join("a"), metadata(NATIVE)).unwrap();
        assert!(map(&array, &[0, 0]).unwrap().is_none());
        assert!(matches!(map(&array, &[2, 0]), Err(Error::InvalidArgument { .. })));
        std::fs::remove_file(dir.path().join("a/zarr.json")).unwrap();
        assert!(matches!(map(&array, &[0, 0]), Err(Error::Stale { .. })));
    }

    #[test]
    fn what_cannot_be_mapped_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let array = Array::create(&path, metadata(NATIVE)).unwrap();
        for len in [0, 31, 33] {
            array.store().set(&array.chunk_key(&[0, 0]).unwrap(), &vec![1; len]).unwrap();
            let error = map(&array, &[0, 0]).unwrap_err();
            assert!(matches!(&error, Error::Corrupt { key, .. } if key.contains("c/0/0")), "{error}");
        }
        let transposed = format!(r#"{{"name": "transpose", "configuration": {{"order": [1, 0]}}}}, {NATIVE}"#);
        for (i, codecs) in [transposed, format!(r#"{NATIVE}, {{"name": "crc32c"}}"#)].iter().enumerate() {
            let array = Array::create(dir.path().join(format!("{i}")), metadata(codecs)).unwrap();
            assert!(matches!(map(&array, &[0, 0]), Err(Error::Unsupported { .. })), "{codecs}");
        }
        let array = Array::create_in(Arc::new(MemoryStore::new()), Key::root(), metadata(NATIVE)).unwrap();
        assert!(matches!(map(&array, &[0, 0]), Err(Error::Unsupported { .. })));
    }
}
