//! How fast codecs are beside one another, and how small they make things: what the planner knows of them.

use crate::codec::CodecPipeline;
use crate::json::NamedConfig;
use crate::rechunk::plan::Costs;

/// Time of the zstd encoder by level, beside level 3.
const ZSTD_LEVELS: [(i64, f64); 8] = [(1, 0.45), (3, 1.0), (5, 1.8), (7, 2.8), (9, 4.5), (12, 10.0), (16, 25.0), (19, 50.0)];

/// What is assumed to be left of elements by a compressor, when nothing compressed has been seen.
const ASSUMED_RATIO: (u64, u64) = (1, 2);

/// Nanoseconds a byte to decode a chunk of a pipeline, and to encode one.
pub(crate) fn codec_ns(pipeline: &CodecPipeline, costs: &Costs) -> (f64, f64) {
    let (mut decode, mut encode) = (0.0, 0.0);
    for codec in pipeline.to_metadata() {
        let (times_decode, times_encode) = relative(&codec);
        decode += times_decode * costs.decode_ns;
        encode += times_encode * costs.encode_ns;
    }
    (decode.max(costs.read_ns), encode.max(costs.copy_ns))
}

/// Stored bytes and the decoded bytes that they stand for, where of compressed chunks `known` is known.
pub(crate) fn ratio(pipeline: &CodecPipeline, known: Option<(u64, u64)>) -> (u64, u64) {
    if compresses(pipeline) { known.unwrap_or(ASSUMED_RATIO) } else { (1, 1) }
}

/// Whether any codec of a pipeline makes chunks smaller.
pub(crate) fn compresses(pipeline: &CodecPipeline) -> bool {
    const PLAIN: f64 = 0.05;
    pipeline.to_metadata().iter().any(|codec| relative(codec).1 >= PLAIN)
}

/// Time to decode and to encode, beside zstd at level 3 (4 MiB of float32 and int16, by `benches/codecs.py`; medians of both).
fn relative(codec: &NamedConfig) -> (f64, f64) {
    let number = |member: &str, default: i64| codec.configuration.get(member).and_then(serde_json::Value::as_i64).unwrap_or(default);
    let word = |member: &str| codec.configuration.get(member).and_then(serde_json::Value::as_str).unwrap_or_default();
    let name = codec.name.rsplit(['.', '/']).next().unwrap_or_default();
    match name {
        "zstd" => (1.0, zstd_level(number("level", 0))),
        "gzip" | "zlib" => (1.5, if number("level", 6) <= 3 { 1.2 } else { 2.0 }),
        "bz2" => (14.0, 10.0),
        "lzma" => (12.0, 14.0),
        "lz4" => (0.2, 0.4),
        "blosc" => match word("cname") {
            "zstd" => (0.3, zstd_level(number("clevel", 5)).min(1.5)),
            "zlib" => (0.7, 1.2),
            _ => (0.2, 0.12),
        },
        "packbits" | "cast_value" | "scale_offset" | "fixedscaleoffset" | "quantize" | "astype" | "delta" | "reshape" => (0.3, 0.1),
        "vlen-utf8" | "vlen-bytes" => (1.0, 0.5),
        "shuffle" | "fletcher32" | "adler32" | "jenkins_lookup3" | "bitround" => (0.1, 0.03),
        // Byte orders, transpositions and checksums go by with the copy.
        _ => (0.0, 0.0),
    }
}

fn zstd_level(level: i64) -> f64 {
    let level = if level == 0 { 3 } else { level };
    let above = ZSTD_LEVELS.iter().position(|&(known, _)| known >= level).unwrap_or(ZSTD_LEVELS.len());
    match (above.checked_sub(1).map(|below| ZSTD_LEVELS[below]), ZSTD_LEVELS.get(above)) {
        (Some((below, low)), Some(&(above, high))) => low + (high - low) * (level - below) as f64 / (above - below) as f64,
        (None, Some(&(_, fastest))) => fastest,
        (Some((_, slowest)), None) => slowest,
        (None, None) => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codecs;
    use crate::dtype::DataType;
    use crate::metadata::{ArrayMetadata, Layout};

    fn ns(words: &str) -> (f64, f64) {
        let codecs: Codecs = words.parse().unwrap();
        let layout = Layout { chunk_shape: vec![100], shard_shape: None, codecs };
        let metadata = ArrayMetadata::new([100], DataType::Float32, None, &layout).unwrap();
        codec_ns(&metadata.codecs, &Costs::default())
    }

    #[test]
    fn slower_codecs_cost_more() {
        let order = ["none", "blosc:lz4:5:shuffle", "lz4", "zstd:1", "zstd:3", "zstd:4", "zstd:9", "zstd:22"];
        let costs: Vec<f64> = order.iter().map(|words| ns(words).1).collect();
        assert!(costs.windows(2).all(|pair| pair[0] < pair[1]), "{costs:?}");
        assert_eq!(ns("zstd:0"), ns("zstd:3"));
        assert_eq!(ns("zstd:3"), (Costs::default().decode_ns, Costs::default().encode_ns));
        assert!(ns("gzip:9").0 > ns("zstd:9").0);
    }

    #[test]
    fn only_what_compresses_has_a_ratio() {
        let pipeline = |words: &str| {
            let layout = Layout { chunk_shape: vec![100], shard_shape: None, codecs: words.parse().unwrap() };
            ArrayMetadata::new([100], DataType::Float32, None, &layout).unwrap().codecs
        };
        assert_eq!(ratio(&pipeline("crc32c"), Some((1, 9))), (1, 1));
        assert_eq!(ratio(&pipeline("zstd,crc32c"), Some((1, 9))), (1, 9));
        assert_eq!(ratio(&pipeline("blosc"), None), ASSUMED_RATIO);
    }
}
