//! Between those who want something sent and the shard whose connection it is.

use super::{
    answers::Read,
    failure::{exhausted, failure, too_late, unavailable},
    flights::{Flights, session_lost},
    heard,
    outbox::Outbox,
    payload::Payload,
    question::Question,
};
use bytes::Bytes;
use std::{
    collections::HashSet,
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{self, Instant},
};
use wire::gateway::v1::{Code, Error as Failure};

/// What callers and one shard share.
pub(super) struct Line {
    /// The shard's number.
    shard_id: u32,
    state: Mutex<State>,
    /// Tells the shard that there is something to send.
    work: Notify,
    /// Tells callers that Discord has answered something.
    answered: Notify,
}

struct State {
    /// Whether the shard has a connection with a session.
    is_connected: bool,
    tells_guilds: bool,
    /// The guilds that the session serves. `None` when that is not known: the session was begun by
    /// another process, or the events that tell of guilds are not asked for.
    guilds: Option<HashSet<u64>>,
    outbox: Outbox<Command>,
    flights: Flights,
}

/// A payload that waits.
struct Command {
    payload: Payload,
    wanted: Wanted,
}

/// Who wants a payload sent.
enum Wanted {
    /// Those who wait for the answers to these.
    Flights(Vec<u64>),
    /// One who is told when the connection has it.
    Sent(oneshot::Sender<()>),
}

/// One caller's place among those who wait for answers.
#[must_use = "who drops it waits no longer"]
pub(super) struct Ticket {
    line: Arc<Line>,
    id: u64,
    /// How many parts were read.
    read: usize,
}

impl Line {
    /// To a shard that is not connected yet. `tells_guilds` says whether the intents make Discord tell
    /// which guilds the bot is in.
    pub(super) fn new(shard_id: u32, tells_guilds: bool) -> Self {
        let prefix = format!("{:08x}-", fastrand::u32(..));
        let state = State {
            is_connected: false,
            tells_guilds,
            guilds: None,
            outbox: Outbox::default(),
            flights: Flights::new(prefix),
        };
        Self {
            shard_id,
            state: Mutex::new(state),
            work: Notify::new(),
            answered: Notify::new(),
        }
    }

    /// Waits until a payload is with the connection.
    pub(super) async fn send(
        &self,
        payload: Payload,
        priority: u8,
        until: Instant,
    ) -> Result<(), Failure> {
        let (sender, sent) = oneshot::channel();
        {
            let mut state = self.lock();
            state.check(self.shard_id, &payload.guild_ids)?;
            if let Some(guild_id) = payload.all_members_of {
                state.flights.pause(guild_id, Instant::now())?;
            }
            state.push(self.shard_id, payload, priority, Wanted::Sent(sender))?;
        }
        self.work.notify_one();
        match time::timeout_at(until, sent).await {
            Ok(sent) => sent.map_err(|_| unavailable(self.shard_id)),
            Err(_) => Err(too_late()),
        }
    }

    /// Asks Discord for something, unless somebody does already; one ticket for each answer.
    pub(super) fn ask(
        self: &Arc<Self>,
        question: &Question,
        priority: u8,
    ) -> Result<Vec<Ticket>, Failure> {
        let mut state = self.lock();
        let now = Instant::now();
        // Dropping tickets takes the lock: these are dropped behind it.
        let mut joined = Vec::new();
        let asked = question.topics().try_for_each(|(guild_id, topic)| {
            state.check(self.shard_id, &[guild_id])?;
            joined.push((guild_id, state.flights.join(topic, now)?));
            Ok(())
        });
        let new: Vec<(u64, u64)> = joined
            .iter()
            .filter(|(_, joined)| joined.is_new)
            .map(|(guild_id, joined)| (joined.id, *guild_id))
            .collect();
        let asked = asked.and_then(|()| {
            let Some((first, _)) = new.first() else {
                return Ok(());
            };
            let guild_ids: Vec<u64> = new.iter().map(|(_, guild_id)| *guild_id).collect();
            let payload = question.payload(&guild_ids, &state.flights.nonce(*first))?;
            let flights = new.iter().map(|(id, _)| *id).collect();
            state.push(self.shard_id, payload, priority, Wanted::Flights(flights))
        });
        if let Err(failure) = asked {
            for (_, joined) in joined {
                state.flights.leave(joined.id);
            }
            return Err(failure);
        }
        drop(state);
        self.work.notify_one();
        Ok(joined
            .into_iter()
            .map(|(_, joined)| Ticket {
                line: Arc::clone(self),
                id: joined.id,
                read: 0,
            })
            .collect())
    }

    /// The next payload to send; waits until there is one. Cancel safe. Who waited for it to be sent is
    /// told so: the shard gives it to the connection at once.
    pub(super) async fn next(&self) -> String {
        loop {
            let again = {
                let mut state = self.lock();
                let now = Instant::now();
                if let Some(payload) = state.pop(now) {
                    return payload;
                }
                state.outbox.next_at(now)
            };
            match again {
                None => self.work.notified().await,
                Some(again) => tokio::select! {
                    () = self.work.notified() => {}
                    () = time::sleep_until(again) => {}
                },
            }
        }
    }

    /// The shard has a session.
    pub(super) fn connected(&self) {
        self.lock().is_connected = true;
    }

    /// The connection is gone: what waited to be sent is refused. Answers may come after a RESUME.
    pub(super) fn disconnected(&self) {
        let mut state = self.lock();
        state.is_connected = false;
        let waiting: Vec<Command> = state.outbox.drain().collect();
        for command in waiting {
            state.refuse(command, &unavailable(self.shard_id));
        }
        drop(state);
        self.answered.notify_waiters();
    }

    /// The session is gone, and what was asked with it.
    pub(super) fn session_lost(&self) {
        self.end(&session_lost(self.shard_id));
    }

    /// The shard is no longer here.
    pub(super) fn moved(&self) {
        let text = format!("shard {} is changing hands; try again", self.shard_id);
        self.end(&failure(Code::Unavailable, text));
    }

    fn end(&self, why: &Failure) {
        self.disconnected();
        let mut state = self.lock();
        state.guilds = None;
        state.flights.fail_all(why);
        drop(state);
        self.answered.notify_waiters();
    }

    /// Reads an event for what callers wait for; `data` is its payload as the contract has it.
    pub(super) fn hear(&self, name: &str, json: &str, data: impl FnOnce() -> Option<Bytes>) {
        if heard::ANSWERS.contains(&name) {
            if name != "RATE_LIMITED" && self.lock().flights.is_empty() {
                return;
            }
            // Outside of the lock: chunks are large.
            let Some(heard) = heard::read(name, json, data) else {
                return;
            };
            if self.lock().flights.hear(heard, Instant::now()) {
                self.answered.notify_waiters();
            }
        } else {
            self.lock().note_guild(name, json);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether something can be sent now, and the guild is one of the session's.
    fn check(&self, shard_id: u32, guild_ids: &[u64]) -> Result<(), Failure> {
        if !self.is_connected {
            return Err(unavailable(shard_id));
        }
        let Some(guilds) = &self.guilds else {
            return Ok(());
        };
        match guild_ids.iter().find(|id| !guilds.contains(id)) {
            Some(id) => Err(failure(
                Code::NotFound,
                format!("the bot is not in the guild {id}"),
            )),
            None => Ok(()),
        }
    }

    fn push(
        &mut self,
        shard_id: u32,
        payload: Payload,
        priority: u8,
        wanted: Wanted,
    ) -> Result<(), Failure> {
        let (class, all) = (payload.class, payload.all_members_of);
        let command = Command { payload, wanted };
        self.outbox.push(class, priority, command).map_err(|full| {
            if let Some(guild_id) = all {
                self.flights.unpause(guild_id);
            }
            let text = format!(
                "{} payloads of this kind wait already for Discord's limits on shard {shard_id}",
                super::outbox::WAITING
            );
            exhausted(text, full.retry_after)
        })
    }

    /// The next payload that may be sent now and that somebody still wants sent.
    fn pop(&mut self, now: Instant) -> Option<String> {
        let flights = &self.flights;
        let mut unwanted = Vec::new();
        let popped = self.outbox.pop(
            now,
            |command| match &command.wanted {
                Wanted::Flights(ids) => ids.iter().any(|id| flights.is_open(*id)),
                Wanted::Sent(sent) => !sent.is_closed(),
            },
            |command| unwanted.push(command),
        );
        for command in unwanted {
            self.refuse(command, &too_late());
        }
        let command = popped?;
        match command.wanted {
            Wanted::Flights(ids) => {
                for id in ids {
                    self.flights.sent(id, now);
                }
            }
            Wanted::Sent(sent) => {
                if let Some(guild_id) = command.payload.all_members_of {
                    self.flights.asked(guild_id, now);
                }
                if sent.send(()).is_err() {
                    tracing::debug!("sent, just when the worker gave up");
                }
            }
        }
        Some(command.payload.json)
    }

    /// A payload is not sent.
    fn refuse(&mut self, command: Command, why: &Failure) {
        match command.wanted {
            Wanted::Flights(ids) => {
                for id in ids {
                    self.flights.fail(id, why.clone());
                }
            }
            // Who waits sees that the sender is gone.
            Wanted::Sent(_) => {
                if let Some(guild_id) = command.payload.all_members_of {
                    self.flights.unpause(guild_id);
                }
            }
        }
    }

    /// Learns which guilds the session serves.
    fn note_guild(&mut self, name: &str, json: &str) {
        match (name, &mut self.guilds) {
            ("READY", guilds) => {
                let told = heard::guilds(json).filter(|_| self.tells_guilds);
                *guilds = told.map(|guilds| guilds.into_iter().collect());
            }
            ("GUILD_CREATE", Some(guilds)) => {
                guilds.extend(heard::guild(json).map(|(id, _)| id));
            }
            ("GUILD_DELETE", Some(guilds)) => {
                if let Some((id, false)) = heard::guild(json) {
                    guilds.remove(&id);
                }
            }
            _ => {}
        }
    }
}

impl Ticket {
    /// The next part of the answer, and whether it is the last. Cancel safe.
    pub(super) async fn next(&mut self, until: Instant) -> Result<(Bytes, bool), Failure> {
        let line = Arc::clone(&self.line);
        loop {
            let mut changed = pin!(line.answered.notified());
            changed.as_mut().enable();
            let read = line.lock().flights.read(self.id, self.read);
            match read {
                Read::Part(part, is_last) => {
                    self.read += 1;
                    return Ok((part, is_last));
                }
                Read::Failed(failure) => return Err(failure),
                Read::Missed => {
                    let text = "the answers come faster than they are taken; ask for fewer at once";
                    return Err(exhausted(text, Duration::from_secs(30)));
                }
                Read::Wait => {}
            }
            if time::timeout_at(until, changed).await.is_err() {
                return Err(too_late());
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.line.lock().flights.leave(self.id);
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("shard_id", &self.shard_id)
            .finish_non_exhaustive()
    }
}

/// Whether an event with this name says something that [`Line::hear`] wants to know.
pub(super) fn concerns(name: &str) -> bool {
    matches!(name, "READY" | "GUILD_CREATE" | "GUILD_DELETE") || heard::ANSWERS.contains(&name)
}

#[cfg(test)]
mod tests;
