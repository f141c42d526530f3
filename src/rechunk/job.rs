//! What a rechunk of a path consists of: the nodes below it, the layout that each array gets, and a plan for each.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::array::{Array, Selection, check_node_name, unsupported_document};
use crate::error::{Error, Result};
use crate::group::Node;
use crate::metadata::{ArrayMetadata, GroupMetadata, NodeMetadata};
use crate::publish::open_path;
use crate::rechunk::becoming::{Becoming, Taken};
use crate::rechunk::carry::Carried;
use crate::rechunk::options::{RechunkOptions, Shards};
use crate::rechunk::plan::{Plan, Problem, growth, plan_beside};
use crate::rechunk::report::ArrayReport;
use crate::rechunk::run::problem;
use crate::store::{Key, MemoryStore, ReadMode, Reads, Store};

/// An array to be rechunked: where it is below the root, what it becomes, and how.
pub(crate) struct Task {
    pub(crate) path: String,
    pub(crate) taken: Taken,
    pub(crate) metadata: ArrayMetadata,
    pub(crate) problem: Problem,
    pub(crate) plan: Plan,
}

/// All that a rechunk of a path will do.
pub(crate) struct Job {
    pub(crate) source: Arc<dyn Store>,
    pub(crate) tasks: Vec<Task>,
    /// Nodes that need what this build does not have.
    pub(crate) carried: Vec<Carried>,
    /// Groups, parents first.
    pub(crate) groups: Vec<GroupTask>,
    /// What is held of documents, and of the directory of a zip file, for the whole run, in bytes.
    document_bytes: u64,
}

/// A group of the target: where it is below the root, its document without consolidated metadata, and whether it gets such.
pub(crate) struct GroupTask {
    pub(crate) path: String,
    pub(crate) metadata: GroupMetadata,
    pub(crate) consolidate: bool,
}

/// What a node takes beside the text of its document: its plan and open arrays.
const NODE_BYTES: usize = 4 << 10;

impl Job {
    /// Looks at the source and plans every array, before anything is written.
    pub(crate) fn prepare(source: &Path, options: &RechunkOptions<'_>, budget_bytes: u64) -> Result<Self> {
        Self::prepare_in(open_store(source, options.read_mode)?, options, budget_bytes)
    }

    /// As [`Job::prepare`], for the root of a store.
    pub(crate) fn prepare_in(store: Arc<dyn Store>, options: &RechunkOptions<'_>, budget_bytes: u64) -> Result<Self> {
        let mut job =
            Self { source: store.clone(), tasks: Vec::new(), carried: Vec::new(), groups: Vec::new(), document_bytes: store.held_bytes() };
        match Node::open_in(store.clone(), Key::root())? {
            Node::Array(array) => {
                if let Some(selection) = &options.selection {
                    selection.resolve(array.metadata()).map_err(|error| named(error, &array))?;
                }
                job.count_document(array.metadata().text_bytes());
                job.add(String::new(), array, true, options, budget_bytes)?;
            }
            Node::Group(group) => {
                job.add_group_document(String::new(), group.metadata().clone())?;
                let (mut arrays, mut keys) = (Vec::new(), Vec::new());
                group.walk_found(&mut |path, key, node| {
                    path.rsplit('/').next().map_or(Ok(()), check_node_name)?;
                    match node {
                        Ok(NodeMetadata::Array(metadata)) => {
                            job.count_document(metadata.text_bytes());
                            keys.push(key.clone());
                            arrays.push((path.to_owned(), *metadata));
                        }
                        Ok(NodeMetadata::Group(metadata)) => job.add_group_document(path.to_owned(), *metadata)?,
                        Err(error) => job.carry((path, key), error, budget_bytes)?,
                    }
                    job.check_documents(budget_bytes)
                })?;
                job.add_group(arrays, keys, options, budget_bytes)?;
            }
        }
        Ok(job)
    }

    fn add_group_document(&mut self, path: String, metadata: GroupMetadata) -> Result<()> {
        let consolidate = metadata.is_consolidated();
        // Copies that are written anew are held twice then: as documents, and as text.
        let copies_bytes = if consolidate { 2 * metadata.text_bytes() } else { 0 };
        let metadata = metadata.with_consolidated(None)?;
        self.count_document(metadata.text_bytes().saturating_add(copies_bytes));
        self.groups.push(GroupTask { path, metadata, consolidate });
        Ok(())
    }

    fn count_document(&mut self, text_bytes: usize) {
        self.document_bytes = self.document_bytes.saturating_add((text_bytes + NODE_BYTES) as u64);
    }

    /// Refuses a hierarchy whose documents alone exceed the budget while they are being read (RCK-4).
    fn check_documents(&self, budget_bytes: u64) -> Result<()> {
        if self.document_bytes <= budget_bytes {
            return Ok(());
        }
        let what = String::from(
            "the metadata documents of this group (and the directory of a zip file) are held for the whole run, and more are to come",
        );
        Err(Error::BudgetTooSmall { required_bytes: self.document_bytes, budget_bytes, what })
    }

    /// RCK-15: what is whole, but needs what this build does not have, travels along unread.
    fn carry(&mut self, (path, key): (&str, &Key), error: Error, budget_bytes: u64) -> Result<()> {
        let reason = match &error {
            // What is needed; what is supported follows behind a semicolon.
            Error::Unsupported { what, .. } => what.split("; ").next().unwrap_or_default().to_owned(),
            _ => return Err(error),
        };
        unsupported_document(&*self.source, key, error)?;
        self.carried.push(Carried::prepare(&*self.source, (path.to_owned(), key.clone()), reason, budget_bytes)?);
        Ok(())
    }

    fn add_group(
        &mut self,
        arrays: Vec<(String, ArrayMetadata)>,
        keys: Vec<Key>,
        options: &RechunkOptions<'_>,
        budget_bytes: u64,
    ) -> Result<()> {
        if !arrays.iter().any(|(path, metadata)| is_meant(path, metadata, options)) {
            return Err(self.no_array(&arrays, options));
        }
        if let Some(selection) = &options.selection {
            self.check_selection(selection, &arrays)?;
        }
        let mut too_small: Option<Error> = None;
        for ((path, metadata), key) in arrays.into_iter().zip(keys) {
            let array = Array::with_metadata(self.source.clone(), key, metadata)?;
            let meant = is_meant(&path, array.metadata(), options);
            match self.add(path, array, meant, options, budget_bytes) {
                // All arrays are looked at, so that the budget that is named is enough for each of them.
                Err(error @ Error::BudgetTooSmall { .. }) => too_small = Some(larger(too_small, error)),
                added => added?,
            }
        }
        too_small.map_or(Ok(()), Err)
    }

    /// RCK-19: what is selected of a group is said by dimension names, each of which some array has.
    fn check_selection(&self, selection: &Selection, arrays: &[(String, ArrayMetadata)]) -> Result<()> {
        let known = |name: &str| {
            arrays.iter().any(|(_, array)| array.dimension_names().is_some_and(|names| names.iter().flatten().any(|known| known == name)))
        };
        let what = match selection.names() {
            None => String::from("of a group, give dimension names"),
            Some(names) => match names.into_iter().find(|name| !known(name)) {
                Some(name) => format!("no array of this group has a dimension {name:?}"),
                None => return Ok(()),
            },
        };
        Err(Error::invalid(format!("{}: selection [{selection}]: {what}", self.source.locate(&Key::root()))))
    }

    /// Adds an array: as the options say where it is meant, and otherwise as it is, but for the part that is taken.
    fn add(&mut self, path: String, source: Array, meant: bool, options: &RechunkOptions<'_>, budget_bytes: u64) -> Result<()> {
        let Becoming { taken, target } = Becoming::of(&source, meant, options).map_err(|error| named(error, &source))?;
        NodeMetadata::Array(Box::new(target.clone())).check_size().map_err(|error| named(error, &source))?;
        // Planning asks the target array for sizes only; nothing is stored here.
        let shown = Array::with_metadata(Arc::new(MemoryStore::new()), Key::root(), target.clone())?;
        let problem = problem(&taken.source, &shown, &taken.region, &options.costs);
        let plan = plan_beside(&problem, budget_bytes, self.document_bytes, options.threads).map_err(|error| named(error, &source))?;
        self.tasks.push(Task { path, taken, metadata: target, problem, plan });
        Ok(())
    }

    /// The error where no array has what the options name: what there is instead.
    fn no_array(&self, arrays: &[(String, ArrayMetadata)], options: &RechunkOptions<'_>) -> Error {
        let known = |(path, metadata): &(String, ArrayMetadata)| {
            format!("{path} {:?} ({})", metadata.shape(), crate::rechunk::spec::known_names(metadata))
        };
        let unread = self.carried.iter().map(|node| format!("{} (unsupported: {})", node.path, node.reason));
        let list: Vec<String> = arrays.iter().map(known).chain(unread).take(8).collect();
        let shards = match &options.shards {
            Shards::Of(spec) => Some(format!("shards {spec}")),
            Shards::Keep | Shards::Remove => None,
        };
        let asked: Vec<String> = options.chunks.iter().map(|spec| format!("chunks {spec}")).chain(shards).collect();
        Error::invalid(format!(
            "{}: no array of this group fits {}; it holds {}",
            self.source.locate(&Key::root()),
            if asked.is_empty() { String::from("what is asked for") } else { asked.join(" and ") },
            if list.is_empty() { String::from("no arrays") } else { list.join("; ") }
        ))
    }

    /// The plans alone: of the arrays, and then of what travels along unread.
    pub(crate) fn reports(&self) -> Vec<ArrayReport> {
        let report = |path: &String, unsupported, plan: &Plan| ArrayReport {
            path: path.clone(),
            unsupported,
            plan: plan.clone(),
            growth: Vec::new(),
            measured: None,
        };
        let arrays = self.tasks.iter().map(|task| report(&task.path, None, &task.plan));
        arrays.chain(self.carried.iter().map(|node| report(&node.path, Some(node.reason.clone()), &node.plan))).collect()
    }

    /// The plans alone, and how what they take grows with the arrays.
    pub(crate) fn grown(&self, options: &RechunkOptions<'_>, budget_bytes: u64) -> Result<Vec<ArrayReport>> {
        let mut reports = self.reports();
        for (report, task) in reports.iter_mut().zip(&self.tasks) {
            report.growth = growth(&task.problem, budget_bytes, self.document_bytes, options.threads)?;
        }
        Ok(reports)
    }

    /// The plans of the arrays within another budget; none where there are none.
    pub(crate) fn planned_within(&self, budget_bytes: u64) -> Option<Vec<Plan>> {
        let threads = |plan: &Plan| plan.threads.max(plan.encode_threads);
        self.tasks.iter().map(|task| plan_beside(&task.problem, budget_bytes, self.document_bytes, threads(&task.plan)).ok()).collect()
    }

    /// A sentence for each node that travels along unread, and for each thing that codecs of the targets do otherwise than their names say.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        let notes: BTreeSet<String> = self.tasks.iter().flat_map(|task| task.metadata.layout().codecs.notes()).collect();
        let carried =
            self.carried.iter().map(|node| format!("{} is not rechunked, and travels along as it is: {}", node.path, node.reason));
        carried.chain(notes)
    }

    /// Upper bound of what will be written, spill files included but for their framing, in bytes.
    pub(crate) fn most_bytes(&self) -> u64 {
        // How large values are that travel along unread is not known.
        let unread = if self.carried.is_empty() { 0 } else { u64::MAX };
        let most = |plan: &Plan| plan.spilled_bytes.saturating_add(plan.encoded_bytes.max(plan.written_bytes_estimate));
        self.tasks.iter().map(|task| most(&task.plan)).fold(unread, u64::saturating_add)
    }

    /// The paths of all nodes below the root.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        let tasks = self.tasks.iter().map(|task| task.path.as_str());
        let carried = self.carried.iter().map(|node| node.path.as_str());
        let groups = self.groups.iter().map(|group| group.path.as_str());
        tasks.chain(carried).chain(groups).filter(|path| !path.is_empty())
    }

    /// Bytes of work in all arrays, as progress counts them.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.tasks.iter().map(|task| task.plan.work_bytes).fold(0, u64::saturating_add)
    }
}

/// A store for the whole of a run: what was read is not read again, so it need not stay in the page cache.
pub(crate) fn open_store(path: &Path, read_mode: ReadMode) -> Result<Arc<dyn Store>> {
    open_path(path, Reads { mode: read_mode, drop_behind: true })
}

/// Of two budgets that are too small, the one that needs more.
fn larger(known: Option<Error>, other: Error) -> Error {
    let required = |error: &Error| match error {
        Error::BudgetTooSmall { required_bytes, .. } => *required_bytes,
        _ => 0,
    };
    known.filter(|known| required(known) >= required(&other)).unwrap_or(other)
}

/// Adds which array an argument does not fit.
pub(crate) fn named(error: Error, array: &Array) -> Error {
    match error {
        Error::InvalidArgument { what } => Error::InvalidArgument { what: format!("{}: {what}", array.path()) },
        Error::BudgetTooSmall { required_bytes, budget_bytes, what } => {
            Error::BudgetTooSmall { required_bytes, budget_bytes, what: format!("{}: {what}", array.path()) }
        }
        other => other,
    }
}

/// In a group, the arrays that have what the options name are rechunked; coordinate variables (1-D, named as their dimension) and all others
/// travel along as they are.
fn is_meant(path: &str, metadata: &ArrayMetadata, options: &RechunkOptions<'_>) -> bool {
    let shards = match &options.shards {
        Shards::Of(spec) => Some(spec),
        Shards::Keep | Shards::Remove => None,
    };
    !is_coordinate(path, metadata) && !metadata.shape().is_empty() && options.chunks.iter().chain(shards).all(|spec| spec.fits(metadata))
}

fn is_coordinate(path: &str, metadata: &ArrayMetadata) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    matches!(metadata.dimension_names(), Some([Some(dimension)]) if dimension == name)
}
