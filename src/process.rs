//! What the operating system says of this process: memory, time, limits.

use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{StatVfs, major, minor, stat, statfs, statvfs};

/// Numbers of file systems (statfs(2)).
const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;
const OVERLAY: u64 = 0x794c_7630;
const BTRFS: u64 = 0x9123_683e;
const BCACHEFS: u64 = 0xca45_1a4e;
const ZFS: u64 = 0x2fc1_2fc1;
const XFS: u64 = 0x5846_5342;

/// Peak resident set size of the process so far, in bytes; none where /proc does not say.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// How many files the process may have open; none without a limit.
pub(crate) fn open_file_limit() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

/// What is known of the file system that a directory is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// Its number: directories with the same one share what is free.
    pub(crate) device: u64,
    /// Bytes that may still be written to it; none where it does not count them.
    pub(crate) free_bytes: Option<u64>,
    /// What it is called, if its files are in memory.
    pub(crate) in_memory: Option<&'static str>,
    /// Whether files take less room than they have bytes, since they are compressed.
    pub(crate) compresses: bool,
    /// Whether copies of files can share their bytes.
    pub(crate) shares: bool,
}

impl FileSystem {
    /// That of the directory at `path`; none where the system does not say.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let (status, space) = (stat(path).ok()?, statvfs(path).ok()?);
        let kind = kind_of(path)?;
        Some(Self {
            device: status.st_dev,
            free_bytes: free_bytes(&space, rustix::process::geteuid().is_root()),
            in_memory: in_memory(kind, || {
                let device = (major(status.st_dev), minor(status.st_dev));
                kind_of(&upper_directory(&read_to_string("/proc/self/mountinfo").ok()?, device)?)
            }),
            compresses: matches!(kind, BTRFS | BCACHEFS | ZFS),
            shares: matches!(kind, BTRFS | BCACHEFS | ZFS | XFS),
        })
    }
}

/// What may still be written: some of it by root alone. A file system without a size, as some over a network, counts nothing, and is not full.
fn free_bytes(space: &StatVfs, root: bool) -> Option<u64> {
    let blocks = if root { space.f_bfree } else { space.f_bavail };
    (space.f_blocks > 0).then(|| blocks.saturating_mul(space.f_frsize))
}

/// The number of its file system, 32 bits of it: the sign of the type differs between machines.
fn kind_of(path: &Path) -> Option<u64> {
    statfs(path).ok().map(|found| found.f_type as u64 & 0xffff_ffff)
}

/// Whether files on a file system of this kind are in memory; `upper` says on what an overlay keeps what is written to it.
fn in_memory(kind: u64, upper: impl FnOnce() -> Option<u64>) -> Option<&'static str> {
    match kind {
        TMPFS => Some("tmpfs"),
        RAMFS => Some("ramfs"),
        OVERLAY if matches!(upper(), Some(TMPFS | RAMFS)) => Some("an overlay on tmpfs"),
        _ => None,
    }
}

/// The upper directory of the overlay that is the device, as lines of /proc/self/mountinfo say it:
/// `36 35 0:31 / /mnt rw,noatime shared:1 - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c`.
fn upper_directory(mounts: &str, (major, minor): (u32, u32)) -> Option<PathBuf> {
    let device = format!("{major}:{minor}");
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(device.as_str()))?;
    let options = line.split_once(" - overlay ")?.1.rsplit(' ').next()?;
    let upper = options.split(',').find_map(|option| option.strip_prefix("upperdir="))?;
    Some(PathBuf::from(upper.replace("\\040", " ")))
}

/// What names the time since the machine was started; none where /proc does not say.
pub(crate) fn boot_id() -> Option<String> {
    let id = read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Processor time of all threads so far, user and system, in seconds.
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = read_to_string("/proc/self/stat").ok()?;
    // The command name, in parentheses, may hold anything; fields 14 and 15 are counted from behind it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The memory limit of the control group that the process is in, in bytes; none without one.
pub(crate) fn memory_limit_bytes() -> Option<u64> {
    limit_below(Path::new("/sys/fs/cgroup"), &read_to_string("/proc/self/cgroup").ok()?)
}

/// The least limit that lines of /proc/self/cgroup lead to, where the hierarchies are mounted below `mounts`.
fn limit_below(mounts: &Path, groups: &str) -> Option<u64> {
    groups.lines().filter_map(|line| limit_of(mounts, line)).min()
}

/// The limit of one line: `0::/path` (version 2) or `4:memory:/path` (version 1). A group is bound by all groups above it. In a container the
/// path may be that outside, which is not there; what is mounted then is the container's own group.
fn limit_of(mounts: &Path, line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let (roots, file) = match controllers {
        // Beside version 1, version 2 is mounted in a directory of its own.
        "" => ([mounts.to_owned(), mounts.join("unified")], "memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => {
            ([mounts.join("memory"), mounts.join(controllers)], "memory.limit_in_bytes")
        }
        _ => return None,
    };
    let names: Vec<_> = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect();
    let directories = roots.iter().flat_map(|root| (0..=names.len()).map(|depth| root.join(names[..depth].iter().collect::<PathBuf>())));
    // "max" is no limit, and neither is the huge number of version 1.
    let limit = |directory: PathBuf| read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok().filter(|limit| *limit < 1 << 60);
    directories.filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory_and_time() {
        assert!(super::peak_rss_bytes().is_some_and(|bytes| bytes > 1 << 19));
        assert!(super::cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
        assert_eq!(super::boot_id(), super::boot_id());
        assert!(super::boot_id().is_none_or(|id| !id.contains(char::is_whitespace)));
    }

    /// RCK-41.
    #[test]
    fn files_in_memory_are_known() {
        use super::{FileSystem, OVERLAY, RAMFS, TMPFS, in_memory, upper_directory};
        assert_eq!(in_memory(TMPFS, || None), Some("tmpfs"));
        assert_eq!(in_memory(RAMFS, || None), Some("ramfs"));
        assert_eq!(in_memory(OVERLAY, || Some(TMPFS)), Some("an overlay on tmpfs"));
        assert_eq!(
            (in_memory(OVERLAY, || Some(0xef53)), in_memory(OVERLAY, || None), in_memory(0xef53, || Some(TMPFS))),
            (None, None, None)
        );
        let mounts = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      36 35 0:31 / /mnt rw,noatime shared:1 - overlay overlay rw,lowerdir=/a:/c,upperdir=/b\\040b,workdir=/w\n";
        assert_eq!(upper_directory(mounts, (0, 31)), Some("/b b".into()));
        assert_eq!((upper_directory(mounts, (254, 0)), upper_directory(mounts, (0, 3))), (None, None));
        let shm = std::path::Path::new("/dev/shm");
        if let Some(found) = FileSystem::of(shm).filter(|_| super::kind_of(shm) == Some(TMPFS)) {
            assert_eq!(found.in_memory, Some("tmpfs"));
        }
        assert_eq!(FileSystem::of(std::path::Path::new("/no/such/directory")), None);
        let here = FileSystem::of(std::path::Path::new(".")).unwrap();
        assert!(here.free_bytes.is_none_or(|bytes| bytes > 0));
    }

    /// RCK-40.
    #[test]
    fn a_file_system_that_counts_nothing_is_not_full() {
        let mut space = rustix::fs::statvfs(".").unwrap();
        (space.f_frsize, space.f_blocks, space.f_bfree, space.f_bavail) = (4096, 100, 20, 10);
        assert_eq!((super::free_bytes(&space, false), super::free_bytes(&space, true)), (Some(10 * 4096), Some(20 * 4096)));
        (space.f_bfree, space.f_bavail) = (0, 0);
        assert_eq!((super::free_bytes(&space, false), super::free_bytes(&space, true)), (Some(0), Some(0)));
        space.f_blocks = 0;
        assert_eq!((super::free_bytes(&space, false), super::free_bytes(&space, true)), (None, None));
    }

    /// RCK-5.
    #[test]
    fn the_least_limit_up_to_the_root_counts() {
        let directory = tempfile::tempdir().unwrap();
        let limit = |groups: &str| super::limit_below(directory.path(), groups);
        let set = |file: &str, text: &str| {
            let path = directory.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        set("system.slice/a.service/memory.max", "max\n");
        set("system.slice/memory.max", "3000\n");
        assert_eq!(limit("0::/system.slice/a.service"), Some(3000), "that of the slice");
        assert_eq!(limit("0::/system.slice/a.service/new"), Some(3000), "a leaf without a file");
        assert_eq!(limit("0::/user.slice"), None);
        set("system.slice/a.service/memory.max", "2000\n");
        assert_eq!(limit("0::/system.slice/a.service"), Some(2000), "that of the leaf");
        assert_eq!(limit("0::/../other"), None, "a path does not lead out of the hierarchy");
        // In a container the path is that outside, and its own group is mounted at the root.
        set("memory.max", "1000\n");
        assert_eq!(limit("0::/docker/0123"), Some(1000));

        set("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(limit("4:memory:/x"), None, "the largest number of version 1");
        set("memory/x/memory.limit_in_bytes", "500\n");
        set("memory/x/y/memory.limit_in_bytes", "700\n");
        assert_eq!(limit("4:cpu,memory:/x/y\n3:cpuset:/z\n0::/"), Some(500));
        assert_eq!(limit("3:cpu,cpuacct:/x\nnonsense\n1:name=systemd:/x"), None);
    }
}
