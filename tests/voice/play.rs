//! What is played is what is heard.

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use sim_voice::{ClientState, State};
use wire::gateway::v1::{
    TrackEndReason, VoiceConnectReason, VoiceConnection, VoiceDisconnectReason, VoiceJoinRequest,
    VoiceLeaveRequest, VoiceLeaveResponse, VoiceLoop, VoicePauseRequest, VoicePauseResponse,
    VoicePlayRequest, VoiceQueueRequest, VoiceQueueResponse, VoiceResumeRequest,
    VoiceResumeResponse, VoiceSeekRequest, VoiceSeekResponse, VoiceSetLoopRequest,
    VoiceSetLoopResponse, VoiceSetVolumeRequest, VoiceSetVolumeResponse, VoiceSkipRequest,
    VoiceSkipResponse, VoiceStatusRequest, VoiceStatusResponse, VoiceStopRequest,
    VoiceStopResponse, VoiceTrack, event::Data, voice_track,
};

use super::stage::{Stage, seconds, tone};

/// How long the tone is.
const LENGTH: u32 = 3_000;

/// A clean tone without a hole: by what the packets themselves say, which is the same on every machine.
fn whole(client: &ClientState) -> Result<()> {
    let heard = &client.heard;
    let pitch = heard.frequency_hz.context("a pitch")?;
    ensure!((pitch - 440.0).abs() < 1.0, "{heard:?}");
    ensure!(heard.purity.is_some_and(|it| it > 0.95), "{heard:?}");
    ensure!(
        (heard.lost, heard.late, heard.repeated) == (0, 0, 0),
        "{heard:?}"
    );
    ensure!(
        (heard.undecodable, heard.undecrypted) == (0, 0),
        "{heard:?}"
    );
    ensure!(heard.longest_gap_ms <= 40.0, "{heard:?}");
    Ok(())
}

/// Plays a tone to its end.
async fn one_tone(stage: &mut Stage, dave: bool) -> Result<()> {
    let track = VoiceTrack {
        title: "A tone".to_owned(),
        ..tone("a", 440.0, LENGTH)
    };
    let played = stage.play(track).await?;
    ensure!((seconds(played.duration) - 3.0).abs() < 0.1, "{played:?}");
    let hidden = voice_track::Source::Data(Vec::new());
    ensure!(played.source == Some(hidden), "its content came back");
    let Data::TrackStart(start) = stage.told("TRACK_START").await? else {
        anyhow::bail!("another event");
    };
    ensure!(start.track == Some(played), "{start:?}");
    let over = |state: &State| {
        let heard = &state.clients[0].heard;
        heard.audio_ms >= u64::from(LENGTH) - 60 && heard.silent >= 5
    };
    let state = stage.listened("the tone", over).await?;
    whole(&state.clients[0])?;
    ensure!(
        (state.clients[0].heard.unencrypted == 0) == dave,
        "{state:#?}"
    );
    let Data::TrackEnd(end) = stage.told("TRACK_END").await? else {
        anyhow::bail!("another event");
    };
    ensure!(end.reason() == TrackEndReason::Finished, "{end:?}");
    ensure!((seconds(end.position) - 3.0).abs() < 0.1, "{end:?}");
    let Data::TrackPosition(position) = stage.told("TRACK_POSITION").await? else {
        anyhow::bail!("another event");
    };
    ensure!(position.track_id == "a", "{position:?}");
    Ok(())
}

async fn join_play_leave(prefix: &str, dave: bool) -> Result<()> {
    let version = u16::from(dave);
    let mut stage = Stage::new(prefix, |settings| settings.dave_version = version).await?;
    let _node = stage.node().await?;
    let call = stage.join_ready().await?;
    ensure!(call.connection() == VoiceConnection::Connected, "{call:?}");
    ensure!(
        (call.guild_id, call.channel_id) == (stage.guild, stage.channels[0]),
        "{call:?}"
    );
    let Data::VoiceConnected(connected) = stage.told("VOICE_CONNECTED").await? else {
        anyhow::bail!("another event");
    };
    ensure!(
        connected.reason() == VoiceConnectReason::Join,
        "{connected:?}"
    );
    ensure!(connected.node == call.node, "{connected:?}");

    one_tone(&mut stage, dave).await?;
    let guild_id = stage.guild;
    let leave = VoiceLeaveRequest { guild_id };
    let VoiceLeaveResponse {} = stage.ask("Leave", &leave).await?;
    let Data::VoiceDisconnected(gone) = stage.told("VOICE_DISCONNECTED").await? else {
        anyhow::bail!("another event");
    };
    ensure!(gone.reason() == VoiceDisconnectReason::Leave, "{gone:?}");
    ensure!(!gone.retries, "{gone:?}");
    let left = |state: &State| state.clients.iter().all(|client| !client.connected);
    stage.listened("the end", left).await?;
    // The next call begins where the last one has ended.
    stage.join().await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_is_heard_without_a_gap_with_dave() -> Result<()> {
    join_play_leave("voice-dave", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_is_heard_without_a_gap_without_dave() -> Result<()> {
    join_play_leave("voice-plain", false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_track_is_held_and_goes_on_and_goes_to_a_position() -> Result<()> {
    let mut stage = Stage::new("voice-course", |_| {}).await?;
    let _node = stage.node().await?;
    stage.join_ready().await?;
    stage.play(tone("a", 440.0, 20_000)).await?;
    stage.hears(440.0).await?;

    let guild_id = stage.guild;
    let held: VoicePauseResponse = stage.ask("Pause", &VoicePauseRequest { guild_id }).await?;
    let one = stage.status().await?;
    ensure!(one.paused, "{one:?}");
    ensure!(
        seconds(one.position) - seconds(held.position) < 0.1,
        "{one:?}"
    );
    let silent = |state: &State| state.clients[0].heard.silent >= 5;
    stage.listened("silence", silent).await?;
    let other = stage.status().await?;
    ensure!(other.position == one.position, "{one:?} {other:?}");

    let went_on: VoiceResumeResponse = stage
        .ask("Resume", &VoiceResumeRequest { guild_id })
        .await?;
    ensure!(went_on.position == one.position, "{went_on:?}");
    let heard = stage.hears(440.0).await?.heard.audio_ms;
    let more = |state: &State| state.clients[0].heard.audio_ms > heard + 200;
    stage.listened("more of it", more).await?;
    ensure!(!stage.status().await?.paused, "it plays");

    let to = prost_types::Duration {
        seconds: 18,
        nanos: 500_000_000,
    };
    let seek = VoiceSeekRequest {
        guild_id,
        position: Some(to),
    };
    let reached: VoiceSeekResponse = stage.ask("Seek", &seek).await?;
    ensure!(
        (seconds(reached.position) - 18.5).abs() < 0.1,
        "{reached:?}"
    );
    let end = stage.told("TRACK_END").await?;
    let Data::TrackEnd(end) = end else {
        anyhow::bail!("another event");
    };
    ensure!(end.reason() == TrackEndReason::Finished, "{end:?}");
    ensure!((seconds(end.position) - 20.0).abs() < 0.2, "{end:?}");
    stage.rules_kept()
}

/// What repeats is played again, until it is skipped.
async fn repeated(stage: &mut Stage) -> Result<()> {
    let guild_id = stage.guild;
    let skip = VoiceSkipRequest { guild_id, count: 0 };
    let looping = VoiceSetLoopRequest {
        guild_id,
        r#loop: VoiceLoop::Track.into(),
    };
    let VoiceSetLoopResponse {} = stage.ask("SetLoop", &looping).await?;
    let _: VoiceSkipResponse = stage.ask("Skip", &skip).await?;
    while stage.event("TRACK_START").await?.track_id() != "c" {}
    for _ in 0..2 {
        ensure!(
            stage.event("TRACK_START").await?.track_id() == "c",
            "it plays again"
        );
    }
    let volume = VoiceSetVolumeRequest {
        guild_id,
        volume: 0.5,
    };
    let VoiceSetVolumeResponse {} = stage.ask("SetVolume", &volume).await?;
    let _: VoiceSkipResponse = stage.ask("Skip", &skip).await?;
    stage.hears(550.0).await?;
    let status = stage.status().await?;
    ensure!((status.queued, status.volume) == (0, 0.5), "{status:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_follow_one_another_are_skipped_and_repeated() -> Result<()> {
    let mut stage = Stage::new("voice-queue", |_| {}).await?;
    let _node = stage.node().await?;
    stage.join_ready().await?;
    let guild_id = stage.guild;
    let tracks = vec![
        tone("a", 440.0, 20_000),
        tone("b", 660.0, 20_000),
        tone("c", 880.0, 1_500),
    ];
    ensure!(stage.enqueue(tracks).await? == 0, "the first plays");
    stage.hears(440.0).await?;
    ensure!(
        stage.enqueue(vec![tone("d", 550.0, 20_000)]).await? == 3,
        "it is the last"
    );
    let queue = VoiceQueueRequest {
        guild_id,
        offset: 1,
        limit: 2,
    };
    let queue: VoiceQueueResponse = stage.ask("Queue", &queue).await?;
    let ids: Vec<_> = queue.tracks.iter().map(|track| track.id.as_str()).collect();
    ensure!((queue.total, &ids[..]) == (4, &["b", "c"]), "{ids:?}");

    let skip = VoiceSkipRequest { guild_id, count: 0 };
    let skipped: VoiceSkipResponse = stage.ask("Skip", &skip).await?;
    ensure!(
        skipped.track.is_some_and(|track| track.id == "b"),
        "the next"
    );
    stage.hears(660.0).await?;
    stage.play(tone("x", 770.0, 20_000)).await?;
    stage.hears(770.0).await?;
    let mut ends = Vec::new();
    for _ in 0..2 {
        let Data::TrackEnd(end) = stage.told("TRACK_END").await? else {
            anyhow::bail!("another event");
        };
        ends.push((end.track.clone().context("it is there")?.id, end.reason()));
    }
    let (skipped, replaced) = (TrackEndReason::Skipped, TrackEndReason::Replaced);
    let expected = [("a".to_owned(), skipped), ("b".to_owned(), replaced)];
    ensure!(ends == expected, "{ends:?}");

    repeated(&mut stage).await?;
    let stopped: VoiceStopResponse = stage.ask("Stop", &VoiceStopRequest { guild_id }).await?;
    ensure!(stopped.dropped == 1, "{stopped:?}");
    ensure!(stage.status().await?.track.is_none(), "nothing plays");
    stage.rules_kept()
}

/// What an event about a track names.
trait Named {
    fn track_id(&self) -> String;
}

impl Named for wire::gateway::v1::Event {
    fn track_id(&self) -> String {
        match &self.data {
            Some(Data::TrackStart(start)) => start.track.clone().unwrap_or_default().id,
            _ => String::new(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_survives_its_worker() -> Result<()> {
    let mut stage = Stage::new("voice-worker", |_| {}).await?;
    let _node = stage.node().await?;
    stage.join_ready().await?;
    stage.play(tone("a", 440.0, 20_000)).await?;
    let id = stage.sim().settings().application_id;
    let rabbit = tests::rabbitmq::Rabbit::shared();
    let another = crate::api::stage::Worker::of(rabbit, "voice-worker", id).await?;
    std::mem::replace(&mut stage.worker, another)
        .close()
        .await?;
    let before = stage.hears(440.0).await?.heard.audio_ms;
    let more = |state: &State| state.clients[0].heard.audio_ms > before + 1_000;
    let state = stage.listened("more of it", more).await?;
    whole(&state.clients[0])?;
    let status = stage.status().await?;
    ensure!(
        status.track.is_some_and(|track| track.id == "a"),
        "it plays"
    );
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_call_is_done_and_answered_in_order() -> Result<()> {
    let mut stage = Stage::new("voice-order", |_| {}).await?;
    let _node = stage.node().await?;
    let guild_id = stage.guild;
    let join = VoiceJoinRequest {
        guild_id,
        channel_id: stage.channels[0],
        ..VoiceJoinRequest::default()
    };
    let play = |id| VoicePlayRequest {
        guild_id,
        track: Some(tone(id, 440.0, 20_000)),
    };
    // Joining takes longest, and opening a track longer than what follows it.
    let asked = [
        ("voice.Join", join.encode_to_vec()),
        (
            "voice.Status",
            VoiceStatusRequest { guild_id }.encode_to_vec(),
        ),
        ("voice.Play", play("a").encode_to_vec()),
        ("voice.Play", play("b").encode_to_vec()),
        (
            "voice.Status",
            VoiceStatusRequest { guild_id }.encode_to_vec(),
        ),
    ];
    for (number, (method, body)) in asked.iter().enumerate() {
        stage.worker.send(method, &number.to_string(), body).await?;
    }
    let mut playing = Vec::new();
    for (number, (method, _)) in asked.iter().enumerate() {
        let reply = stage.worker.reply().await?;
        ensure!(reply.id == number.to_string(), "{method}: {reply:?}");
        ensure!(reply.error().is_err(), "{method}: {:?}", reply.error());
        if *method == "voice.Status" {
            let status: VoiceStatusResponse = reply.read()?;
            let call = status.call.context("a call")?;
            playing.push(call.track.map(|track| track.id));
        }
    }
    ensure!(playing == [None, Some("b".to_owned())], "{playing:?}");
    stage.rules_kept()
}
