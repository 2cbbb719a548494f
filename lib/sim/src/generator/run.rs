//! The generator's task: draws events, waits for slow clients, and gives events to those who want them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    emission::{Job, Jobs},
    events::{Drawn, Events},
    mark::write_mark,
    pace::Pace,
};
use crate::{
    gateway::sessions::{Handle, Routes},
    intents,
    world::World,
};

/// Events between two looks at the clock and at who listens.
const SLICE: u64 = 64;
/// How long to wait while nobody wants any event.
const NOBODY: Duration = Duration::from_millis(10);
/// Draws without a taker after which the generator rests.
const IN_VAIN: u32 = 2000;

/// The generator's task: one run after the other.
pub(crate) async fn serve(world: Arc<World>, mut jobs: Jobs, shutdown: CancellationToken) {
    loop {
        let job = tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            job = jobs.recv() => match job {
                Some(job) => job,
                None => return,
            },
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = job.stop.cancelled() => {}
            () = Run::new(&world, &job).go() => {}
        }
        job.end();
    }
}

/// A run's state.
struct Run<'a> {
    world: &'a World,
    job: &'a Job,
    events: Events,
    routes: Routes,
    generation: Option<u64>,
    pace: Pace,
    mark: bool,
    in_vain: u32,
    numbers: u64,
    recipients: Vec<Arc<Handle>>,
    scratch: Vec<u8>,
}

impl<'a> Run<'a> {
    fn new(world: &'a World, job: &'a Job) -> Self {
        let (config, request) = (world.config(), &job.request);
        let mix = request.mix.as_ref().unwrap_or(&config.mix);
        let seed = request.seed.unwrap_or(config.seed);
        Self {
            world,
            job,
            events: Events::new(seed, mix, world.guilds()),
            routes: Routes::default(),
            generation: None,
            pace: Pace::new(Instant::now(), request.rate),
            mark: request.mark.unwrap_or(config.mark),
            in_vain: 0,
            numbers: 0,
            recipients: Vec::new(),
            scratch: Vec::with_capacity(8192),
        }
    }

    /// Emits until the count is reached.
    async fn go(mut self) {
        let count = self.job.request.count.unwrap_or(u64::MAX);
        let mut emitted = 0;
        while emitted < count {
            self.refresh();
            if self.routes.is_empty() || self.in_vain >= IN_VAIN {
                self.in_vain = 0;
                sleep(NOBODY).await;
                self.pace.forgive(Instant::now());
                continue;
            }
            let due = match self.pace.due(Instant::now()) {
                Ok(due) => due.min(SLICE).min(count - emitted),
                Err(until) => {
                    sleep_until(until).await;
                    continue;
                }
            };
            for _ in 0..due {
                let Some(drawn) = self.events.draw() else {
                    // Without guilds there is nothing to emit.
                    self.in_vain = IN_VAIN;
                    break;
                };
                if self.emit(&drawn).await {
                    emitted += 1;
                    self.pace.emitted();
                }
                if self.in_vain >= IN_VAIN {
                    break;
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn refresh(&mut self) {
        let generation = self.world.sessions.generation();
        if self.generation != Some(generation) {
            self.generation = Some(generation);
            self.routes = self.world.sessions.routes();
        }
    }

    /// Gives the event to all who want it; `false` if nobody does.
    async fn emit(&mut self, drawn: &Drawn) -> bool {
        let kind = drawn.kind;
        let guild = kind.in_guild.then_some(drawn.guild.id);
        let required = intents::required(kind.name, kind.in_guild);
        self.recipients.clear();
        self.recipients
            .extend(self.routes.recipients(guild, required).cloned());
        if self.recipients.is_empty() {
            self.in_vain += 1;
            self.job.skipped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.in_vain = 0;
        self.wait_for_room().await;
        self.deliver(drawn);
        true
    }

    async fn wait_for_room(&self) {
        let paced = self.job.request.rate.is_some();
        for handle in &self.recipients {
            if handle.lock().has_room(paced) {
                continue;
            }
            let start = Instant::now();
            handle.has_room(paced).await;
            let waited = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.job.stalled_us.fetch_add(waited, Ordering::Relaxed);
        }
    }

    fn deliver(&mut self, drawn: &Drawn) {
        self.numbers += 1;
        let name = drawn.kind.name;
        let id = self.world.names.id(name);
        let number = if self.mark {
            self.world.emission.next_mark()
        } else {
            self.numbers
        };
        let mut deliveries = 0;
        for content in [true, false] {
            let wanted = |handle: &&Arc<Handle>| {
                let full = handle.identity.intents & intents::MESSAGE_CONTENT != 0;
                content == (full || !drawn.kind.has_content)
            };
            let mut takers = self.recipients.iter().filter(wanted).peekable();
            if takers.peek().is_none() {
                continue;
            }
            self.scratch.clear();
            self.events.write(drawn, number, content, &mut self.scratch);
            if self.mark {
                write_mark(number, &mut self.scratch);
            }
            for handle in takers {
                if handle.push_generated(name, id, &self.scratch) {
                    deliveries += 1;
                    self.job
                        .bytes
                        .fetch_add(self.scratch.len() as u64, Ordering::Relaxed);
                }
            }
        }
        self.job.deliveries.fetch_add(deliveries, Ordering::Relaxed);
        self.job.events.fetch_add(1, Ordering::Relaxed);
        self.world.emission.total.fetch_add(1, Ordering::Relaxed);
    }
}
