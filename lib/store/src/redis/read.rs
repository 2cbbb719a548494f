//! From what the keys hold to our types. Nothing is taken for granted: anybody may have written it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, Fleet, Lease, Node, Phase, Plan, Replica, Saved, Shard, Status};

/// Fields of a hash with their values.
pub(super) type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What the script of a heartbeat returns.
pub(super) type Beat = (u64, u64, u64, Option<Vec<u8>>, Vec<String>, Fields, Fields);

/// A plan as its field holds it, after the revision.
#[derive(Deserialize, Serialize)]
struct PlanText {
    current: u32,
    next: Option<u32>,
    phase: Phase,
}

/// The text of a plan.
pub(super) fn plan_text(plan: &Plan) -> String {
    json(&PlanText {
        current: plan.current,
        next: plan.next,
        phase: plan.phase,
    })
}

/// Anything of ours as JSON.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and lists of them")
}

/// A node as its field holds it: "<until> <JSON>". One that is none disturbs no other.
pub(super) fn node(id: &[u8], text: &[u8]) -> Option<Node> {
    let (_, json) = utf8(text).ok()?.split_once(' ')?;
    let node: Node = serde_json::from_str(json).ok()?;
    Some(Node {
        id: utf8(id).ok()?.to_owned(),
        ..node
    })
}

/// A plan as its field holds it.
pub(super) fn plan(text: &[u8]) -> Result<Plan, String> {
    let text = utf8(text)?;
    let parts = text
        .split_once(' ')
        .and_then(|(revision, plan)| Some((number(revision)?, plan)));
    let (revision, plan) = parts.ok_or("it is not \"<revision> <plan>\"")?;
    let plan: PlanText = serde_json::from_str(plan).map_err(|error| error.to_string())?;
    Ok(Plan {
        current: plan.current,
        next: plan.next,
        phase: plan.phase,
        revision,
    })
}

/// A session as its field holds it, if there is one.
pub(super) fn session(key: String, shard: Shard, text: Option<&[u8]>) -> Saved {
    let Some(text) = text else {
        return Saved::None;
    };
    match serde_json::from_slice(text) {
        Ok(session) => Saved::Some(session),
        Err(error) => Saved::Corrupt {
            key,
            field: shard.to_string(),
            reason: error.to_string(),
        },
    }
}

/// What a heartbeat tells; `key` has the full name of a key.
pub(super) fn fleet(beat: Beat, key: impl Fn(&str) -> String) -> Fleet {
    let (now, version, born, plan_text, lost, leases, replicas) = beat;
    let mut corrupt = Vec::new();
    let mut note = |name: &str, field: &[u8], reason: String| {
        let error = Error::Corrupt {
            key: key(name),
            field: String::from_utf8_lossy(field).into_owned(),
            reason,
        };
        corrupt.push(error.to_string());
    };
    let mut fleet = Fleet {
        version,
        age: Duration::from_millis(now.saturating_sub(born)),
        ..Fleet::default()
    };
    for (field, text) in replicas {
        match replica(&field, &text) {
            Ok(replica) => fleet.replicas.push(replica),
            Err(reason) => note("replicas", &field, reason),
        }
    }
    for (field, text) in leases {
        match lease(&field, &text, now) {
            Ok(lease) => fleet.leases.extend(lease),
            Err(reason) => note("leases", &field, reason),
        }
    }
    match plan_text.as_deref().map(plan).transpose() {
        Ok(plan) => fleet.plan = plan,
        Err(reason) => note("meta", b"plan", reason),
    }
    let lost = lost.iter().map(|shard| shard.parse());
    fleet.lost = lost.filter_map(Result::ok).collect();
    fleet.replicas.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    fleet.leases.sort_unstable_by_key(|lease| lease.shard);
    fleet.corrupt = corrupt;
    fleet
}

fn replica(id: &[u8], text: &[u8]) -> Result<Replica, String> {
    let parts = utf8(text)?.split_once(' ');
    let (_, said) = parts
        .filter(|(until, _)| number(until).is_some())
        .ok_or("it is not \"<until> <replica>\"")?;
    let replica: Replica = serde_json::from_str(said).map_err(|error| error.to_string())?;
    Ok(Replica {
        id: utf8(id)?.to_owned(),
        ..replica
    })
}

/// A lease, unless it was given back.
fn lease(shard: &[u8], text: &[u8], now: u64) -> Result<Option<Lease>, String> {
    let shard: Shard = utf8(shard)?.parse()?;
    let mut parts = utf8(text)?.splitn(4, ' ');
    let mut parse = || {
        let token = number(parts.next()?)?;
        let until = number(parts.next()?)?;
        Some((token, until, parts.next()?, parts.next()?))
    };
    let (token, until, status, replica) =
        parse().ok_or("it is not \"<token> <until> <status> <replica>\"")?;
    if status == "released" {
        return Ok(None);
    }
    let status = Status::named(status).ok_or_else(|| format!("there is no status `{status}`"))?;
    let left = until.saturating_sub(now);
    Ok(Some(Lease {
        shard,
        replica: replica.to_owned(),
        token,
        status,
        remaining: (left > 0).then(|| Duration::from_millis(left)),
    }))
}

/// A number as the scripts take it: they count exactly up to 15 digits.
fn number(text: &str) -> Option<u64> {
    let fits = text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

fn utf8(text: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(text).map_err(|_| "it is no text".to_owned())
}
