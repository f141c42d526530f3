//! Rechunks that are stopped and gone on with: what is left in between, what is done again, and what is refused.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/trees.rs"]
mod trees;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rezarr::{ArrayMetadata, Codecs, Error, Progress, RechunkOptions, Report, Strategy};

use arrays::{create, elements, layout, metadata, read};
use trees::{directory, names};

/// Rows to columns, which is a shuffle in little memory.
fn source() -> ArrayMetadata {
    metadata(&[2000, 1000], "float32", "0", &layout(&[10, 1000], None, "none"))
}

/// How a run goes.
#[derive(Clone, Copy)]
struct With<'p> {
    columns: u64,
    memory: u64,
    sync: bool,
    spill: Option<&'p Path>,
    resume: bool,
}

const PLAIN: With<'static> = With { columns: 5, memory: 3 << 20, sync: true, spill: None, resume: false };

impl With<'_> {
    fn resumed(self) -> Self {
        Self { resume: true, ..self }
    }

    fn options<'a>(self) -> RechunkOptions<'a> {
        let codecs: Codecs = "gzip:9".parse().unwrap();
        let options = RechunkOptions::new().chunks([2000, self.columns]).codecs(codecs).memory(self.memory).threads(2);
        let options = options.checkpoint_bytes(1 << 20).sync(self.sync).resume(self.resume);
        if let Some(spill) = self.spill { options.spill_dir(spill) } else { options }
    }

    /// Runs until there are so many bytes of checkpoints, and is cancelled then.
    fn stopped(self, at: &Path, journal_bytes: u64) -> Error {
        let journal = at.join("b.rechunked/.rechunk.journal");
        let (cancel, ended) = (AtomicBool::new(false), AtomicBool::new(false));
        std::thread::scope(|scope| {
            // More often than progress is shown: a quick machine would come to the end between two looks.
            scope.spawn(|| {
                while !ended.load(Ordering::Relaxed) && !cancel.load(Ordering::Relaxed) {
                    let bytes = fs::metadata(&journal).map_or(0, |metadata| metadata.len());
                    cancel.fetch_or(bytes >= journal_bytes, Ordering::Relaxed);
                    std::thread::sleep(std::time::Duration::from_micros(200));
                }
            });
            let outcome = rezarr::rechunk(at.join("a"), Some(&at.join("b")), self.options().cancel(&cancel));
            ended.store(true, Ordering::Relaxed);
            outcome.unwrap_err()
        })
    }
}

fn run(at: &Path, with: With<'_>) -> rezarr::Result<Report> {
    rezarr::rechunk(at.join("a"), Some(&at.join("b")), with.options())
}

/// JRN-7: a run that was stopped leaves a tree that the next one goes on with; then nothing is left but the result.
#[test]
fn a_stopped_run_is_gone_on_with() {
    for (sync, spill) in [(true, false), (false, false), (true, true)] {
        let root = directory();
        let at = root.path();
        let data = elements(&source(), 1);
        create(&at.join("a"), source(), &data);
        fs::create_dir(at.join("spill")).unwrap();
        let directory = at.join("spill");
        let with = With { sync, spill: spill.then_some(&*directory), ..PLAIN };
        let error = with.stopped(at, 1);
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(names(at), ["a", "b.rechunked", "spill"]);
        let spilled = names(&at.join("spill"));
        assert_eq!(spilled.len(), usize::from(spill), "{spilled:?}");
        assert!(spilled.iter().all(|name| name.starts_with(".b.") && name.ends_with(".rechunk-spill")), "{spilled:?}");
        // Twice.
        let second = with.resumed().stopped(at, fs::metadata(at.join("b.rechunked/.rechunk.journal")).unwrap().len() + 1);
        assert!(matches!(second, Error::Cancelled), "{second}");
        let report = run(at, with.resumed()).unwrap();
        assert_eq!(report.arrays[0].plan.strategy, Strategy::Shuffle);
        assert!(report.resumed_bytes > 0 && report.warnings.is_empty(), "{report:?}");
        assert!(read(&at.join("b")) == data);
        assert_eq!(names(at), ["a", "b", "spill"]);
        assert_eq!(names(&at.join("b")), ["c", "zarr.json"]);
        assert_eq!(names(&at.join("spill")), [""; 0]);
    }
}

/// JRN-7, PUB-30: in place the source stays what it is until the run that goes on is complete.
#[test]
fn a_run_in_place_is_gone_on_with() {
    let root = directory();
    let at = root.path();
    let data = elements(&source(), 1);
    create(&at.join("a"), source(), &data);
    let before = trees::tree(&at.join("a"));
    let cancel = AtomicBool::new(false);
    let mut look = |_: &Progress| {
        cancel.fetch_or(at.join("a.rechunked/.rechunk.journal").exists(), Ordering::Relaxed);
    };
    let error = rezarr::rechunk(at.join("a"), None, PLAIN.options().progress(&mut look).cancel(&cancel)).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(names(at), ["a", "a.rechunked"]);
    assert!(trees::tree(&at.join("a")) == before);
    let report = rezarr::rechunk(at.join("a"), None, PLAIN.resumed().options()).unwrap();
    assert!(report.resumed_bytes > 0 && report.warnings.is_empty(), "{:?}", report.warnings);
    assert_eq!((names(at), names(&at.join("a"))), (vec!["a".into()], vec!["c".into(), "zarr.json".into()]));
    assert!(read(&at.join("a")) == data);
}

/// JRN-8, SPL-12: without being asked to go on, a run begins anew, and what the other has left is gone.
#[test]
fn what_is_not_gone_on_with_is_deleted() {
    let root = directory();
    let at = root.path();
    let data = elements(&source(), 1);
    create(&at.join("a"), source(), &data);
    fs::create_dir(at.join("spill")).unwrap();
    With { spill: Some(&at.join("spill")), ..PLAIN }.stopped(at, 1);
    assert_eq!(names(&at.join("spill")).len(), 1);
    let report = run(at, With { memory: 64 << 20, ..PLAIN }).unwrap();
    assert_eq!(report.resumed_bytes, 0);
    assert_eq!((names(at), names(&at.join("spill"))), (vec!["a".into(), "b".into(), "spill".into()], vec![]));
    assert!(read(&at.join("b")) == data);
}

/// JRN-8: where there is nothing to go on with, a run says so.
#[test]
fn nothing_to_go_on_with_is_said() {
    let root = directory();
    let at = root.path();
    let data = elements(&source(), 1);
    create(&at.join("a"), source(), &data);
    let report = run(at, PLAIN.resumed()).unwrap();
    assert_eq!((report.resumed_bytes, report.warnings), (0, vec![String::from("there was nothing to resume: the run has begun anew")]));
    assert!(read(&at.join("b")) == data);
}

/// JRN-4: a source that was written to meanwhile is refused, and so is another job; what was left stays.
#[test]
fn another_source_and_another_job_are_refused() {
    let root = directory();
    let at = root.path();
    let data = elements(&source(), 1);
    create(&at.join("a"), source(), &data);
    PLAIN.stopped(at, 1);
    let left = trees::tree(&at.join("b.rechunked"));
    let refused = |with: With<'_>| {
        let error = run(at, with.resumed()).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        // The marker is written anew by whoever takes possession of the tree.
        let now = trees::tree(&at.join("b.rechunked"));
        assert!(
            left.keys().eq(now.keys()) && left.iter().all(|(key, value)| now[key] == *value || key == ".rechunk"),
            "something has changed"
        );
        error.to_string()
    };
    let anew = "leave --resume out to begin anew";
    let other = refused(With { columns: 10, ..PLAIN });
    assert_eq!(
        other,
        format!(
            "{}: has changed since the run that is to be resumed began: it was to become another array or group than is asked for now; {anew}",
            at.join("b.rechunked").display()
        )
    );
    let small = refused(With { memory: 64 << 20, ..PLAIN });
    assert!(small.contains("it differs in: memory budget (3145728 bytes then, 67108864 bytes now)") && small.ends_with(anew), "{small}");
    // The same bytes in another file.
    let chunk = at.join("a/c/7/0");
    fs::copy(&chunk, at.join("copy")).unwrap();
    fs::rename(at.join("copy"), &chunk).unwrap();
    let source_path = at.join("a");
    let expected = format!(
        "{}: has changed since the run that is to be resumed began: some of its 201 files were written to or replaced; {anew}",
        source_path.display()
    );
    assert_eq!(refused(PLAIN), expected);
    fs::remove_file(&chunk).unwrap();
    assert!(refused(PLAIN).contains("it had 201 files, and has 200 now"));
    let report = run(at, PLAIN).unwrap();
    assert_eq!(report.resumed_bytes, 0);
    assert_eq!(names(at), ["a", "b"]);
}

/// JRN-3: a journal or a spill file that was damaged is refused, or what comes before the damage counts.
#[test]
fn damage_is_refused() {
    for (name, at_byte) in [(".rechunk.spill", 3), (".rechunk.journal", 12), (".rechunk.journal", 0), (".rechunk.spill", 1 << 40)] {
        let root = directory();
        let at = root.path();
        let data = elements(&source(), 1);
        create(&at.join("a"), source(), &data);
        PLAIN.stopped(at, 1);
        let file = at.join("b.rechunked").join(name);
        if at_byte > 1 << 30 {
            fs::File::options().write(true).open(&file).unwrap().set_len(4096).unwrap();
        } else {
            let mut bytes = fs::read(&file).unwrap();
            bytes[at_byte] ^= 1;
            fs::write(&file, bytes).unwrap();
        }
        match run(at, PLAIN.resumed()) {
            Ok(report) => {
                assert_eq!((name, report.resumed_bytes), (".rechunk.journal", 0));
                assert!(read(&at.join("b")) == data);
                assert_eq!(names(at), ["a", "b"]);
            }
            Err(error) => {
                assert!(name == ".rechunk.spill" && matches!(error, Error::Changed { .. }), "{name}: {error}");
                assert_eq!(names(at), ["a", "b.rechunked"]);
            }
        }
    }
}

/// JRN-5: arrays of a group that are complete are not done again.
#[test]
fn complete_arrays_of_a_group_stay() {
    let root = directory();
    let at = root.path();
    rezarr::Group::create(at.join("a"), rezarr::Attributes::default()).unwrap();
    let datas: Vec<_> = (0..6).map(|n| elements(&source(), n)).collect();
    for (n, data) in datas.iter().enumerate() {
        create(&at.join(format!("a/{n}")), source(), data);
    }
    let with = With { memory: 64 << 20, ..PLAIN };
    with.stopped(at, 500);
    let done =
        names(&at.join("b.rechunked")).into_iter().filter(|name| at.join("b.rechunked").join(name).join("zarr.json").exists()).count();
    assert!(done > 0, "no array was complete");
    let report = run(at, with.resumed()).unwrap();
    let again = report.arrays.iter().filter(|array| array.measured.as_ref().is_some_and(|measured| measured.decoded_bytes > 0)).count();
    assert!(report.resumed_bytes > 0 && again <= 7 - done, "{done} complete, {again} worked on");
    for (n, data) in datas.iter().enumerate() {
        assert!(read(&at.join(format!("b/{n}"))) == *data, "{n}");
    }
    assert_eq!(names(at), ["a", "b"]);
}

/// JRN-4: a zip file that was written over with as many bytes is another source.
#[test]
fn a_changed_zip_file_is_refused() {
    let root = directory();
    let at = root.path();
    create(&at.join("dir"), source(), &elements(&source(), 1));
    rezarr::pack(at.join("dir"), at.join("a"), rezarr::PackOptions::new()).unwrap();
    PLAIN.stopped(at, 1);
    let zip = fs::read(at.join("a")).unwrap();
    fs::write(at.join("a"), zip).unwrap();
    let error = run(at, PLAIN.resumed()).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
    assert_eq!(names(at), ["a", "b.rechunked", "dir"]);
}

/// SPL-10: the spill file is where the tree says, whatever directory is named now; and nothing of it is left in the end.
#[test]
fn the_spill_file_is_found_where_it_was_left() {
    for (first, second) in [(Some("one"), None), (Some("one"), Some("two")), (None, Some("two"))] {
        let root = directory();
        let at = root.path();
        let data = elements(&source(), 1);
        create(&at.join("a"), source(), &data);
        let directories = ["one", "two"].map(|name| at.join(name));
        directories.iter().for_each(|directory| fs::create_dir(directory).unwrap());
        let path = |name: Option<&str>| name.map(|name| at.join(name));
        let (first, second) = (path(first), path(second));
        With { spill: first.as_deref(), ..PLAIN }.stopped(at, 1);
        let report = run(at, With { spill: second.as_deref(), ..PLAIN }.resumed()).unwrap();
        assert!(report.resumed_bytes > 0 && report.warnings.is_empty(), "{report:?}");
        assert!(read(&at.join("b")) == data);
        assert!(directories.iter().all(|directory| names(directory).is_empty()));
        assert_eq!(names(at), ["a", "b", "one", "two"]);
    }
}

/// SPL-10, JRN-7: where the spill file is not to be found, what is complete stays: the run is refused, or only the block is begun anew.
#[test]
fn a_lost_spill_file_takes_nothing_else_along() {
    let root = directory();
    let at = root.path();
    let data = elements(&source(), 1);
    create(&at.join("a"), source(), &data);
    let spill = at.join("spill");
    fs::create_dir(&spill).unwrap();
    let with = With { spill: Some(&spill), ..PLAIN };
    with.stopped(at, 1);
    let left = names(&spill);
    for name in ["spill", &format!("spill/{}", left[0])] {
        fs::rename(at.join(name), at.join("away")).unwrap();
        let error = run(at, PLAIN.resumed()).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }) && error.to_string().contains(&left[0]), "{error}");
        assert!(at.join("b.rechunked/.rechunk.journal").exists());
        fs::rename(at.join("away"), at.join(name)).unwrap();
    }
    let report = run(at, PLAIN.resumed()).unwrap();
    assert!(report.resumed_bytes > 0 && report.warnings.is_empty() && read(&at.join("b")) == data, "{report:?}");
    assert_eq!(names(&spill), [""; 0]);
}

/// JRN-7: of a group, the arrays that are complete stay when the spill file of the next one is lost.
#[test]
fn a_block_without_its_spill_file_is_begun_anew() {
    let root = directory();
    let at = root.path();
    rezarr::Group::create(at.join("a"), rezarr::Attributes::default()).unwrap();
    let datas: Vec<_> = (0..3).map(|n| elements(&source(), n)).collect();
    for (n, data) in datas.iter().enumerate() {
        create(&at.join(format!("a/{n}")), source(), data);
    }
    let journal = at.join("b.rechunked/.rechunk.journal");
    let in_second = || {
        fs::read(&journal).is_ok_and(|bytes| {
            let text = String::from_utf8_lossy(&bytes);
            let last = text.rfind("\"checkpoint\"").map(|begin| text[begin..].to_owned()).unwrap_or_default();
            last.contains("\"nodes\":1") && last.contains("\"phase\":\"deliver\"")
        })
    };
    let cancel = AtomicBool::new(false);
    let mut look = |_: &Progress| {
        cancel.fetch_or(in_second(), Ordering::Relaxed);
    };
    let error = rezarr::rechunk(at.join("a"), Some(&at.join("b")), PLAIN.options().progress(&mut look).cancel(&cancel)).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    fs::remove_file(at.join("b.rechunked/.rechunk.spill")).unwrap();
    let report = run(at, PLAIN.resumed()).unwrap();
    assert!(report.resumed_bytes > 0, "{report:?}");
    assert!(report.warnings.iter().any(|warning| warning.contains("is begun anew")), "{:?}", report.warnings);
    assert!(report.arrays[0].measured.as_ref().is_some_and(|measured| measured.decoded_bytes == 0));
    for (n, data) in datas.iter().enumerate() {
        assert!(read(&at.join(format!("b/{n}"))) == *data, "{n}");
    }
    assert_eq!(names(at), ["a", "b"]);
}

/// SPL-13: the blocks of a run use the spill file one after another, from its beginning.
#[test]
fn the_spill_file_is_no_longer_than_one_block_needs() {
    let root = directory();
    let at = root.path();
    rezarr::Group::create(at.join("a"), rezarr::Attributes::default()).unwrap();
    for n in 0..4 {
        create(&at.join(format!("a/{n}")), source(), &elements(&source(), n));
    }
    let spill = at.join("b.rechunked/.rechunk.spill");
    let mut longest = 0;
    let mut look = |_: &Progress| longest = longest.max(fs::metadata(&spill).map_or(0, |metadata| metadata.len()));
    rezarr::rechunk(at.join("a"), Some(&at.join("b")), PLAIN.options().progress(&mut look)).unwrap();
    // An array has 8 million bytes.
    assert!((6_000_000..12_000_000).contains(&longest), "{longest} bytes");
}

/// The journal of the tree beside `at` with its frames' bodies changed, and framed anew.
fn forge(at: &Path, change: impl Fn(usize, String) -> Option<String>) {
    let path = at.join("b.rechunked/.rechunk.journal");
    let bytes = fs::read(&path).unwrap();
    let (mut rest, mut out, mut chain, mut number) = (&bytes[..], Vec::new(), 0_u32, 0);
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes(*head.first_chunk().unwrap()) as usize;
        let (body, behind) = behind.split_at(length);
        if let Some(body) = change(number, String::from_utf8(body.to_vec()).unwrap()) {
            let length = u32::try_from(body.len()).unwrap().to_le_bytes();
            chain = crc32fast::hash(&[&chain.to_le_bytes()[..], &length, body.as_bytes()].concat());
            out.extend([&length[..], &chain.to_le_bytes(), body.as_bytes()].concat());
        }
        (rest, number) = (behind, number + 1);
    }
    fs::write(path, out).unwrap();
}

/// The text with the number behind a name replaced.
fn with_number(text: &str, name: &str, number: u64) -> String {
    let begin = text.find(&format!("\"{name}\":")).unwrap() + name.len() + 3;
    let len = text[begin..].find(|c: char| !c.is_ascii_digit()).unwrap();
    format!("{}{number}{}", &text[..begin], &text[begin + len..])
}

/// JRN-3: a journal that says more than there is, is an error, and what was left stays.
#[test]
fn a_journal_that_says_too_much_is_refused() {
    let root = directory();
    let at = root.path();
    create(&at.join("a"), source(), &elements(&source(), 1));
    PLAIN.stopped(at, 1);
    let journal = at.join("b.rechunked/.rechunk.journal");
    let whole = fs::read(&journal).unwrap();
    for (name, number) in [
        ("nodes", 1),
        ("nodes", 2),
        ("nodes", u64::MAX),
        ("items", 1),
        ("items", u64::MAX),
        ("done", 1 << 40),
        ("done_bytes", 1 << 40),
        ("before_bytes", u64::MAX),
        ("offset", 1 << 40),
        ("start", 1 << 50),
    ] {
        fs::write(&journal, &whole).unwrap();
        forge(at, |frame, body| Some(if frame == 0 { body } else { with_number(&body, name, number) }));
        let error = run(at, PLAIN.resumed()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::ChecksumMismatch { .. }), "{name} {number}: {error}");
        assert!(journal.exists(), "{name} {number}");
    }
    fs::write(&journal, &whole).unwrap();
    let report = run(at, PLAIN.resumed()).unwrap();
    assert!(report.resumed_bytes > 0, "{report:?}");
}

/// JRN-4: another version of the program is refused, and said.
#[test]
fn another_version_is_refused() {
    for (from, to) in
        [(format!("\"program\":\"{}\"", env!("CARGO_PKG_VERSION")), "\"program\":\"9.9.9\""), ("\"orders\":1".into(), "\"orders\":9")]
    {
        let root = directory();
        let at = root.path();
        create(&at.join("a"), source(), &elements(&source(), 1));
        PLAIN.stopped(at, 1);
        forge(at, |_, body| Some(body.replace(&from, to)));
        let error = run(at, PLAIN.resumed()).unwrap_err();
        assert!(matches!(error, Error::Changed { .. }), "{error}");
        let version = format!("rezarr {} (order 1)", env!("CARGO_PKG_VERSION"));
        assert!(error.to_string().contains(&version) && error.to_string().contains('9'), "{error}");
        assert_eq!(names(at), ["a", "b.rechunked"]);
    }
}

/// JRN-8: where there is no checkpoint, there is nothing to lose, and nothing has to be as it was.
#[test]
fn a_journal_without_a_checkpoint_refuses_nothing() {
    let root = directory();
    let at = root.path();
    let data = elements(&source(), 1);
    create(&at.join("a"), source(), &data);
    PLAIN.stopped(at, 1);
    forge(at, |frame, body| (frame == 0).then_some(body));
    let report = run(at, With { columns: 10, ..PLAIN }.resumed()).unwrap();
    assert_eq!((report.resumed_bytes, report.warnings.len()), (0, 1));
    assert!(read(&at.join("b")) == data);
}

/// JRN-8: a checkpoint that has waited for the disk is trusted after the machine was started again, and so are all after it; others are not.
#[test]
fn whether_a_checkpoint_was_synced_is_said_of_each() {
    for (syncs, trusted) in [([false, false, false], false), ([false, true, false], true), ([true, false, false], true)] {
        let root = directory();
        let at = root.path();
        let data = elements(&source(), 1);
        create(&at.join("a"), source(), &data);
        let journal = at.join("b.rechunked/.rechunk.journal");
        let mut bytes = 1;
        for (attempt, sync) in syncs.into_iter().enumerate() {
            let error = With { sync, resume: attempt > 0, ..PLAIN }.stopped(at, bytes);
            assert!(matches!(error, Error::Cancelled), "{error}");
            bytes = fs::metadata(&journal).unwrap().len() + 1;
        }
        // The machine is started again.
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        forge(at, |_, body| Some(body.replace(boot.trim(), "another")));
        let report = run(at, PLAIN.resumed()).unwrap();
        assert_eq!(report.resumed_bytes > 0, trusted, "{syncs:?}: {report:?}");
        assert!(read(&at.join("b")) == data);
    }
}
