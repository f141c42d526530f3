//! Codecs alone: `cargo bench --bench codecs`. A chunk of 4 MiB is encoded and decoded in memory on one thread; `memcpy` is the limit of the day.
//! `benches/codecs.py` sets the same beside numcodecs and the zarrs crate.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rezarr::measuring::ChunkCodecs;
use rezarr::{ArrayMetadata, DataType, Layout};

const SIDE: u64 = 1024;

const CODECS: [&str; 12] = [
    "none",
    "big",
    "crc32c",
    "zstd:1",
    "zstd:3",
    "gzip:6",
    "blosc:lz4:5:shuffle",
    "blosc:lz4:5:bitshuffle",
    "blosc:blosclz:5:shuffle",
    "blosc:zstd:5:shuffle",
    "blosc:zlib:5:shuffle",
    "zstd:3,crc32c",
];

/// A smooth field with a little noise in its last digit, as measurements have it.
fn elements() -> Vec<u8> {
    let mut noise = 1_u32;
    let value = |at: u64| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (row, column) = (at / SIDE, at % SIDE);
        let field = (row as f32 / 90.0).sin() * 40.0 + (column as f32 / 130.0).cos() * 25.0;
        ((field + (noise >> 24) as f32 / 128.0) * 10.0).round() / 10.0
    };
    (0..SIDE * SIDE).map(value).flat_map(f32::to_le_bytes).collect()
}

fn codecs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("codecs");
    let raw = elements();
    group.throughput(Throughput::Bytes(raw.len() as u64)).sample_size(20).measurement_time(Duration::from_secs(1));
    let mut copy = raw.clone();
    group.bench_function("memcpy", |bencher| bencher.iter(|| black_box(&mut copy).copy_from_slice(black_box(&raw))));
    for name in CODECS {
        let Ok(codecs) = name.parse() else { panic!("{name}: no codecs") };
        let layout = Layout { chunk_shape: vec![SIDE, SIDE], shard_shape: None, codecs };
        let Ok(metadata) = ArrayMetadata::new([SIDE, SIDE], DataType::Float32, None, &layout) else { panic!("{name}: no array") };
        let mut chunk = ChunkCodecs::new(metadata);
        group.bench_function(format!("encode {name}"), |bencher| {
            bencher.iter_custom(|times| {
                let mut taken = Duration::ZERO;
                for _ in 0..times {
                    // Encoding may change what it is given.
                    copy.copy_from_slice(&raw);
                    let begun = Instant::now();
                    let Ok(_) = black_box(chunk.encode(black_box(&mut copy))) else { panic!("{name}: not encoded") };
                    taken += begun.elapsed();
                }
                taken
            });
        });
        copy.copy_from_slice(&raw);
        let Ok(_) = chunk.encode(&mut copy) else { panic!("{name}: not encoded") };
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| {
                let Ok(decoded) = chunk.decode() else { panic!("{name}: not decoded") };
                black_box(decoded.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, codecs);
criterion_main!(benches);
