//! Webhook events: what Discord sends to an application's server, signed, and again until it is taken.
//!
//! See [Discord Docs/Webhook Events](https://docs.discord.com/developers/events/webhook-events).

use std::time::Duration;

use reqwest::{
    Client,
    header::{CONTENT_TYPE, USER_AGENT},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    clock,
    error::Error,
    interactions::{self, Signature},
    violations::{Breach, Culprit, Kind},
    world::World,
};

/// How long Discord waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// An event that is to be sent.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEvent {
    /// Where to.
    pub url: String,
    /// Its name, such as `APPLICATION_AUTHORIZED`.
    pub name: String,
    /// Its payload.
    #[serde(default)]
    pub data: Value,
    /// After how many milliseconds it is sent again at first; then after twice as many each time.
    #[serde(default = "retry_ms")]
    pub retry_ms: u64,
    /// For how many milliseconds it is sent again.
    #[serde(default = "give_up_ms")]
    pub give_up_ms: u64,
}

/// What became of an event.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Delivery {
    /// Whether it was taken: answered 204.
    pub taken: bool,
    /// Each time that it was sent.
    pub attempts: Vec<Attempt>,
}

/// One request, and its answer.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Attempt {
    /// The status; absent: there was no answer.
    pub status: Option<u16>,
    /// After how many milliseconds it was there, or was given up.
    pub took_ms: f64,
}

/// An answer, as far as Discord looks at it.
struct Answered {
    status: u16,
    has_type: bool,
    bytes: usize,
}

impl WebhookEvent {
    /// An event that is sent again as Discord does it.
    #[must_use]
    pub fn new(url: &str, name: &str, data: Value) -> Self {
        Self {
            url: url.to_owned(),
            name: name.to_owned(),
            data,
            retry_ms: retry_ms(),
            give_up_ms: give_up_ms(),
        }
    }
}

const fn retry_ms() -> u64 {
    1_000
}

const fn give_up_ms() -> u64 {
    600_000
}

/// Sends an event, and again until it is taken or the time is over.
pub(crate) async fn send(world: &World, event: &WebhookEvent) -> Result<Delivery, Error> {
    let client = interactions::client(false)?;
    let mut moment = Vec::new();
    clock::write_iso(clock::unix_micros(), &mut moment);
    let moment = String::from_utf8_lossy(&moment);
    // Discord's example has no zone.
    let moment = moment.trim_end_matches("+00:00");
    let inner = json!({"type": event.name, "timestamp": moment, "data": event.data});
    let body = outer(world, &json!({"type": 1, "event": inner}));
    let until = Instant::now() + Duration::from_millis(event.give_up_ms);
    let mut pause = Duration::from_millis(event.retry_ms.max(1));
    let mut attempts = Vec::new();
    loop {
        let (answered, attempt) = post(world, &client, &event.url, &body, Signature::Right).await;
        attempts.push(attempt);
        judge(world, &event.url, answered.as_ref());
        let taken = attempt.status == Some(204);
        if taken || Instant::now() + pause > until {
            return Ok(Delivery { taken, attempts });
        }
        sleep(pause).await;
        pause *= 2;
    }
}

/// Looks whether somebody is there who knows a signature from another: what Discord does when an address is saved, and
/// now and then.
pub(crate) async fn probe(world: &World, url: &str) -> Result<Vec<(Signature, Attempt)>, Error> {
    let client = interactions::client(false)?;
    let body = outer(world, &json!({"type": 0}));
    let (answered, attempt) = post(world, &client, url, &body, Signature::Right).await;
    judge(world, url, answered.as_ref());
    let mut attempts = vec![(Signature::Right, attempt)];
    for bad in Signature::BAD {
        let (_, attempt) = post(world, &client, url, &body, bad).await;
        attempts.push((bad, attempt));
        if attempt.status != Some(401) {
            let status = attempt.status;
            let text = format!("{url} answered {status:?} to a signature that is {bad:?}");
            breach(world, Kind::EventSignature, text);
        }
    }
    Ok(attempts)
}

/// The same without a note of it: whether Discord would take the address.
pub(crate) async fn is_there(world: &World, url: &str) -> bool {
    let Ok(client) = interactions::client(false) else {
        return false;
    };
    let body = outer(world, &json!({"type": 0}));
    let (_, right) = post(world, &client, url, &body, Signature::Right).await;
    let (_, wrong) = post(world, &client, url, &body, Signature::BAD[0]).await;
    (right.status, wrong.status) == (Some(204), Some(401))
}

/// A body with what all have.
fn outer(world: &World, more: &Value) -> String {
    let application_id = world.config().application_id.to_string();
    let mut body = json!({"version": 1, "application_id": application_id});
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    body.to_string()
}

async fn post(
    world: &World,
    client: &Client,
    url: &str,
    body: &str,
    how: Signature,
) -> (Option<Answered>, Attempt) {
    let now = clock::unix_micros() / 1_000_000;
    let (signature, timestamp) = world.signer().sign(how, now, body);
    let mut request = client
        .post(url)
        .header(USER_AGENT, "Discord-Webhook/1.0 (+https://discord.com)")
        .header(CONTENT_TYPE, "application/json")
        .body(body.to_owned());
    for (name, value) in [
        ("X-Signature-Ed25519", signature),
        ("X-Signature-Timestamp", timestamp),
    ] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let began = Instant::now();
    let answering = async {
        let response = request.send().await.ok()?;
        Some(Answered {
            status: response.status().as_u16(),
            has_type: response.headers().contains_key(CONTENT_TYPE),
            bytes: response.bytes().await.ok()?.len(),
        })
    };
    let answered = timeout(PATIENCE, answering).await.ok().flatten();
    let attempt = Attempt {
        status: answered.as_ref().map(|answered| answered.status),
        took_ms: began.elapsed().as_secs_f64() * 1000.0,
    };
    if answered.is_none() && began.elapsed() >= PATIENCE {
        breach(world, Kind::EventLate, format!("{url} did not answer"));
    }
    (answered, attempt)
}

/// Notes what Discord would not take for an answer.
fn judge(world: &World, url: &str, answered: Option<&Answered>) {
    let Some(answered) = answered else { return };
    let status = answered.status;
    let is_right = match status {
        204 => answered.has_type && answered.bytes == 0,
        status => status >= 500,
    };
    if !is_right {
        let bytes = answered.bytes;
        let text = format!("{url} answered {status} with {bytes} bytes");
        breach(world, Kind::EventAnswer, text);
    }
}

fn breach(world: &World, kind: Kind, text: String) {
    let breach = Breach::new(kind, text);
    world.violations.record(Culprit::default(), breach);
}
