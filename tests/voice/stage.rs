//! A simulated Discord that listens, a `gateway-ws` and a `gateway-voice` beside it, and a worker with ears.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use lapin::{
    BasicProperties, Connection, ConnectionProperties, Consumer,
    options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use prost::{Message, Name};
use sim::{Config, Sim};
use sim_voice::{ClientState, Settings, State};
pub(super) use tests::sound::tone;
use tests::{
    rabbitmq::Rabbit,
    service::{Service, gateway_voice},
};
use tokio::time::{self, Instant};
use wire::gateway::v1::{
    Code, Error, Event, Source, VoiceCall, VoiceEnqueueRequest, VoiceEnqueueResponse,
    VoiceJoinRequest, VoiceJoinResponse, VoicePlayRequest, VoicePlayResponse, VoiceStatusRequest,
    VoiceStatusResponse, VoiceTrack, event::Data,
};

use crate::{api::stage::Worker, ws};

/// How long something may take that has to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that is needed to hear something.
pub(super) struct Stage {
    pub(super) ws: ws::stage::Stage,
    pub(super) guild: u64,
    pub(super) channels: Vec<u64>,
    pub(super) worker: Worker,
    ears: Ears,
    variables: BTreeMap<String, String>,
    _gateway: Service,
    _folder: tempfile::TempDir,
}

/// What a worker hears.
struct Ears {
    connection: Connection,
    events: Consumer,
    /// What came, and nobody has asked for.
    heard: Vec<Event>,
}

impl Stage {
    /// A stage on which voice calls are like this, with a name of its own.
    pub(super) async fn new(prefix: &str, change: impl FnOnce(&mut Settings)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let certificate = folder.path().join("voice.pem");
        let rabbit = Rabbit::shared();
        let config = Config {
            guilds: 3,
            voice_certificate: Some(certificate.clone()),
            ..Config::default()
        };
        let ws = ws::system::stage(rabbit, config, prefix).await?;
        ws.sim.voice().change_settings(change);
        let gateway = ws.start_ready().await?;
        // Before that there may be no exchanges yet.
        let connected = || Ok(gateway.log().contains("check=\"broker\""));
        gateway.until("the broker", connected).await?;
        let application_id = ws.sim.settings().application_id;
        let variables = [
            ("DISCORD_APPLICATION_ID", application_id.to_string()),
            ("AMQP_URL", rabbit.url()),
            ("AMQP_PREFIX", prefix.to_owned()),
            ("ADMIN_ADDRESS", "127.0.0.1:0".to_owned()),
            ("NO_COLOR", "1".to_owned()),
            ("SSL_CERT_FILE", certificate.to_string_lossy().into_owned()),
            ("VOICE_POSITION_INTERVAL", "1s".to_owned()),
        ];
        let guild = ws.sim.guild_ids()[0];
        Ok(Self {
            guild,
            channels: vec![guild + 900, guild + 901],
            worker: Worker::of(rabbit, prefix, application_id).await?,
            ears: Ears::open(rabbit, prefix).await?,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            _gateway: gateway,
            _folder: folder,
            ws,
        })
    }

    /// The simulated Discord.
    pub(super) fn sim(&self) -> &Sim {
        &self.ws.sim
    }

    /// Sets a variable of the nodes that are started from now on.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Starts a node, and waits until it takes requests.
    pub(super) async fn node(&self) -> Result<Service> {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| (name.as_str(), value.as_str()));
        let node = Service::start(gateway_voice()?, &variables.collect::<Vec<_>>(), &[])?;
        let url = format!("{}/readyz", node.admin().await?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = reqwest::get(&url).await?;
            if answer.status().is_success() {
                return Ok(node);
            }
            let text = answer.text().await?;
            ensure!(Instant::now() < deadline, "{text}\n{}", node.log());
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks for a method, and waits for the answer.
    pub(super) async fn ask<R: Message + Name + Default>(
        &mut self,
        method: &str,
        request: &impl Message,
    ) -> Result<R> {
        let method = format!("voice.{method}");
        self.worker
            .ask(&method, &request.encode_to_vec())
            .await?
            .read()
    }

    /// Asks for a method that is refused with this code; what is said.
    pub(super) async fn refused(
        &mut self,
        method: &str,
        request: &impl Message,
        code: Code,
    ) -> Result<String> {
        let method = format!("voice.{method}");
        let reply = self.worker.ask(&method, &request.encode_to_vec()).await?;
        let error: Error = reply
            .error()
            .with_context(|| format!("{method} was done"))?;
        ensure!(error.code() == code, "{method}: {error:?}");
        Ok(error.message)
    }

    /// Joins the first channel.
    pub(super) async fn join(&mut self) -> Result<VoiceCall> {
        let request = VoiceJoinRequest {
            guild_id: self.guild,
            channel_id: self.channels[0],
            ..VoiceJoinRequest::default()
        };
        let joined: VoiceJoinResponse = self.ask("Join", &request).await?;
        joined.call.context("a call")
    }

    /// The same, and waits until what is said is encrypted end to end, if it is to be.
    pub(super) async fn join_ready(&mut self) -> Result<VoiceCall> {
        let call = self.join().await?;
        let ready = |state: &State| {
            let mut calls = state.calls.iter();
            calls.any(|call| call.dave_version == 0 || call.transitions > 0)
        };
        self.listened("a call", ready).await?;
        Ok(call)
    }

    /// Plays a track now.
    pub(super) async fn play(&mut self, track: VoiceTrack) -> Result<VoiceTrack> {
        let request = VoicePlayRequest {
            guild_id: self.guild,
            track: Some(track),
        };
        let played: VoicePlayResponse = self.ask("Play", &request).await?;
        played.track.context("a track")
    }

    /// Queues tracks; how many are in front of them.
    pub(super) async fn enqueue(&mut self, tracks: Vec<VoiceTrack>) -> Result<u32> {
        let request = VoiceEnqueueRequest {
            guild_id: self.guild,
            tracks,
            place: None,
        };
        let queued: VoiceEnqueueResponse = self.ask("Enqueue", &request).await?;
        Ok(queued.place)
    }

    /// How the call is, as soon as its node can be asked: until then workers are told to try again.
    pub(super) async fn status(&mut self) -> Result<VoiceCall> {
        let request = VoiceStatusRequest {
            guild_id: self.guild,
        };
        let (body, deadline) = (request.encode_to_vec(), Instant::now() + PATIENCE);
        loop {
            let reply = self.worker.ask("voice.Status", &body).await?;
            let is_early = reply.error().is_ok_and(|it| it.code() == Code::Unavailable);
            if !is_early || Instant::now() > deadline {
                let status: VoiceStatusResponse = reply.read()?;
                return status.call.context("a call");
            }
            time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the call is like this.
    pub(super) async fn shows(
        &mut self,
        what: &str,
        wanted: impl Fn(&VoiceCall) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let call = self.status().await?;
            if wanted(&call) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "not in time: {what}: {call:?}");
            time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the voice server has seen something.
    pub(super) async fn listened(
        &self,
        what: &str,
        wanted: impl Fn(&State) -> bool,
    ) -> Result<State> {
        let voice = self.sim().voice();
        let seen = voice.wait_for(what, PATIENCE, wanted).await;
        seen.map_err(|error| anyhow::anyhow!("{error}: {:#?}", voice.state()))
    }

    /// Waits until this tone is heard.
    pub(super) async fn hears(&self, hertz: f64) -> Result<ClientState> {
        let sounds = |client: &ClientState| {
            let heard = client.heard.frequency_hz;
            client.ended.is_none() && heard.is_some_and(|heard| (heard - hertz).abs() < 2.0)
        };
        let what = format!("{hertz} Hz");
        let state = self.listened(&what, |state| state.clients.iter().any(sounds));
        let clients = state.await?.clients;
        clients.into_iter().find(sounds).context("it was heard")
    }

    /// Waits for the next event with this name. Others are kept.
    pub(super) async fn event(&mut self, name: &str) -> Result<Event> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let heard = &mut self.ears.heard;
            if let Some(place) = heard.iter().position(|event| event.name == name) {
                return Ok(heard.remove(place));
            }
            let next = time::timeout_at(deadline, self.ears.next()).await;
            let kept = &self.ears.heard;
            next.with_context(|| format!("no {name}, but {kept:#?}"))??;
        }
    }

    /// Publishes an event of this guild, as a service does.
    pub(super) async fn publish(&self, event: &Event) -> Result<()> {
        let channel = self.ears.connection.create_channel().await?;
        let exchange = format!("{}.events", self.variables["AMQP_PREFIX"]);
        let key = format!("{}.{}.{}.-", event.application_id, event.name, self.guild);
        let properties = BasicProperties::default()
            .with_type("gateway.v1.Event".into())
            .with_message_id(event.id.as_str().into());
        let (options, body) = (BasicPublishOptions::default(), event.encode_to_vec());
        channel
            .basic_publish(exchange.into(), key.into(), options, &body, properties)
            .await?;
        Ok(())
    }

    /// Whether an event with this name came before the last one that was waited for.
    pub(super) fn has_heard(&self, name: &str) -> bool {
        self.ears.heard.iter().any(|event| event.name == name)
    }

    /// The data of the next event with this name.
    pub(super) async fn told(&mut self, name: &str) -> Result<Data> {
        let event = self.event(name).await?;
        ensure!(event.source() == Source::Voice, "{event:?}");
        ensure!(event.guild_id == Some(self.guild), "{event:?}");
        event.data.context("it is typed")
    }

    /// Fails when somebody broke one of Discord's rules.
    pub(super) fn rules_kept(&self) -> Result<()> {
        self.ws.rules_kept()?;
        let violations = self.sim().voice().state().violations;
        ensure!(violations.is_empty(), "{violations:#?}");
        Ok(())
    }
}

impl Ears {
    async fn open(rabbit: &Rabbit, prefix: &str) -> Result<Self> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&rabbit.url(), properties).await?;
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let table = FieldTable::default;
        let queue = channel.queue_declare("".into(), options, table()).await?;
        let queue = queue.name().clone();
        for name in [
            "VOICE_CONNECTED",
            "VOICE_DISCONNECTED",
            "TRACK_START",
            "TRACK_END",
            "TRACK_ERROR",
            "TRACK_POSITION",
            "SPEAKING",
            "CLIENT_CONNECT",
            "CLIENT_DISCONNECT",
            "RECORDING_END",
        ] {
            let exchange = format!("{prefix}.events");
            let key = format!("*.{name}.#");
            let binding = QueueBindOptions::default();
            channel
                .queue_bind(queue.clone(), exchange.into(), key.into(), binding, table())
                .await?;
        }
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let events = channel.basic_consume(queue, "".into(), options, table());
        Ok(Self {
            events: events.await?,
            heard: Vec::new(),
            connection,
        })
    }

    async fn next(&mut self) -> Result<()> {
        let delivery = self.events.next().await.context("no more events")??;
        let event = Event::decode(delivery.data.as_slice())?;
        let id = delivery.properties.message_id().as_ref();
        ensure!(id.is_some_and(|id| id.as_str() == event.id), "{event:?}");
        self.heard.push(event);
        Ok(())
    }
}

/// A duration in seconds.
pub(super) fn seconds(duration: Option<prost_types::Duration>) -> f64 {
    let duration = duration.unwrap_or_default();
    let duration = Duration::try_from(duration).unwrap_or_default();
    duration.as_secs_f64()
}
