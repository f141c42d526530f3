//! Documents as zarr-python 3.1.6 writes them.

use super::*;

/// Name and text of each.
const DOCUMENTS: [(&str, &str); 10] = [
    ("plain", include_str!("../../../tests/golden/plain.json")),
    ("bytes", include_str!("../../../tests/golden/bytes.json")),
    ("sharded", include_str!("../../../tests/golden/sharded.json")),
    ("complex", include_str!("../../../tests/golden/complex.json")),
    ("scalar", include_str!("../../../tests/golden/scalar.json")),
    ("transposed", include_str!("../../../tests/golden/transposed.json")),
    ("big", include_str!("../../../tests/golden/big.json")),
    ("leaf", include_str!("../../../tests/golden/leaf.json")),
    ("group", include_str!("../../../tests/golden/group.json")),
    ("consolidated", include_str!("../../../tests/golden/consolidated.json")),
];

fn golden(name: &str) -> &'static str {
    DOCUMENTS.iter().find(|(other, _)| *other == name).unwrap().1
}

fn golden_array(name: &str) -> ArrayDocument {
    match read(golden(name).as_bytes()) {
        Ok(NodeDocument::Array(array)) => *array,
        other => panic!("{name}: {other:?}"),
    }
}

/// Character for character what zarr-python writes, but for the empty list of storage transformers (FMT-18).
#[test]
fn written_as_they_were_read() {
    for (name, text) in DOCUMENTS {
        let written = match read(text.as_bytes()).unwrap() {
            NodeDocument::Array(array) => array.to_object().to_document().unwrap(),
            NodeDocument::Group(group) => group.to_bytes().unwrap(),
        };
        let expected = if name == "consolidated" { text.to_owned() } else { text.replace(",\n  \"storage_transformers\": []", "") };
        assert_eq!(String::from_utf8(written).unwrap(), expected, "{name}");
    }
}

#[test]
fn arrays_say_what_was_meant() {
    let plain = golden_array("plain");
    assert_eq!((plain.grid.array_shape(), plain.grid.chunk_shape(), &plain.data_type), (&[10, 7][..], &[4, 7][..], &DataType::Float32));
    assert_eq!(plain.fill.as_bytes(), 0x7fc0_0000_u32.to_ne_bytes());
    assert_eq!(plain.codecs.iter().map(|codec| codec.name.as_str()).collect::<Vec<_>>(), ["bytes", "zstd"]);
    assert_eq!(golden_array("bytes").dimension_names, Some(vec![Some("x".to_owned())]));
    assert_eq!(golden_array("complex").key_encoding, ChunkKeyEncoding::V2 { separator: '.' });
    assert_eq!(golden_array("scalar").fill.as_bytes(), [1]);
    assert_eq!(golden_array("transposed").fill.as_bytes(), 0x2e66_u16.to_ne_bytes());
    assert_eq!(golden_array("big").fill.as_bytes(), (-0.0_f64).to_ne_bytes());
    assert_eq!(golden_array("leaf").fill.as_bytes(), [0xff; 8]);

    let sharded = golden_array("sharded");
    assert_eq!(sharded.fill.as_bytes(), i64::MIN.to_ne_bytes());
    assert_eq!(sharded.attributes.to_map().unwrap()["deep"]["a"][3], json!("é"));
    let layout = Layout::from_codecs(sharded.grid.chunk_shape(), &sharded.codecs);
    assert_eq!((layout.chunk_shape.clone(), layout.shard_shape.clone()), (vec![10, 20], Some(vec![50, 100])));
    assert_eq!(layout.to_codecs(2, &DataType::Int16).unwrap(), (sharded.grid.chunk_shape().to_vec(), sharded.codecs));
}

#[test]
fn consolidated_metadata_are_those_of_the_nodes() {
    let group = read_group(golden("consolidated"));
    assert!(group.is_consolidated());
    let consolidated = group.consolidated().unwrap().unwrap();
    let paths: Vec<_> = consolidated.paths().collect();
    assert_eq!(paths, ["big", "bytes", "child", "child/leaf", "complex", "plain", "scalar", "sharded", "transposed"]);
    assert!(consolidated.node("nothing").unwrap().is_none());
    match consolidated.node("child").unwrap() {
        Some(NodeMetadata::Group(child)) => assert!(child.consolidated().unwrap().unwrap().paths().next().is_none()),
        other => panic!("{other:?}"),
    }
    assert!(!group.with_consolidated(None).unwrap().is_consolidated());
}

/// Cut short anywhere, or with any bit turned over, a document is read or refused, never more.
#[test]
fn damage_is_survived() {
    let text = golden("sharded").as_bytes();
    for cut in 0..text.len() {
        assert!(read(&text[..cut]).is_err(), "{cut}");
    }
    let whole = read(text).unwrap();
    let mut changed = 0;
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut damaged = text.to_vec();
            damaged[at] ^= 1_u8 << bit;
            changed += usize::from(read(&damaged).ok().is_none_or(|document| document != whole));
        }
    }
    assert!(changed > text.len(), "{changed}");
}
