//! One interaction: from HTTP to an event, and from the worker's reply to the answer.

#[cfg(test)]
mod tests;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use broker::{AskError, CallError, Message};
use bytes::Bytes;
use events::Read;
use http::{HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::body::Incoming;
use interactions::{First, Kind, Ledger, Office, Reply, Unfit, used};
use listener::{Answer, Proxies, Refusals, Signed, Verified};
use tokio::{
    select,
    sync::oneshot::Receiver,
    time::{Instant, sleep_until},
};
use wire::{
    discord::v1::InteractionType,
    gateway::v1::{Code, Error as Failure},
};

use crate::{config::Config, event::Encoder, metrics::Metrics};

/// How long Discord waits, less what the answer takes to get there.
const PATIENCE: Duration = Duration::from_millis(2800);

/// What answers interactions; all connections share it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) signed: Signed,
    pub(crate) proxies: Proxies,
    pub(crate) config: Arc<Config>,
    pub(crate) encoder: Encoder,
    pub(crate) office: Arc<Office>,
    pub(crate) refusals: Refusals,
    pub(crate) metrics: Metrics,
}

/// How the wait for a reply ends.
enum Waited {
    First(First),
    /// With none in time.
    Later,
    /// Nobody is there to reply.
    Nobody,
    /// Whether somebody is there is not known.
    Unpublished,
}

/// What Discord is answered, and what the metrics call it.
struct Answered(&'static str, Response<Full<Bytes>>);

impl Answer for Endpoint {
    async fn answer(
        &self,
        request: Request<Incoming>,
        caller: SocketAddr,
    ) -> Response<Full<Bytes>> {
        let since = Instant::now();
        let caller = self.proxies.caller(caller.ip(), request.headers());
        let verified = match self.signed.take(request).await {
            Ok(verified) => verified,
            Err(refusal) => {
                self.metrics.refused(refusal.word());
                self.refusals.add(caller, refusal);
                return refusal.response();
            }
        };
        let application_id = verified.application_id;
        let (kind, Answered(word, response)) = self.interaction(verified, since).await;
        let took = since.elapsed();
        let metrics = &self.office.metrics;
        metrics.answered(application_id, kind, word, took);
        response
    }
}

/// An interaction that Discord waits for.
struct Asked {
    application_id: u64,
    read: Read,
    kind: Kind,
    since: Instant,
}

impl Endpoint {
    /// Answers what Discord has signed; the first word is what it was.
    async fn interaction(&self, verified: Verified, since: Instant) -> (&'static str, Answered) {
        let application_id = verified.application_id;
        let text = str::from_utf8(&verified.body.bytes).unwrap_or_default();
        let Some(read) = self.encoder.read(text) else {
            return ("unknown", odd("it is no interaction", application_id));
        };
        let interaction = &read.interaction;
        let named = interaction.application_id;
        if named.is_some_and(|named| named != application_id) {
            let why = "it is for another application: is DISCORD_APPLICATION_ID right?";
            return ("unknown", odd(why, application_id));
        }
        if interaction.r#type() == InteractionType::Ping {
            return ("ping", Answered("pong", json(r#"{"type":1}"#.to_owned())));
        }
        let kind = Kind::of(interaction);
        if interaction.id.is_none() || interaction.token.is_none() {
            return (kind.word(), odd("it has no id or no token", application_id));
        }
        let asked = Asked {
            application_id,
            read,
            kind,
            since,
        };
        (kind.word(), self.ask(&asked, text).await)
    }

    /// Publishes an interaction, and waits for what to answer.
    async fn ask(&self, asked: &Asked, text: &str) -> Answered {
        let (kind, interaction) = (asked.kind, &asked.read.interaction);
        let (id, application_id) = (interaction.id(), asked.application_id);
        let wait = self.config.defer_after;
        let message = self
            .encoder
            .message(application_id, &asked.read, text, wait);
        let ephemeral = self
            .office
            .settings
            .ephemeral
            .fit(used(&message.routing_key));
        let token = interaction.token();
        let ledger = &self.office.ledger;
        let opened = ledger.open(id, application_id, token, kind, ephemeral);
        let mut waiting = match opened {
            Ok(waiting) => waiting,
            Err(Unfit::Known) => return Answered("known", bare(StatusCode::CONFLICT)),
            Err(Unfit::Full) => return unavailable("full"),
        };
        let mut opened = Opened {
            ledger,
            id,
            is_answered: false,
        };
        let defer_at = asked.since + wait;
        let answered = match self.wait(message, &mut waiting, defer_at).await {
            Waited::First(first) => self.first(first, asked).await,
            Waited::Later => self.deferred(waiting, asked).await,
            Waited::Nobody => {
                opened.forget();
                return self.apology(kind, "nobody");
            }
            Waited::Unpublished => {
                opened.forget();
                return unavailable("unpublished");
            }
        };
        opened.answered();
        answered
    }

    /// Publishes an event, and waits until this moment for what to answer. A reply may be faster than RabbitMQ's confirm.
    async fn wait(
        &self,
        message: Message,
        waiting: &mut Receiver<First>,
        until: Instant,
    ) -> Waited {
        let mut asking = pin!(self.office.questions.ask(message));
        let mut over = pin!(sleep_until(until));
        let mut is_asked = false;
        loop {
            select! {
                biased;
                Ok(first) = &mut *waiting => return Waited::First(first),
                asked = &mut asking, if !is_asked => match asked {
                    Ok(()) => is_asked = true,
                    Err(AskError::Lost) => return Waited::Unpublished,
                    Err(AskError::Nobody) => return Waited::Nobody,
                },
                () = &mut over => return match is_asked {
                    true => Waited::Later,
                    false => Waited::Unpublished,
                },
            }
        }
    }

    /// There was no reply in time, unless there was one at the last moment.
    async fn deferred(&self, mut waiting: Receiver<First>, asked: &Asked) -> Answered {
        match (
            self.office.ledger.defer(asked.read.interaction.id()),
            waiting.try_recv(),
        ) {
            (Some(answer), _) => Answered("deferred", json(answer.to_string())),
            (None, Ok(first)) => self.first(first, asked).await,
            (None, Err(_)) => Answered("late", bare(StatusCode::GATEWAY_TIMEOUT)),
        }
    }

    /// What was decided while Discord waited.
    async fn first(&self, first: First, asked: &Asked) -> Answered {
        match first {
            First::Apology => self.apology(asked.kind, "refused"),
            First::Reply(reply) if reply.response.files.is_empty() => {
                Answered("reply", json(reply.json))
            }
            First::Reply(reply) => match self.send(&reply, asked).await {
                Ok(()) => Answered("files", bare(StatusCode::ACCEPTED)),
                Err(failure) => {
                    self.office.failed(&reply, &failure).await;
                    self.apology(asked.kind, "refused")
                }
            },
        }
    }

    /// Has a reply with files sent by the callback's own route: Discord takes none in an answer. The error is one after which
    /// Discord surely still waits.
    async fn send(&self, reply: &Reply, asked: &Asked) -> Result<(), Failure> {
        let interaction = &asked.read.interaction;
        let of = (interaction.id(), interaction.token());
        let left = (asked.since + PATIENCE).saturating_duration_since(Instant::now());
        let (id, response) = (asked.application_id, reply.response.clone());
        let called = self.office.respond(id, of, response, left).await;
        let Err(error) = called else {
            return Ok(());
        };
        let is_certain = match &error {
            CallError::Busy | CallError::Nobody(_) => true,
            // Whether it was done is not known, or it was: a second answer could only be wrong.
            CallError::Failed(failure) => !matches!(
                failure.code(),
                Code::AlreadyExists | Code::DeadlineExceeded | Code::Unknown
            ),
            CallError::Away | CallError::Late(_) | CallError::Odd => false,
        };
        let failure = Failure::from(error);
        if is_certain {
            return Err(failure);
        }
        self.office.failed(reply, &failure).await;
        Ok(())
    }

    fn apology(&self, kind: Kind, word: &'static str) -> Answered {
        match kind.apology(&self.office.settings.message) {
            Some(answer) => Answered(word, json(answer.to_string())),
            None => unavailable(word),
        }
    }
}

/// An interaction that is remembered, until its caller hangs up without an answer.
struct Opened<'a> {
    ledger: &'a Ledger,
    id: u64,
    is_answered: bool,
}

impl Opened<'_> {
    fn answered(&mut self) {
        self.is_answered = true;
        self.ledger.answered(self.id);
    }

    /// No reply to it can be carried out.
    fn forget(&mut self) {
        self.is_answered = true;
        self.ledger.forget(self.id);
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.ledger.forget(self.id);
        }
    }
}

/// What Discord has signed, and is no interaction of the application.
fn odd(reason: &'static str, application_id: u64) -> Answered {
    tracing::warn!(
        application_id,
        reason,
        "what Discord sent cannot be answered"
    );
    Answered("odd", bare(StatusCode::BAD_REQUEST))
}

fn unavailable(word: &'static str) -> Answered {
    Answered(word, bare(StatusCode::SERVICE_UNAVAILABLE))
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

fn json(text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
