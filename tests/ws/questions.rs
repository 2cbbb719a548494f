//! What workers ask Discord for over the gateway, here by stdin: answered, or refused with a reason.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sim::{Config, Sim};
use tests::service::Service;

use super::{
    commands::call,
    stage::{Stage, named},
};

/// More members than two chunks have.
const MEMBERS: u32 = 2_500;

/// Requests that are refused: method, body, code, and what the message says.
const REFUSED: &str = r#"
RequestGuildMembers     | {}                                                 | INVALID_ARGUMENT  | guild_id is not set
RequestGuildMembers     | {"guild_id": "GUILD", "query": "a"}                | INVALID_ARGUMENT  | limit is 0
RequestGuildMembers     | {"guild_id": "GUILD", "query": "a", "limit": 101}  | INVALID_ARGUMENT  | limit is 101
RequestGuildMembers     | {"guild_id": "GUILD", "user_ids": [1], "limit": 1} | INVALID_ARGUMENT  | user_ids exclude
RequestGuildMembers     | {"guild_id": "GUILD"}                              | PERMISSION_DENIED | GUILD_MEMBERS
RequestGuildMembers     | {"guild_id": "GUILD", "limit": 1, "presences": true} | PERMISSION_DENIED | GUILD_PRESENCES
RequestGuildMembers     | {"guild_id": "UNKNOWN", "limit": 1}                | NOT_FOUND         | is not in the guild
RequestSoundboardSounds | {}                                                 | INVALID_ARGUMENT  | guild_ids
RequestSoundboardSounds | {"guild_ids": STRANGERS}                           | INVALID_ARGUMENT  | Discord takes 4096
RequestSoundboardSounds | {"guild_ids": ["GUILD", "UNKNOWN"]}                | NOT_FOUND         | is not in the guild
RequestChannelInfo      | {"fields": ["status"]}                             | INVALID_ARGUMENT  | guild_id is not set
RequestChannelInfo      | {"guild_id": "GUILD", "fields": ["mood"]}          | INVALID_ARGUMENT  | "mood"
UpdateVoiceState        | {}                                                 | INVALID_ARGUMENT  | guild_id is not set
UpdateVoiceState        | {"guild_id": "UNKNOWN"}                            | NOT_FOUND         | is not in the guild
UpdateVoiceState        | {"guild_id": "GUILD", "channel_id": "0"}           | INVALID_ARGUMENT  | channel_id is not set
"#;

/// Writes a request to the service's stdin.
fn tell(service: &mut Service, method: &str, id: &str, body: &Value) -> Result<()> {
    let request = json!({
        "type": format!("gateway.v1.Ws/{method}"),
        "reply_to": "me",
        "correlation_id": id,
        "body": body,
    });
    service.tell(&request.to_string())
}

/// Waits for the last reply to a request, and returns all of them.
async fn replies(service: &Service, id: &str) -> Result<Vec<Value>> {
    let replies = || -> Result<Vec<Value>> {
        let messages = service.messages()?.into_iter();
        Ok(messages
            .filter(|message| message["correlation_id"] == id)
            .collect())
    };
    let has_ended = |replies: Vec<Value>| {
        replies.last().is_some_and(|last| {
            last["headers"]["end"] == true || last["type"] == "gateway.v1.Error"
        })
    };
    service
        .until("the last reply", || Ok(has_ended(replies()?)))
        .await?;
    replies()
}

/// How many members the replies have in all, and their chunks' indices in order.
fn members(replies: &[Value]) -> (usize, Vec<u64>) {
    let chunks = replies.iter().map(|reply| &reply["body"]["chunk"]);
    let count = chunks
        .clone()
        .filter_map(|chunk| Some(chunk["members"].as_array()?.len()));
    let indices = chunks.map(|chunk| chunk["chunk_index"].as_u64().unwrap_or_default());
    (count.sum(), indices.collect())
}

async fn large() -> Result<Stage> {
    let config = Config {
        guilds: 2,
        guild_members: MEMBERS,
        ..Config::default()
    };
    Stage::new(config).await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_members_come_in_chunks_and_the_last_one_says_so() -> Result<()> {
    let stage = large().await?;
    let mut service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    let body = json!({"guild_id": guild});
    tell(&mut service, "RequestGuildMembers", "all", &body)?;
    let all = replies(&service, "all").await?;
    ensure!(all.len() == 3, "{} replies", all.len());
    ensure!(members(&all) == (MEMBERS as usize, vec![0, 1, 2]));
    let ends: Vec<bool> = all.iter().map(|it| it["headers"]["end"] == true).collect();
    ensure!(ends == [false, false, true], "{ends:?}");
    let came = || Ok(named(&service.messages()?, "GUILD_MEMBERS_CHUNK").len() == 3);
    service.until("the chunks as events", came).await?;

    // Discord would refuse a second time within 30 seconds: it is not even asked.
    let answer = call(&mut service, "RequestGuildMembers", "again", &body).await?;
    ensure!(
        answer["body"]["code"] == "CODE_RESOURCE_EXHAUSTED",
        "{answer}"
    );
    ensure!(answer["body"]["retry_after"].is_string(), "{answer}");
    let payload = json!({"op": 8, "d": {"guild_id": guild, "query": "", "limit": 0}});
    let raw = json!({"guild_id": guild, "payload": payload.to_string()});
    let answer = call(&mut service, "Send", "raw", &raw).await?;
    ensure!(
        answer["body"]["code"] == "CODE_RESOURCE_EXHAUSTED",
        "{answer}"
    );
    let body = json!({"guild_id": guild, "limit": 2});
    let answer = call(&mut service, "RequestGuildMembers", "two", &body).await?;
    ensure!(members(&[answer]) == (2, vec![0]));
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_the_same_gets_the_same_answers_and_discord_is_asked_once() -> Result<()> {
    let stage = large().await?;
    let mut service = stage.start_ready().await?;
    let body = json!({"guild_id": stage.sim.guild_ids()[0].to_string(), "presences": true});
    stage.sim.change_faults(|faults| faults.delay_ms = 700);
    for id in ["one", "two", "three"] {
        tell(&mut service, "RequestGuildMembers", id, &body)?;
    }
    for id in ["one", "two", "three"] {
        let all = replies(&service, id).await?;
        ensure!(members(&all) == (MEMBERS as usize, vec![0, 1, 2]), "{id}");
    }
    let chunks = named(&service.messages()?, "GUILD_MEMBERS_CHUNK").len();
    ensure!(
        chunks == 3,
        "{chunks} chunks: Discord was asked more than once"
    );
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_outlives_its_connection_but_not_its_session() -> Result<()> {
    let stage = large().await?;
    let mut service = stage.start_ready().await?;
    let guilds = stage.sim.guild_ids();
    let ask = async |service: &mut Service, guild: u64, id: &str| -> Result<()> {
        stage.sim.change_faults(|faults| faults.lose_every = 1);
        let before = stage.dispatched().len();
        let body = json!({"guild_id": guild.to_string()});
        tell(service, "RequestGuildMembers", id, &body)?;
        let answered = || Ok(stage.dispatched().len() == before + 3);
        service.until("Discord's answer", answered).await?;
        stage.sim.change_faults(|faults| faults.lose_every = 0);
        Ok(())
    };
    ask(&mut service, guilds[0], "resumed").await?;
    stage.sim.drop_connections(None)?;
    let all = replies(&service, "resumed").await?;
    ensure!(members(&all) == (MEMBERS as usize, vec![0, 1, 2]));
    // The answer may come before RESUMED, which is an event as well.
    let resumed = || Ok(service.log().contains("resumed"));
    service.until("the end of the resume", resumed).await?;

    ask(&mut service, guilds[1], "lost").await?;
    stage.sim.invalid(None, false)?;
    let lost = replies(&service, "lost").await?;
    ensure!(lost[0]["body"]["code"] == "CODE_UNAVAILABLE", "{lost:?}");
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn discords_own_limit_is_told_with_the_time_to_wait() -> Result<()> {
    let stage = Stage::small().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    let body = json!({"guild_id": guild});
    let mut service = stage.start_ready().await?;
    tell(&mut service, "RequestGuildMembers", "first", &body)?;
    replies(&service, "first").await?;
    service.kill()?;
    // A new process knows nothing of it.
    let mut service = stage.start()?;
    let ready = || Ok(service.log().contains("identified"));
    service.until("a session", ready).await?;
    service
        .until("all shards", || Ok(stage.sim.is_ready()))
        .await?;
    tell(&mut service, "RequestGuildMembers", "second", &body)?;
    let limited = replies(&service, "second").await?;
    ensure!(
        limited[0]["body"]["code"] == "CODE_RESOURCE_EXHAUSTED",
        "{limited:?}"
    );
    ensure!(limited[0]["body"]["retry_after"].is_string(), "{limited:?}");
    let message = limited[0]["body"]["message"]
        .as_str()
        .context("a message")?;
    ensure!(message.contains("Discord refused"), "{message}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sounds_come_guild_by_guild_from_whichever_shard() -> Result<()> {
    let config = Config {
        shards: 2,
        max_concurrency: 2,
        guilds: 6,
        ..Config::default()
    };
    let stage = Stage::new(config).await?;
    let mut service = stage.start_ready().await?;
    let guilds: Vec<String> = stage.sim.guild_ids().iter().map(u64::to_string).collect();
    let shard_of = |guild: &u64| Sim::shard_of(*guild, 2);
    let shards = stage.sim.guild_ids().iter().map(shard_of).max();
    ensure!(shards == Some(1), "the guilds are on both shards");
    let body = json!({"guild_ids": guilds});
    tell(&mut service, "RequestSoundboardSounds", "sounds", &body)?;
    let sounds = replies(&service, "sounds").await?;
    let mut told: Vec<&str> = sounds
        .iter()
        .filter_map(|reply| reply["body"]["sounds"]["guild_id"].as_str())
        .collect();
    told.sort_unstable();
    let mut asked: Vec<&str> = guilds.iter().map(String::as_str).collect();
    asked.sort_unstable();
    ensure!(told == asked, "{told:?}");
    ensure!(
        sounds
            .iter()
            .filter(|it| it["headers"]["end"] == true)
            .count()
            == 1
    );
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_info_has_the_fields_that_were_asked_for() -> Result<()> {
    let stage = Stage::small().await?;
    let mut service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    for (id, fields, status, time) in [
        ("both", json!([]), true, true),
        ("status", json!(["status"]), true, false),
        ("time", json!(["voice_start_time"]), false, true),
    ] {
        let body = json!({"guild_id": guild, "fields": fields});
        let answer = call(&mut service, "RequestChannelInfo", id, &body).await?;
        let kind = "gateway.v1.RequestChannelInfoResponse";
        ensure!(answer["type"] == kind, "{answer}");
        let channel = &answer["body"]["info"]["channels"][0];
        ensure!(channel["status"].is_string() == status, "{answer}");
        ensure!(channel["voice_start_time"].is_null() != time, "{answer}");
    }
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_discord_would_not_answer_are_refused_and_not_asked() -> Result<()> {
    let mut stage = Stage::small().await?;
    // GUILDS and GUILD_VOICE_STATES.
    stage.set("DISCORD_INTENTS", "129");
    let mut service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    let unknown = (stage.sim.guild_ids()[0] + (1 << 32)).to_string();
    let strangers: Vec<String> = (1..=300_u64).map(|id| (id << 40).to_string()).collect();
    let strangers = json!(strangers).to_string();
    for (number, line) in REFUSED.trim().lines().enumerate() {
        let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [method, body, code, words] = parts[..] else {
            bail!("{line:?} has no four columns");
        };
        let body = body
            .replace("STRANGERS", &strangers)
            .replace("UNKNOWN", &unknown)
            .replace("GUILD", &guild);
        let body: Value = serde_json::from_str(&body)?;
        let answer = call(&mut service, method, &format!("bad-{number}"), &body).await?;
        ensure!(
            answer["body"]["code"] == format!("CODE_{code}"),
            "{line}: {answer}"
        );
        let message = answer["body"]["message"].as_str().context("a message")?;
        ensure!(message.contains(words), "{line}: {message}");
    }
    let foreign = json!({
        "type": "gateway.v1.Ws/RequestChannelInfo", "routing_key": "ws.RequestChannelInfo.77",
        "reply_to": "me", "correlation_id": "foreign", "body": {"guild_id": guild},
    });
    service.tell(&foreign.to_string())?;
    let refused = replies(&service, "foreign").await?;
    ensure!(
        refused[0]["body"]["code"] == "CODE_NOT_FOUND",
        "{refused:?}"
    );
    tokio::time::sleep(Duration::from_millis(200)).await;
    ensure!(named(&service.messages()?, "VOICE_STATE_UPDATE").is_empty());
    service.terminate()?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn presences_wait_for_discords_limit_and_voice_overtakes_them() -> Result<()> {
    let stage = Stage::small().await?;
    let mut service = stage.start_ready().await?;
    let guild = stage.sim.guild_ids()[0].to_string();
    for number in 0..6 {
        let id = format!("presence-{number}");
        tell(
            &mut service,
            "UpdatePresence",
            &id,
            &json!({"presence": {"status": "idle"}}),
        )?;
    }
    let body = json!({"guild_id": guild});
    let answer = call(&mut service, "UpdateVoiceState", "voice", &body).await?;
    ensure!(
        answer["type"] == "gateway.v1.UpdateVoiceStateResponse",
        "{answer}"
    );
    let late = replies(&service, "presence-5").await?;
    ensure!(
        late[0]["body"]["code"] == "CODE_DEADLINE_EXCEEDED",
        "{late:?}"
    );
    service.terminate()?;
    stage.rules_kept()
}
