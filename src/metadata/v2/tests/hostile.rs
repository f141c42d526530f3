//! Documents of Zarr v2 that were changed at random: an error or an array, never a panic, and nothing that depends on what they claim.

use proptest::prelude::*;

use super::*;

/// Documents to begin with.
fn seeds() -> Vec<String> {
    let mut documents = vec![zarray().to_string()];
    for (member, value) in [
        ("order", json!("F")),
        ("dtype", json!([["a", "<i4"], ["b", ">f8", [2]]])),
        ("dtype", json!("<M8[ns]")),
        ("dtype", json!("|b1")),
        ("filters", json!([{"id": "quantize", "digits": 2, "dtype": "<f4", "astype": "<f2"}, {"id": "crc32"}])),
        ("fill_value", json!("-Infinity")),
        ("filters", json!([{"id": "delta", "dtype": "<f4", "astype": ">f4"}, {"id": "shuffle", "elementsize": 4}])),
        ("filters", json!([{"id": "fixedscaleoffset", "scale": 10, "offset": 1.5, "dtype": "<f4", "astype": "|u1"}])),
        ("compressor", json!({"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": -1, "blocksize": 0})),
        ("compressor", json!({"id": "lzma", "format": 1, "check": -1, "preset": null, "filters": null})),
    ] {
        let mut document = zarray();
        document[member] = value;
        documents.push(document.to_string());
    }
    let mut object = zarray();
    (object["dtype"], object["filters"]) = (json!("|O"), json!([{"id": "vlen-utf8"}]));
    documents.push(object.to_string());
    documents
}

/// Tokens that mean something somewhere.
const TOKENS: [&str; 16] = [
    "null",
    "NaN",
    "-Infinity",
    "18446744073709551616",
    "-1",
    "0",
    "1e999",
    "\"\"",
    "[]",
    "{}",
    "\"|O\"",
    "\"<U99999999999\"",
    "[[[[[[]]]]]]",
    "{\"id\":\"vlen-utf8\"}",
    "9223372036854775807",
    "\"\\ud800\"",
];

proptest! {
    /// FMT-V2-3.
    #[test]
    fn changed_documents_never_panic(seed in 0_usize..13, edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..20, any::<u8>()), 1..6)) {
        let seeds = seeds();
        let mut document = seeds[seed.min(seeds.len() - 1)].clone().into_bytes();
        for (at, what, byte) in edits {
            let at = at.index(document.len().max(1)).min(document.len().saturating_sub(1));
            match (what, TOKENS.get(what)) {
                (_, Some(token)) => {
                    // In the place of the value that begins here or later.
                    let from = (at..document.len()).find(|&at| document[at] == b':').map_or(at, |at| at + 1);
                    let to = (from..document.len()).find(|&at| b",}]".contains(&document[at])).unwrap_or(document.len());
                    document.splice(from..to, token.bytes());
                }
                (16, _) => { document.truncate(at); }
                (17, _) => { document.insert(at, byte); }
                _ => if let Some(old) = document.get_mut(at) { *old = byte; },
            }
        }
        if let Ok(metadata) = ArrayMetadata::from_v2(&document, Some(&document)) {
            // What is read can be written as Zarr v3, and says the same there.
            let bytes = metadata.to_bytes().unwrap();
            let Ok(NodeMetadata::Array(again)) = NodeMetadata::from_bytes(&bytes) else { panic!("{}", String::from_utf8_lossy(&bytes)) };
            prop_assert_eq!(again.to_bytes().unwrap(), bytes);
            prop_assert_eq!(again.shape(), metadata.shape());
        }
        let _ = GroupMetadata::from_v2(&document, Some(&document), Some(&document)).map(|group| group.consolidated());
        let wrapped = [b"{\"zarr_consolidated_format\": 1, \"metadata\": {\"a/.zarray\": ".as_slice(), &document, b"}}"].concat();
        let _ = GroupMetadata::from_v2(b"{\"zarr_format\":2}", None, Some(&wrapped)).unwrap().consolidated();
    }
}

/// FMT-1 and FMT-4 hold for documents of Zarr v2 as well.
#[test]
fn documents_are_limited() {
    let mut large = zarray().to_string().into_bytes();
    large.resize((16 << 20) + 1, b' ');
    assert!(fault(ArrayMetadata::from_v2(&large, None)).1.contains("16777216"));
    assert!(fault(ArrayMetadata::from_v2(zarray().to_string().as_bytes(), Some(&large))).1.contains("16777216"));
    let deep = format!("{{\"a\": {}{}}}", "[".repeat(127), "]".repeat(127));
    assert!(fault(ArrayMetadata::from_v2(zarray().to_string().as_bytes(), Some(deep.as_bytes()))).1.contains("127 levels"));
    let tokens = format!("{{\"a\": [{}NaN]}}", "NaN,".repeat(4_000_000));
    assert!(fault(GroupMetadata::from_v2(b"{\"zarr_format\":2}", Some(tokens.as_bytes()), None)).1.contains("16777216"));
}
