//! Who is in the channel of a call and who of them speaks is told; and the bot can speak to an audience.

use anyhow::{Result, bail, ensure};
use serde_json::json;
use sim::Dispatch;
use tests::{
    rabbitmq::Rabbit,
    service::{Service, gateway_api},
};
use tokio::time::{self, Instant};
use wire::gateway::v1::{VoiceJoinRequest, VoiceJoinResponse, event::Data};

use super::stage::{PATIENCE, Stage};

impl Stage {
    /// Says at the gateway that a user is in a channel, or in none.
    fn put(&self, user_id: u64, channel_id: Option<u64>) -> Result<()> {
        let data = json!({
            "guild_id": self.guild.to_string(), "user_id": user_id.to_string(),
            "channel_id": channel_id.map(|id| id.to_string()), "session_id": "another",
            "deaf": false, "mute": false, "self_deaf": false, "self_mute": false,
            "self_video": false, "suppress": false, "request_to_speak_timestamp": null,
        });
        let event = Dispatch {
            name: "VOICE_STATE_UPDATE".to_owned(),
            data: data.to_string(),
            ..Dispatch::default()
        };
        ensure!(self.sim().dispatch(&event)? == 1, "nobody hears it");
        Ok(())
    }

    async fn client_connect(&mut self) -> Result<(u64, u64)> {
        match self.told("CLIENT_CONNECT").await? {
            Data::ClientConnect(came) => Ok((came.user_id, came.channel_id)),
            data => bail!("{data:?}"),
        }
    }

    async fn client_disconnect(&mut self) -> Result<u64> {
        match self.told("CLIENT_DISCONNECT").await? {
            Data::ClientDisconnect(gone) => Ok(gone.user_id),
            data => bail!("{data:?}"),
        }
    }

    /// Who begins or ends to speak next.
    async fn speaking(&mut self) -> Result<(u64, bool)> {
        match self.told("SPEAKING").await? {
            Data::Speaking(speaking) => Ok((speaking.user_id, speaking.microphone)),
            data => bail!("{data:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_there_already_is_told_and_who_comes_and_goes() -> Result<()> {
    let mut stage = Stage::new("voice-members", |_| {}).await?;
    let node = stage.node().await?;
    let (here, elsewhere) = (stage.channels[0], stage.channels[1]);
    stage.put(71, Some(here))?;
    stage.put(72, Some(elsewhere))?;
    stage.put(73, Some(here))?;
    stage.put(73, None)?;
    stage.join_ready().await?;
    ensure!(stage.client_connect().await? == (71, here), "he is there");
    stage.put(72, Some(here))?;
    ensure!(stage.client_connect().await? == (72, here), "he comes");
    stage.put(71, Some(elsewhere))?;
    ensure!(stage.client_disconnect().await? == 71, "he goes");
    // One of whom nothing was heard is there when he speaks.
    let [user, _] = stage.speakers()?;
    stage.speak(&[(user, 500)], Some(100)).await?;
    ensure!(stage.client_connect().await? == (user, here), "he is there");
    stage.sim().voice().unseat(here, user)?;
    ensure!(stage.client_disconnect().await? == user, "he goes");
    drop(node);
    stage.rules_kept()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_time_that_somebody_speaks_is_told() -> Result<()> {
    let mut stage = Stage::new("voice-speaking", |_| {}).await?;
    let _node = stage.node().await?;
    stage.join_ready().await?;
    let [user, _] = stage.speakers()?;
    for _ in 0..3 {
        stage.speak(&[(user, 500)], Some(400)).await?;
        ensure!(stage.speaking().await? == (user, true), "he speaks");
        ensure!(stage.speaking().await? == (user, false), "no more");
    }
    stage.rules_kept()
}

/// Starts `gateway-api` beside the others, and waits until it takes requests.
async fn api(stage: &Stage, prefix: &str) -> Result<Service> {
    let variables = [
        ("DISCORD_TOKEN", "sim.token".to_owned()),
        ("DISCORD_API_URL", stage.sim().api_url()),
        ("AMQP_URL", Rabbit::shared().url()),
        ("AMQP_PREFIX", prefix.to_owned()),
        ("ADMIN_ADDRESS", "127.0.0.1:0".to_owned()),
        ("NO_COLOR", "1".to_owned()),
    ];
    let variables = variables.each_ref().map(|(name, value)| (*name, &**value));
    let api = Service::start(gateway_api()?, &variables, &[])?;
    let url = format!("{}/readyz", api.admin().await?);
    let deadline = Instant::now() + PATIENCE;
    while !reqwest::get(&url).await?.status().is_success() {
        ensure!(Instant::now() < deadline, "{}", api.log());
        time::sleep(time::Duration::from_millis(10)).await;
    }
    Ok(api)
}

/// How often the bot has asked Discord to change its own voice state.
fn asked(stage: &Stage) -> usize {
    let requests = stage.sim().requests();
    let asked = requests
        .iter()
        .filter(|request| request.method == "PATCH" && request.path.ends_with("/voice-states/@me"));
    asked.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_becomes_a_speaker_of_a_stage_or_asks_to_be_one() -> Result<()> {
    let prefix = "voice-stage";
    let mut stage = Stage::new(prefix, |_| {}).await?;
    let _node = stage.node().await?;
    stage
        .sim()
        .change_faults(|faults| faults.voice_audience = true);
    let silent = stage.join().await?;
    ensure!(silent.suppressed && asked(&stage) == 0, "{silent:?}");
    let wanted = VoiceJoinRequest {
        guild_id: stage.guild,
        channel_id: stage.channels[0],
        speak: true,
        ..VoiceJoinRequest::default()
    };
    // Nobody can ask Discord.
    let joined: VoiceJoinResponse = stage.ask("Join", &wanted).await?;
    ensure!(
        joined.detail.contains("rest.UpdateSelfVoiceState"),
        "{joined:?}"
    );
    let _api = api(&stage, prefix).await?;
    stage.sim().change_faults(|faults| {
        faults.rest_path = Some("/voice-states/".to_owned());
        faults.rest_status = Some(403);
        faults.rest_failures = Some(1);
    });
    let joined: VoiceJoinResponse = stage.ask("Join", &wanted).await?;
    ensure!(joined.detail.contains("has asked"), "{joined:?}");
    ensure!(joined.call.is_some_and(|call| call.suppressed), "not yet");
    ensure!(asked(&stage) == 2, "{:#?}", stage.sim().requests());
    let joined: VoiceJoinResponse = stage.ask("Join", &wanted).await?;
    ensure!(joined.detail.is_empty(), "{joined:?}");
    ensure!(
        joined.call.is_some_and(|call| !call.suppressed),
        "it is one"
    );
    ensure!(asked(&stage) == 3, "{:#?}", stage.sim().requests());
    stage.rules_kept()
}
