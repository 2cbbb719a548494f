//! Which limits a request counts against, and whether it is let through.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use http::{HeaderMap, Method};
use tokio::time::Instant;

use super::{
    config::{Limit, RestConfig, Scope},
    counter::{Counter, Quota},
    path::Path,
    reply::{put, round_up},
};
use crate::violations::Kind;

/// What may be on its way when a client learns that it must wait.
const SLACK: Duration = Duration::from_millis(100);
/// From how many counters on idle ones are thrown away.
const MANY: usize = 50_000;

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    counters: HashMap<(String, String), Counter>,
    invalid: VecDeque<Instant>,
    banned_until: Option<Instant>,
}

/// Who asks for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a Path,
    /// Members of the body.
    pub(crate) members: &'a [String],
    /// Whether it came with the bot's token.
    pub(crate) authorized: bool,
    /// Whether the global limit counts it.
    pub(crate) exempt: bool,
}

/// A request that is not let through.
#[derive(Debug)]
pub(crate) struct Limited {
    pub(crate) scope: Scope,
    pub(crate) retry_after: Duration,
}

/// What the limits make of a request.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The bucket's headers, and its name.
    pub(crate) quota: Option<(String, Quota)>,
    /// Why it is not let through.
    pub(crate) limited: Option<Limited>,
    /// What the client did wrong.
    pub(crate) breach: Option<Kind>,
}

impl Verdict {
    /// Sets the bucket's headers.
    pub(crate) fn write(&self, unix_ms: u64, headers: &mut HeaderMap) {
        let Some((bucket, quota)) = &self.quota else {
            return;
        };
        let reset_after = round_up(quota.reset_after);
        let unix = Duration::from_millis(unix_ms).as_secs_f64();
        put(headers, "x-ratelimit-bucket", bucket);
        put(headers, "x-ratelimit-limit", &quota.limit.to_string());
        put(
            headers,
            "x-ratelimit-remaining",
            &quota.remaining.to_string(),
        );
        put(
            headers,
            "x-ratelimit-reset",
            &format!("{:.3}", unix + reset_after),
        );
        put(
            headers,
            "x-ratelimit-reset-after",
            &format!("{reset_after:.3}"),
        );
    }
}

impl Limits {
    /// Whether Cloudflare bans the client at this moment.
    pub(crate) fn banned(&self, now: Instant) -> Option<Duration> {
        let until = self.banned_until.filter(|until| now < *until)?;
        Some(until - now)
    }

    /// Counts an answer 401, 403 or 429; whether that was one too many.
    pub(crate) fn count_invalid(&mut self, now: Instant, config: &RestConfig) -> bool {
        let window = Duration::from_millis(config.invalid_window_ms);
        while self
            .invalid
            .front()
            .is_some_and(|then| now >= *then + window)
        {
            self.invalid.pop_front();
        }
        self.invalid.push_back(now);
        let over = self.invalid.len() >= config.invalid_limit.max(1);
        if over {
            self.banned_until = Some(now + window);
            self.invalid.clear();
        }
        over
    }

    /// How many invalid requests the window has.
    pub(crate) fn invalid(&self) -> usize {
        self.invalid.len()
    }

    /// How many counters there are.
    pub(crate) fn counters(&self) -> usize {
        self.counters.len()
    }

    /// Counts a request.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        unix_ms: u64,
        config: &RestConfig,
        asked: Asked<'_>,
    ) -> Verdict {
        self.tidy(now, config);
        if let Some(verdict) = self.take_global(now, config, asked) {
            return verdict;
        }
        let fitting = |limit: &&Limit| fits(limit, unix_ms, asked);
        let hidden = config.limits.iter().filter(|limit| limit.hidden);
        let hidden: Vec<&Limit> = hidden.filter(fitting).collect();
        let visible = config
            .limits
            .iter()
            .filter(|limit| !limit.hidden)
            .find(fitting);
        let general = Limit {
            limit: config.default_limit,
            ..Limit::default()
        };
        let mut verdict = self.take_one(now, visible.unwrap_or(&general), asked);
        if verdict.limited.is_none() {
            for limit in hidden {
                let found = self.take_one(now, limit, asked);
                if found.limited.is_some() {
                    (verdict.limited, verdict.breach) = (found.limited, found.breach);
                    break;
                }
            }
        }
        verdict
    }

    fn take_global(
        &mut self,
        now: Instant,
        config: &RestConfig,
        asked: Asked<'_>,
    ) -> Option<Verdict> {
        if asked.exempt || config.global_limit == 0 {
            return None;
        }
        let who = if asked.authorized { "bot" } else { "address" };
        let key = ("global".to_owned(), who.to_owned());
        let counter = self.counters.entry(key).or_default();
        let window = Duration::from_millis(config.global_window_ms);
        let taken = counter.take(now, config.global_window, config.global_limit, window);
        let retry_after = taken.err()?;
        let ignored = counter.ignores(now, retry_after);
        Some(Verdict {
            quota: None,
            limited: Some(Limited {
                scope: Scope::Global,
                retry_after,
            }),
            // Everybody can count to fifty.
            breach: Some(ignored.unwrap_or(Kind::RestGlobal)),
        })
    }

    fn take_one(&mut self, now: Instant, limit: &Limit, asked: Asked<'_>) -> Verdict {
        if limit.limit == 0 {
            return Verdict::default();
        }
        let name = limit.bucket.clone().unwrap_or_else(|| {
            let member = limit.member.as_deref().unwrap_or_default();
            format!("{} {} {member}", asked.method, asked.path.shape())
        });
        let bucket = hash(&name);
        let counter = self
            .counters
            .entry((name, asked.path.top_level()))
            .or_default();
        let window = Duration::from_millis(limit.window_ms);
        match counter.take(now, limit.window, limit.limit, window) {
            Ok(quota) => Verdict {
                quota: Some((bucket, quota)),
                ..Verdict::default()
            },
            Err(retry_after) => {
                let known = counter.empty_since.is_some_and(|since| now > since + SLACK);
                let empty = (known && !limit.hidden).then_some(Kind::RestBucketEmpty);
                let quota = Quota {
                    limit: limit.limit,
                    remaining: 0,
                    reset_after: retry_after,
                };
                Verdict {
                    quota: Some((bucket, quota)),
                    breach: counter.ignores(now, retry_after).or(empty),
                    limited: Some(Limited {
                        scope: limit.scope,
                        retry_after,
                    }),
                }
            }
        }
    }

    /// Throws away counters that count nothing any more.
    fn tidy(&mut self, now: Instant, config: &RestConfig) {
        if self.counters.len() < MANY {
            return;
        }
        let windows = config.limits.iter().map(|limit| limit.window_ms);
        let longest = windows.chain([config.global_window_ms, 1000]).max();
        let longest = Duration::from_millis(longest.unwrap_or_default());
        self.counters
            .retain(|_, counter| !counter.is_idle(now, longest));
    }
}

impl Counter {
    /// Notes a 429; whether the client did not wait as the last one asked.
    fn ignores(&mut self, now: Instant, retry_after: Duration) -> Option<Kind> {
        let former = self.refused.replace((now, now + retry_after));
        let (answered, until) = former?;
        let told = now > answered + SLACK;
        if told && now < until {
            return Some(Kind::RestRetryAfter);
        }
        if now < until {
            // The first answer is the one that the client may have seen.
            self.refused = former;
        }
        None
    }
}

fn fits(limit: &Limit, unix_ms: u64, asked: Asked<'_>) -> bool {
    let method = asked.method.as_str();
    (limit.methods.is_empty() || limit.methods.iter().any(|one| one == method))
        && asked.path.fits(&limit.path)
        && limit
            .member
            .as_ref()
            .is_none_or(|member| asked.members.contains(member))
        && limit
            .older_than_ms
            .is_none_or(|age| asked.path.age_ms(unix_ms) >= age)
}

/// A bucket's name as Discord shows it: 32 hexadecimal digits that say nothing. (FNV-1a, twice.)
fn hash(name: &str) -> String {
    let fnv = |start: u64| {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        name.bytes().fold(start, step)
    };
    format!(
        "{:016x}{:016x}",
        fnv(0xcbf2_9ce4_8422_2325),
        fnv(0x8422_2325_cbf2_9ce4)
    )
}
