//! Several nodes: a call goes on at another one, and requests find it wherever it is.

use anyhow::{Context as _, Result, bail, ensure};
use sim_voice::{State, Target};
use tests::{
    balancer::Balancer,
    redis::Redis,
    server::signal,
    service::{Ended, Service},
};
use wire::gateway::v1::{
    Code, Event, Source, VoiceConnectReason, VoiceConnected, VoiceDisconnectReason,
    VoiceJoinRequest, VoiceJoinResponse, VoiceLeaveRequest, VoiceLeaveResponse, VoicePlayRequest,
    VoicePlayResponse, VoiceStatusRequest, event::Data,
};

use super::stage::{Stage, seconds, tone};

/// How long a tone is that outlasts a test.
const LONG: u32 = 40_000;

/// A stage whose nodes share their calls.
async fn shared(prefix: &str) -> Result<Stage> {
    let mut stage = Stage::new(prefix, |_| {}).await?;
    stage.set("REDIS_URL", &Redis::shared().url());
    stage.set("REDIS_PREFIX", prefix);
    stage.set("VOICE_LEASE_TTL", "2s");
    Ok(stage)
}

impl Stage {
    /// Says in the name of a node that it has taken the call over.
    async fn forge(&self, node: &str) -> Result<()> {
        let connected = VoiceConnected {
            guild_id: self.guild,
            channel_id: self.channels[0],
            reason: VoiceConnectReason::Takeover.into(),
            node: node.to_owned(),
        };
        let event = Event {
            id: format!("{node}:1"),
            application_id: self.sim().settings().application_id,
            name: "VOICE_CONNECTED".to_owned(),
            source: Source::Voice.into(),
            guild_id: Some(self.guild),
            channel_id: Some(self.channels[0]),
            data: Some(Data::VoiceConnected(Box::new(connected))),
            ..Event::default()
        };
        self.publish(&event).await
    }
}

/// The next connection that stands for this reason.
async fn connected(stage: &mut Stage, reason: VoiceConnectReason) -> Result<VoiceConnected> {
    loop {
        match stage.told("VOICE_CONNECTED").await? {
            Data::VoiceConnected(told) if told.reason() == reason => return Ok(*told),
            Data::VoiceConnected(_) => {}
            data => bail!("{data:?}"),
        }
    }
}

/// Two nodes, of which the first plays a tone and has another one queued; and which one it is.
async fn playing(stage: &mut Stage) -> Result<(Service, Service)> {
    let first = stage.node().await?;
    let call = stage.join_ready().await?;
    stage
        .enqueue(vec![tone("a", 440.0, LONG), tone("b", 660.0, 1_000)])
        .await?;
    let heard = |state: &State| state.clients[0].heard.audio_ms > 2_500;
    stage.listened("a tone", heard).await?;
    stage.hears(440.0).await?;
    let told = connected(stage, VoiceConnectReason::Join).await?;
    ensure!(told.node == call.node, "{told:?}");
    let _ = stage.event("TRACK_START").await?;
    let second = stage.node().await?;
    Ok((first, second))
}

/// The call goes on at another node than this one; from where, in seconds.
async fn goes_on(stage: &mut Stage, before: &str) -> Result<f64> {
    let told = connected(stage, VoiceConnectReason::Takeover).await?;
    ensure!(told.node != before, "{told:?}");
    let Data::TrackStart(start) = stage.told("TRACK_START").await? else {
        bail!("another event");
    };
    let track = start.track.context("it is there")?;
    ensure!(track.id == "a", "{track:?}");
    stage.hears(440.0).await?;
    let status = stage.status().await?;
    ensure!(
        (status.queued, &status.node) == (1, &told.node),
        "{status:?}"
    );
    Ok(seconds(start.position))
}

/// How much sound the sessions that have ended have sent, in seconds.
fn sent(state: &State) -> f64 {
    let ended = state.clients.iter().filter(|client| !client.connected);
    #[expect(clippy::cast_precision_loss, reason = "there are few")]
    let milliseconds = ended.map(|client| client.heard.audio_ms).sum::<u64>() as f64;
    milliseconds / 1_000.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_stopped_hands_its_calls_over() -> Result<()> {
    let mut stage = shared("voice-sigterm").await?;
    let (first, second) = playing(&mut stage).await?;
    let before = stage.status().await?.node;
    let ended = tokio::task::spawn_blocking(move || first.terminate()).await??;
    ensure!(ended.status.success(), "{}", ended.log);
    let Data::VoiceDisconnected(gone) = stage.told("VOICE_DISCONNECTED").await? else {
        bail!("another event");
    };
    ensure!(gone.reason() == VoiceDisconnectReason::Shutdown, "{gone:?}");
    ensure!(gone.retries && gone.node == before, "{gone:?}");
    let from = goes_on(&mut stage, &before).await?;
    let sent = sent(&stage.sim().voice().state());
    ensure!(
        (from - sent).abs() < 0.5,
        "it goes on at {from} s after {sent} s"
    );
    // Nobody was asked for the channel: the bot never left it.
    let session = stage.sim().voice().state();
    ensure!(session.identifies == 2, "{session:#?}");
    drop(second);
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_of_a_node_that_dies_are_taken_over() -> Result<()> {
    let mut stage = shared("voice-sigkill").await?;
    let (first, _second) = playing(&mut stage).await?;
    let before = stage.status().await?.node;
    tokio::task::spawn_blocking(move || first.kill()).await??;
    let from = goes_on(&mut stage, &before).await?;
    let sent = sent(&stage.sim().voice().state());
    // Where it was when the store last heard of it.
    ensure!(
        from <= sent + 0.5 && from > sent - 4.0,
        "it goes on at {from} s after {sent} s"
    );
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_sleeps_longer_than_its_lease_lets_its_calls_go() -> Result<()> {
    let mut stage = shared("voice-asleep").await?;
    let (first, _second) = playing(&mut stage).await?;
    let before = stage.status().await?.node;
    signal("STOP", first.id())?;
    goes_on(&mut stage, &before).await?;
    signal("CONT", first.id())?;
    gone(&mut stage, &before).await?;
    stage.hears(440.0).await?;
    ensure!(stage.status().await?.node != before, "it is with another");
    one_has_it(&stage)?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_alone_cannot_reach_redis_lets_its_calls_go() -> Result<()> {
    let mut stage = shared("voice-cut-off").await?;
    let way = Balancer::start(vec![Redis::shared().port()]).await?;
    let url = format!("redis://127.0.0.1:{}/", way.port());
    stage.set("REDIS_URL", &url);
    let _first = stage.node().await?;
    let call = stage.join_ready().await?;
    stage.play(tone("a", 440.0, LONG)).await?;
    stage.hears(440.0).await?;
    stage.set("REDIS_URL", &Redis::shared().url());
    let _second = stage.node().await?;
    drop(way);
    let told = connected(&mut stage, VoiceConnectReason::Takeover).await?;
    ensure!(told.node != call.node, "{told:?}");
    gone(&mut stage, &call.node).await?;
    stage.hears(440.0).await?;
    one_has_it(&stage)?;
    ensure!(stage.status().await?.node == told.node, "it stays there");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_joins_its_channel_anew_while_redis_is_away() -> Result<()> {
    let mut stage = shared("voice-store-away").await?;
    let redis = Redis::start()?;
    stage.set("REDIS_URL", &redis.url());
    let _node = stage.node().await?;
    let call = stage.join_ready().await?;
    stage.play(tone("a", 440.0, LONG)).await?;
    stage.hears(440.0).await?;
    // What others say is worth nothing once the store has said otherwise, which it does with each heartbeat.
    stage.forge("another").await?;
    let told = connected(&mut stage, VoiceConnectReason::Takeover).await?;
    ensure!(told.node == "another", "{told:?}");
    let long = |state: &State| state.clients[0].heard.audio_ms > 6_000;
    stage.listened("it for some heartbeats", long).await?;
    drop(redis);
    let closed = stage.sim().voice().close(Target::default(), 4006)?;
    ensure!(closed == 1, "one is closed");
    let told = connected(&mut stage, VoiceConnectReason::Reconnect).await?;
    ensure!(told.node == call.node, "{told:?}");
    stage.hears(440.0).await?;
    stage.rules_kept()
}

/// A node tells that it has lost the lease of its call. Discord may have ended its connection before it knows.
async fn gone(stage: &mut Stage, node: &str) -> Result<()> {
    loop {
        let Data::VoiceDisconnected(gone) = stage.told("VOICE_DISCONNECTED").await? else {
            bail!("another event");
        };
        ensure!(gone.retries && gone.node == node, "{gone:?}");
        if gone.reason() == VoiceDisconnectReason::LeaseLost {
            return Ok(());
        }
    }
}

/// The call went from one node to another, and not back.
fn one_has_it(stage: &Stage) -> Result<()> {
    let state = stage.sim().voice().state();
    let connected = state.clients.iter().filter(|client| client.connected);
    ensure!(connected.count() == 1, "{state:#?}");
    ensure!(state.identifies == 2, "{state:#?}");
    Ok(())
}

/// All of several calls go on at another node when theirs has ended like this.
async fn all_go_on(prefix: &str, end: fn(Service) -> Result<Ended>) -> Result<()> {
    let mut stage = shared(prefix).await?;
    let first = stage.node().await?;
    let guilds = stage.sim().guild_ids();
    for guild_id in &guilds {
        let join = VoiceJoinRequest {
            guild_id: *guild_id,
            channel_id: guild_id + 900,
            ..VoiceJoinRequest::default()
        };
        let VoiceJoinResponse { .. } = stage.ask("Join", &join).await?;
        let play = VoicePlayRequest {
            guild_id: *guild_id,
            track: Some(tone("a", 440.0, LONG)),
        };
        let VoicePlayResponse { .. } = stage.ask("Play", &play).await?;
    }
    let heard = |state: &State| {
        let living = state.clients.iter().filter(|client| client.connected);
        living.filter(|client| client.heard.audio_ms > 500).count()
    };
    let all = guilds.len();
    stage
        .listened("all calls", |state| heard(state) == all)
        .await?;
    let _second = stage.node().await?;
    tokio::task::spawn_blocking(move || end(first)).await??;
    let again = |state: &State| state.identifies >= 2 * all as u64 && heard(state) == all;
    stage.listened("all calls again", again).await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_stays_with_its_node_while_that_lives() -> Result<()> {
    let mut stage = shared("voice-lease").await?;
    stage.set("VOICE_LEASE_TTL", "3s");
    let _nodes = playing(&mut stage).await?;
    let before = stage.status().await?.node;
    // Its lease would have run out twice.
    let long = |state: &State| state.clients[0].heard.audio_ms > 9_000;
    let state = stage.listened("it for long", long).await?;
    ensure!(state.identifies == 1, "{state:#?}");
    ensure!(stage.status().await?.node == before, "it stays");
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_node_that_is_stopped_goes_on() -> Result<()> {
    all_go_on("voice-all-sigterm", Service::terminate).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_a_node_that_dies_goes_on() -> Result<()> {
    all_go_on("voice-all-sigkill", Service::kill).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_a_node_when_there_is_none() -> Result<()> {
    let mut stage = shared("voice-alone").await?;
    let first = stage.node().await?;
    stage.join_ready().await?;
    stage.play(tone("a", 440.0, LONG)).await?;
    stage.hears(440.0).await?;
    connected(&mut stage, VoiceConnectReason::Join).await?;
    tokio::task::spawn_blocking(move || first.terminate()).await??;
    let _second = stage.node().await?;
    connected(&mut stage, VoiceConnectReason::Takeover).await?;
    stage.hears(440.0).await?;
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_find_the_node_and_new_calls_the_one_with_the_fewest() -> Result<()> {
    let mut stage = shared("voice-nodes").await?;
    let _nodes = (stage.node().await?, stage.node().await?);
    let first = stage.join().await?.node;
    let other = stage.sim().guild_ids()[1];
    let request = VoiceJoinRequest {
        guild_id: other,
        channel_id: other + 900,
        ..VoiceJoinRequest::default()
    };
    // Until the nodes have heard of each other a second call may go anywhere.
    let deadline = tokio::time::Instant::now() + super::stage::PATIENCE;
    loop {
        let joined: VoiceJoinResponse = stage.ask("Join", &request).await?;
        if joined.call.context("a call")?.node != first {
            break;
        }
        ensure!(tokio::time::Instant::now() < deadline, "all go to one node");
        let leave = VoiceLeaveRequest { guild_id: other };
        let VoiceLeaveResponse {} = stage.ask("Leave", &leave).await?;
    }
    // RabbitMQ gives them to either node.
    for _ in 0..6 {
        ensure!(stage.status().await?.node == first, "it stays where it is");
    }
    let guild_id = stage.guild;
    let VoiceLeaveResponse {} = stage.ask("Leave", &VoiceLeaveRequest { guild_id }).await?;
    for _ in 0..2 {
        let status = VoiceStatusRequest { guild_id };
        stage.refused("Status", &status, Code::NotFound).await?;
    }
    stage.rules_kept()
}
