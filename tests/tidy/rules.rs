//! The numbered rules of `spec/`: each that is cited exists, and each that exists is cited.

use std::collections::BTreeMap;

/// What looks like a rule and is none.
const NOT_RULES: &[&str] = &["UTF", "SHA", "CRC", "ISO", "RFC", "POSIX", "IEEE", "CF"];

/// What is wrong between the rules of `specs` and the citations of `sources`; both are pairs of path and text.
///
/// A rule is defined by a line that begins with its id, behind markup alone (`- **FMT-12** …`, `### FMT-12: …`, `| FMT-12 | …`). A citation
/// is the id anywhere in a source, which is where comments count.
pub(crate) fn violations(specs: &[(String, String)], sources: &[(String, String)]) -> Vec<String> {
    let mut out = Vec::new();
    let mut rules: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for (path, line) in lines(specs) {
        let begin = line.trim_start_matches(|c: char| c.is_whitespace() || "-*#|`[_".contains(c));
        let Some(id) = ids(line).into_iter().next().filter(|id| begin.starts_with(id.as_str())) else { continue };
        if let Some((before, _)) = rules.insert(id.clone(), (path.to_owned(), false)) {
            out.push(format!("{path}: rule {id} is defined in {before} already"));
        }
    }
    for (path, text, is_source) in specs.iter().map(|(p, t)| (p, t, false)).chain(sources.iter().map(|(p, t)| (p, t, true))) {
        for id in ids(text) {
            match rules.get_mut(&id) {
                None => out.push(format!("{path}: cites {id}, which no file of spec/ defines")),
                Some((_, cited)) => *cited |= is_source,
            }
        }
    }
    let idle = rules.into_iter().filter(|(_, (_, cited))| !cited);
    out.extend(idle.map(|(id, (path, _))| format!("{path}: rule {id} is cited by no test and no source")));
    out
}

fn lines(files: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
    files.iter().flat_map(|(path, text)| text.lines().map(move |line| (path.as_str(), line)))
}

/// The rule ids in a text, in order: two to five capitals, a hyphen, a number.
fn ids(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
    let is_id = |word: &&str| {
        word.split_once('-').is_some_and(|(prefix, number)| {
            (2..=5).contains(&prefix.len())
                && prefix.bytes().all(|b| b.is_ascii_uppercase())
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
        violations(&[("spec/a.md".to_owned(), spec.to_owned())], &[("src/a.rs".to_owned(), source.to_owned())])
    }

    #[test]
    fn rules_and_citations_match() {
        let spec = "# Format\n- **FMT-1** UTF-8, SHA-256.\n| FMT-2 | see FMT-1 |\n### RCK-7: text\n";
        assert_eq!(of(spec, "// FMT-1, (FMT-2) and `RCK-7`; x-1 A-1 fmt-3 UTF-16 FMT-x"), [""; 0]);
    }

    #[test]
    fn idle_unknown_and_double_rules_are_caught() {
        assert_eq!(of("- FMT-1 x\n", ""), ["spec/a.md: rule FMT-1 is cited by no test and no source"]);
        assert_eq!(of("- FMT-1 x\n", "FMT-1 FMT-11"), ["src/a.rs: cites FMT-11, which no file of spec/ defines"]);
        assert_eq!(of("- FMT-1 x\n- FMT-1 y\n", "FMT-1"), ["spec/a.md: rule FMT-1 is defined in spec/a.md already"]);
        // Another rule's text is no definition and no citation.
        assert_eq!(of("- FMT-1 as FMT-2 says\n- FMT-2 x\n", "FMT-1").len(), 1);
        assert_eq!(of("- FMT-1 as PUB-2 says\n", "FMT-1"), ["spec/a.md: cites PUB-2, which no file of spec/ defines"]);
    }
}
