//! The numbered rules of `spec/`: each that is cited exists, and each that exists is cited by a test.

use std::collections::BTreeMap;
use std::ops::Range;

use super::scan::{code_only, test_items, tokens};

/// What looks like a rule and is none.
const NOT_RULES: &[&str] = &["UTF", "SHA", "CRC", "ISO", "RFC", "POSIX", "IEEE", "CF"];

/// Rules that no test cites, and why.
pub(crate) const UNTESTED: &[(&str, &str)] = &[
    ("RCK-13", "a choice by estimated cost; what it chooses is held by tests/rechunk_directed.rs"),
    ("SPL-4", "held by tests/rechunk.rs: records that are cut or put together wrongly give wrong elements"),
];

/// How well a rule is cited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cited {
    Nowhere,
    InCode,
    ByTest,
}

/// What is wrong between the rules of `specs` and the citations of `sources`; both are pairs of path and text. `untested` are the rules that
/// need no test.
///
/// A rule is defined by a line that begins with its id, behind markup alone (`- **FMT-12** …`, `### FMT-12: …`, `| FMT-12 | …`). A citation
/// is the id anywhere in a source, which is where comments count; that of a test is one in test code.
pub(crate) fn violations(specs: &[(String, String)], sources: &[(String, String)], untested: &[(&str, &str)]) -> Vec<String> {
    let mut out = Vec::new();
    let mut rules: BTreeMap<String, (String, Cited)> = BTreeMap::new();
    for (path, line) in lines(specs) {
        let begin = line.trim_start_matches(|c: char| c.is_whitespace() || "-*#|`[_".contains(c));
        let Some(id) = ids(line).into_iter().next().filter(|id| begin.starts_with(id.as_str())) else { continue };
        if let Some((before, _)) = rules.insert(id.clone(), (path.to_owned(), Cited::Nowhere)) {
            out.push(format!("{path}: rule {id} is defined in {before} already"));
        }
    }
    for (path, text) in specs {
        let unknown = ids(text).into_iter().filter(|id| !rules.contains_key(id));
        out.extend(unknown.map(|id| format!("{path}: cites {id}, which no file of spec/ defines")));
    }
    for (path, text) in sources {
        let tests = test_lines(path, text);
        for (number, line) in text.lines().enumerate() {
            let cited = if tests.iter().any(|range| range.contains(&(number + 1))) { Cited::ByTest } else { Cited::InCode };
            for id in ids(line) {
                match rules.get_mut(&id) {
                    None => out.push(format!("{path}: cites {id}, which no file of spec/ defines")),
                    Some((_, known)) => *known = (*known).max(cited),
                }
            }
        }
    }
    for (id, (path, cited)) in rules {
        match (cited, untested.iter().any(|(rule, _)| *rule == id)) {
            (Cited::ByTest, true) => out.push(format!("{path}: rule {id} is cited by a test: take it off the list of untested rules")),
            (Cited::ByTest, false) | (_, true) => {}
            (Cited::InCode, false) => out.push(format!("{path}: rule {id} is cited by no test")),
            (Cited::Nowhere, false) => out.push(format!("{path}: rule {id} is cited by no test and no source")),
        }
    }
    out
}

/// The lines of a file that are test code, counted from 1: all of a test's file, otherwise the items under `#[cfg(test)]`.
fn test_lines(path: &str, text: &str) -> Vec<Range<usize>> {
    if path.trim_end_matches(".rs").split('/').any(|part| part == "tests") {
        return std::iter::once(1..usize::MAX).collect();
    }
    let tokens = tokens(&code_only(text));
    let line = |at: usize| tokens.get(at).map_or(usize::MAX, |token| token.line);
    test_items(&tokens).into_iter().map(|item| line(item.start)..line(item.end - 1) + 1).collect()
}

fn lines(files: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().flat_map(|(path, text)| text.lines().map(move |line| (path.as_str(), line)))
}

/// The rule ids in a text, in order: two to five capitals, a hyphen, a number; between the two the name of a part may stand (`FMT-V2-1`).
fn ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
    let is_id = |word: &&str| {
        word.rsplit_once('-').is_some_and(|(before, number)| {
            let (prefix, part) = before.split_once('-').unwrap_or((before, "X"));
            (2..=5).contains(&prefix.len())
                && prefix.bytes().all(|b| b.is_ascii_uppercase())
                && part.starts_with(|c: char| c.is_ascii_uppercase())
                && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
                && !number.is_empty()
                && number.bytes().all(|b| b.is_ascii_digit())
                && !NOT_RULES.contains(&prefix)
        })
    };
    words.map(|word| word.trim_matches('_')).filter(is_id).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spec: &str, source: &str) -> Vec<String> {
        in_file("tests/a.rs", spec, source)
    }

    fn in_file(path: &str, spec: &str, source: &str) -> Vec<String> {
        violations(&[("spec/a.md".to_owned(), spec.to_owned())], &[(path.to_owned(), source.to_owned())], &[("FMT-9", "a reason")])
    }

    #[test]
    fn rules_and_citations_match() {
        let spec = "# Format\n- **FMT-1** UTF-8, SHA-256.\n| FMT-2 | see FMT-1 |\n### RCK-7: text\n";
        assert_eq!(of(spec, "// FMT-1, (FMT-2) and `RCK-7`; x-1 A-1 fmt-3 UTF-16 FMT-x"), [""; 0]);
    }

    #[test]
    fn idle_unknown_and_double_rules_are_caught() {
        assert_eq!(of("- FMT-1 x\n", ""), ["spec/a.md: rule FMT-1 is cited by no test and no source"]);
        assert_eq!(of("- FMT-1 x\n", "FMT-1 FMT-11"), ["tests/a.rs: cites FMT-11, which no file of spec/ defines"]);
        assert_eq!(of("- FMT-1 x\n- FMT-1 y\n", "FMT-1"), ["spec/a.md: rule FMT-1 is defined in spec/a.md already"]);
        assert_eq!(of("- **FMT-V2-1** x\n", "ISO-8859-1 FMT-8-1"), ["spec/a.md: rule FMT-V2-1 is cited by no test and no source"]);
        // Another rule's text is no definition and no citation.
        assert_eq!(of("- FMT-1 as FMT-2 says\n- FMT-2 x\n", "FMT-1").len(), 1);
        assert_eq!(of("- FMT-1 as PUB-2 says\n", "FMT-1"), ["spec/a.md: cites PUB-2, which no file of spec/ defines"]);
    }

    #[test]
    fn code_is_no_test() {
        let spec = "- FMT-1 x\n";
        let code = "// FMT-1\nfn f() {}\n";
        assert_eq!(in_file("src/a.rs", spec, code), ["spec/a.md: rule FMT-1 is cited by no test"]);
        assert_eq!(in_file("src/a/tests/b.rs", spec, code), [""; 0]);
        let tests = |outside: &str, inside: &str| format!("{outside}#[cfg(test)]\nmod tests {{\n    /// {inside}\n    fn f() {{}}\n}}\n");
        assert_eq!(in_file("src/a.rs", spec, &tests("", "FMT-1.")), [""; 0]);
        assert_eq!(in_file("src/a.rs", spec, &tests("// FMT-1\n", "")), ["spec/a.md: rule FMT-1 is cited by no test"]);
        assert_eq!(in_file("src/a.rs", spec, &(tests("", "") + "// FMT-1\n")), ["spec/a.md: rule FMT-1 is cited by no test"]);
        assert_eq!(in_file("src/a.rs", "- FMT-9 x\n", "// FMT-9"), [""; 0]);
        assert_eq!(of("- FMT-9 x\n", "FMT-9"), ["spec/a.md: rule FMT-9 is cited by a test: take it off the list of untested rules"]);
    }
}
