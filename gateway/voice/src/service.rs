//! The service `voice`: requests of workers, checked here, and carried out by the calls of their guilds.
//!
//! Any node takes a request. That of a call that another node holds is handed on to it: each call has a routing key, which is
//! bound to the queue of its node.

use std::time::{Duration, SystemTime};

use boot::{CancellationToken, Span, Traces};
use broker::{Events, Forwarded, Owned, Request, Requests};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    select,
    time::{self, Instant},
};
use wire::gateway::v1::{Code, Error as Failure};

use crate::{
    call::News,
    calls::{Calls, Ordered, Promise},
    failure::{failure, invalid, no_call, too_late},
    heard,
    metrics::Metrics,
    order::{Answer, Order},
};

/// The first word of routing keys to the service.
pub(crate) const SERVICE: &str = "voice";
/// The same of those to the node that holds the call of a guild.
const GUILD: &str = "voice-guild";
/// The same of those to one node.
const NODE: &str = "voice-node";

/// How many requests are carried out at once; further ones wait at the broker.
pub(crate) const AT_ONCE: u16 = 1_024;

/// How long a caller waits who does not say.
const PATIENCE: Duration = Duration::from_secs(30);

/// The routing key of a request to the node that holds the call of a guild.
pub(crate) fn guild_key(method: &str, application_id: u64, guild_id: u64) -> String {
    format!("{GUILD}.{method}.{application_id}.{guild_id}")
}

/// The routing key of a request to a node.
pub(crate) fn node_key(method: &str, application_id: u64, node: &str) -> String {
    format!("{NODE}.{method}.{application_id}.{node}")
}

/// Where the requests to one application come in.
#[derive(Debug)]
pub(crate) struct Door {
    /// The requests to any node.
    pub(crate) requests: Requests,
    /// Those to this one.
    pub(crate) owned: Owned,
    /// What carries them out.
    pub(crate) desk: Desk,
}

/// What carries requests out.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The application.
    pub(crate) application_id: u64,
    /// The calls.
    pub(crate) calls: Calls,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// What is told of requests that are traced.
    pub(crate) traces: Traces,
}

/// To whom a request was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum To {
    /// To any node.
    Anyone,
    /// To the one that holds the call.
    Holder,
    /// To this one.
    Us,
}

/// What comes of a request.
#[derive(Debug)]
enum Outcome {
    /// The answer.
    Done(Answer),
    /// Another node has it now.
    Elsewhere,
    /// It is answered with this.
    Refused(Box<Failure>),
    /// It did not get through, and comes again.
    Lost(broker::Error),
}

impl Door {
    /// Takes requests until the shutdown; those that were taken are answered. A call that is slow holds up no other.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Self {
            mut requests,
            mut owned,
            desk,
        } = self;
        let mut answering = FuturesUnordered::new();
        loop {
            let has_room = answering.len() < usize::from(AT_ONCE);
            select! {
                biased;
                () = shutdown.cancelled() => break,
                // Before the next one is taken, so that it lines up behind this one.
                Some(()) = answering.next() => {}
                request = owned.next(), if has_room => answering.push(desk.carry_out(request)),
                request = requests.next(), if has_room => answering.push(desk.carry_out(request)),
            }
        }
        let answered = async { while answering.next().await.is_some() {} };
        futures_util::future::join(requests.close(), answered).await;
    }
}

/// Tells the calls what the gateway says, until the shutdown.
pub(crate) async fn listen(mut events: Events, calls: Calls, shutdown: CancellationToken) {
    let user_id = calls.shared().user_id.get();
    loop {
        let heard = select! {
            biased;
            () = shutdown.cancelled() => return,
            heard = events.next() => heard,
        };
        for event in heard {
            if let Some((guild_id, news)) = heard::read(event, user_id) {
                let present = &calls.shared().present;
                match &news {
                    News::Member(someone) => present.put(guild_id, *someone),
                    News::Members(all) => present.learn(guild_id, all),
                    _ => {}
                }
                calls.news(guild_id, news);
            }
        }
    }
}

impl Desk {
    /// Carries a request out, and says how that went.
    async fn carry_out(&self, request: Request) {
        let span = self.span(&request);
        let mut request = Some(request);
        let outcome = match self.outcome(&mut request).await {
            Ok(outcome) => outcome,
            Err(failure) => Outcome::Refused(Box::new(failure)),
        };
        let told = match &outcome {
            Outcome::Done(_) => "done",
            Outcome::Elsewhere => "forwarded",
            Outcome::Lost(_) => "unanswered",
            Outcome::Refused(failure) => failure.code().as_str_name(),
        };
        self.metrics.request(told);
        if let Some(span) = &span {
            span.text("gateway.outcome", told);
        }
        let answered = match (outcome, request) {
            (Outcome::Done(answer), Some(request)) => {
                request.reply(&answer.type_name, answer.body).await
            }
            (Outcome::Refused(failure), Some(request)) => request.fail(&failure).await,
            (Outcome::Lost(error), _) => Err(error),
            (Outcome::Elsewhere, _) | (_, None) => Ok(()),
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "an answer did not get through; the request comes again");
        }
    }

    /// A step of the caller's trace, or of a new one.
    fn span(&self, request: &Request) -> Option<Span> {
        let call = &request.call;
        let parent = call.traceparent.as_deref();
        let span = self.traces.follow(parent, SystemTime::now(), || {
            let method = call.method.rsplit('/').next().unwrap_or_default();
            format!("{SERVICE} {method}")
        })?;
        let key = "messaging.rabbitmq.destination.routing_key";
        span.text(key, &call.routing_key);
        Some(span)
    }

    /// Checks a request, and has it carried out, here or elsewhere.
    async fn outcome(&self, slot: &mut Option<Request>) -> Result<Outcome, Failure> {
        let Some(request) = slot.as_ref() else {
            return Ok(Outcome::Elsewhere);
        };
        let patience = request.call.timeout.unwrap_or(PATIENCE);
        if patience.is_zero() {
            return Err(too_late());
        }
        let most = self.calls.shared().settings.data;
        let (guild_id, order) = Order::read(request, most)?;
        let key = &request.call.routing_key;
        let to = addressed(key, self.application_id, guild_id)?;
        let method = key.split('.').nth(1).unwrap_or_default().to_owned();
        let now = Instant::now();
        let until = now.checked_add(patience).unwrap_or(now + PATIENCE);
        let order = match self.calls.order(guild_id, order, until)? {
            Ordered::Here(promise) => return promised(promise, guild_id, until).await,
            Ordered::Elsewhere(order) => order,
        };
        let is_shared = self.calls.shared().store.is_shared();
        if to == To::Anyone && is_shared {
            let key = guild_key(&method, self.application_id, guild_id);
            if let Some(outcome) = forward(slot, &key).await {
                return Ok(outcome);
            }
        }
        let is_join = matches!(order, Order::Join(_));
        if to == To::Holder || !is_join {
            return Err(self.nobodys(guild_id).await);
        }
        if to == To::Anyone
            && is_shared
            && let Some(node) = self.calls.better()
        {
            let key = node_key(&method, self.application_id, &node);
            if let Some(outcome) = forward(slot, &key).await {
                return Ok(outcome);
            }
        }
        let promise = self.calls.begin(guild_id, order, until)?;
        promised(promise, guild_id, until).await
    }

    /// Why nobody carries out what is asked of the call of a guild.
    async fn nobodys(&self, guild_id: u64) -> Failure {
        let unavailable = |why: String| failure(Code::Unavailable, why);
        match self.calls.shared().store.exists(guild_id).await {
            Ok(false) => no_call(guild_id),
            Ok(true) => {
                unavailable("another node is about to take the call over; try again".to_owned())
            }
            Err(error) => unavailable(format!("nobody can tell whether there is a call: {error}")),
        }
    }
}

/// Waits for what comes of an order.
async fn promised(promise: Promise, guild_id: u64, until: Instant) -> Result<Outcome, Failure> {
    match time::timeout_at(until, promise).await {
        Ok(Ok(result)) => result.map(Outcome::Done),
        // The call has ended meanwhile.
        Ok(Err(_)) => Err(no_call(guild_id)),
        Err(_) => Err(too_late()),
    }
}

/// Hands a request on; `None` when nobody takes it: it is still there then.
async fn forward(slot: &mut Option<Request>, key: &str) -> Option<Outcome> {
    match slot.take()?.forward(key).await {
        Ok(Forwarded::Taken) => Some(Outcome::Elsewhere),
        Ok(Forwarded::Nobody(request)) => {
            *slot = Some(*request);
            None
        }
        Err(error) => Some(Outcome::Lost(error)),
    }
}

/// To whom the request of a guild was sent. A worker may leave the guild out of the key.
fn addressed(key: &str, application_id: u64, guild_id: u64) -> Result<To, Failure> {
    let mut words = key.split('.');
    let to = match words.next() {
        Some(GUILD) => To::Holder,
        Some(NODE) => To::Us,
        _ => To::Anyone,
    };
    let application = words.nth(1).unwrap_or_default();
    if application.parse() != Ok(application_id) {
        let text =
            format!("it is for the application {application:?}, and this is {application_id}");
        return Err(invalid(text));
    }
    match words.next() {
        Some(guild) if to != To::Us && guild.parse() != Ok(guild_id) => {
            let text =
                format!("its routing key names the guild {guild:?}, and its body {guild_id}");
            Err(invalid(text))
        }
        _ => Ok(to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_and_the_body_name_the_same_guild() {
        for (key, to) in [
            ("voice.Play.7.9", Some(To::Anyone)),
            ("voice.Play.7", Some(To::Anyone)),
            ("voice-guild.Play.7.9", Some(To::Holder)),
            ("voice-node.Join.7.8c1f2a", Some(To::Us)),
            ("voice.Play.7.8", None),
            ("voice-guild.Play.7.8", None),
            ("voice.Play.8.9", None),
            ("voice.Play", None),
        ] {
            let read = addressed(key, 7, 9).map_err(|failure| failure.code());
            assert_eq!(read, to.ok_or(Code::InvalidArgument), "{key}");
        }
        assert_eq!(guild_key("Play", 7, 9), "voice-guild.Play.7.9");
        assert_eq!(node_key("*", 7, "a"), "voice-node.*.7.a");
    }
}
