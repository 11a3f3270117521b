//! What the system says of this process, under the names that every Prometheus client uses. On Linux, from `/proc`; where
//! there is none, these metrics are absent.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// Clock ticks a second in `/proc`: the kernel's `USER_HZ`, 100 on every architecture that Rust's Linux targets have.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc` whenever the metrics are gathered.
pub(crate) struct Process {
    cpu: Counter,
    resident: Gauge,
    open_fds: Gauge,
    max_fds: Gauge,
    threads: Gauge,
    started: Gauge,
}

impl Process {
    /// The collector; `None` where `/proc` does not tell of this process.
    pub(crate) fn new() -> Option<Self> {
        let stat = Stat::read()?;
        let boot = boot_seconds()?;
        let gauge = |name, help| Gauge::new(name, help).ok();
        let process = Self {
            cpu: Counter::new("process_cpu_seconds_total", "Processor time used, by the user and the system.").ok()?,
            resident: gauge("process_resident_memory_bytes", "Memory that is in use and not swapped out.")?,
            open_fds: gauge("process_open_fds", "File descriptors that are open.")?,
            max_fds: gauge("process_max_fds", "The most file descriptors that may be open.")?,
            threads: gauge("process_threads", "Threads of the process.")?,
            started: gauge("process_start_time_seconds", "When the process started, in seconds since the Unix epoch.")?,
        };
        process.started.set(boot + stat.started_ticks / TICKS_PER_SECOND);
        process.max_fds.set(max_fds()?);
        Some(process)
    }

    fn parts(&self) -> [&dyn Collector; 6] {
        [&self.cpu, &self.resident, &self.open_fds, &self.max_fds, &self.threads, &self.started]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if let Some(stat) = Stat::read() {
            // A counter cannot be set; of two scrapes at once one may find nothing left to add.
            self.cpu.inc_by((stat.cpu_ticks / TICKS_PER_SECOND - self.cpu.get()).max(0.0));
            self.threads.set(stat.threads);
        }
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        if let Some(open) = open_fds() {
            self.open_fds.set(open);
        }
        self.parts().into_iter().flat_map(Collector::collect).collect()
    }
}

/// What is read of `/proc/self/stat`; see proc_pid_stat(5).
struct Stat {
    cpu_ticks: f64,
    threads: f64,
    started_ticks: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    /// The second field, the program's name in parentheses, may hold spaces and parentheses itself: counting starts behind it.
    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<f64> =
            after_name.split_ascii_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
        // The first of these is field 4 of the file.
        let field = |number: usize| fields.get(number - 4).copied();
        Some(Self { cpu_ticks: field(14)? + field(15)?, threads: field(20)?, started_ticks: field(22)? })
    }
}

/// The value of a line such as `VmRSS:     1234 kB`.
fn line_value(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim_start_matches(':').split_ascii_whitespace().next()?.parse().ok()
}

fn resident_bytes() -> Option<f64> {
    line_value(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS").map(|kilobytes| kilobytes * 1024.0)
}

fn boot_seconds() -> Option<f64> {
    line_value(&fs::read_to_string("/proc/stat").ok()?, "btime")
}

fn max_fds() -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    if limits.lines().any(|line| line.starts_with("Max open files") && line.contains("unlimited")) {
        return Some(f64::INFINITY);
    }
    line_value(&limits, "Max open files")
}

fn open_fds() -> Option<f64> {
    let listed = u32::try_from(fs::read_dir("/proc/self/fd").ok()?.count()).ok()?;
    // One of them reads the list.
    Some(f64::from(listed.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_name_with_spaces_and_parentheses_moves_no_field() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 250 50 13 14 15 16 7 18 900 20 21";
        for name in ["fanfare", "a) R 1 (b", "x y"] {
            let stat = Stat::parse(&format!("42 ({name}) {tail}")).unwrap();
            assert_eq!((stat.cpu_ticks, stat.threads, stat.started_ticks), (300.0, 7.0, 900.0), "{name}");
        }
        assert!(Stat::parse("42 (fanfare) S 1 2").is_none());
    }
}
