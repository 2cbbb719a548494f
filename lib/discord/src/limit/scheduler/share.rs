//! How the replicas of an application keep its limits together.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{LaneId, Scheduler, Status};
use crate::{
    limit::share::{Learned, Line, Need, Outcome, Reply, Report, Shape, window},
    route::Permit,
};

/// How long each replica keeps to its part when the store is back, so that all have told what they did meanwhile.
const CAREFUL: Duration = Duration::from_secs(2);
/// How much is remembered to be told; what is beyond runs out by itself.
const MOST: usize = 10_000;
/// The permits that are limited as a whole.
const POOLS: [Permit; 2] = [Permit::Application, Permit::Address];

/// What a line of the report that is on its way is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Of {
    /// A window that is not used any more.
    Former,
    Lane(LaneId),
    /// The limit that covers all requests with this permit.
    Pool(Permit),
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
            wanted: BTreeSet::new(),
            dirty: BTreeSet::new(),
            former: Vec::new(),
            learned: Vec::new(),
            asked: Vec::new(),
            news: false,
            revoked: false,
        }
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
        self.global.join(now);
        self.anonymous.join(now);
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
        self.global.part(now, replicas == 1);
        self.anonymous.part(now, replicas == 1);
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
        let is_short = |permit| {
            let pool = self.pool(permit);
            pool.is_some_and(|pool| pool.is_short(now)) && self.any_ready(permit)
        };
        if share.news || !share.wanted.is_empty() || POOLS.into_iter().any(is_short) {
            return Need::Now;
        }
        let told = share.dirty.is_empty() && share.former.is_empty() && share.learned.is_empty();
        if told && !self.global.has_to_tell(now) && !self.anonymous.has_to_tell(now) {
            Need::None
        } else {
            Need::Soon
        }
    }

    /// What to tell and ask the store at this moment, in at most so many lines. Before the next one [`Self::heard`] or
    /// [`Self::part`] is due.
    pub fn report(&mut self, now: Duration, most: usize) -> Report {
        let (mut lines, mut asked) = (Vec::new(), Vec::new());
        for permit in POOLS {
            if let Some(line) = self.pool_line(now, permit) {
                lines.push(line);
                asked.push(Of::Pool(permit));
            }
        }
        let Some(share) = &mut self.share else {
            return Report::default();
        };
        share.asked = asked;
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
                Of::Lane(lane_id) => self.heard_lane(now, lane_id, line, outcome),
                Of::Pool(permit) => {
                    if let Some(pool) = self.pool_mut(permit) {
                        pool.heard(now, line, outcome);
                    }
                }
            }
        }
    }

    /// Once all have told what they did while the store was away, it alone decides.
    pub(super) fn trust(&mut self, now: Duration) {
        let Some(share) = &mut self.share else { return };
        if share.together && share.parts > 1 && now >= share.careful_until {
            share.parts = 1;
            self.global.window.divide(1);
            self.anonymous.window.divide(1);
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

    /// All lanes begin anew, as the store is there or is not.
    fn divide(&mut self, now: Duration) {
        let Some(share) = &self.share else { return };
        let (together, parts) = (share.together, share.parts);
        self.global.window.divide(parts);
        self.anonymous.window.divide(parts);
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

    /// What the store is told of a limit that covers many buckets, if there is anything to tell.
    fn pool_line(&mut self, now: Duration, permit: Permit) -> Option<Line> {
        let demand = self.demand(now, permit);
        let replicas = self.replicas();
        let pool = self.pool_mut(permit)?;
        // Of the application all hear in each report: that is how they are known to be there.
        let is_told = permit == Permit::Application || !pool.is_idle(demand);
        is_told.then(|| pool.line(now, demand, replicas))
    }

    /// How many requests only wait for such a permit.
    fn demand(&self, now: Duration, permit: Permit) -> u32 {
        let most = self.pool(permit).map_or(0, |pool| pool.window.limit());
        let ready = self.ready.range((permit, 0)..=(permit, LaneId::MAX));
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
