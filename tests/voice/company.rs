//! What becomes of a call that nobody listens to any more.

use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use sim::{Dispatch, VoiceOrder};
use sim_voice::State;
use tests::service::Service;
use wire::gateway::v1::{
    Code, VoiceDisconnectReason, VoicePauseRequest, VoicePauseResponse, VoiceStatusRequest,
    event::Data,
};

use super::stage::{Stage, tone};

/// How long a tone is that outlasts a test.
const LONG: u32 = 40_000;
/// Who is in the channel.
const SOMEBODY: u64 = 5;
const ANOTHER: u64 = 6;
const ROBOT: u64 = 7;

fn dispatch(stage: &Stage, name: &str, data: &Value) -> Result<()> {
    let told = stage.sim().dispatch(&Dispatch {
        name: name.to_owned(),
        data: data.to_string(),
        ..Dispatch::default()
    })?;
    ensure!(told == 1, "{told} sessions were told");
    Ok(())
}

fn member(user_id: u64) -> Value {
    json!({"user": {"id": user_id.to_string(), "username": "x", "bot": user_id == ROBOT}})
}

/// Discord says who is in the first channel.
fn told_of(stage: &Stage, users: &[u64]) -> Result<()> {
    let channel_id = stage.channels[0].to_string();
    let states = users
        .iter()
        .map(|user| json!({"user_id": user.to_string(), "channel_id": channel_id}));
    let guild = json!({
        "id": stage.guild.to_string(),
        "members": users.iter().map(|user| member(*user)).collect::<Vec<_>>(),
        "voice_states": states.collect::<Vec<_>>(),
    });
    dispatch(stage, "GUILD_CREATE", &guild)
}

/// Somebody goes to a channel, or to none.
fn goes(stage: &Stage, user_id: u64, channel_id: Option<u64>) -> Result<()> {
    let state = json!({
        "guild_id": stage.guild.to_string(),
        "user_id": user_id.to_string(),
        "channel_id": channel_id.map(|id| id.to_string()),
        "member": member(user_id),
        "session_id": "theirs",
    });
    dispatch(stage, "VOICE_STATE_UPDATE", &state)
}

/// A call that plays a tone, and somebody beside a bot who listens.
async fn playing(prefix: &str, policy: &[(&str, &str)]) -> Result<(Stage, Service)> {
    let mut stage = Stage::new(prefix, |_| {}).await?;
    for (name, value) in policy {
        stage.set(name, value);
    }
    let node = stage.node().await?;
    told_of(&stage, &[SOMEBODY, ROBOT])?;
    stage.join_ready().await?;
    stage.play(tone("a", 440.0, LONG)).await?;
    stage.hears(440.0).await?;
    Ok((stage, node))
}

/// Waits until the call has taken all that was told before.
async fn settled(stage: &mut Stage) -> Result<()> {
    for mute in [true, false] {
        stage
            .sim()
            .order_voice(stage.guild, VoiceOrder::Mute(mute))?;
        stage.shows("a mute", |call| call.mute == mute).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_track_is_held_until_somebody_comes() -> Result<()> {
    let (mut stage, _node) = playing("voice-pause", &[("VOICE_EMPTY", "pause")]).await?;
    let (guild_id, here) = (stage.guild, stage.channels[0]);
    goes(&stage, ANOTHER, Some(here))?;
    goes(&stage, SOMEBODY, None)?;
    settled(&mut stage).await?;
    ensure!(!stage.status().await?.paused, "somebody listens");

    goes(&stage, ANOTHER, Some(stage.channels[1]))?;
    stage.shows("a pause", |call| call.paused).await?;
    let silent = |state: &State| state.clients[0].heard.silent >= 5;
    stage.listened("silence", silent).await?;

    let before = stage.sim().voice().state().clients[0].heard.audio_ms;
    goes(&stage, SOMEBODY, Some(here))?;
    let more = |state: &State| state.clients[0].heard.audio_ms > before + 200;
    stage.listened("more of it", more).await?;
    ensure!(!stage.status().await?.paused, "it plays");

    // What a worker holds stays so, whoever comes and goes.
    let VoicePauseResponse { .. } = stage.ask("Pause", &VoicePauseRequest { guild_id }).await?;
    goes(&stage, SOMEBODY, None)?;
    goes(&stage, SOMEBODY, Some(here))?;
    settled(&mut stage).await?;
    ensure!(stage.status().await?.paused, "a worker holds it");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_ends_when_nobody_comes() -> Result<()> {
    let policy = [("VOICE_EMPTY", "leave"), ("VOICE_EMPTY_TIMEOUT", "1s")];
    let (mut stage, _node) = playing("voice-leave", &policy).await?;
    let guild_id = stage.guild;
    goes(&stage, SOMEBODY, None)?;
    let Data::VoiceDisconnected(gone) = stage.told("VOICE_DISCONNECTED").await? else {
        bail!("another event");
    };
    ensure!(gone.reason() == VoiceDisconnectReason::Empty, "{gone:?}");
    ensure!(!gone.retries, "{gone:?}");
    let left = |state: &State| state.clients.iter().all(|client| !client.connected);
    stage.listened("the end", left).await?;
    let status = VoiceStatusRequest { guild_id };
    stage.refused("Status", &status, Code::NotFound).await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_plays_on_unless_the_operator_says_otherwise() -> Result<()> {
    let (mut stage, _node) = playing("voice-stay", &[]).await?;
    goes(&stage, SOMEBODY, None)?;
    settled(&mut stage).await?;
    ensure!(!stage.status().await?.paused, "it plays");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_missed_of_whom_discord_has_not_told() -> Result<()> {
    let mut stage = Stage::new("voice-unknown", |_| {}).await?;
    stage.set("VOICE_EMPTY", "leave");
    stage.set("VOICE_EMPTY_TIMEOUT", "0s");
    let _node = stage.node().await?;
    stage.join_ready().await?;
    stage.play(tone("a", 440.0, LONG)).await?;
    goes(&stage, ROBOT, Some(stage.channels[0]))?;
    goes(&stage, SOMEBODY, None)?;
    settled(&mut stage).await?;
    stage.hears(440.0).await?;
    stage.rules_kept()
}
