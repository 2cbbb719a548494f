//! Simulated users who speak, and a worker who listens to them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::StreamExt as _;
use lapin::{
    Connection, ConnectionProperties, Consumer,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString},
};
use opus2::{Channels, Decoder};
use prost::Message as _;
use sim_voice::{Speak, State};
use tests::{rabbitmq::Rabbit, service::Service};
use tokio::time;
use wire::gateway::v1::{
    RecordingEnd, VoiceAudio, VoiceAudioFrame, VoiceRecordRequest, VoiceRecordResponse,
    VoiceRecordTarget, VoiceStopRecordRequest, VoiceStopRecordResponse, VoiceStreamFormat,
    event::Data,
};

use super::stage::{PATIENCE, Stage};

/// Samples of a frame, of each channel.
pub(super) const SAMPLES: u32 = 960;

/// A worker's queue of what speakers say.
pub(super) struct Listener {
    _connection: Connection,
    audio: Option<Consumer>,
}

impl Listener {
    /// A queue of all that the application hears, and its reader.
    pub(super) async fn open(stage: &Stage, prefix: &str) -> Result<Self> {
        Self::with(stage, prefix, FieldTable::default(), true).await
    }

    /// A queue that has room for so many messages, refuses further ones, and is read by nobody.
    pub(super) async fn deaf(stage: &Stage, prefix: &str, room: i32) -> Result<Self> {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(room));
        let refuse = LongString::from("reject-publish");
        arguments.insert("x-overflow".into(), AMQPValue::LongString(refuse));
        Self::with(stage, prefix, arguments, false).await
    }

    async fn with(stage: &Stage, prefix: &str, arguments: FieldTable, reads: bool) -> Result<Self> {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&Rabbit::shared().url(), properties).await?;
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = channel.queue_declare("".into(), options, arguments).await?;
        let queue = queue.name().clone();
        let exchange = format!("{prefix}.voice-audio");
        let application_id = stage.sim().settings().application_id;
        let key = format!("{application_id}.{}.#", stage.guild);
        let (binding, none) = (QueueBindOptions::default(), FieldTable::default());
        channel
            .queue_bind(queue.clone(), exchange.into(), key.into(), binding, none)
            .await?;
        let mut audio = None;
        if reads {
            let options = BasicConsumeOptions {
                no_ack: true,
                ..BasicConsumeOptions::default()
            };
            let none = FieldTable::default();
            audio = Some(
                channel
                    .basic_consume(queue, "".into(), options, none)
                    .await?,
            );
        }
        Ok(Self {
            _connection: connection,
            audio,
        })
    }

    /// The next message, which has to travel as the contract says.
    pub(super) async fn next(&mut self, stage: &Stage) -> Result<VoiceAudio> {
        let audio = self.audio.as_mut().context("nobody reads")?;
        let delivery = time::timeout(PATIENCE, audio.next()).await;
        let delivery = delivery.context("nothing is heard")?;
        let delivery = delivery.context("no more audio")??;
        let message = VoiceAudio::decode(delivery.data.as_slice())?;
        let (application_id, guild) = (stage.sim().settings().application_id, stage.guild);
        let key = format!("{application_id}.{guild}.{}", message.user_id);
        ensure!(delivery.routing_key.as_str() == key, "{delivery:?}");
        let properties = &delivery.properties;
        let kind = properties.kind().as_ref().map(|kind| kind.as_str());
        ensure!(kind == Some("gateway.v1.VoiceAudio"), "{properties:?}");
        let lifetime = properties.expiration().as_ref().map(|it| it.as_str());
        ensure!(lifetime == Some("60000"), "{properties:?}");
        Ok(message)
    }

    /// Listens until so many frames of each of these users have come.
    pub(super) async fn frames(
        &mut self,
        stage: &Stage,
        recording_id: &str,
        users: &[u64],
        count: usize,
    ) -> Result<BTreeMap<u64, Vec<VoiceAudioFrame>>> {
        let mut frames: BTreeMap<u64, Vec<VoiceAudioFrame>> = BTreeMap::new();
        while !users
            .iter()
            .all(|user| frames.get(user).is_some_and(|it| it.len() >= count))
        {
            let message = self.next(stage).await?;
            // Another recording may have been before.
            if message.recording_id != recording_id {
                continue;
            }
            ensure!(users.contains(&message.user_id), "{message:?}");
            ensure!(message.guild_id == stage.guild, "{message:?}");
            ensure!(message.channel_id == stage.channels[0], "{message:?}");
            let heard = frames.entry(message.user_id).or_default();
            heard.extend(message.frames);
        }
        Ok(frames)
    }
}

impl Stage {
    /// The channel's users who are there from the beginning, and one more.
    pub(super) fn speakers(&self) -> Result<[u64; 2]> {
        let state = self.sim().voice().state();
        let call = state.calls.first().context("a call")?;
        let first = *call.users.first().context("a user")?;
        Ok([first, first + 1_000_000])
    }

    /// Has users say a tone of their own each, and waits until all can hear them.
    pub(super) async fn speak(&self, tones: &[(u64, u32)], duration_ms: Option<u64>) -> Result<()> {
        let channel_id = self.channels[0];
        for (user_id, _) in tones {
            self.sim().voice().seat(channel_id, *user_id);
        }
        let has_all = |state: &State| {
            let mut calls = state.calls.iter();
            calls.any(|call| {
                call.dave_version == 0
                    || tones.iter().all(|(user, _)| call.members.contains(user))
                        && call.transitions > 0
            })
        };
        self.listened("a group of all", has_all).await?;
        for (user_id, frequency_hz) in tones {
            self.sim().voice().speak(Speak {
                channel_id,
                user_id: *user_id,
                frequency_hz: *frequency_hz,
                duration_ms,
            })?;
        }
        Ok(())
    }

    /// What is recorded for the broker when nothing else is said.
    pub(super) fn recording(&self, format: VoiceStreamFormat) -> VoiceRecordRequest {
        VoiceRecordRequest {
            guild_id: self.guild,
            target: VoiceRecordTarget::Broker.into(),
            format: format.into(),
            ..VoiceRecordRequest::default()
        }
    }

    /// Begins a recording; its name.
    pub(super) async fn record(&mut self, wanted: &VoiceRecordRequest) -> Result<String> {
        let recorded: VoiceRecordResponse = self.ask("Record", wanted).await?;
        Ok(recorded.recording_id)
    }

    /// Ends it.
    pub(super) async fn stop_record(&mut self) -> Result<VoiceStopRecordResponse> {
        let guild_id = self.guild;
        let wanted = VoiceStopRecordRequest { guild_id };
        self.ask("StopRecord", &wanted).await
    }

    /// The next end of a recording that is told.
    pub(super) async fn recording_end(&mut self) -> Result<RecordingEnd> {
        match self.told("RECORDING_END").await? {
            Data::RecordingEnd(end) => Ok(*end),
            data => bail!("{data:?}"),
        }
    }
}

/// How many frames a metric of the node says that recordings got, by what became of them.
pub(super) async fn received(node: &Service, outcome: &str) -> Result<u64> {
    let text = reqwest::get(format!("{}/metrics", node.admin().await?));
    let text = text.await?.text().await?;
    let name = format!("gateway_voice_received_frames_total{{outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    Ok(line.unwrap_or("0").parse()?)
}

/// Samples of one channel of packets of Opus. What is no sound is left out.
pub(super) fn decoded<'a>(packets: impl Iterator<Item = &'a [u8]>) -> Result<Vec<i16>> {
    let mut decoder = Decoder::new(48_000, Channels::Stereo)?;
    let mut samples = Vec::new();
    for packet in packets {
        let mut both = [0; 6 * 2 * SAMPLES as usize];
        let count = decoder.decode(packet, &mut both, false)?;
        samples.extend(both[..count * 2].chunks(2).map(|pair| pair[0]));
    }
    Ok(samples)
}

/// Fails when samples are no tone of this pitch, by how often they rise through zero. What is not loud does not count.
#[expect(clippy::cast_precision_loss, reason = "there are few samples")]
pub(super) fn sounds(samples: &[i16], hertz: f64) -> Result<()> {
    let first = samples.iter().position(|it| it.unsigned_abs() > 2_000);
    let last = samples.iter().rposition(|it| it.unsigned_abs() > 2_000);
    let (first, last) = first.zip(last).context("silence")?;
    let loud = &samples[first..=last];
    ensure!(loud.len() > 24_000, "{} samples are loud", loud.len());
    let rises = loud.windows(2).filter(|it| it[0] < 0 && it[1] >= 0).count();
    let pitch = rises as f64 * 48_000.0 / loud.len() as f64;
    ensure!((pitch - hertz).abs() < 15.0, "{pitch} Hz, not {hertz}");
    Ok(())
}
