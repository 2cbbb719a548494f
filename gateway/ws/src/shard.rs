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
    keeper::Report,
    session::{Progress, Session},
    shared::Shared,
};
use boot::Backoff;
use broker::{Lane, Message};
use discord::{close::Next, opcode};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    time::{self, Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use transcode::Frame;
use twilight_gateway::ShardId;

/// How often a shard reports how far it has come.
const REPORT: Duration = Duration::from_millis(500);

/// A connection that lasted this long was a good one: the next may begin at once.
const HEALTHY: Duration = Duration::from_secs(30);

/// The longest wait between two connections.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// How long a shard that stops waits for the broker to confirm its last events.
const DRAIN: Duration = Duration::from_secs(10);

/// Why a connection ended.
enum Ended {
    /// It broke, or Discord ended it.
    Lost {
        /// What may follow.
        next: Next,
        /// What happened.
        reason: String,
    },
    /// This process stops.
    Shutdown,
    /// The broker takes nothing.
    Stalled,
}

/// What came of an input.
enum Taken {
    /// The connection is over.
    Ended(Ended),
    /// An event to publish, and its sequence.
    Event(u64, Message),
    /// Nothing further.
    Nothing,
}

/// One shard.
pub(crate) struct Shard {
    /// Which one, of how many.
    id: ShardId,
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
    /// How long to wait after a connection that was no good.
    backoff: Backoff,
    /// How long to wait before the next connection.
    wait: Duration,
    /// Whether the session's own URL failed last, so that the common one is tried.
    detour: bool,
    /// When the connection was identified or resumed.
    connected_at: Option<Instant>,
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
        id: ShardId,
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
            id,
            lane: shared.broker.lane(),
            shared,
            encoder,
            session,
            progress: Progress::resumed_from(sequence),
            backoff: Backoff::new(Duration::from_secs(1), MAX_WAIT),
            wait: Duration::ZERO,
            detour: false,
            connected_at: None,
            reports,
            line,
            tick,
        }
    }

    /// Runs until `shutdown`, or until Discord refuses for good.
    ///
    /// # Errors
    ///
    /// What a person has to change before this shard can connect.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let outcome = self.serve(&shutdown).await;
        self.shared.board.down(self.id.number(), "stopped");
        let drained = self.lane.confirmed_past(self.progress.last_published());
        if time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(
                shard = self.id.number(),
                "the broker has not confirmed every event: the next start gets the rest again"
            );
        }
        let report = self.report();
        if self.reports.send(report).await.is_err() {
            tracing::error!(
                shard = self.id.number(),
                "the last sequence cannot be saved"
            );
        }
        outcome
    }

    /// One connection after the other.
    async fn serve(&mut self, shutdown: &CancellationToken) -> Result<(), Error> {
        loop {
            if shutdown.run_until_cancelled(self.pause()).await.is_none() {
                return Ok(());
            }
            let resume = self.resumption();
            self.shared.metrics.connecting(resume.is_some());
            let mut connection = self.shared.dialer.dial(self.id, resume.as_ref());
            let ended = self.drive(&mut connection, shutdown).await;
            self.shared.metrics.disconnected(self.id.number());
            self.line.disconnected();
            connection.close().await;
            match ended? {
                Ended::Lost { next, reason } => self.lost(next, &reason).await?,
                Ended::Stalled => self.stalled(),
                Ended::Shutdown => return Ok(()),
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

    /// Waits until the next connection may begin: long enough after a bad one, and not before the
    /// broker takes events.
    async fn pause(&mut self) {
        let until = Instant::now() + self.wait;
        loop {
            let ready = async {
                time::sleep_until(until).await;
                self.lane.room().await;
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
        shutdown: &CancellationToken,
    ) -> Result<Ended, Error> {
        loop {
            let taken = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(Ended::Shutdown),
                _ = self.tick.tick() => {
                    self.report_soon();
                    self.shared.metrics.latency(self.id.number(), connection.latency());
                    continue;
                }
                payload = self.line.next(), if connection.takes_commands() => {
                    match connection.send(payload).await {
                        Some(input) => self.take(connection, input),
                        None => continue,
                    }
                }
                input = connection.next() => self.take(connection, input),
            };
            let ended = match taken {
                Taken::Ended(ended) => Some(ended),
                Taken::Event(sequence, message) => {
                    self.publish(sequence, message, shutdown).await?
                }
                Taken::Nothing => None,
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
        }
    }

    /// Decides what to do with what the connection brought.
    fn take(&mut self, connection: &Connection, input: Input) -> Taken {
        match input {
            Input::Closed { next, reason } => Taken::Ended(Ended::Lost { next, reason }),
            Input::ConnectFailed(reason) => {
                self.detour = !self.detour;
                Taken::Ended(Ended::Lost {
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
        Taken::Ended(Ended::Lost {
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
            return Taken::Ended(Ended::Lost {
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
        shutdown: &CancellationToken,
    ) -> Result<Option<Ended>, Error> {
        let published = time::timeout(
            self.shared.stall_timeout,
            self.lane.publish(sequence, message),
        );
        tokio::select! {
            biased;
            outcome = published => match outcome {
                Ok(Ok(())) => self.progress.published(sequence),
                Ok(Err(_)) => return Err(Error::BrokerClosed),
                Err(_) => return Ok(Some(Ended::Stalled)),
            },
            () = shutdown.cancelled() => return Ok(Some(Ended::Shutdown)),
        }
        Ok(None)
    }

    /// A READY came: a new session begins, with sequences of its own.
    fn identified(&mut self, connection: &Connection) {
        self.session = connection.ready().map(|(id, resume_url)| Session {
            id: id.to_owned(),
            resume_url: resume_url.to_owned(),
            sequence: 0,
            shard_count: self.id.total(),
        });
        self.lane = self.shared.broker.lane();
        self.progress = Progress::default();
        self.line.session_lost();
        self.connected("identified");
    }

    /// The session gets events from here on.
    fn connected(&mut self, how: &'static str) {
        self.connected_at = Some(Instant::now());
        self.detour = false;
        self.line.connected();
        self.shared.board.up(self.id.number());
        self.shared.metrics.connected(self.id.number(), how);
        tracing::info!(
            shard = self.id.number(),
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
            return Err(self.shared.refused(refusal, self.id).await);
        }
        if next == Next::Identify && self.session.take().is_some() {
            self.progress = Progress::default();
            self.line.session_lost();
            self.report_soon();
        }
        let good = self
            .connected_at
            .take()
            .is_some_and(|since| since.elapsed() >= HEALTHY);
        if good {
            self.backoff.reset();
        }
        self.wait = if good {
            Duration::ZERO
        } else {
            self.backoff.next()
        };
        self.shared.board.down(self.id.number(), reason);
        tracing::info!(
            shard = self.id.number(),
            resume = self.session.is_some(),
            wait_ms = u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX),
            reason,
            "connection lost"
        );
        Ok(())
    }

    /// The broker took no event for too long: the connection was closed resumably.
    fn stalled(&mut self) {
        self.connected_at = None;
        self.wait = Duration::ZERO;
        self.shared.metrics.stalled();
        self.shared
            .board
            .down(self.id.number(), "the broker takes no events");
        tracing::warn!(
            shard = self.id.number(),
            "the broker takes no events: disconnected, to resume when it does"
        );
    }

    /// Says how far the session has come, if the keeper has time to listen.
    fn report_soon(&self) {
        if let Err(mpsc::error::TrySendError::Closed(_)) = self.reports.try_send(self.report()) {
            tracing::error!(shard = self.id.number(), "sessions are no longer saved");
        }
    }

    /// The session as another process may take it up.
    fn report(&self) -> Report {
        let session = self.session.as_ref().map(|session| Session {
            sequence: self
                .progress
                .settled(self.lane.confirmed())
                .unwrap_or(session.sequence),
            ..session.clone()
        });
        (
            self.id.number(),
            session.filter(|session| session.sequence > 0),
        )
    }
}
