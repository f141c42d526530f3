//! How large, deep and wide a data type may be, whoever made it.

use std::collections::HashSet;

use super::DataType;
use crate::error::{Error, Result};

/// The widest raw type, in bits (one element of 128 KiB).
pub(super) const MAX_RAW_BITS: usize = 1 << 20;

/// The largest element of any other type, in bytes.
pub(super) const MAX_ITEM_BYTES: usize = 1 << 20;

/// How deep structs may nest.
pub(super) const MAX_STRUCT_DEPTH: usize = 16;

/// The most fields that a struct has, those of its structs included.
pub(super) const MAX_FIELDS: usize = 4096;

/// The most bytes that the names of these fields have together. A field of Zarr v2 that is an array repeats the names within it.
pub(super) const MAX_NAME_BYTES: usize = 1 << 20;

/// The largest unit count of a step of time.
const MAX_SCALE: u32 = i32::MAX.cast_unsigned();

/// What has been seen of a type so far.
struct Walk {
    fields: usize,
    name_bytes: usize,
    pointer: String,
}

impl DataType {
    /// Refuses a type that no document may have: sizes, depth, the number of fields, names that are empty or occur twice, fields of variable
    /// length. Pointers of errors are relative to the type's document.
    pub(crate) fn check(&self) -> Result<()> {
        let mut walk = Walk { fields: 0, name_bytes: 0, pointer: String::new() };
        self.walk(0, &mut walk).map_err(|what| Error::metadata(walk.pointer.as_str(), what))
    }

    fn walk(&self, depth: usize, walk: &mut Walk) -> Result<(), String> {
        let most = match self {
            Self::Raw { .. } => MAX_RAW_BITS / 8,
            _ => MAX_ITEM_BYTES,
        };
        match self {
            Self::Raw { size_bytes } | Self::NullTerminated { size_bytes } if !(1..=most).contains(size_bytes) => {
                Err(format!("an element of {size_bytes} bytes; it has from 1 to {most}"))
            }
            Self::Utf32 { size_bytes } if !(4..=most).contains(size_bytes) || !size_bytes.is_multiple_of(4) => {
                Err(format!("an element of {size_bytes} bytes; it has a multiple of 4 from 4 to {most}"))
            }
            Self::DateTime64 { scale, .. } | Self::TimeDelta64 { scale, .. } if !(1..=MAX_SCALE).contains(scale) => {
                Err(format!("scale factor {scale}; it is from 1 to {MAX_SCALE}"))
            }
            Self::Struct(fields) => {
                if depth >= MAX_STRUCT_DEPTH {
                    return Err(format!("structs nested deeper than {MAX_STRUCT_DEPTH}"));
                }
                if fields.is_empty() {
                    return Err("a struct without fields; it has at least one".to_owned());
                }
                walk.fields = walk.fields.saturating_add(fields.len());
                if walk.fields > MAX_FIELDS {
                    return Err(format!("more than {MAX_FIELDS} fields"));
                }
                self.walk_fields(depth, walk)?;
                if self.item_size() > MAX_ITEM_BYTES {
                    return Err(format!("an element of {} bytes; it has at most {MAX_ITEM_BYTES}", self.item_size()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn walk_fields(&self, depth: usize, walk: &mut Walk) -> Result<(), String> {
        let Self::Struct(fields) = self else { return Ok(()) };
        let (mut names, outer) = (HashSet::new(), walk.pointer.len());
        for (position, field) in fields.iter().enumerate() {
            walk.pointer.push_str(&format!("/configuration/fields/{position}"));
            let cut: String = field.name.chars().take(40).collect();
            walk.name_bytes = walk.name_bytes.saturating_add(field.name.len());
            if walk.name_bytes > MAX_NAME_BYTES {
                return Err(format!("names of fields of more than {MAX_NAME_BYTES} bytes together"));
            }
            if field.name.is_empty() {
                return Err("a field without name".to_owned());
            }
            if !names.insert(field.name.as_str()) {
                return Err(format!("the name {cut:?} occurs twice; names of fields are unique"));
            }
            if field.data_type.is_variable_length() {
                return Err(format!("field {cut:?} is of type {}; a field has a fixed size", field.data_type));
            }
            walk.pointer.push_str("/data_type");
            field.data_type.walk(depth + 1, walk)?;
            walk.pointer.truncate(outer);
        }
        Ok(())
    }
}
