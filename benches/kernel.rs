//! The strided copy against memcpy: `cargo bench --bench kernel`, with part of a name for some of the cases. Each case moves about 256 MiB on
//! one thread, in turn with a memcpy of the same buffers; below criterion's own lines a table has the medians and their ratio.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rezarr::measuring::copy_box;

const BYTES: usize = 256 << 20;

/// What a case copies: a box from one layout to another, at each of a series of pairs of offsets.
struct Case {
    name: String,
    shape: Vec<u64>,
    item: usize,
    from: Vec<usize>,
    to: Vec<usize>,
    offsets: Vec<(usize, usize)>,
}

impl Case {
    fn new(name: impl Into<String>, item: usize, shape: &[u64], from: &[usize], to: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), item, from: from.to_vec(), to: to.to_vec(), offsets: vec![(0, 0)] }
    }

    /// The same box over and over, `times` times, each time at the offsets that `offset` gives.
    fn each(self, times: usize, offset: impl Fn(usize) -> (usize, usize)) -> Self {
        Self { offsets: (0..times).map(offset).collect(), ..self }
    }

    fn bytes(&self) -> usize {
        let elements = self.shape.iter().map(|&len| usize::try_from(len).unwrap_or(0)).product::<usize>();
        elements * self.item * self.offsets.len()
    }

    fn run(&self, source: &[u8], target: &mut [u8]) {
        for &(from, to) in &self.offsets {
            copy_box(&self.shape, self.item, source, (from, &self.from), target, (to, &self.to));
        }
    }
}

/// A C-order array of `shape` copied to one whose axes are those of the first in `order`.
fn permuted(item: usize, shape: &[usize], order: &[usize]) -> Case {
    let steps = |axes: &[usize]| {
        let mut out = vec![0; shape.len()];
        axes.iter().rev().fold(item, |step, &axis| {
            out[axis] = step;
            step * shape[axis]
        });
        out
    };
    let straight: Vec<usize> = (0..shape.len()).collect();
    let lengths: Vec<u64> = shape.iter().map(|&len| len as u64).collect();
    let name = format!("permuted {shape:?} to {order:?}, {item} B");
    Case::new(name, item, &lengths, &steps(&straight), &steps(order))
}

fn aligned() -> Vec<Case> {
    let rows = |run: usize, gap: usize| {
        let count = (BYTES - gap) / (run + gap);
        Case::new(format!("aligned runs of {run} B"), 4, &[count as u64, run as u64 / 4], &[run + gap, 4], &[run, 4])
    };
    vec![
        Case::new("aligned, whole", 4, &[8192, 8192], &[32768, 4], &[32768, 4]),
        rows(64 << 10, 64),
        rows(16 << 10, 64),
        rows(4 << 10, 64),
        rows(1 << 10, 64),
        rows(512, 64),
        Case::new("aligned cubes of 64 x 64 x 64, 4 B", 4, &[64, 64, 64], &[1 << 18, 1 << 10, 4], &[1 << 14, 256, 4])
            .each(256, |i| ((i / 16) * (1 << 24) + (i / 4 % 4) * (1 << 16) + (i % 4) * 256, i << 20)),
    ]
}

fn transposed() -> Vec<Case> {
    let mut cases = Vec::new();
    for item in [1, 2, 4, 8, 16] {
        cases.push(permuted(item, &[8192, BYTES / 8192 / item], &[1, 0]));
    }
    for item in [1, 2, 3, 4, 6, 8, 12, 16, 24] {
        cases.push(permuted(item, &[5003, BYTES / 5003 / item], &[1, 0]));
    }
    for item in [1, 2, 4, 8] {
        cases.push(permuted(item, &[512, 512, 1024 / item], &[2, 1, 0]));
        cases.push(permuted(item, &[512, 512, 1024 / item], &[1, 2, 0]));
        cases.push(permuted(item, &[512, 512, 1024 / item], &[2, 0, 1]));
        cases.push(permuted(item, &[512, 512, 1024 / item], &[0, 2, 1]));
    }
    for (item, edge) in [(1, 64), (2, 64), (4, 64), (8, 64), (4, 32), (4, 10), (8, 10), (4, 4)] {
        cases.push(permuted(item, &[BYTES / item / edge / edge, edge, edge], &[0, 2, 1]));
    }
    cases
}

/// What the workloads of the notes do: short runs, box after box.
fn short_runs() -> Vec<Case> {
    // Epochs of a part of the objects, scattered to objects of 256 epochs.
    let epochs = |items: usize| {
        let (objects, run) = (10000, items * 4);
        Case::new(format!("epochs to objects, runs of {run} B"), 4, &[objects as u64, items as u64], &[run, 4], &[256 * run, 4])
            .each(256 * 6 * 4 / items, move |i| (i % 256 * objects * run, i % 256 * run))
    };
    // Columns of 10 x 10 gathered from maps of 180 x 360.
    let maps = Case::new("maps to columns, runs of 40 B", 4, &[10, 10], &[1440, 4], &[40, 4]).each(1000 * 648, |i| {
        let (map, tile) = (i / 648, i % 648);
        (map * 259_200 + tile / 36 * 14400 + tile % 36 * 40, tile * 400_000 + map * 400)
    });
    let whole_maps =
        Case::new("maps to columns at once, runs of 40 B", 4, &[18, 10, 36, 10], &[14400, 1440, 40, 4], &[14_400_000, 40, 400_000, 4])
            .each(1000, |map| (map * 259_200, map * 400));
    // Cubes of 64 to planes of 768 x 768, plane by plane and all in one.
    let cubes = Case::new("cubes to planes, runs of 128 B", 2, &[64, 64], &[128, 2], &[1536, 2])
        .each(144 * 64 * 3, |i| (i % 9216 * 8192, i % 64 * 1_179_648 + i % 9216 / 64 / 12 * 98304 + i % 9216 / 64 % 12 * 128));
    let rows = Case::new("rows to columns, runs of 256 B", 8, &[64, 32], &[65536, 8], &[256, 8])
        .each(256 * 64, |i| (i / 256 * 64 * 65536 % BYTES + i % 256 * 256, i * 16384));
    let strided = |run: usize| {
        let count = BYTES / 4 / run;
        Case::new(format!("every fourth run of {run} B"), run, &[count as u64], &[4 * run], &[4 * run]).each(4, move |i| (i * run, i * run))
    };
    let fill = |item: usize| Case::new(format!("fill value of {item} B"), item, &[(BYTES / item) as u64], &[0], &[item]);
    let mut cases = vec![epochs(1), epochs(2), epochs(4), maps, whole_maps, cubes, rows];
    cases.extend([4, 8, 12, 16, 24, 32, 40, 48, 64, 100, 128].map(strided));
    cases.extend([1, 2, 4, 8].map(fill));
    cases
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// One line of the table: throughput of a case, and its ratio to memcpy.
fn measure(group: &mut BenchmarkGroup<'_, WallTime>, case: &Case, source: &[u8], target: &mut [u8]) -> Option<String> {
    let bytes = case.bytes();
    let (mut copies, mut limits) = (Vec::new(), Vec::new());
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(&case.name, |bencher| {
        bencher.iter_custom(|times| {
            let mut total = Duration::ZERO;
            for _ in 0..times {
                limits.push(timed(|| black_box(&mut *target).copy_from_slice(black_box(source))));
                copies.push(timed(|| case.run(black_box(source), black_box(target))));
                total += copies.last().copied().unwrap_or_default();
            }
            total
        });
    });
    if copies.is_empty() {
        return None;
    }
    let rate = |bytes: usize, seconds: f64| bytes as f64 / seconds / f64::from(1 << 30);
    let (copy, limit) = (rate(bytes, median(&mut copies)), rate(BYTES, median(&mut limits)));
    Some(format!("{:<50} {copy:>7.2} GiB/s  memcpy {limit:>6.2} GiB/s  ratio {:.3}", case.name, copy / limit))
}

fn kernel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kernel");
    group.sample_size(10).warm_up_time(Duration::from_millis(50)).measurement_time(Duration::from_millis(500));
    let source: Vec<u8> = (0..=u8::MAX).cycle().take(BYTES).collect();
    let mut target = vec![1; BYTES];
    let cases = aligned().into_iter().chain(transposed()).chain(short_runs());
    let lines: Vec<String> = cases.filter_map(|case| measure(&mut group, &case, &source, &mut target)).collect();
    group.finish();
    println!("\n{}", lines.join("\n"));
}

criterion_group!(benches, kernel);
criterion_main!(benches);
