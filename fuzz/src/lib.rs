//! What the fuzz targets share: seeds on disk, and an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;

use rezarr::fuzzing::{self, MemoryProbe};

/// Called once before the first input: sets the memory probe, and writes the seeds of the target into the directory that `REZARR_SEEDS` names
/// and its dictionary into the file that `REZARR_WORDS` names.
pub fn prepare(name: &str) {
    fuzzing::set_memory_probe(MemoryProbe { start, peak_bytes });
    let target = fuzzing::TARGETS.iter().find(|target| target.name == name).expect("the target is in the table");
    if let Some(directory) = std::env::var_os("REZARR_SEEDS") {
        fs::create_dir_all(&directory).expect("make the directory of seeds");
        for (position, seed) in (target.seeds)().iter().enumerate() {
            fs::write(Path::new(&directory).join(format!("seed-{position:03}")), seed).expect("write a seed");
        }
    }
    if let Some(file) = std::env::var_os("REZARR_WORDS") {
        let escaped = |word: &&str| format!("\"{}\"\n", word.bytes().map(|byte| format!("\\x{byte:02X}")).collect::<String>());
        fs::write(file, target.words.iter().map(escaped).collect::<String>()).expect("write the dictionary");
    }
}

/// Counts what each thread holds.
struct Counting;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn count(more: usize, less: usize) {
    let live = LIVE.get().saturating_add(more).saturating_sub(less);
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

// SAFETY: everything is passed on to the allocator of the system as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, layout.size());
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn start() {
    LIVE.set(0);
    PEAK.set(0);
}

fn peak_bytes() -> usize {
    PEAK.get()
}
