//! Chunks by number, in the order in which they lie in files, and boxes.

use crate::job::{Job, Layout};

/// A box of elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Box {
    pub(crate) start: Vec<usize>,
    pub(crate) shape: Vec<usize>,
}

impl Box {
    /// None if they do not meet.
    pub(crate) fn intersection(&self, other: &Self) -> Option<Self> {
        let mut out = self.clone();
        for axis in 0..self.start.len() {
            let start = self.start[axis].max(other.start[axis]);
            let end = (self.start[axis] + self.shape[axis]).min(other.start[axis] + other.shape[axis]);
            if start >= end {
                return None;
            }
            (out.start[axis], out.shape[axis]) = (start, end - start);
        }
        Some(out)
    }
}

/// The chunks of an array, numbered file by file; without shards each chunk is a file.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    item: usize,
    chunk: Vec<usize>,
    file: Vec<usize>,
    /// Files along each axis, and chunks of a file along each axis.
    files: Vec<usize>,
    inner: Vec<usize>,
}

impl Grid {
    pub(crate) fn new(job: &Job, layout: &Layout) -> Self {
        let ratio = |a: &[usize], b: &[usize]| a.iter().zip(b).map(|(a, b)| a / b).collect::<Vec<_>>();
        let file = layout.file().to_vec();
        Self { item: job.item, files: ratio(&job.shape, &file), inner: ratio(&file, &layout.chunks), chunk: layout.chunks.clone(), file }
    }

    pub(crate) fn files(&self) -> usize {
        self.files.iter().product()
    }

    pub(crate) fn chunks_a_file(&self) -> usize {
        self.inner.iter().product()
    }

    pub(crate) fn chunks(&self) -> usize {
        self.files() * self.chunks_a_file()
    }

    pub(crate) fn chunk_shape(&self) -> &[usize] {
        &self.chunk
    }

    pub(crate) fn chunk_bytes(&self) -> usize {
        self.chunk.iter().product::<usize>() * self.item
    }

    /// Name of a file below the array.
    pub(crate) fn key(&self, file: usize) -> String {
        unravel(file, &self.files).iter().fold("c".to_owned(), |key, at| format!("{key}/{at}"))
    }

    pub(crate) fn chunk(&self, number: usize) -> Box {
        let file = unravel(number / self.chunks_a_file(), &self.files);
        let inner = unravel(number % self.chunks_a_file(), &self.inner);
        let start = (0..file.len()).map(|axis| file[axis] * self.file[axis] + inner[axis] * self.chunk[axis]);
        Box { start: start.collect(), shape: self.chunk.clone() }
    }

    /// The numbers of the chunks that meet a box, along the grid.
    pub(crate) fn meeting(&self, part: &Box) -> Vec<usize> {
        let rank = part.start.len();
        let first: Vec<usize> = (0..rank).map(|axis| part.start[axis] / self.chunk[axis]).collect();
        let counts: Vec<usize> =
            (0..rank).map(|axis| (part.start[axis] + part.shape[axis]).div_ceil(self.chunk[axis]) - first[axis]).collect();
        let number = |at: usize| {
            let offset = unravel(at, &counts);
            let (mut file, mut inner) = (0, 0);
            for axis in 0..rank {
                let chunk = first[axis] + offset[axis];
                file = file * self.files[axis] + chunk / self.inner[axis];
                inner = inner * self.inner[axis] + chunk % self.inner[axis];
            }
            file * self.chunks_a_file() + inner
        };
        (0..counts.iter().product()).map(number).collect()
    }
}

fn unravel(mut number: usize, counts: &[usize]) -> Vec<usize> {
    let mut out = vec![0; counts.len()];
    for axis in (0..counts.len()).rev() {
        out[axis] = number % counts[axis];
        number /= counts[axis];
    }
    out
}
