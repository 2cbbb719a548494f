//! Identify: all the reasons to refuse it, and READY.

use std::sync::Arc;

use serde_json::{Value, json};
use sim_voice::Snowflake;
use tokio::time::Instant;

use super::{
    connections::Door,
    payload::Identify,
    query::Query,
    session::{Identity, Limits},
    sessions::Handle,
};
use crate::{
    config::Config,
    guilds, intents, json,
    ledger::Refusal,
    violations::{Breach, Kind},
    world::World,
};

/// The connection that asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) connection: u64,
    pub(crate) door: Door,
    pub(crate) query: Query,
}

/// The answer to an Identify or Resume.
#[derive(Debug)]
pub(crate) enum Verdict {
    Close(u16, &'static str),
    /// Op 9.
    Invalid {
        resumable: bool,
    },
    Session(Arc<Handle>),
}

/// Judges an Identify and begins a session.
pub(crate) fn identify(
    world: &World,
    caller: Caller,
    identify: &Identify,
    breaches: &mut Vec<Breach>,
) -> Verdict {
    if let Some(code) = world.faults.borrow().refuse_identify_code {
        return Verdict::Close(code, "");
    }
    if world.take_fault(|faults| &mut faults.invalid_identify) {
        return Verdict::Invalid { resumable: false };
    }
    let config = world.config();
    note(caller, identify, breaches);
    let (shard, intents) = match judge(world, &config, identify) {
        Ok(judged) => judged,
        Err((code, reason, breach)) => {
            breaches.push(breach);
            return Verdict::Close(code, reason);
        }
    };
    let [shard_id, _] = shard;
    match world
        .identify_ledger()
        .take(Instant::now(), shard_id, &config)
    {
        Ok(()) => {}
        Err(Refusal::Concurrency(missing)) => {
            let text = format!("an Identify {} ms too early", missing.as_millis());
            breaches.push(Breach::new(Kind::IdentifyConcurrency, text));
            return Verdict::Invalid { resumable: false };
        }
        Err(Refusal::Budget) => {
            let text = "an Identify with nothing left of the day's budget";
            breaches.push(Breach::new(Kind::IdentifyBudget, text));
            if config.reset_token_on_exhaustion {
                world.end_all_sessions("token reset");
            }
            return Verdict::Close(4004, "Authentication failed.");
        }
    }
    let presence = identify.presence.clone();
    Verdict::Session(begin(world, &config, caller, shard, intents, presence))
}

/// Whether this is the bot's token, with or without its prefix.
pub(crate) fn token_fits(world: &World, config: &Config, token: &str) -> bool {
    let token = token.strip_prefix("Bot ").unwrap_or(token);
    token == config.token && !world.identify_ledger().token_reset()
}

/// Notes what Discord tolerates.
fn note(caller: Caller, identify: &Identify, breaches: &mut Vec<Breach>) {
    if caller.door == Door::Resume {
        let text = "an Identify at the resume URL";
        breaches.push(Breach::new(Kind::IdentifyPlace, text));
    }
    if !identify.properties.as_ref().is_some_and(Value::is_object) {
        breaches.push(Breach::new(
            Kind::IdentifyFields,
            "an Identify without properties",
        ));
    }
    if let Some(threshold) = identify.large_threshold
        && !(50..=250).contains(&threshold)
    {
        let text = format!("a large_threshold of {threshold}");
        breaches.push(Breach::new(Kind::IdentifyFields, text));
    }
}

type Mistake = (u16, &'static str, Breach);

/// The shard and the intents, if they are allowed.
fn judge(world: &World, config: &Config, identify: &Identify) -> Result<([u32; 2], u64), Mistake> {
    if !token_fits(world, config, &identify.token) {
        let breach = Breach::new(Kind::Token, "an Identify with a wrong token");
        return Err((4004, "Authentication failed.", breach));
    }
    let shard = shard(world, config, identify)?;
    let wanted = identify
        .intents
        .as_ref()
        .and_then(Snowflake::of)
        .map(|bits| bits.0);
    let Some(wanted) = wanted.filter(|wanted| wanted & !intents::ALL == 0) else {
        let text = format!("intents {:?} are not all defined", identify.intents);
        return Err((4013, "Invalid intent(s).", Breach::new(Kind::Intents, text)));
    };
    let disallowed = wanted & !config.allowed_intents;
    if disallowed != 0 {
        let text = format!("intents {disallowed} are not allowed for this application");
        return Err((
            4014,
            "Disallowed intent(s).",
            Breach::new(Kind::Intents, text),
        ));
    }
    Ok((shard, wanted))
}

fn shard(world: &World, config: &Config, identify: &Identify) -> Result<[u32; 2], Mistake> {
    let wanted: Option<[u32; 2]> = match &identify.shard {
        None | Some(Value::Null) => Some([0, 1]),
        Some(value) => serde_json::from_value(value.clone()).ok(),
    };
    let valid = wanted.filter(|[id, count]| {
        *count > 0 && id < count && count.is_multiple_of(config.shard_multiple)
    });
    let Some(shard @ [id, count]) = valid else {
        let text = format!("shard {:?} is not valid", identify.shard);
        return Err((4010, "Invalid shard.", Breach::new(Kind::Shard, text)));
    };
    let guilds = world.guilds();
    let on_shard = guilds
        .iter()
        .filter(|guild| guilds::shard_of(guild.id, count) == id)
        .count();
    if on_shard > config.max_guilds_per_shard as usize {
        let text = format!("shard {id} of {count} has {on_shard} guilds");
        return Err((4011, "Sharding required.", Breach::new(Kind::Shard, text)));
    }
    Ok(shard)
}

fn begin(
    world: &World,
    config: &Config,
    caller: Caller,
    shard: [u32; 2],
    intents: u64,
    presence: Option<Value>,
) -> Arc<Handle> {
    let id = format!("{:032x}", fastrand::u128(..));
    let identity = Identity {
        id,
        shard,
        intents,
        presence,
        query: caller.query,
    };
    let handle = Arc::new(Handle::new(
        identity,
        caller.connection,
        Limits::new(config),
    ));
    let ready = json::text(&ready(world, config, &handle.identity));
    handle.push("READY", world.names.id("READY"), &ready);
    handle.lock().next_guild = (intents & intents::GUILDS != 0).then_some(0);
    world.sessions.insert(Arc::clone(&handle));
    world.count_identify(shard);
    handle
}

fn ready(world: &World, config: &Config, identity: &Identity) -> Value {
    let [shard_id, shard_count] = identity.shard;
    let guilds: Vec<Value> = world
        .guilds()
        .iter()
        .filter(|guild| guilds::shard_of(guild.id, shard_count) == shard_id)
        .map(|guild| json!({"unavailable": true, "id": guild.id.to_string()}))
        .collect();
    let mut user = guilds::bot_user(config);
    if let Value::Object(fields) = &mut user {
        fields.extend([
            ("verified".to_owned(), json!(true)),
            ("mfa_enabled".to_owned(), json!(true)),
            ("flags".to_owned(), json!(0)),
            ("email".to_owned(), Value::Null),
        ]);
    }
    json!({
        "v": identity.query.version, "user_settings": {}, "user": user,
        "shard": identity.shard, "session_type": "normal", "session_id": identity.id,
        "resume_gateway_url": world.urls.resume, "relationships": [], "private_channels": [],
        "presences": [], "guilds": guilds, "guild_join_requests": [], "game_relationships": [],
        "geo_ordered_rtc_regions": ["frankfurt", "milan", "rotterdam"], "auth": {},
        "application": {
            "id": config.application_id.to_string(),
            "flags": intents::application_flags(config.allowed_intents),
        },
        "_trace": ["[\"gateway-prd-sim-1\",{\"micros\":0.0}]"],
    })
}
