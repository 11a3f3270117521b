//! What the system says of a process: its processor time, its memory; and of a directory.

use std::path::Path;
use std::time::Duration;

use crate::Failure;

/// Processor time used so far.
pub(crate) fn processor_time(process: u32) -> Result<Duration, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The program's name, in parentheses, may hold anything; the numbers come after it (proc(5), fields 14 and 15).
    let after_name = stat.rsplit_once(')').ok_or("no name in /proc/<pid>/stat")?.1;
    let mut fields = after_name.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok()).ok_or("no times in /proc/<pid>/stat");
    // Linux counts in hundredths of a second wherever Fanfare runs.
    Ok(Duration::from_millis(10 * (ticks()? + ticks()?)))
}

/// Resident memory now, in bytes.
pub(crate) fn memory(process: u32) -> Result<u64, Failure> {
    status(process, "VmRSS:")
}

/// The most that it was, in bytes.
pub(crate) fn peak_memory(process: u32) -> Result<u64, Failure> {
    status(process, "VmHWM:")
}

fn status(process: u32, name: &str) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let missing = || format!("no {name} in /proc/<pid>/status");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(missing)?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// The size of everything in a directory, in bytes.
pub(crate) fn size_of(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(data) if data.is_dir() => size_of(&entry.path()),
            Ok(data) => data.len(),
            Err(_) => 0,
        })
        .sum()
}
