//! What a connection says to Discord, and hears from it.
//!
//! See [Discord Docs/Gateway Events](https://docs.discord.com/developers/events/gateway-events).

use super::Common;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use std::{env::consts::OS, time::Duration};
use store::Shard;
use transcode::Payload;

/// The beginning of a connection.
#[derive(Deserialize)]
pub(super) struct Hello {
    /// In milliseconds.
    heartbeat_interval: u64,
}

impl Hello {
    /// How often Discord wants a heartbeat.
    pub(super) fn read(payload: Payload<'_>) -> Option<Duration> {
        let hello: Self = serde_json::from_str(payload.text().ok()?).ok()?;
        Some(Duration::from_millis(hello.heartbeat_interval))
    }
}

/// The beginning of a session.
#[derive(Deserialize)]
pub(super) struct Ready {
    session_id: String,
    resume_gateway_url: String,
}

impl Ready {
    /// The session's id, and where to resume it.
    pub(super) fn read(payload: Payload<'_>) -> Option<(String, String)> {
        let ready: Self = serde_json::from_str(payload.text().ok()?).ok()?;
        Some((ready.session_id, ready.resume_gateway_url))
    }
}

/// Begins a session.
pub(super) fn identify(common: &Common, shard: Shard) -> String {
    let name = env!("CARGO_PKG_NAME");
    let mut payload = json!({
        "op": 2,
        "d": {
            "token": common.token.expose_secret(),
            "intents": common.intents,
            "properties": {"os": OS, "browser": name, "device": name},
            "shard": [shard.id, shard.count],
        },
    });
    if let Some(presence) = &common.presence {
        payload["d"]["presence"] = presence.clone();
    }
    payload.to_string()
}

/// Takes a session up behind an event.
pub(super) fn resume(token: &SecretString, session_id: &str, sequence: u64) -> String {
    let token = token.expose_secret();
    json!({"op": 6, "d": {"token": token, "session_id": session_id, "seq": sequence}}).to_string()
}

/// Says that we are there, and how far we have come.
pub(super) fn heartbeat(sequence: Option<u64>) -> String {
    json!({"op": 1, "d": sequence}).to_string()
}
