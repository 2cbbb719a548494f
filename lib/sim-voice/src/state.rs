//! Reports: what the voice server has seen and heard.

use serde::{Deserialize, Serialize};

use crate::{
    config::{Faults, Settings},
    tone,
    violations::Violation,
};

/// Everything at one moment.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct State {
    /// Where clients connect, by either of two names.
    pub endpoints: [String; 2],
    /// Identifies that were accepted.
    pub identifies: u64,
    /// Resumes that were accepted.
    pub resumes: u64,
    /// Calls with somebody in them.
    pub calls: Vec<CallState>,
    /// Ended sessions, then living ones.
    pub clients: Vec<ClientState>,
    /// Broken rules, the first 1,000.
    pub violations: Vec<Violation>,
    /// How many there were.
    pub violation_count: u64,
    /// The settings.
    pub settings: Settings,
    /// The faults that are switched on.
    pub faults: Faults,
}

/// A channel with somebody in it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct CallState {
    /// The channel.
    pub channel_id: u64,
    /// Simulated users in it.
    pub users: Vec<u64>,
    /// Those of them who speak.
    pub speaking: Vec<u64>,
    /// The version of DAVE; 0: none.
    pub dave_version: u16,
    /// The epoch of its group, once there is one.
    pub epoch: Option<u64>,
    /// Members of its group.
    pub members: Vec<u64>,
    /// Transitions that were executed.
    pub transitions: u64,
}

/// A voice session of a client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClientState {
    /// Its guild.
    pub guild_id: u64,
    /// Its channel.
    pub channel_id: u64,
    /// Its user.
    pub user_id: u64,
    /// Its SSRC.
    pub ssrc: u32,
    /// The version of the voice gateway that it speaks.
    pub version: u8,
    /// The highest version of DAVE that it knows.
    pub dave_version: u16,
    /// The encryption mode, once selected.
    pub mode: Option<String>,
    /// Whether its websocket is connected.
    pub connected: bool,
    /// Whether it says that it speaks.
    pub speaking: bool,
    /// Heartbeats that came.
    pub heartbeats: u64,
    /// Resumes that were accepted.
    pub resumes: u64,
    /// Packets that were sent to it.
    pub sent: u64,
    /// Packets that were lost on purpose.
    pub dropped: u64,
    /// How it ended: the close code, or 0 without one.
    pub ended: Option<u16>,
    /// What it sent.
    pub heard: Heard,
}

impl Heard {
    /// Adds the pitch of the samples.
    pub(crate) fn measure(&mut self, samples: &[f32]) {
        let sound = tone::measure(samples);
        self.frequency_hz = sound.map(|sound| sound.frequency_hz);
        self.purity = sound.map(|sound| sound.purity);
    }
}

/// What came from one client, since its session began. The five packets of silence before a rest count as packets, and a rest
/// after them as no gap.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Heard {
    /// Packets that could be decrypted.
    pub packets: u64,
    /// Of them, packets of silence.
    pub silent: u64,
    /// CRC-32 of all frames of sound, one after the other in the order in which they came.
    pub checksum: u32,
    /// Milliseconds of sound in them.
    pub audio_ms: u64,
    /// Packets that are missing, by their numbers.
    pub lost: u64,
    /// Packets that came after a later one.
    pub late: u64,
    /// Packets that came twice.
    pub repeated: u64,
    /// Frames that are no Opus.
    pub undecodable: u64,
    /// Frames that were encrypted end to end, and nobody in the call could decrypt.
    pub undecrypted: u64,
    /// Frames of sound that were not encrypted end to end.
    pub unencrypted: u64,
    /// Places where sound is missing, by timestamps.
    pub gaps: u64,
    /// The longest of them, in milliseconds.
    pub longest_gap_ms: f64,
    /// The longest time between two packets, in milliseconds.
    pub longest_wait_ms: f64,
    /// The pitch of the last second.
    pub frequency_hz: Option<f64>,
    /// Which part of its power lies at that pitch: near 1 for a clean tone.
    pub purity: Option<f64>,
    /// How far the times between packets are from those of their timestamps: half are nearer.
    pub pacing_p50_ms: Option<f64>,
    /// The same for 99 of 100.
    pub pacing_p99_ms: Option<f64>,
    /// The same for 999 of 1,000.
    pub pacing_p999_ms: Option<f64>,
    /// Packets that came more than 20 ms later than by their timestamps, counted from the first one after a rest.
    pub overdue: u64,
    /// How much later than by their timestamps packets come than at the beginning, in milliseconds.
    pub drift_ms: Option<f64>,
}
