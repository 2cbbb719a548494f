//! Which lane a request belongs to, and when lanes are looked at.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{LaneId, Scheduler, Status};
use crate::{
    limit::{
        Quota,
        bucket::ROUNDING,
        lane::{Lane, Limit},
        share::{Learned, window},
    },
    route::Route,
};

/// How many routes and buckets are remembered.
const ROUTES: usize = 10_000;
/// The shortest wait, so that rounding never makes a wait of none.
const MOMENT: Duration = Duration::from_millis(1);

impl Scheduler {
    /// The lane for the route's bucket, if that is known, or else for the route; made if there is none.
    pub(super) fn lane_of(&mut self, now: Duration, route: &Route) -> LaneId {
        let key = self.key(route);
        if let Some(lane_id) = self.index.get(&key) {
            return *lane_id;
        }
        self.sweep(now);
        let mut lane = Box::new(Lane::new(Arc::clone(&key.0), route));
        if let Some(share) = &self.share {
            lane.join(now, share.together, share.parts);
        }
        if let Some((limit, length)) = self.shapes.get(&key.0) {
            lane.limit = Limit::Known(lane.bucket(*limit, *length));
        }
        let lane_id = self.next_lane;
        self.next_lane += 1;
        self.lanes.insert(lane_id, lane);
        self.index.insert(key, lane_id);
        lane_id
    }

    /// The same, if there is one.
    pub(super) fn known_lane(&self, route: &Route) -> Option<LaneId> {
        self.index.get(&self.key(route)).copied()
    }

    fn key(&self, route: &Route) -> (Arc<str>, Arc<str>) {
        let name = self.buckets.get(&route.key).unwrap_or(&route.key);
        (Arc::clone(name), Arc::clone(&route.major))
    }

    /// The lane that a lane has become part of, or itself.
    pub(super) fn lane_now(&self, lane_id: LaneId) -> LaneId {
        let mut lane_id = lane_id;
        while let Some(next) = self.forwards.get(&lane_id) {
            lane_id = *next;
        }
        lane_id
    }

    /// Puts the lane where it belongs: among the ready ones, on the timer, or nowhere.
    pub(super) fn refresh(&mut self, now: Duration, lane_id: LaneId) {
        let Some(lane) = self.lanes.get(&lane_id) else {
            self.forget_state(lane_id);
            return;
        };
        if lane.has_left_over() {
            self.tell(lane_id, false);
        }
        let Some(lane) = self.lanes.get_mut(&lane_id) else {
            return;
        };
        let permit = lane.permit;
        let mut status = lane.status(now);
        if let Status::At(first) = status {
            let late = lane.late(first);
            if !late.is_empty() {
                status = lane.status(now);
            }
            // Who cannot be sent before that moment need not wait for it to be told.
            for (id, deadline) in late {
                self.waiting.remove(&id);
                self.deadlines.remove(&(deadline, id));
                self.late.push((id, first.saturating_sub(now)));
            }
        }
        let status = match status {
            Status::At(time) => Status::At(time.max(now + MOMENT)),
            status => status,
        };
        let former = self.states.insert(lane_id, status);
        if former == Some(status) {
            return;
        }
        match former {
            Some(Status::At(time)) => drop(self.timers.remove(&(time, lane_id))),
            Some(Status::Ready) => drop(self.ready.remove(&(permit, lane_id))),
            Some(Status::Asking) => drop(self.wanted().map(|wanted| wanted.remove(&lane_id))),
            Some(Status::Blocked | Status::Idle) | None => {}
        }
        match status {
            Status::At(time) => drop(self.timers.insert((time, lane_id))),
            Status::Ready => drop(self.ready.insert((permit, lane_id))),
            Status::Asking => drop(self.wanted().map(|wanted| wanted.insert(lane_id))),
            Status::Blocked | Status::Idle => {}
        }
    }

    /// Learns which bucket the route belongs to, and brings together what belongs together.
    pub(super) fn learn(&mut self, now: Duration, route: &Route, quota: &Quota) {
        let length = match self.shapes.get(&quota.bucket) {
            Some((limit, length)) if *limit == quota.limit => (*length).max(quota.reset_after),
            _ => quota.reset_after,
        };
        if self.shapes.len() >= ROUTES || self.buckets.len() >= ROUTES {
            self.shapes.clear();
            self.buckets.clear();
        }
        let bucket = Arc::clone(&quota.bucket);
        let shape = (quota.limit, length);
        let known = self.shapes.insert(Arc::clone(&bucket), shape);
        if (known != Some(shape) || self.buckets.get(&route.key) != Some(&bucket))
            && let Some(share) = &mut self.share
        {
            share.learned(Learned {
                route: Arc::clone(&route.key),
                bucket: Arc::clone(&bucket),
                limit: quota.limit,
                length: length + ROUNDING,
            });
        }
        self.bring_together(now, &route.key, &bucket);
    }

    /// A route belongs to a bucket, as it turns out: so do all lanes of that route.
    pub(super) fn bring_together(&mut self, now: Duration, route: &Arc<str>, bucket: &Arc<str>) {
        if self.buckets.get(route) == Some(bucket) {
            return;
        }
        let former = self.buckets.insert(Arc::clone(route), Arc::clone(bucket));
        if former.is_some() {
            // The former bucket may be other routes' still: only what comes from now on goes to the new one.
            return;
        }
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.name == *route);
        let mut found: Vec<LaneId> = lanes.map(|(lane_id, _)| *lane_id).collect();
        found.sort_unstable();
        for lane_id in found {
            self.rename(now, lane_id, bucket);
        }
    }

    /// The lane of a route becomes that of its bucket, or part of it.
    fn rename(&mut self, now: Duration, lane_id: LaneId, bucket: &Arc<str>) {
        let shape = self.shapes.get(bucket).copied();
        let Some(mut lane) = self.lanes.remove(&lane_id) else {
            return;
        };
        self.index
            .remove(&(Arc::clone(&lane.name), Arc::clone(&lane.major)));
        if let Some(share) = &mut self.share {
            share.left(window(&lane.name, &lane.major));
        }
        if let Some(grants) = &mut lane.grants {
            grants.have = 0;
            grants.refused_until = Duration::ZERO;
        }
        if let (Limit::Unknown, Some((limit, length))) = (&lane.limit, shape) {
            let mut known = lane.bucket(limit, length);
            known.expect(lane.in_flight);
            lane.limit = Limit::Known(known);
        }
        let key = (Arc::clone(bucket), Arc::clone(&lane.major));
        let Some(target) = self.index.get(&key).copied() else {
            lane.name = Arc::clone(bucket);
            self.lanes.insert(lane_id, lane);
            self.index.insert(key, lane_id);
            self.tell(lane_id, false);
            self.look_again(now, lane_id);
            return;
        };
        self.forget_state(lane_id);
        self.ready.remove(&(lane.permit, lane_id));
        if lane.in_flight > 0 {
            let flying: HashSet<LaneId> = self.flights.values().map(|(lane, _)| *lane).collect();
            self.forwards.retain(|from, _| flying.contains(from));
            self.forwards.insert(lane_id, target);
        }
        if let Some(to) = self.lanes.get_mut(&target) {
            for (id, class) in to.absorb(&mut lane) {
                if let Some(place) = self.waiting.get_mut(&id) {
                    (place.0, place.1) = (target, class);
                }
            }
        }
        self.tell(target, false);
        self.refresh(now, target);
    }

    /// A lane is gone, or another one's.
    fn forget_state(&mut self, lane_id: LaneId) {
        if let Some(Status::At(time)) = self.states.remove(&lane_id) {
            self.timers.remove(&(time, lane_id));
        }
        if let Some(share) = &mut self.share {
            share.wanted.remove(&lane_id);
            share.dirty.remove(&lane_id);
        }
    }

    /// The lanes that wait for the store.
    fn wanted(&mut self) -> Option<&mut BTreeSet<LaneId>> {
        self.share.as_mut().map(|share| &mut share.wanted)
    }

    /// Forgets lanes in which nothing counts any more, once there are many.
    fn sweep(&mut self, now: Duration) {
        if self.lanes.len() < self.sweep_at {
            return;
        }
        let idle = self.lanes.iter().filter(|(_, lane)| lane.is_idle(now));
        let idle: Vec<LaneId> = idle.map(|(lane_id, _)| *lane_id).collect();
        for lane_id in idle {
            if let Some(lane) = self.lanes.remove(&lane_id) {
                self.index.remove(&(lane.name, lane.major));
            }
            self.forget_state(lane_id);
        }
        let flying: HashSet<LaneId> = self.flights.values().map(|(lane_id, _)| *lane_id).collect();
        self.forwards.retain(|from, _| flying.contains(from));
        // If most are busy, looking again at each new one would help nobody.
        self.sweep_at = self.settings.buckets.max(self.lanes.len() * 2);
    }
}
