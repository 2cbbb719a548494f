//! One websocket connection of a shard, from connect to close.
//!
//! twilight's shard does the handshake, decompression, heartbeats, Identify and Resume. It also
//! reconnects by itself, at once and for ever; so a connection here is used until it breaks and
//! then thrown away, and the shard's task decides when the next one begins.

use crate::{
    config::Application,
    identify::{Permits, Ticket},
};
use discord::close;
use futures_util::{StreamExt, future::poll_immediate};
use http::Uri;
use secrecy::ExposeSecret;
use std::{
    env::consts::OS,
    error::Error as _,
    future,
    task::{Context, Poll},
    time::Duration,
};
use store::{Session, Shard};
use tokio::time;
use twilight_gateway::{
    CloseFrame, Config, ConfigBuilder, Intents, Message, Session as Resumption, ShardId,
    ShardState,
    error::{ReceiveMessageError, ReceiveMessageErrorType},
};
use twilight_model::gateway::payload::outgoing::identify::IdentifyProperties;

/// How many polls it may take to open a websocket. TCP, TLS and HTTP need about a dozen, the shard's
/// own timer adds two a second for the ten seconds that twilight tries; each may hide one connection
/// that the server closed at once.
const CONNECTING_POLLS: u32 = 40;

/// How long a close handshake may take before the connection is simply dropped.
const CLOSING: Duration = Duration::from_millis(500);

/// The close code of ours: any but 1000 and 1001 leaves the session resumable.
const RESUMABLE: CloseFrame<'static> = CloseFrame::new(4000, "resuming later");

/// What twilight's shard gives.
type Received = Result<Message, ReceiveMessageError>;

/// What every connection of the application has in common.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    /// Token, intents, presence and TLS.
    config: Config<twilight_gateway_queue::InMemoryQueue>,
    /// Where permits to identify come from.
    permits: Permits,
}

impl Dialer {
    /// Connects to `url` (from `GET /gateway/bot`) with the application's token, intents and
    /// presence.
    pub(crate) fn new(url: &str, application: &Application, permits: Permits) -> Self {
        let name = env!("CARGO_PKG_NAME");
        let mut config = ConfigBuilder::new(
            application.token.expose_secret().to_owned(),
            Intents::from_bits_retain(application.intents),
        )
        .identify_properties(IdentifyProperties::new(name, name, OS))
        .proxy_url(url.trim_end_matches('/').to_owned());
        if let Some(presence) = &application.presence {
            config = config.presence(presence.0.clone());
        }
        Self {
            config: config.build(),
            permits,
        }
    }

    /// Begins a connection that identifies, or resumes the session from its sequence.
    pub(crate) fn dial(&self, shard: Shard, resume: Option<&Session>) -> Connection {
        let ticket = self.permits.queue(shard);
        let mut builder = ConfigBuilder::from(self.config.clone()).queue(ticket.clone());
        if let Some(session) = resume {
            builder = builder.session(Resumption::new(session.sequence, session.id.clone()));
            if is_gateway_url(&session.resume_url) {
                builder = builder.resume_url(session.resume_url.clone());
            }
        }
        Connection {
            shard: twilight_gateway::Shard::with_config(
                ShardId::new(shard.id, shard.count),
                builder.build(),
            ),
            ticket,
            opened: false,
            polls: 0,
        }
    }
}

/// What a connection tells its shard.
#[derive(Debug)]
pub(crate) enum Input {
    /// The connection is over; `next` says what may follow.
    Closed {
        /// Whether to resume, identify or give up.
        next: close::Next,
        /// The code that Discord closed it with, if it did.
        code: Option<u16>,
        /// What happened, for the log.
        reason: String,
    },
    /// No connection could be made.
    ConnectFailed(String),
    /// A whole payload, as it came.
    Frame(String),
    /// A payload that could not be read, as it came; the connection goes on.
    Malformed(String),
}

/// A websocket connection of a shard.
#[derive(Debug)]
pub(crate) struct Connection {
    /// twilight's half of the work.
    shard: twilight_gateway::Shard<Ticket>,
    /// Its place in the queue for permits to identify.
    ticket: Ticket,
    /// Whether the websocket was seen open.
    opened: bool,
    /// How often the shard was polled before that.
    polls: u32,
}

impl Connection {
    /// Waits for what comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Input {
        match future::poll_fn(|context| self.poll(context)).await {
            Some(Ok(Message::Text(text))) => Input::Frame(text),
            Some(Ok(Message::Close(frame))) => {
                // 1006 is twilight's word for a connection that broke without a close frame.
                let code = frame
                    .as_ref()
                    .map(|frame| frame.code)
                    .filter(|code| *code != 1006);
                let reason = frame.map_or_else(String::new, |frame| frame.reason.into_owned());
                Input::Closed {
                    next: close::after(code),
                    code,
                    reason: describe(code, &reason),
                }
            }
            Some(Err(error)) => {
                let cause = error
                    .source()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                match error.into_parts().0 {
                    ReceiveMessageErrorType::Deserializing { event } => Input::Malformed(event),
                    ReceiveMessageErrorType::Compression => Input::Closed {
                        next: close::Next::Resume,
                        code: None,
                        reason: format!("a payload could not be decompressed: {cause}"),
                    },
                    _ => Input::ConnectFailed(cause),
                }
            }
            None => Input::Closed {
                next: close::Next::Resume,
                code: None,
                reason: describe(None, ""),
            },
        }
    }

    /// Polls twilight's shard, and stops it from connecting again and again: a server that hangs up
    /// without a close frame is not reported, but connected to again within the same poll.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Received>> {
        let received = self.shard.poll_next_unpin(context);
        let is_disconnected = matches!(self.shard.state(), ShardState::Disconnected { .. });
        if received.is_pending() && is_disconnected {
            // Once open, the websocket was closed and is being opened anew. Before that, open and
            // close may have fallen into one poll, so all that can be bounded is their number.
            self.polls += 1;
            if self.opened || self.polls > CONNECTING_POLLS {
                return Poll::Ready(None);
            }
        }
        self.opened |= !is_disconnected;
        received
    }

    /// The session that READY brought: its id, and where to resume it.
    pub(crate) fn ready(&self) -> Option<(&str, &str)> {
        Some((
            self.shard.session()?.id(),
            self.shard.resume_url().unwrap_or_default(),
        ))
    }

    /// Whether Discord, or we on its demand, have ended the connection.
    pub(crate) const fn is_over(&self) -> bool {
        matches!(
            self.shard.state(),
            ShardState::Disconnected { .. } | ShardState::FatallyClosed
        )
    }

    /// Whether it waits for a permit to identify.
    pub(crate) fn awaits_permit(&self) -> bool {
        self.shard.state() == ShardState::Identifying && !self.ticket.is_granted()
    }

    /// Whether it was told to identify a moment ago and has no session yet: Discord has counted
    /// that, so the connection is worth waiting for.
    pub(crate) fn awaits_ready(&self) -> bool {
        self.shard.session().is_none() && !self.is_over() && self.ticket.is_spent()
    }

    /// Whether it has a session, and got all that it had missed.
    pub(crate) fn is_active(&self) -> bool {
        self.shard.state() == ShardState::Active
    }

    /// Whether a payload of a worker can be sent now: within Discord's limit, and with a session.
    pub(crate) fn takes_commands(&self) -> bool {
        self.is_active()
            && self
                .shard
                .ratelimiter()
                .is_some_and(|limit| limit.available() > 0)
    }

    /// Sends a payload of a worker; what came in the meantime, if anything did. Only afterwards it is known
    /// how many more may be sent.
    pub(crate) async fn send(&mut self, payload: String) -> Option<Input> {
        self.shard.send(payload);
        poll_immediate(self.next()).await
    }

    /// How long the last heartbeat's answer took.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.shard.latency().recent().first().copied()
    }

    /// Closes so that the session stays resumable, or finishes the close that is under way.
    /// What still comes is dropped: it was not read, so a RESUME brings it again.
    pub(crate) async fn close(self) {
        self.close_with(RESUMABLE).await;
    }

    /// Closes so that the session is over.
    pub(crate) async fn end(self) {
        self.close_with(CloseFrame::NORMAL).await;
    }

    async fn close_with(mut self, frame: CloseFrame<'static>) {
        // Polled past a close, twilight would begin to connect again, and it trusts the URL.
        if !self.opened || !self.shard.resume_url().is_none_or(is_gateway_url) {
            return;
        }
        if !self.is_over() {
            self.shard.close(frame);
        }
        let closed =
            async { while let Input::Frame(_) | Input::Malformed(_) = self.next().await {} };
        if time::timeout(CLOSING, closed).await.is_err() {
            tracing::debug!("the close handshake took too long");
        }
    }
}

/// Whether this is a URL that a websocket can be opened to.
pub(crate) fn is_gateway_url(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("ws" | "wss"))
            && uri.host().is_some_and(|host| !host.is_empty())
    })
}

/// A close in words.
fn describe(code: Option<u16>, reason: &str) -> String {
    match (code, reason) {
        (None, _) => "the connection broke".to_owned(),
        (Some(code), "") => format!("closed with code {code}"),
        (Some(code), reason) => format!("closed with code {code}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_gateway_url;

    #[test]
    fn only_websocket_urls_are_dialled() {
        assert!(is_gateway_url("wss://gateway-us-east1-b.discord.gg"));
        assert!(is_gateway_url("ws://127.0.0.1:4000"));
        for bad in [
            "",
            "gateway.discord.gg",
            "https://discord.gg",
            "wss://",
            "wss://a b",
            "ws:///x",
        ] {
            assert!(!is_gateway_url(bad), "{bad}");
        }
    }
}
