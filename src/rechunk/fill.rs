//! Building the whole target in its stage: array after array, then what travels along unread, then the documents of groups.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::array::Array;
use crate::error::{Error, Result};
use crate::group::Group;
use crate::metadata::{DOCUMENT, NodeMetadata};
use crate::publish::Stage;
use crate::rechunk::checkpoints::Checkpoints;
use crate::rechunk::execute::Control;
use crate::rechunk::job::Job;
use crate::rechunk::journal::{Checkpoint, Position};
use crate::rechunk::plan::Steps;
use crate::rechunk::report::{Measured, Progress};
use crate::rechunk::{RechunkOptions, run, watched};
use crate::store::{Key, Store};

/// What was done.
pub(super) struct Filled {
    /// Of each array, and of each node that travels along unread; of those that were complete, nothing.
    pub(super) measured: Vec<Measured>,
    /// Bytes of work that an earlier run had done.
    pub(super) resumed_bytes: u64,
    /// The fingerprint of the source when the run began, where it was looked at.
    pub(super) source: Option<String>,
}

/// Where the target is built, and from what.
pub(super) struct Site<'a> {
    pub(super) job: &'a Job,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) stage: &'a Stage,
    pub(super) spill_dir: &'a Path,
    pub(super) checkpoints: Option<&'a Checkpoints>,
}

impl Site<'_> {
    /// Builds what is not there yet.
    pub(super) fn fill(&self, options: &mut RechunkOptions<'_>) -> Result<Filled> {
        let begin = self.checkpoints.and_then(Checkpoints::begin);
        begin.map_or(Ok(()), |begin| self.check(&begin))?;
        let complete = begin.map_or(0, |begin| begin.nodes);
        let (mut filled, mut before) = (Filled { measured: Vec::new(), resumed_bytes: 0, source: None }, 0);
        filled.source = self.checkpoints.map(|checkpoints| checkpoints.source().to_owned());
        for (number, task) in (0..).zip(&self.job.tasks) {
            if number < complete {
                filled.measured.push(Measured::default());
                filled.resumed_bytes = filled.resumed_bytes.saturating_add(task.plan.work_bytes);
            } else {
                let control = self.control(number, options.cancel)?;
                filled.resumed_bytes = filled.resumed_bytes.saturating_add(control.done_bytes.load(Ordering::Relaxed));
                let target = Array::with_metadata(self.store.clone(), self.below(&task.path)?, task.metadata.clone())?;
                let document = self.document(&task.path)?;
                let work = || {
                    let done = run::run(&task.taken, (&target, &document), &task.plan, self.spill_dir, &control);
                    done.map_err(|error| task.taken.explain(error))
                };
                filled.measured.push(self.watched(work, &task.path, (&control, before), options)?);
            }
            before = task.plan.work_bytes.saturating_add(before);
        }
        let arrays = self.job.tasks.len() as u64;
        for (number, node) in (arrays..).zip(&self.job.carried) {
            if number < complete {
                filled.measured.push(Measured::default());
                continue;
            }
            let control = self.control(number, options.cancel)?;
            let target = self.below(&node.path)?;
            let work = || node.copy(&*self.job.source, &**self.store, &target, &control);
            filled.measured.push(self.watched(work, &node.path, (&control, before), options)?);
        }
        self.write_groups()?;
        Ok(filled)
    }

    /// Refuses a checkpoint that says more than there is; of items, the strategies do (JRN-3).
    fn check(&self, begin: &Checkpoint) -> Result<()> {
        let corrupt = |what: String| Err(Error::corrupt(what).at(&self.store.locate(self.stage.prefix())));
        let nodes = (self.job.tasks.len() + self.job.carried.len()) as u64;
        if begin.nodes > nodes {
            return corrupt(format!("a journal says that {} nodes are complete, of {nodes} that there are", begin.nodes));
        }
        let task = usize::try_from(begin.nodes).ok().and_then(|number| self.job.tasks.get(number));
        let work_bytes = task.map_or(0, |task| task.plan.work_bytes);
        let before_bytes = begin.position.block.map_or(0, |block| block.before_bytes);
        if before_bytes > begin.done_bytes || begin.done_bytes > work_bytes {
            return corrupt(format!("a journal says that {} bytes of work are done, of {work_bytes} that there are", begin.done_bytes));
        }
        let has_blocks = task.is_some_and(|task| matches!(task.plan.steps, Steps::Shuffle(_)));
        if (begin.position.items > 0 && task.is_none()) || (begin.position.block.is_some() && !has_blocks) {
            return corrupt(format!("a journal says that node {} is half done, which has no such parts", begin.nodes));
        }
        Ok(())
    }

    /// For the node of this number, before which all are complete.
    fn control<'c>(&'c self, number: u64, cancel: Option<&'c AtomicBool>) -> Result<Control<'c>> {
        let control = Control::of_node(cancel, self.checkpoints, number);
        if let Some(checkpoints) = self.checkpoints {
            checkpoints.complete(number);
            if checkpoints.is_due() || (checkpoints.is_in_block() && control.begin == Position::default()) {
                control.checkpoint(Position::default())?;
            }
        }
        Ok(control)
    }

    fn watched<T: Send>(
        &self,
        work: impl FnOnce() -> Result<T> + Send,
        path: &str,
        (control, before): (&Control<'_>, u64),
        options: &mut RechunkOptions<'_>,
    ) -> Result<T> {
        let total_bytes = self.job.total_bytes();
        watched(work, || {
            if let Some(progress) = options.progress.as_mut() {
                let done_bytes = control.done_bytes.load(Ordering::Relaxed).saturating_add(before);
                progress(&Progress { array: path.to_owned(), done_bytes, total_bytes });
            }
        })
    }

    /// Writes the documents of the groups: last, and children first, so that a group that can be opened is complete.
    fn write_groups(&self) -> Result<()> {
        for group in self.job.groups.iter().rev() {
            let metadata = if group.consolidate {
                Group::consolidated(self.store.clone(), self.below(&group.path)?, group.metadata.clone())?
            } else {
                group.metadata.clone()
            };
            NodeMetadata::Group(Box::new(metadata)).stage(&**self.store, &self.document(&group.path)?)?;
        }
        Ok(())
    }

    /// Where the document of the node `path` goes: that of the root gets its name last of all.
    fn document(&self, path: &str) -> Result<Key> {
        if path.is_empty() { self.stage.document() } else { self.stage.prefix().join(path)?.join(DOCUMENT) }
    }

    fn below(&self, path: &str) -> Result<Key> {
        if path.is_empty() { Ok(self.stage.prefix().clone()) } else { self.stage.prefix().join(path) }
    }
}
