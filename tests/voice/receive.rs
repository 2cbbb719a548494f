//! What speakers say arrives at workers, as it was said.

use anyhow::{Context as _, Result, bail, ensure};
use sim_voice::Target;
use wire::gateway::v1::{
    RecordingEndReason, VoiceAudioFrame, VoiceConnectReason, VoiceLeaveRequest, VoiceLeaveResponse,
    VoiceRecordRequest, VoiceStreamFormat, event::Data,
};

use super::{
    ears::{Listener, SAMPLES, decoded, sounds},
    stage::Stage,
};

/// A call with two users who speak without end, and a worker's ears.
async fn speaking(prefix: &str, dave: bool) -> Result<(Stage, tests::service::Service, Listener)> {
    let version = u16::from(dave);
    let mut stage = Stage::new(prefix, |settings| settings.dave_version = version).await?;
    let node = stage.node().await?;
    stage.join_ready().await?;
    let [first, second] = stage.speakers()?;
    stage.speak(&[(first, 500), (second, 1_000)], None).await?;
    let listener = Listener::open(&stage, prefix).await?;
    Ok((stage, node, listener))
}

/// Fails when frames are not one behind the other. A busy machine may lose some on the way, and no more.
fn in_order(frames: &[VoiceAudioFrame]) -> Result<()> {
    let mut lost = 0;
    for pair in frames.windows(2) {
        let step = pair[1].sequence.wrapping_sub(pair[0].sequence) & 0xffff;
        let passed = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        ensure!(
            (1..10).contains(&step) && passed == step * SAMPLES,
            "{step} further, {passed} later"
        );
        lost += step - 1;
    }
    ensure!(lost <= 10, "{lost} frames are missing");
    Ok(())
}

/// Waits until a connection stands in place of another.
async fn reconnected(stage: &mut Stage) -> Result<()> {
    loop {
        if let Data::VoiceConnected(connected) = stage.told("VOICE_CONNECTED").await?
            && connected.reason() == VoiceConnectReason::Reconnect
        {
            return Ok(());
        }
    }
}

async fn two_speakers(prefix: &str, dave: bool) -> Result<()> {
    let (mut stage, _node, mut listener) = speaking(prefix, dave).await?;
    let users = stage.speakers()?;
    let id = stage
        .record(&stage.recording(VoiceStreamFormat::Opus))
        .await?;
    let status = stage.status().await?;
    ensure!(
        (status.recording, &status.recording_id) == (true, &id),
        "{status:?}"
    );
    let heard = listener.frames(&stage, &id, &users, 100).await?;
    for (user, hertz) in users.into_iter().zip([500.0, 1_000.0]) {
        let frames = heard.get(&user).context("frames")?;
        in_order(frames)?;
        let packets = frames.iter().map(|frame| frame.data.as_slice());
        sounds(&decoded(packets)?, hertz)?;
    }
    let stopped = stage.stop_record().await?;
    ensure!(stopped.recording_id == id, "{stopped:?}");
    ensure!(stopped.user_ids == users, "{stopped:?}");
    ensure!(stopped.frames >= 200 && stopped.dropped == 0, "{stopped:?}");
    ensure!(stopped.files.is_empty(), "{stopped:?}");
    let end = stage.recording_end().await?;
    ensure!(end.reason() == RecordingEndReason::Stopped, "{end:?}");
    ensure!(end.result == Some(stopped), "{end:?}");
    ensure!(!stage.status().await?.recording, "it is over");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_two_speakers_arrive_in_order_with_dave() -> Result<()> {
    two_speakers("voice-hear-dave", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_two_speakers_arrive_in_order_without_dave() -> Result<()> {
    two_speakers("voice-hear-plain", false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_speaker_is_heard_decoded_and_no_other() -> Result<()> {
    let (mut stage, _node, mut listener) = speaking("voice-hear-pcm", true).await?;
    let [_, second] = stage.speakers()?;
    let wanted = VoiceRecordRequest {
        user_ids: vec![second],
        ..stage.recording(VoiceStreamFormat::Pcm)
    };
    let id = stage.record(&wanted).await?;
    let heard = listener.frames(&stage, &id, &[second], 100).await?;
    let frames = heard.get(&second).context("frames")?;
    in_order(frames)?;
    let mut left = Vec::new();
    for frame in frames {
        ensure!(frame.data.len() == 3_840, "{}", frame.data.len());
        let samples = frame.data.chunks_exact(4);
        left.extend(samples.map(|it| i16::from_le_bytes([it[0], it[1]])));
    }
    sounds(&left, 1_000.0)?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_goes_on_over_new_connections_and_ends_with_the_call() -> Result<()> {
    let (mut stage, _node, mut listener) = speaking("voice-hear-again", true).await?;
    let users = stage.speakers()?;
    let id = stage
        .record(&stage.recording(VoiceStreamFormat::Opus))
        .await?;
    listener.frames(&stage, &id, &users, 20).await?;
    let guild_id = stage.guild;
    for number in 0..2 {
        if number == 0 {
            stage.sim().voice().close(Target::default(), 4006)?;
        } else {
            let change = sim::VoiceOrder::ChangeServer;
            stage.sim().order_voice(guild_id, change)?;
        }
        reconnected(&mut stage).await?;
        // The call, and its users with it, has ended at the server.
        stage
            .speak(&[(users[0], 500), (users[1], 1_000)], None)
            .await?;
        // What was said before is read first.
        listener.frames(&stage, &id, &users, 100).await?;
    }
    ensure!(stage.status().await?.recording_id == id, "it goes on");
    let VoiceLeaveResponse {} = stage.ask("Leave", &VoiceLeaveRequest { guild_id }).await?;
    let end = stage.recording_end().await?;
    ensure!(end.reason() == RecordingEndReason::CallEnded, "{end:?}");
    ensure!(end.recording_id == id, "{end:?}");
    let result = end.result.context("what there is of it")?;
    ensure!(result.user_ids == users, "{result:?}");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_cannot_be_read_ends_no_recording() -> Result<()> {
    let (mut stage, _node, mut listener) = speaking("voice-hear-odd", true).await?;
    let users = stage.speakers()?;
    let wanted = stage.recording(VoiceStreamFormat::Opus);
    let id = stage.record(&wanted).await?;
    listener.frames(&stage, &id, &users, 20).await?;
    let voice = stage.sim().voice();
    voice.change_faults(|faults| faults.pad_every = 1);
    // Silence is shorter than what is said to be too long of it.
    voice.hush(stage.channels[0], users[0])?;
    let Data::VoiceDisconnected(gone) = stage.told("VOICE_DISCONNECTED").await? else {
        bail!("another event");
    };
    ensure!(gone.retries, "{gone:?}");
    let voice = stage.sim().voice();
    voice.change_faults(|faults| faults.pad_every = 0);
    reconnected(&mut stage).await?;
    stage
        .speak(&[(users[0], 500), (users[1], 1_000)], None)
        .await?;
    listener.frames(&stage, &id, &users, 100).await?;
    stage.rules_kept()
}
