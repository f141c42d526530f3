//! Looking through the members of an object without keeping them: what a document may be is checked in little memory, however many
//! members it has.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de::DeserializeSeed};
use serde_json::value::RawValue;

use super::{pointer, syntax_error};
use crate::error::{Error, Result};

/// Refuses text that is no object, or one that repeats a member. Takes 8 bytes of memory a member.
pub(crate) fn check_unique(text: &str) -> Result<()> {
    let state = RandomState::new();
    let mut hashes = Vec::new();
    for_each_member(text, |name, _: IgnoredAny| {
        hashes.push(state.hash_one(name));
        true
    })?;
    hashes.sort_unstable();
    let repeated: Vec<u64> = hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    drop(hashes);
    if repeated.is_empty() {
        return Ok(());
    }
    // Different names may have one hash.
    let (mut seen, mut twice) = (HashSet::new(), None);
    for_each_member(text, |name, _: IgnoredAny| {
        if repeated.binary_search(&state.hash_one(name)).is_ok() && !seen.insert(name.to_owned()) {
            twice = Some(name.to_owned());
        }
        twice.is_none()
    })?;
    twice.map_or(Ok(()), |name| Err(duplicate(&name)))
}

/// The text of the first member `name` of the object `text`.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Result<Option<&'a RawValue>> {
    let mut found = None;
    for_each_member(text, |known, value: &'a RawValue| {
        if known == name {
            found = Some(value);
        }
        found.is_none()
    })?;
    Ok(found)
}

/// The error for a member that occurs twice.
pub(super) fn duplicate(name: &str) -> Error {
    Error::metadata(pointer(name), "the member occurs twice; names must be unique")
}

/// Calls `visit` with each member of the object `text`, until it says that it has seen enough.
fn for_each_member<'a, V: Deserialize<'a>>(text: &'a str, mut visit: impl FnMut(&str, V) -> bool) -> Result<()> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let mut enough = false;
    let seed = Members { visit: &mut visit, enough: &mut enough, value: std::marker::PhantomData };
    match deserializer.deserialize_map(seed).and_then(|()| deserializer.end()) {
        Err(fault) if !enough => Err(syntax_error("", text, &fault)),
        _ => Ok(()),
    }
}

struct Members<'s, F, V> {
    visit: &'s mut F,
    enough: &'s mut bool,
    value: std::marker::PhantomData<V>,
}

impl<'de, V: Deserialize<'de>, F: FnMut(&str, V) -> bool> Visitor<'de> for Members<'_, F, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut name = String::new();
        while map.next_key_seed(Name(&mut name))?.is_some() {
            let value = map.next_value()?;
            if !(self.visit)(&name, value) {
                *self.enough = true;
                return Err(A::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

/// Reads a name into a string that is used again.
struct Name<'s>(&'s mut String);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.clear();
        self.0.push_str(name);
        Ok(())
    }
}
