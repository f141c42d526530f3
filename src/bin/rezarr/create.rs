//! `rezarr create`: an empty array.

use rezarr::{Array, ArrayMetadata, Codecs, FillValue, Layout, Shards};

use crate::Answer;
use crate::args::CreateArgs;

/// The size of a chunk where none is given, in bytes.
const CHUNK_BYTES: u64 = 1 << 20;

/// Creates the array.
pub(crate) fn run(args: &CreateArgs) -> Answer {
    let shape = &args.shape.0;
    let fill = args.fill.as_deref().map(|text| FillValue::parse(&args.dtype, text)).transpose()?;
    let names = args.dims.as_ref().map(|names| names.iter().cloned().map(Some).collect());
    let chunk_shape = default_chunks(shape, args.dtype.item_size() as u64);
    // The specs are resolved against an array of the same shape and names, which only has to exist in memory.
    let plain = Layout { chunk_shape, shard_shape: None, codecs: Codecs::none() };
    let named = ArrayMetadata::new(shape.clone(), args.dtype.clone(), fill, &plain)?.with_dimension_names(names)?;
    let mut layout = Layout { codecs: args.codec.clone(), ..plain };
    if let Some(spec) = &args.chunks {
        layout.chunk_shape = spec.resolve(&named, &layout.chunk_shape, None)?;
    }
    if let Some(Shards::Of(spec)) = &args.shards {
        layout.shard_shape = Some(spec.resolve(&named, &layout.chunk_shape, Some(&layout.chunk_shape))?);
    }
    Array::create(&args.path, named.relaid(&layout, None)?)?;
    Ok(true)
}

/// Halves the longest edge until a chunk has about 1 MiB.
fn default_chunks(shape: &[u64], item_bytes: u64) -> Vec<u64> {
    let mut edges: Vec<u64> = shape.iter().map(|&len| len.max(1)).collect();
    while edges.iter().fold(item_bytes, |product, &edge| product.saturating_mul(edge)) > CHUNK_BYTES {
        let Some(longest) = edges.iter_mut().max() else { break };
        if *longest == 1 {
            break;
        }
        *longest = longest.div_ceil(2);
    }
    edges
}

#[cfg(test)]
mod tests {
    use super::default_chunks;

    #[test]
    fn default_chunks_have_about_a_mebibyte() {
        assert_eq!(default_chunks(&[100], 4), [100]);
        let edges = default_chunks(&[100_000, 30_000], 8);
        assert!(edges.iter().product::<u64>() * 8 <= 1 << 20);
        assert!(edges.iter().product::<u64>() * 8 > 1 << 18);
        assert_eq!(default_chunks(&[0, 3], 4), [1, 3]);
        assert_eq!(default_chunks(&[], 8), [0_u64; 0]);
        assert_eq!(default_chunks(&[2], 1 << 30), [1]);
    }
}
