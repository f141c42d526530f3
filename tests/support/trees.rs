//! Directory trees in tests: what is in them, byte by byte, and places for them.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

/// A directory of its own, removed with the value.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// All files below a directory by their path from it, and its directories (with a slash behind, and without bytes).
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() && !path.is_symlink() {
                out.insert(name + "/", Vec::new());
                pending.push(path);
            } else {
                out.insert(name, fs::read(&path).unwrap_or_default());
            }
        }
    }
    out
}

/// The files of [`tree`] without its directories.
pub(crate) fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    tree(root).into_iter().filter(|(name, _)| !name.ends_with('/')).collect()
}

/// The names directly in a directory, sorted.
pub(crate) fn names(root: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
