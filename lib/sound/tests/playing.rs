//! Sources through songbird to a simulated voice server.
//!
//! songbird trusts what its environment says is trusted, so each test runs itself once more as a process of its own,
//! where `SSL_CERT_FILE` names the certificate that the voice server writes.

use std::{ffi::OsStr, num::NonZeroU64, path::PathBuf, process::Command, time::Duration};

use sim_voice::{Config, Grant, Settings, State, VoiceServer};
use songbird::{
    ConnectionInfo, Driver,
    id::{ChannelId, GuildId, UserId},
    tracks::TrackHandle,
};
use sound::{Error, Format, Source, stream};

use crate::{
    hear::{PATIENCE, media, sources, wav},
    ogg,
};

const FILE: &str = "sim-voice.pem";
const GUILD: u64 = 41;
const CHANNEL: u64 = 42;
const USER: u64 = 43;

fn trusting<F: Future<Output = ()>>(name: &str, scenario: impl FnOnce(PathBuf) -> F) {
    let trusted = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    if let Some(file) = trusted.filter(|file| file.file_name() == Some(OsStr::new(FILE))) {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        return runtime.unwrap().block_on(scenario(file));
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([&format!("playing::{name}"), "--exact", "--nocapture"])
        .env("SSL_CERT_FILE", folder.path().join(FILE))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    assert!(said.contains("1 passed"), "there is no test {name}");
}

/// A voice server and songbird in its channel.
struct Stage {
    server: VoiceServer,
    driver: Driver,
}

impl Stage {
    async fn new(file: PathBuf) -> Self {
        let config = Config {
            certificate_file: Some(file),
            settings: Settings {
                dave_version: 0,
                ..Settings::default()
            },
            ..Config::default()
        };
        let server = VoiceServer::start(config).await.unwrap();
        let grant = Grant {
            guild_id: GUILD,
            channel_id: CHANNEL,
            user_id: USER,
            session_id: "session".to_owned(),
            token: "token".to_owned(),
            companion: None,
        };
        server.allow(grant.clone());
        let id = |id| NonZeroU64::new(id).unwrap();
        let info = ConnectionInfo {
            channel_id: ChannelId(id(CHANNEL)),
            guild_id: GuildId(id(GUILD)),
            user_id: UserId(id(USER)),
            endpoint: server.endpoints()[0].clone(),
            session_id: grant.session_id,
            token: grant.token,
        };
        let mut driver = Driver::new(songbird::Config::default());
        driver.connect(info).await.unwrap();
        Self { server, driver }
    }

    async fn play(&mut self, source: Source) -> (TrackHandle, sound::Health) {
        let opened = sources().open(source).await.unwrap();
        (self.driver.play_only_input(opened.input), opened.health)
    }

    async fn until(&self, what: &str, wanted: impl Fn(&State) -> bool) -> State {
        let found = self.server.wait_for(what, PATIENCE, wanted).await;
        found.unwrap_or_else(|error| panic!("{error}: {:#?}", self.server.state()))
    }

    /// Waits for the silence after a track.
    async fn over(&self) -> sim_voice::Heard {
        let over = |state: &State| state.clients[0].heard.silent >= 5;
        let state = self.until("the end", over).await;
        assert_eq!(state.violations, []);
        state.clients[0].heard.clone()
    }
}

fn checksum(frames: &[Vec<u8>]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    frames.iter().for_each(|frame| hasher.update(frame));
    hasher.finalize()
}

#[test]
fn the_packets_of_a_file_arrive_as_they_are() {
    trusting("the_packets_of_a_file_arrive_as_they_are", async |file| {
        let mut stage = Stage::new(file).await;
        let content = media("tone.opus");
        let packets = ogg::packets(&content).split_off(2);
        stage.play(Source::Data(content.into())).await;
        let heard = stage.over().await;
        assert_eq!(heard.checksum, checksum(&packets), "{heard:?}");
        assert_eq!((heard.lost, heard.gaps), (0, 0), "{heard:?}");
    });
}

#[test]
fn the_frames_of_a_stream_arrive_as_they_are() {
    trusting("the_frames_of_a_stream_arrive_as_they_are", async |file| {
        let mut stage = Stage::new(file).await;
        let (sender, stream) = stream(Format::Opus);
        let frames = ogg::tone(60);
        let bytes = frames.iter().cloned().map(Into::into).collect();
        sender.send(0, bytes, true).await.unwrap();
        stage.play(Source::Stream(stream)).await;
        assert_eq!(stage.over().await.checksum, checksum(&frames));
    });
}

#[test]
fn a_tone_that_is_decoded_arrives_as_a_tone() {
    trusting("a_tone_that_is_decoded_arrives_as_a_tone", async |file| {
        let mut stage = Stage::new(file).await;
        stage.play(Source::Data(wav(44_100, 88_200).into())).await;
        let heard = stage.over().await;
        assert!(
            (heard.frequency_hz.unwrap() - 440.0).abs() < 1.0,
            "{heard:?}"
        );
        assert!(heard.purity.unwrap() > 0.9, "{heard:?}");
        assert!((1900..=2100).contains(&heard.audio_ms), "{heard:?}");
        assert!(heard.longest_gap_ms <= 40.0, "{heard:?}");
    });
}

#[test]
fn songbird_seeks_and_stays_when_there_is_nothing() {
    trusting(
        "songbird_seeks_and_stays_when_there_is_nothing",
        async |file| {
            let mut stage = Stage::new(file).await;
            let (track, health) = stage.play(Source::Data(media("tone.mp3").into())).await;
            track.pause().unwrap();
            let reached = track.seek_async(Duration::from_secs(1)).await.unwrap();
            assert!(reached.abs_diff(Duration::from_secs(1)) < Duration::from_millis(100));
            assert_eq!(health.refused_seek(), None);
            let stayed = track.seek_async(Duration::from_secs(9)).await.unwrap();
            assert!(
                stayed.abs_diff(reached) < Duration::from_millis(100),
                "{stayed:?}"
            );
            assert!(matches!(health.refused_seek(), Some(Error::PastEnd(_))));
            track.play().unwrap();
            let heard = stage.over().await;
            assert!(
                (heard.frequency_hz.unwrap() - 440.0).abs() < 3.0,
                "{heard:?}"
            );
        },
    );
}
