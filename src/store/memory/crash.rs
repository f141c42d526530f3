//! What a power cut leaves of a [`MemoryStore`].
//!
//! The model is that of a file system that promises nothing but this: what was synced is there, and a step in the tree of names (to
//! make, rename, exchange or remove) happens whole or not at all. Steps since the last sync may be lost singly and in any order, and the
//! bytes of a file independently of its name, sector by sector.

use std::sync::Arc;

use parking_lot::Mutex;

use super::image::{Image, Node};
use super::{MemoryStore, State};

/// The unit in which bytes reach the disk.
const SECTOR_BYTES: usize = 512;

impl MemoryStore {
    /// The store that a power cut leaves when nothing since the last [`Store::sync`](crate::Store::sync) has reached the disk.
    pub fn crash(&self) -> Self {
        let mut image = self.state.lock().durable.clone();
        image.drop_unreachable();
        Self::holding(image)
    }

    /// The store that a power cut leaves when a random part of what was done since the last [`Store::sync`](crate::Store::sync) has
    /// reached the disk, in no order: each name is independently old or new, and so are the sectors of 512 bytes of each value. Renames
    /// and exchanges are never halved. The same seed gives the same store.
    pub fn crash_with(&self, seed: u64) -> Self {
        let state = self.state.lock();
        let mut random = Random(seed);
        // From crashes that lose nearly all to crashes that lose nearly nothing.
        let survivors_of_16 = 1 + random.below(15);
        let mut image = state.durable.clone();
        for change in &state.journal {
            if random.below(16) >= survivors_of_16 {
                continue;
            }
            let known = |id| image.nodes.contains_key(&id) || state.live.nodes.contains_key(&id);
            let placed = |image: &Image| change.links.iter().all(|link| image.nodes.contains_key(&link.parent));
            if !placed(&image) || !change.links.iter().filter_map(|link| link.new).all(known) {
                // The prefix that it belongs in is lost, or its node is gone by now: as if the step were lost.
                continue;
            }
            image.take(change, &state.live);
        }
        tear_values(&mut image, &state.live, &mut random);
        image.drop_unreachable();
        Self::holding(image)
    }

    fn holding(image: Image) -> Self {
        let last_id = image.nodes.keys().copied().max().unwrap_or_default();
        let state = State { live: image.clone(), durable: image, last_id, ..State::default() };
        Self { state: Mutex::new(state), ..Self::default() }
    }
}

/// Gives each value whose bytes have changed since the last sync its old bytes, its new bytes, or some sectors of either.
fn tear_values(image: &mut Image, live: &Image, random: &mut Random) {
    let mut ids: Vec<_> = image.nodes.keys().copied().collect();
    ids.sort_unstable();
    for id in ids {
        let (Some(Node::Value(old)), Some(Node::Value(new))) = (image.nodes.get_mut(&id), live.nodes.get(&id)) else { continue };
        if Arc::ptr_eq(old, new) {
            continue;
        }
        match random.below(3) {
            0 => {}
            1 => *old = Arc::clone(new),
            _ => {
                // The new length with old bytes, or zeros, where sectors have not been written.
                let mut torn = old.as_ref().clone();
                torn.resize(new.len(), 0);
                for (torn, new) in torn.chunks_mut(SECTOR_BYTES).zip(new.chunks(SECTOR_BYTES)) {
                    if random.below(2) == 1 {
                        torn.copy_from_slice(new);
                    }
                }
                *old = Arc::new(torn);
            }
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
