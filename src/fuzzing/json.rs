//! JSON: what a document may be, held against another reader of JSON.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::json::{self, Members};

/// What JSON is made of.
pub const WORDS: &[&str] =
    &["{\"a\":1}", "[[", "{\"\\u0061\":", "\\ud800", "\\\"", "null", "false", "1e400", "-0", "18446744073709551616", "\u{feff}", ",\"a\":"];

/// Documents that are taken are JSON objects with the same members, no name twice, in few levels; and one that has been taken is taken by
/// each of the ways to look at it.
pub fn check(data: &[u8]) -> bool {
    let checked = json::check_document(data);
    let members = Members::from_document(data);
    if members.is_ok() {
        assert!(checked.is_ok(), "refused only where nothing is kept: {checked:?}");
    }
    let Ok(members) = members else { return false };
    let text = std::str::from_utf8(data).unwrap();
    let expected: Map<String, Value> = match serde_json::from_str(text) {
        Ok(Value::Object(members)) => members,
        Ok(other) => panic!("taken, and no object: {other}"),
        // FMT-6: numbers that are too large and halves of surrogate pairs are text of JSON, though no values.
        Err(_) => {
            serde_json::from_str::<IgnoredAny>(text).expect("taken, and no JSON");
            return true;
        }
    };
    assert_eq!(expected.len(), members.iter().count(), "a member is lost");
    for (name, raw) in members.iter() {
        let value: Value = serde_json::from_str(raw.get()).expect("a member that is no JSON");
        assert_eq!(expected.get(name), Some(&value), "member {name:?}");
        assert_eq!(json::member(text, name).unwrap().map(|found| found.get()), Some(raw.get()), "member {name:?} is found");
        // Repeated members further down are for those to find who interpret the value.
        if let Ok(strict) = json::strict_value(raw) {
            assert_eq!(strict, value, "member {name:?} is interpreted");
            if strict.is_object() {
                assert_eq!(Members::parse(raw.get()).unwrap().iter().count(), strict.as_object().unwrap().len());
            }
        }
    }
    assert!(json::member(text, "a name that nothing has").unwrap().is_none());
    true
}

/// Objects of all kinds of values.
pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r"{}",
        r#"{"a":null,"b":[1,2.5,-3e-7,18446744073709551615],"c":{"d":{"a":"\u00e4\ud83d\ude00"}}}"#,
        "{ \"a\" : [ ] ,\n\t\"\\u0062\" : [[[[[[[[[[[[]]]]]]]]]]]] , \"\": \"\\\\\\\"{[\" }",
        r#"{"a":{"b":[{"c":0,"c":1}]}}"#,
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}
