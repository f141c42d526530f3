//! The shuffle buffer alone: `cargo bench --bench shuffle`. 256 MiB of records go in from one thread and come out partition by partition, through a
//! slab of an eighth of that and a spill file. The limit of the day is the same number of bytes written to a file and read back by the MiB.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, Write};
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rezarr::measuring::Records;

const BYTES: usize = 256 << 20;
const SLAB_BYTES: usize = 32 << 20;

fn copied(directory: &Path, piece: &mut [u8]) -> std::io::Result<usize> {
    let mut file: File = tempfile::tempfile_in(directory)?;
    (0..BYTES / piece.len()).try_for_each(|_| file.write_all(piece))?;
    file.rewind()?;
    let mut back = 0;
    loop {
        match file.read(piece)? {
            0 => return Ok(back),
            read => back += read,
        }
    }
}

fn shuffles(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("shuffle");
    group.throughput(Throughput::Bytes(BYTES as u64)).sample_size(10);
    let Ok(directory) = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")) else { panic!("no directory for the benchmark") };
    let (mut piece, mut slab) = (vec![1; 1 << 20], vec![0; SLAB_BYTES]);
    group.bench_function("limit: written and read back", |bencher| {
        bencher.iter(|| {
            let Ok(back) = copied(directory.path(), black_box(&mut piece)) else { panic!("no file") };
            assert_eq!(back, BYTES);
        });
    });
    for (bytes, partitions) in [(64, 64), (256, 64), (1024, 64), (4096, 64), (65536, 64), (256, 8), (256, 1000), (4096, 1000)] {
        let records = Records { bytes, count: BYTES / bytes, partitions };
        group.bench_function(format!("{bytes} B, {partitions} partitions"), |bencher| {
            bencher.iter(|| match records.shuffle(black_box(&mut slab), directory.path()) {
                Ok(back) => assert_eq!(back, BYTES as u64),
                Err(error) => panic!("{records:?}: {error}"),
            });
        });
    }
    group.finish();
}

criterion_group!(benches, shuffles);
criterion_main!(benches);
