//! Recordings that nobody reads, that are handed over, and that cannot be.

use anyhow::{Context as _, Result, bail, ensure};
use tests::{redis::Redis, service::Service};
use tokio::time::Instant;
use wire::gateway::v1::{
    Code, RecordingEndReason, VoiceConnectReason, VoiceRecordRequest, VoiceRecordTarget,
    VoiceStopRecordRequest, VoiceStopRecordResponse, VoiceStreamFormat, VoiceUpdateSelfRequest,
    VoiceUpdateSelfResponse, event::Data,
};

use super::{
    ears::{Listener, received},
    stage::{PATIENCE, Stage, tone},
};

/// Records until frames were dropped, as the node's metrics say; what is left of it.
async fn dropping(stage: &mut Stage, node: &Service) -> Result<VoiceStopRecordResponse> {
    let before = received(node, "dropped").await?;
    let wanted = stage.recording(VoiceStreamFormat::Pcm);
    stage.record(&wanted).await?;
    let deadline = Instant::now() + PATIENCE;
    while received(node, "dropped").await? < before + 50 {
        ensure!(Instant::now() < deadline, "nothing is dropped");
    }
    let stopped = stage.stop_record().await?;
    let counted = received(node, "dropped").await? - before;
    ensure!(stopped.dropped == counted, "{stopped:?}, but {counted}");
    stage.recording_end().await?;
    Ok(stopped)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_is_dropped_and_counted_and_holds_up_nothing() -> Result<()> {
    let prefix = "voice-unheard";
    let mut stage = Stage::new(prefix, |_| {}).await?;
    let node = stage.node().await?;
    stage.join_ready().await?;
    let [first, _] = stage.speakers()?;
    stage.speak(&[(first, 500)], None).await?;

    // Nobody has a queue for it.
    let stopped = dropping(&mut stage, &node).await?;
    ensure!(stopped.dropped == stopped.frames, "{stopped:?}");
    // Somebody has one that is full.
    let _full = Listener::deaf(&stage, prefix, 4).await?;
    let stopped = dropping(&mut stage, &node).await?;
    let delivered = stopped.frames - stopped.dropped;
    ensure!((1..=20).contains(&delivered), "{stopped:?}");
    ensure!(
        received(&node, "delivered").await? == delivered,
        "{stopped:?}"
    );
    // Others do not notice.
    stage.play(tone("a", 440.0, 1_000)).await?;
    let Data::TrackEnd(_) = stage.told("TRACK_END").await? else {
        bail!("another event");
    };
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_recorded_is_told_and_why() -> Result<()> {
    let mut stage = Stage::new("voice-unrecorded", |_| {}).await?;
    let _node = stage.node().await?;
    let guild_id = stage.guild;
    let wanted = stage.recording(VoiceStreamFormat::Opus);
    let stop = VoiceStopRecordRequest { guild_id };
    stage.refused("Record", &wanted, Code::NotFound).await?;
    stage.refused("StopRecord", &stop, Code::NotFound).await?;
    stage.join_ready().await?;
    stage
        .refused("StopRecord", &stop, Code::FailedPrecondition)
        .await?;
    for wrong in [
        VoiceRecordRequest {
            target: 0,
            ..wanted.clone()
        },
        VoiceRecordRequest {
            format: 0,
            ..wanted.clone()
        },
        VoiceRecordRequest {
            user_ids: vec![0],
            ..wanted.clone()
        },
    ] {
        let refused = stage.refused("Record", &wrong, Code::InvalidArgument);
        refused.await?;
    }
    let files = VoiceRecordRequest {
        target: VoiceRecordTarget::Files.into(),
        ..wanted.clone()
    };
    let refused = stage.refused("Record", &files, Code::FailedPrecondition);
    ensure!(
        refused.await?.contains("VOICE_RECORDINGS"),
        "it says what to change"
    );

    let id = stage.record(&wanted).await?;
    let refused = stage.refused("Record", &wanted, Code::AlreadyExists);
    ensure!(refused.await?.contains(&id), "it says which");
    stage.stop_record().await?;
    let deaf = VoiceUpdateSelfRequest {
        guild_id,
        self_mute: None,
        self_deaf: Some(true),
    };
    let VoiceUpdateSelfResponse {} = stage.ask("UpdateSelf", &deaf).await?;
    stage
        .refused("Record", &wanted, Code::FailedPrecondition)
        .await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_when_it_has_lasted_long_enough() -> Result<()> {
    let mut stage = Stage::new("voice-limit", |_| {}).await?;
    let _node = stage.node().await?;
    stage.join_ready().await?;
    let wanted = VoiceRecordRequest {
        limit: Some(prost_types::Duration {
            seconds: 0,
            nanos: 300_000_000,
        }),
        ..stage.recording(VoiceStreamFormat::Opus)
    };
    let id = stage.record(&wanted).await?;
    let end = stage.recording_end().await?;
    ensure!(end.recording_id == id, "{end:?}");
    ensure!(end.reason() == RecordingEndReason::Limit, "{end:?}");
    stage.record(&wanted).await?;
    stage.rules_kept()
}

/// Two nodes, of which the first records into files; and what.
async fn shared(prefix: &str) -> Result<(Stage, Service, Service, String, tempfile::TempDir)> {
    let mut stage = Stage::new(prefix, |_| {}).await?;
    let folder = tempfile::tempdir()?;
    stage.set("VOICE_RECORDINGS", &folder.path().to_string_lossy());
    stage.set("REDIS_URL", &Redis::shared().url());
    stage.set("REDIS_PREFIX", prefix);
    stage.set("VOICE_LEASE_TTL", "2s");
    let first = stage.node().await?;
    stage.join_ready().await?;
    let [user, _] = stage.speakers()?;
    stage.speak(&[(user, 500)], None).await?;
    let wanted = VoiceRecordRequest {
        target: VoiceRecordTarget::Files.into(),
        ..stage.recording(VoiceStreamFormat::Unspecified)
    };
    let id = stage.record(&wanted).await?;
    let deadline = Instant::now() + PATIENCE;
    while received(&first, "delivered").await? < 60 {
        ensure!(Instant::now() < deadline, "nothing is recorded");
    }
    let second = stage.node().await?;
    Ok((stage, first, second, id, folder))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_with_its_node_and_is_told_with_its_files() -> Result<()> {
    let (mut stage, first, _second, id, folder) = shared("voice-tape-term").await?;
    let ended = tokio::task::spawn_blocking(move || first.terminate()).await??;
    ensure!(ended.status.success(), "{}", ended.log);
    let end = stage.recording_end().await?;
    ensure!(end.reason() == RecordingEndReason::Node, "{end:?}");
    ensure!(end.recording_id == id, "{end:?}");
    let result = end.result.context("what there is of it")?;
    let file = result.files.first().context("a file")?;
    ensure!(folder.path().join(&file.file).is_file(), "{result:?}");
    loop {
        if let Data::VoiceConnected(connected) = stage.told("VOICE_CONNECTED").await?
            && connected.reason() == VoiceConnectReason::Takeover
        {
            break;
        }
    }
    ensure!(!stage.has_heard("RECORDING_END"), "it is told twice");
    ensure!(!stage.status().await?.recording, "it is over");
    // It can be begun again there.
    let wanted = stage.recording(VoiceStreamFormat::Opus);
    ensure!(stage.record(&wanted).await? != id, "it is another one");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_whose_node_dies_is_told_to_have_ended() -> Result<()> {
    let (mut stage, first, _second, id, folder) = shared("voice-tape-kill").await?;
    let [user, _] = stage.speakers()?;
    tokio::task::spawn_blocking(move || first.kill()).await??;
    let end = stage.recording_end().await?;
    ensure!(end.reason() == RecordingEndReason::Node, "{end:?}");
    ensure!((&end.recording_id, &end.result) == (&id, &None), "{end:?}");
    // What was written is there.
    let file = folder.path().join(&id).join(format!("{user}.ogg"));
    ensure!(file.metadata()?.len() > 1_000, "{file:?}");
    ensure!(!stage.status().await?.recording, "it is over");
    stage.rules_kept()
}
