//! The record of what a client did against Discord's rules.

use std::{collections::BTreeMap, sync::Mutex};

use serde::{Deserialize, Serialize};
use sim_voice::lock;
use tokio::time::Instant;

use crate::clock;

/// How many violations are kept with their text; all are counted.
const KEPT: usize = 10_000;

/// The rule that was broken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A REST request came without the token, or with a wrong one.
    Authorization,
    /// The query of the gateway URL was not as documented.
    ConnectionQuery,
    /// Too many connections within a second.
    ConnectionRate,
    /// A webhook event was answered by something else than 204 without a body, with a type, or a 5xx.
    EventAnswer,
    /// A webhook event was not answered within 3 s.
    EventLate,
    /// A request with a bad signature, to where webhook events go, was not answered 401.
    EventSignature,
    /// A heartbeat came long before it was due.
    HeartbeatEarly,
    /// A heartbeat came too late or not at all.
    HeartbeatLate,
    /// A heartbeat carried a sequence number that was never sent.
    HeartbeatSequence,
    /// An Identify was sent with nothing left of the day's budget.
    IdentifyBudget,
    /// An Identify came before its bucket's window was over.
    IdentifyConcurrency,
    /// An Identify without `properties`, or with a `large_threshold` outside of 50 to 250.
    IdentifyFields,
    /// An Identify at the resume URL.
    IdentifyPlace,
    /// An answer to an interaction that Discord does not take for one of its kind.
    InteractionAnswer,
    /// A request with a bad signature was not refused with 401.
    InteractionSignature,
    /// An interaction got no answer within 3 s.
    InteractionUnanswered,
    /// Intents that do not exist or are not allowed.
    Intents,
    /// A request for guild members that Discord would not answer.
    MembersRequest,
    /// A frame that is no JSON payload.
    PayloadMalformed,
    /// A frame of more than 4,096 bytes.
    PayloadSize,
    /// An opcode that does not exist, or whose payload is wrong.
    PayloadUnknown,
    /// A payload at a moment where it is not allowed.
    PayloadUnexpected,
    /// More than 5 presence updates within 20 s.
    PresenceRate,
    /// A REST request came while the client could know that its bucket was empty.
    RestBucketEmpty,
    /// More REST requests than the global limit allows.
    RestGlobal,
    /// So many 401, 403 and 429 that Cloudflare bans the address.
    RestInvalid,
    /// A REST request came before the time that a 429 had asked to wait was over.
    RestRetryAfter,
    /// A REST request with a nonce was carried out a second time.
    RestTwice,
    /// A webhook was used again after it had been answered by 404.
    RestWebhookGone,
    /// A resume with other query parameters than the session's first connection.
    ResumeParameters,
    /// A resume at the plain gateway URL, without having tried the resume URL.
    ResumePlace,
    /// A resume of an unknown session, or with a wrong sequence number.
    ResumeSession,
    /// A resume of a session that has a living connection.
    ResumeTwice,
    /// More than 120 payloads within 60 s.
    SendRate,
    /// A shard that does not exist, or has too many guilds.
    Shard,
    /// A wrong token in Identify or Resume.
    Token,
    /// A REST request without a `User-Agent` of the form `DiscordBot (url, version)`.
    UserAgent,
    /// A voice client broke a rule; the text says which.
    Voice,
}

/// One broken rule.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Violation {
    /// Which rule.
    pub kind: Kind,
    /// What happened.
    pub text: String,
    /// Milliseconds since the simulator started.
    pub at_ms: u64,
    /// Milliseconds since 1970.
    pub unix_ms: u64,
    /// Shard id and number of shards, if known by then.
    pub shard: Option<[u32; 2]>,
    /// Number of the connection; absent for REST.
    pub connection: Option<u64>,
}

/// A broken rule before it is known who broke it.
#[derive(Debug)]
pub(crate) struct Breach {
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Breach {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

/// Who broke a rule.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Culprit {
    pub(crate) connection: Option<u64>,
    pub(crate) shard: Option<[u32; 2]>,
}

/// All violations so far.
#[derive(Debug)]
pub(crate) struct Violations {
    started: Instant,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    list: Vec<Violation>,
    counts: BTreeMap<Kind, u64>,
}

impl Violations {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            kept: Mutex::default(),
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    pub(crate) fn record(&self, culprit: Culprit, breach: Breach) {
        let Breach { kind, text } = breach;
        tracing::warn!(?kind, connection = culprit.connection, shard = ?culprit.shard, "{text}");
        let mut kept = lock(&self.kept);
        *kept.counts.entry(kind).or_default() += 1;
        if kept.list.len() < KEPT {
            kept.list.push(Violation {
                kind,
                text,
                at_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                unix_ms: clock::unix_micros() / 1000,
                shard: culprit.shard,
                connection: culprit.connection,
            });
        }
    }

    pub(crate) fn list(&self) -> Vec<Violation> {
        lock(&self.kept).list.clone()
    }

    pub(crate) fn counts(&self) -> BTreeMap<Kind, u64> {
        lock(&self.kept).counts.clone()
    }

    pub(crate) fn clear(&self) {
        *lock(&self.kept) = Kept::default();
    }
}
