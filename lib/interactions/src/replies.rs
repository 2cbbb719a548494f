//! Takes the replies of workers, and carries out those that come after the answer.

use std::{sync::Arc, time::Duration};

use boot::{CancellationToken, ExposeSecret as _};
use broker::{Answer, Answers, CallError, Client, Questions};
use bytes::Bytes;
use futures_util::{
    StreamExt as _,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use prost::Message as _;
use tokio::{
    select,
    time::{self, Instant},
};
use transcode::Transcoder;
use wire::{
    discord::v1::MessageParams,
    gateway::v1::{
        Code, Error as Failure, InteractionResponse, InteractionsCreateFollowupRequest,
        InteractionsEditOriginalRequest, InteractionsRespondRequest,
    },
};

use crate::{
    config::Settings,
    conversation::{Deferral, EPHEMERAL, Job},
    ledger::{Followed, Ledger, Outcome, Refusal, Work},
    metrics::Metrics,
    reply::{Replies, Reply},
};

/// How many interactions are worked at, and workers told something, at once.
pub(crate) const AT_ONCE: usize = 4096;
/// How many users are told something at once at the end.
const PARTING: usize = 64;
/// How often what is over is looked for.
pub(crate) const SWEEP: Duration = Duration::from_secs(60);
/// How long after its answer an interaction may be unknown to Discord.
const SETTLE: Duration = Duration::from_millis(200);
/// How long it may be so at the most.
const SETTLED: Duration = Duration::from_secs(5);
/// How long one request to `api` may take.
const CALL: Duration = Duration::from_secs(20);
/// How long it is tried, while there is no `api` or no broker.
const TRY: Duration = Duration::from_secs(60);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_secs(1);
/// Requests of users who wait go before others.
const PRIORITY: u8 = 9;

/// The task that takes replies.
#[derive(Debug)]
pub struct Clerk {
    /// The replies, as they come.
    pub answers: Answers,
    /// What carries them out.
    pub office: Arc<Office>,
    /// What reads them.
    pub transcoder: Arc<Transcoder>,
}

/// What it takes to carry replies out.
#[derive(Debug)]
pub struct Office {
    /// The interactions.
    pub ledger: Arc<Ledger>,
    /// The way to tell workers what was wrong.
    pub questions: Questions,
    /// The way to `gateway-api`.
    pub client: Client,
    /// What an operator has set.
    pub settings: Arc<Settings>,
    /// What is counted.
    pub metrics: Metrics,
}

/// An edit or a followup, on its way.
struct Request {
    method: &'static str,
    body: Bytes,
    /// Whether it may be sent again when its fate is not known.
    may_repeat: bool,
}

impl Clerk {
    /// Takes replies until this token is cancelled.
    pub async fn run(mut self, end: CancellationToken) {
        let transcoder = Arc::clone(&self.transcoder);
        let replies = Replies::new(&transcoder);
        let mut work = FuturesUnordered::new();
        let mut sweep = time::interval(SWEEP);
        loop {
            let has_room = work.len() < AT_ONCE;
            select! {
                biased;
                () = end.cancelled() => return,
                Some(()) = work.next() => {}
                Some(answer) = self.answers.next(), if has_room => {
                    work.extend(self.office.take(answer, &replies));
                }
                _ = sweep.tick() => self.office.ledger.sweep(),
            }
        }
    }
}

impl Office {
    /// What is to be done for a reply.
    pub(crate) fn take(
        self: &Arc<Self>,
        answer: Answer,
        replies: &Replies<'_>,
    ) -> Vec<BoxFuture<'static, ()>> {
        let id = answer.correlation_id.parse().ok();
        let outcome = match id {
            Some(id) => self.ledger.hear(id, &answer, replies),
            None => Outcome::Refused(Refusal::Unknown, Followed::Nothing),
        };
        self.metrics.replied(word(&outcome));
        self.follow(id.unwrap_or_default(), answer, outcome)
    }

    /// What is to be done after that has become of a reply.
    pub(crate) fn follow(
        self: &Arc<Self>,
        id: u64,
        answer: Answer,
        outcome: Outcome,
    ) -> Vec<BoxFuture<'static, ()>> {
        let mut to_do: Vec<BoxFuture<'static, ()>> = Vec::new();
        match outcome {
            Outcome::Work => to_do.push(Box::pin(Arc::clone(self).work(id))),
            Outcome::Refused(refusal, followed) => {
                tracing::debug!(interaction_id = id, %refusal, "a reply is not carried out");
                if followed == Followed::Work {
                    to_do.push(Box::pin(Arc::clone(self).work(id)));
                }
                if let Some(failure) = told(&refusal) {
                    let office = Arc::clone(self);
                    to_do.push(Box::pin(async move {
                        office.questions.tell(&answer, &failure).await;
                    }));
                }
            }
            Outcome::First | Outcome::Nothing | Outcome::Queued | Outcome::Repeated => {}
        }
        to_do
    }

    /// Tells the users for whom nothing will come that it did not work.
    pub async fn part(self: &Arc<Self>) {
        let left = stream::iter(self.ledger.part());
        let told = left.for_each_concurrent(PARTING, |id| Arc::clone(self).work(id));
        // What is not told by then is never told: the process has to end.
        time::timeout(CALL / 4, told).await.ok();
    }

    /// Has Discord answered by the callback's own route.
    ///
    /// # Errors
    /// Why it is not, or may not be.
    pub async fn respond(
        &self,
        application_id: u64,
        (interaction_id, token): (u64, &str),
        response: InteractionResponse,
        timeout: Duration,
    ) -> Result<(), CallError> {
        let request = InteractionsRespondRequest {
            interaction_id,
            token: token.to_owned(),
            response: Some(response),
            with_response: false,
        };
        let key = format!("interactions.Respond.{application_id}");
        let (method, body) = ("gateway.v1.Interactions/Respond", request.encode_to_vec());
        let called = self
            .client
            .call(method, &key, body.into(), PRIORITY, timeout);
        called.await.map(|_| ())
    }

    /// Counts a reply that could not be carried out, and tells the worker.
    pub async fn failed(&self, reply: &Reply, failure: &Failure) {
        self.metrics.failed(failure.code().as_str_name());
        self.questions.tell(&reply.answer, failure).await;
    }

    /// Does what is to be done for an interaction, one after the other.
    pub(crate) async fn work(self: Arc<Self>, id: u64) {
        while let Some(work) = self.ledger.work(id) {
            let Some(answered) = self.answered(id, &work).await else {
                return;
            };
            let outcome = self.carry_out(&work, answered).await;
            if let Err(failure) = outcome {
                self.fail(&work, answered, failure).await;
            }
        }
    }

    /// When Discord was answered: before that it knows of nothing that could be changed.
    async fn answered(&self, id: u64, work: &Work) -> Option<Instant> {
        let mut answered = work.answered;
        while answered.is_none() {
            if Instant::now() > work.end {
                return None;
            }
            time::sleep(SETTLE).await;
            // It may have been forgotten, as its caller hung up.
            answered = self.ledger.answered_at(id)?;
        }
        let answered = answered?;
        time::sleep_until(answered + SETTLE).await;
        Some(answered)
    }

    async fn carry_out(&self, work: &Work, answered: Instant) -> Result<(), Failure> {
        let token = work.token.expose_secret();
        let request = match &work.job {
            Job::Apologise(deferral) => self.apology(*deferral, token),
            Job::Edit(reply, _) => edit(reply, token),
            Job::Followup(reply, _) => followup(reply, token),
        };
        self.send(&request, work, answered).await
    }

    /// Has a request carried out by `api`, however long there is none, within a minute.
    async fn send(&self, request: &Request, work: &Work, answered: Instant) -> Result<(), Failure> {
        let method = format!("gateway.v1.Interactions/{}", request.method);
        let key = format!("interactions.{}.{}", request.method, work.application_id);
        let end = work.end.min(Instant::now() + TRY);
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(CALL);
            let (client, body) = (&self.client, request.body.clone());
            let called = client.call(&method, &key, body, PRIORITY, left).await;
            let Err(error) = called else {
                return Ok(());
            };
            let is_new = answered.elapsed() < SETTLED;
            let again = comes_again(&error, request.may_repeat, is_new);
            if !again || Instant::now() + PAUSE > end {
                return Err(error.into());
            }
            time::sleep(PAUSE).await;
        }
    }

    /// Tells the worker, and the user if he still waits.
    async fn fail(&self, work: &Work, answered: Instant, failure: Failure) {
        self.metrics.failed(failure.code().as_str_name());
        let code = failure.code().as_str_name();
        tracing::debug!(code, "what followed an answer was not carried out");
        let (reply, owed) = match &work.job {
            Job::Apologise(_) => return,
            Job::Edit(reply, owed) | Job::Followup(reply, owed) => (reply, owed),
        };
        self.questions.tell(&reply.answer, &failure).await;
        if let Some(deferral) = owed {
            let apology = self.apology(*deferral, work.token.expose_secret());
            if let Err(failure) = self.send(&apology, work, answered).await {
                self.metrics.failed(failure.code().as_str_name());
            }
        }
    }

    /// What the user reads in place of what was put off.
    fn apology(&self, deferral: Deferral, token: &str) -> Request {
        let message = MessageParams {
            content: Some(self.settings.message.clone()),
            flags: (deferral == Deferral::Update).then_some(EPHEMERAL),
            ..MessageParams::default()
        };
        match deferral {
            Deferral::Message => edited(token, message, Vec::new()),
            Deferral::Update => followed(token, message, Vec::new()),
        }
    }
}

fn edit(reply: &Reply, token: &str) -> Request {
    edited(token, reply.message(true), reply.response.files.clone())
}

fn followup(reply: &Reply, token: &str) -> Request {
    followed(token, reply.message(false), reply.response.files.clone())
}

fn edited(token: &str, message: MessageParams, files: Vec<wire::gateway::v1::File>) -> Request {
    let request = InteractionsEditOriginalRequest {
        token: token.to_owned(),
        message: Some(message.into()),
        files,
    };
    Request {
        method: "EditOriginal",
        body: request.encode_to_vec().into(),
        may_repeat: true,
    }
}

fn followed(token: &str, message: MessageParams, files: Vec<wire::gateway::v1::File>) -> Request {
    let request = InteractionsCreateFollowupRequest {
        token: token.to_owned(),
        message: Some(message.into()),
        files,
    };
    Request {
        method: "CreateFollowup",
        body: request.encode_to_vec().into(),
        may_repeat: false,
    }
}

/// Whether another try may help, and cannot do a thing twice that is to be done once.
fn comes_again(error: &CallError, may_repeat: bool, is_new: bool) -> bool {
    match error {
        CallError::Busy | CallError::Nobody(_) => true,
        CallError::Away | CallError::Late(_) => may_repeat,
        CallError::Failed(failure) => match failure.code() {
            // Nothing was sent.
            Code::Unavailable => failure.discord.is_none() || may_repeat,
            // Discord may not have taken in the answer yet.
            Code::NotFound => is_new,
            Code::ResourceExhausted => true,
            Code::Unknown => may_repeat,
            _ => false,
        },
        CallError::Odd => false,
    }
}

/// What the worker is told. What it has said itself it knows.
fn told(refusal: &Refusal) -> Option<Failure> {
    let code = match refusal {
        Refusal::Failure(_) => return None,
        Refusal::Late(_) => Code::FailedPrecondition,
        Refusal::Many => Code::ResourceExhausted,
        Refusal::Unknown => Code::NotFound,
        Refusal::Wrong(_) => Code::InvalidArgument,
    };
    Some(Failure {
        code: code.into(),
        message: refusal.to_string(),
        ..Failure::default()
    })
}

/// A word for what became of a reply, for metrics.
const fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::First => "answer",
        Outcome::Queued | Outcome::Work => "later",
        Outcome::Nothing => "nothing",
        Outcome::Repeated => "repeated",
        Outcome::Refused(refusal, _) => match refusal {
            Refusal::Failure(_) => "failure",
            Refusal::Late(_) => "late",
            Refusal::Many => "many",
            Refusal::Unknown => "unknown",
            Refusal::Wrong(_) => "invalid",
        },
    }
}
