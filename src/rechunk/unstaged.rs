//! A rechunk of one array between any stores, without a stage and without a final place: what tests of hostile arrays run.

use std::path::Path;
use std::sync::Arc;

use crate::array::Array;
use crate::error::Result;
use crate::metadata::{ArrayMetadata, DOCUMENT};
use crate::rechunk::RechunkOptions;
use crate::rechunk::becoming::{Becoming, Taken};
use crate::rechunk::execute::Control;
use crate::rechunk::plan::{Plan, by_shuffle, plan};
#[cfg(test)]
use crate::rechunk::plan::{Strategy, by_strategy};
use crate::rechunk::run::{problem, run};
use crate::region::Region;
use crate::store::{Key, MemoryStore, Store};

/// What an array becomes, and how: by a shuffle if one is wanted and possible.
///
/// # Errors
/// As [`crate::rechunk::plan_rechunk`].
pub(crate) fn plan_array(source: &Array, options: &RechunkOptions<'_>, shuffle: bool) -> Result<(ArrayMetadata, Plan)> {
    let metadata = Becoming::of(source, true, options)?.target;
    let target = Array::with_metadata(Arc::new(MemoryStore::new()), Key::root(), metadata.clone())?;
    let problem = problem(source, &target, &Region::whole(source.shape()), &options.costs);
    let shuffled = if shuffle { by_shuffle(&problem, options.memory_bytes, options.threads) } else { None };
    let plan = shuffled.map_or_else(|| plan(&problem, options.memory_bytes, options.threads), Ok)?;
    Ok((metadata, plan))
}

/// What an array becomes, and how, by one strategy; none where that is not possible within the budget.
#[cfg(test)]
pub(crate) fn plan_array_by(source: &Array, options: &RechunkOptions<'_>, strategy: Strategy) -> Result<Option<(ArrayMetadata, Plan)>> {
    let metadata = Becoming::of(source, true, options)?.target;
    let target = Array::with_metadata(Arc::new(MemoryStore::new()), Key::root(), metadata.clone())?;
    let plan = by_strategy(
        &problem(source, &target, &Region::whole(source.shape()), &options.costs),
        options.memory_bytes,
        options.threads,
        strategy,
    );
    Ok(plan.map(|plan| (metadata, plan)))
}

/// Makes the array that was planned at the root of an empty store.
///
/// # Errors
/// As [`crate::rechunk::rechunk`].
pub(crate) fn rechunk_array(
    source: &Array,
    (metadata, plan): (ArrayMetadata, &Plan),
    store: Arc<dyn Store>,
    spill_dir: &Path,
) -> Result<Array> {
    let target = Array::with_metadata(store.clone(), Key::root(), metadata)?;
    run(&Taken::whole(source), (&target, &Key::new(DOCUMENT)?), plan, spill_dir, &Control::new(None))?;
    Array::open_in(store, Key::root())
}

#[cfg(test)]
mod tests;
