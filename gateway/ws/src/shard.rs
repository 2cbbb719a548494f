//! The task of one shard: connects, reads, hands events to the broker, and begins again.
//!
//! An event counts as read once the broker has taken it. Whatever a connection brought before
//! that is not lost when the connection is dropped: the next one resumes behind the last event
//! that was read, and Discord sends the rest again.

mod account;
mod drive;
mod part;
mod takeover;

pub(crate) use self::takeover::Left;

use self::{
    account::Account,
    part::{Part, Verdict},
};
use crate::{
    Error,
    command::Line,
    connection::Connection,
    event::Encoder,
    intents,
    keeper::{News, Report},
    loss::Loss,
    pace::Pace,
    reshard::{Place, Turn},
    session::Progress,
    shared::Shared,
    status::status,
    switch::Fingerprint,
};
use broker::{Lane, Message};
use discord::close::{Next, Refusal};
use std::{collections::VecDeque, future, sync::Arc, time::Duration};
use store::Session;
use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant, Interval, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use transcode::Frame;
use wire::gateway::v1::{SessionStart, ShardReason, ShardState, ShardStatus};

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
    /// What it leaves.
    pub(crate) left: Left,
    /// What a person has to change before this shard can connect, if that is why it ended.
    pub(crate) outcome: Result<(), Error>,
}

/// Why a connection ended.
enum Over {
    /// The set has ended, and everything that came was read.
    Ended,
    /// It broke, or Discord ended it.
    Lost(Loss),
    /// The shard is to end here.
    Stopped,
    /// Nothing can be taken: by the broker, or by what is held back.
    Stalled,
}

/// What came of an input.
enum Taken {
    /// The connection is over.
    Over(Over),
    /// An event to publish, its sequence, and what it is remembered by.
    Event(u64, Message, Option<Fingerprint>),
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
    /// How far a change of the number of shards is.
    turn: watch::Receiver<Turn>,
    /// What this shard is to do in it.
    place: Place,
    /// The last moment of which it is known that the switch had not begun.
    as_of: Option<Instant>,
    /// What becomes of the events.
    part: Part<Message>,
    /// What was held back and is to be published, before anything that comes.
    due: VecDeque<(u64, Message)>,
    /// The sequence of the last of them, until it is confirmed and reported.
    released: Option<u64>,
    /// How the present connection came to the session, once it has it.
    connection: Option<SessionStart>,
    /// Whether Discord refuses the shard, as it has too many guilds: another set will have them.
    is_barred: bool,
    /// What became of the events.
    account: Account,
}

impl Shard {
    /// A shard that takes up `session`, if there is one to take up.
    pub(crate) fn new(
        lease: Lease,
        session: Option<Session>,
        encoder: Encoder,
        reports: mpsc::Sender<Report>,
        line: Line,
        turn: watch::Receiver<Turn>,
        shared: Arc<Shared>,
    ) -> Self {
        let mut tick = time::interval(REPORT);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sequence = session.as_ref().map_or(0, |session| session.sequence);
        Self {
            lease,
            lane: shared.lane(lease.shard),
            account: Account::new(&shared.metrics, lease.shard),
            shared,
            encoder,
            session,
            progress: Progress::resumed_from(sequence),
            pace: Pace::new(),
            detour: false,
            reports,
            line,
            tick,
            turn,
            place: Place::Only,
            as_of: None,
            part: Part::Live,
            due: VecDeque::new(),
            released: None,
            connection: None,
            is_barred: false,
        }
    }

    /// Runs until it is told to stop, until its set has ended, or until Discord refuses for good. The
    /// connection is closed by then, and the broker has confirmed all events, unless that takes too
    /// long.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Ended {
        self.follow();
        let served = self.serve(&stop).await;
        // It may have been told to stop and something else at the same time.
        if self.turn.has_changed().unwrap_or_default() {
            self.follow();
        }
        self.shared.board.ending(self.lease.shard);
        let has_ended = self.is_finished() || matches!(served, Ok(Some(_)));
        let (connection, outcome) = match served {
            Ok(connection) => (connection, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let mut left = self.leave(connection, has_ended, &stop).await;
        if self.turn.borrow().place(self.lease.shard) == Place::Dismissed {
            left.session = None;
        }
        self.count();
        self.account.close();
        let end = self.report(News::End);
        if self.reports.send(end).await.is_err() {
            tracing::debug!(shard = self.lease.shard.id, "sessions are no longer saved");
        }
        Ended { left, outcome }
    }

    /// One connection after the other; returns the last if it is to be ended later.
    async fn serve(&mut self, stop: &CancellationToken) -> Result<Option<Connection>, Error> {
        loop {
            if stop.run_until_cancelled(self.pause(stop)).await.is_none() || self.is_finished() {
                return Ok(None);
            }
            let resume = self.resumption();
            self.shared.metrics.connecting(resume.is_some());
            self.shared
                .board
                .connecting(self.lease.shard, resume.is_some());
            let mut connection = self.shared.dialer.dial(self.lease.shard, resume.as_ref());
            let over = self.drive(&mut connection, stop).await;
            self.connection = None;
            self.shared.metrics.disconnected(self.lease.shard);
            self.line.disconnected();
            if matches!(over, Ok(Over::Ended)) {
                return Ok(Some(connection));
            }
            if self.turn.borrow().place(self.lease.shard) == Place::Dismissed {
                connection.end().await;
            } else {
                connection.close().await;
            }
            match over? {
                Over::Lost(loss) => self.lost(&loss, stop).await?,
                Over::Stalled => self.stalled(),
                Over::Ended | Over::Stopped => return Ok(None),
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
    /// shard is still ours. Or until there is nothing left to connect for.
    async fn pause(&mut self, stop: &CancellationToken) {
        let next = self.pace.next();
        let identifies = self.session.is_none();
        while !self.is_finished() {
            let waits = self.part.is_full() || self.is_barred || !self.due.is_empty();
            let ready = async {
                time::sleep_until(next).await;
                if identifies {
                    self.shared.permits.open().await;
                }
                self.lane.room().await;
                self.shared.pulse.fresh().await;
                if waits {
                    future::pending().await
                }
            };
            tokio::select! {
                () = ready => return,
                _ = self.tick.tick() => {}
                _ = self.turn.changed() => self.follow(),
            }
            // That the broker has ended is for the next connection to find out.
            if self.flush(stop).await.is_err() {
                return;
            }
            self.report_soon();
            self.count();
        }
    }

    /// Takes an event: notes what it says of the session, and makes a message of it.
    fn dispatch(&mut self, connection: &Connection, frame: &Frame<'_>) -> Taken {
        let (Some(sequence), Some(name)) = (frame.sequence, frame.name.as_deref()) else {
            self.shared
                .malformed("an event without name or sequence", 0);
            return Taken::Nothing;
        };
        self.account.received();
        match name {
            "READY" => self.identified(connection, frame),
            "RESUMED" => {
                self.part.resumed(Instant::now());
                self.connected(SessionStart::Resumed);
            }
            _ => {}
        }
        self.line.hear(name, frame.payload, || {
            self.encoder.data(name, frame.payload)
        });
        let verdict = self.verdict(name, frame.payload);
        let Some(session) = &self.session else {
            self.account.sessionless();
            let detail = format!("{name} came before a READY that can be read");
            return Taken::Over(Over::Lost(Loss::nonsense(detail)));
        };
        let mut message = || {
            let (id, payload) = (&session.id, frame.payload);
            self.encoder
                .message(id, sequence, name, payload, &self.shared)
        };
        match verdict {
            Verdict::Filter => self.account.filtered(),
            Verdict::Skip => self.account.suppressed(),
            Verdict::Hold(event) => {
                let message = message();
                return self.hold(event, sequence, message);
            }
            Verdict::Publish(event) => return Taken::Event(sequence, message(), event),
        }
        self.progress.skipped(sequence);
        Taken::Nothing
    }

    /// Gives an event to the broker, and gives up when the broker takes none for too long.
    async fn publish(
        &mut self,
        sequence: u64,
        message: Message,
        event: Option<Fingerprint>,
        stop: &CancellationToken,
    ) -> Result<Option<Over>, Error> {
        let offered = self.lane.offer(sequence, message);
        if let Some(message) = offered.map_err(|_| Error::BrokerClosed)? {
            let waits = self.lane.publish(sequence, message);
            tokio::select! {
                biased;
                outcome = time::timeout(self.shared.stall_timeout, waits) => match outcome {
                    Ok(published) => published.map_err(|_| Error::BrokerClosed)?,
                    Err(_) => return Ok(Some(Over::Stalled)),
                },
                () = stop.cancelled() => return Ok(Some(Over::Stopped)),
            }
        }
        self.progress.published(sequence);
        if let Some(event) = event {
            let now = (Instant::now(), self.as_of);
            self.part.published(now, event, sequence);
        }
        Ok(None)
    }

    /// A READY came: a new session begins, with sequences of its own.
    fn identified(&mut self, connection: &Connection, frame: &Frame<'_>) {
        self.session = connection.ready().map(|(id, resume_url)| Session {
            id: id.to_owned(),
            resume_url: resume_url.to_owned(),
            sequence: 0,
        });
        self.lane = self.shared.lane(self.lease.shard);
        self.progress = Progress::default();
        self.released = None;
        self.line.session_lost();
        if !self.part.is_plain() {
            let ready = frame.payload.text().unwrap_or_default();
            let tells_guilds = intents::tell_guilds(self.shared.intents);
            self.part.identified(Instant::now(), ready, tells_guilds);
        }
        self.connected(SessionStart::Identified);
    }

    /// The session gets events from here on.
    fn connected(&mut self, start: SessionStart) {
        let how = match start {
            SessionStart::Resumed => "resumed",
            SessionStart::Identified | SessionStart::Unspecified => "identified",
        };
        self.pace.connected();
        self.shared.gateway_outage.is_over();
        self.detour = false;
        self.line.connected();
        self.connection = Some(start);
        self.show();
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
    async fn lost(&mut self, loss: &Loss, stop: &CancellationToken) -> Result<(), Error> {
        match loss.next {
            Next::Stop(Refusal::ShardingRequired) if self.shared.is_auto => {
                self.is_barred = true;
                self.shared.adviser.refused();
            }
            Next::Stop(refusal) => {
                return Err(self.shared.refused(refusal, self.lease.shard).await);
            }
            Next::Identify if !self.let_go(stop).await? => return Ok(()),
            Next::Identify | Next::Resume => {}
        }
        if loss.next != Next::Resume && self.session.take().is_some() {
            self.progress = Progress::default();
            self.line.session_lost();
            self.report_soon();
        }
        let wait = self.pace.lost(self.shared.pulse.is_in_doubt());
        if self.pace.is_failing() && loss.is_no_answer() {
            self.shared.gateway_outage.began(&loss.detail);
        }
        let away = loss.status(wait, self.session.is_some(), self.safe());
        self.shared.board.down(self.lease.shard, away);
        tracing::info!(
            shard = self.lease.shard.id,
            resume = self.session.is_some(),
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            reason = loss.detail,
            "connection lost"
        );
        Ok(())
    }

    /// The broker took no event for too long: the connection was closed resumably.
    fn stalled(&mut self) {
        self.pace.given_up();
        if self.part.is_full() {
            self.wait_full();
            return;
        }
        self.shared.metrics.stalled();
        let away = ShardStatus {
            sequence: self.safe(),
            ..status(
                ShardState::Away,
                ShardReason::Broker,
                "the broker takes no events: resumes when it does",
            )
        };
        self.shared.board.down(self.lease.shard, away);
        tracing::warn!(
            shard = self.lease.shard.id,
            "the broker takes no events: disconnected, to resume when it does"
        );
    }

    /// Says how far the session has come, if the keeper has time to listen.
    fn report_soon(&self) {
        let report = self.report(News::Session(self.settled(self.floor())));
        if let Err(mpsc::error::TrySendError::Closed(_)) = self.reports.try_send(report) {
            tracing::error!(shard = self.lease.shard.id, "sessions are no longer saved");
        }
    }

    fn report(&self, news: News) -> Report {
        let Lease { shard, token } = self.lease;
        Report { shard, token, news }
    }

    /// The sequence that another process may take the session up from.
    fn safe(&self) -> Option<u64> {
        Some(self.settled(self.floor())?.sequence)
    }

    /// The session as another process may take it up, no further than `floor`.
    fn settled(&self, floor: Option<u64>) -> Option<Session> {
        let session = self.session.as_ref()?;
        let settled = self.progress.settled(self.lane.confirmed());
        let settled = settled.unwrap_or(session.sequence);
        let sequence = floor.map_or(settled, |floor| floor.min(settled));
        (sequence > 0).then(|| Session {
            sequence,
            ..session.clone()
        })
    }
}
