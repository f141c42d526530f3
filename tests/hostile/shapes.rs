//! Shapes, grids, data types, fill values and lists of codecs that contradict themselves, or that are larger than any machine.

use serde_json::{Value, json};

use super::stores::{Case, Want, array, with};

fn regular(chunk_shape: Value) -> Value {
    json!({"name": "regular", "configuration": {"chunk_shape": chunk_shape}})
}

/// An array that is legal though it has more elements, or larger chunks, than anything: a box of it is fill, and a check is done at once.
fn vast(name: &str, members: Value, get: &str, prints: &str) -> Case {
    let document = with(members);
    let wants = vec![
        Want::prints(&format!("get s{get}"), prints),
        Want::works("tree s", &["uint8"]),
        Want::works("info s", &["uint8"]),
        Want::works("check s", &["0 errors, 0 warnings"]),
    ];
    Case::new(name, move |root| super::stores::write(root, "s/zarr.json", document.to_string()), wants)
}

pub(crate) fn cases() -> Vec<Case> {
    [shapes(), grids(), keys(), fills()].into_iter().flatten().collect()
}

fn shapes() -> Vec<Case> {
    let max = u64::MAX;
    let ones = |rank: usize| vec![1_u64; rank];
    vec![
        Case::unsupported("rank 33", json!({"shape": ones(33), "chunk_grid": regular(json!(ones(33)))}), "rank 33"),
        Case::unsupported(
            "rank 100,000",
            json!({"shape": vec![1; 100_000], "chunk_grid": regular(json!(vec![1; 100_000]))}),
            "rank 100000",
        ),
        Case::document("rank 0 with chunks of rank 1", json!({"shape": []}), "/chunk_grid"),
        vast("rank 0", json!({"shape": [], "chunk_grid": regular(json!([]))}), "", "7\n"),
        vast("rank 32", json!({"shape": ones(32), "chunk_grid": regular(json!(ones(32)))}), "", "7\n"),
        vast("no elements", json!({"shape": [0]}), "", ""),
        vast("no elements of 2^64 - 1", json!({"shape": [0, max], "chunk_grid": regular(json!([4, 4]))}), "", ""),
        vast("2^64 - 1 elements", json!({"shape": [max]}), "[-2:]", "7 7\n"),
        vast("2^128 elements", json!({"shape": [max, max], "chunk_grid": regular(json!([4, 4]))}), "[-1,-2:]", "7 7\n"),
        vast(
            "2^2048 elements",
            json!({"shape": vec![max; 32], "chunk_grid": regular(json!(ones(32)))}),
            "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-1]",
            "7\n",
        ),
        vast("2^62 chunks of one element", json!({"shape": [1_u64 << 62], "chunk_grid": regular(json!([1]))}), "[1:3]", "7 7\n"),
        vast("a chunk 2^40 times as large as the array", json!({"chunk_grid": regular(json!([1_u64 << 43]))}), "", "7 7 7 7 7 7 7 7\n"),
        vast("a chunk of 2^63 - 1 bytes", json!({"chunk_grid": regular(json!([i64::MAX]))}), "", "7 7 7 7 7 7 7 7\n"),
        Case::document("a chunk of 2^63 bytes", json!({"chunk_grid": regular(json!([1_u64 << 63]))}), "/chunk_grid"),
        Case::document("a chunk of 2^64 bytes", json!({"data_type": "uint64", "chunk_grid": regular(json!([1_u64 << 61]))}), "/chunk_grid"),
        Case::document("a chunk of 2^128 elements", json!({"shape": [8, 8], "chunk_grid": regular(json!([max, max]))}), "/chunk_grid"),
    ]
}

fn grids() -> Vec<Case> {
    let rectilinear = |edges: Value| json!({"name": "rectilinear", "configuration": {"kind": "inline", "chunk_shapes": edges}});
    let grid = |name: &str, grid: Value| Case::document(name, json!({"chunk_grid": grid}), "/chunk_grid");
    let huge: Vec<Value> = (0..200_000).map(|_| json!([1, 1_u64 << 60])).collect();
    vec![
        grid("a chunk of 0", regular(json!([0]))),
        grid("a chunk of -4", regular(json!([-4]))),
        grid("a chunk of 4.0", regular(json!([4.0]))),
        grid("chunks of another rank", regular(json!([4, 4]))),
        grid("chunks that are a number", regular(json!(4))),
        grid("a grid without chunks", json!({"name": "regular"})),
        grid("a grid with another member", json!({"name": "regular", "configuration": {"chunk_shape": [4], "x": 1}})),
        Case::unsupported("a grid that is not known", json!({"chunk_grid": {"name": "hexagonal"}}), "hexagonal"),
        grid("rectilinear edges that do not reach the end", rectilinear(json!([[4, 3]]))),
        grid("a rectilinear edge of 0", rectilinear(json!([[4, 0, 4]]))),
        grid("rectilinear edges of another rank", rectilinear(json!([[4, 4], [4, 4]]))),
        grid("a rectilinear run of 0", rectilinear(json!([[[4, 0], 8]]))),
        grid("rectilinear edges that pass 2^64", rectilinear(json!([huge]))),
        grid("rectilinear edges that are text", rectilinear(json!(["4"]))),
        grid(
            "rectilinear edges of another kind",
            json!({"name": "rectilinear", "configuration": {"kind": "remote", "chunk_shapes": [[4, 4]]}}),
        ),
        Case::legal("rectilinear edges", json!({"chunk_grid": rectilinear(json!([[4, 3, 1]]))}))
            .but("rechunk")
            .but("get")
            .and(Want::prints("get s", super::stores::ELEMENTS)),
        vast(
            "2^60 rectilinear chunks",
            json!({"shape": [1_u64 << 60], "chunk_grid": rectilinear(json!([[[1, 1_u64 << 60]]]))}),
            "[-2:]",
            "7 7\n",
        ),
    ]
}

fn keys() -> Vec<Case> {
    let encoding = |separator: &str| json!({"chunk_key_encoding": {"name": "default", "configuration": {"separator": separator}}});
    let mut cases: Vec<Case> = ["", "x", "//", "..", "/../", "\0", "\\", "../../../../etc/passwd"]
        .iter()
        .map(|separator| Case::document(&format!("chunk keys joined by {separator:?}"), encoding(separator), "/chunk_key_encoding"))
        .collect();
    cases.push(Case::document("chunk keys without a name", json!({"chunk_key_encoding": {}}), "/chunk_key_encoding"));
    cases.push(Case::unsupported("chunk keys that are not known", json!({"chunk_key_encoding": {"name": "fanout"}}), "fanout"));
    cases
}

fn fills() -> Vec<Case> {
    let bad = [
        ("uint8", json!(256)),
        ("uint8", json!(-1)),
        ("uint8", json!(1.5)),
        ("uint8", json!("7")),
        ("uint8", json!(null)),
        ("uint8", json!([7])),
        ("int8", json!(128)),
        ("uint64", json!(18_446_744_073_709_551_615_u64 as f64 * 2.0)),
        ("bool", json!(1)),
        ("bool", json!("true")),
        ("float32", json!("0x7fc0000")),
        ("float32", json!("0x7fc000000")),
        ("float32", json!("0xg0000000")),
        ("float32", json!("-NaN")),
        ("float32", json!(1e39)),
        ("float64", json!("1.0")),
        ("complex64", json!([1.0])),
        ("complex64", json!([1.0, 2.0, 3.0])),
        ("complex64", json!(1.0)),
        ("r16", json!([1])),
        ("r16", json!([1, 256])),
        ("r16", json!("AAAA")),
    ];
    let of = |(data_type, fill): &(&str, Value)| {
        Case::document(&format!("{data_type} filled with {fill}"), json!({"data_type": data_type, "fill_value": fill}), "/fill_value")
    };
    let mut cases: Vec<Case> = bad.iter().map(of).collect();
    for data_type in ["r0", "r7", "r8388608", "r08", "r99999999999999999999999"] {
        cases.push(Case::document(&format!("data type {data_type}"), json!({"data_type": data_type}), "/data_type"));
    }
    for data_type in ["r-8", "R8", "uint", "int128", "<u1"] {
        cases.push(Case::unsupported(&format!("data type {data_type}"), json!({"data_type": data_type}), "data type"));
    }
    cases.push(Case::document("a data type that is a number", json!({"data_type": 8}), "/data_type"));
    let nan = with(
        json!({"data_type": "float32", "fill_value": "0xffc00001", "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}]}),
    );
    let wants = vec![Want::prints("get s[4:6]", "0xffc00001 0xffc00001\n"), Want::works("check s", &["0 errors"])];
    cases.push(Case::new("a NaN with a payload", move |root| array(root, nan.to_string(), &[0; 16]), wants));
    cases
}

/// Lists of codecs.
pub(crate) fn codec_lists() -> Vec<Case> {
    let name = |name: &str| json!({"name": name});
    let with_configuration = |name: &str, configuration: Value| json!({"name": name, "configuration": configuration});
    let bytes = name("bytes");
    let transpose = |order: Value| with_configuration("transpose", json!({"order": order}));
    let shard = |inner: Value, codecs: Value, index: Value| {
        with_configuration("sharding_indexed", json!({"chunk_shape": inner, "codecs": codecs, "index_codecs": index}))
    };
    let index = json!([with_configuration("bytes", json!({"endian": "little"})), name("crc32c")]);
    let nested = (0..100).fold(json!([bytes]), |codecs, _| json!([shard(json!([4]), codecs, index.clone())]));
    let bad: Vec<(&str, Value)> = vec![
        ("no codecs", json!([])),
        ("codecs that are an object", json!({"name": "bytes"})),
        ("codecs without one for bytes", json!([name("crc32c")])),
        ("two codecs for bytes", json!([bytes, bytes])),
        ("compression before bytes", json!([name("gzip"), bytes])),
        ("transposition behind bytes", json!([bytes, transpose(json!([0]))])),
        ("transposition by an axis twice", json!([transpose(json!([0, 0])), bytes])),
        ("transposition by no axis", json!([transpose(json!([])), bytes])),
        ("transposition by an axis too much", json!([transpose(json!([0, 1])), bytes])),
        ("transposition by an axis that is not there", json!([transpose(json!([1])), bytes])),
        ("transposition by 2^64 - 1", json!([transpose(json!([u64::MAX])), bytes])),
        ("transposition by text", json!([transpose(json!("X")), bytes])),
        ("a byte order in the middle", json!([with_configuration("bytes", json!({"endian": "middle"}))])),
        ("gzip of level 10", json!([bytes, with_configuration("gzip", json!({"level": 10}))])),
        ("gzip of level -1", json!([bytes, with_configuration("gzip", json!({"level": -1}))])),
        ("gzip of level 5.5", json!([bytes, with_configuration("gzip", json!({"level": 5.5}))])),
        ("zstd of level 1000000000", json!([bytes, with_configuration("zstd", json!({"level": 1_000_000_000}))])),
        ("zstd with a checksum of 1", json!([bytes, with_configuration("zstd", json!({"level": 1, "checksum": 1}))])),
        ("a configuration that is a list", json!([{"name": "bytes", "configuration": []}])),
        ("a member of a configuration that is not known", json!([with_configuration("bytes", json!({"x": 1}))])),
        ("a codec without a name", json!([{"configuration": {}}])),
        ("a codec with a number for a name", json!([{"name": 3}])),
        ("a checksum with a configuration", json!([bytes, with_configuration("crc32c", json!({"level": 1}))])),
        ("inner chunks that do not divide", json!([shard(json!([3]), json!([bytes]), index.clone())])),
        ("inner chunks of 0", json!([shard(json!([0]), json!([bytes]), index.clone())])),
        ("inner chunks larger than the shard", json!([shard(json!([8]), json!([bytes]), index.clone())])),
        ("inner chunks of another rank", json!([shard(json!([2, 2]), json!([bytes]), index.clone())])),
        ("a shard without codecs", json!([shard(json!([2]), json!([]), index.clone())])),
        ("an index without codecs", json!([shard(json!([2]), json!([bytes]), json!([]))])),
        ("an index that is compressed", json!([shard(json!([2]), json!([bytes]), json!([index[0], name("zstd")]))])),
        ("an index with its checksum first", json!([shard(json!([2]), json!([bytes]), json!([name("crc32c"), index[0]]))])),
        (
            "an index in the middle",
            json!([with_configuration(
                "sharding_indexed",
                json!({"chunk_shape": [2], "codecs": [bytes], "index_codecs": index, "index_location": "middle"})
            )]),
        ),
    ];
    let mut cases: Vec<Case> = bad.into_iter().map(|(name, codecs)| Case::document(name, json!({"codecs": codecs}), "/codecs")).collect();
    cases.extend(too_much(nested, &bytes, &shard(json!([1]), json!([bytes]), index)));
    cases
}

/// What is legal, and more than there is room for.
fn too_much(nested: Value, bytes: &Value, shard: &Value) -> Vec<Case> {
    let many = json!(std::iter::once(bytes.clone()).chain((0..32).map(|_| json!({"name": "crc32c"}))).collect::<Vec<_>>());
    let wide = json!({"shape": [1_u64 << 40], "chunk_grid": regular(json!([1_u64 << 40])), "codecs": [shard]});
    vec![
        Case::unsupported("shards nested 100 deep", json!({"codecs": nested}), "s/zarr.json").but("check"),
        Case::unsupported("33 codecs", json!({"codecs": many}), "33 codecs"),
        Case::unsupported("2^40 inner chunks", wide, "inner chunks"),
        Case::document("a byte order that is missing", json!({"data_type": "int32"}), "/codecs"),
    ]
}
