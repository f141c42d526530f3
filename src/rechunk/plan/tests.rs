//! Tests of plans: which strategy, how much memory, and what is refused.

use proptest::prelude::*;

use super::direct::{frontier, held_shards};
use super::{Strategy, *};
use crate::region::element_count;

/// A problem with compressed chunks of 4-byte items.
pub(super) fn problem(shape: &[u64], source: &[u64], target: &[u64]) -> Problem {
    let side = |unit: &[u64]| Side {
        unit: unit.to_vec(),
        chunk: unit.to_vec(),
        unit_bytes: element_count(unit).unwrap() * 4,
        order: (0..unit.len()).collect(),
        plain: false,
    };
    let (source, target) = (side(source), side(target));
    Problem {
        shape: shape.to_vec(),
        item_size: 4,
        reader_bytes: 2 * source.unit_bytes + (1 << 20),
        writer_bytes: 4 << 20,
        source,
        target,
        held_shard_bytes: 0,
        open_shard_bytes: 0,
        in_place: false,
        moves: Moves::Nothing,
        gathered: None,
        memory_limit_bytes: None,
        costs: Costs::default(),
        decode_ns: 0.7,
        encode_ns: 2.4,
        source_ratio: (1, 2),
        target_ratio: (1, 2),
        least_segment_bytes: LEAST_SEGMENT_BYTES,
        streaming: None,
    }
}

/// RCK-14.
#[test]
fn light_curves_are_shuffled_and_nested_chunks_are_not() {
    let curves = plan(&problem(&[140_000, 256, 4], &[140_000, 1, 4], &[1000, 256, 4]), 64 << 20, 2).unwrap();
    assert_eq!(curves.strategy, Strategy::Shuffle);
    assert_eq!(curves.spilled_bytes, 140_000 * 256 * 16);
    assert!(curves.memory_bytes <= 64 << 20);
    let nested = plan(&problem(&[768, 768, 768], &[64, 64, 64], &[128, 128, 128]), 128 << 20, 2).unwrap();
    assert_eq!((nested.strategy, nested.spilled_bytes), (Strategy::Direct, 0));
}

/// RCK-11.
#[test]
fn coprime_edges_need_a_frontier_and_not_their_common_multiple() {
    let coprime = plan(&problem(&[10_000_000], &[1000], &[999]), 32 << 20, 1).unwrap();
    assert_eq!(coprime.strategy, Strategy::Direct);
    assert_eq!(frontier(1000, 999), 2);
    assert_eq!(frontier(4, 2), 2);
    assert_eq!(frontier(2, 4), 1);
    assert_eq!(frontier(3, 2), 2);
}

/// RCK-4.
#[test]
fn the_smallest_budget_is_enough_and_less_is_not() {
    for (shape, source, target) in [
        (vec![4000, 500, 700], vec![1, 500, 700], vec![4000, 5, 7]),
        (vec![64, 64, 64], vec![64, 64, 64], vec![1, 1, 1]),
        (vec![100_000_000], vec![1_000_000], vec![999_999]),
    ] {
        let problem = problem(&shape, &source, &target);
        let Err(Error::BudgetTooSmall { required_bytes, .. }) = plan(&problem, 100, 2) else { panic!("100 bytes") };
        assert!(plan(&problem, required_bytes, 2).is_ok());
        assert!(plan(&problem, required_bytes - 8192, 2).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// What the search for the smallest budget rests on (RCK-4).
    #[test]
    fn what_fits_in_a_budget_fits_in_a_larger_one(
        axes in prop::collection::vec((1_u64..5000, 1_u64..600, 1_u64..600, 1_u64..5), 1..4),
        sharded in any::<bool>(),
        writer_bytes in 0_u64..20_000_000,
        open_shard_bytes in 1_u64..200_000,
        threads in 1_usize..4,
        spare in prop::collection::vec(prop_oneof![0_u64..10_000, 0_u64..10_000_000, 0_u64..2_000_000_000], 8),
    ) {
        let [shape, source, target] = [0, 1, 2].map(|i| axes.iter().map(|a| [a.0, a.1, a.2][i]).collect::<Vec<u64>>());
        let mut problem = problem(&shape, &source, &target);
        problem.writer_bytes = writer_bytes;
        if sharded {
            problem.target.chunk = axes.iter().map(|a| a.2 * a.3).collect();
            problem.open_shard_bytes = open_shard_bytes;
        }
        let required = smallest_budget(&problem).unwrap();
        for spare in spare {
            let budget = required.saturating_add(spare);
            let plan = plan(&problem, budget, threads);
            prop_assert!(plan.is_ok(), "{required} bytes are enough, and {budget} are not");
            prop_assert!(plan.unwrap().memory_bytes <= budget);
        }
    }
}

#[test]
fn a_walk_across_shards_holds_them_where_the_budget_allows() {
    let mut across = problem(&[4096, 65536], &[1, 1024], &[1, 65536]);
    across.source.chunk = vec![4096, 1024];
    across.held_shard_bytes = 192 << 10;
    let Steps::Direct { walk, .. } = plan(&across, 256 << 20, 1).unwrap().steps else { panic!("no direct plan") };
    assert_eq!(walk.shards_held, 64);
    // Where they cannot be held, reading indexes again and again is dearer than the spill file.
    assert_eq!(plan(&across, 16 << 20, 1).unwrap().strategy, Strategy::Shuffle);
    across.target = across.source.clone();
    assert_eq!(held_shards(&across, 256 << 20, 1, &[1, 1024], Some(0)).0, 1);
}

#[test]
fn ten_billion_chunks_are_planned_by_arithmetic() {
    let large = problem(&[1_000_000, 100_000, 10_000], &[1, 10_000, 10_000], &[10_000, 10, 10]);
    assert!(plan(&large, 1 << 30, 2).is_ok());
    let edge = problem(&[u64::MAX / 8, 3], &[1 << 20, 1], &[1, 3]);
    let _ = plan(&edge, 1 << 30, 2);
}

#[test]
fn empty_and_scalar_arrays_have_plans() {
    assert!(plan(&problem(&[], &[], &[]), 32 << 20, 2).is_ok());
    assert!(plan(&problem(&[0, 5], &[1, 5], &[1, 2]), 32 << 20, 2).is_ok());
}

/// RCK-18: where the budget does not do for the array ten times as long, the one that would is named.
#[test]
fn growth_is_planned_and_not_extrapolated() {
    let problem = problem(&[140_000, 256, 4], &[140_000, 1, 4], &[1000, 256, 4]);
    let grown = growth(&problem, 64 << 20, 0, 2).unwrap();
    assert_eq!(grown.iter().map(|g| (g.factor, g.array_bytes)).collect::<Vec<_>>()[..2], [(1, 573_440_000), (10, 5_734_400_000)]);
    let now = grown[0].cost.as_ref().unwrap();
    let plan = plan(&problem, 64 << 20, 2).unwrap();
    assert_eq!((now.spilled_bytes, now.memory_bytes), (plan.spilled_bytes, plan.memory_bytes));
    for (grown, larger) in grown.iter().zip(&grown[1..]) {
        assert!(grown.cost.is_some() != grown.required_bytes.is_some());
        if let (Some(cost), Some(more)) = (&grown.cost, &larger.cost) {
            assert!(cost.estimated_seconds < more.estimated_seconds && more.memory_bytes <= 64 << 20);
        }
    }
    assert_eq!(growth(&super::tests::problem(&[], &[], &[]), 64 << 20, 0, 2).unwrap(), []);
}
