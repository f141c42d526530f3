//! Data types and fill values as other programs write and read them: what a reader gets where nothing was written.

use super::*;
use crate::dtype::{V2Dtype, fill_from_v2, from_v2};

/// Data type and fill value in metadata, and the bytes of an element in little-endian hexadecimal, for each program.
const TYPES: &str = include_str!("../../../tests/golden/types.json");

/// The rows of a program: data type, fill value, bytes.
fn rows(program: &str) -> Vec<(Value, Value, String)> {
    let document: Value = serde_json::from_str(TYPES).unwrap();
    let rows: Vec<(Value, Value, String)> = serde_json::from_value(document[program].clone()).unwrap();
    assert!(rows.len() > 20, "{program}");
    rows
}

fn little_endian(data_type: &DataType, fill: &FillValue) -> String {
    let mut bytes = fill.as_bytes().to_vec();
    data_type.to_little_endian(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// FMT-DT-1 to FMT-DT-11, FMT-37: read alike, and written so that the same bits come back.
#[test]
fn fill_values_of_other_programs() {
    for program in ["zarr-python 3.1.6, v3", "tensorstore 0.1.86"] {
        for (name, value, bytes) in rows(program) {
            let data_type = DataType::from_json(&name).unwrap().0;
            let fill = FillValue::from_json(&data_type, &value).unwrap_or_else(|error| panic!("{name} {value}: {error}"));
            assert_eq!(little_endian(&data_type, &fill), bytes, "{program}: {name} {value}");
            assert_eq!(FillValue::from_json(&data_type, &fill.to_json(&data_type)).unwrap(), fill);
            // What zarr-python writes is what we write, but for the structs of before their specification.
            if program.starts_with("zarr-python") && name["name"] != "structured" && name["name"] != "raw_bytes" {
                assert_eq!(data_type.to_json().to_string(), name.to_string());
                assert_eq!(fill.to_json(&data_type).to_string(), value.to_string());
            }
        }
    }
}

/// FMT-DT-13, FMT-DT-15.
#[test]
fn fill_values_of_zarr_v2() {
    for (dtype, value, bytes) in rows("zarr-python 3.1.6, v2") {
        let V2Dtype::Fixed(read) = from_v2(&dtype).unwrap() else { panic!("{dtype}") };
        let fill = fill_from_v2(&read.data_type, &read.order, Some(&value)).unwrap_or_else(|error| panic!("{dtype} {value}: {error}"));
        assert_eq!(little_endian(&read.data_type, &fill), bytes, "{dtype} {value}");
    }
}
