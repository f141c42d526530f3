//! The codecs of zarrs against the clock, for `benches/codecs.py`: whole chunks, in memory, on one thread.
//!
//! Each line of the input is a request: `open PATH` (a directory with `zarr.json` and `chunk.raw`, the elements of the only chunk) answers
//! with the size of the encoded chunk; `encode N` and `decode N` do so N times and answer with the seconds that it took.

use std::fs;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use zarrs::array::{Array, ArrayBytes, ArrayMetadata, CodecOptions};
use zarrs::storage::ReadableStorageTraits;
use zarrs::storage::store::MemoryStore;

use super::Result;

struct Opened {
    array: Array<MemoryStore>,
    chunk: Vec<u64>,
    raw: Vec<u8>,
}

pub(crate) fn serve() -> Result<()> {
    let mut opened = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').ok_or("a request is two words")?;
        let answer = if command == "open" {
            let (found, size) = open(Path::new(argument))?;
            opened = Some(found);
            size.to_string()
        } else {
            measure(opened.as_ref().ok_or("nothing is open")?, command, argument.parse()?)?.to_string()
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<(Opened, usize)> {
    let metadata: ArrayMetadata = serde_json::from_slice(&fs::read(path.join("zarr.json"))?)?;
    let raw = fs::read(path.join("chunk.raw"))?;
    let store = Arc::new(MemoryStore::new());
    let array = Array::new_with_metadata(store.clone(), "/", metadata)?;
    let chunk = vec![0; array.shape().len()];
    array.store_chunk(&chunk, ArrayBytes::new_flen(raw.as_slice()))?;
    let size = store.get(&array.chunk_key(&chunk))?.map_or(0, |bytes| bytes.len());
    let read: ArrayBytes<'_> = array.retrieve_chunk(&chunk)?;
    if *read.into_fixed()? != raw {
        return Err(format!("{}: zarrs reads other elements than it wrote", path.display()).into());
    }
    Ok((Opened { array, chunk, raw }, size))
}

fn measure(opened: &Opened, command: &str, times: u32) -> Result<f64> {
    let options = CodecOptions::default().with_concurrent_target(1);
    let begun = Instant::now();
    for _ in 0..times {
        match command {
            "encode" => opened.array.store_chunk_opt(&opened.chunk, ArrayBytes::new_flen(opened.raw.as_slice()), &options)?,
            "decode" => {
                let read: ArrayBytes<'_> = opened.array.retrieve_chunk_opt(&opened.chunk, &options)?;
                black_box(read);
            }
            _ => return Err(format!("unknown request {command}").into()),
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}
