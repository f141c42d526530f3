//! Planning alone: `cargo bench --bench plan`. Arrays of which only the metadata exist, from a gigabyte to an exabyte: a plan is arithmetic and lists
//! no chunks, so that its time does not grow with them.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rezarr::{Array, ArrayMetadata, Codecs, DataType, Layout, RechunkOptions};

struct Case {
    name: &'static str,
    shape: [u64; 3],
    source: [u64; 3],
    target: [u64; 3],
    memory_bytes: u64,
}

const CASES: [Case; 5] = [
    Case { name: "1 GiB, direct", shape: [1024, 512, 512], source: [64, 64, 64], target: [128, 128, 128], memory_bytes: 64 << 20 },
    Case { name: "1 GiB, shuffle", shape: [1024, 512, 512], source: [1, 512, 512], target: [1024, 8, 8], memory_bytes: 64 << 20 },
    Case { name: "1 TiB, shuffle", shape: [65536, 2048, 2048], source: [1, 2048, 2048], target: [65536, 8, 8], memory_bytes: 64 << 20 },
    Case {
        name: "1 PB, 10^10 chunks",
        shape: [100_000, 100_000, 12_500],
        source: [50, 50, 5],
        target: [100_000, 5, 5],
        memory_bytes: 1 << 30,
    },
    Case {
        name: "1 EB in 64 MiB",
        shape: [10_000_000, 1_000_000, 12_500],
        source: [50, 50, 5],
        target: [10_000_000, 5, 5],
        memory_bytes: 64 << 20,
    },
];

fn create(path: &Path, case: &Case) {
    let layout = Layout { chunk_shape: case.source.to_vec(), shard_shape: None, codecs: Codecs::default() };
    let metadata =
        ArrayMetadata::new(case.shape, if case.shape[2] == 12_500 { DataType::Float64 } else { DataType::Float32 }, None, &layout);
    let Ok(_) = metadata.and_then(|metadata| Array::create(path, metadata)) else { panic!("{}: no array", case.name) };
}

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    group.sample_size(20).measurement_time(Duration::from_secs(1));
    let Ok(directory) = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")) else { panic!("no directory for the benchmark") };
    for case in CASES {
        let path = directory.path().join("array");
        create(&path, &case);
        group.bench_function(case.name, |bencher| {
            bencher.iter(|| {
                let options = RechunkOptions::new().chunks(case.target).memory(case.memory_bytes).threads(2);
                match rezarr::plan_rechunk(&path, &options) {
                    Ok(plan) => black_box(plan.len()),
                    Err(error) => panic!("{}: {error}", case.name),
                }
            });
        });
        let Ok(()) = std::fs::remove_dir_all(&path) else { panic!("{}: not removed", case.name) };
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
