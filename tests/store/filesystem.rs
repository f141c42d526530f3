//! What only a file system can get wrong: links, special files, files that change under a reader, depth, names, and handles.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;

use rezarr::{ByteRange, EntryKind, FilesystemStore, Key, ReadMode, Store};
use rustix::fs::{CWD, Mode, OFlags};

use super::{all, get, key, names, refused};

fn store() -> (tempfile::TempDir, FilesystemStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(dir.path()).unwrap();
    (dir, store)
}

#[test]
fn the_root_must_be_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    refused(FilesystemStore::open(dir.path().join("none")), "NotFound", &["none", "a directory"]);
    refused(FilesystemStore::open(&file), "Unsupported", &["file", "a regular file stands here", "is a directory"]);
    refused(FilesystemStore::open(file.join("below")), "NotFound", &["a part of the path is a file"]);
    refused(FilesystemStore::create(&file), "Unsupported", &["is a directory"]);
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    assert!(FilesystemStore::create(dir.path().join("dangling")).is_err());
    FilesystemStore::create(dir.path().join("new/er")).unwrap().set(&key("v"), b"1").unwrap();
    assert_eq!(all(&FilesystemStore::create(dir.path().join("new/er")).unwrap(), "v"), b"1", "what exists is opened as it is");
    symlink(dir.path().join("new"), dir.path().join("link")).unwrap();
    assert_eq!(all(&FilesystemStore::open(dir.path().join("link/er")).unwrap(), "v"), b"1", "the root may be reached by a link");
}

/// Everything that could open, replace, remove or look behind `name` must refuse, and say what is there.
fn is_in_the_way(store: &FilesystemStore, name: &str, found: &str) {
    let mentions = [name, found];
    refused(get(store, name, ByteRange::All), "Corrupt", &mentions);
    refused(store.size(&key(name)), "Corrupt", &mentions);
    refused(store.set(&key(name), b"x"), "Corrupt", &mentions);
    refused(store.write_at(&key(name), 0, b"x"), "Corrupt", &mentions);
    refused(store.erase(&key(name)), "Corrupt", &mentions);
    refused(store.copy_from(store, &key(name), &key("copy")), "Corrupt", &mentions);
    refused(store.copy_from(store, &key("value"), &key(name)), "Corrupt", &mentions);
    if found != "a directory" {
        let below = format!("{name}/secret");
        refused(get(store, &below, ByteRange::All), "Corrupt", &mentions);
        refused(store.set(&key(&below), b"x"), "Corrupt", &mentions);
        refused(store.erase_prefix(&key(&below)), "Corrupt", &mentions);
        refused(store.list(&key(name), &mut |_| Ok(())), "Corrupt", &mentions);
        refused(store.lock(&key(name)), "Corrupt", &mentions);
        assert_eq!(store.kind(&key(name)).unwrap(), Some(EntryKind::Other));
    }
}

#[test]
fn whatever_is_no_file_is_in_the_way_and_never_missing() {
    let (dir, store) = store();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    store.set(&key("value"), b"1").unwrap();
    for store in [&store, &FilesystemStore::open(dir.path()).unwrap().with_read_mode(ReadMode::Positioned)] {
        fs::create_dir(dir.path().join("directory")).unwrap();
        is_in_the_way(store, "directory", "a directory");
        for (name, to) in
            [("out", outside.path()), ("file", &outside.path().join("secret")), ("in", "value".as_ref()), ("no", "no".as_ref())]
        {
            symlink(to, dir.path().join(name)).unwrap();
            is_in_the_way(store, name, "a symbolic link");
        }
        // Opening a FIFO would wait for ever for its other end.
        rustix::fs::mkfifoat(CWD, dir.path().join("fifo"), Mode::from_raw_mode(0o600)).unwrap();
        is_in_the_way(store, "fifo", "a FIFO");
        let _listener = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        is_in_the_way(store, "socket", "a socket");
        let others = names(store, "").into_iter().filter(|(_, kind)| *kind == EntryKind::Other).count();
        assert_eq!(others, 6, "and nothing temporary is left");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        for other in ["out", "file", "in", "no", "fifo", "socket"] {
            assert!(store.erase_prefix(&key(other)).unwrap(), "a link is removed itself");
        }
        assert!(store.erase_prefix(&key("directory")).unwrap());
        assert_eq!(names(store, "").len(), 1);
    }
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

#[test]
fn deletion_does_not_follow_links() {
    let (dir, store) = store();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("zarr.json"), b"kept").unwrap();
    store.set(&key("tree/a/v"), b"1").unwrap();
    symlink(outside.path(), dir.path().join("tree/a/out")).unwrap();
    symlink(outside.path().join("zarr.json"), dir.path().join("tree/zarr.json")).unwrap();
    rustix::fs::mkfifoat(CWD, dir.path().join("tree/fifo"), Mode::from_raw_mode(0o600)).unwrap();
    fs::create_dir(dir.path().join("tree/a/zarr.json")).unwrap();
    assert!(store.erase_prefix(&key("tree")).unwrap());
    assert_eq!(names(&store, ""), []);
    assert_eq!(fs::read(outside.path().join("zarr.json")).unwrap(), b"kept");
}

#[test]
fn metadata_go_before_what_they_describe() {
    let (dir, store) = store();
    // Two levels of a group, so that the deletion meets chunks of one before the metadata of others.
    for node in ["g", "g/a", "g/b", "g/b/c"] {
        for value in ["zarr.json", "0", "1/0", "zz"] {
            store.set(&key(&format!("{node}/{value}")), b"1").unwrap();
        }
    }
    // A directory that cannot be emptied stops the deletion wherever the listing meets it.
    let stuck = dir.path().join("g/a/1");
    let fs_flags = |flag: &str| std::process::Command::new("chattr").arg(flag).arg(&stuck).status().is_ok_and(|status| status.success());
    if !fs_flags("+i") {
        eprintln!("SKIPPED: directories cannot be made immutable here");
        return;
    }
    let erased = store.erase_prefix(&key("g"));
    assert!(fs_flags("-i"));
    assert!(erased.is_err());
    assert_eq!(store.kind(&key("g/zarr.json")).unwrap(), None);
    assert_eq!(store.kind(&key("g/a/zarr.json")).unwrap(), None);
    assert!(store.kind(&key("g/a/1/0")).unwrap().is_some());
    assert!(store.erase_prefix(&key("g")).unwrap(), "what was left can be removed by another call");
}

#[test]
fn a_file_that_was_cut_is_corrupt_not_a_signal() {
    let (dir, store) = store();
    for (store, size) in [(&store, 300_000), (&FilesystemStore::open(dir.path()).unwrap().with_read_mode(ReadMode::Positioned), 50_000)] {
        store.set(&key("c/0"), &vec![1; size]).unwrap();
        let file = OpenOptions::new().write(true).open(dir.path().join("c/0")).unwrap();
        file.set_len(10_000).unwrap();
        let range = ByteRange::From { offset: 8_000, len: 20_000 };
        refused(get(store, "c/0", range), "Corrupt", &["c/0", "20000 bytes from offset 8000", "10000 bytes"]);
        assert_eq!(get(store, "c/0", ByteRange::From { offset: 8_000, len: 2_000 }).unwrap(), Some(vec![1; 2_000]));
        file.set_len(0).unwrap();
        assert!(all(store, "c/0").is_empty());
    }
}

#[test]
fn a_mapped_value_outlives_the_call_and_the_value() {
    let (_dir, store) = store();
    store.set(&key("v"), &[5; 20_000]).unwrap();
    // SAFETY: nobody writes to the file or cuts it; it is only replaced and removed.
    #[allow(unsafe_code, reason = "the function under test is unsafe")]
    let map = |name: &str, range| unsafe { store.map(&key(name), range) };
    let value = map("v", ByteRange::From { offset: 4_097, len: 10_000 }).unwrap().unwrap();
    store.set(&key("v"), &[6; 3]).unwrap();
    store.erase(&key("v")).unwrap();
    assert_eq!(*value, [5; 10_000]);
    assert!(map("v", ByteRange::All).unwrap().is_none());
    store.set(&key("empty"), b"").unwrap();
    assert!(map("empty", ByteRange::All).unwrap().unwrap().is_empty());
    refused(map("empty", ByteRange::Last { len: 1 }), "Corrupt", &["empty"]);
}

#[test]
fn a_store_stays_with_its_tree_when_the_name_goes_to_another() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("array"), dir.path().join("other"));
    fs::create_dir_all(&new).unwrap();
    fs::write(new.join("v"), b"new").unwrap();
    let store = FilesystemStore::create(&old).unwrap();
    store.set(&key("v"), b"old").unwrap();
    fs::rename(&old, dir.path().join("aside")).unwrap();
    fs::rename(&new, &old).unwrap();
    assert_eq!(all(&store, "v"), b"old");
    store.set(&key("w"), b"old too").unwrap();
    assert!(dir.path().join("aside/w").exists() && !old.join("w").exists());
    assert_eq!(all(&FilesystemStore::open(&old).unwrap(), "v"), b"new");
}

#[test]
fn writing_in_place_spares_other_names_of_the_file() {
    let (dir, store) = store();
    store.set(&key("v"), b"shared").unwrap();
    fs::hard_link(dir.path().join("v"), dir.path().join("other")).unwrap();
    refused(store.write_at(&key("v"), 0, b"x"), "Corrupt", &["v", "hard links"]);
    refused(store.writer(&key("v")).map(|_| ()), "Corrupt", &["v", "hard links"]);
    store.set(&key("v"), b"own").unwrap();
    assert_eq!(fs::read(dir.path().join("other")).unwrap(), b"shared");
}

#[test]
fn names_that_are_no_text_are_shown_and_never_opened() {
    use std::os::unix::ffi::OsStrExt;
    let (dir, store) = store();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe")), b"").unwrap();
    fs::create_dir_all(dir.path().join(std::ffi::OsStr::from_bytes(b"tree/\xff/x"))).unwrap();
    assert_eq!(names(&store, ""), [("tree".to_owned(), EntryKind::Prefix), ("\u{fffd}\u{fffd}".to_owned(), EntryKind::Other)]);
    assert!(store.erase_prefix(&key("tree")).unwrap());
}

#[test]
fn long_names_and_long_keys_work() {
    let (_dir, store) = store();
    let longest = "n".repeat(255);
    let wide = ["ü".repeat(127), longest.clone(), "with spaces and \"quotes\"\n".to_owned()];
    for name in &wide {
        store.set(&key(name), name.as_bytes()).unwrap();
        store.set(&key(name), name.as_bytes()).unwrap();
        assert_eq!(all(&store, name), name.as_bytes());
    }
    assert_eq!(names(&store, "").len(), 3);
    // 20 names of 255 bytes are longer than a path may be.
    let deep = vec![longest.as_str(); 20].join("/");
    assert!(store.erase(&key(&longest)).unwrap());
    store.set(&key(&deep), b"deep").unwrap();
    assert_eq!(all(&store, &deep), b"deep");
    assert_eq!(store.size(&key(&deep)).unwrap(), Some(4));
    assert!(store.erase_prefix(&key(&longest)).unwrap());
    assert_eq!(names(&store, "").len(), 2);
}

/// Makes a chain of directories by handles, far deeper than any path may be.
fn dig(dir: &std::path::Path, depth: usize) {
    let open = |at: &OwnedFd| rustix::fs::openat(at, "d", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    let mut at = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
    for level in 0..depth {
        rustix::fs::mkdirat(&at, "d", Mode::from_raw_mode(0o700)).unwrap();
        if level % 50 == 0 {
            let file = rustix::fs::openat(&at, "zarr.json", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o600)).unwrap();
            drop(file);
        }
        at = open(&at);
    }
}

#[test]
fn a_tree_of_any_depth_is_removed() {
    let (dir, store) = store();
    store.create_prefix(&key("deep")).unwrap();
    dig(&dir.path().join("deep"), 5_000);
    // On a stack that a recursion of this depth would overflow, with few handles in use.
    std::thread::scope(|scope| {
        let erase = || store.erase_prefix(&key("deep")).unwrap();
        assert!(std::thread::Builder::new().stack_size(128 << 10).spawn_scoped(scope, erase).unwrap().join().unwrap());
    });
    assert_eq!(names(&store, ""), []);
}

#[test]
fn a_wide_tree_is_removed() {
    let (_dir, store) = store();
    for i in 0..5_000 {
        store.set(&key(&format!("w/{}/{i}", i % 70)), b"").unwrap();
    }
    assert!(store.erase_prefix(&Key::root()).unwrap());
    assert_eq!(names(&store, ""), []);
}

#[test]
fn two_stores_on_one_directory_share_its_locks() {
    let (dir, store) = store();
    let other = FilesystemStore::open(dir.path()).unwrap();
    store.create_prefix(&key("a")).unwrap();
    let lock = store.lock(&key("a")).unwrap();
    refused(other.lock(&key("a")), "Busy", &["a"]);
    // A new directory under the name is another tree.
    fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
    store.create_prefix(&key("a")).unwrap();
    drop(other.lock(&key("a")).unwrap());
    drop(lock);
    drop(other.lock(&key("b")).unwrap());
}

#[test]
fn a_parent_that_may_not_be_searched_is_not_missing() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: nothing is forbidden to root");
        return;
    }
    let (dir, store) = store();
    store.set(&key("p/v"), b"1").unwrap();
    let allow = |mode| fs::set_permissions(dir.path().join("p"), fs::Permissions::from_mode(mode)).unwrap();
    allow(0o000);
    let (read, size) = (get(&store, "p/v", ByteRange::All), store.size(&key("p/v")));
    allow(0o700);
    refused(read, "Io", &["p/v"]);
    refused(size, "Io", &["p/v"]);
}
