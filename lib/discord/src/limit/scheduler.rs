//! Decides which of an application's requests goes next, and when.
//!
//! A lane per bucket and resource holds what waits. A lane that can send is *ready*; one that cannot has a timer, or waits for an
//! answer. Of the ready lanes the one goes whose caller had least, then the one whose request has most priority, then the one that has
//! waited longest for a turn. So one exhausted bucket costs the others nothing, and one busy caller costs the others no turn.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use super::{
    address::ANONYMOUS,
    caller::Turns,
    gone::Gone,
    lane::{Class, Lane, Status},
    pool::Pool,
    share::GLOBAL,
};
use crate::route::{Permit, Route};
use share::Share;

mod answers;
mod lanes;
mod share;
mod turn;

/// The name of a request within its scheduler; later ones are larger.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Id(u64);

/// What waits to be sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it counts for.
    pub route: Route,
    /// 0 to 9; higher first among the requests of one caller.
    pub priority: u8,
    /// Who asks: turns are shared between callers.
    pub caller: Arc<str>,
    /// Until when it must have been sent.
    pub deadline: Duration,
    /// When it came; set by the scheduler.
    pub since: Duration,
}

/// How much a scheduler takes on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests in each second for the whole application.
    pub global_limit: u32,
    /// How many may wait altogether.
    pub waiting: usize,
    /// How many may wait for one bucket.
    pub waiting_per_bucket: usize,
    /// How many may be in flight.
    pub in_flight: usize,
    /// From how many buckets on idle ones are forgotten.
    pub buckets: usize,
    /// What the address is called that requests come from: who has the same has one limit for those without a token.
    pub egress: Arc<str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            global_limit: 50,
            waiting: 50_000,
            waiting_per_bucket: 10_000,
            in_flight: 1000,
            buckets: 20_000,
            egress: "default".into(),
        }
    }
}

/// Why a request is not sent.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Cloudflare keeps the address out.
    #[error("Cloudflare keeps this address out for {retry_after:?}")]
    Banned {
        /// For how long.
        retry_after: Duration,
    },
    /// It cannot be sent before its deadline.
    #[error("Discord's limits leave no room before the deadline: try again in {retry_after:?}")]
    Deadline {
        /// When there may be room.
        retry_after: Duration,
    },
    /// The channel or webhook is gone, or the webhook's token is none: Discord has just said so.
    #[error("Discord answered {status} with code {code} for {major} a moment ago")]
    Gone {
        /// Discord's status.
        status: u16,
        /// Discord's code.
        code: u32,
        /// What is gone, without secrets.
        major: String,
    },
    /// So many requests were refused that only what has succeeded before may go.
    #[error("too many requests were answered 401, 403 or 429: try again in {retry_after:?}")]
    Invalid {
        /// When some are forgotten.
        retry_after: Duration,
    },
    /// Too many wait already.
    #[error("too many requests wait already: try again in {retry_after:?}")]
    Full {
        /// When there may be room.
        retry_after: Duration,
    },
    /// Discord does not accept the token any more.
    #[error(
        "Discord refused the bot token (401): the application is stopped until it has a new one"
    )]
    Unauthorized,
}

/// What to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Send it, and say what was answered.
    Send(Id),
    /// Tell the caller.
    Refuse(Id, Refusal),
    /// Nothing, before that moment or an answer or another request; without a moment only before one of the others.
    Wait(Option<Duration>),
}

/// What an answer means for its request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It was not carried out and waits again.
    Again,
    /// The answer is the caller's.
    Done,
}

type LaneId = u64;

/// The requests of one application.
#[derive(Debug)]
pub struct Scheduler {
    settings: Settings,
    /// The limit of the whole application.
    global: Pool,
    /// The limit of requests without a token, which count for the address.
    anonymous: Pool,
    revoked: bool,
    gone: Gone,
    turns: Turns,
    /// Boxed, as a table has room for more than there are.
    lanes: HashMap<LaneId, Box<Lane>>,
    /// Lanes by bucket, or route as long as that has none, and resource.
    index: HashMap<(Arc<str>, Arc<str>), LaneId>,
    /// Lanes that have become part of another one while requests were in flight.
    forwards: HashMap<LaneId, LaneId>,
    /// The bucket of each route, and the limit and window of each bucket.
    buckets: HashMap<Arc<str>, Arc<str>>,
    shapes: HashMap<Arc<str>, (u32, Duration)>,
    ready: BTreeSet<(Permit, LaneId)>,
    timers: BTreeSet<(Duration, LaneId)>,
    states: HashMap<LaneId, Status>,
    waiting: HashMap<Id, (LaneId, Class, Duration)>,
    deadlines: BTreeSet<(Duration, Id)>,
    /// Those that cannot be sent before their deadlines any more, and how long it would take; they are still to be told.
    late: Vec<(Id, Duration)>,
    flights: HashMap<Id, (LaneId, Request)>,
    next_id: u64,
    next_lane: LaneId,
    sweep_at: usize,
    share: Option<Share>,
}

impl Scheduler {
    /// A scheduler that knows nothing of Discord's buckets yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            global: Pool::new(GLOBAL, settings.global_limit),
            anonymous: Pool::new(format!("address:{}", settings.egress), ANONYMOUS),
            revoked: false,
            gone: Gone::default(),
            turns: Turns::default(),
            lanes: HashMap::new(),
            index: HashMap::new(),
            forwards: HashMap::new(),
            buckets: HashMap::new(),
            shapes: HashMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            states: HashMap::new(),
            waiting: HashMap::new(),
            deadlines: BTreeSet::new(),
            late: Vec::new(),
            flights: HashMap::new(),
            next_id: 0,
            next_lane: 0,
            sweep_at: settings.buckets,
            share: None,
            settings,
        }
    }

    /// Takes a request on.
    ///
    /// # Errors
    ///
    /// When it is clear already that it will not be sent, or should not.
    pub fn enqueue(&mut self, now: Duration, mut request: Request) -> Result<Id, Refusal> {
        if self.revoked && request.route.permit == Permit::Application {
            return Err(Refusal::Unauthorized);
        }
        if let Some(code) = self.gone.code(now, &request.route) {
            return Err(gone(code, &request.route));
        }
        let lane_id = self.lane_of(now, &request.route);
        self.admit(now, lane_id, &request)?;
        let id = self.name();
        request.since = now;
        request.priority = request.priority.min(9);
        self.insert(lane_id, id, request);
        self.refresh(now, lane_id);
        Ok(id)
    }

    /// Forgets a request that waits; whether it did.
    pub fn cancel(&mut self, now: Duration, id: Id) -> bool {
        let Some((lane_id, class, deadline)) = self.waiting.remove(&id) else {
            return false;
        };
        self.deadlines.remove(&(deadline, id));
        if let Some(lane) = self.lanes.get_mut(&lane_id) {
            lane.remove(id, &class);
        }
        self.refresh(now, lane_id);
        true
    }

    /// The application has a new token.
    pub fn resume(&mut self) {
        self.revoked = false;
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many were sent and have no answer yet.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// How many buckets are remembered.
    pub fn buckets(&self) -> usize {
        self.lanes.len()
    }

    /// The limit that covers all requests with this permit.
    fn pool(&self, permit: Permit) -> Option<&Pool> {
        match permit {
            Permit::Address => Some(&self.anonymous),
            Permit::Application => Some(&self.global),
            Permit::Exempt => None,
        }
    }

    fn pool_mut(&mut self, permit: Permit) -> Option<&mut Pool> {
        match permit {
            Permit::Address => Some(&mut self.anonymous),
            Permit::Application => Some(&mut self.global),
            Permit::Exempt => None,
        }
    }

    fn admit(&self, now: Duration, lane_id: LaneId, request: &Request) -> Result<(), Refusal> {
        let Some(lane) = self.lanes.get(&lane_id) else {
            return Ok(());
        };
        let after = |wanted| lane.when(now, wanted).unwrap_or(now).saturating_sub(now);
        let full = self.waiting.len() >= self.settings.waiting;
        if full || lane.waiting >= self.settings.waiting_per_bucket {
            // When one of those that wait has gone.
            let retry_after = after(1).max(Duration::from_secs(1));
            return Err(Refusal::Full { retry_after });
        }
        let held = lane.held(now, &request.route).saturating_sub(now);
        let mut retry_after = after(lane.ahead(request) + 1).max(held);
        if request.route.permit == Permit::Application {
            retry_after = retry_after.max(self.global.until.saturating_sub(now));
        }
        if now + retry_after >= request.deadline {
            return Err(Refusal::Deadline { retry_after });
        }
        Ok(())
    }

    /// A name for the next request.
    const fn name(&mut self) -> Id {
        let id = Id(self.next_id);
        self.next_id += 1;
        id
    }

    fn insert(&mut self, lane_id: LaneId, id: Id, request: Request) {
        let Some(lane) = self.lanes.get_mut(&lane_id) else {
            return;
        };
        let deadline = request.deadline;
        let class = lane.push(id, request);
        self.deadlines.insert((deadline, id));
        self.waiting.insert(id, (lane_id, class, deadline));
    }
}

/// Discord's code for a token that is not the webhook's.
const WRONG_TOKEN: u32 = 50_027;

/// The refusal for what is gone; a webhook's token is not told.
fn gone(code: u32, route: &Route) -> Refusal {
    let major: Vec<&str> = route.major.splitn(3, '/').take(2).collect();
    Refusal::Gone {
        status: if code == WRONG_TOKEN { 401 } else { 404 },
        code,
        major: major.join("/"),
    }
}

#[cfg(test)]
mod tests;
