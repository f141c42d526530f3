//! Check values, places, passing and whole input, damage (FMT-BB-5, FMT-BB-6).

use serde_json::json;

use super::*;

fn named(name: &str, configuration: &Value) -> NamedConfig {
    NamedConfig::new(name, configuration.as_object().unwrap().clone())
}

fn checksum(name: &str, configuration: &Value) -> Checksum {
    Checksum::from_metadata(name, &named(name, configuration)).unwrap().unwrap()
}

fn all() -> Vec<Checksum> {
    [
        ("crc32c", json!({})),
        ("numcodecs.crc32c", json!({"location": "start"})),
        ("numcodecs.crc32", json!({})),
        ("numcodecs.crc32", json!({"location": "end"})),
        ("numcodecs.adler32", json!({"location": "start"})),
        ("numcodecs.adler32", json!({"location": "end"})),
        ("numcodecs.fletcher32", json!({})),
        ("numcodecs.jenkins_lookup3", json!({})),
        ("numcodecs.jenkins_lookup3", json!({"initval": 12345, "prefix": null})),
    ]
    .iter()
    .map(|(name, configuration)| checksum(name, configuration))
    .collect()
}

fn encoded(codec: Checksum, input: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let sink = &mut |piece: &[u8]| {
        out.extend_from_slice(piece);
        Ok(())
    };
    codec.encode(input, sink).unwrap();
    out
}

/// Bytes in which no two blocks are alike.
fn some_bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i / 7 + i).to_le_bytes()[0]).collect()
}

#[test]
fn check_values_of_numcodecs() {
    let all_bytes: Vec<u8> = (0..9).flat_map(|_| 0..=255).collect();
    let inputs = [&b""[..], b"x", b"123456789", b"0123456789ab", b"0123456789abc", &[0; 3], &[0xff; 5], &all_bytes];
    let fletcher = [0, 0x7800_7800, 0x09df_09d5, 0, 0, 0, 0xff00_ff00, 0x7ca4_c23d];
    let adler = [1, 0x0079_0079, 0x091e_01de, 0, 0, 0x0003_0001, 0x0ef6_04fc, 0x2b01_7bbd];
    let crc32 = [0, 0x8cdc_1683, 0xcbf4_3926, 0, 0, 0xff41_d912, 0xd2fd_1072, 0x6815_567a];
    let crc32c = [0, 0xa93c_5f93, 0xe306_9283, 0, 0, 0x6064_a37a, 0x5282_acae, 0x29de_f29c];
    let lookup = [0xdead_beef, 0xfaac_85a7, 0x845d_9a96, 0x1065_e50a, 0x7351_ce56, 0x6bd0_060f, 0, 0xe129_7c9c];
    let seeded = [0xdead_ef28, 0x1aa6_1975, 0x0659_e608, 0xc2a5_f9b3, 0xedcb_4f8e, 0xa91d_2fed, 0, 0x23a8_46bc];
    let wrapped = [0xdead_beee, 0x42a6_d26d, 0x97f5_0647, 0xcc84_5cd7, 0x69c7_a5f2, 0x62cd_61b3, 0, 0x6321_e3ad];
    for (algorithm, values, known) in [
        (Algorithm::Fletcher32, fletcher, [0, 1, 2, 5, 6, 7].as_slice()),
        (Algorithm::Adler32, adler, &[0, 1, 2, 5, 6, 7]),
        (Algorithm::Crc32, crc32, &[0, 1, 2, 5, 6, 7]),
        (Algorithm::Crc32c, crc32c, &[0, 1, 2, 5, 6, 7]),
        (Algorithm::Lookup3 { initial: 0 }, lookup, &[0, 1, 2, 3, 4, 5, 7]),
        (Algorithm::Lookup3 { initial: 12345 }, seeded, &[0, 1, 2, 3, 4, 5, 7]),
        (Algorithm::Lookup3 { initial: u32::MAX }, wrapped, &[0, 1, 2, 3, 4, 5, 7]),
    ] {
        for &i in known {
            assert_eq!(algorithm.sum(inputs[i]), values[i], "{algorithm:?} of {:?}", inputs[i].escape_ascii().to_string());
        }
    }
}

/// The definitions, byte by byte and word by word.
#[test]
fn lanes_make_no_difference() {
    let adler = |input: &[u8]| {
        let step = |(a, b): (u32, u32), &byte: &u8| ((a + u32::from(byte)) % 65_521, (b + a + u32::from(byte)) % 65_521);
        let (a, b) = input.iter().fold((1, 0), step);
        b << 16 | a
    };
    let fletcher = |input: &[u8]| {
        let carry = |sum: u32| (sum & 0xffff) + (sum >> 16);
        let step = |(a, b): (u32, u32), word: &[u8]| {
            let a = carry(a + (u32::from(word[0]) << 8) + word.get(1).map_or(0, |&low| u32::from(low)));
            (a, carry(b + a))
        };
        let (a, b) = input.chunks(2).fold((0, 0), step);
        b << 16 | a
    };
    for len in (0..80).chain([4094, 4095, 4096, 4097, 65_535, 65_536, 65_537, 200_001]) {
        for input in [some_bytes(len), vec![0xff; len], vec![0; len], [vec![0; len / 2], vec![0xff; len / 2]].concat()] {
            assert_eq!(Algorithm::Adler32.sum(&input), adler(&input), "{len} bytes");
            assert_eq!(Algorithm::Fletcher32.sum(&input), fletcher(&input), "{len} bytes");
        }
    }
}

#[test]
fn checksums_stand_where_they_are_said_to_stand() {
    for codec in all() {
        for input in [&b""[..], b"x", b"123456789", &some_bytes(300_000)] {
            let good = encoded(codec, input);
            let stored = codec.algorithm.sum(input).to_le_bytes();
            let expected = if codec.at_start { [&stored[..], input].concat() } else { [input, &stored[..]].concat() };
            assert!(good == expected, "{codec:?}");
            assert_eq!(codec.decode(&good).unwrap(), input);
            assert_eq!(codec.bytes_before(), if codec.at_start { 4 } else { 0 });
            let mut in_place = input.to_vec();
            codec.encode_in_place(&mut in_place);
            assert!(in_place == good, "{codec:?}");
            if codec.can_pass() {
                let mut passed = Vec::new();
                let produce = |sink: &mut Sink<'_>| input.chunks(3).try_for_each(sink);
                let sink = &mut |piece: &[u8]| {
                    passed.extend_from_slice(piece);
                    Ok(())
                };
                codec.encode_passing(produce, sink).unwrap();
                assert!(passed == good, "{codec:?}");
            }
        }
    }
    assert_eq!(all().iter().filter(|codec| codec.can_pass()).count(), 3);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_noticed() {
    for codec in all() {
        let good = encoded(codec, b"some bytes");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(codec.decode(&bad), Err(Error::ChecksumMismatch { .. })), "{codec:?}, bit {bit}");
        }
        for len in 0..good.len() {
            match codec.decode(&good[..len]) {
                Err(Error::ChecksumMismatch { .. }) if len >= 4 => {}
                Err(Error::Corrupt { what, .. }) if len < 4 && what.contains(&codec.to_metadata().name) => {}
                other => panic!("{codec:?}, {len} bytes: {other:?}"),
            }
        }
    }
}

#[test]
fn objects_come_back_and_wrong_ones_are_refused() {
    for codec in all() {
        let written = codec.to_metadata();
        assert_eq!(Checksum::from_metadata(&written.name, &written).unwrap(), Some(codec));
    }
    for (name, configuration, written) in [
        ("numcodecs.crc32c", json!({}), json!({"name": "crc32c"})),
        ("numcodecs.crc32c", json!({"location": "end"}), json!({"name": "crc32c"})),
        ("numcodecs.crc32", json!({"location": "start"}), json!({"name": "numcodecs.crc32", "configuration": {}})),
        ("numcodecs.adler32", json!({"location": null}), json!({"name": "numcodecs.adler32", "configuration": {}})),
        ("numcodecs.jenkins_lookup3", json!({}), json!({"name": "numcodecs.jenkins_lookup3", "configuration": {"initval": 0}})),
    ] {
        assert_eq!(checksum(name, &configuration).to_metadata().to_json(), written);
    }
    for (name, configuration, pointer) in [
        ("crc32c", json!({"location": "end"}), "/configuration/location"),
        ("numcodecs.fletcher32", json!({"location": "end"}), "/configuration/location"),
        ("numcodecs.crc32", json!({"location": "middle"}), "/configuration/location"),
        ("numcodecs.adler32", json!({"location": 1}), "/configuration/location"),
        ("numcodecs.adler32", json!({"more": 1}), "/configuration/more"),
        ("numcodecs.jenkins_lookup3", json!({"initval": -1}), "/configuration/initval"),
        ("numcodecs.jenkins_lookup3", json!({"initval": 1_u64 << 32}), "/configuration/initval"),
        ("numcodecs.jenkins_lookup3", json!({"location": "end"}), "/configuration/location"),
    ] {
        match Checksum::from_metadata(name, &named(name, &configuration)) {
            Err(Error::Metadata { pointer: found, .. }) => assert_eq!(found, pointer),
            other => panic!("{name} {configuration}: {other:?}"),
        }
    }
    let prefixed = named("numcodecs.jenkins_lookup3", &json!({"prefix": [1, 2]}));
    let error = Checksum::from_metadata(&prefixed.name, &prefixed).unwrap_err();
    assert!(matches!(&error, Error::Unsupported { what, .. } if what.contains("prefix [1,2]")), "{error}");
    assert_eq!(Checksum::from_metadata("numcodecs.sha256", &named("numcodecs.sha256", &json!({}))).unwrap(), None);
}
