//! What can be set about the voice server while it runs, and how it misbehaves on request.

use serde::{Deserialize, Serialize};

/// Settings; sessions that exist keep what they began with.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What HELLO says.
    pub heartbeat_interval_ms: u64,
    /// How much later than the interval a heartbeat may come; absent: half the interval, at least 500 ms.
    pub heartbeat_grace_ms: Option<u64>,
    /// How long a session lives without a connection, in milliseconds.
    pub session_timeout_ms: u64,
    /// How many numbered messages a session of version 8 keeps for a resume.
    pub replay_messages: usize,
    /// The encryption modes that Ready offers.
    pub modes: Vec<String>,
    /// The version of DAVE that calls speak: 1, or 0 for none.
    pub dave_version: u16,
    /// Whether clients without DAVE are closed with 4017 where calls speak it. If not, a call whose first client has
    /// none goes without.
    pub dave_required: bool,
    /// Whether simulated users commit proposals at once, so that clients are welcomed. Otherwise the clients of the call commit.
    pub users_commit: bool,
    /// How long a transition of DAVE waits for clients to be ready, in milliseconds.
    pub transition_timeout_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat_interval_ms: 13_750,
            heartbeat_grace_ms: None,
            session_timeout_ms: 60_000,
            replay_messages: 200,
            modes: vec![
                "aead_aes256_gcm_rtpsize".to_owned(),
                "aead_xchacha20_poly1305_rtpsize".to_owned(),
            ],
            dave_version: 1,
            dave_required: true,
            users_commit: false,
            transition_timeout_ms: 10_000,
        }
    }
}

/// What the voice server does wrong on purpose.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Heartbeats are not acknowledged.
    pub withhold_acks: bool,
    /// New TCP connections are dropped before TLS begins.
    pub refuse_connections: Times,
    /// Identify is answered by this close code.
    pub refuse_identify_code: Option<u16>,
    /// Resume is answered by this close code.
    pub refuse_resume_code: Option<u16>,
    /// IP discovery is not answered.
    pub ignore_discovery: Times,
    /// Every n-th packet to clients is not sent; 0: none.
    pub lose_every: u64,
    /// Every n-th packet to clients is sent after the one that follows it; 0: none.
    pub swap_every: u64,
    /// Every n-th packet to clients says that it ends with padding, which it does not; 0: none.
    pub pad_every: u64,
    /// Commits and welcomes of DAVE reach clients with a broken byte.
    pub break_commits: Times,
}

/// How often a fault happens; in JSON `false`, `true` or a number.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Written", into = "Written")]
pub enum Times {
    /// Not at all.
    #[default]
    Never,
    /// Every time.
    Always,
    /// The next so many times.
    Next(u32),
}

impl Times {
    /// Whether it happens now; counts down.
    pub fn take(&mut self) -> bool {
        match self {
            Self::Never | Self::Next(0) => false,
            Self::Always => true,
            Self::Next(left) => {
                *left -= 1;
                true
            }
        }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Written {
    Flag(bool),
    Count(u32),
}

impl From<Written> for Times {
    fn from(written: Written) -> Self {
        match written {
            Written::Flag(false) | Written::Count(0) => Self::Never,
            Written::Flag(true) => Self::Always,
            Written::Count(count) => Self::Next(count),
        }
    }
}

impl From<Times> for Written {
    fn from(times: Times) -> Self {
        match times {
            Times::Never => Self::Flag(false),
            Times::Always => Self::Flag(true),
            Times::Next(count) => Self::Count(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Times;

    #[test]
    fn times_count_down() {
        let mut times = Times::Next(2);
        assert_eq!(
            [times.take(), times.take(), times.take()],
            [true, true, false]
        );
        assert!(Times::Always.take());
        assert!(!Times::Never.take());
    }
}
