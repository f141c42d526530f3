//! Chunks that are taken or made slab after slab, since no whole one needs to be in memory.

use super::Problem;
use crate::rechunk::pieces::part_shape;

/// Chunks from this size on are said to be taken as streams where they do not fit, in bytes.
const LARGE_BYTES: u64 = 1 << 20;

/// What streams of either side take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Streaming {
    pub(crate) source: Side,
    pub(crate) target: Side,
}

/// What streams of the units of one side take.
#[derive(Clone, Debug, Default)]
pub(crate) struct Side {
    /// What a stream holds beside its slabs, in bytes; or the codec that must have all of a unit at once.
    pub(crate) stream_bytes: Option<u64>,
    /// Axes from the slowest to the fastest in the memory of a unit.
    pub(crate) order: Vec<usize>,
    /// The codecs, for messages.
    pub(crate) codecs: String,
    /// The codec that must have all of a unit at once.
    pub(crate) obstacle: Option<String>,
}

/// Which sides are taken or made slab after slab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mode {
    pub(super) source: bool,
    pub(super) target: bool,
}

impl Mode {
    pub(super) const ALL: [Self; 4] = [
        Self { source: false, target: false },
        Self { source: true, target: false },
        Self { source: false, target: true },
        Self { source: true, target: true },
    ];
}

impl Side {
    /// The shape of slabs of at most `limit` items: whole axes of a unit's memory from the fastest, then a part of one, then ones.
    pub(super) fn slab(&self, unit: &[u64], limit: u64) -> Vec<u64> {
        let ordered: Vec<u64> = self.order.iter().map(|&axis| unit[axis]).collect();
        let part = part_shape(&ordered, limit);
        let mut slab = vec![1; unit.len()];
        self.order.iter().zip(part).for_each(|(&axis, len)| slab[axis] = len);
        slab
    }
}

impl Problem {
    /// What streams of the source take, if it can be read so and its units are larger than slabs of `slab_bytes`.
    pub(super) fn source_stream(&self, slab_bytes: u64) -> Option<(&Side, u64)> {
        let side = &self.streaming.as_ref()?.source;
        side.stream_bytes.filter(|_| self.source.unit_bytes > slab_bytes).map(|bytes| (side, bytes))
    }

    /// The same of the target.
    pub(super) fn target_stream(&self, slab_bytes: u64) -> Option<(&Side, u64)> {
        let side = &self.streaming.as_ref()?.target;
        side.stream_bytes.filter(|_| self.target.unit_bytes > slab_bytes).map(|bytes| (side, bytes))
    }

    /// What has to fit into memory, and why it cannot be less.
    pub(super) fn needs(&self) -> String {
        let side = |what: &str, bytes: u64, side: Option<&Side>| match side {
            Some(Side { obstacle: Some(codec), .. }) => {
                format!("{what} chunks of {bytes} bytes (`{codec}` must have all of a chunk at once)")
            }
            Some(Side { stream_bytes: Some(stream), codecs, .. }) if bytes >= LARGE_BYTES => {
                format!("{what} chunks of {bytes} bytes (as streams of {codecs}, which take {stream} bytes)")
            }
            _ => format!("{what} chunks of {bytes} bytes"),
        };
        let streaming = self.streaming.as_ref();
        let source = side("source", self.source.unit_bytes, streaming.map(|streaming| &streaming.source));
        let target = side("target", self.target.unit_bytes, streaming.map(|streaming| &streaming.target));
        format!("{source} and {target}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_are_contiguous_in_memory() {
        let side = Side { order: vec![2, 0, 1], ..Side::default() };
        assert_eq!(side.slab(&[10, 20, 30], 7), [1, 7, 1]);
        assert_eq!(side.slab(&[10, 20, 30], 60), [3, 20, 1]);
        assert_eq!(side.slab(&[10, 20, 30], 450), [10, 20, 2]);
        assert_eq!(side.slab(&[10, 20, 30], u64::MAX), [10, 20, 30]);
    }
}
