//! The limit: read, decode, scatter, encode and write, each timed alone on one thread, their sum divided by the cores.
//!
//! All memory was touched before it is timed. Elements that are stored as they are need no decoding or encoding, a target on the source's
//! grid no scatter, and chunks that travel as they are encoded only reading and writing.

use std::ops::AddAssign;
use std::time::Instant;

use crate::codec::Coder;
use crate::grid::Grid;
use crate::job::Job;
use crate::{Result, scatter, store};

/// Seconds on the clock, and of the processor: on a busy machine the latter say more.
#[derive(Clone, Copy, Default)]
struct Span {
    wall: f64,
    cpu: f64,
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

fn processor() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills what it is given.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Span, T)> {
    let (begun, cpu) = (Instant::now(), processor());
    let out = work()?;
    Ok((Span { wall: begun.elapsed().as_secs_f64(), cpu: processor() - cpu }, out))
}

/// Memory that is there already.
fn touched(size: usize) -> Vec<u8> {
    let mut out = vec![0; size];
    out.fill(1);
    out
}

struct Limit<'a> {
    job: &'a Job,
    source: Grid,
    target: Grid,
}

impl Limit<'_> {
    /// Seconds, and the encoded chunks of the source.
    fn read(&self) -> Result<(Span, Vec<Vec<u8>>)> {
        let (mut buffer, mut chunks) = (Vec::new(), Vec::new());
        store::read(&self.job.source, &self.source, 0, &mut buffer)?;
        let mut seconds = Span::default();
        for file in 0..self.source.files() {
            seconds += timed(|| store::read(&self.job.source, &self.source, file, &mut buffer))?.0;
            let ranges = store::chunks(&buffer, &self.source, self.job.from.shards.is_some())?;
            chunks.extend(ranges.into_iter().map(|range| buffer[range].to_vec()));
        }
        Ok((seconds, chunks))
    }

    fn decode(&self, encoded: &[Vec<u8>]) -> Result<(Span, Vec<u8>)> {
        let mut coder = Coder::new(&self.job.from.codec, self.job.item)?;
        let mut out = touched(self.job.bytes());
        let parts = out.chunks_exact_mut(self.source.chunk_bytes());
        let work = || encoded.iter().zip(parts).try_for_each(|(chunk, part)| coder.decode(chunk, part));
        let seconds = timed(work)?.0;
        Ok((if self.job.from.codec.name == "none" { Span::default() } else { seconds }, out))
    }

    /// The faster of two orders: target by target in tiles, and source by source.
    fn scatter(&self, decoded: &[u8]) -> Result<(Span, Vec<u8>)> {
        let item = self.job.item;
        let mut out = touched(decoded.len());
        let size = self.source.chunk_bytes();
        let (by_source, ()) = timed(|| {
            for (number, chunk) in decoded.chunks_exact(size).enumerate() {
                scatter::spread(&self.source.chunk(number), chunk, &self.target, &mut out, item);
            }
            Ok(())
        })?;
        let (by_target, ()) = timed(|| {
            for (number, unit) in out.chunks_exact_mut(self.target.chunk_bytes()).enumerate() {
                scatter::gather(&self.source, decoded, &self.target.chunk(number), unit, item);
            }
            Ok(())
        })?;
        Ok((if by_source.wall < by_target.wall { by_source } else { by_target }, out))
    }

    fn encode(&self, units: &[u8]) -> Result<(Span, Vec<Vec<u8>>)> {
        let mut coder = Coder::new(&self.job.to.codec, self.job.item)?;
        let (mut buffer, mut seconds, mut out) = (touched(self.target.chunk_bytes() * 2), Span::default(), Vec::new());
        for unit in units.chunks_exact(self.target.chunk_bytes()) {
            seconds += timed(|| coder.encode(unit, &mut buffer))?.0;
            out.push(buffer.clone());
        }
        Ok((if coder.is_none() { Span::default() } else { seconds }, out))
    }

    fn write(&self, encoded: &[Vec<u8>]) -> Result<Span> {
        std::fs::create_dir_all(&self.job.target)?;
        let mut seconds = Span::default();
        for (file, chunks) in encoded.chunks_exact(self.target.chunks_a_file()).enumerate() {
            let key = self.target.key(file);
            let mut bytes = chunks.concat();
            if self.job.to.shards.is_some() {
                bytes.extend(store::shard_index(chunks.iter().map(Vec::len)));
            }
            seconds += timed(|| store::write(&self.job.target, &key, &bytes))?.0;
        }
        Ok(seconds)
    }

    /// The same encoded chunks in the order of the target's files.
    fn reordered(&self, mut encoded: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let number = |chunk| self.source.meeting(&self.target.chunk(chunk))[0];
        (0..self.target.chunks()).map(|chunk| std::mem::take(&mut encoded[number(chunk)])).collect()
    }
}

pub(crate) fn run(job: &Job) -> Result<()> {
    let limit = Limit { job, source: Grid::new(job, &job.from), target: Grid::new(job, &job.to) };
    let same_grid = limit.source.chunk_shape() == limit.target.chunk_shape();
    let (read, mut chunks) = limit.read()?;
    let (mut decode, mut scatter, mut encode) = <(Span, Span, Span)>::default();
    if same_grid && job.from.codec == job.to.codec {
        chunks = limit.reordered(chunks);
    } else {
        let mut elements;
        (decode, elements) = limit.decode(&chunks)?;
        drop(std::mem::take(&mut chunks));
        let (seconds, units) = limit.scatter(&elements)?;
        elements = units;
        scatter = if same_grid { Span::default() } else { seconds };
        (encode, chunks) = limit.encode(&elements)?;
    }
    let write = limit.write(&chunks)?;
    let (mut sum, mut parts) = (Span::default(), serde_json::Map::new());
    for (step, span) in [("read", read), ("decode", decode), ("scatter", scatter), ("encode", encode), ("write", write)] {
        sum += span;
        parts.insert(step.to_owned(), span.wall.into());
    }
    parts.insert("limit".to_owned(), (sum.wall / f64::from(u32::try_from(job.threads)?)).into());
    parts.insert("processor".to_owned(), sum.cpu.into());
    println!("{}", serde_json::Value::from(parts));
    Ok(())
}
