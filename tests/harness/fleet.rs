//! Several replicas of `gateway-ws` that share a broker and a state store.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use crate::{
    server::{Den, signal},
    service::{Ended, Service},
};

/// How long a replica may take to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often we look whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// What stands in a variable for a folder that belongs to one slot, and stays when its replica is replaced.
const FOLDER: &str = "{folder}";

/// The replicas; all of them end when this is dropped, or when the test run ends in whatever way.
#[derive(Debug)]
pub struct Fleet {
    program: PathBuf,
    variables: BTreeMap<String, String>,
    /// The running replicas by slot.
    replicas: BTreeMap<usize, Service>,
    /// Logs of those that have ended.
    logs: Vec<(usize, String)>,
    largest: u64,
    den: Den,
}

impl Fleet {
    /// No replica yet.
    pub fn new(program: &Path) -> Result<Self> {
        Ok(Self {
            program: program.to_owned(),
            variables: BTreeMap::new(),
            replicas: BTreeMap::new(),
            logs: Vec::new(),
            largest: 0,
            den: Den::new("fleet-")?,
        })
    }

    /// Sets a variable of the replicas that are started from now on. `{folder}` in it becomes a folder of the
    /// replica's slot.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Starts a replica in a slot that is free.
    pub fn start(&mut self, slot: usize) -> Result<()> {
        ensure!(
            !self.replicas.contains_key(&slot),
            "slot {slot} has a replica"
        );
        let folder = self.den.path().join(format!("slot-{slot}"));
        fs::create_dir_all(&folder)?;
        let folder = folder.to_string_lossy();
        let variables: Vec<(&str, String)> = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.replace(FOLDER, &folder)))
            .collect();
        let variables: Vec<_> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let service = Service::start(&self.program, &variables, &[])?;
        self.den.watch(&pid_name(slot), service.id())?;
        self.replicas.insert(slot, service);
        Ok(())
    }

    /// The slots that have a replica.
    pub fn slots(&self) -> Vec<usize> {
        self.replicas.keys().copied().collect()
    }

    /// The replica of a slot.
    pub fn replica(&self, slot: usize) -> Result<&Service> {
        let replica = self.replicas.get(&slot);
        replica.with_context(|| format!("slot {slot} has no replica"))
    }

    /// Ends a replica by SIGKILL.
    pub fn kill(&mut self, slot: usize) -> Result<()> {
        self.measure();
        let ended = self.take(slot)?.kill()?;
        self.keep(slot, ended)
    }

    /// Ends a replica by SIGTERM and waits until it is gone.
    pub async fn terminate(&mut self, slot: usize) -> Result<()> {
        self.tell_to_end(slot)?;
        self.gone(slot).await
    }

    /// Sends a replica SIGTERM.
    pub fn tell_to_end(&mut self, slot: usize) -> Result<()> {
        self.measure();
        signal("TERM", self.replica(slot)?.id())
    }

    /// Ends all replicas by SIGTERM at the same time.
    pub async fn terminate_all(&mut self) -> Result<()> {
        self.measure();
        for replica in self.replicas.values() {
            signal("TERM", replica.id())?;
        }
        for slot in self.slots() {
            self.gone(slot).await?;
        }
        Ok(())
    }

    /// Stops a replica by SIGSTOP: its connections stay open and nothing happens.
    pub fn pause(&self, slot: usize) -> Result<()> {
        signal("STOP", self.replica(slot)?.id())
    }

    /// Lets a paused replica go on.
    pub fn resume(&self, slot: usize) -> Result<()> {
        signal("CONT", self.replica(slot)?.id())
    }

    /// Fails when a replica has ended that nobody asked to.
    pub fn all_alive(&mut self) -> Result<()> {
        for (slot, replica) in &mut self.replicas {
            if let Some(status) = replica.status()? {
                bail!("replica {slot} ended with {status}:\n{}", replica.log());
            }
        }
        Ok(())
    }

    /// The most memory that any replica has had, in bytes, up to the last look.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Looks how much memory the replicas have had at most.
    pub fn measure(&mut self) {
        // One that is just ending has no such file any more.
        let peaks = self.replicas.values().filter_map(|it| it.peak().ok());
        self.largest = peaks.max().unwrap_or_default().max(self.largest);
    }

    /// Writes the logs of all replicas to a folder, oldest first for each slot.
    pub fn write_logs(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let living = self.replicas.iter().map(|(slot, it)| (*slot, it.log()));
        let logs = self.logs.iter().cloned().chain(living);
        for (number, (slot, log)) in logs.enumerate() {
            fs::write(folder.join(format!("{number:02}-slot-{slot}.log")), log)?;
        }
        Ok(())
    }

    /// How many lines of all logs contain this text.
    pub fn count_in_logs(&self, text: &str) -> usize {
        let living = self.replicas.values().map(Service::log);
        let logs = self.logs.iter().map(|(_, log)| log.clone()).chain(living);
        logs.map(|log| log.lines().filter(|line| line.contains(text)).count())
            .sum()
    }

    /// Waits until a replica has ended, and well.
    pub async fn gone(&mut self, slot: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let replica = self.replicas.get_mut(&slot).context("it was there")?;
        while replica.status()?.is_none() {
            ensure!(
                Instant::now() < deadline,
                "replica {slot} does not stop:\n{}",
                replica.log()
            );
            sleep(LOOK).await;
        }
        let ended = self.take(slot)?.finish()?;
        let status = ended.status;
        let log = ended.log.clone();
        self.keep(slot, ended)?;
        ensure!(
            status.success(),
            "replica {slot} ended with {status}:\n{log}"
        );
        Ok(())
    }

    fn take(&mut self, slot: usize) -> Result<Service> {
        let replica = self.replicas.remove(&slot);
        replica.with_context(|| format!("slot {slot} has no replica"))
    }

    fn keep(&mut self, slot: usize, ended: Ended) -> Result<()> {
        self.logs.push((slot, ended.log));
        self.den.forget(&pid_name(slot))
    }
}

fn pid_name(slot: usize) -> String {
    format!("replica-{slot}")
}
