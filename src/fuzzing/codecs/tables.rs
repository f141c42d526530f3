//! What arrays are chosen from: data types, shapes and codecs.
//!
//! A new codec or data type takes a line here; seeds, and the bodies on codecs, documents and stores, follow.

/// A data type.
pub(super) struct Type {
    /// The members `data_type` and `fill_value`.
    pub(super) json: &'static str,
    pub(super) fill: &'static str,
    /// NumPy's name, for codecs that want one; empty where there is none.
    pub(super) numpy: &'static str,
}

const fn of(json: &'static str, fill: &'static str, numpy: &'static str) -> Type {
    Type { json, fill, numpy }
}

pub(super) const TYPES: &[Type] = &[
    of(r#""uint16""#, "7", "<u2"),
    of(r#""bool""#, "true", "|b1"),
    of(r#""int8""#, "-1", "|i1"),
    of(r#""int32""#, "-2147483648", "<i4"),
    of(r#""uint64""#, "18446744073709551615", "<u8"),
    of(r#""float16""#, r#""0x7e01""#, "<f2"),
    of(r#""float32""#, r#""NaN""#, "<f4"),
    of(r#""float64""#, "-0.0", "<f8"),
    of(r#""complex64""#, r#"[1,"Infinity"]"#, "<c8"),
    of(r#""complex128""#, "[0,0]", "<c16"),
    of(r#""r24""#, r#""AAEC""#, ""),
    of(r#"{"name":"raw_bytes","configuration":{"length_bytes":5}}"#, "[1,2,3,4,5]", ""),
    of(r#""int2""#, "-2", ""),
    of(r#""uint4""#, "15", ""),
    of(r#""bfloat16""#, r#""0x7fc1""#, ""),
    of(r#""float8_e4m3fn""#, "1.5", ""),
    of(r#""float4_e2m1fn""#, "-6", ""),
    of(r#""complex_float8_e5m2""#, r#"["NaN",1]"#, ""),
    of(r#"{"name":"numpy.datetime64","configuration":{"unit":"ms","scale_factor":10}}"#, r#""NaT""#, ""),
    of(r#"{"name":"fixed_length_utf32","configuration":{"length_bytes":8}}"#, r#""ä""#, ""),
    of(r#"{"name":"null_terminated_bytes","configuration":{"length_bytes":3}}"#, r#""AAE=""#, ""),
    of(
        r#"{"name":"struct","configuration":{"fields":[{"name":"a","data_type":"int16"},{"name":"b","data_type":"int4"},
        {"name":"c","data_type":"complex64"}]}}"#,
        r#"{"a":1,"b":-8,"c":[0,1]}"#,
        "",
    ),
    of(r#""string""#, r#""fill""#, ""),
    of(r#""bytes""#, r#""AAE=""#, ""),
];

/// The shape of a chunk, and of the inner chunks where it is a shard.
pub(super) struct Shape {
    pub(super) chunk: &'static [u64],
    pub(super) inner: &'static [u64],
}

const fn shape(chunk: &'static [u64], inner: &'static [u64]) -> Shape {
    Shape { chunk, inner }
}

pub(super) const SHAPES: &[Shape] = &[
    shape(&[4, 6], &[2, 3]),
    shape(&[12], &[4]),
    shape(&[], &[]),
    shape(&[1], &[1]),
    shape(&[2, 3, 4], &[1, 3, 2]),
    shape(&[600], &[60]),
    shape(&[128, 64], &[128, 32]),
];

/// What a codec takes from elements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Loses {
    Nothing,
    /// Nothing of integers and the like.
    Fractions,
    Something,
}

/// A codec object, empty for none. In it, `$order` stands for the axes in reverse, `$inner` for the shape of inner chunks, `$ones` for that of
/// inner chunks of one element, and `$numpy` for the data type.
pub(super) struct Codec {
    pub(super) json: &'static str,
    pub(super) loses: Loses,
}

const fn lossless(json: &'static str) -> Codec {
    Codec { json, loses: Loses::Nothing }
}

const fn exact_for_integers(json: &'static str) -> Codec {
    Codec { json, loses: Loses::Fractions }
}

const fn lossy(json: &'static str) -> Codec {
    Codec { json, loses: Loses::Something }
}

pub(super) const ARRAY_TO_ARRAY: &[Codec] = &[
    lossless(""),
    lossless(r#"{"name":"transpose","configuration":{"order":$order}}"#),
    lossless(r#"{"name":"reshape","configuration":{"shape":[-1]}}"#),
    exact_for_integers(r#"{"name":"numcodecs.delta","configuration":{"dtype":"$numpy"}}"#),
    lossless(r#"{"name":"numcodecs.packbits","configuration":{}}"#),
    exact_for_integers(r#"{"name":"scale_offset","configuration":{"offset":3}}"#),
    lossy(r#"{"name":"scale_offset","configuration":{"scale":2}}"#),
    lossy(r#"{"name":"cast_value","configuration":{"data_type":"int16","out_of_range":"clamp","scalar_map":{"encode":[["NaN",0]]}}}"#),
    lossy(r#"{"name":"cast_value","configuration":{"data_type":"float32"}}"#),
    lossy(r#"{"name":"cast_value","configuration":{"data_type":"uint8","out_of_range":"wrap","rounding":"towards-zero"}}"#),
    lossy(r#"{"name":"bitround","configuration":{"keepbits":3}}"#),
    lossy(r#"{"name":"numcodecs.astype","configuration":{"encode_dtype":"<f4","decode_dtype":"$numpy"}}"#),
    lossy(r#"{"name":"numcodecs.fixedscaleoffset","configuration":{"offset":10,"scale":0.5,"dtype":"$numpy","astype":"<i2"}}"#),
    lossy(r#"{"name":"numcodecs.quantize","configuration":{"digits":2,"dtype":"$numpy"}}"#),
];

pub(super) const ARRAY_TO_BYTES: &[Codec] = &[
    lossless(r#"{"name":"bytes","configuration":{"endian":"little"}}"#),
    lossless(r#"{"name":"bytes","configuration":{"endian":"big"}}"#),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"codecs":[{"name":"bytes","configuration":{"endian":"little"}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}},"crc32c"]}}"#,
    ),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"index_location":"start",
        "codecs":[{"name":"bytes","configuration":{"endian":"big"}},{"name":"zstd","configuration":{"level":1,"checksum":false}},"crc32c"],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"big"}}]}}"#,
    ),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"codecs":[{"name":"sharding_indexed","configuration":{
        "chunk_shape":$ones,"codecs":[{"name":"bytes","configuration":{"endian":"little"}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}}]}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}},"crc32c","crc32c"]}}"#,
    ),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"codecs":[{"name":"bytes","configuration":{"endian":"little"}},
        {"name":"blosc","configuration":{"cname":"lz4","clevel":1,"shuffle":"shuffle","typesize":2,"blocksize":0}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}}]}}"#,
    ),
    lossless(r#"{"name":"packbits"}"#),
    lossless(r#"{"name":"packbits","configuration":{"padding_encoding":"first_byte"}}"#),
    lossy(r#"{"name":"packbits","configuration":{"padding_encoding":"last_byte","first_bit":1,"last_bit":5}}"#),
    lossless(r#"{"name":"vlen-utf8"}"#),
    lossless(r#"{"name":"vlen-bytes"}"#),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"codecs":[{"name":"vlen-utf8"},{"name":"gzip","configuration":{"level":1}}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}},"crc32c"]}}"#,
    ),
    lossless(
        r#"{"name":"sharding_indexed","configuration":{"chunk_shape":$inner,"index_location":"start","codecs":[{"name":"vlen-bytes"}],
        "index_codecs":[{"name":"bytes","configuration":{"endian":"little"}}]}}"#,
    ),
];

pub(super) const BYTES_TO_BYTES: &[Codec] = &[
    lossless(""),
    lossless(r#"{"name":"crc32c"}"#),
    lossless(r#"{"name":"zstd","configuration":{"level":1,"checksum":true}}"#),
    lossless(r#"{"name":"zstd","configuration":{"level":-5}}"#),
    lossless(r#"{"name":"gzip","configuration":{"level":1}}"#),
    lossless(r#"{"name":"blosc","configuration":{"cname":"lz4","clevel":5,"shuffle":"shuffle","typesize":4,"blocksize":256}}"#),
    lossless(r#"{"name":"blosc","configuration":{"cname":"lz4hc","clevel":9,"shuffle":"noshuffle","blocksize":0}}"#),
    lossless(r#"{"name":"blosc","configuration":{"cname":"blosclz","clevel":5,"shuffle":"bitshuffle","typesize":2,"blocksize":0}}"#),
    lossless(r#"{"name":"blosc","configuration":{"cname":"zstd","clevel":1,"shuffle":"bitshuffle","typesize":1,"blocksize":1024}}"#),
    lossless(r#"{"name":"blosc","configuration":{"cname":"zlib","clevel":1,"shuffle":"shuffle","typesize":8,"blocksize":0}}"#),
    lossless(r#"{"name":"blosc","configuration":{"cname":"snappy","clevel":1,"shuffle":"noshuffle","typesize":1,"blocksize":0}}"#),
    lossless(r#"{"name":"numcodecs.zlib","configuration":{"level":1}}"#),
    lossless(r#"{"name":"numcodecs.bz2","configuration":{"level":1}}"#),
    lossless(r#"{"name":"numcodecs.lz4","configuration":{}}"#),
    lossless(r#"{"name":"numcodecs.lzma","configuration":{"format":1,"check":1,"preset":0,"filters":null}}"#),
    lossless(r#"{"name":"numcodecs.shuffle","configuration":{"elementsize":2}}"#),
    lossless(r#"{"name":"numcodecs.crc32","configuration":{"location":"start"}}"#),
    lossless(r#"{"name":"numcodecs.crc32c","configuration":{"location":"start"}}"#),
    lossless(r#"{"name":"numcodecs.adler32","configuration":{"location":"end"}}"#),
    lossless(r#"{"name":"numcodecs.fletcher32","configuration":{}}"#),
    lossless(r#"{"name":"numcodecs.jenkins_lookup3","configuration":{"initval":1}}"#),
];

/// Names of codecs whose encoder only adds a checksum.
pub(super) const CHECKSUMS: &[&str] = &["crc32", "adler32", "fletcher32", "jenkins"];
