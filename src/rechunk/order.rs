//! The order of visits: index boxes walked tile by tile, so that what belongs together is done together.

use crate::region::{Indices, Region};

/// All index vectors of a box, visited tile by tile: the outer tiles one after another, inside each the next smaller tiles, and so on. Tiles of all
/// levels begin at multiples of their edges, wherever the box begins. On every level the axis named first in `axes` is the slowest.
pub(crate) struct TiledIndices {
    /// Tile shapes from the outermost to the innermost, which is single indices.
    tiles: Vec<Vec<u64>>,
    axes: Vec<usize>,
    levels: Vec<Level>,
}

/// A box on its way through its tiles.
struct Level {
    region: Region,
    /// Indices of the tiles that meet the box, with their axes in the order of the walk.
    tiles: Indices,
}

impl TiledIndices {
    /// A walk over `region` through nested `tiles`, outermost first.
    pub(crate) fn new(region: &Region, tiles: &[Vec<u64>], axes: &[usize]) -> Self {
        let mut tiles = tiles.to_vec();
        tiles.push(vec![1; region.rank()]);
        let mut walk = Self { tiles, axes: axes.to_vec(), levels: Vec::new() };
        walk.enter(region);
        walk
    }

    fn enter(&mut self, region: &Region) {
        let edges = &self.tiles[self.levels.len()];
        let first = |axis: usize| region.start()[axis] / edges[axis];
        let count = |axis: usize| if region.shape()[axis] == 0 { 0 } else { (region.end(axis) - 1) / edges[axis] - first(axis) + 1 };
        let (start, shape): (Vec<u64>, Vec<u64>) = self.axes.iter().map(|&axis| (first(axis), count(axis))).unzip();
        let Ok(tiles) = Region::new(start, shape) else { unreachable!("tile indices are smaller than those of the box") };
        self.levels.push(Level { region: region.clone(), tiles: tiles.indices() });
    }
}

impl Iterator for TiledIndices {
    type Item = Vec<u64>;

    fn next(&mut self) -> Option<Vec<u64>> {
        loop {
            let depth = self.levels.len();
            let level = self.levels.last_mut()?;
            let Some(ordered) = level.tiles.next() else {
                self.levels.pop();
                continue;
            };
            let (region, rank) = (&level.region, ordered.len());
            let (mut start, mut shape) = (vec![0; rank], vec![0; rank]);
            let edges = &self.tiles[depth - 1];
            for (position, &axis) in self.axes.iter().enumerate() {
                let begin = ordered[position] * edges[axis];
                let end = begin.saturating_add(edges[axis]).min(region.end(axis));
                start[axis] = begin.max(region.start()[axis]);
                shape[axis] = end - start[axis];
            }
            if depth == self.tiles.len() {
                return Some(start);
            }
            let Ok(inside) = Region::new(start, shape) else { unreachable!("a part of a region") };
            self.enter(&inside);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tiles_come_one_after_another_with_the_named_axis_slowest() {
        let region = Region::new([0, 0], [2, 4]).unwrap();
        let walk: Vec<_> = TiledIndices::new(&region, &[vec![2, 2]], &[1, 0]).collect();
        assert_eq!(walk[..4], [[0, 0], [1, 0], [0, 1], [1, 1]]);
        assert_eq!(walk[4..], [[0, 2], [1, 2], [0, 3], [1, 3]]);
    }

    #[test]
    fn tiles_are_those_of_the_whole_grid_wherever_the_box_begins() {
        let region = Region::new([3], [4]).unwrap();
        let walk: Vec<_> = TiledIndices::new(&region, &[vec![5]], &[0]).map(|index| index[0] / 5).collect();
        assert_eq!(walk, [0, 0, 1, 1]);
        let region = Region::new([1, 1], [3, 2]).unwrap();
        let walk: Vec<_> = TiledIndices::new(&region, &[vec![2, 2]], &[0, 1]).collect();
        assert_eq!(walk, [[1, 1], [1, 2], [2, 1], [3, 1], [2, 2], [3, 2]]);
    }

    proptest! {
        #[test]
        fn every_index_comes_once(
            axes in prop::collection::vec((0_u64..5, 0_u64..6, 1_u64..5, 1_u64..5), 0..4),
        ) {
            let region = Region::new(axes.iter().map(|a| a.0).collect::<Vec<_>>(), axes.iter().map(|a| a.1).collect::<Vec<_>>()).unwrap();
            let inner: Vec<u64> = axes.iter().map(|a| a.2).collect();
            let outer: Vec<u64> = axes.iter().map(|a| a.2 * a.3).collect();
            let order: Vec<usize> = (0..axes.len()).rev().collect();
            let mut walk: Vec<_> = TiledIndices::new(&region, &[outer, inner], &order).collect();
            walk.sort();
            prop_assert_eq!(walk, region.indices().collect::<Vec<_>>());
        }
    }
}
