//! Printing: JSON documents, and standard output that may be closed.

use std::io::{self, Write};

use rezarr::{Error, HumanBytes};
use serde::Serialize;

/// Prints a line to standard output. A reader that has gone away (`| head`) is not an error.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Io { op: "write", path: String::from("standard output"), source: error })
        }
        _ => Ok(()),
    }
}

/// Prints a line to standard error: one line, whatever names of files and text of documents it holds.
pub(crate) fn complain(text: &str) {
    // Nobody is left to hear that this failed.
    let _ = writeln!(io::stderr().lock(), "rezarr: {}", escaped(text));
}

/// Text as one line, without what terminals would obey.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Prints a value as one JSON document.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Error::Io {
        op: "print",
        path: String::from("standard output"),
        source: error.into(),
    })?;
    line(&text)
}

/// In a few words, why a member of a group cannot be read.
pub(crate) fn fault(error: &Error) -> String {
    match error {
        // What is needed; what is supported follows behind a semicolon.
        Error::Unsupported { what, .. } => format!("unsupported: {}", what.split("; ").next().unwrap_or_default()),
        other => format!("not readable: {other}"),
    }
}

/// Bytes in the unit that a person would use.
pub(crate) fn human(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}
