//! Plans in which the pieces of source units are sorted by target through the spill file.

use super::arithmetic::{array_bytes, blocks, counts, seconds, total};
use super::levels::{chain, levels};
use super::partition::{cost_per_byte, partition_shape};
use super::streams::Mode;
use super::{Plan, Problem, Share, Steps, Strategy, assemble};
use crate::rechunk::cells::Cells;
use crate::region::element_count;
use crate::shuffle::{PARTITION_OVERHEAD_BYTES, SEGMENT_BYTES, Sizes};

/// In front of a record's elements: position of the source unit in its block (u64), and of the part in its piece (u32), little-endian.
pub(crate) const RECORD_HEADER_BYTES: usize = 12;

/// How a shuffle sorts.
#[derive(Clone, Debug)]
pub(crate) struct Sort {
    /// Size of the slab that all phases work in.
    pub(crate) slab_bytes: u64,
    /// Size of a partition with whole units, or of a slab of a unit.
    pub(crate) slot_bytes: u64,
    /// Sizes of records and segments.
    pub(crate) sizes: Sizes,
    /// Edges of the cells of each level, from the first to that of the partitions.
    pub(crate) levels: Vec<Vec<u64>>,
    /// Where source units are read slab after slab: shape of the slabs, and what a stream may take beside one, in bytes.
    pub(crate) granule: Option<(Vec<u64>, u64)>,
    /// Whether partitions are slabs of target units, which are written one after another.
    pub(crate) streamed: bool,
}

/// Levels of a shuffle at most: with cells of two hundred parts, enough for 10^18 partitions.
const MOST_LEVELS: usize = 8;

/// What candidates of one shuffle have in common.
struct Base<'p> {
    problem: &'p Problem,
    budget: u64,
    /// Threads that decode and cut, and threads that assemble and encode.
    threads: (usize, usize),
    block: &'p [u64],
    block_bytes: u64,
    mode: Mode,
}

/// RCK-12, RCK-20, RCK-22.
pub(super) fn shuffle(problem: &Problem, budget: u64, n: usize, m: usize) -> Option<Plan> {
    let block = blocks(&problem.shape, &problem.source.unit, &problem.target.chunk);
    let block_bytes = element_count(&block)?.checked_mul(problem.item_size as u64)?;
    let plans = Mode::ALL.into_iter().filter_map(|mode| {
        let base = Base { problem, budget, threads: (n, m), block: &block, block_bytes, mode };
        base.cheapest()
    });
    plans.min_by(|a, b| a.estimated_seconds.total_cmp(&b.estimated_seconds))
}

impl Base<'_> {
    /// The largest partitions that the budget feeds, of those limited to the size of a target unit (of the smallest segment) times a power of two: so few
    /// candidates, the same in every budget, make sure that what fits in a budget fits in a larger one. What fits is then made as large as the
    /// budget allows.
    fn cheapest(&self) -> Option<Plan> {
        let (n, m) = self.threads;
        let least = if self.mode.target { self.problem.least_segment_bytes as u64 } else { self.problem.target.unit_bytes };
        // Few partitions leave threads without work at the end.
        let share = if self.mode.target { self.problem.target.unit_bytes / 2 } else { self.block_bytes / (16 * n.max(m) as u64) };
        let most = (self.budget / m as u64).min(share.max(least));
        let doublings = (most / least).checked_ilog2()?;
        let found = (0..=doublings).rev().find_map(|doubling| self.within(least << doubling))?;
        Some(self.within(most).unwrap_or(found))
    }

    /// A shuffle with partitions of at most `limit` bytes, in segments of the size that makes it cheapest.
    fn within(&self, limit: u64) -> Option<Plan> {
        let (problem, m) = (self.problem, self.threads.1 as u64);
        let partition = if self.mode.target {
            let (side, _) = problem.target_stream(limit)?;
            side.slab(&problem.target.unit, limit / problem.item_size as u64)
        } else {
            partition_shape(problem, self.block, limit)
        };
        let slot_bytes = element_count(&partition)?.checked_mul(problem.item_size as u64)?;
        if slot_bytes.saturating_mul(m) > self.budget {
            return None;
        }
        let order = if self.mode.target { problem.streaming.as_ref().map(|streaming| streaming.target.order.as_slice()) } else { None };
        let chain = chain(problem, self.block, &partition, order);
        let sizes =
            std::iter::successors(Some(SEGMENT_BYTES), |size| Some(size / 2)).take_while(|&size| size >= problem.least_segment_bytes);
        let plans = sizes.filter_map(|size| self.in_segments(Sizes::new(size), &chain, slot_bytes));
        plans.min_by(|a, b| a.estimated_seconds.total_cmp(&b.estimated_seconds))
    }

    /// A shuffle whose first cells are the last of `chain`, in segments of one size.
    fn in_segments(&self, sizes: Sizes, chain: &[Vec<u64>], slot_bytes: u64) -> Option<Plan> {
        let (problem, (n, m)) = (self.problem, self.threads);
        let (target, block) = (&problem.target, self.block);
        let partition = chain.first()?;
        // One element and the header of its record must fit in a record.
        if sizes.record_bytes() < RECORD_HEADER_BYTES + problem.item_size {
            return None;
        }
        let granule = self.granule(sizes);
        if self.mode.source && granule.is_none() {
            return None;
        }
        let mut shares = vec![self.working(sizes, granule.as_ref())?];
        if problem.open_shard_bytes > 0 {
            let count = counts(partition, &target.chunk).saturating_mul(m as u64 + 1).min(counts(&problem.shape, &target.chunk));
            shares.push(Share { what: "indexes of shards in the making", count, each_bytes: problem.open_shard_bytes });
        }
        let most = self.block_bytes.saturating_mul(2).saturating_add(64 << 20);
        let room = self.budget.checked_sub(total(&shares))?;
        let slots = slot_bytes.saturating_mul(m as u64);
        let by_share = room.min(most).checked_sub(sizes.reserved_bytes(n))? / (sizes.share_bytes() as u64 + PARTITION_OVERHEAD_BYTES);
        // The chains of all levels above are kept while the lowest is sorted; they must not take what target units need.
        let beside = room.checked_sub(slots)? / PARTITION_OVERHEAD_BYTES;
        // The fewest levels; where what is kept of these leaves too small a slab, more and narrower ones.
        let mut widest = by_share;
        let (levels, fans, count, slab_bytes) = loop {
            let within = |most: usize| levels(chain, block, target, widest.min(beside / most as u64)).filter(|levels| levels.len() <= most);
            let levels = (1..=MOST_LEVELS).find_map(within)?;
            let fans = fans(&levels, block, target);
            widest = fans.iter().copied().max().unwrap_or(1);
            let count = fans.iter().copied().fold(0, u64::saturating_add);
            let slab_bytes = room.saturating_sub(count.saturating_mul(PARTITION_OVERHEAD_BYTES)).min(most.max(slots));
            if slab_bytes >= sizes.smallest_slab_bytes(widest, n).max(slots) {
                break (levels, fans, count, slab_bytes);
            }
            widest = widest.checked_sub(1).filter(|&widest| widest > 0)?;
        };
        shares.push(Share { what: "partitions of the shuffle", count, each_bytes: PARTITION_OVERHEAD_BYTES });
        shares.push(Share { what: "shuffle buffer, then target chunks", count: 1, each_bytes: slab_bytes });
        let level_count = levels.len() as u64;
        let estimated_seconds = self.seconds(sizes, (&levels, &fans), granule.as_ref(), slab_bytes);
        let sort = Sort { slab_bytes, slot_bytes, sizes, levels, granule, streamed: self.mode.target };
        let mut plan = assemble(problem, Strategy::Shuffle, self.budget, (n, m), shares, Steps::Shuffle(sort))?;
        plan.spilled_bytes = array_bytes(problem).saturating_mul(level_count);
        plan.levels = level_count;
        (plan.block, plan.partition, plan.partition_count) = (block.to_vec(), partition.clone(), counts(block, partition));
        plan.estimated_seconds = estimated_seconds;
        Some(plan)
    }

    /// The slabs in which source units are read, of the size of a segment at most, and what a stream takes beside one.
    fn granule(&self, sizes: Sizes) -> Option<(Vec<u64>, u64)> {
        let slab_bytes = sizes.segment_bytes() as u64;
        let (side, bytes) = self.problem.source_stream(slab_bytes).filter(|_| self.mode.source)?;
        Some((side.slab(&self.problem.source.unit, slab_bytes / self.problem.item_size as u64), bytes))
    }

    /// What threads work with, one phase after another: decoding and cutting, sorting further, and assembling and encoding.
    fn working(&self, sizes: Sizes, granule: Option<&(Vec<u64>, u64)>) -> Option<Share> {
        let (problem, (n, m)) = (self.problem, self.threads);
        let (record, read) = (sizes.record_bytes() as u64, sizes.read_bytes() as u64);
        let reader = match granule {
            Some((slab, stream)) => element_count(slab)?.checked_mul(problem.item_size as u64)?.checked_add(*stream)?,
            None => problem.reader_bytes,
        };
        let writer = if self.mode.target { problem.target_stream(0)?.1 } else { problem.writer_bytes };
        let first = reader.max(read).saturating_add(record);
        let last = writer.saturating_add(read);
        let what = "decoding source chunks, then encoding target chunks";
        if n == m {
            return Some(Share { what, count: n as u64, each_bytes: first.max(last) });
        }
        Some(Share { what, count: 1, each_bytes: first.saturating_mul(n as u64).max(last.saturating_mul(m as u64)) })
    }

    /// Estimated time of all phases.
    fn seconds(&self, sizes: Sizes, (levels, fans): (&[Vec<u64>], &[u64]), granule: Option<&(Vec<u64>, u64)>, slab_bytes: u64) -> f64 {
        let (problem, (n, m), costs) = (self.problem, self.threads, &self.problem.costs);
        let source = granule.map_or(&problem.source.unit, |(slab, _)| slab);
        let cut = |edges: &Vec<u64>| cost_per_byte(problem, source, self.block, edges);
        // Out and in: segments are about as long as a partition's share of the slab.
        let spill = |fan: &u64| {
            let segment = (slab_bytes / (*fan).max(1)).clamp(64, sizes.segment_bytes() as u64) as f64;
            costs.copy_ns + costs.write_ns + costs.read_ns + 2.0 * costs.call_ns / segment
        };
        let units = |side: &super::Side| counts(&problem.shape, &side.unit).saturating_mul(side.unit_bytes);
        let spills: f64 = fans.iter().map(spill).sum();
        let cuts: f64 = levels.iter().map(cut).sum();
        let last = levels.last().map_or(0.0, cut);
        // A stream passes through a window, and is one thread's; so is a chunk of which a cell holds a part.
        let through = |streamed: bool| if streamed { 2.0 * costs.copy_ns } else { 0.0 };
        let most = |count: u64, threads: usize| usize::try_from(count).unwrap_or(threads).clamp(1, threads);
        let decoding = most(counts(self.block, &problem.source.unit), n);
        let above = levels.len().checked_sub(2).map_or(self.block, |level| &levels[level]);
        let encoding = if self.mode.target { most(counts(above, &problem.target.chunk), m) } else { m };
        seconds(units(&problem.source), problem.decode_ns + through(granule.is_some()), decoding)
            + seconds(array_bytes(problem), cuts + spills, n)
            + seconds(units(&problem.target), problem.encode_ns + last + costs.write_ns + through(self.mode.target), encoding)
    }
}

/// The number of cells that each level cuts one of the level above into, at most.
fn fans(levels: &[Vec<u64>], block: &[u64], target: &super::Side) -> Vec<u64> {
    let above = std::iter::once(block).chain(levels.iter().map(Vec::as_slice));
    levels.iter().zip(above).map(|(edges, above)| Cells::new(block, edges, &target.unit, &target.chunk).most_within(above)).collect()
}
