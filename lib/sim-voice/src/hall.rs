//! All that the tasks of the voice server share: who may come, who is there, and what is said.

mod handshake;
mod orders;
mod packets;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use tokio::{net::UdpSocket, sync::Notify, time::Instant};

use crate::{
    call::Call,
    client::Client,
    config::{Faults, Settings},
    dave::{Delivery, Mail, Refused, Rules},
    payload::{self, Frame, Incoming, Message},
    session::Grant,
    state::{ClientState, State},
    violations::{Kind, Violation, Violations},
};

/// Ended sessions that are kept for reports.
const KEPT: usize = 1000;
/// The close code after which a session can be resumed.
const CRASHED: u16 = 4015;

/// The shared state.
#[derive(Debug)]
pub(crate) struct Hall {
    pub(crate) settings: Settings,
    pub(crate) faults: Faults,
    pub(crate) violations: Violations,
    /// Wakes the clock when somebody comes.
    pub(crate) work: Arc<Notify>,
    started: Instant,
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    endpoints: [String; 2],
    grants: BTreeMap<(u64, u64), Grant>,
    clients: BTreeMap<u32, Client>,
    calls: BTreeMap<u64, Call>,
    ended: VecDeque<ClientState>,
    identifies: u64,
    resumes: u64,
}

/// Why a connection is closed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    /// The rule that was broken, if one was.
    pub(crate) breach: Option<(Kind, String)>,
}

impl Refusal {
    pub(crate) fn new(
        code: u16,
        reason: &'static str,
        kind: Kind,
        text: impl Into<String>,
    ) -> Self {
        Self {
            code,
            reason,
            breach: Some((kind, text.into())),
        }
    }

    /// A refusal that nobody is to blame for.
    pub(crate) fn plain(code: u16, reason: &'static str) -> Self {
        Self {
            code,
            reason,
            breach: None,
        }
    }
}

impl Hall {
    pub(crate) fn new(
        settings: Settings,
        socket: Arc<UdpSocket>,
        address: SocketAddr,
        endpoints: [String; 2],
    ) -> Self {
        Self {
            settings,
            faults: Faults::default(),
            violations: Violations::default(),
            work: Arc::default(),
            started: Instant::now(),
            socket,
            address,
            endpoints,
            grants: BTreeMap::new(),
            clients: BTreeMap::new(),
            calls: BTreeMap::new(),
            ended: VecDeque::new(),
            identifies: 0,
            resumes: 0,
        }
    }

    /// Whether nobody is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.calls.is_empty()
    }

    /// Everything but the pitch of living clients, and the samples that say it, in their order.
    pub(crate) fn state(&self) -> (State, Vec<Vec<f32>>) {
        let living = self.clients.values().map(|client| client.state(None));
        let samples = self.clients.values().map(|client| client.ear.samples());
        let state = State {
            endpoints: self.endpoints.clone(),
            identifies: self.identifies,
            resumes: self.resumes,
            calls: self
                .calls
                .iter()
                .map(|(id, call)| call.state(*id))
                .collect(),
            clients: self.ended.iter().cloned().chain(living).collect(),
            violations: self.violations.list(),
            violation_count: self.violations.count(),
            settings: self.settings.clone(),
            faults: self.faults.clone(),
        };
        (state, samples.collect())
    }

    pub(crate) fn record(&mut self, user_id: Option<u64>, kind: Kind, text: impl Into<String>) {
        let at_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.violations.record(Violation {
            kind,
            text: text.into(),
            user_id,
            at_ms,
        });
    }

    /// What a client says once it has identified.
    pub(crate) fn on_message(
        &mut self,
        now: Instant,
        ssrc: u32,
        message: Incoming,
    ) -> Result<(), Refusal> {
        let Some(client) = self.clients.get_mut(&ssrc) else {
            return Err(Refusal::plain(4006, "Session is no longer valid."));
        };
        let user = client.grant.user_id;
        match message {
            Incoming::Identify(_) | Incoming::Resume(_) => {
                let text = "a client that has a session asked for another one";
                Err(Refusal::new(
                    4005,
                    "Already authenticated.",
                    Kind::Payload,
                    text,
                ))
            }
            Incoming::Heartbeat(heartbeat) => {
                client.heartbeats += 1;
                if !self.faults.withhold_acks {
                    client.outbox.push(&payload::heartbeat_ack(&heartbeat));
                }
                if client.version >= payload::NUMBERED && heartbeat.seq_ack.is_none() {
                    self.record(Some(user), Kind::Heartbeat, "a heartbeat without seq_ack");
                }
                Ok(())
            }
            Incoming::Select(select) => self.select(now, ssrc, &select),
            Incoming::Speaking(speaking) => self.speaking(ssrc, &speaking),
            Incoming::KeyPackage(package) => {
                self.dave(ssrc, |dave, mail| {
                    dave.key_package(user, &package, now, mail)
                });
                Ok(())
            }
            Incoming::Commit(commit) => {
                self.dave(ssrc, |dave, mail| dave.commit(user, &commit, now, mail));
                Ok(())
            }
            Incoming::Ready(transition) => {
                self.dave(ssrc, |dave, mail| {
                    dave.ready(user, transition.transition_id, mail);
                    Ok(())
                });
                Ok(())
            }
            Incoming::Invalid(transition) => {
                tracing::info!(user, transition.transition_id, "a client cannot follow");
                self.dave(ssrc, |dave, mail| dave.recover(user, now, mail));
                Ok(())
            }
        }
    }

    /// A connection is over: the session waits for another one, unless the client has closed it for good.
    pub(crate) fn detach(&mut self, now: Instant, ssrc: u32, connection: u64, code: Option<u16>) {
        let Some(client) = self.clients.get_mut(&ssrc) else {
            return;
        };
        if !client.outbox.detach(connection) {
            return;
        }
        client.detached = Some(now);
        if let Some(code @ (1000 | 1001)) = code {
            self.end(now, ssrc, code);
        }
    }

    /// What happens by the clock: sessions that nobody came back to, and transitions that take too long.
    pub(crate) fn sweep(&mut self, now: Instant) {
        let timeout = Duration::from_millis(self.settings.session_timeout_ms);
        let overdue = |client: &Client| {
            let detached = client.detached?;
            (now.saturating_duration_since(detached) >= timeout).then_some(client.ssrc)
        };
        let expired: Vec<u32> = self.clients.values().filter_map(overdue).collect();
        for ssrc in expired {
            self.end(now, ssrc, 4009);
        }
        let calls: Vec<u64> = self.calls.keys().copied().collect();
        for channel in calls {
            self.in_call(channel, None, |dave, mail| {
                dave.tick(now, mail);
                Ok(())
            });
        }
    }

    /// Ends a session; the others of its call are told.
    pub(crate) fn end(&mut self, now: Instant, ssrc: u32, code: u16) {
        let Some(client) = self.clients.remove(&ssrc) else {
            return;
        };
        let Grant {
            channel_id,
            user_id,
            ..
        } = client.grant;
        let mut state = client.state(Some(code));
        state.connected = false;
        state.heard.measure(&client.ear.samples());
        self.ended.push_back(state);
        if self.ended.len() > KEPT {
            self.ended.pop_front();
        }
        let Some(call) = self.calls.get_mut(&channel_id) else {
            return;
        };
        if call.clients.get(&user_id) != Some(&ssrc) {
            return;
        }
        call.clients.remove(&user_id);
        if call.clients.is_empty() {
            self.calls.remove(&channel_id);
            return;
        }
        self.tell(channel_id, user_id, &payload::client_disconnect(user_id));
        self.in_call(channel_id, Some(user_id), |dave, mail| {
            dave.leave(user_id, now, mail)
        });
    }

    /// Tells all clients of the call but this user's.
    fn tell(&mut self, channel_id: u64, but: u64, message: &Message) {
        let Some(call) = self.calls.get(&channel_id) else {
            return;
        };
        for (user, ssrc) in &call.clients {
            if let Some(client) = self.clients.get_mut(ssrc).filter(|_| *user != but) {
                client.outbox.push(message);
            }
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            users_commit: self.settings.users_commit,
            transition_timeout: Duration::from_millis(self.settings.transition_timeout_ms),
        }
    }

    /// Asks the delivery service of the client's call.
    fn dave(
        &mut self,
        ssrc: u32,
        ask: impl FnOnce(&mut Delivery, &mut Mail) -> Result<(), Refused>,
    ) {
        let Some(client) = self.clients.get(&ssrc) else {
            return;
        };
        let Grant {
            channel_id,
            user_id,
            ..
        } = client.grant;
        self.in_call(channel_id, Some(user_id), ask);
    }

    fn in_call(
        &mut self,
        channel_id: u64,
        user: Option<u64>,
        ask: impl FnOnce(&mut Delivery, &mut Mail) -> Result<(), Refused>,
    ) {
        let Some(call) = self.calls.get_mut(&channel_id) else {
            return;
        };
        let Some(dave) = &mut call.dave else { return };
        let mut mail = Mail::new();
        let asked = ask(dave, &mut mail);
        for (user, message) in mail {
            let message = self.spoil(message);
            let ssrc = self
                .calls
                .get(&channel_id)
                .and_then(|call| call.clients.get(&user));
            if let Some(client) = ssrc.and_then(|ssrc| self.clients.get_mut(ssrc)) {
                client.outbox.push(&message);
            }
        }
        if let Err(Refused(text)) = asked {
            self.record(user, Kind::Dave, text);
        }
    }

    /// Breaks a commit or welcome, if that is asked for.
    fn spoil(&mut self, message: Message) -> Message {
        match message {
            Message::Binary {
                op: op @ (29 | 30),
                body,
            } if self.faults.break_commits.take() => {
                let mut bytes = body.to_vec();
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 0x55;
                }
                Message::Binary {
                    op,
                    body: bytes.into(),
                }
            }
            Message::Binary { .. } | Message::Text { .. } => message,
        }
    }

    /// Closes a client's connection; the session ends, except where Discord lets it be resumed.
    fn close(&mut self, now: Instant, ssrc: u32, code: u16, reason: &'static str) {
        let Some(client) = self.clients.get_mut(&ssrc) else {
            return;
        };
        if let Some(link) = client.outbox.link().cloned() {
            link.send(Frame::Close { code, reason });
            client.outbox.detach(link.connection);
        }
        client.detached = Some(now);
        if code != CRASHED {
            self.end(now, ssrc, code);
        }
    }
}
