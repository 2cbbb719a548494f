//! Calls with losses and with end-to-end encryption.
//!
//! songbird trusts what its environment says is trusted, so each test runs itself once more as a process of its own,
//! where `SSL_CERT_FILE` names the certificate that the voice server writes.

use std::{
    collections::HashSet, ffi::OsStr, num::NonZeroU64, path::PathBuf, process::Command,
    time::Duration,
};

use opus2::{Channels, Decoder};
use recording::{Call, Ears, Format};
use sim_voice::{Config, Grant, Speak, State, VoiceServer};
use songbird::{
    ConnectionInfo, Driver,
    driver::DecodeMode,
    id::{ChannelId, GuildId, UserId},
};
use tokio::{sync::mpsc::Receiver, time::timeout};
use wire::gateway::v1::{VoiceAudio, VoiceStreamFormat};

const PATIENCE: Duration = Duration::from_secs(60);
const FILE: &str = "sim-voice.pem";
const GUILD: u64 = 41;
const CHANNEL: u64 = 42;
const USER: u64 = 43;
/// A simulated user.
const OTHER: u64 = 44;

fn trusting<F: Future<Output = ()>>(name: &str, scenario: impl FnOnce(PathBuf) -> F) {
    let trusted = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    if let Some(file) = trusted.filter(|file| file.file_name() == Some(OsStr::new(FILE))) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(scenario(file));
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("hearing::{name}"), "--exact", "--nocapture"])
        .env("SSL_CERT_FILE", folder.path().join(FILE))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("1 passed"), "there is no test {name}");
}

/// A call with a simulated user, whose packets are lost and mixed up now and then.
struct Stage {
    server: VoiceServer,
    ears: Ears,
    _driver: Driver,
}

impl Stage {
    async fn new(file: PathBuf) -> Self {
        let config = Config {
            certificate_file: Some(file),
            ..Config::default()
        };
        let server = VoiceServer::start(config).await.unwrap();
        let grant = Grant {
            guild_id: GUILD,
            channel_id: CHANNEL,
            user_id: USER,
            session_id: "session".to_owned(),
            token: "token".to_owned(),
            companion: Some(OTHER),
        };
        server.allow(grant.clone());
        server.change_faults(|faults| {
            faults.lose_every = 50;
            faults.swap_every = 30;
        });
        let id = |id| NonZeroU64::new(id).unwrap();
        let info = ConnectionInfo {
            channel_id: ChannelId(id(CHANNEL)),
            guild_id: GuildId(id(GUILD)),
            user_id: UserId(id(USER)),
            endpoint: server.endpoints()[0].clone(),
            session_id: grant.session_id,
            token: grant.token,
        };
        let config = songbird::Config::default().decode_mode(DecodeMode::Decrypt);
        let mut driver = Driver::new(config);
        let ears = Ears::default();
        ears.listen(&mut driver);
        driver.connect(info).await.unwrap();
        let ready = |state: &State| {
            let calls = &state.calls[..];
            calls
                .iter()
                .any(|call| call.members == [USER, OTHER] && call.transitions > 0)
        };
        server.wait_for("a group", PATIENCE, ready).await.unwrap();
        Self {
            server,
            ears,
            _driver: driver,
        }
    }

    fn speak(&self, duration_ms: Option<u64>) {
        let speak = Speak {
            channel_id: CHANNEL,
            user_id: OTHER,
            frequency_hz: 1000,
            duration_ms,
        };
        self.server.speak(speak).unwrap();
    }

    /// Has the user speak for a second, and waits until so many packets were sent in all.
    async fn say_something(&self, packets: u64) {
        self.speak(Some(1000));
        let enough = |state: &State| state.clients[0].sent >= packets;
        let sent = self.server.wait_for("speech", PATIENCE, enough).await;
        sent.unwrap();
        // What was sent last is still under way.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    fn record(&self, format: Format) -> (recording::Recording, Receiver<VoiceAudio>) {
        let call = Call {
            guild_id: GUILD,
            channel_id: CHANNEL,
        };
        self.ears.record_audio(call, HashSet::new(), format)
    }
}

async fn next(audio: &mut Receiver<VoiceAudio>) -> VoiceAudio {
    let message = timeout(PATIENCE, audio.recv())
        .await
        .expect("something is said");
    message.unwrap()
}

/// How often a second samples rise through zero.
#[expect(clippy::cast_precision_loss, reason = "few samples")]
fn pitch(samples: &[i16]) -> f64 {
    let pairs = samples.windows(2);
    let rises = pairs.filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    rises as f64 * 48_000.0 / samples.len() as f64
}

fn left(samples: &[i16]) -> Vec<i16> {
    samples.chunks(2).map(|pair| pair[0]).collect()
}

fn decode(decoder: &mut Decoder, packet: &[u8]) -> Vec<i16> {
    let mut samples = [0; 11_520];
    let count = decoder.decode(packet, &mut samples, false).unwrap();
    left(&samples[..count * 2])
}

#[test]
fn frames_of_a_speaker_become_messages_in_order() {
    trusting(
        "frames_of_a_speaker_become_messages_in_order",
        async |file| {
            let stage = Stage::new(file).await;
            let (recording, mut audio) = stage.record(Format::Opus);
            stage.speak(None);
            let mut frames = Vec::new();
            while frames.len() < 150 {
                let message = next(&mut audio).await;
                assert_eq!((message.guild_id, message.channel_id), (GUILD, CHANNEL));
                assert_eq!(
                    (message.user_id, &*message.recording_id),
                    (OTHER, recording.id())
                );
                assert_eq!(message.format(), VoiceStreamFormat::Opus);
                frames.extend(message.frames);
            }
            let mut decoder = Decoder::new(48_000, Channels::Stereo).unwrap();
            let mut samples = Vec::new();
            let mut lost = 0;
            for pair in frames.windows(2) {
                let step = pair[1].sequence.wrapping_sub(pair[0].sequence) & 0xffff;
                assert!((1..5).contains(&step), "{step}");
                assert_eq!(
                    pair[1].timestamp.wrapping_sub(pair[0].timestamp),
                    step * 960
                );
                lost += step - 1;
                samples.extend(decode(&mut decoder, &pair[0].data));
            }
            // One of fifty, by order.
            assert!((1..=6).contains(&lost), "{lost}");
            let pitch = pitch(&samples);
            assert!((pitch - 1000.0).abs() < 15.0, "{pitch}");
            let tally = recording.tally();
            assert_eq!(recording.stop().await.users, [OTHER]);
            assert_eq!(tally.dropped(), 0);
            assert!(tally.frames() >= frames.len() as u64);
            assert!(
                timeout(PATIENCE, async { while audio.recv().await.is_some() {} })
                    .await
                    .is_ok()
            );
        },
    );
}

#[test]
fn frames_are_decoded_when_that_is_wanted() {
    trusting("frames_are_decoded_when_that_is_wanted", async |file| {
        let stage = Stage::new(file).await;
        let (_recording, mut audio) = stage.record(Format::Pcm);
        stage.speak(None);
        let mut samples = Vec::new();
        while samples.len() < 48_000 * 2 {
            let message = next(&mut audio).await;
            assert_eq!(message.format(), VoiceStreamFormat::Pcm);
            for frame in message.frames {
                let pairs = frame.data.chunks_exact(2);
                let both: Vec<i16> = pairs.map(|it| i16::from_le_bytes([it[0], it[1]])).collect();
                assert!(both.is_empty() || both.len() == 1920);
                samples.extend(left(&both));
            }
        }
        let pitch = pitch(&samples);
        assert!((pitch - 1000.0).abs() < 15.0, "{pitch}");
    });
}

#[test]
fn a_speaker_becomes_a_file_that_has_the_time_of_the_call() {
    let name = "a_speaker_becomes_a_file_that_has_the_time_of_the_call";
    trusting(name, async |file| {
        let stage = Stage::new(file).await;
        let folder = tempfile::tempdir().unwrap();
        let recording = stage.ears.record_files(folder.path(), HashSet::new());
        let recording = recording.await.unwrap();
        let began = tokio::time::Instant::now();
        stage.say_something(45).await;
        // A rest that is to be found in the file too.
        tokio::time::sleep(Duration::from_secs(3)).await;
        stage.say_something(90).await;
        let id = recording.id().to_owned();
        let tally = recording.tally();
        let stopped = recording.stop().await;
        let passed = began.elapsed();
        assert!(stopped.failure.is_none(), "{:?}", stopped.failure);
        assert_eq!((stopped.files.len(), tally.dropped()), (1, 0));
        let written = &stopped.files[0];
        assert_eq!(written.user_id, OTHER);
        assert_eq!(written.file, format!("{id}/{OTHER}.ogg"));
        let content = std::fs::read(folder.path().join(&written.file)).unwrap();
        let loud = Loud::of(content);
        let length = Duration::from_millis(20) * loud.count;
        assert_eq!(written.duration, length.try_into().ok());
        assert!(length <= passed + Duration::from_millis(100), "{length:?}");
        assert!(length > Duration::from_secs(4), "{length:?}");
        let samples: Vec<i16> = loud.frames.iter().flat_map(|it| it.1.clone()).collect();
        let pitch = pitch(&samples);
        assert!((pitch - 1000.0).abs() < 25.0, "{pitch}");
        // The rest, in frames.
        let pairs = loud.frames.windows(2);
        let rest = pairs.map(|pair| pair[1].0 - pair[0].0).max().unwrap();
        assert!(rest >= 140, "{rest}");
    });
}

/// What can be heard in a file.
struct Loud {
    /// Frames of the file.
    count: u32,
    /// Those that are no silence, with their places.
    frames: Vec<(u32, Vec<i16>)>,
}

impl Loud {
    fn of(content: Vec<u8>) -> Self {
        let mut reader = ogg::PacketReader::new(std::io::Cursor::new(content));
        let mut decoder = Decoder::new(48_000, Channels::Stereo).unwrap();
        let (mut count, mut frames) = (0, Vec::new());
        while let Some(packet) = reader.read_packet().unwrap() {
            // Both heads.
            if packet.absgp_page() == 0 {
                continue;
            }
            count += 1;
            let samples = decode(&mut decoder, &packet.data);
            if samples.iter().any(|sample| sample.unsigned_abs() > 1000) {
                frames.push((count, samples));
            }
        }
        Self { count, frames }
    }
}
