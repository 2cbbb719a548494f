//! One run of a process, and what it took.

use std::time::Duration;

use anyhow::{Result, ensure};
use sim::{EmitRequest, Sim};
use tokio::time::{self, Instant};

use crate::process::Process;

/// The kernel's clock ticks a second, in which /proc counts CPU time.
const TICKS: f64 = 100.0;

/// A process that has used no CPU time for so long is done.
const IDLE: Duration = Duration::from_millis(500);

/// How often we look.
const LOOK: Duration = Duration::from_millis(20);

/// How long a run may take before something is wrong.
const LIMIT: Duration = Duration::from_secs(300);

/// What a run took, or several.
#[derive(Default)]
pub(crate) struct Turn {
    events: u64,
    wall: Duration,
    ticks: u64,
    /// The most memory that was resident, in MiB.
    pub(crate) resident: f64,
}

impl Turn {
    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.wall += other.wall;
        self.ticks += other.ticks;
        self.resident = self.resident.max(other.resident);
    }

    /// Events a second.
    pub(crate) fn rate(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of CPU time for an event.
    pub(crate) fn cpu(&self) -> f64 {
        self.ticks as f64 / TICKS * 1e6 / self.events as f64
    }
}

/// Emits events, and waits until the process is done with them.
pub(crate) async fn take(process: &Process, sim: &Sim, emission: EmitRequest) -> Result<Turn> {
    let events = emission.count.unwrap_or(0);
    let before = process.ticks()?;
    let start = Instant::now();
    sim.start_emission(emission)?;
    let (mut ticks, mut last, mut resident) = (before, start, 0_f64);
    loop {
        time::sleep(LOOK).await;
        let now = process.ticks()?;
        if now != ticks {
            (ticks, last) = (now, Instant::now());
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
        ticks: ticks - before,
        resident,
    })
}
