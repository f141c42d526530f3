//! Elements of variable length: a table of where each is, and the bytes of all.
//!
//! The table is an ordinary array of 16-byte entries, so that boxes of it are cut and put together by the same strided copy as any other
//! elements; the bytes stay where they are meanwhile.
//!
//! Invariants
//! 1. Each entry is an offset and a length that lie inside the heap.
//! 2. Several entries may share bytes of the heap, and bytes that no entry names are waste, not an error.

use crate::buffer::{append, filled, make_room, reserve};
use crate::error::Result;
use crate::region::{self, BoxLayout, c_strides, element_count, to_usize};

/// Size in bytes of one entry of the table: the `item_size` of data types of variable length.
pub(crate) const ENTRY_BYTES: usize = size_of::<Entry>();

/// Where an element is in the heap: offset and length in bytes.
pub(crate) type Entry = [u64; 2];

/// So many elements of variable length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ragged {
    entries: Vec<Entry>,
    heap: Vec<u8>,
}

/// Tables are equal when their elements are, wherever these lie.
impl PartialEq for Ragged {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Ragged {}

impl Ragged {
    /// `count` elements, all of them `value`, which is kept once.
    pub(crate) fn filled(count: usize, value: &[u8]) -> Result<Self> {
        let mut heap = Vec::new();
        append(&mut heap, value)?;
        Ok(Self { entries: filled(count, [0, value.len() as u64])?, heap })
    }

    /// No elements, with room for `count` of them with `heap_bytes` bytes in all, and for no more than that.
    pub(crate) fn with_room(count: usize, heap_bytes: usize) -> Result<Self> {
        let mut ragged = Self::default();
        make_room(&mut ragged.entries, count)?;
        make_room(&mut ragged.heap, heap_bytes)?;
        Ok(ragged)
    }

    /// Appends an element.
    pub(crate) fn push(&mut self, value: &[u8]) -> Result<()> {
        reserve(&mut self.entries, 1)?;
        let entry = append_to(&mut self.heap, value)?;
        self.entries.push(entry);
        Ok(())
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Size of the heap in bytes, waste included.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.heap.len()
    }

    /// The element at `position`.
    ///
    /// # Panics
    /// If there are not so many.
    #[cfg(test)]
    pub(crate) fn get(&self, position: usize) -> &[u8] {
        bytes_of(&self.heap, self.entries[position])
    }

    /// All elements in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.entries.iter().map(|&entry| bytes_of(&self.heap, entry))
    }

    /// Copies the box of `shape` elements from one table to another; layouts are those of the tables, in bytes of entries. The bytes of the
    /// elements in the box, and of no others, are appended to the heap of the target; those of equal neighbours that share theirs once.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where memory is wanting.
    ///
    /// # Panics
    /// If the box reaches outside one of the tables.
    pub(crate) fn copy_box(shape: &[u64], (source, from): (&Self, BoxLayout<'_>), (target, to): (&mut Self, BoxLayout<'_>)) -> Result<()> {
        let count = to_usize(element_count(shape).unwrap_or(u64::MAX));
        let mut moved: Vec<Entry> = filled(count, [0; 2])?;
        let strides = c_strides(shape, ENTRY_BYTES);
        let between = BoxLayout { offset: 0, strides: &strides };
        region::copy_box(shape, ENTRY_BYTES, bytemuck::cast_slice(&source.entries), from, bytemuck::cast_slice_mut(&mut moved), between);
        let mut last = None;
        for entry in &mut moved {
            *entry = match last {
                Some((before, after)) if before == *entry => after,
                _ => {
                    let after = append_to(&mut target.heap, bytes_of(&source.heap, *entry))?;
                    last = Some((*entry, after));
                    after
                }
            };
        }
        region::copy_box(shape, ENTRY_BYTES, bytemuck::cast_slice(&moved), between, bytemuck::cast_slice_mut(&mut target.entries), to);
        Ok(())
    }
}

fn append_to(heap: &mut Vec<u8>, value: &[u8]) -> Result<Entry> {
    let entry = [heap.len() as u64, value.len() as u64];
    append(heap, value)?;
    Ok(entry)
}

/// The bytes that an entry names. By invariant 1 they are there.
fn bytes_of(heap: &[u8], [offset, len]: Entry) -> &[u8] {
    let (offset, len) = (to_usize(offset), to_usize(len));
    &heap[offset..offset + len]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table(elements: &[&str]) -> Ragged {
        let mut ragged = Ragged::with_room(elements.len(), 0).unwrap();
        elements.iter().for_each(|element| ragged.push(element.as_bytes()).unwrap());
        ragged
    }

    #[test]
    fn elements_come_back_and_repeated_ones_are_kept_once() {
        let ragged = table(&["a", "", "long element", "a"]);
        assert_eq!((ragged.len(), ragged.heap_bytes()), (4, 14));
        assert_eq!(ragged.iter().collect::<Vec<_>>(), [&b"a"[..], b"", b"long element", b"a"]);
        let same = Ragged::filled(1000, b"fill").unwrap();
        assert_eq!((same.len(), same.heap_bytes(), same.get(999)), (1000, 4, &b"fill"[..]));
        assert_eq!(Ragged::filled(2, b"x").unwrap(), table(&["x", "x"]));
        assert_ne!(table(&["x", ""]), table(&["", "x"]));
    }

    #[test]
    fn a_box_takes_only_its_own_bytes() {
        // A table of 2 x 3, of which the last two columns go, transposed, to the right of a table of 2 x 3.
        let source = table(&["left", "b", "cc", "LEFT", "e", "ff"]);
        let mut target = Ragged::filled(6, b"fill").unwrap();
        let strides = c_strides(&[2, 3], ENTRY_BYTES);
        let turned = [strides[1], strides[0]];
        let to = BoxLayout { offset: ENTRY_BYTES, strides: &turned };
        Ragged::copy_box(&[2, 2], (&source, BoxLayout::at(&[0, 1], &strides)), (&mut target, to)).unwrap();
        assert_eq!(target, table(&["fill", "b", "e", "fill", "cc", "ff"]));
        assert_eq!(target.heap_bytes(), 4 + 6);

        let mut again = Ragged::filled(6, b"").unwrap();
        let same = Ragged::filled(6, b"same").unwrap();
        let layout = BoxLayout { offset: 0, strides: &strides };
        Ragged::copy_box(&[2, 3], (&same, layout), (&mut again, layout)).unwrap();
        assert_eq!((again.heap_bytes(), again), (4, same));
    }

    proptest! {
        #[test]
        fn boxes_are_copied_like_those_of_any_elements(
            (rows, columns, top, left) in (1_usize..6, 1_usize..6).prop_flat_map(|(r, c)| (Just(r), Just(c), 0..r, 0..c)),
            elements in prop::collection::vec("[a-c]{0,3}", 36),
        ) {
            let source = table(&elements[..rows * columns].iter().map(String::as_str).collect::<Vec<_>>());
            let mut target = Ragged::filled(rows * columns, b"-").unwrap();
            let strides = c_strides(&[rows as u64, columns as u64], ENTRY_BYTES);
            let shape = [(rows - top) as u64, (columns - left) as u64];
            let from = BoxLayout::at(&[top as u64, left as u64], &strides);
            Ragged::copy_box(&shape, (&source, from), (&mut target, BoxLayout { offset: 0, strides: &strides })).unwrap();
            for row in 0..rows {
                for column in 0..columns {
                    let inside = row + top < rows && column + left < columns;
                    let expected = if inside { source.get((row + top) * columns + column + left) } else { b"-" };
                    prop_assert_eq!(target.get(row * columns + column), expected);
                }
            }
        }
    }
}
