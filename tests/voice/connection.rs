//! A call keeps its connection as Discord wants it, and says what became of it.

use anyhow::{Result, bail, ensure};
use sim::VoiceOrder;
use sim_voice::{State, Target};
use wire::gateway::v1::{
    Code, VoiceConnectReason, VoiceConnection, VoiceDisconnectReason, VoiceDisconnected,
    VoiceMoveRequest, VoiceMoveResponse, VoiceStatusRequest, VoiceUpdateSelfRequest,
    VoiceUpdateSelfResponse, event::Data,
};

use super::stage::{Stage, tone};

/// How long a tone is that outlasts a test.
const LONG: u32 = 30_000;

async fn disconnected(stage: &mut Stage) -> Result<VoiceDisconnected> {
    match stage.told("VOICE_DISCONNECTED").await? {
        Data::VoiceDisconnected(gone) => Ok(*gone),
        data => bail!("{data:?}"),
    }
}

async fn connected(stage: &mut Stage) -> Result<(VoiceConnectReason, u64)> {
    match stage.told("VOICE_CONNECTED").await? {
        Data::VoiceConnected(connected) => Ok((connected.reason(), connected.channel_id)),
        data => bail!("{data:?}"),
    }
}

/// A call in the first channel that plays a tone.
async fn playing(prefix: &str) -> Result<(Stage, tests::service::Service)> {
    let mut stage = Stage::new(prefix, |_| {}).await?;
    let node = stage.node().await?;
    stage.join_ready().await?;
    let joined = (VoiceConnectReason::Join, stage.channels[0]);
    ensure!(connected(&mut stage).await? == joined, "it is told");
    stage.play(tone("a", 440.0, LONG)).await?;
    stage.hears(440.0).await?;
    Ok((stage, node))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plays_goes_on_after_each_kind_of_loss() -> Result<()> {
    let (mut stage, _node) = playing("voice-loss").await?;
    let us = Target::default();
    for code in [4006, 4011] {
        ensure!(stage.sim().voice().close(us, code)? == 1, "one is closed");
        let gone = disconnected(&mut stage).await?;
        ensure!(gone.reason() == VoiceDisconnectReason::Closed, "{gone:?}");
        ensure!(
            (gone.close_code, gone.retries) == (Some(code.into()), true),
            "{gone:?}"
        );
        let again = (VoiceConnectReason::Reconnect, stage.channels[0]);
        ensure!(connected(&mut stage).await? == again, "it is told");
        stage.hears(440.0).await?;
    }
    // After these the session is resumed, and nobody needs to know.
    for code in [4009, 4015] {
        let resumes = stage.sim().voice().state().resumes;
        stage.sim().voice().close(us, code)?;
        let resumed =
            |state: &State| state.resumes > resumes || state.clients.iter().any(|it| it.connected);
        stage.listened("a connection", resumed).await?;
        stage.hears(440.0).await?;
    }
    ensure!(
        stage.status().await?.connection() == VoiceConnection::Connected,
        "it is connected"
    );
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moderator_moves_mutes_and_removes_the_bot() -> Result<()> {
    let (mut stage, _node) = playing("voice-moderator").await?;
    let (guild_id, there) = (stage.guild, stage.channels[1]);
    stage.sim().order_voice(guild_id, VoiceOrder::Move(there))?;
    while connected(&mut stage).await?.1 != there {}
    stage.hears(440.0).await?;
    let status = stage.status().await?;
    ensure!(
        (status.channel_id, status.mute) == (there, false),
        "{status:?}"
    );
    ensure!(status.track.is_some(), "{status:?}");

    stage.sim().order_voice(guild_id, VoiceOrder::Mute(true))?;
    stage.shows("a mute", |call| call.mute).await?;
    stage.sim().order_voice(guild_id, VoiceOrder::Mute(false))?;
    stage.shows("no mute", |call| !call.mute).await?;

    stage.sim().order_voice(guild_id, VoiceOrder::Disconnect)?;
    let gone = loop {
        let gone = disconnected(&mut stage).await?;
        if !gone.retries {
            break gone;
        }
    };
    ensure!(gone.reason() == VoiceDisconnectReason::Removed, "{gone:?}");
    let status = VoiceStatusRequest { guild_id };
    stage.refused("Status", &status, Code::NotFound).await?;
    // It may be let in again.
    stage.join().await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_moves_the_bot_and_switches_parts_of_it_off() -> Result<()> {
    let (mut stage, _node) = playing("voice-move").await?;
    let (guild_id, channel_id) = (stage.guild, stage.channels[1]);
    let request = VoiceMoveRequest {
        guild_id,
        channel_id,
    };
    let moved: VoiceMoveResponse = stage.ask("Move", &request).await?;
    ensure!(
        moved.call.is_some_and(|call| call.channel_id == channel_id),
        "it is there"
    );
    ensure!(
        connected(&mut stage).await? == (VoiceConnectReason::Move, channel_id),
        "it is told"
    );
    stage.hears(440.0).await?;

    // A full channel says nothing; the call stays where it is.
    stage
        .sim()
        .change_faults(|faults| faults.voice_full = sim::Times::Next(1));
    let request = VoiceMoveRequest {
        guild_id,
        channel_id: stage.channels[0],
    };
    stage
        .refused("Move", &request, Code::PermissionDenied)
        .await?;
    let status = stage.status().await?;
    ensure!(status.channel_id == channel_id, "{status:?}");
    ensure!(
        status.connection() == VoiceConnection::Connected,
        "{status:?}"
    );
    stage.hears(440.0).await?;

    let request = VoiceUpdateSelfRequest {
        guild_id,
        self_mute: Some(true),
        self_deaf: None,
    };
    let VoiceUpdateSelfResponse {} = stage.ask("UpdateSelf", &request).await?;
    ensure!(stage.status().await?.mute, "it is mute");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_gets_another_server_and_loses_it() -> Result<()> {
    let (mut stage, _node) = playing("voice-server").await?;
    let guild_id = stage.guild;
    stage
        .sim()
        .order_voice(guild_id, VoiceOrder::ChangeServer)?;
    let again = (VoiceConnectReason::Reconnect, stage.channels[0]);
    ensure!(connected(&mut stage).await? == again, "it is told");
    stage.hears(440.0).await?;

    stage.sim().order_voice(guild_id, VoiceOrder::LoseServer)?;
    while stage.status().await?.connection() != VoiceConnection::Reconnecting {}
    stage
        .sim()
        .order_voice(guild_id, VoiceOrder::ChangeServer)?;
    ensure!(connected(&mut stage).await? == again, "it is told");
    stage.hears(440.0).await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_discord_ends_is_not_begun_again() -> Result<()> {
    let (mut stage, _node) = playing("voice-end").await?;
    stage.sim().voice().close(Target::default(), 4021)?;
    let gone = disconnected(&mut stage).await?;
    ensure!(
        (gone.close_code, gone.retries) == (Some(4021), false),
        "{gone:?}"
    );
    let guild_id = stage.guild;
    let status = VoiceStatusRequest { guild_id };
    stage.refused("Status", &status, Code::NotFound).await?;
    ensure!(
        stage.sim().voice().state().identifies == 1,
        "it did not come back"
    );
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_leaves_its_channels() -> Result<()> {
    let (mut stage, node) = playing("voice-stop").await?;
    let ended = tokio::task::spawn_blocking(move || node.terminate()).await??;
    ensure!(ended.status.success(), "{}", ended.log);
    let gone = disconnected(&mut stage).await?;
    ensure!(gone.reason() == VoiceDisconnectReason::Shutdown, "{gone:?}");
    let left = |state: &State| state.clients.iter().all(|client| !client.connected);
    stage.listened("the end", left).await?;
    stage.rules_kept()
}
