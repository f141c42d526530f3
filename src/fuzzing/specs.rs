//! What people type: chunks, codecs, data types, fill values, keys.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use crate::codec::Codecs;
use crate::dtype::{DataType, FillValue};
use crate::fuzzing::input::Input;
use crate::rechunk::{ChunkSpec, Edge, Shards};
use crate::store::Key;

/// What specifications are made of.
pub const WORDS: &[&str] = &[
    "all",
    "-1",
    "31+28x2",
    "18446744073709551615",
    "time=",
    "none",
    "zstd:3",
    "gzip:9",
    "crc32c",
    "transpose:1-0",
    "big",
    "[{\"name\":\"bytes\",\"configuration\":{\"endian\":\"big\"}}]",
    "float32",
    "<f4",
    "complex128",
    "r16",
    "V2",
    "nan",
    "-inf",
    "0x7fc00001",
    "[1,nan]",
    "[1,2]",
    "true",
    "1e400",
    "-0.0",
    "../",
];

/// Data types for fill values.
const TYPES: &[&str] = &[
    "bool",
    "int8",
    "int64",
    "uint8",
    "uint64",
    "float16",
    "float32",
    "float64",
    "complex64",
    "complex128",
    "r8",
    "r24",
    "int16",
    "uint32",
];

/// The kinds of texts; the first byte of an input chooses one.
const KINDS: &[fn(&str) -> bool] = &[chunks, comes_back::<Edge>, shards, comes_back::<Codecs>, data_type, fill_value, key];

/// What is parsed is printed as text that means the same.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let kind = input.pick(KINDS);
    std::str::from_utf8(input.rest()).is_ok_and(kind)
}

fn comes_back<T: FromStr + Display + Debug + PartialEq>(text: &str) -> bool {
    let Ok(parsed) = text.parse::<T>() else { return false };
    let printed = parsed.to_string();
    match printed.parse::<T>() {
        Ok(again) => assert_eq!(again, parsed, "{text:?} is printed as {printed:?}"),
        Err(_) => panic!("{text:?} is printed as {printed:?}, which is refused"),
    }
    true
}

fn chunks(text: &str) -> bool {
    comes_back::<ChunkSpec>(text)
}

fn shards(text: &str) -> bool {
    match text.parse::<Shards>() {
        Ok(Shards::Of(spec)) => comes_back::<ChunkSpec>(&spec.to_string()),
        Ok(Shards::Keep | Shards::Remove) => true,
        Err(_) => false,
    }
}

fn data_type(text: &str) -> bool {
    let Ok(parsed) = DataType::parse(text) else { return false };
    assert!(parsed.item_size() > 0);
    let printed = parsed.to_string();
    assert_eq!(DataType::parse(&printed).ok(), Some(parsed), "{text:?} is printed as {printed:?}");
    true
}

/// A data type by the first character, and a fill value of it.
fn fill_value(text: &str) -> bool {
    let mut characters = text.chars();
    let Some(first) = characters.next() else { return false };
    let data_type = DataType::parse(TYPES[first as usize % TYPES.len()]).expect("a name of a data type");
    let Ok(parsed) = FillValue::parse(&data_type, characters.as_str()) else { return false };
    assert_eq!(parsed.as_bytes().len(), data_type.item_size());
    let printed = parsed.to_text(&data_type);
    assert_eq!(FillValue::parse(&data_type, &printed).ok(), Some(parsed.clone()), "{text:?} of {data_type} is printed as {printed:?}");
    let json = parsed.to_json(&data_type);
    assert_eq!(FillValue::from_json(&data_type, &json).ok(), Some(parsed), "{text:?} of {data_type} is written as {json}");
    true
}

/// A key stays below the root.
fn key(text: &str) -> bool {
    let Ok(key) = Key::new(text) else { return false };
    let depth = key.as_str().split('/').count();
    assert!(key.is_root() || key.as_str().split('/').all(|name| !["", ".", ".."].contains(&name)), "{key}");
    let mut above = key.parent();
    for _ in 0..depth {
        above = above.and_then(|key| key.parent());
    }
    assert!(above.is_none(), "{key} has more parents than names");
    assert_eq!(key.parent().map(|parent| parent.join(key.name()).unwrap()), (!key.is_root()).then_some(key));
    true
}

/// Texts of all kinds.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut texts: Vec<(u8, String)> = Vec::new();
    texts.extend(["1000,all,2,-1", "object=1000,epoch=all", "31+28+30x2,5x1", "a=b=3"].map(|text| (0, text.to_owned())));
    texts.extend(["all", "12", "30x12", "31+28"].map(|text| (1, text.to_owned())));
    texts.extend(["none", "100,all"].map(|text| (2, text.to_owned())));
    let json = r#"[{"name":"bytes","configuration":{"endian":"little"}},{"name":"zstd","configuration":{"level":1,"checksum":true}}]"#;
    texts.extend(["none", "zstd", "big,gzip:0,crc32c", "transpose:2-0-1,zstd:-7", json].map(|text| (3, text.to_owned())));
    texts.extend(["float32", "<f4", "|b1", "V3", "r1048576", ">u1"].map(|text| (4, text.to_owned())));
    let fills = [
        "true",
        "-1",
        "+7",
        "255",
        "18446744073709551615",
        "nan",
        "0x7fc00001",
        "-0.0",
        "[1,-inf]",
        "2.5e-8",
        "[7]",
        "\"AAEC\"",
        "-3",
        "0",
    ];
    texts.extend((0_u8..).zip(fills).map(|(position, text)| (5, format!("{}{text}", char::from(position)))));
    texts.extend(["", "a/b/zarr.json", "c/0/1"].map(|text| (6, text.to_owned())));
    texts.iter().map(|(kind, text)| [&[*kind], text.as_bytes()].concat()).collect()
}
