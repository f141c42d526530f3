//! Metadata documents that are no documents: JSON that is broken, deep, large, doubled or lying.

use std::fs::File;

use serde_json::{Value, json};

use super::stores::{Case, ELEMENTS, Want, array, document, with, write};

/// The document with one more member, whose text is put in as it is.
fn with_text(name: &str, text: &str) -> String {
    document().to_string().replacen('{', &format!("{{\"{name}\": {text},"), 1)
}

/// The document with other text for a member that it has.
fn replaced(name: &str, text: &str) -> String {
    let document = document();
    let old = format!("\"{name}\":{}", document[name]);
    let changed = document.to_string().replacen(&old, &format!("\"{name}\":{text}"), 1);
    assert_ne!(changed, document.to_string());
    changed
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

pub(crate) fn cases() -> Vec<Case> {
    [syntax(), numbers(), members(), large(), groups()].into_iter().flatten().collect()
}

fn syntax() -> Vec<Case> {
    let good = document().to_string();
    let texts: &[(&str, Vec<u8>, &str)] = &[
        ("no bytes", Vec::new(), "invalid metadata at /"),
        ("white space", b" \n\t ".to_vec(), "invalid metadata at /"),
        ("null", b"null".to_vec(), "invalid metadata at /"),
        ("a list", b"[]".to_vec(), "invalid metadata at /"),
        ("a number", b"3".to_vec(), "invalid metadata at /"),
        ("an empty object", b"{}".to_vec(), "/zarr_format: missing"),
        ("cut off", good.as_bytes()[..good.len() / 2].to_vec(), "invalid metadata at /"),
        ("a byte order mark", [b"\xef\xbb\xbf", good.as_bytes()].concat(), "invalid metadata at /"),
        ("UTF-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect(), "invalid metadata at /"),
        (
            "bytes that are not UTF-8",
            with_text("x", "\"\u{1}\"").replace('\u{1}', "?").into_bytes().iter().map(|&b| if b == b'?' { 0xff } else { b }).collect(),
            "UTF-8",
        ),
        ("trailing bytes", format!("{good}x").into(), "trailing"),
        ("two documents", format!("{good}{good}").into(), "trailing"),
        ("trailing NULs", format!("{good}\0\0").into(), "trailing"),
        ("a control character in a string", with_text("x", "\"\u{1}\"").into(), "control character"),
        ("a comment", format!("/* x */{good}").into(), "invalid metadata at /"),
        ("single quotes", good.replace('"', "'").into(), "invalid metadata at /"),
        ("100,000 lists deep", with_text("attributes", &nested(100_000)).into(), "nested deeper than 127 levels"),
        ("100,000 lists deep and never closed", with_text("attributes", &"[".repeat(100_000)).into(), "nested deeper than 127 levels"),
        ("100,000 objects deep", with_text("attributes", &"{\"a\":".repeat(100_000)).into(), "nested deeper than 127 levels"),
        ("bare NaN for attributes", with_text("attributes", "NaN").into(), "NaN"),
        ("bare NaN as the name of an attribute", with_text("attributes", "{NaN: 1}").into(), "invalid metadata at /"),
        ("bare NaN in a member that may be ignored", with_text("x", "{\"must_understand\": false, \"a\": NaN}").into(), "NaN"),
        ("4,000,000 bare NaN in attributes", with_text("attributes", &format!("[{}NaN]", "NaN,".repeat(4_000_000))).into(), "16777216"),
        ("bare Infinity as shape", replaced("shape", "[Infinity]").into(), "invalid metadata at /"),
        ("gigantic exponents", replaced("shape", "[1e400]").into(), "/shape"),
        ("a repeated member", with_text("shape", "[4]").into(), "shape"),
        ("a repeated member behind escapes", with_text("sh\\u0061pe", "[4]").into(), "shape"),
        ("a repeated member of a codec", replaced("codecs", "[{\"name\": \"bytes\", \"name\": \"crc32c\"}]").into(), "/codecs"),
        ("a repeated attribute", with_text("attributes", "{\"a\": 1, \"a\": 2}").into(), "/attributes"),
    ];
    let mut cases: Vec<Case> = texts.iter().map(|(name, text, says)| Case::text(name, text.clone(), says)).collect();
    cases.extend([
        Case::legal_text("125 lists deep", with_text("attributes", &format!("{{\"a\": {}}}", nested(125)))),
        Case::legal_text("white space everywhere", format!("\r\n\t {}\n", serde_json::to_string_pretty(&document()).unwrap())),
        Case::legal_text("bare tokens in attributes", with_text("attributes", "{\"a\": NaN, \"b\": [-Infinity, {\"c\": Infinity}]}")),
        Case::legal_text("escaped names", document().to_string().replace("shape", "sh\\u0061pe")),
        Case::legal("a NUL in a name of a dimension", json!({"dimension_names": ["a\u{0}b"]})),
        Case::legal("names of dimensions that are paths", json!({"dimension_names": ["../../etc/passwd"]})),
    ]);
    // Whether half a surrogate pair is text is a question on which parsers differ; whatever the answer, it is one.
    let surrogate = with_text("attributes", "{\"a\": \"\\ud800\"}");
    let either = Want { codes: vec![0, 4], prints: Some(ELEMENTS.to_owned()), ..Want::refused("get s", 4, &["s/zarr.json"]) };
    cases.push(Case::new("half a surrogate pair", move |root| array(root, &surrogate, &[1, 2, 3, 4]), vec![either]));
    cases
}

fn numbers() -> Vec<Case> {
    let bad = ["-1", "-0", "3.0", "3.5", "1e1", "18446744073709551616", "99999999999999999999999999", "\"8\"", "null", "true", "[8]", "{}"];
    let mut cases: Vec<Case> =
        bad.iter().map(|text| Case::text(&format!("{text} as a length"), replaced("shape", &format!("[{text}]")), "/shape")).collect();
    for text in ["007", "+8", "0x8", "08"] {
        cases.push(Case::text(&format!("{text} as a length"), replaced("shape", &format!("[{text}]")), "invalid metadata at /"));
    }
    cases.push(Case::document("a number as shape", json!({"shape": 8}), "/shape"));
    cases.push(Case::document("a string as shape", json!({"shape": "8"}), "/shape"));
    cases
}

fn members() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in ["zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs"] {
        let mut document = document();
        document.as_object_mut().unwrap().remove(name);
        cases.push(Case::text(&format!("without {name}"), document.to_string(), &format!("/{name}: missing")));
    }
    cases.extend([
        Case::document("node_type graph", json!({"node_type": "graph"}), "/node_type"),
        Case::document("zarr_format as text", json!({"zarr_format": "3"}), "/zarr_format"),
        Case::document("zarr_format 3.0", json!({"zarr_format": 3.0}), "/zarr_format"),
        Case::unsupported("zarr_format 4", json!({"zarr_format": 4}), "zarr_format 4"),
        Case::document("an unknown member", json!({"x": 1}), "/x"),
        Case::document("an unknown member that must be understood", json!({"x": {"must_understand": true}}), "/x"),
        Case::document("an unknown member that hides", json!({"x": {"must_understand": "false"}}), "/x"),
        Case::document("attributes that are a list", json!({"attributes": []}), "/attributes"),
        Case::document("too many names of dimensions", json!({"dimension_names": ["a", "b"]}), "/dimension_names"),
        Case::document("a number as the name of a dimension", json!({"dimension_names": [1]}), "/dimension_names"),
        Case::unsupported("a storage transformer", json!({"storage_transformers": [{"name": "x"}]}), "storage transformer"),
        Case::unsupported("an unknown codec", json!({"codecs": [{"name": "bytes"}, {"name": "no-such"}]}), "no-such"),
        Case::unsupported(
            "an unknown codec that may be ignored",
            json!({"codecs": [{"name": "bytes"}, {"name": "no-such", "must_understand": false}]}),
            "no-such",
        ),
        Case::unsupported("a codec that runs what it reads", json!({"codecs": [{"name": "numcodecs.pickle"}]}), "pickle"),
        Case::unsupported("an unknown data type", json!({"data_type": "quaternion"}), "quaternion"),
        Case::legal("an unknown member that may be ignored", json!({"x": {"must_understand": false, "y": [1, 2]}})),
        Case::legal("codecs by name alone", json!({"codecs": ["bytes"]})),
        Case::legal("a codec that says that it must be understood", json!({"codecs": [{"name": "bytes", "must_understand": true}]})),
    ]);
    cases
}

fn large() -> Vec<Case> {
    let many = |count: usize, value: &str| {
        let members: Vec<String> = (0..count).map(|number| format!("\"k{number}\": {value}")).collect();
        members.join(", ")
    };
    let refused = |args| Want::refused(args, 4, &["s/zarr.json"]);
    let sparse = |root: &std::path::Path| {
        write(root, "s/zarr.json", "");
        File::options().write(true).open(root.join("s/zarr.json")).unwrap().set_len(1 << 42).unwrap();
    };
    vec![
        Case::text("17 MiB of white space", format!("{}{}", document(), " ".repeat(17 << 20)), "16777216"),
        Case::new(
            "4 TiB of nothing",
            sparse,
            vec![refused("get s"), refused("tree s"), refused("rechunk s t --chunks 2"), Want::refused("check s", 1, &["s/zarr.json"])],
        ),
        Case::text(
            "1001 unknown members",
            document().to_string().replacen('{', &format!("{{{},", many(1001, "{\"must_understand\": false}")), 1),
            "1001",
        ),
        Case::text("100,000 unknown members", document().to_string().replacen('{', &format!("{{{},", many(100_000, "1")), 1), "members"),
        Case::text("a list of 5 MiB as shape", replaced("shape", &format!("[{}0]", "0,".repeat(5 << 19))), "/shape"),
        Case::unsupported("a shape of 500,000 axes", json!({"shape": vec![1; 500_000]}), "rank 500000"),
        Case::text("a data type of 2 MiB", replaced("data_type", &format!("\"{}\"", "x".repeat(2 << 20))), "/data_type"),
        Case::text("a fill value of 15 MiB", replaced("fill_value", &format!("\"{}\"", "x".repeat(15 << 20))), "/fill_value"),
        Case::text("400,000 codecs", replaced("codecs", &format!("[{}\"bytes\"]", "\"crc32c\",".repeat(400_000))), "/codecs"),
        // What takes the most memory for its text.
        Case::text("a MiB of empty names of codecs", replaced("codecs", &format!("[{}\"\"]", "\"\",".repeat(330_000))), "/codecs"),
        Case::unsupported("a MiB of names of codecs", json!({"codecs": vec!["a"; 250_000]}), "250000 codecs"),
        Case::text("a MiB of objects", replaced("codecs", &format!("[{}\"\"]", "{\"\":0},".repeat(110_000))), "/codecs"),
        Case::text("a MiB of lists", replaced("codecs", &format!("[{}\"\"]", "[0],".repeat(250_000))), "/codecs"),
        Case::document("a MiB of names of dimensions", json!({"dimension_names": vec!["a"; 250_000]}), "/dimension_names"),
        Case::document(
            "a MiB of a configuration",
            json!({"codecs": [{"name": "bytes", "configuration": {"endian": vec![json!({"a": 0}); 110_000]}}]}),
            "/codecs",
        ),
        Case::legal_text("a million attributes", with_text("attributes", &format!("{{{}}}", many(1_000_000, "1"))))
            .but("rechunk")
            .but("get"),
        Case::legal_text("an attribute of 15 MiB", with_text("attributes", &format!("{{\"a\": \"{}\"}}", "x".repeat(15 << 20))))
            .but("get")
            .but("rechunk"),
    ]
}

/// The group `s` with an array `a`, with these consolidated metadata.
fn group(consolidated: Value) -> impl Fn(&std::path::Path) {
    move |root| {
        let document = json!({"zarr_format": 3, "node_type": "group", "consolidated_metadata": consolidated});
        write(root, "s/zarr.json", document.to_string());
        write(root, "s/a/zarr.json", super::stores::document().to_string());
        write(root, "s/a/c/0", [1, 2, 3, 4]);
    }
}

fn groups() -> Vec<Case> {
    let inline = |metadata: Value| json!({"kind": "inline", "must_understand": false, "metadata": metadata});
    let a = document();
    // They may be ignored, and are: the elements are right, and the check says what is wrong.
    let ignored = |name: &str, consolidated: Value, says: &str| {
        let wants = vec![
            Want::prints("get s/a", ELEMENTS),
            Want::works("tree s", &["a (8,) uint8"]),
            Want::refused("check s", 1, &["s/zarr.json: error ", says]),
        ];
        Case::new(name, group(consolidated), wants)
    };
    let many: serde_json::Map<String, Value> = (0..50_000).map(|number| (format!("n{number}"), Value::Null)).collect();
    vec![
        ignored("consolidated metadata that name themselves", inline(json!({"": a, "a": a})), "empty path"),
        ignored("consolidated metadata that lead out", inline(json!({"../../etc": a, "a": a})), "relative name"),
        ignored("consolidated metadata at an absolute path", inline(json!({"/etc": a, "a": a})), "empty name"),
        ignored(
            "consolidated metadata of another document",
            inline(json!({"a": with(json!({"shape": [1_u64 << 40]}))})),
            "stale-consolidated",
        ),
        ignored("consolidated metadata of nodes that are not there", inline(json!({"a": a, "b": a})), "not there"),
        ignored("consolidated metadata of 50,000 nodes", inline(Value::Object(many)), "stale-consolidated"),
        ignored("consolidated metadata without a kind", json!({"must_understand": false}), "/consolidated_metadata/kind"),
        Case::new(
            "consolidated metadata that must be understood",
            group(json!({"kind": "inline", "must_understand": true, "metadata": {}})),
            vec![
                Want::refused("tree s", 4, &["s/zarr.json", "/consolidated_metadata"]),
                Want::refused("check s", 1, &["s/zarr.json: error metadata"]),
            ],
        ),
        Case::new(
            "consolidated metadata of another kind",
            group(json!({"kind": "remote", "must_understand": false, "metadata": {}})),
            vec![Want::prints("get s/a", ELEMENTS), Want::works("check s", &["s/zarr.json: warning unsupported"])],
        ),
    ]
}
