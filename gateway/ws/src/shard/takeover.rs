//! A shard while the number of shards changes: it holds back, takes over, or ends for good.

use super::{DRAIN, Over, Shard, Taken};
use crate::{
    Error, connection::Connection, reshard::Place, shard::part::Verdict, status::status,
    switch::Fingerprint,
};
use broker::Message;
use store::{Session, Status};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use transcode::Payload;
use wire::gateway::v1::{ShardReason, ShardState, ShardStatus};

/// What a shard that ended leaves.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// The session, as another process may take it up.
    pub(crate) session: Option<Session>,
    /// The same for when the next set has begun to take over, of which the shard may not have heard: it
    /// begins where the tail does.
    pub(crate) switching: Option<Session>,
    /// What the set after it needs to know of its last events, when it has ended for good.
    pub(crate) tail: Option<Vec<u8>>,
    /// A connection to end once that is known: its session is over then.
    pub(crate) connection: Option<Connection>,
}

impl Shard {
    /// How far the change is has changed.
    pub(super) fn follow(&mut self) {
        let turn = self.turn.borrow_and_update().clone();
        let shard = self.lease.shard;
        // Until what is given free now is confirmed, the session is taken up from here.
        let base = self.settled(self.floor());
        (self.place, self.as_of) = (turn.place(shard), turn.as_of);
        let Some(released) = self.part.follow(&turn, shard, Instant::now()) else {
            return;
        };
        if let (Some(session), Some(base)) = (&mut self.session, base) {
            session.sequence = base.sequence;
        }
        tracing::info!(
            shard = shard.id,
            shard_count = shard.count,
            events = released.events.len(),
            suppressed = released.suppressed,
            "takes over"
        );
        for reason in released.odd {
            tracing::error!(reason, "some events are published twice, under other ids");
        }
        let last = released.events.back();
        self.released = Some(last.map_or(0, |(sequence, _)| *sequence));
        self.due.extend(released.events);
    }

    /// Publishes what was given free.
    pub(super) async fn flush(&mut self, stop: &CancellationToken) -> Result<Option<Over>, Error> {
        while let Some((sequence, message)) = self.due.front().cloned() {
            if let Some(over) = self.publish(sequence, message, None, stop).await? {
                return Ok(Some(over));
            }
            self.due.pop_front();
            self.account.released();
        }
        Ok(None)
    }

    /// What to do with an event.
    pub(super) fn verdict(&mut self, name: &str, payload: Payload<'_>) -> Verdict {
        let is_wanted = self.encoder.wants(name);
        if self.part.is_plain() {
            return match is_wanted {
                true => Verdict::Publish(None),
                false => Verdict::Filter,
            };
        }
        // One that cannot be read is known by its name alone.
        let data = || payload.text().unwrap_or_default();
        self.part.judge(Instant::now(), name, is_wanted, data)
    }

    /// Holds an event back, while there is room.
    pub(super) fn hold(&mut self, event: Fingerprint, sequence: u64, message: Message) -> Taken {
        self.progress.skipped(sequence);
        self.account.held();
        let now = (Instant::now(), self.as_of);
        let length = message.body.len();
        if self.part.hold(now, event, length, (sequence, message)) {
            return Taken::Nothing;
        }
        Taken::Over(Over::Stalled)
    }

    /// Brings up to date what is not counted as it happens.
    pub(super) fn count(&mut self) {
        self.account.settle(self.part.held() + self.due.len());
        if let Some(lag) = self.lane.lag() {
            self.shared.metrics.lag(self.lease.shard, lag);
        }
    }

    /// After a report: is all confirmed that was given free, the next owner does not need the tails,
    /// by the time of the next report at the latest.
    pub(super) fn note_release(&mut self) {
        let confirmed = self.lane.confirmed();
        if self.due.is_empty() && self.released.is_some_and(|last| confirmed >= last) {
            self.released = None;
        }
    }

    /// Says how the shard is, if it has a session.
    pub(super) fn show(&self) {
        let Some(start) = self.connection else {
            return;
        };
        let (board, shard) = (&self.shared.board, self.lease.shard);
        let is_standby = self.part.is_standby();
        let is_so = match is_standby {
            true => self.part.is_ready(Instant::now()),
            false => self.due.is_empty() && self.released.is_none(),
        };
        let status = if is_standby {
            Status::Standby
        } else {
            Status::Live
        };
        if !is_so || board.status(shard) == status {
            return;
        }
        let sequence = self.safe();
        match is_standby {
            true => board.standby(shard, start, sequence),
            false => board.up(shard, start, sequence),
        }
    }

    /// What is held back takes no more: the connection was closed resumably.
    pub(super) fn wait_full(&self) {
        let away = ShardStatus {
            sequence: self.safe(),
            ..status(
                ShardState::Away,
                ShardReason::Reshard,
                "no more events can be held back: resumes when the set before has ended",
            )
        };
        self.shared.board.down(self.lease.shard, away);
        tracing::warn!(
            shard = self.lease.shard.id,
            "no more events can be held back: disconnected, to resume when the set before has ended"
        );
    }

    /// Before a session is given up: what was held back of it is still to be published.
    pub(super) async fn let_go(&mut self, stop: &CancellationToken) -> Result<bool, Error> {
        while self.place == Place::TakingOver && self.part.is_standby() {
            tokio::select! {
                () = stop.cancelled() => return Ok(false),
                _ = self.turn.changed() => self.follow(),
            }
        }
        loop {
            match self.flush(stop).await? {
                None => return Ok(true),
                Some(Over::Stopped) => return Ok(false),
                Some(_) => self.lane.room().await,
            }
        }
    }

    /// Whether there is nothing to take up any more in a set that ends.
    pub(super) fn is_finished(&self) -> bool {
        self.place == Place::Ending && self.session.is_none()
    }

    /// The highest sequence that another process may take the session up from, if there is a limit.
    pub(super) fn floor(&self) -> Option<u64> {
        let due = self
            .due
            .front()
            .map(|(sequence, _)| sequence.saturating_sub(1));
        due.or_else(|| self.part.floor(self.as_of))
    }

    /// Waits for the broker's confirms, and says what is left. A shard that has ended for good waits
    /// as long as it takes, unless it is to stop.
    pub(super) async fn leave(
        &mut self,
        connection: Option<Connection>,
        has_ended: bool,
        stop: &CancellationToken,
    ) -> Left {
        let last = self.progress.last_published();
        if has_ended {
            let confirmed = self.lane.confirmed_past(last);
            stop.run_until_cancelled(confirmed).await;
        }
        let drained = time::timeout(DRAIN, self.lane.confirmed_past(last)).await;
        if drained.is_err() {
            tracing::warn!(
                shard = self.lease.shard.id,
                "the broker has not confirmed every event: the next owner gets the rest again"
            );
        }
        if has_ended && self.lane.confirmed() >= last {
            return Left {
                tail: Some(self.part.tail()),
                connection,
                ..Left::default()
            };
        }
        if let Some(connection) = connection {
            connection.close().await;
        }
        let whole = self.settled(self.floor());
        if self.place != Place::Outgoing {
            return Left {
                session: whole,
                ..Left::default()
            };
        }
        // Handed over in good order, the set waits until its tails are long enough again; unless it waits no more.
        Left {
            session: self.settled(None),
            switching: whole,
            ..Left::default()
        }
    }
}
