//! The memory budget: named leases that never add up to more than what the user gave (RCK-3).

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{Error, Result};

/// A number of bytes that is divided among the parts of a run.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget {
    inner: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    total_bytes: u64,
    leased_bytes: u64,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// A budget of `total_bytes`.
    pub(crate) fn new(total_bytes: u64) -> Self {
        Self { inner: Arc::new(Mutex::new(State { total_bytes, leased_bytes: 0 })) }
    }

    /// Takes `bytes` for `what`.
    ///
    /// # Errors
    /// [`Error::BudgetTooSmall`] when so much is not left.
    pub(crate) fn lease(&self, what: &str, bytes: u64) -> Result<Lease> {
        let mut state = self.inner.lock();
        let leased = state.leased_bytes.saturating_add(bytes);
        if leased > state.total_bytes {
            return Err(Error::BudgetTooSmall {
                required_bytes: leased,
                budget_bytes: state.total_bytes,
                what: format!("{what} needs {bytes} bytes beside the {} in use", state.leased_bytes),
            });
        }
        state.leased_bytes = leased;
        Ok(Lease { budget: self.clone(), bytes })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.budget.inner.lock().leased_bytes -= self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_given_back_and_never_exceed_the_budget() {
        let budget = MemoryBudget::new(100);
        let first = budget.lease("a", 60).unwrap();
        assert!(matches!(budget.lease("b", 41), Err(Error::BudgetTooSmall { required_bytes: 101, budget_bytes: 100, .. })));
        drop(first);
        let _all = budget.lease("c", 100).unwrap();
        assert!(budget.lease("d", u64::MAX).is_err());
    }
}
