//! Chunks through any codecs, from either side.

use std::rc::Rc;

use crate::codec::{CodecPipeline, Scratch};
use crate::dtype::DataType;
use crate::error::Result;
use crate::fuzzing::input::Input;
use crate::fuzzing::measured;
use crate::metadata::ArrayMetadata;

mod recipe;

pub(super) use recipe::{CHOICES, Recipe, choices};

/// What texts of errors and the like may take beside what codecs say that they take, in bytes.
const SLACK_BYTES: u64 = 16 << 10;

/// After the choices, one byte says what the rest is.
const ELEMENTS: u8 = 1;
/// Of stored bytes: that the checksum at their end is to be made right before they are read.
const SEALED: u8 = 2;

/// An array that was chosen, and how it was.
struct Built {
    recipe: Recipe,
    metadata: Rc<ArrayMetadata>,
}

/// The first bytes choose an array; the rest is one chunk of it, as it is stored or as elements.
///
/// Stored bytes give exactly the elements of a chunk or an error, the same each time, in the memory that the codecs say; and elements come back as they
/// were.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let Some(built) = built(input.take(CHOICES)) else { return false };
    let mode = input.byte();
    if mode & ELEMENTS != 0 {
        return check_elements(&built, &elements(&built, input.rest()), &mut Scratch::default());
    }
    let mut encoded = input.rest().to_vec();
    if mode & SEALED != 0 && built.recipe.ends_in_checksum() {
        let checksum = crc32c::crc32c(&encoded);
        encoded.extend(checksum.to_le_bytes());
    }
    let mut scratch = Scratch::default();
    let Some(decoded) = check_stored(&built.metadata, &encoded, &mut scratch) else { return false };
    if built.recipe.is_lossless() {
        check_elements(&built, &decoded, &mut scratch);
    }
    true
}

/// Builds what is chosen.
fn built(choices: &[u8]) -> Option<Built> {
    let recipe = Recipe::choose(&mut Input::new(choices));
    recipe.build().map(|metadata| Built { recipe, metadata })
}

/// Decodes stored bytes, twice; none where that is refused.
fn check_stored(metadata: &ArrayMetadata, encoded: &[u8], scratch: &mut Scratch) -> Option<Vec<u8>> {
    let pipeline = &metadata.codecs;
    let mut out = Vec::new();
    let (decoded, peak) = measured(|| pipeline.decode(encoded, scratch, &mut out).map(|found| found.map(<[u8]>::len)));
    let chunk_bytes = pipeline.chunk_bytes() as u64;
    if let Some(peak) = peak {
        let most = pipeline.decode_memory() + chunk_bytes + SLACK_BYTES;
        assert!(peak <= most, "decoding took {peak} bytes, at most {most} were promised");
    }
    assert!(out.capacity() as u64 <= chunk_bytes + SLACK_BYTES, "room for {} bytes in a chunk of {chunk_bytes}", out.capacity());
    let Ok(len) = decoded else {
        assert!(pipeline.decode(encoded, scratch, &mut out).is_err(), "refused only the first time");
        return None;
    };
    let first = decode(metadata, encoded, scratch).expect("taken only the first time");
    assert!(len.is_none_or(|len| len == first.len()) && first.len() as u64 == chunk_bytes, "{len:?} bytes of {chunk_bytes}");
    // What an earlier use left in buffers shows nowhere.
    out.clear();
    out.resize(first.len(), 0xA5);
    let second = pipeline.decode(encoded, scratch, &mut out).expect("taken only twice");
    assert!(second.is_none_or(|second| second == first), "decoded differently the second time");
    Some(first)
}

/// The elements of a stored chunk, fill where it says that it has none.
fn decode(metadata: &ArrayMetadata, encoded: &[u8], scratch: &mut Scratch) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    if let Some(decoded) = metadata.codecs.decode(encoded, scratch, &mut out)? {
        return Ok(decoded.to_vec());
    }
    out.resize(metadata.codecs.chunk_bytes(), 0);
    metadata.fill.fill(&mut out);
    Ok(out)
}

/// Encodes the elements of a chunk, and decodes them.
fn check_elements(built: &Built, elements: &[u8], scratch: &mut Scratch) -> bool {
    let pipeline = &built.metadata.codecs;
    let (mut working, mut size) = (elements.to_vec(), 0_u64);
    let (encoded, peak) = measured(|| {
        pipeline.encode(&mut working, scratch, &mut |piece| {
            size += piece.len() as u64;
            Ok(())
        })
    });
    if let Some(peak) = peak {
        let most = pipeline.encode_memory() + SLACK_BYTES;
        assert!(peak <= most, "encoding took {peak} bytes, at most {most} were promised");
    }
    match encoded {
        Ok(()) => {}
        Err(error) if built.recipe.is_lossless() => panic!("elements are refused: {error}"),
        Err(_) => return false,
    }
    assert!(size <= pipeline.encoded_bound(), "{size} bytes stored, at most {} were promised", pipeline.encoded_bound());
    let stored = encode(pipeline, elements, scratch).unwrap();
    assert_eq!(stored.len() as u64, size, "encoded to another size the second time");
    let decoded = decode(&built.metadata, &stored, scratch).expect("what was encoded is decoded");
    if built.recipe.is_lossless() {
        assert!(decoded == elements, "elements have changed:\n{elements:02x?}\n{decoded:02x?}");
    }
    assert_eq!(decoded.len(), elements.len());
    true
}

fn encode(pipeline: &CodecPipeline, elements: &[u8], scratch: &mut Scratch) -> Result<Vec<u8>> {
    let mut stored = Vec::new();
    pipeline.encode(&mut elements.to_vec(), scratch, &mut |piece| {
        stored.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(stored)
}

/// As many elements as a chunk has, of the bytes of `pattern` over and over.
fn elements(built: &Built, pattern: &[u8]) -> Vec<u8> {
    let pattern = if pattern.is_empty() { &[0] } else { pattern };
    let mut elements: Vec<u8> = pattern.iter().copied().cycle().take(built.metadata.codecs.chunk_bytes()).collect();
    if *built.metadata.data_type() == DataType::Bool {
        elements.iter_mut().for_each(|byte| *byte &= 1);
    }
    elements
}

/// The stored chunk that these choices make of some elements.
pub(super) fn stored_chunk(choices: &[u8], pattern: &[u8]) -> Vec<u8> {
    let built = built(choices).expect("choices that fit");
    encode(&built.metadata.codecs, &elements(&built, pattern), &mut Scratch::default()).expect("elements that can be encoded")
}

/// Documents of all choices.
pub(super) fn documents() -> Vec<String> {
    choices().iter().map(|choices| Recipe::choose(&mut Input::new(choices))).map(|recipe| recipe.document(recipe.chunk_shape())).collect()
}

/// A chunk of each choice, as elements and as stored.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for choices in choices() {
        seeds.push([&choices[..], &[ELEMENTS], &[1, 2, 3, 0, 0, 7, 0]].concat());
        let mut stored = stored_chunk(&choices, &[0, 0, 0, 0, 0, 0, 0, 0, 9, 1]);
        let mut mode = 0;
        if Recipe::choose(&mut Input::new(&choices)).ends_in_checksum() {
            stored.truncate(stored.len() - 4);
            mode = SEALED;
        }
        seeds.push([&choices[..], &[mode], &stored].concat());
    }
    seeds
}
