//! The codecs of rezarr against the clock, for `benches/codecs.py`, which starts this: whole chunks, in memory, on one thread.
//!
//! Each line of the input is a request: `open PATH` (a directory with `zarr.json` and `chunk.raw`, the elements of the only chunk) answers
//! with the size of the encoded chunk; `encode N` and `decode N` do so N times and answer with the seconds that it took.

use std::fs;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rezarr::NodeMetadata;
use rezarr::measuring::ChunkCodecs;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

struct Opened {
    codecs: ChunkCodecs,
    raw: Vec<u8>,
    /// A copy of the elements to be encoded, since encoding may change it.
    elements: Vec<u8>,
    /// Whether these codecs do change it. Where they do not, nothing else comes through the caches between one chunk and the next.
    changes: bool,
}

fn main() -> Result<()> {
    let mut opened = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').ok_or("a request is two words")?;
        let answer = if command == "open" {
            let (found, size) = open(Path::new(argument))?;
            opened = Some(found);
            size.to_string()
        } else {
            measure(opened.as_mut().ok_or("nothing is open")?, command, argument.parse()?)?.as_secs_f64().to_string()
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<(Opened, usize)> {
    let document = fs::read(path.join("zarr.json"))?;
    let NodeMetadata::Array(metadata) = NodeMetadata::from_bytes(&document)? else { return Err("no array".into()) };
    let raw = fs::read(path.join("chunk.raw"))?;
    let mut opened = Opened { codecs: ChunkCodecs::new(*metadata), elements: raw.clone(), raw, changes: false };
    let size = opened.codecs.encode(&mut opened.elements)?;
    opened.changes = opened.elements != opened.raw;
    if opened.codecs.decode()? != opened.raw {
        return Err(format!("{}: rezarr decodes other elements than it encoded", path.display()).into());
    }
    Ok((opened, size))
}

fn measure(opened: &mut Opened, command: &str, times: u32) -> Result<Duration> {
    let mut taken = Duration::ZERO;
    for _ in 0..times {
        match command {
            "encode" => {
                if opened.changes {
                    opened.elements.copy_from_slice(&opened.raw);
                }
                let begun = Instant::now();
                black_box(opened.codecs.encode(black_box(&mut opened.elements))?);
                taken += begun.elapsed();
            }
            "decode" => {
                let begun = Instant::now();
                black_box(opened.codecs.decode()?);
                taken += begun.elapsed();
            }
            _ => return Err(format!("unknown request {command}").into()),
        }
    }
    Ok(taken)
}
