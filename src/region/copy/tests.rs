//! The copy against its definition, one element at a time. With `cargo +nightly miri test --lib region::copy`, fewer cases of each test.

use proptest::prelude::*;

use super::*;
use crate::region::{c_strides, element_count};

/// One element at a time, by definition.
fn reference(shape: &[u64], item: usize, source: &[u8], from: BoxLayout<'_>, target: &mut [u8], to: BoxLayout<'_>) {
    let Some((&len, shape)) = shape.split_first() else {
        return target[to.offset..to.offset + item].copy_from_slice(&source[from.offset..from.offset + item]);
    };
    for i in 0..to_usize(len) {
        let from = BoxLayout { offset: from.offset + i * from.strides[0], strides: &from.strides[1..] };
        let to = BoxLayout { offset: to.offset + i * to.strides[0], strides: &to.strides[1..] };
        reference(shape, item, source, from, target, to);
    }
}

/// A box of `shape` inside a larger buffer whose axes lie in memory in `order`.
fn strides(larger: &[u64], order: &[usize], item: usize) -> Vec<usize> {
    let permuted: Vec<u64> = order.iter().map(|&axis| larger[axis]).collect();
    let steps = c_strides(&permuted, item);
    let mut out = vec![0; larger.len()];
    for (position, &axis) in order.iter().enumerate() {
        out[axis] = steps[position];
    }
    out
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
}

/// Both copies into buffers of other contents: all bytes must be the same, those outside the box too.
fn check(shape: &[u64], item: usize, from: BoxLayout<'_>, to: BoxLayout<'_>) {
    let size = |at: BoxLayout<'_>| at.offset + if shape.contains(&0) { 0 } else { span(shape, item, at.strides) };
    let source = bytes(size(from));
    let mut expected = vec![255; size(to)];
    let mut got = expected.clone();
    reference(shape, item, &source, from, &mut expected, to);
    copy_box(shape, item, &source, from, &mut got, to);
    assert!(got == expected, "{shape:?} of {item} bytes, {from:?} to {to:?}");
}

fn check_permuted(larger: &[u64], shape: &[u64], item: usize, (order_from, order_to): (&[usize], &[usize]), offsets: (usize, usize)) {
    let (from, to) = (strides(larger, order_from, item), strides(larger, order_to, item));
    check(shape, item, BoxLayout { offset: offsets.0, strides: &from }, BoxLayout { offset: offsets.1, strides: &to });
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: if cfg!(miri) { 8 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn equals_the_definition(
        (shape, pad, order_from, order_to) in (0_usize..=5).prop_flat_map(|rank| (
            prop::collection::vec(prop_oneof![8 => 1_u64..6, 3 => Just(1_u64), 3 => 7_u64..20, 1 => Just(0_u64)], rank),
            prop::collection::vec(prop_oneof![Just(0_u64), 0_u64..3], rank),
            Just((0..rank).collect::<Vec<_>>()).prop_shuffle(),
            Just((0..rank).collect::<Vec<_>>()).prop_shuffle(),
        )),
        item in prop_oneof![1_usize..=40, prop::sample::select(vec![1_usize, 2, 4, 8, 16, 64, 127, 128])],
        offsets in (0_usize..70, 0_usize..70),
    ) {
        let larger: Vec<u64> = shape.iter().zip(&pad).map(|(a, b)| a + b).collect();
        if element_count(&larger).unwrap() < 20_000 {
            check_permuted(&larger, &shape, item, (&order_from, &order_to), offsets);
        }
    }

    /// Two axes that change places, of lengths about those of panels, squares and lines.
    #[test]
    fn turned_axes_equal_the_definition(
        (rows, columns, series) in (1_u64..150, 1_u64..150, 1_u64..3),
        (pad_rows, pad_columns) in (0_u64..3, 0_u64..3),
        item in prop_oneof![1_usize..=40, prop::sample::select(vec![1_usize, 2, 4, 8, 16])],
        offsets in (0_usize..70, 0_usize..70),
    ) {
        let (rows, columns) = if cfg!(miri) { (rows % 40 + 1, columns % 70 + 1) } else { (rows, columns) };
        check_permuted(&[series, rows + pad_rows, columns + pad_columns], &[series, rows, columns], item, (&[0, 1, 2], &[0, 2, 1]), offsets);
    }

    /// Strides without relation to lengths: gaps, repetitions of the source, and axes that lie within each other's gaps.
    #[test]
    fn any_strides_equal_the_definition(
        (shape, from, gaps) in (0_usize..=3).prop_flat_map(|rank| (
            prop::collection::vec(1_u64..24, rank),
            prop::collection::vec(prop_oneof![Just(0_usize), 0_usize..100], rank),
            prop::collection::vec(0_usize..9, rank),
        )),
        item in 1_usize..=40,
        offsets in (0_usize..70, 0_usize..70),
    ) {
        let mut to = vec![0; shape.len()];
        let mut step = item;
        for axis in 0..shape.len() {
            to[axis] = step + gaps[axis];
            step = to[axis] * to_usize(shape[axis]);
        }
        check(&shape, item, BoxLayout { offset: offsets.0, strides: &from }, BoxLayout { offset: offsets.1, strides: &to });
    }
}

/// Every item size, at every small shape, in both orders.
#[test]
fn all_small_shapes_and_sizes() {
    let edges: &[u64] = if cfg!(miri) { &[2, 9] } else { &[1, 2, 3, 4, 7, 8, 9, 17] };
    let orders: [&[usize]; 4] = [&[0, 1, 2], &[0, 2, 1], &[2, 1, 0], &[1, 2, 0]];
    for item in 1..=40 {
        for &rows in edges {
            for &columns in edges {
                for order in orders {
                    check_permuted(
                        &[2, rows, columns + item as u64 % 2],
                        &[2, rows, columns],
                        item,
                        (&[0, 1, 2], order),
                        (item % 3, item % 5),
                    );
                }
            }
        }
    }
}

/// Rows of every length around the steps of a panel, and strides that are powers of two.
#[test]
fn panels_and_their_edges() {
    let sizes: &[usize] = if cfg!(miri) { &[1, 4, 16] } else { &[1, 2, 3, 4, 8, 16] };
    let lengths: &[u64] = if cfg!(miri) { &[65] } else { &[63, 129, 257] };
    for &item in sizes {
        for &rows in lengths {
            for &columns in lengths {
                let (from, to) = ([512 * item, item], [item, 512 * item]);
                if !cfg!(miri) || columns * rows < 5000 {
                    check(&[rows, columns], item, BoxLayout { offset: 3, strides: &from }, BoxLayout { offset: 5, strides: &to });
                }
            }
        }
    }
}

/// Large enough to go past the cache, with rows at any alignment.
#[test]
#[cfg_attr(miri, ignore = "too large")]
fn large_boxes_equal_the_definition() {
    for (item, rows, columns) in [(3, 1401, 1001), (4, 1201, 903), (16, 1100, 303)] {
        for (gap, offset) in [(0, 0), (item, 4)] {
            let (from, to) = ([columns * item + gap, item], [item, rows * item + gap]);
            let shape = [rows as u64, columns as u64];
            check(&shape, item, BoxLayout { offset, strides: &from }, BoxLayout { offset, strides: &to });
        }
    }
}

/// What `preset` does: one value for a box.
#[test]
fn a_value_is_repeated() {
    for item in (1..=40).chain([256, 257, 600]) {
        for len in [1_u64, 2, 13, 300] {
            for gap in [0, item] {
                let to = [to_usize(len) * item + gap, item];
                check(&[3, len], item, BoxLayout { offset: 1, strides: &[0, 0] }, BoxLayout { offset: 2, strides: &to });
                check(&[3, len], item, BoxLayout { offset: 1, strides: &[item, 0] }, BoxLayout { offset: 2, strides: &to });
            }
        }
    }
}

#[test]
fn axes_are_reduced() {
    let reduced = |shape: &[u64], item, from: &[usize], to: &[usize]| {
        let mut axes = [Axis::default(); USUAL_RANK];
        let (count, run) = reduce(shape, item, from, to, &mut axes);
        (axes[..count].to_vec(), run)
    };
    assert_eq!(reduced(&[4, 1, 5], 2, &[10, 10, 2], &[10, 99, 2]), (vec![], 40));
    assert_eq!(reduced(&[4, 5], 2, &[16, 2], &[10, 2]), (vec![Axis { len: 4, from: 16, to: 10 }], 10));
    assert_eq!(reduced(&[2, 4, 5], 2, &[80, 20, 4], &[40, 10, 2]), (vec![Axis { len: 40, from: 4, to: 2 }], 2));
    let turned = vec![Axis { len: 5, from: 2, to: 8 }, Axis { len: 4, from: 10, to: 2 }];
    assert_eq!(reduced(&[4, 5], 2, &[10, 2], &[2, 8]), (turned, 2));
}

/// A box that reaches outside is refused before anything is written, however far it reaches.
#[test]
fn boxes_outside_their_buffers_panic() {
    let copy = |shape: &[u64], source: usize, from: (usize, [usize; 2]), target: usize, to: (usize, [usize; 2])| {
        let (source, mut target) = (vec![1; source], vec![0; target]);
        let (from, to) = (BoxLayout { offset: from.0, strides: &from.1 }, BoxLayout { offset: to.0, strides: &to.1 });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| copy_box(shape, 4, &source, from, &mut target, to)));
        if outcome.is_err() {
            assert!(target.iter().all(|&byte| byte == 0), "nothing is written");
        }
        outcome.is_ok()
    };
    let (near, far) = ((0, [12, 4]), (0, [4, 8]));
    assert!(copy(&[2, 3], 24, near, 24, far));
    assert!(!copy(&[2, 3], 23, near, 24, far));
    assert!(!copy(&[2, 3], 24, near, 23, far));
    assert!(!copy(&[2, 3], 24, (1, near.1), 24, far));
    assert!(!copy(&[2, 3], 24, near, 24, (1, far.1)));
    assert!(!copy(&[2, 3], 24, (25, near.1), 24, far));
    assert!(!copy(&[3, 3], 24, (0, [usize::MAX / 2 + 1, 4]), 24, far));
    assert!(!copy(&[u64::MAX, 3], 24, (0, [0, 0]), 24, far));
}
