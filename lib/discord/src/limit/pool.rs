//! A limit that covers the requests of many buckets: that of the application, or that of requests without a token.

use std::time::Duration;

use super::{
    Window,
    grants::Grants,
    share::{Line, Outcome, Shape},
};

/// How long permits are kept that nobody needs.
const KEPT: Duration = Duration::from_millis(100);
/// After what time to ask again at the earliest.
const MOMENT: Duration = Duration::from_millis(1);

/// The permits of such a limit.
#[derive(Debug)]
pub(super) struct Pool {
    /// What the store calls it.
    name: String,
    pub(super) window: Window,
    /// Before that moment nothing is sent.
    pub(super) until: Duration,
    /// Those of the store, while it is there.
    pub(super) grants: Option<Grants>,
    used: u32,
    used_at: Duration,
}

impl Pool {
    /// So many requests in each second.
    pub(super) fn new(name: impl Into<String>, limit: u32) -> Self {
        Self {
            name: name.into(),
            window: Window::new(limit, Duration::from_secs(1)),
            until: Duration::ZERO,
            grants: None,
            used: 0,
            used_at: Duration::ZERO,
        }
    }

    /// From now on a store counts for all replicas.
    pub(super) fn join(&mut self, now: Duration) {
        (self.used, self.used_at) = (0, Duration::ZERO);
        self.grants = Some(Grants {
            answered: self.window.counted(now).collect(),
            ..Grants::default()
        });
    }

    /// The store is away, and others may have sent something within the last second.
    pub(super) fn part(&mut self, now: Duration, is_alone: bool) {
        (self.used, self.used_at, self.grants) = (0, Duration::ZERO, None);
        if !is_alone {
            self.until = self.until.max(now + self.window.length());
        }
    }

    /// Whether there is a permit, and if not, when.
    pub(super) fn permits(&self, now: Duration) -> (bool, Option<Duration>) {
        if now < self.until {
            return (false, Some(self.until));
        }
        if let Some(grants) = self.grants.as_ref().filter(|grants| grants.have == 0)
            && self.window.free(now) > 0
        {
            // Either the store has said when, or its answer is waited for.
            let when = Some(grants.refused_until);
            return (false, when.filter(|when| *when > now));
        }
        match self.window.free(now) {
            0 => (false, self.window.when(now, 1)),
            _ => (true, Some(now)),
        }
    }

    /// Uses a permit; how many there were.
    #[must_use]
    pub(super) fn take(&mut self, now: Duration) -> u32 {
        if let Some(grants) = &mut self.grants {
            grants.have = grants.have.saturating_sub(1);
            self.used = self.used.saturating_add(1);
            self.used_at = now;
        }
        self.window.take(now, 1)
    }

    /// A request was answered, or will not be any more.
    pub(super) fn answered(&mut self, now: Duration) {
        self.window.answered(now);
        if let Some(grants) = &mut self.grants {
            grants.answered.push(now);
        }
    }

    /// Whether requests, if any wait for nothing else, wait for permits that are not yet asked for.
    pub(super) fn is_short(&self, now: Duration) -> bool {
        let Some(grants) = &self.grants else {
            return false;
        };
        grants.have == 0 && now >= grants.refused_until.max(self.until) && self.window.free(now) > 0
    }

    /// Whether there is something to tell the store.
    pub(super) fn has_to_tell(&self, now: Duration) -> bool {
        let Some(grants) = &self.grants else {
            return false;
        };
        let idle = grants.have > 0 && now >= self.used_at + KEPT;
        idle || !grants.answered.is_empty()
    }

    /// Whether the store need not hear of it at all.
    pub(super) fn is_idle(&self, demand: u32) -> bool {
        let known = self.grants.as_ref();
        let told = known.is_none_or(|grants| grants.have == 0 && grants.answered.is_empty());
        told && demand == 0 && self.window.in_flight() == 0
    }

    /// What the store is told and asked, when so many requests wait for nothing but a permit, and there are so many
    /// replicas.
    pub(super) fn line(&mut self, now: Duration, demand: u32, replicas: u32) -> Line {
        let (limit, length) = (self.window.limit(), self.window.length());
        let mut line = Line::new(self.name.clone(), Shape::Fixed(limit, length));
        let Some(grants) = &mut self.grants else {
            return line;
        };
        let most = (limit / replicas.max(1)).max(1);
        let ahead = std::mem::take(&mut self.used).min(most / 4);
        if demand == 0 && now >= self.used_at + KEPT {
            grants.have = 0;
        }
        let have = grants.have;
        if now >= grants.refused_until.max(self.until) {
            let free = self.window.free(now).saturating_sub(have);
            line.wanted = (demand + ahead).saturating_sub(have).min(most).min(free);
        }
        line.out = self.window.in_flight() + have;
        line.answered = grants.told(now);
        line.blocked = self.until.saturating_sub(now);
        line
    }

    /// What the store has answered.
    pub(super) fn heard(&mut self, now: Duration, line: &Line, outcome: &Outcome) {
        let Some(grants) = &mut self.grants else {
            return;
        };
        grants.have += outcome.granted;
        if outcome.granted < line.wanted {
            grants.refused_until = now + outcome.wait.max(MOMENT);
        }
        self.until = self.until.max(now + outcome.blocked);
    }
}
