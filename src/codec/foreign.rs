//! Codecs that this crate knows of and cannot decode: what each one is, and what to do with data that need it.

/// What to do with data that only Python reads.
const REWRITE: &str = "read the array with zarr-python and write it with another codec";

/// What it is, for each short name, in front of which there may be `numcodecs.` and the like.
const KNOWN: &[(&[&str], &str)] = &[
    (&["zfp", "zfpy"], "lossy or lossless compression of floating-point blocks by the C library zfp"),
    (&["pcodec", "pco"], "compression of numbers by pcodec"),
    (&["sz", "sz3", "sperr", "ebcc"], "lossy compression of floating-point data by a C or C++ library"),
    (&["blosc2"], "the second format of Blosc, which differs from that of blosc"),
    (&["gdeflate"], "deflate in the order that graphics processors like"),
    (&["pickle"], "Python objects, whose decoding runs what code the file says; it never will be supported"),
    (&["json2", "json"], "Python objects as JSON"),
    (&["msgpack", "msgpack2"], "Python objects as MessagePack"),
    (&["categorize"], "strings as numbers, by a list of labels; the array is one of objects in Zarr v2"),
    (&["vlen-array", "vlen_array"], "arrays of any length as elements"),
    (&["vlen", "vlen_v2"], "an experiment of zarrs for elements of any length"),
    (&["n5_default"], "chunks of N5, with a header each"),
    (&["base64"], "bytes as text"),
    (&["ndcompress", "grib", "gribscan.rawgrib"], "GRIB messages, a form of data behind references to other files"),
    (&["tiff", "jpeg", "jpeg2k", "jpegxl", "jpegxr", "png", "webp", "avif", "lerc", "ljpeg"], "a picture format (imagecodecs)"),
];

/// What stands before short names.
const PREFIXES: [&str; 7] = [
    "numcodecs.",
    "https://zarr.dev/numcodecs/",
    "https://codec.zarrs.dev/array_to_bytes/",
    "https://codec.zarrs.dev/bytes_to_bytes/",
    "zarrs.",
    "imagecodecs_",
    "imagecodecs.",
];

/// What the codec `name` is, and what to do; none if nothing is known of it.
pub(super) fn explain(name: &str) -> Option<String> {
    let short = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let (_, what) = KNOWN.iter().find(|(names, _)| names.contains(&short))?;
    Some(format!("{what}; {REWRITE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said_under_every_prefix() {
        for name in ["zfp", "zfpy", "numcodecs.zfpy", "zarrs.zfp", "https://codec.zarrs.dev/array_to_bytes/zfp"] {
            assert!(explain(name).is_some_and(|what| what.contains("C library zfp") && what.contains("zarr-python")), "{name}");
        }
        for name in
            ["pcodec", "numcodecs.pcodec", "numcodecs.pickle", "numcodecs.json2", "msgpack2", "numcodecs.categorize", "imagecodecs_jpeg2k"]
        {
            assert!(explain(name).is_some(), "{name}");
        }
        assert_eq!(explain("numcodecs.nothing"), None);
        assert_eq!(explain("numcodecs."), None);
    }
}
