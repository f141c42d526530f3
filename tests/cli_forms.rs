//! The commands on arrays of less common forms: strings, rectilinear grids, codecs of numcodecs.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/trees.rs"]
mod trees;

use cli::{prints, prints_json, refuses};
use rezarr::{Array, Region};
use serde_json::json;

use trees::directory;

#[test]
fn strings_are_made_looked_at_rechunked_and_compared() {
    let root = directory();
    let at = root.path();
    assert_eq!(prints(at, "create names --shape 2,3 --dtype string --chunks 2,2 --codec zstd:1 --fill ?"), "");
    Array::open(at.join("names")).unwrap().write_strings(&Region::new([0, 0], [1, 3]).unwrap(), &["a b", "", "\"ü\""]).unwrap();
    let text = "\"a b\" \"\" \"\\\"ü\\\"\"\n\"?\" \"?\" \"?\"\n";
    assert_eq!(prints(at, "get names"), text);
    assert_eq!(prints(at, "get names[0,1:]"), "\"\" \"\\\"ü\\\"\"\n");
    refuses(at, "get names --raw", 2, "names: elements are string, which have no size to tell them apart as raw bytes; leave --raw away");
    let info = prints_json(at, "info names --json");
    assert_eq!((&info["data_type"], &info["codecs"]), (&json!("string"), &json!("zstd:1")), "{info}");
    let report = prints_json(at, "rechunk names moved --chunks 1,all --json -q");
    assert_eq!(report["arrays"][0]["plan"]["strategy"], "gather", "{report}");
    assert_eq!(prints(at, "get moved"), text);
    assert!(prints(at, "verify names moved").contains("equal"));
}

#[test]
fn rectilinear_grids_are_asked_for_and_shown() {
    let root = directory();
    let at = root.path();
    prints(at, "create year --shape 100,4 --dtype int16 --chunks 10,4 --dims day,place");
    Array::open(at.join("year")).unwrap().write(&Region::new([58, 0], [2, 1]).unwrap(), &[58_i16, 59]).unwrap();
    let plan = prints_json(at, "plan year months --chunks day=31+28+31+30x2 --json");
    assert_eq!(plan[0]["plan"]["strategy"], "gather", "{plan}");
    prints(at, "rechunk year months --chunks day=31+28+31+30x2 -q");
    let info = prints_json(at, "info months --json");
    assert_eq!(info["chunk_edges"], json!(["31+28+31+30x2", "4"]), "{info}");
    assert_eq!(info["chunks"], 4);
    assert_eq!(prints(at, "get months[57:61,0]"), "0\n58\n59\n0\n");
    prints(at, "rechunk months again --chunks 10,4 -q");
    assert!(prints(at, "verify year again").contains("equal"));
    refuses(at, "rechunk year short --chunks day=31+28", 2, "year: axis 0: the chunk edges sum to 59, the axis has 100 elements");
    refuses(
        at,
        "rechunk year bad --chunks day=31+",
        2,
        "invalid value 'day=31+' for '--chunks <SPEC>': chunk edges \"31+\": accepted are lists such as 31+28+31 or 30x12; see --help",
    );
}
