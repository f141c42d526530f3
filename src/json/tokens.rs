//! The bare tokens `NaN`, `Infinity` and `-Infinity`, which Python's `json` module writes, as the strings that they mean.

use std::borrow::Cow;

use super::MAX_DOCUMENT_BYTES;
use crate::error::{Error, Result};

const TOKENS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// Where in a document bare tokens are read as strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    /// Everywhere: in documents of Zarr v2.
    Anywhere,
    /// In `attributes`, those of the documents in `consolidated_metadata` among them: in documents of Zarr v3.
    InAttributes,
}

/// The document with quotes around bare tokens; everything else is as it was, so that what is no JSON otherwise stays none (FMT-3, FMT-V2-2).
pub(crate) fn quoted(document: &[u8], bare: Bare) -> Result<Cow<'_, [u8]>> {
    if document.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(Error::metadata("", format!("a document of {} bytes; at most {MAX_DOCUMENT_BYTES} are accepted", document.len())));
    }
    let mut out: Option<Vec<u8>> = None;
    let (mut copied, mut at, mut place) = (0, 0, Place::default());
    while let Some(&byte) = document.get(at) {
        if byte == b'"' {
            let end = string_end(document, at);
            place.string(document.get(at..end).unwrap_or_default());
            at = end;
            continue;
        }
        place.step(byte);
        match token_at(document, at).filter(|_| bare == Bare::Anywhere || place.is_in_attributes()) {
            None => at += 1,
            Some(token) => {
                let out = out.get_or_insert_with(Vec::new);
                out.extend_from_slice(document.get(copied..at).unwrap_or_default());
                out.push(b'"');
                out.extend_from_slice(token);
                out.push(b'"');
                at += token.len();
                copied = at;
            }
        }
    }
    Ok(match out {
        None => Cow::Borrowed(document),
        Some(mut out) => {
            out.extend_from_slice(document.get(copied..).unwrap_or_default());
            Cow::Owned(out)
        }
    })
}

/// Behind the string that begins at `at`; the end of the document where it is not closed.
fn string_end(document: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(&byte) = document.get(end) {
        match byte {
            b'"' => return end + 1,
            b'\\' => end += 2,
            _ => end += 1,
        }
    }
    document.len()
}

/// The token that stands as a value at `at`, and alone there.
fn token_at(document: &[u8], at: usize) -> Option<&'static [u8]> {
    let rest = document.get(at..).filter(|rest| matches!(rest.first(), Some(b'N' | b'I' | b'-')))?;
    let token = TOKENS.into_iter().find(|token| rest.starts_with(token))?;
    let before = at.checked_sub(1).and_then(|before| document.get(before));
    let after = rest.get(token.len()..).unwrap_or_default().trim_ascii_start().first();
    let alone = |byte: u8| byte.is_ascii_whitespace() || b",:[]{}".contains(&byte);
    // A name of a member, which a colon follows, is no value.
    let ends = after.is_none_or(|byte| b",]}".contains(byte));
    (ends && before.is_none_or(|byte| alone(*byte))).then_some(token)
}

/// How many levels the way to attributes has at most: `/consolidated_metadata/metadata/PATH/attributes`.
const LEVELS: usize = 4;

/// Where in a document a byte stands, as far as it matters.
#[derive(Default)]
struct Place<'a> {
    depth: usize,
    levels: [Level<'a>; LEVELS],
}

/// What is known of a list or object around a byte.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Level<'a> {
    #[default]
    List,
    /// An object in which the name of a member comes next.
    Name,
    /// The member of this name, in its quotes.
    Member(&'a [u8]),
}

impl<'a> Place<'a> {
    /// Goes over a byte outside of strings.
    fn step(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => {
                self.depth += 1;
                self.set(if byte == b'{' { Level::Name } else { Level::List });
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if self.level().is_some_and(|level| level != Level::List) => self.set(Level::Name),
            _ => {}
        }
    }

    /// Goes over a string.
    fn string(&mut self, quoted: &'a [u8]) {
        if self.level() == Some(Level::Name) {
            self.set(Level::Member(quoted));
        }
    }

    fn level(&self) -> Option<Level<'a>> {
        self.levels.get(self.depth.checked_sub(1)?).copied()
    }

    fn set(&mut self, level: Level<'a>) {
        if let Some(slot) = self.depth.checked_sub(1).and_then(|at| self.levels.get_mut(at)) {
            *slot = level;
        }
    }

    /// Whether this is within attributes: of the document, or of one that it carries along.
    fn is_in_attributes(&self) -> bool {
        let at = |level: usize, name: &[u8]| self.depth > level + 1 && self.levels.get(level) == Some(&Level::Member(name));
        let attributes = b"\"attributes\"";
        at(0, attributes) || at(0, b"\"consolidated_metadata\"") && at(1, b"\"metadata\"") && at(3, attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str, bare: Bare) -> String {
        String::from_utf8(quoted(document.as_bytes(), bare).unwrap().into_owned()).unwrap()
    }

    /// FMT-V2-2.
    #[test]
    fn bare_tokens_become_strings() {
        let text = |document| text(document, Bare::Anywhere);
        assert_eq!(text(r#"{"a": NaN, "b":[Infinity,-Infinity ,NaN]}"#), r#"{"a": "NaN", "b":["Infinity","-Infinity" ,"NaN"]}"#);
        assert_eq!(text("NaN"), "\"NaN\"");
        assert_eq!(text("{\"a\":\nNaN\n}"), "{\"a\":\n\"NaN\"\n}");
    }

    /// FMT-V2-2.
    #[test]
    fn everything_else_stays_as_it_is() {
        for document in [
            r#"{"NaN": "a NaN \" NaN", "b": "\\", "c": 1}"#,
            "NaNs",
            "xNaN",
            "--Infinity",
            "1NaN",
            "{\"a",
            "\"\\",
            "",
            "nan",
            "\"x\\\"NaN",
            "{NaN: 1}",
            "{NaN\n: 1}",
        ] {
            let same = |bare| matches!(quoted(document.as_bytes(), bare).unwrap(), Cow::Borrowed(same) if same == document.as_bytes());
            assert!(same(Bare::Anywhere) && same(Bare::InAttributes), "{document}");
        }
        for bare in [Bare::Anywhere, Bare::InAttributes] {
            assert!(quoted(&vec![b' '; 16 << 20], bare).is_ok());
            assert!(matches!(quoted(&vec![b' '; (16 << 20) + 1], bare), Err(Error::Metadata { .. })));
        }
    }

    /// FMT-3.
    #[test]
    fn in_attributes_alone() {
        for document in [
            r#"{"a": {"attributes": [{}, 1]}, "attributes": {"x": X, "y": [{"z": [1, X]}, X]}, "b": 1}"#,
            r#"{"consolidated_metadata": {"kind": "inline", "metadata": {"a": {"x": {}, "attributes": {"x": X}}, "b": {"attributes": {"y": [X]}}}}}"#,
            r#"{"attributes": {}, "consolidated_metadata": {"metadata": {"attributes": {"attributes": {"attributes": X}}}}}"#,
        ] {
            for token in ["NaN", "Infinity", "-Infinity"] {
                let (bare, strings) = (document.replace('X', token), document.replace('X', &format!("\"{token}\"")));
                assert_eq!(text(&bare, Bare::InAttributes), strings);
            }
        }
        for document in [
            r#"{"fill_value": NaN}"#,
            r#"{"attributes": NaN}"#,
            r#"{"attributes": {}, "a": NaN}"#,
            r#"{"a": "attributes", "b": [NaN]}"#,
            r#"{"a": {"attributes": {"x": NaN}}}"#,
            r#"{"attribute\u0073": {"x": NaN}}"#,
            r#"["attributes", [NaN], {"attributes": [NaN]}]"#,
            r#"{"consolidated_metadata": {"attributes": {"x": NaN}, "metadata": {"a": {"fill_value": NaN, "attributes": NaN, "b": [NaN]}}}}"#,
            r#"{"consolidated_metadata": {"metadata": {"a": ["attributes", [NaN]]}, "x": {"a": {"attributes": [NaN]}}}}"#,
            r#"{"consolidated_metadata": {"metadata": {"a": {"b": {"attributes": {"x": NaN}}, "attributes": {}, "c": [NaN]}}}}"#,
        ] {
            assert_eq!(text(document, Bare::InAttributes), document);
            assert_ne!(text(document, Bare::Anywhere), document);
        }
    }
}
