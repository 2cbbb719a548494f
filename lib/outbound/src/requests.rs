//! Requests of workers over the bus, and what one of them says beside its body.
//!
//! They are carried out side by side, as each may wait long for its turn, and line up in the order in which they
//! come; how many there are is bounded by how many the broker hands out. A request is settled after its reply: who dies before leaves it to another replica, which can
//! tell that it may have been carried out.

mod form;
mod method;
mod typed;

pub use method::{Method, Place};

use crate::{Answer, Call, Failure, Gateway, Token};
use boot::CancellationToken;
use broker::{Broker, Request, Requests};
use bytes::Bytes;
use discord::route;
use futures_util::{StreamExt as _, future, stream::FuturesUnordered};
use http::{HeaderMap, HeaderValue};
use prost::{Message, Name};
use std::{future::Future, sync::Arc};
use tokio::{select, time::Instant};

/// What carries requests out.
pub trait Service: Clone + Send + Sync + 'static {
    /// The services that are carried out, by the first words of their routing keys; the queue has the name of the
    /// first.
    const NAMES: &'static [&'static str];

    /// Does what the request's method says.
    fn carry_out(
        &self,
        errand: &Errand,
        request: &mut Request,
    ) -> impl Future<Output = Result<Response, Failure>> + Send;

    /// What else is done for an application that is served, until the shutdown.
    fn beside(
        &self,
        _application_id: u64,
        _broker: &Broker,
        _shutdown: &CancellationToken,
    ) -> impl Future<Output = ()> + Send {
        future::ready(())
    }
}

/// Where the requests to one application come in.
#[derive(Debug)]
pub(crate) struct Door {
    gateway: Gateway,
    application_id: u64,
    requests: Requests,
    /// How many may be in hand at once.
    at_once: u16,
}

/// What a request says beside its body: in whose name things are done for it, and until when.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The way to Discord.
    pub gateway: Gateway,
    /// The application that it is for.
    pub application_id: u64,
    caller: Arc<str>,
    priority: u8,
    /// Until when the caller waits.
    pub deadline: Instant,
    once: bool,
    traceparent: Option<HeaderValue>,
}

/// A response message, and its full name.
#[derive(Debug)]
pub struct Response {
    /// The full name of the message.
    pub type_name: String,
    /// The encoded message.
    pub body: Bytes,
    /// Whether it is the last of a stream.
    pub is_end: bool,
}

impl Response {
    /// The one response of this kind.
    pub fn new<M: Message + Name>(message: &M) -> Self {
        Self {
            type_name: M::full_name(),
            body: message.encode_to_vec().into(),
            is_end: false,
        }
    }

    /// The last response of a stream.
    pub fn end(type_name: &str, body: Bytes) -> Self {
        Self {
            type_name: type_name.to_owned(),
            body,
            is_end: true,
        }
    }
}

impl Door {
    /// The way in for an application. More are taken than may wait for Discord's limits: those that are too many are
    /// told so at once, and none of them holds up another.
    pub(crate) fn open<S: Service>(
        broker: &Broker,
        gateway: Gateway,
        application_id: u64,
        waiting: usize,
    ) -> Self {
        let at_once = u16::try_from(waiting + waiting / 4 + 2000).unwrap_or(u16::MAX);
        Self {
            requests: broker.requests_of(S::NAMES, application_id, at_once),
            gateway,
            application_id,
            at_once,
        }
    }

    /// Takes requests until the shutdown; then what was not sent goes back to the queue, and what was sent is
    /// answered.
    pub(crate) async fn run(mut self, service: impl Service, shutdown: CancellationToken) {
        let mut answering = FuturesUnordered::new();
        loop {
            let has_room = answering.len() < usize::from(self.at_once);
            select! {
                biased;
                () = shutdown.cancelled() => break,
                // Before the next one is taken, so that it lines up behind this one.
                Some(()) = answering.next() => {}
                request = self.requests.next(), if has_room => {
                    let gateway = self.gateway.clone();
                    answering.push(answer(&service, gateway, self.application_id, request));
                }
            }
        }
        let answered = async { while answering.next().await.is_some() {} };
        future::join(self.requests.close(), answered).await;
    }
}

/// Carries a request out, and says how that went.
async fn answer(
    service: &impl Service,
    gateway: Gateway,
    application_id: u64,
    mut request: Request,
) {
    let errand = Errand::new(gateway, application_id, &request);
    let done = match errand {
        Ok(errand) => service.carry_out(&errand, &mut request).await,
        Err(failure) => Err(failure),
    };
    let answered = match done {
        Ok(response) if response.is_end => request.end(&response.type_name, response.body).await,
        Ok(response) => request.reply(&response.type_name, response.body).await,
        Err(Failure::Stopping) => {
            request.hand_back().await;
            return;
        }
        Err(failure) => request.fail(&failure.into()).await,
    };
    if let Err(error) = answered {
        tracing::debug!(%error, "an answer did not get through; the request comes again");
    }
}

impl Errand {
    fn new(gateway: Gateway, application_id: u64, request: &Request) -> Result<Self, Failure> {
        let call = &request.call;
        let named = call.routing_key.split('.').nth(2).unwrap_or_default();
        if named.parse() != Ok(application_id) {
            let why = format!("it is for the application {named:?}, and this is {application_id}");
            return Err(Failure::invalid("routing key", why));
        }
        let timeout = call.timeout.unwrap_or_else(|| gateway.timeout());
        if timeout.is_zero() {
            return Err(Failure::Late);
        }
        let now = Instant::now();
        let traceparent = call.traceparent.as_deref();
        Ok(Self {
            gateway,
            application_id,
            caller: call.app_id.as_deref().unwrap_or_default().into(),
            priority: call.priority,
            deadline: now.checked_add(timeout).unwrap_or(now),
            once: call.redelivered,
            traceparent: traceparent.and_then(|text| text.parse().ok()),
        })
    }

    /// One of a caller who says nothing of himself.
    pub fn of(gateway: Gateway, application_id: u64, deadline: Instant) -> Self {
        Self {
            gateway,
            application_id,
            caller: Arc::default(),
            priority: 0,
            deadline,
            once: false,
            traceparent: None,
        }
    }

    /// A call in the name of the application, without query, headers and body.
    pub fn call(&self, method: route::Method, path: String) -> Call {
        let mut headers = HeaderMap::new();
        if let Some(traceparent) = &self.traceparent {
            headers.insert("traceparent", traceparent.clone());
        }
        Call {
            method,
            path,
            query: None,
            headers,
            body: Bytes::new(),
            token: Token::Application,
            caller: Arc::clone(&self.caller),
            priority: self.priority,
            deadline: self.deadline,
            once: self.once,
        }
    }

    /// Sends a call.
    ///
    /// # Errors
    /// What kept it from an answer, or an answer with which Discord refused it.
    pub async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let answer = self.gateway.call(self.application_id, call).await?;
        match answer.status.is_client_error() || answer.status.is_server_error() {
            true => Err(Failure::Discord(Box::new(answer))),
            false => Ok(answer),
        }
    }
}

/// A query of these parameters, encoded.
pub fn query<'a>(parameters: impl Iterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let parameters = parameters.map(|(name, value)| {
        let (name, value) = (rest::percent::encode(name), rest::percent::encode(value));
        format!("{name}={value}")
    });
    let parameters: Vec<String> = parameters.collect();
    (!parameters.is_empty()).then(|| parameters.join("&"))
}
