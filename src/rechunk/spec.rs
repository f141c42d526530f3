//! What a user says of chunks: by position or by dimension name, in elements or `all`.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::grid::EdgeRuns;
use crate::metadata::ArrayMetadata;

/// The length of the chunks along one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The whole axis.
    All,
    /// So many elements.
    Elements(u64),
    /// One edge after the other, for a rectilinear grid.
    List(EdgeRuns),
}

/// Chunk edges by position or by dimension name.
///
/// Parsed from `1000,all,2,2` or `object=1000,epoch=all`; `all` and `-1` are the whole axis, and `31+28+31+30x2` are chunks of 31, 28, 31, 30 and 30.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChunkSpec {
    /// One edge an axis, in order.
    Positions(Vec<Edge>),
    /// Edges of named dimensions; the others keep what they have.
    Names(Vec<(String, Edge)>),
}

impl fmt::Display for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Elements(edge) => edge.fmt(f),
            Self::List(list) => {
                for (position, (edge, count)) in list.runs().enumerate() {
                    f.write_str(if position == 0 { "" } else { "+" })?;
                    write!(f, "{edge}")?;
                    // A single run would read as an edge that repeats.
                    if count > 1 || list.runs().len() == 1 {
                        write!(f, "x{count}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for ChunkSpec {
    /// The text that it is parsed from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = match self {
            Self::Positions(edges) => edges.iter().map(Edge::to_string).collect(),
            Self::Names(names) => names.iter().map(|(name, edge)| format!("{name}={edge}")).collect(),
        };
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Edge {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "all" | "-1" => Ok(Self::All),
            list if list.contains('+') || (list.contains('x') && list.starts_with(|c: char| c.is_ascii_digit())) => {
                edge_list(list).map(Self::List)
            }
            number => match number.parse::<u64>() {
                Ok(edge) if edge > 0 => Ok(Self::Elements(edge)),
                _ => Err(Error::invalid(format!(
                    "chunk edge {text:?}: accepted are whole numbers from 1 on, `all`, and lists such as 31+28+31 or 30x12"
                ))),
            },
        }
    }
}

/// A list of edges, joined by `+`; `30x12` is twelve edges of 30.
fn edge_list(text: &str) -> Result<EdgeRuns> {
    let run = |part: &str| {
        let (edge, count) = part.split_once('x').unwrap_or((part, "1"));
        edge.trim().parse::<u64>().ok().zip(count.trim().parse::<u64>().ok())
    };
    let runs: Option<Vec<_>> = text.split('+').map(run).collect();
    let runs = runs.ok_or_else(|| Error::invalid(format!("chunk edges {text:?}: accepted are lists such as 31+28+31 or 30x12")))?;
    EdgeRuns::new(runs).map_err(|error| Error::invalid(format!("chunk edges {text:?}: {error}")))
}

impl FromStr for ChunkSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(',').map(str::trim).collect();
        let named = parts.iter().filter(|part| part.contains('=')).count();
        if named == 0 {
            return parts.iter().map(|part| part.parse()).collect::<Result<_>>().map(Self::Positions);
        }
        let mut names: Vec<(String, Edge)> = Vec::new();
        for part in parts {
            let Some((name, edge)) = part.rsplit_once('=') else {
                return Err(Error::invalid(format!("chunks {text:?} mix names and positions; accepted is one or the other")));
            };
            if names.iter().any(|(seen, _)| seen == name) {
                return Err(Error::invalid(format!("chunks {text:?} name dimension {name:?} twice")));
            }
            names.push((name.to_owned(), edge.parse()?));
        }
        Ok(Self::Names(names))
    }
}

impl<const N: usize> From<[u64; N]> for ChunkSpec {
    fn from(edges: [u64; N]) -> Self {
        Self::Positions(edges.into_iter().map(Edge::Elements).collect())
    }
}

impl From<Vec<u64>> for ChunkSpec {
    fn from(edges: Vec<u64>) -> Self {
        Self::Positions(edges.into_iter().map(Edge::Elements).collect())
    }
}

impl ChunkSpec {
    /// What is said of an axis of an array.
    pub(crate) fn edge(&self, metadata: &ArrayMetadata, axis: usize) -> Option<&Edge> {
        match self {
            Self::Positions(edges) => edges.get(axis),
            Self::Names(names) => names.iter().find(|(name, _)| axis_of(metadata, name) == Some(axis)).map(|(_, edge)| edge),
        }
    }

    /// Whether the edges of any axis are a list.
    pub(crate) fn has_lists(&self) -> bool {
        let is_list = |edge: &Edge| matches!(edge, Edge::List(_));
        match self {
            Self::Positions(edges) => edges.iter().any(is_list),
            Self::Names(names) => names.iter().any(|(_, edge)| is_list(edge)),
        }
    }

    /// The edges for an array; of a list, the largest. `kept` are the edges of axes that are not named; the whole of an axis is rounded up to a multiple of `within`.
    pub fn resolve(&self, metadata: &ArrayMetadata, kept: &[u64], within: Option<&[u64]>) -> Result<Vec<u64>> {
        let shape = metadata.shape();
        let length = |axis: usize, edge: &Edge| match edge {
            Edge::Elements(edge) => *edge,
            Edge::List(list) => list.runs().map(|(edge, _)| edge).max().unwrap_or(1),
            Edge::All => {
                let multiple = within.map_or(1, |within| within[axis]);
                shape[axis].max(1).checked_next_multiple_of(multiple).unwrap_or(u64::MAX)
            }
        };
        match self {
            Self::Positions(edges) if edges.len() == shape.len() => {
                Ok(edges.iter().enumerate().map(|(axis, edge)| length(axis, edge)).collect())
            }
            Self::Positions(edges) => Err(Error::invalid(format!(
                "chunks of rank {} for an array of rank {} and shape {shape:?}; accepted is one edge an axis, or names as in {}",
                edges.len(),
                shape.len(),
                example(metadata)
            ))),
            Self::Names(names) => {
                let mut edges = kept.to_vec();
                for (name, edge) in names {
                    let axis = axis_of(metadata, name).ok_or_else(|| {
                        Error::invalid(format!("chunks name a dimension {name:?}; this array has {}", known_names(metadata)))
                    })?;
                    edges[axis] = length(axis, edge);
                }
                Ok(edges)
            }
        }
    }

    /// Whether the spec is meant for an array: it has all dimensions that are named, or the rank.
    pub(crate) fn fits(&self, metadata: &ArrayMetadata) -> bool {
        match self {
            Self::Positions(edges) => edges.len() == metadata.shape().len(),
            Self::Names(names) => names.iter().all(|(name, _)| axis_of(metadata, name).is_some()),
        }
    }
}

fn axis_of(metadata: &ArrayMetadata, name: &str) -> Option<usize> {
    metadata.dimension_names()?.iter().position(|known| known.as_deref() == Some(name))
}

/// The dimension names of an array as a person would say them.
pub(crate) fn known_names(metadata: &ArrayMetadata) -> String {
    match metadata.dimension_names() {
        Some(names) if !names.is_empty() => names.iter().map(|name| name.as_deref().unwrap_or("(unnamed)")).collect::<Vec<_>>().join(", "),
        _ => String::from("no dimension names; give one edge an axis"),
    }
}

fn example(metadata: &ArrayMetadata) -> String {
    let name = metadata.dimension_names().and_then(|names| names.iter().flatten().next());
    format!("`{}=100`", name.map_or("time", String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_are_parsed() {
        assert_eq!("1000, all,-1".parse::<ChunkSpec>().unwrap(), ChunkSpec::Positions(vec![Edge::Elements(1000), Edge::All, Edge::All]));
        assert_eq!(
            "object=1000,epoch=all".parse::<ChunkSpec>().unwrap(),
            ChunkSpec::Names(vec![("object".into(), Edge::Elements(1000)), ("epoch".into(), Edge::All)])
        );
        for (text, again) in [("31+28+31x2,5", "31+28+31x2,5"), ("time=30 x 3 + 30", "time=30x4"), ("7x1", "7x1")] {
            let spec = text.parse::<ChunkSpec>().unwrap();
            assert!(spec.has_lists());
            assert_eq!(spec.to_string(), again);
            assert_eq!(again.parse::<ChunkSpec>().unwrap(), spec);
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "0",
            "1,,2",
            "a=1,2",
            "a=1,a=2",
            "a=",
            "-2",
            "1.5",
            "99999999999999999999",
            "1+",
            "+",
            "0+1",
            "3x0",
            "x",
            "1x2x3",
            "9999999999x9999999999",
        ] {
            assert!(matches!(text.parse::<ChunkSpec>(), Err(Error::InvalidArgument { .. })), "{text}");
        }
    }
}
