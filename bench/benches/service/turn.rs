//! One run of a process, and what it took.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use bench::process::Process;
use sim::{EmitRequest, Sim};
use tokio::time::{self, Instant};

/// A process that has used no CPU time for so long is done.
const IDLE: Duration = Duration::from_millis(500);

/// What a process uses while it does nothing, between two looks.
const NOTHING: Duration = Duration::from_millis(1);

/// How often we look.
const LOOK: Duration = Duration::from_millis(20);

/// How long a run may take before something is wrong.
const LIMIT: Duration = Duration::from_secs(300);

/// What a run took, or several.
#[derive(Default)]
pub(crate) struct Turn {
    events: u64,
    wall: Duration,
    used: Duration,
    /// The most memory that was resident, in megabytes.
    pub(crate) resident: f64,
}

impl Turn {
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.wall += other.wall;
        self.used += other.used;
        self.resident = self.resident.max(other.resident);
    }

    /// Events a second.
    pub(crate) fn rate(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of CPU time for an event.
    pub(crate) fn cpu(&self) -> f64 {
        self.used.as_secs_f64() * 1e6 / self.events as f64
    }
}

/// Emits events, and waits until the process is done with them.
pub(crate) async fn take(process: &Process, sim: &Sim, emission: EmitRequest) -> Result<Turn> {
    let events = emission.count.unwrap_or(0);
    let before = process.threads()?;
    let mut threads = before.clone();
    let start = Instant::now();
    sim.start_emission(emission)?;
    let (mut last, mut resident) = (start, 0_f64);
    loop {
        time::sleep(LOOK).await;
        let then = total(&threads);
        // Those that have ended keep what they have used.
        threads.extend(process.threads()?);
        if total(&threads) > then + NOTHING {
            last = Instant::now();
        }
        resident = resident.max(process.resident()?);
        ensure!(start.elapsed() < LIMIT, "the run took too long");
        if !sim.progress().running && last.elapsed() > IDLE {
            break;
        }
    }
    ensure!(
        sim.progress().events == events,
        "not all events were emitted"
    );
    Ok(Turn {
        events,
        wall: last - start,
        used: total(&threads) - total(&before),
        resident,
    })
}

fn total(threads: &BTreeMap<String, Duration>) -> Duration {
    threads.values().sum()
}
