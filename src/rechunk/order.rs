//! The order of visits: index boxes walked tile by tile, so that what belongs together is done together.

use crate::grid::ChunkGrid;
use crate::region::{Indices, Region};

/// All index vectors of a box, visited tile by tile: the outer tiles one after another, inside each the next smaller tiles, and so on. On every
/// level the axis named first in `axes` is the slowest.
pub(crate) struct TiledIndices {
    /// Tile shapes from the outermost to the innermost, which is single indices.
    tiles: Vec<Vec<u64>>,
    axes: Vec<usize>,
    levels: Vec<Level>,
}

/// A box on its way through its tiles.
struct Level {
    grid: ChunkGrid,
    origin: Vec<u64>,
    /// Tile indices with their axes in the order of the walk.
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
        let Ok(grid) = ChunkGrid::regular(region.shape(), self.tiles[self.levels.len()].clone()) else {
            unreachable!("tiles have the rank of the region and no zero edges");
        };
        let counts = grid.counts();
        let ordered: Vec<u64> = self.axes.iter().map(|&axis| counts[axis]).collect();
        self.levels.push(Level { grid, origin: region.start().to_vec(), tiles: Region::whole(&ordered).indices() });
    }
}

impl Iterator for TiledIndices {
    type Item = Vec<u64>;

    fn next(&mut self) -> Option<Vec<u64>> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(ordered) = level.tiles.next() else {
                self.levels.pop();
                continue;
            };
            let mut tile = vec![0; ordered.len()];
            for (position, &axis) in self.axes.iter().enumerate() {
                tile[axis] = ordered[position];
            }
            let inside = level.grid.region(&tile);
            let start: Vec<u64> = inside.start().iter().zip(&level.origin).map(|(a, b)| a + b).collect();
            if self.levels.len() == self.tiles.len() {
                return Some(start);
            }
            let Ok(region) = Region::new(start, inside.shape()) else { unreachable!("a part of a region") };
            self.enter(&region);
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
