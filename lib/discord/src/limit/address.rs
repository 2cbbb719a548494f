//! What all applications behind one address share: Cloudflare's ban, and the limit of requests without a token.
//!
//! See [Discord Docs/Invalid Request Limit](https://docs.discord.com/developers/topics/rate-limits#invalid-request-limit-aka-cloudflare-bans).

use std::{collections::VecDeque, time::Duration};

use super::{Answer, Scope, Window};

/// The window in which Discord counts invalid requests.
const WINDOW: Duration = Duration::from_secs(600);
/// Invalid requests are counted in lots of so much time.
const SLOT: Duration = Duration::from_secs(10);
/// Requests without a token in each second.
pub(super) const ANONYMOUS: u32 = 50;

/// How near the ban is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Far away.
    Quiet,
    /// Half of the allowance is used: somebody should know.
    Warned,
    /// Three quarters are used: what has not succeeded before goes slowly.
    Slowed,
    /// Nine tenths are used: only what has succeeded before goes at all.
    Stopped,
}

/// The state of one egress address.
#[derive(Clone, Debug)]
pub struct Address {
    allowance: u32,
    /// Number of a slot, and what was counted in it.
    slots: VecDeque<(u64, u32)>,
    banned_until: Duration,
    slow_until: Duration,
    /// Those of the other replicas, and until when they count at the longest.
    others: (u32, Duration),
    /// Those that the others were not told of, and those that they are being told of.
    unreported: u32,
    reporting: u32,
    pub(super) anonymous: Window,
}

impl Address {
    /// An address that may send so many invalid requests in ten minutes; Discord allows 10,000.
    pub const fn new(allowance: u32) -> Self {
        Self {
            allowance,
            slots: VecDeque::new(),
            banned_until: Duration::ZERO,
            slow_until: Duration::ZERO,
            others: (0, Duration::ZERO),
            unreported: 0,
            reporting: 0,
            anonymous: Window::new(ANONYMOUS, Duration::from_secs(1)),
        }
    }

    /// Counts an answer.
    pub fn answered(&mut self, now: Duration, answer: &Answer) {
        if answer.is_invalid() {
            self.count(now, 1);
        }
        if let Some((Scope::Cloudflare, wait)) = answer.limited {
            self.ban(now + wait);
        }
    }

    /// Sends nothing before that moment.
    pub fn ban(&mut self, until: Duration) {
        self.banned_until = self.banned_until.max(until);
    }

    /// Counts invalid requests.
    pub fn count(&mut self, now: Duration, invalid: u32) {
        self.unreported = self.unreported.saturating_add(invalid);
        let slot = slot(now);
        match self.slots.back_mut() {
            Some((last, count)) if *last == slot => *count = count.saturating_add(invalid),
            _ => self.slots.push_back((slot, invalid)),
        }
        self.slots.retain(|(one, _)| one + slot_count() >= slot);
    }

    /// Invalid requests in the last ten minutes, of all replicas as far as they are known.
    pub fn invalid(&self, now: Duration) -> u32 {
        let others = Some(self.others.0).filter(|_| now < self.others.1);
        self.own(now).saturating_add(others.unwrap_or_default())
    }

    /// What the other replicas behind this address should be told: how many more were invalid, and for how long the address
    /// is banned. [`Self::heard`] or [`Self::unheard`] is due then.
    pub fn report(&mut self, now: Duration) -> (u32, Duration) {
        self.reporting = self.reporting.saturating_add(self.unreported);
        self.unreported = 0;
        (self.reporting, self.banned_until.saturating_sub(now))
    }

    /// What all together have counted in the last ten minutes, and for how long the address is banned.
    pub fn heard(&mut self, now: Duration, invalid: u32, banned: Duration) {
        self.reporting = 0;
        let own = self.own(now).saturating_sub(self.unreported);
        self.others = (invalid.saturating_sub(own), now + WINDOW);
        self.ban(now + banned);
    }

    /// Nobody was told.
    pub fn unheard(&mut self) {
        self.unreported = self.unreported.saturating_add(self.reporting);
        self.reporting = 0;
    }

    /// Our own invalid requests in the last ten minutes.
    fn own(&self, now: Duration) -> u32 {
        let recent = self
            .slots
            .iter()
            .filter(|(one, _)| one + slot_count() >= slot(now));
        recent.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How near the ban is.
    pub fn level(&self, now: Duration) -> Level {
        let (used, all) = (u64::from(self.invalid(now)), u64::from(self.allowance));
        if used * 10 >= all * 9 {
            Level::Stopped
        } else if used * 4 >= all * 3 {
            Level::Slowed
        } else if used * 2 >= all {
            Level::Warned
        } else {
            Level::Quiet
        }
    }

    /// Until when Cloudflare keeps the address out, if it does.
    pub fn banned(&self, now: Duration) -> Option<Duration> {
        (now < self.banned_until).then_some(self.banned_until)
    }

    /// When a request may go as far as the guard is concerned; absent: not at all for now. `proven` says that the same
    /// route has succeeded for the same resource, and has not failed since.
    pub fn admit(&self, now: Duration, proven: bool) -> Option<Duration> {
        match self.level(now) {
            Level::Stopped if !proven => None,
            Level::Slowed if !proven => Some(now.max(self.slow_until)),
            Level::Quiet | Level::Warned | Level::Slowed | Level::Stopped => Some(now),
        }
    }

    /// A request that has not been proven is sent.
    pub(super) fn risked(&mut self, now: Duration) {
        if self.level(now) == Level::Slowed {
            // What is left up to the stop lasts for a whole window.
            let left = (self.allowance / 10 * 9)
                .saturating_sub(self.invalid(now))
                .max(1);
            self.slow_until = now + WINDOW / left;
        }
    }

    /// When the oldest invalid requests are forgotten.
    pub fn relief(&self, now: Duration) -> Duration {
        let oldest = self.slots.front().map_or(slot(now), |(oldest, _)| *oldest);
        SLOT * u32::try_from(oldest + slot_count() + 1).unwrap_or(u32::MAX)
    }
}

fn slot(now: Duration) -> u64 {
    now.as_secs() / SLOT.as_secs()
}

fn slot_count() -> u64 {
    WINDOW.as_secs() / SLOT.as_secs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Address, Answer, Level, Scope};

    const NOW: Duration = Duration::from_secs(1000);

    #[test]
    fn the_guard_warns_then_slows_then_stops_all_but_what_is_proven() {
        let mut address = Address::new(1000);
        for (invalid, level) in [
            (499, Level::Quiet),
            (1, Level::Warned),
            (250, Level::Slowed),
            (150, Level::Stopped),
        ] {
            address.count(NOW, invalid);
            assert_eq!(address.level(NOW), level);
            assert_eq!(address.admit(NOW, true), Some(NOW));
            if level == Level::Slowed {
                assert_eq!(address.admit(NOW, false), Some(NOW));
                address.risked(NOW);
                assert_eq!(
                    address.admit(NOW, false),
                    Some(NOW + Duration::from_secs(4))
                );
            }
        }
        assert_eq!(address.admit(NOW, false), None);
        let later = address.relief(NOW);
        assert!(later >= NOW + Duration::from_secs(600), "{later:?}");
        assert_eq!(address.level(later), Level::Quiet);
    }

    #[test]
    fn what_other_replicas_have_counted_counts() {
        let (mut one, mut two) = (Address::new(1000), Address::new(1000));
        one.count(NOW, 300);
        assert_eq!(one.report(NOW), (300, Duration::ZERO));
        one.count(NOW, 50);
        one.heard(NOW, 300, Duration::ZERO);
        assert_eq!(one.invalid(NOW), 350);
        two.count(NOW, 200);
        assert_eq!(two.report(NOW).0, 200);
        two.unheard();
        assert_eq!(two.report(NOW).0, 200);
        two.heard(NOW, 500, Duration::from_secs(7));
        assert_eq!(two.invalid(NOW), 500);
        assert_eq!(two.level(NOW), Level::Warned);
        assert_eq!(two.banned(NOW), Some(NOW + Duration::from_secs(7)));
        assert_eq!(one.report(NOW).0, 50);
        one.heard(NOW, 550, Duration::ZERO);
        assert_eq!(one.invalid(NOW), 550);
    }

    #[test]
    fn only_cloudflare_bans_the_address_and_shared_limits_are_nobodys_fault() {
        let mut address = Address::new(1000);
        for (scope, invalid) in [(Scope::Shared, 0), (Scope::User, 1), (Scope::Global, 2)] {
            let limited = Some((scope, Duration::from_secs(9)));
            address.answered(
                NOW,
                &Answer {
                    status: 429,
                    limited,
                    ..Answer::default()
                },
            );
            assert_eq!((address.invalid(NOW), address.banned(NOW)), (invalid, None));
        }
        let limited = Some((Scope::Cloudflare, Duration::from_secs(9)));
        address.answered(
            NOW,
            &Answer {
                status: 429,
                limited,
                ..Answer::default()
            },
        );
        assert_eq!(address.banned(NOW), Some(NOW + Duration::from_secs(9)));
    }
}
