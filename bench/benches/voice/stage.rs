//! A simulated Discord that listens, a `gateway-ws`, nodes of `gateway-voice`, and a worker.

use std::{collections::BTreeMap, net::SocketAddr, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use bench::{
    caller::Caller,
    process::{Process, free_address},
};
use sim::{Config, Sim};
use sim_voice::ClientState;
use tempfile::TempDir;
use tokio::time::{self, Instant};
use wire::gateway::v1::{
    VoiceJoinRequest, VoiceJoinResponse, VoicePlayRequest, VoicePlayResponse, VoiceTrack,
    voice_track::Source,
};

use crate::{
    Place, sound,
    worker::{Asked, PREFIX, Worker},
};

/// How long a service may take until it is ready.
const START: Duration = Duration::from_secs(60);
/// How long a call may take until it is heard.
const PATIENCE: Duration = Duration::from_secs(120);
/// Calls that are begun at once.
const AT_ONCE: usize = 16;
/// Shards of `gateway-ws`, each of which may say a hundred times a minute where the bot is.
const SHARDS: u32 = 8;
/// How long the file is that calls play, in seconds.
pub(crate) const LENGTH: u32 = 150;
/// The file whose sound is passed on, and the one whose sound is encoded.
pub(crate) const OPUS: &str = "tone.opus";
pub(crate) const WAV: &str = "tone.wav";

/// Everything that is needed to hear something.
pub(crate) struct Stage<'p> {
    pub(crate) sim: Sim,
    pub(crate) guilds: Vec<u64>,
    pub(crate) worker: Worker,
    place: &'p Place,
    /// What nodes are started with.
    variables: BTreeMap<&'static str, String>,
    folder: TempDir,
    _gateway_ws: Process,
}

/// A running `gateway-voice`.
pub(crate) struct Node {
    pub(crate) process: Process,
    address: SocketAddr,
}

impl<'p> Stage<'p> {
    /// A stage with so many guilds, whose calls are encrypted end to end or not.
    pub(crate) async fn new(place: &'p Place, guilds: u32, dave: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        sound::opus(&folder.path().join(OPUS), LENGTH)?;
        sound::wav(&folder.path().join(WAV), LENGTH)?;
        let certificate = folder.path().join("voice.pem");
        let config = Config {
            guilds,
            shards: SHARDS,
            max_concurrency: SHARDS,
            max_guilds_per_shard: guilds.max(2500),
            voice_certificate: Some(certificate.clone()),
            ..Config::default()
        };
        let sim = Sim::start(config).await.context("the simulator")?;
        sim.voice()
            .change_settings(|settings| settings.dave_version = u16::from(dave));
        let application_id = sim.settings().application_id;
        let gateway_ws = gateway_ws(place, &sim)?;
        sim.wait_for("the shard", START, |state| state.is_ready())
            .await?;
        let variables = [
            ("AMQP_PREFIX", PREFIX.to_owned()),
            ("AMQP_URL", place.amqp.clone()),
            ("DISCORD_APPLICATION_ID", application_id.to_string()),
            ("LOG", "error".to_owned()),
            ("SSL_CERT_FILE", certificate.to_string_lossy().into_owned()),
            ("VOICE_POSITION_INTERVAL", "0s".to_owned()),
            ("VOICE_SOUNDS", folder.path().to_string_lossy().into_owned()),
        ];
        Ok(Self {
            guilds: sim.guild_ids(),
            worker: Worker::connect(&place.amqp, application_id).await?,
            sim,
            place,
            variables: variables.into(),
            folder,
            _gateway_ws: gateway_ws,
        })
    }

    /// Sets a variable of the nodes that are started from now on.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.insert(name, value.to_owned());
    }

    /// Starts a node, and waits until it takes requests.
    pub(crate) async fn node(&self) -> Result<Node> {
        let address = free_address()?;
        let mut command = Command::new(&self.place.gateway_voice);
        command.env_clear().envs(&self.variables);
        command.env("ADMIN_ADDRESS", address.to_string());
        let process = Process::start(&mut command)?;
        let node = Node { process, address };
        let deadline = Instant::now() + START;
        while node.page("/readyz").await.is_err() {
            ensure!(Instant::now() < deadline, "a node is not ready in time");
            time::sleep(Duration::from_millis(20)).await;
        }
        Ok(node)
    }

    /// Asks for a call of a guild.
    pub(crate) async fn join(&mut self, guild_id: u64) -> Result<Asked> {
        let request = VoiceJoinRequest {
            guild_id,
            channel_id: guild_id + 900,
            ..VoiceJoinRequest::default()
        };
        self.worker.send("Join", &request).await
    }

    /// Begins calls of so many guilds, a few at a time: `gateway-ws` keeps Discord's limits.
    pub(crate) async fn join_all(&mut self, count: usize) -> Result<()> {
        for guilds in self.guilds[..count].to_vec().chunks(AT_ONCE) {
            let mut asked = Vec::new();
            for guild_id in guilds {
                asked.push(self.join(*guild_id).await?);
            }
            for asked in asked {
                let VoiceJoinResponse { .. } = self.worker.answer(asked).await?;
            }
        }
        Ok(())
    }

    /// Asks for a file to be played.
    pub(crate) async fn play(&mut self, guild_id: u64, file: &str) -> Result<Asked> {
        let track = VoiceTrack {
            source: Some(Source::File(file.to_owned())),
            ..VoiceTrack::default()
        };
        let request = VoicePlayRequest {
            guild_id,
            track: Some(track),
        };
        self.worker.send("Play", &request).await
    }

    /// Plays a file in the calls of so many guilds, and waits until all are heard.
    pub(crate) async fn play_all(&mut self, count: usize, file: &str) -> Result<()> {
        let mut asked = Vec::new();
        for number in 0..count {
            asked.push(self.play(self.guilds[number], file).await?);
        }
        for asked in asked {
            let VoicePlayResponse { .. } = self.worker.answer(asked).await?;
        }
        let heard = |client: &&ClientState| client.heard.audio_ms > 0;
        self.sim
            .voice()
            .wait_for("all calls", PATIENCE, |state| {
                state.clients.iter().filter(heard).count() >= count
            })
            .await?;
        Ok(())
    }

    /// Ends everything.
    pub(crate) async fn end(self) -> Result<()> {
        let violations = self.sim.voice().state().violations;
        ensure!(violations.is_empty(), "{violations:#?}");
        self.sim.stop().await;
        Ok(self.folder.close()?)
    }
}

impl Node {
    /// One of its pages.
    async fn page(&self, path: &str) -> Result<String> {
        let mut caller = Caller::connect(self.address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: node\r\n\r\n");
        let answer = caller.ask(request.as_bytes(), 200).await?;
        Ok(String::from_utf8_lossy(answer).into_owned())
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Asks it to end.
    pub(crate) fn terminate(&mut self) -> Result<()> {
        self.process.terminate()
    }

    /// The sum of a metric.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let page = self.page("/metrics").await?;
        let lines = page.lines().filter(|line| line.starts_with(name));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(values.sum())
    }
}

fn gateway_ws(place: &Place, sim: &Sim) -> Result<Process> {
    let mut command = Command::new(&place.gateway_ws);
    command.env_clear().envs([
        ("ADMIN_ADDRESS", "127.0.0.1:0"),
        ("AMQP_PREFIX", PREFIX),
        ("AMQP_URL", &place.amqp),
        ("DISCORD_API_URL", &sim.api_url()),
        ("DISCORD_INTENTS", "GUILDS,GUILD_VOICE_STATES"),
        ("DISCORD_TOKEN", "sim.token"),
        ("LOG", "error"),
    ]);
    Process::start(&mut command)
}
