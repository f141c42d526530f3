//! How one axis is cut: edges that repeat, or a list of them in runs.
//!
//! A list is kept as it is written, in runs of equal edges, and never expanded: `[[1, 2^40]]` is one run.

use std::sync::Arc;

use crate::error::{Error, Result};

/// The edges of the chunks along one axis, in elements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Edges {
    /// The same edge again and again, as far as the axis reaches.
    Repeat(u64),
    /// One edge after the other.
    List(EdgeRuns),
}

/// Runs of equal edges.
///
/// Invariants
/// 1. There is at least one run, and none is empty; every edge is at least 1.
/// 2. Ends are sums over the runs so far, and do not overflow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EdgeRuns(Arc<[Run]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Run {
    edge: u64,
    count: u64,
    /// Number of chunks up to the end of this run, and of elements.
    end_chunk: u64,
    end_element: u64,
}

impl EdgeRuns {
    /// From pairs of an edge in elements and how often it repeats.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there are none, an edge or a count is 0, or their sum passes 2^64.
    pub fn new(runs: impl IntoIterator<Item = (u64, u64)>) -> Result<Self> {
        let mut list: Vec<Run> = Vec::new();
        for (position, (edge, count)) in runs.into_iter().enumerate() {
            if edge == 0 || count == 0 {
                return Err(Error::invalid(format!("run {position} of chunk edges is {count} times {edge}; both are at least 1")));
            }
            let (mut chunks, mut elements) = list.last().map_or((0, 0), |last| (last.end_chunk, last.end_element));
            let sum = edge.checked_mul(count).and_then(|len| len.checked_add(elements)).zip(chunks.checked_add(count));
            (elements, chunks) =
                sum.ok_or_else(|| Error::invalid(format!("the chunk edges up to run {position} sum to more than 2^64")))?;
            match list.last_mut() {
                Some(last) if last.edge == edge => {
                    (last.count, last.end_chunk, last.end_element) = (last.count + count, chunks, elements);
                }
                _ => list.push(Run { edge, count, end_chunk: chunks, end_element: elements }),
            }
        }
        if list.is_empty() {
            return Err(Error::invalid("an empty list of chunk edges; at least one is needed"));
        }
        Ok(Self(list.into()))
    }

    /// Pairs of an edge in elements and how often it repeats; neighbours differ.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = (u64, u64)> {
        self.0.iter().map(|run| (run.edge, run.count))
    }

    /// Sum of all edges, in elements.
    pub fn sum(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end_element)
    }

    /// The run that holds element `index`: the chunk's index, its first element, and its edge. None behind the end.
    fn of_element(&self, index: u64) -> Option<(u64, u64, u64)> {
        let run = self.0.get(self.0.partition_point(|run| run.end_element <= index))?;
        let first_element = run.end_element - run.edge * run.count;
        let within = (index - first_element) / run.edge;
        Some((run.end_chunk - run.count + within, first_element + within * run.edge, run.edge))
    }

    /// First element and edge of a chunk. None behind the end.
    fn of_chunk(&self, chunk: u64) -> Option<(u64, u64)> {
        let run = self.0.get(self.0.partition_point(|run| run.end_chunk <= chunk))?;
        let within = chunk - (run.end_chunk - run.count);
        Some((run.end_element - run.edge * (run.count - within), run.edge))
    }
}

impl Edges {
    /// The largest edge.
    pub fn largest(&self) -> u64 {
        match self {
            Self::Repeat(edge) => *edge,
            Self::List(list) => list.0.iter().map(|run| run.edge).max().unwrap_or(1),
        }
    }

    /// Number of chunks that hold elements of an axis of `len`.
    pub(super) fn count(&self, len: u64) -> u64 {
        match self {
            Self::Repeat(edge) => len.div_ceil(*edge),
            Self::List(_) if len == 0 => 0,
            Self::List(list) => list.of_element(len - 1).map_or(u64::MAX, |(chunk, _, _)| chunk + 1),
        }
    }

    /// First element and edge of a chunk; none where that is behind the end of a list, or passes 2^64.
    pub(super) fn of_chunk(&self, chunk: u64) -> Option<(u64, u64)> {
        match self {
            Self::Repeat(edge) => chunk.checked_mul(*edge).map(|first| (first, *edge)),
            Self::List(list) => list.of_chunk(chunk),
        }
    }

    /// Index of the chunk that holds an element; behind the end of a list, that of the last chunk.
    pub(super) fn chunk_of(&self, element: u64) -> u64 {
        match self {
            Self::Repeat(edge) => element / edge,
            Self::List(list) => {
                let last = list.0.last().map_or(0, |last| last.end_chunk.saturating_sub(1));
                list.of_element(element).map_or(last, |(chunk, _, _)| chunk)
            }
        }
    }

    /// Refuses a list that is shorter than its axis.
    pub(super) fn check_covers(&self, axis: usize, len: u64) -> Result<()> {
        match self {
            Self::List(list) if list.sum() < len => {
                Err(Error::invalid(format!("axis {axis}: the chunk edges sum to {}, the axis has {len} elements", list.sum())))
            }
            Self::Repeat(0) => Err(Error::invalid(format!("axis {axis}: a chunk edge of 0; at least 1 is accepted"))),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_are_never_expanded() {
        let edges = Edges::List(EdgeRuns::new([(1, 1 << 40), (3, 1), (1, 1 << 62)]).unwrap());
        assert_eq!(edges.count(1 << 40), 1 << 40);
        assert_eq!(edges.of_chunk(1 << 40), Some((1 << 40, 3)));
        assert_eq!(edges.chunk_of((1 << 40) + 2), 1 << 40);
        assert_eq!(edges.chunk_of((1 << 40) + 3), (1 << 40) + 1);
    }

    #[test]
    fn impossible_lists_are_refused() {
        for runs in [&[][..], &[(0, 1)], &[(1, 0)], &[(1 << 40, 1 << 40)], &[(u64::MAX, 1), (1, 1)]] {
            assert!(matches!(EdgeRuns::new(runs.iter().copied()), Err(Error::InvalidArgument { .. })), "{runs:?}");
        }
    }

    proptest! {
        #[test]
        fn arithmetic_on_runs_is_that_on_the_list(runs in prop::collection::vec((1_u64..5, 1_u64..4), 1..6), cut in 0_u64..4) {
            let list: Vec<u64> = runs.iter().flat_map(|&(edge, count)| std::iter::repeat_n(edge, usize::try_from(count).unwrap())).collect();
            let edges = Edges::List(EdgeRuns::new(runs).unwrap());
            let sum: u64 = list.iter().sum();
            let len = sum.saturating_sub(cut);
            let mut first = 0;
            let mut covering = 0;
            for (chunk, &edge) in list.iter().enumerate() {
                prop_assert_eq!(edges.of_chunk(chunk as u64), Some((first, edge)));
                for element in first..first + edge {
                    prop_assert_eq!(edges.chunk_of(element), chunk as u64);
                }
                covering += u64::from(first < len);
                first += edge;
            }
            prop_assert_eq!(edges.of_chunk(list.len() as u64), None);
            prop_assert_eq!(edges.count(len), covering);
            prop_assert_eq!(edges.largest(), *list.iter().max().unwrap());
        }
    }
}
