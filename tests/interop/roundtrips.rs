//! Round trips through zarr-python: whatever it writes is read, copied and rechunked, and it reads the copies as its own.

use rezarr::{RechunkOptions, Shards};

use super::*;

/// How many arrays are drawn; `REZARR_ROUND_TRIPS` sets another number.
const COUNT: u32 = 300;

/// The same arrays each time, so that a failure is that of a change; `REZARR_SEED` draws others. A failure says the seed.
fn seed() -> u64 {
    std::env::var("REZARR_SEED").map_or(20_777, |text| text.parse().expect("a seed is a number"))
}

/// Reads an array, copies it under the document that rezarr makes of it, and rechunks it.
fn copy(entry: &Entry, copied: &Path, rechunked: &Path) -> rezarr::Result<Vec<String>> {
    let mut lines = Vec::new();
    let array = Array::open(entry.directory())?;
    let (shape, elements) = (array.shape().to_vec(), entry.elements());
    for region in [vec![Region::whole(&shape)], quarters(&shape)].concat() {
        if Elements::read(&array, &region)? != elements.cut(&shape, &region) {
            lines.push(format!("the elements of {region} differ"));
        }
    }
    let copy = Array::create(copied, array.metadata().clone())?;
    quarters(&shape).iter().try_for_each(|region| elements.cut(&shape, region).write(&copy, region))?;
    let chunks: Vec<u64> = shape.iter().map(|len| len / 3 + 1).collect();
    let options = RechunkOptions::new().shards(Shards::Remove).memory(128 << 20).sync(false);
    rezarr::rechunk(
        entry.directory(),
        Some(rechunked),
        if chunks.is_empty() { options.codecs(rezarr::Codecs::none()) } else { options.chunks(chunks) },
    )?;
    Ok(lines)
}

#[test]
fn all_that_zarr_python_writes_comes_back_to_it() {
    if python::skipped("all_that_zarr_python_writes_comes_back_to_it") {
        return;
    }
    let (seed, directory) = (seed(), scratch());
    let count = std::env::var("REZARR_ROUND_TRIPS").unwrap_or_else(|_| COUNT.to_string());
    let drawn = directory.path().join("drawn");
    python::python("generate.py", [drawn.as_os_str(), seed.to_string().as_ref(), count.as_ref()]);
    let manifest: Vec<Value> = serde_json::from_slice(&fs::read(drawn.join("manifest.json")).unwrap()).unwrap();
    let (mut entries, mut wrong) = (Vec::new(), Vec::new());
    for json in manifest {
        let entry = Entry { corpus: drawn.clone(), path: json["path"].as_str().unwrap().to_owned(), json };
        let paths = ["copied", "rechunked"].map(|way| format!("{way}/{}", entry.path));
        let targets = paths.each_ref().map(|path| directory.path().join(path));
        fs::create_dir_all(directory.path().join("rechunked")).unwrap();
        let lines = copy(&entry, &targets[0], &targets[1]);
        let document =
            fs::read_to_string(entry.directory().join("zarr.json")).or_else(|_| fs::read_to_string(entry.directory().join(".zarray")));
        let report = |line: String| format!("{}: {line}\n{}", entry.path, document.as_deref().unwrap_or(""));
        match lines {
            Ok(lines) => {
                wrong.extend(lines.into_iter().map(report));
                entries.extend(paths.iter().map(|path| entry.copied_to(path)));
            }
            Err(error) => wrong.push(report(error.to_string())),
        }
    }
    assert!(wrong.is_empty(), "REZARR_SEED={seed}: {} of {} arrays\n{}", wrong.len(), entries.len(), wrong.join("\n"));
    fs::write(directory.path().join("manifest.json"), serde_json::to_vec(&entries).unwrap()).unwrap();
    println!("REZARR_SEED={seed}");
    python::python("read_corpus.py", [directory.path().as_os_str(), "zarr-python".as_ref()]);
}
