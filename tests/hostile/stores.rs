//! Stores in a few lines: a small array whose parts can be replaced, and what is wanted of the program when it meets it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// A store, and what is run on it in its directory.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) make: Box<dyn Fn(&Path)>,
    pub(crate) wants: Vec<Want>,
}

/// A run of the program, and how it must end.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) args: Vec<String>,
    pub(crate) codes: Vec<i32>,
    /// What must be said: where the codes allow both, only if it is refused.
    pub(crate) says: Vec<String>,
    /// What must be printed if it is not refused.
    pub(crate) prints: Option<String>,
    pub(crate) peak_mib: u64,
}

impl Want {
    fn new(args: &str, codes: &[i32]) -> Self {
        let args = args.split(' ').map(str::to_owned).collect();
        Self { args, codes: codes.to_vec(), says: Vec::new(), prints: None, peak_mib: 100 }
    }

    /// Refused with this code, saying this.
    pub(crate) fn refused(args: &str, code: i32, says: &[&str]) -> Self {
        Self { says: says.iter().map(|text| (*text).to_owned()).collect(), ..Self::new(args, &[code]) }
    }

    /// Ends well, and prints this.
    pub(crate) fn prints(args: &str, text: &str) -> Self {
        Self { prints: Some(text.to_owned()), ..Self::new(args, &[0]) }
    }

    /// Ends well, saying this.
    pub(crate) fn works(args: &str, says: &[&str]) -> Self {
        Self { codes: vec![0], ..Self::refused(args, 0, says) }
    }
}

/// A check that finds an error at this place.
fn finds(place: &str, says: &str) -> Want {
    Want::refused("check s", 1, &[place, ": error ", says])
}

/// The document of the array that cases change: eight bytes in chunks of four, of which the second is missing.
pub(crate) fn document() -> Value {
    json!({
        "zarr_format": 3, "node_type": "array", "shape": [8], "data_type": "uint8", "fill_value": 7,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes"}],
    })
}

/// What the array holds.
pub(crate) const ELEMENTS: &str = "1 2 3 4 7 7 7 7\n";

/// The document with some members replaced.
pub(crate) fn with(members: Value) -> Value {
    let mut document = document();
    for (name, value) in members.as_object().unwrap() {
        document[name] = value.clone();
    }
    document
}

pub(crate) fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// The array `s` with this document and this first chunk.
pub(crate) fn array(root: &Path, document: impl AsRef<[u8]>, chunk: &[u8]) {
    write(root, "s/zarr.json", document);
    write(root, "s/c/0", chunk);
}

impl Case {
    pub(crate) fn new(name: &str, make: impl Fn(&Path) + 'static, wants: Vec<Want>) -> Self {
        Self { name: name.to_owned(), make: Box::new(make), wants }
    }

    /// An array whose document, these bytes, must be refused by every command.
    pub(crate) fn text(name: &str, document: impl Into<Vec<u8>>, says: &str) -> Self {
        let document = document.into();
        let says = ["s/zarr.json", says];
        let refused = |args| Want::refused(args, 4, &says);
        let wants = ["get s", "tree s", "info s", "rechunk s t --chunks 2"].map(refused).to_vec();
        Self::new(name, move |root| array(root, &document, &[1, 2, 3, 4]), [wants, vec![finds(says[0], says[1])]].concat())
    }

    /// As [`Case::text`]; what the check says of it is a warning, since the document may be a good one.
    pub(crate) fn unsupported(name: &str, members: Value, says: &str) -> Self {
        let mut case = Self::document(name, members, says);
        case.wants.pop();
        case.wants.push(Want::works("check s", &["s/zarr.json: warning unsupported: ", says]));
        case
    }

    /// The document with some members replaced.
    pub(crate) fn document(name: &str, members: Value, says: &str) -> Self {
        Self::text(name, with(members).to_string(), says)
    }

    /// A document that is legal, however odd: the elements are right.
    pub(crate) fn legal_text(name: &str, document: impl Into<Vec<u8>>) -> Self {
        let document = document.into();
        let wants = vec![
            Want::prints("get s", ELEMENTS),
            Want::works("tree s", &[]),
            Want::works("check s", &["0 errors, 0 warnings"]),
            Want::works("rechunk s t --chunks 2 --no-sync", &[]),
            Want::prints("get t", ELEMENTS),
        ];
        Self::new(name, move |root| array(root, &document, &[1, 2, 3, 4]), wants)
    }

    pub(crate) fn legal(name: &str, members: Value) -> Self {
        Self::legal_text(name, with(members).to_string())
    }

    /// An array with these codecs, whose first chunk is these bytes, which cannot be decoded.
    pub(crate) fn chunk(name: &str, codecs: Value, chunk: impl Into<Vec<u8>>, says: &str) -> Self {
        Self::chunk_of(name, with(json!({"codecs": codecs})), chunk, says)
    }

    pub(crate) fn chunk_of(name: &str, document: Value, chunk: impl Into<Vec<u8>>, says: &str) -> Self {
        let chunk = chunk.into();
        let says = ["s/c/0", says];
        let refused = |args| Want::refused(args, 4, &says);
        let wants = ["get s", "get s[0]", "rechunk s t --chunks 2 --shards none", "verify s s"].map(refused).to_vec();
        let wants = [wants, vec![Want::works("tree s", &["uint"]), finds(says[0], says[1])]].concat();
        Self::new(name, move |root| array(root, document.to_string(), &chunk), wants)
    }

    /// A chunk that is legal, however odd.
    pub(crate) fn legal_chunk(name: &str, codecs: Value, chunk: impl Into<Vec<u8>>) -> Self {
        let chunk = chunk.into();
        let document = with(json!({"codecs": codecs}));
        let wants = vec![
            Want::prints("get s", ELEMENTS),
            Want::works("check s", &["0 errors, "]),
            Want::works("rechunk s t --chunks 2 --shards none --no-sync", &[]),
            Want::prints("get t", ELEMENTS),
        ];
        Self::new(name, move |root| array(root, document.to_string(), &chunk), wants)
    }

    /// The same with a limit of memory.
    pub(crate) fn within(mut self, mib: u64) -> Self {
        self.wants.iter_mut().for_each(|want| want.peak_mib = mib);
        self
    }

    /// The same with one more run.
    pub(crate) fn and(mut self, want: Want) -> Self {
        self.wants.push(want);
        self
    }

    /// The same without runs of a command.
    pub(crate) fn but(mut self, command: &str) -> Self {
        self.wants.retain(|want| want.args[0] != command);
        self
    }
}
