//! What answers teach.

use std::{sync::Arc, time::Duration};

use super::{Id, LaneId, Request, Scheduler, Verdict};
use crate::{
    limit::{Address, Answer, Scope, lane::Limit},
    route::{Permit, Route},
};

impl Scheduler {
    /// A request was answered, or its connection broke or took too long: then there is no answer, and whether Discord has counted it
    /// is not known.
    ///
    /// A 429 says that it was not carried out: it waits again in its old place if its deadline leaves time.
    pub fn complete(
        &mut self,
        now: Duration,
        id: Id,
        answer: Option<&Answer>,
        address: &mut Address,
    ) -> Verdict {
        let Some((lane_id, request)) = self.flights.remove(&id) else {
            return Verdict::Done;
        };
        let lane_id = self.lane_now(lane_id);
        match request.route.permit {
            Permit::Application => {
                self.global.answered(now);
                if let Some(share) = self.share.as_mut().filter(|share| share.together) {
                    share.global.answered.push(now);
                }
            }
            Permit::Address => address.anonymous.answered(now),
            Permit::Exempt => {}
        }
        let quota = answer.and_then(|answer| answer.quota.as_ref());
        if let Some(lane) = self.lanes.get_mut(&lane_id) {
            // Headers of another bucket would teach this one something wrong.
            let own = |bucket: &Arc<str>| lane.name == *bucket || lane.name == request.route.key;
            let own = quota.is_some_and(|quota| own(&quota.bucket));
            lane.answered(now, &request.route, quota.filter(|_| own));
            if answer.is_none() {
                lane.passed(now, &request.route);
            }
        }
        if let Some(answer) = answer {
            self.read(now, (lane_id, &request.route), answer, address);
        }
        if let Some(quota) = quota {
            self.learn(now, &request.route, quota);
        }
        let told = self.lane_now(lane_id);
        let limited = answer.is_some_and(|answer| answer.limited.is_some());
        if limited || self.revoked || self.lanes.get(&told).is_some_and(|lane| lane.has_to_tell()) {
            self.tell(told, limited || self.revoked);
        }
        let again = answer.and_then(|answer| answer.limited);
        let verdict = match again {
            Some((_, wait)) if now + wait < request.deadline => self.requeue(id, request, now),
            _ => Verdict::Done,
        };
        let lane_id = self.lane_now(lane_id);
        self.refresh(now, lane_id);
        verdict
    }

    /// What the answer says beyond its bucket.
    fn read(
        &mut self,
        now: Duration,
        (lane_id, route): (LaneId, &Route),
        answer: &Answer,
        address: &mut Address,
    ) {
        address.answered(now, answer);
        self.gone.answered(now, route, answer);
        if answer.status == 401 && route.permit == Permit::Application {
            self.revoked = true;
            if let Some(share) = &mut self.share {
                share.revoked = true;
            }
        }
        let Some(lane) = self.lanes.get_mut(&lane_id) else {
            return;
        };
        lane.proven = !answer.is_invalid() && answer.status < 500;
        match answer.limited {
            None => {
                if answer.quota.is_none()
                    && answer.status < 500
                    && matches!(lane.limit, Limit::Unknown)
                {
                    lane.limit = Limit::Free;
                }
                lane.passed(now, route);
            }
            Some((Scope::Global, wait)) if route.permit == Permit::Application => {
                lane.unsent(route);
                self.global_until = self.global_until.max(now + wait);
            }
            Some((Scope::Global | Scope::Shared, wait)) => lane.refused(now, route, true, wait),
            Some((Scope::User, wait)) => {
                let empty = answer
                    .quota
                    .as_ref()
                    .is_none_or(|quota| quota.remaining == 0);
                if let Limit::Known(bucket) = &mut lane.limit
                    && empty
                {
                    bucket.block(now + wait);
                    lane.unsent(route);
                } else {
                    // The bucket has room: it is a limit that no header shows.
                    lane.refused(now, route, false, wait);
                }
            }
            Some((Scope::Cloudflare, _)) => lane.unsent(route),
        }
    }

    fn requeue(&mut self, id: Id, request: Request, now: Duration) -> Verdict {
        let lane_id = self.lane_of(now, &request.route);
        self.insert(lane_id, id, request);
        self.refresh(now, lane_id);
        Verdict::Again
    }
}
