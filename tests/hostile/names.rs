//! Names in hierarchies and paths on the command line that lead elsewhere, or that no node can have.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::json;

use super::stores::{Case, ELEMENTS, Want, array, document, write};

const GROUP: &str = r#"{"zarr_format": 3, "node_type": "group"}"#;

/// A group `s` with the array `a`, and another below a name given as bytes.
fn member(name: &'static [u8]) -> impl Fn(&Path) {
    move |root| {
        write(root, "s/zarr.json", GROUP);
        write(root, "s/a/zarr.json", document().to_string());
        write(root, "s/a/c/0", [1, 2, 3, 4]);
        let place = root.join("s").join(OsStr::from_bytes(name));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("zarr.json"), document().to_string()).unwrap();
    }
}

pub(crate) fn cases() -> Vec<Case> {
    [members(), paths(), trees(), targets()].into_iter().flatten().collect()
}

fn members() -> Vec<Case> {
    // The name, whether it is a node's, and what the check says of it.
    let names: &[(&str, &[u8], bool, &str)] = &[
        ("three dots", b"...", false, "warning reserved-name"),
        ("a name that is reserved", b"__x", false, "warning reserved-name"),
        ("zarr.json as a directory", b"zarr.json.d", true, "0 errors"),
        ("a backslash", b"..\\..\\x", true, "0 errors"),
        ("a colon", b"C:", true, "0 errors"),
        ("a name of 255 bytes", &[b'n'; 255], true, "0 errors"),
        ("a name that is not UTF-8", b"x\xff", false, "error special-file"),
        ("a chunk's name", b"c", true, "0 errors"),
        ("another case", b"A", true, "0 errors"),
        ("a name in another normal form", "e\u{301}".as_bytes(), true, "0 errors"),
        ("a name of a stage", b"a.rechunked", true, "0 errors"),
        ("a name of a backup", b"a.backup", true, "0 errors"),
        ("a line break and a colour", b"x\n\x1b[31mred", true, "0 errors"),
        ("a space", b" ", true, "0 errors"),
        ("a dash", b"--help", true, "0 errors"),
    ];
    let of = |(what, name, is_node, says): &(&str, &'static [u8], bool, &str)| {
        let nodes = if *is_node { "2 arrays" } else { "1 array" };
        let code = i32::from(says.starts_with("error"));
        let wants = vec![
            Want::works("tree s", &["a (8,) uint8"]),
            Want::prints("get s/a", ELEMENTS),
            Want::works("info s", &["a"]),
            Want { codes: vec![code], ..Want::works("check s", &[says, nodes]) },
        ];
        Case::new(&format!("a member with {what}"), member(name), wants)
    };
    names.iter().map(of).collect()
}

fn paths() -> Vec<Case> {
    let make = |root: &Path| {
        member(b"b")(root);
        write(root, "outside/zarr.json", document().to_string());
        write(root, "precious", "precious");
    };
    let of = |path: &str, want: fn(&str) -> Want| Case::new(&format!("the path {path}"), make, vec![want(&format!("get {path}"))]);
    let missing = |args: &str| Want::refused(args, 3, &["not found"]);
    let no_array = |args: &str| Want::refused(args, 4, &["stands here"]);
    let long = "n/".repeat(3000);
    vec![
        of("s/a/zarr.json", no_array),
        of("s/a/c/0", no_array),
        of("/etc/passwd", no_array),
        of("/dev/null", no_array),
        of("/dev/zero", no_array),
        // By its kind a regular file.
        of("/proc/self/mem", |args| Want { codes: vec![4, 6], ..Want::refused(args, 6, &["/proc/self/mem: "]) }),
        of("s/a/zarr.json/../..", missing),
        of("s/../../../../../../../../etc", missing),
        of("/proc/self/fd", missing),
        of("s//a/./", |args| Want::prints(args, ELEMENTS)),
        of("s/../s/a", |args| Want::prints(args, ELEMENTS)),
        Case::new("a path of 6000 bytes", make, vec![Want { codes: vec![3, 6], ..Want::refused(&format!("get {long}"), 6, &[]) }]),
        Case::new(
            "a name of 300 bytes",
            make,
            vec![Want { codes: vec![3, 6], ..Want::refused(&format!("get {}", "n".repeat(300)), 6, &[]) }],
        ),
        Case::new(
            "a reference file",
            |root| {
                write(
                    root,
                    "refs.json",
                    json!({"version": 1, "refs": {".zgroup": "{}", "a/0": ["file:///etc/passwd", 0, 100]}}).to_string(),
                )
            },
            vec![
                Want::refused("get refs.json", 4, &["refs.json", "stands here"]),
                Want::refused("rechunk refs.json t --chunks 1", 4, &["refs.json"]),
            ],
        ),
    ]
}

fn trees() -> Vec<Case> {
    let deep = |depth: usize| {
        move |root: &Path| {
            let mut place = root.join("s");
            for _ in 0..=depth {
                fs::create_dir(&place).unwrap();
                fs::write(place.join("zarr.json"), GROUP).unwrap();
                place.push("g");
            }
        }
    };
    let inside = |root: &Path| {
        array(root, document().to_string(), &[1, 2, 3, 4]);
        write(root, "s/inside/zarr.json", document().to_string());
        write(root, "s/c/1/zarr.json", document().to_string());
    };
    vec![
        Case::new(
            "groups 64 deep",
            deep(64),
            vec![Want::works("tree s", &[]), Want::works("check s", &["0 errors, 0 warnings: 65 groups"])],
        ),
        Case::new(
            "groups 200 deep",
            deep(200),
            vec![
                Want::refused("tree s", 4, &["nested more than 64 deep"]),
                Want::refused("rechunk s t --chunks 1", 4, &["nested more than 64 deep"]),
                Want::works("check s", &["warning unsupported: groups nested more than 64 deep"]),
            ],
        ),
        Case::new(
            "nodes in an array",
            inside,
            vec![
                Want::refused("get s", 4, &["s/c/1", "a directory stands"]),
                Want::prints("get s[0:4]", "1 2 3 4\n"),
                Want::refused("check s", 1, &["s/inside: error misplaced-node", "s/c/1: error obstructed"]),
            ],
        ),
        Case::new(
            "ten thousand names in a group",
            |root| {
                write(root, "s/zarr.json", GROUP);
                (0..10_000).for_each(|number| fs::create_dir(root.join(format!("s/n{number}"))).unwrap());
            },
            vec![Want::works("tree s", &[]), Want::works("check s", &["0 errors, 10000 warnings"])],
        ),
    ]
}

/// What is in the way of a target.
fn targets() -> Vec<Case> {
    let with = |what: fn(&Path)| {
        move |root: &Path| {
            array(root, document().to_string(), &[1, 2, 3, 4]);
            write(root, "precious/keep", "keep");
            what(root);
        }
    };
    let taken = |args: &str, says: &str| Want::refused(args, 2, &[says]);
    vec![
        Case::new(
            "a stage that is a link",
            with(move |root| std::os::unix::fs::symlink("precious", root.join("t.rechunked")).unwrap()),
            vec![taken("rechunk s t --chunks 2", "t.rechunked")],
        ),
        Case::new(
            "a stage that is somebody's",
            with(|root| write(root, "t.rechunked/keep", "x")),
            vec![taken("rechunk s t --chunks 2", "t.rechunked")],
        ),
        Case::new(
            "a stage with a forged marker",
            with(|root| write(root, "t.rechunked/.rechunk", "{\"format\": \"rezarr stage\"}")),
            vec![taken("rechunk s t --chunks 2", "t.rechunked")],
        ),
        Case::new(
            "a backup that is a link",
            with(move |root| {
                array(root, document().to_string(), &[1]);
                std::fs::rename(root.join("s"), root.join("t")).unwrap();
                array(root, document().to_string(), &[1, 2, 3, 4]);
                std::os::unix::fs::symlink("precious", root.join("t.backup")).unwrap();
            }),
            vec![taken("rechunk s t --chunks 2 --overwrite", "t.backup")],
        ),
        Case::new(
            "a target that is a link",
            with(|root| std::os::unix::fs::symlink("precious", root.join("t")).unwrap()),
            vec![taken("rechunk s t --chunks 2 --overwrite", "t: is no directory")],
        ),
        Case::new(
            "a target that leads out",
            with(|_| ()),
            vec![
                Want::refused("rechunk s .. --chunks 2", 2, &["must end in a name"]),
                Want::refused("rechunk s none/t --chunks 2", 3, &["none"]),
                Want::refused("rechunk s s/c/t --chunks 2", 2, &["inside"]),
            ],
        ),
    ]
}
