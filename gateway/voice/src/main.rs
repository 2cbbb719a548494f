//! The program `gateway-voice`.

use gateway_voice::{Config, KEYS, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    boot::main(
        "gateway-voice",
        env!("CARGO_PKG_VERSION"),
        KEYS,
        Config::read,
        run,
    )
}
