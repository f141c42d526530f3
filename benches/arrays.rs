//! Reading, writing and rechunking in one process: `cargo bench`. Figures are throughputs of decoded bytes; `memcpy` is the limit of the day.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rezarr::{Array, ArrayMetadata, Codecs, DataType, Key, Layout, MemoryStore, RechunkOptions, Region, Result};

/// 64 MiB of float32.
const SHAPE: [u64; 3] = [256, 256, 256];

fn values() -> Vec<f32> {
    (0_u16..u16::MAX).cycle().map(|i| f32::from(i % 1000) * 0.25).take(256 * 256 * 256).collect()
}

fn array(chunk_shape: [u64; 3], codecs: Codecs, path: Option<&Path>) -> Result<Array> {
    let layout = Layout { chunk_shape: chunk_shape.to_vec(), shard_shape: None, codecs };
    let metadata = ArrayMetadata::new(SHAPE, DataType::Float32, None, &layout)?;
    let array = match path {
        Some(path) => Array::create(path, metadata)?,
        None => Array::create_in(Arc::new(MemoryStore::new()), Key::root(), metadata)?,
    };
    array.write(&Region::whole(&SHAPE), &values())?;
    Ok(array)
}

fn copies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("copy");
    let source = values();
    group.throughput(Throughput::Bytes(source.len() as u64 * 4)).sample_size(20);
    let mut target = source.clone();
    group.bench_function("memcpy", |bencher| bencher.iter(|| black_box(&mut target).copy_from_slice(black_box(&source))));
    let Ok(transposed) = Codecs::none().with_transpose(&[2, 1, 0]) else { panic!("a permutation") };
    let layouts = [
        ("read, chunks of whole rows", [16, 256, 256], Codecs::none()),
        ("read, cubes", [64, 64, 64], Codecs::none()),
        ("read, transposed cubes", [64, 64, 64], transposed),
        ("read, cubes of zstd", [64, 64, 64], Codecs::default()),
    ];
    for (name, chunk_shape, codecs) in layouts {
        let Ok(array) = array(chunk_shape, codecs, None) else { panic!("{name}: no array") };
        group.bench_function(name, |bencher| bencher.iter(|| array.read_into(&Region::whole(&SHAPE), black_box(&mut target))));
    }
    group.finish();
}

fn rechunks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rechunk");
    group.throughput(Throughput::Bytes(64 << 20)).sample_size(10);
    let Ok(directory) = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")) else { panic!("no directory for the benchmark") };
    let (source, target) = (directory.path().join("source"), directory.path().join("target"));
    let Ok(_) = array([1, 256, 256], Codecs::default(), Some(&source)) else { panic!("no source array") };
    for (name, chunks, memory) in
        [("direct", [32, 256, 256], 64 << 20), ("shuffle", [256, 16, 16], 24 << 20), ("pass-through", [1, 256, 256], 24 << 20)]
    {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let options = RechunkOptions::new().chunks(chunks).memory(memory).sync(false).overwrite(true);
                let Ok(report) = rezarr::rechunk(&source, Some(&target), options) else { panic!("{name}: no target") };
                report
            });
        });
    }
    group.finish();
}

criterion_group!(benches, copies, rechunks);
criterion_main!(benches);
