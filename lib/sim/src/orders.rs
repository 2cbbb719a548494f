//! What tests tell the simulator to do right now.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};
use sim_voice::Snowflake;
use tokio_websockets::CloseCode;

use crate::{
    error::Error,
    gateway::{
        connections::{Order, Remote},
        payload,
        sessions::Handle,
    },
    generator::write_mark,
    intents,
    world::World,
};

/// An event to dispatch.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// Its name, known to Discord or not.
    pub name: String,
    /// Its `d` as JSON text, which is sent as it is. In requests to the control interface: any JSON value.
    #[serde(deserialize_with = "raw")]
    pub data: String,
    /// Only sessions of this shard; absent: those that Discord would choose by the event's guild.
    #[serde(default)]
    pub shard: Option<u32>,
    /// Whether intents do not matter.
    #[serde(default)]
    pub force: bool,
    /// Whether the member `sim` is added, as in generated events.
    #[serde(default)]
    pub mark: bool,
}

fn raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let value = Box::<RawValue>::deserialize(deserializer)?;
    Ok(value.get().to_owned())
}

/// Dispatches an event; returns how many sessions got it.
pub(crate) fn dispatch(world: &World, dispatch: &Dispatch) -> Result<usize, Error> {
    let name = dispatch.name.as_str();
    if name.is_empty()
        || name
            .chars()
            .any(|c| c.is_control() || c == '"' || c == '\\')
    {
        return Err(Error::Invalid(format!("{name:?} is no name of an event")));
    }
    let members = members(&dispatch.data)?;
    let guild = members.as_ref().and_then(|members| guild_of(name, members));
    let mut d = dispatch.data.clone().into_bytes();
    if dispatch.mark && members.is_some() {
        d.truncate(d.trim_ascii_end().len());
        write_mark(world.emission.next_mark(), &mut d);
    }
    let wanted = |handle: &Handle| {
        dispatch.force || intents::allow(handle.identity.intents, name, guild.is_some())
    };
    let handles: Vec<Arc<Handle>> = match dispatch.shard {
        Some(shard) => {
            let mut live = world.sessions.live();
            live.retain(|handle| handle.identity.shard[0] == shard);
            live
        }
        None => world
            .sessions
            .routes()
            .recipients(guild, 0)
            .cloned()
            .collect(),
    };
    let id = world.names.id(name);
    let takers = handles.iter().filter(|handle| wanted(handle));
    Ok(takers.filter(|handle| handle.push(name, id, &d)).count())
}

/// The members of a JSON object, or nothing for another JSON value. Only the surface is looked at, because
/// tests send what no JSON library can hold, such as `1e400`.
fn members(text: &str) -> Result<Option<HashMap<String, &RawValue>>, Error> {
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| Error::Invalid(format!("data: {error}")))?;
    Ok(serde_json::from_str(value.get()).ok())
}

/// The guild that an event belongs to.
fn guild_of(name: &str, members: &HashMap<String, &RawValue>) -> Option<u64> {
    let key = match name {
        "GUILD_CREATE" | "GUILD_DELETE" | "GUILD_UPDATE" => "id",
        // Discord sends these to shard 0, also if they name a guild.
        "ENTITLEMENT_CREATE" | "ENTITLEMENT_DELETE" | "ENTITLEMENT_UPDATE" => return None,
        _ => "guild_id",
    };
    let value: Value = serde_json::from_str(members.get(key)?.get()).ok()?;
    Snowflake::of(&value).map(|id| id.0)
}

/// Writes text to the connections as if it were a payload.
pub(crate) fn text(world: &World, shard: Option<u32>, text: String) -> Result<usize, Error> {
    let payload = Bytes::from(text);
    order(world, shard, |_| Order::Payload(payload.clone()))
}

/// Closes connections with the code.
pub(crate) fn close(world: &World, shard: Option<u32>, code: u16) -> Result<usize, Error> {
    if !CloseCode::try_from(code).is_ok_and(|code| !code.is_reserved()) {
        return Err(Error::Invalid(format!(
            "{code} is no close code that may be sent"
        )));
    }
    order(world, shard, |_| Order::Close { code, reason: "" })
}

/// Ends TCP connections without a close frame.
pub(crate) fn kill(world: &World, shard: Option<u32>) -> Result<usize, Error> {
    let selected = world.connections.select(shard);
    for (_, remote) in &selected {
        remote.kill.cancel();
    }
    some(selected.len())
}

/// Reads and writes nothing any more on these connections, as on a network path that has died.
pub(crate) fn black_hole(world: &World, shard: Option<u32>) -> Result<usize, Error> {
    let selected = world.connections.select(shard);
    for (_, remote) in &selected {
        remote.silent.cancel();
    }
    some(selected.len())
}

/// Sends op 7.
pub(crate) fn reconnect(world: &World, shard: Option<u32>) -> Result<usize, Error> {
    order(world, shard, |_| Order::Payload(payload::reconnect()))
}

/// Sends op 1.
pub(crate) fn heartbeat(world: &World, shard: Option<u32>) -> Result<usize, Error> {
    order(world, shard, |remote| {
        remote.request_beat();
        Order::Payload(payload::heartbeat_request())
    })
}

/// Sends op 9; the sessions end unless they are resumable.
pub(crate) fn invalid(world: &World, shard: Option<u32>, resumable: bool) -> Result<usize, Error> {
    some(world.connections.select(shard).len())?;
    if !resumable {
        // Before op 9 is written, so that no event comes behind it.
        for handle in world.sessions.live() {
            if shard.is_none_or(|shard| handle.identity.shard[0] == shard) {
                handle.end("invalidated");
            }
        }
        world.sweep();
    }
    order(world, shard, |_| {
        Order::Payload(payload::invalid_session(resumable))
    })
}

fn order(
    world: &World,
    shard: Option<u32>,
    make: impl Fn(&Remote) -> Order,
) -> Result<usize, Error> {
    let selected = world.connections.select(shard);
    let sent = selected.iter().filter(|(_, remote)| {
        // A connection whose queue is full does not read; there is no use in telling it more.
        remote.orders.try_send(make(remote)).is_ok()
    });
    some(sent.count())
}

fn some(count: usize) -> Result<usize, Error> {
    if count == 0 {
        Err(Error::Unmatched)
    } else {
        Ok(count)
    }
}
