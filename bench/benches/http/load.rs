//! Interactions over kept connections, as fast as they are answered or at an even pace.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bench::caller::Caller;
use tokio::{
    task::JoinSet,
    time::{self, Instant, MissedTickBehavior},
};

use crate::{
    interactions::{Interaction, Interactions, Signed},
    service::Service,
};

/// Connections.
const CALLERS: usize = 64;

/// How many are sent, and how many of them a second; none: as many as are answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) count: usize,
    pub(crate) rate: Option<u32>,
}

/// What was measured in some turns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    count: usize,
    wall: Duration,
    used: Duration,
}

/// An answer and how long it took.
pub(crate) type Answered = (Duration, Vec<u8>);

impl Pace {
    /// As many as are answered.
    pub(crate) const FLOOD: Self = Self {
        count: 20_000,
        rate: None,
    };
    /// What leaves the machine idle.
    pub(crate) const STEADY: Self = Self {
        count: 5_000,
        rate: Some(500),
    };
}

impl Sum {
    pub(crate) fn new(count: usize, wall: Duration, used: Duration) -> Self {
        Self { count, wall, used }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.wall += other.wall;
        self.used += other.used;
    }

    /// Interactions a second.
    pub(crate) fn rate(&self) -> f64 {
        self.count as f64 / self.wall.as_secs_f64()
    }

    /// Microseconds of CPU time for one.
    pub(crate) fn cpu(&self) -> f64 {
        self.used.as_secs_f64() * 1e6 / self.count as f64
    }
}

/// What the service takes for so many.
pub(crate) async fn turn(service: &Service, pace: Pace, signed: Signed) -> Result<Sum> {
    let all = Interactions::new().sign(pace.count, signed);
    let (before, start) = (service.used()?, Instant::now());
    send(service, all, pace, signed).await?;
    let wall = start.elapsed();
    // What follows the last answers belongs to them.
    time::sleep(Duration::from_millis(200)).await;
    let used = service.used()?.saturating_sub(before);
    Ok(Sum::new(pace.count, wall, used))
}

/// Sends them all; what was answered.
pub(crate) async fn send(
    service: &Service,
    all: Vec<Interaction>,
    pace: Pace,
    signed: Signed,
) -> Result<Vec<Answered>> {
    let (address, all) = (service.address(), Arc::new(all));
    let status = match signed {
        Signed::Right => 200,
        Signed::Wrong => 401,
    };
    // Of each caller.
    let every = pace
        .rate
        .map(|rate| Duration::from_secs(1) * CALLERS as u32 / rate);
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for each in 0..CALLERS {
        let all = Arc::clone(&all);
        callers.spawn(async move {
            let mut caller = Caller::connect(address).await?;
            let mut answers = Vec::new();
            // Evenly spread.
            let mut ticks = every.map(|every| {
                let mut ticks =
                    time::interval_at(begun + every * each as u32 / CALLERS as u32, every);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                ticks
            });
            for interaction in all.iter().skip(each).step_by(CALLERS) {
                if let Some(ticks) = &mut ticks {
                    ticks.tick().await;
                }
                let since = Instant::now();
                let answer = caller.ask(&interaction.request, status).await?;
                answers.push((since.elapsed(), answer.to_vec()));
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = Vec::new();
    while let Some(answered) = callers.join_next().await {
        answers.extend(answered??);
    }
    Ok(answers)
}
