//! What a single file may be: its name, its first line, its length and that of its functions, `unsafe`, and file access.

use super::scan::{Token, code_only, functions, paths, test_items, tokens};

/// The files that may say `unsafe`, and why.
pub(crate) const UNSAFE_FILES: &[(&str, &str)] = &[
    ("src/store/mmap.rs", "a memory map may change under its reader"),
    ("src/array/map.rs", "a chunk as a map: it passes the condition of the store's map on to its caller"),
    ("src/region/copy/stream.rs", "stores past the cache, without which turning large boxes is a third slower"),
];

/// The files that may touch the file system, and why. A path that ends in `/` stands for everything below.
pub(crate) const FILE_SYSTEM_FILES: &[(&str, &str)] = &[
    ("src/store/", "stores are what the rest sees instead of files"),
    ("src/shuffle/spill.rs", "the spill file is no part of any store"),
    ("src/shuffle/named.rs", "a spill file with a name may lie in another directory than the store"),
    ("src/rechunk/resume/attempts.rs", "tests give a spill file what a power cut leaves of it"),
    ("src/process.rs", "the system describes the process in files of /proc"),
    ("src/bin/", "the command line meets paths that are no stores"),
];

/// What counts as touching the file system.
const FILE_SYSTEM_PATHS: &[&[&str]] = &[&["std", "fs"], &["rustix", "fs"], &["std", "os", "unix", "fs"]];

/// Methods of paths that touch the file system. Of a store they would have other names, so these are looked for by name alone.
const FILE_SYSTEM_METHODS: &[&str] =
    &["canonicalize", "symlink_metadata", "is_file", "is_dir", "is_symlink", "try_exists", "read_dir", "read_link"];

const BANNED_NAMES: &[&str] = &["mod", "utils", "util", "common", "helpers", "helper", "types", "prelude", "misc"];

pub(crate) const FILE_LINES: usize = 600;
pub(crate) const FUNCTION_LINES: usize = 60;
/// What files and functions aim at: reported, not enforced.
pub(crate) const FILE_AIM: usize = 400;
pub(crate) const FUNCTION_AIM: usize = 40;

/// A file, or a function in it, that is over its limit today: it may shrink, and not grow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratchet {
    pub(crate) path: &'static str,
    /// Of a function, its name; none for the file as a whole.
    pub(crate) function: Option<&'static str>,
    pub(crate) lines: usize,
}

pub(crate) const RATCHETS: &[Ratchet] = &[];

/// What is wrong with the name of a file and of its inline modules, and with how it begins.
pub(crate) fn name_violations(path: &str, text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let banned = |name: &str| BANNED_NAMES.contains(&name);
    let mut parts = path.trim_end_matches(".rs").split('/');
    if let Some(name) = parts.find(|part| banned(part)) {
        out.push(format!("{path}: `{name}` says nothing of what is in it; name it by its responsibility"));
    }
    let tokens = tokens(&code_only(text));
    for pair in tokens.windows(2).filter(|pair| pair[0].text == "mod" && banned(&pair[1].text)) {
        out.push(format!("{path}:{}: `mod {}` says nothing of what is in it", pair[0].line, pair[1].text));
    }
    if !text.starts_with("//! ") {
        out.push(format!("{path}: begins without `//!` and a sentence on its responsibility"));
    }
    out
}

/// Where a file says `unsafe` without being listed.
pub(crate) fn unsafe_violations(path: &str, text: &str) -> Vec<String> {
    if UNSAFE_FILES.iter().any(|(file, _)| *file == path) {
        return Vec::new();
    }
    let found = tokens(&code_only(text)).into_iter().filter(|token| token.text == "unsafe");
    found.map(|token| format!("{path}:{}: `unsafe` in a file that is not listed for it", token.line)).collect()
}

/// Where a file touches the file system without being listed. Test modules may (those in files of their own are called `tests`, or lie
/// below such a directory): they damage what the code under test reads.
pub(crate) fn file_system_violations(path: &str, text: &str) -> Vec<String> {
    if path.trim_end_matches(".rs").split('/').any(|part| part == "tests") {
        return Vec::new();
    }
    if FILE_SYSTEM_FILES.iter().any(|(file, _)| *file == path || file.ends_with('/') && path.starts_with(file)) {
        return Vec::new();
    }
    let tokens = tokens(&code_only(text));
    let tests = test_items(&tokens);
    let touches = |segments: &[String]| {
        FILE_SYSTEM_PATHS.iter().any(|path| segments.len() >= path.len() && path.iter().zip(segments).all(|(a, b)| a == b))
    };
    let inside_tests = |at: usize| tests.iter().any(|range| range.contains(&at));
    let report = |line, what: String| format!("{path}:{line}: `{what}` in a file that is not listed for it; go through a Store");
    let found = paths(&tokens).into_iter().filter(|found| touches(&found.segments) && !inside_tests(found.at));
    let mut out: Vec<String> = found.map(|found| report(found.line, found.segments.join("::"))).collect();
    for at in 0..tokens.len().saturating_sub(2) {
        let [dot, name, open] = &tokens[at..at + 3] else { continue };
        let method = dot.text == "." && open.text == "(" && FILE_SYSTEM_METHODS.contains(&name.text.as_str());
        // `exists` of a path takes nothing; that of something else takes a key.
        let exists =
            dot.text == "." && name.text == "exists" && open.text == "(" && tokens.get(at + 3).is_some_and(|token| token.text == ")");
        if (method || exists) && !inside_tests(at) {
            out.push(report(name.line, format!(".{}()", name.text)));
        }
    }
    out
}

/// Whatever is longer than its aim: path, function, lines, limit.
pub(crate) fn lengths(path: &str, text: &str) -> Vec<(String, Option<String>, usize, usize)> {
    let tokens: Vec<Token> = tokens(&code_only(text));
    let file = (path.to_owned(), None, text.lines().count(), FILE_LINES);
    let functions = functions(&tokens).into_iter().map(|f| (path.to_owned(), Some(f.name), f.lines, FUNCTION_LINES));
    let aim = |function: bool| if function { FUNCTION_AIM } else { FILE_AIM };
    std::iter::once(file).chain(functions).filter(|(_, function, lines, _)| *lines > aim(function.is_some())).collect()
}

/// What is over a limit without a ratchet or beyond it, and which ratchets have become idle.
pub(crate) fn length_violations(files: &[(String, String)], ratchets: &[Ratchet]) -> Vec<String> {
    let mut out = Vec::new();
    let mut needed = vec![false; ratchets.len()];
    for (path, function, lines, limit) in files.iter().flat_map(|(path, text)| lengths(path, text)) {
        if lines <= limit {
            continue;
        }
        let what = function.as_ref().map_or(path.clone(), |name| format!("{path}: fn {name}"));
        match ratchets.iter().position(|ratchet| ratchet.path == path && ratchet.function == function.as_deref()) {
            None => out.push(format!("{what}: {lines} lines; the limit is {limit}")),
            Some(position) => {
                needed[position] = true;
                if lines > ratchets[position].lines {
                    out.push(format!("{what}: {lines} lines; it was over the limit at {} and may not grow", ratchets[position].lines));
                }
            }
        }
    }
    for (ratchet, _) in ratchets.iter().zip(needed).filter(|(_, needed)| !needed) {
        out.push(format!("{} {}: not over its limit any more; remove its ratchet", ratchet.path, ratchet.function.unwrap_or("")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_first_lines() {
        assert_eq!(name_violations("src/grid.rs", "//! Grids.\nmod tests {}"), [""; 0]);
        assert_eq!(name_violations("src/codec/mod.rs", "//! Codecs.").len(), 1);
        assert_eq!(name_violations("src/common/x.rs", "//! X.\nmod helpers {}\n// mod utils {}").len(), 2);
        assert_eq!(name_violations("src/grid.rs", "// Grids.").len(), 1);
    }

    #[test]
    fn a_stray_unsafe_is_caught() {
        assert_eq!(
            unsafe_violations("src/grid.rs", "// unsafe\n#![deny(unsafe_code)] const A: &str = \"unsafe\"; fn r#unsafe_() {}"),
            [""; 0]
        );
        let found = unsafe_violations("src/grid.rs", "fn f() {\n    unsafe { g() }\n}");
        assert_eq!(found, ["src/grid.rs:2: `unsafe` in a file that is not listed for it"]);
        assert_eq!(unsafe_violations("src/store/mmap.rs", "unsafe fn f() {}"), [""; 0]);
    }

    #[test]
    fn stray_file_access_is_caught() {
        for text in [
            "use std::fs;",
            "use std::{io, fs::File};",
            "fn f() { std::fs::read(x) }",
            "use rustix::fs::{open};",
            "use std::os::unix::fs::FileExt;",
        ] {
            assert_eq!(file_system_violations("src/publish.rs", text).len(), 1, "{text}");
            assert_eq!(file_system_violations("src/store/fs.rs", text), [""; 0]);
            assert_eq!(file_system_violations("src/publish.rs", &format!("#[cfg(test)]\nmod tests {{ {text} }}")), [""; 0]);
        }
        for method in ["canonicalize", "symlink_metadata", "is_file", "exists", "is_dir"] {
            let text = format!("fn f(path: &Path) {{ path.{method}() }}");
            let found = file_system_violations("src/rechunk.rs", &text);
            assert_eq!(found, [format!("src/rechunk.rs:1: `.{method}()` in a file that is not listed for it; go through a Store")]);
            assert_eq!(file_system_violations("src/store/fs.rs", &text), [""; 0]);
        }
        assert_eq!(file_system_violations("src/publish.rs", "fn f() { self.exists(&key); exists(); x.is_file; }"), [""; 0]);
        assert_eq!(file_system_violations("src/array/tests.rs", "use std::fs;"), [""; 0]);
        assert_eq!(file_system_violations("src/publish.rs", "use crate::store::fs; use std::fmt; // std::fs::read"), [""; 0]);
    }

    #[test]
    fn lengths_and_ratchets() {
        let long = |lines: usize| format!("fn long() {{{}}}\nfn short() {{}}\n", "\n".repeat(lines - 1));
        let check = |lines, ratchets: &[Ratchet]| length_violations(&[("src/a.rs".to_owned(), long(lines))], ratchets);
        let ratchet = Ratchet { path: "src/a.rs", function: Some("long"), lines: 70 };
        assert_eq!(check(60, &[]), [""; 0]);
        assert_eq!(check(61, &[]), ["src/a.rs: fn long: 61 lines; the limit is 60"]);
        assert_eq!(check(70, &[ratchet]), [""; 0]);
        assert_eq!(check(65, &[ratchet]), [""; 0]);
        assert!(check(71, &[ratchet])[0].contains("may not grow"));
        assert!(check(60, &[ratchet])[0].contains("remove its ratchet"));
        let file = |lines| length_violations(&[("src/a.rs".to_owned(), "\n".repeat(lines))], &[]);
        assert_eq!((file(600).len(), file(601).len()), (0, 1));
    }
}
