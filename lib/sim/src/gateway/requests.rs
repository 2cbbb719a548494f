//! Answers to what clients ask of a session: voice states, members, sounds and channels.

use std::time::Duration;

use serde_json::{Value, json};
use sim_voice::Snowflake;
use tokio::time::Instant;

use super::{
    payload::{ChannelInfo, Members, Request, Sounds, Voice},
    sessions::Handle,
};
use crate::{
    guilds::{self, Guild},
    intents, json,
    violations::{Breach, Kind},
    world::World,
};

/// Members per chunk.
const CHUNK: usize = 1000;
/// Members at most for a query or a list of ids.
const LISTED: usize = 100;
/// One request for all members of a guild per so long.
const FULL_LIST_PAUSE: Duration = Duration::from_secs(30);
/// The longest nonce that is echoed.
const NONCE: usize = 32;

/// Answers a request by dispatches to the session that asked.
pub(crate) fn answer(world: &World, handle: &Handle, request: Request, breaches: &mut Vec<Breach>) {
    let reply = Reply { world, handle };
    match request {
        Request::ChannelInfo(info) => reply.channel_info(&info),
        Request::Members(members) => reply.members(&members, breaches),
        Request::Presence => {}
        Request::Sounds(sounds) => reply.sounds(&sounds),
        Request::Voice(voice) => reply.voice(&voice),
    }
}

struct Reply<'a> {
    world: &'a World,
    handle: &'a Handle,
}

impl Reply<'_> {
    fn dispatch(&self, name: &str, d: &Value) {
        self.handle
            .push(name, self.world.names.id(name), &json::text(d));
    }

    /// The guild, if the bot is in it and it belongs to this shard.
    fn guild(&self, id: u64) -> Option<Guild> {
        let [shard, count] = self.handle.identity.shard;
        let guilds = self.world.guilds();
        let guild = guilds.iter().find(|guild| guild.id == id)?;
        (guilds::shard_of(id, count) == shard).then(|| guild.clone())
    }

    fn voice(&self, voice: &Voice) {
        let Some(guild) = self.guild(voice.guild_id.0) else {
            return;
        };
        let full =
            voice.channel_id.is_some() && self.world.take_fault(|faults| &mut faults.voice_full);
        if full {
            return;
        }
        for (name, d) in self.world.voice.update(self.world, &guild, voice) {
            self.dispatch(name, &d);
        }
    }

    fn sounds(&self, sounds: &Sounds) {
        for guild in sounds.guild_ids.iter().filter_map(|id| self.guild(id.0)) {
            let sound = json!({
                "volume": 1.0, "sound_id": (guild.id + 900_000).to_string(), "name": "airhorn",
                "emoji_name": "📯", "emoji_id": null, "available": true,
                "guild_id": guild.id.to_string(),
            });
            let guild_id = guild.id.to_string();
            let d = json!({"soundboard_sounds": [sound], "guild_id": guild_id});
            self.dispatch("SOUNDBOARD_SOUNDS", &d);
        }
    }

    fn channel_info(&self, info: &ChannelInfo) {
        let Some(guild) = self.guild(info.guild_id.0) else {
            return;
        };
        let mut channel = json!({"id": guild.voice_channel(0).to_string()});
        for field in &info.fields {
            match field.as_str() {
                "status" => channel["status"] = json!("listening"),
                "voice_start_time" => channel["voice_start_time"] = json!(1_790_000_000),
                _ => {}
            }
        }
        let d = json!({"channels": [channel], "guild_id": guild.id.to_string()});
        self.dispatch("CHANNEL_INFO", &d);
    }

    fn members(&self, request: &Members, breaches: &mut Vec<Breach>) {
        let mut refuse = |text: &str| breaches.push(Breach::new(Kind::MembersRequest, text));
        let [guild_id] = request.guild_id.list() else {
            return refuse("a request for the members of several guilds");
        };
        let Some(guild) = Snowflake::of(guild_id).and_then(|id| self.guild(id.0)) else {
            return refuse("a request for the members of a guild that is not on this shard");
        };
        let intents = self.handle.identity.intents;
        if request.presences && intents & intents::GUILD_PRESENCES == 0 {
            refuse("a request for presences without the intent");
        }
        match (&request.query, &request.user_ids) {
            (None, Some(ids)) => self.members_by_id(&guild, ids.list(), request),
            (Some(_), None) if request.limit.is_none() => {
                refuse("a request for members by query without a limit");
            }
            (Some(query), None) if query.is_empty() && request.limit == Some(0) => {
                if intents & intents::GUILD_MEMBERS == 0 {
                    return refuse("a request for all members without the intent");
                }
                self.all_members(&guild, request, breaches);
            }
            (Some(query), None) => {
                let limit = request.limit.and_then(|limit| usize::try_from(limit).ok());
                let limit = limit
                    .filter(|limit| *limit > 0)
                    .unwrap_or(LISTED)
                    .min(LISTED);
                let named = guild.members().filter(|member| starts_with(member, query));
                self.chunks(&guild, named.take(limit).collect(), &[], request);
            }
            _ => refuse("a request for members needs either query or user_ids"),
        }
    }

    fn members_by_id(&self, guild: &Guild, ids: &[Value], request: &Members) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for id in ids.iter().take(LISTED) {
            match Snowflake::of(id).map(|id| (id.0, guild.member_by_id(id.0))) {
                Some((_, Some(member))) => found.push(member),
                Some((id, None)) if id < 1 << 22 => missing.push(json!(id)),
                Some((id, None)) => missing.push(json!(id.to_string())),
                None => {}
            }
        }
        self.chunks(guild, found, &missing, request);
    }

    fn all_members(&self, guild: &Guild, request: &Members, breaches: &mut Vec<Breach>) {
        let now = Instant::now();
        if let Some(passed) = self.world.member_list_requested(guild.id, now)
            && passed < FULL_LIST_PAUSE
        {
            let text = "a second request for all members of a guild within 30 s";
            breaches.push(Breach::new(Kind::MembersRequest, text));
            let mut meta = json!({"guild_id": guild.id.to_string()});
            if let Some(nonce) = nonce(request) {
                meta["nonce"] = nonce;
            }
            let wait = (FULL_LIST_PAUSE - passed).as_secs_f64();
            let d = json!({"retry_after": wait, "opcode": 8, "meta": meta});
            return self.dispatch("RATE_LIMITED", &d);
        }
        self.chunks(guild, guild.members().collect(), &[], request);
    }

    fn chunks(&self, guild: &Guild, members: Vec<Value>, missing: &[Value], request: &Members) {
        let count = members.len().div_ceil(CHUNK).max(1);
        let mut rest = members.into_iter();
        for index in 0..count {
            let part: Vec<Value> = rest.by_ref().take(CHUNK).collect();
            let mut d = json!({
                "members": part, "chunk_index": index, "chunk_count": count,
                "guild_id": guild.id.to_string(),
            });
            if !missing.is_empty() {
                d["not_found"] = missing.into();
            }
            if request.presences {
                d["presences"] = json!([]);
            }
            if let Some(nonce) = nonce(request) {
                d["nonce"] = nonce;
            }
            self.dispatch("GUILD_MEMBERS_CHUNK", &d);
        }
    }
}

/// The nonce, unless it is too long or no string.
fn nonce(request: &Members) -> Option<Value> {
    let nonce = request.nonce.as_ref()?.as_str()?;
    (nonce.len() <= NONCE).then(|| json!(nonce))
}

fn starts_with(member: &Value, query: &str) -> bool {
    let name = member["user"]["username"].as_str();
    name.is_some_and(|name| name.to_lowercase().starts_with(&query.to_lowercase()))
}
