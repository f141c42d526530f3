//! The same with all elements in memory, on all threads: decode everything, then scatter, encode and write file by file.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::codec::Coder;
use crate::grid::Grid;
use crate::job::Job;
use crate::{Result, scatter, store};

/// Runs `work` on each number below `count` and on as many threads as the job has; each thread makes its state first.
fn parallel<S>(
    job: &Job,
    count: usize,
    state: impl Fn() -> Result<S> + Sync,
    work: impl Fn(&mut S, usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let body = || {
        let mut state = state()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(&mut state, number)?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..job.threads).map(|_| scope.spawn(body)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn decode(job: &Job, source: &Grid) -> Result<Vec<u8>> {
    let mut out = vec![0; job.bytes()];
    let file_bytes = source.chunk_bytes() * source.chunks_a_file();
    let parts: Vec<_> = out.chunks_exact_mut(file_bytes).map(|part| Mutex::new(Some(part))).collect();
    let state = || Ok((Coder::new(&job.from.codec, job.item)?, Vec::new()));
    parallel(job, source.files(), state, |(coder, buffer), file| {
        let part = parts[file].lock().unwrap_or_else(PoisonError::into_inner).take().ok_or("a file is decoded once")?;
        store::read(&job.source, source, file, buffer)?;
        let ranges = store::chunks(buffer, source, job.from.shards.is_some())?;
        ranges
            .into_iter()
            .zip(part.chunks_exact_mut(source.chunk_bytes()))
            .try_for_each(|(range, chunk)| coder.decode(&buffer[range], chunk))
    })?;
    drop(parts);
    Ok(out)
}

pub(crate) fn run(job: &Job) -> Result<()> {
    let (source, target) = (Grid::new(job, &job.from), Grid::new(job, &job.to));
    let elements = decode(job, &source)?;
    store::write(&job.target, "zarr.json", &serde_json::to_vec(&job.metadata)?)?;
    let state = || Ok((Coder::new(&job.to.codec, job.item)?, vec![0; target.chunk_bytes()], Vec::new(), Vec::new()));
    parallel(job, target.files(), state, |(coder, unit, encoded, bytes), file| {
        let (mut sizes, count) = (Vec::new(), target.chunks_a_file());
        bytes.clear();
        for chunk in file * count..(file + 1) * count {
            scatter::gather(&source, &elements, &target.chunk(chunk), unit, job.item);
            if coder.is_none() && job.to.shards.is_none() {
                return store::write(&job.target, &target.key(file), unit);
            }
            coder.encode(unit, encoded)?;
            sizes.push(encoded.len());
            bytes.extend_from_slice(encoded);
        }
        if job.to.shards.is_some() {
            bytes.extend(store::shard_index(sizes.into_iter()));
        }
        store::write(&job.target, &target.key(file), bytes)
    })?;
    // What is not written is not worth the time of giving the memory back piece by piece.
    std::process::exit(0)
}
