//! The codecs of zarrs against the clock, for `benches/codecs.py`: whole chunks, in memory, on one thread.
//!
//! Each line of the input is a request: `open PATH` (a directory with `zarr.json` and `chunk.raw`, the elements of the only chunk) answers
//! with the size of the encoded chunk; `encode N` and `decode N` do so N times and answer with the seconds that it took.

use std::fs;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use zarrs::array::{Array, ArrayBytes, ArrayMetadata, ArrayToBytesCodecTraits, CodecChain, CodecOptions, DataType, FillValue};
use zarrs::storage::store::MemoryStore;

use super::Result;

struct Opened {
    codecs: Arc<CodecChain>,
    shape: Vec<NonZeroU64>,
    data_type: DataType,
    fill: FillValue,
    options: CodecOptions,
    raw: Vec<u8>,
    encoded: Vec<u8>,
}

impl Opened {
    fn encode(&self) -> Result<std::borrow::Cow<'_, [u8]>> {
        let elements = ArrayBytes::new_flen(self.raw.as_slice());
        Ok(self.codecs.encode(elements, &self.shape, &self.data_type, &self.fill, &self.options)?)
    }

    fn decode(&self) -> Result<ArrayBytes<'_>> {
        Ok(self.codecs.decode(self.encoded.as_slice().into(), &self.shape, &self.data_type, &self.fill, &self.options)?)
    }
}

pub(crate) fn serve() -> Result<()> {
    let mut opened = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (command, argument) = line.split_once(' ').ok_or("a request is two words")?;
        let answer = if command == "open" {
            let found = open(Path::new(argument))?;
            let size = found.encoded.len();
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

fn open(path: &Path) -> Result<Opened> {
    let metadata: ArrayMetadata = serde_json::from_slice(&fs::read(path.join("zarr.json"))?)?;
    let array = Array::new_with_metadata(Arc::new(MemoryStore::new()), "/", metadata)?;
    let mut opened = Opened {
        codecs: array.codecs(),
        shape: array.shape().iter().filter_map(|&len| NonZeroU64::new(len)).collect(),
        data_type: array.data_type().clone(),
        fill: array.fill_value().clone(),
        options: CodecOptions::default().with_concurrent_target(1),
        raw: fs::read(path.join("chunk.raw"))?,
        encoded: Vec::new(),
    };
    opened.encoded = opened.encode()?.into_owned();
    if *opened.decode()?.into_fixed()? != opened.raw {
        return Err(format!("{}: zarrs decodes other elements than it encoded", path.display()).into());
    }
    Ok(opened)
}

fn measure(opened: &Opened, command: &str, times: u32) -> Result<f64> {
    let begun = Instant::now();
    for _ in 0..times {
        match command {
            "encode" => drop(black_box(opened.encode()?)),
            "decode" => drop(black_box(opened.decode()?)),
            _ => return Err(format!("unknown request {command}").into()),
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}
