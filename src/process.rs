//! What the operating system says of this process: memory, time, limits.

use std::fs::read_to_string;

/// Peak resident set size of the process so far, in bytes; none where /proc does not say.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
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
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().filter_map(limit_of).min()
}

/// The limit of one line of /proc/self/cgroup: `0::/path` (version 2) or `4:memory:/path` (version 1).
fn limit_of(line: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let file = match controllers {
        "" => format!("/sys/fs/cgroup{path}/memory.max"),
        _ if controllers.split(',').any(|name| name == "memory") => format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
        _ => return None,
    };
    // "max" is no limit, and neither is the huge number of version 1.
    read_to_string(file).ok()?.trim().parse::<u64>().ok().filter(|limit| *limit < 1 << 60)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_has_memory_and_time() {
        assert!(super::peak_rss_bytes().is_some_and(|bytes| bytes > 1 << 19));
        assert!(super::cpu_seconds().is_some_and(|seconds| seconds >= 0.0));
    }

    #[test]
    fn lines_without_a_memory_controller_have_no_limit() {
        assert_eq!(super::limit_of("3:cpu,cpuacct:/x"), None);
        assert_eq!(super::limit_of("nonsense"), None);
    }
}
