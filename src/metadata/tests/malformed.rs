//! Documents that are refused: which error, and where it points.

use super::*;

/// What an error must be.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// A metadata error at this pointer.
    At(&'static str),
    /// An unsupported error whose message contains this.
    Unsupported(&'static str),
}
use Expected::{At, Unsupported};

fn check<T: std::fmt::Debug>(shown: &str, result: Result<T>, expected: Expected) {
    match (&result, expected) {
        (Err(Error::Metadata { pointer, what, .. }), At(at)) => assert_eq!(pointer, at, "{shown}: {what}"),
        (Err(Error::Unsupported { what, .. }), Unsupported(said)) => assert!(what.contains(said), "{shown}: {what:?}"),
        _ => panic!("{shown}: expected {expected:?}, got {result:?}"),
    }
}

fn grid(chunk_shape: &Value) -> Value {
    json!({"name": "regular", "configuration": {"chunk_shape": chunk_shape}})
}

/// FMT-8 to FMT-17.
#[test]
fn values_of_members() {
    let corpus = [
        ("zarr_format", json!(2), Unsupported("zarr_format 2; supported is 3")),
        ("zarr_format", json!(4), Unsupported("zarr_format 4")),
        ("zarr_format", json!(3.0), At("/zarr_format")),
        ("zarr_format", json!("3"), At("/zarr_format")),
        ("zarr_format", json!(null), At("/zarr_format")),
        ("zarr_format", json!(-3), At("/zarr_format")),
        ("node_type", json!("Array"), At("/node_type")),
        ("node_type", json!(null), At("/node_type")),
        ("node_type", json!(["array"]), At("/node_type")),
        ("shape", json!(10), At("/shape")),
        ("shape", json!([10, -1]), At("/shape/1")),
        ("shape", json!([10, 7.0]), At("/shape/1")),
        ("shape", json!(["10", 7]), At("/shape/0")),
        ("shape", json!([10, null]), At("/shape/1")),
        ("shape", json!(vec![1; 33]), Unsupported("rank 33")),
        ("shape", json!([10]), At("/chunk_grid/configuration/chunk_shape")),
        ("data_type", json!("float128"), Unsupported("float128")),
        ("data_type", json!("strings"), Unsupported("string")),
        ("data_type", json!({"name": "numpy.datetime64", "configuration": {"unit": "s"}}), At("/data_type/configuration/scale_factor")),
        ("data_type", json!({"name": "float32", "configuration": {"a": 1}}), At("/data_type/configuration/a")),
        ("data_type", json!({"name": "float32", "must_understand": false}), At("/data_type/must_understand")),
        ("data_type", json!("r12"), At("/data_type")),
        ("data_type", json!(4), At("/data_type")),
        ("data_type", json!({"name": 4}), At("/data_type/name")),
        ("chunk_grid", json!("regular"), At("/chunk_grid/configuration/chunk_shape")),
        ("chunk_grid", json!(null), At("/chunk_grid")),
        ("chunk_grid", json!({"name": "hexagonal", "configuration": {}}), Unsupported("hexagonal")),
        ("chunk_grid", json!({"name": "regular", "configuration": {"chunk_shape": [4, 7], "x": 0}}), At("/chunk_grid/configuration/x")),
        ("chunk_grid", json!({"name": "regular", "configuration": []}), At("/chunk_grid/configuration")),
        ("chunk_grid", json!({"name": "regular", "must_understand": false}), At("/chunk_grid/must_understand")),
        ("chunk_grid", json!({"name": "regular", "extra": 1}), At("/chunk_grid/extra")),
        ("chunk_grid", grid(&json!([4, 0])), At("/chunk_grid/configuration/chunk_shape/1")),
        ("chunk_grid", grid(&json!([4, -7])), At("/chunk_grid/configuration/chunk_shape/1")),
        ("chunk_grid", grid(&json!([4])), At("/chunk_grid/configuration/chunk_shape")),
        ("chunk_grid", grid(&json!([4, 7, 1])), At("/chunk_grid/configuration/chunk_shape")),
        ("chunk_grid", grid(&json!(4)), At("/chunk_grid/configuration/chunk_shape")),
        ("chunk_grid", grid(&json!([1_u64 << 33, 1_u64 << 33])), At("/chunk_grid/configuration/chunk_shape")),
        ("chunk_grid", grid(&json!([u64::MAX, 1])), At("/chunk_grid/configuration/chunk_shape")),
        ("chunk_grid", grid(&json!([1_u64 << 61, 1])), At("/chunk_grid/configuration/chunk_shape")),
        ("chunk_key_encoding", json!("v1"), Unsupported("\"v1\"")),
        ("chunk_key_encoding", json!(null), At("/chunk_key_encoding")),
        (
            "chunk_key_encoding",
            json!({"name": "v2", "configuration": {"separator": "-"}}),
            At("/chunk_key_encoding/configuration/separator"),
        ),
        ("chunk_key_encoding", json!({"name": "v2", "configuration": {"separator": 1}}), At("/chunk_key_encoding/configuration/separator")),
        ("chunk_key_encoding", json!({"name": "default", "configuration": {"sep": "/"}}), At("/chunk_key_encoding/configuration/sep")),
        ("chunk_key_encoding", json!({"name": "default", "separator": "/"}), At("/chunk_key_encoding/separator")),
    ];
    check_members(corpus);
}

/// FMT-14 to FMT-18, and what is in no rule.
#[test]
fn values_of_later_members() {
    let corpus = [
        ("fill_value", json!(null), At("/fill_value")),
        ("fill_value", json!("zero"), At("/fill_value")),
        ("fill_value", json!("0x7fc0"), At("/fill_value")),
        ("fill_value", json!(1e39), At("/fill_value")),
        ("codecs", json!([]), At("/codecs")),
        ("codecs", json!(null), At("/codecs")),
        ("codecs", json!("bytes"), At("/codecs")),
        ("codecs", json!(["bytes", 3]), At("/codecs/1")),
        ("codecs", json!(["bytes", {}]), At("/codecs/1/name")),
        ("codecs", json!([{"name": "bytes", "configuration": null}]), At("/codecs/0/configuration")),
        ("codecs", json!([{"name": "bytes", "id": 0}]), At("/codecs/0/id")),
        ("codecs", json!([{"name": "bytes", "must_understand": 0}]), At("/codecs/0/must_understand")),
        ("attributes", json!([]), At("/attributes")),
        ("attributes", json!(null), At("/attributes")),
        ("attributes", json!("a"), At("/attributes")),
        ("dimension_names", json!(["x"]), At("/dimension_names")),
        ("dimension_names", json!(["x", "y", "z"]), At("/dimension_names")),
        ("dimension_names", json!(["x", 1]), At("/dimension_names/1")),
        ("dimension_names", json!("xy"), At("/dimension_names")),
        ("storage_transformers", json!(null), At("/storage_transformers")),
        ("storage_transformers", json!({}), At("/storage_transformers")),
        ("storage_transformers", json!([3]), At("/storage_transformers/0")),
        ("storage_transformers", json!([{"name": "sharding"}]), Unsupported("\"sharding\"")),
        ("order", json!("C"), At("/order")),
        ("note", json!({"must_understand": true}), At("/note")),
        ("note", json!({"must_understand": "false"}), At("/note")),
        ("note", json!({"name": "x"}), At("/note")),
        ("a/b~c", json!(1), At("/a~1b~0c")),
        ("consolidated_metadata", json!(null), At("/consolidated_metadata")),
    ];
    check_members(corpus);
}

fn check_members<const N: usize>(corpus: [(&str, Value, Expected); N]) {
    for (member, value, expected) in corpus {
        let shown = format!("{member}: {value}");
        check(&shown, read(changed(array(), member, Some(value)).to_string().as_bytes()), expected);
    }
}

/// FMT-10.
#[test]
fn members_that_are_missing() {
    for (member, at) in [
        ("zarr_format", "/zarr_format"),
        ("node_type", "/node_type"),
        ("shape", "/shape"),
        ("data_type", "/data_type"),
        ("chunk_grid", "/chunk_grid"),
        ("chunk_key_encoding", "/chunk_key_encoding"),
        ("fill_value", "/fill_value"),
        ("codecs", "/codecs"),
    ] {
        check(member, read(changed(array(), member, None).to_string().as_bytes()), At(at));
    }
}

/// FMT-5: a repeated member is refused wherever it is interpreted.
#[test]
fn repeated_members() {
    let text = array().to_string();
    let again = |member: &str| format!("{},{member}}}", &text[..text.len() - 1]);
    check("top", read(again("\"shape\":[10,7]").as_bytes()), At("/shape"));
    check("attributes", read(again("\"attributes\":{\"a\":1,\"a\":1}").as_bytes()), At("/attributes/a"));
    check("extra", read(again("\"x\":{\"must_understand\":false,\"must_understand\":false}").as_bytes()), At("/x/must_understand"));
    let deep = text.replace("\"endian\":\"little\"", "\"endian\":\"little\",\"endian\":\"little\"");
    assert_ne!(deep, text);
    check("codecs", read(deep.as_bytes()), At("/codecs/0/configuration/endian"));
    let wide = text.replace("[10,7]", "[10,99999999999999999999]");
    check("an integer of 67 bits", read(wide.as_bytes()), At("/shape/1"));
    let out_of_range = text.replace("[10,7]", "[10,1e999]");
    check("a number beyond float64", read(out_of_range.as_bytes()), At("/shape/1"));
}

/// FMT-40, FMT-41.
#[test]
fn groups() {
    for (member, value, expected) in [
        ("zarr_format", json!(2), Unsupported("zarr_format 2")),
        ("attributes", json!(3), At("/attributes")),
        ("shape", json!([]), At("/shape")),
        ("note", json!({"must_understand": true}), At("/note")),
        ("consolidated_metadata", json!(3), At("/consolidated_metadata")),
        ("consolidated_metadata", json!({"kind": "inline", "metadata": {}}), At("/consolidated_metadata/must_understand")),
        (
            "consolidated_metadata",
            json!({"kind": "inline", "must_understand": true, "metadata": {}}),
            At("/consolidated_metadata/must_understand"),
        ),
    ] {
        let shown = format!("{member}: {value}");
        check(&shown, read(changed(group(), member, Some(value)).to_string().as_bytes()), expected);
    }
    let quiet = changed(group(), "consolidated_metadata", Some(Value::Null));
    assert!(!read_group(&quiet.to_string()).is_consolidated());
}

/// FMT-41, FMT-42: a group opens with whatever may be ignored; the fault shows when it is used.
#[test]
fn consolidated_metadata() {
    let read = |consolidated: Value| {
        let group = changed(group(), "consolidated_metadata", Some(consolidated));
        read_group(&group.to_string()).consolidated()
    };
    let inline = |metadata: Value| read(json!({"kind": "inline", "must_understand": false, "metadata": metadata}));
    check("kind", read(json!({"kind": "sidecar", "must_understand": false})), Unsupported("sidecar"));
    check("no kind", read(json!({"must_understand": false, "metadata": {}})), At("/consolidated_metadata/kind"));
    check("no metadata", read(json!({"kind": "inline", "must_understand": false})), At("/consolidated_metadata/metadata"));
    check("list", inline(json!([])), At("/consolidated_metadata/metadata"));
    check("null", inline(json!(null)), At("/consolidated_metadata/metadata"));
    for (path, at) in [
        ("", "/consolidated_metadata/metadata/"),
        ("/a", "/consolidated_metadata/metadata/~1a"),
        ("a/", "/consolidated_metadata/metadata/a~1"),
        ("a//b", "/consolidated_metadata/metadata/a~1~1b"),
        ("../a", "/consolidated_metadata/metadata/..~1a"),
        ("a/./b", "/consolidated_metadata/metadata/a~1.~1b"),
        ("a\0", "/consolidated_metadata/metadata/a\0"),
    ] {
        check(path, inline(json!({path: group()})), At(at));
    }
    let broken = inline(json!({"good": group(), "bad": 3, "worse/x": changed(array(), "shape", Some(json!("?")))})).unwrap().unwrap();
    assert!(matches!(broken.node("good"), Ok(Some(NodeMetadata::Group(_)))));
    check("bad", broken.node("bad"), At("/consolidated_metadata/metadata/bad"));
    check("worse", broken.node("worse/x"), At("/consolidated_metadata/metadata/worse~1x/shape"));
}
