//! How a call comes to a connection and keeps it, as Discord wants it: without I/O, and without a clock.
//!
//! - Opcode 4 of the gateway is asked for; Discord answers with two events, in any order: who the bot is in the
//!   channel (the session), and where the voice server is.
//! - With both the connection is made. Both may come again: a moderator moves the bot, or the call gets another server.
//! - Discord tells nothing when the bot may not come in, so each wait has an end.
//! - A bot that is in the channel already, as its former process did not leave, is told the session alone; so the
//!   channel is left first then, as it is when a session is no longer good.
//!
//! See <https://docs.discord.com/developers/topics/voice-connections>

#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use tokio::time::Instant;
use wire::gateway::v1::{VoiceConnectReason, VoiceDisconnectReason};

/// How long the second event may take after the first, until the channel is left and joined anew.
const SECOND: Duration = Duration::from_secs(2);
/// How long the news may take that says why a connection was closed, or where it goes on.
const NEWS: Duration = Duration::from_secs(5);
/// The pause before a session that was lost is asked for again.
const PAUSE: Duration = Duration::from_millis(500);

/// What the gateway said: what the connection is made with.
#[derive(Clone, PartialEq)]
pub(crate) struct Info {
    /// Where the bot is.
    pub(crate) channel_id: u64,
    /// The bot's session there.
    pub(crate) session_id: String,
    /// Host and port of the voice server.
    pub(crate) endpoint: String,
    /// What it lets the bot in with.
    pub(crate) token: String,
}

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Info")
            .field("channel_id", &self.channel_id)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum Heard {
    /// The bot's state: in which channel it is, if in any, and its session there.
    State {
        /// The channel.
        channel_id: Option<u64>,
        /// The session.
        session_id: String,
    },
    /// Where the voice server is; without an endpoint it is gone, and another will be told.
    Server {
        /// Host and port.
        endpoint: Option<String>,
        /// The token for it.
        token: String,
    },
    /// The connection was made.
    Connected,
    /// The connection was not made, or has ended: with this code, if Discord has closed it.
    Closed(Option<u16>),
    /// Opcode 4 did not reach Discord.
    NotAsked,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing.
    Nothing,
    /// Opcode 4, with these channels one after the other: `None` leaves.
    Ask(Vec<Option<u64>>),
    /// Connect with this.
    Connect(Info),
    /// It is connected, for this reason.
    Ready(VoiceConnectReason),
    /// Nothing came of a move: it is where it was, and connected.
    Stayed,
    /// The connection is of no use any more and goes; another is on its way.
    Lost(Loss),
    /// The call is over.
    End(Loss),
}

/// Why a connection is gone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Loss {
    /// Why.
    pub(crate) reason: VoiceDisconnectReason,
    /// Discord's close code, if it closed it.
    pub(crate) close_code: Option<u16>,
    /// What happened, for a person.
    pub(crate) detail: String,
    /// What is to be asked of the gateway, if anything.
    pub(crate) ask: Vec<Option<u64>>,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// Opcode 4 was asked for; what has come since.
    Asked {
        session: Option<String>,
        server: Option<(String, String)>,
        /// Whether the channel was left first.
        left: bool,
        until: Instant,
        /// When one event alone is too little.
        second: Option<Instant>,
    },
    /// The connection is being made.
    Connecting { info: Info, until: Instant },
    /// It is connected.
    Connected { info: Info },
    /// Somebody will say where it goes on.
    Waiting {
        session: String,
        loss: Box<Loss>,
        until: Instant,
    },
    /// It is asked for again a little later.
    Pausing { until: Instant },
    /// It is over.
    Ended,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// Until the bot is in the channel.
    pub(crate) join: Duration,
    /// Until a connection that was lost is there again.
    pub(crate) reconnect: Duration,
}

/// The way of one call to its connection.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    channel_id: u64,
    times: Times,
    state: State,
    /// What the next connection is for.
    reason: VoiceConnectReason,
    /// Until when a connection that was lost is tried to be made again; absent while there is one, or was none yet.
    lost_until: Option<Instant>,
    /// Whether there was a connection.
    stood: bool,
    /// The connection that stands until a move has come to another one.
    former: Option<Info>,
}

impl Handshake {
    /// One that asks for a channel.
    pub(crate) fn join(channel_id: u64, times: Times, now: Instant) -> (Self, Step) {
        let mut handshake = Self::new(channel_id, times, VoiceConnectReason::Join);
        let step = handshake.ask(false, now);
        (handshake, step)
    }

    /// One that goes on with what another node had.
    pub(crate) fn take_over(info: Info, times: Times, now: Instant) -> (Self, Step) {
        let mut handshake = Self::new(info.channel_id, times, VoiceConnectReason::Takeover);
        handshake.stood = true;
        handshake.lost_until = Some(now + times.reconnect);
        let step = handshake.connect(info, now);
        (handshake, step)
    }

    fn new(channel_id: u64, times: Times, reason: VoiceConnectReason) -> Self {
        Self {
            channel_id,
            times,
            state: State::Ended,
            reason,
            lost_until: None,
            stood: false,
            former: None,
        }
    }

    /// The channel that the bot is in, or goes to.
    pub(crate) fn channel_id(&self) -> u64 {
        self.channel_id
    }

    /// Whether sound can be sent.
    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// What the connection was made with, or is being made with.
    pub(crate) fn info(&self) -> Option<&Info> {
        match &self.state {
            State::Connected { info } | State::Connecting { info, .. } => Some(info),
            State::Asked { .. } | State::Waiting { .. } | State::Pausing { .. } | State::Ended => {
                None
            }
        }
    }

    /// When [`Handshake::tick`] has something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.state {
            State::Asked { until, second, .. } => Some(second.map_or(*until, |it| it.min(*until))),
            State::Connecting { until, .. }
            | State::Waiting { until, .. }
            | State::Pausing { until } => Some(*until),
            State::Connected { .. } | State::Ended => None,
        }
    }

    /// Goes to another channel.
    pub(crate) fn move_to(&mut self, channel_id: u64, now: Instant) -> Step {
        if let State::Connected { info } = &self.state {
            self.former = Some(info.clone());
        }
        self.channel_id = channel_id;
        self.reason = VoiceConnectReason::Move;
        self.lost_until = Some(now + self.times.reconnect);
        self.ask(false, now)
    }

    /// Something has happened.
    pub(crate) fn on(&mut self, heard: Heard, now: Instant) -> Step {
        match heard {
            Heard::State {
                channel_id,
                session_id,
            } => self.on_state(channel_id, session_id, now),
            Heard::Server { endpoint, token } => self.on_server(endpoint, token, now),
            Heard::Connected => self.on_connected(),
            Heard::Closed(code) => self.on_closed(code, now),
            Heard::NotAsked => self.on_not_asked(now),
        }
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self, now: Instant) -> Step {
        if self.due().is_none_or(|due| now < due) {
            return Step::Nothing;
        }
        match self.state.clone() {
            State::Asked { until, left, .. } if now < until && !left => self.ask(true, now),
            State::Asked { until, .. } if now < until => {
                self.calm();
                Step::Nothing
            }
            State::Asked { .. } => self.stay(),
            State::Connecting { .. } => {
                self.again(None, "the connection was not made in time", now)
            }
            State::Waiting { loss, .. } => self.end(*loss),
            State::Pausing { .. } => self.ask(true, now),
            State::Connected { .. } | State::Ended => Step::Nothing,
        }
    }

    /// One event alone is enough to wait for the end: the channel was left already.
    fn calm(&mut self) {
        if let State::Asked { second, .. } = &mut self.state {
            *second = None;
        }
    }

    /// Nobody lets the bot in.
    fn stay(&mut self) -> Step {
        let Some(info) = self.former.take() else {
            return self.end(refused());
        };
        self.channel_id = info.channel_id;
        self.reason = VoiceConnectReason::Reconnect;
        self.lost_until = None;
        self.state = State::Connected { info };
        Step::Stayed
    }

    fn ask(&mut self, leave: bool, now: Instant) -> Step {
        let until = match (self.lost_until, &self.state) {
            // Leaving it first takes no more time than was there.
            (None, State::Asked { until, .. }) => *until,
            (None, _) => now + self.times.join,
            (Some(lost), _) => lost.min(now + self.times.join),
        };
        self.state = State::Asked {
            session: None,
            server: None,
            left: leave,
            until,
            second: None,
        };
        let channel = Some(self.channel_id);
        Step::Ask(match leave {
            true => vec![None, channel],
            false => vec![channel],
        })
    }

    fn connect(&mut self, info: Info, now: Instant) -> Step {
        self.former = None;
        let until = now + self.times.join;
        self.state = State::Connecting {
            info: info.clone(),
            until,
        };
        Step::Connect(info)
    }

    fn on_state(&mut self, channel_id: Option<u64>, session_id: String, now: Instant) -> Step {
        let Some(channel_id) = channel_id else {
            return self.on_left();
        };
        let moved = channel_id != self.channel_id;
        match &mut self.state {
            State::Asked {
                session, second, ..
            } => {
                if moved {
                    // What was before: the channel that was asked for comes later.
                    return Step::Nothing;
                }
                *session = Some(session_id);
                *second = Some(now + SECOND);
                self.both(now)
            }
            State::Waiting { session, until, .. } => {
                *session = session_id;
                *until = now + NEWS;
                self.channel_id = channel_id;
                Step::Nothing
            }
            State::Connected { info } | State::Connecting { info, .. } => {
                info.session_id = session_id;
                if moved {
                    info.channel_id = channel_id;
                    self.channel_id = channel_id;
                    self.reason = VoiceConnectReason::Move;
                }
                Step::Nothing
            }
            State::Pausing { .. } | State::Ended => Step::Nothing,
        }
    }

    /// The bot is in no channel.
    fn on_left(&mut self) -> Step {
        match &self.state {
            // It is what was asked for, or what was before.
            State::Asked { .. } | State::Pausing { .. } | State::Ended => Step::Nothing,
            State::Waiting { loss, .. } => {
                let close_code = loss.close_code;
                self.end(removed(close_code))
            }
            State::Connecting { .. } | State::Connected { .. } => self.end(removed(None)),
        }
    }

    fn on_server(&mut self, endpoint: Option<String>, token: String, now: Instant) -> Step {
        match (&mut self.state, endpoint) {
            (State::Asked { server, second, .. }, Some(endpoint)) => {
                *server = Some((endpoint, token));
                *second = Some(now + SECOND);
                self.both(now)
            }
            (State::Asked { server, .. }, None) => {
                *server = None;
                Step::Nothing
            }
            (State::Connected { info } | State::Connecting { info, .. }, Some(endpoint)) => {
                if info.endpoint == endpoint && info.token == token {
                    return Step::Nothing;
                }
                let info = Info {
                    endpoint,
                    token,
                    ..info.clone()
                };
                self.renew(info, now)
            }
            (State::Connected { info } | State::Connecting { info, .. }, None) => {
                let session = info.session_id.clone();
                let loss = loss(
                    VoiceDisconnectReason::Server,
                    None,
                    "Discord took the voice server away, and tells another one",
                );
                self.wait(session, loss, self.times.reconnect, now)
            }
            (State::Waiting { session, .. }, Some(endpoint)) => {
                let info = Info {
                    channel_id: self.channel_id,
                    session_id: session.clone(),
                    endpoint,
                    token,
                };
                self.renew(info, now)
            }
            (State::Waiting { .. } | State::Pausing { .. } | State::Ended, _) => Step::Nothing,
        }
    }

    /// The call has another server, or the bot another channel.
    fn renew(&mut self, info: Info, now: Instant) -> Step {
        if self.stood && self.reason != VoiceConnectReason::Move {
            self.reason = VoiceConnectReason::Reconnect;
        }
        if self.stood && self.lost_until.is_none() {
            self.lost_until = Some(now + self.times.reconnect);
        }
        self.connect(info, now)
    }

    /// Connects when both events are there.
    fn both(&mut self, now: Instant) -> Step {
        let State::Asked {
            session: Some(session_id),
            server: Some((endpoint, token)),
            ..
        } = &self.state
        else {
            return Step::Nothing;
        };
        let info = Info {
            channel_id: self.channel_id,
            session_id: session_id.clone(),
            endpoint: endpoint.clone(),
            token: token.clone(),
        };
        self.connect(info, now)
    }

    fn on_connected(&mut self) -> Step {
        let State::Connecting { info, .. } = &self.state else {
            return Step::Nothing;
        };
        self.state = State::Connected { info: info.clone() };
        self.stood = true;
        self.lost_until = None;
        let reason = self.reason;
        self.reason = VoiceConnectReason::Reconnect;
        Step::Ready(reason)
    }

    /// See <https://docs.discord.com/developers/topics/opcodes-and-status-codes#voice-voice-close-event-codes>
    fn on_closed(&mut self, code: Option<u16>, now: Instant) -> Step {
        let (State::Connected { info } | State::Connecting { info, .. }) = &self.state else {
            // Where it was it is no more.
            self.former = None;
            return Step::Nothing;
        };
        let session = info.session_id.clone();
        match code {
            // Why, or where it goes on, the gateway says: who was moved is disconnected as well.
            Some(4014) => self.wait(session, removed(code), NEWS, now),
            Some(4022) => {
                let why = "Discord ended the call, and has told no other server for it";
                let loss = loss(VoiceDisconnectReason::Closed, code, why);
                self.wait(session, loss, NEWS, now)
            }
            Some(4017) => {
                let why =
                    "Discord wants end-to-end encryption (DAVE) that this version does not have";
                self.end(loss(VoiceDisconnectReason::Refused, code, why))
            }
            Some(4021) => {
                let why = "Discord disconnected the bot as it did too much: it must not come back by itself";
                self.end(loss(VoiceDisconnectReason::Closed, code, why))
            }
            _ => self.again(code, "the connection was lost", now),
        }
    }

    fn on_not_asked(&mut self, now: Instant) -> Step {
        match self.state {
            State::Asked { .. } if self.former.is_some() => self.stay(),
            State::Asked { until, .. } if now + PAUSE < until && self.stood => {
                self.state = State::Pausing { until: now + PAUSE };
                Step::Nothing
            }
            State::Asked { .. } => {
                let why = "gateway-ws did not tell Discord to let the bot in";
                self.end(loss(VoiceDisconnectReason::Refused, None, why))
            }
            _ => Step::Nothing,
        }
    }

    /// Somebody says later how it goes on; if not, it ends like this.
    fn wait(&mut self, session: String, loss: Loss, patience: Duration, now: Instant) -> Step {
        if self.lost_until.is_none() {
            self.lost_until = Some(now + self.times.reconnect);
        }
        self.state = State::Waiting {
            session,
            loss: Box::new(loss.clone()),
            until: now + patience,
        };
        Step::Lost(loss)
    }

    /// The session is gone: it is asked for anew, unless that has been tried for too long.
    fn again(&mut self, code: Option<u16>, why: &str, now: Instant) -> Step {
        let reason = match code {
            Some(_) => VoiceDisconnectReason::Closed,
            None => VoiceDisconnectReason::Lost,
        };
        if !self.stood {
            let why = format!("the voice server did not let the bot in: {why}");
            return self.end(loss(VoiceDisconnectReason::Refused, code, &why));
        }
        let first = self.lost_until.is_none();
        let until = *self.lost_until.get_or_insert(now + self.times.reconnect);
        if now + PAUSE >= until {
            return self.end(loss(reason, code, why));
        }
        if !first {
            self.state = State::Pausing { until: now + PAUSE };
            return Step::Lost(loss(reason, code, why));
        }
        let Step::Ask(ask) = self.ask(true, now) else {
            return Step::Nothing;
        };
        Step::Lost(Loss {
            ask,
            ..loss(reason, code, why)
        })
    }

    fn end(&mut self, loss: Loss) -> Step {
        self.state = State::Ended;
        Step::End(loss)
    }
}

fn loss(reason: VoiceDisconnectReason, close_code: Option<u16>, detail: &str) -> Loss {
    Loss {
        reason,
        close_code,
        detail: detail.to_owned(),
        ask: Vec::new(),
    }
}

fn removed(close_code: Option<u16>) -> Loss {
    let why = "a moderator removed the bot, or the channel was deleted";
    loss(VoiceDisconnectReason::Removed, close_code, why)
}

fn refused() -> Loss {
    let why = "Discord does not let the bot in: the channel is full, or the bot may not view it or connect to it";
    loss(VoiceDisconnectReason::Refused, None, why)
}
