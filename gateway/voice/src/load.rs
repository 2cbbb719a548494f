//! How busy this process is: what it takes of the CPU time that it can have, so that no call comes to where there is none left; and how
//! long songbird's threads take for a tick.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use boot::{CancellationToken, metrics};
use tokio::time::{self, Instant};

use crate::{driver::Common, metrics::Metrics};

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(1);
/// Over how many looks the CPU time is taken: a single second says little.
const WINDOW: usize = 6;
/// This limit is none.
const ALL: u32 = 100;

/// What the process takes; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// In percent of the CPU time that it can have.
    share: Arc<AtomicU32>,
    limit: u32,
}

impl Load {
    /// No load yet, which may become so many percent.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            share: Arc::default(),
            limit,
        }
    }

    /// Why no further call is taken, if none is.
    pub(crate) fn refusal(&self) -> Option<String> {
        let (share, limit) = (self.share.load(Ordering::Relaxed), self.limit);
        (share >= limit && limit < ALL).then(|| {
            format!("this node takes {share} % of its CPU time, and no further call from {limit} % on (VOICE_CPU)")
        })
    }

    fn set(&self, share: u32) {
        self.share.store(share, Ordering::Relaxed);
    }
}

/// Looks now and then, until the shutdown.
pub(crate) async fn watch(
    load: Load,
    songbird: Common,
    metrics: Metrics,
    shutdown: CancellationToken,
) {
    let mut window = Window::new(thread::available_parallelism().map_or(1, usize::from));
    let mut ticks = time::interval(LOOK);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Some(used) = metrics::cpu_time() {
            load.set(window.add(Instant::now(), used));
        }
        for tick in songbird.ticks().await {
            metrics.mixed(tick.as_secs_f64());
        }
    }
}

/// CPU time that was used up to some moments.
struct Window {
    cores: f64,
    looks: VecDeque<(Instant, Duration)>,
}

impl Window {
    fn new(cores: usize) -> Self {
        Self {
            cores: u32::try_from(cores).map_or(1.0, f64::from),
            looks: VecDeque::with_capacity(WINDOW),
        }
    }

    /// So much was used up to now; how many percent of all that is since the oldest look.
    fn add(&mut self, now: Instant, used: Duration) -> u32 {
        if self.looks.len() == WINDOW {
            self.looks.pop_front();
        }
        self.looks.push_back((now, used));
        let Some((since, before)) = self.looks.front() else {
            return 0;
        };
        let passed = (now - *since).as_secs_f64() * self.cores;
        let share = used.saturating_sub(*before).as_secs_f64() / passed.max(f64::EPSILON);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between both bounds"
        )]
        let percent = (share * 100.0).round().clamp(0.0, 100.0) as u32;
        percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_as_busy_as_it_was_for_some_seconds() {
        let (mut window, start) = (Window::new(2), Instant::now());
        let mut add = |second: u32, used: f64| {
            let now = start + LOOK * second;
            window.add(now, Duration::from_secs_f64(used))
        };
        assert_eq!(add(0, 10.0), 0);
        assert_eq!(add(1, 11.0), 50);
        assert_eq!(add(2, 13.0), 75);
        for second in 3..8 {
            add(second, 13.0);
        }
        assert_eq!(add(8, 13.0), 0);
    }

    #[test]
    fn a_busy_node_says_why_it_takes_no_call() {
        let load = Load::new(90);
        load.set(89);
        assert_eq!(load.refusal(), None);
        load.set(90);
        assert!(load.refusal().unwrap().contains("VOICE_CPU"));
        let unlimited = Load::new(ALL);
        unlimited.set(100);
        assert_eq!(unlimited.refusal(), None);
    }
}
