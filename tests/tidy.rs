//! The rules of the house that a test can hold: layers, `unsafe`, file access, lengths, names, cited rules, dependencies.
//!
//! Each checker is a function over (path, text), with tests beside it that plant what it must catch.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/scan.rs"]
mod scan;

use std::fs;
use std::path::Path;

/// All files below a directory of the project that end in `ending`: path from the root of the project, and text.
fn read(directory: &str, ending: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pending = vec![root.join(directory)];
    let mut out = Vec::new();
    while let Some(path) = pending.pop() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && name != "zarrs-judge" {
            pending.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if name.ends_with(ending) {
            let relative = path.strip_prefix(root).unwrap().to_str().expect("paths are UTF-8").replace('\\', "/");
            out.push((relative, fs::read_to_string(&path).unwrap()));
        }
    }
    out.sort();
    out
}

fn sources() -> Vec<(String, String)> {
    let sources = read("src", ".rs");
    assert!(sources.iter().any(|(path, _)| path == "src/lib.rs"), "the sources were not found");
    sources
}

fn sources_and_tests() -> Vec<(String, String)> {
    [sources(), read("tests", ".rs")].concat()
}

fn none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

fn each(check: impl Fn(&str, &str) -> Vec<String>, files: &[(String, String)]) {
    none(&files.iter().flat_map(|(path, text)| check(path, text)).collect::<Vec<_>>());
}

#[test]
fn imports_point_downwards() {
    none(&layers::violations(&sources()));
}

#[test]
fn unsafe_is_where_it_is_listed() {
    each(files::unsafe_violations, &sources());
}

#[test]
fn files_are_touched_where_it_is_listed() {
    each(files::file_system_violations, &sources());
}

#[test]
fn files_are_named_and_introduced() {
    each(files::name_violations, &sources_and_tests());
}

#[test]
fn files_and_functions_are_short() {
    let files = sources_and_tests();
    for (path, function, lines, limit) in files.iter().flat_map(|(path, text)| files::lengths(path, text)) {
        eprintln!("{path} {}: {lines} lines, over the aim (limit {limit})", function.unwrap_or_default());
    }
    none(&files::length_violations(&files, files::RATCHETS));
}

#[test]
fn rules_are_cited_and_citations_are_rules() {
    // The checker's own tests plant rules that do not exist.
    let citing: Vec<_> = sources_and_tests().into_iter().filter(|(path, _)| path != "tests/tidy/rules.rs").collect();
    none(&rules::violations(&read("spec", ".md"), &citing, rules::UNTESTED));
}

#[test]
fn dependencies_are_few_and_none_is_forbidden() {
    let default = dependencies::packages("default");
    none(&dependencies::violations(&default));
    none(&dependencies::violations(&dependencies::packages("cli")));
    let most = dependencies::MOST_PACKAGES;
    assert!((1..=most).contains(&default.len()), "{} packages, at most {most}: {default:#?}", default.len());
    eprintln!("{} packages", default.len());
}
