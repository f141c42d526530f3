//! Arrays and groups to rechunk in place, and what a rechunk that died leaves beside them.
#![allow(dead_code, reason = "not every test uses all of it")]

use std::fs;
use std::path::Path;

use rezarr::{Attributes, Group, Region};
use serde_json::json;

use crate::arrays::{create, elements, layout, metadata};
use crate::cli::prints;

pub(crate) const SHAPE: [u64; 2] = [20, 30];

/// An array `a`; its elements.
pub(crate) fn array(root: &Path) -> Vec<u8> {
    let metadata = metadata(&SHAPE, "float32", "nan", &layout(&[5, 30], None, "zstd:1"));
    let data = elements(&metadata, 1);
    create(&root.join("a"), metadata, &data);
    data
}

/// A group `g` of two arrays and a group below, with consolidated metadata; the elements of `g/tas`.
pub(crate) fn group(root: &Path) -> Vec<u8> {
    let group = Group::create(root.join("g"), Attributes::default()).unwrap();
    let tas = metadata(&SHAPE, "float32", "nan", &layout(&[5, 30], None, "zstd:1"));
    let data = elements(&tas, 2);
    group.create_array("tas", tas).unwrap().write_bytes(&Region::whole(&SHAPE), &data).unwrap();
    group.create_group("more", Attributes::default()).unwrap();
    let u = group.create_array("more/u", metadata(&[7], "uint8", "0", &layout(&[2], None, "none"))).unwrap();
    u.write_bytes(&Region::whole(&[7]), &[1, 2, 3, 4, 5, 6, 7]).unwrap();
    Group::open(root.join("g")).unwrap().consolidate().unwrap();
    data
}

/// The marker of a rechunk that died, as rule PUB-2 says it.
pub(crate) fn mark(tree: &Path, target: &str, role: &str, replaces: Option<&str>) {
    let marker = json!({"format": "rezarr stage", "version": 2, "target": target, "role": role, "id": "0123456789abcdef0123456789abcdef",
                        "keep": false, "synced": true, "boot": "", "replaces": replaces, "pid": 1});
    fs::write(tree.join(".rechunk"), marker.to_string()).unwrap();
}

/// A rechunk of `name` that died between its two renames, and was to keep the old tree.
pub(crate) fn leave_in_window(at: &Path, name: &str) {
    let (staged, backup) = (at.join(format!("{name}.rechunked")), at.join(format!("{name}.backup")));
    prints(at, &format!("rechunk {name} made --chunks 20,3 -q"));
    fs::rename(at.join("made"), &staged).unwrap();
    fs::rename(at.join(name), &backup).unwrap();
    for (tree, role) in [(&staged, "new"), (&backup, "old")] {
        mark(tree, name, role, None);
        let marker = fs::read_to_string(tree.join(".rechunk")).unwrap().replace("\"keep\":false", "\"keep\":true");
        fs::write(tree.join(".rechunk"), marker).unwrap();
    }
}
