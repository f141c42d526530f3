//! The Rust types that stand for elements, and their passage to and from bytes without `unsafe`.

use bytemuck::{NoUninit, Pod, Zeroable};
use half::{bf16, f16};

use crate::buffer::zeroed;
use crate::dtype::DataType;
use crate::error::{Error, Result};

/// A Rust type for the elements of an array.
///
/// Implemented for the integers of 8 to 64 bits, [`half::f16`], [`half::bf16`], `f32`, `f64`, `bool`, and pairs of floating-point numbers for
/// complex ones (real part first). Sealed: other types go through the calls on bytes.
pub trait Element: sealed::Sealed + NoUninit + Zeroable + Send + Sync {
    /// The data type that this Rust type stands for.
    const DATA_TYPE: DataType;
}

pub(super) mod sealed {
    use crate::error::Result;

    pub trait Sealed: Sized {
        /// Lets `read` fill the bytes of `out`, and checks that they are values of this type.
        fn receive(out: &mut [Self], read: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()>;
    }
}

/// Any bytes are a value: they are read straight into place.
fn receive_pod<T: Pod>(out: &mut [T], read: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
    read(bytemuck::cast_slice_mut(out))
}

macro_rules! plain_elements {
    ($($rust:ty => $data_type:ident),* $(,)?) => {$(
        impl sealed::Sealed for $rust {
            fn receive(out: &mut [Self], read: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
                receive_pod(out, read)
            }
        }

        impl Element for $rust {
            const DATA_TYPE: DataType = DataType::$data_type;
        }
    )*};
}

plain_elements! {
    u8 => UInt8,
    u16 => UInt16,
    u32 => UInt32,
    u64 => UInt64,
    i8 => Int8,
    i16 => Int16,
    i32 => Int32,
    i64 => Int64,
    f16 => Float16,
    bf16 => BFloat16,
    f32 => Float32,
    f64 => Float64,
    [f16; 2] => ComplexFloat16,
    [bf16; 2] => ComplexBFloat16,
    [f32; 2] => Complex64,
    [f64; 2] => Complex128,
}

impl sealed::Sealed for bool {
    /// Goes through a buffer of its own, since only 0 and 1 may become a `bool`.
    fn receive(out: &mut [Self], read: &mut dyn FnMut(&mut [u8]) -> Result<()>) -> Result<()> {
        let mut bytes = zeroed::<u8>(out.len())?;
        read(&mut bytes)?;
        for (value, byte) in out.iter_mut().zip(&bytes) {
            *value = match byte {
                0 => false,
                1 => true,
                _ => return Err(Error::corrupt(format!("a bool is stored as {byte}; 0 and 1 are accepted"))),
            };
        }
        Ok(())
    }
}

impl Element for bool {
    const DATA_TYPE: DataType = DataType::Bool;
}

#[cfg(test)]
mod tests {
    use super::sealed::Sealed;
    use super::*;

    #[test]
    fn only_0_and_1_are_bools() {
        let mut out = [false; 3];
        bool::receive(&mut out, &mut |bytes| {
            bytes.copy_from_slice(&[1, 0, 1]);
            Ok(())
        })
        .unwrap();
        assert_eq!(out, [true, false, true]);
        let wrong = bool::receive(&mut out, &mut |bytes| {
            bytes.copy_from_slice(&[1, 2, 1]);
            Ok(())
        });
        assert!(matches!(wrong, Err(Error::Corrupt { .. })), "{wrong:?}");
    }

    #[test]
    fn complex_numbers_are_read_in_place() {
        let mut out = [[0_f32; 2]; 2];
        <[f32; 2]>::receive(&mut out, &mut |bytes| {
            bytes.copy_from_slice(bytemuck::cast_slice(&[1_f32, -2.0, 3.0, -0.0]));
            Ok(())
        })
        .unwrap();
        assert_eq!(out, [[1.0, -2.0], [3.0, -0.0]]);
        assert!(out[1][1].is_sign_negative());
    }

    #[test]
    fn each_rust_type_has_the_size_of_its_data_type() {
        fn check<T: Element>() {
            assert_eq!(size_of::<T>(), T::DATA_TYPE.item_size(), "{:?}", T::DATA_TYPE);
        }
        check::<u8>();
        check::<u16>();
        check::<u32>();
        check::<u64>();
        check::<i8>();
        check::<i16>();
        check::<i32>();
        check::<i64>();
        check::<f16>();
        check::<bf16>();
        check::<[f16; 2]>();
        check::<[bf16; 2]>();
        check::<f32>();
        check::<f64>();
        check::<bool>();
        check::<[f32; 2]>();
        check::<[f64; 2]>();
    }
}
