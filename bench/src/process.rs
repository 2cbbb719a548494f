//! A process that is measured from outside, and what it takes, as Linux tells it.

use std::{
    collections::BTreeMap,
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

/// A running process; it is killed when this is dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts it.
    pub fn start(command: &mut Command) -> Result<Self> {
        // A service may take the end of its stdin for that of all requests over it.
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.spawn().context("a process to measure")?;
        Ok(Self(child))
    }

    /// The CPU time that each of its threads has used so far, user and system.
    pub fn threads(&self) -> Result<BTreeMap<String, Duration>> {
        threads(self.0.id())
    }

    /// The CPU time that all of them have used.
    pub fn used(&self) -> Result<Duration> {
        Ok(self.threads()?.values().sum())
    }

    /// Memory that it has resident, in megabytes.
    pub fn resident(&self) -> Result<f64> {
        resident(self.0.id())
    }

    /// Asks it to end.
    pub fn terminate(&self) -> Result<()> {
        let id = self.0.id().to_string();
        let status = Command::new("kill").args(["-TERM", &id]).status()?;
        ensure!(status.success(), "the process cannot be asked to end");
        Ok(())
    }

    /// Kills it.
    pub fn kill(&mut self) -> Result<()> {
        Ok(self.0.kill()?)
    }

    /// Ends it. It must not have ended by itself.
    pub fn stop(mut self) -> Result<()> {
        ensure!(
            self.0.try_wait()?.is_none(),
            "the process has ended by itself"
        );
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            eprintln!("a process cannot be ended: {error}");
        }
    }
}

/// An address of this machine that is free, and that nobody else looks for just now.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

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
