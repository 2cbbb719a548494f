//! How the replicas of an application keep its limits together.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{LaneId, Scheduler, Status};
use crate::{
    limit::{
        grants::Grants,
        share::{GLOBAL, Learned, Line, Need, Outcome, Reply, Report, Shape, window},
    },
    route::Permit,
};

/// How long permits for the whole application are kept that nobody needs.
const KEPT: Duration = Duration::from_millis(100);
/// How long each replica keeps to its part when the store is back, so that all have told what they did meanwhile.
const CAREFUL: Duration = Duration::from_secs(2);
/// How much is remembered to be told; what is beyond runs out by itself.
const MOST: usize = 10_000;
/// After what time to ask again at the earliest.
const MOMENT: Duration = Duration::from_millis(1);

/// What a line of the report that is on its way is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Of {
    /// A window that is not used any more.
    Former,
    Global,
    Lane(LaneId),
}

/// What is known of the other replicas.
#[derive(Debug)]
pub(super) struct Share {
    /// Whether the store is there.
    pub(super) together: bool,
    /// Among how many the limits are divided, 1 if the store does it.
    pub(super) parts: u32,
    replicas: u32,
    careful_until: Duration,
    pub(super) global: Grants,
    used: u32,
    used_at: Duration,
    /// Lanes that wait for permits of the store.
    pub(super) wanted: BTreeSet<LaneId>,
    /// Lanes with something to tell.
    pub(super) dirty: BTreeSet<LaneId>,
    /// Windows that lanes have left.
    pub(super) former: Vec<String>,
    learned: Vec<Learned>,
    asked: Vec<Of>,
    /// Whether others should hear of something at once.
    pub(super) news: bool,
    pub(super) revoked: bool,
}

impl Share {
    fn new() -> Self {
        Self {
            together: false,
            parts: 1,
            replicas: 1,
            careful_until: Duration::ZERO,
            global: Grants::default(),
            used: 0,
            used_at: Duration::ZERO,
            wanted: BTreeSet::new(),
            dirty: BTreeSet::new(),
            former: Vec::new(),
            learned: Vec::new(),
            asked: Vec::new(),
            news: false,
            revoked: false,
        }
    }

    /// One of the permits for the whole application is used.
    pub(super) fn used(&mut self, now: Duration) {
        self.global.have = self.global.have.saturating_sub(1);
        self.used = self.used.saturating_add(1);
        self.used_at = now;
    }

    /// A route's bucket was learned, or limit and window of a bucket.
    pub(super) fn learned(&mut self, learned: Learned) {
        if self.together && self.learned.len() < MOST {
            self.learned.push(learned);
        }
    }

    /// A lane does not use that window any more.
    pub(super) fn left(&mut self, window: String) {
        if self.together && self.former.len() < MOST {
            self.former.push(window);
        }
    }
}

impl Scheduler {
    /// From now on a store counts for all replicas: nothing is sent before it gave a permit. What counts at this moment will be in
    /// the next reports.
    pub fn join(&mut self, now: Duration) {
        let share = self.share.get_or_insert_with(Share::new);
        // Who was away does not know what the others have not told yet.
        let careful = share.parts > 1;
        let replicas = if careful { share.parts } else { 1 };
        *share = Share {
            together: true,
            parts: replicas,
            replicas: share.replicas,
            careful_until: now + CAREFUL,
            revoked: self.revoked,
            ..Share::new()
        };
        share.global.answered = self.global.counted(now).collect();
        self.divide(now);
    }

    /// The store is away: until it is back each of the replicas known keeps to its part of every limit.
    pub fn part(&mut self, now: Duration) {
        let share = self.share.get_or_insert_with(Share::new);
        if !share.together {
            return;
        }
        let replicas = share.replicas.max(1);
        *share = Share {
            parts: replicas,
            replicas,
            ..Share::new()
        };
        if replicas > 1 {
            // What the others have sent within the last second is not known.
            let second = self.global.length();
            self.global_until = self.global_until.max(now + second);
        }
        self.divide(now);
    }

    /// Whether a store counts for all replicas.
    pub fn is_together(&self) -> bool {
        self.share.as_ref().is_some_and(|share| share.together)
    }

    /// How many replicas there are, as far as that is known.
    pub fn replicas(&self) -> u32 {
        self.share.as_ref().map_or(1, |share| share.replicas)
    }

    /// How soon the next report should be made.
    pub fn need(&self, now: Duration) -> Need {
        let Some(share) = self.share.as_ref().filter(|share| share.together) else {
            return Need::None;
        };
        if share.news || !share.wanted.is_empty() || self.is_short(now, share) {
            return Need::Now;
        }
        let idle = share.global.have > 0 && now >= share.used_at + KEPT;
        let told = share.dirty.is_empty() && share.former.is_empty() && share.learned.is_empty();
        if told && share.global.answered.is_empty() && !idle {
            Need::None
        } else {
            Need::Soon
        }
    }

    /// What to tell and ask the store at this moment, in at most so many lines. Before the next one [`Self::heard`] or
    /// [`Self::part`] is due.
    pub fn report(&mut self, now: Duration, most: usize) -> Report {
        let global = self.global_line(now);
        let Some(share) = &mut self.share else {
            return Report::default();
        };
        let mut lines = vec![global];
        share.asked = vec![Of::Global];
        share.news = false;
        let former = share.former.len().min(most);
        lines.extend(share.former.drain(..former).map(|window| {
            // Nothing is out any more; the limit does not matter.
            Line::new(window, Shape::Fixed(1, Duration::ZERO))
        }));
        share.asked.resize(lines.len(), Of::Former);
        let replicas = share.replicas;
        while lines.len() < most
            && let Some(lane_id) = share.wanted.pop_first().or_else(|| share.dirty.pop_first())
        {
            share.dirty.remove(&lane_id);
            let asks = self.states.get(&lane_id) == Some(&Status::Asking);
            let Some(lane) = self.lanes.get_mut(&lane_id) else {
                continue;
            };
            if let Some(line) = lane.line(now, asks.then_some(replicas)) {
                lines.push(line);
                share.asked.push(Of::Lane(lane_id));
            }
        }
        Report {
            lines,
            learned: std::mem::take(&mut share.learned),
            revoked: std::mem::take(&mut share.revoked),
        }
    }

    /// The store has answered a report.
    pub fn heard(&mut self, now: Duration, report: &Report, reply: &Reply) {
        self.revoked |= reply.revoked;
        let Some(share) = self.share.as_mut().filter(|share| share.together) else {
            return;
        };
        share.replicas = reply.replicas.max(1);
        let asked = std::mem::take(&mut share.asked);
        let told = report.lines.iter().zip(&reply.outcomes);
        for (of, (line, outcome)) in asked.into_iter().zip(told) {
            match of {
                Of::Former => {}
                Of::Global => self.heard_global(now, line, outcome),
                Of::Lane(lane_id) => self.heard_lane(now, lane_id, line, outcome),
            }
        }
    }

    /// Once all have told what they did while the store was away, it alone decides.
    pub(super) fn trust(&mut self, now: Duration) {
        let Some(share) = &mut self.share else { return };
        if share.together && share.parts > 1 && now >= share.careful_until {
            share.parts = 1;
            self.global.divide(1);
            let lane_ids: Vec<LaneId> = self.lanes.keys().copied().collect();
            for lane_id in lane_ids {
                if let Some(lane) = self.lanes.get_mut(&lane_id) {
                    lane.divide(1);
                }
                self.refresh(now, lane_id);
            }
        }
    }

    /// Says that a lane has something to tell.
    pub(super) fn tell(&mut self, lane_id: LaneId, news: bool) {
        if let Some(share) = self.share.as_mut().filter(|share| share.together) {
            share.dirty.insert(lane_id);
            share.news |= news;
        }
    }

    /// Whether an application's requests wait for permits that are not yet asked for.
    fn is_short(&self, now: Duration, share: &Share) -> bool {
        share.global.have == 0
            && now >= share.global.refused_until.max(self.global_until)
            && self.global.free(now) > 0
            && self.any_ready(Permit::Application)
    }

    /// All lanes begin anew, as the store is there or is not.
    fn divide(&mut self, now: Duration) {
        let Some(share) = &self.share else { return };
        let (together, parts) = (share.together, share.parts);
        self.global.divide(parts);
        let lane_ids: Vec<LaneId> = self.lanes.keys().copied().collect();
        for lane_id in lane_ids {
            if let Some(lane) = self.lanes.get_mut(&lane_id) {
                lane.join(now, together, parts);
                if lane.has_to_tell() {
                    self.tell(lane_id, false);
                }
            }
            self.look_again(now, lane_id);
        }
    }

    /// Puts a lane where it belongs, also if that seems to be where it is.
    pub(super) fn look_again(&mut self, now: Duration, lane_id: LaneId) {
        if self.states.get(&lane_id) == Some(&Status::Asking) {
            self.states.insert(lane_id, Status::Idle);
        }
        self.refresh(now, lane_id);
    }

    fn global_line(&mut self, now: Duration) -> Line {
        let demand = self.demand(now);
        let (limit, length) = (self.global.limit(), self.global.length());
        let mut line = Line::new(GLOBAL.to_owned(), Shape::Fixed(limit, length));
        let Some(share) = &mut self.share else {
            return line;
        };
        let most = (limit / share.replicas.max(1)).max(1);
        let ahead = std::mem::take(&mut share.used).min(most / 4);
        if demand == 0 && now >= share.used_at + KEPT {
            share.global.have = 0;
        }
        let have = share.global.have;
        if now >= share.global.refused_until.max(self.global_until) {
            let free = self.global.free(now).saturating_sub(have);
            line.wanted = (demand + ahead).saturating_sub(have).min(most).min(free);
        }
        line.out = self.global.in_flight() + have;
        line.answered = share.global.told(now);
        line.blocked = self.global_until.saturating_sub(now);
        line
    }

    /// How many requests only wait for a permit of the whole application.
    fn demand(&self, now: Duration) -> u32 {
        let most = self.global.limit();
        let ready = self
            .ready
            .range((Permit::Application, 0)..=(Permit::Application, LaneId::MAX));
        let mut demand = 0_u32;
        for (_, lane_id) in ready {
            let lane = self.lanes.get(lane_id);
            demand = demand.saturating_add(lane.map_or(0, |lane| lane.ready(now)));
            if demand >= most {
                break;
            }
        }
        demand
    }

    fn heard_global(&mut self, now: Duration, line: &Line, outcome: &Outcome) {
        let Some(share) = &mut self.share else { return };
        share.global.have += outcome.granted;
        if outcome.granted < line.wanted {
            share.global.refused_until = now + outcome.wait.max(MOMENT);
        }
        self.global_until = self.global_until.max(now + outcome.blocked);
    }

    fn heard_lane(&mut self, now: Duration, lane_id: LaneId, line: &Line, outcome: &Outcome) {
        let Some(lane) = self.lanes.get_mut(&lane_id) else {
            self.leave(line, outcome);
            return;
        };
        if window(&lane.name, &lane.major) != line.window {
            self.leave(line, outcome);
            self.look_again(now, lane_id);
            return;
        }
        lane.heard(now, line, outcome);
        if let Some((bucket, limit, length)) = &outcome.bucket {
            let bucket = Arc::clone(bucket);
            self.shapes.insert(Arc::clone(&bucket), (*limit, *length));
            if let Shape::Route(route) = &line.shape {
                self.bring_together(now, route, &bucket);
            }
        }
        self.look_again(now, lane_id);
    }

    /// Permits came for a window that is not used any more.
    fn leave(&mut self, line: &Line, outcome: &Outcome) {
        if outcome.granted > 0
            && let Some(share) = &mut self.share
        {
            share.left(line.window.clone());
        }
    }
}
