//! Requests of workers to the gateway connections: checked here, carried out by the shards.
//!
//! Any replica takes a request from the service's queue, checks it, and works out the shard. The one that
//! holds the shard carries it out, be it this one or another: each has a queue that is bound to the shards
//! that it holds, and a request for a shard that nobody holds comes back at once.

mod answers;
mod errand;
mod failure;
mod flights;
mod heard;
mod job;
mod line;
mod outbox;
mod payload;
mod question;

pub(crate) use self::heard::{guild, guilds};

use self::{
    errand::{Done, Errand},
    failure::{exhausted, failure, too_late, unavailable},
    job::{Job, Method, SERVICE, To, binding},
};
use crate::{intents::tell_guilds, metrics::Metrics};
use broker::{Bindings, Broker, Client, Forwarded, Owned, Request, Requests};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use store::Shard;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use transcode::{Payload, Transcoder};
use wire::gateway::v1::{Code, Error as Failure};

/// How many requests are carried out at once; further ones wait at the broker.
const AT_ONCE: usize = 256;

/// How many of them may wait for Discord's answers, so that there is always room for those that don't.
const WAITING: usize = 128;

/// How long a caller waits who does not say.
const PATIENCE: Duration = Duration::from_secs(10);

/// The way to each shard of this process; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Commands(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    application_id: u64,
    intents: u64,
    /// How many shards there are in all; 0 while that is not known.
    count: AtomicU32,
    transcoder: Arc<Transcoder>,
    metrics: Arc<Metrics>,
    /// To other replicas.
    client: Client,
    /// By what requests for our shards reach us.
    bindings: Bindings,
    lines: Mutex<BTreeMap<Shard, Arc<line::Line>>>,
    /// The requests that may wait for Discord's answers.
    waiting: Semaphore,
}

/// Where requests come in.
#[derive(Debug)]
pub(crate) struct Door {
    commands: Commands,
    requests: Requests,
    owned: Owned,
}

/// A shard's end of the way to it. When it is dropped the shard is no longer ours, and who waits for it is
/// told so.
#[derive(Debug)]
pub(crate) struct Line {
    commands: Commands,
    shard: Shard,
    line: Arc<line::Line>,
}

impl Commands {
    /// Commands to an application's shards, none of which is here yet; `replica` is the name of this
    /// process among those that serve the application.
    pub(crate) fn open(
        broker: &Broker,
        application_id: u64,
        intents: u64,
        replica: &str,
        transcoder: Arc<Transcoder>,
        metrics: Arc<Metrics>,
    ) -> (Self, Door) {
        let owned = broker.owned(SERVICE, application_id, replica);
        let commands = Self(Arc::new(Inner {
            application_id,
            intents,
            count: AtomicU32::new(0),
            transcoder,
            metrics,
            client: broker.client(&application_id.to_string()),
            bindings: owned.bindings(),
            lines: Mutex::default(),
            waiting: Semaphore::new(WAITING),
        }));
        let door = Door {
            commands: commands.clone(),
            requests: broker.requests(SERVICE, application_id),
            owned,
        };
        (commands, door)
    }

    /// From now on guilds belong to the shards of a set of this size.
    pub(crate) fn set_count(&self, count: u32) {
        self.0.count.store(count, Ordering::Relaxed);
    }

    /// This shard is here now. One that was here before under that number is not any more.
    pub(crate) fn attach(&self, shard: Shard) -> Line {
        let tells_guilds = tell_guilds(self.0.intents);
        let line = Arc::new(line::Line::new(shard.id, tells_guilds));
        self.0.lines().insert(shard, Arc::clone(&line));
        self.0.bindings.bind(binding(self.0.application_id, shard));
        Line {
            commands: self.clone(),
            shard,
            line,
        }
    }

    /// This shard is about to leave: requests for it are for its next holder, and who waits for it is told
    /// so.
    pub(crate) fn detach(&self, shard: Shard) {
        let line = self.0.lines().remove(&shard);
        if let Some(line) = line {
            self.0.close(shard, &line);
        }
    }
}

impl Door {
    /// Takes requests until the shutdown. A shard that is slow to send holds up nobody else's.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let commands = self.commands.clone();
        let mut answering = FuturesUnordered::new();
        loop {
            let has_room = answering.len() < AT_ONCE;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(()) = answering.next() => {}
                request = self.owned.next(), if has_room => {
                    answering.push(commands.0.answer(request));
                }
                request = self.requests.next(), if has_room => {
                    answering.push(commands.0.answer(request));
                }
            }
        }
    }
}

impl Inner {
    /// Carries a request out, and says how that went.
    async fn answer(&self, mut request: Request) {
        let done = self.outcome(&mut request).await;
        self.metrics.command(match &done {
            Ok(Done::Elsewhere(..)) => "forwarded",
            Ok(Done::Gone(_)) => "unanswered",
            Ok(Done::End(..) | Done::Reply(..)) => "done",
            Err(failure) => failure.code().as_str_name(),
        });
        let answered = match done {
            Ok(Done::Elsewhere(shard, key)) => match request.forward(&key).await {
                Ok(Forwarded::Nobody(request)) => request.fail(&nobodys(shard)).await,
                Ok(Forwarded::Taken) => Ok(()),
                Err(error) => Err(error),
            },
            Ok(Done::End(name, body)) => request.end(&name, body).await,
            Ok(Done::Gone(error)) => Err(error),
            Ok(Done::Reply(name, body)) => request.reply(&name, body).await,
            Err(failure) => request.fail(&failure).await,
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "an answer did not get through; the request comes again");
        }
    }

    /// Checks a request, and does what is asked.
    async fn outcome(&self, request: &mut Request) -> Result<Done, Failure> {
        let limit = request.call.timeout.unwrap_or(PATIENCE);
        if limit.is_zero() {
            return Err(too_late());
        }
        let method = Method::parse(&request.call.method)?;
        let to = To::read(&request.call, self.application_id)?;
        let count = match to {
            To::Anyone => self.count.load(Ordering::Relaxed),
            To::Owner(shard) => shard.count,
        };
        if count == 0 {
            let text = "it is not known yet how many shards there are; try again";
            return Err(failure(Code::Unavailable, text));
        }
        let schema = self.transcoder.schema();
        let job = Job::read(method, request, count, self.intents, schema)?;
        let _waiting = if method.waits() {
            Some(self.waiting.try_acquire().map_err(|_| {
                let text = "too many requests wait for Discord's answers already";
                exhausted(text, Duration::from_secs(1))
            })?)
        } else {
            None
        };
        let errand = Errand::new(self, method, count, limit, request.call.priority);
        if let [id] = job.shard_ids()[..] {
            let shard = Shard { count, id };
            match (to, self.line(shard)) {
                (To::Owner(owned), _) if owned != shard => {
                    Err(failure::invalid(format!("this is not for shard {owned}")))
                }
                (_, Some(line)) => errand.here(job, &line, request).await,
                (To::Anyone, None) => {
                    let key = method.key(self.application_id, shard);
                    Ok(Done::Elsewhere(shard, key))
                }
                (To::Owner(_), None) => Err(unavailable(id)),
            }
        } else if to == To::Anyone {
            errand.everywhere(job, request).await
        } else {
            Err(failure::invalid(
                "several shards are meant, but one was addressed",
            ))
        }
    }

    /// Requests for a shard no longer come here; what was asked of it is not answered any more.
    fn close(&self, shard: Shard, line: &line::Line) {
        self.bindings.unbind(&binding(self.application_id, shard));
        line.moved();
    }

    fn line(&self, shard: Shard) -> Option<Arc<line::Line>> {
        self.lines().get(&shard).cloned()
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Shard, Arc<line::Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The next payload to send; waits until there is one. Cancel safe. It counts as sent.
    pub(crate) async fn next(&self) -> String {
        self.line.next().await
    }

    /// The shard has a session, new or resumed.
    pub(crate) fn connected(&self) {
        self.line.connected();
    }

    /// The shard's connection is gone.
    pub(crate) fn disconnected(&self) {
        self.line.disconnected();
    }

    /// The shard's session is gone.
    pub(crate) fn session_lost(&self) {
        self.line.session_lost();
    }

    /// Reads an event for what callers wait for; `data` makes of its payload what the contract has.
    pub(crate) fn hear(
        &self,
        name: &str,
        payload: Payload<'_>,
        data: impl FnOnce() -> Option<Bytes>,
    ) {
        if line::concerns(name)
            && let Ok(json) = payload.text()
        {
            self.line.hear(name, json, data);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let inner = &self.commands.0;
        let mut lines = inner.lines();
        let held = lines.get(&self.shard);
        // The shard may have come back under the same number already.
        if held.is_some_and(|line| Arc::ptr_eq(line, &self.line)) {
            lines.remove(&self.shard);
            inner.close(self.shard, &self.line);
        }
    }
}

/// No replica holds a shard.
fn nobodys(shard: Shard) -> Failure {
    let text = format!(
        "shard {} is held by no replica just now; try again",
        shard.id
    );
    failure(Code::Unavailable, text)
}
