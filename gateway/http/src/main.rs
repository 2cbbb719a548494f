//! The program `gateway-http`.

use gateway_http::{Config, KEYS, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    boot::main(
        "gateway-http",
        env!("CARGO_PKG_VERSION"),
        KEYS,
        Config::read,
        run,
    )
}
