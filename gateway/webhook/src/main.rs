//! The program `gateway-webhook`.

use gateway_webhook::{Config, KEYS, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    boot::main(
        "gateway-webhook",
        env!("CARGO_PKG_VERSION"),
        KEYS,
        Config::read,
        run,
    )
}
