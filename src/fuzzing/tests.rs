//! Every body on any bytes, and on seeds with a few changes, which is what finds things.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{TARGETS, Target};

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Set(Index, u8),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize),
    Word(Index, Index),
    /// The rest comes from another seed.
    Splice(Index, Index),
    End(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    let edges = prop::sample::select(vec![0_u8, 1, 2, 4, 7, 8, 16, 31, 64, 127, 128, 254, 255]);
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (at(), prop_oneof![any::<u8>(), edges]).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (at(), 1..20_usize).prop_map(|(at, len)| Change::Remove(at, len)),
        1 => (at(), prop::collection::vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (at(), 1..40_usize).prop_map(|(at, len)| Change::Repeat(at, len)),
        2 => (at(), at()).prop_map(|(at, word)| Change::Word(at, word)),
        1 => (at(), at()).prop_map(|(at, seed)| Change::Splice(at, seed)),
        1 => at().prop_map(Change::End),
    ]
}

fn apply(data: &mut Vec<u8>, change: &Change, seeds: &[Vec<u8>], words: &[&str]) {
    let place = |at: &Index| at.index(data.len() + 1);
    match change {
        Change::Flip(at, _) | Change::Set(at, _) if !data.is_empty() => {
            let at = at.index(data.len());
            data[at] = if let Change::Flip(_, bit) = change { data[at] ^ 1 << bit } else { data[at] };
            if let Change::Set(_, byte) = change {
                data[at] = *byte;
            }
        }
        Change::Flip(..) | Change::Set(..) => {}
        Change::Remove(at, len) => {
            let at = place(at);
            data.drain(at..(at + len).min(data.len()));
        }
        Change::Insert(at, bytes) => {
            let at = place(at);
            data.splice(at..at, bytes.iter().copied());
        }
        Change::Repeat(at, len) => {
            let at = place(at);
            let again = data[at..(at + len).min(data.len())].to_vec();
            data.splice(at..at, again);
        }
        Change::Word(at, word) if !words.is_empty() => {
            let at = place(at);
            data.splice(at..at, word.get(words).bytes());
        }
        Change::Word(..) => {}
        Change::Splice(at, seed) => {
            let (at, other) = (place(at), seed.get(seeds));
            data.truncate(at);
            data.extend(other.iter().skip(at));
        }
        Change::End(at) => data.truncate(place(at)),
    }
}

/// An input, in one line where it is shown.
#[derive(Clone)]
struct Shown(Vec<u8>);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Runs the body `name` on any bytes, and on changed seeds.
fn holds(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = (target.seeds)();
    let changed = (any::<Index>(), prop::collection::vec(change(), 1..6)).prop_map(|(seed, changes)| {
        let mut data = seed.get(&seeds).clone();
        changes.iter().for_each(|change| apply(&mut data, change, &seeds, target.words));
        Shown(data)
    });
    let any_bytes = prop::collection::vec(any::<u8>(), 0..300).prop_map(Shown);
    seeds.iter().for_each(|seed| assert!((target.check)(seed), "a seed of {name} is refused: b\"{}\"", seed.escape_ascii()));
    // What fails becomes a seed, rather than a number that leads to other inputs once a seed is added.
    let cases = |cases| ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(cases(400), |(data in changed)| { (target.check)(&data.0); });
    proptest!(cases(100), |(data in any_bytes)| { (target.check)(&data.0); });
    (target.check)(&[]);
}

macro_rules! bodies {
    ($($name:ident)*) => {
        const TESTED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            holds(stringify!($name));
        })*
    };
}

bodies!(metadata codecs shard_index store spill specs json zip);

#[test]
fn every_body_is_a_target_and_is_tested() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target: &Target| target.name).collect();
    assert_eq!(names, TESTED.iter().copied().collect());
    assert!(names.len() == TARGETS.len() && TARGETS.len() <= 10);
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in &names {
        let target = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(target.contains(&format!("fuzzing::{name}::check(")) && target.contains(&format!("prepare(\"{name}\")")), "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
    }
}

#[test]
fn every_codec_and_data_type_is_among_the_seeds() {
    let missing = super::codecs::lines_without_choice();
    let left_out = |json: &&&str| !json.contains("lzma") || cfg!(feature = "lzma");
    assert_eq!(missing.iter().filter(left_out).collect::<Vec<_>>(), [""; 0].iter().collect::<Vec<_>>());
}
