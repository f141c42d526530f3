//! The arrays that others write, their elements, and the judgement of all other readers about what lies in a directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rezarr::{Array, DataType, Region};
use serde_json::Value;

use super::{python, zarrs};

/// An array of the corpus.
pub(crate) struct Entry {
    /// The corpus, and the path of the array in it.
    pub(crate) corpus: PathBuf,
    pub(crate) path: String,
    pub(crate) json: Value,
}

impl Entry {
    pub(crate) fn text(&self, member: &str) -> &str {
        self.json[member].as_str().unwrap()
    }

    /// What is to be read.
    pub(crate) fn elements(&self) -> Elements {
        self.dump("raw")
    }

    /// What is to be written so that this is read: other elements only where a codec is lossy.
    pub(crate) fn input(&self) -> Elements {
        self.dump(if self.json["input"].is_string() { "input" } else { "raw" })
    }

    fn dump(&self, member: &str) -> Elements {
        Elements::from_dump(fs::read(self.corpus.join(self.text(member))).unwrap(), self.json["ragged"] == true)
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.corpus.join(&self.path)
    }

    /// The entry of a manifest for a copy of this array by rezarr at `path`.
    pub(crate) fn copied_to(&self, path: &str) -> Value {
        let mut json = self.json.clone();
        json["path"] = path.into();
        json["writer"] = "rezarr".into();
        json["raw"] = self.corpus.join(self.text("raw")).to_str().unwrap().into();
        // What rezarr writes is Zarr v3, which has dimension names of its own.
        if let Some(attributes) = json["attributes"].as_object_mut().filter(|_| !self.directory().join("zarr.json").exists()) {
            attributes.shift_remove("_ARRAY_DIMENSIONS");
        }
        json
    }
}

/// The corpus that others write, to be read only: made anew by each run of this program, which keeps others from it.
pub(crate) fn corpus() -> &'static [Entry] {
    static CORPUS: OnceLock<(File, Vec<Entry>)> = OnceLock::new();
    let make = || {
        let corpus = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-corpus");
        let lock = File::create(corpus.with_extension("lock")).unwrap();
        lock.lock().unwrap();
        if corpus.exists() {
            fs::remove_dir_all(&corpus).unwrap();
        }
        python::python("write_corpus.py", [corpus.as_os_str(), zarrs::judge().as_os_str()]);
        let manifest: Vec<Value> = serde_json::from_slice(&fs::read(corpus.join("manifest.json")).unwrap()).unwrap();
        assert!(manifest.len() > 1400, "the corpus has {} arrays", manifest.len());
        let entry = |json: Value| Entry { corpus: corpus.clone(), path: json["path"].as_str().unwrap().to_owned(), json };
        (lock, manifest.into_iter().map(entry).collect())
    };
    &CORPUS.get_or_init(make).1
}

/// What all other readers make of the arrays of a manifest.
pub(crate) struct Judgement {
    /// One for each array and reader, as `read_corpus.py` gives them.
    pub(crate) outcomes: Vec<Value>,
    /// What was not as it is known to be; empty if all was.
    pub(crate) unexpected: String,
}

impl Judgement {
    pub(crate) fn expect(&self) {
        assert!(self.unexpected.is_empty(), "{}", self.unexpected);
    }
}

/// Lets all other readers compare the arrays of `<directory>/manifest.json`.
pub(crate) fn judge_manifest(directory: &Path) -> Judgement {
    let output = python::command("read_corpus.py", [directory.as_os_str(), zarrs::judge().as_os_str()]).output().unwrap();
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    let outcomes = fs::read(directory.join("outcomes.json")).unwrap_or_else(|error| panic!("no outcomes: {error}\n{said}"));
    let unexpected = if output.status.success() { String::new() } else { said };
    Judgement { outcomes: serde_json::from_slice(&outcomes).unwrap(), unexpected }
}

/// The same for arrays at paths below `directory`, which has no manifest yet.
pub(crate) fn judge(directory: &Path, entries: &[Value]) -> Judgement {
    fs::write(directory.join("manifest.json"), serde_json::to_vec(entries).unwrap()).unwrap();
    judge_manifest(directory)
}

/// The elements of a box in C order.
#[derive(PartialEq)]
pub(crate) enum Elements {
    /// Little endian, all of one size.
    Fixed(Vec<u8>),
    Ragged(Vec<Vec<u8>>),
}

impl Elements {
    /// Elements of variable length are, each, a count of bytes and these bytes.
    fn from_dump(dump: Vec<u8>, ragged: bool) -> Self {
        if !ragged {
            return Self::Fixed(dump);
        }
        let (mut rest, mut out) = (dump.as_slice(), Vec::new());
        while let Some((size, behind)) = rest.split_first_chunk::<4>() {
            let (element, behind) = behind.split_at(u32::from_le_bytes(*size).try_into().unwrap());
            out.push(element.to_vec());
            rest = behind;
        }
        assert!(rest.is_empty(), "a dump ends within a count");
        Self::Ragged(out)
    }

    pub(crate) fn read(array: &Array, region: &Region) -> rezarr::Result<Self> {
        if array.data_type().is_variable_length() {
            return array.read_byte_strings(region).map(Self::Ragged);
        }
        array.read_bytes(region).map(Self::Fixed)
    }

    pub(crate) fn write(&self, array: &Array, region: &Region) -> rezarr::Result<()> {
        match self {
            Self::Fixed(bytes) => array.write_bytes(region, bytes),
            Self::Ragged(elements) if *array.data_type() == DataType::String => {
                let texts: Vec<&str> = elements.iter().map(|element| str::from_utf8(element).unwrap()).collect();
                array.write_strings(region, &texts)
            }
            Self::Ragged(elements) => array.write_byte_strings(region, elements),
        }
    }

    /// Those of a box, cut from those of the whole array one by one, by definition.
    pub(crate) fn cut(&self, shape: &[u64], region: &Region) -> Self {
        match self {
            Self::Fixed(bytes) => Self::Fixed(cut(bytes, shape, region)),
            Self::Ragged(elements) => Self::Ragged(positions(shape, region).map(|at| elements[at].clone()).collect()),
        }
    }
}

/// Boxes that together cover `shape`, each axis cut in two at a place that seldom is a chunk boundary.
pub(crate) fn quarters(shape: &[u64]) -> Vec<Region> {
    let mut boxes = vec![(Vec::new(), Vec::new())];
    for &len in shape {
        let cut = len / 2 + u64::from(len > 4);
        let halves = [(0, cut), (cut, len - cut)];
        let grown = boxes.iter().flat_map(|(start, size): &(Vec<u64>, Vec<u64>)| {
            halves.map(|(from, count)| ([start.as_slice(), &[from]].concat(), [size.as_slice(), &[count]].concat()))
        });
        boxes = grown.collect();
    }
    boxes.into_iter().map(|(start, size)| Region::new(start, size).unwrap()).collect()
}

/// Where the elements of a box are in the whole array.
fn positions(shape: &[u64], region: &Region) -> impl Iterator<Item = usize> {
    (0..region.element_count().unwrap()).map(move |number| {
        let (mut rest, mut position, mut step) = (number, 0, 1);
        for axis in (0..shape.len()).rev() {
            position += (region.start()[axis] + rest % region.shape()[axis]) * step;
            rest /= region.shape()[axis];
            step *= shape[axis];
        }
        usize::try_from(position).unwrap()
    })
}

/// The bytes of a box.
pub(crate) fn cut(raw: &[u8], shape: &[u64], region: &Region) -> Vec<u8> {
    let count: u64 = shape.iter().product();
    if count == 0 {
        return Vec::new();
    }
    let item = raw.len() / usize::try_from(count).unwrap();
    positions(shape, region).flat_map(|at| &raw[at * item..][..item]).copied().collect()
}

#[test]
fn the_boxes_of_a_test_cover_its_array() {
    let (shape, raw) = ([3, 5, 1], (0..15).collect::<Vec<u8>>());
    assert_eq!(cut(&raw, &shape, &Region::whole(&shape)), raw);
    assert_eq!(cut(&raw, &shape, &Region::new([1, 3, 0], [2, 2, 1]).unwrap()), [8, 9, 13, 14]);
    let mut bytes: Vec<u8> = quarters(&shape).iter().flat_map(|region| cut(&raw, &shape, region)).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, raw);
    assert_eq!(cut(&[7], &[], &quarters(&[])[0]), [7]);
    let texts = Elements::from_dump(vec![1, 0, 0, 0, 65, 0, 0, 0, 0, 2, 0, 0, 0, 66, 67], true);
    assert!(texts.cut(&[3], &Region::new([1], [2]).unwrap()) == Elements::Ragged(vec![Vec::new(), vec![66, 67]]));
}
