//! The `transpose` codec: a permutation of axes, which here only changes strides.

use serde_json::{Map, Value};

use crate::codec::configuration;
use crate::error::{Error, Result};
use crate::json::NamedConfig;

/// A permutation of axes: encoded axis `i` is decoded axis `order[i]`.
#[derive(Clone, Debug)]
pub(crate) struct Transpose {
    pub(crate) order: Vec<usize>,
}

impl Transpose {
    pub(crate) const NAME: &'static str = "transpose";

    /// Reads the codec object for an array of `rank` dimensions.
    pub(super) fn from_metadata(config: &NamedConfig, rank: usize) -> Result<Self> {
        config.only(&["order"])?;
        // Withdrawn from the specification, but written by early programs, and read by TensorStore.
        match config.configuration.get("order") {
            Some(Value::String(order)) if order == "C" => return Ok(Self { order: (0..rank).collect() }),
            Some(Value::String(order)) if order == "F" => return Ok(Self { order: (0..rank).rev().collect() }),
            _ => {}
        }
        let accepted = format!("accepted is a permutation of the axis numbers below {rank}");
        let order = configuration::list(config, "order", &accepted, |value| usize::try_from(value.as_u64()?).ok())?;
        let mut seen = vec![false; rank];
        for &axis in &order {
            match seen.get_mut(axis) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(Error::metadata("/configuration/order", format!("{order:?}; {accepted}"))),
            }
        }
        if order.len() != rank {
            return Err(Error::metadata("/configuration/order", format!("{order:?}; {accepted}")));
        }
        Ok(Self { order })
    }

    pub(super) fn to_metadata(&self) -> NamedConfig {
        let order = self.order.iter().map(|&axis| Value::from(axis)).collect();
        NamedConfig::new(Self::NAME, Map::from_iter([("order".to_owned(), Value::Array(order))]))
    }

    /// The permutation that `transposes` make one after the other: encoded axis `i` is array axis `result[i]`.
    pub(super) fn compose(transposes: &[Self], rank: usize) -> Vec<usize> {
        transposes.iter().fold((0..rank).collect(), |so_far: Vec<usize>, next| next.order.iter().map(|&axis| so_far[axis]).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(order: Value, rank: usize) -> Result<Transpose> {
        Transpose::from_metadata(&NamedConfig::new("transpose", Map::from_iter([("order".to_owned(), order)])), rank)
    }

    #[test]
    fn only_permutations_of_the_rank_are_accepted() {
        for (order, rank) in [
            (json!([0, 0]), 2),
            (json!([0, 2]), 2),
            (json!([0]), 2),
            (json!([0, 1, 2]), 2),
            (json!("A"), 2),
            (json!(null), 2),
            (json!([-1, 0]), 2),
            (json!([0.0, 1]), 2),
            (json!([0]), 0),
        ] {
            let Err(Error::Metadata { pointer, .. }) = read(order.clone(), rank) else { panic!("{order} was accepted") };
            assert!(pointer.starts_with("/configuration/order"), "{pointer}");
        }
        assert_eq!(read(json!([]), 0).unwrap().order, [0_usize; 0]);
    }

    /// FMT-AA-3
    #[test]
    fn orders_by_letter_are_permutations() {
        assert_eq!(read(json!("C"), 3).unwrap().order, [0, 1, 2]);
        let reversed = read(json!("F"), 3).unwrap();
        assert_eq!(reversed.order, [2, 1, 0]);
        assert_eq!(reversed.to_metadata().configuration["order"], json!([2, 1, 0]));
    }

    #[test]
    fn permutations_compose_in_the_order_of_the_metadata() {
        // Axes a, b, c; the first gives c, a, b; the second takes of those the axes 1, 2, 0.
        let transposes = [read(json!([2, 0, 1]), 3).unwrap(), read(json!([1, 2, 0]), 3).unwrap()];
        assert_eq!(Transpose::compose(&transposes, 3), [0, 1, 2]);
        assert_eq!(Transpose::compose(&transposes[..1], 3), [2, 0, 1]);
        let twice = [transposes[0].clone(), transposes[0].clone()];
        assert_eq!(Transpose::compose(&twice, 3), [1, 2, 0]);
    }
}
