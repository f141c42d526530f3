//! Chunks of elements of variable length.

use super::SLACK_BYTES;
use crate::codec::Scratch;
use crate::dtype::DataType;
use crate::error::{Error, Result};
use crate::fuzzing::measured;
use crate::metadata::ArrayMetadata;
use crate::ragged::{ENTRY_BYTES, Ragged};

fn count(metadata: &ArrayMetadata) -> usize {
    metadata.codecs.chunk_bytes() / ENTRY_BYTES
}

/// Decodes stored bytes to as many elements as a chunk has, in memory that follows from the bytes, and encodes what comes out.
pub(super) fn check_stored(metadata: &ArrayMetadata, encoded: &[u8], scratch: &mut Scratch) -> bool {
    let (decoded, peak) = measured(|| metadata.codecs.decode_ragged(encoded, scratch));
    if let Some(peak) = peak {
        // FMT-AA-13, once before the array->bytes codec and once behind it.
        let most = (count(metadata) * 128 + (16 << 20) + 256 * encoded.len()) as u64;
        assert!(peak <= 2 * most + 4 * SLACK_BYTES, "decoding took {peak} bytes for {} stored ones", encoded.len());
    }
    let again = metadata.codecs.decode_ragged(encoded, scratch);
    match (decoded, again) {
        (Ok(first), Ok(second)) => {
            assert!(first == second, "decoded differently the second time");
            let elements = first.unwrap_or_else(|| Ragged::filled(count(metadata), metadata.fill.as_bytes()).unwrap());
            assert_eq!(elements.len(), count(metadata), "a chunk of another size");
            check_elements(metadata, &elements, scratch)
        }
        (Err(_), Err(_)) => false,
        (first, second) => panic!("refused only once: {:?}, {:?}", first.err(), second.err()),
    }
}

/// Encodes the elements of a chunk, and decodes them.
pub(super) fn check_elements(metadata: &ArrayMetadata, elements: &Ragged, scratch: &mut Scratch) -> bool {
    if metadata.codecs.check_encodable().is_err() {
        return true;
    }
    let mut stored = Vec::new();
    match encode(metadata, elements, scratch, &mut stored) {
        Ok(()) => {}
        // FMT-BB-5: what reaches a shuffle may be no whole number of elements.
        Err(Error::Unsupported { .. }) => return false,
        Err(error) => panic!("elements are refused: {error}"),
    }
    let decoded = metadata.codecs.decode_ragged(&stored, scratch).expect("what was encoded is decoded");
    let decoded = decoded.unwrap_or_else(|| Ragged::filled(count(metadata), metadata.fill.as_bytes()).unwrap());
    assert!(decoded == *elements, "elements have changed:\n{elements:02x?}\n{decoded:02x?}");
    true
}

pub(super) fn encode(metadata: &ArrayMetadata, elements: &Ragged, scratch: &mut Scratch, stored: &mut Vec<u8>) -> Result<()> {
    metadata.codecs.encode_ragged(elements, scratch, &mut |piece| {
        stored.extend_from_slice(piece);
        Ok(())
    })
}

/// As many elements as a chunk has, cut from `pattern`: a length, and so many bytes; and from the beginning again. Text is made of what is not UTF-8.
pub(super) fn elements(metadata: &ArrayMetadata, pattern: &[u8]) -> Ragged {
    let (mut elements, mut rest) = (Ragged::default(), pattern);
    for _ in 0..count(metadata) {
        let Some((&len, behind)) = rest.split_first() else {
            elements.push(metadata.fill.as_bytes()).unwrap();
            rest = pattern;
            continue;
        };
        let (element, behind) = behind.split_at(usize::from(len % 32).min(behind.len()));
        match metadata.data_type() {
            DataType::String => elements.push(String::from_utf8_lossy(element).as_bytes()).unwrap(),
            _ => elements.push(element).unwrap(),
        }
        rest = behind;
    }
    elements
}
