//! Whose turn it is.

use std::{cmp::Reverse, time::Duration};

use super::{Id, LaneId, Refusal, Request, Scheduler, Step};
use crate::{
    limit::{Address, lane::Head},
    route::Permit,
};

/// What the caller has had, priority, the lane's last turn, age: the least is next.
type Rank = (u64, Reverse<u64>, Duration, Id);

/// Whose turn it is.
enum Turn {
    None,
    Send(LaneId, Head),
    /// The guard of invalid requests does not let this one go.
    Stopped(Id),
}

impl Scheduler {
    /// Sends a request at once, when nobody is ready whom it would overtake and nothing is in its way. That is what
    /// [`Self::enqueue`] and [`Self::next`] come to as well, by a longer way.
    ///
    /// # Errors
    ///
    /// The request itself, which has to line up.
    pub fn pass(
        &mut self,
        now: Duration,
        mut request: Request,
        address: &mut Address,
    ) -> Result<Id, Box<Request>> {
        self.trust(now);
        let Some(lane_id) = self.way(now, &request, address) else {
            return Err(Box::new(request));
        };
        let Some(lane) = self.lanes.get_mut(&lane_id) else {
            return Err(Box::new(request));
        };
        let of_lane = (lane.permit, lane.proven);
        if !lane.pass(now, &request) {
            return Err(Box::new(request));
        }
        let id = self.name();
        request.since = now;
        self.sent(now, (lane_id, id), request, of_lane, address);
        Ok(id)
    }

    /// The lane of a request that may be sent at once.
    fn way(&self, now: Duration, request: &Request, address: &Address) -> Option<LaneId> {
        let is_due = self.timers.first().is_some_and(|(time, _)| *time <= now);
        let is_full = self.flights.len() >= self.settings.in_flight;
        let is_barred = self.revoked || address.banned(now).is_some() || request.deadline <= now;
        let waits = !self.ready.is_empty() || !self.late.is_empty();
        if is_due || is_full || is_barred || waits {
            return None;
        }
        if self.gone.code(now, &request.route).is_some() {
            return None;
        }
        let lane_id = self.known_lane(&request.route)?;
        let lane = self.lanes.get(&lane_id)?;
        let is_open = self.permits(now, lane.permit, address).0;
        let is_admitted = address.admit(now, lane.proven)? <= now;
        (is_open && is_admitted).then_some(lane_id)
    }

    /// What to do at this moment. It is asked again until it says to wait.
    pub fn next(&mut self, now: Duration, address: &mut Address) -> Step {
        if let Some(step) = self.refuse(now, address) {
            return step;
        }
        self.trust(now);
        while let Some((time, lane_id)) = self.timers.first().copied()
            && time <= now
        {
            self.refresh(now, lane_id);
        }
        let mut wake = self.timers.first().map(|(time, _)| *time);
        let mut sooner = |time: Duration| wake = Some(wake.map_or(time, |wake| wake.min(time)));
        if let Some((deadline, _)) = self.deadlines.first() {
            sooner(*deadline);
        }
        if self.flights.len() >= self.settings.in_flight || self.ready.is_empty() {
            return Step::Wait(wake);
        }
        if let Some(until) = address.banned(now) {
            sooner(until);
            return Step::Wait(wake);
        }
        let mut open = [true; 3];
        for (place, permit) in PERMITS.into_iter().enumerate() {
            let (free, when) = self.permits(now, permit, address);
            open[place] = free;
            if !free
                && let Some(when) = when
                && self.any_ready(permit)
            {
                sooner(when);
            }
        }
        match self.best(now, address, open, &mut sooner) {
            Turn::None => Step::Wait(wake),
            Turn::Send(lane_id, head) => match self.send(now, (lane_id, head), address) {
                Some(id) => Step::Send(id),
                None => Step::Wait(wake),
            },
            Turn::Stopped(id) => {
                let retry_after = address.relief(now).saturating_sub(now);
                self.cancel(now, id);
                Step::Refuse(id, Refusal::Invalid { retry_after })
            }
        }
    }

    /// The next request that cannot be sent any more.
    fn refuse(&mut self, now: Duration, address: &Address) -> Option<Step> {
        if let Some((id, retry_after)) = self.late.pop() {
            return Some(Step::Refuse(id, Refusal::Deadline { retry_after }));
        }
        let (deadline, id) = self.deadlines.first().copied()?;
        if let Some(until) = address.banned(now)
            && deadline <= until
        {
            let retry_after = until - now;
            self.cancel(now, id);
            return Some(Step::Refuse(id, Refusal::Banned { retry_after }));
        }
        if deadline <= now {
            let retry_after = self.expected(now, id);
            self.cancel(now, id);
            return Some(Step::Refuse(id, Refusal::Deadline { retry_after }));
        }
        if self.revoked {
            let mut waiting = self.waiting.iter();
            let needs_token = |lane_id: &LaneId| {
                let lane = self.lanes.get(lane_id);
                lane.is_some_and(|lane| lane.permit == Permit::Application)
            };
            let (id, _) = waiting.find(|(_, (lane_id, ..))| needs_token(lane_id))?;
            let id = *id;
            self.cancel(now, id);
            return Some(Step::Refuse(id, Refusal::Unauthorized));
        }
        None
    }

    fn expected(&self, now: Duration, id: Id) -> Duration {
        let Some((lane_id, class, _)) = self.waiting.get(&id) else {
            return Duration::ZERO;
        };
        let Some(lane) = self.lanes.get(lane_id) else {
            return Duration::ZERO;
        };
        let request = lane.find(id, class);
        let held = request.map_or(now, |request| lane.held(now, &request.route));
        let mut when = lane.when(now, 1).unwrap_or(now).max(held);
        if lane.permit == Permit::Application {
            when = when.max(self.global.until);
        }
        when.saturating_sub(now)
    }

    pub(super) fn any_ready(&self, permit: Permit) -> bool {
        self.ready
            .range((permit, 0)..=(permit, LaneId::MAX))
            .next()
            .is_some()
    }

    /// Whether there are permits of that kind, and if not, when.
    fn permits(
        &self,
        now: Duration,
        permit: Permit,
        address: &Address,
    ) -> (bool, Option<Duration>) {
        let all = &address.anonymous;
        match permit {
            Permit::Exempt => (true, None),
            Permit::Application => self.global.permits(now),
            // Other applications of this process may have used them up.
            Permit::Address if all.free(now) == 0 => (false, all.when(now, 1)),
            Permit::Address => self.anonymous.permits(now),
        }
    }

    /// The lane whose turn it is, and its head.
    fn best(
        &self,
        now: Duration,
        address: &Address,
        open: [bool; 3],
        sooner: &mut impl FnMut(Duration),
    ) -> Turn {
        let mut best: Option<(Rank, LaneId, Head)> = None;
        let mut stopped = None;
        for (place, permit) in PERMITS.into_iter().enumerate() {
            if !open[place] {
                continue;
            }
            for (_, lane_id) in self.ready.range((permit, 0)..=(permit, LaneId::MAX)) {
                let Some(lane) = self.lanes.get(lane_id) else {
                    continue;
                };
                let Some(head) = lane.head(now) else { continue };
                match address.admit(now, lane.proven) {
                    Some(time) if time <= now => {}
                    Some(time) => {
                        sooner(time);
                        continue;
                    }
                    None => {
                        stopped = Some(head.id);
                        continue;
                    }
                }
                let spent = self.turns.spent(&head.class.1);
                let rank = (spent, Reverse(head.level), lane.sent_at, head.id);
                if best.as_ref().is_none_or(|(former, ..)| rank < *former) {
                    best = Some((rank, *lane_id, head));
                }
            }
        }
        match (best, stopped) {
            (Some((_, lane_id, head)), _) => Turn::Send(lane_id, head),
            (None, Some(id)) => Turn::Stopped(id),
            (None, None) => Turn::None,
        }
    }

    fn send(
        &mut self,
        now: Duration,
        (lane_id, head): (LaneId, Head),
        address: &mut Address,
    ) -> Option<Id> {
        let lane = self.lanes.get_mut(&lane_id)?;
        let (permit, proven) = (lane.permit, lane.proven);
        let sent = lane.send(now, &head);
        let Some(request) = sent else {
            self.refresh(now, lane_id);
            return None;
        };
        self.waiting.remove(&head.id);
        self.deadlines.remove(&(request.deadline, head.id));
        self.sent(now, (lane_id, head.id), request, (permit, proven), address);
        self.refresh(now, lane_id);
        Some(head.id)
    }

    /// Counts a request that leaves its lane to be sent.
    fn sent(
        &mut self,
        now: Duration,
        (lane_id, id): (LaneId, Id),
        request: Request,
        (permit, proven): (Permit, bool),
        address: &mut Address,
    ) {
        let taken = match permit {
            Permit::Application => self.global.take(now),
            Permit::Address => self.anonymous.take(now).min(address.anonymous.take(now, 1)),
            Permit::Exempt => 1,
        };
        debug_assert_eq!(taken, 1, "permits were looked at before");
        if !proven {
            address.risked(now);
        }
        self.turns.take(&request.caller);
        self.flights.insert(id, (lane_id, request));
    }
}

const PERMITS: [Permit; 3] = [Permit::Address, Permit::Application, Permit::Exempt];
