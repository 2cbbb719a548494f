//! Runs as seen from outside: starting, stopping and progress.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sim_voice::lock;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use super::Mix;
use crate::error::Error;

/// What to emit; absent members are taken from the configuration.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmitRequest {
    /// How many events; absent: until it is stopped.
    pub count: Option<u64>,
    /// Events per second over all shards; absent: as fast as clients read.
    pub rate: Option<f64>,
    /// Weights of the kinds of events.
    pub mix: Option<Mix>,
    /// Whether events carry the member `sim`.
    pub mark: Option<bool>,
    /// Seed of the sequence of events.
    pub seed: Option<u64>,
}

/// How far a run is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Progress {
    /// Whether it goes on.
    pub running: bool,
    /// Events so far; one that several sessions got counts once.
    pub events: u64,
    /// Dispatches of these events, over all sessions.
    pub deliveries: u64,
    /// Bytes of JSON in these dispatches.
    pub bytes: u64,
    /// Events that were drawn and had no taker.
    pub skipped: u64,
    /// Milliseconds since the start, until the end.
    pub elapsed_ms: u64,
    /// Milliseconds spent waiting for slow clients.
    pub stalled_ms: u64,
    /// What was asked for.
    pub request: EmitRequest,
}

/// The handle to the generator's task.
#[derive(Debug)]
pub(crate) struct Emission {
    jobs: mpsc::Sender<Arc<Job>>,
    current: Mutex<Option<Arc<Job>>>,
    /// Numbers marked events.
    marks: AtomicU64,
    /// Generated events of all runs.
    pub(super) total: AtomicU64,
}

/// Where the generator's task finds its work.
pub(crate) type Jobs = mpsc::Receiver<Arc<Job>>;

/// One run.
#[derive(Debug)]
pub(crate) struct Job {
    pub(super) request: EmitRequest,
    pub(super) stop: CancellationToken,
    done: CancellationToken,
    started: Instant,
    ended_ms: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) deliveries: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) stalled_us: AtomicU64,
}

impl Emission {
    pub(crate) fn new() -> (Self, Jobs) {
        let (jobs, inbox) = mpsc::channel(1);
        let (current, marks, total) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0));
        (
            Self {
                jobs,
                current,
                marks,
                total,
            },
            inbox,
        )
    }

    /// Starts a run; there is one at a time.
    pub(crate) fn start(&self, request: EmitRequest) -> Result<Arc<Job>, Error> {
        if let Some(mix) = &request.mix {
            mix.check()?;
        }
        if request
            .rate
            .is_some_and(|rate| !rate.is_finite() || rate <= 0.0)
        {
            return Err(Error::Invalid(
                "the rate must be a number above 0".to_owned(),
            ));
        }
        let mut current = lock(&self.current);
        if current.as_ref().is_some_and(|job| !job.done.is_cancelled()) {
            return Err(Error::Busy);
        }
        let job = Arc::new(Job::new(request));
        self.jobs
            .try_send(Arc::clone(&job))
            .map_err(|_| Error::Busy)?;
        *current = Some(Arc::clone(&job));
        Ok(job)
    }

    /// Ends the run and waits for its end.
    pub(crate) async fn stop_and_wait(&self) {
        let current = lock(&self.current).clone();
        if let Some(job) = current {
            job.stop.cancel();
            job.done.cancelled().await;
        }
    }

    /// How far the last run is.
    pub(crate) fn progress(&self) -> Progress {
        lock(&self.current)
            .as_ref()
            .map(|job| job.progress())
            .unwrap_or_default()
    }

    /// Number of the next marked event.
    pub(crate) fn next_mark(&self) -> u64 {
        self.marks.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Generated events of all runs.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

impl Job {
    fn new(request: EmitRequest) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            request,
            stop: CancellationToken::new(),
            done: CancellationToken::new(),
            started: Instant::now(),
            ended_ms: zero(),
            events: zero(),
            deliveries: zero(),
            bytes: zero(),
            skipped: zero(),
            stalled_us: zero(),
        }
    }

    /// Waits for the end of the run.
    pub(crate) async fn finished(&self) -> Progress {
        self.done.cancelled().await;
        self.progress()
    }

    fn progress(&self) -> Progress {
        let running = !self.done.is_cancelled();
        let ended_ms = self.ended_ms.load(Ordering::Acquire);
        Progress {
            running,
            events: self.events.load(Ordering::Relaxed),
            deliveries: self.deliveries.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            elapsed_ms: if running {
                millis(self.started.elapsed())
            } else {
                ended_ms
            },
            stalled_ms: self.stalled_us.load(Ordering::Relaxed) / 1000,
            request: self.request.clone(),
        }
    }

    pub(super) fn end(&self) {
        self.ended_ms
            .store(millis(self.started.elapsed()), Ordering::Release);
        self.done.cancel();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
