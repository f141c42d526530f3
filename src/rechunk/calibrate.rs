//! Measures what work takes on this machine: a second or two of the things that a rechunk does.

use std::path::Path;
use std::time::Instant;

use crate::codec::Scratch;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::metadata::{ArrayMetadata, Layout};
use crate::rechunk::plan::Costs;
use crate::region::{BoxLayout, copy_box, to_usize};
use crate::shuffle::{SEGMENT_BYTES, ShuffleBuffer, Sizes, SpillPlace};
use crate::store::{ByteRange, FilesystemStore, Key, Store};

/// Elements of what is encoded and decoded, and of a copy.
const ELEMENTS: usize = 1 << 20;
const BYTES: usize = 4 * ELEMENTS;
const ROUNDS: usize = 5;
const FILES: usize = 200;
const CALLS: usize = 4000;

impl Costs {
    /// Measures what work takes on one core of this machine, with files in `directory` (where nothing of it stays). Takes about two seconds, and
    /// some 50 MB of memory and 20 MB of disk. Times are medians; other work on the machine makes all of them longer.
    ///
    /// # Errors
    /// Those of files in the directory.
    pub fn measure(directory: impl AsRef<Path>) -> Result<Self> {
        let directory = directory.as_ref();
        let scratch =
            tempfile::tempdir_in(directory).map_err(|source| Error::io("create a directory", directory.display().to_string(), source))?;
        let store = FilesystemStore::open(scratch.path())?;
        let mut costs = Self::default();
        let data = sample();
        (costs.encode_ns, costs.decode_ns) = codec(&data)?;
        (costs.copy_ns, costs.run_ns) = copies(&data);
        costs.record_ns = records(scratch.path(), costs.copy_ns)?;
        (costs.write_ns, costs.read_ns, costs.call_ns) = transfers(&store, &data)?;
        (costs.file_ns, costs.open_ns) = files(&store)?;
        Ok(costs)
    }
}

/// Elements such as instruments give: float32 that wander, with few digits.
fn sample() -> Vec<u8> {
    let (mut state, mut value) = (0x9E37_79B9_7F4A_7C15_u64, 1000_i32);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value += i32::from(state.to_be_bytes()[0] % 17) - 8;
        (value as f32 * 0.125).to_ne_bytes()
    };
    (0..ELEMENTS).flat_map(|_| next()).collect()
}

/// The median time of some rounds, in nanoseconds for each of `count`.
fn median(count: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        work()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2] * 1e9 / count as f64)
}

/// Encoding and decoding by zstd at level 3.
fn codec(data: &[u8]) -> Result<(f64, f64)> {
    let layout = Layout { chunk_shape: vec![ELEMENTS as u64], shard_shape: None, codecs: "zstd:3".parse()? };
    let metadata = ArrayMetadata::new([ELEMENTS as u64], DataType::Float32, None, &layout)?;
    let (mut scratch, mut elements, mut encoded, mut decoded) = (Scratch::default(), data.to_vec(), Vec::new(), Vec::new());
    let encode = median(BYTES, || {
        encoded.clear();
        metadata.codecs.encode(&mut elements, &mut scratch, &mut |piece| {
            encoded.extend_from_slice(piece);
            Ok(())
        })
    })?;
    let decode = median(BYTES, || metadata.codecs.decode(&encoded, &mut scratch, &mut decoded).map(drop))?;
    Ok((encode, decode))
}

/// Copying a byte of a long run, and what each short run takes beyond that.
fn copies(data: &[u8]) -> (f64, f64) {
    const RUN: usize = 16;
    const ROW: usize = 1024;
    let mut target = vec![0; BYTES];
    let mut copy = |run: usize, row: usize| {
        // Runs that are neighbours in the source, and rows apart in the target.
        let shape = [(row / run) as u64, (BYTES / row) as u64, run as u64];
        let (from, to) = ([BYTES / row * run, run, 1], [run, row, 1]);
        let work = || {
            let from = BoxLayout { offset: 0, strides: &from };
            copy_box(&shape, 1, data, from, &mut target, BoxLayout { offset: 0, strides: &to });
            Ok(())
        };
        median(BYTES, work).unwrap_or_default()
    };
    let (long, short) = (copy(BYTES, BYTES), copy(RUN, ROW));
    (long, (short - long).max(0.0) * RUN as f64)
}

/// What a record of the shuffle takes beyond the copy of its bytes.
fn records(directory: &Path, copy_ns: f64) -> Result<f64> {
    const PARTITIONS: usize = 64;
    const RECORD: usize = 256;
    let count = BYTES / RECORD;
    let sizes = Sizes::new(SEGMENT_BYTES);
    let slab_bytes = to_usize(sizes.smallest_slab_bytes(PARTITIONS as u64, 1)) + 2 * BYTES;
    let (mut slab, record) = (vec![0; slab_bytes], [0; RECORD]);
    let each = median(count, || {
        let buffer = ShuffleBuffer::new(&mut slab, PARTITIONS, 1, sizes, SpillPlace { directory, behind: false })?;
        for i in 0..count {
            buffer.push(i % PARTITIONS, &record)?;
        }
        Ok(())
    })?;
    Ok((each - copy_ns * RECORD as f64).max(1.0))
}

/// Writing a byte and reading one, by the MiB, and what each call takes that reads a little.
fn transfers(store: &FilesystemStore, data: &[u8]) -> Result<(f64, f64, f64)> {
    const STEP: usize = 1 << 20;
    let keys = (0..ROUNDS).map(|round| Key::new(format!("bytes/{round}"))).collect::<Result<Vec<_>>>()?;
    let mut rounds = keys.iter();
    // A file each round: pages that were in the cache a moment ago would come back faster than others.
    let write = median(BYTES, || {
        let Some(key) = rounds.next() else { return Ok(()) };
        data.chunks(STEP).enumerate().try_for_each(|(i, piece)| store.write_at(key, (i * STEP) as u64, piece))
    })?;
    let key = &keys[0];
    let Some(value) = store.open(key)? else { return Err(Error::corrupt("what was just written is gone").at(&store.locate(key))) };
    let mut buffer = vec![0; STEP];
    let mut read = |len: usize, step: usize, count: usize| {
        median(count, || {
            (0..count).try_for_each(|i| {
                let range = ByteRange::From { offset: (i * step % (BYTES - len + 1)) as u64, len: len as u64 };
                value.read(range, &mut |bytes| {
                    buffer[..len].copy_from_slice(bytes);
                    Ok(())
                })
            })
        })
    };
    let (large, small) = (read(STEP / 8, STEP / 8, 32)?, read(256, 4096, CALLS)?);
    Ok((write, large / (STEP / 8) as f64, small))
}

/// Making a small file and removing it; opening one.
fn files(store: &FilesystemStore) -> Result<(f64, f64)> {
    let keys = (0..FILES).map(|i| Key::new(format!("files/{i}"))).collect::<Result<Vec<_>>>()?;
    let make = || keys.iter().try_for_each(|key| store.write_at(key, 0, &[1; 256]));
    let made = median(FILES, || {
        make()?;
        store.erase_prefix(&Key::new("files")?).map(drop)
    })?;
    make()?;
    Ok((made, median(FILES, || keys.iter().try_for_each(|key| store.open(key).map(drop)))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_costs_are_measured_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let costs = Costs::measure(directory.path()).unwrap();
        let all = serde_json::to_value(costs).unwrap();
        let default = serde_json::to_value(Costs::default()).unwrap();
        for (name, value) in all.as_object().unwrap() {
            assert!(value.as_f64().unwrap().is_finite() && value.as_f64().unwrap() >= 0.0, "{name}: {value}");
            assert!(["index_ns", "disk_ns", "seek_ns"].contains(&name.as_str()) || *value != default[name], "{name} was not measured");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        assert!(Costs::measure(directory.path().join("nowhere")).is_err());
    }
}
