//! Numbers as NumPy computes with them: in their own type, with its casts.
//!
//! Integers wrap around. A half is widened to float32 for each operation and rounded again. Where C leaves a cast of a float to an integer
//! undefined (it does not fit, or is no number), the result is the one of NumPy on x86-64.
#![expect(clippy::cast_possible_truncation, reason = "casts that wrap around and round are what this module is for")]

use half::f16;

use crate::dtype::DataType;

/// The types of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::codec) enum NumberType {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

impl NumberType {
    /// The number that elements of a data type are; none where they are something else.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Bool => Self::Bool,
            DataType::Int8 => Self::I8,
            DataType::Int16 => Self::I16,
            DataType::Int32 => Self::I32,
            DataType::Int64 => Self::I64,
            DataType::UInt8 => Self::U8,
            DataType::UInt16 => Self::U16,
            DataType::UInt32 => Self::U32,
            DataType::UInt64 => Self::U64,
            DataType::Float16 => Self::F16,
            DataType::Float32 => Self::F32,
            DataType::Float64 => Self::F64,
            _ => return None,
        })
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::F32 | Self::F64)
    }

    fn is_signed(self) -> bool {
        matches!(self, Self::I8 | Self::I16 | Self::I32 | Self::I64)
    }

    /// Size in bytes.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Bool | Self::I8 | Self::U8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The type in which NumPy computes with numbers of two types.
    pub(super) fn promote(self, other: Self) -> Self {
        if self == other || other == Self::Bool {
            return self;
        }
        if self == Self::Bool {
            return other;
        }
        match (self.is_float(), other.is_float()) {
            (true, true) => Self::float(self.size().max(other.size())),
            (true, false) => Self::float(self.size().max(other.size() * 2)),
            (false, true) => other.promote(self),
            (false, false) if self.is_signed() == other.is_signed() => {
                if self.size() >= other.size() {
                    self
                } else {
                    other
                }
            }
            (false, false) => {
                let (signed, unsigned) = if self.is_signed() { (self, other) } else { (other, self) };
                match signed.size().max(unsigned.size() * 2) {
                    2 => Self::I16,
                    4 => Self::I32,
                    8 if signed.size() == 8 || unsigned.size() == 4 => Self::I64,
                    _ => Self::F64,
                }
            }
        }
    }

    fn float(size: usize) -> Self {
        match size {
            0..=2 => Self::F16,
            3..=4 => Self::F32,
            _ => Self::F64,
        }
    }
}

/// Evaluates an expression with a name for the Rust type of a [`NumberType`].
macro_rules! with_number {
    ($number:expr, $T:ident => $body:expr) => {
        match $number {
            $crate::codec::filter::number::NumberType::Bool => {
                type $T = $crate::codec::filter::number::Bool;
                $body
            }
            $crate::codec::filter::number::NumberType::I8 => {
                type $T = i8;
                $body
            }
            $crate::codec::filter::number::NumberType::I16 => {
                type $T = i16;
                $body
            }
            $crate::codec::filter::number::NumberType::I32 => {
                type $T = i32;
                $body
            }
            $crate::codec::filter::number::NumberType::I64 => {
                type $T = i64;
                $body
            }
            $crate::codec::filter::number::NumberType::U8 => {
                type $T = u8;
                $body
            }
            $crate::codec::filter::number::NumberType::U16 => {
                type $T = u16;
                $body
            }
            $crate::codec::filter::number::NumberType::U32 => {
                type $T = u32;
                $body
            }
            $crate::codec::filter::number::NumberType::U64 => {
                type $T = u64;
                $body
            }
            $crate::codec::filter::number::NumberType::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::codec::filter::number::NumberType::F32 => {
                type $T = f32;
                $body
            }
            $crate::codec::filter::number::NumberType::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}
pub(super) use with_number;

/// A number without loss, on its way from one type to another.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wide {
    Int(i64),
    UInt(u64),
    F32(f32),
    F64(f64),
}

/// One number.
///
/// All of its functions are inlined wherever they are used: loops over them become vector code.
pub(super) trait Number: Copy + PartialEq {
    /// The bytes of a number.
    type Bytes: bytemuck::Pod;
    const SIZE: usize = size_of::<Self::Bytes>();
    const ZERO: Self;
    const KIND: Kind;
    /// The number that these bytes are in the byte order of the machine.
    fn load(bytes: Self::Bytes) -> Self;
    fn store(self) -> Self::Bytes;
    /// The number in the first bytes of `bytes`; zero where there are fewer.
    #[inline(always)]
    fn read(bytes: &[u8]) -> Self {
        bytes.get(..Self::SIZE).and_then(|bytes| bytemuck::try_pod_read_unaligned(bytes).ok()).map_or(Self::ZERO, Self::load)
    }
    /// Writes the number to `bytes`, which are as many as it has.
    #[inline(always)]
    fn write(self, bytes: &mut [u8]) {
        bytes.copy_from_slice(bytemuck::bytes_of(&self.store()));
    }
    fn widen(self) -> Wide;
    /// NumPy's cast.
    fn narrow(wide: Wide) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    /// A quotient; of integers rounded down, and 0 where the divisor is 0.
    fn div(self, other: Self) -> Self;
    /// The nearest integer, ties to even.
    fn rint(self) -> Self;
    /// Whether this is a float so near to 0 that [`Number::trunc_near`] knows what it is as an integer.
    #[inline(always)]
    fn is_near(self) -> bool {
        false
    }
    /// The integer that a float is without its fraction, where [`Number::is_near`]: what every cast to integers makes of it before it wraps.
    #[inline(always)]
    fn trunc_near(self) -> i64 {
        0
    }
    /// The same of [`Number::rint`].
    fn rint_near(self) -> i64 {
        0
    }
}

/// What kind of number a type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Integer,
    Float,
}

/// A boolean: one byte, of which NumPy only asks whether it is 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bool(u8);

macro_rules! integer {
    ($T:ty, $Wide:ident, $wide:ty, $from_f64:expr) => {
        impl Number for $T {
            type Bytes = [u8; size_of::<$T>()];
            const ZERO: Self = 0;
            const KIND: Kind = Kind::Integer;

            #[inline(always)]
            fn load(bytes: Self::Bytes) -> Self {
                Self::from_ne_bytes(bytes)
            }

            #[inline(always)]
            fn store(self) -> Self::Bytes {
                self.to_ne_bytes()
            }

            #[inline(always)]
            fn widen(self) -> Wide {
                Wide::$Wide(<$wide>::from(self))
            }

            #[inline(always)]
            fn narrow(wide: Wide) -> Self {
                match wide {
                    Wide::Int(number) => number as Self,
                    Wide::UInt(number) => number as Self,
                    Wide::F32(number) => $from_f64(f64::from(number)) as Self,
                    Wide::F64(number) => $from_f64(number) as Self,
                }
            }

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }

            #[inline(always)]
            fn div(self, other: Self) -> Self {
                if other == 0 {
                    return 0;
                }
                let (quotient, rest) = (self.wrapping_div(other), self.wrapping_rem(other));
                let down = rest != 0 && f64::from(u8::from(rest < 0)) != f64::from(u8::from(other < 0));
                if down { quotient.wrapping_sub(1) } else { quotient }
            }

            #[inline(always)]
            fn rint(self) -> Self {
                self
            }
        }
    };
}

#[allow(unused_comparisons, reason = "the same text for signed and unsigned integers")]
mod integers {
    use super::{Kind, Number, Wide, to_i32, to_i64, to_u64};

    integer!(i8, Int, i64, to_i32);
    integer!(i16, Int, i64, to_i32);
    integer!(i32, Int, i64, to_i32);
    integer!(i64, Int, i64, to_i64);
    integer!(u8, UInt, u64, to_i32);
    integer!(u16, UInt, u64, to_i32);
    integer!(u32, UInt, u64, to_i64);
    integer!(u64, UInt, u64, to_u64);
}

macro_rules! float {
    ($T:ty, $zero:expr, $from_wide:expr, $to_wide:expr, |$a:ident, $b:ident| $add:expr, $sub:expr, $mul:expr, $div:expr, $round:expr, $near:expr, $trunc:expr, $rint:expr) => {
        impl Number for $T {
            type Bytes = [u8; size_of::<$T>()];
            const ZERO: Self = $zero;
            const KIND: Kind = Kind::Float;

            #[inline(always)]
            fn load(bytes: Self::Bytes) -> Self {
                Self::from_ne_bytes(bytes)
            }

            #[inline(always)]
            fn store(self) -> Self::Bytes {
                self.to_ne_bytes()
            }

            #[inline(always)]
            fn widen(self) -> Wide {
                $to_wide(self)
            }

            #[inline(always)]
            fn narrow(wide: Wide) -> Self {
                $from_wide(wide)
            }

            #[inline(always)]
            fn add(self, $b: Self) -> Self {
                let $a = self;
                $add
            }

            #[inline(always)]
            fn sub(self, $b: Self) -> Self {
                let $a = self;
                $sub
            }

            #[inline(always)]
            fn mul(self, $b: Self) -> Self {
                let $a = self;
                $mul
            }

            #[inline(always)]
            fn div(self, $b: Self) -> Self {
                let $a = self;
                $div
            }

            #[inline(always)]
            fn rint(self) -> Self {
                let $a = self;
                $round
            }

            #[inline(always)]
            fn is_near(self) -> bool {
                let $a = self;
                $near
            }

            #[inline(always)]
            fn trunc_near(self) -> i64 {
                let $a = self;
                $trunc
            }

            #[inline(always)]
            fn rint_near(self) -> i64 {
                let $a = self;
                $rint
            }
        }
    };
}

float!(f64, 0.0, wide_to_f64, Wide::F64, |a, b| a + b, a - b, a * b, a / b, rint_f64(a), a.abs() < NEAR_F64, trunc_f64(a), to_int_f64(a));
float!(f32, 0.0, wide_to_f32, Wide::F32, |a, b| a + b, a - b, a * b, a / b, rint_f32(a), a.abs() < NEAR_F32, trunc_f32(a), to_int_f32(a));
float!(
    f16,
    f16::ZERO,
    wide_to_f16,
    |half: f16| Wide::F32(half.to_f32()),
    |a, b| f16::from_f32(a.to_f32() + b.to_f32()),
    f16::from_f32(a.to_f32() - b.to_f32()),
    f16::from_f32(a.to_f32() * b.to_f32()),
    f16::from_f32(a.to_f32() / b.to_f32()),
    f16::from_f32(rint_f32(a.to_f32())),
    a.to_f32().abs() < NEAR_F32,
    trunc_f32(a.to_f32()),
    to_int_f32(a.to_f32())
);

/// Rounding without the instruction for it, which not every x86-64 has: from here on floats are integers, and a sum with this number rounds
/// all below it.
macro_rules! nearest {
    ($rint:ident, $trunc:ident, $to_int:ident, $T:ty, $INTEGERS:ident, $NEAR:ident, $integers:expr, $near:expr) => {
        const $INTEGERS: $T = $integers;
        /// Casts to all integers agree below this: it is at most 2^31.
        const $NEAR: $T = $near;

        #[inline(always)]
        fn $rint(number: $T) -> $T {
            let magnitude = number.abs();
            let rounded = ((magnitude + $INTEGERS) - $INTEGERS).copysign(number);
            if magnitude < $INTEGERS { rounded } else { number }
        }

        #[inline(always)]
        fn $trunc(number: $T) -> i64 {
            let magnitude = number.abs();
            let rounded = (magnitude + $INTEGERS) - $INTEGERS;
            let down = rounded - if rounded > magnitude { 1.0 } else { 0.0 };
            $to_int(down.copysign(number))
        }

        #[inline(always)]
        fn $to_int(number: $T) -> i64 {
            // The sum is rounded, and its bits count up with it, also below 1.5 times the number.
            let zero = 1.5 * $INTEGERS;
            i64::from((zero + number).to_bits().wrapping_sub(zero.to_bits()).cast_signed())
        }
    };
}

nearest!(rint_f32, trunc_f32, to_int_f32, f32, INTEGERS_F32, NEAR_F32, 8_388_608.0, 4_194_304.0);
nearest!(rint_f64, trunc_f64, to_int_f64, f64, INTEGERS_F64, NEAR_F64, 4_503_599_627_370_496.0, 2_147_483_648.0);

impl Number for Bool {
    type Bytes = [u8; 1];
    const ZERO: Self = Self(0);
    const KIND: Kind = Kind::Bool;

    #[inline(always)]
    fn load([byte]: [u8; 1]) -> Self {
        Self(u8::from(byte != 0))
    }

    #[inline(always)]
    fn store(self) -> [u8; 1] {
        [self.0]
    }

    #[inline(always)]
    fn widen(self) -> Wide {
        Wide::UInt(u64::from(self.0))
    }

    #[inline(always)]
    fn narrow(wide: Wide) -> Self {
        Self(u8::from(match wide {
            Wide::Int(number) => number != 0,
            Wide::UInt(number) => number != 0,
            Wide::F32(number) => number != 0.0,
            Wide::F64(number) => number != 0.0,
        }))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.mul(other)
    }

    #[inline(always)]
    fn rint(self) -> Self {
        self
    }
}

#[inline(always)]
fn wide_to_f64(wide: Wide) -> f64 {
    match wide {
        Wide::Int(number) => number as f64,
        Wide::UInt(number) => number as f64,
        Wide::F32(number) => f64::from(number),
        Wide::F64(number) => number,
    }
}

#[inline(always)]
fn wide_to_f32(wide: Wide) -> f32 {
    match wide {
        Wide::Int(number) => number as f32,
        Wide::UInt(number) => number as f32,
        Wide::F32(number) => number,
        Wide::F64(number) => number as f32,
    }
}

/// Integers are rounded to float32 on the way, as NumPy does it.
#[inline(always)]
fn wide_to_f16(wide: Wide) -> f16 {
    match wide {
        Wide::F64(number) => f16::from_f32(round_to_odd(number)),
        other => f16::from_f32(wide_to_f32(other)),
    }
}

/// Rounds so that rounding the result once more to fewer bits gives what rounding the number itself would.
#[inline(always)]
fn round_to_odd(number: f64) -> f32 {
    let nearest = number as f32;
    if number.is_nan() || f64::from(nearest) == number {
        return nearest;
    }
    let towards_zero = if f64::from(nearest.abs()) > number.abs() { nearest.to_bits() - 1 } else { nearest.to_bits() };
    f32::from_bits(towards_zero | 1)
}

/// What x86-64 gives for a number that does not fit: the smallest integer.
#[inline(always)]
fn to_i32(number: f64) -> i32 {
    if number > -2_147_483_649.0 && number < 2_147_483_648.0 { number as i32 } else { i32::MIN }
}

#[inline(always)]
fn to_i64(number: f64) -> i64 {
    if (-TWO_63..TWO_63).contains(&number) { number as i64 } else { i64::MIN }
}

#[inline(always)]
fn to_u64(number: f64) -> u64 {
    if number >= TWO_63 { (to_i64(number - TWO_63) as u64) ^ 1 << 63 } else { to_i64(number) as u64 }
}

const TWO_63: f64 = 9_223_372_036_854_775_808.0;
