//! How the cost of a rechunk grows with the array: the same layouts, and an array that is longer along one axis.

use serde::Serialize;

use super::arithmetic::array_bytes;
use super::{Problem, Strategy, plan_beside};
use crate::error::{Error, Result};

/// So many times as long.
const FACTORS: [u64; 4] = [1, 10, 100, 1000];

/// What a rechunk would take if the array were longer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Growth {
    /// How many times as long.
    pub factor: u64,
    /// Size of the elements of the array in bytes.
    pub array_bytes: u64,
    /// What it would take; none where the budget is too small.
    pub cost: Option<GrownCost>,
    /// The smallest budget in bytes that would do, where this one does not.
    pub required_bytes: Option<u64>,
}

/// The figures of a plan that grow.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GrownCost {
    /// How the data would travel.
    pub strategy: Strategy,
    /// Estimated time in seconds.
    pub estimated_seconds: f64,
    /// Bytes of data through the spill file.
    pub spilled_bytes: u64,
    /// Upper bound of the data held in memory, in bytes.
    pub memory_bytes: u64,
}

/// The growth of a problem along its longest axis; nothing where it has no axis, or no element.
///
/// # Errors
/// As [`super::plan`], but for a budget that is too small.
pub(crate) fn growth(problem: &Problem, budget_bytes: u64, document_bytes: u64, threads: usize) -> Result<Vec<Growth>> {
    let longest = (0..problem.shape.len()).max_by_key(|&axis| problem.shape[axis]);
    let Some(axis) = longest.filter(|_| !problem.shape.contains(&0)) else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for factor in FACTORS {
        let Some(grown) = longer(problem, axis, factor) else { break };
        let (cost, required_bytes) = match plan_beside(&grown, budget_bytes, document_bytes, threads) {
            Ok(plan) => {
                let cost = GrownCost {
                    strategy: plan.strategy,
                    estimated_seconds: plan.estimated_seconds,
                    spilled_bytes: plan.spilled_bytes,
                    memory_bytes: plan.memory_bytes,
                };
                (Some(cost), None)
            }
            Err(Error::BudgetTooSmall { required_bytes, .. }) => (None, Some(required_bytes)),
            Err(Error::Unsupported { .. }) => (None, None),
            Err(error) => return Err(error),
        };
        out.push(Growth { factor, array_bytes: array_bytes(&grown), cost, required_bytes });
    }
    Ok(out)
}

/// The problem of an array that is `factor` times as long along `axis`; none where its size in bytes passes 2^63.
fn longer(problem: &Problem, axis: usize, factor: u64) -> Option<Problem> {
    let mut grown = problem.clone();
    grown.shape[axis] = problem.shape[axis].checked_mul(factor)?;
    if let Some(gathered) = &mut grown.gathered {
        gathered.chunk_counts[axis] = gathered.chunk_counts[axis].checked_mul(factor)?;
        gathered.encoded_bytes = gathered.encoded_bytes.checked_mul(factor)?;
    }
    (array_bytes(&grown) < 1 << 63).then_some(grown)
}
