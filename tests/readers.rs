//! Readers beside whoever puts new trees in the place of what they read: they see the old array or the new one, or are told that it is gone (LCK-9).
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/arrays.rs"]
mod arrays;
#[path = "support/processes.rs"]
mod processes;
#[path = "support/trees.rs"]
mod trees;

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rezarr::{
    Array, Attributes, CheckOptions, ChunkSpec, Codecs, Error, FindingCode, Group, PackOptions, RechunkOptions, Region, Result, Shards,
    VerifyOptions, pack, rechunk, verify,
};

use arrays::{create, indices, layout, metadata, mixed};
use processes::{child, words};
use trees::{directory, names};

const EDGE: u64 = 16;

/// Element by element another value, but for a corner that is fill, of which some layouts store nothing.
fn value(row: u64, column: u64) -> u32 {
    if row < 8 && column < 8 { 0 } else { u32::try_from(row * EDGE + column).unwrap() + 1 }
}

fn make(at: &Path) {
    let data: Vec<u8> = (0..EDGE * EDGE).flat_map(|i| value(i / EDGE, i % EDGE).to_ne_bytes()).collect();
    create(&at.join("origin"), metadata(&[EDGE, EDGE], "uint32", "0", &layout(&[8, 8], None, "none")), &data);
    Group::create(at.join("g"), Attributes::default()).unwrap();
    swap(at, 0);
}

/// Puts a new tree in the place of `g/live`, in place or from outside. The first two layouts have chunks of the same size, so that nothing but the
/// tree tells them apart.
fn swap(at: &Path, number: u64) {
    let chunks = |text: &str| RechunkOptions::new().chunks(text.parse::<ChunkSpec>().unwrap()).threads(1).sync(false);
    let options = match number % 4 {
        0 => chunks("2,16").shards(Shards::Remove).codecs(Codecs::none()),
        1 => chunks("16,2").shards(Shards::Remove).codecs(Codecs::none()),
        2 => chunks("4,4").shards(Shards::Of("8,16".parse().unwrap())),
        _ => chunks("5,7").shards(Shards::Remove).codecs("zstd:1".parse::<Codecs>().unwrap()),
    };
    let report = if number.is_multiple_of(3) {
        rechunk(at.join("origin"), Some(&at.join("g/live")), options.overwrite(true)).unwrap()
    } else {
        rechunk(at.join("g/live"), None, options).unwrap()
    };
    assert_eq!(report.warnings, [""; 0]);
}

/// What readers have seen.
#[derive(Debug, Default)]
struct Seen {
    reads: AtomicU64,
    stale: AtomicU64,
    swapped: AtomicU64,
}

fn check(region: &Region, elements: &[u32]) {
    for (index, element) in indices(region.shape()).iter().zip(elements) {
        let (row, column) = (region.start()[0] + index[0], region.start()[1] + index[1]);
        assert_eq!(*element, value(row, column), "at {row}, {column} of {region}");
    }
}

/// One look at an array that may be gone.
fn look(array: &Array, number: u64) -> Result<()> {
    let random = mixed(number);
    let (row, column) = (random % EDGE, (random >> 8) % EDGE);
    let shape = [1 + (random >> 16) % (EDGE - row), 1 + (random >> 24) % (EDGE - column)];
    let region = if random.is_multiple_of(3) { Region::whole(&[EDGE, EDGE]) } else { Region::new([row, column], shape).unwrap() };
    let counts = array.grid().counts();
    let chunk = [(random >> 32) % counts[0], (random >> 40) % counts[1]];
    match random >> 60 {
        0..8 => check(&region, &array.read::<u32>(&region)?),
        8..10 => check(&array.grid().region(&chunk), bytemuck::cast_slice(&array.read_chunk(&chunk)?)),
        10..13 if array.encoded_chunk(&chunk)?.is_none() => {
            let region = array.grid().region(&chunk);
            check(&region, &vec![0; usize::try_from(region.element_count().unwrap()).unwrap()]);
        }
        10..13 => {}
        _ if array.stored_chunk_bytes(&chunk)?.is_none() => {
            let region = array.grid().region(&chunk);
            check(&region, &vec![0; usize::try_from(region.element_count().unwrap()).unwrap()]);
        }
        _ => {}
    }
    Ok(())
}

/// Reads until it is told to stop, through handles of all ages.
fn keep_reading(at: &Path, seed: u64, seen: &Seen, stop: &dyn Fn() -> bool) {
    let mut number = seed << 32;
    while !stop() {
        number += 1;
        let array = if number.is_multiple_of(2) {
            Array::open(at.join("g/live"))
        } else {
            Group::open(at.join("g")).and_then(|group| group.array("live"))
        };
        let array = array.unwrap_or_else(|error| panic!("opening: {error:?}"));
        // Most are kept for some reads, some until they are stale.
        let most = if number.is_multiple_of(7) { 100_000 } else { mixed(number) % 20 };
        for turn in 0..most {
            match look(&array, number ^ (turn << 20)) {
                Ok(()) => seen.reads.fetch_add(1, Ordering::Relaxed),
                Err(Error::Stale { .. }) => {
                    seen.stale.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(error) => panic!("{error:?}"),
            };
            if stop() {
                return;
            }
        }
    }
}

/// The other process of the test below.
#[test]
fn a_reading_process() {
    let Some(told) = words("a_reading_process") else { return };
    let at = Path::new(&told[0]);
    let seen = Seen::default();
    keep_reading(at, 3, &seen, &|| at.join("stop").exists());
    println!("\nread {} {}", seen.reads.into_inner(), seen.stale.into_inner());
}

/// LCK-9: two threads and a process read while the tree is replaced again and again.
#[test]
fn readers_see_one_tree_or_are_told_that_it_is_gone() {
    let swaps = std::env::var("REZARR_SWAPS").map_or(150, |text| text.parse().unwrap());
    let root = directory();
    let at = root.path();
    make(at);
    let reader = child("a_reading_process", &[at.to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
    let (seen, done) = (Seen::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // However this ends, the others must.
        let _end = End { done: &done, file: &at.join("stop") };
        for seed in 1..3 {
            let (seen, done) = (&seen, &done);
            scope.spawn(move || keep_reading(at, seed, seen, &|| done.load(Ordering::Relaxed)));
        }
        for number in 1..=swaps {
            swap(at, number);
            seen.swapped.fetch_add(1, Ordering::Relaxed);
        }
    });
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    let counts: Vec<u64> =
        said.lines().find_map(|line| line.strip_prefix("read ")).unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
    eprintln!("{seen:?}, the other process {counts:?}");
    assert!(seen.reads.into_inner() > swaps && counts[0] > 0);
    assert!(seen.stale.into_inner() > 0 && counts[1] > 0, "nobody was in the way");
    assert_eq!(names(&at.join("g")), ["live", "zarr.json"]);
}

struct End<'a> {
    done: &'a AtomicBool,
    file: &'a Path,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        std::fs::write(self.file, "").unwrap();
    }
}

/// LCK-9: what reads whole trees.
#[test]
fn copies_are_of_one_tree_or_none() {
    let root = directory();
    let at = root.path();
    make(at);
    let (done, swapped) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut counts = [0_u64; 2];
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                swap(at, number);
                swapped.store(number, Ordering::Relaxed);
            }
        });
        let end = End { done: &done, file: &at.join("stop") };
        let mut told = |result: Result<()>| match result {
            Ok(()) => counts[0] += 1,
            Err(Error::Stale { .. }) => counts[1] += 1,
            Err(error) => panic!("{error:?}"),
        };
        for number in 0..40_u64 {
            let (copy, zip) = (at.join(format!("copy{number}")), at.join(format!("{number}.zip")));
            let source = if number.is_multiple_of(2) { "g/live" } else { "g" };
            let keep = RechunkOptions::new().chunks([4, 8]).sync(false);
            told(rechunk(at.join(source), Some(&copy), keep).map(|_| whole(&copy, source)));
            told(pack(at.join(source), &zip, PackOptions::new().sync(false)).map(|_| whole(&zip, source)));
            told(verify(at.join("origin"), at.join("g/live"), VerifyOptions::new()).map(|verdict| assert!(verdict.equal, "{verdict:?}")));
        }
        drop(end);
    });
    eprintln!("{counts:?} copies whole and refused, {swapped:?} swaps");
    // Most of what takes long comes too late; not all of it does, and what is refused is refused for a swap.
    let swaps = swapped.into_inner();
    assert!(counts[0] >= 20, "{counts:?} of 120 after {swaps} swaps");
    assert!(swaps > 0 && counts[1] <= 3 * swaps, "{counts:?} of 120 after {swaps} swaps");
}

fn whole(copy: &Path, source: &str) {
    let array = Array::open(if source == "g" { copy.join("live") } else { copy.to_owned() }).unwrap();
    let all = Region::whole(&[EDGE, EDGE]);
    check(&all, &array.read::<u32>(&all).unwrap());
}

/// LCK-9: a group whose tree is gone does not look like an empty one.
#[test]
fn a_group_that_is_gone_is_not_empty() {
    let root = directory();
    let at = root.path();
    make(at);
    let group = Group::open(at.join("g")).unwrap();
    assert_eq!(group.child_names().unwrap(), ["live"]);
    std::fs::remove_dir_all(at.join("g")).unwrap();
    for gone in [group.child_names().map(drop), group.children().map(drop), group.walk(&mut |_, _| Ok(()))] {
        assert!(matches!(gone, Err(Error::Stale { .. })), "{gone:?}");
    }
}

/// LCK-9, RCK-15: files that somebody is writing are no values, and a value that is removed by itself is just missing.
#[test]
fn copies_beside_a_writer_are_whole() {
    let root = directory();
    let at = root.path();
    let group = Group::create(at.join("g"), Attributes::default()).unwrap();
    let array = group.create_array("a", metadata(&[8], "uint8", "0", &layout(&[4], None, "none"))).unwrap();
    array.write(&Region::new([0], [4]).unwrap(), &[7_u8; 4]).unwrap();
    std::fs::create_dir_all(at.join("g/old/c")).unwrap();
    std::fs::write(at.join("g/old/zarr.json"), r#"{"zarr_format": 2}"#).unwrap();
    std::fs::write(at.join("g/old/c/0"), "kept").unwrap();
    for name in ["g/a/c/.0.17.3.tmp", "g/old/c/.0.17.3.tmp"] {
        std::fs::write(at.join(name), "half").unwrap();
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let value = at.join("g/old/c/1");
            while !done.load(Ordering::Relaxed) {
                // The second chunk comes and goes, and so does a value of what travels along.
                for elements in [[9_u8; 4], [0; 4]] {
                    array.write(&Region::new([4], [4]).unwrap(), &elements).unwrap();
                }
                std::fs::write(&value, "new").unwrap();
                std::fs::remove_file(&value).unwrap();
            }
        });
        let end = End { done: &done, file: &at.join("stop") };
        for number in 0..150 {
            let zip = at.join(format!("{number}.zip"));
            pack(at.join("g"), &zip, PackOptions::new().sync(false)).unwrap();
            let packed = Group::open(&zip).unwrap().array("a").unwrap().read::<u8>(&Region::whole(&[8])).unwrap();
            assert!(packed[..4] == [7; 4] && (packed[4..] == [9; 4] || packed[4..] == [0; 4]), "{packed:?}");
            assert!(!String::from_utf8_lossy(&std::fs::read(&zip).unwrap()).contains(".tmp"), "a file that was being written was packed");
            let copy = at.join(format!("copy{number}"));
            rechunk(at.join("g"), Some(&copy), RechunkOptions::new().chunks([2]).sync(false).threads(1)).unwrap();
            assert_eq!(std::fs::read(copy.join("old/c/0")).unwrap(), b"kept");
            assert!(!copy.join("old/c/.0.17.3.tmp").exists(), "a file that was being written travelled along");
        }
        drop(end);
    });
}

/// LCK-9, FMT-CHK-3: what is being deleted is not found damaged, and every chunk of some tree is looked at.
#[test]
fn a_check_beside_swaps_finds_no_damage() {
    let root = directory();
    let at = root.path();
    make(at);
    let done = AtomicBool::new(false);
    let mut checked = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                number += 1;
                swap(at, number);
            }
        });
        let end = End { done: &done, file: &at.join("stop") };
        for _ in 0..150 {
            let report = rezarr::check(at.join("g"), CheckOptions::new().threads(1)).unwrap();
            assert_eq!((report.errors, report.groups), (0, 1), "{report:?}");
            let mut codes = report.findings.iter().map(|finding| finding.code);
            assert!(codes.all(|code| matches!(code, FindingCode::Leftover | FindingCode::NotChecked)), "{report:?}");
            // All that a tree has: 8 chunks, two shards, or twelve chunks without one that is all fill.
            assert!([8, 2, 11].contains(&report.chunks) || report.arrays == 0, "{report:?}");
            checked += report.arrays;
        }
        drop(end);
    });
    assert!(checked > 50, "{checked} of 150");
}
