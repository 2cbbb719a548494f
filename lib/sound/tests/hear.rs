//! What a source sounds like, without songbird's mixer.

use std::{sync::Once, time::Duration};

use boot::Reader;
use places::Places;
use songbird::input::{Input, LiveInput, Parsed};
use sound::{Config, Health, KEYS, Opened, Sources};
use symphonia::core::{
    audio::{AudioBuffer, Signal as _},
    codecs::CODEC_TYPE_OPUS,
    errors::Result,
    formats::{Packet, SeekMode, SeekTo},
    units::Time,
};
use tokio::time::{sleep, timeout};

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// What is quieter is no tone.
const NOISE: f32 = 0.03;

static TLS: Once = Once::new();

/// What is set when nothing is, but for addresses: all are allowed.
pub(crate) fn config() -> Config {
    TLS.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    });
    let mut reader = Reader::new(&[KEYS], [], None);
    let config = Config::read(&mut reader);
    Config {
        urls: Places::Any,
        source_timeout: PATIENCE,
        ..reader.finish(config).unwrap()
    }
}

pub(crate) fn sources() -> Sources {
    Sources::new(config()).unwrap()
}

pub(crate) fn media(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

/// A WAV file with so many samples of one channel.
pub(crate) fn wav(rate: u32, samples: u32) -> Vec<u8> {
    let length = samples * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + length).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(rate.to_le_bytes());
    file.extend((rate * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "it is between both bounds")]
    file.extend((0..samples).flat_map(|place| {
        let turns = f64::from(place) * 440.0 / f64::from(rate);
        (((turns * std::f64::consts::TAU).sin() * 12_000.0) as i16).to_le_bytes()
    }));
    file
}

/// Plays a source as fast as it comes.
pub(crate) struct Player {
    parsed: Parsed,
    pub(crate) health: Health,
}

/// What was heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// Samples of the left channel, at 48 kHz.
    pub(crate) samples: Vec<f32>,
    /// The packets that it was made of.
    pub(crate) packets: Vec<Vec<u8>>,
}

impl Player {
    pub(crate) fn new(opened: Opened) -> Self {
        let Input::Live(LiveInput::Parsed(parsed), _) = opened.input else {
            panic!("it cannot be played at once");
        };
        let health = opened.health;
        Self { parsed, health }
    }

    /// Whether songbird passes its packets on as they are.
    pub(crate) fn is_passed_on(&self) -> bool {
        self.parsed.decoder.codec_params().codec == CODEC_TYPE_OPUS
    }

    /// Listens to the end.
    pub(crate) async fn all(&mut self) -> Heard {
        self.some(usize::MAX).await
    }

    /// Listens until so many samples are heard, or to the end.
    pub(crate) async fn some(&mut self, most: usize) -> Heard {
        let mut heard = Heard::default();
        let listening = async {
            while heard.samples.len() < most {
                match self.next().await {
                    Ok(packet) => self.decode(&packet, &mut heard),
                    Err(_) => break,
                }
            }
        };
        timeout(PATIENCE, listening).await.expect("it goes on");
        heard
    }

    /// The next packet that is not just silence because nothing has come.
    async fn next(&mut self) -> Result<Packet> {
        loop {
            let before = self.health.waited();
            let packet = self.parsed.format.next_packet()?;
            if self.health.waited() == before {
                return Ok(packet);
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Listens to the end, or to what cannot be decoded any further.
    pub(crate) async fn until_broken(&mut self) {
        let listening = async {
            while let Ok(packet) = self.next().await {
                if self.parsed.decoder.decode(&packet).is_err() {
                    return;
                }
            }
        };
        timeout(PATIENCE, listening).await.expect("it ends");
    }

    fn decode(&mut self, packet: &Packet, heard: &mut Heard) {
        let decoded = self.parsed.decoder.decode(packet).unwrap();
        assert_eq!(decoded.spec().rate, 48_000);
        assert_eq!(decoded.spec().channels.count(), 2);
        let samples: AudioBuffer<f32> = {
            let mut samples = decoded.make_equivalent();
            decoded.convert(&mut samples);
            samples
        };
        heard.samples.extend(samples.chan(0));
        heard.packets.push(packet.buf().to_vec());
    }

    /// Goes to a place; where it got.
    pub(crate) fn seek(&mut self, seconds: f64) -> f64 {
        let to = SeekTo::Time {
            time: Time::from(seconds),
            track_id: Some(self.parsed.track_id),
        };
        let format = &mut self.parsed.format;
        let sought = tokio::task::block_in_place(|| format.seek(SeekMode::Accurate, to));
        self.parsed.decoder.reset();
        let time_base = self.parsed.decoder.codec_params().time_base.unwrap();
        let time = time_base.calc_time(sought.unwrap().actual_ts);
        #[expect(clippy::cast_precision_loss, reason = "few seconds")]
        let seconds = time.seconds as f64;
        seconds + time.frac
    }
}

impl Heard {
    #[expect(clippy::cast_precision_loss, reason = "few samples")]
    pub(crate) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / 48_000.0
    }

    /// The pitch, by how often it rises from below to above what is just noise.
    #[expect(clippy::cast_precision_loss, reason = "few samples")]
    pub(crate) fn pitch(&self) -> f64 {
        let mut rises = Vec::new();
        let mut is_below = false;
        for (place, sample) in self.samples.iter().enumerate() {
            if is_below && *sample > NOISE {
                rises.push(place);
                is_below = false;
            }
            is_below |= *sample < -NOISE;
        }
        let (first, last) = (rises[0], rises[rises.len() - 1]);
        (rises.len() - 1) as f64 * 48_000.0 / (last - first) as f64
    }

    /// That it is the tone, and about as long as that.
    pub(crate) fn is_tone(&self, seconds: f64) {
        let (pitch, heard) = (self.pitch(), self.seconds());
        assert!((heard - seconds).abs() < 0.12, "{heard} s");
        assert!((pitch - 440.0).abs() < 3.0, "{pitch} Hz");
    }
}
