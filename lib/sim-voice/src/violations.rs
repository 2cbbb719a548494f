//! The record of what a voice client did against Discord's rules.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How many violations are kept with their text; all are counted.
const KEPT: usize = 1000;

/// The rule that was broken.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A commit, key package or welcome of DAVE that its group does not accept.
    Dave,
    /// A heartbeat that came too late or not at all, or without `seq_ack` from version 8 on.
    Heartbeat,
    /// An Identify with a session, server or token that was not given out.
    Identify,
    /// A payload that is none, or at a moment where it is not allowed.
    Payload,
    /// A packet that cannot be decrypted or is no RTP.
    Packet,
    /// A Resume of a session that there is not, or of messages that were never sent.
    Resume,
    /// An encryption mode or protocol that does not exist.
    Select,
    /// Audio before the first Speaking, or Speaking with a foreign SSRC.
    Speaking,
    /// A version of the voice gateway that Discord does not serve any more.
    Version,
}

/// One broken rule.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Violation {
    /// Which rule.
    pub kind: Kind,
    /// What happened.
    pub text: String,
    /// The user whose client it was, once that is known.
    pub user_id: Option<u64>,
    /// Milliseconds since the voice server started.
    pub at_ms: u64,
}

/// Who is told of every violation at once.
#[derive(Clone)]
pub struct Watcher(Arc<dyn Fn(&Violation) + Send + Sync>);

impl Watcher {
    /// One who does this with it. It must not call the voice server.
    #[must_use]
    pub fn new(told: impl Fn(&Violation) + Send + Sync + 'static) -> Self {
        Self(Arc::new(told))
    }
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

/// All violations so far.
#[derive(Debug, Default)]
pub(crate) struct Violations {
    watcher: Option<Watcher>,
    list: Vec<Violation>,
    count: u64,
}

impl Violations {
    pub(crate) fn new(watcher: Option<Watcher>) -> Self {
        Self {
            watcher,
            ..Self::default()
        }
    }

    pub(crate) fn record(&mut self, violation: Violation) {
        let Violation { kind, user_id, .. } = violation;
        tracing::warn!(?kind, user_id, "{}", violation.text);
        if let Some(Watcher(told)) = &self.watcher {
            told(&violation);
        }
        self.count += 1;
        if self.list.len() < KEPT {
            self.list.push(violation);
        }
    }

    pub(crate) fn list(&self) -> Vec<Violation> {
        self.list.clone()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.watcher.take());
    }
}
