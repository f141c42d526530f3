//! `rezarr get`: a box of an array, as raw bytes or as text.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rezarr::{Array, DataType, Error, Region, Selection};
use tempfile::NamedTempFile;

use crate::Answer;
use crate::args::GetArgs;
use crate::selection::split;
use crate::stop;

/// Reads the box in slabs of whole trailing axes that fit the budget, and writes them one after another.
pub(crate) fn run(args: &GetArgs) -> Answer {
    let (path, selection) = split(&args.path);
    let array = Array::open(path)?;
    let selected = selection.unwrap_or("").parse::<Selection>().and_then(|selection| selection.resolve(array.metadata()));
    let region = selected.map_err(|error| match error {
        Error::InvalidArgument { what } => Error::InvalidArgument { what: format!("{path}: {what}") },
        error => error,
    })?;
    let name = args.output.display().to_string();
    let io = |source: io::Error| Error::Io { op: "write", path: name.clone(), source };
    let mut output = Output::open(&args.output).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: name.clone(), what: String::from("the directory of the output; make it first") },
        _ => io(error),
    })?;
    let out = output.writer();
    let item = array.data_type().item_size();
    if args.raw && array.data_type().is_variable_length() {
        let what =
            format!("{path}: elements are {}, which have no size to tell them apart as raw bytes; leave --raw away", array.data_type());
        return Err(Error::InvalidArgument { what });
    }
    let stop = stop::flag()?;
    let result = for_each_slab(&region, &array, args.memory / 2 / item as u64, &mut |slab| {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        if array.data_type().is_variable_length() {
            let elements = array.read_byte_strings(slab)?;
            return text(elements.iter().map(Vec::as_slice), array.data_type(), slab, out).map_err(io);
        }
        let mut bytes = array.read_bytes(slab)?;
        if !args.raw {
            return text(bytes.chunks_exact(item), array.data_type(), slab, out).map_err(io);
        }
        array.data_type().to_little_endian(&mut bytes);
        out.write_all(&bytes).map_err(io)
    });
    match result.and_then(|()| output.finish().map_err(io)) {
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        other => other.map(|()| true),
    }
}

/// Where the elements go.
enum Output {
    /// Standard output, a device, a FIFO: what has been written stays written.
    Stream(Box<dyn Write>),
    /// A regular file, which takes its name when it is complete: until then, what has that name stays as it is.
    File(BufWriter<NamedTempFile>, PathBuf),
}

impl Output {
    fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stream(Box::new(BufWriter::new(io::stdout().lock()))));
        }
        // Only a plain file is replaced, or a name that is free: what a link leads to may be open elsewhere, as /dev/stdout is.
        if std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Ok(Self::Stream(Box::new(BufWriter::new(File::create(path)?))));
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let prefix = format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy());
        let file = tempfile::Builder::new().prefix(&prefix).permissions(Permissions::from_mode(0o666)).tempfile_in(parent)?;
        Ok(Self::File(BufWriter::new(file), path.to_owned()))
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Stream(stream) => stream,
            Self::File(file, _) => file,
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Stream(mut stream) => stream.flush(),
            Self::File(file, path) => {
                file.into_inner().map_err(io::IntoInnerError::into_error)?.persist(path).map(drop).map_err(|error| error.error)
            }
        }
    }
}

/// Cuts a box in C order into slabs of at most `limit` elements (at least one row of the last axis's chunk), whole chunks where possible.
fn for_each_slab(region: &Region, array: &Array, limit: u64, visit: &mut dyn FnMut(&Region) -> Result<(), Error>) -> Result<(), Error> {
    if region.is_empty() || region.element_count().is_some_and(|count| count <= limit.max(1)) {
        return visit(region);
    }
    let Some(axis) = (0..region.rank()).find(|&axis| region.shape()[axis] > 1) else { return visit(region) };
    let row: u64 = region.shape()[axis + 1..].iter().fold(1, |product, &len| product.saturating_mul(len));
    let edge = array.unit_grid().chunk_shape()[axis];
    let rows = (limit / row.max(1)).max(1);
    // Whole chunks, so that none is decoded for two slabs.
    let rows = if rows >= edge { rows / edge * edge } else { rows };
    let mut from = region.start()[axis];
    while from < region.end(axis) {
        let to = (from / rows).saturating_add(1).saturating_mul(rows).min(region.end(axis));
        let (mut start, mut shape) = (region.start().to_vec(), region.shape().to_vec());
        (start[axis], shape[axis]) = (from, to - from);
        for_each_slab(&Region::new(start, shape)?, array, limit, visit)?;
        from = to;
    }
    Ok(())
}

/// One row of the last axis a line, elements separated by spaces.
fn text<'e>(elements: impl Iterator<Item = &'e [u8]>, data_type: &DataType, slab: &Region, out: &mut dyn Write) -> io::Result<()> {
    let row = slab.shape().last().copied().unwrap_or(1).max(1);
    for (position, item) in elements.enumerate() {
        let last = (position as u64 + 1).is_multiple_of(row);
        write!(out, "{}{}", data_type.element_text(item), if last { "\n" } else { " " })?;
    }
    Ok(())
}
