//! One websocket connection of a shard, from connect to close.
//!
//! It decompresses, keeps the heart beating, and identifies or resumes when Discord says HELLO. It never connects
//! a second time: when it breaks it is thrown away, and the shard's task decides when the next one begins.

mod budget;
mod heart;
mod inflate;
mod payload;
mod socket;

use self::{
    budget::Budget,
    heart::Heart,
    payload::{Hello, Ready},
    socket::{Opening, Received, Socket},
};
use crate::{
    config::Application,
    identify::{Permits, Ticket},
};
use discord::{close, opcode};
use futures_util::future::{OptionFuture, poll_immediate};
use http::Uri;
use secrecy::SecretString;
use std::{fmt, mem, pin::Pin, sync::Arc, time::Duration};
use store::{Session, Shard};
use tokio::{
    sync::oneshot,
    time::{self, Instant, Sleep},
};
use tokio_websockets::Connector;
use transcode::Frame;

/// How long a close handshake may take before the connection is simply dropped.
const CLOSING: Duration = Duration::from_millis(500);

/// How long Discord may take for HELLO.
const HELLO: Duration = Duration::from_secs(20);

/// The close code of ours: any but 1000 and 1001 leaves the session resumable.
const RESUMABLE: (u16, &str) = (4000, "resuming later");

/// The close code that ends the session.
const NORMAL: (u16, &str) = (1000, "");

/// What every connection of the application has in common.
#[derive(Clone, Debug)]
pub(crate) struct Dialer {
    common: Arc<Common>,
    /// Where permits to identify come from.
    permits: Permits,
}

/// What the payloads of all shards have in common, and where they go.
#[derive(Debug)]
struct Common {
    /// From `GET /gateway/bot`.
    url: String,
    tls: Arc<Connector>,
    token: SecretString,
    intents: u64,
    /// The presence from the first moment on, as JSON.
    presence: Option<serde_json::Value>,
}

impl Dialer {
    /// Connects to `url` (from `GET /gateway/bot`) with the application's token, intents and
    /// presence.
    pub(crate) fn new(
        url: &str,
        application: &Application,
        permits: Permits,
        tls: Arc<Connector>,
    ) -> Self {
        let common = Common {
            url: url.to_owned(),
            tls,
            token: application.token.clone(),
            intents: application.intents,
            presence: application.presence.as_ref().map(|one| one.0.clone()),
        };
        Self {
            common: Arc::new(common),
            permits,
        }
    }

    /// Begins a connection that identifies, or resumes the session from its sequence.
    pub(crate) fn dial(&self, shard: Shard, resume: Option<&Session>) -> Connection {
        let resumed = resume.map(|session| session.resume_url.as_str());
        let url = resumed.filter(|url| is_gateway_url(url));
        let url = url.unwrap_or(&self.common.url);
        Connection {
            link: Link::Opening(socket::open(url, Arc::clone(&self.common))),
            heart: Heart::new(),
            timer: Box::pin(time::sleep(HELLO)),
            budget: Budget::default(),
            stage: Stage::Greeting,
            permit: None,
            ticket: self.permits.queue(shard),
            session: resume.map(|session| (session.id.clone(), session.resume_url.clone())),
            sequence: resume.map(|session| session.sequence),
            shard,
            common: Arc::clone(&self.common),
            text: String::new(),
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
    /// A whole payload, as it came. [`Connection::heed`] is told what it says, and [`Connection::reuse`] takes it back.
    Frame(String),
}

/// The websocket.
enum Link {
    Opening(Opening),
    Open(Box<Socket>),
    /// It was never open, or is no more.
    Gone,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// HELLO has not come yet.
    Greeting,
    /// It identifies or resumes.
    Entering,
    /// The session is there, and got all that it had missed.
    Active,
    /// Discord has ended it, or wants it ended.
    Over,
}

/// A websocket connection of a shard.
pub(crate) struct Connection {
    link: Link,
    heart: Heart,
    /// Wakes the heart.
    timer: Pin<Box<Sleep>>,
    /// How much may still be sent.
    budget: Budget,
    stage: Stage,
    /// The permit to identify, while it is waited for.
    permit: Option<oneshot::Receiver<()>>,
    /// Its place in the queue for permits to identify.
    ticket: Ticket,
    /// Id and resume URL of the session.
    session: Option<(String, String)>,
    /// Of the last event that came.
    sequence: Option<u64>,
    shard: Shard,
    common: Arc<Common>,
    /// Room for the next payload.
    text: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Connection")
            .field("shard", &self.shard)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Waits for what comes next. Cancel safe.
    pub(crate) async fn next(&mut self) -> Input {
        loop {
            let socket = match &mut self.link {
                Link::Open(socket) => socket,
                Link::Opening(opening) => {
                    match opening.await {
                        Ok(socket) => self.link = Link::Open(Box::new(socket)),
                        Err(cause) => {
                            (self.link, self.stage) = (Link::Gone, Stage::Over);
                            return Input::ConnectFailed(cause);
                        }
                    }
                    self.timer.as_mut().reset(Instant::now() + HELLO);
                    continue;
                }
                Link::Gone => return self.over(None, "the connection broke".to_owned()),
            };
            tokio::select! {
                biased;
                () = &mut self.timer => {
                    if let Err(reason) = self.beat() {
                        return self.over(None, reason.to_owned());
                    }
                }
                received = socket.next(&mut self.text) => match received {
                    Received::Text => {
                        self.heart.heard();
                        return Input::Frame(mem::take(&mut self.text));
                    }
                    Received::Other => {}
                    Received::Closed(code, reason) => return self.over(code, reason),
                },
                Some(permit) = OptionFuture::from(self.permit.as_mut()) => match permit {
                    Ok(()) => self.identify(),
                    Err(_) => self.permit = Some(self.ticket.enqueue()),
                },
            }
        }
    }

    /// Takes note of what a payload says to the connection.
    pub(crate) fn heed(&mut self, frame: &Frame<'_>) {
        match frame.op {
            opcode::DISPATCH => {
                self.sequence = frame.sequence.or(self.sequence);
                match frame.name.as_deref() {
                    Some("READY") => {
                        self.session = Ready::read(frame.payload);
                        self.stage = Stage::Active;
                    }
                    Some("RESUMED") => self.stage = Stage::Active,
                    _ => {}
                }
            }
            opcode::HEARTBEAT => self.send_heartbeat(),
            opcode::HEARTBEAT_ACK => self.heart.answered(Instant::now()),
            opcode::HELLO if self.stage == Stage::Greeting => {
                if let Some(interval) = Hello::read(frame.payload) {
                    self.greeted(interval);
                }
            }
            opcode::INVALID_SESSION => {
                if frame.payload.text() != Ok("true") {
                    self.session = None;
                }
                self.stage = Stage::Over;
            }
            opcode::RECONNECT => self.stage = Stage::Over,
            _ => {}
        }
    }

    /// Takes back the text of a payload, so that the next one needs no memory of its own.
    pub(crate) fn reuse(&mut self, text: String) {
        self.text = text;
    }

    /// The session that READY brought: its id, and where to resume it.
    pub(crate) fn ready(&self) -> Option<(&str, &str)> {
        let (id, resume_url) = self.session.as_ref()?;
        Some((id, resume_url))
    }

    /// Whether Discord, or we on its demand, have ended the connection.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Whether it waits for a permit to identify.
    pub(crate) const fn awaits_permit(&self) -> bool {
        self.permit.is_some()
    }

    /// Whether it was told to identify a moment ago and has no session yet: Discord has counted
    /// that, so the connection is worth waiting for.
    pub(crate) fn awaits_ready(&self) -> bool {
        self.session.is_none() && !self.is_over() && self.ticket.is_spent()
    }

    /// Whether it has a session, and got all that it had missed.
    pub(crate) fn is_active(&self) -> bool {
        self.stage == Stage::Active
    }

    /// Whether a payload of a worker can be sent now: within Discord's limit, and with a session.
    pub(crate) fn takes_commands(&self) -> bool {
        self.is_active() && self.budget.has_room(Instant::now())
    }

    /// Sends a payload of a worker; what came in the meantime, if anything did.
    pub(crate) async fn send(&mut self, payload: String) -> Option<Input> {
        self.push(payload);
        poll_immediate(self.next()).await
    }

    /// How long the last heartbeat's answer took.
    pub(crate) const fn latency(&self) -> Option<Duration> {
        self.heart.latency()
    }

    /// Closes so that the session stays resumable, or finishes the close that is under way.
    /// What still comes is dropped: it was not read, so a RESUME brings it again.
    pub(crate) async fn close(self) {
        self.close_with(RESUMABLE).await;
    }

    /// Closes so that the session is over.
    pub(crate) async fn end(self) {
        self.close_with(NORMAL).await;
    }

    async fn close_with(self, (code, reason): (u16, &str)) {
        let Link::Open(socket) = self.link else {
            return;
        };
        if time::timeout(CLOSING, socket.close(code, reason))
            .await
            .is_err()
        {
            tracing::debug!("the close handshake took too long");
        }
    }

    /// Discord's HELLO: from here on the heart beats, and the session is taken up.
    fn greeted(&mut self, interval: Duration) {
        let now = Instant::now();
        self.stage = Stage::Entering;
        self.budget = Budget::beside(interval);
        let first = self.heart.begin(now, interval, fastrand::f64());
        self.timer.as_mut().reset(first);
        match (&self.session, self.sequence) {
            (Some((id, _)), Some(sequence)) => {
                self.push(payload::resume(&self.common.token, id, sequence));
            }
            _ => self.permit = Some(self.ticket.enqueue()),
        }
    }

    /// There is a permit to identify.
    fn identify(&mut self) {
        self.permit = None;
        self.push(payload::identify(&self.common, self.shard));
    }

    /// It is time for a heartbeat.
    fn beat(&mut self) -> Result<(), &'static str> {
        if self.stage == Stage::Greeting {
            return Err("Discord did not say HELLO");
        }
        if !self.heart.is_alive() {
            return Err("the connection is dead: nothing has come since the last heartbeat");
        }
        self.send_heartbeat();
        let next = self.heart.next(Instant::now());
        self.timer.as_mut().reset(next);
        Ok(())
    }

    fn send_heartbeat(&mut self) {
        self.heart.beaten(Instant::now());
        if let Link::Open(socket) = &mut self.link {
            socket.push(payload::heartbeat(self.sequence));
        }
    }

    /// Sends a payload that counts.
    fn push(&mut self, text: String) {
        self.budget.spend(Instant::now());
        if let Link::Open(socket) = &mut self.link {
            socket.push(text);
        }
    }

    /// The connection is over.
    fn over(&mut self, code: Option<u16>, reason: String) -> Input {
        self.stage = Stage::Over;
        Input::Closed {
            next: close::after(code),
            code,
            reason,
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
