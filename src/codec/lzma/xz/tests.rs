//! Streams that the crate writes, in all forms that are read here; damage, headers that lie, and the other reader beside this one.

use std::io::Write as _;
use std::num::NonZeroU64;

use lzma_rust2::{CheckType, FilterConfig, FilterType, LzmaOptions, XzOptions, XzWriter};

use super::super::Lzma;
use super::*;

/// Bytes that compress a little.
fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 % 251).to_le_bytes()[0] & 0x3f).collect()
}

fn encoded(input: &[u8], check_type: CheckType, block_size: Option<u64>, filters: Vec<FilterConfig>) -> Vec<u8> {
    let lzma_options = LzmaOptions { dict_size: 4096, ..LzmaOptions::with_preset(1) };
    let options = XzOptions { lzma_options, check_type, block_size: block_size.and_then(NonZeroU64::new), filters };
    let mut writer = XzWriter::new(Vec::new(), options).unwrap();
    writer.write_all(input).unwrap();
    writer.finish().unwrap()
}

fn plain(input: &[u8]) -> Vec<u8> {
    encoded(input, CheckType::Crc64, None, Vec::new())
}

fn decoded(input: &[u8], limit: usize) -> Result<Option<Vec<u8>>> {
    let mut out = vec![9; 3];
    let result = decode(input, limit, &mut out);
    assert!(out.capacity() <= limit + 1 || out.capacity() <= 8, "{}", out.capacity());
    Ok(result?.then_some(out))
}

#[test]
fn what_the_encoder_writes_is_read() {
    for len in [0, 1, 2, 3, 4, 1000, 5000, 70_000, 300_000] {
        let input = content(len);
        for check in [CheckType::None, CheckType::Crc32, CheckType::Crc64] {
            for block_size in [None, Some(4096), Some(10_000)] {
                let stored = encoded(&input, check, block_size, Vec::new());
                assert_eq!(decoded(&stored, len).unwrap().unwrap(), input, "{len} bytes, {check:?}, {block_size:?}");
                if len > 0 {
                    let error = decoded(&stored, len - 1).unwrap_err().to_string();
                    assert!(error.contains("more than"), "{error}");
                }
            }
        }
    }
}

#[test]
fn noise_is_stored_as_it_is_and_read() {
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(200_000)
    .collect();
    assert_eq!(decoded(&plain(&noise), noise.len()).unwrap().unwrap(), noise);
}

/// FMT-BB-3
#[test]
fn streams_may_follow_each_other_with_padding() {
    let (first, second) = (content(100), content(77));
    for padding in 0..9 {
        let zeros = vec![0; padding];
        let stored = [&plain(&first)[..], &zeros, &encoded(&second, CheckType::Crc32, Some(4096), Vec::new()), &zeros].concat();
        let found = decoded(&stored, 177);
        if padding % 4 == 0 {
            assert_eq!(found.unwrap().unwrap(), [&first[..], &second].concat());
        } else {
            assert!(matches!(found, Err(Error::Corrupt { .. })), "{padding}");
        }
    }
    for garbage in [&b"x"[..], b"abcd", MAGIC] {
        assert!(decoded(&[&plain(&first)[..], garbage].concat(), 100).is_err());
    }
    assert!(decoded(&[], 10).is_err() && decoded(&[0; 4], 10).is_err());
}

#[test]
fn what_is_rare_is_left_to_others_and_read_as_well() {
    let input = content(9000);
    let delta = vec![FilterConfig { filter_type: FilterType::Delta, property: 1 }];
    for stored in [encoded(&input, CheckType::Sha256, None, Vec::new()), encoded(&input, CheckType::Crc64, None, delta)] {
        // Also behind a stream that is not.
        for (stored, expected) in [(stored.clone(), input.clone()), ([plain(&input), stored].concat(), input.repeat(2))] {
            assert!(decoded(&stored, expected.len()).unwrap().is_none());
            let mut out = Vec::new();
            Lzma::decode(&stored, expected.len(), &mut out).unwrap();
            assert_eq!(out, expected);
            assert!(Lzma::decode(&stored, expected.len() - 1, &mut out).is_err());
        }
    }
}

#[test]
fn damage_is_found_wherever_it_is() {
    let input = content(600);
    for (check, block_size) in [(CheckType::Crc64, None), (CheckType::Crc32, Some(4096)), (CheckType::None, None)] {
        let good = encoded(&input, check, block_size, Vec::new());
        for len in 0..good.len() {
            assert!(matches!(decoded(&good[..len], 600), Err(Error::Corrupt { .. })), "{len} bytes");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match decoded(&bad, 600) {
                // Without a checksum there is none to find it by.
                Ok(Some(_)) => assert_eq!(check, CheckType::None, "bit {bit}"),
                Ok(None) => panic!("bit {bit}: all headers have a checksum"),
                Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "bit {bit}: {error}"),
            }
        }
    }
}

/// A block header with its checksum: flags, fields, and zeros up to the length that the first byte says.
fn with_header(header: &[u8], good: &[u8]) -> Vec<u8> {
    let mut bytes = [&[u8::try_from((1 + header.len()).div_ceil(4)).unwrap()], header].concat();
    bytes.resize((1 + header.len()).next_multiple_of(4), 0);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    let old = (usize::from(good[12]) + 1) * 4;
    [&good[..12], &bytes, &good[12 + old..]].concat()
}

#[test]
fn headers_that_lie_are_refused() {
    let good = plain(&content(50));
    let lzma2 = [0x21, 1, 8];
    assert_eq!(decoded(&with_header(&[&[0][..], &lzma2].concat(), &good), 50).unwrap().unwrap(), content(50));
    // Sizes that are right change the block's own size in the index as well, so that only wrong ones are looked at by themselves.
    for (header, what) in [
        (vec![SIZE, 51, 0x21, 1, 8], "says otherwise"),
        (vec![COMPRESSED_SIZE, 1, 0x21, 1, 8], "says otherwise"),
        (vec![SIZE, 0x80, 0x80, 0, 0x21, 1, 8], "zeros before it"),
        (vec![SIZE, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], "63 bits"),
        (vec![4, 0x21, 1, 8], "not known"),
        (vec![0, 0x21, 2, 8, 0], "wrong properties"),
        (vec![0, 0x21, 1, 41], "wrong properties"),
        (vec![0, 0x21, 1, 8, 0, 1], "wrong properties"),
        (vec![0, 0x21, 1, 40], "dictionary"),
        (vec![0, 0x21, 1, 29], "dictionary"),
    ] {
        let error = decoded(&with_header(&header, &good), 50).unwrap_err().to_string();
        assert!(error.contains(what), "{header:?}: {error}");
    }
}

#[test]
fn large_dictionaries_take_no_more_than_the_limit() {
    let good = plain(&content(50));
    // 64 MiB, of which nothing comes.
    assert_eq!(decoded(&with_header(&[0, 0x21, 1, 28], &good), 50).unwrap().unwrap(), content(50));
    assert_eq!(decoded(&with_header(&[0, 0x21, 1, 28], &good), 1 << 30).unwrap().unwrap(), content(50));
}

proptest::proptest! {
    /// Whatever is accepted is what the other reader makes of it.
    #[test]
    fn both_readers_agree(at in proptest::prelude::any::<proptest::sample::Index>(), byte: u8, cut in proptest::bool::weighted(0.2)) {
        let mut stored = [encoded(&content(3000), CheckType::None, Some(4096), Vec::new()), plain(&content(40))].concat();
        if cut {
            stored.truncate(at.index(stored.len()));
        } else {
            let at = at.index(stored.len());
            stored[at] = byte;
        }
        if let Ok(Some(found)) = decoded(&stored, 4000) {
            let mut expected = Vec::new();
            Lzma::decode_any(&stored, 4000, &mut expected).unwrap();
            proptest::prop_assert_eq!(found, expected);
        }
    }
}
