//! What a store knows of an application's limits, in the memory of one process.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use super::share::{Line, Member, Outcome, Reply, Report, Shape};

/// How long a replica counts as alive after a report.
const ALIVE: Duration = Duration::from_secs(5);
/// When to ask again for the permit of a bucket that nobody knows yet.
const PROBE: Duration = Duration::from_millis(10);
/// The longest wait while permits are out: they may come back unused.
const LONGEST: Duration = Duration::from_millis(250);
/// How many windows, routes and buckets are remembered.
const MOST: usize = 10_000;

/// Counts for all replicas of one application; the module `share` says how. A store elsewhere does the same.
#[derive(Debug, Default)]
pub struct Ledger {
    replicas: BTreeMap<String, Duration>,
    windows: HashMap<String, Counted>,
    routes: HashMap<Arc<str>, Arc<str>>,
    shapes: HashMap<Arc<str>, (u32, Duration)>,
    /// The token that Discord refuses.
    revoked: Option<String>,
}

/// What counts for one window.
#[derive(Debug, Default)]
struct Counted {
    length: Duration,
    /// What each replica has, and until when it is believed.
    out: BTreeMap<String, (u32, Duration)>,
    answered: Vec<Duration>,
    blocked_until: Duration,
    holds: BTreeMap<Arc<str>, Duration>,
}

impl Ledger {
    /// Takes a report.
    pub fn report(&mut self, now: Duration, member: &Member, report: &Report) -> Reply {
        let replica = member.replica.as_str();
        self.replicas.insert(replica.to_owned(), now + ALIVE);
        self.replicas.retain(|_, until| *until > now);
        if report.revoked {
            self.revoked = Some(member.token.clone());
        }
        if self.routes.len() > MOST || self.shapes.len() > MOST {
            self.routes.clear();
            self.shapes.clear();
        }
        for learned in &report.learned {
            let bucket = Arc::clone(&learned.bucket);
            self.routes
                .insert(Arc::clone(&learned.route), Arc::clone(&bucket));
            let shape = self.shapes.entry(bucket).or_default();
            if shape.0 == learned.limit {
                shape.1 = shape.1.max(learned.length);
            } else {
                *shape = (learned.limit, learned.length);
            }
        }
        if self.windows.len() > MOST {
            self.windows.retain(|_, window| !window.is_idle(now));
        }
        let lines = report.lines.iter();
        let outcomes = lines.map(|line| self.line(now, replica, now + member.flight, line));
        Reply {
            outcomes: outcomes.collect(),
            replicas: u32::try_from(self.replicas.len()).unwrap_or(u32::MAX),
            revoked: self.revoked.as_ref() == Some(&member.token),
        }
    }

    fn line(&mut self, now: Duration, replica: &str, until: Duration, line: &Line) -> Outcome {
        let mut wanted = line.wanted;
        let (bucket, limit, length) = match &line.shape {
            Shape::Bucket(name, limit, length) => {
                let shape = self.shapes.entry(Arc::clone(name));
                let (limit, length) = *shape.or_insert((*limit, *length));
                (Some((Arc::clone(name), limit, length)), limit, length)
            }
            Shape::Fixed(limit, length) => (None, *limit, *length),
            Shape::Route(route) => {
                let bucket = self.routes.get(route);
                let shape = bucket.and_then(|bucket| Some((bucket, self.shapes.get(bucket)?)));
                let known = shape.map(|(bucket, (limit, length))| {
                    wanted = 0;
                    (Arc::clone(bucket), *limit, *length)
                });
                (known, 1, Duration::ZERO)
            }
        };
        let window = self.windows.entry(line.window.clone()).or_default();
        window.length = length;
        window.take_in(now, replica, until, line);
        let granted = wanted.min(window.free(now, limit));
        if granted > 0 {
            window.out.entry(replica.to_owned()).or_default().0 += granted;
            window.out.entry(replica.to_owned()).or_default().1 = until;
        }
        let wait = match granted < wanted {
            true => window.wait(now),
            false => Duration::ZERO,
        };
        let holds = window.holds.iter();
        Outcome {
            granted,
            wait,
            blocked: window.blocked_until.saturating_sub(now),
            bucket,
            holds: holds
                .map(|(key, until)| (Arc::clone(key), *until - now))
                .collect(),
        }
    }
}

impl Counted {
    fn take_in(&mut self, now: Duration, replica: &str, until: Duration, line: &Line) {
        let over: Vec<String> = self
            .out
            .iter()
            .filter(|(_, (_, until))| *until <= now)
            .map(|(other, _)| other.clone())
            .collect();
        for other in over {
            if let Some((count, until)) = self.out.remove(&other)
                && other != replica
            {
                self.answered
                    .extend(std::iter::repeat_n(until, count as usize));
            }
        }
        self.out.remove(replica);
        if line.out > 0 {
            self.out.insert(replica.to_owned(), (line.out, until));
        }
        let answered = line.answered.iter();
        self.answered
            .extend(answered.map(|age| now.saturating_sub(*age)));
        self.answered.retain(|then| *then + self.length > now);
        if !line.blocked.is_zero() {
            self.blocked_until = self.blocked_until.max(now + line.blocked);
        }
        for (key, wait) in &line.holds {
            let until = self.holds.entry(Arc::clone(key)).or_default();
            *until = (*until).max(now + *wait);
        }
        self.holds.retain(|_, until| *until > now);
    }

    fn free(&self, now: Duration, limit: u32) -> u32 {
        if now < self.blocked_until {
            return 0;
        }
        let out = self
            .out
            .values()
            .fold(0_u32, |sum, (count, _)| sum.saturating_add(*count));
        let answered = u32::try_from(self.answered.len()).unwrap_or(u32::MAX);
        limit.saturating_sub(out.saturating_add(answered))
    }

    fn wait(&self, now: Duration) -> Duration {
        if now < self.blocked_until {
            return self.blocked_until - now;
        }
        if self.length.is_zero() {
            return PROBE;
        }
        let first = self.answered.iter().min();
        let back = first.map_or(self.length, |first| *first + self.length - now);
        if self.out.is_empty() {
            back
        } else {
            back.min(LONGEST)
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        let counts = self.answered.iter().any(|then| *then + self.length > now);
        self.out.is_empty() && !counts && now >= self.blocked_until && self.holds.is_empty()
    }
}
