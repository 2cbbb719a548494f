//! The program `discord-sim`.

use std::{
    io::{Write, stdout},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use tokio::{
    fs,
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use crate::{Config, EmitRequest, Error, Mix, Sim};

/// How often the program looks whether all shards are ready.
const LOOK: Duration = Duration::from_millis(20);

/// A Discord to test against.
#[derive(Clone, Debug, Parser)]
#[command(name = "discord-sim", version)]
pub struct Arguments {
    /// Listener of the REST routes and of the control interface: an address, or a port of 127.0.0.1.
    #[arg(long, default_value = "127.0.0.1:0", value_parser = address)]
    address: SocketAddr,
    /// Listener of the gateway.
    #[arg(long, default_value = "127.0.0.1:0", value_parser = address)]
    gateway_address: SocketAddr,
    /// Listener that READY names for resumes.
    #[arg(long, default_value = "127.0.0.1:0", value_parser = address)]
    resume_address: SocketAddr,
    /// Listener of voice.
    #[arg(long, default_value = "127.0.0.1:0", value_parser = address)]
    voice_address: SocketAddr,
    /// Write the certificate of voice to this file as PEM.
    #[arg(long)]
    voice_certificate: Option<PathBuf>,
    /// Shards that are recommended to clients.
    #[arg(long, default_value_t = 1)]
    shards: u32,
    /// Guilds that the bot is in.
    #[arg(long, default_value_t = 10)]
    guilds: u32,
    /// Events per second over all shards; emission starts when all shards are ready.
    #[arg(long)]
    rate: Option<f64>,
    /// Emit as fast as clients read, from when all shards are ready.
    #[arg(long, conflicts_with = "rate")]
    full_speed: bool,
    /// How many events to emit; without it emission goes on to the end.
    #[arg(long)]
    count: Option<u64>,
    /// Weights of the events, as NAME=WEIGHT,NAME=WEIGHT.
    #[arg(long)]
    mix: Option<Mix>,
    /// The bot token that is accepted.
    #[arg(long, default_value = "sim.token")]
    token: String,
    /// Seed of the events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What HELLO says, in milliseconds.
    #[arg(long, default_value_t = 41_250)]
    heartbeat_interval_ms: u64,
    /// Identifies allowed per 5 s.
    #[arg(long, default_value_t = 1)]
    max_concurrency: u32,
    /// Events that each session keeps for a resume.
    #[arg(long, default_value_t = 200_000)]
    replay_events: usize,
    /// Leave out the member `sim` of generated events.
    #[arg(long)]
    no_mark: bool,
    /// Write the addresses to this file as JSON once the listeners are open.
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

impl Arguments {
    fn config(&self) -> Config {
        let default = Config::default();
        Config {
            address: self.address,
            gateway_address: self.gateway_address,
            resume_address: self.resume_address,
            voice_address: self.voice_address,
            voice_certificate: self.voice_certificate.clone(),
            shards: self.shards,
            guilds: self.guilds,
            token: self.token.clone(),
            seed: self.seed,
            heartbeat_interval_ms: self.heartbeat_interval_ms,
            max_concurrency: self.max_concurrency,
            replay_events: self.replay_events,
            mark: !self.no_mark,
            mix: self.mix.clone().unwrap_or_else(|| default.mix.clone()),
            ..default
        }
    }

    fn emission(&self) -> Option<EmitRequest> {
        let wanted = self.rate.is_some() || self.full_speed;
        wanted.then(|| EmitRequest {
            count: self.count,
            rate: self.rate,
            ..EmitRequest::default()
        })
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
///
/// When a listener cannot be opened, the arguments make no sense or the ready file cannot be written.
pub async fn run(arguments: Arguments) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sim = Sim::start(arguments.config()).await?;
    let urls =
        serde_json::to_string(&sim.urls()).map_err(|error| Error::Invalid(error.to_string()))?;
    if let Some(path) = &arguments.ready_file {
        // A reader never sees half of it: the file appears under its name when it is whole.
        let mut part = path.clone().into_os_string();
        part.push(".part");
        fs::write(&part, format!("{urls}\n")).await?;
        fs::rename(&part, path).await?;
    }
    writeln!(stdout(), "{urls}")?;
    let emission = emit_when_ready(&sim, arguments.emission());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        Err(error) = emission => {
            sim.stop().await;
            return Err(error);
        }
    }
    sim.stop().await;
    Ok(())
}

/// Starts the emission, if one is wanted, and then stays silent.
async fn emit_when_ready(sim: &Sim, request: Option<EmitRequest>) -> Result<(), Error> {
    if let Some(request) = request {
        while !sim.is_ready() {
            sleep(LOOK).await;
        }
        sim.start_emission(request)?;
    }
    std::future::pending().await
}

/// An address, or a port of 127.0.0.1.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse()
        .map_err(|_| format!("{text:?} is neither an address with a port nor a port"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::Arguments;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_port_stands_for_an_address() {
        let arguments = Arguments::parse_from(["discord-sim", "--address", "4000", "--rate", "5"]);
        assert_eq!(arguments.config().address.to_string(), "127.0.0.1:4000");
        assert_eq!(
            arguments.emission().and_then(|request| request.rate),
            Some(5.0)
        );
    }
}
