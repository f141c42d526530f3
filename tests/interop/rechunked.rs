//! What the command line rechunked, as zarr-python, TensorStore, zarrs and xarray read it.

use std::collections::HashSet;

use super::*;

/// `rezarr rechunk`. Nothing here cuts the power, so nothing waits for the disk.
fn command(source: &Path, target: &Path, options: &[&str]) -> Command {
    let mut binary = Command::new(env!("CARGO_BIN_EXE_rezarr"));
    binary.arg("rechunk").args([source, target]).args(options).args(["--no-sync", "--json"]);
    binary
}

/// Runs `rezarr rechunk`, which must do, and gives its report of the array at `path` below the source.
fn rechunk(source: &Path, target: &Path, options: &[&str], path: &str) -> Value {
    let report: Value = serde_json::from_slice(&python::run(&mut command(source, target, options), "rezarr failed").stdout).unwrap();
    report["arrays"].as_array().unwrap().iter().find(|array| array["path"] == path).unwrap().clone()
}

fn document(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path.join("zarr.json")).unwrap()).unwrap()
}

/// Number of files below a directory that are no documents.
fn chunk_files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| if entry.path().is_dir() { chunk_files(&entry.path()) } else { usize::from(entry.file_name() != "zarr.json") })
        .sum()
}

/// The options by which an array of a shape is rechunked.
type Options = fn(&[u64]) -> Vec<String>;

fn edges(shape: &[u64], edge: impl Fn(u64) -> u64) -> String {
    shape.iter().map(|&len| edge(len).to_string()).collect::<Vec<_>>().join(",")
}

/// Other chunks, not sharded, under the codecs of the source: the first axis whole, the others cut where the corpus does not cut them.
fn other_chunks(shape: &[u64]) -> Vec<String> {
    let rest = edges(&shape[1..], |len| len / 3 + 1);
    let chunks = if rest.is_empty() { "all".to_owned() } else { format!("all,{rest}") };
    ["--chunks", &chunks, "--shards", "none", "--memory", "128MiB"].map(str::to_owned).into()
}

/// Other chunks in shards of two along each axis, under other codecs.
fn other_shards(shape: &[u64]) -> Vec<String> {
    let (chunks, shards) = (edges(shape, |len| len / 5 + 1), edges(shape, |len| 2 * (len / 5 + 1)));
    ["--chunks", &chunks, "--shards", &shards, "--codec", "zstd:1,crc32c", "--memory", "128MiB"].map(str::to_owned).into()
}

#[test]
fn others_read_what_rezarr_rechunked() {
    if python::skipped("others_read_what_rezarr_rechunked") {
        return;
    }
    let directory = scratch();
    let (mut entries, mut wrong, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let ways: [(&str, Options); 2] = [("chunks", other_chunks), ("shards", other_shards)];
    // What one writer wrote says enough; that all are read alike is shown elsewhere.
    for entry in corpus().iter().filter(|entry| seen.insert(entry.text("name"))) {
        let shape: Vec<u64> = serde_json::from_value(entry.json["shape"].clone()).unwrap();
        for (way, options) in ways {
            let path = format!("{way}/{}", entry.path);
            let target = directory.path().join(&path);
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            // A scalar has no axis to be cut: its codecs change.
            let options = if shape.is_empty() { vec!["--codec".to_owned(), "gzip:1".to_owned()] } else { options(&shape) };
            let mut command = command(&entry.directory(), &target, &options.iter().map(String::as_str).collect::<Vec<_>>());
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            // The one way keeps the codecs of the source, the other does not.
            match forms::refusal(entry, way == "chunks") {
                Some(words) if output.status.success() || !said.contains(words) => {
                    wrong.push(format!("{path}: {said:?}, expected {words:?}"))
                }
                None if !output.status.success() => wrong.push(format!("{path}: {said}")),
                Some(_) => {}
                None => entries.push(entry.copied_to(&path)),
            }
        }
    }
    none(&wrong);
    judge(directory.path(), &entries).expect();
}

/// Real data, from one map a chunk to one pixel's series a chunk, single and sharded, and back.
#[test]
fn a_climate_model_rechunked_is_identical_for_xarray() {
    if python::skipped("a_climate_model_rechunked_is_identical_for_xarray") {
        return;
    }
    let directory = scratch();
    let [maps, series, sharded, back] = ["maps", "series", "sharded", "back"].map(|name| directory.path().join(name));
    let array = "air_temperature";
    python::python("make_iris.py", [&maps]);
    let chunks = ["--chunks", "time=all,latitude=1,longitude=1", "--memory", "16MiB"];

    rechunk(&maps, &series, &chunks, array);
    assert_eq!(document(&series.join(array))["chunk_grid"]["configuration"]["chunk_shape"], json!([240, 1, 1]));
    assert_eq!(chunk_files(&series.join(array)), 37 * 49);
    python::python("assert_identical.py", [&maps, &series]);

    rechunk(&maps, &sharded, &[&chunks[..], &["--shards", "time=all,latitude=all,longitude=all"]].concat(), array);
    let layout = document(&sharded.join(array));
    assert_eq!(layout["chunk_grid"]["configuration"]["chunk_shape"], json!([240, 37, 49]));
    assert_eq!(layout["codecs"][0]["name"], "sharding_indexed");
    assert_eq!(layout["codecs"][0]["configuration"]["chunk_shape"], json!([240, 1, 1]));
    assert_eq!(chunk_files(&sharded.join(array)), 1);
    python::python("assert_identical.py", [&maps, &sharded]);

    rechunk(&sharded, &back, &["--chunks", "time=1,latitude=all,longitude=all", "--shards", "none"], array);
    let (mut there, again) = (document(&maps.join(array)), document(&back.join(array)));
    // An empty list, which xarray's writer gives and rezarr leaves out.
    assert_eq!(there.as_object_mut().unwrap().remove("storage_transformers"), Some(json!([])));
    assert_eq!(again, there);
    python::python("assert_identical.py", [&maps, &back]);
}

/// Light curves as telescopes deliver them, an epoch a chunk, from a store that is larger than the memory that rechunks it.
#[test]
fn a_survey_rechunked_through_the_spill_file_is_identical() {
    if python::skipped("a_survey_rechunked_through_the_spill_file_is_identical") {
        return;
    }
    let directory = scratch();
    let (epochs, raw) = (directory.path().join("epochs"), directory.path().join("lightcurves.raw"));
    let shape = [20_500_u64, 256, 2, 2];
    python::python("write_survey.py", [&epochs, Path::new("20500"), Path::new("256"), &raw]);
    let decoded_bytes = shape.iter().product::<u64>() * 4;
    assert_eq!(fs::metadata(&raw).unwrap().len(), decoded_bytes);

    let targets: [(&str, &str, &[&str], usize); 2] =
        [("chunks", "object=1000,epoch=all", &[], 21), ("shards", "object=10,epoch=all", &["--shards", "object=1000,epoch=all"], 21)];
    let mut entries = Vec::new();
    for (name, chunks, shards, files) in targets {
        let target = directory.path().join(name);
        let options = [&["--chunks", chunks, "--memory", "32MiB"], shards].concat();
        let report = rechunk(&epochs, &target, &options, "lightcurves");
        assert_eq!(report["plan"]["strategy"], "shuffle", "{report}");
        for figures in ["plan", "measured"] {
            assert_eq!(report[figures]["decoded_bytes"], decoded_bytes, "{report}");
        }
        let spilled = report["measured"]["spilled_bytes"].as_u64().unwrap();
        assert!(spilled > decoded_bytes / 2 && spilled <= report["plan"]["spilled_bytes"].as_u64().unwrap(), "{report}");
        assert_eq!(chunk_files(&target.join("lightcurves")), files);
        python::python("assert_identical.py", [&epochs, &target]);
        entries.push(json!({"path": format!("{name}/lightcurves"), "raw": raw, "shape": shape, "dtype": "float32",
            "dimension_names": ["object", "epoch", "band", "quantity"]}));
    }
    judge(directory.path(), &entries).expect();
}
