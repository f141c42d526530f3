//! Words and lists for codecs: what comes back, what is refused with what hint, what only some data types have.

use super::*;
use crate::codec::CodecPipeline;
use crate::dtype::FillValue;

#[test]
fn words_come_back_as_they_were() {
    for text in ["none", "zstd:3", "zstd:-7", "gzip:0", "zstd:3,crc32c", "big,zstd:1", "transpose:2-0-1,zstd:5", "big", "crc32c"] {
        assert_eq!(text.parse::<Codecs>().unwrap().to_string(), text);
    }
    for text in ["lz4", "zlib:0", "bz2:1", "shuffle", "shuffle:8,lz4", "crc32", "adler32,fletcher32", "crc32,shuffle:8"] {
        assert_eq!(text.parse::<Codecs>().unwrap().to_string(), text);
    }
    assert_eq!("zlib, bz2".parse::<Codecs>().unwrap().to_string(), "zlib:6,bz2:9");
    assert_eq!("zstd".parse::<Codecs>().unwrap(), Codecs::default());
    assert_eq!("zstd, big".parse::<Codecs>().unwrap(), Codecs::zstd(3).unwrap().with_big_endian());
    assert_eq!("gzip".parse::<Codecs>().unwrap(), Codecs::gzip(6).unwrap());
}

#[test]
fn json_is_taken_as_it_stands() {
    let text = r#"[{"name":"bytes","configuration":{"endian":"little"}},{"name":"zstd","configuration":{"level":1,"checksum":true}}]"#;
    assert_eq!(text.parse::<Codecs>().unwrap().to_string(), text);
    assert_eq!(r#"["bytes"]"#.parse::<Codecs>().unwrap(), Codecs::none());
}

#[test]
fn what_is_wrong_is_refused_with_what_is_accepted() {
    for (text, hint) in [
        ("", "accepted are none"),
        ("lzw", "accepted are none"),
        ("lz4:3", "accepted are none"),
        ("crc32:3", "accepted are none"),
        ("zlib:10", "-1 to 9"),
        ("zlib:-1", "not a number"),
        ("bz2:0", "1 to 9"),
        ("shuffle:x", "not a number"),
        ("shuffle:4294967296", "not a number"),
        ("none,zstd", "accepted are none"),
        ("zstd:23", "-131072 to 22"),
        ("zstd:x", "not a number"),
        ("gzip:10", "0 to 9"),
        ("crc32c:1", "accepted are none"),
        ("transpose:0-0", "permutation"),
        ("transpose:1-0,transpose:0", "permutation"),
        ("transpose:", "accepted are none"),
        ("[", "JSON"),
        ("[1]", "accepted are none"),
        (r#"[{"name":"zstd","configuration":{"level":1}}]"#, "at /0"),
        (r#"[{"name":"zfp"}]"#, "supported are"),
        ("blosc:", "accepted is blosc:CNAME:LEVEL:SHUFFLE"),
        ("blosc:gzip", "blosclz, lz4, lz4hc"),
        ("blosc:lz4:10", "0 to 9"),
        ("blosc:lz4:x", "0 to 9"),
        ("blosc:lz4:5:auto", "bitshuffle"),
        ("blosc:lz4:5:shuffle:4", "accepted is blosc:CNAME:LEVEL:SHUFFLE"),
        ("blosc:snappy:5", "lz4 or zstd"),
        (r#"["bytes",{"name":"blosc","configuration":{"cname":"snappy"}}]"#, "lz4 or zstd"),
        (r#"[{"name":"sharding_indexed","configuration":{}}]"#, "shards"),
        // What is wrong is found behind codecs that most types do not suit.
        (r#"[{"name":"numcodecs.delta","configuration":{"dtype":"<f4"}},"bytes",{"name":"zstd","configuration":{"level":99}}]"#, "at /2"),
        (r#"[{"name":"numcodecs.delta","configuration":{"dtype":"<f3"}},"bytes"]"#, "at /0/configuration/dtype"),
        (r#"["numcodecs.packbits",{"name":"transpose","configuration":{"order":[1,0]}},"bytes"]"#, "at /1"),
        (r#"[{"name":"scale_offset","configuration":{"scale":"x"}},"bytes"]"#, "at /0/configuration/scale"),
        (r#"["vlen-utf8","bytes"]"#, "bytes after vlen-utf8"),
        (r#"[{"name":"reshape","configuration":{"shape":[4,-1]}},{"name":"transpose","configuration":{"order":[0]}},"bytes"]"#, "at /1"),
        (r#"["packbits",{"name":"blosc","configuration":{"cname":"snappy"}}]"#, "lz4 or zstd"),
    ] {
        let error = text.parse::<Codecs>().unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{text}: {error:?}");
        assert!(error.to_string().contains(hint), "{text}: {error}");
    }
    assert!(Codecs::none().with_transpose(&[1, 2]).is_err());
}

#[test]
fn codecs_for_some_data_types_can_be_asked_for() {
    let little = r#"{"name":"bytes","configuration":{"endian":"little"}}"#;
    let build = |codecs: &Codecs, data_type: &DataType, fill: FillValue| {
        CodecPipeline::from_metadata(&codecs.for_type(data_type), &[2, 3, 4], data_type, &fill).map(|pipeline| pipeline.codecs())
    };
    for (data_type, other, text) in [
        (DataType::Float32, DataType::Float64, format!(r#"[{{"name":"numcodecs.delta","configuration":{{"dtype":"<f4"}}}},{little}]"#)),
        (DataType::Int64, DataType::Int32, format!(r#"[{{"name":"numcodecs.delta","configuration":{{"dtype":"<i8"}}}},{little}]"#)),
        (DataType::Complex128, DataType::Int8, format!(r#"[{{"name":"numcodecs.delta","configuration":{{"dtype":"<c16"}}}},{little}]"#)),
        (
            DataType::Float64,
            DataType::Int32,
            format!(r#"[{{"name":"scale_offset","configuration":{{"offset":0.5,"scale":10}}}},{little}]"#),
        ),
        (DataType::Float32, DataType::Int16, format!(r#"[{{"name":"numcodecs.bitround","configuration":{{"keepbits":23}}}},{little}]"#)),
        (DataType::Bool, DataType::UInt16, r#"["numcodecs.packbits",{"name":"bytes","configuration":{"endian":"little"}}]"#.to_owned()),
        (DataType::UInt64, DataType::Bool, r#"[{"name":"packbits","configuration":{"last_bit":40}}]"#.to_owned()),
        (DataType::String, DataType::Bytes, r#"["vlen-utf8"]"#.to_owned()),
        (DataType::Bytes, DataType::Bool, r#"["numcodecs.vlen-bytes"]"#.to_owned()),
    ] {
        let codecs = text.parse::<Codecs>().unwrap_or_else(|error| panic!("{text}: {error}"));
        let printed = codecs.to_string();
        assert_eq!(printed.parse::<Codecs>().unwrap(), codecs, "{printed}");
        build(&codecs, &data_type, FillValue::zero(&data_type)).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(build(&codecs, &other, FillValue::zero(&other)).is_err(), "{text} for {other}");
    }
    // FMT-AA-31, FMT-AA-29: whether a fill value has a place, and what fits a shape, only an array can say.
    let text = format!(
        r#"[{{"name":"scale_offset","configuration":{{"offset":300}}}},{{"name":"cast_value","configuration":{{"data_type":"uint8"}}}},{little}]"#
    );
    let codecs = text.parse::<Codecs>().unwrap();
    let fill = |number: f32| FillValue::from_bytes(&DataType::Float32, &number.to_ne_bytes()).unwrap();
    assert!(build(&codecs, &DataType::Float32, fill(300.0)).is_ok() && build(&codecs, &DataType::Float32, fill(0.0)).is_err());
    for (shape, fits) in
        [("[4,[2],-1]", false), ("[2,[1,2]]", true), ("[[0,1,2]]", true), ("[24]", true), ("[25]", false), ("[[7]]", false)]
    {
        let text = format!(r#"[{{"name":"reshape","configuration":{{"shape":{shape}}}}},{little}]"#);
        let codecs = text.parse::<Codecs>().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(build(&codecs, &DataType::Int16, FillValue::zero(&DataType::Int16)).is_ok(), fits, "{text}");
    }
}

#[test]
fn words_say_all_or_nothing() {
    for codec in [
        r#"{"name":"numcodecs.zlib","configuration":{}}"#,
        r#"{"name":"numcodecs.zlib","configuration":{"level":-1}}"#,
        r#"{"name":"numcodecs.lz4","configuration":{"acceleration":2}}"#,
        r#"{"name":"numcodecs.lz4","configuration":{}}"#,
        r#"{"name":"numcodecs.crc32","configuration":{"location":"end"}}"#,
        r#"{"name":"zlib","configuration":{"level":1}}"#,
    ] {
        let text = format!(r#"[{{"name":"bytes","configuration":{{"endian":"little"}}}},{codec}]"#);
        assert_eq!(text.parse::<Codecs>().unwrap().to_string(), text);
    }
    // What a pipeline writes has words again.
    let (data_type, words) = (DataType::Float64, "shuffle:8,lz4,zlib:3,bz2:2,crc32,adler32,fletcher32");
    let pipeline = |codecs: Codecs| CodecPipeline::from_metadata(&codecs.0, &[8], &data_type, &FillValue::zero(&data_type)).unwrap();
    assert_eq!(pipeline(words.parse().unwrap()).codecs().to_string(), words);
    assert_eq!(pipeline("shuffle".parse().unwrap()).codecs().to_string(), "shuffle:8");
}

// FMT-BB-7
#[test]
fn lzma_needs_its_feature() {
    match "lzma".parse::<Codecs>() {
        Ok(codecs) => assert!(cfg!(feature = "lzma") && codecs.to_string() == "lzma:6"),
        Err(error) => assert!(!cfg!(feature = "lzma") && error.to_string().contains("cargo feature"), "{error}"),
    }
    if cfg!(feature = "lzma") {
        assert!("lzma:10".parse::<Codecs>().unwrap_err().to_string().contains("0 to 9"));
    }
}

#[test]
fn what_blosc_needs_of_the_elements_is_filled_in() {
    // FMT-BL-2: what an array's document says is more than what was asked for, and the same when it is asked for again.
    let codecs = "blosc:lz4:5:shuffle,crc32c".parse::<Codecs>().unwrap();
    for data_type in [DataType::Float64, DataType::UInt8] {
        let pipeline = CodecPipeline::from_metadata(&codecs.0, &[4], &data_type, &FillValue::zero(&data_type)).unwrap();
        let written = Codecs::from_metadata(pipeline.to_metadata());
        assert_eq!(written.0[1].configuration["typesize"], data_type.item_size());
        assert!(written.to_string().starts_with('['), "{written}");
        assert_eq!(written.without_item_size(data_type.item_size()), codecs);
    }
    let other = r#"[{"name":"bytes","configuration":{"endian":"little"}},{"name":"blosc","configuration":{"typesize":1}}]"#;
    assert_eq!(other.parse::<Codecs>().unwrap().without_item_size(4).to_string(), other);
}

#[test]
fn what_is_done_otherwise_is_noted() {
    // FMT-BL-8.
    let notes = |text: &str| text.parse::<Codecs>().unwrap().notes();
    assert!(notes("blosc:lz4").is_empty() && notes("zstd,crc32c").is_empty());
    assert!(notes("blosc:lz4hc:9")[0].contains("encoded by the lz4 encoder"));
}

#[test]
fn shards_hold_the_same_codecs() {
    let codecs = "transpose:1-0,big,zstd:7,crc32c".parse::<Codecs>().unwrap();
    let data_type = DataType::Float32;
    let sharded =
        CodecPipeline::from_metadata(&[Sharding::conservative(&[2, 3], &codecs.0)], &[4, 6], &data_type, &FillValue::zero(&data_type))
            .unwrap();
    assert_eq!(sharded.sharding().unwrap().unit_shape(), [2, 3]);
    assert_eq!(sharded.codecs(), codecs);
}
