//! Files that are no files: links, directories, pipes, sockets, devices, and files without end.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode};

use super::stores::{Case, ELEMENTS, Want, array, document, write};

/// Something put in the place of a file.
type Put = fn(&Path);

/// What can stand where a value is expected, and what is said of it.
const KINDS: &[(&str, Put, &str)] = &[
    ("a link to a file outside", |at| symlink("/etc/passwd", at).unwrap(), "a symbolic link stands"),
    ("a link to a device", |at| symlink("/dev/zero", at).unwrap(), "a symbolic link stands"),
    ("a link to itself", |at| symlink(at.file_name().unwrap(), at).unwrap(), "a symbolic link stands"),
    ("a link to nothing", |at| symlink("nothing", at).unwrap(), "a symbolic link stands"),
    ("a directory", |at| fs::create_dir(at).unwrap(), "a directory stands"),
    ("a pipe", |at| rustix::fs::mknodat(CWD, at, FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap(), "a FIFO stands"),
    ("a socket", |at| drop(UnixListener::bind(at).unwrap()), "a socket stands"),
];

/// The array with something in the place of one of its files. Sockets have short paths, so they are bound from within.
fn replaced(file: &'static str, put: Put) -> impl Fn(&Path) {
    move |root| {
        array(root, document().to_string(), &[1, 2, 3, 4]);
        fs::remove_file(root.join(file)).unwrap();
        put(&root.join(file));
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, put, says) in KINDS {
        let refused = |args, file: &str| Want::refused(args, 4, &[file, says]);
        let document = ["get s", "tree s", "rechunk s t --chunks 2", "info s"].map(|args| refused(args, "s/zarr.json"));
        let document = [&document[..], &[Want::refused("check s", 1, &["s/zarr.json: error "])]].concat();
        cases.push(Case::new(&format!("{what} as a document"), replaced("s/zarr.json", *put), document));
        let chunk = ["get s", "rechunk s t --chunks 2", "verify s s"].map(|args| refused(args, "s/c/0"));
        let chunk = [&chunk[..], &[Want::refused("check s", 1, &["s/c/0: error "])]].concat();
        cases.push(Case::new(&format!("{what} as a chunk"), replaced("s/c/0", *put), chunk));
    }
    cases.extend(directories());
    cases.extend(roots());
    cases.extend(odd());
    cases
}

/// Links and pipes in the place of directories.
fn directories() -> Vec<Case> {
    let chunks_elsewhere = |root: &Path| {
        write(root, "s/zarr.json", document().to_string());
        write(root, "elsewhere/0", [9; 4]);
        symlink("../elsewhere", root.join("s/c")).unwrap();
    };
    let members = |root: &Path| {
        write(root, "s/zarr.json", r#"{"zarr_format": 3, "node_type": "group"}"#);
        write(root, "outside/zarr.json", document().to_string());
        symlink("../outside", root.join("s/link")).unwrap();
        symlink(".", root.join("s/loop")).unwrap();
        symlink("/", root.join("s/root")).unwrap();
        rustix::fs::mknodat(CWD, root.join("s/pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    };
    let says = "s/c: corrupt: a symbolic link stands where a directory is expected";
    vec![
        Case::new(
            "chunks behind a link",
            chunks_elsewhere,
            vec![
                Want::refused("get s", 4, &[says]),
                Want::refused("rechunk s t --chunks 2", 4, &[says]),
                Want::refused("check s", 1, &["s/c: error special-file"]),
            ],
        ),
        Case::new(
            "members behind links",
            members,
            vec![
                Want::works("tree s", &["link (unsupported: a link or special file", "loop (unsupported", "root (unsupported"]),
                Want::refused("rechunk s t --chunks 2", 4, &["s/link"]),
                Want::refused(
                    "check s",
                    1,
                    &[
                        "s/link: error special-file",
                        "s/loop: error special-file",
                        "s/root: error special-file",
                        "s/pipe: error special-file",
                    ],
                ),
            ],
        ),
    ]
}

/// What leads to a store, or does not.
fn roots() -> Vec<Case> {
    vec![
        Case::new(
            "the store behind a link",
            |root| {
                array(root, document().to_string(), &[1, 2, 3, 4]);
                fs::rename(root.join("s"), root.join("real")).unwrap();
                symlink("real", root.join("s")).unwrap();
            },
            vec![Want::prints("get s", ELEMENTS), Want::works("check s", &["0 errors, 0 warnings"])],
        ),
        Case::new(
            "a pipe as the store",
            |root| rustix::fs::mknodat(CWD, root.join("s"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap(),
            vec![
                Want::refused("get s", 4, &["s: unsupported: a FIFO stands here"]),
                Want::refused("check s", 4, &["s: unsupported: a FIFO stands here"]),
                Want::refused("rechunk s t --chunks 2", 4, &["s: unsupported: a FIFO stands here"]),
            ],
        ),
        Case::new(
            "a pipe as a zip file",
            |root| rustix::fs::mknodat(CWD, root.join("s.zip"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap(),
            vec![
                Want::refused("get s.zip", 4, &["s.zip: unsupported: a FIFO stands here"]),
                Want::refused("get s.zip/a", 3, &["s.zip/a: not found"]),
            ],
        ),
        Case::new(
            "a link to itself as the store",
            |root| symlink("s", root.join("s")).unwrap(),
            vec![Want::refused("get s", 6, &["s: open failed"]), Want::refused("check s", 6, &["s: open failed"])],
        ),
        Case::new(
            "a link to nothing as the store",
            |root| symlink("nothing", root.join("s")).unwrap(),
            vec![Want::refused("get s", 3, &["s: not found"])],
        ),
    ]
}

fn odd() -> Vec<Case> {
    let sized = |file: &'static str, size: u64| {
        move |root: &Path| {
            array(root, document().to_string(), &[1, 2, 3, 4]);
            File::options().write(true).open(root.join(file)).unwrap().set_len(size).unwrap();
        }
    };
    let mode = |file: &'static str| {
        move |root: &Path| {
            array(root, document().to_string(), &[1, 2, 3, 4]);
            fs::set_permissions(root.join(file), Permissions::from_mode(0o000)).unwrap();
        }
    };
    // Whoever may read everything reads these, too.
    let either = |args: &str, code: i32, says: &str| Want {
        codes: vec![0, 4, code],
        prints: (args == "get s").then(|| ELEMENTS.to_owned()),
        ..Want::refused(args, code, &[says])
    };
    vec![
        Case::new(
            "a chunk of 4 TiB",
            sized("s/c/0", 1 << 42),
            vec![
                Want::refused("get s", 4, &["s/c/0", "4398046511104 bytes are stored"]),
                Want::refused("rechunk s t --chunks 2", 4, &["s/c/0"]),
                Want::refused("check s", 1, &["s/c/0: error chunk-size"]),
            ],
        ),
        Case::new(
            "a document nobody may read",
            mode("s/zarr.json"),
            vec![either("get s", 6, "s/zarr.json"), either("check s", 1, "s/zarr.json: error unreadable")],
        ),
        Case::new(
            "a chunk nobody may read",
            mode("s/c/0"),
            vec![either("get s", 6, "s/c/0"), either("check s", 1, "s/c/0: error unreadable")],
        ),
        Case::new(
            "a chunk with two names",
            |root| {
                array(root, document().to_string(), &[1, 2, 3, 4]);
                fs::hard_link(root.join("s/c/0"), root.join("other")).unwrap();
            },
            vec![Want::prints("get s", ELEMENTS), Want::works("check s", &["0 errors, 0 warnings"])],
        ),
        Case::new(
            "a thousand files that are left over",
            |root| {
                array(root, document().to_string(), &[1, 2, 3, 4]);
                (0..1000).for_each(|number| write(root, &format!("s/c/.0.{number}.1.tmp"), [9]));
            },
            vec![Want::prints("get s", ELEMENTS), Want::works("check s", &["0 errors, 1000 warnings"])],
        ),
    ]
}
