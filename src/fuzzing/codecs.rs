//! Chunks through any codecs, from either side.

use std::rc::Rc;

use crate::codec::{CodecPipeline, Scratch};
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::fuzzing::input::Input;
use crate::fuzzing::measured;
use crate::metadata::ArrayMetadata;

mod recipe;
mod strings;
mod tables;

#[cfg(test)]
pub(super) use recipe::lines_without_choice;
pub(super) use recipe::{CHOICES, Recipe, choices};

/// What texts of errors and the like may take beside what codecs say that they take, in bytes.
const SLACK_BYTES: u64 = 16 << 10;

/// After the choices, one byte says what the rest is.
const ELEMENTS: u8 = 1;
/// Of stored bytes: that a checksum, which is all that the last codec adds, is to be added before they are read.
const SEALED: u8 = 2;

/// An array that was chosen, and how it was.
struct Built {
    recipe: Recipe,
    metadata: Rc<ArrayMetadata>,
}

impl Built {
    /// What is chosen, if its parts fit each other.
    fn new(choices: &[u8]) -> Option<Self> {
        let recipe = Recipe::choose(&mut Input::new(choices));
        recipe.build().map(|metadata| Self { recipe, metadata })
    }

    fn pipeline(&self) -> &CodecPipeline {
        &self.metadata.codecs
    }

    /// Whether what is decoded can be encoded, and is then decoded to the same.
    fn comes_back(&self) -> bool {
        self.recipe.is_lossless() && self.pipeline().check_encodable().is_ok()
    }
}

/// The first bytes choose an array; the rest is one chunk of it, as it is stored or as elements.
///
/// Stored bytes give exactly the elements of a chunk or an error, the same each time and in parts, in the memory that the codecs say; and
/// elements come back as they were.
pub fn check(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let Some(built) = Built::new(input.take(CHOICES)) else { return false };
    let mode = input.byte();
    let mut scratch = Scratch::default();
    let stored = if mode & ELEMENTS == 0 { stored(&built, mode, input.rest(), &mut scratch) } else { Vec::new() };
    if built.metadata.data_type().is_variable_length() {
        return match mode & ELEMENTS {
            0 => strings::check_stored(&built.metadata, &stored, &mut scratch),
            _ => strings::check_elements(&built.metadata, &strings::elements(&built.metadata, input.rest()), &mut scratch),
        };
    }
    if mode & ELEMENTS != 0 {
        return check_elements(&built, &elements(&built.metadata, input.rest()), &mut scratch);
    }
    let Some(decoded) = check_stored(&built.metadata, &stored, &mut scratch) else { return false };
    if built.comes_back() {
        check_elements(&built, &decoded, &mut scratch);
    }
    true
}

/// The stored bytes of a chunk, with a checksum where one is to be added.
fn stored(built: &Built, mode: u8, bytes: &[u8], scratch: &mut Scratch) -> Vec<u8> {
    let last = built.recipe.last_checksum().filter(|_| mode & SEALED != 0);
    let Some(sealing) = last.and_then(|codec| recipe::bytes_through(codec, bytes.len())) else { return bytes.to_vec() };
    let mut sealed = Vec::new();
    encode(&sealing.codecs, &mut bytes.to_vec(), scratch, &mut sealed).expect("a checksum is added");
    sealed
}

/// Decodes stored bytes, twice, and in parts; none where that is refused.
fn check_stored(metadata: &ArrayMetadata, encoded: &[u8], scratch: &mut Scratch) -> Option<Vec<u8>> {
    let (pipeline, mut out) = (&metadata.codecs, Vec::new());
    let room = &mut out;
    let (decoded, peak) = measured(|| pipeline.decode(encoded, scratch, room));
    let decoded = decoded.map(|found| found.map(<[u8]>::to_vec));
    let chunk_bytes = pipeline.chunk_bytes() as u64;
    if let Some(peak) = peak {
        let most = pipeline.decode_memory() + chunk_bytes + SLACK_BYTES;
        assert!(peak <= most, "decoding took {peak} bytes, at most {most} were promised");
    }
    // What an earlier use left in buffers shows nowhere.
    out.clear();
    out.resize(pipeline.chunk_bytes(), 0xA5);
    let again = pipeline.decode(encoded, scratch, &mut out);
    match (&decoded, again) {
        (Ok(first), Ok(second)) => assert!(first.as_deref() == second, "decoded differently the second time"),
        (Err(_), Err(_)) => {}
        (first, second) => panic!("refused only once: {:?}, {:?}", first.as_ref().err(), second.err()),
    }
    let elements = decoded.ok().map(|found| found.unwrap_or_else(|| all_fill(metadata)));
    if let Some(elements) = &elements {
        assert_eq!(elements.len(), pipeline.chunk_bytes(), "a chunk of another size");
    }
    if pipeline.decodes_parts() {
        check_parts(metadata, encoded, elements.as_deref(), scratch);
    }
    elements
}

/// Parts of a chunk are what they are in the whole.
fn check_parts(metadata: &ArrayMetadata, encoded: &[u8], whole: Option<&[u8]>, scratch: &mut Scratch) {
    let (len, item) = (metadata.codecs.chunk_bytes(), metadata.data_type().item_size());
    let middle = len / item / 2 * item;
    #[expect(clippy::single_range_in_vec_init, reason = "lists of ranges are what is decoded")]
    for parts in [vec![0..item], vec![middle..middle + item, len - item..len], vec![0..len]] {
        let mut out = vec![0x5A; 3];
        let decoded = metadata.codecs.decode_parts(encoded, &parts, scratch, &mut out);
        match (whole, decoded) {
            (Some(whole), Ok(_)) => {
                assert_eq!(out.len(), len, "parts have the room of a whole chunk");
                parts.into_iter().for_each(|part| assert!(out[part.clone()] == whole[part.clone()], "bytes {part:?} differ"));
            }
            (Some(_), Err(error)) => panic!("parts {parts:?} of a whole chunk are refused: {error}"),
            // The parts may lie where nothing is wrong.
            (None, _) => {}
        }
    }
}

/// The elements of a stored chunk, fill where it says that it has none.
fn decode(metadata: &ArrayMetadata, encoded: &[u8], scratch: &mut Scratch) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let decoded = metadata.codecs.decode(encoded, scratch, &mut out)?.map(<[u8]>::to_vec);
    Ok(decoded.unwrap_or_else(|| all_fill(metadata)))
}

fn all_fill(metadata: &ArrayMetadata) -> Vec<u8> {
    let mut elements = vec![0; metadata.codecs.chunk_bytes()];
    metadata.fill.fill(&mut elements);
    elements
}

/// Encodes the elements of a chunk, and decodes them.
fn check_elements(built: &Built, elements: &[u8], scratch: &mut Scratch) -> bool {
    let pipeline = built.pipeline();
    let bound = usize::try_from(pipeline.encoded_bound()).unwrap();
    let (mut working, mut stored) = (elements.to_vec(), Vec::with_capacity(bound));
    let (encoded, peak) = measured(|| encode(pipeline, &mut working, scratch, &mut stored));
    if let Some(peak) = peak {
        let most = pipeline.encode_memory() + SLACK_BYTES;
        assert!(peak <= most, "encoding took {peak} bytes, at most {most} were promised");
    }
    match encoded {
        Ok(()) => {}
        // FMT-BB-5: what a compressor gives may be no whole number of elements.
        Err(Error::Unsupported { .. }) if built.recipe.shuffles() => return false,
        Err(error) if built.comes_back() => panic!("elements are refused: {error}"),
        Err(_) => return false,
    }
    assert!(stored.len() <= bound, "{} bytes stored, at most {bound} were promised", stored.len());
    // No array is made with codecs that spoil what they make.
    if pipeline.check_encodable().is_err() {
        return true;
    }
    let decoded = match decode(&built.metadata, &stored, scratch) {
        Ok(decoded) => decoded,
        // What another codec makes of a number that was cast need not be one that can be cast back.
        Err(_) if built.recipe.loses_what_was_cast() => return true,
        Err(error) => panic!("what was encoded is not decoded: {error}"),
    };
    assert_eq!(decoded.len(), elements.len());
    if built.recipe.is_lossless() {
        assert!(decoded == elements, "elements have changed:\n{elements:02x?}\n{decoded:02x?}");
    }
    true
}

fn encode(pipeline: &CodecPipeline, working: &mut [u8], scratch: &mut Scratch, stored: &mut Vec<u8>) -> Result<()> {
    pipeline.encode(working, scratch, &mut |piece| {
        stored.extend_from_slice(piece);
        Ok(())
    })
}

/// As many elements as a chunk has, of the bytes of `pattern` over and over.
fn elements(metadata: &ArrayMetadata, pattern: &[u8]) -> Vec<u8> {
    let mut elements = pattern.to_vec();
    elements.resize(elements.len().max(1), 0);
    let times = metadata.codecs.chunk_bytes().div_ceil(elements.len());
    elements = elements.repeat(times);
    elements.truncate(metadata.codecs.chunk_bytes());
    match metadata.data_type() {
        DataType::Bool => elements.iter_mut().for_each(|byte| *byte &= 1),
        data_type => data_type.normalise(&mut elements),
    }
    elements
}

/// The stored chunk that these choices make of some elements; none where it is only read.
pub(super) fn stored_chunk(choices: &[u8], pattern: &[u8]) -> Option<Vec<u8>> {
    let Built { metadata, .. } = Built::new(choices).expect("choices that fit");
    let (mut scratch, mut stored) = (Scratch::default(), Vec::new());
    let encoded = if metadata.data_type().is_variable_length() {
        strings::encode(&metadata, &strings::elements(&metadata, pattern), &mut scratch, &mut stored)
    } else {
        encode(&metadata.codecs, &mut elements(&metadata, pattern), &mut scratch, &mut stored)
    };
    encoded.ok().map(|()| stored)
}

/// Documents of all choices.
pub(super) fn documents() -> Vec<String> {
    choices().iter().map(|choices| Recipe::choose(&mut Input::new(choices))).map(|recipe| recipe.document(recipe.chunk_shape())).collect()
}

/// A chunk of each choice, as elements and as stored.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for choices in choices() {
        if let Some(stored) = stored_chunk(&choices, &[0, 0, 0, 0, 0, 0, 0, 0, 9, 1]) {
            seeds.push([&choices[..], &[ELEMENTS], &[1, 2, 3, 0, 0, 7, 0]].concat());
            seeds.push([&choices[..], &[0], &stored].concat());
        } else if let Some(snappy) = snappy(&choices) {
            seeds.push([&choices[..], &[0], &snappy].concat());
        }
    }
    seeds
}

/// A chunk as a frame of Blosc with snappy (FMT-BL-4 to FMT-BL-6), which is only read.
fn snappy(choices: &[u8]) -> Option<Vec<u8>> {
    let built = Built::new(choices)?;
    let content = elements(&built.metadata, &[0, 0, 0, 0, 0, 0, 0, 0, 9, 1]);
    let stream = snap::raw::Encoder::new().compress_vec(&content).ok()?;
    let size = |len: usize| u32::try_from(len).map(u32::to_le_bytes);
    let (len, frame) = (size(content.len()).ok()?, size(24 + stream.len()).ok()?);
    let header = [&[2, 1, 2 << 5 | 16, 1], &len[..], &len, &frame, &20_u32.to_le_bytes(), &size(stream.len()).ok()?].concat();
    let stored = [header, stream].concat();
    built.pipeline().decode(&stored, &mut Scratch::default(), &mut Vec::new()).is_ok().then_some(stored)
}
