//! A service that behaves as its configuration says, for the tests of its whole life.

use std::{
    io,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use boot::{Context, ExposeSecret as _, Key, Reader, SecretString};

const MODE: Key = Key::new(
    "PROBE_MODE",
    "serve, fail, panic, finish, log, ignore or block",
);
const TOKEN: Key = Key::new("PROBE_TOKEN", "A secret").secret();
const KEYS: &[Key] = &[MODE, TOKEN];

#[derive(Debug)]
struct Config {
    mode: String,
    token: SecretString,
}

impl Config {
    fn read(reader: &mut Reader) -> Option<Self> {
        let mode = reader.required(&MODE);
        let token = reader.required(&TOKEN);
        Some(Self {
            mode: mode?,
            token: token?,
        })
    }
}

fn main() -> ExitCode {
    boot::main("probe", "1.2.3", &[KEYS], Config::read, run)
}

async fn run(config: Config, context: Context) -> Result<(), io::Error> {
    tracing::info!(
        ?config,
        token = config.token.expose_secret(),
        "the probe runs"
    );
    context.health.check("probe").up();
    drop(context.traces.begin(SystemTime::now(), || "run".to_owned()));
    match config.mode.as_str() {
        "fail" => {
            let token = config.token.expose_secret();
            return Err(io::Error::other(format!("{token} was refused")));
        }
        "panic" => {
            context.tasks.spawn("helper", async { fall_over() });
        }
        "finish" => return Ok(()),
        "log" => {
            tracing::info!(target: "gateway_ws", "too quiet");
            tracing::warn!(target: "gateway_ws", shard = 3, "worth a look");
            tracing::warn!(target: "boot::webhook", "posting failed");
            tracing::error!(target: "rustls::conn", "its connection broke");
            tracing::error!(target: "hyper_util::client", "so did this one");
            return Ok(());
        }
        "ignore" => {
            context.tasks.spawn("deaf", std::future::pending::<()>());
        }
        "block" => {
            // As many as there can be threads, so that none is left for anything else.
            for _ in 0..256 {
                context.tasks.spawn("blocked", async {
                    std::thread::sleep(Duration::from_secs(60));
                });
            }
        }
        _ => {}
    }
    context.shutdown.cancelled().await;
    Ok(())
}

fn fall_over() {
    panic!("the helper fell over");
}
