//! The program `gateway-ws`.

use gateway_ws::{Config, KEYS, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    boot::main(
        "gateway-ws",
        env!("CARGO_PKG_VERSION"),
        KEYS,
        Config::read,
        run,
    )
}
