//! What a process takes, as Linux tells it.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result};

/// The CPU time that each thread of a process has used so far, user and system.
pub fn threads(id: u32) -> Result<BTreeMap<String, Duration>> {
    let mut threads = BTreeMap::new();
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let thread = thread?;
        // A thread may end at any time.
        let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) else {
            continue;
        };
        let nanoseconds = text.split_whitespace().next().context("schedstat")?;
        let used = Duration::from_nanos(nanoseconds.parse()?);
        threads.insert(thread.file_name().to_string_lossy().into_owned(), used);
    }
    Ok(threads)
}

/// Memory that a process has resident, in megabytes.
pub fn resident(id: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.context("VmRSS")?.parse::<f64>()? * 1024.0 / 1e6)
}
