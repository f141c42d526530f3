//! Writing is the inverse of reading, for any document.

use proptest::prelude::*;

use super::*;
use crate::dtype::tests::elements;
use crate::grid::{ChunkGrid, EdgeRuns, Edges};

fn json_object() -> impl Strategy<Value = serde_json::Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let value = prop_oneof![leaf.clone(), prop::collection::vec(leaf, 0..3).prop_map(Value::from)];
    prop::collection::btree_map(".{0,8}", value, 0..4).prop_map(|map| map.into_iter().collect())
}

fn key_encodings() -> impl Strategy<Value = ChunkKeyEncoding> {
    prop_oneof![Just('/'), Just('.')]
        .prop_flat_map(|separator| prop_oneof![Just(ChunkKeyEncoding::Default { separator }), Just(ChunkKeyEncoding::V2 { separator })])
}

fn documents() -> impl Strategy<Value = ArrayDocument> {
    let edges = prop_oneof![
        (1_u64..1000).prop_map(Edges::Repeat),
        // Runs that reach as far as any axis does.
        (prop::collection::vec((1_u64..9, 1_u64..9), 0..4), 1_u64..1000).prop_map(|(mut runs, edge)| {
            runs.push((edge, (u64::MAX - 1000) / edge));
            Edges::List(EdgeRuns::new(runs).unwrap())
        }),
    ];
    let axis = || (prop_oneof![0_u64..1000, 0..u64::MAX - 2000], edges.clone(), prop::option::of(".{0,4}"));
    let codec = ("[a-z][a-z0-9_.-]{0,8}", json_object()).prop_map(|(name, configuration)| NamedConfig::new(&name, configuration));
    (
        prop::collection::vec(axis(), 0..4),
        elements(),
        key_encodings(),
        prop::collection::vec(codec, 1..4),
        json_object(),
        any::<bool>(),
        prop::collection::btree_map("x[a-z/~]{0,4}", json_object(), 0..3),
    )
        .prop_map(|(axes, (data_type, bytes), key_encoding, codecs, attributes, named, extra)| {
            let extra = extra.into_iter().map(|(name, mut object)| {
                object.insert("must_understand".to_owned(), Value::Bool(false));
                (name, Value::Object(object))
            });
            ArrayDocument {
                raw_bytes: false,
                grid: ChunkGrid::rectilinear(
                    axes.iter().map(|axis| axis.0).collect::<Vec<_>>(),
                    axes.iter().map(|axis| axis.1.clone()).collect::<Vec<_>>(),
                )
                .unwrap(),
                dimension_names: named.then(|| axes.iter().map(|axis| axis.2.clone()).collect()),
                fill: FillValue::from_bytes(&data_type, &bytes).unwrap(),
                data_type,
                key_encoding,
                codecs,
                attributes: Attributes::from_map(attributes).unwrap(),
                extra: Members::parse(&Value::Object(extra.collect()).to_string()).unwrap(),
            }
        })
}

proptest! {
    #[test]
    fn array_documents(document in documents()) {
        let bytes = document.to_object().to_document().unwrap();
        let again = match read(&bytes) {
            Ok(NodeDocument::Array(array)) => *array,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(&again, &document);
        prop_assert_eq!(again.to_object().to_document().unwrap(), bytes);
    }

    #[test]
    fn group_documents(attributes in json_object(), children in prop::collection::btree_map("[a-z]{1,3}(/[a-z]{1,3}){0,2}", json_object(), 0..4), bare in any::<bool>()) {
        let group = |attributes| GroupMetadata::new(Attributes::from_map(attributes).unwrap());
        let nodes: Vec<_> = children.into_iter().map(|(path, map)| (path, NodeMetadata::Group(Box::new(group(map))))).collect();
        let consolidated = Consolidated::from_nodes(nodes.iter().map(|(path, node)| (path.as_str(), node))).unwrap();
        let document = group(attributes).with_consolidated((!bare).then_some(&consolidated)).unwrap();

        let bytes = document.to_bytes().unwrap();
        let again = read_group(std::str::from_utf8(&bytes).unwrap());
        prop_assert_eq!(&again, &document);
        if let Some(read) = again.consolidated().unwrap() {
            prop_assert!(read.paths().eq(nodes.iter().map(|(path, _)| path.as_str())));
            for (path, node) in &nodes {
                match (read.node(path).unwrap(), node) {
                    (Some(NodeMetadata::Group(read)), NodeMetadata::Group(node)) => {
                        prop_assert_eq!(read.attributes().to_map().unwrap(), node.attributes().to_map().unwrap());
                    }
                    other => panic!("{other:?}"),
                }
            }
        } else {
            prop_assert!(bare);
        }
    }
}

/// FMT-43: a group does not carry the other's documents along once more.
#[test]
fn consolidated_metadata_do_not_nest() {
    let leaf = NodeMetadata::Group(Box::default());
    let inner = Consolidated::from_nodes([("leaf", &leaf)]).unwrap();
    let child = NodeMetadata::Group(Box::new(GroupMetadata::default().with_consolidated(Some(&inner)).unwrap()));
    let outer = Consolidated::from_nodes([("child", &child), ("child/leaf", &leaf)]).unwrap();
    match outer.node("child").unwrap() {
        Some(NodeMetadata::Group(child)) => assert!(!child.is_consolidated()),
        other => panic!("{other:?}"),
    }
    let text = String::from_utf8(GroupMetadata::default().with_consolidated(Some(&outer)).unwrap().to_bytes().unwrap()).unwrap();
    let expected = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&text).unwrap()).unwrap();
    assert_eq!(text, expected, "indented as one document");
    assert!(Consolidated::from_nodes([("a//b", &leaf)]).is_err());
}
