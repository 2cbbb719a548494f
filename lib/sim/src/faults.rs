//! Misbehaviour that stays on until it is switched off.

use serde::{Deserialize, Serialize};

pub use sim_voice::Times;

use crate::rest::Scope;

/// What the simulator does wrong on purpose.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Heartbeats are not acknowledged.
    pub withhold_acks: bool,
    /// New TCP connections are dropped before the websocket handshake.
    pub refuse_connections: Times,
    /// New TCP connections are accepted, and then nothing is read or written.
    pub black_hole_connections: Times,
    /// Connections end after the handshake and before HELLO.
    pub close_before_hello: Times,
    /// The close code of `close_before_hello`; absent: the TCP connection is dropped.
    pub close_before_hello_code: Option<u16>,
    /// Op 7 comes in place of HELLO.
    pub reconnect_before_hello: Times,
    /// HELLO comes this much later, in milliseconds.
    pub hello_delay_ms: u64,
    /// Identify is answered by this close code.
    pub refuse_identify_code: Option<u16>,
    /// Identify is answered by op 9.
    pub invalid_identify: Times,
    /// Resume is answered by op 9 `false`, and the session ends.
    pub refuse_resume: Times,
    /// Resume is answered by this close code.
    pub refuse_resume_code: Option<u16>,
    /// Everything is written this much later, in milliseconds.
    pub delay_ms: u64,
    /// Nothing is written at all, as on a dead network path.
    pub freeze: bool,
    /// Each payload of a zlib-stream is cut into this many messages.
    pub split_zlib: usize,
    /// Every n-th dispatch is written twice; 0: none.
    pub duplicate_every: u64,
    /// Every n-th dispatch is not written; 0: none.
    pub lose_every: u64,
    /// Joining a voice channel is answered by nothing, as when the channel is full.
    pub voice_full: Times,
    /// Whoever joins a voice channel is in its audience, as in a stage channel.
    pub voice_audience: bool,
    /// VOICE_SERVER_UPDATE comes before VOICE_STATE_UPDATE.
    pub voice_server_first: bool,
    /// Discord's REST routes answer with this status.
    pub rest_status: Option<u16>,
    /// How many requests get `rest_status`; absent: all.
    pub rest_failures: Option<u32>,
    /// `rest_status` comes as one of Cloudflare's pages, in HTML, instead of Discord's JSON.
    pub rest_html: bool,
    /// Discord's REST routes answer this much later, in milliseconds.
    pub rest_delay_ms: u64,
    /// Discord's REST routes answer nothing until this is switched off.
    pub rest_hold: bool,
    /// Discord's REST routes answer 429 of this scope, for as many requests as `rest_failures` says.
    pub rest_limited: Option<Scope>,
    /// What the 429 of `rest_limited` and `rest_status` ask to wait, in milliseconds; 0: one second.
    pub rest_retry_after_ms: u64,
    /// Requests are not answered, and their connections stay open.
    pub rest_hang: Times,
    /// Connections end in the middle of the answer.
    pub rest_reset: Times,
    /// `rest_status`, `rest_hang` and `rest_reset` come after the request was carried out.
    pub rest_executes: bool,
    /// Only requests whose path has this in it meet the REST faults.
    pub rest_path: Option<String>,
    /// Answers come without the headers of rate limits.
    pub rest_without_limits: bool,
}

/// How a REST request fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RestFailure {
    /// It is not answered.
    Hang,
    /// 429.
    Limited(Scope),
    /// The connection ends in the middle of the answer.
    Reset,
    /// A status, with a page of Cloudflare's or not.
    Status(u16, bool),
}

impl Faults {
    /// How a request for this path fails, if it is to fail; counts down.
    pub(crate) fn take_rest_failure(&mut self, path: &str) -> Option<RestFailure> {
        if self
            .rest_path
            .as_ref()
            .is_some_and(|part| !path.contains(part))
        {
            return None;
        }
        if self.rest_hang.take() {
            return Some(RestFailure::Hang);
        }
        if self.rest_reset.take() {
            return Some(RestFailure::Reset);
        }
        let failure = match (self.rest_limited, self.rest_status) {
            (Some(scope), _) => RestFailure::Limited(scope),
            (None, Some(status)) => RestFailure::Status(status, self.rest_html),
            (None, None) => return None,
        };
        match &mut self.rest_failures {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        Some(failure)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Faults, Times};

    #[test]
    fn times_are_flags_or_numbers_in_json() {
        let faults: Faults =
            serde_json::from_value(json!({"close_before_hello": 3, "refuse_resume": true}))
                .unwrap();
        assert_eq!(faults.close_before_hello, Times::Next(3));
        assert_eq!(faults.refuse_resume, Times::Always);
        assert_eq!(faults.refuse_connections, Times::Never);
        assert!(serde_json::from_value::<Faults>(json!({"no_such_fault": 1})).is_err());
    }
}
