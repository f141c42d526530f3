//! Tests of the numbers within an element.

use std::sync::Arc;

use super::*;
use crate::dtype::{Field, MiniFloat};

fn of(fields: &[DataType]) -> DataType {
    let field = |(position, data_type): (usize, &DataType)| Field { name: position.to_string(), data_type: data_type.clone() };
    DataType::Struct(fields.iter().enumerate().map(field).collect::<Arc<[_]>>())
}

/// FMT-DT-12. Every byte, against arithmetic.
#[test]
fn unused_bits_are_set() {
    for byte in 0..=u8::MAX {
        let normal = |data_type: DataType| {
            let mut bytes = [byte, byte];
            assert_eq!(data_type.check_elements(&bytes).is_ok(), {
                data_type.normalise(&mut bytes);
                bytes == [byte, byte]
            });
            assert_eq!(bytes[0], bytes[1]);
            bytes[0]
        };
        let signed = |bits: u32| {
            let value = i32::from(byte) % (1 << bits);
            if value >= 1 << (bits - 1) { value - (1 << bits) } else { value }
        };
        assert_eq!(i32::from(normal(DataType::Int2).cast_signed()), signed(2));
        assert_eq!(i32::from(normal(DataType::Int4).cast_signed()), signed(4));
        assert_eq!(normal(DataType::UInt2), byte % 4);
        assert_eq!(normal(DataType::UInt4), byte % 16);
        assert_eq!(normal(DataType::Mini(MiniFloat::Float4E2M1Fn)), byte % 16);
        assert_eq!(normal(DataType::Mini(MiniFloat::Float6E3M2Fn)), byte % 64);
        assert_eq!(normal(DataType::ComplexMini(MiniFloat::Float6E2M3Fn)), byte % 64);
        assert_eq!(normal(DataType::Mini(MiniFloat::Float8E4M3)), byte);
        assert_eq!(normal(DataType::Int8), byte);
    }
    assert!(DataType::Int4.needs_normalising() && of(&[DataType::Int16, DataType::UInt2]).needs_normalising());
    assert!(!DataType::Bool.needs_normalising() && !DataType::Mini(MiniFloat::Float8E5M2).needs_normalising());
    assert!(!of(&[DataType::Bool, DataType::Raw { size_bytes: 3 }]).needs_normalising());
}

#[test]
fn fields_are_normalised_one_by_one() {
    let row = of(&[DataType::Int16, DataType::Int4, DataType::Bool, DataType::ComplexMini(MiniFloat::Float4E2M1Fn)]);
    let mut bytes = [0xff, 0xff, 0x08, 0x01, 0xf1, 0x12].repeat(2);
    row.normalise(&mut bytes);
    assert_eq!(bytes, [0xff, 0xff, 0xf8, 0x01, 0x01, 0x02].repeat(2));
    assert!(row.check_elements(&bytes).is_ok());
    bytes[9] = 2;
    assert!(row.check_elements(&bytes).unwrap_err().to_string().contains("bool"));
}

/// FMT-DT-4.
#[test]
fn the_numbers_of_an_element() {
    let units = |data_type: &DataType| data_type.byte_units().iter().map(|unit| (unit.offset, unit.width, unit.count)).collect::<Vec<_>>();
    assert_eq!(units(&DataType::ComplexBFloat16), [(0, 2, 2)]);
    assert_eq!(units(&DataType::Utf32 { size_bytes: 12 }), [(0, 4, 3)]);
    assert_eq!(units(&DataType::DateTime64 { unit: TimeUnit::Day, scale: 1 }), [(0, 8, 1)]);
    assert_eq!(units(&DataType::NullTerminated { size_bytes: 8 }), []);
    assert_eq!(units(&DataType::ComplexMini(MiniFloat::Float8E5M2)), []);
    let inner = of(&[DataType::Float32, DataType::UInt8, DataType::Utf32 { size_bytes: 4 }]);
    let outer = of(&[DataType::Int32, inner, DataType::Int32, DataType::Raw { size_bytes: 2 }, DataType::Complex128]);
    assert_eq!(units(&outer), [(0, 4, 2), (9, 4, 2), (19, 8, 2)]);
    assert_eq!((outer.item_size(), outer.swap_size()), (35, 8));
    let mut bytes: Vec<u8> = (0..35).collect();
    outer.reorder(&mut bytes, cfg!(target_endian = "little"));
    assert_eq!(bytes[..19], [3, 2, 1, 0, 7, 6, 5, 4, 8, 12, 11, 10, 9, 16, 15, 14, 13, 17, 18]);
    assert_eq!(bytes[19..], [26, 25, 24, 23, 22, 21, 20, 19, 34, 33, 32, 31, 30, 29, 28, 27]);
    outer.reorder(&mut bytes, cfg!(target_endian = "big"));
    assert_eq!(bytes[..4], [3, 2, 1, 0]);
}
