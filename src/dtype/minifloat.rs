//! The floating-point formats of at most 8 bits, by their names.

use super::float::Format;

macro_rules! mini_floats {
    ($($(#[$doc:meta])* $variant:ident => $format:ident),* $(,)?) => {
        /// A floating-point format of at most 8 bits. Its name says how many bits exponent and mantissa have, and what it lacks: `f` infinities, `n`
        /// the NaNs of IEEE 754, `u` a negative zero or any sign, `z` a zero that has one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MiniFloat {
            $($(#[$doc])* $variant),*
        }

        impl MiniFloat {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),*];

            pub(crate) const fn format(self) -> Format {
                match self {
                    $(Self::$variant => Format::$format),*
                }
            }
        }
    };
}

mini_floats! {
    /// `float4_e2m1fn`: the low 4 bits; neither infinity nor NaN.
    Float4E2M1Fn => F4_E2M1FN,
    /// `float6_e2m3fn`: the low 6 bits; neither infinity nor NaN.
    Float6E2M3Fn => F6_E2M3FN,
    /// `float6_e3m2fn`: the low 6 bits; neither infinity nor NaN.
    Float6E3M2Fn => F6_E3M2FN,
    /// `float8_e3m4`: as IEEE 754.
    Float8E3M4 => F8_E3M4,
    /// `float8_e4m3`: as IEEE 754.
    Float8E4M3 => F8_E4M3,
    /// `float8_e4m3b11fnuz`: no infinity, no negative zero; bias 11.
    Float8E4M3B11Fnuz => F8_E4M3B11FNUZ,
    /// `float8_e4m3fn`: no infinity; 0x7f and 0xff are NaN.
    Float8E4M3Fn => F8_E4M3FN,
    /// `float8_e4m3fnuz`: no infinity, no negative zero.
    Float8E4M3Fnuz => F8_E4M3FNUZ,
    /// `float8_e5m2`: as IEEE 754.
    Float8E5M2 => F8_E5M2,
    /// `float8_e5m2fnuz`: no infinity, no negative zero.
    Float8E5M2Fnuz => F8_E5M2FNUZ,
    /// `float8_e8m0fnu`: powers of two alone, no zero.
    Float8E8M0Fnu => F8_E8M0FNU,
}

impl MiniFloat {
    /// The format of this name of a data type.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|mini| mini.format().name == name)
    }
}
