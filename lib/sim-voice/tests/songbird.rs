//! songbird, the library that plays and listens for bots in Rust, against the voice server.
//!
//! songbird trusts what its environment says is trusted, so each test runs itself once more as a process of its own, where
//! `SSL_CERT_FILE` names the certificate that the voice server writes.

use std::{
    ffi::OsStr,
    io::Cursor,
    num::{NonZeroU8, NonZeroU64},
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use opus2::{Channels, Decoder};
use sim_voice::{ClientState, Config, Settings, Speak, State, Target, Times, VoiceServer};
use songbird::{
    ConnectionInfo, CoreEvent, Driver, Event, EventContext, EventHandler,
    driver::{
        CryptoMode, DecodeConfig, DecodeMode,
        retry::{Retry, Strategy},
    },
    events::context_data::DisconnectReason,
    id::{ChannelId, GuildId, UserId},
    input::RawAdapter,
    model::CloseCode,
    packet::Packet as _,
};
use tokio::{runtime::Builder, time::timeout};

use crate::client::{CHANNEL, GUILD, OTHER, PATIENCE, USER, grant};

/// What the file of the certificate is called.
const FILE: &str = "sim-voice.pem";
/// How long a tone is played.
const TONE_MS: u64 = 2000;

/// Runs the scenario in a process that trusts the certificate in the file that it is given.
fn trusting<F: Future<Output = ()>>(name: &str, scenario: impl FnOnce(PathBuf) -> F) {
    let trusted = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    if let Some(file) = trusted.filter(|file| file.file_name() == Some(OsStr::new(FILE))) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        return runtime.unwrap().block_on(scenario(file));
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("songbird::{name}"), "--exact", "--nocapture"])
        .env("SSL_CERT_FILE", folder.path().join(FILE))
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        said(&output.stdout),
        said(&output.stderr)
    );
    assert!(
        said(&output.stdout).contains("1 passed"),
        "there is no test {name}"
    );
}

/// A voice server and songbird in its channel.
struct Stage {
    server: VoiceServer,
    driver: Driver,
    notes: Notes,
}

/// What songbird tells.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Note>>>);

#[derive(Debug, PartialEq)]
enum Note {
    Reconnected,
    Disconnected(Option<DisconnectReason>),
    /// A frame of Opus.
    Frame(Vec<u8>),
    /// Samples of the first channel.
    Heard(Vec<i16>),
}

#[async_trait::async_trait]
impl EventHandler for Notes {
    async fn act(&self, context: &EventContext<'_>) -> Option<Event> {
        let note = match context {
            EventContext::DriverReconnect(_) => Note::Reconnected,
            EventContext::DriverDisconnect(data) => Note::Disconnected(data.reason),
            EventContext::RtpPacket(data) => {
                let rtp = data.rtp();
                let payload = rtp.payload();
                Note::Frame(
                    payload[data.payload_offset..payload.len() - data.payload_end_pad].to_vec(),
                )
            }
            EventContext::VoiceTick(tick) => {
                let voice = tick
                    .speaking
                    .values()
                    .find_map(|voice| voice.decoded_voice.as_ref());
                Note::Heard(voice?.chunks(2).map(|pair| pair[0]).collect())
            }
            _ => return None,
        };
        self.0.lock().unwrap().push(note);
        None
    }
}

impl Notes {
    /// Waits until there is a note like this.
    async fn until(&self, wanted: impl Fn(&[Note]) -> bool) {
        let look = async {
            while !wanted(&self.0.lock().unwrap()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(PATIENCE, look).await.is_err() {
            let notes = self.0.lock().unwrap();
            let notes: Vec<&Note> = notes
                .iter()
                .filter(|it| !matches!(it, Note::Heard(_) | Note::Frame(_)))
                .collect();
            panic!("songbird said only {notes:?}");
        }
    }
}

impl Stage {
    async fn new(file: PathBuf, mode: CryptoMode, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::default();
        change(&mut settings);
        let config = Config {
            certificate_file: Some(file),
            settings,
            ..Config::default()
        };
        let server = VoiceServer::start(config).await.unwrap();
        server.allow(grant(USER));
        let retry = Retry {
            strategy: Strategy::Every(Duration::from_millis(50).into()),
            retry_limit: NonZeroU8::new(1),
        };
        let config = songbird::Config::default()
            .crypto_mode(mode)
            .decode_mode(DecodeMode::Decode(DecodeConfig::default()))
            .driver_retry(retry);
        let mut driver = Driver::new(config);
        let notes = Notes::default();
        for event in [
            CoreEvent::DriverReconnect,
            CoreEvent::DriverDisconnect,
            CoreEvent::RtpPacket,
            CoreEvent::VoiceTick,
        ] {
            driver.add_global_event(event.into(), notes.clone());
        }
        Self {
            server,
            driver,
            notes,
        }
    }

    /// Joins, and waits until what is said is understood.
    async fn joined(file: PathBuf, mode: CryptoMode, change: impl FnOnce(&mut Settings)) -> Self {
        let mut stage = Self::new(file, mode, change).await;
        let info = stage.info();
        stage.driver.connect(info).await.unwrap();
        let ready = |state: &State| {
            let [call] = &state.calls[..] else {
                return false;
            };
            call.dave_version == 0 || (call.members == [USER, OTHER] && call.transitions > 0)
        };
        stage.until("a call", ready).await;
        stage
    }

    fn info(&self) -> ConnectionInfo {
        let id = |id| NonZeroU64::new(id).unwrap();
        let grant = grant(USER);
        ConnectionInfo {
            channel_id: ChannelId(id(CHANNEL)),
            guild_id: GuildId(id(GUILD)),
            user_id: UserId(id(USER)),
            endpoint: self.server.endpoints()[0].clone(),
            session_id: grant.session_id,
            token: grant.token,
        }
    }

    async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        let found = self.server.wait_for(what, PATIENCE, wanted).await;
        found.unwrap_or_else(|error| panic!("{error}: {:#?}", self.server.state()))
    }

    /// Plays a tone of 440 Hz.
    fn play(&mut self, milliseconds: u64) {
        let samples = (0..milliseconds * 48).flat_map(|place| {
            #[expect(clippy::cast_precision_loss, reason = "places are few")]
            let turns = place as f32 * 440.0 / 48_000.0;
            let sample = (turns.fract() * std::f32::consts::TAU).sin() * 0.4;
            [sample.to_le_bytes(); 2].concat()
        });
        let source = RawAdapter::new(Cursor::new(samples.collect::<Vec<u8>>()), 48_000, 2);
        self.driver.play_only_input(source.into());
    }

    /// Waits until a tone of that length, and the silence after it, is over.
    async fn heard(&self, milliseconds: u64) -> ClientState {
        let wanted = milliseconds - 40;
        let over = |state: &State| {
            let heard = &state.clients[0].heard;
            heard.audio_ms >= wanted && heard.silent >= 5
        };
        let state = self.until("the tone", over).await;
        assert_eq!(state.violations, []);
        state.clients[0].clone()
    }

    fn heard_milliseconds(state: &State) -> u64 {
        state.clients[0].heard.audio_ms
    }
}

/// A clean tone without a hole. What the packets themselves say is the same on every machine.
fn assert_whole(client: &ClientState) {
    let heard = &client.heard;
    assert!(
        (heard.frequency_hz.unwrap() - 440.0).abs() < 1.0,
        "{heard:?}"
    );
    assert!(heard.purity.unwrap() > 0.95, "{heard:?}");
    assert_eq!(
        (heard.lost, heard.late, heard.repeated),
        (0, 0, 0),
        "{heard:?}"
    );
    assert_eq!((heard.undecodable, heard.undecrypted), (0, 0), "{heard:?}");
    assert!(heard.longest_gap_ms <= 40.0, "{heard:?}");
}

#[test]
fn a_tone_arrives_with_dave() {
    trusting("a_tone_arrives_with_dave", async |file| {
        let mut stage = Stage::joined(file, CryptoMode::Aes256Gcm, |_| {}).await;
        stage.play(TONE_MS);
        let client = stage.heard(TONE_MS).await;
        assert_whole(&client);
        assert_eq!(client.heard.unencrypted, 0);
        assert_eq!(client.mode.as_deref(), Some("aead_aes256_gcm_rtpsize"));
        println!("{:#?}", client.heard);
    });
}

#[test]
fn a_tone_arrives_without_dave() {
    trusting("a_tone_arrives_without_dave", async |file| {
        let plain = |settings: &mut Settings| settings.dave_version = 0;
        let mut stage = Stage::joined(file, CryptoMode::XChaCha20Poly1305, plain).await;
        stage.play(TONE_MS);
        let client = stage.heard(TONE_MS).await;
        assert_whole(&client);
        assert!(client.heard.unencrypted > 0);
        assert_eq!(
            client.mode.as_deref(),
            Some("aead_xchacha20_poly1305_rtpsize")
        );
    });
}

#[test]
fn members_come_and_go_while_a_tone_is_played() {
    trusting("members_come_and_go_while_a_tone_is_played", async |file| {
        let welcome = |settings: &mut Settings| settings.users_commit = true;
        let mut stage = Stage::joined(file, CryptoMode::XChaCha20Poly1305, welcome).await;
        stage.play(TONE_MS);
        for user in [60, 61] {
            stage
                .server
                .change_settings(|settings| settings.users_commit = user == 60);
            stage.server.seat(CHANNEL, user);
            let member = |state: &State| state.calls[0].members.contains(&user);
            stage.until("a member", member).await;
        }
        let before = stage.server.state().calls[0].transitions;
        stage.server.unseat(CHANNEL, 60).unwrap();
        stage
            .until("one less", |state| state.calls[0].transitions > before)
            .await;
        let client = stage.heard(TONE_MS).await;
        assert_whole(&client);
        assert_eq!(client.heard.unencrypted, 0);
    });
}

#[test]
fn songbird_recovers_from_a_broken_welcome() {
    trusting("songbird_recovers_from_a_broken_welcome", async |file| {
        let welcome = |settings: &mut Settings| settings.users_commit = true;
        let mut stage = Stage::new(file, CryptoMode::Aes256Gcm, welcome).await;
        stage
            .server
            .change_faults(|faults| faults.break_commits = Times::Next(1));
        let info = stage.info();
        stage.driver.connect(info).await.unwrap();
        let member = |state: &State| {
            state
                .calls
                .iter()
                .any(|call| call.members == [USER, OTHER] && call.transitions > 0)
        };
        stage.until("a group", member).await;
        stage.play(TONE_MS);
        let client = stage.heard(TONE_MS).await;
        assert_whole(&client);
    });
}

/// The pitch of what songbird has heard: that of most of its pieces, as some are made up for what was lost.
fn pitch(notes: &[Note]) -> f64 {
    let heard = notes.iter().filter_map(|note| match note {
        Note::Heard(samples) => Some(samples),
        Note::Reconnected | Note::Disconnected(_) | Note::Frame(_) => None,
    });
    let mut pitches: Vec<f64> = heard.filter_map(|samples| pitch_of(samples)).collect();
    pitches.sort_by(f64::total_cmp);
    pitches[pitches.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a piece has few samples")]
fn pitch_of(samples: &[i16]) -> Option<f64> {
    let rises: Vec<usize> = (1..samples.len())
        .filter(|place| samples[place - 1] < 0 && samples[*place] >= 0)
        .collect();
    let (first, last) = (
        rises.first()?,
        rises.last().filter(|last| Some(*last) != rises.first())?,
    );
    Some((rises.len() - 1) as f64 * 48_000.0 / (last - first) as f64)
}

/// A call in which a simulated user says a tone of 1000 Hz, some of which is lost or comes out of order.
async fn listening(file: PathBuf, mode: CryptoMode, change: impl FnOnce(&mut Settings)) -> Stage {
    let stage = Stage::joined(file, mode, change).await;
    stage.server.change_faults(|faults| {
        faults.lose_every = 50;
        faults.swap_every = 30;
    });
    let speak = Speak {
        channel_id: CHANNEL,
        user_id: OTHER,
        frequency_hz: 1000,
        duration_ms: None,
    };
    stage.server.speak(speak).unwrap();
    stage
}

#[test]
fn songbird_hears_a_tone_in_spite_of_losses() {
    trusting("songbird_hears_a_tone_in_spite_of_losses", async |file| {
        let plain = |settings: &mut Settings| settings.dave_version = 0;
        let stage = listening(file, CryptoMode::XChaCha20Poly1305, plain).await;
        let loud = |note: &&Note| matches!(note, Note::Heard(it) if it.iter().any(|it| *it > 5000));
        let full = |notes: &[Note]| notes.iter().filter(loud).count() > 120;
        stage.notes.until(full).await;
        let pitch = pitch(&stage.notes.0.lock().unwrap());
        assert!((pitch - 1000.0).abs() < 10.0, "{pitch}");
        assert!(stage.server.state().clients[0].dropped > 1);
    });
}

/// With DAVE songbird 0.6.1 decodes a frame together with what DAVE had put after it, which is noise; the frames that it hands
/// over are right.
#[test]
fn songbird_decrypts_a_tone_in_spite_of_losses() {
    trusting(
        "songbird_decrypts_a_tone_in_spite_of_losses",
        async |file| {
            let stage = listening(file, CryptoMode::Aes256Gcm, |_| {}).await;
            let frame = |note: &&Note| matches!(note, Note::Frame(_));
            let full = |notes: &[Note]| notes.iter().filter(frame).count() > 120;
            stage.notes.until(full).await;
            let mut decoder = Decoder::new(48_000, Channels::Stereo).unwrap();
            let notes = stage.notes.0.lock().unwrap();
            let decoded = notes.iter().filter_map(|note| {
                let Note::Frame(frame) = note else {
                    return None;
                };
                let mut pcm = [0; 1920];
                assert_eq!(decoder.decode(frame, &mut pcm, false).unwrap(), 960);
                Some(Note::Heard(pcm.chunks(2).map(|pair| pair[0]).collect()))
            });
            let decoded: Vec<Note> = decoded.collect();
            let pitch = pitch(&decoded);
            assert!((pitch - 1000.0).abs() < 10.0, "{pitch}");
        },
    );
}

#[test]
fn songbird_resumes_and_plays_on() {
    trusting("songbird_resumes_and_plays_on", async |file| {
        let mut stage = Stage::joined(file, CryptoMode::Aes256Gcm, |_| {}).await;
        stage.play(TONE_MS * 2);
        stage
            .until("sound", |state| Stage::heard_milliseconds(state) > 200)
            .await;
        stage.server.close(Target::default(), 4015).unwrap();
        let state = stage
            .until("a resume", |state| {
                state.resumes == 1 && state.clients[0].connected
            })
            .await;
        assert_eq!(state.identifies, 1);
        stage
            .notes
            .until(|notes| notes.contains(&Note::Reconnected))
            .await;
        assert_whole(&stage.heard(TONE_MS * 2).await);
    });
}

#[test]
fn songbird_gives_up_when_it_is_told_to() {
    trusting("songbird_gives_up_when_it_is_told_to", async |file| {
        let mut stage = Stage::joined(file, CryptoMode::Aes256Gcm, |_| {}).await;
        let codes = [
            (4006, CloseCode::SessionInvalid),
            (4014, CloseCode::Disconnected),
            (4021, CloseCode::RateLimited),
            (4022, CloseCode::CallTerminated),
        ];
        for (sent, code) in codes {
            stage.server.close(Target::default(), sent).unwrap();
            let note = Note::Disconnected(Some(DisconnectReason::WsClosed(Some(code))));
            stage.notes.until(|notes| notes.contains(&note)).await;
            let info = stage.info();
            stage.driver.connect(info).await.unwrap();
        }
        stage.driver.leave();
        stage
            .notes
            .until(|notes| notes.contains(&Note::Disconnected(Some(DisconnectReason::Requested))))
            .await;
        stage
            .server
            .change_faults(|faults| faults.refuse_identify_code = Some(4017));
        let info = stage.info();
        stage.driver.connect(info).await.unwrap_err();
        let last = stage.server.state().clients.last().unwrap().ended;
        assert_ne!(last, Some(4017), "no session began");
        let note = Note::Disconnected(Some(DisconnectReason::WsClosed(Some(
            CloseCode::DaveProtocolRequired,
        ))));
        stage.notes.until(|notes| notes.contains(&note)).await;
    });
}
