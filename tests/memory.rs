//! The memory promise: whatever the size of the array and the target's layout, peak memory stays within the budget and a small constant.
#![cfg(feature = "cli")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

#[path = "support/cgroup.rs"]
mod cgroup;
#[path = "support/memory.rs"]
mod memory;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use cgroup::MemoryGroup;
use memory::{element, measure, write_large};
use rezarr::{Array, Region};

const MIB: u64 = 1 << 20;

/// What a process may take beside its budget: the promise.
const CONSTANT_BYTES: u64 = 16 * MIB;

/// 1 GiB in chunks of 8 MiB; less where the program is not optimised and takes long.
const SHAPE: [u64; 3] = [if cfg!(debug_assertions) { 160 } else { 1024 }, 512, 512];
const CHUNK: [u64; 3] = [8, 512, 512];

/// Runs that share the disk measure each other's work.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const REZARR: &str = env!("CARGO_BIN_EXE_rezarr");

/// Runs the program under a budget; it must succeed within the promise.
fn within(budget: u64, at: &Path, arguments: &str) {
    let memory = format!("{budget}MiB");
    let words = arguments.split_whitespace().map(|word| {
        // Names of arrays are relative to the directory of the test.
        word.strip_prefix('@').map_or_else(|| word.into(), |rest| at.join(rest).into_os_string())
    });
    let begun = std::time::Instant::now();
    let run = measure(REZARR, words.chain(["--memory".into(), memory.into(), "-q".into()]));
    assert_eq!((run.exit_code, run.stderr.as_str()), (0, ""), "rezarr {arguments} --memory {budget}MiB");
    let (peak, most) = (run.peak_rss_bytes, budget * MIB + CONSTANT_BYTES);
    let (peak_mib, seconds) = (peak as f64 / MIB as f64, begun.elapsed().as_secs_f64());
    println!("{peak_mib:>5.1} MiB of {budget} MiB, {seconds:.1} s: rezarr {arguments}");
    assert!(peak <= most, "rezarr {arguments} took {peak} bytes at a budget of {budget} MiB: more than {most}");
}

/// Looks at some elements of a rechunked array.
fn check(path: &Path) {
    let array = Array::open(path).unwrap();
    let count: u64 = SHAPE.iter().product();
    for n in [0, 1, 12_345_678, count / 2, count - 1] {
        let index = [n >> 18, n >> 9 & 511, n & 511];
        assert_eq!(array.read::<f32>(&Region::new(index, [1, 1, 1]).unwrap()).unwrap(), [element(n)], "{index:?}");
    }
}

#[test]
fn the_budget_is_kept_for_an_array_much_larger() {
    let _alone = ONE_AT_A_TIME.lock();
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = root.path();
    write_large(&at.join("a"), &SHAPE, &CHUNK);
    let run = |budget: u64, arguments: &str| {
        within(budget, at, &format!("rechunk {arguments} --no-sync"));
    };
    let finish = |name: &str| {
        check(&at.join(name));
        fs::remove_dir_all(at.join(name)).unwrap();
    };
    for budget in [32, 64, 256] {
        run(budget, "@a @transposed --chunks all,16,16");
        if budget == 32 {
            within(budget, at, &format!("verify @a @transposed --spill-dir {}", at.display()));
        }
        finish("transposed");
        run(budget, "@a @sharded --chunks all,16,16 --shards all,128,256");
        finish("sharded");
        run(budget, "@a @aligned --chunks 8,128,512");
        finish("aligned");
    }
    run(32, "@a @compressed --chunks 8,128,512 --codec zstd:1");
    run(32, "@compressed @transposed --chunks all,16,16");
    ["compressed", "transposed"].into_iter().for_each(finish);
}

/// The kernel counts page cache there, too, and ends what goes over the limit.
#[test]
fn a_run_survives_under_a_hard_limit() {
    let _alone = ONE_AT_A_TIME.lock();
    const LIMIT: u64 = 96 * MIB;
    let Some(group) = MemoryGroup::new(LIMIT) else {
        cgroup::say_skipped("a_run_survives_under_a_hard_limit");
        return;
    };
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let at = root.path();
    write_large(&at.join("a"), &[SHAPE[0] / 2, 512, 512], &CHUNK);
    cgroup::forget_pages(&at.join("a"));
    let (from, to) = (at.join("a"), at.join("b"));
    let mut command = group.command(REZARR);
    command.arg("rechunk").args([&from, &to]).args(["--chunks", "all,16,16", "--memory", "4GiB", "-q"]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {stderr}", output.status);
    let budget = LIMIT / 4 * 3;
    let warning = format!("rezarr: warning: the control group of this process is limited to {LIMIT} bytes: working within {budget}\n");
    assert_eq!(stderr, warning);
    let array = Array::open(&to).unwrap();
    assert_eq!(array.read::<f32>(&Region::new([70, 3, 7], [1, 1, 1]).unwrap()).unwrap(), [element(70 << 18 | 3 << 9 | 7)]);
}
