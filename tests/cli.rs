//! Every command of the program: what is typed, and what comes out.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/trees.rs"]
mod trees;

use std::fs;
use std::io::Read;
use std::path::Path;

use cli::{Outcome, command, prints, prints_json, refuses, rezarr, start};
use rezarr::{Array, Attributes, Group, Region};
use serde_json::{Value, json};

use arrays::{create, elements, layout, metadata, read};
use trees::{directory, files, names};

/// A group `g` with the variable `tas` over time and place, a coordinate, and a group below.
fn group(root: &Path) {
    let group = Group::create(root.join("g"), Attributes::default()).unwrap();
    let named = |names: &[&str]| Some(names.iter().map(|name| Some((*name).to_owned())).collect());
    let tas =
        metadata(&[20, 30], "float32", "nan", &layout(&[5, 30], None, "zstd:1")).with_dimension_names(named(&["time", "place"])).unwrap();
    let time = metadata(&[20], "int64", "0", &layout(&[20], None, "none")).with_dimension_names(named(&["time"])).unwrap();
    for (name, metadata) in [("tas", tas), ("time", time)] {
        let data = elements(&metadata, 1);
        group
            .create_array(name, metadata)
            .unwrap()
            .write_bytes(&Region::whole(&[20, 30][..if name == "tas" { 2 } else { 1 }]), &data)
            .unwrap();
    }
    group.create_group("more", Attributes::default()).unwrap();
    let u = metadata(&[7], "uint8", "0", &layout(&[2], None, "none"));
    group.create_array("more/u", u).unwrap();
}

fn members(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn create_makes_an_array_and_says_nothing() {
    let root = directory();
    let at = root.path();
    let arguments =
        "create a --shape 100,30 --dtype f4 --chunks time=7,x=all --shards 14,all --codec gzip:2,crc32c --fill -1.5 --dims time,x";
    assert_eq!(prints(at, arguments), "");
    let array = Array::open(at.join("a")).unwrap();
    assert_eq!(array.metadata().layout(), layout(&[7, 30], Some(&[14, 30]), "gzip:2,crc32c"));
    assert_eq!(array.metadata().fill_value().as_bytes(), (-1.5_f32).to_ne_bytes());
    refuses(at, "create a --shape 1 --dtype int8", 2, "a: already exists; choose another name, or remove it first");
    refuses(
        at,
        "create b --shape 1,x --dtype int8",
        2,
        "invalid value '1,x' for '--shape <N,N,...>': \"1,x\": accepted are whole numbers with commas, as 3650,180,360; see --help",
    );
    assert_eq!(prints(at, "create deep/er/b --shape 5 --dtype bool"), "");
    assert_eq!(read(&at.join("deep/er/b")), [0; 5]);
}

#[test]
fn info_describes_an_array() {
    let root = directory();
    group(root.path());
    let expected = "\
Type               : Array
Zarr format        : 3
Data type          : float32
Fill value         : NaN
Shape              : (20, 30)
Chunk shape        : (5, 30)
Dimensions         : time, place
Codecs             : zstd:1
Store              : g/tas
No. bytes          : 2400 (2.3 KiB)
";
    let text = prints(root.path(), "info g/tas");
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("Chunks initialized : 4/4 (0 missing)\n"), "{text}");
    let info = prints_json(root.path(), "info g/tas --json");
    let wanted = json!({"node_type": "array", "zarr_format": 3, "data_type": "float32", "fill_value": "NaN", "shape": [20, 30],
        "chunk_shape": [5, 30], "dimension_names": ["time", "place"], "codecs": "zstd:1", "path": "g/tas", "bytes": 2400,
        "chunks_initialized": 4, "chunks": 4, "stored_bytes": info["stored_bytes"], "storage_ratio": info["storage_ratio"]});
    assert_eq!(info, wanted);
    fs::remove_file(root.path().join("g/tas/c/1/0")).unwrap();
    assert!(prints(root.path(), "info g/tas").contains("Chunks initialized : 3/4 (1 missing)\n"));
}

#[test]
fn info_and_tree_describe_a_group() {
    let root = directory();
    group(root.path());
    let info = prints_json(root.path(), "info g --json");
    let wanted = json!({"node_type": "group", "zarr_format": 3, "path": "g", "consolidated": false, "groups": ["more"],
        "arrays": ["tas", "time"], "attributes": {}});
    assert_eq!(info, wanted);
    let tree = "/\n├── more\n│   └── u (7,) uint8\n├── tas (20, 30) float32\n└── time (20,) int64\n";
    assert_eq!(prints(root.path(), "tree g"), tree);
    assert_eq!(prints(root.path(), "tree g -L 1"), "/\n├── more\n├── tas (20, 30) float32\n└── time (20,) int64\n");
    assert_eq!(prints(root.path(), "tree g/time"), "/ (20,) int64\n");
    let tree = prints_json(root.path(), "tree g --json");
    assert_eq!(members(&tree["children"]), ["more", "tas", "time"]);
    let u = json!({"node_type": "array", "shape": [7], "data_type": "uint8", "chunk_shape": [2]});
    assert_eq!(tree["children"]["more"]["children"]["u"], u);
}

#[test]
fn rechunk_prints_what_was_planned_beside_what_was_measured() {
    let root = directory();
    group(root.path());
    let text = prints(root.path(), "rechunk g h --chunks time=all,place=7 --threads 1");
    let lines: Vec<&str> = text.lines().collect();
    let expected = [
        "tas: direct with 1 threads",
        "                   planned      measured",
        "  decoded          2.3 KiB       2.3 KiB",
        "  encoded          2.7 KiB       2.7 KiB",
        "  spilled              0 B           0 B",
        "  files               <= 6             6",
    ];
    assert_eq!(lines[..6], expected, "{text}");
    assert!(lines[8].starts_with("2 arrays were moved as they are stored"), "{text}");
    assert!(lines[9].contains(" of processor time, peak memory ") && lines.len() == 10, "{text}");
    assert_eq!(prints(root.path(), "verify g h"), "equal: 3 arrays, 627 elements\n");
    assert_eq!(prints(root.path(), "rechunk g i --chunks time=3 -q"), "");
    assert_eq!(prints(root.path(), "rechunk g j --chunks time=3 --dry-run -q"), "");
    assert_eq!(names(root.path()), ["g", "h", "i"]);
}

const PLAN: [&str; 21] = [
    "strategy",
    "threads",
    "encode_threads",
    "budget_bytes",
    "memory",
    "memory_bytes",
    "peak_rss_bytes",
    "decoded_bytes",
    "visits",
    "visits_each",
    "encoded_bytes",
    "spilled_bytes",
    "read_bytes_estimate",
    "written_bytes_estimate",
    "files",
    "block",
    "partition",
    "partition_count",
    "levels",
    "estimated_seconds",
    "second",
];

#[test]
fn plan_and_dry_run_print_the_same_and_make_nothing() {
    let root = directory();
    group(root.path());
    let before = files(root.path());
    let arguments = "g h --chunks time=all,place=7 --memory 32MiB --threads 2";
    let text = prints(root.path(), &format!("plan {arguments}"));
    assert_eq!(prints(root.path(), &format!("rechunk {arguments} --dry-run")), text);
    for line in [
        "tas\n  strategy   direct with 2 threads",
        "of 32 MiB",
        "decoded",
        "spilled    0 B",
        "files      6",
        "predicted resident",
        "time: stored chunks are moved as they are, 2 files at most",
    ] {
        assert!(text.contains(line), "{line:?} is missing in {text}");
    }
    assert!(prints(root.path(), &format!("plan {arguments} -v")).contains("time\n  strategy   pass-through"));
    let plans = prints_json(root.path(), &format!("plan {arguments} --json"));
    assert_eq!(plans, prints_json(root.path(), &format!("rechunk {arguments} --dry-run --json")));
    let paths: Vec<_> = plans.as_array().unwrap().iter().map(|plan| plan["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["more/u", "tas", "time"]);
    assert_eq!(members(&plans[1]["plan"]), PLAN);
    let sum: u64 = plans[1]["plan"]["memory"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| share["count"].as_u64().unwrap() * share["each_bytes"].as_u64().unwrap())
        .sum();
    assert_eq!((plans[1]["plan"]["memory_bytes"].as_u64(), plans[1]["plan"]["budget_bytes"].as_u64()), (Some(sum), Some(32 << 20)));
    assert_eq!(files(root.path()), before);
}

/// Costs are measured when that is asked for, kept in the cache directory, and used by later runs.
#[test]
fn what_work_takes_is_measured_and_kept() {
    let root = directory();
    group(root.path());
    let cache = root.path().join("cache");
    let run = |arguments: &str| {
        let arguments = format!("{arguments} g/tas h --chunks 20,7 --json");
        let outcome: Outcome = command(root.path(), &arguments).env("XDG_CACHE_HOME", &cache).output().unwrap().into();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        let plans: Value = serde_json::from_str(&outcome.stdout).unwrap();
        (plans[0]["plan"]["estimated_seconds"].as_f64().unwrap(), outcome.stderr)
    };
    let (built_in, silent) = run("plan");
    assert_eq!(silent, "");
    let (_, told) = run("plan --calibrate");
    let kept = cache.join("rezarr/costs.json");
    assert!(told.contains("costs.json"), "{told}");
    let mut costs: Value = serde_json::from_slice(&fs::read(&kept).unwrap()).unwrap();
    for cost in costs.as_object_mut().unwrap().values_mut() {
        *cost = Value::from(1e8);
    }
    fs::write(&kept, costs.to_string()).unwrap();
    let (slow, silent) = run("plan");
    assert!(slow > 1000.0 * built_in && silent.is_empty(), "{slow} {silent}");
    fs::write(&kept, costs.to_string().replace("decode_ns", "decode")).unwrap();
    let (again, told) = run("rechunk --dry-run");
    assert!(told.contains("costs.json is not understood"), "{told}");
    assert!((again - built_in).abs() < 1e-12);
}

/// A part, in another type, under other names.
#[test]
fn a_part_is_cast_and_named_otherwise() {
    let root = directory();
    group(root.path());
    let whole = prints(root.path(), "get g/tas[2:5,-3:]");
    prints(root.path(), "rechunk g/tas b --select 2:5,-3: --dtype float64 --keys v2/ --no-sync -q");
    assert!(root.path().join("b/0/0").is_file());
    let info = prints_json(root.path(), "info b --json");
    assert_eq!((&info["data_type"], &info["shape"]), (&json!("float64"), &json!([3, 3])));
    let numbers = |text: &str| {
        let number = |line: &str| line.rsplit([' ', '\t']).next().unwrap().parse::<f32>().unwrap();
        text.lines().map(number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&prints(root.path(), "get b")), numbers(&whole));
    refuses(
        root.path(),
        "rechunk g/tas c --keys dots",
        2,
        "invalid value 'dots' for '--keys <KEYS>': accepted are default, default., v2 and v2/; see --help",
    );
}

/// The growth of a plan: four lines of a table, and the same in JSON.
#[test]
fn a_plan_says_how_it_grows() {
    let root = directory();
    group(root.path());
    let text = prints(root.path(), "plan g h --chunks time=all,place=7 --memory 32MiB");
    for factor in ["1x ", "10x ", "100x ", "1000x "] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(factor) && line.ends_with("direct")), "{factor}: {text}");
    }
    let plans = prints_json(root.path(), "plan g h --chunks time=all,place=7 --memory 32MiB --json");
    let grown = plans[1]["growth"].as_array().unwrap();
    let bytes: Vec<_> = grown.iter().map(|grown| grown["array_bytes"].as_u64().unwrap() / grown["factor"].as_u64().unwrap()).collect();
    assert!(bytes.len() == 4 && bytes.iter().all(|each| *each == bytes[0]), "{grown:?}");
}

#[test]
fn reports_and_verdicts_are_json_documents() {
    let root = directory();
    group(root.path());
    let report = prints_json(root.path(), "rechunk g/tas b --chunks 20,7 --json --no-sync --spill-dir . --threads 1");
    assert_eq!(members(&report), ["arrays", "resumed_bytes", "seconds", "cpu_seconds", "peak_rss_bytes", "warnings"]);
    let array = &report["arrays"][0];
    assert_eq!(members(array), ["path", "plan", "measured"]);
    assert_eq!(members(&array["plan"]), PLAN);
    let measured = [
        "seconds",
        "decoded_chunks",
        "decoded_bytes",
        "read_bytes",
        "encoded_bytes",
        "written_bytes",
        "files",
        "spilled_bytes",
        "spill_file_bytes",
    ];
    assert_eq!(members(&array["measured"]), measured);
    assert_eq!((array["measured"]["decoded_bytes"].as_u64(), array["measured"]["decoded_chunks"].as_u64()), (Some(2400), Some(4)));
    assert!(report["peak_rss_bytes"].as_u64().unwrap() > 1 << 20);
    let verdict = prints_json(root.path(), "verify g/tas b --json");
    assert_eq!(verdict, json!({"equal": true, "differences": [], "arrays": 1, "undecoded": 0, "elements": 600, "decoded_bytes": 2400}));
}

#[test]
fn progress_comes_as_json_lines_on_standard_error() {
    let root = directory();
    group(root.path());
    for arguments in ["rechunk g h --chunks time=all -q --progress json", "verify g h -q --progress json"] {
        let outcome = rezarr(root.path(), arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{outcome:?}");
        let events: Vec<Value> = outcome.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(!events.is_empty());
        for event in &events {
            let wanted = ["event", "array", "done_bytes", "total_bytes", "seconds", "bytes_per_second", "seconds_left"];
            assert_eq!(members(event), wanted);
        }
        let last = events.last().unwrap();
        assert_eq!((&last["event"], &last["done_bytes"]), (&json!("progress"), &last["total_bytes"]));
    }
    for mode in ["auto", "bar", "none"] {
        let outcome = rezarr(root.path(), &format!("rechunk g {mode} --chunks time=all -q --progress {mode}"));
        assert_eq!(outcome.code, Some(0));
        assert!(mode == "bar" || outcome.stderr.is_empty(), "{outcome:?}");
    }
}

#[test]
fn verify_answers_no_with_the_first_difference() {
    let root = directory();
    let at = root.path();
    group(at);
    prints(at, "rechunk g h --chunks time=all,place=4 -q");
    Array::open(at.join("h/tas")).unwrap().write(&Region::new([13, 5], [1, 1]).unwrap(), &[0.5_f32]).unwrap();
    let says_no = |arguments: &str, text: &str| {
        let outcome = rezarr(at, arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(1), text, ""), "{arguments}");
    };
    says_no("verify g h", "differs: tas: elements differ, the first found at [13, 5]\n");
    says_no("verify h g -q", "");
    let text = fs::read_to_string(at.join("g/time/zarr.json")).unwrap();
    fs::write(at.join("g/time/zarr.json"), text.replace("\"attributes\": {}", "\"attributes\": {\"units\": \"days\"}")).unwrap();
    says_no("verify g/time h/time", "differs: /: attributes differ\n");
    says_no("verify g/time g/more/u", "differs: /: data type int64 against uint8\n");
    says_no(
        "verify g g/time",
        "differs: more is only in g\ndiffers: more/u is only in g\ndiffers: tas is only in g\ndiffers: time is only in g\ndiffers: /: an array on one side, a group on the other\n",
    );
    prints(at, "create short --shape 6 --dtype uint8");
    says_no("verify short g/more/u", "differs: /: shape [6] against [7]\n");
    let verdict: Value = serde_json::from_str(&rezarr(at, "verify g h --json").stdout).unwrap();
    assert_eq!((&verdict["equal"], verdict["differences"].as_array().unwrap().len()), (&json!(false), 2));
}

#[test]
fn verify_compares_bits() {
    let root = directory();
    let at = root.path();
    for (name, values) in [("a", [f32::NAN, 0.0, -0.0]), ("same", [f32::NAN, 0.0, -0.0]), ("zero", [f32::NAN, -0.0, -0.0])] {
        let array = Array::create(at.join(name), metadata(&[3], "float32", "0", &layout(&[2], None, "none"))).unwrap();
        array.write(&Region::whole(&[3]), &values).unwrap();
    }
    assert_eq!(prints(at, "verify a same"), "equal: 1 arrays, 3 elements\n");
    let outcome = rezarr(at, "verify a zero");
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), "differs: /: elements differ, the first found at [1]\n"));
}

#[test]
fn get_prints_text_and_writes_bytes() {
    let root = directory();
    let at = root.path();
    let array = Array::create(at.join("a"), metadata(&[3, 4], "int16", "0", &layout(&[2, 2], None, "big"))).unwrap();
    let values: Vec<i16> = (0..12).map(|n| n * 100 - 300).collect();
    array.write(&Region::whole(&[3, 4]), &values).unwrap();
    assert_eq!(prints(at, "get a"), "-300 -200 -100 0\n100 200 300 400\n500 600 700 800\n");
    assert_eq!(prints(at, "get a[1:,-2]"), "300\n700\n");
    assert_eq!(prints(at, "get a[2:1]"), "");
    let little = |values: &[i16]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    assert_eq!(prints(at, "get a[...,1:3] --raw -o out --memory 5"), "");
    let wanted = little(&[-200, -100, 200, 300, 600, 700]);
    assert_eq!(fs::read(at.join("out")).unwrap(), wanted);
    assert_eq!(prints(at, "get a[0,0] --raw -o out"), "");
    assert_eq!(fs::read(at.join("out")).unwrap(), little(&[-300]));
    for output in ["", " -o -", " -o /dev/stdout"] {
        let outcome = cli::command(at, &format!("get a[...,1:3] --raw{output}")).output().unwrap();
        assert_eq!((outcome.stdout, outcome.status.code()), (wanted.clone(), Some(0)), "{output}");
    }
    assert_eq!(names(at), ["a", "out"]);
}

#[test]
fn elements_are_printed_as_their_types_have_them() {
    let root = directory();
    let at = root.path();
    for (dtype, fill, printed, raw) in [
        ("M8[D]", "2000-02-29", "2000-02-29", &11_016_i64.to_le_bytes()[..]),
        ("numpy.datetime64[25us]", "NaT", "NaT", &i64::MIN.to_le_bytes()),
        ("m8[s]", "-3", "-3", &(-3_i64).to_le_bytes()),
        ("bfloat16", "0.1", "0.1", &[0xcd, 0x3d]),
        ("float8_e4m3fn", "nan", "NaN", &[0x7f]),
        ("complex_bfloat16", "[1,-0.0]", "[1.0,-0.0]", &[0x80, 0x3f, 0, 0x80]),
        ("int4", "-8", "-8", &[0xf8]),
        ("S3", "ab", "\"ab\"", b"ab\0"),
        ("U2", "\u{e9}", "\"\u{e9}\"", &[0xe9, 0, 0, 0, 0, 0, 0, 0]),
    ] {
        assert_eq!(prints(at, &format!("create {dtype} --shape 2 --dtype {dtype} --fill={fill}")), "");
        assert_eq!(prints(at, &format!("get {dtype}[0:2]")), format!("{printed} {printed}\n"));
        assert_eq!(prints(at, &format!("get {dtype}[0] --raw -o out")), "");
        assert_eq!(fs::read(at.join("out")).unwrap(), raw, "{dtype}");
        let info = prints_json(at, &format!("info {dtype} --json"));
        assert_eq!(info["fill_value"], printed, "{dtype}");
        assert_eq!(rezarr::DataType::parse(info["data_type"].as_str().unwrap()).unwrap(), rezarr::DataType::parse(dtype).unwrap());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let root = directory();
    prints(root.path(), "create a --shape 3000,1000 --dtype int32");
    for arguments in ["get a", "get a --raw"] {
        let mut child = start(root.path(), arguments);
        let mut few = [0; 10];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut few).unwrap();
        drop(stdout);
        let outcome: cli::Outcome = child.wait_with_output().unwrap().into();
        assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{arguments}");
    }
}

#[test]
fn overwrite_replaces_and_keeps_a_backup_if_asked() {
    let root = directory();
    let at = root.path();
    group(at);
    prints(at, "rechunk g/tas b --chunks 20,7 -q");
    let first = files(&at.join("b"));
    prints(at, "rechunk g/tas b --chunks 3,3 --overwrite -q");
    let second = files(&at.join("b"));
    assert_eq!(Array::open(at.join("b")).unwrap().metadata().chunk_shape(), [3, 3]);
    assert_eq!(names(at), ["b", "g"]);
    prints(at, "rechunk g/tas b --chunks 20,7 --overwrite --keep-backup -q");
    assert_eq!(names(at), ["b", "b.backup", "g"]);
    assert!(files(&at.join("b")) == first && files(&at.join("b.backup")) == second);
    prints(at, "rechunk g/tas new --chunks 20,7 --overwrite --keep-backup --no-sync -q");
    assert_eq!(names(at), ["b", "b.backup", "g", "new"]);
    // A backup is never written over.
    let outcome = rezarr(at, "rechunk g/tas b --chunks 2,2 --overwrite --keep-backup -q");
    assert_eq!((outcome.code, files(&at.join("b")) == first, files(&at.join("b.backup")) == second), (Some(2), true, true), "{outcome:?}");
    assert_eq!(names(at), ["b", "b.backup", "g", "new"]);
}

#[test]
fn the_demo_shows_the_main_job_on_a_small_survey() {
    let root = directory();
    let text = prints(root.path(), "demo --dir d --objects 3000 --epochs 12 --memory 32MiB");
    for part in [
        "Writing a survey of 3000 objects and 12 epochs",
        "all equal",
        "the same 48 values: yes",
        "12 chunk reads",
        "1 chunk reads",
        "xarray.open_zarr(",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
    assert_eq!(prints(root.path(), "verify d/by-epoch.zarr d/by-object.zarr -q"), "");
    refuses(root.path(), "demo --dir d", 2, "d: already exists; remove it, or name another with --dir");
}

#[test]
fn help_and_version_go_to_standard_output() {
    let root = directory();
    assert_eq!(prints(root.path(), "--version"), format!("rezarr {}\n", env!("CARGO_PKG_VERSION")));
    for command in ["", "rechunk ", "plan ", "info ", "tree ", "verify ", "create ", "get ", "demo "] {
        assert!(prints(root.path(), &format!("{command}--help")).contains("Usage: rezarr"));
    }
    let nothing = rezarr(root.path(), "");
    assert!(nothing.code == Some(2) && nothing.stderr.contains("Commands:"), "{nothing:?}");
}

#[test]
fn spilled_runs_leave_nothing_beside_the_target_and_in_the_spill_directory() {
    let root = directory();
    let at = root.path();
    let metadata = metadata(&[2000, 2000], "float32", "nan", &layout(&[20, 2000], None, "zstd:1"));
    let data = elements(&metadata, 1);
    create(&at.join("a"), metadata, &data);
    fs::create_dir(at.join("spill")).unwrap();
    let report = prints_json(at, "rechunk a b --chunks all,20 --memory 8MiB --spill-dir spill --threads 1 --json");
    let array = &report["arrays"][0];
    assert_eq!((&array["plan"]["strategy"], array["measured"]["spilled_bytes"].as_u64()), (&json!("shuffle"), Some(16_000_000)));
    assert!(read(&at.join("b")) == data);
    assert!(names(&at.join("spill")).is_empty());
    assert_eq!(names(at), ["a", "b", "spill"]);
}
