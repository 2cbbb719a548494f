//! The voice server's part of the control interface, below `/sim/voice`.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use sim_voice::{Faults, Settings, Snowflake, Speak, Target};

use super::{Answer, Failure, Shared, body, count};
use crate::{config::merge, voice::VoiceOrder, world::World};

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route(
            "/",
            get(async |State(world): Shared| Json(world.voice.server().state())),
        )
        .route(
            "/certificate",
            get(async |State(world): Shared| world.voice.server().certificate().to_owned()),
        )
        .route("/move", post(move_bot))
        .route("/mute", post(mute))
        .route("/disconnect", post(disconnect))
        .route("/server", post(change_server))
        .route("/close", post(close))
        .route("/drop", post(drop_connections))
        .route("/join", post(join))
        .route("/leave", post(leave))
        .route("/speak", post(speak))
        .route("/hush", post(hush))
        .route("/dave", post(dave))
        .route("/settings", get(settings).post(change_settings))
        .route(
            "/faults",
            get(faults).post(change_faults).delete(clear_faults),
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Move {
    guild_id: Snowflake,
    channel_id: Snowflake,
}

async fn move_bot(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Move {
        guild_id,
        channel_id,
    } = body(&bytes)?;
    order(&world, guild_id, VoiceOrder::Move(channel_id.0))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mute {
    guild_id: Snowflake,
    mute: bool,
}

async fn mute(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Mute { guild_id, mute } = body(&bytes)?;
    order(&world, guild_id, VoiceOrder::Mute(mute))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfGuild {
    guild_id: Snowflake,
}

async fn disconnect(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let OfGuild { guild_id } = body(&bytes)?;
    order(&world, guild_id, VoiceOrder::Disconnect)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    guild_id: Snowflake,
    #[serde(default)]
    gone: bool,
}

async fn change_server(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Server { guild_id, gone } = body(&bytes)?;
    let wanted = if gone {
        VoiceOrder::LoseServer
    } else {
        VoiceOrder::ChangeServer
    };
    order(&world, guild_id, wanted)
}

fn order(world: &World, guild_id: Snowflake, order: VoiceOrder) -> Answer<Value> {
    let sessions = world.voice.order(world, guild_id.0, order)?;
    Ok(count("sessions", sessions))
}

/// Which voice sessions an order is for, and the code to close them with.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Close {
    guild_id: Option<Snowflake>,
    user_id: Option<Snowflake>,
    code: Option<u16>,
}

impl Close {
    fn target(&self) -> Target {
        Target {
            guild_id: self.guild_id.map(|id| id.0),
            user_id: self.user_id.map(|id| id.0),
        }
    }
}

async fn close(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let close: Close = body(&bytes)?;
    let code = close.code.unwrap_or(4014);
    let clients = world.voice.server().close(close.target(), code);
    Ok(count("clients", clients.map_err(crate::Error::from)?))
}

async fn drop_connections(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let close: Close = body(&bytes)?;
    let clients = world.voice.server().drop_connections(close.target());
    Ok(count("clients", clients.map_err(crate::Error::from)?))
}

/// A simulated user in a channel.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seat {
    channel_id: Snowflake,
    user_id: Snowflake,
}

async fn join(State(world): Shared, bytes: Bytes) -> Result<StatusCode, Failure> {
    let Seat {
        channel_id,
        user_id,
    } = body(&bytes)?;
    world.voice.server().seat(channel_id.0, user_id.0);
    Ok(StatusCode::NO_CONTENT)
}

async fn leave(State(world): Shared, bytes: Bytes) -> Result<StatusCode, Failure> {
    let Seat {
        channel_id,
        user_id,
    } = body(&bytes)?;
    let left = world.voice.server().unseat(channel_id.0, user_id.0);
    left.map_err(crate::Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tone {
    channel_id: Snowflake,
    user_id: Snowflake,
    frequency_hz: u32,
    duration_ms: Option<u64>,
}

async fn speak(State(world): Shared, bytes: Bytes) -> Result<StatusCode, Failure> {
    let tone: Tone = body(&bytes)?;
    let said = world.voice.server().speak(Speak {
        channel_id: tone.channel_id.0,
        user_id: tone.user_id.0,
        frequency_hz: tone.frequency_hz,
        duration_ms: tone.duration_ms,
    });
    said.map_err(crate::Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn hush(State(world): Shared, bytes: Bytes) -> Result<StatusCode, Failure> {
    let Seat {
        channel_id,
        user_id,
    } = body(&bytes)?;
    let hushed = world.voice.server().hush(channel_id.0, user_id.0);
    hushed.map_err(crate::Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dave {
    channel_id: Snowflake,
    version: u16,
}

async fn dave(State(world): Shared, bytes: Bytes) -> Result<StatusCode, Failure> {
    let Dave {
        channel_id,
        version,
    } = body(&bytes)?;
    let changed = world.voice.server().change_dave(channel_id.0, version);
    changed.map_err(crate::Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn settings(State(world): Shared) -> Json<Settings> {
    Json(world.voice.server().settings())
}

async fn change_settings(State(world): Shared, bytes: Bytes) -> Answer<Settings> {
    let patch: Map<String, Value> = body(&bytes)?;
    let server = world.voice.server();
    let changed: Settings = merge(&server.settings(), &patch)?;
    server.change_settings(|settings| *settings = changed.clone());
    Ok(Json(changed))
}

async fn faults(State(world): Shared) -> Json<Faults> {
    Json(world.voice.server().faults())
}

async fn change_faults(State(world): Shared, bytes: Bytes) -> Answer<Faults> {
    let patch: Map<String, Value> = body(&bytes)?;
    let server = world.voice.server();
    let changed: Faults = merge(&server.faults(), &patch)?;
    server.change_faults(|faults| *faults = changed.clone());
    Ok(Json(changed))
}

async fn clear_faults(State(world): Shared) -> Json<Faults> {
    let server = world.voice.server();
    server.change_faults(|faults| *faults = Faults::default());
    Json(Faults::default())
}
