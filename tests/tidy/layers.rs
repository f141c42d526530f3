//! Which module may import which: levels, cycles, and what the binary sees.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{CodePath, Token, code_only, inline_modules, paths, tokens};

/// The levels of top-level modules: imports go to a lower level, or within the same one if no cycle comes of it.
pub(crate) const LEVELS: &[(&str, u32)] = &[
    ("error", 0),
    ("buffer", 0),
    ("json", 0),
    ("process", 0),
    ("ragged", 1),
    ("region", 1),
    ("dtype", 1),
    ("store", 1),
    ("grid", 2),
    ("shuffle", 2),
    ("publish", 2),
    ("codec", 3),
    ("metadata", 4),
    ("array", 5),
    ("group", 6),
    ("migrate", 7),
    ("rechunk", 7),
    ("recover", 8),
    ("verify", 8),
    ("check", 8),
    ("demo", 8),
    ("vector", 8),
    ("measuring", 5),
    ("fuzzing", 9),
];

/// What is wrong with the imports of all `files`, which are pairs of path (`src/…`) and text.
pub(crate) fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut out = Vec::new();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in files {
        let tokens = tokens(&code_only(text));
        if replaces_a_path(&tokens) {
            out.push(format!("{path}: #[path] hides where a module lies; put the file where its name says"));
        }
        if path.starts_with("src/bin/") || path == "src/lib.rs" {
            continue;
        }
        let Some(own) = module_of(path).into_iter().next() else { continue };
        let Some(level) = level(&own) else {
            out.push(format!("{path}: module `{own}` has no level; give it one in tests/tidy/layers.rs"));
            continue;
        };
        for (target, line) in imports(path, &tokens) {
            let target_level = self::level(&target);
            match target_level {
                _ if target == own => {}
                None => out.push(format!("{path}:{line}: `crate::{target}` is no module with a level; import from the module itself")),
                Some(above) if above > level => {
                    out.push(format!("{path}:{line}: `{own}` (level {level}) imports `{target}` (level {above}); imports point downwards"));
                }
                Some(_) => {
                    edges.entry(own.clone()).or_default().insert(target);
                }
            }
        }
    }
    out.extend(cycle(&edges).map(|modules| format!("modules import each other: {}", modules.join(" -> "))));
    out
}

fn level(module: &str) -> Option<u32> {
    LEVELS.iter().find(|(name, _)| *name == module).map(|(_, level)| *level)
}

/// The module path of a file: `src/store/fs.rs` is `[store, fs]`.
fn module_of(path: &str) -> Vec<String> {
    path.trim_start_matches("src/").trim_end_matches(".rs").split('/').map(str::to_owned).collect()
}

/// What directly below the crate root the paths of a file name, with the line of each.
fn imports(path: &str, tokens: &[Token]) -> Vec<(String, usize)> {
    let inline = inline_modules(tokens);
    let resolved = |found: &CodePath| {
        let mut module = module_of(path);
        module.extend(inline.iter().filter(|(_, body)| body.contains(&found.at)).map(|(name, _)| name.clone()));
        from_root(&found.segments, module)
    };
    paths(tokens).iter().filter_map(|found| Some((resolved(found)?, found.line))).collect()
}

/// The first name below the crate root that a path leads to, as seen from `module`; none for paths into other crates.
fn from_root(segments: &[String], mut module: Vec<String>) -> Option<String> {
    let mut rest = segments;
    match rest.first()?.as_str() {
        "crate" => {
            module.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                module.pop();
                rest = &rest[1..];
            }
        }
        _ => return None,
    }
    module.extend_from_slice(rest);
    // A glob of the crate root leaves nothing to name; say it as it is written.
    Some(module.into_iter().next().unwrap_or_else(|| "*".to_owned()))
}

fn replaces_a_path(tokens: &[Token]) -> bool {
    tokens.windows(4).any(|four| four.iter().map(|token| token.text.as_str()).eq(["#", "[", "path", "="]))
}

/// A cycle, if there is one, from a module back to itself.
fn cycle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit<'a>(
        at: &'a str,
        edges: &'a BTreeMap<String, BTreeSet<String>>,
        trail: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> bool {
        trail.push(at);
        if trail[..trail.len() - 1].contains(&at) {
            return true;
        }
        if !done.contains(at) && edges.get(at).is_some_and(|next| next.iter().any(|next| visit(next, edges, trail, done))) {
            return true;
        }
        trail.pop();
        done.insert(at);
        false
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| {
        let mut trail = Vec::new();
        visit(start, edges, &mut trail, &mut done).then(|| {
            let from = trail.iter().position(|module| Some(module) == trail.last()).unwrap_or(0);
            trail[from..].iter().map(|module| (*module).to_owned()).collect()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Vec<String> {
        violations(&files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn downward_and_inward_imports_pass() {
        let array = "use crate::{codec::CodecPipeline, region::{Region, c_strides}};\nmod tests { use super::*; }";
        let copy = "use super::{MAX_RANK, to_usize}; mod tests { use super::*; use super::super::Region; use crate::region::x; }";
        assert_eq!(of(&[("src/array.rs", array), ("src/region/copy.rs", copy), ("src/dtype.rs", "use crate::region;")]), [""; 0]);
    }

    #[test]
    fn upward_imports_are_caught_however_they_are_written() {
        for text in [
            "use crate::array::Array;",
            "use crate::{error::Error, array};",
            "fn f() { crate::array::open() }",
            "type T = Vec<crate::array::Array>;",
            "use super::super::array::Array;",
            "use super::super::{grid::ChunkGrid, array::Array};",
            "mod tests { use super::super::super::array::Array; }",
            "pub use crate::array::*;",
        ] {
            let found = of(&[("src/codec/gzip.rs", text)]);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].contains("`codec` (level 3) imports `array` (level 5)"), "{found:?}");
        }
        assert_eq!(
            of(&[("src/codec/gzip.rs", "// use crate::array;\nconst S: &str = \"crate::array::x\"; use other::array::X;")]),
            [""; 0]
        );
        let line = of(&[("src/codec.rs", "\n\nuse crate::array::Array;")]);
        assert!(line[0].starts_with("src/codec.rs:3: "), "{line:?}");
    }

    #[test]
    fn the_crate_root_is_no_way_around() {
        for text in ["use crate::Array;", "use super::Array;", "use crate::*;"] {
            let found = of(&[("src/codec.rs", text)]);
            assert!(found.len() == 1 && found[0].contains("no module with a level"), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_cycle_within_a_level_is_caught() {
        let region = ("src/region.rs", "use crate::dtype::DataType;");
        let dtype = ("src/dtype.rs", "use crate::store::Key;");
        assert_eq!(of(&[region, dtype, ("src/store.rs", "")]), [""; 0]);
        let found = of(&[region, dtype, ("src/store/fs.rs", "use crate::region::Region;")]);
        assert_eq!(found, ["modules import each other: dtype -> store -> region -> dtype"]);
    }

    #[test]
    fn unknown_modules_and_hidden_paths_are_caught() {
        assert!(of(&[("src/nowhere.rs", "")])[0].contains("has no level"));
        assert!(of(&[("src/bin/rezarr/main.rs", "#[path = \"../../store.rs\"] mod store;")])[0].contains("#[path]"));
    }
}
