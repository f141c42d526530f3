//! Buffers whose growth is an error where there is no memory, and never an abort: their sizes come from documents and from callers.

use crate::error::{Error, Result};

/// A zeroed buffer of `len` elements.
pub(crate) fn zeroed<T: bytemuck::Zeroable>(len: usize) -> Result<Vec<T>> {
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| no_memory::<T>(len))
}

/// A buffer of `len` times `value`.
pub(crate) fn filled<T: Clone>(len: usize, value: T) -> Result<Vec<T>> {
    let mut buffer = Vec::new();
    make_room(&mut buffer, len)?;
    buffer.resize(len, value);
    Ok(buffer)
}

/// Makes room for `additional` more elements in `buffer`.
pub(crate) fn reserve<T>(buffer: &mut Vec<T>, additional: usize) -> Result<()> {
    buffer.try_reserve(additional).map_err(|_| no_memory::<T>(additional))
}

/// Appends to `buffer`.
pub(crate) fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    reserve(buffer, bytes.len())?;
    buffer.extend_from_slice(bytes);
    Ok(())
}

/// Empties `buffer` and makes room for `len` elements, and no more than that.
pub(crate) fn make_room<T>(buffer: &mut Vec<T>, len: usize) -> Result<()> {
    buffer.clear();
    buffer.try_reserve_exact(len).map_err(|_| no_memory::<T>(len))
}

/// Sets the length of `buffer`; what it holds is not cleared.
pub(crate) fn resize(buffer: &mut Vec<u8>, len: usize) -> Result<()> {
    buffer.try_reserve_exact(len.saturating_sub(buffer.len())).map_err(|_| no_memory::<u8>(len))?;
    buffer.resize(len, 0);
    Ok(())
}

fn no_memory<T>(len: usize) -> Error {
    Error::no_memory(format!("{} bytes at once", len.saturating_mul(size_of::<T>())))
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn what_no_machine_holds_is_one_kind_of_error() {
        let too_much = isize::MAX.unsigned_abs() / 8;
        let mut buffer = vec![1_u64; 3];
        let mut bytes = vec![1_u8; 3];
        for result in [
            // The compiler leaves out allocations that nobody looks at.
            zeroed::<u64>(too_much).map(|buffer| drop(black_box(buffer))),
            filled(too_much, 7_u64).map(|buffer| drop(black_box(buffer))),
            reserve(&mut buffer, too_much),
            make_room(&mut buffer, too_much),
            resize(&mut bytes, too_much * 8),
        ] {
            let Err(Error::Io { op: "allocate", source, .. }) = &result else { panic!("{result:?}") };
            assert_eq!(source.kind(), ErrorKind::OutOfMemory);
            assert!(source.to_string().contains(&(too_much * 8).to_string()), "{source}");
        }
    }

    #[test]
    fn buffers_hold_what_they_should() {
        assert_eq!(filled(3, 7_u16).unwrap(), [7; 3]);
        let mut buffer = zeroed::<u8>(2).unwrap();
        append(&mut buffer, &[1, 2]).unwrap();
        resize(&mut buffer, 3).unwrap();
        assert_eq!(buffer, [0, 0, 1]);
        make_room(&mut buffer, 100).unwrap();
        assert!(buffer.is_empty() && buffer.capacity() >= 100);
    }
}
