//! What this process may use of the machine: CPUs by cgroup quota and affinity, memory by cgroup limit.
//!
//! The parsers are pure; [`read`] is the only function that touches files.

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

/// What the kernel grants. Absent: no limit was found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Limits {
    /// CPU time per time, for example 1.5.
    pub cpu_quota: Option<f64>,
    /// CPUs that the scheduler may choose among.
    pub n_allowed_cpus: Option<usize>,
    pub memory_bytes: Option<u64>,
}

impl Limits {
    /// Threads that can compute at once. Half a CPU more than a whole number still pays for a thread; less than
    /// half would have all threads wait for the one that is throttled.
    pub(crate) fn threads(&self) -> NonZeroUsize {
        let allowed = self
            .n_allowed_cpus
            .filter(|n| *n > 0)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
        let quota = self.cpu_quota.map_or(allowed, |quota| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to small positive numbers"
            )]
            let whole = quota.round().clamp(1.0, 4096.0) as usize;
            whole
        });
        NonZeroUsize::new(allowed.min(quota)).unwrap_or(NonZeroUsize::MIN)
    }
}

/// Reads what applies to this process, its ancestors' limits included.
pub(crate) fn read() -> Limits {
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    read_from(Path::new("/sys/fs/cgroup"), &cgroups, &status)
}

fn read_from(root: &Path, cgroups: &str, status: &str) -> Limits {
    let text = |path: PathBuf| fs::read_to_string(path).ok();
    let mut limits = Limits { n_allowed_cpus: allowed_cpus(status), ..Limits::default() };
    for group in groups(cgroups) {
        for directory in group.directories(root) {
            let quota = text(directory.join("cpu.max")).and_then(|text| quota_v2(&text)).or_else(|| {
                quota_v1(&text(directory.join("cpu.cfs_quota_us"))?, &text(directory.join("cpu.cfs_period_us"))?)
            });
            limits.cpu_quota = least(limits.cpu_quota, quota, f64::min);
            let memory = text(directory.join("memory.max")).or_else(|| text(directory.join("memory.limit_in_bytes")));
            limits.memory_bytes = least(limits.memory_bytes, memory.and_then(|text| memory_limit(&text)), u64::min);
        }
    }
    limits
}

fn least<T>(a: Option<T>, b: Option<T>, min: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(min(a, b)),
        (a, b) => a.or(b),
    }
}

/// One line of `/proc/self/cgroup`.
#[derive(Debug, PartialEq, Eq)]
struct Group<'a> {
    /// Empty for version 2.
    controllers: &'a str,
    path: &'a str,
}

fn groups(text: &str) -> Vec<Group<'_>> {
    text.lines()
        .filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            Some(Group { controllers: fields.next()?, path: fields.next()? })
        })
        .filter(|group| group.controllers.is_empty() || group.has("cpu") || group.has("memory"))
        .collect()
}

impl Group<'_> {
    fn has(&self, controller: &str) -> bool {
        self.controllers.split(',').any(|name| name == controller)
    }

    /// The group's directory and those above it. In a container the path may name what only the host sees; the
    /// root of the mount is then the container's own group, and it is always among the answers.
    fn directories(&self, root: &Path) -> Vec<PathBuf> {
        let mount = if self.controllers.is_empty() { root.to_owned() } else { root.join(self.controllers) };
        let relative = Path::new(self.path.trim_start_matches('/'));
        relative.ancestors().filter(|path| !path.starts_with("..")).map(|path| mount.join(path)).collect()
    }
}

/// `max 100000` or `150000 100000`.
fn quota_v2(text: &str) -> Option<f64> {
    let mut fields = text.split_whitespace();
    ratio(fields.next()?, fields.next().unwrap_or("100000"))
}

/// `-1` means none.
fn quota_v1(quota: &str, period: &str) -> Option<f64> {
    ratio(quota.trim(), period.trim())
}

fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.parse::<u32>().ok()?, period.parse::<u32>().ok()?);
    (quota > 0 && period > 0).then(|| f64::from(quota) / f64::from(period))
}

/// `max`, or bytes; version 1 says "none" by a number near the largest.
fn memory_limit(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < 1 << 60)
}

/// `Cpus_allowed_list: 0-3,8` in `/proc/self/status`.
fn allowed_cpus(status: &str) -> Option<usize> {
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim()
        .split(',')
        .map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (from.parse::<usize>().ok()?, to.parse::<usize>().ok()?);
            (to >= from).then(|| to - from + 1)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_of_both_versions_are_read() {
        assert_eq!(quota_v2("max 100000\n"), None);
        assert_eq!(quota_v2("150000 100000\n"), Some(1.5));
        assert_eq!(quota_v2("50000\n"), Some(0.5));
        assert_eq!(quota_v1("-1\n", "100000\n"), None);
        assert_eq!(quota_v1("200000\n", "100000\n"), Some(2.0));
        for bad in ["", "x y", "0 100000", "100000 0", "-5 100000"] {
            assert_eq!(quota_v2(bad), None, "{bad}");
        }
        assert_eq!(memory_limit("max\n"), None);
        assert_eq!(memory_limit("805306368\n"), Some(805_306_368));
        assert_eq!(memory_limit("9223372036854771712\n"), None);
    }

    #[test]
    fn affinity_is_counted() {
        assert_eq!(allowed_cpus("Name:\tx\nCpus_allowed_list:\t0-3,8\nMems:\t0\n"), Some(5));
        assert_eq!(allowed_cpus("Cpus_allowed_list:\t5\n"), Some(1));
        assert_eq!(allowed_cpus("Cpus_allowed_list:\t3-1\n"), None);
        assert_eq!(allowed_cpus(""), None);
    }

    #[test]
    fn threads_follow_the_tighter_limit() {
        let threads = |cpu_quota, n| Limits { cpu_quota, n_allowed_cpus: Some(n), memory_bytes: None }.threads().get();
        assert_eq!(threads(None, 8), 8);
        assert_eq!(threads(Some(2.0), 64), 2);
        assert_eq!(threads(Some(1.5), 64), 2);
        assert_eq!(threads(Some(1.4), 64), 1);
        assert_eq!(threads(Some(0.1), 64), 1);
        assert_eq!(threads(Some(16.0), 4), 4);
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let root = tempfile::tempdir().expect("tempdir");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            fs::write(path, text).expect("write");
        };
        write("cpu.max", "max 100000");
        write("kubepods/pod/cpu.max", "200000 100000");
        write("kubepods/pod/box/cpu.max", "400000 100000");
        write("kubepods/pod/memory.max", "1000");
        let limits = read_from(root.path(), "0::/kubepods/pod/box\n", "Cpus_allowed_list:\t0-7\n");
        assert_eq!(limits, Limits { cpu_quota: Some(2.0), n_allowed_cpus: Some(8), memory_bytes: Some(1000) });
        write("cpu,cpuacct/a/cpu.cfs_quota_us", "100000");
        write("cpu,cpuacct/a/cpu.cfs_period_us", "100000");
        write("memory/memory.limit_in_bytes", "77");
        let limits = read_from(root.path(), "4:cpu,cpuacct:/a\n3:memory:/not/seen/here\n2:pids:/a\n", "");
        assert_eq!((limits.cpu_quota, limits.memory_bytes), (Some(1.0), Some(77)));
    }
}
