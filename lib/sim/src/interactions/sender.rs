//! Sends interactions and waits for what is answered, as long as Discord does.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Interact, Interacted, InteractionKind, Signature, make};
use crate::{
    clock,
    error::Error,
    orders::{self, Dispatch},
    rest,
    violations::{Breach, Culprit, Kind},
    world::World,
};

/// How long Discord waits.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it is looked whether a callback has come.
const LOOK: Duration = Duration::from_millis(2);

/// Sends what is ordered, and waits for all of it.
pub(crate) async fn run(world: &Arc<World>, order: &Interact) -> Result<Vec<Interacted>, Error> {
    if order.url.is_empty() && order.kind == InteractionKind::Ping {
        let why = "without a URL there is no ping".to_owned();
        return Err(Error::Invalid(why));
    }
    let client = client(order.is_new)?;
    let start = Instant::now();
    let sent = (0..order.count).map(|number| {
        let client = client.clone();
        async move {
            if let Some(each) = Duration::from_secs(1).checked_div(order.rate) {
                sleep_until(start + each * number).await;
            }
            match order.url.is_empty() {
                true => dispatch(world, order).await,
                false => send(world, &client, order).await,
            }
        }
    });
    let sent = stream::iter(sent).buffer_unordered(order.concurrency.max(1));
    sent.collect::<Vec<_>>().await.into_iter().collect()
}

/// Sends one with each of the bad signatures; the status of each.
pub(crate) async fn send_probes(
    world: &Arc<World>,
    url: &str,
) -> Result<Vec<(Signature, Option<u16>)>, Error> {
    let mut statuses = Vec::new();
    for signature in Signature::BAD {
        let order = Interact {
            url: url.to_owned(),
            signature,
            ..Interact::default()
        };
        for sent in run(world, &order).await? {
            statuses.push((signature, sent.status));
        }
    }
    Ok(statuses)
}

/// Whether Discord would take the address: it knows a right signature from a wrong one, and answers a ping.
pub(crate) async fn is_there(world: &World, url: &str) -> bool {
    let Ok(client) = client(false) else {
        return false;
    };
    let order = Interact {
        kind: InteractionKind::Ping,
        ..Interact::default()
    };
    for (signature, status) in [(Signature::Right, 200), (Signature::BAD[0], 401)] {
        let Ok((_, _, body)) = prepare(world, &order) else {
            return false;
        };
        let now = clock::unix_micros() / 1_000_000;
        let (signature, timestamp) = world.signer().sign(signature, now, &body);
        let mut request = client
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        for (name, value) in [
            ("X-Signature-Ed25519", signature),
            ("X-Signature-Timestamp", timestamp),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let Ok(Ok(response)) = timeout(PATIENCE, request.send()).await else {
            return false;
        };
        let is_as_wanted = response.status().as_u16() == status;
        let body: Value = response.json().await.unwrap_or_default();
        if !is_as_wanted || (status == 200 && body["type"] != 1) {
            return false;
        }
    }
    true
}

/// What sends requests; each over a connection of its own, if that is wanted.
pub(crate) fn client(is_new: bool) -> Result<Client, Error> {
    // It fails when there is a default already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    // Certificates of tests are signed by nobody.
    let client = Client::builder()
        .no_proxy()
        .danger_accept_invalid_certs(true)
        .pool_max_idle_per_host(if is_new { 0 } else { usize::MAX });
    let client = client.user_agent("Discord-Interactions/1.0 (+https://discord.com)");
    client
        .build()
        .map_err(|error| Error::Invalid(error.to_string()))
}

async fn send(world: &World, client: &Client, order: &Interact) -> Result<Interacted, Error> {
    let (id, token, body) = prepare(world, order)?;
    let now = clock::unix_micros() / 1_000_000;
    let (signature, timestamp) = world.signer().sign(order.signature, now, &body);
    let mut request = client
        .post(&order.url)
        .header("content-type", "application/json")
        .body(body);
    if let Some(signature) = signature {
        request = request.header("X-Signature-Ed25519", signature);
    }
    if let Some(timestamp) = timestamp {
        request = request.header("X-Signature-Timestamp", timestamp);
    }
    let began = Instant::now();
    let answered = timeout(PATIENCE, async {
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.bytes().await.ok()?))
    });
    let answered = answered.await.ok().flatten();
    let took = began.elapsed();
    let (status, bytes) = answered.unzip();
    let answer: Option<Value> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    judge(world, order, &token, status, answer.as_ref(), took);
    let mut sent = Interacted {
        id,
        token,
        kind: order.kind,
        status,
        answer,
        took_ms: took.as_secs_f64() * 1000.0,
        callback: None,
        edits: 0,
        followups: 0,
        original: None,
    };
    look(world, &mut sent);
    Ok(sent)
}

/// Sends one over a gateway connection, and waits for the callback.
async fn dispatch(world: &World, order: &Interact) -> Result<Interacted, Error> {
    let (id, token, data) = prepare(world, order)?;
    let began = Instant::now();
    let event = Dispatch {
        name: "INTERACTION_CREATE".to_owned(),
        data,
        force: true,
        ..Dispatch::default()
    };
    if orders::dispatch(world, &event)? == 0 {
        return Err(Error::Unmatched);
    }
    let said = loop {
        let said = world
            .rest()
            .things
            .sent
            .one(&token)
            .and_then(|one| one.said.clone());
        if said.is_some() || began.elapsed() > PATIENCE {
            break said;
        }
        sleep(LOOK).await;
    };
    let (answer, at) = said.unzip();
    let took = at.map_or(PATIENCE, |at| at.duration_since(began));
    judge_callback(world, order, answer.as_ref(), took);
    let mut sent = Interacted {
        id,
        token,
        kind: order.kind,
        status: None,
        answer,
        took_ms: took.as_secs_f64() * 1000.0,
        callback: None,
        edits: 0,
        followups: 0,
        original: None,
    };
    look(world, &mut sent);
    Ok(sent)
}

/// The same as [`judge`], of a callback.
fn judge_callback(world: &World, order: &Interact, answer: Option<&Value>, took: Duration) {
    let kind = order.kind;
    let said = answer.and_then(|answer| answer["type"].as_u64());
    let breach = match said {
        None => {
            let text = format!("a {kind:?} got no callback within 3 s");
            Breach::new(Kind::InteractionUnanswered, text)
        }
        Some(said) if !kind.answers().contains(&said) => {
            let text = format!("a {kind:?} was answered {answer:?}");
            Breach::new(Kind::InteractionAnswer, text)
        }
        Some(said) => {
            let mut rest = world.rest();
            let totals = &mut rest.things.sent.totals;
            totals.slowest_ms = totals.slowest_ms.max(took.as_secs_f64() * 1000.0);
            return rest.things.sent.answered(said.to_string());
        }
    };
    if said.is_none() {
        world.rest().things.sent.totals.unanswered += 1;
    }
    world.violations.record(Culprit::default(), breach);
}

/// Looks anew what has followed an interaction.
pub(crate) fn look(world: &World, sent: &mut Interacted) {
    let mut rest = world.rest();
    if let Some(one) = rest.things.sent.one(&sent.token) {
        (sent.callback, sent.edits, sent.followups) = (one.callback, one.edits, one.followups);
    }
    sent.original = rest.things.original(&sent.token);
}

/// Makes an interaction, and remembers it.
fn prepare(world: &World, order: &Interact) -> Result<(u64, String, String), Error> {
    let guilds = world.guilds();
    let guild = guilds.first().ok_or(Error::Unmatched)?;
    let channel = guild.channel_ids().next().ok_or(Error::Unmatched)?;
    let place = make::Place {
        application: world.config().application_id,
        guild: guild.id,
        channel,
        user: 1_100_000_000_000_000_077,
    };
    let unix_ms = clock::unix_micros() / 1000;
    let mut rest = world.rest();
    let id = rest.things.id(unix_ms);
    let token = format!("aW50ZXJhY3Rpb246{id}{:032x}", fastrand::u128(..));
    let has_message = matches!(
        order.kind,
        InteractionKind::Component | InteractionKind::ComponentModal
    );
    let message = has_message.then(|| {
        let id = rest.things.id(unix_ms);
        let message = json!({
            "id": id.to_string(), "channel_id": channel.to_string(), "type": 0,
            "content": "a message with a component", "attachments": [], "embeds": [], "flags": 0,
        });
        (id, message)
    });
    let made = match &order.text {
        None => {
            let made =
                make::interaction(order, place, id, &token, message.as_ref().map(|it| &it.1));
            (id, token, made.to_string())
        }
        Some(text) => {
            let read: Value = serde_json::from_str(text).unwrap_or_default();
            let said = |name: &str| read[name].as_str().unwrap_or_default().to_owned();
            (
                said("id").parse().unwrap_or(id),
                said("token"),
                text.clone(),
            )
        }
    };
    let original = message.map(|(id, message)| {
        rest.things.put_message(channel, id, message);
        (channel, id)
    });
    rest.things.sent.put(&made.1, made.0, original);
    Ok(made)
}

/// Takes in an answer, and notes what Discord would not take.
fn judge(
    world: &World,
    order: &Interact,
    token: &str,
    status: Option<u16>,
    answer: Option<&Value>,
    took: Duration,
) {
    let breach = |kind, text: String| {
        world
            .violations
            .record(Culprit::default(), Breach::new(kind, text));
    };
    let is_bad = Signature::BAD.contains(&order.signature);
    let mut rest = world.rest();
    let things = &mut rest.things;
    let totals = &mut things.sent.totals;
    totals.slowest_ms = totals.slowest_ms.max(took.as_secs_f64() * 1000.0);
    let Some(status) = status else {
        totals.unanswered += 1;
        let kind = order.kind;
        let text = format!("a {kind:?} got no answer within 3 s");
        return breach(Kind::InteractionUnanswered, text);
    };
    if is_bad && status != 401 {
        let signature = order.signature;
        let text = format!("a signature that is {signature:?} was answered {status}");
        return breach(Kind::InteractionSignature, text);
    }
    let called = things.sent.one(token).and_then(|one| one.callback);
    match (status, answer.and_then(|answer| answer["type"].as_u64())) {
        (202, _) if called.is_some() => things.sent.answered("callback".to_owned()),
        (200, Some(kind)) if order.kind.answers().contains(&kind) => {
            things.sent.answered(kind.to_string());
            if order.kind != InteractionKind::Ping {
                let unix_ms = clock::unix_micros() / 1000;
                let answer = answer.unwrap_or(&Value::Null);
                rest::acknowledge(things, token, answer, 0, unix_ms);
            }
        }
        (200 | 202, _) => {
            let (kind, answer) = (order.kind, answer.map(ToString::to_string));
            let text = format!("a {kind:?} was answered {status} {answer:?}");
            breach(Kind::InteractionAnswer, text);
        }
        _ => things.sent.totals.refused += 1,
    }
}
