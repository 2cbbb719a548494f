//! All that waits for one bucket of one channel, guild or webhook.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{Bucket, Id, Quota, Request, caller::Turns, grants::Grants, hold::Hold};
use crate::route::{Permit, Route};

/// After so much time without a turn a request counts for one priority more.
const AGEING: Duration = Duration::from_secs(1);

/// What waits with what priority, for whom, and for which route.
pub(super) type Class = (u8, Arc<str>, Arc<str>);

/// The queue of one bucket.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) name: Arc<str>,
    pub(super) major: Arc<str>,
    pub(super) permit: Permit,
    pub(super) limit: Limit,
    /// Whether the last answer was none of 401, 403 and 429.
    pub(super) proven: bool,
    /// When the last one was sent.
    pub(super) sent_at: Duration,
    pub(super) waiting: usize,
    pub(super) in_flight: u32,
    ordered_in_flight: u32,
    classes: BTreeMap<Class, Queue>,
    /// No deadline of what waits is earlier.
    earliest: Duration,
    turns: Turns,
    pub(super) holds: HashMap<Arc<str>, Hold>,
    /// Permits of the store that counts for all replicas, if there is one.
    pub(super) grants: Option<Grants>,
    /// Among how many replicas the limit is divided.
    pub(super) parts: u32,
}

/// What is known of a lane's limit.
#[derive(Debug)]
pub(super) enum Limit {
    /// Answers have no headers: there is none.
    Free,
    /// The headers have told.
    Known(Bucket),
    /// No answer so far: one request goes at a time.
    Unknown,
}

/// Requests of one class.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Id, Request)>,
    served_at: Duration,
}

/// When the lane's next request can go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Status {
    /// The store has to be asked for a permit.
    Asking,
    /// Not before that moment.
    At(Duration),
    /// Not before an answer.
    Blocked,
    /// Nothing waits.
    Idle,
    /// Now.
    Ready,
}

/// The request that is next.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) class: Class,
    pub(super) id: Id,
    pub(super) level: u64,
}

impl Lane {
    pub(super) fn new(name: Arc<str>, route: &Route) -> Self {
        Self {
            name,
            major: Arc::clone(&route.major),
            permit: route.permit,
            limit: Limit::Unknown,
            proven: false,
            sent_at: Duration::ZERO,
            waiting: 0,
            in_flight: 0,
            ordered_in_flight: 0,
            classes: BTreeMap::new(),
            earliest: Duration::MAX,
            turns: Turns::default(),
            holds: HashMap::new(),
            grants: None,
            parts: 1,
        }
    }

    /// Puts a request into its place: behind those with a smaller id.
    pub(super) fn push(&mut self, id: Id, request: Request) -> Class {
        let class = class(&request);
        self.earliest = self.earliest.min(request.deadline);
        let queue = &mut self.classes.entry(class.clone()).or_default().waiting;
        let place = queue.partition_point(|(other, _)| *other < id);
        queue.insert(place, (id, request));
        self.waiting += 1;
        class
    }

    /// Takes a request out, wherever it stands.
    pub(super) fn remove(&mut self, id: Id, class: &Class) -> Option<Request> {
        let queue = self.classes.get_mut(class)?;
        let place = queue
            .waiting
            .binary_search_by_key(&id, |(id, _)| *id)
            .ok()?;
        let (_, request) = queue.waiting.remove(place)?;
        if queue.waiting.is_empty() {
            self.classes.remove(class);
        }
        self.waiting -= 1;
        Some(request)
    }

    /// Takes out all that have to be sent before that moment, when nothing can be.
    pub(super) fn late(&mut self, first: Duration) -> Vec<(Id, Duration)> {
        let mut late = Vec::new();
        if first < self.earliest {
            return late;
        }
        self.earliest = Duration::MAX;
        self.classes.retain(|_, queue| {
            queue.waiting.retain(|(id, request)| {
                let is_late = request.deadline <= first;
                if is_late {
                    late.push((*id, request.deadline));
                } else {
                    self.earliest = self.earliest.min(request.deadline);
                }
                !is_late
            });
            !queue.waiting.is_empty()
        });
        self.waiting -= late.len();
        late
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<(Id, Request)> {
        self.waiting = 0;
        let classes = std::mem::take(&mut self.classes);
        classes
            .into_values()
            .flat_map(|queue| queue.waiting)
            .collect()
    }

    /// Requests that go before a new one in any case.
    pub(super) fn ahead(&self, request: &Request) -> usize {
        let classes = self.classes.iter();
        let before = classes.filter(|((priority, caller, _), _)| {
            *priority >= request.priority && *caller == request.caller
        });
        before.map(|(_, queue)| queue.waiting.len()).sum()
    }

    /// When so many more can have been sent at the earliest, as far as that is known.
    pub(super) fn when(&self, now: Duration, wanted: usize) -> Option<Duration> {
        match &self.limit {
            Limit::Known(bucket) => bucket.when(now, u32::try_from(wanted).unwrap_or(u32::MAX)),
            Limit::Free | Limit::Unknown => Some(now),
        }
    }

    /// Until when hidden limits let no request of this route through, as far as that is known.
    pub(super) fn held(&self, now: Duration, route: &Route) -> Duration {
        if self.holds.is_empty() {
            return now;
        }
        let whens = keys(route).filter_map(|key| self.holds.get(&*key)?.when(now));
        whens.max().unwrap_or(now)
    }

    /// A request that waits.
    pub(super) fn find(&self, id: Id, class: &Class) -> Option<&Request> {
        let waiting = &self.classes.get(class)?.waiting;
        let place = waiting.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        waiting.get(place).map(|(_, request)| request)
    }

    /// When the next can go.
    pub(super) fn status(&self, now: Duration) -> Status {
        if self.waiting == 0 {
            return Status::Idle;
        }
        if !self.has_room(now) {
            return match &self.limit {
                Limit::Known(bucket) => bucket.when(now, 1).map_or(Status::Blocked, Status::At),
                Limit::Free | Limit::Unknown => Status::Blocked,
            };
        }
        let heads = self
            .classes
            .values()
            .filter_map(|queue| queue.waiting.front());
        let times = heads.filter_map(|(_, head)| self.head_when(now, head));
        match times.min() {
            None => Status::Blocked,
            Some(time) if time <= now => self.permitted(now),
            Some(time) => Status::At(time),
        }
    }

    /// Whether the limit lets one more through.
    fn has_room(&self, now: Duration) -> bool {
        match &self.limit {
            Limit::Free => true,
            Limit::Known(bucket) => bucket.free(now) > 0,
            Limit::Unknown => self.in_flight == 0,
        }
    }

    /// What is left to wait for when everything else allows to send.
    fn permitted(&self, now: Duration) -> Status {
        match &self.grants {
            Some(grants) if grants.have == 0 && !matches!(self.limit, Limit::Free) => {
                if now < grants.refused_until {
                    Status::At(grants.refused_until)
                } else {
                    Status::Asking
                }
            }
            Some(_) | None => Status::Ready,
        }
    }

    /// The one that is next: of the caller that had least, the one with most priority, the oldest.
    pub(super) fn head(&self, now: Duration) -> Option<Head> {
        let heads = self.classes.iter().filter_map(|(class, queue)| {
            let (id, head) = queue.waiting.front()?;
            self.head_when(now, head).filter(|time| *time <= now)?;
            let since = head.since.max(queue.served_at);
            let level = u64::from(class.0) + now.saturating_sub(since).as_secs() / AGEING.as_secs();
            let rank = (self.turns.spent(&class.1), std::cmp::Reverse(level), *id);
            Some((rank, class, level))
        });
        let ((_, _, id), class, level) = heads.min_by_key(|(rank, ..)| *rank)?;
        Some(Head {
            class: class.clone(),
            id,
            level,
        })
    }

    /// Takes the head out to be sent.
    pub(super) fn send(&mut self, now: Duration, head: &Head) -> Option<Request> {
        if let Limit::Known(bucket) = &mut self.limit
            && !bucket.take(now)
        {
            return None;
        }
        if let Some(queue) = self.classes.get_mut(&head.class) {
            queue.served_at = now;
        }
        let request = self.remove(head.id, &head.class)?;
        self.sends(now, &request);
        Some(request)
    }

    /// Sends a request that has not lined up, if nothing waits and nothing is in its way; whether it does.
    pub(super) fn pass(&mut self, now: Duration, request: &Request) -> bool {
        let is_next = self.waiting == 0
            && self.has_room(now)
            && self.head_when(now, request).is_some_and(|time| time <= now)
            && self.permitted(now) == Status::Ready;
        if !is_next {
            return false;
        }
        if let Limit::Known(bucket) = &mut self.limit
            && !bucket.take(now)
        {
            return false;
        }
        self.sends(now, request);
        true
    }

    /// Counts a request that is sent.
    fn sends(&mut self, now: Duration, request: &Request) {
        for key in keys(&request.route) {
            if let Some(hold) = self.holds.get_mut(&*key) {
                hold.take(now);
            }
        }
        if let Some(grants) = &mut self.grants {
            grants.have = grants.have.saturating_sub(1);
        }
        self.turns.take(&request.caller);
        self.sent_at = now;
        self.in_flight += 1;
        self.ordered_in_flight += u32::from(request.route.ordered);
    }

    /// An answer came, or none will come any more.
    pub(super) fn answered(&mut self, now: Duration, route: &Route, quota: Option<&Quota>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let ordered = u32::from(route.ordered);
        self.ordered_in_flight = self.ordered_in_flight.saturating_sub(ordered);
        if let Some(grants) = &mut self.grants
            && !matches!(self.limit, Limit::Free)
        {
            grants.answered.push(now);
        }
        match (&mut self.limit, quota) {
            (Limit::Known(bucket), quota) => bucket.answered(now, quota),
            (Limit::Free | Limit::Unknown, Some(quota)) => {
                let mut bucket = self.bucket(quota.limit, quota.reset_after);
                bucket.found(now, self.in_flight, quota);
                self.limit = Limit::Known(bucket);
            }
            (Limit::Free | Limit::Unknown, None) => {}
        }
    }

    /// A hidden limit let the request pass.
    pub(super) fn passed(&mut self, now: Duration, route: &Route) {
        for key in keys(route) {
            // Only what is known to have one, or has shown one, is worth the memory.
            if let Some(hold) = self.holds.get_mut(&*key) {
                hold.passed(now);
            } else if key.contains('|') {
                self.holds.entry(key).or_default().passed(now);
            }
        }
    }

    /// A hidden limit, or a shared one, refused the request: it covers the members that are known to have limits of
    /// their own, or else the route.
    pub(super) fn refused(&mut self, now: Duration, route: &Route, shared: bool, wait: Duration) {
        let own = !shared && !route.members.is_empty();
        for key in keys(route) {
            if key.contains('|') == own {
                self.holds.entry(key).or_default().refused(now, wait);
            } else if let Some(hold) = self.holds.get_mut(&*key) {
                hold.unsent();
            }
        }
    }

    /// Something else refused the request, so that no hidden limit counted it.
    pub(super) fn unsent(&mut self, route: &Route) {
        for key in keys(route) {
            if let Some(hold) = self.holds.get_mut(&*key) {
                hold.unsent();
            }
        }
    }

    /// Takes over all of another lane, as both turned out to be one.
    pub(super) fn absorb(&mut self, other: &mut Self) -> Vec<(Id, Class)> {
        self.in_flight += other.in_flight;
        self.ordered_in_flight += other.ordered_in_flight;
        match (&mut self.limit, &mut other.limit) {
            (Limit::Known(bucket), Limit::Known(former)) => bucket.absorb(former.window()),
            // Its requests were counted by nobody, and their answers will be by the bucket.
            (Limit::Known(bucket), Limit::Free | Limit::Unknown) => bucket.expect(other.in_flight),
            (Limit::Free | Limit::Unknown, Limit::Known(former)) => {
                former.expect(self.in_flight - other.in_flight);
                std::mem::swap(&mut self.limit, &mut other.limit);
            }
            (Limit::Free | Limit::Unknown, Limit::Free | Limit::Unknown) => {}
        }
        if let (Some(grants), Some(former)) = (&mut self.grants, &mut other.grants) {
            grants.answered.append(&mut former.answered);
        }
        self.holds.extend(other.holds.drain());
        let moved = other.drain().into_iter();
        moved
            .map(|(id, request)| (id, self.push(id, request)))
            .collect()
    }

    /// The first request of each class, and how many there are of it.
    pub(super) fn heads(&self) -> impl Iterator<Item = (&Request, usize)> {
        let queues = self.classes.values();
        queues.filter_map(|queue| Some((&queue.waiting.front()?.1, queue.waiting.len())))
    }

    /// Whether nothing is lost when it is forgotten.
    pub(super) fn is_idle(&self, now: Duration) -> bool {
        let limit = match &self.limit {
            Limit::Known(bucket) => bucket.is_idle(now),
            Limit::Free | Limit::Unknown => true,
        };
        let quiet = self.waiting == 0 && self.in_flight == 0;
        quiet && limit && !self.has_to_tell() && self.holds.values().all(|hold| hold.is_idle(now))
    }

    /// When a head may go as far as order and hidden limits are concerned.
    fn head_when(&self, now: Duration, head: &Request) -> Option<Duration> {
        if head.route.ordered && self.ordered_in_flight > 0 {
            return None;
        }
        if self.holds.is_empty() {
            return Some(now);
        }
        let mut latest = now;
        for key in keys(&head.route) {
            if let Some(hold) = self.holds.get(&*key) {
                latest = latest.max(hold.when(now)?);
            }
        }
        Some(latest)
    }
}

/// Under what the route's hidden limits are known: the route, and each of the body's limited members.
fn keys(route: &Route) -> impl Iterator<Item = Arc<str>> {
    let members = route.members.iter();
    let members = members.map(|member| Arc::<str>::from(format!("{}|{member}", route.key)));
    std::iter::once(Arc::clone(&route.key)).chain(members)
}

fn class(request: &Request) -> Class {
    let route = &request.route;
    let key = if route.members.is_empty() {
        Arc::clone(&route.key)
    } else {
        Arc::<str>::from(format!("{}|{}", route.key, route.members.join("|")))
    };
    (request.priority, Arc::clone(&request.caller), key)
}
