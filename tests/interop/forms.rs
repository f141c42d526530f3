//! Every form of the corpus (a type, a codec, a grid, a form of Zarr v2): whether rezarr reads and writes it, and which reader agrees.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::*;

/// What rezarr does not read, with words of its error: the beginning of a form.
const NOT_READ: &[(&str, &str)] = if cfg!(feature = "lzma") { WITH_ALL_FEATURES } else { WITHOUT_LZMA };

const WITH_ALL_FEATURES: &[(&str, &str)] = &[
    // What numcodecs writes by default is xz.
    ("codec numcodecs.lzma, .lzma files", "supported are xz files"),
    ("v2 compressor lzma, .lzma files", "supported are xz files"),
    ("v2 compressor lzma with filters", "supported are xz files"),
];

const WITHOUT_LZMA: &[(&str, &str)] = &[("codec numcodecs.lzma", "lzma"), ("v2 compressor lzma", "lzma")];

/// What it reads and does not write.
const NOT_WRITTEN: &[(&str, &str)] = &[
    ("codec blosc snappy", "blosc with snappy is read but not written"),
    ("v2 compressor blosc snappy", "blosc with snappy is read but not written"),
];

/// The words with which rezarr is known not to rechunk an array: since it does not read it, or, where it is to be `written` under the codecs
/// that it has, does not write these.
#[cfg(feature = "cli")]
pub(super) fn refusal(entry: &Entry, written: bool) -> Option<&'static str> {
    if written && entry.text("name") == "reshape_split" {
        // It has a number of the chunks that it was made for.
        return Some("do not fit");
    }
    let known = NOT_READ.iter().chain(if written { NOT_WRITTEN } else { &[] });
    let form = entry.json["form"].as_str()?;
    known.into_iter().find(|(beginning, _)| form.starts_with(beginning)).map(|(_, words)| *words)
}

/// What is wrong with how rezarr reads an array.
fn reading(entry: &Entry) -> rezarr::Result<Vec<String>> {
    let array = Array::open(entry.directory())?;
    let metadata = array.metadata();
    let mut lines = Vec::new();
    let shape = metadata.shape().to_vec();
    if json!(shape) != entry.json["shape"] {
        return Ok(vec![format!("shape {shape:?}, expected {}", entry.json["shape"])]);
    }
    let elements = entry.elements();
    if Elements::read(&array, &Region::whole(&shape))? != elements {
        lines.push("the elements differ".to_owned());
    }
    for region in quarters(&shape) {
        if Elements::read(&array, &region)? != elements.cut(&shape, &region) {
            lines.push(format!("the elements of {region} differ"));
        }
    }
    let attributes = Value::Object(metadata.attributes().to_map()?);
    if attributes != entry.json["attributes"] {
        lines.push(format!("attributes {attributes}, expected {}", entry.json["attributes"]));
    }
    let names = metadata.dimension_names().filter(|names| names.iter().any(Option::is_some));
    let expected =
        Some(&entry.json["dimension_names"]).filter(|names| names.as_array().is_some_and(|names| !names.iter().all(Value::is_null)));
    if json!(names) != json!(expected) {
        lines.push(format!("dimension names {names:?}, expected {expected:?}"));
    }
    Ok(lines)
}

/// An error without the place of this build's corpus.
fn within(entry: &Entry, error: &rezarr::Error) -> String {
    error.to_string().replace(&format!("{}/", entry.corpus.display()), "")
}

/// What is wrong with how rezarr reads each array of the corpus, in its order; empty where all is right.
fn read_by_rezarr() -> &'static [String] {
    static READ: OnceLock<Vec<String>> = OnceLock::new();
    READ.get_or_init(|| {
        let one = |entry| reading(entry).unwrap_or_else(|error| vec![format!("does not read it: {}", within(entry, &error))]).join("; ");
        corpus().iter().map(one).collect()
    })
}

/// The lines of what is not as `known` has it: forms that fail without being named, or are named and do not fail.
fn surprises<'a>(found: impl Iterator<Item = (&'a Entry, &'a String)>, known: &[(&str, &str)]) -> Vec<String> {
    let mut lines = Vec::new();
    for (entry, line) in found {
        let refusal = known.iter().find(|(form, _)| entry.json["form"].as_str().is_some_and(|name| name.starts_with(form)));
        match refusal {
            None if !line.is_empty() => lines.push(format!("{}: {line}", entry.path)),
            Some((_, words)) if !line.contains(words) => lines.push(format!("{}: {line:?}, expected {words:?}", entry.path)),
            _ => {}
        }
    }
    lines
}

#[test]
fn rezarr_reads_what_others_wrote() {
    if python::skipped("rezarr_reads_what_others_wrote") {
        return;
    }
    none(&surprises(corpus().iter().zip(read_by_rezarr()), NOT_READ));
}

/// The boxes in which an array of a shape is written.
type Boxes = fn(&[u64]) -> Vec<Region>;

/// Writes the elements of `entry` with rezarr under the same document, in the boxes that `boxes` gives for its shape.
fn rewrite(entry: &Entry, target: &Path, boxes: Boxes) -> rezarr::Result<()> {
    let metadata = Array::open(entry.directory())?.metadata().clone();
    let (shape, elements) = (metadata.shape().to_vec(), entry.input());
    let array = Array::create(target, metadata)?;
    boxes(&shape).iter().try_for_each(|region| elements.cut(&shape, region).write(&array, region))?;
    let read = Elements::read(&Array::open(target)?, &Region::whole(&shape))?;
    assert!(read == entry.elements(), "{}: rezarr reads other elements than it wrote", entry.path);
    Ok(())
}

/// What rezarr wrote of the corpus.
struct Written {
    /// For each array of the corpus why it was not written; empty if it was.
    refusals: Vec<String>,
    judgement: Judgement,
    /// The form of each array that was written, by its path.
    forms: HashMap<String, String>,
}

fn written_by_rezarr() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let directory = scratch();
        let (mut entries, mut refusals) = (Vec::new(), Vec::new());
        let ways: [(&str, Boxes); 2] = [("whole", |shape| vec![Region::whole(shape)]), ("in_quarters", quarters)];
        for entry in corpus() {
            let mut refusal = String::new();
            for (way, boxes) in ways {
                let path = format!("{way}/{}", entry.path);
                match rewrite(entry, &directory.path().join(&path), boxes) {
                    Ok(()) => entries.push(entry.copied_to(&path)),
                    Err(error) => refusal = format!("does not write it {way}: {}", within(entry, &error)),
                }
            }
            refusals.push(refusal);
        }
        let forms =
            entries.iter().filter_map(|entry| Some((entry["path"].as_str()?.to_owned(), entry["form"].as_str()?.to_owned()))).collect();
        Written { refusals, judgement: judge(directory.path(), &entries), forms }
    })
}

#[test]
fn others_read_what_rezarr_wrote() {
    if python::skipped("others_read_what_rezarr_wrote") {
        return;
    }
    let written = written_by_rezarr();
    let known = [NOT_READ, NOT_WRITTEN].concat();
    let mut lines = surprises(corpus().iter().zip(&written.refusals), &known);
    lines.extend(written.judgement.unexpected.lines().map(str::to_owned));
    none(&lines);
}

/// What the other readers make of the corpus itself.
fn corpus_judged() -> &'static Judgement {
    static JUDGED: OnceLock<Judgement> = OnceLock::new();
    JUDGED.get_or_init(|| judge_manifest(&corpus()[0].corpus))
}

#[test]
fn others_read_the_corpus_as_they_are_known_to() {
    if python::skipped("others_read_the_corpus_as_they_are_known_to") {
        return;
    }
    corpus_judged().expect();
}

const READERS: [&str; 3] = ["zarr-python", "tensorstore", "zarrs"];

/// Yes if there are no failures; otherwise the first, and whether there is also a success.
fn cell(count: usize, failures: &[&str]) -> String {
    match failures {
        [] if count == 0 => "-".to_owned(),
        [] => "yes".to_owned(),
        [first, ..] => format!("{}: {}", if failures.len() == count { "no" } else { "partly" }, first.replace('|', "\\|")),
    }
}

/// A line for each form: how many arrays it has, what rezarr makes of them, and of the other readers whether they agree bit for bit on what
/// their writers and rezarr wrote.
fn table() -> String {
    let mut out =
        "| form | arrays | rezarr reads | rezarr writes | zarr-python | tensorstore | zarrs |\n|---|---|---|---|---|---|---|\n".to_owned();
    let mut forms: Vec<&str> = corpus().iter().filter_map(|entry| entry.json["form"].as_str()).collect();
    let of_path: HashMap<&str, &str> =
        corpus().iter().filter_map(|entry| Some((entry.path.as_str(), entry.json["form"].as_str()?))).collect();
    let mut seen = std::collections::HashSet::new();
    forms.retain(|form| seen.insert(*form));
    let written = written_by_rezarr();
    let outcomes: Vec<(&Value, &str)> = [(corpus_judged(), None), (&written.judgement, Some(&written.forms))]
        .into_iter()
        .flat_map(|(judgement, forms)| judgement.outcomes.iter().map(move |outcome| (outcome, forms)))
        .filter_map(|(outcome, forms)| {
            let path = outcome["path"].as_str()?;
            let form = forms.map_or_else(|| of_path.get(path).copied(), |forms| forms.get(path).map(String::as_str))?;
            Some((outcome, form))
        })
        .collect();
    for form in forms {
        let of_form = |lines: &'static [String]| -> Vec<&'static str> {
            let found = corpus().iter().zip(lines).filter(|(entry, _)| entry.json["form"] == form);
            found.map(|(_, line)| line.as_str()).collect()
        };
        let wrong = |lines: Vec<&'static str>| cell(lines.len(), &lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>());
        let (read, write) = (of_form(read_by_rezarr()), of_form(&written.refusals));
        let _ = write!(out, "| {form} | {} | {} | {} |", read.len(), wrong(read), wrong(write));
        for reader in READERS {
            let readings: Vec<&Value> =
                outcomes.iter().filter(|(outcome, of)| *of == form && outcome["reader"] == reader).map(|(outcome, _)| *outcome).collect();
            let failures = readings.iter().filter(|outcome| outcome["outcome"] != "agrees");
            let reasons: Vec<&str> = failures.map(|outcome| outcome["reason"].as_str().unwrap_or("unexpected")).collect();
            let _ = write!(out, " {} |", cell(readings.len(), &reasons));
        }
        out.push('\n');
    }
    out
}

/// Writes the table to `interop-table.md` in the directory of this build's temporary files, for people to read.
#[test]
fn every_form_has_a_line_in_the_table() {
    if python::skipped("every_form_has_a_line_in_the_table") {
        return;
    }
    let table = table();
    fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-table.md"), &table).unwrap();
    assert!(table.lines().count() > 300, "{table}");
    for line in table.lines().skip(2) {
        let cells: Vec<&str> = line.split(" | ").collect();
        // A form that any other reads is read, unless it is named with a reason.
        let others = cells[4..].iter().any(|cell| cell.starts_with("yes"));
        let form = cells[0].trim_start_matches("| ");
        let named = NOT_READ.iter().any(|(known, _)| form.starts_with(known));
        assert!(!others || cells[2] == "yes" || named, "{line}");
    }
}
