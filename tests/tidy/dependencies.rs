//! What the package depends on: how many packages, and which never.

use std::collections::BTreeSet;
use std::process::Command;

pub(crate) const MOST_PACKAGES: usize = 50;

/// Packages that are out of the question, and why.
const FORBIDDEN: &[(&str, &str)] = &[
    ("tokio", "no async"),
    ("async-std", "no async"),
    ("smol", "no async"),
    ("futures", "no async"),
    ("rayon", "no global thread pool"),
    ("rayon-core", "no global thread pool"),
    ("ndarray", "no array type of another crate in the API"),
    ("openssl-sys", "nothing here talks to a network"),
    ("reqwest", "nothing here talks to a network"),
    ("bindgen", "no C library that must be parsed at build time"),
];

/// The packages with native parts that may be there: libzstd, and bindings to the system's own interface; and libbz2 in Rust, which has only
/// the name of one.
const NATIVE: &[&str] = &["zstd-sys", "linux-raw-sys", "windows-sys", "libbz2-rs-sys"];

/// The packages below rezarr that end up in a build with `features`, by name and version.
pub(crate) fn packages(features: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}", "--features", features]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo is there where tests run");
    assert!(output.status.success(), "{cargo:?}: {}", String::from_utf8_lossy(&output.stderr));
    parse(&String::from_utf8(output.stdout).expect("cargo writes UTF-8"))
}

fn parse(tree: &str) -> BTreeSet<String> {
    let name = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    tree.lines().map(name).filter(|package| !package.is_empty() && !package.starts_with("rezarr ")).collect()
}

/// Which of `packages` must not be there.
pub(crate) fn violations(packages: &BTreeSet<String>) -> Vec<String> {
    let mut out = Vec::new();
    for package in packages {
        let name = package.split_whitespace().next().unwrap_or_default();
        if let Some((_, reason)) = FORBIDDEN.iter().find(|(forbidden, _)| *forbidden == name) {
            out.push(format!("{package}: forbidden: {reason}"));
        } else if name.ends_with("-sys") && !NATIVE.contains(&name) {
            out.push(format!("{package}: forbidden: no C library beyond libzstd"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_packages_are_caught() {
        let tree =
            parse("rezarr v0.1.0 (/somewhere)\nzstd-sys v2.0.0+zstd.1\ntokio v1.2.3 (*)\nblosc-sys v1.0.0\nlibc v0.2.0\nlibc v0.2.0 (*)\n");
        assert_eq!(tree.len(), 4);
        assert_eq!(violations(&tree), ["blosc-sys v1.0.0: forbidden: no C library beyond libzstd", "tokio v1.2.3: forbidden: no async"]);
    }
}
