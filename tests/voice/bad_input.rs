//! What a worker asks for and cannot have is said, and changes nothing.

use anyhow::{Result, ensure};
use wire::gateway::v1::{
    Code, TrackEndReason, VoiceEnqueueRequest, VoiceJoinRequest, VoicePauseRequest,
    VoicePlayRequest, VoiceRecordRequest, VoiceSeekRequest, VoiceSetVolumeRequest,
    VoiceStatusRequest, VoiceTrack, event::Data, voice_track,
};

use super::stage::{Stage, tone};

/// A track whose content is no sound.
fn noise(id: &str) -> VoiceTrack {
    VoiceTrack {
        id: id.to_owned(),
        source: Some(voice_track::Source::Data(
            b"this is no sound at all".repeat(100),
        )),
        ..VoiceTrack::default()
    }
}

/// What is wrong about a call that plays the track `a`.
async fn mistakes(stage: &mut Stage) -> Result<()> {
    let guild_id = stage.guild;
    let play = |track| VoicePlayRequest { guild_id, track };
    stage
        .refused("Play", &play(None), Code::InvalidArgument)
        .await?;
    let silent = VoiceTrack::default();
    stage
        .refused("Play", &play(Some(silent)), Code::InvalidArgument)
        .await?;
    stage
        .refused("Play", &play(Some(noise("n"))), Code::FailedPrecondition)
        .await?;
    let known = tone("a", 440.0, 100);
    stage
        .refused("Play", &play(Some(known)), Code::AlreadyExists)
        .await?;
    let none = VoiceEnqueueRequest {
        guild_id,
        ..VoiceEnqueueRequest::default()
    };
    stage
        .refused("Enqueue", &none, Code::InvalidArgument)
        .await?;
    let behind = prost_types::Duration {
        seconds: 31,
        nanos: 0,
    };
    let seek = VoiceSeekRequest {
        guild_id,
        position: Some(behind),
    };
    stage.refused("Seek", &seek, Code::OutOfRange).await?;
    let loud = VoiceSetVolumeRequest {
        guild_id,
        volume: 3.0,
    };
    stage
        .refused("SetVolume", &loud, Code::InvalidArgument)
        .await?;
    let record = VoiceRecordRequest {
        guild_id,
        ..VoiceRecordRequest::default()
    };
    let said = stage.refused("Record", &record, Code::InvalidArgument);
    ensure!(said.await?.contains("target"), "it is named");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mistake_is_named_and_the_call_stays() -> Result<()> {
    let mut stage = Stage::new("voice-mistakes", |_| {}).await?;
    let _node = stage.node().await?;
    let guild_id = stage.guild;
    let status = VoiceStatusRequest { guild_id };
    let said = stage.refused("Status", &status, Code::NotFound).await?;
    ensure!(said.contains(&guild_id.to_string()), "{said}");
    let nowhere = VoiceJoinRequest {
        guild_id,
        ..VoiceJoinRequest::default()
    };
    stage
        .refused("Join", &nowhere, Code::InvalidArgument)
        .await?;
    let unknown = VoiceJoinRequest {
        guild_id: 5,
        channel_id: 6,
        ..VoiceJoinRequest::default()
    };
    stage.refused("Join", &unknown, Code::NotFound).await?;

    stage.join_ready().await?;
    stage.play(tone("a", 440.0, 30_000)).await?;
    stage.hears(440.0).await?;
    mistakes(&mut stage).await?;

    // It plays on as if nothing had been asked.
    let before = stage.hears(440.0).await?.heard.audio_ms;
    let more = |state: &sim_voice::State| state.clients[0].heard.audio_ms > before + 500;
    let state = stage.listened("more of it", more).await?;
    ensure!(state.clients[0].heard.longest_gap_ms <= 40.0, "{state:#?}");
    let call = stage.status().await?;
    ensure!(call.track.is_some_and(|track| track.id == "a"), "it plays");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_track_that_is_no_sound_is_told_and_passed_over() -> Result<()> {
    let mut stage = Stage::new("voice-noise", |_| {}).await?;
    let _node = stage.node().await?;
    stage.join_ready().await?;
    stage
        .enqueue(vec![noise("n"), tone("b", 660.0, 30_000)])
        .await?;
    let Data::TrackError(error) = stage.told("TRACK_ERROR").await? else {
        anyhow::bail!("another event");
    };
    ensure!(!error.detail.is_empty(), "{error:?}");
    let Data::TrackEnd(end) = stage.told("TRACK_END").await? else {
        anyhow::bail!("another event");
    };
    ensure!(end.reason() == TrackEndReason::Failed, "{end:?}");
    stage.hears(660.0).await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_channel_and_a_full_node_are_told() -> Result<()> {
    let mut stage = Stage::new("voice-full", |_| {}).await?;
    stage.set("VOICE_CALLS", "1");
    stage.set("VOICE_JOIN_TIMEOUT", "1s");
    let _node = stage.node().await?;
    let guild_id = stage.guild;
    let join = |guild_id, channel_id| VoiceJoinRequest {
        guild_id,
        channel_id,
        ..VoiceJoinRequest::default()
    };
    stage
        .sim()
        .change_faults(|faults| faults.voice_full = sim::Times::Next(1));
    let channel_id = stage.channels[0];
    let wanted = join(guild_id, channel_id);
    stage
        .refused("Join", &wanted, Code::PermissionDenied)
        .await?;
    stage.join().await?;
    let other = stage.sim().guild_ids()[1];
    let wanted = join(other, other + 900);
    let refused = stage.refused("Join", &wanted, Code::ResourceExhausted);
    ensure!(
        refused.await?.contains("VOICE_CALLS"),
        "it says what to change"
    );
    let pause = VoicePauseRequest { guild_id };
    stage
        .refused("Pause", &pause, Code::FailedPrecondition)
        .await?;
    stage.rules_kept()
}
