//! What the file system store does inside: names, resolution without help of the kernel, syncs, and files that shrink while open.

use super::*;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

#[test]
fn temporary_names_fit_and_keep_whole_characters() {
    assert_eq!(temporary_name("c", 7, 0), ".c.7.0.tmp");
    for name in ["n".repeat(255), "ü".repeat(127), "n".repeat(3) + &"漢".repeat(84)] {
        let temporary = temporary_name(&name, u32::MAX, u64::MAX);
        assert!(temporary.len() <= 255 && temporary.len() > 250, "{}", temporary.len());
    }
}

/// The resolution name by name must refuse what the resolution by the kernel refuses, and find what it finds.
#[test]
fn stepwise_resolution_agrees_with_that_of_the_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
    std::fs::write(dir.path().join("a/b/v"), b"value").unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("a/out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), dir.path().join("a/link")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("a/dangling")).unwrap();
    let by_kernel = FilesystemStore::open(dir.path()).unwrap();
    let stepwise = FilesystemStore::open(dir.path()).unwrap();
    stepwise.root.force_stepwise();
    for name in ["a/b/v", "a/b", "a/out/secret", "a/out", "a/link", "a/dangling", "a/none", "none/none", "a/b/v/w", "a/dangling/x"] {
        let tell = |store: &FilesystemStore| {
            let mut bytes = Vec::new();
            let read = store.read(&key(name), ByteRange::All, &mut |found| {
                bytes.extend_from_slice(found);
                Ok(())
            });
            let mut names = Vec::new();
            let listed = store.list(&key(name), &mut |entry| {
                names.push(entry.name);
                Ok(())
            });
            format!("{:?} {bytes:?} {:?} {:?} {names:?}", read, store.size(&key(name)), listed)
        };
        assert_eq!(tell(&by_kernel), tell(&stepwise), "{name}");
    }
    stepwise.set(&key("x/y/z"), b"made name by name").unwrap();
    assert_eq!(by_kernel.size(&key("x/y/z")).unwrap(), Some(17));
    assert!(stepwise.set(&key("a/out/planted"), b"").is_err());
    assert!(stepwise.write_at(&key("a/dangling"), 0, b"x").is_err());
    assert!(stepwise.erase_prefix(&key("a")).unwrap());
    assert_eq!(std::fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

/// PUB-28.
#[test]
fn a_failed_sync_stays_failed() {
    let dir = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(dir.path()).unwrap();
    store.sync().unwrap();
    store.sync_failed.store(true, Ordering::Release);
    let failures = [store.sync(), store.sync_prefix(&Key::root()), store.set_durable(&key("v"), b"")];
    for failure in failures {
        assert!(failure.unwrap_err().to_string().contains("earlier sync"));
    }
    assert_eq!(store.kind(&key("v")).unwrap(), None, "a value that may be lost is not set");
    store.set(&key("v"), b"").unwrap();
}

#[test]
fn names_of_files_that_were_to_become_values() {
    for name in ["0", "zarr.json", ".rechunk", "..rechunk", &"n".repeat(255)] {
        assert!(is_temporary_name(&temporary_name(name, 17, 3)), "{name}");
        assert!(!is_temporary_name(name), "{name}");
    }
    for name in [".tmp", ".a.tmp", ".a.1.tmp", ".a.1.x.tmp", "a.1.2.tmp", ".a.1.2.part", ".a..2.tmp"] {
        assert!(!is_temporary_name(name), "{name}");
    }
}

/// A tree stays what it was when it was entered, whatever has its name since.
#[test]
fn a_tree_that_was_entered_is_told_from_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(dir.path()).unwrap();
    store.set(&key("a/v"), b"1").unwrap();
    store.set(&key("b/v"), b"2").unwrap();
    assert!(store.enter(&key("c")).unwrap().is_none());
    assert!(store.enter(&key("a/v")).is_err());
    let tree = store.enter(&key("a")).unwrap().unwrap();
    assert!(store.is_root_of(&key("a"), &tree).unwrap() && store.is_beside(&tree).unwrap());
    let held = tree.lock(&Key::root()).unwrap();
    store.exchange(&key("a"), &key("b")).unwrap();
    assert!(!store.is_root_of(&key("a"), &tree).unwrap());
    assert!(store.is_root_of(&key("b"), &tree).unwrap());
    assert_eq!(tree.size(&key("v")).unwrap(), Some(1));
    assert!(matches!(store.lock(&key("b")), Err(Error::Busy { .. })));
    drop(held);
    assert!(matches!(tree.lock(&Key::root()), Err(Error::Stale { .. })), "LCK-1: it has lost its name");
    drop(store.lock(&key("b")).unwrap());
    let without = FilesystemStore::open(dir.path()).unwrap().with_exchange(false);
    assert!(matches!(without.exchange(&key("a"), &key("b")), Err(Error::Unsupported { .. })));
}

#[test]
fn a_file_cut_after_its_pages_were_read_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(dir.path()).unwrap();
    store.set(&key("v"), &[7; 1_000_000]).unwrap();
    let shorter = std::fs::OpenOptions::new().write(true).open(dir.path().join("v")).unwrap();
    let open = |mode| FilesystemStore::open(dir.path()).unwrap().with_read_mode(mode).open(&key("v")).unwrap().unwrap();
    let cuts = [
        (999_999, ReadMode::Mapped),
        (999_000, ReadMode::Mapped),
        (4_096, ReadMode::Positioned),
        (5_000, ReadMode::Mapped),
        (0, ReadMode::Mapped),
    ];
    // Opened before the cut, as it is for a reader that was overtaken.
    for (value, cut) in cuts.map(|(cut, mode)| (open(mode), cut)) {
        shorter.set_len(cut).unwrap();
        let mut visited = false;
        let error = value.read(ByteRange::All, &mut |_| {
            visited = true;
            Ok(())
        });
        let error = error.unwrap_err().to_string();
        assert!(error.contains("truncated while open") && error.contains(&format!("has {cut} bytes")), "{error}");
        assert!(!visited);
    }
}

/// Which of the entries of a directory are opened while `run` runs.
fn opened(directory: &Path, run: impl FnOnce()) -> Vec<String> {
    use rustix::fs::inotify;
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    inotify::add_watch(&watch, directory, inotify::WatchFlags::OPEN).unwrap();
    run();
    let mut buffer = [const { std::mem::MaybeUninit::uninit() }; 4096];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let mut names = Vec::new();
    while let Ok(event) = events.next() {
        names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn only_regular_files_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = FilesystemStore::open(dir.path()).unwrap();
    store.set(&key("file"), b"value").unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("fifo"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    // A reader, without which a writer could not open it anyway.
    let _other_end = std::fs::OpenOptions::new().read(true).write(true).open(dir.path().join("fifo")).unwrap();
    let seen = opened(dir.path(), || {
        for name in ["fifo", "file"] {
            let read = store.read(&key(name), ByteRange::All, &mut |_| Ok(()));
            let written = store.write_at(&key(name), 0, b"x");
            let copied = store.copy_from(&store, &key(name), &key("copy/of"));
            assert_eq!((read.is_ok(), written.is_ok(), copied.is_ok()), (name == "file", name == "file", name == "file"));
            if let Err(error) = read {
                assert!(error.to_string().contains("a FIFO"), "{error}");
            }
        }
    });
    // Events that follow one another and are alike come as one.
    assert_eq!(seen, ["file"]);
}
