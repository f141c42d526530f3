//! The bare tokens `NaN`, `Infinity` and `-Infinity`, which Python's `json` module writes, as the strings that they mean.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::json::MAX_DOCUMENT_BYTES;

const TOKENS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

/// The document with quotes around bare tokens; everything else is as it was, so that what is no JSON otherwise stays none (FMT-V2-2).
pub(super) fn quoted(document: &[u8]) -> Result<Cow<'_, [u8]>> {
    if document.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(Error::metadata("", format!("a document of {} bytes; at most {MAX_DOCUMENT_BYTES} are accepted", document.len())));
    }
    let mut out: Option<Vec<u8>> = None;
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    while let Some(&byte) = document.get(at) {
        if in_string {
            in_string = byte != b'"';
            at += if byte == b'\\' { 2 } else { 1 };
            continue;
        }
        in_string = byte == b'"';
        match token_at(document, at) {
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

/// The token that begins at `at` and stands alone there.
fn token_at(document: &[u8], at: usize) -> Option<&'static [u8]> {
    let rest = document.get(at..)?;
    let token = TOKENS.into_iter().find(|token| rest.starts_with(token))?;
    let alone = |byte: Option<&u8>| byte.is_none_or(|byte| byte.is_ascii_whitespace() || b",:[]{}".contains(byte));
    let before = at.checked_sub(1).and_then(|before| document.get(before));
    (alone(before) && alone(rest.get(token.len()))).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(document: &str) -> String {
        String::from_utf8(quoted(document.as_bytes()).unwrap().into_owned()).unwrap()
    }

    /// FMT-V2-2.
    #[test]
    fn bare_tokens_become_strings() {
        assert_eq!(text(r#"{"a": NaN, "b":[Infinity,-Infinity ,NaN]}"#), r#"{"a": "NaN", "b":["Infinity","-Infinity" ,"NaN"]}"#);
        assert_eq!(text("NaN"), "\"NaN\"");
        assert_eq!(text("{\"a\":\nNaN\n}"), "{\"a\":\n\"NaN\"\n}");
    }

    /// FMT-V2-2.
    #[test]
    fn everything_else_stays_as_it_is() {
        for document in
            [r#"{"NaN": "a NaN \" NaN", "b": "\\", "c": 1}"#, "NaNs", "xNaN", "--Infinity", "1NaN", "{\"a", "\"\\", "", "nan", "\"x\\\"NaN"]
        {
            assert!(matches!(quoted(document.as_bytes()).unwrap(), Cow::Borrowed(same) if same == document.as_bytes()), "{document}");
        }
        assert!(quoted(&vec![b' '; 16 << 20]).is_ok());
        assert!(matches!(quoted(&vec![b' '; (16 << 20) + 1]), Err(Error::Metadata { .. })));
    }
}
