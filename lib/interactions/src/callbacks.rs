//! Interactions that came by a gateway connection: the answer is Discord's callback, and otherwise all is as by HTTP.
//!
//! Who has answered is Discord's to say: it refuses a second callback with 40060. So a process that takes over what another one
//! had in hand does the same again, and learns from that whether it had been done.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use boot::{CancellationToken, ExposeSecret as _, SecretString};
use broker::{Answer, Answers, Broker, CallError};
use futures_util::{StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use prost::Message as _;
use serde_json::Value;
use tokio::{
    select,
    sync::oneshot::Receiver,
    time::{self, Instant},
};
use transcode::{Payload, Scratch, Shape, Transcoder};
use wire::{
    discord::v1::{Interaction, InteractionCallbackParams},
    gateway::v1::{Code, Error as Failure, Event, InteractionResponse, event::Data},
    routing,
};

use crate::{
    Settings,
    conversation::Kind,
    ledger::{First, Followed, Ledger, Unfit},
    metrics::Metrics,
    replies::{AT_ONCE, Office, SWEEP},
    reply::{Replies, Reply},
    used,
};

/// The name of the event.
const INTERACTION: &str = "INTERACTION_CREATE";
/// How many interactions may wait for their answers at once.
const ASKED: usize = 16_384;
/// The longest that a deadline may be away: further away is another clock.
const FURTHEST: Duration = Duration::from_millis(2700);
/// How long after its deadline an interaction may still be answered.
const GRACE: Duration = Duration::from_millis(800);
/// How long after its deadline one that nobody has had in hand is surely over.
const OVER: Duration = Duration::from_secs(10);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a process that is stopped goes on with what it has begun.
const FINISH: Duration = Duration::from_secs(3);

/// What answers interactions that came by gateway connections; cheap to clone.
#[derive(Clone, Debug)]
pub struct Callbacks {
    ledger: Arc<Ledger>,
    settings: Arc<Settings>,
    metrics: Metrics,
    transcoder: Arc<Transcoder>,
}

/// The same for one application.
struct Desk {
    application_id: u64,
    office: Arc<Office>,
    transcoder: Arc<Transcoder>,
    callback: Shape,
}

/// An interaction that Discord waits for.
struct Asked {
    id: u64,
    token: SecretString,
    kind: Kind,
    /// When it was taken.
    since: Instant,
    /// When it is deferred.
    defer_at: Instant,
    /// Whether another process may have answered it.
    redelivered: bool,
}

/// What came of a callback.
enum Posted {
    /// It is the answer.
    Done,
    /// Discord does not wait any more.
    Gone(Failure),
    /// It is not the answer, and another one can be.
    Refused(Failure),
    /// Discord has an answer already.
    Taken,
    /// Whether it is the answer is not known.
    Unsure(Failure),
}

impl Callbacks {
    /// Remembers interactions of all applications together.
    pub fn new(settings: Settings, metrics: Metrics) -> Self {
        Self {
            ledger: Arc::new(Ledger::new(settings.remembered, metrics.clone())),
            settings: Arc::new(settings),
            metrics,
            transcoder: Arc::new(Transcoder::new()),
        }
    }

    /// Answers the interactions of an application until the shutdown; then others do. Over stdio there are none.
    pub async fn run(&self, application_id: u64, broker: &Broker, shutdown: &CancellationToken) {
        let Some((questions, answers)) = broker.shared_questions("api", application_id) else {
            return;
        };
        let end = CancellationToken::new();
        let _ended = end.clone().drop_guard();
        let schema = self.transcoder.schema();
        let callback = schema.shape("discord.v1.InteractionCallbackParams");
        let desk = Desk {
            application_id,
            office: Arc::new(Office {
                ledger: Arc::clone(&self.ledger),
                questions,
                client: broker.client_until("gateway-api", end),
                settings: Arc::clone(&self.settings),
                metrics: self.metrics.clone(),
            }),
            transcoder: Arc::clone(&self.transcoder),
            callback: callback.expect("the contract has answers to interactions"),
        };
        Arc::new(desk).run(answers, shutdown).await;
    }
}

impl Desk {
    async fn run(self: Arc<Self>, mut answers: Answers, shutdown: &CancellationToken) {
        let transcoder = Arc::clone(&self.transcoder);
        let replies = Replies::new(&transcoder);
        let mut asked = FuturesUnordered::new();
        let mut work = FuturesUnordered::new();
        let mut sweep = time::interval(SWEEP);
        loop {
            let has_room = work.len() < AT_ONCE && asked.len() < ASKED;
            select! {
                biased;
                () = shutdown.cancelled() => break,
                Some(()) = work.next() => {}
                Some(()) = asked.next() => {}
                Some(answer) = answers.next(), if has_room => {
                    match answer.type_name == routing::TYPE_EVENT {
                        true => asked.extend(self.take(&answer)),
                        false => work.extend(self.office.take(answer, &replies)),
                    }
                }
                _ = sweep.tick() => self.office.ledger.sweep(),
            }
        }
        // From here on another one takes them, and what waits for an answer goes there too.
        answers.close();
        drop(asked);
        let finished = async { while work.next().await.is_some() {} };
        time::timeout(FINISH, finished).await.ok();
    }

    /// Begins with an interaction.
    fn take(self: &Arc<Self>, copy: &Answer) -> Option<BoxFuture<'static, ()>> {
        let Some((interaction, asked)) = self.read(copy) else {
            let application_id = self.application_id;
            tracing::warn!(application_id, "what came as an interaction is none");
            return None;
        };
        let metrics = &self.office.metrics;
        let count = |word| {
            let took = asked.since.elapsed();
            metrics.answered(self.application_id, asked.kind.word(), word, took);
        };
        if !copy.redelivered && asked.defer_at + OVER < asked.since {
            count("late");
            return None;
        }
        let (ledger, settings) = (&self.office.ledger, &self.office.settings);
        let ephemeral = settings.ephemeral.fit(used(&copy.routing_key));
        let (id, token) = (asked.id, interaction.token());
        let opened = ledger.open(id, self.application_id, token, asked.kind, ephemeral);
        match opened {
            Ok(waiting) => {
                ledger.hold(id, copy.receipt.clone());
                Some(Box::pin(Arc::clone(self).answer(asked, waiting)))
            }
            Err(Unfit::Known) => {
                ledger.hold(id, copy.receipt.clone());
                None
            }
            Err(Unfit::Full) => {
                count("full");
                None
            }
        }
    }

    /// Reads the copy of an event.
    fn read(&self, copy: &Answer) -> Option<(Interaction, Asked)> {
        let event = Event::decode(copy.body.clone()).ok()?;
        if event.application_id != self.application_id {
            return None;
        }
        let interaction = match event.data {
            Some(Data::InteractionCreate(interaction)) => *interaction,
            _ => {
                let mut scratch = Scratch::default();
                let payload = Payload::new(&event.json);
                let data = self.transcoder.data(INTERACTION, payload, &mut scratch)?;
                Interaction::decode(data).ok()?
            }
        };
        let since = Instant::now();
        let asked = Asked {
            id: interaction.id?,
            token: interaction.token.as_deref()?.into(),
            kind: Kind::of(&interaction),
            since,
            defer_at: moment(copy.deadline.unwrap_or_default(), since),
            redelivered: copy.redelivered,
        };
        Some((interaction, asked))
    }

    /// Answers an interaction: by the first reply, or in place of one.
    async fn answer(self: Arc<Self>, asked: Asked, mut waiting: Receiver<First>) {
        let first = select! {
            biased;
            Ok(first) = &mut waiting => Some(first),
            () = time::sleep_until(asked.defer_at) => None,
        };
        let ledger = &self.office.ledger;
        let word = match first {
            Some(first) => self.first(first, &asked).await,
            None => match (ledger.defer(asked.id), waiting.try_recv()) {
                (Some(answer), _) => self.put_off(&answer, &asked).await,
                (None, Ok(first)) => self.first(first, &asked).await,
                (None, Err(_)) => {
                    ledger.answered(asked.id);
                    "late"
                }
            },
        };
        let (kind, took) = (asked.kind.word(), asked.since.elapsed());
        let metrics = &self.office.metrics;
        metrics.answered(self.application_id, kind, word, took);
    }

    /// Posts what was decided while Discord waited.
    async fn first(&self, first: First, asked: &Asked) -> &'static str {
        let reply = match first {
            First::Apology => return self.apologise(asked).await,
            First::Reply(reply) => reply,
        };
        let (office, id) = (&self.office, asked.id);
        match self.post(reply.response.clone(), asked).await {
            Posted::Done => {
                office.ledger.answered(id);
                "reply"
            }
            Posted::Gone(failure) => {
                office.failed(&reply, &failure).await;
                office.ledger.forget(id);
                "late"
            }
            Posted::Refused(failure) => {
                office.failed(&reply, &failure).await;
                self.apologise(asked).await
            }
            Posted::Taken => {
                office.ledger.answered(id);
                self.retake(reply, asked).await;
                "taken"
            }
            Posted::Unsure(failure) => {
                office.failed(&reply, &failure).await;
                office.ledger.answered(id);
                "unsure"
            }
        }
    }

    /// What becomes of a reply that cannot be the answer any more.
    async fn retake(&self, reply: Box<Reply>, asked: &Asked) {
        let answer = reply.answer.clone();
        let outcome = self.office.ledger.retake(asked.id, reply);
        for job in self.office.follow(asked.id, answer, outcome) {
            job.await;
        }
    }

    /// Tells the user that it did not work.
    async fn apologise(&self, asked: &Asked) -> &'static str {
        let (office, id) = (&self.office, asked.id);
        if let Some(answer) = asked.kind.apology(&office.settings.message) {
            match self.post(self.response(&answer), asked).await {
                Posted::Done => {}
                // It is the deferral of the process that had it before, or the worker's own answer.
                Posted::Taken if asked.redelivered => {
                    office.ledger.answered(id);
                    if office.ledger.retake_apology(id) == Followed::Work {
                        Arc::clone(office).work(id).await;
                    }
                    return "taken";
                }
                Posted::Taken => {
                    office.ledger.settle(id);
                    office.ledger.answered(id);
                    return "taken";
                }
                Posted::Gone(failure) | Posted::Refused(failure) | Posted::Unsure(failure) => {
                    office.metrics.failed(failure.code().as_str_name());
                }
            }
        }
        office.ledger.answered(id);
        "refused"
    }

    /// Posts what is answered in place of a reply that has not come.
    async fn put_off(&self, answer: &Value, asked: &Asked) -> &'static str {
        let (ledger, id) = (&self.office.ledger, asked.id);
        match self.post(self.response(answer), asked).await {
            Posted::Taken if !asked.redelivered => {
                // The worker has answered Discord by itself.
                ledger.settle(id);
                ledger.answered(id);
                "taken"
            }
            Posted::Done | Posted::Taken | Posted::Unsure(_) => {
                ledger.answered(id);
                "deferred"
            }
            Posted::Gone(failure) | Posted::Refused(failure) => {
                self.office.metrics.failed(failure.code().as_str_name());
                ledger.forget(id);
                "late"
            }
        }
    }

    /// Has a callback carried out, as often as it takes while Discord waits: it takes the first one alone.
    async fn post(&self, response: InteractionResponse, asked: &Asked) -> Posted {
        let end = asked.defer_at.max(asked.since) + GRACE;
        let mut is_unsure = false;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(PAUSE);
            let (of, response) = ((asked.id, asked.token.expose_secret()), response.clone());
            let called = self.office.respond(self.application_id, of, response, left);
            let Err(error) = called.await else {
                return Posted::Done;
            };
            let is_certain = match &error {
                CallError::Busy | CallError::Nobody(_) => true,
                CallError::Away | CallError::Late(_) | CallError::Odd => false,
                CallError::Failed(failure) => match failure.code() {
                    Code::AlreadyExists if is_unsure => return Posted::Done,
                    Code::AlreadyExists => return Posted::Taken,
                    Code::NotFound => return Posted::Gone(Failure::from(error)),
                    Code::Unavailable | Code::ResourceExhausted => true,
                    Code::DeadlineExceeded | Code::Unknown => false,
                    _ => return Posted::Refused(Failure::from(error)),
                },
            };
            is_unsure |= !is_certain;
            if Instant::now() + PAUSE >= end {
                return match is_unsure {
                    true => Posted::Unsure(Failure::from(error)),
                    false => Posted::Refused(Failure::from(error)),
                };
            }
            time::sleep(PAUSE).await;
        }
    }

    /// An answer of ours as the callback takes it.
    fn response(&self, answer: &Value) -> InteractionResponse {
        let mut scratch = Scratch::default();
        let json = answer.to_string();
        let schema = self.transcoder.schema();
        let parsed = schema.parse(self.callback, json.as_bytes(), &mut scratch);
        let callback = parsed.ok();
        let callback = callback.and_then(|bytes| InteractionCallbackParams::decode(bytes).ok());
        InteractionResponse {
            callback,
            files: Vec::new(),
        }
    }
}

/// When an interaction is deferred whose event says that it is at this moment.
fn moment(deadline: i64, now: Instant) -> Instant {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH);
    let unix = unix.unwrap_or_default();
    let deadline = Duration::from_millis(u64::try_from(deadline).unwrap_or_default());
    match deadline.checked_sub(unix) {
        Some(left) => now + left.min(FURTHEST),
        None => now.checked_sub(unix - deadline).unwrap_or(now),
    }
}
