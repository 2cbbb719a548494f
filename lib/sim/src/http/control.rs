//! The control interface: everything that the handle can do, for programs in other languages and for curl.

mod voice;

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    config::{Config, merge},
    error::Error,
    events::{self, Attempt, Delivery, WebhookEvent},
    faults::Faults,
    generator::{EmitRequest, Progress},
    interactions::{self, Interact, Interacted, Signature},
    orders::{self, Dispatch},
    rest::Request,
    state::{self, Emitted, EmittedQuery},
    world::World,
};

type Shared = State<Arc<World>>;
type Answer<T> = Result<Json<T>, Failure>;

pub(super) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route(
            "/state",
            get(async |State(world): Shared| Json(state::state(&world))),
        )
        .route("/emitted", get(emitted))
        .route("/emit", post(emit))
        .route(
            "/run",
            get(async |State(world): Shared| Json(world.emission.progress())),
        )
        .route("/stop", post(stop))
        .route("/dispatch", post(dispatch))
        .route("/raw", post(raw))
        .route("/close", post(close))
        .route("/drop", post(drop_connections))
        .route("/black_hole", post(black_hole))
        .route("/reconnect", post(reconnect))
        .route("/invalid", post(invalid))
        .route("/heartbeat", post(heartbeat))
        .route(
            "/faults",
            get(faults).post(change_faults).delete(clear_faults),
        )
        .route("/settings", get(settings).post(change_settings))
        .route("/events", post(send_event))
        .route("/events/probe", post(probe_events))
        .route("/requests", get(requests))
        .route("/guilds", get(guilds))
        .route("/interactions", get(interactions).post(interact))
        .route("/probe", post(probe))
        .nest("/voice", voice::routes())
        .route("/violations", get(violations).delete(clear_violations))
        .fallback(async || Failure(StatusCode::NOT_FOUND, "no such control route".to_owned()))
}

/// An error as JSON: `{"error": "…"}`.
struct Failure(StatusCode, String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::Busy => StatusCode::CONFLICT,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Unmatched => StatusCode::NOT_FOUND,
            Error::Io(_) | Error::Timeout { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// Reads a body whatever its content type; an empty one is `{}`.
fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Error> {
    let bytes: &[u8] = if bytes.trim_ascii().is_empty() {
        b"{}"
    } else {
        bytes
    };
    serde_json::from_slice(bytes).map_err(|error| Error::Invalid(error.to_string()))
}

/// The connections that an order is for.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Target {
    shard: Option<u32>,
}

fn count(key: &str, count: usize) -> Json<Value> {
    Json(json!({key: count}))
}

async fn emitted(State(world): Shared, Query(query): Query<EmittedQuery>) -> Json<Emitted> {
    Json(state::emitted(&world, &query))
}

async fn emit(State(world): Shared, bytes: Bytes) -> Answer<Progress> {
    let request: EmitRequest = body(&bytes)?;
    world.emission.start(request)?;
    Ok(Json(world.emission.progress()))
}

async fn stop(State(world): Shared) -> Json<Progress> {
    world.emission.stop_and_wait().await;
    Json(world.emission.progress())
}

async fn dispatch(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let event: Dispatch = body(&bytes)?;
    Ok(count("sessions", orders::dispatch(&world, &event)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    shard: Option<u32>,
    text: String,
}

async fn raw(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Raw { shard, text } = body(&bytes)?;
    Ok(count("connections", orders::text(&world, shard, text)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    shard: Option<u32>,
    code: u16,
}

async fn close(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Close { shard, code } = body(&bytes)?;
    Ok(count("connections", orders::close(&world, shard, code)?))
}

async fn drop_connections(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Target { shard } = body(&bytes)?;
    Ok(count("connections", orders::kill(&world, shard)?))
}

async fn black_hole(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Target { shard } = body(&bytes)?;
    Ok(count("connections", orders::black_hole(&world, shard)?))
}

async fn reconnect(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Target { shard } = body(&bytes)?;
    Ok(count("connections", orders::reconnect(&world, shard)?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invalid {
    shard: Option<u32>,
    #[serde(default)]
    resumable: bool,
}

async fn invalid(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Invalid { shard, resumable } = body(&bytes)?;
    Ok(count(
        "connections",
        orders::invalid(&world, shard, resumable)?,
    ))
}

async fn heartbeat(State(world): Shared, bytes: Bytes) -> Answer<Value> {
    let Target { shard } = body(&bytes)?;
    Ok(count("connections", orders::heartbeat(&world, shard)?))
}

/// The guilds that there are, and their channels.
async fn guilds(State(world): Shared) -> Json<Value> {
    let guilds = world.guilds();
    let guilds = guilds.iter().map(|guild| {
        let channels = guild.channel_ids().map(|id| id.to_string());
        json!({"id": guild.id.to_string(), "channel_ids": channels.collect::<Vec<_>>()})
    });
    Json(json!({"guilds": guilds.collect::<Vec<_>>()}))
}

async fn interactions(State(world): Shared) -> Json<Value> {
    let totals = world.rest().things.sent.totals.clone();
    Json(json!({"public_key": world.signer().public_key(), "totals": totals}))
}

async fn interact(State(world): Shared, bytes: Bytes) -> Answer<Vec<Interacted>> {
    let order: Interact = body(&bytes)?;
    Ok(Json(interactions::run(&world, &order).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    url: String,
}

async fn probe(State(world): Shared, bytes: Bytes) -> Answer<Vec<(Signature, Option<u16>)>> {
    let Probe { url } = body(&bytes)?;
    Ok(Json(interactions::send_probes(&world, &url).await?))
}

async fn faults(State(world): Shared) -> Json<Faults> {
    Json(world.faults.borrow().clone())
}

async fn change_faults(State(world): Shared, bytes: Bytes) -> Answer<Faults> {
    let patch: Map<String, Value> = body(&bytes)?;
    let current = world.faults.borrow().clone();
    let changed = merge(&current, &patch)?;
    world.faults.send_replace(changed.clone());
    Ok(Json(changed))
}

async fn clear_faults(State(world): Shared) -> Json<Faults> {
    world.faults.send_replace(Faults::default());
    Json(Faults::default())
}

async fn settings(State(world): Shared) -> Json<Config> {
    Json(world.config().as_ref().clone())
}

async fn change_settings(State(world): Shared, bytes: Bytes) -> Answer<Config> {
    let patch: Map<String, Value> = body(&bytes)?;
    Ok(Json(world.change_settings(&patch)?))
}

async fn send_event(State(world): Shared, bytes: Bytes) -> Answer<Delivery> {
    let event: WebhookEvent = body(&bytes)?;
    Ok(Json(events::send(&world, &event).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsUrl {
    url: String,
}

async fn probe_events(State(world): Shared, bytes: Bytes) -> Answer<Vec<(Signature, Attempt)>> {
    let EventsUrl { url } = body(&bytes)?;
    Ok(Json(events::probe(&world, &url).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    from: u64,
}

async fn requests(State(world): Shared, Query(since): Query<Since>) -> Json<Vec<Request>> {
    Json(world.rest().tally.requests(since.from))
}

async fn violations(State(world): Shared) -> Json<Value> {
    let counts = world.violations.counts();
    Json(json!({"counts": counts, "violations": world.violations.list()}))
}

async fn clear_violations(State(world): Shared) -> StatusCode {
    world.violations.clear();
    world.voice.server().clear_violations();
    StatusCode::NO_CONTENT
}
