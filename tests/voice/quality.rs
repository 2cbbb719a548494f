//! How well sound is sent, and what a node says of it. Promises about speed are judged by `make soak` alone.

use anyhow::{Context as _, Result, ensure};
use lapin::{BasicProperties, types::FieldTable};
use prost::Message as _;
use sim_voice::{Speak, State};
use tests::{server::signal, service::Service};
use tokio::{task::JoinSet, time};
use wire::gateway::v1::{
    Code, VoiceJoinRequest, VoiceJoinResponse, VoiceLeaveRequest, VoiceLeaveResponse,
};

use super::stage::{PATIENCE, Stage, tone};
use crate::{
    api::stage::until,
    ws::telemetry::{Collector, text},
};

/// How long a tone is that outlasts a test.
const LONG: u32 = 40_000;
/// How long a node stands still: some frames.
const STILL: time::Duration = time::Duration::from_millis(300);

/// One packet of fifty to the node is lost while somebody speaks, and a tone goes the other way.
async fn heard_beside_speech(prefix: &str, dave: u16) -> Result<()> {
    let mut stage = Stage::new(prefix, |settings| settings.dave_version = dave).await?;
    stage
        .sim()
        .voice()
        .change_faults(|faults| faults.lose_every = 50);
    let _node = stage.node().await?;
    stage.join_ready().await?;
    stage.sim().voice().speak(Speak {
        channel_id: stage.channels[0],
        user_id: stage.guild + 1000,
        frequency_hz: 660,
        duration_ms: None,
    })?;
    stage.play(tone("a", 440.0, LONG)).await?;
    let lost = |state: &State| {
        let client = &state.clients[0];
        client.dropped >= 3 && client.heard.audio_ms >= 3_000
    };
    let state = stage.listened("packets that are lost", lost).await?;
    let heard = &state.clients[0].heard;
    let pitch = heard.frequency_hz.context("a pitch")?;
    ensure!((pitch - 440.0).abs() < 1.0, "{heard:?}");
    ensure!(heard.purity.is_some_and(|it| it > 0.95), "{heard:?}");
    ensure!((heard.lost, heard.undecrypted) == (0, 0), "{heard:?}");
    ensure!(heard.longest_gap_ms <= 40.0, "{heard:?}");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_is_whole_while_what_comes_is_not() -> Result<()> {
    heard_beside_speech("voice-loss-dave", 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tone_is_whole_without_dave_while_what_comes_is_not() -> Result<()> {
    heard_beside_speech("voice-loss-plain", 0).await
}

/// The sum of a metric in `/metrics`.
fn sum(text: &str, metric: &str) -> f64 {
    let lines = text.lines().filter(|line| line.starts_with(metric));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

async fn metrics(node: &Service, wanted: impl Fn(&str) -> bool) -> Result<()> {
    until(node, "/metrics", wanted).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_counted_and_late_ones_are_told_apart() -> Result<()> {
    let mut stage = Stage::new("voice-frames", |_| {}).await?;
    let node = stage.node().await?;
    stage.join_ready().await?;
    stage.play(tone("a", 440.0, LONG)).await?;
    metrics(&node, |text| {
        sum(text, "gateway_voice_frames_total") >= 50.0
            && sum(text, "gateway_voice_jitter_seconds_count") >= 1.0
            && sum(text, "gateway_voice_mixer_seconds_count") >= 1.0
    })
    .await?;
    signal("STOP", node.id())?;
    time::sleep(STILL).await;
    signal("CONT", node.id())?;
    metrics(&node, |text| {
        sum(text, "gateway_voice_frames_late_total") >= 5.0
    })
    .await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_node_takes_no_further_call() -> Result<()> {
    let mut stage = Stage::new("voice-busy", |_| {}).await?;
    stage.set("VOICE_CPU", "1");
    let _node = stage.node().await?;
    stage.join_ready().await?;
    stage.play(tone("a", 440.0, LONG)).await?;
    let guild_id = stage.sim().guild_ids()[1];
    let join = VoiceJoinRequest {
        guild_id,
        channel_id: guild_id + 900,
        ..VoiceJoinRequest::default()
    };
    let deadline = time::Instant::now() + PATIENCE;
    loop {
        // It costs some time, too.
        for _ in 0..50 {
            stage.status().await?;
        }
        let reply = stage
            .worker
            .ask("voice.Join", &join.encode_to_vec())
            .await?;
        if let Ok(refused) = reply.error() {
            ensure!(refused.code() == Code::ResourceExhausted, "{refused:?}");
            ensure!(refused.message.contains("VOICE_CPU"), "{refused:?}");
            break;
        }
        let VoiceJoinResponse { .. } = reply.read()?;
        let leave = VoiceLeaveRequest { guild_id };
        let VoiceLeaveResponse {} = stage.ask("Leave", &leave).await?;
        ensure!(time::Instant::now() < deadline, "it takes every call");
    }
    // What it has goes on.
    stage.hears(440.0).await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_is_a_step_of_its_workers_trace() -> Result<()> {
    let mut tasks = JoinSet::new();
    let (collector, endpoint) = Collector::start(&mut tasks).await?;
    let mut stage = Stage::new("voice-traces", |_| {}).await?;
    stage.set("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint);
    let node = stage.node().await?;
    let (guild_id, trace) = (stage.guild, "0af7651916cd43dd8448eb211c80319c");
    let mut headers = FieldTable::default();
    let context = format!("00-{trace}-b7ad6b7169203331-01");
    headers.insert(
        "traceparent".into(),
        lapin::types::AMQPValue::LongString(context.into()),
    );
    let properties = BasicProperties::default().with_headers(headers);
    let leave = VoiceLeaveRequest { guild_id }.encode_to_vec();
    stage
        .worker
        .send_with("voice.Leave", "one", &leave, properties)
        .await?;
    let refused = stage.worker.reply().await?.error()?;
    ensure!(refused.code() == Code::NotFound, "{refused:?}");
    // What is left is exported at the end.
    let ended = tokio::task::spawn_blocking(move || node.terminate()).await??;
    ensure!(ended.status.success(), "{}", ended.log);
    let spans = collector.spans()?;
    let is_ours = |id: &[u8]| {
        id.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
            == trace
    };
    let span = spans.iter().find(|span| is_ours(&span.trace_id));
    let span = span.with_context(|| format!("{spans:?}"))?;
    ensure!(span.name == "voice Leave", "{span:?}");
    ensure!(
        text(span, "gateway.outcome") == Some("CODE_NOT_FOUND"),
        "{span:?}"
    );
    Ok(())
}
