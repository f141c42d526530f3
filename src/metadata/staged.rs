//! Writing a document into a tree that nobody reads yet, without holding its text in memory beside what it is made of.

use std::io::{self, BufWriter, Write};

use super::NodeMetadata;
use crate::error::{Error, Result};
use crate::json::MAX_DOCUMENT_BYTES;
use crate::store::{Key, Store};

/// What is put together before it is written; attributes and the like are written as they are.
const BUFFER_BYTES: usize = 64 << 10;

impl NodeMetadata {
    /// Writes the document to `key`, piece by piece and so not atomically; returns its size in bytes.
    ///
    /// # Errors
    /// Those of the store, and of [`NodeMetadata::check_size`].
    pub(crate) fn stage(&self, store: &dyn Store, key: &Key) -> Result<u64> {
        self.check_size()?;
        let mut sink = Sink { store: Some((store, key)), bytes: 0, failure: None };
        self.write_to(&mut sink)
    }

    /// Shows `visit` the text of the document, piece by piece.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what cannot be printed.
    pub(crate) fn show_text(&self, visit: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, Shown(visit));
        let written = match self {
            Self::Array(array) => array.write_to(&mut writer),
            Self::Group(group) => group.write_to(&mut writer),
        };
        let written = written.and_then(|()| writer.flush());
        written.map_err(|fault| Error::invalid(format!("metadata that cannot be printed: {fault}")))
    }

    /// Refuses a document that would be too large to be read again (FMT-19). What it is made of has been read or checked before.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub(crate) fn check_size(&self) -> Result<()> {
        if let Self::Array(array) = self {
            array.check_members()?;
        }
        let bytes = self.write_to(&mut Sink { store: None, bytes: 0, failure: None })?;
        if bytes > MAX_DOCUMENT_BYTES {
            return Err(Error::invalid(format!("metadata cannot be stored: {bytes} bytes; at most {MAX_DOCUMENT_BYTES} are read again")));
        }
        Ok(())
    }

    fn write_to(&self, sink: &mut Sink<'_>) -> Result<u64> {
        let mut writer = BufWriter::with_capacity(BUFFER_BYTES, &mut *sink);
        let written = match self {
            Self::Array(array) => array.write_to(&mut writer),
            Self::Group(group) => group.write_to(&mut writer),
        };
        let written = written.and_then(|()| writer.flush());
        drop(writer);
        match (written, sink.failure.take()) {
            (_, Some(error)) => Err(error),
            (Err(fault), None) => Err(Error::invalid(format!("metadata that cannot be printed: {fault}"))),
            (Ok(()), None) => Ok(sink.bytes),
        }
    }
}

/// Shows what is written.
struct Shown<'a>(&'a mut dyn FnMut(&[u8]));

impl Write for Shown<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is written, and passes it on to a store, if there is one.
struct Sink<'a> {
    store: Option<(&'a dyn Store, &'a Key)>,
    bytes: u64,
    /// The error of the store.
    failure: Option<Error>,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some((store, key)) = self.store
            && let Err(error) = store.write_at(key, self.bytes, bytes)
        {
            self.failure = Some(error);
            return Err(io::Error::other("the store failed"));
        }
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Attributes, GroupMetadata};
    use crate::store::{MemoryStore, read_to_vec};

    fn group(text_bytes: usize) -> NodeMetadata {
        let attributes = [("a".to_owned(), serde_json::Value::from("x".repeat(text_bytes)))].into_iter().collect();
        NodeMetadata::Group(Box::new(GroupMetadata::new(Attributes::from_map(attributes).unwrap())))
    }

    /// FMT-19.
    #[test]
    fn staged_documents_are_those_that_are_set() {
        let (store, key) = (MemoryStore::new(), Key::new("zarr.json").unwrap());
        for text_bytes in [0, 1000, 3 * BUFFER_BYTES] {
            let node = group(text_bytes);
            store.erase(&key).unwrap();
            let bytes = node.stage(&store, &key).unwrap();
            assert_eq!(read_to_vec(&store, &key, u64::MAX).unwrap().unwrap(), node.to_bytes().unwrap());
            assert_eq!(bytes, node.to_bytes().unwrap().len() as u64);
        }
        store.erase(&key).unwrap();
        assert!(matches!(group(16 << 20).stage(&store, &key), Err(Error::InvalidArgument { .. })));
        assert_eq!(store.kind(&key).unwrap(), None);
    }
}
