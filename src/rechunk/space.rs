//! Whether there is room for what a rechunk will write: on the disks (RCK-40), and in memory where the spill file is there (RCK-41).

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process::FileSystem;
use crate::rechunk::job::{Job, Task};
use crate::rechunk::plan::{Moves, Plan, Steps};
use crate::region::{Region, element_count, unravel};
use crate::store::FilesystemStore;

/// As many chunks of an array are looked at, to know how many of them are stored.
const PROBES: u64 = 65_536;

/// Where a rechunk writes, and how much.
pub(crate) struct Space {
    target: Place,
    spill: Place,
    /// Whether files of the target can share their bytes with those of the source.
    shares: bool,
    /// Bytes of what travels along unread.
    carried_bytes: u64,
    needs: Needs,
}

/// A directory that is written to.
struct Place {
    directory: PathBuf,
    system: Option<FileSystem>,
}

/// What will be stored at any time at the most, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Needs {
    target: u64,
    spill: u64,
}

/// What is all of something, where a part of it is said.
const WHOLE: u64 = 1 << 16;

/// Of what the plan of a task says, the part that is needed.
#[derive(Clone, Copy)]
struct Part {
    target: u64,
    spill: u64,
}

/// A directory that is too small: what is needed there, and what is free.
struct Lack<'a> {
    place: &'a Place,
    needed_bytes: u64,
    free_bytes: u64,
}

impl Place {
    fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), system: FileSystem::of(directory) }
    }

    fn lack(&self, needed_bytes: u64) -> Option<Lack<'_>> {
        let free_bytes = self.system.as_ref()?.free_bytes?;
        (needed_bytes > free_bytes).then_some(Lack { place: self, needed_bytes, free_bytes })
    }
}

impl Lack<'_> {
    fn error(&self) -> Error {
        let path = self.place.directory.display().to_string();
        Error::DiskFull { path, needed_bytes: Some(self.needed_bytes), free_bytes: Some(self.free_bytes) }
    }

    /// Whether what is written there may take less room than it has bytes.
    fn is_unsure(&self) -> bool {
        self.place.system.as_ref().is_some_and(|system| system.compresses)
    }
}

impl Space {
    /// For a rechunk of `source` to what is made in the directory `target`.
    pub(crate) fn of(job: &Job, source: &Path, target: &Path, spill: &Path) -> Self {
        let (target, spill) = (Place::new(target), Place::new(spill));
        let device = FileSystem::of(source).map(|system| system.device);
        // Values in a zip file are no files.
        let files = job.source.as_any().is::<FilesystemStore>();
        let shares = files && target.system.as_ref().is_some_and(|system| system.shares && Some(system.device) == device);
        let carried_bytes = job.carried.iter().map(|node| node.plan.written_bytes_estimate).fold(0, u64::saturating_add);
        let mut space = Self { target, spill, shares, carried_bytes, needs: Needs::default() };
        space.needs = space.needs_of(job.tasks.iter().map(|task| (task, Part { target: WHOLE, spill: WHOLE })));
        space
    }

    /// Arrays are rechunked one after another, so that the largest spill file counts.
    fn needs_of<'t>(&self, parts: impl Iterator<Item = (&'t Task, Part)>) -> Needs {
        let carried = if self.shares { 0 } else { self.carried_bytes };
        parts.fold(Needs { target: carried, spill: 0 }, |needs, (task, part)| {
            let copied = self.shares && matches!(task.plan.steps, Steps::Move(Moves::Chunks));
            let written = if copied { 0 } else { scaled(task.plan.written_bytes_estimate, part.target) };
            let spill = scaled(spill_bytes(&task.plan), part.spill);
            Needs { target: needs.target.saturating_add(written), spill: needs.spill.max(spill) }
        })
    }

    fn is_one(&self) -> bool {
        let device = |place: &Place| place.system.as_ref().map(|system| system.device);
        device(&self.target) == device(&self.spill)
    }

    fn lack(&self, needs: Needs) -> Option<Lack<'_>> {
        if self.is_one() {
            return self.target.lack(needs.target.saturating_add(needs.spill));
        }
        self.target.lack(needs.target).or_else(|| self.spill.lack(needs.spill))
    }

    /// Refuses what needs clearly more room than there is, where `refuse` says so; otherwise that is a warning, as what may need more is.
    ///
    /// # Errors
    /// [`Error::DiskFull`] with what is needed and what is free.
    pub(crate) fn check(&mut self, job: &Job, refuse: bool, warnings: &mut Vec<String>) -> Result<()> {
        if self.lack(self.needs).is_none() {
            return Ok(());
        }
        // The plans count missing chunks as stored. Whether there are any is worth a look only now.
        let stored: Vec<u64> = job.tasks.iter().map(stored_part).collect();
        let stored = || job.tasks.iter().zip(stored.iter().copied());
        self.needs = self.needs_of(stored().map(|(task, part)| (task, Part { target: part, spill: part })));
        let least = self.needs_of(stored().map(|(task, part)| {
            let least = least_part(task);
            (task, Part { target: scaled(least.target, part), spill: scaled(least.spill, part) })
        }));
        let Some(likely) = self.lack(self.needs) else { return Ok(()) };
        match self.lack(least) {
            Some(lack) if refuse && !lack.is_unsure() => Err(likely.error()),
            _ => {
                warnings.push(format!("there may be too little room: {}", likely.error()));
                Ok(())
            }
        }
    }

    /// Adds to the error of a full disk what the whole needs there.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match error {
            Error::DiskFull { path, needed_bytes: None, free_bytes } => {
                let Needs { target, spill } = self.needs;
                let needed = match Path::new(&path).starts_with(&self.spill.directory) {
                    _ if self.is_one() => target.saturating_add(spill),
                    true => spill,
                    false => target,
                };
                Error::DiskFull { path, needed_bytes: Some(needed), free_bytes }
            }
            error => error,
        }
    }
}

/// Counts the spill files of a rechunk against the budget, where they are in memory.
///
/// # Errors
/// As [`check_spill_in_memory`].
pub(crate) fn check_spill(job: &Job, directory: &Path, budget_bytes: u64) -> Result<()> {
    let plans: Vec<&Plan> = job.tasks.iter().map(|task| &task.plan).collect();
    check_spill_in_memory(directory, &plans, budget_bytes, |bytes| job.planned_within(bytes))
}

/// Counts a spill file that is in memory against the budget (RCK-41). `plan` gives the plans for another budget, if there are any.
///
/// # Errors
/// [`Error::BudgetTooSmall`] with a budget that would do.
pub(crate) fn check_spill_in_memory(
    directory: &Path,
    plans: &[&Plan],
    budget_bytes: u64,
    plan: impl Fn(u64) -> Option<Vec<Plan>>,
) -> Result<()> {
    let fits = |plan: &Plan, budget: u64| plan.spilled_bytes == 0 || plan.memory_bytes.saturating_add(spill_bytes(plan)) <= budget;
    if plans.iter().all(|plan| fits(plan, budget_bytes)) {
        return Ok(());
    }
    let Some(kind) = FileSystem::of(directory).and_then(|system| system.in_memory) else { return Ok(()) };
    // With a larger budget the plan is another one, which may spill less, or nothing.
    let mut required_bytes = budget_bytes.max(1);
    loop {
        required_bytes = required_bytes.saturating_mul(2);
        let enough = plan(required_bytes).is_some_and(|plans| plans.iter().all(|plan| fits(plan, required_bytes)));
        if enough || required_bytes == u64::MAX {
            break;
        }
    }
    let spilled = plans.iter().map(|plan| spill_bytes(plan)).max().unwrap_or(0);
    let what = format!(
        "the spill file, of about {spilled} bytes, would be in memory, since {} is on {kind}; name a directory on a disk (--spill-dir)",
        directory.display()
    );
    Err(Error::BudgetTooSmall { required_bytes, budget_bytes, what })
}

/// What a spill file has at any time at the most: each level gives back what the one below it takes (SPL-7).
fn spill_bytes(plan: &Plan) -> u64 {
    plan.spilled_bytes / plan.levels.max(1)
}

/// What is needed even where the estimate is wrong: what is compressed counts for half, as do shards, in which chunks may be missing.
fn least_part(task: &Task) -> Part {
    let half = |unsure: bool| if unsure { WHOLE / 2 } else { WHOLE };
    let source = &task.problem.source;
    let stored = half(source.unit != source.chunk);
    Part { target: scaled(stored, half(task.problem.target_ratio != (1, 1))), spill: stored }
}

/// Which part of the chunks that are taken is stored, by all of them or a sample.
fn stored_part(task: &Task) -> u64 {
    let array = &task.taken.opened;
    let chunks: Region = array.grid().chunks_over(&task.taken.region);
    let Some(count) = element_count(chunks.shape()).filter(|count| *count > 0) else { return WHOLE };
    let (mut stored, mut looked_at, mut place) = (0_u64, 0_u64, 0_u64);
    for probe in 0..count.min(PROBES) {
        // Of many chunks, those that a fixed sequence without a pattern names.
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = if count <= PROBES { probe } else { (place >> 11) % count };
        let chunk: Vec<u64> = unravel(number, chunks.shape()).iter().zip(chunks.start()).map(|(index, first)| index + first).collect();
        // What cannot be looked at will say so when it is read.
        let Ok(key) = array.tree_key(&chunk) else { continue };
        looked_at += 1;
        stored += u64::from(!matches!(array.store().size(&key), Ok(None)));
    }
    (stored * WHOLE).checked_div(looked_at).unwrap_or(WHOLE)
}

fn scaled(number: u64, part: u64) -> u64 {
    u64::try_from(u128::from(number) * u128::from(part) / u128::from(WHOLE)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Array;
    use crate::dtype::DataType;
    use crate::metadata::{ArrayMetadata, Layout};
    use crate::rechunk::options::RechunkOptions;

    /// A rechunk of an array of 1 MiB, of whose 16 chunks so many are stored, between file systems with so much room.
    fn checked(codecs: &str, stored: u64, free: [u64; 2], edit: impl Fn(&mut Space)) -> (Result<()>, Vec<String>, Space) {
        checked_plan(codecs, stored, free, |_| (), edit)
    }

    /// The same with another plan.
    fn checked_plan(
        codecs: &str,
        stored: u64,
        free: [u64; 2],
        replan: impl Fn(&mut Plan),
        edit: impl Fn(&mut Space),
    ) -> (Result<()>, Vec<String>, Space) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let layout = Layout { chunk_shape: vec![32, 512], shard_shape: None, codecs: codecs.parse().unwrap() };
        let metadata = ArrayMetadata::new([512, 512], DataType::parse("float32").unwrap(), None, &layout).unwrap();
        let array = Array::create(&path, metadata).unwrap();
        for chunk in 0..stored {
            array.write_chunk(&[chunk, 0], &vec![1; 32 * 512 * 4]).unwrap();
        }
        let options = RechunkOptions::new().chunks([512, 32]);
        let mut job = Job::prepare(&path, &options, 64 << 20).unwrap();
        replan(&mut job.tasks[0].plan);
        let mut space = Space::of(&job, &path, directory.path(), directory.path());
        let system =
            |device, free_bytes| FileSystem { device, free_bytes: Some(free_bytes), in_memory: None, compresses: false, shares: false };
        (space.target.system, space.spill.system) = (Some(system(1, free[0])), Some(system(2, free[1])));
        edit(&mut space);
        let mut warnings = Vec::new();
        let result = space.check(&job, true, &mut warnings);
        (result, warnings, space)
    }

    const ALL: u64 = 1 << 20;

    /// RCK-40.
    #[test]
    fn what_clearly_does_not_fit_is_refused_and_what_may_not_is_said() {
        let passes = |(result, warnings, _): (Result<()>, Vec<String>, Space), warned: usize| {
            result.unwrap();
            assert_eq!(warnings.len(), warned, "{warnings:?}");
        };
        let refused = |(result, _, _): (Result<()>, Vec<String>, Space), needed: u64, free: u64| match result {
            Err(Error::DiskFull { needed_bytes: Some(is_needed), free_bytes: Some(is_free), .. }) => {
                assert_eq!((is_needed, is_free), (needed, free));
            }
            other => panic!("DiskFull was expected: {other:?}"),
        };
        passes(checked("none", 16, [ALL, 0], |_| ()), 0);
        refused(checked("none", 16, [ALL - 1, 0], |_| ()), ALL, ALL - 1);
        // What is missing is not counted.
        passes(checked("none", 8, [ALL / 2, 0], |_| ()), 0);
        refused(checked("none", 8, [ALL / 2 - 1, 0], |_| ()), ALL / 2, ALL / 2 - 1);
        passes(checked("none", 0, [0, 0], |_| ()), 0);
        // Spill files count, by themselves or with the target; of several levels, one.
        let spills = |plan: &mut Plan| (plan.spilled_bytes, plan.levels) = (2 * ALL, 2);
        let spilling = |stored, free| checked_plan("none", stored, free, spills, |_| ());
        passes(spilling(16, [ALL, ALL]), 0);
        refused(spilling(16, [ALL, ALL - 1]), ALL, ALL - 1);
        passes(spilling(8, [ALL / 2, ALL / 2]), 0);
        refused(spilling(8, [ALL / 2, ALL / 2 - 1]), ALL / 2, ALL / 2 - 1);
        let on_one = |free| {
            let one = |space: &mut Space| space.spill.system = space.target.system.clone();
            checked_plan("none", 16, [free, 0], spills, one)
        };
        passes(on_one(2 * ALL), 0);
        refused(on_one(2 * ALL - 1), 2 * ALL, 2 * ALL - 1);
        // On a file system that compresses, files may be smaller.
        let compresses = |space: &mut Space| space.target.system.as_mut().unwrap().compresses = true;
        passes(checked("none", 16, [ALL - 1, 0], compresses), 1);
        // A system that says nothing is believed to have room.
        passes(checked("none", 16, [0, 0], |space| space.target.system = None), 0);
        passes(checked("none", 16, [0, 0], |space| space.target.system.as_mut().unwrap().free_bytes = None), 0);
    }

    /// RCK-15, RCK-40.
    #[test]
    fn what_travels_along_unread_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("g");
        let group = crate::group::Group::create(&path, Default::default()).unwrap();
        let layout = Layout { chunk_shape: vec![32, 512], shard_shape: None, codecs: "none".parse().unwrap() };
        group.create_array("a", ArrayMetadata::new([512, 512], DataType::parse("float32").unwrap(), None, &layout).unwrap()).unwrap();
        std::fs::create_dir_all(path.join("old/deep")).unwrap();
        std::fs::write(path.join("old/zarr.json"), r#"{"zarr_format": 2}"#).unwrap();
        std::fs::write(path.join("old/deep/value"), [7; 5000]).unwrap();
        let job = Job::prepare(&path, &RechunkOptions::new().chunks([512, 32]), 64 << 20).unwrap();
        let mut space = Space::of(&job, &path, directory.path(), directory.path());
        let all = |space: &Space| space.needs_of(job.tasks.iter().map(|task| (task, Part { target: WHOLE, spill: WHOLE }))).target;
        space.shares = false;
        assert_eq!(all(&space), ALL + 5000 + 18);
        space.shares = true;
        assert_eq!(all(&space), ALL, "copies that share their bytes take no room");
    }

    /// RCK-40: chunks that compress may come to half of what is estimated.
    #[test]
    fn an_estimate_of_compressed_chunks_counts_for_half() {
        let (_, _, space) = checked("zstd:1", 16, [ALL, ALL], |_| ());
        let likely = space.needs.target;
        assert!(likely > 0 && likely < ALL / 8, "{likely}");
        let (result, warnings, _) = checked("zstd:1", 16, [likely - 1, ALL], |_| ());
        result.unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains(&format!("about {likely} bytes are needed, and {} are free", likely - 1)), "{warnings:?}");
        let (result, ..) = checked("zstd:1", 16, [likely / 2 - 1, ALL], |_| ());
        assert!(matches!(result, Err(Error::DiskFull { needed_bytes: Some(needed), .. }) if needed == likely), "{result:?}");
    }

    /// RCK-40.
    #[test]
    fn one_file_system_holds_both() {
        let (_, _, mut space) = checked("none", 16, [ALL, ALL], |_| ());
        let needs = Needs { target: ALL, spill: ALL / 2 };
        assert!(space.lack(needs).is_none());
        assert_eq!(space.lack(Needs { target: 0, spill: ALL + 1 }).map(|lack| lack.needed_bytes), Some(ALL + 1));
        space.spill.system.as_mut().unwrap().device = 1;
        assert_eq!(space.lack(needs).map(|lack| (lack.needed_bytes, lack.free_bytes)), Some((ALL + ALL / 2, ALL)));
        let full = |path: &str| Error::DiskFull { path: path.to_owned(), needed_bytes: None, free_bytes: None };
        space.needs = needs;
        let needed = |space: &Space, path: &str| match space.explain(full(path)) {
            Error::DiskFull { needed_bytes, .. } => needed_bytes.unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(needed(&space, "/x"), ALL + ALL / 2);
        space.spill.system.as_mut().unwrap().device = 2;
        let spill = space.spill.directory.join("file (spill file)").display().to_string();
        assert_eq!((needed(&space, "/x"), needed(&space, &spill)), (ALL, ALL / 2));
        assert!(matches!(space.explain(Error::Cancelled), Error::Cancelled));
    }
}
