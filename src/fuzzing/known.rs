//! Arrays by their documents, so that inputs that choose the same one need not read it anew.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::metadata::{ArrayMetadata, NodeMetadata};

/// The most documents that are kept.
const MOST: usize = 4096;

thread_local! {
    static KNOWN: RefCell<HashMap<String, Option<Rc<ArrayMetadata>>>> = RefCell::default();
}

/// The array that a document describes; none where it is refused.
pub(super) fn array(document: String) -> Option<Rc<ArrayMetadata>> {
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= MOST {
            known.clear();
        }
        let read = |document: &String| match NodeMetadata::from_bytes(document.as_bytes()) {
            Ok(NodeMetadata::Array(array)) => Some(Rc::from(array)),
            Ok(NodeMetadata::Group(_)) => panic!("the document of an array is that of a group"),
            Err(_) => None,
        };
        known.entry(document).or_insert_with_key(read).clone()
    })
}
