//! The task of one shard: connects, reads, hands events to the broker, and begins again.
//!
//! An event counts as read once the broker has taken it. Whatever a connection brought before
//! that is not lost when the connection is dropped: the next one resumes behind the last event
//! that was read, and Discord sends the rest again.

use crate::{
    Error,
    command::Line,
    connection::{Connection, Input},
    event::Encoder,
    keeper::{News, Report},
    pace::Pace,
    session::Progress,
    shared::Shared,
};
use broker::{Lane, Message};
use discord::{close::Next, opcode};
use std::{sync::Arc, time::Duration};
use store::Session;
use tokio::{
    sync::mpsc,
    time::{self, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use transcode::Frame;

/// How often a shard reports how far it has come.
const REPORT: Duration = Duration::from_millis(500);

/// How long a shard that stops waits for the broker to confirm its last events.
const DRAIN: Duration = Duration::from_secs(10);

/// The right to run a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    /// The shard.
    pub(crate) shard: store::Shard,
    /// What writes for the shard have to show.
    pub(crate) token: u64,
}

/// How a shard ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The session, as another process may take it up.
    pub(crate) session: Option<Session>,
    /// What a person has to change before this shard can connect, if that is why it ended.
    pub(crate) outcome: Result<(), Error>,
}

/// Why a connection ended.
enum Over {
    /// It broke, or Discord ended it.
    Lost {
        /// What may follow.
        next: Next,
        /// What happened.
        reason: String,
    },
    /// The shard is to end here.
    Stopped,
    /// The broker takes nothing.
    Stalled,
}

/// What came of an input.
enum Taken {
    /// The connection is over.
    Over(Over),
    /// An event to publish, and its sequence.
    Event(u64, Message),
    /// Nothing further.
    Nothing,
}

/// One shard.
pub(crate) struct Shard {
    /// Which one, of how many, and by what right.
    lease: Lease,
    /// What it shares with the others.
    shared: Arc<Shared>,
    /// Its way to the broker.
    lane: Lane,
    /// Makes messages of frames.
    encoder: Encoder,
    /// The session, while there is one.
    session: Option<Session>,
    /// How far the session's events have come.
    progress: Progress,
    /// When the next connection may begin.
    pace: Pace,
    /// Whether the session's own URL failed last, so that the common one is tried.
    detour: bool,
    /// Where to report how far the session has come.
    reports: mpsc::Sender<Report>,
    /// What workers want sent, and hear.
    line: Line,
    /// When to report.
    tick: Interval,
}

impl Shard {
    /// A shard that takes up `session`, if there is one to take up.
    pub(crate) fn new(
        lease: Lease,
        session: Option<Session>,
        encoder: Encoder,
        reports: mpsc::Sender<Report>,
        line: Line,
        shared: Arc<Shared>,
    ) -> Self {
        let mut tick = time::interval(REPORT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sequence = session.as_ref().map_or(0, |session| session.sequence);
        Self {
            lease,
            lane: shared.broker.lane(),
            shared,
            encoder,
            session,
            progress: Progress::resumed_from(sequence),
            pace: Pace::new(),
            detour: false,
            reports,
            line,
            tick,
        }
    }

    /// Runs until it is told to stop, or until Discord refuses for good. The connection is closed
    /// by then, and the broker has confirmed all events, unless that takes too long.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Ended {
        let outcome = self.serve(&stop).await;
        self.shared.board.down(self.lease.shard, "stopped");
        let drained = self.lane.confirmed_past(self.progress.last_published());
        if time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(
                shard = self.lease.shard.id,
                "the broker has not confirmed every event: the next owner gets the rest again"
            );
        }
        let end = self.report(News::End);
        if self.reports.send(end).await.is_err() {
            tracing::debug!(shard = self.lease.shard.id, "sessions are no longer saved");
        }
        Ended {
            session: self.settled(),
            outcome,
        }
    }

    /// One connection after the other.
    async fn serve(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            if stop.run_until_cancelled(self.pause()).await.is_none() {
                return Ok(());
            }
            let resume = self.resumption();
            self.shared.metrics.connecting(resume.is_some());
            let mut connection = self.shared.dialer.dial(self.lease.shard, resume.as_ref());
            let over = self.drive(&mut connection, stop).await;
            self.shared.metrics.disconnected(self.lease.shard);
            self.line.disconnected();
            connection.close().await;
            match over? {
                Over::Lost { next, reason } => self.lost(next, &reason).await?,
                Over::Stalled => self.stalled(),
                Over::Stopped => return Ok(()),
            }
        }
    }

    /// The session as this process resumes it: behind the last event that it read.
    fn resumption(&self) -> Option<Session> {
        let mut session = self.session.clone()?;
        session.sequence = self.progress.seen();
        if self.detour {
            session.resume_url.clear();
        }
        Some(session)
    }

    /// Waits until the next connection may begin: long enough after a bad one, not before the
    /// broker takes events, not while nobody may identify, and not before it is certain that the
    /// shard is still ours.
    async fn pause(&mut self) {
        let next = self.pace.next();
        let identifies = self.session.is_none();
        loop {
            let ready = async {
                time::sleep_until(next).await;
                if identifies {
                    self.shared.permits.open().await;
                }
                self.lane.room().await;
                self.shared.pulse.fresh().await;
            };
            tokio::select! {
                () = ready => return,
                _ = self.tick.tick() => {}
            }
            self.report_soon();
        }
    }

    /// Reads one connection to its end.
    async fn drive(
        &mut self,
        connection: &mut Connection,
        stop: &CancellationToken,
    ) -> Result<Over, Error> {
        loop {
            let taken = tokio::select! {
                biased;
                () = stop.cancelled(), if !connection.awaits_ready() => return Ok(Over::Stopped),
                _ = self.tick.tick() => {
                    self.report_soon();
                    self.shared.metrics.latency(self.lease.shard, connection.latency());
                    match self.shared.permits.exhausted() {
                        Some(reason) if connection.awaits_permit() => {
                            return Ok(Over::Lost { next: Next::Identify, reason });
                        }
                        _ => continue,
                    }
                }
                payload = self.line.next(), if connection.takes_commands() => {
                    match connection.send(payload).await {
                        Some(input) => self.take(connection, input),
                        None => continue,
                    }
                }
                input = connection.next() => self.take(connection, input),
            };
            let over = match taken {
                Taken::Over(over) => Some(over),
                Taken::Event(sequence, message) => self.publish(sequence, message, stop).await?,
                Taken::Nothing => None,
            };
            if let Some(over) = over {
                return Ok(over);
            }
        }
    }

    /// Decides what to do with what the connection brought.
    fn take(&mut self, connection: &Connection, input: Input) -> Taken {
        match input {
            Input::Closed { next, reason } => Taken::Over(Over::Lost { next, reason }),
            Input::ConnectFailed(reason) => {
                self.detour = !self.detour;
                Taken::Over(Over::Lost {
                    next: Next::Resume,
                    reason: format!("cannot connect: {reason}"),
                })
            }
            Input::Frame(text) => self.frame(connection, &text),
            Input::Malformed(text) => {
                self.shared
                    .malformed("the payload's head cannot be read", text.len());
                Taken::Nothing
            }
        }
    }

    /// Decides by opcode.
    fn frame(&mut self, connection: &Connection, text: &str) -> Taken {
        let frame = match Frame::parse(text) {
            Ok(frame) => frame,
            Err(error) => {
                self.shared.malformed(&error.to_string(), text.len());
                return Taken::Nothing;
            }
        };
        match frame.op {
            opcode::DISPATCH => return self.dispatch(connection, &frame),
            opcode::RECONNECT | opcode::INVALID_SESSION => {}
            opcode::HEARTBEAT | opcode::HEARTBEAT_ACK | opcode::HELLO => return Taken::Nothing,
            unknown => {
                self.shared.unknown_opcode(unknown);
                return Taken::Nothing;
            }
        }
        // A refused session is gone from the connection; one to be resumed is still there.
        let next = if connection.ready().is_some() {
            Next::Resume
        } else {
            Next::Identify
        };
        let reason = if frame.op == opcode::RECONNECT {
            "Discord asked to reconnect (op 7)"
        } else {
            "Discord refused the session (op 9)"
        };
        Taken::Over(Over::Lost {
            next,
            reason: reason.to_owned(),
        })
    }

    /// Takes an event: notes what it says of the session, and makes a message of it.
    fn dispatch(&mut self, connection: &Connection, frame: &Frame<'_>) -> Taken {
        let (Some(sequence), Some(name)) = (frame.sequence, frame.name.as_deref()) else {
            self.shared
                .malformed("an event without name or sequence", 0);
            return Taken::Nothing;
        };
        match name {
            "READY" => self.identified(connection),
            "RESUMED" => self.connected("resumed"),
            _ => {}
        }
        self.line.hear(name, frame.payload, || {
            self.encoder.data(name, frame.payload)
        });
        let Some(session) = &self.session else {
            return Taken::Over(Over::Lost {
                next: Next::Identify,
                reason: format!("{name} came before a READY that can be read"),
            });
        };
        if !self.encoder.wants(name) {
            self.progress.skipped(sequence);
            self.shared.metrics.event("skipped");
            return Taken::Nothing;
        }
        let message =
            self.encoder
                .message(&session.id, sequence, name, frame.payload, &self.shared);
        Taken::Event(sequence, message)
    }

    /// Gives an event to the broker, and gives up when the broker takes none for too long.
    async fn publish(
        &mut self,
        sequence: u64,
        message: Message,
        stop: &CancellationToken,
    ) -> Result<Option<Over>, Error> {
        let published = time::timeout(
            self.shared.stall_timeout,
            self.lane.publish(sequence, message),
        );
        tokio::select! {
            biased;
            outcome = published => match outcome {
                Ok(Ok(())) => self.progress.published(sequence),
                Ok(Err(_)) => return Err(Error::BrokerClosed),
                Err(_) => return Ok(Some(Over::Stalled)),
            },
            () = stop.cancelled() => return Ok(Some(Over::Stopped)),
        }
        Ok(None)
    }

    /// A READY came: a new session begins, with sequences of its own.
    fn identified(&mut self, connection: &Connection) {
        self.session = connection.ready().map(|(id, resume_url)| Session {
            id: id.to_owned(),
            resume_url: resume_url.to_owned(),
            sequence: 0,
        });
        self.lane = self.shared.broker.lane();
        self.progress = Progress::default();
        self.line.session_lost();
        self.connected("identified");
    }

    /// The session gets events from here on.
    fn connected(&mut self, how: &'static str) {
        self.pace.connected();
        self.detour = false;
        self.line.connected();
        self.shared.board.up(self.lease.shard);
        self.shared.metrics.connected(self.lease.shard, how);
        tracing::info!(
            shard = self.lease.shard.id,
            sequence = self.progress.seen(),
            "{how}"
        );
    }

    /// A connection was lost: decides how the next begins, and when.
    ///
    /// # Errors
    ///
    /// What a person has to change, when Discord refuses every further connection.
    async fn lost(&mut self, next: Next, reason: &str) -> Result<(), Error> {
        if let Next::Stop(refusal) = next {
            return Err(self.shared.refused(refusal, self.lease.shard).await);
        }
        if next == Next::Identify && self.session.take().is_some() {
            self.progress = Progress::default();
            self.line.session_lost();
            self.report_soon();
        }
        let wait = self.pace.lost(self.shared.pulse.is_in_doubt());
        self.shared.board.down(self.lease.shard, reason);
        tracing::info!(
            shard = self.lease.shard.id,
            resume = self.session.is_some(),
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            reason,
            "connection lost"
        );
        Ok(())
    }

    /// The broker took no event for too long: the connection was closed resumably.
    fn stalled(&mut self) {
        self.pace.given_up();
        self.shared.metrics.stalled();
        self.shared
            .board
            .down(self.lease.shard, "the broker takes no events");
        tracing::warn!(
            shard = self.lease.shard.id,
            "the broker takes no events: disconnected, to resume when it does"
        );
    }

    /// Says how far the session has come, if the keeper has time to listen.
    fn report_soon(&self) {
        let report = self.report(News::Session(self.settled()));
        if let Err(mpsc::error::TrySendError::Closed(_)) = self.reports.try_send(report) {
            tracing::error!(shard = self.lease.shard.id, "sessions are no longer saved");
        }
    }

    fn report(&self, news: News) -> Report {
        let Lease { shard, token } = self.lease;
        Report { shard, token, news }
    }

    /// The session as another process may take it up.
    fn settled(&self) -> Option<Session> {
        let session = self.session.as_ref()?;
        let settled = self.progress.settled(self.lane.confirmed());
        let sequence = settled.unwrap_or(session.sequence);
        (sequence > 0).then(|| Session {
            sequence,
            ..session.clone()
        })
    }
}
