//! What a user says of a part of an array: a box, by position (`0:10,:,5`) or by dimension name (`time=0:100,lat=10:20`).

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::metadata::ArrayMetadata;
use crate::region::Region;

/// A box of elements, by position or by dimension name. Numbers below 0 count from the end of an axis.
///
/// Parsed from `0:10,:,5`, `-1`, `...,0`, or `time=0:100,lat=-10:`; of a name that is not given, the whole axis is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    parts: Parts,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parts {
    /// One an axis; none stands for as many whole axes as are missing.
    Positions(Vec<Option<Part>>),
    Names(Vec<(String, Part)>),
}

/// What is selected of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Index(i128),
    /// From the first, up to the second and without it.
    Range(Option<i128>, Option<i128>),
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Selection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = |what: String| fault(text, what);
        let words: Vec<&str> = if text.trim().is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() };
        let parts = if words.iter().any(|word| word.contains('=')) {
            let mut names: Vec<(String, Part)> = Vec::new();
            for word in words {
                let Some((name, part)) = word.rsplit_once('=') else {
                    return Err(fault(String::from("names and positions are mixed; accepted is one or the other")));
                };
                if names.iter().any(|(seen, _)| seen == name.trim()) {
                    return Err(fault(format!("dimension {name:?} is named twice")));
                }
                names.push((name.trim().to_owned(), part.parse().map_err(|what| fault(format!("{name}: {what}")))?));
            }
            Parts::Names(names)
        } else {
            if words.iter().filter(|word| **word == "...").count() > 1 {
                return Err(fault(String::from("`...` may stand once")));
            }
            let part = |(axis, word): (usize, &&str)| match *word {
                "..." => Ok(None),
                word => word.parse().map(Some).map_err(|what| fault(format!("axis {axis}: {what}"))),
            };
            Parts::Positions(words.iter().enumerate().map(part).collect::<Result<_>>()?)
        };
        Ok(Self { parts, text: text.to_owned() })
    }
}

fn fault(text: &str, what: impl fmt::Display) -> Error {
    Error::invalid(format!("selection [{text}]: {what}"))
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |word: &str| word.trim().parse::<i128>().map_err(|_| format!("{text:?}: accepted are 5, -1, 0:10, 3:, :7 and `:`"));
        let end = |word: &str| if word.trim().is_empty() { Ok(None) } else { number(word).map(Some) };
        match text.split_once(':') {
            None => number(text).map(Self::Index),
            Some((_, to)) if to.contains(':') => Err(format!("{text:?} has a step; boxes without steps are accepted")),
            Some((from, to)) => Ok(Self::Range(end(from)?, end(to)?)),
        }
    }
}

impl Part {
    /// Start and length on an axis of `extent`.
    fn resolve(self, extent: u64) -> std::result::Result<(u64, u64), String> {
        let whole = i128::from(extent);
        let from_end = |at: i128| if at < 0 { at.saturating_add(whole) } else { at };
        match self {
            Self::Index(index) => match u64::try_from(from_end(index)) {
                Ok(at) if at < extent => Ok((at, 1)),
                _ => Err(format!("index {index} is outside an axis of {extent}")),
            },
            Self::Range(from, to) => {
                let clamp = |at: i128| u64::try_from(from_end(at).clamp(0, whole)).unwrap_or(extent);
                let (from, to) = (from.map_or(0, clamp), to.map_or(extent, clamp));
                Ok((from, to.saturating_sub(from)))
            }
        }
    }
}

impl Selection {
    /// The region of an array that is meant.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an index outside the array, more parts than axes, or a name that no dimension has.
    pub fn resolve(&self, metadata: &ArrayMetadata) -> Result<Region> {
        let shape = metadata.shape();
        let (mut start, mut len) = (vec![0; shape.len()], shape.to_vec());
        for (axis, part) in self.by_axis(metadata)? {
            (start[axis], len[axis]) = part.resolve(shape[axis]).map_err(|what| fault(&self.text, format!("axis {axis}: {what}")))?;
        }
        Region::new(start, len)
    }

    fn by_axis(&self, metadata: &ArrayMetadata) -> Result<Vec<(usize, Part)>> {
        let rank = metadata.shape().len();
        match &self.parts {
            Parts::Positions(parts) => {
                let given = parts.iter().filter(|part| part.is_some()).count();
                let Some(missing) = rank.checked_sub(given) else {
                    return Err(fault(&self.text, format!("more parts than the {rank} axes of {:?}", metadata.shape())));
                };
                let mut axis = 0;
                let mut out = Vec::new();
                for part in parts {
                    out.extend(part.map(|part| (axis, part)));
                    axis += if part.is_some() { 1 } else { missing };
                }
                Ok(out)
            }
            Parts::Names(names) => names.iter().map(|(name, part)| Ok((self.axis(metadata, name)?, *part))).collect(),
        }
    }

    fn axis(&self, metadata: &ArrayMetadata, name: &str) -> Result<usize> {
        let known = metadata.dimension_names().unwrap_or_default();
        known.iter().position(|known| known.as_deref() == Some(name)).ok_or_else(|| {
            let known: Vec<&str> = known.iter().map(|name| name.as_deref().unwrap_or("(unnamed)")).collect();
            let known = if known.is_empty() { String::from("no dimension names") } else { known.join(", ") };
            fault(&self.text, format!("no dimension {name:?}; the array has {known}"))
        })
    }

    /// The same without names of dimensions that an array does not have; none where all are names of others.
    pub(crate) fn of_those_in(&self, metadata: &ArrayMetadata) -> Option<Self> {
        let Parts::Names(names) = &self.parts else { return Some(self.clone()) };
        let kept: Vec<_> = names.iter().filter(|(name, _)| self.axis(metadata, name).is_ok()).cloned().collect();
        (!kept.is_empty()).then(|| Self { parts: Parts::Names(kept), text: self.text.clone() })
    }

    /// The dimensions that it names; none where it is by position.
    pub(crate) fn names(&self) -> Option<Vec<&str>> {
        match &self.parts {
            Parts::Positions(_) => None,
            Parts::Names(names) => Some(names.iter().map(|(name, _)| name.as_str()).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codecs;
    use crate::dtype::DataType;
    use crate::metadata::Layout;

    fn array(shape: &[u64], names: Option<&[&str]>) -> ArrayMetadata {
        let layout = Layout { chunk_shape: vec![1; shape.len()], shard_shape: None, codecs: Codecs::none() };
        let metadata = ArrayMetadata::new(shape, DataType::UInt8, None, &layout).unwrap();
        metadata.with_dimension_names(names.map(|names| names.iter().map(|name| Some((*name).to_owned())).collect())).unwrap()
    }

    fn resolve(text: &str, shape: &[u64]) -> Result<Region> {
        text.parse::<Selection>()?.resolve(&array(shape, None))
    }

    fn region(start: &[u64], shape: &[u64]) -> Region {
        Region::new(start, shape).unwrap()
    }

    #[test]
    fn selections_mean_what_numpy_means() {
        assert_eq!(resolve("0:10,:,5", &[20, 3, 6]).unwrap(), region(&[0, 0, 5], &[10, 3, 1]));
        assert_eq!(resolve("-1", &[20, 3]).unwrap(), region(&[19, 0], &[1, 3]));
        assert_eq!(resolve("...,0", &[4, 5, 6]).unwrap(), region(&[0, 0, 0], &[4, 5, 1]));
        assert_eq!(resolve("1,...,0", &[4, 5, 6]).unwrap(), region(&[1, 0, 0], &[1, 5, 1]));
        assert_eq!(resolve("1,...,2", &[4, 5]).unwrap(), region(&[1, 2], &[1, 1]));
        assert_eq!(resolve("-3:,:100", &[4, 5]).unwrap(), region(&[1, 0], &[3, 5]));
        assert_eq!(resolve("3:2", &[4]).unwrap(), region(&[3], &[0]));
        assert_eq!(resolve("", &[]).unwrap(), region(&[], &[]));
    }

    #[test]
    fn names_select_in_any_order() {
        let named = array(&[10, 20, 30], Some(&["time", "lat", "lon"]));
        let selection: Selection = "lon=-5:,time=3".parse().unwrap();
        assert_eq!(selection.resolve(&named).unwrap(), region(&[3, 0, 25], &[1, 20, 5]));
        let other = array(&[30], Some(&["lon"]));
        assert!(selection.resolve(&other).is_err());
        assert_eq!(selection.of_those_in(&other).unwrap().resolve(&other).unwrap(), region(&[25], &[5]));
        assert_eq!(selection.of_those_in(&array(&[30], None)), None);
        for text in ["lon=1,5", "lon=1,lon=2", "lon=x", "=1:2:3"] {
            assert!(text.parse::<Selection>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_selected_is_refused() {
        for text in ["4", "-5", "0:3:2", "a", "0,0", "...,...", "1.5"] {
            assert!(resolve(text, &[4]).is_err(), "{text}");
        }
    }
}
