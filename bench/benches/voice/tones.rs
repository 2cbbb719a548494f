//! A tone that plays for long, in each way in which sound travels.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bench::summary::Summary;
use sim_voice::{ClientState, Speak};
use tokio::time;
use wire::gateway::v1::{VoiceJoinResponse, VoicePlayResponse};

use crate::{
    Place, sound,
    stage::{LENGTH, OPUS, Stage, WAV},
};

/// One packet of so many to the node is lost, where somebody speaks: 2 %.
const LOST: u64 = 50;
/// What they say, in hertz.
const SPEECH: u32 = 660;

/// A way in which sound travels.
struct Way {
    what: &'static str,
    file: &'static str,
    dave: bool,
    /// Whether somebody else speaks.
    speech: bool,
}

const fn way(what: &'static str, file: &'static str, dave: bool, speech: bool) -> Way {
    Way {
        what,
        file,
        dave,
        speech,
    }
}

const WAYS: [Way; 6] = [
    way("passed on, DAVE", OPUS, true, false),
    way("encoded, DAVE", WAV, true, false),
    way("passed on, no DAVE", OPUS, false, false),
    way("encoded, no DAVE", WAV, false, false),
    way("passed on, DAVE, 2 % lost on receive", OPUS, true, true),
    way("encoded, no DAVE, 2 % lost on receive", WAV, false, true),
];

/// Plays them all at once.
pub(crate) async fn measure(place: &Place, length: Duration, summary: &mut Summary) -> Result<()> {
    let most = Duration::from_secs(LENGTH.into());
    ensure!(length < most, "a tone has less than {most:?}");
    let mut stage = Stage::new(place, WAYS.len() as u32, true).await?;
    let voice = stage.sim.voice();
    voice.change_faults(|faults| faults.lose_every = LOST);
    let node = stage.node().await?;
    for (way, guild_id) in WAYS.iter().zip(stage.guilds.clone()) {
        begin(&mut stage, way, guild_id).await?;
    }
    time::sleep(length).await;
    let state = stage.sim.voice().state();
    println!(
        "\n{:<40} {:>9} {:>6} {:>5} {:>9} {:>9} {:>9} {:>9}",
        "a tone of 440 Hz", "hertz", "s", "lost", "gap ms", "p99 ms", "p99.9 ms", "drift ms"
    );
    let (mut off, mut gap, mut pacing, mut lost) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0);
    for (way, guild_id) in WAYS.iter().zip(&stage.guilds) {
        let mut clients = state.clients.iter();
        let client = clients.find(|client| client.guild_id == *guild_id);
        let client = client.context("a call")?;
        let hertz = client.heard.frequency_hz.context("a pitch")?;
        off = off.max((hertz - sound::HERTZ).abs());
        gap = gap.max(client.heard.longest_gap_ms);
        pacing = pacing.max(client.heard.pacing_p99_ms.unwrap_or(f64::MAX));
        lost += client.heard.lost as f64;
        check(way, client, length)?;
        print(way, client, hertz);
    }
    summary.at_most("Hz off the tone", off, 1.0);
    summary.at_most("ms of the longest gap in the tone", gap, 40.0);
    summary.at_most("packets of it that are missing", lost, 0.0);
    summary.at_most("ms of pacing error, p99 of the worst", pacing, 5.0);
    node.process.stop()?;
    stage.end().await
}

async fn begin(stage: &mut Stage<'_>, way: &Way, guild_id: u64) -> Result<()> {
    let voice = stage.sim.voice();
    voice.change_settings(|settings| settings.dave_version = u16::from(way.dave));
    let asked = stage.join(guild_id).await?;
    let VoiceJoinResponse { .. } = stage.worker.answer(asked).await?;
    if way.speech {
        stage.sim.voice().speak(Speak {
            channel_id: guild_id + 900,
            user_id: guild_id + 1000,
            frequency_hz: SPEECH,
            duration_ms: None,
        })?;
    }
    let asked = stage.play(guild_id, way.file).await?;
    let VoicePlayResponse { .. } = stage.worker.answer(asked).await?;
    Ok(())
}

/// What has to be so for the numbers to say something.
fn check(way: &Way, client: &ClientState, length: Duration) -> Result<()> {
    let heard = &client.heard;
    let least = length.as_millis() as u64;
    ensure!(heard.audio_ms + 500 > least, "{}: {heard:?}", way.what);
    ensure!(
        heard.purity.is_some_and(|it| it > 0.95),
        "{}: {heard:?}",
        way.what
    );
    let broken = (heard.undecodable, heard.undecrypted);
    ensure!(broken == (0, 0), "{}: {heard:?}", way.what);
    // Until the group of DAVE is made sound goes without.
    ensure!(
        (heard.unencrypted * 10 < heard.packets) == way.dave,
        "{}: {heard:?}",
        way.what
    );
    let share = client.dropped as f64 / (client.sent + client.dropped).max(1) as f64;
    ensure!(
        !way.speech || (0.015..0.025).contains(&share),
        "{}: {client:?}",
        way.what
    );
    Ok(())
}

fn print(way: &Way, client: &ClientState, hertz: f64) {
    let heard = &client.heard;
    let seconds = heard.audio_ms as f64 / 1000.0;
    let number = |it: Option<f64>| it.unwrap_or(f64::NAN);
    println!(
        "{:<40} {:>9.2} {:>6.1} {:>5} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
        way.what,
        hertz,
        seconds,
        heard.lost,
        heard.longest_gap_ms,
        number(heard.pacing_p99_ms),
        number(heard.pacing_p999_ms),
        number(heard.drift_ms),
    );
}
