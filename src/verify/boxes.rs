//! Comparing two arrays box by box, where a grid is rectilinear or elements are of variable length.

use parking_lot::Mutex;

use crate::array::{Array, ReadCounts};
use crate::buffer::resize;
use crate::error::Result;
use crate::rechunk::execute::Control;
use crate::rechunk::gather::{Boxes, Opened, Task, count_reads, deliver, each_box, each_table};
use crate::region::{Region, element_count, to_usize};

/// What one thread reuses from box to box: the elements of either side.
#[derive(Default)]
struct Pair {
    a: Vec<u8>,
    b: Vec<u8>,
}

/// A comparison keeps nothing from box to box.
struct Nothing;

impl Opened for Nothing {
    fn open(_: &Array, _: bool) -> Self {
        Self
    }

    fn is_whole(&self) -> bool {
        true
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

/// The index of the first element found to differ, if any.
pub(super) fn compare(a: &Array, b: &Array, boxes: &Boxes, threads: usize, control: &Control<'_>) -> Result<Option<Vec<u64>>> {
    let first: Mutex<Option<Vec<u64>>> = Mutex::new(None);
    let note = |index: Vec<u64>| {
        let mut first = first.lock();
        if first.as_ref().is_none_or(|known| index < *known) {
            *first = Some(index);
        }
    };
    let pairs = std::iter::repeat_with(Pair::default).take(threads).collect();
    let start = vec![0; b.shape().len()];
    each_box((b, &start), boxes, pairs, control, |pair: &mut Pair, _: &Nothing, task| {
        let region = task.region()?;
        if a.data_type().is_variable_length() {
            return each_table(a, task, boxes.share_bytes, control, &mut |inside, elements| {
                // Elements that are equal take as much room on both sides.
                let other = task.array.read_ragged_within(inside, u64::MAX, &mut ReadCounts::default())?.unwrap_or_default();
                if let Some(position) = elements.iter().zip(other.iter()).position(|(a, b)| a != b) {
                    let shifted = Region::new(task.region()?.start(), task.inside.shape())?;
                    let at = index_at(inside, position);
                    note(at.iter().zip(shifted.start()).zip(task.inside.start()).map(|((at, begin), first)| at + begin - first).collect());
                }
                Ok(())
            });
        }
        let found = pair.first_difference(a, task, &region, control)?;
        if let Some(position) = found {
            note(index_at(&region, position));
        }
        Ok(())
    })?;
    Ok(first.into_inner())
}

/// The index in the array of the element at `position` of a box in C order.
fn index_at(region: &Region, mut position: usize) -> Vec<u64> {
    let mut index = region.start().to_vec();
    for (axis, &len) in region.shape().iter().enumerate().rev() {
        let len = to_usize(len).max(1);
        index[axis] += (position % len) as u64;
        position /= len;
    }
    index
}

impl Pair {
    /// The position in the box of the first element that differs.
    fn first_difference(&mut self, a: &Array, task: &Task<'_>, region: &Region, control: &Control<'_>) -> Result<Option<usize>> {
        let item = a.data_type().item_size();
        let bytes = to_usize(element_count(region.shape()).unwrap_or(u64::MAX)).saturating_mul(item);
        resize(&mut self.a, bytes)?;
        resize(&mut self.b, bytes)?;
        let mut counts = ReadCounts::default();
        a.read_chunks(region, &mut self.a, &mut counts)?;
        count_reads(control, counts);
        task.array.read_chunks(&task.inside, &mut self.b, &mut ReadCounts::default())?;
        deliver(control, bytes as u64, bytes as u64);
        let differ = (self.a != self.b).then(|| self.a.chunks_exact(item).zip(self.b.chunks_exact(item)).position(|(x, y)| x != y));
        Ok(differ.flatten())
    }
}
