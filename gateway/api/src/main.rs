//! The program `gateway-api`.

use gateway_api::{Config, KEYS, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    boot::main(
        "gateway-api",
        env!("CARGO_PKG_VERSION"),
        KEYS,
        Config::read,
        run,
    )
}
