//! Tests of the strict parser.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The pointer and message of the metadata error that `result` must be.
fn fault<T: fmt::Debug>(result: Result<T>) -> (String, String) {
    match result {
        Err(Error::Metadata { pointer, what, .. }) => (pointer, what),
        other => panic!("expected a metadata error, got {other:?}"),
    }
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

/// FMT-6.
#[test]
fn members_keep_order_and_text() {
    let mut members = Members::from_document(b" {\"b\": 1e999, \"a\" : [1, \n 2] } \n").unwrap();
    let listed: Vec<_> = members.iter().map(|(name, value)| (name, value.get())).collect();
    assert_eq!(listed, [("b", "1e999"), ("a", "[1, \n 2]")]);
    assert_eq!(members.take("b").unwrap().get(), "1e999");
    assert!(members.take("b").is_none());
}

/// FMT-2, FMT-3, FMT-5.
#[test]
fn documents_that_are_refused() {
    for (document, at, said) in [
        (&b""[..], "", "EOF"),
        (b"[]", "", "expected an object"),
        (b"null", "", "expected an object"),
        (b"{}{}", "", "trailing"),
        (b"{} x", "", "trailing"),
        (b"\xef\xbb\xbf{}", "", "byte order mark"),
        (b"{\"a\": \"\xff\"}", "", "UTF-8 after byte 7"),
        (b"{\"a\": NaN}", "", "no bare NaN"),
        (b"{\n\"a\": [1,\n-Infinity]}", "", "no bare Infinity"),
        (b"{\"a\": 01}", "", "number"),
        (b"{\"a\": 'x'}", "", "expected value"),
        (b"{\"a\": 1,}", "", "trailing comma"),
        (b"{\"a\": \"\n\"}", "", "control character"),
        (b"{\"a\": 1, \"b\": 2, \"a\": 1}", "/a", "twice"),
        (b"{\"a/b\": 1, \"a/b\": 2}", "/a~1b", "twice"),
        (b"{\"a\": 1, \"\\u0061\": 1}", "/a", "twice"),
    ] {
        let (pointer, what) = fault(Members::from_document(document));
        assert_eq!(pointer, at, "{what}");
        assert!(what.contains(said), "{what:?} should say {said:?}");
    }
}

/// FMT-1, FMT-4, FMT-7.
#[test]
fn sizes_and_depths_are_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(Members::from_document(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert!(fault(Members::from_document(nested(MAX_DEPTH + 1).as_bytes())).1.contains("127 levels"));
    assert!(fault(Members::from_document(nested(100_000).as_bytes())).1.contains("127 levels"));
    let brackets_in_a_string = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(1000));
    assert!(Members::from_document(brackets_in_a_string.as_bytes()).is_ok());

    let spaces = vec![b' '; usize::try_from(MAX_DOCUMENT_BYTES).unwrap()];
    assert!(fault(Members::from_document(&spaces)).1.contains("EOF"));
    assert!(fault(Members::from_document(&[spaces, vec![b' ']].concat())).1.contains("at most"));

    let long = raw(&format!("\"{}\"", "x".repeat(MAX_MEMBER_BYTES - 2)));
    assert!(strict_value(&long).is_ok());
    let longer = raw(&format!("\"{}\"", "x".repeat(MAX_MEMBER_BYTES - 1)));
    assert!(fault(strict_value(&longer)).1.contains("at most 1048576"));
}

/// FMT-5, FMT-7: the members of a document, and those of its members that are objects.
#[test]
fn members_are_counted_and_unique_one_level_down() {
    assert_eq!(fault(Members::from_document(br#"{"a": {"b": {"x": 1, "x": 2}, "\u0063/": 1, "c/": 2}}"#)).0, "/a/c~1");
    assert!(Members::from_document(br#"{"a": {"b": {"x": 1, "x": 2}}, "c": [{"x": 1, "x": 2}]}"#).is_ok());
    let many = |count: usize| format!("{{{}}}", (0..count).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(","));
    assert!(Members::from_document(many(MAX_DOCUMENT_MEMBERS).as_bytes()).is_ok());
    assert!(fault(Members::from_document(many(MAX_DOCUMENT_MEMBERS + 1).as_bytes())).1.contains("more than 1024 members"));
    let inside = many(100_000);
    assert!(Members::from_document(format!("{{\"a\":{inside}}}").as_bytes()).is_ok());
    let twice = inside.replace("\"99999\"", "\"50000\"");
    assert_eq!(fault(check_unique(&twice)).0, "/50000");
    assert_eq!(fault(check_document(twice.as_bytes())).0, "/50000");
}

#[test]
fn single_members_are_found() {
    let text = r#"{"a": 1, "b\u0062": [1, 2], "c": tru"#;
    assert_eq!(member(text, "bb").unwrap().map(RawValue::get), Some("[1, 2]"), "what stands behind it is not looked at");
    assert!(fault(member(text, "d")).1.contains("EOF"));
    assert!(member("{}", "a").unwrap().is_none());
    assert!(fault(member("[1]", "a")).1.contains("expected an object"));
}

/// FMT-8.
#[test]
fn values_keep_64_bit_integers() {
    let text = "[18446744073709551615,-9223372036854775808,-0.0,true,null,{\"a\":{\"b\":\"c\"}},[]]";
    assert_eq!(strict_value(&raw(text)).unwrap().to_string(), text);
    assert_eq!(strict_value(&raw("18446744073709551616")).unwrap().as_u64(), None);
}

/// FMT-5, FMT-8.
#[test]
fn faults_in_values_are_pointed_at() {
    assert_eq!(fault(strict_value(&raw("{\"a\":[0,{\"b\":1,\"b\":1}]}"))).0, "/a/1/b");
    let (pointer, what) = fault(strict_value(&raw("{\"a\":[0,1e999]}")));
    assert_eq!(pointer, "/a/1");
    assert!(what.contains("out of range"), "{what}");
    assert_eq!(fault(strict_value(&raw("[[],[],\"\\ud800\"]"))).0, "/2");
}

/// FMT-9.
#[test]
fn named_configurations() {
    let bytes = NamedConfig::from_json(&json!("bytes")).unwrap();
    assert_eq!(bytes, NamedConfig::from_json(&json!({"name": "bytes", "configuration": {}})).unwrap());
    assert_eq!(bytes, NamedConfig::from_json(&json!({"must_understand": false, "name": "bytes"})).unwrap());
    assert_eq!(bytes, NamedConfig::from_json_mandatory(&json!({"name": "bytes", "must_understand": true})).unwrap());
    assert_eq!(bytes.to_json(), json!({"name": "bytes"}));
    let gzip = json!({"name": "gzip", "configuration": {"level": 1}});
    assert_eq!(NamedConfig::from_json(&gzip).unwrap().to_json(), gzip);
    assert!(NamedConfig::from_json(&gzip).unwrap().only(&["level"]).is_ok());
    assert_eq!(fault(NamedConfig::from_json(&gzip).unwrap().only(&["x"])).0, "/configuration/level");

    for (value, at) in [
        (json!(3), ""),
        (json!(""), ""),
        (json!(null), ""),
        (json!(["bytes"]), ""),
        (json!({}), "/name"),
        (json!({"name": ""}), "/name"),
        (json!({"name": 3}), "/name"),
        (json!({"configuration": {}}), "/name"),
        (json!({"name": "a", "configuration": null}), "/configuration"),
        (json!({"name": "a", "configuration": []}), "/configuration"),
        (json!({"name": "a", "must_understand": "false"}), "/must_understand"),
        (json!({"name": "a", "x/y": 1}), "/x~1y"),
    ] {
        assert_eq!(fault(NamedConfig::from_json(&value)).0, at, "{value}");
    }
    assert_eq!(fault(NamedConfig::from_json_mandatory(&json!({"name": "a", "must_understand": false}))).0, "/must_understand");
}

#[test]
fn messages_stay_short() {
    assert_eq!(brief(&json!([1, 2])), "[1,2]");
    assert_eq!(brief(&json!("é".repeat(1000))).chars().count(), 63);
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Members::from_document(&bytes);
    }

    /// Truncated anywhere, a document is no document.
    #[test]
    fn truncation_is_noticed(cut in 0_usize..46) {
        let document = br#"{"a":[1,{"b":"c\n"}],"d":{"e":null},"f":-1.5e3}"#;
        prop_assert!(Members::from_document(&document[..cut]).is_err());
    }

    /// FMT-5: members are found to be unique exactly where a set of them says so.
    #[test]
    fn repeated_names_are_found(names in prop::collection::vec("[ab\u{e9}]{0,2}", 0..6)) {
        let members: Vec<String> = names.iter().map(|name| format!("{}:null", Value::from(name.as_str()))).collect();
        let unique = names.iter().collect::<HashSet<_>>().len() == names.len();
        prop_assert_eq!(check_unique(&format!("{{{}}}", members.join(","))).is_ok(), unique);
    }

    #[test]
    fn what_serde_reads_is_read_alike(value in json_values()) {
        let text = value.to_string();
        prop_assert_eq!(strict_value(&raw(&text)).unwrap(), value);
    }
}

/// JSON values of every kind.
fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// FMT-7: lists and objects take far more memory than text.
#[test]
fn containers_are_counted() {
    let list = |count: usize| raw(&format!("[{}0]", "[0],".repeat(count)));
    assert!(strict_value(&list(MAX_CONTAINERS - 1)).is_ok());
    let (_, what) = fault(strict_value(&list(MAX_CONTAINERS)));
    assert!(what.contains("more than 65536 lists and objects"), "{what}");
    let (_, what) = fault(strict_value(&raw(&format!("[{}0]", "{\"a\":{}},".repeat(MAX_CONTAINERS / 2)))));
    assert!(what.contains("more than 65536 lists and objects"), "{what}");
}
